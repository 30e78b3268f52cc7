/* SPDX-License-Identifier: BSD-3-Clause */
/* Users, the lease, transactions. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "policy/store/etcd_private.h"

#define AUTH_JITTER_MS	500
#define CODE_NOT_FOUND	5
#define CODE_PRECONDITION 9
#define PASSWORD_MAX	1024

/* ---- users ---- */

/* Read every time: it may have been changed on both sides. */
static int read_password(const char *path, char *buf, size_t size)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (n < 0)
		return -errno;
	buf[n] = '\0';
	buf[strcspn(buf, "\r\n")] = '\0';
	return 0;
}

void etcd_auth_kick(struct etcd *e)
{
	struct json_object *o;
	char password[PASSWORD_MAX];

	if (e->authenticating || etcd_now() < e->auth_at)
		return;
	if (read_password(e->kv.config.password_file, password, sizeof(password)) < 0) {
		etcd_fail(e, "%s: %s", e->kv.config.password_file, strerror(errno));
		return;
	}
	o = json_object_new_object();
	json_object_object_add(o, "name", json_object_new_string(e->kv.config.user));
	json_object_object_add(o, "password", json_object_new_string(password));
	explicit_bzero(password, sizeof(password));
	e->authenticating = etcd_post(e, REQUEST_AUTH, "/v3/auth/authenticate",
				      strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN))) != NULL;
	json_object_put(o);
}

void etcd_auth_done(struct request *q, const struct etcd_reply *reply)
{
	struct etcd *e = q->e;

	if (reply->code == CODE_PRECONDITION) { /* the store knows no users (yet) */
		e->no_auth = true;
		return;
	}
	if (reply->code || !*reply->token) {
		etcd_fail(e, "user %s: %s", e->kv.config.user, reply->code ? reply->text : "no token was given");
		return;
	}
	free(e->token);
	e->token = strdup(reply->token);
	e->tokens++;
}

void etcd_token_refused(struct request *q)
{
	struct etcd *e = q->e;

	/* Several requests may have gone out with the same one; only the first refusal is news. */
	if (q->token && (!e->token || q->token != e->tokens))
		return;
	e->kv.counters.reauthentications++;
	free(TAKE(e->token));
	e->no_auth = false;
	if (!*e->kv.config.user)
		etcd_fail(e, "the store wants a user and a password");
	else if (e->auth_failures++)
		etcd_fail(e, "user %s: a new token is not accepted either", e->kv.config.user);
	else if (!e->auth_at || etcd_now() > e->auth_at)
		/* All hosts' tokens end together when the server restarts, and checking a password is slow. */
		e->auth_at = etcd_now() + (unsigned int)rand_r(&e->seed) % AUTH_JITTER_MS;
}

/* ---- lease ---- */

