# SPDX-License-Identifier: BSD-3-Clause
"""A host played by the test: provider addresses of the kernel's, NVGRE by scapy."""

from __future__ import annotations

import socket
from typing import Any

from scapy.layers.inet import GRE, IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet

from .capture import Capture, Injector
from .netns import Netns
from .run import Run
from .underlay import Underlay
from .wait import until

GRE_PROTOCOL = 47


def nvgre(
    outer_source: str, outer_destination: str, vsid: int, inner: Packet | bytes, flow_id: int = 0, **gre: Any
) -> Packet:
    """From the outer IP header on, as RFC 7637 wants it; `gre` overrides fields of scapy's GRE layer."""
    fields = {"key_present": 1, "proto": 0x6558, "key": vsid << 8 | flow_id, **gre}
    if ":" in outer_destination:
        outer: Packet = IPv6(src=outer_source, dst=outer_destination, hlim=64, nh=GRE_PROTOCOL)
    else:
        outer = IP(src=outer_source, dst=outer_destination, flags="DF", ttl=64, proto=GRE_PROTOCOL)
    return outer / GRE(**fields) / inner


class WireHost:
    """One NIC with provider addresses. The kernel answers ARP and ND for them; NVGRE is the test's business."""

    def __init__(self, run: Run, underlay: Underlay, name: str, *provider_addresses: str) -> None:
        self.name = name
        self.netns = Netns(run, name)
        self.cable = underlay.attach(self.netns, "a0")
        self.mac = self.netns.mac("a0")
        self.provider_addresses = [address.split("/")[0] for address in provider_addresses]
        self.netns.ip("link set a0 addrgenmode eui64")
        for address in provider_addresses:
            self.netns.ip(f"addr add {address} dev a0{' nodad' if ':' in address else ''}")
        self._injector = Injector(self.netns, "a0")
        # somebody takes GRE: else the kernel would answer with ICMP errors
        with self.netns.entered():
            for family in (socket.AF_INET, socket.AF_INET6):
                sink = socket.socket(family, socket.SOCK_RAW, GRE_PROTOCOL)
                sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
                run.defer(sink.close)

    def capture(self) -> Capture:
        """What arrives here."""
        return Capture(self.netns, "a0", ["a0"])

    def resolve(self, address: str) -> str:
        """MAC address of a provider address, asked for by the kernel."""

        def lladdr() -> str:
            self.netns.sh(f"ping -c 1 -W 0.2 {address}", check=False)
            words = self.netns.ip(f"neigh show {address} dev a0").split()
            return words[words.index("lladdr") + 1] if "lladdr" in words else ""

        return until(lladdr, f"{self.name} resolves {address}")

    def send(self, packet: Packet, mac: str = "", vlan: int = 0, count: int = 1) -> None:
        """From the outer IP header on; the destination's MAC address is looked up unless given."""
        tag = Dot1Q(vlan=vlan) if vlan else None
        ether = Ether(src=self.mac, dst=mac or self.resolve(packet.dst))
        self._injector.send(ether / tag / packet if tag else ether / packet, count)

    def send_nvgre(
        self,
        destination: str,
        vsid: int,
        inner: Packet | bytes,
        flow_id: int = 0,
        source: str = "",
        count: int = 1,
        **gre: Any,
    ) -> None:
        """An inner frame to a provider address, from our first one of that family."""
        own = source or next(a for a in self.provider_addresses if (":" in a) == (":" in destination))
        self.send(nvgre(own, destination, vsid, inner, flow_id, **gre), count=count)

    def send_raw(self, frame: object, count: int = 1) -> None:
        """A whole Ethernet frame."""
        self._injector.send(frame, count)
