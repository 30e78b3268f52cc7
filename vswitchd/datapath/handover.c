/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Software RSS: a received frame is carried by the worker that its inner flow chooses, where the queues of its member
 * do not spread flows over workers.
 *
 * A lane per pair of workers has one writer and one reader. What is handed over is the frame as it came: whoever
 * carries it judges all of it in a turn of its own, so that nothing travels along that may be gone by then (hosts,
 * provider addresses).
 *
 * It costs more than carrying the frame at once, so by default it is done only while a worker gets more than it can
 * carry and another one has time. Order within a flow is kept across that change: it begins between two turns, when all
 * that was carried is with its receivers, and ends when all that was handed over is.
 */
#include <stdlib.h>
#include <string.h>
#include <rte_prefetch.h>
#include <rte_ring.h>

#include "base/flowhash.h"
#include "datapath/dp.h"

#define WINDOWS_PER_S 1000 /* how often load is judged */
#define FULL_TURNS    4    /* in a window, and half of all, of a worker that cannot keep up */
#define COOL_WINDOWS  100  /* below half of the load that was too much, until the worker is alone again */
#define LANE_MIN      128
#define LANE_MAX      1024
#define LANES_SIZE    8192 /* frames in all lanes of a writer */
#define GRANT	      (4 * WIRE_BURST) /* frames until a writer looks again how many may wait */
#define POOL_SHARE    4	   /* that part of all buffers may wait in lanes: guests and NICs need the others */
#define IN_MAX	      256  /* frames of other workers in a turn: its own queues, and who frees memory, wait meanwhile */

static struct lane *lane_of(const struct datapath *dp, unsigned int from, unsigned int to)
{
	return &dp->lanes[from * dp->n_workers + to];
}

static unsigned int lane_size(unsigned int n_workers)
{
	unsigned int size = LANE_MAX;

	while (size > LANE_MIN && size * n_workers > LANES_SIZE)
		size /= 2;
	return size;
}

int handover_init(struct datapath *dp)
{
	unsigned int n = dp->n_workers;
	size_t size = (size_t)n * n * sizeof(dp->lanes[0]);

	if (n < 2)
		return 0;
	if (posix_memalign((void **)&dp->lanes, RTE_CACHE_LINE_SIZE, size)) {
		dp->lanes = NULL;
		return -ENOMEM;
	}
	memset(dp->lanes, 0, size);
	for (unsigned int i = 0; i < n * n; i++) {
		if (i / n != i % n) {
			dp->lanes[i].ring = ring_make("handover", sizeof(void *), lane_size(n));
			if (!dp->lanes[i].ring)
				return -ENOMEM;
		}
	}
	return 0;
}

void handover_free(struct datapath *dp)
{
	void *m;

	for (unsigned int i = 0; dp->lanes && i < dp->n_workers * dp->n_workers; i++) {
		struct rte_ring *ring = dp->lanes[i].ring;

		while (ring && rte_ring_dequeue(ring, &m) == 0)
			rte_pktmbuf_free(m);
		free(ring);
	}
	free(dp->lanes);
	dp->lanes = NULL;
}

uint32_t handover_members(const struct datapath *dp, const struct team_view *v)
{
	uint32_t members = 0;

	for (unsigned int m = 0; m < v->n_members && dp->n_workers > 1; m++) {
		const struct member_dev *dev = v->members[m].dev;

		if (!dev || (dev->rxq >= dp->n_workers &&
			     __atomic_load_n(&dev->offload, __ATOMIC_RELAXED) & OFFLOAD_F_RX_RSS))
			continue;
		members |= 1u << m;
	}
	return members;
}

/* ---- when ---- */

/* Was there a worker that had nothing to do for half of the time since the last sample? */
static bool other_has_time(const struct worker *w)
{
	const struct handover *s = &w->handover;

	for (unsigned int i = 0; i < w->dp->n_workers; i++)
		if (i != w->id && stat_read(&w->dp->workers[i]->busy_cycles) - s->busy[i] < (w->now - s->sampled) / 2)
			return true;
	return false;
}

/* At the end of a window: twice in a row too much for this worker, and another could have helped meanwhile? */
static bool overloaded(struct worker *w)
{
	struct handover *s = &w->handover;
	bool hot = s->full >= FULL_TURNS && s->full * 2 >= s->turns, pays = hot && s->sampled && other_has_time(w);

	for (unsigned int i = 0; hot && i < w->dp->n_workers; i++)
		s->busy[i] = stat_read(&w->dp->workers[i]->busy_cycles);
	s->sampled = hot ? w->now : 0;
	if (pays) {
		s->limit = s->packets;
		s->cool = 0;
	}
	return pays;
}

