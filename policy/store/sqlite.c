/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The embedded backend: one sqlite file in WAL mode. Kinds and origins are kept by name, so that reordering
 * an enum does not reinterpret old files; rows of names that this version does not know are kept and not
 * loaded.
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "policy/store/store.h"

#define APPLICATION_ID 0x76737764 /* "vswd" */
#define SCHEMA_VERSION 1
#define ASIDE_MAX      1000 /* damaged files kept */

#define NOTE "shared-key"

enum statement { PUT, REMOVE, LOAD, NOTES, STATEMENTS };

static const char *const statement_text[STATEMENTS] = {
	[PUT] = ("INSERT INTO object (kind, key, origin, text) VALUES (?1, ?2, ?3, ?4) "
		 "ON CONFLICT (kind, key) DO UPDATE SET origin = ?3, text = ?4"),
	[REMOVE] = "DELETE FROM object WHERE kind = ?1 AND key = ?2",
	[LOAD] = "SELECT kind, key, origin, text FROM object ORDER BY rowid",
	[NOTES] = "SELECT key, text FROM object WHERE kind = '" NOTE "'",
};

struct sqlite_store {
	struct store store; /* first: the interface sees this */
	sqlite3 *db;
	sqlite3_stmt *st[STATEMENTS];
};

static int to_errno(int rc, int os)
{
	/* Depending on the place a full file system shows as a failed write only. */
	if (os == ENOSPC || os == EDQUOT)
		return -ENOSPC;
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
	case SQLITE_ROW:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_PERM:
	case SQLITE_AUTH:
	case SQLITE_CANTOPEN:
		return -EACCES;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EUCLEAN;
	default:
		return -EIO;
	}
}

static int fail(struct sqlite_store *s, int rc, const char *what, struct errbuf *err)
{
	int code = -to_errno(rc, s->db && (rc & 0xff) == SQLITE_IOERR ? sqlite3_system_errno(s->db) : 0);

	return err_set(err, code, "policy store: %s: %s", what,
		       s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc));
}

static int run(struct sqlite_store *s, const char *sql, struct errbuf *err)
{
	int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : fail(s, rc, sql, err);
}

/* One number of a pragma. */
static int pragma(struct sqlite_store *s, const char *sql, int *ret, struct errbuf *err)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*ret = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return rc == SQLITE_ROW ? 0 : fail(s, rc, sql, err);
}

/* "ok" is what a sound file answers. */
static int check_sound(struct sqlite_store *s, struct errbuf *err)
{
	sqlite3_stmt *st = NULL;
	const char *answer;
	bool sound = false;
	int rc = sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		answer = (const char *)sqlite3_column_text(st, 0);
		sound = answer && strcmp(answer, "ok") == 0;
	}
	sqlite3_finalize(st);
	if (rc != SQLITE_ROW)
		return fail(s, rc, "check", err);
	return sound ? 0 : err_set(err, EUCLEAN, "policy store: the file is damaged");
}

/* Whose file is it? Asked before anything is written. *ret_empty: nobody's yet. */
static int check_schema(struct sqlite_store *s, bool *ret_empty, struct errbuf *err)
{
	int id = 0, version = 0, tables = 0, r;

	r = pragma(s, "PRAGMA application_id", &id, err);
	if (r >= 0)
		r = pragma(s, "PRAGMA user_version", &version, err);
	if (r >= 0)
		r = pragma(s, "SELECT count(*) FROM sqlite_master", &tables, err);
	if (r < 0)
		return r;
	*ret_empty = !tables;
	if (tables && id != APPLICATION_ID)
		return err_set(err, EUCLEAN, "policy store: the file is another program's database");
	if (version > SCHEMA_VERSION)
		return err_set(err, EPROTONOSUPPORT,
			       "policy store: written by a newer version (schema %d, known is %d)", version,
			       SCHEMA_VERSION);
	return 0;
}

static int create_schema(struct sqlite_store *s, struct errbuf *err)
{
	char sql[512];

	snprintf(sql, sizeof(sql),
		 "BEGIN;"
		 "CREATE TABLE object (kind TEXT NOT NULL, key TEXT NOT NULL, origin TEXT NOT NULL,"
		 " text TEXT NOT NULL, PRIMARY KEY (kind, key));"
		 "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
		 APPLICATION_ID, SCHEMA_VERSION);
	return run(s, sql, err);
}

