# SPDX-License-Identifier: BSD-3-Clause
"""
Who may include what. The rules are those of the architecture page:

    cli -> protocol, base
    daemon -> datapath -> {vhost, teaming, policy, offload} -> base

The four siblings never include each other; another folder is entered through its public header only; each
outside library has one home.
"""

from __future__ import annotations

import posixpath
import re
from fnmatch import fnmatch
from pathlib import Path

from tree import Problem, files, numbered, without_comments

# Folders, the longest first: policy/store is not policy. Everything below teaming/ (xdp/ too) is teaming.
FOLDERS = {
    "policy/learn": "learn",
    "policy/store": "store",
    "policy/manager": "manager",
    "policy": "policy",
    "vhost": "vhost",
    "teaming": "teaming",
    "offload": "offload",
    "vswitchd/base": "base",
    "vswitchd/datapath": "datapath",
    "vswitchd/daemon": "daemon",
    "vswitchd/protocol": "protocol",
    "vswitchd/cli": "cli",
    "vswitchd/policyd": "policyd",
}

SIBLINGS = {"vhost", "teaming", "policy", "offload"}

# What a folder may include besides itself.
MAY_INCLUDE = {
    "base": set(),
    "vhost": {"base"},
    "teaming": {"base"},
    "policy": {"base"},
    "offload": {"base"},
    "datapath": SIBLINGS | {"base"},
    "daemon": SIBLINGS | {"base", "datapath", "protocol", "learn", "store", "manager"},
    "protocol": {"base"},
    "cli": {"protocol", "base"},
    "learn": {"policy", "base"},
    "store": {"base"},
    "manager": {"store", "base"},
    "policyd": {"protocol", "store", "manager", "base"},
}

# The way in. In base every header is public but those named *_private.h: a library of one noun a header.
PUBLIC = {
    "vhost": "vhost/vhost.h",
    "teaming": "teaming/teaming.h",
    "policy": "policy/policy.h",
    "offload": "offload/offload.h",
    "datapath": "vswitchd/datapath/datapath.h",
    "protocol": "vswitchd/protocol/protocol.h",
    "learn": "policy/learn/learn.h",
    "store": "policy/store/store.h",
    "manager": "policy/manager/manager.h",
}

# Both daemons read configuration files of one schema: its reader is a library of its own, without DPDK.
ALSO = {("policyd", "vswitchd/daemon/config.h")}

# (header, homes, why): headers that match are included only by files that match. fnmatch: * matches / too.
LIBRARIES = [
    ("team.h", ["teaming/*"], "libteam is teaming's"),
    ("bpf/*", ["teaming/*"], "libbpf is teaming's"),
    ("xdp/*", ["teaming/*"], "libxdp is teaming's"),
    ("linux/bpf.h", ["teaming/*"], "BPF is teaming's"),
    ("netlink/*", ["teaming/*"], "rtnetlink is teaming's"),
    ("libmnl/*", ["teaming/*"], "rtnetlink is teaming's"),
    ("linux/rtnetlink.h", ["teaming/*"], "rtnetlink is teaming's"),
    ("rte_vhost*.h", ["vhost/*"], "the vhost library is vhost's"),
    ("rte_vdpa*.h", ["vhost/*"], "the vhost library is vhost's"),
    # teaming's member_ops of ethdev hands flow_create and flow_destroy through to the device.
    ("rte_flow*.h", ["offload/*", "teaming/*ethdev*.c"], "rte_flow is offload's"),
    ("rte_gso.h", ["offload/*"], "software offloads are offload's"),
    ("rte_gro.h", ["offload/*"], "software offloads are offload's"),
    ("sqlite3.h", ["policy/store/*"], "sqlite is the store's"),
    ("curl/*", ["policy/store/*"], "libcurl is the store's"),
    ("libconfig.h", ["vswitchd/daemon/config*"], "libconfig is the configuration's"),
    ("microhttpd.h", ["vswitchd/daemon/metrics*"], "libmicrohttpd is the metrics'"),
    ("systemd/*", ["vswitchd/daemon/*"], "libsystemd is the daemon's, log sink included"),
]

