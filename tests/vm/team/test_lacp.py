# SPDX-License-Identifier: BSD-3-Clause
"""Teams that speak LACP with the switch: HNV rows 59, 60, 62, 63."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flaps import FLOWS, RATE, Cost, flap, judge, rest, share

from lab.load import Tap
from lab.run import Run
from lab.team_fabric import TeamFabric
from lab.team_options import OptionMonitor

FEW, MANY = FLOWS, 10000


@pytest.fixture(name="fabric", scope="module")
def _fabric(run: Run) -> Iterator[TeamFabric]:
    """Four NICs each. The switch's end is the bonding driver: it hashes the inner flow as switches can."""
    fabric = TeamFabric(run, nics=4, switch="bond", loads=(MANY, FEW))
    fabric.start()
    yield fabric
    fabric.stop()


@pytest.fixture(autouse=True)
def _whole(fabric: TeamFabric) -> None:
    fabric.settle()


@pytest.mark.parametrize("members", [4, 3, 2])
def test_row59_60_63_every_member_carries_its_share(fabric: TeamFabric, members: int) -> None:
    """10,000 flows each way over 4, 3 and 2 members."""
    for name in fabric.hosts:
        for nic in fabric.nics[members:]:
            fabric.teams[name].remove_port(nic)
        fabric.wait_usable(name, *fabric.nics[:members])
    share(fabric, fabric.loads[0], members)


def test_row62_63_link_down_and_back(fabric: TeamFabric) -> None:
    """A cable pulled at 1,000 packets a second each way: at most 20 packets of the flows on it are lost, none of the
    others; the new view is there within 5 ms of the driver's word; after hold-down the map is what it was.
    """
    flap(fabric, fabric.loads[1], "h1", 0, times=3).check(lost=20, delay=5)


def test_row62_63_lacpdus_lost_while_the_link_is_up(fabric: TeamFabric) -> None:
    """The switch's LACPDUs no longer arrive by one cable: the member is unusable within 100 ms of the driver's
    `enabled` going false; when they are back it is used as before.
    """
    host, load, cable = fabric.hosts["h1"], fabric.loads[1], fabric.hosts["h1"].cables[1]
    index = fabric.teams["h1"].index("a1")
    rest(load, RATE)
    monitor, events, tap = OptionMonitor(host.netns), host.follow(), Tap(fabric.underlay.netns, fabric.ports("h1"))
    load.start(RATE)
    load.wait_sent(3 * FEW)
    fabric.aggregations["h1"].drop_lacpdus(cable.port)
    off = monitor.wait("enabled", index, 0)
    down = events.wait("member-state", member="a1", usable="false")
    load.wait_sent(load.sent() + 2 * FEW)
    fabric.aggregations["h1"].pass_lacpdus(cable.port)
    events.wait("member-state", member="a1", usable="true")
    load.wait_sent(load.sent() + 3 * FEW)
    judge(fabric, cable, "h1", load.stop(), tap.stop(), Cost())
    delay = (int(down["time"]) - off.when) / 1000
    print(f"unusable {delay:.1f} ms after enabled went false: {down['text']}")
    assert delay <= 100
