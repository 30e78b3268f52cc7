/* SPDX-License-Identifier: BSD-3-Clause */
/* IPv6, its extension headers, neighbour discovery. */
#include "pkt_common.h"

#define A6	   ((const uint8_t *)"\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x0a")
#define B6	   ((const uint8_t *)"\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x0b")
#define GLOBAL6	   ((const uint8_t *)"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x0b")
#define ANY6	   ((const uint8_t *)"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")
#define ALL_NODES  ((const uint8_t *)"\xff\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\x01")
#define SOLICITED6 ((const uint8_t *)"\xff\x02\0\0\0\0\0\0\0\0\0\x01\xff\0\0\x0b")

static uint8_t buf[4096];
static struct frame f;
static const uint8_t zeros[64];

static void begin(const uint8_t *src, const uint8_t *dst, int next, uint8_t hops)
{
	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, MAC_B, MAC_A, FRAME_AUTO);
	frame_ip6(&f, src, dst, next, hops);
}

static void udp_in_ipv6(void **state)
{
	begin(A6, B6, FRAME_AUTO, 64);
	frame_udp(&f, 1, 2);
	frame_fill(&f, 11, 0);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_int_equal(info.kind, PKT_IPV6);
	assert_int_equal(info.flags, PKT_F_L4 | PKT_F_DF);
	assert_int_equal(info.ethertype, 0x86dd);
	assert_int_equal(info.l3_off, 14);
	assert_int_equal(info.l4_off, 54);
	assert_int_equal(info.l3_end, 73);
	assert_int_equal(info.proto, 17);
	buf[14] = 0x46; /* version 4 behind EtherType IPv6 */
	assert_int_equal(parse(buf, 73), DROP_BAD_IP);
	buf[14] = 0x6f; /* traffic class does not matter */
	assert_int_equal(parse(buf, 73), DROP_NONE);
	buf[19] += 1;
	assert_int_equal(parse(buf, 73), DROP_BAD_IP);
	buf[19] -= 2;
	assert_int_equal(parse(buf, 73), DROP_NONE);
	assert_int_equal(info.flags, PKT_F_L4 | PKT_F_DF | PKT_F_PADDED);
	assert_int_equal(info.l3_end, 72);
	buf[18] = buf[19] = 0; /* no payload: no L4 header, and no jumbogram either */
	assert_int_equal(parse(buf, 73), DROP_NONE);
	assert_int_equal(info.flags, PKT_F_DF | PKT_F_PADDED);
}

static void a_chain_of_extensions(void **state)
{
	begin(A6, B6, FRAME_AUTO, 64);
	frame_ip6_ext(&f, 0, NULL, 0, FRAME_AUTO);
	frame_ip6_ext(&f, 60, zeros, 30, FRAME_AUTO);
	frame_ip6_ext(&f, 43, "\2\0\0\0\0\0", 6, FRAME_AUTO);
	frame_ip6_ext(&f, 60, zeros, 6, FRAME_AUTO);
	frame_tcp(&f, 1, 2, 0, 0, 2);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_int_equal(info.flags, PKT_F_L4 | PKT_F_DF | PKT_F_OPTIONS);
	assert_int_equal(info.proto, 6);
	assert_int_equal(info.l4_off, 54 + 8 + 32 + 8 + 8);
}

static void authentication_header_counts_words(void **state)
{
	static const uint8_t ah[] = {17, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9};

	begin(A6, B6, 51, 64);
	frame_payload(&f, ah, sizeof(ah));
	frame_payload(&f, "\0\1\0\2\0\x08\0\0", 8);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_int_equal(info.proto, 17);
	assert_int_equal(info.l4_off, 54 + 24);
	assert_int_equal(info.flags, PKT_F_L4 | PKT_F_DF | PKT_F_OPTIONS);
}

static void chains_are_bounded(void **state)
{
	for (unsigned int n = 7; n <= 9; n++) {
		begin(A6, B6, FRAME_AUTO, 64);
		for (unsigned int i = 0; i < n; i++)
			frame_ip6_ext(&f, 60, NULL, 0, FRAME_AUTO);
		frame_udp(&f, 1, 2);
		assert_int_equal(parse_frame(&f), n <= 8 ? DROP_NONE : DROP_BAD_IP);
	}
}

