/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sched.h>
#include <time.h>

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
	static uint32_t number = 1u << 31; /* never twice */
	uint32_t first = number, last = first - 1;
	unsigned int sent = 0;
	double until = now() + 10;

	while (last + 1 != first + n) {
		unsigned int flight = first + sent - (last + 1), more;

		if (sent < n && flight < FLIGHT) {
			more = n - sent < FLIGHT - flight ? n - sent : FLIGHT - flight;
			sent += guest_send(g, pair, more, first + sent, len);
		}
		guest_receive(g, pair, first, &last);
		if (now() > until)
			fail_msg("%u of %u frames sent, %u back", sent, n, last + 1 - first);
		sched_yield();
	}
	number += n;
	assert_int_equal(guest_bad_frames(g), 0);
	assert_int_equal(guest_violations(g), 0);
}
