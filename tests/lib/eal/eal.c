/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <rte_eal.h>
#include <rte_errno.h>

#include "eal.h"

#define ARGS_MAX 32

static bool started;

/* The first CPU this process may run on: CPU 0 may be out of its cpuset. */
static int first_cpu(void)
{
	cpu_set_t set;
	int cpu;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 0;
	for (cpu = 0; cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, &set); cpu++)
		;
	return cpu;
}

int test_eal_init_args(unsigned int mib, const char *const *args)
{
	static char mem[16], lcore[24], lcores[] = "--lcores";
	char *argv[ARGS_MAX] = {
		(char[]){"test"},
		(char[]){"--no-huge"},
		(char[]){"--no-pci"},
		(char[]){"--no-shconf"},
		(char[]){"--no-telemetry"},
		(char[]){"--log-level=error"},
		(char[]){"-m"},
		mem,
	};
	bool placed = false;
	cpu_set_t before;
	int argc = 8;

	if (started)
		return 0;
	snprintf(mem, sizeof(mem), "%u", mib);
	snprintf(lcore, sizeof(lcore), "0@%d", first_cpu());
	for (; args && *args; args++) {
		if (argc == ARGS_MAX - 3)
			return -E2BIG;
		argv[argc++] = (char *)(uintptr_t)*args; /* EAL only permutes the array */
		placed |= strncmp(*args, "--lcores", strlen("--lcores")) == 0;
	}
	if (!placed) {
		argv[argc++] = lcores;
		argv[argc++] = lcore;
	}
	if (sched_getaffinity(0, sizeof(before), &before) < 0)
		return -errno;
	if (rte_eal_init(argc, argv) < 0)
		return rte_errno ? -rte_errno : -EINVAL;
	/* EAL pins the caller; threads that a test starts must not inherit one CPU. */
	if (sched_setaffinity(0, sizeof(before), &before) < 0)
		return -errno;
	started = true;
	return 0;
}

int test_eal_init(void)
{
	return test_eal_init_args(64, NULL);
}

int test_eal_setup(void **state)
{
	int r = test_eal_init();

	if (r < 0)
		fprintf(stderr, "EAL did not start: error %d\n", r);
	return r;
}

int test_eal_teardown(void **state)
{
	if (started)
		rte_eal_cleanup();
	started = false;
	return 0;
}