static void unknown_headers_end_the_chain(void **state)
{
	static const uint8_t last[] = { 50, 59, 135, 139, 140, 253, 132 };

	for (unsigned int i = 0; i < sizeof(last); i++) {
		begin(A6, B6, FRAME_AUTO, 64);
		frame_ip6_ext(&f, 60, NULL, 0, last[i]);
		frame_fill(&f, 16, 0xff);
		assert_int_equal(parse_frame(&f), DROP_NONE);
		assert_int_equal(info.proto, last[i]);
		assert_int_equal(info.flags, PKT_F_DF | PKT_F_OPTIONS);
		assert_int_equal(info.l4_off, 62);
	}
}

static void malformed_chains(void **state)
{
	/* hop-by-hop behind another */
	begin(A6, B6, FRAME_AUTO, 64);
	frame_ip6_ext(&f, 60, NULL, 0, FRAME_AUTO);
	frame_ip6_ext(&f, 0, NULL, 0, FRAME_AUTO);
	frame_udp(&f, 1, 2);
	assert_int_equal(parse_frame(&f), DROP_BAD_IP);
	/* a header longer than the packet; the bytes behind are padding */
	begin(A6, B6, FRAME_AUTO, 64);
	*((uint8_t *)frame_ip6_ext(&f, 60, NULL, 0, 17) + 1) = 1;
	frame_pad(&f, 200);
	assert_int_equal(parse_frame(&f), DROP_BAD_IP);
	/* a header that begins at the end */
	begin(A6, B6, FRAME_AUTO, 64);
	frame_ip6_ext(&f, 60, NULL, 0, 60);
	frame_pad(&f, 200);
	assert_int_equal(parse_frame(&f), DROP_BAD_IP);
	begin(A6, B6, 44, 64);
	frame_fill(&f, 7, 0);
	assert_int_equal(parse_frame(&f), DROP_BAD_IP);
	/* two fragment headers */
	begin(A6, B6, FRAME_AUTO, 64);
	frame_ip6_frag(&f, 0, true, 1, FRAME_AUTO);
	frame_ip6_frag(&f, 0, true, 1, FRAME_AUTO);
	frame_udp(&f, 1, 2);
	assert_int_equal(parse_frame(&f), DROP_BAD_IP);
	/* not the last, and not a multiple of 8 */
	begin(A6, B6, FRAME_AUTO, 64);
	frame_ip6_frag(&f, 0, true, 1, FRAME_AUTO);
	frame_udp(&f, 1, 2);
	frame_fill(&f, 1, 0);
	assert_int_equal(parse_frame(&f), DROP_BAD_IP);
	/* would be reassembled to more than 65535 */
	begin(A6, B6, FRAME_AUTO, 64);
	frame_ip6_frag(&f, 65528, false, 1, 17);
	frame_fill(&f, 8, 0);
	assert_int_equal(parse_frame(&f), DROP_BAD_IP);
}

static void ipv6_fragments(void **state)
{
	begin(A6, B6, FRAME_AUTO, 64);
	frame_ip6_frag(&f, 0, true, 1, FRAME_AUTO);
	frame_udp(&f, 1, 2);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_int_equal(info.flags, PKT_F_DF | PKT_F_OPTIONS | PKT_F_FRAGMENT | PKT_F_L4);
	assert_int_equal(info.l4_off, 62);
	/* the first one without an L4 header is legal, if nothing else is cut */
	begin(A6, B6, FRAME_AUTO, 64);
	frame_ip6_frag(&f, 0, true, 1, 17);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_int_equal(info.flags, PKT_F_DF | PKT_F_OPTIONS | PKT_F_FRAGMENT);
	/* later ones: data that looks like an extension header is none */
	begin(A6, B6, FRAME_AUTO, 64);
	frame_ip6_frag(&f, 65520, false, 1, 60);
	frame_fill(&f, 13, 0xff);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_int_equal(info.flags, PKT_F_DF | PKT_F_OPTIONS | PKT_F_FRAGMENT | PKT_F_FRAG_LATER);
	assert_int_equal(info.proto, 60);
	assert_int_equal(info.l4_off, 62);
	/* atomic: whole */
	begin(A6, B6, FRAME_AUTO, 64);
	frame_ip6_frag(&f, 0, false, 1, FRAME_AUTO);
	frame_ip6_ext(&f, 60, NULL, 0, FRAME_AUTO);
	frame_tcp(&f, 1, 2, 0, 0, 2);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_int_equal(info.flags, PKT_F_DF | PKT_F_OPTIONS | PKT_F_L4);
}

