# SPDX-License-Identifier: BSD-3-Clause
"""Child processes: each in a group of its own with its output in a log, none of them outliving us."""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .report import Report

_PR_SET_CHILD_SUBREAPER = 36
HEARTBEAT_SECONDS = 20.0
GRACE_SECONDS = 15.0
_BOUND = ["setpriv", "--pdeathsig", "INT", "--"]  # should we be killed, children get the signal to clean up


stopping = threading.Event()  # commands under way, on whatever thread, are to end


class Interrupted(BaseException):
    """SIGINT, SIGTERM or SIGHUP came."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def adopt_orphans() -> None:
    """Whatever our children leave behind becomes our child, so that end_all() finds it."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_all() -> int:
    """Kills every child we still have, theirs come to us and follow. How many there were."""
    ended = 0
    while children := _children():
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                pass
            ended += 1
    return ended


def _children() -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{os.getpid()}/task").iterdir():
        try:
            found += map(int, (task / "children").read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            pass  # a thread that has just ended; its children are another's now
    return found


@dataclass(frozen=True)
class Done:
    """How a command ended: `status` is None when its time ran out."""

    status: int | None
    seconds: float
    log: Path

    def text(self) -> str:
        return self.log.read_text(errors="replace")


def run(
    report: Report,
    name: str,
    argv: Sequence[str],
    log: Path,
    timeout: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Done:
    """Runs a command to its end. `progress` is called several times a second meanwhile.

    Interrupted or out of time, the whole process group gets SIGINT, and SIGKILL after a grace.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with open(log, "wb") as output:
        output.write(f"+ {shlex.join(argv)}\n".encode())
        output.flush()
        child = subprocess.Popen(
            [*_BOUND, *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
    timed_out = False
    try:
        while child.poll() is None and not stopping.is_set():
            progress()
            now = time.monotonic()
            if now - start > timeout:
                timed_out = True
                break
            if now - report.last_output > HEARTBEAT_SECONDS:
                report.line(f".... {name}: running for {now - start:.0f} s{_last_line(log)}")
            _wait(child, 0.2)
    finally:
        _end_group(child)
    progress()
    seconds = time.monotonic() - start
    if stopping.is_set():
        return Done(None, seconds, log)
    if timed_out:
        with open(log, "ab") as output:
            output.write(f"\nended: not done within {timeout:g} s\n".encode())
    return Done(None if timed_out else child.returncode, seconds, log)


def _wait(child: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        pass


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """Lets a running child clean up; kills what is left of its group in any case."""
    if child.poll() is None:
        _signal_group(child.pid, signal.SIGINT)
        _wait(child, GRACE_SECONDS)
    _signal_group(child.pid, signal.SIGKILL)
    child.wait()


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        pass


def _last_line(log: Path) -> str:
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - 400))
        lines = file.read().decode(errors="replace").split("\n")
    text = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f": {text[:100]}" if text else ""
