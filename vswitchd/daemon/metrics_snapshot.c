/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <rte_mempool.h>

#include "base/str.h"
#include "daemon/manager_private.h"
#include "daemon/metrics.h"
#include "daemon/metrics_text.h"
#include "version.h"

#define NEIGHBOURS_MAX 4096

static int add_named(struct metrics_snapshot *s, enum metric_scope scope, const char *name, uint64_t n)
{
	struct metric_named *v = metrics_add(s, scope);

	if (!v)
		return -ENOMEM;
	*v = (struct metric_named){ name, n };
	return 0;
}

static int take_switch(struct manager *m, struct metrics_snapshot *s)
{
	struct metric_switch *v = metrics_add(s, METRIC_SCOPE_SWITCH);
	struct teaming_status team;
	struct manager_info i;

	if (!v)
		return -ENOMEM;
	manager_info(m, &i);
	teaming_status(m->teaming, &team);
	*v = (struct metric_switch){
		.ready = i.ready,
		.start_ns = i.started_us * 1000,
		.reloads = i.reloads,
		.reload_failures = i.reload_failures,
		.events = i.events,
		.store_pending = i.store_pending,
		.store_failed = i.store_failed,
		.jobs_pending = i.jobs_pending,
		.buffers = m->pool->size,
		.buffers_free = rte_mempool_avail_count(m->pool),
		.rebalanced = team.exchanges, /* what was undone has moved twice */
	};
	return 0;
}

static int take_lists(struct manager *m, struct metrics_snapshot *s)
{
	static const char *const stages[] = {
#define X(sym, name, text) name,
		STAGE_LIST(X)
#undef X
	};
	uint64_t drops[DROP_COUNT], seen[STAGE_COUNT];
	unsigned int i;
	int r = 0;

	datapath_drops(m->datapath, drops);
	datapath_stages(m->datapath, seen);
	for (i = 0; i < OBJECT_COUNT && r == 0; i++)
		r = add_named(s, METRIC_SCOPE_OBJECT, object_types[i].name,
			      manager_object_count(m, (enum object_kind)i));
	for (i = DROP_NONE + 1; i < DROP_COUNT && r == 0; i++)
		r = add_named(s, METRIC_SCOPE_DROP, drop_name((enum drop_reason)i), drops[i]);
	for (i = 0; i < STAGE_COUNT && r == 0; i++)
		r = add_named(s, METRIC_SCOPE_STAGE, stages[i], seen[i]);
	return r;
}

static int take_neighbours(struct manager *m, struct metrics_snapshot *s)
{
	static const char *const states[] = { "incomplete", "reachable", "stale", "probe", "failed" };
	struct teaming_neigh_status *list = calloc(NEIGHBOURS_MAX, sizeof(*list));
	uint64_t count[5] = { 0 };
	unsigned int n, i;
	int r = 0;

	if (!list)
		return -ENOMEM;
	n = teaming_neighbours(m->teaming, list, NEIGHBOURS_MAX);
	for (i = 0; i < n; i++)
		if (list[i].state < 5)
			count[list[i].state]++;
	free(list);
	for (i = 0; i < 5 && r == 0; i++)
		r = add_named(s, METRIC_SCOPE_NEIGHBOUR, states[i], count[i]);
	return r;
}

static int take_pas(struct manager *m, struct metrics_snapshot *s)
{
	struct teaming_pa_status pas[LOCAL_PAS];
	unsigned int n = teaming_pas(m->teaming, pas, LOCAL_PAS), i;
	uint64_t count[PA_PREFERRED + 1] = { 0 };
	int r = 0;

	for (i = 0; i < n; i++)
		if (pas[i].spec.address.family && pas[i].state <= PA_PREFERRED)
			count[pas[i].state]++;
	for (i = 0; i <= PA_PREFERRED && r == 0; i++)
		r = add_named(s, METRIC_SCOPE_PA, pa_state_names[i], count[i]);
	return r;
}

/* @param scope of queues; their owner is the last of `owners`. */
static int add_queues(struct metrics_snapshot *s, enum metric_scope scope, enum metric_scope owners,
		      const struct datapath_queue_stats *st, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		struct metric_queue *q = metrics_add(s, scope);

		if (!q)
			return -ENOMEM;
		*q = (struct metric_queue){
			.owner = (uint32_t)s->of[owners].n - 1,
			.queue = i,
			.rx_packets = st[i].rx.packets,
			.rx_bytes = st[i].rx.bytes,
			.tx_packets = st[i].tx.packets,
			.tx_bytes = st[i].tx.bytes,
		};
	}
	return 0;
}

