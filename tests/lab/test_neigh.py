# SPDX-License-Identifier: BSD-3-Clause
"""ARP and neighbour discovery: HNV rows 50, 51, 52, 53."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether

from lab.fabric import Fabric
from lab.frames import Frame
from lab.peer import TapGuest
from lab.wait import never, until

MAKE = Callable[..., Fabric]
BROADCAST = "ff:ff:ff:ff:ff:ff"
MLD_REPORTS = "33:33:00:00:00:16"  # of the kernel, whenever it likes


def inner_neighbour_frames(frame: Frame) -> bool:
    """NVGRE with ARP or a neighbour solicitation inside."""
    if not frame.nvgre:
        return False
    inner = frame.nvgre.packet
    return bool(inner.haslayer(ARP) or inner.haslayer(ICMPv6ND_NS))


def pair(fabric: Fabric) -> tuple[TapGuest, TapGuest]:
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24", "fd00::1/64")
    return (
        fabric.tap_guest("h1", "a", 5001, "10.0.0.11/24", "fd00::11/64"),
        fabric.tap_guest("h2", "b", 5001, "10.0.0.12/24", "fd00::12/64"),
    )


def arp_probe(mac: str, target: str) -> Ether:
    """RFC 5227: is anybody using this address?"""
    return Ether(src=mac, dst=BROADCAST) / ARP(op=1, hwsrc=mac, psrc="0.0.0.0", pdst=target)


def solicitation(mac: str, source: str, target: str) -> Ether:
    """RFC 4861: who has this address, to its solicited-node group (both addresses end in two digits)."""
    group = IPv6(src=source, dst=f"ff02::1:ff00:{target[-2:]}", hlim=255)
    return Ether(src=mac, dst=f"33:33:ff:00:00:{target[-2:]}") / group / ICMPv6ND_NS(tgt=target) / ICMPv6NDOptSrcLLAddr(
        lladdr=mac
    )


@pytest.mark.asan
def test_row50_proxy_answers_known_addresses(fabric: Fabric) -> None:
    """ARP and NS for a known CA: answered where asked, with the record's MAC, nothing on the wire."""
    a, b = pair(fabric)
    fabric.start()
    a.flush_neighbours()
    b.flush_neighbours()
    wire = fabric.underlay.capture()
    at_b = b.capture()
    a.reaches("10.0.0.12")
    a.reaches("fd00::12")
    assert a.neighbour("10.0.0.12") == b.mac
    assert a.neighbour("fd00::12") == b.mac
    about_b = wire.frames(
        lambda f: inner_neighbour_frames(f)
        and f.interface.startswith("h1")
        and f.nvgre
        and f.nvgre.inner[0:6] != bytes.fromhex(b.mac.replace(":", ""))
    )
    assert not about_b
    assert not at_b.frames(lambda f: f.destination == BROADCAST)


def test_row50_proxy_on_one_host(new_fabric: MAKE) -> None:
    """Also when the target is on the same host: it never sees the question."""
    fabric = new_fabric(hosts=1)
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    a = fabric.tap_guest("h1", "a", 5001, "10.0.0.11/24")
    b = fabric.tap_guest("h1", "b", 5001, "10.0.0.12/24")
    fabric.start()
    at_a, at_b = a.capture(), b.capture()
    a.send(Ether(src=a.mac, dst=BROADCAST) / ARP(op=1, hwsrc=a.mac, psrc="10.0.0.11", pdst="10.0.0.12"))
    reply = at_a.wait(lambda f: f.packet.haslayer(ARP) and f.packet[ARP].op == 2, "the answer")[0].packet
    assert (reply[ARP].hwsrc, reply[ARP].psrc, reply[ARP].hwdst, reply[ARP].pdst) == (
        b.mac,
        "10.0.0.12",
        a.mac,
        "10.0.0.11",
    )
    assert reply[Ether].src == b.mac and reply[Ether].dst == a.mac
    assert not at_b.frames(lambda f: f.packet.haslayer(ARP))


