/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reload: the file is parsed on a thread of its own, judged as a whole (also together with what was made at run time),
 * and only then applied as differences. Until that moment nothing has changed; afterwards only a socket that cannot be
 * made or a
 * lack of memory can go wrong, and that is reported with the object.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/str.h"
#include "base/tick.h"
#include "daemon/config_policy.h"
#include "daemon/control.h"
#include "daemon/manager_private.h"
#include "daemon/notify.h"

enum reload_state { RELOAD_PARSING, RELOAD_WAITING, RELOAD_APPLYING };

struct reload {
	struct job job;
	struct manager *m;
	enum reload_state state;
	struct config *config;
	struct config_errors errors;
	manager_done_fn done;
	void *arg;
	unsigned int pending; /* ports and team on portctl */
	unsigned int added, changed, removed;
	struct object_diff diff[OBJECT_COUNT];
	struct object_list from[OBJECT_COUNT], to[OBJECT_COUNT];
	char *problems; /* what went wrong while applying, one a line */
};

static const enum object_kind policy_kinds[] = { OBJECT_HOST, OBJECT_SUBNET, OBJECT_RECORD, OBJECT_ROUTE };
static const enum object_kind team_kinds[] = { OBJECT_MEMBER, OBJECT_PA, OBJECT_PROVIDER_ROUTE };
#define N(array) (sizeof(array) / sizeof((array)[0]))

static void problem(struct reload *rl, const char *text)
{
	char *all = NULL;

	if (asprintf(&all, "%s%s%s", rl->problems ? rl->problems : "", rl->problems ? "\n" : "", text) < 0)
		return;
	free(rl->problems);
	rl->problems = all;
}

/* ---- end ---- */

static void reload_free(struct reload *rl)
{
	unsigned int k;

	for (k = 0; k < OBJECT_COUNT; k++) {
		free(rl->diff[k].steps);
		object_list_done(&rl->from[k]);
		object_list_done(&rl->to[k]);
	}
	config_free(rl->config);
	config_errors_free(&rl->errors);
	free(rl->problems);
	free(rl);
}

static void tell(struct reload *rl, int r, const char *text)
{
	char added[16], changed[16], removed[16];

	snprintf(added, sizeof(added), "%u", rl->added);
	snprintf(changed, sizeof(changed), "%u", rl->changed);
	snprintf(removed, sizeof(removed), "%u", rl->removed);
	manager_emit(rl->m, EVENT_RELOAD, "result", r < 0 ? "refused" : "applied", "added", added, "changed", changed,
		     "removed", removed, "text", text, NULL);
}

static void finish(struct reload *rl, int r, const char *text)
{
	struct manager *m = rl->m;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	m->last_reload_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	if (r < 0)
		m->reload_failures++;
	else
		m->reloads++;
	str_copy(m->last_reload, sizeof(m->last_reload), text);
	m->reload = NULL;
	tell(rl, r, text);
	if (r < 0)
		log_error("reload refused, nothing was changed: %s", text);
	notify_ready();
	if (rl->done)
		rl->done(rl->arg, r, text);
	reload_free(rl);
	malloc_trim(0);
}

static void finish_errors(struct reload *rl, int r)
{
	char *text = config_errors_join(&rl->errors);

	finish(rl, r, text && *text ? text : strerror(-r));
	free(text);
}

/* ---- judging ---- */

static int collect(struct manager *m, enum object_kind kind, bool config, struct object_list *ret)
{
	union object_spec spec;
	enum origin origin;
	uint64_t cursor = 0;
	int r = 0;

	ret->kind = kind;
	while (r == 0 && objects_next(m, kind, &cursor, &spec, &origin))
		if ((origin == ORIGIN_CONFIG) == config)
			r = object_list_add(ret, &spec, origin);
	return r;
}

