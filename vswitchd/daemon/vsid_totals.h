/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the ports of each virtual subnet have counted, with those that have left it: a total never gets smaller while
 * the subnet is there. Ports' counts are added as differences. Main thread.
 */
#ifndef DAEMON_VSID_TOTALS_H
#define DAEMON_VSID_TOTALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/stats.h"

struct vsid_counts {
	struct traffic rx, tx; /* from and to guests */
	uint64_t drops;
};

struct vsid_total {
	uint32_t vsid, ports; /* 0: plain; ports: counted by the owner */
	struct vsid_counts counts;
};

/* By VSID. Begins as zeroes. */
struct vsid_totals {
	struct vsid_total *v;
	size_t n, room;
};

/* What is there of a VSID; made if `make`. The address holds until one is made or removed. @return NULL: none. */
struct vsid_total *vsid_total(struct vsid_totals *t, uint32_t vsid, bool make);

/*
 * A port of the VSID has counted `now`. @param seen what it had when it was last asked, set to `now`.
 * @return 0, -ENOMEM: nothing changes, and the difference is added the next time.
 */
int vsid_totals_add(struct vsid_totals *t, uint32_t vsid, struct vsid_counts *seen, const struct vsid_counts *now);

/* Forget those without ports that `keep` does not want. */
void vsid_totals_sweep(struct vsid_totals *t, bool (*keep)(uint32_t vsid, void *arg), void *arg);

void vsid_totals_free(struct vsid_totals *t);

#endif
