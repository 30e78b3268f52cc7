/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What etcd's JSON gateway says. Everything comes from outside: bounded, typed, or refused. The gateway leaves out
 * members that are zero, false or the default, and writes 64-bit numbers as strings. Pure, any thread.
 */
#ifndef STORE_ETCD_JSON_H
#define STORE_ETCD_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* gRPC's codes that mean something to us. */
#define ETCD_CODE_PERMISSION	  7
#define ETCD_CODE_UNAVAILABLE	  14
#define ETCD_CODE_UNAUTHENTICATED 16

#define ETCD_DEPTH_MAX 32

struct etcd_reply {
	int code;	   /* of an error, 0: none */
	char text[256];	   /* of the error, or why a watch was cancelled; fit for a log */
	int64_t revision;  /* of the store */
	bool more, succeeded, created, canceled;
	int64_t id, ttl;   /* lease; ttl 0: there is none (any more) */
	int64_t watch, compacted;
	char token[2048];
	unsigned int events, bad; /* handed over; not understood */
};

/* Key and value end with NUL besides their length, and may have others inside. value NULL: deleted. */
typedef void (*etcd_item_fn)(void *arg, const struct etcd_reply *reply, const char *key, size_t key_len,
			     const char *value, size_t value_len, int64_t revision, bool leased);

/*
 * Read one message: an answer, one message of a stream ("result" inside), or an error of either kind. fn is called for
 * every key of a range and every event of a watch, and knows the reply's other members by then.
 * @return 0; -EBADMSG: nothing that etcd would say.
 */
int etcd_reply_read(struct json_object *o, struct etcd_reply *ret, etcd_item_fn fn, void *arg);

/* Base64 (RFC 4648 4) of text, malloc'ed; NULL: no memory. */
char *etcd_base64(const void *data, size_t len);
/* And back; *ret_len excludes the NUL behind. NULL: not base64, or no memory. */
char *etcd_unbase64(const char *text, size_t *ret_len);

#endif
