/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Structures described by tables. One row per member {name, type, place, range, default, text}; the config
 * parser, the control protocol, the store, the CLI's help, the man page and `show` are all driven by the rows.
 */
#ifndef BASE_FIELD_H
#define BASE_FIELD_H

#include <stddef.h>
#include <stdint.h>

#include "base/errs.h"

enum field_type {
	FIELD_BOOL,   /* bool */
	FIELD_UINT,   /* uint8_t, 16, 32 or 64 by size; min..max */
	FIELD_STRING, /* char[size] */
	FIELD_ID,     /* char[size], str_is_id() */
	FIELD_MAC,    /* struct mac */
	FIELD_IP,     /* struct ip_addr */
	FIELD_PREFIX, /* struct ip_prefix */
	FIELD_ENUM,   /* uint8_t, index into names[] */
	FIELD_STRUCT, /* a structure described by sub[] (only as a list) */
};

#define FIELD_KEY      0x01 /* identifies the object */
#define FIELD_REQUIRED 0x02
#define FIELD_RELOAD   0x04 /* may change by reload without a restart (settings only; objects may always change) */
#define FIELD_STATE    0x08 /* reported, never set */
#define FIELD_ZERO_OK  0x10 /* 0 is allowed although min is larger */

struct field {
	const char *name; /* as users write it: lower case, hyphens */
	enum field_type type;
	uint16_t offset;	/* of the member (or of element 0 of the array) */
	uint16_t size;		/* bytes of one element */
	uint16_t max_items;	/* 0: scalar; else array of so many */
	uint16_t count_offset;	/* of the uint16_t count of an array */
	uint16_t flags;		/* FIELD_* */
	uint64_t min, max;	/* FIELD_UINT */
	const char *const *names; /* FIELD_ENUM: NULL-terminated */
	const struct field *sub;  /* FIELD_STRUCT: rows ended by a row with name NULL */
	const char *def;	/* default as text, or NULL: zero */
	const char *text;	/* one sentence for man page and help */
};

/*
 * Set one value (scalar, or element `item` of an array whose count is raised as needed) from text.
 * @return 0, or -EINVAL, -ERANGE, -ENAMETOOLONG, -E2BIG (list full) with a reason naming value and what is allowed.
 */
int field_set(const struct field *f, void *obj, unsigned int item, const char *text, struct errbuf *err);

/* Write a value as text. @return length, or -ENOSPC. An unset value is "". */
int field_get(const struct field *f, const void *obj, unsigned int item, char *buf, size_t size);

/* Number of elements: 1 for a scalar, the count for an array. */
unsigned int field_count(const struct field *f, const void *obj);

/* The row of a name, or NULL. */
const struct field *field_find(const struct field *rows, const char *name);

/* Zero the object and apply the defaults of its rows. */
void field_defaults(const struct field *rows, void *obj, size_t size);

/* Are all FIELD_REQUIRED and FIELD_KEY values set? @return 0 or -EINVAL naming the missing field. */
int field_check(const struct field *rows, const void *obj, struct errbuf *err);

/* Equality of all rows that are not FIELD_STATE. */
int field_equal(const struct field *rows, const void *a, const void *b);

/* What a row allows, for messages and manuals: "true|false", "4096..16777214", "nvgre|vxlan", "address"... */
int field_allowed(const struct field *f, char *buf, size_t size);

/*
 * A whole object as one line `name=value name=[a,b] name=[{x=1 y=2},{...}]`, rows that equal their default are left
 * out, FIELD_STATE rows too. Strings with blanks or brackets are quoted. field_read() parses it back: what
 * field_write() wrote reads to an equal object (the store depends on it).
 */
int field_write(const struct field *rows, const void *obj, char *buf, size_t size);
int field_read(const struct field *rows, void *obj, const char *text, struct errbuf *err);

#endif
