/* SPDX-License-Identifier: BSD-3-Clause */
/* list, show, add, remove and import for every kind of object, driven by the field tables. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "cli/cli.h"

#define COLUMNS_MAX  32
#define IMPORT_BATCH 1000
#define IMPORT_BYTES (PROTOCOL_MESSAGE_MAX / 2) /* of objects in one call: far from what the daemon takes */
#define LINE_MAX_    16384

/* Columns of a kind: its fields, as wide as their type needs. */
static void columns_of(enum object_kind kind, struct column *ret)
{
	static char paths[COLUMNS_MAX][64];
	unsigned int n = 0;

	for (const struct field *f = object_types[kind].fields; f->name && n < COLUMNS_MAX - 4; f++) {
		int width = (int)strlen(f->name), want = width;

		if (f->type == FIELD_MAC)
			want = 17;
		else if (f->type == FIELD_IP)
			want = 15;
		else if (f->type == FIELD_PREFIX)
			want = 18;
		else if (f->type == FIELD_ID || f->type == FIELD_STRING)
			want = 12;
		snprintf(paths[n], sizeof(paths[n]), "object.%s", f->name);
		ret[n] = (struct column){ f->name, paths[n], -(want > width ? want : width) };
		n++;
	}
	ret[n++] = (struct column){ "origin", "origin", -7 };
	ret[n] = (struct column){ NULL, NULL, 0 };
}

/* What only records have, and only while they are counted. */
static void add_traffic_columns(struct column *c)
{
	while (c->title)
		c++;
	*c++ = (struct column){ "packets", "traffic.packets", 12 };
	*c++ = (struct column){ "bytes", "traffic.bytes", 14 };
	*c = (struct column){ NULL, NULL, 0 };
}

struct list_state {
	const struct cli *cli;
	struct column columns[COLUMNS_MAX];
	uint64_t n;
};

