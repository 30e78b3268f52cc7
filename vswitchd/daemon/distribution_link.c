/* SPDX-License-Identifier: BSD-3-Clause */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "daemon/distribution_link.h"
#include "daemon/privileges.h"

#define PORTION	    512	  /* news in one turn of the main loop */
#define WAITING_MAX 16384 /* news; then the store is not read until half of them are gone */
#define PAUSE_MS    1000  /* before what the store could not do is said again */

enum order_kind { ORDER_PUBLISH, ORDER_SUBSCRIBE, ORDER_UNSUBSCRIBE, ORDER_CONFIRM };

/* Main thread -> store thread. */
struct order {
	STAILQ_ENTRY(order) link;
	enum order_kind what;
	unsigned int subscription;
	bool prefix, claim, held;
	char *key, *value;
};

/* Store thread -> main thread. */
struct news {
	STAILQ_ENTRY(news) link;
	enum link_news what;
	unsigned int subscription;
	char *key, *text;
	int64_t revision;
};

STAILQ_HEAD(order_list, order);
STAILQ_HEAD(news_list, news);

/* A key of ours. Store thread. */
struct publication {
	struct map_entry entry; /* first */
	TAILQ_ENTRY(publication) link, flight;
	char *value;		/* NULL: to be deleted */
	bool unsaid, flying;	/* in the lists */
	bool claim, held;	/* a claim of an earlier lease: not said before the owner has looked */
	bool fresh;		/* a claim of this lease: the owner is told when it is said */
};

TAILQ_HEAD(publication_list, publication);

struct link {
	sd_event *loop;
	sd_event_source *source;
	link_fn fn;
	void *arg;
	pthread_t thread;
	bool started;
	int event; /* news are there */

	pthread_mutex_t lock; /* of what follows */
	struct order_list orders;
	struct news_list news;
	unsigned int n_news;
	bool paused; /* the store is not read: main has enough to do */
	bool stop;
	struct link_stats stats;

	/* store thread */
	struct kv *kv;
	struct map publications;
	struct publication_list unsaid, flying;
	unsigned int n_unsaid, n_flying, n_held;
	bool troubled; /* has been logged */
	unsigned int alone;    /* that many are said one by one, to find the one that is refused */
	unsigned int leases;
	uint64_t n_refused, not_before; /* not_before: ms */
	bool up;
	unsigned int *watch_of; /* subscription + 1 by number of the watch */
	unsigned int n_watches;
};

/* ---- store thread: news ---- */

static void post(struct link *l, enum link_news what, unsigned int subscription, const char *key, const char *text,
		 int64_t revision)
{
	struct news *n = calloc(1, sizeof(*n));
	uint64_t one = 1;

	if (n && key)
		n->key = strdup(key);
	if (n && text)
		n->text = strdup(text);
	if (!n || (key && !n->key) || (text && !n->text)) {
		log_error("out of memory: a change of policy is lost until the store is loaded again");
		if (n)
			free(n->key);
		free(n);
		return;
	}
	n->what = what;
	n->subscription = subscription;
	n->revision = revision;
	pthread_mutex_lock(&l->lock);
	STAILQ_INSERT_TAIL(&l->news, n, link);
	if (l->n_news++ == 0)
		(void)!write(l->event, &one, sizeof(one));
	if (l->n_news >= WAITING_MAX && !l->paused) {
		l->paused = true;
		kv_pause(l->kv, true);
	}
	pthread_mutex_unlock(&l->lock);
}

static void on_event(void *arg, unsigned int watch, enum kv_event what, const char *key, const char *value,
		     int64_t revision, bool leased)
{
	static const enum link_news news[] = {
		[KV_BEGIN] = LINK_BEGIN, [KV_PUT] = LINK_PUT, [KV_DELETE] = LINK_DELETE, [KV_END] = LINK_END,
	};
	struct link *l = arg;

	if (watch < l->n_watches && l->watch_of[watch])
		post(l, news[what], l->watch_of[watch] - 1, key, value, revision);
}

static void on_state(void *arg, bool up, const char *text)
{
	struct link *l = arg;

	l->up = up;
	post(l, up ? LINK_UP : LINK_DOWN, 0, NULL, text, 0);
}