static void sqlite_close(struct store *store)
{
	struct sqlite_store *s = (struct sqlite_store *)store;

	for (unsigned int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(s->st[i]);
	sqlite3_close(s->db);
	free(s);
}

/* Tenants' addresses are for nobody else to read: the library would make the file 0644. */
static int create_file(const char *path, struct errbuf *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);

	if (fd < 0)
		return err_set(err, errno, "policy store: %s: %s", path, strerror(errno));
	close(fd);
	return 0;
}

static int prepare(struct sqlite_store *s, struct errbuf *err)
{
	for (unsigned int i = 0; i < STATEMENTS; i++) {
		int rc = sqlite3_prepare_v3(s->db, statement_text[i], -1, SQLITE_PREPARE_PERSISTENT,
					    &s->st[i], NULL);

		if (rc != SQLITE_OK)
			return fail(s, rc, statement_text[i], err);
	}
	return 0;
}

static int open_file(const char *path, struct sqlite_store **ret, struct errbuf *err)
{
	struct sqlite_store *s = calloc(1, sizeof(*s));
	bool empty = false;
	int r, rc;

	if (!s)
		return err_set(err, ENOMEM, "out of memory");
	s->store.ops = &store_sqlite;
	r = create_file(path, err);
	if (r >= 0) {
		rc = sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
		if (rc != SQLITE_OK)
			r = fail(s, rc, path, err);
	}
	if (r >= 0) {
		sqlite3_busy_timeout(s->db, 1000);
		r = check_schema(s, &empty, err);
	}
	if (r >= 0)
		r = check_sound(s, err);
	if (r >= 0)
		r = run(s, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF",
			err);
	if (r >= 0 && empty)
		r = create_schema(s, err);
	if (r >= 0)
		r = prepare(s, err);
	if (r < 0) {
		sqlite_close(&s->store);
		return r;
	}
	*ret = s;
	return 0;
}

