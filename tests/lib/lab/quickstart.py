# SPDX-License-Identifier: BSD-3-Clause
"""packaging/quickstart, once the packages are there: builds, sets the scene, proves, cleans up."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from runner import children

from .fabric import Fabric
from .guest import Guest
from .host import Host
from .narrator import TICK_SECONDS, Narrator
from .process import sh
from .programs import SOURCE, build_directory, program
from .qemu import QemuGuest, prepare
from .quickstart_team import no_team, prove_failover, prove_shares
from .run import Run
from .team_fabric import TeamHosts
from .teamd import ACTIVEBACKUP
from .wait import until

TARGETS = ["vswitchd/daemon/vswitchd", "vswitchd/cli/vswitchctl"]
LIGHT_TARGETS = ["tests/lib/frontend/vhu-peer"]
NAME_PORT = 7


class Interrupted(BaseException):
    """The user, or the system, wants us to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def build(narrator: Narrator, light: bool) -> None:
    """meson and ninja, only what is needed here."""
    directory = build_directory()
    steps = [] if (directory / "build.ninja").exists() else [["meson", "setup", str(directory), str(SOURCE)]]
    steps.append(["ninja", "-C", str(directory), *TARGETS, *(LIGHT_TARGETS if light else [])])
    log = narrator.logs / "build.log"
    for argv in steps:
        with narrator.step(f"{argv[0]} {argv[1] if argv[0] == 'meson' else ''}".strip() + f" in {directory}"):
            status = _logged(narrator, argv, log)
            if status != 0:
                print(log.read_text(errors="replace"))
                raise AssertionError(f"{argv[0]} failed with status {status}")


def _logged(narrator: Narrator, argv: list[str], log: Path) -> int:
    """Runs a command with its output in a file; tells from time to time how far it is."""
    with open(log, "wb") as output:
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        ) as child:
            try:
                while True:
                    try:
                        return child.wait(TICK_SECONDS)
                    except subprocess.TimeoutExpired:
                        done = re.findall(rb"\[\d+/\d+\]", log.read_bytes())
                        narrator.line(f"{argv[0]} is at {done[-1].decode() if done else 'the beginning'}")
            except BaseException:
                os.killpg(child.pid, signal.SIGTERM)
                raise


class Scene:
    """Two hosts and five guests."""

    def __init__(self, run: Run, options: argparse.Namespace) -> None:
        self.no_team = no_team(run)
        self.fabric: Fabric
        if self.no_team:
            self.fabric = Fabric(run, hosts=2, nics=2)
        else:
            self.fabric = TeamHosts(run, ACTIVEBACKUP, switch="bridge", spread="all")
        self.fabric.subnet(5001, "tenant-a", "10.1.0.1/24")
        self.fabric.subnet(5002, "tenant-a", "10.2.0.1/24")
        self.fabric.subnet(6001, "tenant-b", "10.1.0.1/24")
        self.machines: dict[str, Guest] = {}
        for name, host, vsid, addresses, mac in (
            ("a1", "h1", 5001, ["10.1.0.11/24"], "02:00:00:00:01:11"),
            ("a2", "h2", 5001, ["10.1.0.12/24"], "02:00:00:00:01:12"),
            ("a3", "h2", 5002, ["10.2.0.12/24"], "02:00:00:00:02:12"),
            ("b1", "h1", 6001, ["10.1.0.11/24"], "02:00:00:00:01:11"),
            ("b2", "h2", 6001, ["10.1.0.12/24", "10.1.0.99/24"], "02:00:00:00:01:12"),
        ):
            # the MTU that fits is the guest's own 1500: the provider network here has room for the tunnel
            if options.light:
                self.machines[name] = self.fabric.tap_guest(host, name, vsid, *addresses, mac=mac)
            else:
                self.machines[name] = self.fabric.machine(host, name, vsid, *addresses, mac=mac, kvm=options.kvm)

    @property
    def hosts(self) -> dict[str, Host]:
        return self.fabric.hosts


