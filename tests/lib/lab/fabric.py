# SPDX-License-Identifier: BSD-3-Clause
"""Several hosts with the same policy, and guests on them: the set-up most tests start from.

    fabric = Fabric(run)                                  two hosts h1, h2 with two NICs each
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    a = fabric.tap_guest("h1", "a", 5001, "10.0.0.11/24")
    b = fabric.machine("h2", "b", 5001, "10.0.0.12/24")   a real QEMU guest
    fabric.start()
    a.reaches("10.0.0.12")
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .guest import Guest
from .host import Host
from .peer import TapGuest
from .qemu import Nic, QemuGuest
from .run import Run
from .underlay import DEFAULT_MTU, Underlay
from .wait import until


@dataclass
class Place:
    """A guest to be: where, on which port, with which addresses (each with its prefix length)."""

    host: Host
    name: str
    vsid: int
    addresses: list[str]
    mac: str
    gateways: list[str]

    @property
    def socket(self) -> Path:
        return self.host.sockets / f"{self.name}.sock"

    def gateway(self, ipv6: bool) -> str:
        """The subnet's gateway of a family the guest has an address of; else nothing."""
        if not any((":" in address) == ipv6 for address in self.addresses):
            return ""
        return next((gateway for gateway in self.gateways if (":" in gateway) == ipv6), "")


