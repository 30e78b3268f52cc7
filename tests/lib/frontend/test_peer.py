# SPDX-License-Identifier: BSD-3-Clause
"""vhu-peer on both sides of dpdk-testpmd: what one guest sends, the other has to get, whatever the rings
look like and whatever happens to the back-end.
"""

from __future__ import annotations

import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
from lab.netns import Netns
from lab.peer import Peer
from lab.programs import program
from lab.run import Run
from lab.wait import until
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.utils import rdpcap, wrpcap
from testpmd import Testpmd

DST, SRC = "02:00:00:00:00:02", "02:00:00:00:00:01"
# Loss is the machine's, not the ring's, when one of three programs is not scheduled for long. So receivers
# have room for all there is to come, or for a second of this.
RATE = 5000
DEEP = {"size": 8192}
RINGS = ["split", "packed"]
LAYOUTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "unmerged": {"mrg": 0},
    "indirect": {"indirect": 1},
    "event-idx": {"event-idx": 1},
    "hdr-desc": {"hdr-desc": 1},
    "small-buffers": {"buf": 128, "indirect": 1, "event-idx": 1},
    "one-region": {"regions": 1},
    "eight-regions": {"regions": 8},
    "without-protocol": {"no-protocol": 1},
}


def frame(size: int) -> Ether:
    """A UDP frame of so many bytes."""
    packet = Ether(dst=DST, src=SRC) / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1000, dport=2000)
    return Ether(bytes(packet / bytes(size - len(packet))))


def write_frames(path: Path, frames: list[bytes]) -> list[bytes]:
    wrpcap(str(path), [Ether(data) for data in frames])
    return frames


def read_frames(path: Path) -> list[bytes]:
    return [bytes(packet) for packet in rdpcap(str(path))]


