/* SPDX-License-Identifier: BSD-3-Clause */
/* Hash tables over the objects of a configuration: for duplicates while reading, for file:line at run time. */
#include <stdlib.h>
#include <string.h>

#include "daemon/config_private.h"


uint64_t config_hash(const void *data, size_t len, uint64_t seed)
{
	const uint8_t *p = data;
	uint64_t h = 0xcbf29ce484222325u ^ seed; /* FNV-1a */

	for (; len; len--)
		h = (h ^ *p++) * 0x100000001b3u;
	/* FNV's low bits are weak for short keys that differ in the last byte. */
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93u;
	return h ^ h >> 32;
}

int config_set_init(struct config_set *s, size_t n)
{
	size_t room = 16;

	while (room < n * 2)
		room *= 2;
	s->slots = calloc(room, sizeof(*s->slots));
	s->mask = room - 1;
	return s->slots ? 0 : -ENOMEM;
}

void config_set_done(struct config_set *s)
{
	free(s->slots);
	s->slots = NULL;
}

size_t config_set_find(const struct config_set *s, uint64_t hash, config_set_equal_fn equal, const void *key,
		       const void *arg)
{
	size_t i;

	for (i = hash & s->mask; s->slots[i].index; i = (i + 1) & s->mask)
		if (s->slots[i].hash == hash && equal(key, s->slots[i].index - 1, arg))
			return s->slots[i].index - 1;
	return CONFIG_SET_NONE;
}

void config_set_add(struct config_set *s, uint64_t hash, size_t index)
{
	size_t i = hash & s->mask;

	while (s->slots[i].index)
		i = (i + 1) & s->mask;
	s->slots[i].hash = hash;
	s->slots[i].index = (uint32_t)index + 1;
}

/* ---- objects by key, kept by the running daemon: the specs are gone, 64 bits of hash stand for the key ---- */

struct index_slot {
	uint64_t hash; /* 0: empty */
	struct config_where where;
};

struct config_index {
	struct index_slot *slots;
	size_t mask;
	char **files;
	size_t n_files;
};

static uint64_t key_hash(enum object_kind kind, const void *spec)
{
	char key[OBJECT_KEY_MAX];
	int n = object_key(kind, spec, key, sizeof(key));
	uint64_t h = n < 0 ? 0 : config_hash(key, (size_t)n, kind + 1);

	return h ? h : 1;
}

static int index_init(struct config_index *x, const struct config *c)
{
	size_t n = 0, room = 16;
	unsigned int k;

	for (k = 0; k < OBJECT_COUNT; k++)
		n += c->objects[k].n;
	while (room < n * 2)
		room *= 2;
	x->slots = calloc(room, sizeof(*x->slots));
	x->files = calloc(c->n_files + 1, sizeof(*x->files));
	if (!x->slots || !x->files)
		return -ENOMEM;
	x->mask = room - 1;
	for (; x->n_files < c->n_files; x->n_files++) {
		x->files[x->n_files] = strdup(c->files[x->n_files]);
		if (!x->files[x->n_files])
			return -ENOMEM;
	}
	return 0;
}

int config_index_new(const struct config *c, struct config_index **ret)
{
	struct config_index *x = calloc(1, sizeof(*x));
	unsigned int k;
	size_t i, at;

	if (!x || index_init(x, c) < 0) {
		config_index_free(x);
		return -ENOMEM;
	}
	for (k = 0; k < OBJECT_COUNT; k++) {
		for (i = 0; i < c->objects[k].n; i++) {
			uint64_t h = key_hash(k, config_spec(c, k, i));

			for (at = h & x->mask; x->slots[at].hash; at = (at + 1) & x->mask)
				;
			x->slots[at] = (struct index_slot){ h, c->objects[k].where[i] };
		}
	}
	*ret = x;
	return 0;
}

struct config_index *config_index_free(struct config_index *x)
{
	if (!x)
		return NULL;
	while (x->n_files)
		free(x->files[--x->n_files]);
	free(x->files);
	free(x->slots);
	free(x);
	return NULL;
}

bool config_index_find(const struct config_index *x, enum object_kind kind, const void *spec, const char **ret_file,
		       unsigned int *ret_line)
{
	uint64_t h = key_hash(kind, spec);
	size_t at;

	if (!x)
		return false;
	for (at = h & x->mask; x->slots[at].hash; at = (at + 1) & x->mask) {
		if (x->slots[at].hash != h)
			continue;
		*ret_file = x->files[x->slots[at].where.file];
		*ret_line = x->slots[at].where.line;
		return true;
	}
	return false;
}
