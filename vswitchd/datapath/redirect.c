/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets for a guest that was here and is at another host now (HNV row 28). Senders whose policy is old reach it by
 * way of us: the packet goes back on the wire to the host where our policy has the guest, under the provider address
 * of its sender, so that the receiver's comparison of inner and outer source holds; FlowID as it came. Only packets
 * that would be dropped come here.
 *
 * Once only: what is passed on leaves with a hop limit of REDIRECT_HOPS at most, and what came with such a one is never
 * passed on. Tunnels begin at 64 or 128, so hosts up to 31 routers away are told apart; who begins lower is not
 * redirected, which is the safe side. The mark is in the outer header of both families and no receiver minds it: spare
 * bits of GRE have to be zero, the FlowID is the sender's, DSCP is the network's. Routers only lower it.
 */
#include "base/flowhash.h"
#include "base/pkt_redirect.h"
#include "datapath/dp.h"

#define REDIRECT_HOPS	 32
#define TELL_PER_S	 20 /* to one sender, by one worker */
#define TELL_BURST	 10
#define TELL_ALL_PER_S	 1000 /* by one worker */
#define TELL_ALL_BURST	 100
#define HEARD_PER_S	 25 /* messages of one host that are looked into, by one worker */
#define HEARD_BURST	 50
#define HEARD_ALL_PER_S	 100
#define HEARD_ALL_BURST	 200

void redirect_init(struct worker *w)
{
	uint64_t hz = w->dp->tsc_hz;

	rate_init(&w->redirect.tell, TELL_ALL_PER_S, TELL_ALL_BURST, hz, 0);
	rate_init(&w->redirect.hear, HEARD_ALL_PER_S, HEARD_ALL_BURST, hz, 0);
	for (unsigned int i = 0; i < REDIRECT_HOSTS; i++)
		w->redirect.tells[i].host = w->redirect.hears[i].host = HOST_NONE;
}

/* ---- the outer header of a decapsulated packet, which is still in front of it ---- */

static const uint8_t *outer_of(const struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod(m, const uint8_t *) - pkt_meta((struct rte_mbuf *)(uintptr_t)m)->outer_len;
}

static bool read_outer(const struct worker *w, const struct rte_mbuf *m, struct nvgre_outer *ret)
{
	const struct pkt_meta *meta = pkt_meta((struct rte_mbuf *)(uintptr_t)m);

	return meta->outer_len <= rte_pktmbuf_headroom(m) && nvgre_outer(outer_of(m), meta->outer_len, ret) &&
	       ip_equal(&ret->dst, &w->view->pas[meta->pa].local.address);
}

static void hash(const struct worker *w, struct rte_mbuf *m)
{
	struct pkt_meta *meta = pkt_meta(m);

	if (!meta->hash)
		meta->hash = flowhash(rte_pktmbuf_mtod(m, const uint8_t *), &meta->pkt, w->dp->params.salt);
}

/* ---- telling the sender ---- */

/* Senders share places: one that takes another's begins with a full burst, which the worker's own rate bounds. */
static bool host_may(struct worker *w, struct redirect_rate *r, uint16_t host, uint32_t per_s, uint32_t burst)
{
	if (r->host != host) {
		r->host = host;
		rate_init(&r->rate, per_s, burst, w->dp->tsc_hz, w->now);
	}
	return rate_take(&r->rate, 1, w->now);
}

static bool may_tell(struct worker *w, uint16_t host)
{
	return host_may(w, &w->redirect.tells[host % REDIRECT_HOSTS], host, TELL_PER_S, TELL_BURST) &&
	       rate_take(&w->redirect.tell, 1, w->now);
}

/* One host's nonsense leaves room for what others say. */
static bool may_hear(struct worker *w, uint16_t host)
{
	return host_may(w, &w->redirect.hears[host % REDIRECT_HOSTS], host, HEARD_PER_S, HEARD_BURST) &&
	       rate_take(&w->redirect.hear, 1, w->now);
}

/* An address of ours in the family, first the one that the packet came to. */
static const struct encap_local *speaker(const struct worker *w, const struct pkt_meta *meta, uint8_t family)
{
	const struct team_view *v = w->view;

	if (v->pas[meta->pa].local.address.family == family)
		return &v->pas[meta->pa].local;
	for (unsigned int i = 0; i < v->n_local; i++)
		if (v->local[i].address.family == family)
			return &v->local[i];
	return NULL;
}

