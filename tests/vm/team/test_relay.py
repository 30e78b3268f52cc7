# SPDX-License-Identifier: BSD-3-Clause
"""Devices that only vswitchd sees, as NICs on vfio are, in a team that speaks LACP: each has a TAP device there, which
relays for it. HNV row 63.

The devices are DPDK's AF_PACKET ports on NICs that are in no team; whatever reaches the team passes the relay.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.fabric import Fabric
from lab.run import Run
from lab.team_fabric import TeamFabric, at_home
from lab.teamd import Aggregation, Teamd
from lab.wait import until

RATE = 1000


class RelayFabric(TeamFabric):
    """h1 has the relays r0, which is there before everything else as systemd-networkd would make it, and r1, which
    vswitchd makes.
    """

    def __init__(self, run: Run) -> None:
        super().__init__(run, switch="bond")
        host, team = self.hosts["h1"], self.teams["h1"]
        self.teams["h1"] = Teamd(host.netns, team.device, ["r0"], team.runner, team.mtu)
        host.config["members"] = [
            {"name": f"a{nic}", "type": "dpdk", "devargs": f"net_af_packet{nic},iface=a{nic}", "relay": f"r{nic}"}
            for nic in range(2)
        ]
        self.setting("underlay", mtu=1600)

    def start(self, configure: bool = True) -> None:
        self.hosts["h1"].netns.ip("tuntap add dev r0 mode tap")
        for team in self.teams.values():
            team.launch()
        for host in self.hosts.values():
            self.aggregations[host.name] = Aggregation(
                self.underlay.netns, f"l{host.name}", self.ports(host.name), "bond", self.underlay.mtu
            )
        for team in self.teams.values():
            team.wait_complete()
        for aggregation in self.aggregations.values():
            aggregation.finish()
        self.load.power_on()
        Fabric.start(self, configure)
        self.load.wait_ready()
        self.wait_usable("h1", "a0")
        assert self.member("h1", "a1")["why"] == "its relay is not a port of the team"
        self.teams["h1"].add_port("r1")
        self.settle()

    def settle(self) -> None:
        for name in self.hosts:
            self.wait_usable(name, "a0", "a1")
        for host in self.hosts.values():
            until(lambda h=host: at_home(h.team()), f"addresses of {host.name} are at home")  # type: ignore[misc]
            self.wait_neighbours(host)

    def carrier(self, relay: str) -> bool:
        return "LOWER_UP" in self.hosts["h1"].netns.links(relay)[0]["flags"]


@pytest.fixture(name="fabric", scope="module")
def _fabric(run: Run) -> Iterator[RelayFabric]:
    fabric = RelayFabric(run)
    fabric.start()
    yield fabric
    fabric.stop()


def flows(fabric: RelayFabric) -> None:
    """A load both ways over both cables, without loss."""
    before = [cable.counters() for cable in fabric.hosts["h1"].cables]
    fabric.load.start(RATE)
    fabric.load.wait_sent(4 * RATE)
    for way, outcome in fabric.load.stop().items():
        print(way, outcome)
        assert outcome.perfect(), outcome
    for cable, was in zip(fabric.hosts["h1"].cables, before):
        assert (cable.counters() - was).rx_packets > RATE, "each cable brings a good part"


def test_row63_lacp_through_the_relay(fabric: RelayFabric) -> None:
    """LACP comes up, guests' traffic uses both devices, and the kernel's own goes by the team, both ways, under load
    too. `team show` knows link and LACP state, and what stands for the device.
    """
    for number, host in enumerate(fabric.hosts.values(), 1):
        host.netns.ip(f"addr add 198.51.100.{number}/24 dev {fabric.teams[host.name].device}")
    fabric.hosts["h1"].netns.sh("ping -n -c 5 -i 0.2 -W 2 198.51.100.2")
    fabric.hosts["h2"].netns.sh("ping -n -c 5 -i 0.2 -W 2 198.51.100.1")
    flows(fabric)
    assert fabric.teams["h1"].enabled() == {"r0", "r1"}
    for nic in range(2):
        member = fabric.member("h1", f"a{nic}")
        assert member["link"] and member["netdev"] == f"r{nic}", member
        assert member["lacp"]["state"] == "current", member


def test_row62_link_of_the_device(fabric: RelayFabric) -> None:
    """The device's link goes: the relay has no carrier, teamd takes the port out; and back."""
    host, team = fabric.hosts["h1"], fabric.teams["h1"]
    events = host.follow()
    host.cables[0].unplug()
    events.wait("member-state", member="a0", usable="false")
    until(lambda: not fabric.carrier("r0"), "r0 has no carrier")
    team.wait_enabled("r1")
    assert fabric.carrier("r1")
    host.cables[0].plug()
    until(lambda: fabric.carrier("r0"), "r0 has a carrier")
    team.wait_enabled("r0", "r1")
    events.wait("member-state", member="a0", usable="true")
    fabric.settle()


def test_row62_lacpdus_lost_while_the_link_is_up(fabric: RelayFabric) -> None:
    """The switch falls silent on one cable: teamd notices through the relay, and the device is not used."""
    port = fabric.hosts["h1"].cables[1].port
    events = fabric.hosts["h1"].follow()
    fabric.aggregations["h1"].drop_lacpdus(port)
    events.wait("member-state", member="a1", usable="false")
    assert fabric.carrier("r1") and fabric.teams["h1"].enabled() == {"r0"}
    fabric.aggregations["h1"].pass_lacpdus(port)
    events.wait("member-state", member="a1", usable="true")
    fabric.settle()


def test_restart(fabric: RelayFabric) -> None:
    """kill -9: a relay that was there before stays a port without carrier, and goes on after the start; one that
    vswitchd made is gone, and its port with it.
    """
    host, team = fabric.hosts["h1"], fabric.teams["h1"]
    host.kill()
    until(lambda: not fabric.carrier("r0"), "r0 has no carrier")
    until(lambda: team.index("r1") == 0, "r1 is gone")
    until(lambda: team.enabled(None) == {"r0"}, "the team has r0 only")
    host.start()
    fabric.wait_usable("h1", "a0")
    team.ports.remove("r1")
    team.add_port("r1")
    fabric.settle()
    flows(fabric)
