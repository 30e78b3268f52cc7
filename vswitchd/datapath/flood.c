/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Broadcast, multicast and unknown unicast (HNV 3.3): every local member but the source, one packet to the subnet's
 * multicast group or one unicast copy per remote member host, and never back to the wire what came from it (split
 * horizon).
 */
#include "base/flowhash.h"
#include "datapath/dp.h"

/* Local receivers share the packet: delivery only copies from it. */
static unsigned int to_ports(struct worker *w, const struct policy_flood *f, struct rte_mbuf *m)
{
	uint16_t src = pkt_meta(m)->src;
	unsigned int sent = 0;

	for (uint16_t i = 0; i < f->n_ports; i++) {
		if (f->ports[i] == src)
			continue;
		rte_pktmbuf_refcnt_update(m, 1); /* of each segment: that is what freeing a chain counts */
		local_enqueue(w, f->ports[i], m);
		sent++;
	}
	return sent;
}

/* A packet of its own for the wire: a header is written in front of it. */
static struct rte_mbuf *copy(struct worker *w, struct rte_mbuf *m)
{
	struct rte_mbuf *c = rte_pktmbuf_copy(m, w->dp->params.pool, 0, UINT32_MAX);

	if (c)
		*pkt_meta(c) = *pkt_meta(m);
	else
		drop_count(&w->drops, DROP_NO_MBUF, 1);
	return c;
}

static unsigned int to_hosts(struct worker *w, const struct policy_flood *f, struct rte_mbuf *m)
{
	struct rte_mbuf *copies[BURST];
	unsigned int sent = 0;
	uint16_t k = 0;

	for (uint16_t i = 0; i < f->n_hosts; i++) {
		uint16_t mtu = egress_too_big(w, m, f->hosts[i]);
		struct rte_mbuf *c;

		if (unlikely(mtu) && !fragment_may(pkt_meta(m))) {
			drop_count(&w->drops, DROP_TOO_BIG, 1);
			continue;
		}
		c = copy(w, m);
		if (!c)
			continue;
		pkt_meta(c)->dst = f->hosts[i];
		pkt_meta(c)->dst_pa = PA_ANY;
		if (unlikely(mtu)) {
			fragment_packet(w, c, mtu);
			sent++;
			continue;
		}
		copies[k++] = c;
		sent++;
		if (k == BURST) {
			egress_remote(w, copies, k);
			k = 0;
		}
	}
	if (k)
		egress_remote(w, copies, k);
	return sent;
}

/* Where a frame to the group leaves, and from which of our addresses; false: by none. */
static bool group_path(struct worker *w, const struct ip_addr *group, struct pkt_meta *meta, struct encap_path *ret)
{
	const struct team_view *v = w->view;
	const struct team_pa_view *pa;
	uint8_t index;

	meta->bucket = FLOW_BUCKET(meta->hash);
	meta->member = flowlet_member(w, meta->bucket);
	if (meta->member >= v->n_members)
		return false;
	index = group->family == 4 ? v->members[meta->member].pa4 : v->members[meta->member].pa6;
	if (index == TEAM_NO_MEMBER)
		return false;
	pa = &v->pas[index];
	*ret = (struct encap_path){ .src = pa->local.address, .dst = *group, .src_mac = pa->local.mac,
				    .vlan = pa->local.vlan };
	teaming_group_mac(group, &ret->dst_mac);
	return true;
}

/* The group's packets go wherever those to hosts go; while no host has a path the configured MTU counts. */
static bool fits_group(const struct worker *w, const struct ip_addr *group, const struct rte_mbuf *m)
{
	uint32_t fits = __atomic_load_n(&w->dp->fits_all, __ATOMIC_RELAXED);
	uint32_t overhead = group->family == 4 ? nvgre_ops.overhead4 : nvgre_ops.overhead6;

	if (unlikely(fits == UINT32_MAX))
		fits = w->dp->params.provider_mtu > overhead ? w->dp->params.provider_mtu - overhead : 0;
	return m->pkt_len - ETH_HLEN_ <= fits;
}

static enum drop_reason finish(struct worker *w, struct rte_mbuf *m)
{
	enum drop_reason why = offload_csum_finish(m);

	stat_add(&w->offload.n[OFFLOAD_CSUM_SW], !why);
	return why;
}

/*
 * One packet for all member hosts, by the subnet's multicast group (HNV 3.3, row 57). False: there is none, or no way
 * to it; then each host gets a copy.
 */
static bool to_group(struct worker *w, const struct ip_addr *group, struct rte_mbuf *m)
{
	struct encap_template t = { .ops = &nvgre_ops };
	const struct encap_template *tmpl = &t;
	enum drop_reason why = DROP_NONE;
	struct encap_path path;
	struct rte_mbuf *c;

	/* Segments are cut to what fits each host. */
	if (!ip_is_set(group) || pkt_meta(m)->gso_type || !fits_group(w, group, m) ||
	    !group_path(w, group, pkt_meta(m), &path) || nvgre_ops.template_build(&t, &path) < 0)
		return false;
	c = copy(w, m);
	if (!c)
		return true; /* counted */
	if (rte_pktmbuf_headroom(c) < t.len)
		why = DROP_NO_HEADROOM;
	else if (pkt_meta(c)->csum_state == CSUM_PARTIAL) /* rare: not worth a NIC's while */
		why = finish(w, c);
	if (why) {
		worker_drop(w, pkt_meta(c)->src, c, why);
		return true;
	}
	stat_add(&w->bucket_bytes[pkt_meta(c)->bucket], c->pkt_len);
	nvgre_ops.encap(&c, &tmpl, 1, &w->ip_id, w->knobs->flow_id);
	stat_add(&w->stage[STAGE_ENCAP], 1);
	if (hooks(w, HOOK_WIRE_TX, &c, 1))
		egress_wire(w, pkt_meta(c)->member, c);
	return true;
}

void flood_packet(struct worker *w, struct rte_mbuf *m, bool from_wire)
{
	const struct policy *p = w->dp->params.policy;
	struct pkt_meta *meta = pkt_meta(m);
	const struct policy_subnet *s = policy_subnet(p, meta->vsid_out);
	const struct policy_flood *f = s ? rcu_dereference(s->flood) : policy_plain_flood(p);
	unsigned int sent = 0;

	if (!f || (!s && meta->vsid_out)) {
		worker_drop(w, meta->src, m, DROP_NO_SUBNET);
		return;
	}
	watch_stage(w, STAGE_FLOOD, &m, 1);
	if (!from_wire && meta->vsid_out && f->n_hosts)
		sent += to_group(w, &s->group, m) ? 1 : to_hosts(w, f, m);
	if (!from_wire && !meta->vsid_out && w->knobs->plain_uplink) {
		struct rte_mbuf *c = copy(w, m);

		if (c) {
			plain_to_wire(w, c);
			sent++;
		}
	}
	if (unlikely(meta->pkt.proto == IPPROTO_UDP_))
		sights_leases(w, &m, 1);
	sent += to_ports(w, f, m);
	stat_add(&w->stage[STAGE_FLOOD], sent);
	if (sent)
		worker_free(w, m); /* our own reference */
	else
		worker_drop(w, meta->src, m, DROP_NO_MEMBER_PORT);
}
