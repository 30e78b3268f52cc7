/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What workers notice of who has which address, for main to decide (HNV 3.1). Only what main does not know yet is worth
 * a message: a guest that repeats itself costs one lookup.
 */
#include "base/flowhash.h"
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

	if (s->external || (!s->learning && !s->ra))
		return 0;
	neigh_read(rte_pktmbuf_mtod(m, const uint8_t *), &pkt_meta(m)->pkt, &msg);
	if (msg.foreign || msg.op == NEIGH_REDIRECT || !port_has_mac(port, msg.eth_src))
		return 0;
	if (msg.op == NEIGH_RS && s->ra)
		fill(&ret[k++], SIGHT_SOLICITS, port->index, s->vsid, &(struct neigh_claim){ .mac = msg.eth_src });
	if (!s->learning)
		return k;
	n = neigh_claims(&msg, claims);
	for (unsigned int i = 0; i < n; i++) {
		if (!policy_may_have(port, s, &claims[i].ca) ||
		    (sight_known(p, port, &claims[i].ca, claims[i].mac) &&
		     !policy_awaited(p, s->vsid, &claims[i].ca, claims[i].mac)))
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

unsigned int policy_sight_wire(const struct policy *p, struct rte_mbuf *m, struct sighting *ret)
{
	struct neigh_claim claims[NEIGH_CLAIMS];
	uint32_t vsid = pkt_meta(m)->vsid_in;
	struct neigh_msg msg;
	unsigned int n, k = 0;

	neigh_read(rte_pktmbuf_mtod(m, const uint8_t *), &pkt_meta(m)->pkt, &msg);
	if (msg.foreign || msg.op != NEIGH_REPLY)
		return 0;
	n = neigh_claims(&msg, claims);
	for (unsigned int i = 0; i < n; i++)
		if (policy_awaited(p, vsid, &claims[i].ca, claims[i].mac))
			fill(&ret[k++], SIGHT_OWNER, PORT_WIRE, vsid, &claims[i]);
	return k;
}

/* ---- who was asked ---- */

/* Salted: a guest cannot choose addresses that are taken for those of others. */
static unsigned int awaited_bit(const struct policy *p, uint32_t vsid, const struct ip_addr *ca, uint64_t mac)
{
	uint64_t w[2], h;

	memcpy(w, ca->b, 16);
	h = flowhash_mix(w[0] ^ p->salt6[0], w[1] ^ p->salt6[1]);
	h = flowhash_mix(h ^ FLOWHASH_K1, (mac | (uint64_t)ca->family << 48) ^ p->salt6[1]);
	return flowhash_mix(h ^ FLOWHASH_K2, vsid ^ p->salt6[0]) % AWAITED_BITS;
}

bool policy_awaited(const struct policy *p, uint32_t vsid, const struct ip_addr *ca, uint64_t mac)
{
	unsigned int bit;

	if (!policy_awaits(p))
		return false;
	bit = awaited_bit(p, vsid, ca, mac);
	return __atomic_load_n(&p->awaited.bits[bit / 64], __ATOMIC_RELAXED) >> bit % 64 & 1;
}

void policy_awaited_add(const struct policy *p, struct policy_awaited *set, uint32_t vsid, const struct ip_addr *ca,
			const struct mac *mac)
{
	unsigned int bit = awaited_bit(p, vsid, ca, mac_load(mac));

	set->bits[bit / 64] |= UINT64_C(1) << bit % 64;
}

void policy_set_awaited(struct policy *p, const struct policy_awaited *set)
{
	uint64_t any = 0;

	/* A bit that stays is never missing in between. */
	for (unsigned int i = 0; i < AWAITED_BITS / 64; i++) {
		__atomic_store_n(&p->awaited.bits[i], set->bits[i], __ATOMIC_RELAXED);
		any |= set->bits[i];
	}
	__atomic_store_n(&p->awaits, any != 0, __ATOMIC_RELAXED);
}

void policy_await(struct policy *p, uint32_t vsid, const struct ip_addr *ca, const struct mac *mac)
{
	unsigned int bit = awaited_bit(p, vsid, ca, mac_load(mac));
	uint64_t *word = &p->awaited.bits[bit / 64];

	__atomic_store_n(word, *word | UINT64_C(1) << bit % 64, __ATOMIC_RELAXED);
	__atomic_store_n(&p->awaits, true, __ATOMIC_RELAXED);
}

bool policy_awaits(const struct policy *p)
{
	return __atomic_load_n(&p->awaits, __ATOMIC_RELAXED);
}
