# SPDX-License-Identifier: BSD-3-Clause
"""Where unpacked kernels and built images are kept between runs."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def root() -> Path:
    """$TESTS_CACHE, else the user's cache directory. Created when missing."""
    chosen = os.environ.get("TESTS_CACHE")
    if not chosen:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        chosen = os.path.join(base, "vswitchd-tests")
    path = Path(chosen)
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Held while one process fills the cache; a second one waits and then finds the result."""
    with open(root() / f".{name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
