/* SPDX-License-Identifier: BSD-3-Clause */
/* Who answers what, byte for byte, and what happens to frames that are not what they seem. */
#include "base/str.h"
#include "world.h"

static struct world w;
static struct mac somebody;

static int setup(void **state)
{
	world_init(&w, 2);
	somebody = mac_of(1);
	return 0;
}

static int setup6(void **state)
{
	setup(state);
	w.pas[0].address = ip("2001:db8::1");
	w.pas[1].address = ip("2001:db8::2");
	w.pas[0].prefix_len = w.pas[1].prefix_len = 64;
	return 0;
}

static int teardown(void **state)
{
	world_free(&w);
	return 0;
}

static void only_the_owner_answers_arp(void **state)
{
	uint8_t want[64];
	struct frame f;

	world_ready(&w);
	world_arp(&w, 1, 0, ARP_REQUEST, &somebody, "10.0.0.9", NULL, "10.0.0.1");
	assert_int_equal(w.n_sent, 0);
	world_arp(&w, 0, 0, ARP_REQUEST, &somebody, "10.0.0.9", NULL, "10.0.0.1");
	assert_int_equal(w.n_sent, 1);
	frame_init(&f, want, sizeof(want));
	frame_eth(&f, &somebody, pa_mac(&w, 0), FRAME_AUTO);
	frame_arp(&f, 2, pa_mac(&w, 0), FRAME_IPV4(10, 0, 0, 1), &somebody, FRAME_IPV4(10, 0, 0, 9));
	frame_pad(&f, 60);
	assert_int_equal(frame_finish(&f), w.sent[0].len);
	assert_memory_equal(w.sent[0].data, want, w.sent[0].len);
	assert_int_equal(w.sent[0].member, 0);
	/* by unicast too, but not when it is another station's */
	world_arp(&w, 0, 0, ARP_REQUEST, &somebody, "10.0.0.9", pa_mac(&w, 0), "10.0.0.1");
	assert_int_equal(w.n_sent, 2);
	world_arp(&w, 0, 0, ARP_REQUEST, &somebody, "10.0.0.9", &(struct mac){ { 2, 2 } }, "10.0.0.1");
	world_arp(&w, 0, 0, ARP_REQUEST, &somebody, "10.0.0.9", NULL, "10.0.0.77");
	world_arp(&w, 0, 0, ARP_REPLY, &somebody, "10.0.0.9", pa_mac(&w, 0), "10.0.0.1");
	assert_int_equal(w.n_sent, 2);
	/* a probe (RFC 5227) is answered like a question */
	world_arp(&w, 0, 0, ARP_REQUEST, &somebody, "0.0.0.0", NULL, "10.0.0.1");
	assert_int_equal(w.n_sent, 3);
}

static void after_a_move_the_new_one_answers(void **state)
{
	world_ready(&w);
	world_link(&w, 0, false);
	world_run(&w, 5 * S_NS);
	world_forget(&w);
	world_arp(&w, 0, 0, ARP_REQUEST, &somebody, "10.0.0.9", NULL, "10.0.0.1");
	assert_int_equal(w.n_sent, 0);
	world_arp(&w, 1, 0, ARP_REQUEST, &somebody, "10.0.0.9", NULL, "10.0.0.1");
	assert_int_equal(w.n_sent, 1);
	assert_true(mac_equal(w.sent[0].data + 6, pa_mac(&w, 0)));
}

