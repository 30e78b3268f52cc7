/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Verdicts, packet by packet: bridged, routed, from the wire, sources; HNV rows 1-3, 11, 13, 14, 16, 17 in
 * the small.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/str.h"
#include "policy/policy_private.h"
#include "policy_world.h"

#define M(n)   "02:00:00:00:00:" n
#define GW(n)  "02:47:57:00:13:" n
#define GW5001 GW("89")
#define GW5002 GW("8a")

/*
 * Host h1 (here): a, a2 in 5001, c in 5002, gw in 5009 (a gateway VM), x in 6001 (other tenant, same
 * addresses as a), s in 5003 (static only), l1 and l2 on the plain segment. Host h2: b in 5001, d in 5002,
 * gw2 in 5009. h3 is dead. 5003 does not learn.
 */
static const char *const world[] = {
	"host id=h1 pas=[{address=192.0.2.1}]",
	"host id=h2 pas=[{address=192.0.2.2},{address=192.0.2.22}]",
	"host id=h3 pas=[{address=192.0.2.3}]",
	"subnet vsid=5001 rdid=t1 gateways=[10.0.0.1/24,fd00:1::1/64,fe80::1/64]",
	"subnet vsid=5002 rdid=t1 gateways=[10.0.1.1/24,fd00:2::1/64]",
	"subnet vsid=5003 rdid=t1 gateways=[10.0.3.1/24] learning=false",
	"subnet vsid=5009 rdid=t1 gateways=[10.0.9.1/24] learning=false",
	"subnet vsid=6001 rdid=t2 gateways=[10.0.0.1/24,10.77.0.1/16]",
	"port id=a vsid=5001 macs=[" M("0a") "]",
	"port id=a2 vsid=5001 macs=[" M("1a") "," M("2a") "] addresses=[10.0.0.128/25]",
	"port id=c vsid=5002 macs=[" M("0c") "]",
	"port id=gw vsid=5009 macs=[" M("90") "]",
	"port id=x vsid=6001 macs=[" M("0a") "]",
	"port id=s vsid=5003 macs=[" M("03") "]",
	"port id=l1 macs=[" M("e1") "]",
	"port id=l2 macs=[" M("e2") "]",
	"port id=l3", /* any MAC */
	"port id=lost vsid=7777 macs=[" M("77") "]",
	"record vsid=5001 ca=10.0.0.10 mac=" M("0a") " host=h1",
	"record vsid=5001 ca=fd00:1::a mac=" M("0a") " host=h1",
	"record vsid=5001 ca=10.0.0.11 mac=" M("0b") " host=h2",
	"record vsid=5001 ca=fd00:1::b mac=" M("0b") " host=h2",
	"record vsid=5001 ca=10.0.0.13 mac=" M("13") " host=h2 provider-address=192.0.2.22",
	"record vsid=5001 ca=10.0.0.14 mac=" M("14") " host=h3",
	"record vsid=5001 ca=10.0.0.15 mac=" M("15") " host=h2 unusable",
	"record vsid=5001 ca=10.0.0.16 mac=" M("16") " host=h1", /* no such port here */
	"record vsid=5001 ca=10.0.0.60 mac=" M("1a") " host=h1",
	"record vsid=5002 ca=10.0.1.12 mac=" M("0c") " host=h1",
	"record vsid=5002 ca=10.0.1.13 mac=" M("0d") " host=h2",
	"record vsid=5002 ca=fd00:2::d mac=" M("0d") " host=h2",
	"record vsid=5003 ca=10.0.3.3 mac=" M("03") " host=h1",
	"record vsid=5009 ca=10.0.9.2 mac=" M("90") " host=h1",
	"record vsid=5009 mac=" M("90") " host=h1 type=gateway-wildcard",
	"record vsid=5009 ca=10.0.9.3 mac=" M("91") " host=h2",
	"record vsid=5009 mac=" M("91") " host=h2 type=gateway-wildcard",
	"record vsid=6001 ca=10.0.0.10 mac=" M("0a") " host=h1",
	"record vsid=6001 ca=10.0.0.11 mac=" M("0b") " host=h2",
	"route rdid=t1 vsid=5009 prefix=0.0.0.0/0 next-hop=10.0.9.2 metric=10",
	"route rdid=t1 vsid=5009 prefix=0.0.0.0/0 next-hop=10.0.9.3 metric=20",
	"route rdid=t1 vsid=5009 prefix=172.16.0.0/12 next-hop=10.0.9.3",
	"route rdid=t1 vsid=5009 prefix=172.16.5.5/32 next-hop=10.0.9.2",
	"route rdid=t1 vsid=5002 prefix=172.30.0.0/16 next-hop=10.0.1.13 metric=1",
	"route rdid=t1 vsid=5009 prefix=172.31.0.0/16 next-hop=10.0.9.66",
	"route rdid=t1 vsid=4099 prefix=172.29.0.0/16",
	"route rdid=t1 vsid=5002 prefix=fd00:99::/32 next-hop=fd00:2::d",
};

static struct policy *filled(void)
{
	struct policy *p = world_new(1000);

	for (size_t i = 0; i < sizeof(world) / sizeof(world[0]); i++)
		if (world_set(p, ORIGIN_ADMIN, "%s", world[i]) != 0)
			fail_msg("%s", world_error());
	assert_int_equal(policy_host_usable(p, "h3", false), 0);
	return p;
}

struct send {
	const char *port, *src_mac, *dst_mac, *src, *dst, *expect;
};

static void expect(struct policy *p, const struct send *s)
{
	struct outcome o = world_send(p, s->port, s->src_mac, s->dst_mac, s->src, s->dst, 0, NULL);

	if (strcmp(world_text(&o), s->expect) != 0)
		fail_msg("%s %s > %s %s > %s: %s, expected %s", s->port, s->src_mac, s->dst_mac,
			 s->src ? s->src : "-", s->dst ? s->dst : "-", world_text(&o), s->expect);
}

