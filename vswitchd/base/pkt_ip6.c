/* SPDX-License-Identifier: BSD-3-Clause */
/* IPv6 and its extension headers (RFC 8200). */
#include "base/pkt.h"
#include "base/pkt_private.h"

/* More than any honest stack sends; the chain is walked on the packet path. */
#define EXT_MAX 8

#define EXT_HOP_BY_HOP 0
#define EXT_ROUTING    43
#define EXT_FRAGMENT   44
#define EXT_AH	       51
#define EXT_DEST_OPTS  60

/* A fragment header's offset field and M bit. */
#define IP6_MF	   0x0001
#define IP6_OFFSET 0xfff8

static bool is_extension(uint8_t next)
{
	return next == EXT_HOP_BY_HOP || next == EXT_ROUTING || next == EXT_FRAGMENT || next == EXT_AH ||
	       next == EXT_DEST_OPTS;
}

/* Length in bytes of the extension header at h, of which 8 bytes can be read. */
static uint32_t extension_length(uint8_t type, const uint8_t *h)
{
	if (type == EXT_FRAGMENT)
		return 8;
	if (type == EXT_AH) /* RFC 4302 2.2 counts in words */
		return (h[1] + 2u) * 4;
	return (h[1] + 1u) * 8;
}

static enum drop_reason fragment_header(struct parse *p, const uint8_t *h)
{
	uint32_t field = load_be16(h + 2), at = field & IP6_OFFSET,
		 payload = p->info.l3_end - p->info.l4_off - 8;

	if (field & IP6_MF && payload % 8)
		return DROP_BAD_IP;
	if (at + payload > 65535)
		return DROP_BAD_IP;
	if (field & IP6_MF || at)
		p->info.flags |= PKT_F_FRAGMENT;
	if (at)
		p->info.flags |= PKT_F_FRAG_LATER;
	return DROP_NONE;
}

/* Walk to the last header. *ret_fragmented: there is a fragment header, be it an atomic fragment's. */
static enum drop_reason extensions(struct parse *p, bool *ret_fragmented)
{
	uint32_t end = p->info.l3_end < p->len ? p->info.l3_end : p->len, n, hlen;
	enum drop_reason why;

	for (n = 0; is_extension(p->info.proto); n++) {
		const uint8_t *h = p->data + p->info.l4_off;
		uint8_t type = p->info.proto;

		if (n == EXT_MAX || p->info.l4_off + 8u > end)
			return DROP_BAD_IP;
		if (type == EXT_HOP_BY_HOP && n > 0) /* RFC 8200 4.1: the first or not at all */
			return DROP_BAD_IP;
		hlen = extension_length(type, h);
		if (p->info.l4_off + hlen > end)
			return DROP_BAD_IP;
		if (type == EXT_FRAGMENT) {
			if (*ret_fragmented)
				return DROP_BAD_IP;
			*ret_fragmented = true;
			why = fragment_header(p, h);
			if (why != DROP_NONE)
				return why;
		}
		p->info.flags |= PKT_F_OPTIONS;
		p->info.proto = h[0];
		p->info.l4_off = (uint16_t)(p->info.l4_off + hlen);
		if (p->info.flags & PKT_F_FRAG_LATER)
			break;
	}
	return DROP_NONE;
}

static bool is_nd(const struct parse *p)
{
	uint32_t end = p->info.l3_end < p->len ? p->info.l3_end : p->len;

	return p->info.proto == IPPROTO_ICMP6_ && p->info.l4_off < end && p->data[p->info.l4_off] >= 133 &&
	       p->data[p->info.l4_off] <= 137;
}

enum drop_reason parse_ip6(struct parse *p)
{
	const struct ipv6_hdr *ip = (const void *)(p->data + p->info.l3_off);
	uint32_t off = p->info.l3_off;
	bool fragmented = false;
	enum drop_reason why;

	if (p->len < off + sizeof(*ip) || (p->data[off] >> 4) != 6)
		return DROP_BAD_IP;
	p->info.kind = PKT_IPV6;
	p->info.flags |= PKT_F_DF;
	p->info.proto = ip->next;
	p->info.l4_off = (uint16_t)(off + sizeof(*ip));
	p->info.l3_end = (uint32_t)(off + sizeof(*ip) + load_be16(&ip->plen));
	if (p->info.l3_end > p->total)
		return DROP_BAD_IP;
	if (p->total > p->info.l3_end)
		p->info.flags |= PKT_F_PADDED;
	why = extensions(p, &fragmented);
	if (why != DROP_NONE || p->info.flags & PKT_F_FRAG_LATER)
		return why;
	parse_l4(p);
	if (!is_nd(p))
		return DROP_NONE;
	/* RFC 6980 5: neighbour discovery with a fragment header is ignored. */
	return fragmented ? DROP_BAD_ND : parse_nd(p);
}
