/* SPDX-License-Identifier: BSD-3-Clause */
/* Which packets hash alike, and how evenly the hash spreads. */
#include "pkt_common.h"

#define SALT  UINT64_C(0x5bd1e9955bd1e995)
#define FLOWS 10000

static uint8_t buf[4096], part[4096];
static struct frame f;

static uint32_t hash_of(const uint8_t *frame, size_t len)
{
	assert_int_equal(parse(frame, len), DROP_NONE);
	return flowhash(frame, &info, SALT);
}

static uint32_t finish(void)
{
	ssize_t len = frame_finish(&f);

	assert_true(len > 0);
	return hash_of(buf, (size_t)len);
}

static uint32_t ip4_hash(uint32_t src, uint32_t dst, uint8_t proto, uint16_t sport, uint16_t dport)
{
	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, MAC_B, MAC_A, FRAME_AUTO);
	frame_ip4(&f, src, dst, FRAME_AUTO);
	if (proto == 6)
		frame_tcp(&f, sport, dport, 0, 0, 2);
	else
		frame_udp(&f, sport, dport);
	frame_fill(&f, 64, 0);
	return finish();
}

static uint32_t ip6_hash(uint8_t src, uint8_t dst, uint8_t proto, uint16_t sport, uint16_t dport)
{
	uint8_t a[16] = { 0xfd, [15] = src }, b[16] = { 0xfd, [15] = dst };

	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, MAC_B, MAC_A, FRAME_AUTO);
	frame_ip6(&f, a, b, FRAME_AUTO, 64);
	if (proto == 6)
		frame_tcp(&f, sport, dport, 0, 0, 2);
	else
		frame_udp(&f, sport, dport);
	frame_fill(&f, 64, 0);
	return finish();
}

static void all_parts_of_the_five_tuple_count(void **state)
{
	uint32_t h = ip4_hash(IP_A, IP_B, 17, 1, 2), h6 = ip6_hash(1, 2, 17, 1, 2);

	assert_int_equal(h, ip4_hash(IP_A, IP_B, 17, 1, 2));
	assert_int_not_equal(h, ip4_hash(IP_A + 1, IP_B, 17, 1, 2));
	assert_int_not_equal(h, ip4_hash(IP_A, IP_B + 1, 17, 1, 2));
	assert_int_not_equal(h, ip4_hash(IP_A, IP_B, 6, 1, 2));
	assert_int_not_equal(h, ip4_hash(IP_A, IP_B, 17, 3, 2));
	assert_int_not_equal(h, ip4_hash(IP_A, IP_B, 17, 1, 3));
	assert_int_equal(h6, ip6_hash(1, 2, 17, 1, 2));
	assert_int_not_equal(h6, ip6_hash(3, 2, 17, 1, 2));
	assert_int_not_equal(h6, ip6_hash(1, 3, 17, 1, 2));
	assert_int_not_equal(h6, ip6_hash(1, 2, 6, 1, 2));
	assert_int_not_equal(h6, ip6_hash(1, 2, 17, 3, 2));
	assert_int_not_equal(h6, ip6_hash(1, 2, 17, 1, 3));
	assert_int_not_equal(flowhash(buf, &info, SALT), flowhash(buf, &info, SALT + 1));
}

/* Tag, options, extension headers, padding and payload do not change the flow. */
static void what_is_not_the_flow_does_not_count(void **state)
{
	uint32_t h = ip4_hash(IP_A, IP_B, 17, 1, 2), h6 = ip6_hash(1, 2, 17, 1, 2);
	struct frame_ip4 ip = {
		.src = IP_A, .dst = IP_B, .opts = "\1\1\1\1", .opts_len = 4, .id = 7, .ttl = 3};
	uint8_t a[16] = { 0xfd, [15] = 1 }, b[16] = { 0xfd, [15] = 2 };

	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, MAC_A, MAC_B, FRAME_AUTO);
	frame_vlan(&f, 0x8100, 5, FRAME_AUTO);
	frame_ip4_full(&f, &ip);
	frame_udp(&f, 1, 2);
	frame_pad(&f, 100);
	assert_int_equal(finish(), h);
	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, MAC_A, MAC_B, FRAME_AUTO);
	frame_ip6(&f, a, b, FRAME_AUTO, 64);
	frame_ip6_ext(&f, 60, NULL, 0, FRAME_AUTO);
	frame_udp(&f, 1, 2);
	assert_int_equal(finish(), h6);
}

