/* SPDX-License-Identifier: BSD-3-Clause */
/* What a receiver drops, each with its own reason (HNV 1.7, row 21), and what it must not drop. */
#include <stdbool.h>

#include "policy/nvgre_private.h"
#include "policy/policy.h"
#include "nvgre_frames.h"

/* Where an edit counts from. */
enum base { END, L2, L3, GRE, INNER };

#define ALL    0xfu
#define V4     0x5u /* shapes 0 and 2 */
#define V6     0xau
#define PLAIN  0x3u
#define TAGGED 0xcu

#define BAD_CSUM  1u /* leave the header checksum as the edits make it */
#define CSUM_GOOD 2u /* the NIC has seen a good one */
#define VID0	  4u /* inner VID 0 is accepted */

struct row {
	const char *name;
	uint8_t shapes; /* bit per shape */
	uint8_t flags;
	enum drop_reason want;
	struct {
		uint8_t base, width; /* width 0: cut the frame there (END: no edit) */
		uint16_t off;
		uint32_t value;
	} edit[3];
};

static const struct row rows[] = {
	{ "sound", ALL, 0, DROP_NONE },
	{ "any priority in the outer tag", TAGGED, 0, DROP_NONE, { { L2, 2, 14, 0xf123 } } },
	{ "TOS, TTL and ID as they come",
	  V4,
	  0,
	  DROP_NONE,
	  { { L3, 1, 1, 0xff }, { L3, 1, 8, 1 }, { L3, 2, 4, 9 } } },
	{ "DF not set", V4, 0, DROP_NONE, { { L3, 2, 6, 0 } } },
	{ "class, flow label, hop limit as they come",
	  V6,
	  0,
	  DROP_NONE,
	  { { L3, 4, 0, 0x6abcdef1 }, { L3, 1, 7, 1 } } },

	/* not for us at all */
	{ "another's MAC", ALL, 0, DROP_WIRE_OTHER, { { L2, 1, 5, 9 } } },
	{ "another's MAC, last bit of the first byte", ALL, 0, DROP_WIRE_OTHER, { { L2, 1, 0, 3 } } },
	{ "broadcast", ALL, 0, DROP_WIRE_OTHER, { { L2, 4, 0, 0xffffffff }, { L2, 2, 4, 0xffff } } },
	{ "ARP", ALL, 0, DROP_WIRE_OTHER, { { L3, 2, 0xfffe, 0x0806 } } },
	{ "outer 802.1ad tag", ALL, 0, DROP_WIRE_OTHER, { { L2, 2, 12, 0x88a8 } } },
	{ "two outer tags", TAGGED, 0, DROP_WIRE_OTHER, { { L3, 2, 0xfffe, 0x8100 } } },
	{ "UDP over IPv4", V4, 0, DROP_WIRE_OTHER, { { L3, 1, 9, 17 } } },
	{ "ICMP over IPv4", V4, 0, DROP_WIRE_OTHER, { { L3, 1, 9, 1 } } },
	{ "UDP over IPv6", V6, 0, DROP_WIRE_OTHER, { { L3, 1, 6, 17 } } },
	{ "ICMPv6", V6, 0, DROP_WIRE_OTHER, { { L3, 1, 6, 58 } } },
	{ "UDP, whatever the version", V6, 0, DROP_WIRE_OTHER, { { L3, 1, 6, 17 }, { L3, 1, 0, 0x40 } } },
	{ "UDP without payload", V4, 0, DROP_WIRE_OTHER, { { L3, 1, 9, 17 }, { L3, 0, 20 } } },
	{ "UDP without payload over IPv6",
	  V6,
	  0,
	  DROP_WIRE_OTHER,
	  { { L3, 1, 6, 17 }, { L3, 2, 4, 0 }, { L3, 0, 40 } } },

	/* truncated */
	{ "13 bytes", ALL, 0, DROP_WIRE_RUNT, { { L2, 0, 13 } } },
	{ "ends in the tag", TAGGED, 0, DROP_WIRE_RUNT, { { L2, 0, 17 } } },
	{ "ends in the IPv4 header", V4, 0, DROP_WIRE_RUNT, { { L3, 0, 19 } } },
	{ "ends in the IPv6 header", V6, 0, DROP_WIRE_RUNT, { { L3, 0, 39 } } },
	{ "IPv4 without payload", V4, 0, DROP_WIRE_RUNT, { { L3, 2, 2, 20 } } },
	{ "IPv6 without payload", V6, 0, DROP_WIRE_RUNT, { { L3, 2, 4, 0 } } },
	{ "3 bytes of GRE", V4, 0, DROP_WIRE_RUNT, { { L3, 2, 2, 23 } } },
	{ "7 bytes of GRE", V4, 0, DROP_WIRE_RUNT, { { L3, 2, 2, 27 } } },
	{ "3 bytes of GRE over IPv6", V6, 0, DROP_WIRE_RUNT, { { L3, 2, 4, 3 } } },
	{ "7 bytes of GRE over IPv6", V6, 0, DROP_WIRE_RUNT, { { L3, 2, 4, 7 } } },

	/* outer IP */
	{ "version 5", V4, 0, DROP_OUTER_IP, { { L3, 1, 0, 0x55 } } },
	{ "version 4 in IPv6", V6, 0, DROP_OUTER_IP, { { L3, 1, 0, 0x40 } } },
	{ "IHL 4", V4, 0, DROP_OUTER_IP, { { L3, 1, 0, 0x44 } } },
	{ "IHL beyond total length", V4, 0, DROP_OUTER_IP, { { L3, 1, 0, 0x4f }, { L3, 2, 2, 59 } } },
	{ "total length below the header's", V4, 0, DROP_OUTER_IP, { { L3, 2, 2, 19 } } },
	{ "total length beyond the frame", V4, 0, DROP_OUTER_IP, { { L3, 2, 2, 89 } } },
	{ "one byte cut off", ALL, 0, DROP_OUTER_IP, { { INNER, 0, 59 } } },
	{ "payload length beyond the frame", V6, 0, DROP_OUTER_IP, { { L3, 2, 4, 69 } } },
	{ "jumbogram", V6, 0, DROP_OUTER_IP, { { L3, 2, 4, 0xffff } } },
	{ "bad checksum", V4, BAD_CSUM, DROP_OUTER_IP, { { L3, 2, 10, 0x1234 } } },
	{ "bad checksum that the NIC has found good",
	  V4,
	  BAD_CSUM | CSUM_GOOD,
	  DROP_NONE,
	  { { L3, 2, 10, 0x1234 } } },

	/* PA and VLAN */
	{ "not our IPv4 address", V4, 0, DROP_NOT_PA, { { L3, 1, 19, 77 } } },
	{ "not our IPv6 address, first half", V6, 0, DROP_NOT_PA, { { L3, 1, 24, 0xfd } } },
	{ "not our IPv6 address, second half", V6, 0, DROP_NOT_PA, { { L3, 1, 39, 77 } } },
	{ "address of one PA under the MAC of another", ALL, 0, DROP_NOT_PA, { { L2, 1, 5, 2 } } },
	{ "another VLAN", TAGGED, 0, DROP_OUTER_VLAN, { { L2, 2, 14, 0x0124 } } },
	{ "priority tag where a VLAN belongs", TAGGED, 0, DROP_OUTER_VLAN, { { L2, 2, 14, 0xe000 } } },

	/* fragments */
	{ "first fragment", V4, 0, DROP_OUTER_FRAGMENT, { { L3, 2, 6, 0x2000 } } },
	{ "later fragment", V4, 0, DROP_OUTER_FRAGMENT, { { L3, 2, 6, 0x0001 } } },
	{ "last fragment, far away", V4, 0, DROP_OUTER_FRAGMENT, { { L3, 2, 6, 0x1fff } } },

	/* GRE: HNV 1.7 items 1 and 2 */
	{ "version 1", ALL, 0, DROP_GRE_VERSION, { { GRE, 2, 0, 0x2001 } } },
	{ "version 4", ALL, 0, DROP_GRE_VERSION, { { GRE, 2, 0, 0x2004 } } },
	{ "no key", ALL, 0, DROP_GRE_NO_KEY, { { GRE, 2, 0, 0x0000 } } },
	{ "no key, and no room for one", V4, 0, DROP_GRE_NO_KEY, { { L3, 2, 2, 24 }, { GRE, 2, 0, 0 } } },
	{ "no key, and no room for one, over IPv6",
	  V6,
	  0,
	  DROP_GRE_NO_KEY,
	  { { L3, 2, 4, 4 }, { GRE, 2, 0, 0 } } },
	{ "no key but a checksum", ALL, 0, DROP_GRE_NO_KEY, { { GRE, 2, 0, 0x8000 } } },
	{ "checksum", ALL, 0, DROP_GRE_CHECKSUM, { { GRE, 2, 0, 0xa000 } } },
	{ "sequence", ALL, 0, DROP_GRE_SEQUENCE, { { GRE, 2, 0, 0x3000 } } },
	{ "routing", ALL, 0, DROP_GRE_RESERVED, { { GRE, 2, 0, 0x6000 } } },
	{ "strict source route", ALL, 0, DROP_GRE_RESERVED, { { GRE, 2, 0, 0x2800 } } },
	{ "recursion control", ALL, 0, DROP_GRE_RESERVED, { { GRE, 2, 0, 0x2100 } } },
	{ "reserved flag, lowest", ALL, 0, DROP_GRE_RESERVED, { { GRE, 2, 0, 0x2008 } } },
	{ "reserved flag, highest", ALL, 0, DROP_GRE_RESERVED, { { GRE, 2, 0, 0x2080 } } },
	{ "IPv4 in GRE", ALL, 0, DROP_GRE_PROTOCOL, { { GRE, 2, 2, 0x0800 } } },
	{ "ERSPAN", ALL, 0, DROP_GRE_PROTOCOL, { { GRE, 2, 2, 0x88be } } },

	/* VSID: item 3 */
	{ "VSID 0", ALL, 0, DROP_VSID_RESERVED, { { GRE, 4, 4, 0x000000ff } } },
	{ "VSID 4095", ALL, 0, DROP_VSID_RESERVED, { { GRE, 4, 4, 0x000fff00 } } },
	{ "VSID 16777215", ALL, 0, DROP_VSID_RESERVED, { { GRE, 4, 4, 0xffffff00 } } },
	{ "VSID 4096", ALL, 0, DROP_NONE, { { GRE, 4, 4, 0x00100000 } } },
	{ "VSID 16777214", ALL, 0, DROP_NONE, { { GRE, 4, 4, 0xfffffeff } } },

	/* inner frame: items 4 and 5 */
	{ "13 bytes inside", V4, 0, DROP_INNER_RUNT, { { L3, 2, 2, 41 } } },
	{ "nothing inside", V4, 0, DROP_INNER_RUNT, { { L3, 2, 2, 28 } } },
	{ "14 bytes inside", V4, 0, DROP_NONE, { { L3, 2, 2, 42 }, { INNER, 0, 14 } } },
	{ "13 bytes inside IPv6", V6, 0, DROP_INNER_RUNT, { { L3, 2, 4, 21 } } },
	{ "nothing inside IPv6", V6, 0, DROP_INNER_RUNT, { { L3, 2, 4, 8 } } },
	{ "14 bytes inside IPv6", V6, 0, DROP_NONE, { { L3, 2, 4, 22 }, { INNER, 0, 14 } } },
	{ "inner 802.1Q", ALL, 0, DROP_INNER_VLAN, { { INNER, 4, 12, 0x81000005 } } },
	{ "inner 802.1ad", ALL, 0, DROP_INNER_VLAN, { { INNER, 4, 12, 0x88a80005 } } },
	{ "inner priority tag", ALL, 0, DROP_INNER_VLAN, { { INNER, 4, 12, 0x8100e000 } } },
	{ "inner priority tag, accepted", ALL, VID0, DROP_NONE, { { INNER, 4, 12, 0x8100e000 } } },
	{ "inner VID 1 all the same", ALL, VID0, DROP_INNER_VLAN, { { INNER, 4, 12, 0x81000001 } } },
	{ "inner 802.1ad VID 0 all the same", ALL, VID0, DROP_INNER_VLAN, { { INNER, 4, 12, 0x88a80000 } } },
	{ "inner tag behind a priority tag",
	  ALL,
	  VID0,
	  DROP_INNER_VLAN,
	  { { INNER, 4, 12, 0x81000000 }, { INNER, 2, 16, 0x8100 } } },
	{ "inner 802.1ad behind a priority tag",
	  ALL,
	  VID0,
	  DROP_INNER_VLAN,
	  { { INNER, 4, 12, 0x81000000 }, { INNER, 2, 16, 0x88a8 } } },
	{ "ends in the inner tag",
	  V4,
	  VID0,
	  DROP_INNER_RUNT,
	  { { INNER, 4, 12, 0x81000000 }, { L3, 2, 2, 45 } } },
	{ "ends in the inner tag over IPv6",
	  V6,
	  VID0,
	  DROP_INNER_RUNT,
	  { { INNER, 4, 12, 0x81000000 }, { L3, 2, 4, 25 } } },

	/* of several faults the outermost is named */
	{ "bad checksum before anything inside",
	  V4,
	  BAD_CSUM,
	  DROP_OUTER_IP,
	  { { L3, 1, 19, 77 }, { GRE, 2, 0, 0 } } },
	{ "not a PA before the VLAN", TAGGED &V4, 0, DROP_NOT_PA, { { L3, 1, 19, 77 }, { L2, 2, 14, 1 } } },
	{ "VLAN before the fragment",
	  TAGGED &V4,
	  0,
	  DROP_OUTER_VLAN,
	  { { L3, 2, 6, 0x2000 }, { L2, 2, 14, 1 } } },
	{ "fragment before GRE", V4, 0, DROP_OUTER_FRAGMENT, { { L3, 2, 6, 0x2000 }, { GRE, 2, 0, 0 } } },
	{ "version before key, key before checksum", ALL, 0, DROP_GRE_VERSION, { { GRE, 2, 0, 0x9001 } } },
	{ "flags before protocol",
	  ALL,
	  0,
	  DROP_GRE_SEQUENCE,
	  { { GRE, 2, 0, 0x3008 }, { GRE, 2, 2, 0x0800 } } },
	{ "protocol before VSID", ALL, 0, DROP_GRE_PROTOCOL, { { GRE, 2, 2, 0x0800 }, { GRE, 4, 4, 0 } } },
	{ "VSID before the inner frame",
	  ALL,
	  0,
	  DROP_VSID_RESERVED,
	  { { GRE, 4, 4, 0 }, { INNER, 2, 12, 0x8100 } } },
};

