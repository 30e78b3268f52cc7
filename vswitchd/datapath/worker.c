/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker: polls its queues and members, carries each burst all the way, flushes what it gathered, reports
 * quiescence; sleeps when there is nothing, off-line so that nobody waits for it.
 */
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <rte_cycles.h>
#include <rte_lcore.h>
#include <rte_pause.h>

#include "base/log.h"
#include "datapath/dp.h"
#include "offload/offload.h"

/* A queue that had fewer packets than this is left alone for SHORT_GAP_NS: half-empty turns are the dearest. */
#define SHORT_BURST  16
#define SHORT_GAP_NS 1000

/* Idle turns before the first sleep, and its length; each following sleep doubles up to the knob. */
#define IDLE_TURNS     2000
#define FIRST_SLEEP_US 20

void worker_free_flush(struct worker *w)
{
	rte_pktmbuf_free_bulk(w->free, w->n_free);
	w->n_free = 0;
}

void worker_drop(struct worker *w, uint16_t port, struct rte_mbuf *m, enum drop_reason why)
{
	struct dp_port *p = port < POLICY_MAX_PORTS ? rcu_dereference(w->dp->ports[port]) : NULL;

	if (unlikely(w->watch != NULL))
		watch_dropped(w, port, m, why);
	drop_count(&w->drops, why, 1);
	if (p)
		stat_add(&p->counters[w->id].drops[why], 1);
	worker_free(w, m);
}

/* Take out what a hook has dropped or kept. The verdict of a shared packet is the other receivers' as well. */
static uint16_t hooks_sort(struct worker *w, struct rte_mbuf **pkts, uint8_t *before, uint16_t n)
{
	uint16_t k = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct pkt_meta *meta = pkt_meta(pkts[i]);

		if (meta->verdict == VERDICT_CONSUMED)
			continue;
		if (meta->verdict == VERDICT_DROP) {
			meta->verdict = before[i];
			worker_drop(w, meta->src, pkts[i], meta->drop);
		} else {
			before[k] = before[i];
			pkts[k++] = pkts[i];
		}
	}
	return k;
}

uint16_t hooks_run(struct worker *w, enum hook_point point, struct rte_mbuf **pkts, uint16_t n)
{
	const struct hook_table *t = rcu_dereference(w->dp->hooks);
	uint8_t before[OUT_MAX]; /* no burst is longer */

	for (uint16_t i = 0; i < n; i++) {
		struct pkt_meta *meta = pkt_meta(pkts[i]);

		if (point == HOOK_WIRE_RX) { /* nobody has written it yet */
			memset(meta, 0, sizeof(*meta));
			meta->src = PORT_WIRE;
		}
		before[i] = meta->verdict;
	}
	for (unsigned int i = 0; t && n && i < t->n[point]; i++) {
		t->hooks[point][i].fn(t->hooks[point][i].arg, pkts, n);
		n = hooks_sort(w, pkts, before, n);
	}
	return n;
}

static unsigned int poll_ports(struct worker *w, const struct plan *plan)
{
	struct rte_mbuf *pkts[BURST];
	unsigned int sum = 0;

	for (unsigned int i = 0; i < plan->n_rxq; i++) {
		struct rxq *rxq = plan->rxqs[i];
		struct port_queue *q = rcu_dereference(rxq->q);
		uint16_t n;

		if (!__atomic_load_n(&q->rx_ready, __ATOMIC_ACQUIRE) || w->now < rxq->not_before)
			continue;
		n = q->ops->rx(q, pkts, rxq->burst);
		if (!n)
			continue;
		rxq->not_before = 0;
		if (n < RTE_MIN(rxq->burst, SHORT_BURST))
			rxq->not_before = w->now + w->dp->tsc_hz / (1000000000 / SHORT_GAP_NS);
		if (q->socket != SOCKET_ID_ANY && q->socket != (int)rte_socket_id())
			stat_add(&w->remote_numa, n);
		egress_burst(w, rxq, pkts, n);
		sum += n;
	}
	return sum;
}

