# SPDX-License-Identifier: BSD-3-Clause
"""The distributed router: HNV rows 2, 14, 15, 17, 18, 19."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP

from lab.fabric import Fabric
from lab.frames import Frame
from lab.netns_guest import NetnsGuest
from lab.varlink import CallError

MAKE = Callable[..., Fabric]


def two_subnets(fabric: Fabric) -> None:
    fabric.subnet(5001, "tenant-a", "10.1.0.1/24", "fd00:1::1/64")
    fabric.subnet(5002, "tenant-a", "10.2.0.1/24", "fd00:2::1/64")


@pytest.mark.asan
def test_row14_on_host_routing(new_fabric: MAKE) -> None:
    """Between two subnets of one routing domain on one host: nothing on the wire."""
    fabric = new_fabric(hosts=1)
    two_subnets(fabric)
    a = fabric.tap_guest("h1", "a", 5001, "10.1.0.11/24", "fd00:1::11/64")
    c = fabric.tap_guest("h1", "c", 5002, "10.2.0.11/24", "fd00:2::11/64")
    fabric.start()
    wire = fabric.underlay.capture()
    a.reaches("10.2.0.11")
    a.reaches("fd00:2::11")
    c.reaches("10.1.0.11")
    assert not wire.frames(lambda f: f.nvgre)


@pytest.mark.asan
@pytest.mark.parametrize("family", [4, 6])
def test_row15_cross_host_routing(new_fabric: MAKE, family: int) -> None:
    """The key carries the destination's VSID; one encapsulation, straight to its host, one hop of TTL."""
    fabric = new_fabric(family=family)
    two_subnets(fabric)
    a = fabric.tap_guest("h1", "a", 5001, "10.1.0.11/24", "fd00:1::11/64")
    c = fabric.tap_guest("h2", "c", 5002, "10.2.0.11/24", "fd00:2::11/64")
    fabric.start()
    seen = c.capture()
    wire = fabric.underlay.capture()
    a.reaches("10.2.0.11")
    a.reaches("fd00:2::11")
    there = [f.nvgre for f in wire.frames(lambda f: f.nvgre and f.interface.startswith("h1")) if f.nvgre]
    back = [f.nvgre for f in wire.frames(lambda f: f.nvgre and f.interface.startswith("h2")) if f.nvgre]
    assert {n.vsid for n in there} == {5002}
    assert {n.vsid for n in back} == {5001}
    assert all(n.inner[0:6] == bytes.fromhex(c.mac.replace(":", "")) for n in there)
    gateway = {n.inner[6:12].hex(":") for n in there}
    assert len(gateway) == 1 and a.mac not in gateway
    pings = [f.packet[IP] for f in seen.frames(lambda f: f.packet.haslayer(ICMP))]
    assert pings and {p.ttl for p in pings} == {63}


def test_row17_longest_prefix_then_metric(new_fabric: MAKE) -> None:
    """A longer prefix wins, of equal ones the lower metric; removing the better one leaves the other."""
    fabric = new_fabric(hosts=3)
    fabric.subnet(5001, "tenant-a", "10.1.0.1/24")
    a = fabric.tap_guest("h1", "a", 5001, "10.1.0.11/24")
    gateways = [
        fabric.tap_guest(host, name, 5001, f"{ca}/24")
        for host, name, ca in (("h2", "g1", "10.1.0.101"), ("h3", "g2", "10.1.0.102"))
    ]
    for gateway in gateways:
        fabric.every_config(
            "records",
            {
                "vsid": 5001,
                "type": "gateway-wildcard",
                "mac": gateway.mac,
                "host": "h2" if gateway is gateways[0] else "h3",
            },
        )
    routes = [
        ("10.9.0.0/16", "10.1.0.101", 10),
        ("10.9.9.0/24", "10.1.0.102", 20),
        ("10.8.0.0/16", "10.1.0.101", 7),
        ("10.8.0.0/16", "10.1.0.102", 5),
    ]
    for prefix, next_hop, metric in routes:
        fabric.every_config(
            "routes",
            {"rdid": "tenant-a", "vsid": 5001, "prefix": prefix, "next-hop": next_hop, "metric": metric},
        )
    fabric.start()

    def goes_to(target: str) -> NetnsGuest:
        captures = [gateway.capture() for gateway in gateways]

        def wanted(frame: Frame) -> bool:
            return frame.ethertype == 0x0800 and frame.packet[IP].dst == target

        a.run(f"ping -n -c 3 -i 0.2 -W 1 {target}", check=False)
        arrived = [
            gateway for gateway, capture in zip(gateways, captures) if any(map(wanted, capture.stop()))
        ]
        assert len(arrived) == 1, f"{target} reached {[gateway.name for gateway in arrived]}"
        return arrived[0]

    assert goes_to("10.9.1.1") is gateways[0]
    assert goes_to("10.9.9.9") is gateways[1]
    assert goes_to("10.8.0.1") is gateways[1]
    host = fabric.hosts["h1"]
    host.config["routes"] = [r for r in host.config["routes"] if r["metric"] != 5]
    assert host.reload().ok
    assert goes_to("10.8.0.1") is gateways[0]


