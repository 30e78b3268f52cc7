/* SPDX-License-Identifier: BSD-3-Clause */
/* Receiving in bursts, for both ring layouts (chain.h). */
#ifndef TESTS_LIB_FRONTEND_BURST_RX_H
#define TESTS_LIB_FRONTEND_BURST_RX_H

#include "chain.h"

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
