/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way of a packet from a VM: parse, ARP/ND, source check, lookup, route, then out to a port, to everybody in
 * the subnet, or to another host (remote.c).
 */
#include "base/pkt_dhcp.h"
#include "datapath/dp.h"
#include "offload/offload.h"

#define ROUTED_FITS (ETH_HLEN_ + 1280) /* with any guest: RFC 8200 5 */
#define FRAME_MAX (ETH_HLEN_ + 4 + UINT16_MAX) /* to be segmented: IPv4's longest packet, with a tag */

/* Headers of the burst into the metadata. @return or-ed pkt_kind bits (1 << kind) of what is in it. */
static unsigned int parse_burst(struct worker *w, const struct rxq *rxq, const struct policy_port *port,
				struct rte_mbuf **pkts, uint16_t n)
{
	uint64_t salt = w->dp->params.salt;
	uint32_t may = rxq->q ? __atomic_load_n(&rxq->q->offloads, __ATOMIC_RELAXED) : 0; /* none in a dry run */
	uint16_t mtu = rxq->q ? __atomic_load_n(&rxq->q->mtu, __ATOMIC_RELAXED) : 0;
	uint32_t longest = RTE_MAX(mtu + ETH_HLEN_ + 4u, FRAME_WIRE_MAX); /* of frames that are not segmented */
	unsigned int kinds = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		struct pkt_meta *meta = pkt_meta(m);
		const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
		enum drop_reason bad;

		memset(meta, 0, sizeof(*meta));
		meta->vsid_in = port->vsid;
		meta->vsid_out = port->vsid;
		meta->record = REC_NONE;
		meta->src = port->index;
		meta->src_host = HOST_NONE;
		meta->dst_pa = PA_ANY;
		bad = offload_guest_chain(m);
		if (unlikely(m->pkt_len > longest) && !bad && (m->pkt_len > FRAME_MAX || !m->ol_flags))
			bad = DROP_GUEST_OVERSIZE;
		if (likely(!bad))
			bad = flow_parse(data, m->data_len, m->pkt_len, salt, &meta->pkt, &meta->hash);
		if (unlikely(m->ol_flags) && !bad) {
			bad = offload_guest_take(m, meta, may);
			if (m->pkt_len > longest && !bad && !meta->gso_type)
				bad = DROP_GUEST_OVERSIZE;
		}
		if (unlikely(bad)) {
			meta_drop(meta, bad);
			continue;
		}
		if (unlikely(meta->pkt.flags & PKT_F_VLAN) && port->vsid) {
			meta_drop(meta, DROP_GUEST_VLAN);
			continue;
		}
		kinds |= 1u << meta->pkt.kind;
	}
	return kinds;
}

/* VID 0 (a priority tag) from a guest: the tag goes, the frame stays. Rare; the frame is parsed again. */
static void strip_priority_tags(struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *);

		if (likely(m->data_len < ETH_HLEN_ + 4 || load_be16(data + 12) != ETHERTYPE_VLAN_ ||
			   (load_be16(data + 14) & 0x0fff) != 0))
			continue;
		memmove(data + 4, data, 12);
		rte_pktmbuf_adj(m, 4);
	}
}

/* ARP and ND: what they teach, then what becomes of them; the answer is written over the question. */
static void neigh_burst(struct worker *w, struct rxq *rxq, const struct policy_port *port,
			const struct policy_subnet *s, struct rte_mbuf **pkts, uint16_t n)
{
	const struct policy *p = w->dp->params.policy;
	struct sighting sights[SIGHTS];

	for (uint16_t i = 0; i < n; i++) {
		struct pkt_meta *meta = pkt_meta(pkts[i]);
		unsigned int k;
		bool tell;

		if (meta->verdict != VERDICT_NONE || (meta->pkt.kind != PKT_ARP && meta->pkt.kind != PKT_ND))
			continue;
		tell = !rxq->inject && !(meta->flags & META_DRY);
		k = tell ? policy_sight_neigh(p, port, s, pkts[i], sights) : 0;
		policy_neigh_egress(p, port, s, pkts[i]);
		if (tell && !k && meta->verdict == VERDICT_DROP && meta->drop == DROP_SPOOF_ARP)
			k = policy_sight_spoof(port, pkts[i], sights);
		for (unsigned int c = 0; c < k; c++)
			sights_tell(w, rxq, &sights[c]);
	}
}

