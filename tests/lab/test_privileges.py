# SPDX-License-Identifier: BSD-3-Clause
"""vswitchd as systemd starts it: no root, three capabilities; what its threads have left when it is up."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.fabric import Fabric
from lab.host import Host
from lab.wait import until

NOBODY = 65534
KEEPERS = ("portctl", "teamwatch", "libteam")
KEPT = 1 << 12 | 1 << 13 | 1 << 39  # NET_ADMIN, NET_RAW, BPF


@pytest.fixture(name="open_sockets", autouse=True)
def _open_sockets() -> Iterator[None]:
    """The guests' sockets may be written by everybody: rights of directories are the packages' matter."""
    before = os.umask(0)
    yield
    os.umask(before)


def unprivileged(host: Host, *kept: str) -> None:
    sets = ",".join(["-all", *(f"+{name}" for name in kept)])
    host.wrapper = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", f"--inh-caps={sets}"]
    host.wrapper += [f"--ambient-caps={sets}", f"--bounding-set={sets}", "--"]
    host.directory.parent.chmod(0o755)
    for path in (host.directory, *host.directory.rglob("*")):
        os.chown(path, NOBODY, NOBODY)


def threads(host: Host) -> dict[str, tuple[int, int]]:
    """Name -> permitted capabilities, number of filters of system calls."""
    assert host.process
    found = {}
    for path in Path(f"/proc/{host.process.pid}/task").iterdir():
        status = dict(re.findall(r"^(\w+):\s*(.*)$", (path / "status").read_text(), re.MULTILINE))
        assert status["CapEff"] == status["CapPrm"] and int(status["CapInh"], 16) == 0, status
        assert status["NoNewPrivs"] == "1", status
        name, caps = status["Name"], int(status["CapPrm"], 16)
        # of several of one name the one that has the most rights counts
        before = found.get(name, (0, int(status["Seccomp_filters"])))
        found[name] = (max(caps, before[0]), min(int(status["Seccomp_filters"]), before[1]))
    return found


def only_keepers(of: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]] | None:
    return of if all(caps == 0 or name.startswith(KEEPERS) for name, (caps, _) in of.items()) else None


def test_three_capabilities_are_enough(new_fabric: Callable[..., Fabric]) -> None:
    """Traffic between hosts, changes of members; only threads that open devices, and theirs, keep capabilities."""
    fabric = new_fabric()
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    a = fabric.tap_guest("h1", "a", 5001, "10.0.0.11/24")
    fabric.tap_guest("h2", "b", 5001, "10.0.0.12/24")
    h1, h2 = fabric.hosts["h1"], fabric.hosts["h2"]
    for host in (h1, h2):
        unprivileged(host, "net_admin", "net_raw", "bpf")
    fabric.start()
    a.reaches("10.0.0.12")
    with socket.socket(socket.AF_UNIX) as private:  # as of a QEMU that was started by root with another umask
        private.bind(str(h1.sockets / "c.sock"))
        (h1.sockets / "c.sock").chmod(0o755)
        h1.ctl_text("port", "add", "id=c")
        assert "may not be used" in h1.ports()["c"]["error"] and not h1.ports()["a"].get("error")
    for host in (h1, h2):
        of = until(lambda h=host: only_keepers(threads(h)), "all others have given up theirs")
        assert all(caps & ~KEPT == 0 and filters >= 1 for caps, filters in of.values()), of
        for name in ("vswitchd", "store", "background"):
            assert of[name][0] == 0, of
        assert of["portctl"][0] == KEPT, of
        workers = [of[name] for name in of if "worker" in name]
        assert workers and all(each == (0, of["vswitchd"][1] + 1) for each in workers), of

    for key in ("members", "provider-addresses"):
        h1.config[key].pop()
    h1.config["hosts"] = [host for host in h1.config["hosts"] if host["id"] != "h1"]
    result = h1.reload()
    assert result.ok, result.output
    until(lambda: len(h1.team()["members"]) == 1, "the second member has gone")
    h1.ctl_text("member", "add", "name=a1")
    until(lambda: all(m["usable"] for m in h1.team()["members"]) and len(h1.team()["members"]) == 2, "it is back")
