/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames through a port and back, in every ring layout; queues that come and go; what the status says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "bed.h"
#include "echo.h"
#include "guest.h"

#define FRAMES 3000

static void run_layout(const struct guest_options *layout, uint32_t len)
{
	unsigned int buffers = bed_buffers();
	struct port_spec spec = bed_spec("vm");
	struct guest_options o = *layout;
	struct vhu_status st;
	struct vhu_port *p;
	struct guest *g;

	spec.mode = o.server ? PORT_CLIENT : PORT_SERVER;
	spec.packed = o.packed;
	spec.rx_checksum = spec.rx_tso = o.large;
	spec.queues = o.pairs ? o.pairs : 1;
	o.path = spec.socket;
	bed_forget();
	if (o.server) {
		g = guest_open(&o);
		p = bed_port(&spec);
	} else {
		p = bed_port(&spec);
		g = guest_open(&o);
	}
	bed_worker_start(p, spec.queues);
	guest_meet(g);
	guest_start(g);
	bed_wait(VHU_READY);
	for (unsigned int i = 0; i < spec.queues; i++)
		echo(g, i, FRAMES / (len > 2000 ? 20 : 1), len);
	vhu_port_status(p, &st);
	assert_int_equal(st.state, PORT_ACTIVE);
	assert_int_equal(st.packed, o.packed);
	assert_int_equal(st.mergeable, o.mergeable);
	assert_int_equal(st.queues_enabled, spec.queues);
	assert_int_equal(st.vring_size, o.size ? o.size : 256);
	assert_int_equal(st.bad_chains, 0);
	guest_close(g);
	bed_wait(VHU_DISCONNECTED);
	vhu_port_status(p, &st);
	/* A client may have connected again before the listening socket was closed. */
	assert_true(st.state == PORT_ABSENT || (o.server && st.state == PORT_ATTACHED));
	assert_int_equal(bed_worker_malformed(), 0);
	bed_worker_stop();
	vhu_port_destroy(p);
	assert_int_equal(bed_buffers(), buffers);
}

static void test_split(void **state)
{
	run_layout(&(struct guest_options){ .server = true }, 60);
	run_layout(&(struct guest_options){ .server = false }, 1514);
	run_layout(&(struct guest_options){ .server = true, .event_idx = true }, 60);
	run_layout(&(struct guest_options){ .server = true, .indirect = true, .hdr_desc = true }, 300);
	run_layout(&(struct guest_options){ .server = true, .hdr_desc = true }, 300);
}

static void test_packed(void **state)
{
	run_layout(&(struct guest_options){ .server = true, .packed = true }, 60);
	run_layout(&(struct guest_options){ .server = false, .packed = true }, 1514);
	run_layout(&(struct guest_options){ .server = true, .packed = true, .event_idx = true }, 60);
	run_layout(&(struct guest_options){ .server = true, .packed = true, .indirect = true }, 300);
	run_layout(&(struct guest_options){ .server = true, .packed = true, .hdr_desc = true }, 300);
}

/* Frames that need several buffers in both directions: chained mbufs, merged buffers. */
static void test_long_frames(void **state)
{
	struct guest_options o = { .server = true, .mergeable = true, .buf_len = 512, .size = 1024 };

	run_layout(&o, 1514);
	run_layout(&o, 9000);
	o.packed = true;
	run_layout(&o, 1514);
	run_layout(&o, 9000);
	o.indirect = true;
	run_layout(&o, 9000);
}

/*
 * A guest that takes 64 KiB without mergeable buffers makes chains, or tables, for that. Short frames in bursts must
 * not be put into the descriptors of one chain, nor over a table.
 */
static void test_long_chains(void **state)
{
	struct guest_options o = { .server = true, .large = true, .size = 1024 };

	for (unsigned int i = 0; i < 4; i++) {
		o.packed = i & 1;
		o.indirect = i & 2;
		run_layout(&o, 60);
		run_layout(&o, 1514);
	}
}

static void test_queues(void **state)
{
	run_layout(&(struct guest_options){ .server = true, .pairs = 4 }, 60);
	run_layout(&(struct guest_options){ .server = true, .pairs = 3, .packed = true }, 60);
}

