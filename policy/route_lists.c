/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where routes are kept. One table entry per (routing domain, prefix) leads to the list of its routes, best
 * first; one bit per prefix length that a domain uses tells the router which lengths to try. Entries of the
 * pseudo domain RDID_ANY count how many domains have a prefix: a packet without a route is told "other
 * domain" from "nowhere" by them.
 */
#include <stdlib.h>

#include "base/str.h"
#include "policy/routes.h"

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

uint32_t route_slot(const struct policy *p, uint32_t rdid, const struct ip_prefix *net)
{
	return table_slot(&p->route, route_key(p, rdid, net->addr.family, net->len, net->addr.b), 0);
}

uint32_t route_head(const struct policy *p, uint32_t rdid, const struct ip_prefix *net)
{
	uint32_t slot = route_slot(p, rdid, net), head;

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
	uint32_t slot = route_slot(p, RDID_ANY, net), n;

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

/* Order matters: after a link, before an unlink takes effect. See route_decide(). */
static void touch_routes(struct policy *p)
{
	__atomic_store_n(&p->route_generation, p->route_generation + 1, __ATOMIC_RELEASE);
}

/* Put a filled route into the list of its prefix. Room is reserved. */
static void link_route(struct policy *p, uint32_t i)
{
	struct route *r = &p->routes[i];
	uint32_t head = route_head(p, r->rdid, &r->prefix), at;

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
		table_set_value(&p->route, route_slot(p, r->rdid, &r->prefix), i);
		return;
	}
	for (at = head; p->routes[at].next != REC_NONE && !before(r, &p->routes[p->routes[at].next]);)
		at = p->routes[at].next;
	r->next = p->routes[at].next;
	set_next(p, at, i);
}

void route_unlink(struct policy *p, uint32_t i)
{
	struct route *r = &p->routes[i];
	uint32_t slot = route_slot(p, r->rdid, &r->prefix), at = table_value(&p->route, slot);

	touch_routes(p);
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
	r->unused = true;
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
		p->routes[i].unused = true;
		p->route_spare[p->n_route_spare++] = i;
	}
	return 0;
}

uint32_t route_add(struct policy *p, const struct route *r)
{
	uint32_t i = p->route_spare[--p->n_route_spare];

	p->routes[i] = *r;
	link_route(p, i);
	touch_routes(p);
	return i;
}
