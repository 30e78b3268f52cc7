/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The distributed router for a burst (HNV 2.5 steps 4-9). The usual packet (longest prefix, first route,
 * usable record) goes in stages, each of which prefetches for the next; everything else is decided by
 * route_decide().
 */
#include "policy/router.h"

#define CHUNK 32

struct walk {
	struct rte_mbuf *m;
	struct pkt_meta *meta;
	const uint8_t *dst; /* in the packet */
	uint32_t dst4;	    /* IPv4 destination as a number; IPv6: not used */
	bool four;
	int16_t len;
	uint32_t home;
	uint64_t key;
	const struct route *route;
	uint32_t value; /* of table ca */
};

static inline struct ip_addr dst_of(const struct walk *a)
{
	return a->four ? ip4_from(a->dst) : ip6_from(a->dst);
}

/* Destination; false: nothing to route (not IP, ND, or an address that is never routed). */
static inline bool read_dst(struct walk *a)
{
	const struct pkt_info *pkt = &a->meta->pkt;
	const uint8_t *l3 = rte_pktmbuf_mtod(a->m, const uint8_t *) + pkt->l3_off;
	struct ip_addr dst;
	uint8_t first;

	a->four = pkt->kind == PKT_IPV4;
	if (a->four) {
		a->dst = l3 + 16;
		a->dst4 = load_be32(a->dst);
		first = a->dst[0];
		return first != 0 && first != 127 && first < 224;
	}
	if (pkt->kind != PKT_IPV6)
		return false;
	a->dst = l3 + 24;
	dst = dst_of(a);
	return !ip_is_special(&dst);
}

/*
 * Link-local destinations stay on the link: only the gateway's own is of interest. @return true: that is
 * done.
 */
static bool link_local(const struct policy *p, const struct policy_subnet *s, const struct walk *a)
{
	struct ip_addr dst = dst_of(a);

	if (!ip_is_link_local(&dst))
		return false;
	if (ca_find(p, s->vsid, &dst) != CA_GATEWAY)
		meta_drop(a->meta, DROP_NO_ROUTE);
	return true;
}

/* Longest length of the domain at most `max`. */
static inline int16_t longest(const struct rdid_lens *l, bool four, int max)
{
	return (int16_t)route_longest(l, four ? 4 : 6, max);
}

/* Key and bucket of the prefix of the current length. */
static inline void aim_at_prefix(const struct policy *p, uint32_t rdid, struct walk *a)
{
	if (a->four) {
		uint32_t net = a->len ? a->dst4 & ~0u << (32 - a->len) : 0;

		a->key = UINT64_C(1) << 63 | (uint64_t)a->len << 48 | (uint64_t)rdid << 32 | net;
	} else {
		struct ip_addr dst = dst_of(a);

		a->key = route_key_of(p, rdid, &dst, (unsigned int)a->len);
	}
	a->home = table_home(&p->route.view, a->key, 0);
}

/* Stage 1: destinations; the longest prefix's bucket on its way. */
static uint16_t stage_begin(const struct policy *p, const struct policy_subnet *s, struct rte_mbuf **pkts,
			    uint16_t n, struct walk *w)
{
	const struct rdid_lens *lens = &p->lens[s->rdid];
	int16_t longest4 = longest(lens, true, 32);
	uint16_t k = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct pkt_meta *meta = pkt_meta(pkts[i]);
		struct walk *a = &w[k];

		if (meta->verdict != VERDICT_ROUTE)
			continue;
		a->m = pkts[i];
		a->meta = meta;
		if (!read_dst(a)) {
			meta_drop(meta, DROP_NO_ROUTE);
			continue;
		}
		if (!a->four && link_local(p, s, a))
			continue;
		a->len = a->four ? longest4 : longest(lens, false, 128);
		if (a->len >= 0) {
			aim_at_prefix(p, s->rdid, a);
			table_prefetch(&p->route.view, a->home);
		}
		k++;
	}
	return k;
}

/* Stage 2: the longest prefix that matches; its best route on its way. */
static void stage_prefix(const struct policy *p, const struct policy_subnet *s, struct walk *w, uint16_t n)
{
	const struct rdid_lens *lens = &p->lens[s->rdid];

	for (uint16_t i = 0; i < n; i++) {
		struct walk *a = &w[i];

		a->route = NULL;
		while (a->len >= 0) {
			uint32_t head = table_find_at(&p->route.view, a->home, a->key, 0, table_match);

			if (head != TABLE_MISS) {
				a->route = &p->routes[head];
				__builtin_prefetch(a->route);
				break;
			}
			a->len = longest(lens, a->four, a->len - 1);
			if (a->len >= 0)
				aim_at_prefix(p, s->rdid, a);
		}
	}
}

/* Stage 3: the record's key by that route; its bucket on its way. */
static void stage_target(const struct policy *p, const struct policy_subnet *s, struct walk *w, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		struct walk *a = &w[i];
		const struct route *r = a->route;
		struct ip_addr dst;
		bool direct;

		if (!r)
			continue;
		direct = r->flags & ROUTE_ON_LINK;
		if (a->four && direct) {
			a->key = UINT64_C(1) << 63 | (uint64_t)r->vsid << 32 | a->dst4;
		} else {
			dst = dst_of(a);
			if (!a->four)
				r = route_verified(p, (uint32_t)(r - p->routes), s->rdid, &dst,
						   (unsigned int)a->len);
			if (r)
				a->key = ca_key(p, r->vsid, direct ? &dst : &r->next_hop);
		}
		a->route = r && route_candidate(p, s, r) ? r : NULL;
		a->home = table_home(&p->ca.view, a->key, 0);
		table_prefetch(&p->ca.view, a->home);
	}
}

