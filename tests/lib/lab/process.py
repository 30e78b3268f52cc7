# SPDX-License-Identifier: BSD-3-Clause
"""Commands that end by themselves, and processes that are ended."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .run import Run
from .wait import Timeout

# The kernel ends the process if ours dies without doing so.
_BOUND = ["setpriv", "--pdeathsig", "KILL", "--"]


@dataclass(frozen=True)
class Result:
    """Exit status (128 + signal if killed) and what was written to stdout and stderr."""

    status: int
    output: str

    @property
    def ok(self) -> bool:
        return self.status == 0


def in_netns(argv: Sequence[str], netns: str | None) -> list[str]:
    """The same command inside a named network namespace."""
    return ["ip", "netns", "exec", netns, *argv] if netns else list(argv)


def sh(
    argv: Sequence[str] | str,
    netns: str | None = None,
    check: bool = True,
    timeout: float = 30.0,
    stdin: str = "",
) -> Result:
    """Runs a command (a string is split like a shell does) to its end."""
    words = shlex.split(argv) if isinstance(argv, str) else list(argv)
    full = in_netns([*_BOUND, *words], netns)
    try:
        done = subprocess.run(
            full,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        text = (
            (late.stdout or b"").decode(errors="replace")
            if isinstance(late.stdout, bytes)
            else late.stdout or ""
        )
        raise Timeout(f"{shlex.join(words)}: not done within {timeout:g} s\n{text}") from None
    result = Result(_status(done.returncode), done.stdout)
    if check and not result.ok:
        raise AssertionError(f"{shlex.join(words)}: status {result.status}\n{result.output}")
    return result


def _status(code: int) -> int:
    return 128 - code if code < 0 else code


class Process:
    """A process in a session of its own, its output in a log file. Ends with the run at the latest.

    Start it on a thread that lives on: the kernel ends it with the thread that started it. With `on_line`
    every line of stdout is handed over as it comes (on a thread of its own); otherwise it goes to the log
    with stderr.
    """

    def __init__(
        self,
        run: Run,
        name: str,
        argv: Sequence[str],
        netns: str | None = None,
        env: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        self.name = name
        self.argv = list(argv)
        self.log: Path = run.logs / f"{name}.log"
        self._run = run
        self._on_line = on_line
        with open(self.log, "ab") as log:
            log.write(f"+ {shlex.join(argv)}\n".encode())
            log.flush()
            self._popen = subprocess.Popen(  # pylint: disable=consider-using-with
                in_netns([*_BOUND, *argv], netns),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if on_line else log,
                stderr=log,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, daemon=True) if on_line else None
        if self._reader:
            self._reader.start()
        run.defer(self.kill)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def status(self) -> int | None:
        """Exit status, None as long as it runs."""
        code = self._popen.poll()
        return None if code is None else _status(code)

    @property
    def reading(self) -> bool:
        """Lines of its output are still coming."""
        return self._reader is not None and self._reader.is_alive()

    def send_signal(self, number: int) -> None:
        """To this process only, not to its children."""
        if self._popen.poll() is None:
            os.kill(self.pid, number)

    def wait(self, timeout: float = 10.0) -> int:
        """Its exit status, once it ended by itself."""
        try:
            self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Timeout(f"{self.name} did not end within {timeout:g} s\n{self.tail()}") from None
        self._ended()
        assert self.status is not None
        return self.status

    def stop(self, timeout: float = 10.0, number: int = signal.SIGTERM) -> int:
        """Asks it to end, and returns its exit status. Kills it and fails if it does not."""
        self.send_signal(number)
        try:
            return self.wait(timeout)
        finally:
            self.kill()

    def kill(self) -> None:
        """Ends it and what it started, whatever state it is in."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        self._popen.wait()
        self._ended()

    def tail(self, lines: int = 40) -> str:
        """The end of its log, for error messages."""
        text = self.log.read_text(errors="replace").splitlines()
        return "\n".join([f"--- {self.log}", *text[-lines:]])

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def cpu_share(self, during: float) -> float:
        """Cores it uses, measured over so many seconds."""
        before, start = self.cpu_seconds(), time.monotonic()
        time.sleep(during)
        return (self.cpu_seconds() - before) / (time.monotonic() - start)

    def _ended(self) -> None:
        if self._reader:
            self._reader.join(5)
        self._run.forget(self.kill)

    def _read(self) -> None:
        assert self._popen.stdout and self._on_line
        with open(self.log, "ab", buffering=0) as log:
            for raw in self._popen.stdout:
                log.write(raw)
                self._on_line(raw.decode(errors="replace").rstrip("\n"))
