/* SPDX-License-Identifier: BSD-3-Clause */
/* vhu-peer: guests for a vhost-user switch, without a hypervisor. The command line and the beginning and
 * end. */
#include "commands.h"
#include "hostile.h"

#include "frame.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

enum { LAST_ANSWER_MS = 1000 };

static const struct mode_ops *const all_modes[] = {
	&mode_gen, &mode_genseq, &mode_sink, &mode_echo, &mode_tap, &mode_hostile,
};

static void help(void)
{
	printf("vhu-peer: vhost-user front-ends, as QEMU and its guests are, for tests and benches\n\n"
	       "  vhu-peer [OPTION...] --port KEY=VALUE,... [--port ...]\n\n"
	       "    --port GROUP     a port (below); may be given many times\n"
	       "    --busy           poll all the time instead of waiting for notifications\n"
	       "    --workers N      threads for the ports' queues [1]\n"
	       "    --cpus LIST      CPUs for them, as 1,2\n"
	       "    --control PATH   unix socket for commands (they are read from stdin too)\n"
	       "    --hold           ports begin stopped: generators wait for the command start\n"
	       "    --stats MS       print figures every MS milliseconds\n"
	       "    --quit-on-eof    end when stdin is closed\n"
	       "    --seed N         for hostile scripts; default random, printed\n"
	       "    --list-hostile   the hostile scripts\n"
	       "    --help\n\n"
	       "Everything said is a JSON object on a line of its own: events (listening, ready, failed, "
	       "disconnected,\n"
	       "expected, done, stats, final) on stdout, replies where the command came from.\n\n"
	       "Keys of --port [default]:\n");
	options_help(stdout);
	printf("\nCommands, NAME [PORT [ARGUMENT]]:\n\n");
	commands_help(stdout);
}

enum {
	OPT_PORT = 256,
	OPT_BUSY,
	OPT_WORKERS,
	OPT_CPUS,
	OPT_CONTROL,
	OPT_HOLD,
	OPT_STATS,
	OPT_EOF,
	OPT_SEED,
	OPT_LIST,
	OPT_HELP
};

static const struct option longopts[] = {
	{ "port", required_argument, NULL, OPT_PORT },
	{ "busy", no_argument, NULL, OPT_BUSY },
	{ "workers", required_argument, NULL, OPT_WORKERS },
	{ "cpus", required_argument, NULL, OPT_CPUS },
	{ "control", required_argument, NULL, OPT_CONTROL },
	{ "hold", no_argument, NULL, OPT_HOLD },
	{ "stats", required_argument, NULL, OPT_STATS },
	{ "quit-on-eof", no_argument, NULL, OPT_EOF },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "list-hostile", no_argument, NULL, OPT_LIST },
	{ "help", no_argument, NULL, OPT_HELP },
	{ 0 },
};

struct args {
	const char **group;
	unsigned int n_groups;
	bool busy, hold;
	unsigned int workers;
	const char *cpus;
	uint64_t seed;
};

static int number(const char *text, uint64_t max, uint64_t *ret_value)
{
	char *end;
	uint64_t v;

	errno = 0;
	v = strtoull(text, &end, 0);
	if (errno || *end || end == text || *text == '-' || v > max)
		return -EINVAL;
	*ret_value = v;
	return 0;
}

static int take_option(int opt, struct args *a, struct peer *peer)
{
	uint64_t v = 0;
	int err = 0;

	switch (opt) {
	case OPT_PORT:
		a->group[a->n_groups++] = optarg;
		break;
	case OPT_BUSY:
		a->busy = true;
		break;
	case OPT_WORKERS:
		err = number(optarg, MAX_WORKERS, &v);
		a->workers = (unsigned int)v;
		break;
	case OPT_CPUS:
		a->cpus = optarg;
		break;
	case OPT_CONTROL:
		peer->control_path = optarg;
		break;
	case OPT_HOLD:
		a->hold = true;
		break;
	case OPT_STATS:
		err = number(optarg, 3600000, &v);
		peer->stats_interval_ns = v * 1000000;
		break;
	case OPT_EOF:
		peer->quit_on_eof = true;
		break;
	case OPT_SEED:
		err = number(optarg, UINT64_MAX, &a->seed);
		break;
	default:
		return -EINVAL;
	}
	if (err)
		fprintf(stderr, "vhu-peer: --%s %s: not a number in range\n", longopts[opt - OPT_PORT].name,
			optarg);
	return err;
}

