/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket: Varlink server on the main loop. Default deny: each connection gets a level from its peer's
 * credentials (root and the daemon's own user: admin; members of the groups in settings `control`: theirs), each method
 * needs the level of protocol's method table.
 *
 * Bounds: 64 connections (root is let in beyond), 16 of one uid, 1 MiB a message, 1 MiB of queued output, one call at a
 * time per connection and one call or piece of a stream per turn of the loop; who exceeds them is disconnected, and
 * nobody waits for anybody else.
 */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include "base/errs.h"

struct manager;
struct control;

#define CONTROL_CONNECTIONS_MAX	    64
#define CONTROL_CONNECTIONS_PER_UID 16

/*
 * Listen on `path` (mode 0660 or wider as groups need; a stale socket of ours is replaced). Main thread.
 * @return 0 or -errno with a reason.
 */
int control_new(struct manager *m, const char *path, struct control **ret, struct errbuf *err);

/* The settings have changed: who may connect follows them. NULL is allowed. Main thread. */
void control_reload(struct control *c);

/* End calls that look at packets or wait for them: what they look at is about to go. Main thread. */
void control_end_lasting(struct control *c);

/* Close every connection and unlink the socket. NULL is allowed. Returns NULL. */
struct control *control_free(struct control *c);

#endif
