# SPDX-License-Identifier: BSD-3-Clause
"""What happens to a team while vswitchd follows it: teamd dies and returns, NICs and device come and go."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flaps import RATE, SLACK, rest

from lab.host import Host
from lab.netns import Netns
from lab.run import Run
from lab.team_fabric import TeamFabric
from lab.teamd import Teamd
from lab.wait import until

# s; teamd takes the ports out of the old device and puts them into the new one, LACP negotiates
STANDSTILL = 4
FOREIGN = "192.0.2.99"


@pytest.fixture(name="fabric", scope="module")
def _fabric(run: Run) -> Iterator[TeamFabric]:
    """Both ends of each team are teamd's."""
    fabric = TeamFabric(run, switch="team")
    fabric.start()
    yield fabric
    fabric.stop()


@pytest.fixture(autouse=True)
def _whole(fabric: TeamFabric) -> Iterator[None]:
    """Every case starts with all there is. What happens to a team ends no vswitchd."""
    fabric.settle()
    processes = [host.process for host in fabric.hosts.values()]
    yield
    for host, before in zip(fabric.hosts.values(), processes):
        assert host.running
        assert before and (host.process is before or before.status == 0)


def talks(fabric: TeamFabric) -> bool:
    return fabric.guests["a"].ping("10.0.0.12", 1) == 1


