/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of what is wrong with a configuration. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "daemon/config_private.h"

static __attribute__((format(printf, 5, 0))) void add(const struct config *c, struct config_errors *errors,
						      struct config_where where, bool warning,
						      const char *fmt, va_list ap)
{
	CLEANUP_FREE char *what = NULL;
	char *text;
	int n;

	errors->n_errors += !warning;
	if (errors->n >= CONFIG_ERRORS_MAX ||
	    config_grow(&errors->list, &errors->room, errors->n, sizeof(*errors->list)) < 0) {
		errors->more++;
		return;
	}
	if (vasprintf(&what, fmt, ap) < 0) {
		what = NULL;
		errors->more++;
		return;
	}
	if (where.line && where.file < c->n_files)
		n = asprintf(&text, "%s:%u: %s%s", c->files[where.file], where.line, warning ? "warning: " : "", what);
	else
		n = asprintf(&text, "%s", what);
	if (n < 0)
		errors->more++;
	else
		errors->list[errors->n++] =
			(struct config_error){ .where = where, .warning = warning, .text = text };
}

void config_error(const struct config *c, struct config_errors *errors, struct config_where where, const char *fmt,
		  ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(c, errors, where, false, fmt, ap);
	va_end(ap);
}

void config_warning(const struct config *c, struct config_errors *errors, struct config_where where, const char *fmt,
		    ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(c, errors, where, true, fmt, ap);
	va_end(ap);
}

static int by_place(const void *a, const void *b)
{
	const struct config_error *x = a, *y = b;

	if (x->where.file != y->where.file)
		return x->where.file < y->where.file ? -1 : 1;
	if (x->where.line != y->where.line)
		return x->where.line < y->where.line ? -1 : 1;
	return strcmp(x->text, y->text);
}

void config_errors_sort(struct config_errors *errors)
{
	if (errors->n)
		qsort(errors->list, errors->n, sizeof(*errors->list), by_place);
}

void config_errors_free(struct config_errors *errors)
{
	size_t i;

	for (i = 0; i < errors->n; i++)
		free(errors->list[i].text);
	free(errors->list);
	*errors = (struct config_errors){ 0 };
}

char *config_errors_join(const struct config_errors *errors)
{
	char *text = NULL;
	size_t len = 0, i;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	for (i = 0; i < errors->n; i++)
		fprintf(f, "%s%s", i ? "\n" : "", errors->list[i].text);
	if (errors->more)
		fprintf(f, "\n... and %zu more", errors->more);
	fclose(f);
	return text;
}
