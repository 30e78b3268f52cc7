/* SPDX-License-Identifier: BSD-3-Clause */
/* What is looked at, in a worker: captures copy, traces note each stage of the packets they have marked. */
#include <rte_cycles.h>

#include "datapath/watch_private.h"

static_assert(WATCH_NO_PORT == PORT_NONE && PORT_WIRE > PORT_NONE, "readers know no metadata");

/* ---- what a watch looks for ---- */

/* The headers of a frame, read when a filter asks for them. */
struct seen {
	const uint8_t *data; /* of the customer's frame, or of one that is none of theirs */
	uint32_t len, total;
	struct pkt_info info;
	bool parsed, tunnel;
	uint32_t vsid;
	struct ip_addr outer_src, outer_dst;
};

static void addresses(const uint8_t *data, const struct pkt_info *info, struct ip_addr *src, struct ip_addr *dst)
{
	const uint8_t *l3 = data + info->l3_off;
	const struct arp_hdr *arp = (const void *)l3;

	if (info->kind == PKT_IPV4) {
		*src = ip4_from(l3 + 12);
		*dst = ip4_from(l3 + 16);
	} else if (info->kind == PKT_IPV6 || info->kind == PKT_ND) {
		*src = ip6_from(l3 + 8);
		*dst = ip6_from(l3 + 24);
	} else if (info->kind == PKT_ARP) {
		*src = ip4_from(arp->spa);
		*dst = ip4_from(arp->tpa);
	} else {
		*src = *dst = (struct ip_addr){ 0 };
	}
}

/* What NVGRE carries, if it is that: for filters only, the packet path judges by itself. */
static void look_inside(struct seen *s)
{
	const uint8_t *gre = s->data + s->info.l4_off;
	uint32_t off = s->info.l4_off + (uint32_t)sizeof(struct gre_hdr);

	if ((s->info.kind != PKT_IPV4 && s->info.kind != PKT_IPV6) || s->info.proto != 47 || off > s->len ||
	    load_be32(gre) != 0x20006558)
		return;
	addresses(s->data, &s->info, &s->outer_src, &s->outer_dst);
	s->tunnel = true;
	s->vsid = load_be32(gre + 4) >> 8;
	s->data += off;
	s->len -= off;
	s->total -= off;
	s->parsed = pkt_parse(s->data, s->len, s->total, &s->info) == DROP_NONE;
}

static void look(const struct rte_mbuf *m, bool outer, struct seen *s)
{
	*s = (struct seen){ .data = rte_pktmbuf_mtod(m, const uint8_t *), .len = m->data_len, .total = m->pkt_len };
	s->parsed = pkt_parse(s->data, s->len, s->total, &s->info) == DROP_NONE;
	if (outer && s->parsed)
		look_inside(s);
}

static bool is_protocol(const struct seen *s, uint8_t protocol)
{
	bool ip = s->info.kind == PKT_IPV4 || s->info.kind == PKT_IPV6;

	switch (protocol) {
	case PROTO_ARP:
		return s->info.kind == PKT_ARP;
	case PROTO_ND:
		return s->info.kind == PKT_ND;
	case PROTO_ICMP:
		return ip && s->info.proto == IPPROTO_ICMP_;
	case PROTO_ICMPV6:
		return s->info.kind == PKT_ND || (ip && s->info.proto == IPPROTO_ICMP6_);
	case PROTO_TCP:
		return ip && s->info.proto == IPPROTO_TCP_;
	case PROTO_UDP:
		return ip && s->info.proto == IPPROTO_UDP_;
	default:
		return true;
	}
}

static bool has_port_number(const struct seen *s, uint16_t number)
{
	const uint8_t *l4 = s->data + s->info.l4_off;

	return (is_protocol(s, PROTO_TCP) || is_protocol(s, PROTO_UDP)) && (s->info.flags & PKT_F_L4) &&
	       (load_be16(l4) == number || load_be16(l4 + 2) == number);
}

static bool match_addresses(const struct watch_filter *f, const struct seen *s)
{
	struct ip_addr src, dst;

	addresses(s->data, &s->info, &src, &dst);
	if (ip_is_set(&f->address) && !ip_equal(&f->address, &src) && !ip_equal(&f->address, &dst))
		return false;
	if (ip_is_set(&f->source) && !ip_equal(&f->source, &src))
		return false;
	if (ip_is_set(&f->destination) && !ip_equal(&f->destination, &dst))
		return false;
	if (!ip_is_set(&f->provider_address))
		return true;
	if (s->tunnel) {
		src = s->outer_src;
		dst = s->outer_dst;
	}
	return ip_equal(&f->provider_address, &src) || ip_equal(&f->provider_address, &dst);
}

