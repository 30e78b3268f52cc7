/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a device stands in a packed ring (virtio 1.1, section 2.7). Split rings say it themselves (used
 * index), packed rings do not, and front-ends cannot keep it for a back-end that was killed.
 *
 * Positions count descriptors modulo twice the ring size, so that a position is an index and a wrap counter.
 * Seen from a position with wrap counter w a descriptor is
 *
 *   NONE     AVAIL flag != w: not made available in this lap
 *   AVAIL    AVAIL flag == w, USED flag != w: available, or a later element of a chain whose head was used
 *            (the device marks only the head)
 *   USED     both == w
 *
 * The driver fills in order, so behind the device's position lie used heads, each with the rest of its chain,
 * and from it on lie available chains up to the first NONE. The rest of a chain is told from a chain that
 * waits by the NEXT flags and by the buffer id: the last element of a chain carries the id that the used head
 * shows. A head that is used and still has its NEXT flag had a chain (a device may clear the flag, it never
 * sets it).
 *
 * The saved position is behind the truth by one burst at most. Walking on from it over used heads gives the
 * truth, unless the last used head may or may not have a tail; that is refused.
 *
 * Torn bursts. When it receives from a guest the library marks the first head of a burst last, so a process
 * killed in a burst leaves that one unmarked behind marked ones, and the driver would wait for it for ever.
 * The frames are gone in any case; the mark is completed here. Toward a guest the same picture would need the
 * length as well: refused.
 */
#include "vhost_private.h"

#define AVAIL_BIT (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED_BIT  (1u << VRING_PACKED_DESC_F_USED)

enum seen { NONE, AVAIL, USED };

struct view {
	const struct vring_packed_desc *ring;
	uint32_t n;
};

static uint32_t to_linear(uint16_t pos, uint32_t n)
{
	return (pos & 0x7fff) + (pos & 0x8000 ? 0 : n);
}

static uint16_t from_linear(uint32_t at, uint32_t n)
{
	at %= 2 * n;
	return at < n ? at | 0x8000 : at - n;
}

static uint16_t flags_at(const struct view *v, uint32_t at)
{
	return __atomic_load_n(&v->ring[at % v->n].flags, __ATOMIC_ACQUIRE);
}

static uint16_t id_at(const struct view *v, uint32_t at)
{
	return __atomic_load_n(&v->ring[at % v->n].id, __ATOMIC_RELAXED);
}

static enum seen look(const struct view *v, uint32_t at)
{
	uint16_t flags = flags_at(v, at);
	bool wrap = at % (2 * v->n) < v->n;

	if (!!(flags & AVAIL_BIT) != wrap)
		return NONE;
	return !!(flags & USED_BIT) == wrap ? USED : AVAIL;
}

/* Last element of the chain that starts at `at`, all of it AVAIL and before `end`; false if it breaks off. */
static bool chain_end(const struct view *v, uint32_t at, uint32_t end, uint32_t *ret)
{
	for (; at < end && look(v, at) == AVAIL; at++) {
		if (flags_at(v, at) & VRING_DESC_F_NEXT)
			continue;
		*ret = at;
		return true;
	}
	return false;
}

/* First NONE from `at` on, at most a lap away; *ret_used says whether a USED lies before it. */
static uint32_t driver_at(const struct view *v, uint32_t at, bool *ret_used)
{
	uint32_t end = at + v->n;
	bool used = false;

	for (; at < end; at++) {
		enum seen s = look(v, at);

		if (s == NONE)
			break;
		used |= s == USED;
	}
	*ret_used = used;
	return at;
}

/* Never filled by the driver; seen from some laps it looks used. */
static bool is_blank(const struct view *v, uint32_t at)
{
	const struct vring_packed_desc *d = &v->ring[at % v->n];

	return !d->addr && !d->len && !d->flags;
}

/* What lies right before a position, as far as the driver, which is at `end`, has not filled the next lap. */
enum behind {
	IMPOSSIBLE, /* no chain can end there */
	UNSEEN,	    /* perhaps: its head cannot be seen any more */
	CHAIN,	    /* one ends there */
};

/* `at` counts from 2n on, so that nothing gets below zero. */
static enum behind look_behind(const struct view *v, uint32_t at, uint32_t end)
{
	uint32_t oldest = end - v->n, head, i;

	for (head = at; head > oldest; head--) {
		enum seen s = look(v, head - 1);

		if (s == NONE)
			return IMPOSSIBLE;
		if (s == USED)
			break;
	}
	if (head == at && head > oldest && flags_at(v, at - 1) & VRING_DESC_F_NEXT)
		return IMPOSSIBLE;
	if (head == at)
		return CHAIN; /* nothing lies between, or the driver has filled the whole lap from here */
	if (head > oldest && is_blank(v, head - 1))
		return IMPOSSIBLE;
	for (i = head; i < at; i++)
		if (!!(flags_at(v, i) & VRING_DESC_F_NEXT) != (i < at - 1))
			return IMPOSSIBLE;
	if (head == oldest)
		return UNSEEN;
	return id_at(v, at - 1) == id_at(v, head - 1) ? CHAIN : IMPOSSIBLE;
}

/*
 * The front-end's word: right if nothing was used from there on and a chain ends there. It may be old and fit
 * by chance, unless we recorded that it was told just so. Without that the last used descriptor has to lie
 * right before, and what follows must not pass for the rest of its chain; in a fresh ring it was never filled
 * and its id means nothing.
 */
