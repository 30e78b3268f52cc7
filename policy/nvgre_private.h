/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NVGRE receive validation: the usual frame in one compare (here, inline), everything else by nvgre_slow.c,
 * which also names the drop. What the fast path accepts the slow path accepts with the same result; a
 * property test holds them together.
 */
#ifndef POLICY_NVGRE_PRIVATE_H
#define POLICY_NVGRE_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_branch_prediction.h>

#include "base/drop.h"
#include "base/encap_ops.h"
#include "base/wire.h"

#define GRE_F_CHECKSUM 0x8000u
#define GRE_F_KEY      0x2000u
#define GRE_F_SEQUENCE 0x1000u
#define GRE_F_VERSION  0x0007u
#define GRE_F_RESERVED 0x4ff8u /* routing, strict source route, recursion control, flags: RFC 2784, 2890 */

/* Outer header sizes. */
#define NVGRE_L4 ((uint32_t)(sizeof(struct ipv4_hdr) + sizeof(struct gre_hdr)))
#define NVGRE_L6 ((uint32_t)(sizeof(struct ipv6_hdr) + sizeof(struct gre_hdr)))

/* Same contract as encap_ops.parse; the hint is only written. */
enum drop_reason nvgre_parse_slow(const uint8_t *data, uint32_t len, uint32_t total, bool csum_good,
				  const struct encap_local *l, unsigned int n, unsigned int *hint,
				  struct encap_rx *ret);

static inline uint64_t nvgre_load64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

static inline uint32_t nvgre_load32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

static inline uint16_t nvgre_load16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, 2);
	return v;
}

