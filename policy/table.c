/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sys/random.h>

#include "base/tick.h"
#include "policy/table.h"

#define MIN_BUCKETS	   16u
#define RELEASE_PER_CHANGE 4

/* The writer's way to the buckets that readers see as const. */
static struct table_bucket *buckets(const struct table *t)
{
	return t->mem_buckets.p;
}

static void random_salt(uint64_t salt[2])
{
	/* A boot without entropy yet is no reason to fail: time is better than nothing. */
	if (getrandom(salt, 16, GRND_NONBLOCK) != 16) {
		salt[0] = flowhash_mix(tick_ns() ^ FLOWHASH_K1, FLOWHASH_K2);
		salt[1] = flowhash_mix(salt[0] ^ (uintptr_t)salt, FLOWHASH_K1);
	}
	salt[1] |= 1; /* a multiplier: odd, so that no two keys become one */
}

int table_init(struct table *t, uint32_t entries, bool readers, int socket)
{
	uint64_t n = MIN_BUCKETS;

	*t = (struct table){ .readers = readers };
	while (n * TABLE_WAYS < 2 * (uint64_t)entries)
		n *= 2;
	if (mem_alloc(&t->mem_buckets, n * sizeof(struct table_bucket), socket, readers) < 0 ||
	    mem_alloc(&t->mem_passed, n * sizeof(uint32_t), socket, false) < 0 ||
	    mem_alloc(&t->mem_link, n * TABLE_WAYS * sizeof(uint32_t), socket, false) < 0) {
		table_fini(t);
		return -ENOMEM;
	}
	t->view.buckets = t->mem_buckets.p;
	t->view.mask = (uint32_t)(n - 1);
	random_salt(t->view.salt);
	t->limit = (uint32_t)(n * TABLE_WAYS / 8 * 7);
	t->passed = t->mem_passed.p;
	t->link = t->mem_link.p;
	grace_init(&t->held, t->link);
	return 0;
}

void table_fini(struct table *t)
{
	mem_free(&t->mem_buckets);
	mem_free(&t->mem_passed);
	mem_free(&t->mem_link);
	*t = (struct table){ 0 };
}

static void set_aux(struct table_bucket *b, unsigned int way, uint32_t aux)
{
	__atomic_store_n(&b->aux[way], aux, __ATOMIC_RELAXED);
}

/* Give held slots back that nobody can be reading any more. */
static void release(struct table *t, unsigned int n, bool need)
{
	uint32_t slot;

	while (n-- && (slot = grace_pop(&t->held, need)) != GRACE_NONE) {
		struct table_bucket *b = &buckets(t)[slot / TABLE_WAYS];

		set_aux(b, slot % TABLE_WAYS, b->aux[slot % TABLE_WAYS] & ~TABLE_HELD);
	}
}

static bool has_room(const struct table *t, uint32_t n)
{
	return (uint64_t)t->count + grace_count(&t->held) + n <= t->limit;
}

int table_reserve(struct table *t, uint32_t n)
{
	if (has_room(t, n))
		return 0;
	if ((uint64_t)t->count + n > t->limit)
		return -ENOSPC;
	release(t, UINT32_MAX, true);
	if (has_room(t, n))
		return 0;
	grace_wait();
	release(t, UINT32_MAX, true);
	return has_room(t, n) ? 0 : -ENOSPC;
}

static int free_way(const struct table_bucket *b)
{
	for (unsigned int i = 0; i < TABLE_WAYS; i++)
		if (!b->key[i] && !(b->aux[i] & TABLE_HELD))
			return (int)i;
	return -1;
}

uint32_t table_insert(struct table *t, uint64_t key, uint32_t tag, uint32_t val)
{
	uint32_t i = table_home(&t->view, key, tag);
	struct table_bucket *b;
	int way;

	release(t, RELEASE_PER_CHANGE, false);
	/* The marks come first: a reader that finds the key's neighbours finds the way to the key as well. */
	while ((way = free_way(b = &buckets(t)[i])) < 0) {
		t->passed[i]++;
		set_aux(b, 0, b->aux[0] | TABLE_OVERFLOW);
		i = (i + 1) & t->view.mask;
	}
	__atomic_store_n(&b->val[way], val, __ATOMIC_RELAXED);
	set_aux(b, (unsigned int)way, (b->aux[way] & TABLE_OVERFLOW) | (tag & TABLE_TAG));
	__atomic_store_n(&b->key[way], key, __ATOMIC_RELEASE);
	t->count++;
	return i * TABLE_WAYS + (uint32_t)way;
}

uint32_t table_slot(const struct table *t, uint64_t key, uint32_t tag)
{
	uint32_t home = table_home(&t->view, key, tag), i = home;

	do {
		const struct table_bucket *b = &t->view.buckets[i];

		for (unsigned int way = 0; way < TABLE_WAYS; way++)
			if (b->key[way] == key && ((b->aux[way] ^ tag) & TABLE_TAG) == 0)
				return i * TABLE_WAYS + way;
		if (!(b->aux[0] & TABLE_OVERFLOW))
			return TABLE_NONE;
		i = (i + 1) & t->view.mask;
	} while (i != home);
	return TABLE_NONE;
}

uint32_t table_value(const struct table *t, uint32_t slot)
{
	return t->view.buckets[slot / TABLE_WAYS].val[slot % TABLE_WAYS];
}

void table_set_value(struct table *t, uint32_t slot, uint32_t val)
{
	__atomic_store_n(&buckets(t)[slot / TABLE_WAYS].val[slot % TABLE_WAYS], val, __ATOMIC_RELEASE);
}

void table_remove(struct table *t, uint32_t slot)
{
	struct table_bucket *b = &buckets(t)[slot / TABLE_WAYS];
	unsigned int way = slot % TABLE_WAYS;
	uint32_t i = table_home(&t->view, b->key[way], b->aux[way] & TABLE_TAG);

	__atomic_store_n(&b->key[way], 0, __ATOMIC_RELAXED);
	for (; i != slot / TABLE_WAYS; i = (i + 1) & t->view.mask)
		if (--t->passed[i] == 0)
			set_aux(&buckets(t)[i], 0, buckets(t)[i].aux[0] & ~TABLE_OVERFLOW);
	t->count--;
	if (t->readers) {
		set_aux(b, way, b->aux[way] | TABLE_HELD);
		grace_push(&t->held, slot);
		release(t, RELEASE_PER_CHANGE, false);
	}
}
