# SPDX-License-Identifier: BSD-3-Clause
"""What the quickstart says: steps, claims and what was seen, with a sign of life at least every TICK_SECONDS."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

TICK_SECONDS = 15.0


@dataclass
class Narrator:
    """Tells what is going on, and that something still is."""

    started: float = field(default_factory=time.monotonic)
    proven: int = 0
    failed: list[str] = field(default_factory=list)
    last_output: float = field(default_factory=time.monotonic)
    doing: str = ""
    logs: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="vswitchd-quickstart-")))

    def __post_init__(self) -> None:
        threading.Thread(target=self._tick, daemon=True).start()

    def line(self, text: str = "", mark: str = "    ") -> None:
        self.last_output = time.monotonic()
        stamp = f"{time.monotonic() - self.started:4.0f} s"
        for number, part in enumerate(text.splitlines() or [""]):
            print(
                f"{stamp if not number else ' ' * len(stamp)}  {mark if not number else '    '} {part}",
                flush=True,
            )

    def section(self, text: str) -> None:
        print(flush=True)
        self.line(text, "----")

    def quote(self, text: str) -> None:
        """What a program wrote."""
        self.last_output = time.monotonic()
        for line in text.splitlines():
            print(f"             {line[:150].rstrip()}", flush=True)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Something that takes a while."""
        self.doing = text
        self.line(text + "...")
        yield
        self.doing = ""

    def claim(self, text: str, check: Callable[[], str]) -> None:
        """Something to be proved. `check` returns what was seen, or raises AssertionError."""
        self.doing = text
        try:
            seen = check()
        except AssertionError as error:
            self.failed.append(text)
            self.line(f"{text}\n{error}", "FAIL")
        else:
            self.proven += 1
            self.line(f"{text}{': ' + seen if seen else ''}", " ok ")
        self.doing = ""

    def _tick(self) -> None:
        while True:
            time.sleep(1)
            if self.doing and time.monotonic() - self.last_output > TICK_SECONDS:
                self.line(f"still at it: {self.doing}")