static void apply(const struct row *r, struct nvgre_frame *n)
{
	for (unsigned int e = 0; e < 3 && r->edit[e].base; e++) {
		const uint32_t base[] = { [L2] = 0, [L3] = n->l3, [GRE] = n->gre, [INNER] = n->inner };
		uint32_t at = base[r->edit[e].base] + (uint32_t)(int16_t)r->edit[e].off;

		if (r->edit[e].width == 0)
			n->len = at;
		for (unsigned int b = 0; b < r->edit[e].width; b++)
			n->data[at + b] = (uint8_t)(r->edit[e].value >> 8 * (r->edit[e].width - 1u - b));
	}
	if (!(r->flags & BAD_CSUM))
		nvgre_frame_checksum(n);
}

/*
 * Hand the frame to parse, from every hint, and to the slow path: one verdict, and nothing written unless
 * accepted.
 */
static void judge(const struct nvgre_frame *n, bool csum_good, const struct encap_local *l,
		  enum drop_reason want, unsigned int pa, struct encap_rx *ret)
{
	uint8_t *data = unit_exact_copy(n->data, n->len);

	for (unsigned int start = 0; start <= N_LOCALS + 1; start++) {
		struct encap_rx rx, untouched;
		unsigned int hint = start;
		enum drop_reason got;

		memset(&rx, 0xee, sizeof(rx));
		untouched = rx;
		if (start <= N_LOCALS) /* N_LOCALS: as after the PA was removed */
			got = nvgre_ops.parse(data, n->len, n->len, csum_good, l, N_LOCALS, &hint, &rx);
		else
			got = nvgre_parse_slow(data, n->len, n->len, csum_good, l, N_LOCALS, &hint, &rx);
		if (got != want)
			fail_msg("hint %u: %s instead of %s", start, drop_name(got), drop_name(want));
		assert_int_equal(hint, want ? start : pa);
		if (want)
			assert_memory_equal(&rx, &untouched, sizeof(rx));
		*ret = rx;
	}
	free(data);
}

