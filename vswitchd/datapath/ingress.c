/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way of a packet from the wire: outer headers validated, source host found, outer part removed, destination
 * port looked up, out to the port or to the local members of the subnet. Never back to the wire.
 */
#include <rte_prefetch.h>

#include "datapath/dp.h"
#include "offload/offload.h"

#define PREFETCH_AHEAD 4

/*
 * Is this PA accepted on this member? (DESIGN: cooperating teams accept any, independent only the home.) For a while
 * after a move on both: the switch does not know yet. One that knows neither sends to both.
 */
static inline enum drop_reason at_home(struct worker *w, const struct team_pa_view *pa, uint8_t member,
				       const struct rte_mbuf *m)
{
	bool moved = unlikely(pa->prev != TEAM_NO_MEMBER) && w->now < pa->prev_until;

	if (unlikely(w->view->mode == TEAM_COOPERATE))
		return DROP_NONE;
	if (unlikely(pa->now != member && !(moved && pa->prev == member)))
		return DROP_NOT_HOME;
	return unlikely(moved) && copies_seen(w->dp, pa, member, m) ? DROP_FLOODED_COPY : DROP_NONE;
}

/* Asked once for a run of packets from one source. */
static inline uint16_t source_host(struct worker *w, const struct ip_addr *src)
{
	if (likely(ip_equal(src, &w->last_src)))
		return w->last_host;
	w->last_host = policy_host_of_pa(w->dp->params.policy, src);
	w->last_src = *src;
	return w->last_host;
}

/*
 * Frames that are no tunnel packets of ours: teamwatch's on members without a netdev, the plain segment's, or nobody's.
 */
static void not_tunnel(struct worker *w, uint8_t member, struct rte_mbuf *m, enum drop_reason why)
{
	enum drop_reason said;

	/* A REDIRECT over IPv6 is no sound neighbour discovery. */
	if (why == DROP_BAD_ND && w->knobs->redirect) {
		said = redirect_heed(w, m);
		why = said ? said : why;
	}
	if (why == DROP_WIRE_OTHER) {
		if (w->view->members[member].punt && teaming_punt_rx(w->dp->params.teaming, member, &m, 1))
			return;
		if (w->knobs->plain_uplink && plain_from_wire(w, member, m))
			return;
	}
	worker_drop(w, PORT_WIRE, m, why);
}

/* Cut a packet to its first len bytes (at least one); segments that are left empty go. */
static __rte_noinline void cut(struct rte_mbuf *m, uint32_t len)
{
	struct rte_mbuf *seg = m;
	uint32_t left = len;
	uint16_t segs = 1;

	for (; left > seg->data_len && seg->next; seg = seg->next, segs++)
		left -= seg->data_len;
	seg->data_len = (uint16_t)RTE_MIN(left, seg->data_len);
	rte_pktmbuf_free(seg->next);
	seg->next = NULL;
	m->nb_segs = segs;
	m->pkt_len = len;
}

/* The inner frame alone: without the outer part, what the underlay padded, and a priority tag. */
static inline void uncover(struct rte_mbuf *m, const struct encap_rx *rx)
{
	rte_pktmbuf_adj(m, rx->inner_off);
	if (unlikely(m->pkt_len > rx->inner_len))
		cut(m, rx->inner_len);
	if (unlikely(rx->inner_tag)) {
		uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *);

		memmove(data + 4, data, 12);
		rte_pktmbuf_adj(m, 4);
	}
}

static inline enum drop_reason outer(struct worker *w, uint8_t member, const struct rte_mbuf *m, struct encap_rx *rx)
{
	const struct team_view *v = w->view;
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	bool good = offload_rx_ip_good(v->members[member].dev, m);
	enum drop_reason why = nvgre_ops.parse(data, m->data_len, m->pkt_len, good, v->local, v->n_local, &w->rx_hint,
					       rx);
	const struct encap_ops *other = unlikely(why == DROP_WIRE_OTHER) ? policy_encap(ENCAP_TEST) : NULL;

	if (unlikely(other))
		why = other->parse(data, m->data_len, m->pkt_len, good, v->local, v->n_local, &w->rx_hint, rx);
	return why;
}

static inline enum drop_reason parse_inner(const struct rte_mbuf *m, struct pkt_meta *meta)
{
	enum drop_reason bad = pkt_parse(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, m->pkt_len, &meta->pkt);

	if (likely(!bad))
		return DROP_NONE;
	return bad == DROP_BAD_IP ? DROP_INNER_IP : bad == DROP_GUEST_RUNT ? DROP_INNER_RUNT : bad;
}

enum drop_reason ingress_outer(struct worker *w, uint8_t member, const struct rte_mbuf *m, struct encap_rx *ret)
{
	return outer(w, member, m, ret);
}