/* Addresses of the message: of one family, the sender's if possible. @return false: there are none. */
static bool addresses(const struct worker *w, const struct pkt_meta *meta, const struct nvgre_outer *o, uint16_t to,
		      struct redirect_msg *ret)
{
	const struct policy_host *host = to == HOST_NONE ? NULL : policy_host(w->dp->params.policy, to);
	const struct encap_local *from;

	if (host && !host->n_pas)
		return false;
	ret->target = host ? host->pas[0].address : o->src;
	for (unsigned int i = 0; host && ret->target.family != o->src.family && i < host->n_pas; i++)
		if (host->pas[i].address.family == o->src.family)
			ret->target = host->pas[i].address;
	from = speaker(w, meta, ret->target.family);
	if (!from)
		return false;
	ret->from = from->address;
	ret->from_mac = from->mac;
	return true;
}

/* @param to host that has the guest; HOST_NONE: nobody is known to have it (UNREACHABLE). */
static void tell(struct worker *w, struct rte_mbuf *m, const struct nvgre_outer *o, uint16_t to)
{
	const struct pkt_meta *meta = pkt_meta(m);
	struct redirect_msg msg = { .kind = to == HOST_NONE ? REDIRECT_UNKNOWN : REDIRECT_MOVED };
	const uint8_t *outer = outer_of(m);
	struct rte_mbuf *e;
	char *frame;

	/* Who has passed it on has told the sender; and never about such a message. */
	if (!w->knobs->redirect || o->hops <= REDIRECT_HOPS || !o->adjoins || !addresses(w, meta, o, to, &msg) ||
	    redirect_kind(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, &(struct ip_addr){ 0 }) ||
	    !may_tell(w, meta->src_host))
		return;
	memcpy(&msg.to_mac, outer + 6, 6);
	e = rte_pktmbuf_alloc(w->dp->params.pool);
	frame = e ? rte_pktmbuf_append(e, REDIRECT_MAX) : NULL;
	if (!frame) {
		rte_pktmbuf_free(e);
		return;
	}
	e->data_len = (uint16_t)redirect_write(&msg, outer + o->l3_off, meta->outer_len - o->l3_off + m->data_len,
					       (uint8_t *)frame);
	e->pkt_len = e->data_len;
	hash(w, m);
	*pkt_meta(e) = (struct pkt_meta){ .vsid_in = meta->vsid_in, .vsid_out = meta->vsid_in, .record = REC_NONE,
					  .src = PORT_NONE, .dst = meta->src_host, .src_host = HOST_NONE,
					  .dst_pa = PA_ANY, .verdict = VERDICT_REMOTE, .hash = meta->hash,
					  .flags = META_INJECT, .trace = meta->trace, .watchers = meta->watchers };
	stat_add(&w->stage[STAGE_REDIRECT_TELL], 1);
	watch_stage(w, STAGE_REDIRECT_TELL, &e, 1);
	egress_remote(w, &e, 1);
}

/* ---- passing on ---- */

/* An address of the sender in the family: the one that it used, or another one of its host. */
static bool source_in(const struct worker *w, const struct pkt_meta *meta, const struct nvgre_outer *o, uint8_t family,
		      struct ip_addr *ret)
{
	const struct policy_host *host = policy_host(w->dp->params.policy, meta->src_host);

	*ret = o->src;
	if (family == o->src.family)
		return true;
	for (unsigned int i = 0; host && i < host->n_pas; i++) {
		*ret = host->pas[i].address;
		if (ret->family == family)
			return true;
	}
	return false;
}

/* By flow like any other packet, but first to addresses of the family that it came in. */
static const struct encap_template *choose(struct worker *w, struct pkt_meta *meta, const struct nvgre_outer *o,
					   struct ip_addr *ret_src, enum drop_reason *why)
{
	const struct tunnel *t = rcu_dereference(w->dp->tunnels[meta->dst]);
	const struct encap_template *tmpl, *other = NULL;
	unsigned int first;

