# SPDX-License-Identifier: BSD-3-Clause
"""A host whose switch is Open vSwitch: NVGRE with its GRE port and OpenFlow rules, all in user space."""

from __future__ import annotations

from pathlib import Path

from .netns import Netns
from .netns_guest import NetnsGuest
from .process import Process, Result, sh
from .run import Run
from .underlay import Cable, Underlay
from .wait import until

SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


class OvsHost:
    """One NIC, one provider address, an OVS of its own (database and sockets in the run's directory).

    br-phy carries the NIC and the provider address, br-int the guests and the tunnel port. The tunnel id is
    the whole 32-bit GRE key (key=flow): VSID << 8 | FlowID.
    """

    program = "ovs-vswitchd"

    def __init__(self, run: Run, underlay: Underlay, name: str, provider_address: str) -> None:
        self.name = name
        self.netns = Netns(run, name)
        self.provider_address = provider_address.split("/", maxsplit=1)[0]
        self._run = run
        self._guests: dict[str, tuple[int, int]] = {}
        self.directory: Path = run.directory / name
        self.directory.mkdir()
        self.cable: Cable = underlay.attach(self.netns, "a0")
        self._env = {
            "OVS_RUNDIR": str(self.directory),
            "OVS_LOGDIR": str(self.directory),
            "OVS_DBDIR": str(self.directory),
        }
        self._db = f"unix:{self.directory}/db.sock"
        self._start()
        self._make_bridges(provider_address)

    def _start(self) -> None:
        database = self.directory / "conf.db"
        sh(["ovsdb-tool", "create", str(database), SCHEMA])
        self.database: Process = self.netns.start(
            f"{self.name}-ovsdb",
            ["ovsdb-server", str(database), f"--remote=p{self._db}", f"--unixctl={self.directory}/ovsdb.ctl"],
            env=self._env,
        )
        until((self.directory / "db.sock").exists, "ovsdb-server listens")
        self.vsctl("--no-wait", "init")
        self.set_up_switch()
        self.switch: Process = self.netns.start(
            f"{self.name}-ovs",
            [
                self.program,
                self._db,
                f"--unixctl={self.directory}/vswitchd.ctl",
                f"--pidfile={self.directory}/ovs-vswitchd.pid",
            ],
            env=self._env,
        )

    def set_up_switch(self) -> None:
        """What is in the database before the switch starts."""

    def add_nic(self) -> None:
        self.vsctl("add-port", "br-phy", "a0")

    def _make_bridges(self, provider_address: str) -> None:
        for bridge in ("br-phy", "br-int"):
            self.vsctl(
                "add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev", "fail-mode=secure"
            )
        self.add_nic()
        self.vsctl("set", "bridge", "br-phy", "fail-mode=standalone")
        self.vsctl(
            "add-port",
            "br-int",
            "gre0",
            "--",
            "set",
            "interface",
            "gre0",
            "type=gre",
            "ofport_request=100",
            "options:remote_ip=flow",
            "options:key=flow",
            f"options:local_ip={self.provider_address}",
        )
        # the kernel must not answer for br-phy's address with the NIC's MAC
        self.netns.ip("link set a0 arp off")
        self.netns.ip("link set br-phy addrgenmode none")
        self.netns.ip(f"addr add {provider_address} dev br-phy")
        self.netns.ip("link set br-phy up")

    def guest(self, name: str, mac: str, vsid: int, flow_id: int = 0) -> NetnsGuest:
        """A guest whose frames to unicast addresses need a rule from reach()."""
        guest = NetnsGuest(self._run, name, mac)
        port = f"{name}p"[-15:]
        self.netns.ip(f"link add {port} type veth peer name eth0 address {mac} netns {guest.netns.name}")
        for netns, end in ((self.netns, port), (guest.netns, "eth0")):
            netns.sh(f"ethtool -K {end} tx off", check=False)
        self.netns.ip(f"link set {port} addrgenmode none up")
        self.add_port(guest, port, vsid, flow_id)
        return guest

    def add_port(self, guest: NetnsGuest, port: str, vsid: int, flow_id: int = 0, *interface: str) -> None:
        """A guest's port of br-int; `interface` are settings of its interface."""
        number, mac = len(self._guests) + 1, guest.mac
        self.vsctl("add-port", "br-int", port, "--", "set", "interface", port, f"ofport_request={number}", *interface)
        self.flow(f"in_port=100,tun_id={vsid << 8:#x}/0xffffff00,dl_dst={mac},actions=output:{number}")
        self.flow(
            f"in_port=100,tun_id={vsid << 8:#x}/0xffffff00,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,"
            f"actions=output:{number}"
        )
        self._guests[guest.name] = (number, vsid << 8 | flow_id)

    def reach(self, guest: NetnsGuest, mac: str, provider_address: str) -> None:
        """Frames from `guest` to `mac`, and its broadcasts, go to that provider address."""
        number, key = self._guests[guest.name]
        send = f"set_field:{key:#x}->tun_id,set_field:{provider_address}->tun_dst,output:100"
        self.flow(f"in_port={number},dl_dst={mac},actions={send}")
        self.flow(f"in_port={number},dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,actions={send}")

    def flow(self, rule: str) -> None:
        self._tool("ovs-ofctl", "-O", "OpenFlow13", "add-flow", "br-int", rule)

    def vsctl(self, *words: str) -> str:
        return self._tool("ovs-vsctl", f"--db={self._db}", *words).output

    def appctl(self, *words: str) -> str:
        return self._tool("ovs-appctl", f"--target={self.directory}/vswitchd.ctl", *words).output

    def _tool(self, program: str, *words: str) -> Result:
        return sh(["env", *(f"{name}={value}" for name, value in self._env.items()), program, *words])

    def stop(self) -> None:
        self.switch.stop()
        self.database.stop()
