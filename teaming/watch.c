/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The thread: waits for netlink, frames, timers and calls from other threads; handles them as one batch;
 * tells main.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "teaming/team.h"

#define TAG_PROVIDER 1
#define TAG_TIMER    2
#define TAG_WAKE     3
#define BATCH	     16
#define TIMER_BATCH  256

int tw_watch_add(struct teaming *t, int fd, uint64_t tag)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = tag };

	return epoll_ctl(t->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

void tw_watch_wake(struct teaming *t)
{
	uint64_t one = 1;

	/* Fails only when the counter is full: then it is awake. */
	if (t->wake >= 0 && write(t->wake, &one, sizeof(one)) < 0)
		return;
}

static void drain(int fd)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) < 0)
		return; /* EAGAIN: nothing there */
}

static void arm(struct teaming *t)
{
	uint64_t at = tw_timers_next(&t->core.timers);
	struct itimerspec its = { 0 };

	if (at != TW_NEVER) {
		if (at == 0)
			at = 1; /* 0 would disarm */
		its.it_value.tv_sec = (time_t)(at / S_NS);
		its.it_value.tv_nsec = (long)(at % S_NS);
	}
	timerfd_settime(t->timer, TFD_TIMER_ABSTIME, &its, NULL);
}

static void handle(struct teaming *t, const struct epoll_event *ev)
{
	int r;

	switch (ev->data.u64) {
	case TAG_PROVIDER:
		r = t->pops->handle(t->provider);
		t->provider_failed = r < 0;
		if (r < 0) {
			log_debug("team provider %s: %s", t->pops->name, strerror(-r));
			tw_timer_set(&t->core.timers, &t->link_timer, tw_now(&t->core) + 100 * MS_NS);
		}
		tw_team_news(t);
		break;
	case TAG_TIMER:
		drain(t->timer);
		break;
	case TAG_WAKE:
		drain(t->wake);
		break;
	default:
		if (ev->data.u64 >= TW_TAG_RELAY(0))
			tw_relay_outward(t, (unsigned int)(ev->data.u64 - TW_TAG_RELAY(0)));
		else
			tw_sockets_read(t, (unsigned int)(ev->data.u64 - TW_TAG_MEMBER(0)));
		break;
	}
}

/* Links first: what else is in the batch should find the team as it is. */
static void handle_batch(struct teaming *t, const struct epoll_event *evs, int n)
{
	for (int i = 0; i < n; i++)
		if (evs[i].data.u64 == TAG_PROVIDER)
			handle(t, &evs[i]);
	tw_team_settle(t);
	for (int i = 0; i < n; i++)
		if (evs[i].data.u64 != TAG_PROVIDER)
			handle(t, &evs[i]);
	tw_team_settle(t);
	tw_timers_run(&t->core.timers, tw_now(&t->core), TIMER_BATCH);
	tw_team_settle(t);
	arm(t);
}

/* The list of preferred PAs, when it differs from what was written last. */
static bool state_to_save(struct teaming *t, struct tw_state_pa *ret, unsigned int *ret_n)
{
	unsigned int n;

	if (!(t->core.dirty & TW_DIRTY_STATE))
		return false;
	t->core.dirty &= ~TW_DIRTY_STATE;
	memset(ret, 0, LOCAL_PAS * sizeof(*ret));
	n = tw_state_collect(&t->core, ret);
	if (n == t->n_saved && memcmp(ret, t->saved, n * sizeof(*ret)) == 0)
		return false;
	memcpy(t->saved, ret, n * sizeof(*ret));
	t->n_saved = n;
	*ret_n = n;
	return true;
}

/* One turn. @return false: time to end. */
static bool turn(struct teaming *t, const struct epoll_event *evs, int n)
{
	struct tw_state_pa state[LOCAL_PAS];
	struct teaming_event *events;
	unsigned int n_state = 0;
	size_t n_events;
	bool save, stop;
	int r;

	tw_lock(t);
	handle_batch(t, evs, n);
	events = t->events;
	n_events = t->n_events;
	t->events = NULL;
	t->n_events = t->space_events = 0;
	save = state_to_save(t, state, &n_state);
	stop = t->stop;
	tw_reclaim(t, false);
	pthread_mutex_unlock(&t->lock);

	for (size_t i = 0; i < n_events && t->event; i++)
		t->event(&events[i], t->event_arg);
	free(events);
	if (save) {
		r = tw_state_write(t->state_dir, state, n_state);
		if (r < 0)
			log_warning("%s: cannot keep the list of provider addresses: %s", t->state_dir, strerror(-r));
	}
	return !stop;
}

static void *run(void *arg)
{
	struct teaming *t = arg;
	struct epoll_event evs[BATCH];
	int n = 0;

	while (turn(t, evs, n)) {
		n = epoll_wait(t->epoll, evs, BATCH, -1);
		if (n < 0)
			n = 0; /* EINTR */
	}
	return NULL;
}

int tw_watch_start(struct teaming *t)
{
	sigset_t all, before;
	int r;

	t->epoll = epoll_create1(EPOLL_CLOEXEC);
	t->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	t->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (t->epoll < 0 || t->timer < 0 || t->wake < 0)
		return -errno;
	if ((r = tw_watch_add(t, t->pops->fd(t->provider), TAG_PROVIDER)) < 0 ||
	    (r = tw_watch_add(t, t->timer, TAG_TIMER)) < 0 || (r = tw_watch_add(t, t->wake, TAG_WAKE)) < 0)
		return r;
	/* Signals are main's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&t->thread, NULL, run, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r)
		return -r;
	pthread_setname_np(t->thread, "teamwatch");
	t->running = true;
	return 0;
}

void tw_watch_stop(struct teaming *t)
{
	if (t->running) {
		tw_lock(t);
		t->stop = true;
		tw_unlock(t);
		pthread_join(t->thread, NULL);
		t->running = false;
	}
	closep(&t->epoll);
	closep(&t->timer);
	closep(&t->wake);
	t->epoll = t->timer = t->wake = -1;
}
