/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shared by field*.c only. A "place" is where one value (a scalar or one array element) lies.
 */
#ifndef BASE_FIELD_PRIVATE_H
#define BASE_FIELD_PRIVATE_H

#include "base/field.h"

const void *field_place(const struct field *f, const void *obj, unsigned int item);

static inline void *field_place_rw(const struct field *f, void *obj, unsigned int item)
{
	return (uint8_t *)obj + f->offset + (size_t)item * f->size;
}

void field_set_count(const struct field *f, void *obj, unsigned int count);

uint64_t field_uint_load(const struct field *f, const void *place);
uint64_t field_uint_max(const struct field *f);

/* Is this an element of a list without a value? That makes no sense; a number 0 does. */
bool field_item_is_hole(const struct field *f, const void *place);

/* A reason that names row, value and what is allowed. Returns r. */
int field_value_error(const struct field *f, const char *text, int r, struct errbuf *err);

/* One value that is not a structure. When parsing fails the place has the old value, or none. */
int field_value_parse(const struct field *f, void *place, const char *text, struct errbuf *err);
int field_value_format(const struct field *f, const void *place, char *buf, size_t size);

/* One value or structure from the whole of text. */
int field_item_parse(const struct field *f, void *place, const char *text, struct errbuf *err);

void field_item_defaults(const struct field *f, void *place);
void field_row_defaults(const struct field *f, void *obj);
bool field_row_equal(const struct field *f, const void *a, const void *b);
bool field_row_is_default(const struct field *f, const void *obj);

#endif
