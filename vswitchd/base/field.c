/* SPDX-License-Identifier: BSD-3-Clause */
/* Values: text to member and back, defaults, equality. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/field.h"
#include "base/field_private.h"
#include "base/str.h"

uint64_t field_uint_max(const struct field *f)
{
	if (f->max)
		return f->max;
	return f->size == 8 ? UINT64_MAX : (UINT64_C(1) << (8 * f->size)) - 1;
}

uint64_t field_uint_load(const struct field *f, const void *place)
{
	uint64_t v = 0;

	assert(f->size <= sizeof(v));
	memcpy(&v, place, f->size); /* little endian */
	return v;
}

static void uint_store(const struct field *f, void *place, uint64_t v)
{
	memcpy(place, &v, f->size);
}

const void *field_place(const struct field *f, const void *obj, unsigned int item)
{
	return (const uint8_t *)obj + f->offset + (size_t)item * f->size;
}

unsigned int field_count(const struct field *f, const void *obj)
{
	uint16_t n;

	if (!f->max_items)
		return 1;
	memcpy(&n, (const uint8_t *)obj + f->count_offset, sizeof(n));
	return n < f->max_items ? n : f->max_items;
}

void field_set_count(const struct field *f, void *obj, unsigned int count)
{
	uint16_t n = (uint16_t)count;

	memcpy((uint8_t *)obj + f->count_offset, &n, sizeof(n));
}

uint64_t field_uint(const struct field *f, const void *obj, unsigned int item)
{
	return field_uint_load(f, field_place(f, obj, item));
}

const struct field *field_find(const struct field *rows, const char *name)
{
	for (; rows->name; rows++)
		if (strcmp(rows->name, name) == 0)
			return rows;
	return NULL;
}

static int uint_allowed(const struct field *f, char *buf, size_t size)
{
	const char *zero = (f->flags & FIELD_ZERO_OK) && f->min > 0 ? "0 or " : "";

	if (f->flags & FIELD_OCTAL)
		return snprintf(buf, size, "%s%04llo..%04llo", zero, (unsigned long long)f->min,
				(unsigned long long)field_uint_max(f));
	return snprintf(buf, size, "%s%llu..%llu", zero, (unsigned long long)f->min,
			(unsigned long long)field_uint_max(f));
}

static int names_allowed(const struct field *f, char *buf, size_t size)
{
	int n = 0;
	unsigned int i;

	for (i = 0; f->names[i]; i++)
		n += snprintf(buf + ((size_t)n < size ? (size_t)n : size),
			      (size_t)n < size ? size - (size_t)n : 0, "%s%s", i ? "|" : "", f->names[i]);
	return n;
}

static int rows_allowed(const struct field *rows, char *buf, size_t size)
{
	size_t used = 0;
	int n;

	for (; rows->name; rows++) {
		n = snprintf(buf + used, size - used, "%s%s=", used ? " " : "{", rows->name);
		if (n < 0 || (size_t)n >= size - used)
			return -ENOSPC;
		used += (size_t)n;
		n = field_allowed(rows, buf + used, size - used);
		if (n < 0)
			return n;
		used += (size_t)n;
	}
	n = snprintf(buf + used, size - used, "}");
	return (int)used + n;
}

static int value_allowed(const struct field *f, char *buf, size_t size)
{
	switch (f->type) {
	case FIELD_BOOL:
		return snprintf(buf, size, "true|false");
	case FIELD_UINT:
		return uint_allowed(f, buf, size);
	case FIELD_STRING:
		return snprintf(buf, size, "text of at most %u bytes", f->size - 1);
	case FIELD_ID:
		return snprintf(buf, size, "name of at most %u characters A-Z a-z 0-9 . _ : -",
				f->size - 1 < 63 ? f->size - 1 : 63);
	case FIELD_MAC:
		return snprintf(buf, size, "MAC address");
	case FIELD_IP:
		return snprintf(buf, size, "address");
	case FIELD_PREFIX:
		return snprintf(buf, size, "address/length");
	case FIELD_ENUM:
		return names_allowed(f, buf, size);
	case FIELD_STRUCT:
		return rows_allowed(f->sub, buf, size);
	}
	return -EINVAL;
}

