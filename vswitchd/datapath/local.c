/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Delivery into guests. Packets of a turn are gathered per port and copied into the rings in one go: a burst of 4
 * costs a hundred cycles per packet more than a burst of 32.
 */
#include "base/flowhash.h"
#include "datapath/dp.h"

static void flush_port(struct worker *w, uint16_t index);

void local_enqueue(struct worker *w, uint16_t port, struct rte_mbuf *m)
{
	struct out *o;

	if (unlikely(port >= POLICY_MAX_PORTS)) {
		worker_drop(w, PORT_WIRE, m, DROP_PORT_DOWN);
		return;
	}
	o = &w->out[port];
	if (unlikely(o->n == OUT_MAX))
		flush_port(w, port);
	if (!o->listed) {
		o->listed = true;
		w->active[w->n_active++] = port;
	}
	o->pkts[o->n++] = m;
}

/*
 * The queues of a port that this worker uses: with at least as many enabled queues as workers its own share
 * (no lock contention), else all of them.
 */
static unsigned int usable_queues(const struct worker *w, const struct dp_port *p, struct port_queue **ret)
{
	unsigned int n = 0, own = 0;

	for (unsigned int i = 0; i < p->n_queues; i++)
		if (__atomic_load_n(&p->queues[i]->tx_ready, __ATOMIC_ACQUIRE))
			ret[n++] = p->queues[i];
	if (n <= 1 || n < w->dp->n_workers)
		return n;
	for (unsigned int i = w->id % w->dp->n_workers; i < n; i += w->dp->n_workers)
		ret[own++] = ret[i];
	return own;
}

/* Flow hash of a frame from the wire, computed only where a choice of queues needs it. */
static uint32_t queue_hash(const struct worker *w, struct rte_mbuf *m)
{
	struct pkt_meta *meta = pkt_meta(m);

	if (meta->src == PORT_WIRE && !meta->hash)
		meta->hash = flowhash(rte_pktmbuf_mtod(m, const uint8_t *), &meta->pkt, w->dp->params.salt);
	return FLOW_QUEUE(meta->hash);
}

static void given(struct worker *w, struct dp_port *p, struct rte_mbuf **pkts, uint16_t n)
{
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < n; i++) {
		bytes += pkts[i]->pkt_len;
		worker_free(w, pkts[i]);
	}
	traffic_add(&p->counters[w->id].tx, n, bytes);
	stat_add(&w->stage[STAGE_GUEST_TX], n);
}

/*
 * Copy pkts to one queue. A full ring ends it; a frame that is longer than the guest's buffers must hold may have been
 * refused for that alone, and does not keep those behind it out.
 */
static void give(struct worker *w, struct dp_port *p, struct port_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t done = 0;

	while (done < n) {
		uint16_t sent = q->ops->tx(q, pkts + done, n - done);

		given(w, p, pkts + done, sent);
		done += sent;
		if (likely(done == n) || pkts[done]->pkt_len <= q->fits)
			break;
		worker_drop(w, p->index, pkts[done++], DROP_PORT_MTU);
	}
	for (; done < n; done++)
		worker_drop(w, p->index, pkts[done], DROP_PORT_FULL);
}

/* Isolation inside the host (HNV row 13): last check, independent of how the packet came here. */
static uint16_t isolate(struct worker *w, uint16_t index, struct rte_mbuf **pkts, uint16_t n)
{
	const struct policy_port *pp = policy_port(w->dp->params.policy, index);
	uint16_t k = 0;

	for (uint16_t i = 0; i < n; i++) {
		if (likely(pp && pkt_meta(pkts[i])->vsid_out == pp->vsid))
			pkts[k++] = pkts[i];
		else
			worker_drop(w, index, pkts[i], pp ? DROP_PORT_ISOLATION : DROP_PORT_DOWN);
	}
	return k;
}

static void spread(struct worker *w, struct dp_port *p, struct port_queue **queues, unsigned int n_queues,
		   struct rte_mbuf **pkts, uint16_t n)
{
	struct rte_mbuf *part[OUT_MAX];

	for (unsigned int q = 0; q < n_queues; q++) {
		uint16_t k = 0;

		for (uint16_t i = 0; i < n; i++)
			if (queue_hash(w, pkts[i]) % n_queues == q)
				part[k++] = pkts[i];
		if (k)
			give(w, p, queues[q], part, k);
	}
}

static void flush_port(struct worker *w, uint16_t index)
{
	struct out *o = &w->out[index];
	struct dp_port *p = rcu_dereference(w->dp->ports[index]);
	struct port_queue *queues[PORT_QUEUES_MAX];
	unsigned int n_queues = p ? usable_queues(w, p, queues) : 0;
	uint16_t n = o->n;

	o->n = 0;
	if (unlikely(!n_queues)) {
		for (uint16_t i = 0; i < n; i++)
			worker_drop(w, index, o->pkts[i], DROP_PORT_DOWN);
		return;
	}
	n = isolate(w, index, o->pkts, n);
	n = hooks(w, HOOK_GUEST_TX, o->pkts, n);
	n = watch(w, WATCH_GUEST_TX, index, o->pkts, n);
	if (n_queues == 1)
		give(w, p, queues[0], o->pkts, n);
	else
		spread(w, p, queues, n_queues, o->pkts, n);
}

void local_flush(struct worker *w)
{
	for (uint16_t i = 0; i < w->n_active; i++) {
		uint16_t port = w->active[i];

		if (w->out[port].n)
			flush_port(w, port);
		w->out[port].listed = false;
	}
	w->n_active = 0;
}
