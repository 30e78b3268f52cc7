/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lists of objects with their origins, as structures of their own type side by side (teaming takes them like that),
 * and the difference of two such lists. Pure data, any thread.
 */
#ifndef DAEMON_OBJECTS_H
#define DAEMON_OBJECTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/object.h"

struct object_list {
	enum object_kind kind;
	size_t n, room;
	uint8_t *specs;	  /* n * object_types[kind].size */
	uint8_t *origins; /* n, enum origin */
};

#define OBJECT_NONE ((size_t)-1)

static inline void *object_list_spec(const struct object_list *l, size_t i)
{
	return l->specs + i * object_types[l->kind].size;
}

void object_list_done(struct object_list *l);
int object_list_add(struct object_list *l, const void *spec, enum origin origin); /* 0, -ENOMEM */
void object_list_remove(struct object_list *l, size_t i);			   /* keeps the order */
int object_list_copy(struct object_list *ret, const struct object_list *l);	   /* 0, -ENOMEM */

/* Index of the object with the key of spec, or OBJECT_NONE; compares one after the other. */
size_t object_list_find(const struct object_list *l, const void *spec);

/* What leads from `from` to `to`: as WireGuard's syncconf, both sorted by key and merged. */
enum object_change { OBJECT_ADDED, OBJECT_CHANGED, OBJECT_REMOVED };

struct object_diff {
	size_t n, room;
	struct {
		enum object_change change;
		const void *from, *to; /* point into the lists; NULL where there is none */
	} *steps;
};

/* @param ret freed by free(ret->steps). Keys must be unique within a list. @return 0, -ENOMEM. */
int object_diff(const struct object_list *from, const struct object_list *to, struct object_diff *ret);

#endif
