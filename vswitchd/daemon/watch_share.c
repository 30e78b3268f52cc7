/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "daemon/watch_share.h"

int watch_share_take(struct watch_share *s, uid_t uid, struct errbuf *err)
{
	unsigned int mine = 0, others = 0;

	for (unsigned int i = 0; i < s->n; i++) {
		mine += s->uid[i] == uid;
		others += s->uid[i] != 0;
	}
	if (uid != 0 && mine >= WATCH_PER_UID)
		return err_set(err, EBUSY, "%u captures, traces and tests of yours are running: no more at a time",
			       mine);
	if (s->n == WATCH_MAX || (uid != 0 && others >= WATCH_MAX - WATCH_ROOT))
		return err_set(err, EBUSY, "%u captures, traces and tests are running: no more at the same time", s->n);
	s->uid[s->n++] = uid;
	return 0;
}

void watch_share_give(struct watch_share *s, uid_t uid)
{
	for (unsigned int i = 0; i < s->n; i++) {
		if (s->uid[i] == uid) {
			s->uid[i] = s->uid[--s->n];
			return;
		}
	}
}