static void the_vlan_has_to_be_right(void **state)
{
	uint8_t want[64];
	struct frame f;

	w.pas[0].vlan = 42;
	world_ready(&w);
	world_arp(&w, 0, 0, ARP_REQUEST, &somebody, "10.0.0.9", NULL, "10.0.0.1");
	world_arp(&w, 0, 43, ARP_REQUEST, &somebody, "10.0.0.9", NULL, "10.0.0.1");
	assert_int_equal(w.n_sent, 0);
	world_arp(&w, 0, 42, ARP_REQUEST, &somebody, "10.0.0.9", NULL, "10.0.0.1");
	assert_int_equal(w.n_sent, 1);
	frame_init(&f, want, sizeof(want));
	frame_eth(&f, &somebody, pa_mac(&w, 0), FRAME_AUTO);
	frame_vlan(&f, 0x8100, 42, FRAME_AUTO);
	frame_arp(&f, 2, pa_mac(&w, 0), FRAME_IPV4(10, 0, 0, 1), &somebody, FRAME_IPV4(10, 0, 0, 9));
	frame_pad(&f, 60);
	assert_int_equal(frame_finish(&f), w.sent[0].len);
	assert_memory_equal(w.sent[0].data, want, w.sent[0].len);
	/* priority bits do not matter; VID 0 is no VLAN */
	world_arp(&w, 0, 42 | 5 << 13, ARP_REQUEST, &somebody, "10.0.0.9", NULL, "10.0.0.1");
	assert_int_equal(w.n_sent, 2);
	world_arp(&w, 1, 3 << 13, ARP_REQUEST, &somebody, "10.0.0.9", NULL, "10.0.0.2");
	assert_int_equal(w.n_sent, 3);
}

static void solicitations_are_answered_by_the_owner(void **state)
{
	struct ip_addr src = ip("2001:db8::9"), pa = ip("2001:db8::1");
	uint8_t want[128];
	struct frame f;

	world_ready(&w);
	world_ns(&w, 1, &somebody, "2001:db8::9", "2001:db8::1", true);
	assert_int_equal(w.n_sent, 0);
	world_ns(&w, 0, &somebody, "2001:db8::9", "2001:db8::1", true);
	assert_int_equal(w.n_sent, 1);
	frame_init(&f, want, sizeof(want));
	frame_eth(&f, &somebody, pa_mac(&w, 0), FRAME_AUTO);
	frame_ip6(&f, pa.b, src.b, FRAME_AUTO, 255);
	frame_nd_na(&f, pa.b, 0x60, pa_mac(&w, 0));
	assert_int_equal(frame_finish(&f), w.sent[0].len);
	assert_memory_equal(w.sent[0].data, want, w.sent[0].len);
	/* without the option: to where it came from */
	world_ns(&w, 0, &somebody, "2001:db8::9", "2001:db8::1", false);
	assert_int_equal(w.n_sent, 2);
	assert_true(mac_equal(w.sent[1].data, &somebody));
}

static void router_messages_are_nobodys(void **state)
{
	uint8_t buf[128];
	struct frame f;

	world_ready(&w);
	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, "\x33\x33\0\0\0\x02", &somebody, FRAME_AUTO);
	frame_ip6(&f, ip("fe80::9").b, ip("ff02::2").b, FRAME_AUTO, 255);
	frame_icmp6(&f, 133, 0, 0);
	world_input(&w, 0, buf, (size_t)frame_finish(&f));
	assert_int_equal(w.n_sent, 0);
}

static size_t echo4(uint8_t *buf, size_t size, const void *dst_mac, uint32_t src, uint32_t dst, size_t payload)
{
	struct frame f;
	ssize_t len;

	frame_init(&f, buf, size);
	frame_eth(&f, dst_mac, &somebody, FRAME_AUTO);
	frame_ip4(&f, src, dst, FRAME_AUTO);
	frame_icmp4(&f, 8, 0, 0x12340007);
	frame_fill(&f, payload, 3);
	len = frame_finish(&f);
	assert_true(len > 0);
	return (size_t)len;
}

#define PA1  FRAME_IPV4(10, 0, 0, 1)
#define PEER FRAME_IPV4(10, 0, 0, 9)

