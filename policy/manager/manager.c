/* SPDX-License-Identifier: BSD-3-Clause */
/* Life, and who is elected: the one whose lease holds the leader's key. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/str.h"
#include "policy/manager/manager_private.h"

#define LOOK_MS 200

uint64_t pm_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void pm_defaults(struct pm_config *c)
{
	memset(c, 0, sizeof(*c));
	c->grace_ms = 30000;
	c->mac_quota = 256;
	c->store.lease_s = 5;
}

/* ---- election ---- */

static void lose(struct pm *m, const char *why)
{
	if (!m->info.leader)
		return;
	m->info.leader = false;
	log_notice("manager %s is not elected any more: %s", m->config.id, why);
	pm_write_drop(m, -EAGAIN, "this manager is not the elected one any more");
}

static void on_elected(void *arg, int r, const char *text)
{
	struct pm *m = arg;

	m->electing = false;
	if (r != 0) {
		/* Somebody else is, or the store is lost: the next change tells. */
		m->not_ours = r == 1 && strcmp(m->info.leader_id, m->config.id) == 0;
		return;
	}
	m->info.leader = true;
	m->info.elections++;
	log_notice("manager %s is elected", m->config.id);
	pm_judge_all(m);
}

static void elect(struct pm *m)
{
	struct kv_op op = { .key = PM_LEADER, .value = m->config.id, .leased = true };
	bool ours = strcmp(m->info.leader_id, m->config.id) == 0;

	if (m->info.leader || m->electing || !m->info.synced || (*m->info.leader_id && (!ours || m->not_ours)))
		return;
	/* Elected, and the answer was lost: the lease tells it from a run before, or another one of this name. */
	m->electing = kv_txn(m->kv, ours ? KV_IF_OURS : KV_IF_ABSENT, PM_LEADER, &op, 1, on_elected, m) == 0;
}

static void on_lease(void *arg)
{
	struct pm *m = arg;

	m->not_ours = false;
	lose(m, "its lease ran out");
}

static void on_state(void *arg, bool up, const char *text)
{
	struct pm *m = arg;

	m->info.up = up;
	str_copy(m->info.problem, sizeof(m->info.problem), up ? "" : text);
	if (up)
		log_notice("policy store: connected to %s", text);
	else
		log_warning("policy store: %s", text);
}

static void on_flush(void *arg)
{
	struct pm *m = arg;

	if (m->info.leader && *m->info.leader_id && strcmp(m->info.leader_id, m->config.id) != 0)
		lose(m, "another one is");
	pm_judge(m);
}

/* ---- life ---- */

int pm_new(const struct pm_config *config, struct pm **ret, struct errbuf *err)
{
	static const struct kv_handlers handlers = {
		.event = pm_on_event, .flush = on_flush, .state = on_state, .lease = on_lease,
	};
	struct pm *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return err_set(err, ENOMEM, "out of memory");
	m->config = *config;
	m->config.store.revoke_at_close = true;
	TAILQ_INIT(&m->dirty);
	TAILQ_INIT(&m->live);
	TAILQ_INIT(&m->bulk);
	TAILQ_INIT(&m->flying);
	r = kv_open(&m->config.store, &handlers, m, &m->kv, err);
	if (r == 0 && kv_watch(m->kv, "", true) < 0)
		r = err_set(err, ENOMEM, "out of memory");
	if (r < 0) {
		pm_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

struct pm *pm_free(struct pm *m)
{
	if (!m)
		return NULL;
	m->info.leader = false;
	m->kv = kv_close(m->kv);
	pm_write_drop(m, -ECANCELED, "the manager is stopping");
	pm_state_free(m);
	free(m);
	return NULL;
}

int pm_poll(struct pm *m, struct pollfd *fds, unsigned int n, int timeout_ms)
{
	int r;

	elect(m);
	pm_write_kick(m);
	r = kv_poll(m->kv, fds, n, timeout_ms);
	if (m->expiring && pm_now() >= m->look_at) {
		m->look_at = pm_now() + LOOK_MS;
		pm_expire(m);
	}
	pm_judge(m); /* what a write that failed, or made room, has left to be judged, too */
	return r;
}

static unsigned int count(const struct pm *m, enum object_kind kind)
{
	const struct value *v = NULL;
	unsigned int n = 0;

	while ((v = map_next(&m->policy, v)))
		n += v->spec && v->kind == kind;
	return n;
}

void pm_info(const struct pm *m, struct pm_info *ret)
{
	*ret = m->info;
	str_copy(ret->where, sizeof(ret->where), kv_where(m->kv));
	ret->subnets = count(m, OBJECT_SUBNET);
	ret->records = count(m, OBJECT_RECORD);
	ret->routes = count(m, OBJECT_ROUTE);
	ret->hosts = (unsigned int)m->hosts.n;
	ret->attached = (unsigned int)m->attached.n;
	ret->learned = (unsigned int)m->learned.n;
	ret->pending = (unsigned int)m->writes.n;
	kv_counters(m->kv, &ret->kv);
}
