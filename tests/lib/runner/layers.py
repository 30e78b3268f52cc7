# SPDX-License-Identifier: BSD-3-Clause
"""The layers of tests, each found where it lives."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import builds, children
from .report import Outcome, Report

SKIP_STATUS = 77
SCRIPT_TIMEOUT = 960.0
LAB_TIMEOUT = 2400.0


@dataclass
class Context:
    """What every layer works with."""

    report: Report
    builder: builds.Builder
    source: Path
    logs: Path
    pattern: str
    asan: bool
    matched: int = 0

    def wanted(self, name: str) -> bool:
        wanted = self.pattern.lower() in name.lower()
        self.matched += wanted
        return wanted

    def flavours(self) -> list[builds.Flavour]:
        """Those whose tests run."""
        return [builds.GCC, builds.ASAN] if self.asan else [builds.GCC]

    def skip(self, name: str, reason: str) -> None:
        self.report.add(Outcome.SKIPPED, name, detail=reason)


def build(context: Context) -> None:
    for flavour in builds.ALL:
        if flavour is builds.ASAN and not context.asan:
            context.skip("build asan", "TESTS_ASAN=no")
        else:
            context.builder.build(flavour)


def lint(context: Context) -> None:
    """Executables in tests/lint."""
    _scripts(context, "lint", context.source / "tests/lint", "*")


def machine(context: Context) -> None:
    """Executables tests/vm/test_*: each boots a machine of its own. Those that run cases of pytest in there, from
    tests/vm/NAME, have them counted one by one.
    """
    if os.geteuid() != 0:
        context.skip("vm", "needs root")
        return
    if not context.builder.build(builds.GCC):
        context.skip("vm", "the build failed")
        return
    env = {"VSWITCHD_BUILD": str(context.builder.directory(builds.GCC))}
    for path in _executables(context.source / "tests/vm", "test_*"):
        if path.with_name(path.name.removeprefix("test_")).is_dir():
            _machine_cases(context, path, env)
        elif context.wanted(path.name):
            _script(context, "vm", path, env)


def _machine_cases(context: Context, path: Path, env: dict[str, str]) -> None:
    results = context.logs / "vm" / path.name / "results.jsonl"
    argv = [str(path)]
    if not context.wanted(path.name):
        argv += ["-k", context.pattern]
    env = {**env, "TESTS_RESULTS": str(results)}
    _cases(context, "vm", f"vm {path.name}", argv, results.with_name("log"), SCRIPT_TIMEOUT, env)


def _executables(directory: Path, glob: str) -> list[Path]:
    return [path for path in sorted(directory.glob(glob)) if path.is_file() and os.access(path, os.X_OK)]


def _scripts(context: Context, layer: str, directory: Path, glob: str) -> None:
    for path in _executables(directory, glob):
        if context.wanted(path.name):
            _script(context, layer, path)


def _script(context: Context, layer: str, path: Path, env: dict[str, str] | None = None) -> None:
    name = f"{layer} {path.name}"
    log = context.logs / layer / f"{path.name}.log"
    done = children.run(context.report, name, [str(path)], log, SCRIPT_TIMEOUT, env=env, cwd=context.source)
    _add(context.report, name, done)


def unit(context: Context) -> None:
    _meson_suite(context, "unit")


def fuzz(context: Context) -> None:
    """Fuzz targets replay their corpora like any other test."""
    _meson_suite(context, "fuzz")


def _meson_suite(context: Context, suite: str) -> None:
    """All flavours side by side: one more at a time than there are CPUs, for what takes long mostly waits."""
    tests = []
    for flavour in context.flavours():
        layer = suite if flavour is builds.GCC else f"{suite}/{flavour.name}"
        if not context.builder.build(flavour):
            context.skip(layer, f"the {flavour.name} build failed")
            continue
        listed = subprocess.run(
            ["meson", "introspect", "--tests", str(context.builder.directory(flavour))],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        tests += [
            (layer, test)
            for test in json.loads(listed)
            if suite in {name.rpartition(":")[2] for name in test["suite"]} and context.wanted(test["name"])
        ]
    tests.sort(key=lambda each: -int(each[1]["timeout"]))  # what takes long first, the others beside it
    pool = ThreadPoolExecutor(1 + (os.cpu_count() or 2))
    try:
        for future in [pool.submit(_meson_test, context, layer, test) for layer, test in tests]:
            future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _meson_test(context: Context, layer: str, test: dict[str, Any]) -> None:
    name = f"{layer} {test['name']}"
    log = context.logs / layer / f"{test['name'].replace('/', '-')}.log"
    env = {**builds.SANITIZER_ENV, **test["env"]}
    cwd = Path(test["workdir"]) if test["workdir"] else context.source
    slower = 1 if layer == "unit" else 4  # fuzz corpora and sanitizers
    done = children.run(
        context.report, name, test["cmd"], log, slower * test["timeout"] or SCRIPT_TIMEOUT, env=env, cwd=cwd
    )
    if not children.stopping.is_set():
        _add_cmocka(context.report, name, done)


def _add(report: Report, name: str, done: children.Done) -> None:
    if done.status == 0:
        report.add(Outcome.PASSED, name, done.seconds)
    elif done.status == SKIP_STATUS:
        lines = done.text().splitlines()
        report.add(Outcome.SKIPPED, name, done.seconds, lines[-1] if len(lines) > 1 else "no reason given")
    else:
        report.add(Outcome.FAILED, name, done.seconds, f"{done.text()}\nstatus {done.status}, log {done.log}")


def _add_cmocka(report: Report, name: str, done: children.Done) -> None:
    """Every case of a cmocka program counts; one that ends otherwise than its cases say fails on its own."""
    cases: dict[str, str] = {}
    for word, case in re.findall(r"^\[\s*(OK|FAILED|ERROR|SKIPPED)\s*\] (\S+)$", done.text(), re.MULTILINE):
        cases[case] = word
    if not cases:
        _add(report, name, done)
        return
    bad = [case for case, word in cases.items() if word in ("FAILED", "ERROR")]
    with report.group():
        for case, word in cases.items():
            if word == "SKIPPED":
                report.add(Outcome.SKIPPED, f"{name} {case}", detail="skipped by the test")
            elif word == "OK":
                report.count(Outcome.PASSED)
        if not bad and done.status == 0:
            report.line(
                f"pass {name}: {sum(word == 'OK' for word in cases.values())} cases ({done.seconds:.1f} s)"
            )
        for case in bad:
            report.add(Outcome.FAILED, f"{name} {case}", done.seconds, _case_log(done.text(), case))
        if not bad and done.status != 0:
            _add(report, name, done)


def _case_log(text: str, case: str) -> str:
    """From the start of a case to its verdict."""
    found = re.search(
        rf"^\[\s*RUN\s*\] {re.escape(case)}$.*?^\[\s*(?:FAILED|ERROR)\s*\] {re.escape(case)}$",
        text,
        re.MULTILINE | re.DOTALL,
    )
    return found[0] if found else text


def lab(context: Context) -> None:
    """pytest on tests/lab; those marked asan once more with the sanitizer build.

    Both builds side by side: their tests mostly wait, and share nothing. Those marked alone measure time: before.
    """
    if os.geteuid() != 0:
        context.skip("lab", "needs root for network namespaces")
        return
    flavours = []
    for flavour in context.flavours():
        if context.builder.build(flavour):
            flavours.append(flavour)
        else:
            context.skip(_lab_layer(flavour), f"the {flavour.name} build failed")
    for flavour in flavours:
        _pytest(context, flavour, alone=True)
    with ThreadPoolExecutor(len(flavours) or 1) as pool:
        for future in [pool.submit(_pytest, context, flavour, alone=False) for flavour in flavours]:
            future.result()


def _lab_layer(flavour: builds.Flavour) -> str:
    return "lab" if flavour is builds.GCC else f"lab/{flavour.name}"


def _pytest(context: Context, flavour: builds.Flavour, alone: bool) -> None:
    layer = _lab_layer(flavour)
    part = "alone" if alone else "others"
    results = context.logs / layer / f"results-{part}.jsonl"
    argv = [
        "/usr/bin/python3",
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-p",
        "lab.results",
        "--timeout=180",
        "-q",
        "-rs",
        str(context.source / "tests/lab"),
    ]
    marks = ["alone" if alone else "not alone", *(["asan"] if flavour is builds.ASAN else [])]
    argv += ["-m", " and ".join(marks)]
    if context.pattern:
        argv += ["-k", context.pattern]
    env = {
        **builds.SANITIZER_ENV,
        "VSWITCHD_BUILD": str(context.builder.directory(flavour)),
        "TESTS_LOG": str(context.logs / layer),
        "TESTS_RESULTS": str(results),
        "PYTHONPATH": str(context.source / "tests/lib"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    _cases(context, layer, layer, argv, context.logs / f"{layer.replace('/', '-')}-{part}.log", LAB_TIMEOUT, env)


def _cases(
    context: Context, layer: str, name: str, argv: list[str], log: Path, timeout: float, env: dict[str, str]
) -> None:
    """Runs pytest, however started; its cases count one by one as they come by $TESTS_RESULTS."""
    results = Path(env["TESTS_RESULTS"])
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text("")
    tail = _Results(context.report, layer, results)
    done = children.run(
        context.report, name, argv, log, timeout, env=env, cwd=context.source, progress=tail.read
    )
    context.matched += tail.seen
    # pytest: 0 passed, 1 some failed (counted one by one), 5 none selected
    if done.status not in (0, 1, 5) or (done.status == 1 and not tail.failed):
        context.report.add(
            Outcome.FAILED, f"{name}: pytest", done.seconds, f"{done.text()}\nstatus {done.status}"
        )


class _Results:
    """Follows the file that lab.results writes."""

    def __init__(self, report: Report, layer: str, path: Path) -> None:
        self._report = report
        self._layer = layer
        self._path = path
        self._at = 0
        self.failed = self.seen = 0

    def read(self) -> None:
        with open(self._path, encoding="utf-8") as file:
            file.seek(self._at)
            for line in iter(file.readline, ""):
                if not line.endswith("\n"):
                    break
                self._at = file.tell()
                entry = json.loads(line)
                outcome = Outcome[entry["outcome"]]
                self.failed += outcome is Outcome.FAILED
                self.seen += 1
                self._report.add(outcome, f"{self._layer} {entry['name']}", entry["seconds"], entry["detail"])


LAYERS: dict[str, Callable[[Context], None]] = {
    "build": build,
    "lint": lint,
    "unit": unit,
    "fuzz": fuzz,
    "lab": lab,
    "vm": machine,
}


def run(context: Context, names: Iterable[str]) -> None:
    for name in names:
        context.report.section(name)
        LAYERS[name](context)
