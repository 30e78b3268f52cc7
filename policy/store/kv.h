/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Policy that many hosts share: keys and values with watches, leases and conditional transactions. Backends: etcd
 * through its JSON gateway, and one sqlite file for the processes of one machine, where leases are local timers.
 *
 * Everything of one struct kv happens on the thread that calls kv_poll(), callbacks included, but for kv_wakeup().
 * Callbacks may call everything here but kv_poll() and kv_close(). Keys are text without the root that the
 * configuration names ("vsid/5001/subnet"), values are text; what else the store holds is not handed over, and counted.
 *
 * A lost store loses nothing: watches go on where they were, or, when the store has forgotten what happened since, are
 * loaded anew between KV_BEGIN and KV_END, so that the owner can compare and need not forget.
 */
#ifndef STORE_KV_H
#define STORE_KV_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/errs.h"
#include "base/object.h"

struct kv;

#define KV_ENDPOINTS  8
#define KV_KEY_MAX    512
#define KV_VALUE_MAX  (64 * 1024)
#define KV_OPS_MAX    100 /* operations of a transaction: etcd refuses more than 128, the comparison included */
#define KV_WATCHES    65536

enum kv_backend { KV_SQLITE, KV_ETCD };
extern const char *const kv_backend_names[];

struct kv_config {
	uint8_t backend; /* enum kv_backend */
	uint16_t n_endpoints;
	char endpoints[KV_ENDPOINTS][PATH_SIZE]; /* etcd: "https://10.0.0.1:2379" */
	char path[PATH_SIZE];			 /* sqlite: the file */
	char root[PATH_SIZE];			 /* before every key: "/vswitchd/v1" */
	/* etcd: files in PEM format; user and password when the store knows users */
	char ca[PATH_SIZE], cert[PATH_SIZE], key[PATH_SIZE];
	char user[ID_SIZE], password_file[PATH_SIZE];
	uint32_t lease_s;     /* time to live of our lease in seconds; 0: none is wanted */
	bool revoke_at_close; /* what hangs on the lease goes when we do, not when it runs out */
};

enum kv_event {
	KV_BEGIN,  /* the whole state of a watch follows */
	KV_PUT,
	KV_DELETE,
	KV_END,	   /* what was not put since KV_BEGIN is not there any more */
};

/* Any of them may be NULL. */
struct kv_handlers {
	/*
	 * @param watch from kv_watch(). @param key, value valid during the call; NULL with KV_BEGIN and KV_END, value
	 * NULL with KV_DELETE. @param revision grows with every change of the store; changes of one watch come in its
	 * order, those of several may not. @param leased a key that goes with somebody's lease.
	 */
	void (*event)(void *arg, unsigned int watch, enum kv_event what, const char *key, const char *value,
		      int64_t revision, bool leased);
	/* The changes that came together have been handed over. */
	void (*flush)(void *arg);
	/* The store was lost (up false) or is back; text says why, or where. */
	void (*state)(void *arg, bool up, const char *text);
	/* We have a new lease: what hangs on the old one has gone or will. Put it again. */
	void (*lease)(void *arg);
};

struct kv_counters {
	uint64_t connects, failures, reauthentications, leases_lost, compactions, bad_messages, bad_keys, events, txns;
};

/* Nothing is waited for: the first state() says whether the store is there. @return 0; -EINVAL, -ENOMEM, -EACCES... */
int kv_open(const struct kv_config *config, const struct kv_handlers *handlers, void *arg, struct kv **ret,
	    struct errbuf *err);
/* Transactions on their way end with -ECANCELED. NULL is allowed. Returns NULL. */
struct kv *kv_close(struct kv *kv);

/* Watch one key, or (prefix) all that begin with it. @return number of the watch, -ENOMEM, -ENOSPC. */
int kv_watch(struct kv *kv, const char *key, bool prefix);
/* No event of it comes any more. The number may come again. */
void kv_unwatch(struct kv *kv, unsigned int watch);

/* An operation; value NULL deletes. leased: the key goes with our lease. */
struct kv_op {
	const char *key, *value;
	bool leased;
};

enum kv_condition { KV_ALWAYS, KV_IF_ABSENT, KV_IF_OURS /* hangs on our lease */ };

/* @param r 0: done; 1: the condition did not hold, nothing was done; -EAGAIN: not known, say it again (the store is
 * lost, or we have no lease); -EPERM; -ECANCELED; -EIO. */
typedef void (*kv_done_fn)(void *arg, int r, const char *text);

/* All operations or none; strings are copied. @param key of the condition. @return 0: fn follows; -E2BIG, -ENOMEM. */
int kv_txn(struct kv *kv, enum kv_condition condition, const char *key, const struct kv_op *ops, unsigned int n,
	   kv_done_fn fn, void *arg);
/* In the callback of a transaction that was done (r 0): its revision. */
int64_t kv_written(const struct kv *kv);

/*
 * An owner that cannot take more for now: no event() comes until it says otherwise, but those that were read already
 * (a few pages of 10,000 keys, or of sqlite one watch). The lease and transactions go on, and the store keeps the rest.
 */
void kv_pause(struct kv *kv, bool paused);

/*
 * Do what there is to do, then wait at most timeout_ms for more, or for one of the descriptors.
 * @return 0 or -errno.
 */
int kv_poll(struct kv *kv, struct pollfd *fds, unsigned int n, int timeout_ms);

/* End a kv_poll() early. Any thread. */
void kv_wakeup(struct kv *kv);

void kv_counters(const struct kv *kv, struct kv_counters *ret);
/* Where we are connected to, or would be. */
const char *kv_where(const struct kv *kv);

#endif
