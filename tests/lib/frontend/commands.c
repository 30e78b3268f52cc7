/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands, one a line, "NAME [PORT [ARGUMENT]]"; without PORT they mean every port. */
#include "commands.h"
#include "link.h"

#include "frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct command {
	const char *name;
	bool needs_arg;
	/* Returns 0 or -errno. arg may be NULL. Members of the answer may be added to j. */
	int (*run)(struct peer *peer, struct peer_port *p, const char *arg, struct json *j);
	const char *help;
};

static void add_queue(struct vhu_queue_stats *sum, const struct vhu_queue_stats *s)
{
	sum->packets += s->packets;
	sum->bytes += s->bytes;
	sum->bursts += s->bursts;
	sum->full += s->full;
	sum->kicks += s->kicks;
	sum->too_big += s->too_big;
	for (unsigned int i = 0; i < VHU_VIOLATIONS; i++)
		sum->violations[i] += s->violations[i];
}

static void report_queues(const struct peer_port *p, bool rx, struct json *j)
{
	struct vhu_queue_stats sum = { 0 };

	for (unsigned int i = 0; i < p->opt.queues; i++)
		add_queue(&sum, rx ? &vhu_port_rxq(p->vhu, i)->stats : &vhu_port_txq(p->vhu, i)->stats);
	json_open(j, rx ? "rx" : "tx", '{');
	json_u64(j, "packets", sum.packets);
	json_u64(j, "bytes", sum.bytes);
	json_u64(j, "bursts", sum.bursts);
	json_u64(j, "kicks", sum.kicks);
	if (!rx) {
		json_u64(j, "full", sum.full);
		json_u64(j, "too_big", sum.too_big);
	}
	json_open(j, "by_queue", '[');
	for (unsigned int i = 0; i < p->opt.queues; i++)
		json_u64(j, NULL,
			 rx ? vhu_port_rxq(p->vhu, i)->stats.packets
			    : vhu_port_txq(p->vhu, i)->stats.packets);
	json_close(j, ']');
	json_close(j, '}');
}

static void report_violations(const struct peer_port *p, struct json *j)
{
	struct vhu_queue_stats sum = { 0 };
	bool broken = false;

	for (unsigned int i = 0; i < 2 * p->opt.queues; i++) {
		add_queue(&sum, &p->vhu->queue[i].stats);
		broken |= p->vhu->queue[i].broken;
	}
	json_bool(j, "broken", broken);
	json_open(j, "violations", '{');
	for (unsigned int i = 0; i < VHU_VIOLATIONS; i++)
		if (sum.violations[i])
			json_u64(j, vhu_violation_names[i], sum.violations[i]);
	json_close(j, '}');
}

static void fill_report(struct peer_port *p, struct json *j)
{
	json_u64(j, "t_ns", now_ns());
	json_bool(j, "ready", p->ready);
	json_bool(j, "running", p->running);
	json_u64(j, "starts", p->starts);
	json_u64(j, "queues", p->vhu->enabled);
	json_u64(j, "backend_requests", p->vhu->backend_requests);
	p->ring_errors += vhu_port_ring_errors(p->vhu);
	json_u64(j, "ring_errors", p->ring_errors);
	report_queues(p, true, j);
	report_queues(p, false, j);
	report_violations(p, j);
	for (unsigned int i = 0; i < p->n_modes; i++) {
		json_open(j, p->mode[i].ops->name, '{');
		p->mode[i].ops->report(p->mode[i].priv, j);
		json_close(j, '}');
	}
}

void report_port(struct peer_port *p, const char *key, const char *value, int fd)
{
	struct json j;

	json_begin(&j);
	json_str(&j, key, value);
	json_str(&j, "port", p->opt.name);
	worker_pause(p->worker);
	fill_report(p, &j);
	worker_resume(p->worker);
	write_line(fd, &j);
}

static int run_stats(struct peer *peer, struct peer_port *p, const char *arg, struct json *j)
{
	(void)peer, (void)arg;
	worker_pause(p->worker);
	fill_report(p, j);
	worker_resume(p->worker);
	return 0;
}

static int set_running(struct peer_port *p, bool on)
{
	worker_pause(p->worker);
	p->running = on;
	p->hot = true;
	worker_resume(p->worker);
	return 0;
}

static int run_start(struct peer *peer, struct peer_port *p, const char *arg, struct json *j)
{
	(void)peer, (void)arg, (void)j;
	return set_running(p, true);
}

