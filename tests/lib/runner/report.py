# SPDX-License-Identifier: BSD-3-Clause
"""Results as they come, and their sum."""

from __future__ import annotations

import enum
import threading
import time
from dataclasses import dataclass, field

TAIL_LINES = 60


class Outcome(enum.Enum):
    PASSED = "pass"
    FAILED = "FAIL"
    SKIPPED = "skip"


@dataclass
class Report:
    """Thread-safe. Prints every result at once; for a failure with the end of its log."""

    started: float = field(default_factory=time.monotonic)
    counts: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    last_output: float = field(default_factory=time.monotonic)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def line(self, text: str) -> None:
        with self._lock:
            self.last_output = time.monotonic()
            print(text, flush=True)

    def count(self, outcome: Outcome) -> None:
        """A result of which nothing is printed."""
        with self._lock:
            self.counts[outcome] += 1

    def group(self) -> threading.RLock:
        """As a context manager: the lines inside stay together."""
        return self._lock

    def section(self, title: str) -> None:
        self.line(f"== {title} ({time.monotonic() - self.started:.0f} s)")

    def add(self, outcome: Outcome, name: str, seconds: float = 0.0, detail: str = "") -> None:
        """`detail`: the log of a failure, the reason of a skip."""
        with self._lock:
            self.counts[outcome] += 1
            if outcome is Outcome.SKIPPED:
                self.skipped.append(f"{name}: {detail}")
                self.line(f"{outcome.value} {name}: {detail}")
                return
            self.line(f"{outcome.value} {name} ({seconds:.1f} s)")
            if outcome is Outcome.FAILED:
                self.failed.append(name)
                for text in detail.splitlines()[-TAIL_LINES:]:
                    self.line(f"  | {text}")

    def finish(self) -> int:
        """Prints the sums; the exit status."""
        if self.skipped:
            self.section("skipped")
            for text in self.skipped:
                self.line(f"  {text}")
        if self.failed:
            self.section("failed")
            for text in self.failed:
                self.line(f"  {text}")
        ran = self.counts[Outcome.PASSED] + self.counts[Outcome.FAILED]
        if not ran:
            self.line("nothing ran")
        self.line(
            f"{self.counts[Outcome.PASSED]} passed, {self.counts[Outcome.FAILED]} failed, "
            f"{self.counts[Outcome.SKIPPED]} skipped"
        )
        return 0 if ran and not self.counts[Outcome.FAILED] else 1
