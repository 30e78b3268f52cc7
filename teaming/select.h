/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 256 buckets over the members of the team. Two maps: `home` says where a bucket belongs while all is well,
 * `now` where it is. Pure functions on one structure.
 *
 * After each tw_select_update() (the unit test checks it on random sequences):
 *   every bucket is on a member that carries, if there is one;
 *   a bucket whose home carries is at home: when all are back, the original map is back;
 *   each carrying member has its share by weight within one bucket (with very unequal weights, where a share is
 *   itself less than a bucket, within one and a half: found by random sequences, 1.27 at most, not proven);
 *   a bucket moves only if its home, its old or its new member is one that changed. The exception: with several
 *   members away these rules can contradict each other; then a bucket that is away from home anyway moves once more.
 * tw_select_swap() keeps the first three: it exchanges two buckets.
 */
#ifndef TEAMING_SELECT_H
#define TEAMING_SELECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/object.h"
#include "teaming/teaming.h"

struct tw_select {
	uint8_t home[TEAM_BUCKETS];
	uint8_t now[TEAM_BUCKETS];
	uint32_t weight[TEAM_MEMBERS]; /* 0: not of the team */
	uint32_t carries;	       /* mask */
	uint64_t patient[TEAM_BUCKETS / 64]; /* bit: exchanged last, and nobody ceased to carry since: no hurry */
};

void tw_select_init(struct tw_select *s);

/*
 * Follow a change. @param weight share of each member (speed in Mbit/s, or 1 for all), 0: not configured.
 * @param carries mask of the members that may carry traffic now; others' bits are ignored where weight is 0.
 * @return number of buckets whose current member changed.
 */
unsigned int tw_select_update(struct tw_select *s, const uint32_t weight[TEAM_MEMBERS], uint32_t carries);

/* May the bucket be exchanged: is it at home? */
static inline bool tw_select_settled(const struct tw_select *s, unsigned int bucket)
{
	return s->now[bucket] == s->home[bucket] && s->now[bucket] != TEAM_NO_MEMBER;
}

/* Exchange the members of two settled buckets, at home and now. */
void tw_select_swap(struct tw_select *s, unsigned int a, unsigned int b);
/* The last exchange of a bucket has waited long enough. */
void tw_select_hurry(struct tw_select *s, unsigned int bucket);

#endif
