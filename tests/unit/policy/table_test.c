/* SPDX-License-Identifier: BSD-3-Clause */
/* The bucket table, the queue of numbers behind a grace period, the name table, memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "policy/names.h"
#include "policy/table.h"
#include "policy_world.h"
#include "base/rcu.h"

#define KEYS 512

struct naive {
	bool used;
	uint64_t key;
	uint32_t tag, val, slot;
};

static void both_match(const struct table *t, uint64_t key, uint32_t tag, uint32_t want)
{
	uint32_t home = table_home(&t->view, key, tag);

	assert_int_equal(table_find(t, key, tag), want);
#ifdef TABLE_AVX2
	if (__builtin_cpu_supports("avx2"))
		assert_int_equal(table_find_at(&t->view, home, key, tag, table_match_avx2), want);
#endif
	assert_int_equal(table_find_at(&t->view, home, key, tag, table_match), want);
}

static void compare(const struct table *t, const struct naive *n)
{
	for (unsigned int i = 0; i < KEYS; i++) {
		both_match(t, n[i].key, n[i].tag, n[i].used ? n[i].val : TABLE_MISS);
		if (n[i].used) {
			assert_int_equal(table_slot(t, n[i].key, n[i].tag), n[i].slot);
			assert_int_equal(table_value(t, n[i].slot), n[i].val);
		} else {
			assert_int_equal(table_slot(t, n[i].key, n[i].tag), TABLE_NONE);
		}
	}
}

/* Full to 7/8: chains over many buckets; with readers (held slots) and without. */
static void oracle(void **state)
{
	uint64_t rnd = world_seed();

	for (int readers = 0; readers < 2; readers++) {
		struct naive n[KEYS] = { 0 };
		uint32_t count = 0, limit;
		struct table t;

		assert_int_equal(table_init(&t, 200, readers, -1), 0);
		limit = t.limit;
		assert_int_equal(limit, 448); /* 512 slots */
		for (unsigned int i = 0; i < KEYS; i++) {
			n[i].key = world_random(&rnd) | 1;
			n[i].tag = (uint32_t)world_random(&rnd) & TABLE_TAG;
			if (i % 8 == 7) { /* the same key but for the tag */
				n[i].key = n[i - 1].key;
				n[i].tag = n[i - 1].tag ^ 1;
			}
		}
		for (unsigned int step = 0; step < 20000; step++) {
			struct naive *a = &n[world_random(&rnd) % KEYS];
			bool grow = step % 5000 < 3000;

			if (!a->used && (grow || world_random(&rnd) % 4 == 0)) {
				int r = table_reserve(&t, 1);

				assert_int_equal(r, count < limit ? 0 : -ENOSPC);
				if (r < 0)
					continue;
				a->val = (uint32_t)world_random(&rnd) & 0x7fffffff;
				a->slot = table_insert(&t, a->key, a->tag, a->val);
				a->used = true;
				count++;
			} else if (a->used && world_random(&rnd) % 2) {
				a->val = (uint32_t)world_random(&rnd) & 0x7fffffff;
				table_set_value(&t, a->slot, a->val);
			} else if (a->used && (!grow || world_random(&rnd) % 8 == 0)) {
				table_remove(&t, a->slot);
				a->used = false;
				count--;
			}
			if (step % 64 == 0)
				compare(&t, n);
		}
		compare(&t, n);
		for (unsigned int i = 0; i < KEYS; i++)
			if (n[i].used)
				table_remove(&t, n[i].slot);
		/* The marks of full buckets have gone with the entries. */
		assert_int_equal(t.count, 0);
		for (uint32_t i = 0; i <= t.view.mask; i++) {
			assert_int_equal(t.passed[i], 0);
			assert_int_equal(t.view.buckets[i].aux[0] & TABLE_OVERFLOW, 0);
		}
		table_fini(&t);
	}
}

/* ---- spread ---- */

#define SPREAD 100000u

/*
 * Keys as networks have them: consecutive addresses in one, few and many subnets, at strides, MACs of one
 * vendor.
 */
static uint64_t pattern(unsigned int which, uint32_t i)
{
	const uint64_t four = UINT64_C(1) << 63, net = 10u << 24;
	uint64_t mac = 0x0102;

	switch (which) {
	case 0:
		return four | UINT64_C(5000) << 32 | (net + i);
	case 1:
		return four | (uint64_t)(5000 + i / 4000) << 32 | (net + i % 4000);
	case 2:
		return four | (uint64_t)(5000 + i % 250) << 32 | (net + i / 250);
	case 3:
		return four | (uint64_t)(4096 + i / 256 * 256) << 32 | (net + i % 256 * 256);
	case 4:
		mac |= (uint64_t)(i % 4000 / 256) << 32 | (uint64_t)(i % 256) << 40;
		return mac | (uint64_t)(5000 + i / 4000) << 48;
	default:
		mac |= (uint64_t)(i / 65536) << 24 | (uint64_t)(i / 256 % 256) << 32 |
		       (uint64_t)(i % 256) << 40;
		return mac | UINT64_C(5000) << 48;
	}
}

