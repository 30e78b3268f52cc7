/* SPDX-License-Identifier: BSD-3-Clause */
/* The policy side of ports: which MACs are here. A port's MAC is local whatever records say (HNV row 11). */
#include <stdlib.h>

#include "base/str.h"
#include "policy/policy_private.h"

static const char *id_of(const void *owner, uint32_t index)
{
	const struct policy *p = owner;

	return p->port_ctl[index].spec->id;
}

int ports_init(struct policy *p)
{
	grace_init(&p->port_grace, p->port_link);
	return names_init(&p->port_names, POLICY_MAX_PORTS, id_of, p);
}

void ports_fini(struct policy *p)
{
	for (unsigned int i = 0; i < POLICY_MAX_PORTS; i++) {
		free((void *)(uintptr_t)p->ports[i]);
		free(p->port_ctl[i].spec);
	}
	names_fini(&p->port_names);
}

static struct policy_port *build(uint16_t index, const struct port_spec *s)
{
	struct policy_port *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->index = index;
	n->vsid = s->vsid;
	n->n_macs = s->n_macs;
	memcpy(n->macs, s->macs, s->n_macs * sizeof(s->macs[0]));
	n->n_addresses = s->n_addresses;
	n->dhcp_guard = s->dhcp_guard;
	n->ra_guard = s->ra_guard;
	memcpy(n->addresses, s->addresses, s->n_addresses * sizeof(s->addresses[0]));
	str_copy(n->id, sizeof(n->id), s->id);
	return n;
}

static int check_macs(const struct policy *p, const struct port_spec *s, uint16_t index, struct errbuf *err)
{
	char text[MAC_STR];

	for (uint16_t i = 0; i < s->n_macs; i++) {
		const struct mac_ctl *c = mac_find(p, s->vsid, mac_load(&s->macs[i]));

		if (!c)
			continue;
		format_mac(&s->macs[i], text);
		if (c->gateway)
			return err_set(err, EEXIST, "%s is the gateway MAC of virtual-subnet %u", text,
				       s->vsid);
		if (c->port != PORT_NONE && c->port != index)
			return err_set(err, EEXIST, "%s is the MAC of port %s, which has VSID %u too", text,
				       p->port_ctl[c->port].spec->id, s->vsid);
	}
	return 0;
}

static bool has_mac(const struct port_spec *s, uint32_t vsid, const struct mac *m)
{
	for (uint16_t i = 0; s && s->vsid == vsid && i < s->n_macs; i++)
		if (mac_equal(&s->macs[i], m))
			return true;
	return false;
}

/* MACs of `from` that `to` does not have go to `port`. */
static void point_macs(struct policy *p, const struct port_spec *from, const struct port_spec *to,
		       uint16_t port)
{
	for (uint16_t i = 0; from && i < from->n_macs; i++)
		if (!has_mac(to, from->vsid, &from->macs[i]))
			mac_set_port(p, from->vsid, mac_load(&from->macs[i]), port);
}

/* All that a set needs and can fail to get. */
struct port_change {
	struct port_spec *spec;
	struct policy_port *port;
	struct segment *to, *from; /* from NULL: new, or stays in its subnet */
	struct policy_flood *join, *leave;
};

static void abandon(struct policy *p, struct port_change *c)
{
	free(c->spec);
	free(c->port);
	free(c->join);
	free(c->leave);
	if (c->to)
		segment_put(p, c->to);
}

static int prepare(struct policy *p, const struct port_spec *s, const struct port_spec *was, uint16_t index,
		   struct port_change *c, struct errbuf *err)
{
	struct flood_change join = { index, PORT_NONE, HOST_NONE, HOST_NONE };
	struct flood_change leave = { PORT_NONE, index, HOST_NONE, HOST_NONE };
	bool ok;

	*c = (struct port_change){ .spec = malloc(sizeof(*s)), .port = build(index, s) };
	ok = c->spec && c->port;
	if (ok && (!was || was->vsid != s->vsid)) {
		c->to = segment_get(p, s->vsid);
		c->from = was ? segment_find(p, was->vsid) : NULL;
		ok = c->to && flood_prepare(c->to, &join, &c->join) == 0 &&
		     (!c->from || flood_prepare(c->from, &leave, &c->leave) == 0);
	}
	if (!ok)
		return err_set(err, ENOMEM, "no memory for the port");
	if (mac_reserve(p, s->n_macs) < 0 || table_reserve(&p->local, s->n_macs) < 0)
		return err_set(err, ENOSPC, "no room for %u MAC addresses", s->n_macs);
	*c->spec = *s;
	return 0;
}