class Pair:
    """A sending and a receiving guest, joined by testpmd."""

    def __init__(self, run: Run, host: Netns, client: bool = True, **backend: Any) -> None:
        self._host = host
        self._server = {"server": int(client)}
        self.sockets = [run.directory / "a.sock", run.directory / "b.sock"]
        self.backend = Testpmd(host, "testpmd", self.sockets, client, **backend)

    def attach(self, send: dict[str, Any], receive: dict[str, Any], both: dict[str, Any] | None = None) -> None:
        options = {**self._server, **(both or {})}
        self.tx = Peer(self._host, "tx", self.sockets[0], {**options, **send}, ["--hold"])
        self.rx = Peer(self._host, "rx", self.sockets[1], {**options, **DEEP, **receive})
        for peer in (self.rx, self.tx):
            peer.wait("ready", 30)

    def finish(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Sends all there is; the last figures of both, once everything arrived."""
        self.tx.command("start")
        self.tx.wait("done", 60)
        self.rx.wait("expected", 60)
        return self.tx.stop(), self.rx.stop()


@pytest.mark.parametrize("ring", RINGS)
def test_every_layout_carries_every_frame(run: Run, host: Netns, ring: str) -> None:
    """All lengths, also over several buffers where these may be merged; bytes compared one by one."""
    pair = Pair(run, host, client=False)
    for name, layout in LAYOUTS.items():
        largest = 1514 if layout.get("mrg") == 0 else 2000 if layout.get("buf") else 9000
        sizes = [60, 61, 64, 65, 127, 128, 129, 1500, 1514, largest]
        sizes += [random.randint(60, largest) for _ in range(40)]
        sent = write_frames(
            run.directory / "frames.pcap",
            [bytes(frame(size))[:42] + random.randbytes(size - 42) for size in sizes],
        )
        pair.attach(
            {"mode": "gen", "frames": run.directory / "frames.pcap", "rate": 1000, "count": 10 * len(sent)},
            {"mode": "sink", "pcap": run.directory / "got.pcap", "expect": 10 * len(sent)},
            {"ring": ring, **layout},
        )
        ready = pair.rx.wait("ready")
        assert ready["ring"] == ring
        assert int(ready["features"], 0) >> 15 & 1 == layout.get("mrg", 1), name
        assert (ready["protocol_features"] == "0x0") == bool(layout.get("no-protocol")), name
        tx, rx = pair.finish()
        assert read_frames(run.directory / "got.pcap") == sent * 10, name
        assert tx["violations"] == rx["violations"] == {}, name
        assert rx["sink"]["bytes"] == 10 * sum(sizes), name


def test_checksums_left_to_the_other_side(run: Run, host: Netns) -> None:
    """testpmd hands the virtio header on as it is: the sum there, the rest of it in the frame."""
    sent = write_frames(run.directory / "frames.pcap", [bytes(frame(60)), bytes(frame(1514))])
    pair = Pair(run, host, more=",legacy-ol-flags=1")
    pair.attach(
        {
            **{"mode": "gen", "frames": run.directory / "frames.pcap", "rate": 100, "count": 2},
            **{"csum": 1, "tx-csum": 1},
        },
        {"mode": "sink", "pcap": run.directory / "got.pcap", "expect": 2, "guest-csum": 1},
    )
    _, rx = pair.finish()
    assert rx["sink"]["partial_csum"] == 2 and rx["sink"]["gso"] == 0
    for got, whole in zip(read_frames(run.directory / "got.pcap"), sent):
        assert got[:40] == whole[:40] and got[42:] == whole[42:]
        rest = sum(int.from_bytes(got[i : i + 2], "big") for i in range(34, len(got), 2))
        while rest >> 16:
            rest = (rest & 0xFFFF) + (rest >> 16)
        assert (~rest & 0xFFFF).to_bytes(2, "big") == whole[40:42], "what the device would write"


def test_segmentation_left_to_the_other_side(run: Run, host: Netns) -> None:
    """A frame longer than its MSS says so, a shorter one does not."""
    frames = [bytes(Ether() / IP() / TCP() / bytes(length)) for length in (1000, 3500)]
    write_frames(run.directory / "frames.pcap", frames)
    pair = Pair(run, host, more=",legacy-ol-flags=1")
    pair.attach(
        {
            **{"mode": "gen", "frames": run.directory / "frames.pcap", "rate": 100, "count": 2},
            **{"csum": 1, "gso": 1, "tx-csum": 1, "tx-gso": 1000},
        },
        {"mode": "sink", "expect": 2, "guest-csum": 1, "guest-gso": 1},
    )
    _, rx = pair.finish()
    assert rx["sink"]["partial_csum"] == 2 and rx["sink"]["gso"] == 1
    assert rx["rx"]["bytes"] == sum(map(len, frames))


@pytest.mark.parametrize("ring", RINGS)
def test_numbers_and_times(run: Run, host: Netns, ring: str) -> None:
    write_frames(run.directory / "frames.pcap", [bytes(frame(60))])
    pair = Pair(run, host)
    pair.attach(
        {"mode": "genseq", "frames": run.directory / "frames.pcap", "flows": 7, "rate": RATE, "count": 7000},
        {
            **{"mode": "sink", "seq": "auto", "expect": 7000, "classify": "34:2"},
            **{"pcap": run.directory / "got.pcap", "pcap-max": 50},
        },
        {"ring": ring},
    )
    tx, rx = pair.finish()
    seq = rx["sink"]["seq"]
    assert tx["genseq"]["sent"] == seq["received"] == 7000
    assert [seq[key] for key in ("lost", "reordered", "duplicate", "foreign", "flows")] == [0, 0, 0, 0, 7]
    latency = seq["latency_ns"]
    assert 0 < latency["min"] <= latency["median"] <= latency["p99"] <= latency["max"]
    assert rx["sink"]["classes"] == {f"{1000 + flow:04x}": 1000 for flow in range(7)}
    for packet in rdpcap(str(run.directory / "got.pcap")):
        again = packet.copy()
        del again[UDP].chksum
        assert bytes(again) == bytes(packet), "checksum of a numbered frame"


@pytest.mark.parametrize("ring", RINGS)
def test_goes_on_after_the_back_end_was_killed(run: Run, host: Netns, ring: str) -> None:
    """And once it goes on, as if nothing had been. The receiver has room for what piled up meanwhile."""
    write_frames(run.directory / "frames.pcap", [bytes(frame(60))])
    pair = Pair(run, host)
    pair.attach(
        {"mode": "genseq", "frames": run.directory / "frames.pcap", "rate": RATE},
        {"mode": "sink", "seq": "auto", "expect": 5000},
        {"ring": ring, "event-idx": 1},
    )
    pair.tx.command("start")
    for _ in range(3):
        pair.rx.wait("expected", 30)
        for peer in (pair.tx, pair.rx):
            peer.clear()
        pair.backend.kill()
        for peer in (pair.tx, pair.rx):
            peer.wait("disconnected")
        pair.backend.start()
        for peer in (pair.tx, pair.rx):
            peer.wait("ready", 30)
        pair.rx.command("reset")
    pair.rx.wait("expected", 30)
    tx, rx = pair.tx.stop(), pair.rx.stop()
    seq = rx["sink"]["seq"]
    assert tx["violations"] == rx["violations"] == {}
    assert tx["starts"] == rx["starts"] == 4
    assert not tx["broken"] and not rx["broken"]
    assert seq["lost"] + seq["reordered"] + seq["duplicate"] + seq["stale"] == 0


def test_stale_packed_index_is_what_qemu_sends(run: Run, host: Netns) -> None:
    write_frames(run.directory / "frames.pcap", [bytes(frame(60))])
    pair = Pair(run, host)
    pair.attach(
        {"mode": "gen", "frames": run.directory / "frames.pcap", "rate": RATE, "count": 100},
        {"mode": "sink", "expect": 100},
        {"ring": "packed", "packed-base": "qemu"},
    )
    pair.tx.command("start")
    pair.rx.wait("expected")
    for peer in (pair.tx, pair.rx):
        peer.clear()
    pair.backend.kill()
    pair.rx.wait("disconnected")
    log = pair.backend.start().log
    pair.rx.wait("ready", 30)
    assert "vring base idx:0 last_used_idx:0 last_avail_idx:0." in log.read_text()


def test_multiqueue(run: Run, host: Netns) -> None:
    """Flows stay on their queue; a guest that uses fewer queues sends on those."""
    write_frames(run.directory / "frames.pcap", [bytes(frame(60))])
    pair = Pair(run, host, queues=4)
    pair.attach(
        {"mode": "genseq", "frames": run.directory / "frames.pcap", "flows": 8, "rate": RATE, "count": 4000},
        {"mode": "sink", "seq": "auto", "expect": 4000},
        {"queues": 4},
    )
    pair.tx.command("start")
    pair.rx.wait("expected")
    assert pair.tx.stats()["tx"]["by_queue"] == pair.rx.stats()["rx"]["by_queue"] == [1000] * 4
    pair.tx.command("queues", 2)
    for again in range(2):
        pair.rx.clear()
        for peer in (pair.rx, pair.tx):
            peer.command("reset")
        pair.rx.wait("expected")
        assert pair.tx.stats()["tx"]["by_queue"] == [2000, 2000, 0, 0]
        if again:
            break
        # a guest keeps its number of queues when the back-end comes anew
        for peer in (pair.rx, pair.tx):
            peer.clear()
        pair.backend.kill()
        pair.tx.wait("disconnected")
        pair.backend.start()
        assert pair.tx.wait("ready", 30)["queues"] == 2
        assert pair.rx.wait("ready", 30)["queues"] == 4
    tx, rx = pair.tx.stop(), pair.rx.stop()
    assert tx["tx"]["by_queue"] == rx["rx"]["by_queue"] == [2000, 2000, 0, 0]
    assert rx["sink"]["seq"]["lost"] == rx["sink"]["seq"]["reordered"] == 0


def test_echo(run: Run, host: Netns) -> None:
    mac = "02:00:00:00:00:ec"
    to = Ether(dst=mac, src=SRC)
    sent = write_frames(
        run.directory / "frames.pcap",
        [
            bytes(to / IP(src="10.0.0.1", dst="10.0.0.9") / UDP(sport=1, dport=2) / (b"x" * 30)),
            bytes(to / IP(src="10.0.0.1", dst="10.0.0.9") / ICMP(id=7, seq=1) / b"ping"),
            bytes(Ether(dst="ff:ff:ff:ff:ff:ff", src=SRC) / ARP(hwsrc=SRC, psrc="10.0.0.1", pdst="10.0.0.9")),
            bytes(Ether(dst="ff:ff:ff:ff:ff:ff", src=SRC) / ARP(hwsrc=SRC, psrc="10.0.0.1", pdst="10.0.0.8")),
        ],
    )
    pair = Pair(run, host)
    pair.attach(
        {
            **{"mode": "gen+sink", "frames": run.directory / "frames.pcap", "rate": 100, "count": 4},
            **{"pcap": run.directory / "got.pcap", "expect": 3},
        },
        {"mode": "echo", "mac": mac, "ip": "10.0.0.9"},
    )
    pair.tx.command("start")
    pair.tx.wait("expected")
    until(lambda: pair.rx.stats()["echo"]["ignored"] == 1, "the request for somebody else")
    tx, rx = pair.tx.stop(), pair.rx.stop()
    udp, ping, arp = (Ether(data) for data in read_frames(run.directory / "got.pcap"))
    assert (udp.src, udp.dst, udp[IP].src, udp[UDP].sport) == (mac, SRC, "10.0.0.9", 2)
    assert (ping.src, ping[IP].src, ping[ICMP].type, ping[ICMP].seq) == (mac, "10.0.0.9", 0, 1)
    assert (arp.src, arp[ARP].op, arp[ARP].hwsrc, arp[ARP].pdst) == (mac, 2, mac, "10.0.0.1")
    for packet in (udp, ping):
        again = packet.copy()
        del again[IP].chksum
        del again[IP].payload.chksum
        assert bytes(again) == bytes(packet), "checksums after the turn"
    assert rx["echo"] == {"returned": 3, "arp": 1, "ignored": 1, "dropped": 0}
    assert len(sent) == tx["gen"]["sent"]


class Taps:
    """Two namespaces, each with a tap device, joined by testpmd."""

    def __init__(self, run: Run, host: Netns, options: dict[str, Any], **backend: Any) -> None:
        sockets = [run.directory / "a.sock", run.directory / "b.sock"]
        self.guest = [Netns(run, "g1"), Netns(run, "g2")]
        self.peer = [
            Peer(
                host,
                f"tap{i}",
                sockets[i],
                {"server": 1, "tap": "eth0", "netns": netns.name, "mac": f"02:00:00:00:01:0{i}", **options},
            )
            for i, netns in enumerate(self.guest)
        ]
        self.backend = Testpmd(host, "testpmd", sockets, **backend)
        for i, peer in enumerate(self.peer):
            peer.wait("ready", 30)
            self.guest[i].ip(f"address add 10.0.0.{i + 1}/24 dev eth0")
            self.guest[i].ip(f"neigh replace 10.0.0.{2 - i} lladdr 02:00:00:00:01:0{1 - i} dev eth0")

    def ping(self, options: str, timeout: float = 30.0) -> bool:
        return self.guest[0].sh(f"ping -q {options} 10.0.0.2", check=False, timeout=timeout).ok


@pytest.mark.parametrize("ring", RINGS)
@pytest.mark.parametrize("event_idx", [0, 1])
def test_tap_guests_ping_and_sleep(run: Run, host: Netns, ring: str, event_idx: int) -> None:
    taps = Taps(run, host, {"ring": ring, "event-idx": event_idx, "mtu": 1458, "csum": 0, "gso": 0})
    assert taps.peer[0].wait("ready")["mtu"] == 1458
    assert taps.guest[0].links("eth0")[0]["mtu"] == 1458
    assert taps.guest[0].mac("eth0") == "02:00:00:00:01:00"
    assert taps.ping("-c 200 -i 0.002 -W 5")
    assert taps.ping("-c 5 -i 0.002 -s 1400 -W 5")
    before = [peer.process.cpu_seconds() for peer in taps.peer]
    assert taps.ping("-c 3 -i 0.5 -W 5")
    for peer, seconds in zip(taps.peer, before):
        assert peer.process.cpu_seconds() - seconds < 0.1, "an idle tap guest has to sleep"
    for peer in taps.peer:
        peer.clear()
    taps.backend.kill()
    for peer in taps.peer:
        peer.wait("disconnected")
    taps.backend.start()
    for peer in taps.peer:
        peer.wait("ready", 30)
    assert taps.ping("-c 1 -W 20")
    assert taps.ping("-c 100 -i 0.002 -W 5")
    for peer in taps.peer:
        final = peer.stop()
        assert final["violations"] == {} and final["tap"]["refused"] == 0


# Not packed rings without mergeable buffers: librte_vhost 22.11 takes each descriptor of a chain for a buffer
# of its own when it enqueues four packets at once (virtio_dev_rx_sync_batch_check).
@pytest.mark.parametrize(("ring", "mrg"), [("split", 1), ("split", 0), ("packed", 1)])
def test_tap_guests_leave_segmentation_to_the_other_side(run: Run, host: Netns, ring: str, mrg: int) -> None:
    """TCP in frames of up to 64 KiB, checksums never computed; testpmd hands the header on as it is."""
    taps = Taps(run, host, {"ring": ring, "mrg": mrg, "size": 1024}, more=",legacy-ol-flags=1,tso=1")
    features = int(taps.peer[0].wait("ready")["features"], 0)
    assert features >> 11 & 1 and features >> 7 & 1, "TSO was negotiated"
    code = (
        "import socket,sys\n"
        "s=socket.create_server(('10.0.0.2',5001)); print('up',flush=True)\n"
        "c,_=s.accept(); n=0\n"
        "while True:\n d=c.recv(1<<20); n+=len(d)\n if not d: break\n"
        "print(n)\n"
    )
    server = subprocess.Popen(
        ["ip", "netns", "exec", taps.guest[1].name, "/usr/bin/python3", "-c", code], stdout=subprocess.PIPE, text=True
    )
    run.defer(server.kill)
    assert server.stdout and server.stdout.readline() == "up\n"
    send = "import socket\ns=socket.create_connection(('10.0.0.2',5001),20)\ns.sendall(bytes(20<<20))"
    taps.guest[0].sh(["/usr/bin/python3", "-c", send], timeout=60)
    assert server.stdout.readline() == f"{20 << 20}\n"
    first, second = taps.peer[0].stop(), taps.peer[1].stop()
    assert first["tx"]["bytes"] / first["tx"]["packets"] > 3000, "segments were not left to the other side"
    assert first["violations"] == second["violations"] == {}
    assert second["tap"]["refused"] == 0


def test_tap_with_two_queues(run: Run, host: Netns) -> None:
    taps = Taps(run, host, {"queues": 2, "csum": 0, "gso": 0}, queues=2)
    assert taps.ping("-c 20 -i 0.002 -W 5")
    taps.peer[0].command("queues", 1)
    assert taps.ping("-c 20 -i 0.002 -W 5"), "a queue that is not used must get nothing from the kernel"


def settle(pair: Pair) -> int:
    """Stops the generator; everything it sent has to arrive. Returns how much that is."""
    pair.tx.command("stop")
    sent: int = pair.tx.stats()["genseq"]["sent"]
    until(lambda: pair.rx.stats()["sink"]["packets"] == sent, f"all of {sent} frames")
    seq = pair.rx.stats()["sink"]["seq"]
    assert seq["lost"] == seq["duplicate"] == 0
    return sent


def numbered(run: Run, host: Netns, ring: str) -> Pair:
    write_frames(run.directory / "frames.pcap", [bytes(frame(60))])
    pair = Pair(run, host)
    pair.attach(
        {"mode": "genseq", "frames": run.directory / "frames.pcap", "rate": RATE, "mac": SRC},
        {"mode": "sink", "seq": "auto"},
        {"ring": ring},
    )
    pair.tx.command("start")
    until(lambda: pair.rx.stats()["sink"]["packets"] > 100, "frames")
    return pair


@pytest.mark.parametrize("ring", RINGS)
def test_orderly_stops_lose_nothing(run: Run, host: Netns, ring: str) -> None:
    pair = numbered(run, host, ring)
    for _ in range(3):
        pair.tx.command("rings", "stop")
        pair.tx.command("rings", "start")
    assert settle(pair) > 100
    assert pair.tx.stop()["starts"] == 4


@pytest.mark.parametrize("ring", RINGS)
def test_messages_while_frames_flow(run: Run, host: Netns, ring: str) -> None:
    pair = numbered(run, host, ring)
    for peer in (pair.tx, pair.rx):
        peer.command("memory")
    pair.rx.command("log", "start")
    until(lambda: pair.rx.command("log", "clear")["pages"] > 0, "dirty pages")
    until(lambda: pair.rx.command("log", "clear")["pages"] > 0, "dirty pages again")
    pair.rx.command("log", "stop")
    assert pair.rx.command("log", "count")["pages"] == 0
    pair.tx.command("rarp")
    before = pair.rx.stats()["sink"]["packets"]
    until(lambda: pair.rx.stats()["sink"]["packets"] > before + 100, "frames afterwards")
    assert pair.rx.stats()["violations"] == {}


@pytest.mark.parametrize("ring", RINGS)
def test_leaves_and_comes_back_by_command(run: Run, host: Netns, ring: str) -> None:
    pair = numbered(run, host, ring)
    sent = settle(pair)
    pair.tx.clear()
    pair.tx.command("disconnect")
    assert pair.tx.wait("disconnected")["why"] == "command"
    pair.tx.command("connect")
    pair.tx.wait("ready", 30)
    pair.tx.clear()
    pair.tx.command("guest-reset")
    pair.tx.wait("ready", 30)
    pair.tx.command("start")
    until(lambda: pair.rx.stats()["sink"]["packets"] > sent, "frames of the guest started again")
    for peer in (pair.tx, pair.rx):
        peer.command("reboot")
    before = pair.rx.stats()["sink"]["packets"]
    until(lambda: pair.rx.stats()["sink"]["packets"] > before + 100, "frames of guests that booted again")
    assert pair.rx.stop()["violations"] == pair.tx.stop()["violations"] == {}


@pytest.mark.parametrize("ring", RINGS)
def test_migration(run: Run, host: Netns, ring: str) -> None:
    """The same rings on another back-end: an orderly stop, its indexes, no frame lost."""
    pair = numbered(run, host, ring)
    sockets = [run.directory / "c.sock", run.directory / "d.sock"]
    Testpmd(host, "other", sockets)
    sent = settle(pair)
    for peer, socket in zip((pair.tx, pair.rx), sockets):
        peer.clear()
        peer.command("migrate", socket)
        peer.wait("ready", 30)
    pair.tx.command("start")
    until(lambda: pair.rx.stats()["sink"]["packets"] > sent + 100, "frames at the new place")
    assert settle(pair) > sent


def hostile_scripts() -> dict[str, bool]:
    """Their names, and whether they are dangerous."""
    listed = subprocess.run(
        [program("vhu-peer"), "--list-hostile"], capture_output=True, text=True, check=True
    )
    return {line.split()[0]: line.endswith("(dangerous)") for line in listed.stdout.splitlines()}


@pytest.mark.parametrize("ring", RINGS)
def test_hostile_scripts_run_to_their_end(run: Run, host: Netns, ring: str) -> None:
    """Whatever the back-end makes of them; one that died is started again."""
    sockets = [run.directory / "a.sock", run.directory / "b.sock"]
    backend = Testpmd(host, "testpmd", sockets, client=False)
    for name, dangerous in hostile_scripts().items():
        count = 1 if dangerous else 50
        peer = Peer(
            host,
            f"hostile-{name}",
            sockets[0],
            {"hostile": name, "ring": ring, "count": count, "indirect": 1, "timeout": 3000},
            ["--seed", str(random.getrandbits(32))],
        )

        def over(peer: Peer = peer) -> bool:
            assert peer.process.status is None or peer.events("done"), f"{name}: the peer died"
            return bool(peer.events("done")) or backend.process.status is not None

        while not peer.events("done"):
            until(over, f"{name}: done", 120)
            if backend.process.status is not None:
                for socket in sockets:
                    socket.unlink(missing_ok=True)
                backend.start()
        final = peer.stop()["hostile"]
        assert final["attacks"] >= count and final["connections"] > 0, name
