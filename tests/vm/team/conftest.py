# SPDX-License-Identifier: BSD-3-Clause
"""Cases of tests/vm/test_team: inside the machine only. One set of hosts serves all cases of a module."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))
sys.dont_write_bytecode = True

from lab.run import Run  # noqa: E402  pylint: disable=wrong-import-position

LOG_TAIL = 25
_RUN: pytest.StashKey[Run] = pytest.StashKey()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("VM") != "1":
        for item in items:
            item.add_marker(pytest.mark.skip(reason="runs in the machine that tests/vm/test_team boots"))


def _make_run(node: pytest.Item | pytest.Collector, name: str) -> Run:
    base = os.environ.get("TESTS_LOG")
    made = Run(Path(base) / re.sub(r"[^\w.-]+", "_", name) if base else None)
    node.stash[_RUN] = made
    return made


@pytest.fixture(name="run", scope="module")
def _run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """For what all cases of a module share."""
    with _make_run(request.node, Path(str(request.path)).stem) as made:
        yield made


@pytest.fixture(name="case_run")
def _case_run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """For one case alone."""
    with _make_run(request.node, request.node.nodeid.rpartition("/")[2]) as made:
        yield made


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome: Any = yield
    report = outcome.get_result()
    module = item.getparent(pytest.Module)
    run = item.stash.get(_RUN, None) or (module.stash.get(_RUN, None) if module else None)
    if not report.failed or run is None:
        return
    for log in sorted(run.logs.glob("*.log")):
        lines = log.read_text(errors="replace").splitlines()
        report.sections.append((str(log), "\n".join(lines[-LOG_TAIL:])))
