/* SPDX-License-Identifier: BSD-3-Clause */
/* Life of the packet path and what the control side changes in it. Main thread. */
#include <stdlib.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include "datapath/dp.h"

static int knobs_replace(struct datapath *dp, const struct knobs *as)
{
	struct knobs *k = malloc(sizeof(*k));
	const struct knobs *old = dp->knobs;

	if (!k)
		return -ENOMEM;
	*k = *as;
	rcu_assign(dp->knobs, k);
	if (old && dp->running)
		rcu_synchronize();
	free((void *)(uintptr_t)old);
	return 0;
}

static int knobs_publish(struct datapath *dp, const struct datapath_params *params)
{
	const struct knobs k = {
		.gen = dp->knobs ? dp->knobs->gen + 1 : 1,
		.max_sleep_us = params->max_sleep_us,
		.flood_pps = params->flood_pps,
		.neigh_pps = params->neigh_pps,
		.learn_pps = params->learn_pps,
		.learn_burst = params->learn_burst,
		.flow_id = params->flow_id,
		.plain_uplink = params->plain_uplink,
		.mss_clamp = params->mss_clamp,
		.redirect = params->redirect,
		.rss = params->rss,
		.records = dp->records,
	};

	return knobs_replace(dp, &k);
}

int knobs_publish_records(struct datapath *dp)
{
	struct knobs k = *dp->knobs;

	k.records = dp->records;
	return knobs_replace(dp, &k);
}

static struct worker *worker_new(struct datapath *dp, unsigned int id)
{
	struct worker *w;

	if (posix_memalign((void **)&w, 64, sizeof(*w)))
		return NULL;
	memset(w, 0, sizeof(*w));
	w->dp = dp;
	w->id = id;
	w->last_host = HOST_NONE;
	redirect_init(w);
	w->out = calloc(POLICY_MAX_PORTS, sizeof(w->out[0]));
	if (!w->out || inject_init(w) < 0 || sights_init(w) < 0) {
		inject_free(w);
		free(w->out);
		free(w);
		return NULL;
	}
	return w;
}

int datapath_create(const struct datapath_params *params, struct datapath **ret, struct errbuf *err)
{
	struct datapath *dp;
	int r = -ENOMEM;

	if (!params->n_workers || params->n_workers > DATAPATH_MAX_WORKERS)
		return err_set(err, EINVAL, "%u workers: 1..%u are allowed", params->n_workers, DATAPATH_MAX_WORKERS);
	dp = calloc(1, sizeof(*dp));
	if (!dp)
		return err_set(err, ENOMEM, "out of memory");
	dp->params = *params;
	dp->n_workers = params->n_workers;
	dp->fits_all = UINT32_MAX;
	dp->tsc_hz = rte_get_tsc_hz();
	for (unsigned int i = 0; i < TEAM_MEMBERS; i++)
		rte_spinlock_init(&dp->tx_lock[i]);
	for (unsigned int i = 0; i < dp->n_workers; i++) {
		dp->workers[i] = worker_new(dp, i);
		if (!dp->workers[i])
			goto fail;
	}
	r = handover_init(dp);
	if (r >= 0)
		r = knobs_publish(dp, params);
	if (r >= 0)
		r = plan_publish(dp);
	if (r < 0)
		goto fail;
	*ret = dp;
	return 0;
fail:
	datapath_free(dp);
	return err_set(err, -r, "out of memory for %u workers", params->n_workers);
}

int datapath_start(struct datapath *dp, struct errbuf *err)
{
	unsigned int i = 0, lcore;

	RTE_LCORE_FOREACH_WORKER(lcore) {
		int r;

		if (i == dp->n_workers)
			break;
		r = rte_eal_remote_launch(worker_main, dp->workers[i], lcore);
		if (r < 0) {
			dp->running = i > 0; /* datapath_free() stops those that run */
			return err_set(err, -r, "worker %u cannot be launched on lcore %u", i, lcore);
		}
		i++;
	}
	dp->running = i > 0;
	if (i < dp->n_workers)
		return err_set(err, EINVAL, "%u workers wanted, %u lcores given", dp->n_workers, i);
	return 0;
}

static void port_free(struct dp_port *p)
{
	if (!p)
		return;
	free(p->counters);
	free(p->rxqs);
	free(p);
}

static void free_gone(struct datapath *dp)
{
	struct dp_port *p;

	while ((p = dp->gone)) {
		dp->gone = p->next;
		port_free(p);
	}
}