static int check_others(struct reload *rl)
{
	struct object_list others[OBJECT_COUNT] = { 0 };
	unsigned int k;
	int r = 0;

	for (k = 0; k < OBJECT_COUNT && r == 0; k++)
		r = collect(rl->m, k, false, &others[k]);
	if (r == 0)
		r = config_check_policy(rl->config, others, &rl->errors);
	for (k = 0; k < OBJECT_COUNT; k++)
		object_list_done(&others[k]);
	return r;
}

/* The lists as they will be: the configuration's, then those made at run time. */
static int team_lists(struct reload *rl, struct object_list lists[3])
{
	struct manager *m = rl->m;
	size_t i, k;
	int r = 0;

	for (k = 0; k < 3; k++) {
		const struct config_list *c = &rl->config->objects[team_kinds[k]];

		lists[k].kind = team_kinds[k];
		for (i = 0; i < c->n && r == 0; i++)
			r = object_list_add(&lists[k], config_spec(rl->config, team_kinds[k], i), ORIGIN_CONFIG);
	}
	for (k = 0; k < 3; k++) {
		const struct object_list *have = k == 0 ? &m->members : k == 1 ? &m->pas : &m->provider_routes;

		for (i = 0; i < have->n && r == 0; i++)
			if (have->origins[i] != ORIGIN_CONFIG &&
			    object_list_find(&lists[k], object_list_spec(have, i)) == OBJECT_NONE)
				r = object_list_add(&lists[k], object_list_spec(have, i), have->origins[i]);
	}
	return r;
}

static int check_team(struct reload *rl, struct errbuf *err)
{
	struct object_list lists[3] = { 0 };
	int r = team_lists(rl, lists);
	unsigned int k;

	r = r < 0 ? err_set(err, -r, "out of memory") :
		    team_check(&rl->config->settings, &lists[0], &lists[1], &lists[2], err);
	for (k = 0; k < 3; k++)
		object_list_done(&lists[k]);
	return r;
}

static int make_diffs(struct reload *rl)
{
	unsigned int k;
	size_t i;
	int r = 0;

	for (k = 0; k < OBJECT_COUNT && r == 0; k++) {
		rl->to[k].kind = k;
		r = collect(rl->m, k, true, &rl->from[k]);
		for (i = 0; i < rl->config->objects[k].n && r == 0; i++)
			r = object_list_add(&rl->to[k], config_spec(rl->config, k, i), ORIGIN_CONFIG);
		if (r == 0)
			r = object_diff(&rl->from[k], &rl->to[k], &rl->diff[k]);
	}
	return r;
}

/* ---- applying ---- */

/* A change on portctl has ended. */
static void on_work(void *arg, int r, const char *text)
{
	struct reload *rl = arg;

	if (r < 0)
		problem(rl, text);
	if (--rl->pending == 0)
		finish(rl, 0, rl->problems ? rl->problems : "");
}

static void started(struct reload *rl, int r, const struct errbuf *err)
{
	if (r < 0)
		problem(rl, err->text);
	else
		rl->pending++;
}

static void count(struct reload *rl)
{
	unsigned int k;
	size_t i;

	for (k = 0; k < OBJECT_COUNT; k++) {
		for (i = 0; i < rl->diff[k].n; i++) {
			enum object_change c = rl->diff[k].steps[i].change;

			rl->added += c == OBJECT_ADDED;
			rl->changed += c == OBJECT_CHANGED;
			rl->removed += c == OBJECT_REMOVED;
		}
	}
}

static void apply_settings(struct reload *rl)
{
	struct manager *m = rl->m;
	struct config_index *index = NULL;

	m->settings = rl->config->settings;
	log_set_level(settings_syslog_level(&m->settings));
	policy_set_knobs(m->policy, m->settings.use_external_router, m->settings.routed_ttl);
	m->knobs.max_sleep_us = m->settings.max_sleep_us;
	m->knobs.flood_pps = m->settings.flood_pps;
	m->knobs.neigh_pps = m->settings.neigh_pps;
	m->knobs.flow_id = m->settings.flow_id;
	datapath_set_knobs(m->datapath, &m->knobs);
	/* Without memory the old places stay; they are only for messages. */
	if (config_index_new(rl->config, &index) == 0) {
		config_index_free(m->index);
		m->index = index;
	}
	control_reload(m->control);
}

