/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shared by field.c and field_line.c only. A "place" is where one value (a scalar or one array element) lies.
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
