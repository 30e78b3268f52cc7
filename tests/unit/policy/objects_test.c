/* SPDX-License-Identifier: BSD-3-Clause */
/* Objects: contradictions by name, ranks of origins, read back, listings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/str.h"
#include "policy_world.h"

#define M(n) "02:00:00:00:00:" n

/* What is there before each contradiction. */
static const char *const base[] = {
	"subnet vsid=5001 rdid=t1 gateways=[10.0.0.1/24,fd00:1::1/64]",
	"subnet vsid=5002 rdid=t1 gateways=[10.0.1.1/24]",
	"subnet vsid=6001 rdid=t2 gateways=[10.0.0.1/24]",
	"host id=h1 pas=[{address=192.0.2.1}]",
	"host id=h2 pas=[{address=192.0.2.2},{address=2001:db8::2}]",
	"host id=h3 pas=[{address=192.0.2.3}]",
	"port id=p1 vsid=5001 macs=[" M("01") "]",
	"record vsid=5001 ca=10.0.0.2 mac=" M("02") " host=h2",
	"record vsid=5001 ca=fd00:1::2 mac=" M("02") " host=h2",
	"record vsid=5001 mac=" M("0f") " host=h3 type=gateway-wildcard",
	"route rdid=t1 vsid=5002 prefix=0.0.0.0/0 next-hop=10.0.1.9 metric=5",
	"route rdid=t1 vsid=5001 prefix=10.9.0.0/16",
};

static struct policy *based(void)
{
	struct policy *p = world_new(1000);

	for (size_t i = 0; i < sizeof(base) / sizeof(base[0]); i++)
		if (world_set(p, ORIGIN_CONFIG, "%s", base[i]) != 0)
			fail_msg("%s", world_error());
	return p;
}

