/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "cli/cli.h"
#include "version.h"

#define NOUNS_MAX 64
#define VERBS_MAX 16

enum { OPT_COMPLETION = 256, OPT_OF_COMMAND };

static const struct option options[] = {
#define X(sym, name, value, text) { name, value ? required_argument : no_argument, NULL, OPT_OF_COMMAND + OPT_##sym },
	OPTION_LIST(X)
#undef X
	{ "socket", required_argument, NULL, 's' }, { "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },	    { "version", no_argument, NULL, 'V' },
	{ "follow", no_argument, NULL, 'f' },	    { "all", no_argument, NULL, 'a' },
	{ "port", required_argument, NULL, 'p' },   { "completion", no_argument, NULL, OPT_COMPLETION },
	{ "manager", no_argument, NULL, 'm' },
	{ NULL, 0, NULL, 0 },
};

static void help(const char *noun)
{
	if (!noun)
		puts("vswitchctl: look at and change a running vswitchd\n\n"
		     "usage: vswitchctl [--socket PATH | --manager] [--json] NOUN [VERB] [ARGUMENT...]\n");
	for (const struct command *c = commands; c->noun; c++) {
		char line[256];

		if (noun && strcmp(noun, c->noun) != 0)
			continue;
		snprintf(line, sizeof(line), "%s%s%s%s%s", c->noun, c->verb ? " " : "", c->verb ? c->verb : "",
			 *c->args ? " " : "", c->args);
		if (strlen(line) > 44)
			printf("  %s\n  %-44s %s\n", line, "", c->text);
		else
			printf("  %-44s %s\n", line, c->text);
		if (noun)
			print_options(c);
	}
	if (!noun)
		printf("\n  -s, --socket PATH   control socket (default: $VSWITCHD_SOCKET or %s)\n"
		       "  -m, --manager       the manager of shared policy instead of a switch, at $VSWITCHD_MANAGER\n"
		       "                      or " DEFAULT_MANAGER ": subnets, records, routes and hosts for all\n"
		       "  -j, --json          JSON instead of tables; listings print one object per line\n"
		       "  -h, --help          this text; NOUN --help: that noun's\n"
		       "  -V, --version       version of this program\n\n"
		       "Exit status: 0 done, 1 an error (said on standard error).\n", DEFAULT_SOCKET);
}

static int unknown_noun(const char *noun)
{
	const char *names[NOUNS_MAX];
	const char *near;
	unsigned int n = 0;

	for (const struct command *c = commands; c->noun && n < NOUNS_MAX - 1; c++)
		if (!n || strcmp(names[n - 1], c->noun) != 0)
			names[n++] = c->noun;
	names[n] = NULL;
	near = str_nearest(noun, names);
	if (near)
		return cli_error(-EINVAL, "unknown command \"%s\": did you mean \"%s\"?", noun, near);
	return cli_error(-EINVAL, "unknown command \"%s\" (vswitchctl --help lists them)", noun);
}

static int unknown_verb(const char *noun, const char *verb)
{
	const char *verbs[VERBS_MAX], *near;
	char known[256] = "";
	unsigned int n = 0;
	size_t used = 0;

	for (const struct command *c = commands; c->noun && used < sizeof(known) && n < VERBS_MAX - 1; c++) {
		if (!c->verb || strcmp(c->noun, noun) != 0)
			continue;
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "", c->verb);
		verbs[n++] = c->verb;
	}
	verbs[n] = NULL;
	near = verb ? str_nearest(verb, verbs) : NULL;
	if (verb)
		return cli_error(-EINVAL, "%s: unknown verb \"%s\"; there is %s%s%s%s", noun, verb, known,
				 near ? ": did you mean \"" : "", near ? near : "", near ? "\"?" : "");
	return cli_error(-EINVAL, "%s: a verb is wanted: %s", noun, known);
}

static int run(const struct cli *cli, int argc, char **argv)
{
	bool noun_known = false;
	int r;

	for (const struct command *c = commands; c->noun; c++) {
		if (strcmp(c->noun, argv[0]) != 0)
			continue;
		noun_known = true;
		if (c->verb && (argc < 2 || strcmp(c->verb, argv[1]) != 0))
			continue;
		r = cli_check_options(cli, c);
		return r < 0 ? r : c->verb ? c->run(cli, c, argc - 2, argv + 2) : c->run(cli, c, argc - 1, argv + 1);
	}
	return noun_known ? unknown_verb(argv[0], argc > 1 ? argv[1] : NULL) : unknown_noun(argv[0]);
}

int main(int argc, char **argv)
{
	struct cli cli = { .socket = getenv("VSWITCHD_SOCKET"), .manager = getenv("VSWITCHD_MANAGER") };
	bool want_help = false;
	int o, r;

	signal(SIGPIPE, SIG_IGN);
	if (!cli.socket || !*cli.socket)
		cli.socket = DEFAULT_SOCKET;
	if (!cli.manager || !*cli.manager)
		cli.manager = DEFAULT_MANAGER;
	while ((o = getopt_long(argc, argv, "s:mjhVfap:", options, NULL)) >= 0) {
		switch (o) {
		case 's':
			cli.socket = cli.manager = optarg;
			break;
		case 'm':
			cli.socket = cli.manager;
			break;
		case 'j':
			cli.json = true;
			break;
		case 'h':
			want_help = true;
			break;
		case 'V':
			puts("vswitchctl " VSWITCHD_VERSION);
			return 0;
		case 'f':
			cli.follow = true;
			break;
		case 'a':
			cli.all = true;
			break;
		case 'p':
			cli.port = optarg;
			break;
		case OPT_COMPLETION:
			print_completion();
			return 0;
		default:
			if (o < OPT_OF_COMMAND)
				return 1;
			cli.opt[o - OPT_OF_COMMAND] = optarg ? optarg : "";
		}
	}
	if (want_help) {
		help(optind < argc ? argv[optind] : NULL);
		return 0;
	}
	if (optind == argc) {
		cli_error(-EINVAL, "a command is wanted (vswitchctl --help lists them)");
		return 1;
	}
	r = run(&cli, argc - optind, argv + optind);
	if (r >= 0 && fflush(stdout) != 0)
		r = -errno;
	return r < 0 ? 1 : 0;
}