def start(narrator: Narrator, scene: Scene, options: argparse.Namespace) -> None:
    """Everything up, with a line for each."""
    start_teams(narrator, scene)
    with narrator.step(
        "vswitchd on h1 and h2, in the namespaces "
        + " and ".join(host.netns.name for host in scene.hosts.values())
    ):
        for host in scene.hosts.values():
            host.start(ready=False)
        for host in scene.hosts.values():
            host.wait_ready()
    start_guests(narrator, scene, options)
    if isinstance(scene.fabric, TeamHosts):
        scene.fabric.settle()


def start_teams(narrator: Narrator, scene: Scene) -> None:
    """Where there are any."""
    fabric = scene.fabric
    if not isinstance(fabric, TeamHosts):
        narrator.line(f"{scene.no_team}: the NICs are members by configuration, without a team device")
        return
    with narrator.step(
        "teamd on h1 and h2, runner activebackup: " + " and ".join(team.device for team in fabric.teams.values())
    ):
        fabric.start_teams()
    narrator.line(
        f'vswitchd is told: team = {{ device = "{fabric.teams["h1"].device}"; spread = "all"; }}\n'
        "so that the standby NIC carries tenant traffic, too"
    )


def start_guests(narrator: Narrator, scene: Scene, options: argparse.Namespace) -> None:
    """All at once."""
    how = "in network namespaces" if options.light else f"under {'KVM' if options.kvm else 'emulation (TCG)'}"
    with narrator.step(f"starting {len(scene.machines)} guests {how}"):
        for guest in scene.machines.values():
            guest.power_on()
        for name, guest in scene.machines.items():
            scene.fabric.finish_by_name(name)
            after = f" after {guest.boot_seconds:.0f} s" if isinstance(guest, QemuGuest) else ""
            narrator.line(f"{name} is up{after}: {scene.fabric.describe(name)}")
    with narrator.step("h1 and h2 resolve each other's provider addresses"):
        for host in scene.fabric.hosts.values():
            scene.fabric.wait_neighbours(host)
    for name, guest in scene.machines.items():
        guest.start(f"while :; do echo {name} | busybox nc -l -p {NAME_PORT} > /dev/null; done")


def who_is(guest: Guest, address: str) -> str:
    """The name of the machine that answers at an address."""
    return until(
        lambda: guest.run(f"busybox nc -w 3 {address} {NAME_PORT} < /dev/null", check=False).output.strip(),
        f"{guest.name} asks who is {address}",
        15,
    )


def reaches(guest: Guest, address: str, name: str) -> str:
    guest.reaches(address)
    found = who_is(guest, address)
    assert found == name, f"{guest.name} reached {found} instead of {name}"
    return f"{found} answers at {address}"


def gateway(*guests: Guest) -> str:
    for guest in guests:
        guest.reaches("10.1.0.1")
    macs = [str(guest.neighbour("10.1.0.1")) for guest in guests]
    return f"as {' and '.join(macs)}"


def misses(guest: Guest, address: str) -> str:
    guest.misses(address)
    return "no answer"


def ttl(guest: Guest, address: str) -> str:
    output = guest.run(f"ping -n -c 1 -W 3 {address}").output
    found = re.search(r"ttl=(\d+)", output)
    assert found and found[1] == "63", f"expected one router hop:\n{output}"
    return "TTL 63, one router hop, and nothing but one tunnel between the two hosts"