	*why = DROP_RECORD_UNUSABLE;
	if (!t || !t->usable)
		return NULL;
	first = t->spread == SPREAD_RECORD ? (meta->dst_pa < t->n_pas ? meta->dst_pa : 0) :
					     t->pa_of_flow[FLOW_PA(meta->hash) & 63];
	meta->bucket = FLOW_BUCKET(meta->hash);
	meta->member = flowlet_member(w, meta->bucket);
	*why = DROP_NO_MEMBER;
	for (unsigned int i = 0; meta->member < t->n_members && i < t->n_pas; i++) {
		tmpl = &t->tmpl[(first + i) % t->n_pas * t->n_members + meta->member];
		if (!tmpl->ops || !tmpl->ops->pass_on) {
			*why = other ? *why : tmpl->why ? tmpl->why : DROP_NOT_LOCAL;
			continue;
		}
		if (tmpl->family == o->src.family) {
			*ret_src = o->src;
			return tmpl;
		}
		if (!other)
			*why = DROP_REDIRECT_FAMILY;
		if (!other && source_in(w, meta, o, tmpl->family, ret_src))
			other = tmpl;
	}
	return other;
}

static enum drop_reason pass_on(struct worker *w, struct rte_mbuf *m, const struct nvgre_outer *o)
{
	struct pkt_meta *meta = pkt_meta(m);
	const struct encap_template *t;
	enum drop_reason why;
	struct ip_addr src;

	if (o->hops <= REDIRECT_HOPS || meta->dst == meta->src_host)
		return DROP_REDIRECT_AGAIN;
	if (rte_mbuf_refcnt_read(m) != 1)
		return DROP_NO_HEADROOM; /* others read it: no header can be written */
	hash(w, m);
	t = choose(w, meta, o, &src, &why);
	if (!t)
		return why;
	if (m->pkt_len - ETH_HLEN_ > t->max_inner)
		return DROP_TOO_BIG;
	if (rte_pktmbuf_headroom(m) < t->len)
		return DROP_NO_HEADROOM;
	m->ol_flags &= RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL; /* what the NIC said when it came */
	t->ops->encap(&m, &t, 1, &w->ip_id, true);
	t->ops->pass_on(rte_pktmbuf_mtod(m, uint8_t *), t, &src, REDIRECT_HOPS, o->flow_id);
	stat_add(&w->bucket_bytes[meta->bucket], m->pkt_len - t->len);
	egress_emit(w, &m, 1);
	return DROP_NONE;
}

/* Nobody has the MAC. Where MACs are learned an unknown one may have been flooded to us: then nobody was wrong. */
static void nowhere(struct worker *w, struct rte_mbuf *m, bool was_here, const struct nvgre_outer *o)
{
	const struct policy_subnet *s = policy_subnet(w->dp->params.policy, pkt_meta(m)->vsid_in);

	if (was_here || (s && !s->learning))
		tell(w, m, o, HOST_NONE);
}

bool redirect_packet(struct worker *w, struct rte_mbuf *m, bool has_port)
{
	const struct policy *p = w->dp->params.policy;
	struct pkt_meta *meta = pkt_meta(m);
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t to = policy_away(p, meta->vsid_in, mac_load(data));
	bool known = to != MACV_MISS && MACV_KIND(to) == MACV_REMOTE;
	enum drop_reason why;
	struct nvgre_outer o;

	if (!known && (has_port || !w->knobs->redirect))
		return false;
	if (mac_is_group(data) || !read_outer(w, m, &o))
		return false;
	if (!known) {
		nowhere(w, m, to != MACV_MISS, &o);
		return false;
	}
	meta->verdict = VERDICT_REMOTE;
	meta->dst = MACV_INDEX(to);
	meta->dst_pa = policy_pin_pa(p, to);
	watch_stage(w, STAGE_REDIRECT, &m, 1);
	if (meta->dst != meta->src_host)
		tell(w, m, &o, meta->dst);
	why = pass_on(w, m, &o);
	if (why)
		worker_drop(w, PORT_WIRE, m, why);
	else
		stat_add(&w->stage[STAGE_REDIRECT], 1);
	return true;
}

/* A guest of this host to one that has gone: an ordinary packet to the other host. */
static bool redirect_own(struct worker *w, struct rte_mbuf *m)
{
	const struct policy *p = w->dp->params.policy;
	struct pkt_meta *meta = pkt_meta(m);
	uint32_t to = policy_away(p, meta->vsid_out, mac_load(rte_pktmbuf_mtod(m, const uint8_t *)));
	uint16_t mtu;

	if (to == MACV_MISS || MACV_KIND(to) != MACV_REMOTE)
		return false;
	mtu = egress_too_big(w, m, MACV_INDEX(to));
	if (mtu && !fragment_may(meta)) { /* the next one is routed by policy, which tells its sender */
		worker_drop(w, meta->src, m, DROP_TOO_BIG);
		return true;
	}
	hash(w, m);
	meta->verdict = VERDICT_REMOTE;
	meta->dst = MACV_INDEX(to);
	meta->dst_pa = policy_pin_pa(p, to);
	stat_add(&w->stage[STAGE_REDIRECT], 1);
	watch_stage(w, STAGE_REDIRECT, &m, 1);
	if (unlikely(mtu))
		fragment_packet(w, m, mtu);
	else
		egress_remote(w, &m, 1);
	return true;
}

