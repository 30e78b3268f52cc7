/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes from the shared store becomes policy; what policy does not take, or not let go of, is tried again. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/distribution_private.h"
#include "policy/manager/manager.h"

#define RETRY_US 200000 /* from a record to another try of those that were refused */

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

void distribution_put(struct distribution *d, struct subscription_entry *s, const char *key, const char *text,
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

void distribution_drop(struct distribution *d, struct remote *remote)
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
			distribution_drop(d, remote);
		} else if (!gone && remote->refused) {
			CLEANUP_FREE char *text = strdup(remote->refused);

			if (text)
				apply_text(d, remote, text);
		}
	}
}

void distribution_retry(struct distribution *d)
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
		distribution_drop(d, remote);
}

void distribution_sweep(struct distribution *d, const struct subscription_entry *s, int64_t revision)
{
	struct remote *remote = s->prefix ? map_next(&d->remote, NULL) : map_find(&d->remote, s->entry.key), *next;

	if (!s->prefix && remote && remote->generation != s->generation && !remote->gone)
		distribution_drop(d, remote);
	if (!s->prefix)
		return;
	for (; remote; remote = next) {
		next = map_next(&d->remote, remote);
		if (remote->generation == s->generation || remote->gone || !belongs(s, remote->entry.key) ||
		    (revision && distribution_is_late(d, remote->entry.key, NULL, revision)))
			continue;
		distribution_drop(d, remote);
	}
}

/* ---- the last run ---- */

/* Objects of the last run that nobody asks for now. Only when the store has answered everything. */
void distribution_prune(struct distribution *d)
{
	struct remote *remote = map_next(&d->remote, NULL), *next;

	if (d->pruned || d->loading || !d->info.up)
		return;
	d->pruned = true;
	for (; remote; remote = next) {
		next = map_next(&d->remote, remote);
		if (!remote->generation)
			distribution_drop(d, remote);
	}
}

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

void distribution_remember(struct distribution *d)
{
	static const enum object_kind kinds[] = { OBJECT_HOST, OBJECT_SUBNET, OBJECT_RECORD, OBJECT_ROUTE };
	struct errbuf err = { "" };

	for (unsigned int k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		remember(d, kinds[k]);
	/* What is unknown now comes from the shared store. */
	if (storectl_notes(d->m->store, remember_member, d, &err) < 0)
		log_warning("hosts with ports in the same subnets: %s", err.text);
}