/* ---- store thread: what we publish ---- */

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void unsay(struct link *l, struct publication *p, bool first)
{
	l->n_held -= p->held;
	p->held = false;
	if (p->unsaid)
		return;
	p->unsaid = true;
	l->n_unsaid++;
	if (first)
		TAILQ_INSERT_HEAD(&l->unsaid, p, link);
	else
		TAILQ_INSERT_TAIL(&l->unsaid, p, link);
}

static void hold(struct link *l, struct publication *p)
{
	l->n_held += !p->held;
	p->held = true;
	p->fresh = false;
	if (!p->unsaid)
		return;
	p->unsaid = false;
	l->n_unsaid--;
	TAILQ_REMOVE(&l->unsaid, p, link);
}

/*
 * A new lease has nothing on it. What we are is said at once. Claims are held back: what was claimed may have moved
 * while nobody heard us, and the last word counts.
 */
static void on_lease(void *arg)
{
	struct link *l = arg;
	struct publication *p = NULL;

	l->leases++;
	while ((p = map_next(&l->publications, p))) {
		if (p->claim && p->value)
			hold(l, p);
		else
			unsay(l, p, false);
	}
	post(l, LINK_LEASE, l->leases, NULL, NULL, 0);
}

/* The owner knows the store as it was after this lease began; claims that are left hold. */
static void confirm(struct link *l, const struct order *o)
{
	struct publication *p = NULL;

	if (o->subscription != l->leases)
		return; /* there is a newer one already */
	while ((p = map_next(&l->publications, p)))
		if (p->held)
			unsay(l, p, false);
}

/*
 * Confirmed, refused, or unknown. All are said again together, but when one of them is refused or too long: then one by
 * one, and only that one is given up.
 */
static void on_said(void *arg, int r, const char *text)
{
	struct link *l = arg;
	bool refused = r == -EPERM || r == -E2BIG, again = r != 0 && r != -ECANCELED;
	struct publication *p;

	if (refused && l->n_flying > 1) {
		l->alone = l->n_flying;
	} else if (refused) {
		log_error("policy store: %s cannot be published: %s", TAILQ_FIRST(&l->flying)->entry.key, text);
		l->n_refused++;
		again = false;
	} else if (again && r != -EAGAIN) {
		if (!l->troubled)
			log_error("policy store: what this host has cannot be published yet: %s", text);
		l->troubled = true;
		l->not_before = now_ms() + PAUSE_MS;
	}
	l->troubled = l->troubled && r != 0;
	l->n_flying = 0;
	while ((p = TAILQ_LAST(&l->flying, publication_list))) {
		TAILQ_REMOVE(&l->flying, p, flight);
		p->flying = false;
		if (again && !p->held)
			unsay(l, p, true);
		if (p->fresh && p->value && !p->unsaid && (r == 0 || (refused && !again)))
			post(l, LINK_SAID, 0, p->entry.key, NULL, r == 0 ? kv_written(l->kv) : -1);
		if (!p->value && !p->unsaid)
			map_remove(&l->publications, p);
	}
}

static void say(struct link *l)
{
	struct kv_op ops[KV_OPS_MAX];
	unsigned int n = 0, max = l->alone ? 1 : KV_OPS_MAX;
	struct publication *p;
	int r;

	if (!TAILQ_EMPTY(&l->flying) || !l->up || now_ms() < l->not_before)
		return;
	while (n < max && (p = TAILQ_FIRST(&l->unsaid))) {
		TAILQ_REMOVE(&l->unsaid, p, link);
		l->n_unsaid--;
		p->unsaid = false;
		p->flying = true;
		TAILQ_INSERT_TAIL(&l->flying, p, flight);
		ops[n++] = (struct kv_op){ .key = p->entry.key, .value = p->value, .leased = true };
	}
	if (!n)
		return;
	l->n_flying = n;
	l->alone -= l->alone > 0;
	r = kv_txn(l->kv, KV_ALWAYS, "", ops, n, on_said, l);
	if (r < 0)
		on_said(l, r, strerror(-r));
}

/* ---- store thread: orders ---- */

static void publish(struct link *l, struct order *o)
{
	struct publication *p = map_make(&l->publications, o->key, sizeof(*p));

	if (!p)
		return;
	free(p->value);
	p->value = TAKE(o->value);
	p->claim = o->claim;
	p->fresh = o->claim;
	if (o->held && p->value)
		hold(l, p);
	else
		unsay(l, p, false);
}

