/* SPDX-License-Identifier: BSD-3-Clause */
/* Notifications, restarts of the back-end, and back-ends that break the rules, on both ring layouts. */
#include "ring_rig.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t n;

	return poll(&p, 1, 0) == 1 && read(fd, &n, sizeof(n)) == sizeof(n);
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
		cmocka_unit_test(test_kicks),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_base),
		cmocka_unit_test(test_violations),
		cmocka_unit_test(test_merged_length),
		cmocka_unit_test(test_used_twice),
		cmocka_unit_test(test_used_index_jumps),
	};

	rig_seed();
	return cmocka_run_group_tests_name("ring-rules", tests, NULL, NULL);
}
