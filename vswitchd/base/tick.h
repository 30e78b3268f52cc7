/* SPDX-License-Identifier: BSD-3-Clause */
/* Time: TSC on the packet path, CLOCK_MONOTONIC (CLOCK_BOOTTIME for leases) elsewhere. */
#ifndef BASE_TICK_H
#define BASE_TICK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

static inline uint64_t tick_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline uint64_t tick_ms(void)
{
	return tick_ns() / 1000000;
}

/*
 * Token bucket in TSC cycles; one owner. rate_init: `per_second` tokens, `burst` (0: 1) at most at once; 0
 * per second, or more than tsc_hz: no limit. rate_take: true if n tokens were there (and are taken now).
 */
struct rate {
	uint64_t cycles_per_token, burst_cycles, credit, last;
};

void rate_init(struct rate *r, uint64_t per_second, uint64_t burst, uint64_t tsc_hz, uint64_t now);
bool rate_take(struct rate *r, uint32_t n, uint64_t now);

#endif
