# SPDX-License-Identifier: BSD-3-Clause
"""Tenants do not meet: HNV rows 11, 12, 13, 16."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Ether

from lab.fabric import Fabric
from lab.frames import Frame
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
    """Plain ports of two hosts do not meet; the VSID alone puts them on a virtual subnet."""
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    a = fabric.tap_guest("h1", "a", 0, "10.0.0.11/24", mac=A_MAC)
    b = fabric.tap_guest("h2", "b", 0, "10.0.0.12/24", mac=B_MAC)
    fabric.record(5001, "h1", A_MAC, "10.0.0.11")
    fabric.record(5001, "h2", B_MAC, "10.0.0.12")
    fabric.start()
    wire = fabric.underlay.capture()
    a.misses("10.0.0.12")
    assert not wire.frames(is_nvgre)
    assert not wire.frames(lambda f: f.source in (A_MAC, B_MAC))
    for host in fabric.hosts.values():
        host.config["ports"][0]["vsid"] = 5001
        result = host.reload()
        assert result.ok, result.output
    a.flush_neighbours()
    a.reaches("10.0.0.12")
    b.reaches("10.0.0.11")
    assert {f.nvgre.vsid for f in wire.frames(is_nvgre) if f.nvgre} == {5001}


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
    a1 = fabric.tap_guest("h1", "a1", 5001, "10.0.0.11/24", mac=A_MAC)
    a2 = fabric.tap_guest("h1", "a2", 5001, "10.0.0.12/24", mac=B_MAC)
    x1 = fabric.tap_guest("h1", "x1", 6001, "10.0.0.11/24", mac=A_MAC)
    x2 = fabric.tap_guest("h1", "x2", 6001, "10.0.0.12/24", mac=B_MAC)
    fabric.start()
    for guest in (a1, x1):
        guest.reaches("10.0.0.12")
    # from here on only tenant A speaks: whatever arrives at X came from A
    for guest in (x1, x2):
        guest.silence()
    others = [x1.capture(), x2.capture()]
    a1.flush_neighbours()
    a1.reaches("10.0.0.12")
    for destination in ("ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:05", B_MAC, "02:00:00:00:ee:ee"):
        a1.send(Ether(src=A_MAC, dst=destination) / IP(src="10.0.0.11", dst="10.0.0.12") / ICMP())
    a1.send(Ether(src=A_MAC, dst="ff:ff:ff:ff:ff:ff") / ARP(psrc="10.0.0.11", pdst="10.0.0.99", hwsrc=A_MAC))
    a1.reaches("10.0.0.12")
    never(
        lambda: [frame for capture in others for frame in capture.frames()],
        "a frame of tenant A at tenant X",
        0.5,
    )


def test_row16_rdid_wall(new_fabric: MAKE) -> None:
    """Two routing domains on one host, each with routes: no way from one to the other."""
    fabric = new_fabric(hosts=1)
    fabric.subnet(5001, "tenant-a", "10.1.0.1/24")
    fabric.subnet(5002, "tenant-a", "10.2.0.1/24")
    fabric.subnet(6001, "tenant-x", "10.3.0.1/24")
    a = fabric.tap_guest("h1", "a", 5001, "10.1.0.11/24")
    c = fabric.tap_guest("h1", "c", 5002, "10.2.0.11/24")
    x = fabric.tap_guest("h1", "x", 6001, "10.3.0.11/24")
    fabric.start()
    a.reaches("10.2.0.11")
    c.reaches("10.1.0.11")
    seen = x.capture()
    drops = fabric.hosts["h1"].watch_drops()
    a.misses("10.3.0.11")
    x.misses("10.1.0.11")
    counted = drops.since()
    assert counted.get("rdid", 0) + counted.get("no-route", 0) >= 6, counted
    assert not seen.frames(lambda f: f.packet.haslayer(ICMP) and f.packet[IP].src == "10.1.0.11")
