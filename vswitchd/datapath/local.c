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

static void given(struct worker *w, struct dp_port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < n; i++) {
		bytes += pkts[i]->pkt_len;
		worker_free(w, pkts[i]);
	}
	traffic_add(&p->counters[w->id].tx[queue], n, bytes);
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

		given(w, p, q->index, pkts + done, sent);
		done += sent;
		if (likely(done == n) || pkts[done]->pkt_len <= q->fits)
			break;
		worker_drop(w, p->index, pkts[done++], DROP_PORT_MTU);
	}
	for (; done < n; done++)
		worker_drop(w, p->index, pkts[done], DROP_PORT_FULL);
}

/* Isolation inside the host (HNV row 13): last check, independent of how the packet came here. */
static uint16_t isolate(struct worker *w, uint16_t index, struct rte_mbuf **pkts, uint16_t n, bool *ret_unfinished)
{
	const struct policy_port *pp = policy_port(w->dp->params.policy, index);
	unsigned int unfinished = 0;
	uint16_t k = 0;

	for (uint16_t i = 0; i < n; i++) {
		const struct pkt_meta *meta = pkt_meta(pkts[i]);

		unfinished |= offload_wanted(meta);
		if (likely(pp && meta->vsid_out == pp->vsid))
			pkts[k++] = pkts[i];
		else
			worker_drop(w, index, pkts[i], pp ? DROP_PORT_ISOLATION : DROP_PORT_DOWN);
	}
	*ret_unfinished = unfinished;
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

/* Where packets of a port go. */
struct exits {
	struct dp_port *port;
	struct port_queue *queues[DATAPATH_PORT_QUEUES];
	unsigned int n;
};

static void leave(struct worker *w, struct exits *x, struct rte_mbuf **pkts, uint16_t n)
{
	if (x->n == 1)
		give(w, x->port, x->queues[0], pkts, n);
	else
		spread(w, x->port, x->queues, x->n, pkts, n);
}

/* A segment as the guest takes it. @return false: it cannot be given, and is gone. */
static bool prepare_segment(struct worker *w, uint16_t port, struct rte_mbuf **pkt, uint32_t takes)
{
	enum drop_reason why = DROP_NONE;
	enum offload_give r = offload_guest_give(pkt, takes, w->dp->params.pool, &why);

	stat_add(&w->offload.n[OFFLOAD_CSUM_SW], r == OFFLOAD_GIVE_FINISHED);
	if (likely(r == OFFLOAD_GIVE_WHOLE || r == OFFLOAD_GIVE_FINISHED))
		return true;
	worker_drop(w, port, *pkt, why ? why : DROP_GUEST_META);
	return false;
}

/* For a guest that takes no packets of more than one segment. */
static void give_segments(struct worker *w, struct exits *x, struct rte_mbuf *m, uint32_t takes)
{
	struct rte_mempool *pool = w->dp->params.pool;
	struct rte_mbuf *pkts[BURST];
	enum drop_reason why;
	struct offload_gso g;
	int n = 0;

	why = offload_gso_begin(&g, m, 0, takes & PORT_RX_CSUM);
	while (!why && (n = offload_gso_next(&g, pool, pkts, BURST)) > 0) {
		uint16_t k = 0;

		stat_add(&w->offload.n[OFFLOAD_TSO_FRAMES], (uint64_t)n);
		for (int i = 0; i < n; i++) {
			struct rte_mbuf *seg = pkts[i];

			if (prepare_segment(w, x->port->index, &seg, takes))
				pkts[k++] = seg;
		}
		leave(w, x, pkts, k);
	}
	if (unlikely(n < 0))
		why = DROP_NO_MBUF;
	if (unlikely(why)) {
		worker_drop(w, x->port->index, m, why);
		return;
	}
	stat_add(&w->offload.n[OFFLOAD_TSO_SW], 1);
	worker_free(w, m);
}

/* Packets with unfinished checksums or of several segments: as they are for guests that take them. */
static __rte_noinline void give_unfinished(struct worker *w, struct exits *x, struct rte_mbuf **pkts, uint16_t n)
{
	uint32_t takes = __atomic_load_n(&x->queues[0]->offloads, __ATOMIC_RELAXED);
	uint16_t from = 0, k = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		enum drop_reason why;

		if (!offload_wanted(pkt_meta(m))) {
			pkts[k++] = m;
			continue;
		}
		switch (offload_guest_give(&m, takes, w->dp->params.pool, &why)) {
		case OFFLOAD_GIVE_FINISHED:
			stat_add(&w->offload.n[OFFLOAD_CSUM_SW], 1);
			__attribute__((fallthrough));
		case OFFLOAD_GIVE_WHOLE:
			pkts[k++] = m;
			break;
		case OFFLOAD_GIVE_SEGMENTS:
			leave(w, x, pkts + from, (uint16_t)(k - from)); /* nothing is overtaken */
			from = k = (uint16_t)(i + 1);
			give_segments(w, x, m, takes);
			break;
		case OFFLOAD_GIVE_NOT:
			worker_drop(w, x->port->index, m, why);
			break;
		}
	}
	leave(w, x, pkts + from, (uint16_t)(k - from));
}

/* Segments from the wire become large packets for guests that take such. */
static __rte_noinline uint16_t merge(struct worker *w, const struct port_queue *q, struct rte_mbuf **pkts, uint16_t n,
				     bool *ret_unfinished)
{
	uint32_t takes = __atomic_load_n(&q->offloads, __ATOMIC_RELAXED);
	uint16_t left = offload_gro(pkts, n, takes, &w->offload);

	*ret_unfinished |= left < n;
	return left;
}

static inline bool takes_large(const struct port_queue *q)
{
	uint32_t takes = __atomic_load_n(&q->offloads, __ATOMIC_RELAXED);

	return takes & PORT_RX_CSUM && takes & (PORT_RX_TSO4 | PORT_RX_TSO6);
}

/* Nobody serves the rings: no guest, or one that stands still. Tests through the port need none. */
static __rte_noinline void down(struct worker *w, uint16_t index, struct rte_mbuf **pkts, uint16_t n)
{
	bool unfinished;

	if (w->watch) {
		n = isolate(w, index, pkts, n, &unfinished);
		n = watch_tests(w, index, pkts, n);
	}
	for (uint16_t i = 0; i < n; i++)
		if (!redirect_from_port(w, pkts[i]))
			worker_drop(w, index, pkts[i], DROP_PORT_DOWN);
}

static void flush_port(struct worker *w, uint16_t index)
{
	struct out *o = &w->out[index];
	struct exits x = { .port = rcu_dereference(w->dp->ports[index]) };
	uint16_t n = o->n;
	bool unfinished;

	o->n = 0;
	if (likely(x.port))
		x.n = usable_queues(w, x.port, x.queues);
	if (unlikely(!x.n)) {
		down(w, index, o->pkts, n);
		return;
	}
	n = isolate(w, index, o->pkts, n, &unfinished);
	n = hooks(w, HOOK_GUEST_TX, o->pkts, n);
	n = watch(w, WATCH_GUEST_TX, index, o->pkts, n);
	if (n > 1 && takes_large(x.queues[0]))
		n = merge(w, x.queues[0], o->pkts, n, &unfinished);
	if (unlikely(unfinished))
		give_unfinished(w, &x, o->pkts, n);
	else
		leave(w, &x, o->pkts, n);
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
	if (unlikely(w->redirect.late)) {
		w->redirect.late = false;
		egress_flush(w);
	}
}
