# SPDX-License-Identifier: BSD-3-Clause
"""The physical network: a switch that learns MAC addresses, and cables to the hosts' NICs."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .netns import Counters, Netns
from .process import Process
from .run import Run
from .wait import until

if TYPE_CHECKING:
    from .capture import Capture

DEFAULT_MTU = 1600


@dataclass(frozen=True)
class Cable:
    """From a NIC inside `host` to the switch port `port`."""

    underlay: Underlay
    host: Netns
    nic: str
    port: str

    def unplug(self) -> None:
        """The host's NIC loses its carrier."""
        self.underlay.netns.ip(f"link set {self.port} down")

    def plug(self) -> None:
        self.underlay.netns.ip(f"link set {self.port} up")
        until(lambda: self.host.running(self.nic), f"carrier of {self.host.short} {self.nic}", every=0.01)

    def counters(self) -> Counters:
        """As the host sees them: tx left the host."""
        return self.host.counters(self.nic)


class Underlay:
    """A bridge in a namespace of its own: learns, floods what it does not know, has no STP and no snooping."""

    def __init__(self, run: Run, name: str = "sw", mtu: int = DEFAULT_MTU) -> None:
        self.run = run
        self.netns = Netns(run, name)
        self.mtu = mtu
        self.cables: dict[str, Cable] = {}
        # the switch looks at no IP header, even where the kernel could filter bridged frames
        with self.netns.entered():
            for setting in Path("/proc/sys/net/bridge").glob("bridge-nf-call-*"):
                if os.access(setting, os.W_OK):
                    setting.write_text("0")
        # no IPv6 of its own: nothing on the wire but what the hosts send
        self.netns.ip("link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0")
        self.netns.ip(f"link set br0 mtu {mtu} addrgenmode none up")

    def attach(self, host: Netns, nic: str, mac: str = "") -> Cable:
        """A new NIC in `host`, plugged into the switch. Its kernel side has no addresses."""
        port = f"{host.short}{nic}"[-15:]
        address = f"address {mac}" if mac else ""
        self.netns.batch(
            f"link add {port} mtu {self.mtu} type veth peer name {nic} {address} mtu {self.mtu} netns {host.name}",
            f"link set {port} addrgenmode none master br0",
        )
        for netns, end in ((self.netns, port), (host, nic)):
            netns.checksums_in_software(end)
        self.netns.ip(f"link set {port} up")
        host.ip(f"link set {nic} addrgenmode none up")
        cable = Cable(self, host, nic, port)
        self.cables[port] = cable
        return cable

    def capture(self, snaplen: int = 0) -> Capture:
        """Everything hosts send, once per frame, with the port it came in by."""
        from .capture import Capture  # pylint: disable=import-outside-toplevel

        return Capture(self.netns, "wire", ports=set(self.cables), snaplen=snaplen)

    def flush(self) -> None:
        """Forgets all learned MAC addresses."""
        for port in self.cables:
            self.netns.sh(f"ip link set {port} type bridge_slave fdb_flush")

    def watch_fdb(self) -> FdbMonitor:
        return FdbMonitor(self)


@dataclass(frozen=True)
class Learned:
    """The switch learned `mac` on `port`."""

    when: float
    mac: str
    port: str


class FdbMonitor:
    """Every change of the switch's address table, from now on."""

    def __init__(self, underlay: Underlay) -> None:
        self._underlay = underlay
        self._lines: list[Learned] = []
        self._lock = threading.Lock()
        self._marks = 0
        self.process: Process = underlay.netns.start(
            f"fdb-{underlay.netns.short}", ["bridge", "monitor", "fdb"], on_line=self._line
        )
        self._synchronize()

    def learned(self, mac: str = "") -> list[Learned]:
        """What was learned, in order; a MAC address that moves is learned again."""
        with self._lock:
            return [
                entry
                for entry in self._lines
                if entry.port in self._underlay.cables and mac.lower() in ("", entry.mac)
            ]

    def moves(self) -> list[Learned]:
        """Entries that took a MAC address away from another port."""
        if self.process.status is None:
            self._synchronize()
        at: dict[str, str] = {}
        moved = []
        for entry in self.learned():
            if at.setdefault(entry.mac, entry.port) != entry.port:
                moved.append(entry)
            at[entry.mac] = entry.port
        return moved

    def stop(self) -> list[Learned]:
        """Ends it and returns the moves seen."""
        moved = self.moves()
        self.process.kill()
        return moved

    def _synchronize(self) -> None:
        """Makes an entry of its own until it is seen: changes come in order, so those before it are all here."""
        self._marks += 1
        mac, tool = f"02:fd:b0:00:00:{self._marks:02x}", f"bridge -n {self._underlay.netns.name} fdb"

        def seen() -> bool:
            self._underlay.netns.sh(f"{tool} replace {mac} dev br0 self local", check=False)
            self._underlay.netns.sh(f"{tool} del {mac} dev br0 self local", check=False)
            with self._lock:
                return any(entry.mac == mac for entry in self._lines)

        until(seen, "the switch's address table can be followed")

    def _line(self, line: str) -> None:
        words = line.replace("[NEIGH]", "").split()
        if len(words) >= 3 and words[0] != "Deleted" and words[1] == "dev":
            with self._lock:
                self._lines.append(Learned(time.monotonic(), words[0].lower(), words[2]))