static int parse_args(int argc, char **argv, struct args *a, struct peer *peer)
{
	int opt, err;

	*a = (struct args){ .workers = 1 };
	if (getrandom(&a->seed, sizeof(a->seed), 0) != sizeof(a->seed))
		return -EIO;
	a->seed &= 0xffffffff; /* short enough to type */
	a->group = calloc((size_t)argc, sizeof(*a->group));
	if (!a->group)
		return -ENOMEM;
	while ((opt = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		if (opt == OPT_HELP || opt == OPT_LIST) {
			opt == OPT_HELP ? help() : hostile_help(stdout);
			exit(0);
		}
		err = take_option(opt, a, peer);
		if (err)
			return err;
	}
	if (optind < argc || !a->n_groups || !a->workers) {
		fprintf(stderr, "vhu-peer: at least one --port and one worker; see --help\n");
		return -EINVAL;
	}
	return 0;
}

static int init_workers(struct peer *peer, const struct args *a)
{
	const char *cpu = a->cpus;
	int err;

	for (unsigned int i = 0; i < a->workers; i++) {
		err = worker_init(&peer->worker[i], i, a->busy, peer->control_fd);
		if (err)
			return err;
		peer->n_workers++;
		if (cpu && *cpu) {
			char *end;

			peer->worker[i].cpu = (int)strtoul(cpu, &end, 10);
			if (end == cpu || (*end && *end != ',')) {
				fprintf(stderr, "vhu-peer: --cpus %s: numbers with commas\n", a->cpus);
				return -EINVAL;
			}
			cpu = *end ? end + 1 : end;
		}
	}
	return 0;
}

static struct vhu_config port_config(const struct port_options *o)
{
	return (struct vhu_config){
		.path = o->socket,
		.server = o->server,
		.pairs = (unsigned int)o->queues,
		.active = (unsigned int)o->active,
		.size = (uint16_t)o->size,
		.buf_len = (uint32_t)o->buf,
		.regions = (unsigned int)o->regions,
		.huge = o->huge,
		.packed = !strcmp(o->ring, "packed"),
		.mergeable = o->mrg,
		.indirect = o->indirect,
		.event_idx = o->event_idx,
		.legacy = o->legacy,
		.hdr_desc = o->hdr_desc,
		.csum = o->csum,
		.gso = o->gso,
		.guest_csum = o->guest_csum,
		.guest_gso = o->guest_gso,
		.no_protocol_features = o->no_protocol,
		.mtu = (uint16_t)o->mtu,
		.packed_base = strcmp(o->packed_base, "qemu") ? VHU_PACKED_OWN : VHU_PACKED_QEMU,
		.timeout_ms = (unsigned int)o->timeout,
	};
}

static int add_mode(struct peer_port *p, const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(all_modes) / sizeof(all_modes[0]); i++) {
		const struct mode_ops *ops = all_modes[i];
		int err;

		if (strlen(ops->name) != len || memcmp(ops->name, name, len) || p->n_modes == MAX_MODES)
			continue;
		err = ops->open(p, &p->mode[p->n_modes].priv);
		if (!err)
			p->mode[p->n_modes++].ops = ops;
		return err;
	}
	fprintf(stderr, "%s: mode=%s: gen, genseq, sink, echo, tap or hostile, at most two joined by +\n",
		p->opt.name, p->opt.mode);
	return -EINVAL;
}

static int add_modes(struct peer_port *p)
{
	bool receives = false;
	const char *name = p->opt.mode;
	int err = 0;

	while (!err && *name) {
		size_t len = strcspn(name, "+");

		err = add_mode(p, name, len);
		if (err)
			return err;
		receives |= p->mode[p->n_modes - 1].ops->receives;
		name += len + (name[len] == '+');
	}
	return receives ? 0 : add_mode(p, "sink", 4);
}

