/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/map.h"

/* FNV-1a with a last mix. Keys are administrators' and hosts', not guests'. */
static uint32_t hash_of(const char *s)
{
	uint32_t h = 2166136261u;

	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;
	return h ^ h >> 15;
}

static int grow(struct map *m)
{
	size_t n = m->n_slots ? m->n_slots * 2 : 64;
	struct map_entry **slots = calloc(n, sizeof(struct map_entry *)), *e, *next;

	if (!slots)
		return -1;
	for (size_t i = 0; i < m->n_slots; i++) {
		for (e = m->slots[i]; e; e = next) {
			next = e->next;
			e->next = slots[e->hash & (n - 1)];
			slots[e->hash & (n - 1)] = e;
		}
	}
	free(m->slots);
	m->slots = slots;
	m->n_slots = n;
	return 0;
}

void *map_find(const struct map *m, const char *key)
{
	uint32_t hash = hash_of(key);
	struct map_entry *e = m->n_slots ? m->slots[hash & (m->n_slots - 1)] : NULL;

	while (e && (e->hash != hash || strcmp(e->key, key) != 0))
		e = e->next;
	return e;
}

void *map_make(struct map *m, const char *key, size_t size)
{
	struct map_entry *e = map_find(m, key);

	if (e)
		return e;
	if (m->n >= m->n_slots && grow(m) < 0)
		return NULL;
	e = calloc(1, size);
	if (!e)
		return NULL;
	e->key = strdup(key);
	if (!e->key) {
		free(e);
		return NULL;
	}
	e->hash = hash_of(key);
	e->next = m->slots[e->hash & (m->n_slots - 1)];
	m->slots[e->hash & (m->n_slots - 1)] = e;
	m->n++;
	return e;
}

void map_remove(struct map *m, void *entry)
{
	struct map_entry *e = entry, **p = &m->slots[e->hash & (m->n_slots - 1)];

	while (*p != e)
		p = &(*p)->next;
	*p = e->next;
	m->n--;
	free(e->key);
	free(e);
}

void *map_next(const struct map *m, const void *after)
{
	const struct map_entry *e = after;
	size_t i = 0;

	if (e && e->next)
		return e->next;
	if (e)
		i = (e->hash & (m->n_slots - 1)) + 1;
	while (i < m->n_slots && !m->slots[i])
		i++;
	return i < m->n_slots ? m->slots[i] : NULL;
}

void map_free(struct map *m)
{
	struct map_entry *e;

	while ((e = map_next(m, NULL)))
		map_remove(m, e);
	free(m->slots);
	*m = (struct map){ 0 };
}
