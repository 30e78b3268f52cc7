/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sightings on their way to main: a ring per worker, with one writer and one reader. Each port has a rate, so that one
 * that floods fills neither the ring nor main's time; main takes from the workers in turn and is woken at most once
 * until it has looked. What comes from the wire has a rate for each kind: whoever can send one kind of frame to us does
 * not silence the others, which defend addresses.
 */
#include <sys/eventfd.h>
#include <rte_ring_elem.h>

#include "base/flowhash.h"
#include "base/pkt_dhcp.h"
#include "datapath/dp.h"

#define TOLD_MS	       20 /* the same once more is news after this long: it may be an answer */
#define MISMATCH_PER_S 100
#define MISMATCH_BURST 200
#define ANSWERS_PER_S  2000 /* that are awaited, and not repetitions */
#define ANSWERS_BURST  1000

int sights_init(struct worker *w)
{
	w->sights = ring_make("sights", sizeof(struct sighting), LEARN_RING);
	if (!w->sights)
		return -ENOMEM;
	rate_init(&w->mismatches, MISMATCH_PER_S, MISMATCH_BURST, w->dp->tsc_hz, 0);
	rate_init(&w->answers, ANSWERS_PER_S, ANSWERS_BURST, w->dp->tsc_hz, 0);
	return 0;
}

void sights_free(struct worker *w)
{
	free(w->sights);
}

void sights_put(struct worker *w, const struct sighting *s)
{
	if (unlikely(!w->sights)) /* a dry run's, which teaches nobody */
		return;
	if (rte_ring_sp_enqueue_elem(w->sights, (void *)(uintptr_t)s, sizeof(*s)) < 0) {
		stat_add(&w->sights_suppressed, 1);
		return;
	}
	stat_add(&w->sights_told, 1);
	w->sighted = true;
}

void sights_tell(struct worker *w, struct rxq *rxq, const struct sighting *s)
{
	uint64_t moment = w->dp->tsc_hz / 1000 * TOLD_MS;

	for (unsigned int i = 0; i < LEARN_TOLD; i++)
		if (memcmp(&rxq->told[i], s, sizeof(*s)) == 0 && w->now - rxq->told_at[i] < moment)
			return;
	if (!rate_take(&rxq->learn, 1, w->now)) {
		stat_add(&w->sights_suppressed, 1);
		return;
	}
	rxq->told[rxq->told_next] = *s;
	rxq->told_at[rxq->told_next] = w->now;
	rxq->told_next = (uint8_t)((rxq->told_next + 1) % LEARN_TOLD);
	sights_put(w, s);
}

static void tell_at(struct worker *w, struct rate *rate, const struct sighting *s)
{
	if (rate_take(rate, 1, w->now))
		sights_put(w, s);
	else
		stat_add(&w->sights_suppressed, 1);
}

/* Somebody who repeats one answer leaves room for the others. */
static void tell_answer(struct worker *w, const struct sighting *s)
{
	uint64_t ca, h;
	unsigned int i;

	memcpy(&ca, s->ca.b + (s->ca.family == 6 ? 8 : 0), 8);
	h = flowhash_mix(mac_load(&s->mac) ^ FLOWHASH_K1, ca ^ (uint64_t)s->vsid << 32 ^ FLOWHASH_K2);
	i = h % LEARN_ANSWERS;
	if (memcmp(&w->answered[i], s, sizeof(*s)) == 0 && w->now - w->answered_at[i] < w->dp->tsc_hz / 1000 * TOLD_MS)
		return;
	w->answered[i] = *s;
	w->answered_at[i] = w->now;
	tell_at(w, &w->answers, s);
}

/* By the rate of the port that gets the lease, wherever the server is. */
static void tell_lease(struct worker *w, const struct sighting *s)
{
	const struct knobs *k = w->knobs;

	if (unlikely(w->leases_gen != k->gen)) {
		for (unsigned int i = 0; i < POLICY_MAX_PORTS; i++)
			rate_init(&w->leases[i], k->learn_pps, k->learn_burst, w->dp->tsc_hz, w->now);
		w->leases_gen = k->gen;
	}
	if (s->port < POLICY_MAX_PORTS)
		tell_at(w, &w->leases[s->port], s);
}

/* Outer source of a frame whose outer headers are still in front of it. */
static struct ip_addr outer_source(const uint8_t *outer)
{
	const uint8_t *l3 = outer + (load_be16(outer + 12) == ETHERTYPE_VLAN_ ? 18 : ETH_HLEN_);

