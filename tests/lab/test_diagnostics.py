# SPDX-License-Identifier: BSD-3-Clause
"""Why did this packet not arrive? HNV rows 40, 41, 42, 44; traces and captures."""

from __future__ import annotations

import json
import mmap
import os
import signal
import socket
from collections.abc import Callable
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import Ether

from lab.capture import tshark_fields
from lab.fabric import Fabric
from lab.host import Host
from lab.process import Process
from lab.programs import program
from lab.varlink import CallError, Connection
from lab.wait import until

MAKE = Callable[..., Fabric]


def lines(text: str) -> list[dict[str, Any]]:
    """JSON, one object per line."""
    return [json.loads(line) for line in text.splitlines()]


def ping(host: Host, *words: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit status and results."""
    result = host.ctl_text("--json", "ping", *words, "--count", "1", "--timeout", "700", check=False)
    return result.status, lines(result.output)


@pytest.mark.asan
@pytest.mark.parametrize("family", [4, 6])
def test_row40_provider_ping(new_fabric: MAKE, family: int) -> None:
    """Echo between provider addresses without any guest; what fails is named."""
    fabric = new_fabric(family=family)
    fabric.start()
    host = fabric.hosts["h1"]
    far, absent, outside, own = (
        ("192.0.2.21", "192.0.2.99", "203.0.113.1", "192.0.2.11")
        if family == 4
        else ("2001:db8::2:1", "2001:db8::9:9", "2001:db8:ffff::1", "2001:db8::1:1")
    )
    text = host.ctl_text("ping", far, "--count", "3", "--interval", "10").output
    assert text.count(f"{far} from {own} by a0: sequence") == 3 and "3 sent, 3 answered" in text, text
    wire = fabric.underlay.capture()
    status, (pong,) = ping(host, far, "--size", "1400", "--df", "--member", "a1")
    assert (status, pong["result"], pong["member"], pong["size"]) == (0, "ok", "a1", 1400)
    assert pong["rtt-us"] > 0 and pong["from"] != own
    if family == 4:
        requests = wire.frames(lambda f: f.packet.haslayer(ICMP) and f.packet[ICMP].type == 8)
        assert {f.packet[IP].len for f in requests} == {1400} and requests[0].packet[IP].flags == "DF"
    for words, cause in (
        ([absent], "no-neighbour"),
        ([outside], "no-route"),
        ([far, "--size", "1601"], "mtu"),
        ([far, "--member", "a1", "--from", own], "not-home"),
        ([far, "--from", absent], "no-pa"),
        ([own], "own-address"),
    ):
        status, (pong,) = ping(host, *words)
        assert (status, pong["result"]) == (1, cause), (words, pong)
        if cause in ("no-route", "mtu", "no-pa", "own-address"):  # nothing changes by asking again
            text = host.ctl_text("ping", *words, "--count", "3", "--interval", "10", check=False).output
            assert text.count("sequence") == 1 and "1 sent, 0 answered" in text, text
    status, (pong,) = ping(host, far, "--size", "1601")
    assert pong["mtu"] == 1600
    assert "did you mean" in host.refused("ping", far, "--member", "a9")
    fabric.hosts["h2"].kill()
    status, (pong,) = ping(host, far)
    assert status == 1 and pong["result"] in ("time-out", "no-neighbour")


def tenant(fabric: Fabric) -> None:
    fabric.subnet(5001, "tenant-a", "10.1.0.1/24", "fd00:1::1/64")
    fabric.subnet(5002, "tenant-a", "10.2.0.1/24", "fd00:2::1/64", learning=False)


@pytest.mark.asan
def test_row41_next_hop(new_fabric: MAKE) -> None:
    """HNV's fields and ours; what a dry run of the packet path says, too."""
    fabric = new_fabric()
    tenant(fabric)
    a = fabric.place("h1", "a", 5001, "10.1.0.11/24", "fd00:1::11/64")
    b = fabric.place("h1", "b", 5001, "10.1.0.12/24", "fd00:1::12/64")
    c = fabric.place("h2", "c", 5002, "10.2.0.13/24", "fd00:2::13/64")
    fabric.start()
    host = fabric.hosts["h1"]

    def hop(source: str, to: str) -> dict[str, Any]:
        found: dict[str, Any] = host.ctl("next-hop", "--vsid", "5001", "--from", source, "--to", to)
        return found

    same = hop("10.1.0.11", "10.1.0.12")
    assert same["source-customer-address"] == "10.1.0.11" and same["destination-customer-address"] == "10.1.0.12"
    assert same["source-virtual-subnet-id"] == 5001 and same["vsid-out"] == 5001
    assert (same["next-hop-address"], same["next-hop-mac-address"]) == ("10.1.0.12", b.mac)
    assert (same["source-mac-address"], same["verdict"], same["port"]) == (a.mac, "local", "b")
    for source, to, gateway in (("10.1.0.11", "10.2.0.13", "10.1.0.1"), ("fd00:1::11", "fd00:2::13", "fd00:1::1")):
        other = hop(source, to)
        assert (other["next-hop-address"], other["vsid-out"], other["host"]) == (gateway, 5002, "h2")
        assert other["next-hop-mac-address"] not in (a.mac, c.mac) and other["destination-mac-address"] == c.mac
        assert {p["address"] for p in other["provider-addresses"] if p["usable"]} == {"192.0.2.21", "192.0.2.22"}
        trace = host.call("DryRun", port="a", packet=f"{'icmpv6' if ':' in to else 'icmp'} {source} > {to}")["trace"]
        remote = next(row for row in trace["stages"] if row["verdict"] == "remote")
        assert (remote["host"], remote["vsid"], remote["record"]) == ("h2", 5002, other["record"])
        assert trace["stages"][-1]["stage"] == "wire-tx"
    lost = hop("10.1.0.11", "10.2.0.99")
    assert (lost["verdict"], lost["reason"]) == ("drop", "no-record") and lost["text"]
    text = host.ctl_text("next-hop", "vsid=5001", "from=10.1.0.11", "to=10.3.0.1").output
    assert "no-route" in text
    assert "does not take --df" in host.refused("next-hop", "--vsid", "5001", "--df")
    assert "is wanted" in host.refused("next-hop", "--vsid", "5001")


def result(host: Host, *words: str) -> dict[str, Any]:
    """Of a test through ports that may fail."""
    output = host.ctl_text("--json", "test", "port", *words, "--timeout", "5000", check=False).output
    return lines(output)[-1]


@pytest.mark.asan
def test_row42_test_through_ports(new_fabric: MAKE) -> None:
    """Guests without an address, and one that stands still: the echo goes from port to port without them."""
    fabric = new_fabric()
    tenant(fabric)
    a = fabric.tap_guest("h1", "a", 5001, "10.1.0.11/24", "fd00:1::11/64")
    b = fabric.tap_guest("h1", "b", 5001, "10.1.0.12/24", "fd00:1::12/64")
    fabric.tap_guest("h2", "c", 5002, "10.2.0.13/24", "fd00:2::13/64")
    fabric.start(configure=False)
    one, two = fabric.hosts["h1"], fabric.hosts["h2"]
    seen = [a.capture(), b.capture()]
    b.peer.process.send_signal(signal.SIGSTOP)
    local = result(one, "a", "b", "--size", "600", "--sequence", "77")
    assert (local["result"], local["size"], local["sequence"]) == ("ok", 600, 77) and local["rtt-us"] > 0
    assert (local["from"], local["to"]) == ("10.1.0.11", "10.1.0.12")
    b.peer.process.send_signal(signal.SIGCONT)
    assert "ok: fd00:1::11 -> fd00:1::12" in one.ctl_text("test", "port", "a", "b", "--from", "fd00:1::11").output

    # across hosts: armed there, sent here, by the router; what was asked for is on the wire
    wire = fabric.underlay.capture()
    armed = two.netns.start(
        "receiver",
        [program("vswitchctl"), "--socket", str(two.control), "test", "port", "c", "--receiver", "--sequence", "9"],
    )
    until(lambda: "armed" in armed.tail(), "the receiver is armed")
    there = result(one, "a", "--to", "10.2.0.13", "--sequence", "9", "--size", "1000")
    assert (there["result"], there["size"], there["sequence"]) == ("ok", 1000, 9), there
    until(lambda: armed.status == 0, "the receiver is done")
    assert "ok: 10.1.0.11" in armed.tail()
    echoes = [f.nvgre.packet for f in wire.frames(lambda f: f.nvgre and f.nvgre.packet.haslayer(ICMP)) if f.nvgre]
    assert {(p[ICMP].type, p[IP].len, p[ICMP].seq) for p in echoes} == {(8, 1000, 9), (0, 1000, 9)}

    # not armed: a time-out; what is dropped says why
    output = one.ctl_text("--json", "test", "port", "a", "--to", "10.2.0.13", "--timeout", "300", check=False)
    assert output.status == 1 and lines(output.output)[-1]["result"] == "time-out"
    lost = result(one, "a", "--to", "10.2.0.99")
    assert (lost["result"], lost["reason"], lost["lost"]) == ("failed", "no-record", "request")
    assert "no address" in one.refused("test", "port", "a", "b", "--from", "10.9.9.9x")
    assert not [f for capture in seen for f in capture.frames(lambda f: f.packet.haslayer(ICMP))]


def test_row42_test_past_a_machine(new_fabric: MAKE) -> None:
    """A machine of QEMU that takes nothing in, and one whose CPUs stand still: a test through its port works all the
    same, on its host and from another, and is not what it sees when it goes on.
    """
    fabric = new_fabric()
    tenant(fabric)
    machine = fabric.machine("h1", "m", 5001, "10.1.0.11/24")
    near = fabric.tap_guest("h1", "a", 5001, "10.1.0.12/24")
    fabric.tap_guest("h2", "b", 5001, "10.1.0.13/24")
    fabric.start()
    one, two = fabric.hosts["h1"], fabric.hosts["h2"]
    near.reaches("10.1.0.11")
    # the kernel of the machine is without netfilter: rules that come before that of its own addresses
    machine.run(
        "ip rule add pref 9 lookup local; ip rule add pref 1 iif eth0 blackhole; ip rule del pref 0; "
        "grep ^Icmp: /proc/net/snmp > /run/before"
    )
    near.misses("10.1.0.11")
    for paused in (False, True):
        if paused:
            machine.pause()
        for host, words, ends in (
            (one, ("a", "m"), ("10.1.0.12", "10.1.0.11")),
            (one, ("m", "a"), ("10.1.0.11", "10.1.0.12")),
        ):
            said = result(host, *words)
            assert (said["result"], said["from"], said["to"]) == ("ok", *ends), (paused, said)
        armed = one.netns.start(
            f"receiver-{paused}",
            [program("vswitchctl"), "--socket", str(one.control), "test", "port", "m", "--receiver", "--sequence", "9"],
        )
        until(lambda: "armed" in armed.tail(), "the receiver is armed")
        there = result(two, "b", "--to", "10.1.0.11", "--sequence", "9")
        assert (there["result"], there["sequence"]) == ("ok", 9), (paused, there)
        until(lambda: armed.status == 0, "the receiver is done")
    machine.resume()
    machine.run("grep ^Icmp: /proc/net/snmp | cmp /run/before -")
    machine.run("ip rule del pref 1")
    near.reaches("10.1.0.11")


@pytest.mark.asan
def test_dry_run(new_fabric: MAKE) -> None:
    """Each stage up to the bytes on the wire, of ports that no guest has attached to, and nothing is sent."""
    fabric = new_fabric()
    tenant(fabric)
    fabric.place("h1", "a", 5001, "10.1.0.11/24")
    c = fabric.place("h2", "c", 5002, "10.2.0.13/24")
    fabric.start()
    host = fabric.hosts["h1"]
    wire = fabric.underlay.capture()
    trace = host.ctl("trace", "--port", "a", "--packet", "tcp 10.1.0.11:1024 > 10.2.0.13:80 size=100")
    assert [row["stage"] for row in trace["stages"]] == ["guest-rx", "source", "lookup", "route", "encap", "wire-tx"]
    sent = Ether(bytes.fromhex(trace["stages"][-1]["frame"]))
    inner = Ether(bytes(sent[IP].payload)[8:])
    assert (sent[IP].proto, inner.dst, inner[IP].ttl, inner[IP].len) == (47, c.mac, 63, 100)
    assert trace["packet"].startswith("tcp 10.1.0.11:1024 > 10.2.0.13:80")
    text = host.ctl_text("trace", "--port", "a", "--packet", "udp 10.9.9.9:1 > 10.2.0.13:2").output
    assert "drop" in text and "reason=src-ip" in text, text
    text = host.ctl_text("trace", "--port", "a", "--packet", bytes(inner).hex()).output
    assert "reason=src-mac" in text
    asks = host.ctl("trace", "--port", "a", "--packet", "icmp 10.1.0.11 > 10.1.0.77")
    assert "asks first" in asks["note"] and asks["packet"].startswith("arp 10.1.0.11 > 10.1.0.77")
    assert "did you mean" in host.refused("trace", "--port", "a", "--packet", "tcp 10.1.0.1:1 > 10.1.0.2:2 sze=9")
    assert "no port" in host.refused("trace", "--port", "nobody", "--packet", "arp 10.1.0.1 > 10.1.0.2")
    assert not wire.frames(lambda f: f.nvgre) and sum(host.drops().values()) == host.drops().get("wire-other", 0)


def test_live_trace(new_fabric: MAKE) -> None:
    """The next packets that match, and those that are dropped; a client that does not read is cut off."""
    fabric = new_fabric(hosts=1)
    tenant(fabric)
    a = fabric.tap_guest("h1", "a", 5001, "10.1.0.11/24")
    b = fabric.tap_guest("h1", "b", 5001, "10.1.0.12/24")
    fabric.start()
    host = fabric.hosts["h1"]
    frame = Ether(src=a.mac, dst=b.mac) / IP(src="10.1.0.11", dst="10.1.0.12") / UDP(sport=7, dport=7777) / b"x"
    spoofed = Ether(src=b.mac, dst=b.mac) / IP(src="10.1.0.11", dst="10.1.0.12") / UDP(sport=7, dport=7777) / b"x"

    connection = Connection(host.control)
    connection.send("Trace", {"filter": {"port-number": "7777"}, "count": 2}, more=True)
    replies = connection.replies("Trace")
    assert next(replies) == {}
    a.send(frame, 2)
    for reply in replies:
        stages = reply["trace"]["stages"]
        assert [row["stage"] for row in stages] == ["guest-rx", "source", "lookup", "guest-tx"]
        assert (stages[0]["port"], stages[-1]["port"]) == ("a", "b") and stages[-1]["cycles"] > 0
    connection.close()

    command = [program("vswitchctl"), "--socket", str(host.control), "trace", "--drops", "--port", "a", "--count", "1"]
    follower = host.netns.start("trace", [*command, "protocol=udp"])

    def spoof() -> bool:
        a.send(frame)
        a.send(spoofed)
        return follower.status == 0

    until(spoof, "the trace of a dropped packet")
    assert "reason=src-mac" in follower.tail() and "guest-tx" not in follower.tail()

    command = [program("vswitchctl"), "--socket", str(host.control), "--json", "trace", "--port", "a", "--count", "1"]
    as_json = host.netns.start("trace-json", [*command, "port-number=7777"])

    def traced() -> bool:
        a.send(frame)
        return as_json.status == 0

    until(traced, "the trace as JSON")
    told = [json.loads(line) for line in as_json.tail().splitlines() if line.startswith("{")]
    assert [row["stage"] for row in told[-1]["stages"]] == ["guest-rx", "source", "lookup", "guest-tx"], told

    idle = Connection(host.control)
    idle.send("Trace", {"filter": {"port": "a"}, "count": 1000000}, more=True)
    until(lambda: _cut_off(host, a.send, frame), "the client that does not read is cut off", 60)
    with pytest.raises(CallError, match="did you mean"):
        host.stream("Trace", filter={"prot": "a"})
    idle.close()


def _cut_off(host: Host, send: Callable[..., None], frame: object) -> bool:
    """More traces than a connection may have waiting, then: are there places for all watches again?"""
    send(frame, 500)
    connections = [Connection(host.control) for _ in range(8)]
    try:
        for connection in connections:
            connection.send("Trace", {"filter": {"vsid": 4096}}, more=True)
            next(connection.replies("Trace"))
        return True
    except CallError:
        return False
    finally:
        for connection in connections:
            connection.close()


def start_capture(host: Host, name: str, *words: str) -> Process:
    """To NAME.pcapng; it has begun."""
    path = host.directory / f"{name}.pcapng"
    command = [program("vswitchctl"), "--socket", str(host.control), "capture", "--write", str(path), *words]
    capture = host.netns.start(name, command)
    # what the file begins with is written when the daemon has said yes
    until(lambda: path.exists() and path.stat().st_size > 0, f"capture {name} has begun")
    return capture


@pytest.mark.asan
def test_row44_capture_decodes(new_fabric: MAKE) -> None:
    """Guest side, provider side and drops in one pcapng; interfaces, VSIDs and reasons as tshark shows them."""
    fabric = new_fabric()
    tenant(fabric)
    a = fabric.tap_guest("h1", "a", 5001, "10.1.0.11/24")
    fabric.tap_guest("h2", "c", 5002, "10.2.0.13/24")
    fabric.start()
    host = fabric.hosts["h1"]
    path = host.directory / "all.pcapng"
    capture = start_capture(host, "all", "address=10.1.0.11")
    a.reaches("10.2.0.13")
    spoofed = Ether(src="02:00:00:00:00:99", dst=a.mac) / IP(src="10.1.0.11", dst="10.2.0.13") / UDP()
    a.send(spoofed)
    fields = ["frame.interface_name", "frame.interface_description", "frame.comment", "gre.key", "ip.src", "icmp.type"]

    def rows() -> list[list[str]]:
        return tshark_fields(path, fields)

    until(lambda: any("drop src-mac" in row[2] for row in rows()), "the dropped packet is in the capture")
    capture.send_signal(signal.SIGINT)
    until(lambda: capture.status == 0, "the capture has ended")
    assert "packets captured, 0 copies lost" in capture.tail()
    found = rows()
    guest = [row for row in found if row[0] == "a" and row[5] in ("8", "0")]
    assert guest and {row[1] for row in guest} == {"port a, VSID 5001"}
    tunnel = [row for row in found if row[0] in ("a0", "a1") and row[3]]
    assert {int(row[3], 16) >> 8 for row in tunnel} == {5001, 5002}
    assert {"10.1.0.11", "10.2.0.13"} <= {address for row in tunnel for address in row[4].split(",")}
    drops = [row for row in found if row[2]]
    assert {row[0] for row in drops} == {"a"} and "[VSID 5001]" in drops[0][2]

    as_json = start_capture(host, "one", "--json", "--count", "1", "hop=guest")
    a.reaches("10.2.0.13")
    until(lambda: as_json.status == 0, "the capture of one packet has ended")
    told = [json.loads(line) for line in as_json.tail().splitlines() if line.startswith("{")]
    assert told == [{"file": str(host.directory / "one.pcapng"), "packets": 1, "lost": 0}]
    again = host.ctl("trace", "--port", "a", "--read", told[0]["file"])
    assert again["packet"] and again["stages"][0]["stage"] == "guest-rx", "a dry run of what was captured"


def test_capture_ends_with_its_reader(new_fabric: MAKE) -> None:
    """Limits, filters, pipes, snap length, count; dead readers leave nothing, one that stands still loses copies."""
    fabric = new_fabric(hosts=1)
    tenant(fabric)
    a = fabric.tap_guest("h1", "a", 5001, "10.1.0.11/24")
    b = fabric.tap_guest("h1", "b", 5001, "10.1.0.12/24")
    fabric.start()
    host = fabric.hosts["h1"]
    frame = Ether(src=a.mac, dst=b.mac) / IP(src="10.1.0.11", dst="10.1.0.12") / UDP(dport=9) / (b"x" * 1000)

    piped = host.directory / "piped.pcapng"
    script = f"{program('vswitchctl')} --socket {host.control} capture --count 5 --snap 60 hop=guest port=b > {piped}"
    pipe = host.netns.start("pipe", ["/bin/sh", "-c", script])

    def send() -> bool:
        a.send(frame)
        return pipe.status == 0

    until(send, "five packets")
    assert "5 packets captured" in pipe.tail()
    assert tshark_fields(piped, ["frame.interface_name", "frame.cap_len"]) == [["b", "60"]] * 5

    # as many as there may be, then one more; killed, all of them go
    readers = [start_capture(host, f"reader{n}", "--buffer", "1") for n in range(8)]
    assert "8 captures" in _refusal(host)
    readers[0].send_signal(signal.SIGSTOP)
    before = host.ports()["b"]["tx"]["packets"]

    def flows() -> bool:
        a.send(frame, 100)
        return bool(host.ports()["b"]["tx"]["packets"] > before + 2000)

    until(flows, "traffic goes on", 30)
    for reader in readers:
        reader.send_signal(signal.SIGKILL)
    until(lambda: not _refusal(host), "their places are free")

    for words, reason in (
        (["prot=udp"], "did you mean"),
        (["protocol=xyz"], "udp"),
        (["drop=src-mc"], "src-mac"),
        (["port=nobody"], "no port"),
        (["--snap", "0"], "65535"),
        (["x"], "NAME=VALUE"),
    ):
        assert reason in host.refused("capture", "--write", "/dev/null", *words), words
    last = start_capture(host, "last")
    live = start_capture(host, "live", "hop=wire")
    host.stop()
    until(lambda: last.status == 1 and live.status == 1, "they end with the daemon")


def _refusal(host: Host) -> str:
    """What a trace is told, "" when it could begin."""
    connection = Connection(host.control)
    try:
        connection.send("Trace", {"filter": {"vsid": 4096}}, more=True)
        next(connection.replies("Trace"))
        return ""
    except CallError as error:
        return error.text
    finally:
        connection.close()


def test_a_reader_of_a_capture_cannot_touch_its_memory(new_fabric: MAKE) -> None:
    """Neither write it, nor make it smaller, nor take its pages away below the workers."""
    host = new_fabric(hosts=1).hosts["h1"]
    host.start()
    call = {"method": "org.vswitchd.Capture", "parameters": {}, "more": True}
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(str(host.control))
        s.sendall(json.dumps(call).encode() + b"\0")
        text, fds, _, _ = socket.recv_fds(s, 65536, 2)
        assert text[:1] == b"{" and len(fds) == 2
        rings, tails = fds
        size = os.fstat(rings).st_size
        assert os.fstat(rings).st_mode & 0o777 == 0, "nobody but root opens it anew"
        with mmap.mmap(rings, size, prot=mmap.PROT_READ) as memory:
            assert memory[:4] != bytes(4)
        for harm in (
            lambda: mmap.mmap(rings, size, prot=mmap.PROT_READ | mmap.PROT_WRITE),
            lambda: os.ftruncate(rings, 0),
            lambda: os.posix_fallocate(rings, 0, size),
            lambda: os.pwrite(rings, bytes(4096), 0),
            lambda: os.ftruncate(tails, 0),
        ):
            with pytest.raises(OSError):
                harm()
        os.pwrite(tails, b"\xff" * os.fstat(tails).st_size, 0)  # a lie: no more copies, and no harm
        for fd in fds:
            os.close(fd)
    assert host.ctl("version")["ready"] is True
