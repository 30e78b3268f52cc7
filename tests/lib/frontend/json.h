/* SPDX-License-Identifier: BSD-3-Clause */
/* One JSON object per line, built in memory. Single threaded. Keys and strings are escaped where JSON
 * asks. */
#ifndef TESTS_LIB_FRONTEND_JSON_H
#define TESTS_LIB_FRONTEND_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
	char *text;
	size_t len;
	size_t room;
	bool comma;  /* the next member needs one */
	bool failed; /* out of memory: the text is not to be used */
};

/* Begin with "{". Free with json_free. */
void json_begin(struct json *j);
/* End with "}\n" and give the text (owned by j), or NULL when memory ran out. */
const char *json_end(struct json *j);
void json_free(struct json *j);

/* Members. key is NULL inside an array. */
void json_open(struct json *j, const char *key, char bracket); /* '{' or '[' */
void json_close(struct json *j, char bracket);		       /* '}' or ']' */
void json_u64(struct json *j, const char *key, uint64_t v);
void json_hex(struct json *j, const char *key, uint64_t v); /* as the string "0x..." */
void json_bool(struct json *j, const char *key, bool v);
void json_str(struct json *j, const char *key, const char *v);

#endif