static uint32_t fragment_hash(size_t at, size_t len)
{
	struct frame g;
	ssize_t n;

	frame_init(&g, part, sizeof(part));
	n = frame_fragment(&f, at, len, 9, &g);
	assert_true(n > 0);
	return hash_of(part, (size_t)n);
}

static void all_fragments_hash_alike(void **state)
{
	uint32_t whole, first;
	uint8_t a[16] = { 0xfd, [15] = 1 }, b[16] = { 0xfd, [15] = 2 };

	whole = ip4_hash(IP_A, IP_B, 17, 1, 2); /* 72 bytes of IP payload */
	first = fragment_hash(0, 8);
	assert_int_equal(fragment_hash(8, 24), first);
	assert_int_equal(fragment_hash(64, 8), first);
	assert_int_equal(fragment_hash(0, 64), first);
	assert_int_not_equal(first, whole);
	ip4_hash(IP_A, IP_B, 17, 3, 4);
	assert_int_equal(fragment_hash(0, 8), first); /* ports cannot count */
	ip4_hash(IP_A, IP_B, 6, 1, 2);
	assert_int_not_equal(fragment_hash(0, 24), first); /* the protocol can */

	ip6_hash(1, 2, 17, 1, 2);
	first = fragment_hash(0, 8);
	assert_int_equal(fragment_hash(8, 24), first);
	assert_int_equal(fragment_hash(64, 8), first);
	/* The chain goes on in the first fragment: its last header is not what the later ones name. */
	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, MAC_B, MAC_A, FRAME_AUTO);
	frame_ip6(&f, a, b, FRAME_AUTO, 64);
	frame_ip6_ext(&f, 60, NULL, 0, FRAME_AUTO);
	frame_udp(&f, 1, 2);
	frame_fill(&f, 64, 0);
	finish();
	assert_int_equal(fragment_hash(0, 16), first);
	assert_int_equal(fragment_hash(16, 16), first);
}

static void without_ports(void **state)
{
	uint32_t h = 0, k = 0;

	for (int id = 0; id < 2; id++) { /* echo id does not count */
		k = h;
		frame_init(&f, buf, sizeof(buf));
		frame_eth(&f, MAC_B, MAC_A, FRAME_AUTO);
		frame_ip4(&f, IP_A, IP_B, FRAME_AUTO);
		frame_icmp4(&f, 8, 0, (uint32_t)id << 16);
		h = finish();
	}
	assert_int_equal(h, k);
	/* non-IP: MACs and EtherType, nothing else */
	memset(buf, 0, 60);
	memcpy(buf, MAC_A, 6);
	memcpy(buf + 6, MAC_B, 6);
	memcpy(buf + 12, "\x88\xb5", 2);
	h = hash_of(buf, 60);
	buf[20] = 1;
	assert_int_equal(hash_of(buf, 60), h);
	assert_int_equal(hash_of(buf, 14), h);
	for (unsigned int i = 1; i < 14; i++) {
		buf[i] ^= 1;
		assert_int_not_equal(hash_of(buf, 60), h);
		buf[i] ^= 1;
	}
}

/* --- spread */

struct pattern {
	const char *name;
	uint32_t (*hash)(unsigned int i);
};

static uint32_t by_source_port(unsigned int i)
{
	return ip4_hash(IP_A, IP_B, 6, (uint16_t)(32768 + i), 80);
}

static uint32_t by_even_source_port(unsigned int i)
{
	return ip4_hash(IP_A, IP_B, 6, (uint16_t)(2 * i), 80);
}

static uint32_t by_destination_port(unsigned int i)
{
	return ip4_hash(IP_A, IP_B, 17, 5000, (uint16_t)i);
}

static uint32_t by_source_address(unsigned int i)
{
	return ip4_hash(htonl(0x0a000000 + i), IP_B, 17, 5000, 53);
}

static uint32_t by_destination_subnet(unsigned int i)
{
	return ip4_hash(IP_A, htonl(0x0a000001 + (i << 8)), 6, 5000, 443);
}

/* Both ends count: adding or xoring the parts would fold these together. */
static uint32_t by_pairs(unsigned int i)
{
	return ip4_hash(htonl(0x0a000000 + i), htonl(0x0b000000 + i), 6, (uint16_t)i, (uint16_t)i);
}

