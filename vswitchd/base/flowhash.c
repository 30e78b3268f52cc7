/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/flowhash.h"

static uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

static bool has_ports(const struct pkt_info *info)
{
	return (info->flags & (PKT_F_L4 | PKT_F_FRAGMENT)) == PKT_F_L4 &&
	       (info->proto == IPPROTO_TCP_ || info->proto == IPPROTO_UDP_);
}

/* What stands beside the addresses in the hash. */
static uint64_t transport(const uint8_t *data, const struct pkt_info *info)
{
	uint32_t ports = 0;

	if (has_ports(info))
		memcpy(&ports, data + info->l4_off, 4);
	return ports | (uint64_t)info->proto << 32;
}

static uint32_t hash_ip6(const uint8_t *data, const struct pkt_info *info, uint64_t salt)
{
	const uint8_t *src = data + info->l3_off + 8, *dst = src + 16;
	/* Only the first fragment's chain tells the protocol: none of them may count it. */
	uint64_t b = info->flags & PKT_F_FRAGMENT ? 0 : transport(data, info), a;

	a = flowhash_mix(load64(src) ^ FLOWHASH_K1, load64(src + 8) ^ salt);
	a = flowhash_mix(load64(dst) ^ FLOWHASH_K2, load64(dst + 8) ^ a);
	return flowhash_words(a, b, salt);
}

__attribute__((noinline, cold)) uint32_t flowhash_full(const uint8_t *data, const struct pkt_info *info,
						       uint64_t salt)
{
	uint32_t tail;

	switch (info->kind) {
	case PKT_IPV4:
		return flowhash_words(load64(data + info->l3_off + 12), transport(data, info), salt);
	case PKT_IPV6:
	case PKT_ND:
		return hash_ip6(data, info, salt);
	default:
		memcpy(&tail, data + 8, 4);
		return flowhash_words(load64(data), tail | (uint64_t)info->ethertype << 32, salt);
	}
}

__attribute__((noinline, cold)) enum drop_reason flow_parse_full(const uint8_t *data, uint32_t len,
								 uint32_t total, uint64_t salt,
								 struct pkt_info *ret, uint32_t *ret_hash)
{
	enum drop_reason why = pkt_parse_full(data, len, total, ret);

	if (why == DROP_NONE)
		*ret_hash = flowhash(data, ret, salt);
	return why;
}
