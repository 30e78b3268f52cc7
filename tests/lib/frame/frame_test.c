/* SPDX-License-Identifier: BSD-3-Clause */
/* The frame builder against frames another program wrote. */
#include "frame.h"
#include "known_frames.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DST  FRAME_MAC(2, 0, 0, 0, 0, 2)
#define SRC  FRAME_MAC(2, 0, 0, 0, 0, 1)
#define IP_A FRAME_IPV4(10, 0, 0, 1)
#define IP_B FRAME_IPV4(10, 0, 0, 2)

#define IS(f, known) is((f), (known), sizeof(known))

static uint8_t buf[2048];

static void begin(struct frame *f)
{
	memset(buf, 0xee, sizeof(buf));
	frame_init(f, buf, sizeof(buf));
	frame_eth(f, DST, SRC, FRAME_AUTO);
}

static void is(struct frame *f, const uint8_t *known, size_t len)
{
	assert_int_equal(frame_finish(f), len);
	assert_memory_equal(f->data, known, len);
	/* finishing again changes nothing */
	assert_int_equal(frame_finish(f), len);
	assert_memory_equal(f->data, known, len);
}

static struct in6_addr ip6(const char *s)
{
	struct in6_addr a;

	assert_int_equal(inet_pton(AF_INET6, s, &a), 1);
	return a;
}

static void test_arp(void **state)
{
	struct frame f;

	(void)state;
	begin(&f);
	frame_arp(&f, 1, SRC, IP_A, FRAME_MAC(0, 0, 0, 0, 0, 0), IP_B);
	frame_pad(&f, 60);
	IS(&f, known_arp);
}

static void test_udp4_padded(void **state)
{
	struct frame f;

	(void)state;
	begin(&f);
	frame_ip4(&f, IP_A, IP_B, FRAME_AUTO);
	frame_udp(&f, 1000, 2000);
	frame_fill(&f, 5, 0);
	frame_pad(&f, 60);
	IS(&f, known_udp4_padded);
}

static void test_vlan_tcp4_options(void **state)
{
	static const uint8_t router_alert[] = { 0x94, 0x04, 0x00, 0x00 }, mss[] = { 2, 4, 0x05, 0xb4 };
	struct frame f;

	(void)state;
	begin(&f);
	frame_vlan(&f, 0x8100, 3 << 13 | 100, FRAME_AUTO);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = IP_A,
						.dst = IP_B,
						.ttl = 17,
						.tos = 0x10,
						.id = 0x1234,
						.frag = 0x4000,
						.opts = router_alert,
						.opts_len = 4 });
	frame_tcp_opts(&f, 80, 5000, 1, 2, 0x12, mss, sizeof(mss));
	frame_fill(&f, 5, 0);
	IS(&f, known_vlan_tcp4_options);
	assert_ptr_equal(frame_at(&f, FRAME_VLAN, 0), buf + 12);
	assert_ptr_equal(frame_at(&f, FRAME_TCP, 0), buf + 42);
	assert_null(frame_at(&f, FRAME_TCP, 1));
}

static void test_icmp4(void **state)
{
	struct frame f;

	(void)state;
	begin(&f);
	frame_ip4(&f, IP_A, IP_B, FRAME_AUTO);
	frame_icmp4(&f, 8, 0, 0x1111 << 16 | 3);
	frame_fill(&f, 5, 0);
	IS(&f, known_icmp4_echo);
}

static void test_udp6_extensions(void **state)
{
	static const uint8_t router_alert[] = { 5, 2, 0, 0 }, unknown[] = { 0x1e, 3, 1, 2, 3 };
	struct in6_addr a = ip6("fd00::1"), b = ip6("fd00::2");
	struct frame f;

	(void)state;
	begin(&f);
	frame_ip6(&f, &a, &b, FRAME_AUTO, 64);
	frame_ip6_ext(&f, 0, router_alert, sizeof(router_alert), FRAME_AUTO);
	frame_ip6_ext(&f, 60, unknown, sizeof(unknown), FRAME_AUTO);
	frame_udp(&f, 1000, 2000);
	frame_fill(&f, 5, 0);
	IS(&f, known_udp6_hop_dest);
}

static void test_neighbour_discovery(void **state)
{
	struct in6_addr a = ip6("fe80::1"), b = ip6("fe80::2"), group = ip6("ff02::1:ff00:2");
	struct frame f;

	(void)state;
	begin(&f);
	frame_ip6(&f, &a, &group, FRAME_AUTO, 255);
	frame_nd_ns(&f, &b, SRC);
	IS(&f, known_nd_ns);

	begin(&f);
	frame_ip6(&f, &b, &a, FRAME_AUTO, 255);
	frame_nd_na(&f, &b, 0x60, SRC);
	IS(&f, known_nd_na);
}

