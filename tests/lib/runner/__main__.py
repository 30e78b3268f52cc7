# SPDX-License-Identifier: BSD-3-Clause
"""tests/run, second half: see there."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType

from lab import run as lab_run

from . import builds, children, layers
from .report import Outcome, Report

USAGE = "usage: tests/run [LAYER [PATTERN]]\nlayers: " + " ".join(layers.LAYERS)


def _interrupt(number: int, _: FrameType | None) -> None:
    children.stopping.set()
    # the clean-up that follows is not to be interrupted once more
    for later in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(later, signal.SIG_IGN)
    raise children.Interrupted(number)


def main(argv: list[str]) -> int:
    if len(argv) > 2 or (argv and argv[0] not in layers.LAYERS) or any(word.startswith("-") for word in argv):
        print(USAGE, file=sys.stderr)
        return 2
    source = Path(__file__).resolve().parents[3]
    base = Path(os.environ.get("TESTS_BUILD") or source / "build").absolute()
    logs = Path(os.environ.get("TESTS_LOG") or base.with_name(base.name + "-test-logs")).absolute()
    names = argv[:1] or list(layers.LAYERS)
    for name in names:
        shutil.rmtree(logs / name, ignore_errors=True)
    logs.mkdir(parents=True, exist_ok=True)
    # what the build runs is Debian's, whatever else comes first for the user
    os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin:" + os.environ.get("PATH", "")
    report = Report()
    context = layers.Context(
        report,
        builds.Builder(report, source, base, logs),
        source,
        logs,
        argv[1] if len(argv) > 1 else "",
        os.environ.get("TESTS_ASAN") != "no",
    )
    children.adopt_orphans()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    interrupted = 0
    try:
        layers.run(context, names)
        if context.pattern and not context.matched and names != ["build"]:
            report.add(Outcome.FAILED, f"no test of {names[0]} matches {context.pattern}")
    except children.Interrupted as signalled:
        report.line(f"interrupted by {signalled}: ending what was started")
        interrupted = 128 + signalled.number
    finally:
        children.end_all()
        if os.geteuid() == 0:
            lab_run.sweep()
    report.line(f"logs: {logs}")
    return report.finish() or interrupted


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
