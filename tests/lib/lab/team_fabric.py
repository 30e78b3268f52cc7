# SPDX-License-Identifier: BSD-3-Clause
"""Hosts whose NICs are in a real team, and the switch between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .fabric import Fabric, provider_addresses
from .load import Load
from .run import Run
from .team_options import options
from .teamd import LACP, Aggregation, Teamd
from .wait import Timeout, until

VSID = 5001
MTU = 1600


class TeamHosts(Fabric):
    """Two hosts h1, h2 with a team each over all their NICs. What runs on them is up to the caller.

    `switch`: "bridge" learns MAC addresses and knows nothing of teams; "team" and "bond" answer LACP with the kernel's
    drivers of these names. `provider`: "libteam" follows the team device; "static" has the members in the
    configuration, the team device is only there. `other_runner`: that of h2.
    """

    def __init__(
        self,
        run: Run,
        runner: Mapping[str, Any] = LACP,
        nics: int = 2,
        switch: str = "team",
        member_type: str = "af-packet",
        provider: str = "libteam",
        other_runner: Mapping[str, Any] | None = None,
        **team: Any,
    ) -> None:
        super().__init__(run, nics=nics, member_type=member_type, mtu=MTU)
        self.nics = [f"a{nic}" for nic in range(nics)]
        self.teams: dict[str, Teamd] = {}
        self.aggregations: dict[str, Aggregation] = {}
        cooperate = switch != "bridge"
        for host in self.hosts.values():
            mine = other_runner if other_runner and host.name == "h2" else runner
            team_device = f"{run.id}{host.name}"
            self.teams[host.name] = Teamd(host.netns, team_device, self.nics, mine, MTU)
            settings = {"hold-down-ms": 500, **{name.replace("_", "-"): value for name, value in team.items()}}
            if provider == "libteam":
                settings |= {"device": team_device, "member-type": member_type}
                host.config["members"] = []
                for pa in host.config["provider-addresses"]:
                    del pa["member"]
            else:
                settings.setdefault("mode", "cooperate" if cooperate else "independent")
            host.config["team"] = settings
        self._switch = switch

    def start_teams(self) -> None:
        """Both ends of each team, until all ports carry data."""
        for team in self.teams.values():
            team.launch()
        if self._switch != "bridge":
            for host in self.hosts.values():
                self.aggregations[host.name] = Aggregation(
                    self.underlay.netns, f"l{host.name}", self.ports(host.name), self._switch, MTU
                )
        for team in self.teams.values():
            team.wait_complete()
        for aggregation in self.aggregations.values():
            aggregation.finish()
        for team in self.teams.values():
            if team.runner["name"] != "activebackup":
                team.wait_enabled()

    def ports(self, host: str) -> list[str]:
        """The switch's, one per NIC."""
        return [cable.port for cable in self.hosts[host].cables]

    def settle(self) -> None:
        """All cables are in, all NICs in the team, LACP is through, every member usable, every address known and at
        home.
        """
        for host in self.hosts.values():
            for nic in self.nics:
                if nic not in self.teams[host.name].ports:
                    self.teams[host.name].add_port(nic)
            for cable in host.cables:
                if host.name in self.aggregations:
                    self.aggregations[host.name].pass_lacpdus(cable.port)
            self.underlay.netns.batch(*(f"link set {cable.port} up" for cable in host.cables))
            if host.name in self.aggregations:
                until(self.aggregations[host.name].complete, f"the switch uses all ports to {host.name}", 20)
            self.wait_usable(host.name, *self.nics)
            until(lambda h=host: at_home(h.team()), f"addresses of {host.name} are at home")  # type: ignore[misc]
        for host in self.hosts.values():
            self.wait_neighbours(host)

    def wait_usable(self, host: str, *members: str, timeout: float = 20.0) -> None:
        """Until exactly these members are."""
        try:
            until(lambda: self.usable(host) == set(members), f"usable on {host} are {sorted(members)}", timeout)
        except Timeout as late:
            team = self.teams[host]
            raise Timeout(f"{late}\n{self.hosts[host].team()}\n{options(team.netns, team.index())}") from None

    def usable(self, host: str) -> set[str]:
        return {str(member["name"]) for member in self.hosts[host].team()["members"] if member["usable"]}

    def member(self, host: str, name: str) -> dict[str, Any]:
        """What `team show` tells of one."""
        found = [member for member in self.hosts[host].team()["members"] if member["name"] == name]
        return found[0] if found else {}

    def addresses(self, host: str) -> list[str]:
        return provider_addresses(self.hosts[host])

    def stop(self) -> None:
        super().stop()
        for team in self.teams.values():
            if team.process and team.process.status is None:
                team.stop()


class TeamFabric(TeamHosts):
    """Guests a and c on h1, b on h2, and a load both ways for each number of flows in `loads`; `where` is that of
    TeamHosts.
    """

    def __init__(
        self, run: Run, runner: Mapping[str, Any] = LACP, *, loads: Sequence[int] = (256,), **where: Any
    ) -> None:
        super().__init__(run, runner, **where)
        self.subnet(VSID, "tenant-a", "10.0.0.1/24")
        self.guests = {
            "a": self.tap_guest("h1", "a", VSID, "10.0.0.11/24"),
            "b": self.tap_guest("h2", "b", VSID, "10.0.0.12/24"),
            "c": self.tap_guest("h1", "c", VSID, "10.0.0.13/24"),
        }
        self.loads = [Load(self, ("h1", "h2"), VSID, number, flows) for number, flows in enumerate(loads)]

    @property
    def load(self) -> Load:
        return self.loads[0]

    def start(self, configure: bool = True) -> None:
        self.start_teams()
        for load in self.loads:
            load.power_on()
        super().start(configure)
        for load in self.loads:
            load.wait_ready()
        self.settle()

    def stop(self) -> None:
        for load in self.loads:
            load.power_off()
        super().stop()


def at_home(team: dict[str, Any]) -> bool:
    """All provider addresses are in use where they belong."""
    return all(pa["state"] == "preferred" and pa["home"] == pa["now"] for pa in team["provider-addresses"])
