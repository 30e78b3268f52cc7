# SPDX-License-Identifier: BSD-3-Clause
"""Initial RAM disks: busybox, dash, kernel modules in loading order, programs of this machine with their
libraries.

Not compressed: the host copies faster than an emulated CPU unpacks.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from . import cache, cpio, kernel

KEEP_IMAGES = 8


def build(
    linux: kernel.Kernel,
    init: bytes,
    modules: Mapping[str, list[str]],
    programs: Iterable[str] = (),
    files: Mapping[str, bytes] | None = None,
) -> Path:
    """Path of an image in the cache, built unless one with the same content is there.

    `modules`: list name -> module names. /mod/NAME.list holds the file names to insmod, in order.
    `programs`: found on PATH, copied to usr/bin with the libraries they are linked to.
    `files`: further files by path, executable.
    """
    archive = cpio.Archive()
    for path in ("proc", "sys", "dev", "run", "tmp", "root"):
        archive.directory(path)
    archive.file("init", init, 0o755)
    archive.file("bin/busybox", _busybox().read_bytes(), 0o755)
    # busybox's own shell would prefer busybox's applets to the programs below
    archive.symlink("bin/sh", "/usr/bin/dash")
    loaded: set[Path] = set()
    for name, wanted in modules.items():
        order = [file for file in linux.load_order(wanted) if file not in loaded]
        loaded.update(order)
        for file in order:
            archive.file(f"mod/{file.name}", file.read_bytes())
        archive.file(f"mod/{name}.list", "".join(f"{file.name}\n" for file in order).encode())
    for source, place in _with_libraries(["dash", *programs]).items():
        archive.file(place, source.read_bytes(), 0o755)
    for name, data in (files or {}).items():
        archive.file(name, data, 0o755)
    return _store(archive.packed())


def _store(data: bytes) -> Path:
    path = cache.root() / f"image-{hashlib.sha256(data).hexdigest()[:20]}.cpio"
    with cache.locked("image"):
        if path.exists():
            os.utime(path)
        else:
            scratch = path.with_suffix(".new")
            scratch.write_bytes(data)
            scratch.rename(path)
        images = sorted(cache.root().glob("image-*.cpio"), key=lambda p: p.stat().st_mtime, reverse=True)
        for old in images[KEEP_IMAGES:]:
            old.unlink()
    return path


def _busybox() -> Path:
    """The static busybox: a dynamic one would not start in there."""
    found = shutil.which("busybox", path=_path())
    if not found:
        raise RuntimeError("no busybox: install busybox-static")
    if "not a dynamic executable" not in _ldd(Path(found)):
        raise RuntimeError(f"{found} is not static: install busybox-static")
    return Path(found)


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"


def _ldd(program: Path) -> str:
    done = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def _with_libraries(programs: Iterable[str]) -> dict[Path, str]:
    """File here -> its path in the image; libraries stay where the loader looks for them."""
    paths: dict[Path, str] = {}
    for name in programs:
        found = shutil.which(name, path=_path())
        if not found:
            raise RuntimeError(f"{name} is not installed")
        listing = _ldd(Path(found))
        if "not found" in listing:
            raise RuntimeError(f"{found} misses a library:\n{listing}")
        paths[Path(found)] = f"usr/bin/{name}"
        paths |= {Path(p): p for p in re.findall(r"(?:=> |^\s*)(/\S+) \(0x", listing, re.MULTILINE)}
    return paths
