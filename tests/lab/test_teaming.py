# SPDX-License-Identifier: BSD-3-Clause
"""teaming/ alone on cables and a switch that learns: HNV rows 22, 23, 61, 62 without guests."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from scapy.layers.inet import GRE, IP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

from lab.capture import Capture, Injector
from lab.frames import Frame
from lab.netns import Netns
from lab.run import Run
from lab.teamtool import TeamTool
from lab.underlay import Cable, Underlay
from lab.wait import never, until

PAS = {"h1": ("192.0.2.11", "192.0.2.12"), "h2": ("192.0.2.21", "192.0.2.22")}
PAS6 = {"h1": ("2001:db8::11", "2001:db8::12"), "h2": ("2001:db8::21", "2001:db8::22")}


@dataclass
class Bed:
    """Hosts with two NICs each on one switch."""

    run: Run
    underlay: Underlay
    netns: dict[str, Netns] = field(default_factory=dict)
    cables: dict[str, list[Cable]] = field(default_factory=dict)
    tools: list[TeamTool] = field(default_factory=list)

    def host(self, name: str) -> Netns:
        if name not in self.netns:
            self.netns[name] = Netns(self.run, name)
            self.cables[name] = [self.underlay.attach(self.netns[name], f"a{nic}") for nic in range(2)]
        return self.netns[name]

    def team(
        self, name: str, *options: str, pas: tuple[str, ...] = (), member_type: str = "af-packet"
    ) -> TeamTool:
        netns = self.host(name)
        words = ["--hold-down", "300"]
        for nic in range(2):
            words += ["--member", f"a{nic},{member_type}"]
        for address in pas or PAS[name]:
            words += ["--pa", address if "/" in address else f"{address}/{64 if ':' in address else 24}"]
        tool = TeamTool(self.run, netns, *words, *options, state=self.run.directory / f"state-{name}")
        self.tools.append(tool)
        tool.wait_usable(2)
        return tool

    def stop(self, tool: TeamTool) -> None:
        self.tools.remove(tool)
        tool.quit()


@pytest.fixture(name="bed")
def _bed(run: Run) -> Iterator[Bed]:
    made = Bed(run, Underlay(run))
    yield made
    for tool in made.tools:
        tool.quit()


def is_announcement(frame: Frame, address: str) -> bool:
    if ":" in address:
        return b"\x88" in bytes(frame.packet)[54:55] and frame.destination == "33:33:00:00:00:01"
    return frame.ethertype == 0x0806 and frame.packet.psrc == frame.packet.pdst == address


def resolve(one: TeamTool, other: TeamTool, addresses: tuple[str, ...]) -> None:
    one.remotes(*addresses)
    macs = {pa["address"]: pa["mac"] for pa in other.status()["pas"]}
    for address in addresses:
        for member in range(2):
            until(lambda a=address, m=member: one.path(a, m)["error"] == "", f"{address} is resolved")  # type: ignore
            assert one.path(address, member)["destination-mac"] == macs[address]


@pytest.mark.asan
@pytest.mark.parametrize("pas", [PAS, PAS6], ids=["v4", "v6"])
@pytest.mark.parametrize("member_type", ["af-packet", "af-xdp"])
def test_hosts_resolve_each_other(bed: Bed, pas: dict[str, tuple[str, ...]], member_type: str) -> None:
    """Both ways, each member with a source address of its own; the switch learns each MAC on one port only."""
    fdb = bed.underlay.watch_fdb()
    teams = {name: bed.team(name, pas=pas[name], member_type=member_type) for name in ("h1", "h2")}
    resolve(teams["h1"], teams["h2"], pas["h2"])
    resolve(teams["h2"], teams["h1"], pas["h1"])
    sources = [teams["h1"].path(pas["h2"][0], member)["source"] for member in range(2)]
    assert sources == list(pas["h1"])
    assert teams["h1"].path(pas["h2"][0], 0)["mtu"] == 1600
    for name, team in teams.items():
        team.wait_preferred(*pas[name])
        for nic, pa in enumerate(team.status()["pas"]):
            learned = fdb.learned(pa["mac"])
            assert learned and {entry.port for entry in learned} == {f"{name}a{nic}"}
    assert not fdb.stop()


def test_tagged_provider_network(bed: Bed) -> None:
    """PAs on a VLAN resolve each other with tagged frames; untagged questions are not answered."""
    pas = {name: tuple(f"{address}/24,vlan=42" for address in PAS[name]) for name in PAS}
    bed.host("h1")
    wire = bed.underlay.capture()
    teams = {name: bed.team(name, pas=pas[name]) for name in ("h1", "h2")}
    resolve(teams["h1"], teams["h2"], PAS["h2"])
    assert teams["h1"].path("192.0.2.21", 0)["vlan"] == 42
    asker = plain_host(bed)
    assert not asker.sh("ping -c1 -W1 192.0.2.11", check=False).ok
    arps = wire.frames(lambda f: f.packet.haslayer(ARP) and f.packet[ARP].psrc in PAS["h1"])
    assert arps and all(f.packet.haslayer(Dot1Q) and f.packet[Dot1Q].vlan == 42 for f in arps)


def plain_host(bed: Bed, *addresses: str) -> Netns:
    """A host with the kernel's addresses."""
    netns = Netns(bed.run, "k")
    bed.underlay.attach(netns, "a0")
    for address in addresses or ("192.0.2.99/24",):
        netns.ip(f"addr add {address} dev a0{' nodad' if ':' in address else ''}")
    return netns


