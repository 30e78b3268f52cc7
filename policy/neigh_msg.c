/* SPDX-License-Identifier: BSD-3-Clause */
#include "policy/neigh_msg.h"

#define ND_RS 133

static void read_arp(const uint8_t *data, const struct pkt_info *info, struct neigh_msg *ret)
{
	const struct arp_hdr *arp = (const void *)(data + info->l3_off);

	ret->op = load_be16(&arp->op) == 1 ? NEIGH_REQUEST : NEIGH_REPLY;
	ret->v6 = false;
	ret->link = mac_load(&arp->sha);
	ret->foreign = ret->link != ret->eth_src;
	ret->sender = ip4_from(arp->spa);
	/*
	 * What a reply is about is its sender; what stands in its target is the one who asked, or anything
	 * (RFC 5227 3).
	 */
	ret->target = ret->op == NEIGH_REQUEST ? ip4_from(arp->tpa) : ret->sender;
}

/*
 * All of them, not the first: receivers differ in which of several they believe. The parser has seen that
 * each option has a length and that they end where the message does.
 */
static bool has_foreign_option(const uint8_t *opt, const uint8_t *end, uint64_t mac)
{
	for (; opt < end; opt += opt[1] * 8u) {
		if ((opt[0] == ND_OPT_SOURCE_MAC || opt[0] == ND_OPT_TARGET_MAC) && mac_load(opt + 2) != mac)
			return true;
	}
	return false;
}

static void read_nd(const uint8_t *data, const struct pkt_info *info, struct neigh_msg *ret)
{
	/* By type from 133 on, with the bytes in front of the options. */
	static const struct {
		uint8_t op, fixed;
	} types[] = { { NEIGH_RS, 8 },
		      { NEIGH_RA, 16 },
		      { NEIGH_REQUEST, 24 },
		      { NEIGH_REPLY, 24 },
		      { NEIGH_REDIRECT, 40 } };
	const struct ipv6_hdr *ip = (const void *)(data + info->l3_off);
	const uint8_t *msg = data + info->l4_off;
	unsigned int type = msg[0] - ND_RS;

	ret->op = types[type].op;
	ret->v6 = true;
	ret->sender = ip6_from(ip->src);
	ret->target = (struct ip_addr){ 0 };
	if (ret->op == NEIGH_REQUEST || ret->op == NEIGH_REPLY || ret->op == NEIGH_REDIRECT)
		ret->target = ip6_from(msg + 8);
	ret->link = ret->eth_src;
	ret->foreign = has_foreign_option(msg + types[type].fixed, data + info->l3_end, ret->eth_src);
}

void neigh_read(const uint8_t *data, const struct pkt_info *info, struct neigh_msg *ret)
{
	ret->eth_dst = mac_load(data);
	ret->eth_src = mac_load(data + 6);
	ret->group = mac_is_group(data);
	if (info->kind == PKT_ARP)
		read_arp(data, info, ret);
	else
		read_nd(data, info, ret);
}

unsigned int neigh_claims(const struct neigh_msg *msg, struct neigh_claim ret[NEIGH_CLAIMS])
{
	uint8_t kind = neigh_is_announcement(msg) ? NEIGH_CLAIM_ANNOUNCES : NEIGH_CLAIM_USES;
	unsigned int n = 0;

	if (neigh_is_probe(msg)) {
		ret[n++] = (struct neigh_claim){ msg->target, msg->link, NEIGH_CLAIM_WANTS };
		return n;
	}
	if (msg->op == NEIGH_REPLY) {
		ret[n++] = (struct neigh_claim){ msg->target, msg->link, kind };
		if (ip_equal(&msg->sender, &msg->target))
			return n;
		kind = NEIGH_CLAIM_USES;
	}
	if (!ip_is_any(&msg->sender)) /* :: in a router solicitation */
		ret[n++] = (struct neigh_claim){ msg->sender, msg->eth_src, kind };
	return n;
}
