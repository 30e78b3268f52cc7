/* SPDX-License-Identifier: BSD-3-Clause */
/* Sound NVGRE frames of every shape to two PAs per family, to be spoiled by tests. */
#ifndef TESTS_UNIT_NVGRE_FRAMES_H
#define TESTS_UNIT_NVGRE_FRAMES_H

#include "frame.h"
#include "nvgre_pas.h"
#include "unit.h"

#define SHAPE_V6     1u
#define SHAPE_TAGGED 2u
#define N_SHAPES     4u
#define TEST_VSID    5001u

struct nvgre_frame {
	unsigned int shape;
	uint8_t data[512];
	uint32_t len;
	uint32_t l3, gre, inner; /* offsets */
};

static const uint8_t peer_mac[6] = { 2, 0xbb, 0, 0, 0, 1 };
static const uint8_t peer6[16] = { 0x20, 1, 0xd, 0xb8, [15] = 9 };

/* One that parse has to accept as PA `shape & SHAPE_V6`, with 46 bytes of payload in the inner frame. */
static inline void nvgre_frame_make(struct nvgre_frame *n, unsigned int shape)
{
	struct frame f;
	ssize_t len;

	n->shape = shape;
	frame_init(&f, n->data, sizeof(n->data));
	frame_eth(&f, pa_mac[0], peer_mac, FRAME_AUTO);
	if (shape & SHAPE_TAGGED)
		frame_vlan(&f, 0x8100, 5 << 13 | TEST_VLAN, FRAME_AUTO);
	n->l3 = (uint32_t)f.len;
	if (shape & SHAPE_V6)
		frame_ip6(&f, peer6, pa6[0], FRAME_AUTO, 64);
	else
		frame_ip4_full(&f, &(struct frame_ip4){ .src = FRAME_IPV4(192, 0, 2, 9),
							.dst = FRAME_IPV4(192, 0, 2, 1),
							.frag = 0x4000,
							.id = 77 });
	n->gre = (uint32_t)f.len;
	frame_nvgre(&f, TEST_VSID, 0x5a);
	n->inner = (uint32_t)f.len;
	frame_eth(&f, FRAME_MAC(2, 0, 0, 0, 1, 2), FRAME_MAC(2, 0, 0, 0, 1, 1), 0x88b5);
	frame_fill(&f, 46, 0x30);
	len = frame_finish(&f);
	assert_true(len > 0);
	n->len = (uint32_t)len;
}

/*
 * Header checksum of an IPv4 outer header (of as many bytes as its IHL says, if they are there) made right
 * again.
 */
static inline void nvgre_frame_checksum(struct nvgre_frame *n)
{
	uint8_t *ip = n->data + n->l3;
	uint32_t hlen = (ip[0] & 0xfu) * 4;
	uint16_t sum;

	if (n->shape & SHAPE_V6 || hlen < 20 || n->l3 + hlen > n->len)
		return;
	memset(ip + 10, 0, 2);
	sum = csum_fold(csum_partial(ip, hlen, 0));
	memcpy(ip + 10, &sum, 2);
}

#endif