static bool still_needed(struct handover *s)
{
	s->cool = s->packets < s->limit / 2 ? s->cool + 1 : 0;
	return s->cool < COOL_WINDOWS;
}

static void new_window(struct worker *w)
{
	struct handover *s = &w->handover;

	s->window = w->now;
	s->turns = s->full = s->packets = 0;
}

/* By the knob, not by load. What there is of it when the knob goes to auto ends as after any load. */
static bool by_knob(struct worker *w)
{
	struct handover *s = &w->handover;

	s->limit = UINT32_MAX;
	s->cool = 0;
	s->sampled = 0;
	new_window(w);
	return w->knobs->rss == OFFLOAD_RSS_ALWAYS;
}

static bool wanted(struct worker *w)
{
	struct handover *s = &w->handover;
	bool on = s->members;

	if (w->knobs->rss != OFFLOAD_RSS_AUTO)
		return by_knob(w);
	if (w->now - s->window < w->dp->tsc_hz / WINDOWS_PER_S)
		return on && s->cool < COOL_WINDOWS;
	on = on ? still_needed(s) : overloaded(w);
	new_window(w);
	return on;
}

/* Is all that this worker has handed over with its receivers? */
static bool drained(const struct worker *w)
{
	for (unsigned int i = 0; i < w->dp->n_workers; i++) {
		const struct lane *lane = lane_of(w->dp, w->id, i);

		if (i != w->id && __atomic_load_n(&lane->done, __ATOMIC_ACQUIRE) != lane->sent)
			return false;
	}
	return true;
}

void handover_judge(struct worker *w, uint32_t members)
{
	struct handover *s = &w->handover;
	uint32_t want = wanted(w) ? members : 0;
	uint64_t bit = UINT64_C(1) << w->id;

	if (likely(want == s->members)) {
		s->hold = 0;
		return;
	}
	/* Those that leave wait in their devices for some turns, so that this ends under any load. */
	s->hold = s->members & ~want;
	if (s->hold && drained(w))
		s->hold = 0;
	want |= s->hold;
	if (want && !s->members)
		__atomic_fetch_or(&w->dp->spreading, bit, __ATOMIC_RELEASE);
	else if (!want)
		__atomic_fetch_and(&w->dp->spreading, ~bit, __ATOMIC_RELEASE);
	s->members = want;
}

/* ---- what ---- */

/* Frames that are no tunnel packets of ours, or damaged, stay: they are judged here, once more. */
static unsigned int worker_of(struct worker *w, uint8_t member, const struct rte_mbuf *m)
{
	struct pkt_info pkt;
	struct encap_rx rx;
	uint32_t hash, len;

	if (ingress_outer(w, member, m, &rx) || rx.inner_off >= m->data_len)
		return w->id;
	len = RTE_MIN(m->data_len - (uint32_t)rx.inner_off, (uint32_t)rx.inner_len);
	if (flow_parse(rte_pktmbuf_mtod_offset(m, const uint8_t *, rx.inner_off), len, rx.inner_len,
		       w->dp->params.salt, &pkt, &hash))
		return w->id;
	return FLOW_WORKER(hash) * w->dp->n_workers >> 8;
}

/*
 * How many more frames may wait. Looked up when the last answer is used up: it reads what others write. Never much at
 * once, as the answer may be used long after others have begun to hand over.
 */
static unsigned int room_in_pool(const struct worker *w)
{
	unsigned int writers = RTE_MAX(datapath_spreading(w->dp), 1u);
	uint64_t may = w->dp->params.pool->size / POOL_SHARE / writers, waiting = 0;

	for (unsigned int i = 0; i < w->dp->n_workers; i++) {
		const struct lane *lane = lane_of(w->dp, w->id, i);

		waiting += lane->sent - __atomic_load_n(&lane->done, __ATOMIC_RELAXED);
	}
	return waiting < may ? (unsigned int)RTE_MIN(may - waiting, (uint64_t)GRANT) : 0;
}

static void hand_over(struct worker *w, unsigned int to, struct rte_mbuf **pkts, uint16_t n)
{
	struct lane *lane = lane_of(w->dp, w->id, to);
	unsigned int sent;

	if (unlikely(w->handover.room < n))
		w->handover.room = room_in_pool(w);
	sent = rte_ring_sp_enqueue_burst(lane->ring, (void **)pkts, RTE_MIN(n, w->handover.room), NULL);
	w->handover.room -= sent;
	lane->sent += sent;
	stat_add(&w->offload.n[OFFLOAD_RSS_SW], sent);
	for (unsigned int i = sent; i < n; i++)
		worker_drop(w, PORT_WIRE, pkts[i], DROP_WORKER_FULL);
}

