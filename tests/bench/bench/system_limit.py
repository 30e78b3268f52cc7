# SPDX-License-Identifier: BSD-3-Clause
"""The limit: testpmd forwards between the same two devices and looks at nothing."""

from __future__ import annotations

import re

from .case import Case
from .measure import Reading
from .place import WORKER_CPU, GENERATOR_CPU, Guests, Place, until


class Limit:
    name = "limit"

    def __init__(self, place: Place, case: Case, guests: Guests, huge: bool) -> None:
        pcap = case.write_frames(place.directory)
        vdevs = [f"--vdev=net_vhost0,iface={place.directory}/vm0.sock,client=1,queues=1"]
        if case.name == "local":
            vdevs.append(f"--vdev=net_vhost1,iface={place.directory}/vm1.sock,client=1,queues=1")
        elif case.from_wire:
            vdevs.append(f"--vdev=net_pcap0,rx_pcap={pcap},infinite_rx=1")
        else:
            vdevs.append("--vdev=net_null0,no-rx=1")
        memory = ["--in-memory", "--file-prefix=limit"] if huge else ["--no-huge", "-m", "1024"]
        self.place = place
        self.guests = guests
        self.case = case
        self.process = place.start("limit", [
            "stdbuf", "-oL", "dpdk-testpmd", f"--lcores=0@{GENERATOR_CPU},1@{WORKER_CPU}", "--no-pci",
            "--no-telemetry", *memory, *vdevs,
            "--", "-i", "--forward-mode=io", "--nb-cores=1", "--record-core-cycles", "--record-burst-stats",
            "--no-flush-rx", "--total-num-mbufs=65536"], pipe=True)
        self._text = ""

    def ready(self) -> None:
        self.guests.wait_ready()
        self._command("start")

    def read(self) -> Reading:
        mark = len(self._text)
        self._command("show fwd stats all")
        text = until("testpmd's figures", lambda: self._more(mark, r"CPU cycles/packet.*MHz|total io packets=0"))
        found = re.search(r"total cycles=(\d+) / total (?:io|IO|TX|RX) packets=(\d+)", text, re.I)
        bursts = re.findall(r"RX-bursts : (\d+)[^\n]*", text)
        cycles, packets = (int(found[1]), int(found[2])) if found else (0, 0)
        accepted = [int(n) for n in re.findall(r"TX-packets: (\d+)", text)]
        turns = self._busy_turns(text)
        return Reading(cycles, packets, turns, max(accepted, default=packets) or packets)

    @staticmethod
    def _busy_turns(text: str) -> int:
        found = re.search(r"RX-bursts : (\d+) \[([^\]]*)\]", text)
        if not found:
            return 0
        total = int(found[1])
        idle = re.search(r"(\d+)% of 0 pkts", found[2])
        return round(total * (1 - (int(idle[1]) if idle else 0) / 100))

    def _command(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def _more(self, mark: int, pattern: str) -> str:
        import os
        import select

        assert self.process.stdout
        if select.select([self.process.stdout], [], [], 0.05)[0]:
            self._text += os.read(self.process.stdout.fileno(), 65536).decode(errors="replace")
        new = self._text[mark:]
        return new if re.search(pattern, new, re.I) else ""