static void expect_all(struct policy *p, const struct send *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		expect(p, &s[i]);
}

#define EXPECT_ALL(p, list) expect_all(p, list, sizeof(list) / sizeof((list)[0]))

static void bridged(void **state)
{
	static const struct send list[] = {
		{ "a", M("0a"), M("0b"), "10.0.0.10", "10.0.0.11", "remote h2" },
		{ "a", M("0a"), M("0b"), "fd00:1::a", "fd00:1::b", "remote h2" },
		{ "a", M("0a"), M("0b"), NULL, NULL, "remote h2" }, /* any EtherType, by MAC */
		{ "a", M("0a"), M("1a"), "10.0.0.10", "10.0.0.130", "local a2" },
		{ "a", M("0a"), M("2a"), "10.0.0.10", "10.0.0.130", "local a2" },
		{ "a", M("0a"), M("0a"), "10.0.0.10", "10.0.0.10", "drop split-horizon" },
		/* a dead host is found out when encapsulating, see policy_host_usable() */
		{ "a", M("0a"), M("14"), "10.0.0.10", "10.0.0.14", "remote h3" },
		{ "a", M("0a"), M("15"), "10.0.0.10", "10.0.0.15", "drop record-unusable" },
		{ "a", M("0a"), M("16"), "10.0.0.10", "10.0.0.16", "drop record-unusable" },
		{ "a", M("0a"), M("99"), "10.0.0.10", "10.0.0.99", "flood" },
		{ "s", M("03"), M("99"), "10.0.3.3", "10.0.3.99", "drop no-record" },
		{ "a", M("0a"), "ff:ff:ff:ff:ff:ff", "10.0.0.10", "10.0.0.255", "flood" },
		{ "s", M("03"), "01:00:5e:00:00:01", "10.0.3.3", "224.0.0.1", "flood" },
		{ "a", M("0a"), "01:80:c2:00:00:00", NULL, NULL, "drop reserved-mac" },
		{ "a", M("0a"), "01:80:c2:00:00:0f", NULL, NULL, "drop reserved-mac" },
		{ "a", M("0a"), "01:80:c2:00:00:10", NULL, NULL, "flood" },
		{ "a", M("0a"), "01:80:c2:00:01:00", NULL, NULL, "flood" },
		/* the other tenant: the same MACs and addresses, never here (row 13) */
		{ "x", M("0a"), M("0b"), "10.0.0.10", "10.0.0.11", "remote h2" },
		{ "x", M("0a"), M("1a"), "10.0.0.10", "10.0.0.130", "flood" },
		{ "lost", M("77"), M("0a"), "10.0.0.9", "10.0.0.10", "drop no-subnet" },
		/* the plain segment */
		{ "l1", M("e1"), M("e2"), "10.0.0.1", "10.0.0.2", "local l2" },
		{ "l1", M("e1"), M("0a"), "10.0.0.1", "10.0.0.2", "flood" },
		{ "l1", M("e1"), "ff:ff:ff:ff:ff:ff", "10.0.0.1", "10.0.0.2", "flood" },
		{ "l3", M("5e"), M("e1"), "9.9.9.9", "10.0.0.2", "local l1" },
		{ "l1", M("e2"), M("e1"), "9.9.9.9", "10.0.0.2", "drop src-mac" },
	};
	struct policy *p = filled();
	struct outcome o;

	EXPECT_ALL(p, list);
	o = world_send(p, "x", M("0a"), M("0b"), "10.0.0.10", "10.0.0.11", 0, NULL);
	assert_int_equal(o.vsid, 6001);
	assert_int_equal(o.pa, PA_ANY);
	o = world_send(p, "a", M("0a"), M("13"), "10.0.0.10", "10.0.0.13", 7, NULL);
	assert_int_equal(o.pa, 1);
	assert_int_equal(o.ttl, 7);
	assert_false(o.routed);
	policy_free(p);
}