static int on_object(struct json_object *reply, void *arg)
{
	struct list_state *s = arg;

	if (!json_object_object_get_ex(reply, "object", NULL))
		return 0; /* an empty listing */
	if (s->cli->json) {
		puts(json_object_to_json_string_ext(reply, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
		return 0;
	}
	if (s->n++ == 0) {
		if (json_object_object_get_ex(reply, "traffic", NULL))
			add_traffic_columns(s->columns);
		print_header(s->columns);
	}
	print_row(s->columns, reply);
	return 0;
}

static struct json_object *kind_parameters(const struct command *cmd)
{
	struct json_object *p = json_object_new_object();

	json_object_object_add(p, "kind", json_object_new_string(object_types[cmd->kind].name));
	return p;
}

int cmd_object_list(const struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	struct list_state s = { .cli = cli };

	if (argc)
		return cli_error(-EINVAL, "%s list takes no argument", cmd->noun);
	columns_of((enum object_kind)cmd->kind, s.columns);
	return cli_stream(cli, METHOD_LIST, kind_parameters(cmd), on_object, &s);
}

/* The only key of a kind, if it has just one: then its value may be given without a name. */
static const struct field *single_key(const struct field *rows)
{
	const struct field *key = NULL;

	for (; rows->name; rows++) {
		if (!(rows->flags & FIELD_KEY))
			continue;
		if (key)
			return NULL;
		key = rows;
	}
	return key;
}

static int bad_argument(const struct command *cmd, const char *what)
{
	char allowed[256], names[1024] = "";
	size_t used = 0;

	for (const struct field *f = object_types[cmd->kind].fields; f->name && used < sizeof(names); f++) {
		if (f->flags & FIELD_STATE)
			continue;
		if (field_allowed(f, allowed, sizeof(allowed)) < 0)
			*allowed = 0;
		used += (size_t)snprintf(names + used, sizeof(names) - used, "\n  %s=%s%s%s%s", f->name,
					 f->max_items ? "[" : "", allowed, f->max_items ? ",...]" : "",
					 f->flags & FIELD_REQUIRED ? "  (required)" : "");
	}
	return cli_error(-EINVAL, "%s\nmembers of a %s:%s", what, object_types[cmd->kind].name, names);
}

/* name=value ... over what is in spec: the arguments together are a line of field_read_over()'s grammar. */
static int read_over(const struct command *cmd, int argc, char **argv, union object_spec *spec)
{
	const struct object_type *type = &object_types[cmd->kind];
	const struct field *key = single_key(type->fields);
	char line[LINE_MAX_] = "", what[256];
	struct errbuf err;
	size_t used = 0;

	for (int i = 0; i < argc; i++) {
		bool named = strchr(argv[i], '=') != NULL;

		if (!named && (!key || i > 0)) {
			snprintf(what, sizeof(what), "\"%.100s\": name=value is wanted", argv[i]);
			return bad_argument(cmd, what);
		}
		used += (size_t)snprintf(line + used, sizeof(line) - used, "%s%s%s ", named ? "" : key->name,
					 named ? "" : "=", argv[i]);
		if (used >= sizeof(line))
			return cli_error(-E2BIG, "arguments are too long");
	}
	if (field_read_over(type->fields, spec, line, &err) < 0)
		return bad_argument(cmd, err.text);
	return 0;
}

static int read_spec(const struct command *cmd, int argc, char **argv, union object_spec *spec)
{
	field_defaults(object_types[cmd->kind].fields, spec, object_types[cmd->kind].size);
	return read_over(cmd, argc, argv, spec);
}

/* The key members of an object as JSON. */
static struct json_object *key_json(enum object_kind kind, const union object_spec *spec)
{
	struct json_object *all = fields_to_json(object_types[kind].fields, spec, false);
	struct json_object *key = json_object_new_object(), *v;

	for (const struct field *f = object_types[kind].fields; f->name; f++)
		if ((f->flags & FIELD_KEY) && json_object_object_get_ex(all, f->name, &v))
			json_object_object_add(key, f->name, json_object_get(v));
	json_object_put(all);
	return key;
}

/* What is there by that key, if anything: `add` changes what it is told and leaves the rest. */
static int read_existing(const struct cli *cli, const struct command *cmd, union object_spec *spec)
{
	const struct object_type *type = &object_types[cmd->kind];
	struct json_object *p = kind_parameters(cmd), *reply, *o;
	struct errbuf err;
	int r;

	json_object_object_add(p, "key", key_json((enum object_kind)cmd->kind, spec));
	r = cli_try(cli, METHOD_GET, p, &reply);
	if (r == -ENOENT || r == -EINVAL)
		return 0; /* a bad key is told of with everything else */
	if (r < 0)
		return r;
	field_defaults(type->fields, spec, type->size);
	r = json_object_object_get_ex(reply, "object", &o) ? fields_from_json(type->fields, spec, o, &err) : 0;
	json_object_put(reply);
	return r < 0 ? cli_error(r, "%s", err.text) : 0;
}

/* It is done; the daemon finds it odd. */
static void warn(struct json_object *reply)
{
	struct json_object *text = NULL;

	if (json_object_object_get_ex(reply, "warning", &text))
		fprintf(stderr, "vswitchctl: warning: %s\n", json_object_get_string(text));
}

int cmd_object_add(const struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	struct json_object *p, *reply, *changed = NULL;
	union object_spec spec;
	struct errbuf err;
	int r = read_spec(cmd, argc, argv, &spec);

	if (r == 0)
		r = read_existing(cli, cmd, &spec);
	if (r == 0)
		r = read_over(cmd, argc, argv, &spec);
	if (r < 0)
		return r;
	r = field_check(object_types[cmd->kind].fields, &spec, &err);
	if (r >= 0)
		r = object_validate((enum object_kind)cmd->kind, &spec, &err);
	if (r < 0)
		return cli_error(r, "%s", err.text);
	p = kind_parameters(cmd);
	json_object_object_add(p, "object", fields_to_json(object_types[cmd->kind].fields, &spec, false));
	r = cli_call(cli, METHOD_SET, p, &reply);
	if (r < 0)
		return r;
	json_object_object_get_ex(reply, "changed", &changed);
	warn(reply);
	if (cli->json)
		print_json(reply);
	else if (!json_object_get_boolean(changed))
		puts("unchanged");
	json_object_put(reply);
	return 0;
}

static int key_call(const struct cli *cli, const struct command *cmd, int argc, char **argv, enum method method,
		    struct json_object **ret)
{
	union object_spec spec;
	struct json_object *p;
	int r;

	if (!argc)
		return bad_argument(cmd, "which one? Its key is wanted");
	r = read_spec(cmd, argc, argv, &spec);
	if (r < 0)
		return r;
	p = kind_parameters(cmd);
	json_object_object_add(p, "key", key_json((enum object_kind)cmd->kind, &spec));
	return cli_call(cli, method, p, ret);
}

int cmd_object_remove(const struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	struct json_object *reply;
	int r = key_call(cli, cmd, argc, argv, METHOD_REMOVE, &reply);

	if (r >= 0)
		json_object_put(reply);
	return r;
}

int cmd_object_show(const struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	struct json_object *reply;
	int r = key_call(cli, cmd, argc, argv, METHOD_GET, &reply);

	if (r < 0)
		return r;
	if (cli->json) {
		print_json(reply);
	} else {
		struct json_object *o = NULL;

		json_object_object_get_ex(reply, "object", &o);
		print_object(o, 0);
		json_object_object_del(reply, "object");
		print_object(reply, 0);
	}
	json_object_put(reply);
	return 0;
}

/* ---- import: one object per line, as `list --json` prints them or as name=value pairs ---- */

static struct json_object *import_line(const struct command *cmd, const char *line, struct errbuf *err)
{
	const struct object_type *type = &object_types[cmd->kind];
	struct json_object *o, *inner;
	union object_spec spec;
	int r;

	field_defaults(type->fields, &spec, type->size);
	if (*line != '{') {
		r = field_read(type->fields, &spec, line, err);
	} else {
		o = json_tokener_parse(line);
		if (!o) {
			err_set(err, EINVAL, "neither JSON nor name=value pairs");
			return NULL;
		}
		if (!json_object_object_get_ex(o, "object", &inner))
			inner = o;
		r = fields_from_json(type->fields, &spec, inner, err);
		json_object_put(o);
	}
	if (r < 0 || field_check(type->fields, &spec, err) < 0 ||
	    object_validate((enum object_kind)cmd->kind, &spec, err) < 0)
		return NULL;
	return fields_to_json(type->fields, &spec, false);
}

/* The team changes as a whole, one change at a time. */
static size_t batch_max(const struct command *cmd)
{
	bool team = cmd->kind == OBJECT_MEMBER || cmd->kind == OBJECT_PA || cmd->kind == OBJECT_PROVIDER_ROUTE;

	return team ? 1 : IMPORT_BATCH;
}

static int import_batch(const struct cli *cli, const struct command *cmd, struct json_object **batch, uint64_t first,
			uint64_t *changed)
{
	struct json_object *p = kind_parameters(cmd), *reply, *n = NULL;
	int r;

	json_object_object_add(p, "objects", *batch);
	*batch = NULL;
	r = cli_call(cli, METHOD_IMPORT, p, &reply);
	if (r < 0)
		return cli_error(r, "the object is counted from line %llu; earlier lines are in force",
				 (unsigned long long)first);
	json_object_object_get_ex(reply, "changed", &n);
	warn(reply);
	*changed += (uint64_t)json_object_get_int64(n);
	json_object_put(reply);
	return 0;
}

static int import_file(const struct cli *cli, const struct command *cmd, FILE *f, uint64_t *changed)
{
	struct json_object *batch = NULL, *o;
	CLEANUP_FREE char *line = NULL;
	uint64_t number = 0, first = 1;
	struct errbuf err;
	size_t size = 0, bytes = 0, length;
	ssize_t n;
	int r = 0;

	while (r >= 0 && (n = getline(&line, &size, f)) > 0) {
		number++;
		line[strcspn(line, "\n")] = 0;
		if (!*line || *line == '#')
			continue;
		o = import_line(cmd, line, &err);
		if (!o) {
			r = cli_error(-EINVAL, "line %llu: %s", (unsigned long long)number, err.text);
			break;
		}
		if (!batch) {
			batch = json_object_new_array();
			first = number;
			bytes = 0;
		}
		json_object_to_json_string_length(o, JSON_C_TO_STRING_PLAIN, &length);
		bytes += length;
		json_object_array_add(batch, o);
		if (json_object_array_length(batch) == batch_max(cmd) || bytes >= IMPORT_BYTES)
			r = import_batch(cli, cmd, &batch, first, changed);
	}
	if (r >= 0 && batch)
		r = import_batch(cli, cmd, &batch, first, changed);
	json_object_put(batch);
	return r;
}

int cmd_object_import(const struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	CLEANUP_FCLOSE FILE *file = NULL;
	uint64_t changed = 0;
	FILE *f = stdin;
	int r;

	if (argc != 1)
		return cli_error(-EINVAL, "%s import: one file is wanted (- for standard input)", cmd->noun);
	if (strcmp(argv[0], "-") != 0) {
		f = file = fopen(argv[0], "re");
		if (!file)
			return cli_error(-errno, "%s: %s", argv[0], strerror(errno));
	}
	r = import_file(cli, cmd, f, &changed);
	if (r >= 0 && cli->json)
		printf("{ \"changed\": %llu }\n", (unsigned long long)changed);
	else if (r >= 0)
		printf("%llu changed\n", (unsigned long long)changed);
	return r;
}
