/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a destination is routed to: longest prefix of all customer routes of the routing domain; of its
 * routes the first, by metric, that may be used and whose record is usable. No record or no usable one ends
 * the search: a shorter prefix is never asked about an address that a longer one claims.
 */
#include "policy/router.h"

#define TRIES 4

int route_longest(const struct rdid_lens *l, uint8_t family, int max)
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

uint64_t route_key_of(const struct policy *p, uint32_t rdid, const struct ip_addr *dst, unsigned int len)
{
	uint8_t net[16];

	mask_to(dst, len, net);
	return route_key(p, rdid, dst->family, len, net);
}

const struct route *route_verified(const struct policy *p, uint32_t head, uint32_t rdid,
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
	return route_verified(p, table_find(&p->route, route_key_of(p, rdid, dst, len), 0), rdid, dst, len);
}

/* No route here. Does another routing domain know the destination? (HNV row 16) */
static enum drop_reason why_no_route(const struct policy *p, uint32_t rdid, const struct ip_addr *dst)
{
	const struct rdid_lens *l = &p->lens[RDID_ANY];
	int len = route_longest(l, dst->family, dst->family == 4 ? 32 : 128);

	for (; len > 0; len = route_longest(l, dst->family, len - 1)) {
		uint32_t n = table_find(&p->route, route_key_of(p, RDID_ANY, dst, (unsigned int)len), 0);

		/* Counted per domain; our own may be among them, with routes that are not for this sender. */
		if (n != TABLE_MISS && n > (find_prefix(p, rdid, dst, (unsigned int)len) != NULL))
			return DROP_RDID;
	}
	return DROP_NO_ROUTE;
}

bool route_candidate(const struct policy *p, const struct policy_subnet *s, const struct route *r)
{
	return !(r->flags & ROUTE_ON_LINK) || r->vsid == s->vsid ||
	       !__atomic_load_n(&p->use_external_router, __ATOMIC_RELAXED);
}

bool record_usable(const struct policy *p, union record_place place)
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

	*skip = !route_candidate(p, s, r);
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
	h->place = record_place_now(p, &p->records[v]);
	if (wild && h->foreign) {
		uint32_t mac = policy_mac_lookup(p, r->vsid, mac_load(&p->records[v].mac));

		*skip = mac != TABLE_MISS && (mac & MACV_WILDCARD);
	}
	return record_usable(p, h->place) ? DROP_NONE : DROP_RECORD_UNUSABLE;
}

static void decide(const struct policy *p, const struct policy_subnet *s, const struct ip_addr *dst,
		   bool wild, struct hop *ret)
{
	const struct rdid_lens *l = &p->lens[s->rdid];
	int len = route_longest(l, dst->family, dst->family == 4 ? 32 : 128);
	enum drop_reason why = DROP_NONE, last;
	const struct route *r;
	bool skip;

	for (; len >= 0; len = route_longest(l, dst->family, len - 1)) {
		r = find_prefix(p, s->rdid, dst, (unsigned int)len);
		while (r) {
			uint32_t next = __atomic_load_n(&r->next, __ATOMIC_ACQUIRE);

			last = try_route(p, s, r, dst, wild, ret, &skip);
			if (!skip) {
				ret->drop = last;
				/* On-link: the address is there or it is not; a next hop would not help. */
				if (last == DROP_NONE || (r->flags & ROUTE_ON_LINK))
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
	ret->drop = why != DROP_NONE ? why : why_no_route(p, s->rdid, dst);
}

void route_decide(const struct policy *p, const struct policy_subnet *s, const struct ip_addr *dst, bool wild,
		  struct hop *ret)
{
	uint64_t before;

	/*
	 * A prefix that changes its length is for a moment there in both; who asked for the lengths before
	 * and for the prefixes after that moment finds neither, and asks again.
	 */
	for (unsigned int i = 0; i < TRIES; i++) {
		before = __atomic_load_n(&p->route_generation, __ATOMIC_ACQUIRE);
		decide(p, s, dst, wild, ret);
		if ((ret->drop != DROP_NO_ROUTE && ret->drop != DROP_RDID) ||
		    __atomic_load_n(&p->route_generation, __ATOMIC_ACQUIRE) == before)
			return;
	}
}
