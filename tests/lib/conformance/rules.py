# SPDX-License-Identifier: BSD-3-Clause
"""The table; README.md says how to read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_Redirect,
    ICMPv6ND_RS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

BROADCAST = "ff:ff:ff:ff:ff:ff"
ALL_NODES = "33:33:00:00:00:01"
STRANGER = "02:00:00:00:ee:ee"
FLOODED, TO_B, SILENCE = "flooded", "to b", "silence"


@dataclass(frozen=True)
class Party:
    """Somebody in the subnet."""

    mac: str
    v4: str
    v6: str


@dataclass(frozen=True)
class World:
    """Who is who."""

    a: Party
    b: Party
    c: Party
    gateway: Party
    nobody: Party


@dataclass(frozen=True)
class Answer:
    """The one frame that comes back to a: fields by layer."""

    ether: dict[str, object]
    arp: dict[str, object] = field(default_factory=dict)
    ip6: dict[str, object] = field(default_factory=dict)
    na: dict[str, object] = field(default_factory=dict)
    option: str = ""  # target link-layer address


@dataclass(frozen=True)
class Rule:
    """A row. `why` names the source."""

    name: str
    why: str
    frame: Callable[[World], Packet]
    outcome: Callable[[World], Answer | str]


def solicited_node(address: str) -> tuple[str, str]:
    """Group and its MAC; the addresses of this table end in two digits."""
    return f"ff02::1:ff00:{address.rpartition(':')[2]}", f"33:33:ff:00:00:{address.rpartition(':')[2].zfill(2)}"


def ask4(w: World, target: str, to: str = BROADCAST, **arp: object) -> Packet:
    """An ARP request of a."""
    fields = {"op": 1, "hwsrc": w.a.mac, "psrc": w.a.v4, "pdst": target, **arp}
    return Ether(src=w.a.mac, dst=to) / ARP(**fields)


def ask6(
    w: World,
    target: str,
    source: str = "",
    to: str = "",
    option: bool = True,
    ip: dict[str, object] | None = None,
    **ns: object,
) -> Packet:
    """A solicitation of a."""
    group, mac = solicited_node(target)
    layer = IPv6(**{"src": source or w.a.v6, "dst": target if to else group, "hlim": 255, **(ip or {})})
    packet = Ether(src=w.a.mac, dst=to or mac) / layer / ICMPv6ND_NS(tgt=target, **ns)
    return packet / ICMPv6NDOptSrcLLAddr(lladdr=w.a.mac) if option else packet


def says6(w: World, target: str, source: str, to: str = ALL_NODES, dst: str = "ff02::1", **na: object) -> Packet:
    """An advertisement of a."""
    fields = {"R": 0, "S": 0, "O": 1, **na}
    layer = IPv6(src=source, dst=dst, hlim=255)
    return Ether(src=w.a.mac, dst=to) / layer / ICMPv6ND_NA(tgt=target, **fields) / ICMPv6NDOptDstLLAddr(lladdr=w.a.mac)


def reply4(w: World, owner: Party, asked_from: str = "") -> Answer:
    """RFC 826: the answer to a request of a."""
    return Answer(
        {"src": owner.mac, "dst": w.a.mac},
        arp={"op": 2, "hwsrc": owner.mac, "psrc": owner.v4, "hwdst": w.a.mac, "pdst": asked_from or w.a.v4},
    )


def reply6(w: World, owner: Party, router: int = 0) -> Answer:
    """RFC 4861 7.2.4: solicited, override, to who asked."""
    return Answer(
        {"src": owner.mac, "dst": w.a.mac},
        ip6={"src": owner.v6, "dst": w.a.v6, "hlim": 255},
        na={"tgt": owner.v6, "R": router, "S": 1, "O": 1},
        option=owner.mac,
    )


def defence6(owner: Party, router: int = 0) -> Answer:
    """RFC 4862 5.4.3, RFC 4861 7.2.4: to all nodes, not solicited."""
    return Answer(
        {"src": owner.mac, "dst": ALL_NODES},
        ip6={"src": owner.v6, "dst": "ff02::1", "hlim": 255},
        na={"tgt": owner.v6, "R": router, "S": 0, "O": 1},
        option=owner.mac,
    )


ARP_RULES = [
    Rule("known address", "RFC 826", lambda w: ask4(w, w.b.v4), lambda w: reply4(w, w.b)),
    Rule("known address, neighbour port", "HNV 3.2", lambda w: ask4(w, w.c.v4), lambda w: reply4(w, w.c)),
    Rule("gateway", "HNV row 18", lambda w: ask4(w, w.gateway.v4), lambda w: reply4(w, w.gateway)),
    Rule(
        "gateway by unicast",
        "HNV row 18",
        lambda w: ask4(w, w.gateway.v4, w.gateway.mac),
        lambda w: reply4(w, w.gateway),
    ),
    Rule("unknown address", "HNV row 51", lambda w: ask4(w, w.nobody.v4), lambda w: FLOODED),
    Rule("unicast question", "HNV row 52", lambda w: ask4(w, w.b.v4, w.b.mac), lambda w: TO_B),
    Rule(
        "probe for another's address",
        "RFC 5227 2.1.1",
        lambda w: ask4(w, w.b.v4, psrc="0.0.0.0"),
        lambda w: reply4(w, w.b, "0.0.0.0"),
    ),
    Rule(
        "probe for the gateway's address",
        "RFC 5227 2.1.1",
        lambda w: ask4(w, w.gateway.v4, psrc="0.0.0.0"),
        lambda w: reply4(w, w.gateway, "0.0.0.0"),
    ),
    Rule("probe for one's own address", "RFC 5227 2.1.1", lambda w: ask4(w, w.a.v4, psrc="0.0.0.0"), lambda w: FLOODED),
    Rule(
        "probe for an unknown address", "HNV row 53", lambda w: ask4(w, w.nobody.v4, psrc="0.0.0.0"), lambda w: FLOODED
    ),
    Rule("announcement by request", "RFC 5227 3", lambda w: ask4(w, w.a.v4), lambda w: FLOODED),
    Rule(
        "announcement by reply",
        "RFC 5227 3",
        lambda w: ask4(w, w.a.v4, op=2, hwdst=BROADCAST),
        lambda w: FLOODED,
    ),
    Rule("another's sender address", "HNV row 49", lambda w: ask4(w, w.c.v4, psrc=w.b.v4), lambda w: SILENCE),
    Rule("the gateway's sender address", "HNV row 49", lambda w: ask4(w, w.b.v4, psrc=w.gateway.v4), lambda w: SILENCE),
    Rule("another's sender MAC", "HNV row 49", lambda w: ask4(w, w.b.v4, hwsrc=w.b.mac), lambda w: SILENCE),
    Rule("announcement of another's", "HNV row 49", lambda w: ask4(w, w.b.v4, psrc=w.b.v4), lambda w: SILENCE),
    Rule(
        "reply for another", "HNV row 49", lambda w: ask4(w, w.a.v4, to=w.c.mac, op=2, psrc=w.b.v4), lambda w: SILENCE
    ),
    Rule("multicast target", "RFC 5227 1.1", lambda w: ask4(w, "224.0.0.1"), lambda w: SILENCE),
    Rule("other hardware", "RFC 826", lambda w: ask4(w, w.b.v4, hwtype=6), lambda w: SILENCE),
    Rule("unknown operation", "RFC 826", lambda w: ask4(w, w.b.v4, op=7), lambda w: SILENCE),
    Rule("cut short", "RFC 826", lambda w: Ether(bytes(ask4(w, w.b.v4))[:-4]), lambda w: SILENCE),
]

ND_RULES = [
    Rule("known address", "RFC 4861 7.2.4", lambda w: ask6(w, w.b.v6), lambda w: reply6(w, w.b)),
    Rule("without option", "RFC 4861 4.3", lambda w: ask6(w, w.b.v6, option=False), lambda w: reply6(w, w.b)),
    Rule("known address, neighbour port", "HNV 3.2", lambda w: ask6(w, w.c.v6), lambda w: reply6(w, w.c)),
    Rule("gateway", "HNV row 18", lambda w: ask6(w, w.gateway.v6), lambda w: reply6(w, w.gateway, 1)),
    Rule("unknown address", "HNV row 51", lambda w: ask6(w, w.nobody.v6), lambda w: FLOODED),
    Rule("unicast question", "HNV row 52", lambda w: ask6(w, w.b.v6, to=w.b.mac), lambda w: TO_B),
    Rule(
        "probe for another's address",
        "RFC 4862 5.4",
        lambda w: ask6(w, w.b.v6, "::", option=False),
        lambda w: defence6(w.b),
    ),
    Rule(
        "probe for the gateway's address",
        "RFC 4862 5.4",
        lambda w: ask6(w, w.gateway.v6, "::", option=False),
        lambda w: defence6(w.gateway, 1),
    ),
    Rule("probe for one's own", "RFC 4862 5.4", lambda w: ask6(w, w.a.v6, "::", option=False), lambda w: FLOODED),
    Rule("probe for unknown", "HNV row 53", lambda w: ask6(w, w.nobody.v6, "::", option=False), lambda w: FLOODED),
    Rule("announcement", "RFC 4861 7.2.6", lambda w: says6(w, w.a.v6, w.a.v6), lambda w: FLOODED),
    Rule("announcement of another's", "HNV row 49", lambda w: says6(w, w.b.v6, w.a.v6), lambda w: SILENCE),
    Rule("another's source", "HNV row 49", lambda w: ask6(w, w.c.v6, w.b.v6), lambda w: SILENCE),
    Rule(
        "another's MAC in the option",
        "HNV row 49",
        lambda w: ask6(w, w.b.v6, option=False) / ICMPv6NDOptSrcLLAddr(lladdr=w.c.mac),
        lambda w: SILENCE,
    ),
    Rule("hop limit 254", "RFC 4861 7.1.1", lambda w: ask6(w, w.b.v6, ip={"hlim": 254}), lambda w: SILENCE),
    Rule("wrong checksum", "RFC 4861 7.1.1", lambda w: ask6(w, w.b.v6, cksum=0xBEEF), lambda w: SILENCE),
    Rule("code not 0", "RFC 4861 7.1.1", lambda w: ask6(w, w.b.v6, code=1), lambda w: SILENCE),
    Rule("multicast target", "RFC 4861 7.1.1", lambda w: ask6(w, "ff02::12"), lambda w: SILENCE),
    Rule("probe with an option", "RFC 4861 7.1.1", lambda w: ask6(w, w.b.v6, "::"), lambda w: SILENCE),
    Rule(
        "probe to all nodes",
        "RFC 4861 7.1.1",
        lambda w: ask6(w, w.b.v6, "::", to=ALL_NODES, option=False, ip={"dst": "ff02::1"}),
        lambda w: SILENCE,
    ),
    Rule(
        "option of no length",
        "RFC 4861 7.1.1",
        lambda w: ask6(w, w.b.v6, option=False) / Raw(b"\x01\x00" + bytes(6)),
        lambda w: SILENCE,
    ),
    Rule(
        "option beyond the end",
        "RFC 4861 7.1.1",
        lambda w: ask6(w, w.b.v6, option=False) / Raw(b"\x01\x02" + bytes(6)),
        lambda w: SILENCE,
    ),
    Rule("solicited to all", "RFC 4861 7.1.2", lambda w: says6(w, w.a.v6, w.a.v6, S=1), lambda w: SILENCE),
    Rule(
        "redirect",
        "RFC 4861 8.1",
        lambda w: Ether(src=w.a.mac, dst=w.c.mac)
        / IPv6(src="fe80::a", dst=w.c.v6, hlim=255)
        / ICMPv6ND_Redirect(tgt="fe80::a", dst=w.b.v6),
        lambda w: SILENCE,
    ),
    Rule(
        "router solicitation",
        "RFC 4861 6.1.1",
        lambda w: Ether(src=w.a.mac, dst="33:33:00:00:00:02") / IPv6(src="::", dst="ff02::2", hlim=255) / ICMPv6ND_RS(),
        lambda w: FLOODED,
    ),
    Rule(
        "advertisement of a router that is not link-local",
        "RFC 4861 6.1.2",
        lambda w: Ether(src=w.a.mac, dst=ALL_NODES) / IPv6(src=w.a.v6, dst="ff02::1", hlim=255) / ICMPv6ND_RA(),
        lambda w: SILENCE,
    ),
]
