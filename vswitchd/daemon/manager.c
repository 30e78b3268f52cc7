/* SPDX-License-Identifier: BSD-3-Clause */
/* What the manager shows, events, and work that is done once per turn of the loop. */
#include <stdarg.h>
#include <string.h>
#include "version.h"

#include "base/log.h"
#include "base/str.h"
#include "daemon/distribution.h"
#include "daemon/manager_private.h"
#include "daemon/notify.h"

sd_event *manager_loop(struct manager *m)
{
	return m->loop;
}

const struct settings *manager_settings(const struct manager *m)
{
	return &m->settings;
}

const struct policy *manager_policy(const struct manager *m)
{
	return m->policy;
}

struct teaming *manager_teaming(const struct manager *m)
{
	return m->teaming;
}

struct rte_mempool *manager_pool(const struct manager *m)
{
	return m->pool;
}

struct datapath *manager_datapath(const struct manager *m)
{
	return m->datapath;
}

void manager_info(const struct manager *m, struct manager_info *ret)
{
	*ret = (struct manager_info){
		.version = VSWITCHD_VERSION,
		.config_file = m->config_file,
		.host_id = m->settings.host_id,
		.run_dir = m->settings.run_dir,
		.state_dir = m->settings.state_dir,
		.started_us = m->started_us,
		.reloads = m->reloads,
		.reload_failures = m->reload_failures,
		.last_reload_us = m->last_reload_us,
		.events = m->bus.number,
		.store_pending = storectl_pending(m->store),
		.jobs_pending = jobq_pending(m->portctl),
		.store_failed = storectl_failed(m->store),
		.ready = m->ready,
		.hugepages = m->hugepages,
		.megabytes = m->megabytes,
		.provider_mtu = m->provider_mtu,
		.workers = m->n_workers,
	};
	str_copy(ret->last_reload, sizeof(ret->last_reload), m->last_reload);
}

void manager_distribution_info(const struct manager *m, struct distribution_info *ret)
{
	distribution_info(m->distribution, ret);
}

/* ---- events ---- */

struct subscription *manager_subscribe(struct manager *m, manager_event_fn fn, void *arg)
{
	return event_subscribe(&m->bus, fn, arg);
}

void manager_unsubscribe(struct manager *m, struct subscription *s)
{
	event_unsubscribe(&m->bus, s);
}

void manager_emit(struct manager *m, enum event_id id, ...)
{
	va_list ap;

	va_start(ap, id);
	event_emit(&m->bus, id, ap);
	va_end(ap);
}

/* ---- later ---- */

/* Slots may be free. */
static unsigned int count_members(const struct manager *m)
{
	struct teaming_member_status st[TEAM_MEMBERS];
	unsigned int i, count = 0, n = teaming_members(m->teaming, st, TEAM_MEMBERS);

	for (i = 0; i < n; i++)
		count += st[i].spec.name[0] != 0;
	return count;
}

static void status(struct manager *m)
{
	unsigned int usable = teaming_view(m->teaming)->n_usable, failed = 0, i;
	struct teaming_status team;

	teaming_status(m->teaming, &team);
	for (i = 0; i < POLICY_MAX_PORTS; i++)
		failed += m->ports[i] && m->ports[i]->error[0];
	notify_status("%u ports%s, %u members of which %u usable, %u records%s%s", policy_count(m->policy, OBJECT_PORT),
		      failed ? " (some failed)" : "", count_members(m), usable, policy_count(m->policy, OBJECT_RECORD),
		      *team.problem ? "; " : "", team.problem);
}

static void check_ready(struct manager *m)
{
	reload_step(m);
	status(m);
	if (m->ready || jobq_pending(m->portctl))
		return;
	m->ready = true;
	manager_emit(m, EVENT_READY, NULL);
	log_notice("vswitchd %s is up: host %s, workers: %u, ports: %u, members: %u", VSWITCHD_VERSION,
		   m->settings.host_id, m->n_workers, policy_count(m->policy, OBJECT_PORT), count_members(m));
	notify_ready();
}

static int on_later(sd_event_source *s, void *userdata)
{
	struct manager *m = userdata;
	unsigned int what = m->later;

	m->later = 0;
	if (what & LATER_SELF)
		balance_update_self(m, true);
	if (what & LATER_REMOTES)
		team_update_remotes(m);
	if (what & LATER_MTU)
		team_update_mtu(m);
	/* Both steps above may have asked for tunnels. */
	what |= m->later & LATER_TUNNELS;
	m->later &= ~(unsigned int)LATER_TUNNELS;
	if ((what & LATER_TUNNELS) && datapath_host_update(m->datapath, HOST_NONE) < 0)
		log_error("no memory for the tunnels to other hosts: those that stay as they were may lead nowhere");
	if ((what & LATER_MEMBERS) && datapath_members_update(m->datapath) < 0)
		log_error("no memory to give the members' queues to workers");
	if (what & LATER_GROUPS)
		team_update_groups(m);
	if (what & LATER_STEER)
		offloads_steer(m);
	if (what & LATER_PLAIN)
		ports_update_plain(m);
	if (what & LATER_READY)
		check_ready(m);
	return 0;
}

void manager_later(struct manager *m, unsigned int what)
{
	m->later |= what;
	if (m->later_source)
		sd_event_source_set_enabled(m->later_source, SD_EVENT_ONESHOT);
}

int manager_later_init(struct manager *m)
{
	int r = sd_event_add_defer(m->loop, &m->later_source, on_later, m);

	if (r < 0)
		return r;
	sd_event_source_set_description(m->later_source, "later");
	/*
	 * Of one priority with all others: the loop serves first what has been ready longest. So this comes after
	 * everything that is ready now, and a bulk of changes is followed up once, but a client that never rests cannot
	 * put it off.
	 */
	return 0;
}