static void punt_out(struct worker *w, uint8_t member)
{
	struct rte_mbuf *pkts[BURST];
	uint16_t n = teaming_punt_tx(w->dp->params.teaming, member, pkts, BURST);

	for (uint16_t i = 0; i < n; i++) {
		memset(pkt_meta(pkts[i]), 0, sizeof(struct pkt_meta));
		pkt_meta(pkts[i])->src = PORT_NONE;
		egress_wire(w, member, pkts[i]);
	}
}

static unsigned int poll_members(struct worker *w, const struct plan *plan)
{
	struct rte_mbuf *pkts[WIRE_BURST];
	unsigned int sum = 0;
	bool full = false;

	for (unsigned int i = 0; i < plan->n_members; i++) {
		const struct plan_member *pm = &plan->members[i];
		const struct member_dev *dev = w->view->members[pm->member].dev;
		uint16_t n = 0, got;

		if (!dev || pm->queue >= dev->rxq)
			continue;
		if (pm->punt)
			punt_out(w, pm->member);
		if (unlikely(w->handover.hold >> pm->member & 1))
			continue;
		do {
			got = dev->ops->rx(dev, pm->queue, pkts + n, BURST);
			n += got;
		} while (got == BURST && n + BURST <= WIRE_BURST);
		if (!n)
			continue;
		full |= n == WIRE_BURST;
		ingress_burst(w, pm->member, pm->queue, pkts, n);
		sum += n;
	}
	if (unlikely(plan->spread))
		handover_count(w, sum, full);
	return sum;
}

/* Make chains acceptable to the device. @return packets left. @param bytes  of all of them, before and after. */
static __rte_noinline uint16_t join_chains(struct worker *w, const struct member_dev *dev, struct rte_mbuf **pkts,
					   uint16_t n, uint64_t *bytes)
{
	uint16_t k = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		uint32_t len = m->pkt_len;

		if (m->nb_segs > 1)
			m = offload_tx_chain(m, dev->tx_offloads, w->dp->params.pool);
		if (m) {
			pkts[k++] = m;
			continue;
		}
		*bytes -= len;
		worker_drop(w, PORT_WIRE, pkts[i], DROP_MEMBER_TX);
	}
	return k;
}

/* Whoever sends by the queue, one at a time, counts for it. @param bytes  of all: what is sent is not ours any more. */
static uint16_t send_by(struct worker *w, uint8_t member, uint16_t q, struct rte_mbuf **pkts, uint16_t n,
			uint64_t bytes)
{
	const struct member_dev *dev = w->view->members[member].dev;
	uint16_t sent;

	sent = dev->ops->tx(dev, q, pkts, n);
	for (uint16_t i = sent; i < n; i++)
		bytes -= pkts[i]->pkt_len;
	traffic_add(&member_queue(w->dp, member, q)->tx, sent, bytes);
	return sent;
}

static void flush_member(struct worker *w, uint8_t member, struct out *o)
{
	const struct member_dev *dev = w->view->members[member].dev;
	uint16_t n = o->n, sent = 0, q;
	unsigned int segs = 0;
	uint64_t bytes = 0;

	o->n = 0;
	n = watch(w, WATCH_WIRE_TX, member, o->pkts, n);
	if (unlikely(!n))
		return; /* a dry run's end: the device is not its own */
	for (uint16_t i = 0; i < n; i++) {
		segs |= o->pkts[i]->nb_segs;
		bytes += o->pkts[i]->pkt_len;
	}
	if (unlikely(segs > 1) && dev)
		n = join_chains(w, dev, o->pkts, n, &bytes);
	if (likely(dev && dev->txq)) {
		q = w->id % dev->txq;
		if (unlikely(dev->txq < w->dp->n_workers)) {
			rte_spinlock_lock(&w->dp->tx_lock[member]);
			sent = send_by(w, member, q, o->pkts, n, bytes);
			rte_spinlock_unlock(&w->dp->tx_lock[member]);
		} else {
			sent = send_by(w, member, q, o->pkts, n, bytes);
		}
	}
	for (uint16_t i = sent; i < n; i++)
		worker_drop(w, PORT_WIRE, o->pkts[i], DROP_MEMBER_TX);
	stat_add(&w->member_tx_dropped[member], n - sent);
	stat_add(&w->stage[STAGE_WIRE_TX], sent);
}

