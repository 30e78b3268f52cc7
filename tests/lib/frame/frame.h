/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frame builder for tests: push headers from the outside in, finish once, send.
 *
 *	uint8_t buf[256];
 *	struct frame f;
 *
 *	frame_init(&f, buf, sizeof(buf));
 *	frame_eth(&f, dst, src, FRAME_AUTO);
 *	frame_ip4(&f, FRAME_IPV4(10, 0, 0, 1), FRAME_IPV4(10, 0, 0, 2), FRAME_AUTO);
 *	frame_udp(&f, 1000, 2000);
 *	frame_payload(&f, "hello", 5);
 *	frame_pad(&f, 60);
 *	len = frame_finish(&f);
 *
 * Every push returns the start of the header it wrote (fields may be changed there before frame_finish), or
 * NULL when the buffer is too small. An error sticks: later pushes do nothing and frame_finish returns it,
 * so a chain of calls needs one check. frame_finish fills next-protocol fields given as FRAME_AUTO, all
 * lengths and all checksums, inner layers first; it may be called again after a change. For a deliberately
 * wrong field write it after frame_finish.
 *
 * Byte order: ports, ethertypes, ids, keys and every other integer are host order unless the comment says
 * otherwise. MAC addresses are pointers to 6 bytes, IPv4 addresses are uint32_t in network order, IPv6
 * addresses pointers to 16 bytes. Nothing is allocated and there is no global state: any thread, one frame
 * per thread.
 */
#ifndef TESTS_LIB_FRAME_H
#define TESTS_LIB_FRAME_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FRAME_AUTO	 (-1) /* "whatever is pushed next" for ethertypes and protocol numbers */
#define FRAME_MAX_LAYERS 32

#define FRAME_MAC(a, b, c, d, e, f) ((const uint8_t[6]){ (a), (b), (c), (d), (e), (f) })
/* IPv4 address in network order */
#define FRAME_IPV4(a, b, c, d)                                                                               \
	htonl(((uint32_t)(a) << 24) | ((uint32_t)(b) << 16) | ((uint32_t)(c) << 8) | (uint32_t)(d))

enum frame_kind {
	FRAME_ETH,
	FRAME_VLAN,
	FRAME_ARP,
	FRAME_IP4,
	FRAME_IP6,
	FRAME_EXT6, /* any IPv6 extension header, the fragment header too */
	FRAME_TCP,
	FRAME_UDP,
	FRAME_ICMP4,
	FRAME_ICMP6,
	FRAME_GRE,
	FRAME_VXLAN,
	FRAME_DATA,
	FRAME_PAD,
};

struct frame_layer {
	uint8_t kind;
	bool next_auto; /* fill the next-protocol field in frame_finish */
	bool no_csum;	/* leave the checksum 0 (outer UDP of VXLAN) */
	uint8_t proto;	/* FRAME_EXT6: own protocol number */
	uint16_t off;
	uint16_t hlen;
};

struct frame {
	uint8_t *data;
	size_t size;
	size_t len; /* bytes so far */
	int err;    /* 0 or the first error, -errno */
	/* Set before frame_finish: the innermost TCP or UDP checksum holds the pseudo-header sum only, as a
	 * guest writes it that leaves the checksum to virtio (VIRTIO_NET_HDR_F_NEEDS_CSUM). */
	bool partial_csum;
	/* Afterwards: where to sum from, bytes from the start, and where the sum goes, bytes from
	 * csum_start. Both 0 when there is no such checksum. */
	uint16_t csum_start;
	uint16_t csum_offset;
	unsigned int n_layers;
	struct frame_layer layer[FRAME_MAX_LAYERS];
};

/* Begin an empty frame in buf (size bytes, at most 65535 used), which stays the caller's. */
void frame_init(struct frame *f, void *buf, size_t size);

/* Patch protocols, lengths and checksums. Returns the length of the frame in bytes (no FCS) or -ENOSPC
 * (buffer too small), -E2BIG (too many layers), -EINVAL (a header that cannot stand where it was
 * pushed). */
ssize_t frame_finish(struct frame *f);

/* Start of the nth (0 = outermost) header of that kind, or NULL. */
void *frame_at(const struct frame *f, enum frame_kind kind, unsigned int nth);

/* Ethernet II header (IEEE 802.3). Also the inner frame after frame_nvgre or frame_vxlan. */
void *frame_eth(struct frame *f, const void *dst, const void *src, int type);
/* 802.1Q tag behind frame_eth: tpid 0x8100 or 0x88a8, tci = priority and VLAN id. */
void *frame_vlan(struct frame *f, uint16_t tpid, uint16_t tci, int type);
/* ARP for IPv4 over Ethernet (RFC 826), op 1 request, 2 reply. spa and tpa in network order. */
void *frame_arp(struct frame *f, uint16_t op, const void *sha, uint32_t spa, const void *tha, uint32_t tpa);

