/* SPDX-License-Identifier: BSD-3-Clause */
/* Counters by virtual subnet, and by queue of members: what the packet path counts, since they came. */
#include <string.h>

#include "daemon/manager_private.h"

static void counts_of(const struct datapath_port_stats *st, struct vsid_counts *ret)
{
	*ret = (struct vsid_counts){ .rx = st->rx, .tx = st->tx };
	for (unsigned int r = 0; r < DROP_COUNT; r++)
		ret->drops += st->drops[r];
}

/* Subnets go by the configuration; the plain segment stays. */
static bool is_known(uint32_t vsid, void *arg)
{
	const struct manager *m = arg;

	return !vsid || policy_subnet(m->policy, vsid);
}

static void count_ports(struct manager *m)
{
	for (size_t i = 0; i < m->vsid_totals.n; i++)
		m->vsid_totals.v[i].ports = 0;
	for (unsigned int i = 0; i < POLICY_MAX_PORTS; i++) {
		struct vsid_total *t = m->ports[i] ? vsid_total(&m->vsid_totals, m->ports[i]->spec.vsid, true) : NULL;

		if (t)
			t->ports++;
	}
}

/* What is of no use goes before there has to be more room: nobody may ever ask. */
static void make_room(struct manager *m, uint32_t vsid)
{
	if (m->vsid_totals.n < m->vsid_totals.room || vsid_total(&m->vsid_totals, vsid, false))
		return;
	count_ports(m);
	vsid_totals_sweep(&m->vsid_totals, is_known, m);
}

void counts_port(struct port *p)
{
	struct datapath_port_stats st;
	struct vsid_counts now;

	if (!p->attached || datapath_port_stats(p->m->datapath, p->index, &st) < 0)
		return;
	counts_of(&st, &now);
	make_room(p->m, p->spec.vsid);
	vsid_totals_add(&p->m->vsid_totals, p->spec.vsid, &p->counted, &now); /* no memory: the next time */
}

void counts_port_ends(struct port *p, const struct datapath_port_stats *last)
{
	struct vsid_counts now;

	counts_of(last, &now);
	make_room(p->m, p->spec.vsid);
	vsid_totals_add(&p->m->vsid_totals, p->spec.vsid, &p->counted, &now);
	p->counted = (struct vsid_counts){ .drops = 0 };
}

const struct vsid_totals *manager_vsid_totals(struct manager *m, bool fresh)
{
	if (!fresh)
		return &m->vsid_totals;
	for (unsigned int i = 0; i < POLICY_MAX_PORTS; i++)
		if (m->ports[i])
			counts_port(m->ports[i]);
	count_ports(m);
	vsid_totals_sweep(&m->vsid_totals, is_known, m);
	return &m->vsid_totals;
}

unsigned int manager_member_queues(const struct manager *m, unsigned int index,
				   struct datapath_queue_stats *ret)
{
	const struct datapath_queue_stats *b = m->member_base[index].queues;

	datapath_member_queues_all(m->datapath, index, ret);
	for (unsigned int q = 0; q < DATAPATH_MEMBER_QUEUES; q++) {
		ret[q].rx.packets -= b[q].rx.packets;
		ret[q].rx.bytes -= b[q].rx.bytes;
		ret[q].tx.packets -= b[q].tx.packets;
		ret[q].tx.bytes -= b[q].tx.bytes;
	}
	return datapath_member_queues(m->datapath, index);
}
