/* SPDX-License-Identifier: BSD-3-Clause */
/* mode=tap: a tap device instead of a guest; each queue pair is a queue of the device. */
#include "peer.h"
#include "tap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_PACKET = 65536 + 64, HEADER_ROOM = 64 };

struct tap_queue {
	int fd;
	uint8_t *room; /* VHU_BURST slots: header ending at HEADER_ROOM, then the frame */
	struct vhu_frame frame[VHU_BURST];
	unsigned int n, next; /* frames read and not yet sent */
};

struct tap {
	struct peer_port *port;
	struct vhu_burst burst;
	unsigned int queues;
	unsigned int hdr_len;
	uint64_t to_ring, to_tap,
		refused; /* refused: by the kernel (interface down, a header it does not take) */
	struct tap_queue queue[VHU_MAX_PAIRS];
};

static void tap_close(void *priv)
{
	struct tap *t = priv;

	for (unsigned int i = 0; i < t->queues; i++) {
		if (t->queue[i].fd >= 0)
			close(t->queue[i].fd);
		free(t->queue[i].room);
	}
	free(t);
}

static int open_device(struct tap *t, struct peer_port *p)
{
	const struct tap_config cfg = {
		.name = p->opt.tap,
		.netns = p->opt.netns,
		.mac = p->has_mac ? p->mac : NULL,
		.queues = t->queues,
		.mtu = (uint16_t)p->opt.mtu,
	};
	int fds[VHU_MAX_PAIRS], err = tap_open(&cfg, fds);

	for (unsigned int i = 0; !err && i < t->queues; i++)
		t->queue[i].fd = fds[i];
	for (unsigned int i = 0; !err && i < t->queues; i++)
		err = worker_watch(p->worker, fds[i], p);
	return err;
}

static int tap_mode_open(struct peer_port *p, void **ret_priv)
{
	struct tap *t = calloc(1, sizeof(*t));
	int err = p->opt.tap ? 0 : -EINVAL;

	if (!t)
		return -ENOMEM;
	t->port = p;
	t->queues = (unsigned int)p->opt.queues;
	for (unsigned int i = 0; i < t->queues; i++)
		t->queue[i].fd = -1;
	for (unsigned int i = 0; !err && i < t->queues; i++) {
		t->queue[i].room = malloc((size_t)VHU_BURST * MAX_PACKET);
		err = t->queue[i].room ? 0 : -ENOMEM;
	}
	if (!err)
		err = open_device(t, p);
	if (err) {
		fprintf(stderr, "%s: tap=%s: %s\n", p->opt.name, p->opt.tap ? p->opt.tap : "",
			strerror(-err));
		tap_close(t);
		return err;
	}
	*ret_priv = t;
	return 0;
}

/* What the guest may leave to the switch is known now, and which queues it uses. */
static void tap_ready(void *priv)
{
	struct tap *t = priv;
	const struct vhu_port *v = t->port->vhu;

	t->hdr_len = v->queue[0].cfg.hdr_len;
	for (unsigned int i = 0; i < t->queues; i++) {
		int err = tap_set_offload(t->queue[i].fd, (int)t->hdr_len, vhu_port_has(v, VIRTIO_NET_F_CSUM),
					  vhu_port_has(v, VIRTIO_NET_F_HOST_TSO4),
					  vhu_port_has(v, VIRTIO_NET_F_HOST_TSO6),
					  vhu_port_has(v, VIRTIO_NET_F_HOST_ECN));

		if (!err && t->queues > 1)
			err = tap_set_queue(t->queue[i].fd, i < v->enabled);
		if (err)
			fprintf(stderr, "%s: settings of the tap: %s\n", t->port->opt.name, strerror(-err));
	}
}

static unsigned int ring_to_tap(struct tap *t, unsigned int pair)
{
	struct vhu_queue *q = vhu_port_rxq(t->port->vhu, pair);
	unsigned int n;

	vhu_disarm(q);
	n = vhu_rx(q, &t->burst);
	for (unsigned int i = 0; i < n; i++) {
		const struct vhu_pkt *pkt = &t->burst.pkt[i];

		if (writev(t->queue[pair].fd, pkt->iov, pkt->n_iov) < 0)
			t->refused++;
		else
			t->to_tap++;
	}
	vhu_rx_done(q, &t->burst);
	return n;
}

/* Read what the kernel sends, up to a burst. */
static void read_frames(struct tap *t, struct tap_queue *tq)
{
	tq->n = tq->next = 0;
	while (tq->n < VHU_BURST) {
		uint8_t *data = tq->room + (size_t)tq->n * MAX_PACKET + HEADER_ROOM, *hdr = data - t->hdr_len;
		struct vhu_frame *f = &tq->frame[tq->n];
		ssize_t len = read(tq->fd, hdr, MAX_PACKET - HEADER_ROOM + t->hdr_len);

		if (len < (ssize_t)t->hdr_len)
			return;
		*f = (struct vhu_frame){ .data = data, .len = (uint32_t)len - t->hdr_len };
		memcpy(&f->hdr, hdr, 10);
		tq->n++;
	}
}

/* A full ring stops the reading: the kernel's queue holds the rest, as a guest's does. */
static unsigned int tap_to_ring(struct tap *t, unsigned int pair)
{
	struct tap_queue *tq = &t->queue[pair];
	struct vhu_queue *q = vhu_port_txq(t->port->vhu, pair);
	unsigned int sent;

	vhu_disarm(q);
	if (tq->next == tq->n)
		read_frames(t, tq);
	if (tq->next == tq->n)
		return 0;
	sent = vhu_tx(q, &tq->frame[tq->next], tq->n - tq->next);
	tq->next += sent;
	t->to_ring += sent;
	return sent;
}

static unsigned int tap_poll(void *priv, uint64_t now)
{
	struct tap *t = priv;
	unsigned int total = 0;

	(void)now;
	for (unsigned int i = 0; i < t->port->vhu->started_pairs; i++)
		total += ring_to_tap(t, i);
	for (unsigned int i = 0; i < t->port->vhu->enabled; i++)
		total += tap_to_ring(t, i);
	return total;
}

static bool tap_arm(void *priv)
{
	struct tap *t = priv;
	bool work = false;

	for (unsigned int i = 0; i < t->port->vhu->started_pairs; i++)
		work |= vhu_arm(vhu_port_rxq(t->port->vhu, i));
	for (unsigned int i = 0; i < t->port->vhu->enabled; i++)
		if (t->queue[i].next < t->queue[i].n)
			work |= vhu_arm(vhu_port_txq(t->port->vhu, i));
	return work;
}

static void tap_report(void *priv, struct json *j)
{
	const struct tap *t = priv;

	json_u64(j, "to_ring", t->to_ring);
	json_u64(j, "to_tap", t->to_tap);
	json_u64(j, "refused", t->refused);
}

static void tap_reset(void *priv)
{
	struct tap *t = priv;

	t->to_ring = t->to_tap = t->refused = 0;
}

const struct mode_ops mode_tap = {
	.name = "tap",
	.receives = true,
	.open = tap_mode_open,
	.close = tap_close,
	.ready = tap_ready,
	.poll = tap_poll,
	.arm = tap_arm,
	.report = tap_report,
	.reset = tap_reset,
};