/* --- neighbour discovery */

static void solicitations(void **state)
{
	begin(A6, SOLICITED6, FRAME_AUTO, 255);
	frame_nd_ns(&f, B6, MAC_A);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_int_equal(info.kind, PKT_ND);
	assert_int_equal(info.flags, PKT_F_DF | PKT_F_L4);
	assert_int_equal(info.l4_off, 54);
	assert_memory_equal(pkt_nd_mac(buf, &info, ND_OPT_SOURCE_MAC), MAC_A, 6);
	assert_null(pkt_nd_mac(buf, &info, ND_OPT_TARGET_MAC));
	/* unicast probe (NUD), with padding */
	begin(A6, B6, FRAME_AUTO, 255);
	frame_nd_ns(&f, B6, NULL);
	frame_pad(&f, 100);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_int_equal(info.kind, PKT_ND);
	assert_null(pkt_nd_mac(buf, &info, ND_OPT_SOURCE_MAC));
	/* duplicate address detection, with a nonce (RFC 7527) */
	begin(ANY6, SOLICITED6, FRAME_AUTO, 255);
	frame_nd_ns(&f, B6, NULL);
	frame_nd_opt(&f, 14, "nonce!", 6);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_int_equal(info.kind, PKT_ND);
	/* behind an extension header */
	begin(A6, SOLICITED6, FRAME_AUTO, 255);
	frame_ip6_ext(&f, 60, NULL, 0, FRAME_AUTO);
	frame_nd_ns(&f, B6, MAC_A);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_int_equal(info.kind, PKT_ND);

	begin(A6, SOLICITED6, FRAME_AUTO, 255);
	frame_nd_ns(&f, ALL_NODES, MAC_A);
	assert_int_equal(parse_frame(&f), DROP_BAD_ND); /* multicast target */
	begin(ANY6, SOLICITED6, FRAME_AUTO, 255);
	frame_nd_ns(&f, B6, MAC_A);
	assert_int_equal(parse_frame(&f), DROP_BAD_ND); /* unspecified source with link-layer address */
	begin(ANY6, ALL_NODES, FRAME_AUTO, 255);
	frame_nd_ns(&f, B6, NULL);
	assert_int_equal(parse_frame(&f), DROP_BAD_ND); /* unspecified source to another group */
	begin(ANY6, B6, FRAME_AUTO, 255);
	frame_nd_ns(&f, B6, NULL);
	assert_int_equal(parse_frame(&f), DROP_BAD_ND);
}

static void advertisements(void **state)
{
	begin(B6, A6, FRAME_AUTO, 255);
	frame_nd_na(&f, B6, 0x60, MAC_B);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_int_equal(info.kind, PKT_ND);
	assert_memory_equal(pkt_nd_mac(buf, &info, ND_OPT_TARGET_MAC), MAC_B, 6);
	begin(B6, ALL_NODES, FRAME_AUTO, 255);
	frame_nd_na(&f, B6, 0x20, MAC_B);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_int_equal(info.kind, PKT_ND);
	begin(B6, ALL_NODES, FRAME_AUTO, 255);
	frame_nd_na(&f, B6, 0x60, MAC_B);
	assert_int_equal(parse_frame(&f), DROP_BAD_ND); /* solicited, to a group */
	begin(B6, A6, FRAME_AUTO, 255);
	frame_nd_na(&f, ALL_NODES, 0x60, MAC_B);
	assert_int_equal(parse_frame(&f), DROP_BAD_ND);
}

