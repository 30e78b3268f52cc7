# SPDX-License-Identifier: BSD-3-Clause
"""The real team driver: teamd in a namespace, what the kernel says about its ports, the switch's end of a link
aggregation. Needs a kernel with the module `team` (tests/vm).
"""

from __future__ import annotations

import json
import signal
import socket
import struct
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .netns import Netns
from .process import Process, sh
from .wait import Timeout, until

LACP: dict[str, Any] = {"name": "lacp", "active": True, "fast_rate": True, "tx_hash": ["eth", "ipv4", "ipv6"]}
ACTIVEBACKUP: dict[str, Any] = {"name": "activebackup"}
LOADBALANCE: dict[str, Any] = {
    "name": "loadbalance",
    "tx_hash": ["eth", "ipv4", "ipv6"],
    "tx_balancer": {"name": "basic", "balancing_interval": 20},
}


class Teamd:
    """A team device and its teamd. Device names are unique in the machine: teamd's pid file and socket have no
    namespaces.
    """

    def __init__(
        self, netns: Netns, device: str, ports: Sequence[str], runner: Mapping[str, Any], mtu: int
    ) -> None:
        self.netns = netns
        self.device = device
        self.ports = list(ports)
        self.runner = dict(runner)
        self.mtu = mtu
        self.process: Process | None = None
        self._starts = 0
        self._pid_file = Path(f"/run/teamd/{device}.pid")
        Path("/run/teamd").mkdir(exist_ok=True)
        netns.run.defer(self._forget_pid)

    def start(self, *flags: str) -> None:
        """Makes device and ports what they are to be; `flags` are teamd's. The ports are down for a moment."""
        config = self.netns.run.directory / f"{self.device}.json"
        text = {
            "device": self.device,
            "runner": self.runner,
            "link_watch": {"name": "ethtool"},
            "ports": {port: {} for port in self.ports},
        }
        config.write_text(json.dumps(text))
        if "-r" not in flags and "-o" not in flags:
            for port in self.ports:
                self.netns.ip(f"link set {port} down")
        self._starts += 1
        self.process = self.netns.start(
            f"teamd-{self.device}-{self._starts}", ["teamd", "-U", *flags, "-f", str(config)]
        )
        until(self._complete, f"teamd has all ports of {self.device}", every=0.1)
        self.netns.ip(f"link set {self.device} mtu {self.mtu} addrgenmode none up")

    def _complete(self) -> bool:
        assert self.process
        assert self.process.status is None, self.process.tail()
        if not self.ctl("config", "dump", check=False).startswith("{"):
            return False
        return {link["ifname"] for link in self.netns.links() if link.get("master") == self.device} >= set(self.ports)

    def ctl(self, *words: str, check: bool = True) -> str:
        """teamdctl."""
        return self.netns.sh(["teamdctl", self.device, *words], check=check).output

    def option(self, name: str, port: str = "") -> str:
        """An option of the driver; nothing while there is no such port."""
        words = ["teamnl", self.device, "getoption", name, *(["-p", port] if port else [])]
        done = self.netns.sh(words, check=False)
        return done.output.strip() if done.ok else ""

    def enabled(self) -> set[str]:
        """Ports that may carry data."""
        return {port for port in self.ports if self.option("enabled", port) == "true"}

    def wait_enabled(self, *ports: str, timeout: float = 20.0) -> None:
        """Until exactly these may carry data; without names: all."""
        wanted = set(ports or self.ports)
        until(lambda: self.enabled() == wanted, f"{self.device}: enabled are {wanted}", timeout, every=0.1)

    def state(self, item: str) -> str:
        """An item of teamd's state, as "runner.active_port"."""
        return self.ctl("state", "item", "get", item, check=False).strip()

    def add_port(self, port: str) -> None:
        self.netns.ip(f"link set {port} down")
        self.ctl("port", "add", port)
        self.ports.append(port)

    def remove_port(self, port: str) -> None:
        """The NIC stays, and stays up."""
        self.ctl("port", "remove", port)
        self.ports.remove(port)
        self.netns.ip(f"link set {port} up")

    def recreate(self) -> None:
        """What an operator does after teamd died: it is started anew with -r, which makes a new device."""
        self.kill()
        self.start("-r")

    def kill(self) -> None:
        """kill -9: device and ports stay as they are."""
        assert self.process
        self.process.kill()
        self._forget_pid()

    def stop(self) -> None:
        """teamd -k: ports and device go."""
        assert self.process
        self.process.stop(number=signal.SIGTERM)

    def _forget_pid(self) -> None:
        self._pid_file.unlink(missing_ok=True)