static void echo_requests_are_answered_by_the_owner(void **state)
{
	uint8_t buf[256], want[256];
	size_t len;
	struct frame f;

	world_ready(&w);
	len = echo4(buf, sizeof(buf), pa_mac(&w, 0), PEER, PA1, 100);
	world_input(&w, 1, buf, len);
	assert_int_equal(w.n_sent, 0);
	world_input(&w, 0, buf, len);
	assert_int_equal(w.n_sent, 1);
	frame_init(&f, want, sizeof(want));
	frame_eth(&f, &somebody, pa_mac(&w, 0), FRAME_AUTO);
	frame_ip4(&f, PA1, PEER, FRAME_AUTO);
	frame_icmp4(&f, 0, 0, 0x12340007);
	frame_fill(&f, 100, 3);
	assert_int_equal(frame_finish(&f), len);
	assert_int_equal(w.sent[0].len, len);
	assert_memory_equal(w.sent[0].data, want, len);
}

static void echo_of_six(void **state)
{
	struct ip_addr src = ip("2001:db8::9"), pa = ip("2001:db8::1");
	uint8_t buf[256], want[256];
	struct frame f;
	ssize_t len;

	world_ready(&w);
	for (unsigned int reply = 0; reply < 2; reply++) {
		frame_init(&f, reply ? want : buf, 256);
		frame_eth(&f, reply ? &somebody : pa_mac(&w, 0), reply ? pa_mac(&w, 0) : &somebody, FRAME_AUTO);
		frame_ip6(&f, reply ? pa.b : src.b, reply ? src.b : pa.b, FRAME_AUTO, 64);
		frame_icmp6(&f, reply ? 129 : 128, 0, 0x12340007);
		frame_fill(&f, 33, 9);
		len = frame_finish(&f);
	}
	world_input(&w, 0, buf, (size_t)len);
	assert_int_equal(w.n_sent, 1);
	assert_int_equal(w.sent[0].len, len);
	assert_memory_equal(w.sent[0].data, want, (size_t)len);
	buf[60] ^= 1; /* checksum does not hold */
	world_input(&w, 0, buf, (size_t)len);
	assert_int_equal(w.n_sent, 1);
}

static void echo_that_is_not_answered(void **state)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	uint8_t buf[256];
	size_t len;

	world_ready(&w);
	len = echo4(buf, sizeof(buf), all, PEER, PA1, 10); /* to all */
	world_input(&w, 0, buf, len);
	len = echo4(buf, sizeof(buf), pa_mac(&w, 0), PEER, FRAME_IPV4(10, 0, 0, 2), 10); /* other PA's MAC */
	world_input(&w, 0, buf, len);
	len = echo4(buf, sizeof(buf), pa_mac(&w, 0), FRAME_IPV4(224, 0, 0, 1), PA1, 10);
	world_input(&w, 0, buf, len);
	len = echo4(buf, sizeof(buf), pa_mac(&w, 0), 0, PA1, 10);
	world_input(&w, 0, buf, len);
	len = echo4(buf, sizeof(buf), pa_mac(&w, 0), FRAME_IPV4(127, 0, 0, 1), PA1, 10);
	world_input(&w, 0, buf, len);
	len = echo4(buf, sizeof(buf), pa_mac(&w, 0), FRAME_IPV4(10, 0, 0, 2), PA1, 10); /* from ourselves */
	world_input(&w, 0, buf, len);
	len = echo4(buf, sizeof(buf), pa_mac(&w, 0), PEER, PA1, 10);
	buf[24] ^= 1; /* IP checksum */
	world_input(&w, 0, buf, len);
	len = echo4(buf, sizeof(buf), pa_mac(&w, 0), PEER, PA1, 10);
	buf[len - 1] ^= 1; /* ICMP checksum */
	world_input(&w, 0, buf, len);
	len = echo4(buf, sizeof(buf), pa_mac(&w, 0), PEER, PA1, 10);
	buf[34] = 0; /* a reply */
	world_input(&w, 0, buf, len);
	len = echo4(buf, sizeof(buf), pa_mac(&w, 0), PEER, PA1, 10);
	world_input(&w, 0, buf, len - 1);
	for (unsigned int kind = 0; kind < 2; kind++) { /* a first fragment; options */
		struct frame_ip4 h = { .src = PEER, .dst = PA1, .frag = kind ? 0 : 0x2000, .opts = "\1\1\1",
				       .opts_len = kind ? 4 : 0 };
		struct frame f;

		frame_init(&f, buf, sizeof(buf));
		frame_eth(&f, pa_mac(&w, 0), &somebody, FRAME_AUTO);
		frame_ip4_full(&f, &h);
		frame_icmp4(&f, 8, 0, 7);
		frame_fill(&f, 16, 0);
		world_input(&w, 0, buf, (size_t)frame_finish(&f));
	}
	assert_int_equal(w.n_sent, 0);
	len = echo4(buf, sizeof(buf), pa_mac(&w, 0), PEER, PA1, 10);
	world_input(&w, 0, buf, len);
	assert_int_equal(w.n_sent, 1); /* the same, sound */
}

