# SPDX-License-Identifier: BSD-3-Clause
"""Members of type dpdk: any device DPDK has a driver for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.fabric import Fabric
from lab.traffic import Stream
from lab.wait import until


@pytest.mark.asan
@pytest.mark.parametrize("family", [4, 6])
def test_dpdk_members(new_fabric: Callable[..., Fabric], family: int) -> None:
    """DPDK devices that tell of no network device: provider addresses are checked, announced and resolved through rings
    between workers and the neighbour thread; guests' traffic uses both members.
    """
    fabric = new_fabric(family=family)
    fabric.setting("underlay", mtu=1600)
    for host in fabric.hosts.values():
        host.config["members"] = [
            {"name": f"a{nic}", "type": "dpdk", "devargs": f"net_pcap{nic},rx_iface_in=a{nic},tx_iface=a{nic}"}
            for nic in range(2)
        ]
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24", "fd00::1/64")
    a = fabric.tap_guest("h1", "a", 5001, "10.0.0.11/24", "fd00::11/64")
    b = fabric.tap_guest("h2", "b", 5001, "10.0.0.12/24", "fd00::12/64")
    wire = fabric.underlay.capture()
    fabric.start()
    a.reaches("10.0.0.12")
    b.reaches("fd00::11")
    run = Stream(a, b, "10.0.0.11", "10.0.0.12", flows=64)
    run.wait_received(1000)
    verdict = run.stop()
    assert verdict.lost == 0 and not verdict.reordered_flows, verdict
    server = b.start("iperf3 -s -1")
    until(lambda: a.run("iperf3 -c 10.0.0.12 -n 5M", check=False, timeout=60).ok, "5 MB arrive", 60)
    server.wait()
    for name, host in fabric.hosts.items():
        pas = {pa["address"]: pa["mac"] for pa in host.team()["provider-addresses"]}
        assert len(pas) == 2 and set(host.provider_address_states().values()) == {"preferred"}
        for nic in range(2):
            sent = wire.frames(lambda f, port=f"{name}a{nic}": f.interface == port)
            assert any(f.nvgre for f in sent) and any(not f.nvgre for f in sent), (name, nic)
            assert {f.source for f in sent} == {list(pas.values())[nic]}, (name, nic)


def test_a_new_member_begins_at_zero(new_fabric: Callable[..., Fabric]) -> None:
    """It may have the slot of one that was removed, whose counters are not its own."""
    fabric = new_fabric(hosts=1)
    host = fabric.hosts["h1"]
    fabric.start()

    def received(name: str) -> int:
        found = [member for member in host.team()["members"] if member["name"] == name]
        return int(found[0]["rx"]["packets"]) if found else -1

    host.ctl_text("member", "add", "name=null", "type=dpdk", "devargs=net_null0")
    until(lambda: received("null") > 0, "the endless device brings frames")
    host.ctl_text("member", "remove", "null")
    until(lambda: received("null") == -1, "it is gone")
    host.ctl_text("member", "add", "name=other")
    assert received("other") == 0
