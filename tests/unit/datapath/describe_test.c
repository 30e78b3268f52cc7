/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets in words: what is written is what is read, and what is refused says why. */
#include "../unit.h"

#include <string.h>

#include "base/pkt.h"
#include "datapath/describe.h"
#include "frame.h"

static struct description d;
static uint8_t buf[DESCRIBE_FRAME_MAX];
static struct pkt_info info;

static uint32_t made(const char *text)
{
	struct errbuf err = { "" };
	uint32_t n;

	if (describe_parse(text, &d, &err) < 0)
		fail_msg("%s: %s", text, err.text);
	if (mac_is_zero(&d.src))
		d.src = (struct mac){ { 2, 0, 0, 0, 0, 1 } };
	n = describe_build(&d, buf);
	assert_int_equal(pkt_parse(buf, n, n, &info), DROP_NONE);
	return n;
}

/* Of the packet as it would be described again. */
static void words_and_frame_agree(void **state)
{
	static const char *const list[][2] = {
		{ "tcp 10.0.0.1:1 > 10.0.1.2:80", "tcp 10.0.0.1:1 > 10.0.1.2:80 size=40" },
		{ "tcp 10.0.0.1:1 > 10.0.1.2:80 size=1500 df", "tcp 10.0.0.1:1 > 10.0.1.2:80 size=1500" },
		{ "udp [fd00::1]:53 > [fd00::2]:53 size=100", "udp [fd00::1]:53 > [fd00::2]:53 size=100" },
		{ "udp 10.0.0.1 > 10.0.0.2", "udp 10.0.0.1:1024 > 10.0.0.2:1024 size=28" },
		{ "icmp 10.0.0.1 > 10.0.0.2 ttl=1", "icmp 10.0.0.1 > 10.0.0.2 size=28" },
		{ "icmpv6 fd00::1 > fd00::2 size=1280", "icmpv6 fd00::1 > fd00::2 size=1280" },
		{ "arp 10.0.0.1 > 10.0.0.2", "arp 10.0.0.1 > 10.0.0.2" },
		{ "ip 10.0.0.1 > 10.0.0.2 protocol=89", "ip 10.0.0.1 > 10.0.0.2 size=20" },
		{ "nd fd00::1 > fd00::2", "nd fd00::1 > ff02::1:ff00:2 size=72" },
	};
	char text[128];

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		uint32_t n = made(list[i][0]);

		describe_frame(buf, n, n, text, sizeof(text));
		assert_string_equal(text, list[i][1]);
	}
}

/* Checksums as frame.h makes them, byte for byte. */
static void checksums_are_right(void **state)
{
	uint8_t want[256];
	struct frame f;
	uint32_t n = made("udp 10.0.0.1:7 > 10.0.0.2:9 src-mac=02:00:00:00:00:0a dst-mac=02:00:00:00:00:0b");

	frame_init(&f, want, sizeof(want));
	frame_eth(&f, (uint8_t[]){ 2, 0, 0, 0, 0, 0xb }, (uint8_t[]){ 2, 0, 0, 0, 0, 0xa }, FRAME_AUTO);
	frame_ip4(&f, FRAME_IPV4(10, 0, 0, 1), FRAME_IPV4(10, 0, 0, 2), FRAME_AUTO);
	frame_udp(&f, 7, 9);
	assert_int_equal(frame_finish(&f), n);
	assert_memory_equal(buf, want, n);
	n = made("icmp 10.0.0.1 > 10.0.0.2 size=100");
	assert_int_equal(frame_csum(buf + 34, n - 34, 0), 0);
	n = made("tcp 10.0.0.1:7 > 10.0.0.2:9 flags=syn,ack");
	assert_int_equal(buf[47], 0x12);
}

/* pkt_parse() verifies that of neighbour discovery; the others' pseudo header is the same code. */
static void options_are_taken(void **state)
{
	made("nd fd00::1 > fd00::2");
	assert_int_equal(info.kind, PKT_ND);
	made("tcp 10.0.0.1:1 > 10.0.0.2:2 vlan=7 df ttl=3");
	assert_int_equal(info.vlan_tci, 7);
	assert_true(info.flags & PKT_F_DF);
	assert_int_equal(buf[18 + 8], 3);
	assert_int_equal(made("02000000000b 02:00:00:00:00:0a 88b5 00"), 15);
	assert_int_equal(d.kind, DESCRIBE_FRAME);
	assert_int_equal(buf[12], 0x88);
}

static void what_carries_a_tunnel_is_said(void **state)
{
	uint8_t frame[256];
	char text[128];
	struct frame f;
	ssize_t n;

	frame_init(&f, frame, sizeof(frame));
	frame_eth(&f, (uint8_t[]){ 2, 0, 0, 0, 0, 1 }, (uint8_t[]){ 2, 0, 0, 0, 0, 2 }, FRAME_AUTO);
	frame_ip4(&f, FRAME_IPV4(192, 0, 2, 1), FRAME_IPV4(192, 0, 2, 2), FRAME_AUTO);
	frame_nvgre(&f, 5001, 7);
	frame_eth(&f, (uint8_t[]){ 2, 0, 0, 0, 0, 3 }, (uint8_t[]){ 2, 0, 0, 0, 0, 4 }, FRAME_AUTO);
	frame_ip4(&f, FRAME_IPV4(10, 0, 0, 1), FRAME_IPV4(10, 0, 0, 2), FRAME_AUTO);
	frame_udp(&f, 1, 2);
	n = frame_finish(&f);
	describe_frame(frame, (uint32_t)n, (uint32_t)n, text, sizeof(text));
	assert_string_equal(text, "vsid=5001 udp 10.0.0.1:1 > 10.0.0.2:2 size=28");
	describe_frame(frame, 10, (uint32_t)n, text, sizeof(text));
	assert_string_equal(text, "ethernet  >  type=0x0000 size=84");
}

static void nonsense_is_refused_with_a_reason(void **state)
{
	static const char *const list[][2] = {
		{ "", "at least" },
		{ "tcp", "FROM > TO" },
		{ "tcp 10.0.0.1:1 < 10.0.0.2:2", "FROM > TO" },
		{ "tcp 10.0.0.1:70000 > 10.0.0.2:2", "0..65535" },
		{ "icmp 10.0.0.1:1 > 10.0.0.2", "only TCP and UDP" },
		{ "icmp fd00::1 > fd00::2", "IPv4" },
		{ "tcp 10.0.0.1:1 > [fd00::1]:2", "both" },
		{ "tcp 10.0.0.1:1 > 10.0.0.2:2 sise=3", "did you mean \"size\"" },
		{ "tcp 10.0.0.1:1 > 10.0.0.2:2 size=99999", "size: 20..9216" },
		{ "tcp 10.0.0.1:1 > 10.0.0.2:2 flags=x", "flags are" },
		{ "tcp 10.0.0.1:1 > 10.0.0.2:2 dst-mac=1", "MAC" },
		{ "tcp [10.0.0.1 > 10.0.0.2:2", "[address]:port" },
		{ "00112233445566778899aabbccdd0", "two digits" },
		{ "hello", "neither" },
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		struct errbuf err = { "" };

		assert_int_equal(describe_parse(list[i][0], &d, &err), -EINVAL);
		if (!strstr(err.text, list[i][1]))
			fail_msg("%s: %s", list[i][0], err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_and_frame_agree),
		cmocka_unit_test(checksums_are_right),
		cmocka_unit_test(options_are_taken),
		cmocka_unit_test(what_carries_a_tunnel_is_said),
		cmocka_unit_test(nonsense_is_refused_with_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
