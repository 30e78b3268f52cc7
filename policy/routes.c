/* SPDX-License-Identifier: BSD-3-Clause */
/* Customer routes as objects, and the on-link routes that subnets bring. The lists are in route_lists.c. */
#include <stdlib.h>

#include "base/str.h"
#include "policy/routes.h"

/* ---- on-link routes of subnets ---- */

static uint32_t find_connected(const struct policy *p, uint32_t rdid, uint32_t vsid,
			       const struct ip_prefix *net)
{
	uint32_t i = route_head(p, rdid, net);

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
	if (route_head(p, rdid, &r.prefix) == REC_NONE && route_slot(p, rdid, &r.prefix) != TABLE_NONE)
		return;
	route_add(p, &r);
}

void route_disconnect(struct policy *p, uint32_t rdid, uint32_t vsid, const struct ip_prefix *gateway)
{
	struct ip_prefix net = prefix_network(gateway);
	uint32_t i = find_connected(p, rdid, vsid, &net);

	if (i != REC_NONE)
		route_unlink(p, i);
}

uint32_t route_on_link_elsewhere(const struct policy *p, uint32_t rdid, const struct ip_prefix *prefix,
				 uint32_t vsid)
{
	uint32_t i = route_head(p, rdid, prefix);

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
	uint32_t i = rdid == NAMES_NONE ? REC_NONE : route_head(p, rdid, &s->prefix);

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
	if (route_head(p, rdid, &s->prefix) == REC_NONE && route_slot(p, rdid, &s->prefix) != TABLE_NONE)
		return err_set(err, EEXIST, "%s shares its hash with another prefix",
			       format_prefix(&s->prefix, text));
	return 0;
}

static void drop_route(struct policy *p, uint32_t i)
{
	struct route *r = &p->routes[i];
	struct segment *g = segment_find(p, r->vsid);
	uint32_t rdid = r->rdid;

	route_unlink(p, i);
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
	route_add(p, &new);
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

		if (r->unused || (r->flags & ROUTE_CONNECTED))
			continue;
		*ret_origin = r->origin;
		fill_spec(p, r, ret_spec);
		return 1;
	}
	return 0;
}

const struct kind_ops route_ops = { route_set, route_remove, route_get, route_next };
