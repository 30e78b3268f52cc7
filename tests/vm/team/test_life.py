# SPDX-License-Identifier: BSD-3-Clause
"""What happens to a team while vswitchd follows it: teamd dies and returns, NICs and device come and go."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.run import Run
from lab.team_fabric import TeamFabric
from lab.wait import until

RATE = 500


@pytest.fixture(name="fabric", scope="module")
def _fabric(run: Run) -> Iterator[TeamFabric]:
    """Both ends of each team are teamd's."""
    fabric = TeamFabric(run, switch="team")
    fabric.start()
    yield fabric
    fabric.stop()


@pytest.fixture(autouse=True)
def _whole(fabric: TeamFabric) -> Iterator[None]:
    """Every case starts with all there is, and with the process of the case before."""
    fabric.settle()
    before = fabric.hosts["h1"].process
    yield
    assert fabric.hosts["h1"].process is before and fabric.hosts["h1"].running


def talks(fabric: TeamFabric) -> bool:
    return fabric.guests["a"].ping("10.0.0.12", 1) == 1


def test_row62_teamd_killed(fabric: TeamFabric) -> None:
    """kill -9 raises an alarm; frames go on with what is known; a new teamd (-r) makes a new device, which is followed
    without a restart.
    """
    team, host = fabric.teams["h1"], fabric.hosts["h1"]
    events = host.follow()
    fabric.load.start(RATE)
    team.kill()
    alarm = events.wait("team-alarm", timeout=15)
    print("alarm:", alarm)
    before = team.index()
    team.start("-r")
    assert team.index() != before
    fabric.settle()
    outcomes = fabric.load.stop()
    for way, outcome in outcomes.items():
        print(f"{way}: {outcome}")
        assert outcome.received and not outcome.duplicated
    fabric.guests["a"].reaches("10.0.0.12")


def test_row62_teamd_started_anew(fabric: TeamFabric) -> None:
    """teamd -r at once after the end of the old one: the device is another, and all traffic is back with LACP."""
    team = fabric.teams["h1"]
    fabric.load.start(RATE)
    fabric.load.wait_sent(RATE)
    team.recreate()
    team.wait_enabled()
    fabric.settle()
    fabric.guests["a"].reaches("10.0.0.12")
    back = fabric.load.sent()
    fabric.load.wait_sent(back + RATE)
    for way, outcome in fabric.load.stop().items():
        print(f"{way}: {outcome}, without traffic for {len(outcome.missing) / RATE:.1f} s in all")
        assert outcome.received and not outcome.duplicated
        assert not [number for number in outcome.missing if number > back], "lost although LACP is back"
    fabric.guests["a"].reaches("10.0.0.12")


def test_row62_port_removed_and_added(fabric: TeamFabric) -> None:
    """A NIC that leaves the team leaves vswitchd's hands; back in the team it is used again."""
    team, host = fabric.teams["h1"], fabric.hosts["h1"]
    events = host.follow()
    team.remove_port("a1")
    fabric.wait_usable("h1", "a0")
    events.wait("member-closed", member="a1")
    fabric.guests["a"].reaches("10.0.0.12")
    team.add_port("a1")
    fabric.wait_usable("h1", "a0", "a1")
    fabric.load.start(RATE)
    fabric.load.wait_sent(RATE)
    for outcome in fabric.load.stop().values():
        assert outcome.perfect(), outcome


def test_row62_port_renamed(fabric: TeamFabric) -> None:
    """A NIC under another name is the same member."""
    host = fabric.hosts["h1"]
    for old, new in (("a1", "nic1"), ("nic1", "a1")):
        host.netns.ip(f"link set {old} down")
        fabric.wait_usable("h1", "a0")
        host.netns.ip(f"link set {old} name {new}")
        host.netns.ip(f"link set {new} up")
        until(lambda: len(fabric.usable("h1")) == 2, "both members are usable", 20)
    fabric.guests["a"].reaches("10.0.0.12")


def test_row62_device_deleted_and_made_again(fabric: TeamFabric) -> None:
    """Without a team there is no member and frames are counted; guests of one host still talk; a team of the same name
    is followed at once.
    """
    team, host = fabric.teams["h1"], fabric.hosts["h1"]
    drops, events = host.watch_drops(), host.follow()
    team.stop()
    until(lambda: not team.index(), "the device is gone")
    events.wait("team-down", timeout=15)
    fabric.guests["a"].misses("10.0.0.12")
    fabric.guests["a"].reaches("10.0.0.13")
    drops.wait("no-member", 3)
    print("while there is none:", host.ctl("team", "show"))
    team.start()
    fabric.settle()
    fabric.guests["a"].reaches("10.0.0.12")


def test_row62_no_member_usable(fabric: TeamFabric) -> None:
    """All cables pulled: counted drops and an event; with the first cable traffic is back."""
    host = fabric.hosts["h1"]
    drops, events = host.watch_drops(), host.follow()
    for cable in host.cables:
        cable.unplug()
    events.wait("team-down")
    fabric.guests["a"].misses("10.0.0.12")
    drops.wait("no-member", 3)
    host.cables[1].plug()
    events.wait("member-state", member="a1", usable="true", timeout=15)
    until(lambda: talks(fabric), "traffic goes on")


def test_unknown_device_at_start(fabric: TeamFabric) -> None:
    """vswitchd starts before the team exists: it says that it waits for it, guests of one host talk; it follows the
    team when it comes.
    """
    team, host = fabric.teams["h2"], fabric.hosts["h2"]
    host.stop()
    team.stop()
    host.start(ready=False)
    assert host.notify
    until(lambda: [l for l in host.notify.lines() if "STATUS" in l and team.device in l], "the status names the team")
    print([line for line in host.notify.lines() if "STATUS" in line], host.ctl("team", "show"))
    team.start()
    fabric.settle()
    fabric.guests["a"].reaches("10.0.0.12")
