/* SPDX-License-Identifier: BSD-3-Clause */
/* Life of the team; what main asks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rte_cycles.h>
#include <rte_random.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/rcu.h"
#include "base/str.h"
#include "teaming/ethdev.h"
#include "teaming/team.h"

#define CONTROL_GRACE (10 * S_NS) /* how long a control thread may look at a view */

/* ---- memory that others may be looking at ---- */

void tw_retire(struct teaming *t, void *memory)
{
	struct tw_retired *list = t->retired;
	size_t space = t->space_retired;

	if (!memory)
		return;
	if (t->n_retired == space) {
		space = space ? 2 * space : 16;
		list = realloc(list, space * sizeof(*list));
		if (!list)
			return; /* lost: better than freed too early */
		t->retired = list;
		t->space_retired = space;
	}
	list[t->n_retired++] = (struct tw_retired){ memory, rte_rcu_qsbr_start(rcu_qsbr), tick_ns() };
}

void tw_reclaim(struct teaming *t, bool all)
{
	uint64_t now = tick_ns();
	size_t n;

	/* The oldest first; tokens ascend. */
	for (n = 0; n < t->n_retired; n++) {
		struct tw_retired *r = &t->retired[n];

		if (!all && (now - r->at < CONTROL_GRACE || !rte_rcu_qsbr_check(rcu_qsbr, r->token, false)))
			break;
		free(r->memory);
	}
	if (!n)
		return;
	t->n_retired -= n;
	memmove(t->retired, t->retired + n, t->n_retired * sizeof(*t->retired));
}

/* ---- the core's environment ---- */

static uint64_t env_now(void *arg)
{
	return tick_ns();
}

static uint64_t env_tsc(void *arg)
{
	return rte_rdtsc();
}

static uint32_t env_random(void *arg)
{
	return (uint32_t)rte_rand();
}

static bool env_settled(void *arg)
{
	struct teaming *t = arg;

	return rte_rcu_qsbr_check(rcu_qsbr, t->token, false);
}

static void env_publish(void *arg, struct team_view *view)
{
	struct teaming *t = arg;
	const struct team_view *old = t->view;

	rcu_assign(t->view, view);
	t->token = rte_rcu_qsbr_start(rcu_qsbr);
	tw_retire(t, (void *)(uintptr_t)old);
}

static void env_event(void *arg, const struct teaming_event *ev)
{
	struct teaming *t = arg;
	struct teaming_event *list = t->events, *e;
	size_t len;

	if (t->n_events == t->space_events) {
		size_t space = t->space_events ? 2 * t->space_events : 16;

		list = realloc(list, space * sizeof(*list));
		if (!list)
			return;
		t->events = list;
		t->space_events = space;
	}
	e = &list[t->n_events++];
	*e = *ev;
	if (e->type != TEAMING_VIEW)
		return;
	len = strlen(e->text);
	snprintf(e->text + len, sizeof(e->text) - len, ", after %llu us",
		 (unsigned long long)((tick_ns() - t->began) / 1000));
}

/* ---- lock ---- */

void tw_lock(struct teaming *t)
{
	pthread_mutex_lock(&t->lock);
	t->began = tick_ns();
}

void tw_team_settle(struct teaming *t)
{
	tw_settle(&t->core);
	tw_sockets_sync(t);
	tw_tc_drop_sync(t);
	tw_relays_sync(t);
	tw_steer_sync(t);
}

void tw_unlock(struct teaming *t)
{
	tw_team_settle(t);
	pthread_mutex_unlock(&t->lock);
	tw_watch_wake(t);
}

/* ---- life ---- */

int teaming_check(const struct teaming_config *config, struct errbuf *err)
{
	return tw_check(config, err);
}

/* What is there at the start is not news: the caller opens what it finds. */
static void drop_netdev_events(struct teaming *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n_events; i++)
		if (t->events[i].type != TEAMING_NETDEV)
			t->events[n++] = t->events[i];
	t->n_events = n;
}

