/* SPDX-License-Identifier: BSD-3-Clause */
/* The etcd backend: life, what to do next, what to do when it fails. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "policy/store/etcd_private.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000
#define TIMER_MS       100 /* granularity of what is not urgent */
#define REVOKE_MS      1000

uint64_t etcd_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- up and down ---- */

static void set_where(struct etcd *e)
{
	str_copy(e->kv.where, sizeof(e->kv.where), e->kv.config.endpoints[e->endpoint]);
}

void etcd_fail(struct etcd *e, const char *fmt, ...)
{
	char why[256], text[sizeof(why) + PATH_SIZE + 4];
	va_list ap;

	if (e->failed || e->closing)
		return;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	snprintf(text, sizeof(text), "%s: %s", e->kv.where, why);
	e->failed = true;
	e->kv.counters.failures++;
	e->backoff = e->backoff ? e->backoff * 2 : BACKOFF_MIN_MS;
	if (e->backoff > BACKOFF_MAX_MS)
		e->backoff = BACKOFF_MAX_MS;
	/* All hosts lose it together; they should not all come back together. */
	e->not_before = etcd_now() + e->backoff / 2 + (unsigned int)rand_r(&e->seed) % e->backoff;
	e->endpoint = (e->endpoint + 1) % e->kv.config.n_endpoints;
	set_where(e);
	if ((e->up || !e->told) && e->kv.handlers.state)
		e->kv.handlers.state(e->kv.arg, false, text);
	e->told = true;
	e->up = false;
}

void etcd_works(struct etcd *e)
{
	e->auth_failures = 0;
	if (e->up || e->failed)
		return;
	e->up = e->told = true;
	e->backoff = 0;
	e->kv.counters.connects++;
	if (e->kv.handlers.state)
		e->kv.handlers.state(e->kv.arg, true, e->kv.where);
}

static void kick(struct etcd *e)
{
	e->failed = false;
	if (etcd_now() < e->not_before)
		return;
	if (*e->kv.config.user && !e->token && !e->no_auth) {
		etcd_auth_kick(e);
		return;
	}
	etcd_lease_kick(e);
	etcd_txn_kick(e);
	etcd_watch_kick(e);
}

/* ---- the interface ---- */

static int check_file(const char *name, const char *path, struct errbuf *err)
{
	if (*path && access(path, R_OK) < 0)
		return err_set(err, errno, "store: %s: %s: %s", name, path, strerror(errno));
	return 0;
}

static int check(const struct kv_config *c, struct errbuf *err)
{
	int r = check_file("ca", c->ca, err);

	if (r == 0)
		r = check_file("cert", c->cert, err);
	if (r == 0)
		r = check_file("key", c->key, err);
	if (r == 0)
		r = check_file("password-file", c->password_file, err);
	if (r == 0 && !c->n_endpoints)
		r = err_set(err, EINVAL, "store: endpoints: at least one is wanted");
	return r;
}

static void etcd_close(struct kv *kv)
{
	struct etcd *e = (struct etcd *)kv;
	struct request *q;
	struct txn *t;
	int running;

	e->closing = true;
	memset(&kv->handlers, 0, sizeof(kv->handlers));
	if (kv->config.revoke_at_close && e->multi) {
		uint64_t until = etcd_now() + REVOKE_MS;

		etcd_revoke(e);
		do {
			curl_multi_perform(e->multi, &running);
			etcd_finished(e);
			curl_multi_poll(e->multi, NULL, 0, 10, NULL);
			running = 0;
			LIST_FOREACH(q, &e->requests, link)
				running += q->kind == REQUEST_REVOKE && !q->ended && q->body;
		} while (running && etcd_now() < until);
	}
	while ((q = LIST_FIRST(&e->requests))) {
		if (q->curl) /* a name that is being looked up is not waited for */
			curl_easy_setopt(q->curl, CURLOPT_QUICK_EXIT, 1L);
		if (q->txn)
			etcd_txn_end(q->txn, -ECANCELED, "closed");
		etcd_request_free(q);
	}
	while ((t = STAILQ_FIRST(&e->txns))) {
		STAILQ_REMOVE_HEAD(&e->txns, link);
		etcd_txn_end(t, -ECANCELED, "closed");
	}
	etcd_watches_free(e);
	if (e->multi)
		curl_multi_cleanup(e->multi);
	free(e->token);
	free(e);
}

static int etcd_open(const struct kv_config *config, const struct kv_handlers *handlers, void *arg, struct kv **ret,
		     struct errbuf *err)
{
	static bool initialised;
	struct timespec t;
	struct etcd *e;
	int r = check(config, err);

	if (r < 0)
		return r;
	if (!initialised && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(err, ENOMEM, "store: libcurl cannot be initialised");
	initialised = true;
	e = calloc(1, sizeof(*e));
	if (!e)
		return err_set(err, ENOMEM, "out of memory");
	e->kv = (struct kv){ .ops = &kv_etcd, .config = *config, .handlers = *handlers, .arg = arg };
	LIST_INIT(&e->requests);
	STAILQ_INIT(&e->txns);
	clock_gettime(CLOCK_MONOTONIC, &t);
	e->seed = (unsigned int)t.tv_nsec ^ (unsigned int)getpid();
	e->endpoint = (unsigned int)rand_r(&e->seed) % config->n_endpoints;
	set_where(e);
	e->multi = curl_multi_init();
	if (!e->multi) {
		etcd_close(&e->kv);
		return err_set(err, ENOMEM, "out of memory");
	}
	*ret = &e->kv;
	return 0;
}

static void work(struct etcd *e)
{
	int running;

	etcd_unpause(e);
	curl_multi_perform(e->multi, &running);
	etcd_finished(e);
	kick(e);
	curl_multi_perform(e->multi, &running);
	etcd_finished(e);
}

static int wait(struct etcd *e, struct pollfd *fds, unsigned int n, int timeout_ms)
{
	struct curl_waitfd w[64];
	unsigned int i;
	int ready;

	if (n > sizeof(w) / sizeof(w[0]))
		return -E2BIG;
	for (i = 0; i < n; i++) {
		w[i] = (struct curl_waitfd){ .fd = fds[i].fd };
		w[i].events = (short)((fds[i].events & POLLIN ? CURL_WAIT_POLLIN : 0) |
				      (fds[i].events & POLLOUT ? CURL_WAIT_POLLOUT : 0));
	}
	if (timeout_ms < 0 || timeout_ms > TIMER_MS)
		timeout_ms = TIMER_MS;
	if (curl_multi_poll(e->multi, w, n, timeout_ms, &ready) != CURLM_OK)
		return -EIO;
	for (i = 0; i < n; i++)
		fds[i].revents = (short)((w[i].revents & CURL_WAIT_POLLIN ? POLLIN : 0) |
					 (w[i].revents & CURL_WAIT_POLLOUT ? POLLOUT : 0));
	return 0;
}

static int etcd_poll(struct kv *kv, struct pollfd *fds, unsigned int n, int timeout_ms)
{
	struct etcd *e = (struct etcd *)kv;
	int r;

	work(e);
	r = wait(e, fds, n, e->failed ? 0 : timeout_ms);
	work(e);
	return r;
}

static void etcd_wakeup(struct kv *kv)
{
	curl_multi_wakeup(((struct etcd *)kv)->multi);
}

const struct kv_ops kv_etcd = {
	.open = etcd_open,
	.close = etcd_close,
	.watch = etcd_watch,
	.unwatch = etcd_unwatch,
	.txn = etcd_txn,
	.poll = etcd_poll,
	.wakeup = etcd_wakeup,
};
