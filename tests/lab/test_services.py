# SPDX-License-Identifier: BSD-3-Clause
"""Servers that are guests, and real: a cluster's address by VRRP, DHCP, routers. HNV rows 39, 46, 47, 54."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6ND_RA, IPv6
from scapy.layers.l2 import ARP

from lab.capture import Capture
from lab.fabric import Fabric
from lab.frames import Frame
from lab.host import Host
from lab.peer import TapGuest
from lab.run import Run
from lab.services import Dhclient, dnsmasq, keepalived, lacks, radvd
from lab.store import Manager, Store, installed
from lab.wait import until

MAKE = Callable[..., Fabric]
VSID = 5001
SLAAC = re.compile(r"inet6 (\S+)/64 scope global dynamic")
VIP, VIP6 = "10.0.0.50", "fd00::50"


def record(host: Host, ca: str) -> dict[str, Any]:
    """What a host knows of an address, nothing if that is nothing."""
    return next((r for r in host.objects("lookup-record") if r.get("ca") == ca), {})


def central(fabric: Fabric, run: Run) -> Manager:
    """The policy in the hosts' files becomes that of a store, which has a manager; they start."""
    store = Store(run)
    store.start_all()
    config = fabric.hosts["h1"].config
    policy = {"subnets": list(config["subnets"]), "records": list(config["records"])}
    for host in fabric.hosts.values():
        store.use(host)
    manager = store.manager("m1")
    manager.start()
    manager.wait_elected()
    manager.apply(policy)
    fabric.start()
    return manager


def everywhere(fabric: Fabric, ca: str, guest: TapGuest, owner: str) -> bool:
    """All hosts have an address as that guest's, from central policy."""
    found = [record(host, ca) for host in fabric.hosts.values()]
    return all(
        r and (r["mac"], r["host"], r["origin"], r["unsynchronized"]) == (guest.mac, owner, "manager", False)
        for r in found
    )


def vrrp(frame: Frame) -> bool:
    packet = frame.packet
    return bool(packet.haslayer(IP) and packet[IP].proto == 112 or packet.haslayer(IPv6) and packet[IPv6].nh == 112)


def announced(capture: Capture, ca: str, since: float) -> list[Frame]:
    """Gratuitous ARP for the address that left the guest."""
    return capture.frames(
        lambda f: f.outgoing and f.when > since and f.packet.haslayer(ARP) and f.packet[ARP].psrc == ca
    )


def echoes(capture: Capture, ca: str, since: float) -> list[Frame]:
    """Echo requests to an address that came to the guest later than that."""
    return capture.frames(
        lambda f: not f.outgoing and f.when > since and f.packet.haslayer(ICMP) and f.packet[IP].dst == ca
    )


@pytest.mark.skipif(bool(lacks("keepalived")) or not installed(), reason="keepalived or etcd is not installed")
def test_row54_keepalived_moves_a_clusters_address(new_fabric: MAKE, run: Run) -> None:
    """keepalived in a guest at each of two hosts: the one at h2 hears the other's advertisements (VRRP for v4 and v6,
    multicast) and stays quiet. The master is killed; the next one loses its machine: a client's flow follows each time,
    and all hosts know from central policy.
    """
    fabric = new_fabric(nics=1)
    fabric.subnet(VSID, "tenant-a", "10.0.0.1/24", "fd00::1/64")
    for host, name, number in (("h1", "a", 11), ("h2", "b", 12), ("h1", "c", 13)):
        fabric.tap_guest(host, name, VSID, f"10.0.0.{number}/24", f"fd00::{number}/64", record=False)
        fabric.record(VSID, host, fabric.guest(name).mac, type="l2only")
    manager = central(fabric, run)
    a, b, c = (fabric.guest(name) for name in "abc")
    captures = {guest.name: guest.capture(outgoing=True) for guest in (a, b)}

    def settled(guest: TapGuest, owner: str) -> None:
        for ca in (VIP, VIP6):
            until(lambda ca=ca: everywhere(fabric, ca, guest, owner), f"all know {ca} at {guest.name}", 20.0)

    cluster = ("fe80::50/64", f"{VIP6}/128", f"{VIP}/32")
    first = keepalived(a, 150, *cluster)
    settled(a, "h1")
    keepalived(b, 100, *cluster)
    for version in (0x0800, 0x86DD):

        def quiet(version: int = version) -> bool:
            heard = captures["b"].frames(lambda f: f.ethertype == version and vrrp(f))
            return bool(heard) and not heard[-1].outgoing

        until(quiet, "b hears a, and says nothing itself")
    c.reaches(VIP)
    ping = c.start(f"exec ping -q -i 0.01 {VIP}")

    def follows(new: TapGuest, owner: str, since: float) -> None:
        spoke = until(lambda: announced(captures[new.name], VIP, since), f"{new.name} takes the address", 20.0)[0]
        first_echo = until(lambda: echoes(captures[new.name], VIP, spoke.when), "the flow follows", 10.0)[0]
        print(f"to {new.name}: the flow follows {(first_echo.when - spoke.when) * 1000:.1f} ms after the announcement")
        settled(new, owner)

    now = captures["a"].frames()[-1].when
    first.send_signal(signal.SIGKILL)
    follows(b, "h2", now)
    c.reaches(VIP6)
    first.kill()
    keepalived(a, 50, *cluster)
    captures["a"].wait(lambda f: not f.outgoing and vrrp(f), "b's advertisements")
    now = captures["b"].frames()[-1].when
    b.kill()
    follows(a, "h1", now)
    assert c.neighbour(VIP) == a.mac
    assert ping.stop().ok
    manager.stop()


