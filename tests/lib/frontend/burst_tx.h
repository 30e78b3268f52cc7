/* SPDX-License-Identifier: BSD-3-Clause */
/* Sending in bursts, for both ring layouts (chain.h). */
#ifndef TESTS_LIB_FRONTEND_BURST_TX_H
#define TESTS_LIB_FRONTEND_BURST_TX_H

#include "chain.h"

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

#endif