static int configure_first(struct teaming *t, const struct teaming_config *config, struct errbuf *err)
{
	struct tw_state_pa trusted[LOCAL_PAS];
	int r;

	t->n_saved = tw_state_read(t->state_dir, trusted, LOCAL_PAS);
	memcpy(t->saved, trusted, t->n_saved * sizeof(*trusted));
	t->core.trusted = trusted;
	t->core.n_trusted = t->n_saved;
	if (t->pops->status)
		t->pops->status(t->provider, &t->status);
	r = tw_team_apply(t, config, err);
	t->core.trusted = NULL;
	t->core.n_trusted = 0;
	if (r < 0)
		return r;
	if (*t->status.problem)
		tw_event(&t->core, TEAMING_ALARM, TEAM_NO_MEMBER, NULL, "%s", t->status.problem);
	t->began = tick_ns();
	tw_team_settle(t);
	drop_netdev_events(t);
	return t->view ? 0 : err_set(err, ENOMEM, "out of memory");
}

static struct teaming *allocate(const struct teaming_config *config)
{
	struct teaming *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	pthread_mutex_init(&t->lock, NULL);
	t->pops = config->device && *config->device ? &provider_libteam : &provider_static;
	t->event = config->event;
	t->event_arg = config->arg;
	t->epoll = t->timer = t->wake = -1;
	for (unsigned int m = 0; m < TEAM_MEMBERS; m++)
		t->xdp_claim[m] = -1;
	return t;
}

int teaming_create(const struct teaming_config *config, struct teaming **ret, struct errbuf *err)
{
	struct provider_config pc = { .device = config->device, .runner = config->runner, .mode = config->mode,
				      .spread_all = config->spread_all, .grace_ms = config->detach_grace_ms };
	struct teaming *t;
	struct tw_env env;
	int r = tw_check(config, err);

	if (r < 0)
		return r;
	t = allocate(config);
	if (!t)
		return err_set(err, ENOMEM, "out of memory");
	env = (struct tw_env){ .arg = t, .tsc_hz = rte_get_tsc_hz(), .now = env_now, .tsc = env_tsc,
			       .random = env_random, .send = tw_sockets_send, .event = env_event,
			       .publish = env_publish, .settled = env_settled };
	r = tw_init(&t->core, &env);
	if (r == 0)
		r = tw_timers_reserve(&t->core.timers, 2);
	if (r == 0 && config->state_dir && !(t->state_dir = strdup(config->state_dir)))
		r = -ENOMEM;
	if (r == 0 && !(t->config = tw_config_copy(config)))
		r = -ENOMEM;
	if (r < 0) {
		err_set(err, -r, "out of memory");
		goto fail;
	}
	tw_sockets_init(t);
	r = t->pops->create(&pc, &t->provider, err);
	if (r < 0)
		goto fail;
	r = configure_first(t, config, err);
	if (r < 0)
		goto fail;
	r = tw_watch_start(t);
	if (r < 0) {
		err_set(err, -r, "cannot start teamwatch: %s", strerror(-r));
		goto fail;
	}
	*ret = t;
	return 0;

fail:
	teaming_free(t);
	return r;
}

