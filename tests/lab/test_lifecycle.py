# SPDX-License-Identifier: BSD-3-Clause
"""Coming and going: guests, queues, rings, the switch itself. Real QEMU guests where the hypervisor matters.
"""

from __future__ import annotations

import os
import random
import re
import stat
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from lab.fabric import Fabric
from lab.host import Host
from lab.netns_guest import NetnsGuest
from lab.peer import TapGuest
from lab.programs import program
from lab.qemu import QemuGuest
from lab.traffic import Stream
from lab.wait import until
from lab.witness import Witness

MAKE = Callable[..., Fabric]
SUBNET = (5001, "tenant-a", "10.0.0.1/24", "fd00::1/64")
RESTART_SECONDS = 1.0
MAX_SLEEP = 0.0005  # of a worker, as configured by default


def tolerance() -> float:
    """Times are for a machine that does nothing else and a build that is meant for use: with sanitizers all takes
    several times as long, and other work on few cores has its share.
    """
    sanitized = b"__asan_init" in Path(program("vswitchd")).read_bytes()
    return (3.0 if sanitized else 1.0) * max(1.0, min(3.0, os.getloadavg()[0] / (os.cpu_count() or 1)))


def pair(fabric: Fabric, **options: object) -> tuple[TapGuest, TapGuest]:
    fabric.subnet(*SUBNET)
    a = fabric.tap_guest("h1", "a", 5001, "10.0.0.11/24", "fd00::11/64", options=options)
    b = fabric.tap_guest("h2", "b", 5001, "10.0.0.12/24", "fd00::12/64")
    fabric.start()
    a.reaches("10.0.0.12")
    return a, b


def stream(a: NetnsGuest, b: NetnsGuest, rate: int = 1000) -> Stream:
    return Stream(a, b, "10.0.0.11", "10.0.0.12", rate=rate)


# ---- real guests ----


def _ask(machine: QemuGuest, address: str) -> str:
    return machine.run(f"nc {address} 7 < /dev/null", check=False).output


def test_two_tenants_with_equal_addresses(new_fabric: MAKE) -> None:
    """Two hosts, two tenants with the same IP and MAC addresses in real guests: each reaches its own."""
    fabric = new_fabric()
    machines: dict[str, QemuGuest] = {}
    for tenant, vsid in (("a", 5001), ("x", 6001)):
        fabric.subnet(vsid, f"tenant-{tenant}", "10.0.0.1/24")
        for number, host in ((1, "h1"), (2, "h2")):
            machines[f"{tenant}{number}"] = fabric.machine(
                host, f"{tenant}{number}", vsid, f"10.0.0.1{number}/24", mac=f"02:00:00:00:0a:0{number}"
            )
    fabric.start()
    wire = fabric.underlay.capture()
    machines["a1"].reaches("10.0.0.12")
    machines["x1"].reaches("10.0.0.12")
    assert {f.nvgre.vsid for f in wire.frames(lambda f: f.nvgre) if f.nvgre} == {5001, 6001}
    for tenant in ("a", "x"):
        machines[f"{tenant}2"].run(
            f"echo tenant {tenant} > /run/name; " "nc -l -p 7 -e cat /run/name > /dev/null 2>&1 &"
        )
    for tenant in ("a", "x"):
        said = until(partial(_ask, machines[f"{tenant}1"], "10.0.0.12"), "the name of the other end")
        assert said.strip() == f"tenant {tenant}"


@pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
def test_multiqueue_guest_carries_tcp(new_fabric: MAKE, packed: bool) -> None:
    """Two queue pairs, the guest's own offloads, a TCP stream each way with a namespace on the other host."""
    fabric = new_fabric()
    fabric.subnet(*SUBNET)
    a = fabric.machine(
        "h1",
        "a",
        5001,
        "10.0.0.11/24",
        nic={"queues": 2, "packed": packed, "host_mtu": 1500},
        cpus=2,
        port={"queues": 2, "packed": packed},
    )
    b = fabric.tap_guest("h2", "b", 5001, "10.0.0.12/24")
    fabric.start()
    port = fabric.hosts["h1"].ports()["a"]
    assert port["packed-ring"] is packed
    assert port["queues-enabled"] >= 2
    for options in ("", "-R"):
        server = b.start("iperf3 -s -1")
        until(
            lambda: ":1451" in b.run("cat /proc/net/tcp /proc/net/tcp6", check=False).output, "iperf3 listens"
        )
        output = a.run(f"iperf3 -c 10.0.0.12 -n 1M -P 4 {options}", timeout=60).output
        server.wait()
        assert re.search(r"\[SUM\].*receiver", output), output


