/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One sqlite file shared by the processes of one machine: the same behaviour as etcd without a server. Every change
 * has a revision, deletions leave a row behind; who watches asks for what is newer. That another process has written is
 * seen by PRAGMA data_version, which costs no I/O. Leases are rows with a deadline of the monotonic clock, and anybody
 * sweeps what has run out.
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "policy/store/kv_private.h"

#define LOOK_MS	  20   /* another process' changes are seen after so long */
#define GONE_KEPT 4096 /* deletions that are remembered; who was away longer compares as a whole */

enum statement {
	ST_REVISION, ST_BUMP, ST_PUT, ST_BACK, ST_DELETE, ST_GONE, ST_FORGET, ST_ROW, ST_LOAD, ST_NEWS, ST_OLDEST,
	ST_LEASE, ST_ALIVE, ST_EXPIRED, ST_SWEEP, ST_UNLEASE, ST_VERSION, STATEMENTS
};

static const char *const texts[STATEMENTS] = {
	[ST_REVISION] = "SELECT revision FROM meta",
	[ST_BUMP] = "UPDATE meta SET revision = revision + 1",
	[ST_BACK] = "DELETE FROM gone WHERE key = ?1",
	[ST_PUT] = ("INSERT INTO kv (key, value, revision, lease) SELECT ?1, ?2, revision, ?3 FROM meta WHERE 1 "
		    "ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision, "
		    "lease = excluded.lease"),
	[ST_DELETE] = "DELETE FROM kv WHERE key = ?1",
	[ST_GONE] = "INSERT OR REPLACE INTO gone (key, revision) SELECT ?1, revision FROM meta",
	[ST_FORGET] = "DELETE FROM gone WHERE revision <= (SELECT revision FROM meta) - ?1",
	[ST_ROW] = "SELECT lease FROM kv WHERE key = ?1",
	[ST_LOAD] = "SELECT key, value, revision, lease FROM kv WHERE key >= ?1 AND key < ?2 ORDER BY key",
	[ST_NEWS] = ("SELECT key, value, revision, lease FROM kv WHERE revision > ?1 UNION ALL "
		     "SELECT key, NULL, revision, 0 FROM gone WHERE revision > ?1 ORDER BY revision"),
	[ST_OLDEST] = "SELECT revision - ?1 FROM meta",
	[ST_LEASE] = "INSERT OR REPLACE INTO lease (id, boot, deadline) VALUES (?1, ?2, ?3)",
	[ST_ALIVE] = "SELECT deadline FROM lease WHERE id = ?1 AND boot = ?2",
	[ST_EXPIRED] = "SELECT id FROM lease WHERE boot != ?1 OR deadline < ?2",
	[ST_SWEEP] = "SELECT key FROM kv WHERE lease = ?1",
	[ST_UNLEASE] = "DELETE FROM lease WHERE id = ?1",
	[ST_VERSION] = "PRAGMA data_version",
};

struct watch {
	bool used, loaded, prefix;
	char *key;
};

struct txn {
	STAILQ_ENTRY(txn) link;
	kv_done_fn fn;
	void *arg;
	int r;
	int64_t revision;
	char text[256];
};

struct local {
	struct kv kv; /* first: the interface sees this */
	sqlite3 *db;
	sqlite3_stmt *st[STATEMENTS];
	struct watch *watches;
	unsigned int n_watches;
	STAILQ_HEAD(, txn) done;
	int64_t seen, version, lease;
	uint64_t renew_at;
	char boot[64];
	int event;
	bool told, changed;
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- statements ---- */

static sqlite3_stmt *bound(struct local *l, enum statement which, const char *text, int64_t number)
{
	sqlite3_stmt *st = l->st[which];

	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	if (text)
		sqlite3_bind_text(st, 1, text, -1, SQLITE_TRANSIENT);
	else
		sqlite3_bind_int64(st, 1, number);
	return st;
}

/* Run a statement that returns no rows. */
static int done(sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);

	sqlite3_reset(st);
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : -EIO;
}

/* The number that a statement answers; none is `none`. */
static int64_t number(sqlite3_stmt *st, int64_t none)
{
	int64_t n = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : none;

	sqlite3_reset(st);
	return n;
}

