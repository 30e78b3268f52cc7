# SPDX-License-Identifier: BSD-3-Clause
"""The metrics endpoint: what it tells, to whom, and what nosy or slow scrapers get."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from lab.fabric import Fabric
from lab.host import Host
from lab.process import sh
from lab.programs import program
from lab.wait import until

SOURCE = Path(__file__).resolve().parents[2]
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
CONNECTIONS = 16
FOREIGN_MAC = """
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0))
s.send(bytes.fromhex("ffffffffffff" "020000000bad" "0800") + bytes(50))
"""
RECORD_FAMILIES = {"vswitchd_record_packets", "vswitchd_record_bytes"}  # at a place of their own
TRAFFIC = ("receive_packets", "receive_bytes", "transmit_packets", "transmit_bytes")


def connect(host: Host) -> socket.socket:
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(str(host.run_directory / "metrics"))
    return s


def rest_of(s: socket.socket) -> bytes:
    """All until the other side closes."""
    parts = []
    try:
        while part := s.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    s.close()
    return b"".join(parts)


def http(host: Host, request: str) -> tuple[int, dict[str, str], str]:
    """Status, headers, body."""
    s = connect(host)
    s.sendall(request.encode())
    return parsed(rest_of(s).decode())


def parsed(answer: str) -> tuple[int, dict[str, str], str]:
    head, _, body = answer.partition("\r\n\r\n")
    status, *lines = head.split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in lines), body


def get(host: Host, path: str = "/metrics") -> tuple[int, dict[str, str], str]:
    return http(host, f"GET {path} HTTP/1.1\r\nHost: vswitchd\r\n\r\n")


class Scrape:
    """Parsed strictly: names, types, units, order, no sample twice, the end."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self.samples = {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float | None:
        return self.samples.get((f"vswitchd_{name}", *sorted(labels.items())))


def scrape(host: Host) -> Scrape:
    status, headers, body = get(host)
    assert status == 200 and headers["Content-Type"] == OPENMETRICS and headers["Connection"] == "close"
    return Scrape(body)


def listed() -> set[str]:
    """Names of METRIC_LIST."""
    text = (SOURCE / "vswitchd/daemon/metrics_list.h").read_text()
    return {f"vswitchd_{name}" for name in re.findall(r'X\(\w+, \w+, "([a-z_]+)", (?:COUNTER|GAUGE)', text)}


