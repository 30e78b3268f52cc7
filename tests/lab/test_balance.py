# SPDX-License-Identifier: BSD-3-Clause
"""Balance over the team by load: HNV row 64; weights for NICs of unequal speed, out and in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from lab.elephants import FLOWS, Herd, separate
from lab.fabric import Fabric
from lab.load import Load, Tap
from lab.wait import until

MAKE = Callable[..., Fabric]
VSID = 5001
SPEED = 5  # Mbit/s


def with_speeds(make: MAKE, speeds: list[int], flows: int) -> tuple[Fabric, Load]:
    fabric = make(nics=len(speeds))
    fabric.subnet(VSID, "tenant-a", "10.0.0.1/24")
    for host in fabric.hosts.values():
        for member, speed in zip(host.config["members"], speeds):
            member["speed"] = speed
    load = Load(fabric, ("h1", "h2"), VSID, 0, flows)
    load.power_on()
    fabric.start()
    load.wait_ready()
    return fabric, load


@pytest.mark.alone
def test_row64_elephants_separate_in_a_pause(new_fabric: MAKE) -> None:
    """Three flows that fill one NIC, each silent for 8 ms of every second: within 15 s one of them has taken the other
    NIC, in a pause of more than 1 ms, and no packet is overtaken. Other flows stay where they are.
    """
    fabric, load = with_speeds(new_fabric, [SPEED, SPEED], FLOWS)
    separate(Herd(fabric, load, SPEED))
    load.power_off()


def test_unequal_speeds_get_unequal_shares(new_fabric: MAKE) -> None:
    """A NIC four times as fast sends four times as much; and receives as much, once the sender has been given the
    weights that the receiving host tells of itself.
    """
    fabric, load = with_speeds(new_fabric, [10000, 2500], 1000)
    sender, receiver = fabric.hosts["h1"], fabric.hosts["h2"]
    weights = {pa["address"]: pa["weight"] for pa in receiver.team()["provider-addresses"]}
    assert sorted(weights.values()) == [1, 4]
    receiver.config["hosts"] = [each for each in receiver.config["hosts"] if each["id"] != "h2"]
    receiver.reload()
    own = lambda: {each["id"]: each for each in receiver.objects("host")}.get("h2", {})  # noqa: E731
    until(lambda: own().get("origin") == "learned", "host h2 tells of itself", 5)
    assert {pa["address"]: pa["weight"] for pa in own()["pas"]} == weights
    for each in sender.config["hosts"]:
        if each["id"] == "h2":
            each["pas"] = [{"address": pa["address"], "weight": pa["weight"]} for pa in own()["pas"]]
    sender.reload()
    tap = Tap(fabric.underlay.netns, fabric.underlay.cables)
    load.start(4000, "a")
    load.wait_sent(2000)
    outcome = load.stop()["a"]
    load.power_off()
    assert not outcome.late and not outcome.duplicated
    seen = tap.stop()
    for host, outgoing in (("h1", False), ("h2", True)):
        shares = Counter(p.port for p in seen if p.outgoing == outgoing and p.port.startswith(host))
        fast = shares[f"{host}a0"] / sum(shares.values())
        print(host, dict(shares))
        assert 0.74 < fast < 0.86, shares
