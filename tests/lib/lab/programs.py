# SPDX-License-Identifier: BSD-3-Clause
"""Where the programs under test are: the build directory in $VSWITCHD_BUILD, else build/ in the tree."""

from __future__ import annotations

import os
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[3]
_WHERE = {
    "vswitchd": "vswitchd/daemon/vswitchd",
    "vswitchd-emunic": "tests/lab/vswitchd-emunic",
    "vswitchd-vxlan": "tests/lab/vswitchd-vxlan",
    "vswitch-policyd": "vswitchd/policyd/vswitch-policyd",
    "vswitchctl": "vswitchd/cli/vswitchctl",
    "vhu-peer": "tests/lib/frontend/vhu-peer",
}


def build_directory() -> Path:
    return Path(os.environ.get("VSWITCHD_BUILD") or SOURCE / "build").absolute()


def program(name: str) -> str:
    path = build_directory() / _WHERE[name]
    if not path.exists():
        raise FileNotFoundError(f"{path} is not built; $VSWITCHD_BUILD names the build directory")
    return str(path)
