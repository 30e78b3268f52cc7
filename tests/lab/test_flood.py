# SPDX-License-Identifier: BSD-3-Clause
"""Broadcast, multicast, unknown unicast: HNV rows 55 to 58."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import ICMPv6MLQuery2, ICMPv6MLReport2, IPv6, IPv6ExtHdrHopByHop, RouterAlert
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import checksum

from lab.fabric import Fabric
from lab.frames import Frame
from lab.peer import TapGuest
from lab.wait import never, until
from lab.wire_host import WireHost

MAKE = Callable[..., Fabric]
BROADCAST = "ff:ff:ff:ff:ff:ff"
ETHERTYPE = 0x88B5  # IEEE 802 local experimental


def marked(text: str) -> Callable[[Frame], bool]:
    return lambda frame: text.encode() in frame.data


def flood(sender: TapGuest, destination: str, text: str) -> None:
    sender.send(Ether(src=sender.mac, dst=destination, type=ETHERTYPE) / Raw(text.encode().ljust(60, b".")))


@pytest.fixture(name="many")
def _many(new_fabric: MAKE) -> Fabric:
    """a on h1, five guests on h2, one on h3, which another subnet has as well."""
    fabric = new_fabric(hosts=3)
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    fabric.subnet(6001, "tenant-x", "10.0.0.1/24")
    fabric.tap_guest("h1", "a", 5001, "10.0.0.11/24")
    fabric.tap_guest("h1", "a2", 5001, "10.0.0.12/24")
    for number in range(5):
        fabric.tap_guest("h2", f"b{number}", 5001, f"10.0.0.{20 + number}/24")
    fabric.tap_guest("h3", "x", 6001, "10.0.0.30/24")
    fabric.start()
    return fabric


@pytest.mark.asan
@pytest.mark.parametrize("destination", [BROADCAST, "01:00:5e:01:02:03", "33:33:00:01:02:03"])
def test_row55_one_copy_per_host(many: Fabric, destination: str) -> None:
    """Five members on h2, which has two provider addresses: one copy on the wire, one delivery to each; rows
    56, 58.

    h3 has no member and gets nothing; nobody gets a frame back; h2 sends no copy on.
    """
    a = many.guest("a")
    wire = many.underlay.capture()
    members = [many.guest(f"b{number}").capture() for number in range(5)] + [many.guest("a2").capture()]
    sender, stranger = a.capture(), many.guest("x").capture()
    flood(a, destination, "one copy")
    for capture in members:
        capture.wait(marked("one copy"), "the flooded frame")
    never(
        lambda: sender.frames(marked("one copy")) or stranger.frames(marked("one copy")),
        "a frame where none goes",
        0.5,
    )
    copies = wire.frames(marked("one copy"))
    assert len(copies) == 1 and copies[0].interface.startswith("h1"), copies
    assert copies[0].nvgre and copies[0].nvgre.outer_destination in ("192.0.2.21", "192.0.2.22")
    assert [len(capture.frames(marked("one copy"))) for capture in members] == [1] * 6


def test_unknown_unicast_finds_its_owner(new_fabric: MAKE) -> None:
    """A MAC without a record, in a subnet that learns: one copy per member host, taken by its owner alone."""
    fabric = new_fabric(hosts=3)
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    a = fabric.tap_guest("h1", "a", 5001, "10.0.0.11/24")
    b = fabric.tap_guest("h2", "b", 5001, "10.0.0.12/24")
    c = fabric.tap_guest("h3", "c", 5001, "10.0.0.13/24")
    unknown = fabric.tap_guest("h3", "u", 5001, "10.0.0.14/24", record=False)
    fabric.start()
    wire = fabric.underlay.capture()
    at_owner, at_others = unknown.capture(), [b.capture(), c.capture()]
    flood(a, unknown.mac, "looking for u")
    at_owner.wait(marked("looking for u"), "the frame at its owner")
    never(
        lambda: [f for capture in at_others for f in capture.frames(marked("looking for u"))],
        "the frame at somebody else",
        0.3,
    )
    copies = [f.nvgre.outer_destination for f in wire.frames(marked("looking for u")) if f.nvgre]
    assert sorted(copy.rpartition(".")[2][0] for copy in copies) == ["2", "3"]


def test_row56_only_member_hosts(many: Fabric) -> None:
    """A host becomes a member with its first record of the subnet, and stops being one with the last."""
    host = many.hosts["h1"]
    a = many.guest("a")
    wire = many.underlay.capture()

    def targets(text: str) -> set[str]:
        wire.wait(marked(text), "a copy")
        # the copies of one frame leave in one burst; the answer to a call is later than all of them
        host.call("Version")
        return {f.nvgre.outer_destination.rpartition(".")[2][0] for f in wire.frames(marked(text)) if f.nvgre}

    flood(a, BROADCAST, "before")
    assert targets("before") == {"2"}
    record = {"vsid": 5001, "mac": "02:00:00:00:03:33", "host": "h3", "ca": "10.0.0.33"}
    host.call("Set", kind="lookup-record", object=record)
    flood(a, BROADCAST, "meanwhile")
    wire.wait(marked("meanwhile"), "both copies", 2)
    assert targets("meanwhile") == {"2", "3"}
    host.call("Remove", kind="lookup-record", key=record)
    flood(a, BROADCAST, "afterwards")
    assert targets("afterwards") == {"2"}


def test_row58_split_horizon(new_fabric: MAKE) -> None:
    """All three hosts have ports in the subnet and every guest broadcasts: each copy is delivered once, none is ever
    sent on, none comes back.
    """
    fabric = new_fabric(hosts=3)
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    for number, (host, name) in enumerate((("h1", "a"), ("h1", "a2"), ("h2", "b"), ("h3", "d"), ("h3", "d2"))):
        fabric.tap_guest(host, name, 5001, f"10.0.0.{11 + number}/24")
    fabric.start()
    home = {"a": "h1", "a2": "h1", "b": "h2", "d": "h3", "d2": "h3"}
    senders = [fabric.guest(name) for name in home]
    wire = fabric.underlay.capture()
    seen = [sender.capture() for sender in senders]
    for sender in senders:
        flood(sender, BROADCAST, f"from {sender.name};")
    for capture, sender in zip(seen, senders):
        for other in senders:
            if other is not sender:
                capture.wait(marked(f"from {other.name};"), f"{other.name}'s frame at {sender.name}")
    never(
        lambda: [f for c, s in zip(seen, senders) for f in c.frames(marked(f"from {s.name};"))], "an echo", 0.5
    )
    for sender in senders:
        copies = wire.frames(marked(f"from {sender.name};"))
        assert len(copies) == 2 and all(f.interface.startswith(home[sender.name]) for f in copies), (
            sender.name,
            copies,
        )
        got = [len(capture.frames(marked(f"from {sender.name};"))) for capture in seen]
        assert got == [int(other is not sender) for other in senders], (sender.name, got)


def test_flood_limit(fabric: Fabric) -> None:
    """More than the limit is a named drop; known unicast is not touched by it."""
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    fabric.setting("limits", flood_pps=100)
    a = fabric.tap_guest("h1", "a", 5001, "10.0.0.11/24")
    fabric.tap_guest("h2", "b", 5001, "10.0.0.12/24")
    fabric.start()
    drops = fabric.hosts["h1"].watch_drops()
    for _ in range(1000):
        flood(a, BROADCAST, "storm")
    assert drops.wait("flood-limit", 500) <= 950
    a.reaches("10.0.0.12")


def igmp(frame: Frame) -> int:
    """Type of an IGMP message, 0 for all else."""
    data = frame.data
    return data[14 + (data[14] & 15) * 4] if frame.ethertype == 0x0800 and data[23] == 2 else 0


def test_row57_multicast_group(new_fabric: MAKE) -> None:
    """With a group: each host reports its membership on one member, again when it is asked, and one packet reaches
    all; a host without ports of the subnet reports nothing.
    """
    fabric = new_fabric(hosts=3)
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24", group="239.1.2.3")
    a = fabric.tap_guest("h1", "a", 5001, "10.0.0.11/24")
    b = fabric.tap_guest("h2", "b", 5001, "10.0.0.12/24")
    b2 = fabric.tap_guest("h2", "b2", 5001, "10.0.0.13/24")
    wire = fabric.underlay.capture()
    fabric.start()
    until(lambda: len({f.interface for f in wire.frames(lambda f: igmp(f) == 0x22)}) == 2, "h1 and h2 report")
    joined = {f.interface for f in wire.frames(lambda f: igmp(f) == 0x22)}
    assert {name[:2] for name in joined} == {"h1", "h2"}, joined
    at_b, at_b2 = b.capture(), b2.capture()
    flood(a, BROADCAST, "to the group")
    for capture in (at_b, at_b2):
        capture.wait(marked("to the group"), "the flooded frame")
    copies = wire.frames(marked("to the group"))
    assert len(copies) == 1 and copies[0].destination == "01:00:5e:01:02:03", copies
    assert copies[0].nvgre and copies[0].nvgre.outer_destination == "239.1.2.3"
    assert [len(capture.frames(marked("to the group"))) for capture in (at_b, at_b2)] == [1, 1]
    wire.wait(lambda f: igmp(f) == 0x22, "both reports of each join", 4)
    wire.clear()
    querier = WireHost(fabric.run, fabric.underlay, "querier", "192.0.2.99/24")
    query = b"\x11\x05\x00\x00\x00\x00\x00\x00\x02\x7d\x00\x00"
    query = query[:2] + struct.pack("!H", checksum(query)) + query[4:]
    packet = IP(src="192.0.2.99", dst="224.0.0.1", ttl=1, proto=2) / Raw(query)
    querier.send_raw(Ether(src=querier.mac, dst="01:00:5e:00:00:01") / packet)
    answers = wire.wait(lambda f: igmp(f) == 0x22, "answers to the query", 2)
    assert {f.interface for f in answers} == joined


def test_row57_multicast_group_v6(new_fabric: MAKE) -> None:
    """The same over an IPv6 underlay, with MLD: on one NIC of each host with ports of the subnet."""
    group = "ff15::1:2:3"
    fabric = new_fabric(hosts=3, family=6)
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24", group=group)
    a = fabric.tap_guest("h1", "a", 5001, "10.0.0.11/24")
    guests = [fabric.tap_guest("h2", f"b{number}", 5001, f"10.0.0.{20 + number}/24") for number in range(2)]
    wire = fabric.underlay.capture()
    fabric.start()

    def reports(frame: Frame) -> bool:
        report = frame.packet.getlayer(ICMPv6MLReport2)
        return bool(report and any(each.dst == group for each in report.records))

    until(lambda: len({f.interface for f in wire.frames(reports)}) == 2, "h1 and h2 report")
    joined = {f.interface for f in wire.frames(reports)}
    assert {name[:2] for name in joined} == {"h1", "h2"}, joined
    for frame in wire.frames(reports):
        packet = frame.packet
        assert (frame.destination, packet[IPv6].dst, packet[IPv6].hlim) == ("33:33:00:00:00:16", "ff02::16", 1)
        assert packet[IPv6].src.startswith("fe80::") and packet.haslayer(RouterAlert)
        again = packet.copy()
        del again[ICMPv6MLReport2].cksum
        assert bytes(again) == frame.data
    captures = [guest.capture() for guest in guests]
    flood(a, BROADCAST, "to the group")
    for capture in captures:
        capture.wait(marked("to the group"), "the flooded frame")
    copies = wire.frames(marked("to the group"))
    assert len(copies) == 1 and copies[0].destination == "33:33:00:02:00:03", copies
    assert copies[0].nvgre and copies[0].nvgre.outer_destination == group
    assert [len(capture.frames(marked("to the group"))) for capture in captures] == [1, 1]
    wire.wait(reports, "both reports of each join", 4)
    wire.clear()
    querier = WireHost(fabric.run, fabric.underlay, "querier", "2001:db8::99/64")
    packet = IPv6(src="fe80::99", dst="ff02::1", hlim=1) / IPv6ExtHdrHopByHop(options=[RouterAlert()])
    querier.send_raw(Ether(src=querier.mac, dst="33:33:00:00:00:01") / packet / ICMPv6MLQuery2(mrd=1))
    answers = wire.wait(reports, "answers to the query", 2)
    assert {f.interface for f in answers} == joined