static uint32_t by_ipv6_port(unsigned int i)
{
	return ip6_hash(1, 2, 6, (uint16_t)(32768 + i), 80);
}

static uint32_t by_ipv6_address(unsigned int i)
{
	return ip6_hash((uint8_t)i, (uint8_t)(i >> 8), 17, 1, 2);
}

static uint32_t by_mac(unsigned int i)
{
	uint8_t b[14] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, (uint8_t)(i >> 8), (uint8_t)i, 0x88, 0xb5 };

	return hash_of(b, sizeof(b));
}

/*
 * FLOWS balls in 256 boxes, for each byte of the hash. Chi-square with 255 degrees of freedom has mean 255
 * and standard deviation 22.6; 400 is more than six of them away, and the hashes are the same in every run.
 */
static void flows_spread_over_each_byte(void **state)
{
	static const struct pattern patterns[] = {
		{ "source port", by_source_port },
		{ "even source port", by_even_source_port },
		{ "destination port", by_destination_port },
		{ "source address", by_source_address },
		{ "destination subnet", by_destination_subnet },
		{ "pairs", by_pairs },
		{ "IPv6 port", by_ipv6_port },
		{ "IPv6 address", by_ipv6_address },
		{ "MAC", by_mac },
	};

	for (unsigned int p = 0; p < sizeof(patterns) / sizeof(patterns[0]); p++) {
		unsigned int boxes[4][256] = { 0 };

		for (unsigned int i = 0; i < FLOWS; i++) {
			uint32_t h = patterns[p].hash(i);

			boxes[0][FLOW_BUCKET(h)]++;
			boxes[1][FLOW_PA(h)]++;
			boxes[2][FLOW_ID(h)]++;
			boxes[3][FLOW_QUEUE(h)]++;
		}
		for (unsigned int b = 0; b < 4; b++) {
			double expected = FLOWS / 256.0, chi = 0;
			unsigned int used = 0;

			for (unsigned int i = 0; i < 256; i++) {
				double d = boxes[b][i] - expected;

				chi += d * d / expected;
				used += boxes[b][i] != 0;
			}
			if (used < 200 || chi > 400)
				fail_msg("%s, byte %u: %u values, chi-square %.0f", patterns[p].name, b, used,
					 chi);
		}
	}
}

/* Few flows are the hard case: 64 flows over 2, 4 and 8 members, worst deviation over many salts. */
static void few_flows_spread_over_members(void **state)
{
	uint64_t seed = 1;
	unsigned int bad = 0;

	for (unsigned int round = 0; round < 400; round++) {
		uint64_t salt = unit_random(&seed);
		unsigned int n[4] = { 0 };

		for (unsigned int i = 0; i < 64; i++) {
			ip4_hash(IP_A, IP_B, 6, (uint16_t)(40000 + 2 * i), 5201);
			n[FLOW_BUCKET(flowhash(buf, &info, salt)) % 4]++;
		}
		for (unsigned int i = 0; i < 4; i++)
			bad += n[i] < 6 || n[i] > 28; /* binomial: mean 16, deviation 3.46 */
	}
	/* Probability of one such count is about 0.0016: 1600 counts give 2.6. */
	assert_true(bad < 12);
}

/* No byte is a function of another one: knowing the bucket says nothing about the PA or FlowID. */
static void bytes_are_independent(void **state)
{
	static unsigned int joint[16][16];
	unsigned int shifts[] = { 0, 8, 16, 24 };

	for (unsigned int x = 0; x < 4; x++) {
		for (unsigned int y = x + 1; y < 4; y++) {
			double expected = FLOWS / 256.0, chi = 0;

			memset(joint, 0, sizeof(joint));
			for (unsigned int i = 0; i < FLOWS; i++) {
				uint32_t h = by_source_port(i);

				joint[(h >> shifts[x]) & 15][(h >> shifts[y]) & 15]++;
			}
			for (unsigned int i = 0; i < 256; i++) {
				double d = joint[i / 16][i % 16] - expected;

				chi += d * d / expected;
			}
			assert_true(chi < 400);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_parts_of_the_five_tuple_count),
		cmocka_unit_test(what_is_not_the_flow_does_not_count),
		cmocka_unit_test(all_fragments_hash_alike),
		cmocka_unit_test(without_ports),
		cmocka_unit_test(flows_spread_over_each_byte),
		cmocka_unit_test(few_flows_spread_over_members),
		cmocka_unit_test(bytes_are_independent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
