/* SPDX-License-Identifier: BSD-3-Clause */
/* Policy that hosts share: the store, and a file that says what it should be. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/cli.h"

#define TEXT_MAX_ (PROTOCOL_MESSAGE_MAX / 2)

int cmd_store(const struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	struct json_object *reply, *store = NULL;
	int r;

	if (argc)
		return cli_error(-EINVAL, "store show takes no argument");
	r = cli_call(cli, METHOD_STORE, NULL, &reply);
	if (r < 0)
		return r;
	json_object_object_get_ex(reply, "store", &store);
	if (cli->json)
		print_json(store);
	else
		print_object(store, 0);
	json_object_put(reply);
	return 0;
}

/* Short files are sent: the manager need not be able to read them. Long ones, and what they include, it reads. */
static int add_text(struct json_object *p, const char *path)
{
	CLEANUP_FCLOSE FILE *f = fopen(path, "re");
	CLEANUP_FREE char *text = malloc(TEXT_MAX_);
	size_t n;

	if (!f)
		return cli_error(-errno, "%s: %s", path, strerror(errno));
	if (!text)
		return cli_error(-ENOMEM, "out of memory");
	n = fread(text, 1, TEXT_MAX_, f);
	if (ferror(f))
		return cli_error(-EIO, "%s: cannot be read", path);
	if (n < TEXT_MAX_ && !memchr(text, '@', n))
		json_object_object_add(p, "text", json_object_new_string_len(text, (int)n));
	return 0;
}

static void print_changes(struct json_object *reply)
{
	struct json_object *list = NULL, *v[3] = { NULL }, *o;
	static const char *const names[] = { "added", "changed", "removed" };
	int64_t all = 0;

	json_object_object_get_ex(reply, "changes", &list);
	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		static const char *const parts[] = { "change", "kind", "line" };

		o = json_object_array_get_idx(list, i);
		for (unsigned int k = 0; k < 3; k++) {
			json_object_object_get_ex(o, parts[k], &v[k]);
			printf("%s%s", k ? " " : "", v[k] ? json_object_get_string(v[k]) : "?");
		}
		putchar('\n');
	}
	for (unsigned int k = 0; k < 3; k++) {
		json_object_object_get_ex(reply, names[k], &v[k]);
		printf("%s%lld %s", k ? ", " : "", (long long)json_object_get_int64(v[k]), names[k]);
		all += json_object_get_int64(v[k]);
	}
	if (list && all > (int64_t)json_object_array_length(list))
		printf(" (%zu shown)", json_object_array_length(list));
	putchar('\n');
}

int cmd_policy_apply(const struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	struct cli manager = *cli;
	struct json_object *p, *reply;
	char path[PATH_MAX];
	int r;

	if (argc != 1)
		return cli_error(-EINVAL, "policy apply: one file is wanted");
	if (!realpath(argv[0], path))
		return cli_error(-errno, "%s: %s", argv[0], strerror(errno));
	manager.socket = cli->manager;
	p = json_object_new_object();
	json_object_object_add(p, "file", json_object_new_string(path));
	json_object_object_add(p, "dry_run", json_object_new_boolean(cli->opt[OPT_DRY_RUN] != NULL));
	r = add_text(p, path);
	if (r < 0) {
		json_object_put(p);
		return r;
	}
	r = cli_call(&manager, METHOD_APPLY, p, &reply);
	if (r < 0)
		return r;
	if (cli->json)
		print_json(reply);
	else
		print_changes(reply);
	json_object_put(reply);
	return 0;
}