/* The router's own voice, rate-limited per port: an error for a packet that is about to be dropped. */
static void answer_drop(struct worker *w, struct rxq *rxq, const struct policy_subnet *s, struct rte_mbuf *m,
			uint16_t mtu)
{
	struct pkt_meta *meta = pkt_meta(m);
	struct rte_mbuf *err;
	bool routed;

	if (!s || rxq->inject)
		return;
	/* A packet that the router could not forward keeps its MACs: it still names the gateway. */
	routed = mac_load(rte_pktmbuf_mtod(m, const uint8_t *)) == s->gateway_mac;
	if (meta->drop != DROP_TOO_BIG && !routed)
		return;
	err = icmp_error(w, s, m, meta->drop, mtu, &rxq->neigh);
	if (err)
		local_enqueue(w, meta->src, err);
}

static void reply(struct worker *w, struct rxq *rxq, struct rte_mbuf *m)
{
	if (rate_take(&rxq->neigh, 1, w->now))
		local_enqueue(w, pkt_meta(m)->src, m);
	else
		worker_drop(w, pkt_meta(m)->src, m, DROP_NEIGH_LIMIT);
}

/*
 * MTU toward a host, if the packet does not fit; 0: it fits. What counts is what is sent, not what the inner IP header
 * says: a guest may put as much behind its packet as it likes. Packets to be segmented are cut so that they fit.
 */
static inline uint16_t too_big(const struct worker *w, const struct rte_mbuf *m, uint16_t host)
{
	uint32_t len = m->pkt_len - ETH_HLEN_;
	const struct tunnel *t;

	if (likely(len <= __atomic_load_n(&w->dp->fits_all, __ATOMIC_RELAXED)))
		return 0;
	if (pkt_meta((struct rte_mbuf *)(uintptr_t)m)->gso_type)
		return 0;
	t = rcu_dereference(w->dp->tunnels[host]);
	return t && t->max_inner && len > t->max_inner ? t->max_inner : 0;
}

uint16_t egress_too_big(const struct worker *w, const struct rte_mbuf *m, uint16_t host)
{
	return too_big(w, m, host);
}

/* The sender of a packet that would be lost on the way to a host it may be for is told; the others get it. */
static void flood_too_big(struct worker *w, struct rxq *rxq, const struct policy_subnet *s, struct rte_mbuf *m)
{
	const struct policy_flood *f = s ? rcu_dereference(s->flood) : NULL;
	struct pkt_meta *meta = pkt_meta(m);
	uint16_t mtu = 0;

	if (!f || mac_is_group(rte_pktmbuf_mtod(m, const uint8_t *)) || fragment_may(meta))
		return;
	for (uint16_t i = 0; i < f->n_hosts; i++) {
		uint16_t one = too_big(w, m, f->hosts[i]);

		if (one && (!mtu || one < mtu))
			mtu = one;
	}
	if (!mtu)
		return;
	meta->drop = DROP_TOO_BIG;
	answer_drop(w, rxq, s, m, mtu);
	meta->drop = DROP_NONE;
}

/* A packet to be segmented becomes so many for each receiver. */
static uint32_t frames_of(const struct pkt_meta *meta)
{
	if (likely(!meta->gso_type))
		return 1;
	return (meta->pkt.l3_end - meta->gso_hdr_len + meta->gso_size - 1u) / meta->gso_size;
}

static void flood(struct worker *w, struct rxq *rxq, const struct policy_subnet *s, struct rte_mbuf *m)
{
	const struct policy_port *port = policy_port(w->dp->params.policy, pkt_meta(m)->src);

	if (unlikely(redirect_forged(w, m))) {
		worker_drop(w, pkt_meta(m)->src, m, DROP_REDIRECT_REFUSED);
		return;
	}
	if (!rate_take(&rxq->flood, frames_of(pkt_meta(m)), w->now)) {
		worker_drop(w, pkt_meta(m)->src, m, DROP_FLOOD_LIMIT);
		return;
	}
	if (port && port->vsid)
		sights_flooded(w, rxq, port, m);
	if (unlikely(m->pkt_len - ETH_HLEN_ > __atomic_load_n(&w->dp->fits_all, __ATOMIC_RELAXED)))
		flood_too_big(w, rxq, s, m);
	flood_packet(w, m, false);
}

