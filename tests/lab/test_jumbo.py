# SPDX-License-Identifier: BSD-3-Clause
"""Frames longer than one packet buffer: chains through every way of the switch but the wire's, which is narrower."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from lab.fabric import Fabric
from lab.frames import Frame
from lab.peer import TapGuest
from lab.wait import never

GUEST_MTU = 9000
FLOODED = ("ff:ff:ff:ff:ff:ff", "01:00:5e:01:02:03", "33:33:00:01:02:03")
PLACES = {"a": (5001, 11), "a2": (5001, 12), "a3": (5001, 13), "c": (5002, 15)}


def counted(text: str, size: int) -> bytes:
    """Content that shows every byte that is lost, doubled or exchanged."""
    return b"".join(f"{text}{at:6d};".encode() for at in range(size // 8 + 1))[:size]


def carries(payload: bytes) -> Callable[[Frame], bool]:
    return lambda frame: frame.data[14 : 14 + len(payload)] == payload


@pytest.mark.asan
@pytest.mark.parametrize("ring", ["split", "packed"])
def test_jumbo_frames_on_one_host(fabric: Fabric, ring: str) -> None:
    """8,000 byte echoes within a subnet and routed; floods of 5,000 bytes to two local receivers, byte for byte; toward
    the other host they do not fit: named drops, and the sender is told the size that does.
    """
    guests: dict[str, TapGuest] = {}
    for net in (1, 2):
        fabric.subnet(5000 + net, "tenant-a", f"10.{net}.0.1/24", f"fd00:{net}::1/64")
    for name, (vsid, number) in PLACES.items():
        addresses = [f"10.{vsid - 5000}.0.{number}/24", f"fd00:{vsid - 5000}::{number}/64"]
        guests[name] = fabric.tap_guest(
            "h1",
            name,
            vsid,
            *addresses,
            options={"mtu": GUEST_MTU, "ring": ring},
            port={"mtu": GUEST_MTU, "packed": ring == "packed"},
        )
    b = fabric.tap_guest("h2", "b", 5001, "10.1.0.14/24", "fd00:1::14/64")
    fabric.start()
    host, a = fabric.hosts["h1"], guests["a"]
    for name in ("a2", "c"):
        vsid, number = PLACES[name]
        for address in (f"10.{vsid - 5000}.0.{number}", f"fd00:{vsid - 5000}::{number}"):
            a.reaches(address, 2, "-M do -s 8000")
    receivers = [guests[name].capture() for name in ("a2", "a3")]
    own, at_b = a.capture(), b.capture()
    for destination in FLOODED:
        for size in (2000, 5000, 8900):
            drops = host.watch_drops()
            payload = counted(destination[1], size)
            a.send(Ether(src=a.mac, dst=destination, type=0x88B5) / Raw(payload), count=10)
            for capture in receivers:
                capture.wait(carries(payload), f"{size} bytes to {destination}", 10)
            assert drops.wait("too-big", 10) == 10
            assert [len(capture.frames(carries(payload))) for capture in receivers] == [10, 10]
    never(lambda: own.frames(lambda f: f.ethertype == 0x88B5), "an echo", 0.2)
    told = a.run("ping -n -c 2 -i 0.2 -W 1 -M do -s 8000 10.1.0.14", check=False).output
    assert "mtu=1558" in told.replace(" ", ""), told
    assert not at_b.frames(lambda f: len(f.data) > 1572)
    a.reaches("10.1.0.14", options="-M do -s 1500")
    b.reaches("10.1.0.11", options="-M do -s 1400")
