/* SPDX-License-Identifier: BSD-3-Clause */
/* Packed virtqueue (virtio 1.1 section 2.7). */
#include "burst_rx.h"
#include "burst_tx.h"

#define F_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define F_USED	(1u << VRING_PACKED_DESC_F_USED)

static size_t packed_bytes(uint16_t size)
{
	return sizeof(struct vring_packed_desc) * size + 2 * sizeof(struct vring_packed_desc_event);
}

static void packed_init(struct vhu_queue *q)
{
	struct vring_packed_desc *desc = q->ring;
	struct vring_packed_desc_event *event = (struct vring_packed_desc_event *)(desc + q->cfg.size);

	q->packed = (struct vhu_packed){
		.desc = desc,
		.driver = event,
		.device = event + 1,
		.avail_wrap = 1,
		.used_wrap = 1,
	};
}

static void packed_parts(const struct vhu_queue *q, void **desc, void **driver, void **device)
{
	*desc = q->packed.desc;
	*driver = q->packed.driver;
	*device = q->packed.device;
}

/* Slots of the ring that a chain in flight takes. */
vhu_inline uint16_t chain_slots(const struct vhu_queue *q, uint16_t id)
{
	return q->chain[id] & CHAIN_TABLE ? 1 : q->chain[id] & ~CHAIN_TAKEN;
}

vhu_inline bool is_used(const struct vhu_queue *q, uint16_t slot, uint16_t wrap)
{
	uint16_t flags = __atomic_load_n(&q->packed.desc[slot].flags, __ATOMIC_ACQUIRE);

	return !!(flags & F_AVAIL) == wrap && !!(flags & F_USED) == wrap;
}

vhu_inline void advance(const struct vhu_queue *q, uint16_t *slot, uint16_t *wrap, uint16_t n)
{
	*slot += n;
	if (unlikely(*slot >= q->cfg.size)) {
		*slot -= q->cfg.size;
		*wrap ^= 1;
	}
}

/* Device position: behind everything it has marked used. Descriptors it had read and not yet used are read
 * again. */
static uint32_t packed_base(const struct vhu_queue *q)
{
	uint16_t slot = q->packed.used_idx, wrap = q->packed.used_wrap;
	uint32_t base;

	for (unsigned int i = 0; i < q->in_flight && is_used(q, slot, wrap); i++) {
		uint16_t id = q->packed.desc[slot].id;

		if (id >= q->cfg.size || !q->chain[id])
			break;
		advance(q, &slot, &wrap, chain_slots(q, id));
	}
	base = slot | (uint32_t)wrap << 15;
	return base << 16 | base;
}

vhu_inline void packed_post(struct vhu_queue *q, const uint16_t *ids, const struct vhu_sg *sg, unsigned int n,
			    uint16_t flags)
{
	struct vhu_packed *p = &q->packed;

	for (unsigned int i = 0; i < n; i++) {
		struct vring_packed_desc *d = &p->desc[p->avail_idx];
		uint16_t f = flags | (p->avail_wrap ? F_AVAIL : F_USED) | (i + 1 < n ? VRING_DESC_F_NEXT : 0);

		d->addr = sg[i].gpa;
		d->len = sg[i].len;
		d->id = ids[0];
		if (p->staged++ == 0) {
			p->head = p->avail_idx;
			p->head_flags = f;
		} else {
			d->flags = f;
		}
		advance(q, &p->avail_idx, &p->avail_wrap, 1);
	}
}

vhu_inline bool packed_kick_wanted(const struct vhu_queue *q, uint16_t added)
{
	const struct vhu_packed *p = &q->packed;
	uint16_t flags, off_wrap, event;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	flags = __atomic_load_n(&p->device->flags, __ATOMIC_ACQUIRE) & 3;
	if (flags != VRING_PACKED_EVENT_FLAG_DESC)
		return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	off_wrap = __atomic_load_n(&p->device->off_wrap, __ATOMIC_RELAXED);
	event = off_wrap & 0x7fff;
	if (off_wrap >> VRING_PACKED_EVENT_F_WRAP_CTR != p->avail_wrap)
		event -= q->cfg.size;
	return vring_need_event(event, p->avail_idx, (uint16_t)(p->avail_idx - added));
}

