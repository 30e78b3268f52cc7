/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reload: the file is parsed on a thread of its own, judged as a whole there (also together with what was made at run
 * time), and only then applied as differences. Until that moment nothing has changed; afterwards only a socket that
 * cannot be made or a lack of memory can go wrong, and that is reported with the object.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/str.h"
#include "base/tick.h"
#include "daemon/config_policy.h"
#include "daemon/notify.h"
#include "daemon/reload_private.h"

/* Judged on the thread so often; if something changes every time, the loop waits for the last one. */
#define JUDGED_MAX 3

const enum object_kind reload_team_kinds[3] = { OBJECT_MEMBER, OBJECT_PA, OBJECT_PROVIDER_ROUTE };

/* ---- end ---- */

static void reload_free(struct reload *rl)
{
	unsigned int k;

	for (k = 0; k < OBJECT_COUNT; k++) {
		free(rl->diff[k].steps);
		object_list_done(&rl->from[k]);
		object_list_done(&rl->to[k]);
		object_list_done(&rl->others[k]);
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

void reload_finish(struct reload *rl, int r, const char *text)
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

	reload_finish(rl, r, text && *text ? text : strerror(-r));
	free(text);
}

/* ---- judging ---- */

/* What there is now, for a thread to judge by. */
static int collect(struct reload *rl, enum object_kind kind)
{
	union object_spec spec;
	enum origin origin;
	uint64_t cursor = 0;
	int r = 0;

	object_list_done(&rl->from[kind]);
	object_list_done(&rl->others[kind]);
	rl->from[kind].kind = rl->others[kind].kind = kind;
	while (r == 0 && objects_next(rl->m, kind, &cursor, &spec, &origin))
		r = object_list_add(origin == ORIGIN_CONFIG ? &rl->from[kind] : &rl->others[kind], &spec, origin);
	return r;
}

/* The lists as they will be: the configuration's, then those made at run time. */
int reload_team_lists(struct reload *rl, struct object_list lists[3])
{
	struct manager *m = rl->m;
	size_t i, k;
	int r = 0;

	for (k = 0; k < 3; k++) {
		const struct config_list *c = &rl->config->objects[reload_team_kinds[k]];

		lists[k].kind = reload_team_kinds[k];
		for (i = 0; i < c->n && r == 0; i++)
			r = object_list_add(&lists[k], config_spec(rl->config, reload_team_kinds[k], i), ORIGIN_CONFIG);
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
	int r = reload_team_lists(rl, lists);
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
		object_list_done(&rl->to[k]);
		free(rl->diff[k].steps);
		rl->diff[k] = (struct object_diff){ 0 };
		rl->to[k].kind = k;
		for (i = 0; i < rl->config->objects[k].n && r == 0; i++)
			r = object_list_add(&rl->to[k], config_spec(rl->config, k, i), ORIGIN_CONFIG);
		if (r == 0)
			r = object_diff(&rl->from[k], &rl->to[k], &rl->diff[k]);
	}
	return r;
}

/* On the background thread, or on main when nothing else helps. */
static int judge_run(struct job *job)
{
	struct reload *rl = (struct reload *)job;
	int r;

	config_errors_free(&rl->errors);
	r = config_check_policy(rl->config, rl->others, &rl->errors);
	return r < 0 ? r : make_diffs(rl);
}

static void judge_done(struct job *job)
{
	struct reload *rl = (struct reload *)job;

	if (rl->m->stopping) {
		reload_finish(rl, -ECANCELED, "vswitchd is stopping");
		return;
	}
	/* Something was changed meanwhile, or is being changed: again. */
	if (rl->changes != rl->m->changes || jobq_pending(rl->m->portctl) || rl->m->team_change) {
		rl->state = RELOAD_WAITING;
		reload_step(rl->m);
	} else if (job->r < 0) {
		finish_errors(rl, job->r);
	} else {
		reload_apply(rl);
	}
}

/* ---- from the loop ---- */

void reload_step(struct manager *m)
{
	struct reload *rl = m->reload;
	struct errbuf err;
	unsigned int k;
	int r;

	if (!rl || rl->state != RELOAD_WAITING || jobq_pending(m->portctl) || m->team_change)
		return;
	r = settings_reloadable(&m->settings, &rl->config->settings, &err);
	if (r == 0)
		r = check_team(rl, &err);
	if (r < 0) {
		reload_finish(rl, r, err.text);
		return;
	}
	for (k = 0; k < OBJECT_COUNT && r == 0; k++)
		r = collect(rl, k);
	if (r < 0) {
		finish_errors(rl, r);
		return;
	}
	rl->state = RELOAD_JUDGING;
	rl->changes = m->changes;
	rl->job.run = judge_run;
	rl->job.done = judge_done;
	if (rl->judged++ < JUDGED_MAX) {
		jobq_submit(m->background, &rl->job);
		return;
	}
	rl->job.r = judge_run(&rl->job);
	judge_done(&rl->job);
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
		reload_finish(rl, -ECANCELED, "vswitchd is stopping");
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
		reload_finish(m->reload, -ECANCELED, "vswitchd is stopping");
}
