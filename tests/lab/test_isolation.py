# SPDX-License-Identifier: BSD-3-Clause
"""Tenants do not meet: HNV rows 11, 12, 13, 16."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import ARP, Ether

from lab.fabric import Fabric
from lab.frames import Frame
from lab.peer import TapGuest
from lab.run import Run
from lab.varlink import CallError
from lab.wait import never
from lab.wire_host import WireHost

MAKE = Callable[..., Fabric]
A_MAC, B_MAC = "02:00:00:00:0a:01", "02:00:00:00:0a:02"


def is_nvgre(frame: Frame) -> bool:
    return frame.nvgre is not None


@pytest.mark.asan
def test_row11_vsid_is_all_it_takes(fabric: Fabric) -> None:
    """Plain ports of two hosts do not meet; the VSID alone puts them on a virtual subnet, and taking it away ends it.

    On one host by vswitchctl, on the other by the configuration.
    """
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    b = fabric.tap_guest("h2", "b", 0, "10.0.0.12/24", mac=B_MAC)
    fabric.record(5001, "h1", A_MAC, "10.0.0.11")
    fabric.record(5001, "h2", B_MAC, "10.0.0.12")
    fabric.start()
    h1, h2 = fabric.hosts["h1"], fabric.hosts["h2"]
    h1.ctl_text("port", "add", "id=a", "vsid=0", f"macs=[{A_MAC}]")
    a = TapGuest(h1.netns, "a", h1.sockets / "a.sock", A_MAC)
    a.power_on()
    a.wait_ready()
    h1.wait_port("a")
    a.configure("10.0.0.11/24")
    wire = fabric.underlay.capture()

    def toggle(vsid: int) -> None:
        h1.ctl_text("port", "add", "id=a", f"vsid={vsid}", f"macs=[{A_MAC}]")
        h2.config["ports"][0]["vsid"] = vsid
        assert h2.reload().ok
        for guest in (a, b):
            guest.flush_neighbours()
        wire.clear()

    a.misses("10.0.0.12", 2)
    for _ in range(2):
        assert not wire.frames(is_nvgre)
        assert not wire.frames(lambda f: f.source in (A_MAC, B_MAC))
        toggle(5001)
        a.reaches("10.0.0.12")
        b.reaches("10.0.0.11")
        assert {f.nvgre.vsid for f in wire.frames(is_nvgre) if f.nvgre} == {5001}
        toggle(0)
        a.misses("10.0.0.12", 2)
    a.stop()


@pytest.mark.parametrize("vsid", [1, 4095, 16777215, 16777216])
def test_row12_reserved_vsid_is_refused(fabric: Fabric, vsid: int) -> None:
    """By the control socket and by the configuration check, with the range that is allowed."""
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    fabric.start()
    host = fabric.hosts["h1"]
    with pytest.raises(CallError) as refused:
        host.call("Set", kind="virtual-subnet", object={"vsid": vsid, "rdid": "x"})
    assert refused.value.name == "InvalidParameter"
    assert "4096" in refused.value.text and "16777214" in refused.value.text
    host.config["subnets"].append({"vsid": vsid, "rdid": "x"})
    check = host.check()
    assert check.status == 1
    assert str(vsid) in check.output and "4096" in check.output and "16777214" in check.output


def test_row12_reserved_vsid_on_the_wire(new_fabric: MAKE, run: Run) -> None:
    """Forged frames with reserved or unknown VSIDs are counted drops."""
    fabric = new_fabric(hosts=1)
    forger = WireHost(run, fabric.underlay, "h2", "192.0.2.21/24")
    fabric.every_config("hosts", {"id": "h2", "pas": [{"address": "192.0.2.21"}]})
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    b = fabric.tap_guest("h1", "b", 5001, "10.0.0.12/24", mac=B_MAC)
    fabric.record(5001, "h2", A_MAC, "10.0.0.11")
    fabric.start()
    drops = fabric.hosts["h1"].watch_drops()
    seen = b.capture()
    inner = Ether(src=A_MAC, dst=B_MAC) / IP(src="10.0.0.11", dst="10.0.0.12") / ICMP()
    for vsid in (0, 1, 4095, 16777215):
        forger.send_nvgre("192.0.2.11", vsid, inner)
    drops.wait("vsid-reserved", 4)
    forger.send_nvgre("192.0.2.11", 5002, inner)
    drops.wait("vsid-unknown", 1)
    assert not seen.frames(lambda f: f.source == A_MAC)
    forger.send_nvgre("192.0.2.11", 5001, inner)
    seen.wait(lambda f: f.source == A_MAC, "the frame with the right VSID")


@pytest.mark.asan
def test_row13_intra_host_isolation(new_fabric: MAKE) -> None:
    """Two tenants on one host with the same MAC and IP addresses: neither sees a frame of the other."""
    fabric = new_fabric(hosts=1)
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    fabric.subnet(6001, "tenant-x", "10.0.0.1/24")
    a1 = fabric.tap_guest("h1", "a1", 5001, "10.0.0.11/24", "fd00::11/64", mac=A_MAC)
    fabric.tap_guest("h1", "a2", 5001, "10.0.0.12/24", "fd00::12/64", mac=B_MAC)
    x1 = fabric.tap_guest("h1", "x1", 6001, "10.0.0.11/24", "fd00::11/64", mac=A_MAC)
    x2 = fabric.tap_guest("h1", "x2", 6001, "10.0.0.12/24", "fd00::12/64", mac=B_MAC)
    fabric.start()
    for guest in (a1, x1):
        guest.reaches("10.0.0.12")
        guest.reaches("fd00::12")
    # from here on only tenant A speaks: whatever arrives at X came from A
    for guest in (x1, x2):
        guest.silence()
    others = [x1.capture(), x2.capture()]
    a1.flush_neighbours()
    a1.reaches("10.0.0.12")
    a1.reaches("fd00::12")
    for destination in ("ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:05", "33:33:00:00:00:01", B_MAC, "02:00:00:00:ee:ee"):
        a1.send(Ether(src=A_MAC, dst=destination) / IP(src="10.0.0.11", dst="10.0.0.12") / ICMP())
        a1.send(Ether(src=A_MAC, dst=destination) / IPv6(src="fd00::11", dst="fd00::12") / ICMPv6EchoRequest())
    for address in ("10.0.0.12", "10.0.0.99"):
        a1.send(Ether(src=A_MAC, dst="ff:ff:ff:ff:ff:ff") / ARP(psrc="10.0.0.11", pdst=address, hwsrc=A_MAC))
    for target in ("fd00::12", "fd00::99"):
        group = f"ff02::1:ff00:{target[-2:]}"
        ask = IPv6(src="fd00::11", dst=group, hlim=255) / ICMPv6ND_NS(tgt=target) / ICMPv6NDOptSrcLLAddr(lladdr=A_MAC)
        a1.send(Ether(src=A_MAC, dst=f"33:33:ff:00:00:{target[-2:]}") / ask)
    tell = IPv6(src="fd00::11", dst="ff02::1", hlim=255) / ICMPv6ND_NA(tgt="fd00::11", R=0, S=0, O=1)
    a1.send(Ether(src=A_MAC, dst="33:33:00:00:00:01") / tell / ICMPv6NDOptDstLLAddr(lladdr=A_MAC))
    a1.reaches("fd00::12")
    never(
        lambda: [frame for capture in others for frame in capture.frames()],
        "a frame of tenant A at tenant X",
        0.5,
    )


def test_row16_rdid_wall(new_fabric: MAKE) -> None:
    """Two routing domains on one host, each with customer routes: no way from one to the other, counted as such."""
    fabric = new_fabric(hosts=1)
    fabric.subnet(5001, "tenant-a", "10.1.0.1/24", "fd00:1::1/64")
    fabric.subnet(5002, "tenant-a", "10.2.0.1/24", "fd00:2::1/64")
    fabric.subnet(6001, "tenant-x", "10.3.0.1/24", "fd00:3::1/64")
    a = fabric.tap_guest("h1", "a", 5001, "10.1.0.11/24", "fd00:1::11/64")
    c = fabric.tap_guest("h1", "c", 5002, "10.2.0.11/24", "fd00:2::11/64")
    x = fabric.tap_guest("h1", "x", 6001, "10.3.0.11/24", "fd00:3::11/64")
    # both domains have a route to 10.50/16, each to a gateway of its own; one to 10.60/16 has only the other
    for rdid, vsid, guest, prefix in (
        ("tenant-a", 5002, c, "10.50.0.0/16"),
        ("tenant-a", 5002, c, "fd00:50::/48"),
        ("tenant-x", 6001, x, "10.50.0.0/16"),
        ("tenant-x", 6001, x, "fd00:50::/48"),
        ("tenant-x", 6001, x, "10.60.0.0/16"),
        ("tenant-x", 6001, x, "fd00:60::/48"),
    ):
        own = {5002: ("10.2.0.11", "fd00:2::11"), 6001: ("10.3.0.11", "fd00:3::11")}[vsid]
        next_hop = own[1] if ":" in prefix else own[0]
        fabric.every_config("routes", {"rdid": rdid, "vsid": vsid, "prefix": prefix, "next-hop": next_hop})
        wildcard = {"vsid": vsid, "type": "gateway-wildcard", "mac": guest.mac, "host": "h1"}
        if wildcard not in fabric.hosts["h1"].config["records"]:
            fabric.every_config("records", wildcard)
    fabric.start()
    a.reaches("10.2.0.11")
    a.reaches("fd00:2::11")
    c.reaches("10.1.0.11")
    at_c, at_x = c.capture(), x.capture()
    drops = fabric.hosts["h1"].watch_drops()
    for target in ("10.50.0.5", "fd00:50::5"):
        a.misses(target, 2)
        at_c.wait(lambda f, t=target: to(f, t), f"the packet for {target} at its own domain's gateway")
    assert "rdid" not in drops.since()
    for guest, target in ((a, "10.3.0.11"), (a, "fd00:3::11"), (a, "10.60.0.5"), (a, "fd00:60::5"), (x, "10.1.0.11")):
        before = drops.since().get("rdid", 0)
        guest.misses(target, 2)
        assert drops.since().get("rdid", 0) - before == 2, (target, drops.since())
    x.misses("fd00:1::11", 2)
    assert drops.since()["rdid"] == 12 and "no-route" not in drops.since(), drops.since()
    assert not at_x.frames(lambda f: f.packet.haslayer(IP) and f.packet[IP].src == "10.1.0.11")
    assert not at_x.frames(lambda f: f.packet.haslayer(IPv6) and f.packet[IPv6].src == "fd00:1::11")


def to(frame: Frame, address: str) -> bool:
    """An IP packet to this address."""
    kind = IPv6 if ":" in address else IP
    return bool(frame.packet.haslayer(kind) and frame.packet[kind].dst == address)
