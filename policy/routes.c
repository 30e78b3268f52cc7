/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Customer routes. One table entry per (routing domain, prefix) leads to the list of its routes, best first;
 * one bit per prefix length that a domain uses tells the router which lengths to try. Entries of the pseudo
 * domain RDID_ANY count how many domains have a prefix: a packet without a route is told "other domain" from
 * "nowhere" by them.
 */
#include <stdlib.h>

#include "base/str.h"
#include "policy/policy_private.h"

/* Control side's mark of a number that is in no list. Workers do not look at the bit. */
#define ROUTE_FREE 0x80

static const char *id_of(const void *owner, uint32_t index)
{
	const struct policy *p = owner;

	return p->rdids[index]->id;
}

int routes_init(struct policy *p)
{
	int socket = p->params.socket, r;

	p->route_cap = MAX_ROUTES + MAX_ROUTES / 4;
	r = table_init(&p->route, MAX_ROUTES, true, socket);
	if (r == 0)
		r = mem_alloc(&p->mem_routes, p->route_cap * sizeof(struct route), socket, false);
	if (r == 0)
		r = mem_alloc(&p->mem_route_link, p->route_cap * sizeof(uint32_t), socket, false);
	if (r == 0)
		r = mem_alloc(&p->mem_lens, (MAX_RDIDS + 1) * sizeof(struct rdid_lens), socket, false);
	if (r == 0)
		r = mem_alloc(&p->mem_rdids, (MAX_RDIDS + 1) * sizeof(p->rdids[0]), socket, false);
	if (r == 0)
		r = mem_alloc(&p->mem_rdid_link, MAX_RDIDS * sizeof(uint32_t), socket, false);
	if (r == 0)
		r = names_init(&p->rdid_names, MAX_RDIDS, id_of, p);
	if (r < 0)
		return r;
	p->routes = p->mem_routes.p;
	p->lens = p->mem_lens.p;
	p->rdids = p->mem_rdids.p;
	grace_init(&p->route_grace, p->mem_route_link.p);
	grace_init(&p->rdid_grace, p->mem_rdid_link.p);
	p->rdids[RDID_ANY] = calloc(1, sizeof(struct rdid_ctl));
	return p->rdids[RDID_ANY] ? 0 : -ENOMEM;
}

void routes_fini(struct policy *p)
{
	for (uint32_t i = 0; p->rdids && i < p->rdid_fresh; i++)
		free(p->rdids[i]);
	if (p->rdids)
		free(p->rdids[RDID_ANY]);
	names_fini(&p->rdid_names);
	table_fini(&p->route);
	mem_free(&p->mem_routes);
	mem_free(&p->mem_route_link);
	mem_free(&p->mem_lens);
	mem_free(&p->mem_rdids);
	mem_free(&p->mem_rdid_link);
}

/* ---- routing domains ---- */

int rdid_hold(struct policy *p, const char *id, uint32_t *ret, struct errbuf *err)
{
	uint32_t i = names_find(&p->rdid_names, id);

	if (i == NAMES_NONE) {
		i = policy_number(&p->rdid_grace, &p->rdid_fresh, MAX_RDIDS);
		if (i == GRACE_NONE)
			return err_set(err, ENOSPC, "there are %u routing domains already", MAX_RDIDS);
		p->rdids[i] = calloc(1, sizeof(struct rdid_ctl));
		if (!p->rdids[i]) {
			grace_push(&p->rdid_grace, i);
			return err_set(err, ENOMEM, "no memory for routing domain %s", id);
		}
		str_copy(p->rdids[i]->id, ID_SIZE, id);
		names_add(&p->rdid_names, i);
	}
	p->rdids[i]->refs++;
	*ret = i;
	return 0;
}

void rdid_release(struct policy *p, uint32_t rdid)
{
	struct rdid_ctl *c = p->rdids[rdid];

	if (--c->refs)
		return;
	names_remove(&p->rdid_names, rdid);
	free(c);
	p->rdids[rdid] = NULL;
	grace_push(&p->rdid_grace, rdid);
}

/* ---- prefixes ---- */

struct ip_prefix prefix_network(const struct ip_prefix *p)
{
	struct ip_prefix n = *p;

	for (unsigned int i = 0; i < 16; i++) {
		unsigned int keep = p->len <= 8 * i ? 0 : p->len - 8 * i;

		if (keep < 8)
			n.addr.b[i] &= (uint8_t)(0xff00 >> keep);
	}
	return n;
}

uint64_t route_key(const struct policy *p, uint32_t rdid, uint8_t family, unsigned int len,
		   const uint8_t *network)
{
	if (family == 4)
		return UINT64_C(1) << 63 | (uint64_t)len << 48 | (uint64_t)rdid << 32 | load_be32(network);
	return ip6_key(p, network, (uint64_t)len << 32 | rdid);
}

