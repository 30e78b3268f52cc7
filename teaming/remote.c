/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Remote PAs and the ways to them. From each of our subnets (distinct prefix and VLAN of our PAs) there is
 * at most one way: on-link, or by the provider route with the longest prefix whose next hop lies in that
 * subnet.
 */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "teaming/core.h"

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct ip_addr)); /* the address is the first member */
}

static struct tw_remote *find(const struct tw_core *c, const struct ip_addr *address)
{
	struct tw_remote **found = tfind(address, &c->remote_tree, compare);

	return found ? *found : NULL;
}

/* ---- changes for main ---- */

static void mark(struct tw_core *c, struct tw_remote *r)
{
	c->dirty |= TW_DIRTY_PATHS;
	if (r->changed)
		return;
	r->changed = true;
	TAILQ_INSERT_TAIL(&c->changes, r, change);
}

void tw_remotes_changed_by(struct tw_core *c, struct tw_neigh *n)
{
	struct tw_link_ref *l;

	LIST_FOREACH(l, &n->users, in_neigh)
		mark(c, l->remote);
}

void tw_remotes_changed_all(struct tw_core *c)
{
	struct tw_remote *r;

	TAILQ_FOREACH(r, &c->remotes, list)
		mark(c, r);
}

unsigned int tw_paths_changed(struct tw_core *c, struct ip_addr *ret, unsigned int n)
{
	struct tw_remote *r;
	unsigned int i;

	for (i = 0; i < n && (r = TAILQ_FIRST(&c->changes)); i++) {
		TAILQ_REMOVE(&c->changes, r, change);
		r->changed = false;
		ret[i] = r->address;
	}
	return i;
}

/* ---- routes ---- */

/* The next hop from a subnet. @return false: none. */
static bool route(const struct tw_core *c, const struct tw_subnet *s, const struct ip_addr *to,
		  struct ip_addr *ret_hop, uint8_t *ret_len)
{
	bool found = ip_in_prefix(to, &s->prefix);
	uint32_t metric = 0;

	if (found) {
		*ret_hop = *to;
		*ret_len = s->prefix.len;
	}
	for (unsigned int i = 0; i < c->n_routes; i++) {
		const struct provider_route_spec *r = &c->routes[i];

		if (!ip_in_prefix(to, &r->prefix) || !ip_in_prefix(&r->next_hop, &s->prefix))
			continue;
		if (found && (r->prefix.len < *ret_len || (r->prefix.len == *ret_len && r->metric >= metric)))
			continue;
		found = true;
		metric = r->metric;
		*ret_hop = r->next_hop;
		*ret_len = r->prefix.len;
	}
	return found;
}

bool tw_route(const struct tw_core *c, const struct tw_pa *pa, const struct ip_addr *to, struct ip_addr *ret_hop)
{
	struct tw_subnet s = { { pa->spec.address, pa->spec.prefix_len }, pa->spec.vlan };
	uint8_t len;

	return route(c, &s, to, ret_hop, &len);
}

static void unlink_refs(struct tw_core *c, struct tw_remote *r)
{
	for (unsigned int i = 0; i < r->n_links; i++) {
		struct tw_neigh *n = r->links[i].neigh;

		if (!n)
			continue;
		LIST_REMOVE(&r->links[i], in_neigh);
		r->links[i].neigh = NULL;
		if (LIST_EMPTY(&n->users))
			tw_neigh_free(c, n);
	}
	free(r->links);
	r->links = NULL;
	r->n_links = 0;
}

static int link_remote(struct tw_core *c, struct tw_remote *r)
{
	struct tw_link_ref *links;
	struct ip_addr hop;
	int ret = 0;

	links = c->n_subnets ? calloc(c->n_subnets, sizeof(*links)) : NULL;
	if (c->n_subnets && !links) {
		unlink_refs(c, r); /* its indices are the old subnets' */
		mark(c, r);
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < c->n_subnets; i++) {
		struct tw_link_ref *l = &links[i];

		l->remote = r;
		if (!route(c, &c->subnets[i], &r->address, &hop, &l->prefix_len))
			continue;
		l->neigh = tw_neigh_get(c, c->subnets[i].vlan, &hop);
		if (l->neigh)
			LIST_INSERT_HEAD(&l->neigh->users, l, in_neigh);
		else
			ret = -ENOMEM;
	}
	/* The old ones go last, so that neighbours that stay needed keep what they know. */
	unlink_refs(c, r);
	r->links = links;
	r->n_links = c->n_subnets;
	mark(c, r);
	return ret;
}

static void find_subnets(struct tw_core *c)
{
	unsigned int i, j;

	c->n_subnets = 0;
	for (i = 0; i < c->n_pas; i++) {
		const struct pa_spec *pa = &c->pas[c->pa_order[i]].spec;
		struct tw_subnet s = { { pa->address, pa->prefix_len }, pa->vlan };

		for (j = 0; j < c->n_subnets; j++)
			if (c->subnets[j].vlan == s.vlan && c->subnets[j].prefix.len == s.prefix.len &&
			    ip_in_prefix(&s.prefix.addr, &c->subnets[j].prefix))
				break;
		if (j == c->n_subnets)
			c->subnets[c->n_subnets++] = s;
	}
}