static bool told_is_right(const struct view *v, uint32_t at, bool recorded)
{
	uint32_t end, tail;
	enum behind behind;
	bool used;

	end = driver_at(v, at, &used);
	behind = look_behind(v, at, end);
	if (used || behind == IMPOSSIBLE)
		return false;
	if (recorded || end == at + v->n)
		return true;
	if (look(v, at - 1) != USED)
		return false;
	return is_blank(v, at - 1) || !chain_end(v, at, end, &tail) || id_at(v, tail) != id_at(v, at - 1);
}

/*
 * A ring that the driver has just made: filled from the beginning on, the rest never touched. One that is
 * filled all around may also be an old one, if a burst can go around it; but not without chains in a ring of
 * decent size. @param reset: the guest most likely was, so that enough chains will do.
 */
static bool is_fresh(const struct view *v, bool reset)
{
	uint32_t at = 2 * v->n, end, i, chains = 0;
	bool used;

	end = driver_at(v, at, &used);
	if (used)
		return false;
	for (i = end; i < at + v->n; i++)
		if (!is_blank(v, i))
			return false;
	if (end < at + v->n)
		return true;
	for (i = at; i < end; i++)
		chains += !(flags_at(v, i) & VRING_DESC_F_NEXT);
	return chains >= 2 * VHU_BURST && (reset || chains == v->n);
}

static bool used_between(const struct view *v, uint32_t at, uint32_t end)
{
	for (; at < end; at++)
		if (look(v, at) == USED)
			return true;
	return false;
}

/* From a used head on over used chains to the first that waits. -ENOENT: the ring was never used. */
static int walk(const struct view *v, uint32_t at, uint32_t end, uint32_t *ret)
{
	uint32_t tail;

	while (at < end && look(v, at) == USED) {
		uint16_t id = id_at(v, at);
		bool next = flags_at(v, at) & VRING_DESC_F_NEXT;

		if (is_blank(v, at))
			return -ENOENT;
		at++;
		if (at == end || look(v, at) == USED)
			continue;
		if (!chain_end(v, at, end, &tail))
			return -ENODATA;
		if (id_at(v, tail) != id && !next)
			break; /* another buffer: it waits */
		if (id_at(v, tail) != id || (!next && !used_between(v, tail + 1, end)))
			return -ENODATA; /* the rest of this chain, or its id used again? */
		at = tail + 1;
	}
	if (used_between(v, at, end))
		return -ENODATA; /* one was left out */
	*ret = at;
	return 0;
}

/* The saved position: right, or the last burst after it has to be followed. -ENOENT: not of this ring. */
static int prove_saved(const struct view *v, uint32_t at, bool from_guest, struct packed_proof *ret)
{
	struct packed_proof proof = { 0 };
	uint32_t end, tail;
	bool used;
	int r;

	end = driver_at(v, at, &used);
	if (look_behind(v, at, end) == IMPOSSIBLE)
		return -ENOENT;
	if (look(v, at - 1) == USED && is_blank(v, at - 1) && at % (2 * v->n))
		return -ENOENT;
	if (used && look(v, at) == AVAIL) {
		if (!from_guest)
			return -ENODATA;
		if (!chain_end(v, at, end, &tail))
			return -ENODATA;
		proof.torn = true;
		proof.slot = at % v->n;
		proof.id = id_at(v, tail);
		at = tail + 1;
		if (look(v, at) != USED)
			return -ENODATA;
	}
	if (used) {
		r = walk(v, at, end, &at);
		if (r < 0)
			return r;
	}
	proof.pos = from_linear(at, v->n);
	*ret = proof;
	return 0;
}

int packed_prove(const struct vring_packed_desc *ring, uint16_t size, uint16_t told, struct ring_saved saved,
		 bool from_guest, struct packed_proof *ret)
{
	struct view v = { .ring = ring, .n = size };
	struct packed_proof proof;
	bool told_right;
	int r = -ENOENT;

	if (!size || size > 0x8000)
		return -ENODATA;
	told_right = (told & 0x7fff) < size && told_is_right(&v, to_linear(told, size) + 2 * v.n,
							     saved.state == RING_TOLD && saved.pos == told);
	if (saved.state == RING_RUNNING && (saved.pos & 0x7fff) < size)
		r = prove_saved(&v, to_linear(saved.pos, size) + 2 * v.n, from_guest, &proof);
	if (r == -ENOENT) {
		/* A record that does not fit speaks for a new ring, and against any word but that. */
		bool unfit = saved.state == RING_RUNNING || saved.state == RING_DOUBTED;

		if (!told_right || (unfit && (told != 0x8000 || !is_fresh(&v, saved.state == RING_DOUBTED))))
			return -ENODATA;
		*ret = (struct packed_proof){ .pos = told };
		return 0;
	}
	if (r < 0)
		return r;
	if (told_right && told != proof.pos)
		return -ENODATA; /* two answers are none */
	*ret = proof;
	return 0;
}

void packed_complete(struct vring_packed_desc *ring, const struct packed_proof *proof)
{
	struct vring_packed_desc *d = &ring[proof->slot];
	uint16_t flags = d->flags;

	/* It was available: AVAIL tells the wrap counter, USED has to become the same. */
	flags = flags & AVAIL_BIT ? flags | USED_BIT : flags & ~USED_BIT;
	d->id = proof->id;
	d->len = 0;
	__atomic_store_n(&d->flags, flags, __ATOMIC_RELEASE);
}
