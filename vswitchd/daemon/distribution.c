/* SPDX-License-Identifier: BSD-3-Clause */
/* What is followed in the shared store, and what it tells of that. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/distribution_private.h"
#include "policy/manager/manager.h"

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- news ---- */

static struct subscription_entry *by_number(struct distribution *d, unsigned int number)
{
	struct subscription_entry *s = NULL;

	if (d->last && d->last->number == number)
		return d->last;
	while ((s = map_next(&d->subscriptions, s)) && s->number != number)
		;
	d->last = s;
	return s;
}

static void state(struct distribution *d, bool up, const char *text)
{
	if (d->info.up == up && d->info.since_us)
		return;
	d->info.up = up;
	d->info.since_us = now_us();
	str_copy(d->info.problem, sizeof(d->info.problem), up ? "" : text);
	manager_emit(d->m, EVENT_STORE, "result", up ? "connected" : "lost", "text", text, NULL);
}

/*
 * Our lease is a new one. What we claim may have moved to others while nobody heard us, and what we say now would be
 * newer: first the state of the store is looked at, by which the learner forgets what is not here any more.
 */
static void compare_all(struct distribution *d, unsigned int lease)
{
	struct subscription_entry *s = NULL;

	d->lease = lease;
	distribution_claims_forget(d);
	while ((s = map_next(&d->subscriptions, s))) {
		if (!s->prefix || !s->loaded)
			continue;
		link_unsubscribe(d->link, s->number);
		s->number = ++d->numbers;
		s->loaded = false;
		d->loading++;
		if (link_subscribe(d->link, s->number, s->entry.key, true) < 0)
			log_error("out of memory: %s is not followed", s->entry.key);
	}
	distribution_look(d);
}

static void confirm(struct distribution *d)
{
	if (!d->lease || d->loading || !d->info.up || link_confirm(d->link, d->lease) < 0)
		return;
	d->lease = 0;
}

static void on_news(void *arg, enum link_news what, unsigned int number, const char *key, const char *text,
		    int64_t revision)
{
	struct distribution *d = arg;
	struct subscription_entry *s;
	struct remote *remote;

	if (what == LINK_UP || what == LINK_DOWN) {
		state(d, what == LINK_UP, text);
		return;
	}
	if (what == LINK_LEASE) {
		compare_all(d, number);
		return;
	}
	if (what == LINK_SAID) {
		distribution_claim_said(d, key, revision);
		return;
	}
	s = by_number(d, number);
	if (!s)
		return; /* not followed any more */
	switch (what) {
	case LINK_BEGIN:
		/* Numbers of their own, for a key may come by two ways. */
		s->generation = ++d->generations;
		d->loading += s->loaded;
		s->loaded = false;
		break;
	case LINK_PUT:
		distribution_put(d, s, key, text, revision);
		break;
	case LINK_DELETE:
		remote = map_find(&d->remote, key);
		if (remote && !distribution_is_late(d, key, NULL, revision))
			distribution_drop(d, remote);
		break;
	default:
		distribution_sweep(d, s, revision);
		d->loading -= !s->loaded;
		s->loaded = true;
		distribution_look(d);
		break;
	}
}

/* ---- who is followed ---- */

void distribution_want(struct distribution *d, const char *key, bool prefix)
{
	struct subscription_entry *s = map_make(&d->subscriptions, key, sizeof(*s));

	if (!s)
		return;
	s->wanted = true;
	if (s->number)
		return;
	s->number = ++d->numbers;
	s->prefix = prefix;
	s->generation = ++d->generations;
	d->loading++;
	if (link_subscribe(d->link, s->number, key, prefix) < 0)
		log_error("out of memory: %s is not followed", key);
}

static void want_subnet(struct distribution *d, uint32_t vsid)
{
	struct subnet_spec s = { .vsid = vsid };
	char key[ID_SIZE + 16];
	enum origin origin;

	snprintf(key, sizeof(key), "vsid/%u/", vsid);
	distribution_want(d, key, true);
	if (policy_get(d->m->policy, OBJECT_SUBNET, &s, &origin) < 0 || !*s.rdid)
		return;
	snprintf(key, sizeof(key), "rd/%s/", s.rdid);
	distribution_want(d, key, true);
}

/* "rd/<rdid>/vsid/<vsid>" of a routing domain that is wanted. */
static void want_sibling(struct distribution *d, const char *key)
{
	const char *what = strncmp(key, "rd/", 3) == 0 ? strchr(key + 3, '/') : NULL;
	const struct subscription_entry *s;
	char domain[ID_SIZE + 8], own[32];
	uint64_t vsid;

	if (!what || strncmp(what, "/vsid/", 6) != 0 || (size_t)(what - key) + 2 > sizeof(domain) ||
	    parse_u64(what + 6, 1, UINT32_MAX, &vsid) < 0)
		return;
	snprintf(domain, sizeof(domain), "%.*s/", (int)(what - key), key);
	s = map_find(&d->subscriptions, domain);
	if (!s || !s->wanted)
		return;
	snprintf(own, sizeof(own), "vsid/%u/", (unsigned int)vsid);
	distribution_want(d, own, true);
}