int field_allowed(const struct field *f, char *buf, size_t size)
{
	int n = value_allowed(f, buf, size), more = 0;

	if (n >= 0 && (size_t)n < size && f->max_items)
		more = snprintf(buf + n, size - (size_t)n, ", up to %u of them", f->max_items);
	return n < 0 || (size_t)(n + more) >= size ? -ENOSPC : n + more;
}

/* What a value of such a type is, which says more than what is allowed. NULL: its limits do. */
static const char *type_name(enum field_type type)
{
	switch (type) {
	case FIELD_IP:
		return "an IPv4 or IPv6 address";
	case FIELD_PREFIX:
		return "an IPv4 or IPv6 address with a prefix length (10.0.0.0/24)";
	case FIELD_MAC:
		return "a MAC address (02:00:00:00:00:01)";
	default:
		return NULL;
	}
}

int field_value_error(const struct field *f, const char *text, int r, struct errbuf *err)
{
	const char *what = r == -ERANGE		? "is out of range"
			   : r == -ENAMETOOLONG ? "is too long"
						: "is not valid";
	const char *near = f->type == FIELD_ENUM ? str_nearest(text, f->names) : NULL;
	char allowed[256] = "", shown[64];

	if (type_name(f->type))
		return err_set(err, -r, "%s: '%s' is not %s", f->name, str_visible(text, shown, sizeof(shown)),
			       type_name(f->type));
	if (value_allowed(f, allowed, sizeof(allowed)) < 0)
		allowed[0] = '\0';
	return err_set(err, -r, "%s: '%s' %s, allowed: %s%s%s%s", f->name,
		       str_visible(text, shown, sizeof(shown)), what, allowed, near ? " (did you mean '" : "",
		       near ? near : "", near ? "'?)" : "");
}

static int parse_uint(const struct field *f, void *place, const char *text)
{
	uint64_t v;
	int r;

	r = (f->flags & FIELD_OCTAL ? parse_octal : parse_u64)(text, 0, UINT64_MAX, &v);
	if (r < 0)
		return r;
	if ((v < f->min && !(v == 0 && f->flags & FIELD_ZERO_OK)) || v > field_uint_max(f))
		return -ERANGE;
	uint_store(f, place, v);
	return 0;
}