static bool match_headers(const struct watch_filter *f, const struct seen *s)
{
	if (!mac_is_zero(&f->mac) &&
	    (s->len < ETH_HLEN_ || (!mac_equal(&f->mac, s->data) && !mac_equal(&f->mac, s->data + 6))))
		return false;
	if (!f->needs_parse)
		return true;
	return s->parsed && is_protocol(s, f->protocol) && (!f->port_number || has_port_number(s, f->port_number)) &&
	       match_addresses(f, s);
}

/* Are the outer headers still (or already) in front? */
static bool is_outer(enum watch_point point, const struct pkt_meta *meta, enum drop_reason why)
{
	if (point == WATCH_WIRE_RX || point == WATCH_WIRE_TX)
		return true;
	if (point != WATCH_DROP)
		return false;
	if (why == DROP_MEMBER_TX || why == DROP_SRC_PA_UNKNOWN)
		return true;
	return meta->src == PORT_WIRE && !(meta->flags & (META_NATIVE | META_PLAIN));
}

static bool match(const struct watch_filter *f, struct rte_mbuf *m, const struct sight *at)
{
	const struct pkt_meta *meta = pkt_meta(m);
	uint16_t port = __atomic_load_n(&f->port, __ATOMIC_RELAXED);
	uint8_t member = __atomic_load_n(&f->member, __ATOMIC_RELAXED);
	bool outer = is_outer(at->point, meta, at->why);
	struct seen s;

	if (!(f->points & 1u << at->point) || (member != TEAM_NO_MEMBER && at->member != member) ||
	    (f->drop && at->why != f->drop))
		return false;
	/* On the wire a packet has no port, but ours remember where they came from. */
	if (port != PORT_NONE && at->port != port &&
	    !((at->point == WATCH_WIRE_TX || at->point == WATCH_DROP) && meta->src == port))
		return false;
	if (!f->vsid && !f->needs_headers)
		return true;
	look(m, outer, &s);
	if (f->vsid && f->vsid != (outer ? s.vsid : meta->vsid_out) && f->vsid != (outer ? s.vsid : meta->vsid_in))
		return false;
	return !f->needs_headers || match_headers(f, &s);
}

/* ---- records ---- */

/* What is shorter than it says, which is seen here before it is judged, ends in zeroes. */
static void copy_frame(const struct rte_mbuf *m, uint8_t *to, uint32_t n)
{
	while (n && m) {
		uint32_t part = RTE_MIN(n, (uint32_t)m->data_len);

		memcpy(to, rte_pktmbuf_mtod(m, const void *), part);
		to += part;
		n -= part;
		m = m->next;
	}
	if (unlikely(n))
		memset(to, 0, n);
}

struct watch_record *watch_note(struct watch_writer *out, struct rte_mbuf *m, const struct sight *at, uint32_t snap)
{
	const struct pkt_meta *meta = pkt_meta(m);
	bool wire = at->point == WATCH_WIRE_RX;
	uint32_t n = RTE_MIN(snap, m->pkt_len);
	struct watch_record *r = watch_reserve(out, n);

	if (!r)
		return NULL;
	r->point = (uint8_t)at->point;
	r->stage = (uint8_t)at->stage;
	r->drop = (uint8_t)at->why;
	r->tsc = at->tsc;
	r->len = m->pkt_len;
	r->port = at->port;
	r->member = at->member;
	r->verdict = meta->verdict;
	r->vsid = wire ? 0 : meta->vsid_in;
	r->vsid_out = wire ? 0 : meta->vsid_out;
	r->record = meta->record;
	r->trace = meta->trace;
	r->dst = meta->dst;
	r->bucket = meta->bucket;
	r->kind = meta->pkt.kind;
	r->flags = meta->flags;
	copy_frame(m, (uint8_t *)(r + 1), n);
	return r;
}

static void capture(struct worker *w, struct watch *watch, struct rte_mbuf *m, const struct sight *at)
{
	struct watch_writer *out = &watch->ends[w->id].writer;

	if (match(&watch->spec.filter, m, at) && watch_note(out, m, at, watch->spec.snap))
		watch_commit(out);
}

static bool is_entry(const struct sight *at)
{
	return at->point == WATCH_STAGE && (at->stage == STAGE_GUEST_RX || at->stage == STAGE_WIRE_RX);
}

/* A packet that is marked, or begins to be. Drops of what was never marked are whole traces of their own. */
static void trace(struct worker *w, struct watch *watch, struct rte_mbuf *m, const struct sight *at)
{
	struct watch_writer *out = &watch->ends[w->id].writer;
	struct pkt_meta *meta = pkt_meta(m);
	uint8_t bit = (uint8_t)(1u << watch->slot);
	bool dry = w->watch->dry;

	if (is_entry(at) || (at->point == WATCH_DROP && !(meta->watchers & bit))) {
		if (!dry && !match(&watch->spec.filter, m, at))
			return;
		if (!meta->trace)
			meta->trace = w->id << 24 | (++w->traced & 0xffffff);
		meta->watchers |= bit;
	}
	if (!dry && !(meta->watchers & bit))
		return;
	if (watch_note(out, m, at, at->point == WATCH_STAGE && !is_entry(at) ? 0 : watch->spec.snap))
		watch_commit(out);
}

