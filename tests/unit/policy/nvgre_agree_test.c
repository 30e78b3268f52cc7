/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fast path and the slow path of NVGRE validation agree: whatever the fast one accepts the slow one
 * accepts with the same result, and what only the slow one accepts has one of the oddities that the fast one
 * leaves to it. Sound frames, spoiled at random.
 */
#include <stdbool.h>

#include "policy/nvgre_private.h"
#include "policy/policy.h"
#include "nvgre_frames.h"

#define ROUNDS 400000

/* What a field may hold that is nearly right. */
static const uint32_t words[] = { 0,	  1,	  0x1fff, 0x2000, 0x2001, 0x3000, 0x4000,
				  0x6558, 0x0800, 0x86dd, 0x8100, 0x88a8, 0x4500, 0x4600,
				  0x6000, 0x2f00, 0x0fff, 0x1000, 0xffff, 0x0123, 0x8123 };

static void spoil(struct nvgre_frame *n, uint64_t *seed)
{
	uint32_t span = n->inner + 20, at = (uint32_t)unit_below(seed, span);
	static const int8_t steps[] = { -1, 1, 2, -2, 8, -8, 14, -14 };
	uint8_t *length = n->data + n->l3 + (n->shape & SHAPE_V6 ? 4 : 2);

	switch (unit_below(seed, 8)) {
	case 0:
	case 1:
		n->data[at] ^= (uint8_t)(1u << unit_below(seed, 8));
		break;
	case 2:
		n->data[at] = (uint8_t)unit_random(seed);
		break;
	case 3:
		store_be16(n->data + (at & ~1u),
			   (uint16_t)words[unit_below(seed, sizeof(words) / sizeof(words[0]))]);
		break;
	case 4:
		n->len = (uint32_t)unit_below(seed, n->len + 1);
		break;
	case 5:
		store_be16(length, (uint16_t)(load_be16(length) + steps[unit_below(seed, sizeof(steps))]));
		break;
	case 6: /* to the other PA, in whole or in part */
		n->data[5] = (uint8_t)(1 + unit_below(seed, 2));
		n->data[n->l3 + (n->shape & SHAPE_V6 ? 39 : 19)] = (uint8_t)(1 + unit_below(seed, 2));
		break;
	default:
		if (n->shape & SHAPE_TAGGED)
			store_be16(n->data + 14,
				   (uint16_t)(unit_below(seed, 2) * TEST_VLAN | unit_below(seed, 8) << 13));
		else if (n->shape & SHAPE_V6)
			n->data[n->l3 + 6] = 60; /* destination options; the GRE header is read as one */
		else
			n->data[n->l3] = (uint8_t)(0x45 + unit_below(seed, 11));
		break;
	}
}

/* Of frames that are accepted: why the fast path may have left this one to the slow path. 0: it may not. */
static int oddity(const struct nvgre_frame *n)
{
	uint32_t l3 = load_be16(n->data + 12) == ETHERTYPE_VLAN_ ? 18 : 14;

	if (l3 == 18 && (load_be16(n->data + 14) & 0xfff) == 0)
		return 1; /* priority tag */
	if (load_be16(n->data + l3 - 2) == ETHERTYPE_IPV4_ && n->data[l3] != 0x45)
		return 2; /* options */
	if (load_be16(n->data + l3 - 2) == ETHERTYPE_IPV6_ && n->data[l3 + 6] != IPPROTO_GRE_)
		return 3; /* extension headers */
	return 0;
}

/* An IPv6 frame with a destination options header, or IPv4 with options, as a base to spoil. */
static void make_long(struct nvgre_frame *n, unsigned int shape)
{
	struct nvgre_frame plain;
	uint32_t more = shape & SHAPE_V6 ? 8 : 4;

	nvgre_frame_make(&plain, shape);
	*n = plain;
	memcpy(n->data + plain.gre + more, plain.data + plain.gre, plain.len - plain.gre);
	n->gre += more;
	n->inner += more;
	n->len += more;
	memset(n->data + plain.gre, 0, more);
	if (shape & SHAPE_V6) {
		n->data[n->l3 + 6] = 60;
		memcpy(n->data + plain.gre, "\x2f\0\1\4\0\0\0\0", 8);
		store_be16(n->data + n->l3 + 4, (uint16_t)(n->len - n->l3 - 40));
	} else {
		n->data[n->l3] = 0x46;
		memset(n->data + plain.gre, 1, 4); /* NOPs */
		store_be16(n->data + n->l3 + 2, (uint16_t)(n->len - n->l3));
		nvgre_frame_checksum(n);
	}
}

struct tally {
	uint32_t both, neither, slow_only[4];
	uint32_t reasons[DROP_COUNT];
};

