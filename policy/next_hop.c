/* SPDX-License-Identifier: BSD-3-Clause */
/* The question behind Select-NetVirtualizationNextHop: where would a packet go? */
#include "policy/router.h"

/* Would the guest send to the destination itself (true) or to its gateway? */
static bool same_subnet(const struct policy *p, const struct policy_subnet *s, const struct ip_addr *to)
{
	if (ip_is_link_local(to) || policy_ca_lookup(p, s->vsid, to) != REC_NONE)
		return true;
	for (uint16_t i = 0; i < s->n_gateways; i++)
		if (ip_in_prefix(to, &s->gateways[i]))
			return true;
	return false;
}

static void to_record(const struct policy *p, uint32_t record, uint32_t macv, struct policy_next_hop *ret)
{
	const struct policy_record *r = &p->records[record];

	ret->record = record;
	ret->dst_mac = r->mac;
	ret->host = record_place_now(p, r).host;
	if (macv != MACV_MISS && MACV_KIND(macv) == MACV_LOCAL) {
		ret->verdict = VERDICT_LOCAL;
		ret->port = MACV_INDEX(macv);
		ret->host = p->self;
	} else if (macv != MACV_MISS && MACV_KIND(macv) == MACV_REMOTE && host_is_up(p, MACV_INDEX(macv))) {
		ret->verdict = VERDICT_REMOTE;
		ret->host = MACV_INDEX(macv);
	} else {
		ret->verdict = VERDICT_DROP;
		ret->drop = DROP_RECORD_UNUSABLE;
	}
}

static void bridged(const struct policy *p, const struct policy_subnet *s, const struct ip_addr *to,
		    struct policy_next_hop *ret)
{
	uint32_t record = policy_ca_lookup(p, s->vsid, to);

	if (record != REC_NONE) {
		to_record(p, record, policy_mac_lookup(p, s->vsid, mac_load(&p->records[record].mac)), ret);
		return;
	}
	ret->verdict = s->learning ? VERDICT_FLOOD : VERDICT_DROP;
	ret->drop = s->learning ? DROP_NONE : DROP_NO_RECORD;
}

static void routed(const struct policy *p, const struct policy_subnet *s, const struct ip_addr *to, bool wild,
		   struct policy_next_hop *ret)
{
	struct hop h;

	ret->routed = true;
	route_decide(p, s, to, wild, &h);
	if (h.drop != DROP_NONE) {
		ret->verdict = VERDICT_DROP;
		ret->drop = h.drop;
		return;
	}
	if (h.gateway) {
		ret->verdict = VERDICT_ROUTE;
		return;
	}
	ret->vsid_out = h.out->vsid;
	if (!(h.route->flags & ROUTE_ON_LINK))
		ret->next_hop = h.route->next_hop;
	mac_store(&ret->src_mac, h.out->gateway_mac);
	ret->record = h.record;
	ret->dst_mac = p->records[h.record].mac;
	ret->host = h.place.port != PORT_NONE ? p->self : h.place.host;
	ret->port = h.place.port;
	ret->verdict = h.place.port != PORT_NONE ? VERDICT_LOCAL : VERDICT_REMOTE;
}

int policy_next_hop(const struct policy *p, uint32_t vsid, const struct ip_addr *from,
		    const struct ip_addr *to, struct policy_next_hop *ret)
{
	const struct policy_subnet *s = policy_subnet(p, vsid);
	uint32_t sender, macv;

	if (!s)
		return -ENOENT;
	if (!ip_is_set(from) || from->family != to->family || ip_is_special(to))
		return -EINVAL;
	*ret = (struct policy_next_hop){
		.vsid_out = vsid, .record = REC_NONE, .next_hop = *to, .host = HOST_NONE, .port = PORT_NONE
	};
	sender = policy_ca_lookup(p, vsid, from);
	if (sender != REC_NONE)
		ret->src_mac = p->records[sender].mac;
	if (subnet_is_gateway(s, to)) {
		ret->verdict = VERDICT_ROUTE;
		mac_store(&ret->dst_mac, s->gateway_mac);
		return 0;
	}
	if (same_subnet(p, s, to)) {
		bridged(p, s, to, ret);
		return 0;
	}
	macv = policy_mac_lookup(p, vsid, mac_load(&ret->src_mac));
	routed(p, s, to, sender != REC_NONE && macv != MACV_MISS && (macv & MACV_WILDCARD), ret);
	return 0;
}
