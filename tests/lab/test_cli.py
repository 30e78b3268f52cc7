# SPDX-License-Identifier: BSD-3-Clause
"""Every command of vswitchctl, as text and as JSON: the list of commands is the program's own, and one without a case
here is a failure. And what it says to those who err.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from lab.fabric import Fabric
from lab.host import Host
from lab.process import sh
from lab.programs import program

# Command -> arguments, what its text has, a test of its JSON (a list: one object per line).
Case = tuple[str, str, Callable[[Any], bool]]
ANY: Callable[[Any], bool] = bool


def object_cases(noun: str, key: str, fields: str, member: str) -> dict[str, Case]:
    """Listing, one, a new one, its end; add twice is no change."""
    name, value = member.split("=")
    return {
        f"{noun} add": (f"{key} {fields}", "", lambda o: o["changed"] is True),
        f"{noun} import": ("FILE", "0 changed", lambda o: o["changed"] == 0),
        f"{noun} list": ("", value, lambda o: any(str(each["object"].get(name)) == value for each in o)),
        f"{noun} show": (key, f"{name}: {value}", lambda o: str(o["object"][name]) == value and o["origin"] == "admin"),
        f"{noun} remove": (key, "", lambda o: o is None),
    }


CASES: dict[str, Case] = {
    **object_cases("port", "p9", "vsid=5001 macs=[02:00:00:00:00:99]", "id=p9"),
    "port list": ("", "p9", lambda o: {each["id"] for each in o} >= {"a", "p9"}),
    "port show": ("p9", "host_mtu=", lambda o: o["id"] == "p9" and o["host-mtu"] > 1000),
    **object_cases("host", "h9", "pas=[{address=192.0.2.99}]", "id=h9"),
    **object_cases("subnet", "5009", "rdid=tenant-z gateways=[10.9.0.1/24]", "vsid=5009"),
    **object_cases("record", "vsid=5001 ca=10.0.0.99", "mac=02:00:00:00:00:99 host=h1", "ca=10.0.0.99"),
    **object_cases("route", "rdid=tenant-a vsid=5001 prefix=10.7.0.0/24 next-hop=10.0.0.11", "", "prefix=10.7.0.0/24"),
    **object_cases("provider-route", "prefix=198.51.100.0/24 next-hop=192.0.2.1", "", "prefix=198.51.100.0/24"),
    **object_cases("member", "n0", "type=dpdk devargs=net_null7", "name=n0"),
    **object_cases("provider-address", "192.0.2.77", "prefix-length=24 member=a0", "address=192.0.2.77"),
    "team show": ("", "members usable", lambda o: len(o["members"]) == 2),
    "neighbour list": ("", "", lambda o: isinstance(o, list)),
    "stats": ("", "guest-rx", lambda o: "guest-rx" in o["stages"]),
    "traffic list": ("", "rx-bytes", lambda o: any(each["vsid"] == 5001 and each["ports"] >= 2 for each in o)),
    "drops": ("--all", "no-record", lambda o: any(each["name"] == "no-record" for each in o)),
    "top": ("--count 1 --interval 50", "load%", lambda o: all(each <= set(found) for each, found in (
        ({"a"}, (port["id"] for port in o["ports"])),
        ({("port", "a", 0), ("member", "a0", 0)}, ((q["kind"], q["of"], q["queue"]) for q in o["queues"])),
        ({5001}, (subnet["vsid"] for subnet in o["subnets"])),
        ({"guest-rx"}, (stage["name"] for stage in o["stages"])),
    ))),
    "offload show": ("", "tso-software", lambda o: {each["id"] for each in o["ports"]} >= {"a"}),
    "store show": ("", "shared", lambda o: o["shared"] is False),
    "policy apply": ("FILE", "", ANY),
    "workers": ("", "cycles/packet", lambda o: o[0]["worker"] == 0),
    "next-hop": ("--vsid 5001 --from 10.0.0.11 --to 10.0.0.12", "local", lambda o: o["verdict"] == "local"),
    "ping": ("192.0.2.12 --count 1", "192.0.2.12", ANY),
    "test port": ("a b", "", ANY),
    "trace": ("--port a --packet 'icmp 10.0.0.11 > 10.0.0.12'", "", ANY),
    "capture": ("", "", ANY),
    "events": ("", "events are there", lambda o: o["listening"] is True),
    "info": ("", "run-dir", lambda o: o["host"] == "h1"),
    "reload": ("", "", lambda o: o == {}),
    "version": ("", "version", lambda o: o["ready"] is True),
}
# Tested as a whole in test_diagnostics.py and test_distribution.py: they need traffic, another program, or write
# something else than text.
ELSEWHERE = {"ping", "test port", "trace", "capture", "policy apply"}


@pytest.fixture(name="host")
def _host(new_fabric: Callable[..., Fabric]) -> Host:
    fabric = new_fabric(hosts=1)
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    fabric.tap_guest("h1", "a", 5001, "10.0.0.11/24")
    fabric.tap_guest("h1", "b", 5001, "10.0.0.12/24")
    fabric.start()
    return fabric.hosts["h1"]


def commands() -> list[str]:
    """In the order of the program's table."""
    text = sh([program("vswitchctl"), "--help"]).output
    found = []
    for line in re.findall(r"^  ([a-z][^-].*?)(?:   .*)?$", text, re.MULTILINE):
        words = [word for word in line.split() if re.fullmatch(r"[a-z-]+", word)]
        found.append(" ".join(words[:2]) if " ".join(words[:2]) in CASES else words[0])
    return found


