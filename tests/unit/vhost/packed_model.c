/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "packed_model.h"

#define A (1u << VRING_PACKED_DESC_F_AVAIL)
#define U (1u << VRING_PACKED_DESC_F_USED)

void model_reset(struct model *m, uint16_t n)
{
	uint16_t i;

	memset(m, 0, sizeof(*m));
	m->n = n;
	m->room = n;
	m->next_wrap = m->used_wrap = true;
	for (i = 0; i < n; i++)
		m->free_ids[m->n_free++] = n - 1 - i; /* last in, first out, as Linux does: first is 0 */
	m->pos = 0x8000;
	m->budget = -1;
}

static void advance(uint16_t *slot, bool *wrap, uint16_t by, uint16_t n)
{
	*slot += by;
	if (*slot >= n) {
		*slot -= n;
		*wrap = !*wrap;
	}
}

bool driver_add(struct model *m, uint16_t len)
{
	uint16_t head = m->next, head_flags = 0, i, id;

	if (m->room < len)
		return false;
	id = m->free_ids[--m->n_free];
	m->buffers[id] = (struct buffer){ .head = head, .len = len, .out = true };
	for (i = 0; i < len; i++) {
		struct vring_packed_desc *d = &m->ring[m->next];
		uint16_t flags = (m->next_wrap ? A : U) | (i + 1 < len ? VRING_DESC_F_NEXT : 0);

		d->addr = 0x100000 + 2048 * id + i;
		d->len = 1000 + i;
		/* Only the last one's id counts. */
		d->id = i + 1 < len ? 0xeeee : id;
		if (i)
			d->flags = flags;
		else
			head_flags = flags;
		advance(&m->next, &m->next_wrap, 1, m->n);
	}
	m->ring[head].flags = head_flags;
	m->room -= len;
	return true;
}

unsigned int driver_reap(struct model *m)
{
	unsigned int count = 0;

	for (;;) {
		const struct vring_packed_desc *d = &m->ring[m->used];
		struct buffer *b;

		if (!!(d->flags & A) != m->used_wrap || !!(d->flags & U) != m->used_wrap)
			return count;
		if (d->id >= m->n || !m->buffers[d->id].out) {
			m->wrong = "used id that is not out";
			return count;
		}
		b = &m->buffers[d->id];
		if (b->head != m->used) {
			m->wrong = "used element in the wrong place";
			return count;
		}
		b->out = false;
		m->free_ids[m->n_free++] = d->id;
		m->room += b->len;
		advance(&m->used, &m->used_wrap, b->len, m->n);
		if (++count > m->n) {
			m->wrong = "used for ever";
			return count;
		}
	}
}

unsigned int driver_outstanding(const struct model *m)
{
	unsigned int i, count = 0;

	for (i = 0; i < m->n; i++)
		count += m->buffers[i].out;
	return count;
}

/* A store of the device; false when it is dead. */
static bool store(struct model *m)
{
	if (m->killed)
		return false;
	if (m->budget == 0) {
		m->killed = true;
		return false;
	}
	if (m->budget > 0)
		m->budget--;
	return true;
}

struct chain {
	uint16_t slot, id, len;
	bool wrap;
};

/* The chain at a position, if it is available. */
static bool fetch(const struct model *m, uint16_t slot, bool wrap, struct chain *ret)
{
	const struct vring_packed_desc *d = &m->ring[slot];
	struct chain c = { .slot = slot, .wrap = wrap, .len = 1 };

	if (!!(d->flags & A) != wrap || !!(d->flags & U) == wrap)
		return false;
	while (d->flags & VRING_DESC_F_NEXT && c.len < m->n) {
		d = &m->ring[(slot + c.len) % m->n];
		c.len++;
	}
	c.id = d->id;
	*ret = c;
	return true;
}

static void put_id(struct model *m, const struct chain *c, uint32_t len)
{
	if (store(m))
		m->ring[c->slot].id = c->id;
	if (store(m))
		m->ring[c->slot].len = len;
}

/* `more`: of the flags that have no meaning in a used descriptor. */
static void put_flags(struct model *m, const struct chain *c, uint16_t more)
{
	if (store(m))
		m->ring[c->slot].flags = (c->wrap ? A | U : 0) | more;
}

/* Received chains keep theirs, unless the device was told to clear them. */
static uint16_t kept(const struct model *m, const struct chain *c)
{
	return m->clears_next ? 0 : m->ring[c->slot].flags & VRING_DESC_F_NEXT;
}

void device_receive(struct model *m, unsigned int max)
{
	uint16_t slot = m->pos & 0x7fff;
	bool wrap = m->pos & 0x8000, any = false;
	struct chain c, first = { 0 };

	for (; max && fetch(m, slot, wrap, &c); max--) {
		if (any) {
			put_id(m, &c, 0);
			put_flags(m, &c, kept(m, &c));
		} else {
			first = c;
			any = true;
		}
		advance(&slot, &wrap, c.len, m->n);
	}
	if (any) {
		put_id(m, &first, 0);
		put_flags(m, &first, kept(m, &first));
	}
	if (store(m)) /* of the position, in the state file */
		m->pos = slot | (wrap ? 0x8000 : 0);
}

static void flush(struct model *m, const struct chain *c, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		put_id(m, &c[i], 100);
	for (i = 1; i < n; i++)
		put_flags(m, &c[i], VRING_DESC_F_WRITE);
	if (n)
		put_flags(m, &c[0], VRING_DESC_F_WRITE);
}

void device_send(struct model *m, unsigned int max)
{
	uint16_t slot = m->pos & 0x7fff;
	bool wrap = m->pos & 0x8000;
	struct chain c[4];
	unsigned int n = 0;

	for (; max && fetch(m, slot, wrap, &c[n]); max--) {
		advance(&slot, &wrap, c[n].len, m->n);
		if (++n == 4) {
			flush(m, c, n);
			n = 0;
		}
	}
	flush(m, c, n);
	if (store(m))
		m->pos = slot | (wrap ? 0x8000 : 0);
}
