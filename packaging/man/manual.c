/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fills a manual page in: lines of a template that read @NAME@ are replaced by a table of the code, in scdoc's syntax.
 * Only the build runs it.
 *
 *   manual TEMPLATE > PAGE.scd
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/filter.h"
#include "base/drop.h"
#include "cli/cli.h"
#include "daemon/config_schema.h"
#include "daemon/manager.h"
#include "daemon/metrics_text.h"
#include "datapath/stages.h"

/* What scdoc could take for markup. */
static void put(const char *text)
{
	for (; *text; text++) {
		if (ispunct((unsigned char)*text) && !strchr(",;%/'()", *text))
			putchar('\\');
		putchar(*text);
	}
}

/* A word in bold type and what it means. */
static void entry(const char *name, const char *text)
{
	printf("*");
	put(name);
	printf("*\n\t");
	put(text);
	printf("\n\n");
}

static void value_of(const struct field *f, bool setting)
{
	char allowed[512] = "";

	if (field_allowed(f, allowed, sizeof(allowed)) < 0)
		*allowed = 0;
	printf("\t(");
	put(f->max_items ? "list of " : "");
	put(allowed);
	if (f->def && *f->def) {
		put("; default ");
		put(f->def);
	}
	if (f->flags & FIELD_REQUIRED)
		put("; required");
	if (setting)
		put(f->flags & FIELD_RELOAD ? "; takes effect by reload" : "; takes a restart");
	printf(")\n\n");
}

static void fields(const char *group, const struct field *rows)
{
	char name[128];

	for (; rows->name; rows++) {
		if (rows->flags & FIELD_STATE)
			continue;
		snprintf(name, sizeof(name), "%s%s%s", group ? group : "", group ? "." : "", rows->name);
		entry(name, rows->text);
		value_of(rows, group != NULL);
	}
}

static void settings(void)
{
	for (const struct settings_group *g = settings_groups; g->name; g++) {
		printf("## ");
		put(g->name);
		printf("\n\n");
		put(g->text);
		printf("\n\n");
		fields(g->name, g->rows);
	}
}

static void objects(void)
{
	for (unsigned int k = 0; k < OBJECT_COUNT; k++) {
		const struct object_type *t = &object_types[k];

		printf("## ");
		put(t->config);
		printf("\n\n");
		put(t->text);
		printf("\n\n");
		fields(NULL, t->fields);
		for (const struct field *f = t->fields; f->name; f++) {
			if (!f->sub)
				continue;
			printf("Of each of *");
			put(f->name);
			printf("*:\n\n");
			fields(NULL, f->sub);
		}
	}
}

static void command_table(void)
{
	for (const struct command *c = commands; c->noun; c++) {
		char name[256];

		snprintf(name, sizeof(name), "%s%s%s%s%s", c->noun, c->verb ? " " : "", c->verb ? c->verb : "",
			 *c->args ? " " : "", c->args);
		entry(name, c->text);
	}
}

static void option_table(void)
{
	for (unsigned int i = 0; i < OPT_COUNT_OF; i++) {
		const struct cli_option *o = &cli_options[i];
		char name[64];

		snprintf(name, sizeof(name), "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
		entry(name, o->text);
	}
}

static void filters(void)
{
	fields(NULL, filter_fields);
}

static void drops(void)
{
#define X(sym, name, text)        \
	if (DROP_##sym != DROP_NONE) \
		entry(name, text);
	DROP_LIST(X)
#undef X
}

static void stages(void)
{
#define X(sym, name, text) entry(name, text);
	STAGE_LIST(X)
#undef X
}

static void events(void)
{
#define X(sym, name, keys, text) entry(*(keys) ? name " (" keys ")" : name, text);
	EVENT_LIST(X)
#undef X
}

static void levels(void)
{
	for (unsigned int level = LEVEL_READ; level <= LEVEL_ADMIN; level++) {
		const char *comma = "";

		printf("*%s*\n\t", method_level_names[level]);
		for (unsigned int i = 0; i < METHOD_COUNT; i++) {
			if (methods[i].level != level)
				continue;
			printf("%s%s", comma, methods[i].name);
			comma = ", ";
		}
		printf("\n\n");
	}
}

static void metrics(void)
{
	enum metric_scope scope = METRIC_SCOPES;

	for (const struct metric_family *f = metric_families; f->name; f++) {
		char name[128];

		if (f->scope != scope) {
			scope = f->scope;
			printf("## One for ");
			put(metric_scope_texts[scope]);
			printf("\n\n");
			if (*metric_scope_labels[scope]) {
				printf("Labels: ");
				put(metric_scope_labels[scope]);
				printf(".\n\n");
			}
		}
		snprintf(name, sizeof(name), "vswitchd_%s%s", f->name, f->type == METRIC_COUNTER ? "_total" : "");
		printf("*");
		put(name);
		printf("* (%s)\n\t", metric_type_names[f->type]);
		put(f->help);
		printf(".\n\n");
	}
}

static const struct {
	const char *name;
	void (*print)(void);
} tables[] = {
	{ "settings", settings }, { "objects", objects }, { "commands", command_table }, { "drops", drops },
	{ "options", option_table }, { "filters", filters },
	{ "stages", stages },	  { "events", events },	  { "levels", levels },
	{ "metrics", metrics },
};

static int table(const char *line)
{
	char name[32];

	if (sscanf(line, "@%31[a-z]@", name) != 1)
		return -ENOENT;
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (strcmp(tables[i].name, name) == 0) {
			tables[i].print();
			return 0;
		}
	}
	fprintf(stderr, "manual: there is no table %s\n", name);
	return -EINVAL;
}

int main(int argc, char **argv)
{
	FILE *f = argc == 2 ? fopen(argv[1], "re") : NULL;
	char *line = NULL;
	size_t size = 0;
	int r = 0;

	if (!f) {
		fprintf(stderr, "usage: manual TEMPLATE\n");
		return EXIT_FAILURE;
	}
	while (r != -EINVAL && getline(&line, &size, f) > 0) {
		/* The licence is a comment of the template. */
		if (strncmp(line, "; ", 2) == 0)
			continue;
		r = table(line);
		if (r == -ENOENT)
			fputs(line, stdout);
	}
	free(line);
	fclose(f);
	return r == -EINVAL || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
