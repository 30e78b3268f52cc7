/* SPDX-License-Identifier: BSD-3-Clause */
/* A live view: the rates of all that is counted, by the difference of two looks at the counters. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

#define INTERVAL_MS 1000
#define ROWS_SHOWN  20 /* the busiest; JSON has all */

/* One look. Each part is an object by name: what is matched with the look before. */
enum part { PART_PORTS, PART_MEMBERS, PART_QUEUES, PART_SUBNETS, PART_WORKERS, PART_STAGES, PART_DROPS, PARTS };
static const char *const part_names[PARTS] = { "ports", "members", "queues", "subnets", "workers", "stages", "drops" };

struct look {
	double at; /* seconds */
	struct json_object *of[PARTS];
};

static const struct column port_columns[] = {
	{ "port", "id", -14 },	     { "vsid", "vsid", 8 },	  { "state", "state", -9 },
	{ "rx-pps", "rx-pps", 10 },  { "rx-Mbps", "rx-mbps", 9 }, { "tx-pps", "tx-pps", 10 },
	{ "tx-Mbps", "tx-mbps", 9 }, { "drop-pps", "drop-pps", 9 }, { NULL, NULL, 0 },
};
static const struct column member_columns[] = {
	{ "member", "name", -14 },   { "usable", "usable", -8 },  { "speed", "link-speed", 9 },
	{ "rx-pps", "rx-pps", 10 },  { "rx-Mbps", "rx-mbps", 9 }, { "tx-pps", "tx-pps", 10 },
	{ "tx-Mbps", "tx-mbps", 9 }, { "drop-pps", "drop-pps", 9 }, { NULL, NULL, 0 },
};
static const struct column queue_columns[] = {
	{ "port/member", "of", -14 }, { "queue", "queue", 8 },
	{ "rx-pps", "rx-pps", 10 },  { "rx-Mbps", "rx-mbps", 9 }, { "tx-pps", "tx-pps", 10 },
	{ "tx-Mbps", "tx-mbps", 9 }, { NULL, NULL, 0 },
};
static const struct column subnet_columns[] = {
	{ "subnet", "vsid", -14 },   { "ports", "ports", 8 },
	{ "rx-pps", "rx-pps", 10 },  { "rx-Mbps", "rx-mbps", 9 }, { "tx-pps", "tx-pps", 10 },
	{ "tx-Mbps", "tx-mbps", 9 }, { "drop-pps", "drop-pps", 9 }, { NULL, NULL, 0 },
};
static const struct column stage_columns[] = {
	{ "stage", "name", -14 }, { "pps", "pps", 10 }, { "packets", "packets", 14 }, { NULL, NULL, 0 },
};
static const struct column worker_columns[] = {
	{ "worker", "worker", 6 }, { "lcore", "lcore", 5 },	{ "load%", "load-percent", 6 },
	{ "sleep%", "sleep-percent", 6 }, { "pps", "pps", 10 }, { "cycles/packet", "cycles-per-packet", 13 },
	{ NULL, NULL, 0 },
};
static const struct column drop_columns[] = {
	{ "drop", "name", -18 }, { "pps", "pps", 10 }, { "packets", "packets", 12 }, { "meaning", "text", -20 },
	{ NULL, NULL, 0 },
};
static const struct column *const columns[PARTS] = { port_columns, member_columns, queue_columns, subnet_columns,
						     worker_columns, stage_columns, drop_columns };

/* The number at a.b, 0 if there is none. */
static double number(struct json_object *o, const char *a, const char *b)
{
	struct json_object *v = NULL;

	if (!o || !json_object_object_get_ex(o, a, &v))
		return 0;
	if (b) {
		o = v;
		v = NULL;
		if (!json_object_object_get_ex(o, b, &v))
			return 0;
	}
	return json_object_get_double(v);
}

static void look_free(struct look *l)
{
	for (unsigned int p = 0; p < PARTS; p++)
		json_object_put(l->of[p]);
	memset(l, 0, sizeof(*l));
}

/* The queue pairs of what has been looked at, under names that no two have. */
static void add_queues(struct json_object *into, struct json_object *owner, const char *kind, const char *name)
{
	struct json_object *list = NULL;

	json_object_object_get_ex(owner, "queue-traffic", &list);
	for (size_t i = 0; json_object_is_type(list, json_type_array) && i < json_object_array_length(list); i++) {
		struct json_object *q = json_object_get(json_object_array_get_idx(list, i));
		char key[160];

		json_object_object_add(q, "kind", json_object_new_string(kind));
		json_object_object_add(q, "of", json_object_new_string(name));
		snprintf(key, sizeof(key), "%s %s %zu", kind, name, i);
		json_object_object_add(into, key, q);
	}
}

static int add_port(struct json_object *reply, void *arg)
{
	struct json_object *port = NULL, *id = NULL;
	struct look *l = arg;

	if (!json_object_object_get_ex(reply, "port", &port) || !json_object_object_get_ex(port, "id", &id))
		return 0;
	json_object_object_add(l->of[PART_PORTS], json_object_get_string(id), json_object_get(port));
	add_queues(l->of[PART_QUEUES], port, "port", json_object_get_string(id));
	return 0;
}

