# SPDX-License-Identifier: BSD-3-Clause
"""Configuration, reload, vswitchctl, control socket: what is accepted, and how the rest is refused."""

from __future__ import annotations

import json
import random
import re
import socket
from typing import Any

import pytest

from lab.fabric import Fabric
from lab.host import Host
from lab.peer import TapGuest
from lab.process import sh
from lab.programs import program
from lab.traffic import Stream
from lab.varlink import CallError
from lab.wait import until

LISTS = (
    "port",
    "record",
    "route",
    "subnet",
    "provider-address",
    "provider-route",
    "host",
    "member",
    "neighbour",
)
SHOWN = ("team show", "stats", "drops --all", "workers", "info", "version", "events")


def pair(fabric: Fabric) -> tuple[TapGuest, TapGuest]:
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    a = fabric.tap_guest("h1", "a", 5001, "10.0.0.11/24")
    b = fabric.tap_guest("h2", "b", 5001, "10.0.0.12/24")
    fabric.start()
    return a, b


def everything(host: Host) -> dict[str, Any]:
    """The policy and the ports in force."""
    kinds = (
        "virtual-subnet",
        "lookup-record",
        "customer-route",
        "host",
        "provider-address",
        "member",
        "port",
    )
    return {kind: sorted(host.objects(kind), key=str) for kind in kinds}


# ---- the file ----


def test_all_errors_at_once(fabric: Fabric) -> None:
    """Each with file and line, the value and what is allowed; exit status 1; nothing is started."""
    host = fabric.hosts["h1"]
    path = host.write_config()
    wrong = [
        ('workers = { count = 0; };', "0", "1"),
        ('limits = { flood-pps = "many"; };', "many", "number"),
        ('subnets = ( { vsid = 77; rdid = "t"; } );', "77", "4096"),
        ('routes = ( { rdid = "t"; vsid = 5001; prefix = "10.0.0.0/33"; } );', "10.0.0.0/33", ""),
        ('log = { leval = "info"; };', "leval", "level"),
    ]
    text = [line for line in path.read_text().splitlines() if not line.startswith("subnets")]
    first = len(text) + 1
    path.write_text("\n".join(text + [line for line, _, _ in wrong]) + "\n")
    for option in ("--check", "--config"):
        options = ["--check", str(path)] if option == "--check" else ["--config", str(path)]
        result = sh([program("vswitchd"), *options], host.netns.name, check=False)
        assert result.status == 1
        for number, (_, value, allowed) in enumerate(wrong):
            line = next(
                (each for each in result.output.splitlines() if f"{path}:{first + number}:" in each), None
            )
            assert line, f"nothing about line {first + number} in\n{result.output}"
            assert value in line and allowed in line, line
    assert not (host.run_directory / "control").exists()


def test_syntax_error_names_its_line(fabric: Fabric) -> None:
    host = fabric.hosts["h1"]
    path = host.write_config()
    text = path.read_text().splitlines()
    path.write_text("\n".join(text + ["team = { mode = ;", "also = wrong"]) + "\n")
    result = sh([program("vswitchd"), "--check", str(path)], check=False)
    assert result.status == 1
    assert f"{path}:{len(text) + 1}:" in result.output
    assert f"{path}:{len(text) + 2}:" not in result.output


def test_missing_file(fabric: Fabric) -> None:
    result = sh([program("vswitchd"), "--check", f"{fabric.hosts['h1'].directory}/none.conf"], check=False)
    assert result.status == 1 and "none.conf" in result.output and "No such file" in result.output


def test_good_file_is_accepted(fabric: Fabric) -> None:
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    result = fabric.hosts["h1"].check()
    assert result.status == 0, result.output


