/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets by lookup record, while somebody wants them: each worker counts in memory of its own, by the place of the
 * record. What a record has is what is counted at its place, less what others had counted there before.
 */
#include <stdlib.h>

#include "datapath/dp.h"

static void counts_free(struct record_counts *c)
{
	if (!c)
		return;
	for (unsigned int i = 0; i < DATAPATH_MAX_WORKERS; i++)
		free(c->of[i]);
	free(c->base);
	free(c);
}

/* What workers write is written once by us: a worker must meet no page fault. */
static struct record_counts *counts_new(const struct datapath *dp)
{
	uint32_t n = policy_record_places(dp->params.policy);
	size_t size = RTE_ALIGN_CEIL(n * sizeof(struct traffic), (size_t)RTE_CACHE_LINE_SIZE);
	struct record_counts *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->n = n;
	c->base = calloc(n, sizeof(c->base[0]));
	for (unsigned int i = 0; i < dp->n_workers; i++) {
		if (!c->base || posix_memalign((void **)&c->of[i], RTE_CACHE_LINE_SIZE, size)) {
			c->of[i] = NULL;
			counts_free(c);
			return NULL;
		}
		memset(c->of[i], 0, size);
	}
	return c;
}

void datapath_record_traffic(const struct datapath *dp, uint32_t place, struct traffic *ret)
{
	const struct record_counts *c = dp->records;

	*ret = (struct traffic){ 0 };
	if (!c || place >= c->n)
		return;
	for (unsigned int i = 0; i < dp->n_workers; i++) {
		ret->packets += stat_read(&c->of[i][place].packets);
		ret->bytes += stat_read(&c->of[i][place].bytes);
	}
	ret->packets -= c->base[place].packets;
	ret->bytes -= c->base[place].bytes;
}

/* A record that gets another MAC keeps its counts. What is under way to the old one meanwhile is not counted. */
static void on_place(void *arg, uint32_t place, uint32_t old)
{
	struct datapath *dp = arg;
	struct traffic had = { 0 }, now, *base = &dp->records->base[place];

	datapath_record_traffic(dp, place, &now);
	if (old != REC_NONE)
		datapath_record_traffic(dp, old, &had);
	if (now.packets != had.packets || now.bytes != had.bytes) /* pages that nobody writes cost nothing */
		*base = (struct traffic){ base->packets + now.packets - had.packets,
					  base->bytes + now.bytes - had.bytes };
}

int datapath_count_records(struct datapath *dp, bool on)
{
	struct record_counts *old = dp->records, *new = NULL;
	int r;

	if (on == (old != NULL))
		return 0;
	if (on) {
		new = counts_new(dp);
		if (!new)
			return -ENOMEM;
	}
	dp->records = new;
	r = knobs_publish_records(dp); /* a grace period: nobody counts in the old ones any more */
	if (r < 0)
		dp->records = old;
	else
		policy_on_record_place(dp->params.policy, on ? on_place : NULL, dp);
	counts_free(r < 0 ? new : old);
	return r;
}

bool datapath_counts_records(const struct datapath *dp)
{
	return dp->records;
}

void record_counts_free(struct datapath *dp)
{
	if (dp->records)
		policy_on_record_place(dp->params.policy, NULL, NULL);
	counts_free(dp->records);
	dp->records = NULL;
}

void record_counts_add(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	const struct record_counts *c = w->knobs->records;
	struct traffic *mine = c->of[w->id]; /* NULL: a dry run */

	for (uint16_t i = 0; mine && i < n; i++) {
		uint8_t verdict = pkt_meta(pkts[i])->verdict;
		uint32_t place = REC_NONE;

		if (verdict == VERDICT_REMOTE || verdict == VERDICT_LOCAL)
			place = policy_record_to(w->dp->params.policy, pkts[i]);
		if (place < c->n)
			traffic_add(&mine[place], 1, pkts[i]->pkt_len);
	}
}
