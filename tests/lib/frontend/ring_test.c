/* SPDX-License-Identifier: BSD-3-Clause */
/* Both ring layouts against a device model: random traffic, notifications, back-ends that break the rules. */
#include "device_model.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX_FRAME = 9000, ROUNDS = 20000, BACKLOG = 256 };

struct rig {
	struct vhu_mem mem;
	struct vhu_queue q;
	struct model dev;
	uint64_t random;
};

static uint64_t seed;

static uint32_t below(struct rig *r, uint32_t n)
{
	r->random ^= r->random << 13;
	r->random ^= r->random >> 7;
	r->random ^= r->random << 17;
	return (uint32_t)((r->random >> 16) % n);
}

/* The queues a case runs on: bit by bit packed, indirect, event index, header descriptor, mergeable, small
 * buffers. */
static struct vhu_queue_config config(unsigned int variant, bool rx)
{
	return (struct vhu_queue_config){
		.size = 64,
		.buf_len = variant & 32 ? 256 : 2048,
		.hdr_len = 12,
		.rx_bufs = 1,
		.rx = rx,
		.packed = variant & 1,
		.indirect = variant & 2,
		.event_idx = variant & 4,
		.hdr_desc = variant & 8,
		.mergeable = variant & 16,
	};
}

enum { VARIANTS = 64 };

static void setup(struct rig *r, const struct vhu_queue_config *cfg)
{
	const size_t bytes[2] = { vhu_queue_ring_bytes(cfg), vhu_queue_buf_bytes(cfg) };

	r->random = seed;
	assert_int_equal(vhu_mem_init(&r->mem, bytes, 2, false), 0);
	assert_int_equal(vhu_queue_init(&r->q, cfg, &r->mem, 0, 1), 0);
	model_init(&r->dev, &r->q, &r->mem);
}

static void teardown(struct rig *r)
{
	vhu_queue_free(&r->q);
	vhu_mem_free(&r->mem);
}

static void fill(struct rig *r, uint8_t *data, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		data[i] = (uint8_t)below(r, 256);
}

/* Bytes of a chain, behind each other. */
static uint32_t gather(const struct model_chain *c, uint8_t *out)
{
	uint32_t len = 0;

	for (unsigned int i = 0; i < c->n; i++) {
		assert_true(len + c->part[i].len <= MAX_FRAME + 64);
		memcpy(out + len, c->part[i].p, c->part[i].len);
		len += c->part[i].len;
	}
	return len;
}

static uint32_t scatter(const struct model_chain *c, const uint8_t *data, uint32_t len)
{
	uint32_t done = 0;

	for (unsigned int i = 0; i < c->n && done < len; i++) {
		uint32_t part = len - done < c->part[i].len ? len - done : c->part[i].len;

		assert_true(c->part[i].writable);
		memcpy(c->part[i].p, data + done, part);
		done += part;
	}
	return done;
}

static uint32_t frame_length(struct rig *r)
{
	static const uint32_t odd[] = { 0,   1,	  31,  32,   60,   63,	 64,   65,
					255, 256, 257, 1514, 2048, 2049, 4096, 9000 };

	return below(r, 2) ? odd[below(r, sizeof(odd) / sizeof(odd[0]))] : below(r, MAX_FRAME + 1);
}

/* Sent frames that the device has not seen yet. */
struct backlog {
	uint8_t (*data)[MAX_FRAME];
	struct vhu_frame frame[BACKLOG];
	unsigned int head, n;
};

static void produce(struct rig *r, struct backlog *b)
{
	struct vhu_frame burst[VHU_BURST];
	unsigned int n = 1 + below(r, VHU_BURST), sent;

	if (b->n + n > BACKLOG)
		return;
	for (unsigned int i = 0; i < n; i++) {
		unsigned int slot = (b->head + b->n + i) % BACKLOG;
		struct vhu_frame *f = &b->frame[slot];

		*f = (struct vhu_frame){ .data = b->data[slot], .len = frame_length(r) };
		f->hdr.flags = (uint8_t)below(r, 2);
		f->hdr.csum_start = (uint16_t)below(r, 100);
		fill(r, b->data[slot], f->len < 100 ? f->len : 100);
		burst[i] = *f;
	}
	sent = vhu_tx(&r->q, burst, n);
	assert_true(sent <= n);
	b->n += sent;
}

