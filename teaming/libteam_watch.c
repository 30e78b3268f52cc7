/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/tick.h"
#include "teaming/libteam_watch.h"

#define MS	  1000000ull
#define BATCH	  256	       /* events of one round */
#define RETRY_MIN (100 * MS)
#define RETRY_MAX (10000 * MS)
#define STOP_WAIT 2	       /* s */

struct tw_libteam {
	const struct tw_libteam_ops *ops;
	pthread_t thread;
	bool running;
	int wake, news; /* eventfds: to the thread, from it */

	pthread_mutex_t lock; /* the next four */
	uint32_t want;
	bool stop, fresh;
	struct tw_snapshot snap;

	/* the thread's own */
	void *handle;
	uint32_t attached;
	struct tw_snapshot last;
	uint64_t retry_at, retry_after;
	bool lost; /* events, and not asked anew since */
	struct tw_limiter limiter;
};

void tw_limiter_round(struct tw_limiter *l, bool differs, uint64_t start, uint64_t end)
{
	uint64_t pause = TW_LIMIT_NS;

	if (start > (l->next > l->last ? l->next : l->last) + TW_LIMIT_CALM)
		l->repeats = 0;
	l->last = end;
	l->repeats = differs ? 0 : l->repeats + 1;
	if (l->repeats < TW_LIMIT_REPEATS) {
		l->next = 0;
		return;
	}
	if (4 * (end - start) > pause)
		pause = 4 * (end - start);
	l->next = end + pause;
}

/* ---- the thread ---- */

static void publish(struct tw_libteam *l, const struct tw_snapshot *snap)
{
	l->last = *snap;
	pthread_mutex_lock(&l->lock);
	l->snap = *snap;
	l->fresh = true;
	pthread_mutex_unlock(&l->lock);
	eventfd_write(l->news, 1);
}

/* @return whether it differs from the last. */
static bool look(struct tw_libteam *l)
{
	struct tw_snapshot snap;

	memset(&snap, 0, sizeof(snap));
	l->ops->snapshot(l->handle, &snap);
	snap.if_index = l->attached;
	if (memcmp(&snap, &l->last, sizeof(snap)) == 0)
		return false;
	publish(l, &snap);
	return true;
}

static void detach(struct tw_libteam *l, int error)
{
	struct tw_snapshot none;

	memset(&none, 0, sizeof(none));
	none.error = error;
	if (l->handle)
		l->ops->detach(l->handle);
	l->handle = NULL;
	l->attached = 0;
	l->lost = false;
	publish(l, &none);
}

static void attach(struct tw_libteam *l, uint32_t want)
{
	int r = l->ops->attach(want, &l->handle);

	if (r < 0) {
		l->handle = NULL;
		l->retry_after = l->retry_after ? 2 * l->retry_after : RETRY_MIN;
		if (l->retry_after > RETRY_MAX)
			l->retry_after = RETRY_MAX;
		l->retry_at = tick_ns() + l->retry_after;
		detach(l, r);
		return;
	}
	l->attached = want;
	l->retry_after = 0;
	l->limiter = (struct tw_limiter){ 0 };
	look(l);
}

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/*
 * When events were lost, those that are still queued are older than the loss: they are read first, then everything is
 * asked for. The other way round they would overwrite the answer.
 */
static int drain(struct tw_libteam *l)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < BATCH && readable(l->ops->fd(l->handle)); i++) {
		r = l->ops->handle(l->handle);
		if (r < 0)
			l->lost = true;
	}
	if (!l->lost || i == BATCH)
		return 0;
	r = l->ops->refresh(l->handle);
	log_debug("team events were lost, asked anew: %s", strerror(-r));
	if (r == 0)
		l->lost = false;
	return r;
}

static void events(struct tw_libteam *l)
{
	uint64_t start = tick_ns();
	int r = drain(l);

	if (r < 0) {
		detach(l, r);
		l->retry_at = tick_ns() + RETRY_MIN;
		return;
	}
	tw_limiter_round(&l->limiter, look(l), start, tick_ns());
}

