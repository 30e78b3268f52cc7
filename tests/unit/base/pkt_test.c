/* SPDX-License-Identifier: BSD-3-Clause */
/* Ethernet, 802.1Q, ARP, IPv4. */
#include "pkt_common.h"

static uint8_t buf[70000];
static struct frame f;

/* As captured from a wire, so that parser and frame builder cannot err together. */
static const uint8_t udp_frame[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x0b, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x08, 0x00, 0x45, 0x00,
	0x00, 0x21, 0x12, 0x34, 0x40, 0x00, 0x40, 0x11, 0x14, 0x96, 0x0a, 0x00, 0x00, 0x01, 0x0a, 0x00,
	0x00, 0x02, 0x04, 0xd2, 0x00, 0x35, 0x00, 0x0d, 0x00, 0x00, 0x68, 0x65, 0x6c, 0x6c, 0x6f,
};

static const uint8_t arp_frame[] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x08, 0x06,
	0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0a,
	0x0a, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x00, 0x00, 0x02,
};

static void udp_in_ipv4(void **state)
{
	uint8_t b[60] = { 0 };

	assert_int_equal(parse(udp_frame, sizeof(udp_frame)), DROP_NONE);
	assert_int_equal(info.kind, PKT_IPV4);
	assert_int_equal(info.ethertype, 0x800);
	assert_int_equal(info.flags, PKT_F_L4 | PKT_F_DF);
	assert_int_equal(info.l3_off, 14);
	assert_int_equal(info.l4_off, 34);
	assert_int_equal(info.l3_end, 47);
	assert_int_equal(info.proto, 17);
	assert_int_equal(info.vlan_tci, 0);
	/* padded to the Ethernet minimum, to a group, without DF */
	memcpy(b, udp_frame, sizeof(udp_frame));
	b[0] = 0x33;
	b[20] = 0;
	assert_int_equal(parse(b, sizeof(b)), DROP_NONE);
	assert_int_equal(info.flags, PKT_F_L4 | PKT_F_GROUP | PKT_F_PADDED);
	assert_int_equal(info.l3_end, 47);
}

static void every_truncation_is_a_named_drop(void **state)
{
	for (unsigned int len = 0; len < sizeof(udp_frame); len++)
		assert_int_equal(parse(udp_frame, len), len < 14 ? DROP_GUEST_RUNT : DROP_BAD_IP);
	for (unsigned int len = 0; len < sizeof(arp_frame); len++)
		assert_int_equal(parse(arp_frame, len), len < 14 ? DROP_GUEST_RUNT : DROP_BAD_ARP);
}

/* The rest lies in other segments: the IP header must be in the first, the L4 header may be missing. */
static void first_segment_of_a_chain(void **state)
{
	for (unsigned int len = 0; len < sizeof(udp_frame); len++) {
		enum drop_reason why = parse_split(udp_frame, len, sizeof(udp_frame));

		assert_int_equal(why, len < 14 ? DROP_GUEST_RUNT : len < 34 ? DROP_BAD_IP : DROP_NONE);
		if (why == DROP_NONE)
			assert_int_equal(info.flags & PKT_F_L4, len >= 38 ? PKT_F_L4 : 0);
	}
	assert_int_equal(parse_split(arp_frame, 41, 42), DROP_BAD_ARP);
}

static void tcp_icmp_and_others(void **state)
{
	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, MAC_B, MAC_A, FRAME_AUTO);
	frame_ip4(&f, IP_A, IP_B, FRAME_AUTO);
	frame_tcp(&f, 1000, 80, 1, 2, 0x10);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_int_equal(info.flags, PKT_F_L4);
	assert_int_equal(info.proto, 6);
	assert_int_equal(info.l3_end, 54);

	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, MAC_B, MAC_A, FRAME_AUTO);
	frame_ip4(&f, IP_A, IP_B, FRAME_AUTO);
	frame_icmp4(&f, 8, 0, 0x10001);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_int_equal(info.flags, PKT_F_L4);
	assert_int_equal(info.proto, 1);

	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, MAC_B, MAC_A, FRAME_AUTO);
	frame_ip4(&f, IP_A, IP_B, 132);
	frame_fill(&f, 40, 0);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_int_equal(info.flags, 0);
	assert_int_equal(info.proto, 132);
	assert_int_equal(info.l4_off, 34);

	/* The other family's ICMP is nothing we know. */
	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, MAC_B, MAC_A, FRAME_AUTO);
	frame_ip4(&f, IP_A, IP_B, 58);
	frame_fill(&f, 40, 135);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_int_equal(info.kind, PKT_IPV4);
	assert_int_equal(info.flags, 0);
}

