/* SPDX-License-Identifier: BSD-3-Clause */
/* The interface over whichever backend made the store. */
#include "policy/store/store.h"

int store_open(const char *path, struct store **ret, struct errbuf *err)
{
	return store_sqlite.open(path, ret, err);
}

struct store *store_close(struct store *s)
{
	if (s)
		s->ops->close(s);
	return NULL;
}

int store_begin(struct store *s, struct errbuf *err)
{
	return s->ops->begin(s, err);
}

int store_commit(struct store *s, struct errbuf *err)
{
	return s->ops->commit(s, err);
}

void store_rollback(struct store *s)
{
	s->ops->rollback(s);
}

int store_put(struct store *s, enum object_kind kind, const char *key, enum origin origin, const char *text,
	      struct errbuf *err)
{
	return s->ops->put(s, kind, key, origin, text, err);
}

int store_delete(struct store *s, enum object_kind kind, const char *key, struct errbuf *err)
{
	return s->ops->remove(s, kind, key, err);
}

int store_load(struct store *s,
	       int (*fn)(enum object_kind kind, const char *key, enum origin origin, const char *text,
			 void *arg),
	       void *arg, struct errbuf *err)
{
	return s->ops->load(s, fn, arg, err);
}

int store_notes(struct store *s, store_note_fn fn, void *arg, struct errbuf *err)
{
	return s->ops->notes(s, fn, arg, err);
}
