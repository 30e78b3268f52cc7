# SPDX-License-Identifier: BSD-3-Clause
"""Network namespaces: hosts, guests and the switch between them."""

from __future__ import annotations

import array
import ctypes
import errno
import fcntl
import json
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .iproute import IpError, Iproute
from .process import Process, Result, sh
from .run import Run

_CLONE_NEWNET = 0x40000000
_SIOCETHTOOL, _ETHTOOL_STXCSUM = 0x8946, 0x17
_SIOCGIFFLAGS, _IFF_RUNNING = 0x8913, 0x40
_libc = ctypes.CDLL(None, use_errno=True)
_here = Iproute()


@dataclass(frozen=True)
class Counters:
    """Packets and bytes of one interface, as its own side sees them."""

    rx_packets: int
    tx_packets: int
    rx_bytes: int
    tx_bytes: int

    def __sub__(self, other: Counters) -> Counters:
        return Counters(
            self.rx_packets - other.rx_packets,
            self.tx_packets - other.tx_packets,
            self.rx_bytes - other.rx_bytes,
            self.tx_bytes - other.tx_bytes,
        )


class Netns:
    """A namespace named after the run, with its loopback up."""

    def __init__(self, run: Run, short: str) -> None:
        self.run = run
        self.short = short
        self.name = f"{run.id}-{short}"
        self._ip = Iproute(self.name)
        _here.run(f"netns add {self.name}")
        run.defer(self.delete)
        self.ip("link set lo up")

    def delete(self) -> None:
        self.run.forget(self.delete)
        self._ip.close()
        try:
            _here.run(f"netns delete {self.name}")
        except IpError:
            pass

    def sh(self, argv: list[str] | str, check: bool = True, timeout: float = 30.0) -> Result:
        """A command inside, to its end."""
        return sh(argv, self.name, check, timeout)

    def start(self, name: str, argv: list[str], **options: Any) -> Process:
        """A process inside."""
        return Process(self.run, name, argv, self.name, **options)

    def ip(self, arguments: str, check: bool = True) -> str:
        """iproute2's ip on this namespace."""
        if arguments.startswith("-") or " show" in arguments:
            return sh(f"ip -n {self.name} {arguments}", check=check).output
        try:
            return self._ip.run(arguments)
        except IpError as error:
            if check:
                raise
            return str(error)

    def batch(self, *lines: str) -> None:
        """Several commands that change something; the first that fails ends it."""
        for line in lines:
            self._ip.run(line)

    def checksums_in_software(self, interface: str) -> None:
        """Frames reach captures and user space with their checksums filled in (`ethtool -K DEV tx off`)."""
        value = array.array("I", [_ETHTOOL_STXCSUM, 0])
        request = struct.pack("16sP", interface.encode(), value.buffer_info()[0])
        with self.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
            try:
                fcntl.ioctl(handle, _SIOCETHTOOL, request.ljust(40, b"\0"))
            except OSError as error:
                if error.errno != errno.EOPNOTSUPP:
                    raise

    def links(self, name: str = "") -> list[dict[str, Any]]:
        """`ip -s -j link` as data."""
        answer = sh(f"ip -n {self.name} -s -j link show {name}").output
        links: list[dict[str, Any]] = json.loads(answer)
        return links

    def mac(self, interface: str) -> str:
        return str(self.links(interface)[0]["address"])

    def counters(self, interface: str) -> Counters:
        stats = self.links(interface)[0]["stats64"]
        return Counters(
            stats["rx"]["packets"], stats["tx"]["packets"], stats["rx"]["bytes"], stats["tx"]["bytes"]
        )

    def running(self, interface: str) -> bool:
        """It is up and has a carrier (IFF_RUNNING)."""
        request = struct.pack("16sh", interface.encode(), 0).ljust(40, b"\0")
        with self.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
            flags = struct.unpack_from("16xh", fcntl.ioctl(handle, _SIOCGIFFLAGS, request))[0]
        return bool(flags & _IFF_RUNNING)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """The calling thread is inside: sockets opened here stay in this namespace afterwards."""
        with open("/proc/thread-self/ns/net", "rb") as home, open(f"/run/netns/{self.name}", "rb") as there:
            _setns(there.fileno())
            try:
                yield
            finally:
                _setns(home.fileno())


def _setns(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
