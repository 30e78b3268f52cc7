# SPDX-License-Identifier: BSD-3-Clause
"""packaging/quickstart, with guests that boot at once: what it proves, and that nothing remains of it. The case with a
real team is in tests/vm.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.process import sh
from lab.programs import SOURCE
from lab.run import BASE, EAL, TEAMD

QUICKSTART = str(SOURCE / "packaging/quickstart")
MARK = "QUICKSTART_UNDER_TEST"


@contextmanager
def started(*argv: str, temporary: Path) -> Iterator[subprocess.Popen[str]]:
    """In a process group of its own, as a terminal has it; all its processes can be told by their environment."""
    with subprocess.Popen(
        argv,
        env={**os.environ, MARK: str(temporary), "TMPDIR": str(temporary)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def assert_nothing_left(output: str, temporary: Path) -> None:
    """Neither processes nor namespaces nor files of the run that `output` tells of."""
    found = re.search(r"in the namespaces (\w+)-h1", output)
    assert found, output
    mark = f"{MARK}={temporary}".encode()
    left = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in path.read_bytes().split(b"\0"):
                left.append((path.parent / "cmdline").read_bytes())
        except OSError:  # it is just ending
            pass
    assert not left
    assert found[1] not in sh("ip netns list").output
    assert not [path for where in (BASE, EAL, TEAMD, temporary) for path in where.glob("*") if ours(path, found[1])]


def ours(path: Path, run: str) -> bool:
    return run in path.name or path.name.startswith("vswitchd-quickstart-")


def test_quickstart(tmp_path: Path) -> None:
    """Every claim is proved, with the exit status of a success."""
    with started(QUICKSTART, "--yes", "--light", temporary=tmp_path) as process:
        output = process.communicate(timeout=150)[0]
    print(output)
    proved = re.search(r"^(\d+) of (\d+) claims proved", output, re.MULTILINE)
    assert process.returncode == 0 and proved and proved[1] == proved[2], output
    real = "teamd alive" in output
    assert real != ("the NICs are members by configuration" in output)
    assert f"provider {'libteam' if real else 'static'}, mode independent, 2 of 2 members usable" in output
    for claim in ("A: a1 on h1 reaches a2 on h2", "A: a1 does not: no answer", "vswitchd does not use a0: no link"):
        assert f" ok  {claim}" in output, claim
    assert_nothing_left(output, tmp_path)


@pytest.mark.parametrize("at", ["vswitchd on h1 and h2", "starting 5 guests", "iperf3 from a1 to a2"])
def test_ctrl_c(tmp_path: Path, at: str) -> None:
    """Whatever is under way, Ctrl-C ends it at once and removes everything."""
    output = ""
    with started(
        sys.executable, "-m", "lab.quickstart", "--built", "--light", "--keep", temporary=tmp_path
    ) as process:
        assert process.stdout
        for line in process.stdout:
            output += line
            if at in line:
                break
        os.killpg(process.pid, signal.SIGINT)
        output += process.communicate(timeout=20)[0]
    assert at in output and process.returncode == 128 + signal.SIGINT, output
    assert output.endswith("quickstart: SIGINT: everything is removed\n"), output
    assert_nothing_left(output, tmp_path)


def test_arguments() -> None:
    """It tells what it knows, and starts nothing with what it does not know."""
    assert "--light" in sh([QUICKSTART, "--help"]).output
    refused = sh([QUICKSTART, "--lite"], check=False)
    assert refused.status == 1 and '"--lite"' in refused.output
