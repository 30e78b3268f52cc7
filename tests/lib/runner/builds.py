# SPDX-License-Identifier: BSD-3-Clause
"""The builds: gcc (what is tested), clang (only has to build), gcc with sanitizers (tested again)."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from . import children
from .report import Outcome, Report

TIMEOUT = 1200.0


@dataclass(frozen=True)
class Flavour:
    """One way to build: directory suffix, compiler, meson options, and whether with the flags of Debian's packages."""

    name: str
    suffix: str
    compiler: str
    options: tuple[str, ...] = ()
    packaged: bool = False


# what is tested is compiled as the package is, which ccache therefore has for the package's own test
GCC = Flavour("gcc", "", "gcc", ("--buildtype=plain",), packaged=True)
# nobody runs it, and clang warns the same whatever it optimizes
CLANG = Flavour("clang", "-clang", "clang", ("-Doptimization=0", "-Ddebug=false"))
# a report needs lines only, and compiling is most of what the sanitizers cost
ASAN = Flavour(
    "asan",
    "-asan",
    "gcc",
    ("-Db_sanitize=address,undefined", "-Db_lundef=false", "-Doptimization=1", "-Dc_args=-g1"),
)
ALL = (GCC, CLANG, ASAN)

# the directory's name is in debug information only, so that a clone finds what another one has built; messages are not
# what is compared
CCACHE_ENV = {"CCACHE_NOHASHDIR": "1", "CCACHE_SLOPPINESS": "locale"}

# a report of any sanitizer is an exit status that no test of ours has
SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:exitcode=99",
    "LSAN_OPTIONS": f"suppressions={Path(__file__).parents[1] / 'lsan.supp'}:print_suppressions=0",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
}


def _package_flags() -> dict[str, str]:
    """CFLAGS and the like, as debhelper sets them (packaging/deb/debian/rules), without the tree's path."""
    env = {
        **os.environ,
        "DEB_BUILD_MAINT_OPTIONS": "hardening=+all",
        "DEB_BUILD_OPTIONS": "reproducible=-fixfilepath,-fixdebugpath",
    }
    names = ("CFLAGS", "CPPFLAGS", "LDFLAGS")
    return {
        name: subprocess.run(
            ["dpkg-buildflags", "--get", name], env=env, capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in names
    }


@dataclass
class Builder:
    """Builds each flavour at most once."""

    report: Report
    source: Path
    base: Path
    logs: Path
    _done: dict[Flavour, bool] = field(default_factory=dict)

    def directory(self, flavour: Flavour) -> Path:
        return self.base.with_name(self.base.name + flavour.suffix)

    def build(self, flavour: Flavour) -> bool:
        """True if it is built, now or before."""
        if flavour not in self._done:
            self._done[flavour] = self._build(flavour)
        return self._done[flavour]

    def _build(self, flavour: Flavour) -> bool:
        directory = self.directory(flavour)
        name = f"build {flavour.name}"
        seconds = 0.0
        steps = []
        if not (directory / "build.ninja").exists():
            steps.append(["meson", "setup", *flavour.options, str(directory), str(self.source)])
        steps.append(["ninja", "-C", str(directory)])
        for argv in steps:
            log = self.logs / f"build-{flavour.name}-{argv[0]}.log"
            env = {"CC": f"ccache {flavour.compiler}"} | CCACHE_ENV
            if flavour.packaged and argv[0] == "meson":
                env |= _package_flags()
            done = children.run(self.report, name, argv, log, TIMEOUT, env=env)
            seconds += done.seconds
            if done.status != 0:
                self.report.add(Outcome.FAILED, name, seconds, done.text())
                return False
        self.report.add(Outcome.PASSED, name, seconds)
        return True
