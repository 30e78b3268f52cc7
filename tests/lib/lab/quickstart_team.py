# SPDX-License-Identifier: BSD-3-Clause
"""The teams of the quickstart: whether this machine can have real ones, and what is shown of them."""

from __future__ import annotations

import re
from typing import Any

from .fabric import Fabric
from .guest import Guest
from .host import Host
from .narrator import Narrator
from .netns import Netns
from .process import sh
from .run import Run
from .team_fabric import TeamHosts
from .teamd import Teamd
from .underlay import Cable
from .wait import until

STREAMS = 32


def no_team(run: Run) -> str:
    """Why there is no real team on this machine; nothing if there can be one."""
    netns, device = Netns(run, "try"), f"{run.id}try"
    try:
        made = sh(f"ip -n {netns.name} link add {device} type team", check=False)
        if not made.ok:
            return f"this kernel has no team driver ({_first_line(made.output)})"
        # the kernel loads each mode's module when it is asked for
        mode = netns.sh(["teamnl", device, "setoption", "mode", "activebackup"], check=False)
        return "" if mode.ok else f"this kernel's team driver cannot do activebackup ({_first_line(mode.output)})"
    finally:
        netns.delete()


def _first_line(text: str) -> str:
    return next(iter(text.splitlines()), "").removeprefix("Error: ").rstrip(".")


def prove_shares(narrator: Narrator, fabric: Fabric, one: Guest, two: Guest, address: str) -> None:
    """Both NICs of both hosts carry a share, both ways. `address` is that of `two`."""
    narrator.section(f"The team: {STREAMS} TCP streams each way between {one.name} and {two.name}")
    cables = [cable for host in fabric.hosts.values() for cable in host.cables]
    before = {cable.port: cable.counters() for cable in cables}
    for way in ("", "-R"):
        _streams(narrator, one, two, address, way)
    used = {cable.port: cable.counters() - before[cable.port] for cable in cables}
    narrator.line(f"{'packets':12} {'sent':>10} {'received':>10}")
    for cable in cables:
        count = used[cable.port]
        narrator.line(f"{cable.host.short + ' ' + cable.nic:12} {count.tx_packets:>10} {count.rx_packets:>10}")
    for name, host in fabric.hosts.items():
        counts = [used[cable.port] for cable in host.cables]
        sent, received = [count.tx_packets for count in counts], [count.rx_packets for count in counts]
        narrator.claim(f"{name} has sent by both NICs", lambda packets=sent: _share(packets))  # type: ignore[misc]
        narrator.claim(
            f"{name} has received by both NICs", lambda packets=received: _share(packets)  # type: ignore[misc]
        )
    narrator.line("vswitchctl team show, on h1:")
    narrator.quote(fabric.hosts["h1"].ctl_text("team", "show").output)


def _streams(narrator: Narrator, one: Guest, two: Guest, address: str, way: str) -> None:
    server = two.start("iperf3 -s -1")
    with narrator.step(f"iperf3 from {two.name} to {one.name}" if way else f"iperf3 from {one.name} to {two.name}"):

        def run_client() -> str:
            done = one.run(f"iperf3 -c {address} -t 2 -P {STREAMS} {way}", timeout=60, check=False)
            return done.output if done.ok else ""

        rates = re.findall(r"\[SUM\].*?([\d.]+ \wbits/sec).*receiver", until(run_client, "iperf3 connects", 60))
        narrator.line(f"{rates[-1] if rates else 'done'}")
    server.wait()


def _share(packets: list[int]) -> str:
    share = [count / max(1, sum(packets)) for count in packets]
    assert min(share) > 0.1, f"shares {share}"
    return " : ".join(f"{each:.0%}" for each in share)


def prove_failover(narrator: Narrator, fabric: Fabric, guest: Guest, address: str) -> None:
    """A cable of h1 is pulled and put back while `guest`, which is there, talks to `address` on h2."""
    host = fabric.hosts["h1"]
    team = fabric.teams["h1"] if isinstance(fabric, TeamHosts) else None
    nic = team.state("runner.active_port") if team else host.cables[0].nic
    cable = next(each for each in host.cables if each.nic == nic)
    narrator.section(f"A cable is pulled: {nic} of h1{', the active port of its team,' if team else ''} loses its link")
    cable.unplug()
    narrator.claim(f"{guest.name} still talks to {address}", lambda: _still_talks(guest, address, 20))
    if team:
        narrator.claim("teamd has noticed", lambda: _other_is_active(team, nic))
    narrator.claim(f"vswitchd does not use {nic}", lambda: _moved_away(host, nic))
    cable.plug()
    if team:
        narrator.claim("the cable is back, and teamd sees it", lambda: _link_is_up(team, nic))
    narrator.claim(f"vswitchd uses {nic} as before", lambda: _returned(host, cable))
    narrator.claim(f"{guest.name} talks to {address}", lambda: _still_talks(guest, address, 5))


def _still_talks(guest: Guest, address: str, count: int) -> str:
    got = guest.ping(address, count, 0.1, 3.0)
    assert got >= count * 9 // 10, f"{got} of {count} echo requests answered"
    return f"{got} of {count} echo requests answered, the first sent at once"


def _other_is_active(team: Teamd, nic: str) -> str:
    def active() -> str:
        now = team.state("runner.active_port")
        return now if now not in ("", nic) else ""

    return f"its active port is {until(active, 'teamd chooses another port')} now"


def _link_is_up(team: Teamd, nic: str) -> str:
    until(lambda: team.state(f"ports.{nic}.link.up") == "true", f"teamd sees the link of {nic}")
    return f"its active port is {team.state('runner.active_port')}"


def _at(host: Host, nic: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A member, and the provider address that is at home there."""
    team = host.team()
    member = next(each for each in team["members"] if each["name"] == nic)
    return member, next(pa for pa in team["provider-addresses"] if pa["home"] == nic)


def _moved_away(host: Host, nic: str) -> str:
    def moved() -> str:
        member, pa = _at(host, nic)
        if member["usable"] or pa["now"] in ("", nic):
            return ""
        return f"{member['why']}; {pa['address']} is at {pa['now']} now, with its MAC address {pa['mac']}"

    return until(moved, f"{nic} is unusable and its address elsewhere")


def _returned(host: Host, cable: Cable) -> str:
    def returned() -> str:
        member, pa = _at(host, cable.nic)
        return f"{pa['address']} is back" if member["usable"] and pa["now"] == cable.nic else ""

    return until(returned, f"{cable.nic} is usable and its address at home")
