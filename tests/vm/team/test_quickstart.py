# SPDX-License-Identifier: BSD-3-Clause
"""packaging/quickstart where the kernel has the team driver."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.process import sh
from lab.run import BASE
from lab.teamd import RUN_DIRECTORY

RUNNING = "Everything is left running"


@pytest.fixture(name="demo")
def _demo(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """What packaging/quickstart runs once packages and programs are there; guests that need no emulation in an
    emulated machine.
    """
    argv = [sys.executable, "-m", "lab.quickstart", "--built", "--light", "--keep"]
    with subprocess.Popen(
        argv,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as demo:
        yield demo
        demo.kill()


def left_over(temporary: Path) -> dict[str, str]:
    """What a quickstart may have made and not removed."""
    teamds = [path.parent.name for path in Path("/proc").glob("[0-9]*/comm") if path.read_text() == "teamd\n"]
    return {
        "namespaces": sh("ip netns list").output,
        "teamd": " ".join(teamds),
        "files": " ".join(str(path) for where in (RUN_DIRECTORY, BASE, temporary) for path in where.glob("*")),
    }


def test_row61_62_quickstart_with_a_real_team(demo: subprocess.Popen[str], tmp_path: Path) -> None:
    """It uses teamd's activebackup team with both NICs of each host, shows a cable pulled and put back, and Ctrl-C
    leaves nothing.
    """
    before = left_over(tmp_path)
    assert demo.stdout
    seen = ""
    for line in demo.stdout:
        print(line, end="")
        seen += line
        if RUNNING in line:
            break
    while_running = left_over(tmp_path)
    os.killpg(demo.pid, signal.SIGINT)
    rest = demo.communicate(timeout=30)[0]
    assert demo.returncode == 128 + signal.SIGINT and "everything is removed" in rest, rest
    assert RUNNING in seen and "FAIL" not in seen and "no team driver" not in seen
    assert re.search(r"device \w+h1, runner activebackup \(by teamd\), teamd alive", seen)
    for claim in (
        "h1 has sent by both NICs: ",
        "h1 has received by both NICs: ",
        "h2 has received by both NICs: ",
        "teamd has noticed: its active port is a1 now",
        "vswitchd does not use a0: no link; 192.0.2.11 is at a1 now",
        "vswitchd uses a0 as before: 192.0.2.11 is back",
    ):
        assert f" ok  {claim}" in seen, claim
    assert len(while_running["teamd"].split()) == 2, while_running
    assert left_over(tmp_path) == before