void teaming_free(struct teaming *t)
{
	if (!t)
		return;
	tw_watch_stop(t);
	for (unsigned int m = 0; m < TEAM_MEMBERS; m++)
		teaming_member_close(t, m);
	tw_sockets_close(t);
	for (unsigned int m = 0; m < TEAM_MEMBERS; m++)
		tw_relay_close(t->relay[m]);
	if (t->provider)
		t->pops->free(t->provider);
	tw_fini(&t->core);
	tw_reclaim(t, true);
	free((void *)(uintptr_t)t->view);
	free(t->retired);
	free(t->events);
	free(t->state_dir);
	free(t->config);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

int teaming_configure(struct teaming *t, const struct teaming_config *config, struct errbuf *err)
{
	struct tw_config_copy *copy = NULL;
	int r = tw_check(config, err);

	if (r < 0)
		return r;
	copy = tw_config_copy(config);
	if (!copy)
		return err_set(err, ENOMEM, "out of memory");
	tw_lock(t);
	r = tw_team_apply(t, config, err);
	if (r == 0) {
		struct tw_config_copy *old = t->config;

		t->config = copy;
		copy = old;
	}
	tw_unlock(t);
	free(copy);
	return r;
}

/* ---- main's questions ---- */

int teaming_remotes_set(struct teaming *t, const struct ip_addr *pas, unsigned int n)
{
	int r;

	tw_lock(t);
	r = tw_remotes_set(&t->core, pas, n);
	tw_unlock(t);
	return r;
}

int teaming_path(struct teaming *t, const struct ip_addr *remote, unsigned int member, struct encap_path *ret,
		 uint16_t *ret_mtu, uint8_t *ret_local_pa)
{
	int r;

	pthread_mutex_lock(&t->lock);
	r = tw_path(&t->core, remote, member, ret, ret_mtu, ret_local_pa);
	pthread_mutex_unlock(&t->lock);
	return r;
}

unsigned int teaming_paths_changed(struct teaming *t, struct ip_addr *ret, unsigned int n)
{
	pthread_mutex_lock(&t->lock);
	n = tw_paths_changed(&t->core, ret, n);
	pthread_mutex_unlock(&t->lock);
	return n;
}

int teaming_groups(struct teaming *t, const struct ip_addr *groups, unsigned int n)
{
	int r;

	tw_lock(t);
	r = tw_groups_set(&t->core, groups, n);
	t->filter_stale = true;
	tw_unlock(t);
	return r;
}

int teaming_plain_macs(struct teaming *t, const struct mac *macs, unsigned int n)
{
	int r;

	tw_lock(t);
	r = tw_plain_set(&t->core, macs, n);
	t->filter_stale = true;
	tw_unlock(t);
	return r;
}

void teaming_traffic(struct teaming *t, const uint64_t bytes[TEAM_BUCKETS], const uint64_t waiting[TEAM_BUCKETS / 64])
{
	tw_lock(t);
	tw_traffic(&t->core, bytes, waiting);
	tw_unlock(t);
}

int teaming_ping(struct teaming *t, const struct teaming_ping *ping)
{
	int r;

	tw_lock(t);
	r = tw_ping(&t->core, ping);
	tw_unlock(t);
	return r;
}

int teaming_ping_poll(struct teaming *t, unsigned int handle, struct teaming_pong *ret)
{
	int r;

	pthread_mutex_lock(&t->lock);
	r = tw_ping_poll(&t->core, handle, ret);
	pthread_mutex_unlock(&t->lock);
	return r;
}

void teaming_ping_end(struct teaming *t, unsigned int handle)
{
	pthread_mutex_lock(&t->lock);
	tw_ping_end(&t->core, handle);
	pthread_mutex_unlock(&t->lock);
}

/* ---- workers ---- */

const struct team_view *teaming_view(const struct teaming *t)
{
	return rcu_dereference(t->view);
}

uint16_t teaming_punt_rx(struct teaming *t, unsigned int member, struct rte_mbuf **pkts, uint16_t n)
{
	struct tw_io *io = member < TEAM_MEMBERS ? rcu_dereference(t->io[member]) : NULL;

	return io ? tw_io_punt_rx(io, pkts, n) : 0;
}

uint16_t teaming_punt_tx(struct teaming *t, unsigned int member, struct rte_mbuf **pkts, uint16_t n)
{
	struct tw_io *io = member < TEAM_MEMBERS ? rcu_dereference(t->io[member]) : NULL;

	return io ? tw_io_punt_tx(io, pkts, n) : 0;
}
