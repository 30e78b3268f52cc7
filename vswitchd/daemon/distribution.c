/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes from the shared store, and who is followed. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/distribution_private.h"
#include "policy/manager/manager.h"

#define RETRY_US 200000 /* from a record to another try of those that were refused */

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- objects ---- */

static bool is_self(const struct distribution *d, enum object_kind kind, const union object_spec *spec)
{
	return kind == OBJECT_HOST && strcmp(spec->host.id, d->m->settings.host_id) == 0;
}

static void keep(struct distribution *d, enum object_kind kind, const void *spec, bool gone)
{
	struct manager *m = d->m;

	/* A local store that fails is behind then; the next start compares anyway. */
	if (storectl_pending(m->store) >= STORECTL_MAX)
		return;
	if (gone)
		(void)storectl_delete(m->store, kind, spec, NULL, NULL);
	else
		(void)storectl_put(m->store, kind, spec, ORIGIN_MANAGER, NULL, NULL);
}

/* A record is no use without the host that it names. */
static void follow_host(struct distribution *d, enum object_kind kind, const union object_spec *spec)
{
	char key[ID_SIZE + 8];

	if (kind != OBJECT_RECORD || !*spec->record.host || strcmp(spec->record.host, d->m->settings.host_id) == 0)
		return;
	snprintf(key, sizeof(key), "host/%s", spec->record.host);
	distribution_want(d, key, false);
}

static void settle(struct distribution *d, struct remote *remote)
{
	d->retries -= remote->refused || remote->gone;
	free(TAKE(remote->refused));
	remote->gone = false;
}

static void forget(struct distribution *d, struct remote *remote)
{
	struct map_entry *domain = map_find(&d->domains, remote->entry.key);

	settle(d, remote);
	if (domain)
		map_remove(&d->domains, domain);
	free(TAKE(remote->members));
	free(TAKE(remote->said));
	map_remove(&d->remote, remote);
}

/* Subnets are told of one by one: what stands in the way now may have gone from the store already. */
static void refuse(struct distribution *d, struct remote *remote, const char *text, const char *why)
{
	char *copy = strdup(text);

	if (!remote->refused || strcmp(remote->refused, text) != 0) {
		d->info.refused++;
		log_warning("policy store: %s: %s", remote->entry.key, why);
	}
	settle(d, remote);
	remote->refused = copy;
	d->retries += copy != NULL;
}

/* Trying all that was refused is work of its size: not for each record. */
static void retry_later(struct distribution *d)
{
	int enabled;

	if (sd_event_source_get_enabled(d->again, &enabled) < 0 || enabled != SD_EVENT_OFF)
		return;
	sd_event_source_set_time_relative(d->again, RETRY_US);
	sd_event_source_set_enabled(d->again, SD_EVENT_ONESHOT);
}

static void apply(struct distribution *d, struct remote *remote, const char *text, enum object_kind kind,
		  const union object_spec *spec)
{
	struct errbuf err;
	int r = objects_apply_set(d->m, kind, spec, ORIGIN_MANAGER, &err);

	if (r >= 0)
		follow_host(d, kind, spec);
	if (r < 0 && r != -EPERM) {
		refuse(d, remote, text, err.text);
		return;
	}
	settle(d, remote);
	if (r == 1)
		return;
	if (r == -EPERM) {
		d->info.refused++; /* the configuration's, or an administrator's of this host */
		return;
	}
	d->m->changes++;
	d->info.applied++;
	/* A prefix may have gone from a subnet; a MAC may have moved, with which a new address of it agrees. */
	if (kind != OBJECT_RECORD) {
		d->retry = true;
		distribution_look(d);
	} else if (d->retries) {
		retry_later(d);
	}
	keep(d, kind, spec, false);
}

/* What is no object: who has ports in a subnet, which subnets a routing domain has, which claims do not count. */
static void apply_other(struct distribution *d, struct remote *remote, const char *text)
{
	int r = distribution_refusal(d, remote, text) ? 0 : distribution_members(d, remote, text);

	if (r == -ENOENT) {
		(void)map_make(&d->domains, remote->entry.key, sizeof(struct map_entry));
		distribution_look(d);
	} else if (r < 0) {
		refuse(d, remote, text, "not all hosts with ports there are members yet");
	} else {
		settle(d, remote);
		d->info.applied++;
	}
}

/* The subscription that a key belongs to, if it does. */
static bool belongs(const struct subscription_entry *s, const char *key)
{
	size_t n = strlen(s->entry.key);

	return s->prefix ? strncmp(key, s->entry.key, n) == 0 : strcmp(key, s->entry.key) == 0;
}

static void apply_text(struct distribution *d, struct remote *remote, const char *text)
{
	enum object_kind kind;
	union object_spec spec;
	struct errbuf err;
	int r = pm_object_read(remote->entry.key, text, &kind, &spec, &err);

	if (r == -ENOENT) {
		apply_other(d, remote, text);
	} else if (r < 0) {
		settle(d, remote);
		d->info.refused++;
		log_warning("policy store: %s: %s, ignored", remote->entry.key, err.text);
	} else if (!is_self(d, kind, &spec)) {
		apply(d, remote, text, kind, &spec);
	}
}

static void put(struct distribution *d, struct subscription_entry *s, const char *key, const char *text,
		int64_t revision)
{
	struct remote *remote = map_make(&d->remote, key, sizeof(*remote));

	if (!remote)
		return;
	remote->generation = s->generation;
	if (!distribution_is_late(d, key, text, revision))
		apply_text(d, remote, text);
}

