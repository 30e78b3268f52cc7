/* SPDX-License-Identifier: BSD-3-Clause */
/* DPDK's environment for unit tests: no hugepages, no devices, no files that two tests could fight over. */
#ifndef TESTS_LIB_EAL_H
#define TESTS_LIB_EAL_H

/*
 * Start EAL with 64 MiB of ordinary memory on one lcore, whatever CPUs the test may use. Returns 0, also when
 * it has been started before in this process, or -errno. Usable as a cmocka group set-up through
 * test_eal_setup.
 */
int test_eal_init(void);

/* The same with other memory (MiB) and further EAL arguments (NULL-terminated list, may be NULL):
 * "--vdev=net_null0"; "--lcores=..." instead of the one lcore. */
int test_eal_init_args(unsigned int mib, const char *const *args);

/* cmocka group set-up and tear-down (rte_eal_cleanup). */
int test_eal_setup(void **state);
int test_eal_teardown(void **state);

#endif
