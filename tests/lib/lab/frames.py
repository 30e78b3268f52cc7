# SPDX-License-Identifier: BSD-3-Clause
"""Reading of captured frames: NVGRE by our own strict eyes, everything else by scapy, which is loaded only then: that
takes seconds where the CPU is emulated.
"""

from __future__ import annotations

import logging
import socket
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scapy.packet import Packet

logging.getLogger("scapy").setLevel(logging.ERROR)

GRE_PROTOCOL = 47
GRE_FLAGS_KEY = 0x2000
TRANSPARENT_ETHERNET = 0x6558


@dataclass(frozen=True)
class Nvgre:
    """RFC 7637 encapsulation, fields in host byte order. `inner` starts at the inner Ethernet header."""

    outer_source: str
    outer_destination: str
    ttl: int
    dont_fragment: bool
    fragment: bool
    flags: int
    protocol: int
    vsid: int
    flow_id: int
    inner: bytes

    @cached_property
    def packet(self) -> Packet:
        """The inner frame as scapy reads it."""
        return dissect(self.inner)


@dataclass(frozen=True)
class Frame:
    """One captured frame: when (monotonic clock, seconds), on which interface, in or out."""

    when: float
    interface: str
    outgoing: bool
    data: bytes

    @property
    def destination(self) -> str:
        return self.data[0:6].hex(":")

    @property
    def source(self) -> str:
        return self.data[6:12].hex(":")

    @cached_property
    def vlan(self) -> int | None:
        """VLAN id of the outer tag."""
        return struct.unpack_from("!H", self.data, 14)[0] & 0xFFF if self._tagged else None

    @cached_property
    def ethertype(self) -> int:
        """Behind an outer tag, if there is one."""
        return int(struct.unpack_from("!H", self.data, 16 if self._tagged else 12)[0])

    @cached_property
    def packet(self) -> Packet:
        return dissect(self.data)

    @cached_property
    def nvgre(self) -> Nvgre | None:
        """The frame as NVGRE: GRE with a key, whatever its flags; None for everything else."""
        return parse_nvgre(self.data[18 if self._tagged else 14 :], self.ethertype)

    @property
    def _tagged(self) -> bool:
        return self.data[12:14] in (b"\x81\x00", b"\x88\xa8")

    def __str__(self) -> str:
        way = "out" if self.outgoing else "in"
        return f"{self.interface} {way} {self.packet.summary()}"


def dissect(data: bytes) -> Packet:
    """An Ethernet frame as scapy reads it."""
    # importing the layers is what makes Ether() see them
    # pylint: disable=import-outside-toplevel,unused-import
    from scapy.layers import inet, inet6  # noqa: F401
    from scapy.layers.l2 import Ether

    return Ether(data)


def parse_nvgre(data: bytes, ethertype: int) -> Nvgre | None:
    """From the outer IP header on."""
    if ethertype == 0x0800 and len(data) >= 20 and data[9] == GRE_PROTOCOL:
        length = (data[0] & 15) * 4
        frag = struct.unpack_from("!H", data, 6)[0]
        total = struct.unpack_from("!H", data, 2)[0]
        address = [socket.inet_ntop(socket.AF_INET, data[at : at + 4]) for at in (12, 16)]
        ttl, fragment, dont_fragment = data[8], bool(frag & 0x3FFF), bool(frag & 0x4000)
        payload = data[length:total]
    elif ethertype == 0x86DD and len(data) >= 40 and data[6] == GRE_PROTOCOL:
        address = [socket.inet_ntop(socket.AF_INET6, data[at : at + 16]) for at in (8, 24)]
        ttl, fragment, dont_fragment = data[7], False, True
        payload = data[40 : 40 + struct.unpack_from("!H", data, 4)[0]]
    else:
        return None
    if len(payload) < 8:
        return None
    flags, protocol, key = struct.unpack_from("!HHI", payload)
    return Nvgre(
        address[0],
        address[1],
        ttl,
        dont_fragment,
        fragment,
        flags,
        protocol,
        key >> 8,
        key & 0xFF,
        payload[8:],
    )


def layer(packet: Packet, kind: Any) -> Any:
    """The layer of this kind, or None: `packet[kind]` without the exception."""
    return packet.getlayer(kind)
