# SPDX-License-Identifier: BSD-3-Clause
"""Balance by load over an activebackup team with `spread = all`: HNV row 64."""

from __future__ import annotations

from lab.elephants import FLOWS, Herd, separate
from lab.run import Run
from lab.team_fabric import TeamFabric
from lab.teamd import ACTIVEBACKUP

SPEED = 2  # Mbit/s


def test_row64_elephants_separate_in_a_pause(run: Run) -> None:
    """The NICs' own speed is 10 Gbit/s; what the configuration says of a port of the team goes first."""
    fabric = TeamFabric(run, ACTIVEBACKUP, nics=2, switch="bridge", loads=(FLOWS,), spread="all")
    for host in fabric.hosts.values():
        host.config["members"] = [{"name": nic, "speed": SPEED} for nic in fabric.nics]
    fabric.start()
    separate(Herd(fabric, fabric.load, SPEED))
    fabric.stop()
