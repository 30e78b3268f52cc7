/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "guest.h"
#include "vhu.h"

#define PATIENCE_MS 10000
#define FRAME_MAX   65536

struct guest {
	struct vhu_port *port;
	struct vhu_burst burst;
	uint64_t bad;
	uint8_t frame[VHU_BURST][2048];
	uint8_t big[FRAME_MAX];
};

struct guest *guest_open(const struct guest_options *o)
{
	struct vhu_config cfg = {
		.path = o->path,
		.server = o->server,
		.pairs = o->pairs ? o->pairs : 1,
		.size = o->size ? o->size : 256,
		.buf_len = o->buf_len ? o->buf_len : 2048,
		.regions = 2,
		.packed = o->packed,
		.mergeable = o->mergeable,
		.indirect = o->indirect,
		.event_idx = o->event_idx,
		.hdr_desc = o->hdr_desc,
		.guest_csum = o->large,
		.guest_gso = o->large,
		.mtu = o->mtu,
		.packed_base = VHU_PACKED_QEMU,
	};
	struct guest *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	assert_int_equal(vhu_port_open(&cfg, &g->port), 0);
	return g;
}

void guest_close(struct guest *g)
{
	vhu_port_close(g->port);
	free(g);
}

void guest_meet(struct guest *g)
{
	struct pollfd p = { .fd = g->port->listen_fd, .events = POLLIN };
	int r;

	if (g->port->cfg.server) {
		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
		assert_int_equal(vhu_port_accept(g->port), 0);
		return;
	}
	r = vhu_port_connect(g->port);
	assert_int_equal(r, 0);
}

int guest_try_start(struct guest *g)
{
	return vhu_port_start(g->port);
}

void guest_start(struct guest *g)
{
	int r = vhu_port_start(g->port);

	if (r < 0)
		fail_msg("start: %s: %s", g->port->step, strerror(-r));
}

void guest_start_without_size(struct guest *g)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct vhu_queue *q = &g->port->queue[i];
		struct vhu_msg addr = { .request = VHU_SET_VRING_ADDR, .size = sizeof(addr.addr) };
		struct vhu_msg kick = { .request = VHU_SET_VRING_KICK, .size = 8, .u64 = i };
		struct vhu_msg call = { .request = VHU_SET_VRING_CALL, .size = 8, .u64 = i };
		void *desc, *driver, *device;

		q->ops->parts(q, &desc, &driver, &device);
		addr.addr.index = i;
		addr.addr.desc = (uintptr_t)desc;
		addr.addr.avail = (uintptr_t)driver;
		addr.addr.used = (uintptr_t)device;
		assert_int_equal(vhu_port_send(g->port, &addr, NULL, 0, true), 0);
		assert_int_equal(vhu_port_send(g->port, &kick, &q->kick_fd, 1, true), 0);
		assert_int_equal(vhu_port_send(g->port, &call, &q->call_fd, 1, true), 0);
		assert_int_equal(vhu_port_send_state(g->port, VHU_SET_VRING_ENABLE, i, 1), 0);
	}
}

void guest_stop(struct guest *g)
{
	assert_int_equal(vhu_port_stop(g->port), 0);
}

void guest_reset(struct guest *g)
{
	vhu_port_reset(g->port);
}

void guest_leave(struct guest *g)
{
	vhu_port_disconnect(g->port);
}

void guest_wait_gone(struct guest *g)
{
	struct pollfd p = { .fd = vhu_port_fd(g->port), .events = POLLIN };

	do {
		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	} while (vhu_port_event(g->port) == 0);
	vhu_port_disconnect(g->port);
}

void guest_enable(struct guest *g, unsigned int pairs)
{
	uint64_t sync;

	assert_int_equal(vhu_port_enable(g->port, pairs), 0);
	assert_int_equal(vhu_port_get_u64(g->port, VHU_GET_FEATURES, &sync), 0);
}

void guest_rarp(struct guest *g)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 7 };

	assert_int_equal(vhu_port_rarp(g->port, mac), 0);
}

void guest_replug(struct guest *g)
{
	assert_int_equal(vhu_port_send_memory(g->port), 0);
}

/* Without REPLY_ACK in the library's helper: an answer to the next question, or the end of the connection. */
int guest_send_state(struct guest *g, uint32_t request, uint32_t index, uint32_t num)
{
	struct vhu_msg msg = { .request = request, .size = 8, .state = { index, num } };

	return vhu_port_send(g->port, &msg, NULL, 0, true);
}

int guest_send_absurd_memory(struct guest *g)
{
	struct vhu_msg msg;
	int fds[VHU_MAX_FDS];
	unsigned int n;

	vhu_mem_table(&g->port->mem, &msg, fds, &n);
	msg.mem.region[0].mmap_offset = UINT64_MAX - 4096;
	return vhu_port_send(g->port, &msg, fds, n, true);
}

void guest_block_call(struct guest *g)
{
	uint64_t full = UINT64_MAX - 1;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct vhu_msg msg = { .request = VHU_SET_VRING_CALL, .size = 8, .u64 = i };
		int fd = eventfd(0, EFD_CLOEXEC);

		assert_return_code(fd, errno);
		assert_int_equal(write(fd, &full, sizeof(full)), sizeof(full));
		assert_int_equal(vhu_port_send(g->port, &msg, &fd, 1, true), 0);
		close(fd);
		vhu_arm(&g->port->queue[i]);
	}
}