static void contradictions(void **state)
{
	static const struct {
		const char *line;
		int code;
		const char *text;
	} cases[] = {
		/* records */
		{ "record vsid=5001 ca=10.0.0.1 mac=" M("09") " host=h2", -EEXIST,
		  "record 5001/10.0.0.1: 10.0.0.1 is the gateway address of virtual-subnet 5001" },
		{ "record vsid=5001 ca=fd00:1::1 mac=" M("09") " host=h2", -EEXIST,
		  "record 5001/fd00:1::1: fd00:1::1 is the gateway address of virtual-subnet 5001" },
		{ "record vsid=5001 ca=10.0.0.9 mac=02:47:57:00:13:89 host=h2", -EEXIST,
		  "record 5001/10.0.0.9: 02:47:57:00:13:89 is the gateway MAC of virtual-subnet 5001" },
		{ "record vsid=5001 ca=10.0.0.9 mac=" M("02") " host=h3", -EEXIST,
		  "record 5001/10.0.0.9: MAC " M("02") " is on host h2 by record 5001/fd00:1::2 "
		  "(origin config), it cannot be on host h3 too" },
		{ "record vsid=5001 mac=" M("02") " host=h1 type=l2only", -EEXIST,
		  "record 5001/" M("02") ": MAC " M("02") " is on host h2 by record 5001/fd00:1::2 "
		  "(origin config), it cannot be on host h1 too" },
		{ "record vsid=5001 ca=10.0.0.9 mac=" M("09") " host=h2 provider-address=192.0.2.3", -EEXIST,
		  "record 5001/10.0.0.9: provider address 192.0.2.3 is host h3's, not host h2's" },
		{ "record vsid=5001 mac=" M("09") " host=h2", -EINVAL, NULL },
		/* subnets */
		{ "subnet vsid=5003 rdid=t1 gateways=[10.0.0.129/25]", -EEXIST,
		  "subnet 5003: gateway 10.0.0.129/25 overlaps 10.0.0.1/24 of virtual-subnet 5001 in routing "
		  "domain t1" },
		{ "subnet vsid=5003 rdid=t1 gateways=[10.0.128.1/9]", -EEXIST,
		  "subnet 5003: gateway 10.0.128.1/9 overlaps 10.0.1.1/24 of virtual-subnet 5002 in routing "
		  "domain t1" },
		{ "subnet vsid=5003 rdid=t1 gateways=[fd00:1:0:0:8000::1/65]", -EEXIST, NULL },
		{ "subnet vsid=5003 rdid=t1 gateways=[10.9.0.1/16]", -EEXIST,
		  "subnet 5003: customer-route t1 10.9.0.0/16 is on-link in virtual-subnet 5001" },
		{ "subnet vsid=5002 rdid=t3 gateways=[10.0.1.1/24]", -EEXIST,
		  "subnet 5002: customer-routes of routing domain t1 lead into it, so it cannot be in t3" },
		{ "subnet vsid=5001 rdid=t1 gateways=[10.0.0.2/24]", -EEXIST,
		  "subnet 5001: gateway 10.0.0.2 is the customer address of record 5001/10.0.0.2, "
		  "MAC " M("02") },
		{ "subnet vsid=5001 rdid=t1 gateways=[10.0.0.1/24] gateway-mac=" M("02"), -EEXIST,
		  "subnet 5001: gateway MAC " M("02") " is in a lookup record of host h2" },
		{ "subnet vsid=5001 rdid=t1 gateways=[10.0.0.1/24] gateway-mac=" M("01"), -EEXIST,
		  "subnet 5001: gateway MAC " M("01") " is the MAC of port p1" },
		/* hosts */
		{ "host id=h4 pas=[{address=192.0.2.4},{address=192.0.2.3}]", -EEXIST,
		  "host h4: provider address 192.0.2.3 is host h3's" },
		{ "host id=h4 pas=[{address=2001:db8::2}]", -EEXIST,
		  "host h4: provider address 2001:db8::2 is host h2's" },
		/* ports */
		{ "port id=p2 vsid=5001 macs=[" M("05") "," M("01") "]", -EEXIST,
		  "port p2: " M("01") " is the MAC of port p1, which has VSID 5001 too" },
		{ "port id=p2 vsid=5001 macs=[02:47:57:00:13:89]", -EEXIST,
		  "port p2: 02:47:57:00:13:89 is the gateway MAC of virtual-subnet 5001" },
		/* routes */
		{ "route rdid=t1 vsid=6001 prefix=10.2.0.0/16", -EEXIST,
		  "route t1 10.2.0.0/16 via 0.0.0.0: virtual-subnet 6001 is in routing domain t2" },
		{ "route rdid=t1 vsid=5001 prefix=10.2.0.0/16 next-hop=10.0.0.1", -EEXIST,
		  "route t1 10.2.0.0/16 via 10.0.0.1: next hop 10.0.0.1 is the gateway address of "
		  "virtual-subnet 5001" },
		{ "route rdid=t1 vsid=5002 prefix=10.0.0.0/24", -EEXIST,
		  "route t1 10.0.0.0/24 via 0.0.0.0: 10.0.0.0/24 is on-link in virtual-subnet 5001" },
		{ "route rdid=t1 vsid=5001 prefix=fd00::/16 next-hop=10.0.0.5", -EINVAL, NULL },
	};
	struct policy *p = based();
	uint32_t before[OBJECT_COUNT];
	struct outcome o;

	for (unsigned int k = 0; k < OBJECT_COUNT; k++)
		before[k] = policy_count(p, k);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int r = world_set(p, ORIGIN_CONFIG, "%s", cases[i].line);

		if (r != cases[i].code || (cases[i].text && strcmp(cases[i].text, world_error()) != 0))
			fail_msg("%s:\n %d, expected %d\n %s\n %s", cases[i].line, r, cases[i].code,
				 world_error(), cases[i].text ? cases[i].text : "");
		assert_true(*world_error());
	}
	/* Refused means untouched. */
	for (unsigned int k = 0; k < OBJECT_COUNT; k++)
		assert_int_equal(policy_count(p, k), before[k]);
	o = world_send(p, "p1", M("01"), M("02"), "10.0.0.7", "10.0.0.2", 0, NULL);
	assert_string_equal(world_text(&o), "remote h2");
	policy_free(p);
}

