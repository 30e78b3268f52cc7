/* SPDX-License-Identifier: BSD-3-Clause */
/* Which buckets are exchanged, and when. HNV row 64. */
#include "world.h"

#define GBIT (1000 * 1000 * 1000ull / 8) /* bytes per second */

static struct world w;
static uint64_t bytes[TEAM_BUCKETS], rate[TEAM_BUCKETS], waiting[TEAM_BUCKETS / 64];

static void start(unsigned int members, uint32_t speed)
{
	memset(bytes, 0, sizeof(bytes));
	memset(rate, 0, sizeof(rate));
	memset(waiting, 0, sizeof(waiting));
	world_init(&w, members);
	w.config.rebalance = true;
	for (unsigned int m = 0; m < members; m++)
		w.members[m].speed = speed;
	world_ready(&w);
}

static int setup2(void **state)
{
	start(2, 10000);
	return 0;
}

static int setup_unknown(void **state)
{
	start(2, 0);
	for (unsigned int m = 0; m < 2; m++)
		w.core.members[m].speed = 0;
	return 0;
}

static int teardown(void **state)
{
	world_free(&w);
	return 0;
}

static void seconds(unsigned int n)
{
	for (; n; n--) {
		for (unsigned int b = 0; b < TEAM_BUCKETS; b++)
			bytes[b] += rate[b];
		world_run(&w, S_NS);
		tw_traffic(&w.core, bytes, waiting);
		tw_settle(&w.core);
	}
}

static uint8_t of(unsigned int bucket)
{
	return w.view->bucket[bucket];
}

/* The n-th bucket of a member. */
static unsigned int nth(uint8_t member, unsigned int n)
{
	unsigned int b = 0;

	for (; of(b) != member || n; b++)
		n -= of(b) == member;
	return b;
}

static unsigned int count(uint8_t member)
{
	unsigned int n = 0;

	for (unsigned int b = 0; b < TEAM_BUCKETS; b++)
		n += of(b) == member;
	return n;
}

static void two_elephants_separate_within_15_s(void **state)
{
	unsigned int a = nth(0, 3), b = nth(0, 50);

	rate[a] = rate[b] = 4 * GBIT;
	seconds(15);
	assert_int_not_equal(of(a), of(b));
	assert_int_equal(count(0), 128);
	assert_int_equal(world_events(&w, TEAMING_REBALANCE), 1);
	for (unsigned int i = 0; i < TEAM_BUCKETS; i++)
		if (i == a || i == b)
			assert_int_equal(w.view->patient[i / 64] >> i % 64 & 1, of(i) == 1);
	/* That was that. */
	world_forget(&w);
	seconds(60);
	assert_int_equal(world_events(&w, TEAMING_REBALANCE), 0);
}

static void one_elephant_stays(void **state)
{
	unsigned int a = nth(0, 0);

	rate[a] = 9 * GBIT;
	seconds(60);
	assert_int_equal(of(a), 0);
	assert_int_equal(world_events(&w, TEAMING_REBALANCE), 0);
}

static void half_loaded_members_and_small_gaps_are_left_alone(void **state)
{
	unsigned int a = nth(0, 0), b = nth(0, 1), c = nth(0, 2), d = nth(1, 0);

	rate[a] = rate[b] = 49 * GBIT / 20; /* together 49 % */
	seconds(62); /* the next round is far enough for the average to follow */
	rate[a] = rate[b] = 35 * GBIT / 10;
	rate[c] = GBIT;
	rate[d] = 66 * GBIT / 10; /* 14 points below; moving c would help */
	seconds(60);
	assert_int_equal(world_events(&w, TEAMING_REBALANCE), 0);
}

/* Mice: each bucket a little, but all on one member. */
static void at_most_four_go_in_a_round(void **state)
{
	for (unsigned int n = 0; n < 128; n++)
		rate[nth(0, n)] = 9 * GBIT / 128;
	seconds(11);
	assert_int_equal(world_events(&w, TEAMING_REBALANCE), 4);
	seconds(10);
	assert_int_equal(world_events(&w, TEAMING_REBALANCE), 8);
	assert_int_equal(count(0), 128);
}

/* Two elephants of member 0, of which one was moved. @return that one. */
static unsigned int separated(void)
{
	unsigned int a = nth(0, 3), b = nth(0, 50);

	rate[a] = rate[b] = 4 * GBIT;
	seconds(12);
	assert_int_not_equal(of(a), of(b));
	return of(a) == 1 ? a : b;
}

static void a_moved_bucket_rests(void **state)
{
	unsigned int moved = separated();

	/* Now its new member is the busy one, and only moving it would help. */
	memset(rate, 0, sizeof(rate));
	rate[moved] = 4 * GBIT;
	rate[nth(1, 100)] = 4 * GBIT;
	w.core.rebalance.rests[nth(1, 100)] = UINT64_MAX;
	seconds(20);
	assert_int_equal(of(moved), 1);
	seconds(20);
	assert_int_equal(of(moved), 0);
}

