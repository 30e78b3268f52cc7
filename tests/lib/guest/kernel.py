# SPDX-License-Identifier: BSD-3-Clause
"""Debian's own kernel, downloaded by apt and unpacked into the cache, never installed.

The package holds a bzImage with an xz payload, and unpacking that inside an emulated machine takes four
seconds. It is unpacked here once; QEMU boots the ELF image inside through its PVH entry.
"""

from __future__ import annotations

import lzma
import os
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from . import cache

META_PACKAGE = "linux-image-amd64"
# Parts of lib/modules/VERSION/kernel worth keeping: the rest is 300 MB of drivers no such machine has.
MODULE_TREES = (
    "arch",
    "crypto",
    "fs",
    "lib",
    "mm",
    "net",
    "virt",
    "drivers/net",
    "drivers/virtio",
    "drivers/char",
    "drivers/block",
    "drivers/vhost",
    "drivers/vfio",
    "drivers/uio",
    "drivers/ptp",
    "drivers/firmware",
)
NOT_MODULE_TREES = (
    "drivers/net/ethernet",
    "drivers/net/wireless",
    "drivers/net/usb",
    "drivers/net/can",
    "drivers/net/phy",
    "drivers/net/dsa",
    "drivers/net/wwan",
)
FRESH_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel package."""

    directory: Path

    @property
    def image(self) -> Path:
        return self.directory / "vmlinux"

    @cached_property
    def version(self) -> str:
        return next((self.directory / "lib/modules").iterdir()).name

    @property
    def modules(self) -> Path:
        return self.directory / "lib/modules" / self.version

    @cached_property
    def _needs(self) -> dict[str, list[str]]:
        """Module name -> its file and those it needs, the last one loaded first (as modules.dep has them)."""
        needs: dict[str, list[str]] = {}
        for line in (self.modules / "modules.dep").read_text().splitlines():
            file, _, others = line.partition(":")
            needs[_module_name(file)] = [file, *others.split()]
        return needs

    def load_order(self, names: list[str]) -> list[Path]:
        """Files to insmod for these modules, what each needs before it. Built-in ones need none.

        Raises KeyError for a name this kernel knows in neither form.
        """
        builtin = {_module_name(line) for line in (self.modules / "modules.builtin").read_text().splitlines()}
        ordered: list[str] = []
        for name in (_module_name(n) for n in names):
            if name in builtin:
                continue
            for file in reversed(self._needs[name]):
                if file not in ordered:
                    ordered.append(file)
        return [self.modules / file for file in ordered]


def _module_name(path: str) -> str:
    return re.sub(r"\.ko(\.\w+)?$", "", os.path.basename(path)).replace("-", "_")


def obtain() -> Kernel:
    """The newest kernel Debian offers; an older unpacked one if the archive cannot be reached."""
    with cache.locked("kernel"):
        have = max(cache.root().glob("kernel-*/vmlinux"), key=_age_key, default=None)
        if have and time.time() - have.stat().st_mtime < FRESH_SECONDS:
            return Kernel(have.parent)
        package = _package() or _package(update=True)
        if package:
            directory = cache.root() / f"kernel-{package[0]}_{package[1].replace(':', '%')}"
            if not (directory / "vmlinux").exists():
                _unpack(package, directory)
                for old in cache.root().glob("kernel-*"):
                    if old != directory:
                        shutil.rmtree(old)
            os.utime(directory / "vmlinux")
            return Kernel(directory)
        if have:
            return Kernel(have.parent)
    raise RuntimeError(f"apt knows no {META_PACKAGE}, and no kernel is in {cache.root()}")


def _age_key(path: Path) -> float:
    return path.stat().st_mtime


def _package(update: bool = False) -> tuple[str, str] | None:
    """(name, version) of the package that the meta package stands for."""
    if update:
        subprocess.run(["apt-get", "-qq", "update"], check=False, stdin=subprocess.DEVNULL)
    depends = subprocess.run(
        ["apt-cache", "depends", META_PACKAGE], capture_output=True, text=True, check=False
    ).stdout
    name = re.search(r"Depends: (linux-image-[0-9]\S+)", depends)
    if not name:
        return None
    show = subprocess.run(
        ["apt-cache", "show", "--no-all-versions", name[1]], capture_output=True, text=True, check=False
    ).stdout
    version = re.search(r"^Version: (\S+)", show, re.MULTILINE)
    return (name[1], version[1]) if version else None


def _unpack(package: tuple[str, str], directory: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache.root(), prefix=".kernel-") as scratch_name:
        scratch = Path(scratch_name)
        subprocess.run(
            ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", f"{package[0]}={package[1]}"],
            cwd=scratch,
            check=True,
            stdin=subprocess.DEVNULL,
        )
        deb = next(scratch.glob("*.deb"))
        wanted = ["./boot/vmlinuz-*", "./lib/modules/*/modules.*"]
        wanted += [f"./lib/modules/*/kernel/{tree}" for tree in MODULE_TREES]
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as unpack:
            subprocess.run(
                [
                    "tar",
                    "-x",
                    "-C",
                    scratch_name,
                    "--wildcards",
                    *(f"--exclude=*/kernel/{tree}" for tree in NOT_MODULE_TREES),
                    *wanted,
                ],
                stdin=unpack.stdout,
                check=True,
            )
        deb.unlink()
        version = next((scratch / "lib/modules").iterdir()).name
        subprocess.run(["depmod", "-b", scratch_name, version], check=True)
        compressed = next((scratch / "boot").glob("vmlinuz-*"))
        (scratch / "vmlinux").write_bytes(_payload(compressed.read_bytes()))
        shutil.rmtree(scratch / "boot")
        os.chmod(scratch, 0o755)
        shutil.rmtree(directory, ignore_errors=True)
        os.rename(scratch, directory)
        scratch.mkdir()  # for the context manager to remove


def _payload(bzimage: bytes) -> bytes:
    """The ELF image inside a bzImage."""
    start = bzimage.find(b"\xfd7zXZ\x00")
    if start < 0:
        raise RuntimeError("the kernel image has no xz payload")
    elf = lzma.LZMADecompressor().decompress(bzimage[start:])
    if elf[:4] != b"\x7fELF":
        raise RuntimeError("the kernel's payload is no ELF image")
    return elf
