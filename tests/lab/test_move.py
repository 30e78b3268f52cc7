# SPDX-License-Identifier: BSD-3-Clause
"""A guest moves to another host while a sender's policy is old: HNV row 28."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from lab.capture import Capture
from lab.fabric import Fabric, provider_addresses
from lab.frames import Frame
from lab.host import Host
from lab.peer import TapGuest
from lab.wait import until

MAKE = Callable[..., Fabric]
VSID = 5001
CA = "10.0.0.12"
UDP_PROTOCOL = 17


def text_of(number: int) -> bytes:
    return b"to who has moved, %04d" % number


def carries(text: bytes) -> Callable[[Frame], bool]:
    """A tunnel packet with the test's UDP, not one that quotes it."""
    return lambda frame: text in frame.data and bool(frame.nvgre and frame.nvgre.inner[23] == UDP_PROTOCOL)


def hops(capture: Capture, text: bytes, expected: int) -> list[tuple[str, str, int, int]]:
    """The tunnel packets that carried it, in order: outer addresses, hop limit, FlowID; each once."""

    def seen() -> list[tuple[str, str, int, int]]:
        ways: list[tuple[str, str, int, int]] = []
        for frame in capture.frames(carries(text)):
            sent = frame.nvgre
            assert sent and sent.vsid == VSID
            hop = (sent.outer_source, sent.outer_destination, sent.ttl, sent.flow_id)
            if hop not in ways:
                ways.append(hop)
        return ways

    return until(lambda: seen() if len(seen()) >= expected else [], f"{expected} hops of {text!r}")


def place_at(host: Host, new: str) -> None:
    """The guest's record in one change."""
    for record in host.config["records"]:
        if record["ca"] == CA:
            record["host"] = new
    assert host.reload().ok


@pytest.mark.parametrize("family", [4, pytest.param(6, marks=pytest.mark.asan)])
def test_row28_old_host_redirects(new_fabric: MAKE, family: int) -> None:
    """a on h1 sends to b, which goes from h2 to h3; h1 is not told. The old host passes each packet on once, as
    long as the port is there without a guest and after it was removed; hosts that contradict each other drop it.
    With the knob on h1 is told, believes it, and goes straight to h3.
    """
    fabric = new_fabric(hosts=3, nics=1, family=family)
    fabric.subnet(VSID, "tenant-a", "10.0.0.1/24", learning=False)
    a = fabric.tap_guest("h1", "a", VSID, "10.0.0.11/24")
    b = fabric.tap_guest("h2", "b", VSID, f"{CA}/24")
    place = fabric.place("h3", "c", VSID, f"{CA}/24", mac=b.mac, record=False)
    moved = TapGuest(place.host.netns, "c", place.socket, place.mac)
    fabric.start()
    h1, h2, h3 = (fabric.hosts[name] for name in ("h1", "h2", "h3"))
    pa1, pa2, pa3 = (provider_addresses(host)[0] for host in (h1, h2, h3))
    a.reaches(CA, count=1)

    b.stop()
    moved.power_on()
    fabric.finish(place, moved)
    h2.wait_port("b", "absent")
    place_at(h3, "h3")
    place_at(h2, "h3")
    at_c, wire, drops = moved.capture(), fabric.underlay.capture(), h3.watch_drops()
    number = 0

    def packet() -> tuple[Packet, bytes]:
        nonlocal number
        number += 1
        ip = IP(src="10.0.0.11", dst=CA) / UDP(sport=4000 + number, dport=9) / Raw(text_of(number))
        return Ether(src=a.mac, dst=b.mac) / ip, text_of(number)

    def by_way_of_h2() -> None:
        frame, text = packet()
        a.send(frame)
        at_c.wait(lambda f: f.data == bytes(frame), "the packet at the new host, unchanged")
        way = hops(wire, text, 2)
        flow_id = way[0][3]
        assert way == [(pa1, pa2, 64, flow_id), (pa1, pa3, 32, flow_id)]

    by_way_of_h2()  # the port is there, its guest is not
    h2.config["ports"].clear()
    assert h2.reload().ok
    for _ in range(3):
        by_way_of_h2()
    assert "src-pa-mismatch" not in drops.since() and "redirect-again" not in drops.since()

    events = h1.follow()
    fabric.setting("nvgre", redirect=True)
    for host in (h1, h2, h3):
        assert host.reload().ok
    by_way_of_h2()
    event = events.wait("redirect", vsid=str(VSID), mac=b.mac)
    assert (event["host"], event["pa"], event["new-host"], event["new-pa"]) == ("h2", pa2, "h3", pa3)
    assert h1.drops()["redirect-taken"] >= 1
    a.reaches(CA, count=2)  # both ways, which takes what h1 has been told
    frame, text = packet()
    a.send(frame)
    at_c.wait(lambda f: f.data == bytes(frame), "the packet at the new host")
    assert [hop[:3] for hop in hops(wire, text, 1)] == [(pa1, pa3, 64)]

    # policy speaks: back at h2 for h1, and h3 says h2, h2 says h3
    moved.stop()
    place_at(h3, "h2")
    h3.config["ports"].clear()
    assert h3.reload().ok
    fabric.setting("nvgre", redirect=False)
    assert h2.reload().ok
    place_at(h1, "h3")
    place_at(h1, "h2")  # what it was told does not outlive that
    drops = h3.watch_drops()
    frame, text = packet()
    a.send(frame)
    assert drops.wait("redirect-again") == 1
    assert [hop[:3] for hop in hops(wire, text, 2)] == [(pa1, pa2, 64), (pa1, pa3, 32)]