static void short_l4_headers_are_no_l4(void **state)
{
	static const struct {
		uint8_t proto, bytes;
		int l4;
	} c[] = { { 17, 0, 0 }, { 17, 3, 0 }, { 17, 4, PKT_F_L4 }, { 6, 3, 0 }, { 6, 4, PKT_F_L4 },
		  { 1, 7, 0 },	{ 1, 8, PKT_F_L4 } };

	for (unsigned int i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		for (int pad = 0; pad < 2; pad++) {
			frame_init(&f, buf, sizeof(buf));
			frame_eth(&f, MAC_B, MAC_A, FRAME_AUTO);
			frame_ip4(&f, IP_A, IP_B, c[i].proto);
			frame_fill(&f, c[i].bytes, 0);
			if (pad)
				frame_pad(&f, 60);
			assert_int_equal(parse_frame(&f), DROP_NONE);
			assert_int_equal(info.flags, c[i].l4 | (pad ? PKT_F_PADDED : 0));
		}
	}
}

static void ipv4_options(void **state)
{
	for (unsigned int n = 4; n <= 40; n += 4) {
		struct frame_ip4 ip = {
			.src = IP_A, .dst = IP_B, .opts = "\x94\x04", .opts_len = n == 4 ? 2 : 0};
		uint8_t nops[40];

		memset(nops, 1, sizeof(nops));
		if (n > 4) {
			ip.opts = nops;
			ip.opts_len = n;
		}
		frame_init(&f, buf, sizeof(buf));
		frame_eth(&f, MAC_B, MAC_A, FRAME_AUTO);
		frame_ip4_full(&f, &ip);
		frame_udp(&f, 1, 2);
		assert_int_equal(parse_frame(&f), DROP_NONE);
		assert_int_equal(info.flags, PKT_F_L4 | PKT_F_OPTIONS);
		assert_int_equal(info.l4_off, 34 + n);
	}
}

/* One byte of a good frame changed. */
static void malformed_ipv4(void **state)
{
	static const struct {
		unsigned int off;
		uint8_t value;
	} c[] = {
		{ 14, 0x55 }, /* version 5 */
		{ 14, 0x65 }, /* version 6 */
		{ 14, 0x44 }, /* header of 16 bytes */
		{ 14, 0x40 },
		{ 14, 0x4f }, /* header of 60 bytes in a frame of 33 */
		{ 17, 19 },   /* total length below the header */
		{ 17, 0 },
		{ 17, 34 },   /* one byte more than there is */
		{ 16, 0xff },
		{ 20, 0x1f }, /* last fragment beyond 65535 */
	};

	for (unsigned int i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		uint8_t b[sizeof(udp_frame)];

		memcpy(b, udp_frame, sizeof(b));
		b[c[i].off] = c[i].value;
		if (c[i].off == 20)
			b[21] = 0xff;
		assert_int_equal(parse(b, sizeof(b)), DROP_BAD_IP);
	}
}

static void fragments(void **state)
{
	uint8_t b[sizeof(udp_frame)];

	memcpy(b, udp_frame, sizeof(b));
	b[20] = 0x20; /* MF, offset 0 */
	assert_int_equal(parse(b, sizeof(b)), DROP_NONE);
	assert_int_equal(info.flags, PKT_F_FRAGMENT | PKT_F_L4);
	b[21] = 1; /* MF, offset 8 */
	assert_int_equal(parse(b, sizeof(b)), DROP_NONE);
	assert_int_equal(info.flags, PKT_F_FRAGMENT | PKT_F_FRAG_LATER);
	assert_int_equal(info.l4_off, 34);
	b[20] = 0; /* the last */
	assert_int_equal(parse(b, sizeof(b)), DROP_NONE);
	assert_int_equal(info.flags, PKT_F_FRAGMENT | PKT_F_FRAG_LATER);
	/* offset 65496 and 33 bytes with the header: 65529 is possible; 8 more are not */
	b[20] = 0x1f;
	b[21] = 0xfb;
	assert_int_equal(parse(b, sizeof(b)), DROP_NONE);
	b[21] = 0xfc;
	assert_int_equal(parse(b, sizeof(b)), DROP_BAD_IP);
	/* the reserved bit is nobody's business */
	b[20] = 0x80;
	b[21] = 0;
	assert_int_equal(parse(b, sizeof(b)), DROP_NONE);
	assert_int_equal(info.flags, PKT_F_L4);
}

