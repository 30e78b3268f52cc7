/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The end of the way to another host: a template by the flow, which says the member and the addresses, what the packet
 * needs (checksum, segments), encapsulation, and the list of the member.
 */
#include <rte_prefetch.h>

#include "base/flowhash.h"
#include "datapath/dp.h"
#include "offload/offload.h"

/* Template for a packet by its flow (or, for hosts that pin MAC to PA, by its MACs); NULL and *why when none. */
static inline const struct encap_template *choose(struct worker *w, const struct rte_mbuf *m,
						  struct pkt_meta *meta, enum drop_reason *why)
{
	const struct tunnel *t = rcu_dereference(w->dp->tunnels[meta->dst]);
	const struct encap_template *tmpl;
	uint32_t hash = meta->hash;
	unsigned int pa;

	if (unlikely(!t || !t->usable)) {
		*why = DROP_RECORD_UNUSABLE;
		return NULL;
	}
	if (unlikely(t->spread == SPREAD_RECORD)) {
		/* Source PA fixed per source MAC, destination PA by the target's record. */
		const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);

		hash = (uint32_t)(flowhash_mix(mac_load(data + 6) ^ w->dp->params.salt, 0x9e3779b97f4a7c15u));
		pa = meta->dst_pa < t->n_pas ? meta->dst_pa : 0;
	} else {
		pa = t->pa_of_flow[FLOW_PA(hash) & 63];
	}
	meta->bucket = FLOW_BUCKET(hash);
	meta->member = flowlet_member(w, meta->bucket);
	if (unlikely(meta->member >= t->n_members)) {
		*why = DROP_NO_MEMBER;
		return NULL;
	}
	tmpl = &t->tmpl[pa * t->n_members + meta->member];
	rte_prefetch0(tmpl);
	return tmpl;
}

static inline void wire(struct worker *w, uint8_t member, struct rte_mbuf *m)
{
	struct out *o = &w->wire[member];

	if (unlikely(o->n == OUT_MAX))
		egress_flush(w);
	o->pkts[o->n++] = m;
}

void egress_wire(struct worker *w, uint8_t member, struct rte_mbuf *m)
{
	wire(w, member, m);
}

void egress_emit(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	stat_add(&w->stage[STAGE_ENCAP], n);
	watch_stage(w, STAGE_ENCAP, pkts, n);
	n = hooks(w, HOOK_WIRE_TX, pkts, n);
	for (uint16_t i = 0; i < n; i++)
		wire(w, pkt_meta(pkts[i])->member, pkts[i]);
}

static void emit(void *arg, struct rte_mbuf **pkts, uint16_t n)
{
	egress_emit(arg, pkts, n);
}

static struct offload_out out_by(struct worker *w, uint8_t member)
{
	const struct member_dev *dev = w->view->members[member].dev;

	return (struct offload_out){
		.dev = dev,
		.queue = dev && dev->txq ? (uint16_t)(w->id % dev->txq) : 0,
		.flow_id = w->knobs->flow_id,
		.pool = w->dp->params.pool,
		.ip_id = &w->ip_id,
		.emit = emit,
		.arg = w,
		.counters = &w->offload,
	};
}

/* Checksums that are left to NICs: the driver of each member looks at its frames of the burst at once. */
static __rte_noinline void leave_sums(struct worker *w, struct rte_mbuf **pkts, const struct encap_template **tmpl,
				      uint16_t n)
{
	const struct encap_template *by[BURST];
	struct rte_mbuf *part[BURST];
	uint32_t todo = 0;

	for (uint16_t i = 0; i < n; i++)
		todo |= (uint32_t)(pkt_meta(pkts[i])->csum_state == CSUM_PARTIAL) << i;
	while (todo) {
		uint8_t member = tmpl[__builtin_ctz(todo)]->member;
		struct offload_out out = out_by(w, member);
		uint16_t k = 0;

		for (uint32_t rest = todo; rest; rest &= rest - 1) {
			unsigned int i = (unsigned int)__builtin_ctz(rest);

			if (tmpl[i]->member != member)
				continue;
			part[k] = pkts[i];
			by[k++] = tmpl[i];
			todo &= ~(UINT32_C(1) << i);
		}
		offload_csum_leave(&out, part, by, k);
	}
}

