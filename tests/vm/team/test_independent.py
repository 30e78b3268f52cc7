# SPDX-License-Identifier: BSD-3-Clause
"""Spreading over all NICs of an activebackup team while the switch only learns MAC addresses: HNV rows 59, 60, 61, 62.
One virtual subnet and one pair of hosts use all NICs, both ways.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from flaps import FLOWS, RATE, SLACK, flap, rest, share

from lab.host import Host
from lab.load import Tap
from lab.run import Run
from lab.team_fabric import TeamFabric
from lab.teamd import ACTIVEBACKUP
from lab.wait import until

FEW, MANY = FLOWS, 10000
STANDSTILL = 2  # s; teamd takes the ports out of the old device and puts them into the new one


@pytest.fixture(name="fabric", scope="module")
def _fabric(run: Run) -> Iterator[TeamFabric]:
    fabric = TeamFabric(run, ACTIVEBACKUP, nics=4, switch="bridge", loads=(MANY, FEW), spread="all")
    fabric.start()
    yield fabric
    fabric.stop()


@pytest.fixture(autouse=True)
def _whole(fabric: TeamFabric) -> None:
    fabric.settle()


def shared(host: Host, each: int) -> bool:
    """Every member that has provider addresses has so many."""
    return set(Counter(pa["now"] for pa in host.team()["provider-addresses"]).values()) == {each}


@pytest.mark.parametrize("members", [4, 2])
def test_row59_60_61_every_member_carries_its_share(fabric: TeamFabric, members: int) -> None:
    """10,000 flows each way; the switch has each MAC address on one port, and never learns one anew. That teamd gives
    all NICs one MAC address is no matter.
    """
    for name, host in fabric.hosts.items():
        assert len({host.netns.mac(nic) for nic in fabric.nics}) == 1
        for nic in fabric.nics[members:]:
            fabric.teams[name].remove_port(nic)
        fabric.wait_usable(name, *fabric.nics[:members])
        until(lambda h=host, n=len(fabric.nics) // members: shared(h, n), "addresses are spread anew")  # type: ignore
    carry(fabric, members)


def test_row59_60_61_three_members(fabric: TeamFabric) -> None:
    """As with two and four, with an address for each."""
    for name, host in fabric.hosts.items():
        fabric.teams[name].remove_port(fabric.nics[3])
        fabric.wait_usable(name, *fabric.nics[:3])
    all_lists = [of[key] for host in fabric.hosts.values() for of, key in address_lists(host)]
    taken = [addresses.pop() for addresses in all_lists]
    try:
        for host in fabric.hosts.values():
            assert host.reload().ok
        for host in fabric.hosts.values():
            until(lambda h=host: shared(h, 1), "each member has its address")  # type: ignore[misc]
        carry(fabric, 3)
    finally:
        for addresses, address in zip(all_lists, taken):
            addresses.append(address)
        for host in fabric.hosts.values():
            assert host.reload().ok


def address_lists(host: Host) -> list[tuple[dict[str, Any], str]]:
    """Where its configuration lists provider addresses: its own, and those of each host."""
    return [(host.config, "provider-addresses"), *((other, "pas") for other in host.config["hosts"])]


def carry(fabric: TeamFabric, members: int) -> None:
    """All flows, evenly, while the switch's table stays as it is."""
    for host in fabric.hosts.values():
        fabric.wait_neighbours(host)
    # the hosts have said where their addresses are; the wire between them may still have to hear it
    until(lambda: fabric.guests["a"].ping("10.0.0.12") == 3, "the guests reach each other")
    fdb = fabric.underlay.watch_fdb()
    share(fabric, fabric.loads[0], members)
    assert not fdb.stop()


