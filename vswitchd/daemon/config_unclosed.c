/* SPDX-License-Identifier: BSD-3-Clause */
/* What a half-written file has not closed: the parser only says that something is wrong behind its end. */
#include <string.h>

#include "daemon/config_private.h"

#define DEPTH_MAX 64

/* @return behind a comment or string that begins at p, or p. That they end was seen to before. */
static const char *skip(const char *p)
{
	const char *end;

	if (*p == '#' || (p[0] == '/' && p[1] == '/'))
		return p + strcspn(p, "\n");
	if (p[0] == '/' && p[1] == '*') {
		end = strstr(p + 2, "*/");
		return end ? end + 2 : p + strlen(p);
	}
	if (*p == '"') {
		for (end = p + 1; *end && *end != '"'; end++)
			end += *end == '\\' && end[1];
		return *end ? end + 1 : end;
	}
	return p;
}

uint32_t config_unclosed(const char *text, uint32_t line, char *ret)
{
	struct {
		uint32_t line;
		char what;
	} open[DEPTH_MAX];
	unsigned int depth = 0;
	uint32_t at = 1, last = 0;

	for (const char *p = text, *to; *p; p = to) {
		to = skip(p);
		for (const char *c = p; c < to; c++)
			at += *c == '\n';
		if (to > p)
			continue;
		to = p + 1;
		if (strchr("{([", *p) && depth < DEPTH_MAX) {
			open[depth].line = at;
			open[depth++].what = *p;
		} else if (strchr("})]", *p) && depth) {
			depth--;
		}
		if (!strchr(" \t\r\n", *p))
			last = at;
		at += *p == '\n';
	}
	if (!depth || line <= last)
		return 0;
	*ret = open[depth - 1].what;
	return open[depth - 1].line;
}
