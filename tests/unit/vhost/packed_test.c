/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The proof of packed positions against a model: kill the device before any store, let the driver go on, ask,
 * and if there is an answer every buffer must come back exactly once, in place. Seed: TEST_SEED.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "packed_model.h"
#include "vhost/vhost_private.h"

#define BURST 12

static uint64_t seed, random_state;

static uint32_t pick(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 16) % below;
}

static int setup(void **state)
{
	const char *s = getenv("TEST_SEED");

	seed = s ? strtoull(s, NULL, 0) : (uint64_t)time(NULL) * 2654435761u | 1;
	random_state = seed;
	print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
	return 0;
}

struct side {
	void (*burst)(struct model *m, unsigned int max);
	bool from_guest;
	uint16_t max_chain;
	bool clears_next;
};

/* A burst never goes around a ring: the proof holds for any size, but would refuse too often. */
static uint16_t ring_size(const struct side *s)
{
	uint16_t least = BURST * s->max_chain + 1;

	return least + (uint16_t)pick(MODEL_MAX - least);
}

static void driver_turn(struct model *m, const struct side *s)
{
	unsigned int adds = pick(m->n + 1);

	driver_reap(m);
	while (adds--)
		if (!driver_add(m, 1 + pick(s->max_chain)))
			break;
	assert_null(m->wrong);
}

static void work(struct model *m, const struct side *s, unsigned int turns)
{
	while (turns--) {
		driver_turn(m, s);
		s->burst(m, 1 + pick(BURST));
	}
}

static int ask(const struct model *m, uint16_t told, uint16_t saved, enum ring_state state, bool from_guest,
	       struct packed_proof *ret)
{
	return packed_prove(m->ring, m->n, told, (struct ring_saved){ .pos = saved, .state = state },
			    from_guest, ret);
}

/* Go on from an answer: everything that is out has to come back. */
static void resume(struct model *m, const struct side *s, const struct packed_proof *p)
{
	unsigned int turns = 0;

	if (p->torn)
		packed_complete(m->ring, p);
	m->killed = false;
	m->budget = -1;
	m->pos = p->pos;
	work(m, s, pick(4));
	while (driver_outstanding(m)) {
		s->burst(m, BURST);
		driver_reap(m);
		if (m->wrong || ++turns > 100)
			fail_msg("seed %llu: %s", (unsigned long long)seed,
				 m->wrong ? m->wrong : "a buffer is lost");
	}
}

/* Returns the share of proofs in per mille. */
static unsigned int kill_often(const struct side *s, unsigned int rounds)
{
	unsigned int proven = 0, i;

	for (i = 0; i < rounds; i++) {
		uint16_t told = 0x8000;
		struct packed_proof p;
		struct model m;

		model_reset(&m, ring_size(s));
		m.clears_next = s->clears_next;
		work(&m, s, pick(30));
		if (pick(2)) {
			told = m.pos; /* an orderly stop, and on */
			work(&m, s, pick(30));
		}
		m.budget = pick(40);
		while (!m.killed)
			work(&m, s, 1);
		if (pick(2))
			driver_turn(&m, s);
		if (ask(&m, told, m.pos, RING_RUNNING, s->from_guest, &p) < 0)
			continue;
		proven++;
		resume(&m, s, &p);
	}
	print_message("%u of 1000 proven\n", proven * 1000 / rounds);
	return proven * 1000 / rounds;
}

static void test_kill_receive(void **state)
{
	const struct side s = { device_receive, true, 1 };

	/* Whatever the moment: first marks are completed, only an id that was used again leaves a doubt. */
	assert_in_range(kill_often(&s, 30000), 960, 1000);
}

static void test_kill_receive_chains(void **state)
{
	const struct side s = { device_receive, true, 3 };

	assert_in_range(kill_often(&s, 30000), 960, 1000);
}

/* With another library: nothing wrong, only fewer answers. */
static void test_kill_receive_clearing(void **state)
{
	const struct side s = { device_receive, true, 3, .clears_next = true };

	assert_in_range(kill_often(&s, 30000), 300, 1000);
}

static void test_kill_send(void **state)
{
	const struct side s = { device_send, false, 1 };

	/* Between the marks of a group it is refused: long in the model, a few instructions in truth. */
	assert_in_range(kill_often(&s, 30000), 600, 1000);
}

static void test_kill_send_chains(void **state)
{
	const struct side s = { device_send, false, 3 };

	assert_in_range(kill_often(&s, 30000), 400, 1000);
}

/* Killed between bursts: always proven, and the answer is where it was. */
static void test_kill_between_bursts(void **state)
{
	unsigned int i;

	for (i = 0; i < 20000; i++) {
		const struct side sides[] = {
			{ device_receive, true, 1 }, { device_receive, true, 3 }, { device_send, false, 1 },
			{ device_send, false, 3 },
		};
		const struct side *s = &sides[pick(4)];
		struct packed_proof p;
		struct model m;

		model_reset(&m, ring_size(s));
		work(&m, s, 1 + pick(40));
		driver_turn(&m, s);
		/* What the front-end remembers does not matter, unless it is the right one by chance. */
		assert_int_equal(ask(&m, m.pos, m.pos, RING_RUNNING, s->from_guest, &p), 0);
		assert_int_equal(p.pos, m.pos);
		assert_false(p.torn);
		/* An orderly stop: the front-end knows, we have recorded it, or (another host) have not. */
		assert_int_equal(ask(&m, m.pos, m.pos, RING_TOLD, s->from_guest, &p), 0);
		assert_int_equal(p.pos, m.pos);
		resume(&m, s, &p);
	}
}

