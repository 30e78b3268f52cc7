/* SPDX-License-Identifier: BSD-3-Clause */
/* The invariants of teaming/select.h on random sequences of member changes. */
#include "unit.h"

#include "teaming/select.h"

static const uint32_t equal[] = { 1 };
static const uint32_t speeds[] = { 1000, 2500, 10000, 25000, 40000, 100000 };

struct run {
	struct tw_select s, before;
	uint32_t weight[TEAM_MEMBERS], carries;
	unsigned int n; /* members ever used */
	unsigned int n_moved_again, n_moved;
};

static uint32_t changed_members(const struct run *r)
{
	uint32_t mask = r->s.carries ^ r->before.carries;

	for (unsigned int m = 0; m < TEAM_MEMBERS; m++)
		mask |= r->s.weight[m] != r->before.weight[m] ? 1u << m : 0;
	return mask;
}

static uint32_t bit(uint8_t m)
{
	return m < TEAM_MEMBERS ? 1u << m : 0;
}

static void check_places(const struct run *r)
{
	for (unsigned int b = 0; b < TEAM_BUCKETS; b++) {
		uint8_t now = r->s.now[b], home = r->s.home[b];

		if (!r->s.carries) {
			assert_int_equal(now, TEAM_NO_MEMBER);
			continue;
		}
		assert_true(bit(now) & r->s.carries);
		if (bit(home) & r->s.carries)
			assert_int_equal(now, home);
	}
}

/* @param slack beyond one bucket, in percent of one. */
static void check_fair(const struct run *r, const uint8_t *map, uint32_t mask, unsigned int slack)
{
	uint64_t sum = 0;

	for (unsigned int m = 0; m < TEAM_MEMBERS; m++)
		sum += mask >> m & 1 ? r->weight[m] : 0;
	for (unsigned int m = 0; m < TEAM_MEMBERS; m++) {
		uint64_t count = 0;
		int64_t off;

		for (unsigned int b = 0; b < TEAM_BUCKETS; b++)
			count += map[b] == m;
		if (!(mask >> m & 1)) {
			assert_int_equal(count, 0);
			continue;
		}
		off = (int64_t)(count * sum) - (int64_t)(TEAM_BUCKETS * (uint64_t)r->weight[m]);
		if (llabs(off) * 100 > (int64_t)sum * (100 + slack))
			fail_msg("member %u has %llu buckets, %.2f from its share", m, (unsigned long long)count,
				 (double)off / (double)sum);
	}
}

/*
 * Only buckets of changed members move. The exceptions: one that was not at home, and whose home is away;
 * and, when the configuration changes with unequal weights, one whose home is given to another by rounding.
 */
static void check_moves(struct run *r)
{
	uint32_t changed = changed_members(r);

	for (unsigned int b = 0; b < TEAM_BUCKETS; b++) {
		uint8_t old = r->before.now[b], now = r->s.now[b];

		if (old == now)
			continue;
		r->n_moved++;
		if ((bit(old) | bit(now) | bit(r->s.home[b]) | bit(r->before.home[b])) & changed)
			continue;
		r->n_moved_again++;
		assert_true(r->s.home[b] != r->before.home[b] ||
			    (old != r->before.home[b] && !(bit(r->s.home[b]) & r->s.carries)));
	}
}

static void step(struct run *r, uint32_t carries, unsigned int slack)
{
	uint32_t members = 0;

	r->before = r->s;
	r->carries = carries;
	for (unsigned int m = 0; m < TEAM_MEMBERS; m++)
		members |= r->weight[m] ? 1u << m : 0;
	tw_select_update(&r->s, r->weight, carries);
	check_places(r);
	check_moves(r);
	if (members)
		check_fair(r, r->s.home, members, 0);
	if (carries & members)
		check_fair(r, r->s.now, carries & members, slack);
}

static void begin(struct run *r, uint64_t *seed, const uint32_t *weights, unsigned int n_weights, unsigned int max)
{
	memset(r, 0, sizeof(*r));
	tw_select_init(&r->s);
	r->n = 1 + (unsigned int)unit_below(seed, max);
	for (unsigned int m = 0; m < r->n; m++)
		r->weight[m] = weights[unit_below(seed, n_weights)];
}

/*
 * Sequences of links going and coming, alone and several at once. @return share of moves that were repeated
 * ones.
 */
static double links(const uint32_t *weights, unsigned int n_weights, unsigned int max, bool single, unsigned int slack)
{
	uint64_t seed = unit_seed(), again = 0, moved = 0;

	for (unsigned int run = 0; run < 120; run++) {
		uint8_t home[TEAM_BUCKETS];
		struct run r;

		begin(&r, &seed, weights, n_weights, max);
		step(&r, UINT32_MAX, slack);
		memcpy(home, r.s.home, sizeof(home));
		for (unsigned int i = 0; i < 30; i++) {
			uint32_t carries = r.carries ^ 1u << unit_below(&seed, r.n);

			if (!single && unit_below(&seed, 4) == 0)
				carries ^= (uint32_t)unit_random(&seed);
			step(&r, carries, slack);
			assert_memory_equal(r.s.home, home, sizeof(home));
		}
		step(&r, UINT32_MAX, slack);
		assert_memory_equal(r.s.now, home, sizeof(home));
		again += r.n_moved_again;
		moved += r.n_moved;
	}
	return moved ? (double)again / (double)moved : 0;
}

static void equal_members_single_changes(void **state)
{
	/* Few members, as teams have them: the exception is hardly ever needed. */
	assert_true(links(equal, 1, 4, true, 0) == 0);
	assert_true(links(equal, 1, 8, true, 0) < 0.0001);
	assert_true(links(equal, 1, 32, true, 0) < 0.005);
}