CONTRADICTIONS: dict[str, tuple[str, dict[str, Any], str]] = {
    "one MAC on two hosts": (
        "records",
        {"vsid": 5001, "ca": "10.0.0.31", "mac": "02:00:00:00:00:31", "host": "h2"},
        "02:00:00:00:00:31",
    ),
    "one CA with two MACs": (
        "records",
        {"vsid": 5001, "ca": "10.0.0.30", "mac": "02:00:00:00:00:39", "host": "h1"},
        "10.0.0.30",
    ),
    "a PA that is another host's": (
        "provider-addresses",
        {"address": "192.0.2.21", "prefix-length": 24},
        "192.0.2.21",
    ),
    "a PA of two hosts": ("hosts", {"id": "h9", "pas": [{"address": "192.0.2.21"}]}, "192.0.2.21"),
    "overlapping subnets": (
        "subnets",
        {"vsid": 5003, "rdid": "tenant-a", "gateways": ["10.0.0.129/25"]},
        "5001",
    ),
    "two ports with one id": ("ports", {"id": "p1", "vsid": 5001, "macs": ["02:00:00:00:00:44"]}, "p1"),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_contradictions_are_refused_by_name(fabric: Fabric, case: str) -> None:
    host = fabric.hosts["h1"]
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    fabric.record(5001, "h1", "02:00:00:00:00:31", "10.0.0.30")
    host.config["ports"].append({"id": "p1", "vsid": 5001, "macs": ["02:00:00:00:00:43"]})
    assert host.check().status == 0
    key, entry, named = CONTRADICTIONS[case]
    host.config[key].append(entry)
    result = host.check()
    assert result.status == 1
    assert re.search(
        rf"{re.escape(str(host.config_file))}:\d+: .*{re.escape(named)}", result.output
    ), result.output


# ---- reload ----


@pytest.mark.asan
def test_reload_applies_the_difference(fabric: Fabric) -> None:
    """A port is added and another removed under traffic of a third: no packet of it is lost."""
    a, b = pair(fabric)
    host = fabric.hosts["h1"]
    run = Stream(a, b, "10.0.0.11", "10.0.0.12")
    run.wait_received(200)
    old = {"id": "old", "vsid": 5001, "macs": ["02:00:00:00:00:70"]}
    host.config["ports"].append(old)
    result = host.reload()
    assert result.ok, result.output
    assert set(host.ports()) == {"a", "old"}
    host.config["ports"].remove(old)
    host.config["ports"].append({"id": "new", "vsid": 5001, "macs": ["02:00:00:00:00:71"]})
    host.config["limits"] = {"flood-pps": 17}
    host.reload_by_signal()
    assert set(host.ports()) == {"a", "new"}
    assert host.call("Info")["info"]["settings"]["limits"]["flood-pps"] == 17
    mark = run.mark()
    run.wait_received(mark)
    verdict = run.stop()
    assert verdict.lost == 0 and not verdict.reordered_flows, verdict


@pytest.mark.asan
def test_reload_with_an_error_changes_nothing(fabric: Fabric) -> None:
    """Neither by vswitchctl nor by SIGHUP, also when only the last of many changes is wrong; the reason is
    told.
    """
    a, _ = pair(fabric)
    host = fabric.hosts["h1"]
    before = everything(host)
    events = host.follow()
    host.config["ports"].append({"id": "new", "vsid": 5001, "macs": ["02:00:00:00:00:71"]})
    host.config["subnets"].append({"vsid": 5005, "rdid": "tenant-a", "gateways": ["10.5.0.1/24"]})
    host.config["records"].append({"vsid": 5001, "ca": "10.0.0.1", "mac": "02:00:00:00:00:01", "host": "h1"})
    result = host.reload()
    assert result.status == 1
    assert re.search(rf"{re.escape(str(host.config_file))}:\d+: .*10\.0\.0\.1", result.output), result.output
    assert everything(host) == before
    host.reload_by_signal()
    assert everything(host) == before
    events.wait("reload")
    assert host.call("Info")["info"]["reload-failures"] == 2
    a.reaches("10.0.0.12")


def test_reload_names_what_needs_a_restart(fabric: Fabric) -> None:
    pair(fabric)
    host = fabric.hosts["h1"]
    host.config["workers"] = {"count": 2}
    host.config["policy"] = {"max-records": 1000}
    result = host.reload()
    assert result.status == 1
    assert "workers.count" in result.output and "policy.max-records" in result.output
    assert "restart" in result.output


# ---- origins ----


def test_config_objects_belong_to_the_file(fabric: Fabric) -> None:
    """The command line refuses to change them and names file and line; reload leaves its objects alone."""
    pair(fabric)
    host = fabric.hosts["h1"]
    owned: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("virtual-subnet", {"vsid": 5001}, {"rdid": "other"}),
        ("lookup-record", {"vsid": 5001, "ca": "10.0.0.12", "mac": "02:00:13:89:00:02"}, {"host": "h1"}),
    ]
    for kind, key, change in owned:
        calls: list[tuple[str, dict[str, Any]]] = [
            ("Set", {"object": {**key, **change}}),
            ("Remove", {"key": key}),
        ]
        for method, parameters in calls:
            with pytest.raises(CallError) as refused:
                host.call(method, kind=kind, **parameters)
            assert refused.value.name == "OwnedByConfig"
            assert re.search(
                rf"{re.escape(str(host.config_file))}:\d+", refused.value.text
            ), refused.value.text
    mine = {"vsid": 5001, "ca": "10.0.0.60", "mac": "02:00:00:00:06:60", "host": "h2"}
    host.call("Set", kind="lookup-record", object=mine)
    assert host.reload().ok
    assert next(r for r in host.objects("lookup-record") if r["ca"] == "10.0.0.60")["origin"] == "admin"


