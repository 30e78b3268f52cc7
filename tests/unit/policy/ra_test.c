/* SPDX-License-Identifier: BSD-3-Clause */
/* Router advertisements of a subnet's gateway, and who asks for them (RFC 4861 4.1, 4.2, 6.2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/pkt.h"
#include "frame.h"
#include "packet.h"
#include "policy_world.h"

#define MAC "02:00:00:00:00:0a"
#define GATEWAYS "gateways=[10.0.0.1/24,fd00:1::1/64,fe80::1/64,fd00:2::1/72]"

static struct policy *policy;

static const struct policy_port *make(const char *subnet)
{
	policy = world_new(100);
	assert_int_equal(world_set(policy, ORIGIN_CONFIG, "subnet vsid=5001 rdid=t gateway-mac=02:00:00:00:00:01 %s",
				   subnet), 0);
	assert_int_equal(world_set(policy, ORIGIN_CONFIG, "port id=a vsid=5001 macs=[" MAC "]"), 0);
	return policy_port(policy, policy_port_index(policy, "a"));
}

static const uint8_t expected[] = {
	0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 1, 0x86, 0xdd,
	0x60, 0, 0, 0, 0, 96, 58, 255,
	0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
	0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
	134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0,
	1, 1, 2, 0, 0, 0, 0, 1,
	5, 1, 0, 0, 0, 0, 0x05, 0x8a, /* 1418 */
	3, 4, 64, 0xc0, 0, 0x27, 0x8d, 0, 0, 0x09, 0x3a, 0x80, 0, 0, 0, 0,
	0xfd, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	3, 4, 72, 0x80, 0, 0x27, 0x8d, 0, 0, 0x09, 0x3a, 0x80, 0, 0, 0, 0, /* no addresses of their own making */
	0xfd, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
};

static void test_whole(void **state)
{
	const struct policy_port *port = make(GATEWAYS " ra=true");
	struct packet *p = packet_new(NULL, 64, 128, 256);
	uint8_t seen[sizeof(expected)];

	assert_true(policy_neigh_advertise(policy, port, 1418, false, &p->m));
	assert_int_equal(p->meta.verdict, VERDICT_LOCAL);
	assert_int_equal(p->meta.dst, port->index);
	assert_int_equal(p->meta.vsid_out, 5001);
	assert_int_equal(p->m.pkt_len, sizeof(expected));
	/* The parser takes it for a sound one, its checksum included. */
	assert_int_equal(pkt_parse(packet_data(p), p->m.pkt_len, p->m.pkt_len, &p->meta.pkt), DROP_NONE);
	assert_int_equal(p->meta.pkt.kind, PKT_ND);
	memcpy(seen, packet_data(p), sizeof(seen));
	seen[56] = seen[57] = 0; /* the checksum */
	assert_memory_equal(seen, expected, sizeof(expected));
	packet_free(p);
	policy_free(policy);
}

/* A link that IPv6 does not know, and one of which nothing is known, is not told. */
static void test_without_mtu(void **state)
{
	const struct policy_port *port = make(GATEWAYS " ra=true");

	for (unsigned int mtu = 0; mtu < 1280; mtu += 1279) {
		struct packet *p = packet_new(NULL, 64, 128, 256);

		assert_true(policy_neigh_advertise(policy, port, (uint16_t)mtu, false, &p->m));
		assert_int_equal(p->m.pkt_len, sizeof(expected) - 8);
		packet_free(p);
	}
	policy_free(policy);
}

static void test_not_wanted(void **state)
{
	static const char *const subnets[] = { GATEWAYS, GATEWAYS " ra=true external=true" };

	for (unsigned int i = 0; i < sizeof(subnets) / sizeof(subnets[0]); i++) {
		const struct policy_port *port = make(subnets[i]);
		struct packet *p = packet_new(NULL, 64, 128, 256);

		assert_false(policy_neigh_advertise(policy, port, 1418, false, &p->m));
		packet_free(p);
		policy_free(policy);
	}
	/* A router has to have a link-local address. */
	policy = world_new(100);
	assert_int_equal(world_set(policy, ORIGIN_CONFIG, "subnet vsid=5001 rdid=t gateways=[fd00:1::1/64] ra=true"),
			 -EINVAL);
	policy_free(policy);
}

/* Where the router has been one: once, with a lifetime of 0 and everything else as it was. */
static void test_last(void **state)
{
	const struct policy_port *port = make(GATEWAYS);
	struct packet *p = packet_new(NULL, 64, 128, 256);

	assert_true(policy_neigh_advertise(policy, port, 1418, true, &p->m));
	assert_int_equal(pkt_parse(packet_data(p), p->m.pkt_len, p->m.pkt_len, &p->meta.pkt), DROP_NONE);
	assert_int_equal(p->m.pkt_len, sizeof(expected));
	assert_memory_equal(packet_data(p) + 58, expected + 58, 2); /* hop limit, flags */
	assert_int_equal(load_be16(packet_data(p) + 60), 0);
	assert_memory_equal(packet_data(p) + 62, expected + 62, sizeof(expected) - 62);
	packet_free(p);
	policy_free(policy);
}

static unsigned int solicit(const struct policy_port *port, const char *mac, uint8_t type, struct sighting *ret)
{
	static const uint8_t routers[16] = { 0xff, 2, [15] = 2 }, group[6] = { 0x33, 0x33, 0, 0, 0, 2 };
	const uint8_t from[16] = { 0xfe, 0x80, [15] = 0xa }, zeros[8] = { 0 };
	struct mac source = world_mac(mac);
	uint8_t buf[256];
	struct frame f;
	struct packet *p;
	unsigned int n;
	ssize_t len;

	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, group, source.b, FRAME_AUTO);
	frame_ip6(&f, from, routers, FRAME_AUTO, 255);
	frame_icmp6(&f, type, 0, 0);
	if (type == 134)
		frame_payload(&f, zeros, 8);
	len = frame_finish(&f);
	assert_true(len > 0);
	p = packet_new(buf, (uint16_t)len, 128, 0);
	assert_int_equal(pkt_parse(packet_data(p), p->m.pkt_len, p->m.pkt_len, &p->meta.pkt), DROP_NONE);
	n = policy_sight_neigh(policy, port, policy_subnet(policy, 5001), &p->m, ret);
	packet_free(p);
	return n;
}

/* Main is told who asks, with or without learning, and by nobody else's MAC. */
static void test_solicited(void **state)
{
	const struct policy_port *port = make(GATEWAYS " ra=true learning=false");
	struct sighting s[SIGHTS];

	assert_int_equal(solicit(port, MAC, 133, s), 1);
	assert_int_equal(s[0].kind, SIGHT_SOLICITS);
	assert_int_equal(s[0].port, port->index);
	assert_int_equal(solicit(port, "02:00:00:00:00:0b", 133, s), 0);
	assert_int_equal(solicit(port, MAC, 134, s), 0);
	policy_free(policy);
	port = make(GATEWAYS " learning=false");
	assert_int_equal(solicit(port, MAC, 133, s), 0);
	policy_free(policy);
	port = make(GATEWAYS " ra=true learning=true");
	assert_int_equal(solicit(port, MAC, 133, s), 2); /* and it uses its address */
	policy_free(policy);
	port = make(GATEWAYS " learning=true");
	assert_int_equal(solicit(port, MAC, 133, s), 1);
	assert_int_equal(s[0].kind, SIGHT_USES);
	policy_free(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_without_mtu),
		cmocka_unit_test(test_not_wanted),
		cmocka_unit_test(test_last),
		cmocka_unit_test(test_solicited),
	};

	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
