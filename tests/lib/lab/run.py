# SPDX-License-Identifier: BSD-3-Clause
"""One test run: a unique prefix for everything it makes, a directory, and the order in which all of it goes
away.

Everything is found again by the prefix. A run holds a lock as long as it lives; sweep() removes what runs
left behind whose lock nobody holds any more.
"""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import string
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO

BASE = Path("/run/vswitchd-tests")
EAL = Path("/run/dpdk")
TEAMD = Path("/run/teamd")
PREFIX = "vt"


class Run:
    """Owns a directory below /run (socket paths stay short) and a list of clean-up actions."""

    def __init__(self, logs: Path | None = None) -> None:
        sweep()
        self.id, self._lock = _claim()
        self.directory = BASE / self.id
        self.directory.mkdir(mode=0o700)
        self.logs = logs or self.directory / "log"
        self.logs.mkdir(parents=True, exist_ok=True)
        self._undo: list[Callable[[], object]] = []

    def defer(self, undo: Callable[[], object]) -> None:
        """`undo` runs at close(), the latest first."""
        self._undo.append(undo)

    def forget(self, undo: Callable[[], object]) -> None:
        """An action that was done early."""
        if undo in self._undo:
            self._undo.remove(undo)

    def mark(self) -> int:
        """A point to which unwind() goes back."""
        return len(self._undo)

    def unwind(self, mark: int = 0) -> None:
        """Undoes everything since the mark. One that fails does not keep the others; the first error is
        raised.
        """
        first: BaseException | None = None
        while len(self._undo) > mark:
            undo = self._undo.pop()
            try:
                undo()
            except BaseException as error:  # pylint: disable=broad-exception-caught
                if first is None:
                    first = error
                else:
                    traceback.print_exception(error, file=sys.stderr)
        if first is not None:
            raise first

    def close(self) -> None:
        """Undoes everything and lets go of prefix and directory."""
        try:
            self.unwind()
        finally:
            _remove(self.id)
            self._lock.close()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def sweep() -> list[str]:
    """Removes what dead runs left: processes in their namespaces, the namespaces, their directories."""
    swept = []
    for path in BASE.glob("*.lock"):
        try:
            lock = open(path, "a", encoding="ascii")  # pylint: disable=consider-using-with
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue
        with lock:
            _remove(path.stem)
            swept.append(path.stem)
    return swept


def _claim() -> tuple[str, IO[str]]:
    BASE.mkdir(mode=0o755, exist_ok=True)
    while True:
        name = PREFIX + "".join(random.choices(string.ascii_lowercase + string.digits, k=5))
        path = BASE / f"{name}.lock"
        lock = open(path, "x", encoding="ascii")  # pylint: disable=consider-using-with
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue
        if path.exists() and os.fstat(lock.fileno()).st_ino == path.stat().st_ino:
            return name, lock


def _remove(name: str) -> None:
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False).stdout
    for line in listed.splitlines():
        netns = line.split()[0] if line else ""
        if not netns.startswith(f"{name}-"):
            continue
        pids = subprocess.run(
            ["ip", "netns", "pids", netns], capture_output=True, text=True, check=False
        ).stdout
        for pid in pids.split():
            try:
                os.kill(int(pid), 9)
            except ProcessLookupError:
                pass
        subprocess.run(["ip", "netns", "delete", netns], check=False)
    shutil.rmtree(BASE / name, ignore_errors=True)
    for left in EAL.glob(f"*{name}*"):  # of a switch that was killed
        shutil.rmtree(left, ignore_errors=True)
    for left in TEAMD.glob(f"{name}*"):
        left.unlink(missing_ok=True)
    (BASE / f"{name}.lock").unlink(missing_ok=True)
