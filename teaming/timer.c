/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "teaming/timer.h"

static void put(struct tw_timers *ts, size_t i, struct tw_timer *t)
{
	ts->heap[i] = t;
	t->place = i + 1;
}

static void sift_up(struct tw_timers *ts, size_t i, struct tw_timer *t)
{
	while (i > 0 && ts->heap[(i - 1) / 2]->at > t->at) {
		put(ts, i, ts->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	put(ts, i, t);
}

static void sift_down(struct tw_timers *ts, size_t i, struct tw_timer *t)
{
	size_t child;

	while ((child = 2 * i + 1) < ts->n) {
		if (child + 1 < ts->n && ts->heap[child + 1]->at < ts->heap[child]->at)
			child++;
		if (ts->heap[child]->at >= t->at)
			break;
		put(ts, i, ts->heap[child]);
		i = child;
	}
	put(ts, i, t);
}

int tw_timers_reserve(struct tw_timers *ts, size_t n)
{
	struct tw_timer **heap;

	if (ts->wanted + n > ts->space) {
		size_t space = 2 * (ts->wanted + n);

		heap = realloc(ts->heap, space * sizeof(*heap));
		if (!heap)
			return -ENOMEM;
		ts->heap = heap;
		ts->space = space;
	}
	ts->wanted += n;
	return 0;
}

void tw_timers_release(struct tw_timers *ts, size_t n)
{
	ts->wanted -= n;
}

void tw_timers_free(struct tw_timers *ts)
{
	free(ts->heap);
	*ts = (struct tw_timers){ 0 };
}

void tw_timer_cancel(struct tw_timers *ts, struct tw_timer *t)
{
	size_t i = t->place;
	struct tw_timer *last;

	if (!i--)
		return;
	t->place = 0;
	last = ts->heap[--ts->n];
	if (last == t)
		return;
	if (i > 0 && ts->heap[(i - 1) / 2]->at > last->at)
		sift_up(ts, i, last);
	else
		sift_down(ts, i, last);
}

void tw_timer_set(struct tw_timers *ts, struct tw_timer *t, uint64_t at)
{
	tw_timer_cancel(ts, t);
	if (ts->n == ts->space)
		abort(); /* a missing tw_timers_reserve() is a bug, and a lost timer would be a silent one */
	t->at = at;
	sift_up(ts, ts->n++, t);
}

uint64_t tw_timers_next(const struct tw_timers *ts)
{
	return ts->n ? ts->heap[0]->at : TW_NEVER;
}

unsigned int tw_timers_run(struct tw_timers *ts, uint64_t now, unsigned int max)
{
	unsigned int n = 0;

	while (n < max && tw_timers_next(ts) <= now) {
		struct tw_timer *t = ts->heap[0];

		tw_timer_cancel(ts, t);
		t->fn(t, t->arg);
		n++;
	}
	return n;
}
