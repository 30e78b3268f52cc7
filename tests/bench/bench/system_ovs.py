# SPDX-License-Identifier: BSD-3-Clause
"""OVS-DPDK doing the same: vhost-user client ports, GRE port with key=flow, one OpenFlow rule per record."""

from __future__ import annotations

import re
from pathlib import Path

from . import frames
from .case import Case
from .measure import Reading
from .place import GENERATOR_CPU, WORKER_CPU, Guests, Place, until

VSWITCHD = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
RULES_MAX = 100_000


class Ovs:
    name = "ovs"

    def __init__(self, place: Place, case: Case, guests: Guests, huge: bool) -> None:
        self.place, self.case, self.guests = place, case, guests
        self.directory = place.directory / "ovs"
        self.directory.mkdir()
        self._env = {name: str(self.directory) for name in ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR")}
        self._db = f"unix:{self.directory}/db.sock"
        self._start(huge)
        self._bridges()
        self._rules()

    def _start(self, huge: bool) -> None:
        self._tool("ovsdb-tool", "create", f"{self.directory}/conf.db", SCHEMA)
        self.place.start("ovsdb", ["ovsdb-server", f"{self.directory}/conf.db", f"--remote=p{self._db}",
                                   f"--unixctl={self.directory}/ovsdb.ctl"], env=self._env)
        until("ovsdb-server", (self.directory / "db.sock").exists)
        memory = "--in-memory --file-prefix=ovsbench" if huge else "--no-huge -m 2048"
        self._vsctl("--no-wait", "init")
        self._vsctl("--no-wait", "set", "Open_vSwitch", ".", "other_config:dpdk-init=true",
                    f"other_config:pmd-cpu-mask={1 << WORKER_CPU:#x}",
                    f"other_config:dpdk-lcore-mask={1 << GENERATOR_CPU:#x}",
                    f"other_config:dpdk-extra=--no-pci --no-telemetry {memory}")
        self.process = self.place.start("ovs", [VSWITCHD, self._db, f"--unixctl={self.directory}/vs.ctl",
                                                f"--pidfile={self.directory}/vs.pid"], env=self._env)
        until("ovs-vswitchd", (self.directory / "vs.ctl").exists)

    def _bridges(self) -> None:
        case, v = self.case, self._vsctl
        device = ("net_pcap0,infinite_rx=1,rx_pcap=" + str(case.write_frames(self.place.directory))
                  if case.from_wire else "net_null0,no-rx=1")
        v("add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=netdev", "fail-mode=secure")
        v("add-br", "br-phy", "--", "set", "bridge", "br-phy", "datapath_type=netdev",
          f'other-config:hwaddr="{frames.text_mac(frames.LOCAL_PA_MAC)}"')
        v("add-port", "br-int", "vm0", "--", "set", "interface", "vm0", "type=dpdkvhostuserclient", "ofport_request=1",
          f"options:vhost-server-path={self.place.directory}/vm0.sock")
        if case.name == "local":
            v("add-port", "br-int", "vm1", "--", "set", "interface", "vm1", "type=dpdkvhostuserclient",
              "ofport_request=2", f"options:vhost-server-path={self.place.directory}/vm1.sock")
            return
        v("add-port", "br-phy", "p0", "--", "set", "interface", "p0", "type=dpdk", f"options:dpdk-devargs={device}")
        v("add-port", "br-int", "gre0", "--", "set", "interface", "gre0", "type=gre", "ofport_request=100",
          "options:remote_ip=flow", "options:key=flow", f"options:local_ip={frames.text_ip(frames.LOCAL_PA)}")
        self.place.run("ip", "addr", "add", f"{frames.text_ip(frames.LOCAL_PA)}/24", "dev", "br-phy")
        self.place.run("ip", "link", "set", "br-phy", "up")
        for host in range(frames.HOSTS):
            self._appctl("tnl/neigh/set", "br-phy", frames.text_ip(frames.host_pa(host)),
                         frames.text_mac(frames.host_mac(host)))

    def _rules(self) -> None:
        path = Path(self.directory / "rules")
        with path.open("w") as f:
            for rule in self._rule_list():
                f.write(rule + "\n")
        self._tool("ovs-ofctl", "-O", "OpenFlow13", "add-flows", "br-int", str(path))

    def _rule_list(self) -> list[str]:
        case = self.case
        if case.records > RULES_MAX:
            raise RuntimeError(f"OVS is not measured with more than {RULES_MAX} rules")
        if case.name == "local":
            return [f"in_port=1,dl_dst={frames.text_mac(frames.SINK_MAC)},actions=output:2"]
        if case.from_wire:
            return [f"in_port=100,tun_id={frames.VSID << 8:#x}/0xffffff00,"
                    f"dl_dst={frames.text_mac(frames.GUEST_MAC)},actions=output:1"]
        return [self._record_rule(frames.Record(i)) for i in range(case.records)]

    def _record_rule(self, record: frames.Record) -> str:
        pa = frames.text_ip(frames.host_pa(record.host))
        if self.case.name == "routed":
            return (f"in_port=1,ip,dl_dst={frames.text_mac(frames.GATEWAY_MAC)},nw_dst={frames.text_ip(record.ip)},"
                    f"actions=dec_ttl,set_field:{frames.text_mac(record.mac)}->eth_dst,"
                    f"set_field:{frames.text_mac(frames.GATEWAY_MAC)}->eth_src,"
                    f"set_field:{frames.VSID2 << 8:#x}->tun_id,set_field:{pa}->tun_dst,output:100")
        return (f"in_port=1,dl_dst={frames.text_mac(record.mac)},actions=set_field:{frames.VSID << 8:#x}->tun_id,"
                f"set_field:{pa}->tun_dst,output:100")

    def ready(self) -> None:
        self.guests.wait_ready()

    def read(self) -> Reading:
        text = self._appctl("dpif-netdev/pmd-perf-show")
        packets = int(re.search(r"Rx packets:\s+(\d+)", text)[1])  # type: ignore[index]
        per_packet = re.search(r"Rx packets:.*?([\d.]+)\s+cycles/pkt", text)
        used = int(re.search(r"busy iterations:\s+(\d+)", text)[1])  # type: ignore[index]
        cycles = self._busy_cycles(text, packets, float(per_packet[1]) if per_packet else 0.0)
        return Reading(cycles, packets, used, self._accepted(packets))

    def _busy_cycles(self, text: str, packets: int, per_packet: float) -> int:
        stats = self._appctl("dpif-netdev/pmd-stats-show")
        found = re.search(r"processing cycles:\s+(\d+)", stats)
        return int(found[1]) if found else round(packets * per_packet)

    def _accepted(self, packets: int) -> int:
        receiver = {"decap": "vm0", "local": "vm1"}.get(self.case.name)
        return int(self.guests.stats()[receiver]["rx"]["packets"]) if receiver else packets

    def _vsctl(self, *words: str) -> str:
        return self._tool("ovs-vsctl", f"--db={self._db}", *words)

    def _appctl(self, *words: str) -> str:
        return self._tool("ovs-appctl", f"--target={self.directory}/vs.ctl", *words)

    def _tool(self, *argv: str) -> str:
        return self.place.run(*argv, env=self._env)