/* Headers of one frame; on success the outer part is gone and the metadata says where it came from. */
static inline enum drop_reason decap(struct worker *w, uint8_t member, struct rte_mbuf *m)
{
	const struct team_view *v = w->view;
	const struct member_dev *dev = v->members[member].dev;
	struct pkt_meta *meta = pkt_meta(m);
	struct encap_rx rx;
	enum drop_reason why;

	why = outer(w, member, m, &rx);
	if (unlikely(why))
		return why;
	why = at_home(w, &v->pas[w->rx_hint], member, m);
	if (unlikely(why))
		return why;
	memset(meta, 0, sizeof(*meta));
	meta->vsid_in = meta->vsid_out = rx.vsid;
	meta->record = REC_NONE;
	meta->src = PORT_WIRE;
	meta->flags = META_NATIVE;
	meta->member = member;
	meta->pa = (uint8_t)w->rx_hint;
	meta->outer_len = (uint8_t)(rx.inner_off + (rx.inner_tag ? 4 : 0)); /* fits: nvgre_slow.c, GRE_MAX */
	meta->src_host = source_host(w, &rx.outer_src);
	if (unlikely(meta->src_host == HOST_NONE)) {
		sights_mismatch(w, m, rx.inner_off, rx.vsid, DROP_SRC_PA_UNKNOWN);
		return DROP_SRC_PA_UNKNOWN;
	}
	uncover(m, &rx);
	why = parse_inner(m, meta);
	if (unlikely(__atomic_load_n(&dev->offload, __ATOMIC_RELAXED) & OFFLOAD_F_RX_CSUM) && !why)
		offload_rx_verdict(dev, m, &w->offload);
	return why;
}

/* Nobody here takes it. Is it for us, or for a guest that has moved? @return true: gone. */
static bool kept(struct worker *w, struct rte_mbuf *m)
{
	enum drop_reason why = w->knobs->redirect ? redirect_heed(w, m) : DROP_NONE;

	if (why) {
		worker_drop(w, PORT_WIRE, m, why);
		return true;
	}
	return pkt_meta(m)->drop == DROP_NOT_LOCAL && redirect_packet(w, m, false);
}

/* The inner source is not of the host that sent it: HNV row 29. */
static void dropped(struct worker *w, struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta(m);

	if ((meta->drop == DROP_NOT_LOCAL || meta->drop == DROP_SRC_RECORD) && kept(w, m))
		return;
	if (meta->drop == DROP_SRC_PA_MISMATCH || meta->drop == DROP_SRC_RECORD)
		sights_mismatch(w, m, 0, meta->vsid_in, meta->drop);
	worker_drop(w, PORT_WIRE, m, meta->drop);
}

static void deliver(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	if (unlikely(w->knobs->records != NULL))
		record_counts_add(w, pkts, n);
	for (uint16_t i = 0; i < n; i++) {
		struct pkt_meta *meta = pkt_meta(pkts[i]);

		if (likely(meta->verdict == VERDICT_LOCAL))
			local_enqueue(w, meta->dst, pkts[i]);
		else if (meta->verdict == VERDICT_FLOOD)
			flood_packet(w, pkts[i], true);
		else if (meta->verdict != VERDICT_CONSUMED)
			dropped(w, pkts[i]);
	}
}

/* Outer and inner headers are in two lines. */
static inline void prefetch_headers(const struct rte_mbuf *m)
{
	rte_prefetch0(rte_pktmbuf_mtod(m, const void *));
	rte_prefetch0(rte_pktmbuf_mtod_offset(m, const void *, RTE_CACHE_LINE_SIZE));
}

void ingress_carry(struct worker *w, uint8_t member, struct rte_mbuf **pkts, uint16_t n)
{
	struct rte_mbuf *ok[WIRE_BURST];
	uint16_t k = 0;
	bool leases;

	w->last_src.family = 0; /* hosts may have changed since the last burst */
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		enum drop_reason why;

		if (i + PREFETCH_AHEAD < n)
			prefetch_headers(pkts[i + PREFETCH_AHEAD]);
		why = decap(w, member, m);
		if (likely(!why))
			ok[k++] = m;
		else
			not_tunnel(w, member, m, why);
	}
	watch_stage(w, STAGE_WIRE_RX, ok, k);
	leases = policy_ingress_burst(w->dp->params.policy, ok, k);
	stat_add(&w->stage[STAGE_INGRESS], k);
	watch_stage(w, STAGE_INGRESS, ok, k);
	if (unlikely(policy_awaits(w->dp->params.policy)))
		sights_answers(w, ok, k);
	if (unlikely(leases))
		sights_leases(w, ok, k);
	deliver(w, ok, k);
}

void ingress_burst(struct worker *w, uint8_t member, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t all = n;
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < n && i < PREFETCH_AHEAD; i++)
		prefetch_headers(pkts[i]);
	for (uint16_t i = 0; i < n; i++)
		bytes += pkts[i]->pkt_len;
	traffic_add(&member_queue(w->dp, member, queue)->rx, all, bytes);
	stat_add(&w->stage[STAGE_WIRE_RX], all);
	n = watch(w, WATCH_WIRE_RX, member, pkts, n);
	n = hooks(w, HOOK_WIRE_RX, pkts, n);
	if (unlikely(w->handover.members >> member & 1))
		n = handover_out(w, member, pkts, n);
	ingress_carry(w, member, pkts, n);
}
