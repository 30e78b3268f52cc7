# SPDX-License-Identifier: BSD-3-Clause
"""The daemon's own life: what is kept, taken back, refused and retried; what the service manager is told."""

from __future__ import annotations

import contextlib
import grp
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.fabric import Fabric
from lab.host import Host
from lab.process import sh
from lab.programs import program
from lab.run import Run
from lab.wait import until


@pytest.fixture(name="host")
def _host(new_fabric: Callable[..., Fabric]) -> Host:
    """One host with two NICs."""
    return new_fabric(hosts=1).hosts["h1"]


def members(host: Host) -> dict[str, dict[str, Any]]:
    return {member["name"]: member for member in host.team()["members"]}


def one_nic(host: Host) -> None:
    """The configuration knows the first NIC only."""
    host.config["members"].pop()
    host.config["provider-addresses"].pop()
    host.config["hosts"].clear()


# ---- drivers ----


def loaded_drivers(host: Host) -> set[str]:
    """Drivers of DPDK in the daemon: "net_af_packet"."""
    assert host.process
    maps = Path(f"/proc/{host.process.pid}/maps").read_text()
    return set(re.findall(r"/pmds-[^/]*/librte_(\w+)\.so", maps))


@pytest.mark.asan
def test_only_the_drivers_in_use_are_loaded(host: Host) -> None:
    """All that Debian has take longer than a guest should wait for a restart. By the names that a host without
    development packages has, too; and more of them when members want more.
    """
    host.config["log"] = {"level": "debug"}
    host.start()
    assert {name for name in loaded_drivers(host) if not name.startswith("bus_")} == {"mempool_ring", "net_af_packet"}
    names = re.findall(r"driver (\S+)", host.log())
    assert names and all(re.search(r"\.so\.[\d.]+$", name) for name in names), names
    host.ctl_text("member", "add", "name=n0", "type=dpdk", "devargs=net_null7,size=64")
    until(lambda: "net_null" in loaded_drivers(host), "the driver of the new member")
    assert "no network device" not in host.refused("member", "add", "name=n1", "type=dpdk", "devargs=net_nothing0")


# ---- the team at run time ----


@pytest.mark.asan
def test_second_nic_at_run_time(host: Host) -> None:
    """Member and provider address come by vswitchctl, take their half, outlive a restart, and go."""
    one_nic(host)
    host.start()
    host.ctl_text("member", "add", "name=a1")
    host.ctl_text("provider-address", "add", "address=192.0.2.12", "prefix-length=24", "member=a1")
    for start in range(2):
        until(lambda: members(host).get("a1", {}).get("buckets") == 128, "a1 has its half of the buckets")
        until(
            lambda: host.provider_address_states() == {"192.0.2.11": "preferred", "192.0.2.12": "preferred"},
            "both provider addresses are good",
        )
        if start == 0:
            host.restart()
    assert "there is no member 'a1'" in host.refused("member", "remove", "a1")
    host.ctl_text("provider-address", "remove", "192.0.2.12")
    host.ctl_text("member", "remove", "a1")
    assert set(members(host)) == {"a0"}
    host.restart()
    assert set(members(host)) == {"a0"} and set(host.provider_address_states()) == {"192.0.2.11"}


@pytest.mark.asan
def test_member_that_cannot_be_opened_leaves_nothing(host: Host) -> None:
    """Neither in the team nor in the store, nor in the way of the next change."""
    one_nic(host)
    host.start()
    assert "net_nonsense0" in host.refused("member", "add", "name=n1", "type=dpdk", "devargs=net_nonsense0")
    assert set(members(host)) == {"a0"}
    host.ctl_text("member", "add", "name=a1")
    host.restart()
    assert set(members(host)) == {"a0", "a1"}


def test_member_change_that_fails_is_taken_back(host: Host) -> None:
    one_nic(host)
    host.start()
    host.ctl_text("member", "add", "name=a1")
    host.refused("member", "add", "name=a1", "type=dpdk", "devargs=net_nonsense0")
    assert members(host)["a1"]["type"] == "af-packet"
    until(lambda: members(host)["a1"]["usable"], "a1 is in use again")


