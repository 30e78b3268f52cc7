# SPDX-License-Identifier: BSD-3-Clause
"""NVGRE bytes: HNV rows 20, 21, 22, 23, 24, 25, 26, 27. Scapy and tshark are the second opinion."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import GRE, ICMP, IP, TCP, UDP, IPOption_NOP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw
from scapy.utils import PcapReader

from lab.capture import tshark_fields
from lab.fabric import Fabric
from lab.frames import Frame
from lab.peer import Peer, TapGuest
from lab.run import Run
from lab.wait import never, until
from lab.wire_host import WireHost, nvgre

MAKE = Callable[..., Fabric]
A_MAC, B_MAC = "02:00:00:00:0a:01", "02:00:00:00:0a:02"
S_MAC, T_MAC = "02:00:00:00:0a:03", "02:00:00:00:0a:04"
ETH_HLEN = 14
OURS = {4: "192.0.2.11", 6: "2001:db8::1:1"}
OURS_TOO = {4: "192.0.2.12", 6: "2001:db8::1:2"}
THEIRS = {4: "192.0.2.21", 6: "2001:db8::2:1"}
PREFIX = {4: 24, 6: 64}


def scene(
    new_fabric: MAKE, run: Run, family: int = 4, start: bool = True, **options: Any
) -> tuple[Fabric, TapGuest, WireHost]:
    """One vswitchd host with guest b, one host h2 played by the test, where guest a is said to be."""
    fabric = new_fabric(hosts=1, family=family, **options)
    peer = WireHost(run, fabric.underlay, "h2", f"{THEIRS[family]}/{PREFIX[family]}")
    fabric.every_config("hosts", {"id": "h2", "pas": [{"address": THEIRS[family]}]})
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24", "fd00::1/64")
    b = fabric.tap_guest("h1", "b", 5001, "10.0.0.12/24", "fd00::12/64", mac=B_MAC)
    for ca in ("10.0.0.11", "fd00::11"):
        fabric.record(5001, "h2", A_MAC, ca)
    if start:
        fabric.start()
    return fabric, b, peer


def udp(number: int = 1, source_port: int = 4000, size: int = 20) -> Packet:
    """From b to a."""
    return (
        Ether(src=B_MAC, dst=A_MAC)
        / IP(src="10.0.0.12", dst="10.0.0.11", id=number)
        / UDP(sport=source_port, dport=9)
        / Raw((bytes(range(256)) * 8)[:size])
    )


def to_b(payload: bytes = b"hello", **ip: Any) -> Packet:
    """From a to b."""
    return (
        Ether(src=A_MAC, dst=B_MAC)
        / IP(src="10.0.0.11", dst="10.0.0.12", **ip)
        / UDP(sport=7, dport=9)
        / Raw(payload)
    )


@pytest.mark.asan
@pytest.mark.parametrize("family", [4, 6])
def test_row20_golden_frame_sent(new_fabric: MAKE, run: Run, family: int, tmp_path: Path) -> None:
    """What leaves equals what scapy builds byte for byte, but for fields that are ours to choose; tshark
    agrees.
    """
    fabric, b, peer = scene(new_fabric, run, family)
    at_peer = peer.capture()
    inner = bytes(udp())
    b.send(inner)
    frame = at_peer.wait(lambda f: f.nvgre and f.nvgre.packet.haslayer(UDP), "the encapsulated frame")[0]
    sent = frame.nvgre
    assert sent
    outer = frame.packet
    layer = outer[IP] if family == 4 else outer[IPv6]
    expected: Packet = nvgre(layer.src, THEIRS[family], 5001, inner, sent.flow_id)
    if family == 4:
        expected[IP].id, expected[IP].ttl, expected[IP].tos = layer.id, layer.ttl, layer.tos
    else:
        expected[IPv6].fl, expected[IPv6].hlim, expected[IPv6].tc = layer.fl, layer.hlim, layer.tc
    golden = bytes(Ether(src=frame.source, dst=peer.mac) / expected)
    assert frame.data == golden
    assert layer.src in (OURS[family], OURS_TOO[family])
    assert (sent.flags, sent.protocol, sent.vsid) == (0x2000, 0x6558, 5001)
    assert sent.dont_fragment and not sent.fragment and sent.ttl > 1
    assert sent.inner == inner
    capture = fabric.underlay.capture()
    b.send(inner)
    capture.wait(lambda f: f.nvgre and f.nvgre.packet.haslayer(UDP))
    rows = tshark_fields(
        capture.write_pcap(tmp_path / "wire.pcap"),
        ["gre.key", "gre.proto", "gre.flags_and_version", "udp.srcport"],
        "gre && udp",
    )
    assert rows and int(rows[0][0], 0) >> 8 == 5001
    assert int(rows[0][1], 0) == 0x6558 and int(rows[0][2], 0) == 0x2000 and rows[0][3] == "4000"


@pytest.mark.asan
@pytest.mark.parametrize("family", [4, 6])
def test_row20_golden_frame_received(new_fabric: MAKE, run: Run, family: int) -> None:
    """What scapy builds arrives at the guest unchanged, whatever its FlowID (row 24)."""
    _, b, peer = scene(new_fabric, run, family)
    at_b = b.capture()
    for flow_id in range(256):
        peer.send_nvgre(OURS[family], 5001, to_b(struct.pack("!I", flow_id)), flow_id)
    arrived = [f.data for f in at_b.wait(is_udp, "the decapsulated frames", 256)]
    assert arrived == [bytes(to_b(struct.pack("!I", flow_id))) for flow_id in range(256)]


def is_udp(frame: Frame) -> bool:
    """Test traffic; not what stacks say to each other beside it."""
    return frame.ethertype == 0x0800 and frame.data[23] == 17


# HNV 1.7, item by item: the named drop, and how to make such a frame
RECEIVER_DROPS: dict[str, Callable[[], Any]] = {
    "gre-version": lambda: nvgre(THEIRS[4], OURS[4], 5001, to_b(), version=1),
    "gre-no-key": lambda: IP(src=THEIRS[4], dst=OURS[4], flags="DF") / GRE(proto=0x6558) / to_b(),
    "gre-checksum": lambda: nvgre(THEIRS[4], OURS[4], 5001, to_b(), chksum_present=1),
    "gre-sequence": lambda: nvgre(THEIRS[4], OURS[4], 5001, to_b(), seqnum_present=1),
    "gre-reserved": lambda: nvgre(THEIRS[4], OURS[4], 5001, to_b(), recursion_control=1),
    "gre-protocol": lambda: nvgre(THEIRS[4], OURS[4], 5001, to_b()[IP], proto=0x0800),
    "vsid-reserved": lambda: nvgre(THEIRS[4], OURS[4], 4095, to_b()),
    "vsid-unknown": lambda: nvgre(THEIRS[4], OURS[4], 5999, to_b()),
    "inner-vlan": lambda: nvgre(
        THEIRS[4], OURS[4], 5001, Ether(src=A_MAC, dst=B_MAC) / Dot1Q(vlan=5) / to_b()[IP]
    ),
    "inner-runt": lambda: nvgre(THEIRS[4], OURS[4], 5001, bytes(to_b())[:13]),
    "outer-fragment": lambda: fragment(nvgre(THEIRS[4], OURS[4], 5001, to_b(bytes(600))), 400)[0],
    "not-local": lambda: nvgre(
        THEIRS[4], OURS[4], 5001, Ether(src=A_MAC, dst="02:00:00:00:0b:0b") / to_b()[IP]
    ),
    "src-pa-unknown": lambda: nvgre("192.0.2.99", OURS[4], 5001, to_b()),
    "outer-ip": lambda: IP(src=THEIRS[4], dst=OURS[4], flags="DF", proto=47, chksum=1)
    / bytes(nvgre(THEIRS[4], OURS[4], 5001, to_b())[IP].payload),
    "src-pa-mismatch": lambda: nvgre("192.0.2.31", OURS[4], 5001, to_b()),
}


# behind a packet socket the kernel puts fragments together before we could drop them;
# the XDP program leaves GRE that is no NVGRE to the kernel
NOT_OURS = {("outer-fragment", "af-packet"), ("gre-protocol", "af-xdp")}


def _contains(text: bytes) -> Callable[[Frame], bool]:
    return lambda frame: text in frame.data


@pytest.mark.asan
@pytest.mark.parametrize("member_type", ["af-packet", "af-xdp"])
def test_row21_receiver_drops(new_fabric: MAKE, run: Run, member_type: str) -> None:
    """Each rule of the receiver has its counter, counts exactly its frames, and nothing of them arrives."""
    fabric, b, peer = scene(new_fabric, run, start=False, member_type=member_type)
    fabric.every_config("hosts", {"id": "h3", "pas": [{"address": "192.0.2.31"}]})
    fabric.start()
    mac = peer.resolve(OURS[4])
    at_b = b.capture()
    wrong = {}
    cases = {name: make for name, make in RECEIVER_DROPS.items() if (name, member_type) not in NOT_OURS}
    for reason, make in cases.items():
        drops = fabric.hosts["h1"].watch_drops()
        peer.send(make(), mac, count=3)
        peer.send_nvgre(OURS[4], 5001, to_b(reason.encode()))
        at_b.wait(_contains(reason.encode()), f"the good frame after {reason}")
        counted = drops.since()
        if counted.pop("wire-other", 0) > 50 or counted != {reason: 3}:
            wrong[reason] = drops.since()
    assert not wrong, f"reason and what was counted instead of 3: {wrong}"
    assert len(at_b.frames(is_udp)) == len(cases)


@pytest.mark.asan
def test_row21_priority_tag_inside(new_fabric: MAKE, run: Run) -> None:
    """A drop by RFC 7637 3.2; the knob has it taken off instead, and only where the VID is 0."""
    fabric, b, peer = scene(new_fabric, run)
    host = fabric.hosts["h1"]
    mac = peer.resolve(OURS[4])
    at_b = b.capture()

    def tagged(vid: int, text: bytes) -> Any:
        inner = Ether(src=A_MAC, dst=B_MAC) / Dot1Q(vlan=vid, prio=5) / to_b(text)[IP]
        return nvgre(THEIRS[4], OURS[4], 5001, inner)

    drops = host.watch_drops()
    peer.send(tagged(0, b"too early"), mac)
    assert drops.wait("inner-vlan") == 1
    fabric.setting("nvgre", accept_inner_vid0=True)
    assert host.reload().ok
    peer.send(tagged(5, b"with a VLAN"), mac)
    peer.send(tagged(0, b"priority"), mac)
    found = at_b.wait(_contains(b"priority"), "the frame without its tag")[0]
    assert not found.packet.haslayer(Dot1Q) and found.packet[IP].dst == to_b()[IP].dst
    assert drops.since()["inner-vlan"] == 2
    assert not at_b.frames(_contains(b"too early")) and not at_b.frames(_contains(b"with a VLAN"))


@pytest.mark.asan
def test_row21_fuzzed_frames_do_no_harm(new_fabric: MAKE, run: Run) -> None:
    """Bytes turned over, frames cut: everything is counted, the next good frame arrives."""
    fabric, b, peer = scene(new_fabric, run)
    mac = peer.resolve(OURS[4])
    at_b = b.capture()
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    samples = [bytes(make()) for make in RECEIVER_DROPS.values()]
    samples += [bytes(nvgre(THEIRS[4], OURS[4], 5001, to_b(options=[IPOption_NOP()] * 4)))]
    ether = bytes(Ether(src=peer.mac, dst=mac, type=0x0800))
    for _ in range(3000):
        frame = bytearray(dice.choice(samples))
        for _ in range(dice.randint(1, 6)):
            frame[dice.randrange(20, len(frame))] = dice.randrange(256)
        if dice.random() < 0.3:
            del frame[dice.randrange(21, len(frame)) :]
        frame[10:12] = b"\0\0"
        frame[10:12] = struct.pack("!H", _ip_checksum(bytes(frame[:20])))
        peer.send_raw(ether + bytes(frame))
    peer.send_nvgre(OURS[4], 5001, to_b(b"still alive"))
    at_b.wait(lambda f: b"still alive" in f.data, "the good frame")
    assert fabric.hosts["h1"].running
    b.reaches("10.0.0.1")


def _ip_checksum(header: bytes) -> int:
    total = sum(struct.unpack("!10H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@pytest.mark.asan
def test_row22_provider_address_ownership(new_fabric: MAKE, run: Run) -> None:
    """Frames to an address that is not ours are ignored; an address taken away falls silent, with an event."""
    fabric, b, peer = scene(new_fabric, run)
    host = fabric.hosts["h1"]
    at_b, at_peer = b.capture(), peer.capture()
    mac = peer.resolve(OURS[4])
    peer.resolve(OURS_TOO[4])
    drops = host.watch_drops()
    peer.send(nvgre(THEIRS[4], "192.0.2.13", 5001, to_b()), mac)
    drops.wait("not-pa")
    b.send(udp())
    at_peer.wait(lambda f: f.nvgre and f.nvgre.packet.haslayer(UDP))
    assert {f.nvgre.outer_source for f in at_peer.frames() if f.nvgre} <= {OURS[4], OURS_TOO[4]}
    events = host.follow()
    host.config["provider-addresses"] = [
        pa for pa in host.config["provider-addresses"] if pa["address"] != OURS[4]
    ]
    assert host.reload().ok
    events.wait("pa-state", address=OURS[4])
    at_peer.clear()
    peer.netns.ip("neigh flush dev a0")
    peer.netns.sh(f"ping -c 2 -i 0.2 -W 1 {OURS[4]}", check=False)
    assert not at_peer.frames(lambda f: f.ethertype == 0x0806 and f.packet.psrc == OURS[4])
    before = len(at_b.frames())
    peer.send(nvgre(THEIRS[4], OURS[4], 5001, to_b()), mac)
    for port in range(64):
        b.send(udp(source_port=5000 + port))
    at_peer.wait(
        lambda f: f.nvgre and f.nvgre.packet.haslayer(UDP), "frames from the address that is left", 64
    )
    assert {f.nvgre.outer_source for f in at_peer.frames() if f.nvgre} == {OURS_TOO[4]}
    assert len(at_b.frames()) == before


def test_row23_provider_address_dad(new_fabric: MAKE, run: Run) -> None:
    """A new address is tentative first; one that somebody has is duplicate, not used, and told as an event. When it is
    free and asked for again it becomes good.
    """
    fabric, b, peer = scene(new_fabric, run, start=False)
    peer.netns.ip(f"addr add {OURS_TOO[4]}/24 dev a0")
    host = fabric.hosts["h1"]
    host.config["provider-addresses"] = [pa for pa in host.config["provider-addresses"] if pa["address"] == OURS[4]]
    fabric.start()
    wire = fabric.underlay.capture()
    events = host.follow()

    def add() -> list[str]:
        """States of the second address, from its making to the end of the check; sends while it is not good."""
        seen: list[str] = []
        host.ctl_text("provider-address", "add", f"address={OURS_TOO[4]}", "prefix-length=24", "member=a1")
        while not seen or seen[-1] == "tentative":
            seen.append(host.provider_address_states()[OURS_TOO[4]])
            b.send(udp(source_port=4000 + len(seen)))
        return [state for state, before in zip(seen, ["", *seen]) if state != before]

    assert add() == ["tentative", "duplicate"]
    told = events.wait("pa-state", address=OURS_TOO[4], state="duplicate")
    assert told["member"] == "a1" and peer.mac in told["text"], told
    probes = wire.frames(lambda f: f.ethertype == 0x0806 and f.packet.psrc == "0.0.0.0" and not f.nvgre)
    assert {f.packet.pdst for f in probes} == {OURS_TOO[4]} and len(probes) >= 1
    at_peer = peer.capture()
    for port in range(64):
        b.send(udp(source_port=5000 + port))
    at_peer.wait(lambda f: f.nvgre and f.nvgre.packet.haslayer(UDP), "frames", 64)
    assert {f.nvgre.outer_source for f in wire.frames() if f.nvgre} == {OURS[4]}
    peer.netns.ip(f"addr del {OURS_TOO[4]}/24 dev a0")
    host.ctl_text("provider-address", "remove", OURS_TOO[4])
    wire.clear()
    assert add() == ["tentative", "preferred"]
    events.wait("pa-state", address=OURS_TOO[4], state="preferred")
    probes = wire.frames(lambda f: f.ethertype == 0x0806 and f.packet.psrc == "0.0.0.0")
    assert len(probes) == 3 and {f.source for f in probes} == {f.packet.hwsrc for f in probes}


@pytest.mark.asan
def test_row24_flow_id(new_fabric: MAKE, run: Run) -> None:
    """Stable per inner flow, spread over at least 200 of 256 values; the knob makes it 0."""
    fabric, b, peer = scene(new_fabric, run)
    host = fabric.hosts["h1"]
    peer.resolve(OURS[4])
    at_peer = peer.capture()
    flows = 4000
    templates = [bytes(udp(source_port=1024 + flow)) for flow in range(flows)]
    for turn in range(2):
        for start in range(0, flows, 250):
            for template in templates[start : start + 250]:
                b.send(template)
            at_peer.wait(lambda f: f.nvgre, "all frames", turn * flows + start + 250, 10)
    ids: dict[int, set[int]] = {}
    for tunnelled in [f.nvgre for f in at_peer.frames() if f.nvgre]:
        if tunnelled.inner[23:24] == b"\x11":
            port = struct.unpack_from("!H", tunnelled.inner, 34)[0]
            ids.setdefault(port, set()).add(tunnelled.flow_id)
    assert len(ids) == flows
    assert all(len(values) == 1 for values in ids.values())
    assert len({value for values in ids.values() for value in values}) >= 200
    fabric.setting("nvgre", flow_id=False)
    assert host.reload().ok
    at_peer.clear()
    for template in templates[:64]:
        b.send(template)
    late = at_peer.wait(lambda f: f.nvgre and f.nvgre.packet.haslayer(UDP), "frames", 64)
    assert {f.nvgre.flow_id for f in late if f.nvgre} == {0}


@pytest.mark.parametrize("family,mtu", [(4, 1458), (6, 1438)])
def test_row25_mtu_told_and_compared(new_fabric: MAKE, run: Run, family: int, mtu: int) -> None:
    """The MTU that fits is printed; a guest that was given another one is reported."""
    fabric, _, _ = scene(new_fabric, run, family, start=False, mtu=1500)
    host = fabric.hosts["h1"]
    fabric.tap_guest("h1", "right", 5001, "10.0.0.21/24", options={"mtu": mtu})
    wrong = fabric.tap_guest("h1", "wrong", 5001, "10.0.0.22/24", options={"mtu": 1500})
    fabric.start()
    ports = host.ports()
    assert {port["host-mtu"] for port in ports.values()} == {mtu}
    assert ports["right"]["guest-mtu"] == mtu and not ports["right"].get("mtu-mismatch")
    assert ports["wrong"]["guest-mtu"] == 1500 and ports["wrong"]["mtu-mismatch"]
    assert str(mtu) in host.ctl_text("port", "show", "right").output
    events = host.follow()
    wrong.kill()
    host.wait_port("wrong", "absent")
    fabric.revive(wrong)
    events.wait("mtu-mismatch", port="wrong", guest_mtu="1500", mtu=str(mtu))


@pytest.mark.asan
def test_row26_path_mtu_discovery(new_fabric: MAKE, run: Run) -> None:
    """A packet that does not fit is answered by the gateway's ICMP with the right MTU; the guest then sends
    less.
    """
    fabric, b, _ = scene(new_fabric, run, mtu=1500)
    wire = fabric.underlay.capture()
    told = b.run("ping -n -c 2 -i 0.3 -W 1 -M do -s 1472 10.0.0.11", check=False).output
    assert re.search(r"From 10\.0\.0\.1 .*mtu = 1458", told), told
    told6 = b.run("ping -n -c 2 -i 0.3 -W 1 -M do -s 1452 fd00::11", check=False).output
    assert re.search(r"From fd00::1 .*mtu ?= ?1458", told6), told6
    assert "1458" in b.run("ip route get 10.0.0.11").output
    assert "1458" in b.run("ip route get fd00::11").output
    assert all(len(f.data) <= 1514 for f in wire.frames())


@pytest.mark.parametrize("family", [4, 6])
def test_row27_no_outer_fragments(new_fabric: MAKE, run: Run, family: int) -> None:
    """A big packet without DF is fragmented inside the tunnel, never outside; it arrives whole."""
    fabric, b, peer = scene(new_fabric, run, family, mtu=1500)
    at_peer = peer.capture()
    payload = bytes(random.Random(1).randrange(256) for _ in range(1472))
    b.send(
        Ether(src=B_MAC, dst=A_MAC)
        / IP(src="10.0.0.12", dst="10.0.0.11", id=77)
        / UDP(sport=7, dport=9, chksum=0)
        / Raw(payload)
    )

    def pieces() -> list[Frame]:
        return at_peer.frames(
            lambda f: f.nvgre and f.nvgre.packet.haslayer(IP) and f.nvgre.packet[IP].id == 77
        )

    until(lambda: any(not f.nvgre.packet[IP].flags.MF for f in pieces() if f.nvgre), "the last fragment", 2)
    assert len(pieces()) == 2 and all(len(f.data) <= 1514 for f in pieces())
    assert not any(f.nvgre.fragment for f in pieces() if f.nvgre)
    assert not at_peer.frames(lambda f: f.packet.haslayer(IPv6ExtHdrFragment))
    whole = bytearray(8 + len(payload))
    for frame in pieces():
        assert frame.nvgre
        packet = frame.nvgre.packet[IP]
        data = bytes(packet.payload)[: packet.len - packet.ihl * 4]
        whole[packet.frag * 8 : packet.frag * 8 + len(data)] = data
    assert bytes(whole[8:]) == payload
    b.reaches("10.0.0.1")


def test_guest_vlan_is_dropped(new_fabric: MAKE, run: Run) -> None:
    """A tag from a guest on a virtual subnet is a named drop; a priority tag is taken off (RFC 7637 3.3)."""
    fabric, b, peer = scene(new_fabric, run)
    peer.resolve(OURS[4])
    at_peer = peer.capture()
    drops = fabric.hosts["h1"].watch_drops()
    frame = udp()
    b.send(Ether(src=B_MAC, dst=A_MAC) / Dot1Q(vlan=9) / frame[IP])
    drops.wait("guest-vlan")
    b.send(Ether(src=B_MAC, dst=A_MAC) / Dot1Q(vlan=0, prio=5) / udp(2)[IP])
    got = at_peer.wait(lambda f: f.nvgre and f.nvgre.packet.haslayer(UDP), "the priority tagged frame")[0]
    assert got.nvgre and got.nvgre.inner == bytes(udp(2))


def test_outer_vlan(new_fabric: MAKE, run: Run) -> None:
    """The VLAN of a provider address is put on what leaves and demanded of what comes."""
    fabric, b, peer = scene(new_fabric, run, start=False)
    host = fabric.hosts["h1"]
    for pa in host.config["provider-addresses"]:
        pa["vlan"] = 77
    fabric.start()
    wire = fabric.underlay.capture()
    at_b = b.capture()
    b.send(udp())
    request = wire.wait(
        lambda f: f.vlan == 77 and f.ethertype == 0x0806 and f.packet.pdst == THEIRS[4],
        "the tagged ARP request for the remote address",
    )[0]
    ours = request.source
    pa = request.packet.psrc
    drops = host.watch_drops()
    peer.send(nvgre(THEIRS[4], pa, 5001, to_b(b"untagged")), ours)
    drops.wait("outer-vlan")
    peer.send(nvgre(THEIRS[4], pa, 5001, to_b(b"right tag")), ours, vlan=77)
    at_b.wait(lambda f: b"right tag" in f.data, "the tagged frame")
    never(lambda: at_b.frames(lambda f: b"untagged" in f.data), "the untagged frame", 0.2)


def test_corrupt_inner_checksum_is_not_made_good(new_fabric: MAKE, run: Run) -> None:
    """A guest that takes partial checksums still finds a corrupt packet corrupt."""
    _, b, peer = scene(new_fabric, run)
    b.run("ip route replace 10.0.0.11 dev eth0")
    before = _udp_errors(b)
    broken = to_b(b"x" * 20)
    broken[UDP].chksum = 0x1234
    peer.send_nvgre(OURS[4], 5001, broken, count=5)
    until(lambda: _udp_errors(b) >= before + 5, "the guest's stack sees five bad checksums")
    peer.send_nvgre(
        OURS[4], 5001, Ether(src=A_MAC, dst=B_MAC) / IP(src="10.0.0.11", dst="10.0.0.12") / ICMP()
    )


def segment(number: int, bad: bool) -> bytes:
    """Of a TCP stream from a to s; a damaged one is full of 0xbd."""
    good = (
        Ether(src=A_MAC, dst=S_MAC)
        / IP(src="10.0.0.11", dst="10.0.0.13", id=number, flags="DF")
        / TCP(sport=7, dport=9, seq=1000 * number, ack=1, flags="A", window=500)
        / Raw((b"\xbd" if bad else b"\x11") * 1000)
    )
    data = bytearray(bytes(good))
    data[-1] ^= bad
    return bytes(data)


def test_row67_through_the_merge_and_a_peer_that_ignores_pmtu(new_fabric: MAKE, run: Run, tmp_path: Path) -> None:
    """Damaged segments among good ones that are merged: no virtio header says that their checksum is right, or still to
    be made; damaged outside they do not arrive. What is longer than the MTU of a guest's buffers is lost by name, there
    alone; nobody is told by this host.
    """
    fabric, _, peer = scene(new_fabric, run, start=False, mtu=9000)
    fabric.setting("memory", mbufs=4096, mbuf_size=12288)
    host = fabric.hosts["h1"]
    fabric.subnet(5002, "tenant-b", "10.0.0.1/24")  # nobody else is in it
    fabric.record(5002, "h2", A_MAC, "10.0.0.11")
    s = fabric.place("h1", "s", 5002, "10.0.0.13/24", mac=S_MAC)
    t = fabric.place("h1", "t", 5002, "10.0.0.14/24", mac=T_MAC)
    fabric.start()
    seen = tmp_path / "vouched.pcap"
    takes = {"server": 1, "guest-csum": 1, "size": 1024, "classify": "12:2"}
    sinks = {
        "s": Peer(host.netns, "s", s.socket, {**takes, "guest-gso": 1, "pcap": seen, "pcap-vouched": 1}),
        "t": Peer(host.netns, "t", t.socket, {**takes, "mrg": 0}),
    }
    for name, sink in sinks.items():
        sink.wait("ready")
        host.wait_port(name)
    ours = peer.resolve(OURS[4])
    at_peer = peer.capture()

    def frames(inner: list[bytes]) -> list[bytes]:
        return [bytes(Ether(src=peer.mac, dst=ours) / nvgre(THEIRS[4], OURS[4], 5002, one)) for one in inner]

    stream = frames([segment(number, number % 5 == 3) for number in range(20)])
    outside = bytearray(stream[0])
    outside[ETH_HLEN + 10] ^= 0x40
    drops = host.watch_drops()
    rounds = 0

    def both_seen() -> bool:
        nonlocal rounds
        rounds += 1
        for frame in [*stream, bytes(outside)]:
            peer.send_raw(frame)
        rows = {row["name"]: int(row["packets"]) for row in host.call("Offload")["offload"]["counters"]}
        return rows["rx-checksum-bad"] > 0 and sinks["s"].stats()["sink"]["gso"] > 0

    until(both_seen, "a merge, and a damaged segment beside it", 20)
    drops.wait("outer-ip", rounds, 10)

    def figures_of(name: str) -> tuple[dict[str, int], int, int]:
        """Of a sink: all, IPv4 packets, and bytes without the switch's own ARP requests."""
        sink = sinks[name].stats()["sink"]
        kinds = sink["classes"]
        return sink, kinds.get("0800", 0), sink["bytes"] - 42 * kinds.get("0806", 0)

    def complete() -> tuple[dict[str, int], int] | None:
        sink, packets, octets = figures_of("s")
        return (sink, packets) if octets == 54 * packets + 20 * 1000 * rounds else None

    figures, packets = until(complete, "the whole stream, damaged segments too", 10)
    vouched = [bytes(frame) for frame in PcapReader(str(seen))]
    assert len(vouched) == figures["partial_csum"] > 0 and not figures["valid_csum"]
    assert not [frame for frame in vouched if b"\xbd" * 100 in frame]

    places = ((S_MAC, "10.0.0.13"), (T_MAC, "10.0.0.14"))
    datagrams = [
        bytes(Ether(src=A_MAC, dst=mac) / IP(src="10.0.0.11", dst=to) / UDP(sport=7, dport=9) / Raw(bytes(size)))
        for size in (3000, 20)
        for mac, to in places
    ]
    for frame in frames(datagrams) * 5:
        peer.send_raw(frame)
    assert drops.wait("port-mtu", 5) == 5
    until(lambda: figures_of("t")[1] == 5, "the short ones", 10)
    until(lambda: figures_of("s")[1] == packets + 10, "all of them", 10)
    assert not at_peer.frames(lambda frame: frame.nvgre or frame.packet.haslayer(ICMP))


def _udp_errors(guest: TapGuest) -> int:
    names, values = [
        line.split()[1:]
        for line in guest.run("cat /proc/net/snmp").output.splitlines()
        if line.startswith("Udp:")
    ]
    return int(values[names.index("InCsumErrors")])
