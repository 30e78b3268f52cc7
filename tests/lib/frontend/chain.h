/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Buffers and chains, for both ring layouts: split.c and packed.c hand their primitives in as a constant, and the
 * compiler makes a copy of its own of each function with the primitives inlined.
 */
#ifndef TESTS_LIB_FRONTEND_CHAIN_H
#define TESTS_LIB_FRONTEND_CHAIN_H

#include "queue.h"

#include <string.h>

#define vhu_inline  static inline __attribute__((always_inline))
#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* in q->chain, besides the number of buffers */
#define CHAIN_TABLE 0x8000 /* posted as one descriptor with an indirect table */
#define CHAIN_TAKEN 0x4000 /* used by the device, not yet posted again */
#define HDR_END	    64	   /* data starts here in a buffer, the virtio header ends here */
#define AHEAD	    8	   /* buffers prefetched ahead of the copy */

struct vhu_sg {
	uint64_t gpa;
	uint32_t len;
};

struct ring_prims {
	/* n descriptors as one chain, flags (WRITE, INDIRECT) in each, ids[0] names it */
	void (*post)(struct vhu_queue *q, const uint16_t *ids, const struct vhu_sg *sg, unsigned int n,
		     uint16_t flags);
	/* make everything posted visible and kick if asked */
	void (*publish)(struct vhu_queue *q);
	/* next used chains, at most max: their ids (checked, no longer in flight) and lengths */
	unsigned int (*used)(struct vhu_queue *q, uint16_t *ids, uint32_t *lens, unsigned int max);
};

vhu_inline uint8_t *buf_data(const struct vhu_queue *q, uint16_t id)
{
	return q->bufs + (size_t)id * q->stride + HDR_END;
}

vhu_inline uint64_t buf_data_gpa(const struct vhu_queue *q, uint16_t id)
{
	return q->bufs_gpa + (uint64_t)id * q->stride + HDR_END;
}

/* a line that is about to be written: ask for it exclusively at once */
vhu_inline void prefetch_write(void *p)
{
#ifdef __x86_64__
	__asm__ volatile("prefetchw %0" : : "m"(*(char *)p));
#else
	__builtin_prefetch(p, 1);
#endif
}

/* Take id off the in-flight list. false when the device had no right to return it: the queue is broken. */
vhu_inline bool take_back(struct vhu_queue *q, uint32_t id)
{
	if (unlikely(id >= q->cfg.size || !q->chain[id] || q->chain[id] & CHAIN_TAKEN)) {
		q->stats.violations[VHU_BAD_ID]++;
		q->broken = true;
		return false;
	}
	q->chain[id] |= CHAIN_TAKEN;
	q->in_flight--;
	return true;
}

/* Buffers of a sent chain back to the free list. */
vhu_inline void free_chain(struct vhu_queue *q, uint16_t id)
{
	uint16_t n = q->chain[id] & ~(CHAIN_TABLE | CHAIN_TAKEN), mask = q->cfg.size - 1;

	q->chain[id] = 0;
	for (;;) {
		q->free[(q->free_head + q->n_free++) & mask] = id;
		if (likely(--n == 0))
			return;
		id = q->chain_next[id];
	}
}

/* Descriptors of a packet that lies in ids[0..bufs) and has len bytes. */
static inline unsigned int build_sg(const struct vhu_queue *q, const uint16_t *ids, uint32_t len,
				    bool own_hdr, struct vhu_sg *sg)
{
	uint32_t hdr = q->cfg.hdr_len, part = len < q->cfg.buf_len ? len : q->cfg.buf_len;
	uint64_t gpa = buf_data_gpa(q, ids[0]);
	unsigned int n = 1;

	sg[0] = (struct vhu_sg){ gpa - hdr, own_hdr ? hdr : hdr + part };
	if (own_hdr && part)
		sg[n++] = (struct vhu_sg){ gpa, part };
	for (unsigned int i = 1; len -= part; i++) {
		part = len < q->cfg.buf_len ? len : q->cfg.buf_len;
		sg[n++] = (struct vhu_sg){ buf_data_gpa(q, ids[i]), part };
	}
	return n;
}

/* n descriptors as the table of buffer id; returns the descriptor that points to it. */
static inline struct vhu_sg write_table(struct vhu_queue *q, uint16_t id, const struct vhu_sg *sg,
					unsigned int n, uint16_t flags)
{
	size_t start = (size_t)id * q->table_len * sizeof(struct vring_desc);
	struct vring_desc *t = (struct vring_desc *)(q->tables + start);
	struct vring_packed_desc *p = (struct vring_packed_desc *)t;

	for (unsigned int i = 0; i < n; i++) {
		if (q->cfg.packed)
			p[i] = (struct vring_packed_desc){ .addr = sg[i].gpa,
							   .len = sg[i].len,
							   .flags = flags };
		else
			t[i] = (struct vring_desc){
				.addr = sg[i].gpa,
				.len = sg[i].len,
				.flags = (uint16_t)(flags | (i + 1 < n ? VRING_DESC_F_NEXT : 0)),
				.next = (uint16_t)(i + 1 < n ? i + 1 : 0),
			};
	}
	return (struct vhu_sg){ q->tables_gpa + start, (uint32_t)(n * sizeof(struct vring_desc)) };
}

/* Post a chain of n_ids buffer ids: directly or, where indirect is negotiated and pays, by a table. */
vhu_inline void post_chain(struct vhu_queue *q, const uint16_t *ids, unsigned int n_ids,
			   const struct vhu_sg *sg, unsigned int n, uint16_t flags,
			   const struct ring_prims *prims)
{
	q->in_flight++;
	q->chain[ids[0]] = (uint16_t)n_ids;
	for (unsigned int i = 0; i + 1 < n_ids; i++)
		q->chain_next[ids[i]] = ids[i + 1];
	if (q->cfg.indirect && n > 1) {
		struct vhu_sg table = write_table(q, ids[0], sg, n, flags);

		q->chain[ids[0]] |= CHAIN_TABLE;
		prims->post(q, ids, &table, 1, VRING_DESC_F_INDIRECT);
		return;
	}
	prims->post(q, ids, sg, n, flags);
}

#endif
