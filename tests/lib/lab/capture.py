# SPDX-License-Identifier: BSD-3-Clause
"""Captures on AF_PACKET sockets, read by a thread; tests wait for frames instead of sleeping."""

from __future__ import annotations

import errno
import select
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType

from .frames import Frame
from .netns import Netns
from .wait import Timeout

_ETH_P_ALL = 3
_SOL_PACKET = 263
_PACKET_AUXDATA = 8
_PACKET_STATISTICS = 6
_PACKET_OUTGOING = 4
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35
_TP_STATUS_VLAN_VALID = 1 << 4
_TP_STATUS_VLAN_TPID_VALID = 1 << 6


class Capture:
    """Frames of some interfaces of one namespace, from construction until stop().

    Without `outgoing`, only frames that the interfaces receive: on the switch, one copy of each frame a host
    sent.
    """

    def __init__(
        self, netns: Netns, name: str, ports: Iterable[str], outgoing: bool = False, snaplen: int = 0
    ) -> None:
        self.name = f"{netns.short}-{name}"
        self._ports = set(ports)
        self._outgoing = outgoing
        self._snaplen = snaplen or 65535
        self._frames: list[Frame] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._run = netns.run
        with netns.entered():
            # bound to nothing it hears every interface of the namespace
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 64 << 20)
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            self._socket.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
            if len(self._ports) == 1:
                self._socket.bind((next(iter(self._ports)), _ETH_P_ALL))
        self._socket.setblocking(False)
        # the kernel stamps with the wall clock
        self._offset = time.monotonic() - time.time()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self._run.defer(self.stop)

    def frames(self, wanted: Callable[[Frame], object] | None = None) -> list[Frame]:
        """What came so far: everything that reached an interface before the call."""
        with self._changed:
            self._drain()
            return [frame for frame in self._frames if wanted is None or wanted(frame)]

    def wait(
        self, wanted: Callable[[Frame], object], what: str = "a frame", count: int = 1, timeout: float = 5.0
    ) -> list[Frame]:
        """At least `count` frames that are wanted, those from before this call included."""
        found: list[Frame] = []
        at = 0
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                while at < len(self._frames):
                    if wanted(self._frames[at]):
                        found.append(self._frames[at])
                    at += 1
                if len(found) >= count:
                    return found
                if not self._changed.wait(end - time.monotonic()) and time.monotonic() >= end:
                    seen = "\n".join(f"  {frame}" for frame in self._frames[-30:])
                    raise Timeout(
                        f"{self.name}: {what}: {len(found)} of {count} within {timeout:g} s; "
                        f"of {len(self._frames)} frames the last are\n{seen}"
                    )

    def clear(self) -> None:
        """Forgets what came so far."""
        with self._changed:
            self._drain()
            self._frames.clear()

    def stop(self) -> list[Frame]:
        """Ends it once everything the kernel has queued is read; returns all frames."""
        if not self._stopping:
            self._stopping = True
            self._thread.join()
            self.frames()
            self._socket.close()
            self._run.forget(self.stop)
        return self.frames()

    def lost(self) -> int:
        """Frames the kernel dropped because we read too slowly, since the last call."""
        packed = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        return int(struct.unpack("II", packed)[1])

    def write_pcap(self, path: Path) -> Path:
        """All frames in a file that tshark and tcpdump read."""
        with open(path, "wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
            for frame in self.frames():
                stamp = frame.when - self._offset
                length = len(frame.data)
                file.write(
                    struct.pack("<IIII", int(stamp), int(stamp % 1 * 1e6), length, length) + frame.data
                )
        return path

    def __enter__(self) -> Capture:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _read(self) -> None:
        while not self._stopping:
            if select.select([self._socket], [], [], 0.2)[0]:
                with self._changed:
                    self._drain()

    def _drain(self) -> None:
        """Takes all frames the kernel has for us. The lock is held."""
        if self._socket.fileno() < 0:
            return
        before = len(self._frames)
        while True:
            try:
                data, ancillary, _, address = self._socket.recvmsg(self._snaplen, 128)
            except BlockingIOError:
                break
            except OSError as error:
                # said once when an interface goes away, which is no business of a capture
                if error.errno != errno.ENETDOWN:
                    raise
                continue
            self._take(data, ancillary, address[0], address[2] == _PACKET_OUTGOING)
        if len(self._frames) > before:
            self._changed.notify_all()

    def _take(
        self, data: bytes, ancillary: list[tuple[int, int, bytes]], interface: str, outgoing: bool
    ) -> None:
        if interface not in self._ports or (outgoing and not self._outgoing):
            return
        stamp = time.monotonic()
        for level, kind, body in ancillary:
            if level == _SOL_PACKET and kind == _PACKET_AUXDATA:
                data = _with_tag(data, body)
            elif level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
                seconds, nanoseconds = struct.unpack("qq", body[:16])
                stamp = seconds + nanoseconds / 1e9 + self._offset
        self._frames.append(Frame(stamp, interface, outgoing, data))


def _with_tag(data: bytes, aux: bytes) -> bytes:
    """The frame with the VLAN tag that the kernel took off."""
    status, _, _, _, _, tci, tpid = struct.unpack("IIIHHHH", aux[:20])
    if not status & _TP_STATUS_VLAN_VALID:
        return data
    if not status & _TP_STATUS_VLAN_TPID_VALID:
        tpid = 0x8100
    return data[:12] + struct.pack("!HH", tpid, tci) + data[12:]


class Injector:
    """Sends raw frames out of an interface."""

    def __init__(self, netns: Netns, interface: str) -> None:
        with netns.entered():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self._socket.bind((interface, 0))
        netns.run.defer(self._socket.close)

    def send(self, frame: object, count: int = 1) -> None:
        """`frame` is bytes, or a scapy packet (built here)."""
        raw = bytes(frame)  # type: ignore[call-overload]
        for _ in range(count):
            self._socket.send(raw)


def tshark_fields(pcap: Path, fields: list[str], display_filter: str = "") -> list[list[str]]:
    """`tshark -T fields` of a capture: one row per frame, one column per field."""
    command = ["tshark", "-n", "-r", str(pcap), "-T", "fields", "-E", "separator=/t"]
    for field in fields:
        command += ["-e", field]
    if display_filter:
        command += ["-Y", display_filter]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=60, stdin=subprocess.DEVNULL
    )
    return [line.split("\t") for line in done.stdout.splitlines()]
