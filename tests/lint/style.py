# SPDX-License-Identifier: BSD-3-Clause
"""What can be said about the text of a file without understanding it."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

from tree import Problem, files, numbered

WIDTH = 120
TAB = 8

SPDX = "SPDX-License-Identifier: BSD-3-Clause"

# Not ours to shape: licence text, data of tests, files made by a program that is in the tree.
FOREIGN = ["LICENSE", "tests/fuzz/corpus/*", "tests/unit/golden/*.h", "*.pcap", "*.json", "*.svg", "*.png"]

C = ["*.c", "*.h"]
PYTHON = ["*.py"]
MESON = ["*meson.build", "meson_options.txt"]
PROSE = ["*.md", "*.scd"]

# Spelled apart, or this file would be its own first finding.
UNFINISHED = re.compile(r"\b(?:TO" + "DO|FIX" + r"ME)\b")
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:wo" + r"rk|tmp/w)(?:/|(?![\w.-]))")


def matches(path: str, patterns: list[str]) -> bool:
    return any(fnmatch(path, pattern) for pattern in patterns)


def is_script(text: str) -> bool:
    return text.startswith("#!")


def check_head(path: str, text: str) -> list[Problem]:
    """The licence in the first line, behind a #! line in the second."""
    if not (matches(path, C + PYTHON + MESON) or is_script(text)):
        return []
    if not text:
        return []
    lines = text.split("\n")
    line = 2 if is_script(text) else 1
    mark = lines[line - 1] if len(lines) >= line else ""
    wanted = f"/* {SPDX} */" if matches(path, C) else f"# {SPDX}"
    if path.endswith(".bpf.c"):  # loaded into the kernel
        wanted = f"/* {SPDX.replace('BSD-3-Clause', '(BSD-3-Clause OR GPL-2.0-only)')} */"
    return [] if mark.rstrip() == wanted else [Problem(path, line, f"the line has to be: {wanted}")]


def check_end(path: str, text: str) -> list[Problem]:
    if not text or text.endswith("\n") and not text.endswith("\n\n"):
        return []
    return [Problem(path, len(text.splitlines()), "the file has to end with one line feed")]


def check_line(path: str, line: str) -> list[str]:
    wrong = []
    if "\r" in line:
        wrong.append("carriage return")
    if line != line.rstrip():
        wrong.append("blanks at the end")
    if UNFINISHED.search(line):
        wrong.append("unfinished work is not committed")
    if MACHINE_PATH.search(line):
        wrong.append("a path of one machine")
    indent = line[: len(line) - len(line.lstrip())]
    if matches(path, C) and (" " * TAB in indent or " \t" in indent):
        wrong.append("indented with blanks, use tabs")
    if matches(path, PYTHON + MESON) and "\t" in indent:
        wrong.append("indented with tabs, use blanks")
    if not matches(path, PROSE) and len(line.expandtabs(TAB)) > WIDTH:
        wrong.append(f"{len(line.expandtabs(TAB))} columns, at most {WIDTH} are allowed")
    return wrong


def check_file(root: Path, path: str) -> list[Problem]:
    if matches(path, FOREIGN):
        return []
    data = (root / path).read_bytes()
    if b"\0" in data:
        return []
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return [Problem(path, 0, "not UTF-8")]
    found = check_head(path, text) + check_end(path, text)
    for number, line in numbered(text):
        found += [Problem(path, number, wrong) for wrong in check_line(path, line)]
    return found


def check(root: Path) -> list[Problem]:
    return [problem for path in files(root) for problem in check_file(root, path)]
