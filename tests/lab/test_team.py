# SPDX-License-Identifier: BSD-3-Clause
"""The NIC team: HNV rows 59, 60, 61, 62."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from lab.fabric import Fabric
from lab.frames import Frame
from lab.peer import TapGuest
from lab.traffic import Stream, number_of
from lab.wait import until

MAKE = Callable[..., Fabric]
FLOWS = 256


def pair(fabric: Fabric) -> tuple[TapGuest, TapGuest]:
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    a = fabric.tap_guest("h1", "a", 5001, "10.0.0.11/24")
    b = fabric.tap_guest("h2", "b", 5001, "10.0.0.12/24")
    fabric.start()
    a.reaches("10.0.0.12")
    return a, b


def stream(a: TapGuest, b: TapGuest, **options: Any) -> Stream:
    return Stream(a, b, "10.0.0.11", "10.0.0.12", **options)


def inner_number(frame: Frame) -> tuple[int, int] | None:
    return number_of(frame.nvgre.inner) if frame.nvgre else None


@pytest.mark.asan
@pytest.mark.parametrize("member_type", ["af-packet", "af-xdp"])
def test_row59_60_61_spread_both_ways(new_fabric: MAKE, member_type: str) -> None:
    """Many flows leave by both NICs and arrive by both; a flow stays where it is; the switch never relearns a
    MAC.
    """
    fabric = new_fabric(member_type=member_type)
    a, b = pair(fabric)
    fdb = fabric.underlay.watch_fdb()
    wire = fabric.underlay.capture()
    before = {port: cable.counters() for port, cable in fabric.underlay.cables.items()}
    run = stream(a, b, flows=FLOWS, rate=2000)
    run.wait_received(4 * FLOWS)
    verdict = run.stop()
    after = {port: cable.counters() for port, cable in fabric.underlay.cables.items()}
    assert verdict.lost == 0 and verdict.duplicated == 0 and not verdict.reordered_flows
    sent = {port: after[port].tx_packets - before[port].tx_packets for port in ("h1a0", "h1a1")}
    received = {port: after[port].rx_packets - before[port].rx_packets for port in ("h2a0", "h2a1")}
    for way in (sent, received):
        share = min(way.values()) / sum(way.values())
        assert share > 0.3, (sent, received)
    ways: dict[int, set[tuple[str, str, str]]] = {}
    for frame in wire.frames(inner_number):
        number = inner_number(frame)
        assert number and frame.nvgre
        ways.setdefault(number[0], set()).add(
            (frame.interface, frame.nvgre.outer_source, frame.nvgre.outer_destination)
        )
    assert len(ways) == FLOWS
    assert all(len(way) == 1 for way in ways.values())
    pairs = {next(iter(way)) for way in ways.values()}
    assert len(pairs) == 4, "two source and two destination addresses give four pairs"
    assert not fdb.stop()


@pytest.mark.alone
@pytest.mark.parametrize(
    "end,member_type", [("sender", "af-packet"), ("receiver", "af-packet"), ("sender", "af-xdp")]
)
def test_row62_failover(new_fabric: MAKE, end: str, member_type: str) -> None:
    """A cable pulled at 1,000 packets a second: at most 50 lost, no surviving flow out of order; then fail-back.

    Only the dead member's flows move, and its provider address with its MAC; nobody's records change.
    """
    fabric = new_fabric(member_type=member_type)
    fabric.setting("team", hold_down_ms=500)
    a, b = pair(fabric)
    host = fabric.hosts["h1" if end == "sender" else "h2"]
    other = fabric.hosts["h2" if end == "sender" else "h1"]
    records = other.objects("lookup-record")
    cable = host.cables[0]
    wire = fabric.underlay.capture()
    run = stream(a, b, flows=FLOWS, rate=1000)
    run.wait_received(2 * FLOWS)
    events = host.follow()
    home = ways(wire.frames(inner_number))
    moved_at = run.mark()
    cable.unplug()
    events.wait("member-state", member="a0", usable="false")
    announced = wire.wait(
        lambda f: f.interface == f"{host.name}a1"
        and f.ethertype == 0x0806
        and f.packet.psrc == f.packet.pdst == str(host.config["provider-addresses"][0]["address"]),
        "the gratuitous ARP of the moved address",
    )
    assert announced[0].source == announced[0].packet.hwsrc
    run.wait_received(moved_at + 2 * FLOWS)
    now = ways([f for f in wire.frames(inner_number) if (inner_number(f) or (0, 0))[1] > moved_at + FLOWS])
    if end == "sender":
        assert all(way[0] == "h1a1" for way in now.values())
        assert all(now[flow] == way for flow, way in home.items() if way[0] == "h1a1" and flow in now)
    else:
        assert now == {flow: home[flow] for flow in now}, "the sender's choice does not change"
    back_at = run.mark()
    cable.plug()
    events.wait("member-state", member="a0", usable="true")
    run.wait_received(back_at + 2 * FLOWS)
    time.sleep(0.7)  # the grace after a move
    back_at = run.mark()
    run.wait_received(back_at - 50 + 2 * FLOWS)
    verdict = run.stop()
    print(f"{verdict.sent} sent, {verdict.lost} lost, out of order {sorted(verdict.reordered_flows)}")
    again = ways([f for f in wire.frames(inner_number) if (inner_number(f) or (0, 0))[1] > back_at])
    assert again == {flow: home[flow] for flow in again}, "after the return everything is as before"
    assert verdict.lost <= 50, verdict
    dead = str(host.config["provider-addresses"][0]["address"])
    moved = {flow for flow, way in home.items() if dead in way[1:]}
    assert 0 < len(moved) < len(home) and all((home[flow][0] == "h1a0") == (flow in moved) for flow in home) == (
        end == "sender"
    )
    assert not verdict.reordered_flows - moved, verdict
    assert verdict.duplicated == 0, verdict
    assert other.objects("lookup-record") == records


def ways(frames: list[Frame]) -> dict[int, tuple[str, str, str]]:
    """Flow -> the way its latest frame took."""
    found = {}
    for frame in frames:
        number = inner_number(frame)
        if number and frame.nvgre:
            found[number[0]] = (frame.interface, frame.nvgre.outer_source, frame.nvgre.outer_destination)
    return found


def test_row62_no_member_left(fabric: Fabric) -> None:
    """Without any link frames are counted; with the first one back traffic goes on."""
    fabric.setting("team", hold_down_ms=200)
    a, _ = pair(fabric)
    host = fabric.hosts["h1"]
    events = host.follow()
    drops = host.watch_drops()
    for cable in host.cables:
        cable.unplug()
    events.wait("team-down")
    a.misses("10.0.0.12")
    drops.wait("no-member", 3)
    host.cables[1].plug()
    events.wait("member-state", member="a1", usable="true")
    until(lambda: a.ping("10.0.0.12", 1), "traffic goes on")


def test_spread_record(fabric: Fabric) -> None:
    """Toward a host that pins MAC to provider address, all flows of a guest keep one pair of addresses."""
    fabric.hosts["h1"].config["hosts"][1]["spread"] = "record"
    a, b = pair(fabric)
    wire = fabric.underlay.capture()
    run = stream(a, b, flows=FLOWS, rate=2000)
    run.wait_received(2 * FLOWS)
    run.stop()
    used = {
        (f.interface, f.nvgre.outer_source, f.nvgre.outer_destination)
        for f in wire.frames(inner_number)
        if f.nvgre
    }
    assert len(used) == 1, used


def test_provider_addresses_answer_on_their_member(fabric: Fabric) -> None:
    """ARP for an address is answered by its home member, with a MAC address of its own."""
    pair(fabric)
    team = fabric.hosts["h1"].team()
    macs = {pa["address"]: pa["mac"] for pa in team["provider-addresses"]}
    assert len(set(macs.values())) == 2
    assert not set(macs.values()) & {member["mac"] for member in team["members"]}
    wire = fabric.underlay.capture()
    for neighbour in fabric.hosts["h2"].call("Neighbours")["neighbours"]:
        if neighbour["address"] in macs:
            assert neighbour["mac"] == macs[neighbour["address"]]
    fabric.underlay.flush()
    fabric.hosts["h2"].restart()
    answers = wire.wait(
        lambda f: f.ethertype == 0x0806 and f.packet.op == 2 and f.packet.psrc in macs, "answers", 2
    )
    for frame in answers:
        assert frame.source == frame.packet.hwsrc == macs[frame.packet.psrc]
        assert frame.interface == ("h1a0" if frame.packet.psrc.endswith("1") else "h1a1")