void datapath_free(struct datapath *dp)
{
	if (!dp)
		return;
	for (unsigned int i = 0; i < dp->n_workers && dp->workers[i]; i++)
		__atomic_store_n(&dp->workers[i]->stop, true, __ATOMIC_RELEASE);
	if (dp->running)
		rte_eal_mp_wait_lcore();
	rcu_reclaim(1); /* watches that have ended */
	for (unsigned int i = 0; i < dp->n_workers && dp->workers[i]; i++) {
		free((void *)(uintptr_t)dp->workers[i]->plan);
		free(dp->workers[i]->out);
		inject_free(dp->workers[i]);
		sights_free(dp->workers[i]);
		free(dp->workers[i]);
	}
	handover_free(dp);
	for (unsigned int i = 0; i < POLICY_MAX_PORTS; i++)
		port_free(dp->ports[i]);
	free_gone(dp);
	for (unsigned int i = 0; i < POLICY_MAX_HOSTS; i++)
		free((void *)(uintptr_t)dp->tunnels[i]);
	free((void *)(uintptr_t)dp->knobs);
	record_counts_free(dp);
	free((void *)(uintptr_t)dp->hooks);
	free((void *)(uintptr_t)dp->watches); /* whoever looks has stopped */
	free(dp);
}

void datapath_set_knobs(struct datapath *dp, const struct datapath_params *params)
{
	dp->params.provider_mtu = params->provider_mtu;
	knobs_publish(dp, params); /* out of memory: the old knobs stay */
}

static void count_queues(const struct dp_port *p, unsigned int load[DATAPATH_MAX_WORKERS])
{
	for (unsigned int q = 0; p && q < p->n_queues; q++)
		load[p->rxqs[q].worker]++;
}

/* Worker for a queue of a new port: the least loaded, among those on the guest's node where there are any. */
static unsigned int choose_worker(struct datapath *dp, const struct dp_port *new, int socket)
{
	unsigned int load[DATAPATH_MAX_WORKERS] = { 0 }, best = 0;
	bool found = false;

	for (unsigned int i = 0; i < POLICY_MAX_PORTS; i++)
		count_queues(dp->ports[i], load);
	count_queues(new, load);
	for (int pass = 0; pass < 2 && !found; pass++) {
		unsigned int lcore, i = 0;

		RTE_LCORE_FOREACH_WORKER(lcore) {
			bool near = socket == SOCKET_ID_ANY || (int)rte_lcore_to_socket_id(lcore) == socket;

			if (i < dp->n_workers && (near || pass) && (!found || load[i] < load[best])) {
				best = i;
				found = true;
			}
			i++;
		}
	}
	return best;
}

/* A worker's lines are its own. */
static struct port_counters *counters_new(unsigned int n, unsigned int n_queues)
{
	size_t row = RTE_ALIGN_CEIL(n_queues * sizeof(struct traffic), (size_t)RTE_CACHE_LINE_SIZE);
	size_t size = n * (sizeof(struct port_counters) + row);
	struct port_counters *c;

	if (posix_memalign((void **)&c, 64, size))
		return NULL;
	memset(c, 0, size);
	for (unsigned int i = 0; i < n; i++)
		c[i].tx = (struct traffic *)((uint8_t *)(c + n) + i * row);
	return c;
}

static struct dp_port *port_new(struct datapath *dp, uint16_t index, struct port_queue *const *queues, unsigned int n)
{
	struct dp_port *p = calloc(1, sizeof(*p) + n * sizeof(p->queues[0]));

	if (!p)
		return NULL;
	p->index = index;
	p->rxqs = calloc(n, sizeof(p->rxqs[0]));
	p->counters = counters_new(dp->n_workers + 1, n);
	if (!p->rxqs || !p->counters) {
		port_free(p);
		return NULL;
	}
	for (unsigned int q = 0; q < n; q++) {
		p->queues[q] = queues[q];
		p->rxqs[q].q = queues[q];
		p->rxqs[q].port = p;
		p->rxqs[q].burst = BURST;
		p->rxqs[q].worker = choose_worker(dp, p, queues[q]->socket);
		p->n_queues = (uint16_t)(q + 1);
	}
	return p;
}

static int replan(struct datapath *dp)
{
	int r = plan_publish(dp);

	if (r >= 0)
		free_gone(dp);
	return r;
}

