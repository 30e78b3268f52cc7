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

int datapath_port_stats(const struct datapath *dp, uint16_t port, struct datapath_port_stats *ret)
{
	const struct dp_port *p = port < POLICY_MAX_PORTS ? dp->ports[port] : NULL;

	if (!p)
		return -ENOENT;
	memset(ret, 0, sizeof(*ret));
	for (unsigned int i = 0; i < dp->n_workers; i++) {
		add_traffic(&ret->rx, &p->counters[i].rx);
		add_traffic(&ret->tx, &p->counters[i].tx);
		for (unsigned int r = 0; r < DROP_COUNT; r++)
			ret->drops[r] += stat_read(&p->counters[i].drops[r]);
	}
	return 0;
}

int datapath_member_stats(const struct datapath *dp, unsigned int member, struct datapath_member_stats *ret)
{
	if (member >= TEAM_MEMBERS)
		return -ENOENT;
	memset(ret, 0, sizeof(*ret));
	for (unsigned int i = 0; i < dp->n_workers; i++) {
		add_traffic(&ret->rx, &dp->workers[i]->member_rx[member]);
		add_traffic(&ret->tx, &dp->workers[i]->member_tx[member]);
		ret->tx_dropped += stat_read(&dp->workers[i]->member_tx_dropped[member]);
	}
	return 0;
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
