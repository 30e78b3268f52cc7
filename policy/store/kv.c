/* SPDX-License-Identifier: BSD-3-Clause */
/* The interface over whichever backend made the store. */
#include <string.h>

#include "base/str.h"
#include "policy/store/kv_private.h"

const char *const kv_backend_names[] = { "sqlite", "etcd", NULL };

int kv_open(const struct kv_config *config, const struct kv_handlers *handlers, void *arg, struct kv **ret,
	    struct errbuf *err)
{
	const struct kv_ops *ops = config->backend == KV_ETCD ? &kv_etcd : &kv_sqlite;

	return ops->open(config, handlers, arg, ret, err);
}

struct kv *kv_close(struct kv *kv)
{
	if (kv)
		kv->ops->close(kv);
	return NULL;
}

int kv_watch(struct kv *kv, const char *key, bool prefix)
{
	return kv->ops->watch(kv, key, prefix);
}

void kv_unwatch(struct kv *kv, unsigned int watch)
{
	kv->ops->unwatch(kv, watch);
}

int kv_txn(struct kv *kv, enum kv_condition condition, const char *key, const struct kv_op *ops, unsigned int n,
	   kv_done_fn fn, void *arg)
{
	if (!n || n > KV_OPS_MAX)
		return -E2BIG;
	return kv->ops->txn(kv, condition, key, ops, n, fn, arg);
}

int64_t kv_written(const struct kv *kv)
{
	return kv->written;
}

void kv_pause(struct kv *kv, bool paused)
{
	kv->paused = paused;
}

int kv_poll(struct kv *kv, struct pollfd *fds, unsigned int n, int timeout_ms)
{
	return kv->ops->poll(kv, fds, n, timeout_ms);
}

void kv_wakeup(struct kv *kv)
{
	kv->ops->wakeup(kv);
}

void kv_counters(const struct kv *kv, struct kv_counters *ret)
{
	*ret = kv->counters;
}

const char *kv_where(const struct kv *kv)
{
	return kv->where;
}

bool kv_is_sound(struct kv *kv, const char *key, const char *value)
{
	if (*key && strlen(key) < KV_KEY_MAX && str_is_text(key) &&
	    (!value || (strlen(value) < KV_VALUE_MAX && str_is_text(value))))
		return true;
	kv->counters.bad_keys++;
	return false;
}

void kv_tell(struct kv *kv, unsigned int watch, enum kv_event what, const char *key, const char *value,
	     int64_t revision, bool leased)
{
	if (what == KV_PUT || what == KV_DELETE)
		kv->counters.events++;
	if (kv->handlers.event)
		kv->handlers.event(kv->arg, watch, what, key, value, revision, leased);
}