/* Stage 4: the record's index; the record on its way. */
static void stage_record(const struct policy *p, struct walk *w, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		struct walk *a = &w[i];

		if (!a->route)
			continue;
		a->value = table_find_at(&p->ca.view, a->home, a->key, 0, table_match);
		if (a->value < CA_GATEWAY)
			__builtin_prefetch(&p->records[a->value]);
	}
}

static bool source_is_wild(const struct policy *p, const struct policy_subnet *s, const struct rte_mbuf *m)
{
	uint32_t v = policy_mac_lookup(p, s->vsid, mac_load(rte_pktmbuf_mtod(m, const uint8_t *) + 6));

	return v != TABLE_MISS && (v & MACV_WILDCARD);
}

/* The usual case from what the stages found; false: ask route_decide(). */
static bool usual(const struct policy *p, const struct policy_subnet *s, const struct walk *a, struct hop *h)
{
	const struct route *route = a->route;
	const struct policy_record *r;
	bool direct;

	if (!route || a->value >= CA_GATEWAY)
		return false;
	r = &p->records[a->value];
	direct = route->flags & ROUTE_ON_LINK;
	h->place = record_place_now(p, r);
	h->out = policy_subnet(p, route->vsid);
	if (!record_usable(p, h->place) || !h->out || h->out->rdid != s->rdid)
		return false;
	if (!a->four) {
		struct ip_addr dst = dst_of(a);

		if (r->vsid != route->vsid || !ip_equal(&r->ca, direct ? &dst : &route->next_hop))
			return false;
	}
	if (!direct && source_is_wild(p, s, a->m))
		return false;
	h->drop = DROP_NONE;
	h->gateway = false;
	h->foreign = !direct;
	h->record = a->value;
	h->route = route;
	return true;
}

/* One hop less. @return false: it was the last. IPv4 checksum by RFC 1624, whose result is never 0xffff. */
static bool take_ttl(uint8_t *l3, uint8_t kind)
{
	if (kind != PKT_IPV4) {
		struct ipv6_hdr *ip = (void *)l3;

		if (ip->hlim <= 1)
			return false;
		ip->hlim--;
		return true;
	} else {
		struct ipv4_hdr *ip = (void *)l3;
		uint32_t sum = load_be16(&ip->csum) + 0x100u;

		if (ip->ttl <= 1)
			return false;
		ip->ttl--;
		store_be16(&ip->csum, (uint16_t)(sum + (sum >= 0xffff)));
		return true;
	}
}

static void deliver(const struct policy *p, const struct policy_subnet *s, const struct walk *a,
		    const struct hop *h)
{
	struct pkt_meta *meta = a->meta;
	uint8_t *data = rte_pktmbuf_mtod(a->m, uint8_t *);
	uint64_t mac = mac_load(&p->records[h->record].mac);
	struct ip_addr dst;

	if (h->place.port != PORT_NONE && h->place.port == meta->src) {
		meta_drop(meta, DROP_SPLIT_HORIZON);
		return;
	}
	/*
	 * Foreign addresses are for gateway-wildcard MACs; on another host the receiver judges that (HNV row
	 * 1).
	 */
	if (h->foreign && h->place.port != PORT_NONE) {
		dst = dst_of(a);
		if (!destination_allowed(p, h->out, policy_mac_lookup(p, h->out->vsid, mac), mac, &dst)) {
			meta_drop(meta, DROP_NO_RECORD);
			return;
		}
	}
	if (__atomic_load_n(&p->routed_ttl, __ATOMIC_RELAXED) &&
	    !take_ttl(data + meta->pkt.l3_off, meta->pkt.kind)) {
		meta_drop(meta, DROP_TTL);
		return;
	}
	mac_store(data, mac);
	mac_store(data + 6, h->out->gateway_mac);
	meta->vsid_out = h->out->vsid;
	meta->record = h->record;
	meta->flags |= META_ROUTED;
	if (h->place.port != PORT_NONE) {
		meta->verdict = VERDICT_LOCAL;
		meta->dst = h->place.port;
	} else {
		meta->verdict = VERDICT_REMOTE;
		meta->dst = h->place.host;
		meta->dst_pa = host_pin_pa(p, h->place.host, h->place.pa);
	}
}

void policy_route_burst(const struct policy *p, const struct policy_subnet *s, struct rte_mbuf **pkts,
			uint16_t n)
{
	struct walk w[CHUNK];
	struct hop h;

	for (uint16_t from = 0; from < n; from = (uint16_t)(from + CHUNK)) {
		uint16_t k = (uint16_t)(n - from < CHUNK ? n - from : CHUNK);

		k = stage_begin(p, s, pkts + from, k, w);
		if (!k)
			continue;
		stage_prefix(p, s, w, k);
		stage_target(p, s, w, k);
		stage_record(p, w, k);
		for (uint16_t i = 0; i < k; i++) {
			if (__builtin_expect(!usual(p, s, &w[i], &h), 0)) {
				struct ip_addr dst = dst_of(&w[i]);

				route_decide(p, s, &dst, source_is_wild(p, s, w[i].m), &h);
			}
			if (h.drop != DROP_NONE)
				meta_drop(w[i].meta, h.drop);
			else if (!h.gateway)
				deliver(p, s, &w[i], &h);
		}
	}
}
