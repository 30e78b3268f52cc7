/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From libconfig's tree to settings and objects, driven by the field tables. Every mistake is reported with its place;
 * an object with a mistake is left out of the checks that follow, so that one mistake gives one message.
 */
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "daemon/config_private.h"

#define VALUE_MAX 512
#define NAMES_MAX 64

struct reader {
	struct config *config;
	const struct config_text *text;
	struct config_errors *errors;
};

static struct config_where where_of(const struct reader *rd, const config_setting_t *s)
{
	return config_text_where(rd->text, config_setting_source_line(s));
}

#define TYPE_STR 80

/* What stands there, with its value where it has one; somebody else's bytes made fit for a terminal. */
static const char *type_text(const config_setting_t *s, char buf[TYPE_STR])
{
	const char *text = config_setting_get_string(s);
	char *p;

	switch (config_setting_type(s)) {
	case CONFIG_TYPE_GROUP:
		return "a group { }";
	case CONFIG_TYPE_LIST:
		return "a list ( )";
	case CONFIG_TYPE_ARRAY:
		return "an array [ ]";
	case CONFIG_TYPE_BOOL:
		return config_setting_get_bool(s) ? "true" : "false";
	case CONFIG_TYPE_FLOAT:
		snprintf(buf, TYPE_STR, "the fraction %g", config_setting_get_float(s));
		return buf;
	case CONFIG_TYPE_STRING:
		snprintf(buf, TYPE_STR, "the text \"%.40s%s\"", text, strlen(text) > 40 ? "..." : "");
		for (p = buf; *p; p++)
			*p = *p < 0x20 || *p > 0x7e ? '?' : *p;
		return buf;
	default:
		snprintf(buf, TYPE_STR, "the number %lld", config_setting_get_int64(s));
		return buf;
	}
}

/* What the file has to hold for a row. */
static const char *type_wanted(const struct field *f)
{
	if (f->type == FIELD_BOOL)
		return "true or false";
	if (f->type == FIELD_UINT)
		return f->flags & FIELD_OCTAL ? "text in quotes" : "a number";
	if (f->type == FIELD_STRUCT)
		return "a group { }";
	return "text in quotes";
}

static bool type_fits(const struct field *f, const config_setting_t *s)
{
	int type = config_setting_type(s);

	if (f->type == FIELD_BOOL)
		return type == CONFIG_TYPE_BOOL;
	if (f->type == FIELD_UINT && !(f->flags & FIELD_OCTAL))
		return type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
	if (f->type == FIELD_STRUCT)
		return type == CONFIG_TYPE_GROUP;
	return type == CONFIG_TYPE_STRING;
}

/* A scalar of the file as text for field_set(). */
static const char *value_text(const config_setting_t *s, char buf[VALUE_MAX])
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_STRING:
		return config_setting_get_string(s);
	case CONFIG_TYPE_BOOL:
		return config_setting_get_bool(s) ? "true" : "false";
	default:
		snprintf(buf, VALUE_MAX, "%lld", config_setting_get_int64(s));
		return buf;
	}
}

static void unknown_key(struct reader *rd, const config_setting_t *s, const char *in, const char *const *names)
{
	const char *near = str_nearest(config_setting_name(s), names);
	CLEANUP_FREE char *all = NULL;
	size_t len = 0;
	FILE *f;

	if (near) {
		config_error(rd->config, rd->errors, where_of(rd, s), "%s%sunknown key '%s', did you mean '%s'?", in,
			     *in ? ": " : "", config_setting_name(s), near);
		return;
	}
	f = open_memstream(&all, &len);
	if (f) {
		for (; *names; names++)
			fprintf(f, " %s", *names);
		fclose(f);
	}
	config_error(rd->config, rd->errors, where_of(rd, s), "%s%sunknown key '%s', allowed:%s", in, *in ? ": " : "",
		     config_setting_name(s), all ? all : "");
}

static void row_names(const struct field *rows, const char *names[NAMES_MAX])
{
	unsigned int n = 0;

	for (; rows->name && n < NAMES_MAX - 1; rows++)
		if (!(rows->flags & FIELD_STATE))
			names[n++] = rows->name;
	names[n] = NULL;
}

static bool read_rows(struct reader *rd, const config_setting_t *group, const char *in, const struct field *rows,
		      void *obj);

static bool read_struct(struct reader *rd, const struct field *f, const config_setting_t *s, const char *in, void *obj,
			unsigned int item)
{
	uint8_t *place = (uint8_t *)obj + f->offset + (size_t)item * f->size;
	uint16_t count = (uint16_t)(item + 1);
	struct errbuf err;
	char path[96];

	snprintf(path, sizeof(path), "%s: %s", in, f->name);
	field_defaults(f->sub, place, f->size);
	memcpy((uint8_t *)obj + f->count_offset, &count, sizeof(count));
	if (!read_rows(rd, s, path, f->sub, place))
		return false;
	if (field_check(f->sub, place, &err) < 0) {
		config_error(rd->config, rd->errors, where_of(rd, s), "%s: %s", path, err.text);
		return false;
	}
	return true;
}

