/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random frames of known structure: what the builder put in, the parser has to find. And frames with random
 * damage, where only soundness can be asked.
 */
#include "pkt_common.h"

#define ROUNDS 20000

static uint8_t buf[4096];
static struct frame f;

/* A frame's structure as it was built. */
static struct pkt_info want;

static void random_l4(uint64_t *seed, bool four, uint32_t off)
{
	static const uint8_t others[] = { 132, 47, 50, 59, 4 };
	uint32_t payload = (uint32_t)unit_below(seed, 600);

	switch (unit_below(seed, 4)) {
	case 0:
		frame_tcp(&f, (uint16_t)unit_random(seed), (uint16_t)unit_random(seed), 1, 2, 0x10);
		want.proto = 6;
		want.flags |= PKT_F_L4;
		break;
	case 1:
		frame_udp(&f, (uint16_t)unit_random(seed), (uint16_t)unit_random(seed));
		want.proto = 17;
		want.flags |= PKT_F_L4;
		break;
	case 2:
		if (four)
			frame_icmp4(&f, (uint8_t)unit_random(seed), 0, 1);
		else
			frame_icmp6(&f, (uint8_t)(unit_random(seed) | 0xc0), 0, 1);
		want.proto = four ? 1 : 58;
		want.flags |= PKT_F_L4;
		break;
	default:
		want.proto = others[unit_below(seed, sizeof(others))];
	}
	want.l4_off = (uint16_t)off;
	frame_fill(&f, payload, (uint8_t)payload);
	want.l3_end = (uint32_t)f.len;
}

static uint32_t random_ip4(uint64_t *seed, uint32_t off)
{
	uint8_t opts[40] = { 0 };
	struct frame_ip4 ip = {
		.src = (uint32_t)unit_random(seed),
		.dst = (uint32_t)unit_random(seed),
		.opts = opts,
		.opts_len = unit_below(seed, 3) ? 0 : unit_below(seed, 41),
		.id = (uint16_t)unit_random(seed),
	};

	if (unit_below(seed, 2)) {
		ip.frag = 0x4000;
		want.flags |= PKT_F_DF;
	}
	if (ip.opts_len)
		want.flags |= PKT_F_OPTIONS;
	want.kind = PKT_IPV4;
	want.ethertype = 0x800;
	frame_ip4_full(&f, &ip);
	return (uint32_t)(off + 20 + (ip.opts_len + 3) / 4 * 4);
}

static uint32_t random_ip6(uint64_t *seed, uint32_t off)
{
	static const uint8_t kinds[] = { 43, 60 };
	uint64_t a[4] = { unit_random(seed), unit_random(seed), unit_random(seed), unit_random(seed) };
	uint8_t zeros[64] = { 0 };

	want.kind = PKT_IPV6;
	want.ethertype = 0x86dd;
	want.flags |= PKT_F_DF;
	frame_ip6(&f, a, a + 2, FRAME_AUTO, (uint8_t)unit_random(seed));
	off += 40;
	for (unsigned int n = unit_below(seed, 2) ? (unsigned int)unit_below(seed, 6) : 0; n; n--) {
		size_t len = unit_below(seed, 50);

		frame_ip6_ext(&f, kinds[unit_below(seed, 2)], zeros, len, FRAME_AUTO);
		off += (uint32_t)(2 + len + 7) / 8 * 8;
		want.flags |= PKT_F_OPTIONS;
	}
	return off;
}

