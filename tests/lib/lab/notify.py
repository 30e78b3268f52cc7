# SPDX-License-Identifier: BSD-3-Clause
"""The other end of sd_notify: a socket of the test's own."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

from .process import Process
from .wait import Timeout


class NotifySocket:
    """Collects the assignments (READY=1, STATUS=..., WATCHDOG=1) a service sends to $NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.bind(str(path))
        self._socket.settimeout(0.2)
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def lines(self) -> list[str]:
        with self._changed:
            return list(self._lines)

    def wait(self, line: str, timeout: float, alive: Process | None = None) -> None:
        """Until this assignment comes; fails at once when the service ended without it."""
        end = time.monotonic() + timeout
        with self._changed:
            while line not in self._lines:
                if alive and alive.status is not None:
                    raise AssertionError(
                        f"{alive.name} ended with status {alive.status} before {line}\n" f"{alive.tail()}"
                    )
                if time.monotonic() >= end:
                    tail = alive.tail() if alive else ""
                    raise Timeout(f"no {line} within {timeout:g} s, only {self._lines}\n{tail}")
                self._changed.wait(0.1)

    def clear(self) -> None:
        with self._changed:
            self._lines.clear()

    def close(self) -> None:
        self._closed = True
        self._thread.join()
        self._socket.close()
        self.path.unlink(missing_ok=True)

    def _read(self) -> None:
        while not self._closed:
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                continue
            with self._changed:
                self._lines += data.decode(errors="replace").split("\n")
                self._changed.notify_all()
