/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The only reader of tenant headers (Ethernet, 802.1Q, ARP, IPv4, IPv6 and its extension headers, TCP, UDP,
 * ICMP, ICMPv6). Everybody else works with the offsets found here and never reads a length again.
 *
 * Trust: the bytes come from a guest or from the network and may be anything. Nothing is read beyond
 * `len` contiguous bytes; a header that does not fit is a named drop.
 */
#ifndef BASE_PKT_H
#define BASE_PKT_H

#include <assert.h>
#include <stdint.h>

#include "base/drop.h"

/* Headers must lie in the first segment up to here, or the frame is PKT_F_L4_MISSING at the best. */
#define PKT_HEADERS_MAX 256

enum pkt_kind {
	PKT_OTHER, /* any EtherType we do not look into */
	PKT_IPV4,
	PKT_IPV6,
	PKT_ARP, /* complete, Ethernet/IPv4, op 1 or 2 */
	PKT_ND,	 /* IPv6 with ICMPv6 133..137, hop limit 255, length sane: RFC 4861 6.1, 7.1, 8.1 checked, checksum too */
};

#define PKT_F_VLAN	 0x01 /* one 802.1Q tag is present; vlan_tci valid, offsets count it */
#define PKT_F_GROUP	 0x02 /* destination MAC is broadcast or multicast */
#define PKT_F_FRAGMENT	 0x04 /* IPv4 or IPv6 fragment, first or later */
#define PKT_F_FRAG_LATER 0x08 /* not the first fragment: no L4 header in it */
#define PKT_F_L4	 0x10 /* l4_off valid, at least the ports (TCP, UDP) or 8 bytes (ICMP) are inside len */
#define PKT_F_DF	 0x20 /* IPv4 DF, or IPv6 */
#define PKT_F_PADDED	 0x40 /* frame longer than its IP packet (Ethernet padding) */
#define PKT_F_OPTIONS	 0x80 /* IPv4 options or IPv6 extension headers present */

/* What the parser found. Offsets in bytes from the start of the frame. */
struct pkt_info {
	uint16_t ethertype; /* after a tag; host order */
	uint16_t vlan_tci;  /* host order */
	uint8_t kind;	    /* enum pkt_kind */
	uint8_t flags;	    /* PKT_F_* */
	uint8_t l3_off;	    /* 14 or 18 */
	uint8_t proto;	    /* last header (TCP, UDP, ICMP...), valid for IP */
	uint16_t l4_off;    /* first byte after the IP header(s); valid for IP, except PKT_F_FRAG_LATER */
	uint16_t l3_end;    /* end of the IP packet by its own length field; valid for IP */
	uint32_t reserved;
};

static_assert(sizeof(struct pkt_info) == 16, "layout");

/*
 * Parse a frame.
 * @param data  first byte of the destination MAC; `len` bytes can be read.
 * @param len   contiguous bytes at data (first segment).
 * @param total whole frame length over all segments, >= len.
 * @return DROP_NONE and *ret filled, else GUEST_RUNT, BAD_IP, BAD_ARP or BAD_ND (ingress translates to INNER_*).
 * Pure function, any thread. Sources: RFC 791, 8200, 826, 4861, IEEE 802.1Q.
 */
enum drop_reason pkt_parse(const uint8_t *data, uint32_t len, uint32_t total, struct pkt_info *ret);

#endif
