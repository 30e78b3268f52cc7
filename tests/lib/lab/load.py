# SPDX-License-Identifier: BSD-3-Clause
"""Numbered UDP packets in many flows, made and received by vhu-peer: what was lost, doubled, out of order, flow by
flow; and which way each flow went, seen on the switch. No packet is touched by Python while it runs.
"""

from __future__ import annotations

import re
import signal
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .netns import Netns
from .peer import Peer
from .process import Process
from .wait import until

if TYPE_CHECKING:
    from .fabric import Fabric, Place

FIRST_PORT = 1024
MAX_FLOWS = 10000
_PROBE = struct.Struct("!HHIQ")
_MAGIC = 0x7E57
BLOCK_SECONDS = 1.2  # tcpdump lets the kernel keep packets for a second
_UDP_PAYLOAD = 14 + 20 + 8
_SLL2 = 20
_PACKET_OUTGOING = 4
_WIRE_PROBE = _SLL2 + 20 + 8 + _UDP_PAYLOAD


@dataclass
class Outcome:
    """Of one direction."""

    sent: int
    received: int = 0
    doubled: list[int] = field(default_factory=list)  # numbers in the order they came
    lost: Counter[int] = field(default_factory=Counter)  # by flow
    late: Counter[int] = field(default_factory=Counter)  # by flow: came after a younger one
    missing: list[int] = field(default_factory=list)  # numbers in the order they were sent

    @property
    def duplicated(self) -> int:
        return len(self.doubled)

    def __str__(self) -> str:
        return (
            f"{self.sent} sent, {sum(self.lost.values())} lost in {len(self.lost)} flows, {self.duplicated} doubled, "
            f"{sum(self.late.values())} late in {len(self.late)} flows"
        )

    def perfect(self) -> bool:
        return not self.lost and not self.late and not self.duplicated and self.received == self.sent


def udp_frame(source: Place, destination: Place) -> bytes:
    """18 bytes of payload; whoever fills them in makes the checksum."""
    udp = struct.pack("!HHHH", FIRST_PORT, 9, 26, 0) + bytes(18)
    ends = b"".join(socket.inet_aton(place.addresses[0].split("/")[0]) for place in (source, destination))
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0) + ends
    checksum = ~(sum(struct.unpack("!10H", ip)) % 0xFFFF) & 0xFFFF
    ip = ip[:10] + struct.pack("!H", checksum) + ip[12:]
    macs = b"".join(bytes.fromhex(place.mac.replace(":", "")) for place in (destination, source))
    return macs + b"\x08\x00" + ip + udp


class Endpoint:
    """A port that sends to its opposite and receives from it; silent until told."""

    def __init__(self, place: Place, flows: int) -> None:
        self.place = place
        self.flows = flows
        self.received: Path = place.host.directory / f"{place.name}.pcap"
        self._frame: Path = place.host.directory / f"{place.name}-frame.pcap"
        self._from = 0
        self.peer: Peer | None = None

    def power_on(self, opposite: Place) -> None:
        frame = udp_frame(self.place, opposite)
        header = struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
        self._frame.write_bytes(header + struct.pack("=IIII", 0, 0, len(frame), len(frame)) + frame)
        options = {
            "server": 1,
            "mode": "genseq+sink",
            "frames": self._frame,
            "flows": self.flows,
            "seq": "auto",
            "pcap": self.received,
            "pcap-max": 1 << 40,
            "size": 1024,
        }
        self.peer = Peer(self.place.host.netns, self.place.name, self.place.socket, options, ["--hold"])

    def begin(self) -> None:
        """Forgets what came so far."""
        assert self.peer
        self.peer.command("reset")
        self.peer.stats()  # writes the file out
        self._from = self.received.stat().st_size

    def sent(self) -> int:
        assert self.peer
        return int(self.peer.stats()["genseq"]["sent"])

    def arrived(self) -> int:
        assert self.peer
        return int(self.peer.stats()["sink"]["seq"]["received"])

    def records(self) -> Iterator[tuple[int, int, int]]:
        """(nanoseconds, flow, number) of what arrived since begin()."""
        assert self.peer
        self.peer.stats()
        data = self.received.read_bytes()
        at = max(self._from, 24)
        while at + 16 <= len(data):
            seconds, nanoseconds, length, _ = struct.unpack_from("=IIII", data, at)
            at += 16
            if length >= _UDP_PAYLOAD + _PROBE.size:
                magic, flow, number, _ = _PROBE.unpack_from(data, at + _UDP_PAYLOAD)
                if magic == _MAGIC:
                    yield seconds * 10**9 + nanoseconds, flow, number
            at += length

    def stop(self) -> None:
        if self.peer and self.peer.process.status is None:
            self.peer.stop()
            final = self.peer.wait("final")
            assert not final["broken"] and not final["violations"], f"{self.place.name}: {final}"