class Fabric:
    """Hosts h1, h2... on one underlay. Change `hosts[NAME].config` before start() for anything special."""

    def __init__(
        self,
        run: Run,
        hosts: int = 2,
        nics: int = 2,
        family: int = 4,
        mtu: int = DEFAULT_MTU,
        member_type: str = "af-packet",
    ) -> None:
        self.run = run
        self.underlay = Underlay(run, mtu=mtu)
        self.hosts: dict[str, Host] = {}
        self._guests: list[tuple[Place, Guest]] = []
        self._numbers = 0
        for number in range(1, hosts + 1):
            self._add_host(number, nics, family, member_type)
        for host in self.hosts.values():
            for other in self.hosts.values():
                host.config["hosts"].append(
                    {"id": other.name, "pas": [{"address": pa} for pa in provider_addresses(other)]}
                )

    def _add_host(self, number: int, nics: int, family: int, member_type: str) -> None:
        host = Host(self.run, self.underlay, f"h{number}", nics)
        self.hosts[host.name] = host
        for nic in range(nics):
            member = f"a{nic}"
            host.config["members"].append({"name": member, "type": member_type})
            address = f"192.0.2.{10 * number + nic + 1}" if family == 4 else f"2001:db8::{number}:{nic + 1}"
            host.config["provider-addresses"].append(
                {"address": address, "prefix-length": 24 if family == 4 else 64, "member": member}
            )

    def every_config(self, key: str, entry: dict[str, Any]) -> None:
        """The same object on all hosts."""
        for host in self.hosts.values():
            host.config.setdefault(key, []).append(dict(entry))

    def setting(self, group: str, **values: Any) -> None:
        """The same setting on all hosts; underscores stand for dashes."""
        for host in self.hosts.values():
            host.config.setdefault(group, {}).update(
                {name.replace("_", "-"): v for name, v in values.items()}
            )

    def subnet(self, vsid: int, rdid: str, *gateways: str, **options: Any) -> None:
        self.every_config(
            "subnets",
            {
                "vsid": vsid,
                "rdid": rdid,
                "gateways": list(gateways),
                **{name.replace("_", "-"): value for name, value in options.items()},
            },
        )

    def record(self, vsid: int, host: str, mac: str, ca: str | None = None, **options: Any) -> None:
        self.every_config("records", {"vsid": vsid, "ca": ca, "mac": mac, "host": host, **options})

    def tap_guest(
        self,
        host: str,
        name: str,
        vsid: int,
        *addresses: str,
        options: dict[str, object] | None = None,
        **where: Any,
    ) -> TapGuest:
        """A guest in a namespace; `options` are vhu-peer's, `where` is that of place()."""
        place = self.place(host, name, vsid, *addresses, **where)
        guest = TapGuest(place.host.netns, name, place.socket, place.mac, options)
        self._guests.append((place, guest))
        return guest

    def machine(
        self,
        host: str,
        name: str,
        vsid: int,
        *addresses: str,
        nic: dict[str, Any] | None = None,
        kvm: bool = False,
        cpus: int = 1,
        **where: Any,
    ) -> QemuGuest:
        """A QEMU guest; `nic` has properties of qemu.Nic, `where` is that of place()."""
        place = self.place(host, name, vsid, *addresses, **where)
        guest = QemuGuest(
            place.host.netns, name, [Nic(place.socket, place.mac, **(nic or {}))], cpus=cpus, kvm=kvm
        )
        self._guests.append((place, guest))
        return guest

    def place(
        self,
        host: str,
        name: str,
        vsid: int,
        *addresses: str,
        mac: str = "",
        record: bool = True,
        gateway: bool = True,
        port: dict[str, Any] | None = None,
    ) -> Place:
        """A port in the configuration of `host`, and lookup records of its addresses in that of all hosts."""
        self._numbers += 1
        place = Place(
            self.hosts[host],
            name,
            vsid,
            list(addresses),
            mac or _mac(vsid, self._numbers),
            self._gateways(vsid) if gateway else [],
        )
        place.host.config["ports"].append({"id": name, "vsid": vsid, "macs": [place.mac], **(port or {})})
        if record and vsid:
            for address in addresses:
                self.record(vsid, host, place.mac, address.split("/")[0])
        return place

    def _gateways(self, vsid: int) -> list[str]:
        subnets = next(iter(self.hosts.values())).config["subnets"]
        return [
            str(ipaddress.ip_interface(gateway).ip)
            for subnet in subnets
            if subnet["vsid"] == vsid
            for gateway in subnet["gateways"]
        ]

    def start(self, configure: bool = True) -> None:
        """Starts all switches and guests, waits until every port is active, sets the guests' addresses."""
        self.start_hosts()
        for _, guest in self._guests:
            guest.power_on()
        for host in self.hosts.values():
            host.wait_ready()
        for host in self.hosts.values():
            host.wait_provider_addresses()
        for host in self.hosts.values():
            self.wait_neighbours(host)
        for place, guest in self._guests:
            self.finish(place, guest, configure)

    def start_hosts(self) -> None:
        """All at once, where their devices do not depend on each other."""
        for host in self.hosts.values():
            host.start(ready=False)

    def wait_neighbours(self, host: Host) -> None:
        """Until it knows the way to all good provider addresses of the other hosts."""
        wanted = {
            address
            for other in self.hosts.values()
            for address, state in other.provider_address_states().items()
            if other is not host and state == "preferred"
        }
        until(
            lambda: wanted <= host.reachable_neighbours(),
            f"{host.name} resolves the provider addresses {sorted(wanted)}",
        )

    def finish(self, place: Place, guest: Guest, configure: bool = True) -> None:
        """Waits for a guest that was powered on, and sets its addresses."""
        guest.wait_ready()
        place.host.wait_port(place.name)
        if configure:
            guest.configure(
                *place.addresses, gateway=place.gateway(ipv6=False), gateway6=place.gateway(ipv6=True)
            )

    def revive(self, guest: Guest) -> None:
        """Powers a guest on again and waits for it."""
        guest.power_on()
        self.finish(next(place for place, each in self._guests if each is guest), guest)

    def finish_by_name(self, name: str) -> None:
        """finish() of a guest that was powered on."""
        place, guest = next(each for each in self._guests if each[0].name == name)
        self.finish(place, guest)

    def describe(self, name: str) -> str:
        """Where a guest is, for people."""
        place = next(place for place, _ in self._guests if place.name == name)
        addresses = ", ".join(place.addresses)
        return f"on {place.host.name}, VSID {place.vsid}, {addresses}, MAC {place.mac}"

    def guest(self, name: str) -> TapGuest:
        """A guest in a namespace, by name."""
        return next(
            guest for place, guest in self._guests if place.name == name and isinstance(guest, TapGuest)
        )

    def stop(self) -> None:
        """Ends guests and switches in an orderly way; fails if a switch does not end well."""
        for _, guest in self._guests:
            guest.stop()
        for host in self.hosts.values():
            if host.running:
                host.stop()


def provider_addresses(host: Host) -> list[str]:
    return [str(pa["address"]) for pa in host.config["provider-addresses"]]


def _mac(vsid: int, number: int) -> str:
    return f"02:00:{vsid >> 8 & 0xFF:02x}:{vsid & 0xFF:02x}:00:{number:02x}"