void handover_count(struct worker *w, unsigned int n, bool full)
{
	w->handover.turns++;
	w->handover.full += full;
	w->handover.packets += n;
}

uint16_t handover_out(struct worker *w, uint8_t member, struct rte_mbuf **pkts, uint16_t n)
{
	struct rte_mbuf *part[WIRE_BURST];
	uint8_t to[WIRE_BURST];
	uint64_t others = 0;
	uint16_t k = 0;

	for (uint16_t i = 0; i < n; i++) {
		to[i] = (uint8_t)worker_of(w, member, pkts[i]);
		if (to[i] == w->id)
			continue;
		others |= UINT64_C(1) << to[i];
		pkt_meta(pkts[i])->member = member;
		pkt_meta(pkts[i])->view = (uint16_t)w->view->gen;
	}
	for (; others; others &= others - 1) {
		unsigned int one = (unsigned int)__builtin_ctzll(others);
		uint16_t p = 0;

		for (uint16_t i = 0; i < n; i++)
			if (to[i] == one)
				part[p++] = pkts[i];
		hand_over(w, one, part, p);
	}
	for (uint16_t i = 0; i < n; i++)
		if (to[i] == w->id)
			pkts[k++] = pkts[i];
	return k;
}

/* Frames of one member. */
static void carry(struct worker *w, uint8_t member, struct rte_mbuf **pkts, uint16_t n)
{
	if (likely(member < w->view->n_members && w->view->members[member].dev)) {
		ingress_carry(w, member, pkts, n);
		return;
	}
	for (uint16_t i = 0; i < n; i++) /* the member has gone meanwhile */
		worker_drop(w, PORT_WIRE, pkts[i], DROP_NO_MEMBER);
}

static void carry_all(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		rte_prefetch0(rte_pktmbuf_mtod(pkts[i], const void *));
		if (unlikely(pkt_meta(pkts[i])->view != (uint16_t)w->view->gen))
			offload_rx_forget(pkts[i]); /* the word of a device that may be another one now */
	}
	for (uint16_t from = 0, to; from < n; from = to) {
		uint8_t member = pkt_meta(pkts[from])->member;

		for (to = from + 1; to < n && pkt_meta(pkts[to])->member == member; to++)
			;
		carry(w, member, pkts + from, to - from);
	}
}

/* What one writer has for this worker, at most max frames. */
static unsigned int take(struct worker *w, unsigned int from, unsigned int max)
{
	struct rte_mbuf *pkts[WIRE_BURST];
	unsigned int n = rte_ring_sc_dequeue_burst(lane_of(w->dp, from, w->id)->ring, (void **)pkts,
						   RTE_MIN(max, (unsigned int)WIRE_BURST), NULL);

	w->handover.taken[from] = (uint16_t)n;
	if (n)
		carry_all(w, pkts, (uint16_t)n);
	return n;
}

unsigned int handover_in(struct worker *w, uint64_t writers)
{
	uint64_t before = (UINT64_C(1) << w->handover.first) - 1, rest[2];
	unsigned int sum = 0;

	writers &= ~(UINT64_C(1) << w->id);
	rest[0] = writers & ~before;
	rest[1] = writers & before;
	for (unsigned int half = 0; half < 2; half++) {
		for (; rest[half]; rest[half] &= rest[half] - 1) {
			unsigned int from = (unsigned int)__builtin_ctzll(rest[half]);

			sum += take(w, from, IN_MAX - sum);
			if (sum < IN_MAX)
				continue;
			w->handover.first = (uint8_t)((from + 1) % DATAPATH_MAX_WORKERS); /* the next one's turn */
			return sum;
		}
	}
	return sum;
}

void handover_done(struct worker *w)
{
	for (unsigned int i = 0; i < w->dp->n_workers; i++) {
		struct lane *lane = lane_of(w->dp, i, w->id);

		if (w->handover.taken[i])
			__atomic_store_n(&lane->done, lane->done + w->handover.taken[i], __ATOMIC_RELEASE);
		w->handover.taken[i] = 0;
	}
}

unsigned int datapath_spreading(const struct datapath *dp)
{
	return (unsigned int)__builtin_popcountll(__atomic_load_n(&dp->spreading, __ATOMIC_RELAXED));
}