@pytest.mark.asan
def test_row22_linux_pings_provider_addresses(bed: Bed) -> None:
    """Linux gets answers from every PA, small and large, over IPv4 and IPv6; on its member and from its MAC."""
    team = bed.team("h1", pas=PAS["h1"] + PAS6["h1"])
    team.wait_preferred(*PAS["h1"], *PAS6["h1"])
    kernel = plain_host(bed, "192.0.2.99/24", "2001:db8::99/64")
    for address in PAS["h1"] + PAS6["h1"]:
        assert kernel.sh(f"ping -c3 -i0.2 -W2 {address}").ok
        assert kernel.sh(f"ping -c2 -i0.2 -W2 -s1500 {address}").ok
    neighbours = kernel.ip("neigh show dev a0").lower()
    for pa in team.status()["pas"]:
        assert f"{pa['address']} lladdr {pa['mac']}" in neighbours
    assert not kernel.sh("ping -c1 -W1 192.0.2.13", check=False).ok


@pytest.mark.asan
@pytest.mark.parametrize("pas", [PAS, PAS6], ids=["v4", "v6"])
def test_row62_dead_link_moves_the_address(bed: Bed, pas: dict[str, tuple[str, ...]]) -> None:
    """PA and buckets go to the other member at once, announced, and come back after hold-down."""
    team = bed.team("h1", pas=pas["h1"])
    team.wait_preferred(*pas["h1"])
    mac = team.provider_address(pas["h1"][0])["mac"]
    fdb = bed.underlay.watch_fdb()
    wire = bed.underlay.capture()
    mark = team.mark()
    cable = bed.cables["h1"][0]
    cable.unplug()
    team.wait(mark, event="view", usable=1)
    wire.wait(
        lambda f: f.interface == "h1a1" and f.source == mac and is_announcement(f, pas["h1"][0]),
        "announcements",
        4,
    )
    status = team.status()
    assert [member["buckets"] for member in status["members"]] == [0, 256]
    assert [pa["now"] for pa in status["pas"]] == [1, 1]
    assert status["members"][0]["why"] == "no link"
    assert fdb.learned(mac)[-1].port == "h1a1"
    mark = team.mark()
    cable.plug()
    back = team.wait(mark, event="view", usable=2)
    held = team.wait(mark, event="member", text="a0: link is back, held down")
    assert 0.29e9 <= back["at"] - held["at"] <= 1e9
    status = team.status()
    assert [member["buckets"] for member in status["members"]] == [128, 128]
    assert [pa["now"] for pa in status["pas"]] == [0, 1]
    wire.wait(lambda f: f.interface == "h1a0" and f.source == mac, "its first frame on the old member")
    until(lambda: fdb.learned(mac)[-1].port == "h1a0", "the switch has learned it")
    other = status["pas"][1]["mac"]
    assert {entry.port for entry in fdb.learned(other)} <= {"h1a1"}


