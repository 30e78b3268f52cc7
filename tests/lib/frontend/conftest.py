# SPDX-License-Identifier: BSD-3-Clause
"""A run of its own for each test, and a host to start things on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.dont_write_bytecode = True

from lab.netns import Netns  # noqa: E402  pylint: disable=wrong-import-position
from lab.run import Run  # noqa: E402  pylint: disable=wrong-import-position


@pytest.fixture(name="run")
def _run() -> Iterator[Run]:
    with Run() as run:
        yield run


@pytest.fixture(name="host")
def _host(run: Run) -> Netns:
    return Netns(run, "host")
