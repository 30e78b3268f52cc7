/* SPDX-License-Identifier: BSD-3-Clause */
/* Between reload.c (reading and judging) and reload_apply.c. Main thread. */
#ifndef DAEMON_RELOAD_PRIVATE_H
#define DAEMON_RELOAD_PRIVATE_H

#include "daemon/config.h"
#include "daemon/jobs.h"
#include "daemon/manager_private.h"

enum reload_state { RELOAD_PARSING, RELOAD_WAITING, RELOAD_JUDGING, RELOAD_APPLYING };

struct reload {
	struct job job;
	struct manager *m;
	enum reload_state state;
	struct config *config;
	struct config_errors errors;
	manager_done_fn done;
	void *arg;
	struct object_list others[OBJECT_COUNT]; /* not of the configuration, as they were when judging began */
	uint64_t changes;     /* m->changes of that moment */
	unsigned int judged;  /* how often */
	unsigned int pending; /* ports and team on portctl */
	unsigned int added, changed, removed;
	struct object_diff diff[OBJECT_COUNT];
	struct object_list from[OBJECT_COUNT], to[OBJECT_COUNT];
	char *problems; /* what went wrong while applying, one a line */
};

extern const enum object_kind reload_team_kinds[3];

/* The team as it will be: the configuration's, then what was made at run time. @return 0, -ENOMEM. */
int reload_team_lists(struct reload *rl, struct object_list lists[3]);

/* Apply the differences; reload_finish() is called when all of it is done. */
void reload_apply(struct reload *rl);

/* Tell everybody, free. r < 0: refused, nothing was changed. */
void reload_finish(struct reload *rl, int r, const char *text);

#endif
