/* SPDX-License-Identifier: BSD-3-Clause */
/* What the switch looks like, as JSON. Reads snapshots; writes nothing a worker reads. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "daemon/control_private.h"
#include "daemon/vsid_totals.h"

static void add_str(struct json_object *o, const char *name, const char *value)
{
	json_object_object_add(o, name, json_object_new_string(value));
}

static void add_int(struct json_object *o, const char *name, uint64_t value)
{
	json_object_object_add(o, name, json_object_new_int64((int64_t)value));
}

static void add_bool(struct json_object *o, const char *name, bool value)
{
	json_object_object_add(o, name, json_object_new_boolean(value));
}

struct json_object *show_counts(const struct traffic *t)
{
	struct json_object *o = json_object_new_object();

	add_int(o, "packets", t->packets);
	add_int(o, "bytes", t->bytes);
	return o;
}

static void add_traffic(struct json_object *o, const char *name, const struct traffic *t)
{
	json_object_object_add(o, name, show_counts(t));
}

/* By queue pair. */
static void add_queues(struct json_object *o, const struct datapath_queue_stats *st, unsigned int n)
{
	struct json_object *a = json_object_new_array();

	for (unsigned int i = 0; i < n; i++) {
		struct json_object *q = json_object_new_object();

		add_int(q, "queue", i);
		add_traffic(q, "rx", &st[i].rx);
		add_traffic(q, "tx", &st[i].tx);
		json_object_array_add(a, q);
	}
	json_object_object_add(o, "queue-traffic", a);
}

static struct json_object *drop_list(const uint64_t drops[DROP_COUNT], bool all)
{
	struct json_object *a = json_object_new_array();

	for (unsigned int r = DROP_NONE + 1; r < DROP_COUNT; r++) {
		struct json_object *o;

		if (!drops[r] && !all)
			continue;
		o = json_object_new_object();
		add_str(o, "name", drop_name((enum drop_reason)r));
		add_int(o, "packets", drops[r]);
		add_str(o, "text", drop_text((enum drop_reason)r));
		json_object_array_add(a, o);
	}
	return a;
}

static void add_vhost(struct json_object *o, const struct vhu_status *v)
{
	char features[24];

	snprintf(features, sizeof(features), "0x%llx", (unsigned long long)v->features);
	add_bool(o, "connected", v->connected);
	add_str(o, "features", features);
	add_bool(o, "packed-ring", v->packed);
	add_bool(o, "mergeable", v->mergeable);
	add_int(o, "guest-mtu", v->mtu);
	add_int(o, "queues-enabled", v->queues_enabled);
	add_int(o, "ring-size", v->vring_size);
	add_int(o, "reconnects", v->reconnects);
	add_int(o, "bad-chains", v->bad_chains);
	if (v->socket >= 0)
		add_int(o, "numa-node", (uint64_t)v->socket);
}

/* QEMU's socket that we may not connect to looks like one that is not there: the library tries again, silently. */
static bool may_use_socket(const struct port_info *p)
{
	return p->vhu.connected || p->spec.mode != PORT_CLIENT || access(p->spec.socket, F_OK) < 0 ||
	       access(p->spec.socket, R_OK | W_OK) == 0;
}

struct json_object *show_port(struct manager *m, const struct port_info *p)
{
	struct json_object *o = fields_to_json(object_types[OBJECT_PORT].fields, &p->spec, true);
	struct datapath_queue_stats queues[DATAPATH_PORT_QUEUES];
	struct datapath_port_stats st;
	uint64_t dropped = 0;

	add_str(o, "state", port_state_names[p->state]);
	add_str(o, "origin", origin_names[p->origin.origin]);
	if (p->origin.file) {
		add_str(o, "file", p->origin.file);
		add_int(o, "line", p->origin.line);
	}
	add_int(o, "host-mtu", p->mtu);
	if (p->vhu.mtu && p->mtu)
		add_bool(o, "mtu-mismatch", p->vhu.mtu != p->mtu);
	add_vhost(o, &p->vhu);
	if (*p->error)
		add_str(o, "error", p->error);
	else if (!may_use_socket(p))
		add_str(o, "error",
			"the socket may not be used: whoever made it has to let its group write (umask 002)");
	if (datapath_port_stats(manager_datapath(m), p->index, &st) < 0)
		memset(&st, 0, sizeof(st));
	add_traffic(o, "rx", &st.rx);
	add_traffic(o, "tx", &st.tx);
	add_queues(o, queues, datapath_port_queues(manager_datapath(m), p->index, queues, DATAPATH_PORT_QUEUES));
	for (unsigned int r = 0; r < DROP_COUNT; r++)
		dropped += st.drops[r];
	add_int(o, "dropped", dropped);
	json_object_object_add(o, "drops", drop_list(st.drops, false));
	return o;
}

static const char *member_name(const struct teaming_member_status *members, unsigned int n, uint8_t i)
{
	return i < n ? members[i].spec.name : "";
}