/* What a contradiction forbids is fine in another domain, VSID or place. */
static void no_contradiction(void **state)
{
	static const char *const fine[] = {
		"record vsid=6001 ca=10.0.0.2 mac=" M("02") " host=h3",
		"record vsid=6001 ca=10.0.0.7 mac=02:47:57:00:13:89 host=h3",
		"subnet vsid=6002 rdid=t2 gateways=[10.0.1.1/24]",
		"subnet vsid=5003 rdid=t1 gateways=[10.0.2.1/24,fe80::1/64]",
		"subnet vsid=5004 rdid=t1 gateways=[10.0.3.1/24,fe80::1/64]",
		"port id=p2 vsid=6001 macs=[" M("01") "]",
		"port id=p3 macs=[" M("01") "]",
		"port id=p4 vsid=5001 macs=[" M("02") "]", /* a record says another host: the port wins */
		"record vsid=7000 ca=10.0.0.1 mac=" M("33") " host=nobody-yet",
		"route rdid=t9 vsid=9000 prefix=10.0.0.0/24",
		"route rdid=t1 vsid=5001 prefix=10.0.0.0/24", /* the subnet's own, said again */
	};
	struct policy *p = based();

	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
		if (world_set(p, ORIGIN_CONFIG, "%s", fine[i]) != 0)
			fail_msg("%s", world_error());
	policy_free(p);
}

static void gateway_before_and_after(void **state)
{
	struct policy *p = world_new(100);

	/* The record first, the subnet later: the same contradiction from the other side. */
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "record vsid=5001 ca=10.0.0.1 mac=" M("02") " host=h2"),
			 0);
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "subnet vsid=5001 rdid=t gateways=[10.0.0.1/24]"),
			 -EEXIST);
	assert_int_equal(world_remove(p, ORIGIN_ADMIN, "record vsid=5001 ca=10.0.0.1"), 0);
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "subnet vsid=5001 rdid=t gateways=[10.0.0.1/24]"), 0);
	/* A gateway that moves frees its address, MAC and prefix. */
	assert_int_equal(world_set(p, ORIGIN_ADMIN,
				   "subnet vsid=5001 rdid=t gateways=[10.0.5.254/24] gateway-mac=" M("ee")),
			 0);
	assert_int_equal(
		world_set(p, ORIGIN_ADMIN, "record vsid=5001 ca=10.0.0.1 mac=02:47:57:00:13:89 host=h2"), 0);
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "subnet vsid=5002 rdid=t gateways=[10.0.0.1/24]"), 0);
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "record vsid=5001 ca=10.0.5.254 mac=" M("03") " host=h2"),
			 -EEXIST);
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "record vsid=5001 ca=10.0.5.1 mac=" M("ee") " host=h2"),
			 -EEXIST);
	policy_free(p);
}

static void ranks(void **state)
{
	/* One state, another, and the key alone. */
	static const char *const lines[][3] = {
		{ "record vsid=5001 ca=10.0.0.2 mac=" M("02") " host=h2",
		  "record vsid=5001 ca=10.0.0.2 mac=" M("03") " host=h3", "record vsid=5001 ca=10.0.0.2" },
		{ "subnet vsid=5001 rdid=t1", "subnet vsid=5001 rdid=t1 learning=false", "subnet vsid=5001" },
		{ "route rdid=t1 vsid=5001 prefix=10.0.0.0/8",
		  "route rdid=t1 vsid=5001 prefix=10.0.0.0/8 metric=7", "route rdid=t1 prefix=10.0.0.0/8" },
		{ "host id=h7 pas=[{address=192.0.2.7}]", "host id=h7 pas=[{address=192.0.2.8}]",
		  "host id=h7" },
		{ "port id=p1 vsid=5001 macs=[" M("01") "]", "port id=p1 vsid=5001 macs=[" M("04") "]",
		  "port id=p1" },
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		for (int a = 0; a < ORIGIN_COUNT; a++) {
			for (int b = 0; b < ORIGIN_COUNT; b++) {
				struct policy *p = world_new(100);
				union object_spec s;
				enum object_kind kind = world_parse(lines[i][0], &s);
				enum origin is;

				assert_int_equal(world_set(p, a, "%s", lines[i][0]), 0);
				assert_int_equal(world_set(p, a, "%s", lines[i][0]), 1);
				assert_int_equal(world_set(p, b, "%s", lines[i][1]), b > a ? -EPERM : 0);
				assert_int_equal(policy_count(p, kind), 1);
				assert_int_equal(policy_get(p, kind, &s, &is), 0);
				assert_int_equal(is, b > a ? a : b);
				for (int c = 0; c < ORIGIN_COUNT; c++)
					if (c != (int)is)
						assert_int_equal(world_remove(p, c, "%s", lines[i][2]),
								 -EPERM);
				assert_int_equal(world_remove(p, is, "%s", lines[i][2]), 0);
				assert_int_equal(world_remove(p, is, "%s", lines[i][2]), -ENOENT);
				assert_int_equal(policy_count(p, kind), 0);
				policy_free(p);
			}
		}
	}
}

