/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The thread that libteam lives in: the library waits for answers of the kernel, also of its own accord. It attaches
 * to the team device it is told, takes in its events at a bounded rate, and hands on a snapshot when that differs.
 */
#ifndef TEAMING_LIBTEAM_WATCH_H
#define TEAMING_LIBTEAM_WATCH_H

#include "teaming/libteam_state.h"

/* libteam, or a test's imitation. All calls are made on the thread; ret_handle is theirs. */
struct tw_libteam_ops {
	/* @return 0 or -errno. May wait for the kernel. */
	int (*attach)(uint32_t if_index, void **ret_handle);
	void (*detach)(void *handle);
	/* Readable when handle() has something to do, which is called only then. */
	int (*fd)(void *handle);
	/* Take in some of what has come. @return 0, or -errno: events were lost. */
	int (*handle)(void *handle);
	/* Ask for everything anew. @return 0 or -errno. */
	int (*refresh)(void *handle);
	/* Fill in all but if_index and error, into zeroed memory. */
	void (*snapshot)(void *handle, struct tw_snapshot *ret);
};
extern const struct tw_libteam_ops tw_libteam_ops;

struct tw_libteam;

/* @return 0 or -errno. */
int tw_libteam_start(const struct tw_libteam_ops *ops, struct tw_libteam **ret);
/* Ends the thread, waits for it. */
void tw_libteam_stop(struct tw_libteam *l);

/* For epoll: readable when tw_libteam_take() has something new. */
int tw_libteam_fd(const struct tw_libteam *l);
/* Which team device: its if_index, 0: none. @return whether that is another than before. */
bool tw_libteam_want(struct tw_libteam *l, uint32_t if_index);
/* The newest snapshot. @return whether it is a new one. */
bool tw_libteam_take(struct tw_libteam *l, struct tw_snapshot *ret);

/*
 * How often events are taken in. teamd's runner loadbalance sets options without end to what they are: when several
 * rounds in a row have brought nothing new, the next one has to wait, for at least four times as long as the last has
 * taken. Links are seen by rtnetlink meanwhile.
 */
struct tw_limiter {
	unsigned int repeats;
	uint64_t next; /* ns: not before */
	uint64_t last; /* ns: end of the last round */
};
#define TW_LIMIT_REPEATS 4
#define TW_LIMIT_NS	 40000000ull
#define TW_LIMIT_CALM	 250000000ull /* without events: what was before is forgotten */
void tw_limiter_round(struct tw_limiter *l, bool differs, uint64_t start, uint64_t end);

#endif