@pytest.mark.alone
def test_row62_view_is_published_within_5_ms(bed: Bed) -> None:
    """From the link event to the view that no longer uses the member."""
    team = bed.team("h1")
    team.wait_preferred(*PAS["h1"])
    took = []
    for _ in range(7):
        mark = team.mark()
        bed.cables["h1"][0].unplug()
        view = team.wait(mark, event="view", usable=1)
        found = re.search(r"after (\d+) us", view["text"])
        assert found
        took.append(int(found.group(1)))
        mark = team.mark()
        bed.cables["h1"][0].plug()
        team.wait(mark, event="view", usable=2)
    print(f"link event to view: median {statistics.median(took)} us, maximum {max(took)} us")
    assert statistics.median(took) < 5000, took


def test_row23_duplicate(bed: Bed) -> None:
    """A PA that another machine has is not used; the other PA is."""
    plain_host(bed, "192.0.2.11/24")
    bed.host("h1")
    wire = bed.underlay.capture()
    team = bed.team("h1")
    event = team.wait(event="pa", pa="192.0.2.11", state="duplicate")
    assert "not used" in event["text"]
    team.wait_preferred("192.0.2.12")
    assert team.provider_address("192.0.2.11")["state"] == "duplicate"
    mac = team.provider_address("192.0.2.11")["mac"]
    probes = wire.frames(lambda f: f.ethertype == 0x0806 and f.source == mac)
    assert probes and all(f.packet.psrc == "0.0.0.0" for f in probes)
    assert [member["buckets"] for member in team.status()["members"]] == [0, 256]


def test_row23_duplicate_v6(bed: Bed) -> None:
    plain_host(bed, "2001:db8::11/64")
    team = bed.team("h1", pas=PAS6["h1"])
    team.wait(event="pa", pa="2001:db8::11", state="duplicate")
    team.wait_preferred("2001:db8::12")


def test_row23_linux_sees_ours(bed: Bed) -> None:
    """The other way round: Linux' own detection finds our PAs, and we keep them."""
    team = bed.team("h1", pas=PAS["h1"] + PAS6["h1"])
    team.wait_preferred(*PAS["h1"], *PAS6["h1"])
    kernel = plain_host(bed, "192.0.2.99/24")
    kernel.ip("addr add 2001:db8::11/64 dev a0")
    until(lambda: "dadfailed" in kernel.ip("addr show dev a0"), "Linux' DAD has failed")
    probe = kernel.sh("arping -D -c2 -w3 -I a0 192.0.2.11", check=False)
    if probe.status != 127:  # arping need not be there
        assert probe.status == 1, probe.output
    assert all(pa["state"] == "preferred" for pa in team.status()["pas"])


def test_restart_uses_addresses_at_once(bed: Bed) -> None:
    """After kill -9 what was preferred is preferred from the start, announced, and checked meanwhile."""
    team = bed.team("h1")
    team.wait_preferred(*PAS["h1"])
    state = bed.run.directory / "state-h1" / "provider-addresses"
    until(lambda: state.exists() and len(state.read_text().splitlines()) == 2, "the state is written")
    bed.tools.remove(team)
    team.kill()
    wire = bed.underlay.capture()
    again = bed.team("h1")
    assert [pa["state"] for pa in again.status()["pas"]] == ["preferred", "preferred"]
    first = wire.wait(lambda f: f.ethertype == 0x0806 and f.packet.psrc == "192.0.2.11", "an announcement")[0]
    probes = wire.wait(
        lambda f: f.ethertype == 0x0806 and f.packet.pdst == "192.0.2.11" and f.packet.psrc == "0.0.0.0",
        "three probes",
        3,
    )
    assert first.packet.psrc == first.packet.pdst
    assert len(probes) == 3
    assert not [event for event in again.events if event["event"] == "pa"]