@pytest.mark.parametrize("family,underlay,told", [(4, 1500, 1458), (6, 1500, 1438), (6, 1562, 1500)])
def test_row25_guest_takes_the_mtu(new_fabric: MAKE, family: int, underlay: int, told: int) -> None:
    """QEMU's host_mtu is what the guest uses and what the switch compares with what fits: 42 or 62 bytes less than the
    provider network takes. The guest may use all of it, and not one byte more.
    """
    fabric = new_fabric(family=family, mtu=underlay)
    fabric.subnet(*SUBNET)
    a = fabric.machine("h1", "a", 5001, "10.0.0.11/24", nic={"host_mtu": told})
    fabric.tap_guest("h2", "b", 5001, "10.0.0.12/24", options={"mtu": told})
    if told == 1458:
        fabric.machine("h1", "w", 5001, "10.0.0.13/24", nic={"host_mtu": 1400})
    fabric.start()
    assert a.run("cat /sys/class/net/eth0/mtu").output.strip() == str(told)
    ports = fabric.hosts["h1"].ports()
    assert ports["a"]["host-mtu"] == ports["a"]["guest-mtu"] == told and not ports["a"].get("mtu-mismatch")
    if told == 1458:
        assert ports["w"]["host-mtu"] == 1458 and ports["w"]["guest-mtu"] == 1400 and ports["w"]["mtu-mismatch"]
    # busybox knows no -M do: a packet that needs fragments is two
    wire = fabric.underlay.capture()
    a.reaches("10.0.0.12", options=f"-s {told - 28}")
    whole = wire.frames(lambda f: f.nvgre and len(f.nvgre.inner) == told + 14)
    assert len(whole) == 6 and max(len(f.data) for f in wire.frames()) == underlay + 14


@pytest.mark.alone
@pytest.mark.parametrize("hard", [False, True], ids=["term", "kill"])
def test_restart_under_a_real_guest(new_fabric: MAKE, hard: bool) -> None:
    """The switch is restarted: the guest's rings go on without it noticing. From the last packet before the end to the
    first after the start it is a second at most, for the guest and for who hears from it, the start of the daemon
    included. QEMU takes the guest's link down meanwhile, and what Linux asked in vain then it would ask again after a
    second of its own: the switch tells it unasked.
    """
    fabric = new_fabric()
    fabric.subnet(*SUBNET)
    a = fabric.machine("h1", "a", 5001, "10.0.0.11/24")
    b = fabric.tap_guest("h2", "b", 5001, "10.0.0.12/24")
    fabric.start()
    a.reaches("10.0.0.12")
    at_b = b.capture()
    job = a.start("ping -n -D -i 0.02 10.0.0.12")
    at_b.wait(lambda f: f.destination == b.mac, "the pings", 10)
    fabric.hosts["h1"].restart(hard=hard)
    ready = time.monotonic()
    at_b.wait(lambda f: f.destination == b.mac and f.when > ready, "pings after the restart", 10)
    a.reaches("10.0.0.12")
    heard = [f.when for f in at_b.stop() if f.destination == b.mac]
    answered = [float(stamp) for stamp in re.findall(r"\[([\d.]+)\] \d+ bytes from", job.stop().output)]
    gaps = [max(later - earlier for earlier, later in zip(times, times[1:])) for times in (answered, heard)]
    print(f"longest gap: {gaps[0]:.3f} s for the guest, {gaps[1]:.3f} s for its peer")
    assert max(gaps) <= RESTART_SECONDS * tolerance(), gaps
    assert a.run("ip -o link show eth0").output.count("state UP") == 1