static void sources(void **state)
{
	static const struct send list[] = {
		{ "a", M("0b"), M("0b"), "10.0.0.10", "10.0.0.11", "drop src-mac" },
		{ "a", "03:00:00:00:00:0a", M("0b"), NULL, NULL, "drop src-mac" },
		{ "a", M("0a"), M("0b"), "10.0.0.11", "10.0.0.11", "drop src-ip" },  /* b's */
		{ "a", M("0a"), M("0b"), "fd00:1::b", "fd00:1::b", "drop src-ip" },
		{ "a", M("0a"), M("0b"), "10.0.0.1", "10.0.0.11", "drop src-ip" },   /* the gateway's */
		{ "a", M("0a"), M("0b"), "fe80::1", "fd00:1::b", "drop src-ip" },
		{ "a", M("0a"), M("0b"), "10.0.0.77", "10.0.0.11", "remote h2" },    /* to be learned */
		{ "a", M("0a"), M("0b"), "fd00:1::77", "fd00:1::b", "remote h2" },
		{ "a", M("0a"), M("0b"), "8.8.8.8", "10.0.0.11", "drop src-ip" },    /* nobody's here */
		{ "a", M("0a"), M("0b"), "fd00:9::1", "fd00:1::b", "drop src-ip" },
		{ "a", M("0a"), M("0b"), "0.0.0.0", "10.0.0.11", "remote h2" },	     /* DHCP */
		{ "a", M("0a"), M("0b"), "::", "fd00:1::b", "remote h2" },
		{ "a", M("0a"), M("0b"), "fe80::a", "fd00:1::b", "remote h2" },
		{ "a", M("0a"), M("0b"), "224.0.0.5", "10.0.0.11", "drop src-ip" },
		{ "a", M("0a"), M("0b"), "127.0.0.1", "10.0.0.11", "drop src-ip" },
		{ "a", M("0a"), M("0b"), "255.255.255.255", "10.0.0.11", "drop src-ip" },
		{ "a", M("0a"), M("0b"), "ff02::1", "fd00:1::b", "drop src-ip" },
		{ "a", M("0a"), M("0b"), "::1", "fd00:1::b", "drop src-ip" },
		{ "a", M("0a"), M("0b"), "::ffff:10.0.0.10", "fd00:1::b", "drop src-ip" },
		{ "s", M("03"), M("99"), "10.0.3.4", "10.0.3.99", "drop src-ip" },   /* does not learn */
		{ "s", M("03"), "ff:ff:ff:ff:ff:ff", "10.0.3.3", "10.0.3.255", "flood" },
		/* a list of allowed addresses allows, and limits learning */
		{ "a2", M("1a"), M("0b"), "10.0.0.200", "10.0.0.11", "remote h2" },
		{ "a2", M("2a"), M("0b"), "10.0.0.77", "10.0.0.11", "drop src-ip" },
		{ "a2", M("2a"), M("0b"), "fe80::2a", "fd00:1::b", "remote h2" },
		/* gateway-wildcard: any but the gateway's */
		{ "gw", M("90"), M("91"), "8.8.8.8", "10.0.9.3", "remote h2" },
		{ "gw", M("90"), M("91"), "10.0.9.1", "10.0.9.3", "drop src-ip" },
		{ "gw", M("90"), M("91"), "224.0.0.5", "10.0.9.3", "drop src-ip" },
	};
	struct policy *p = filled();

	EXPECT_ALL(p, list);
	policy_free(p);
}

/*
 * What is remembered for the next packet must not outlive the policy, the MAC or the family it was true for.
 */
static void source_memory(void **state)
{
	struct policy_src_cache c = { 0 };
	struct policy *p = filled();
	struct outcome o;
	uint64_t gen;

	o = world_send(p, "a", M("0a"), M("0b"), "10.0.0.77", "10.0.0.11", 0, &c);
	assert_string_equal(world_text(&o), "remote h2");
	assert_int_equal(c.n_ip, 1);
	o = world_send(p, "a", M("0a"), M("0b"), "10.0.0.10", "10.0.0.11", 0, &c);
	assert_int_equal(c.n_ip, 2);
	gen = c.gen;
	o = world_send(p, "a", M("0a"), M("0b"), "10.0.0.77", "10.0.0.11", 0, &c);
	assert_int_equal(c.n_ip, 2);
	assert_int_equal(c.gen, gen);
	/* 10.0.0.77 is another's from now on. */
	assert_int_equal(
		world_set(p, ORIGIN_LEARNED, "record vsid=5001 ca=10.0.0.77 mac=" M("7b") " host=h2"), 0);
	o = world_send(p, "a", M("0a"), M("0b"), "10.0.0.77", "10.0.0.11", 0, &c);
	assert_string_equal(world_text(&o), "drop src-ip");
	assert_int_equal(world_remove(p, ORIGIN_LEARNED, "record vsid=5001 ca=10.0.0.77"), 0);
	o = world_send(p, "a", M("0a"), M("0b"), "10.0.0.77", "10.0.0.11", 0, &c);
	assert_string_equal(world_text(&o), "remote h2");
	/* The same bytes in IPv6 are another address. */
	o = world_send(p, "a", M("0a"), M("0b"), "::ffff:10.0.0.77", "fd00:1::b", 0, &c);
	assert_string_equal(world_text(&o), "drop src-ip");
	o = world_send(p, "a", M("0a"), M("0b"), "::a00:4d:0:0", "fd00:1::b", 0, &c);
	assert_string_equal(world_text(&o), "drop src-ip");
	/* An address is good for one MAC of the port. */
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "port id=a vsid=5001 macs=[" M("0a") "," M("aa") "]"), 0);
	o = world_send(p, "a", M("0a"), M("0b"), "10.0.0.10", "10.0.0.11", 0, &c);
	assert_string_equal(world_text(&o), "remote h2");
	o = world_send(p, "a", M("aa"), M("0b"), "10.0.0.10", "10.0.0.11", 0, &c);
	assert_string_equal(world_text(&o), "drop src-ip");
	/* A MAC taken from the port is refused at once. */
	o = world_send(p, "a", M("aa"), M("0b"), "10.0.0.88", "10.0.0.11", 0, &c);
	assert_string_equal(world_text(&o), "remote h2");
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "port id=a vsid=5001 macs=[" M("0a") "]"), 0);
	o = world_send(p, "a", M("aa"), M("0b"), "10.0.0.88", "10.0.0.11", 0, &c);
	assert_string_equal(world_text(&o), "drop src-mac");
	/* So is an address when the subnet stops learning. */
	o = world_send(p, "a", M("0a"), M("0b"), "10.0.0.88", "10.0.0.11", 0, &c);
	assert_string_equal(world_text(&o), "remote h2");
	assert_int_equal(
		world_set(p, ORIGIN_ADMIN,
			  "subnet vsid=5001 rdid=t1 gateways=[10.0.0.1/24,fd00:1::1/64] learning=false"),
		0);
	o = world_send(p, "a", M("0a"), M("0b"), "10.0.0.88", "10.0.0.11", 0, &c);
	assert_string_equal(world_text(&o), "drop src-ip");
	policy_free(p);
}