def arguments(words: str, empty: str) -> list[str]:
    return [empty if word == "FILE" else word for word in words.split()]


def test_every_command_as_text_and_as_json(host: Host) -> None:
    known = commands()
    assert set(known) == set(CASES), set(known) ^ set(CASES)
    empty = host.directory / "empty"
    empty.write_text("")

    def run(command: str, flags: list[str]) -> str:
        words = arguments(CASES[command][0], str(empty))
        result = host.ctl_text(*flags, *command.split(), *words, check=False)
        assert result.ok, f"{command}: {result.output}"
        return result.output

    # add, import, list, show, remove of each kind; all others as they come
    order = ["add", "import", "list", "show", "remove"]
    for noun in dict.fromkeys(command.split()[0] for command in known):
        verbs = [command for command in known if command.split()[0] == noun and command not in ELSEWHERE]
        verbs.sort(key=lambda command: order.index(command.split()[-1]) if command.split()[-1] in order else 0)
        for flags in ([], ["--json"]):
            for command in verbs:
                text = run(command, flags)
                if not flags:
                    wanted = CASES[command][1]
                    assert wanted in text if wanted else not text, f"{command}: {text}"
                    continue
                lines = [json.loads(line) for line in text.splitlines()]
                listing = command.endswith(" list")
                assert CASES[command][2](lines if listing else lines[0] if lines else None), f"{command}: {text}"


def test_a_record_of_no_subnet_is_taken_with_a_warning(host: Host) -> None:
    """Objects come in any order; a mistyped number is seen all the same."""
    words = ("record", "add", "vsid=9999", "ca=10.0.0.7", "mac=02:00:00:00:00:07", "host=h1")
    wanted = "there is no virtual-subnet 9999: packets in it are dropped (no-subnet) until there is"
    result = host.ctl_text(*words)
    assert f"vswitchctl: warning: {wanted}\n" in result.output
    assert host.ctl("record", "show", "vsid=9999", "ca=10.0.0.7")["origin"] == "admin"
    assert wanted in host.ctl_text(*words[:-1], "host=h2").output
    lines = host.directory / "records"
    lines.write_text("vsid=9999 ca=10.0.0.8 mac=02:00:00:00:00:08 host=h1\n")
    output = host.ctl_text("record", "import", str(lines)).output
    assert wanted in output and "1 changed" in output, output
    port = {"id": "p1", "vsid": 9999, "macs": ["02:00:00:00:00:09"]}
    assert host.call("Set", kind="port", object=port) == {"changed": True, "warning": wanted}
    host.ctl_text("subnet", "add", "vsid=9999", "rdid=z", "gateways=[10.0.0.1/24]")
    assert "warning" not in host.ctl_text(*words).output


def test_errors_say_what_there_is(host: Host) -> None:
    host.ctl_text("port", "add", "id=guest7")
    for words, wanted in (
        ("prot list", 'unknown command "prot": did you mean "port"?'),
        ("xyzzy", "vswitchctl --help lists them"),
        ("port lst", 'unknown verb "lst"; there is list, show, add, remove, import: did you mean "list"?'),
        ("port", "port: a verb is wanted: list, show"),
        ("port show vm77", 'there is no port "vm77"'),
        ("port show gest7", 'there is no port "gest7": did you mean "guest7"?'),
        ("port remove guest77", 'there is no port "guest77": did you mean "guest7"?'),
        ("drops --port geust7", 'there is no port "geust7": did you mean "guest7"?'),
        ("test port guest8", 'there is no port "guest8": did you mean "guest7"?'),
        ("test port a guest8", 'there is no port "guest8": did you mean "guest7"?'),
        ("test port gust7 --receiver", 'there is no port "gust7": did you mean "guest7"?'),
        ("trace --port guest8", 'there is no port "guest8": did you mean "guest7"?'),
        ("member show a00", 'there is no member "a00": did you mean "a0"?'),
        ("member remove xyzzy", 'there is no member "xyzzy"\n'),
        ("host show h11", 'there is no host "h11": did you mean "h1"?'),
        ("port add id=p1 vsidd=5001", "there is no field 'vsidd'\nmembers of a port:\n  id="),
        ("subnet show 6001", 'there is no subnet "6001": did you mean "5001"?'),
        ("record add vsid=5001 ca=10.0.0.999", "ca: '10.0.0.999' is not an IPv4 or IPv6 address\n"),
        ("subnet add vsid=5003 gateways=[10.0.0.1/33]", "is not an IPv4 or IPv6 address with a prefix length"),
        ("top --count x", "--count: 1..4294967295 is allowed"),
        ("top now", "top takes no argument"),
        ("version --count 3", "version does not take --count"),
        ("record import /nonexistent", "No such file"),
    ):
        assert wanted in host.refused(*words.split()), words
    for socket, wanted in (("/nonexistent/control", "vswitchd is not running there (systemctl status vswitchd"),):
        result = sh([program("vswitchctl"), "--socket", socket, "version"], check=False)
        assert result.status == 1 and wanted in result.output
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
    host.directory.parent.chmod(0o755)
    result = sh([*nobody, program("vswitchctl"), "--socket", str(host.control), "version"], check=False)
    wanted = "no permission to connect (root, or a member of the groups in `control`)"
    assert result.status == 1 and wanted in result.output
