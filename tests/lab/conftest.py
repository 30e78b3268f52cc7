# SPDX-License-Identifier: BSD-3-Clause
"""What every lab test gets: a run of its own, and the logs of its processes when it fails."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
sys.dont_write_bytecode = True

from lab.fabric import Fabric  # noqa: E402  pylint: disable=wrong-import-position
from lab.run import Run  # noqa: E402  pylint: disable=wrong-import-position

LOG_TAIL = 25


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "asan: runs on the sanitizer build, too")
    config.addinivalue_line("markers", "alone: measures time or load; nothing else runs beside it")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="needs root for network namespaces"))


def _make_run(request: pytest.FixtureRequest, name: str) -> Run:
    base = os.environ.get("TESTS_LOG")
    run = Run(Path(base) / re.sub(r"[^\w.-]+", "_", name) if base else None)
    request.node.stash[_RUN] = run
    return run


_RUN: pytest.StashKey[Run] = pytest.StashKey()


@pytest.fixture(name="run")
def _run(request: pytest.FixtureRequest) -> Iterator[Run]:
    with _make_run(request, request.node.nodeid.rpartition("/")[2]) as run:
        yield run


@pytest.fixture(name="new_fabric")
def _new_fabric(run: Run) -> Iterator[Callable[..., Fabric]]:
    """Makes fabrics. Those that run at the end of the test have to end well."""
    made: list[Fabric] = []

    def make(**options: Any) -> Fabric:
        fabric = Fabric(run, **options)
        made.append(fabric)
        return fabric

    yield make
    for fabric in made:
        fabric.stop()


@pytest.fixture(name="fabric")
def _fabric(new_fabric: Callable[..., Fabric]) -> Fabric:
    """Two hosts with two NICs each, IPv4 between them."""
    return new_fabric()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome: Any = yield
    report = outcome.get_result()
    run = item.stash.get(_RUN, None)
    if not report.failed or run is None:
        return
    for log in sorted(run.logs.glob("*.log")):
        lines = log.read_text(errors="replace").splitlines()
        report.sections.append((str(log), "\n".join(lines[-LOG_TAIL:])))
