/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * teaming/ alone, for lab tests: opens the members as the daemon does, prints events as JSON lines, answers
 * commands.
 *
 *	teamtool --host h1 --state DIR --hold-down 500 --mode independent
 *		 --member a0,af-packet --member a1,af-xdp --pa 10.0.0.1/24 --pa 10.0.0.2/24,vlan=5,member=a1
 *		 --route 192.0.2.0/24,10.0.0.254
 *
 * Commands on stdin, one per line, each answered by one line {"reply": ...}:
 *	remotes ADDRESS...	remote PAs to keep resolved
 *	path ADDRESS MEMBER	how to reach one
 *	status			members, provider addresses, neighbours, buckets
 *	rx MEMBER		NVGRE and other frames received since the last time
 *	quit
 */
#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_lcore.h>

#include "base/meta.h"
#include "base/rcu.h"
#include "base/str.h"
#include "base/tick.h"
#include "eal.h"
#include "teaming/teaming.h"

static struct member_spec members[TEAM_MEMBERS];
static struct pa_spec pas[LOCAL_PAS];
static struct provider_route_spec routes[16];
static struct teaming_config config = {
	.host_id = "host", .hold_down_ms = 1000, .members = members, .pas = pas, .routes = routes};
static struct teaming *team;
static struct rte_mempool *pool;
static int event_pipe[2];

static void die(const char *what, const char *why)
{
	fprintf(stderr, "teamtool: %s: %s\n", what, why);
	exit(1);
}

static void print(struct json_object *o)
{
	printf("%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	fflush(stdout);
	json_object_put(o);
}

static void add_text(struct json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, json_object_new_string(value));
}

static void add_int(struct json_object *o, const char *key, int64_t value)
{
	json_object_object_add(o, key, json_object_new_int64(value));
}

static void add_bool(struct json_object *o, const char *key, bool value)
{
	json_object_object_add(o, key, json_object_new_boolean(value));
}

static void add_ip(struct json_object *o, const char *key, const struct ip_addr *a)
{
	char text[IP_STR];

	add_text(o, key, format_ip(a, text));
}

static void add_mac(struct json_object *o, const char *key, const struct mac *m)
{
	char text[MAC_STR];

	add_text(o, key, format_mac(m, text));
}

/* ---- options ---- */

static uint8_t enum_value(const char *text, const char *const *names)
{
	for (uint8_t i = 0; names[i]; i++)
		if (strcmp(names[i], text) == 0)
			return i;
	die(text, "unknown");
	return 0;
}

static void parse_member(char *text)
{
	struct member_spec *m = &members[config.n_members++];
	char *type = strchr(text, ','), *devargs;

	if (!type)
		die(text, "NAME,TYPE[,DEVARGS] expected");
	*type++ = '\0';
	devargs = strchr(type, ',');
	if (devargs)
		*devargs++ = '\0';
	str_copy(m->name, sizeof(m->name), text);
	m->type = enum_value(type, member_type_names);
	if (devargs)
		str_copy(m->devargs, sizeof(m->devargs), devargs);
}

static void parse_pa(char *text)
{
	struct pa_spec *pa = &pas[config.n_pas++];
	struct ip_prefix prefix;
	char *save, *word = strtok_r(text, ",", &save);
	uint64_t n;

	if (parse_prefix(word, &prefix) < 0)
		die(word, "ADDRESS/LENGTH expected");
	pa->address = prefix.addr;
	pa->prefix_len = prefix.len;
	while ((word = strtok_r(NULL, ",", &save))) {
		if (strncmp(word, "vlan=", 5) == 0 && parse_u64(word + 5, 0, 4094, &n) == 0)
			pa->vlan = (uint16_t)n;
		else if (strncmp(word, "member=", 7) == 0)
			str_copy(pa->member, sizeof(pa->member), word + 7);
		else
			die(word, "vlan=N or member=NAME expected");
	}
}

static void parse_route(char *text)
{
	struct provider_route_spec *r = &routes[config.n_routes++];
	char *hop = strchr(text, ',');

	if (!hop)
		die(text, "PREFIX,NEXT-HOP expected");
	*hop++ = '\0';
	if (parse_prefix(text, &r->prefix) < 0 || parse_ip(hop, &r->next_hop) < 0)
		die(text, "not a route");
}

static void parse_options(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		const char *name = argv[i];
		char *value = argv[i + 1];

		if (strcmp(name, "--host") == 0)
			config.host_id = value;
		else if (strcmp(name, "--state") == 0)
			config.state_dir = value;
		else if (strcmp(name, "--hold-down") == 0)
			config.hold_down_ms = (uint32_t)atoi(value);
		else if (strcmp(name, "--mode") == 0)
			config.mode = enum_value(value, team_mode_names);
		else if (strcmp(name, "--member") == 0)
			parse_member(value);
		else if (strcmp(name, "--pa") == 0)
			parse_pa(value);
		else if (strcmp(name, "--route") == 0)
			parse_route(value);
		else
			die(name, "unknown option");
	}
}

