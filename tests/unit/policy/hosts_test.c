/* SPDX-License-Identifier: BSD-3-Clause */
/* Hosts: whose is a provider address, which carries a flow, what is left of a host that only records name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/str.h"
#include "policy/policy_private.h"
#include "policy_world.h"

#define M(n) "02:00:00:00:00:" n

static const char *host_of(const struct policy *p, const char *address)
{
	struct ip_addr a = world_ip(address);
	uint16_t i = policy_host_of_pa(p, &a);

	return i == HOST_NONE ? "" : policy_host(p, i)->id;
}

static void addresses(void **state)
{
	struct policy *p = world_new(100);

	assert_int_equal(
		world_set(p, ORIGIN_ADMIN, "host id=h2 pas=[{address=192.0.2.2},{address=2001:db8::2}]"), 0);
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "host id=h3 pas=[{address=192.0.2.3}]"), 0);
	assert_string_equal(host_of(p, "192.0.2.2"), "h2");
	assert_string_equal(host_of(p, "2001:db8::2"), "h2");
	assert_string_equal(host_of(p, "192.0.2.3"), "h3");
	assert_string_equal(host_of(p, "192.0.2.4"), "");
	assert_string_equal(host_of(p, "2001:db8::3"), "");
	/* An address given up is nobody's, and free for another host. */
	assert_int_equal(
		world_set(p, ORIGIN_ADMIN, "host id=h2 pas=[{address=192.0.2.22},{address=2001:db8::2}]"), 0);
	assert_string_equal(host_of(p, "192.0.2.2"), "");
	assert_string_equal(host_of(p, "192.0.2.22"), "h2");
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "host id=h3 pas=[{address=192.0.2.2}]"), 0);
	assert_string_equal(host_of(p, "192.0.2.2"), "h3");
	assert_int_equal(world_remove(p, ORIGIN_ADMIN, "host id=h2"), 0);
	assert_string_equal(host_of(p, "192.0.2.22"), "");
	assert_string_equal(host_of(p, "2001:db8::2"), "");
	/* Our own are known as well. */
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "host id=h1 pas=[{address=192.0.2.1}]"), 0);
	assert_string_equal(host_of(p, "192.0.2.1"), "h1");
	assert_true(policy_host(p, policy_host_index(p, "h1"))->self);
	assert_false(policy_host(p, policy_host_index(p, "h3"))->self);
	policy_free(p);
}

/* ---- flows ---- */

static void shares(const struct policy *p, const char *id, unsigned int n[HOST_PAS])
{
	const struct policy_host *h = policy_host(p, policy_host_index(p, id));

	memset(n, 0, HOST_PAS * sizeof(n[0]));
	for (unsigned int i = 0; i < 64; i++) {
		assert_true(h->pa_of_flow[i] < h->n_pas);
		n[h->pa_of_flow[i]]++;
	}
}

static void weights(void **state)
{
	static const struct {
		unsigned int n, weight[4], share[4];
	} cases[] = {
		{ 1, { 1 }, { 64 } },
		{ 2, { 1, 1 }, { 32, 32 } },
		{ 2, { 3, 1 }, { 48, 16 } },
		{ 4, { 1, 1, 1, 1 }, { 16, 16, 16, 16 } },
		{ 4, { 10, 10, 25, 25 }, { 9, 9, 23, 23 } },
		{ 2, { 255, 1 }, { 63, 1 } }, /* named, so used */
	};
	struct policy *p = world_new(100);
	unsigned int n[HOST_PAS];

	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		struct host_spec s = { .id = "h2", .n_pas = (uint16_t)cases[c].n };

		for (unsigned int i = 0; i < cases[c].n; i++)
			s.pas[i] = (struct host_pa){ .address = { 4, { 192, 0, (uint8_t)c, (uint8_t)i } },
						     .weight = (uint16_t)cases[c].weight[i] };
		assert_int_equal(policy_set(p, OBJECT_HOST, &s, ORIGIN_ADMIN, NULL), 0);
		shares(p, "h2", n);
		for (unsigned int i = 0; i < cases[c].n; i++)
			assert_in_range(n[i], cases[c].share[i] ? cases[c].share[i] - 1 : 0,
					cases[c].share[i] + 1);
	}
	policy_free(p);
}

