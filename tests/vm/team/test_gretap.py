# SPDX-License-Identifier: BSD-3-Clause
"""The Linux kernel's own NVGRE at the other end: HNV row 24."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.fabric import Fabric
from lab.netns import Netns
from lab.peer import TapGuest
from lab.run import Run
from lab.tcp import SERVE, bad_checksums, copy, send, serve
from lab.wait import until

VSID = 5001
BYTES = 2 << 20
MAC, CA, PA = "02:00:00:00:0e:01", "10.0.0.21", "192.0.2.91"


@pytest.fixture(name="fabric", params=[False, True], ids=["flow-id-0", "flow-id"])
def _fabric(case_run: Run, request: pytest.FixtureRequest) -> Iterator[Fabric]:
    """One host of ours with one NIC, and a record for what lives behind the kernel's tunnel."""
    fabric = Fabric(case_run, hosts=1, nics=1)
    fabric.setting("nvgre", flow_id=request.param)
    fabric.subnet(VSID, "tenant-a", "10.0.0.1/24")
    fabric.every_config("hosts", {"id": "linux", "pas": [{"address": PA}]})
    fabric.record(VSID, "linux", MAC, CA)
    fabric.tap_guest("h1", "a", VSID, "10.0.0.11/24")
    yield fabric
    fabric.stop()


def linux(run: Run, fabric: Fabric, tunnel: str) -> Netns:
    """A namespace with a provider address and a gretap device."""
    netns = Netns(run, "linux")
    fabric.underlay.attach(netns, "eth0")
    netns.ip(f"addr add {PA}/24 dev eth0")
    netns.ip(f"link add gt0 address {MAC} mtu 1500 type gretap {tunnel}")
    netns.ip("link set gt0 addrgenmode none up")
    netns.ip(f"addr add {CA}/24 dev gt0")
    return netns


def test_row24_gretap_with_a_fixed_key(case_run: Run, fabric: Fabric, request: pytest.FixtureRequest) -> None:
    """With flow-id = false a gretap device whose key is VSID << 8 exchanges frames of all sizes with our guest. With
    FlowIDs the kernel takes the frames for those of other tunnels.
    """
    local = fabric.hosts["h1"].config["provider-addresses"][0]["address"]
    netns = linux(case_run, fabric, f"local {PA} remote {local} key {VSID << 8}")
    fabric.start()
    guest: TapGuest = fabric.guest("a")
    wire = fabric.underlay.capture()
    if "flow-id-0" in request.node.name:
        guest.reaches(CA)
        netns.sh("ping -n -c 3 -i 0.2 -W 3 10.0.0.11")
        guest.reaches(CA, options="-s 1400")
        keys = {f.nvgre.flow_id for f in wire.frames(lambda f: f.nvgre) if f.nvgre}
        assert keys == {0}
    else:
        guest.misses(CA)
        ours = {f.nvgre.flow_id for f in wire.frames(lambda f: f.nvgre and f.interface == "h1a0") if f.nvgre}
        assert ours and 0 not in ours


@pytest.mark.parametrize("fabric", [True], indirect=True, ids=["flow-id"])
def test_row24_gretap_with_metadata(case_run: Run, fabric: Fabric) -> None:
    """A gretap device without a key of its own (external) takes any FlowID."""
    local = fabric.hosts["h1"].config["provider-addresses"][0]["address"]
    netns = linux(case_run, fabric, "external")
    netns.ip(
        f"route replace 10.0.0.11/32 encap ip id {VSID << 8} dst {local} src {PA} ttl 64 key dev gt0"
    )
    fabric.start()
    fabric.guest("a").reaches(CA)
    netns.sh("ping -n -c 3 -i 0.2 -W 3 10.0.0.11")


@pytest.mark.parametrize("fabric", [True], indirect=True, ids=["flow-id"])
def test_gretap_completes_tcp(case_run: Run, fabric: Fabric) -> None:
    """The segments that the switch cuts from our guest's super-packets are the kernel's to receive, and the kernel's
    ours, with checksums over all bytes.
    """
    local = fabric.hosts["h1"].config["provider-addresses"][0]["address"]
    netns = linux(case_run, fabric, "external")
    netns.ip(
        f"route replace 10.0.0.11/32 encap ip id {VSID << 8} dst {local} src {PA} ttl 64 key dev gt0"
    )
    fabric.start()
    guest = fabric.guest("a")
    netns.start("serve", ["sh", "-c", SERVE])
    until(lambda: ":7007" in netns.sh("ss -ltn").output, "the kernel's end listens")
    copy(guest, CA, 1, BYTES)
    counted = {row["name"]: row["packets"] for row in fabric.hosts["h1"].call("Offload")["offload"]["counters"]}
    assert counted["tso-software"] > 0, counted
    job = serve(guest)
    assert netns.sh(send("10.0.0.11", 2, BYTES), timeout=60).output.strip() == "True"
    job.stop()
    for output in (netns.sh("cat /proc/net/snmp").output, guest.run("cat /proc/net/snmp").output):
        assert bad_checksums(output) == 0, output
