# SPDX-License-Identifier: BSD-3-Clause
"""Guests that are network namespaces: no machine to boot, and frames can be sent and captured at their
interface.
"""

from __future__ import annotations

import os
import signal
import subprocess

from .capture import Capture, Injector
from .guest import Guest, Job
from .netns import Netns
from .process import Result
from .run import Run
from .wait import Timeout


class NetnsGuest(Guest):
    """Somebody else provides eth0 inside."""

    def __init__(self, run: Run, name: str, mac: str) -> None:
        self.name = name
        self.mac = mac
        self.netns = Netns(run, name)
        self._injector: Injector | None = None

    def start(self, script: str) -> Job:
        return _NetnsJob(self.netns, script)

    def _ip(self, *lines: str) -> None:
        self.netns.batch(*(line.removeprefix("-6 ") for line in lines))

    def stop(self) -> None:
        """The namespace stays until the end of the run."""

    def kill(self) -> None:
        """As stop()."""

    def capture(self, outgoing: bool = False) -> Capture:
        """What arrives at eth0 from the switch; with `outgoing`, also what leaves."""
        return Capture(self.netns, "eth0", ["eth0"], outgoing)

    def forget_device(self) -> None:
        """eth0 is about to be made anew."""
        self._injector = None

    def send(self, frame: object, count: int = 1) -> None:
        """A raw frame (bytes or scapy) out of eth0, as if the guest's own stack had made it."""
        if self._injector is None:
            self._injector = Injector(self.netns, "eth0")
        self._injector.send(frame, count)


class _NetnsJob(Job):
    def __init__(self, netns: Netns, script: str) -> None:
        self._netns = netns
        self._script = script
        self._popen = subprocess.Popen(  # pylint: disable=consider-using-with
            [
                "ip",
                "netns",
                "exec",
                netns.name,
                "setpriv",
                "--pdeathsig",
                "KILL",
                "--",
                "/bin/sh",
                "-c",
                script,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        netns.run.defer(self._end)

    def wait(self, timeout: float = 30.0) -> Result:
        try:
            output = self._popen.communicate(timeout=timeout)[0]
        except subprocess.TimeoutExpired:
            self._end()
            raise Timeout(f"{self._netns.short}: not done within {timeout:g} s: {self._script}") from None
        self._netns.run.forget(self._end)
        code = self._popen.returncode
        return Result(128 - code if code < 0 else code, output.decode(errors="replace"))

    def send_signal(self, number: int) -> None:
        try:
            os.killpg(self._popen.pid, number)
        except ProcessLookupError:
            pass

    def _end(self) -> None:
        self.send_signal(signal.SIGKILL)
        self._popen.wait()
        if self._popen.stdout:
            self._popen.stdout.close()
        self._netns.run.forget(self._end)
