/* SPDX-License-Identifier: BSD-3-Clause */
/* EAL arguments from settings and machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "daemon/eal.h"

static struct eal_machine machine(const int *cpus, uint64_t free_huge_mb)
{
	struct eal_machine m = { .free_huge = free_huge_mb << 20, .huge_size = free_huge_mb ? 2 << 20 : 0,
				 .huge_works = true };

	for (; *cpus >= 0; cpus++)
		CPU_SET(*cpus, &m.cpus);
	return m;
}

static const int two[] = { 0, 1, -1 }, one[] = { 3, -1 }, many[] = { 0, 1, 2, 3, 8, 9, 10, 64, -1 };

static void expect(const struct settings *s, const struct member_spec *members, unsigned int n,
		   const struct eal_machine *m, const char *expected)
{
	char line[2048] = "";
	struct eal_plan p;
	struct errbuf err;
	int i;

	if (eal_plan(s, members, n, m, &p, &err) < 0)
		fail_msg("refused: %s", err.text);
	for (i = 0; i < p.argc; i++)
		snprintf(line + strlen(line), sizeof(line) - strlen(line), "%s%s", i ? " " : "", p.argv[i]);
	assert_null(p.argv[p.argc]);
	assert_string_equal(line, expected);
	eal_plan_done(&p);
}

static void expect_error(const struct settings *s, const struct eal_machine *m, const char *expected)
{
	struct eal_plan p;
	struct errbuf err;

	assert_true(eal_plan(s, NULL, 0, m, &p, &err) < 0);
	assert_string_equal(err.text, expected);
}

static void test_cores(void **state)
{
	struct eal_machine m2 = machine(two, 0), m1 = machine(one, 0), m8 = machine(many, 0);
	struct settings s;

	settings_defaults(&s);
	expect(&s, NULL, 0, &m2,
	       "vswitchd --lcores=0@(0),1@1 --main-lcore=0 --no-pci --file-prefix=run_vswitchd --no-huge --no-shconf "
	       "-m 224 --no-telemetry --iova-mode=va");
	/* One CPU for everything. */
	expect(&s, NULL, 0, &m1,
	       "vswitchd --lcores=0@(3),1@3 --main-lcore=0 --no-pci --file-prefix=run_vswitchd --no-huge --no-shconf "
	       "-m 224 --no-telemetry --iova-mode=va");
	s.worker_count = 2;
	expect(&s, NULL, 0, &m8,
	       "vswitchd --lcores=0@(0-3,8-9),1@64,2@10 --main-lcore=0 --no-pci --file-prefix=run_vswitchd --no-huge "
	       "--no-shconf -m 224 --no-telemetry --iova-mode=va");
	/* Given cores win over the count; the order is the user's. */
	s.n_cores = 3;
	s.cores[0] = 9;
	s.cores[1] = 2;
	s.cores[2] = 3;
	expect(&s, NULL, 0, &m8,
	       "vswitchd --lcores=0@(0-1,8,10,64),1@9,2@2,3@3 --main-lcore=0 --no-pci --file-prefix=run_vswitchd "
	       "--no-huge --no-shconf -m 224 --no-telemetry --iova-mode=va");
	expect_error(&s, &m2, "workers.cores: this process may not run on CPU 9");
	s.n_cores = 0;
	s.worker_count = 3;
	expect_error(&s, &m2, "workers.count is 3, but this process may use only 2 CPUs");
}