static void subscribe(struct link *l, const struct order *o)
{
	int w = kv_watch(l->kv, o->key, o->prefix);

	if (w >= 0 && (unsigned int)w >= l->n_watches) {
		unsigned int n = (unsigned int)w + 64;
		unsigned int *p = reallocarray(l->watch_of, n, sizeof(*p));

		if (p) {
			memset(p + l->n_watches, 0, (n - l->n_watches) * sizeof(*p));
			l->watch_of = p;
			l->n_watches = n;
		} else {
			kv_unwatch(l->kv, (unsigned int)w);
			w = -ENOMEM;
		}
	}
	if (w < 0)
		log_error("policy store: %s cannot be watched: %s", o->key, strerror(-w));
	else
		l->watch_of[w] = o->subscription + 1;
}

static void unsubscribe(struct link *l, const struct order *o)
{
	for (unsigned int w = 0; w < l->n_watches; w++) {
		if (l->watch_of[w] != o->subscription + 1)
			continue;
		kv_unwatch(l->kv, w);
		l->watch_of[w] = 0;
	}
}

static void order_free(struct order *o)
{
	free(o->key);
	free(o->value);
	free(o);
}

static bool obey(struct link *l)
{
	struct order_list list = STAILQ_HEAD_INITIALIZER(list);
	struct order *o;
	bool stop;

	pthread_mutex_lock(&l->lock);
	STAILQ_CONCAT(&list, &l->orders);
	stop = l->stop;
	if (l->paused && l->n_news < WAITING_MAX / 2) {
		l->paused = false;
		kv_pause(l->kv, false);
	}
	kv_counters(l->kv, &l->stats.kv);
	str_copy(l->stats.where, sizeof(l->stats.where), kv_where(l->kv));
	l->stats.published = (unsigned int)l->publications.n;
	l->stats.unsaid = l->n_unsaid + l->n_held;
	l->stats.refused = l->n_refused;
	pthread_mutex_unlock(&l->lock);
	while ((o = STAILQ_FIRST(&list))) {
		STAILQ_REMOVE_HEAD(&list, link);
		if (o->what == ORDER_PUBLISH)
			publish(l, o);
		else if (o->what == ORDER_SUBSCRIBE)
			subscribe(l, o);
		else if (o->what == ORDER_CONFIRM)
			confirm(l, o);
		else
			unsubscribe(l, o);
		order_free(o);
	}
	return !stop;
}

static void *run(void *arg)
{
	struct link *l = arg;
	int r;

	(void)privileges_drop_thread(); /* it talks to the network; what we have may be given up: it cannot fail */
	while (obey(l)) {
		say(l);
		r = kv_poll(l->kv, NULL, 0, 1000);
		if (r < 0)
			log_error_errno(r, "policy store: %m");
	}
	return NULL;
}

/* ---- main thread ---- */

static void news_free(struct news *n)
{
	free(n->key);
	free(n->text);
	free(n);
}

static int on_news(sd_event_source *s, int fd, uint32_t events, void *userdata)
{
	struct news_list list = STAILQ_HEAD_INITIALIZER(list);
	struct link *l = userdata;
	struct news *n;
	uint64_t count;
	bool enough;

	pthread_mutex_lock(&l->lock);
	for (unsigned int i = 0; i < PORTION && (n = STAILQ_FIRST(&l->news)); i++) {
		STAILQ_REMOVE_HEAD(&l->news, link);
		STAILQ_INSERT_TAIL(&list, n, link);
		l->n_news--;
	}
	/* The rest keeps the descriptor readable: others have their turn in between. */
	if (!l->n_news)
		(void)!read(l->event, &count, sizeof(count));
	enough = l->paused && l->n_news < WAITING_MAX / 2;
	pthread_mutex_unlock(&l->lock);
	if (enough)
		kv_wakeup(l->kv);
	while ((n = STAILQ_FIRST(&list))) {
		STAILQ_REMOVE_HEAD(&list, link);
		l->fn(l->arg, n->what, n->subscription, n->key, n->text, n->revision);
		news_free(n);
	}
	return 0;
}

