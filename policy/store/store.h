/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What survives a restart: objects of origin admin, manager and learned, each as one line of field_write(). A
 * library of its own; all calls of one store come from one thread (the daemon's store thread) and may block.
 *
 * Nothing is acknowledged before store_commit() has returned 0: then it is on disk.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/errs.h"
#include "base/object.h"
#include "policy/store/kv.h"

struct store;

/*
 * As a kind: what the shared store says of no object. The key is its key there, the origin is ORIGIN_MANAGER;
 * store_load() does not visit it.
 */
#define STORE_NOTE OBJECT_COUNT

typedef int (*store_note_fn)(const char *key, const char *text, void *arg);

/* A backend; sqlite is the embedded one. The functions below call through it, with the same contracts. */
struct store_ops {
	const char *name;
	int (*open)(const char *path, struct store **ret, struct errbuf *err);
	void (*close)(struct store *s);
	int (*begin)(struct store *s, struct errbuf *err);
	int (*commit)(struct store *s, struct errbuf *err);
	void (*rollback)(struct store *s);
	int (*put)(struct store *s, enum object_kind kind, const char *key, enum origin origin,
		   const char *text, struct errbuf *err);
	int (*remove)(struct store *s, enum object_kind kind, const char *key, struct errbuf *err);
	int (*load)(struct store *s,
		    int (*fn)(enum object_kind kind, const char *key, enum origin origin, const char *text,
			      void *arg),
		    void *arg, struct errbuf *err);
	int (*notes)(struct store *s, store_note_fn fn, void *arg, struct errbuf *err);
};

/* First member of every backend's store. */
struct store {
	const struct store_ops *ops;
};

extern const struct store_ops store_sqlite;

/*
 * Open or create. A file that is damaged or of another kind is not used: it is renamed to
 * PATH.corrupt-<number>, which is logged, and an empty store takes its place.
 * @param path of the database file; its directory exists.
 * @return 0; -EACCES, -ENOSPC, -EIO, -EPROTONOSUPPORT (written by a newer version: left alone), with a
 * reason.
 */
int store_open(const char *path, struct store **ret, struct errbuf *err);

/* Close; an open transaction is rolled back. NULL is allowed. Returns NULL. */
struct store *store_close(struct store *s);

/* Changes happen in transactions. @return 0; -ENOSPC (disk full), -EIO, -EROFS with a reason. */
int store_begin(struct store *s, struct errbuf *err);
int store_commit(struct store *s, struct errbuf *err);
void store_rollback(struct store *s);

/*
 * Create or replace the object `key` (object_key()) of a kind. @param text what field_write() wrote.
 * Between store_begin() and store_commit(). @return as store_begin().
 */
int store_put(struct store *s, enum object_kind kind, const char *key, enum origin origin, const char *text,
	      struct errbuf *err);

/* Remove; 0 also when there was none. */
int store_delete(struct store *s, enum object_kind kind, const char *key, struct errbuf *err);

/*
 * Visit every object; fn's strings are valid during its call, a negative return ends the visit and is
 * returned.
 */
int store_load(struct store *s,
	       int (*fn)(enum object_kind kind, const char *key, enum origin origin, const char *text,
			 void *arg),
	       void *arg, struct errbuf *err);
/* The same of all notes. */
int store_notes(struct store *s, store_note_fn fn, void *arg, struct errbuf *err);

#endif