static void each_fault_has_its_reason(void **state)
{
	unsigned int judged = 0;

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (unsigned int shape = 0; shape < N_SHAPES; shape++) {
			const struct row *r = &rows[i];
			struct encap_local l[N_LOCALS];
			struct nvgre_frame n;
			struct encap_rx rx;

			if (!(r->shapes & 1u << shape))
				continue;
			nvgre_locals(shape & SHAPE_TAGGED, l);
			nvgre_frame_make(&n, shape);
			apply(r, &n);
			print_message("%s, shape %u\n", r->name, shape);
			nvgre_set_accept_vid0(r->flags & VID0);
			judge(&n, r->flags & CSUM_GOOD, l, r->want, shape & SHAPE_V6, &rx);
			nvgre_set_accept_vid0(false);
			judged++;
			if (r->want)
				continue;
			assert_int_equal(rx.inner_off, n.inner);
			assert_int_equal(rx.inner_len, n.len - n.inner);
			assert_int_equal(rx.vsid, load_be32(n.data + n.gre + 4) >> 8);
			assert_int_equal(rx.inner_tag, !!(r->flags & VID0));
		}
	}
	assert_true(judged > 200);
}

/* A PA without VLAN gets its frames untagged or with a priority tag, not with a VLAN. */
static void outer_tag_of_an_untagged_pa(void **state)
{
	for (unsigned int shape = SHAPE_TAGGED; shape < N_SHAPES; shape++) {
		struct encap_local l[N_LOCALS];
		struct nvgre_frame n;
		struct encap_rx rx;

		nvgre_locals(false, l);
		nvgre_frame_make(&n, shape);
		judge(&n, false, l, DROP_OUTER_VLAN, 0, &rx);
		store_be16(n.data + 14, 7 << 13);
		judge(&n, false, l, DROP_NONE, shape & SHAPE_V6, &rx);
		assert_int_equal(rx.inner_off, n.inner);
		/* and the other way round: no tag where one belongs */
		nvgre_locals(true, l);
		nvgre_frame_make(&n, shape & SHAPE_V6);
		judge(&n, false, l, DROP_OUTER_VLAN, 0, &rx);
	}
}

