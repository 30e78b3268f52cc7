/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The distributed router (HNV 2.5 steps 4-9). Longest prefix of all customer routes of the routing domain; of
 * its routes the first, by metric, that may be used and whose record is usable. No record or no usable one
 * ends the search: a shorter prefix is never asked about an address that a longer one claims.
 *
 * The usual packet (longest prefix, first route, usable record) goes through a burst in stages, each of which
 * prefetches for the next; everything else is decided by route_decide().
 */
#include "policy/router.h"

#define CHUNK 32

/* Longest length in use at most `max` (-1: none left). */
static int longest(const struct rdid_lens *l, uint8_t family, int max)
{
	if (max < 0)
		return -1;
	if (family == 4) {
		uint64_t w = __atomic_load_n(&l->v4, __ATOMIC_RELAXED) & (~UINT64_C(0) >> (63 - max));

		return w ? 63 - __builtin_clzll(w) : -1;
	}
	for (int i = max / 64; i >= 0; i--) {
		uint64_t w = __atomic_load_n(&l->v6[i], __ATOMIC_RELAXED);

		if (i == max / 64)
			w &= ~UINT64_C(0) >> (63 - max % 64);
		if (w)
			return i * 64 + 63 - __builtin_clzll(w);
	}
	return -1;
}

static void mask_to(const struct ip_addr *a, unsigned int len, uint8_t net[16])
{
	uint64_t w[2], m;

	if (a->family == 4) {
		store_be32(net, len ? load_be32(a->b) & ~0u << (32 - len) : 0);
		return;
	}
	memcpy(w, a->b, 16);
	m = len >= 64 ? ~UINT64_C(0) : len ? ~UINT64_C(0) << (64 - len) : 0;
	w[0] &= __builtin_bswap64(m);
	m = len <= 64 ? 0 : ~UINT64_C(0) << (128 - len);
	w[1] &= __builtin_bswap64(m);
	memcpy(net, w, 16);
}

static uint64_t key_of(const struct policy *p, uint32_t rdid, const struct ip_addr *dst, unsigned int len)
{
	uint8_t net[16];

	mask_to(dst, len, net);
	return route_key(p, rdid, dst->family, len, net);
}

/* Head of the list of a prefix; IPv6 keys are hashes, so the route has the last word. */
static const struct route *verified(const struct policy *p, uint32_t head, uint32_t rdid,
				    const struct ip_addr *dst, unsigned int len)
{
	const struct route *r;

	if (head == TABLE_MISS)
		return NULL;
	r = &p->routes[head];
	if (dst->family == 4)
		return r;
	return r->rdid == rdid && r->prefix.len == len && ip_in_prefix(dst, &r->prefix) ? r : NULL;
}

static const struct route *find_prefix(const struct policy *p, uint32_t rdid, const struct ip_addr *dst,
				       unsigned int len)
{
	return verified(p, table_find(&p->route, key_of(p, rdid, dst, len), 0), rdid, dst, len);
}

/* No route here. Does another routing domain know the destination? (HNV row 16) */
static enum drop_reason why_no_route(const struct policy *p, const struct ip_addr *dst)
{
	const struct rdid_lens *l = &p->lens[RDID_ANY];
	int len = longest(l, dst->family, dst->family == 4 ? 32 : 128);

	for (; len > 0; len = longest(l, dst->family, len - 1))
		if (table_find(&p->route, key_of(p, RDID_ANY, dst, (unsigned int)len), 0) != TABLE_MISS)
			return DROP_RDID;
	return DROP_NO_ROUTE;
}

/* With use-external-router our own routing ends at the subnet; next hops do the rest. */
static bool candidate(const struct policy *p, const struct policy_subnet *s, const struct route *r)
{
	return !(r->flags & ROUTE_ON_LINK) || r->vsid == s->vsid ||
	       !__atomic_load_n(&p->use_external_router, __ATOMIC_RELAXED);
}

static bool usable(const struct policy *p, union record_place place)
{
	if (place.flags & RECORD_F_UNUSABLE)
		return false;
	return place.port != PORT_NONE || (place.host != p->self && host_is_up(p, place.host));
}

/* Does a route lead somewhere? DROP_NONE, or the reason. `skip`: not for this sender at all. */
static enum drop_reason try_route(const struct policy *p, const struct policy_subnet *s,
				  const struct route *r, const struct ip_addr *dst, bool wild, struct hop *h,
				  bool *skip)
{
	bool direct = r->flags & ROUTE_ON_LINK;
	const struct ip_addr *target = direct ? dst : &r->next_hop;
	uint32_t v = ca_find(p, r->vsid, target);

	*skip = !candidate(p, s, r);
	h->out = policy_subnet(p, r->vsid);
	h->route = r;
	h->gateway = direct && v == CA_GATEWAY;
	h->foreign = !direct && !ip_equal(dst, target);
	if (*skip || h->gateway)
		return DROP_NONE;
	if (!h->out)
		return DROP_NO_SUBNET;
	if (h->out->rdid != s->rdid)
		return DROP_RDID;
	if (v == TABLE_MISS || v == CA_GATEWAY)
		return DROP_NO_RECORD;
	h->record = v;
	h->place = record_place(&p->records[v]);
	if (wild && h->foreign) {
		uint32_t mac = policy_mac_lookup(p, r->vsid, mac_load(&p->records[v].mac));

		*skip = mac != TABLE_MISS && (mac & MACV_WILDCARD);
	}
	return usable(p, h->place) ? DROP_NONE : DROP_RECORD_UNUSABLE;
}

void route_decide(const struct policy *p, const struct policy_subnet *s, const struct ip_addr *dst, bool wild,
		  struct hop *ret)
{
	const struct rdid_lens *l = &p->lens[s->rdid];
	int len = longest(l, dst->family, dst->family == 4 ? 32 : 128);
	enum drop_reason why = DROP_NONE, last;
	const struct route *r;
	bool skip;

