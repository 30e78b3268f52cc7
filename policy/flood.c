/* SPDX-License-Identifier: BSD-3-Clause */
/* Who gets a flooded frame: local ports of the VSID, and one entry per remote host that has records or ports of it. */
#include <stdlib.h>

#include "policy/policy_private.h"

int floods_init(struct policy *p)
{
	return table_init(&p->members, p->params.max_records, false, p->params.socket);
}

void floods_fini(struct policy *p)
{
	table_fini(&p->members);
}

/* ---- remote members ---- */

static uint64_t member_key(uint32_t vsid, uint16_t host)
{
	return UINT64_C(1) << 63 | (uint64_t)vsid << 16 | host;
}

uint32_t member_count(const struct policy *p, uint32_t vsid, uint16_t host)
{
	uint32_t slot = table_slot(&p->members, member_key(vsid, host), 0);

	return slot == TABLE_NONE ? 0 : table_value(&p->members, slot);
}

void member_add(struct policy *p, uint32_t vsid, uint16_t host, uint32_t n)
{
	uint32_t slot = table_slot(&p->members, member_key(vsid, host), 0);

	if (slot == TABLE_NONE)
		table_insert(&p->members, member_key(vsid, host), 0, n);
	else
		table_set_value(&p->members, slot, table_value(&p->members, slot) + n);
}

void member_sub(struct policy *p, uint32_t vsid, uint16_t host, uint32_t n)
{
	uint32_t slot = table_slot(&p->members, member_key(vsid, host), 0);
	uint32_t left = table_value(&p->members, slot) - n;

	if (left)
		table_set_value(&p->members, slot, left);
	else
		table_remove(&p->members, slot);
}

/* ---- the published set ---- */

static uint16_t copy_but(uint16_t *to, const uint16_t *from, uint16_t n, uint16_t but, uint16_t add,
			 uint16_t none)
{
	uint16_t k = 0;

	for (uint16_t i = 0; i < n; i++)
		if (from[i] != but)
			to[k++] = from[i];
	if (add != none)
		to[k++] = add;
	return k;
}

int flood_prepare(const struct segment *s, const struct flood_change *c, struct policy_flood **ret)
{
	static const struct policy_flood empty;
	const struct policy_flood *old = s->flood ? s->flood : &empty;
	struct policy_flood *n;

	*ret = NULL;
	if (s->flood && c->add_port == PORT_NONE && c->del_port == PORT_NONE && c->add_host == HOST_NONE &&
	    c->del_host == HOST_NONE)
		return 0;
	n = malloc(sizeof(*n) + (old->n_ports + old->n_hosts + 2u) * sizeof(uint16_t));
	if (!n)
		return -ENOMEM;
	n->ports = (uint16_t *)(n + 1);
	n->hosts = n->ports + old->n_ports + 1;
	n->n_ports = copy_but(n->ports, old->ports, old->n_ports, c->del_port, c->add_port, PORT_NONE);
	n->n_hosts = copy_but(n->hosts, old->hosts, old->n_hosts, c->del_host, c->add_host, HOST_NONE);
	*ret = n;
	return 0;
}

void flood_commit(struct policy *p, struct segment *s, struct policy_flood *new)
{
	const struct policy_flood *old = s->flood;

	s->flood = new;
	if (s->subnet)
		rcu_assign(s->subnet->flood, new);
	if (s->vsid == 0)
		rcu_assign(p->plain, new);
	policy_free_later(p, old);
}

const struct policy_flood *policy_plain_flood(const struct policy *p)
{
	return rcu_dereference(p->plain);
}