static int run_stop(struct peer *peer, struct peer_port *p, const char *arg, struct json *j)
{
	(void)peer, (void)arg, (void)j;
	return set_running(p, false);
}

static int run_reset(struct peer *peer, struct peer_port *p, const char *arg, struct json *j)
{
	(void)peer, (void)arg, (void)j;
	worker_pause(p->worker);
	for (unsigned int i = 0; i < 2 * p->opt.queues; i++)
		p->vhu->queue[i].stats = (struct vhu_queue_stats){ 0 };
	for (unsigned int i = 0; i < p->n_modes; i++)
		p->mode[i].ops->reset(p->mode[i].priv);
	p->hot = true;
	worker_resume(p->worker);
	return 0;
}

static int run_rate(struct peer *peer, struct peer_port *p, const char *arg, struct json *j)
{
	uint64_t rate;
	char *end;

	(void)peer, (void)j;
	rate = strtoull(arg, &end, 0);
	if (*end || end == arg)
		return -EINVAL;
	worker_pause(p->worker);
	for (unsigned int i = 0; i < p->n_modes; i++)
		if (p->mode[i].ops->set_rate)
			p->mode[i].ops->set_rate(p->mode[i].priv, rate);
	p->hot = true;
	worker_resume(p->worker);
	return 0;
}

static int run_flows(struct peer *peer, struct peer_port *p, const char *arg, struct json *j)
{
	int err = 0;

	(void)peer, (void)j;
	worker_pause(p->worker);
	for (unsigned int i = 0; !err && i < p->n_modes; i++)
		if (p->mode[i].ops->set_flows)
			err = p->mode[i].ops->set_flows(p->mode[i].priv, arg);
	p->hot = true;
	worker_resume(p->worker);
	return err;
}

static int run_pause(struct peer *peer, struct peer_port *p, const char *arg, struct json *j)
{
	char *end;
	uint64_t ms = strtoull(arg, &end, 0);

	(void)peer, (void)j;
	if (*end || end == arg || ms >= 1000)
		return -EINVAL;
	worker_pause(p->worker);
	for (unsigned int i = 0; i < p->n_modes; i++)
		if (p->mode[i].ops->set_pause)
			p->mode[i].ops->set_pause(p->mode[i].priv, ms);
	p->hot = true;
	worker_resume(p->worker);
	return 0;
}

static int run_queues(struct peer *peer, struct peer_port *p, const char *arg, struct json *j)
{
	int err;

	(void)peer, (void)j;
	worker_pause(p->worker);
	err = vhu_port_enable(p->vhu, (unsigned int)strtoul(arg, NULL, 0));
	for (unsigned int i = 0; !err && i < p->n_modes; i++)
		if (p->mode[i].ops->ready)
			p->mode[i].ops->ready(p->mode[i].priv);
	p->hot = true;
	worker_resume(p->worker);
	return err;
}

static int run_memory(struct peer *peer, struct peer_port *p, const char *arg, struct json *j)
{
	(void)peer, (void)arg, (void)j;
	return p->ready ? vhu_port_send_memory(p->vhu) : -ENOTCONN;
}

static int run_rarp(struct peer *peer, struct peer_port *p, const char *arg, struct json *j)
{
	uint8_t mac[6];

	(void)peer, (void)j;
	memcpy(mac, p->mac, 6);
	if (arg ? frame_parse_mac(arg, mac) < 0 : !p->has_mac)
		return -EINVAL;
	return p->ready ? vhu_port_rarp(p->vhu, mac) : -ENOTCONN;
}

static int run_log(struct peer *peer, struct peer_port *p, const char *arg, struct json *j)
{
	(void)peer;
	if (!strcmp(arg, "start"))
		return vhu_port_log_start(p->vhu);
	if (!strcmp(arg, "stop"))
		return vhu_port_log_stop(p->vhu);
	if (strcmp(arg, "count") && strcmp(arg, "clear"))
		return -EINVAL;
	json_u64(j, "pages", vhu_port_log_count(p->vhu, !strcmp(arg, "clear")));
	return 0;
}

static int run_rings(struct peer *peer, struct peer_port *p, const char *arg, struct json *j)
{
	(void)peer, (void)j;
	if (!strcmp(arg, "stop"))
		return link_stop_rings(p);
	return strcmp(arg, "start") ? -EINVAL : link_start_rings(p);
}

