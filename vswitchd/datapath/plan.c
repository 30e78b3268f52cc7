/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who polls what. A queue keeps its worker for life (handing a queue over would need two grace periods and buys
 * nothing); members' queues go round over the workers. Main thread.
 */
#include <stdlib.h>

#include "datapath/dp.h"

/* Rx queues that worker `id` polls of the open members; ret NULL: only their number. */
static unsigned int member_queues(const struct datapath *dp, const struct team_view *v, unsigned int id,
				  struct plan_member *ret)
{
	unsigned int n = 0;

	for (unsigned int m = 0; m < v->n_members; m++) {
		unsigned int rxq = v->members[m].dev ? v->members[m].dev->rxq : 0;

		for (unsigned int q = 0; q < rxq; q++) {
			if ((m + q) % dp->n_workers != id)
				continue;
			if (ret)
				ret[n] = (struct plan_member){ .member = (uint8_t)m, .queue = (uint16_t)q,
							       .punt = v->members[m].punt && q == 0 };
			n++;
		}
	}
	return n;
}

int datapath_queue_of_port(const struct datapath *dp, uint16_t port, unsigned int member)
{
	const struct dp_port *p = port < POLICY_MAX_PORTS ? dp->ports[port] : NULL;
	unsigned int n = dp->n_workers;

	return p ? (int)((p->rxqs[0].worker + n - member % n) % n) : -ENOENT;
}

static struct plan *build(struct datapath *dp, unsigned int id)
{
	const struct team_view *v = teaming_view(dp->params.teaming);
	unsigned int n = 0, n_members = member_queues(dp, v, id, NULL);
	struct plan *plan;

	for (unsigned int i = 0; i < POLICY_MAX_PORTS; i++)
		n += dp->ports[i] ? dp->ports[i]->n_queues : 0;
	plan = calloc(1, sizeof(*plan) + n * sizeof(plan->rxqs[0]) + n_members * sizeof(plan->members[0]));
	if (!plan)
		return NULL;
	plan->members = (struct plan_member *)&plan->rxqs[n];
	for (unsigned int i = 0; i < POLICY_MAX_PORTS; i++) {
		struct dp_port *p = dp->ports[i];

		for (unsigned int q = 0; p && q < p->n_queues; q++)
			if (p->rxqs[q].worker == id)
				plan->rxqs[plan->n_rxq++] = &p->rxqs[q];
	}
	plan->n_members = member_queues(dp, v, id, plan->members);
	plan->spread = handover_members(dp, v);
	return plan;
}

int plan_publish(struct datapath *dp)
{
	struct plan *plans[DATAPATH_MAX_WORKERS];
	const struct plan *old[DATAPATH_MAX_WORKERS];

	for (unsigned int i = 0; i < dp->n_workers; i++) {
		plans[i] = build(dp, i);
		if (!plans[i]) {
			while (i--)
				free(plans[i]);
			return -ENOMEM;
		}
	}
	for (unsigned int i = 0; i < dp->n_workers; i++) {
		old[i] = dp->workers[i]->plan;
		rcu_assign(dp->workers[i]->plan, plans[i]);
	}
	if (dp->running)
		rcu_synchronize(); /* at most one turn of a worker; sleepers are off-line */
	for (unsigned int i = 0; i < dp->n_workers; i++)
		free((void *)(uintptr_t)old[i]);
	return 0;
}