static void router_messages(void **state)
{
	uint8_t redirect[32];

	begin(ANY6, ALL_NODES, FRAME_AUTO, 255);
	frame_icmp6(&f, 133, 0, 0);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_int_equal(info.kind, PKT_ND);
	begin(A6, ALL_NODES, FRAME_AUTO, 255);
	frame_icmp6(&f, 133, 0, 0);
	frame_nd_opt(&f, 1, MAC_A, 6);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	begin(ANY6, ALL_NODES, FRAME_AUTO, 255);
	frame_icmp6(&f, 133, 0, 0);
	frame_nd_opt(&f, 1, MAC_A, 6);
	assert_int_equal(parse_frame(&f), DROP_BAD_ND);

	begin(A6, ALL_NODES, FRAME_AUTO, 255);
	frame_icmp6(&f, 134, 0, 0x40000708);
	frame_payload(&f, NULL, 8);
	frame_nd_opt(&f, 3, zeros, 30); /* prefix information */
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_int_equal(info.kind, PKT_ND);
	begin(GLOBAL6, ALL_NODES, FRAME_AUTO, 255);
	frame_icmp6(&f, 134, 0, 0x40000708);
	frame_payload(&f, NULL, 8);
	assert_int_equal(parse_frame(&f), DROP_BAD_ND); /* not from a link-local address */

	memcpy(redirect, B6, 16);
	memcpy(redirect + 16, GLOBAL6, 16);
	begin(A6, B6, FRAME_AUTO, 255);
	frame_icmp6(&f, 137, 0, 0);
	frame_payload(&f, redirect, 32);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_int_equal(info.kind, PKT_ND);
	memcpy(redirect, GLOBAL6, 16);
	begin(A6, B6, FRAME_AUTO, 255);
	frame_icmp6(&f, 137, 0, 0);
	frame_payload(&f, redirect, 32);
	assert_int_equal(parse_frame(&f), DROP_NONE); /* target equals destination */
	redirect[15] = 1;
	begin(A6, B6, FRAME_AUTO, 255);
	frame_icmp6(&f, 137, 0, 0);
	frame_payload(&f, redirect, 32);
	assert_int_equal(parse_frame(&f), DROP_BAD_ND);
	memcpy(redirect, B6, 16);
	memcpy(redirect + 16, ALL_NODES, 16);
	begin(A6, B6, FRAME_AUTO, 255);
	frame_icmp6(&f, 137, 0, 0);
	frame_payload(&f, redirect, 32);
	assert_int_equal(parse_frame(&f), DROP_BAD_ND);
	memcpy(redirect + 16, GLOBAL6, 16);
	begin(GLOBAL6, B6, FRAME_AUTO, 255);
	frame_icmp6(&f, 137, 0, 0);
	frame_payload(&f, redirect, 32);
	assert_int_equal(parse_frame(&f), DROP_BAD_ND); /* not from a router's link-local address */
}

/* Each too short by one byte, with a right checksum. */
static void nd_lengths(void **state)
{
	static const uint8_t fixed[] = { 8, 16, 24, 24, 40 };

	for (unsigned int i = 0; i < 5; i++) {
		for (int missing = 0; missing < 2; missing++) {
			begin(A6, B6, FRAME_AUTO, 255);
			frame_icmp6(&f, (uint8_t)(133 + i), 0, 0);
			frame_payload(&f, NULL, fixed[i] - 8u - (i && missing));
			frame_pad(&f, 120);
			/* a redirect's target :: equals its destination */
			assert_int_equal(parse_frame(&f), i && missing ? DROP_BAD_ND : DROP_NONE);
		}
	}
	/* a message of one byte: nothing but its type */
	for (unsigned int type = 132; type <= 138; type++) {
		uint8_t t = (uint8_t)type;

		begin(A6, B6, 58, 255);
		frame_payload(&f, &t, 1);
		assert_int_equal(parse_frame(&f), type >= 133 && type <= 137 ? DROP_BAD_ND : DROP_NONE);
	}
	begin(A6, B6, 58, 255);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_int_equal(info.flags, PKT_F_DF);
}

