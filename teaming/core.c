/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "teaming/core.h"

/* What a segment's hosts ask after a power cut, not what a flood asks. */
#define ANSWERS_PER_S 5000
#define ECHOS_PER_S   1000
#define SETTLE_ROUNDS 8
#define START_WAIT    (5 * S_NS) /* for devices to be opened after a change of the configuration */

void tw_event(struct tw_core *c, enum teaming_event_type type, unsigned int member, const struct tw_pa *pa,
	      const char *fmt, ...)
{
	struct teaming_event ev = { .type = type, .member = (uint8_t)member };
	va_list ap;

	if (pa) {
		ev.pa = pa->spec.address;
		ev.pa_state = pa->state;
	}
	va_start(ap, fmt);
	vsnprintf(ev.text, sizeof(ev.text), fmt, ap);
	va_end(ap);
	c->env.event(c->env.arg, &ev);
}

static void on_start_over(struct tw_timer *t, void *arg)
{
	((struct tw_core *)arg)->dirty |= TW_DIRTY_VIEW;
}

int tw_init(struct tw_core *c, const struct tw_env *env)
{
	uint64_t now = env->now(env->arg);

	memset(c, 0, sizeof(*c));
	c->env = *env;
	c->mode = TEAM_INDEPENDENT;
	TAILQ_INIT(&c->neighs);
	TAILQ_INIT(&c->remotes);
	TAILQ_INIT(&c->changes);
	tw_select_init(&c->select);
	tw_plain_init(c);
	tw_groups_init(c);
	tw_timer_init(&c->start_timer, on_start_over, c);
	rate_init(&c->answer_rate, ANSWERS_PER_S, ANSWERS_PER_S / 5, S_NS, now);
	rate_init(&c->echo_rate, ECHOS_PER_S, ECHOS_PER_S / 5, S_NS, now);
	for (unsigned int i = 0; i < LOCAL_PAS; i++)
		c->pas[i].home = c->pas[i].now = c->pas[i].prev = TEAM_NO_MEMBER;
	c->dirty = TW_DIRTY_VIEW;
	return tw_timers_reserve(&c->timers, TEAM_MEMBERS + 3 * LOCAL_PAS + TEAM_GROUPS + 2);
}

void tw_fini(struct tw_core *c)
{
	tw_remotes_free(c);
	tw_timers_free(&c->timers);
	free(c->routes);
	free(c->plain);
}

/* ---- configuration ---- */

static int find_config_member(const struct teaming_config *config, const char *name)
{
	for (unsigned int i = 0; i < config->n_members; i++)
		if (strcmp(config->members[i].name, name) == 0)
			return (int)i;
	return -ENOENT;
}

static const struct pa_spec *find_config_pa(const struct teaming_config *config, const struct ip_addr *address)
{
	for (unsigned int i = 0; i < config->n_pas; i++)
		if (ip_equal(&config->pas[i].address, address))
			return &config->pas[i];
	return NULL;
}

static int find_pa(const struct tw_core *c, const struct ip_addr *address)
{
	for (unsigned int i = 0; i < LOCAL_PAS; i++)
		if (c->pas[i].used && ip_equal(&c->pas[i].spec.address, address))
			return (int)i;
	return -ENOENT;
}

/* Slots that new members can have: those that are free, or get free now because nothing is open. */
static unsigned int free_slots(const struct tw_core *c, const struct teaming_config *config)
{
	unsigned int n = 0;

	for (unsigned int m = 0; m < TEAM_MEMBERS; m++) {
		const struct tw_member *mem = &c->members[m];

		n += !mem->used ||
		     (!mem->dev && !mem->busy && (mem->leaving || find_config_member(config, mem->spec.name) < 0));
	}
	return n;
}

static void remove_members(struct tw_core *c, const struct teaming_config *config)
{
	for (unsigned int m = 0; m < TEAM_MEMBERS; m++) {
		struct tw_member *mem = &c->members[m];

		if (!mem->used || (!mem->leaving && find_config_member(config, mem->spec.name) >= 0))
			continue;
		mem->leaving = true;
		if (mem->dev || mem->busy)
			tw_member_evaluate(c, m); /* its slot is free once portctl has closed it */
		else
			tw_member_free_slot(c, m);
	}
}

static void set_members(struct tw_core *c, const struct teaming_config *config)
{
	for (unsigned int i = 0; i < config->n_members; i++) {
		const struct member_spec *spec = &config->members[i];
		int m = tw_member_find(c, spec->name);
		struct tw_member *mem;

		if (m < 0) {
			for (m = 0; c->members[m].used; m++)
				;
			tw_member_init(c, (unsigned int)m, spec);
			tw_member_evaluate(c, (unsigned int)m);
			continue;
		}
		mem = &c->members[m];
		if (mem->dev && (mem->spec.type != spec->type || mem->spec.queues != spec->queues ||
				 strcmp(mem->spec.devargs, spec->devargs) != 0))
			mem->reopen = true;
		mem->spec = *spec;
		c->dirty |= TW_DIRTY_VIEW;
		tw_member_evaluate(c, (unsigned int)m);
	}
}