/* At the planned load a lookup stays in its own bucket nearly always, whatever the keys look like. */
static void spread(void **state)
{
	for (unsigned int which = 0; which < 6; which++) {
		uint64_t past = 0;
		uint32_t longest = 0;
		struct table t;

		assert_int_equal(table_init(&t, 131072, false, -1), 0);
		for (uint32_t i = 0; i < SPREAD; i++) {
			uint64_t key = pattern(which, i);
			uint32_t slot = table_insert(&t, key, 0, i);
			uint32_t away = (slot / TABLE_WAYS - table_home(&t.view, key, 0)) & t.view.mask;

			past += away;
			longest = away > longest ? away : longest;
		}
		print_message("keys %u: %.3f buckets past the first on average, at most %u\n", which,
			      (double)past / SPREAD, longest);
		assert_true(past < SPREAD / 10);
		assert_true(longest < 64);
		table_fini(&t);
	}
}

/* A slot is not used again while a reader may still look at it. */
static void slots_wait(void **state)
{
	struct table t;
	uint32_t slot, i;

	assert_int_equal(table_init(&t, 8, true, -1), 0);
	assert_int_equal(rcu_register(3), 0);
	rcu_quiescent(3);
	assert_int_equal(table_reserve(&t, 1), 0);
	slot = table_insert(&t, 42, 7, 1);
	table_remove(&t, slot);
	/* All others are taken; the reader has not passed. */
	for (i = 0; i < 1000; i++) {
		uint64_t key = 1000 + i;

		if (t.count + 1 == t.limit)
			break;
		assert_int_equal(table_reserve(&t, 1), 0);
		assert_int_not_equal(table_insert(&t, key, 0, i), slot);
		assert_int_equal(t.view.buckets[slot / 4].val[slot % 4], 1);
	}
	assert_int_equal(table_reserve(&t, 1), -ENOSPC);
	rcu_quiescent(3);
	assert_int_equal(table_reserve(&t, 1), 0);
	rcu_unregister(3);
	table_fini(&t);
}

static void grace(void **state)
{
	uint32_t link[8], i;
	struct grace g;

	grace_init(&g, link);
	assert_int_equal(grace_pop(&g, true), GRACE_NONE);
	assert_int_equal(rcu_register(0), 0);
	rcu_quiescent(0);
	grace_push(&g, 5);
	grace_push(&g, 2);
	assert_int_equal(grace_pop(&g, false), GRACE_NONE); /* few, nobody is short of numbers */
	assert_int_equal(g.n_waiting, 0);
	assert_int_equal(grace_pop(&g, true), GRACE_NONE); /* the reader has not passed */
	grace_push(&g, 7);
	rcu_quiescent(0);
	assert_int_equal(grace_pop(&g, true), 5);
	assert_int_equal(grace_pop(&g, true), 2);
	assert_int_equal(grace_pop(&g, true), GRACE_NONE); /* 7 came later */
	assert_int_equal(grace_count(&g), 1);
	rcu_offline(0);
	assert_int_equal(grace_pop(&g, true), 7); /* who sleeps holds nothing */
	assert_int_equal(grace_count(&g), 0);
	for (i = 0; i < 100; i++) {
		grace_push(&g, i % 8);
		assert_int_equal(grace_pop(&g, true), i % 8);
	}
	rcu_unregister(0);
}

static char ids[300][16];

static const char *id_of(const void *owner, uint32_t index)
{
	return ids[index];
}

static void names(void **state)
{
	uint64_t rnd = world_seed();
	bool used[300] = { false };
	struct names n;

	assert_int_equal(names_init(&n, 300, id_of, NULL), 0);
	for (unsigned int i = 0; i < 300; i++)
		snprintf(ids[i], sizeof(ids[i]), "%s-%u", i % 2 ? "host-number" : "h", i);
	for (unsigned int step = 0; step < 20000; step++) {
		unsigned int i = (unsigned int)(world_random(&rnd) % 300);

		if (used[i])
			names_remove(&n, i);
		else
			names_add(&n, i);
		used[i] = !used[i];
		if (step % 50 == 0)
			for (unsigned int k = 0; k < 300; k++)
				assert_int_equal(names_find(&n, ids[k]), used[k] ? k : NAMES_NONE);
	}
	names_fini(&n);
}

static void memory(void **state)
{
	static const size_t sizes[] = { 0, 1, 4096, 100000, 2 << 20, (5 << 20) + 3 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (int readers = 0; readers < 2; readers++) {
			struct mem m = { 0 };
			uint8_t *p;

			assert_int_equal(mem_alloc(&m, sizes[i], 0, readers), 0);
			p = m.p;
			assert_int_equal((uintptr_t)p % 64, 0);
			for (size_t k = 0; k < sizes[i]; k += 997) {
				assert_int_equal(p[k], 0);
				p[k] = 1;
			}
			if (sizes[i])
				p[sizes[i] - 1] = 1;
			mem_free(&m);
			assert_null(m.p);
			mem_free(&m);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(oracle), cmocka_unit_test(spread), cmocka_unit_test(slots_wait),
		cmocka_unit_test(grace),  cmocka_unit_test(names),  cmocka_unit_test(memory),
	};

	return cmocka_run_group_tests_name("policy-table", tests, world_setup, world_teardown);
}