@pytest.mark.alone
def test_killed_and_paused_guests(new_fabric: MAKE) -> None:
    """A machine that stands still, and is killed at any moment of boot and traffic, four times: its neighbours lose
    nothing; it comes back.
    """
    fabric = new_fabric(hosts=1)
    fabric.subnet(*SUBNET)
    machine = fabric.machine("h1", "m", 5001, "10.0.0.13/24")
    # rings that outlast the pauses of a busy test machine: what is lost then, the switch has lost
    a = fabric.tap_guest("h1", "a", 5001, "10.0.0.11/24", options={"size": 1024})
    b = fabric.tap_guest("h1", "b", 5001, "10.0.0.12/24", options={"size": 1024})
    fabric.start()
    host = fabric.hosts["h1"]
    run = stream(a, b, 200)
    flood = a.start("ping -n -f 10.0.0.13")
    run.wait_received(100)
    machine.pause()
    run.wait_received(run.mark() + 200)
    machine.resume()
    machine.kill()
    host.wait_port("m", "absent")
    seed = random.getrandbits(32)
    dice = random.Random(seed)
    for least, most in ((0.0, 0.3), (0.3, 1.0), (1.0, 1.2)):
        at = dice.uniform(least, most)
        print(f"seed {seed}: kill at {at:.2f} of the time to boot, {machine.boot_seconds:.1f} s")
        machine.power_on()
        if at > 1.0:
            fabric.finish_by_name("m")
            machine.reaches("10.0.0.11")
            machine.start("ping -n -f 10.0.0.12")
        time.sleep(at % 1.0 * machine.boot_seconds)  # a moment that nothing announces
        machine.kill()
        host.wait_port("m", "absent")
    run.wait_received(run.mark() + 100)
    flood.stop()
    verdict = run.stop()
    print(f"{verdict}")
    assert verdict.lost == 0 and not verdict.reordered_flows, verdict


# ---- our own front-end ----


@pytest.mark.alone
@pytest.mark.asan
@pytest.mark.parametrize("hard", [False, True], ids=["term", "kill"])
def test_row30_restart_under_traffic(fabric: Fabric, hard: bool) -> None:
    """1,000 packets a second through a switch that is restarted: the receiver misses them for a second at most, from
    the last one before the end to the first after the start.
    """
    a, b = pair(fabric)
    run = stream(a, b)
    run.wait_received(300)
    ended = time.monotonic()
    fabric.hosts["h1"].restart(hard=hard)
    ready = time.monotonic()
    run.capture.wait(lambda f: f.when > ready, "traffic after the restart", timeout=1.0)
    run.wait_received(run.capture_count() + 500)
    verdict = run.stop()
    print(f"gap {verdict.longest_gap:.3f} s, of it until READY {ready - ended:.3f} s; lost {verdict.lost}")
    assert verdict.longest_gap <= RESTART_SECONDS * tolerance(), verdict
    assert verdict.duplicated == 0 and not verdict.reordered_flows, verdict


@pytest.mark.asan
def test_guest_comes_and_goes(fabric: Fabric) -> None:
    """Killed and started five times: every time the port is absent, then active, and traffic flows."""
    a, b = pair(fabric)
    host = fabric.hosts["h1"]
    events = host.follow()
    for _ in range(5):
        events.clear()
        a.kill()
        events.wait("port-state", port="a", state="absent")
        fabric.revive(a)
        events.wait("port-state", port="a", state="active")
        a.reaches("10.0.0.12")
        b.reaches("10.0.0.11")


@pytest.mark.asan
def test_server_mode(fabric: Fabric) -> None:
    """The switch makes the socket, with the rights that are asked for, and removes it with the port."""
    fabric.subnet(*SUBNET)
    host = fabric.hosts["h1"]
    a = fabric.tap_guest(
        "h1", "a", 5001, "10.0.0.11/24", options={"server": 0}, port={"mode": "server", "socket-mode": "0640"}
    )
    fabric.tap_guest("h2", "b", 5001, "10.0.0.12/24")
    fabric.start()
    a.reaches("10.0.0.12")
    path = host.sockets / "a.sock"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
    a.kill()
    host.wait_port("a", "absent")
    fabric.revive(a)
    a.reaches("10.0.0.12")
    host.config["ports"] = []
    assert host.reload().ok
    until(lambda: not path.exists(), "the socket is gone")


