/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sched.h>
#include <time.h>
#include <rte_common.h>

#include "echo.h"

/* No more on the way than the receive ring can take back, also of long frames. */
#define FLIGHT 24

double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void echo(struct guest *g, unsigned int pair, unsigned int n, uint32_t len)
{
	static uint32_t number = 8u << 28; /* never twice */
	uint32_t first = number, last = first - 1;
	unsigned int sent = 0, got = 0, more;
	double until = now() + 10;

	while (got < n) {
		if (sent < n && sent - got < FLIGHT) {
			more = RTE_MIN(n - sent, FLIGHT - (sent - got));
			sent += guest_send(g, pair, more, first + sent, len);
		}
		got += guest_receive(g, pair, first, &last);
		if (now() > until)
			fail_msg("%u of %u frames sent, %u back", sent, n, got);
		sched_yield();
	}
	number += n;
	assert_int_equal(last + 1, first + n);
	assert_int_equal(guest_bad_frames(g), 0);
	assert_int_equal(guest_violations(g), 0);
}

void echo_settle(struct guest *g, unsigned int pair)
{
	static uint32_t number = 12u << 28;
	uint32_t first = number, last = first - 1;
	double until = now() + 10, again = 0;

	/* The ring toward the guest may have been full when one came: send another. */
	while (!guest_receive(g, pair, first, &last)) {
		if (now() > again) {
			guest_send(g, pair, 1, number++, 60);
			again = now() + 0.1;
		}
		if (now() > until)
			fail_msg("nothing comes back");
		sched_yield();
	}
}
