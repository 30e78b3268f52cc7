/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bursts written once for both ring layouts: split.c and packed.c hand their primitives in as a constant,
 * and the compiler makes a copy of its own of each function with the primitives inlined.
 */
#ifndef TESTS_LIB_FRONTEND_BURST_H
#define TESTS_LIB_FRONTEND_BURST_H

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

vhu_inline void burst_reclaim(struct vhu_queue *q, const struct ring_prims *prims)
{
	uint16_t ids[VHU_BURST];
	uint32_t lens[VHU_BURST];
	unsigned int n;

	do {
		n = prims->used(q, ids, lens, VHU_BURST);
		for (unsigned int i = 0; i < n; i++)
			free_chain(q, ids[i]);
	} while (n == VHU_BURST);
}

vhu_inline void write_header(const struct vhu_queue *q, uint8_t *data, const struct virtio_net_hdr_v1 *hdr)
{
	uint8_t *p = data - q->cfg.hdr_len;

	/* mostly all zero and in place already: do not dirty the line for nothing */
	if (unlikely(memcmp(p, hdr, 10)))
		memcpy(p, hdr, 10);
}

/* Short frames in two moves that may overlap. */
vhu_inline void copy_data(uint8_t *dst, const uint8_t *src, uint32_t len)
{
	if (likely(len <= 64)) {
		if (likely(len >= 32)) {
			memcpy(dst, src, 32);
			memcpy(dst + len - 32, src + len - 32, 32);
		} else {
			memcpy(dst, src, len);
		}
	} else {
		memcpy(dst, src, len);
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

/* A packet that needs more than one descriptor. 0 sent, 1 no room now, -1 never. */
static inline int send_chain(struct vhu_queue *q, const struct vhu_frame *f, const struct ring_prims *prims)
{
	bool own_hdr = q->cfg.hdr_desc || q->cfg.indirect;
	unsigned int bufs = f->len ? (f->len + q->cfg.buf_len - 1) / q->cfg.buf_len : 1;
	/* outside a table each descriptor takes a slot of the ring, and a slot is an id */
	unsigned int n_ids = bufs + (own_hdr && !q->cfg.indirect && f->len);
	uint16_t ids[VHU_MAX_CHAIN], mask = q->cfg.size - 1;
	struct vhu_sg sg[VHU_MAX_CHAIN + 1];
	const uint8_t *src = f->data;
	uint32_t left = f->len;
	unsigned int n;

	if (n_ids > q->cfg.size || n_ids >= VHU_MAX_CHAIN || n_ids + 1 > q->table_len)
		return -1;
	if (n_ids > q->n_free)
		burst_reclaim(q, prims);
	if (n_ids > q->n_free)
		return 1;
	for (unsigned int i = 0; i < n_ids; i++)
		ids[i] = q->free[(q->free_head + i) & mask];
	q->free_head = (q->free_head + n_ids) & mask;
	q->n_free -= n_ids;
	write_header(q, buf_data(q, ids[0]), &f->hdr);
	for (unsigned int i = 0; left; i++) {
		uint32_t part = left < q->cfg.buf_len ? left : q->cfg.buf_len;

		memcpy(buf_data(q, ids[i]), src, part);
		src += part;
		left -= part;
	}
	n = build_sg(q, ids, f->len, own_hdr, sg);
	post_chain(q, ids, n_ids, sg, n, 0, prims);
	return 0;
}

/* The common case: header and data in one descriptor. */
vhu_inline void send_one(struct vhu_queue *q, const struct vhu_frame *f, const struct ring_prims *prims)
{
	uint16_t mask = q->cfg.size - 1, id = q->free[q->free_head];
	uint8_t *data = buf_data(q, id);
	struct vhu_sg sg = { buf_data_gpa(q, id) - q->cfg.hdr_len, q->cfg.hdr_len + f->len };

	prefetch_write(buf_data(q, q->free[(q->free_head + AHEAD) & mask]));
	q->free_head = (q->free_head + 1) & mask;
	q->n_free--;
	write_header(q, data, &f->hdr);
	copy_data(data, f->data, f->len);
	q->in_flight++;
	q->chain[id] = 1;
	prims->post(q, &id, &sg, 1, 0);
}

vhu_inline unsigned int burst_tx(struct vhu_queue *q, const struct vhu_frame *frames, unsigned int n,
				 const struct ring_prims *prims)
{
	bool plain = !q->cfg.hdr_desc && !q->cfg.indirect;
	uint64_t bytes = 0, packets = 0;
	unsigned int i;

	if (unlikely(q->broken))
		return 0;
	if (q->n_free < n)
		burst_reclaim(q, prims);
	for (i = 0; i < n; i++) {
		const struct vhu_frame *f = &frames[i];

		if (likely(plain && f->len <= q->cfg.buf_len)) {
			if (unlikely(!q->n_free))
				break;
			if (i + AHEAD < n)
				__builtin_prefetch(f[AHEAD].data);
			send_one(q, f, prims);
		} else {
			int err = send_chain(q, f, prims);

			if (err > 0)
				break;
			if (err < 0) {
				q->stats.too_big++;
				continue;
			}
		}
		packets++;
		bytes += f->len;
	}
	if (i < n)
		q->stats.full++;
	if (!packets)
		return i;
	prims->publish(q);
	q->stats.packets += packets;
	q->stats.bytes += bytes;
	q->stats.bursts++;
	return i;
}

/* ids a receive chain takes: its buffers and, outside a table, a slot for a header descriptor */
vhu_inline unsigned int rx_chain_ids(const struct vhu_queue *q)
{
	return q->cfg.rx_bufs + (q->cfg.hdr_desc && !q->cfg.indirect);
}

static inline void post_rx(struct vhu_queue *q, uint16_t first, const struct ring_prims *prims)
{
	bool own_hdr = q->cfg.hdr_desc || (q->cfg.indirect && q->cfg.rx_bufs > 1);
	uint16_t ids[VHU_MAX_CHAIN];
	struct vhu_sg sg[VHU_MAX_CHAIN + 1];
	unsigned int n_ids = rx_chain_ids(q), n;

	for (unsigned int i = 0; i < n_ids; i++)
		ids[i] = (uint16_t)(first + i);
	n = build_sg(q, ids, q->cfg.buf_len * q->cfg.rx_bufs, own_hdr, sg);
	post_chain(q, ids, n_ids, sg, n, VRING_DESC_F_WRITE, prims);
}

vhu_inline void repost(struct vhu_queue *q, uint16_t id, const struct ring_prims *prims)
{
	if (likely(q->cfg.rx_bufs == 1 && !q->cfg.hdr_desc)) {
		struct vhu_sg sg = { buf_data_gpa(q, id) - q->cfg.hdr_len, q->cfg.hdr_len + q->cfg.buf_len };

		q->in_flight++;
		q->chain[id] = 1;
		prims->post(q, &id, &sg, 1, VRING_DESC_F_WRITE);
		return;
	}
	post_rx(q, id, prims);
}

vhu_inline void burst_rx_done(struct vhu_queue *q, struct vhu_burst *b, const struct ring_prims *prims)
{
	for (unsigned int i = 0; i < b->n_ids; i++)
		repost(q, b->id[i], prims);
	b->n_ids = b->n = 0;
	prims->publish(q);
}

vhu_inline void burst_rx_fill(struct vhu_queue *q, const struct ring_prims *prims)
{
	unsigned int n_ids = rx_chain_ids(q);

	for (unsigned int id = 0; id + n_ids <= q->cfg.size; id += n_ids)
		post_rx(q, (uint16_t)id, prims);
	prims->publish(q);
}

static inline void add_iov(struct vhu_burst *b, struct vhu_pkt *pkt, void *base, uint32_t len)
{
	b->iov[b->n_iov++] = (struct iovec){ base, len };
	pkt->n_iov++;
	pkt->len += len;
}

/* The first chain of a packet: header, then data over its buffers. */
vhu_inline bool take_first(struct vhu_queue *q, struct vhu_burst *b, struct vhu_pkt *pkt, uint16_t id,
			   uint32_t len)
{
	uint8_t *data = buf_data(q, id);
	uint32_t hdr = q->cfg.hdr_len;

	b->id[b->n_ids++] = id;
	pkt->iov = &b->iov[b->n_iov];
	pkt->n_iov = 1;
	pkt->len = 0;
	b->iov[b->n_iov++] = (struct iovec){ data - hdr, hdr };
	if (unlikely(len < hdr || len - hdr > q->cfg.buf_len * q->cfg.rx_bufs))
		return false;
	for (len -= hdr; len; id++) {
		uint32_t part = len < q->cfg.buf_len ? len : q->cfg.buf_len;

		add_iov(b, pkt, buf_data(q, id), part);
		len -= part;
	}
	return true;
}

/* Chains 2..num_buffers of a merged packet: no header, data from the first byte on. */
static inline void take_merged(struct vhu_queue *q, struct vhu_burst *b, struct vhu_pkt *pkt,
			       const uint16_t *ids, const uint32_t *lens, unsigned int n, bool *good)
{
	uint32_t hdr = q->cfg.hdr_len;

	for (unsigned int i = 0; i < n; i++) {
		b->id[b->n_ids++] = ids[i];
		if (lens[i] > hdr + q->cfg.buf_len) {
			q->stats.violations[VHU_BAD_LENGTH]++;
			*good = false;
		} else {
			add_iov(b, pkt, buf_data(q, ids[i]) - hdr, lens[i]);
		}
	}
}

/* Number of chains of the packet whose first one is id; 0 when the header says nonsense. */
vhu_inline unsigned int packet_chains(const struct vhu_queue *q, uint16_t id)
{
	const struct virtio_net_hdr_v1 *hdr;

	if (!q->cfg.mergeable)
		return 1;
	hdr = (const void *)(buf_data(q, id) - q->cfg.hdr_len);
	return likely(hdr->num_buffers == 1) ? 1 : hdr->num_buffers <= VHU_MAX_CHAIN ? hdr->num_buffers : 0;
}

/* A packet of several chains: what the burst at hand has, and more from the ring. Returns chains used up. */
static inline unsigned int receive_merged(struct vhu_queue *q, struct vhu_burst *b, struct vhu_pkt *pkt,
					  const uint16_t *ids, const uint32_t *lens, unsigned int have,
					  unsigned int chains, bool *good, const struct ring_prims *prims)
{
	unsigned int here = have < chains ? have : chains, more = chains - here;
	uint16_t more_ids[VHU_MAX_CHAIN];
	uint32_t more_lens[VHU_MAX_CHAIN];

	take_merged(q, b, pkt, ids + 1, lens + 1, here - 1, good);
	if (more) {
		unsigned int got = prims->used(q, more_ids, more_lens, more);

		take_merged(q, b, pkt, more_ids, more_lens, got, good);
		if (got < more) {
			q->stats.violations[VHU_BAD_MERGE]++;
			*good = false;
		}
	}
	return here;
}

/* Chains to take per call so that the segments fit: a long chain needs many, and a merged packet may
 * follow. */
vhu_inline unsigned int rx_max(const struct vhu_queue *q)
{
	return likely(q->cfg.rx_bufs == 1) ? VHU_BURST : VHU_BURST_IOV / (q->cfg.rx_bufs + 1u);
}

vhu_inline unsigned int burst_rx(struct vhu_queue *q, struct vhu_burst *b, const struct ring_prims *prims)
{
	uint16_t ids[VHU_BURST];
	uint32_t lens[VHU_BURST];
	unsigned int n, max = rx_max(q);
	uint64_t bytes = 0;

	b->n = b->n_iov = b->n_ids = 0;
	if (unlikely(q->broken))
		return 0;
	n = prims->used(q, ids, lens, max < VHU_BURST ? max : VHU_BURST);
	for (unsigned int i = 0; i < n && i < AHEAD; i++)
		__builtin_prefetch(buf_data(q, ids[i]) - q->cfg.hdr_len);
	for (unsigned int i = 0; i < n;) {
		struct vhu_pkt *pkt = &b->pkt[b->n];
		unsigned int chains = packet_chains(q, ids[i]);
		bool good;

		if (i + AHEAD < n)
			__builtin_prefetch(buf_data(q, ids[i + AHEAD]) - q->cfg.hdr_len);
		good = take_first(q, b, pkt, ids[i], lens[i]);
		if (unlikely(!good))
			q->stats.violations[VHU_BAD_LENGTH]++;
		if (likely(chains == 1)) {
			i++;
		} else if (chains == 0) {
			q->stats.violations[VHU_BAD_MERGE]++;
			good = false;
			i++;
		} else {
			i += receive_merged(q, b, pkt, ids + i, lens + i, n - i, chains, &good, prims);
		}
		if (likely(good)) {
			bytes += pkt->len;
			b->n++;
		}
	}
	if (!n)
		return 0;
	q->stats.packets += b->n;
	q->stats.bytes += bytes;
	q->stats.bursts++;
	return b->n;
}

#endif
