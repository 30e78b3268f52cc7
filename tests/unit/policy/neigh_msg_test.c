/* SPDX-License-Identifier: BSD-3-Clause */
/* What an ARP or ND message says, and which addresses its sender claims (HNV 3.1): the ground of learning. */
#include <stdbool.h>

#include "policy/neigh_msg.h"
#include "frame.h"
#include "unit.h"

static const uint8_t me[6] = { 2, 0, 0, 0, 0, 1 }, you[6] = { 2, 0, 0, 0, 0, 2 };
static const uint8_t a6[16] = { 0xfd, [15] = 1 }, b6[16] = { 0xfd, [15] = 2 },
		     ll6[16] = { 0xfe, 0x80, [15] = 1 };
static const uint8_t any6[16], nodes6[16] = { 0xff, 2, [15] = 1 },
			       sn6[16] = { 0xff, 2, [11] = 1, 0xff, 0, 0, 2 };
#define A4 FRAME_IPV4(10, 0, 0, 1)
#define B4 FRAME_IPV4(10, 0, 0, 2)

static uint8_t buf[256];
static struct frame f;
static struct neigh_msg msg;
static struct neigh_claim claims[NEIGH_CLAIMS];

static unsigned int read_frame(void)
{
	ssize_t len = frame_finish(&f);
	struct pkt_info info;
	uint8_t *data;

	assert_true(len > 0);
	data = unit_exact_copy(buf, (size_t)len);
	assert_int_equal(pkt_parse(data, (uint32_t)len, (uint32_t)len, &info), DROP_NONE);
	assert_true(info.kind == PKT_ARP || info.kind == PKT_ND);
	memset(&msg, 0xee, sizeof(msg));
	memset(claims, 0xee, sizeof(claims));
	neigh_read(data, &info, &msg);
	free(data);
	assert_int_equal(msg.eth_src, mac_load(me));
	assert_int_equal(msg.v6, info.kind == PKT_ND);
	return neigh_claims(&msg, claims);
}

static void claim_is(unsigned int i, const void *ca, uint8_t family, uint8_t kind)
{
	struct ip_addr want = family == 4 ? ip4_from(ca) : ip6_from(ca);

	assert_memory_equal(&claims[i].ca, &want, sizeof(want));
	assert_int_equal(claims[i].mac, mac_load(me));
	assert_int_equal(claims[i].kind, kind);
}

static unsigned int arp(uint16_t op, const uint8_t *dst, uint32_t spa, uint32_t tpa)
{
	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, dst, me, FRAME_AUTO);
	frame_arp(&f, op, me, spa, FRAME_MAC(0, 0, 0, 0, 0, 0), tpa);
	return read_frame();
}

static void arp_messages(void **state)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	static const uint8_t a[4] = { 10, 0, 0, 1 }, b[4] = { 10, 0, 0, 2 };

	assert_int_equal(arp(1, all, A4, B4), 1);
	claim_is(0, a, 4, NEIGH_CLAIM_USES);
	assert_int_equal(msg.op, NEIGH_REQUEST);
	assert_true(msg.group);
	assert_false(msg.foreign);
	assert_memory_equal(msg.target.b, b, 4);
	assert_false(neigh_is_probe(&msg) || neigh_is_announcement(&msg));

	assert_int_equal(arp(1, you, A4, B4), 1);
	assert_false(msg.group);
	assert_int_equal(msg.eth_dst, mac_load(you));

	assert_int_equal(arp(1, all, FRAME_IPV4(0, 0, 0, 0), B4), 1); /* RFC 5227 probe: B is wanted */
	claim_is(0, b, 4, NEIGH_CLAIM_WANTS);
	assert_true(neigh_is_probe(&msg));

	assert_int_equal(arp(1, all, A4, A4), 1);
	claim_is(0, a, 4, NEIGH_CLAIM_ANNOUNCES);
	assert_true(neigh_is_announcement(&msg));

	assert_int_equal(arp(2, all, A4, A4), 1);
	claim_is(0, a, 4, NEIGH_CLAIM_ANNOUNCES);
	assert_int_equal(msg.op, NEIGH_REPLY);

	assert_int_equal(arp(2, you, A4, B4), 1);
	claim_is(0, a, 4, NEIGH_CLAIM_USES);
	assert_false(neigh_is_announcement(&msg));
	assert_memory_equal(msg.target.b, a, 4); /* of whom it speaks, not to whom */
}

