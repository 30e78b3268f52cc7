# SPDX-License-Identifier: BSD-3-Clause
"""Systems that are up side by side and run in turn, so that what the machine does meanwhile happens to all of them."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from .case import Case
from .measure import Reading
from .place import Guests, Place
from .system_vswitchd import Vswitchd


class Paused:
    """vswitchd and its guests, standing still but for stretch()."""

    def __init__(self, place: Place, case: Case, huge: bool, build: Path) -> None:
        self.place = place
        pcap = case.write_frames(place.directory)
        guests = Guests(place, str(build / "tests/lib/frontend/vhu-peer"), case.guests(place.directory, pcap))
        self.system = Vswitchd(place, case, guests, huge, build)
        self.system.ready()
        guests.say("start")
        time.sleep(1.0)
        place.pause(True)

    def stretch(self, seconds: float) -> Reading:
        """What it did; the turn that the pause has interrupted is over before the first reading."""
        self.place.pause(False)
        time.sleep(0.02)
        start, ran, before = time.monotonic_ns(), self._ran(), self.system.read()
        time.sleep(seconds)
        end, has_run, after = time.monotonic_ns(), self._ran(), self.system.read()
        self.place.pause(True)
        reading = after.minus(before)
        share = min(1.0, (has_run - ran) / (end - start))
        return dataclasses.replace(reading, busy_cycles=int(reading.busy_cycles * share))

    def _ran(self) -> int:
        """Nanoseconds that the worker was let run: what others took of its CPU is not the switch's."""
        for task in Path(f"/proc/{self.system.process.pid}/task").iterdir():
            if (task / "comm").read_text().startswith("rte-worker"):
                return int((task / "schedstat").read_text().split()[0])
        raise RuntimeError("vswitchd has no worker")
