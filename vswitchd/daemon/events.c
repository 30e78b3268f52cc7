/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "daemon/events.h"
#include "daemon/logsink.h"

#define X(sym, name, keys, text) name,
const char *const event_names[EVENT_COUNT] = { EVENT_LIST(X) };
#undef X
#define X(sym, name, keys, text) keys,
const char *const event_keys[EVENT_COUNT] = { EVENT_LIST(X) };
#undef X
#define X(sym, name, keys, text) text,
const char *const event_texts[EVENT_COUNT] = { EVENT_LIST(X) };
#undef X

struct subscription {
	struct subscription *next;
	manager_event_fn fn; /* NULL: unsubscribed during an event, freed after it */
	void *arg;
};

struct subscription *event_subscribe(struct event_bus *bus, manager_event_fn fn, void *arg)
{
	struct subscription *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->fn = fn;
	s->arg = arg;
	s->next = bus->subs;
	bus->subs = s;
	return s;
}

/* Free the subscriptions that were ended while nobody was looking at the list. */
static void sweep(struct event_bus *bus)
{
	struct subscription **at = &bus->subs, *s;

	while ((s = *at)) {
		if (s->fn) {
			at = &s->next;
		} else {
			*at = s->next;
			free(s);
		}
	}
}

void event_unsubscribe(struct event_bus *bus, struct subscription *s)
{
	if (!s)
		return;
	s->fn = NULL;
	if (!bus->emitting)
		sweep(bus);
}

static uint64_t realtime_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void event_emit(struct event_bus *bus, enum event_id id, va_list pairs)
{
	struct event ev = { .number = ++bus->number, .time_us = realtime_us(), .name = event_names[id] };
	struct subscription *s;
	const char *key;

	while (ev.n < EVENT_PAIRS && (key = va_arg(pairs, const char *))) {
		ev.pairs[ev.n].key = key;
		ev.pairs[ev.n++].value = va_arg(pairs, const char *);
	}
	log_event(id, &ev);
	bus->emitting++;
	/* New subscriptions go to the front of the list: they start with the next event. */
	for (s = bus->subs; s; s = s->next)
		if (s->fn)
			s->fn(&ev, s->arg);
	if (--bus->emitting == 0)
		sweep(bus);
}

void event_bus_done(struct event_bus *bus)
{
	struct subscription *s;

	for (s = bus->subs; s; s = s->next)
		s->fn = NULL;
	sweep(bus);
}