static int order(struct link *l, const struct order *like, const char *key, const char *value)
{
	struct order *o = calloc(1, sizeof(*o));

	if (o) {
		*o = *like;
		o->key = key ? strdup(key) : NULL;
		o->value = value ? strdup(value) : NULL;
	}
	if (!o || (key && !o->key) || (value && !o->value)) {
		if (o)
			order_free(o);
		return -ENOMEM;
	}
	pthread_mutex_lock(&l->lock);
	STAILQ_INSERT_TAIL(&l->orders, o, link);
	pthread_mutex_unlock(&l->lock);
	kv_wakeup(l->kv);
	return 0;
}

int link_publish(struct link *l, const char *key, const char *value)
{
	return order(l, &(struct order){ .what = ORDER_PUBLISH }, key, value);
}

int link_claim(struct link *l, const char *key, const char *value, bool held)
{
	return order(l, &(struct order){ .what = ORDER_PUBLISH, .claim = true, .held = held }, key, value);
}

int link_confirm(struct link *l, unsigned int lease)
{
	return order(l, &(struct order){ .what = ORDER_CONFIRM, .subscription = lease }, NULL, NULL);
}

int link_subscribe(struct link *l, unsigned int subscription, const char *key, bool prefix)
{
	struct order o = { .what = ORDER_SUBSCRIBE, .subscription = subscription, .prefix = prefix };

	return order(l, &o, key, NULL);
}

int link_unsubscribe(struct link *l, unsigned int subscription)
{
	return order(l, &(struct order){ .what = ORDER_UNSUBSCRIBE, .subscription = subscription }, NULL, NULL);
}

void link_stats(struct link *l, struct link_stats *ret)
{
	pthread_mutex_lock(&l->lock);
	*ret = l->stats;
	ret->waiting = l->n_news;
	pthread_mutex_unlock(&l->lock);
}

int link_new(sd_event *loop, const struct kv_config *config, link_fn fn, void *arg, struct link **ret,
	     struct errbuf *err)
{
	static const struct kv_handlers handlers = { .event = on_event, .state = on_state, .lease = on_lease };
	struct link *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return err_set(err, ENOMEM, "out of memory");
	l->loop = loop;
	l->fn = fn;
	l->arg = arg;
	pthread_mutex_init(&l->lock, NULL);
	STAILQ_INIT(&l->orders);
	STAILQ_INIT(&l->news);
	TAILQ_INIT(&l->unsaid);
	TAILQ_INIT(&l->flying);
	l->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = l->event < 0 ? err_set(err, errno, "eventfd: %s", strerror(errno)) : 0;
	if (r == 0)
		r = kv_open(config, &handlers, l, &l->kv, err);
	if (r == 0) {
		r = sd_event_add_io(loop, &l->source, l->event, EPOLLIN, on_news, l);
		if (r >= 0)
			r = -pthread_create(&l->thread, NULL, run, l);
		l->started = r == 0;
		if (r < 0)
			err_set(err, -r, "cannot start the thread of the policy store: %s", strerror(-r));
	}
	if (r < 0) {
		link_free(l);
		return r;
	}
	pthread_setname_np(l->thread, "policy-store");
	*ret = l;
	return 0;
}

static void free_lists(struct link *l)
{
	struct publication *p = NULL;
	struct order *o;
	struct news *n;

	while ((o = STAILQ_FIRST(&l->orders))) {
		STAILQ_REMOVE_HEAD(&l->orders, link);
		order_free(o);
	}
	while ((n = STAILQ_FIRST(&l->news))) {
		STAILQ_REMOVE_HEAD(&l->news, link);
		news_free(n);
	}
	while ((p = map_next(&l->publications, p)))
		free(p->value);
	map_free(&l->publications);
	free(l->watch_of);
}

struct link *link_free(struct link *l)
{
	if (!l)
		return NULL;
	sd_event_source_disable_unref(l->source);
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	pthread_mutex_unlock(&l->lock);
	if (l->started) {
		kv_wakeup(l->kv);
		pthread_join(l->thread, NULL);
	}
	l->kv = kv_close(l->kv);
	free_lists(l);
	closep(&l->event);
	pthread_mutex_destroy(&l->lock);
	free(l);
	return NULL;
}