static void second_pa_is_found(void **state)
{
	for (unsigned int shape = 0; shape < N_SHAPES; shape++) {
		struct encap_local l[N_LOCALS];
		struct nvgre_frame n;
		struct encap_rx rx;

		nvgre_locals(shape & SHAPE_TAGGED, l);
		nvgre_frame_make(&n, shape);
		n.data[5] = 2;
		n.data[n.l3 + (shape & SHAPE_V6 ? 39 : 19)] = 2;
		nvgre_frame_checksum(&n);
		judge(&n, false, l, DROP_NONE, 2 + (shape & SHAPE_V6), &rx);
	}
}

/* What follows the outer IP header in the tests below. */
static void push_tunnel(struct frame *f, struct nvgre_frame *n)
{
	ssize_t len;

	frame_nvgre(f, TEST_VSID, 1);
	n->inner = (uint32_t)f->len;
	frame_eth(f, FRAME_MAC(2, 0, 0, 0, 1, 2), FRAME_MAC(2, 0, 0, 0, 1, 1), 0x88b5);
	frame_fill(f, 46, 0);
	len = frame_finish(f);
	assert_true(len > 0);
	n->len = (uint32_t)len;
}

/*
 * Cut anywhere, a frame is no accepted one; and when only the first segment ends there, it is exactly a header
 * too far away. AddressSanitizer looks on.
 */
