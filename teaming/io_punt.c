/* SPDX-License-Identifier: BSD-3-Clause */
/* Rings between teamwatch and the workers, for a member without a netdev. */
#include <errno.h>
#include <stdlib.h>
#include <rte_ring.h>

#include "teaming/io.h"
#include "teaming/relay.h"

#define IN_SIZE	 1024
#define FIRST_SIZE 64
#define OUT_SIZE 128
#define OUT_ROOM 9236 /* bytes of a frame that teamwatch sends, if a buffer has as many */
#define BURST	 32

/* Which frames a relay wants, in one word that workers read: whether any, and its MAC. */
#define RELAY_ON (1ull << 63)

struct slot {
	uint32_t len;
	uint8_t data[];
};

/*
 * teamwatch may be preempted anywhere. So it takes no buffers from pools that workers use and gives none
 * back: it would hold the pool's ring while it does not run. It writes into slots, and a worker frees what
 * it has read.
 */
struct punt {
	struct tw_io io;
	struct rte_mempool *pool;
	struct rte_ring *first; /* workers -> teamwatch: link-local frames, which must not wait or be lost */
	struct rte_ring *in;   /* workers -> teamwatch */
	struct rte_ring *read; /* teamwatch -> a worker, to be freed */
	uint8_t *out;	       /* slots, teamwatch -> one worker; [head, tail) are full, counting on without end */
	uint32_t room;	       /* bytes in a slot */
	uint64_t relay;	       /* written by teamwatch */
	uint32_t tail __attribute__((aligned(64))); /* written by teamwatch */
	uint32_t head __attribute__((aligned(64))); /* written by the worker */
};

static struct punt *punt_of(struct tw_io *io)
{
	return (struct punt *)io;
}

static struct slot *slot_at(const struct punt *p, uint32_t i)
{
	return (void *)(p->out + (size_t)(i % OUT_SIZE) * (sizeof(struct slot) + p->room));
}

static int punt_fd(const struct tw_io *io)
{
	return -1;
}

static int punt_send(struct tw_io *io, const uint8_t *frame, uint32_t len)
{
	struct punt *p = punt_of(io);
	struct slot *slot = slot_at(p, p->tail);

	if (len > p->room)
		return -EMSGSIZE;
	if (p->tail - __atomic_load_n(&p->head, __ATOMIC_ACQUIRE) == OUT_SIZE)
		return -ENOBUFS;
	slot->len = len;
	memcpy(slot->data, frame, len);
	__atomic_store_n(&p->tail, p->tail + 1, __ATOMIC_RELEASE);
	return 0;
}

static int punt_recv(struct tw_io *io, uint8_t *buf, uint32_t size)
{
	struct punt *p = punt_of(io);
	uint32_t len;
	const void *data;
	void *obj;

	/* Nobody frees what was read: wait with more. */
	if (rte_ring_full(p->read) || (rte_ring_dequeue(p->first, &obj) < 0 && rte_ring_dequeue(p->in, &obj) < 0))
		return 0;
	len = rte_pktmbuf_pkt_len((struct rte_mbuf *)obj);
	if (len > size)
		len = size;
	data = rte_pktmbuf_read(obj, 0, len, buf);
	if (data && data != buf)
		memcpy(buf, data, len);
	rte_ring_enqueue(p->read, obj);
	return data ? (int)len : 0;
}

static int punt_filter(struct tw_io *io, const struct tw_io_filter *f)
{
	return 0; /* the driver is promiscuous, tw_io_punt_rx() chooses by kind */
}

static void drain(struct rte_ring *ring)
{
	void *obj;

	while (ring && rte_ring_dequeue(ring, &obj) == 0)
		rte_pktmbuf_free(obj);
	free(ring);
}

static void punt_close(struct tw_io *io)
{
	struct punt *p = punt_of(io);

	drain(p->first);
	drain(p->in);
	drain(p->read);
	free(p->out);
	free(p);
}

/* ARP, ICMP, ICMPv6 not behind extension headers; with one tag or none. */
static bool is_ours(const struct rte_mbuf *m)
{
	const uint8_t *d = rte_pktmbuf_mtod(m, const uint8_t *);
	uint16_t type, at = ETH_HLEN_;

	if (m->data_len < 42)
		return false;
	type = load_be16(d + 12);
	if (type == ETHERTYPE_VLAN_) {
		type = load_be16(d + 16);
		at += 4;
	}
	switch (type) {
	case ETHERTYPE_ARP_:
		return true;
	case ETHERTYPE_IPV4_:
		return d[at + 9] == IPPROTO_ICMP_;
	case ETHERTYPE_IPV6_:
		return d[at + 6] == IPPROTO_ICMP6_;
	default:
		return false;
	}
}

