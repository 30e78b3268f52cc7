# SPDX-License-Identifier: BSD-3-Clause
"""A host under test: a namespace with NICs on the underlay, and vswitchd in it."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import Any

from . import conf
from .netns import Netns
from .notify import NotifySocket
from .process import Process, Result, sh
from .programs import build_directory, program
from .run import Run
from .underlay import Cable, Underlay
from .varlink import Connection, Events
from .wait import until

START_SECONDS = 30.0
_LOST = re.compile(r"\d+ packet buffers were lost")
_SANITIZER = re.compile(r"ERROR: (Address|Leak|Thread)Sanitizer|: runtime error: |SUMMARY: \w+Sanitizer")


class Host:
    """`config` is the configuration as data: change it, then start() or reload()."""

    def __init__(self, run: Run, underlay: Underlay, name: str, nics: int = 2) -> None:
        self.name = name
        self.netns = Netns(run, name)
        self.cables: list[Cable] = [underlay.attach(self.netns, f"a{number}") for number in range(nics)]
        self.directory: Path = run.directory / name
        self.run_directory = self.directory / "run"
        self.sockets = self.run_directory / "ports"
        self.sockets.mkdir(parents=True)
        self.config_file = self.directory / "vswitchd.conf"
        self.config: dict[str, Any] = {
            "host": {"id": name},
            "paths": {"run-dir": str(self.run_directory), "state-dir": str(self.directory / "state")},
            "memory": {"mbufs": 8192, "hugepages": "off"},
            "team": {"mode": "independent"},
            "members": [],
            "provider-addresses": [],
            "ports": [],
            "hosts": [],
            "subnets": [],
            "records": [],
        }
        self.program = "vswitchd"
        self.wrapper: list[str] = []  # a command that starts it, as "setpriv ... --"
        self.control = self.run_directory / "control"
        self.process: Process | None = None
        self.notify: NotifySocket | None = None
        self._run = run
        self._starts = 0

    # ---- life ----

    def write_config(self) -> Path:
        self.config_file.write_text(conf.render(self.config))
        return self.config_file

    def check(self) -> Result:
        """`vswitchd --check`: nothing is started."""
        return sh([program(self.program), "--check", str(self.write_config())], self.netns.name, check=False)

    def start(self, ready: bool = True) -> Process:
        """Starts vswitchd; with `ready`, returns when ports and policy are up."""
        assert self.process is None or self.process.status is not None, f"{self.name} runs already"
        self._starts += 1
        if self.notify:
            self.notify.close()
        self.notify = NotifySocket(self.directory / f"notify{self._starts}")
        self._run.defer(self.notify.close)
        self.process = self.netns.start(
            f"{self.name}-vswitchd",
            [*self.wrapper, program(self.program), "--config", str(self.write_config())],
            env={
                "NOTIFY_SOCKET": str(self.notify.path),
                "VSWITCHD_XDP_PROG": str(build_directory() / "teaming/nvgre.bpf.o"),
            },
        )
        if ready:
            self.wait_ready()
        return self.process

    def wait_ready(self, timeout: float = START_SECONDS) -> None:
        assert self.notify
        self.notify.wait("READY=1", timeout, self.process)

    def stop(self) -> None:
        """An orderly end: exit status 0, no report of a sanitizer."""
        assert self.process
        status = self.process.stop(20.0)
        self._check_log()
        assert status == 0, f"{self.name}: vswitchd ended with status {status}\n{self.process.tail()}"

    def kill(self) -> None:
        """kill -9."""
        assert self.process
        self.process.kill()
        self._check_log()

    def restart(self, hard: bool = False) -> None:
        """Ends and starts it again, with what the configuration is by now."""
        if hard:
            self.kill()
        else:
            self.stop()
        self.start()

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.status is None

    def log(self) -> str:
        assert self.process
        return self.process.log.read_text(errors="replace")

    def _check_log(self) -> None:
        lost = _LOST.search(self.log())
        assert not lost, f"{self.name}: {lost[0]}"
        found = _SANITIZER.search(self.log())
        if found:
            at = self.log()[max(0, found.start() - 2000) : found.end() + 4000]
            raise AssertionError(f"{self.name}: vswitchd's log has a sanitizer report\n{at}")

    def reload(self) -> Result:
        """Writes the configuration and has it applied."""
        self.write_config()
        return self.ctl_text("reload", check=False)

    def reload_by_signal(self) -> None:
        """SIGHUP; returns when the daemon says that it is done."""
        assert self.notify and self.process
        self.write_config()
        self.notify.clear()
        self.process.send_signal(signal.SIGHUP)
        self.notify.wait("RELOADING=1", 10)
        self.notify.wait("READY=1", 10, self.process)

    # ---- control ----

    def ctl_text(self, *words: str, check: bool = True, timeout: float = 30.0) -> Result:
        """vswitchctl for people."""
        return sh(
            [program("vswitchctl"), "--socket", str(self.control), *words], check=check, timeout=timeout
        )

    def ctl(self, *words: str, timeout: float = 30.0) -> Any:
        """vswitchctl --json, as data."""
        output = self.ctl_text("--json", *words, timeout=timeout).output
        try:
            return json.loads(output) if output.strip() else None
        except json.JSONDecodeError:
            raise AssertionError(f"vswitchctl --json {' '.join(words)}: no JSON:\n{output}") from None

    def refused(self, *words: str) -> str:
        """Asserts that a command fails with exit status 1, and returns what it says."""
        result = self.ctl_text(*words, check=False)
        assert result.status == 1, f"vswitchctl {' '.join(words)}: status {result.status}\n{result.output}"
        return result.output

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A method of the control socket."""
        connection = Connection(self.control)
        try:
            return connection.call(method, **parameters)
        finally:
            connection.close()

    def stream(self, method: str, **parameters: Any) -> list[dict[str, Any]]:
        """A method that gives many replies."""
        connection = Connection(self.control)
        try:
            return list(connection.stream(method, **parameters))
        finally:
            connection.close()

    def objects(self, kind: str) -> list[dict[str, Any]]:
        """All objects of a kind ("lookup-record"), with their origin."""
        replies = self.stream("List", kind=kind)
        # the last reply of a stream that has nothing (more) is empty
        return [{**reply["object"], "origin": reply["origin"]} for reply in replies if reply]

    def ports(self) -> dict[str, dict[str, Any]]:
        """Ports by id, with their state."""
        return {reply["port"]["id"]: reply["port"] for reply in self.stream("Ports") if reply}

    def wait_port(self, name: str, state: str = "active", timeout: float = 20.0) -> None:
        until(
            lambda: self.ports().get(name, {}).get("state") == state,
            f"port {name} of {self.name} is {state}",
            timeout,
        )

    def team(self) -> dict[str, Any]:
        """Members, provider addresses, buckets."""
        team: dict[str, Any] = self.call("Team")["team"]
        return team

    def provider_address_states(self) -> dict[str, str]:
        """Address -> result of duplicate address detection."""
        return {str(pa["address"]): str(pa["state"]) for pa in self.team()["provider-addresses"]}

    def wait_provider_addresses(self) -> None:
        """Until duplicate address detection is through with all of them."""

        def settled() -> bool:
            return "tentative" not in self.provider_address_states().values()

        until(settled, f"duplicate address detection on {self.name}")

    def reachable_neighbours(self) -> set[str]:
        """Addresses on the provider network whose MAC is known."""
        known: list[dict[str, Any]] = self.call("Neighbours")["neighbours"]
        return {str(each["address"]) for each in known if each["state"] == "reachable"}

    def drops(self) -> dict[str, int]:
        """Named drops of the whole host."""
        return {row["name"]: int(row["packets"]) for row in self.call("Drops", all=True)["drops"]}

    def watch_drops(self) -> DropWatch:
        """What is dropped from now on."""
        return DropWatch(self)

    def follow(self) -> Events:
        """Events from now on."""
        events = Events(self.control)
        self._run.defer(events.close)
        return events


class DropWatch:
    """What was dropped since a point in time."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._before = host.drops()

    def since(self) -> dict[str, int]:
        """Reasons that counted, with how much."""
        now = self._host.drops()
        return {
            name: count - self._before.get(name, 0)
            for name, count in now.items()
            if count != self._before.get(name, 0)
        }

    def wait(self, reason: str, at_least: int = 1, timeout: float = 5.0) -> int:
        """Until so many packets were dropped for this reason."""
        return until(
            lambda: self.since().get(reason, 0) if self.since().get(reason, 0) >= at_least else 0,
            f"{at_least} x {reason} on {self._host.name}",
            timeout,
        )
