# SPDX-License-Identifier: BSD-3-Clause
"""vhu-peer: our own vhost-user front-end, for guests without a machine and for odd ones."""

from __future__ import annotations

import json
import socket as sockets
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .netns import Netns
from .netns_guest import NetnsGuest
from .process import Process
from .programs import program
from .wait import Timeout


class Peer:
    """One vhu-peer process with one port; its reports are collected. `flags` are arguments besides the
    port's.
    """

    def __init__(
        self, host: Netns, name: str, socket: Path, options: Mapping[str, object], flags: Sequence[str] = ()
    ) -> None:
        self.name = name
        self._control = host.run.directory / f"{name}-peer.ctl"
        self._events: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._listening = threading.Event()
        group = ",".join(
            f"{key}={value}" for key, value in {"socket": socket, "name": name, **options}.items()
        )
        self.process: Process = host.start(
            f"{name}-peer",
            [program("vhu-peer"), "--control", str(self._control), *flags, "--port", group],
            on_line=self._line,
        )

    def events(self, name: str = "") -> list[dict[str, Any]]:
        with self._changed:
            return [event for event in self._events if name in ("", event.get("event"))]

    def wait(self, name: str, timeout: float = 20.0) -> dict[str, Any]:
        """The first report of this kind."""
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                for event in self._events:
                    if event.get("event") == name:
                        return event
                if self.process.status is not None and not self.process.reading:
                    raise AssertionError(
                        f"{self.name}: vhu-peer ended with status {self.process.status}\n"
                        f"{self.process.tail()}"
                    )
                if not self._changed.wait(0.2) and time.monotonic() >= end:
                    raise Timeout(
                        f"{self.name}: no report '{name}' within {timeout:g} s\n{self.process.tail()}"
                    )

    def clear(self) -> None:
        with self._changed:
            self._events.clear()

    def command(self, command: str, argument: object = "") -> dict[str, Any]:
        """A command of vhu-peer on this port ("stats", "rate", "queues"...); the reply, which says ok."""
        assert self._listening.wait(20.0), f"{self.name}: vhu-peer takes no commands\n{self.process.tail()}"
        with sockets.socket(sockets.AF_UNIX) as control:
            control.settimeout(20.0)
            control.connect(str(self._control))
            control.sendall(f"{command} {self.name} {argument}\n".encode())
            reply: dict[str, Any] = json.loads(control.makefile().readline())
        assert reply["ok"], f"{self.name}: {command} {argument}: {reply['error']}"
        return reply

    def stats(self) -> dict[str, Any]:
        return self.command("stats")

    def stop(self) -> dict[str, Any]:
        """Ends it; its last figures, nothing if it was dead already."""
        self.process.stop()
        return next(iter(self.events("final")), {})

    def _line(self, line: str) -> None:
        if not line.startswith("{"):
            return
        event = json.loads(line)
        if event.get("event") == "listening":
            self._listening.set()
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()


class TapGuest(NetnsGuest):
    """A namespace whose eth0 is a tap device that vhu-peer joins to a vhost-user port."""

    def __init__(
        self, host: Netns, name: str, socket: Path, mac: str, options: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(host.run, name, mac)
        self._host = host
        self._socket = socket
        self._options = {
            "server": 1,
            "mode": "tap",
            "tap": "eth0",
            "netns": self.netns.name,
            "mac": mac,
            **(options or {}),
        }
        self._peer: Peer | None = None

    @property
    def peer(self) -> Peer:
        assert self._peer, f"{self.name} is not powered on"
        return self._peer

    def power_on(self) -> None:
        self.forget_device()
        self._peer = Peer(self._host, self.name, self._socket, self._options)

    def wait_ready(self) -> None:
        self.peer.wait("ready")

    def stop(self) -> None:
        if self._peer and self._peer.process.status is None:
            self._peer.stop()
            final = self._peer.wait("final")
            assert (
                not final["broken"] and not final["violations"]
            ), f"{self.name}: the switch broke the rules: {final}"

    def kill(self) -> None:
        self.peer.process.kill()