static void consume(struct rig *r, struct backlog *b, struct model_chain *held, unsigned int *n_held)
{
	static uint8_t got[MAX_FRAME + 64];
	struct model_chain *c = &held[*n_held];
	const struct vhu_frame *f;

	if (*n_held < 32 && model_pop(&r->dev, c)) {
		assert_true(b->n > 0);
		f = &b->frame[b->head];
		assert_int_equal(gather(c, got), f->len + 12);
		assert_memory_equal(got, &f->hdr, 10);
		assert_memory_equal(got + 12, f->data, f->len);
		b->head = (b->head + 1) % BACKLOG;
		b->n--;
		(*n_held)++;
	}
	/* given back in any order, some time */
	if (*n_held && below(r, 3)) {
		unsigned int i = below(r, *n_held);

		model_push(&r->dev, &held[i], 0);
		held[i] = held[--*n_held];
	}
}

static void test_send(void **state)
{
	static struct model_chain held[33];
	struct backlog b;

	b.data = malloc((size_t)BACKLOG * MAX_FRAME);
	assert_non_null(b.data);
	for (unsigned int variant = 0; variant < VARIANTS; variant++) {
		struct vhu_queue_config cfg = config(variant, false);
		unsigned int n_held = 0;
		struct rig r;

		setup(&r, &cfg);
		b.head = b.n = 0;
		for (unsigned int i = 0; i < ROUNDS / 10; i++) {
			if (below(&r, 8) == 0)
				produce(&r, &b);
			consume(&r, &b, held, &n_held);
		}
		while (b.n || n_held) {
			r.random += 12345;
			consume(&r, &b, held, &n_held);
		}
		assert_true(r.q.stats.packets > 100);
		assert_false(r.q.broken);
		r.q.ops->reclaim(&r.q);
		assert_int_equal(r.q.n_free, r.q.cfg.size);
		assert_int_equal(r.q.in_flight, 0);
		teardown(&r);
	}
	free(b.data);
}

/* Chains waiting for used buffers must not starve when a few buffers are free: what is used has to be taken
 * back. */
static void test_long_frame_into_nearly_full_ring(void **state)
{
	static uint8_t data[MAX_FRAME];

	for (unsigned int packed = 0; packed < 2; packed++) {
		struct vhu_queue_config cfg = config(packed, false);
		struct vhu_frame one = { .data = data, .len = 60 }, five = { .data = data, .len = 9000 };
		struct model_chain c;
		struct rig r;

		setup(&r, &cfg);
		for (unsigned int i = 0; i < 62; i++)
			assert_int_equal(vhu_tx(&r.q, &one, 1), 1);
		assert_int_equal(vhu_tx(&r.q, &five, 1), 0);
		while (model_pop(&r.dev, &c))
			model_push(&r.dev, &c, 0);
		assert_int_equal(vhu_tx(&r.q, &five, 1), 1);
		teardown(&r);
	}
}

static void test_frame_no_ring_holds(void **state)
{
	static uint8_t data[MAX_FRAME * 20];

	for (unsigned int variant = 0; variant < 4; variant++) {
		struct vhu_queue_config cfg = config(variant, false);
		struct vhu_frame f[2] = { { .data = data, .len = 64 * 2048 + 1 },
					  { .data = data, .len = 60 } };
		struct model_chain c;
		struct rig r;

		setup(&r, &cfg);
		assert_int_equal(vhu_tx(&r.q, f, 2), 2); /* skipped, not in the way */
		assert_int_equal(r.q.stats.too_big, 1);
		assert_true(model_pop(&r.dev, &c));
		assert_false(model_pop(&r.dev, &c));
		teardown(&r);
	}
}