/* @param left  the checksums of some are left to NICs. */
static inline void encapsulate(struct worker *w, struct rte_mbuf **pkts, const struct encap_template **tmpl,
			       uint16_t n, bool left)
{
	/* Hosts of one fabric speak one encapsulation: the run is nearly always the whole burst. */
	for (uint16_t from = 0, to; from < n; from = to) {
		for (to = from + 1; to < n && tmpl[to]->ops == tmpl[from]->ops; to++)
			;
		tmpl[from]->ops->encap(pkts + from, tmpl + from, to - from, &w->ip_id, w->knobs->flow_id);
	}
	if (unlikely(left))
		leave_sums(w, pkts, tmpl, n);
	egress_emit(w, pkts, n);
}

/* A packet of more than one segment, by offload/: cut, or left to the NIC. */
static void transmit(struct worker *w, struct rte_mbuf *m, const struct encap_template *t)
{
	struct offload_out out = out_by(w, t->member);
	enum drop_reason why = offload_transmit(&out, m, t);

	if (unlikely(why))
		worker_drop(w, pkt_meta(m)->src, m, why);
}

/* An unfinished checksum. @param ret_left set if the NIC finishes it. */
static enum drop_reason finish_sum(struct worker *w, struct rte_mbuf *m, const struct encap_template *t, bool *ret_left)
{
	enum drop_reason why;

	if (offload_csum_left(w->view->members[t->member].dev, m, t)) {
		*ret_left = true;
		return DROP_NONE;
	}
	why = offload_csum_finish(m);
	stat_add(&w->offload.n[OFFLOAD_CSUM_SW], !why);
	return why;
}

static inline enum drop_reason may_go(const struct rte_mbuf *m, const struct pkt_meta *meta,
				      const struct encap_template *t)
{
	if (unlikely(!t))
		return meta->drop;
	if (unlikely(!t->ops))
		return t->why;
	return unlikely(rte_pktmbuf_headroom(m) < t->len) ? DROP_NO_HEADROOM : DROP_NONE;
}

/* A TCP packet with SYN? proto is of an IP packet if PKT_F_L4 is set. */
static inline bool is_syn(const struct rte_mbuf *m, const struct pkt_meta *meta)
{
	if (meta->pkt.proto != IPPROTO_TCP_ || !(meta->pkt.flags & PKT_F_L4))
		return false;
	return meta->pkt.l4_off + 14u <= m->data_len &&
	       rte_pktmbuf_mtod(m, const uint8_t *)[meta->pkt.l4_off + 13] & 2;
}

/* To what too_big() judges by: later packets may take another path to the host. */
static void clamp(const struct worker *w, struct rte_mbuf *m, const struct pkt_meta *meta)
{
	const struct tunnel *t = rcu_dereference(w->dp->tunnels[meta->dst]);

	if (t && t->max_inner)
		mss_clamp(m, meta, t->max_inner);
}

void egress_remote(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	const struct encap_template *tmpl[BURST];
	const struct encap_template *ready[BURST];
	struct rte_mbuf *go[BURST];
	bool clamps = w->knobs->mss_clamp;
	bool left = false;
	uint16_t k = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct pkt_meta *meta = pkt_meta(pkts[i]);
		enum drop_reason why = DROP_NONE;

		tmpl[i] = choose(w, pkts[i], meta, &why);
		if (unlikely(!tmpl[i]))
			meta->drop = (uint8_t)why;
	}
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		struct pkt_meta *meta = pkt_meta(m);
		const struct encap_template *t = tmpl[i];
		enum drop_reason why = may_go(m, meta, t);

		if (clamps && likely(!why) && unlikely(is_syn(m, meta)))
			clamp(w, m, meta);
		if (likely(!why) && unlikely(offload_wanted(meta))) {
			if (meta->gso_type) {
				encapsulate(w, go, ready, k, left); /* those before it go first */
				k = 0;
				left = false;
				stat_add(&w->bucket_bytes[meta->bucket], m->pkt_len);
				transmit(w, m, t);
				continue;
			}
			why = finish_sum(w, m, t, &left);
		}
		if (unlikely(why)) {
			worker_drop(w, meta->src, m, why);
			continue;
		}
		go[k] = m;
		ready[k++] = t;
		stat_add(&w->bucket_bytes[meta->bucket], m->pkt_len);
	}
	encapsulate(w, go, ready, k, left);
}