static bool same(const struct encap_rx *a, const struct encap_rx *b)
{
	return a->vsid == b->vsid && ip_equal(&a->outer_src, &b->outer_src) && a->inner_off == b->inner_off &&
	       a->inner_len == b->inner_len && a->inner_tag == b->inner_tag;
}

static void compare(const struct nvgre_frame *n, const struct encap_local *l, bool csum_good, uint64_t *seed,
		    struct tally *t)
{
	uint8_t *data = unit_exact_copy(n->data, n->len);
	uint32_t len = n->len, total = n->len;
	struct encap_rx fast, slow, both;
	unsigned int hint = (unsigned int)unit_below(seed, N_LOCALS + 1), slow_pa = 99, fast_pa, matches = 0;
	enum drop_reason why, whole;

	whole = nvgre_ops.parse(data, len, total, csum_good, l, N_LOCALS, &hint, &both);
	why = nvgre_parse_slow(data, len, total, csum_good, l, N_LOCALS, &slow_pa, &slow);
	assert_int_equal(whole, why);
	t->reasons[why]++;
	for (unsigned int i = 0; i < N_LOCALS; i++) {
		if (!nvgre_parse_fast(data, len, total, csum_good, &l[i], &fast))
			continue;
		fast_pa = i;
		matches++;
		assert_int_equal(why, DROP_NONE);
		assert_int_equal(fast_pa, slow_pa);
		assert_true(same(&fast, &slow));
	}
	assert_true(matches <= 1);
	if (!why) {
		assert_int_equal(hint, slow_pa);
		assert_true(same(&both, &slow));
		t->both += matches;
		if (!matches) {
			assert_int_not_equal(oddity(n), 0);
			t->slow_only[oddity(n)]++;
		}
	} else {
		t->neither++;
	}
	free(data);
}

static void fast_and_slow_agree(void **state)
{
	uint64_t seed = unit_seed();
	struct tally t = { 0 };
	struct encap_local l[2][N_LOCALS];

	nvgre_locals(false, l[0]);
	nvgre_locals(true, l[1]);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		unsigned int shape = (unsigned int)unit_below(&seed, N_SHAPES);
		/* mostly the PAs that fit; the others are how an untagged PA sees tags */
		const struct encap_local *locals = l[unit_below(&seed, 8) ? !!(shape & SHAPE_TAGGED) : i & 1];
		struct nvgre_frame n;

		if (unit_below(&seed, 6))
			nvgre_frame_make(&n, shape);
		else
			make_long(&n, shape);
		for (uint64_t k = unit_below(&seed, 4); k > 0; k--)
			spoil(&n, &seed);
		if (unit_below(&seed, 4))
			nvgre_frame_checksum(&n);
		compare(&n, locals, unit_below(&seed, 4) == 0, &seed, &t);
	}
	print_message(
		"accepted by both %u, slow only %u priority tags, %u options, %u extensions, dropped %u\n",
		t.both, t.slow_only[1], t.slow_only[2], t.slow_only[3], t.neither);
	for (unsigned int i = 0; i < DROP_COUNT; i++) {
		if (t.reasons[i])
			print_message("  %s %u\n", drop_name(i), t.reasons[i]);
	}
	/* The property is worth something only if every case came up. */
	assert_true(t.both > ROUNDS / 20 && t.neither > ROUNDS / 20);
	assert_true(t.slow_only[1] && t.slow_only[2] && t.slow_only[3]);
	for (enum drop_reason r = DROP_WIRE_OTHER; r <= DROP_INNER_RUNT; r++) {
		bool others = r == DROP_NOT_HOME || r == DROP_FLOODED_COPY || r == DROP_VSID_UNKNOWN;

		if (!others) /* who judges them comes later */
			assert_true(t.reasons[r] > 0);
	}
}

/*
 * The arithmetic of the fast path's checksum, over all sums that matter: one word runs through every value.
 */
static void checksum_test_is_exact(void **state)
{
	struct nvgre_frame n;
	uint64_t seed = unit_seed();
	unsigned int good = 0;

	nvgre_frame_make(&n, 0);
	for (unsigned int round = 0; round < 20; round++) {
		uint8_t *ip = n.data + n.l3;

		for (unsigned int i = 1; i < 20; i++)
			ip[i] = round == 0 ? 0xff : round == 1 ? 0 : (uint8_t)unit_random(&seed);
		for (unsigned int v = 0; v < 65536; v++) {
			bool want;

			store_be16(ip + 10, (uint16_t)v);
			want = csum_fold(csum_partial(ip, 20, 0)) == 0;
			assert_int_equal(nvgre_csum_good(ip), want);
			good += want;
		}
	}
	assert_true(good >= 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fast_and_slow_agree),
		cmocka_unit_test(checksum_test_is_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
