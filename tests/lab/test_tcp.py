# SPDX-License-Identifier: BSD-3-Clause
"""TCP of guests with the offloads a Linux guest uses by default: on one host, between two, routed, with guests that use
none. HNV rows 26, 27, 66, end to end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lab.fabric import Fabric
from lab.guest import Guest, Job
from lab.host import Host
from lab.wait import until

BYTES = 4 << 20
NONE = {"csum": 0, "gso": 0, "guest-csum": 0, "guest-gso": 0}

# every byte tells its place; both ends print what they think of it
SERVE = """exec /usr/bin/python3 -c '
import hashlib, socket
s = socket.create_server(("::", 7007), family=socket.AF_INET6, dualstack_ipv6=True)
while True:
    c, h, n = s.accept()[0], hashlib.sha256(), 0
    while d := c.recv(1 << 20):
        h.update(d)
        n += len(d)
    c.sendall(f"{n} {h.hexdigest()}".encode())
    c.close()
'"""
SEND = """/usr/bin/python3 -c '
import hashlib, random, socket
d = random.Random({seed}).randbytes({size})
c = socket.create_connection(("{to}", 7007), 20)
c.settimeout(20)
c.sendall(d)
c.shutdown(socket.SHUT_WR)
print(c.recv(200).decode() == f"{{len(d)}} {{hashlib.sha256(d).hexdigest()}}")
'"""


def serve(guest: Guest) -> Job:
    job = guest.start(SERVE)
    until(lambda: ":7007" in guest.run("ss -ltn").output, f"{guest.name} listens")
    return job


def copy(guest: Guest, to: str, seed: int) -> None:
    said = guest.run(SEND.format(to=to, seed=seed, size=BYTES), timeout=40).output
    assert said.strip() == "True", f"{guest.name} -> {to}: {said}"


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
    copy(guests["a"], "10.1.0.12", 1)
    copy(guests["b"], "fd00:1::11", 2)
    assert counters(h1) == before
    wire = fabric.underlay.capture()
    copy(guests["a"], "10.1.0.13", 3)
    longest = max(len(frame.data) for frame in wire.frames())
    assert 1400 < longest <= 1514
    wire.stop()
    assert counters(h1)["tso-software"] > before["tso-software"]
    assert counters(h2)["gro-packets"] > 0
    copy(guests["c"], "fd00:1::11", 4)
    copy(guests["a"], "10.2.0.14", 5)
    copy(guests["d"], "fd00:1::12", 6)
    copy(guests["a"], "fd00:1::15", 7)
    copy(guests["e"], "10.1.0.13", 8)
    copy(guests["e"], "10.1.0.11", 9)
    granted = {port["id"]: port for port in h2.call("Offload")["offload"]["ports"]}
    assert granted["c"]["large-packets"] == "whole" and granted["e"]["large-packets"] == "software"
    for host in (h1, h2):
        drops = host.drops()
        assert drops["guest-meta"] == drops["outer-fragment"] == drops["too-big"] == 0, drops
    for job in jobs:
        job.stop()
