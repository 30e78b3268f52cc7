# SPDX-License-Identifier: BSD-3-Clause
"""Options of the kernel's team driver, read and followed by generic netlink, without a process per question."""

from __future__ import annotations

import socket
import struct
import threading
import time
from dataclasses import dataclass

from .netns import Netns
from .wait import Timeout


@dataclass(frozen=True)
class OptionChange:
    """The driver said what an option is: when (wall clock, microseconds), which, of which port (0: the team's)."""

    when: int
    name: str
    port: int
    value: int


_GENL_ID_CTRL, _CTRL_GETFAMILY = 16, 3
_FAMILY_ID, _FAMILY_NAME, _GROUPS, _GROUP_NAME, _GROUP_ID = 1, 2, 7, 1, 2
_LIST_OPTION, _LIST_PORT = 2, 3
_PORT_IFINDEX, _PORT_LINKUP = 1, 3
_OPTION_NAME, _OPTION_DATA, _OPTION_PORT = 1, 4, 6
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_NETLINK_GENERIC, _SO_RCVBUFFORCE = 16, 33
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_OPTIONS_GET, _TEAM_IFINDEX = 2, 1


class OptionMonitor:
    """Options of the team driver in one namespace as they are told to everybody (also to libteam), with the time they
    arrived here.
    """

    def __init__(self, netns: Netns) -> None:
        self._socket = _open(netns)
        self._seen: list[OptionChange] = []
        self._changed = threading.Condition()
        self._closed = False
        groups = _attributes(_family(self._socket).get(_GROUPS, b"")).values()
        numbers = {each[_GROUP_NAME]: each[_GROUP_ID] for each in map(_attributes, groups)}
        number = int.from_bytes(numbers[b"change_event\0"], "little")
        self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, number)
        self._socket.settimeout(0.2)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        netns.run.defer(self.close)

    def mark(self) -> int:
        with self._changed:
            return len(self._seen)

    def wait(self, name: str, port: int, value: int, since: int = 0, timeout: float = 10.0) -> OptionChange:
        """The first message since the mark that says so."""
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                for change in self._seen[since:]:
                    if (change.name, change.port, change.value) == (name, port, value):
                        return change
                if not self._changed.wait(max(0.0, end - time.monotonic())) and time.monotonic() >= end:
                    raise Timeout(f"{name} of port {port} is not {value} within {timeout:g} s: {self._seen[since:]}")

    def close(self) -> None:
        self._closed = True
        self._thread.join()
        self._socket.close()

    def _read(self) -> None:
        while not self._closed:
            try:
                data = self._socket.recv(1 << 20)
            except TimeoutError:
                continue
            except OSError:  # ENOBUFS: too much at a time, some of it is lost
                continue
            now = time.time_ns() // 1000
            with self._changed:
                self._seen += _options(data, now)
                self._changed.notify_all()


def options(netns: Netns, device: int) -> list[OptionChange]:
    """What all options of a team device are now; nothing if there is no such device."""
    found: list[OptionChange] = []
    with _open(netns) as asker:
        family = int.from_bytes(_family(asker)[_FAMILY_ID], "little")
        body = struct.pack("BBH", _OPTIONS_GET, 1, 0) + _attribute(_TEAM_IFINDEX, struct.pack("=I", device))
        asker.send(struct.pack("=IHHII", 16 + len(body), family, 1, 2, 0) + body)
        while True:
            data = asker.recv(1 << 20)
            while len(data) >= 16:
                length, kind = struct.unpack_from("=IH", data)
                if kind in (_NLMSG_ERROR, _NLMSG_DONE):
                    return found
                found += _options(data[:length], 0)
                data = data[(length + 3) & ~3 :]


def _open(netns: Netns) -> socket.socket:
    with netns.entered():
        opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_GENERIC)
    opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 8 << 20)
    opened.settimeout(10)
    opened.bind((0, 0))
    return opened


def _family(asker: socket.socket) -> dict[int, bytes]:
    """What the kernel tells of the generic netlink family "team"."""
    body = struct.pack("BBH", _CTRL_GETFAMILY, 2, 0) + _attribute(_FAMILY_NAME, b"team\0")
    asker.send(struct.pack("=IHHII", 16 + len(body), _GENL_ID_CTRL, 1, 1, 0) + body)
    answer = asker.recv(65536)
    assert struct.unpack_from("=H", answer, 4)[0] != _NLMSG_ERROR, "the kernel has no team driver"
    return _attributes(answer[20:])


def _attribute(kind: int, data: bytes) -> bytes:
    return (struct.pack("=HH", 4 + len(data), kind) + data).ljust((4 + len(data) + 3) & ~3, b"\0")


def _walk(data: bytes) -> list[tuple[int, bytes]]:
    """Netlink attributes in order."""
    found = []
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            break
        found.append((kind & 0x3FFF, data[at + 4 : at + length]))
        at += (length + 3) & ~3
    return found


def _attributes(data: bytes) -> dict[int, bytes]:
    return dict(_walk(data))


def _options(data: bytes, when: int) -> list[OptionChange]:
    """Options of one message that are numbers or flags; a flag that is not there is false. A port's link counts as an
    option "link".
    """
    found = []
    for kind, items in _walk(data[20:]):
        for _, item in _walk(items):
            fields = _attributes(item)
            if kind == _LIST_OPTION:
                name = fields.get(_OPTION_NAME, b"").rstrip(b"\0").decode()
                raw = fields.get(_OPTION_DATA)
                value = int(raw is not None) if not raw else int.from_bytes(raw[:4], "little")
                port = fields.get(_OPTION_PORT, b"")
            elif kind == _LIST_PORT:
                name, value, port = "link", int(_PORT_LINKUP in fields), fields.get(_PORT_IFINDEX, b"")
            else:
                continue
            found.append(OptionChange(when, name, int.from_bytes(port, "little"), value))
    return found