/* Where a frame belongs, NULL: not here. */
static struct rte_ring *ring_for(const struct punt *p, const struct rte_mbuf *m)
{
	uint64_t relay = __atomic_load_n(&p->relay, __ATOMIC_RELAXED);
	const uint8_t *d = rte_pktmbuf_mtod(m, const uint8_t *);

	if (m->data_len < ETH_HLEN_)
		return NULL;
	if (relay && tw_is_link_local(d))
		return p->first;
	if (is_ours(m))
		return p->in;
	if (relay && (mac_is_group(d) || (mac_load((const struct mac *)d) | RELAY_ON) == relay) &&
	    rte_ring_count(p->in) < IN_SIZE / 2)
		return p->in;
	return NULL;
}

static void free_read(struct punt *p)
{
	void *done[BURST];
	unsigned int n;

	do {
		n = rte_ring_dequeue_burst(p->read, done, BURST, NULL);
		for (unsigned int i = 0; i < n; i++)
			rte_pktmbuf_free(done[i]);
	} while (n == BURST);
}

uint16_t tw_io_punt_rx(struct tw_io *io, struct rte_mbuf **pkts, uint16_t n)
{
	struct punt *p = punt_of(io);
	uint16_t i;

	for (i = 0; i < n; i++) {
		struct rte_ring *ring = ring_for(p, pkts[i]);

		if (!ring || rte_ring_enqueue(ring, pkts[i]) < 0)
			break;
	}
	return i;
}

void tw_io_punt_relay(struct tw_io *io, const struct mac *mac)
{
	__atomic_store_n(&punt_of(io)->relay, mac ? mac_load(mac) | RELAY_ON : 0, __ATOMIC_RELAXED);
}

bool tw_io_punt_quiet(const struct tw_io *io)
{
	const struct punt *p = (const struct punt *)io;

	return p->tail - __atomic_load_n(&p->head, __ATOMIC_RELAXED) < OUT_SIZE / 2;
}

uint16_t tw_io_punt_tx(struct tw_io *io, struct rte_mbuf **pkts, uint16_t n)
{
	struct punt *p = punt_of(io);
	uint32_t tail = __atomic_load_n(&p->tail, __ATOMIC_ACQUIRE), head = p->head;
	uint16_t i;

	free_read(p);
	for (i = 0; i < n && head != tail; i++, head++) {
		const struct slot *slot = slot_at(p, head);
		struct rte_mbuf *m = rte_pktmbuf_alloc(p->pool);
		char *data = m ? rte_pktmbuf_append(m, (uint16_t)slot->len) : NULL;

		if (!data) {
			rte_pktmbuf_free(m);
			break;
		}
		memcpy(data, slot->data, slot->len);
		pkts[i] = m;
	}
	__atomic_store_n(&p->head, head, __ATOMIC_RELEASE);
	return i;
}

static const struct tw_io_ops punt_ops = {
	.name = "punt-ring",
	.fd = punt_fd,
	.send = punt_send,
	.recv = punt_recv,
	.filter = punt_filter,
	.close = punt_close,
};

static struct rte_ring *make_ring(unsigned int size, unsigned int flags)
{
	ssize_t bytes = rte_ring_get_memsize(size);
	struct rte_ring *r =
		bytes > 0 ? aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN((size_t)bytes, RTE_CACHE_LINE_SIZE)) : NULL;

	if (r && rte_ring_init(r, "teamwatch", size, flags) < 0) {
		free(r);
		return NULL;
	}
	return r;
}

int tw_io_punt_open(struct rte_mempool *pool, struct tw_io **ret)
{
	struct punt *p = aligned_alloc(64, sizeof(*p));

	if (!p)
		return -ENOMEM;
	memset(p, 0, sizeof(*p));
	p->io.ops = &punt_ops;
	p->pool = pool;
	/* One that does not fit a buffer would be in the way of all behind it. */
	p->room = RTE_MIN((uint32_t)OUT_ROOM, rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM) & ~3u;
	p->first = make_ring(FIRST_SIZE, RING_F_SC_DEQ);
	p->in = make_ring(IN_SIZE, RING_F_SC_DEQ);
	p->read = make_ring(IN_SIZE, RING_F_SP_ENQ | RING_F_SC_DEQ);
	p->out = calloc(OUT_SIZE, sizeof(struct slot) + p->room);
	if (!p->first || !p->in || !p->read || !p->out) {
		punt_close(&p->io);
		return -ENOMEM;
	}
	*ret = &p->io;
	return 0;
}