static void rank_text(void **state)
{
	struct policy *p = based();

	assert_int_equal(world_set(p, ORIGIN_ADMIN, "record vsid=5001 ca=10.0.0.2 mac=" M("02") " host=h3"),
			 -EPERM);
	assert_string_equal(
		world_error(),
		"record 5001/10.0.0.2: it is there with origin config, which admin cannot change");
	assert_int_equal(world_remove(p, ORIGIN_LEARNED, "port id=p1"), -EPERM);
	assert_string_equal(world_error(), "port p1: its origin is config, not learned");
	assert_int_equal(world_remove(p, ORIGIN_CONFIG, "subnet vsid=5001"), -EBUSY);
	assert_string_equal(world_error(), "subnet 5001: port p1 is in it");
	assert_int_equal(world_remove(p, ORIGIN_CONFIG, "record vsid=5001 ca=10.0.0.77"), -ENOENT);
	/* The key of a record includes its MAC, if given. */
	assert_int_equal(world_remove(p, ORIGIN_CONFIG, "record vsid=5001 ca=10.0.0.2 mac=" M("44")),
			 -ENOENT);
	policy_free(p);
}

/* Everything set comes back from get and from the listing, once, with its origin. */
static void read_back(void **state)
{
	static const char *const more[] = {
		"record vsid=5001 ca=10.0.0.3 mac=" M(
			"03") " host=h2 provider-address=2001:db8::2 type=dynamic unusable",
		"record vsid=5001 mac=" M("04") " host=unknown-host type=l2only",
		"port id=p9 vsid=5002 macs=[" M(
			"09") "] addresses=[10.0.1.9/32,fd00::/64] socket=/run/x.sock mode=server queues=4",
		"route rdid=t1 vsid=5002 prefix=0.0.0.0/0 next-hop=10.0.1.8 metric=9",
		"host id=h5 pas=[{address=192.0.2.5 mtu=9000 weight=3}] spread=record",
	};
	const char *lines[32];
	struct policy *p = based();
	size_t n = 0;

	for (size_t i = 0; i < sizeof(base) / sizeof(base[0]); i++)
		lines[n++] = base[i];
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		assert_int_equal(world_set(p, ORIGIN_MANAGER, "%s", more[i]), 0);
		lines[n++] = more[i];
	}
	for (size_t i = 0; i < n; i++) {
		union object_spec want, got, listed;
		enum object_kind kind = world_parse(lines[i], &want);
		const struct field *rows = object_types[kind].fields;
		enum origin origin,
			expected = i < n - sizeof(more) / sizeof(more[0]) ? ORIGIN_CONFIG : ORIGIN_MANAGER;
		unsigned int seen = 0;
		uint64_t cursor = 0;

		got = want;
		assert_int_equal(policy_get(p, kind, &got, &origin), 0);
		assert_true(field_equal(rows, &want, &got));
		assert_int_equal(origin, expected);
		if (kind == OBJECT_RECORD)
			assert_int_equal(got.record.unusable, want.record.unusable);
		while (policy_next(p, kind, &cursor, &listed, &origin))
			if (field_equal(rows, &listed, &want)) {
				assert_int_equal(origin, expected);
				seen++;
			}
		assert_int_equal(seen, 1);
	}
	for (unsigned int k = 0; k < OBJECT_COUNT; k++) {
		union object_spec s;
		enum origin origin;
		uint64_t cursor = 0;
		uint32_t seen = 0;

		while (policy_next(p, k, &cursor, &s, &origin))
			seen++;
		assert_int_equal(seen, policy_count(p, k));
	}
	policy_free(p);
}

