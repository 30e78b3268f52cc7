/* SPDX-License-Identifier: BSD-3-Clause */
/* Transport layer and control messages: UDP, TCP, ICMP, ICMPv6 with neighbour discovery. */
#include "internal.h"

#include <errno.h>
#include <string.h>

void *frame_udp(struct frame *f, uint16_t sport, uint16_t dport)
{
	uint8_t *p = frame_push(f, FRAME_UDP, UDP_HLEN, 0);

	if (!p)
		return NULL;
	put16(p, sport);
	put16(p + 2, dport);
	return p;
}

void *frame_tcp_opts(struct frame *f, uint16_t sport, uint16_t dport, uint32_t seq, uint32_t ack,
		     uint8_t flags, const void *opts, size_t opts_len)
{
	size_t padded = (opts_len + 3) & ~(size_t)3;
	uint8_t *p;

	if (padded > 40) {
		f->err = f->err ? f->err : -EINVAL;
		return NULL;
	}
	p = frame_push(f, FRAME_TCP, TCP_HLEN + padded, 0);
	if (!p)
		return NULL;
	put16(p, sport);
	put16(p + 2, dport);
	put32(p + 4, seq);
	put32(p + 8, ack);
	p[12] = (uint8_t)((TCP_HLEN + padded) / 4 << 4);
	p[13] = flags;
	put16(p + 14, 65535);
	if (opts_len)
		memcpy(p + TCP_HLEN, opts, opts_len);
	return p;
}

void *frame_tcp(struct frame *f, uint16_t sport, uint16_t dport, uint32_t seq, uint32_t ack, uint8_t flags)
{
	return frame_tcp_opts(f, sport, dport, seq, ack, flags, NULL, 0);
}

static void *push_icmp(struct frame *f, enum frame_kind kind, uint8_t type, uint8_t code, uint32_t rest)
{
	uint8_t *p = frame_push(f, kind, ICMP_HLEN, 0);

	if (!p)
		return NULL;
	p[0] = type;
	p[1] = code;
	put32(p + 4, rest);
	return p;
}

void *frame_icmp4(struct frame *f, uint8_t type, uint8_t code, uint32_t rest)
{
	return push_icmp(f, FRAME_ICMP4, type, code, rest);
}

void *frame_icmp6(struct frame *f, uint8_t type, uint8_t code, uint32_t rest)
{
	return push_icmp(f, FRAME_ICMP6, type, code, rest);
}

void *frame_nd_opt(struct frame *f, uint8_t type, const void *data, size_t len)
{
	size_t total = (2 + len + 7) & ~(size_t)7;
	uint8_t *p = frame_push(f, FRAME_DATA, total, 0);

	if (!p)
		return NULL;
	p[0] = type;
	p[1] = (uint8_t)(total / 8);
	if (len)
		memcpy(p + 2, data, len);
	return p;
}

static void *nd(struct frame *f, uint8_t type, uint8_t flags, const void *target, uint8_t opt,
		const void *mac)
{
	void *p = frame_icmp6(f, type, 0, (uint32_t)flags << 24);

	frame_payload(f, target, 16);
	if (mac)
		frame_nd_opt(f, opt, mac, 6);
	return p;
}

void *frame_nd_ns(struct frame *f, const void *target, const void *source_mac)
{
	return nd(f, 135, 0, target, 1, source_mac);
}

void *frame_nd_na(struct frame *f, const void *target, uint8_t flags, const void *target_mac)
{
	return nd(f, 136, flags, target, 2, target_mac);
}