static void make_frame(uint8_t *f, uint32_t number, uint32_t len)
{
	uint32_t i;

	memset(f, 0, 14);
	f[0] = f[6] = 2;
	f[5] = 1;
	f[11] = 2;
	f[12] = 0x88;
	f[13] = 0xb5;
	memcpy(f + 14, &number, 4);
	for (i = 18; i < len; i++)
		f[i] = (uint8_t)(number + i);
}

static bool is_frame(const uint8_t *f, uint32_t len, uint32_t *ret_number)
{
	uint32_t number, i;

	if (len < 18 || f[12] != 0x88 || f[13] != 0xb5)
		return false;
	memcpy(&number, f + 14, 4);
	for (i = 18; i < len; i++)
		if (f[i] != (uint8_t)(number + i))
			return false;
	*ret_number = number;
	return true;
}

static unsigned int send_big(struct guest *g, unsigned int pair, uint32_t number, uint32_t len)
{
	struct vhu_frame f = { .data = g->big, .len = len };
	struct vhu_queue *q = vhu_port_txq(g->port, pair);

	/* The front-end looks for used buffers when it has fewer than frames; this one takes many. */
	q->ops->reclaim(q);
	make_frame(g->big, number, len);
	return vhu_tx(q, &f, 1);
}

unsigned int guest_send(struct guest *g, unsigned int pair, unsigned int n, uint32_t first, uint32_t len)
{
	struct vhu_frame f[VHU_BURST];
	unsigned int sent = 0, i, k, took;

	assert_in_range(len, 18, FRAME_MAX);
	while (sent < n && (len > sizeof(g->frame[0]) || len > g->port->cfg.buf_len)) {
		if (!send_big(g, pair, first + sent, len))
			return sent;
		sent++;
	}
	while (sent < n) {
		k = n - sent < VHU_BURST ? n - sent : VHU_BURST;
		for (i = 0; i < k; i++) {
			make_frame(g->frame[i], first + sent + i, len);
			f[i] = (struct vhu_frame){ .data = g->frame[i], .len = len };
		}
		took = vhu_tx(vhu_port_txq(g->port, pair), f, k);
		sent += took;
		if (took < k)
			break;
	}
	return sent;
}

unsigned int guest_receive(struct guest *g, unsigned int pair, uint32_t first, uint32_t *last)
{
	struct vhu_queue *q = vhu_port_rxq(g->port, pair);
	unsigned int n = vhu_rx(q, &g->burst), count = 0, i, k;

	for (i = 0; i < n; i++) {
		const struct vhu_pkt *pkt = &g->burst.pkt[i];
		uint32_t number, len = 0;

		for (k = 1; k < pkt->n_iov; k++) {
			assert_in_range(len + pkt->iov[k].iov_len, 0, FRAME_MAX);
			memcpy(g->big + len, pkt->iov[k].iov_base, pkt->iov[k].iov_len);
			len += pkt->iov[k].iov_len;
		}
		if (!is_frame(g->big, len, &number)) {
			g->bad++;
		} else if (number - first < 1u << 28) {
			g->bad += (int32_t)(number - *last) <= 0;
			*last = number;
			count++;
		}
	}
	vhu_rx_done(q, &g->burst);
	return count;
}

void guest_send_garbage(struct guest *g, unsigned int pair)
{
	struct vhu_queue *q = vhu_port_txq(g->port, pair);
	struct vhu_raw_desc d = { .addr = 1ULL << 60, .len = 100 };

	q->ops->raw(q, &d, 1, 0);
}

void guest_tear(struct guest *g, unsigned int pair, unsigned int sent, unsigned int taken)
{
	struct vhu_queue *q = vhu_port_txq(g->port, pair);
	unsigned int i;

	for (i = 1; i < taken; i++) {
		struct vring_packed_desc *d =
			&q->packed.desc[(q->packed.avail_idx - sent + i + q->cfg.size) % q->cfg.size];
		bool wrap = d->flags & 1u << VRING_PACKED_DESC_F_AVAIL;

		d->len = 0;
		d->flags = wrap ? d->flags | 1u << VRING_PACKED_DESC_F_USED :
				  d->flags & ~(1u << VRING_PACKED_DESC_F_USED);
	}
}

unsigned int guest_backend_pairs(const struct guest *g)
{
	return (unsigned int)g->port->backend_pairs;
}

uint64_t guest_offered(const struct guest *g)
{
	return g->port->offered;
}

uint64_t guest_acked(const struct guest *g)
{
	return g->port->acked;
}

uint64_t guest_bad_frames(const struct guest *g)
{
	return g->bad;
}

uint64_t guest_violations(const struct guest *g)
{
	uint64_t sum = 0;
	unsigned int i, k;

	for (i = 0; i < 2 * g->port->cfg.pairs; i++)
		for (k = 0; k < VHU_VIOLATIONS; k++)
			sum += g->port->queue[i].stats.violations[k];
	return sum;
}

unsigned int guest_rx_posted(const struct guest *g, unsigned int pair)
{
	return vhu_port_rxq(g->port, pair)->in_flight;
}