static void answers_are_limited_in_rate(void **state)
{
	uint8_t buf[64];
	size_t len;

	world_ready(&w);
	len = echo4(buf, sizeof(buf), pa_mac(&w, 0), PEER, PA1, 10);
	for (unsigned int i = 0; i < 3000; i++)
		world_input(&w, 0, buf, len);
	assert_true(w.n_sent >= 100 && w.n_sent <= 300);
	world_run(&w, 100 * MS_NS);
	world_forget(&w);
	world_input(&w, 0, buf, len);
	assert_int_equal(w.n_sent, 1);
}

/*
 * Whatever comes: no crash, no answer to a group address, frames of ours only from usable members (the world
 * checks).
 */
static void hostile_frames(void **state)
{
	uint64_t seed = unit_seed();
	struct mac pas[2];
	uint8_t base[4][128];
	size_t len[4];
	struct frame f;

	w.pas[1].address = ip("2001:db8::1");
	w.pas[1].prefix_len = 64;
	w.config.n_members = 2;
	world_ready(&w);
	pas[0] = *pa_mac(&w, 0);
	pas[1] = *pa_mac(&w, 1);
	frame_init(&f, base[0], 128);
	frame_eth(&f, &pas[0], &somebody, FRAME_AUTO);
	frame_arp(&f, 1, &somebody, PEER, &pas[0], PA1);
	len[0] = (size_t)frame_finish(&f);
	len[1] = echo4(base[1], 128, &pas[0], PEER, PA1, 20);
	for (unsigned int i = 2; i < 4; i++) {
		frame_init(&f, base[i], 128);
		frame_eth(&f, &pas[1], &somebody, FRAME_AUTO);
		frame_ip6(&f, ip("2001:db8::9").b, ip("2001:db8::1").b, FRAME_AUTO, 255);
		if (i == 2)
			frame_nd_ns(&f, ip("2001:db8::1").b, &somebody);
		else
			frame_nd_na(&f, ip("2001:db8::9").b, 0x60, &somebody);
		len[i] = (size_t)frame_finish(&f);
	}
	for (unsigned int i = 0; i < 20000; i++) {
		unsigned int kind = (unsigned int)unit_below(&seed, 4), n = 1 + (unsigned int)unit_below(&seed, 4);
		uint8_t buf[128];

		memcpy(buf, base[kind], len[kind]);
		for (unsigned int k = 0; k < n; k++)
			buf[unit_below(&seed, len[kind])] = (uint8_t)unit_random(&seed);
		w.n_sent = w.n_events = 0;
		world_input(&w, kind >= 2, buf, unit_below(&seed, 3) ? len[kind] : unit_below(&seed, len[kind] + 1));
		for (unsigned int k = 0; k < w.n_sent; k++)
			assert_false(mac_is_group(w.sent[k].data + 6));
		world_run(&w, MS_NS);
	}
}

#define TEST(name, setup) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(only_the_owner_answers_arp, setup),
		TEST(after_a_move_the_new_one_answers, setup),
		TEST(the_vlan_has_to_be_right, setup),
		TEST(solicitations_are_answered_by_the_owner, setup6),
		TEST(router_messages_are_nobodys, setup6),
		TEST(echo_requests_are_answered_by_the_owner, setup),
		TEST(echo_of_six, setup6),
		TEST(echo_that_is_not_answered, setup),
		TEST(answers_are_limited_in_rate, setup),
		TEST(hostile_frames, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
