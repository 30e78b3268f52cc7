# SPDX-License-Identifier: BSD-3-Clause
"""What tests can do with a guest, whatever it is made of."""

from __future__ import annotations

import re
import shlex
import signal
from abc import ABC, abstractmethod

from .process import Result


class Job(ABC):
    """A script under way in a guest."""

    @abstractmethod
    def wait(self, timeout: float = 30.0) -> Result:
        """Its end."""

    @abstractmethod
    def send_signal(self, number: int) -> None:
        """To the script and what it started."""

    def stop(self, number: int = signal.SIGINT, timeout: float = 10.0) -> Result:
        """Asks it to end (ping prints its summary on SIGINT) and returns what it wrote."""
        self.send_signal(number)
        return self.wait(timeout)


class Guest(ABC):
    """A machine with one interface eth0 on a vhost-user port."""

    name: str
    mac: str

    @abstractmethod
    def start(self, script: str) -> Job:
        """Runs a shell script without waiting for its end."""

    def power_on(self) -> None:
        """Starts the machine, for the first time or again. Does not wait."""

    def wait_ready(self) -> None:
        """Until it takes commands and its port's rings are set up."""

    @abstractmethod
    def stop(self) -> None:
        """Ends the machine in an orderly way."""

    @abstractmethod
    def kill(self) -> None:
        """Ends it like a power cut."""

    def run(self, script: str, timeout: float = 30.0, check: bool = True) -> Result:
        """Runs a shell script to its end."""
        result = self.start(script).wait(timeout)
        if check and not result.ok:
            raise AssertionError(f"{self.name}: {script}: status {result.status}\n{result.output}")
        return result

    def configure(self, *addresses: str, gateway: str = "", gateway6: str = "", mtu: int = 0) -> None:
        """Brings eth0 up with addresses (each with its prefix length) and default routes."""
        lines = [f"link set eth0 mtu {mtu}"] if mtu else []
        lines.append("link set eth0 up")
        # a duplicate is looked for by tests that want to, with addresses of their own
        lines += [f"addr add {a} dev eth0{' nodad' if ':' in a else ''}" for a in addresses]
        if gateway:
            lines.append(f"route add default via {gateway}")
        if gateway6:
            lines.append(f"-6 route add ::/0 via {gateway6} dev eth0")
        self._ip(*lines)

    def _ip(self, *lines: str) -> None:
        """Commands of ip, in order."""
        self.run("set -e\n" + "\n".join(f"ip {line}" for line in lines))

    def silence(self) -> None:
        """Takes all addresses away: from now on its kernel sends nothing on its own account."""
        self.run("echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6; ip addr flush dev eth0")

    def ping(
        self, target: str, count: int = 3, interval: float = 0.2, wait: float = 1.0, options: str = ""
    ) -> int:
        """Sends `count` echo requests and returns how many were answered."""
        command = f"ping -n -c {count} -i {interval:g} -W {wait:g} {options} {shlex.quote(target)}"
        result = self.run(command, timeout=count * interval + wait + 15, check=False)
        found = re.search(r"(\d+) (?:packets )?received", result.output)
        if not found:
            raise AssertionError(f"{self.name}: {command}: status {result.status}\n{result.output}")
        return int(found[1])

    def reaches(self, target: str, count: int = 3, options: str = "") -> None:
        """Asserts that every echo request is answered; the first may be late."""
        got = self.ping(target, count, wait=3.0, options=options)
        assert got == count, f"{self.name} -> {target}: {got} of {count} echo requests answered"

    def misses(self, target: str, count: int = 3, options: str = "") -> None:
        """Asserts that no echo request is answered."""
        got = self.ping(target, count, wait=0.7, options=options)
        assert got == 0, f"{self.name} -> {target}: {got} of {count} echo requests answered, none expected"

    def neighbour(self, address: str) -> str | None:
        """MAC address that the guest has for a neighbour."""
        output = self.run(f"ip neigh show {address} dev eth0", check=False).output
        found = re.search(r"lladdr (\S+)", output)
        return found[1].lower() if found else None

    def neighbour_state(self, address: str) -> str:
        """REACHABLE, STALE, FAILED...; empty if the guest knows nothing."""
        words = self.run(f"ip neigh show {address} dev eth0", check=False).output.split()
        return words[-1] if words else ""

    def flush_neighbours(self) -> None:
        self.run("ip neigh flush dev eth0", check=False)
