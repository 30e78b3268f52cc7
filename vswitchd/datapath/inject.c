/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames of the control side, by a ring to a worker: for ports to the one that serves the port's first queue. */
#include <stdio.h>
#include <rte_errno.h>
#include <rte_ring.h>

#include "datapath/dp.h"

#define RING_SIZE 256 /* a port's answers, for some ports at once; more is dropped */

int inject_init(struct worker *w)
{
	w->inject = ring_make("inject", sizeof(void *), RING_SIZE);
	return w->inject ? 0 : -ENOMEM;
}

void inject_free(struct worker *w)
{
	void *m;

	while (w->inject && rte_ring_dequeue(w->inject, &m) == 0)
		rte_pktmbuf_free(m);
	free(w->inject);
}

void inject_burst(struct worker *w)
{
	struct rte_mbuf *pkts[BURST];
	unsigned int n = rte_ring_dequeue_burst(w->inject, (void **)pkts, BURST, NULL);

	for (unsigned int i = 0; i < n; i++) {
		struct pkt_meta *meta = pkt_meta(pkts[i]);

		if (meta->verdict == VERDICT_FLOOD)
			flood_packet(w, pkts[i], false);
		else if (meta->verdict == VERDICT_REMOTE)
			egress_remote(w, &pkts[i], 1);
		else if (meta->dst == PORT_NONE)
			inject_egress(w, meta->src, pkts[i]);
		else
			local_enqueue(w, meta->dst, pkts[i]);
	}
}

void inject_egress(struct worker *w, uint16_t port, struct rte_mbuf *m)
{
	/* A queue of its own for one packet: the port's belong to their workers. */
	struct rxq rxq = { .port = port < POLICY_MAX_PORTS ? rcu_dereference(w->dp->ports[port]) : NULL,
			   .inject = true };

	if (rxq.port)
		egress_burst(w, &rxq, &m, 1);
	else
		worker_drop(w, port, m, DROP_PORT_DOWN);
}

static int to_worker(struct datapath *dp, uint16_t port, struct rte_mbuf *m)
{
	const struct dp_port *p = port < POLICY_MAX_PORTS ? dp->ports[port] : NULL;

	if (!p)
		return -ENOENT;
	return rte_ring_enqueue(dp->workers[p->rxqs[0].worker]->inject, m) < 0 ? -ENOBUFS : 0;
}

int datapath_inject(struct datapath *dp, struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta(m);

	if (meta->verdict == VERDICT_FLOOD || meta->verdict == VERDICT_REMOTE)
		return rte_ring_enqueue(dp->workers[0]->inject, m) < 0 ? -ENOBUFS : 0;
	return to_worker(dp, meta->dst, m);
}

int datapath_inject_egress(struct datapath *dp, uint16_t port, struct rte_mbuf *m)
{
	*pkt_meta(m) = (struct pkt_meta){ .src = port, .dst = PORT_NONE };
	return to_worker(dp, port, m);
}