@pytest.mark.asan
def test_row18_gateway_is_local_and_the_same(fabric: Fabric) -> None:
    """Each host answers ARP, ND and echo for the gateway itself, with one MAC address everywhere."""
    two_subnets(fabric)
    guests = [
        fabric.tap_guest("h1", "a", 5001, "10.1.0.11/24", "fd00:1::11/64"),
        fabric.tap_guest("h2", "b", 5001, "10.1.0.12/24", "fd00:1::12/64"),
    ]
    fabric.start()
    wire = fabric.underlay.capture()
    for guest in guests:
        guest.reaches("10.1.0.1")
        guest.reaches("fd00:1::1")
    four = {guest.neighbour("10.1.0.1") for guest in guests}
    six = {guest.neighbour("fd00:1::1") for guest in guests}
    assert len(four) == 1 and four == six and None not in four
    asked = wire.frames(
        lambda f: f.nvgre
        and (
            (f.nvgre.packet.haslayer(ARP) and f.nvgre.packet[ARP].pdst == "10.1.0.1")
            or (f.nvgre.packet.haslayer(IP) and f.nvgre.packet[IP].dst == "10.1.0.1")
        )
    )
    assert not asked


@pytest.mark.parametrize("ca", ["10.1.0.1", "fd00:1::1"])
def test_row19_gateway_address_is_reserved(fabric: Fabric, ca: str) -> None:
    """No guest's record may carry it, neither at run time nor in the file."""
    two_subnets(fabric)
    fabric.start()
    host = fabric.hosts["h1"]
    record = {"vsid": 5001, "ca": ca, "mac": "02:00:00:00:00:99", "host": "h1"}
    with pytest.raises(CallError) as refused:
        host.call("Set", kind="lookup-record", object=record)
    assert ca in refused.value.text and "gateway" in refused.value.text
    host.config["records"].append(record)
    check = host.check()
    assert check.status == 1
    assert ca in check.output and "gateway" in check.output


def test_ttl_runs_out_at_the_router(fabric: Fabric) -> None:
    """The gateway says so; within a subnet the TTL stays."""
    two_subnets(fabric)
    a = fabric.tap_guest("h1", "a", 5001, "10.1.0.11/24", "fd00:1::11/64")
    b = fabric.tap_guest("h2", "b", 5001, "10.1.0.12/24", "fd00:1::12/64")
    fabric.tap_guest("h2", "c", 5002, "10.2.0.11/24", "fd00:2::11/64")
    fabric.start()
    seen = b.capture()
    a.reaches("10.1.0.12", options="-t 1")
    assert {f.packet[IP].ttl for f in seen.frames(lambda f: f.packet.haslayer(ICMP))} == {1}
    told = a.run("ping -n -c 1 -W 2 -t 1 10.2.0.11", check=False).output
    assert "10.1.0.1" in told and "Time to live exceeded" in told
    told6 = a.run("ping -n -c 1 -W 2 -t 1 fd00:2::11", check=False).output
    assert "fd00:1::1" in told6 and "Hop limit" in told6


def test_row2_gateway_route_carries_the_next_hops_vsid(fabric: Fabric) -> None:
    """A default route is stored under the VSID of its next hop and serves the whole routing domain."""
    two_subnets(fabric)
    a = fabric.tap_guest("h1", "a", 5001, "10.1.0.11/24")
    gateway = fabric.tap_guest("h2", "g", 5002, "10.2.0.2/24")
    fabric.every_config(
        "records", {"vsid": 5002, "type": "gateway-wildcard", "mac": gateway.mac, "host": "h2"}
    )
    fabric.every_config(
        "routes",
        {"rdid": "tenant-a", "vsid": 5002, "prefix": "0.0.0.0/0", "next-hop": "10.2.0.2", "metric": 255},
    )
    fabric.start()
    seen = gateway.capture()
    wire = fabric.underlay.capture()
    a.run("ping -n -c 2 -i 0.2 -W 1 8.8.8.8", check=False)
    frame = seen.wait(
        lambda f: f.packet.haslayer(ICMP) and f.packet[IP].dst == "8.8.8.8", "the packet for outside"
    )[0]
    assert frame.destination == gateway.mac
    assert {f.nvgre.vsid for f in wire.frames(lambda f: f.nvgre) if f.nvgre} == {5002}
