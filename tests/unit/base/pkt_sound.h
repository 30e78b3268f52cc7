/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What must hold for any bytes whatever: the unit tests ask it of frames they know, the fuzzer of all others.
 * Give it memory of exactly `len` bytes, so that AddressSanitizer sees reads behind.
 */
#ifndef TESTS_UNIT_BASE_PKT_SOUND_H
#define TESTS_UNIT_BASE_PKT_SOUND_H

#include <stddef.h>

#include "base/flowhash.h"
#include "base/pkt.h"

#define PKT_SOUND_SALT UINT64_C(0x0123456789abcdef)

static inline const char *pkt_ip_sound(const struct pkt_info *i, uint32_t len, uint32_t total)
{
	uint32_t end = i->l3_end < len ? i->l3_end : len;

	if (i->l3_end > total || i->l3_end < i->l3_off + 20u || i->l4_off > end)
		return "IP ends outside the frame, or its header outside the readable bytes";
	if (i->l4_off < i->l3_off + (i->kind == PKT_IPV4 ? 20u : 40u))
		return "IP header too short";
	if (!(i->flags & PKT_F_PADDED) != (i->l3_end == total))
		return "padding flag";
	if (i->flags & PKT_F_FRAG_LATER && (!(i->flags & PKT_F_FRAGMENT) || i->flags & PKT_F_L4))
		return "later fragment with L4 header";
	if (i->flags & PKT_F_L4 &&
	    (i->proto == 6 || i->proto == 17 ? i->l4_off + 4u > end : i->l4_off + 8u > end))
		return "L4 header outside";
	if (i->flags & PKT_F_L4 && i->proto != 6 && i->proto != 17 &&
	    i->proto != (i->kind == PKT_IPV4 ? 1 : 58))
		return "L4 header of an unknown protocol";
	if (i->kind != PKT_IPV4 && !(i->flags & PKT_F_DF))
		return "IPv6 without DF";
	return NULL;
}

static inline const char *pkt_info_sound(const uint8_t *data, const struct pkt_info *i, uint32_t len,
					 uint32_t total)
{
	const uint8_t *mac;
	uint8_t type;

	if (i->l3_off != (i->flags & PKT_F_VLAN ? 18 : 14) || i->l3_off > len || i->reserved)
		return "layer 3 offset";
	if (!(i->flags & PKT_F_GROUP) != !(data[0] & 1))
		return "group flag";
	if (i->ethertype != load_be16(data + i->l3_off - 2))
		return "ethertype";
	switch (i->kind) {
	case PKT_OTHER:
		return i->ethertype == 0x800 || i->ethertype == 0x86dd || i->ethertype == 0x806 ? "kind"
												: NULL;
	case PKT_ARP:
		return i->ethertype != 0x806 || i->l3_off + 28u > len ? "ARP" : NULL;
	case PKT_IPV4:
		return i->ethertype != 0x800 ? "kind" : pkt_ip_sound(i, len, total);
	case PKT_IPV6:
		return i->ethertype != 0x86dd ? "kind" : pkt_ip_sound(i, len, total);
	case PKT_ND:
		if (i->ethertype != 0x86dd || i->proto != 58 || i->l3_end > len || i->l4_off + 8u > i->l3_end)
			return "ND";
		for (type = 0; type < 4; type++) {
			mac = pkt_nd_mac(data, i, type);
			if (mac && (mac < data + i->l4_off || mac + 6 > data + i->l3_end))
				return "ND option outside";
		}
		return pkt_ip_sound(i, len, total);
	}
	return "unknown kind";
}

/* NULL, or what is wrong. Fills *ret_why and, when that is DROP_NONE, *ret. */
static inline const char *pkt_sound(const uint8_t *data, uint32_t len, uint32_t total,
				    enum drop_reason *ret_why, struct pkt_info *ret)
{
	struct pkt_info full = { .kind = 0xee }, both = { .kind = 0xee };
	uint32_t hash = 0;

	ret->kind = 0xee;
	*ret_why = pkt_parse(data, len, total, ret);
	if (pkt_parse_full(data, len, total, &full) != *ret_why ||
	    flow_parse(data, len, total, PKT_SOUND_SALT, &both, &hash) != *ret_why)
		return "fast and long way disagree on the verdict";
	if (*ret_why != DROP_NONE) {
		if (*ret_why != DROP_GUEST_RUNT && *ret_why != DROP_BAD_IP && *ret_why != DROP_BAD_ARP &&
		    *ret_why != DROP_BAD_ND)
			return "unexpected reason";
		return ret->kind != 0xee || full.kind != 0xee ? "result written for a bad frame" : NULL;
	}
	if (memcmp(&full, ret, sizeof(full)) != 0 || memcmp(&both, ret, sizeof(both)) != 0)
		return "fast and long way disagree";
	if (hash != flowhash(data, ret, PKT_SOUND_SALT) || hash != flowhash_full(data, ret, PKT_SOUND_SALT))
		return "fast and long hash disagree";
	return pkt_info_sound(data, ret, len, total);
}

#endif
