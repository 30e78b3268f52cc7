/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the frame builder share; not for users. */
#ifndef TESTS_LIB_FRAME_INTERNAL_H
#define TESTS_LIB_FRAME_INTERNAL_H

#include "frame.h"

enum {
	ETH_HLEN = 14,
	VLAN_HLEN = 4,
	ARP_LEN = 28,
	IP4_HLEN = 20,
	IP6_HLEN = 40,
	UDP_HLEN = 8,
	TCP_HLEN = 20,
	ICMP_HLEN = 8,
	VXLAN_HLEN = 8,
};

enum {
	ETYPE_IP4 = 0x0800,
	ETYPE_ARP = 0x0806,
	ETYPE_TEB = 0x6558, /* transparent Ethernet bridging, the payload of NVGRE */
	ETYPE_IP6 = 0x86dd,
};

enum {
	PROTO_ICMP4 = 1,
	PROTO_TCP = 6,
	PROTO_UDP = 17,
	PROTO_FRAGMENT6 = 44,
	PROTO_GRE = 47,
	PROTO_ICMP6 = 58,
	PROTO_NONE6 = 59,
};

static inline void put16(uint8_t *p, uint16_t v)
{
	p[0] = v >> 8;
	p[1] = v & 0xff;
}

static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static inline uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* Room for a header of hlen bytes, all zero, recorded as a layer. next as in frame_eth(): a number or
 * FRAME_AUTO. */
uint8_t *frame_push(struct frame *f, enum frame_kind kind, size_t hlen, int next);

/* Sum of 16-bit words, an odd last byte counts as the high one. Not folded, not inverted. */
uint32_t frame_sum(const uint8_t *p, size_t len, uint32_t sum);

#endif
