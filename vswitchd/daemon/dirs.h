/* SPDX-License-Identifier: BSD-3-Clause */
/* Directories, the lock that keeps two daemons out of one run directory, and what is kept in files. Main thread. */
#ifndef DAEMON_DIRS_H
#define DAEMON_DIRS_H

#include <stdint.h>

#include "base/errs.h"
#include "daemon/config_schema.h"

/*
 * Make run-dir, state-dir and socket-dir where they are missing (their parents must exist, except for the default
 * socket-dir's).
 * @return 0 or -errno with a reason.
 */
int dirs_make(const struct settings *s, struct errbuf *err);

/* Lock <run-dir>/lock until the fd is closed. @return the fd, or -EBUSY ("already running as pid N"), -errno. */
int dirs_lock(const char *run_dir, struct errbuf *err);

/* The flow hash's salt from <state-dir>/salt, made at random if there is none. @return 0 or -errno with a reason. */
int dirs_salt(const char *state_dir, uint64_t *ret, struct errbuf *err);

#endif