@pytest.mark.asan
@pytest.mark.parametrize("ring", ["split", "packed"])
@pytest.mark.parametrize("form", ["plain", "indirect", "no-mrg", "legacy"])
def test_ring_forms(fabric: Fabric, ring: str, form: str) -> None:
    """Every form of ring a driver may choose carries pings and TCP."""
    if ring == "packed" and form == "legacy":
        pytest.skip("packed rings need VIRTIO_F_VERSION_1")
    forms: dict[str, dict[str, object]] = {
        "plain": {},
        "indirect": {"indirect": 1},
        "no-mrg": {"mrg": 0},
        "legacy": {"legacy": 1},
    }
    fabric.subnet(*SUBNET)
    a = fabric.tap_guest(
        "h1",
        "a",
        5001,
        "10.0.0.11/24",
        options={"ring": ring, **forms[form]},
        port={"packed": ring == "packed"},
    )
    b = fabric.tap_guest("h2", "b", 5001, "10.0.0.12/24")
    fabric.start()
    a.reaches("10.0.0.12", options="-s 1400")
    assert fabric.hosts["h1"].ports()["a"]["packed-ring"] is (ring == "packed")
    server = b.start("iperf3 -s -1")
    until(lambda: a.run("iperf3 -c 10.0.0.12 -n 20M", check=False, timeout=60).ok, "20 MB arrive", 60)
    server.wait()


@pytest.mark.asan
def test_several_workers_and_queues(fabric: Fabric) -> None:
    """Two workers, four queue pairs, software RSS: all flows arrive, in order, by several queues and both workers."""
    fabric.setting("workers", count=2)
    fabric.subnet(*SUBNET)
    a = fabric.tap_guest("h1", "a", 5001, "10.0.0.11/24", options={"queues": 4}, port={"queues": 4})
    # rings for a guest whose thread does not run for half a second
    b = fabric.tap_guest("h2", "b", 5001, "10.0.0.12/24", options={"queues": 4, "size": 1024}, port={"queues": 4})
    fabric.start()

    def carried(name: str) -> dict[int, int]:
        return {row["worker"]: row["packets"] for row in fabric.hosts[name].call("Workers")["workers"]}

    before = {name: carried(name) for name in fabric.hosts}
    run = Stream(a, b, "10.0.0.11", "10.0.0.12", flows=64, rate=2000)
    run.wait_received(600)
    host = fabric.hosts["h2"]
    for turn, knob in enumerate(("always", "off", "always")):  # received frames change workers, and back
        host.config["offload"] = {"software-rss": knob}
        assert host.reload().ok
        run.wait_received(1400 + 800 * turn)
    verdict = run.stop()
    assert not verdict.lost and not verdict.reordered_flows, (verdict, host.drops())
    handed = {row["name"]: row["packets"] for row in host.call("Offload")["offload"]["counters"]}["rss-software"]
    assert handed > 100, "frames change workers"
    sent, received = a.peer.stats()["tx"]["by_queue"], b.peer.stats()["rx"]["by_queue"]
    print(f"by queue: sent {sent}, received {received}")
    assert sum(count > 100 for count in sent) >= 2, "several queues of the sender"
    assert sum(count > 100 for count in received) >= 2, "several queues of the receiver"
    for name, workers in before.items():
        after = carried(name)
        assert len(after) == 2
        assert all(after[worker] - count > 100 for worker, count in workers.items()), (name, workers, after)


def free_huge_megabytes() -> int:
    """Of the default size, which the switch uses."""
    values = {line.split()[0]: int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines()}
    return values["HugePages_Free:"] * values["Hugepagesize:"] // 1024


