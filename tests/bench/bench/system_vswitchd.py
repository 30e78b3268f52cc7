# SPDX-License-Identifier: BSD-3-Clause
"""vswitchd itself: one worker, one DPDK device as the only member."""

from __future__ import annotations

import json
from pathlib import Path

from . import frames
from .case import Case
from .measure import Reading
from .place import WORKER_CPU, Guests, Place, until


class Vswitchd:
    name = "vswitchd"

    def __init__(self, place: Place, case: Case, guests: Guests, huge: bool, build: Path) -> None:
        self.place, self.case, self.guests = place, case, guests
        self.directory = place.directory / "vswitchd"
        self.directory.mkdir()
        self._ctl = build / "vswitchd/cli/vswitchctl"
        config = self.directory / "vswitchd.conf"
        config.write_text(self._config(huge))
        self.process = place.start("vswitchd", [str(build / "vswitchd/daemon/vswitchd"), "--config", str(config)])
        until("vswitchd's control socket", lambda: (self.directory / "run/control").exists()
              or self.process.poll() is not None)
        until("vswitchd", lambda: json.loads(self.ctl("version", "--json"))["ready"])
        self._records()

    def _config(self, huge: bool) -> str:
        case = self.case
        device = (f"net_pcap0,infinite_rx=1,rx_pcap={case.write_frames(self.place.directory)}" if case.from_wire
                  else "net_null0,no-rx=1")
        prefix = 24 if case.name == "routed" else 8
        subnets = [self._subnet(frames.VSID, f"10.0.0.1/{prefix}")]
        routes = [self._route(frames.VSID, f"10.0.0.0/{prefix}")]
        if case.name == "routed":
            subnets.append(self._subnet(frames.VSID2, "10.127.255.254/10"))
            routes.append(self._route(frames.VSID2, "10.64.0.0/10"))
        ports = [("vm0", frames.GUEST_MAC), ("vm1", frames.SINK_MAC)][:2 if case.name == "local" else 1]
        hosts = ",\n".join(
            f'{{ id = "h{i}"; pas = ( {{ address = "{frames.text_ip(frames.host_pa(i))}"; '
            f'mac = "{frames.text_mac(frames.host_mac(i))}"; }} ); }}' for i in range(frames.HOSTS))
        return f"""
host = {{ id = "self"; }};
paths = {{ run-dir = "{self.directory}/run"; state-dir = "{self.directory}/state";
          socket-dir = "{self.place.directory}"; }};
workers = {{ cores = [ {WORKER_CPU} ]; max-sleep-us = 0; }};
memory = {{ hugepages = "{'on' if huge else 'off'}"; }};
policy = {{ max-records = {max(65536, case.records + 16)}; }};
members = ( {{ name = "p0"; type = "dpdk"; devargs = "{device}"; }} );
provider-addresses = ( {{ address = "{frames.text_ip(frames.LOCAL_PA)}"; prefix-length = 24; member = "p0";
                         mac = "{frames.text_mac(frames.LOCAL_PA_MAC)}"; }} );
hosts = ( {hosts} );
subnets = ( {", ".join(subnets)} );
routes = ( {", ".join(routes)} );
records = ( {self._record(frames.GUEST_IP, frames.GUEST_MAC)}, {self._record(frames.SINK_IP, frames.SINK_MAC)} );
ports = ( {", ".join(self._port(name, mac) for name, mac in ports)} );
"""

    @staticmethod
    def _subnet(vsid: int, gateway: str) -> str:
        return (f'{{ vsid = {vsid}; rdid = "t"; gateways = [ "{gateway}" ]; '
                f'gateway-mac = "{frames.text_mac(frames.GATEWAY_MAC)}"; }}')

    @staticmethod
    def _route(vsid: int, prefix: str) -> str:
        return f'{{ rdid = "t"; vsid = {vsid}; prefix = "{prefix}"; }}'

    @staticmethod
    def _record(ip: bytes, mac: bytes) -> str:
        return (f'{{ vsid = {frames.VSID}; ca = "{frames.text_ip(ip)}"; mac = "{frames.text_mac(mac)}"; '
                f'host = "self"; }}')

    def _port(self, name: str, mac: bytes) -> str:
        return (f'{{ id = "{name}"; vsid = {frames.VSID}; macs = [ "{frames.text_mac(mac)}" ]; '
                f'packed = {"true" if self.case.ring == "packed" else "false"}; }}')

    def _records(self) -> None:
        """The remote guests, as an operator's tool would bring them."""
        if self.case.name == "local":
            return
        vsid = frames.VSID2 if self.case.name == "routed" else frames.VSID
        path = self.directory / "records"
        with path.open("w") as f:
            for i in range(self.case.records):
                r = frames.Record(i)
                f.write(f"vsid={vsid} ca={frames.text_ip(r.ip)} mac={frames.text_mac(r.mac)} host=h{r.host}\n")
        self.ctl("record", "import", str(path))

    def ctl(self, *words: str) -> str:
        return self.place.run(str(self._ctl), "--socket", f"{self.directory}/run/control", *words)

    def ready(self) -> None:
        self.guests.wait_ready()
        until("provider address", lambda: all(pa["state"] == "preferred" for pa in json.loads(
            self.ctl("team", "show", "--json"))["provider-addresses"]))

    def read(self) -> Reading:
        worker = json.loads(self.ctl("workers", "--json"))[0]
        return Reading(worker["busy-cycles"], worker["packets"], worker["busy-turns"],
                       self._accepted(worker["packets"]))

    def _accepted(self, packets: int) -> int:
        receiver = {"decap": "vm0", "local": "vm1"}.get(self.case.name)
        if receiver:
            return int(self.guests.stats()[receiver]["rx"]["packets"])
        member = json.loads(self.ctl("team", "show", "--json"))["members"][0]
        return int(member["tx"]["packets"])

    def memory(self) -> int:
        """Bytes: resident set and huge pages in use."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        words = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        return sum(int(words.get(name, "0 kB").split()[0]) * 1024 for name in ("VmRSS", "HugetlbPages"))