# (expression, homes, why): the same for names in the code. Comments do not count.
NAMES = [
    (r"\bRTE_ETH_[RT]X_OFFLOAD_\w+", ["offload/*"], "device offload flags are set and read in offload only"),
    (r"\bRTE_MBUF_F_TX_\w+", ["offload/*"], "transmit offload flags are set in offload only"),
    # base/member_ops.h names the structures of rte_flow in its prototypes, which no call of rte_flow matches.
    (r"\brte_flow_\w+\s*\(", ["offload/*", "teaming/*ethdev*.c"], "rte_flow is offload's"),
    (r"\brte_vhost_\w+\s*\(", ["vhost/*"], "the vhost library is vhost's"),
]

# Programs that run without DPDK, and their libraries: no DPDK header, not even through one of base's.
WITHOUT_DPDK = {"cli", "protocol", "policyd", "store", "manager"}

# Quoted headers that are made by the build.
GENERATED = {"version.h"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def folder_of(path: str) -> str | None:
    for prefix, name in FOLDERS.items():
        if path.startswith(prefix + "/"):
            return name
    return None


class Tree:
    """All C files below the known folders, and what they include."""

    def __init__(self, root: Path) -> None:
        self.sources = {path: without_comments((root / path).read_text(errors="replace"))
                        for path in files(root) if path.endswith((".c", ".h")) and folder_of(path)}

    def includes(self, path: str) -> list[tuple[int, str, str]]:
        """Line, '<' or '"', name."""
        lines = numbered(self.sources[path])
        return [(line, m[1], m[2]) for line, text in lines if (m := INCLUDE.match(text))]

    def resolve(self, path: str, name: str) -> str | None:
        """The project's file that `name` means in `path`: beside it, at the top, below vswitchd/."""
        for base in (posixpath.dirname(path), "", "vswitchd"):
            candidate = posixpath.normpath(posixpath.join(base, name))
            if candidate in self.sources:
                return candidate
        return None

    def dpdk_way(self, path: str, seen: set[str]) -> list[str] | None:
        """How a file gets at a DPDK header: the chain of includes, or None."""
        seen.add(path)
        for _, _, name in self.includes(path):
            if name.startswith("rte_"):
                return [path, name]
            target = self.resolve(path, name)
            if target and target not in seen:
                way = self.dpdk_way(target, seen)
                if way:
                    return [path, *way]
        return None


def check_project_include(path: str, target: str) -> str | None:
    """What is wrong with including the project's header `target`."""
    here, there = folder_of(path), folder_of(target)
    if here == there:
        return None
    if (here, target) in ALSO:
        return None
    if there not in MAY_INCLUDE[here]:
        return f"{here} must not include {there} ({target})"
    if there == "base":
        return f"{target} is private to base" if target.endswith("_private.h") else None
    if target != PUBLIC.get(there):
        return f"{target} is private to {there}, its public header is {PUBLIC.get(there)}"
    return None


def check_library(path: str, name: str) -> str | None:
    for header, homes, why in LIBRARIES:
        if fnmatch(name, header) and not any(fnmatch(path, home) for home in homes):
            return f"<{name}> must not be included here: {why}"
    return None


def check_file(tree: Tree, path: str) -> list[Problem]:
    problems = []
    for line, quote, name in tree.includes(path):
        target = tree.resolve(path, name)
        wrong = check_library(path, name) or (target and check_project_include(path, target))
        if wrong:
            problems.append(Problem(path, line, wrong))
        elif quote == "<" and target and "/" in name:
            problems.append(Problem(path, line, f"a header of the project is included with quotes: {name}"))
        elif quote == '"' and not target and name not in GENERATED:
            problems.append(Problem(path, line, f"no such header in the project: {name}"))
    for line, text in numbered(tree.sources[path]):
        for expression, homes, why in NAMES:
            found = re.search(expression, text)
            if found and not any(fnmatch(path, home) for home in homes):
                problems.append(Problem(path, line, f"{found[0].rstrip('( ')}: {why}"))
    if folder_of(path) in WITHOUT_DPDK and (way := tree.dpdk_way(path, set())):
        problems.append(Problem(path, 0, f"{folder_of(path)} does without DPDK: {' includes '.join(way)}"))
    return problems


def check(root: Path) -> list[Problem]:
    tree = Tree(root)
    return [problem for path in tree.sources for problem in check_file(tree, path)]
