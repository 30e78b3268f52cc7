/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Private to offload/: one's complement sums (RFC 1071) over long payloads.
 *
 * Sums are in the byte order of the machine (RFC 1071 2B): words as they lie in memory, carries folded in at the end.
 */
#ifndef OFFLOAD_PRIVATE_H
#define OFFLOAD_PRIVATE_H

#include <stdint.h>
#include <string.h>
#include <linux/virtio_net.h>
#include <rte_branch_prediction.h>

#include "base/wire.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_URG 0x20
#define TCP_ECE 0x40
#define TCP_CWR 0x80

#define TCP_HLEN_MIN 20u
#define TCP_AT_CSUM  16u /* of the TCP header */
#define UDP_AT_CSUM  6u

struct rte_mbuf;
struct pkt_info;

/* 16 bits of a sum that is not inverted. */
static inline uint32_t sum_fold(uint64_t s)
{
	s = (s & 0xffffffff) + (s >> 32);
	s = (s & 0xffff) + (s >> 16 & 0xffff) + (s >> 32);
	s = (s & 0xffff) + (s >> 16);
	return (uint32_t)((s & 0xffff) + (s >> 16));
}

/* Sum of bytes that follow an odd number of others: RFC 1071 2B, the halves change places. */
static inline uint32_t sum_odd(uint32_t folded)
{
	return (folded >> 8 | folded << 8) & 0xffff;
}

/* A big-endian field as a summand. */
static inline uint32_t sum_be16(uint16_t v)
{
	return __builtin_bswap16(v);
}

static inline uint64_t sum_be32(uint32_t v)
{
	return __builtin_bswap32(v);
}

/* The fastest this CPU has; chosen once when the program is loaded. Below 2^48. */
extern uint64_t (*sum_bytes)(const uint8_t *p, uint32_t len);
extern uint64_t (*sum_copy)(uint8_t *dst, const uint8_t *src, uint32_t len); /* the same while copying */

/* Plain C; what the others have to agree with. */
uint64_t sum_bytes_c(const uint8_t *p, uint32_t len);

/* Sum of len bytes of a packet from off on, whatever its segments are. They are there. Folded. */
uint32_t sum_chain(const struct rte_mbuf *m, uint32_t off, uint32_t len);

/* Pseudo header: RFC 9293 3.1, RFC 8200 8.1. ip: the IP header. len: of the L4 header and payload. */
uint64_t sum_pseudo(const uint8_t *ip, bool v6, uint8_t proto, uint32_t len);

static inline void store_sum(void *field, uint64_t sum)
{
	uint16_t v = (uint16_t)~sum_fold(sum);

	memcpy(field, &v, 2);
}

#endif
