/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What workers notice of who has which address, for main to decide (HNV 3.1). Only what main does not know yet is worth
 * a message: a guest that repeats itself costs one lookup.
 */
#include "base/meta.h"
#include "policy/neigh_msg.h"
#include "policy/policy_private.h"

bool sight_known(const struct policy *p, const struct policy_port *port, const struct ip_addr *ca, uint64_t mac)
{
	uint32_t i = policy_ca_lookup(p, port->vsid, ca);
	union record_place place;

	if (i == REC_NONE || mac_load(&p->records[i].mac) != mac)
		return false;
	place = record_place(&p->records[i]);
	return place.host == p->self && place.port == port->index;
}

static uint8_t kind_of(const struct neigh_claim *claim)
{
	static const uint8_t kinds[] = { [NEIGH_CLAIM_USES] = SIGHT_USES,
					 [NEIGH_CLAIM_ANNOUNCES] = SIGHT_ANNOUNCES,
					 [NEIGH_CLAIM_WANTS] = SIGHT_WANTS };

	return kinds[claim->kind];
}

static void fill(struct sighting *ret, uint8_t kind, uint16_t port, uint32_t vsid, const struct neigh_claim *claim)
{
	*ret = (struct sighting){ .kind = kind, .port = port, .vsid = vsid, .ca = claim->ca };
	mac_store(&ret->mac, claim->mac);
}

unsigned int policy_sight_neigh(const struct policy *p, const struct policy_port *port,
				const struct policy_subnet *s, struct rte_mbuf *m, struct sighting *ret)
{
	struct neigh_claim claims[NEIGH_CLAIMS];
	unsigned int n, k = 0;
	struct neigh_msg msg;

	if (s->external || !s->learning)
		return 0;
	neigh_read(rte_pktmbuf_mtod(m, const uint8_t *), &pkt_meta(m)->pkt, &msg);
	if (msg.foreign || msg.op == NEIGH_REDIRECT || !port_has_mac(port, msg.eth_src))
		return 0;
	n = neigh_claims(&msg, claims);
	for (unsigned int i = 0; i < n; i++) {
		if (!policy_may_have(port, s, &claims[i].ca) ||
		    (sight_known(p, port, &claims[i].ca, claims[i].mac) && !policy_awaits(p)))
			continue;
		/* Who probes for an address of another's does not have it: the proxy defends it. */
		if (claims[i].kind == NEIGH_CLAIM_WANTS && policy_ca_lookup(p, s->vsid, &claims[i].ca) != REC_NONE)
			continue;
		fill(&ret[k++], kind_of(&claims[i]), port->index, s->vsid, &claims[i]);
	}
	return k;
}

unsigned int policy_sight_spoof(const struct policy_port *port, struct rte_mbuf *m, struct sighting *ret)
{
	struct neigh_claim claims[NEIGH_CLAIMS];
	struct neigh_msg msg;

	neigh_read(rte_pktmbuf_mtod(m, const uint8_t *), &pkt_meta(m)->pkt, &msg);
	if (!neigh_claims(&msg, claims))
		claims[0] = (struct neigh_claim){ .mac = msg.eth_src };
	fill(ret, SIGHT_MISMATCH, port->index, port->vsid, &claims[0]);
	ret->drop = pkt_meta(m)->drop;
	return 1;
}

unsigned int policy_sight_wire(struct rte_mbuf *m, struct sighting *ret)
{
	struct neigh_claim claims[NEIGH_CLAIMS];
	struct neigh_msg msg;
	unsigned int n;

	neigh_read(rte_pktmbuf_mtod(m, const uint8_t *), &pkt_meta(m)->pkt, &msg);
	if (msg.foreign || msg.op != NEIGH_REPLY)
		return 0;
	n = neigh_claims(&msg, claims);
	for (unsigned int i = 0; i < n; i++)
		fill(&ret[i], SIGHT_OWNER, PORT_WIRE, pkt_meta(m)->vsid_in, &claims[i]);
	return n;
}

bool policy_awaits(const struct policy *p)
{
	return __atomic_load_n(&p->awaits, __ATOMIC_RELAXED);
}

void policy_set_awaits(struct policy *p, bool awaits)
{
	__atomic_store_n(&p->awaits, awaits, __ATOMIC_RELAXED);
}
