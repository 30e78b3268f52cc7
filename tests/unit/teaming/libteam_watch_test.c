/* SPDX-License-Identifier: BSD-3-Clause */
/* The thread that libteam lives in, with an imitation of the library. */
#include <errno.h>
#include <poll.h>

#include "fake_libteam.h"
#include "unit.h"

static struct tw_libteam *l;

static int setup(void **state)
{
	fake_reset();
	return tw_libteam_start(&fake_libteam_ops, &l);
}

static int teardown(void **state)
{
	tw_libteam_stop(l);
	l = NULL;
	assert_int_equal(fake_handles(), 0); /* none is left behind */
	return 0;
}

static bool news(int ms)
{
	struct pollfd fd = { .fd = tw_libteam_fd(l), .events = POLLIN };

	return poll(&fd, 1, ms) > 0;
}

static struct tw_snapshot take(void)
{
	struct tw_snapshot snap;

	if (!news(5000))
		fail_msg("no snapshot within 5 s");
	assert_true(tw_libteam_take(l, &snap));
	return snap;
}

static void attaches_and_tells_differences(void **state)
{
	struct tw_snapshot snap;

	fake_port(101, true);
	assert_true(tw_libteam_want(l, 7));
	assert_false(tw_libteam_want(l, 7));
	snap = take();
	assert_int_equal(snap.if_index, 7);
	assert_int_equal(snap.n, 1);
	assert_int_equal(snap.ports[0].if_index, 101);
	fake_port(102, false);
	assert_int_equal(take().n, 2);
	fake_repeat(1); /* set, not changed */
	fake_wait_handled();
	assert_false(news(0));
	assert_false(tw_libteam_take(l, &snap));
}

static void follows_another_device(void **state)
{
	tw_libteam_want(l, 7);
	assert_int_equal(take().if_index, 7);
	tw_libteam_want(l, 8);
	while (take().if_index != 8)
		;
	assert_int_equal(fake_handles(), 1);
	tw_libteam_want(l, 0);
	assert_int_equal(take().if_index, 0);
	assert_int_equal(fake_handles(), 0);
}

static void tries_again_and_says_why_not(void **state)
{
	struct tw_snapshot snap;

	fake_attach_error(-EPERM);
	tw_libteam_want(l, 7);
	snap = take();
	assert_int_equal(snap.if_index, 0);
	assert_int_equal(snap.error, -EPERM);
	fake_attach_error(0);
	do
		snap = take();
	while (!snap.if_index);
	assert_int_equal(snap.error, 0);
}

/* What is queued after a loss is older than what the kernel says when it is asked: first the one, then the other. */
static void asks_anew_after_a_loss_and_after_the_rest(void **state)
{
	tw_libteam_want(l, 7);
	take();
	fake_lose(5, 101);
	assert_int_equal(take().n, 1);
	assert_int_equal(fake_refreshes(), 1);
	assert_int_equal(fake_queued_at_refresh(), 0);
}

static void attaches_anew_when_it_cannot_be_asked(void **state)
{
	struct tw_snapshot snap;

	tw_libteam_want(l, 7);
	take();
	fake_refresh_error(-ENODEV);
	fake_lose(1, 0);
	snap = take();
	assert_int_equal(snap.if_index, 0);
	assert_int_equal(snap.error, -ENODEV);
	fake_refresh_error(0);
	assert_int_equal(take().if_index, 7);
}

/* A storm of options that are set to what they are: 25 rounds a second at most, and news in it are not missed. */
static void is_not_kept_busy_by_repetition(void **state)
{
	uint64_t start = tick_ns();
	unsigned int before;

	tw_libteam_want(l, 7);
	take();
	fake_storm(true);
	while (tick_ns() - start < 300000000ull)
		assert_false(news(50));
	before = fake_rounds();
	assert_in_range(before, TW_LIMIT_REPEATS, TW_LIMIT_REPEATS + 300 / 40 + 1);
	fake_port(101, true);
	assert_int_equal(take().n, 1);
	fake_storm(false);
}

static void limiter(void **state)
{
	struct tw_limiter x = { 0 };

	for (unsigned int i = 0; i < TW_LIMIT_REPEATS - 1; i++) {
		tw_limiter_round(&x, false, 1000, 2000);
		assert_int_equal(x.next, 0);
	}
	tw_limiter_round(&x, false, 1000, 2000);
	assert_int_equal(x.next, 2000 + TW_LIMIT_NS);
	/* a round that took long costs a longer pause: a fifth of the time at most */
	tw_limiter_round(&x, false, 0, 20000000);
	assert_int_equal(x.next, 100000000);
	tw_limiter_round(&x, true, 100000000, 120000000);
	assert_int_equal(x.next, 0);
	/* a few now and then are no storm */
	for (uint64_t at = 1000000000; at < 20000000000; at += 1000000000) {
		tw_limiter_round(&x, false, at, at + 1000);
		assert_int_equal(x.next, 0);
	}
	/* a storm whose rounds take long stays one */
	x = (struct tw_limiter){ 0 };
	for (unsigned int i = 0; i < 10; i++)
		tw_limiter_round(&x, false, x.next, x.next + 100000000);
	assert_int_equal(x.repeats, 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(attaches_and_tells_differences),
		TEST(follows_another_device),
		TEST(tries_again_and_says_why_not),
		TEST(asks_anew_after_a_loss_and_after_the_rest),
		TEST(attaches_anew_when_it_cannot_be_asked),
		TEST(is_not_kept_busy_by_repetition),
		cmocka_unit_test(limiter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
