# SPDX-License-Identifier: BSD-3-Clause
"""pytest plugin (-p lab.results): one JSON line per test in the file $TESTS_RESULTS, as soon as the test is
over.
"""

from __future__ import annotations

import json
import os
import re

import pytest

from runner.report import TAIL_LINES

REASON_LINES = 24


class _Writer:
    def __init__(self, path: str) -> None:
        self._path = path
        self._seconds: dict[str, float] = {}
        self._done: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test fails if its setup, its body or its teardown does; it passes after its teardown."""
        seconds = self._seconds[report.nodeid] = self._seconds.get(report.nodeid, 0.0) + report.duration
        if report.failed:
            self._write(report.nodeid, "FAILED", seconds, _detail(report))
        elif report.skipped:
            self._write(report.nodeid, "SKIPPED", seconds, _reason(report))
        elif report.when == "teardown":
            self._write(report.nodeid, "PASSED", seconds, "")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._write(report.nodeid, "FAILED", 0.0, report.longreprtext)

    def _write(self, nodeid: str, outcome: str, seconds: float, detail: str) -> None:
        if nodeid in self._done:
            return
        self._done.add(nodeid)
        entry = {
            "name": nodeid.removeprefix("tests/lab/").removeprefix("tests/vm/"),
            "outcome": outcome,
            "seconds": round(seconds, 3),
            "detail": detail,
        }
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def _detail(report: pytest.TestReport) -> str:
    """The reason first, then the ends of the logs; in all no more than the runner prints of a failure. pytest's own log
    has all of it.
    """
    lines = report.longreprtext.splitlines()
    why = [line for line in lines if re.match(r"E  |>|\S+:\d+: ", line)] or lines
    logs = _sections(report).splitlines()
    return "\n".join(why[-REASON_LINES:] + logs[-(TAIL_LINES - REASON_LINES) :])


def _sections(report: pytest.TestReport) -> str:
    return "\n".join(f"--- {title}\n{text}" for title, text in report.sections)


def _reason(report: pytest.TestReport) -> str:
    if getattr(report, "wasxfail", ""):
        return f"known not to work: {report.wasxfail}"
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return report.longreprtext.splitlines()[-1]


def pytest_configure(config: pytest.Config) -> None:
    path = os.environ.get("TESTS_RESULTS")
    if path:
        config.pluginmanager.register(_Writer(path))