static void limits(void **state)
{
	struct policy_params bad[] = {
		{ .host_id = "h1", .max_records = 0 },
		{ .host_id = "h1", .max_records = (1u << 24) + 1 },
		{ .host_id = "", .max_records = 1 },
		{ .host_id = NULL, .max_records = 1 },
	};
	struct policy *p = world_new(3);
	struct errbuf err;

	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(world_set(p, ORIGIN_ADMIN,
					   "record vsid=5001 ca=10.0.0.%u mac=" M("0%u") " host=h2", i + 2,
					   i),
				 0);
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "record vsid=5001 ca=10.0.0.7 mac=" M("07") " host=h2"),
			 0);
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "record vsid=5001 ca=10.0.0.8 mac=" M("08") " host=h2"),
			 -ENOSPC);
	assert_non_null(strstr(world_error(), "there are 3 lookup records, which is max-records"));
	/* Full is full for new ones only. */
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "record vsid=5001 ca=10.0.0.7 mac=" M("08") " host=h3"),
			 0);
	policy_free(p);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		p = NULL;
		assert_int_equal(policy_create(&bad[i], &p, &err), -EINVAL);
		assert_null(p);
	}
}

/*
 * A VM with several CAs moves by a change of one of its records; a record of a stronger origin holds it back.
 */
static void move(void **state)
{
	struct policy *p = based();
	union object_spec s;
	enum origin origin;

	assert_int_equal(world_set(p, ORIGIN_CONFIG, "record vsid=5001 ca=10.0.0.2 mac=" M("02") " host=h3"),
			 0);
	world_parse("record vsid=5001 ca=fd00:1::2", &s);
	assert_int_equal(policy_get(p, OBJECT_RECORD, &s, &origin), 0);
	assert_string_equal(s.record.host, "h3");
	assert_int_equal(world_set(p, ORIGIN_CONFIG, "record vsid=5001 ca=fd00:1::2 mac=" M("02") " host=h3"),
			 1);
	assert_int_equal(
		world_set(p, ORIGIN_MANAGER, "record vsid=5001 ca=10.0.0.66 mac=" M("02") " host=h3"), 0);
	assert_int_equal(
		world_set(p, ORIGIN_MANAGER, "record vsid=5001 ca=10.0.0.66 mac=" M("02") " host=h2"),
		-EEXIST);
	policy_free(p);
}

/* A host with ports is a member with or without records, and no longer than one of them says so. */
static void members(void **state)
{
	struct policy *p = world_new(100);
	struct errbuf err = { "" };

	assert_int_equal(world_set(p, ORIGIN_MANAGER, "subnet vsid=5001 rdid=t1 gateways=[10.0.0.1/24]"), 0);
	assert_int_equal(policy_member_add(p, 5001, "h1", &err), 0); /* ourselves */
	assert_int_equal(policy_member_add(p, 5001, "h2", &err), 0);
	assert_int_equal(policy_member_add(p, 5001, "h3", &err), 0);
	assert_int_equal(policy_subnet(p, 5001)->flood->n_hosts, 2);
	assert_int_equal(world_set(p, ORIGIN_MANAGER, "record vsid=5001 ca=10.0.0.2 mac=02:00:00:00:00:02 host=h2"), 0);
	assert_int_equal(policy_subnet(p, 5001)->flood->n_hosts, 2);
	assert_int_equal(policy_member_remove(p, 5001, "h2"), 0);
	assert_int_equal(policy_member_remove(p, 5001, "h3"), 0);
	assert_int_equal(policy_member_remove(p, 5001, "h1"), 0);
	assert_int_equal(policy_subnet(p, 5001)->flood->n_hosts, 1);
	assert_int_equal(policy_member_add(p, 5001, "h2", &err), 0);
	assert_int_equal(world_remove(p, ORIGIN_MANAGER, "record vsid=5001 ca=10.0.0.2"), 0);
	assert_int_equal(policy_subnet(p, 5001)->flood->n_hosts, 1);
	assert_int_equal(policy_member_remove(p, 5001, "h2"), 0);
	assert_int_equal(policy_subnet(p, 5001)->flood->n_hosts, 0);
	assert_int_equal(policy_host_index(p, "h2"), HOST_NONE);
	policy_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(contradictions),
		cmocka_unit_test(no_contradiction),
		cmocka_unit_test(gateway_before_and_after),
		cmocka_unit_test(ranks),
		cmocka_unit_test(rank_text),
		cmocka_unit_test(read_back),
		cmocka_unit_test(limits),
		cmocka_unit_test(move),
		cmocka_unit_test(members),
	};

	return cmocka_run_group_tests_name("policy-objects", tests, world_setup, world_teardown);
}
