/* SPDX-License-Identifier: BSD-3-Clause */
/* The event bus behind manager_emit() and manager_subscribe(), see manager.h. Main thread. */
#ifndef DAEMON_EVENTS_H
#define DAEMON_EVENTS_H

#include <stdarg.h>
#include <stdint.h>

#include "daemon/manager.h"

struct event_bus {
	struct subscription *subs;
	uint64_t number; /* of the last event */
	unsigned int emitting; /* depth: an event may cause another */
};

struct subscription *event_subscribe(struct event_bus *bus, manager_event_fn fn, void *arg);
void event_unsubscribe(struct event_bus *bus, struct subscription *s);
void event_emit(struct event_bus *bus, enum event_id id, va_list pairs);
void event_bus_done(struct event_bus *bus);

#endif
