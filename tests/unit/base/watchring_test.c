/* SPDX-License-Identifier: BSD-3-Clause */
/* Rings of records: order, room, loss, and a reader that lies. */
#include "../unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/watchring.h"

#define SIZE WATCH_RING_MIN

struct rig {
	struct watch_memory *mem;
	struct watch_writer w;
	struct watch_reader r;
};

static void rig_new(struct rig *rig)
{
	size_t bytes = watch_memory_bytes(1, SIZE);

	assert_int_equal(posix_memalign((void **)&rig->mem, 64, bytes), 0);
	memset(rig->mem, 0, bytes);
	rig->w = (struct watch_writer){ .ring = watch_ring_of(rig->mem, 0, SIZE), .size = SIZE };
	rig->r = (struct watch_reader){ .ring = watch_ring_of(rig->mem, 0, SIZE), .size = SIZE };
}

static bool put(struct rig *rig, uint32_t n, uint32_t len)
{
	struct watch_record *r = watch_reserve(&rig->w, len);

	if (!r)
		return false;
	r->len = len + 1;
	r->mark = n;
	memset(r + 1, (int)n, len);
	watch_commit(&rig->w);
	return true;
}

static bool get(struct rig *rig, uint32_t n, uint32_t len)
{
	struct watch_record r;
	const uint8_t *data = watch_next(&rig->r, &r);

	if (!data)
		return false;
	assert_int_equal(r.mark, n);
	assert_int_equal(r.captured, len);
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(data[i], (uint8_t)n);
	watch_done(&rig->r, &r);
	return true;
}

/* Lengths that meet the end of the ring in every way. */
static void records_come_in_order_and_whole(void **state)
{
	uint32_t in = 0, out = 0;
	struct rig rig;

	rig_new(&rig);
	while (out < 20000) {
		while (in < out + 40 && put(&rig, in, in * 7 % 1501))
			in++;
		assert_true(get(&rig, out, out * 7 % 1501));
		out++;
	}
	while (out < in)
		assert_true(get(&rig, out, out * 7 % 1501)), out++;
	assert_false(get(&rig, 0, 0));
	assert_int_equal(watch_lost(&rig.r), 0);
	free(rig.mem);
}

static void what_finds_no_room_is_lost_and_counted(void **state)
{
	uint32_t n = 0, lost = 0;
	struct rig rig;

	rig_new(&rig);
	while (put(&rig, n, 1000))
		n++;
	assert_in_range(n, SIZE / 1100, SIZE / 1000);
	for (; lost < 10; lost++)
		assert_false(put(&rig, 0, 1000));
	assert_false(put(&rig, 0, SIZE)); /* never fits */
	assert_int_equal(watch_lost(&rig.r), lost + 2);
	for (uint32_t i = 0; i < n; i++)
		assert_true(get(&rig, i, 1000));
	assert_true(put(&rig, 7, 1000));
	assert_true(get(&rig, 7, 1000));
	free(rig.mem);
}

/* It may write all of the memory; guards behind it show that the writer stays inside. */
static void a_reader_that_lies_harms_itself_only(void **state)
{
	size_t bytes = watch_memory_bytes(1, SIZE);
	struct rig rig;
	uint8_t *guard;

	rig_new(&rig);
	rig.mem = realloc(rig.mem, bytes + 4096);
	assert_non_null(rig.mem);
	rig.w.ring = rig.r.ring = watch_ring_of(rig.mem, 0, SIZE);
	guard = (uint8_t *)rig.mem + bytes;
	memset(guard, 0xa5, 4096);
	srandom(1);
	for (unsigned int i = 0; i < 200000; i++) {
		uint8_t *any = (uint8_t *)rig.w.ring + (size_t)random() % watch_ring_bytes(SIZE);

		put(&rig, i, (uint32_t)random() % 3000);
		*any = (uint8_t)random();
		rig.w.ring->tail = rig.w.head - (uint64_t)random() % (2 * SIZE);
		if (i % 3 == 0)
			rig.w.ring->tail = (uint64_t)random() << 32;
	}
	for (unsigned int i = 0; i < 4096; i++)
		assert_int_equal(guard[i], 0xa5);
	free(rig.mem);
}

/* And a ring full of nonsense ends the reading. */
static void nonsense_reads_as_nothing_or_within_bounds(void **state)
{
	struct watch_record r;
	struct rig rig;

	rig_new(&rig);
	srandom(2);
	for (unsigned int i = 0; i < 20000; i++) {
		for (unsigned int k = 0; k < 128; k++)
			rig.r.ring->data[k] = (uint8_t)random();
		rig.r.tail = 0;
		rig.r.ring->head = (uint64_t)random() % (2 * SIZE);
		for (unsigned int n = 0; n < 4; n++) {
			const uint8_t *data = watch_next(&rig.r, &r);

			if (!data)
				break;
			assert_true(data + r.captured <= rig.r.ring->data + SIZE);
			watch_done(&rig.r, &r);
		}
	}
	free(rig.mem);
}

/* A reader that may not write the ring: there is room when the owner has taken over what it says. */
static void a_reader_tells_elsewhere(void **state)
{
	struct watch_tail told = { 0 };
	struct watch_record r;
	struct rig rig;
	uint32_t n = 0, read = 0;

	rig_new(&rig);
	rig.r.told = &told;
	while (put(&rig, n, 1000))
		n++;
	while (watch_next(&rig.r, &r)) {
		assert_int_equal(r.mark, read++);
		watch_done(&rig.r, &r);
	}
	assert_int_equal(read, n);
	assert_int_equal(rig.r.ring->tail, 0);
	assert_false(put(&rig, n, 1000));
	watch_take_tail(rig.r.ring, &told);
	assert_true(put(&rig, n, 1000));
	assert_non_null(watch_next(&rig.r, &r));
	assert_int_equal(r.mark, n);
	told.tail = UINT64_MAX / 2; /* whoever lies gets no more */
	watch_take_tail(rig.r.ring, &told);
	assert_false(put(&rig, n, 1000));
	free(rig.mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_come_in_order_and_whole),
		cmocka_unit_test(what_finds_no_room_is_lost_and_counted),
		cmocka_unit_test(a_reader_that_lies_harms_itself_only),
		cmocka_unit_test(nonsense_reads_as_nothing_or_within_bounds),
		cmocka_unit_test(a_reader_tells_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
