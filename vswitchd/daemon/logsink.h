/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where messages go: to the journal, with fields, when standard error is a journal stream; else to standard
 * error with the level in front. DPDK's own messages come here too.
 */
#ifndef DAEMON_LOGSINK_H
#define DAEMON_LOGSINK_H

#include "daemon/manager.h"

/* Install the sink. Main thread, first of all. */
void log_open(void);

/* Lead DPDK's messages here: warnings and worse always, more at debug level. Before rte_eal_init(). 0 or -errno. */
int log_open_dpdk(void);

/* Log an event, with its pairs as journal fields. Main thread. */
void log_event(enum event_id id, const struct event *ev);

/* Is `fd` the stream that JOURNAL_STREAM ("device:inode") names? */
bool log_is_journal(int fd, const char *journal_stream);

#endif
