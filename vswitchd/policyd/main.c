/* SPDX-License-Identifier: BSD-3-Clause */
/* vswitch-policyd: command line, configuration, loop. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "policyd/policyd.h"
#include "version.h"

#define DEFAULT_CONFIG "/etc/vswitchd/policyd.conf"
#define FDS_MAX	       (CONNECTIONS_MAX + 2)

static void usage(FILE *out)
{
	fprintf(out,
		"vswitch-policyd: the manager of policy that many hosts share\n\n"
		"usage: vswitch-policyd [--config FILE]    run (default " DEFAULT_CONFIG ")\n"
		"       vswitch-policyd --check [FILE]     judge a configuration and exit\n\n"
		"The file is like vswitchd.conf; `store` says where policy is, `host.id` is the name of this manager,\n"
		"`paths.run-dir` the place of the socket \"manager\", `control` who may use it.\n"
		"Any number may run: one is elected, the others wait.\n\n"
		"  --log-level error|warning|notice|info|debug   instead of the configuration's\n"
		"  --version, --help\n");
}

struct arguments {
	const char *config, *log_level;
	bool check;
};

static int parse_arguments(int argc, char **argv, struct arguments *ret)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },    { "check", no_argument, NULL, 'k' },
		{ "log-level", required_argument, NULL, 'l' }, { "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },	       { 0 },
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
			puts("vswitch-policyd " VSWITCHD_VERSION);
			return 1;
		case 'h':
			usage(stdout);
			return 1;
		default:
			return -EINVAL;
		}
	}
	if (optind < argc && ret->check && !ret->config)
		ret->config = argv[optind++];
	if (optind < argc) {
		fprintf(stderr, "vswitch-policyd: unexpected argument '%s'\n", argv[optind]);
		return -EINVAL;
	}
	if (!ret->config)
		ret->config = DEFAULT_CONFIG;
	return 0;
}

static int load(const struct arguments *args, struct config **ret)
{
	CLEANUP(config_errors_free) struct config_errors errors = { 0 };
	CLEANUP_FREE char *text = NULL;
	int r = config_fetch(args->config, ret, &errors);

	if (r == 0)
		config_check_store(*ret, &errors);
	if (r == 0 && !errors.n_errors && (*ret)->settings.store.backend == KV_SQLITE &&
	    !*(*ret)->settings.store.path) {
		fprintf(stderr, "%s: store: nothing says where policy is: backend = \"etcd\" with endpoints, or path\n",
			args->config);
		r = -EINVAL;
	}
	text = config_errors_join(&errors);
	if (text && *text)
		fprintf(stderr, "%s\n", text);
	if (r == 0 && errors.n_errors)
		r = -EINVAL;
	if (r < 0)
		*ret = config_free(*ret);
	return r;
}

static int set_log_level(const struct arguments *args, struct settings *s)
{
	for (unsigned int i = 0; args->log_level; i++) {
		if (!log_level_names[i]) {
			fprintf(stderr, "vswitch-policyd: --log-level: '%s' is none of "
				"error|warning|notice|info|debug\n", args->log_level);
			return -EINVAL;
		}
		if (strcmp(args->log_level, log_level_names[i]) == 0) {
			s->log_level = (uint8_t)i;
			break;
		}
	}
	log_set_level(settings_syslog_level(s));
	return 0;
}

static void tell_status(const struct pm *pm, char last[512])
{
	struct pm_info i;
	char text[512];

	pm_info(pm, &i);
	if (!i.up)
		snprintf(text, sizeof(text), "STATUS=not connected: %s", *i.problem ? i.problem : "not yet");
	else
		snprintf(text, sizeof(text), "STATUS=%s, %u hosts, %u subnets, %u records",
			 i.leader ? "elected" : "waiting", i.hosts, i.subnets, i.records);
	if (strcmp(text, last) != 0)
		notify(text);
	str_copy(last, 512, text);
}

static void loop(struct pm *pm, struct server *server, int signals)
{
	struct pollfd fds[FDS_MAX];
	char status[512] = "";
	unsigned int n, turns = 0;

	notify("READY=1");
	for (;;) {
		fds[0] = (struct pollfd){ .fd = signals, .events = POLLIN };
		n = server_fds(server, fds + 1, FDS_MAX - 1);
		if (pm_poll(pm, fds, n + 1, 1000) < 0)
			usleep(10000);
		if (fds[0].revents)
			break;
		server_turn(server, fds + 1, n);
		if (turns++ % 16 == 0)
			tell_status(pm, status);
	}
	notify("STOPPING=1");
}

static int run(const struct settings *s)
{
	struct server server = { .fd = -1 };
	struct pm_config c;
	struct pm *pm = NULL;
	struct errbuf err = { "" };
	sigset_t set;
	int fd, r;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	pm_defaults(&c);
	c.store = s->store;
	str_copy(c.id, sizeof(c.id), s->host_id);
	r = fd < 0 ? err_set(&err, errno, "signalfd: %s", strerror(errno)) : pm_new(&c, &pm, &err);
	if (r == 0)
		r = server_new(&server, pm, s, &err);
	if (r == 0)
		loop(pm, &server, fd);
	else
		log_error("%s", err.text);
	/* Its calls end when the manager does; their connections have to be there for that. */
	pm_free(pm);
	server_free(&server);
	closep(&fd);
	return r;
}

int main(int argc, char **argv)
{
	struct arguments args = { 0 };
	struct config *config = NULL;
	int r = parse_arguments(argc, argv, &args);

	if (r != 0)
		return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	r = load(&args, &config);
	if (r == 0)
		r = set_log_level(&args, &config->settings);
	if (r == 0 && !args.check)
		r = run(&config->settings);
	config_free(config);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
