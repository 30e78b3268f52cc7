/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ARP and neighbour discovery of local ports: proxy, gateway, duplicate address detection, reachability,
 * spoofing (HNV 3.2, rows 18, 49-53; RFC 826, 4861, 4862, 5227). One body for both families.
 *
 *	question, to all    for a gateway address: answered with the subnet's gateway MAC
 *			    for a known CA: answered with its record's MAC, wherever it is
 *			    for an address of the asker: flooded, so that a duplicate can object
 *			    for an unknown CA: flooded where the subnet learns, else no-record
 *	question, unicast   for a gateway address: answered
 *			    else it goes to the VM it names, so that a dead one looks dead (NUD)
 *	announcement	    flooded, never answered
 *	answer to one	    delivered like any frame
 *
 * A probe for a free address (from 0.0.0.0 or ::) differs in one thing only: an advertisement that defends
 * the address goes to all nodes and is not marked solicited (RFC 4861 7.2.4).
 *
 * Decided where nobody says: router solicitations are flooded in a subnet that learns (a VM may be a router)
 * and dropped as no-record elsewhere; router advertisements pass like any frame when their sender is honest;
 * redirects from guests are dropped as spoof-arp, since the only first-hop router here is the distributed
 * one; what is sent to the gateway's MAC and is no question for a gateway address is dropped as no-record; an
 * owner behind the asker's own port answers there itself (split-horizon), unless the asker probes.
 */
#include "base/meta.h"
#include "policy/neigh_make.h"
#include "policy/policy_private.h"

static bool is_wildcard(const struct policy *p, uint32_t vsid, uint64_t mac)
{
	uint32_t v = policy_mac_lookup(p, vsid, mac);

	return v != MACV_MISS && (v & MACV_WILDCARD);
}

/* May the port say that the address is its own? */
static enum drop_reason check_claim(const struct policy *p, const struct policy_port *port,
				    const struct policy_subnet *s, const struct neigh_claim *claim)
{
	uint32_t rec;

	/* Wanting an address is no claim to it: whoever has it will object, we for the known ones. */
	if (claim->kind == NEIGH_CLAIM_WANTS)
		return DROP_NONE;
	if (ip_is_special(&claim->ca) || subnet_is_gateway(s, &claim->ca))
		return DROP_SPOOF_ARP;
	rec = policy_ca_lookup(p, s->vsid, &claim->ca);
	if (rec != REC_NONE)
		return mac_load(&policy_record(p, rec)->mac) == claim->mac ? DROP_NONE : DROP_SPOOF_ARP;
	/*
	 * No record: the same as for data (source.c). A list of allowed addresses is a limit to learning as
	 * well.
	 */
	if (ip_is_link_local(&claim->ca) || port_may_own(port, &claim->ca) ||
	    is_wildcard(p, s->vsid, claim->mac) || (!port->n_addresses && subnet_may_own(s, &claim->ca)))
		return DROP_NONE;
	return DROP_SRC_IP;
}

static enum drop_reason check_sender(const struct policy *p, const struct policy_port *port,
				     const struct policy_subnet *s, const struct neigh_msg *msg)
{
	struct neigh_claim claims[NEIGH_CLAIMS];
	enum drop_reason why = DROP_NONE;
	unsigned int n;

	if (msg->foreign || !port_has_mac(port, msg->eth_src))
		return DROP_SPOOF_ARP;
	n = neigh_claims(msg, claims);
	for (unsigned int i = 0; i < n && !why; i++)
		why = check_claim(p, port, s, &claims[i]);
	return why;
}

static void flood(struct pkt_meta *meta, const struct policy_subnet *s)
{
	meta->vsid_out = s->vsid;
	meta->verdict = VERDICT_FLOOD;
}

/* A question to all about an address that is no gateway's. */
static void judge_group_request(const struct policy *p, const struct policy_port *port,
				const struct policy_subnet *s, struct rte_mbuf *m,
				const struct neigh_msg *msg)
{
	struct pkt_meta *meta = pkt_meta(m);
	const struct policy_record *rec;
	uint32_t index;

	if (neigh_is_announcement(msg)) {
		flood(meta, s);
		return;
	}
	index = policy_ca_lookup(p, s->vsid, &msg->target);
	if (index == REC_NONE) {
		if (s->learning)
			flood(meta, s);
		else
			meta_drop(meta, DROP_NO_RECORD);
		return;
	}
	rec = policy_record(p, index);
	if (mac_load(&rec->mac) == msg->eth_src)
		flood(meta, s);
	else if (rec->port == port->index && !neigh_is_probe(msg))
		meta_drop(meta, DROP_SPLIT_HORIZON);
	else
		neigh_make_answer(m, msg, mac_load(&rec->mac), false);
}

static void judge_request(const struct policy *p, const struct policy_port *port,
			  const struct policy_subnet *s, struct rte_mbuf *m, const struct neigh_msg *msg)
{
	if (ip_is_special(&msg->target))
		meta_drop(pkt_meta(m), msg->v6 ? DROP_BAD_ND : DROP_BAD_ARP);
	else if (subnet_is_gateway(s, &msg->target))
		neigh_make_answer(m, msg, s->gateway_mac, true);
	else if (msg->group)
		judge_group_request(p, port, s, m, msg);
	else if (msg->eth_dst == s->gateway_mac)
		meta_drop(pkt_meta(m), DROP_NO_RECORD);
	/* else: the VM that has the MAC answers or does not */
}

void policy_neigh_egress(const struct policy *p, const struct policy_port *port,
			 const struct policy_subnet *s, struct rte_mbuf *m)
{
	struct pkt_meta *meta = pkt_meta(m);
	struct neigh_msg msg;
	enum drop_reason why;

	if (!s || s->external)
		return;
	neigh_read(rte_pktmbuf_mtod(m, const uint8_t *), &meta->pkt, &msg);
	why = msg.op == NEIGH_REDIRECT ? DROP_SPOOF_ARP : check_sender(p, port, s, &msg);
	if (why)
		meta_drop(meta, why);
	else if (msg.op == NEIGH_REQUEST)
		judge_request(p, port, s, m, &msg);
	else if (msg.op == NEIGH_RS && !s->learning)
		meta_drop(meta, DROP_NO_RECORD);
	else if (msg.group)
		flood(meta, s);
	else if (msg.eth_dst == s->gateway_mac)
		meta_drop(meta, policy_awaits(p) ? DROP_NEIGH_ANSWER : DROP_NO_RECORD);
}