class Aggregation:
    """The switch's end: some of its ports as one. `kind` is "team" (teamd with LACP) or "bond" (802.3ad by the bonding
    driver, which hashes what is inside GRE, as switches can).
    """

    def __init__(self, netns: Netns, device: str, ports: Sequence[str], kind: str, mtu: int) -> None:
        self.netns = netns
        self.device = device
        self.ports = list(ports)
        self.teamd: Teamd | None = None
        for port in ports:
            netns.ip(f"link set {port} nomaster")
        if kind == "team":
            self.teamd = Teamd(netns, device, ports, LACP, mtu)
            self.teamd.start()
        else:
            netns.ip(
                f"link add {device} mtu {mtu} type bond mode 802.3ad lacp_rate fast miimon 10 "
                "xmit_hash_policy encap3+4"
            )
            for port in ports:
                netns.ip(f"link set {port} down")
                netns.ip(f"link set {port} master {device}")
        netns.ip(f"link set {device} addrgenmode none master br0 up")

    def drop_lacpdus(self, port: str) -> None:
        """No LACPDU leaves by this port any more; everything else does."""
        tc = f"tc -n {self.netns.name}"
        sh(f"{tc} qdisc replace dev {port} clsact")
        sh(f"{tc} filter replace dev {port} egress protocol 0x8809 pref 1 handle 1 matchall action drop")

    def pass_lacpdus(self, port: str) -> None:
        sh(f"tc -n {self.netns.name} qdisc del dev {port} clsact", check=False)


@dataclass(frozen=True)
class OptionChange:
    """The driver said what an option is: when (wall clock, microseconds), which, of which port (0: the team's)."""

    when: int
    name: str
    port: int
    value: int


_GENL_ID_CTRL, _CTRL_GETFAMILY = 16, 3
_FAMILY_ID, _FAMILY_NAME, _GROUPS, _GROUP_NAME, _GROUP_ID = 1, 2, 7, 1, 2
_LIST_OPTION, _LIST_PORT = 2, 3
_PORT_IFINDEX, _PORT_LINKUP = 1, 3
_OPTION_NAME, _OPTION_DATA, _OPTION_PORT = 1, 4, 6
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_NETLINK_GENERIC = 16


class OptionMonitor:
    """Options of the team driver in one namespace as they are told to everybody (also to libteam), with the time they
    arrived here.
    """

    def __init__(self, netns: Netns) -> None:
        with netns.entered():
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_GENERIC)
        self._socket.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
        self._socket.bind((0, 0))
        self._seen: list[OptionChange] = []
        self._changed = threading.Condition()
        self._closed = False
        self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, self._group())
        self._socket.settimeout(0.2)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        netns.run.defer(self.close)

    def mark(self) -> int:
        with self._changed:
            return len(self._seen)

    def wait(self, name: str, port: int, value: int, since: int = 0, timeout: float = 10.0) -> OptionChange:
        """The first message since the mark that says so."""
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                for change in self._seen[since:]:
                    if (change.name, change.port, change.value) == (name, port, value):
                        return change
                if not self._changed.wait(max(0.0, end - time.monotonic())) and time.monotonic() >= end:
                    raise Timeout(f"{name} of port {port} is not {value} within {timeout:g} s: {self._seen[since:]}")

    def close(self) -> None:
        self._closed = True
        self._thread.join()
        self._socket.close()

    def _group(self) -> int:
        """Number of the multicast group change_event of the family team."""
        name = _attribute(_FAMILY_NAME, b"team\0")
        body = struct.pack("BBH", _CTRL_GETFAMILY, 2, 0) + name
        self._socket.send(struct.pack("=IHHII", 16 + len(body), _GENL_ID_CTRL, 1, 1, 0) + body)
        answer = self._socket.recv(65536)
        for _, group in _attributes(_attributes(answer[20:]).get(_GROUPS, b"")).items():
            fields = _attributes(group)
            if fields.get(_GROUP_NAME, b"").rstrip(b"\0") == b"change_event":
                return int(struct.unpack("=I", fields[_GROUP_ID])[0])
        raise AssertionError("the kernel has no team driver")

    def _read(self) -> None:
        while not self._closed:
            try:
                data = self._socket.recv(1 << 20)
            except TimeoutError:
                continue
            except OSError:  # ENOBUFS: too much at a time, some of it is lost
                continue
            now = time.time_ns() // 1000
            with self._changed:
                self._seen += _options(data, now)
                self._changed.notify_all()


def _attribute(kind: int, data: bytes) -> bytes:
    return (struct.pack("=HH", 4 + len(data), kind) + data).ljust((4 + len(data) + 3) & ~3, b"\0")


def _walk(data: bytes) -> list[tuple[int, bytes]]:
    """Netlink attributes in order."""
    found = []
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            break
        found.append((kind & 0x3FFF, data[at + 4 : at + length]))
        at += (length + 3) & ~3
    return found


def _attributes(data: bytes) -> dict[int, bytes]:
    return dict(_walk(data))


def _options(data: bytes, when: int) -> list[OptionChange]:
    """Options of one message that are numbers or flags; a flag that is not there is false. A port's link counts as an
    option "link".
    """
    found = []
    for kind, items in _walk(data[20:]):
        for _, item in _walk(items):
            fields = _attributes(item)
            if kind == _LIST_OPTION:
                name = fields.get(_OPTION_NAME, b"").rstrip(b"\0").decode()
                raw = fields.get(_OPTION_DATA)
                value = int(raw is not None) if not raw else int.from_bytes(raw[:4], "little")
                port = fields.get(_OPTION_PORT, b"")
            elif kind == _LIST_PORT:
                name, value, port = "link", int(_PORT_LINKUP in fields), fields.get(_PORT_IFINDEX, b"")
            else:
                continue
            found.append(OptionChange(when, name, int.from_bytes(port, "little"), value))
    return found