static void nd_options(void **state)
{
	uint8_t *opt;

	begin(A6, SOLICITED6, FRAME_AUTO, 255);
	frame_nd_ns(&f, B6, MAC_A);
	opt = frame_nd_opt(&f, 99, zeros, 14);
	opt[1] = 0;
	assert_int_equal(parse_frame(&f), DROP_BAD_ND);
	opt[1] = 3;
	assert_int_equal(parse_frame(&f), DROP_BAD_ND);
	opt[1] = 1; /* leaves eight bytes of zeros: an option of length 0 */
	assert_int_equal(parse_frame(&f), DROP_BAD_ND);
	opt[1] = 2;
	assert_int_equal(parse_frame(&f), DROP_NONE);
	/* an address option that is not Ethernet's */
	opt[0] = 2;
	assert_int_equal(parse_frame(&f), DROP_BAD_ND);
	/* four bytes behind the last option */
	begin(A6, SOLICITED6, FRAME_AUTO, 255);
	frame_nd_ns(&f, B6, MAC_A);
	frame_payload(&f, "\1\1\1\1", 4);
	assert_int_equal(parse_frame(&f), DROP_BAD_ND);
	/* one byte: its length would be outside the frame */
	begin(A6, SOLICITED6, FRAME_AUTO, 255);
	frame_nd_ns(&f, B6, MAC_A);
	frame_payload(&f, "\1", 1);
	assert_int_equal(parse_frame(&f), DROP_BAD_ND);
	/* the first of two counts; other options may stand before it */
	begin(A6, SOLICITED6, FRAME_AUTO, 255);
	frame_nd_ns(&f, B6, NULL);
	frame_nd_opt(&f, 14, "nonce!", 6);
	frame_nd_opt(&f, 1, MAC_B, 6);
	frame_nd_opt(&f, 1, MAC_A, 6);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_memory_equal(pkt_nd_mac(buf, &info, ND_OPT_SOURCE_MAC), MAC_B, 6);
}

static void nd_common_checks(void **state)
{
	ssize_t len;

	begin(A6, SOLICITED6, FRAME_AUTO, 254);
	frame_nd_ns(&f, B6, MAC_A);
	assert_int_equal(parse_frame(&f), DROP_BAD_ND);
	begin(A6, SOLICITED6, FRAME_AUTO, 255);
	*((uint8_t *)frame_nd_ns(&f, B6, MAC_A) + 1) = 1;
	assert_int_equal(parse_frame(&f), DROP_BAD_ND);
	begin(A6, SOLICITED6, FRAME_AUTO, 255);
	frame_nd_ns(&f, B6, MAC_A);
	len = frame_finish(&f);
	for (ssize_t i = 22; i < len; i++) { /* any changed bit of addresses or message breaks the checksum */
		buf[i] ^= 0x10;
		if (i != 54)
			assert_int_equal(parse(buf, (size_t)len), DROP_BAD_ND);
		buf[i] ^= 0x10;
	}
	assert_int_equal(parse(buf, (size_t)len), DROP_NONE);
	/* in a fragment, even an atomic one (RFC 6980) */
	for (int more = 0; more < 2; more++) {
		begin(A6, SOLICITED6, FRAME_AUTO, 255);
		frame_ip6_frag(&f, 0, more, 1, FRAME_AUTO);
		frame_nd_ns(&f, B6, MAC_A);
		assert_int_equal(parse_frame(&f), DROP_BAD_ND);
	}
	/* not all of it in the first segment */
	begin(A6, SOLICITED6, FRAME_AUTO, 255);
	frame_nd_ns(&f, B6, MAC_A);
	len = frame_finish(&f);
	assert_int_equal(parse_split(buf, (size_t)len - 1, (size_t)len), DROP_BAD_ND);
}

static void other_icmpv6_is_not_nd(void **state)
{
	begin(A6, B6, FRAME_AUTO, 64);
	frame_icmp6(&f, 128, 0, 1);
	frame_fill(&f, 10, 0);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_int_equal(info.kind, PKT_IPV6);
	assert_int_equal(info.flags, PKT_F_L4 | PKT_F_DF);
	/* MLD: hop limit 1, router alert */
	begin(A6, ALL_NODES, FRAME_AUTO, 1);
	frame_ip6_ext(&f, 0, "\5\2\0\0", 4, FRAME_AUTO);
	frame_icmp6(&f, 143, 0, 0);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_int_equal(info.kind, PKT_IPV6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(udp_in_ipv6),
		cmocka_unit_test(a_chain_of_extensions),
		cmocka_unit_test(authentication_header_counts_words),
		cmocka_unit_test(chains_are_bounded),
		cmocka_unit_test(unknown_headers_end_the_chain),
		cmocka_unit_test(malformed_chains),
		cmocka_unit_test(ipv6_fragments),
		cmocka_unit_test(solicitations),
		cmocka_unit_test(advertisements),
		cmocka_unit_test(router_messages),
		cmocka_unit_test(nd_lengths),
		cmocka_unit_test(nd_options),
		cmocka_unit_test(nd_common_checks),
		cmocka_unit_test(other_icmpv6_is_not_nd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
