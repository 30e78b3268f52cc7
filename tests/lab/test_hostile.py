# SPDX-License-Identifier: BSD-3-Clause
"""A guest or its hypervisor that breaks every rule of vhost-user and virtio: its neighbours do not notice."""

from __future__ import annotations

import random
import struct

import pytest

from lab.fabric import Fabric
from lab.frames import Frame
from lab.host import Host
from lab.peer import Peer
from lab.process import sh
from lab.programs import program
from lab.traffic import Stream
from lab.underlay import DEFAULT_MTU
from lab.wait import until

# the file behind the memory cut to nothing, interrupts that block, a message that never ends: a hypervisor is
# trusted not to do these
DANGEROUS = "(dangerous)"
AT_ONCE = 6


def scripts() -> list[str]:
    listed = sh([program("vhu-peer"), "--list-hostile"]).output.splitlines()
    names = [line.split()[0] for line in listed if not line.endswith(DANGEROUS)]
    assert len(names) > 20
    return names


def start(host: Host, port: int, name: str, ring: str, seed: int) -> Peer:
    """A script on port x<number>, 200 attacks."""
    options = {"server": 1, "hostile": name, "ring": ring, "count": 200, "indirect": 1, "timeout": 3000}
    return Peer(host.netns, f"{name}-{port}", host.sockets / f"x{port}.sock", options, ["--seed", str(seed + port)])


def is_sound(frame: Frame) -> bool:
    """NVGRE over IPv4, as long as it says, no longer than the wire's MTU, its header's checksum right."""
    data = frame.data
    if data[12:14] != b"\x08\x00" or data[23] != 47:
        return False
    length, words = int.from_bytes(data[16:18]), struct.unpack("!10H", data[14:34])
    assert len(data) <= DEFAULT_MTU + 14 and length + 14 == len(data) and sum(words) % 0xFFFF == 0, data[:64].hex()
    return True


@pytest.mark.alone
@pytest.mark.asan
@pytest.mark.parametrize("ring", ["split", "packed"])
def test_hostile_guests_cost_their_neighbours_nothing(fabric: Fabric, ring: str) -> None:
    """All scripts, several at a time, while two guests of the same subnet and host talk to each other and to the other
    host: nothing is lost, doubled or out of order, the daemon lives, and a good guest finds the port as usable as ever.
    """
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    host = fabric.hosts["h1"]
    # rings that outlast the pauses of a busy test machine: what is lost then, the switch has lost
    a = fabric.tap_guest("h1", "a", 5001, "10.0.0.11/24", options={"size": 1024})
    b = fabric.tap_guest("h1", "b", 5001, "10.0.0.12/24", options={"size": 1024})
    c = fabric.tap_guest("h2", "c", 5001, "10.0.0.13/24", options={"size": 1024})
    for port in range(AT_ONCE):
        mac = f"02:00:00:00:66:{port:02x}"
        host.config["ports"].append({"id": f"x{port}", "vsid": 5001, "macs": [mac], "packed": ring == "packed"})
    fabric.start()
    wire = fabric.underlay.capture()
    seed = random.getrandbits(31)
    print(f"seed {seed}")
    runs = [
        Stream(a, b, "10.0.0.11", "10.0.0.12", rate=200),
        Stream(c, a, "10.0.0.13", "10.0.0.11", rate=200),
    ]
    todo = list(enumerate(scripts()))
    busy: dict[int, Peer] = {}
    while todo or busy:
        for port in range(AT_ONCE):
            if port not in busy and todo:
                number, name = todo.pop()
                busy[port] = start(host, port, name, ring, seed + number)

        def over(running: dict[int, Peer] = busy) -> list[int]:
            assert host.running, f"vswitchd ended\n{host.log()[-3000:]}"
            for peer in running.values():
                assert peer.process.status is None or peer.events("done"), f"{peer.name}: the peer died"
            return [port for port, peer in running.items() if peer.events("done")]

        for port in until(over, f"an end of {[peer.name for peer in busy.values()]}", 60):
            peer = busy.pop(port)
            final = peer.stop()["hostile"]
            assert final["attacks"] >= 200 and final["connections"] > 0, peer.name
    for run in runs:
        run.wait_received(run.mark())
        verdict = run.stop(0.2)
        assert verdict.lost == 0 and verdict.duplicated == 0 and not verdict.reordered_flows, verdict
    assert len(wire.frames(is_sound)) > 400
    wire.stop()
    for port in range(AT_ONCE):
        host.wait_port(f"x{port}", "absent")
    x = Peer(host.netns, "good", host.sockets / "x0.sock", {"server": 1, "ring": ring, "mode": "sink"})
    x.wait("ready")
    up = ("active", "needs-guest-reset")
    state = until(lambda: host.ports()["x0"]["state"] in up and host.ports()["x0"]["state"], "the port is up")
    if state == "needs-guest-reset":  # where a packed ring stood was not left by its last user
        assert ring == "packed"
        x.command("reboot")
    host.wait_port("x0")
    x.stop()
