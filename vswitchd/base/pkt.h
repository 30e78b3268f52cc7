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
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/drop.h"
#include "base/wire.h"

enum pkt_kind {
	PKT_OTHER, /* any EtherType we do not look into */
	PKT_IPV4,
	PKT_IPV6,
	PKT_ARP, /* complete, Ethernet/IPv4, op 1 or 2 */
	PKT_ND,	 /* ICMPv6 133..137 checked by RFC 4861 6.1, 7.1 and 8.1, checksum and options too */
};

#define PKT_F_VLAN	 0x01 /* one 802.1Q tag is present; vlan_tci valid, offsets count it */
#define PKT_F_GROUP	 0x02 /* destination MAC is broadcast or multicast */
#define PKT_F_FRAGMENT	 0x04 /* fragment, first or later; not an IPv6 atomic fragment (RFC 6946) */
#define PKT_F_FRAG_LATER 0x08 /* not the first fragment: no L4 header in it */
#define PKT_F_L4	 0x10 /* at l4_off are at least the ports (TCP, UDP) or 8 bytes (ICMP, ICMPv6) */
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
	uint8_t proto;	    /* last header (TCP, UDP, ICMP...), valid for IP; a later IPv6 fragment's word */
	uint16_t l4_off;    /* first byte after the IP header(s), valid for IP */
	uint16_t reserved;
	uint32_t l3_end;    /* end of the IP packet by its own length field, valid for IP; may pass 65535 */
};

static_assert(sizeof(struct pkt_info) == 16, "layout");

/* The same as pkt_parse() for every frame, by the long way. */
enum drop_reason pkt_parse_full(const uint8_t *data, uint32_t len, uint32_t total, struct pkt_info *ret);

/*
 * The straight line: Ethernet, IPv4 without options, unfragmented, UDP header or as much of TCP. False:
 * anything else, sound or not. Here l3_off is 14, l4_off 34 and PKT_F_L4 set.
 */
static inline bool pkt_parse_fast(const uint8_t *data, uint32_t len, uint32_t total, struct pkt_info *ret)
{
	uint64_t at12, at20, bad, flags, w[2];
	uint32_t l3_len, proto;

	if (__builtin_expect(len < 42, 0))
		return false;
	memcpy(&at12, data + 12, 8);
	memcpy(&at20, data + 20, 8);
	l3_len = __builtin_bswap16((uint16_t)(at12 >> 32));
	proto = (uint8_t)(at20 >> 24);
	bad = (at12 ^ 0x450008) & 0xffffff; /* 08 00 | 45 */
	bad |= at20 & 0xff3f;		    /* MF and offset, bytes 3f ff */
	bad |= (uint64_t)(proto ^ IPPROTO_TCP_) * (proto ^ IPPROTO_UDP_);
	bad |= l3_len - 28 > total - 42;    /* 28 <= l3_len <= total - 14, wrapping */
	if (__builtin_expect(bad != 0, 0))
		return false;
	flags = PKT_F_L4 | (data[0] & 1) << 1 | (at20 & 0x40) >> 1 | (total - 14 != l3_len) << 6;
	w[0] = (ETHERTYPE_IPV4_ | (uint64_t)PKT_IPV4 << 32 | UINT64_C(14) << 48) | flags << 40 |
	       (uint64_t)proto << 56;
	w[1] = 34 | (uint64_t)(l3_len + 14) << 32;
	memcpy(ret, w, sizeof(*ret));
	return true;
}

static_assert(PKT_F_GROUP == 1 << 1 && PKT_F_DF == 0x40 >> 1 && PKT_F_PADDED == 1 << 6 && PKT_F_L4 == 0x10,
	      "pkt_parse_fast shifts bits into these flags");

/*
 * Parse a frame. TCP and UDP in plain IPv4 take one straight line with one branch here, all else is
 * pkt_parse_full().
 * @param data  first byte of the destination MAC; `len` bytes can be read.
 * @param len   contiguous bytes at data (first segment).
 * @param total whole frame length over all segments, >= len.
 * @return DROP_NONE and *ret filled, else GUEST_RUNT, BAD_IP, BAD_ARP or BAD_ND (ingress translates to
 * INNER_*); IP headers, ARP and ND that do not lie in the first segment count as truncated, an L4 header
 * there is merely no PKT_F_L4. Checksums are verified for ND only. Pure function, any thread.
 * Sources: RFC 791, 8200, 826, 4861, 6946, 6980, IEEE 802.1Q.
 */
static inline enum drop_reason pkt_parse(const uint8_t *data, uint32_t len, uint32_t total,
					 struct pkt_info *ret)
{
	return pkt_parse_fast(data, len, total, ret) ? DROP_NONE : pkt_parse_full(data, len, total, ret);
}

#define ND_RA		  134
#define ND_OPT_SOURCE_MAC 1
#define ND_OPT_TARGET_MAC 2

/*
 * The link-layer address option of a PKT_ND frame. @param type ND_OPT_SOURCE_MAC or ND_OPT_TARGET_MAC.
 * @return 6 bytes inside the frame (the first such option), or NULL. Any thread.
 */
const uint8_t *pkt_nd_mac(const uint8_t *data, const struct pkt_info *info, uint8_t type);

#endif
