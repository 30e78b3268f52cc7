/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Virtual subnets. Workers find one by two loads, (VSID / 4096) then (VSID % 4096). The gateway's addresses
 * are entries of the CA table, its MAC one of the MAC table, and each gateway prefix is an on-link route of
 * the routing domain.
 */
#include <stdlib.h>

#include "base/str.h"
#include "policy/policy_private.h"

struct mac policy_gateway_mac(uint32_t vsid)
{
	/* Locally administered, and the VSID readable in captures. */
	return (struct mac){ { 0x02, 'G', 'W', (uint8_t)(vsid >> 16), (uint8_t)(vsid >> 8), (uint8_t)vsid } };
}

/* ---- contradictions ---- */

static int check_gateway_mac(const struct policy *p, const struct subnet_spec *s, const struct mac *mac,
			     struct errbuf *err)
{
	const struct mac_ctl *c = mac_find(p, s->vsid, mac_load(mac));
	char text[MAC_STR];

	if (!c || c->gateway)
		return 0;
	format_mac(mac, text);
	if (c->port != PORT_NONE)
		return err_set(err, EEXIST, "gateway MAC %s is the MAC of port %s", text,
			       p->port_ctl[c->port].spec->id);
	return err_set(err, EEXIST, "gateway MAC %s is in a lookup record of host %s", text,
		       p->host_ctl[c->host].id);
}

static int check_gateway_ca(const struct policy *p, const struct subnet_spec *s, const struct ip_prefix *g,
			    struct errbuf *err)
{
	uint32_t v = ca_find(p, s->vsid, &g->addr);
	char ip[IP_STR], mac[MAC_STR];

	if (v == CA_GATEWAY)
		return 0;
	format_ip(&g->addr, ip);
	if (v != TABLE_MISS)
		return err_set(err, EEXIST, "gateway %s is the customer address of record %u/%s, MAC %s", ip,
			       s->vsid, ip, format_mac(&p->records[v].mac, mac));
	if (table_slot(&p->ca, ca_key(p, s->vsid, &g->addr), 0) != TABLE_NONE)
		return err_set(err, EEXIST, "gateway %s shares its hash with a customer address", ip);
	return 0;
}

static int check_overlap(const struct ip_prefix *g, const struct subnet_spec *other, struct errbuf *err)
{
	char a[PREFIX_STR], b[PREFIX_STR];

	for (uint16_t i = 0; i < other->n_gateways; i++) {
		const struct ip_prefix *o = &other->gateways[i];

		if (!ip_in_prefix(&g->addr, o) && !ip_in_prefix(&o->addr, g))
			continue;
		return err_set(err, EEXIST,
			       "gateway %s overlaps %s of virtual-subnet %u in routing domain %s",
			       format_prefix(g, a), format_prefix(o, b), other->vsid, other->rdid);
	}
	return 0;
}

static int check_routing(const struct policy *p, const struct subnet_spec *s, const struct ip_prefix *g,
			 struct errbuf *err)
{
	uint32_t rdid = names_find(&p->rdid_names, s->rdid), i;
	struct ip_prefix net = prefix_network(g);
	char a[PREFIX_STR];
	int r = 0;

	/* Every link has the same link-local prefix. */
	if (rdid == NAMES_NONE || ip_is_link_local(&g->addr))
		return 0;
	for (const struct segment *o = p->rdids[rdid]->subnets; r == 0 && o; o = o->rd_next)
		if (o->vsid != s->vsid)
			r = check_overlap(g, o->spec, err);
	if (r < 0)
		return r;
	i = route_on_link_elsewhere(p, rdid, &net, s->vsid);
	if (i != REC_NONE)
		return err_set(err, EEXIST, "customer-route %s %s is on-link in virtual-subnet %u", s->rdid,
			       format_prefix(&net, a), p->routes[i].vsid);
	return 0;
}

static int check(const struct policy *p, const struct subnet_spec *s, const struct mac *mac,
		 struct errbuf *err)
{
	const struct segment *g = segment_find(p, s->vsid);
	int r = check_gateway_mac(p, s, mac, err);

	if (r == 0 && g && g->n_routes && strcmp(p->rdids[g->route_rdid]->id, s->rdid) != 0)
		r = err_set(err, EEXIST,
			    "customer-routes of routing domain %s lead into it, so it cannot be in %s",
			    p->rdids[g->route_rdid]->id, s->rdid);
	for (uint16_t i = 0; r == 0 && i < s->n_gateways; i++) {
		r = check_gateway_ca(p, s, &s->gateways[i], err);
		if (r == 0)
			r = check_routing(p, s, &s->gateways[i], err);
	}
	return r;
}

/* ---- change ---- */

static bool has_gateway(const struct subnet_spec *s, const struct ip_prefix *g)
{
	for (uint16_t i = 0; s && i < s->n_gateways; i++)
		if (memcmp(&s->gateways[i], g, sizeof(*g)) == 0)
			return true;
	return false;
}

