# SPDX-License-Identifier: BSD-3-Clause
"""vhu-peer: our own vhost-user front-end, for guests without a machine and for odd ones."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .netns import Netns
from .netns_guest import NetnsGuest
from .process import Process
from .programs import program
from .wait import Timeout


class Peer:
    """One vhu-peer process with one port; its reports are collected."""

    def __init__(self, host: Netns, name: str, socket: Path, options: Mapping[str, object]) -> None:
        self.name = name
        self._events: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        group = ",".join(f"{key}={value}" for key, value in {"socket": socket, "name": name, **options}.items())
        self.process: Process = host.start(f"{name}-peer", [program("vhu-peer"), "--port", group],
                                           on_line=self._line)

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
                if self.process.status is not None:
                    raise AssertionError(f"{self.name}: vhu-peer ended with status {self.process.status}\n"
                                         f"{self.process.tail()}")
                if not self._changed.wait(0.2) and time.monotonic() >= end:
                    raise Timeout(f"{self.name}: no report '{name}' within {timeout:g} s\n{self.process.tail()}")

    def clear(self) -> None:
        with self._changed:
            self._events.clear()

    def stop(self) -> None:
        self.process.stop()

    def _line(self, line: str) -> None:
        if line.startswith("{"):
            with self._changed:
                self._events.append(json.loads(line))
                self._changed.notify_all()


class TapGuest(NetnsGuest):
    """A namespace whose eth0 is a tap device that vhu-peer joins to a vhost-user port."""

    def __init__(self, host: Netns, name: str, socket: Path, mac: str, options: Mapping[str, object] | None = None
                 ) -> None:
        super().__init__(host.run, name, mac)
        self._host = host
        self._socket = socket
        self._options = {"server": 1, "mode": "tap", "tap": "eth0", "netns": self.netns.name, "mac": mac,
                         **(options or {})}
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
        if self._peer:
            self._peer.stop()

    def kill(self) -> None:
        self.peer.process.kill()
