/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "base/log.h"
#include "base/tick.h"
#include "daemon/notify.h"

void notify_ready(void)
{
	sd_notify(0, "READY=1");
}

void notify_status(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sd_notifyf(0, "STATUS=%s", text);
}

void notify_reloading(void)
{
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, tick_ns() / 1000);
}

void notify_stopping(void)
{
	sd_notify(0, "STOPPING=1");
}

struct watchdog {
	bool (*alive)(void *arg);
	void *arg;
	uint64_t period_us;
	bool stuck; /* said so already */
};

static int on_watchdog(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct watchdog *w = userdata;
	uint64_t now;
	int r;

	if (w->alive(w->arg)) {
		sd_notify(0, "WATCHDOG=1");
		w->stuck = false;
	} else if (!w->stuck) {
		log_error("a worker does not move: the watchdog is not fed");
		w->stuck = true;
	}
	r = sd_event_now(sd_event_source_get_event(s), CLOCK_MONOTONIC, &now);
	if (r >= 0)
		r = sd_event_source_set_time(s, now + w->period_us);
	return r < 0 ? r : sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static void watchdog_free(void *userdata)
{
	free(userdata);
}

int notify_watchdog(sd_event *loop, bool (*alive)(void *arg), void *arg, sd_event_source **ret_source)
{
	struct watchdog *w;
	uint64_t usec = 0;
	int r = sd_watchdog_enabled(0, &usec);

	*ret_source = NULL;
	if (r <= 0)
		return r;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	*w = (struct watchdog){ .alive = alive, .arg = arg, .period_us = usec / 2 };
	r = sd_event_add_time_relative(loop, ret_source, CLOCK_MONOTONIC, w->period_us, 0, on_watchdog, w);
	if (r < 0) {
		free(w);
		return r;
	}
	sd_event_source_set_destroy_callback(*ret_source, watchdog_free);
	sd_event_source_set_description(*ret_source, "watchdog");
	return 0;
}