static void cut_everywhere(const struct nvgre_frame *n, const struct encap_local *l, uint32_t headers)
{
	for (uint32_t len = 0; len < n->len; len++) {
		uint8_t *data = unit_exact_copy(n->data, len);
		struct encap_rx rx;
		unsigned int hint = 0;
		enum drop_reason got = nvgre_ops.parse(data, len, len, false, l, N_LOCALS, &hint, &rx);

		assert_int_not_equal(got, DROP_NONE);
		got = nvgre_ops.parse(data, len, n->len, false, l, N_LOCALS, &hint, &rx);
		assert_int_equal(got, len < headers ? DROP_WIRE_RUNT : DROP_NONE);
		free(data);
	}
}

static const uint8_t encap_limit[] = { 4, 1, 4, 1, 1, 0 }, two_units[] = { 1, 12, [13] = 0 };
/* GRE at 238, and at 246: what is in front of the inner frame is counted in a byte. */
static const uint8_t longest[182] = { 1, 180 }, too_long[190] = { 1, 188 };
static const uint8_t end_of_route[6], segments_left[] = { 0, 1, 0, 0, 0, 0 };

#define NO_FRAGMENT (-2)

/* Extension headers are rare, not wrong: Linux' ip6gretap adds destination options by default. */
static void extension_headers(void **state)
{
	static const struct {
		unsigned int n;
		uint8_t proto;
		const uint8_t *data;
		size_t size;
		int fragment; /* last header is a fragment's, with this next header (FRAME_AUTO: GRE) */
		enum drop_reason want;
	} chains[] = {
		{ 1, 60, encap_limit, 6, NO_FRAGMENT, DROP_NONE },
		{ 1, 0, encap_limit, 6, NO_FRAGMENT, DROP_NONE },
		{ 1, 60, two_units, 14, NO_FRAGMENT, DROP_NONE },
		{ 1, 60, longest, sizeof(longest), NO_FRAGMENT, DROP_NONE },
		{ 1, 60, too_long, sizeof(too_long), NO_FRAGMENT, DROP_OUTER_IP },
		{ 1, 43, end_of_route, 6, NO_FRAGMENT, DROP_NONE },
		{ 8, 60, encap_limit, 6, NO_FRAGMENT, DROP_NONE },
		{ 9, 60, encap_limit, 6, NO_FRAGMENT, DROP_OUTER_IP },
		{ 1, 43, segments_left, 6, NO_FRAGMENT, DROP_OUTER_IP },
		{ 0, 0, NULL, 0, FRAME_AUTO, DROP_OUTER_FRAGMENT },
		{ 1, 60, encap_limit, 6, FRAME_AUTO, DROP_OUTER_FRAGMENT },
		{ 0, 0, NULL, 0, 60, DROP_OUTER_FRAGMENT },
		{ 0, 0, NULL, 0, 43, DROP_OUTER_FRAGMENT },
		{ 0, 0, NULL, 0, 17, DROP_WIRE_OTHER },
		{ 0, 0, NULL, 0, 58, DROP_WIRE_OTHER },
	};
	struct encap_local l[N_LOCALS];
	struct encap_rx rx;
	struct nvgre_frame n;
	struct frame f;

	nvgre_locals(false, l);
	for (unsigned int i = 0; i < sizeof(chains) / sizeof(chains[0]); i++) {
		print_message("chain %u\n", i);
		n.shape = SHAPE_V6;
		frame_init(&f, n.data, sizeof(n.data));
		frame_eth(&f, pa_mac[0], peer_mac, FRAME_AUTO);
		frame_ip6(&f, peer6, pa6[0], FRAME_AUTO, 64);
		for (unsigned int h = 0; h < chains[i].n; h++)
			frame_ip6_ext(&f, chains[i].proto, chains[i].data, chains[i].size, FRAME_AUTO);
		if (chains[i].fragment != NO_FRAGMENT)
			frame_ip6_frag(&f, 0, true, 1, chains[i].fragment);
		push_tunnel(&f, &n);
		judge(&n, false, l, chains[i].want, 1, &rx);
		if (chains[i].want)
			continue;
		assert_int_equal(rx.inner_off, n.inner);
		assert_int_equal(rx.inner_len, 60);
		cut_everywhere(&n, l, n.inner + 14);
		/* The packet ends with or in the chain, though the frame goes on. */
		store_be16(n.data + 18, (uint16_t)(n.inner - 8 - 54));
		judge(&n, false, l, DROP_WIRE_RUNT, 1, &rx);
		store_be16(n.data + 18, (uint16_t)(n.inner - 8 - 54 - 1));
		judge(&n, false, l, DROP_OUTER_IP, 1, &rx);
	}
	frame_init(&f, n.data, sizeof(n.data)); /* an authentication header is no business of ours */
	frame_eth(&f, pa_mac[0], peer_mac, FRAME_AUTO);
	frame_ip6(&f, peer6, pa6[0], 51, 64);
	push_tunnel(&f, &n);
	judge(&n, false, l, DROP_WIRE_OTHER, 1, &rx);
}

