# SPDX-License-Identifier: BSD-3-Clause
"""The distributed router: HNV rows 1, 2, 3, 14, 15, 17, 18, 19."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from lab.capture import Capture
from lab.fabric import Fabric
from lab.frames import Frame
from lab.netns_guest import NetnsGuest
from lab.peer import TapGuest
from lab.varlink import CallError
from lab.wait import never, until

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
    fabric.subnet(5001, "tenant-a", "10.1.0.1/24", "fd00:1::1/64")
    a = fabric.tap_guest("h1", "a", 5001, "10.1.0.11/24", "fd00:1::11/64")
    gateways = []
    for number, host in ((1, "h2"), (2, "h3")):
        gateway = fabric.tap_guest(host, f"g{number}", 5001, f"10.1.0.10{number}/24", f"fd00:1::10{number}/64")
        gateways.append(gateway)
        fabric.every_config("records", {"vsid": 5001, "type": "gateway-wildcard", "mac": gateway.mac, "host": host})
    routes = [
        ("10.9.0.0/16", 1, 10),
        ("10.9.9.0/24", 2, 20),
        ("10.9.9.9/32", 1, 30),
        ("10.8.0.0/16", 1, 7),
        ("10.8.0.0/16", 2, 5),
        ("fd00:9::/32", 1, 10),
        ("fd00:9:9::/48", 2, 20),
        ("fd00:9:9::9/128", 1, 30),
        ("fd00:8::/32", 1, 7),
        ("fd00:8::/32", 2, 5),
    ]
    for prefix, number, metric in routes:
        next_hop = f"{'fd00:1::' if ':' in prefix else '10.1.0.'}10{number}"
        fabric.every_config(
            "routes",
            {"rdid": "tenant-a", "vsid": 5001, "prefix": prefix, "next-hop": next_hop, "metric": metric},
        )
    fabric.start()
    captures = [gateway.capture() for gateway in gateways]

    def goes_to(target: str) -> int:
        arrived = until(lambda: _arrived(a, captures, target), f"a packet for {target} at a gateway")
        assert len(arrived) == 1, f"{target} reached both gateways"
        return arrived.pop()

    host = fabric.hosts["h1"]
    for four, six, number in (
        ("10.9.1.1", "fd00:9:1::1", 1),
        ("10.9.9.8", "fd00:9:9::8", 2),
        ("10.9.9.9", "fd00:9:9::9", 1),
        ("10.8.0.1", "fd00:8::1", 2),
    ):
        assert (goes_to(four), goes_to(six)) == (number, number), (four, six)
    host.config["routes"] = [r for r in host.config["routes"] if r["metric"] not in (5, 30)]
    assert host.reload().ok
    assert (goes_to("10.8.0.1"), goes_to("fd00:8::1")) == (1, 1)
    assert (goes_to("10.9.9.9"), goes_to("fd00:9:9::9")) == (2, 2)


def _arrived(sender: NetnsGuest, captures: list[Capture], target: str) -> set[int]:
    """Numbers, from 1, of the captures that see an echo request for this address."""
    for capture in captures:
        capture.clear()
    sender.run(f"ping -n -c 1 -W 0.3 {target}", check=False)
    return {at for at, capture in enumerate(captures, 1) if capture.frames(lambda f: destined(f, target))}


def destined(frame: Frame, address: str) -> bool:
    """An IP packet to this address, by itself or in the tunnel."""
    packet = frame.nvgre.packet if frame.nvgre else frame.packet
    kind = IPv6 if ":" in address else IP
    return bool(packet.haslayer(kind) and packet[kind].dst == address)


@pytest.mark.asan
def test_row18_gateway_is_local_and_the_same(fabric: Fabric) -> None:
    """Each host answers ARP, ND and echo for the gateway itself, the link-local one included, with one MAC address
    everywhere; nothing about it is on the wire.
    """
    fabric.subnet(5001, "tenant-a", "10.1.0.1/24", "fd00:1::1/64", "fe80::1/64")
    fabric.subnet(5002, "tenant-a", "10.2.0.1/24", "fd00:2::1/64", "fe80::1/64")
    guests = [
        fabric.tap_guest("h1", "a", 5001, "10.1.0.11/24", "fd00:1::11/64"),
        fabric.tap_guest("h2", "b", 5001, "10.1.0.12/24", "fd00:1::12/64"),
    ]
    fabric.tap_guest("h2", "c", 5002, "10.2.0.11/24", "fd00:2::11/64")
    wire = fabric.underlay.capture()
    fabric.start()
    for guest in guests:
        guest.reaches("10.1.0.1")
        guest.reaches("fd00:1::1")
        guest.reaches("fe80::1%eth0")
    macs = {guest.neighbour(gateway) for guest in guests for gateway in ("10.1.0.1", "fd00:1::1", "fe80::1")}
    assert len(macs) == 1 and None not in macs
    for guest in guests:
        guest.run("ip -6 route replace default via fe80::1 dev eth0")
        guest.reaches("fd00:2::11")
    gateways = {"10.1.0.1", "fd00:1::1", "fe80::1", "10.2.0.1", "fd00:2::1"}
    told = [f for f in wire.frames(lambda f: f.nvgre) if addresses(f) & gateways]
    assert not told, told


def addresses(frame: Frame) -> set[str]:
    """Whom an inner frame of ARP, ND or IP is from, to and about."""
    assert frame.nvgre
    inner, found = frame.nvgre.packet, set()
    for kind, fields in (
        (ARP, ("psrc", "pdst")),
        (IP, ("src", "dst")),
        (IPv6, ("src", "dst")),
        (ICMPv6ND_NS, ("tgt",)),
        (ICMPv6ND_NA, ("tgt",)),
    ):
        if inner.haslayer(kind):
            found |= {str(getattr(inner[kind], field)) for field in fields}
    return found


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


# ---- gateways in guests ----


def gateway_scene(fabric: Fabric) -> tuple[TapGuest, TapGuest]:
    """Guest a on h1 in one subnet, guest g on h2 in another: the way out of the routing domain."""
    two_subnets(fabric)
    a = fabric.tap_guest("h1", "a", 5001, "10.1.0.11/24", "fd00:1::11/64")
    gateway = fabric.tap_guest("h2", "g", 5002, "10.2.0.2/24", "fd00:2::2/64")
    fabric.every_config(
        "records", {"vsid": 5002, "type": "gateway-wildcard", "mac": gateway.mac, "host": "h2"}
    )
    for prefix, next_hop in (("0.0.0.0/0", "10.2.0.2"), ("::/0", "fd00:2::2")):
        fabric.every_config(
            "routes",
            {"rdid": "tenant-a", "vsid": 5002, "prefix": prefix, "next-hop": next_hop, "metric": 255},
        )
    return a, gateway


def test_row1_and_2_gateway_wildcard(fabric: Fabric) -> None:
    """A default route is stored under the VSID of its next hop and serves the whole routing domain. Its packets, for
    addresses that are nobody's, are for a wildcard MAC alone.
    """
    a, gateway = gateway_scene(fabric)
    b = fabric.tap_guest("h2", "b", 5001, "10.1.0.12/24", "fd00:1::12/64")
    fabric.start()
    at_gateway, at_b = gateway.capture(), b.capture()
    wire = fabric.underlay.capture()
    for target in ("8.8.8.8", "2001:db8:8::8"):
        a.misses(target, 2)
        frame = at_gateway.wait(lambda f, t=target: destined(f, t), f"the packet for {target}")[0]
        assert frame.destination == gateway.mac
        sent = wire.frames(lambda f, t=target: destined(f, t))
        assert sent and {f.nvgre.vsid for f in sent if f.nvgre} == {5002}
    # others never get them: not even when the frame is sent to their MAC address
    host = fabric.hosts["h2"]
    drops = host.watch_drops()
    for packet in (IP(src="10.1.0.11", dst="8.8.8.8") / ICMP(), IPv6(src="fd00:1::11", dst="2001:db8:8::8")):
        a.send(Ether(src=a.mac, dst=b.mac) / packet)
    a.reaches("10.1.0.12")
    assert not at_b.frames(lambda f: destined(f, "8.8.8.8") or destined(f, "2001:db8:8::8"))
    assert drops.since().get("no-record") == 2, drops.since()
    # without its record the gateway is as others, whatever the sender's host believes
    host.config["records"] = [r for r in host.config["records"] if r.get("type") != "gateway-wildcard"]
    assert host.reload().ok
    at_gateway.clear()
    drops = host.watch_drops()
    for target in ("8.8.8.8", "2001:db8:8::8"):
        a.misses(target, 2)
    assert drops.since().get("no-record") == 4, drops.since()
    assert not at_gateway.frames(lambda f: destined(f, "8.8.8.8") or destined(f, "2001:db8:8::8"))
    a.reaches("10.2.0.2")


def test_row3_nothing_is_reflected(fabric: Fabric) -> None:
    """What the gateway sends to an address without a record, inside its subnets or outside, is dropped on its host: it
    gets nothing back and the wire sees nothing.
    """
    _, gateway = gateway_scene(fabric)
    fabric.start()
    gateway.reaches("10.1.0.11")
    gateway.reaches("fd00:1::11")
    drops = fabric.hosts["h2"].watch_drops()
    at_gateway = gateway.capture()
    wire = fabric.underlay.capture()
    router = gateway.neighbour("10.2.0.1")
    targets = ("10.1.0.99", "9.9.9.9", "fd00:1::99", "2001:db8:9::9")
    for target in targets:
        six = ":" in target
        ip = IPv6(src="2001:db8:8::8", dst=target) if six else IP(src="8.8.8.8", dst=target)
        gateway.send(Ether(src=gateway.mac, dst=router) / ip / UDP(sport=7, dport=9) / Raw(b"reflected?"), count=3)
    counted = until(
        lambda: drops.since() if sum(drops.since().get(r, 0) for r in ("no-record", "no-route")) >= 12 else None,
        "all of them are dropped by name",
    )
    assert (counted["no-record"], counted["no-route"]) == (6, 6), counted

    def strays(capture: Capture) -> list[Frame]:
        return capture.frames(lambda f: any(destined(f, target) for target in targets))

    never(
        lambda: strays(at_gateway) + strays(wire),
        "a packet that is sent back or on",
        0.3,
    )


def test_use_external_router(fabric: Fabric) -> None:
    """Between subnets packets then go to the next hop of a customer route, not straight to their owner."""
    a, gateway = gateway_scene(fabric)
    c = fabric.tap_guest("h2", "c", 5002, "10.2.0.11/24", "fd00:2::11/64")
    fabric.start()
    a.reaches("10.2.0.11")
    a.reaches("fd00:2::11")
    fabric.setting("policy", use_external_router=True)
    for host in fabric.hosts.values():
        assert host.reload().ok
    at_gateway, at_c = gateway.capture(), c.capture()
    for target in ("10.2.0.11", "fd00:2::11"):
        a.misses(target, 2)
        got = at_gateway.wait(lambda f, t=target: destined(f, t), f"the packet for {target} at the router")[0]
        assert got.destination == gateway.mac
        assert not at_c.frames(lambda f, t=target: destined(f, t))
    a.reaches("10.1.0.1")
    fabric.setting("policy", use_external_router=False)
    for host in fabric.hosts.values():
        assert host.reload().ok
    a.reaches("10.2.0.11")