static void routed(void **state)
{
	static const struct send list[] = {
		{ "a", M("0a"), GW5001, "10.0.0.10", "10.0.1.13", "remote h2" },
		{ "a", M("0a"), GW5001, "fd00:1::a", "fd00:2::d", "remote h2" },
		{ "a", M("0a"), GW5001, "10.0.0.10", "10.0.1.12",
		  "local c" }, /* never encapsulated (row 14) */
		{ "a", M("0a"), GW5001, "10.0.0.10", "10.0.0.11",
		  "remote h2" }, /* back into its own subnet */
		{ "a", M("0a"), GW5001, "10.0.0.10", "10.0.0.10", "drop split-horizon" },
		{ "a", M("0a"), GW5001, "10.0.0.10", "10.0.0.14", "drop record-unusable" }, /* dead host */
		{ "a", M("0a"), GW5001, "10.0.0.10", "10.0.0.15", "drop record-unusable" },
		{ "a", M("0a"), GW5001, "10.0.0.10", "10.0.0.16", "drop record-unusable" },
		{ "a", M("0a"), GW5001, "10.0.0.10", "10.0.1.99", "drop no-record" },
		{ "a", M("0a"), GW5001, "10.0.0.10", "172.31.0.1",
		  "drop no-record" }, /* next hop without record */
		{ "a", M("0a"), GW5001, "10.0.0.10", "172.29.0.1", "drop no-subnet" },
		/* the gateway's own addresses, of any subnet of the domain: for the caller */
		{ "a", M("0a"), GW5001, "10.0.0.10", "10.0.0.1", "route" },
		{ "a", M("0a"), GW5001, "10.0.0.10", "10.0.1.1", "route" },
		{ "a", M("0a"), GW5001, "fd00:1::a", "fd00:2::1", "route" },
		{ "a", M("0a"), GW5001, "fe80::a", "fe80::1", "route" },
		{ "a", M("0a"), GW5001, "fe80::a", "fe80::2", "drop no-route" },
		{ "a", M("0a"), GW5001, "10.0.0.10", "10.0.9.1", "route" },
		/* never routed */
		{ "a", M("0a"), GW5001, "10.0.0.10", "224.0.0.1", "drop no-route" },
		{ "a", M("0a"), GW5001, "10.0.0.10", "255.255.255.255", "drop no-route" },
		{ "a", M("0a"), GW5001, "10.0.0.10", "127.0.0.1", "drop no-route" },
		{ "a", M("0a"), GW5001, "fd00:1::a", "ff02::1", "drop no-route" },
		{ "a", M("0a"), GW5001, NULL, NULL, "drop no-route" },
		/* walls: 10.77/16 is known in t2 only (row 16); fd77:: is known nowhere */
		{ "a", M("0a"), GW5001, "fd00:1::a", "fd77::1", "drop no-route" },
		{ "x", M("0a"), GW("00"), "10.0.0.10", "10.0.1.13", "flood" }, /* not x's gateway MAC */
		{ "x", M("0a"), "02:47:57:00:17:71", "10.0.0.10", "10.0.1.13", "drop rdid" },
		{ "x", M("0a"), "02:47:57:00:17:71", "10.0.0.10", "9.9.9.9", "drop no-route" },
		{ "x", M("0a"), "02:47:57:00:17:71", "10.0.0.10", "10.0.0.11", "remote h2" },
		/* gateway routes: longest prefix, metric (row 17) */
		{ "a", M("0a"), GW5001, "10.0.0.10", "8.8.8.8", "local gw" },
		{ "a", M("0a"), GW5001, "10.0.0.10", "172.16.5.4", "remote h2" },
		{ "a", M("0a"), GW5001, "10.0.0.10", "172.16.5.5", "local gw" },
		{ "a", M("0a"), GW5001, "fd00:1::a", "fd00:99::1", "remote h2" },
		/* what a gateway VM sends on is not routed to a gateway again (row 3) */
		{ "gw", M("90"), GW("91"), "8.8.8.8", "10.0.0.10", "local a" },
		{ "gw", M("90"), GW("91"), "8.8.8.8", "9.9.9.9", "drop no-route" },
		{ "gw", M("90"), GW("91"), "8.8.8.8", "172.16.5.4", "drop no-route" },
		{ "gw", M("90"), GW("91"), "8.8.8.8", "10.0.0.99", "drop no-record" },
		{ "gw", M("90"), GW("91"), "8.8.8.8", "172.30.0.1",
		  "remote h2" }, /* through a VM that is none */
	};
	struct policy *p = filled();
	struct outcome o;

	EXPECT_ALL(p, list);
	o = world_send(p, "a", M("0a"), GW5001, "10.0.0.10", "10.0.1.13", 64, NULL);
	assert_int_equal(o.vsid, 5002);
	assert_true(o.routed);
	assert_int_equal(o.ttl, 63);
	assert_true(mac_equal(&o.dst_mac, &(struct mac){ { 2, 0, 0, 0, 0, 0x0d } }));
	assert_true(mac_equal(&o.src_mac, &(struct mac){ { 2, 'G', 'W', 0, 0x13, 0x8a } }));
	/* What a subnet has on-link is not for next hops, known or not. */
	assert_int_equal(
		world_set(p, ORIGIN_ADMIN, "route rdid=t1 vsid=5001 prefix=10.0.1.0/24 next-hop=10.0.0.11"),
		0);
	o = world_send(p, "a", M("0a"), GW5001, "10.0.0.10", "10.0.1.12", 64, NULL);
	assert_string_equal(world_text(&o), "local c");
	o = world_send(p, "a", M("0a"), GW5001, "10.0.0.10", "10.0.1.99", 64, NULL);
	assert_string_equal(world_text(&o), "drop no-record");
	/* The key of a gateway route is the next hop's subnet (row 2). */
	o = world_send(p, "a", M("0a"), GW5001, "10.0.0.10", "172.16.5.4", 64, NULL);
	assert_int_equal(o.vsid, 5009);
	assert_true(mac_equal(&o.dst_mac, &(struct mac){ { 2, 0, 0, 0, 0, 0x91 } }));
	/* To the gateway itself: nothing rewritten. */
	o = world_send(p, "a", M("0a"), GW5001, "10.0.0.10", "10.0.1.1", 64, NULL);
	assert_int_equal(o.ttl, 64);
	assert_false(o.routed);
	policy_free(p);
}