	return l3[0] >> 4 == 4 ? ip4_from(l3 + 12) : ip6_from(l3 + 8);
}

static struct ip_addr inner_source(const uint8_t *data, const struct pkt_info *info)
{
	const uint8_t *l3 = data + info->l3_off;

	switch (info->kind) {
	case PKT_IPV4:
		return ip4_from(l3 + 12);
	case PKT_IPV6:
	case PKT_ND:
		return ip6_from(l3 + 8);
	case PKT_ARP:
		return ip4_from(l3 + 14);
	default:
		return (struct ip_addr){ 0 };
	}
}

void sights_mismatch(struct worker *w, const struct rte_mbuf *m, uint32_t inner_off, uint32_t vsid,
		     enum drop_reason why)
{
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *) + inner_off;
	struct sighting s = { .kind = SIGHT_MISMATCH, .drop = (uint8_t)why, .port = PORT_WIRE, .vsid = vsid };
	struct pkt_info info;

	s.pa = outer_source(inner_off ? data - inner_off : data - pkt_meta((struct rte_mbuf *)(uintptr_t)m)->outer_len);
	memcpy(&s.mac, data + 6, 6);
	if (pkt_parse(data, m->data_len - inner_off, m->pkt_len - inner_off, &info) == DROP_NONE)
		s.ca = inner_source(data, &info);
	tell_at(w, &w->mismatches, &s);
}

void sights_answers(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	struct sighting sights[SIGHTS];

	for (uint16_t i = 0; i < n; i++) {
		const struct pkt_meta *meta = pkt_meta(pkts[i]);
		unsigned int k = 0;

		if (meta->verdict != VERDICT_DROP && (meta->pkt.kind == PKT_ARP || meta->pkt.kind == PKT_ND))
			k = policy_sight_wire(w->dp->params.policy, pkts[i], sights);
		for (unsigned int c = 0; c < k; c++)
			tell_answer(w, &sights[c]);
	}
}

void sights_leases(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	struct sighting sights[SIGHTS];

	for (uint16_t i = 0; i < n; i++) {
		const struct pkt_meta *meta = pkt_meta(pkts[i]);
		unsigned int k = 0;

		if (meta->verdict != VERDICT_DROP && !(meta->flags & META_DRY) &&
		    pkt_is_dhcp_answer(rte_pktmbuf_mtod(pkts[i], const uint8_t *), &meta->pkt))
			k = policy_sight_lease(w->dp->params.policy, pkts[i], sights);
		for (unsigned int c = 0; c < k; c++)
			tell_lease(w, &sights[c]);
	}
}

void sights_flooded(struct worker *w, struct rxq *rxq, const struct policy_port *port, struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta(m);
	const struct policy_subnet *s = policy_subnet(w->dp->params.policy, port->vsid);
	struct sighting sight;

	if (s && !rxq->inject && !(meta->flags & META_DRY) && policy_sight_ask(port, s, m, &sight))
		sights_tell(w, rxq, &sight);
}

void sights_wake(struct worker *w)
{
	w->sighted = false;
	if (!__atomic_exchange_n(&w->dp->learn_waiting, 1, __ATOMIC_ACQ_REL) && w->dp->params.learn_fd > 0)
		eventfd_write(w->dp->params.learn_fd, 1);
}

/* ---- main ---- */

unsigned int datapath_sights(struct datapath *dp, struct sighting *ret, unsigned int n)
{
	unsigned int share = n / dp->n_workers ? n / dp->n_workers : 1, k = 0;

	/* Before the rings are read: what is written afterwards wakes us again. */
	__atomic_store_n(&dp->learn_waiting, 0, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (unsigned int i = 0; i < dp->n_workers && k < n; i++)
		k += rte_ring_sc_dequeue_burst_elem(dp->workers[i]->sights, &ret[k], sizeof(*ret),
						    RTE_MIN(share, n - k), NULL);
	return k;
}

void datapath_learn_stats(const struct datapath *dp, struct datapath_learn_stats *ret)
{
	*ret = (struct datapath_learn_stats){ 0 };
	for (unsigned int i = 0; i < dp->n_workers; i++) {
		ret->told += stat_read(&dp->workers[i]->sights_told);
		ret->suppressed += stat_read(&dp->workers[i]->sights_suppressed);
	}
}