static void remove_pas(struct tw_core *c, const struct teaming_config *config)
{
	for (unsigned int i = 0; i < LOCAL_PAS; i++)
		if (c->pas[i].used && !find_config_pa(config, &c->pas[i].spec.address)) {
			tw_pa_stop(c, &c->pas[i]);
			c->home_members = 0;
		}
}

static void set_pa(struct tw_core *c, const struct pa_spec *configured, unsigned int order)
{
	struct pa_spec spec = *configured;
	int i = find_pa(c, &spec.address);
	struct tw_pa *pa;

	tw_pa_derive_mac(c->host_id, configured, &spec.mac);
	if (i >= 0 && (c->pas[i].spec.vlan != spec.vlan || !mac_equal(&c->pas[i].spec.mac, &spec.mac))) {
		tw_pa_stop(c, &c->pas[i]); /* another station as far as the network is concerned */
		i = -ENOENT;
	}
	if (i < 0) {
		for (i = 0; c->pas[i].used; i++)
			;
		pa = &c->pas[i];
		pa->used = true;
		pa->spec = spec;
		tw_pa_start(c, pa, tw_state_has(c->trusted, c->n_trusted, &spec));
	} else {
		if (c->pa_order[order] != i || strcmp(c->pas[i].spec.member, spec.member) != 0)
			c->home_members = 0;
		c->pas[i].spec = spec;
	}
	c->pa_order[order] = (uint16_t)i;
}

int tw_configure(struct tw_core *c, const struct teaming_config *config, struct errbuf *err)
{
	struct provider_route_spec *routes = NULL;
	unsigned int fresh = 0;

	for (unsigned int i = 0; i < config->n_members; i++)
		fresh += tw_member_find(c, config->members[i].name) < 0;
	if (fresh > free_slots(c, config))
		return err_set(err, ENOSPC, "members that were removed are not closed yet");
	if (config->n_routes) {
		routes = calloc(config->n_routes, sizeof(*routes));
		if (!routes)
			return err_set(err, ENOMEM, "out of memory");
		memcpy(routes, config->routes, config->n_routes * sizeof(*routes));
	}
	free(c->routes);
	c->routes = routes;
	c->n_routes = config->n_routes;
	str_copy(c->host_id, sizeof(c->host_id), config->host_id);
	if (c->mode != tw_mode(config->mode))
		tw_remotes_changed_all(c); /* which PA a member sends from */
	c->mode = tw_mode(config->mode);
	c->hold_down_ms = config->hold_down_ms;
	c->grace_ms = config->grace_ms;
	tw_rebalance_configure(&c->rebalance, config->rebalance, config->rebalance_force);
	c->start_until = tw_now(c) + START_WAIT;
	tw_timer_set(&c->timers, &c->start_timer, c->start_until);

	remove_members(c, config);
	set_members(c, config);
	remove_pas(c, config);
	for (unsigned int i = 0; i < config->n_pas; i++)
		set_pa(c, &config->pas[i], i);
	c->n_pas = config->n_pas;
	tw_place_homes(c);
	c->dirty |= TW_DIRTY_VIEW | TW_DIRTY_STATE;
	if (tw_remotes_relink(c) < 0)
		return err_set(err, ENOMEM, "out of memory");
	return 0;
}

/* ---- publication ---- */

static bool same_view(const struct team_view *a, struct team_view *b)
{
	if (!a)
		return false;
	b->gen = a->gen;
	return memcmp(a, b, sizeof(*b)) == 0;
}

static void publish(struct tw_core *c)
{
	struct team_view *v = tw_view_build(c);
	bool any;

	if (!v)
		return; /* tried again with the next change */
	if (same_view(c->view, v)) {
		free(v);
		return;
	}
	any = v->n_usable > 0;
	/* Tunnels are built for the members of a view. */
	if (!c->view || c->view->n_members != v->n_members)
		tw_remotes_changed_all(c);
	v->gen = ++c->gen;
	c->view = v;
	c->env.publish(c->env.arg, v);
	tw_event(c, TEAMING_VIEW, v->designated, NULL, "view %llu: %u of %u members usable", (unsigned long long)v->gen,
		 v->n_usable, v->n_members);
	if (c->any_usable && !any)
		tw_event(c, TEAMING_NONE_USABLE, TEAM_NO_MEMBER, NULL, "no member is usable");
	c->any_usable = any;
}

void tw_settle(struct tw_core *c)
{
	uint32_t weight[TEAM_MEMBERS], carries;

	/*
	 * Placing an address can change it, which changes what members carry: few rounds, bounded all the
	 * same.
	 */
	for (unsigned int i = 0; c->dirty & TW_DIRTY_VIEW && i < SETTLE_ROUNDS; i++) {
		c->dirty &= ~TW_DIRTY_VIEW;
		tw_member_promote(c);
		tw_place_pas(c);
		tw_groups_place(c);
		tw_member_weights(c, weight, &carries);
		if (tw_select_update(&c->select, weight, carries))
			tw_plain_moved(c);
		publish(c);
	}
	if (c->dirty & TW_DIRTY_PATHS && !TAILQ_EMPTY(&c->changes))
		tw_event(c, TEAMING_PATHS, TEAM_NO_MEMBER, NULL, "paths changed");
	c->dirty &= ~TW_DIRTY_PATHS;
}