static int add_subnet(struct json_object *reply, void *arg)
{
	struct json_object *subnet = NULL, *vsid = NULL;
	struct look *l = arg;

	if (json_object_object_get_ex(reply, "traffic", &subnet) && json_object_object_get_ex(subnet, "vsid", &vsid))
		json_object_object_add(l->of[PART_SUBNETS], json_object_get_string(vsid), json_object_get(subnet));
	return 0;
}

static void add_list(struct json_object *into, struct json_object *list, const char *key)
{
	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i), *k = NULL;

		if (json_object_object_get_ex(o, key, &k))
			json_object_object_add(into, json_object_get_string(k), json_object_get(o));
	}
}

static int ask(const struct cli *cli, enum method method, const char *outer, const char *inner, const char *key,
	       struct json_object *into)
{
	struct json_object *reply = NULL, *o = NULL;
	int r = cli_call(cli, method, NULL, &reply);

	if (r < 0)
		return r;
	json_object_object_get_ex(reply, outer, &o);
	if (inner)
		json_object_object_get_ex(o, inner, &o);
	add_list(into, o, key);
	json_object_put(reply);
	return 0;
}

static int ask_stages(const struct cli *cli, struct json_object *into)
{
	struct json_object *reply = NULL, *o = NULL, *stages = NULL;
	int r = cli_call(cli, METHOD_STATS, NULL, &reply);

	if (r < 0)
		return r;
	if (json_object_object_get_ex(reply, "stats", &o) && json_object_object_get_ex(o, "stages", &stages)) {
		json_object_object_foreach(stages, name, packets)
		{
			struct json_object *stage = json_object_new_object();

			json_object_object_add(stage, "name", json_object_new_string(name));
			json_object_object_add(stage, "packets", json_object_get(packets));
			json_object_object_add(into, name, stage);
		}
	}
	json_object_put(reply);
	return 0;
}

static int look(const struct cli *cli, struct look *ret)
{
	struct timespec now;
	int r;

	for (unsigned int p = 0; p < PARTS; p++)
		ret->of[p] = json_object_new_object();
	r = cli_stream(cli, METHOD_PORTS, json_object_new_object(), add_port, ret);
	if (r >= 0)
		r = cli_stream(cli, METHOD_TRAFFIC, json_object_new_object(), add_subnet, ret);
	if (r >= 0)
		r = ask(cli, METHOD_TEAM, "team", "members", "name", ret->of[PART_MEMBERS]);
	if (r >= 0) {
		json_object_object_foreach(ret->of[PART_MEMBERS], name, member)
			add_queues(ret->of[PART_QUEUES], member, "member", name);
		r = ask_stages(cli, ret->of[PART_STAGES]);
	}
	if (r >= 0)
		r = ask(cli, METHOD_WORKERS, "workers", NULL, "worker", ret->of[PART_WORKERS]);
	if (r >= 0)
		r = ask(cli, METHOD_DROPS, "drops", NULL, "name", ret->of[PART_DROPS]);
	clock_gettime(CLOCK_MONOTONIC, &now);
	ret->at = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
	return r;
}

/* Counters that begin anew (a port was removed and made again) have no negative rate. */
static double rate(struct json_object *now, struct json_object *before, double seconds, const char *a, const char *b)
{
	double d = number(now, a, b) - number(before, a, b);

	return d > 0 && seconds > 0 ? d / seconds : 0;
}

static void add_number(struct json_object *o, const char *name, double v, const char *format)
{
	char text[32];

	snprintf(text, sizeof(text), strcmp(format, "1") == 0 ? "%.1f" : "%.0f", v);
	json_object_object_add(o, name, json_object_new_double_s(v, text));
}

static void copy_member(struct json_object *to, struct json_object *from, const char *name)
{
	struct json_object *v = NULL;

	if (json_object_object_get_ex(from, name, &v))
		json_object_object_add(to, name, json_object_get(v));
}

static void add_traffic(struct json_object *o, struct json_object *now, struct json_object *before, double s)
{
	add_number(o, "rx-pps", rate(now, before, s, "rx", "packets"), "0");
	add_number(o, "rx-mbps", rate(now, before, s, "rx", "bytes") * 8 / 1e6, "1");
	add_number(o, "tx-pps", rate(now, before, s, "tx", "packets"), "0");
	add_number(o, "tx-mbps", rate(now, before, s, "tx", "bytes") * 8 / 1e6, "1");
}

static struct json_object *row(enum part part, struct json_object *now, struct json_object *before, double s)
{
	static const char *const kept[PARTS][4] = {
		[PART_PORTS] = { "id", "vsid", "state" }, [PART_MEMBERS] = { "name", "usable", "link-speed" },
		[PART_QUEUES] = { "kind", "of", "queue" }, [PART_SUBNETS] = { "vsid", "ports" },
		[PART_WORKERS] = { "worker", "lcore" },	  [PART_STAGES] = { "name", "packets" },
		[PART_DROPS] = { "name", "packets", "text" },
	};
	struct json_object *o = json_object_new_object();
	double packets = rate(now, before, s, "packets", NULL), hz = number(now, "tsc-hz", NULL);
	double cycles = rate(now, before, s, "busy-cycles", NULL);