static void commit(struct policy *p, uint16_t index, const struct port_change *c, enum origin origin)
{
	struct port_entry *e = &p->port_ctl[index];
	const struct policy_port *old = p->ports[index];
	struct port_spec *was = e->spec;

	point_macs(p, was, c->spec, PORT_NONE);
	if (c->from) {
		flood_commit(p, c->from, c->leave);
		segment_put(p, c->from);
	}
	e->spec = c->spec;
	e->origin = (uint8_t)origin;
	rcu_assign(p->ports[index], c->port);
	if (c->to)
		flood_commit(p, c->to, c->join);
	point_macs(p, c->spec, was, index);
	policy_free_later(p, old);
	if (!was) {
		names_add(&p->port_names, index);
		p->counts[OBJECT_PORT]++;
	}
	free(was);
	policy_touch(p);
}

static int port_set(struct policy *p, const void *spec_, enum origin origin, struct errbuf *err)
{
	const struct port_spec *spec = spec_, *was = NULL;
	uint32_t i = names_find(&p->port_names, spec->id);
	bool new = i == NAMES_NONE;
	struct port_change c;
	int r;

	if (!new) {
		was = p->port_ctl[i].spec;
		r = origin_may_set(p->port_ctl[i].origin, origin, err);
		if (r < 0)
			return r;
		if (p->port_ctl[i].origin == origin &&
		    field_equal(object_types[OBJECT_PORT].fields, was, spec))
			return 1;
	}
	r = check_macs(p, spec, new ? PORT_NONE : (uint16_t)i, err);
	if (r < 0)
		return r;
	if (new)
		i = policy_number(&p->port_grace, &p->port_fresh, POLICY_MAX_PORTS);
	if (i == GRACE_NONE)
		return err_set(err, ENOSPC, "there are %u ports already", POLICY_MAX_PORTS);
	r = prepare(p, spec, was, (uint16_t)i, &c, err);
	if (r < 0) {
		abandon(p, &c);
		if (new)
			grace_push(&p->port_grace, i);
		return r;
	}
	commit(p, (uint16_t)i, &c, origin);
	return 0;
}

static int port_remove(struct policy *p, const void *spec_, enum origin origin, struct errbuf *err)
{
	const struct port_spec *spec = spec_;
	uint32_t i = names_find(&p->port_names, spec->id);
	struct flood_change leave = { PORT_NONE, (uint16_t)i, HOST_NONE, HOST_NONE };
	const struct policy_port *old;
	struct policy_flood *flood;
	struct port_spec *was;
	struct segment *s;
	int r;

	if (i == NAMES_NONE)
		return err_set(err, ENOENT, "there is no such port");
	r = origin_may_remove(p->port_ctl[i].origin, origin, err);
	if (r < 0)
		return r;
	was = p->port_ctl[i].spec;
	s = segment_find(p, was->vsid);
	if (flood_prepare(s, &leave, &flood) < 0)
		return err_set(err, ENOMEM, "no memory for the flood set of virtual-subnet %u", was->vsid);
	point_macs(p, was, NULL, PORT_NONE);
	flood_commit(p, s, flood);
	segment_put(p, s);
	old = p->ports[i];
	rcu_assign(p->ports[i], NULL);
	policy_free_later(p, old);
	names_remove(&p->port_names, i);
	p->port_ctl[i].spec = NULL;
	free(was);
	p->counts[OBJECT_PORT]--;
	grace_push(&p->port_grace, i);
	policy_touch(p);
	return 0;
}

static int port_get(const struct policy *p, void *spec, enum origin *ret_origin)
{
	uint32_t i = names_find(&p->port_names, ((const struct port_spec *)spec)->id);

	if (i == NAMES_NONE)
		return -ENOENT;
	*(struct port_spec *)spec = *p->port_ctl[i].spec;
	*ret_origin = p->port_ctl[i].origin;
	return 0;
}

static int port_next(const struct policy *p, uint64_t *cursor, void *ret_spec, enum origin *ret_origin)
{
	while (*cursor < p->port_fresh) {
		const struct port_entry *e = &p->port_ctl[(*cursor)++];

		if (!e->spec)
			continue;
		*(struct port_spec *)ret_spec = *e->spec;
		*ret_origin = e->origin;
		return 1;
	}
	return 0;
}

const struct kind_ops port_ops_of_policy = { port_set, port_remove, port_get, port_next };

uint16_t policy_port_index(const struct policy *p, const char *id)
{
	uint32_t i = names_find(&p->port_names, id);

	return i == NAMES_NONE ? PORT_NONE : (uint16_t)i;
}

const struct policy_port *policy_port(const struct policy *p, uint16_t index)
{
	return index < POLICY_MAX_PORTS ? rcu_dereference(p->ports[index]) : NULL;
}
