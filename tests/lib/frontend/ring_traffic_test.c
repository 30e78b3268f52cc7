/* SPDX-License-Identifier: BSD-3-Clause */
/* Both ring layouts against a device model: random frames, all of them, in order, byte for byte. */
#include "ring_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROUNDS = 2000, BACKLOG = 256 };

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
		for (unsigned int i = 0; i < ROUNDS; i++) {
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
		for (unsigned int i = 0; i < ROUNDS; i++) {
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_send),
		cmocka_unit_test(test_long_frame_into_nearly_full_ring),
		cmocka_unit_test(test_frame_no_ring_holds),
		cmocka_unit_test(test_receive),
		cmocka_unit_test(test_receive_in_chains),
	};

	rig_seed();
	return cmocka_run_group_tests_name("ring-traffic", tests, NULL, NULL);
}