static void push_inner(struct frame *f)
{
	frame_eth(f, FRAME_MAC(2, 0, 0, 0, 1, 2), FRAME_MAC(2, 0, 0, 0, 1, 1), FRAME_AUTO);
	frame_ip4(f, FRAME_IPV4(192, 168, 0, 1), FRAME_IPV4(192, 168, 0, 2), FRAME_AUTO);
	frame_udp(f, 1000, 2000);
	frame_fill(f, 5, 0);
	frame_pad(f, 60);
}

static void test_nvgre(void **state)
{
	struct frame f;

	(void)state;
	begin(&f);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = IP_A, .dst = IP_B, .id = 7, .frag = 0x4000 });
	frame_nvgre(&f, 5001, 0xa5);
	push_inner(&f);
	IS(&f, known_nvgre);
	assert_ptr_equal(frame_at(&f, FRAME_IP4, 1), buf + 56);
}

static void test_two_pads(void **state)
{
	struct frame f;

	(void)state;
	begin(&f);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = IP_A, .dst = IP_B, .id = 7, .frag = 0x4000 });
	frame_nvgre(&f, 5001, 0xa5);
	push_inner(&f);
	frame_pad(&f, 110); /* the outer frame: no length inside it may change */
	assert_int_equal(frame_finish(&f), 110);
	assert_memory_equal(buf, known_nvgre, sizeof(known_nvgre));
}

static void test_gre_options(void **state)
{
	struct frame f;

	(void)state;
	begin(&f);
	frame_ip4(&f, IP_A, IP_B, FRAME_AUTO);
	frame_gre(&f, FRAME_GRE_CSUM | FRAME_GRE_KEY | FRAME_GRE_SEQ, 0x01020304, 9, FRAME_AUTO);
	frame_ip4(&f, FRAME_IPV4(1, 1, 1, 1), FRAME_IPV4(2, 2, 2, 2), FRAME_AUTO);
	frame_icmp4(&f, 0, 0, 1 << 16 | 2);
	IS(&f, known_gre_csum_seq);
}

static void test_vxlan(void **state)
{
	struct frame f;

	(void)state;
	begin(&f);
	frame_ip4(&f, IP_A, IP_B, FRAME_AUTO);
	frame_vxlan(&f, 77, 3333);
	push_inner(&f);
	IS(&f, known_vxlan);
}

static void test_fragments(void **state)
{
	struct in6_addr a = ip6("fd00::1"), b = ip6("fd00::2");
	uint8_t out[256];
	struct frame f, frag;

	(void)state;
	begin(&f);
	frame_ip4(&f, IP_A, IP_B, FRAME_AUTO);
	frame_udp(&f, 1000, 2000);
	frame_fill(&f, 40, 0);
	assert_true(frame_finish(&f) > 0);
	frame_init(&frag, out, sizeof(out));
	assert_int_equal(frame_fragment(&f, 0, 24, 0x77, &frag), sizeof(known_frag4_first));
	IS(&frag, known_frag4_first);
	frame_init(&frag, out, sizeof(out));
	assert_int_equal(frame_fragment(&f, 24, 24, 0x77, &frag), sizeof(known_frag4_last));
	IS(&frag, known_frag4_last);
	frame_init(&frag, out, sizeof(out));
	assert_int_equal(frame_fragment(&f, 12, 24, 0x77, &frag), -EINVAL);
	assert_int_equal(frame_fragment(&f, 24, 32, 0x77, &frag), -EINVAL);

	begin(&f);
	frame_ip6(&f, &a, &b, FRAME_AUTO, 64);
	frame_udp(&f, 1000, 2000);
	frame_fill(&f, 40, 0);
	assert_true(frame_finish(&f) > 0);
	frame_init(&frag, out, sizeof(out));
	assert_int_equal(frame_fragment(&f, 0, 32, 0x88, &frag), sizeof(known_frag6_0));
	IS(&frag, known_frag6_0);
	frame_init(&frag, out, sizeof(out));
	assert_int_equal(frame_fragment(&f, 32, 16, 0x88, &frag), sizeof(known_frag6_1));
	IS(&frag, known_frag6_1);
}

static void test_partial_checksum(void **state)
{
	struct frame f;

	(void)state;
	begin(&f);
	f.partial_csum = true;
	frame_ip4_full(&f, &(struct frame_ip4){ .src = IP_A, .dst = IP_B, .id = 7, .frag = 0x4000 });
	frame_nvgre(&f, 5001, 0xa5);
	push_inner(&f);
	assert_int_equal(frame_finish(&f), sizeof(known_nvgre));
	assert_int_equal(f.csum_start, 76);
	assert_int_equal(f.csum_offset, 6);
	/* completing it as a device does gives the known frame */
	uint16_t csum = htons(frame_csum(buf + 76, 13, 0));

	memcpy(buf + 82, &csum, 2);
	assert_memory_equal(buf, known_nvgre, sizeof(known_nvgre));
}