/* VRING_ENABLE decides, not the number of queues that were set up. */
static void test_enable(void **state)
{
	struct port_spec spec = bed_spec("vm");
	struct guest_options o = { .path = spec.socket, .server = true, .pairs = 4 };
	struct vhu_status st;
	struct vhu_port *p;
	struct vhu_event ev;
	struct guest *g;
	unsigned int i;

	spec.queues = 4;
	bed_forget();
	g = guest_open(&o);
	p = bed_port(&spec);
	bed_worker_start(p, 4);
	guest_meet(g);
	guest_start(g);
	bed_wait(VHU_READY);
	bed_forget();
	guest_enable(g, 1);
	ev = bed_wait(VHU_QUEUE);
	assert_int_equal(ev.port, 7);
	assert_int_equal(ev.queue, 2);
	assert_false(ev.enabled);
	for (i = 0; i < 4; i++) {
		assert_int_equal(vhu_port_queue(p, i)->rx_ready, i == 0);
		assert_int_equal(vhu_port_queue(p, i)->tx_ready, i == 0);
		assert_int_equal(vhu_port_queue(p, i)->index, i);
		assert_int_equal(vhu_port_queue(p, i)->port, 7);
	}
	assert_null(vhu_port_queue(p, 4));
	vhu_port_status(p, &st);
	assert_int_equal(st.queues_enabled, 1);
	echo(g, 0, FRAMES, 60);
	guest_enable(g, 4);
	for (i = 0; i < 4; i++)
		echo(g, i, FRAMES, 60);
	bed_worker_stop();
	vhu_port_destroy(p);
	guest_close(g);
}

/* The front-end may not have more queues than the port; the library alone would say 128. */
static void test_queue_limit(void **state)
{
	struct port_spec spec = bed_spec("vm");
	struct guest_options o = { .path = spec.socket, .server = true, .pairs = 4 };
	struct vhu_port *p;
	struct guest *g;

	spec.queues = 2;
	bed_forget();
	g = guest_open(&o);
	p = bed_port(&spec);
	guest_meet(g);
	guest_start(g);
	assert_int_equal(guest_backend_pairs(g), 2);
	bed_wait(VHU_READY);
	vhu_port_destroy(p);
	guest_close(g);
}

static void test_mtu(void **state)
{
	struct port_spec spec = bed_spec("vm");
	struct guest_options o = { .path = spec.socket, .server = true, .mtu = BED_MTU };
	struct vhu_status st;
	struct vhu_event ev;
	struct vhu_port *p;
	struct guest *g;

	bed_forget();
	g = guest_open(&o);
	p = bed_port(&spec);
	guest_meet(g);
	guest_start(g);
	ev = bed_wait(VHU_READY);
	assert_int_equal(ev.mtu, BED_MTU);
	assert_true(ev.features & 1ULL << VIRTIO_NET_F_MTU);
	vhu_port_status(p, &st);
	assert_int_equal(st.mtu, BED_MTU);
	guest_close(g);
	bed_wait(VHU_STOPPED);
	assert_int_equal(bed_count(VHU_MTU_MISMATCH), 0);

	o.mtu = 1500;
	g = guest_open(&o);
	guest_meet(g);
	guest_start(g);
	ev = bed_wait(VHU_MTU_MISMATCH);
	assert_int_equal(ev.mtu, 1500);
	guest_close(g);
	bed_wait(VHU_STOPPED);

	o.mtu = 0; /* not told: nothing to compare */
	g = guest_open(&o);
	guest_meet(g);
	guest_start(g);
	ev = bed_wait(VHU_READY);
	assert_int_equal(ev.mtu, 0);
	guest_close(g);
	bed_wait(VHU_STOPPED);
	assert_int_equal(bed_count(VHU_MTU_MISMATCH), 0);
	vhu_port_destroy(p);
}

