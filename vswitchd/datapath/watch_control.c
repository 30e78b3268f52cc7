/* SPDX-License-Identifier: BSD-3-Clause */
/* Watches begin and end. Main thread. */
#include <stdlib.h>
#include <time.h>
#include <rte_cycles.h>

#include "base/cleanup.h"
#include "datapath/watch_private.h"

static_assert(WATCH_MAX <= 8, "a bit of pkt_meta.watchers each");
static_assert(WATCH_RINGS_MAX > DATAPATH_MAX_WORKERS, "one per worker");

unsigned int datapath_watch_rings(const struct datapath *dp)
{
	return dp->n_workers;
}

static uint64_t realtime_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* What a filter needs to look at, so that workers need not ask each field. */
static void prepare_filter(struct watch_filter *f)
{
	f->needs_parse = f->protocol != PROTO_ANY || f->port_number || ip_is_set(&f->address) ||
			 ip_is_set(&f->source) || ip_is_set(&f->destination) || ip_is_set(&f->provider_address);
	f->needs_headers = f->needs_parse || !mac_is_zero(&f->mac);
}

struct watch *watch_new(const struct datapath *dp, const struct watch_spec *spec, unsigned int n_ends)
{
	struct watch_memory *mem = spec->memory;
	struct watch *w;

	if (posix_memalign((void **)&w, 64, sizeof(*w) + (dp->n_workers + 1) * sizeof(w->ends[0])))
		return NULL;
	memset(w, 0, sizeof(*w) + (dp->n_workers + 1) * sizeof(w->ends[0]));
	w->spec = *spec;
	prepare_filter(&w->spec.filter);
	*mem = (struct watch_memory){ .magic = WATCH_MAGIC, .n_rings = n_ends, .ring_size = spec->ring_size,
				      .tsc_hz = dp->tsc_hz, .tsc = rte_rdtsc(), .realtime_ns = realtime_ns() };
	for (unsigned int i = 0; i < n_ends; i++)
		w->ends[i].writer = (struct watch_writer){ .ring = watch_ring_of(mem, i, spec->ring_size),
							   .size = spec->ring_size };
	return w;
}

static bool sound(const struct watch_spec *s)
{
	return s->memory && s->ring_size >= WATCH_RING_MIN && s->ring_size <= WATCH_RING_MAX &&
	       (s->ring_size & (s->ring_size - 1)) == 0 && s->snap <= s->ring_size / 4;
}

/* Publish a table; the old one is freed when nobody reads it. */
static void replace(struct datapath *dp, const struct watch_table *t)
{
	void *old = (void *)(uintptr_t)dp->watches;

	rcu_assign(dp->watches, t);
	if (!old || (dp->running && rcu_defer(free, old) == 0))
		return;
	if (dp->running)
		rcu_synchronize();
	free(old);
}

/* Of watches that have ended there may be as many as of those that are on: then they are waited for. */
static uint8_t take_slot(struct datapath *dp)
{
	uint8_t slot = 0;

	if (dp->watch_slots == UINT8_MAX)
		rcu_reclaim(1);
	while (dp->watch_slots & 1u << slot)
		slot++;
	dp->watch_slots |= (uint8_t)(1u << slot);
	return slot;
}

int datapath_watch_start(struct datapath *dp, const struct watch_spec *spec, struct watch **ret, struct errbuf *err)
{
	struct watch_table *t;
	struct watch *w;

	if (!sound(spec))
		return err_set(err, EINVAL, "ring size or snap length is out of bounds");
	if (dp->watches && dp->watches->n == WATCH_MAX)
		return err_set(err, EBUSY, "%u captures, traces and tests are running: no more at the same time",
			       WATCH_MAX);
	t = calloc(1, sizeof(*t));
	w = t ? watch_new(dp, spec, dp->n_workers) : NULL;
	if (!w) {
		free(t);
		return err_set(err, ENOMEM, "out of memory");
	}
	if (dp->watches)
		*t = *dp->watches;
	w->slot = take_slot(dp);
	t->list[t->n++] = w;
	replace(dp, t);
	*ret = w;
	return 0;
}

/* Workers read them while we write: either value is right then, and the index has no new owner yet. */
static void forget(struct watch_spec *s, uint16_t port, uint8_t member)
{
	if (port != PORT_NONE && s->filter.port == port)
		__atomic_store_n(&s->filter.port, (uint16_t)WATCH_PORT_GONE, __ATOMIC_RELAXED);
	if (port != PORT_NONE && s->echo.port == port)
		__atomic_store_n(&s->echo.port, (uint16_t)WATCH_PORT_GONE, __ATOMIC_RELAXED);
	if (member != TEAM_NO_MEMBER && s->filter.member == member)
		__atomic_store_n(&s->filter.member, (uint8_t)WATCH_MEMBER_GONE, __ATOMIC_RELAXED);
}

void datapath_watch_forget(struct datapath *dp, uint16_t port, uint8_t member)
{
	static_assert(POLICY_MAX_PORTS <= WATCH_PORT_GONE && TEAM_MEMBERS <= WATCH_MEMBER_GONE, "no index");

	for (unsigned int i = 0; dp->watches && i < dp->watches->n; i++)
		forget(&dp->watches->list[i]->spec, port, member);
}

/* Nobody sees it any more. */
static void ended(void *arg)
{
	struct watch *w = arg;

	w->end.dp->watch_slots &= (uint8_t)~(1u << w->slot);
	if (w->end.done)
		w->end.done(w->end.arg);
	free(w->end.table);
	free(w);
}

static void take_out(struct watch_table *t, const struct watch *w)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < t->n; i++)
		if (t->list[i] != w)
			t->list[n++] = t->list[i];
	t->n = n;
}

/* In place, while nobody reads it: ending must not need memory. */
static void stop_now(struct datapath *dp, struct watch *w, struct watch_table *t)
{
	rcu_assign(dp->watches, NULL);
	if (dp->running)
		rcu_synchronize();
	take_out(t, w);
	if (t->n)
		rcu_assign(dp->watches, t);
	else
		w->end.table = t;
	ended(w);
}

void datapath_watch_stop(struct datapath *dp, struct watch *w, void (*done)(void *arg), void *arg)
{
	struct watch_table *old = (struct watch_table *)(uintptr_t)dp->watches, *t;

	if (!w)
		return;
	w->end.dp = dp;
	w->end.done = done;
	w->end.arg = arg;
	t = dp->running ? malloc(sizeof(*t)) : NULL;
	if (!t) {
		stop_now(dp, w, old);
		return;
	}
	*t = *old;
	take_out(t, w);
	if (!t->n)
		free(TAKE(t));
	rcu_assign(dp->watches, t);
	w->end.table = old;
	if (rcu_defer(ended, w) == 0)
		return;
	rcu_synchronize();
	ended(w);
}
