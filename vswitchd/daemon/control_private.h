/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by control*.c: connections and the call each of them is serving. Main thread only. */
#ifndef DAEMON_CONTROL_PRIVATE_H
#define DAEMON_CONTROL_PRIVATE_H

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "daemon/control.h"
#include "daemon/manager.h"
#include "daemon/watch_share.h"
#include "datapath/datapath.h"
#include "policy/policy.h"
#include "protocol/protocol.h"
#include "teaming/teaming.h"

#define NEIGHBOURS_SHOWN 4096

struct call;

struct conn {
	LIST_ENTRY(conn) link;
	struct control *control;
	struct stream stream;
	sd_event_source *io;
	uid_t uid;
	int level; /* enum method_level, -1: none */
	struct call *call; /* being served; the next message waits */
	bool closing;	   /* close when the output is gone */
	bool eof;	   /* the peer sends no more, but may read */
};

LIST_HEAD(conn_list, conn);

/* Numbers of the groups in the settings: asking for them may take long (NSS), so nobody who connects makes us ask. */
struct group_ids {
	struct group_id {
		char name[GROUP_SIZE];
		gid_t gid;
		bool known;
	} id[3]; /* by level */
};

struct control {
	struct manager *m;
	char path[PATH_SIZE];
	bool passed; /* the socket is the service manager's */
	int fd;
	int spare; /* given up for a moment to refuse a connection when descriptors have run out */
	sd_event_source *io, *retry;
	struct conn_list conns;
	struct watch_share watches;
	unsigned int n_conns;
	struct group_ids groups;
};

/*
 * One call. Asynchronous work holds it by `outstanding`; the connection may go away meanwhile (conn NULL), then the
 * result is thrown away. Freed when it is finished and nothing is outstanding.
 */
struct call {
	struct conn *conn;
	const struct method_info *method;
	struct json_object *parameters; /* borrowed from message */
	struct json_object *message;
	bool more, oneway; /* oneway: no reply, not even an error */
	/* asynchronous changes */
	unsigned int outstanding, changed;
	bool started; /* every change has been handed over */
	int result;
	struct errbuf err;
	char warning[160]; /* what is odd about the first odd one; "": nothing */
	/* streaming: called again whenever the output has drained */
	int (*next)(struct call *c, struct json_object **ret);
	enum object_kind kind;
	uint64_t cursor;
	char filter[PATH_SIZE];
	struct json_object *held; /* last reply, until it is known whether another follows */
	struct subscription *events;
	struct manager *events_manager; /* of the subscription */
	/* of methods that last: undone when the call is over, or its connection */
	void *state;
	void (*end)(struct call *c);
};

/*
 * A method's handler. @return 0: it has replied or will; -errno with a reason in err: the error is sent.
 * A handler that streams sets c->next.
 */
typedef int (*method_fn)(struct manager *m, struct call *c, struct errbuf *err);
extern const method_fn method_handlers[METHOD_COUNT];

/* For who ends a call whose connection has gone (conn NULL). */
void call_free(struct call *c);
/* Send the only reply (takes the reference) and finish the call. */
void call_reply(struct call *c, struct json_object *parameters);
/* Send an error and finish. */
void call_fail(struct call *c, int r, const char *text);
/* Send one reply of a stream (takes the reference); the call goes on. @return 0, -ENOBUFS: the peer is gone. */
int call_stream(struct call *c, struct json_object *parameters);
/* The same with descriptors, which stay the caller's. Nothing of the call was replied yet. */
int call_stream_fds(struct call *c, struct json_object *parameters, const int fds[STREAM_FDS], struct errbuf *err);

/* control.c: serve a peer that was accepted. @return 0; -EACCES, -EBUSY, -ENOMEM: the descriptor stays the caller's. */
int conn_new(struct control *control, int fd);
void conn_close(struct conn *c);

/* control_auth.c: look the groups of the settings up, those that are new or were not found. */
void auth_groups(struct group_ids *g, const struct settings *s);
/* Level of a peer, -1 for none. */
int auth_level(int fd, const struct group_ids *g, uid_t *ret_uid);

/* control_show.c */
struct json_object *show_port(struct manager *m, const struct port_info *p);
struct json_object *show_team(struct manager *m);
struct json_object *show_drops(struct manager *m, const char *port, bool all, int *ret_error);
struct json_object *show_stats(struct manager *m);
struct vsid_total;
struct json_object *show_counts(const struct traffic *t);
struct json_object *show_traffic(const struct vsid_total *t);
struct json_object *show_workers(struct manager *m);
struct json_object *show_info(struct manager *m);
struct json_object *show_store(struct manager *m);
struct json_object *show_event(const struct event *ev);

/* control_offload.c */
struct json_object *show_offload(struct manager *m);

/* A parameter of a call. @return 0; -EINVAL when missing (wanted) or of another type. */
int parameter_string(struct json_object *parameters, const char *name, bool wanted, const char **ret,
		     struct errbuf *err);

#endif