static uint32_t slot_of(const struct policy *p, uint32_t rdid, const struct ip_prefix *net)
{
	return table_slot(&p->route, route_key(p, rdid, net->addr.family, net->len, net->addr.b), 0);
}

/* First route of exactly this prefix, or REC_NONE. */
static uint32_t head_of(const struct policy *p, uint32_t rdid, const struct ip_prefix *net)
{
	uint32_t slot = slot_of(p, rdid, net), head;

	if (slot == TABLE_NONE)
		return REC_NONE;
	head = table_value(&p->route, slot);
	return memcmp(&p->routes[head].prefix, net, sizeof(*net)) == 0 && p->routes[head].rdid == rdid
		       ? head
		       : REC_NONE;
}

/* One more or fewer prefix of this length in the domain: set or clear its bit. */
static void count_len(struct policy *p, uint32_t rdid, const struct ip_prefix *net, int by)
{
	struct rdid_ctl *c = p->rdids[rdid];
	bool four = net->addr.family == 4;
	uint32_t *n = four ? &c->n4[net->len] : &c->n6[net->len];
	uint64_t *word = four ? &p->lens[rdid].v4 : &p->lens[rdid].v6[net->len / 64];
	uint64_t bit = UINT64_C(1) << (net->len % 64);

	*n += (uint32_t)by;
	__atomic_store_n(word, *n ? *word | bit : *word & ~bit, __ATOMIC_RELEASE);
}

/* A domain has got (by 1) or lost (-1) a prefix. Default routes say nothing about whose a destination is. */
static void count_any(struct policy *p, const struct ip_prefix *net, int by)
{
	uint32_t slot = slot_of(p, RDID_ANY, net), n;

	if (net->len == 0)
		return;
	if (slot == TABLE_NONE) {
		table_insert(&p->route, route_key(p, RDID_ANY, net->addr.family, net->len, net->addr.b), 0,
			     1);
		count_len(p, RDID_ANY, net, 1);
		return;
	}
	n = table_value(&p->route, slot) + (uint32_t)by;
	if (n) {
		table_set_value(&p->route, slot, n);
		return;
	}
	count_len(p, RDID_ANY, net, -1);
	table_remove(&p->route, slot);
}

/* ---- lists ---- */

/* Order within a prefix: the subnet's own, then the lowest metric; ties by content: all hosts agree. */
static bool before(const struct route *a, const struct route *b)
{
	int own = (b->flags & ROUTE_CONNECTED) - (a->flags & ROUTE_CONNECTED);

	if (own)
		return own < 0;
	if (a->metric != b->metric)
		return a->metric < b->metric;
	if (a->vsid != b->vsid)
		return a->vsid < b->vsid;
	return memcmp(&a->next_hop, &b->next_hop, sizeof(a->next_hop)) < 0;
}

static void set_next(struct policy *p, uint32_t i, uint32_t next)
{
	__atomic_store_n(&p->routes[i].next, next, __ATOMIC_RELEASE);
}

/* Put a filled route into the list of its prefix. Room is reserved. */
static void link_route(struct policy *p, uint32_t i)
{
	struct route *r = &p->routes[i];
	uint32_t head = head_of(p, r->rdid, &r->prefix), at;

	r->next = REC_NONE;
	if (head == REC_NONE) {
		table_insert(&p->route,
			     route_key(p, r->rdid, r->prefix.addr.family, r->prefix.len, r->prefix.addr.b), 0,
			     i);
		count_len(p, r->rdid, &r->prefix, 1);
		count_any(p, &r->prefix, 1);
		return;
	}
	if (before(r, &p->routes[head])) {
		r->next = head;
		table_set_value(&p->route, slot_of(p, r->rdid, &r->prefix), i);
		return;
	}
	for (at = head; p->routes[at].next != REC_NONE && !before(r, &p->routes[p->routes[at].next]);)
		at = p->routes[at].next;
	r->next = p->routes[at].next;
	set_next(p, at, i);
}

static void unlink_route(struct policy *p, uint32_t i)
{
	struct route *r = &p->routes[i];
	uint32_t slot = slot_of(p, r->rdid, &r->prefix), at = table_value(&p->route, slot);

	if (at != i) {
		while (p->routes[at].next != i)
			at = p->routes[at].next;
		set_next(p, at, r->next);
	} else if (r->next != REC_NONE) {
		table_set_value(&p->route, slot, r->next);
	} else {
		count_any(p, &r->prefix, -1);
		count_len(p, r->rdid, &r->prefix, -1);
		table_remove(&p->route, slot);
	}
	__atomic_store_n(&r->flags, r->flags | ROUTE_FREE, __ATOMIC_RELAXED);
	grace_push(&p->route_grace, i);
}

