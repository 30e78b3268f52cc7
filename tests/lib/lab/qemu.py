# SPDX-License-Identifier: BSD-3-Clause
"""Real guests: QEMU, Debian's kernel, virtio-net on a vhost-user socket, a command channel."""

from __future__ import annotations

import base64
import functools
import signal
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guest import image, kernel

from .guest import Guest, Job
from .netns import Netns
from .process import Process, Result
from .qmp import Qmp
from .wait import Timeout

_HERE = Path(image.__file__).parent
_MODULES = ["virtio_pci", "virtio_console", "virtio_net"]
_PROGRAMS = ["ip", "ping", "iperf3", "flock"]
# nothing here is needed by a guest that lives for seconds; each saves time under emulation
_KERNEL_LINE = (
    "console=ttyS0 quiet panic=-1 mitigations=off audit=0 net.ifnames=0 cryptomgr.notests rodata=off"
)


@dataclass(frozen=True)
class Nic:
    """A virtio-net device on a vhost-user socket. QEMU owns the socket if `server`."""

    socket: Path
    mac: str
    server: bool = True
    queues: int = 1
    packed: bool = False
    host_mtu: int = 0
    queue_size: int = 256
    properties: str = ""


@functools.cache
def _boot_files() -> tuple[Path, Path]:
    linux = kernel.obtain()
    return linux.image, image.build(linux, (_HERE / "init").read_bytes(), {"net": _MODULES}, _PROGRAMS)


def prepare() -> None:
    """Downloads the kernel and builds the image, if the cache lacks them."""
    _boot_files()