static void add_lacp(struct json_object *o, const struct teaming_lacp *l)
{
	struct json_object *v;

	if (!l->known)
		return;
	v = json_object_new_object();
	add_str(v, "state", l->state);
	add_int(v, "aggregator", l->aggregator);
	add_int(v, "key", l->key);
	add_int(v, "actor-state", l->actor_state);
	add_str(v, "partner", l->partner);
	add_int(v, "partner-key", l->partner_key);
	add_int(v, "partner-port", l->partner_port);
	add_int(v, "partner-state", l->partner_state);
	json_object_object_add(o, "lacp", v);
}

/* Provider addresses that lie with a member now. */
static void add_homes(struct json_object *o, const struct teaming_pa_status *pas, unsigned int n, unsigned int member)
{
	struct json_object *a = json_object_new_array();
	char text[IP_STR];

	for (unsigned int i = 0; i < n; i++) {
		struct json_object *v;

		if (!pas[i].spec.address.family || pas[i].now != member)
			continue;
		v = json_object_new_object();
		add_str(v, "address", format_ip(&pas[i].spec.address, text));
		add_str(v, "mac", format_mac(&pas[i].spec.mac, text));
		add_bool(v, "at-home", pas[i].home == member);
		json_object_array_add(a, v);
	}
	json_object_object_add(o, "addresses", a);
}

static struct json_object *show_member(struct manager *m, const struct teaming_member_status *s, unsigned int index,
				       const struct teaming_pa_status *pas, unsigned int n_pas)
{
	struct json_object *o = fields_to_json(object_types[OBJECT_MEMBER].fields, &s->spec, true);
	struct datapath_queue_stats queues[DATAPATH_MEMBER_QUEUES];
	struct datapath_member_stats st;
	char mac[MAC_STR];

	add_bool(o, "present", s->present);
	add_bool(o, "open", s->open);
	add_bool(o, "link", s->link);
	add_bool(o, "usable", s->usable);
	if (*s->why)
		add_str(o, "why", s->why);
	add_int(o, "link-speed", s->speed);
	add_int(o, "mtu", s->mtu);
	add_int(o, "buckets", s->buckets);
	add_int(o, "tx-rate", s->tx_rate);
	if (s->speed)
		add_int(o, "tx-load-percent", s->tx_rate * 8 / 10000 / s->speed);
	add_int(o, "provider-addresses", s->pas);
	add_homes(o, pas, n_pas, index);
	if (*s->netdev && strcmp(s->netdev, s->spec.name) != 0)
		add_str(o, "netdev", s->netdev);
	add_lacp(o, &s->lacp);
	add_str(o, "mac", format_mac(&s->info.mac, mac));
	manager_member_stats(m, index, &st);
	add_traffic(o, "rx", &st.rx);
	add_traffic(o, "tx", &st.tx);
	add_int(o, "tx-dropped", st.tx_dropped);
	add_queues(o, queues, manager_member_queues(m, index, queues));
	return o;
}

static struct json_object *show_pa(const struct teaming_pa_status *s, const struct teaming_member_status *members,
				   unsigned int n)
{
	struct json_object *o = fields_to_json(object_types[OBJECT_PA].fields, &s->spec, true);

	add_str(o, "state", pa_state_names[s->state]);
	add_str(o, "home", member_name(members, n, s->home));
	add_str(o, "now", member_name(members, n, s->now));
	add_int(o, "weight", s->weight);
	return o;
}

static void add_team(struct json_object *o, const struct teaming_status *s)
{
	add_str(o, "provider", s->provider);
	add_str(o, "mode", team_mode_names[s->mode]);
	add_bool(o, "rebalance", s->rebalance);
	add_int(o, "rebalanced", s->exchanges - s->exchanges_undone);
	add_int(o, "rebalance-undone", s->exchanges_undone);
	if (!*s->device)
		return;
	add_str(o, "device", s->device);
	add_bool(o, "attached", s->if_index);
	add_int(o, "ifindex", s->if_index);
	add_str(o, "runner", s->runner);
	add_str(o, "runner-source", s->runner_source);
	add_str(o, "kernel-mode", s->kernel_mode);
	add_str(o, "teamd", s->teamd);
	if (*s->problem)
		add_str(o, "problem", s->problem);
}

struct json_object *show_team(struct manager *m)
{
	struct json_object *o = json_object_new_object(), *a = json_object_new_array();
	struct teaming_member_status members[TEAM_MEMBERS];
	struct teaming_pa_status pas[LOCAL_PAS];
	struct teaming *t = manager_teaming(m);
	unsigned int n = teaming_members(t, members, TEAM_MEMBERS), k = teaming_pas(t, pas, LOCAL_PAS), usable = 0;
	struct teaming_status status;

	teaming_status(t, &status);
	for (unsigned int i = 0; i < n; i++) {
		if (!members[i].spec.name[0])
			continue; /* a free slot */
		json_object_array_add(a, show_member(m, &members[i], i, pas, k));
		usable += members[i].usable;
	}
	add_team(o, &status);
	add_str(o, "configured-mode", team_mode_names[manager_settings(m)->mode]);
	add_int(o, "usable", usable);
	json_object_object_add(o, "members", a);
	a = json_object_new_array();
	for (unsigned int i = 0; i < k; i++)
		json_object_array_add(a, show_pa(&pas[i], members, n));
	json_object_object_add(o, "provider-addresses", a);
	return o;
}

