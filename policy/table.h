/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hash table of the packet path: one cache line per lookup, any number of readers without locks, one writer.
 *
 * A bucket holds four entries of a 64-bit key, a 24-bit tag (the part of a key that does not fit 64 bits) and
 * a 32-bit value. Entries never move, so a reader needs no version check:
 *  - insert writes value and tag, then stores the key with release; the value may change later by one store;
 *  - remove stores key 0, and the slot stays unused until a grace period is over: who saw the key before may
 *    still read value and tag;
 *  - a full bucket is marked "overflowed" and the entry goes to the next one; readers go on only past that
 * mark. A count per bucket of entries that went past it takes the mark back, so years of changes do not wear
 * the table out. The hash is salted: whoever chooses addresses cannot choose buckets.
 */
#ifndef POLICY_TABLE_H
#define POLICY_TABLE_H

#include <stdbool.h>
#include <stdint.h>
/* ThreadSanitizer cannot see that a vector load reads whole words. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TABLE_SCALAR 1
#endif
#endif
#if !defined(__SSE4_1__) || defined(__SANITIZE_THREAD__)
#define TABLE_SCALAR 1
#endif
#ifndef TABLE_SCALAR
#include <immintrin.h>
#endif

#include "base/flowhash.h"
#include "policy/grace.h"
#include "policy/mem.h"

#define TABLE_WAYS     4
#define TABLE_MISS     0xffffffffu /* never a value */
#define TABLE_NONE     0xffffffffu /* never a slot */
#define TABLE_TAG      0x00ffffffu
#define TABLE_HELD     0x40000000u /* in aux[i]: slot waits for its grace period; the writer's own */
#define TABLE_OVERFLOW 0x80000000u /* in aux[0] of the bucket */

struct table_bucket {
	uint64_t key[TABLE_WAYS]; /* 0: no entry */
	uint32_t val[TABLE_WAYS];
	uint32_t aux[TABLE_WAYS]; /* tag and TABLE_* bits */
} __attribute__((aligned(64)));

static_assert(sizeof(struct table_bucket) == 64, "one cache line");

/* What readers need; small enough to be copied into registers for a burst. */
struct table_view {
	const struct table_bucket *buckets;
	uint32_t mask;
	uint64_t salt[2];
};

struct table {
	struct table_view view;
	/* the writer's */
	uint32_t count, limit;
	bool readers;
	uint32_t *passed; /* per bucket: entries that have their home before or here and lie behind */
	uint32_t *link;	  /* per slot: the owner's word while in use (table_note), queue link while held */
	struct grace held;
	struct mem mem_buckets, mem_passed, mem_link;
};

/*
 * @param entries planned number; two slots are reserved for each, table_reserve() refuses beyond 7/8 of the
 * slots.
 * @param readers false: only main looks in; slots are free again at once.
 * @return 0, -ENOMEM. Main thread, like all functions but table_find*().
 */
int table_init(struct table *t, uint32_t entries, bool readers, int socket);
void table_fini(struct table *t);

/*
 * Make sure that n inserts will succeed. May wait, bounded, when too many removed slots are held back by a
 * worker that does not pass. @return 0, -ENOSPC.
 */
int table_reserve(struct table *t, uint32_t n);

/* Add an entry whose key (not 0) and tag are not in the table. After table_reserve(). @return its slot. */
uint32_t table_insert(struct table *t, uint64_t key, uint32_t tag, uint32_t val);
uint32_t table_slot(const struct table *t, uint64_t key, uint32_t tag); /* TABLE_NONE: not there */
uint32_t table_value(const struct table *t, uint32_t slot);
void table_set_value(struct table *t, uint32_t slot, uint32_t val);
void table_remove(struct table *t, uint32_t slot);

/* A word of the owner's per slot in use; kept out of the readers' lines. Undefined until written. */
static inline uint32_t *table_note(struct table *t, uint32_t slot)
{
	return &t->link[slot];
}

/* ---- readers ---- */

/*
 * Index of the bucket where a key belongs. Two multiplies, the first by the secret: one alone puts the
 * addresses of a subnet, which are consecutive numbers, side by side, and where two subnets meet the buckets
 * overflow by the hundred.
 */
static inline uint32_t table_home(const struct table_view *v, uint64_t key, uint32_t tag)
{
	uint64_t h = (key ^ v->salt[0]) * (v->salt[1] ^ (uint64_t)tag << 1);

	return (uint32_t)((h ^ h >> 32) * FLOWHASH_K1 >> 32) & v->mask;
}

static inline void table_prefetch(const struct table_view *v, uint32_t home)
{
	__builtin_prefetch(&v->buckets[home]);
}

/* Bit i: key[i] matches. Loads of the keys come before any load made dependent on the result. */
#ifndef TABLE_SCALAR
static inline unsigned int table_match(const struct table_bucket *b, uint64_t key)
{
	__m128i k = _mm_set1_epi64x((long long)key);
	__m128i lo = _mm_cmpeq_epi64(_mm_load_si128((const __m128i *)(const void *)&b->key[0]), k);
	__m128i hi = _mm_cmpeq_epi64(_mm_load_si128((const __m128i *)(const void *)&b->key[2]), k);

	return (unsigned int)_mm_movemask_pd(_mm_castsi128_pd(lo)) |
	       (unsigned int)_mm_movemask_pd(_mm_castsi128_pd(hi)) << 2;
}

#define TABLE_AVX2 1
static inline __attribute__((target("avx2"))) unsigned int table_match_avx2(const struct table_bucket *b,
									    uint64_t key)
{
	__m256i k = _mm256_set1_epi64x((long long)key);
	__m256i eq = _mm256_cmpeq_epi64(_mm256_load_si256((const __m256i *)(const void *)b->key), k);

	return (unsigned int)_mm256_movemask_pd(_mm256_castsi256_pd(eq));
}
#else
static inline unsigned int table_match(const struct table_bucket *b, uint64_t key)
{
	unsigned int i, m = 0;

	for (i = 0; i < TABLE_WAYS; i++)
		m |= (unsigned int)(__atomic_load_n(&b->key[i], __ATOMIC_ACQUIRE) == key) << i;
	return m;
}
#endif

typedef unsigned int (*table_match_fn)(const struct table_bucket *b, uint64_t key);

/*
 * Value of (key, tag), or TABLE_MISS; home is table_home()'s answer. The compare is a parameter so that a
 * burst function can be compiled once per instruction set; inlined, the call disappears.
 */
static inline __attribute__((always_inline)) uint32_t
table_find_at(const struct table_view *v, uint32_t home, uint64_t key, uint32_t tag, table_match_fn match)
{
	uint32_t i = home;

	do {
		const struct table_bucket *b = &v->buckets[i];
		unsigned int m = match(b, key);

		for (; m; m &= m - 1) {
			unsigned int way = (unsigned int)__builtin_ctz(m);
			uint32_t val = __atomic_load_n(&b->val[way], __ATOMIC_RELAXED);

			if (((__atomic_load_n(&b->aux[way], __ATOMIC_RELAXED) ^ tag) & TABLE_TAG) == 0)
				return val;
		}
		if (!(__atomic_load_n(&b->aux[0], __ATOMIC_RELAXED) & TABLE_OVERFLOW))
			return TABLE_MISS;
		i = (i + 1) & v->mask;
	} while (i != home);
	return TABLE_MISS;
}

static inline uint32_t table_find(const struct table *t, uint64_t key, uint32_t tag)
{
	return table_find_at(&t->view, table_home(&t->view, key, tag), key, tag, table_match);
}

#endif