static char *format_body(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static char *format_body(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	return s;
}

void etcd_lease_kick(struct etcd *e)
{
	if (!e->kv.config.lease_s || e->granting || e->keeping)
		return;
	if (!e->lease)
		e->granting = etcd_post(e, REQUEST_GRANT, "/v3/lease/grant",
					format_body("{\"TTL\":\"%u\"}", e->kv.config.lease_s)) != NULL;
	else if (etcd_now() >= e->keepalive_at)
		e->keeping = etcd_post(e, REQUEST_KEEPALIVE, "/v3/lease/keepalive",
				       format_body("{\"ID\":\"%lld\"}", (long long)e->lease)) != NULL;
}

void etcd_grant_done(struct request *q, const struct etcd_reply *reply)
{
	struct etcd *e = q->e;

	if (reply->code || !reply->id) {
		etcd_fail(e, "no lease: %s", reply->code ? reply->text : "an answer without one");
		return;
	}
	e->lease = reply->id;
	e->ttl = reply->ttl ? reply->ttl : e->kv.config.lease_s;
	e->keepalive_at = etcd_now() + (uint64_t)e->ttl * 1000 / 3;
	if (e->kv.handlers.lease)
		e->kv.handlers.lease(e->kv.arg);
}

void etcd_lease_lost(struct etcd *e)
{
	if (!e->lease)
		return;
	e->kv.counters.leases_lost++;
	log_debug("etcd: lease %lld is gone", (long long)e->lease);
	e->lease = 0;
}

/* A dead lease is answered without a time to live. */
void etcd_keepalive_done(struct request *q, const struct etcd_reply *reply)
{
	struct etcd *e = q->e;

	if (reply->code == CODE_NOT_FOUND || (!reply->code && !reply->ttl)) {
		etcd_lease_lost(e);
		return;
	}
	if (reply->code) {
		etcd_fail(e, "lease: %s", reply->text);
		return;
	}
	e->keepalive_at = etcd_now() + (uint64_t)e->ttl * 1000 / 3;
}

void etcd_revoke(struct etcd *e)
{
	if (e->lease && e->up)
		etcd_post(e, REQUEST_REVOKE, "/v3/lease/revoke",
			  format_body("{\"ID\":\"%lld\"}", (long long)e->lease));
	e->lease = 0;
}

/* ---- transactions ---- */

static int write_key(FILE *f, const struct etcd *e, const char *key)
{
	char full[PATH_SIZE + KV_KEY_MAX + 2];
	CLEANUP_FREE char *text = NULL;

	if (snprintf(full, sizeof(full), "%s/%s", e->kv.config.root, key) >= (int)sizeof(full))
		return -E2BIG;
	text = etcd_base64(full, strlen(full));
	if (!text)
		return -ENOMEM;
	fprintf(f, "\"key\":\"%s\"", text);
	return 0;
}

static int write_op(FILE *f, const struct etcd *e, const struct kv_op *op)
{
	CLEANUP_FREE char *value = op->value ? etcd_base64(op->value, strlen(op->value)) : NULL;
	int r;

	if (op->value && !value)
		return -ENOMEM;
	fprintf(f, "{\"%s\":{", op->value ? "requestPut" : "requestDeleteRange");
	r = write_key(f, e, op->key);
	if (op->value)
		fprintf(f, ",\"value\":\"%s\"", value);
	if (op->leased && op->value)
		fprintf(f, ",\"lease\":\"%lld\"", (long long)e->lease);
	fputs("}}", f);
	return r;
}

static int write_condition(FILE *f, const struct etcd *e, enum kv_condition condition, const char *key)
{
	int r;

	if (condition == KV_ALWAYS)
		return 0;
	fputs("\"compare\":[{", f);
	r = write_key(f, e, key);
	if (condition == KV_IF_ABSENT)
		fputs(",\"target\":\"CREATE\",\"result\":\"EQUAL\",\"create_revision\":\"0\"}],", f);
	else
		fprintf(f, ",\"target\":\"LEASE\",\"result\":\"EQUAL\",\"lease\":\"%lld\"}],", (long long)e->lease);
	return r;
}

static int write_txn(char **ret, const struct etcd *e, enum kv_condition condition, const char *key,
		     const struct kv_op *ops, unsigned int n)
{
	size_t size = 0;
	FILE *f = open_memstream(ret, &size);
	int r;

	if (!f)
		return -ENOMEM;
	fputc('{', f);
	r = write_condition(f, e, condition, key);
	fputs("\"success\":[", f);
	for (unsigned int i = 0; i < n && r == 0; i++) {
		if (i)
			fputc(',', f);
		r = write_op(f, e, &ops[i]);
	}
	fputs("]}", f);
	if (fclose(f) != 0 && r == 0)
		r = -ENOMEM;
	if (r < 0)
		free(TAKE(*ret));
	return r;
}

int etcd_txn(struct kv *kv, enum kv_condition condition, const char *key, const struct kv_op *ops, unsigned int n,
	     kv_done_fn fn, void *arg)
{
	struct etcd *e = (struct etcd *)kv;
	bool leased = condition == KV_IF_OURS;
	struct txn *t;
	int r;

	for (unsigned int i = 0; i < n; i++)
		leased = leased || (ops[i].leased && ops[i].value);
	if (leased && !e->lease)
		return -EAGAIN;
	t = calloc(1, sizeof(*t));
	r = t ? write_txn(&t->body, e, condition, key, ops, n) : -ENOMEM;
	if (r < 0) {
		free(t);
		return r;
	}
	t->lease = e->lease;
	t->fn = fn;
	t->arg = arg;
	STAILQ_INSERT_TAIL(&e->txns, t, link);
	return 0;
}

void etcd_txn_kick(struct etcd *e)
{
	struct txn *t;

	while ((t = STAILQ_FIRST(&e->txns))) {
		/* The body stays: it is sent again with a new token. */
		struct request *q = etcd_post(e, REQUEST_TXN, "/v3/kv/txn", strdup(t->body));

		if (!q)
			return;
		STAILQ_REMOVE_HEAD(&e->txns, link);
		q->txn = t;
		e->kv.counters.txns++;
	}
}

void etcd_txn_end(struct txn *t, int r, const char *text)
{
	if (t->fn)
		t->fn(t->arg, r, text);
	free(t->body);
	free(t);
}

void etcd_txn_done(struct request *q, const struct etcd_reply *reply)
{
	struct txn *t = TAKE(q->txn);
	int r = reply->succeeded ? 0 : 1;

	q->e->kv.written = reply->revision;
	if (reply->code == CODE_NOT_FOUND && strstr(reply->text, "lease")) {
		if (t->lease == q->e->lease) /* not the one before */
			etcd_lease_lost(q->e);
		r = -EAGAIN;
	} else if (reply->code == ETCD_CODE_PERMISSION) {
		r = -EPERM;
	} else if (reply->code) {
		r = -EIO;
	}
	etcd_txn_end(t, r, reply->text);
}