/* IPv4 header (RFC 791) with everything that can be chosen. */
struct frame_ip4 {
	uint32_t src, dst; /* network order */
	int proto;	   /* 0 means FRAME_AUTO here, so that a designated initializer may leave it out */
	uint8_t ttl;	   /* 0 means 64 */
	uint8_t tos;
	uint16_t id;
	uint16_t frag;	  /* as on the wire: 0x4000 DF, 0x2000 MF, offset in units of 8 bytes */
	const void *opts; /* options, padded here with zeros to a multiple of 4; at most 40 bytes */
	size_t opts_len;
};
void *frame_ip4_full(struct frame *f, const struct frame_ip4 *ip);
/* The same with TTL 64, id 0, no flags and no options. */
void *frame_ip4(struct frame *f, uint32_t src, uint32_t dst, int proto);

/* IPv6 header (RFC 8200), traffic class and flow label 0. */
void *frame_ip6(struct frame *f, const void *src, const void *dst, int next, uint8_t hop_limit);
/* Extension header: proto 0 hop-by-hop, 43 routing, 60 destination options. data follows the length byte;
 * the header is padded to a multiple of 8 bytes, with PadN/Pad1 for 0 and 60, with zeros for others. */
void *frame_ip6_ext(struct frame *f, uint8_t proto, const void *data, size_t len, int next);
/* Fragment header (RFC 8200 section 4.5), offset in bytes, a multiple of 8. See frame_fragment for real
 * fragments. */
void *frame_ip6_frag(struct frame *f, uint16_t offset, bool more, uint32_t id, int next);

/* UDP (RFC 768) and TCP (RFC 9293; flags: 1 FIN 2 SYN 4 RST 8 PSH 16 ACK; window 65535). */
void *frame_udp(struct frame *f, uint16_t sport, uint16_t dport);
void *frame_tcp(struct frame *f, uint16_t sport, uint16_t dport, uint32_t seq, uint32_t ack, uint8_t flags);
/* TCP with options, padded with zeros to a multiple of 4; at most 40 bytes. */
void *frame_tcp_opts(struct frame *f, uint16_t sport, uint16_t dport, uint32_t seq, uint32_t ack,
		     uint8_t flags, const void *opts, size_t opts_len);

/* ICMP (RFC 792) and ICMPv6 (RFC 4443). rest is the second 32-bit word: (id << 16) | seq of an echo, the
 * MTU of fragmentation-needed and packet-too-big. */
void *frame_icmp4(struct frame *f, uint8_t type, uint8_t code, uint32_t rest);
void *frame_icmp6(struct frame *f, uint8_t type, uint8_t code, uint32_t rest);
/* Neighbour discovery (RFC 4861). Link-layer address options are left out when the pointer is NULL.
 * flags of an advertisement: the top byte, 0x80 router, 0x40 solicited, 0x20 override. */
void *frame_nd_ns(struct frame *f, const void *target, const void *source_mac);
void *frame_nd_na(struct frame *f, const void *target, uint8_t flags, const void *target_mac);
/* One ND option, len bytes of data padded with zeros to a multiple of 8 with the type and length bytes. */
void *frame_nd_opt(struct frame *f, uint8_t type, const void *data, size_t len);

/* GRE (RFC 2784, RFC 2890). */
#define FRAME_GRE_CSUM 0x8000
#define FRAME_GRE_KEY  0x2000
#define FRAME_GRE_SEQ  0x1000
void *frame_gre(struct frame *f, uint16_t flags, uint32_t key, uint32_t seq, int type);
/* NVGRE (RFC 7637 section 3.2): GRE with key = vsid << 8 | flowid, protocol 0x6558. Push frame_eth next. */
void *frame_nvgre(struct frame *f, uint32_t vsid, uint8_t flowid);
/* VXLAN (RFC 7348): UDP to 4789 with checksum 0 and the VXLAN header. Push frame_eth next. */
void *frame_vxlan(struct frame *f, uint32_t vni, uint16_t sport);

/* len bytes of data, or of zeros when data is NULL. */
void *frame_payload(struct frame *f, const void *data, size_t len);
/* len bytes counting up from start: a payload that shows shifts and truncation. */
void *frame_fill(struct frame *f, size_t len, uint8_t start);
/* Zeros until the innermost Ethernet frame has min bytes; not counted in IP and UDP lengths. Call after the
 * last payload of that Ethernet frame. A second call pads the next outer one. */
void frame_pad(struct frame *f, size_t min);

/*
 * Cut a finished frame into a fragment: bytes [offset, offset + len) of the IP payload of whole (its
 * outermost IPv4 or IPv6 header; offset and, but for the last, len multiples of 8) become frame f, which
 * must be freshly initialised. The Ethernet and IP headers are those of whole; id is the identification to
 * carry. f is finished and may be wrapped into a tunnel as payload. Returns the length of f or -errno
 * (-EINVAL: no IP header, bad range).
 */
ssize_t frame_fragment(const struct frame *whole, size_t offset, size_t len, uint32_t id, struct frame *f);

/* Internet checksum (RFC 1071) of len bytes, added to start (a sum of 16-bit words, not folded). Host
 * order: store it with htons. 0 over data that holds a right checksum. */
uint16_t frame_csum(const void *data, size_t len, uint32_t start);

/* "02:00:00:00:00:01" to 6 bytes. Returns 0 or -EINVAL (out untouched). */
int frame_parse_mac(const char *s, uint8_t out[6]);

#endif
