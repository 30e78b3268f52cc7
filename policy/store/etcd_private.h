/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between etcd*.c. What is wanted is state (a token, a lease, loaded watches, a stream); etcd_kick() starts requests
 * for what is missing, and what goes wrong only takes state away. Answers arrive inside curl_multi_perform(), where
 * requests must not be started or ended: they mark, etcd_kick() acts.
 */
#ifndef STORE_ETCD_PRIVATE_H
#define STORE_ETCD_PRIVATE_H

#include <curl/curl.h>
#include <json-c/json.h>
#include <sys/queue.h>

#include "policy/store/etcd_json.h"
#include "policy/store/kv_private.h"

#define ETCD_MESSAGE_MAX (64u * 1024 * 1024) /* of an answer, of one message of a stream */
#define ETCD_PAGE	 10000		     /* keys of an answer: 3.4 counts the whole range for each page */
#define ETCD_LOADS	 4		     /* ranges at once */
#define ETCD_STREAMS	 8		     /* then all watches go into one again */

struct etcd;
struct request;

enum watch_state { WATCH_FREE, WATCH_WANTED, WATCH_LOADING, WATCH_READY, WATCH_STREAMING };

struct watch {
	enum watch_state state;
	bool prefix, begun; /* KV_BEGIN was said */
	char *key;	    /* with the root */
	int64_t id;	    /* etcd's, never used twice */
	int64_t next;	    /* revision to watch from */
	int64_t seen;	    /* the store had this revision */
	unsigned int handed; /* events of `seen` handed over: a revision may come in several messages */
	unsigned int skip;   /* of them, that the stream brings again */
	int64_t pinned;	    /* revision of the pages, 0: first page */
	char *from;	    /* where the next page begins; NULL: at key */
	size_t from_len;
	uint32_t page;
	uint64_t not_before; /* ms: refused, not asked again before */
	bool created;	     /* the stream has said so */
	struct request *request;
};

struct txn {
	STAILQ_ENTRY(txn) link;
	char *body;
	kv_done_fn fn;
	void *arg;
	bool retried;	     /* with a new token */
	int64_t lease;	     /* ours when it was written */
};

enum request_kind { REQUEST_AUTH, REQUEST_GRANT, REQUEST_KEEPALIVE, REQUEST_REVOKE, REQUEST_RANGE, REQUEST_TXN,
		    REQUEST_STREAM };

struct request {
	LIST_ENTRY(request) link;
	struct etcd *e;
	enum request_kind kind;
	CURL *curl;
	struct curl_slist *headers;
	char *body;
	char *in;
	size_t in_len, in_size;
	struct json_tokener *tokener; /* REQUEST_STREAM */
	size_t message;		      /* bytes of the message that is coming in */
	unsigned int missing;	      /* watches that the stream has not said to be there */
	uint64_t heard_at;	      /* ms: when it was opened, or said of one */
	int64_t watch_id;	      /* REQUEST_RANGE */
	unsigned int token;	      /* number of the token it went out with, 0: without */
	struct txn *txn;
	bool paused;		      /* REQUEST_STREAM: not read, see kv_pause() */
	bool ended;		      /* to be removed */
};

struct etcd {
	struct kv kv; /* first: the interface sees this */
	CURLM *multi;
	LIST_HEAD(, request) requests;
	STAILQ_HEAD(, txn) txns; /* not sent yet */
	struct watch *watches;
	unsigned int n_watches, room, loading, streams;
	int64_t last_id;
	unsigned int endpoint;
	char *token;
	unsigned int tokens; /* that were given; the number of the last one */
	bool up, told, failed, no_auth, closing;
	unsigned int auth_failures;
	uint64_t not_before, auth_at, keepalive_at; /* ms */
	unsigned int backoff, patience;
	int64_t lease;
	int64_t ttl;
	bool authenticating, granting, keeping;
	unsigned int seed;
};

uint64_t etcd_now(void); /* ms, monotonic */
/* The connection is no good: everything on its way ends, after a pause the next endpoint is tried. */
void etcd_fail(struct etcd *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* An answer made sense. */
void etcd_works(struct etcd *e);
/* The store does not accept the token that a request went out with (any more). */
void etcd_token_refused(struct request *q);

/* ---- etcd_request.c ---- */

/* Start a POST; takes the body. @return NULL: no memory, the body is freed. */
struct request *etcd_post(struct etcd *e, enum request_kind kind, const char *path, char *body);
void etcd_request_free(struct request *q);
/* Read the streams again, if they may be. */
void etcd_unpause(struct etcd *e);
/* Act on what has finished. */
void etcd_finished(struct etcd *e);

/* ---- etcd_watch.c ---- */
int etcd_watch(struct kv *kv, const char *key, bool prefix);
void etcd_unwatch(struct kv *kv, unsigned int watch);
void etcd_watch_kick(struct etcd *e);
void etcd_range_done(struct request *q, struct json_object *answer);
/* Bytes of a stream. @return false: they make no sense, end it. */
bool etcd_stream_data(struct request *q, const char *data, size_t len);
/* The watches of a request that has ended go back to what they were. */
void etcd_watch_lost(struct request *q);
void etcd_watches_free(struct etcd *e);

/* ---- etcd_txn.c ---- */
int etcd_txn(struct kv *kv, enum kv_condition condition, const char *key, const struct kv_op *ops, unsigned int n,
	     kv_done_fn fn, void *arg);
void etcd_txn_kick(struct etcd *e);
void etcd_txn_done(struct request *q, const struct etcd_reply *reply);
void etcd_txn_end(struct txn *t, int r, const char *text);
void etcd_lease_kick(struct etcd *e);
void etcd_auth_kick(struct etcd *e);
void etcd_auth_done(struct request *q, const struct etcd_reply *reply);
void etcd_grant_done(struct request *q, const struct etcd_reply *reply);
void etcd_keepalive_done(struct request *q, const struct etcd_reply *reply);
void etcd_lease_lost(struct etcd *e);
void etcd_revoke(struct etcd *e);

#endif