def nvgre_frame(team: TeamTool, address: str) -> Ether:
    return (
        Ether(dst=team.provider_address(address)["mac"], src="02:ee:00:00:00:01")
        / IP(src="192.0.2.99", dst=address)
        / GRE(key_present=1, proto=0x6558, key=5001 << 8)
        / Ether()
        / Raw(b"x" * 50)
    )


def received(team: TeamTool, member: int, count: int) -> int:
    """Other frames that came by the way."""
    nvgre = other = 0

    def enough() -> bool:
        nonlocal nvgre, other
        answer = team.rx(member)
        nvgre += answer["nvgre"]
        other += answer["other"]
        return nvgre >= count

    until(enough, f"{count} NVGRE frames by member {member}")
    assert nvgre == count
    return other


def test_af_xdp_takes_nvgre_only(bed: Bed) -> None:
    """NVGRE comes to us, ARP, ping and other GRE go to the kernel. A killed process' program is replaced."""
    team = bed.team("h1", member_type="af-xdp")
    team.wait_preferred(*PAS["h1"])
    kernel = plain_host(bed)
    wire = Injector(kernel, "a0")
    for step in range(2):
        frame = nvgre_frame(team, "192.0.2.11")
        assert kernel.sh("ping -c1 -W2 192.0.2.11").ok
        for _ in range(20):
            wire.send(bytes(frame))
        other = frame.copy()
        other[GRE].proto = 0x0800
        wire.send(bytes(other))
        assert received(team, 0, 20) == 0
        if step == 0:
            bed.tools.remove(team)
            team.kill()
            assert "xdp" in bed.netns["h1"].ip("-d link show a0")
            team = bed.team("h1", member_type="af-xdp")
    bed.stop(team)
    assert "xdp" not in bed.netns["h1"].ip("-d link show a0")


def test_af_packet_sees_nvgre_and_the_kernel_is_silent(bed: Bed) -> None:
    """The kernel drops its copy: the PA has a MAC of its own."""
    team = bed.team("h1")
    team.wait_preferred(*PAS["h1"])
    kernel = plain_host(bed)
    wire = Injector(kernel, "a0")
    seen = Capture(kernel, "back", ["a0"])
    for _ in range(20):
        wire.send(bytes(nvgre_frame(team, "192.0.2.11")))
    received(team, 0, 20)
    never(lambda: seen.frames(lambda f: f.packet.haslayer("ICMP")), "an ICMP error", 0.3)


def test_netdev_comes_and_goes(bed: Bed) -> None:
    """Deleted, made again, renamed: the member follows."""
    team = bed.team("h1")
    team.wait_preferred(*PAS["h1"])
    netns = bed.netns["h1"]
    mark = team.mark()
    bed.underlay.netns.ip("link del h1a0")
    team.wait(mark, event="netdev", member="a0")
    until(lambda: not team.status()["members"][0]["open"], "the device is closed")
    assert team.provider_address("192.0.2.11")["now"] == 1
    mark = team.mark()
    bed.underlay.attach(netns, "a0")
    team.wait(mark, event="view", usable=2)
    assert team.provider_address("192.0.2.11")["now"] == 0
    mark = team.mark()
    netns.ip("link set a1 down")
    netns.ip("link set a1 name b1")
    netns.ip("link set b1 up")
    team.wait(mark, event="view", usable=1)
    team.wait(mark, event="view", usable=2)
    assert team.provider_address("192.0.2.12")["now"] == 1
