# SPDX-License-Identifier: BSD-3-Clause
"""What a host learns of its guests' addresses: HNV rows 29, 39, 43, 45 to 49, 54."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6ND_RA, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from lab.capture import Capture
from lab.fabric import Fabric
from lab.frames import Frame
from lab.peer import TapGuest
from lab.run import Run
from lab.store import Store, installed
from lab.wait import until
from lab.wire_host import WireHost

MAKE = Callable[..., Fabric]
BROADCAST = "ff:ff:ff:ff:ff:ff"
VSID = 5001
VIP = "10.0.0.50"


@pytest.fixture(name="unknown")
def _unknown(new_fabric: MAKE) -> Fabric:
    """a and a2 on h1, b on h2; policy knows their MACs only."""
    fabric = new_fabric()
    fabric.subnet(VSID, "tenant-a", "10.0.0.1/24", "fd00::1/64")
    for host, name, number in (("h1", "a", 11), ("h1", "a2", 12), ("h2", "b", 13)):
        fabric.tap_guest(host, name, VSID, f"10.0.0.{number}/24", f"fd00::{number}/64", record=False)
        fabric.record(VSID, host, fabric.guest(name).mac, type="l2only")
    fabric.start()
    return fabric


def known(fabric: Fabric, host: str, ca: str) -> dict[str, Any]:
    """The record of an address at a host, nothing if there is none."""
    return next((r for r in fabric.hosts[host].objects("lookup-record") if r.get("ca") == ca), {})


def claims(guest: TapGuest, ca: str, **fields: Any) -> Ether:
    """Gratuitous ARP."""
    arp = ARP(**{"op": 2, "hwsrc": guest.mac, "psrc": ca, "hwdst": BROADCAST, "pdst": ca, **fields})
    return Ether(src=guest.mac, dst=BROADCAST) / arp


@pytest.mark.asan
def test_row45_47_43_learned_where_the_guest_is(unknown: Fabric) -> None:
    """Addresses set by hand, v4, v6 with DAD, link-local: records of the owner's host, unsynchronized, kept over a
    restart; other hosts learn nothing (row 48). The guests reach each other all the time.
    """
    a, b = unknown.guest("a"), unknown.guest("b")
    a.reaches("10.0.0.13")
    a.reaches("fd00::13")
    link_local = next(
        word.split("/")[0] for word in a.run("ip -6 addr show dev eth0").output.split() if word.startswith("fe80::")
    )
    for ca in ("10.0.0.11", "fd00::11", link_local):
        record = until(lambda ca=ca: known(unknown, "h1", ca), f"{ca} is learned")
        assert (record["mac"], record["host"], record["origin"]) == (a.mac, "h1", "learned")
        assert record["type"] == "dynamic" and record["unsynchronized"]
    assert until(lambda: known(unknown, "h2", "10.0.0.13"), "b is learned at h2")["mac"] == b.mac
    assert not known(unknown, "h1", "10.0.0.13") and not known(unknown, "h2", "10.0.0.11")
    unknown.hosts["h1"].restart()
    assert known(unknown, "h1", "10.0.0.11")["unsynchronized"]
    unknown.hosts["h1"].config["ports"] = [p for p in unknown.hosts["h1"].config["ports"] if p["id"] != "a"]
    events = unknown.hosts["h1"].follow()
    unknown.hosts["h1"].reload()
    events.wait("customer-address", change="deleted", ca="10.0.0.11")
    assert not known(unknown, "h1", "10.0.0.11") and not known(unknown, "h1", link_local)


def test_row54_49_move_and_defence(unknown: Fabric) -> None:
    """A living owner keeps its address; a silent one loses it to who announces it, and everybody hears of it."""
    a, a2, b = (unknown.guest(name) for name in ("a", "a2", "b"))
    host = unknown.hosts["h1"]
    events = host.follow()
    a.run("ip addr add 10.0.0.50/24 dev eth0")
    a.send(claims(a, "10.0.0.50"))
    added = events.wait("customer-address", **{"change": "added", "ca": "10.0.0.50"})
    assert added["mac"] == a.mac
    a2.send(claims(a2, "10.0.0.50"))
    conflict = events.wait("customer-address", change="conflicted", ca="10.0.0.50")
    assert conflict["rival"] == a2.mac
    assert known(unknown, "h1", "10.0.0.50")["mac"] == a.mac
    a.run("ip addr del 10.0.0.50/24 dev eth0")
    a2.run("ip addr add 10.0.0.50/24 dev eth0")
    at_b = b.capture()

    def moved() -> bool:
        a2.send(claims(a2, "10.0.0.50"))
        return known(unknown, "h1", "10.0.0.50")["mac"] == a2.mac

    until(moved, "the address has moved", 20, every=0.5)
    at_b.wait(lambda f: f.packet.haslayer(ARP) and f.packet[ARP].hwsrc == a2.mac, "the news at b")
    b.reaches("10.0.0.50")
    assert b.neighbour("10.0.0.50") == a2.mac


def dhcp(op: int, kind: str, guest: TapGuest, **bootp: Any) -> Packet:
    """A DHCP message about a guest's lease."""
    fields = {"op": op, "chaddr": bytes.fromhex(guest.mac.replace(":", "")), "xid": 0x1234, **bootp}
    ports = {"sport": 68, "dport": 67} if op == 1 else {"sport": 67, "dport": 68}
    return UDP(**ports) / BOOTP(**fields) / DHCP(options=[("message-type", kind), "end"])


