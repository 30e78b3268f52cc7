# SPDX-License-Identifier: BSD-3-Clause
"""QEMU's machine protocol: one command at a time, events kept."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

from .wait import Timeout


class Qmp:
    """Speaks on a connection QEMU made to us."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._buffer = b""
        self.events: list[dict[str, Any]] = []
        self._greeted = False

    def command(self, name: str, timeout: float = 10.0, **arguments: Any) -> Any:
        """Its return value. Raises RuntimeError with QEMU's words if it fails."""
        if not self._greeted:
            self._message(timeout)
            self._greeted = True
            self.command("qmp_capabilities", timeout)
        request = {"execute": name, "arguments": arguments}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            answer = self._message(timeout)
            if "error" in answer:
                raise RuntimeError(f"{name}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def wait_event(self, name: str, timeout: float = 10.0) -> dict[str, Any]:
        """The first event of this name not yet taken."""
        end = time.monotonic() + timeout
        while True:
            for event in self.events:
                if event["event"] == name:
                    self.events.remove(event)
                    return event
            self._message(max(0.01, end - time.monotonic()))

    def _message(self, timeout: float) -> dict[str, Any]:
        self._socket.settimeout(timeout)
        while b"\n" not in self._buffer:
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                raise Timeout(f"QEMU said nothing for {timeout:g} s") from None
            if not data:
                raise RuntimeError("QEMU is gone")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        if "event" in message:
            self.events.append(message)
        return message
