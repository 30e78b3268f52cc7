/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One hash of the inner flow, computed once at guest rx and carried in the metadata. Consumers use different bits:
 * FLOW_BUCKET (transmit member), FLOW_PA (destination PA), FLOW_ID (RFC 7637 FlowID), FLOW_QUEUE.
 * All fragments of one datagram hash alike (3-tuple); non-IP: MACs and EtherType. Salted per host.
 */
#ifndef BASE_FLOWHASH_H
#define BASE_FLOWHASH_H

#include <stdint.h>

#include "base/pkt.h"

#define FLOW_BUCKET(h) ((h) & 0xff)
#define FLOW_PA(h)     (((h) >> 8) & 0xff)
#define FLOW_ID(h)     (((h) >> 16) & 0xff)
#define FLOW_QUEUE(h)  (((h) >> 24) & 0xff)

/* 64 x 64 -> 128 multiply and fold: needs no CPU feature, and every output byte depends on every input bit. */
static inline uint64_t flowhash_mix(uint64_t a, uint64_t b)
{
	unsigned __int128 p = (unsigned __int128)a * b;

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

/*
 * Hash the flow of a parsed frame. @param data first byte of the frame pkt_parse() saw, @param info its result,
 * @param salt random, once per host, kept in the state directory.
 */
uint32_t flowhash(const uint8_t *data, const struct pkt_info *info, uint64_t salt);

#endif