	for (; len >= 0; len = longest(l, dst->family, len - 1)) {
		r = find_prefix(p, s->rdid, dst, (unsigned int)len);
		while (r) {
			uint32_t next = __atomic_load_n(&r->next, __ATOMIC_ACQUIRE);

			last = try_route(p, s, r, dst, wild, ret, &skip);
			if (!skip) {
				ret->drop = last;
				if (last == DROP_NONE)
					return;
				/*
				 * Of several reasons the most telling: there is a record, but it cannot be
				 * used.
				 */
				if (why == DROP_NONE || last == DROP_RECORD_UNUSABLE)
					why = last;
			}
			r = next == REC_NONE ? NULL : &p->routes[next];
		}
		if (why != DROP_NONE)
			break;
	}
	ret->drop = why != DROP_NONE ? why : why_no_route(p, dst);
}

/* ---- burst ---- */

struct walk {
	struct rte_mbuf *m;
	struct pkt_meta *meta;
	struct ip_addr dst;
	int len;
	uint32_t home;
	uint64_t key;
	const struct route *route;
	uint32_t value; /* of table ca */
};

/* Destination address; false: nothing to route (not IP, ND, or an address that is never routed). */
static bool read_dst(const uint8_t *data, const struct pkt_info *pkt, struct ip_addr *dst)
{
	if (pkt->kind == PKT_IPV4)
		*dst = ip4_from(data + pkt->l3_off + 16);
	else if (pkt->kind == PKT_IPV6)
		*dst = ip6_from(data + pkt->l3_off + 24);
	else
		return false;
	return !ip_is_special(dst);
}

/* Link-local destinations stay on the link: only the gateway's own is of interest. */
static void link_local(const struct policy *p, const struct policy_subnet *s, struct pkt_meta *meta,
		       const struct ip_addr *dst)
{
	if (ca_find(p, s->vsid, dst) != CA_GATEWAY)
		meta_drop(meta, DROP_NO_ROUTE);
}

/* Stage 1: destinations; the longest prefix's bucket on its way. */
static uint16_t stage_begin(const struct policy *p, const struct policy_subnet *s, struct rte_mbuf **pkts,
			    uint16_t n, struct walk *w)
{
	uint16_t k = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct pkt_meta *meta = pkt_meta(pkts[i]);
		struct walk *a = &w[k];

		if (meta->verdict != VERDICT_ROUTE)
			continue;
		if (!read_dst(rte_pktmbuf_mtod(pkts[i], const uint8_t *), &meta->pkt, &a->dst)) {
			meta_drop(meta, DROP_NO_ROUTE);
			continue;
		}
		if (__builtin_expect(ip_is_link_local(&a->dst), 0)) {
			link_local(p, s, meta, &a->dst);
			continue;
		}
		a->m = pkts[i];
		a->meta = meta;
		a->len = longest(&p->lens[s->rdid], a->dst.family, a->dst.family == 4 ? 32 : 128);
		if (a->len >= 0) {
			a->key = key_of(p, s->rdid, &a->dst, (unsigned int)a->len);
			a->home = table_home(&p->route.view, a->key, 0);
			table_prefetch(&p->route.view, a->home);
		}
		k++;
	}
	return k;
}

/* Stage 2: the longest prefix that matches; its best route on its way. */
static void stage_prefix(const struct policy *p, const struct policy_subnet *s, struct walk *w, uint16_t n)
{
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
			a->len = longest(&p->lens[s->rdid], a->dst.family, a->len - 1);
			if (a->len < 0)
				break;
			a->key = key_of(p, s->rdid, &a->dst, (unsigned int)a->len);
			a->home = table_home(&p->route.view, a->key, 0);
		}
	}
}

/* Stage 3: the record's key by that route; its bucket on its way. */
static void stage_target(const struct policy *p, const struct policy_subnet *s, struct walk *w, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		struct walk *a = &w[i];
		const struct route *r = a->route;

		if (!r)
			continue;
		if (a->dst.family == 6)
			r = verified(p, (uint32_t)(r - p->routes), s->rdid, &a->dst, (unsigned int)a->len);
		if (r && !candidate(p, s, r))
			r = NULL;
		a->route = r;
		if (!r)
			continue;
		a->key = ca_key(p, r->vsid, r->flags & ROUTE_ON_LINK ? &a->dst : &r->next_hop);
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
	h->place = record_place(r);
	h->out = policy_subnet(p, route->vsid);
	if (!usable(p, h->place) || !h->out || h->out->rdid != s->rdid)
		return false;
	if (a->dst.family == 6 &&
	    (r->vsid != route->vsid || !ip_equal(&r->ca, direct ? &a->dst : &route->next_hop)))
		return false;
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

	if (h->place.port == meta->src) {
		meta_drop(meta, DROP_SPLIT_HORIZON);
		return;
	}
	/*
	 * Foreign addresses are for gateway-wildcard MACs; on another host the receiver judges that (HNV row
	 * 1).
	 */
	if (h->foreign && h->place.port != PORT_NONE &&
	    !destination_allowed(p, h->out, policy_mac_lookup(p, h->out->vsid, mac), mac, &a->dst)) {
		meta_drop(meta, DROP_NO_RECORD);
		return;
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
			if (__builtin_expect(!usual(p, s, &w[i], &h), 0))
				route_decide(p, s, &w[i].dst, source_is_wild(p, s, w[i].m), &h);
			if (h.drop != DROP_NONE)
				meta_drop(w[i].meta, h.drop);
			else if (!h.gateway)
				deliver(p, s, &w[i], &h);
		}
	}
}