int route_reserve(struct policy *p, uint32_t n)
{
	if (table_reserve(&p->route, 2 * n) < 0)
		return -ENOSPC;
	while (p->n_route_spare < n) {
		uint32_t i = policy_number(&p->route_grace, &p->route_fresh, p->route_cap);

		if (i == GRACE_NONE)
			return -ENOSPC;
		p->routes[i].flags = ROUTE_FREE;
		p->route_spare[p->n_route_spare++] = i;
	}
	return 0;
}

static uint32_t add_route(struct policy *p, const struct route *r)
{
	uint32_t i = p->route_spare[--p->n_route_spare];

	p->routes[i] = *r;
	link_route(p, i);
	return i;
}

/* ---- on-link routes of subnets ---- */

static uint32_t find_connected(const struct policy *p, uint32_t rdid, uint32_t vsid,
			       const struct ip_prefix *net)
{
	uint32_t i = head_of(p, rdid, net);

	while (i != REC_NONE && !((p->routes[i].flags & ROUTE_CONNECTED) && p->routes[i].vsid == vsid))
		i = p->routes[i].next;
	return i;
}

void route_connect(struct policy *p, uint32_t rdid, uint32_t vsid, const struct ip_prefix *gateway)
{
	struct route r = { .rdid = rdid, .vsid = vsid, .flags = ROUTE_CONNECTED | ROUTE_ON_LINK };

	r.prefix = prefix_network(gateway);
	if (ip_is_link_local(&gateway->addr))
		return;
	/* An IPv6 prefix with the hash of another: the subnet is then reached by explicit routes only. */
	if (head_of(p, rdid, &r.prefix) == REC_NONE && slot_of(p, rdid, &r.prefix) != TABLE_NONE)
		return;
	add_route(p, &r);
}

void route_disconnect(struct policy *p, uint32_t rdid, uint32_t vsid, const struct ip_prefix *gateway)
{
	struct ip_prefix net = prefix_network(gateway);
	uint32_t i = find_connected(p, rdid, vsid, &net);

	if (i != REC_NONE)
		unlink_route(p, i);
}

uint32_t route_on_link_elsewhere(const struct policy *p, uint32_t rdid, const struct ip_prefix *prefix,
				 uint32_t vsid)
{
	uint32_t i = head_of(p, rdid, prefix);

	while (i != REC_NONE && !((p->routes[i].flags & ROUTE_ON_LINK) && p->routes[i].vsid != vsid))
		i = p->routes[i].next;
	return i;
}

/* ---- customer routes ---- */

static bool on_link(const struct route_spec *s)
{
	return !ip_is_set(&s->next_hop) || ip_is_any(&s->next_hop);
}

/* The customer route with the key of spec, or REC_NONE. */
static uint32_t find(const struct policy *p, const struct route_spec *s)
{
	uint32_t rdid = names_find(&p->rdid_names, s->rdid);
	uint32_t i = rdid == NAMES_NONE ? REC_NONE : head_of(p, rdid, &s->prefix);

	for (; i != REC_NONE; i = p->routes[i].next) {
		const struct route *r = &p->routes[i];

		if (r->flags & ROUTE_CONNECTED)
			continue;
		if (on_link(s) ? (r->flags & ROUTE_ON_LINK) != 0 : ip_equal(&r->next_hop, &s->next_hop))
			break;
	}
	return i;
}

static void fill_spec(const struct policy *p, const struct route *r, struct route_spec *s)
{
	*s = (struct route_spec){
		.vsid = r->vsid, .prefix = r->prefix, .next_hop = r->next_hop, .metric = r->metric
	};
	str_copy(s->rdid, sizeof(s->rdid), p->rdids[r->rdid]->id);
}

static int check_domain(const struct policy *p, const struct route_spec *s, struct errbuf *err)
{
	const struct segment *g = segment_find(p, s->vsid);
	const char *is = NULL;

	if (g && g->spec)
		is = g->spec->rdid;
	else if (g && g->n_routes)
		is = p->rdids[g->route_rdid]->id;
	if (!is || strcmp(is, s->rdid) == 0)
		return 0;
	return err_set(err, EEXIST, "virtual-subnet %u is in routing domain %s", s->vsid, is);
}

