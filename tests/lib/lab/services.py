# SPDX-License-Identifier: BSD-3-Clause
"""Servers of others, as Debian has them, in guests that are namespaces: keepalived, dnsmasq, dhclient, radvd."""

from __future__ import annotations

import shutil
from pathlib import Path

from .netns_guest import NetnsGuest
from .process import Process
from .wait import until


def lacks(*names: str) -> list[str]:
    """Programs that are not installed."""
    return [name for name in names if not shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")]


def _directory(guest: NetnsGuest, name: str) -> Path:
    directory = guest.netns.run.directory / f"{guest.name}-{name}"
    directory.mkdir(exist_ok=True)
    return directory


def keepalived(guest: NetnsGuest, priority: int, *addresses: str) -> Process:
    """VRRP version 3, an advertisement each 0.2 s, one virtual router for each family of the cluster's addresses. The
    highest priority has them. SIGKILL to this process has its child give them up.
    """
    directory = _directory(guest, "keepalived")
    routers = []
    for number, version in enumerate((4, 6), 1):
        mine = [address for address in addresses if (":" in address) == (version == 6)]
        if mine:
            extra = " native_ipv6\n" if version == 6 else ""
            routers.append(
                f"vrrp_instance v{version} {{\n state BACKUP\n interface eth0\n version 3\n advert_int 0.2\n"
                f" virtual_router_id {number}\n priority {priority}\n garp_master_delay 1\n{extra}"
                " virtual_ipaddress {\n" + "".join(f"  {address} dev eth0\n" for address in mine) + " }\n}\n"
            )
    config = directory / "keepalived.conf"
    config.write_text("global_defs {\n router_id " + guest.name + "\n}\n" + "".join(routers))
    files = [directory / "main.pid", directory / "vrrp.pid"]
    for file in files:  # of one that was killed
        file.unlink(missing_ok=True)
    return guest.netns.start(
        f"{guest.name}-keepalived",
        ["keepalived", "-n", "-l", "-D", "-P", "-f", str(config), "-p", str(files[0]), "-r", str(files[1])],
    )


def dnsmasq(guest: NetnsGuest, *ranges: str, names: dict[str, str] | None = None) -> Process:
    """DHCP server for both families; `ranges` as dnsmasq wants them, `names` what its DNS knows."""
    directory = _directory(guest, "dnsmasq")
    return guest.netns.start(
        f"{guest.name}-dnsmasq",
        [
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--pid-file=", "--no-resolv",
            "--no-hosts", "--no-ping", "--dhcp-authoritative", "--log-dhcp", "--log-facility=-", "--interface=eth0",
            "--bind-interfaces", f"--dhcp-leasefile={directory / 'leases'}",
            *(f"--dhcp-range={each}" for each in ranges),
            *(f"--host-record={name},{address}" for name, address in (names or {}).items()),
        ],
    )  # fmt: skip


def _link_local(guest: NetnsGuest) -> bool:
    output = guest.run("ip -6 addr show dev eth0 scope link").output
    return "fe80:" in output and "tentative" not in output


class Dhclient:
    """Asks for a lease, and does nothing with it: the guest's kernel never says a word about the address."""

    def __init__(self, guest: NetnsGuest, family: int) -> None:
        directory = _directory(guest, f"dhclient{family}")
        self._got = directory / "got"
        script = directory / "script"
        script.write_text(
            "#!/bin/sh\n"
            f'case $reason in BOUND|BOUND6|RENEW|REBOOT) echo "${{new_ip_address:-$new_ip6_address}}" > {self._got}\n'
            "esac\n"
        )
        script.chmod(0o755)
        if family == 6:  # it gives up if it cannot bind its link-local address yet
            until(lambda: _link_local(guest), f"{guest.name} has its link-local address")
        (directory / "config").write_text("initial-interval 1; backoff-cutoff 2; retry 2; timeout 30;\n")
        self.process = guest.netns.start(
            f"{guest.name}-dhclient{family}",
            [
                "dhclient", f"-{family}", "-d", "-cf", str(directory / "config"), "-lf", str(directory / "leases"),
                "-pf", str(directory / "pid"), "-sf", str(script), "eth0",
            ],
        )  # fmt: skip

    @property
    def address(self) -> str:
        """Nothing as long as there is no lease."""
        return self._got.read_text().strip() if self._got.exists() else ""


def radvd(guest: NetnsGuest, prefix: str) -> Process:
    """A router that says so as often as it may, and has others make addresses of the prefix."""
    directory = _directory(guest, "radvd")
    config = directory / "radvd.conf"
    config.write_text(
        "interface eth0 {\n AdvSendAdvert on;\n MinRtrAdvInterval 3;\n MaxRtrAdvInterval 4;\n"
        f" prefix {prefix} {{ AdvOnLink on; AdvAutonomous on; }};\n}};\n"
    )
    guest.run("sysctl -qw net.ipv6.conf.all.forwarding=1")
    return guest.netns.start(
        f"{guest.name}-radvd",
        ["radvd", "-n", "-m", "stderr", "-d", "2", "-C", str(config), "-p", str(directory / "pid")],
    )
