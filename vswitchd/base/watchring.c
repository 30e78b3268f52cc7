/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/watchring.h"

#define PAD_BYTES 8 /* of a record that is read where the ring goes on at its start: size and point */

struct watch_ring *watch_ring_of(struct watch_memory *m, unsigned int ring, uint32_t ring_size)
{
	uint8_t *first = (uint8_t *)(m + 1);

	return (struct watch_ring *)(first + ring * watch_ring_bytes(ring_size));
}

/* Bytes that may be written at head; a reader that claims to be elsewhere has left no room. */
static uint64_t room(const struct watch_writer *w)
{
	uint64_t used = w->head - __atomic_load_n(&w->ring->tail, __ATOMIC_ACQUIRE);

	return used > w->size ? 0 : w->size - used;
}

struct watch_record *watch_reserve(struct watch_writer *w, uint32_t captured)
{
	uint32_t need = (uint32_t)sizeof(struct watch_record) + ((captured + 7) & ~7u);
	uint32_t at = (uint32_t)w->head & (w->size - 1), rest = w->size - at;
	uint64_t free = room(w);
	struct watch_record *r;

	if (need > w->size / 2 || free < need || (rest < need && free < (uint64_t)rest + need)) {
		w->lost++;
		__atomic_store_n(&w->ring->lost, w->lost, __ATOMIC_RELAXED);
		return NULL;
	}
	if (rest < need) {
		r = (struct watch_record *)(w->ring->data + at);
		r->size = rest;
		r->point = WATCH_PAD;
		w->head += rest;
		at = 0;
	}
	r = (struct watch_record *)(w->ring->data + at);
	*r = (struct watch_record){ .size = need, .captured = captured };
	w->pending = need;
	return r;
}

void watch_commit(struct watch_writer *w)
{
	w->head += w->pending;
	__atomic_store_n(&w->ring->head, w->head, __ATOMIC_RELEASE);
}

static bool sound(const struct watch_record *r, uint64_t there)
{
	return r->size % 8 == 0 && r->size <= there && r->size >= sizeof(*r) && r->point < WATCH_POINTS &&
	       r->captured <= r->size - sizeof(*r) && r->captured <= r->len;
}

const uint8_t *watch_next(struct watch_reader *r, struct watch_record *copy)
{
	uint64_t there = __atomic_load_n(&r->ring->head, __ATOMIC_ACQUIRE) - r->tail;

	if (there > r->size)
		return NULL;
	while (there >= PAD_BYTES) {
		uint32_t at = (uint32_t)r->tail & (r->size - 1), rest = r->size - at;
		const struct watch_record *rec = (const struct watch_record *)(r->ring->data + at);

		if (rec->point == WATCH_PAD) {
			if (rest > there)
				return NULL;
			r->tail += rest;
			there -= rest;
			continue;
		}
		if (there < sizeof(*rec) || rest < sizeof(*rec))
			return NULL;
		*copy = *rec;
		return sound(copy, there < rest ? there : rest) ? (const uint8_t *)(rec + 1) : NULL;
	}
	return NULL;
}

void watch_done(struct watch_reader *r, const struct watch_record *copy)
{
	r->tail += copy->size;
	__atomic_store_n(r->told ? &r->told->tail : &r->ring->tail, r->tail, __ATOMIC_RELEASE);
}

void watch_take_tail(struct watch_ring *ring, const struct watch_tail *told)
{
	uint64_t tail = __atomic_load_n(&told->tail, __ATOMIC_ACQUIRE);

	if (tail != ring->tail)
		__atomic_store_n(&ring->tail, tail, __ATOMIC_RELEASE);
}

uint64_t watch_lost(const struct watch_reader *r)
{
	return __atomic_load_n(&r->ring->lost, __ATOMIC_RELAXED);
}

const char *watch_point_name(enum watch_point p)
{
	static const char *const names[WATCH_POINTS] = {
#define X(sym, name, text) [WATCH_##sym] = name,
		WATCH_POINT_LIST(X)
#undef X
	};

	return (unsigned int)p < WATCH_POINTS ? names[p] : "?";
}
