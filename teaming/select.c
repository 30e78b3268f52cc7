/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "teaming/select.h"

/* Distance of each member of `mask` from its share by weight, in units of which `one` is a bucket. */
struct balance {
	int64_t off[TEAM_MEMBERS];
	int64_t one;
	uint32_t mask;
};

/* How many buckets of each home lie with each member: [home][member]. */
struct rows {
	uint32_t n[TEAM_MEMBERS][TEAM_MEMBERS];
};

static bool has(uint32_t mask, unsigned int m)
{
	return m < TEAM_MEMBERS && mask >> m & 1;
}

static void weigh(struct balance *bal, const uint8_t *map, const uint32_t *weight, uint32_t mask)
{
	memset(bal, 0, sizeof(*bal));
	bal->mask = mask;
	for (unsigned int m = 0; m < TEAM_MEMBERS; m++)
		bal->one += has(mask, m) ? weight[m] : 0;
	for (unsigned int m = 0; m < TEAM_MEMBERS; m++)
		bal->off[m] = -(int64_t)TEAM_BUCKETS * weight[m];
	for (unsigned int b = 0; b < TEAM_BUCKETS; b++)
		if (map[b] < TEAM_MEMBERS)
			bal->off[map[b]] += bal->one;
}

static unsigned int emptiest(const struct balance *bal, uint32_t mask)
{
	unsigned int best = TEAM_NO_MEMBER;

	for (unsigned int m = 0; m < TEAM_MEMBERS; m++)
		if (has(mask, m) && (best == TEAM_NO_MEMBER || bal->off[m] < bal->off[best]))
			best = m;
	return best;
}

static unsigned int fullest(const struct balance *bal, uint32_t mask)
{
	unsigned int best = TEAM_NO_MEMBER;

	for (unsigned int m = 0; m < TEAM_MEMBERS; m++)
		if (has(mask, m) && (best == TEAM_NO_MEMBER || bal->off[m] > bal->off[best]))
			best = m;
	return best;
}

/*
 * Fairer after one bucket went from -> to? Without such a pair everybody is within one bucket of his share.
 */
static bool improves(const struct balance *bal, unsigned int from, unsigned int to)
{
	return bal->off[from] - bal->off[to] > bal->one;
}

static bool beyond_one(const struct balance *bal)
{
	for (unsigned int m = 0; m < TEAM_MEMBERS; m++)
		if (has(bal->mask, m) && (bal->off[m] > bal->one || bal->off[m] < -bal->one))
			return true;
	return false;
}

/* The home map follows who is configured and with which weight, with as few changes as fairness allows. */
static void update_homes(struct tw_select *s, const uint32_t *weight, uint32_t members)
{
	unsigned int from, to, b;
	struct balance bal;

	for (b = 0; b < TEAM_BUCKETS; b++)
		if (!has(members, s->home[b]))
			s->home[b] = TEAM_NO_MEMBER;
	if (!members)
		return;
	weigh(&bal, s->home, weight, members);
	for (b = 0; b < TEAM_BUCKETS; b++) {
		if (s->home[b] != TEAM_NO_MEMBER)
			continue;
		s->home[b] = (uint8_t)emptiest(&bal, members);
		bal.off[s->home[b]] += bal.one;
	}
	for (;;) {
		from = fullest(&bal, members);
		to = emptiest(&bal, members);
		if (!improves(&bal, from, to))
			break;
		for (b = 0; s->home[b] != from; b++)
			;
		s->home[b] = (uint8_t)to;
		bal.off[from] -= bal.one;
		bal.off[to] += bal.one;
	}
}

static void count_rows(const struct tw_select *s, struct rows *r)
{
	memset(r, 0, sizeof(*r));
	for (unsigned int b = 0; b < TEAM_BUCKETS; b++)
		if (s->home[b] < TEAM_MEMBERS && s->now[b] < TEAM_MEMBERS)
			r->n[s->home[b]][s->now[b]]++;
}

/*
 * Who gets an orphan: whoever is furthest below its share; among equals, whoever holds least of the same
 * home for its weight. Thus the buckets of one dead member are spread evenly too, and their going home
 * leaves the others balanced.
 */
static unsigned int foster(const struct tw_select *s, const struct balance *bal, const uint32_t *row)
{
	unsigned int best = TEAM_NO_MEMBER;

	for (unsigned int m = 0; m < TEAM_MEMBERS; m++) {
		if (!has(bal->mask, m))
			continue;
		if (best == TEAM_NO_MEMBER || bal->off[m] < bal->off[best] ||
		    (bal->off[m] == bal->off[best] &&
		     (uint64_t)row[m] * s->weight[best] < (uint64_t)row[best] * s->weight[m]))
			best = m;
	}
	return best;
}