# ---- vswitchctl ----


def test_every_noun_speaks_json(fabric: Fabric) -> None:
    pair(fabric)
    host = fabric.hosts["h1"]
    for noun in LISTS:
        objects = [json.loads(line) for line in host.ctl_text("--json", noun, "list").output.splitlines()]
        assert all(isinstance(each, dict) for each in objects), noun
        assert bool(objects) == (noun not in ("route", "provider-route")), noun
        assert bool(host.ctl_text(noun, "list").output.strip()) == bool(objects), noun
    for words in SHOWN:
        answer = json.loads(host.ctl_text("--json", *words.split()).output.splitlines()[0])
        assert answer, words
        assert host.ctl_text(*words.split()).output.strip(), words


def test_vswitchctl_changes_policy(fabric: Fabric) -> None:
    """add, show, remove: visible at once, to the packet path and to the listing; what list prints can be read
    back.
    """
    a, b = pair(fabric)
    host = fabric.hosts["h1"]
    b.run("ip addr add 10.0.0.44/24 dev eth0")
    assert host.ctl_text("record", "add", "vsid=5001", "ca=10.0.0.44", f"mac={b.mac}", "host=h2").ok
    shown = json.loads(host.ctl_text("--json", "record", "show", "vsid=5001", "ca=10.0.0.44").output)
    assert b.mac in json.dumps(shown) and "admin" in json.dumps(shown)
    a.reaches("10.0.0.44")
    assert host.ctl_text("record", "remove", "vsid=5001", "ca=10.0.0.44").ok
    assert "10.0.0.44" in host.refused("record", "show", "vsid=5001", "ca=10.0.0.44")
    path = host.directory / "records"
    path.write_text(
        "".join(f"vsid=5001 ca=10.0.1.{n} mac=02:00:00:00:01:{n:02x} host=h2\n" for n in range(1, 201))
    )
    before = len(host.objects("lookup-record"))
    assert host.ctl_text("record", "import", str(path)).ok
    assert len(host.objects("lookup-record")) == before + 200


# what is wrong, and what the answer has to name: the value and what is allowed
WRONG_COMMANDS: dict[str, list[str]] = {
    "nonsense": ["nonsense", "--help"],
    "port nonsense": ["nonsense", "list", "show", "add", "remove"],
    "record add": ["vsid"],
    "record add vsid=5001 ca=10.0.0.9": ["mac"],
    "port list --nonsense": ["--nonsense"],
    "port show nobody": ["nobody"],
    "port add id=p mode=both": ["both", "client", "server"],
    "port add id=p colour=red": ["colour", "vsid", "macs"],
    "record add vsid=5001 ca=300.0.0.1 mac=02:00:00:00:00:01 host=h2": ["300.0.0.1", "address"],
    "subnet add vsid=12 rdid=x": ["12", "4096", "16777214"],
    "record remove vsid=5001 ca=10.9.9.9": ["10.9.9.9"],
    "drops --port no": ["no"],
}


def test_wrong_commands_say_what_is_allowed(fabric: Fabric) -> None:
    host = fabric.hosts["h1"]
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    host.start()
    before = everything(host)
    for words, named in WRONG_COMMANDS.items():
        said = host.refused(*words.split())
        missing = [text for text in named if text not in said]
        assert not missing, f"'{words}' does not name {missing}:\n{said}"
        lines = said.splitlines()
        # one line; whoever names a field that is not there is shown those that are, one a line
        fields = [line for line in lines if line.startswith("  ") and "=" in line.split()[0]]
        listed = any(line.startswith("members of a ") for line in lines)
        assert listed == bool(fields) and len(lines) - len(fields) <= 3, f"'{words}' says too much:\n{said}"
        assert "Traceback" not in said and "usage:" not in said
    assert everything(host) == before


