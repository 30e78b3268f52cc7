/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counters with one writer each (the worker that owns them); readers sum over the owners.
 */
#ifndef BASE_STATS_H
#define BASE_STATS_H

#include <stdint.h>

/* Traffic of one direction of one queue. One writer: the worker that serves the queue. */
struct traffic {
	uint64_t packets;
	uint64_t bytes;
};

static inline void stat_add(uint64_t *c, uint64_t n)
{
	__atomic_store_n(c, *c + n, __ATOMIC_RELAXED);
}

static inline uint64_t stat_read(const uint64_t *c)
{
	return __atomic_load_n(c, __ATOMIC_RELAXED);
}

static inline void traffic_add(struct traffic *t, uint32_t packets, uint64_t bytes)
{
	stat_add(&t->packets, packets);
	stat_add(&t->bytes, bytes);
}

#endif