/* Only the innermost checksum is the device's business. */
static void test_partial_is_innermost(void **state)
{
	struct frame f;
	uint8_t *outer;

	(void)state;
	begin(&f);
	f.partial_csum = true;
	frame_ip4(&f, IP_A, IP_B, FRAME_AUTO);
	frame_udp(&f, 3333, 4789);
	frame_payload(&f, NULL, 8);
	push_inner(&f);
	assert_true(frame_finish(&f) > 0);
	assert_int_equal(f.csum_start, 84);
	outer = frame_at(&f, FRAME_UDP, 0);
	assert_int_equal(frame_csum(outer, f.len - 34, 0x0a00 + 1 + 0x0a00 + 2 + 17 + (uint32_t)(f.len - 34)),
			 0);
}

/* RFC 768: a checksum that comes out as 0 is sent as all ones. */
static void test_udp_zero_checksum(void **state)
{
	struct frame f;
	uint8_t *udp;

	(void)state;
	begin(&f);
	frame_ip4(&f, IP_A, IP_B, FRAME_AUTO);
	udp = frame_udp(&f, 1000, 2000);
	frame_payload(&f, NULL, 2);
	assert_true(frame_finish(&f) > 0);
	memcpy(udp + 8, udp + 6, 2); /* now the sum is all ones and its complement 0 */
	assert_true(frame_finish(&f) > 0);
	assert_memory_equal(udp + 6, "\xff\xff", 2);
}

static void test_csum(void **state)
{
	(void)state;
	assert_int_equal(frame_csum(known_nvgre + 14, 20, 0), 0);
	assert_int_equal(frame_csum("\x01", 1, 0), 0xfeff);
	assert_int_equal(frame_csum("", 0, 0), 0xffff);
}

static void test_errors_stick(void **state)
{
	struct frame f;
	/* exact size: a write behind it is seen by the sanitizer */
	uint8_t *small = malloc(40);

	(void)state;
	assert_non_null(small);
	frame_init(&f, small, 40);
	assert_non_null(frame_eth(&f, DST, SRC, FRAME_AUTO));
	assert_non_null(frame_ip4(&f, IP_A, IP_B, FRAME_AUTO));
	assert_null(frame_udp(&f, 1, 2));
	assert_null(frame_payload(&f, "x", 1));
	assert_int_equal(frame_finish(&f), -ENOSPC);
	free(small);

	begin(&f);
	frame_udp(&f, 1, 2); /* not on Ethernet */
	assert_int_equal(frame_finish(&f), -EINVAL);

	begin(&f);
	for (int i = 0; i < FRAME_MAX_LAYERS; i++)
		frame_payload(&f, "x", 1);
	assert_int_equal(frame_finish(&f), -E2BIG);

	begin(&f);
	frame_ip4(&f, IP_A, IP_B, FRAME_AUTO);
	assert_null(frame_vlan(&f, 0x8100, 1, FRAME_AUTO));
	assert_int_equal(frame_finish(&f), -EINVAL);
}

static void test_parse_mac(void **state)
{
	uint8_t mac[6] = { 9, 9, 9, 9, 9, 9 };

	(void)state;
	assert_int_equal(frame_parse_mac("02:00:00:00:00", mac), -EINVAL);
	assert_int_equal(frame_parse_mac("02:00:00:00:00:01x", mac), -EINVAL);
	assert_int_equal(mac[0], 9);
	assert_int_equal(frame_parse_mac("02:00:5e:00:fF:01", mac), 0);
	assert_memory_equal(mac, "\x02\x00\x5e\x00\xff\x01", 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arp),
		cmocka_unit_test(test_udp4_padded),
		cmocka_unit_test(test_vlan_tcp4_options),
		cmocka_unit_test(test_icmp4),
		cmocka_unit_test(test_udp6_extensions),
		cmocka_unit_test(test_neighbour_discovery),
		cmocka_unit_test(test_nvgre),
		cmocka_unit_test(test_two_pads),
		cmocka_unit_test(test_gre_options),
		cmocka_unit_test(test_vxlan),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_partial_checksum),
		cmocka_unit_test(test_partial_is_innermost),
		cmocka_unit_test(test_udp_zero_checksum),
		cmocka_unit_test(test_csum),
		cmocka_unit_test(test_errors_stick),
		cmocka_unit_test(test_parse_mac),
	};

	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
