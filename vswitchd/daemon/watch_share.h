/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who has how many of the places for captures, traces and tests: no user all of them, and all users but root never the
 * last ones. Main thread.
 */
#ifndef DAEMON_WATCH_SHARE_H
#define DAEMON_WATCH_SHARE_H

#include <sys/types.h>

#include "datapath/datapath.h"

#define WATCH_PER_UID 4 /* of a user who is not root */
#define WATCH_ROOT    2 /* places for root alone */

/* Begins as zeroes. */
struct watch_share {
	unsigned int n;
	uid_t uid[WATCH_MAX];
};

/* Take a place. @return 0; -EBUSY: this user has its share, or there is none left, with a reason. */
int watch_share_take(struct watch_share *s, uid_t uid, struct errbuf *err);
void watch_share_give(struct watch_share *s, uid_t uid);

#endif