struct json_object *show_drops(struct manager *m, const char *port, bool all, int *ret_error)
{
	struct datapath_port_stats st;
	struct port_info info;
	uint64_t drops[DROP_COUNT];

	if (!port) {
		datapath_drops(manager_datapath(m), drops);
		return drop_list(drops, all);
	}
	*ret_error = manager_port_info(m, port, &info);
	if (*ret_error < 0)
		return NULL;
	if (datapath_port_stats(manager_datapath(m), info.index, &st) < 0)
		memset(&st, 0, sizeof(st));
	return drop_list(st.drops, all);
}

static void add_stages(struct json_object *o, struct manager *m)
{
	static const char *const names[] = {
#define X(sym, name, text) name,
		STAGE_LIST(X)
#undef X
	};
	struct json_object *v = json_object_new_object();
	uint64_t n[STAGE_COUNT];

	datapath_stages(manager_datapath(m), n);
	for (unsigned int i = 0; i < STAGE_COUNT; i++)
		add_int(v, names[i], n[i]);
	json_object_object_add(o, "stages", v);
}

struct json_object *show_stats(struct manager *m)
{
	struct json_object *o = json_object_new_object(), *v = json_object_new_object();
	uint64_t drops[DROP_COUNT], sum = 0;

	for (unsigned int k = 0; k < OBJECT_COUNT; k++)
		add_int(v, object_types[k].config, manager_object_count(m, (enum object_kind)k));
	json_object_object_add(o, "objects", v);
	add_stages(o, m);
	datapath_drops(manager_datapath(m), drops);
	for (unsigned int r = 0; r < DROP_COUNT; r++)
		sum += drops[r];
	add_int(o, "dropped", sum);
	json_object_object_add(o, "drops", drop_list(drops, false));
	return o;
}

struct json_object *show_traffic(const struct vsid_total *t)
{
	struct json_object *o = json_object_new_object();

	add_int(o, "vsid", t->vsid);
	add_int(o, "ports", t->ports);
	add_traffic(o, "rx", &t->counts.rx);
	add_traffic(o, "tx", &t->counts.tx);
	add_int(o, "dropped", t->counts.drops);
	return o;
}

struct json_object *show_workers(struct manager *m)
{
	struct json_object *a = json_object_new_array();
	struct datapath_worker_stats st;

	for (unsigned int i = 0; datapath_worker_stats(manager_datapath(m), i, &st) == 0; i++) {
		struct json_object *o = json_object_new_object();

		add_int(o, "worker", i);
		add_int(o, "lcore", st.lcore);
		add_int(o, "queues", st.queues);
		add_int(o, "member-queues", st.member_queues);
		add_int(o, "turns", st.turns);
		add_int(o, "busy-turns", st.busy_turns);
		add_int(o, "busy-cycles", st.busy_cycles);
		add_int(o, "packets", st.packets);
		add_int(o, "sleeps", st.sleeps);
		add_int(o, "sleep-ns", st.sleep_ns);
		add_int(o, "remote-numa", st.remote_numa);
		add_int(o, "tsc-hz", st.tsc_hz);
		json_object_array_add(a, o);
	}
	return a;
}

struct json_object *show_info(struct manager *m)
{
	const struct settings *s = manager_settings(m);
	struct json_object *o = json_object_new_object(), *v = json_object_new_object();
	struct manager_info i;

	manager_info(m, &i);
	add_str(o, "version", i.version);
	add_str(o, "config", i.config_file);
	add_str(o, "host", i.host_id);
	add_str(o, "run-dir", i.run_dir);
	add_str(o, "state-dir", i.state_dir);
	add_int(o, "started", i.started_us);
	add_bool(o, "ready", i.ready);
	add_int(o, "workers", i.workers);
	add_bool(o, "hugepages", i.hugepages);
	add_int(o, "megabytes", i.megabytes);
	add_int(o, "provider-mtu", i.provider_mtu);
	add_int(o, "reloads", i.reloads);
	add_int(o, "reload-failures", i.reload_failures);
	add_str(o, "last-reload", i.last_reload);
	add_int(o, "store-pending", i.store_pending);
	add_bool(o, "store-failed", i.store_failed);
	add_int(o, "jobs-pending", i.jobs_pending);
	add_int(o, "events", i.events);
	for (const struct settings_group *g = settings_groups; g->name; g++)
		json_object_object_add(v, g->name, fields_to_json(g->rows, s, true));
	json_object_object_add(o, "settings", v);
	return o;
}

struct json_object *show_event(const struct event *ev)
{
	struct json_object *o = json_object_new_object();

	add_int(o, "number", ev->number);
	add_int(o, "time", ev->time_us);
	add_str(o, "name", ev->name);
	for (unsigned int i = 0; i < ev->n; i++)
		add_str(o, ev->pairs[i].key, ev->pairs[i].value ? ev->pairs[i].value : "");
	return o;
}
