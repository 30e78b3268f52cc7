/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/tick.h"

void rate_init(struct rate *r, uint64_t per_second, uint64_t burst, uint64_t tsc_hz, uint64_t now)
{
	r->cycles_per_token = per_second ? tsc_hz / per_second : 0;
	if (burst == 0)
		burst = 1;
	if (__builtin_mul_overflow(burst, r->cycles_per_token, &r->burst_cycles))
		r->burst_cycles = UINT64_MAX;
	r->credit = r->burst_cycles;
	r->last = now;
}

bool rate_take(struct rate *r, uint32_t n, uint64_t now)
{
	uint64_t room = r->burst_cycles - r->credit, passed = now - r->last, cost;

	/* TSCs of two sockets may differ a little: time that seems to go back counts as none. */
	if ((int64_t)passed > 0) {
		r->credit += passed < room ? passed : room;
		r->last = now;
	}
	if (__builtin_mul_overflow(r->cycles_per_token, n, &cost) || cost > r->credit)
		return false;
	r->credit -= cost;
	return true;
}
