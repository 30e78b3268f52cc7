/* SPDX-License-Identifier: BSD-3-Clause */
/* Views of the running switch. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "cli/cli.h"

static const struct column port_columns[] = {
	{ "id", "port.id", -12 },	    { "vsid", "port.vsid", 8 },
	{ "state", "port.state", -8 },	    { "macs", "port.macs", -17 },
	{ "queues", "port.queues-enabled", 6 }, { "rx-packets", "port.rx.packets", 12 },
	{ "tx-packets", "port.tx.packets", 12 }, { "dropped", "port.dropped", 9 },
	{ "socket", "port.socket", -20 },   { NULL, NULL, 0 },
};

static const struct column member_columns[] = {
	{ "member", "name", -10 },	{ "type", "type", -9 },
	{ "link", "link", -4 },		{ "usable", "usable", -6 },
	{ "speed", "link-speed", 6 },	{ "load%", "tx-load-percent", 5 },
	{ "buckets", "buckets", 7 },
	{ "PAs", "provider-addresses", 3 }, { "lacp", "lacp.state", -9 },
	{ "rx-packets", "rx.packets", 12 },
	{ "tx-packets", "tx.packets", 12 }, { "rx-bytes", "rx.bytes", 14 },
	{ "tx-bytes", "tx.bytes", 14 },	{ "why", "why", -10 },
	{ NULL, NULL, 0 },
};

static const struct column pa_columns[] = {
	{ "provider-address", "address", -26 }, { "prefix", "prefix-length", 6 }, { "vlan", "vlan", 4 },
	{ "mac", "mac", -17 },	       { "home", "home", -10 },	    { "now", "now", -10 },
	{ "weight", "weight", 6 },     { "state", "state", -9 },    { NULL, NULL, 0 },
};

static const struct column traffic_columns[] = {
	{ "vsid", "vsid", 8 }, { "ports", "ports", 5 },
	{ "rx-packets", "rx.packets", 12 }, { "rx-bytes", "rx.bytes", 14 },
	{ "tx-packets", "tx.packets", 12 }, { "tx-bytes", "tx.bytes", 14 },
	{ "dropped", "dropped", 9 }, { NULL, NULL, 0 },
};

static const struct column drop_columns[] = {
	{ "reason", "name", -18 }, { "packets", "packets", 12 }, { "meaning", "text", -20 }, { NULL, NULL, 0 },
};

static const struct column neighbour_columns[] = {
	{ "address", "address", -26 }, { "mac", "mac", -17 }, { "state", "state", -10 }, { NULL, NULL, 0 },
};

static const struct column worker_columns[] = {
	{"worker", "worker", 6},
	{"lcore", "lcore", 5},
	{"queues", "queues", 6},
	{"member-queues", "member-queues", 13},
	{"packets", "packets", 14},
	{"cycles/packet", "cycles-per-packet", 13},
	{"packets/turn", "packets-per-turn", 12},
	{"sleeps", "sleeps", 10},
	{NULL, NULL, 0},
};

/* One call whose reply has one member: as JSON, or by `text`. */
static int simple(const struct cli *cli, enum method method, struct json_object *p, const char *member,
		  void (*text)(struct json_object *o))
{
	struct json_object *reply, *o = NULL;
	int r = cli_call(cli, method, p, &reply);

	if (r < 0)
		return r;
	if (member)
		json_object_object_get_ex(reply, member, &o);
	else
		o = reply;
	if (cli->json)
		print_json(o);
	else
		text(o);
	json_object_put(reply);
	return 0;
}

static int no_arguments(const struct command *cmd, int argc)
{
	if (argc)
		return cli_error(-EINVAL, "%s%s%s takes no argument", cmd->noun, cmd->verb ? " " : "",
				 cmd->verb ? cmd->verb : "");
	return 0;
}