static int check(const struct policy *p, const struct route_spec *s, uint32_t old, struct errbuf *err)
{
	uint32_t rdid = names_find(&p->rdid_names, s->rdid), i;
	char text[PREFIX_STR];
	int r = old != REC_NONE && p->routes[old].vsid == s->vsid ? 0 : check_domain(p, s, err);

	if (r < 0)
		return r;
	if (!on_link(s) && ca_find(p, s->vsid, &s->next_hop) == CA_GATEWAY)
		return err_set(err, EEXIST, "next hop %s is the gateway address of virtual-subnet %u",
			       format_ip(&s->next_hop, text), s->vsid);
	if (rdid == NAMES_NONE)
		return 0;
	i = on_link(s) ? route_on_link_elsewhere(p, rdid, &s->prefix, s->vsid) : REC_NONE;
	if (i != REC_NONE && i != old)
		return err_set(err, EEXIST, "%s is on-link in virtual-subnet %u",
			       format_prefix(&s->prefix, text), p->routes[i].vsid);
	if (head_of(p, rdid, &s->prefix) == REC_NONE && slot_of(p, rdid, &s->prefix) != TABLE_NONE)
		return err_set(err, EEXIST, "%s shares its hash with another prefix",
			       format_prefix(&s->prefix, text));
	return 0;
}

static void drop_route(struct policy *p, uint32_t i)
{
	struct route *r = &p->routes[i];
	struct segment *g = segment_find(p, r->vsid);
	uint32_t rdid = r->rdid;

	unlink_route(p, i);
	g->n_routes--;
	segment_put(p, g);
	rdid_release(p, rdid);
}

static int replace(struct policy *p, const struct route_spec *s, uint32_t old, enum origin origin,
		   struct errbuf *err)
{
	struct route new = { .vsid = s->vsid,
			     .metric = s->metric,
			     .origin = (uint8_t)origin,
			     .prefix = s->prefix,
			     .next_hop = s->next_hop,
			     .flags = on_link(s) ? ROUTE_ON_LINK : 0 };
	struct segment *g;
	int r;

	if (old == REC_NONE && p->counts[OBJECT_ROUTE] >= MAX_ROUTES)
		return err_set(err, ENOSPC, "there are %u customer routes already", MAX_ROUTES);
	if (route_reserve(p, 1) < 0)
		return err_set(err, ENOSPC, "the route table is full or waits for a stalled worker");
	r = rdid_hold(p, s->rdid, &new.rdid, err);
	if (r < 0)
		return r;
	g = segment_get(p, s->vsid);
	if (!g) {
		rdid_release(p, new.rdid);
		return err_set(err, ENOMEM, "no memory for VSID %u", s->vsid);
	}
	g->n_routes++;
	g->route_rdid = new.rdid;
	/* First the new one: for a moment both are there, never none. */
	add_route(p, &new);
	if (old != REC_NONE)
		drop_route(p, old);
	else
		p->counts[OBJECT_ROUTE]++;
	return 0;
}

static int route_set(struct policy *p, const void *spec, enum origin origin, struct errbuf *err)
{
	uint32_t old = find(p, spec);
	struct route_spec is;
	int r;

	if (old != REC_NONE) {
		r = origin_may_set(p->routes[old].origin, origin, err);
		if (r < 0)
			return r;
		fill_spec(p, &p->routes[old], &is);
		if (p->routes[old].origin == origin &&
		    field_equal(object_types[OBJECT_ROUTE].fields, &is, spec))
			return 1;
	}
	r = check(p, spec, old, err);
	return r < 0 ? r : replace(p, spec, old, origin, err);
}

static int route_remove(struct policy *p, const void *spec, enum origin origin, struct errbuf *err)
{
	uint32_t i = find(p, spec);
	int r;

	if (i == REC_NONE)
		return err_set(err, ENOENT, "there is no such route");
	r = origin_may_remove(p->routes[i].origin, origin, err);
	if (r < 0)
		return r;
	drop_route(p, i);
	p->counts[OBJECT_ROUTE]--;
	return 0;
}

static int route_get(const struct policy *p, void *spec, enum origin *ret_origin)
{
	uint32_t i = find(p, spec);

	if (i == REC_NONE)
		return -ENOENT;
	*ret_origin = p->routes[i].origin;
	fill_spec(p, &p->routes[i], spec);
	return 0;
}

static int route_next(const struct policy *p, uint64_t *cursor, void *ret_spec, enum origin *ret_origin)
{
	while (*cursor < p->route_fresh) {
		const struct route *r = &p->routes[(*cursor)++];

		if (r->flags & (ROUTE_FREE | ROUTE_CONNECTED))
			continue;
		*ret_origin = r->origin;
		fill_spec(p, r, ret_spec);
		return 1;
	}
	return 0;
}

const struct kind_ops route_ops = { route_set, route_remove, route_get, route_next };
