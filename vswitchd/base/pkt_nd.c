/* SPDX-License-Identifier: BSD-3-Clause */
/* Neighbour discovery: the validity checks of RFC 4861, so that learning and proxy work with sound messages
 * only. */
#include "base/pkt.h"
#include "base/pkt_private.h"

enum { RS = 133, RA, NS, NA, REDIRECT };

/* Bytes before the options: RFC 4861 4.1 to 4.5. */
static uint32_t fixed_length(uint8_t type)
{
	static const uint8_t bytes[] = { 8, 16, 24, 24, 40 };

	return bytes[type - RS];
}

static bool is_any(const uint8_t a[16])
{
	static const uint8_t zero[16];

	return memcmp(a, zero, 16) == 0;
}

static bool is_link_local(const uint8_t a[16])
{
	return a[0] == 0xfe && (a[1] & 0xc0) == 0x80;
}

/* ff02::1:ff00:0/104, RFC 4291 2.7.1 */
static bool is_solicited_node(const uint8_t a[16])
{
	static const uint8_t prefix[13] = { 0xff, 0x02, [11] = 0x01, [12] = 0xff };

	return memcmp(a, prefix, 13) == 0;
}

/*
 * All options have a length and end where the message does. Link-layer addresses are Ethernet's: one unit
 * of 8. *ret_source_mac tells whether there is a source link-layer address.
 */
static bool options_sound(const uint8_t *opt, const uint8_t *end, bool *ret_source_mac)
{
	uint32_t bytes;

	for (*ret_source_mac = false; opt < end; opt += bytes) {
		if (end - opt < 8)
			return false;
		bytes = opt[1] * 8u;
		if (bytes == 0 || bytes > (uint32_t)(end - opt))
			return false;
		if ((opt[0] == ND_OPT_SOURCE_MAC || opt[0] == ND_OPT_TARGET_MAC) && bytes != 8)
			return false;
		*ret_source_mac |= opt[0] == ND_OPT_SOURCE_MAC;
	}
	return true;
}

/* RFC 4443 2.3: over source, destination, length, next header and message. */
static bool checksum_good(const struct ipv6_hdr *ip, const uint8_t *msg, uint32_t len)
{
	uint8_t tail[8] = { [7] = IPPROTO_ICMP6_ };

	store_be32(tail, len);
	return csum_fold(csum_partial(msg, len, csum_partial(tail, 8, csum_partial(ip->src, 32, 0)))) == 0;
}

/* What RFC 4861 6.1.1, 6.1.2, 7.1.1, 7.1.2 and 8.1 ask of each type beyond the common. */
static bool addresses_sound(const struct ipv6_hdr *ip, const uint8_t *msg, bool source_mac)
{
	const uint8_t *target = msg + 8;
	bool from_any = is_any(ip->src);

	switch (msg[0]) {
	case RS:
		return !from_any || !source_mac;
	case RA:
		return is_link_local(ip->src);
	case NS:
		return target[0] != 0xff && (!from_any || (!source_mac && is_solicited_node(ip->dst)));
	case NA: /* solicited (0x40) to a group is a contradiction */
		return target[0] != 0xff && !(ip->dst[0] == 0xff && msg[4] & 0x40);
	default: /* redirect: the destination stands behind the target */
		return is_link_local(ip->src) && target[16] != 0xff &&
		       (is_link_local(target) || memcmp(target, target + 16, 16) == 0);
	}
}

enum drop_reason parse_nd(struct parse *p)
{
	const struct ipv6_hdr *ip = (const void *)(p->data + p->info.l3_off);
	const uint8_t *msg = p->data + p->info.l4_off, *end = p->data + p->info.l3_end;
	uint32_t len = p->info.l3_end - p->info.l4_off, fixed = fixed_length(msg[0]);
	bool source_mac;

	/* All of it in the first segment, or nothing can be said about it. */
	if (p->info.l3_end > p->len || len < fixed)
		return DROP_BAD_ND;
	if (ip->hlim != 255 || msg[1] != 0)
		return DROP_BAD_ND;
	if (!options_sound(msg + fixed, end, &source_mac) || !addresses_sound(ip, msg, source_mac))
		return DROP_BAD_ND;
	if (!checksum_good(ip, msg, len))
		return DROP_BAD_ND;
	p->info.kind = PKT_ND;
	return DROP_NONE;
}

const uint8_t *pkt_nd_mac(const uint8_t *data, const struct pkt_info *info, uint8_t type)
{
	const uint8_t *opt = data + info->l4_off, *end = data + info->l3_end;

	/* The parser has seen that each option has a length and that they end at l3_end. */
	for (opt += fixed_length(opt[0]); opt < end; opt += opt[1] * 8u)
		if (opt[0] == type)
			return opt + 2;
	return NULL;
}
