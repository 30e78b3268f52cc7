/* SPDX-License-Identifier: BSD-3-Clause */
/* Options of commands, from one table; filters, which are NAME=VALUE words. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/filter.h"
#include "base/str.h"
#include "cli/cli.h"

const struct cli_option cli_options[OPT_COUNT_OF] = {
#define X(sym, name_, value_, text_) [OPT_##sym] = { name_, value_, text_ },
	OPTION_LIST(X)
#undef X
};

/* Is the option part of the command's usage line? That is the only list of them. */
static bool takes(const struct command *cmd, const char *name)
{
	char word[32];
	const char *at;
	size_t n = (size_t)snprintf(word, sizeof(word), "--%s", name);

	for (at = strstr(cmd->args, word); at; at = strstr(at + 1, word))
		if (!at[n] || strchr(" ]|", at[n]))
			return true;
	return false;
}

int cli_check_options(const struct cli *cli, const struct command *cmd)
{
	for (unsigned int i = 0; i < OPT_COUNT_OF; i++)
		if (cli->opt[i] && !takes(cmd, cli_options[i].name))
			return cli_error(-EINVAL, "%s%s%s does not take --%s", cmd->noun, cmd->verb ? " " : "",
					 cmd->verb ? cmd->verb : "", cli_options[i].name);
	return 0;
}

int cli_number(const struct cli *cli, enum cli_opt opt, uint64_t min, uint64_t max, struct json_object *p,
	       uint64_t *ret)
{
	uint64_t n;

	if (!cli->opt[opt])
		return 0;
	if (parse_u64(cli->opt[opt], min, max, &n) < 0)
		return cli_error(-EINVAL, "--%s: %llu..%llu is allowed", cli_options[opt].name, (unsigned long long)min,
				 (unsigned long long)max);
	if (p)
		json_object_object_add(p, cli_options[opt].name, json_object_new_int64((int64_t)n));
	if (ret)
		*ret = n;
	return 0;
}

int cli_string(const struct cli *cli, enum cli_opt opt, struct json_object *p)
{
	if (cli->opt[opt])
		json_object_object_add(p, cli_options[opt].name, json_object_new_string(cli->opt[opt]));
	return 0;
}

int cli_words(struct json_object *p, const char *const *names, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		char *value = strchr(argv[i], '=');
		const char *near;
		uint64_t n;

		if (value)
			*value++ = 0;
		for (unsigned int k = 0; value && names[k]; k++) {
			if (strcmp(names[k], argv[i]) != 0)
				continue;
			if (strcmp(argv[i], "vsid") == 0 && parse_u64(value, 0, UINT32_MAX, &n) == 0)
				json_object_object_add(p, argv[i], json_object_new_int64((int64_t)n));
			else
				json_object_object_add(p, argv[i], json_object_new_string(value));
			value = NULL;
			argv[i] = NULL;
			break;
		}
		if (!argv[i])
			continue;
		near = str_nearest(argv[i], names);
		return cli_error(-EINVAL, "unknown word \"%s\"%s%s%s", argv[i], near ? ": did you mean " : "",
				 near ? near : "", near ? "=...?" : "");
	}
	return 0;
}

int cli_filter(const struct cli *cli, struct json_object *p, int argc, char **argv)
{
	struct json_object *f = json_object_new_object();

	json_object_object_add(p, "filter", f);
	if (cli->port)
		json_object_object_add(f, "port", json_object_new_string(cli->port));
	cli_string(cli, OPT_MEMBER, f);
	if (cli->opt[OPT_DROPS])
		json_object_object_add(f, "drop", json_object_new_string("any"));
	for (int i = 0; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		if (!value)
			return cli_error(-EINVAL, "\"%s\": a filter is NAME=VALUE (names: vswitchctl capture --help)",
					 argv[i]);
		*value++ = 0;
		/* Names and values are judged by the daemon, with the same table. */
		json_object_object_add(f, argv[i], json_object_new_string(value));
	}
	return 0;
}

/* What stands behind the usage line of one noun. */
void print_options(const struct command *cmd)
{
	bool filter = strstr(cmd->args, "FILTER") != NULL;

	for (unsigned int i = 0; i < OPT_COUNT_OF; i++) {
		char word[48];

		if (!takes(cmd, cli_options[i].name))
			continue;
		snprintf(word, sizeof(word), "--%s %s", cli_options[i].name,
			 cli_options[i].value ? cli_options[i].value : "");
		printf("      %-24s %s\n", word, cli_options[i].text);
	}
	for (const struct field *f = filter_fields; filter && f->name; f++) {
		char word[48];

		snprintf(word, sizeof(word), "%s=%s", f->name, "VALUE");
		printf("      %-24s %s\n", word, f->text);
	}
}
