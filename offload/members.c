/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What each member's device is asked for, what it grants, what was seen of it, and what the packet path uses of that. A
 * claim is no promise (HNV section 9): nothing is used that was seen to fail, and with trust = proven nothing that was
 * not seen to work.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <rte_ethdev.h>

#include "base/log.h"
#include "base/str.h"
#include "offload/control.h"

#define TX_SUMS                                                                                                 \
	(RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM |             \
	 RTE_ETH_TX_OFFLOAD_OUTER_IPV4_CKSUM) /* the last says that the device knows of tunnels */
#define TX_TSO                                                                                                  \
	(TX_SUMS | RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_MULTI_SEGS |                                    \
	 RTE_ETH_TX_OFFLOAD_GRE_TNL_TSO) /* that of any IP tunnel is another kind of packet to drivers */
#define RX_SUMS                                                                                                 \
	(RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM |             \
	 RTE_ETH_RX_OFFLOAD_OUTER_IPV4_CKSUM)

static const char *const bit_names[] = {
#define X(sym, name, text) name,
	OFFLOAD_BIT_LIST(X)
#undef X
};

static const char *const bit_texts[] = {
#define X(sym, name, text) text,
	OFFLOAD_BIT_LIST(X)
#undef X
};

static const char *const path_names[] = {
#define X(sym, name, text) name,
	OFFLOAD_PATH_LIST(X)
#undef X
};

const char *const offload_proof_names[] = { "no", "granted", "accepted", "proven", "refuted", NULL };

const char *offload_bit_name(enum offload_bit_index b)
{
	return b < OFFLOAD_BITS ? bit_names[b] : NULL;
}

const char *offload_bit_text(enum offload_bit_index b)
{
	return b < OFFLOAD_BITS ? bit_texts[b] : NULL;
}

static bool has(uint64_t set, uint64_t all)
{
	return (set & all) == all;
}

const char *offload_path_name(enum offload_path p)
{
	return p < OFFLOAD_PATHS ? path_names[p] : NULL;
}

void offload_member_config(const struct member_info *info, struct member_config *c)
{
	/*
	 * Not RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE: a driver would give buffers back to the pool unseen, also those that
	 * are shared or attached, as the pieces of a packet that is cut inside the tunnel are.
	 */
	c->tx_offloads = info->tx_capa & TX_TSO;
	c->rx_offloads = info->rx_capa & RX_SUMS;
	c->inner_rss = true;
}

void offload_member_choose(const struct member_info *claims, struct member_config *c)
{
	uint64_t tx = c->tx_offloads & claims->tx_capa, rx = c->rx_offloads & claims->rx_capa, keep;

	keep = tx & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	if (has(tx, TX_SUMS))
		keep |= TX_SUMS;
	if (has(tx, TX_TSO))
		keep |= TX_TSO;
	c->tx_offloads = keep;
	c->rx_offloads = has(rx, RX_SUMS) ? RX_SUMS : 0;
}

struct offload *offload_create(const struct offload_knobs *knobs)
{
	struct offload *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	pthread_mutex_init(&o->lock, NULL);
	o->knobs = *knobs;
	return o;
}

void offload_free(struct offload *o)
{
	if (!o)
		return;
	for (unsigned int i = 0; i < OFFLOAD_MEMBERS; i++)
		steer_forget(&o->members[i]);
	pthread_mutex_destroy(&o->lock);
	free(o);
}

/* Which of the bits do these DPDK flags amount to? */
static uint32_t amount_to(uint64_t tx, uint64_t rx)
{
	uint32_t bits = 0;

	bits |= tx & RTE_ETH_TX_OFFLOAD_MULTI_SEGS ? OFFLOAD_F_CHAINS : 0;
	bits |= has(tx, TX_SUMS) ? OFFLOAD_F_TX_CSUM : 0;
	bits |= has(tx, TX_TSO) ? OFFLOAD_F_TX_TSO : 0;
	bits |= has(rx, RX_SUMS) ? OFFLOAD_F_RX_CSUM : 0;
	return bits;
}