static int run_disconnect(struct peer *peer, struct peer_port *p, const char *arg, struct json *j)
{
	(void)arg, (void)j;
	p->held = true;
	link_down(peer, p, "command");
	return 0;
}

static int run_connect(struct peer *peer, struct peer_port *p, const char *arg, struct json *j)
{
	(void)arg, (void)j;
	p->held = false;
	if (p->vhu->fd < 0)
		link_begin(peer, p);
	return 0;
}

static int run_guest_reset(struct peer *peer, struct peer_port *p, const char *arg, struct json *j)
{
	(void)arg, (void)j;
	link_restart_guest(peer, p, "guest reset");
	return 0;
}

static int run_reboot(struct peer *peer, struct peer_port *p, const char *arg, struct json *j)
{
	(void)peer, (void)arg, (void)j;
	return link_reboot(p);
}

static int run_migrate(struct peer *peer, struct peer_port *p, const char *arg, struct json *j)
{
	(void)j;
	return link_migrate(peer, p, arg);
}

static const struct command commands[] = {
	{ "stats", false, run_stats, "figures" },
	{ "start", false, run_start, "generators send" },
	{ "stop", false, run_stop, "generators pause" },
	{ "reset", false, run_reset, "figures to zero, counts and sequences anew" },
	{ "rate", true, run_rate, "RATE packets per second, 0 without limit" },
	{ "flows", true, run_flows, "N,N...|all, the flows that genseq sends" },
	{ "pause", true, run_pause, "MS of silence in every second, genseq" },
	{ "queues", true, run_queues, "N queue pairs enabled from now on" },
	{ "memory", false, run_memory, "send the memory table again while running" },
	{ "rarp", false, run_rarp, "[MAC], SEND_RARP as after a migration" },
	{ "log", true, run_log, "start|count|clear|stop, the dirty log" },
	{ "rings", true, run_rings, "stop|start, orderly, on the same connection" },
	{ "disconnect", false, run_disconnect, "close the connection and stay away" },
	{ "connect", false, run_connect, "connect (listen) again" },
	{ "guest-reset", false, run_guest_reset, "disconnect, forget rings and features, start again" },
	{ "reboot", false, run_reboot, "the guest boots again on the same connection" },
	{ "migrate", true, run_migrate, "SOCKET, stop here and go on there" },
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

void commands_help(FILE *out)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(out, "    %-12s %s\n", commands[i].name, commands[i].help);
	fprintf(out, "    %-12s %s\n", "quit", "end the program");
}

static void answer(struct peer *peer, const struct command *c, struct peer_port *p, const char *arg, int fd)
{
	struct json j;
	int err;

	json_begin(&j);
	json_str(&j, "reply", c->name);
	json_str(&j, "port", p->opt.name);
	err = c->needs_arg && !arg ? -EINVAL : c->run(peer, p, arg, &j);
	json_bool(&j, "ok", !err);
	if (err)
		json_str(&j, "error", strerror(-err));
	write_line(fd, &j);
}

static void answer_error(const char *name, const char *error, int fd)
{
	struct json j;

	json_begin(&j);
	json_str(&j, "reply", name);
	json_bool(&j, "ok", false);
	json_str(&j, "error", error);
	write_line(fd, &j);
}

static struct peer_port *port_by_name(struct peer *peer, const char *name)
{
	for (unsigned int i = 0; i < peer->n_ports; i++)
		if (!strcmp(peer->port[i].opt.name, name))
			return &peer->port[i];
	return NULL;
}

static const struct command *command_by_name(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

void command_run(struct peer *peer, char *line, int fd)
{
	char *save, *name = strtok_r(line, " \t\r", &save);
	char *port = name ? strtok_r(NULL, " \t\r", &save) : NULL;
	char *arg = port ? strtok_r(NULL, " \t\r", &save) : NULL;
	const struct command *c;
	struct peer_port *p;

	if (!name)
		return;
	if (!strcmp(name, "quit")) {
		peer->quit = true;
		return;
	}
	c = command_by_name(name);
	p = port ? port_by_name(peer, port) : NULL;
	if (!c)
		answer_error(name, "no such command", fd);
	else if (port && !p)
		answer_error(name, "no such port", fd);
	else if (p)
		answer(peer, c, p, arg, fd);
	for (unsigned int i = 0; c && !port && i < peer->n_ports; i++)
		answer(peer, c, &peer->port[i], NULL, fd);
}