def test_hugepages(fabric: Fabric) -> None:
    """Where there are enough, the switch takes its memory from them, gives it back, and guests notice nothing."""
    free = free_huge_megabytes()
    if free < 600:
        pytest.skip(f"only {free} MB of huge pages are free on this machine, 600 are needed")
    fabric.setting("memory", hugepages="on")
    a, b = pair(fabric)
    b.reaches("fd00::11")
    for host in fabric.hosts.values():
        assert host.process
        maps = Path(f"/proc/{host.process.pid}/smaps_rollup").read_text()
        used = {line.split()[0]: int(line.split()[1]) for line in maps.splitlines() if "_Hugetlb:" in line}
        assert sum(used.values()) > 16 << 10, maps
    fabric.hosts["h1"].restart(hard=True)
    fabric.hosts["h1"].wait_port("a")
    a.reaches("10.0.0.12")


@pytest.mark.alone
def test_idle_switch_sleeps(fabric: Fabric) -> None:
    """No traffic: less than 5 % of a core, and no nap is longer than it may be; the first packet after the silence does
    not wait long.
    """
    a, _ = pair(fabric)
    for guest in ("a", "b"):
        fabric.guest(guest).run("ip link set eth0 addrgenmode none")
    host = fabric.hosts["h1"]
    assert host.process
    witness = Witness(fabric.run)
    before = naps(host)
    share = min(host.process.cpu_share(2.0) for _ in range(3))
    naps_made, slept = (now - then for now, then in zip(naps(host), before))
    print(f"{share:.1%} of a core, naps of {1e6 * slept / naps_made:.0f} us; {witness.stop()}")
    assert share < 0.05, f"{share:.1%} of a core"
    assert slept / naps_made <= MAX_SLEEP + 4 * witness.typical
    witness = Witness(fabric.run)
    times = [float(t) for t in re.findall(r"time=([\d.]+)", a.run("ping -n -c 5 -i 0.5 10.0.0.12").output)]
    print(f"{times} ms; {witness.stop()}")
    # There and back, some ten have to be woken one after the other: each may pay for it as the witness did.
    assert sorted(times)[2] < max(10, 1000 * (20 * witness.typical + witness.worst)), times


def naps(host: Host) -> tuple[int, float]:
    """Of the worker: how many, and how long in all, in seconds."""
    workers = host.call("Workers")["workers"]
    return sum(each["sleeps"] for each in workers), sum(each["sleep-ns"] for each in workers) / 1e9


@pytest.mark.asan
def test_notifies_its_manager(fabric: Fabric) -> None:
    """READY after ports and policy, a status text, STOPPING at the end."""
    fabric.start()
    host = fabric.hosts["h1"]
    assert host.notify
    lines = host.notify.lines()
    assert "READY=1" in lines
    assert any(line.startswith("STATUS=") for line in lines)
    host.stop()
    host.notify.wait("STOPPING=1", 2)


@pytest.mark.asan
def test_row30_policy_outlives_a_restart(fabric: Fabric) -> None:
    """What was set at run time is there after kill -9; objects keep their origin; what was removed stays
    removed.
    """
    fabric.subnet(*SUBNET)
    fabric.start()
    host = fabric.hosts["h1"]
    keep = {"vsid": 5001, "ca": "10.0.0.50", "mac": "02:00:00:00:05:50", "host": "h2"}
    drop = {"vsid": 5001, "ca": "10.0.0.51", "mac": "02:00:00:00:05:51", "host": "h2"}
    subnet = {"vsid": 5009, "rdid": "tenant-a", "gateways": ["10.9.0.1/24"]}
    host.call("Set", kind="virtual-subnet", object=subnet)
    for record in (keep, drop):
        assert host.call("Set", kind="lookup-record", object=record)["changed"] is True
    assert host.call("Set", kind="lookup-record", object=keep)["changed"] is False
    host.call("Remove", kind="lookup-record", key=drop)
    before = {kind: host.objects(kind) for kind in ("lookup-record", "virtual-subnet")}
    host.restart(hard=True)
    after = {kind: host.objects(kind) for kind in before}
    for kind, objects in before.items():
        assert sorted(objects, key=str) == sorted(after[kind], key=str)
    assert {r["ca"]: r["origin"] for r in after["lookup-record"]} == {"10.0.0.50": "admin"}
    assert {s["vsid"]: s["origin"] for s in after["virtual-subnet"]} == {5001: "config", 5009: "admin"}
