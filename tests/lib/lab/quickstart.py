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
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from runner import children

from .capture import tshark_fields
from .fabric import Fabric
from .guest import Guest
from .host import Host
from .process import sh
from .programs import SOURCE, build_directory, program
from .qemu import QemuGuest, prepare
from .run import Run
from .underlay import Cable
from .wait import until

TARGETS = ["vswitchd/daemon/vswitchd", "vswitchd/cli/vswitchctl"]
TICK_SECONDS = 15.0
NAME_PORT = 7
STREAMS = 32


class Interrupted(BaseException):
    """The user, or the system, wants us to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@dataclass
class Narrator:
    """Tells what is going on, and that something still is."""

    started: float = field(default_factory=time.monotonic)
    proven: int = 0
    failed: list[str] = field(default_factory=list)
    last_output: float = field(default_factory=time.monotonic)
    doing: str = ""
    logs: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="vswitchd-quickstart-")))

    def __post_init__(self) -> None:
        threading.Thread(target=self._tick, daemon=True).start()

    def line(self, text: str = "", mark: str = "    ") -> None:
        self.last_output = time.monotonic()
        stamp = f"{time.monotonic() - self.started:4.0f} s"
        for number, part in enumerate(text.splitlines() or [""]):
            print(
                f"{stamp if not number else ' ' * len(stamp)}  {mark if not number else '    '} {part}",
                flush=True,
            )

    def section(self, text: str) -> None:
        print(flush=True)
        self.line(text, "----")

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Something that takes a while."""
        self.doing = text
        self.line(text + "...")
        yield
        self.doing = ""

    def claim(self, text: str, check: Callable[[], str]) -> None:
        """Something to be proved. `check` returns what was seen, or raises AssertionError."""
        self.doing = text
        try:
            seen = check()
        except AssertionError as error:
            self.failed.append(text)
            self.line(f"{text}\n{error}", "FAIL")
        else:
            self.proven += 1
            self.line(f"{text}{': ' + seen if seen else ''}", " ok ")
        self.doing = ""

    def _tick(self) -> None:
        while True:
            time.sleep(1)
            if self.doing and time.monotonic() - self.last_output > TICK_SECONDS:
                self.line(f"still at it: {self.doing}")


def build(narrator: Narrator) -> None:
    """meson and ninja, only what is needed here."""
    directory = build_directory()
    os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin:" + os.environ.get("PATH", "")
    steps = [] if (directory / "build.ninja").exists() else [["meson", "setup", str(directory), str(SOURCE)]]
    steps.append(["ninja", "-C", str(directory), *TARGETS])
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

    def __init__(self, run: Run, kvm: bool) -> None:
        self.fabric = Fabric(run, hosts=2, nics=2)
        self.fabric.subnet(5001, "tenant-a", "10.1.0.1/24")
        self.fabric.subnet(5002, "tenant-a", "10.2.0.1/24")
        self.fabric.subnet(6001, "tenant-b", "10.1.0.1/24")
        self.machines: dict[str, QemuGuest] = {}
        for name, host, vsid, addresses, mac in (
            ("a1", "h1", 5001, ["10.1.0.11/24"], "02:00:00:00:01:11"),
            ("a2", "h2", 5001, ["10.1.0.12/24"], "02:00:00:00:01:12"),
            ("a3", "h2", 5002, ["10.2.0.12/24"], "02:00:00:00:02:12"),
            ("b1", "h1", 6001, ["10.1.0.11/24"], "02:00:00:00:01:11"),
            ("b2", "h2", 6001, ["10.1.0.12/24", "10.1.0.99/24"], "02:00:00:00:01:12"),
        ):
            # the MTU that fits is the guest's own 1500: the provider network here has room for the tunnel
            self.machines[name] = self.fabric.machine(host, name, vsid, *addresses, mac=mac, kvm=kvm)

    @property
    def hosts(self) -> dict[str, Host]:
        return self.fabric.hosts


def start(narrator: Narrator, scene: Scene) -> None:
    """Everything up, with a line for each."""
    fabric = scene.fabric
    with narrator.step(
        "vswitchd on h1 and h2, in the namespaces "
        + " and ".join(host.netns.name for host in scene.hosts.values())
    ):
        for host in scene.hosts.values():
            host.start(ready=False)
        for host in scene.hosts.values():
            host.wait_ready()
    first = next(iter(scene.machines.values()))
    with narrator.step(
        f"booting {len(scene.machines)} guests under {'KVM' if first.kvm else 'emulation (TCG)'}"
    ):
        for guest in scene.machines.values():
            guest.power_on()
        for name, guest in scene.machines.items():
            fabric.finish_by_name(name)
            narrator.line(f"{name} is up after {guest.boot_seconds:.0f} s: {fabric.describe(name)}")
    for name, guest in scene.machines.items():
        guest.run(
            f"echo {name} > /run/name; while :; do nc -l -p {NAME_PORT} < /run/name > /dev/null; done "
            "> /dev/null 2>&1 &"
        )


