# SPDX-License-Identifier: BSD-3-Clause
"""Policy that comes from a store: hosts without any of their own, a real etcd, managers; what survives its loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab.fabric import Fabric
from lab.host import Host
from lab.run import Run
from lab.store import Store, installed
from lab.wait import until

MAKE = Callable[..., Fabric]
pytestmark = pytest.mark.skipif(not installed(), reason="etcd is not installed")


def synced(host: Host) -> bool:
    store: dict[str, Any] = host.call("Store")["store"]
    return bool(store["connected"] and store["synced"] and not store["unpublished"])


def origins(host: Host) -> set[str]:
    return {record["origin"] for record in host.objects("lookup-record")}


@pytest.fixture(name="store")
def _store(run: Run) -> Iterator[Store]:
    store = Store(run)
    store.start_all()
    yield store


def policy_of(fabric: Fabric) -> dict[str, Any]:
    """What the hosts would have had in their files."""
    config = fabric.hosts["h1"].config
    return {"subnets": list(config["subnets"]), "records": list(config["records"])}


def test_policy_from_a_store(new_fabric: MAKE, store: Store) -> None:
    """Two hosts know nothing but where the store is. A file makes their policy; what changes in it changes there. The
    store is lost: they forward on, one of them after a restart, too. It is back: only what changed is applied.
    """
    fabric = new_fabric(hosts=2)
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    a = fabric.tap_guest("h1", "a", 5001, "10.0.0.11/24")
    b = fabric.tap_guest("h2", "b", 5001, "10.0.0.12/24")
    policy = policy_of(fabric)
    for host in fabric.hosts.values():
        store.use(host)
    manager = store.manager("m1")
    manager.start()
    manager.wait_elected()
    assert "3 added" in manager.apply(policy, "--dry-run").output
    assert not manager.state()["records"]
    assert "3 added, 0 changed, 0 removed" in manager.apply(policy).output
    assert "0 added, 0 changed, 0 removed" in manager.apply(policy).output
    fabric.start()
    for host in fabric.hosts.values():
        until(lambda host=host: synced(host), f"{host.name} has its policy", 30.0)
        assert origins(host) == {"manager"}
    a.reaches("10.0.0.12")
    assert {each["id"] for each in fabric.hosts["h2"].objects("host")} == {"h1", "h2"}

    # static policy of administrators, by hand
    manager.ctl("record", "add", "vsid=5001", "ca=10.0.0.77", "mac=02:00:00:00:00:77", "host=h1")
    until(lambda: len(fabric.hosts["h2"].objects("lookup-record")) == 3, "the new record")
    port = manager.ctl("port", "add", "id=x", "vsid=5001", "macs=[02:00:00:00:00:01]", check=False)
    assert "belong to one host" in port.output

    # the store is lost
    events = fabric.hosts["h2"].follow()
    store.kill()
    until(lambda: not fabric.hosts["h1"].call("Store")["store"]["connected"], "h1 says that the store is lost", 30.0)
    assert fabric.hosts["h1"].call("Store")["store"]["stale-since"]
    events.wait("store", result="lost")
    a.reaches("10.0.0.12")
    fabric.hosts["h2"].restart(hard=True)
    fabric.hosts["h2"].wait_port("b")
    assert len(fabric.hosts["h2"].objects("lookup-record")) == 3
    fabric.wait_neighbours(fabric.hosts["h2"])
    b.reaches("10.0.0.11")

    # it is back, and a record has gone
    store.start()
    until(lambda: manager.state()["elected"], "the manager is elected again", 60.0)
    assert "0 added, 0 changed, 1 removed" in manager.apply(policy).output
    for host in fabric.hosts.values():
        until(lambda host=host: synced(host) and len(host.objects("lookup-record")) == 2, f"{host.name} follows", 60.0)
    a.reaches("10.0.0.12")
    manager.stop()
