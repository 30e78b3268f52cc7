/* SPDX-License-Identifier: BSD-3-Clause */
/* What the service manager is told (sd_notify(3)); without one, all of it does nothing. Main thread. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <stdbool.h>
#include <systemd/sd-event.h>

void notify_ready(void);
void notify_status(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void notify_reloading(void);
void notify_stopping(void);

/*
 * Feed the service manager's watchdog (WATCHDOG_USEC) at half its period, but only while `alive` says so. The test is
 * made as often, so that it sees every worker move in between.
 * @param ret_source NULL when no watchdog is wanted. @return 0 or -errno.
 */
int notify_watchdog(sd_event *loop, bool (*alive)(void *arg), void *arg, sd_event_source **ret_source);

#endif