bool redirect_from_port(struct worker *w, struct rte_mbuf *m)
{
	struct pkt_meta *meta = pkt_meta(m);

	/* Flooded ones are shared, and their other receivers have them from their sender. */
	if (meta->verdict != VERDICT_LOCAL || rte_mbuf_refcnt_read(m) != 1 || !meta->vsid_out)
		return false;
	if (!(meta->src == PORT_WIRE ? redirect_packet(w, m, true) : redirect_own(w, m)))
		return false;
	w->redirect.late = true;
	return true;
}

/* ---- being told ---- */

static bool is_ours(const struct team_view *v, const struct ip_addr *pa)
{
	for (unsigned int i = 0; i < v->n_local; i++)
		if (ip_equal(&v->local[i].address, pa))
			return true;
	return false;
}

/* Is what the message says possible? `host` has sent it. */
static bool believable(const struct worker *w, const struct redirect_msg *msg, uint32_t vsid, uint16_t host)
{
	const struct policy *p = w->dp->params.policy;
	uint32_t who = policy_mac_lookup(p, vsid, mac_load(&msg->dst)), from;
	const struct policy_host *target;

	/* Hosts speak under MACs of their own; guests cannot. */
	if (policy_mac_lookup(p, vsid, mac_load(&msg->from_mac)) != MACV_MISS || msg->vsid != vsid)
		return false;
	/* About a guest that we have there, and a packet of one that is here, or that our router has sent. */
	from = policy_mac_lookup(p, vsid, mac_load(&msg->src));
	if (who == MACV_MISS || MACV_KIND(who) != MACV_REMOTE || MACV_INDEX(who) != host || from == MACV_MISS ||
	    (MACV_KIND(from) != MACV_LOCAL && MACV_KIND(from) != MACV_GATEWAY))
		return false;
	if (ip_is_set(&msg->outer_src) &&
	    (!is_ours(w->view, &msg->outer_src) || policy_host_of_pa(p, &msg->outer_dst) != host))
		return false;
	if (msg->kind != REDIRECT_MOVED)
		return true;
	target = policy_host(p, policy_host_of_pa(p, &msg->target));
	return target && !target->self && target->index != host;
}

enum drop_reason redirect_heed(struct worker *w, struct rte_mbuf *m)
{
	const struct policy *p = w->dp->params.policy;
	const struct pkt_meta *meta = pkt_meta(m);
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	struct sighting s = { .kind = SIGHT_REDIRECT, .port = PORT_WIRE, .vsid = meta->vsid_in };
	enum redirect_kind kind;
	struct redirect_msg msg;
	enum drop_reason why;
	struct ip_addr from;
	uint16_t host;

	kind = redirect_kind(data, m->data_len, &from);
	if (kind == REDIRECT_NONE)
		return DROP_NONE;
	host = policy_host_of_pa(p, &from);
	if (host == HOST_NONE && kind == REDIRECT_UNKNOWN)
		return DROP_NONE; /* "administratively prohibited", from guest to guest */
	if (host != meta->src_host)
		return DROP_REDIRECT_REFUSED;
	if (!may_hear(w, host))
		return DROP_REDIRECT_LIMIT;
	why = redirect_read(data, m->data_len, &msg);
	if (why)
		return why;
	if (!believable(w, &msg, meta->vsid_in, host))
		return DROP_REDIRECT_REFUSED;
	s.mac = msg.dst;
	s.pa = msg.from;
	if (kind == REDIRECT_MOVED)
		s.ca = msg.target;
	sights_put(w, &s);
	return DROP_REDIRECT_TAKEN;
}

bool redirect_forged(struct worker *w, const struct rte_mbuf *m)
{
	struct ip_addr from;

	return w->knobs->redirect && redirect_kind(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, &from) &&
	       policy_host_of_pa(w->dp->params.policy, &from) != HOST_NONE;
}