/* Put a damaged file and its journals out of the way, for a person to look at; never over an earlier one. */
static int set_aside(const char *path, struct errbuf *err)
{
	static const char *const suffixes[] = { "-wal", "-shm" };
	char to[4096], from_journal[4160], to_journal[4160];
	unsigned int n;

	for (n = 1; n <= ASIDE_MAX; n++) {
		if (snprintf(to, sizeof(to), "%s.corrupt-%u", path, n) >= (int)sizeof(to))
			return err_set(err, ENAMETOOLONG, "policy store: %.100s...: name too long", path);
		if (renameat2(AT_FDCWD, path, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
			break;
		if (errno != EEXIST || n == ASIDE_MAX)
			return err_set(err, errno, "policy store: %s is damaged and cannot be renamed: %s",
				       path, strerror(errno));
	}
	for (unsigned int i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		snprintf(from_journal, sizeof(from_journal), "%s%s", path, suffixes[i]);
		snprintf(to_journal, sizeof(to_journal), "%s%s", to, suffixes[i]);
		if (rename(from_journal, to_journal) < 0 && errno != ENOENT)
			return err_set(err, errno, "policy store: cannot rename %s: %s", from_journal,
				       strerror(errno));
	}
	log_warning("policy store: %s is damaged or foreign; kept as %s, beginning with an empty one", path,
		    to);
	return 0;
}

static int sqlite_open(const char *path, struct store **ret, struct errbuf *err)
{
	struct sqlite_store *s;
	int r = open_file(path, &s, err);

	if (r == -EUCLEAN) {
		r = set_aside(path, err);
		if (r >= 0)
			r = open_file(path, &s, err);
	}
	if (r >= 0)
		*ret = &s->store;
	return r;
}

static int sqlite_begin(struct store *store, struct errbuf *err)
{
	return run((struct sqlite_store *)store, "BEGIN IMMEDIATE", err);
}

static int sqlite_commit(struct store *store, struct errbuf *err)
{
	int r = run((struct sqlite_store *)store, "COMMIT", err);

	if (r < 0)
		store->ops->rollback(store);
	return r;
}

static void sqlite_rollback(struct store *store)
{
	/* Fails when sqlite has rolled back itself (disk full): that is what was wanted. */
	(void)sqlite3_exec(((struct sqlite_store *)store)->db, "ROLLBACK", NULL, NULL, NULL);
}

static int step(struct sqlite_store *s, enum statement which, struct errbuf *err)
{
	int rc = sqlite3_step(s->st[which]);

	sqlite3_reset(s->st[which]);
	sqlite3_clear_bindings(s->st[which]);
	return rc == SQLITE_DONE ? 0 : fail(s, rc, which == PUT ? "write" : "remove", err);
}

static const char *name_of(enum object_kind kind)
{
	return kind == STORE_NOTE ? NOTE : object_types[kind].name;
}

static int sqlite_put(struct store *store, enum object_kind kind, const char *key, enum origin origin,
		      const char *text, struct errbuf *err)
{
	struct sqlite_store *s = (struct sqlite_store *)store;

	/*
	 * STATIC: the strings live until the step; binding fails only without memory, which the step reports.
	 */
	sqlite3_bind_text(s->st[PUT], 1, name_of(kind), -1, SQLITE_STATIC);
	sqlite3_bind_text(s->st[PUT], 2, key, -1, SQLITE_STATIC);
	sqlite3_bind_text(s->st[PUT], 3, origin_names[origin], -1, SQLITE_STATIC);
	sqlite3_bind_text(s->st[PUT], 4, text, -1, SQLITE_STATIC);
	return step(s, PUT, err);
}

static int sqlite_remove(struct store *store, enum object_kind kind, const char *key, struct errbuf *err)
{
	struct sqlite_store *s = (struct sqlite_store *)store;

	sqlite3_bind_text(s->st[REMOVE], 1, name_of(kind), -1, SQLITE_STATIC);
	sqlite3_bind_text(s->st[REMOVE], 2, key, -1, SQLITE_STATIC);
	return step(s, REMOVE, err);
}

static int kind_of(const char *name)
{
	for (unsigned int i = 0; name && i < OBJECT_COUNT; i++)
		if (strcmp(object_types[i].name, name) == 0)
			return (int)i;
	return -1;
}

static int origin_of(const char *name)
{
	for (unsigned int i = 0; name && i < ORIGIN_COUNT; i++)
		if (strcmp(origin_names[i], name) == 0)
			return (int)i;
	return -1;
}

/* The end of a visit: by what sqlite (rc) and its visitor (r) said. */
static int loaded(struct sqlite_store *s, enum statement which, int rc, int r, struct errbuf *err)
{
	sqlite3_reset(s->st[which]);
	if (r < 0)
		return err_set(err, -r, "policy store: loading was broken off: %s", strerror(-r));
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : fail(s, rc, "read", err);
}

static int sqlite_load(struct store *store,
		       int (*fn)(enum object_kind kind, const char *key, enum origin origin, const char *text,
				 void *arg),
		       void *arg, struct errbuf *err)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	sqlite3_stmt *st = s->st[LOAD];
	int r = 0, rc;

	while ((rc = sqlite3_step(st)) == SQLITE_ROW && r >= 0) {
		int kind = kind_of((const char *)sqlite3_column_text(st, 0));
		int origin = origin_of((const char *)sqlite3_column_text(st, 2));
		const char *key = (const char *)sqlite3_column_text(st, 1);
		const char *text = (const char *)sqlite3_column_text(st, 3);

		if (kind < 0 || origin < 0 || !key || !text)
			continue; /* a newer version's */
		r = fn((enum object_kind)kind, key, (enum origin)origin, text, arg);
	}
	return loaded(s, LOAD, rc, r, err);
}

static int sqlite_notes(struct store *store, store_note_fn fn, void *arg, struct errbuf *err)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	sqlite3_stmt *st = s->st[NOTES];
	int r = 0, rc;

	while ((rc = sqlite3_step(st)) == SQLITE_ROW && r >= 0) {
		const char *key = (const char *)sqlite3_column_text(st, 0);
		const char *text = (const char *)sqlite3_column_text(st, 1);

		if (key && text)
			r = fn(key, text, arg);
	}
	return loaded(s, NOTES, rc, r, err);
}

const struct store_ops store_sqlite = {
	.name = "sqlite",
	.open = sqlite_open,
	.close = sqlite_close,
	.begin = sqlite_begin,
	.commit = sqlite_commit,
	.rollback = sqlite_rollback,
	.put = sqlite_put,
	.remove = sqlite_remove,
	.load = sqlite_load,
	.notes = sqlite_notes,
};