/* ---- events ---- */

static const char *const event_names[] = {
	[TEAMING_VIEW] = "view", [TEAMING_PATHS] = "paths",   [TEAMING_MEMBER] = "member",
	[TEAMING_PA] = "pa",	 [TEAMING_NETDEV] = "netdev", [TEAMING_NONE_USABLE] = "none-usable",
	[TEAMING_TEAM] = "team", [TEAMING_ALARM] = "alarm",
};

struct told {
	struct teaming_event ev;
	uint64_t at;
};

/* On teamwatch: hand over, as the daemon does. A pipe takes records of this size whole. */
static void on_event(const struct teaming_event *ev, void *arg)
{
	struct told t = { .ev = *ev, .at = tick_ns() };

	if (write(event_pipe[1], &t, sizeof(t)) != sizeof(t))
		abort();
}

static void sync_devices(void)
{
	struct member_config c = { .rxq = 1, .txq = 1, .mtu = 0, .pool = pool };
	struct teaming_member_status st[TEAM_MEMBERS];
	unsigned int n = teaming_members(team, st, TEAM_MEMBERS);
	struct errbuf err = { "" };

	for (unsigned int m = 0; m < n; m++) {
		if (st[m].open && !st[m].present)
			teaming_member_close(team, m);
		else if (!st[m].open && st[m].present && teaming_member_open(team, m, &c, &err) < 0)
			fprintf(stderr, "teamtool: %s: %s\n", st[m].spec.name, err.text);
	}
}

static void tell(const struct told *t)
{
	struct json_object *o = json_object_new_object();

	add_text(o, "event", event_names[t->ev.type]);
	add_int(o, "at", (int64_t)t->at);
	add_text(o, "text", t->ev.text);
	if (t->ev.member != TEAM_NO_MEMBER)
		add_text(o, "member", members[t->ev.member].name);
	if (t->ev.type == TEAMING_PA) {
		add_ip(o, "pa", &t->ev.pa);
		add_text(o, "state", pa_state_names[t->ev.pa_state]);
	}
	if (t->ev.type == TEAMING_VIEW)
		add_int(o, "usable", teaming_view(team)->n_usable);
	print(o);
	if (t->ev.type == TEAMING_NETDEV)
		sync_devices();
}

/* ---- commands ---- */

static struct json_object *reply_path(char *save_address)
{
	struct json_object *o = json_object_new_object();
	char *save, *address = strtok_r(save_address, " ", &save), *member = strtok_r(NULL, " ", &save);
	struct encap_path p;
	struct ip_addr to;
	uint8_t local;
	uint16_t mtu;
	int r = address && member && parse_ip(address, &to) == 0
			? teaming_path(team, &to, (unsigned int)atoi(member), &p, &mtu, &local)
			: -EINVAL;

	add_text(o, "reply", "path");
	add_text(o, "error", r < 0 ? strerror(-r) : "");
	if (r < 0)
		return o;
	add_ip(o, "source", &p.src);
	add_mac(o, "source-mac", &p.src_mac);
	add_mac(o, "destination-mac", &p.dst_mac);
	add_int(o, "vlan", p.vlan);
	add_int(o, "mtu", mtu);
	return o;
}

static struct json_object *list_members(void)
{
	struct teaming_member_status st[TEAM_MEMBERS];
	struct json_object *list = json_object_new_array();
	unsigned int n = teaming_members(team, st, TEAM_MEMBERS);

	for (unsigned int i = 0; i < n; i++) {
		struct json_object *o = json_object_new_object();

		add_text(o, "name", st[i].spec.name);
		add_bool(o, "open", st[i].open);
		add_bool(o, "usable", st[i].usable);
		add_text(o, "why", st[i].why);
		add_int(o, "buckets", st[i].buckets);
		add_int(o, "pas", st[i].pas);
		add_int(o, "mtu", st[i].mtu);
		add_int(o, "speed", st[i].speed);
		json_object_array_add(list, o);
	}
	return list;
}

static struct json_object *list_pas(void)
{
	struct teaming_pa_status st[LOCAL_PAS];
	struct json_object *list = json_object_new_array();
	unsigned int n = teaming_pas(team, st, LOCAL_PAS);

	for (unsigned int i = 0; i < n; i++) {
		struct json_object *o = json_object_new_object();

		add_ip(o, "address", &st[i].spec.address);
		add_mac(o, "mac", &st[i].spec.mac);
		add_text(o, "state", pa_state_names[st[i].state]);
		add_int(o, "home", st[i].home);
		add_int(o, "now", st[i].now);
		json_object_array_add(list, o);
	}
	return list;
}

