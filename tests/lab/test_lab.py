# SPDX-License-Identifier: BSD-3-Clause
"""The lab itself: a test is worth what its instruments are worth."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from guest import cpio
from lab import conf
from lab.capture import Capture, Injector, tshark_fields
from lab.frames import Frame
from lab.netns import Netns
from lab.ovs import OvsHost
from lab.process import Process, sh
from lab.run import BASE, Run, sweep
from lab.traffic import judge, numbered
from lab.underlay import Underlay
from lab.wait import Timeout, until
from lab.wire_host import WireHost, nvgre

ONE, TWO = "02:00:00:00:00:01", "02:00:00:00:00:02"
LIBRARY = Path(__file__).resolve().parents[1] / "lib"


def test_switch_learns_and_moves_are_seen(run: Run) -> None:
    underlay = Underlay(run)
    hosts = [Netns(run, "h1"), Netns(run, "h2")]
    for host in hosts:
        underlay.attach(host, "a0")
    second = underlay.attach(hosts[0], "a1")
    fdb = underlay.watch_fdb()
    at_two = Capture(hosts[1], "a0", ["a0"])
    wire = underlay.capture()
    frame = Ether(src=ONE, dst=TWO, type=0x88B5) / Raw(b"x" * 50)
    Injector(hosts[0], "a0").send(frame)
    at_two.wait(lambda f: f.source == ONE)
    assert [f.interface for f in wire.frames()] == ["h1a0"]
    assert not fdb.moves()
    Injector(hosts[0], "a1").send(frame)
    at_two.wait(lambda f: f.source == ONE, count=2)
    assert [move.port for move in fdb.stop()] == ["h1a1"]
    before = second.counters()
    second.unplug()
    assert hosts[0].links("a1")[0]["operstate"] == "DOWN"
    second.plug()
    Injector(hosts[0], "a1").send(frame, 3)
    assert (second.counters() - before).tx_packets == 3


def test_capture_keeps_tags_and_waits(run: Run, tmp_path: Path) -> None:
    underlay = Underlay(run)
    host = Netns(run, "h1")
    underlay.attach(host, "a0")
    wire = underlay.capture()
    inner = Ether(src=ONE, dst=TWO) / IP(src="10.0.0.1", dst="10.0.0.2") / UDP()
    packet = nvgre("192.0.2.1", "192.0.2.2", 5001, inner, 7)
    tagged = Ether(src=ONE, dst=TWO) / Dot1Q(vlan=77, prio=3) / packet
    Injector(host, "a0").send(tagged)
    frame = wire.wait(lambda f: f.nvgre)[0]
    assert frame.data == bytes(tagged)
    assert frame.vlan == 77 and frame.nvgre
    assert (frame.nvgre.vsid, frame.nvgre.flow_id, frame.nvgre.inner) == (5001, 7, bytes(inner))
    with pytest.raises(Timeout):
        wire.wait(lambda f: f.vlan == 5, timeout=0.1)
    rows = tshark_fields(wire.write_pcap(tmp_path / "x.pcap"), ["gre.key", "vlan.id", "ip.dst"])
    assert rows == [["0x00138907", "77", "192.0.2.2,10.0.0.2"]]


def test_ovs_speaks_nvgre_to_ovs(run: Run) -> None:
    """The peer of the interoperability tests is right about itself."""
    underlay = Underlay(run)
    hosts = [OvsHost(run, underlay, "o1", "192.0.2.1/24"), OvsHost(run, underlay, "o2", "192.0.2.2/24")]
    guests = [hosts[0].guest("g1", ONE, 5001, flow_id=9), hosts[1].guest("g2", TWO, 5001)]
    wire = underlay.capture()
    for number in (0, 1):
        guests[number].configure(f"10.0.0.{number + 1}/24")
        hosts[number].reach(guests[number], guests[1 - number].mac, hosts[1 - number].provider_address)
    guests[0].reaches("10.0.0.2")
    seen = {
        (f.interface, f.nvgre.flags, f.nvgre.protocol, f.nvgre.vsid, f.nvgre.flow_id)
        for f in wire.frames()
        if f.nvgre
    }
    assert seen == {("o1a0", 0x2000, 0x6558, 5001, 9), ("o2a0", 0x2000, 0x6558, 5001, 0)}
    for host in hosts:
        host.stop()


def test_verdict_on_numbered_traffic() -> None:
    """Lost, doubled and reordered frames are told apart; another flow's frames in between are no disorder."""

    def frame(flow: int, number: int) -> Frame:
        return Frame(
            float(number), "eth0", False, numbered((ONE, "10.0.0.1"), (TWO, "10.0.0.2"), flow, number)
        )

    good = judge([frame(n % 2, n) for n in range(10)], 10)
    assert (good.lost, good.duplicated, good.reordered_flows) == (0, 0, set())
    bad = judge([frame(0, 0), frame(0, 2), frame(1, 1), frame(0, 6), frame(0, 4), frame(0, 4)], 7)
    assert (bad.lost, bad.duplicated, bad.reordered_flows) == (2, 1, {0})


