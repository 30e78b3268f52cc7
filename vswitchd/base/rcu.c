/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <rte_pause.h>

#include "base/rcu.h"
#include "base/tick.h"

/* A reader turns in microseconds; who has not passed after this many looks is probably not running now. */
#define SPINS 256

struct deferred {
	struct deferred *next;
	uint64_t token;
	void (*fn)(void *arg);
	void *arg;
};

struct rte_rcu_qsbr *rcu_qsbr;

/* Oldest first, so tokens ascend: the first that has to wait ends the search. Main thread only. */
static struct deferred *deferred_head, **deferred_tail = &deferred_head;

int rcu_init(void)
{
	size_t size = rte_rcu_qsbr_get_memsize(RCU_MAX_THREADS);
	struct rte_rcu_qsbr *v = aligned_alloc(RTE_CACHE_LINE_SIZE, size);

	if (!v)
		return -ENOMEM;
	rte_rcu_qsbr_init(v, RCU_MAX_THREADS);
	rcu_qsbr = v;
	return 0;
}

void rcu_fini(void)
{
	if (!rcu_qsbr)
		return;
	rcu_reclaim(1);
	free(rcu_qsbr);
	rcu_qsbr = NULL;
}

int rcu_register(unsigned int id)
{
	if (id >= RCU_MAX_THREADS)
		return -EINVAL;
	rte_rcu_qsbr_thread_register(rcu_qsbr, id);
	rte_rcu_qsbr_thread_online(rcu_qsbr, id);
	return 0;
}

void rcu_unregister(unsigned int id)
{
	if (id >= RCU_MAX_THREADS)
		return;
	rte_rcu_qsbr_thread_offline(rcu_qsbr, id);
	rte_rcu_qsbr_thread_unregister(rcu_qsbr, id);
}

/* Wait for the token; deadline_ns 0: for ever. */
static int wait_for(uint64_t token, uint64_t deadline_ns)
{
	static const struct timespec nap = { .tv_nsec = 20000 };
	unsigned int i;

	for (i = 0; !rte_rcu_qsbr_check(rcu_qsbr, token, false); i++) {
		if (i < SPINS) {
			rte_pause();
			continue;
		}
		if (deadline_ns && tick_ns() >= deadline_ns)
			return -ETIMEDOUT;
		/* The reader may need this very CPU. */
		nanosleep(&nap, NULL);
	}
	return 0;
}

void rcu_synchronize(void)
{
	wait_for(rte_rcu_qsbr_start(rcu_qsbr), 0);
}

int rcu_synchronize_timeout(uint64_t timeout_us)
{
	return wait_for(rte_rcu_qsbr_start(rcu_qsbr), tick_ns() + timeout_us * 1000);
}

int rcu_defer(void (*fn)(void *arg), void *arg)
{
	struct deferred *d = malloc(sizeof(*d));

	if (!d)
		return -ENOMEM;
	*d = (struct deferred){ .token = rte_rcu_qsbr_start(rcu_qsbr), .fn = fn, .arg = arg };
	*deferred_tail = d;
	deferred_tail = &d->next;
	return 0;
}

unsigned int rcu_reclaim(int wait)
{
	struct deferred *d;
	unsigned int n = 0;

	while ((d = deferred_head)) {
		if (wait)
			wait_for(d->token, 0);
		else if (!rte_rcu_qsbr_check(rcu_qsbr, d->token, false))
			break;
		/* Unlinked before the call: it may defer more. */
		deferred_head = d->next;
		if (!deferred_head)
			deferred_tail = &deferred_head;
		d->fn(d->arg);
		free(d);
		n++;
	}
	return n;
}