void egress_flush(struct worker *w)
{
	for (uint8_t m = 0; m < w->view->n_members; m++)
		if (w->wire[m].n)
			flush_member(w, m, &w->wire[m]);
}

unsigned int worker_turn(struct worker *w)
{
	const struct plan *plan = rcu_dereference(w->plan);
	uint64_t writers = __atomic_load_n(&w->dp->spreading, __ATOMIC_ACQUIRE);
	unsigned int n;

	w->view = teaming_view(w->dp->params.teaming);
	if (unlikely(w->view->gen != w->view_gen))
		flowlet_follow(w);
	w->knobs = rcu_dereference(w->dp->knobs);
	w->watch = rcu_dereference(w->dp->watches);
	if (unlikely(plan->spread || w->handover.members))
		handover_judge(w, plan->spread);
	n = poll_members(w, plan);
	if (unlikely(writers))
		n += handover_in(w, writers);
	n += poll_ports(w, plan);
	if (unlikely(!rte_ring_empty(w->inject)))
		inject_burst(w);
	if (unlikely(w->n_again))
		echo_again(w);
	egress_flush(w);
	local_flush(w);
	if (unlikely(writers))
		handover_done(w);
	if (w->n_free)
		worker_free_flush(w);
	if (unlikely(w->sighted))
		sights_wake(w);
	return n;
}

/* Sleep without being waited for. The bound is the knob: traffic that comes meanwhile waits at most that long. */
static void nap(struct worker *w, uint32_t us)
{
	struct timespec t = { .tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * 1000 };
	uint64_t start = rte_rdtsc();

	rcu_offline(w->id);
	nanosleep(&t, NULL);
	rcu_online(w->id);
	stat_add(&w->sleeps, 1);
	stat_add(&w->sleep_ns, (uint64_t)((double)(rte_rdtsc() - start) * 1e9 / (double)w->dp->tsc_hz));
}

void datapath_worker_prepare(void)
{
	if (prctl(PR_SET_TIMERSLACK, 1000UL) < 0) /* the default 50 us would double short sleeps */
		log_warning("a worker cannot sleep precisely: %s", strerror(errno));
}

int worker_main(void *arg)
{
	struct worker *w = arg;
	uint32_t idle = 0, sleep_us = FIRST_SLEEP_US;

	w->lcore = rte_lcore_id();
	rcu_register(w->id);
	w->now = rte_rdtsc();
	while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
		unsigned int n = worker_turn(w);
		uint32_t max_sleep_us = w->knobs->max_sleep_us; /* the knobs may be gone after the quiescent state */
		uint64_t end = rte_rdtsc();

		stat_add(&w->turns, 1);
		if (n) {
			stat_add(&w->busy_turns, 1);
			stat_add(&w->busy_cycles, end - w->now);
			stat_add(&w->packets, n);
			idle = 0;
			sleep_us = FIRST_SLEEP_US;
		}
		rcu_quiescent(w->id);
		if (!n && ++idle >= IDLE_TURNS && max_sleep_us) {
			nap(w, RTE_MIN(sleep_us, max_sleep_us));
			sleep_us = RTE_MIN(sleep_us * 2, 1000000u);
			end = rte_rdtsc();
		}
		w->now = end;
	}
	rcu_unregister(w->id);
	return 0;
}
