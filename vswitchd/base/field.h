/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Structures described by tables. One row per member {name, type, place, range, default, text}; the config
 * parser, the control protocol, the store, the CLI's help, the man page and `show` are all driven by the
 * rows.
 */
#ifndef BASE_FIELD_H
#define BASE_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errs.h"

enum field_type {
	FIELD_BOOL,   /* bool */
	FIELD_UINT,   /* uint8_t, 16, 32 or 64 by size; min..max */
	FIELD_STRING, /* char[size], str_is_text() */
	FIELD_ID,     /* char[size], str_is_id() or empty */
	FIELD_MAC,    /* struct mac */
	FIELD_IP,     /* struct ip_addr */
	FIELD_PREFIX, /* struct ip_prefix */
	FIELD_ENUM,   /* uint8_t, index into names[] */
	FIELD_STRUCT, /* a structure described by sub[] (only as a list) */
};

#define FIELD_KEY      0x01 /* identifies the object */
#define FIELD_REQUIRED 0x02
#define FIELD_RELOAD   0x04 /* may change by reload without restart (settings; objects always may) */
#define FIELD_STATE    0x08 /* reported, never set */
#define FIELD_ZERO_OK  0x10 /* 0 is allowed although min is larger */
#define FIELD_OCTAL    0x20 /* FIELD_UINT as file rights: 0660 */

/* Bytes of the largest array element and of the longest string, both with room. */
#define FIELD_ITEM_MAX 512

struct field {
	const char *name; /* as users write it: lower case, hyphens */
	enum field_type type;
	uint16_t offset;	/* of the member (or of element 0 of the array) */
	uint16_t size;		/* bytes of one element */
	uint16_t max_items;	/* 0: scalar; else array of so many */
	uint16_t count_offset;	/* of the uint16_t count of an array */
	uint16_t flags;		/* FIELD_* */
	uint64_t min, max;	/* FIELD_UINT; max 0: as large as size allows */
	const char *const *names; /* FIELD_ENUM: NULL-terminated */
	const struct field *sub;  /* FIELD_STRUCT: rows ended by a row with name NULL */
	const char *def;	/* default as text, or NULL: zero; arrays have none: empty */
	const char *text;	/* one sentence for man page and help */
};

/*
 * All functions are pure (no state of their own, no allocation): any thread. Rows end with a row whose name
 * is NULL, at most 64 of them. Values that come from outside are never trusted; the rows are.
 */

/*
 * Set one value (scalar, or element `item` of an array whose count is raised as needed) from text. "" unsets
 * an address or a string, but not in a list. A structure is given as "{x=1 y=2}", the braces may be left out;
 * text without '=' sets its first row.
 * @return 0, or -EINVAL, -ERANGE, -ENAMETOOLONG, -E2BIG (list full) with a reason naming value and what is
 * allowed; the object is unchanged then.
 */
int field_set(const struct field *f, void *obj, unsigned int item, const char *text, struct errbuf *err);

/*
 * Write a value as text. @return length, or -ENOSPC. An unset value is "", so is an element beyond the count.
 */
int field_get(const struct field *f, const void *obj, unsigned int item, char *buf, size_t size);

/* Number of elements: 1 for a scalar, the count for an array. */
unsigned int field_count(const struct field *f, const void *obj);

/* The value of a FIELD_UINT, FIELD_ENUM or FIELD_BOOL scalar or element, whatever its size. */
uint64_t field_uint(const struct field *f, const void *obj, unsigned int item);

/* The row of a name, or NULL. */
const struct field *field_find(const struct field *rows, const char *name);

/* Zero the object and apply the defaults of its rows. */
void field_defaults(const struct field *rows, void *obj, size_t size);

/*
 * Are all FIELD_REQUIRED values set (numbers: not 0, lists: not empty) and all values inside their rows'
 * ranges? The second for objects that were not made by field_set(). A key that may be absent (a record's CA)
 * is FIELD_KEY without FIELD_REQUIRED. @return 0, or -EINVAL, -ERANGE naming the field.
 */
int field_check(const struct field *rows, const void *obj, struct errbuf *err);

/* Equality of all rows that are not FIELD_STATE; lists in order. */
bool field_equal(const struct field *rows, const void *a, const void *b);

/* What a row allows, for messages and manuals: "true|false", "4096..16777214", "nvgre|vxlan", "address"...
 * @return length, or -ENOSPC. */
int field_allowed(const struct field *f, char *buf, size_t size);

/*
 * A whole object as one line `name=value name=[a,b] name=[{x=1 y=2},{...}]`, rows that equal their default
 * are left out, FIELD_STATE rows too. Strings with blanks, brackets or the like are quoted. field_read()
 * parses it back: what field_write() wrote of an object that passes field_check() reads to an equal object
 * (the store depends on it). field_write returns the length or -ENOSPC. field_read first gives all rows their
 * defaults, refuses unknown, repeated and FIELD_STATE names, and leaves the object half filled when it
 * returns an error (codes of field_set). field_read_over is field_read without the defaults: rows that the line
 * does not name keep their values, a list it names is replaced.
 */
int field_write(const struct field *rows, const void *obj, char *buf, size_t size);
int field_read(const struct field *rows, void *obj, const char *text, struct errbuf *err);
int field_read_over(const struct field *rows, void *obj, const char *text, struct errbuf *err);

#endif
