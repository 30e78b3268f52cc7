/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A packet for tests that need no DPDK pool: an mbuf with metadata whose buffer is malloc'ed to the byte, so
 * that AddressSanitizer sees each access outside it.
 */
#ifndef TESTS_UNIT_PACKET_H
#define TESTS_UNIT_PACKET_H

#include <stdlib.h>
#include <string.h>

#include "base/meta.h"

struct packet {
	struct rte_mbuf m;
	struct pkt_meta meta; /* where rte_mbuf_to_priv() finds it */
	uint8_t *buf;
};

static_assert(offsetof(struct packet, meta) == sizeof(struct rte_mbuf), "private area follows the mbuf");

/*
 * A packet with len bytes of data (NULL: zeros) behind headroom bytes and before tailroom bytes. Free with
 * packet_free().
 */
static inline struct packet *packet_new(const void *data, uint16_t len, uint16_t headroom, uint16_t tailroom)
{
	struct packet *p = aligned_alloc(64, (sizeof(*p) + 63) / 64 * 64);
	size_t size = (size_t)headroom + len + tailroom;

	if (!p)
		abort();
	memset(p, 0, sizeof(*p));
	p->buf = calloc(1, size ? size : 1);
	if (!p->buf)
		abort();
	if (data)
		memcpy(p->buf + headroom, data, len);
	p->m.buf_addr = p->buf;
	p->m.buf_len = (uint16_t)size;
	p->m.data_off = headroom;
	p->m.data_len = len;
	p->m.pkt_len = len;
	p->m.nb_segs = 1;
	p->m.priv_size = sizeof(p->meta);
	rte_mbuf_refcnt_set(&p->m, 1);
	return p;
}

static inline void packet_free(struct packet *p)
{
	free(p->buf);
	free(p);
}

static inline uint8_t *packet_data(struct packet *p)
{
	return rte_pktmbuf_mtod(&p->m, uint8_t *);
}

#endif