/* Policy cannot let go of it yet: a subnet with a port in it. The key stays, as gone. */
static void goes_later(struct distribution *d, struct remote *remote, const char *why)
{
	if (!remote->gone)
		log_warning("policy store: %s is gone, but: %s", remote->entry.key, why);
	settle(d, remote);
	remote->gone = true;
	d->retries++;
}

static void drop(struct distribution *d, struct remote *remote)
{
	enum object_kind kind;
	union object_spec spec;
	struct errbuf err;
	int r = pm_key_read(remote->entry.key, &kind, &spec);

	if (r < 0 || is_self(d, kind, &spec)) {
		if (distribution_members(d, remote, NULL) == -EAGAIN) {
			goes_later(d, remote, "out of memory");
			return;
		}
		forget(d, remote);
		d->retry = true; /* there may be room for other members */
		distribution_look(d);
		return;
	}
	r = objects_apply_remove(d->m, kind, &spec, ORIGIN_MANAGER, &err);
	if (r < 0 && r != -ENOENT && r != -EPERM) {
		goes_later(d, remote, err.text);
		return;
	}
	if (r == 0) {
		d->m->changes++;
		d->info.removed++;
		d->retry = true;
		distribution_look(d); /* it may have been the last one that names its host */
		keep(d, kind, &spec, true);
	}
	forget(d, remote);
}

/* What policy did not take, or not let go of. Removals make room for what comes. */
static void retry(struct distribution *d, bool gone)
{
	struct remote *remote = map_next(&d->remote, NULL), *next;

	for (; remote && d->retries; remote = next) {
		next = map_next(&d->remote, remote);
		if (gone && remote->gone) {
			drop(d, remote);
		} else if (!gone && remote->refused) {
			CLEANUP_FREE char *text = strdup(remote->refused);

			if (text)
				apply_text(d, remote, text);
		}
	}
}

static void retry_all(struct distribution *d)
{
	if (!d->retries)
		return;
	retry(d, true);
	if (!d->retry)
		return;
	d->retry = false;
	retry(d, false);
}

void distribution_late(struct distribution *d, const char *key, const char *text)
{
	struct remote *remote = map_find(&d->remote, key);

	if (remote && text)
		apply_text(d, remote, text);
	else if (remote)
		drop(d, remote);
}

/* What was there before and did not come again. @param revision of what did come; 0: all of it goes. */
static void sweep(struct distribution *d, const struct subscription_entry *s, int64_t revision)
{
	struct remote *remote = s->prefix ? map_next(&d->remote, NULL) : map_find(&d->remote, s->entry.key), *next;

	if (!s->prefix && remote && remote->generation != s->generation && !remote->gone)
		drop(d, remote);
	if (!s->prefix)
		return;
	for (; remote; remote = next) {
		next = map_next(&d->remote, remote);
		if (remote->generation == s->generation || remote->gone || !belongs(s, remote->entry.key) ||
		    (revision && distribution_is_late(d, remote->entry.key, NULL, revision)))
			continue;
		drop(d, remote);
	}
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
		put(d, s, key, text, revision);
		break;
	case LINK_DELETE:
		remote = map_find(&d->remote, key);
		if (remote && !distribution_is_late(d, key, NULL, revision))
			drop(d, remote);
		break;
	default:
		sweep(d, s, revision);
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
	sweep(d, s, 0);
	link_unsubscribe(d->link, s->number);
	d->loading -= !s->loaded;
	if (d->last == s)
		d->last = NULL;
	map_remove(&d->subscriptions, s);
}

/* Objects of the last run that nobody asks for now. Only when the store has answered everything. */
static void prune(struct distribution *d)
{
	struct remote *remote = map_next(&d->remote, NULL), *next;

	if (d->pruned || d->loading || !d->info.up)
		return;
	d->pruned = true;
	for (; remote; remote = next) {
		next = map_next(&d->remote, remote);
		if (!remote->generation)
			drop(d, remote);
	}
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
	prune(d);
	distribution_claims_end(d);
	retry_all(d);
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

static void remember_member(const char *key, const char *text, void *arg)
{
	struct distribution *d = arg;
	struct remote *remote = map_make(&d->remote, key, sizeof(*remote));

	if (!remote)
		return;
	remote->kept = true;
	apply_other(d, remote, text);
}

/* What the local store kept of the last run. */
static void remember(struct distribution *d, enum object_kind kind)
{
	union object_spec spec;
	char key[KV_KEY_MAX];
	enum origin origin;
	uint64_t cursor = 0;

	while (policy_next(d->m->policy, kind, &cursor, &spec, &origin)) {
		if (origin == ORIGIN_MANAGER && pm_key(kind, &spec, key, sizeof(key)) > 0)
			(void)map_make(&d->remote, key, sizeof(struct remote));
		if (origin == ORIGIN_MANAGER)
			follow_host(d, kind, &spec);
		/* Once confirmed they are the manager's; the learner has taken them over all the same. */
		if (origin >= ORIGIN_MANAGER && kind == OBJECT_RECORD && spec.record.type == RECORD_DYNAMIC &&
		    ip_is_set(&spec.record.ca) && strcmp(spec.record.host, d->m->settings.host_id) == 0)
			distribution_claim(d, &spec.record, false, true);
	}
}

static bool is_configured(const struct kv_config *c)
{
	return c->backend == KV_ETCD || *c->path;
}

int distribution_new(struct manager *m, struct distribution **ret, struct errbuf *err)
{
	static const enum object_kind kinds[] = { OBJECT_HOST, OBJECT_SUBNET, OBJECT_RECORD, OBJECT_ROUTE };
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
	for (unsigned int k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		remember(d, kinds[k]);
	if (storectl_notes(m->store, remember_member, d, err) < 0) {
		/* What is unknown now comes from the shared store. */
		log_warning("hosts with ports in the same subnets: %s", err->text);
	}
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
