# SPDX-License-Identifier: BSD-3-Clause
"""Few flows that fill a NIC: which cables they took, when they changed, and whether anything was overtaken then."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from .fabric import Fabric
from .load import Endpoint, Load, Seen, Tap

FLOWS = 64  # to choose from
SHARE = 625  # packets a second of one flow that are 30 % of a Mbit/s
ROUND = 10.0  # seconds


@dataclass
class Move:
    """A flow that took another cable: the gap before it, on the cable that it came from, in microseconds."""

    flow: int
    number: int
    gap: int


class Herd:
    """Flows of end "a" of a load, which has FLOWS of them. NICs have `speed` Mbit/s, so that few packets fill them."""

    def __init__(self, fabric: Fabric, load: Load, speed: int) -> None:
        self._rate = speed * SHARE
        self._fabric = fabric
        self._load = load
        self.source = load.ends["a"].place.host
        self._ports = [cable.port for cable in self.source.cables]
        self.sender: Endpoint = load.ends["a"]
        self._tap: Tap | None = None

    def ways(self) -> dict[int, str]:
        """Flow -> cable, of all flows."""
        tap = Tap(self._fabric.underlay.netns, self._ports)
        self._command("flows", "all")
        self._load.start(1000, "a")
        self._load.wait_sent(2 * FLOWS)
        self._load.stop()
        return {packet.flow: packet.port for packet in tap.stop() if not packet.outgoing}

    def choose(self, count: int) -> list[int]:
        """So many flows that share the cable with most flows."""
        ways = self.ways()
        busiest = Counter(ways.values()).most_common(1)[0][0]
        return [flow for flow, port in sorted(ways.items()) if port == busiest][:count]

    def charge(self, flows: list[int], pause_ms: int) -> None:
        """They run, each 30 % of a NIC's speed, silent for `pause_ms` of every second."""
        self._tap = Tap(self._fabric.underlay.netns, self._ports)
        self._command("flows", ",".join(map(str, flows)))
        self._command("pause", pause_ms)
        self._load.start(self._rate * len(flows), "a")

    def go_on(self, pauses: int) -> None:
        self._load.wait_sent(self._load.sent() + pauses * self._rate)

    def halt(self) -> tuple[list[Move], int]:
        """The moves between cables, and how many packets arrived out of order or twice."""
        assert self._tap
        self._load.wait_quiet()
        seen = [packet for packet in self._tap.stop() if not packet.outgoing]
        self._command("pause", 0)
        newest: Counter[int] = Counter()
        wrong = 0
        for _, flow, number in self._load.ends["b"].records():
            wrong += number < newest[flow]
            newest[flow] = max(newest[flow], number + 1)
        return list(_moves(seen)), wrong

    def _command(self, *words: object) -> None:
        assert self.sender.peer
        self.sender.peer.command(*words)


def separate(herd: Herd) -> None:
    """Three that share a NIC part within 15 s, in a pause of more than 1 ms, and overtake nothing; others stay."""
    flows = herd.choose(3)
    before = herd.ways()
    events = herd.source.follow()
    herd.charge(flows, pause_ms=8)
    events.wait("rebalance", timeout=ROUND + 5)
    herd.go_on(pauses=2 * len(flows))
    moves, wrong = herd.halt()
    after = herd.ways()
    print(f"{moves}; out of order {wrong}")
    assert moves and wrong == 0
    assert all(move.gap >= 1000 for move in moves), moves
    assert len({after[flow] for flow in flows}) == 2
    changed = {flow for flow in before if before[flow] != after[flow]}
    assert {move.flow for move in moves} <= changed and len(changed) < FLOWS // 4, changed


def _moves(seen: list[Seen]) -> list[Move]:
    last: dict[int, Seen] = {}
    found = []
    for packet in sorted(seen, key=lambda each: each.when):
        before = last.get(packet.flow)
        if before and before.port != packet.port:
            found.append(Move(packet.flow, packet.number, packet.when - before.when))
        last[packet.flow] = packet
    return found
