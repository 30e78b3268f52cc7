# SPDX-License-Identifier: BSD-3-Clause
"""vhu-peer on both sides of dpdk-testpmd: what one guest sends, the other has to get, whatever the rings look like."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from lab.netns import Netns
from lab.peer import Peer
from lab.run import Run
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import rdpcap, wrpcap
from testpmd import Testpmd

DST, SRC = "02:00:00:00:00:02", "02:00:00:00:00:01"
# Loss is the machine's, not the ring's, when one of three programs is not scheduled for long: rings hold 200 ms.
RATE = 5000
DEEP = {"size": 1024}


def frame(size: int) -> Ether:
    """A UDP frame of so many bytes."""
    packet = Ether(dst=DST, src=SRC) / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1000, dport=2000)
    return Ether(bytes(packet / bytes(size - len(packet))))


def random_frames(path: Path, sizes: list[int]) -> list[bytes]:
    frames = [bytes(frame(size))[:42] + random.randbytes(size - 42) for size in sizes]
    wrpcap(str(path), [Ether(data) for data in frames])
    return frames


class Pair:
    """A sending and a receiving guest, joined by testpmd."""

    def __init__(self, run: Run, host: Netns, send: dict[str, Any], receive: dict[str, Any], both: dict[str, Any],
                 **backend: Any) -> None:
        paths = [run.directory / "a.sock", run.directory / "b.sock"]
        server = {"server": int(backend.get("client", True))}
        self.tx = Peer(host, "tx", paths[0], {**server, **DEEP, **both, **send}, ["--hold"])
        self.rx = Peer(host, "rx", paths[1], {**server, **DEEP, **both, **receive})
        self.backend = Testpmd(host, "testpmd", paths[0], paths[1], **backend)
        for peer in (self.rx, self.tx):
            peer.wait("ready", 30)

    def run(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Sends all there is; the last figures of both, once everything arrived."""
        self.tx.command("start")
        self.tx.wait("done", 60)
        self.rx.wait("expected", 10)
        return self.tx.stop(), self.rx.stop()


RINGS = {
    "split": {"ring": "split"},
    "packed": {"ring": "packed"},
}
LAYOUTS = {
    "plain": {},
    "unmerged": {"mrg": 0},
    "indirect": {"indirect": 1},
    "event-idx": {"event-idx": 1},
    "hdr-desc": {"hdr-desc": 1},
    "small-buffers": {"buf": 128, "indirect": 1, "event-idx": 1},
    "one-region": {"regions": 1},
    "eight-regions": {"regions": 8},
    "small-ring": {"size": 64},
}


def ring_id(value: Any) -> str:
    return str(value)


@pytest.mark.parametrize("ring", RINGS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_carries_every_frame(run: Run, host: Netns, ring: str, layout: str) -> None:
    """All lengths, also over several buffers where these may be merged; bytes compared one by one."""
    options = {**RINGS[ring], **LAYOUTS[layout]}
    largest = 1514 if options.get("mrg") == 0 else 2000 if options.get("buf") else 9000
    sizes = [60, 61, 64, 65, 127, 128, 129, 1500, 1514, largest] + [random.randint(60, largest) for _ in range(90)]
    sent = random_frames(run.directory / "frames.pcap", sizes)
    count = 20 * len(sent)  # rings wrap many times
    pair = Pair(run, host, {"mode": "gen", "frames": run.directory / "frames.pcap", "rate": RATE // 5, "count": count},
                {"mode": "sink", "pcap": run.directory / "got.pcap", "expect": count}, options)
    ready = pair.rx.wait("ready")
    assert ready["ring"] == ring
    assert bool(int(ready["features"], 0) >> 15 & 1) == options.get("mrg", 1)
    tx, rx = pair.run()
    got = [bytes(packet) for packet in rdpcap(str(run.directory / "got.pcap"))]
    assert got == sent * 20
    assert tx["violations"] == rx["violations"] == {}
    assert rx["sink"]["bytes"] == 20 * sum(sizes)


@pytest.mark.parametrize("ring", RINGS)
def test_numbers_and_times(run: Run, host: Netns, ring: str) -> None:
    wrpcap(str(run.directory / "frames.pcap"), [frame(60)])
    pair = Pair(run, host, {"mode": "genseq", "frames": run.directory / "frames.pcap", "flows": 7, "rate": RATE,
                            "count": 7000},
                {"mode": "sink", "seq": "auto", "expect": 7000, "classify": "34:2", "pcap": run.directory / "got.pcap",
                 "pcap-max": 50}, RINGS[ring])
    tx, rx = pair.run()
    seq = rx["sink"]["seq"]
    assert tx["genseq"]["sent"] == seq["received"] == 7000
    assert (seq["lost"], seq["reordered"], seq["duplicate"], seq["foreign"], seq["flows"]) == (0, 0, 0, 0, 7)
    assert 0 < seq["latency_ns"]["min"] <= seq["latency_ns"]["median"] <= seq["latency_ns"]["p99"] \
        <= seq["latency_ns"]["max"]
    assert rx["sink"]["classes"] == {f"{1000 + flow:04x}": 1000 for flow in range(7)}
    for packet in rdpcap(str(run.directory / "got.pcap")):  # the checksums are those scapy computes
        wrong = packet.copy()
        del wrong[UDP].chksum
        assert bytes(wrong.__class__(bytes(wrong))) == bytes(packet)