/* Why does it choose queues by outer headers, if at all? */
static const char *why_no_rss(const struct member *m)
{
	if (m->dev->rxq < 2)
		return "one queue";
	if (m->info.bifurcated)
		return "asked for by its flow rules, where the card takes it";
	return m->info.inner_rss ? "refused at configuration" : "its driver does not offer it";
}

static void fill_claims(struct member *m)
{
	uint32_t claimed = amount_to(m->info.tx_capa, m->info.rx_capa);
	uint32_t asked = amount_to(m->tx_wanted, m->rx_wanted);
	uint32_t granted = amount_to(m->dev->tx_offloads, m->dev->rx_offloads);

	if (m->dev->ops->flow_create) /* what it takes is seen when it is asked */
		claimed |= OFFLOAD_F_STEER;
	asked |= OFFLOAD_F_STEER;
	claimed |= m->info.inner_rss ? OFFLOAD_F_RX_RSS : 0;
	asked |= m->rss_wanted && m->dev->rxq > 1 ? OFFLOAD_F_RX_RSS : 0;
	granted |= m->dev->inner_rss ? OFFLOAD_F_RX_RSS : 0;
	for (unsigned int i = 0; i < OFFLOAD_BITS; i++) {
		struct offload_claim *b = &m->bits[i];

		*b = (struct offload_claim){ .claimed = claimed >> i & 1, .requested = asked >> i & 1,
					     .granted = granted >> i & 1 };
		b->proof = b->granted ? OFFLOAD_PROOF_GRANTED : OFFLOAD_PROOF_NO;
	}
	if (!m->dev->inner_rss)
		str_copy(m->bits[OFFLOAD_I_RX_RSS].why, sizeof(m->bits[0].why), why_no_rss(m));
}

/* What the packet path is allowed, by what was seen and the knobs. */
static uint32_t usable(const struct offload *o, const struct member *m)
{
	uint32_t bits = 0;

	for (unsigned int i = 0; i < OFFLOAD_BITS; i++) {
		const struct offload_claim *b = &m->bits[i];
		bool ok = b->proof == OFFLOAD_PROOF_PROVEN;

		if (o->knobs.trust == OFFLOAD_TRUST_ACCEPTED)
			ok = ok || b->proof == OFFLOAD_PROOF_ACCEPTED;
		else if (o->knobs.trust == OFFLOAD_TRUST_GRANTED)
			ok = ok || b->proof == OFFLOAD_PROOF_ACCEPTED || b->proof == OFFLOAD_PROOF_GRANTED;
		/* Chains: tried by every driver; without it nothing long can leave. RSS: nothing depends on it. */
		if (i == OFFLOAD_I_CHAINS || (i == OFFLOAD_I_RX_RSS && o->knobs.trust != OFFLOAD_TRUST_PROVEN))
			ok = b->proof != OFFLOAD_PROOF_REFUTED;
		if (o->knobs.trust == OFFLOAD_TRUST_NONE && i != OFFLOAD_I_CHAINS)
			ok = false;
		bits |= b->granted && ok ? 1u << i : 0;
	}
	return bits;
}

static void use(const struct offload *o, struct member *m)
{
	uint32_t bits = usable(o, m);

	for (unsigned int i = 0; i < OFFLOAD_BITS; i++)
		if (i != OFFLOAD_I_STEER) /* used while rules are there: steer.c */
			m->bits[i].used = bits >> i & 1;
	__atomic_store_n(&m->dev->offload, bits, __ATOMIC_RELAXED);
}

static struct member *find(struct offload *o, const char *name)
{
	for (unsigned int i = 0; i < OFFLOAD_MEMBERS; i++)
		if (o->members[i].used && strcmp(o->members[i].name, name) == 0)
			return &o->members[i];
	return NULL;
}

