/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "base/field.h"
#include "base/str.h"
#include "protocol/protocol.h"

#define VALUE_MAX 512
#define ROWS_MAX  64

static struct json_object *item_to_json(const struct field *f, const void *obj, unsigned int item, bool all)
{
	char text[VALUE_MAX];
	uint64_t u;

	if (f->type == FIELD_STRUCT)
		return fields_to_json(f->sub, (const char *)obj + f->offset + (size_t)item * f->size, all);
	if (field_get(f, obj, item, text, sizeof(text)) < 0)
		return NULL;
	if (f->type == FIELD_BOOL)
		return json_object_new_boolean(strcmp(text, "true") == 0);
	/* Numbers that are shown in another base stay text. */
	if (f->type == FIELD_UINT && text[0] != '0' && parse_u64(text, 0, INT64_MAX, &u) == 0)
		return json_object_new_int64((int64_t)u);
	if (f->type == FIELD_UINT && strcmp(text, "0") == 0)
		return json_object_new_int64(0);
	return json_object_new_string(text);
}

static struct json_object *row_to_json(const struct field *f, const void *obj, bool all)
{
	struct json_object *list;

	if (!f->max_items)
		return item_to_json(f, obj, 0, all);
	list = json_object_new_array();
	for (unsigned int i = 0; list && i < field_count(f, obj); i++) {
		struct json_object *o = item_to_json(f, obj, i, all);

		if (!o || json_object_array_add(list, o) < 0) {
			json_object_put(o);
			json_object_put(list);
			return NULL;
		}
	}
	return list;
}

static bool row_is_unset(const struct field *f, const void *obj)
{
	char text[VALUE_MAX];

	if (f->max_items)
		return field_count(f, obj) == 0;
	return f->type != FIELD_STRUCT && field_get(f, obj, 0, text, sizeof(text)) >= 0 && !*text;
}

struct json_object *fields_to_json(const struct field *rows, const void *spec, bool all)
{
	struct json_object *o = json_object_new_object();

	for (; o && rows->name; rows++) {
		struct json_object *v;

		if (!all && row_is_unset(rows, spec))
			continue;
		v = row_to_json(rows, spec, all);
		if (!v || json_object_object_add(o, rows->name, v) < 0) {
			json_object_put(v);
			json_object_put(o);
			return NULL;
		}
	}
	return o;
}

static int unknown(const struct field *rows, const char *name, struct errbuf *err)
{
	const char *names[ROWS_MAX];
	const char *near;
	unsigned int n = 0;

	for (; rows->name && n < ROWS_MAX - 1; rows++)
		names[n++] = rows->name;
	names[n] = NULL;
	near = str_nearest(name, names);
	if (near)
		return err_set(err, EINVAL, "unknown member \"%s\": did you mean \"%s\"?", name, near);
	return err_set(err, EINVAL, "unknown member \"%s\"", name);
}

static int item_from_json(const struct field *f, void *spec, unsigned int item, struct json_object *v,
			  struct errbuf *err)
{
	if (f->type == FIELD_STRUCT) {
		char *place = (char *)spec + f->offset + (size_t)item * f->size;
		uint16_t count = (uint16_t)(item + 1);

		if (!json_object_is_type(v, json_type_object))
			return err_set(err, EINVAL, "%s: an object is wanted", f->name);
		if (item >= f->max_items)
			return err_set(err, EINVAL, "%s: at most %u entries are allowed", f->name, f->max_items);
		field_defaults(f->sub, place, f->size);
		memcpy((char *)spec + f->count_offset, &count, sizeof(count));
		return fields_from_json(f->sub, place, v, err);
	}
	if (json_object_is_type(v, json_type_object) || json_object_is_type(v, json_type_array))
		return err_set(err, EINVAL, "%s: a single value is wanted", f->name);
	if (json_object_is_type(v, json_type_null))
		return 0;
	return field_set(f, spec, item, json_object_get_string(v), err);
}

static int row_from_json(const struct field *f, void *spec, struct json_object *v, struct errbuf *err)
{
	uint16_t zero = 0;
	size_t n;
	int r;

	if (!f->max_items)
		return item_from_json(f, spec, 0, v, err);
	memcpy((char *)spec + f->count_offset, &zero, sizeof(zero));
	if (!json_object_is_type(v, json_type_array))
		return item_from_json(f, spec, 0, v, err);
	n = json_object_array_length(v);
	for (size_t i = 0; i < n; i++) {
		r = item_from_json(f, spec, (unsigned int)i, json_object_array_get_idx(v, i), err);
		if (r < 0)
			return r;
	}
	return 0;
}

int fields_from_json(const struct field *rows, void *spec, struct json_object *json, struct errbuf *err)
{
	if (!json_object_is_type(json, json_type_object))
		return err_set(err, EINVAL, "an object is wanted");
	json_object_object_foreach(json, name, v)
	{
		const struct field *f = field_find(rows, name);
		int r;

		if (!f)
			return unknown(rows, name, err);
		if (f->flags & FIELD_STATE)
			continue;
		r = row_from_json(f, spec, v, err);
		if (r < 0)
			return r;
	}
	return 0;
}