/* A subnet or host that is not followed any more, with all that is in it. */
static void unfollow(struct distribution *d, struct subscription_entry *s)
{
	s->generation = ++d->generations;
	distribution_sweep(d, s, 0);
	link_unsubscribe(d->link, s->number);
	d->loading -= !s->loaded;
	if (d->last == s)
		d->last = NULL;
	map_remove(&d->subscriptions, s);
}

static void look(struct distribution *d)
{
	struct subscription_entry *s = NULL, *next;
	struct map_entry *domain = NULL;
	char refusals[ID_SIZE + 16];

	/* Of hosts those that a record or a member names: with the last one that goes the host is given up. */
	while ((s = map_next(&d->subscriptions, s)))
		s->wanted = !s->prefix && policy_host_named(d->m->policy, s->entry.key + 5);
	snprintf(refusals, sizeof(refusals), "refused/%s/", d->m->settings.host_id);
	distribution_want(d, refusals, true);
	for (unsigned int i = 0; i < POLICY_MAX_PORTS; i++)
		if (d->m->ports[i] && d->m->ports[i]->spec.vsid)
			want_subnet(d, d->m->ports[i]->spec.vsid);
	/* Guests that have moved: the old host has to know where they are. */
	for (uint32_t cursor = 0, vsid = 0; policy_departed_next(d->m->policy, &cursor, &vsid);)
		want_subnet(d, vsid);
	while ((domain = map_next(&d->domains, domain)))
		want_sibling(d, domain->key);
	for (s = map_next(&d->subscriptions, NULL); s; s = next) {
		next = map_next(&d->subscriptions, s);
		if (!s->wanted)
			unfollow(d, s);
	}
	distribution_prune(d);
	distribution_claims_end(d);
	distribution_retry(d);
	confirm(d);
	distribution_publish(d);
}

static int on_look(sd_event_source *source, void *userdata)
{
	look(userdata);
	return 0;
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct distribution *d = userdata;

	d->retry = true;
	look(d);
	return 0;
}

void distribution_look(struct distribution *d)
{
	sd_event_source_set_enabled(d->look, SD_EVENT_ONESHOT);
}

/* Ports, addresses and weights change with events; what they are is looked up. */
static void on_manager_event(const struct event *ev, void *arg)
{
	distribution_look(arg);
}

/* ---- life ---- */

static bool is_configured(const struct kv_config *c)
{
	return c->backend == KV_ETCD || *c->path;
}

int distribution_new(struct manager *m, struct distribution **ret, struct errbuf *err)
{
	struct distribution *d;
	int r;

	*ret = NULL;
	if (!is_configured(&m->settings.store))
		return 0;
	d = calloc(1, sizeof(*d));
	if (!d)
		return err_set(err, ENOMEM, "out of memory");
	d->m = m;
	d->info.backend = kv_backend_names[m->settings.store.backend];
	r = link_new(m->loop, &m->settings.store, on_news, d, &d->link, err);
	if (r == 0) {
		r = sd_event_add_defer(m->loop, &d->look, on_look, d);
		if (r >= 0)
			r = sd_event_add_time_relative(m->loop, &d->again, CLOCK_MONOTONIC, 0, 0, on_again, d);
		if (r >= 0)
			r = sd_event_source_set_enabled(d->again, SD_EVENT_OFF);
		d->events = r < 0 ? NULL : manager_subscribe(m, on_manager_event, d);
		if (r < 0 || !d->events)
			r = err_set(err, ENOMEM, "out of memory");
	}
	if (r < 0) {
		distribution_free(d);
		return r;
	}
	distribution_remember(d);
	*ret = d;
	return 0;
}

struct distribution *distribution_free(struct distribution *d)
{
	struct published *p = NULL;
	struct remote *remote = NULL;

	if (!d)
		return NULL;
	if (d->events)
		manager_unsubscribe(d->m, d->events);
	sd_event_source_disable_unref(d->look);
	sd_event_source_disable_unref(d->again);
	d->link = link_free(d->link);
	while ((p = map_next(&d->published, p)))
		free(p->value);
	while ((remote = map_next(&d->remote, remote))) {
		free(remote->refused);
		free(remote->members);
		free(remote->said);
	}
	map_free(&d->published);
	map_free(&d->remote);
	map_free(&d->domains);
	distribution_claims_forget(d);
	map_free(&d->subscriptions);
	free(d);
	return NULL;
}

void distribution_info(struct distribution *d, struct distribution_info *ret)
{
	if (!d) {
		memset(ret, 0, sizeof(*ret));
		return;
	}
	*ret = d->info;
	ret->enabled = true;
	ret->synced = d->info.up && !d->loading;
	ret->subscriptions = (unsigned int)d->subscriptions.n;
	ret->loading = d->loading;
	ret->objects = (unsigned int)d->remote.n;
	link_stats(d->link, &ret->link);
}