int tw_remotes_relink(struct tw_core *c)
{
	struct tw_remote *r;
	int ret = 0;

	find_subnets(c);
	TAILQ_FOREACH(r, &c->remotes, list) {
		int e = link_remote(c, r);

		if (e < 0)
			ret = e;
	}
	return ret;
}

/* ---- the set ---- */

static void remove_remote(struct tw_core *c, struct tw_remote *r)
{
	unlink_refs(c, r);
	tdelete(r, &c->remote_tree, compare);
	TAILQ_REMOVE(&c->remotes, r, list);
	if (r->changed)
		TAILQ_REMOVE(&c->changes, r, change);
	free(r);
}

static int add_remote(struct tw_core *c, const struct ip_addr *address)
{
	struct tw_remote *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->address = *address;
	r->keep = true;
	if (!tsearch(r, &c->remote_tree, compare)) {
		free(r);
		return -ENOMEM;
	}
	TAILQ_INSERT_TAIL(&c->remotes, r, list);
	return link_remote(c, r);
}

static bool is_own(const struct tw_core *c, const struct ip_addr *address)
{
	for (unsigned int i = 0; i < LOCAL_PAS; i++)
		if (c->pas[i].used && ip_equal(&c->pas[i].spec.address, address))
			return true;
	return false;
}

int tw_remotes_set(struct tw_core *c, const struct ip_addr *pas, unsigned int n)
{
	struct tw_remote *r, *next;
	int ret = 0;

	TAILQ_FOREACH(r, &c->remotes, list)
		r->keep = false;
	for (unsigned int i = 0; i < n; i++) {
		if (!ip_is_set(&pas[i]) || is_own(c, &pas[i]))
			continue;
		r = find(c, &pas[i]);
		if (r) {
			r->keep = true;
			continue;
		}
		if (add_remote(c, &pas[i]) < 0)
			ret = -ENOMEM;
	}
	for (r = TAILQ_FIRST(&c->remotes); r; r = next) {
		next = TAILQ_NEXT(r, list);
		if (!r->keep)
			remove_remote(c, r);
	}
	return ret;
}

void tw_remotes_free(struct tw_core *c)
{
	struct tw_remote *r;

	while ((r = TAILQ_FIRST(&c->remotes)))
		remove_remote(c, r);
}

/* ---- paths ---- */

static int subnet_of(const struct tw_core *c, const struct pa_spec *pa)
{
	for (unsigned int i = 0; i < c->n_subnets; i++)
		if (c->subnets[i].vlan == pa->vlan && c->subnets[i].prefix.len == pa->prefix_len &&
		    ip_in_prefix(&pa->address, &c->subnets[i].prefix))
			return (int)i;
	return -ENOENT;
}

/* Which of two possible sources is better: longer route, resolved, at home with the member. */
struct candidate {
	const struct tw_link_ref *link;
	unsigned int slot, rank;
};

static bool consider(const struct tw_core *c, const struct tw_remote *r, unsigned int slot, unsigned int member,
		     struct candidate *ret)
{
	const struct tw_pa *pa = &c->pas[slot];
	int s;

	if (!tw_pa_in_use(pa) || pa->spec.address.family != r->address.family)
		return false;
	if (tw_independent(c) && pa->home != member)
		return false;
	s = subnet_of(c, &pa->spec);
	if (s < 0 || (unsigned int)s >= r->n_links || !r->links[s].neigh)
		return false;
	ret->link = &r->links[s];
	ret->slot = slot;
	ret->rank = r->links[s].prefix_len * 4u + r->links[s].neigh->has_mac * 2u + (pa->home == member);
	return true;
}

static bool any_usable(const struct tw_core *c)
{
	for (unsigned int m = 0; m < TEAM_MEMBERS; m++)
		if (tw_member_usable(c, m))
			return true;
	return false;
}

int tw_path(const struct tw_core *c, const struct ip_addr *remote, unsigned int member, struct encap_path *ret,
	    uint16_t *ret_mtu, uint8_t *ret_local_pa)
{
	const struct tw_remote *r = find(c, remote);
	struct candidate best = { 0 }, x;
	const struct tw_pa *pa;

	if (member >= TEAM_MEMBERS || !c->members[member].used)
		return -ENETDOWN;
	if (!r)
		return -EHOSTUNREACH;
	/* From another place of the ring for each member: a cooperating team's members take different PAs. */
	for (unsigned int i = 0; i < c->n_pas; i++)
		if (consider(c, r, c->pa_order[(i + member) % c->n_pas], member, &x) &&
		    (!best.link || x.rank > best.rank))
			best = x;
	if (!best.link)
		return -EHOSTUNREACH;
	pa = &c->pas[best.slot];
	*ret = (struct encap_path){ .src_mac = pa->spec.mac,
				   .dst_mac = best.link->neigh->mac,
				   .vlan = pa->spec.vlan,
				   .src = pa->spec.address,
				   .dst = r->address };
	*ret_mtu = tw_member_mtu(c, member);
	*ret_local_pa = (uint8_t)best.slot;
	if (!best.link->neigh->has_mac)
		return any_usable(c) ? -EAGAIN : -ENETDOWN;
	return 0;
}
