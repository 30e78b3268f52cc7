# SPDX-License-Identifier: BSD-3-Clause
"""Members that offload: an emulated NIC in front of each, which may lie."""

from __future__ import annotations

from collections.abc import Callable

from lab.fabric import Fabric
from lab.host import Host
from lab.peer import TapGuest
from lab.wait import until

MAKE = Callable[..., Fabric]


def sends(source: TapGuest, target: TapGuest, address: str) -> None:
    server = target.start("iperf3 -s -1")
    until(lambda: source.run(f"iperf3 -c {address} -n 3M", check=False, timeout=60).ok, "3 MB arrive", 60)
    server.wait()


def test_row70_honest_and_lying_nics(new_fabric: MAKE) -> None:
    """Both carry TCP; what the liar claims is found out before it is used, the other's is not doubted."""
    fabric = new_fabric()
    fabric.setting("workers", count=2)
    lies = {"h1": "", "h2": "tso,tx-csum,rx-csum,flow"}
    for name, host in fabric.hosts.items():
        host.program = "vswitchd-emunic"
        host.wrapper = ["env", "EMUNIC_CLAIMS=all", f"EMUNIC_LIES={lies[name]}", "EMUNIC_QUEUES=2"]
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    a = fabric.tap_guest("h1", "a", 5001, "10.0.0.11/24")
    b = fabric.tap_guest("h2", "b", 5001, "10.0.0.12/24")
    fabric.start()
    a.reaches("10.0.0.12")
    sends(a, b, "10.0.0.12")
    sends(b, a, "10.0.0.11")
    h1 = fabric.hosts["h1"]
    until(lambda: ruled(h1, a) == {"a0", "a1"}, "a rule of a's on both members", 10)
    found = [line for line in fabric.hosts["h2"].log().splitlines() if "which does not work" in line]
    for claim in ("tx-segmentation", "tx-checksum", "rx-checksum", "rx-steering"):
        assert any(f"claims {claim}," in line for line in found), (claim, found)
    shown = {name: host.call("Offload")["offload"]["members"] for name, host in fabric.hosts.items()}
    for name, verified, used in (("h1", "proven", True), ("h2", "refuted", False)):
        rows = [r for r in shown[name] if r["offload"] in ("tx-segmentation", "tx-checksum", "rx-checksum")]
        assert len(rows) == 6 and all((r["verified"], r["used"]) == (verified, used) for r in rows), rows
    assert "which does not work" not in h1.log()
    paths_are_told(fabric)
    rules_follow(h1, a)


def ruled(host: Host, guest: TapGuest, since: int = 0) -> set[str]:
    """HNV row 68: members of which the card has a rule for the guest."""
    log = host.log()[since:]
    rule = f"rule vsid=5001 mac={guest.mac}"
    return {
        member
        for member in ("a0", "a1")
        if log.count(f"emunic: {member}: {rule}") > log.count(f"emunic: {member}: no {rule}")
    }


def paths_are_told(fabric: Fabric) -> None:
    """Each class of packets by each member, for programs and for people."""
    classes = {"tx-plain", "tx-checksum", "tx-large", "rx-checksum", "rx-merge", "rx-queue"}
    for name, takes in (("h1", "hardware"), ("h2", "software")):
        host = fabric.hosts[name]
        rows = {(row["member"], row["class"]): row["path"] for row in host.ctl("offload", "show")["paths"]}
        assert set(rows) == {(member, each) for member in ("a0", "a1") for each in classes}
        text = host.ctl_text("offload", "show").output
        for (member, each), path in rows.items():
            by_nature = {"tx-plain": "hardware", "rx-merge": "software", "rx-queue": "hardware"}
            assert path == by_nature.get(each, takes), (name, member, each)
            assert any(line.split()[:3] == [member, each, path] for line in text.splitlines()), (each, text)


def rules_follow(host: Host, guest: TapGuest) -> None:
    """Where provider addresses are; on all members where the switch cooperates; gone with the knob, with the port."""
    host.config["offload"] = {"vmq": False}
    assert host.reload().ok
    until(lambda: ruled(host, guest) == set(), "no rules", 10)
    address = host.config["provider-addresses"].pop()
    host.config["offload"] = {"vmq": True}
    assert host.reload().ok
    other = {"a0", "a1"} - {address["member"]}
    until(lambda: ruled(host, guest) == other, "a rule where the provider address is", 10)
    host.stop()
    so_far = len(host.log())
    host.config["team"]["mode"] = "cooperate"
    host.start()
    until(lambda: ruled(host, guest, so_far) == {"a0", "a1"}, "the same rule on both members", 20)
    host.config["ports"].clear()
    assert host.reload().ok
    until(lambda: ruled(host, guest, so_far) == set(), "no rules of a port that has gone", 10)
