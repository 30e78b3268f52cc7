# SPDX-License-Identifier: BSD-3-Clause
"""Waiting for a state that announces itself by no event."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Timeout(AssertionError):
    """Something awaited did not happen in time."""


def until(probe: Callable[[], T | None], what: str, timeout: float = 10.0, every: float = 0.05) -> T:
    """Calls `probe` until it gives something true, and returns that. The last answer is in the error."""
    end = time.monotonic() + timeout
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() >= end:
            raise Timeout(f"{what}: not within {timeout:g} s (last answer: {answer!r})")
        time.sleep(every)


def never(probe: Callable[[], T | None], what: str, during: float) -> None:
    """Asserts that `probe` stays false for `during` seconds: for things that must not come."""
    end = time.monotonic() + during
    while time.monotonic() < end:
        answer = probe()
        if answer:
            raise AssertionError(f"{what}: {answer!r}")
        time.sleep(0.05)