/* At the end of a migration the library puts a frame of its own in front: it arrives, and is no bad chain. */
static void run_rarp(bool packed)
{
	struct port_spec spec = bed_spec("vm");
	struct guest_options o = { .path = spec.socket, .server = true, .packed = packed };
	struct vhu_status st;
	struct vhu_port *p;
	struct guest *g;
	double until = now() + 10;
	uint32_t last = 0;

	spec.packed = packed;
	bed_forget();
	g = guest_open(&o);
	p = bed_port(&spec);
	guest_meet(g);
	guest_start(g);
	bed_wait(VHU_READY);
	bed_worker_start(p, 1);
	guest_rarp(g);
	while (bed_worker_frames() == 0 && now() < until)
		sched_yield();
	assert_int_equal(bed_worker_frames(), 1);
	while (guest_bad_frames(g) == 0 && now() < until) {
		guest_receive(g, 0, 0, &last);
		sched_yield();
	}
	assert_int_equal(guest_bad_frames(g), 1); /* it is none of the guest's own */
	bed_worker_stop();
	vhu_port_queue(p, 0)->ops->pending(vhu_port_queue(p, 0));
	vhu_port_status(p, &st);
	assert_int_equal(st.bad_chains, 0);
	assert_int_equal(vhu_port_announce(p), -ENOTSUP);
	vhu_port_destroy(p);
	guest_close(g);
}

static void test_rarp(void **state)
{
	run_rarp(false);
	run_rarp(true);
}

/*
 * The library writes behind the array if it is asked for one packet of a packed ring and has that frame to
 * insert.
 */
static void test_rarp_alone(void **state)
{
	struct port_spec spec = bed_spec("vm");
	struct guest_options o = { .path = spec.socket, .server = true, .packed = true };
	struct rte_mbuf *pkts[3] = { NULL };
	struct port_queue *q;
	struct vhu_port *p;
	struct guest *g;

	spec.packed = true;
	bed_forget();
	g = guest_open(&o);
	p = bed_port(&spec);
	q = vhu_port_queue(p, 0);
	guest_meet(g);
	guest_start(g);
	bed_wait(VHU_READY);
	guest_rarp(g);
	assert_int_equal(guest_send(g, 0, 2, 0, 60), 2);
	guest_replug(g); /* an answer: the one before has been handled */
	assert_int_equal(q->ops->rx(q, pkts, 1), PORT_RX_MIN); /* it, and the first */
	rte_pktmbuf_free_bulk(pkts, 2);
	assert_null(pkts[2]);
	assert_int_equal(q->ops->rx(q, pkts, 3), 1);
	rte_pktmbuf_free(pkts[0]);
	vhu_port_destroy(p);
	guest_close(g);
}

/* A chain outside guest memory: counted, and no reason for a worker to stay awake. */
static void test_garbage(void **state)
{
	struct port_spec spec = bed_spec("vm");
	struct guest_options o = { .path = spec.socket, .server = true };
	struct port_queue *q;
	struct rte_mbuf *pkts[32];
	struct vhu_status st;
	struct vhu_port *p;
	struct guest *g;

	bed_forget();
	g = guest_open(&o);
	p = bed_port(&spec);
	q = vhu_port_queue(p, 0);
	assert_int_equal(q->ops->rx(q, pkts, 32), 0); /* not ready */
	assert_int_equal(q->ops->tx(q, pkts, 0), 0);
	assert_int_equal(q->ops->pending(q), 0);
	guest_meet(g);
	guest_start(g);
	bed_wait(VHU_READY);
	assert_int_equal(q->ops->rx(q, pkts, 32), 0);
	assert_int_equal(q->ops->pending(q), 0);
	assert_int_equal(guest_send(g, 0, 5, 0, 60), 5);
	assert_int_equal(q->ops->pending(q), 5);
	assert_int_equal(q->ops->rx(q, pkts, 32), 5);
	rte_pktmbuf_free_bulk(pkts, 5);
	assert_int_equal(q->ops->pending(q), 0);
	guest_send_garbage(g, 0);
	assert_int_equal(q->ops->rx(q, pkts, 32), 0);
	assert_int_equal(q->ops->pending(q), 1); /* it might have come since */
	assert_int_equal(q->ops->rx(q, pkts, 32), 0);
	assert_int_equal(q->ops->pending(q), 0);
	assert_int_equal(q->ops->pending(q), 0);
	vhu_port_status(p, &st);
	assert_int_equal(st.bad_chains, 1);
	vhu_port_destroy(p);
	guest_close(g);
}

int main(void)
{
#define T(fn) cmocka_unit_test_teardown(fn, bed_cleanup)
	const struct CMUnitTest tests[] = {
		T(test_split),	 T(test_packed), T(test_long_frames), T(test_long_chains),
		T(test_queues),	 T(test_enable), T(test_queue_limit), T(test_mtu),
		T(test_rarp),	 T(test_rarp_alone), T(test_garbage),
	};

	return cmocka_run_group_tests(tests, bed_start, bed_stop);
}