def dashboard_queries() -> list[str]:
    board: dict[str, Any] = json.loads((SOURCE / "packaging/config/grafana/vswitchd-dashboard.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    return queries + [each["query"] for each in board["templating"]["list"] if each["type"] == "query"]


@pytest.mark.asan
def test_metrics_tell_what_happened(new_fabric: Callable[..., Fabric]) -> None:
    """By a strict parser, equal to what vswitchctl shows; the dashboard asks for nothing that is not there."""
    fabric = new_fabric(hosts=1)
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    a = fabric.tap_guest("h1", "a", 5001, "10.0.0.11/24")
    fabric.tap_guest("h1", "b", 5001, "10.0.0.12/24")
    fabric.setting("metrics", listen="127.0.0.1:9477")
    fabric.start()
    host = fabric.hosts["h1"]
    a.reaches("10.0.0.12")
    sh(["ping", "-c", "1", "-W", "1", "10.0.0.77"], a.netns.name, check=False)  # nobody has that
    sh(["/usr/bin/python3", "-c", FOREIGN_MAC], a.netns.name)
    until(lambda: host.ports()["a"]["dropped"], "what another's MAC sends is dropped")

    def agree() -> Scrape | None:
        """Counters stand still around the scrape."""
        before = {id_: (p["rx"], p["tx"], p["dropped"]) for id_, p in host.ports().items()}
        now = scrape(host)
        after = {id_: (p["rx"], p["tx"], p["dropped"]) for id_, p in host.ports().items()}
        mine = {
            id_: (
                {"packets": now.value("port_receive_packets_total", port=id_, vsid="5001"),
                 "bytes": now.value("port_receive_bytes_total", port=id_, vsid="5001")},
                {"packets": now.value("port_transmit_packets_total", port=id_, vsid="5001"),
                 "bytes": now.value("port_transmit_bytes_total", port=id_, vsid="5001")},
                sum(v for key, v in now.samples.items()
                    if key[0] == "vswitchd_port_drops_total" and ("port", id_) in key),
            )
            for id_ in after
        }
        return now if before == after == mine else None

    now: Scrape = until(agree, "metrics and port list agree")
    members = [each["name"] for each in host.team()["members"]]
    for name in TRAFFIC:
        whole = {id_: now.value(f"port_{name}_total", port=id_, vsid="5001") or 0 for id_ in ("a", "b")}
        assert whole == {id_: now.value(f"port_queue_{name}_total", port=id_, vsid="5001", queue="0") for id_ in whole}
        assert now.value(f"vsid_{name}_total", vsid="5001") == sum(whole.values()) > 0, name
        each = {member: queues(now, f"member_queue_{name}_total", member) for member in members}
        assert each == {member: now.value(f"member_{name}_total", member=member) for member in each}, name
    lost = sum(v for key, v in now.samples.items() if key[0] == "vswitchd_port_drops_total")
    assert now.value("vsid_drops_total", vsid="5001") == lost > 0 and now.value("vsid_ports", vsid="5001") == 2
    assert now.value("port_active", port="a", vsid="5001") == 1
    assert (now.value("port_receive_packets_total", port="a", vsid="5001") or 0) > 3
    assert now.value("member_usable", member="a0") == 1 and now.value("members_usable") == 2
    assert (now.value("worker_busy_seconds_total", worker="0") or 0) > 0
    assert (now.value("stage_packets_total", stage="guest-rx") or 0) > 3
    assert now.value("objects", kind="lookup-record") == len(host.objects("lookup-record"))
    assert now.value("provider_addresses", state="preferred") == 2
    assert {reason: now.value("drops_total", reason=reason) for reason in host.drops()}.keys() == host.drops().keys()

    assert set(now.families) == listed() - RECORD_FAMILIES | {"vswitchd_build"}
    for query in dashboard_queries():
        for name in re.findall(r"vswitchd_\w+", query):
            assert name.removesuffix("_total") in now.families, query
            kind = now.families[name.removesuffix("_total")].type
            assert (kind == "counter") == name.endswith("_total"), query
    labels = "".join(re.findall(r"\{.*\}", now.text))
    assert not re.search(r"10\.0\.0\.|([0-9a-f]{2}:){5}", labels)

    talk = "exec 3<>/dev/tcp/127.0.0.1/9477; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
    status, _, body = parsed(sh(["bash", "-c", talk], host.netns.name).output.replace("\n", "\r\n", 12))
    assert status == 200 and "vswitchd_ready 1" in body


def test_top_has_rates_of_queues_and_subnets(new_fabric: Callable[..., Fabric]) -> None:
    fabric = new_fabric(hosts=1)
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    a = fabric.tap_guest("h1", "a", 5001, "10.0.0.11/24")
    fabric.tap_guest("h1", "b", 5001, "10.0.0.12/24")
    fabric.tap_guest("h1", "x", 6001, "10.0.0.11/24")
    fabric.subnet(6001, "tenant-b", "10.0.0.1/24")
    fabric.start()
    host = fabric.hosts["h1"]
    a.reaches("10.0.0.12")
    command = f"{program('vswitchctl')} --socket {host.control} --json top --count 1 --interval 700"

    def look() -> bool:
        """While there is traffic, which is too slow to show where the machine stands still."""
        talk = f"ping -q -i 0.02 -c 60 10.0.0.12 >/dev/null & {command}; wait"
        seen = json.loads(sh(["bash", "-c", talk], a.netns.name).output)
        queues_ = {(each["kind"], each["of"]): each for each in seen["queues"]}
        subnets = {each["vsid"]: each for each in seen["subnets"]}
        return all((
            seen["subnets"][0]["vsid"] == 5001, queues_["port", "x"]["rx-pps"] < queues_["port", "a"]["rx-pps"],
            queues_["port", "a"]["rx-pps"] > 1, queues_["port", "b"]["tx-pps"] > 1, subnets[5001]["rx-pps"] > 2,
            {each["name"]: each["pps"] for each in seen["stages"]}["guest-rx"] > 2,
        ))

    until(look, "rates")
    text = sh(["bash", "-c", command.replace("--json ", "")]).output
    assert re.search(r"^port/member +queue +rx-pps", text, re.M) and re.search(r"^subnet +ports +rx-pps", text, re.M)
    assert re.search(r"^a +0 +\d+", text, re.M) and re.search(r"^5001 +2 +\d+", text, re.M), text


def records(host: Host) -> tuple[int, str]:
    status, _, body = http(host, "GET /metrics/records HTTP/1.0\r\n\r\n")
    return status, body


def test_records_are_counted_where_that_is_wanted(new_fabric: Callable[..., Fabric]) -> None:
    """Off nothing shows it. On: lists, and metrics of their own, in pieces; not over TCP."""
    fabric = new_fabric(hosts=1)
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    a = fabric.tap_guest("h1", "a", 5001, "10.0.0.11/24")
    fabric.tap_guest("h1", "b", 5001, "10.0.0.12/24")
    fabric.setting("metrics", listen="127.0.0.1:9477")
    fabric.start()
    host = fabric.hosts["h1"]
    a.reaches("10.0.0.12")
    assert records(host)[0] == 404
    assert "packets" not in host.ctl_text("record", "list").output
    assert all("traffic" not in each for each in host.stream("List", kind="lookup-record"))

    many = host.directory / "many"
    many.write_text("".join(
        f"vsid=5001 ca=10.1.{i >> 8}.{i & 255} mac=02:00:00:01:{i >> 8:02x}:{i & 255:02x} host=far\n"
        for i in range(2500)
    ))
    host.ctl_text("record", "import", str(many))
    fabric.setting("policy", count_records=True)
    assert host.reload().ok
    sh(["ping", "-c", "5", "-i", "0.01", "10.0.0.12"], a.netns.name)

    def counted() -> dict[str, Any]:
        listed = [json.loads(line) for line in host.ctl_text("--json", "record", "list").output.splitlines()]
        assert len(listed) >= 2500 and all("traffic" in each for each in listed)
        return {each["object"]["ca"]: each["traffic"] for each in listed if each["traffic"]["packets"]}

    traffic = counted()
    assert traffic.keys() == {"10.0.0.11", "10.0.0.12"} and traffic["10.0.0.12"] == {"packets": 5, "bytes": 5 * 98}
    assert traffic["10.0.0.11"] == traffic["10.0.0.12"]
    line = next(x for x in host.ctl_text("record", "list").output.splitlines() if " 10.0.0.12 " in x)
    assert line.split()[-2:] == ["5", "490"], line
    assert host.ctl("record", "show", "vsid=5001", "ca=10.0.0.12")["traffic"]["bytes"] == 490

    status, body = records(host)
    now = Scrape(body)
    assert status == 200 and set(now.families) == RECORD_FAMILIES
    assert len(now.samples) == 4 and now.value("record_bytes_total", vsid="5001", ca="10.0.0.12") == 490
    assert not RECORD_FAMILIES & set(scrape(host).families)
    talk = "exec 3<>/dev/tcp/127.0.0.1/9477; printf 'GET /metrics/records HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
    assert " 404 " in sh(["bash", "-c", talk], host.netns.name).output.splitlines()[0]

    fabric.setting("policy", count_records=False)
    assert host.reload().ok and records(host)[0] == 404


def queues(now: Scrape, name: str, member: str) -> float:
    """Sum of all queues of a member."""
    return sum(v for key, v in now.samples.items() if key[0] == f"vswitchd_{name}" and ("member", member) in key)


def test_subnets_keep_what_ports_counted(new_fabric: Callable[..., Fabric]) -> None:
    """A port that leaves its subnet, or the switch, leaves there what it has counted, and takes nothing along."""
    fabric = new_fabric(hosts=1)
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    fabric.subnet(5002, "tenant-a", "10.0.1.1/24")
    a = fabric.tap_guest("h1", "a", 5001, "10.0.0.11/24")
    fabric.tap_guest("h1", "b", 5001, "10.0.0.12/24")
    fabric.start()
    host = fabric.hosts["h1"]
    a.reaches("10.0.0.12")

    def total(vsid: int) -> tuple[int, int]:
        """Ports, packets both ways."""
        for each in (reply["traffic"] for reply in host.stream("Traffic") if reply):
            if each["vsid"] == vsid:
                return each["ports"], each["rx"]["packets"] + each["tx"]["packets"]
        return 0, 0

    before = total(5001)
    sh(["ping", "-c", "20", "-i", "0.01", "10.0.0.12"], a.netns.name)  # not asked for before it moves
    mine = host.ports()["a"]
    assert before[0] == 2 and before[1] > mine["rx"]["packets"] > 0 and total(5002) == (0, 0)
    host.config["ports"][0]["vsid"] = 5002
    assert host.reload().ok
    moved = total(5001)
    assert moved[0] == 1 and moved[1] >= before[1] + 80, "twenty echoes and answers, each by two ports"
    ports, packets = total(5002)
    assert ports == 1 and packets < 40, "its history stays"
    del host.config["ports"][1]
    assert host.reload().ok
    assert total(5001)[0] == 0 and total(5001)[1] >= moved[1]
    now = scrape(host)
    assert now.value("vsid_ports", vsid="5001") == 0
    assert (now.value("vsid_receive_packets_total", vsid="5001") or 0) >= mine["rx"]["packets"]
    assert now.value("port_receive_packets_total", port="b", vsid="5001") is None
    host.config["subnets"] = [each for each in host.config["subnets"] if each["vsid"] != 5001]
    assert host.reload().ok
    assert total(5001) == (0, 0) and total(5002)[0] == 1, "the end of a subnet is the end of its totals"


@pytest.mark.asan
def test_scrapers_are_bounded(new_fabric: Callable[..., Fabric]) -> None:
    """Whatever they send, or do not read, or do not say: others are served, and nobody unbidden."""
    host = new_fabric(hosts=1).hosts["h1"]
    host.start()
    assert get(host, "/")[0] == 404 and get(host, "/metrics/x")[0] == 404
    assert http(host, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")[0] == 405
    assert http(host, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n")[2] == ""
    for bad in (b"nonsense\r\n\r\n", b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 65536, bytes(range(256)) * 100):
        s = connect(host)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            s.sendall(bad)
        assert b"HTTP/1.1 200" not in rest_of(s)

    deaf = connect(host)
    deaf.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
    until(lambda: get_or_none(host), "others are answered")
    deaf.close()
    idle = [connect(host) for _ in range(CONNECTIONS)]
    for s in idle:
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost")  # and no more
    until(lambda: rest_of(connect(host)) == b"", "one too many is turned away")
    assert host.ctl("version")["ready"] is True
    idle.pop().close()
    until(lambda: get_or_none(host), "there is room again")
    for s in idle:
        s.close()

    refused = sh(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c",
         "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])", str(host.run_directory / "metrics")],
        check=False,
    )
    assert not refused.ok and "PermissionError" in refused.output
    host.config["metrics"] = {"listen": "0.0.0.0:9477"}
    wrong = host.check()
    assert not wrong.ok and "metrics: listen: 0.0.0.0:9477 is not of the loopback" in wrong.output
    host.config["metrics"]["public"] = True
    assert host.check().ok
    host.config["metrics"] = {"listen": "localhost"}
    assert "is not ADDRESS:PORT" in host.check().output
    host.config["metrics"] = {"listen": "198.51.100.9:9477", "public": True}
    host.restart()  # guests do not wait for an address to be there
    assert host.ctl("version")["ready"] is True
    sh(["ip", "address", "add", "198.51.100.9/32", "dev", "lo"], host.netns.name)
    until(lambda: "198.51.100.9:9477" in sh(["ss", "-Hltn"], host.netns.name).output, "it listens", 30)
    host.config["metrics"] = {"socket": False}
    host.restart()
    assert not (host.run_directory / "metrics").exists()


def get_or_none(host: Host) -> bool:
    s = connect(host)
    try:
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        return rest_of(s).startswith(b"HTTP/1.1 200")
    except BrokenPipeError:
        return False
