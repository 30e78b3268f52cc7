/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Objects as lines of text. Grammar:
 *
 *	line   = { name "=" ( value | "[" [ value { "," value } ] "]" ) }     blanks between the pairs
 *	value  = "{" line "}" | '"' { character | '\' character } '"' | bare
 *	bare   = one or more characters, no blanks, none of ]}" and in a list no comma
 */
#include <stdio.h>
#include <string.h>

#include "base/field.h"
#include "base/field_private.h"
#include "base/str.h"

#define BLANKS " \t\n"

/* What has to be quoted so that no reader can take it for structure. */
#define SPECIAL BLANKS "[]{},=\"\\"

/* Writer that remembers overflow, so that callers check once. */
struct out {
	char *buf;
	size_t size, len;
};

static void put(struct out *o, const char *s, size_t n)
{
	if (o->len < o->size && n < o->size - o->len)
		memcpy(o->buf + o->len, s, n);
	else
		o->size = 0;
	o->len += n;
}

static void put_str(struct out *o, const char *s)
{
	put(o, s, strlen(s));
}

static void put_quoted(struct out *o, const char *s)
{
	put(o, "\"", 1);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			put(o, "\\", 1);
		put(o, s, 1);
	}
	put(o, "\"", 1);
}

static void put_rows(struct out *o, const struct field *rows, const void *obj);

static void put_item(struct out *o, const struct field *f, const void *place)
{
	char text[FIELD_ITEM_MAX];

	if (f->type == FIELD_STRUCT) {
		put(o, "{", 1);
		put_rows(o, f->sub, place);
		put(o, "}", 1);
	} else if (field_value_format(f, place, text, sizeof(text)) < 0) {
		o->size = 0;
	} else if (!*text || strpbrk(text, SPECIAL)) {
		put_quoted(o, text);
	} else {
		put_str(o, text);
	}
}

static void put_rows(struct out *o, const struct field *rows, const void *obj)
{
	const char *blank = "";
	unsigned int i, n;

	for (; rows->name; rows++) {
		if (rows->flags & FIELD_STATE || field_row_is_default(rows, obj))
			continue;
		put_str(o, blank);
		blank = " ";
		put_str(o, rows->name);
		put(o, "=", 1);
		if (rows->max_items)
			put(o, "[", 1);
		n = field_count(rows, obj);
		for (i = 0; i < n; i++) {
			if (i)
				put(o, ",", 1);
			put_item(o, rows, field_place(rows, obj, i));
		}
		if (rows->max_items)
			put(o, "]", 1);
	}
}

static int finish(struct out *o)
{
	if (o->len >= o->size)
		return -ENOSPC;
	o->buf[o->len] = '\0';
	return (int)o->len;
}

int field_write(const struct field *rows, const void *obj, char *buf, size_t size)
{
	struct out o = { .buf = buf, .size = size };

	put_rows(&o, rows, obj);
	return finish(&o);
}

int field_get(const struct field *f, const void *obj, unsigned int item, char *buf, size_t size)
{
	struct out o = { .buf = buf, .size = size };

	if (item >= field_count(f, obj))
		return finish(&o);
	if (f->type != FIELD_STRUCT)
		return field_value_format(f, field_place(f, obj, item), buf, size);
	put_item(&o, f, field_place(f, obj, item));
	return finish(&o);
}

static void skip_blanks(const char **s)
{
	*s += strspn(*s, BLANKS);
}

/* Read a quoted or bare value into buf; a bare one ends before a character of `stop`. */
static int read_token(const char **s, const char *stop, char *buf, size_t size, struct errbuf *err)
{
	const char *p = *s;
	size_t n = 0;

	if (*p != '"') {
		n = strcspn(p, stop);
		if (n == 0)
			return err_set(err, EINVAL, "value is missing");
		if (n >= size)
			return err_set(err, ENAMETOOLONG, "value of %zu bytes is too long", n);
		memcpy(buf, p, n);
		buf[n] = '\0';
		*s = p + n;
		return 0;
	}
	for (p++; *p && *p != '"'; p++) {
		if (*p == '\\' && p[1])
			p++;
		if (n + 1 >= size)
			return err_set(err, ENAMETOOLONG,
				       "quoted value is too long, at most %zu bytes are allowed", size - 1);
		buf[n++] = *p;
	}
	if (*p != '"')
		return err_set(err, EINVAL, "closing quote is missing");
	buf[n] = '\0';
	*s = p + 1;
	return 0;
}