def test_row46_39_dhcp(unknown: Fabric) -> None:
    """A lease is learned when it passes on its way to who asked for it, not from a server nobody asked; a port with
    dhcp-guard plays no server.
    """
    a, a2, b = (unknown.guest(name) for name in ("a", "a2", "b"))
    at_a, at_b = a.capture(), b.capture()
    b.reaches("10.0.0.1")

    def lease(server: TapGuest, source: str, ca: str, xid: int = 0x1234) -> None:
        answer = IP(src=source, dst=ca) / dhcp(2, "ack", a, yiaddr=ca, xid=xid)
        server.send(Ether(src=server.mac, dst=a.mac) / answer)

    lease(b, "10.0.0.13", "10.0.0.70")
    at_a.wait(lambda f: f.packet.haslayer(DHCP), "the lease nobody asked for")
    question = IP(src="0.0.0.0", dst="255.255.255.255") / dhcp(1, "request", a)
    a.send(Ether(src=a.mac, dst=BROADCAST) / question)
    at_b.wait(lambda f: f.packet.haslayer(DHCP), "the question at the server")
    lease(b, "10.0.0.13", "10.0.0.71")
    record = until(lambda: known(unknown, "h1", "10.0.0.71"), "the lease is learned")
    assert record["mac"] == a.mac and not known(unknown, "h1", "10.0.0.70")
    host = unknown.hosts["h1"]
    next(p for p in host.config["ports"] if p["id"] == "a2").update({"dhcp-guard": True, "ra-guard": True})
    host.reload()
    drops = host.watch_drops()
    lease(a2, "10.0.0.12", "10.0.0.72")
    drops.wait("dhcp-guard")
    a2.send(Ether(src=a2.mac, dst="33:33:00:00:00:01") / IPv6(src="fe80::1", dst="ff02::1", hlim=255) / ICMPv6ND_RA())
    drops.wait("ra-guard")


def test_row29_48_forged_tunnel_frames(unknown: Fabric) -> None:
    """ARP by NVGRE from an address that is nobody's, or of a host where the MAC is not, teaches nothing, and raises an
    event with VSID, CA and PA. Hundreds of them are all counted, and not all told.
    """
    stranger = WireHost(unknown.run, unknown.underlay, "stranger", "192.0.2.99/24")
    a = unknown.guest("a")
    host = unknown.hosts["h1"]
    events = host.follow()
    lie = ARP(op=2, hwsrc="02:00:00:00:66:66", psrc="10.0.0.66", hwdst=a.mac, pdst="10.0.0.11")
    stranger.send_nvgre("192.0.2.11", VSID, Ether(src="02:00:00:00:66:66", dst=a.mac) / lie)
    event = events.wait("customer-address", change="policy-mismatch", vsid=str(VSID))
    assert (event["ca"], event["rival"], event["reason"]) == ("10.0.0.66", "192.0.2.99", "src-pa-unknown")
    assert not known(unknown, "h1", "10.0.0.66")
    a2 = unknown.guest("a2")
    drops = host.watch_drops()
    lie = ARP(op=2, hwsrc=a2.mac, psrc="10.0.0.67", hwdst=a.mac, pdst="10.0.0.11")
    forged = Ether(src=a2.mac, dst=a.mac) / lie
    stranger.send_nvgre("192.0.2.11", VSID, forged, source="192.0.2.21", count=300)
    drops.wait("src-pa-mismatch", 300)
    event = events.wait("customer-address", change="policy-mismatch", ca="10.0.0.67")
    assert (event["vsid"], event["rival"], event["reason"]) == (str(VSID), "192.0.2.21", "src-pa-mismatch")
    assert len(events.seen("customer-address", ca="10.0.0.67")) < 150
    assert not known(unknown, "h1", "10.0.0.67")