static int parse_enum(const struct field *f, void *place, const char *text)
{
	unsigned int i;

	for (i = 0; f->names[i]; i++) {
		if (strcmp(f->names[i], text) == 0) {
			uint_store(f, place, i);
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_string(const struct field *f, void *place, const char *text)
{
	if (f->type == FIELD_ID ? (*text && !str_is_id(text)) : !str_is_text(text))
		return -EINVAL;
	if (strlen(text) >= f->size)
		return -ENAMETOOLONG;
	/* All bytes, so that nothing of the old value stays behind the end. */
	memset(place, 0, f->size);
	memcpy(place, text, strlen(text));
	return 0;
}

/* Parse into a place of f->size bytes, untouched on error. */
static int value_parse(const struct field *f, void *place, const char *text)
{
	bool b;
	int r;

	switch (f->type) {
	case FIELD_BOOL:
		r = parse_bool(text, &b);
		if (r == 0)
			memcpy(place, &b, sizeof(b));
		return r;
	case FIELD_UINT:
		return parse_uint(f, place, text);
	case FIELD_ENUM:
		return parse_enum(f, place, text);
	case FIELD_STRING:
	case FIELD_ID:
		return parse_string(f, place, text);
	case FIELD_MAC:
	case FIELD_IP:
	case FIELD_PREFIX:
		if (!*text) {
			memset(place, 0, f->size);
			return 0;
		}
		return f->type == FIELD_MAC  ? parse_mac(text, place)
		       : f->type == FIELD_IP ? parse_ip(text, place)
					     : parse_prefix(text, place);
	case FIELD_STRUCT:
		break;
	}
	return -EINVAL;
}

int field_value_parse(const struct field *f, void *place, const char *text, struct errbuf *err)
{
	int r = value_parse(f, place, text);

	if (r == 0 && field_item_is_hole(f, place))
		r = -EINVAL;
	return r < 0 ? field_value_error(f, text, r, err) : 0;
}

int field_value_format(const struct field *f, const void *place, char *buf, size_t size)
{
	char text[FIELD_ITEM_MAX] = "";
	uint64_t v;
	int n;

	switch (f->type) {
	case FIELD_BOOL:
		n = snprintf(buf, size, "%s", *(const uint8_t *)place ? "true" : "false");
		break;
	case FIELD_UINT:
		v = field_uint_load(f, place);
		n = snprintf(buf, size, f->flags & FIELD_OCTAL ? "%04llo" : "%llu", (unsigned long long)v);
		break;
	case FIELD_ENUM:
		v = field_uint_load(f, place);
		for (n = 0; f->names[n] && (uint64_t)n < v; n++)
			;
		n = snprintf(buf, size, "%s", f->names[n] ? f->names[n] : "");
		break;
	case FIELD_STRING:
	case FIELD_ID:
		n = snprintf(buf, size, "%.*s", (int)f->size, (const char *)place);
		break;
	case FIELD_MAC:
		n = snprintf(buf, size, "%s", format_mac(place, text));
		break;
	case FIELD_IP:
		n = snprintf(buf, size, "%s", format_ip(place, text));
		break;
	case FIELD_PREFIX:
		n = snprintf(buf, size, "%s", format_prefix(place, text));
		break;
	default:
		return -EINVAL;
	}
	return n < 0 || (size_t)n >= size ? -ENOSPC : n;
}

int field_set(const struct field *f, void *obj, unsigned int item, const char *text, struct errbuf *err)
{
	uint8_t tmp[FIELD_ITEM_MAX] __attribute__((aligned(8)));
	unsigned int count = field_count(f, obj), i;
	int r;

	if (f->flags & FIELD_STATE)
		return err_set(err, EINVAL, "%s: is reported by the switch and cannot be set", f->name);
	if (item >= (f->max_items ? f->max_items : 1u))
		return err_set(err, E2BIG, "%s: at most %u values are allowed", f->name,
			       f->max_items ? f->max_items : 1u);
	assert(f->size <= sizeof(tmp));
	r = field_item_parse(f, tmp, text, err);
	if (r < 0)
		return r;
	for (i = count; i < item; i++)
		field_item_defaults(f, field_place_rw(f, obj, i));
	memcpy(field_place_rw(f, obj, item), tmp, f->size);
	if (f->max_items && item >= count)
		field_set_count(f, obj, item + 1);
	return 0;
}

void field_item_defaults(const struct field *f, void *place)
{
	int r;

	memset(place, 0, f->size);
	if (f->type == FIELD_STRUCT) {
		field_defaults(f->sub, place, f->size);
	} else if (f->def) {
		r = value_parse(f, place, f->def);
		assert(r == 0); /* a default that does not parse is a mistake in the table */
		(void)r;
	}
}

void field_row_defaults(const struct field *f, void *obj)
{
	if (f->max_items) {
		memset(field_place_rw(f, obj, 0), 0, (size_t)f->size * f->max_items);
		field_set_count(f, obj, 0);
	} else {
		field_item_defaults(f, field_place_rw(f, obj, 0));
	}
}

void field_defaults(const struct field *rows, void *obj, size_t size)
{
	memset(obj, 0, size);
	for (; rows->name; rows++)
		field_row_defaults(rows, obj);
}

static bool item_equal(const struct field *f, const void *a, const void *b)
{
	if (f->type == FIELD_STRUCT)
		return field_equal(f->sub, a, b);
	if (f->type == FIELD_STRING || f->type == FIELD_ID)
		return strncmp(a, b, f->size) == 0;
	return memcmp(a, b, f->size) == 0;
}

bool field_row_equal(const struct field *f, const void *a, const void *b)
{
	unsigned int i, n = field_count(f, a);

	if (n != field_count(f, b))
		return false;
	for (i = 0; i < n; i++)
		if (!item_equal(f, field_place(f, a, i), field_place(f, b, i)))
			return false;
	return true;
}

bool field_equal(const struct field *rows, const void *a, const void *b)
{
	for (; rows->name; rows++)
		if (!(rows->flags & FIELD_STATE) && !field_row_equal(rows, a, b))
			return false;
	return true;
}

bool field_row_is_default(const struct field *f, const void *obj)
{
	uint8_t tmp[FIELD_ITEM_MAX] __attribute__((aligned(8)));

	if (f->max_items)
		return field_count(f, obj) == 0;
	assert(f->size <= sizeof(tmp));
	field_item_defaults(f, tmp);
	return item_equal(f, field_place(f, obj, 0), tmp);
}
