# SPDX-License-Identifier: BSD-3-Clause
"""
What a wire segment costs a worker when the guest leaves cutting to the switch, beside a packet of that size which the
guest has cut itself and the cost of its checksum.

The worker has a CPU of its own, so that these are cycles of the switch; the NIC (net_null) takes frames as a DMA engine
does, without work for the CPU.
"""

from __future__ import annotations

import statistics
import subprocess
from pathlib import Path
from typing import Any

from .case import Case
from .measure import Reading
from .paused import Paused
from .place import Place

MSS = 1418  # 1500 bytes less 42 of NVGRE over IPv4, 20 of IPv4, 20 of TCP
SEGMENTS = 45  # of a packet of 64 KB


def _pairs(one: Case, two: Case, build: Path, huge: bool, n: int) -> tuple[list[Reading], list[Reading]]:
    """Readings of both, taken in turn."""
    with Place() as a, Place() as b:
        first, second = Paused(a, one, huge, build), Paused(b, two, huge, build)
        each = [(first.stretch(0.1), second.stretch(0.1)) for _ in range(n)]
    good = [pair for pair in each if all(r.accepted and r.busy_cycles for r in pair)]
    return [r for r, _ in good], [r for _, r in good]


def _checksum(build: Path) -> float:
    text = subprocess.run([str(build / "tests/bench/bench-offload")], check=True, capture_output=True, text=True).stdout
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith("checksum alone"))


def segments(build: Path, huge: bool, starts: int, pairs: int) -> dict[str, Any]:
    plain, cut, sums = [], [], []
    for _ in range(starts):
        sums.append(_checksum(build))
        one, two = _pairs(Case("encap", 64, 64, payload=MSS), Case("encap", 64, 64, payload=SEGMENTS * MSS, mss=MSS),
                          build, huge, pairs)
        plain += [r.busy_cycles / r.accepted for r in one]
        cut += [r.busy_cycles / r.accepted for r in two]
    result = {"plain": statistics.median(plain), "segment": statistics.median(cut), "checksum": statistics.median(sums)}
    bound = result["plain"] + result["checksum"]
    print(f"segment of a large packet: {result['segment']:.0f} cycles; plain packet {result['plain']:.0f} "
          f"+ checksum {result['checksum']:.0f} = {bound:.0f}: "
          f"{'reached' if result['segment'] <= bound else 'NOT reached'}")
    return {"case": "segments", **result}