static void what_never_pauses_comes_back(void **state)
{
	unsigned int moved = separated();

	waiting[moved / 64] |= UINT64_C(1) << moved % 64;
	seconds(10);
	assert_int_equal(of(moved), 0);
	assert_int_equal(w.core.rebalance.undone, 1);
	world_forget(&w);
	seconds(100);
	assert_true(w.core.rebalance.undone <= 2); /* the other one is tried */
	assert_true(world_events(&w, TEAMING_REBALANCE) <= 2);
}

static void force_does_not_wait_for_ever(void **state)
{
	unsigned int moved;

	w.config.rebalance_force = true;
	world_configure(&w, NULL, 0);
	moved = separated();
	waiting[moved / 64] |= UINT64_C(1) << moved % 64;
	assert_true(w.view->patient[moved / 64] >> moved % 64 & 1);
	seconds(10);
	assert_int_equal(of(moved), 1);
	assert_false(w.view->patient[moved / 64] >> moved % 64 & 1);
}

static void without_speeds_nothing_moves(void **state)
{
	rate[nth(0, 3)] = rate[nth(0, 50)] = 4 * GBIT;
	seconds(60);
	assert_int_equal(world_events(&w, TEAMING_REBALANCE), 0);
}

static void off_means_off(void **state)
{
	w.config.rebalance = false;
	world_configure(&w, NULL, 0);
	rate[nth(0, 3)] = rate[nth(0, 50)] = 4 * GBIT;
	seconds(60);
	assert_int_equal(world_events(&w, TEAMING_REBALANCE), 0);
	assert_int_equal(w.core.rebalance.at, 0);
}

/* A member that goes takes no part; the exchange is not undone over its buckets. */
static void a_member_that_goes_in_between(void **state)
{
	unsigned int moved = separated();

	waiting[moved / 64] |= UINT64_C(1) << moved % 64;
	world_link(&w, 1, false);
	assert_int_equal(of(moved), 0);
	assert_false(w.view->patient[moved / 64] >> moved % 64 & 1);
	seconds(10);
	assert_int_equal(w.core.rebalance.undone, 0);
	world_link(&w, 1, true);
	seconds(5);
	assert_int_equal(of(moved), 1);
}

/* Random loads: whatever is exchanged makes the busiest member less busy, and fairness of buckets stays. */
static void every_exchange_helps(void **state)
{
	uint64_t seed = unit_seed();
	uint32_t speed[TEAM_MEMBERS] = { 0 }, weight[TEAM_MEMBERS] = { 0 };
	unsigned int picked = 0;

	for (unsigned int run = 0; run < 300; run++) {
		unsigned int n = 2 + (unsigned int)unit_below(&seed, 3), before[TEAM_MEMBERS] = { 0 };
		struct tw_rebalance r = { .enabled = true };
		struct tw_exchange x;
		struct tw_select s;

		tw_select_init(&s);
		for (unsigned int m = 0; m < n; m++)
			speed[m] = weight[m] = unit_below(&seed, 2) ? 10000 : 25000;
		for (unsigned int m = n; m < TEAM_MEMBERS; m++)
			speed[m] = weight[m] = 0;
		tw_select_update(&s, weight, UINT32_MAX);
		for (unsigned int b = 0; b < TEAM_BUCKETS; b++) {
			r.rate[b] = unit_below(&seed, 100) ? unit_below(&seed, GBIT / 20) :
							     unit_below(&seed, 8 * GBIT);
			before[s.now[b]]++;
		}
		for (unsigned int i = 0; i < 20 && tw_rebalance_pick(&r, &s, speed, 1, &x); i++, picked++) {
			uint64_t worst = tw_rebalance_rate(&r, &s, x.from) / speed[x.from];

			assert_int_equal(s.now[x.busy], x.from);
			assert_int_equal(s.now[x.quiet], x.to);
			tw_select_swap(&s, x.busy, x.quiet);
			assert_true(tw_rebalance_rate(&r, &s, x.from) / speed[x.from] < worst);
			assert_true(tw_rebalance_rate(&r, &s, x.to) / speed[x.to] < worst);
		}
		for (unsigned int b = 0; b < TEAM_BUCKETS; b++)
			before[s.now[b]]--;
		for (unsigned int m = 0; m < TEAM_MEMBERS; m++)
			assert_int_equal(before[m], 0);
	}
	assert_true(picked > 100);
}

int main(void)
{
#define TEST(f, setup) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(two_elephants_separate_within_15_s, setup2),
		TEST(one_elephant_stays, setup2),
		TEST(half_loaded_members_and_small_gaps_are_left_alone, setup2),
		TEST(at_most_four_go_in_a_round, setup2),
		TEST(a_moved_bucket_rests, setup2),
		TEST(what_never_pauses_comes_back, setup2),
		TEST(force_does_not_wait_for_ever, setup2),
		TEST(without_speeds_nothing_moves, setup_unknown),
		TEST(off_means_off, setup2),
		TEST(a_member_that_goes_in_between, setup2),
		cmocka_unit_test(every_exchange_helps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
