/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The store thread: keeps what was set at run time (origins admin, manager, learned). Changes are gathered while a
 * transaction is being written and go into the next one together; when nothing is being written one goes at once. Main
 * thread, but for what runs on the store thread inside.
 */
#ifndef DAEMON_STORECTL_H
#define DAEMON_STORECTL_H

#include <systemd/sd-event.h>

#include "base/errs.h"
#include "base/object.h"

struct storectl;

/* Changes that may wait to be written; more are refused by storectl_full(). */
#define STORECTL_MAX 262144

/* Called once for every change, from the loop, when it is on disk or will not be soon (r < 0). */
typedef void (*storectl_done_fn)(void *arg, int r, const char *text);

/* The store failed (r < 0, with the reason) or works again (0). */
typedef void (*storectl_state_fn)(void *arg, int r, const char *text);

/* Open (and make) the store in `state_dir`. Waits for the disk: before the loop runs. @return 0 or -errno. */
int storectl_new(sd_event *loop, const char *state_dir, storectl_state_fn state, void *arg, struct storectl **ret,
		 struct errbuf *err);

/* Write what is pending, if it can be written, end the thread. NULL is allowed. Returns NULL. */
struct storectl *storectl_free(struct storectl *s);

/* Everything that is kept. Waits for the disk: before the loop runs. `fn` on the main thread. @return 0 or -errno. */
typedef void (*storectl_load_fn)(enum object_kind kind, const void *spec, enum origin origin, void *arg);
int storectl_load(struct storectl *s, storectl_load_fn fn, void *arg, struct errbuf *err);

/* What storectl_note() has kept, the same way. */
typedef void (*storectl_note_fn)(const char *key, const char *text, void *arg);
int storectl_notes(struct storectl *s, storectl_note_fn fn, void *arg, struct errbuf *err);

/* Keep an object, forget it, or (barrier) just be called when all before is on disk. @return 0, -ENOMEM. */
int storectl_put(struct storectl *s, enum object_kind kind, const void *spec, enum origin origin,
		 storectl_done_fn fn, void *arg);
int storectl_delete(struct storectl *s, enum object_kind kind, const void *spec, storectl_done_fn fn, void *arg);
int storectl_note(struct storectl *s, const char *key, const char *text); /* store_notes(); text NULL: forget */
int storectl_barrier(struct storectl *s, storectl_done_fn fn, void *arg);

unsigned int storectl_pending(const struct storectl *s);
bool storectl_failed(const struct storectl *s);

#endif