# ---- ports ----


def test_port_that_cannot_be_made_is_tried_again_by_reload(host: Host) -> None:
    """It is reported and keeps nobody from working; a reload without any difference tries again."""
    directory = host.sockets / "later"
    host.config["ports"] += [
        {"id": "good"},
        {"id": "bad", "mode": "server", "socket": f"{directory}/bad.sock"},
    ]
    host.start()
    port = host.ports()["bad"]
    assert port["state"] == "absent" and "No such file" in port["error"], port
    assert host.ports()["good"].get("error", "") == ""
    result = host.reload()
    assert "bad.sock" in host.ports()["bad"]["error"], result.output
    directory.mkdir()
    assert host.reload().ok
    assert host.ports()["bad"].get("error", "") == "" and (directory / "bad.sock").is_socket()


def test_refused_port_is_taken_back(host: Host) -> None:
    """A new one goes, a changed one is as before."""
    host.start()
    host.ctl_text("port", "add", "id=p1")
    bad = f"socket={host.sockets}/none/p.sock"
    assert "No such file" in host.refused("port", "add", "id=p2", "mode=server", bad)
    assert "No such file" in host.refused("port", "add", "id=p1", "mode=server", bad)
    ports = host.ports()
    assert set(ports) == {"p1"} and ports["p1"]["mode"] == "client" and not ports["p1"].get("error")
    assert "below" in host.refused("port", "add", "id=p3", "socket=/tmp/p3.sock")
    host.restart()
    assert set(host.ports()) == {"p1"}


# ---- reload: the end state counts, not the way ----


@pytest.mark.asan
def test_reload_swaps_two_guests(fabric: Fabric) -> None:
    """Two ports exchange their MACs, and two CAs of one MAC move to the other host: no order of single
    changes is free of contradictions.
    """
    fabric.subnet(5001, "t", "10.0.0.1/24", "fd00::1/64")
    for host in fabric.hosts.values():
        host.config["records"] = [
            {"vsid": 5001, "ca": ca, "mac": "02:00:00:00:00:21", "host": "h1"} for ca in ("10.0.0.21", "fd00::21")
        ]
    host = fabric.hosts["h1"]
    macs = ["02:00:00:00:00:11", "02:00:00:00:00:12"]
    host.config["ports"] = [
        {"id": name, "vsid": 5001, "macs": [mac]} for name, mac in zip(("a", "b"), macs, strict=True)
    ]
    host.start()
    host.config["ports"][0]["macs"], host.config["ports"][1]["macs"] = [macs[1]], [macs[0]]
    for record in host.config["records"]:
        record["host"] = "h2"
    result = host.reload()
    assert result.ok, result.output
    assert [host.ports()[name]["macs"] for name in ("a", "b")] == [[macs[1]], [macs[0]]]
    assert {record["host"] for record in host.objects("lookup-record")} == {"h2"}


def test_reload_refuses_what_needs_a_restart(host: Host) -> None:
    """All of it is named, and the rest of the change is not made either."""
    host.start()
    host.config["workers"] = {"max-sleep-us": 123, "count": 2}
    host.config["policy"] = {"max-records": 1000}
    text = host.reload().output
    assert "workers.count" in text and "policy.max-records" in text and "max-sleep-us" not in text
    assert host.call("Info")["info"]["settings"]["workers"]["max-sleep-us"] == 500


# ---- config against run time ----