static void ipv4_options(void **state)
{
	static const uint8_t router_alert[] = { 0x94, 4, 0, 0 };
	struct encap_local l[N_LOCALS];
	struct encap_rx rx;
	struct nvgre_frame n = { .l3 = 14 };
	struct frame f;

	nvgre_locals(false, l);
	frame_init(&f, n.data, sizeof(n.data));
	frame_eth(&f, pa_mac[0], peer_mac, FRAME_AUTO);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = FRAME_IPV4(192, 0, 2, 9),
						.dst = FRAME_IPV4(192, 0, 2, 1),
						.opts = router_alert,
						.opts_len = sizeof(router_alert) });
	push_tunnel(&f, &n);
	judge(&n, false, l, DROP_NONE, 0, &rx);
	assert_int_equal(rx.inner_off, n.inner);
	cut_everywhere(&n, l, n.inner + 14);
	n.data[14 + 20] ^= 1; /* the checksum covers options */
	judge(&n, false, l, DROP_OUTER_IP, 0, &rx);
	n.len = 14 + 20 + 3; /* cut inside the options */
	store_be16(n.data + 16, 23);
	judge(&n, false, l, DROP_OUTER_IP, 0, &rx);
}

/* Ethernet padding behind the IP packet is not the inner frame's. */
static void padding_is_not_counted(void **state)
{
	for (unsigned int shape = 0; shape < N_SHAPES; shape++) {
		struct encap_local l[N_LOCALS];
		struct nvgre_frame n;
		struct encap_rx rx;
		uint32_t inner_len;

		nvgre_locals(shape & SHAPE_TAGGED, l);
		nvgre_frame_make(&n, shape);
		inner_len = n.len - n.inner;
		memset(n.data + n.len, 0, 7);
		n.len += 7;
		judge(&n, false, l, DROP_NONE, shape & SHAPE_V6, &rx);
		assert_int_equal(rx.inner_len, inner_len);
	}
}

/* Headers have to lie in the first segment; what follows may be elsewhere. */
static void chained_frames(void **state)
{
	for (unsigned int shape = 0; shape < N_SHAPES; shape++) {
		struct encap_local l[N_LOCALS];
		struct nvgre_frame n;

		nvgre_locals(shape & SHAPE_TAGGED, l);
		nvgre_frame_make(&n, shape);
		cut_everywhere(&n, l, n.inner + 14);
		store_be32(n.data + n.inner + 12, 0x81000000);
		nvgre_set_accept_vid0(true);
		cut_everywhere(&n, l, n.inner + 18);
		nvgre_set_accept_vid0(false);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fault_has_its_reason),
		cmocka_unit_test(outer_tag_of_an_untagged_pa),
		cmocka_unit_test(second_pa_is_found),
		cmocka_unit_test(extension_headers),
		cmocka_unit_test(ipv4_options),
		cmocka_unit_test(padding_is_not_counted),
		cmocka_unit_test(chained_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