static void ttl(void **state)
{
	struct policy *p = filled();
	struct outcome o;

	for (unsigned int t = 1; t < 256; t++) {
		o = world_send(p, "a", M("0a"), GW5001, "10.0.0.10", "10.0.1.13", (uint8_t)t, NULL);
		assert_string_equal(world_text(&o), t == 1 ? "drop ttl" : "remote h2");
		assert_int_equal(o.ttl, t == 1 ? 1 : t - 1);
		o = world_send(p, "a", M("0a"), GW5001, "fd00:1::a", "fd00:2::d", (uint8_t)t, NULL);
		assert_string_equal(world_text(&o), t == 1 ? "drop ttl" : "remote h2");
		assert_int_equal(o.ttl, t == 1 ? 1 : t - 1);
	}
	policy_set_knobs(p, false, false);
	o = world_send(p, "a", M("0a"), GW5001, "10.0.0.10", "10.0.1.13", 1, NULL);
	assert_string_equal(world_text(&o), "remote h2");
	assert_int_equal(o.ttl, 1);
	policy_free(p);
}

static void metric_and_usable(void **state)
{
	static const struct send out = { "a", M("0a"), GW5001, "10.0.0.10", "8.8.8.8", "remote h2" };
	struct send s = out;
	struct policy *p = filled();

	/* The better gateway goes: its port, its record's usability, its host. */
	assert_int_equal(world_remove(p, ORIGIN_ADMIN, "port id=gw"), 0);
	expect(p, &s);
	assert_int_equal(
		world_set(p, ORIGIN_ADMIN, "record vsid=5009 ca=10.0.9.3 mac=" M("91") " host=h2 unusable"),
		0);
	s.expect = "drop record-unusable";
	expect(p, &s);
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "record vsid=5009 ca=10.0.9.3 mac=" M("91") " host=h2"),
			 0);
	assert_int_equal(policy_host_usable(p, "h2", false), 0);
	expect(p, &s);
	assert_int_equal(policy_host_usable(p, "h2", true), 0);
	assert_int_equal(policy_host_usable(p, "nobody", true), -ENOENT);
	s.expect = "remote h2";
	expect(p, &s);
	assert_int_equal(world_remove(p, ORIGIN_ADMIN, "record vsid=5009 ca=10.0.9.3"), 0);
	s.expect = "drop record-unusable"; /* the other gateway's record is there, without a port */
	expect(p, &s);
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "port id=gw vsid=5009 macs=[" M("90") "]"), 0);
	s.expect = "local gw";
	expect(p, &s);
	/* Metrics change places. */
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "record vsid=5009 ca=10.0.9.3 mac=" M("91") " host=h2"),
			 0);
	assert_int_equal(world_set(p, ORIGIN_ADMIN,
				   "route rdid=t1 vsid=5009 prefix=0.0.0.0/0 next-hop=10.0.9.3 metric=1"),
			 0);
	s.expect = "remote h2";
	expect(p, &s);
	assert_int_equal(world_remove(p, ORIGIN_ADMIN, "route rdid=t1 prefix=0.0.0.0/0 next-hop=10.0.9.3"),
			 0);
	s.expect = "local gw";
	expect(p, &s);
	assert_int_equal(world_remove(p, ORIGIN_ADMIN, "route rdid=t1 prefix=0.0.0.0/0 next-hop=10.0.9.2"),
			 0);
	s.expect = "drop no-route";
	expect(p, &s);
	policy_free(p);
}

/* HNV row 1: only a gateway-wildcard MAC gets packets for addresses that are nobody's. */
static void wildcard(void **state)
{
	struct policy *p = filled();
	const struct send out = { "a", M("0a"), GW5001, "10.0.0.10", "8.8.8.8", "drop no-record" };
	struct outcome o;

	o = world_receive(p, 5009, "h2", "02:47:57:00:13:91", M("90"), "10.0.0.11", "8.8.8.8");
	assert_string_equal(world_text(&o), "local gw");
	assert_int_equal(world_remove(p, ORIGIN_ADMIN, "record vsid=5009 mac=" M("90")), 0);
	o = world_receive(p, 5009, "h2", "02:47:57:00:13:91", M("90"), "10.0.0.11", "8.8.8.8");
	assert_string_equal(world_text(&o), "drop no-record");
	o = world_receive(p, 5009, "h2", "02:47:57:00:13:91", M("90"), "10.0.0.11", "10.0.9.2");
	assert_string_equal(world_text(&o), "local gw");
	expect(p, &out);
	policy_free(p);
}

/* A subnet that somebody else virtualizes: addresses are not our business, MACs are. */
static void external_subnet(void **state)
{
	static const struct send list[] = {
		{ "v", M("0e"), M("0f"), "8.8.8.8", "9.9.9.9", "remote h2" },
		{ "v", M("0e"), M("0f"), "10.0.8.1", "9.9.9.9", "remote h2" },
		{ "v", M("0b"), M("0f"), "8.8.8.8", "9.9.9.9", "drop src-mac" },
	};
	struct policy *p = filled();
	struct outcome o;

	assert_int_equal(world_set(p, ORIGIN_ADMIN,
				   "subnet vsid=5008 rdid=t8 gateways=[10.0.8.1/24] external=true "
				   "learning=false"),
			 0);
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "port id=v vsid=5008 macs=[" M("0e") "]"), 0);
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "record vsid=5008 ca=10.0.8.15 mac=" M("0f") " host=h2"),
			 0);
	EXPECT_ALL(p, list);
	o = world_receive(p, 5008, "h2", M("0f"), M("0e"), "9.9.9.9", "8.8.8.8");
	assert_string_equal(world_text(&o), "local v");
	policy_free(p);
}