/* A ring that the driver has just made is always proven, whatever is remembered of an earlier one. */
static void test_fresh_ring(void **state)
{
	unsigned int i, refused = 0;

	for (i = 0; i < 30000; i++) {
		const struct side s = { device_receive, pick(2), 1 + pick(3) };
		struct packed_proof p;
		struct model m;
		uint16_t old;
		int r;

		model_reset(&m, ring_size(&s));
		work(&m, &s, pick(40));
		old = m.pos;
		model_reset(&m, m.n);
		if (pick(2))
			while (driver_add(&m, 1 + pick(s.max_chain)))
				;
		else
			driver_turn(&m, &s);
		assert_int_equal(ask(&m, 0x8000, 0, RING_NONE, s.from_guest, &p), 0);
		assert_int_equal(p.pos, 0x8000);
		assert_int_equal(ask(&m, 0x8000, old, RING_TOLD, s.from_guest, &p), 0);
		assert_int_equal(p.pos, 0x8000);
		/* Made while we were away: two memories; a wrong one is refused, not taken. */
		r = ask(&m, 0x8000, old, RING_RUNNING, s.from_guest, &p);
		refused += r < 0 && s.max_chain == 1 && m.n >= 2 * VHU_BURST;
		if (r == 0)
			assert_int_equal(p.pos, 0x8000);
		/* After the guest's reset there is nothing to fear from the first memory. */
		r = ask(&m, 0x8000, old, RING_DOUBTED, s.from_guest, &p);
		assert_true(r == 0 || m.n < 2 * VHU_BURST * s.max_chain);
		if (r == 0)
			assert_int_equal(p.pos, 0x8000);
	}
	assert_in_range(refused, 0, 30000 / 100);
}

/* Without a record of our own an old word of the front-end is refused. */
static void test_old_word(void **state)
{
	unsigned int i, refused = 0, moved = 0;

	for (i = 0; i < 30000; i++) {
		const struct side s = { device_receive, true, 1 };
		struct packed_proof p;
		struct model m;
		uint16_t told;
		int r;

		model_reset(&m, ring_size(&s));
		work(&m, &s, pick(20));
		told = m.pos;
		work(&m, &s, 1 + pick(40));
		driver_turn(&m, &s);
		moved += told != m.pos;
		/* Not reset after all: only a ring that stands at its beginning passes for a fresh one. */
		if (ask(&m, 0x8000, told, RING_DOUBTED, s.from_guest, &p) == 0)
			assert_int_equal(m.pos, 0x8000);
		r = ask(&m, told, 0, RING_NONE, s.from_guest, &p);
		if (r == 0) {
			assert_int_equal(p.pos, m.pos);
			resume(&m, &s, &p);
		}
		refused += r < 0;
	}
	assert_in_range(refused, moved, 30000);
}

/* Garbage: an answer is inside the ring, nothing is read outside (ASan), nothing hangs. */
static void test_garbage(void **state)
{
	unsigned int i, k;

	for (i = 0; i < 20000; i++) {
		uint16_t n = 1 + pick(300);
		struct vring_packed_desc *ring = malloc(n * sizeof(*ring));
		struct packed_proof p;

		assert_non_null(ring);
		for (k = 0; k < n; k++)
			ring[k] = (struct vring_packed_desc){
				.addr = pick(3),
				.len = pick(3),
				.id = (uint16_t)pick(4),
				.flags = (uint16_t)pick(65536),
			};
		if (packed_prove(ring, n, (uint16_t)pick(65536),
				 (struct ring_saved){ (uint16_t)pick(65536), (uint8_t)pick(4) }, pick(2),
				 &p) == 0) {
			assert_in_range(p.pos & 0x7fff, 0, n - 1);
			if (p.torn)
				packed_complete(ring, &p);
		}
		free(ring);
	}
}

static void test_edges(void **state)
{
	struct vring_packed_desc ring[2] = { 0 };
	struct packed_proof p;
	struct ring_saved none = { .state = RING_NONE };

	assert_int_equal(packed_prove(ring, 0, 0x8000, none, true, &p), -ENODATA);
	assert_int_equal(packed_prove(ring, 2, 0x8002, none, true, &p), -ENODATA); /* outside */
	assert_int_equal(packed_prove(ring, 2, 0x8000, none, true, &p), 0);
	assert_int_equal(p.pos, 0x8000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kill_receive),
		cmocka_unit_test(test_kill_receive_chains),
		cmocka_unit_test(test_kill_receive_clearing),
		cmocka_unit_test(test_kill_send),
		cmocka_unit_test(test_kill_send_chains),
		cmocka_unit_test(test_kill_between_bursts),
		cmocka_unit_test(test_fresh_ring),
		cmocka_unit_test(test_old_word),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_edges),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
