/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "base/flowhash.h"
#include "policy/names.h"

int names_init(struct names *n, uint32_t max, const char *(*id_of)(const void *owner, uint32_t index),
	       const void *owner)
{
	uint32_t slots = 16;

	while (slots < 2 * max)
		slots *= 2;
	*n = (struct names){ .id_of = id_of, .owner = owner, .mask = slots - 1 };
	if (mem_alloc(&n->mem, slots * sizeof(uint32_t), -1, false) < 0)
		return -ENOMEM;
	n->slots = n->mem.p;
	return 0;
}

void names_fini(struct names *n)
{
	mem_free(&n->mem);
	*n = (struct names){ 0 };
}

static uint32_t home_of(const struct names *n, const char *id)
{
	size_t len = strlen(id);
	uint64_t h = len ^ FLOWHASH_K2;

	for (size_t i = 0; i < len; i += 8) {
		uint64_t w = 0;

		memcpy(&w, id + i, len - i < 8 ? len - i : 8);
		h = flowhash_mix(h ^ w, FLOWHASH_K1);
	}
	return (uint32_t)h & n->mask;
}

uint32_t names_find(const struct names *n, const char *id)
{
	for (uint32_t i = home_of(n, id); n->slots[i]; i = (i + 1) & n->mask)
		if (strcmp(n->id_of(n->owner, n->slots[i] - 1), id) == 0)
			return n->slots[i] - 1;
	return NAMES_NONE;
}

void names_add(struct names *n, uint32_t index)
{
	uint32_t i = home_of(n, n->id_of(n->owner, index));

	while (n->slots[i])
		i = (i + 1) & n->mask;
	n->slots[i] = index + 1;
	n->count++;
}

void names_remove(struct names *n, uint32_t index)
{
	uint32_t hole = home_of(n, n->id_of(n->owner, index)), i, home;

	while (n->slots[hole] != index + 1)
		hole = (hole + 1) & n->mask;
	/* What follows without a gap moves up, unless that would put it before its home. */
	for (i = (hole + 1) & n->mask; n->slots[i]; i = (i + 1) & n->mask) {
		home = home_of(n, n->id_of(n->owner, n->slots[i] - 1));
		if (((i - home) & n->mask) >= ((i - hole) & n->mask)) {
			n->slots[hole] = n->slots[i];
			hole = i;
		}
	}
	n->slots[hole] = 0;
	n->count--;
}
