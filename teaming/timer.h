/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One-shot timers in a heap. Time is given by the caller, so that tests own the clock. One thread (or lock)
 * per heap.
 */
#ifndef TEAMING_TIMER_H
#define TEAMING_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TW_NEVER UINT64_MAX

struct tw_timer {
	uint64_t at;	   /* ns */
	void (*fn)(struct tw_timer *t, void *arg);
	void *arg;
	size_t place;	   /* 1 + index in the heap, 0: not armed */
};

struct tw_timers {
	struct tw_timer **heap;
	size_t n, space, wanted;
};

static inline void tw_timer_init(struct tw_timer *t, void (*fn)(struct tw_timer *t, void *arg), void *arg)
{
	*t = (struct tw_timer){ .fn = fn, .arg = arg };
}

static inline bool tw_timer_armed(const struct tw_timer *t)
{
	return t->place != 0;
}

/* Make room for n more timers, so that tw_timer_set() cannot fail. @return 0, -ENOMEM. */
int tw_timers_reserve(struct tw_timers *ts, size_t n);
/* Of the owner of n timers that goes away; they are not armed any more. */
void tw_timers_release(struct tw_timers *ts, size_t n);
void tw_timers_free(struct tw_timers *ts);

/* Arm, or move when armed. There must be room (tw_timers_reserve). */
void tw_timer_set(struct tw_timers *ts, struct tw_timer *t, uint64_t at);
void tw_timer_cancel(struct tw_timers *ts, struct tw_timer *t);

/* When the first one is due, or TW_NEVER. */
uint64_t tw_timers_next(const struct tw_timers *ts);

/*
 * Run what is due at `now`, the earliest first. A function may arm and cancel any timer; at most `max` run,
 * so that a function which arms itself in the past cannot hold the caller. @return how many ran.
 */
unsigned int tw_timers_run(struct tw_timers *ts, uint64_t now, unsigned int max);

#endif