static struct ip_addr pa_of_slot(const struct policy *p, unsigned int slot)
{
	const struct policy_host *h = policy_host(p, policy_host_index(p, "h2"));

	return h->pas[h->pa_of_flow[slot]].address;
}

/* One of four goes and comes back: only its flows move; a new order moves none. */
static void stable(void **state)
{
	static const char all[] =
		"host id=h2 pas=[{address=192.0.2.1},{address=192.0.2.2},{address=192.0.2.3},"
		"{address=192.0.2.4}]";
	static const char turned[] =
		"host id=h2 pas=[{address=192.0.2.4},{address=192.0.2.3},{address=192.0.2.2},"
		"{address=192.0.2.1}]";
	static const char three[] =
		"host id=h2 pas=[{address=192.0.2.1},{address=192.0.2.2},{address=192.0.2.4}]";
	struct policy *p = world_new(100);
	struct ip_addr before[64], gone = world_ip("192.0.2.3"), now;
	unsigned int moved = 0;

	assert_int_equal(world_set(p, ORIGIN_ADMIN, "%s", all), 0);
	for (unsigned int i = 0; i < 64; i++)
		before[i] = pa_of_slot(p, i);
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "%s", turned), 0);
	for (unsigned int i = 0; i < 64; i++) {
		now = pa_of_slot(p, i);
		assert_true(ip_equal(&before[i], &now));
	}
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "%s", three), 0);
	for (unsigned int i = 0; i < 64; i++) {
		now = pa_of_slot(p, i);
		assert_int_equal(!ip_equal(&before[i], &now), ip_equal(&before[i], &gone));
		before[i] = now;
	}
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "%s", all), 0);
	for (unsigned int i = 0; i < 64; i++) {
		now = pa_of_slot(p, i);
		moved += !ip_equal(&before[i], &now);
		if (!ip_equal(&before[i], &now))
			assert_true(ip_equal(&now, &gone));
	}
	assert_int_equal(moved, 16);
	policy_free(p);
}

/* ---- existence ---- */

static void only_named(void **state)
{
	struct policy *p = world_new(100);
	const struct policy_host *h;
	union object_spec s;
	enum origin origin;
	uint16_t i;

	assert_int_equal(policy_host_index(p, "h9"), HOST_NONE);
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "record vsid=5001 ca=10.0.0.2 mac=" M("02") " host=h9"),
			 0);
	i = policy_host_index(p, "h9");
	h = policy_host(p, i);
	assert_non_null(h);
	assert_int_equal(h->n_pas, 0);
	assert_false(h->usable);
	world_parse("host id=h9", &s);
	assert_int_equal(policy_get(p, OBJECT_HOST, &s, &origin), -ENOENT);
	assert_int_equal(policy_count(p, OBJECT_HOST), 0);
	assert_int_equal(policy_host_usable(p, "h9", true), -ENOENT);
	/* Configured, it keeps its index, so the record leads there. */
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "host id=h9 pas=[{address=192.0.2.9}]"), 0);
	assert_int_equal(policy_host_index(p, "h9"), i);
	assert_true(policy_host(p, i)->usable);
	/* Unusable survives a change, and ends with the host. */
	assert_int_equal(policy_host_usable(p, "h9", false), 0);
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "host id=h9 pas=[{address=192.0.2.99}]"), 0);
	assert_false(policy_host(p, i)->usable);
	assert_int_equal(world_remove(p, ORIGIN_ADMIN, "host id=h9"), 0);
	assert_int_equal(policy_host_index(p, "h9"), i);
	assert_int_equal(policy_host(p, i)->n_pas, 0);
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "host id=h9 pas=[{address=192.0.2.9}]"), 0);
	assert_true(policy_host(p, i)->usable);
	/* The last user takes it along. */
	assert_int_equal(world_remove(p, ORIGIN_ADMIN, "host id=h9"), 0);
	assert_int_equal(world_remove(p, ORIGIN_ADMIN, "record vsid=5001 ca=10.0.0.2"), 0);
	assert_int_equal(policy_host_index(p, "h9"), HOST_NONE);
	assert_null(policy_host(p, i));
	assert_null(policy_host(p, HOST_NONE));
	policy_free(p);
}

