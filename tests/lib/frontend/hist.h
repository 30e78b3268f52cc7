/* SPDX-License-Identifier: BSD-3-Clause */
/* Histogram of nanoseconds with buckets of 1/64 of their power of two: any quantile to 1.6 percent, no
 * allocation. */
#ifndef TESTS_LIB_FRONTEND_HIST_H
#define TESTS_LIB_FRONTEND_HIST_H

#include <stdint.h>

#define HIST_BUCKETS (59 * 64)

struct hist {
	uint64_t n;
	uint64_t min, max; /* valid when n > 0 */
	uint64_t bucket[HIST_BUCKETS];
};

void hist_reset(struct hist *h);
void hist_add(struct hist *h, uint64_t v);
/* Smallest value v such that permille/1000 of the samples are at most v (upper end of its bucket); 0 when
 * empty. */
uint64_t hist_quantile(const struct hist *h, unsigned int permille);

#endif