def test_row43_unusable_without_provider_address(new_fabric: MAKE) -> None:
    """A record is unusable as long as its host has no provider address, as one that is nowhere here; a packet to it is
    a drop of that name.
    """
    fabric = new_fabric(hosts=1, nics=1)
    fabric.subnet(VSID, "tenant-a", "10.0.0.1/24")
    a = fabric.tap_guest("h1", "a", VSID, "10.0.0.11/24")
    fabric.record(VSID, "h9", "02:00:00:00:09:09", "10.0.0.99")
    fabric.record(VSID, "h1", "02:00:00:00:09:08", "10.0.0.98")
    fabric.start()
    host = fabric.hosts["h1"]

    def unusable() -> set[str]:
        by_list = {r["ca"] for r in host.objects("lookup-record") if r["unusable"]}
        for ca in ("10.0.0.11", "10.0.0.98", "10.0.0.99"):
            got = host.call("Get", kind="lookup-record", key={"vsid": VSID, "ca": ca})["object"]
            assert got["unusable"] == (ca in by_list), ca
        return by_list

    assert unusable() == {"10.0.0.98", "10.0.0.99"}
    drops = host.watch_drops()
    a.send(Ether(src=a.mac, dst="02:00:00:00:09:09") / IP(src="10.0.0.11", dst="10.0.0.99") / ICMP())
    drops.wait("record-unusable")
    host.call("Set", kind="host", object={"id": "h9", "pas": [{"address": "192.0.2.91"}]})
    assert unusable() == {"10.0.0.98"}
    host.call("Remove", kind="host", key={"id": "h9"})
    assert unusable() == {"10.0.0.98", "10.0.0.99"}


def arrivals(capture: Capture, ca: str, since: float) -> list[Frame]:
    """Echo requests to an address, delivered later than that."""
    return capture.frames(
        lambda f: f.when > since and f.ethertype == 0x0800 and f.packet.haslayer(ICMP) and f.packet[IP].dst == ca
    )


@pytest.mark.skipif(not installed(), reason="etcd is not installed")
def test_row54_48_43_cluster_address_between_hosts(new_fabric: MAKE, run: Run) -> None:
    """A cluster's address fails over from h1 to h2 and back, the way VRRP does it: its owner loses it, the other one
    announces it once. A client's flow follows, and every host hears of it from central policy alone, which confirms
    what it has (row 43).
    """
    store = Store(run)
    store.start_all()
    fabric = new_fabric()
    fabric.subnet(VSID, "tenant-a", "10.0.0.1/24")
    for host, name, number in (("h1", "a", 11), ("h2", "b", 12), ("h1", "c", 13)):
        fabric.tap_guest(host, name, VSID, f"10.0.0.{number}/24", record=False)
        fabric.record(VSID, host, fabric.guest(name).mac, type="l2only")
    config = fabric.hosts["h1"].config
    policy = {"subnets": list(config["subnets"]), "records": list(config["records"])}
    for each in fabric.hosts.values():
        store.use(each)
    manager = store.manager("m1")
    manager.start()
    manager.wait_elected()
    manager.apply(policy)
    fabric.start()
    a, b, c = (fabric.guest(name) for name in "abc")
    captures = {guest.name: guest.capture() for guest in (a, b)}

    def settled(guest: TapGuest, owner: str) -> bool:
        found = [known(fabric, host, VIP) for host in fabric.hosts]
        return all(
            r and r["mac"] == guest.mac and r["host"] == owner and r["origin"] == "manager" and not r["unsynchronized"]
            for r in found
        )

    def take(guest: TapGuest) -> float:
        guest.run(f"ip addr add {VIP}/32 dev eth0")
        when = time.monotonic()
        guest.send(claims(guest, VIP))
        return when

    take(a)
    until(lambda: settled(a, "h1"), "both hosts have a's record from central policy", 20.0)
    c.reaches(VIP)
    ping = c.start(f"exec ping -q -i 0.01 {VIP}")
    for old, new, owner in ((a, b, "h2"), (b, a, "h1")):
        old.run(f"ip addr del {VIP}/32 dev eth0")
        events = fabric.hosts[owner].follow()
        when = take(new)
        first = until(lambda new=new, when=when: arrivals(captures[new.name], VIP, when), "the flow follows", 10.0)[0]
        print(f"{old.name} to {new.name}: the flow follows after {(first.when - when) * 1000:.1f} ms")
        events.wait("customer-address", change="moved", ca=VIP)
        until(lambda new=new, owner=owner: settled(new, owner), "both hosts have the new record", 20.0)
        assert c.neighbour(VIP) == new.mac
    assert ping.stop().ok
    manager.stop()