static void external_router(void **state)
{
	static const struct send list[] = {
		{ "a", M("0a"), GW5001, "10.0.0.10", "10.0.1.13", "local gw" }, /* the next hop does it */
		{ "a", M("0a"), GW5001, "10.0.0.10", "10.0.1.12", "local gw" },
		{ "a", M("0a"), GW5001, "10.0.0.10", "10.0.0.11", "remote h2" },
		{ "a", M("0a"), GW5001, "10.0.0.10", "10.0.0.1", "route" },
		{ "a", M("0a"), GW5001, "fd00:1::a", "fd00:2::d", "drop no-route" },
	};
	struct policy *p = filled();

	policy_set_knobs(p, true, true);
	EXPECT_ALL(p, list);
	policy_free(p);
}

static void received(const struct world_receive *list, const struct outcome *o, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct world_receive *r = &list[i];

		if (strcmp(world_text(&o[i]), r->expect) != 0)
			fail_msg("%u %s %s > %s %s > %s: %s, expected %s", r->vsid, r->host, r->src_mac,
				 r->dst_mac, r->src ? r->src : "-", r->dst ? r->dst : "-", world_text(&o[i]),
				 r->expect);
		if (o[i].verdict == VERDICT_LOCAL || o[i].verdict == VERDICT_FLOOD)
			assert_int_equal(o[i].vsid, r->vsid);
	}
}

static void from_wire(void **state)
{
	static const struct world_receive list[] = {
		{ 5001, "h2", M("0b"), M("0a"), "10.0.0.11", "10.0.0.10", "local a" },
		{ 5001, "h2", M("0b"), M("0a"), "fd00:1::b", "fd00:1::a", "local a" },
		{ 6001, "h2", M("0b"), M("0a"), "10.0.0.11", "10.0.0.10", "local x" },
		{ 5001, "h2", M("0b"), M("0a"), NULL, NULL, "local a" },
		{ 5001, "h2", M("0b"), "ff:ff:ff:ff:ff:ff", "10.0.0.11", "10.0.0.255", "flood" },
		{ 5001, "h2", M("0b"), "01:80:c2:00:00:02", NULL, NULL, "drop reserved-mac" },
		{ 5001, "h2", M("0b"), M("99"), "10.0.0.11", "10.0.0.99", "drop not-local" },
		{ 5001, "h2", M("0b"), M("13"), "10.0.0.11", "10.0.0.13", "drop not-local" }, /* h2's own */
		{ 5001, "h2", M("0b"), M("16"), "10.0.0.11", "10.0.0.16", "drop not-local" },
		{ 5001, "h2", M("0b"), GW5001, "10.0.0.11", "10.0.1.12",
		  "drop not-local" }, /* routed at the source */
		{ 5001, "h3", M("0b"), M("0a"), "10.0.0.11", "10.0.0.10", "drop src-pa-mismatch" },
		{ 5001, "h1", M("0b"), M("0a"), "10.0.0.11", "10.0.0.10", "drop src-pa-mismatch" },
		{ 5001, "h2", M("1a"), M("0a"), "10.0.0.130", "10.0.0.10",
		  "drop src-pa-mismatch" }, /* ours */
		{ 5001, "h2", M("15"), M("0a"), "10.0.0.15", "10.0.0.10", "local a" },
		{ 5001, "h3", M("15"), M("0a"), "10.0.0.15", "10.0.0.10", "drop src-pa-mismatch" },
		{ 5001, "h3", M("14"), M("0a"), "10.0.0.14", "10.0.0.10", "local a" }, /* alive after all */
		{ 5001, "h2", M("98"), M("0a"), "10.0.0.98", "10.0.0.10", "local a" }, /* not learned yet */
		{ 5001, "", M("98"), M("0a"), "10.0.0.98", "10.0.0.10", "drop src-pa-mismatch" },
		{ 5001, "h2", "03:00:00:00:00:01", M("0a"), "10.0.0.98", "10.0.0.10", "drop src-record" },
		{ 5003, "h2", M("98"), M("03"), "10.0.3.98", "10.0.3.3", "drop src-record" },
		{ 5002, "h2", GW5002, M("0c"), "10.0.0.11", "10.0.1.12", "local c" }, /* routed there */
		{ 5002, "h3", GW5002, M("0c"), "10.0.0.11", "10.0.1.12", "local c" },
		{ 5002, "h1", GW5002, M("0c"), "10.0.0.11", "10.0.1.12", "drop src-pa-mismatch" },
		{ 4096, "h2", M("0b"), M("0a"), "10.0.0.11", "10.0.0.10", "drop vsid-unknown" },
		{ 7777, "h2", M("0b"), M("77"), "10.0.0.11", "10.0.0.10", "drop vsid-unknown" },
		/* the inner destination (row 1) */
		{ 5001, "h2", M("0b"), M("0a"), "10.0.0.11", "8.8.8.8", "drop no-record" },
		{ 5001, "h2", M("0b"), M("0a"), "10.0.0.11", "10.0.0.13", "drop no-record" }, /* another's */
		{ 5001, "h2", M("0b"), M("0a"), "10.0.0.11", "10.0.0.55", "local a" }, /* not learned yet */
		{ 5001, "h2", M("0b"), M("0a"), "10.0.0.11", "255.255.255.255", "local a" }, /* DHCP */
		{ 5001, "h2", M("0b"), M("0a"), "fe80::b", "fe80::a", "local a" },
		{ 5001, "h2", M("0b"), M("1a"), "10.0.0.11", "10.0.0.200", "local a2" },
		{ 5001, "h2", M("0b"), M("1a"), "10.0.0.11", "10.0.0.60", "local a2" },
		{ 5001, "h2", M("0b"), M("2a"), "10.0.0.11", "10.0.0.60",
		  "drop no-record" }, /* the other MAC's */
		{ 5003, "h2", GW("8b"), M("03"), "10.0.0.11", "10.0.3.3", "local s" },
		{ 5003, "h2", GW("8b"), M("03"), "10.0.0.11", "10.0.3.4", "drop no-record" },
	};
	const size_t n = sizeof(list) / sizeof(list[0]);
	struct policy *p = filled();
	struct outcome all[64];

	assert_true(n > 32 && n < 64); /* more than one round of a burst */
	/* One by one, and all in one burst. */
	for (size_t i = 0; i < n; i++)
		all[i] = world_receive(p, list[i].vsid, list[i].host, list[i].src_mac, list[i].dst_mac,
				       list[i].src, list[i].dst);
	received(list, all, n);
	world_receive_burst(p, list, all, n);
	received(list, all, n);
	policy_free(p);
}