/* An index is not given to another host while a worker may still use it for the old one. */
static void index_waits(void **state)
{
	struct policy *p = world_new(100);
	uint16_t first;

	assert_int_equal(rcu_register(0), 0);
	rcu_quiescent(0);
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "host id=a pas=[{address=192.0.2.9}]"), 0);
	first = policy_host_index(p, "a");
	assert_int_equal(world_remove(p, ORIGIN_ADMIN, "host id=a"), 0);
	for (unsigned int k = 0; k < 100; k++)
		assert_int_equal(world_set(p, ORIGIN_ADMIN, "host id=b%u pas=[{address=192.0.3.%u}]", k, k),
				 0);
	for (unsigned int k = 0; k < 100; k++) {
		char id[ID_SIZE];

		snprintf(id, sizeof(id), "b%u", k);
		assert_int_not_equal(policy_host_index(p, id), first);
	}
	rcu_unregister(0);
	policy_free(p);
}

/* Records name addresses by numbers of their own; 31 fit. */
static void pins(void **state)
{
	struct policy *p = world_new(100);
	struct ip_addr a;
	unsigned int i;

	assert_int_equal(
		world_set(p, ORIGIN_ADMIN, "host id=h2 pas=[{address=192.0.2.0},{address=192.0.2.7}]"), 0);
	for (i = 0; i < 31; i++)
		assert_int_equal(world_set(p, ORIGIN_ADMIN,
					   "record vsid=5001 ca=10.0.0.%u mac=02:00:00:00:00:%02x host=h2 "
					   "provider-address=192.0.2.%u", i + 1, i + 1, i), 0);
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "record vsid=5001 ca=10.0.0.99 mac=" M("99") " host=h2 "
				   "provider-address=192.0.2.99"), -ENOSPC);
	assert_non_null(strstr(world_error(), "records name 31 provider addresses of host h2 already"));
	/* Known ones still go; a number given back is used again. */
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "record vsid=5001 ca=10.0.0.99 mac=" M("99") " host=h2 "
				   "provider-address=192.0.2.7"), 0);
	assert_int_equal(world_remove(p, ORIGIN_ADMIN, "record vsid=5001 ca=10.0.0.4"), 0);
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "record vsid=5001 ca=10.0.0.98 mac=" M("98") " host=h2 "
				   "provider-address=192.0.2.99"), 0);
	/* In the list: its place there; not (yet) in it: any. */
	a = world_ip("10.0.0.8");
	i = policy_ca_lookup(p, 5001, &a);
	assert_int_equal(host_pin_pa(p, policy_record(p, i)->host, policy_record(p, i)->pa), 1);
	a = world_ip("10.0.0.9");
	i = policy_ca_lookup(p, 5001, &a);
	assert_int_equal(host_pin_pa(p, policy_record(p, i)->host, policy_record(p, i)->pa), PA_ANY);
	for (i = 0; i < 31; i++)
		(void)world_remove(p, ORIGIN_ADMIN, "record vsid=5001 ca=10.0.0.%u", i + 1);
	assert_int_equal(world_remove(p, ORIGIN_ADMIN, "record vsid=5001 ca=10.0.0.98"), 0);
	assert_int_equal(world_remove(p, ORIGIN_ADMIN, "record vsid=5001 ca=10.0.0.99"), 0);
	for (i = 0; i < PINS; i++)
		assert_int_equal(p->host_ctl[policy_host_index(p, "h2")].pins[i].refs, 0);
	policy_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses), cmocka_unit_test(weights), cmocka_unit_test(stable),
		cmocka_unit_test(only_named), cmocka_unit_test(index_waits), cmocka_unit_test(pins),
	};

	return cmocka_run_group_tests_name("policy-hosts", tests, world_setup, world_teardown);
}
