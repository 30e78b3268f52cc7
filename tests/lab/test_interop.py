# SPDX-License-Identifier: BSD-3-Clause
"""Other people's switches on the other host; frames outside network virtualization."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.l2 import ARP, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from lab.capture import Injector
from lab.fabric import Fabric
from lab.netns import Netns
from lab.ovs import OvsHost
from lab.run import Run
from lab.wait import until

MAKE = Callable[..., Fabric]


@pytest.mark.asan
def test_ovs_gre_port(new_fabric: MAKE, run: Run) -> None:
    """An OVS GRE port with key=flow on the other host exchanges traffic with our VM, TCP included."""
    fabric = new_fabric(hosts=1)
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    fabric.every_config("hosts", {"id": "ovs", "pas": [{"address": "192.0.2.21"}], "spread": "record"})
    a = fabric.tap_guest("h1", "a", 5001, "10.0.0.11/24")
    other = OvsHost(run, fabric.underlay, "ovs", "192.0.2.21/24")
    b = other.guest("b", "02:00:00:00:0b:01", 5001)
    fabric.record(5001, "ovs", b.mac, "10.0.0.12")
    fabric.start()
    wire = fabric.underlay.capture()
    other.reach(b, a.mac, "192.0.2.11")
    b.configure("10.0.0.12/24", mtu=1450)
    a.configure(mtu=1450)
    a.reaches("10.0.0.12")
    b.reaches("10.0.0.11")
    server = b.start("iperf3 -s -1")
    until(lambda: a.run("iperf3 -c 10.0.0.12 -n 5M", check=False, timeout=60).ok, "5 MB arrive", 60)
    server.wait()
    frames = wire.frames(lambda f: f.nvgre)
    assert {f.nvgre.vsid for f in frames if f.nvgre} == {5001}
    assert {f.interface for f in frames} >= {"ovsa0"} and any(f.interface.startswith("h1") for f in frames)
    # flooded frames are for it, too
    at_b = b.capture()
    a.send(Ether(src=a.mac, dst="ff:ff:ff:ff:ff:ff") / ARP(hwsrc=a.mac, psrc="10.0.0.11", pdst="10.0.0.99"))
    at_b.wait(lambda f: f.packet.haslayer(ARP) and f.packet[ARP].pdst == "10.0.0.99", "the flooded question")
    other.stop()


@pytest.mark.asan
@pytest.mark.parametrize("family", [4, 6])
def test_second_encapsulation(new_fabric: MAKE, family: int) -> None:
    """What is not in an encapsulation's own file does not depend on which it is: the two hosts over VXLAN."""
    fabric = new_fabric(family=family)
    for host in fabric.hosts.values():
        host.program = "vswitchd-vxlan"
        for other in host.config["hosts"]:
            other["encapsulation"] = "vxlan"
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    fabric.subnet(5002, "tenant-a", "10.0.1.1/24")
    a = fabric.tap_guest("h1", "a", 5001, "10.0.0.11/24")
    fabric.tap_guest("h2", "b", 5001, "10.0.0.12/24")
    fabric.tap_guest("h2", "c", 5002, "10.0.1.12/24")
    fabric.start()
    wire = fabric.underlay.capture()
    a.reaches("10.0.0.12")
    a.reaches("10.0.1.12")
    seen = a.capture()
    a.send(Ether(src=a.mac, dst="ff:ff:ff:ff:ff:ff") / ARP(hwsrc=a.mac, psrc="10.0.0.11", pdst="10.0.0.99"))
    wire.wait(lambda f: f.packet.haslayer(VXLAN) and f.packet.haslayer(ARP), "the flooded question")
    assert not seen.frames(lambda f: f.packet.haslayer(ARP) and f.packet[ARP].pdst == "10.0.0.99")
    assert not wire.frames(lambda f: f.nvgre)
    vnis = {f.packet[VXLAN].vni for f in wire.frames(lambda f: f.packet.haslayer(VXLAN))}
    assert vnis == {5001, 5002}


def test_plain_ports_are_one_segment(new_fabric: MAKE, run: Run) -> None:
    """VSID 0: plain switching on the host; toward the team only with plain-uplink, and no NVGRE either way."""
    fabric = new_fabric(hosts=1)
    a = fabric.tap_guest("h1", "a", 0, "198.51.100.11/24", mac="02:00:00:00:0a:01")
    fabric.tap_guest("h1", "b", 0, "198.51.100.12/24", mac="02:00:00:00:0a:02")
    outside = Netns(run, "out")
    fabric.underlay.attach(outside, "eth0")
    outside.ip("addr add 198.51.100.99/24 dev eth0")
    fabric.start()
    wire = fabric.underlay.capture()
    a.reaches("198.51.100.12")
    a.misses("198.51.100.99")
    a.run(f"ip neigh replace 198.51.100.99 lladdr {outside.mac('eth0')} dev eth0")
    a.misses("198.51.100.99")
    assert not wire.frames(lambda f: f.source.startswith("02:00:00:00:0a"))


def test_plain_uplink(new_fabric: MAKE, run: Run) -> None:
    """With plain-uplink a plain guest talks to a machine on the physical network, by one member."""
    fabric = new_fabric(hosts=1)
    fabric.setting("underlay", plain_uplink=True)
    a = fabric.tap_guest("h1", "a", 0, "198.51.100.11/24", mac="02:00:00:00:0a:01")
    outside = Netns(run, "out")
    fabric.underlay.attach(outside, "eth0")
    outside.ip("addr add 198.51.100.99/24 dev eth0")
    fabric.start()
    wire = fabric.underlay.capture()
    fdb = fabric.underlay.watch_fdb()
    a.reaches("198.51.100.99", count=10)
    outside.sh("ping -n -c 5 -i 0.2 -W 2 198.51.100.11")
    ours = wire.frames(lambda f: f.source == a.mac)
    assert ours and len({f.interface for f in ours}) == 1
    assert not wire.frames(lambda f: f.nvgre)
    seen = a.capture()
    outside_mac = outside.mac("eth0")
    broadcast = Ether(src=outside_mac, dst="ff:ff:ff:ff:ff:ff", type=0x88B5) / Raw(
        b"everybody".ljust(60, b".")
    )
    Injector(outside, "eth0").send(broadcast)
    seen.wait(lambda f: b"everybody" in f.data, "the broadcast")
    assert len(seen.frames(lambda f: b"everybody" in f.data)) == 1
    assert not fdb.stop()
