/* SPDX-License-Identifier: BSD-3-Clause */
#include "unit.h"

#include "teaming/timer.h"

#define TIMERS 200

static struct tw_timers ts;
static struct tw_timer timers[TIMERS];
static int fired[TIMERS], order[100000];
static unsigned int n_fired;

static void note(struct tw_timer *t, void *arg)
{
	fired[t - timers]++;
	order[n_fired++] = (int)(t - timers);
}

static void again(struct tw_timer *t, void *arg)
{
	note(t, arg);
	tw_timer_set(&ts, t, 0);
}

static int setup(void **state)
{
	memset(fired, 0, sizeof(fired));
	n_fired = 0;
	for (unsigned int i = 0; i < TIMERS; i++)
		tw_timer_init(&timers[i], note, NULL);
	return tw_timers_reserve(&ts, TIMERS);
}

static int teardown(void **state)
{
	tw_timers_free(&ts);
	return 0;
}

static void runs_what_is_due_in_order(void **state)
{
	tw_timer_set(&ts, &timers[0], 30);
	tw_timer_set(&ts, &timers[1], 10);
	tw_timer_set(&ts, &timers[2], 20);
	assert_int_equal(tw_timers_next(&ts), 10);
	assert_int_equal(tw_timers_run(&ts, 20, 100), 2);
	assert_int_equal(order[0], 1);
	assert_int_equal(order[1], 2);
	assert_false(tw_timer_armed(&timers[1]));
	assert_true(tw_timer_armed(&timers[0]));
	assert_int_equal(tw_timers_next(&ts), 30);
}

static void setting_again_moves_and_cancel_forgets(void **state)
{
	tw_timer_set(&ts, &timers[0], 10);
	tw_timer_set(&ts, &timers[0], 50);
	tw_timer_set(&ts, &timers[1], 20);
	tw_timer_cancel(&ts, &timers[1]);
	tw_timer_cancel(&ts, &timers[1]);
	assert_int_equal(tw_timers_run(&ts, 49, 100), 0);
	assert_int_equal(tw_timers_run(&ts, 50, 100), 1);
	assert_int_equal(tw_timers_next(&ts), TW_NEVER);
}

static void a_timer_that_arms_itself_in_the_past_is_bounded(void **state)
{
	timers[0].fn = again;
	tw_timer_set(&ts, &timers[0], 0);
	assert_int_equal(tw_timers_run(&ts, 100, 7), 7);
}

/* Oracle: a plain array searched for its smallest element. */
static void agrees_with_a_list(void **state)
{
	uint64_t seed = unit_seed(), at[TIMERS], now = 0;

	for (unsigned int i = 0; i < TIMERS; i++)
		at[i] = TW_NEVER;
	for (unsigned int step = 0; step < 20000; step++) {
		unsigned int i = (unsigned int)unit_below(&seed, TIMERS);
		uint64_t next = TW_NEVER;

		switch (unit_below(&seed, 4)) {
		case 0:
		case 1:
			at[i] = now + unit_below(&seed, 1000);
			tw_timer_set(&ts, &timers[i], at[i]);
			break;
		case 2:
			at[i] = TW_NEVER;
			tw_timer_cancel(&ts, &timers[i]);
			break;
		default:
			now += unit_below(&seed, 20);
			n_fired = 0;
			tw_timers_run(&ts, now, UINT32_MAX);
			for (unsigned int k = 0; k < n_fired; k++) {
				assert_true(at[order[k]] <= now);
				if (k)
					assert_true(at[order[k - 1]] == TW_NEVER || at[order[k - 1]] <= at[order[k]]);
			}
			for (unsigned int k = 0; k < n_fired; k++)
				at[order[k]] = TW_NEVER;
			break;
		}
		for (unsigned int k = 0; k < TIMERS; k++)
			next = at[k] < next ? at[k] : next;
		assert_int_equal(tw_timers_next(&ts), next);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(runs_what_is_due_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(setting_again_moves_and_cancel_forgets, setup, teardown),
		cmocka_unit_test_setup_teardown(a_timer_that_arms_itself_in_the_past_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(agrees_with_a_list, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