class QemuGuest(Guest):
    """A virtual machine. It boots once the switch has connected to its vhost-user sockets."""

    def __init__(
        self, netns: Netns, name: str, nics: list[Nic], memory: int = 192, cpus: int = 1, kvm: bool = False
    ) -> None:
        self.name = name
        self.mac = nics[0].mac
        self.nics = nics
        self.kvm = kvm
        self.boot_seconds = 0.0
        self.console = netns.run.logs / f"{name}.console"
        self._netns = netns
        self._run = netns.run
        self._size = (memory, cpus)
        self._changed = threading.Condition()
        self._jobs: dict[str, _QemuJob] = {}
        self._next = 0
        self._ready = False
        self._process: Process | None = None
        self._qmp: Qmp | None = None
        self._agent: socket.socket | None = None
        self._thread: threading.Thread | None = None

    @property
    def process(self) -> Process:
        assert self._process, f"{self.name} is not powered on"
        return self._process

    def power_on(self) -> None:
        directory = self._run.directory
        self._ready, self._qmp, self._agent, self._jobs = False, None, None, {}
        self._agent_listener: socket.socket = _listen(directory / f"{self.name}.agent")
        self._qmp_listener: socket.socket = _listen(directory / f"{self.name}.qmp")
        self._started = time.monotonic()
        self._process = self._netns.start(self.name, self._argv(directory))
        self._thread = threading.Thread(target=self._listen_to_agent, daemon=True)
        self._thread.start()
        self._run.defer(self.kill)

    def _argv(self, directory: Path) -> list[str]:
        linux, initrd = _boot_files()
        memory, cpus = self._size
        argv = [
            "qemu-system-x86_64",
            "-name",
            self.name,
            "-machine",
            "q35,memory-backend=ram",
            "-accel",
            "kvm" if self.kvm else "tcg",
            "-cpu",
            "host" if self.kvm else "max,la57=off",
            "-smp",
            str(cpus),
            "-m",
            str(memory),
            "-object",
            f"memory-backend-memfd,id=ram,size={memory}M,share=on",
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
            "-display",
            "none",
            "-serial",
            f"file:{self.console}",
            "-kernel",
            str(linux),
            "-initrd",
            str(initrd),
            "-append",
            _KERNEL_LINE,
            "-chardev",
            f"socket,id=qmp,path={directory}/{self.name}.qmp",
            "-mon",
            "chardev=qmp,mode=control",
            "-chardev",
            f"socket,id=agent,path={directory}/{self.name}.agent",
            "-device",
            "virtio-serial-pci",
            "-device",
            "virtserialport,chardev=agent",
        ]
        for number, nic in enumerate(self.nics):
            argv += [
                "-chardev",
                f"socket,id=vhu{number},path={nic.socket}"
                + (",server=on,wait=off" if nic.server else ",reconnect=1"),
                "-netdev",
                f"vhost-user,id=net{number},chardev=vhu{number},queues={nic.queues}",
                "-device",
                _device(number, nic, self.kvm),
            ]
        return argv

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Until it takes commands. `boot_seconds` is then the time since QEMU's start."""
        end = time.monotonic() + timeout
        with self._changed:
            while not self._ready:
                if self.process.status is not None:
                    raise AssertionError(
                        f"{self.name}: QEMU ended with status {self.process.status}\n"
                        f"{self.process.tail()}"
                    )
                if time.monotonic() >= end:
                    raise Timeout(
                        f"{self.name} did not boot within {timeout:g} s\n{self.process.tail()}\n"
                        f"{self._console_tail()}"
                    )
                self._changed.wait(0.2)

    def start(self, script: str) -> Job:
        self.wait_ready()
        assert self._agent
        with self._changed:
            self._next += 1
            job = _QemuJob(self, str(self._next), script)
            self._jobs[job.id] = job
        self._agent.sendall(f"{job.id} {base64.b64encode(script.encode()).decode()}\n".encode())
        return job

    def qmp(self, command: str, **arguments: Any) -> Any:
        """A command to QEMU itself."""
        return self.machine.command(command, **arguments)

    @property
    def machine(self) -> Qmp:
        """QEMU's machine protocol; answers once the switch has connected to the vhost-user sockets."""
        if self._qmp is None:
            self._qmp_listener.settimeout(10)
            self._qmp = Qmp(self._qmp_listener.accept()[0])
        return self._qmp

    def pause(self) -> None:
        """Stops its CPUs; it answers nothing any more."""
        self.qmp("stop")

    def resume(self) -> None:
        self.qmp("cont")

    def stop(self) -> None:
        """Ends QEMU the way `quit` does: sockets are closed, the guest is not asked."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        finally:
            self._close()

    def kill(self) -> None:
        self.process.kill()
        self._close()

    def _close(self) -> None:
        self._run.forget(self.kill)
        if self._thread:
            self._thread.join(5)
        for end in (self._agent, self._agent_listener, self._qmp_listener):
            if end:
                end.close()
        for name in ("agent", "qmp"):
            (self._run.directory / f"{self.name}.{name}").unlink(missing_ok=True)
        with self._changed:
            self._changed.notify_all()

    def _console_tail(self) -> str:
        if not self.console.exists():
            return "QEMU made no machine: nobody connected to its vhost-user sockets"
        return f"--- {self.console}\n" + "\n".join(
            self.console.read_text(errors="replace").splitlines()[-20:]
        )

    def _listen_to_agent(self) -> None:
        self._agent_listener.settimeout(0.5)
        while self._agent is None:
            try:
                self._agent = self._agent_listener.accept()[0]
            except TimeoutError:
                if self.process.status is not None:
                    return
            except OSError:
                return
        try:
            for line in self._agent.makefile("r", encoding="ascii", errors="replace"):
                self._reply(line.split())
        except OSError:
            pass
        with self._changed:
            self._changed.notify_all()

    def _reply(self, words: list[str]) -> None:
        if len(words) < 2:
            return
        output = base64.b64decode(words[2]).decode(errors="replace") if len(words) > 2 else ""
        with self._changed:
            if words[0] == "ready":
                self._ready = True
                self.boot_seconds = time.monotonic() - self._started
            elif words[0] in self._jobs:
                self._jobs[words[0]].result = Result(int(words[1]), output)
            self._changed.notify_all()

    def await_job(self, job: _QemuJob, timeout: float) -> Result:
        """For _QemuJob."""
        end = time.monotonic() + timeout
        with self._changed:
            while job.result is None:
                if self.process.status is not None:
                    raise AssertionError(
                        f"{self.name} is gone (status {self.process.status}) during: {job.script}"
                    )
                if time.monotonic() >= end:
                    raise Timeout(
                        f"{self.name}: not done within {timeout:g} s: {job.script}\n{self._console_tail()}"
                    )
                self._changed.wait(0.2)
            return job.result


class _QemuJob(Job):
    def __init__(self, machine: QemuGuest, number: str, script: str) -> None:
        self._guest = machine
        self.id = number
        self.script = script
        self.result: Result | None = None

    def wait(self, timeout: float = 30.0) -> Result:
        return self._guest.await_job(self, timeout)

    def send_signal(self, number: int) -> None:
        # the script leads a session of its own; it may not have written its pid yet
        self._guest.run(
            f"until [ -s /run/job/{self.id}.pid ]; do sleep 0.05; done; "
            f"kill -{number} -$(cat /run/job/{self.id}.pid)"
        )


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    listener.bind(str(path))
    listener.listen(1)
    return listener


def _device(number: int, nic: Nic, kvm: bool) -> str:
    parts = [
        f"virtio-net-pci,netdev=net{number},mac={nic.mac},romfile=",
        f"rx_queue_size={nic.queue_size},tx_queue_size={nic.queue_size}",
    ]
    if nic.queues > 1:
        parts.append("mq=on")
    if nic.packed:
        parts.append("packed=on")
    if nic.host_mtu:
        parts.append(f"host_mtu={nic.host_mtu}")
    if not kvm:
        parts.append("vectors=0")  # QEMU 7.2 crashes on vhost-user with MSI-X under TCG
    elif nic.queues > 1:
        parts.append(f"vectors={2 * nic.queues + 2}")
    if nic.properties:
        parts.append(nic.properties)
    return ",".join(parts)