static int read_rows(const struct field *rows, void *obj, const char **s, char close, struct errbuf *err);

static int read_item(const struct field *f, void *place, const char **s, struct errbuf *err)
{
	char text[FIELD_ITEM_MAX];
	int r;

	field_item_defaults(f, place);
	if (f->type == FIELD_STRUCT) {
		if (**s != '{')
			return err_set(err, EINVAL, "%s: '{' expected", f->name);
		(*s)++;
		return read_rows(f->sub, place, s, '}', err);
	}
	r = read_token(s, f->max_items ? BLANKS "]}\"," : BLANKS "]}\"", text, sizeof(text), err);
	if (r < 0)
		return err_prefix(err, r, "%s: ", f->name);
	return field_value_parse(f, place, text, err);
}

static int read_list(const struct field *f, void *obj, const char **s, struct errbuf *err)
{
	unsigned int n = 0;
	int r;

	if (**s != '[')
		return err_set(err, EINVAL, "%s: '[' expected, it is a list", f->name);
	(*s)++;
	skip_blanks(s);
	if (**s == ']') {
		(*s)++;
		field_set_count(f, obj, 0);
		return 0;
	}
	for (;; (*s)++) {
		if (n == f->max_items)
			return err_set(err, E2BIG, "%s: at most %u values are allowed", f->name,
				       f->max_items);
		skip_blanks(s);
		r = read_item(f, field_place_rw(f, obj, n), s, err);
		if (r < 0)
			return r;
		field_set_count(f, obj, ++n);
		skip_blanks(s);
		if (**s == ']') {
			(*s)++;
			return 0;
		}
		if (**s != ',')
			return err_set(err, EINVAL, "%s: ',' or ']' expected", f->name);
	}
}

/* One name=value; `seen` has a bit for every row that was given. */
static int read_pair(const struct field *rows, void *obj, const char **s, uint64_t *seen, struct errbuf *err)
{
	size_t n = strcspn(*s, BLANKS "=[]{},\"");
	const struct field *f;
	uint64_t bit;
	char name[64], shown[64];

	if (n == 0 || n >= sizeof(name) || (*s)[n] != '=')
		return err_set(err, EINVAL, "name=value expected");
	memcpy(name, *s, n);
	name[n] = '\0';
	*s += n + 1;
	f = field_find(rows, name);
	if (!f)
		return err_set(err, EINVAL, "there is no field '%s'",
			       str_visible(name, shown, sizeof(shown)));
	if (f->flags & FIELD_STATE)
		return err_set(err, EINVAL, "%s: is reported by the switch and cannot be set", f->name);
	bit = UINT64_C(1) << (f - rows);
	if (*seen & bit)
		return err_set(err, EINVAL, "%s: is given twice", f->name);
	*seen |= bit;
	return f->max_items ? read_list(f, obj, s, err) : read_item(f, field_place_rw(f, obj, 0), s, err);
}

static int read_rows(const struct field *rows, void *obj, const char **s, char close, struct errbuf *err)
{
	uint64_t seen = 0;
	int r;

	for (;;) {
		skip_blanks(s);
		if (**s == close) {
			*s += close != '\0';
			return 0;
		}
		r = read_pair(rows, obj, s, &seen, err);
		if (r < 0)
			return r;
		if (**s && **s != close && !strchr(BLANKS, **s))
			return err_set(err, EINVAL, "blank expected between values");
	}
}

int field_read_over(const struct field *rows, void *obj, const char *text, struct errbuf *err)
{
	return read_rows(rows, obj, &text, '\0', err);
}

int field_read(const struct field *rows, void *obj, const char *text, struct errbuf *err)
{
	const struct field *f;

	for (f = rows; f->name; f++)
		field_row_defaults(f, obj);
	return field_read_over(rows, obj, text, err);
}

int field_item_parse(const struct field *f, void *place, const char *text, struct errbuf *err)
{
	int r;

	if (f->type != FIELD_STRUCT)
		return field_value_parse(f, place, text, err);
	field_item_defaults(f, place);
	skip_blanks(&text);
	if (*text != '{' && !strchr(text, '='))
		return field_set(&f->sub[0], place, 0, text, err);
	if (*text != '{')
		return read_rows(f->sub, place, &text, '\0', err);
	text++;
	r = read_rows(f->sub, place, &text, '}', err);
	if (r < 0)
		return r;
	skip_blanks(&text);
	return *text ? err_set(err, EINVAL, "%s: text after '}'", f->name) : 0;
}