static void deliver_slow(struct worker *w, struct rxq *rxq, const struct policy_subnet *s, struct rte_mbuf *m)
{
	struct pkt_meta *meta = pkt_meta(m);

	switch (meta->verdict) {
	case VERDICT_FLOOD:
		flood(w, rxq, s, m);
		return;
	case VERDICT_REPLY:
		reply(w, rxq, m);
		return;
	case VERDICT_ROUTE: /* the gateway's own address */
		if (s && icmp_echo_reply(s, m)) {
			reply(w, rxq, m);
			return;
		}
		meta_drop(meta, DROP_NO_ROUTE);
		break;
	case VERDICT_CONSUMED:
		return;
	default:
		break;
	}
	answer_drop(w, rxq, s, m, 0);
	worker_drop(w, meta->src, m, meta->drop);
}

/* IP MTU toward a port of this host. Guests take 1500 bytes also where they were told to send less. */
static uint32_t port_mtu(const struct worker *w, uint16_t port)
{
	const struct dp_port *p = port < POLICY_MAX_PORTS ? rcu_dereference(w->dp->ports[port]) : NULL;
	uint32_t fits = p ? __atomic_load_n(&p->queues[0]->fits, __ATOMIC_RELAXED) : UINT32_MAX;
	uint32_t mtu = p ? __atomic_load_n(&p->queues[0]->mtu, __ATOMIC_RELAXED) : 0;

	mtu = mtu ? RTE_MAX(mtu, 1500u) : UINT16_MAX;
	return RTE_MIN(mtu, fits - ETH_HLEN_);
}

/*
 * A packet that the router forwards to a guest of this host which takes no such long ones: cut, or its sender is told.
 * Packets to be segmented have segments of their receiver's size. @return true: it is gone.
 */
static __rte_noinline bool routed_too_big(struct worker *w, struct rxq *rxq, const struct policy_subnet *s,
					  struct rte_mbuf *m)
{
	struct pkt_meta *meta = pkt_meta(m);
	uint32_t mtu;

	if (!(meta->flags & META_ROUTED) || meta->gso_type)
		return false;
	mtu = port_mtu(w, meta->dst);
	if (m->pkt_len - ETH_HLEN_ <= mtu)
		return false;
	if (fragment_may(meta)) {
		fragment_packet(w, m, (uint16_t)mtu);
		return true;
	}
	meta_drop(meta, DROP_TOO_BIG);
	answer_drop(w, rxq, s, m, (uint16_t)mtu);
	worker_drop(w, meta->src, m, DROP_TOO_BIG);
	return true;
}

/* What guests send to other hosts is no REDIRECT of this one: hosts believe each other. */
static __rte_noinline uint16_t refuse_forged(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t k = 0;

	for (uint16_t i = 0; i < n; i++) {
		const struct pkt_meta *meta = pkt_meta(pkts[i]);

		if (meta->verdict == VERDICT_REMOTE && redirect_forged(w, pkts[i]))
			worker_drop(w, meta->src, pkts[i], DROP_REDIRECT_REFUSED);
		else
			pkts[k++] = pkts[i];
	}
	return k;
}

/* Destinations are data by now: act on them. */
static void deliver(struct worker *w, struct rxq *rxq, const struct policy_subnet *s, struct rte_mbuf **pkts,
		    uint16_t n)
{
	struct rte_mbuf *remote[BURST];
	uint16_t k = 0, mtu;

	if (unlikely(w->knobs->records != NULL))
		record_counts_add(w, pkts, n);
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		struct pkt_meta *meta = pkt_meta(m);

		if (likely(meta->verdict == VERDICT_REMOTE)) {
			mtu = too_big(w, m, meta->dst);
			if (likely(!mtu)) {
				remote[k++] = m;
				continue;
			}
			if (fragment_may(meta)) {
				egress_remote(w, remote, k); /* nothing is overtaken */
				k = 0;
				fragment_packet(w, m, mtu);
				continue;
			}
			meta_drop(meta, DROP_TOO_BIG);
			answer_drop(w, rxq, s, m, mtu);
			worker_drop(w, meta->src, m, DROP_TOO_BIG);
		} else if (meta->verdict == VERDICT_LOCAL) {
			if (unlikely(m->pkt_len > ROUTED_FITS) && routed_too_big(w, rxq, s, m))
				continue;
			if (pkt_is_dhcp_answer(rte_pktmbuf_mtod(m, const uint8_t *), &meta->pkt) && s)
				sights_leases(w, &m, 1);
			local_enqueue(w, meta->dst, m);
		} else {
			deliver_slow(w, rxq, s, m);
		}
	}
	if (k)
		egress_remote(w, remote, k);
}