def leased(frame: Frame) -> bool:
    """Only a DHCP server sends it: for v4 from its port, for v6 ADVERTISE and REPLY."""
    packet = frame.packet
    return bool(packet.haslayer(UDP) and packet[UDP].sport in (67, 547))


@pytest.mark.skipif(bool(lacks("dnsmasq", "dhclient")) or not installed(), reason="a program is missing")
def test_row46_39_dhcp_server_is_a_guest(new_fabric: MAKE, run: Run) -> None:
    """dnsmasq in a guest at h1 leases to dhclient in one at h2, v4 and v6; the client says nothing of its addresses
    itself: the leases alone teach h2, and h1 hears of them from central policy. What another server says, at a port
    with dhcp-guard, reaches nobody, and is counted. With the addresses set, names and echoes get through.
    """
    fabric = new_fabric(nics=1)
    fabric.subnet(VSID, "tenant-a", "10.0.0.1/24", "fd00::1/64")
    guarded = {"dhcp-guard": True}
    server = fabric.tap_guest("h1", "s", VSID, "10.0.0.2/24", "fd00::2/64")
    rogue = fabric.tap_guest("h2", "rogue", VSID, "10.0.0.3/24", "fd00::3/64", port=guarded)
    client = fabric.tap_guest("h2", "c", VSID, record=False, port=guarded)
    fabric.record(VSID, "h2", client.mac, type="l2only")
    manager = central(fabric, run)
    drops, at_client, at_rogue = fabric.hosts["h2"].watch_drops(), client.capture(), rogue.capture(outgoing=True)
    dnsmasq(rogue, "10.0.0.200,10.0.0.220,255.255.255.0,1h", "fd00::200,fd00::220,64,1h")
    dnsmasq(
        server,
        "10.0.0.100,10.0.0.120,255.255.255.0,1h",
        "fd00::100,fd00::120,64,1h",
        names={"dc.tenant.test": "10.0.0.2"},
    )
    events = fabric.hosts["h2"].follow()
    asks = [Dhclient(client, family) for family in (4, 6)]
    addresses = [until(lambda each=each: each.address, "a lease", 20.0) for each in asks]
    for ca in addresses:
        events.wait("customer-address", change="added", ca=ca, reason="dhcp")
        until(lambda ca=ca: everywhere(fabric, ca, client, "h2"), f"all hosts know {ca}", 20.0)
    assert addresses[0].startswith("10.0.0.1") and addresses[1].startswith("fd00::1"), addresses

    said = until(
        lambda: {f.ethertype for f in at_rogue.frames(lambda f: f.outgoing and leased(f))} == {0x0800, 0x86DD}
        and len(at_rogue.frames(lambda f: f.outgoing and leased(f))),
        "the other server speaks, too",
    )
    drops.wait("dhcp-guard", said)
    assert {f.source for f in at_client.frames(leased)} == {server.mac}

    client.configure(f"{addresses[0]}/24", f"{addresses[1]}/64")
    server.reaches(addresses[0])
    server.reaches(addresses[1])
    answer = client.run("busybox nslookup -type=a dc.tenant.test 10.0.0.2").output
    assert "Address: 10.0.0.2\n" in answer.partition("Name:")[2], answer
    manager.stop()


@pytest.mark.skipif(bool(lacks("radvd")), reason="radvd is not installed")
def test_row47_39_radvd_router_is_a_guest(new_fabric: MAKE) -> None:
    """radvd in a guest at h1 is the subnet's router: one at h2 makes itself an address of its prefix, which h2 learns,
    by which both reach each other. A second one, at a port with ra-guard, announces another prefix to nobody, and is
    counted.
    """
    fabric = new_fabric(nics=1)
    fabric.subnet(VSID, "tenant-a", "fd00::1/64")
    router = fabric.tap_guest("h1", "r", VSID, "fd00::2/64")
    rogue = fabric.tap_guest("h2", "rogue", VSID, "fd00::3/64", port={"ra-guard": True})
    client = fabric.tap_guest("h2", "c", VSID, record=False, gateway=False, port={"ra-guard": True})
    fabric.record(VSID, "h2", client.mac, type="l2only")
    fabric.start()
    host = fabric.hosts["h2"]
    drops, at_client, at_rogue = host.watch_drops(), client.capture(), rogue.capture(outgoing=True)
    radvd(rogue, "fd00:bad::/64")
    radvd(router, "fd00::/64")

    def announces(capture: Capture) -> list[Frame]:
        return capture.frames(lambda f: f.packet.haslayer(ICMPv6ND_RA))

    until(lambda: announces(at_rogue), "the other router speaks, too")
    drops.wait("ra-guard", len(announces(at_rogue)))
    until(lambda: announces(at_client), "the router is heard")
    found = until(lambda: SLAAC.findall(client.run("ip -6 addr show dev eth0 scope global -tentative").output), "SLAAC")
    learned = until(lambda: record(host, found[0]), f"{found[0]} is learned")
    assert (learned["mac"], learned["type"], learned["host"]) == (client.mac, "dynamic", "h2")
    router.reaches(found[0])
    drops.wait("ra-guard", len([f for f in announces(at_rogue) if f.outgoing]))
    assert {f.source for f in announces(at_client)} == {router.mac}
    assert len(found) == 1 and found[0].startswith("fd00::"), found
    routes = client.run("ip -6 route show default").output
    assert routes.count("via") == 1, routes
