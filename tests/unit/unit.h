/* SPDX-License-Identifier: BSD-3-Clause */
/* cmocka with the headers it wants, and reproducible random numbers. */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

/* Seed of this run: TEST_SEED from the environment, else the clock; printed, so that a failure can be
 * repeated. */
static inline uint64_t unit_seed(void)
{
	const char *s = getenv("TEST_SEED");
	struct timespec t;
	uint64_t seed;

	clock_gettime(CLOCK_REALTIME, &t);
	seed = s ? strtoull(s, NULL, 0) : (uint64_t)t.tv_sec * 1000000007u + (uint64_t)t.tv_nsec;
	fprintf(stderr, "TEST_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

/* Open descriptors of this process, the one for counting among them. */
static inline unsigned int unit_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* splitmix64; *state is the seed at first. */
static inline uint64_t unit_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* 0 .. n - 1 */
static inline uint64_t unit_below(uint64_t *state, uint64_t n)
{
	return unit_random(state) % n;
}

/*
 * A copy of n bytes that ends where its memory ends, so that AddressSanitizer sees the first byte read too
 * far. Free it.
 */
static inline uint8_t *unit_exact_copy(const void *data, size_t n)
{
	uint8_t *p = calloc(1, n ? n : 1);

	assert_non_null(p);
	if (n)
		memcpy(p, data, n);
	return p;
}

#endif
