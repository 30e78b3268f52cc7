# SPDX-License-Identifier: BSD-3-Clause
"""Where a bench runs: a directory and a network namespace of its own, processes that end with it."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Callable

GENERATOR_CPU, WORKER_CPU = 0, 1


def hugepages_free() -> int:
    return int(Path("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages").read_text())


def until(what: str, ready: Callable[[], Any], seconds: float = 60.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = ready()
        if value:
            return value
        time.sleep(0.02)
    raise RuntimeError(f"{what}: not within {seconds:g} s")


class Place:
    """Directory and namespace of one run; everything in it ends with the `with` block."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="vswbench-"))
        self.netns = self.directory.name
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Place:
        subprocess.run(["ip", "netns", "add", self.netns], check=True)
        subprocess.run(["ip", "-n", self.netns, "link", "set", "lo", "up"], check=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
                 ) -> None:
        for process in reversed(self._processes):
            self.end(process)
        subprocess.run(["ip", "netns", "del", self.netns], check=False)
        if kind is None or kind is KeyboardInterrupt:
            shutil.rmtree(self.directory, ignore_errors=True)
        else:
            print(f"logs: {self.directory}")

    def start(self, name: str, argv: list[str], env: dict[str, str] | None = None, pipe: bool = False
              ) -> subprocess.Popen[bytes]:
        log = (self.directory / f"{name}.log").open("ab")
        process = subprocess.Popen(["ip", "netns", "exec", self.netns, *argv], env={**os.environ, **(env or {})},
                                   stdin=subprocess.PIPE if pipe else subprocess.DEVNULL,
                                   stdout=subprocess.PIPE if pipe else log, stderr=log, start_new_session=True)
        log.close()
        self._processes.append(process)
        return process

    def run(self, *argv: str, env: dict[str, str] | None = None) -> str:
        done = subprocess.run(["ip", "netns", "exec", self.netns, *argv], env={**os.environ, **(env or {})},
                              capture_output=True, text=True, timeout=600, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(argv)[:200]}: {done.stderr or done.stdout}")
        return done.stdout

    def pause(self, yes: bool) -> None:
        """All processes of this place stand still, or go on."""
        for process in self._processes:
            process.send_signal(signal.SIGSTOP if yes else signal.SIGCONT)

    def end(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGCONT)
        if process in self._processes:
            self._processes.remove(process)
        for number, patience in ((signal.SIGTERM, 15), (signal.SIGKILL, 5)):
            if process.poll() is not None:
                break
            process.send_signal(number)
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                continue
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()


class Guests:
    """One vhu-peer with all guests of a case, polling on the generator's CPU."""

    def __init__(self, place: Place, program: str, groups: list[str]) -> None:
        ports = [word for group in groups for word in ("--port", group)]
        self.place = place
        self.process = place.start("vhu-peer", [program, "--busy", "--hold", "--cpus", str(GENERATOR_CPU), *ports],
                                   pipe=True)
        self._buffer = b""
        self._waiting: list[dict[str, Any]] = []
        self._ports = len(groups)

    def wait_ready(self) -> None:
        for _ in range(self._ports):
            self._next(lambda o: o.get("event") == "ready")

    def say(self, command: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()

    def stats(self) -> dict[str, dict[str, Any]]:
        self.say("stats")
        replies = [self._next(lambda o: o.get("reply") == "stats") for _ in range(self._ports)]
        return {reply["port"]: reply for reply in replies}

    def end(self) -> None:
        self.place.end(self.process)

    def _next(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = 60.0) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while True:
            for i, o in enumerate(self._waiting):
                if wanted(o):
                    return self._waiting.pop(i)
            self._read(end - time.monotonic())

    def _read(self, seconds: float) -> None:
        assert self.process.stdout
        ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, seconds))
        data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
        if not data:
            raise RuntimeError(f"vhu-peer says nothing; log in {self.place.directory}/vhu-peer.log")
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        self._waiting += [json.loads(line) for line in lines if line.startswith(b"{")]
