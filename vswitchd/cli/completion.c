/* SPDX-License-Identifier: BSD-3-Clause */
/* Bash completion, generated from the command and field tables. */
#include <string.h>

#include "base/filter.h"
#include "cli/cli.h"

static void print_verbs(const char *noun)
{
	printf("\t\t%s) words=\"", noun);
	for (const struct command *c = commands; c->noun; c++)
		if (c->verb && strcmp(c->noun, noun) == 0)
			printf("%s ", c->verb);
	puts("\" ;;");
}

static void print_fields(const struct command *c)
{
	printf("\t\t%s) words=\"", c->noun);
	for (const struct field *f = object_types[c->kind].fields; f->name; f++)
		if (!(f->flags & FIELD_STATE))
			printf("%s= ", f->name);
	puts("\" ;;");
}

/* Options in a usage line, and for filters the names of their fields. */
static void print_options_of(const struct command *c)
{
	printf("\t\t%s) words=\"", c->noun);
	for (const char *at = strstr(c->args, "--"); at; at = strstr(at + 2, "--"))
		printf("%.*s ", (int)strcspn(at, " ]|"), at);
	for (const struct field *f = filter_fields; strstr(c->args, "FILTER") && f->name; f++)
		printf("%s= ", f->name);
	puts("\" ;;");
}

void print_completion(void)
{
	const char *last = "";

	puts("# bash completion for vswitchctl, generated from its command table\n"
	     "_vswitchctl()\n{\n"
	     "\tlocal cur=${COMP_WORDS[COMP_CWORD]} words=\n"
	     "\tif [ \"$COMP_CWORD\" = 1 ]; then");
	printf("\t\twords=\"--socket --json --help --version ");
	for (const struct command *c = commands; c->noun; c++) {
		if (strcmp(c->noun, last) != 0)
			printf("%s ", c->noun);
		last = c->noun;
	}
	puts("\"\n\telif [ \"$COMP_CWORD\" = 2 ]; then\n\t\tcase ${COMP_WORDS[1]} in");
	last = "";
	for (const struct command *c = commands; c->noun; c++) {
		if (c->verb && strcmp(c->noun, last) != 0)
			print_verbs(c->noun);
		last = c->noun;
	}
	puts("\t\tesac\n\telse\n\t\tcompopt -o nospace\n\t\tcase ${COMP_WORDS[1]} in");
	for (const struct command *c = commands; c->noun; c++)
		if (c->kind >= 0 && c->verb && strcmp(c->verb, "add") == 0)
			print_fields(c);
	for (const struct command *c = commands; c->noun; c++)
		if (c->kind < 0 && strstr(c->args, "--"))
			print_options_of(c);
	puts("\t\tesac\n\tfi\n"
	     "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	     "}\ncomplete -F _vswitchctl vswitchctl");
}
