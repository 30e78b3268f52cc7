/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The team: what is configured, devices opened and closed by portctl as teaming wants it (netdevs come and go, ports
 * of the team device too, members are configured, changed, removed), and what follows for the packet path. A change of
 * the team ends when portctl has done all that teaming wants because of it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "daemon/manager_private.h"
#include "offload/offload.h"

struct member_job {
	struct job job;
	struct manager *m;
	unsigned int index;
	char name[ID_SIZE];
	bool open;
	struct member_config config;
};

/* A change on its way. */
struct team_change {
	struct object_list lists[3]; /* members, pas, provider_routes */
	struct object_list before;   /* members as they were */
	work_done_fn fn;
	void *arg;
	bool configured; /* teaming has it; waiting for devices to open */
	int r;
	struct errbuf err;
};

static void fill_config(struct manager *m, const struct settings *s, const struct object_list *members,
			const struct object_list *pas, const struct object_list *routes, struct teaming_config *ret)
{
	config_team(s, ret);
	ret->n_members = (uint16_t)members->n;
	ret->n_pas = (uint16_t)pas->n;
	ret->n_routes = (uint16_t)routes->n;
	ret->members = (const struct member_spec *)(const void *)members->specs;
	ret->pas = (const struct pa_spec *)(const void *)pas->specs;
	ret->routes = (const struct provider_route_spec *)(const void *)routes->specs;
	ret->event = mailbox_post_team;
	ret->arg = m->mailbox;
}

int team_check(const struct settings *s, const struct object_list *members, const struct object_list *pas,
	       const struct object_list *routes, struct errbuf *err)
{
	struct manager nobody = { 0 };
	struct teaming_config c;

	if (members->n > TEAM_MEMBERS)
		return err_set(err, ENOSPC, "at most %d members are allowed", TEAM_MEMBERS);
	if (pas->n > LOCAL_PAS)
		return err_set(err, ENOSPC, "at most %d provider addresses are allowed", LOCAL_PAS);
	fill_config(&nobody, s, members, pas, routes, &c);
	return teaming_check(&c, err);
}

/* ---- devices ---- */

struct member_ctl *team_ctl(struct manager *m, const char *name, bool make)
{
	struct member_ctl *free_slot = NULL;
	unsigned int i;

	for (i = 0; i < TEAM_MEMBERS; i++) {
		struct member_ctl *c = &m->member_ctl[i];

		if (strcmp(c->name, name) == 0)
			return c;
		if (!c->name[0] && !free_slot)
			free_slot = c;
	}
	if (!make || !free_slot)
		return NULL;
	memset(free_slot, 0, sizeof(*free_slot));
	str_copy(free_slot->name, sizeof(free_slot->name), name);
	return free_slot;
}

bool team_idle(const struct manager *m)
{
	unsigned int i;

	for (i = 0; i < TEAM_MEMBERS; i++)
		if (m->member_ctl[i].work != MEMBER_IDLE)
			return false;
	return true;
}

/* What was said about members that are gone. */
static void forget_members(struct manager *m)
{
	struct teaming_member_status st[TEAM_MEMBERS];
	unsigned int i, k, n = m->teaming ? teaming_members(m->teaming, st, TEAM_MEMBERS) : 0;

	for (i = 0; i < TEAM_MEMBERS; i++) {
		struct member_ctl *c = &m->member_ctl[i];

		for (k = 0; k < n && strcmp(st[k].spec.name, c->name) != 0; k++)
			;
		if (c->name[0] && c->work == MEMBER_IDLE && k == n)
			memset(c, 0, sizeof(*c));
	}
}

bool team_failed(const struct manager *m, const char *name)
{
	unsigned int i;

	for (i = 0; i < TEAM_MEMBERS; i++)
		if (m->member_ctl[i].error[0] && (!name || strcmp(m->member_ctl[i].name, name) == 0))
			return true;
	return false;
}

static void member_ready(struct member_dev *d, const struct member_info *info, const struct member_config *c)
{
	const struct member_job *j = c->arg;

	offload_member_open(j->m->offload, j->name, d, info, c, &nvgre_ops);
}

static int member_run(struct job *job)
{
	struct member_job *j = (struct member_job *)job;

	if (j->open) {
		j->config.choose = offload_member_choose;
		j->config.ready = member_ready;
		j->config.arg = j;
		return teaming_member_open(j->m->teaming, j->index, &j->config, &job->err);
	}
	offload_member_close(j->m->offload, j->name);
	teaming_member_close(j->m->teaming, j->index);
	return 0;
}

static void change_step(struct manager *m);

