# SPDX-License-Identifier: BSD-3-Clause
"""Members listed in the configuration while teamd runs LACP on the same NICs: both get what is theirs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.run import Run
from lab.team_fabric import TeamFabric

RATE = 1000


@pytest.fixture(name="fabric")
def _fabric(case_run: Run) -> Iterator[TeamFabric]:
    """h1 has members of type af-packet, h2 of af-xdp."""
    fabric = TeamFabric(case_run, provider="static")
    for member in fabric.hosts["h2"].config["members"]:
        member["type"] = "af-xdp"
    fabric.start()
    yield fabric
    fabric.stop()


def test_row63_lacp_beside_the_datapath(fabric: TeamFabric) -> None:
    """Guests talk by NVGRE over both NICs; LACP stays up, and the kernel's own traffic on the team too."""
    for number, host in enumerate(fabric.hosts.values(), 1):
        host.netns.ip(f"addr add 198.51.100.{number}/24 dev {fabric.teams[host.name].device}")
    fabric.guests["a"].reaches("10.0.0.12")
    fabric.hosts["h1"].netns.sh("ping -n -c 3 -i 0.2 -W 2 198.51.100.2")
    fabric.load.start(RATE)
    fabric.load.wait_sent(4 * RATE)
    for way, outcome in fabric.load.stop().items():
        print(way, outcome)
        assert outcome.perfect(), outcome
    for team in fabric.teams.values():
        assert team.enabled() == set(fabric.nics)