/* Bytes as they lie on the wire, lowest first, as one little-endian word. */
#define NVGRE_BYTES4(a, b, c, d)                                                                             \
	((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)
#define NVGRE_GRE NVGRE_BYTES4(0x20, 0x00, 0x65, 0x58) /* K only, version 0; protocol type TEB */

/*
 * The comparisons below are a row of predicted branches on purpose: with 32-bit words compared straight from
 * memory that is fewer instructions and registers than or-ing differences together, and as fast as vectors
 * that first have to be put together from the PA.
 */
static inline bool nvgre_is_mac(const uint8_t *data, const struct encap_local *l)
{
	return likely(nvgre_load32(data) == nvgre_load32(l->mac.b)) &&
	       likely(nvgre_load16(data + 4) == nvgre_load16(l->mac.b + 4));
}

/* EtherType, version and IHL, no fragment, protocol 47, destination. */
static inline bool nvgre_is_ip4(const uint8_t *l3, const struct encap_local *l)
{
	return likely((nvgre_load32(l3 - 2) & NVGRE_BYTES4(0xff, 0xff, 0xff, 0)) ==
		      NVGRE_BYTES4(0x08, 0x00, 0x45, 0)) &&
	       likely((nvgre_load32(l3 + 6) & NVGRE_BYTES4(0x3f, 0xff, 0, 0xff)) ==
		      NVGRE_BYTES4(0, 0, 0, IPPROTO_GRE_)) &&
	       likely(nvgre_load32(l3 + 16) == nvgre_load32(l->address.b));
}

static inline bool nvgre_is_ip6(const uint8_t *l3, const struct encap_local *l)
{
	return likely((nvgre_load32(l3 - 2) & NVGRE_BYTES4(0xff, 0xff, 0xf0, 0)) ==
		      NVGRE_BYTES4(0x86, 0xdd, 0x60, 0)) &&
	       likely(l3[6] == IPPROTO_GRE_) && likely(nvgre_load64(l3 + 24) == nvgre_load64(l->address.b)) &&
	       likely(nvgre_load64(l3 + 32) == nvgre_load64(l->address.b + 8));
}

/* The tag is the PA's: TPID 0x8100, any priority. */
static inline bool nvgre_is_tagged(const uint8_t *tag, uint16_t vlan)
{
	return (nvgre_load32(tag) & NVGRE_BYTES4(0xff, 0xff, 0x0f, 0xff)) ==
	       NVGRE_BYTES4(0x81, 0x00, vlan >> 8, vlan & 0xff);
}

/*
 * Is the checksum of a 20-byte IPv4 header right? The one's complement sum of its 16-bit words is 0 exactly
 * when the header as one long number is divisible by 65535 (it is not all zeros: there is a version), and
 * that is a multiplication.
 */
static inline bool nvgre_csum_good(const uint8_t *l3)
{
	uint64_t a = nvgre_load64(l3), b = nvgre_load64(l3 + 8), sum = a + b;
	uint32_t c = nvgre_load32(l3 + 16);

	sum += sum < b; /* the carry comes back in at the low end: 2^64 is 1 modulo 65535 */
	sum += c;
	sum += sum < c;
	return sum % 65535 == 0;
}

/*
 * The source address, in the pieces in which ip_equal() will read it: stores of other widths would cost the
 * reader a failed store forwarding, more than everything else here together. The byte in front of an address
 * is always there.
 */
static inline void nvgre_store_src(struct ip_addr *ret, const uint8_t *src, bool v4)
{
	uint64_t head = nvgre_load64(src - 1) & ~0xffull, tail = 0;
	uint8_t last = 0;

	if (v4) {
		head = (head & 0xffffffffffull) | 4;
	} else {
		head |= 6;
		tail = nvgre_load64(src + 7);
		last = src[15];
	}
	memcpy(ret, &head, 8);
	memcpy((uint8_t *)ret + 8, &tail, 8);
	ret->b[15] = last;
}

/* One shape of the usual frame; v4 and tagged are constants of the caller. */
static inline __attribute__((always_inline)) bool nvgre_parse_shape(const uint8_t *data, uint32_t len,
								    uint32_t total, bool csum_good,
								    const struct encap_local *l,
								    struct encap_rx *ret, bool v4,
								    bool tagged)
{
	const uint32_t l3_off = tagged ? 18 : 14, outer = v4 ? NVGRE_L4 : NVGRE_L6;
	const uint8_t *l3 = data + l3_off, *inner = l3 + outer;
	uint32_t ip_len, vsid;
	uint16_t type;

	if (unlikely(len < l3_off + outer + ETH_HLEN_) || !nvgre_is_mac(data, l))
		return false;
	if (tagged && !nvgre_is_tagged(data + 12, l->vlan))
		return false;
	if (!(v4 ? nvgre_is_ip4(l3, l) : nvgre_is_ip6(l3, l)) ||
	    unlikely(nvgre_load32(inner - 8) != NVGRE_GRE))
		return false;
	ip_len = v4 ? load_be16(l3 + 2) : load_be16(l3 + 4) + (uint32_t)sizeof(struct ipv6_hdr);
	if (unlikely(ip_len < outer + ETH_HLEN_) || unlikely(l3_off + ip_len > total))
		return false;
	if (v4 && !csum_good && unlikely(!nvgre_csum_good(l3)))
		return false;
	vsid = load_be32(inner - 4) >> 8;
	type = nvgre_load16(inner + 12);
	if (unlikely(!vsid_is_valid(vsid)) || unlikely(type == __builtin_bswap16(ETHERTYPE_VLAN_)) ||
	    unlikely(type == __builtin_bswap16(ETHERTYPE_QINQ_)))
		return false;
	ret->vsid = vsid;
	nvgre_store_src(&ret->outer_src, v4 ? l3 + 12 : l3 + 8, v4);
	ret->inner_off = (uint16_t)(l3_off + outer);
	ret->inner_len = (uint16_t)(ip_len - outer);
	ret->inner_tag = false;
	return true;
}

/* Does the frame, as a whole, look exactly as NVGRE to this PA should? False: ask the slow path. */
static inline __attribute__((always_inline)) bool nvgre_parse_fast(const uint8_t *data, uint32_t len,
								   uint32_t total, bool csum_good,
								   const struct encap_local *l,
								   struct encap_rx *ret)
{
	if (likely(!l->vlan)) {
		if (likely(l->address.family == 4))
			return nvgre_parse_shape(data, len, total, csum_good, l, ret, true, false);
		return nvgre_parse_shape(data, len, total, csum_good, l, ret, false, false);
	}
	if (l->address.family == 4)
		return nvgre_parse_shape(data, len, total, csum_good, l, ret, true, true);
	return nvgre_parse_shape(data, len, total, csum_good, l, ret, false, true);
}

#endif
