/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums over what the workers count. Main thread; nothing here writes a line that a worker reads. */
#include <rte_lcore.h>

#include "datapath/dp.h"

static void add_traffic(struct traffic *sum, const struct traffic *t)
{
	sum->packets += stat_read(&t->packets);
	sum->bytes += stat_read(&t->bytes);
}

void datapath_drops(const struct datapath *dp, uint64_t ret[DROP_COUNT])
{
	memset(ret, 0, DROP_COUNT * sizeof(ret[0]));
	for (unsigned int i = 0; i < dp->n_workers; i++)
		for (unsigned int r = 0; r < DROP_COUNT; r++)
			ret[r] += stat_read(&dp->workers[i]->drops.n[r]);
}

void datapath_stages(const struct datapath *dp, uint64_t ret[STAGE_COUNT])
{
	memset(ret, 0, STAGE_COUNT * sizeof(ret[0]));
	for (unsigned int i = 0; i < dp->n_workers; i++)
		for (unsigned int s = 0; s < STAGE_COUNT; s++)
			ret[s] += stat_read(&dp->workers[i]->stage[s]);
}

void datapath_offload(const struct datapath *dp, uint64_t *ret)
{
	memset(ret, 0, OFFLOAD_COUNTERS * sizeof(ret[0]));
	for (unsigned int i = 0; i < dp->n_workers; i++)
		for (unsigned int c = 0; c < OFFLOAD_COUNTERS; c++)
			ret[c] += stat_read(&dp->workers[i]->offload.n[c]);
}

void port_stats(const struct datapath *dp, const struct dp_port *p, struct datapath_port_stats *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (unsigned int q = 0; q < p->n_queues; q++)
		add_traffic(&ret->rx, &p->rxqs[q].rx);
	for (unsigned int i = 0; i < dp->n_workers; i++) {
		add_traffic(&ret->rx, &p->counters[i].injected);
		for (unsigned int q = 0; q < p->n_queues; q++)
			add_traffic(&ret->tx, &p->counters[i].tx[q]);
		for (unsigned int r = 0; r < DROP_COUNT; r++)
			ret->drops[r] += stat_read(&p->counters[i].drops[r]);
	}
}

int datapath_port_stats(const struct datapath *dp, uint16_t port, struct datapath_port_stats *ret)
{
	const struct dp_port *p = port < POLICY_MAX_PORTS ? dp->ports[port] : NULL;

	if (!p)
		return -ENOENT;
	port_stats(dp, p, ret);
	return 0;
}

unsigned int datapath_port_queues(const struct datapath *dp, uint16_t port, struct datapath_queue_stats *ret,
				  unsigned int max)
{
	const struct dp_port *p = port < POLICY_MAX_PORTS ? dp->ports[port] : NULL;
	unsigned int n = p ? RTE_MIN(p->n_queues, max) : 0;

	memset(ret, 0, n * sizeof(*ret));
	for (unsigned int q = 0; q < n; q++) {
		add_traffic(&ret[q].rx, &p->rxqs[q].rx);
		for (unsigned int i = 0; i < dp->n_workers; i++)
			add_traffic(&ret[q].tx, &p->counters[i].tx[q]);
	}
	return n;
}

int datapath_member_stats(const struct datapath *dp, unsigned int member, struct datapath_member_stats *ret)
{
	if (member >= TEAM_MEMBERS)
		return -ENOENT;
	memset(ret, 0, sizeof(*ret));
	for (unsigned int q = 0; q < DATAPATH_MEMBER_QUEUES; q++) {
		add_traffic(&ret->rx, &dp->member_queues[member][q].rx);
		add_traffic(&ret->tx, &dp->member_queues[member][q].tx);
	}
	for (unsigned int i = 0; i < dp->n_workers; i++)
		ret->tx_dropped += stat_read(&dp->workers[i]->member_tx_dropped[member]);
	return 0;
}

void datapath_member_queues_all(const struct datapath *dp, unsigned int member, struct datapath_queue_stats *ret)
{
	memset(ret, 0, DATAPATH_MEMBER_QUEUES * sizeof(*ret));
	for (unsigned int q = 0; member < TEAM_MEMBERS && q < DATAPATH_MEMBER_QUEUES; q++) {
		add_traffic(&ret[q].rx, &dp->member_queues[member][q].rx);
		add_traffic(&ret[q].tx, &dp->member_queues[member][q].tx);
	}
}

unsigned int datapath_member_queues(const struct datapath *dp, unsigned int member)
{
	const struct team_view *v = teaming_view(dp->params.teaming);
	const struct member_dev *dev = member < v->n_members ? v->members[member].dev : NULL;

	return dev ? RTE_MIN(RTE_MAX(dev->rxq, dev->txq), (uint16_t)DATAPATH_MEMBER_QUEUES) : 0;
}

int datapath_worker_stats(const struct datapath *dp, unsigned int worker, struct datapath_worker_stats *ret)
{
	const struct worker *w;

	if (worker >= dp->n_workers)
		return -ENOENT;
	w = dp->workers[worker];
	*ret = (struct datapath_worker_stats){
		.lcore = w->lcore,
		.queues = w->plan->n_rxq,
		.member_queues = w->plan->n_members,
		.turns = stat_read(&w->turns),
		.busy_turns = stat_read(&w->busy_turns),
		.busy_cycles = stat_read(&w->busy_cycles),
		.packets = stat_read(&w->packets),
		.sleeps = stat_read(&w->sleeps),
		.sleep_ns = stat_read(&w->sleep_ns),
		.remote_numa = stat_read(&w->remote_numa),
		.tsc_hz = dp->tsc_hz,
	};
	return 0;
}

void datapath_bucket_bytes(const struct datapath *dp, uint64_t ret[256])
{
	memset(ret, 0, TEAM_BUCKETS * sizeof(ret[0]));
	for (unsigned int i = 0; i < dp->n_workers; i++)
		for (unsigned int b = 0; b < TEAM_BUCKETS; b++)
			ret[b] += stat_read(&dp->workers[i]->bucket_bytes[b]);
}

bool datapath_alive(struct datapath *dp)
{
	bool all = true;

	for (unsigned int i = 0; i < dp->n_workers; i++) {
		uint64_t turns = stat_read(&dp->workers[i]->turns);

		if (turns == dp->alive_turns[i])
			all = false;
		dp->alive_turns[i] = turns;
	}
	return all;
}