def test_row61_62_failover(fabric: TeamFabric) -> None:
    """A cable pulled at 1,000 packets a second each way: its address moves with its MAC address, at most 20 packets of
    its flows are lost, none of the others, and it returns after hold-down. No other MAC address moves.
    """
    home = {pa["home"]: pa["mac"] for pa in fabric.hosts["h2"].team()["provider-addresses"]}
    fdb = fabric.underlay.watch_fdb()
    cost = flap(fabric, fabric.loads[1], "h2", 0, times=3, quiet=3)
    moved = fdb.stop()
    print(f"the switch learned anew: {[(entry.mac, entry.port) for entry in moved]}")
    assert {entry.mac for entry in moved} == {home["a0"]}
    cost.check(lost=20, delay=5)


def test_row62_netdev_deleted_and_made_again(fabric: TeamFabric) -> None:
    """A NIC that vanishes under traffic costs what a dead link costs; another of the same name, put into the team, is
    used like the first.
    """
    host, load, team = fabric.hosts["h2"], fabric.loads[1], fabric.teams["h2"]
    rest(load, RATE)
    events = host.follow()
    load.start(RATE)
    load.wait_sent(3 * FEW)
    fabric.underlay.netns.ip(f"link del {host.cables[2].port}")
    events.wait("member-state", member="a2", usable="false")
    events.wait("member-closed", member="a2")
    load.wait_sent(load.sent() + 2 * FEW)
    host.cables[2] = fabric.underlay.attach(host.netns, "a2")
    team.ports.remove("a2")
    fabric.settle()
    load.wait_sent(load.sent() + 3 * FEW)
    outcomes = load.stop()
    for way, outcome in outcomes.items():
        print(f"{way}: {outcome}, twice {outcome.doubled}")
        assert len(outcome.missing) <= SLACK * 20, outcome
        assert not outcome.duplicated, outcome
    rest(load, RATE)


def test_row62_teamd_killed_and_started_anew(fabric: TeamFabric) -> None:
    """The switch does not look at teamd: kill -9 and a new teamd, which makes a new device of the same NICs, cost what
    taking the NICs out and in again costs.
    """
    team, load = fabric.teams["h2"], fabric.loads[1]
    rest(load, RATE)
    load.start(RATE)
    load.wait_sent(RATE // 2)
    team.kill()
    load.wait_sent(load.sent() + RATE)
    quiet = load.sent()
    team.start("-r")
    fabric.settle()
    load.wait_sent(load.sent() + RATE)
    for way, outcome in load.stop().items():
        early = [number for number in outcome.missing if number < quiet]
        print(f"{way}: {outcome}, without traffic for {len(outcome.missing) / RATE:.2f} s in all")
        assert not early, f"{way}: {len(early)} lost while there was no teamd"
        assert not outcome.duplicated and len(outcome.missing) <= STANDSTILL * RATE, outcome


def test_row62_switch_that_forgets(fabric: TeamFabric) -> None:
    """A switch that ages MAC addresses in a second floods to all NICs of a silent host: no guest gets a packet twice,
    not at a failover either.
    """
    load, host = fabric.loads[1], fabric.hosts["h2"]
    rest(load, RATE // 2, "a")
    fabric.underlay.netns.ip("link set br0 type bridge ageing_time 100")
    tap, events = Tap(fabric.underlay.netns, fabric.ports("h2")), host.follow()
    load.start(RATE // 2, ways="a")
    load.wait_sent(3 * RATE // 2)
    host.cables[1].unplug()
    events.wait("member-state", member="a1", usable="false")
    marks = [load.sent()]
    load.wait_sent(load.sent() + RATE)
    host.cables[1].plug()
    events.wait("member-state", member="a1", usable="true")
    marks.append(load.sent())
    load.wait_sent(load.sent() + RATE)
    outcome = load.stop()["a"]
    fabric.underlay.netns.ip("link set br0 type bridge ageing_time 30000")
    copies = Counter((p.flow, p.number) for p in tap.stop() if p.outgoing)
    flooded = sum(count > 1 for count in copies.values())
    print(f"{outcome}; {flooded} packets came to several NICs; moved before numbers {marks}, twice {outcome.doubled}")
    assert flooded > 0, "the switch forgot nothing: this shows nothing"
    assert outcome.duplicated == 0, outcome
