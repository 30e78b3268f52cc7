# SPDX-License-Identifier: BSD-3-Clause
"""dpdk-testpmd as the back-end: what comes in at one port goes out at the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.netns import Netns
from lab.process import Process


class Testpmd:
    """Vhost ports joined in pairs. As clients they connect to listening front-ends, and again after these
    went away; as servers they listen themselves.
    """

    __test__ = False

    def __init__(
        self, host: Netns, name: str, sockets: Sequence[Path], client: bool = True, queues: int = 1, more: str = ""
    ) -> None:
        self._host = host
        self._name = name
        self._sockets = sockets
        self._options = f",client={int(client)},queues={queues}{more}"
        self._queues = queues
        self._starts = 0
        self.process = self.start()

    def start(self) -> Process:
        self._starts += 1
        devices = [f"--vdev=net_vhost{i},iface={path}{self._options}" for i, path in enumerate(self._sockets)]
        self.process = self._host.start(
            f"{self._name}-{self._starts}",
            [
                *["dpdk-testpmd", "--lcores=0,1", "--no-pci", "--no-huge", "-m", "256", "--no-telemetry"],
                *[f"--file-prefix={self._host.name}-{self._name}", *devices, "--"],
                *["--forward-mode=io", "--auto-start", "--nb-cores=1", "--stats-period=3600"],
                *["--total-num-mbufs=8192", f"--rxq={self._queues}", f"--txq={self._queues}"],
                *["--max-pkt-len=9600", "--no-flush-rx"],
            ],
        )
        return self.process

    def kill(self) -> None:
        self.process.kill()
