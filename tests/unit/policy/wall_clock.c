/* SPDX-License-Identifier: BSD-3-Clause */
/* The program's own functions go before the C library's, for shared libraries as well. */
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "wall_clock.h"

static long ahead;

void wall_clock_jump(long seconds)
{
	__atomic_store_n(&ahead, seconds, __ATOMIC_RELAXED);
}

int clock_gettime(clockid_t id, struct timespec *ret)
{
	long r = syscall(SYS_clock_gettime, id, ret);

	if (r == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		ret->tv_sec += __atomic_load_n(&ahead, __ATOMIC_RELAXED);
	return (int)r;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
	struct timespec t;
	int r = clock_gettime(CLOCK_REALTIME, &t);

	if (r == 0)
		*ret = (struct timeval){ .tv_sec = t.tv_sec, .tv_usec = t.tv_nsec / 1000 };
	return r;
}

time_t time(time_t *ret)
{
	struct timespec t = { 0 };

	clock_gettime(CLOCK_REALTIME, &t);
	if (ret)
		*ret = t.tv_sec;
	return t.tv_sec;
}
