/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/rcu.h"
#include "base/tick.h"
#include "eal.h"
#include "unit.h"

#define READERS 3

static int setup(void **state)
{
	return test_eal_setup(state) == 0 && rcu_init() == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	rcu_fini();
	return test_eal_teardown(state);
}

static void registers_only_ids_inside_the_table(void **state)
{
	assert_int_equal(rcu_register(RCU_MAX_THREADS), -EINVAL);
	assert_int_equal(rcu_register(RCU_MAX_THREADS - 1), 0);
	assert_int_equal(rcu_qsbr->num_threads, 1);
	rcu_unregister(RCU_MAX_THREADS - 1);
	assert_int_equal(rcu_qsbr->num_threads, 0);
	/* Nobody is online: returns at once. */
	rcu_synchronize();
}

static void synchronize_waits_for_an_online_reader_only(void **state)
{
	uint64_t start = tick_ns();

	assert_int_equal(rcu_register(0), 0);
	assert_int_equal(rcu_synchronize_timeout(2000), -ETIMEDOUT);
	assert_true(tick_ns() - start >= 2000000);
	rcu_offline(0);
	assert_int_equal(rcu_synchronize_timeout(2000), 0);
	rcu_online(0);
	assert_int_equal(rcu_synchronize_timeout(2000), -ETIMEDOUT);
	rcu_unregister(0);
	assert_int_equal(rcu_synchronize_timeout(2000), 0);
}

static unsigned int calls[8];
static unsigned int n_calls;

static void note(void *arg)
{
	assert_true(n_calls < 8);
	calls[n_calls++] = (unsigned int)(uintptr_t)arg;
}

static void note_and_defer(void *arg)
{
	note(arg);
	assert_int_equal(rcu_defer(note, (void *)(uintptr_t)9), 0);
}

static void deferred_calls_run_in_order_after_the_grace_period(void **state)
{
	n_calls = 0;
	assert_int_equal(rcu_register(0), 0);
	assert_int_equal(rcu_defer(note, (void *)(uintptr_t)1), 0);
	assert_int_equal(rcu_defer(note, (void *)(uintptr_t)2), 0);
	assert_int_equal(rcu_reclaim(0), 0);
	rcu_quiescent(0);
	assert_int_equal(rcu_defer(note, (void *)(uintptr_t)3), 0);
	/* 3 is younger than the quiescent state. */
	assert_int_equal(rcu_reclaim(0), 2);
	assert_int_equal(n_calls, 2);
	assert_int_equal(calls[0], 1);
	assert_int_equal(calls[1], 2);
	rcu_unregister(0);
	assert_int_equal(rcu_reclaim(1), 1);
	assert_int_equal(calls[2], 3);
	assert_int_equal(rcu_reclaim(1), 0);
}

static void deferred_calls_may_defer(void **state)
{
	n_calls = 0;
	assert_int_equal(rcu_defer(note_and_defer, (void *)(uintptr_t)1), 0);
	assert_int_equal(rcu_reclaim(1), 2);
	assert_int_equal(calls[1], 9);
}

/* Readers look at an object all the time; the writer replaces it and poisons the old one after the grace
 * period. */
struct object {
	atomic_uint alive;
};

static struct object *shared;
static atomic_bool stop;
static atomic_uint seen_dead, turns;

static void *reader(void *arg)
{
	unsigned int id = (unsigned int)(uintptr_t)arg, turn = 0, i;

	if (rcu_register(id) < 0)
		return NULL;
	while (!atomic_load(&stop)) {
		struct object *o = rcu_dereference(shared);

		for (i = 0; i < 50; i++)
			if (!atomic_load(&o->alive))
				atomic_fetch_add(&seen_dead, 1);
		atomic_fetch_add(&turns, 1);
		rcu_quiescent(id);
		if (++turn % 7 == id) {
			rcu_offline(id);
			sched_yield();
			rcu_online(id);
		}
	}
	rcu_unregister(id);
	return arg;
}

static void readers_never_see_a_freed_object(void **state)
{
	static struct object objects[16];
	pthread_t t[READERS];
	void *ok;
	unsigned int i;

	atomic_store(&objects[0].alive, 1);
	rcu_assign(shared, &objects[0]);
	for (i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, reader, (void *)(uintptr_t)(i + 1)), 0);
	while (atomic_load(&turns) < 100)
		sched_yield();
	/*
	 * As long as it takes the readers to look often: without a grace period most turns see a dead object.
	 */
	for (i = 1; atomic_load(&turns) < 50000 || i < 1000; i++) {
		atomic_store(&objects[i % 16].alive, 1);
		rcu_assign(shared, &objects[i % 16]);
		if (i % 8)
			rcu_synchronize();
		else
			assert_int_equal(rcu_synchronize_timeout(10 * 1000 * 1000), 0);
		atomic_store(&objects[(i - 1) % 16].alive, 0);
	}
	atomic_store(&stop, true);
	for (i = 0; i < READERS; i++) {
		assert_int_equal(pthread_join(t[i], &ok), 0);
		assert_non_null(ok);
	}
	assert_int_equal(atomic_load(&seen_dead), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers_only_ids_inside_the_table),
		cmocka_unit_test(synchronize_waits_for_an_online_reader_only),
		cmocka_unit_test(deferred_calls_run_in_order_after_the_grace_period),
		cmocka_unit_test(deferred_calls_may_defer),
		cmocka_unit_test(readers_never_see_a_freed_object),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