def test_process_status_and_end(run: Run) -> None:
    netns = Netns(run, "h1")
    assert sh("sh -c 'exit 7'", netns.name, check=False).status == 7
    with pytest.raises(AssertionError, match="status 7"):
        netns.sh("sh -c 'exit 7'")
    with pytest.raises(Timeout):
        netns.sh("sleep 5", timeout=0.2)
    lines: list[str] = []
    loop = "while :; do sleep 0.05; done"
    process = Process(
        run, "p", ["sh", "-c", f"trap 'echo two; exit 3' TERM; echo one; {loop}"], on_line=lines.append
    )
    until(lambda: lines, "its first line")
    assert process.stop() == 3
    assert lines == ["one", "two"]
    stubborn = Process(run, "q", ["sh", "-c", f"trap '' TERM; echo three; {loop}"], on_line=lines.append)
    until(lambda: "three" in lines, "its first line")
    with pytest.raises(Timeout):
        stubborn.stop(timeout=0.3)
    assert stubborn.status == 128 + signal.SIGKILL


def test_what_a_dead_run_left_is_swept() -> None:
    """A run that is killed leaves its namespaces; the next one removes them, and those of living runs stay."""
    script = textwrap.dedent(
        f"""
        import sys, time
        sys.path.insert(0, {str(LIBRARY)!r})
        from lab.run import Run
        from lab.netns import Netns
        run = Run()
        netns = Netns(run, "left")
        netns.start("sleeper", ["sleep", "1000"])
        print(run.id, flush=True)
        time.sleep(1000)
        """
    )
    with Run() as living:
        Netns(living, "alive")
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as victim:
            assert victim.stdout
            name = victim.stdout.readline().strip()
            assert f"{name}-left" in sh("ip netns list").output
            victim.kill()
        assert name in sweep()
        left = sh("ip netns list").output
        assert name not in left and f"{living.id}-alive" in left
        assert not (BASE / name).exists()
        assert not os.path.exists(BASE / f"{name}.lock")


def test_cleaning_up_goes_on_after_an_error() -> None:
    order: list[str] = []

    def fail() -> None:
        order.append("b")
        raise RuntimeError("b fails")

    run = Run()
    run.defer(lambda: order.append("a"))
    run.defer(fail)
    run.defer(lambda: order.append("c"))
    with pytest.raises(RuntimeError, match="b fails"):
        run.close()
    assert order == ["c", "b", "a"]
    assert not run.directory.exists()


def test_configuration_text() -> None:
    text = conf.render(
        {"a": {"b-c": 1, "d": None, "e": True}, "l": [{"x": "q\"\\"}, {"x": []}], "s": ["1", "2"]}
    )
    assert text == (
        'a = { b-c = 1; e = true; };\n'
        'l = (\n\t{ x = "q\\"\\\\"; },\n\t{ x = (); }\n);\n'
        's = ["1", "2"];\n'
    )


def test_archive_is_what_cpio_reads(tmp_path: Path) -> None:
    archive = cpio.Archive()
    archive.file("a/b/c.txt", b"hello\n", 0o755)
    archive.symlink("a/link", "b/c.txt")
    path = tmp_path / "x.cpio"
    path.write_bytes(archive.packed())
    with open(path, "rb") as stream:
        listed = subprocess.run(
            ["busybox", "cpio", "-t"], stdin=stream, capture_output=True, text=True, check=True
        )
    assert listed.stdout.split() == ["a", "a/b", "a/b/c.txt", "a/link"]


def test_wire_host_speaks_nvgre_to_ovs(run: Run) -> None:
    """What the tests forge is taken by somebody else's switch, and what that sends is read."""
    underlay = Underlay(run)
    ovs = OvsHost(run, underlay, "o1", "192.0.2.1/24")
    guest = ovs.guest("g1", ONE, 5001)
    wire = WireHost(run, underlay, "w", "192.0.2.2/24")
    ovs.reach(guest, TWO, "192.0.2.2")
    guest.configure("10.0.0.1/24")
    at_guest, at_wire = guest.capture(), wire.capture()
    inner = (
        Ether(src=TWO, dst=ONE) / IP(src="10.0.0.2", dst="10.0.0.1") / UDP(sport=1, dport=9) / Raw(b"forged")
    )
    wire.send_nvgre("192.0.2.1", 5001, inner, flow_id=200)
    assert at_guest.wait(lambda f: f.source == TWO)[0].data == bytes(inner)
    wire.send_nvgre("192.0.2.1", 5002, inner)
    guest.send(
        Ether(src=ONE, dst=TWO) / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=9) / Raw(b"answer")
    )
    answer = at_wire.wait(lambda f: f.nvgre and b"answer" in f.data)[0]
    assert answer.nvgre and answer.nvgre.vsid == 5001 and answer.packet[IP].dst == "192.0.2.2"
    assert len(at_guest.frames(lambda f: f.source == TWO)) == 1
    ovs.stop()