static void wrong_type(struct reader *rd, const struct field *f, const config_setting_t *s, const char *in)
{
	char allowed[256] = "", is[TYPE_STR];
	struct field one = *f;

	one.max_items = 0; /* of one element */
	if (f->type == FIELD_STRUCT || f->type == FIELD_BOOL || field_allowed(&one, allowed, sizeof(allowed)) < 0)
		allowed[0] = '\0';
	config_error(rd->config, rd->errors, where_of(rd, s), "%s: %s: %s is needed%s%s%s, not %s", in, f->name,
		     type_wanted(f), *allowed ? " (" : "", allowed, *allowed ? ")" : "", type_text(s, is));
}

static bool read_value(struct reader *rd, const struct field *f, const config_setting_t *s, const char *in, void *obj,
		       unsigned int item)
{
	char buf[VALUE_MAX];
	struct errbuf err;

	if (!type_fits(f, s)) {
		wrong_type(rd, f, s, in);
		return false;
	}
	if (f->max_items && item >= f->max_items) {
		if (item == f->max_items)
			config_error(rd->config, rd->errors, where_of(rd, s), "%s: %s: at most %u values are allowed",
				     in, f->name, f->max_items);
		return false;
	}
	if (f->type == FIELD_STRUCT)
		return read_struct(rd, f, s, in, obj, item);
	if (field_set(f, obj, item, value_text(s, buf), &err) < 0) {
		config_error(rd->config, rd->errors, where_of(rd, s), "%s: %s", in, err.text);
		return false;
	}
	return true;
}

static bool read_array(struct reader *rd, const struct field *f, const config_setting_t *s, const char *in, void *obj)
{
	const char *brackets = f->type == FIELD_STRUCT ? "a list ( )" : "an array [ ]";
	int type = config_setting_type(s), i, n = config_setting_length(s);
	char is[TYPE_STR];
	bool good = true;

	if (type != CONFIG_TYPE_LIST && (f->type == FIELD_STRUCT || type != CONFIG_TYPE_ARRAY)) {
		config_error(rd->config, rd->errors, where_of(rd, s), "%s: %s: %s is needed, not %s", in, f->name,
			     brackets, type_text(s, is));
		return false;
	}
	for (i = 0; i < n; i++)
		good &= read_value(rd, f, config_setting_get_elem(s, (unsigned int)i), in, obj, (unsigned int)i);
	return good;
}

/* All members of a group by a table. @return true if there was nothing to complain about. */
static bool read_rows(struct reader *rd, const config_setting_t *group, const char *in, const struct field *rows,
		      void *obj)
{
	int i, n = config_setting_length(group);
	const char *names[NAMES_MAX];
	bool good = true;

	for (i = 0; i < n; i++) {
		const config_setting_t *s = config_setting_get_elem(group, (unsigned int)i);
		const struct field *f = field_find(rows, config_setting_name(s));

		if (!f || f->flags & FIELD_STATE) {
			row_names(rows, names);
			unknown_key(rd, s, in, names);
			good = false;
		} else if (f->max_items) {
			good &= read_array(rd, f, s, in, obj);
		} else {
			good &= read_value(rd, f, s, in, obj, 0);
		}
	}
	return good;
}

static int list_add(struct config_list *l, enum object_kind kind, const void *spec, struct config_where where)
{
	size_t size = object_types[kind].size, want = l->room ? l->room * 2 : 8;
	void *p;

	if (l->n == l->room) {
		p = reallocarray(l->specs, want, size);
		if (!p)
			return -ENOMEM;
		l->specs = p;
		p = reallocarray(l->where, want, sizeof(*l->where));
		if (!p)
			return -ENOMEM;
		l->where = p;
		l->room = want;
	}
	memcpy(l->specs + l->n * size, spec, size);
	l->where[l->n++] = where;
	return 0;
}

static int read_object(struct reader *rd, enum object_kind kind, const config_setting_t *s)
{
	const struct object_type *type = &object_types[kind];
	struct config_where where = where_of(rd, s);
	union object_spec spec;
	struct errbuf err;
	char is[TYPE_STR];

	if (!config_setting_is_group(s)) {
		config_error(rd->config, rd->errors, where, "%s: a group { } is needed, not %s", type->config,
			     type_text(s, is));
		return 0;
	}
	object_default(kind, &spec);
	if (!read_rows(rd, s, type->config, type->fields, &spec))
		return 0;
	if (object_validate(kind, &spec, &err) < 0) {
		config_error(rd->config, rd->errors, where, "%s: %s", type->config, err.text);
		return 0;
	}
	return list_add(&rd->config->objects[kind], kind, &spec, where);
}