static struct member *slot(struct offload *o)
{
	for (unsigned int i = 0; i < OFFLOAD_MEMBERS; i++)
		if (!o->members[i].used)
			return &o->members[i];
	return NULL;
}

void offload_member_open(struct offload *o, const char *name, struct member_dev *d, const struct member_info *info,
			 const struct member_config *c, const struct encap_ops *encap)
{
	struct member m = { .used = true, .dev = d, .info = *info, .tx_wanted = c->tx_offloads,
			    .rx_wanted = c->rx_offloads, .rss_wanted = c->inner_rss };
	struct member *to;

	str_copy(m.name, sizeof(m.name), name);
	fill_claims(&m);
	proof_run(&m, encap, c->pool);
	for (unsigned int i = 0; i < OFFLOAD_BITS; i++)
		if (m.bits[i].proof == OFFLOAD_PROOF_REFUTED)
			log_warning("member %s: its driver claims %s, which does not work: %s", name, bit_names[i],
				    m.bits[i].why);
	pthread_mutex_lock(&o->lock);
	to = slot(o);
	use(o, &m);
	if (to)
		*to = m;
	pthread_mutex_unlock(&o->lock);
}

void offload_member_close(struct offload *o, const char *name)
{
	struct member *m = find(o, name), gone; /* this thread alone adds and removes */

	if (!m)
		return;
	pthread_mutex_lock(&o->lock);
	gone = *m;
	memset(m, 0, sizeof(*m));
	pthread_mutex_unlock(&o->lock);
	steer_forget(&gone);
}

void offload_set_knobs(struct offload *o, const struct offload_knobs *knobs)
{
	pthread_mutex_lock(&o->lock);
	o->knobs = *knobs;
	for (unsigned int i = 0; i < OFFLOAD_MEMBERS; i++)
		if (o->members[i].used)
			use(o, &o->members[i]);
	pthread_mutex_unlock(&o->lock);
}

unsigned int offload_status(struct offload *o, struct offload_member_status *ret, unsigned int max)
{
	unsigned int n = 0;

	pthread_mutex_lock(&o->lock);
	for (unsigned int i = 0; i < OFFLOAD_MEMBERS && n < max; i++) {
		const struct member *m = &o->members[i];

		if (!m->used)
			continue;
		memset(&ret[n], 0, sizeof(ret[n]));
		str_copy(ret[n].name, sizeof(ret[n].name), m->name);
		memcpy(ret[n].bits, m->bits, sizeof(m->bits));
		ret[n].rx_queues = m->dev->rxq;
		ret[n].rules_wanted = m->n_rules;
		for (unsigned int k = 0; k < m->n_rules; k++) {
			ret[n].rules += m->rules[k].flow != NULL;
			if (!m->rules[k].flow && !*ret[n].rules_why)
				str_copy(ret[n].rules_why, sizeof(ret[n].rules_why), m->rules[k].why);
		}
		ret[n].paths[OFFLOAD_PATH_PLAIN] = "hardware";
		ret[n].paths[OFFLOAD_PATH_CSUM] = m->bits[OFFLOAD_I_TX_CSUM].used ? "hardware" : "software";
		ret[n].paths[OFFLOAD_PATH_TSO] = m->bits[OFFLOAD_I_TX_TSO].used ? "hardware" : "software";
		ret[n].paths[OFFLOAD_PATH_RX_CSUM] = m->bits[OFFLOAD_I_RX_CSUM].used ? "hardware" : "software";
		ret[n].paths[OFFLOAD_PATH_RX_MERGE] = "software";
		ret[n].paths[OFFLOAD_PATH_RX_QUEUE] =
			ret[n].rules || m->bits[OFFLOAD_I_RX_RSS].used ? "hardware" : "software";
		n++;
	}
	pthread_mutex_unlock(&o->lock);
	return n;
}
