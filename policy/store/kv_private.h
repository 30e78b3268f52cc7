/* SPDX-License-Identifier: BSD-3-Clause */
/* Between kv.c and its backends. */
#ifndef STORE_KV_PRIVATE_H
#define STORE_KV_PRIVATE_H

#include "policy/store/kv.h"

struct kv_ops {
	int (*open)(const struct kv_config *config, const struct kv_handlers *handlers, void *arg, struct kv **ret,
		    struct errbuf *err);
	void (*close)(struct kv *kv);
	int (*watch)(struct kv *kv, const char *key, bool prefix);
	void (*unwatch)(struct kv *kv, unsigned int watch);
	int (*txn)(struct kv *kv, enum kv_condition condition, const char *key, const struct kv_op *ops,
		   unsigned int n, kv_done_fn fn, void *arg);
	int (*poll)(struct kv *kv, struct pollfd *fds, unsigned int n, int timeout_ms);
	void (*wakeup)(struct kv *kv);
};

/* First member of every backend's structure. */
struct kv {
	const struct kv_ops *ops;
	struct kv_config config;
	struct kv_handlers handlers;
	void *arg;
	struct kv_counters counters;
	char where[PATH_SIZE];
	bool paused; /* no events, kv_pause() */
	int64_t written; /* kv_written() */
};

extern const struct kv_ops kv_etcd, kv_sqlite;

/* Is it a key and value that we hand on? Text of bounded length; others are counted. */
bool kv_is_sound(struct kv *kv, const char *key, const char *value);

/* Call the owner. */
void kv_tell(struct kv *kv, unsigned int watch, enum kv_event what, const char *key, const char *value,
	     int64_t revision, bool leased);

#endif