static int init_port(struct peer *peer, unsigned int index, const char *group, const struct args *a)
{
	struct peer_port *p = &peer->port[index];
	struct vhu_config cfg;
	int err = options_parse(group, &p->opt);

	peer->n_ports++;
	if (err)
		return err;
	if (!p->opt.name && asprintf(&p->opt.name, "p%u", index) < 0)
		return -ENOMEM;
	memcpy(p->mac, FRAME_MAC(2, 0, 0, 0, (index + 1) >> 8, index + 1), 6);
	p->has_mac = p->opt.mac;
	if (p->opt.mac && frame_parse_mac(p->opt.mac, p->mac)) {
		fprintf(stderr, "%s: mac=%s: not a MAC address\n", p->opt.name, p->opt.mac);
		return -EINVAL;
	}
	p->seed = a->seed + index;
	p->running = !a->hold;
	cfg = port_config(&p->opt);
	err = vhu_port_open(&cfg, &p->vhu);
	if (err) {
		fprintf(stderr, "%s: socket=%s: %s\n", p->opt.name, p->opt.socket, strerror(-err));
		return err;
	}
	if (p->opt.worker >= peer->n_workers) {
		fprintf(stderr, "%s: worker=%u: there are %u (--workers)\n", p->opt.name,
			(unsigned int)p->opt.worker, peer->n_workers);
		return -EINVAL;
	}
	err = worker_add(&peer->worker[p->opt.worker], p);
	return err ? err : add_modes(p);
}

static int init(struct peer *peer, const struct args *a)
{
	struct rlimit files;
	int err;

	/* a thousand ports have many descriptors */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	peer->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	peer->control_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	peer->port = calloc(a->n_groups, sizeof(*peer->port));
	if (peer->epoll_fd < 0 || peer->control_fd < 0 || !peer->port)
		return -ENOMEM;
	err = init_workers(peer, a);
	for (unsigned int i = 0; !err && i < a->n_groups; i++)
		err = init_port(peer, i, a->group[i], a);
	for (unsigned int i = 0; !err && i < peer->n_workers; i++)
		err = worker_start(&peer->worker[i]);
	return err;
}

static void finish(struct peer *peer, bool report)
{
	bool answers = true;

	for (unsigned int i = 0; report && i < peer->n_ports; i++)
		report_port(&peer->port[i], "event", "final", STDOUT_FILENO);
	for (unsigned int i = 0; i < peer->n_workers; i++)
		worker_stop(&peer->worker[i]);
	for (unsigned int i = 0; i < peer->n_ports; i++) {
		struct peer_port *p = &peer->port[i];

		for (unsigned int m = 0; m < p->n_modes; m++)
			p->mode[m].ops->close(p->mode[m].priv);
		/* orderly, as a guest that is shut down, but not waiting long for a back-end that hangs */
		if (p->ready && answers) {
			vhu_port_set_timeout(p->vhu, LAST_ANSWER_MS);
			answers = vhu_port_stop(p->vhu) != -ETIMEDOUT;
		}
		vhu_port_close(p->vhu);
		options_free(&p->opt);
	}
	free(peer->port);
}

int main(int argc, char **argv)
{
	static struct peer peer = { .control_listen_fd = -1 };
	struct args a;
	sigset_t set;
	int err;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	prctl(PR_SET_TIMERSLACK, 1000UL); /* ns: paced frames go out when they are due */
	err = parse_args(argc, argv, &a, &peer);
	if (err) {
		free(a.group);
		return 2;
	}
	err = init(&peer, &a);
	if (!err) {
		struct json j;

		event_begin(&j, "begin", NULL);
		json_u64(&j, "seed", a.seed);
		json_u64(&j, "ports", peer.n_ports);
		event_end(&j);
		err = control_run(&peer);
	}
	if (err)
		fprintf(stderr, "vhu-peer: %s\n", strerror(-err));
	finish(&peer, !err);
	free(a.group);
	return err ? 1 : 0;
}