class Load:
    """Two ends on different hosts. `ways`: which of them sends, "ab", "a" (towards b) or "b"."""

    def __init__(self, fabric: Fabric, hosts: tuple[str, str], vsid: int, number: int, flows: int = MAX_FLOWS) -> None:
        self.flows = flows
        self.ends = {
            key: Endpoint(fabric.place(host, f"load{number}{key}", vsid, f"10.0.0.{100 + 2 * number + at}/24"), flows)
            for at, (key, host) in enumerate(zip("ab", hosts))
        }
        self._sending = ""

    def power_on(self) -> None:
        self.ends["a"].power_on(self.ends["b"].place)
        self.ends["b"].power_on(self.ends["a"].place)

    def wait_ready(self) -> None:
        for end in self.ends.values():
            assert end.peer
            end.peer.wait("ready")
            end.place.host.wait_port(end.place.name)

    def start(self, rate: int, ways: str = "ab") -> None:
        """Flows in turn, each from number 0, `rate` packets a second and direction."""
        for end in self.ends.values():
            end.begin()
        self._sending = ways
        for way in ways:
            peer = self.ends[way].peer
            assert peer
            peer.command("rate", rate)
            peer.command("start")

    def wait_sent(self, count: int, timeout: float = 60.0) -> None:
        """Until so many have left each sender in all."""
        until(
            lambda: min(self.ends[way].sent() for way in self._sending) >= count, f"{count} packets sent", timeout
        )

    def sent(self) -> int:
        """Number of the next packet of the sender that is ahead."""
        return max(self.ends[way].sent() for way in self._sending)

    def stop(self, settle: float = 1.0) -> dict[str, Outcome]:
        """By sender: what became of its packets, once none comes any more for `settle` seconds."""
        for way in self._sending:
            peer = self.ends[way].peer
            assert peer
            peer.command("stop")
        return {way: self._judge(way, settle) for way in self._sending}

    def wait_quiet(self, settle: float = 0.3) -> None:
        """Stops the senders, until nothing has arrived for so long."""
        for way in self._sending:
            peer = self.ends[way].peer
            assert peer
            peer.command("stop")
            target = self.ends["b" if way == "a" else "a"]
            last, since = -1, time.monotonic()
            while time.monotonic() - since < settle:
                now = target.arrived()
                if now != last:
                    last, since = now, time.monotonic()
                time.sleep(0.02)

    def _judge(self, way: str, settle: float) -> Outcome:
        target = self.ends["b" if way == "a" else "a"]
        sent, last, since = self.ends[way].sent(), -1, time.monotonic()
        while last < sent and time.monotonic() - since < settle:
            now = target.arrived()
            if now != last:
                last, since = now, time.monotonic()
            time.sleep(0.02)
        outcome = Outcome(sent)
        seen: set[int] = set()
        newest: dict[int, int] = {}
        for _, flow, number in target.records():
            index = number * self.flows + flow
            if index in seen:
                outcome.doubled.append(index)
                continue
            seen.add(index)
            if number < newest.get(flow, -1):
                outcome.late[flow] += 1
            newest[flow] = max(number, newest.get(flow, -1))
        outcome.received = len(seen)
        outcome.missing = [index for index in range(sent) if index not in seen]
        outcome.lost = Counter(index % self.flows for index in outcome.missing)
        return outcome

    def power_off(self) -> None:
        for end in self.ends.values():
            end.stop()


@dataclass(frozen=True)
class Seen:
    """A packet on the switch: microseconds (wall clock), by which port and whether out of it to a host, outer
    addresses, flow, number.
    """

    when: int
    port: str
    outgoing: bool
    source: str
    destination: str
    flow: int
    number: int

    @property
    def way(self) -> tuple[str, str, str]:
        return self.port, self.source, self.destination


class Tap:
    """tcpdump on ports of the switch: every packet of a load as it comes in from a host and as it goes out to one.
    Not on all, for it takes its time from what it watches.
    """

    _made = 0

    def __init__(self, switch: Netns, ports: Iterable[str]) -> None:
        Tap._made += 1
        name = f"tap{Tap._made}"  # a log of its own: "listening" is of this one
        self._file = switch.run.directory / f"{name}.pcap"
        with switch.entered():
            self._ports = {socket.if_nametoindex(port): port for port in ports}
        where = " or ".join(f"ifindex {index}" for index in self._ports)
        self._process: Process = switch.start(
            f"{switch.short}-{name}",
            ["tcpdump", "-i", "any", "-y", "LINUX_SLL2", "-n", "-Z", "root", "-U", "-s", "128", "-B", "16384"]
            + ["-w", str(self._file), f"ip proto 47 and ({where})"],
        )
        self._counts, self._since = ("", ""), 0.0
        until(lambda: "listening on" in self._process.tail(), "tcpdump listens")

    def _drained(self) -> bool:
        """The kernel hands packets on in blocks, the last one up to a second late; tcpdump leaves without it. What it
        received before it had a filter it never counts as captured.
        """
        self._process.send_signal(signal.SIGUSR1)
        counts = re.findall(r"(\d+) packets? captured, (\d+) packets? received by filter", self._process.tail())
        now = time.monotonic()
        if counts and counts[-1] != self._counts:
            self._counts, self._since = counts[-1], now
        return bool(counts) and (counts[-1][0] == counts[-1][1] or now - self._since > BLOCK_SECONDS)

    def stop(self) -> list[Seen]:
        """What passed."""
        until(self._drained, "tcpdump has seen all that passed")
        self._process.stop(number=2)
        data = self._file.read_bytes()
        self._file.unlink()
        found = []
        at = 24
        while at + 16 <= len(data):
            seconds, fraction, length, _ = struct.unpack_from("=IIII", data, at)
            frame = data[at + 16 : at + 16 + length]
            at += 16 + length
            if len(frame) < _WIRE_PROBE + _PROBE.size:
                continue
            port = self._ports[int.from_bytes(frame[4:8], "big")]
            magic, flow, number, _ = _PROBE.unpack_from(frame, _WIRE_PROBE)
            if magic == _MAGIC:
                source, destination = (socket.inet_ntoa(frame[i : i + 4]) for i in (_SLL2 + 12, _SLL2 + 16))
                outgoing = frame[10] == _PACKET_OUTGOING
                found.append(Seen(seconds * 10**6 + fraction, port, outgoing, source, destination, flow, number))
        return found


def latest_ways(seen: list[Seen]) -> dict[int, tuple[str, str, str]]:
    """Flow -> (port, outer source, outer destination) of its latest packet."""
    return {packet.flow: packet.way for packet in seen}