def prove_reachability(narrator: Narrator, scene: Scene) -> None:
    m = scene.machines
    narrator.section("Who reaches whom: tenants A and B use the same IP and MAC addresses")
    narrator.claim("A: a1 on h1 reaches a2 on h2", lambda: reaches(m["a1"], "10.1.0.12", "a2"))
    narrator.claim("B: b1 on h1 reaches b2 on h2", lambda: reaches(m["b1"], "10.1.0.12", "b2"))
    narrator.claim("the gateway 10.1.0.1 answers both on their own host", lambda: gateway(m["a1"], m["b1"]))
    narrator.claim("routed: a1 reaches a3 in A's other subnet", lambda: reaches(m["a1"], "10.2.0.12", "a3"))
    narrator.claim("the way back", lambda: ttl(m["a3"], "10.1.0.11"))
    narrator.section("And who does not")
    narrator.claim("b1 reaches B's second address 10.1.0.99", lambda: reaches(m["b1"], "10.1.0.99", "b2"))
    narrator.claim("A: a1 does not", lambda: misses(m["a1"], "10.1.0.99"))
    narrator.claim("B: b1 does not reach A's other subnet", lambda: misses(m["b1"], "10.2.0.12"))


def show_frame(narrator: Narrator, scene: Scene, run: Run) -> None:
    """One frame from the wire, decoded by tshark."""
    narrator.section("A frame on the wire")
    capture = scene.fabric.underlay.capture()
    ping = scene.machines["a1"].start("ping -n -c 5 -i 0.2 10.1.0.12")

    def check() -> str:
        frame = capture.wait(lambda f: f.nvgre and f.nvgre.vsid == 5001, "NVGRE of tenant A")[0]
        assert frame.nvgre and frame.nvgre.flags == 0x2000 and frame.nvgre.protocol == 0x6558
        return (
            f"left {frame.interface[:2]} by NIC {frame.interface[2:]}, GRE key 0x{frame.nvgre.vsid:06x}"
            f"{frame.nvgre.flow_id:02x} = VSID {frame.nvgre.vsid}, FlowID {frame.nvgre.flow_id}"
        )

    narrator.claim("tenant A's packets travel as NVGRE (RFC 7637)", check)
    ping.wait()
    capture.stop()
    pcap = capture.write_pcap(run.directory / "wire.pcap")
    narrator.line("tshark reads it as:")
    text = sh(["tshark", "-n", "-r", str(pcap), "-Y", "gre.key && icmp", "-c", "200", "-V"], timeout=60).output
    keep = re.compile(
        r"^(Frame \d+|Ethernet|Internet Protocol|Generic Routing|    Protocol Type|    Key|    Flags|Internet Control)"
    )
    first = re.split(r"^(?=Frame \d)", text, flags=re.MULTILINE)[1:2]
    narrator.quote("\n".join(line for each in first for line in each.splitlines() if keep.match(line)))
    keys = re.findall(r"^    Key: 0x([0-9a-f]{8})$", text, re.MULTILINE)
    narrator.claim("tshark sees the same VSID", lambda: _same_vsid(keys))


def _same_vsid(keys: list[str]) -> str:
    found = {int(key, 16) >> 8 for key in keys}
    assert 5001 in found, f"VSIDs found: {found}"
    return f"gre.key >> 8 = {', '.join(map(str, sorted(found)))}"


def stay(narrator: Narrator, scene: Scene) -> None:
    """--keep: commands for hosts and guests, or just waiting when there is no terminal."""
    narrator.section("Everything is left running")
    for name, host in scene.hosts.items():
        narrator.line(f"{name}: {program('vswitchctl')} --socket {host.control} team show")
    narrator.line(
        "NAME COMMAND runs a command in a guest (a1 ping -c 2 10.1.0.12) or a host (h1 vswitchctl port list);"
        "\n"
        + ("Ctrl-D ends" if sys.stdin.isatty() else f"kill {os.getpid()} ends")
    )
    if not sys.stdin.isatty():
        signal.pause()
    while True:
        try:
            words = input("> ").split(maxsplit=1)
        except EOFError:
            return
        if len(words) != 2 or words[0] not in {*scene.machines, *scene.hosts}:
            print(f"one of {' '.join([*scene.hosts, *scene.machines])}, and a command")
            continue
        try:
            print(_command(scene, *words), end="")
        except (AssertionError, ValueError) as error:  # ValueError: quotation that does not end
            print(error)