static void test_memory(void **state)
{
	struct eal_machine few = machine(two, 200), enough = machine(two, 224), none = machine(two, 0);
	struct settings s;
	struct eal_plan p;

	settings_defaults(&s);
	expect(&s, NULL, 0, &enough,
	       "vswitchd --lcores=0@(0),1@1 --main-lcore=0 --no-pci --file-prefix=run_vswitchd --in-memory -m 224 "
	       "--no-telemetry --iova-mode=va");
	assert_int_equal(eal_plan(&s, NULL, 0, &few, &p, NULL), 0);
	assert_false(p.hugepages);
	assert_string_equal(p.note, "224 MB of huge pages are needed, 200 MB of them are free");
	eal_plan_done(&p);
	enough.huge_works = false;
	assert_int_equal(eal_plan(&s, NULL, 0, &enough, &p, NULL), 0);
	assert_false(p.hugepages);
	assert_string_equal(p.note, "224 MB of huge pages are needed, 224 MB of them are free, but none can be had");
	eal_plan_done(&p);
	/* Off is silent, on is an error. */
	s.hugepages = HUGEPAGES_OFF;
	assert_int_equal(eal_plan(&s, NULL, 0, &few, &p, NULL), 0);
	assert_false(p.hugepages);
	assert_string_equal(p.note, "");
	eal_plan_done(&p);
	s.hugepages = HUGEPAGES_ON;
	expect_error(&s, &none,
		     "memory.hugepages is on: 224 MB of huge pages are needed, 0 MB of them are free");
	/* The default grows with what it has to hold. */
	s.hugepages = HUGEPAGES_OFF;
	s.max_records = 1000000;
	s.mbufs = 65536;
	assert_int_equal(eal_plan(&s, NULL, 0, &none, &p, NULL), 0);
	assert_true(p.megabytes >= 160 + 256);
	eal_plan_done(&p);
	s.megabytes = 100;
	assert_int_equal(eal_plan(&s, NULL, 0, &none, &p, NULL), 0);
	assert_int_equal(p.megabytes, 100);
	eal_plan_done(&p);
}

static void test_devices(void **state)
{
	struct member_spec members[] = {
		{ .name = "a0", .type = MEMBER_AF_PACKET },
		{ .name = "d0", .type = MEMBER_DPDK, .devargs = "net_null0,no-rx=1" },
		{ .name = "d1", .type = MEMBER_DPDK, .devargs = "0000:3b:00.1" },
		{ .name = "d2", .type = MEMBER_DPDK, .devargs = "3b:00.2,mprq_en=1" },
		{ .name = "d3", .type = MEMBER_AF_PACKET, .devargs = "0000:3b:00.3" },
	};
	struct eal_machine m = machine(two, 0);
	struct settings s;

	settings_defaults(&s);
	expect(&s, members, 2, &m,
	       "vswitchd --lcores=0@(0),1@1 --main-lcore=0 --no-pci --file-prefix=run_vswitchd --no-huge --no-shconf "
	       "-m 224 --no-telemetry --iova-mode=va");
	expect(&s, members, 5, &m,
	       "vswitchd --lcores=0@(0),1@1 --main-lcore=0 --allow=0000:3b:00.1 --allow=3b:00.2,mprq_en=1 "
	       "--file-prefix=run_vswitchd --no-huge --no-shconf -m 224 --no-telemetry --iova-mode=va");
}

/* As many workers and members as there may be must fit the argument list. */
static void test_largest(void **state)
{
	struct member_spec members[TEAM_MEMBERS];
	struct eal_machine m = { 0 };
	struct settings s;
	struct eal_plan p;
	unsigned int i;

	for (i = 0; i < CPU_SETSIZE; i += 2)
		CPU_SET(i, &m.cpus);
	for (i = 0; i < TEAM_MEMBERS; i++) {
		members[i] = (struct member_spec){ .type = MEMBER_DPDK };
		snprintf(members[i].devargs, sizeof(members[i].devargs), "0000:%02x:00.0", i);
	}
	settings_defaults(&s);
	str_copy(s.run_dir, sizeof(s.run_dir), "/a/b%c\\d");
	s.worker_count = SETTINGS_MAX_CORES;
	assert_int_equal(eal_plan(&s, members, TEAM_MEMBERS, &m, &p, NULL), 0);
	assert_int_equal(p.n_workers, SETTINGS_MAX_CORES);
	assert_non_null(strstr(p.argv[1], ",64@896"));
	assert_non_null(strstr(p.argv[3 + TEAM_MEMBERS], "--file-prefix=a_b_c_d"));
	eal_plan_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cores),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_largest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
