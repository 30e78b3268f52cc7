/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which buckets to exchange when members are unequally busy. One busy bucket goes, a quiet one comes back: so each
 * member keeps its number of buckets, and with it everything that select.h promises. Pure functions on one structure.
 */
#ifndef TEAMING_REBALANCE_H
#define TEAMING_REBALANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "teaming/select.h"

#define REBALANCE_MOVES 4 /* exchanges per round */

struct tw_exchange {
	uint8_t busy, quiet; /* buckets */
	uint8_t from, to;    /* members, of the busy one */
};

struct tw_rebalance {
	bool enabled, force;
	uint64_t at;			/* ns, of the last measurement; 0: none */
	uint64_t next;			/* ns, of the next round */
	uint64_t bytes[TEAM_BUCKETS];	/* totals then */
	uint64_t rate[TEAM_BUCKETS];	/* bytes per second, smoothed */
	uint64_t rests[TEAM_BUCKETS];	/* ns: not moved again before */
	struct tw_exchange open[REBALANCE_MOVES]; /* of the last round */
	unsigned int n_open;
	uint64_t exchanged, undone;
};

void tw_rebalance_configure(struct tw_rebalance *r, bool enabled, bool force);

/* Take over totals. @param now ns, monotonic. @return false: the first ones, or too soon after the last. */
bool tw_rebalance_measure(struct tw_rebalance *r, const uint64_t bytes[TEAM_BUCKETS], uint64_t now);

/* Bytes per second of the buckets that a member has now. */
uint64_t tw_rebalance_rate(const struct tw_rebalance *r, const struct tw_select *s, unsigned int member);

/*
 * The best exchange between the busiest and the least busy member that carry. @param speed Mbit/s of each member, 0:
 * takes no part. @return false: all is well, or nothing would be better.
 */
bool tw_rebalance_pick(const struct tw_rebalance *r, const struct tw_select *s, const uint32_t speed[TEAM_MEMBERS],
		       uint64_t now, struct tw_exchange *ret);

#endif
