/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Applying a configuration that has been judged good: settings, then what goes, then what is new or changed. Ports and
 * team go on on portctl; the reload ends with the last of them.
 */
#include <stdlib.h>

#include "base/log.h"
#include "daemon/control.h"
#include "daemon/metrics.h"
#include "daemon/reload_private.h"

static const enum object_kind policy_kinds[] = { OBJECT_HOST, OBJECT_SUBNET, OBJECT_RECORD, OBJECT_ROUTE };
#define N(array) (sizeof(array) / sizeof((array)[0]))

static void problem(struct reload *rl, const char *text)
{
	char *all = NULL;

	if (asprintf(&all, "%s%s%s", rl->problems ? rl->problems : "", rl->problems ? "\n" : "", text) < 0)
		return;
	free(rl->problems);
	rl->problems = all;
}

/* A change on portctl has ended. */
static void on_work(void *arg, int r, const char *text)
{
	struct reload *rl = arg;

	if (r < 0)
		problem(rl, text);
	if (--rl->pending == 0)
		reload_finish(rl, 0, rl->problems ? rl->problems : "");
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
	m->knobs.learn_pps = m->settings.learn_pps;
	m->knobs.learn_burst = m->settings.learned_per_port;
	learn_settings(m);
	nvgre_set_accept_vid0(m->settings.accept_inner_vid0);
	m->knobs.flow_id = m->settings.flow_id;
	m->knobs.mss_clamp = m->settings.mss_clamp;
	m->knobs.redirect = m->settings.redirect;
	policy_set_departed(m->policy, m->settings.redirect_s * 1000);
	m->knobs.rss = m->settings.offload_rss;
	datapath_set_knobs(m->datapath, &m->knobs);
	records_count(m);
	offloads_reload(m);
	/* Without memory the old places stay; they are only for messages. */
	if (config_index_new(rl->config, &index) == 0) {
		config_index_free(m->index);
		m->index = index;
	}
	control_reload(m->control);
	metrics_reload(m->metrics);
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

/* Settings of the team that are taken over without a restart. */
static bool team_differs(const struct settings *old, const struct settings *new)
{
	return old->hold_down_ms != new->hold_down_ms || old->grace_ms != new->grace_ms ||
	       old->rebalance != new->rebalance || old->rebalance_force != new->rebalance_force;
}

static void set_team(struct reload *rl, bool settings)
{
	struct object_list lists[3] = { 0 };
	struct errbuf err;
	bool differs = settings || team_failed(rl->m, NULL); /* what could not be opened may work now */
	unsigned int k;
	int r = 0;

	for (k = 0; k < 3; k++)
		differs |= rl->diff[reload_team_kinds[k]].n != 0;
	if (!differs)
		return;
	r = reload_team_lists(rl, lists);
	r = r < 0 ? err_set(&err, -r, "out of memory") : team_replace(rl->m, lists, on_work, rl, &err);
	started(rl, r, &err);
	for (k = 0; k < 3; k++)
		object_list_done(&lists[k]);
}

void reload_apply(struct reload *rl)
{
	const struct settings *old = &rl->m->settings, *new = &rl->config->settings;
	bool team = team_differs(old, new);
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
	set_team(rl, team);
	on_work(rl, 0, "");
}