/* One packet of the device over as many buffers as it takes; false when there are too few. */
static bool deliver(struct rig *r, const uint8_t *data, uint32_t len)
{
	static struct model_chain c[64];
	struct model saved = r->dev;
	uint32_t done = 0, written[64], n = 0;

	do {
		if (n == 64 || !model_pop(&r->dev, &c[n]) || (n && !r->q.cfg.mergeable)) {
			r->dev = saved;
			return false;
		}
		written[n] = scatter(&c[n], data + done, len - done);
		done += written[n++];
	} while (done < len);
	((struct virtio_net_hdr_v1 *)c[0].part[0].p)->num_buffers = (uint16_t)n;
	/* a split used index shows all at once; packed elements: the first one last, as section 2.7.9 wants
	 * it visible */
	for (unsigned int i = 0; i < n; i++)
		model_push(&r->dev, &c[i], written[i]);
	return true;
}

static void take_in(const struct vhu_pkt *pkt, const struct vhu_frame *want)
{
	uint32_t off = 0;

	assert_int_equal(pkt->len, want->len);
	for (unsigned int i = 1; i < pkt->n_iov; i++) {
		assert_memory_equal(pkt->iov[i].iov_base, want->data + 12 + off, pkt->iov[i].iov_len);
		off += (uint32_t)pkt->iov[i].iov_len;
	}
	assert_int_equal(off, want->len);
}

static void receive(struct rig *r, struct backlog *b)
{
	static struct vhu_burst burst;
	unsigned int n = vhu_rx(&r->q, &burst);

	assert_int_equal(n, burst.n);
	for (unsigned int i = 0; i < n; i++) {
		assert_true(b->n > 0);
		take_in(&burst.pkt[i], &b->frame[b->head]);
		b->head = (b->head + 1) % BACKLOG;
		b->n--;
	}
	vhu_rx_done(&r->q, &burst);
}

static void test_receive(void **state)
{
	struct backlog b;

	b.data = malloc((size_t)BACKLOG * MAX_FRAME);
	assert_non_null(b.data);
	for (unsigned int variant = 0; variant < VARIANTS; variant++) {
		struct vhu_queue_config cfg = config(variant, true);
		uint32_t most = cfg.mergeable ? MAX_FRAME - 12 : cfg.buf_len;
		uint64_t delivered = 0;
		struct rig r;

		setup(&r, &cfg);
		b.head = b.n = 0;
		for (unsigned int i = 0; i < ROUNDS / 10; i++) {
			unsigned int slot = (b.head + b.n) % BACKLOG;
			uint32_t len = below(&r, most + 1);

			fill(&r, b.data[slot], 100);
			if (b.n < BACKLOG && deliver(&r, b.data[slot], len + 12)) {
				b.frame[slot] = (struct vhu_frame){ .data = b.data[slot], .len = len };
				b.n++;
				delivered++;
			}
			if (below(&r, 10) == 0)
				receive(&r, &b);
		}
		while (b.n)
			receive(&r, &b);
		assert_true(delivered > 100);
		assert_int_equal(r.q.stats.packets, delivered);
		assert_false(r.q.broken);
		teardown(&r);
	}
	free(b.data);
}

/* A guest that takes 64 KiB without mergeable buffers gives chains of buffers. */
static void test_receive_in_chains(void **state)
{
	static uint8_t data[40000];

	for (unsigned int variant = 0; variant < 16; variant++) {
		struct vhu_queue_config cfg = config(variant, true);
		struct vhu_frame want = { .data = data, .len = sizeof(data) - 12 };
		static struct vhu_burst burst;
		struct rig r;

		cfg.rx_bufs = 20;
		setup(&r, &cfg);
		fill(&r, data, 1000);
		for (unsigned int i = 0; i < 100; i++) {
			assert_true(deliver(&r, data, sizeof(data)));
			assert_int_equal(vhu_rx(&r.q, &burst), 1);
			take_in(&burst.pkt[0], &want);
			vhu_rx_done(&r.q, &burst);
		}
		teardown(&r);
	}
}

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t n;

	return poll(&p, 1, 0) == 1 && read(fd, &n, sizeof(n)) == sizeof(n);
}

static void drain(struct model *dev)
{
	struct model_chain c;

	while (model_pop(dev, &c))
		model_push(dev, &c, 0);
}