def test_row51_unknown_address_is_flooded_once(new_fabric: MAKE) -> None:
    """In a subnet that learns: one copy per member host; an answer comes back to who asked."""
    fabric = new_fabric(hosts=3)
    a, b = pair(fabric)
    c = fabric.tap_guest("h3", "c", 5001, "10.0.0.13/24")
    fabric.start()
    b.run("ip addr add 10.0.0.77/24 dev eth0; ip addr add fd00::77/64 dev eth0 nodad")
    wire = fabric.underlay.capture()
    at_b, at_c = b.capture(), c.capture()

    def asks(frame: Frame) -> bool:
        inner = frame.nvgre.packet if frame.nvgre else frame.packet
        if inner.haslayer(ICMPv6ND_NS):
            return bool(inner[ICMPv6ND_NS].tgt == "fd00::77")
        return bool(inner.haslayer(ARP) and inner[ARP].op == 1 and inner[ARP].pdst == "10.0.0.77")

    for question, target in (
        (Ether(src=a.mac, dst=BROADCAST) / ARP(op=1, hwsrc=a.mac, psrc="10.0.0.11", pdst="10.0.0.77"), "10.0.0.77"),
        (solicitation(a.mac, "fd00::11", "fd00::77"), "fd00::77"),
    ):
        for capture in (wire, at_b, at_c):
            capture.clear()
        a.send(question)
        at_b.wait(asks, f"the question for {target} at b")
        at_c.wait(asks, f"the question for {target} at c")
        sent = wire.frames(asks)
        assert len(sent) == 2 and all(f.interface.startswith("h1") for f in sent), (target, sent)
        # the last but one digit of a provider address is its host's number
        assert {f.nvgre.outer_destination[-2] for f in sent if f.nvgre} == {"2", "3"}, (target, sent)
        a.reaches(target)
        assert a.neighbour(target) == b.mac


def test_row51_static_subnet_does_not_flood(fabric: Fabric) -> None:
    """Where nothing is learned, an unknown address is a counted drop and silence."""
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24", learning=False)
    a = fabric.tap_guest("h1", "a", 5001, "10.0.0.11/24")
    b = fabric.tap_guest("h2", "b", 5001, "10.0.0.12/24")
    fabric.start()
    drops = fabric.hosts["h1"].watch_drops()
    wire = fabric.underlay.capture()
    a.send(Ether(src=a.mac, dst=BROADCAST) / ARP(op=1, hwsrc=a.mac, psrc="10.0.0.11", pdst="10.0.0.77"))
    drops.wait("no-record")
    a.send(Ether(src=a.mac, dst="02:00:00:00:ee:ee") / ARP())
    drops.wait("no-record", 2)
    assert not wire.frames(
        lambda f: inner_neighbour_frames(f) or f.nvgre and f.nvgre.inner[0:6].hex(":") == "02:00:00:00:ee:ee"
    )
    a.reaches("10.0.0.12")
    assert b.mac == a.neighbour("10.0.0.12")


@pytest.mark.asan
@pytest.mark.parametrize("target", ["10.0.0.12", "fd00::12"])
def test_row52_unicast_probe_reaches_the_guest(fabric: Fabric, target: str) -> None:
    """Neighbour unreachability detection works: unicast probes go to the real VM, a dead one is found out."""
    a, b = pair(fabric)
    fabric.start()
    a.reaches(target)
    at_b = b.capture()
    probe = f"ip neigh replace {target} lladdr {b.mac} dev eth0 nud probe"
    a.run(probe)
    at_b.wait(
        lambda f: f.destination == b.mac
        and (f.packet.haslayer(ARP) and f.packet[ARP].op == 1 or f.packet.haslayer(ICMPv6ND_NS)),
        "the unicast probe",
    )
    until(lambda: a.neighbour_state(target) == "REACHABLE", "the living guest is found reachable")
    b.run("ip link set eth0 down")
    a.run(probe)
    until(lambda: a.neighbour_state(target) in ("FAILED", ""), "the dead guest is found out")


@pytest.mark.asan
def test_row53_duplicate_address_v4(fabric: Fabric) -> None:
    """ARP probes: another's address is defended, on whatever host it is; one's own is not answered, an unknown one is
    flooded.
    """
    a, b = pair(fabric)
    c = fabric.tap_guest("h1", "c", 5001, "10.0.0.13/24")
    fabric.start()
    at_c = c.capture()
    at_a, at_b = a.capture(), b.capture()

    def answers(target: str) -> Callable[[Frame], bool]:
        return lambda f: bool(
            f.packet.haslayer(ARP) and f.packet[ARP].op == 2 and f.packet[ARP].psrc == target
        )

    for owner, address in ((b, "10.0.0.12"), (c, "10.0.0.13")):
        a.send(arp_probe(a.mac, address))
        reply = at_a.wait(answers(address), f"the defence of {owner.name}'s address")[0].packet
        assert reply[ARP].hwsrc == owner.mac
    assert not at_c.frames(lambda f: f.packet.haslayer(ARP)), "the proxy answers, the guest is not asked"
    a.send(arp_probe(a.mac, "10.0.0.1"))
    at_a.wait(answers("10.0.0.1"), "the defence of the gateway's address")
    a.send(arp_probe(a.mac, "10.0.0.11"))
    never(lambda: at_a.frames(answers("10.0.0.11")), "an answer for one's own address", 0.7)
    a.send(arp_probe(a.mac, "10.0.0.88"))
    at_b.wait(lambda f: f.packet.haslayer(ARP) and f.packet[ARP].pdst == "10.0.0.88", "the probe at b")