static int on_port(struct json_object *reply, void *arg)
{
	const struct cli *cli = arg;
	static bool header;
	struct json_object *p = NULL;

	if (!json_object_object_get_ex(reply, "port", &p))
		return 0;
	if (cli->json) {
		puts(json_object_to_json_string_ext(p, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
		return 0;
	}
	if (!header)
		print_header(port_columns);
	header = true;
	print_row(port_columns, reply);
	return 0;
}

int cmd_port_list(const struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	int r = no_arguments(cmd, argc);
	struct cli copy = *cli;

	return r < 0 ? r : cli_stream(cli, METHOD_PORTS, json_object_new_object(), on_port, &copy);
}

static void text_object(struct json_object *o)
{
	print_object(o, 0);
}

static void text_port(struct json_object *o)
{
	struct json_object *drops = NULL, *mtu = NULL;

	if (json_object_object_get_ex(o, "drops", &drops))
		json_object_get(drops);
	json_object_object_del(o, "drops");
	print_object(o, 0);
	if (json_object_object_get_ex(o, "host-mtu", &mtu) && json_object_get_int(mtu))
		printf("\nGive the guest this MTU: QEMU `-device virtio-net-pci,...,host_mtu=%s`, "
		       "libvirt `<mtu size='%s'/>`\n",
		       json_object_get_string(mtu), json_object_get_string(mtu));
	if (drops && json_object_array_length(drops)) {
		puts("");
		print_table(drop_columns, drops);
	}
	json_object_put(drops);
}

int cmd_port_show(const struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	struct json_object *p = json_object_new_object();

	if (argc != 1) {
		json_object_put(p);
		return cli_error(-EINVAL, "port show: the id of one port is wanted");
	}
	json_object_object_add(p, "id", json_object_new_string(argv[0]));
	return simple(cli, METHOD_PORTS, p, "port", text_port);
}

static const char *text_member(struct json_object *o, const char *name)
{
	struct json_object *v = NULL;

	return json_object_object_get_ex(o, name, &v) ? json_object_get_string(v) : "";
}

static void text_team(struct json_object *o)
{
	struct json_object *members = NULL, *pas = NULL;
	const char *runner = text_member(o, "runner"), *source = text_member(o, "runner-source");

	json_object_object_get_ex(o, "members", &members);
	json_object_object_get_ex(o, "provider-addresses", &pas);
	printf("provider %s, mode %s, %s of %zu members usable\n", text_member(o, "provider"), text_member(o, "mode"),
	       text_member(o, "usable"), json_object_array_length(members));
	if (*text_member(o, "device"))
		printf("device %s, runner %s%s%s%s, teamd %s\n", text_member(o, "device"),
		       *runner ? runner : "not known", *source ? " (by " : "", source,
		       *source ? ")" : "", text_member(o, "teamd"));
	if (*text_member(o, "problem"))
		printf("PROBLEM: %s\n", text_member(o, "problem"));
	puts("");
	print_table(member_columns, members);
	puts("");
	print_table(pa_columns, pas);
}

int cmd_team(const struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	int r = no_arguments(cmd, argc);

	return r < 0 ? r : simple(cli, METHOD_TEAM, NULL, "team", text_team);
}

int cmd_neighbours(const struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	struct json_object *reply, *list = NULL;
	int r = no_arguments(cmd, argc);

	if (r >= 0)
		r = cli_call(cli, METHOD_NEIGHBOURS, NULL, &reply);
	if (r < 0)
		return r;
	json_object_object_get_ex(reply, "neighbours", &list);
	/* A listing: one object per line, as every other. */
	for (size_t i = 0; cli->json && i < json_object_array_length(list); i++)
		print_json(json_object_array_get_idx(list, i));
	if (!cli->json && json_object_array_length(list))
		print_table(neighbour_columns, list);
	json_object_put(reply);
	return 0;
}

int cmd_stats(const struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	int r = no_arguments(cmd, argc);

	return r < 0 ? r : simple(cli, METHOD_STATS, NULL, "stats", text_object);
}

static void text_drops(struct json_object *o)
{
	if (json_object_array_length(o))
		print_table(drop_columns, o);
	else
		puts("nothing has been dropped");
}

int cmd_drops(const struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	struct json_object *p = json_object_new_object();
	int r = no_arguments(cmd, argc);

	if (r < 0) {
		json_object_put(p);
		return r;
	}
	if (cli->port)
		json_object_object_add(p, "port", json_object_new_string(cli->port));
	json_object_object_add(p, "all", json_object_new_boolean(cli->all));
	return simple(cli, METHOD_DROPS, p, "drops", text_drops);
}

static int64_t int_member(struct json_object *o, const char *name)
{
	struct json_object *v = NULL;

	json_object_object_get_ex(o, name, &v);
	return json_object_get_int64(v);
}

static void text_workers(struct json_object *o)
{
	for (size_t i = 0; i < json_object_array_length(o); i++) {
		struct json_object *w = json_object_array_get_idx(o, i);
		int64_t packets = int_member(w, "packets"), turns = int_member(w, "busy-turns");
		char text[32];

		snprintf(text, sizeof(text), "%.1f",
			 packets ? (double)int_member(w, "busy-cycles") / (double)packets : 0.);
		json_object_object_add(w, "cycles-per-packet", json_object_new_string(text));
		snprintf(text, sizeof(text), "%.1f", turns ? (double)packets / (double)turns : 0.);
		json_object_object_add(w, "packets-per-turn", json_object_new_string(text));
	}
	print_table(worker_columns, o);
}

static const struct column offload_port_columns[] = {
	{ "port", "id", -12 },
	{ "large packets", "large-packets", -13 },
	{ "unfinished checksums", "unfinished-checksums", -20 },
	{ "granted", "granted", -10 },
	{ NULL, NULL, 0 },
};

static const struct column offload_member_columns[] = {
	{ "member", "member", -12 },
	{ "offload", "offload", -16 },
	{ "requested", "requested", -9 },
	{ "granted", "granted", -7 },
	{ "verified", "verified", -8 },
	{ "used", "used", -5 },
	{ "why", "why", -10 },
	{ NULL, NULL, 0 },
};

static const struct column offload_path_columns[] = {
	{ "member", "member", -12 },
	{ "packets", "class", -12 },
	{ "path", "path", -8 },
	{ NULL, NULL, 0 },
};

static struct json_object *object_member(struct json_object *o, const char *name)
{
	struct json_object *v = NULL;

	json_object_object_get_ex(o, name, &v);
	return v;
}

static void text_software_rss(struct json_object *o)
{
	printf("\nsoftware-rss %s: %lld of %lld workers hand received frames over to others\n",
	       json_object_get_string(object_member(o, "knob")),
	       (long long)json_object_get_int64(object_member(o, "spreading")),
	       (long long)json_object_get_int64(object_member(o, "workers")));
}

static void text_offload(struct json_object *o)
{
	print_table(offload_port_columns, object_member(o, "ports"));
	putchar('\n');
	print_table(offload_member_columns, object_member(o, "members"));
	putchar('\n');
	print_table(offload_path_columns, object_member(o, "paths"));
	text_software_rss(object_member(o, "software-rss"));
	putchar('\n');
	print_table(drop_columns, object_member(o, "counters"));
}

int cmd_offload(const struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	int r = no_arguments(cmd, argc);

	return r < 0 ? r : simple(cli, METHOD_OFFLOAD, NULL, "offload", text_offload);
}

static int on_traffic(struct json_object *reply, void *arg)
{
	const struct cli *cli = arg;
	struct json_object *o = object_member(reply, "traffic");

	if (o && cli->json)
		print_json(o);
	else if (o)
		print_row(traffic_columns, o);
	return 0;
}

int cmd_traffic(const struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	int r = no_arguments(cmd, argc);
	struct cli copy = *cli;

	if (r < 0)
		return r;
	if (!cli->json)
		print_header(traffic_columns);
	return cli_stream(cli, METHOD_TRAFFIC, json_object_new_object(), on_traffic, &copy);
}

int cmd_workers(const struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	int r = no_arguments(cmd, argc);

	return r < 0 ? r : simple(cli, METHOD_WORKERS, NULL, "workers", text_workers);
}

/* Ends the stream, and is no error. */
#define EVENTS_END (-ECANCELED)

static int on_event(struct json_object *reply, void *arg)
{
	const struct cli *cli = arg;
	struct json_object *ev = NULL, *name = NULL;

	if (!json_object_object_get_ex(reply, "event", &ev)) {
		/* The daemon says that it listens. Without --follow that is all there is to know. */
		if (cli->follow)
			return 0;
		if (cli->json)
			puts("{\"listening\":true}");
		else
			puts("events are there; --follow prints them as they happen");
		return EVENTS_END;
	}
	if (cli->json) {
		puts(json_object_to_json_string_ext(ev, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	} else {
		time_t t = (time_t)(int_member(ev, "time") / 1000000);
		char stamp[32] = "";
		struct tm tm;

		if (localtime_r(&t, &tm))
			strftime(stamp, sizeof(stamp), "%F %T", &tm);
		json_object_object_get_ex(ev, "name", &name);
		printf("%s %s", stamp, json_object_get_string(name));
		json_object_object_foreach(ev, key, v)
		{
			if (strcmp(key, "time") && strcmp(key, "name") && strcmp(key, "number"))
				printf(" %s=%s", key, json_object_get_string(v));
		}
		putchar('\n');
	}
	return fflush(stdout) == 0 ? 0 : -EPIPE;
}

int cmd_events(const struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	struct cli copy = *cli;
	int r = no_arguments(cmd, argc);

	if (r >= 0)
		r = cli_stream(cli, METHOD_EVENTS, json_object_new_object(), on_event, &copy);
	return r == EVENTS_END ? 0 : r;
}

static void text_nothing(struct json_object *o)
{
}

int cmd_reload(const struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	int r = no_arguments(cmd, argc);

	return r < 0 ? r : simple(cli, METHOD_RELOAD, NULL, NULL, text_nothing);
}

int cmd_version(const struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	int r = no_arguments(cmd, argc);

	return r < 0 ? r : simple(cli, METHOD_VERSION, NULL, NULL, text_object);
}

int cmd_info(const struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	int r = no_arguments(cmd, argc);

	return r < 0 ? r : simple(cli, METHOD_INFO, NULL, "info", text_object);
}