static bool has_address(const struct subnet_spec *s, const struct ip_addr *a)
{
	for (uint16_t i = 0; s && i < s->n_gateways; i++)
		if (ip_equal(&s->gateways[i].addr, a))
			return true;
	return false;
}

/* Addresses that only one of the two has, in table ca. */
static void mark_gateways(struct policy *p, const struct subnet_spec *of, const struct subnet_spec *but,
			  bool mark)
{
	for (uint16_t i = 0; of && i < of->n_gateways; i++) {
		uint64_t key = ca_key(p, of->vsid, &of->gateways[i].addr);

		if (has_address(but, &of->gateways[i].addr))
			continue;
		if (mark)
			table_insert(&p->ca, key, 0, CA_GATEWAY);
		else
			table_remove(&p->ca, table_slot(&p->ca, key, 0));
	}
}

static void connect(struct policy *p, uint32_t rdid, const struct subnet_spec *of,
		    const struct subnet_spec *but)
{
	for (uint16_t i = 0; i < of->n_gateways; i++)
		if (!has_gateway(but, &of->gateways[i]))
			route_connect(p, rdid, of->vsid, &of->gateways[i]);
}

static void disconnect(struct policy *p, uint32_t rdid, const struct subnet_spec *of,
		       const struct subnet_spec *but)
{
	for (uint16_t i = 0; of && i < of->n_gateways; i++)
		if (!has_gateway(but, &of->gateways[i]))
			route_disconnect(p, rdid, of->vsid, &of->gateways[i]);
}

static void set_gateway_mac(struct policy *p, uint32_t vsid, uint64_t mac, bool gateway)
{
	struct mac_ctl *c = mac_open(p, vsid, mac);

	c->gateway = gateway;
	mac_publish(p, vsid, mac, c);
}

static struct policy_subnet *build(const struct subnet_spec *s, uint32_t rdid, const struct mac *mac)
{
	struct policy_subnet *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->vsid = s->vsid;
	n->rdid = rdid;
	n->gateway_mac = mac_load(mac);
	n->learning = s->learning;
	n->external = s->external;
	n->ra = s->ra;
	n->n_gateways = s->n_gateways;
	memcpy(n->gateways, s->gateways, s->n_gateways * sizeof(s->gateways[0]));
	n->group = s->group;
	return n;
}

static void join_rdid(struct policy *p, struct segment *g, uint32_t rdid)
{
	struct segment **head = &p->rdids[rdid]->subnets;

	g->rdid = rdid;
	g->rd_next = *head;
	g->rd_link = head;
	if (*head)
		(*head)->rd_link = &g->rd_next;
	*head = g;
}

static void leave_rdid(struct policy *p, struct segment *g)
{
	*g->rd_link = g->rd_next;
	if (g->rd_next)
		g->rd_next->rd_link = g->rd_link;
	rdid_release(p, g->rdid);
}

static void publish(struct policy *p, struct segment *g, struct policy_subnet *n)
{
	struct policy_subnet *old = g->subnet;

	g->subnet = n;
	if (n)
		n->flood = g->flood;
	rcu_assign(p->pages[g->vsid / VSID_PAGE]->subnet[g->vsid % VSID_PAGE], n);
	policy_free_later(p, old);
}

/* `rdid` is held for the new state. Nothing here can fail. */
static void commit(struct policy *p, struct segment *g, struct policy_subnet *n, struct subnet_spec *spec,
		   uint32_t rdid)
{
	uint64_t old_mac = g->subnet ? g->subnet->gateway_mac : 0, mac = n->gateway_mac;
	struct subnet_spec *was = g->spec;
	bool moved = was && g->rdid != rdid;
	uint32_t old_rdid = g->rdid;

	mark_gateways(p, spec, was, true);
	publish(p, g, n);
	if (old_mac != mac) {
		set_gateway_mac(p, spec->vsid, mac, true);
		if (old_mac)
			set_gateway_mac(p, spec->vsid, old_mac, false);
	}
	/* First what is new, so that what stays is never without a route. */
	connect(p, rdid, spec, moved ? NULL : was);
	disconnect(p, old_rdid, was, moved ? NULL : spec);
	mark_gateways(p, was, spec, false);
	if (was)
		leave_rdid(p, g);
	join_rdid(p, g, rdid);
	g->spec = spec;
	if (!was)
		p->counts[OBJECT_SUBNET]++;
	free(was);
	policy_touch(p);
}

static int reserve(struct policy *p, const struct subnet_spec *s, struct errbuf *err)
{
	if (table_reserve(&p->ca, s->n_gateways) < 0 || mac_reserve(p, 1) < 0 ||
	    route_reserve(p, s->n_gateways) < 0)
		return err_set(err, ENOSPC, "the tables are full or wait for a stalled worker");
	return 0;
}