/* ms to wait for `at`, not less; -1: for ever. */
static int until(uint64_t at)
{
	uint64_t now = tick_ns();

	if (at == UINT64_MAX)
		return -1;
	return at <= now ? 0 : (int)((at - now + MS - 1) / MS);
}

static void wait(struct tw_libteam *l, uint32_t want)
{
	bool paused = l->handle && tick_ns() < l->limiter.next;
	uint64_t at = paused ? l->limiter.next : !l->handle && want ? l->retry_at : UINT64_MAX;
	struct pollfd fds[2] = {
		{ .fd = l->wake, .events = POLLIN },
		{ .fd = l->handle && !paused ? l->ops->fd(l->handle) : -1, .events = POLLIN },
	};
	eventfd_t ignored;

	if (poll(fds, 2, until(at)) <= 0)
		return;
	if (fds[0].revents)
		eventfd_read(l->wake, &ignored);
	else if (fds[1].revents)
		events(l);
}

static void *run(void *arg)
{
	struct tw_libteam *l = arg;
	uint32_t want, before = 0;
	bool stop;

	for (;;) {
		pthread_mutex_lock(&l->lock);
		want = l->want;
		stop = l->stop;
		pthread_mutex_unlock(&l->lock);
		if (stop)
			break;
		if (want != before)
			l->retry_at = l->retry_after = 0;
		before = want;
		if (l->handle && l->attached != want)
			detach(l, 0);
		if (!l->handle && want && tick_ns() >= l->retry_at)
			attach(l, want);
		wait(l, want);
	}
	if (l->handle)
		l->ops->detach(l->handle);
	l->handle = NULL;
	return NULL;
}

/* ---- interface ---- */

int tw_libteam_start(const struct tw_libteam_ops *ops, struct tw_libteam **ret)
{
	struct tw_libteam *l = calloc(1, sizeof(*l));
	sigset_t all, old;
	int r;

	if (!l)
		return -ENOMEM;
	l->ops = ops;
	pthread_mutex_init(&l->lock, NULL);
	l->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	l->news = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	r = l->wake < 0 || l->news < 0 ? -errno : 0;
	if (r == 0) {
		sigfillset(&all); /* signals are main's */
		pthread_sigmask(SIG_SETMASK, &all, &old);
		r = -pthread_create(&l->thread, NULL, run, l);
		pthread_sigmask(SIG_SETMASK, &old, NULL);
	}
	if (r < 0) {
		tw_libteam_stop(l);
		return r;
	}
	pthread_setname_np(l->thread, "libteam");
	l->running = true;
	*ret = l;
	return 0;
}

/* The library may wait for the rest of a message of which the kernel has lost that: then it is cancelled there. */
static void join(struct tw_libteam *l)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += STOP_WAIT;
	if (pthread_clockjoin_np(l->thread, NULL, CLOCK_MONOTONIC, &at) == 0)
		return;
	pthread_cancel(l->thread);
	pthread_join(l->thread, NULL);
}

void tw_libteam_stop(struct tw_libteam *l)
{
	if (!l)
		return;
	if (l->running) {
		pthread_mutex_lock(&l->lock);
		l->stop = true;
		pthread_mutex_unlock(&l->lock);
		eventfd_write(l->wake, 1);
		join(l);
	}
	closep(&l->wake);
	closep(&l->news);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

int tw_libteam_fd(const struct tw_libteam *l)
{
	return l->news;
}

bool tw_libteam_want(struct tw_libteam *l, uint32_t if_index)
{
	bool differs;

	pthread_mutex_lock(&l->lock);
	differs = l->want != if_index;
	l->want = if_index;
	pthread_mutex_unlock(&l->lock);
	if (differs)
		eventfd_write(l->wake, 1);
	return differs;
}

bool tw_libteam_take(struct tw_libteam *l, struct tw_snapshot *ret)
{
	eventfd_t ignored;
	bool fresh;

	eventfd_read(l->news, &ignored);
	pthread_mutex_lock(&l->lock);
	fresh = l->fresh;
	l->fresh = false;
	*ret = l->snap;
	pthread_mutex_unlock(&l->lock);
	return fresh;
}
