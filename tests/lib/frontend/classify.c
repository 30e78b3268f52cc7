/* SPDX-License-Identifier: BSD-3-Clause */
#include "classify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int classes_init(struct classes *c, unsigned int key_len, uint32_t size)
{
	*c = (struct classes){ .key_len = key_len, .mask = size - 1 };
	c->entry = calloc(size, sizeof(*c->entry));
	return c->entry ? 0 : -ENOMEM;
}

void classes_free(struct classes *c)
{
	free(c->entry);
	c->entry = NULL;
}

void classes_reset(struct classes *c)
{
	memset(c->entry, 0, ((size_t)c->mask + 1) * sizeof(*c->entry));
	c->n = 0;
	c->other = 0;
}

/* FNV-1a */
static uint32_t hash(const uint8_t *key, unsigned int len)
{
	uint32_t h = 2166136261u;

	while (len--)
		h = (h ^ *key++) * 16777619u;
	return h;
}

void classes_add(struct classes *c, const uint8_t *key)
{
	for (uint32_t i = hash(key, c->key_len);; i++) {
		struct class_entry *e = &c->entry[i & c->mask];

		if (!e->packets) {
			if (c->n > c->mask / 4 * 3) {
				c->other++;
				return;
			}
			c->n++;
			memcpy(e->key, key, c->key_len);
		} else if (memcmp(e->key, key, c->key_len)) {
			continue;
		}
		e->packets++;
		return;
	}
}
