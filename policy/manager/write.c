/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes. One transaction is on its way, and what comes meanwhile goes into the next one together: alone it goes at
 * once, in a storm a hundred go at a time. What hosts learn goes before what administrators load.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "policy/manager/manager_private.h"

#define PAUSE_MS 1000 /* before what the store could not do is written again */

static int add_waiter(struct write *w, pm_done_fn fn, void *arg)
{
	struct waiter *n, **p = &w->waiters;

	if (!fn)
		return 0;
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	n->fn = fn;
	n->arg = arg;
	while (*p)
		p = &(*p)->next;
	*p = n;
	return 0;
}

static void queue(struct pm *m, struct write *w)
{
	if (!w->value && w->counts) /* it was to be an address more, and is one less now */
		pm_write_counted(m, TAKE(w->counts), false);
	w->queued = true;
	if (w->live)
		TAILQ_INSERT_TAIL(&m->live, w, link);
	else
		TAILQ_INSERT_TAIL(&m->bulk, w, link);
}

static void unqueue(struct pm *m, struct write *w)
{
	if (!w->queued)
		return;
	w->queued = false;
	if (w->live)
		TAILQ_REMOVE(&m->live, w, link);
	else
		TAILQ_REMOVE(&m->bulk, w, link);
}

/* Gone before its owners are told: they may write the key again. */
static void end(struct pm *m, struct write *w, int r, const char *text)
{
	struct waiter *n = TAKE(w->waiters), *next;

	if (w->counts)
		pm_write_counted(m, w->counts, r == 0);
	free(w->value);
	free(w->spec);
	map_remove(&m->writes, w);
	for (; n; n = next) {
		next = n->next;
		n->fn(n->arg, r, text);
		free(n);
	}
}

int pm_write(struct pm *m, const char *key, const char *value, bool live, pm_done_fn fn, void *arg)
{
	CLEANUP_FREE char *copy = value ? strdup(value) : NULL;
	struct write *w;

	if (value && !copy)
		return -ENOMEM;
	w = map_make(&m->writes, key, sizeof(*w));
	if (!w || add_waiter(w, fn, arg) < 0)
		return -ENOMEM;
	/* What is on its way has been copied; the new value follows it. */
	free(w->value);
	free(TAKE(w->spec));
	w->parsed = false;
	w->value = TAKE(copy);
	if (w->flying) {
		w->again = true;
		return 0;
	}
	unqueue(m, w);
	w->live = live;
	queue(m, w);
	return 0;
}

void pm_write_count(struct pm *m, const char *key, struct mac_count *c)
{
	struct write *w = map_find(&m->writes, key);

	if (!w || w->counts == c)
		return;
	if (w->counts)
		pm_write_counted(m, w->counts, false);
	w->counts = c;
	c->pending++;
}

void pm_write_arrived(struct pm *m, const char *key, struct mac_count *c)
{
	struct write *w = map_find(&m->writes, key);

	if (w && w->counts == c)
		pm_write_counted(m, TAKE(w->counts), true);
}

bool pm_write_pending(const struct pm *m, const char *key, const char **ret_value)
{
	const struct write *w = map_find(&m->writes, key);

	if (w)
		*ret_value = w->value;
	return w != NULL;
}

const void *pm_write_object(struct write *w, enum object_kind kind)
{
	union object_spec spec;
	struct errbuf err;

	if (!w->parsed && w->value && pm_object_read(w->entry.key, w->value, &w->kind, &spec, &err) == 0) {
		w->spec = malloc(object_types[w->kind].size);
		if (w->spec)
			memcpy(w->spec, &spec, object_types[w->kind].size);
	}
	w->parsed = true;
	return w->spec && w->kind == kind ? w->spec : NULL;
}

/* ---- one transaction ---- */

static void landed(struct pm *m, struct write *w)
{
	/* Known before the store tells: what is judged meanwhile is judged by it. */
	pm_value_written(m, w->entry.key, w->value, kv_written(m->kv));
}

static void on_written(void *arg, int r, const char *text)
{
	struct pm *m = arg;
	struct write *w;

	bool stale, again = r == -EAGAIN, troubled = r < 0 && r != -EAGAIN && r != -ECANCELED;

	if (r == 1)
		r = -ESTALE;
	if (troubled && !m->troubled)
		log_error("policy store: writing: %s", text);
	m->troubled = troubled;
	if (troubled)
		m->write_at = pm_now() + PAUSE_MS;
	/* One of many that is refused or too long is found by writing them one by one. */
	if ((r == -EPERM || r == -E2BIG) && m->n_flying > 1) {
		m->alone = m->n_flying;
		m->write_at = 0;
		again = true;
	}
	m->n_flying = 0;
	m->info.writes += r == 0;
	while ((w = TAILQ_FIRST(&m->flying))) {
		TAILQ_REMOVE(&m->flying, w, link);
		w->flying = false;
		/* What hosts have learned is not said twice, and nobody waits for it. */
		if (m->info.leader && (w->again || again || (r == -EIO && w->live))) {
			w->again = false;
			queue(m, w);
			continue;
		}
		stale = r == -ESTALE || (r == 0 && w->again); /* its last word was not written */
		if (r == 0 && !stale)
			landed(m, w);
		end(m, w, stale ? -EAGAIN : r, stale ? "another manager is elected" : text);
	}
	if (r == -ESTALE && m->info.leader) {
		m->info.leader = false;
		log_notice("manager %s is not elected any more: another one wrote", m->config.id);
		pm_write_drop(m, -EAGAIN, "another manager is elected");
	}
}

static unsigned int gather(struct pm *m, struct write_list *from, struct kv_op *ops, unsigned int n,
			   unsigned int max)
{
	struct write *w;

	while (n < max && (w = TAILQ_FIRST(from))) {
		unqueue(m, w);
		w->flying = true;
		TAILQ_INSERT_TAIL(&m->flying, w, link);
		ops[n++] = (struct kv_op){ .key = w->entry.key, .value = w->value };
	}
	return n;
}

void pm_write_kick(struct pm *m)
{
	struct kv_op ops[KV_OPS_MAX];
	unsigned int n, max = m->alone ? 1 : KV_OPS_MAX;
	int r;

	if (!m->info.leader || !m->info.up || !TAILQ_EMPTY(&m->flying) || pm_now() < m->write_at)
		return;
	n = gather(m, &m->live, ops, 0, max);
	n = gather(m, &m->bulk, ops, n, max);
	if (!n)
		return;
	m->n_flying = n;
	m->alone -= m->alone > 0;
	r = kv_txn(m->kv, KV_IF_OURS, PM_LEADER, ops, n, on_written, m);
	if (r < 0)
		on_written(m, r, strerror(-r));
}

void pm_write_drop(struct pm *m, int r, const char *text)
{
	struct write_list *lists[] = { &m->live, &m->bulk, &m->flying };
	struct write *w, *next;

	for (unsigned int i = 0; i < 2 + (m->kv == NULL); i++) {
		for (w = TAILQ_FIRST(lists[i]); w; w = next) {
			next = TAILQ_NEXT(w, link);
			TAILQ_REMOVE(lists[i], w, link);
			end(m, w, r, text);
		}
	}
	if (!m->kv)
		map_free(&m->writes);
}
