# SPDX-License-Identifier: BSD-3-Clause
"""A cable pulled and put back under load, several times; what that cost."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab.load import Load, Outcome, Seen, Tap, latest_ways
from lab.netns import Netns
from lab.team_fabric import TeamFabric
from lab.team_options import OptionMonitor
from lab.underlay import Cable
from lab.witness import Witness

RATE = 1000
FLOWS = 256
# bounds are for real machines; emulated the median keeps them, and the worst four times as much. Delays are those
# of threads that wait for a CPU: they keep them while nothing else runs
SLACK = 4


@dataclass
class Cost:
    """Per flap: packets lost of flows on the cable, by sender; milliseconds from the driver's word, as another process
    hears it, to the first sign of the new view: a packet that takes another cable, or the event that tells of it.
    """

    lost: dict[str, list[int]] = field(default_factory=lambda: {"a": [], "b": []})
    delays: list[float] = field(default_factory=list)
    quiet: list[float] = field(default_factory=list)  # without load
    taken: float = 0.0  # milliseconds that the machine itself took from a process then

    def check(self, lost: int, delay: float) -> None:
        delays, quiet = ([round(each, 1) for each in series] for series in (self.delays, self.quiet))
        print(f"lost per flap {self.lost}; view {delays} ms after the driver, without load {quiet} ms")
        print(f"of those the machine took up to {self.taken:.1f} ms")
        for counts in self.lost.values():
            assert statistics.median(counts) <= lost and max(counts) <= SLACK * lost, self.lost
        # Both see the view after it was published, never before: the earlier one is nearer to the truth.
        medians = [statistics.median(series) for series in (delays, quiet) if series]
        assert medians[0] <= SLACK * delay, delays
        assert not quiet or min(medians) <= delay + self.taken, (delays, quiet, self.taken)


def split(outcome: Outcome, hit: set[int]) -> tuple[int, int]:
    """Packets lost by these flows, and by all others."""
    mine = sum(count for flow, count in outcome.lost.items() if flow in hit)
    return mine, sum(outcome.lost.values()) - mine


def at_host(seen: list[Seen], fabric: TeamFabric, host: str) -> dict[str, list[Seen]]:
    """By sender: its packets on the cables of one host, each once."""
    ports = set(fabric.ports(host))
    mine = [packet for packet in seen if packet.port in ports]
    out, into = [p for p in mine if not p.outgoing], [p for p in mine if p.outgoing]
    return {"a": out, "b": into} if host == "h1" else {"a": into, "b": out}


def judge(
    fabric: TeamFabric, cable: Cable, host: str, outcomes: dict[str, Outcome], seen: list[Seen], cost: Cost
) -> None:
    """Only flows on the cable lost anything, few came late, and in the end all go their first way."""
    by_sender = at_host(seen, fabric, host)
    for way, outcome in outcomes.items():
        first = [packet for packet in by_sender[way] if packet.number < 2]
        mine, others = split(outcome, {packet.flow for packet in first if packet.port == cable.port})
        cost.lost[way].append(mine)
        print(f"{way}: {outcome}; on the cable {mine}, others {others}")
        ways = latest_ways(first)
        for index in outcome.missing:
            if ways.get(index % FLOWS, ("",))[0] != cable.port:
                at = [p.port for p in seen if p.number * FLOWS + p.flow == index]
                print(f"lost on another cable: {index} of {outcome.sent}, way {ways.get(index % FLOWS)}, seen at {at}")
        assert not others and not outcome.duplicated, outcome
        assert max(outcome.late.values(), default=0) <= 2, outcome
        assert latest_ways(by_sender[way]) == latest_ways(first), "the map is not what it was"


def moved(sent: list[Seen], cable: Cable) -> int:
    """When the first packet of a flow on the cable took another one, in microseconds."""
    mine = {packet.flow for packet in sent if packet.number < 2 and packet.port == cable.port}
    return min(packet.when for packet in sent if packet.flow in mine and packet.port != cable.port)


def rest(load: Load, rate: int, ways: str = "ab") -> None:
    """What a cable costs can be told only where a load costs nothing while all cables are in."""
    load.start(rate, ways)
    load.wait_sent(2 * rate)
    for outcome in load.stop().values():
        if not outcome.perfect():
            pytest.skip(f"this machine is too slow or too busy: at {rate} packets/s and with all cables in, {outcome}")


def flap(fabric: TeamFabric, load: Load, host: str, nic: int, times: int, quiet: int = 0) -> Cost:
    """The cable of a NIC of one host, under load both ways, and `quiet` times without."""
    cost = Cost()
    where, name = fabric.hosts[host], f"a{nic}"
    cable = where.cables[nic]
    index = fabric.teams[host].index(name)
    rest(load, RATE)
    for _ in range(times):
        monitor, events = OptionMonitor(where.netns), where.follow()
        tap = Tap(fabric.underlay.netns, fabric.ports(host))
        drops = {each.name: each.watch_drops() for each in fabric.hosts.values()}
        load.start(RATE)
        load.wait_sent(3 * load.flows)
        cable.unplug()
        down = events.wait("member-state", member=name, usable="false")
        said = monitor.wait("link", index, 0)
        load.wait_sent(load.sent() + 2 * load.flows)
        cable.plug()
        events.wait("member-state", member=name, usable="true")
        load.wait_sent(load.sent() + 3 * load.flows)
        outcomes = load.stop()
        print(f"dropped and counted: { {each: watch.since() for each, watch in drops.items()} }")
        seen = tap.stop()
        judge(fabric, cable, host, outcomes, seen, cost)
        published = min(int(down["time"]), moved(at_host(seen, fabric, host)["a" if host == "h1" else "b"], cable))
        cost.delays.append((published - said.when) / 1000)
        monitor.close()
        events.close()
    if quiet:
        witness = Witness(fabric.run)
        cost.quiet = quiet_delays(fabric, host, nic, quiet)
        cost.taken = 1000 * witness.stop().worst
    return cost


def quiet_delays(fabric: TeamFabric, host: str, nic: int, times: int) -> list[float]:
    """Milliseconds from the driver's word to the event."""
    where, name = fabric.hosts[host], f"a{nic}"
    monitor, index, found = OptionMonitor(where.netns), fabric.teams[host].index(name), []
    for _ in range(times):
        events, since = where.follow(), monitor.mark()
        where.cables[nic].unplug()
        down = events.wait("member-state", member=name, usable="false")
        found.append((int(down["time"]) - monitor.wait("link", index, 0, since).when) / 1000)
        where.cables[nic].plug()
        events.wait("member-state", member=name, usable="true")
        events.close()
    monitor.close()
    return found


