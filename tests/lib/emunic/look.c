/* SPDX-License-Identifier: BSD-3-Clause */
/* What the hardware finds in a frame that comes in, and the rules it knows. */
#include <errno.h>
#include <string.h>
#include <rte_flow.h>
#include <rte_mbuf_ptype.h>

#include "private.h"

static uint32_t get(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

/* IP header at `at`. @return false: none */
static bool ip_header(const uint8_t *f, uint32_t len, uint32_t at, uint32_t type, uint8_t *ret_version,
		      uint8_t *ret_proto, uint32_t *ret_next, uint32_t *ret_end)
{
	if (type == 0x0800 && at + 20 <= len && f[at] >> 4 == 4) {
		*ret_version = 4;
		*ret_proto = get(f + at + 6) & 0x3fff ? 0 : f[at + 9];
		*ret_next = at + (f[at] & 15u) * 4;
		*ret_end = at + get(f + at + 2);
	} else if (type == 0x86dd && at + 40 <= len && f[at] >> 4 == 6) {
		*ret_version = 6;
		*ret_proto = f[at + 6];
		*ret_next = at + 40;
		*ret_end = at + 40 + get(f + at + 4);
	} else {
		return false;
	}
	return *ret_next <= *ret_end && *ret_end <= len;
}

bool emunic_look(const uint8_t *f, uint32_t len, struct seen *s)
{
	uint32_t type, at = 12, end;
	uint8_t proto;

	memset(s, 0, sizeof(*s));
	if (len < 14)
		return false;
	type = get(f + at);
	if (type == 0x8100 && len >= 18) {
		at += 4;
		type = get(f + at);
	}
	s->outer_ip = at + 2;
	if (!ip_header(f, len, s->outer_ip, type, &s->outer_version, &proto, &s->gre, &end))
		return false;
	s->outer_len = s->gre - s->outer_ip;
	if (proto != 47 || s->gre + 8 + 14 > end || get(f + s->gre) != 0x2000 || get(f + s->gre + 2) != 0x6558)
		return true;
	s->nvgre = true;
	s->tni = get(f + s->gre + 4) << 8 | f[s->gre + 6];
	s->inner = s->gre + 8;
	memcpy(s->dst, f + s->inner, 6);
	s->inner_ip = s->inner + 14;
	if (!ip_header(f, end, s->inner_ip, get(f + s->inner + 12), &s->version, &s->proto, &s->l4, &end)) {
		s->version = 0;
		return true;
	}
	s->inner_ip_len = s->l4 - s->inner_ip;
	s->l4_len = end - s->l4;
	return true;
}

static bool l4_good(const uint8_t *f, const struct seen *s)
{
	uint32_t start = s->l4_len + s->proto;

	start += s->version == 4 ? emunic_sum(f + s->inner_ip + 12, 8, 0) : emunic_sum(f + s->inner_ip + 8, 32, 0);
	return emunic_sum(f + s->l4, s->l4_len, start) == 0xffff;
}

void emunic_judge(struct rte_mbuf *m, const uint8_t *f, const struct seen *s, bool lie)
{
	bool outer = s->outer_version != 4 || emunic_sum(f + s->outer_ip, s->outer_len, 0) == 0xffff, good;

	m->packet_type = s->outer_version == 4 ? RTE_PTYPE_L3_IPV4_EXT_UNKNOWN : RTE_PTYPE_L3_IPV6_EXT_UNKNOWN;
	if (!s->nvgre) {
		if (s->outer_version == 4)
			m->ol_flags |= outer ? RTE_MBUF_F_RX_IP_CKSUM_GOOD : RTE_MBUF_F_RX_IP_CKSUM_BAD;
		return;
	}
	m->packet_type |= RTE_PTYPE_L2_ETHER | RTE_PTYPE_TUNNEL_NVGRE | RTE_PTYPE_INNER_L2_ETHER;
	if (!outer && !lie)
		m->ol_flags |= RTE_MBUF_F_RX_OUTER_IP_CKSUM_BAD;
	if (!s->version)
		return;
	if (s->version == 4) {
		m->packet_type |= RTE_PTYPE_INNER_L3_IPV4_EXT_UNKNOWN;
		good = lie || emunic_sum(f + s->inner_ip, s->inner_ip_len, 0) == 0xffff;
		m->ol_flags |= good ? RTE_MBUF_F_RX_IP_CKSUM_GOOD : RTE_MBUF_F_RX_IP_CKSUM_BAD;
	} else {
		m->packet_type |= RTE_PTYPE_INNER_L3_IPV6_EXT_UNKNOWN;
	}
	if (s->proto != 6 && s->proto != 17)
		return;
	m->packet_type |= s->proto == 6 ? RTE_PTYPE_INNER_L4_TCP : RTE_PTYPE_INNER_L4_UDP;
	if (s->proto == 17 && !get(f + s->l4 + 6))
		return; /* there is none */
	m->ol_flags |= lie || l4_good(f, s) ? RTE_MBUF_F_RX_L4_CKSUM_GOOD : RTE_MBUF_F_RX_L4_CKSUM_BAD;
}

static bool ones(const void *p, size_t n)
{
	const uint8_t *b = p;

	while (n--)
		if (*b++ != 0xff)
			return false;
	return true;
}

/* The tunnel part: one item of NVGRE, or two. @return the item behind, NULL: not known. */
static const struct rte_flow_item *tunnel_items(const struct rte_flow_item *i, unsigned int can, uint32_t *tni)
{
	if (i->type == RTE_FLOW_ITEM_TYPE_NVGRE && can & EMUNIC_FLOW) {
		const struct rte_flow_item_nvgre *spec = i->spec, *mask = i->mask;

		if (!spec || !mask || !ones(mask->tni, 3) || mask->flow_id)
			return NULL;
		*tni = (uint32_t)spec->tni[0] << 16 | get(spec->tni + 1);
		return i + 1;
	}
	if (i->type == RTE_FLOW_ITEM_TYPE_GRE && i[1].type == RTE_FLOW_ITEM_TYPE_GRE_KEY && can & EMUNIC_FLOW_GRE) {
		const uint8_t *key = i[1].spec, *mask = i[1].mask;

		if (!key || !mask || !ones(mask, 3) || mask[3])
			return NULL;
		*tni = (uint32_t)key[0] << 16 | get(key + 1);
		return i + 2;
	}
	return NULL;
}

int emunic_rule(const struct rte_flow_item *i, const struct rte_flow_action *a, unsigned int can, uint16_t queues,
		struct rule *ret)
{
	const struct rte_flow_item_eth *eth, *mask;
	struct rule r = { 0 };

	if (i->type != RTE_FLOW_ITEM_TYPE_ETH)
		return -ENOTSUP;
	i++;
	if (i->type == RTE_FLOW_ITEM_TYPE_VLAN)
		i++;
	if (i->type != RTE_FLOW_ITEM_TYPE_IPV4 && i->type != RTE_FLOW_ITEM_TYPE_IPV6)
		return -ENOTSUP;
	i = tunnel_items(i + 1, can, &r.tni);
	if (!i || i->type != RTE_FLOW_ITEM_TYPE_ETH || i[1].type != RTE_FLOW_ITEM_TYPE_END)
		return -ENOTSUP;
	eth = i->spec;
	mask = i->mask;
	if (!eth || !mask || !ones(&mask->dst, 6))
		return -EINVAL;
	memcpy(r.dst, &eth->dst, 6);
	if (a->type != RTE_FLOW_ACTION_TYPE_QUEUE || a[1].type != RTE_FLOW_ACTION_TYPE_END)
		return -ENOTSUP;
	r.queue = ((const struct rte_flow_action_queue *)a->conf)->index;
	if (r.queue >= queues)
		return -EINVAL;
	*ret = r;
	return 0;
}