def test_row62_teamd_killed(fabric: TeamFabric) -> None:
    """kill -9 raises an alarm and costs nothing: frames go on with what is known, until the switch misses LACPDUs. A
    new teamd (-r) makes a new device, which is followed without a restart.
    """
    team, host, load = fabric.teams["h1"], fabric.hosts["h1"], fabric.load
    rest(load, RATE)
    events = host.follow()
    load.start(RATE)
    load.wait_sent(RATE // 2)
    team.kill()
    load.wait_sent(load.sent() + RATE)
    quiet = load.sent()
    print("alarm:", events.wait("team-alarm", timeout=15))
    before = team.index()
    team.start("-r")
    assert team.index() != before
    cost = back(fabric, team)
    for way, lost in cost.items():
        early = [number for number in lost if number < quiet]
        assert not early, f"{way}: {len(early)} lost in the second after teamd died"


def test_row62_teamd_started_anew(fabric: TeamFabric) -> None:
    """teamd -r at once after the end of the old one: the device is another, and traffic stands still for no longer than
    LACP needs.
    """
    team, load = fabric.teams["h1"], fabric.load
    rest(load, RATE)
    load.start(RATE)
    load.wait_sent(RATE // 2)
    team.recreate()
    for way, lost in back(fabric, team).items():
        assert len(lost) <= STANDSTILL * RATE, f"{way}: {len(lost)} lost"


def back(fabric: TeamFabric, team: Teamd) -> dict[str, list[int]]:
    """By sender, what the load under way has lost, once LACP is through and all is as it was; nothing is lost any more
    by then, and nothing came twice.
    """
    team.wait_enabled()
    fabric.settle()
    fabric.guests["a"].reaches("10.0.0.12")
    since = fabric.load.sent()
    fabric.load.wait_sent(since + RATE)
    outcomes = fabric.load.stop()
    for way, outcome in outcomes.items():
        print(f"{way}: {outcome}, without traffic for {len(outcome.missing) / RATE:.2f} s in all")
        assert outcome.received and not outcome.duplicated
        assert not [number for number in outcome.missing if number > since], "lost although LACP is back"
    return {way: outcome.missing for way, outcome in outcomes.items()}


def test_row62_port_removed_and_added(fabric: TeamFabric) -> None:
    """A NIC that leaves the team leaves vswitchd's hands; back in the team it is used again."""
    team, host = fabric.teams["h1"], fabric.hosts["h1"]
    events = host.follow()
    team.remove_port("a1")
    fabric.wait_usable("h1", "a0")
    events.wait("member-closed", member="a1")
    fabric.guests["a"].reaches("10.0.0.12")
    team.add_port("a1")
    fabric.settle()
    fabric.load.start(RATE)
    fabric.load.wait_sent(RATE)
    for outcome in fabric.load.stop().values():
        assert outcome.perfect(), outcome


def test_row62_port_renamed(fabric: TeamFabric) -> None:
    """A NIC under another name is the same member. Under traffic it costs what a dead link costs, twice."""
    host, load = fabric.hosts["h1"], fabric.load
    rest(load, RATE)
    load.start(RATE)
    load.wait_sent(RATE // 2)
    for old, new in (("a1", "nic1"), ("nic1", "a1")):
        host.netns.ip(f"link set {old} down")
        fabric.wait_usable("h1", "a0")
        host.netns.ip(f"link set {old} name {new}")
        host.netns.ip(f"link set {new} up")
        until(lambda: len(fabric.usable("h1")) == 2, "both members are usable", 20)
        assert fabric.member("h1", "a1").get("netdev", "a1") == new
    fabric.settle()
    load.wait_sent(load.sent() + RATE)
    for way, outcome in load.stop().items():
        print(f"{way}: {outcome}")
        assert not outcome.duplicated and len(outcome.missing) <= 2 * SLACK * 20, outcome


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


def answers(host: Host) -> bool:
    try:
        return bool(host.team())
    except OSError:
        return False


def restart(host: Host) -> None:
    """With what the configuration is by now; its guests are back."""
    if host.running:
        host.stop()
    host.start(ready=False)
    until(lambda: answers(host), f"vswitchd of {host.name} answers", 30)
    for port in host.config["ports"]:
        host.wait_port(port["id"])


def test_unknown_device_at_start(fabric: TeamFabric) -> None:
    """vswitchd starts before the team exists: it says that it waits for it, guests of one host talk; it follows the
    team when it comes.
    """
    team, host = fabric.teams["h1"], fabric.hosts["h1"]
    host.stop()
    team.stop()
    restart(host)
    assert host.notify
    until(lambda: [l for l in host.notify.lines() if "STATUS" in l and team.device in l], "the status names the team")
    print([line for line in host.notify.lines() if "STATUS" in line])
    assert f"there is no {team.device}: waiting for it" in host.ctl_text("team", "show").output
    fabric.guests["a"].reaches("10.0.0.13")
    team.start()
    fabric.settle()
    fabric.guests["a"].reaches("10.0.0.12")


def test_no_permission(fabric: TeamFabric) -> None:
    """Without CAP_NET_ADMIN a team cannot be read: `team show`, the status and an alarm name the capability; guests of
    one host talk.
    """
    host = fabric.hosts["h1"]
    host.wrapper = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin", "--"]
    try:
        restart(host)
        reason = f"{fabric.teams['h1'].device}: reading a team's options needs CAP_NET_ADMIN"
        assert host.team()["problem"] == reason
        assert reason in host.ctl_text("team", "show").output
        assert "CAP_NET_ADMIN" in host.log()
        assert not fabric.usable("h1")
        fabric.guests["a"].reaches("10.0.0.13")
    finally:
        host.wrapper = []
        restart(host)
    fabric.settle()


def test_row23_address_of_another_machine(fabric: TeamFabric) -> None:
    """A provider address that somebody else answers for is a duplicate: an event says so, it is not used, the others
    are.
    """
    host = fabric.hosts["h1"]
    other = Netns(fabric.run, "other")
    fabric.underlay.attach(other, "eth0")
    other.ip(f"addr add {FOREIGN}/24 dev eth0")
    events, wire = host.follow(), fabric.underlay.capture()
    own = next(each["pas"] for each in host.config["hosts"] if each["id"] == "h1")
    own.append({"address": FOREIGN})
    host.config["provider-addresses"].append({"address": FOREIGN, "prefix-length": 24})
    try:
        assert host.reload().ok
        told = events.wait("pa-state", address=FOREIGN, state="duplicate")
        print(told)
        assert "not used" in str(told["text"])
        assert host.provider_address_states()[FOREIGN] == "duplicate"
        fabric.load.start(RATE)
        fabric.load.wait_sent(RATE)
        for outcome in fabric.load.stop().values():
            assert outcome.perfect(), outcome
        used = {f.nvgre.outer_source for f in wire.frames(lambda f: f.nvgre) if f.nvgre}
        assert FOREIGN not in used and set(fabric.addresses("h1")) - {FOREIGN} <= used
    finally:
        wire.stop()
        own.pop()
        host.config["provider-addresses"].pop()
        assert host.reload().ok
