/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests: how they go out, what comes back, who is told. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "policy/store/etcd_private.h"

#define CONNECT_MS 2000
#define ANSWER_MS  10000
#define RANGE_MS   120000

static size_t take(struct request *q, const char *data, size_t len)
{
	size_t size = q->in_size ? q->in_size : 4096;
	char *p;

	if (q->in_len + len > ETCD_MESSAGE_MAX) {
		q->e->kv.counters.bad_messages++;
		return 0;
	}
	while (size < q->in_len + len)
		size *= 2;
	if (size != q->in_size) {
		p = realloc(q->in, size);
		if (!p)
			return 0;
		q->in = p;
		q->in_size = size;
	}
	memcpy(q->in + q->in_len, data, len);
	q->in_len += len;
	return len;
}

static size_t on_data(char *data, size_t one, size_t len, void *arg)
{
	struct request *q = arg;
	long status = 0;

	if (q->ended)
		return 0;
	curl_easy_getinfo(q->curl, CURLINFO_RESPONSE_CODE, &status);
	/* What a stream is refused with is an answer like others. */
	if (q->kind != REQUEST_STREAM || status != 200)
		return take(q, data, len);
	if (q->e->kv.paused) {
		q->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	return etcd_stream_data(q, data, len) ? len : 0;
}

void etcd_unpause(struct etcd *e)
{
	struct request *q;

	LIST_FOREACH(q, &e->requests, link) {
		if (!q->paused || e->kv.paused)
			continue;
		q->paused = false;
		q->heard_at = etcd_now();
		curl_easy_pause(q->curl, CURLPAUSE_CONT); /* may hand over what has come, and be paused again */
	}
}

static void set_tls(CURL *c, const struct kv_config *k)
{
	if (*k->ca)
		curl_easy_setopt(c, CURLOPT_CAINFO, k->ca);
	if (*k->cert)
		curl_easy_setopt(c, CURLOPT_SSLCERT, k->cert);
	if (*k->key)
		curl_easy_setopt(c, CURLOPT_SSLKEY, k->key);
}

static long limit_ms(const struct etcd *e, enum request_kind kind)
{
	if (kind == REQUEST_STREAM)
		return 0;
	if (kind == REQUEST_RANGE)
		return RANGE_MS;
	/* A server that does not answer must be left before our lease runs out. */
	if (kind == REQUEST_KEEPALIVE && e->ttl > 0 && e->ttl * 1000 / 3 < ANSWER_MS)
		return (long)(e->ttl * 1000 / 3);
	return ANSWER_MS;
}

static void set_options(struct request *q, const char *path)
{
	const struct kv_config *k = &q->e->kv.config;
	char url[PATH_SIZE + 64];
	CURL *c = q->curl;

	snprintf(url, sizeof(url), "%s%s", k->endpoints[q->e->endpoint], path);
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->body);
	curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(q->body));
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, q->headers);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, q);
	curl_easy_setopt(c, CURLOPT_PRIVATE, q);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, limit_ms(q->e, q->kind));
	curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(c, CURLOPT_TCP_KEEPIDLE, 5L);
	curl_easy_setopt(c, CURLOPT_TCP_KEEPINTVL, 5L);
	set_tls(c, k);
}

static struct curl_slist *make_headers(const struct etcd *e, enum request_kind kind)
{
	/* Without Expect: etcd's gateway would be waited for before a long body goes out. */
	struct curl_slist *l = curl_slist_append(NULL, "Expect:"), *longer;
	char token[2100];

	if (!l || !e->token || kind == REQUEST_AUTH)
		return l;
	snprintf(token, sizeof(token), "Authorization: %s", e->token);
	longer = curl_slist_append(l, token);
	if (!longer)
		curl_slist_free_all(l);
	return longer;
}

struct request *etcd_post(struct etcd *e, enum request_kind kind, const char *path, char *body)
{
	struct request *q = calloc(1, sizeof(*q));

	if (!q) {
		free(body);
		return NULL;
	}
	q->e = e;
	q->kind = kind;
	q->body = body;
	q->headers = make_headers(e, kind);
	q->token = e->token ? e->tokens : 0;
	q->curl = curl_easy_init();
	if (kind == REQUEST_STREAM)
		q->tokener = json_tokener_new_ex(ETCD_DEPTH_MAX);
	LIST_INSERT_HEAD(&e->requests, q, link);
	if (q->body && q->headers && q->curl && (kind != REQUEST_STREAM || q->tokener)) {
		set_options(q, path);
		if (curl_multi_add_handle(e->multi, q->curl) == CURLM_OK)
			return q;
	}
	etcd_request_free(q);
	return NULL;
}

