/* SPDX-License-Identifier: BSD-3-Clause */
/* Text to entries of the owner's: a chained hash table that grows. One thread. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

/* First member of every entry. The key is the entry's own, malloc'ed. */
struct map_entry {
	struct map_entry *next;
	char *key;
	uint32_t hash;
};

struct map {
	struct map_entry **slots;
	size_t n_slots, n;
};

void *map_find(const struct map *m, const char *key);
/* Find, or make a zeroed entry of `size` bytes. NULL: no memory. */
void *map_make(struct map *m, const char *key, size_t size);
/* Take an entry out and free it and its key. */
void map_remove(struct map *m, void *entry);
/* Visit: the entry in *slot and after `after` (NULL: from the beginning). Entries may be removed behind the visitor. */
void *map_next(const struct map *m, const void *after);
void map_free(struct map *m);

#endif
