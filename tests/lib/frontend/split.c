/* SPDX-License-Identifier: BSD-3-Clause */
/* Split virtqueue (virtio 1.1 section 2.6). */
#include "burst_rx.h"
#include "burst_tx.h"

static size_t used_offset(uint16_t size)
{
	size_t avail = sizeof(struct vring_desc) * size + sizeof(uint16_t) * (3u + size);

	return (avail + 4095) & ~(size_t)4095;
}

static size_t split_bytes(uint16_t size)
{
	return used_offset(size) + sizeof(uint16_t) * 3 + sizeof(struct vring_used_elem) * size;
}

static void split_init(struct vhu_queue *q)
{
	uint8_t *ring = q->ring;
	uint16_t size = q->cfg.size;

	q->split = (struct vhu_split){
		.desc = (struct vring_desc *)ring,
		.avail = (struct vring_avail *)(ring + sizeof(struct vring_desc) * size),
		.used = (struct vring_used *)(ring + used_offset(size)),
	};
}

static void split_parts(const struct vhu_queue *q, void **desc, void **driver, void **device)
{
	*desc = q->split.desc;
	*driver = q->split.avail;
	*device = q->split.used;
}

/* What QEMU does when a back-end is gone: nothing older than the used index was finished, all later is done
 * again. */
static uint32_t split_base(const struct vhu_queue *q)
{
	return __atomic_load_n(&q->split.used->idx, __ATOMIC_ACQUIRE);
}

/* behind the rings' last entries: the indexes of VIRTIO_F_EVENT_IDX */
vhu_inline uint16_t *used_event(const struct vhu_queue *q)
{
	return &q->split.avail->ring[q->cfg.size];
}

vhu_inline uint16_t avail_event(const struct vhu_queue *q)
{
	return __atomic_load_n((uint16_t *)&q->split.used->ring[q->cfg.size], __ATOMIC_RELAXED);
}

vhu_inline void split_post(struct vhu_queue *q, const uint16_t *ids, const struct vhu_sg *sg, unsigned int n,
			   uint16_t flags)
{
	struct vring_desc *desc = q->split.desc;
	uint16_t mask = q->cfg.size - 1;

	for (unsigned int i = 0; i < n; i++) {
		struct vring_desc *d = &desc[ids[i]];
		uint16_t f = flags, next = 0;

		if (i + 1 < n) {
			f |= VRING_DESC_F_NEXT;
			next = ids[i + 1];
		}
		/* mostly as it was: leave the line shared with the device */
		if (unlikely(d->addr != sg[i].gpa))
			d->addr = sg[i].gpa;
		if (unlikely(d->len != sg[i].len))
			d->len = sg[i].len;
		if (unlikely(d->flags != f))
			d->flags = f;
		if (unlikely(d->next != next))
			d->next = next;
	}
	q->split.avail->ring[q->split.avail_idx++ & mask] = ids[0];
}

vhu_inline bool split_kick_wanted(const struct vhu_queue *q, uint16_t old)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (q->cfg.event_idx)
		return vring_need_event(avail_event(q), q->split.avail_idx, old);
	return !(__atomic_load_n(&q->split.used->flags, __ATOMIC_RELAXED) & VRING_USED_F_NO_NOTIFY);
}

vhu_inline void split_publish(struct vhu_queue *q)
{
	uint16_t old = q->split.published;

	__atomic_store_n(&q->split.avail->idx, q->split.avail_idx, __ATOMIC_RELEASE);
	q->split.published = q->split.avail_idx;
	if (split_kick_wanted(q, old))
		vhu_kick(q);
}

vhu_inline unsigned int split_used(struct vhu_queue *q, uint16_t *ids, uint32_t *lens, unsigned int max)
{
	uint16_t idx = __atomic_load_n(&q->split.used->idx, __ATOMIC_ACQUIRE);
	uint16_t n = (uint16_t)(idx - q->split.last_used), mask = q->cfg.size - 1;

	if (unlikely(n > q->in_flight)) {
		q->stats.violations[VHU_BAD_INDEX]++;
		q->broken = true;
		return 0;
	}
	if (n > max)
		n = (uint16_t)max;
	for (uint16_t i = 0; i < n; i++) {
		const struct vring_used_elem *e = &q->split.used->ring[(q->split.last_used + i) & mask];
		uint32_t id = e->id;

		if (unlikely(!take_back(q, id)))
			return i;
		ids[i] = (uint16_t)id;
		lens[i] = e->len;
	}
	q->split.last_used += n;
	return n;
}

static const struct ring_prims split_prims = {
	.post = split_post,
	.publish = split_publish,
	.used = split_used,
};

static unsigned int split_tx(struct vhu_queue *q, const struct vhu_frame *frames, unsigned int n)
{
	return burst_tx(q, frames, n, &split_prims);
}

static unsigned int split_rx(struct vhu_queue *q, struct vhu_burst *b)
{
	return burst_rx(q, b, &split_prims);
}

static void split_rx_done(struct vhu_queue *q, struct vhu_burst *b)
{
	burst_rx_done(q, b, &split_prims);
}

static void split_rx_fill(struct vhu_queue *q)
{
	burst_rx_fill(q, &split_prims);
}

static void split_reclaim(struct vhu_queue *q)
{
	if (!q->broken)
		burst_reclaim(q, &split_prims);
}

static bool split_arm(struct vhu_queue *q)
{
	if (q->cfg.event_idx)
		__atomic_store_n(used_event(q), q->split.last_used, __ATOMIC_RELAXED);
	else
		__atomic_store_n(&q->split.avail->flags, 0, __ATOMIC_RELAXED);
	q->quiet = false;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return !q->broken && __atomic_load_n(&q->split.used->idx, __ATOMIC_ACQUIRE) != q->split.last_used;
}

/* With event indexes the one armed last stays behind, and is met again only after 65,535 buffers. */
static void split_disarm(struct vhu_queue *q)
{
	if (!q->cfg.event_idx)
		__atomic_store_n(&q->split.avail->flags, VRING_AVAIL_F_NO_INTERRUPT, __ATOMIC_RELAXED);
	q->quiet = true;
}

static void split_raw(struct vhu_queue *q, const struct vhu_raw_desc *d, unsigned int n, uint16_t head)
{
	uint16_t mask = q->cfg.size - 1;

	for (unsigned int i = 0; i < n; i++)
		q->split.desc[(head + i) & mask] = (struct vring_desc){
			.addr = d[i].addr, .len = d[i].len, .flags = d[i].flags, .next = d[i].next
		};
	q->split.avail->ring[q->split.avail_idx++ & mask] = head;
	split_publish(q);
}

const struct vhu_ring_ops vhu_split_ops = {
	.name = "split",
	.bytes = split_bytes,
	.init = split_init,
	.parts = split_parts,
	.base = split_base,
	.tx = split_tx,
	.rx = split_rx,
	.rx_done = split_rx_done,
	.rx_fill = split_rx_fill,
	.reclaim = split_reclaim,
	.arm = split_arm,
	.disarm = split_disarm,
	.raw = split_raw,
};
