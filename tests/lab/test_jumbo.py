# SPDX-License-Identifier: BSD-3-Clause
"""Frames of up to 9,000 bytes: longer than one packet buffer they stay on their host; between hosts with buffers that
are long enough.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from lab.fabric import Fabric
from lab.frames import Frame
from lab.host import Host
from lab.peer import TapGuest
from lab.wait import never, until

GUEST_MTU = 9000
FLOODED = ("ff:ff:ff:ff:ff:ff", "01:00:5e:01:02:03", "33:33:00:01:02:03")
UNDERLAY_MTU = 9000
INNER_MTU = {4: 8958, 6: 8938}
PLACES = {"a": (5001, 11), "a2": (5001, 12), "a3": (5001, 13), "c": (5002, 15)}


UDP = (
    "/usr/bin/python3 -c 'import socket, sys; "
    'socket.socket(2, 2).sendto(b"x" * int(sys.argv[1]), (sys.argv[2], 9))\''
)


def udp_counter(guest: TapGuest, name: str) -> int:
    names, values = (
        line.split() for line in guest.run("cat /proc/net/snmp").output.splitlines() if line.startswith("Udp:")
    )
    return int(values[names.index(name)])


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
    tunnel_of_guests(host, a, guests["a2"])
    assert host.log().count("lose some of 2049 bytes and more") == 4  # once for each of its guests


def tunnel_of_guests(host: Host, a: TapGuest, b: TapGuest) -> None:
    """VXLAN of their own, its inner checksums left to the switch. What DPDK's library sums before it is there does not
    arrive, by name; other lengths do.
    """
    for guest, own, other in ((a, 11, 12), (b, 12, 11)):
        guest.run(f"ip link add vx type vxlan id 7 local 10.1.0.{own} remote 10.1.0.{other} dstport 4789")
        guest.run(f"ip address add 10.9.0.{own}/24 dev vx")
        guest.run("ip link set vx up mtu 8900")
    a.reaches("10.9.0.12")
    drops, before = host.watch_drops(), udp_counter(b, "NoPorts")
    for size in (2056, 2956, 900):  # 100 bytes behind the first buffer, 1000, none
        a.run(f"{UDP} {size} 10.9.0.12")
    until(lambda: udp_counter(b, "NoPorts") == before + 2, "the other two are good datagrams for nobody", 10)
    assert udp_counter(b, "InCsumErrors") == 0
    assert drops.wait("guest-sum", 1) == 1


@pytest.mark.asan
@pytest.mark.parametrize("family", [4, 6])
def test_jumbo_underlay(new_fabric: Callable[..., Fabric], family: int) -> None:
    """Row 25: the guests are told what fits and may use all of it, on one host, to the other, routed to the other; a
    flood reaches two local receivers and a remote one, byte for byte.
    """
    fabric = new_fabric(family=family, mtu=UNDERLAY_MTU)
    fabric.setting("memory", mbufs=4096, mbuf_size=12288)
    for net in (1, 2):
        fabric.subnet(5000 + net, "tenant-a", f"10.{net}.0.1/24", f"fd00:{net}::1/64")
    guests: dict[str, TapGuest] = {}
    for name, host, net, number in (
        ("a", "h1", 1, 11),
        ("a2", "h1", 1, 12),
        ("a3", "h1", 1, 13),
        ("b", "h2", 1, 14),
        ("d", "h2", 2, 15),
    ):
        addresses = [f"10.{net}.0.{number}/24", f"fd00:{net}::{number}/64"]
        guests[name] = fabric.tap_guest(host, name, 5000 + net, *addresses, options={"mtu": INNER_MTU[family]})
    fabric.start()
    for host in fabric.hosts.values():
        ports = host.ports().values()
        assert {port["host-mtu"] for port in ports} == {INNER_MTU[family]}
        assert not any(port.get("mtu-mismatch") for port in ports)
    a = guests["a"]
    wire = fabric.underlay.capture()
    for four, six in (("10.1.0.12", "fd00:1::12"), ("10.1.0.14", "fd00:1::14"), ("10.2.0.15", "fd00:2::15")):
        a.reaches(four, 2, f"-M do -s {INNER_MTU[family] - 28}")
        a.reaches(six, 2, f"-M do -s {INNER_MTU[family] - 48}")
    assert max(len(frame.data) for frame in wire.frames()) == UNDERLAY_MTU + 14
    receivers = [guests[name].capture() for name in ("a2", "a3", "b")]
    own = a.capture()
    for destination in FLOODED:
        for size in (5000, 8900):
            payload = counted(destination[1], size)
            a.send(Ether(src=a.mac, dst=destination, type=0x88B5) / Raw(payload), count=5)
            for capture in receivers:
                capture.wait(carries(payload), f"{size} bytes to {destination}", 5)
            assert [len(capture.frames(carries(payload))) for capture in receivers] == [5, 5, 5]
    never(lambda: own.frames(lambda f: f.ethertype == 0x88B5), "an echo", 0.2)
    a.reaches("10.1.0.14")