static void member_done(struct job *job)
{
	struct member_job *j = (struct member_job *)job;
	struct manager *m = j->m;
	struct member_ctl *c = team_ctl(m, j->name, true);

	c->work = MEMBER_IDLE;
	c->open = j->open && job->r == 0;
	c->error[0] = '\0';
	if (job->r < 0) {
		str_copy(c->error, sizeof(c->error), job->err.text);
		manager_emit(m, EVENT_MEMBER_FAILED, "member", j->name, "error", c->error, NULL);
	} else {
		manager_emit(m, j->open ? EVENT_MEMBER_OPEN : EVENT_MEMBER_CLOSED, "member", j->name, NULL);
	}
	free(j);
	/* At once, not at the end of the turn: the next job may reopen it with other queues. */
	if (datapath_members_update(m->datapath) < 0)
		log_error("no memory to give the members' queues to workers");
	manager_later(m, LATER_MTU | LATER_READY | LATER_STEER);
	forget_members(m);
	team_sync(m); /* what came up meanwhile, or was waiting for this */
	change_step(m);
}

static void member_config(struct manager *m, const struct member_spec *spec, struct member_config *ret)
{
	/* The device takes of this what it can do; its driver is known only on portctl. */
	struct member_info all = { .max_rxq = UINT16_MAX, .max_txq = UINT16_MAX, .tx_capa = UINT64_MAX,
				   .rx_capa = UINT64_MAX };

	*ret = (struct member_config){
		.rxq = spec->queues ? spec->queues : (uint16_t)m->n_workers,
		.txq = (uint16_t)m->n_workers,
		.mtu = m->settings.provider_mtu,
		.pool = m->pool,
	};
	offload_member_config(&all, ret);
}

static void member_work(struct manager *m, unsigned int index, const struct member_spec *spec, bool open)
{
	struct member_ctl *c = team_ctl(m, spec->name, true);
	struct member_job *j = calloc(1, sizeof(*j));

	if (!j || !c) {
		log_error("member %s: out of memory", spec->name);
		free(j);
		return;
	}
	j->job.run = member_run;
	j->job.done = member_done;
	j->m = m;
	j->index = index;
	j->open = open;
	str_copy(j->name, sizeof(j->name), spec->name);
	member_config(m, spec, &j->config);
	c->work = open ? MEMBER_OPENING : MEMBER_CLOSING;
	jobq_submit(m->portctl, &j->job);
}

/* A slot that another member had. */
static void note_owner(struct manager *m, unsigned int index, const char *name)
{
	struct member_base *b = &m->member_base[index];

	if (!*name || strcmp(b->name, name) == 0)
		return;
	str_copy(b->name, sizeof(b->name), name);
	if (datapath_member_stats(m->datapath, index, &b->stats) < 0)
		memset(&b->stats, 0, sizeof(b->stats));
	datapath_member_queues_all(m->datapath, index, b->queues);
	datapath_watch_forget(m->datapath, PORT_NONE, (uint8_t)index);
}

void manager_member_stats(const struct manager *m, unsigned int index, struct datapath_member_stats *ret)
{
	const struct datapath_member_stats *b = &m->member_base[index].stats;

	if (datapath_member_stats(m->datapath, index, ret) < 0) {
		memset(ret, 0, sizeof(*ret));
		return;
	}
	ret->rx.packets -= b->rx.packets;
	ret->rx.bytes -= b->rx.bytes;
	ret->tx.packets -= b->tx.packets;
	ret->tx.bytes -= b->tx.bytes;
	ret->tx_dropped -= b->tx_dropped;
}

void team_sync(struct manager *m)
{
	struct teaming_member_status st[TEAM_MEMBERS];
	unsigned int i, n = teaming_members(m->teaming, st, TEAM_MEMBERS);

	if (m->stopping)
		return;
	for (i = 0; i < n; i++)
		note_owner(m, i, st[i].spec.name);
	for (i = 0; i < n; i++) {
		struct member_ctl *c = st[i].spec.name[0] ? team_ctl(m, st[i].spec.name, true) : NULL;

		if (!c)
			continue;
		if (c->work != MEMBER_IDLE)
			continue;
		if (st[i].present && !st[i].open && !c->error[0])
			member_work(m, i, &st[i].spec, true);
		else if (!st[i].present && st[i].open)
			member_work(m, i, &st[i].spec, false);
	}
}

void team_stop(struct manager *m)
{
	struct teaming_member_status st[TEAM_MEMBERS];
	unsigned int i, n;

	if (!m->teaming)
		return;
	jobq_drain(m->portctl);
	n = teaming_members(m->teaming, st, TEAM_MEMBERS);
	for (i = 0; i < n; i++)
		if (st[i].open)
			member_work(m, i, &st[i].spec, false);
	jobq_drain(m->portctl);
}

