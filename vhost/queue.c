/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bursts. The library does the work and answers for the rings; here is nothing per packet.
 *
 * A worker reads rx_ready or tx_ready, then vid and the rest, which do not change while ready is set and do
 * not go away before the worker was quiescent once (port_unpublish).
 */
#include <rte_branch_prediction.h>

#include "vhost_private.h"

static_assert(offsetof(struct vhu_queue, q) == 0, "a port_queue is the beginning of our queue");

static inline struct vhu_queue *to_queue(struct port_queue *pq)
{
	return (struct vhu_queue *)pq;
}

/*
 * The first thing after a ring was started, by its owner because the library wants the queue's lock: guests
 * need not kick, we poll; and an interrupt that a killed switch still owed is made up for, or a guest with a
 * full transmit ring would wait for ever.
 */
static __rte_noinline void queue_freshen(struct vhu_queue *q)
{
	uint16_t used;

	__atomic_store_n(&q->fresh, 0, __ATOMIC_RELAXED);
	if (rte_vhost_get_vring_base(q->vid, q->rx_vring, &q->seen, &used) < 0)
		q->seen = 0;
	q->got = 0;
	q->stuck_count = 0;
	rte_vhost_enable_guest_notification(q->vid, q->rx_vring, 0);
	rte_vhost_enable_guest_notification(q->vid, q->tx_vring, 0);
	rte_vhost_vring_call(q->vid, q->rx_vring);
	rte_vhost_vring_call(q->vid, q->tx_vring);
}

/* Split ring: the library has passed more chains than it gave packets. */
static __rte_noinline void queue_count_bad(struct vhu_queue *q)
{
	uint16_t avail, used;
	int16_t bad;

	if (rte_vhost_get_vring_base(q->vid, q->rx_vring, &avail, &used) < 0)
		return;
	/* Negative after the frame that the library makes itself (RARP at the end of a migration). */
	bad = (int16_t)(uint16_t)(avail - q->seen - q->got);
	if (bad > 0)
		stat_add(&q->bad_chains, bad);
	q->seen = avail;
	q->got = 0;
}

/* Write down where a packed ring stands: one word, so that a kill leaves this burst or the one before. */
static inline uint16_t save_position(const struct vhu_queue *q, struct ring_slot *slot, uint16_t vring)
{
	uint16_t avail, used = 0;

	if (likely(rte_vhost_get_vring_base(q->vid, vring, &avail, &used) == 0))
		__atomic_store_n(&slot->hot, ring_encode(used, RING_RUNNING), __ATOMIC_RELEASE);
	return used;
}

/*
 * Packed: the position is saved after each burst of the library. It must never be asked for one packet: if it
 * then has a RARP frame to insert it goes on with room for none, and writes behind the end. A last one is
 * left for later; who asks for one gets two.
 */
static uint16_t rx_packed(struct vhu_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t got = 0, want, r, pos;

	n = RTE_MAX(n, PORT_RX_MIN);
	while ((want = RTE_MIN(n - got, VHU_BURST)) > 1) {
		r = rte_vhost_dequeue_burst(q->vid, q->rx_vring, q->pool, pkts + got, want);
		pos = save_position(q, q->rx_saved, q->rx_vring);
		if (unlikely(!r && pos != q->seen))
			stat_add(&q->bad_chains, 1);
		q->seen = pos;
		got += r;
		if (r < want)
			break;
	}
	q->got = got;
	return got;
}

static uint16_t vhu_rx(struct port_queue *pq, struct rte_mbuf **pkts, uint16_t n)
{
	struct vhu_queue *q = to_queue(pq);
	uint16_t got = 0, want, r;

	if (unlikely(!__atomic_load_n(&pq->rx_ready, __ATOMIC_ACQUIRE)))
		return 0;
	if (unlikely(__atomic_load_n(&q->fresh, __ATOMIC_RELAXED)))
		queue_freshen(q);
	if (q->rx_saved)
		return rx_packed(q, pkts, n);
	do {
		want = RTE_MIN(n - got, VHU_BURST);
		r = rte_vhost_dequeue_burst(q->vid, q->rx_vring, q->pool, pkts + got, want);
		got += r;
	} while (r == want && got < n);
	if (got)
		q->got += got;
	else if (q->got)
		queue_count_bad(q);
	return got;
}

static uint16_t tx_packed(struct vhu_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t sent = 0, want, r;

	rte_spinlock_lock(&q->tx_lock);
	do {
		want = RTE_MIN(n - sent, q->tx_burst);
		r = rte_vhost_enqueue_burst(q->vid, q->tx_vring, pkts + sent, want);
		if (r)
			save_position(q, q->tx_saved, q->tx_vring);
		sent += r;
	} while (r == want && sent < n);
	rte_spinlock_unlock(&q->tx_lock);
	return sent;
}

static uint16_t vhu_tx(struct port_queue *pq, struct rte_mbuf **pkts, uint16_t n)
{
	struct vhu_queue *q = to_queue(pq);
	uint16_t sent = 0, want, r;

	if (unlikely(!__atomic_load_n(&pq->tx_ready, __ATOMIC_ACQUIRE)))
		return 0;
	if (q->tx_saved)
		return tx_packed(q, pkts, n);
	do {
		want = RTE_MIN(n - sent, VHU_BURST);
		r = rte_vhost_enqueue_burst(q->vid, q->tx_vring, pkts + sent, want);
		sent += r;
	} while (r == want && sent < n);
	return sent;
}

/*
 * What waits. A chain that the library refuses without passing it would look like work for ever, and so does
 * an empty buffer pool: what has not moved since the last question does not count.
 */
static int pending_split(struct vhu_queue *q)
{
	uint32_t count;

	queue_count_bad(q);
	count = rte_vhost_rx_queue_count(q->vid, q->rx_vring);
	if (!count) {
		q->stuck_count = 0;
		return 0;
	}
	if (q->seen != q->stuck_at || (uint16_t)count != q->stuck_count) {
		q->stuck_at = q->seen;
		q->stuck_count = (uint16_t)count;
		q->stuck_counted = false;
		return (int)RTE_MIN(count, 0x8000u);
	}
	if (!q->stuck_counted && rte_mempool_avail_count(q->pool) > VHU_BURST) {
		q->stuck_counted = true;
		stat_add(&q->bad_chains, 1);
	}
	return 0;
}

static int vhu_pending(struct port_queue *pq)
{
	struct vhu_queue *q = to_queue(pq);

	if (!__atomic_load_n(&pq->rx_ready, __ATOMIC_ACQUIRE))
		return 0;
	if (__atomic_load_n(&q->fresh, __ATOMIC_RELAXED))
		return 1;
	/* The library counts split rings only; reading a packed one would race with a new memory table. */
	return q->rx_saved ? q->got : pending_split(q);
}

const struct port_ops vhu_port_ops = {
	.name = "vhost-user",
	.rx = vhu_rx,
	.tx = vhu_tx,
	.pending = vhu_pending,
};
