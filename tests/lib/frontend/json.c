/* SPDX-License-Identifier: BSD-3-Clause */
#include "json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(struct json *j, const char *s, size_t n)
{
	if (j->failed)
		return;
	if (j->len + n + 1 > j->room) {
		size_t room = (j->len + n + 1) * 2;
		char *text = realloc(j->text, room);

		if (!text) {
			j->failed = true;
			return;
		}
		j->text = text;
		j->room = room;
	}
	memcpy(j->text + j->len, s, n);
	j->len += n;
	j->text[j->len] = '\0';
}

static void put_quoted(struct json *j, const char *s)
{
	char esc[8];

	put(j, "\"", 1);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			put(j, esc, (size_t)snprintf(esc, sizeof(esc), "\\%c", c));
		else if (c < 0x20)
			put(j, esc, (size_t)snprintf(esc, sizeof(esc), "\\u%04x", c));
		else
			put(j, s, 1);
	}
	put(j, "\"", 1);
}

static void start_member(struct json *j, const char *key)
{
	if (j->comma)
		put(j, ",", 1);
	j->comma = true;
	if (key) {
		put_quoted(j, key);
		put(j, ":", 1);
	}
}

void json_begin(struct json *j)
{
	*j = (struct json){ 0 };
	put(j, "{", 1);
}

const char *json_end(struct json *j)
{
	put(j, "}\n", 2);
	return j->failed ? NULL : j->text;
}

void json_free(struct json *j)
{
	free(j->text);
	*j = (struct json){ 0 };
}

void json_open(struct json *j, const char *key, char bracket)
{
	start_member(j, key);
	put(j, &bracket, 1);
	j->comma = false;
}

void json_close(struct json *j, char bracket)
{
	put(j, &bracket, 1);
	j->comma = true;
}

void json_u64(struct json *j, const char *key, uint64_t v)
{
	char text[24];

	start_member(j, key);
	put(j, text, (size_t)snprintf(text, sizeof(text), "%" PRIu64, v));
}

void json_hex(struct json *j, const char *key, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, v);
	json_str(j, key, text);
}

void json_bool(struct json *j, const char *key, bool v)
{
	start_member(j, key);
	put(j, v ? "true" : "false", v ? 4 : 5);
}

void json_str(struct json *j, const char *key, const char *v)
{
	start_member(j, key);
	put_quoted(j, v);
}
