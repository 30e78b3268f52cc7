# SPDX-License-Identifier: BSD-3-Clause
"""What a system reports about a stretch of traffic, in the same terms for all of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

FULL_BURST = 24  # below that of 32 a line is marked generator-bound


@dataclass(frozen=True)
class Reading:
    """Counters of the worker: TSC of turns that had packets, the packets, those turns, and packets that got through."""

    busy_cycles: int
    packets: int
    busy_turns: int
    accepted: int

    def minus(self, before: Reading) -> Reading:
        return Reading(self.busy_cycles - before.busy_cycles, self.packets - before.packets,
                       self.busy_turns - before.busy_turns, self.accepted - before.accepted)

    def cycles_per_packet(self) -> float:
        """Of packets that got through: a switch that drops looks fast."""
        if self.packets <= 0 or self.accepted <= 0:
            raise RuntimeError(f"no traffic: {self}")
        return self.busy_cycles / min(self.accepted, self.packets)


@dataclass(frozen=True)
class Sample:
    """One repetition."""

    cycles_per_packet: float
    mpps: float
    burst: float
    accepted_share: float

    @staticmethod
    def of(d: Reading, seconds: float) -> Sample:
        return Sample(d.cycles_per_packet(), d.accepted / seconds / 1e6,
                      d.packets / max(1, d.busy_turns), min(1.0, d.accepted / d.packets))


@dataclass(frozen=True)
class Line:
    """Median of the repetitions of one system in one case."""

    system: str
    cycles: float
    low: float
    high: float
    mpps: float
    burst: float
    accepted: float

    @staticmethod
    def of(system: str, samples: list[Sample]) -> Line:
        def median(get: Callable[[Sample], float]) -> float:
            return statistics.median(map(get, samples))

        cycles = [s.cycles_per_packet for s in samples]
        return Line(system, statistics.median(cycles), min(cycles), max(cycles), median(lambda s: s.mpps),
                    median(lambda s: s.burst), median(lambda s: s.accepted_share))

    @property
    def generator_bound(self) -> bool:
        return self.burst < FULL_BURST