static void equal_members_many_at_once(void **state)
{
	assert_true(links(equal, 1, 32, false, 0) < 0.001);
}

static void members_of_different_speed(void **state)
{
	links(speeds, 3, 4, true, 0);
	links(speeds, 6, 32, true, 50);
	links(speeds, 6, 32, false, 50);
}

/* What rebalancing does in between: two settled buckets change places. */
static void swap(struct run *r, uint64_t *seed)
{
	unsigned int a = (unsigned int)unit_below(seed, TEAM_BUCKETS), b = (unsigned int)unit_below(seed, TEAM_BUCKETS);
	uint8_t of_a = r->s.now[a], of_b = r->s.now[b];

	if (!tw_select_settled(&r->s, a) || !tw_select_settled(&r->s, b))
		return;
	tw_select_swap(&r->s, a, b);
	assert_int_equal(r->s.now[a], of_b);
	assert_int_equal(r->s.now[b], of_a);
	assert_true(r->s.patient[a / 64] >> a % 64 & 1);
	check_places(r);
}

/* An exchange is kept: links that come back find it. */
static void exchanges_in_between(void **state)
{
	uint64_t seed = unit_seed();

	for (unsigned int run = 0; run < 100; run++) {
		uint8_t home[TEAM_BUCKETS];
		struct run r;

		begin(&r, &seed, speeds, 3, 4);
		step(&r, UINT32_MAX, 0);
		for (unsigned int i = 0; i < 30; i++) {
			swap(&r, &seed);
			memcpy(home, r.s.home, sizeof(home));
			step(&r, r.carries ^ 1u << unit_below(&seed, r.n), 0);
			assert_memory_equal(r.s.home, home, sizeof(home));
			for (unsigned int b = 0; b < TEAM_BUCKETS; b++)
				if (r.s.now[b] != r.before.now[b])
					assert_false(r.s.patient[b / 64] >> b % 64 & 1);
			/* A worker may still send by the one it waits to leave, which may be up and have no address. */
			for (unsigned int k = 0; k < TEAM_BUCKETS / 64; k++)
				assert_true(!(r.before.carries & ~r.s.carries) || r.s.patient[k] == 0);
		}
		step(&r, UINT32_MAX, 0);
		assert_memory_equal(r.s.now, home, sizeof(home));
	}
}

/* Members configured, removed, changing speed in between. */
static void configuration_changes(void **state)
{
	uint64_t seed = unit_seed(), again = 0, moved = 0;

	for (unsigned int run = 0; run < 100; run++) {
		struct run r;

		begin(&r, &seed, speeds, 6, 32);
		step(&r, UINT32_MAX, 25);
		r.n_moved = r.n_moved_again = 0;
		for (unsigned int i = 0; i < 30; i++) {
			unsigned int m = (unsigned int)unit_below(&seed, TEAM_MEMBERS);

			if (unit_below(&seed, 3) == 0)
				r.weight[m] = unit_below(&seed, 3) ? speeds[unit_below(&seed, 6)] : 0;
			step(&r, r.carries ^ 1u << m, 25);
		}
		again += r.n_moved_again;
		moved += r.n_moved;
	}
	assert_true(again * 20 < moved);
}

static void a_new_member_takes_its_share_and_no_more(void **state)
{
	struct run r = { .weight = { 1, 1, 1 } };

	tw_select_init(&r.s);
	step(&r, 7, 0);
	r.weight[3] = 1;
	step(&r, 15, 0);
	assert_int_equal(r.n_moved, TEAM_BUCKETS + 64);
}

static void one_member_dies_and_comes_back(void **state)
{
	struct run r = { .weight = { 1, 1 } };

	tw_select_init(&r.s);
	step(&r, 3, 0);
	r.n_moved = 0;
	step(&r, 1, 0);
	assert_int_equal(r.n_moved, 128);
	step(&r, 0, 0);
	step(&r, 3, 0);
	assert_memory_equal(r.s.now, r.s.home, TEAM_BUCKETS);
}

/* It helps with the buckets of those that are still away, to the last one. */
static void one_of_two_comes_back(void **state)
{
	struct run r = { .weight = { 1, 1, 1, 1 } };
	unsigned int n[4] = { 0 };

	tw_select_init(&r.s);
	step(&r, 15, 0);
	step(&r, 12, 0);
	step(&r, 13, 0);
	for (unsigned int b = 0; b < TEAM_BUCKETS; b++)
		n[r.s.now[b]]++;
	for (unsigned int m = 0; m < 4; m++)
		assert_true(m == 1 ? n[m] == 0 : n[m] == 85 || n[m] == 86);
}

static void weights_are_shares(void **state)
{
	struct run r = { .weight = { 10000, 30000 } };
	unsigned int n = 0;

	tw_select_init(&r.s);
	step(&r, 3, 0);
	for (unsigned int b = 0; b < TEAM_BUCKETS; b++)
		n += r.s.now[b] == 0;
	assert_int_equal(n, 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_member_dies_and_comes_back),
		cmocka_unit_test(a_new_member_takes_its_share_and_no_more),
		cmocka_unit_test(one_of_two_comes_back),
		cmocka_unit_test(weights_are_shares),
		cmocka_unit_test(equal_members_single_changes),
		cmocka_unit_test(equal_members_many_at_once),
		cmocka_unit_test(members_of_different_speed),
		cmocka_unit_test(exchanges_in_between),
		cmocka_unit_test(configuration_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
