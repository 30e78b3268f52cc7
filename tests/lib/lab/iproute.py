# SPDX-License-Identifier: BSD-3-Clause
"""iproute2's ip, kept running: a command costs no process, which is most of what it costs where the CPU is emulated."""

from __future__ import annotations

import os
import select
import subprocess
import threading
import time

from .wait import Timeout

SECONDS = 30.0
_FAILED = "Command failed -:"


class IpError(AssertionError):
    """A command failed: what ip says."""


class Iproute:
    """`ip -batch -` in a namespace (none: that of this process), from the first command until close(); it does not
    outlive this process. For commands that change something: others may keep what they print to themselves until they
    end.
    """

    def __init__(self, netns: str = "") -> None:
        # a command that fails does not end it
        self._argv = ["ip", "-force", *(["-n", netns] if netns else []), "-batch", "-"]
        self._lock = threading.Lock()
        self._popen: subprocess.Popen[bytes] | None = None
        self._buffer = b""
        self._commands = 0

    def run(self, line: str) -> str:
        """One command, what it prints. ip remembers which name is which interface, so what fails is tried again by one
        that remembers nothing.
        """
        with self._lock:
            fresh = self._popen is None
            try:
                output, failed = self._ask(line)
                if failed and not fresh:
                    self._end()
                    output, failed = self._ask(line)
            except BaseException:  # interrupted, it may owe an answer that nobody reads
                self._end()
                raise
            if failed or " name " in line:
                self._end()
            if failed:
                raise IpError(f"{' '.join(self._argv)}: {line}\n{output}")
            return output

    def close(self) -> None:
        with self._lock:
            self._end()

    def _ask(self, line: str) -> tuple[str, bool]:
        """Output, whether it failed. A second line that is no command fails behind it."""
        if self._popen is None:
            # a session of its own: it is still needed after a Ctrl-C
            self._popen = subprocess.Popen(  # pylint: disable=consider-using-with
                self._argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._commands, self._buffer = 0, b""
        assert self._popen.stdin
        number = self._commands + 1
        self._commands += 2
        end = f"{_FAILED}{number + 1}\n"
        os.write(self._popen.stdin.fileno(), f"{line}\nend-of-{number}\n".encode())
        output = self._read(end, line)
        failure, mark = f"{_FAILED}{number}\n", f'"end-of-{number}"'
        lines = [each for each in output.removesuffix(end).splitlines(keepends=True) if mark not in each]
        return "".join(each for each in lines if each != failure), failure in lines

    def _read(self, end: str, line: str) -> str:
        assert self._popen and self._popen.stdout
        until = time.monotonic() + SECONDS
        while not self._buffer.endswith(end.encode()):
            if not select.select([self._popen.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
                raise Timeout(f"ip {line}: not done within {SECONDS:g} s\n{self._buffer.decode(errors='replace')}")
            data = os.read(self._popen.stdout.fileno(), 65536)
            if not data:
                raise IpError(f"{' '.join(self._argv)} ended\n{self._buffer.decode(errors='replace')}")
            self._buffer += data
        output, self._buffer = self._buffer.decode(errors="replace"), b""
        return output

    def _end(self) -> None:
        popen, self._popen = self._popen, None
        if popen is None:
            return
        assert popen.stdin and popen.stdout
        popen.stdin.close()
        popen.stdout.close()
        popen.kill()
        popen.wait()