static void remove_steps(struct reload *rl, enum object_kind kind)
{
	struct object_diff *d = &rl->diff[kind];
	struct errbuf err;
	size_t i;

	for (i = 0; i < d->n; i++)
		if (d->steps[i].change == OBJECT_REMOVED &&
		    objects_apply_remove(rl->m, kind, d->steps[i].from, ORIGIN_CONFIG, &err) < 0)
			problem(rl, err.text);
}

/* Set what is new or changed. @return how many failed; they are left in the diff, the others are taken out. */
static size_t set_steps(struct reload *rl, enum object_kind kind, bool report)
{
	struct object_diff *d = &rl->diff[kind];
	struct errbuf err;
	size_t i, left = 0;

	for (i = 0; i < d->n; i++) {
		if (d->steps[i].change == OBJECT_REMOVED)
			continue;
		if (objects_apply_set(rl->m, kind, d->steps[i].to, ORIGIN_CONFIG, &err) >= 0)
			continue;
		if (report)
			problem(rl, err.text);
		d->steps[left++] = d->steps[i];
	}
	d->n = left;
	return left;
}

/*
 * The end state is known to be free of contradictions, the way there need not be: two records of one VM that move, two
 * subnets that swap addresses. So what is refused is tried again after the others, and at last taken away before
 * it is set.
 */
static void set_kind(struct reload *rl, enum object_kind kind)
{
	struct object_diff *d = &rl->diff[kind];
	size_t left = set_steps(rl, kind, false), before, i;

	do {
		before = left;
		left = left ? set_steps(rl, kind, false) : 0;
	} while (left && left < before);
	for (i = 0; i < left; i++)
		if (d->steps[i].change == OBJECT_CHANGED)
			objects_apply_remove(rl->m, kind, d->steps[i].from, ORIGIN_CONFIG, NULL);
	if (left)
		set_steps(rl, kind, true);
}

static void remove_ports(struct reload *rl)
{
	struct object_diff *d = &rl->diff[OBJECT_PORT];
	struct errbuf err;
	size_t i;

	for (i = 0; i < d->n; i++) {
		const struct port_spec *spec = d->steps[i].from;
		struct port *p = d->steps[i].change == OBJECT_REMOVED ? ports_find(rl->m, spec->id) : NULL;

		if (p)
			started(rl, ports_remove(rl->m, p, on_work, rl, &err), &err);
	}
}

/* @return false: refused because of what another port still is. */
static bool set_port(struct reload *rl, const struct port_spec *spec, bool last)
{
	struct port *p = ports_find(rl->m, spec->id);
	struct errbuf err;
	int r = p ? ports_change(rl->m, p, spec, ORIGIN_CONFIG, on_work, rl, &err) :
		    ports_add(rl->m, spec, ORIGIN_CONFIG, on_work, rl, &err);

	if (r < 0 && !last)
		return false;
	started(rl, r, &err);
	return true;
}

/* As for the other kinds: what is refused is taken away, all of it, and made anew after all others. */
static void set_ports(struct reload *rl)
{
	struct object_diff *d = &rl->diff[OBJECT_PORT];
	struct errbuf err;
	size_t i;

	for (i = 0; i < d->n; i++)
		if (d->steps[i].to && set_port(rl, d->steps[i].to, false))
			d->steps[i].to = NULL;
	for (i = 0; i < d->n; i++) {
		const struct port_spec *spec = d->steps[i].to;
		struct port *p = spec ? ports_find(rl->m, spec->id) : NULL;

		if (p)
			started(rl, ports_remove(rl->m, p, on_work, rl, &err), &err);
	}
	for (i = 0; i < d->n; i++)
		if (d->steps[i].to)
			set_port(rl, d->steps[i].to, true);
	/* What failed before may work now: a directory made, a stale socket removed. */
	for (i = 0; i < POLICY_MAX_PORTS; i++) {
		struct port *p = rl->m->ports[i];

		if (p && !p->busy && p->error[0])
			started(rl, ports_retry(rl->m, p, on_work, rl, &err), &err);
	}
}