static int take_port(struct manager *m, const struct port_info *p, struct metrics_snapshot *s)
{
	struct metric_port *v = metrics_add(s, METRIC_SCOPE_PORT);
	struct datapath_queue_stats queues[DATAPATH_PORT_QUEUES];
	struct metric_port_drop *d;
	struct datapath_port_stats st;

	if (!v)
		return -ENOMEM;
	if (datapath_port_stats(m->datapath, p->index, &st) < 0)
		memset(&st, 0, sizeof(st));
	str_copy(v->id, sizeof(v->id), p->spec.id);
	v->vsid = p->spec.vsid;
	v->active = p->state == PORT_ACTIVE;
	v->connected = p->vhu.connected;
	v->queues = p->vhu.queues_enabled;
	v->reconnects = p->vhu.reconnects;
	v->bad_chains = p->vhu.bad_chains;
	v->mtu_mismatch = p->vhu.mtu && p->mtu && p->vhu.mtu != p->mtu;
	v->rx_packets = st.rx.packets;
	v->rx_bytes = st.rx.bytes;
	v->tx_packets = st.tx.packets;
	v->tx_bytes = st.tx.bytes;
	for (unsigned int i = DROP_NONE + 1; i < DROP_COUNT; i++) {
		if (!st.drops[i])
			continue;
		d = metrics_add(s, METRIC_SCOPE_PORT_DROP);
		if (!d)
			return -ENOMEM;
		*d = (struct metric_port_drop){ (uint32_t)s->of[METRIC_SCOPE_PORT].n - 1,
						drop_name((enum drop_reason)i), st.drops[i] };
	}
	return add_queues(s, METRIC_SCOPE_PORT_QUEUE, METRIC_SCOPE_PORT, queues,
			  datapath_port_queues(m->datapath, p->index, queues, DATAPATH_PORT_QUEUES));
}

static int take_ports(struct manager *m, struct metrics_snapshot *s)
{
	struct port_info p;
	uint64_t cursor = 0;
	int r = 0;

	while (r == 0 && manager_port_next(m, &cursor, &p) > 0)
		r = take_port(m, &p, s);
	return r;
}

static int take_vsids(struct manager *m, struct metrics_snapshot *s)
{
	const struct vsid_totals *totals = manager_vsid_totals(m, true);

	for (size_t i = 0; i < totals->n; i++) {
		const struct vsid_total *t = &totals->v[i];
		struct metric_vsid *v = metrics_add(s, METRIC_SCOPE_VSID);

		if (!v)
			return -ENOMEM;
		*v = (struct metric_vsid){
			.vsid = t->vsid,
			.ports = t->ports,
			.rx_packets = t->counts.rx.packets,
			.rx_bytes = t->counts.rx.bytes,
			.tx_packets = t->counts.tx.packets,
			.tx_bytes = t->counts.tx.bytes,
			.drops = t->counts.drops,
		};
	}
	return 0;
}

static int take_members(struct manager *m, struct metrics_snapshot *s)
{
	struct datapath_queue_stats queues[DATAPATH_MEMBER_QUEUES];
	struct metric_switch *total = s->of[METRIC_SCOPE_SWITCH].v;
	struct teaming_member_status members[TEAM_MEMBERS];
	unsigned int n = teaming_members(m->teaming, members, TEAM_MEMBERS);

	for (unsigned int i = 0; i < n; i++) {
		struct datapath_member_stats st;
		struct metric_member *v;

		if (!members[i].spec.name[0])
			continue; /* a free slot */
		v = metrics_add(s, METRIC_SCOPE_MEMBER);
		if (!v)
			return -ENOMEM;
		manager_member_stats(m, i, &st);
		str_copy(v->name, sizeof(v->name), members[i].spec.name);
		v->usable = members[i].usable;
		v->link = members[i].link;
		v->speed = members[i].speed;
		v->buckets = members[i].buckets;
		v->tx_dropped = st.tx_dropped;
		v->rx_packets = st.rx.packets;
		v->rx_bytes = st.rx.bytes;
		v->tx_packets = st.tx.packets;
		v->tx_bytes = st.tx.bytes;
		total->members_usable += v->usable;
		if (add_queues(s, METRIC_SCOPE_MEMBER_QUEUE, METRIC_SCOPE_MEMBER, queues,
			       manager_member_queues(m, i, queues)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int take_workers(struct manager *m, struct metrics_snapshot *s)
{
	struct datapath_worker_stats st;

	for (unsigned int i = 0; datapath_worker_stats(m->datapath, i, &st) == 0; i++) {
		struct metric_worker *v = metrics_add(s, METRIC_SCOPE_WORKER);

		if (!v)
			return -ENOMEM;
		*v = (struct metric_worker){
			.index = i,
			.queues = st.queues,
			.member_queues = st.member_queues,
			.turns = st.turns,
			.busy_turns = st.busy_turns,
			.busy_cycles = st.busy_cycles,
			.busy_ns = (uint64_t)((double)st.busy_cycles * 1e9 / (double)st.tsc_hz),
			.packets = st.packets,
			.sleeps = st.sleeps,
			.sleep_ns = st.sleep_ns,
			.remote_numa = st.remote_numa,
		};
	}
	return 0;
}

int metrics_take(struct manager *m, struct metrics_snapshot *ret)
{
	static int (*const parts[])(struct manager *m, struct metrics_snapshot *s) = {
		take_switch, take_lists, take_neighbours, take_pas, take_ports, take_vsids, take_members, take_workers,
	};
	int r = 0;

	ret->version = VSWITCHD_VERSION;
	for (unsigned int i = 0; i < sizeof(parts) / sizeof(parts[0]) && r == 0; i++)
		r = parts[i](m, ret);
	return r;
}
