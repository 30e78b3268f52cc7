/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What would happen to a packet: the stages themselves, on a worker that nobody else knows. What it gathers ends in
 * watch_burst() instead of rings and devices; its counters go with it. Main thread, which alone changes what the
 * stages read, so it needs no read section.
 */
#include <stdlib.h>

#include "datapath/watch_private.h"

/* As it will choose: what is known about buckets is a worker's own. Their bytes may be a moment apart. */
static void like(struct worker *w, const struct worker *real)
{
	for (unsigned int b = 0; b < TEAM_BUCKETS; b++)
		w->bucket[b] = __atomic_load_n(&real->bucket[b], __ATOMIC_RELAXED);
	if (real->view_gen != w->view->gen) /* it has not seen any packet yet, or sleeps */
		memcpy(w->bucket, w->view->bucket, sizeof(w->bucket));
}

static struct worker *dry_worker(struct datapath *dp, const struct watch_table *table, const struct dp_port *port)
{
	unsigned int serves = port ? port->rxqs[0].worker : 0;
	struct worker *w;

	if (posix_memalign((void **)&w, 64, sizeof(*w)))
		return NULL;
	memset(w, 0, sizeof(*w));
	w->out = calloc(POLICY_MAX_PORTS, sizeof(w->out[0]));
	if (!w->out) {
		free(w);
		return NULL;
	}
	w->dp = dp;
	w->id = dp->n_workers; /* the place of dry runs where workers have one each */
	w->last_host = HOST_NONE;
	redirect_init(w);
	w->watch = table;
	w->view = teaming_view(dp->params.teaming);
	w->view_gen = w->view->gen;
	w->knobs = dp->knobs;
	w->now = rte_rdtsc();
	like(w, dp->workers[serves]);
	return w;
}

int datapath_dry_run(struct datapath *dp, uint16_t port, struct rte_mbuf *frame, const struct watch_spec *spec)
{
	struct dp_port stand_in = { .index = port, .n_queues = 1 };
	struct rxq rxq = { .port = &stand_in };
	struct watch_table table = { .n = 1, .dry = true };
	struct worker *w = NULL;
	int r = -EINVAL;

	if (port >= POLICY_MAX_PORTS)
		goto out;
	r = -ENOMEM;
	table.list[0] = watch_new(dp, spec, 1);
	w = table.list[0] ? dry_worker(dp, &table, dp->ports[port]) : NULL;
	if (!w)
		goto out;
	table.list[0]->ends[w->id].writer = table.list[0]->ends[0].writer;
	egress_burst(w, &rxq, &frame, 1);
	frame = NULL;
	egress_flush(w);
	local_flush(w);
	worker_free_flush(w);
	r = 0;
out:
	rte_pktmbuf_free(frame);
	if (w)
		free(w->out);
	free(w);
	free(table.list[0]);
	return r;
}
