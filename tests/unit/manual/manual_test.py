#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The manual pages parse, and nothing is missing from them: what they have to name is asked of the programs and read
from the tables' sources, not taken from the generator.

manual_test.py SOURCE VSWITCHD VSWITCHCTL PAGE...
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import unittest
from pathlib import Path

SOURCE, VSWITCHD, VSWITCHCTL = (Path(argument) for argument in sys.argv[1:4])
PAGES = {Path(argument).name: Path(argument) for argument in sys.argv[4:]}


def output(*argv: str | Path) -> str:
    return subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=True).stdout


def page(name: str) -> str:
    """As a reader sees it, without line breaks."""
    text = re.sub(".\b", "", output("mandoc", "-Tascii", "-Owidth=400", PAGES[name]))
    return " ".join(text.split())


def rows(header: str, name: str) -> list[str]:
    """First string of each row of an X-macro list."""
    text = (SOURCE / header).read_text(encoding="utf-8")
    start = text.index(f"#define {name}(X)")
    return re.findall(r'X\(\w+,\s*"([^"]+)"', re.split(r"[^\\]\n", text[start:])[0])


class Manual(unittest.TestCase):
    def missing(self, name: str, words: list[str]) -> None:
        """None of the words is missing, and there are some."""
        text = page(name)
        self.assertGreater(len(words), 3)
        self.assertEqual([word for word in words if not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text)], [])

    def test_pages_parse(self) -> None:
        self.assertGreaterEqual(len(PAGES), 3)
        for path in PAGES.values():
            output("mandoc", "-Tlint", "-W", "error", path)
            done = subprocess.run(
                ["man", "-l", "--warnings", str(path)],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "100"},
            )
            self.assertEqual(done.stderr, "")

    def test_every_setting(self) -> None:
        sample = output(VSWITCHD, "--print-sample-config")
        group, names, objects = "", [], []
        for line in sample.splitlines():
            if found := re.match(r"([\w-]+) = \{", line):
                group = found[1]
            elif found := re.match(r"#\t([\w-]+) = .*;$", line):
                names.append(f"{group}.{found[1]}")
            elif found := re.match(r"#([\w-]+) = \($", line):
                objects.append(found[1])
        self.missing("vswitchd.conf.5", names)
        self.missing("vswitchd.conf.5", objects)

    def test_every_command_and_option(self) -> None:
        text = output(VSWITCHCTL, "--help")
        commands = re.findall(r"^  ([a-z].*?)(?:  .*)?$", text, re.MULTILINE)
        self.missing("vswitchctl.1", [" ".join(command.split()) for command in commands])
        self.missing("vswitchctl.1", re.findall(r"--[a-z-]+", text))
        self.missing("vswitchd.8", re.findall(r"--[a-z-]+", output(VSWITCHD, "--help")))

    def test_every_drop_stage_and_event(self) -> None:
        self.missing("vswitchd.8", [r for r in rows("vswitchd/base/drop.h", "DROP_LIST") if r != "none"])
        self.missing("vswitchd.8", rows("vswitchd/datapath/stages.h", "STAGE_LIST"))
        self.missing("vswitchd.8", rows("vswitchd/daemon/manager.h", "EVENT_LIST"))

    def test_every_metric(self) -> None:
        text = (SOURCE / "vswitchd/daemon/metrics_list.h").read_text(encoding="utf-8")
        found = re.findall(r'X\(\w+, \w+, "([a-z_]+)", (COUNTER|GAUGE)', text)
        names = [f"vswitchd_{name}{'_total' if kind == 'COUNTER' else ''}" for name, kind in found]
        self.assertEqual(len(names), text.count(", COUNTER, ") + text.count(", GAUGE, "))
        self.missing("vswitchd-metrics.7", names)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
