/* SPDX-License-Identifier: BSD-3-Clause */
/* Totals of virtual subnets: they only grow, whatever ports come, go and change their subnet. */
#include "../unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "daemon/vsid_totals.h"

#define PORTS 8
#define VSIDS 6
#define TURNS 2000

static bool keep_odd(uint32_t vsid, void *arg)
{
	return vsid % 2;
}

static void a_port_takes_nothing_along(void **state)
{
	struct vsid_counts seen = { .drops = 0 }, now = { { 10, 1000 }, { 5, 500 }, 2 };
	struct vsid_totals t = { .n = 0 };

	assert_null(vsid_total(&t, 1, false));
	assert_int_equal(vsid_totals_add(&t, 5001, &seen, &now), 0);
	now.rx = (struct traffic){ 13, 1300 };
	assert_int_equal(vsid_totals_add(&t, 5002, &seen, &now), 0); /* it is in another subnet now */
	assert_int_equal(vsid_total(&t, 5001, false)->counts.rx.packets, 10);
	assert_int_equal(vsid_total(&t, 5001, false)->counts.drops, 2);
	assert_int_equal(vsid_total(&t, 5002, false)->counts.rx.packets, 3);
	assert_int_equal(vsid_total(&t, 5002, false)->counts.rx.bytes, 300);
	assert_int_equal(vsid_total(&t, 5002, false)->counts.tx.packets, 0);
	assert_int_equal(t.n, 2);
	vsid_total(&t, 5002, false)->ports = 1;
	vsid_total(&t, 4000, true);
	vsid_totals_sweep(&t, keep_odd, NULL);
	assert_int_equal(t.n, 2); /* one is wanted, one has a port */
	assert_null(vsid_total(&t, 4000, false));
	vsid_totals_free(&t);
	assert_int_equal(t.n, 0);
}

/* Random ports against a sum that is kept beside: by subnet, what was counted while the port was in it. */
static void totals_are_what_was_counted(void **state)
{
	unsigned int seed = (unsigned int)time(NULL);
	struct vsid_counts seen[PORTS] = { 0 }, now[PORTS] = { 0 };
	uint64_t want[VSIDS] = { 0 };
	uint32_t of[PORTS] = { 0 };
	struct vsid_totals t = { .n = 0 };

	printf("seed %u\n", seed);
	srandom(seed);
	for (unsigned int i = 0; i < TURNS; i++) {
		unsigned int p = (unsigned int)random() % PORTS, n = (unsigned int)random() % 100;

		now[p].rx.packets += n;
		want[of[p]] += n;
		switch (random() % 4) {
		case 0: /* it goes to another subnet */
			vsid_totals_add(&t, of[p], &seen[p], &now[p]);
			of[p] = (uint32_t)random() % VSIDS;
			break;
		case 1: /* it is removed, and comes again somewhere */
			vsid_totals_add(&t, of[p], &seen[p], &now[p]);
			seen[p] = now[p] = (struct vsid_counts){ .drops = 0 };
			of[p] = (uint32_t)random() % VSIDS;
			break;
		default:
			break;
		}
		for (unsigned int k = 0; k < PORTS && i % 10 == 0; k++)
			vsid_totals_add(&t, of[k], &seen[k], &now[k]);
		for (uint32_t v = 0; v < VSIDS && i % 10 == 0; v++)
			assert_int_equal(vsid_total(&t, v, true)->counts.rx.packets, want[v]);
	}
	assert_int_equal(t.n, VSIDS);
	for (uint32_t v = 0; v < VSIDS; v++)
		assert_int_equal(t.v[v].vsid, v);
	vsid_totals_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_port_takes_nothing_along),
		cmocka_unit_test(totals_are_what_was_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
