/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include "base/rcu.h"
#include "bed.h"
#include "eal.h"

#define PATIENCE_S 10
#define BUFFERS	   4095
#define EVENTS	   4096
#define BURST	   64

char bed_dir[32];

static struct rte_mempool *pool;

static struct {
	pthread_mutex_t lock;
	pthread_cond_t come;
	struct vhu_event queue[EVENTS];
	unsigned int head, tail;
} events = { .lock = PTHREAD_MUTEX_INITIALIZER, .come = PTHREAD_COND_INITIALIZER };

static struct {
	pthread_t thread;
	struct vhu_port *port;
	unsigned int n;
	bool stop, hold, held, running;
	uint64_t frames, malformed;
} worker;

static void on_event(const struct vhu_event *ev, void *arg)
{
	pthread_mutex_lock(&events.lock);
	assert_true(events.head - events.tail < EVENTS);
	events.queue[events.head++ % EVENTS] = *ev;
	pthread_cond_signal(&events.come);
	pthread_mutex_unlock(&events.lock);
}

struct vhu_event bed_wait(enum vhu_event_type type)
{
	struct vhu_event ev = { 0 };
	struct timespec until;
	bool found = false;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&events.lock);
	while (!found && r == 0) {
		while (!found && events.tail != events.head) {
			ev = events.queue[events.tail++ % EVENTS];
			found = ev.type == type;
		}
		if (!found)
			r = pthread_cond_timedwait(&events.come, &events.lock, &until);
	}
	pthread_mutex_unlock(&events.lock);
	if (!found)
		fail_msg("event %d has not come", type);
	return ev;
}

struct vhu_event bed_next(void)
{
	struct vhu_event ev;

	pthread_mutex_lock(&events.lock);
	while (events.tail == events.head)
		pthread_cond_wait(&events.come, &events.lock);
	ev = events.queue[events.tail++ % EVENTS];
	pthread_mutex_unlock(&events.lock);
	return ev;
}

unsigned int bed_count(enum vhu_event_type type)
{
	unsigned int n = 0;

	pthread_mutex_lock(&events.lock);
	for (; events.tail != events.head; events.tail++)
		n += events.queue[events.tail % EVENTS].type == type;
	pthread_mutex_unlock(&events.lock);
	return n;
}

void bed_forget(void)
{
	bed_count(VHU_READY);
}

int bed_make_dir(void)
{
	strcpy(bed_dir, "/tmp/vhost-test-XXXXXX");
	return mkdtemp(bed_dir) ? 0 : -errno;
}

void bed_remove_dir(void)
{
	char cmd[64];

	snprintf(cmd, sizeof(cmd), "rm -rf -- '%s'", bed_dir);
	if (system(cmd) != 0)
		print_error("%s is left\n", bed_dir);
}

int bed_start(void **state)
{
	struct vhu_config cfg = { .state_dir = bed_dir, .event = on_event };
	struct errbuf err;

	if ((!bed_dir[0] && bed_make_dir() < 0) || test_eal_setup(state) < 0 || rcu_init() < 0)
		return -1;
	pool = rte_pktmbuf_pool_create("guests", BUFFERS, 128, 64, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (!pool)
		return -1;
	cfg.pool = pool;
	return vhu_init(&cfg, &err);
}

int bed_stop(void **state)
{
	vhu_fini();
	rte_mempool_free(pool);
	rcu_fini();
	bed_remove_dir();
	return test_eal_teardown(state);
}

unsigned int bed_buffers(void)
{
	return rte_mempool_avail_count(pool);
}

int bed_cleanup(void **state)
{
	bed_worker_hold(false);
	bed_worker_stop();
	return 0;
}

struct port_spec bed_spec(const char *id)
{
	struct port_spec spec = {
		.type = PORT_VHOST_USER, .mode = PORT_CLIENT, .queues = 1, .socket_mode = 0600, .mergeable = true,
	};
	static unsigned int number;

	/* Of its own, so that a test that failed does not take others with it. */
	snprintf(spec.id, sizeof(spec.id), "%s%u", id, number++);
	snprintf(spec.socket, sizeof(spec.socket), "%s/%s.sock", bed_dir, spec.id);
	return spec;
}

struct vhu_port *bed_port(const struct port_spec *spec)
{
	struct errbuf err = { "" };
	struct vhu_port *p = NULL;
	int r = vhu_port_create(spec, 7, BED_MTU, &p, &err);

	if (r < 0)
		fail_msg("vhu_port_create: %s (%s)", err.text, strerror(-r));
	return p;
}

static bool adds_up(const struct rte_mbuf *m)
{
	const struct rte_mbuf *seg;
	uint32_t len = 0;
	unsigned int n = 0;

	for (seg = m; seg; seg = seg->next, n++)
		len += seg->data_len;
	return len == m->pkt_len && n == m->nb_segs;
}

static unsigned int turn(struct port_queue *q)
{
	struct rte_mbuf *pkts[BURST];
	uint16_t n = q->ops->rx(q, pkts, BURST), i;

	for (i = 0; i < n; i++)
		worker.malformed += !adds_up(pkts[i]);
	if (n)
		q->ops->tx(q, pkts, n);
	rte_pktmbuf_free_bulk(pkts, n);
	__atomic_store_n(&worker.frames, worker.frames + n, __ATOMIC_RELAXED);
	return n;
}

static void *work(void *arg)
{
	unsigned int i, n;

	if (rte_thread_register() < 0 || rcu_register(0) < 0)
		abort();
	while (!__atomic_load_n(&worker.stop, __ATOMIC_RELAXED)) {
		for (n = 0, i = 0; i < worker.n; i++)
			n += turn(vhu_port_queue(worker.port, i));
		while (__atomic_load_n(&worker.hold, __ATOMIC_RELAXED)) {
			__atomic_store_n(&worker.held, true, __ATOMIC_RELEASE);
			sched_yield();
		}
		__atomic_store_n(&worker.held, false, __ATOMIC_RELEASE);
		rcu_quiescent(0);
		if (!n)
			sched_yield();
	}
	rcu_unregister(0);
	rte_thread_unregister();
	return NULL;
}

void bed_worker_start(struct vhu_port *p, unsigned int n)
{
	memset(&worker, 0, sizeof(worker));
	worker.port = p;
	worker.n = n;
	assert_int_equal(pthread_create(&worker.thread, NULL, work, NULL), 0);
	worker.running = true;
}

void bed_worker_stop(void)
{
	if (!worker.running)
		return;
	__atomic_store_n(&worker.stop, true, __ATOMIC_RELAXED);
	pthread_join(worker.thread, NULL);
	worker.running = false;
}

uint64_t bed_worker_frames(void)
{
	return __atomic_load_n(&worker.frames, __ATOMIC_RELAXED);
}

uint64_t bed_worker_malformed(void)
{
	return worker.malformed;
}

void bed_worker_hold(bool hold)
{
	__atomic_store_n(&worker.hold, hold, __ATOMIC_RELAXED);
}

bool bed_worker_is_held(void)
{
	return __atomic_load_n(&worker.held, __ATOMIC_ACQUIRE);
}