/* ---- a burst at a point ---- */

static void prepare_wire(struct rte_mbuf **pkts, uint16_t n, uint8_t member)
{
	for (uint16_t i = 0; i < n; i++) { /* nobody has written it yet */
		struct pkt_meta *meta = pkt_meta(pkts[i]);

		memset(meta, 0, sizeof(*meta));
		meta->src = PORT_WIRE;
		meta->member = member;
	}
}

static void one(struct worker *w, struct watch *watch, struct rte_mbuf *m, const struct sight *at)
{
	switch (watch->spec.kind) {
	case WATCH_CAPTURE:
		if (at->point != WATCH_STAGE)
			capture(w, watch, m, at);
		break;
	case WATCH_TRACE:
		if (at->point != WATCH_GUEST_RX && at->point != WATCH_WIRE_RX)
			trace(w, watch, m, at);
		break;
	case WATCH_ECHO:
		if (at->point == WATCH_DROP || at->point == WATCH_GUEST_RX)
			echo_seen(w, watch, m, at);
		break;
	}
}

static uint16_t dry_end(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		worker_free(w, pkts[i]);
	return 0;
}

uint16_t watch_burst(struct worker *w, enum watch_point point, uint16_t who, struct rte_mbuf **pkts, uint16_t n)
{
	const struct watch_table *t = w->watch;
	bool wire = point == WATCH_WIRE_RX || point == WATCH_WIRE_TX;
	struct sight at = { .point = point, .port = wire ? PORT_WIRE : who, .tsc = rte_rdtsc(),
			    .member = wire ? (uint8_t)who : TEAM_NO_MEMBER };

	if (point == WATCH_WIRE_RX)
		prepare_wire(pkts, n, at.member);
	/* First of all: the guest never gets what a test takes out, and nobody sees it go there. */
	for (unsigned int i = 0; i < t->n && point == WATCH_GUEST_TX; i++)
		if (t->list[i]->spec.kind == WATCH_ECHO)
			n = echo_take(w, t->list[i], pkts, n, &at);
	for (unsigned int i = 0; i < t->n; i++)
		for (uint16_t k = 0; k < n; k++)
			one(w, t->list[i], pkts[k], &at);
	return t->dry && (point == WATCH_WIRE_TX || point == WATCH_GUEST_TX) ? dry_end(w, pkts, n) : n;
}

uint16_t watch_tests(struct worker *w, uint16_t port, struct rte_mbuf **pkts, uint16_t n)
{
	const struct watch_table *t = w->watch;
	struct sight at = { .point = WATCH_GUEST_TX, .port = port, .tsc = rte_rdtsc(), .member = TEAM_NO_MEMBER };

	for (unsigned int i = 0; i < t->n; i++)
		if (t->list[i]->spec.kind == WATCH_ECHO)
			n = echo_take(w, t->list[i], pkts, n, &at);
	return n;
}

/* Nothing new to say: judged before, or not of its business. */
static bool is_told(enum stage stage, const struct pkt_meta *meta)
{
	if (stage == STAGE_NEIGH || stage == STAGE_LOOKUP || stage == STAGE_ROUTE)
		return meta->told == meta->verdict;
	return stage == STAGE_SOURCE && meta->told == VERDICT_DROP;
}

void watch_stages(struct worker *w, enum stage stage, struct rte_mbuf **pkts, uint16_t n)
{
	const struct watch_table *t = w->watch;
	struct sight at = { .point = WATCH_STAGE, .stage = stage, .tsc = rte_rdtsc(), .member = TEAM_NO_MEMBER };

	for (uint16_t k = 0; k < n; k++) {
		struct pkt_meta *meta = pkt_meta(pkts[k]);

		if (stage == STAGE_GUEST_RX && t->dry)
			meta->flags |= META_DRY;
		if (is_told(stage, meta))
			continue;
		at.why = meta->verdict == VERDICT_DROP ? meta->drop : DROP_NONE;
		at.port = meta->src;
		at.member = stage == STAGE_ENCAP || meta->src == PORT_WIRE ? meta->member : TEAM_NO_MEMBER;
		for (unsigned int i = 0; i < t->n; i++)
			one(w, t->list[i], pkts[k], &at);
		meta->told = meta->verdict;
	}
}

void watch_dropped(struct worker *w, uint16_t port, struct rte_mbuf *m, enum drop_reason why)
{
	const struct pkt_meta *meta = pkt_meta(m);
	bool wire = port == PORT_WIRE || meta->src == PORT_WIRE;
	struct sight at = { .point = WATCH_DROP, .port = port, .why = why, .tsc = rte_rdtsc(),
			    .member = wire ? meta->member : TEAM_NO_MEMBER };

	for (unsigned int i = 0; i < w->watch->n; i++)
		one(w, w->watch->list[i], m, &at);
}