/* HNV row 11: the VSID of a port is all it takes; what the port leaves behind is what the records say. */
static void port_comes_and_goes(void **state)
{
	struct policy *p = filled();
	struct send s = { "a", M("0a"), M("16"), "10.0.0.10", "10.0.0.16", "local late" };
	struct send r = { "c", M("0c"), GW5002, "10.0.1.12", "10.0.0.16", "local late" };

	assert_int_equal(world_set(p, ORIGIN_ADMIN, "port id=late vsid=5001 macs=[" M("16") "]"), 0);
	expect(p, &s);
	expect(p, &r);
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "port id=late macs=[" M("16") "]"), 0); /* VSID 0 */
	s.expect = r.expect = "drop record-unusable";
	expect(p, &s);
	expect(p, &r);
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "port id=late vsid=5001 macs=[" M("0b") "]"), 0);
	s.dst_mac = M("0b");
	r.dst = "10.0.0.11";
	s.expect = r.expect = "local late"; /* a record says h2 */
	expect(p, &s);
	expect(p, &r);
	assert_int_equal(world_remove(p, ORIGIN_ADMIN, "port id=late"), 0);
	s.expect = r.expect = "remote h2";
	expect(p, &s);
	expect(p, &r);
	/* A MAC without a record. */
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "port id=late vsid=5003 macs=[" M("44") "]"), 0);
	s = (struct send){ "s", M("03"), M("44"), "10.0.3.3", "10.0.3.4", "local late" };
	expect(p, &s);
	assert_int_equal(world_remove(p, ORIGIN_ADMIN, "port id=late"), 0);
	s.expect = "drop no-record";
	expect(p, &s);
	policy_free(p);
}

/* Packets that have a verdict are left alone; big and mixed bursts come out like single packets. */
static void leaves_verdicts_alone(void **state)
{
	struct policy *p = filled();
	const struct policy_port *port = policy_port(p, policy_port_index(p, "a"));
	const struct policy_subnet *s = policy_subnet(p, 5001);
	struct {
		struct rte_mbuf m;
		struct pkt_meta meta;
		uint8_t frame[64];
	} k[100];
	struct rte_mbuf *pkts[100];
	struct policy_src_cache cache = { 0 };

	memset(k, 0, sizeof(k));
	for (unsigned int i = 0; i < 100; i++) {
		struct mac dst = world_mac(i % 3 ? M("0b") : GW5001), src = world_mac(M("0a"));

		k[i].m.buf_addr = k[i].frame;
		k[i].m.priv_size = sizeof(k[i].meta);
		k[i].m.data_len = 60;
		memcpy(k[i].frame, &dst, 6);
		memcpy(k[i].frame + 6, &src, 6);
		k[i].meta.src = port->index;
		k[i].meta.verdict = i % 5 ? VERDICT_NONE : VERDICT_REPLY;
		pkts[i] = &k[i].m;
	}
	policy_source_burst(p, port, s, &cache, pkts, 100);
	policy_lookup_burst(p, port, s, pkts, 100);
	policy_route_burst(p, s, pkts, 100);
	for (unsigned int i = 0; i < 100; i++) {
		enum verdict want = i % 5 == 0 ? VERDICT_REPLY : i % 3 ? VERDICT_REMOTE : VERDICT_DROP;

		assert_int_equal(k[i].meta.verdict, want);
	}
	policy_free(p);
}