static size_t build(uint64_t *seed)
{
	uint32_t off = 14;
	uint8_t *last;
	bool four = unit_below(seed, 2);

	memset(&want, 0, sizeof(want));
	frame_init(&f, buf, sizeof(buf));
	if (unit_below(seed, 4) == 0)
		want.flags |= PKT_F_GROUP;
	frame_eth(&f, want.flags ? (const void *)"\xff\xff\xff\xff\xff\xff" : (const void *)MAC_B, MAC_A,
		  FRAME_AUTO);
	if (unit_below(seed, 3) == 0) {
		want.vlan_tci = (uint16_t)unit_random(seed);
		want.flags |= PKT_F_VLAN;
		frame_vlan(&f, 0x8100, want.vlan_tci, FRAME_AUTO);
		off += 4;
	}
	want.l3_off = (uint8_t)off;
	off = four ? random_ip4(seed, off) : random_ip6(seed, off);
	random_l4(seed, four, off);
	if (unit_below(seed, 2))
		frame_pad(&f, 60 + unit_below(seed, 700));
	if (f.len > want.l3_end)
		want.flags |= PKT_F_PADDED;
	assert_true(frame_finish(&f) > 0);
	/* Protocols the builder has no header for. */
	last = f.data + want.l3_off + (four ? 9 : 6);
	if (!(want.flags & PKT_F_L4)) {
		if (!four && want.flags & PKT_F_OPTIONS)
			for (last = f.data + want.l3_off + 40;
			     last + (last[1] + 1) * 8 < f.data + want.l4_off;)
				last += (last[1] + 1) * 8;
		*last = want.proto;
	}
	return f.len;
}

static void structure_is_found(void **state)
{
	uint64_t seed = unit_seed();

	for (unsigned int i = 0; i < ROUNDS; i++) {
		size_t len = build(&seed), first = want.l4_off + unit_below(&seed, len - want.l4_off + 1);
		uint32_t need = want.proto == 6 || want.proto == 17 ? 4 : 8;

		assert_int_equal(parse(buf, len), DROP_NONE);
		assert_memory_equal(&info, &want, sizeof(want));
		/* the same, with only the IP header and a bit of the rest in the first segment */
		assert_int_equal(parse_split(buf, first, len), DROP_NONE);
		if (first < want.l4_off + need)
			want.flags &= (uint8_t)~PKT_F_L4;
		assert_memory_equal(&info, &want, sizeof(want));
	}
}

static void fragments_are_found(void **state)
{
	static uint8_t part[4096];
	uint64_t seed = unit_seed();

	for (unsigned int i = 0; i < ROUNDS / 4; i++) {
		size_t len = build(&seed), at, n, payload;
		struct frame g;
		ssize_t glen;

		payload = want.l3_end - want.l3_off -
			  (want.kind == PKT_IPV4 ? (buf[want.l3_off] & 15) * 4u : 40u);
		if (payload < 16 || want.flags & PKT_F_OPTIONS || len == 0)
			continue;
		at = unit_below(&seed, payload / 8) * 8;
		n = at + 8 >= payload || unit_below(&seed, 2)
			    ? payload - at
			    : 8 * (1 + unit_below(&seed, (payload - at) / 8));
		if (at == 0 && n == payload)
			continue;
		frame_init(&g, part, sizeof(part));
		glen = frame_fragment(&f, at, n, 77, &g);
		assert_true(glen > 0);
		assert_int_equal(parse(part, (size_t)glen), DROP_NONE);
		assert_true(info.flags & PKT_F_FRAGMENT);
		assert_int_equal(!(info.flags & PKT_F_FRAG_LATER), at == 0);
		assert_int_equal(info.l4_off, want.l4_off + (want.kind == PKT_IPV6 ? 8 : 0));
		assert_int_equal(info.l3_end, info.l4_off + n);
		assert_int_equal(info.proto, want.proto);
	}
}

static void damage_is_survived(void **state)
{
	uint64_t seed = unit_seed();

	for (unsigned int i = 0; i < ROUNDS; i++) {
		size_t len = build(&seed), head = len < 120 ? len : 120;

		for (unsigned int n = 1 + (unsigned int)unit_below(&seed, 4); n; n--)
			buf[12 + unit_below(&seed, head - 12)] = (uint8_t)unit_random(&seed);
		parse_split(buf, unit_below(&seed, len + 1), len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(structure_is_found),
		cmocka_unit_test(fragments_are_found),
		cmocka_unit_test(damage_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