def _command(scene: Scene, name: str, command: str) -> str:
    if name in scene.machines:
        return scene.machines[name].run(command, check=False).output
    host = scene.hosts[name]
    words = shlex.split(command)
    if words[0] == "vswitchctl":
        return host.ctl_text(*words[1:], check=False).output
    return host.netns.sh(words, check=False).output


def demonstrate(narrator: Narrator, options: argparse.Namespace) -> None:
    if not options.light:
        with narrator.step("kernel and user space of the guests (Debian's kernel is downloaded once, 70 MB)"):
            prepare()
    with Run(narrator.logs) as run:
        narrator.section("The scene: hosts h1 and h2, two NICs each, on a switch that learns MAC addresses")
        scene = Scene(run, options)
        start(narrator, scene, options)
        prove_reachability(narrator, scene)
        show_frame(narrator, scene, run)
        guests = (scene.machines["a1"], scene.machines["a2"])
        prove_shares(narrator, scene.fabric, *guests, "10.1.0.12")
        prove_failover(narrator, scene.fabric, guests[0], "10.1.0.12")
        if options.keep:
            stay(narrator, scene)
        narrator.section("The end")
        with narrator.step("guests, switches and teams end, namespaces are removed"):
            narrator.claim("vswitchd ends cleanly on both hosts", lambda: _end(scene))


def _end(scene: Scene) -> str:
    scene.fabric.stop()
    return "exit status 0"


def _interrupt(number: int, _: FrameType | None) -> None:
    for later in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(later, signal.SIG_IGN)
    raise Interrupted(number)


def main() -> int:
    parser = argparse.ArgumentParser(prog="quickstart")
    for flag in ("-y", "--yes", "--kvm", "--light", "--keep", "--built"):
        parser.add_argument(flag, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin:" + os.environ.get("PATH", "")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    narrator = Narrator()
    children.adopt_orphans()
    try:
        if not options.built:
            build(narrator, options.light)
        if os.geteuid() != 0:
            if not shutil.which("sudo"):
                raise AssertionError("network namespaces need root, and there is no sudo: run this as root")
            shutil.rmtree(narrator.logs)
            narrator.line("network namespaces need root: going on with sudo")
            os.execvp(
                "sudo",
                [
                    "sudo",
                    "env",
                    f"PYTHONPATH={os.environ['PYTHONPATH']}",
                    f"VSWITCHD_BUILD={build_directory()}",
                    "PYTHONDONTWRITEBYTECODE=1",
                    sys.executable,
                    "-m",
                    "lab.quickstart",
                    "--built",
                    *sys.argv[1:],
                ],
            )
        demonstrate(narrator, options)
    except Interrupted as signalled:
        print(f"\nquickstart: {signalled}: everything is removed", flush=True)
        shutil.rmtree(narrator.logs, ignore_errors=True)
        return 128 + signalled.number
    except BrokenPipeError:  # nobody reads any more
        sys.stdout = open(os.devnull, "w", encoding="ascii")  # pylint: disable=consider-using-with
        shutil.rmtree(narrator.logs, ignore_errors=True)
        return 128 + signal.SIGPIPE
    except AssertionError as error:
        narrator.failed.append(narrator.doing or str(error))
        narrator.line(str(error), "FAIL")
    finally:
        narrator.doing = ""
        children.end_all()
    total = narrator.proven + len(narrator.failed)
    print(
        f"\n{narrator.proven} of {total} claims proved in {time.monotonic() - narrator.started:.0f} s",
        flush=True,
    )
    for text in narrator.failed:
        print(f"  not proved: {text}")
    if narrator.failed:
        print(f"  logs: {narrator.logs}")
        return 1
    shutil.rmtree(narrator.logs, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