static void next_hop(void **state)
{
	static const struct {
		uint32_t vsid;
		const char *from, *to, *expect, *via;
		bool routed;
		uint32_t out;
	} list[] = {
		{ 5001, "10.0.0.10", "10.0.0.11", "remote h2", "10.0.0.11", false, 5001 },
		{ 5001, "10.0.0.10", "10.0.0.16", "drop record-unusable", "10.0.0.16", false, 5001 },
		{ 5001, "10.0.0.10", "10.0.0.14", "drop record-unusable", "10.0.0.14", false, 5001 },
		{ 5001, "10.0.0.10", "10.0.0.99", "flood", "10.0.0.99", false, 5001 },
		{ 5003, "10.0.3.3", "10.0.3.99", "drop no-record", "10.0.3.99", false, 5003 },
		{ 5001, "10.0.0.10", "10.0.0.1", "route", "10.0.0.1", false, 5001 },
		{ 5001, "10.0.0.10", "10.0.1.1", "route", "10.0.1.1", true, 5001 },
		{ 5001, "10.0.0.10", "10.0.1.12", "local c", "10.0.1.12", true, 5002 },
		{ 5001, "fd00:1::a", "fd00:2::d", "remote h2", "fd00:2::d", true, 5002 },
		{ 5001, "10.0.0.10", "8.8.8.8", "local gw", "10.0.9.2", true, 5009 },
		{ 5009, "10.0.9.2", "8.8.8.8", "drop no-route", "8.8.8.8", true, 5009 },
		{ 6001, "10.0.0.10", "10.0.1.12", "drop rdid", "10.0.1.12", true, 6001 },
	};
	struct policy *p = filled();
	struct policy_next_hop h;
	struct ip_addr four = world_ip("10.0.0.10"), six = world_ip("fd00::1");

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		struct ip_addr from = world_ip(list[i].from), to = world_ip(list[i].to),
			       via = world_ip(list[i].via);
		struct outcome o = { 0 };

		assert_int_equal(policy_next_hop(p, list[i].vsid, &from, &to, &h), 0);
		o.verdict = h.verdict;
		o.drop = h.drop;
		if (h.verdict == VERDICT_LOCAL)
			str_copy(o.to, sizeof(o.to), policy_port(p, h.port)->id);
		if (h.verdict == VERDICT_REMOTE)
			str_copy(o.to, sizeof(o.to), policy_host(p, h.host)->id);
		if (strcmp(world_text(&o), list[i].expect) != 0)
			fail_msg("%u %s > %s: %s, expected %s", list[i].vsid, list[i].from, list[i].to,
				 world_text(&o), list[i].expect);
		assert_true(ip_equal(&h.next_hop, &via));
		assert_int_equal(h.routed, list[i].routed);
		assert_int_equal(h.vsid_out, list[i].out);
	}
	assert_int_equal(policy_next_hop(p, 4097, &four, &four, &h), -ENOENT);
	assert_int_equal(policy_next_hop(p, 5001, &four, &six, &h), -EINVAL);
	policy_free(p);
}

/*
 * IPv6 keys are hashes: an entry that belongs to another address of the same hash is no answer. Such
 * addresses cannot be found, so the entries are pointed to other objects here.
 */
static void collisions(void **state)
{
	struct send direct = { "a", M("0a"), GW5001, "fd00:1::a", "fd00:2::d", "drop no-record" };
	struct send via = { "a", M("0a"), GW5001, "fd00:1::a", "fd00:99::1", "drop no-record" };
	struct policy *p = filled();
	struct ip_addr d = world_ip("fd00:2::d"), b = world_ip("fd00:1::b"), pa = world_ip("2001:db8::9"),
		       other;
	struct ip_prefix net = { .addr = world_ip("fd00:2::"), .len = 64 };
	uint32_t slot = table_slot(&p->ca, ca_key(p, 5002, &d), 0), was = table_value(&p->ca, slot), rdid;

	table_set_value(&p->ca, slot, policy_ca_lookup(p, 5001, &b));
	assert_int_equal(policy_ca_lookup(p, 5002, &d), REC_NONE);
	expect(p, &direct);
	expect(p, &via);
	table_set_value(&p->ca, slot, CA_GATEWAY);
	assert_int_equal(policy_ca_lookup(p, 5002, &d), REC_NONE);
	expect(p, &direct);
	/* A record with this hash cannot be made, nor a gateway. */
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "record vsid=5002 ca=fd00:2::d mac=" M("d0") " host=h2"),
			 -EEXIST);
	assert_non_null(strstr(world_error(), "shares its hash"));
	assert_int_equal(
		world_set(p, ORIGIN_ADMIN, "subnet vsid=5002 rdid=t1 gateways=[10.0.1.1/24,fd00:2::d/64]"),
		-EEXIST);
	table_set_value(&p->ca, slot, was);
	direct.expect = "remote h2";
	expect(p, &direct);
	/* The prefix's entry with another prefix's route. */
	rdid = policy_subnet(p, 5001)->rdid;
	slot = table_slot(&p->route, route_key(p, rdid, 6, 64, net.addr.b), 0);
	was = table_value(&p->route, slot);
	net.addr = world_ip("fd00:1::");
	table_set_value(
		&p->route, slot,
		table_value(&p->route, table_slot(&p->route, route_key(p, rdid, 6, 64, net.addr.b), 0)));
	direct.expect = "drop rdid"; /* some domain has the prefix: ours, which cannot be found */
	expect(p, &direct);
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "route rdid=t1 vsid=5002 prefix=fd00:2::/64 metric=3"),
			 -EEXIST);
	table_set_value(&p->route, slot, was);
	/* A provider address. */
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "host id=h9 pas=[{address=2001:db8::9}]"), 0);
	other = world_ip("2001:db8::8");
	slot = table_slot(&p->pa, ca_key(p, 0, &pa), 0);
	assert_int_not_equal(policy_host_of_pa(p, &pa), HOST_NONE);
	assert_int_equal(policy_host_of_pa(p, &other), HOST_NONE);
	was = table_value(&p->pa, slot);
	table_set_value(&p->pa, slot, policy_host_index(p, "h2"));
	assert_int_equal(policy_host_of_pa(p, &pa), HOST_NONE);
	table_set_value(&p->pa, slot, was);
	policy_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bridged),
		cmocka_unit_test(sources),
		cmocka_unit_test(source_memory),
		cmocka_unit_test(routed),
		cmocka_unit_test(ttl),
		cmocka_unit_test(metric_and_usable),
		cmocka_unit_test(wildcard),
		cmocka_unit_test(external_router),
		cmocka_unit_test(external_subnet),
		cmocka_unit_test(from_wire),
		cmocka_unit_test(port_comes_and_goes),
		cmocka_unit_test(leaves_verdicts_alone),
		cmocka_unit_test(next_hop),
		cmocka_unit_test(collisions),
	};

	return cmocka_run_group_tests_name("policy-lookup", tests, world_setup, world_teardown);
}
