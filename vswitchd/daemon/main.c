/* SPDX-License-Identifier: BSD-3-Clause */
/* vswitchd: command line, configuration, life. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "version.h"
#include <systemd/sd-daemon.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/config.h"
#include "daemon/config_policy.h"
#include "daemon/eal.h"
#include "daemon/logsink.h"
#include "daemon/manager.h"
#include "daemon/privileges.h"

#define DEFAULT_CONFIG "/etc/vswitchd/vswitchd.conf"

struct arguments {
	const char *config;
	const char *log_level;
	bool check;
};

static void usage(FILE *out)
{
	fprintf(out,
		"usage: vswitchd [--config FILE]          run (default " DEFAULT_CONFIG ")\n"
		"       vswitchd --check [FILE]           judge a configuration and exit\n"
		"       vswitchd --print-sample-config    every setting with its default\n"
		"\n"
		"  --log-level error|warning|notice|info|debug   instead of the configuration's\n"
		"  --version, --help\n");
}

/* @return 0: go on; 1: done; -EINVAL: wrong usage, said. */
static int parse_arguments(int argc, char **argv, struct arguments *ret)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },    { "check", no_argument, NULL, 'k' },
		{ "log-level", required_argument, NULL, 'l' }, { "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },	       { "print-sample-config", no_argument, NULL, 's' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:h", options, NULL)) >= 0) {
		switch (c) {
		case 'c':
			ret->config = optarg;
			break;
		case 'k':
			ret->check = true;
			break;
		case 'l':
			ret->log_level = optarg;
			break;
		case 'v':
			printf("vswitchd %s\n", VSWITCHD_VERSION);
			return 1;
		case 'h':
			usage(stdout);
			return 1;
		case 's':
			config_print_sample(stdout);
			return 1;
		default:
			return -EINVAL; /* getopt_long() has said what is wrong */
		}
	}
	/* "--check FILE" reads as one. */
	if (optind < argc && ret->check && !ret->config)
		ret->config = argv[optind++];
	if (optind < argc) {
		fprintf(stderr, "vswitchd: unexpected argument '%s'\n", argv[optind]);
		return -EINVAL;
	}
	if (!ret->config)
		ret->config = DEFAULT_CONFIG;
	return 0;
}

/* All that is wrong with a configuration goes to standard error as it is, one a line: editors can jump to it. */
static void print_errors(const struct config_errors *errors)
{
	CLEANUP_FREE char *text = config_errors_join(errors);

	if (text && *text)
		fprintf(stderr, "%s\n", text);
}

static int load(const struct arguments *args, struct config **ret)
{
	CLEANUP(config_errors_free) struct config_errors errors = { 0 };
	int r = config_load(args->config, ret, &errors);

	if (r == 0) {
		r = config_check_policy(*ret, NULL, &errors);
		if (r < 0)
			*ret = config_free(*ret);
	}
	print_errors(&errors);
	if (r < 0 && !errors.n_errors)
		fprintf(stderr, "%s: %s\n", args->config, strerror(-r));
	return r;
}

/* What the machine says to it, as far as that can be told without starting. */
static int check_machine(const struct config *c, const char *file)
{
	const struct config_list *members = &c->objects[OBJECT_MEMBER];
	struct eal_machine machine;
	struct eal_plan plan;
	struct errbuf err;
	int r;

	eal_probe(&machine);
	r = eal_plan(&c->settings, (const struct member_spec *)(const void *)members->specs, (unsigned int)members->n,
		     &machine, &plan, &err);
	if (r < 0)
		fprintf(stderr, "%s: %s\n", file, err.text);
	else
		eal_plan_done(&plan);
	return r;
}

static int set_log_level(const struct arguments *args, struct config *c)
{
	unsigned int i;

	for (i = 0; args->log_level && log_level_names[i]; i++) {
		if (strcmp(args->log_level, log_level_names[i]) == 0) {
			c->settings.log_level = (uint8_t)i;
			break;
		}
	}
	if (args->log_level && !log_level_names[i]) {
		fprintf(stderr, "vswitchd: --log-level: '%s' is none of error|warning|notice|info|debug\n",
			args->log_level);
		return -EINVAL;
	}
	log_set_level(settings_syslog_level(&c->settings));
	return 0;
}

/* Before any thread exists: all of them inherit the mask, and the loop gets the signals by signalfd. */
static int block_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	return sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? -errno : 0;
}

static int run(struct config *config, const char *file)
{
	struct manager *m = NULL;
	struct errbuf err = { "" };
	int r = manager_new(config, file, &m, &err);

	if (r < 0) {
		log_error("%s", err.text);
		sd_notifyf(0, "STATUS=%.200s\nERRNO=%d", err.text, -r);
		return r;
	}
	r = manager_run(m);
	if (r < 0)
		log_error("the event loop failed: %s", strerror(-r));
	manager_free(m);
	return r;
}

int main(int argc, char **argv)
{
	struct arguments args = { 0 };
	struct config *config = NULL;
	struct errbuf err;
	int r = parse_arguments(argc, argv, &args);

	if (r != 0)
		return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	log_open();
	r = privileges_limit(&err);
	if (r < 0)
		log_error("%s", err.text);
	else
		r = block_signals();
	if (r == 0)
		r = load(&args, &config);
	if (r == 0)
		r = set_log_level(&args, config);
	if (r < 0) {
		config_free(config);
		return EXIT_FAILURE;
	}
	if (!args.check)
		return run(config, args.config) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	r = check_machine(config, args.config);
	config_free(config);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
