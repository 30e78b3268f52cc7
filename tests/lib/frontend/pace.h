/* SPDX-License-Identifier: BSD-3-Clause */
/* How many packets may go out by now. */
#ifndef TESTS_LIB_FRONTEND_PACE_H
#define TESTS_LIB_FRONTEND_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_NS_PER_S	1000000000ULL
#define PACE_BACKLOG_NS 100000000ULL /* held up for longer than this, a generator does not catch up */

struct pace {
	uint64_t rate;	/* per second, 0: without limit */
	uint64_t count; /* all there is to send, 0: no end */
	uint64_t sent;
	uint64_t since; /* ns, start of the reckoning ... */
	uint64_t base;	/* ... and what had been sent then */
};

static inline void pace_restart(struct pace *p, uint64_t now)
{
	p->since = now;
	p->base = p->sent;
}

/* Packets allowed now, at most max. */
static inline unsigned int pace_allowed(struct pace *p, uint64_t now, unsigned int max)
{
	uint64_t due, have;

	if (p->count && p->count - p->sent < max)
		max = (unsigned int)(p->count - p->sent);
	if (!p->rate || !max)
		return max;
	/* one at once, then one each 1/rate; in two parts, so that it never overflows */
	due = (now - p->since) / PACE_NS_PER_S * p->rate +
	      (now - p->since) % PACE_NS_PER_S * p->rate / PACE_NS_PER_S;
	have = p->sent - p->base;
	if (due < have)
		return 0;
	due = due + 1 - have;
	if (due > max && due > PACE_BACKLOG_NS * p->rate / PACE_NS_PER_S)
		pace_restart(p, now);
	return due < max ? (unsigned int)due : max;
}

/* When the next one is due. */
static inline uint64_t pace_deadline(const struct pace *p)
{
	uint64_t n = p->sent - p->base;

	if (p->count && p->sent >= p->count)
		return UINT64_MAX;
	if (!p->rate)
		return 0;
	return p->since + n / p->rate * PACE_NS_PER_S + (n % p->rate * PACE_NS_PER_S + p->rate - 1) / p->rate;
}

static inline bool pace_done(const struct pace *p)
{
	return p->count && p->sent >= p->count;
}

#endif