static void tags(void **state)
{
	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, MAC_B, MAC_A, FRAME_AUTO);
	frame_vlan(&f, 0x8100, 0xe064, FRAME_AUTO);
	frame_ip4(&f, IP_A, IP_B, FRAME_AUTO);
	frame_udp(&f, 1, 2);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_int_equal(info.kind, PKT_IPV4);
	assert_int_equal(info.flags, PKT_F_VLAN | PKT_F_L4);
	assert_int_equal(info.vlan_tci, 0xe064);
	assert_int_equal(info.ethertype, 0x800);
	assert_int_equal(info.l3_off, 18);
	assert_int_equal(info.l4_off, 38);
	for (unsigned int len = 14; len < 18; len++)
		assert_int_equal(parse(buf, len), DROP_GUEST_RUNT);

	/* Two tags: the inner one is another EtherType. */
	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, MAC_B, MAC_A, FRAME_AUTO);
	frame_vlan(&f, 0x8100, 1, FRAME_AUTO);
	frame_vlan(&f, 0x8100, 2, FRAME_AUTO);
	frame_ip4(&f, IP_A, IP_B, FRAME_AUTO);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_int_equal(info.kind, PKT_OTHER);
	assert_int_equal(info.ethertype, 0x8100);
	assert_int_equal(info.vlan_tci, 1);

	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, MAC_B, MAC_A, FRAME_AUTO);
	frame_vlan(&f, 0x88a8, 1, FRAME_AUTO);
	frame_ip4(&f, IP_A, IP_B, FRAME_AUTO);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_int_equal(info.kind, PKT_OTHER);
	assert_int_equal(info.ethertype, 0x88a8);
	assert_int_equal(info.flags, 0);
}

static void other_ethertypes(void **state)
{
	static const uint8_t lldp[14] = { 0x01, 0x80, 0xc2, 0, 0, 0x0e, 2, 0, 0, 0, 0, 1, 0x88, 0xcc };
	static const uint8_t llc[14] = { 0x01, 0x80, 0xc2, 0, 0, 0, 2, 0, 0, 0, 0, 1, 0x00, 0x26 };

	assert_int_equal(parse(lldp, 14), DROP_NONE);
	assert_int_equal(info.kind, PKT_OTHER);
	assert_int_equal(info.ethertype, 0x88cc);
	assert_int_equal(info.flags, PKT_F_GROUP);
	assert_int_equal(parse(llc, 14), DROP_NONE);
	assert_int_equal(info.ethertype, 0x26);
}

static void arp(void **state)
{
	static const uint8_t wrong[][2] = {{15, 6}, {16, 0x86}, {18, 8}, {19, 16},
					   {21, 0}, {21, 3},	{20, 1}, {14, 1}};
	uint8_t b[60] = { 0 };

	assert_int_equal(parse(arp_frame, sizeof(arp_frame)), DROP_NONE);
	assert_int_equal(info.kind, PKT_ARP);
	assert_int_equal(info.flags, PKT_F_GROUP);
	assert_int_equal(info.l3_off, 14);
	memcpy(b, arp_frame, sizeof(arp_frame));
	b[21] = 2;
	assert_int_equal(parse(b, sizeof(b)), DROP_NONE);
	assert_int_equal(info.kind, PKT_ARP);
	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		memcpy(b, arp_frame, sizeof(arp_frame));
		b[wrong[i][0]] = wrong[i][1];
		assert_int_equal(parse(b, sizeof(b)), DROP_BAD_ARP);
	}
	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, MAC_B, MAC_A, FRAME_AUTO);
	frame_vlan(&f, 0x8100, 7, FRAME_AUTO);
	frame_arp(&f, 1, MAC_A, IP_A, MAC_B, IP_B);
	assert_int_equal(parse_frame(&f), DROP_NONE);
	assert_int_equal(info.kind, PKT_ARP);
	assert_int_equal(info.l3_off, 18);
}

/* A segmentation-offload packet of the largest IP length ends beyond 65535. */
static void the_largest_packet(void **state)
{
	memcpy(buf, udp_frame, sizeof(udp_frame));
	memset(buf + sizeof(udp_frame), 0, sizeof(buf) - sizeof(udp_frame));
	buf[16] = buf[17] = 0xff;
	assert_int_equal(parse_split(buf, 2000, 65549), DROP_NONE);
	assert_int_equal(info.l3_end, 65549);
	assert_int_equal(info.flags, PKT_F_L4 | PKT_F_DF);
	assert_int_equal(parse_split(buf, 2000, 65548), DROP_BAD_IP);
	assert_int_equal(parse_split(buf, 2000, 2000), DROP_BAD_IP);
	assert_int_equal(parse(buf, 65549), DROP_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(udp_in_ipv4),
		cmocka_unit_test(every_truncation_is_a_named_drop),
		cmocka_unit_test(first_segment_of_a_chain),
		cmocka_unit_test(tcp_icmp_and_others),
		cmocka_unit_test(short_l4_headers_are_no_l4),
		cmocka_unit_test(ipv4_options),
		cmocka_unit_test(malformed_ipv4),
		cmocka_unit_test(fragments),
		cmocka_unit_test(tags),
		cmocka_unit_test(other_ethertypes),
		cmocka_unit_test(arp),
		cmocka_unit_test(the_largest_packet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