	for (unsigned int i = 0; kept[part][i]; i++)
		copy_member(o, now, kept[part][i]);
	switch (part) {
	case PART_QUEUES:
		add_traffic(o, now, before, s);
		break;
	case PART_PORTS:
	case PART_SUBNETS:
	case PART_MEMBERS:
		add_traffic(o, now, before, s);
		add_number(o, "drop-pps",
			   rate(now, before, s, part == PART_MEMBERS ? "tx-dropped" : "dropped", NULL), "0");
		break;
	case PART_WORKERS:
		add_number(o, "load-percent", hz > 0 ? cycles / hz * 100 : 0, "1");
		add_number(o, "sleep-percent", rate(now, before, s, "sleep-ns", NULL) / 1e7, "1");
		add_number(o, "pps", packets, "0");
		add_number(o, "cycles-per-packet", packets > 0 ? cycles / packets : 0, "0");
		break;
	default:
		add_number(o, "pps", packets, "0");
		break;
	}
	return o;
}

static int by_traffic(const void *a, const void *b)
{
	struct json_object *x = *(struct json_object *const *)a, *y = *(struct json_object *const *)b;
	double d = number(y, "rx-pps", NULL) + number(y, "tx-pps", NULL) - number(x, "rx-pps", NULL) -
		   number(x, "tx-pps", NULL);

	return d > 0 ? 1 : d < 0 ? -1 : 0;
}

static bool may_be_many(enum part p)
{
	return p == PART_PORTS || p == PART_QUEUES || p == PART_SUBNETS;
}

static struct json_object *rates(const struct look *now, const struct look *before)
{
	struct json_object *all = json_object_new_object();
	double s = now->at - before->at;

	add_number(all, "seconds", s, "1");
	for (unsigned int p = 0; p < PARTS; p++) {
		struct json_object *list = json_object_new_array();

		json_object_object_foreach(now->of[p], name, o)
		{
			struct json_object *old = NULL;

			/* What was not there before has counted since it came. */
			json_object_object_get_ex(before->of[p], name, &old);
			json_object_array_add(list, row(p, o, old, s));
		}
		json_object_object_add(all, part_names[p], list);
	}
	for (unsigned int p = 0; p < PARTS; p++)
		if (may_be_many(p))
			json_object_array_sort(json_object_object_get(all, part_names[p]), by_traffic);
	return all;
}

static void print_rates(struct json_object *all, bool terminal)
{
	char stamp[16] = "";
	time_t t = time(NULL);
	struct tm tm;

	if (localtime_r(&t, &tm))
		strftime(stamp, sizeof(stamp), "%T", &tm);
	if (terminal)
		fputs("\033[H\033[J", stdout);
	printf("%s  per second, over %s s\n", stamp, json_object_get_string(json_object_object_get(all, "seconds")));
	for (unsigned int p = 0; p < PARTS; p++) {
		struct json_object *list = json_object_object_get(all, part_names[p]);
		size_t n = json_object_array_length(list);

		if (!n)
			continue;
		putchar('\n');
		print_header(columns[p]);
		for (size_t i = 0; i < n && (!may_be_many(p) || i < ROWS_SHOWN); i++)
			print_row(columns[p], json_object_array_get_idx(list, i));
		if (may_be_many(p) && n > ROWS_SHOWN)
			printf("and %zu %s with less\n", n - ROWS_SHOWN, part_names[p]);
	}
}

static int show(const struct cli *cli, const struct look *now, const struct look *before, bool terminal)
{
	struct json_object *all = rates(now, before);

	if (cli->json)
		print_json(all);
	else
		print_rates(all, terminal);
	json_object_put(all);
	return fflush(stdout) == 0 ? 0 : -EPIPE;
}

int cmd_top(const struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	struct look before = { 0 }, now = { 0 };
	bool terminal = isatty(STDOUT_FILENO);
	uint64_t count = terminal ? 0 : 1, interval = INTERVAL_MS;
	int r;

	if (argc)
		return cli_error(-EINVAL, "top takes no argument but its options");
	r = cli_number(cli, OPT_COUNT, 1, UINT32_MAX, NULL, &count);
	if (r >= 0)
		r = cli_number(cli, OPT_INTERVAL, 10, 3600000, NULL, &interval);
	if (r >= 0)
		r = look(cli, &before);
	for (uint64_t n = 0; r >= 0 && (!count || n < count); n++) {
		(void)poll(NULL, 0, (int)interval);
		r = look(cli, &now);
		if (r >= 0)
			r = show(cli, &now, &before, terminal && !cli->json);
		look_free(&before);
		before = now;
		now = (struct look){ 0 };
	}
	look_free(&before);
	look_free(&now);
	return r;
}
