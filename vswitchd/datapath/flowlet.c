/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bucket that is moved for balance changes members in a pause of its traffic that is longer than what the two ways
 * can differ by: nothing is overtaken (HNV row 64). Each worker for itself, because a flow has one worker. A bucket
 * whose member is gone moves at once.
 */
#include <rte_cycles.h>

#include "datapath/dp.h"

/* 1 ms on the wire; a packet leaves at the end of its turn, which may take a quarter of that. */
#define PAUSE_US 1250

static void set_lag(struct worker *w, unsigned int b, bool lags)
{
	uint64_t bit = team_bucket_bit(b);
	uint64_t word = w->lags[b / 64];

	__atomic_store_n(&w->lags[b / 64], lags ? word | bit : word & ~bit, __ATOMIC_RELAXED);
}

/* Any thread. */
static bool lags(const struct worker *w, unsigned int b)
{
	return stat_read(&w->lags[b / 64]) & team_bucket_bit(b);
}

void flowlet_follow(struct worker *w)
{
	const struct team_view *v = w->view;

	w->view_gen = v->gen;
	for (unsigned int b = 0; b < TEAM_BUCKETS; b++) {
		uint8_t now = w->bucket[b];
		bool good = now < v->n_members && v->members[now].usable;

		if (now != v->bucket[b] && team_bucket_in(v->patient, b) && good) {
			if (!lags(w, b))
				__atomic_store_n(&w->bucket_seen[b], rte_rdtsc(), __ATOMIC_RELAXED);
			set_lag(w, b, true);
			continue;
		}
		w->bucket[b] = v->bucket[b];
		set_lag(w, b, false);
	}
}

void flowlet_packet(struct worker *w, unsigned int b)
{
	uint64_t now = rte_rdtsc();

	if (now - w->bucket_seen[b] >= w->dp->tsc_hz / 1000000 * PAUSE_US) {
		w->bucket[b] = w->view->bucket[b];
		set_lag(w, b, false);
	}
	__atomic_store_n(&w->bucket_seen[b], now, __ATOMIC_RELAXED);
}

void datapath_buckets_waiting(const struct datapath *dp, uint64_t ret[TEAM_BUCKETS / 64])
{
	uint64_t now = rte_rdtsc(), pause = dp->tsc_hz / 1000000 * PAUSE_US;

	memset(ret, 0, TEAM_BUCKETS / 8);
	for (unsigned int i = 0; i < dp->n_workers; i++) {
		const struct worker *w = dp->workers[i];

		for (unsigned int b = 0; b < TEAM_BUCKETS; b++)
			if (lags(w, b) && now - stat_read(&w->bucket_seen[b]) < pause)
				ret[b / 64] |= team_bucket_bit(b);
	}
}