@pytest.mark.asan
def test_row53_duplicate_address_v6(fabric: Fabric) -> None:
    """Linux' own DAD: a duplicate is refused, one's own address is not, and the guest's solicitation says it
    all.
    """
    a, b = pair(fabric)
    fabric.tap_guest("h1", "c", 5001, "10.0.0.13/24", "fd00::13/64")
    fabric.start()

    def state(address: str) -> str:
        return a.run(f"ip -6 addr show dev eth0 to {address}").output

    a.run("ip addr add fd00::12/64 dev eth0; ip addr add fd00::13/64 dev eth0")
    until(lambda: "dadfailed" in state("fd00::12"), "the duplicate on the other host is refused")
    until(lambda: "dadfailed" in state("fd00::13"), "the duplicate on the same host is refused")
    a.run("ip addr del fd00::11/64 dev eth0; ip addr add fd00::11/64 dev eth0")
    until(
        lambda: "fd00::11" in state("fd00::11") and "tentative" not in state("fd00::11"),
        "one's own address is good",
    )
    assert "dadfailed" not in state("fd00::11")
    at_a = a.capture()
    probe = Ether(src=a.mac, dst="33:33:ff:00:00:12") / IPv6(src="::", dst="ff02::1:ff00:12", hlim=255)
    a.send(probe / ICMPv6ND_NS(tgt="fd00::12"))
    answer = at_a.wait(lambda f: f.packet.haslayer(IPv6) and f.packet[IPv6].dst == "ff02::1", "the defence")[
        0
    ]
    assert answer.packet[IPv6].src == "fd00::12" and answer.packet[IPv6].hlim == 255
    assert b.mac.replace(":", "") in answer.data.hex()


def test_claiming_anothers_address_is_refused(fabric: Fabric) -> None:
    """A guest that says it is somebody else, in ARP, ND or plain packets: counted, not believed, not passed
    on.
    """
    a, b = pair(fabric)
    c = fabric.tap_guest("h1", "c", 5001, "10.0.0.13/24", "fd00::13/64")
    fabric.start()
    c.reaches("10.0.0.12")
    drops = fabric.hosts["h1"].watch_drops()
    at_c = c.capture()
    lie = ARP(op=2, hwsrc=a.mac, psrc="10.0.0.12", hwdst=BROADCAST, pdst="10.0.0.12")
    a.send(Ether(src=a.mac, dst=BROADCAST) / lie)
    drops.wait("spoof-arp", 1)
    lie6 = IPv6(src="fd00::12", dst="fd00::13", hlim=255) / ICMPv6ND_NS(tgt="fd00::13")
    a.send(Ether(src=a.mac, dst=c.mac) / lie6 / ICMPv6NDOptSrcLLAddr(lladdr=a.mac))
    drops.wait("spoof-arp", 2)
    a.send(Ether(src=b.mac, dst=c.mac) / ARP(op=1, hwsrc=b.mac, psrc="10.0.0.12", pdst="10.0.0.13"))
    drops.wait("src-mac", 1)
    assert not at_c.frames(lambda f: f.source in (a.mac, b.mac) and f.destination != MLD_REPORTS)
    assert c.neighbour("10.0.0.12") == b.mac


def test_gateway_advertises_itself(new_fabric: MAKE) -> None:
    """A guest of a subnet with `ra` that knows nothing of IPv6: it asks for routers, makes an address, has a way out
    and the MTU of its port. Another subnet's guest gets nothing. When `ra` goes, so does the way out.
    """
    fabric = new_fabric(hosts=1, nics=1, mtu=1500)
    fabric.subnet(5001, "tenant-a", "fd00:1::1/64", "fe80::1/64", ra=True)
    fabric.subnet(5002, "tenant-a", "fd00:2::1/64", "fe80::1/64")
    a, b = (fabric.tap_guest("h1", name, vsid, record=False) for name, vsid in (("a", 5001), ("b", 5002)))
    fabric.start(configure=False)

    def shown(guest: TapGuest, what: str) -> str:
        return guest.netns.sh(f"ip -6 {what}").output

    told = fabric.hosts["h1"].ports()["a"]["host-mtu"]
    mtu = "cat /proc/sys/net/ipv6/conf/eth0/mtu"
    until(lambda: "fd00:1::" in shown(a, "address show"), "a has an address of its own making")
    until(lambda: "via fe80::1 " in shown(a, "route show default"), "a has a way out")
    until(lambda: a.netns.sh(mtu).output.strip() == str(told), "a has the MTU of its port")
    away = "ping -6 -c1 -W1 fd00:2::1"
    until(lambda: a.netns.sh(away, check=False).status == 0, "a reaches the other subnet's gateway")
    assert "default" not in shown(b, "route show default") and "fd00:2::" not in shown(b, "address show")
    fabric.hosts["h1"].config["subnets"][0]["ra"] = False
    assert fabric.hosts["h1"].reload().ok
    until(lambda: "default" not in shown(a, "route show default"), "a has no way out any more")
