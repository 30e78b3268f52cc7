/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VSID 0: plain switching. With plain-uplink its frames leave untagged by a member chosen by source MAC (independent
 * teams: a MAC is seen on one switch port) or by flow (cooperating), and frames from the wire for its MACs come in.
 */
#include "base/flowhash.h"
#include "datapath/dp.h"

/* The underlay's own hosts get what is on the wire: nothing is left to the NIC here. */
static void finish(struct worker *w, uint8_t member, struct rte_mbuf *m)
{
	struct rte_mbuf *pkts[BURST];
	struct pkt_meta *meta = pkt_meta(m);
	enum drop_reason why;
	struct offload_gso g;
	int n = 0;

	if (!meta->gso_type) {
		why = offload_csum_finish(m);
		if (why) {
			worker_drop(w, meta->src, m, why);
			return;
		}
		stat_add(&w->offload.n[OFFLOAD_CSUM_SW], 1);
		egress_wire(w, member, m);
		return;
	}
	why = offload_gso_begin(&g, m, 0, false);
	while (!why && (n = offload_gso_next(&g, w->dp->params.pool, pkts, BURST)) > 0) {
		stat_add(&w->offload.n[OFFLOAD_TSO_FRAMES], (uint64_t)n);
		for (int i = 0; i < n; i++)
			egress_wire(w, member, pkts[i]);
	}
	if (n < 0)
		why = DROP_NO_MBUF;
	if (why) {
		worker_drop(w, meta->src, m, why);
		return;
	}
	stat_add(&w->offload.n[OFFLOAD_TSO_SW], 1);
	worker_free(w, m);
}

void plain_to_wire(struct worker *w, struct rte_mbuf *m)
{
	struct pkt_meta *meta = pkt_meta(m);
	const struct mac *src = (const struct mac *)(rte_pktmbuf_mtod(m, const uint8_t *) + 6);
	bool cooperate = w->view->mode == TEAM_COOPERATE;
	uint8_t bucket = cooperate ? FLOW_BUCKET(meta->hash) : teaming_mac_bucket(src);
	/* An independent switch has been told where the MAC is now. */
	uint8_t member = cooperate ? flowlet_member(w, bucket) : w->view->bucket[bucket];

	if (member >= w->view->n_members) {
		worker_drop(w, meta->src, m, DROP_NO_MEMBER);
		return;
	}
	if (unlikely(m->pkt_len > FRAME_WIRE_MAX) && !meta->gso_type) {
		worker_drop(w, meta->src, m, DROP_TOO_BIG);
		return;
	}
	stat_add(&w->bucket_bytes[bucket], m->pkt_len);
	if (unlikely(offload_wanted(meta)))
		finish(w, member, m);
	else
		egress_wire(w, member, m);
}

/* Anybody on the physical network may broadcast: no more of it reaches the guests than a port may flood. */
static bool may_flood(struct worker *w)
{
	const struct knobs *k = w->knobs;

	if (w->knobs_gen != k->gen) {
		rate_init(&w->plain_flood, k->flood_pps, k->flood_pps / 4 + 64, w->dp->tsc_hz, w->now);
		w->knobs_gen = k->gen;
	}
	return rate_take(&w->plain_flood, 1, w->now);
}

bool plain_from_wire(struct worker *w, uint8_t member, struct rte_mbuf *m)
{
	const struct policy *p = w->dp->params.policy;
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	struct pkt_meta *meta = pkt_meta(m);
	uint32_t v;

	if (m->data_len < ETH_HLEN_)
		return false;
	if (mac_is_group(data)) {
		/* The switch floods group addresses to all members: one of them listens. */
		if (w->view->mode != TEAM_COOPERATE && member != w->view->designated)
			return false;
		/* AF_PACKET brings back what we sent ourselves. */
		v = policy_mac_lookup(p, 0, mac_load(data + 6));
		if (v != MACV_MISS)
			return false;
	} else {
		v = policy_mac_lookup(p, 0, mac_load(data));
		if (v == MACV_MISS || MACV_KIND(v) != MACV_LOCAL)
			return false;
	}
	memset(meta, 0, sizeof(*meta));
	meta->src = PORT_WIRE;
	meta->src_host = HOST_NONE;
	meta->record = REC_NONE;
	meta->flags = META_PLAIN;
	if (pkt_parse(data, m->data_len, m->pkt_len, &meta->pkt))
		memset(&meta->pkt, 0, sizeof(meta->pkt)); /* malformed inside: the guest's business */
	if (!mac_is_group(data))
		local_enqueue(w, (uint16_t)MACV_INDEX(v), m);
	else if (may_flood(w))
		flood_packet(w, m, true);
	else
		worker_drop(w, PORT_WIRE, m, DROP_FLOOD_LIMIT);
	return true;
}
