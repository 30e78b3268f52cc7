/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Wire formats and loads/stores on unaligned packet bytes. Multi-byte fields of the packed structures are big
 * endian; every other integer in this project is host order unless its name ends in _be.
 */
#ifndef BASE_WIRE_H
#define BASE_WIRE_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ETH_ALEN_	  6
#define ETH_HLEN_	  14
#define ETHERTYPE_IPV4_	  0x0800
#define ETHERTYPE_ARP_	  0x0806
#define ETHERTYPE_VLAN_	  0x8100
#define ETHERTYPE_QINQ_	  0x88a8
#define ETHERTYPE_IPV6_	  0x86dd
#define ETHERTYPE_RARP_	  0x8035
#define ETHERTYPE_TEB	  0x6558 /* Transparent Ethernet Bridging, GRE protocol type of NVGRE */

#define IPPROTO_ICMP_	  1
#define IPPROTO_IGMP_	  2
#define IPPROTO_TCP_	  6
#define IPPROTO_UDP_	  17
#define IPPROTO_GRE_	  47
#define IPPROTO_ICMP6_	  58

#define VSID_MIN 4096u	   /* RFC 7637 3.2: 0..0xFFF reserved */
#define VSID_MAX 16777214u /* 0xFFFFFF is for vendors */

static inline bool vsid_is_valid(uint32_t vsid)
{
	return vsid >= VSID_MIN && vsid <= VSID_MAX;
}

struct mac {
	uint8_t b[6];
} __attribute__((packed));

/*
 * IPv4 or IPv6 address; v4 lies in the first four bytes of b and the rest is zero, so that memcmp compares.
 */
struct ip_addr {
	uint8_t family; /* 0 unset, 4, 6 */
	uint8_t b[16];	/* network order */
} __attribute__((packed));

struct ip_prefix {
	struct ip_addr addr;
	uint8_t len;
} __attribute__((packed));

static_assert(sizeof(struct mac) == 6 && sizeof(struct ip_addr) == 17, "layout");

static inline uint16_t load_be16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, 2);
	return __builtin_bswap16(v);
}

static inline uint32_t load_be32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return __builtin_bswap32(v);
}

static inline void store_be16(void *p, uint16_t v)
{
	v = __builtin_bswap16(v);
	memcpy(p, &v, 2);
}

static inline void store_be32(void *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, 4);
}

/* A MAC as the low 48 bits of a word, first byte lowest. */
static inline uint64_t mac_load(const void *p)
{
	uint32_t lo;
	uint16_t hi;

	/*
	 * Two loads and a shift: compilers build a 6-byte memcpy on the stack and stall when they read it
	 * back.
	 */
	memcpy(&lo, p, 4);
	memcpy(&hi, (const uint8_t *)p + 4, 2);
	return lo | (uint64_t)hi << 32;
}

static inline void mac_store(void *p, uint64_t v)
{
	uint32_t lo = (uint32_t)v;
	uint16_t hi = (uint16_t)(v >> 32);

	memcpy(p, &lo, 4);
	memcpy((uint8_t *)p + 4, &hi, 2);
}

static inline bool mac_is_zero(const struct mac *m)
{
	return mac_load(m) == 0;
}

static inline bool mac_is_group(const void *m)
{
	return *(const uint8_t *)m & 1;
}

static inline bool mac_equal(const void *a, const void *b)
{
	return memcmp(a, b, 6) == 0;
}

static inline bool ip_is_set(const struct ip_addr *a)
{
	return a->family != 0;
}

/* 0.0.0.0 or :: */
static inline bool ip_is_any(const struct ip_addr *a)
{
	static const uint8_t zero[16];

	return a->family && memcmp(a->b, zero, 16) == 0;
}

/*
 * By words, not memcmp: 17 bytes become a call in some compilers, and the packet path asks for every frame.
 */
static inline bool ip_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	uint64_t x[2], y[2];

	memcpy(x, a, 16);
	memcpy(y, b, 16);
	return x[0] == y[0] && x[1] == y[1] && a->b[15] == b->b[15];
}

static inline struct ip_addr ip4_from(const void *four)
{
	struct ip_addr a = { .family = 4 };

	memcpy(a.b, four, 4);
	return a;
}

static inline struct ip_addr ip6_from(const void *sixteen)
{
	struct ip_addr a = { .family = 6 };

	memcpy(a.b, sixteen, 16);
	return a;
}

/* Is a inside p? False for different families. */
bool ip_in_prefix(const struct ip_addr *a, const struct ip_prefix *p);

/* Internet checksum (RFC 1071): partial sum over len bytes, and its fold to the final 16 bits (host order of
 * the big-endian words: store_be16(field, csum_fold(...)) is not needed, memcpy the result). */
uint32_t csum_partial(const void *data, uint32_t len, uint32_t sum);
uint16_t csum_fold(uint32_t sum);

struct eth_hdr {
	struct mac dst, src;
	uint16_t type;
} __attribute__((packed));

struct vlan_hdr {
	uint16_t tci, type;
} __attribute__((packed));

struct arp_hdr { /* Ethernet/IPv4 */
	uint16_t htype, ptype;
	uint8_t hlen, plen;
	uint16_t op;
	struct mac sha;
	uint8_t spa[4];
	struct mac tha;
	uint8_t tpa[4];
} __attribute__((packed));

struct ipv4_hdr {
	uint8_t ver_ihl, tos;
	uint16_t len, id, frag;
	uint8_t ttl, proto;
	uint16_t csum;
	uint8_t src[4], dst[4];
} __attribute__((packed));

struct ipv6_hdr {
	uint32_t vtf;
	uint16_t plen;
	uint8_t next, hlim;
	uint8_t src[16], dst[16];
} __attribute__((packed));

struct gre_hdr { /* with key: NVGRE's fixed form */
	uint16_t flags, proto;
	uint32_t key;
} __attribute__((packed));

struct icmp_hdr {
	uint8_t type, code;
	uint16_t csum;
	uint32_t rest;
} __attribute__((packed));

struct nd_hdr { /* NS, NA: options follow */
	uint8_t type, code;
	uint16_t csum;
	uint32_t flags;
	uint8_t target[16];
} __attribute__((packed));

static_assert(sizeof(struct eth_hdr) == 14 && sizeof(struct arp_hdr) == 28 && sizeof(struct ipv4_hdr) == 20 &&
	      sizeof(struct ipv6_hdr) == 40 && sizeof(struct gre_hdr) == 8 && sizeof(struct nd_hdr) == 24,
	      "layout");

#endif
