/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every allocation fails once: creation and each change say -ENOMEM, leave everything as it was, and leak
 * nothing.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "policy_world.h"

#define M(n) "02:00:00:00:00:" n

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off);

static unsigned int fail_at, count; /* fail_at 0: never */

static bool fails(void)
{
	return fail_at && ++count == fail_at;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	if (fails()) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return __real_mmap64(addr, len, prot, flags, fd, off);
}

static void create(void **state)
{
	struct policy_params params = { .host_id = "h1", .max_records = 100, .socket = -1 };
	struct policy *p = NULL;
	unsigned int n;
	int r = -1;

	for (n = 1; r < 0; n++) {
		struct errbuf err = { "" };

		fail_at = n;
		count = 0;
		p = NULL;
		r = policy_create(&params, &p, &err);
		fail_at = 0;
		if (r == 0)
			break;
		assert_int_equal(r, -ENOMEM);
		assert_null(p);
		assert_true(*err.text);
	}
	/* Tables and tables of names: there is a lot to fail. */
	assert_true(n > 20);
	policy_free(p);
	policy_free(NULL);
}

/*
 * A change that needs many allocations, what undoes it (NULL: nothing), and what must look the same after a
 * failure.
 */
struct change {
	const char *line;
	const char *undo;
};

static void fill(struct policy *p)
{
	static const char *const lines[] = {
		"host id=h2 pas=[{address=192.0.2.2}]",
		"subnet vsid=5001 rdid=t1 gateways=[10.0.0.1/24]",
		"port id=a vsid=5001 macs=[" M("0a") "]",
		"record vsid=5001 ca=10.0.0.11 mac=" M("0b") " host=h2",
		"record vsid=5001 ca=10.0.0.21 mac=" M("0b") " host=h2",
		"route rdid=t1 vsid=5001 prefix=0.0.0.0/0 next-hop=10.0.0.11",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(world_set(p, ORIGIN_ADMIN, "%s", lines[i]), 0);
}

static void same_as_filled(struct policy *p)
{
	struct outcome o;

	assert_int_equal(policy_count(p, OBJECT_RECORD), 2);
	assert_int_equal(policy_count(p, OBJECT_HOST), 1);
	assert_int_equal(policy_count(p, OBJECT_PORT), 1);
	assert_int_equal(policy_count(p, OBJECT_SUBNET), 1);
	assert_int_equal(policy_count(p, OBJECT_ROUTE), 1);
	assert_int_equal(policy_host_index(p, "h9"), HOST_NONE);
	assert_int_equal(policy_subnet(p, 5001)->flood->n_hosts, 1);
	assert_int_equal(policy_subnet(p, 5001)->flood->n_ports, 1);
	o = world_send(p, "a", M("0a"), M("0b"), "10.0.0.10", "10.0.0.11", 0, NULL);
	assert_string_equal(world_text(&o), "remote h2");
	o = world_send(p, "a", M("0a"), M("99"), "10.0.0.10", "10.0.0.99", 0, NULL);
	assert_string_equal(world_text(&o), "flood");
}

static void changes(void **state)
{
	static const struct change list[] = {
		{ "record vsid=5001 ca=10.0.0.12 mac=" M("0c") " host=h9 provider-address=192.0.2.9",
		  "record vsid=5001 ca=10.0.0.12" },
		{ "record vsid=7001 ca=10.0.0.12 mac=" M("0c") " host=h9", "record vsid=7001 ca=10.0.0.12" },
		{ "record vsid=5001 ca=10.0.0.11 mac=" M("0b") " host=h9",
		  NULL }, /* moves its companion too */
		{ "record vsid=5001 ca=10.0.0.11 mac=" M("0d") " host=h9", NULL },
		{ "subnet vsid=9001 rdid=t9 gateways=[10.0.0.1/24,fd00::1/64]", "subnet vsid=9001" },
		{ "subnet vsid=5001 rdid=t1 gateways=[10.0.0.2/24,fd00::1/64]", NULL },
		{ "host id=h9 pas=[{address=192.0.2.9}]", "host id=h9" },
		{ "host id=h2 pas=[{address=192.0.2.9}]", NULL },
		{ "port id=b vsid=5001 macs=[" M("0e") "]", "port id=b" },
		{ "port id=b vsid=9001 macs=[" M("0e") "]", "port id=b" },
		{ "port id=a vsid=9001 macs=[" M("0a") "]", NULL },
		{ "route rdid=t9 vsid=9001 prefix=10.0.0.0/8", "route rdid=t9 prefix=10.0.0.0/8" },
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		struct policy *p = world_new(100);
		union object_spec s;
		enum object_kind kind = world_parse(list[i].line, &s);
		unsigned int n;
		int r;

		fill(p);
		for (n = 1;; n++) {
			struct errbuf err = { "" };

			rcu_reclaim(1);
			fail_at = n;
			count = 0;
			r = policy_set(p, kind, &s, ORIGIN_ADMIN, &err);
			fail_at = 0;
			if (r == 0 && count < n)
				break;
			if (r == 0) {
				/*
				 * The allocation that failed was rcu_defer()'s: it waited instead. Again from
				 * the start.
				 */
				policy_free(p);
				p = world_new(100);
				fill(p);
				continue;
			}
			assert_int_equal(r, -ENOMEM);
			assert_non_null(strstr(err.text, object_types[kind].noun));
			same_as_filled(p);
		}
		assert_true(n > 1);
		if (list[i].undo) {
			assert_int_equal(world_remove(p, ORIGIN_ADMIN, "%s", list[i].undo), 0);
			same_as_filled(p);
		}
		policy_free(p);
	}
}

/* Removal needs memory as well: a new flood set, a host's empty shell. */
static void removals(void **state)
{
	static const char *const list[] = {
		"record vsid=5001 ca=10.0.0.21",
		"port id=a",
		"host id=h2",
		"route rdid=t1 prefix=0.0.0.0/0 next-hop=10.0.0.11",
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		struct policy *p = world_new(100);
		union object_spec s;
		enum object_kind kind = world_parse(list[i], &s);
		int r = -1;

		fill(p);
		for (unsigned int n = 1; r < 0; n++) {
			fail_at = n;
			count = 0;
			r = policy_remove(p, kind, &s, ORIGIN_ADMIN, NULL);
			fail_at = 0;
			assert_in_set((LargestIntegralType)r,
				      ((LargestIntegralType[]){ 0, (LargestIntegralType)-ENOMEM }), 2);
			if (r < 0)
				same_as_filled(p);
		}
		policy_free(p);
	}
}

static void usable(void **state)
{
	struct policy *p = world_new(100);

	fill(p);
	fail_at = 1;
	count = 0;
	assert_int_equal(policy_host_usable(p, "h2", false), -ENOMEM);
	fail_at = 0;
	assert_true(policy_host(p, policy_host_index(p, "h2"))->usable);
	assert_int_equal(policy_host_usable(p, "h2", false), 0);
	assert_false(policy_host(p, policy_host_index(p, "h2"))->usable);
	policy_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(create),
		cmocka_unit_test(changes),
		cmocka_unit_test(removals),
		cmocka_unit_test(usable),
	};

	return cmocka_run_group_tests_name("policy-alloc", tests, world_setup, world_teardown);
}
