# SPDX-License-Identifier: BSD-3-Clause
"""The files a lint looks at, and how it complains."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, order=True)
class Problem:
    path: str
    line: int  # 0: the file as a whole
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}" if self.line else f"{self.path}: {self.text}"


def files(root: Path) -> list[str]:
    """Paths relative to root of the project's files: what git tracks or would, else everything."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(command, capture_output=True, text=True)
    if found.returncode == 0 and (root / ".git").exists():
        names = [name for name in found.stdout.split("\0") if name]
    else:
        names = [os.path.relpath(os.path.join(folder, name), root)
                 for folder, _, here in os.walk(root) for name in here]
    return sorted({name for name in names if (root / name).is_file() and not (root / name).is_symlink()})


def without_comments(source: str) -> str:
    """C source with comments blanked out; strings and the number of lines stay."""
    token = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
    return token.sub(lambda m: re.sub(r"[^\n]", " ", m[0]) if m[0].startswith("/") else m[0], source)


def numbered(text: str) -> Iterator[tuple[int, str]]:
    return enumerate(text.split("\n"), 1)


def main(check: Callable[[Path], list[Problem]]) -> None:
    """Check the tree given as the only argument, or the one this file is in."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2]).resolve()
    problems = sorted(set(check(root)))
    for problem in problems:
        print(problem)
    if problems:
        print(f"{len(problems)} problems")
    sys.exit(1 if problems else 0)
