# SPDX-License-Identifier: BSD-3-Clause
"""TCP of guests with the offloads a Linux guest uses by default: on one host, between two, routed, with guests that use
none. HNV rows 26, 27, 66, end to end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lab.fabric import Fabric
from lab.host import Host
from lab.tcp import bad_checksums, copy, copy_file, serve, stream

BYTES = 4 << 20
MACHINES_STREAM, MACHINES_FILE = "48M", 8  # bytes; MiB
NONE = {"csum": 0, "gso": 0, "guest-csum": 0, "guest-gso": 0}

def counters(host: Host) -> dict[str, int]:
    shown: dict[str, Any] = host.call("Offload")["offload"]
    return {row["name"]: int(row["packets"]) for row in shown["counters"]}


@pytest.mark.asan
@pytest.mark.parametrize("family", [4, 6])
def test_copies_arrive_whole(new_fabric: Callable[..., Fabric], family: int) -> None:
    """Checksum-verified copies each way; on one host nothing is cut, merged or summed; on the wire nothing is longer
    than its MTU and nothing is an outer fragment; the receiver merges; guests without offloads are served as well.
    """
    fabric = new_fabric(family=family, mtu=1500)
    for net in (1, 2):
        fabric.subnet(5000 + net, "tenant-a", f"10.{net}.0.1/24", f"fd00:{net}::1/64")
    guests = {}
    for name, host, net, options in (
        ("a", "h1", 1, {}),
        ("b", "h1", 1, {}),
        ("c", "h2", 1, {}),
        ("d", "h2", 2, {}),
        ("e", "h2", 1, NONE),
    ):
        number = 11 + len(guests)
        addresses = [f"10.{net}.0.{number}/24", f"fd00:{net}::{number}/64"]
        guests[name] = fabric.tap_guest(host, name, 5000 + net, *addresses, options={"size": 1024, **options})
    fabric.start()
    h1, h2 = fabric.hosts["h1"], fabric.hosts["h2"]
    jobs = [serve(guests[name]) for name in ("a", "b", "c", "d", "e")]
    before = counters(h1)
    copy(guests["a"], "10.1.0.12", 1, BYTES)
    copy(guests["b"], "fd00:1::11", 2, BYTES)
    assert counters(h1) == before
    wire = fabric.underlay.capture()
    copy(guests["a"], "10.1.0.13", 3, BYTES)
    longest = max(len(frame.data) for frame in wire.frames())
    assert 1400 < longest <= 1514
    wire.stop()
    assert counters(h1)["tso-software"] > before["tso-software"]
    assert counters(h2)["gro-packets"] > 0
    copy(guests["c"], "fd00:1::11", 4, BYTES)
    copy(guests["a"], "10.2.0.14", 5, BYTES)
    copy(guests["d"], "fd00:1::12", 6, BYTES)
    copy(guests["a"], "fd00:1::15", 7, BYTES)
    copy(guests["e"], "10.1.0.13", 8, BYTES)
    copy(guests["e"], "10.1.0.11", 9, BYTES)
    granted = {port["id"]: port for port in h2.call("Offload")["offload"]["ports"]}
    assert granted["c"]["large-packets"] == "whole" and granted["e"]["large-packets"] == "software"
    for host in (h1, h2):
        drops = host.drops()
        assert drops["guest-meta"] == drops["outer-fragment"] == drops["too-big"] == 0, drops
    for guest in guests.values():
        assert bad_checksums(guest.run("cat /proc/net/snmp").output) == 0, guest.name
    for job in jobs:
        job.stop()


@pytest.mark.parametrize("family", [4, 6])
def test_machines_with_default_offloads(new_fabric: Callable[..., Fabric], family: int) -> None:
    """QEMU guests with Linux' default offloads, on two hosts: streams and checksum-verified files both ways; the
    sender's super-packets are cut by its switch, merged by the receiver's. More bytes: tests/bench/tcp --machines.
    """
    fabric = new_fabric(family=family, mtu=1500)
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    mtu = 1458 if family == 4 else 1438
    guests = [
        fabric.machine(host, name, 5001, f"10.0.0.{number}/24", nic={"host_mtu": mtu, "queue_size": 1024})
        for host, name, number in (("h1", "a", 11), ("h2", "b", 12))
    ]
    fabric.start()
    for one, two, address in ((guests[0], guests[1], "10.0.0.12"), (guests[1], guests[0], "10.0.0.11")):
        rate = stream(one, two, address, MACHINES_STREAM)
        print(f"{one.name} -> {two.name}: {rate / 1e6:.0f} Mbit/s")
        copy_file(one, two, address, MACHINES_FILE)
        assert bad_checksums(two.run("cat /proc/net/snmp").output) == 0
    for host in fabric.hosts.values():
        assert counters(host)["tso-software"] > 0 and counters(host)["gro-packets"] > 0
        drops = host.drops()
        assert drops["guest-meta"] == drops["outer-fragment"] == drops["too-big"] == 0, drops
