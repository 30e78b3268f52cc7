/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One hash of the inner flow, computed once at guest rx and carried in the metadata. Consumers use different
 * bits: FLOW_BUCKET (transmit member), FLOW_PA (destination PA), FLOW_ID (RFC 7637 FlowID), FLOW_QUEUE. TCP
 * and UDP: addresses, ports, protocol. All fragments of one datagram hash alike: addresses and, in IPv4,
 * protocol (an IPv6 fragment's next header may differ from the first one's, RFC 8200 4.5). Other IP:
 * addresses and protocol. Non-IP: MACs and EtherType. Salted per host. The hash is not symmetric.
 */
#ifndef BASE_FLOWHASH_H
#define BASE_FLOWHASH_H

#include <stdint.h>

#include "base/pkt.h"

#define FLOW_BUCKET(h) ((h) & 0xff)
#define FLOW_PA(h)     (((h) >> 8) & 0xff)
#define FLOW_ID(h)     (((h) >> 16) & 0xff)
#define FLOW_QUEUE(h)  (((h) >> 24) & 0xff)
#define FLOW_WORKER(h) FLOW_PA(h) /* of received frames, which choose no address */

/*
 * 64 x 64 -> 128 multiply and fold: needs no CPU feature, and every output byte depends on every input bit.
 */
static inline uint64_t flowhash_mix(uint64_t a, uint64_t b)
{
	unsigned __int128 p = (unsigned __int128)a * b;

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

#define FLOWHASH_K1 UINT64_C(0x9e3779b97f4a7c15)
#define FLOWHASH_K2 UINT64_C(0xd1b54a32d192ed03)

/* Any flow; flowhash() without its short cut. */
uint32_t flowhash_full(const uint8_t *data, const struct pkt_info *info, uint64_t salt);

/* Addresses in one word, ports and protocol in the other. */
static inline uint32_t flowhash_words(uint64_t a, uint64_t b, uint64_t salt)
{
	uint64_t h = flowhash_mix(a ^ salt, b ^ (salt << 32 | salt >> 32) ^ FLOWHASH_K1);

	/*
	 * One multiply leaves counting ports visible in single bytes (chi-square hundreds of times too
	 * large).
	 */
	return (uint32_t)flowhash_mix(h, FLOWHASH_K2);
}

/*
 * Hash the flow of a parsed frame. @param data first byte of the frame pkt_parse() saw, @param info its
 * result,
 * @param salt random, once per host, kept in the state directory. Any thread.
 */
static inline uint32_t flowhash(const uint8_t *data, const struct pkt_info *info, uint64_t salt)
{
	uint64_t addresses;
	uint32_t ports, bad;

	bad = (info->kind ^ PKT_IPV4) | ((info->flags & (PKT_F_L4 | PKT_F_FRAGMENT)) ^ PKT_F_L4);
	bad |= (info->proto != IPPROTO_TCP_) & (info->proto != IPPROTO_UDP_);
	if (__builtin_expect(bad != 0, 0))
		return flowhash_full(data, info, salt);
	memcpy(&addresses, data + info->l3_off + 12, 8);
	memcpy(&ports, data + info->l4_off, 4);
	return flowhash_words(addresses, ports | (uint64_t)info->proto << 32, salt);
}

/* pkt_parse_full() and flowhash() */
enum drop_reason flow_parse_full(const uint8_t *data, uint32_t len, uint32_t total, uint64_t salt,
				 struct pkt_info *ret, uint32_t *ret_hash);

/*
 * pkt_parse() and flowhash() in one, which knows what the fast path has just found. *ret and *ret_hash are
 * written when DROP_NONE is returned.
 */
static inline enum drop_reason flow_parse(const uint8_t *data, uint32_t len, uint32_t total, uint64_t salt,
					  struct pkt_info *ret, uint32_t *ret_hash)
{
	uint64_t addresses;
	uint32_t ports;

	if (__builtin_expect(!pkt_parse_fast(data, len, total, ret), 0))
		return flow_parse_full(data, len, total, salt, ret, ret_hash);
	memcpy(&addresses, data + 26, 8);
	memcpy(&ports, data + 34, 4);
	*ret_hash = flowhash_words(addresses, ports | (uint64_t)data[23] << 32, salt);
	return DROP_NONE;
}

#endif
