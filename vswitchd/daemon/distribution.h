/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * This host's part in policy that many hosts share. It says what it is, where it has ports and what it has learned,
 * under its lease; it follows the subnets of its ports, those of their routing domains, and the hosts that their
 * records name. What comes has origin manager, is applied at once and kept by the local store, so that a start without
 * the shared one forwards by the last policy known. A lost store changes nothing; when it is back only differences are
 * applied. Main thread.
 */
#ifndef DAEMON_DISTRIBUTION_H
#define DAEMON_DISTRIBUTION_H

#include "daemon/distribution_link.h"
#include "daemon/manager.h"

struct distribution;

struct distribution_info {
	bool enabled, up, synced;
	const char *backend;
	uint64_t since_us;	 /* CLOCK_REALTIME: up since, or stale since; 0: never connected */
	char problem[256];
	unsigned int subscriptions, loading, objects;
	uint64_t applied, refused, removed;
	struct link_stats link;
};

/* After the objects of configuration and local store are set. NULL in *ret: no store is configured. */
int distribution_new(struct manager *m, struct distribution **ret, struct errbuf *err);
struct distribution *distribution_free(struct distribution *d); /* NULL is allowed */

/* A learned record is as it says (or, removed, is not any more). Nothing without a store. @return 0, -ENOMEM. */
int distribution_learned(struct distribution *d, const struct record_spec *rec, bool removed);

/* Why central policy does not take a record of this host; NULL: nothing is known against it. */
const char *distribution_refused(const struct distribution *d, const struct record_spec *rec);
/* Look at the end of this turn who has to be followed and what has to be said. */
void distribution_look(struct distribution *d);

void distribution_info(struct distribution *d, struct distribution_info *ret);

#endif