/* ---- changes ---- */

static int configure(struct manager *m, struct object_list lists[3], struct errbuf *err)
{
	struct teaming_config c;
	int r;

	fill_config(m, &m->settings, &lists[0], &lists[1], &lists[2], &c);
	r = m->teaming ? teaming_configure(m->teaming, &c, err) : teaming_create(&c, &m->teaming, err);
	if (r < 0)
		return r;
	object_list_done(&m->members);
	object_list_done(&m->pas);
	object_list_done(&m->provider_routes);
	m->members = lists[0];
	m->pas = lists[1];
	m->provider_routes = lists[2];
	memset(lists, 0, 3 * sizeof(lists[0]));
	forget_members(m);
	balance_update_self(m, false);
	return 0;
}

int team_create(struct manager *m, struct object_list lists[3], struct errbuf *err)
{
	return configure(m, lists, err);
}

static void change_end(struct manager *m)
{
	struct team_change *c = m->team_change;
	unsigned int i;

	m->team_change = NULL;
	manager_later(m, LATER_READY); /* a reload may be waiting for it */
	for (i = 0; i < 3; i++)
		object_list_done(&c->lists[i]);
	object_list_done(&c->before);
	if (c->fn)
		c->fn(c->arg, c->r, c->r < 0 ? c->err.text : "");
	free(c);
}

/* Is the member as it was before the change? Then its troubles are its own. */
static bool is_untouched(const struct team_change *c, const struct object_list *now, const char *name)
{
	const struct field *rows = object_types[OBJECT_MEMBER].fields;
	struct member_spec key = { 0 };
	size_t i, k;

	str_copy(key.name, sizeof(key.name), name);
	i = object_list_find(&c->before, &key);
	k = object_list_find(now, &key);
	if (i == OBJECT_NONE && k == OBJECT_NONE)
		return true; /* a port of the team device that nobody mentions */
	return i != OBJECT_NONE && k != OBJECT_NONE &&
	       field_equal(rows, object_list_spec(&c->before, i), object_list_spec(now, k));
}

/* The first error of a member that the change was about, for whoever asked for it. */
static void collect_errors(struct manager *m, struct team_change *c)
{
	unsigned int i;

	for (i = 0; i < TEAM_MEMBERS && c->r == 0; i++) {
		const struct member_ctl *ctl = &m->member_ctl[i];

		if (ctl->name[0] && ctl->error[0] && !is_untouched(c, &m->members, ctl->name))
			c->r = err_set(&c->err, EIO, "member %s: %s", ctl->name, ctl->error);
	}
}

/* End the change when no device is being worked on any more. */
static void change_step(struct manager *m)
{
	struct team_change *c = m->team_change;

	if (!c || !c->configured || !team_idle(m))
		return;
	collect_errors(m, c);
	change_end(m);
}

static void change_start(struct manager *m)
{
	struct team_change *c = m->team_change;
	unsigned int i;

	c->configured = true;
	c->r = configure(m, c->lists, &c->err);
	for (i = 0; i < TEAM_MEMBERS; i++)
		m->member_ctl[i].error[0] = '\0'; /* a change is a reason to try again */
	manager_later(m, LATER_REMOTES | LATER_TUNNELS | LATER_MEMBERS | LATER_MTU);
	team_sync(m);
	change_step(m);
}

/* Started through portctl's queue, so that `fn` is never called before team_replace() has returned. */
struct kick {
	struct job job;
	struct manager *m;
};

static int kick_run(struct job *job)
{
	return 0;
}

static void kick_done(struct job *job)
{
	struct kick *k = (struct kick *)job;

	change_start(k->m);
	free(k);
}

int team_replace(struct manager *m, struct object_list lists[3], work_done_fn fn, void *arg, struct errbuf *err)
{
	struct team_change *c;
	struct kick *k;
	int r;

	if (m->team_change || !team_idle(m))
		return err_set(err, EBUSY, "the team is being changed");
	r = team_check(&m->settings, &lists[0], &lists[1], &lists[2], err);
	if (r < 0)
		return r;
	c = calloc(1, sizeof(*c));
	k = calloc(1, sizeof(*k));
	if (!c || !k || object_list_copy(&c->before, &m->members) < 0) {
		free(c);
		free(k);
		return err_set(err, ENOMEM, "out of memory");
	}
	memcpy(c->lists, lists, sizeof(c->lists));
	memset(lists, 0, sizeof(c->lists));
	c->fn = fn;
	c->arg = arg;
	m->team_change = c;
	*k = (struct kick){ .job = { .run = kick_run, .done = kick_done }, .m = m };
	jobq_submit(m->portctl, &k->job);
	return 0;
}