static void place_orphans(struct tw_select *s, struct balance *bal, struct rows *r)
{
	for (unsigned int b = 0; b < TEAM_BUCKETS; b++) {
		unsigned int m;

		if (s->now[b] != TEAM_NO_MEMBER)
			continue;
		m = foster(s, bal, r->n[s->home[b]]);
		s->now[b] = (uint8_t)m;
		bal->off[m] += bal->one;
		r->n[s->home[b]][m]++;
	}
}

/*
 * A displaced bucket at `from`, of the home of which `from` holds most compared with `to`; TEAM_BUCKETS if
 * none.
 */
static unsigned int displaced(const struct tw_select *s, const struct rows *r, unsigned int from, unsigned int to)
{
	unsigned int best = TEAM_BUCKETS;
	int64_t best_gap = 0;

	for (unsigned int b = 0; b < TEAM_BUCKETS; b++) {
		const uint32_t *row;
		int64_t gap;

		if (s->now[b] != from || s->home[b] == from)
			continue;
		row = r->n[s->home[b]];
		gap = (int64_t)row[from] * s->weight[to] - (int64_t)row[to] * s->weight[from];
		if (best == TEAM_BUCKETS || gap > best_gap) {
			best = b;
			best_gap = gap;
		}
	}
	return best;
}

/*
 * Give `to` a displaced bucket of the fullest member that has one and would be fairer without. @return done.
 */
static bool give(struct tw_select *s, struct balance *bal, struct rows *r, unsigned int to)
{
	uint32_t givers = bal->mask & ~(1u << to);
	unsigned int from, b;

	for (; givers; givers &= ~(1u << from)) {
		from = fullest(bal, givers);
		if (!improves(bal, from, to))
			return false;
		b = displaced(s, r, from, to);
		if (b == TEAM_BUCKETS)
			continue;
		s->now[b] = (uint8_t)to;
		bal->off[from] -= bal->one;
		bal->off[to] += bal->one;
		r->n[s->home[b]][from]--;
		r->n[s->home[b]][to]++;
		return true;
	}
	return false;
}

static void place(struct tw_select *s, uint32_t changed)
{
	struct balance bal;
	struct rows rows;
	uint32_t takers;
	unsigned int to;

	weigh(&bal, s->now, s->weight, s->carries);
	count_rows(s, &rows);
	place_orphans(s, &bal, &rows);
	/* Members that are back help with the buckets of those that are still away. */
	for (takers = changed & s->carries; takers;) {
		to = emptiest(&bal, takers);
		if (!give(s, &bal, &rows, to))
			takers &= ~(1u << to);
	}
	/* Rare, with several members away: these rules alone leave somebody beyond one bucket. */
	for (takers = s->carries; takers && beyond_one(&bal);) {
		to = emptiest(&bal, takers);
		if (!give(s, &bal, &rows, to))
			takers &= ~(1u << to);
	}
}

void tw_select_init(struct tw_select *s)
{
	memset(s, 0, sizeof(*s));
	memset(s->home, TEAM_NO_MEMBER, sizeof(s->home));
	memset(s->now, TEAM_NO_MEMBER, sizeof(s->now));
}

unsigned int tw_select_update(struct tw_select *s, const uint32_t weight[TEAM_MEMBERS], uint32_t carries)
{
	uint32_t members = 0, changed = 0;
	uint8_t before[TEAM_BUCKETS];
	unsigned int b, moved = 0;

	for (unsigned int m = 0; m < TEAM_MEMBERS; m++) {
		members |= weight[m] ? 1u << m : 0;
		changed |= weight[m] != s->weight[m] ? 1u << m : 0;
	}
	memcpy(before, s->now, sizeof(before));
	carries &= members;
	if (changed)
		update_homes(s, weight, members);
	changed |= carries ^ s->carries;
	/* A worker may still send by the member that is no good any more, which has its link but perhaps no address. */
	if (s->carries & ~carries)
		memset(s->patient, 0, sizeof(s->patient));
	memcpy(s->weight, weight, sizeof(s->weight));
	s->carries = carries;

	for (b = 0; b < TEAM_BUCKETS; b++) {
		if (has(carries, s->home[b]))
			s->now[b] = s->home[b];
		else if (!has(carries, s->now[b]))
			s->now[b] = TEAM_NO_MEMBER;
	}
	if (carries)
		place(s, changed);
	for (b = 0; b < TEAM_BUCKETS; b++) {
		if (s->now[b] == before[b])
			continue;
		tw_select_hurry(s, b);
		moved++;
	}
	return moved;
}

void tw_select_hurry(struct tw_select *s, unsigned int bucket)
{
	s->patient[bucket / 64] &= ~team_bucket_bit(bucket);
}

void tw_select_swap(struct tw_select *s, unsigned int a, unsigned int b)
{
	uint8_t member = s->home[a];

	s->home[a] = s->now[a] = s->home[b];
	s->home[b] = s->now[b] = member;
	s->patient[a / 64] |= team_bucket_bit(a);
	s->patient[b / 64] |= team_bucket_bit(b);
}