static int replace(struct policy *p, const struct subnet_spec *s, const struct mac *mac, enum origin origin,
		   struct errbuf *err)
{
	const struct flood_change none = { PORT_NONE, PORT_NONE, HOST_NONE, HOST_NONE };
	struct segment *g = segment_get(p, s->vsid);
	struct policy_flood *flood = NULL;
	struct subnet_spec *spec = NULL;
	struct policy_subnet *n = NULL;
	uint32_t rdid;
	int r;

	if (!g)
		return err_set(err, ENOMEM, "no memory for the subnet");
	r = rdid_hold(p, s->rdid, &rdid, err);
	if (r < 0)
		goto put;
	r = reserve(p, s, err);
	if (r < 0)
		goto release;
	spec = malloc(sizeof(*spec));
	n = build(s, rdid, mac);
	if (!spec || !n || flood_prepare(g, &none, &flood) < 0) {
		r = err_set(err, ENOMEM, "no memory for the subnet");
		goto release;
	}
	*spec = *s;
	if (flood)
		flood_commit(p, g, flood);
	commit(p, g, n, spec, rdid);
	g->origin = (uint8_t)origin;
	return 0;
release:
	free(spec);
	free(n);
	rdid_release(p, rdid);
put:
	segment_put(p, g);
	return r;
}

static int subnet_set(struct policy *p, const void *spec_, enum origin origin, struct errbuf *err)
{
	const struct subnet_spec *spec = spec_;
	const struct segment *g = segment_find(p, spec->vsid);
	struct mac mac = mac_is_zero(&spec->gateway_mac) ? policy_gateway_mac(spec->vsid) : spec->gateway_mac;
	int r;

	if (g && g->spec) {
		r = origin_may_set(g->origin, origin, err);
		if (r < 0)
			return r;
		if (g->origin == origin && field_equal(object_types[OBJECT_SUBNET].fields, g->spec, spec))
			return 1;
	}
	r = check(p, spec, &mac, err);
	return r < 0 ? r : replace(p, spec, &mac, origin, err);
}

static int subnet_remove(struct policy *p, const void *spec_, enum origin origin, struct errbuf *err)
{
	uint32_t vsid = ((const struct subnet_spec *)spec_)->vsid;
	struct segment *g = vsid <= VSID_MAX ? segment_find(p, vsid) : NULL;
	struct subnet_spec *was;
	int r;

	if (!g || !g->spec)
		return err_set(err, ENOENT, "there is no such subnet");
	r = origin_may_remove(g->origin, origin, err);
	if (r < 0)
		return r;
	if (g->flood->n_ports)
		return err_set(err, EBUSY, "port %s is in it", p->port_ctl[g->flood->ports[0]].spec->id);
	was = g->spec;
	g->spec = NULL;
	disconnect(p, g->rdid, was, NULL);
	mark_gateways(p, was, NULL, false);
	set_gateway_mac(p, vsid, g->subnet->gateway_mac, false);
	publish(p, g, NULL);
	leave_rdid(p, g);
	free(was);
	p->counts[OBJECT_SUBNET]--;
	segment_put(p, g);
	policy_touch(p);
	return 0;
}

static int subnet_get(const struct policy *p, void *spec, enum origin *ret_origin)
{
	uint32_t vsid = ((const struct subnet_spec *)spec)->vsid;
	const struct segment *g = vsid <= VSID_MAX ? segment_find(p, vsid) : NULL;

	if (!g || !g->spec)
		return -ENOENT;
	*(struct subnet_spec *)spec = *g->spec;
	*ret_origin = g->origin;
	return 0;
}

static int subnet_next(const struct policy *p, uint64_t *cursor, void *ret_spec, enum origin *ret_origin)
{
	while (*cursor <= VSID_MAX) {
		const struct subnet_page *page = p->pages[*cursor / VSID_PAGE];
		const struct segment *g;

		if (!page) {
			*cursor = (*cursor / VSID_PAGE + 1) * VSID_PAGE;
			continue;
		}
		g = page->segment[(*cursor)++ % VSID_PAGE];
		if (!g || !g->spec)
			continue;
		*(struct subnet_spec *)ret_spec = *g->spec;
		*ret_origin = g->origin;
		return 1;
	}
	return 0;
}

const struct kind_ops subnet_ops = { subnet_set, subnet_remove, subnet_get, subnet_next };

/* ---- packet path ---- */

const struct policy_subnet *policy_subnet(const struct policy *p, uint32_t vsid)
{
	const struct subnet_page *page;

	if (vsid > VSID_MAX)
		return NULL;
	page = rcu_dereference(p->pages[vsid / VSID_PAGE]);
	return page ? rcu_dereference(page->subnet[vsid % VSID_PAGE]) : NULL;
}