static void foreign_addresses_are_seen(void **state)
{
	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, you, me, FRAME_AUTO);
	frame_arp(&f, 1, you, A4, FRAME_MAC(0, 0, 0, 0, 0, 0), B4);
	read_frame();
	assert_true(msg.foreign);
	assert_int_equal(msg.link, mac_load(you));

	for (unsigned int second = 0; second < 2; second++) {
		frame_init(&f, buf, sizeof(buf));
		frame_eth(&f, you, me, FRAME_AUTO);
		frame_ip6(&f, a6, b6, FRAME_AUTO, 255);
		frame_nd_ns(&f, b6, second ? me : you);
		if (second)
			frame_nd_opt(&f, 1, you, 6);
		read_frame();
		assert_true(msg.foreign);
	}
}

static void nd(const void *src, const void *dst)
{
	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, ((const uint8_t *)dst)[0] == 0xff ? FRAME_MAC(0x33, 0x33, 0, 0, 0, 1) : you, me,
		  FRAME_AUTO);
	frame_ip6(&f, src, dst, FRAME_AUTO, 255);
}

static void solicitations(void **state)
{
	nd(a6, sn6);
	frame_nd_ns(&f, b6, me);
	assert_int_equal(read_frame(), 1);
	claim_is(0, a6, 6, NEIGH_CLAIM_USES);
	assert_int_equal(msg.op, NEIGH_REQUEST);
	assert_true(msg.group);
	assert_false(msg.foreign);
	assert_memory_equal(msg.target.b, b6, 16);

	nd(any6, sn6);
	frame_nd_ns(&f, b6, NULL);
	assert_int_equal(read_frame(), 1);
	claim_is(0, b6, 6, NEIGH_CLAIM_WANTS);

	nd(b6, b6);
	frame_nd_ns(&f, b6, NULL);
	assert_int_equal(read_frame(), 1);
	claim_is(0, b6, 6, NEIGH_CLAIM_ANNOUNCES);
}

static void advertisements(void **state)
{
	nd(a6, b6);
	frame_nd_na(&f, a6, 0x60, me);
	assert_int_equal(read_frame(), 1);
	claim_is(0, a6, 6, NEIGH_CLAIM_USES);
	assert_int_equal(msg.op, NEIGH_REPLY);

	nd(a6, nodes6);
	frame_nd_na(&f, a6, 0x20, me);
	assert_int_equal(read_frame(), 1);
	claim_is(0, a6, 6, NEIGH_CLAIM_ANNOUNCES);

	nd(ll6, nodes6);
	frame_nd_na(&f, a6, 0x20, NULL);
	assert_int_equal(read_frame(), 2);
	claim_is(0, a6, 6, NEIGH_CLAIM_ANNOUNCES);
	claim_is(1, ll6, 6, NEIGH_CLAIM_USES);
}

static void router_messages(void **state)
{
	static const uint8_t body[8];

	nd(any6, nodes6);
	frame_icmp6(&f, 133, 0, 0);
	assert_int_equal(read_frame(), 0);
	assert_int_equal(msg.op, NEIGH_RS);
	assert_false(ip_is_set(&msg.target));
	assert_false(neigh_is_probe(&msg) || neigh_is_announcement(&msg));

	nd(ll6, nodes6);
	frame_icmp6(&f, 133, 0, 0);
	frame_nd_opt(&f, 1, me, 6);
	assert_int_equal(read_frame(), 1);
	claim_is(0, ll6, 6, NEIGH_CLAIM_USES);

	nd(ll6, nodes6);
	frame_icmp6(&f, 134, 0, 0);
	frame_payload(&f, body, 8);
	frame_nd_opt(&f, 1, you, 6);
	assert_int_equal(read_frame(), 1);
	claim_is(0, ll6, 6, NEIGH_CLAIM_USES);
	assert_int_equal(msg.op, NEIGH_RA);
	assert_true(msg.foreign);

	nd(ll6, a6);
	frame_icmp6(&f, 137, 0, 0);
	frame_payload(&f, ll6, 16);
	frame_payload(&f, b6, 16);
	frame_nd_opt(&f, 2, you, 6);
	read_frame();
	assert_int_equal(msg.op, NEIGH_REDIRECT);
	assert_memory_equal(msg.target.b, ll6, 16);
	assert_true(msg.foreign);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arp_messages),	   cmocka_unit_test(foreign_addresses_are_seen),
		cmocka_unit_test(solicitations),   cmocka_unit_test(advertisements),
		cmocka_unit_test(router_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