def test_add_changes_what_it_is_given(fabric: Fabric) -> None:
    """The rest of an object that is there stays: a port that gets more queues does not leave its tenant."""
    host = fabric.hosts["h1"]
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    host.start()
    host.ctl_text("port", "add", "id=x", "vsid=5001", "macs=[02:00:00:00:00:99]")
    host.ctl_text("port", "add", "id=x", "queues=2")
    port = next(each for each in host.objects("port") if each["id"] == "x")
    assert (port["vsid"], port["macs"], port["queues"]) == (5001, ["02:00:00:00:00:99"], 2)
    host.ctl_text("port", "add", "id=x", "macs=[02:00:00:00:00:98]")
    port = next(each for each in host.objects("port") if each["id"] == "x")
    assert (port["vsid"], port["macs"], port["queues"]) == (5001, ["02:00:00:00:00:98"], 2)


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_events_follow(fabric: Fabric, options: list[str]) -> None:
    """`vswitchctl events --follow` tells what happens, each event on a line, as it happens; it ends with the daemon."""
    host = fabric.hosts["h1"]
    host.start()
    lines: list[str] = []
    follower = host.netns.start(
        "events",
        [program("vswitchctl"), "--socket", str(host.control), *options, "events", "--follow"],
        on_line=lines.append,
    )
    # the first is repeated until the follower has subscribed
    number = 0

    def seen() -> bool:
        nonlocal number
        number += 1
        host.ctl_text("subnet", "add", f"vsid={5000 + number}", "rdid=t")
        host.ctl_text("port", "add", f"id=p{number}", f"vsid={5000 + number}", "macs=[02:00:00:00:00:01]")
        host.ctl_text("port", "remove", f"p{number}")
        return any("vsid" in line or "port" in line for line in lines)

    until(seen, "an event")
    host.cables[0].unplug()
    until(lambda: [line for line in lines if "member-state" in line and "a0" in line], "the member's event")
    if options:
        events = [json.loads(line) for line in lines if line.startswith("{")]
        assert events and all(isinstance(event, dict) for event in events)
    assert follower.status is None
    host.stop()
    until(lambda: follower.status is not None, "the end of the follower")


def test_without_a_daemon(fabric: Fabric) -> None:
    """Says which socket it tried."""
    host = fabric.hosts["h1"]
    said = host.refused("port", "list")
    assert str(host.control) in said


def test_completion_is_valid_bash(fabric: Fabric) -> None:
    pair(fabric)
    text = fabric.hosts["h1"].ctl_text("--completion").output
    assert sh(["bash", "-n", "/dev/stdin"], stdin=text, check=False).ok
    for noun in LISTS:
        assert noun in text


# ---- the control socket ----


@pytest.mark.asan
def test_garbage_on_the_control_socket(fabric: Fabric) -> None:
    """Bytes that are no message, endless ones, deep ones: an error or the end of the connection, nothing
    else.
    """
    a, _ = pair(fabric)
    host = fabric.hosts["h1"]
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    call = b'{"method":"org.vswitchd.List","parameters":{"kind":"port"},"more":true}'
    samples = [
        b"\0" * 100,
        b"{}\0",
        b"[]\0",
        b"{" * 5000 + b"\0",
        b'{"a":' * 200 + b"1" + b"}" * 200 + b"\0",
        b"x" * (3 << 20),
        call,
        call[:-1] + b"\0",
        b'{"method":7}\0',
        b'{"method":"org.vswitchd.Nothing"}\0',
        b'{"method":"org.vswitchd.Set","parameters":{"kind":"port","object":[]}}\0',
    ]
    for number in range(300):
        data = (
            samples[number]
            if number < len(samples)
            else bytes(dice.randrange(256) if dice.random() < 0.05 else byte for byte in call) + b"\0"
        )
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(5)
            client.connect(str(host.control))
            try:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
                while client.recv(65536):
                    pass
            except (BrokenPipeError, ConnectionResetError):
                pass
    assert host.running
    a.reaches("10.0.0.12")


def test_many_connections_and_slow_readers(fabric: Fabric) -> None:
    """Connections have a bound; one that does not read costs the others nothing."""
    a, _ = pair(fabric)
    host = fabric.hosts["h1"]
    clients = []
    for _ in range(200):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(5)
        clients.append(client)
        try:
            client.connect(str(host.control))
            client.sendall(b'{"method":"org.vswitchd.Events","parameters":{"follow":true},"more":true}\0')
        except (ConnectionError, BlockingIOError):
            pass
    a.reaches("10.0.0.12")
    for client in clients:
        client.close()
    assert host.call("Version")["host"] == "h1"
