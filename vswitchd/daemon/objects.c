/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/objects.h"


void object_list_done(struct object_list *l)
{
	free(l->specs);
	free(l->origins);
	*l = (struct object_list){ .kind = l->kind };
}

static int reserve(struct object_list *l, size_t n)
{
	size_t room = l->room ? l->room : 8;
	void *p;

	if (n <= l->room)
		return 0;
	while (room < n)
		room *= 2;
	p = reallocarray(l->specs, room, object_types[l->kind].size);
	if (!p)
		return -ENOMEM;
	l->specs = p;
	p = realloc(l->origins, room);
	if (!p)
		return -ENOMEM;
	l->origins = p;
	l->room = room;
	return 0;
}

int object_list_add(struct object_list *l, const void *spec, enum origin origin)
{
	int r = reserve(l, l->n + 1);

	if (r < 0)
		return r;
	memcpy(object_list_spec(l, l->n), spec, object_types[l->kind].size);
	l->origins[l->n++] = (uint8_t)origin;
	return 0;
}

void object_list_remove(struct object_list *l, size_t i)
{
	size_t size = object_types[l->kind].size, after = --l->n - i;

	memmove(l->specs + i * size, l->specs + (i + 1) * size, after * size);
	memmove(l->origins + i, l->origins + i + 1, after);
}

int object_list_copy(struct object_list *ret, const struct object_list *l)
{
	struct object_list copy = { .kind = l->kind };

	if (reserve(&copy, l->n ? l->n : 1) < 0) {
		object_list_done(&copy);
		return -ENOMEM;
	}
	if (l->n) {
		memcpy(copy.specs, l->specs, l->n * object_types[l->kind].size);
		memcpy(copy.origins, l->origins, l->n);
	}
	copy.n = l->n;
	*ret = copy;
	return 0;
}

size_t object_list_find(const struct object_list *l, const void *spec)
{
	char key[OBJECT_KEY_MAX], other[OBJECT_KEY_MAX];
	size_t i;

	if (object_key(l->kind, spec, key, sizeof(key)) < 0)
		return OBJECT_NONE;
	for (i = 0; i < l->n; i++)
		if (object_key(l->kind, object_list_spec(l, i), other, sizeof(other)) >= 0 && strcmp(key, other) == 0)
			return i;
	return OBJECT_NONE;
}

/* ---- difference ---- */

struct keyed {
	char *key;
	const void *spec;
};

static int by_key(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;

	return strcmp(x->key, y->key);
}

static void keyed_free(struct keyed *k, size_t n)
{
	while (k && n)
		free(k[--n].key);
	free(k);
}

static struct keyed *sorted(const struct object_list *l)
{
	struct keyed *k = calloc(l->n + 1, sizeof(*k));
	char key[OBJECT_KEY_MAX];
	size_t i;

	for (i = 0; k && i < l->n; i++) {
		k[i].spec = object_list_spec(l, i);
		k[i].key = object_key(l->kind, k[i].spec, key, sizeof(key)) < 0 ? NULL : strdup(key);
		if (!k[i].key) {
			keyed_free(k, i);
			return NULL;
		}
	}
	if (k)
		qsort(k, l->n, sizeof(*k), by_key);
	return k;
}

static int step(struct object_diff *d, enum object_change change, const void *from, const void *to)
{
	if (d->n == d->room) {
		size_t room = d->room ? d->room * 2 : 16;
		void *p = reallocarray(d->steps, room, sizeof(*d->steps));

		if (!p)
			return -ENOMEM;
		d->steps = p;
		d->room = room;
	}
	d->steps[d->n].change = change;
	d->steps[d->n].from = from;
	d->steps[d->n++].to = to;
	return 0;
}

static int merge(enum object_kind kind, const struct keyed *a, size_t n_a, const struct keyed *b, size_t n_b,
		 struct object_diff *d)
{
	size_t i = 0, j = 0;
	int r = 0;

	while (r == 0 && (i < n_a || j < n_b)) {
		int order = i == n_a ? 1 : j == n_b ? -1 : strcmp(a[i].key, b[j].key);

		if (order < 0) {
			r = step(d, OBJECT_REMOVED, a[i++].spec, NULL);
		} else if (order > 0) {
			r = step(d, OBJECT_ADDED, NULL, b[j++].spec);
		} else {
			if (!field_equal(object_types[kind].fields, a[i].spec, b[j].spec))
				r = step(d, OBJECT_CHANGED, a[i].spec, b[j].spec);
			i++;
			j++;
		}
	}
	return r;
}

int object_diff(const struct object_list *from, const struct object_list *to, struct object_diff *ret)
{
	struct keyed *a = sorted(from), *b = sorted(to);
	struct object_diff d = { 0 };
	int r = a && b ? merge(from->kind, a, from->n, b, to->n, &d) : -ENOMEM;

	keyed_free(a, a ? from->n : 0);
	keyed_free(b, b ? to->n : 0);
	if (r < 0)
		free(d.steps);
	else
		*ret = d;
	return r;
}
