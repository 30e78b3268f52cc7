/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames of the control side for ports, by a ring to the worker that serves the port's first queue. */
#include <stdio.h>
#include <rte_errno.h>
#include <rte_ring.h>

#include "datapath/dp.h"

#define RING_SIZE 256 /* a port's answers, for some ports at once; more is dropped */

int inject_init(struct worker *w)
{
	ssize_t size = rte_ring_get_memsize(RING_SIZE);
	struct rte_ring *ring;

	/* No memzone: several instances and tests in one process. */
	if (size < 0 || posix_memalign((void **)&ring, RTE_CACHE_LINE_SIZE, (size_t)size))
		return -ENOMEM;
	rte_ring_init(ring, "inject", RING_SIZE, RING_F_SP_ENQ | RING_F_SC_DEQ);
	w->inject = ring;
	return 0;
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

	for (unsigned int i = 0; i < n; i++)
		local_enqueue(w, pkt_meta(pkts[i])->dst, pkts[i]);
}

int datapath_inject(struct datapath *dp, struct rte_mbuf *m)
{
	uint16_t port = pkt_meta(m)->dst;
	const struct dp_port *p = port < POLICY_MAX_PORTS ? dp->ports[port] : NULL;

	if (!p)
		return -ENOENT;
	return rte_ring_enqueue(dp->workers[p->rxqs[0].worker]->inject, m) < 0 ? -ENOBUFS : 0;
}
