/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbers (table slots, indices) that were taken out of use but may still be in a worker's hands. They wait
 * in a queue threaded through an array of the owner's, cost nothing each, and come back after a grace period.
 * Main thread.
 */
#ifndef POLICY_GRACE_H
#define POLICY_GRACE_H

#include <stdbool.h>
#include <stdint.h>

#define GRACE_NONE 0xffffffffu

struct grace {
	uint32_t *link; /* link[i] = the number that follows i */
	uint32_t head, tail;
	uint32_t n_ready, n_waiting,
		n_new; /* from the head on: free to use, behind the token, not yet behind one */
	uint64_t token;
};

/* @param link array with an element for every number that will be pushed; the owner keeps it. */
void grace_init(struct grace *g, uint32_t *link);

/* From now on nobody can find i; O(1). */
void grace_push(struct grace *g, uint32_t i);

/*
 * A number whose grace period is over, or GRACE_NONE. O(1), never waits.
 * @param need false: leave a short queue alone. One grace period serves all that queued up, and starting one
 * costs every worker a cache miss, so they are begun for many at once unless somebody is short of numbers.
 */
uint32_t grace_pop(struct grace *g, bool need);

/* Numbers still in the queue. */
static inline uint32_t grace_count(const struct grace *g)
{
	return g->n_ready + g->n_waiting + g->n_new;
}

/*
 * Last resort of an owner that ran out: wait for the workers, bounded, so that the next pops succeed. Reached
 * only when a worker has not passed for the time it takes to change a good part of the table.
 */
void grace_wait(void);

#endif
