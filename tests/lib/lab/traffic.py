# SPDX-License-Identifier: BSD-3-Clause
"""Numbered UDP traffic between guests in namespaces: what was lost, what came out of order."""

from __future__ import annotations

import struct
import threading
import time
from dataclasses import dataclass, field

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from .capture import Capture
from .frames import Frame
from .netns_guest import NetnsGuest

_MAGIC = b"vsq1"
_OFFSET = 14 + 20 + 8
FIRST_PORT = 20000
PATIENCE = 2.0


def numbered(
    source: tuple[str, str], destination: tuple[str, str], flow: int, number: int, size: int = 64
) -> bytes:
    """A frame from (MAC, IPv4 address) to (MAC, IPv4 address): flow gives the UDP source port."""
    payload = _MAGIC + struct.pack("!II", flow, number)
    frame = (
        Ether(src=source[0], dst=destination[0])
        / IP(src=source[1], dst=destination[1])
        / UDP(sport=FIRST_PORT + flow, dport=9)
        / Raw(payload.ljust(size - _OFFSET, b"\0"))
    )
    return bytes(frame)


def number_of(frame: Frame | bytes) -> tuple[int, int] | None:
    """(flow, number) of such a frame."""
    data = frame.data if isinstance(frame, Frame) else frame
    if data[_OFFSET : _OFFSET + 4] != _MAGIC:
        return None
    flow, number = struct.unpack_from("!II", data, _OFFSET + 4)
    return flow, number


@dataclass
class Verdict:
    """What became of a stream."""

    sent: int
    received: int = 0
    duplicated: int = 0
    reordered_flows: set[int] = field(default_factory=set)
    longest_gap: float = 0.0

    @property
    def lost(self) -> int:
        return self.sent - self.received


class Stream:
    """Sends numbered frames at a steady rate on a thread, flows in turn, until stop()."""

    def __init__(
        self,
        sender: NetnsGuest,
        receiver: NetnsGuest,
        source: str,
        destination: str,
        flows: int = 16,
        rate: int = 1000,
        destination_mac: str = "",
    ) -> None:
        self._sender = sender
        self._flows = flows
        self._rate = rate
        self._frames = [
            numbered((sender.mac, source), (destination_mac or receiver.mac, destination), flow, 0)
            for flow in range(flows)
        ]
        self.capture: Capture = receiver.capture()
        self._stopping = threading.Event()
        self.sent = 0
        sender.send(self._frame(0))  # opens the socket on this thread
        self.sent = 1
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        sender.netns.run.defer(self._stopping.set)

    def _frame(self, number: int) -> bytes:
        template = self._frames[number % self._flows]
        # a UDP checksum of zero means none, so that the number can change
        return (
            template[: _OFFSET - 2]
            + b"\0\0"
            + template[_OFFSET : _OFFSET + 8]
            + struct.pack("!I", number)
            + template[_OFFSET + 12 :]
        )

    def _run(self) -> None:
        start = time.monotonic()
        while not self._stopping.is_set():
            due = int((time.monotonic() - start) * self._rate)
            while self.sent <= due:
                self._sender.send(self._frame(self.sent))
                self.sent += 1
            time.sleep(0.5 / self._rate)

    def wait_received(self, count: int, timeout: float = 10.0) -> None:
        """Until so many frames have arrived in all."""
        self.capture.wait(number_of, f"{count} numbered frames", count, timeout)

    def capture_count(self) -> int:
        """How many numbered frames have arrived."""
        return len(self.capture.frames(number_of))

    def mark(self) -> int:
        """The number that is sent next."""
        return self.sent

    def stop(self, settle: float = 0.5) -> Verdict:
        """Ends it and judges, `settle` seconds (for copies) after all of its frames have arrived; frames that nothing
        brings any more count as lost once nothing has come for two seconds, which a busy machine may pause for.
        """
        self._stopping.set()
        self._thread.join()
        count, since = -1, 0.0
        while True:
            now, arrived = time.monotonic(), len({number_of(frame) for frame in self.capture.frames(number_of)})
            if arrived != count:
                count, since = arrived, now
            if now - since >= (settle if count >= self.sent else max(settle, PATIENCE)):
                return judge(self.capture.stop(), self.sent)
            time.sleep(0.05)


def judge(frames: list[Frame], sent: int) -> Verdict:
    """From the receiver's capture."""
    verdict = Verdict(sent)
    seen: set[int] = set()
    last: dict[int, int] = {}
    before = 0.0
    for frame in frames:
        found = number_of(frame)
        if not found:
            continue
        flow, number = found
        if number in seen:
            verdict.duplicated += 1
            continue
        seen.add(number)
        if number < last.get(flow, -1):
            verdict.reordered_flows.add(flow)
        last[flow] = max(number, last.get(flow, -1))
        if before:
            verdict.longest_gap = max(verdict.longest_gap, frame.when - before)
        before = frame.when
    verdict.received = len(seen)
    return verdict
