# SPDX-License-Identifier: BSD-3-Clause
"""Members of an LACP team, with an address that the kernel has as well, and its MAC address: HNV row 63. h1 receives by
AF_XDP, h2 by AF_PACKET.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from flaps import RATE

from lab.capture import Injector
from lab.host import Host
from lab.netns import Netns
from lab.process import sh
from lab.run import Run
from lab.team_fabric import TeamFabric
from lab.wait import until

PACKETS = 2 * RATE


class SharedMac(TeamFabric):
    """The first provider address of each host is the kernel's as well, on the team device, and has its MAC address."""

    def start_teams(self) -> None:
        super().start_teams()
        for host in self.hosts.values():
            device, pa = self.teams[host.name].device, host.config["provider-addresses"][0]
            pa["mac"] = host.netns.mac(device)
            host.netns.ip(f"addr add {pa['address']}/24 dev {device}")


@pytest.fixture(name="fabric", scope="module")
def _fabric(run: Run) -> Iterator[TeamFabric]:
    # the kernel knows nothing of GRE: what reaches it is answered
    sh("rmmod ip6_gre ip_gre gre", check=False)
    assert not Path("/sys/module/gre").exists()
    fabric = SharedMac(run, switch="bond")
    fabric.hosts["h1"].config["team"]["member-type"] = "af-xdp"
    fabric.start()
    yield fabric
    fabric.stop()


@pytest.fixture(autouse=True)
def _whole(fabric: TeamFabric) -> None:
    fabric.settle()


def refused(netns: Netns) -> tuple[int, int]:
    """IP packets of a protocol that the kernel does not know, and ICMP errors of this kind it sent."""
    with netns.entered():
        lines = Path("/proc/thread-self/net/snmp").read_text().splitlines()
    values: dict[str, str] = {}
    for names, numbers in zip(lines[::2], lines[1::2]):
        group = names.partition(":")[0]
        values |= {f"{group}.{name}": number for name, number in zip(names.split()[1:], numbers.split()[1:])}
    return int(values["Ip.InUnknownProtos"]), int(values["Icmp.OutDestUnreachs"])


def programs(host: Host) -> list[int]:
    """XDP programs of its NICs, by id; 0 for none."""
    return [int(host.netns.links(cable.nic)[0].get("xdp", {}).get("prog", {}).get("id", 0)) for cable in host.cables]


def carried(fabric: TeamFabric, host: str, way: str) -> dict[str, int]:
    """Packets by member, as `team show` has them."""
    return {nic: int(fabric.member(host, nic)[way]["packets"]) for nic in fabric.nics}


def plain_gre(sender: Netns, source: str, target: str) -> None:
    """A GRE packet that is no NVGRE."""
    with sender.entered():
        wire = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_GRE)
    with wire:
        wire.bind((source, 0))
        wire.sendto(b"\0\0\x08\0" + bytes(20), (target, 0))


def test_row63_kernel_gets_no_copy(fabric: TeamFabric) -> None:
    """Both members of both hosts carry NVGRE, out and in; LACP stays up; the kernel, whose address and MAC it is, gets
    none of it and answers none.
    """
    before = {name: refused(host.netns) for name, host in fabric.hosts.items()}
    ways = {(name, way): carried(fabric, name, way) for name in fabric.hosts for way in ("rx", "tx")}
    fabric.load.start(RATE)
    fabric.load.wait_sent(PACKETS)
    for way, outcome in fabric.load.stop().items():
        print(way, outcome)
        assert outcome.perfect(), outcome
    for (name, way), had in ways.items():
        counts = {nic: count - had[nic] for nic, count in carried(fabric, name, way).items()}
        print(name, way, counts)
        assert min(counts.values()) > PACKETS // 10, (name, way, counts)
    assert {name: refused(host.netns) for name, host in fabric.hosts.items()} == before
    for team in fabric.teams.values():
        assert team.enabled() == set(fabric.nics)
    # what the program does not take is the kernel's, and it does answer
    plain_gre(fabric.hosts["h2"].netns, fabric.addresses("h2")[0], fabric.addresses("h1")[0])
    until(
        lambda: refused(fabric.hosts["h1"].netns) == tuple(count + 1 for count in before["h1"]),
        "the kernel of h1 refuses GRE that is not ours",
    )


def test_row63_own_frames_are_not_received(fabric: TeamFabric) -> None:
    """What the kernel of h2 sends by its NIC does not count as received there."""
    host = fabric.hosts["h2"]
    before, drops = carried(fabric, "h2", "rx"), host.watch_drops()
    out = Injector(host.netns, "a0")
    frame = bytes.fromhex("02ff00000001") + bytes.fromhex("02ff00000002") + b"\x88\xb5" + bytes(50)
    sent = host.netns.counters("a0").tx_packets
    out.send(frame, 500)
    assert host.netns.counters("a0").tx_packets >= sent + 500
    fabric.guests["a"].reaches("10.0.0.12")  # by then they would have been read
    now = carried(fabric, "h2", "rx")
    print(f"received {before} before, {now} after; dropped {drops.since()}")
    assert now["a0"] - before["a0"] < 100
    assert drops.since().get("wire-other", 0) < 100


def test_row63_program_of_a_killed_process(fabric: TeamFabric) -> None:
    """kill -9 leaves the XDP programs behind: LACP goes on, and the next start puts its own in their place."""
    host, team = fabric.hosts["h1"], fabric.teams["h1"]
    left = programs(host)
    assert all(left)
    host.kill()
    assert programs(host) == left and team.enabled() == set(fabric.nics)
    host.start()
    for port in host.ports():
        host.wait_port(port)
    fabric.settle()
    now = programs(host)
    print(f"programs {left} of the first, {now} of the second")
    assert all(now) and not set(now) & set(left)
    assert team.enabled() == set(fabric.nics)
    fabric.guests["a"].reaches("10.0.0.12")
    fabric.load.start(RATE)
    fabric.load.wait_sent(PACKETS)
    for outcome in fabric.load.stop().values():
        assert outcome.perfect(), outcome
