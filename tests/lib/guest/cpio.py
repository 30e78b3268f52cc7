# SPDX-License-Identifier: BSD-3-Clause
"""Writes "newc" archives, the format of an initial RAM disk. Same input, same bytes."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field


@dataclass
class Archive:
    """Entries in the order they were added; parent directories come by themselves."""

    _parts: list[bytes] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    def add(self, path: str, mode: int, data: bytes = b"") -> None:
        """One entry, `mode` with its type bits. A path added twice keeps its first content."""
        path = path.strip("/")
        if path in self._seen:
            return
        parent = path.rpartition("/")[0]
        if parent:
            self.add(parent, stat.S_IFDIR | 0o755)
        self._seen.add(path)
        self._append(path, mode, data)

    def file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        self.add(path, stat.S_IFREG | mode, data)

    def directory(self, path: str) -> None:
        self.add(path, stat.S_IFDIR | 0o755)

    def symlink(self, path: str, target: str) -> None:
        self.add(path, stat.S_IFLNK | 0o777, target.encode())

    def packed(self) -> bytes:
        """The whole archive with its trailer."""
        tail = Archive()
        tail._append("TRAILER!!!", 0, b"")
        return b"".join(self._parts + tail._parts)

    def _append(self, name: str, mode: int, data: bytes) -> None:
        inode = 0 if not mode else len(self._seen)
        raw = name.encode() + b"\0"
        numbers = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0)
        header = b"070701" + b"".join(b"%08X" % n for n in numbers)
        self._parts.append(_pad(header + raw) + _pad(data))


def _pad(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
