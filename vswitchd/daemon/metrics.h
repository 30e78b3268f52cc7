/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The metrics endpoint: HTTP on a unix socket in the run directory and, where the configuration says so, on TCP; served
 * by the main loop. METRIC_LIST is what it tells.
 *
 * Trust: whoever can connect, over TCP; over the unix socket only peers that may read by the control socket's rules.
 * Counters of records have customers' addresses in their labels: over the unix socket only.
 * Bounds: 16 connections of each kind, 16 KiB of memory a connection, 30 seconds for all of a connection, one answer
 * a connection, a new snapshot five times a second at most.
 */
#ifndef DAEMON_METRICS_H
#define DAEMON_METRICS_H

#include "base/errs.h"

struct MHD_Response;

struct manager;
struct metrics;
struct metrics_snapshot;

/*
 * Listen as the settings say; NULL in *ret when they want nothing. Where that is not possible (yet) it is told to the
 * log and tried again every few seconds. Main thread.
 * @return 0 or -errno with a reason: no memory.
 */
int metrics_new(struct manager *m, struct metrics **ret, struct errbuf *err);

/* The groups of `control` may have changed. NULL is allowed. Main thread. */
void metrics_reload(struct metrics *x);

/* NULL is allowed. Returns NULL. */
struct metrics *metrics_free(struct metrics *x);

/*
 * metrics_snapshot.c: read all counters; writes nothing that a worker reads or writes. Main thread.
 * @param ret empty or zeroed; the caller ends it with metrics_snapshot_done(). @return 0, -ENOMEM.
 */
int metrics_take(struct manager *m, struct metrics_snapshot *ret);

/*
 * metrics_records.c: the counters of all records, made piece by piece as they are sent: memory does not grow with their
 * number, and the loop goes on between pieces. Main thread. @return NULL: no memory.
 */
struct MHD_Response *metrics_records(struct manager *m);

#endif