def peak(counts: list[int]) -> float:
    """The busiest, in multiples of the mean."""
    return max(counts) * len(counts) / sum(counts)


def counters(netns: Netns) -> dict[str, tuple[int, int]]:
    """Packets in and out of every interface."""
    with netns.entered():
        lines = Path("/proc/thread-self/net/dev").read_text().splitlines()[2:]
    fields = {line.partition(":")[0].strip(): line.partition(":")[2].split() for line in lines}
    return {name: (int(each[1]), int(each[9])) for name, each in fields.items()}


def share(fabric: TeamFabric, load: Load, members: int) -> None:
    """All flows twice, both ways: the busiest of the members carries at most 1.15 of the mean, out and in; nothing out
    of order or doubled. A busy machine may lose some.
    """
    before = {name: counters(host.netns) for name, host in fabric.hosts.items()}
    load.start(3 * RATE)
    load.wait_sent(2 * load.flows)
    outcomes = load.stop()
    for name, host in fabric.hosts.items():
        now = counters(host.netns)
        into, out = ([now[nic][i] - before[name][nic][i] for nic in fabric.nics[:members]] for i in (0, 1))
        print(f"{name}: out {out}, busiest {peak(out):.3f} of the mean; in {into}, {peak(into):.3f}")
        assert peak(out) <= 1.15 and peak(into) <= 1.15, (out, into)
    for way, outcome in outcomes.items():
        print(f"{way}: {outcome}")
        assert not outcome.late and not outcome.duplicated, outcome
        assert sum(outcome.lost.values()) < outcome.sent // 20, outcome