def test_one_key_in_configuration_and_at_run_time(host: Host) -> None:
    """Who wins would be a guess: refused at reload, with the place in the file. A start must not fail for it: there the
    file counts, and the log tells.
    """
    host.config["subnets"] = [{"vsid": 5001, "rdid": "t"}]
    host.start()
    host.ctl_text("record", "add", "vsid=5001", "ca=10.0.0.7", "mac=02:00:00:00:00:07", "host=h1")
    host.config["records"] = [{"vsid": 5001, "ca": "10.0.0.7", "mac": "02:00:00:00:00:07", "host": "h1"}]
    wanted = re.compile(rf"{re.escape(str(host.config_file))}:\d+: record 5001/10\.0\.0\.7 .*admin")
    assert wanted.search(host.reload().output)
    host.restart()
    told = re.compile(rf"{re.escape(str(host.config_file))}:\d+: record 5001/10\.0\.0\.7 .*the file counts")
    assert told.search(host.log()), host.log()
    assert [record["origin"] for record in host.objects("lookup-record")] == ["config"]
    host.config["records"].clear()
    host.restart()
    assert [record["origin"] for record in host.objects("lookup-record")] == ["admin"]


def test_second_daemon_in_one_run_directory(host: Host) -> None:
    process = host.start()
    result = sh([program("vswitchd"), "--config", str(host.config_file)], host.netns.name, check=False)
    assert result.status == 1
    # `ip netns exec` becomes the daemon, so the pid is that of the process that was started
    assert re.search(r"already running as pid \d+ in " + re.escape(str(host.run_directory)), result.output)
    assert process.status is None and host.call("Version")["ready"]


def test_socket_group_follows_the_setting(host: Host) -> None:
    """Also in a directory of a start before."""
    for group, mode in (("", 0o755), ("nogroup", 0o770), ("", 0o755)):
        host.config["paths"]["socket-group"] = group
        host.start()
        found = host.sockets.stat()
        assert found.st_mode & 0o777 == mode, f"{found.st_mode:o}"
        assert not group or found.st_gid == grp.getgrnam(group).gr_gid
        host.stop()


# ---- the store ----


def test_full_disk(host: Host, run: Run) -> None:
    """A change that cannot be written is not acknowledged, more are refused, and all is well when there is
    room again: also what was in effect is on disk then.
    """
    state = Path(host.config["paths"]["state-dir"])
    state.mkdir()
    sh(["mount", "-t", "tmpfs", "-o", "size=256k", "vswitchd-test", str(state)])
    run.defer(lambda: sh(["umount", str(state)], check=False))
    host.config["subnets"] = [{"vsid": 5001, "rdid": "t"}]
    host.start()
    events = host.follow()
    filler = state / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)

    def add(number: int) -> tuple[str, ...]:
        return (
            "record", "add", "vsid=5001", f"ca=10.0.{number}.1", f"mac=02:00:00:00:{number:02x}:01", "host=h1"
        )  # fmt: skip

    refused = 0
    while not refused:  # sqlite may still have pages of its own
        refused = host.ctl_text(*add(len(host.objects("lookup-record"))), check=False).status
    count = len(host.objects("lookup-record"))
    events.wait("store", result="failed")
    assert "store" in host.refused(*add(200))
    filler.unlink()
    events.wait("store", result="works")
    host.ctl_text(*add(201))
    host.restart()
    assert len(host.objects("lookup-record")) == count + 1


# ---- the service manager ----


def test_service_manager(host: Host) -> None:
    host.start()
    assert host.notify
    assert any(line.startswith("STATUS=") and "2 usable" not in line for line in host.notify.lines())
    host.reload_by_signal()
    lines = host.notify.lines()
    at = lines.index("RELOADING=1")
    assert re.fullmatch(r"MONOTONIC_USEC=\d+", lines[at + 1])
    assert "READY=1" in lines[at:]
    host.stop()
    host.notify.wait("STOPPING=1", 5)


def test_settings_shown_are_those_in_force(host: Host) -> None:
    host.config["limits"] = {"flood-pps": 17}
    host.start()
    settings = host.call("Info")["info"]["settings"]
    assert settings["limits"] == {
        "flood-pps": 17,
        "neigh-pps": 1000,
        "learn-pps": 100,
        "learned-per-port": 256,
    }
    assert settings["team"]["mode"] == "independent"