static struct json_object *list_neighbours(void)
{
	static const char *const states[] = { "incomplete", "reachable", "stale", "probe", "failed" };
	struct teaming_neigh_status st[64];
	struct json_object *list = json_object_new_array();
	unsigned int n = teaming_neighbours(team, st, 64);

	for (unsigned int i = 0; i < n; i++) {
		struct json_object *o = json_object_new_object();

		add_ip(o, "address", &st[i].address);
		add_mac(o, "mac", &st[i].mac);
		add_text(o, "state", states[st[i].state]);
		json_object_array_add(list, o);
	}
	return list;
}

static struct json_object *reply_status(void)
{
	struct json_object *o = json_object_new_object();

	add_text(o, "reply", "status");
	json_object_object_add(o, "members", list_members());
	json_object_object_add(o, "pas", list_pas());
	json_object_object_add(o, "neighbours", list_neighbours());
	return o;
}

static struct json_object *reply_remotes(char *list)
{
	struct json_object *o = json_object_new_object();
	struct ip_addr a[64];
	unsigned int n = 0;
	char *save, *word = strtok_r(list, " ", &save);

	for (; word && n < 64; word = strtok_r(NULL, " ", &save))
		if (parse_ip(word, &a[n]) == 0)
			n++;
	add_text(o, "reply", "remotes");
	add_int(o, "error", teaming_remotes_set(team, a, n));
	return o;
}

static bool is_nvgre(const struct rte_mbuf *m)
{
	const uint8_t *d = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t at = m->data_len >= 18 && load_be16(d + 12) == ETHERTYPE_VLAN_ ? 18 : 14;

	if (m->data_len < at + 44)
		return false;
	if (load_be16(d + at - 2) == ETHERTYPE_IPV4_)
		return d[at + 9] == IPPROTO_GRE_;
	return load_be16(d + at - 2) == ETHERTYPE_IPV6_ && d[at + 6] == IPPROTO_GRE_;
}

static struct json_object *reply_rx(const char *text)
{
	const struct member_dev *dev = teaming_view(team)->members[(unsigned int)atoi(text) % TEAM_MEMBERS].dev;
	struct json_object *o = json_object_new_object();
	unsigned int nvgre = 0, other = 0;
	struct rte_mbuf *pkts[32];

	for (uint16_t q = 0; dev && q < dev->rxq; q++) {
		uint16_t n;

		while ((n = dev->ops->rx(dev, q, pkts, 32)) > 0) {
			for (uint16_t i = 0; i < n; i++) {
				nvgre += is_nvgre(pkts[i]);
				other += !is_nvgre(pkts[i]);
				rte_pktmbuf_free(pkts[i]);
			}
		}
	}
	add_text(o, "reply", "rx");
	add_int(o, "nvgre", nvgre);
	add_int(o, "other", other);
	return o;
}

/* @return false: the end. */
static bool command(char *line)
{
	char *rest = strchr(line, ' ');
	struct json_object *o;

	rest = rest ? rest + 1 : line + strlen(line);
	if (strncmp(line, "remotes", 7) == 0) {
		o = reply_remotes(rest);
	} else if (strncmp(line, "path", 4) == 0) {
		o = reply_path(rest);
	} else if (strncmp(line, "status", 6) == 0) {
		o = reply_status();
	} else if (strncmp(line, "rx", 2) == 0) {
		o = reply_rx(rest);
	} else if (strncmp(line, "quit", 4) == 0) {
		return false;
	} else {
		o = json_object_new_object();
		add_text(o, "reply", "unknown");
	}
	print(o);
	return true;
}

static void loop(void)
{
	struct pollfd fds[2] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = event_pipe[0], .events = POLLIN } };
	struct told t;
	char line[1024];

	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents & POLLIN && read(event_pipe[0], &t, sizeof(t)) == sizeof(t))
			tell(&t);
		if (!(fds[0].revents & (POLLIN | POLLHUP)))
			continue;
		/* stdin is not buffered: poll() has to see every line. */
		if (!fgets(line, sizeof(line), stdin))
			return;
		line[strcspn(line, "\n")] = '\0';
		if (!command(line))
			return;
	}
}

int main(int argc, char **argv)
{
	struct errbuf err = { "" };
	unsigned int left;

	parse_options(argc, argv);
	setvbuf(stdin, NULL, _IONBF, 0);
	if (test_eal_init_args(128, NULL) < 0 || rcu_init() < 0)
		die("DPDK", "does not start");
	pool = meta_pool_create("teamtool", 8191, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (!pool || pipe(event_pipe) < 0)
		die("memory", "not enough");
	config.event = on_event;
	if (teaming_create(&config, &team, &err) < 0)
		die("team", err.text);
	sync_devices();
	loop();
	teaming_free(team);
	left = rte_mempool_in_use_count(pool);
	if (left)
		fprintf(stderr, "teamtool: %u packet buffers are missing\n", left);
	rcu_fini();
	rte_eal_cleanup();
	return left ? 1 : 0;
}
