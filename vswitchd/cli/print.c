/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

void print_json(struct json_object *o)
{
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

static struct json_object *at_path(struct json_object *o, const char *path)
{
	char name[64];

	while (o && *path) {
		size_t n = strcspn(path, ".");
		struct json_object *next = NULL;

		snprintf(name, sizeof(name), "%.*s", (int)n, path);
		if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, name, &next))
			return NULL;
		o = next;
		path += n + (path[n] == '.');
	}
	return o;
}

/* One value on one line: lists joined by commas, structures in braces. */
static void format_value(struct json_object *o, char *buf, size_t size)
{
	char item[512];
	size_t used = 0;

	*buf = 0;
	if (json_object_is_type(o, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(o) && used < size; i++) {
			format_value(json_object_array_get_idx(o, i), item, sizeof(item));
			used += (size_t)snprintf(buf + used, size - used, "%s%s", i ? "," : "", item);
		}
	} else if (json_object_is_type(o, json_type_object)) {
		json_object_object_foreach(o, name, v)
		{
			format_value(v, item, sizeof(item));
			if (used < size && *item)
				used += (size_t)snprintf(buf + used, size - used, "%s%s=%s", used ? " " : "", name,
							 item);
		}
	} else if (json_object_is_type(o, json_type_boolean)) {
		snprintf(buf, size, "%s", json_object_get_boolean(o) ? "yes" : "no");
	} else if (o) {
		snprintf(buf, size, "%s", json_object_get_string(o));
	}
}

void print_header(const struct column *c)
{
	for (; c->title; c++)
		printf("%*s%s", c->width, c->title, c[1].title ? "  " : "\n");
}

void print_row(const struct column *c, struct json_object *o)
{
	char text[2048];

	for (; c->title; c++) {
		format_value(at_path(o, c->path), text, sizeof(text));
		/* no blanks behind the last column */
		printf("%*s%s", c[1].title || c->width > 0 ? c->width : 0, *text ? text : "-",
		       c[1].title ? "  " : "\n");
	}
}

void print_table(const struct column *c, struct json_object *array)
{
	print_header(c);
	for (size_t i = 0; i < json_object_array_length(array); i++)
		print_row(c, json_object_array_get_idx(array, i));
}

void print_object(struct json_object *o, int indent)
{
	char text[2048];

	json_object_object_foreach(o, name, v)
	{
		bool list = json_object_is_type(v, json_type_array) && json_object_array_length(v) &&
			    json_object_is_type(json_object_array_get_idx(v, 0), json_type_object);

		if (json_object_is_type(v, json_type_object)) {
			printf("%*s%s:\n", indent, "", name);
			print_object(v, indent + 2);
		} else if (list) {
			printf("%*s%s:\n", indent, "", name);
			for (size_t i = 0; i < json_object_array_length(v); i++) {
				format_value(json_object_array_get_idx(v, i), text, sizeof(text));
				printf("%*s- %s\n", indent + 2, "", text);
			}
		} else {
			format_value(v, text, sizeof(text));
			if (*text)
				printf("%*s%s: %s\n", indent, "", name, text);
		}
	}
}
