# SPDX-License-Identifier: BSD-3-Clause
"""The real team driver: teamd in a namespace, what the kernel says about its ports, the switch's end of a link
aggregation. Needs a kernel with the module `team` (tests/vm).
"""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .netns import Netns
from .process import Process, sh
from .team_options import options
from .wait import until

RUN_DIRECTORY = Path("/run/teamd")
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
        self._before = 0
        if not RUN_DIRECTORY.exists():
            RUN_DIRECTORY.mkdir()
            netns.run.defer(_remove_if_empty)
        netns.run.defer(self._forget_files)

    def start(self, *flags: str) -> None:
        """Makes device and ports what they are to be; `flags` are teamd's."""
        self.launch(*flags)
        self.wait_complete()

    def launch(self, *flags: str) -> None:
        """As start(), without waiting. The ports are down for a moment."""
        config = self.netns.run.directory / f"{self.device}.json"
        text = {
            "device": self.device,
            "runner": self.runner,
            "link_watch": {"name": "ethtool"},
            "ports": {port: {} for port in self.ports},
        }
        config.write_text(json.dumps(text))
        if not flags:
            self.netns.batch(*(f"link set {port} down" for port in self.ports))
        # a device that is made anew has another index
        self._before = self.index() if "-r" in flags else 0
        self._starts += 1
        # LACP must not starve where the CPU is emulated
        first = ["nice", "-n", "-15"] if self.runner["name"] == "lacp" else []
        self.process = self.netns.start(
            f"teamd-{self.device}-{self._starts}", [*first, "teamd", "-U", *flags, "-f", str(config)]
        )

    def wait_complete(self) -> None:
        """Until the device is there with all ports; it is up then."""
        until(self._complete, f"teamd has all ports of {self.device}")
        self.netns.ip(f"link set {self.device} mtu {self.mtu} addrgenmode none up")

    def _complete(self) -> bool:
        assert self.process
        assert self.process.status is None, self.process.tail()
        return (
            self.index() != self._before
            and (RUN_DIRECTORY / f"{self.device}.sock").exists()
            and self.enabled(None) == set(self.ports)
        )

    def index(self, interface: str = "") -> int:
        """Of one of the ports, else of the device; 0 if there is none."""
        with self.netns.entered():
            try:
                return socket.if_nametoindex(interface or self.device)
            except OSError:
                return 0

    def ctl(self, *words: str, check: bool = True) -> str:
        """teamdctl."""
        return self.netns.sh(["teamdctl", self.device, *words], check=check).output

    def enabled(self, wanted: bool | None = True) -> set[str]:
        """Ports that may carry data; with None all ports."""
        device = self.index()
        values = {o.port: bool(o.value) for o in options(self.netns, device) if o.name == "enabled"} if device else {}
        names = {self.index(port): port for port in self.ports}
        return {names[port] for port, value in values.items() if port in names and wanted in (None, value)}

    def wait_enabled(self, *ports: str, timeout: float = 20.0) -> None:
        """Until exactly these may carry data; without names: all."""
        wanted = set(ports or self.ports)
        until(lambda: self.enabled() == wanted, f"{self.device}: enabled are {wanted}", timeout)

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
        """kill -9: device and ports stay as they are, and so do the files of the dead."""
        assert self.process
        self.process.kill()

    def stop(self) -> None:
        """teamd -k: ports and device go."""
        assert self.process
        self.process.stop(number=signal.SIGTERM)

    def _forget_files(self) -> None:
        for kind in ("pid", "sock"):
            (RUN_DIRECTORY / f"{self.device}.{kind}").unlink(missing_ok=True)


def _remove_if_empty() -> None:
    try:
        RUN_DIRECTORY.rmdir()
    except OSError:  # somebody else has teams too by now
        pass


class Aggregation:
    """The switch's end: some of its ports as one. `kind` is "team" (teamd with LACP) or "bond" (802.3ad by the bonding
    driver, which hashes what is inside GRE, as switches can).
    """

    def __init__(self, netns: Netns, device: str, ports: Sequence[str], kind: str, mtu: int) -> None:
        self.netns = netns
        self.device = device
        self.ports = list(ports)
        self.teamd: Teamd | None = None
        self._silent: set[str] = set()
        netns.batch(*(f"link set {port} nomaster" for port in ports))
        if kind == "team":
            self.teamd = Teamd(netns, device, ports, LACP, mtu)
            self.teamd.launch()
        else:
            netns.batch(
                f"link add {device} mtu {mtu} type bond mode 802.3ad lacp_rate fast miimon 10 "
                "xmit_hash_policy encap3+4",
                *(f"link set {port} down master {device}" for port in ports),
            )

    def finish(self) -> None:
        """It is a port of the switch."""
        if self.teamd:
            self.teamd.wait_complete()
        self.netns.ip(f"link set {self.device} addrgenmode none master br0 up")

    def complete(self) -> bool:
        """By LACP all ports collect and distribute."""
        if self.teamd:
            return self.teamd.enabled() == set(self.ports)
        with self.netns.entered():
            text = Path(f"/proc/thread-self/net/bonding/{self.device}").read_text()
        # each port's, of the actor and of the partner (IEEE 802.1AX: bits 4 and 5)
        states = [int(state) for state in re.findall(r"port state: (\d+)", text)]
        return len(states) == 2 * len(self.ports) and all(state & 0x30 == 0x30 for state in states)

    def drop_lacpdus(self, port: str) -> None:
        """No LACPDU leaves by this port any more; everything else does."""
        tc = f"tc -n {self.netns.name}"
        sh(f"{tc} qdisc replace dev {port} clsact")
        sh(f"{tc} filter replace dev {port} egress protocol 0x8809 pref 1 matchall action drop")
        self._silent.add(port)

    def pass_lacpdus(self, port: str) -> None:
        if port in self._silent:
            self._silent.discard(port)
            sh(f"tc -n {self.netns.name} qdisc del dev {port} clsact")