vhu_inline void packed_publish(struct vhu_queue *q)
{
	struct vhu_packed *p = &q->packed;
	uint16_t added = p->staged;

	if (!added)
		return;
	__atomic_store_n(&p->desc[p->head].flags, p->head_flags, __ATOMIC_RELEASE);
	p->staged = 0;
	if (packed_kick_wanted(q, added))
		vhu_kick(q);
}

vhu_inline unsigned int packed_used(struct vhu_queue *q, uint16_t *ids, uint32_t *lens, unsigned int max)
{
	struct vhu_packed *p = &q->packed;
	unsigned int n;

	for (n = 0; n < max && is_used(q, p->used_idx, p->used_wrap); n++) {
		const struct vring_packed_desc *d = &p->desc[p->used_idx];
		uint16_t id = d->id;

		if (unlikely(!take_back(q, id)))
			break;
		ids[n] = id;
		lens[n] = d->len;
		advance(q, &p->used_idx, &p->used_wrap, chain_slots(q, id));
	}
	return n;
}

static const struct ring_prims packed_prims = {
	.post = packed_post,
	.publish = packed_publish,
	.used = packed_used,
};

static unsigned int packed_tx(struct vhu_queue *q, const struct vhu_frame *frames, unsigned int n)
{
	return burst_tx(q, frames, n, &packed_prims);
}

static unsigned int packed_rx(struct vhu_queue *q, struct vhu_burst *b)
{
	return burst_rx(q, b, &packed_prims);
}

static void packed_rx_done(struct vhu_queue *q, struct vhu_burst *b)
{
	burst_rx_done(q, b, &packed_prims);
}

static void packed_rx_fill(struct vhu_queue *q)
{
	burst_rx_fill(q, &packed_prims);
}

static void packed_reclaim(struct vhu_queue *q)
{
	if (!q->broken)
		burst_reclaim(q, &packed_prims);
}

static bool packed_arm(struct vhu_queue *q)
{
	struct vhu_packed *p = &q->packed;

	if (q->cfg.event_idx)
		__atomic_store_n(&p->driver->off_wrap,
				 (uint16_t)(p->used_idx | p->used_wrap << VRING_PACKED_EVENT_F_WRAP_CTR),
				 __ATOMIC_RELAXED);
	__atomic_store_n(&p->driver->flags,
			 q->cfg.event_idx ? VRING_PACKED_EVENT_FLAG_DESC : VRING_PACKED_EVENT_FLAG_ENABLE,
			 __ATOMIC_RELEASE);
	q->quiet = false;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return !q->broken && is_used(q, p->used_idx, p->used_wrap);
}

static void packed_disarm(struct vhu_queue *q)
{
	__atomic_store_n(&q->packed.driver->flags, VRING_PACKED_EVENT_FLAG_DISABLE, __ATOMIC_RELAXED);
	q->quiet = true;
}

static void packed_raw(struct vhu_queue *q, const struct vhu_raw_desc *d, unsigned int n, uint16_t head)
{
	struct vhu_packed *p = &q->packed;

	(void)head;
	for (unsigned int i = 0; i < n; i++) {
		struct vring_packed_desc *slot = &p->desc[p->avail_idx];
		uint16_t f = (uint16_t)(d[i].flags | (p->avail_wrap ? F_AVAIL : F_USED));

		slot->addr = d[i].addr;
		slot->len = d[i].len;
		slot->id = d[i].next;
		if (p->staged++ == 0) {
			p->head = p->avail_idx;
			p->head_flags = f;
		} else {
			slot->flags = f;
		}
		advance(q, &p->avail_idx, &p->avail_wrap, 1);
	}
	packed_publish(q);
}

const struct vhu_ring_ops vhu_packed_ops = {
	.name = "packed",
	.bytes = packed_bytes,
	.init = packed_init,
	.parts = packed_parts,
	.base = packed_base,
	.tx = packed_tx,
	.rx = packed_rx,
	.rx_done = packed_rx_done,
	.rx_fill = packed_rx_fill,
	.reclaim = packed_reclaim,
	.arm = packed_arm,
	.disarm = packed_disarm,
	.raw = packed_raw,
};
