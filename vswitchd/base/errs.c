/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "base/errs.h"

int err_set(struct errbuf *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (err) {
		va_start(ap, fmt);
		vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
	}
	return -code;
}

int err_prefix(struct errbuf *err, int r, const char *fmt, ...)
{
	char text[2 * sizeof(err->text)];
	size_t room = sizeof(err->text) - 1, len;
	va_list ap;

	if (!err)
		return r;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(err->text), fmt, ap);
	va_end(ap);
	len = strlen(text);
	memcpy(text + len, err->text, sizeof(err->text));
	text[len + room] = '\0';
	len = strlen(text);
	if (len <= room) {
		memcpy(err->text, text, len + 1);
		return r;
	}
	/* The reason stands at the end, the way to it at the front: the front goes. */
	memcpy(err->text, "...", 3);
	memcpy(err->text + 3, text + len - (room - 3), room - 3 + 1);
	return r;
}
