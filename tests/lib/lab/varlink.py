# SPDX-License-Identifier: BSD-3-Clause
"""The control socket without vswitchctl: calls as data, replies as data, events as they come."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .wait import Timeout

INTERFACE = "org.vswitchd"


class CallError(AssertionError):
    """The daemon refused a call: `name` without the interface, `text` says why."""

    def __init__(self, method: str, name: str, text: str) -> None:
        super().__init__(f"{method}: {name}: {text}")
        self.name = name
        self.text = text


class Connection:
    """One connection; one call at a time."""

    def __init__(self, path: Path, timeout: float = 20.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(timeout)
        self._socket.connect(str(path))
        self._buffer = b""

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The only reply."""
        self.send(method, parameters, more=False)
        return self._reply(method)[0]

    def stream(self, method: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """All replies of a method that gives many."""
        self.send(method, parameters, more=True)
        yield from self.replies(method)

    def replies(self, method: str) -> Iterator[dict[str, Any]]:
        """Of a call that was sent with `more`."""
        continues = True
        while continues:
            reply, continues = self._reply(method)
            yield reply

    def send(self, method: str, parameters: dict[str, Any], more: bool) -> None:
        message: dict[str, Any] = {"method": f"{INTERFACE}.{method}", "parameters": parameters}
        if more:
            message["more"] = True
        self._socket.sendall(json.dumps(message).encode() + b"\0")

    def close(self) -> None:
        """Also from another thread: a stream under way ends with an OSError or at its end."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()

    def settimeout(self, seconds: float | None) -> None:
        self._socket.settimeout(seconds)

    def _reply(self, method: str) -> tuple[dict[str, Any], bool]:
        while b"\0" not in self._buffer:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError(f"{method}: the daemon closed the connection")
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        reply = json.loads(message)
        if "error" in reply:
            text = str(reply.get("parameters", {}).get("text", ""))
            raise CallError(method, reply["error"].removeprefix(f"{INTERFACE}."), text)
        return reply.get("parameters", {}), bool(reply.get("continues"))


class Events:
    """Everything that happens from now on."""

    def __init__(self, path: Path) -> None:
        self._seen: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._connection = Connection(path)
        self._connection.settimeout(None)
        self._connection.send("Events", {"follow": True}, more=True)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        # the daemon takes calls in the order they come: once it answers this one, it has the other
        other = Connection(path)
        other.call("Version")
        other.close()

    def seen(self, name: str = "", **values: str) -> list[dict[str, Any]]:
        """Events of this name with these values; an underscore stands for a dash."""
        with self._changed:
            return [event for event in self._seen if _matches(event, name, values)]

    def wait(self, name: str, timeout: float = 10.0, **values: str) -> dict[str, Any]:
        """The first such event."""
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                found = next((event for event in self._seen if _matches(event, name, values)), None)
                if found is not None:
                    return found
                if not self._changed.wait(max(0.0, end - time.monotonic())) and time.monotonic() >= end:
                    raise Timeout(f"no event {name} {values} within {timeout:g} s, only {self._seen}")

    def clear(self) -> None:
        with self._changed:
            self._seen.clear()

    def close(self) -> None:
        self._connection.close()
        self._thread.join(5)

    def _read(self) -> None:
        try:
            for reply in self._connection.replies("Events"):
                with self._changed:
                    self._seen.append(_flat(reply.get("event", reply)))
                    self._changed.notify_all()
        except (OSError, ConnectionError):
            pass


def _flat(event: dict[str, Any]) -> dict[str, Any]:
    """The event with its nested members at the top."""
    flat: dict[str, Any] = {}
    for key, value in event.items():
        flat.update(value if isinstance(value, dict) else {key: value})
    return flat


def _matches(event: dict[str, Any], name: str, values: dict[str, str]) -> bool:
    return name in ("", event.get("name")) and all(
        str(event.get(key.replace("_", "-"))) == value for key, value in values.items()
    )
