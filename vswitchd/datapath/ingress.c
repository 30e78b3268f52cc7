/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way of a packet from the wire: outer headers validated, source host found, outer part removed, destination
 * port looked up, out to the port or to the local members of the subnet. Never back to the wire.
 */
#include <rte_prefetch.h>

#include "datapath/dp.h"
#include "offload/offload.h"

#define PREFETCH_AHEAD 4

/* Is this PA accepted on this member? (DESIGN: cooperating teams accept any, independent only the home.) */
static inline bool at_home(const struct worker *w, const struct team_pa_view *pa, uint8_t member)
{
	if (likely(pa->now == member) || w->view->mode == TEAM_COOPERATE)
		return true;
	return pa->prev == member && w->now < pa->prev_until;
}

static inline uint16_t source_host(struct worker *w, const struct ip_addr *src)
{
	if (likely(ip_equal(src, &w->last_src)))
		return w->last_host;
	w->last_host = policy_host_of_pa(w->dp->params.policy, src);
	w->last_src = *src;
	return w->last_host;
}

/* Frames that are no tunnel packets of ours: teamwatch's on members without a netdev, the plain segment's, or nobody's. */
static void not_tunnel(struct worker *w, uint8_t member, struct rte_mbuf *m, enum drop_reason why)
{
	if (why == DROP_WIRE_OTHER) {
		if (w->view->members[member].punt && teaming_punt_rx(w->dp->params.teaming, member, &m, 1))
			return;
		if (w->knobs->plain_uplink && plain_from_wire(w, member, m))
			return;
	}
	worker_drop(w, PORT_WIRE, m, why);
}

/* Outer headers of one frame; on success the outer part is gone and the metadata says where it came from. */
static inline enum drop_reason decap(struct worker *w, uint8_t member, struct rte_mbuf *m)
{
	const struct team_view *v = w->view;
	struct pkt_meta *meta = pkt_meta(m);
	struct encap_rx rx;
	enum drop_reason why;

	why = nvgre_ops.parse(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, m->pkt_len, offload_rx_ip_good(m),
			      v->local, v->n_pas, &w->rx_hint, &rx);
	if (unlikely(why == DROP_WIRE_OTHER)) {
		const struct encap_ops *other = policy_encap(ENCAP_TEST);

		if (other)
			why = other->parse(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, m->pkt_len,
					   offload_rx_ip_good(m), v->local, v->n_pas, &w->rx_hint, &rx);
	}
	if (unlikely(why))
		return why;
	if (unlikely(!at_home(w, &v->pas[w->rx_hint], member)))
		return DROP_NOT_HOME;

	memset(meta, 0, sizeof(*meta));
	meta->vsid_in = meta->vsid_out = rx.vsid;
	meta->record = REC_NONE;
	meta->src = PORT_WIRE;
	meta->flags = META_NATIVE;
	meta->member = member;
	meta->pa = (uint8_t)w->rx_hint;
	meta->src_host = source_host(w, &rx.outer_src);
	if (unlikely(meta->src_host == HOST_NONE))
		return DROP_SRC_PA_UNKNOWN;
	rte_pktmbuf_adj(m, rx.inner_off);
	return DROP_NONE;
}

static void deliver(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		struct pkt_meta *meta = pkt_meta(pkts[i]);

		if (likely(meta->verdict == VERDICT_LOCAL))
			local_enqueue(w, meta->dst, pkts[i]);
		else if (meta->verdict == VERDICT_FLOOD)
			flood_packet(w, pkts[i], true);
		else if (meta->verdict != VERDICT_CONSUMED)
			worker_drop(w, PORT_WIRE, pkts[i], meta->drop);
	}
}

void ingress_burst(struct worker *w, uint8_t member, struct rte_mbuf **pkts, uint16_t n)
{
	struct rte_mbuf *ok[WIRE_BURST];
	uint64_t bytes = 0;
	uint16_t k = 0;

	for (uint16_t i = 0; i < n && i < PREFETCH_AHEAD; i++)
		rte_prefetch0(rte_pktmbuf_mtod(pkts[i], const void *));
	hooks(w, HOOK_WIRE_RX, pkts, n);
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		enum drop_reason why;

		if (i + PREFETCH_AHEAD < n)
			rte_prefetch0(rte_pktmbuf_mtod(pkts[i + PREFETCH_AHEAD], const void *));
		bytes += m->pkt_len;
		why = decap(w, member, m);
		if (likely(!why))
			ok[k++] = m;
		else
			not_tunnel(w, member, m, why);
	}
	traffic_add(&w->member_rx[member], n, bytes);
	stat_add(&w->stage[STAGE_WIRE_RX], n);
	policy_ingress_burst(w->dp->params.policy, ok, k);
	stat_add(&w->stage[STAGE_INGRESS], k);
	deliver(w, ok, k);
}