void etcd_request_free(struct request *q)
{
	LIST_REMOVE(q, link);
	if (q->curl) {
		curl_multi_remove_handle(q->e->multi, q->curl);
		curl_easy_cleanup(q->curl);
	}
	curl_slist_free_all(q->headers);
	if (q->tokener)
		json_tokener_free(q->tokener);
	free(q->body);
	free(q->in);
	free(q);
}

/* ---- answers ---- */

static struct json_object *parse(struct request *q)
{
	struct json_tokener *t = json_tokener_new_ex(ETCD_DEPTH_MAX);
	struct json_object *o = NULL;

	if (t && q->in_len)
		o = json_tokener_parse_ex(t, q->in, (int)q->in_len);
	if (t && o && json_tokener_get_error(t) != json_tokener_success) {
		json_object_put(o);
		o = NULL;
	}
	if (t)
		json_tokener_free(t);
	return o;
}

/* What concerns all requests alike. @return true: the answer is no news of what was asked. */
static bool refused(struct request *q, const struct etcd_reply *reply)
{
	struct etcd *e = q->e;

	if (reply->code == ETCD_CODE_UNAUTHENTICATED && q->kind != REQUEST_AUTH) {
		etcd_token_refused(q);
		if (q->txn && !q->txn->retried) {
			q->txn->retried = true;
			STAILQ_INSERT_HEAD(&e->txns, q->txn, link);
			q->txn = NULL;
		}
		return true;
	}
	if (reply->code == ETCD_CODE_UNAVAILABLE) {
		etcd_fail(e, "%s", reply->text);
		return true;
	}
	return false;
}

/*
 * Is it what the store says to such a request? Something between us and the store may answer anything, and an answer
 * without members would be one that says that nothing is there.
 */
static bool is_sense(const struct request *q, const struct etcd_reply *reply)
{
	long status = 0;

	if (reply->code)
		return true;
	curl_easy_getinfo(q->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		return false;
	if (q->kind == REQUEST_RANGE || q->kind == REQUEST_TXN)
		return reply->revision > 0;
	if (q->kind == REQUEST_GRANT || q->kind == REQUEST_KEEPALIVE)
		return reply->id > 0;
	return true;
}

static void answer(struct request *q)
{
	struct json_object *o = parse(q);
	struct etcd_reply reply;

	if (!o || etcd_reply_read(o, &reply, NULL, NULL) < 0 || !is_sense(q, &reply)) {
		q->e->kv.counters.bad_messages++;
		etcd_fail(q->e, "an answer that makes no sense");
	} else if (!refused(q, &reply)) {
		if (!reply.code)
			etcd_works(q->e);
		switch (q->kind) {
		case REQUEST_AUTH:
			etcd_auth_done(q, &reply);
			break;
		case REQUEST_GRANT:
			etcd_grant_done(q, &reply);
			break;
		case REQUEST_KEEPALIVE:
			etcd_keepalive_done(q, &reply);
			break;
		case REQUEST_RANGE:
			etcd_range_done(q, o);
			break;
		case REQUEST_TXN:
			etcd_txn_done(q, &reply);
			break;
		case REQUEST_STREAM: /* ended, or refused */
			etcd_fail(q->e, "%s", reply.code ? reply.text : "the stream of changes ended");
			break;
		case REQUEST_REVOKE:
			break;
		}
	}
	json_object_put(o);
}

/* What it was for is free to be asked again. */
static void release(struct request *q)
{
	struct etcd *e = q->e;

	if (q->kind == REQUEST_AUTH)
		e->authenticating = false;
	else if (q->kind == REQUEST_GRANT)
		e->granting = false;
	else if (q->kind == REQUEST_KEEPALIVE)
		e->keeping = false;
	etcd_watch_lost(q);
	if (q->txn)
		etcd_txn_end(q->txn, -EAGAIN, "the store did not answer");
	q->txn = NULL;
}

void etcd_finished(struct etcd *e)
{
	struct request *q, *next;
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(e->multi, &left))) {
		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&q);
		if (q->ended)
			continue;
		q->ended = true;
		if (m->data.result != CURLE_OK)
			etcd_fail(e, "%s", curl_easy_strerror(m->data.result));
		else if (q->kind == REQUEST_STREAM && !q->in_len)
			etcd_fail(e, "the stream of changes ended");
		else
			answer(q);
	}
	for (q = LIST_FIRST(&e->requests); q; q = next) {
		next = LIST_NEXT(q, link);
		if (!q->ended && !e->failed)
			continue;
		release(q);
		etcd_request_free(q);
	}
}
