/* SPDX-License-Identifier: BSD-3-Clause */
/* The end: startup.c in the reverse order, from wherever it got to. */
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>
#include <rte_eal.h>
#include <rte_mempool.h>

#include "base/log.h"
#include "base/rcu.h"
#include "base/str.h"
#include "daemon/control.h"
#include "daemon/distribution.h"
#include "daemon/manager_private.h"
#include "daemon/metrics.h"
#include "daemon/notify.h"

static void stop_sources(struct manager *m)
{
	m->term_source = sd_event_source_disable_unref(m->term_source);
	m->int_source = sd_event_source_disable_unref(m->int_source);
	m->hup_source = sd_event_source_disable_unref(m->hup_source);
	m->ra_source = sd_event_source_disable_unref(m->ra_source);
	m->reclaim_source = sd_event_source_disable_unref(m->reclaim_source);
	balance_stop(m);
	learn_stop(m);
	m->watchdog_source = sd_event_source_disable_unref(m->watchdog_source);
	m->later_source = sd_event_source_disable_unref(m->later_source);
}

static void stop_threads(struct manager *m)
{
	struct errbuf err;

	if (m->portctl) {
		if (m->datapath)
			ports_stop(m);
		team_stop(m);
		if (m->vhost_up)
			manager_vhost(m, false, &err);
	}
	datapath_free(m->datapath);
	m->datapath = NULL;
	teaming_free(m->teaming);
	m->teaming = NULL;
	m->portctl = jobq_free(m->portctl);
	offload_free(m->offload);
	m->offload = NULL;
	m->background = jobq_free(m->background);
	m->mailbox = mailbox_free(m->mailbox);
}

/* Nobody is left who could hold one. */
static void free_pool(struct rte_mempool *pool)
{
	unsigned int n = pool ? rte_mempool_in_use_count(pool) : 0;

	if (n)
		log_warning("%u packet buffers were lost", n);
	rte_mempool_free(pool);
}

struct manager *manager_free(struct manager *m)
{
	if (!m)
		return NULL;
	m->stopping = true;
	if (m->control) { /* otherwise the start has failed, which is told by who tried */
		notify_stopping();
		manager_emit(m, EVENT_STOPPING, NULL);
	}
	m->metrics = metrics_free(m->metrics); /* reads what is about to go */
	reload_stop(m);
	if (m->control)
		control_end_lasting(m->control); /* captures, traces: they look at what is about to go */
	m->distribution = distribution_free(m->distribution);
	stop_threads(m);
	/* The last changes are written, and their owners told, while the control socket is still there. */
	m->store = storectl_free(m->store);
	m->control = control_free(m->control);
	stop_sources(m);
	event_bus_done(&m->bus);
	vsid_totals_free(&m->vsid_totals);
	policy_free(m->policy);
	free_pool(m->pool);
	object_list_done(&m->members);
	object_list_done(&m->pas);
	object_list_done(&m->provider_routes);
	config_index_free(m->index);
	if (m->eal_up) {
		char dir[PATH_MAX] = "";

		str_copy(dir, sizeof(dir), rte_eal_get_runtime_dir());
		rcu_fini();
		rte_eal_cleanup();
		(void)rmdir(dir); /* EAL leaves it, empty */
	}
	sd_event_unref(m->loop);
	if (m->lock_fd >= 0)
		close(m->lock_fd);
	free(m);
	return NULL;
}