int datapath_port_attach(struct datapath *dp, uint16_t port, struct port_queue *const *queues, unsigned int n)
{
	struct dp_port *p;
	int r;

	if (port >= POLICY_MAX_PORTS || !n || n > DATAPATH_PORT_QUEUES || dp->ports[port])
		return -EINVAL;
	for (unsigned int q = 0; q < n; q++)
		if (queues[q]->index != q)
			return -EINVAL;
	p = port_new(dp, port, queues, n);
	if (!p)
		return -ENOMEM;
	rcu_assign(dp->ports[port], p); /* complete: from now on a destination, with the plan polled, too */
	r = replan(dp);
	if (r < 0) {
		rcu_assign(dp->ports[port], NULL);
		if (dp->running)
			rcu_synchronize();
		port_free(p);
	}
	return r;
}

static uint16_t nothing(struct port_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	return 0;
}

/* A queue of nobody, for plans that outlive their ports. */
static struct port_queue *no_queue(void)
{
	static const struct port_ops ops = { .name = "none", .rx = nothing, .tx = nothing };
	static struct port_queue q = { .ops = &ops };

	return &q;
}

void datapath_port_detach(struct datapath *dp, uint16_t port, struct datapath_port_stats *ret_last)
{
	struct dp_port *p = port < POLICY_MAX_PORTS ? dp->ports[port] : NULL;
	bool planned;

	if (ret_last)
		memset(ret_last, 0, sizeof(*ret_last));
	if (!p)
		return;
	rcu_assign(dp->ports[port], NULL);
	planned = replan(dp) >= 0;
	if (!planned) {
		/*
		 * No memory for new plans. The old ones still name the queues, which are gone after this call: they get
		 * one that never has anything. A worker in the middle of a turn may meet both: the first is there until
		 * the grace period is over.
		 */
		for (unsigned int q = 0; q < p->n_queues; q++)
			rcu_assign(p->rxqs[q].q, no_queue());
		if (dp->running)
			rcu_synchronize();
	}
	if (ret_last)
		port_stats(dp, p, ret_last);
	if (planned) {
		port_free(p);
		return;
	}
	p->next = dp->gone;
	dp->gone = p;
}

int datapath_members_update(struct datapath *dp)
{
	return replan(dp);
}

/* Before the tunnel is seen: a packet that is too long for it must not pass. */
static void fits_at_most(struct datapath *dp, const struct tunnel *t)
{
	if (t && t->max_inner && t->max_inner < dp->fits_all)
		__atomic_store_n(&dp->fits_all, t->max_inner, __ATOMIC_RELEASE);
}

static void fits_again(struct datapath *dp)
{
	uint32_t fits = UINT32_MAX;

	for (unsigned int i = 0; i < POLICY_MAX_HOSTS; i++)
		if (dp->tunnels[i] && dp->tunnels[i]->max_inner)
			fits = RTE_MIN(fits, dp->tunnels[i]->max_inner);
	__atomic_store_n(&dp->fits_all, fits, __ATOMIC_RELAXED);
}

static void tunnel_replace(struct datapath *dp, unsigned int index, const struct tunnel *t)
{
	const struct tunnel *old = dp->tunnels[index];

	rcu_assign(dp->tunnels[index], t);
	if (!old)
		return;
	if (rcu_defer(free, (void *)(uintptr_t)old) < 0) {
		rcu_synchronize();
		free((void *)(uintptr_t)old);
	}
}

int datapath_host_update(struct datapath *dp, uint16_t host)
{
	unsigned int from = host == HOST_NONE ? 0 : host, to = host == HOST_NONE ? POLICY_MAX_HOSTS : host + 1u;
	bool again = false;
	int r = 0;

	if (to > POLICY_MAX_HOSTS)
		return -EINVAL;
	for (unsigned int i = from; i < to; i++) {
		const struct policy_host *h = policy_host(dp->params.policy, (uint16_t)i);
		const struct tunnel *t = NULL, *old = dp->tunnels[i];

		if (!h && !dp->tunnels[i])
			continue;
		if (h && !h->self) {
			t = tunnel_build(dp, h);
			if (!t) {
				r = -ENOMEM;
				continue;
			}
		}
		again |= old && old->max_inner == dp->fits_all;
		fits_at_most(dp, t);
		tunnel_replace(dp, i, t);
	}
	if (again)
		fits_again(dp);
	return r;
}
