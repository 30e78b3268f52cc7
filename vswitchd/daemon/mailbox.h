/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages of foreign threads (DPDK's vhost thread, teamwatch) for the main loop. Posting takes a mutex for a moment
 * and never waits. A guest that switches its rings all the time can make messages faster than they are read: there is a
 * bound, and when it is reached one "lost" call tells the reader to look at everything himself.
 */
#ifndef DAEMON_MAILBOX_H
#define DAEMON_MAILBOX_H

#include <systemd/sd-event.h>

#include "teaming/teaming.h"
#include "vhost/vhost.h"

struct mailbox;

struct mailbox_ops {
	/* All on the main thread. */
	void (*port)(const struct vhu_event *ev, void *arg);
	void (*team)(const struct teaming_event *ev, void *arg);
	void (*lost)(void *arg); /* some messages were dropped since the last call */
};

int mailbox_new(sd_event *loop, const struct mailbox_ops *ops, void *arg, struct mailbox **ret);
/* Nobody may post any more. NULL is allowed. Returns NULL. */
struct mailbox *mailbox_free(struct mailbox *mb);

/* Any thread; `mb` is the struct mailbox *. Fit for vhu_config.event and teaming_config.event. */
void mailbox_post_port(const struct vhu_event *ev, void *mb);
void mailbox_post_team(const struct teaming_event *ev, void *mb);

#endif