static void set_team(struct reload *rl, bool timers)
{
	struct object_list lists[3] = { 0 };
	struct errbuf err;
	bool differs = timers;
	unsigned int k;
	int r = 0;

	for (k = 0; k < 3; k++)
		differs |= rl->diff[team_kinds[k]].n != 0;
	if (!differs)
		return;
	r = team_lists(rl, lists);
	r = r < 0 ? err_set(&err, -r, "out of memory") : team_replace(rl->m, lists, on_work, rl, &err);
	started(rl, r, &err);
	for (k = 0; k < 3; k++)
		object_list_done(&lists[k]);
}

static void apply(struct reload *rl)
{
	const struct settings *old = &rl->m->settings, *new = &rl->config->settings;
	bool timers = old->hold_down_ms != new->hold_down_ms || old->grace_ms != new->grace_ms;
	unsigned int k;

	rl->state = RELOAD_APPLYING;
	rl->pending = 1; /* this function's own */
	count(rl);
	apply_settings(rl);
	remove_ports(rl);
	remove_steps(rl, OBJECT_ROUTE);
	remove_steps(rl, OBJECT_RECORD);
	remove_steps(rl, OBJECT_SUBNET);
	remove_steps(rl, OBJECT_HOST);
	for (k = 0; k < N(policy_kinds); k++)
		set_kind(rl, policy_kinds[k]);
	set_ports(rl);
	set_team(rl, timers);
	on_work(rl, 0, "");
}

void reload_step(struct manager *m)
{
	struct reload *rl = m->reload;
	struct errbuf err;
	int r;

	if (!rl || rl->state != RELOAD_WAITING || jobq_pending(m->portctl) || m->team_change)
		return;
	r = settings_reloadable(&m->settings, &rl->config->settings, &err);
	if (r == 0)
		r = check_team(rl, &err);
	if (r < 0) {
		finish(rl, r, err.text);
		return;
	}
	r = check_others(rl);
	if (r == 0)
		r = make_diffs(rl);
	if (r < 0)
		finish_errors(rl, r);
	else
		apply(rl);
}

/* ---- parsing, on the thread ---- */

static int parse_run(struct job *job)
{
	struct reload *rl = (struct reload *)job;

	return config_load(rl->m->config_file, &rl->config, &rl->errors);
}

static void parse_done(struct job *job)
{
	struct reload *rl = (struct reload *)job;
	size_t i;

	if (rl->m->stopping) {
		finish(rl, -ECANCELED, "vswitchd is stopping");
		return;
	}
	if (job->r < 0) {
		finish_errors(rl, job->r);
		return;
	}
	for (i = 0; i < rl->errors.n; i++)
		log_warning("%s", rl->errors.list[i].text);
	config_errors_free(&rl->errors);
	rl->state = RELOAD_WAITING;
	reload_step(rl->m);
}

int manager_reload(struct manager *m, manager_done_fn done, void *arg, struct errbuf *err)
{
	struct reload *rl;

	if (m->reload)
		return err_set(err, EBUSY, "a reload is running already");
	if (!m->ready || m->stopping)
		return err_set(err, EBUSY, "vswitchd is %s", m->ready ? "stopping" : "still starting");
	rl = calloc(1, sizeof(*rl));
	if (!rl)
		return err_set(err, ENOMEM, "out of memory");
	*rl = (struct reload){ .job = { .run = parse_run, .done = parse_done }, .m = m, .done = done, .arg = arg };
	m->reload = rl;
	notify_reloading();
	jobq_submit(m->background, &rl->job);
	return 0;
}

void reload_stop(struct manager *m)
{
	if (m->background)
		jobq_drain(m->background);
	if (m->portctl)
		jobq_drain(m->portctl); /* ends one that is being applied */
	if (m->reload)
		finish(m->reload, -ECANCELED, "vswitchd is stopping");
}
