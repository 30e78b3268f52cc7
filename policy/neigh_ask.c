/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the switch says by itself in ARP and neighbour discovery: tells a guest its neighbours, asks whether one is
 * still there, announces where an address has moved to.
 */
#include "base/meta.h"
#include "policy/neigh_make.h"

#define MAC_BROADCAST UINT64_C(0xffffffffffff)

bool policy_neigh_tell(const struct policy *p, const struct policy_port *port, const struct ip_addr *target,
		       struct rte_mbuf *m)
{
	const struct policy_subnet *s = policy_subnet(p, port->vsid);
	struct neigh_msg msg = { .op = NEIGH_REQUEST, .v6 = target->family == 6, .group = true, .target = *target };
	struct pkt_meta *meta = pkt_meta(m);
	const struct policy_record *rec;
	uint32_t index;

	memset(meta, 0, sizeof(*meta));
	if (!s || s->external || !port->n_macs)
		return false;
	msg.eth_src = mac_load(&port->macs[0]);
	/* RFC 5227 3: target and sender are the same. ND: to all nodes, as nobody has asked (RFC 4861 7.2.6). */
	msg.sender = msg.v6 ? (struct ip_addr){ .family = 6 } : *target;
	if (subnet_is_gateway(s, target)) {
		neigh_make_answer(m, &msg, s->gateway_mac, true);
	} else {
		index = policy_ca_lookup(p, s->vsid, target);
		rec = index == REC_NONE ? NULL : policy_record(p, index);
		if (!rec || rec->port == port->index || port_has_mac(port, mac_load(&rec->mac)))
			return false;
		neigh_make_answer(m, &msg, mac_load(&rec->mac), false);
	}
	if (meta->verdict != VERDICT_REPLY)
		return false;
	meta->vsid_in = meta->vsid_out = port->vsid;
	meta->verdict = VERDICT_LOCAL;
	meta->dst = port->index;
	meta->src = PORT_WIRE;
	return true;
}

/* Where a frame for the MAC goes. */
static bool direct(const struct policy *p, uint32_t vsid, uint64_t mac, struct pkt_meta *meta)
{
	uint32_t v = policy_mac_lookup(p, vsid, mac);

	meta->vsid_in = meta->vsid_out = vsid;
	meta->record = REC_NONE;
	meta->src = PORT_WIRE;
	meta->src_host = HOST_NONE;
	meta->dst_pa = PA_ANY;
	if (v == MACV_MISS || MACV_KIND(v) > MACV_REMOTE)
		return false;
	meta->dst = MACV_INDEX(v);
	meta->verdict = VERDICT_LOCAL;
	if (MACV_KIND(v) == MACV_REMOTE) {
		meta->verdict = VERDICT_REMOTE;
		meta->dst_pa = host_pin_pa(p, MACV_INDEX(v), MACV_PA(v));
	}
	return true;
}

/*
 * An address of the gateway to ask from. IPv4: one of the same prefix, so that the guest takes it for a neighbour's
 * question, else nobody's, as a probe has it. IPv6: its link-local one, or the one that its MAC would give it.
 */
static struct ip_addr gateway_address(const struct policy_subnet *s, const struct ip_addr *ca)
{
	struct ip_addr a = { .family = ca->family };

	for (uint16_t i = 0; i < s->n_gateways; i++) {
		const struct ip_prefix *g = &s->gateways[i];

		if (ca->family == 4 ? ip_in_prefix(ca, g) : ip_is_link_local(&g->addr))
			return g->addr;
	}
	if (ca->family == 4)
		return a;
	a.b[0] = 0xfe;
	a.b[1] = 0x80;
	mac_store(a.b + 8, s->gateway_mac);
	memmove(a.b + 13, a.b + 11, 3);
	a.b[8] ^= 2; /* RFC 4291 appendix A */
	a.b[11] = 0xff;
	a.b[12] = 0xfe;
	return a;
}

bool policy_neigh_ask(const struct policy *p, uint32_t vsid, const struct ip_addr *ca, uint64_t mac, uint64_t asker,
		      struct rte_mbuf *m)
{
	const struct policy_subnet *s = policy_subnet(p, vsid);
	struct neigh_msg msg = { .op = NEIGH_REQUEST, .v6 = ca->family == 6, .target = *ca };
	struct pkt_meta *meta = pkt_meta(m);

	memset(meta, 0, sizeof(*meta));
	if (!s || s->external || !direct(p, vsid, mac, meta))
		return false;
	msg.eth_dst = mac;
	msg.eth_src = asker ? asker : s->gateway_mac;
	msg.sender = asker ? (struct ip_addr){ .family = ca->family } : gateway_address(s, ca);
	msg.link = flowhash_mix(p->salt6[0] ^ asker, mac) & MAC_BROADCAST;
	return neigh_make_question(m, &msg);
}

bool policy_neigh_announce(const struct policy *p, const struct policy_port *port, const struct ip_addr *ca,
			   uint64_t mac, struct rte_mbuf *m)
{
	struct neigh_msg msg = { .op = NEIGH_REQUEST, .v6 = ca->family == 6, .group = true, .target = *ca };
	const struct policy_subnet *s = policy_subnet(p, port->vsid);
	struct pkt_meta *meta = pkt_meta(m);

	memset(meta, 0, sizeof(*meta));
	if (!s || s->external)
		return false;
	msg.eth_src = MAC_BROADCAST;
	msg.sender = msg.v6 ? (struct ip_addr){ .family = 6 } : *ca;
	neigh_make_answer(m, &msg, mac, false);
	if (meta->verdict != VERDICT_REPLY)
		return false;
	meta->vsid_in = meta->vsid_out = port->vsid;
	meta->record = REC_NONE;
	meta->verdict = VERDICT_FLOOD;
	meta->src = port->index;
	meta->src_host = HOST_NONE;
	meta->dst_pa = PA_ANY;
	return true;
}
