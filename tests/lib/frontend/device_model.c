/* SPDX-License-Identifier: BSD-3-Clause */
#include "device_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { NEXT = 1, WRITE = 2, INDIRECT = 4, PACKED_AVAIL = 1 << 7, PACKED_USED = 1 << 15 };

static void *translate(const struct model *m, uint64_t gpa, uint64_t len)
{
	for (unsigned int i = 0; i < m->mem->n; i++) {
		const struct vhu_region *r = &m->mem->region[i];

		if (gpa >= r->gpa && len <= r->size && gpa - r->gpa <= r->size - len)
			return r->va + (gpa - r->gpa);
	}
	fail_msg("address %#llx of %llu bytes is in no region", (unsigned long long)gpa,
		 (unsigned long long)len);
	return NULL;
}

static void add_part(const struct model *m, struct model_chain *c, uint64_t gpa, uint32_t len, uint16_t flags)
{
	assert_true(len > 0);
	assert_true(c->n < MODEL_MAX);
	/* what the device writes comes last (section 2.6.4.2) */
	assert_true(!c->n || !c->part[c->n - 1].writable || flags & WRITE);
	c->part[c->n++] = (struct model_part){ translate(m, gpa, len), len, flags & WRITE };
}

static void read_split_table(const struct model *m, const struct vring_desc *table, uint32_t n, uint16_t i,
			     struct model_chain *c)
{
	for (uint32_t steps = 0;; steps++) {
		const struct vring_desc *d = &table[i];

		assert_true(i < n && steps < n);
		if (d->flags & INDIRECT) {
			assert_true(table == m->q->split.desc && m->q->cfg.indirect);
			assert_false(d->flags & NEXT);
			assert_int_equal(d->len % sizeof(*d), 0);
			read_split_table(m, translate(m, d->addr, d->len), d->len / sizeof(*d), 0, c);
			return;
		}
		add_part(m, c, d->addr, d->len, d->flags);
		if (!(d->flags & NEXT))
			return;
		i = d->next;
	}
}

static bool pop_split(struct model *m, struct model_chain *c)
{
	const struct vhu_split *s = &m->q->split;

	if (m->avail == s->avail->idx)
		return false;
	assert_true((uint16_t)(s->avail->idx - m->avail) <= m->q->cfg.size);
	c->id = s->avail->ring[m->avail++ % m->q->cfg.size];
	read_split_table(m, s->desc, m->q->cfg.size, c->id, c);
	return true;
}

static void step(const struct model *m, uint16_t *slot, uint16_t *wrap, uint16_t n)
{
	*slot += n;
	if (*slot >= m->q->cfg.size) {
		*slot -= m->q->cfg.size;
		*wrap = !*wrap;
	}
}

static bool is_available(const struct model *m, uint16_t flags)
{
	return !!(flags & PACKED_AVAIL) == m->avail_wrap && !!(flags & PACKED_USED) != m->avail_wrap;
}

static void read_packed_table(const struct model *m, const struct vring_packed_desc *d, struct model_chain *c)
{
	const struct vring_packed_desc *table = translate(m, d->addr, d->len);

	assert_true(m->q->cfg.indirect);
	assert_int_equal(d->len % sizeof(*d), 0);
	for (uint32_t i = 0; i < d->len / sizeof(*d); i++)
		add_part(m, c, table[i].addr, table[i].len, table[i].flags);
}

static bool pop_packed(struct model *m, struct model_chain *c)
{
	const struct vring_packed_desc *d;

	if (!is_available(m, m->q->packed.desc[m->avail].flags))
		return false;
	do {
		d = &m->q->packed.desc[m->avail];
		assert_true(is_available(m, d->flags)); /* a chain is published as a whole */
		if (d->flags & INDIRECT)
			read_packed_table(m, d, c);
		else
			add_part(m, c, d->addr, d->len, d->flags);
		c->slots++;
		assert_true(c->slots <= m->q->cfg.size);
		step(m, &m->avail, &m->avail_wrap, 1);
	} while (d->flags & NEXT);
	c->id = d->id; /* of the last one (section 2.7.6) */
	return true;
}

void model_init(struct model *m, struct vhu_queue *q, struct vhu_mem *mem)
{
	*m = (struct model){ .q = q, .mem = mem, .avail_wrap = 1, .used_wrap = 1 };
}

bool model_pop(struct model *m, struct model_chain *c)
{
	c->n = 0;
	c->slots = 0;
	return m->q->cfg.packed ? pop_packed(m, c) : pop_split(m, c);
}

void model_push(struct model *m, const struct model_chain *c, uint32_t len)
{
	if (m->q->cfg.packed) {
		struct vring_packed_desc *d = &m->q->packed.desc[m->used];

		d->id = c->id;
		d->len = len;
		d->flags = m->used_wrap ? PACKED_AVAIL | PACKED_USED : 0;
		step(m, &m->used, &m->used_wrap, c->slots);
	} else {
		struct vring_used *used = m->q->split.used;

		used->ring[m->used % m->q->cfg.size] = (struct vring_used_elem){ c->id, len };
		used->idx = ++m->used;
	}
}

/* Was the position wanted passed when going from old to now, both counted modulo 2 size? */
static bool passed(const struct model *m, uint32_t wanted, uint32_t old, uint32_t now)
{
	uint32_t round = 2u * m->q->cfg.size;

	return (wanted - old + round) % round < (now - old + round) % round;
}

static uint16_t position(const struct model *m)
{
	return m->q->cfg.packed ? m->used + (m->used_wrap ? 0 : m->q->cfg.size) : m->used;
}

bool model_call_wanted(struct model *m)
{
	uint16_t old = m->signalled, now = position(m);
	const struct vring_packed_desc_event *e = m->q->packed.driver;

	m->signalled = now;
	if (old == now)
		return false;
	if (!m->q->cfg.packed) {
		uint16_t wanted = m->q->split.avail->ring[m->q->cfg.size];

		if (!m->q->cfg.event_idx)
			return !(m->q->split.avail->flags & 1);
		return (uint16_t)(wanted - old) < (uint16_t)(now - old);
	}
	if (e->flags != 2)
		return e->flags == 0;
	return passed(m, (e->off_wrap & 0x7fffu) + (e->off_wrap & 0x8000 ? 0u : m->q->cfg.size), old, now);
}

void model_want_kick(struct model *m, bool on)
{
	struct vhu_queue *q = m->q;

	if (!q->cfg.packed) {
		/* far away is what cannot be reached before it is asked again */
		q->split.used->flags = !on && !q->cfg.event_idx;
		*(uint16_t *)&q->split.used->ring[q->cfg.size] = on ? m->avail : (uint16_t)(m->avail - 1);
	} else if (!on) {
		q->packed.device->flags = 1;
	} else {
		q->packed.device->off_wrap = (uint16_t)(m->avail | m->avail_wrap << 15);
		q->packed.device->flags = q->cfg.event_idx ? 2 : 0;
	}
}
