# SPDX-License-Identifier: BSD-3-Clause
"""The rules of tests/lib/conformance against a port, with another port and another host to see what gets out: HNV rows
18, 49 to 53.
"""

from __future__ import annotations

import pytest
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from conformance.rules import ARP_RULES, FLOODED, ND_RULES, SILENCE, TO_B, Answer, Party, Rule, World, ask4
from lab.capture import Capture
from lab.fabric import Fabric
from lab.frames import Frame
from lab.wait import Timeout

VSID = 5001
LAST = "10.9.0.1"  # a second gateway, which only the last question is about


class Runner:
    """Sends a rule's frame and a last question; what came before the answer to that is the outcome."""

    def __init__(self, fabric: Fabric) -> None:
        fabric.subnet(VSID, "tenant-a", "10.0.0.1/24", "fd00::1/64", f"{LAST}/24", gateway_mac="02:00:00:00:00:01")
        self.guests = [
            fabric.tap_guest(host, name, VSID, f"10.0.0.{number}/24", f"fd00::{number}/64")
            for host, name, number in (("h1", "a", 11), ("h2", "b", 12), ("h1", "c", 13))
        ]
        fabric.start(configure=False)
        for guest in self.guests:  # the kernel's own neighbour discovery is no part of it
            guest.run("ip link set eth0 addrgenmode none; ip -6 addr flush dev eth0")
        parties = [Party(g.mac, f"10.0.0.{n}", f"fd00::{n}") for g, n in zip(self.guests, (11, 12, 13))]
        gateway = Party("02:00:00:00:00:01", "10.0.0.1", "fd00::1")
        self.world = World(*parties, gateway, Party("", "10.0.0.99", "fd00::99"))
        self.captures: list[Capture] = [guest.capture() for guest in self.guests]
        self._last = 0

    def run(self, rule: Rule) -> str:
        """What is wrong, or nothing."""
        for capture in self.captures:
            capture.clear()
        sent = rule.frame(self.world)
        self.guests[0].send(sent)
        self._ask_last()
        wanted = rule.outcome(self.world)
        if wanted in (FLOODED, TO_B):  # over another member it may come later than the last frame
            try:
                self.captures[1].wait(lambda f: f.data[: len(sent)] == bytes(sent), "the frame at b")
            except Timeout:
                return f"{wanted}: nothing at b"
        back, at_b, at_c = self._seen()
        if isinstance(wanted, Answer):
            if len(back) != 1 or at_b or at_c:
                return f"{len(back)} answers, {len(at_b)} frames at b, {len(at_c)} at c"
            return differences(back[0], wanted)
        got = {FLOODED: at_c, TO_B: at_b, SILENCE: []}[wanted]
        others = [*back, *(at_c if wanted != FLOODED else []), *(at_b if wanted == SILENCE else [])]
        if others:
            return f"{others[0].summary()} where nothing was to come"
        if wanted != SILENCE and [bytes(frame)[: len(sent)] for frame in got] != [bytes(sent)]:
            return f"{wanted}: {[frame.summary() for frame in got]}"
        return ""

    def _ask_last(self) -> None:
        """A question that is always answered, and one frame to each of the others."""
        self._last += 1
        marker = f"mark {self._last};".encode().ljust(60, b".")
        a, b, c = self.guests
        for guest in (b, c):
            a.send(Ether(src=a.mac, dst=guest.mac, type=0x88B5) / marker)
        a.send(ask4(self.world, LAST))
        for capture in self.captures[1:]:
            capture.wait(lambda f: marker in f.data, "the last frame")
        self.captures[0].wait(
            lambda f: f.packet.haslayer(ARP) and f.packet[ARP].op == 2 and f.packet[ARP].psrc == LAST,
            "the last answer",
        )

    def _other(self, frame: Frame) -> bool:
        """The kernel's multicast reports, and questions of the switch itself, which asks guests what they have."""
        packet = frame.packet
        if frame.ethertype == 0x86DD and frame.data[20] == 0:
            return True
        asks = packet.haslayer(ICMPv6ND_NS) or (packet.haslayer(ARP) and packet[ARP].op == 1)
        return bool(asks and frame.source == self.world.gateway.mac)

    def _seen(self) -> list[list[Packet]]:
        """Frames about neighbours that came in, without the last question's."""
        ret = []
        for guest, capture in zip(self.guests, self.captures):
            frames = capture.frames(lambda f, mac=guest.mac: f.source != mac and f.ethertype in (0x0806, 0x86DD))
            ret.append([f.packet for f in frames if not self._other(f)])
        answer = next(p for p in reversed(ret[0]) if p.haslayer(ARP) and p[ARP].psrc == LAST)
        ret[0].remove(answer)
        return ret


def differences(frame: Packet, wanted: Answer) -> str:
    """Fields that are not as they should be."""
    found = []
    for layer, fields in ((Ether, wanted.ether), (ARP, wanted.arp), (IPv6, wanted.ip6), (ICMPv6ND_NA, wanted.na)):
        if fields and not frame.haslayer(layer):
            return f"no {layer.__name__} in {frame.summary()}"
        found += [
            f"{name} is {frame[layer].getfieldval(name)}, not {value}"
            for name, value in fields.items()
            if frame[layer].getfieldval(name) != value
        ]
    if wanted.option:
        option = frame.getlayer(ICMPv6NDOptDstLLAddr)
        if option is None or option.lladdr != wanted.option:
            found.append("the target link-layer address is missing or wrong")
        again = frame.copy()
        del again[ICMPv6ND_NA].cksum
        if bytes(again) != bytes(frame):
            found.append("wrong checksum")
    return "; ".join(found)


@pytest.mark.asan
@pytest.mark.parametrize("rules", [ARP_RULES, ND_RULES], ids=["arp", "nd"])
def test_rows_18_49_50_51_52_53_conformance(fabric: Fabric, rules: list[Rule]) -> None:
    runner = Runner(fabric)
    problems = {f"{rule.name} ({rule.why})": runner.run(rule) for rule in rules}
    assert not {name: text for name, text in problems.items() if text}