def who_is(guest: Guest, address: str) -> str:
    """The name of the machine that answers at an address."""
    return until(
        lambda: guest.run(f"nc -w 3 {address} {NAME_PORT} < /dev/null", check=False).output.strip(),
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
    text = sh(
        ["tshark", "-n", "-r", str(pcap), "-Y", "gre.key && icmp", "-c", "200", "-V"], timeout=60
    ).output
    keep = re.compile(
        r"^(Frame 1|Ethernet|Internet Protocol|Generic Routing|    Protocol Type|    Key|    Flags|"
        r"Internet Control|Frame \d+)"
    )
    shown = 0
    for line in text.splitlines():
        shown += line.startswith("Frame")
        if shown == 1 and keep.match(line):
            print(f"             {line[:150]}", flush=True)
    rows = tshark_fields(pcap, ["gre.key"], "gre.key")
    narrator.claim("tshark sees the same VSID", lambda: _same_vsid(rows))


def _same_vsid(rows: list[list[str]]) -> str:
    found = {int(row[0], 0) >> 8 for row in rows}
    assert 5001 in found, f"VSIDs found: {found}"
    return f"gre.key >> 8 = {', '.join(map(str, sorted(found)))}"


def prove_team(narrator: Narrator, scene: Scene) -> None:
    """Both NICs of both hosts carry a share, both ways; and one of them is enough."""
    narrator.section(f"The team: {STREAMS} TCP streams each way between a1 and a2")
    one, two = scene.machines["a1"], scene.machines["a2"]
    cables = [cable for host in scene.hosts.values() for cable in host.cables]
    before = {cable.port: cable.counters() for cable in cables}
    for direction in ("", "-R"):
        server = two.start("iperf3 -s -1")
        with narrator.step(f"iperf3 {'from a2 to a1' if direction else 'from a1 to a2'}"):

            def run_client(way: str = direction) -> str:
                done = one.run(f"iperf3 -c 10.1.0.12 -t 2 -P {STREAMS} {way}", timeout=60, check=False)
                return done.output if done.ok else ""

            output = until(run_client, "iperf3 connects", 60)
            rates = re.findall(r"\[SUM\].*?([\d.]+ \wbits/sec).*receiver", output)
            narrator.line(f"{rates[-1] if rates else 'done'}")
        server.wait()
    used = {cable.port: cable.counters() - before[cable.port] for cable in cables}
    narrator.line(f"{'packets':12} {'sent':>10} {'received':>10}")
    for cable in cables:
        narrator.line(
            f"{cable.host.short + ' ' + cable.nic:12} {used[cable.port].tx_packets:>10} "
            f"{used[cable.port].rx_packets:>10}"
        )
    for name, host in scene.hosts.items():
        for way in ("sent", "received"):
            narrator.claim(
                f"{name} has {way} by both NICs",
                lambda host=host, way=way: _share(  # type: ignore[misc]
                    [
                        used[cable.port].tx_packets if way == "sent" else used[cable.port].rx_packets
                        for cable in host.cables
                    ]
                ),
            )
    narrator.claim(
        "a NIC of h1 loses its link: traffic goes on by the other",
        lambda: _unplugged(one, scene.hosts["h1"].cables[0]),
    )


def _share(packets: list[int]) -> str:
    share = [count / max(1, sum(packets)) for count in packets]
    assert min(share) > 0.1, f"shares {share}"
    return " : ".join(f"{each:.0%}" for each in share)


def _unplugged(guest: Guest, cable: Cable) -> str:
    cable.unplug()
    try:
        got = guest.ping("10.1.0.12", 20, 0.1, 3.0)
    finally:
        cable.plug()
    assert got >= 18, f"{got} of 20 echo requests answered"
    return f"{got} of 20 echo requests answered from the moment the cable was pulled"


def stay(narrator: Narrator, scene: Scene) -> None:
    """--keep: commands for hosts and guests, or just waiting when there is no terminal."""
    narrator.section("Everything is left running")
    for name, host in scene.hosts.items():
        narrator.line(f"{name}: {program('vswitchctl')} --socket {host.control} team show")
    narrator.line(
        "NAME COMMAND runs a command in a guest (a1 ping -c 2 10.1.0.12) or a host (h1 vswitchctl port list);"
        "\n"
        "Ctrl-D ends"
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
    with narrator.step("kernel and user space of the guests (Debian's kernel is downloaded once, 70 MB)"):
        prepare()
    with Run(narrator.logs) as run:
        narrator.section("The scene: hosts h1 and h2, two NICs each, on a switch that learns MAC addresses")
        scene = Scene(run, options.kvm)
        start(narrator, scene)
        prove_reachability(narrator, scene)
        show_frame(narrator, scene, run)
        prove_team(narrator, scene)
        if options.keep:
            stay(narrator, scene)
        narrator.section("The end")
        with narrator.step("guests and switches end, namespaces are removed"):
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
    for flag in ("-y", "--yes", "--kvm", "--keep", "--built"):
        parser.add_argument(flag, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    narrator = Narrator()
    children.adopt_orphans()
    try:
        if not options.built:
            build(narrator)
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