/* A device that sleeps has to be woken, one that polls is left alone; through many wraps of the ring. */
static void test_kicks(void **state)
{
	uint8_t data[60] = { 0 };
	struct vhu_frame f[3] = { { .data = data, .len = 60 },
				  { .data = data, .len = 60 },
				  { .data = data, .len = 60 } };

	for (unsigned int variant = 0; variant < 8; variant++) {
		struct vhu_queue_config cfg = config(variant, false);
		struct rig r;

		setup(&r, &cfg);
		for (unsigned int i = 0; i < 70000; i++) {
			bool sleeps = below(&r, 2);

			drain(&r.dev);
			model_want_kick(&r.dev, sleeps);
			assert_true(vhu_tx(&r.q, f, 1 + below(&r, 3)) > 0);
			assert_int_equal(readable(r.q.kick_fd), sleeps);
		}
		teardown(&r);
	}
}

/* A driver that sleeps gets a call for the next buffer; one that is about to sleep learns of those it
 * missed. */
static void test_calls(void **state)
{
	static struct vhu_burst burst;
	static uint8_t data[72];

	for (unsigned int variant = 0; variant < 8; variant++) {
		struct vhu_queue_config cfg = config(variant, true);
		struct rig r;

		setup(&r, &cfg);
		for (unsigned int i = 0; i < 70000; i++) {
			bool missed = below(&r, 2);

			if (missed)
				assert_true(deliver(&r, data, sizeof(data)));
			assert_int_equal(vhu_arm(&r.q), missed);
			model_call_wanted(&r.dev);
			assert_true(deliver(&r, data, sizeof(data)));
			if (!missed)
				assert_true(model_call_wanted(&r.dev));
			vhu_disarm(&r.q);
			assert_int_equal(vhu_rx(&r.q, &burst), 1 + missed);
			vhu_rx_done(&r.q, &burst);
			assert_true(deliver(&r, data, sizeof(data)));
			assert_false(model_call_wanted(&r.dev));
			assert_int_equal(vhu_rx(&r.q, &burst), 1);
			vhu_rx_done(&r.q, &burst);
		}
		teardown(&r);
	}
}

/* Where a new back-end has to go on after the old one died with some chains used, some taken, some not
 * looked at. */
static void test_base(void **state)
{
	static uint8_t data[5000];
	struct vhu_frame f[VHU_BURST];

	for (unsigned int i = 0; i < VHU_BURST; i++)
		f[i] = (struct vhu_frame){ .data = data, .len = i % 3 ? 60 : 5000 };
	for (unsigned int variant = 0; variant < 2; variant++) {
		struct vhu_queue_config cfg = config(variant, false);
		struct rig r;

		setup(&r, &cfg);
		for (unsigned int round = 0; round < 500; round++) {
			unsigned int used = below(&r, 6);
			struct model_chain c;

			assert_true(vhu_tx(&r.q, f, 1 + below(&r, VHU_BURST)) > 0);
			while (used-- && model_pop(&r.dev, &c))
				model_push(&r.dev, &c, 0);
			if (below(&r, 2))
				r.q.ops->reclaim(&r.q);
			if (cfg.packed) {
				uint32_t at = r.dev.used | (uint32_t)r.dev.used_wrap << 15;

				assert_int_equal(r.q.ops->base(&r.q), at << 16 | at);
			} else {
				assert_int_equal(r.q.ops->base(&r.q), r.dev.used);
			}
			drain(&r.dev);
		}
		teardown(&r);
	}
}

/* Each breach is counted under its name, and does not end in somebody else's memory. */
static void breach(unsigned int variant, enum vhu_violation kind, uint16_t id, uint32_t len,
		   uint16_t num_buffers)
{
	struct vhu_queue_config cfg = config(variant | 16, true);
	static struct vhu_burst burst;
	struct model_chain c;
	struct rig r;

	setup(&r, &cfg);
	assert_true(model_pop(&r.dev, &c));
	((struct virtio_net_hdr_v1 *)c.part[0].p)->num_buffers = num_buffers;
	c.id = id;
	model_push(&r.dev, &c, len);
	assert_int_equal(vhu_rx(&r.q, &burst), 0);
	assert_int_equal(r.q.stats.violations[kind], 1);
	assert_int_equal(r.q.broken, kind == VHU_BAD_ID);
	vhu_rx_done(&r.q, &burst);
	teardown(&r);
}

