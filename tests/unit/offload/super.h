/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random TCP packets of up to 64 KiB as a guest hands them over, and the frames that have to be on the wire in their
 * place. Those are built by the frame library from what the packet was made of, with nothing of the product's code.
 */
#ifndef TESTS_UNIT_SUPER_H
#define TESTS_UNIT_SUPER_H

#include "base/encap_ops.h"
#include "base/meta.h"

#define SUPER_MAX 65535
#define WIRE_MAX  12000 /* longest frame on the wire in these tests */

struct super {
	bool outer6, outer_vlan, inner6;
	uint8_t ip_opts[40], tcp_opts[40], ext[40];
	uint32_t ip_opts_len, tcp_opts_len, n_ext; /* n_ext: destination options headers, IPv6 only */
	uint16_t inner_id, outer_id, mss, path_mtu, sport;
	uint32_t seq, payload, vsid, hash;
	uint8_t flags, tos;
	uint8_t fill; /* first byte of the payload, which counts in steps of its own */
};

/* One of any kind. @param state  of unit_random() */
void super_random(struct super *s, uint64_t *state);

/* The guest's frame, checksum unfinished. @return bytes in buf (SUPER_MAX). */
uint32_t super_frame(const struct super *s, uint8_t *buf);

/* Headers of the inner frame, Ethernet to TCP. */
uint32_t super_headers(const struct super *s);

/* Payload of the segments on the wire: gso_size, or what the path has room for. */
uint32_t super_segment(const struct super *s);

/* Its metadata. */
void super_meta(const struct super *s, struct rte_mbuf *m);

/* How many frames, and the nth of them; whole: with the outer part. @return bytes in buf (WIRE_MAX). */
uint32_t super_frames(const struct super *s);
uint32_t super_expect(const struct super *s, uint32_t n, bool whole, uint8_t *buf);

/* The template of its path, NVGRE, with max_inner. */
void super_template(const struct super *s, struct encap_template *ret);

/* A packet in buffers of pool, cut where chance wants it (pieces: at most so many), with metadata. */
struct rte_mbuf *super_mbuf(const struct super *s, struct rte_mempool *pool, unsigned int pieces, uint64_t *state);

/* All bytes of a packet. @return length, at most max. */
uint32_t super_read(const struct rte_mbuf *m, uint8_t *buf, uint32_t max);

#endif
