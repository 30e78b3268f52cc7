# SPDX-License-Identifier: BSD-3-Clause
"""Pre-built frames for generators, written as pcap files. Plain struct packing: 100,000 frames in a second."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

VSID = 5001
VSID2 = 5002  # second subnet of the same routing domain
HOSTS = 16  # remote hosts the records are spread over
GATEWAY_MAC = bytes.fromhex("0200005a0001")
GUEST_MAC = bytes.fromhex("020000000001")
SINK_MAC = bytes.fromhex("020000000002")
GUEST_IP = bytes([10, 0, 0, 2])
SINK_IP = bytes([10, 0, 0, 3])
LOCAL_PA = bytes([192, 0, 2, 1])
LOCAL_PA_MAC = bytes.fromhex("02fa00000001")
SIZE = 60  # bytes without FCS: the field's "64 byte" frame
MASK = 0xffffffff


@dataclass(frozen=True)
class Record:
    """One remote guest: number i lives on host i % HOSTS."""

    number: int

    @property
    def mac(self) -> bytes:
        return b"\x02\x10" + struct.pack(">I", self.number)

    @property
    def ip(self) -> bytes:
        return struct.pack(">I", 0x0a400000 + self.number)  # 10.64.0.0/10

    @property
    def host(self) -> int:
        return self.number % HOSTS


def host_pa(host: int) -> bytes:
    return bytes([192, 0, 2, 100 + host])


def host_mac(host: int) -> bytes:
    return bytes.fromhex("02fa0001") + struct.pack(">H", host)


def text_mac(mac: bytes) -> str:
    return mac.hex(":")


def text_ip(ip: bytes) -> str:
    return ".".join(map(str, ip))


def _checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def _ipv4(src: bytes, dst: bytes, proto: int, payload: int, ident: int = 0, frag: int = 0x4000) -> bytes:
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + payload, ident, frag, 64, proto, 0, src, dst)
    return head[:10] + struct.pack(">H", _checksum(head)) + head[12:]


def udp(dst_mac: bytes, src_mac: bytes, src: bytes, dst: bytes, sport: int, size: int = SIZE) -> bytes:
    payload = size - 14 - 20
    return (dst_mac + src_mac + b"\x08\x00" + _ipv4(src, dst, 17, payload)
            + struct.pack(">HHHH", sport, 9, payload, 0) + bytes(payload - 8))


def tcp(dst_mac: bytes, src_mac: bytes, src: bytes, dst: bytes, sport: int, payload: int) -> bytes:
    """A segment, or what becomes so many."""
    size = 20 + payload
    head = struct.pack(">HHIIBBHHH", sport, 5001, 1, 1, 0x50, 0x10, 65535, 0, 0)
    data = head + bytes(payload)
    total = _checksum(src + dst + struct.pack(">HH", 6, size) + data)
    return (dst_mac + src_mac + b"\x08\x00" + _ipv4(src, dst, 6, size)
            + data[:16] + struct.pack(">H", total) + data[18:])


def nvgre(inner: bytes, src_host: int, vsid: int, flow: int) -> bytes:
    return (LOCAL_PA_MAC + host_mac(src_host) + b"\x08\x00"
            + _ipv4(host_pa(src_host), LOCAL_PA, 47, 8 + len(inner), ident=flow & 0xffff)
            + struct.pack(">HHI", 0x2000, 0x6558, vsid << 8 | flow & 0xff) + inner)


def spread(number: int, wanted: int) -> int:
    """A permutation-like walk, so that neighbours in time are not neighbours in the tables."""
    return number * 2654435761 % (1 << 32) % wanted if wanted > 1 else 0


def flow_record(flow: int, flows: int, records: int) -> Record:
    """Destination of a flow: flows are spread evenly over all records."""
    if flows <= records:
        return Record(flow * (records // flows))
    return Record(flow % records)


def encap(flows: int, records: int, size: int = SIZE, routed: bool = False, payload: int = 0) -> list[bytes]:
    """UDP frames of a size, or TCP with that much payload."""
    result = []
    for flow in _shuffled(flows):
        record = flow_record(flow, flows, records)
        mac = GATEWAY_MAC if routed else record.mac
        if payload:
            result.append(tcp(mac, GUEST_MAC, GUEST_IP, record.ip, 1024 + flow % 60000, payload))
            continue
        result.append(udp(mac, GUEST_MAC, GUEST_IP, record.ip, 1024 + flow % 60000, size))
    return result


def local(flows: int, size: int = SIZE, payload: int = 0) -> list[bytes]:
    if payload:
        return [tcp(SINK_MAC, GUEST_MAC, GUEST_IP, SINK_IP, 1024 + flow % 60000, payload) for flow in range(flows)]
    return [udp(SINK_MAC, GUEST_MAC, GUEST_IP, SINK_IP, 1024 + flow % 60000, size) for flow in range(flows)]


def decap(flows: int, records: int, size: int = SIZE) -> list[bytes]:
    result = []
    for flow in _shuffled(flows):
        record = flow_record(flow, flows, records)
        inner = udp(GUEST_MAC, record.mac, record.ip, GUEST_IP, 1024 + flow % 60000, size)
        result.append(nvgre(inner, record.host, VSID, flow))
    return result


def _shuffled(n: int) -> list[int]:
    """0..n-1 in a fixed order without runs (a full-period linear congruential walk)."""
    size = 1
    while size < n:
        size *= 2
    order, state = [], 1 % size
    for _ in range(size):
        state = (state * 5 + 3) % size if size > 4 else (state + 1) % size
        if state < n:
            order.append(state)
    return order


def write_pcap(path: Path, frames: list[bytes]) -> Path:
    with path.open("wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for frame in frames:
            f.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)
    return path
