# SPDX-License-Identifier: BSD-3-Clause
"""teaming/ alone in a host's namespace: events as they come, answers to questions."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from .netns import Netns
from .process import in_netns
from .programs import build_directory
from .run import Run
from .wait import Timeout

REPLY_SECONDS = 20.0


class TeamTool:
    """The process; see tests/lab/teamtool.c for options and commands."""

    def __init__(self, run: Run, netns: Netns, *options: str, state: Path | None = None) -> None:
        argv = [str(build_directory() / "tests/lab/teamtool"), "--host", netns.short, *options]
        if state:
            state.mkdir(parents=True, exist_ok=True)
            argv += ["--state", str(state)]
        self.events: list[dict[str, Any]] = []
        self._replies: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._ended = False
        self.log = run.logs / f"teamtool-{netns.short}.log"
        with open(self.log, "ab") as log:
            self._popen = subprocess.Popen(  # pylint: disable=consider-using-with
                ["setpriv", "--pdeathsig", "KILL", "--", *in_netns(argv, netns.name)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={
                    **{name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")},
                    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                    "VSWITCHD_XDP_PROG": str(build_directory() / "teaming/nvgre.bpf.o"),
                },
            )
        self._run = run
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        run.defer(self.kill)

    # ---- commands ----

    def ask(self, command: str) -> dict[str, Any]:
        """One command, its answer."""
        assert self._popen.stdin
        with self._changed:
            before = len(self._replies)
        self._popen.stdin.write(command + "\n")
        self._popen.stdin.flush()
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._replies) > before or self._ended, REPLY_SECONDS):
                raise Timeout(f"teamtool: no answer to {command!r}\n{self.log.read_text()}")
            assert len(self._replies) > before, f"teamtool ended\n{self.log.read_text()}"
            return self._replies[-1]

    def remotes(self, *addresses: str) -> None:
        assert self.ask("remotes " + " ".join(addresses))["error"] == 0

    def path(self, address: str, member: int) -> dict[str, Any]:
        return self.ask(f"path {address} {member}")

    def status(self) -> dict[str, Any]:
        return self.ask("status")

    def provider_address(self, address: str) -> dict[str, Any]:
        found: dict[str, Any] = next(pa for pa in self.status()["pas"] if pa["address"] == address)
        return found

    def rx(self, member: int) -> dict[str, Any]:
        return self.ask(f"rx {member}")

    # ---- events ----

    def mark(self) -> int:
        """A point in the list of events."""
        with self._changed:
            return len(self.events)

    def wait(self, since: int = 0, timeout: float = 10.0, **fields: Any) -> dict[str, Any]:
        """The first event since the mark with these fields (a value may be a function)."""

        def matches(event: dict[str, Any]) -> bool:
            return all(
                value(event.get(key)) if callable(value) else event.get(key) == value
                for key, value in fields.items()
            )

        def first() -> dict[str, Any] | None:
            return next((event for event in self.events[since:] if matches(event)), None)

        with self._changed:
            if not self._changed.wait_for(lambda: first() is not None or self._ended, timeout):
                raise Timeout(f"teamtool: no event {fields} within {timeout:g} s; had {self.events[since:]}")
            found = first()
            assert found, f"teamtool ended\n{self.log.read_text()}"
            return found

    def wait_usable(self, count: int) -> None:
        self.wait(event="view", usable=count)

    def wait_preferred(self, *addresses: str) -> None:
        for address in addresses:
            deadline = time.monotonic() + 10
            while self.provider_address(address)["state"] != "preferred":
                assert time.monotonic() < deadline, self.status()
                self.wait(self.mark(), event="pa")

    # ---- life ----

    def quit(self) -> None:
        """An orderly end: all buffers are back."""
        assert self._popen.stdin
        self._popen.stdin.write("quit\n")
        self._popen.stdin.flush()
        status = self._popen.wait(20)
        self._reader.join(5)
        self._run.forget(self.kill)
        assert status == 0, self.log.read_text()

    def kill(self) -> None:
        """kill -9."""
        self._popen.kill()
        self._popen.wait()
        self._reader.join(5)
        self._run.forget(self.kill)

    def _read(self) -> None:
        assert self._popen.stdout
        for line in self._popen.stdout:
            message = json.loads(line)
            with self._changed:
                (self.events if "event" in message else self._replies).append(message)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()