static int run(struct local *l, const char *sql)
{
	return sqlite3_exec(l->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -EIO;
}

/* ---- changes ---- */

static int write_op(struct local *l, const struct kv_op *op)
{
	sqlite3_stmt *st;
	int r;

	if (!op->value) {
		r = done(bound(l, ST_DELETE, op->key, 0));
		if (r == 0 && sqlite3_changes(l->db))
			r = done(bound(l, ST_GONE, op->key, 0));
		return r;
	}
	st = bound(l, ST_PUT, op->key, 0);
	sqlite3_bind_text(st, 2, op->value, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(st, 3, op->leased ? l->lease : 0);
	r = done(st);
	return r < 0 ? r : done(bound(l, ST_BACK, op->key, 0));
}

static bool holds(struct local *l, enum kv_condition condition, const char *key)
{
	int64_t lease;

	if (condition == KV_ALWAYS)
		return true;
	lease = number(bound(l, ST_ROW, key, 0), -1);
	return condition == KV_IF_ABSENT ? lease < 0 : l->lease && lease == l->lease;
}

/* @return 0, 1: the condition does not hold, -errno. */
static int apply(struct local *l, enum kv_condition condition, const char *key, const struct kv_op *ops,
		 unsigned int n, int64_t *ret_revision)
{
	int r = run(l, "BEGIN IMMEDIATE");

	if (r < 0)
		return r;
	if (!holds(l, condition, key)) {
		run(l, "ROLLBACK");
		return 1;
	}
	r = done(bound(l, ST_BUMP, NULL, 0));
	for (unsigned int i = 0; i < n && r == 0; i++)
		r = write_op(l, &ops[i]);
	*ret_revision = number(l->st[ST_REVISION], 0);
	if (r == 0)
		r = run(l, "COMMIT");
	if (r < 0)
		run(l, "ROLLBACK");
	l->changed = true;
	return r;
}

static int local_txn(struct kv *kv, enum kv_condition condition, const char *key, const struct kv_op *ops,
		     unsigned int n, kv_done_fn fn, void *arg)
{
	struct local *l = (struct local *)kv;
	struct txn *t;

	for (unsigned int i = 0; i < n; i++)
		if (ops[i].leased && ops[i].value && !l->lease)
			return -EAGAIN;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->fn = fn;
	t->arg = arg;
	t->r = apply(l, condition, key, ops, n, &t->revision);
	if (t->r < 0)
		str_copy(t->text, sizeof(t->text), sqlite3_errmsg(l->db));
	kv->counters.txns++;
	STAILQ_INSERT_TAIL(&l->done, t, link);
	return 0;
}

static void tell_done(struct local *l)
{
	struct txn *t;

	while ((t = STAILQ_FIRST(&l->done))) {
		STAILQ_REMOVE_HEAD(&l->done, link);
		l->kv.written = t->revision;
		if (t->fn)
			t->fn(t->arg, t->r, t->text);
		free(t);
	}
}

/* ---- leases ---- */

static void write_lease(struct local *l)
{
	sqlite3_stmt *st = bound(l, ST_LEASE, NULL, l->lease);

	sqlite3_bind_text(st, 2, l->boot, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(st, 3, (int64_t)(now_ms() + l->kv.config.lease_s * 1000));
	(void)done(st);
	l->renew_at = now_ms() + l->kv.config.lease_s * 1000 / 3;
}

static void renew(struct local *l)
{
	sqlite3_stmt *st;
	bool lost;

	if (!l->kv.config.lease_s || (l->lease && now_ms() < l->renew_at))
		return;
	st = bound(l, ST_ALIVE, NULL, l->lease);
	sqlite3_bind_text(st, 2, l->boot, -1, SQLITE_TRANSIENT);
	lost = number(st, 0) < (int64_t)now_ms();
	if (lost) {
		struct timespec t;

		l->kv.counters.leases_lost += l->lease != 0;
		clock_gettime(CLOCK_MONOTONIC, &t);
		l->lease = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec + (int64_t)getpid() % 1000;
	}
	write_lease(l);
	if (lost && l->kv.handlers.lease)
		l->kv.handlers.lease(l->kv.arg);
}

/* Everything that hangs on a lease goes in one revision. */
static void sweep_one(struct local *l, int64_t lease)
{
	char key[KV_KEY_MAX];
	struct kv_op op = { .key = key };
	bool more = true;
	int r = run(l, "BEGIN IMMEDIATE");

	if (r < 0)
		return;
	r = done(bound(l, ST_BUMP, NULL, 0));
	while (r == 0 && more) {
		sqlite3_stmt *st = bound(l, ST_SWEEP, NULL, lease);

		more = sqlite3_step(st) == SQLITE_ROW;
		if (more)
			r = str_copy(key, sizeof(key), (const char *)sqlite3_column_text(st, 0));
		sqlite3_reset(st);
		if (more && r == 0)
			r = write_op(l, &op);
	}
	if (r == 0)
		r = done(bound(l, ST_UNLEASE, NULL, lease));
	run(l, r == 0 ? "COMMIT" : "ROLLBACK");
	l->changed = true;
}

static void sweep(struct local *l)
{
	sqlite3_stmt *st = bound(l, ST_EXPIRED, l->boot, 0);
	int64_t lease;

	sqlite3_bind_int64(st, 2, (int64_t)now_ms());
	lease = number(st, 0);
	if (lease)
		sweep_one(l, lease);
}

/* ---- watches ---- */

static int local_watch(struct kv *kv, const char *key, bool prefix)
{
	struct local *l = (struct local *)kv;
	unsigned int i = 0;

	while (i < l->n_watches && l->watches[i].used)
		i++;
	if (i == l->n_watches) {
		void *p = reallocarray(l->watches, l->n_watches + 1, sizeof(*l->watches));

		if (!p)
			return -ENOMEM;
		l->watches = p;
		l->n_watches++;
	}
	l->watches[i] = (struct watch){ .used = true, .prefix = prefix, .key = strdup(key) };
	l->watches[i].used = l->watches[i].key != NULL;
	l->changed = true;
	return l->watches[i].key ? (int)i : -ENOMEM;
}

static void local_unwatch(struct kv *kv, unsigned int watch)
{
	struct local *l = (struct local *)kv;

	if (watch >= l->n_watches)
		return;
	free(TAKE(l->watches[watch].key));
	l->watches[watch].used = false;
}

static bool matches(const struct watch *w, const char *key)
{
	return w->used && (w->prefix ? strncmp(key, w->key, strlen(w->key)) == 0 : strcmp(key, w->key) == 0);
}

/* The owner may do anything to watches while it is told, but a statement that is read stays what it is. */
static void load(struct local *l, unsigned int i)
{
	sqlite3_stmt *st = bound(l, ST_LOAD, l->watches[i].key, 0);
	CLEANUP_FREE char *end = NULL;

	if (asprintf(&end, "%s%s", l->watches[i].key, l->watches[i].prefix ? "\x7f" : "\x01") < 0)
		return;
	sqlite3_bind_text(st, 2, end, -1, SQLITE_TRANSIENT);
	l->watches[i].loaded = true;
	kv_tell(&l->kv, i, KV_BEGIN, NULL, NULL, 0, false);
	while (l->watches[i].used && sqlite3_step(st) == SQLITE_ROW) {
		const char *key = (const char *)sqlite3_column_text(st, 0);
		const char *value = (const char *)sqlite3_column_text(st, 1);

		if (key && value && matches(&l->watches[i], key) && kv_is_sound(&l->kv, key, value))
			kv_tell(&l->kv, i, KV_PUT, key, value, sqlite3_column_int64(st, 2),
				sqlite3_column_int64(st, 3) != 0);
	}
	sqlite3_reset(st);
	if (l->watches[i].used)
		kv_tell(&l->kv, i, KV_END, NULL, NULL, l->seen, false);
}

static void tell_all(struct local *l, const char *key, const char *value, int64_t revision, bool leased)
{
	for (unsigned int i = 0; i < l->n_watches; i++)
		if (l->watches[i].loaded && matches(&l->watches[i], key))
			kv_tell(&l->kv, i, value ? KV_PUT : KV_DELETE, key, value, revision, leased);
}

static void news(struct local *l)
{
	sqlite3_stmt *st = bound(l, ST_NEWS, NULL, l->seen);

	while (sqlite3_step(st) == SQLITE_ROW) {
		const char *key = (const char *)sqlite3_column_text(st, 0);
		const char *value = (const char *)sqlite3_column_text(st, 1);

		l->seen = sqlite3_column_int64(st, 2);
		if (key && kv_is_sound(&l->kv, key, value))
			tell_all(l, key, value, l->seen, sqlite3_column_int64(st, 3) != 0);
	}
	sqlite3_reset(st);
}

static void look(struct local *l)
{
	int64_t version = number(l->st[ST_VERSION], 0), oldest;

	if (version == l->version && !l->changed)
		return;
	l->version = version;
	l->changed = false;
	oldest = number(bound(l, ST_OLDEST, NULL, GONE_KEPT), 0);
	if (l->seen && l->seen < oldest) {
		l->kv.counters.compactions++;
		l->seen = number(l->st[ST_REVISION], 0);
		for (unsigned int i = 0; i < l->n_watches; i++)
			l->watches[i].loaded = false;
	}
	news(l);
	for (unsigned int i = 0; i < l->n_watches; i++)
		if (l->watches[i].used && !l->watches[i].loaded && !l->kv.paused)
			load(l, i);
	(void)done(bound(l, ST_FORGET, NULL, 2 * GONE_KEPT));
	if (l->kv.handlers.flush)
		l->kv.handlers.flush(l->kv.arg);
}

/* ---- the interface ---- */

static void local_close(struct kv *kv)
{
	struct local *l = (struct local *)kv;
	struct txn *t;

	if (kv->config.revoke_at_close && l->lease && l->st[ST_SWEEP])
		sweep_one(l, l->lease);
	STAILQ_FOREACH(t, &l->done, link)
		t->r = t->r < 0 ? -ECANCELED : t->r;
	tell_done(l);
	for (unsigned int i = 0; i < l->n_watches; i++)
		local_unwatch(kv, i);
	free(l->watches);
	for (unsigned int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(l->st[i]);
	sqlite3_close(l->db);
	closep(&l->event);
	free(l);
}

static void read_boot(char *buf, size_t size)
{
	CLEANUP_FCLOSE FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (!f || !fgets(buf, (int)size, f))
		str_copy(buf, size, "unknown");
	buf[strcspn(buf, "\n")] = '\0';
}

static int prepare(struct local *l)
{
	static const char schema[] =
		"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE;"
		"CREATE TABLE IF NOT EXISTS kv (key TEXT PRIMARY KEY, value TEXT NOT NULL, revision INT, lease INT);"
		"CREATE INDEX IF NOT EXISTS kv_revision ON kv (revision);"
		"CREATE INDEX IF NOT EXISTS kv_lease ON kv (lease) WHERE lease != 0;"
		"CREATE TABLE IF NOT EXISTS gone (key TEXT PRIMARY KEY, revision INT);"
		"CREATE TABLE IF NOT EXISTS lease (id INTEGER PRIMARY KEY, boot TEXT, deadline INT);"
		"CREATE TABLE IF NOT EXISTS meta (revision INT);"
		"INSERT INTO meta SELECT 1 WHERE NOT EXISTS (SELECT * FROM meta); COMMIT";
	int r = run(l, schema);

	for (unsigned int i = 0; i < STATEMENTS && r == 0; i++)
		if (sqlite3_prepare_v3(l->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &l->st[i], NULL) != SQLITE_OK)
			r = -EIO;
	return r;
}

static int local_open(const struct kv_config *config, const struct kv_handlers *handlers, void *arg, struct kv **ret,
		      struct errbuf *err)
{
	struct local *l = calloc(1, sizeof(*l));
	int fd, r = 0;

	if (!l)
		return err_set(err, ENOMEM, "out of memory");
	l->kv = (struct kv){ .ops = &kv_sqlite, .config = *config, .handlers = *handlers, .arg = arg };
	STAILQ_INIT(&l->done);
	str_copy(l->kv.where, sizeof(l->kv.where), config->path);
	read_boot(l->boot, sizeof(l->boot));
	l->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fd = open(config->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	if (fd < 0 || l->event < 0)
		r = err_set(err, errno, "store: %s: %s", config->path, strerror(errno));
	closep(&fd);
	if (r == 0 && sqlite3_open_v2(config->path, &l->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
			      SQLITE_OK)
		r = err_set(err, EIO, "store: %s cannot be opened", config->path);
	if (r == 0) {
		sqlite3_busy_timeout(l->db, 1000);
		if (prepare(l) < 0)
			r = err_set(err, EIO, "store: %s: %s", config->path, sqlite3_errmsg(l->db));
	}
	if (r < 0) {
		local_close(&l->kv);
		return r;
	}
	l->seen = number(l->st[ST_REVISION], 0);
	*ret = &l->kv;
	return 0;
}

static void turn(struct local *l)
{
	if (!l->told && l->kv.handlers.state) {
		l->kv.counters.connects++;
		l->kv.handlers.state(l->kv.arg, true, l->kv.where);
	}
	l->told = true;
	renew(l);
	sweep(l);
	tell_done(l);
	if (!l->kv.paused)
		look(l);
}

static int local_poll(struct kv *kv, struct pollfd *fds, unsigned int n, int timeout_ms)
{
	struct local *l = (struct local *)kv;
	struct pollfd all[65];
	uint64_t count;

	if (n > 64)
		return -E2BIG;
	turn(l);
	if (n)
		memcpy(all, fds, n * sizeof(*fds));
	all[n] = (struct pollfd){ .fd = l->event, .events = POLLIN };
	if (l->changed || !STAILQ_EMPTY(&l->done))
		timeout_ms = 0;
	else if (timeout_ms < 0 || timeout_ms > LOOK_MS)
		timeout_ms = LOOK_MS;
	if (poll(all, n + 1, timeout_ms) < 0 && errno != EINTR)
		return -errno;
	if (all[n].revents)
		(void)!read(l->event, &count, sizeof(count));
	if (n)
		memcpy(fds, all, n * sizeof(*fds));
	turn(l);
	return 0;
}

static void local_wakeup(struct kv *kv)
{
	uint64_t one = 1;

	(void)!write(((struct local *)kv)->event, &one, sizeof(one));
}

const struct kv_ops kv_sqlite = {
	.open = local_open,
	.close = local_close,
	.watch = local_watch,
	.unwatch = local_unwatch,
	.txn = local_txn,
	.poll = local_poll,
	.wakeup = local_wakeup,
};
