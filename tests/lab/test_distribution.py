# SPDX-License-Identifier: BSD-3-Clause
"""Policy that comes from a store: hosts without any of their own, a real etcd, managers; what survives its loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from scapy.layers.l2 import ARP, Ether

from lab.fabric import Fabric
from lab.host import Host
from lab.peer import TapGuest
from lab.run import Run
from lab.store import Store, installed
from lab.wait import until

MAKE = Callable[..., Fabric]
BROADCAST = "ff:ff:ff:ff:ff:ff"
pytestmark = pytest.mark.skipif(not installed(), reason="etcd is not installed")


def synced(host: Host) -> bool:
    store: dict[str, Any] = host.call("Store")["store"]
    return bool(store["connected"] and store["synced"] and not store["unpublished"])


def records(host: Host, learned: bool = False) -> dict[str, dict[str, Any]]:
    """Records by address; of what the guests have told (their link-local addresses, too) or of administrators."""
    found = [r for r in host.objects("lookup-record") if (r["type"] == "dynamic") == learned and r["type"] != "l2only"]
    return {record["ca"]: record for record in found}


def origins(host: Host) -> set[str]:
    return {record["origin"] for record in records(host).values()}


@pytest.fixture(name="store")
def _store(run: Run) -> Iterator[Store]:
    store = Store(run, tls=True)
    store.start_all()
    yield store


def policy_of(fabric: Fabric) -> dict[str, Any]:
    """What the hosts would have had in their files."""
    config = fabric.hosts["h1"].config
    return {"subnets": list(config["subnets"]), "records": list(config["records"])}


def test_policy_from_a_store(new_fabric: MAKE, store: Store) -> None:
    """Two hosts know nothing but where the store is, which wants certificates. A file makes their policy; what changes
    in it changes there. The store is lost: they forward on, one of them after a restart, too. It is back: only what
    changed is applied.
    """
    assert not store.healthy(0, stranger=True)
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
    until(lambda: len(records(fabric.hosts["h2"])) == 3, "the new record")
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
    assert len(records(fabric.hosts["h2"])) == 3
    fabric.wait_neighbours(fabric.hosts["h2"])
    b.reaches("10.0.0.11")

    # it is back, and a record has gone
    store.start()
    until(lambda: manager.state()["elected"], "the manager is elected again", 60.0)
    assert "0 added, 0 changed, 1 removed" in manager.apply(policy).output
    for host in fabric.hosts.values():
        until(lambda host=host: synced(host) and len(records(host)) == 2, f"{host.name} follows", 60.0)
    a.reaches("10.0.0.12")
    manager.stop()


def announce(guest: TapGuest, ca: str) -> None:
    """Gratuitous ARP."""
    arp = ARP(op=2, hwsrc=guest.mac, psrc=ca, hwdst=BROADCAST, pdst=ca)
    guest.send(Ether(src=guest.mac, dst=BROADCAST) / arp)


def learned_at(host: Host, ca: str, owner: str) -> dict[str, Any]:
    """The record of a learned address when the host has it, as of that host, and all managers know; else nothing."""
    record = records(host, learned=True).get(ca, {})
    return record if record.get("host") == owner and not record.get("unsynchronized") else {}


def test_row43_three_hosts_three_members(new_fabric: MAKE, run: Run) -> None:
    """An address is learned while no manager is there: unsynchronized; one comes: all three hosts have it. While 2000
    records are loaded the member of etcd dies that all talk to: what was acknowledged is everywhere, what is learned
    meanwhile too. b is not where its record says: all find it. Then a host dies: nobody has a way to it any more.
    """
    store = Store(run, members=3)
    store.start_all()
    victim = next(number for number in (1, 2) if not store.leads(number))
    store.prefer(victim)
    fabric = new_fabric(hosts=3, nics=1)
    fabric.subnet(5001, "tenant-a", "10.0.0.1/16")
    for number, host in enumerate(fabric.hosts):
        guest = fabric.tap_guest(host, "abc"[number], 5001, f"10.0.0.{11 + number}/16", record=False)
        fabric.record(5001, "h3" if host == "h2" else host, guest.mac, type="l2only")
    a, h1 = fabric.guest("a"), fabric.hosts["h1"]
    others = [fabric.hosts["h2"], fabric.hosts["h3"]]
    policy = policy_of(fabric)
    for each in fabric.hosts.values():
        store.use(each)
    first, second = store.manager("m1"), store.manager("m2")
    first.start()
    first.wait_elected()
    first.apply(policy)
    fabric.start()
    first.stop()

    announce(a, "10.0.0.50")
    until(lambda: records(h1, learned=True).get("10.0.0.50"), "10.0.0.50 is learned")
    assert records(h1, learned=True)["10.0.0.50"]["unsynchronized"]
    assert not any("10.0.0.50" in records(each, learned=True) for each in others)
    second.start()
    second.wait_elected()
    for each in fabric.hosts.values():
        until(lambda each=each: learned_at(each, "10.0.0.50", "h1"), f"{each.name} has what h1 learned", 30.0)

    many = second.directory / "many"
    many.write_text(
        "".join(
            f"vsid=5001 ca=10.0.{1 + n // 250}.{1 + n % 250} mac=02:00:00:01:{n // 256:02x}:{n % 256:02x} host=h3\n"
            for n in range(2000)
        )
    )

    def imported() -> bool:
        """Ends where the store was lost: what was said to be in force stays, the rest is tried again."""
        return second.ctl("record", "import", str(many), check=False).status == 0

    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(until, imported, "all is loaded", 40.0)
        store.kill(victim)
        for number in range(20):
            announce(a, f"10.0.200.{1 + number}")
        load.result()
    for each in fabric.hosts.values():
        until(lambda each=each: len(records(each)) == 2000, f"{each.name} has all records", 30.0)
        for number in range(20):
            ca = f"10.0.200.{1 + number}"
            until(lambda each=each, ca=ca: learned_at(each, ca, "h1"), f"{each.name} has {ca}", 30.0)
    announce(fabric.guest("b"), "10.0.0.12")
    for each in fabric.hosts.values():
        until(lambda each=each: learned_at(each, "10.0.0.12", "h2"), f"{each.name} knows where b is", 30.0)
    a.reaches("10.0.0.12")
    a.reaches("10.0.0.13")

    h1.kill()
    for each in others:
        until(lambda each=each: {"h1"} - {h["id"] for h in each.objects("host")}, f"{each.name} drops h1", 30.0)
    second.stop()


def test_floods_reach_hosts_without_records(new_fabric: MAKE, store: Store) -> None:
    """Nobody knows anything of b: what is flooded in its subnet reaches it, for its host has a port there."""
    fabric = new_fabric(nics=1)
    fabric.subnet(5001, "tenant-a", "10.0.0.1/24")
    a, b = (fabric.tap_guest(host, name, 5001, record=False) for host, name in (("h1", "a"), ("h2", "b")))
    for guest in (a, b):
        guest.netns.sh("sysctl -qw net.ipv6.conf.default.disable_ipv6=1")
    policy = policy_of(fabric)
    for host in fabric.hosts.values():
        store.use(host)
    manager = store.manager("m1")
    manager.start()
    manager.wait_elected()
    manager.apply(policy)
    fabric.start(configure=False)
    capture = b.capture()

    def arrived() -> bool:
        announce(a, "10.0.0.11")
        return any(f.packet.haslayer(ARP) and f.packet[ARP].psrc == "10.0.0.11" for f in capture.frames())

    until(arrived, "b hears a", 20.0, every=0.2)
    assert not any(record["mac"] == b.mac for record in fabric.hosts["h1"].objects("lookup-record"))
    manager.stop()
