/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads that serve the queues of their ports: polling all the time, or woken by the devices' calls. */
#include "peer.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { MAX_EVENTS = 64 };

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void port_request(struct peer_port *p, unsigned int what)
{
	uint64_t one = 1;

	__atomic_fetch_or(&p->request, what, __ATOMIC_RELEASE);
	if (write(p->worker->control_fd, &one, sizeof(one)) < 0)
		return; /* full: it is awake anyway */
}

int worker_init(struct worker *w, unsigned int index, bool busy, int control_fd)
{
	struct epoll_event ev = { .events = EPOLLIN };

	*w = (struct worker){ .index = index, .busy = busy, .cpu = -1, .control_fd = control_fd };
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->cond, NULL);
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->epoll_fd < 0 || w->wake_fd < 0 || epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->wake_fd, &ev) < 0)
		return -errno;
	return 0;
}

int worker_watch(struct worker *w, int fd, struct peer_port *p)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.ptr = p };

	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

int worker_add(struct worker *w, struct peer_port *p)
{
	struct peer_port **port = reallocarray(w->port, w->n_ports + 1, sizeof(*port));
	int err = 0;

	if (!port)
		return -ENOMEM;
	w->port = port;
	w->port[w->n_ports++] = p;
	p->worker = w;
	for (unsigned int i = 0; !w->busy && !err && i < 2 * p->opt.queues; i++)
		err = worker_watch(w, p->vhu->queue[i].call_fd, p);
	return err;
}

static unsigned int poll_port(struct peer_port *p, uint64_t now)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < p->n_modes; i++)
		n += p->mode[i].ops->poll(p->mode[i].priv, now);
	return n;
}

static bool arm_port(struct peer_port *p)
{
	bool work = false;

	for (unsigned int i = 0; i < p->n_modes; i++)
		work |= p->mode[i].ops->arm(p->mode[i].priv);
	return work;
}

static uint64_t port_deadline(struct peer_port *p)
{
	uint64_t first = UINT64_MAX;

	for (unsigned int i = 0; i < p->n_modes; i++) {
		uint64_t t =
			p->mode[i].ops->deadline ? p->mode[i].ops->deadline(p->mode[i].priv) : UINT64_MAX;

		first = t < first ? t : first;
	}
	return first;
}

/* Until the control thread lets go. */
static void obey_pause(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	w->paused = true;
	pthread_cond_broadcast(&w->cond);
	while (__atomic_load_n(&w->pause, __ATOMIC_ACQUIRE))
		pthread_cond_wait(&w->cond, &w->lock);
	w->paused = false;
	pthread_cond_broadcast(&w->cond);
	pthread_mutex_unlock(&w->lock);
}

static void run_busy(struct worker *w)
{
	while (!w->quit) {
		uint64_t now;

		if (__builtin_expect(__atomic_load_n(&w->pause, __ATOMIC_ACQUIRE), 0)) {
			obey_pause(w);
			continue;
		}
		now = now_ns();
		for (unsigned int i = 0; i < w->n_ports; i++)
			if (w->port[i]->ready)
				poll_port(w->port[i], now);
	}
}

/* One turn over the ports that may have work. Returns the next deadline, 0 when there is work left. */
static uint64_t turn(struct worker *w)
{
	uint64_t now = now_ns(), next = UINT64_MAX;

	for (unsigned int i = 0; i < w->n_ports; i++) {
		struct peer_port *p = w->port[i];
		uint64_t t;

		if (!p->ready)
			continue;
		t = port_deadline(p);
		if (!p->hot && t > now) {
			next = t < next ? t : next;
			continue;
		}
		p->hot = poll_port(p, now) || arm_port(p);
		t = p->hot ? 0 : port_deadline(p);
		next = t < next ? t : next;
	}
	return next;
}

static void sleep_until(struct worker *w, uint64_t next)
{
	struct epoll_event ev[MAX_EVENTS];
	struct timespec ts = { 0 };
	uint64_t now = now_ns();
	int n;

	if (next > now && next != UINT64_MAX) {
		ts.tv_sec = (time_t)((next - now) / 1000000000u);
		ts.tv_nsec = (long)((next - now) % 1000000000u);
	}
	n = epoll_pwait2(w->epoll_fd, ev, MAX_EVENTS, next == UINT64_MAX ? NULL : &ts, NULL);
	for (int i = 0; i < n; i++) {
		struct peer_port *p = ev[i].data.ptr;
		uint64_t count;

		if (p)
			p->hot = true;
		else if (read(w->wake_fd, &count, sizeof(count)) < 0)
			continue;
	}
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	char name[16];

	snprintf(name, sizeof(name), "worker-%u", w->index);
	pthread_setname_np(pthread_self(), name);
	if (w->busy) {
		run_busy(w);
		return NULL;
	}
	while (!w->quit) {
		if (__atomic_load_n(&w->pause, __ATOMIC_ACQUIRE)) {
			obey_pause(w);
			continue;
		}
		sleep_until(w, turn(w));
	}
	return NULL;
}

int worker_start(struct worker *w)
{
	pthread_attr_t attr;
	cpu_set_t cpus;
	int err;

	pthread_attr_init(&attr);
	if (w->cpu >= 0) {
		CPU_ZERO(&cpus);
		CPU_SET(w->cpu, &cpus);
		pthread_attr_setaffinity_np(&attr, sizeof(cpus), &cpus);
	}
	err = pthread_create(&w->thread, &attr, worker_main, w);
	pthread_attr_destroy(&attr);
	w->started = !err;
	return -err;
}

static void wake(struct worker *w)
{
	uint64_t one = 1;

	if (write(w->wake_fd, &one, sizeof(one)) < 0)
		return; /* full: it is awake anyway */
}

void worker_pause(struct worker *w)
{
	if (!w->started)
		return;
	__atomic_store_n(&w->pause, 1, __ATOMIC_RELEASE);
	wake(w);
	pthread_mutex_lock(&w->lock);
	while (!w->paused)
		pthread_cond_wait(&w->cond, &w->lock);
	pthread_mutex_unlock(&w->lock);
}

void worker_resume(struct worker *w)
{
	if (!w->started)
		return;
	pthread_mutex_lock(&w->lock);
	__atomic_store_n(&w->pause, 0, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&w->cond);
	/* else a second pause might take the first one's for its own */
	while (w->paused)
		pthread_cond_wait(&w->cond, &w->lock);
	pthread_mutex_unlock(&w->lock);
}

void worker_stop(struct worker *w)
{
	if (w->started) {
		worker_pause(w);
		w->quit = true;
		worker_resume(w);
		pthread_join(w->thread, NULL);
		w->started = false;
	}
	if (w->epoll_fd >= 0)
		close(w->epoll_fd);
	if (w->wake_fd >= 0)
		close(w->wake_fd);
	free(w->port);
	pthread_cond_destroy(&w->cond);
	pthread_mutex_destroy(&w->lock);
}
