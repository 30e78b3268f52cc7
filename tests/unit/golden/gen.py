#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Write nvgre.h: the NVGRE frames (RFC 7637, HNV row 20) that unit tests hold our bytes against, by scapy.

gen.py          write the header beside this file
gen.py --check  compare: exit 1 when scapy would write something else
"""

import ipaddress
import pathlib
import sys

from scapy.layers.inet import GRE, ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

TARGET = pathlib.Path(__file__).with_name("nvgre.h")

SRC_MAC, DST_MAC = "02:aa:00:00:00:01", "02:bb:00:00:00:02"
PA = {
    4: ("192.0.2.17", "198.51.100.18"),
    6: ("2001:db8:103:204:305:406:507:617", "2001:db8:118:219:31a:41b:51c:61d"),
}
A, B = "00:15:5d:00:00:0a", "00:15:5d:00:00:0b"

ETH = Ether(src=A, dst=B)
IP4 = ETH / IP(src="10.0.0.10", dst="10.0.0.11", id=7)
IP6 = ETH / IPv6(src="fd00::a", dst="fd00::b")
BROADCAST = Ether(src=A, dst="ff:ff:ff:ff:ff:ff")

INNER = {
    "udp4": IP4 / UDP(sport=1000, dport=2000) / Raw(bytes(range(18))),
    "tcp6": IP6 / TCP(sport=1000, dport=80, seq=1, flags="S"),
    "arp": BROADCAST / ARP(hwsrc=A, psrc="10.0.0.10", pdst="10.0.0.11"),
    "icmp4": IP4 / ICMP(id=1, seq=2) / Raw(b"x" * 1400),
    "icmp6": IP6 / ICMPv6EchoRequest(id=1, seq=2, data=b"y" * 600),
    "other": Ether(src=A, dst=B, type=0x88B5) / Raw(b"z"),
}

# family, VLAN, inner, VSID, flow hash, IP ID, FlowID on
CASES = [
    (4, 0, "udp4", 4096, 0x12345678, 0x0000, True),
    (4, 0, "tcp6", 5001, 0x00FF0000, 0xFFFF, True),
    (4, 0, "arp", 5001, 0xFFFFFFFF, 0x1234, False),
    (4, 0, "icmp4", 16777214, 0xFFFFFFFF, 0xABCD, True),
    (4, 0, "other", 16777214, 0x00000000, 0x8000, True),
    (4, 100, "udp4", 5001, 0x89ABCDEF, 0x00FF, True),
    (4, 4094, "tcp6", 5001, 0x89ABCDEF, 0xFF00, False),
    (4, 1, "icmp6", 6000, 0x01020304, 1, True),
    (6, 0, "udp4", 4096, 0x12345678, 0, True),
    (6, 0, "tcp6", 5001, 0xFFFFFFFF, 0, True),
    (6, 0, "arp", 5001, 0x00A50000, 0, False),
    (6, 0, "icmp6", 16777214, 0x7FFFF000, 0, True),
    (6, 100, "udp4", 5001, 0x89ABCDEF, 0, True),
    (6, 4094, "icmp4", 5001, 0x0000BEEF, 0, False),
    (6, 1, "other", 6000, 0x01020304, 0, True),
]


def outer(family: int, vlan: int, hash_: int, ip_id: int):
    frame = Ether(src=SRC_MAC, dst=DST_MAC)
    if vlan:
        frame /= Dot1Q(vlan=vlan)
    src, dst = PA[family]
    if family == 4:
        return frame / IP(src=src, dst=dst, id=ip_id, flags="DF", ttl=64, proto=47)
    return frame / IPv6(src=src, dst=dst, nh=47, hlim=64, fl=(hash_ ^ hash_ >> 12) & 0xFFFFF)


def c_bytes(data: bytes) -> str:
    rows = [data[i : i + 24] for i in range(0, len(data), 24)]
    return "\n".join("\t\t" + " ".join(f"0x{b:02x}," for b in row) for row in rows)


def c_list(data: bytes) -> str:
    return "{ " + ", ".join(f"0x{b:02x}" for b in data) + " }"


def mac(text: str) -> str:
    return c_list(bytes.fromhex(text.replace(":", "")))


def address(text: str) -> str:
    return c_list(ipaddress.ip_address(text).packed)


def case(family, vlan, inner, vsid, hash_, ip_id, flow_id) -> str:
    frame = INNER[inner]
    key = vsid << 8 | ((hash_ >> 16) & 0xFF if flow_id else 0)
    whole = outer(family, vlan, hash_, ip_id) / GRE(key_present=1, proto=0x6558, key=key) / frame
    fields = [
        f'"v{family} vlan {vlan} {inner} vsid {vsid}"', family, vlan, vsid,
        f"0x{hash_:08x}", f"0x{ip_id:04x}", str(flow_id).lower(), len(bytes(frame)), len(bytes(whole)),
    ]
    start = ", ".join(str(f) for f in fields)
    return f"\t{{ {start}, (const uint8_t[]){{\n{c_bytes(bytes(whole))}\n\t}} }},\n"


def text() -> str:
    out = [
        "/* SPDX-License-Identifier: BSD-3-Clause */\n",
        "/* Written by gen.py with scapy; do not edit. The inner frame is the tail of each. */\n",
        "// clang-format off\n",
        f"static const uint8_t golden_src_mac[6] = {mac(SRC_MAC)};\n",
        f"static const uint8_t golden_dst_mac[6] = {mac(DST_MAC)};\n",
    ]
    for family, (src, dst) in PA.items():
        out.append(f"static const uint8_t golden_src{family}[] = {address(src)};\n")
        out.append(f"static const uint8_t golden_dst{family}[] = {address(dst)};\n")
    out.append(
        "\nstatic const struct golden {\n\tconst char *name;\n\tuint8_t family;\n\tuint16_t vlan;\n"
        "\tuint32_t vsid, hash;\n\tuint16_t ip_id;\n\tbool flow_id;\n\tuint32_t inner_len, len;\n"
        "\tconst uint8_t *frame;\n} golden[] = {\n"
    )
    out += [case(*c) for c in CASES]
    out.append("};\n// clang-format on\n")
    return "".join(out)


def main() -> int:
    if sys.argv[1:] == ["--check"]:
        if TARGET.read_text() == text():
            return 0
        print(f"{TARGET.name} is not what scapy builds: run gen.py and see", file=sys.stderr)
        return 1
    TARGET.write_text(text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
