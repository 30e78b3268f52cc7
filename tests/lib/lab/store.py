# SPDX-License-Identifier: BSD-3-Clause
"""The store that hosts share: a real etcd in a namespace of its own, managers beside it, a network to reach them by."""

from __future__ import annotations

import json
import shutil
import ssl
import urllib.request
from pathlib import Path
from typing import Any

from . import conf
from .host import Host
from .netns import Netns
from .process import Process, Result, sh
from .programs import program
from .run import Run
from .underlay import Underlay
from .wait import until

PREFIX = "10.255.0"
POLICYD = "vswitch-policyd"


def installed() -> bool:
    return shutil.which("etcd") is not None


class Certificates:
    """An authority, a server's certificate and a client's: whoever has none is sent away."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.directory = directory
        new = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        addresses = ",".join(f"IP:{PREFIX}.{1 + number}" for number in range(3))
        sh(f"{new} -subj /CN=authority -keyout {directory}/ca.key -out {directory}/ca.pem")
        both = "-addext extendedKeyUsage=serverAuth,clientAuth"
        for name, subject, extra in (
            ("server", "/O=store", f"-addext subjectAltName={addresses} {both}"),
            ("client", "/O=hosts", "-addext extendedKeyUsage=clientAuth"),
        ):
            sh(
                f"{new} -subj {subject} {extra} -CA {directory}/ca.pem -CAkey {directory}/ca.key"
                f" -addext basicConstraints=critical,CA:FALSE"
                f" -keyout {directory}/{name}.key -out {directory}/{name}.pem"
            )

    def _file(self, name: str) -> str:
        return str(self.directory / name)

    @property
    def client(self) -> dict[str, Any]:
        """For the group `store`."""
        return {"ca": self._file("ca.pem"), "cert": self._file("client.pem"), "key": self._file("client.key")}

    @property
    def options(self) -> list[str]:
        """etcd's."""
        files = ["--trusted-ca-file", self._file("ca.pem"), "--cert-file", self._file("server.pem")]
        return [*files, "--key-file", self._file("server.key"), "--client-cert-auth"]

    def context(self, stranger: bool) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._file("ca.pem"))
        if not stranger:
            context.load_cert_chain(self._file("client.pem"), self._file("client.key"))
        return context


class Store:
    """etcd with so many members; `settings` is what goes into the group `store` of those who use it."""

    def __init__(self, run: Run, members: int = 1, tls: bool = False) -> None:
        self._run = run
        self._tls = Certificates(run.directory / "tls") if tls else None
        self._network = Underlay(run, "mg")
        self._numbers = 100
        self.netns = [Netns(run, f"e{number}") for number in range(members)]
        for number, netns in enumerate(self.netns):
            self._attach(netns, 1 + number)
        scheme = "https" if tls else "http"
        self.urls = [f"{scheme}://{PREFIX}.{1 + number}:2379" for number in range(members)]
        self.endpoints = list(self.urls)  # in the order they are tried
        self.processes: list[Process | None] = [None] * members
        self.managers: list[Manager] = []

    def _attach(self, netns: Netns, number: int) -> None:
        self._network.attach(netns, "m0")
        netns.ip(f"addr add {PREFIX}.{number}/24 dev m0")
        netns.ip("link set m0 up")

    @property
    def settings(self) -> dict[str, Any]:
        files = self._tls.client if self._tls else {}
        return {"backend": "etcd", "endpoints": self.endpoints, "lease-seconds": 2, **files}

    def start(self, number: int = 0) -> None:
        """A member; again with the data that it had."""
        peers = [f"http://{PREFIX}.{1 + each}:2380" for each in range(len(self.netns))]
        cluster = ",".join(f"e{each}={peer}" for each, peer in enumerate(peers))
        self.processes[number] = self.netns[number].start(
            f"etcd{number}",
            [
                "etcd", "--name", f"e{number}", "--data-dir", str(self._run.directory / f"etcd{number}"),
                "--listen-client-urls", self.urls[number], "--advertise-client-urls", self.urls[number],
                "--listen-peer-urls", peers[number], "--initial-advertise-peer-urls", peers[number],
                "--initial-cluster", cluster, "--unsafe-no-fsync", "--heartbeat-interval", "50",
                "--election-timeout", "500", *(self._tls.options if self._tls else []),
            ],
        )

    def start_all(self) -> None:
        for number in range(len(self.netns)):
            self.start(number)
        until(lambda: self.healthy(0), "etcd serves", 60.0)

    def healthy(self, number: int, stranger: bool = False) -> bool:
        """Does it answer; also somebody without a certificate?"""
        with self.netns[number].entered():
            try:
                url, context = f"{self.urls[number]}/health", self._tls.context(stranger) if self._tls else None
                with urllib.request.urlopen(url, timeout=2, context=context) as answer:
                    return bool(json.load(answer)["health"] == "true")
            except OSError:
                return False

    def leads(self, number: int) -> bool:
        """Is it the leader of the others? A request that was on its way to a dead one takes etcd seven seconds."""
        with self.netns[number].entered():
            url = f"{self.urls[number]}/v3/maintenance/status"
            with urllib.request.urlopen(urllib.request.Request(url, b"{}"), timeout=10) as answer:
                status = json.load(answer)
        return bool(status["leader"] == status["header"]["member_id"])

    def prefer(self, number: int) -> None:
        """All who come later talk to this member as long as it lives."""
        self.endpoints.remove(self.urls[number])
        self.endpoints.insert(0, self.urls[number])

    def kill(self, number: int = 0) -> None:
        process = self.processes[number]
        assert process
        process.kill()

    def use(self, host: Host) -> None:
        """The host has its policy from the store, and a way to it."""
        self._numbers += 1
        self._attach(host.netns, self._numbers)
        host.config["store"] = self.settings
        for kind in ("hosts", "subnets", "records"):
            host.config[kind].clear()

    def manager(self, name: str) -> Manager:
        manager = Manager(self._run, self, name, self.netns[0])
        self.managers.append(manager)
        return manager


class Manager:
    """A vswitch-policyd."""

    def __init__(self, run: Run, store: Store, name: str, netns: Netns) -> None:
        self.name = name
        self.netns = netns
        self.directory: Path = run.directory / name
        self.directory.mkdir()
        self.config_file = self.directory / "policyd.conf"
        self.config = {
            "host": {"id": name},
            "paths": {"run-dir": str(self.directory / "run")},
            "store": store.settings,
        }
        self.socket = self.directory / "run" / "manager"
        self.process: Process | None = None

    def start(self) -> None:
        self.config_file.write_text(conf.render(self.config))
        self.process = self.netns.start(self.name, [program(POLICYD), "--config", str(self.config_file)])
        until(self.socket.exists, f"the socket of {self.name}", 30.0)

    def stop(self) -> None:
        assert self.process
        assert self.process.stop(20.0) == 0, self.process.tail()

    def ctl(self, *words: str, check: bool = True, timeout: float = 30.0) -> Result:
        words = (program("vswitchctl"), "--socket", str(self.socket), "--manager", *words)
        return sh(words, check=check, timeout=timeout)

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.ctl("--json", "store", "show").output)
        return state

    def wait_elected(self) -> None:
        until(lambda: self.state()["elected"], f"{self.name} is elected", 60.0)

    def apply(self, policy: dict[str, Any], *words: str, check: bool = True) -> Result:
        file = self.directory / "policy.conf"
        file.write_text(conf.render(policy))
        return self.ctl("policy", "apply", str(file), *words, check=check)
