# SPDX-License-Identifier: BSD-3-Clause
"""Provider addresses that share MAC and IP address with the kernel: the kernel keeps out of NVGRE, HNV row 63."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.capture import Capture
from lab.fabric import Fabric
from lab.frames import Frame
from lab.host import Host
from lab.peer import TapGuest
from lab.process import sh
from lab.wait import until

PA, PA6 = "192.0.2.11", "2001:db8::1:1"
UNREACHABLE = {4: (3, 2), 6: (4, 1)}  # protocol unreachable; unrecognized next header
PREF = 0x4E56


def shared(fabric: Fabric, family: int) -> tuple[Host, TapGuest]:
    """The kernel of h1 has the provider address, which has the MAC address of h1's NIC."""
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    fabric.tap_guest("h1", "a", 5001, "10.0.0.11/24")
    b = fabric.tap_guest("h2", "b", 5001, "10.0.0.12/24")
    host = fabric.hosts["h1"]
    host.config["provider-addresses"][0]["mac"] = host.netns.mac("a0")
    host.netns.ip(f"addr add {PA}/24 dev a0" if family == 4 else f"addr add {PA6}/64 dev a0 nodad")
    return host, b


def refusals(wire: Capture, family: int) -> list[Frame]:
    """What h1's kernel says to NVGRE."""

    def refused(frame: Frame) -> bool:
        layer = frame.packet.getlayer("ICMP" if family == 4 else "ICMPv6ParamProblem")
        return frame.interface == "h1a0" and bool(layer) and (layer.type, layer.code) == UNREACHABLE[family]

    return wire.frames(refused)


def filters(host: Host) -> list[str]:
    shown = sh(f"tc -n {host.netns.name} filter show dev a0 ingress").output.splitlines()
    return [line for line in shown if f"pref {PREF}" in line and "handle" in line]


def qdiscs(host: Host) -> str:
    return sh(f"tc -n {host.netns.name} qdisc show dev a0 clsact").output


@pytest.mark.asan
@pytest.mark.parametrize("family", [4, 6])
def test_kernel_gets_no_copy(new_fabric: Callable[..., Fabric], family: int) -> None:
    """Guests talk, and the kernel does not refuse what is not for it; without the filter it does. A NIC whose
    MAC address is not a provider address's has no filter. Afterwards nothing is left.
    """
    fabric = new_fabric(nics=1, family=family)
    host, b = shared(fabric, family)
    fabric.start()
    assert len(filters(host)) == 1 and not qdiscs(fabric.hosts["h2"])
    wire = fabric.underlay.capture()
    b.reaches("10.0.0.11")
    assert b.ping("10.0.0.11", 5)
    assert not refusals(wire, family)
    sh(f"tc -n {host.netns.name} filter del dev a0 ingress pref {PREF}")
    until(lambda: b.ping("10.0.0.11", 1) and refusals(wire, family), "the kernel refuses without the filter")
    host.stop()
    assert not qdiscs(host)


def test_left_over_is_replaced(new_fabric: Callable[..., Fabric]) -> None:
    """After kill -9 the filter is still there: the next start takes it over, or away when it is not wanted any more.
    What others have put there stays.
    """
    fabric = new_fabric(nics=1)
    host, b = shared(fabric, 4)
    fabric.start()
    b.reaches("10.0.0.11")
    host.kill()
    before = filters(host)
    assert len(before) == 1
    host.start()
    b.reaches("10.0.0.11")
    assert len(filters(host)) == 1
    host.kill()
    del host.config["provider-addresses"][0]["mac"]
    host.start()
    assert not filters(host) and not qdiscs(host)
    host.stop()
    host.config["provider-addresses"][0]["mac"] = host.netns.mac("a0")
    sh(f"tc -n {host.netns.name} qdisc add dev a0 clsact")
    sh(f"tc -n {host.netns.name} filter add dev a0 egress protocol all pref 7 u32 match u32 0 0 classid 1:1")
    host.start()
    assert len(filters(host)) == 1
    host.stop()
    assert not filters(host) and qdiscs(host)
    assert "pref 7" in sh(f"tc -n {host.netns.name} filter show dev a0 egress").output


def test_addresses_change_at_run_time(new_fabric: Callable[..., Fabric]) -> None:
    """A provider address that gets the NIC's MAC address by a reload gets the filter, one that loses it loses it."""
    fabric = new_fabric(nics=1)
    host, _ = shared(fabric, 4)
    mac = host.config["provider-addresses"][0].pop("mac")
    fabric.start()
    assert not filters(host)
    host.config["provider-addresses"][0]["mac"] = mac
    assert host.reload().ok
    until(lambda: len(filters(host)) == 1, "the filter is there")
    del host.config["provider-addresses"][0]["mac"]
    assert host.reload().ok
    until(lambda: not filters(host) and not qdiscs(host), "the filter is gone")