static void test_violations(void **state)
{
	for (unsigned int packed = 0; packed < 2; packed++) {
		breach(packed, VHU_BAD_ID, 64, 72, 1);
		breach(packed, VHU_BAD_ID, 65535, 72, 1);
		breach(packed, VHU_BAD_LENGTH, 0, 11, 1);
		breach(packed, VHU_BAD_LENGTH, 0, 12 + 2048 + 1, 1);
		breach(packed, VHU_BAD_LENGTH, 0, 0xffffffff, 1);
		breach(packed, VHU_BAD_MERGE, 0, 72, 0);
		breach(packed, VHU_BAD_MERGE, 0, 72, 2);
		breach(packed, VHU_BAD_MERGE, 0, 72, 65535);
	}
}

static void test_merged_length(void **state)
{
	for (unsigned int packed = 0; packed < 2; packed++) {
		struct vhu_queue_config cfg = config(packed | 16, true);
		static struct vhu_burst burst;
		struct model_chain c[2];
		struct rig r;

		setup(&r, &cfg);
		assert_true(model_pop(&r.dev, &c[0]) && model_pop(&r.dev, &c[1]));
		((struct virtio_net_hdr_v1 *)c[0].part[0].p)->num_buffers = 2;
		model_push(&r.dev, &c[0], 72);
		model_push(&r.dev, &c[1], 12 + 2048 + 1);
		assert_int_equal(vhu_rx(&r.q, &burst), 0);
		assert_int_equal(r.q.stats.violations[VHU_BAD_LENGTH], 1);
		assert_int_equal(burst.n_ids, 2); /* both go back */
		vhu_rx_done(&r.q, &burst);
		assert_int_equal(r.q.in_flight, 64);
		teardown(&r);
	}
}

static void test_used_twice(void **state)
{
	for (unsigned int packed = 0; packed < 2; packed++) {
		struct vhu_queue_config cfg = config(packed, false);
		uint8_t data[60] = { 0 };
		struct vhu_frame f[2] = { { .data = data, .len = 60 }, { .data = data, .len = 60 } };
		struct model_chain c;
		struct rig r;

		setup(&r, &cfg);
		assert_int_equal(vhu_tx(&r.q, f, 2), 2);
		assert_true(model_pop(&r.dev, &c));
		model_push(&r.dev, &c, 0);
		model_push(&r.dev, &c, 0);
		r.q.ops->reclaim(&r.q);
		assert_true(r.q.broken);
		assert_int_equal(r.q.stats.violations[VHU_BAD_ID], 1);
		assert_int_equal(vhu_tx(&r.q, f, 1), 0);
		teardown(&r);
	}
}

static void test_used_index_jumps(void **state)
{
	struct vhu_queue_config cfg = config(0, true);
	static struct vhu_burst burst;
	struct rig r;

	setup(&r, &cfg);
	r.q.split.used->idx = 65;
	assert_int_equal(vhu_rx(&r.q, &burst), 0);
	assert_int_equal(r.q.stats.violations[VHU_BAD_INDEX], 1);
	assert_true(r.q.broken);
	teardown(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_send),
		cmocka_unit_test(test_long_frame_into_nearly_full_ring),
		cmocka_unit_test(test_frame_no_ring_holds),
		cmocka_unit_test(test_receive),
		cmocka_unit_test(test_receive_in_chains),
		cmocka_unit_test(test_kicks),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_base),
		cmocka_unit_test(test_violations),
		cmocka_unit_test(test_merged_length),
		cmocka_unit_test(test_used_twice),
		cmocka_unit_test(test_used_index_jumps),
	};
	const char *again = getenv("TEST_SEED");

	seed = again ? strtoull(again, NULL, 0) : (uint64_t)time(NULL) | 1;
	printf("TEST_SEED=%llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
