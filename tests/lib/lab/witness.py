# SPDX-License-Identifier: BSD-3-Clause
"""What the machine itself took from those who wanted to run.

A bound on a time is one for a machine that lets a process run when it wants to. A shared one does not always, and
neither the load average nor the CPU time tell. So a process per CPU that only sleeps and looks at the clock measures
it beside the test: how much later than asked for it woke up.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

from .run import Run

_SLEEPER = Path(__file__).with_name("sleeper.py")


class Witness:
    """Looks on from its creation to stop()."""

    def __init__(self, run: Run) -> None:
        self._processes = [
            subprocess.Popen(  # pylint: disable=consider-using-with
                ["setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-S", "-E", str(_SLEEPER), str(cpu)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for cpu in sorted(os.sched_getaffinity(0))
        ]
        self._run = run
        run.defer(self._kill)
        for process in self._processes:
            assert process.stdout and process.stdout.readline() == "ready\n"
        self._late: list[float] = []

    def stop(self) -> Witness:
        """The end of what it looks at; the figures can be read then."""
        for process in self._processes:
            assert process.stdin and process.stdout
            process.stdin.close()
            self._late += [float(word) for word in process.stdout.read().split()]
        self._kill()
        self._run.forget(self._kill)
        assert self._late
        return self

    @property
    def worst(self) -> float:
        """Seconds that a wake-up was late at most."""
        return max(self._late)

    @property
    def typical(self) -> float:
        """Seconds by which a wake-up was late, on average: bursts count by their length."""
        return statistics.fmean(self._late)

    def __str__(self) -> str:
        return f"this machine woke processes {1000 * self.typical:.2f} ms late, {1000 * self.worst:.1f} ms at most"

    def _kill(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