/*
 * Rates follow the knobs; looked at once per burst. Each queue has its share of what the port may: nothing is shared.
 */
static inline void refresh_rates(struct worker *w, struct rxq *rxq)
{
	const struct knobs *k = w->knobs;
	uint32_t n = rxq->port->n_queues, flood, neigh;

	if (likely(rxq->knobs_gen == k->gen))
		return;
	flood = k->flood_pps / n + (k->flood_pps % n != 0);
	neigh = k->neigh_pps / n + (k->neigh_pps % n != 0);
	rate_init(&rxq->flood, flood, flood / 4 + 64 / n, w->dp->tsc_hz, w->now);
	rate_init(&rxq->neigh, neigh, neigh / 4 + 64 / n, w->dp->tsc_hz, w->now);
	rate_init(&rxq->learn, (k->learn_pps + n - 1) / n, (k->learn_burst + n - 1) / n, w->dp->tsc_hz,
		  w->now);
	rxq->knobs_gen = k->gen;
}

/* Large packets come few at a time. The library copies a burst before we see it: 32 of 64 KB would leave no cache. */
static inline void limit_bytes(struct rxq *rxq, uint16_t n, uint64_t bytes)
{
	if (unlikely(bytes > BURST_BYTES))
		rxq->burst = (uint16_t)RTE_MAX(n * BURST_BYTES / bytes, 1u);
	else if (unlikely(rxq->burst < BURST) && bytes <= BURST_BYTES / 2)
		rxq->burst = RTE_MIN(rxq->burst * 2, BURST);
}

static void drop_all(struct worker *w, uint16_t port, struct rte_mbuf **pkts, uint16_t n, enum drop_reason why)
{
	for (uint16_t i = 0; i < n; i++) { /* nobody has written the metadata yet */
		memset(pkt_meta(pkts[i]), 0, sizeof(struct pkt_meta));
		pkt_meta(pkts[i])->src = port;
		worker_drop(w, port, pkts[i], why);
	}
}

void egress_burst(struct worker *w, struct rxq *rxq, struct rte_mbuf **pkts, uint16_t n)
{
	const struct policy *p = w->dp->params.policy;
	const struct policy_port *port = policy_port(p, rxq->port->index);
	const struct policy_subnet *s = NULL;
	struct traffic *rx = unlikely(rxq->inject) ? &rxq->port->counters[w->id].injected : &rxq->rx;
	unsigned int kinds;
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < n; i++)
		bytes += pkts[i]->pkt_len;
	traffic_add(rx, n, bytes);
	stat_add(&w->stage[STAGE_GUEST_RX], n);
	refresh_rates(w, rxq);
	limit_bytes(rxq, n, bytes);
	if (unlikely(!port)) {
		drop_all(w, rxq->port->index, pkts, n, DROP_PORT_DOWN);
		return;
	}
	if (port->vsid) {
		s = policy_subnet(p, port->vsid);
		if (unlikely(!s)) {
			drop_all(w, port->index, pkts, n, DROP_NO_SUBNET);
			return;
		}
		strip_priority_tags(pkts, n);
	}
	kinds = parse_burst(w, rxq, port, pkts, n);
	n = hooks(w, HOOK_GUEST_RX, pkts, n);
	n = watch(w, WATCH_GUEST_RX, port->index, pkts, n);
	watch_stage(w, STAGE_GUEST_RX, pkts, n);
	if (unlikely(port->dhcp_guard || port->ra_guard))
		policy_guard_burst(port, pkts, n);
	policy_source_burst(p, port, s, &rxq->src, pkts, n);
	watch_stage(w, STAGE_SOURCE, pkts, n);
	if (unlikely(kinds & (1u << PKT_ARP | 1u << PKT_ND)) && s) {
		neigh_burst(w, rxq, port, s, pkts, n);
		watch_stage(w, STAGE_NEIGH, pkts, n);
	}
	policy_lookup_burst(p, port, s, pkts, n);
	watch_stage(w, STAGE_LOOKUP, pkts, n);
	if (s) {
		policy_route_burst(p, s, pkts, n);
		watch_stage(w, STAGE_ROUTE, pkts, n);
	}
	if (unlikely(w->knobs->redirect))
		n = refuse_forged(w, pkts, n);
	deliver(w, rxq, s, pkts, n);
}
