/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A snapshot of all counters, and its text in OpenMetrics 1.0. Neither knows where the numbers come from nor who gets
 * them: no state, no I/O. One thread at a time per snapshot.
 */
#ifndef DAEMON_METRICS_TEXT_H
#define DAEMON_METRICS_TEXT_H

#include <stddef.h>
#include <stdio.h>

#include "daemon/metrics_list.h"

/* The values of one scope: n structures of its kind. Owned by the snapshot. */
struct metric_values {
	size_t n, room;
	void *v;
};

struct metrics_snapshot {
	const char *version; /* borrowed */
	struct metric_values of[METRIC_SCOPES];
};

/* A family: a row of METRIC_LIST. */
struct metric_family {
	enum metric_scope scope;
	enum metric_type type;
	size_t offset; /* of the uint64_t in the scope's structure */
	const char *name, *unit, *help;
};

extern const struct metric_family metric_families[]; /* ended by name NULL */
extern const char *const metric_type_names[], *const metric_scope_labels[], *const metric_scope_texts[];

/* Room for one more value of a scope, zeroed. @return NULL: no memory. The address holds until the next call. */
void *metrics_add(struct metrics_snapshot *s, enum metric_scope scope);

/* Write the exposition, all scopes but RECORD. @return 0, -EIO. */
int metrics_print(const struct metrics_snapshot *s, FILE *out);

/* Its parts, for who has more than fits a snapshot: what comes before the values of a family, and values. */
void metrics_print_head(const struct metric_family *f, FILE *out);
void metrics_print_values(const struct metrics_snapshot *s, const struct metric_family *f, FILE *out);

void metrics_snapshot_done(struct metrics_snapshot *s);

#endif
