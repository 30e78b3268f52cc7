/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads that do what must not be done on the main loop, one job after the other, and report back to it. portctl and
 * the store are two of them.
 */
#ifndef DAEMON_JOBS_H
#define DAEMON_JOBS_H

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/errs.h"

struct jobq;

/* Embedded in the structure of whoever wants something done; belongs to the queue from submit to `done`. */
struct job {
	struct job *next; /* of the queue */
	/* On the queue's thread. @return 0 or -errno with a reason in job->err. */
	int (*run)(struct job *job);
	/* On the main thread, with job->r set; may free the job and submit others. */
	void (*done)(struct job *job);
	int r;
	struct errbuf err;
};

/*
 * Start a thread called `name` (15 characters at most). @param privileged it keeps the capabilities of the process.
 * Main thread. @return 0 or -errno.
 */
int jobq_new(const char *name, sd_event *loop, bool privileged, struct jobq **ret);

/* Main thread; never fails, never blocks. */
void jobq_submit(struct jobq *q, struct job *job);

/* Jobs submitted whose `done` was not called yet. Main thread. */
unsigned int jobq_pending(const struct jobq *q);

/* Wait until every job, also those submitted meanwhile by `done`, is finished and its `done` called. Main thread. */
void jobq_drain(struct jobq *q);

/* Drain, end the thread. NULL is allowed. Returns NULL. Main thread. */
struct jobq *jobq_free(struct jobq *q);

#endif
