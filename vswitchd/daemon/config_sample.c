/* SPDX-License-Identifier: BSD-3-Clause */
/* The sample configuration, from the same tables as the parser. */
#include <stdio.h>
#include <string.h>

#include "daemon/config_schema.h"

#define WIDTH 100

/* A sentence as comment lines; those after the first are indented by `hang` more. */
static void print_comment(FILE *out, const char *indent, unsigned int hang, const char *text)
{
	const char *word = text, *end;
	size_t col = 0;

	for (; *word; word = end + strspn(end, " ")) {
		end = word + strcspn(word, " ");
		if (col && col + 1 + (size_t)(end - word) > WIDTH) {
			fputc('\n', out);
			col = (size_t)fprintf(out, "%s# %*s%.*s", indent, (int)hang, "", (int)(end - word), word);
		} else {
			col += (size_t)fprintf(out, "%s%s%.*s", col ? "" : indent, col ? " " : "# ", (int)(end - word),
					       word);
		}
	}
	fputc('\n', out);
}

static bool is_quoted(const struct field *f)
{
	return f->type != FIELD_BOOL && (f->type != FIELD_UINT || f->flags & FIELD_OCTAL);
}

static void print_default(FILE *out, const struct field *f)
{
	const char *quote = is_quoted(f) ? "\"" : "";

	if (f->max_items)
		fprintf(out, f->type == FIELD_STRUCT ? "()" : "[]");
	else
		fprintf(out, "%s%s%s", quote,
			f->def			? f->def
			: f->type == FIELD_BOOL ? "false"
			: is_quoted(f)		? ""
						: "0",
			quote);
}

static void print_row(FILE *out, const struct field *f)
{
	char allowed[256] = "", line[1024];

	if (f->flags & FIELD_STATE)
		return;
	field_allowed(f, allowed, sizeof(allowed));
	snprintf(line, sizeof(line), "%s (%s%s)", f->text, allowed, f->flags & FIELD_RELOAD ? "; reloadable" : "");
	print_comment(out, "\t", 0, line);
	fprintf(out, "#\t%s = ", f->name);
	print_default(out, f);
	fprintf(out, ";\n");
}

/* One example of each kind; they parse, and fit together. */
static const char *const examples[OBJECT_COUNT] = {
	[OBJECT_PORT] = "{ id = \"vm1\"; vsid = 5001; macs = [\"02:00:00:00:01:11\"]; queues = 2; }",
	[OBJECT_SUBNET] = "{ vsid = 5001; rdid = \"tenant-a\"; gateways = [\"10.1.0.1/24\", \"fd00:a:1::1/64\"]; }",
	[OBJECT_RECORD] = "{ vsid = 5001; ca = \"10.1.0.11\"; mac = \"02:00:00:00:01:11\"; host = \"h1\"; }",
	[OBJECT_ROUTE] = "{ rdid = \"tenant-a\"; vsid = 5001; prefix = \"0.0.0.0/0\"; next-hop = \"10.1.0.254\"; }",
	[OBJECT_PA] = "{ address = \"192.0.2.11\"; prefix-length = 24; member = \"eth0\"; }",
	[OBJECT_PROVIDER_ROUTE] = "{ prefix = \"198.51.100.0/24\"; next-hop = \"192.0.2.1\"; }",
	[OBJECT_HOST] = "{ id = \"h2\"; pas = ( { address = \"192.0.2.21\"; }, { address = \"192.0.2.22\"; } ); }",
	[OBJECT_MEMBER] = "{ name = \"eth0\"; type = \"af-packet\"; }",
};

static void print_object(FILE *out, const struct object_type *type, const char *example)
{
	const struct field *f;
	char allowed[512], line[1024];

	fputc('\n', out);
	print_comment(out, "", 0, type->text);
	for (f = type->fields; f->name; f++) {
		if (f->flags & FIELD_STATE)
			continue;
		allowed[0] = '\0';
		field_allowed(f, allowed, sizeof(allowed));
		snprintf(line, sizeof(line), "%s%s: %s (%s%s%s)", f->name, f->flags & FIELD_REQUIRED ? "*" : "",
			 f->text, allowed, f->def ? "; default " : "", f->def ? f->def : "");
		print_comment(out, "", 4, line);
	}
	fprintf(out, "#%s = (\n#\t%s\n#);\n", type->config, example);
}

void config_print_sample(FILE *out)
{
	const struct settings_group *g;
	const struct field *f;
	unsigned int k;

	fprintf(out, "# Configuration of vswitchd, libconfig syntax. Every setting with its default.\n"
		     "# Check a change with `vswitchd --check FILE`, apply it with `vswitchctl reload`.\n"
		     "# Other files: @include \"FILE\", relative to this one.\n");
	for (g = settings_groups; g->name; g++) {
		fputc('\n', out);
		print_comment(out, "", 0, g->text);
		fprintf(out, "%s = {\n", g->name);
		for (f = g->rows; f->name; f++)
			print_row(out, f);
		fprintf(out, "};\n");
	}
	fprintf(out, "\n# Objects. Fields with * are needed.\n");
	for (k = 0; k < OBJECT_COUNT; k++)
		print_object(out, &object_types[k], examples[k]);
}
