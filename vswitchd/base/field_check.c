/* SPDX-License-Identifier: BSD-3-Clause */
/* Is a value there, is it one that the row allows? For objects that were not made from text. */
#include <string.h>

#include "base/field.h"
#include "base/field_private.h"
#include "base/str.h"

static bool is_zero(const uint8_t *p, size_t n)
{
	while (n && *p == 0)
		p++, n--;
	return n == 0;
}

static bool item_is_unset(const struct field *f, const void *place)
{
	if (f->type == FIELD_STRING || f->type == FIELD_ID)
		return *(const char *)place == '\0';
	/* BOOL and ENUM always have a value. */
	return f->type != FIELD_BOOL && f->type != FIELD_ENUM && f->type != FIELD_STRUCT &&
	       is_zero(place, f->size);
}

bool field_item_is_hole(const struct field *f, const void *place)
{
	return f->max_items && f->type != FIELD_UINT && item_is_unset(f, place);
}

/* Could field_set() have made this value? */
static bool item_in_range(const struct field *f, const void *place)
{
	const struct ip_prefix *p = place;
	const struct ip_addr *a = place;
	uint64_t v;
	unsigned int n;

	switch (f->type) {
	case FIELD_BOOL:
		return *(const uint8_t *)place <= 1;
	case FIELD_UINT:
		v = field_uint_load(f, place);
		return (v >= f->min && v <= field_uint_max(f)) || (v == 0 && f->flags & FIELD_ZERO_OK);
	case FIELD_ENUM:
		for (n = 0; f->names[n]; n++)
			;
		return field_uint_load(f, place) < n;
	case FIELD_STRING:
		return memchr(place, '\0', f->size) && str_is_text(place);
	case FIELD_ID:
		return memchr(place, '\0', f->size) && (*(const char *)place == '\0' || str_is_id(place));
	case FIELD_MAC:
		return true;
	case FIELD_IP:
		return a->family == 6 || (a->family == 4 && is_zero(a->b + 4, 12)) ||
		       is_zero(place, sizeof(*a));
	case FIELD_PREFIX:
		return (p->addr.family == 6 && p->len <= 128) ||
		       (p->addr.family == 4 && p->len <= 32 && is_zero(p->addr.b + 4, 12)) ||
		       is_zero(place, sizeof(*p));
	case FIELD_STRUCT:
		return field_check(f->sub, place, NULL) == 0;
	}
	return false;
}

static int row_check(const struct field *f, const void *obj, struct errbuf *err)
{
	char text[FIELD_ITEM_MAX] = "";
	unsigned int i, n = field_count(f, obj);
	uint16_t raw;

	if (f->max_items) {
		memcpy(&raw, (const uint8_t *)obj + f->count_offset, sizeof(raw));
		if (raw > f->max_items)
			return err_set(err, ERANGE, "%s: %u values, at most %u are allowed", f->name, raw,
				       f->max_items);
	}
	if (f->flags & FIELD_REQUIRED && (n == 0 || item_is_unset(f, field_place(f, obj, 0))))
		return err_set(err, EINVAL, "%s is missing", f->name);
	for (i = 0; i < n; i++) {
		const void *place = field_place(f, obj, i);

		if (item_in_range(f, place) && !field_item_is_hole(f, place))
			continue;
		if (f->type == FIELD_STRUCT)
			return err_prefix(err, field_check(f->sub, place, err), "%s: ", f->name);
		if (field_value_format(f, place, text, sizeof(text)) < 0)
			text[0] = '\0';
		return field_value_error(f, text, f->type == FIELD_UINT ? -ERANGE : -EINVAL, err);
	}
	return 0;
}

int field_check(const struct field *rows, const void *obj, struct errbuf *err)
{
	int r;

	for (; rows->name; rows++) {
		r = row_check(rows, obj, err);
		if (r < 0)
			return r;
	}
	return 0;
}
