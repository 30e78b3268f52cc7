# SPDX-License-Identifier: BSD-3-Clause
"""Members that offload: an emulated NIC in front of each, which may lie."""

from __future__ import annotations

from collections.abc import Callable

from lab.fabric import Fabric
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
    # HNV row 68: a rule per guest where provider addresses are, until it is switched off.
    log = fabric.hosts["h1"].log
    until(lambda: log().count(f"emunic: a0: rule vsid=5001 mac={a.mac}") == 1, "a's rule on a0", 10)
    until(lambda: log().count(f"emunic: a1: rule vsid=5001 mac={a.mac}") == 1, "a's rule on a1", 10)
    fabric.hosts["h1"].config["offload"] = {"vmq": False}
    assert fabric.hosts["h1"].reload().ok
    until(lambda: log().count(f"no rule vsid=5001 mac={a.mac}") == 2, "no rules of a", 10)
    found = [line for line in fabric.hosts["h2"].log().splitlines() if "which does not work" in line]
    for claim in ("tx-segmentation", "tx-checksum", "rx-checksum", "rx-steering"):
        assert any(f"claims {claim}," in line for line in found), (claim, found)
    shown = {name: host.call("Offload")["offload"]["members"] for name, host in fabric.hosts.items()}
    for name, verified, used in (("h1", "proven", True), ("h2", "refuted", False)):
        rows = [r for r in shown[name] if r["offload"] in ("tx-segmentation", "tx-checksum", "rx-checksum")]
        assert len(rows) == 6 and all((r["verified"], r["used"]) == (verified, used) for r in rows), rows
    assert "which does not work" not in fabric.hosts["h1"].log()