static int read_objects(struct reader *rd, enum object_kind kind, const config_setting_t *list)
{
	int i, n = config_setting_length(list), r = 0;
	char is[TYPE_STR];

	if (!config_setting_is_list(list)) {
		config_error(rd->config, rd->errors, where_of(rd, list), "%s: a list ( ) is needed, not %s",
			     object_types[kind].config, type_text(list, is));
		return 0;
	}
	for (i = 0; i < n && r == 0; i++)
		r = read_object(rd, kind, config_setting_get_elem(list, (unsigned int)i));
	return r;
}

static void top_names(const char *names[NAMES_MAX])
{
	const struct settings_group *g;
	unsigned int n = 0, k;

	for (g = settings_groups; g->name; g++)
		names[n++] = g->name;
	for (k = 0; k < OBJECT_COUNT; k++)
		names[n++] = object_types[k].config;
	names[n] = NULL;
}

static int read_top(struct reader *rd, const config_setting_t *s)
{
	const struct settings_group *g;
	const char *names[NAMES_MAX];
	char is[TYPE_STR];
	unsigned int k;

	for (g = settings_groups; g->name; g++) {
		if (strcmp(g->name, config_setting_name(s)) != 0)
			continue;
		rd->config->groups[g - settings_groups] = where_of(rd, s);
		if (config_setting_is_group(s))
			read_rows(rd, s, g->name, g->rows, &rd->config->settings);
		else
			config_error(rd->config, rd->errors, where_of(rd, s), "%s: a group { } is needed, not %s",
				     g->name, type_text(s, is));
		return 0;
	}
	for (k = 0; k < OBJECT_COUNT; k++)
		if (strcmp(object_types[k].config, config_setting_name(s)) == 0)
			return read_objects(rd, k, s);
	top_names(names);
	unknown_key(rd, s, "", names);
	return 0;
}

static void syntax_error(struct reader *rd, uint32_t line, const char *text)
{
	char what;
	uint32_t open = config_unclosed(rd->text->text, line, &what);

	if (open)
		config_error(rd->config, rd->errors, config_text_where(rd->text, open),
			     "%c is not closed where the file ends", what);
	else
		config_error(rd->config, rd->errors, config_text_where(rd->text, line), "%s", text);
}

static int read_tree(struct reader *rd)
{
	config_t cfg;
	int r = 0, i;

	config_init(&cfg);
	/* No @include is left in the text; should one slip through, it must not find anything. */
	config_set_include_dir(&cfg, "/dev/null");
	if (!config_read_string(&cfg, rd->text->text)) {
		syntax_error(rd, (uint32_t)config_error_line(&cfg), config_error_text(&cfg));
	} else {
		for (i = 0; r == 0 && i < config_setting_length(cfg.root); i++)
			r = read_top(rd, config_setting_get_elem(cfg.root, (unsigned int)i));
	}
	config_destroy(&cfg);
	return r;
}

static int read_config(struct config *c, struct config_text *text, config_judge_fn judge, struct config_errors *errors)
{
	struct reader rd = { .config = c, .text = text, .errors = errors };
	int r;

	if (errors->n_errors)
		return -EINVAL;
	settings_defaults(&c->settings);
	r = read_tree(&rd);
	if (r < 0)
		return r;
	settings_complete(&c->settings);
	r = judge ? judge(c, errors) : 0;
	return r < 0 ? r : errors->n_errors ? -EINVAL : 0;
}

static int finish(struct config *c, struct config_text *text, int r, config_judge_fn judge, struct config **ret,
		  struct config_errors *errors)
{
	if (r == 0)
		r = read_config(c, text, judge, errors);
	config_text_free(text);
	config_errors_sort(errors);
	if (r < 0)
		config_free(c);
	else
		*ret = c;
	return r;
}

int config_read_judged(const char *file, config_judge_fn judge, struct config **ret, struct config_errors *errors)
{
	struct config *c = calloc(1, sizeof(*c));
	struct config_text text = { 0 };

	return c ? finish(c, &text, config_text_load(file, c, &text, errors), judge, ret, errors) : -ENOMEM;
}

int config_parse_judged(const char *name, const char *text, size_t len, config_judge_fn judge, struct config **ret,
			struct config_errors *errors)
{
	struct config *c = calloc(1, sizeof(*c));
	struct config_text expanded = { 0 };

	return c ? finish(c, &expanded, config_text_parse(name, text, len, c, &expanded, errors), judge, ret, errors) :
		   -ENOMEM;
}

int config_fetch(const char *file, struct config **ret, struct config_errors *errors)
{
	return config_read_judged(file, NULL, ret, errors);
}

int config_fetch_text(const char *name, const char *text, size_t len, struct config **ret,
		     struct config_errors *errors)
{
	return config_parse_judged(name, text, len, NULL, ret, errors);
}

struct config *config_free(struct config *c)
{
	size_t i;

	if (!c)
		return NULL;
	for (i = 0; i < OBJECT_COUNT; i++) {
		free(c->objects[i].specs);
		free(c->objects[i].where);
	}
	for (i = 0; i < c->n_files; i++)
		free(c->files[i]);
	free(c->files);
	free(c);
	return NULL;
}
