/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to vswitch-policyd: the manager with a control socket. One thread, one loop, no DPDK. */
#ifndef POLICYD_POLICYD_H
#define POLICYD_POLICYD_H

#include <poll.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "daemon/config.h"
#include "policy/manager/manager.h"
#include "protocol/protocol.h"

#define CONNECTIONS_MAX 32

struct conn {
	LIST_ENTRY(conn) link;
	struct server *server;
	struct stream stream;
	bool admin;	  /* may change things */
	bool closing;
	struct call *call; /* being served; the next message waits */
	struct pollfd *poll; /* during one turn */
};

/* A call on its way. The connection may go meanwhile (conn NULL). */
struct call {
	struct conn *conn;
	struct json_object *message, *parameters;
	const struct method_info *method;
	unsigned int outstanding, changed;
	bool started; /* all changes were handed over */
	int r;
	struct errbuf err;
	struct json_object *reply; /* of Apply */
	/* List */
	bool listing;
	enum object_kind kind;
	uint64_t cursor;
	struct json_object *held;
};

struct server {
	struct pm *pm;
	const struct settings *settings;
	char path[PATH_SIZE];
	int fd;
	LIST_HEAD(, conn) conns;
	unsigned int n;
};

/* ---- server.c ---- */
int server_new(struct server *s, struct pm *pm, const struct settings *settings, struct errbuf *err);
void server_free(struct server *s);
/* What has to be waited for; @return number of descriptors. */
unsigned int server_fds(struct server *s, struct pollfd *fds, unsigned int max);
void server_turn(struct server *s, const struct pollfd *fds, unsigned int n);
/* Answer (takes the reference) or refuse, and end the call. */
void call_reply(struct call *c, struct json_object *parameters);
void call_fail(struct call *c, int r, const char *text);
void call_free(struct call *c);

/* ---- methods.c ---- */
void method_call(struct server *s, struct call *c, const char *name);
/* The next piece of a listing. @return false: that was all. */
bool method_list_next(struct server *s, struct call *c);

/* ---- apply.c ---- */
int method_apply(struct server *s, struct call *c, struct errbuf *err);

/* ---- notify.c ---- */
void notify(const char *text); /* a line for the service manager, if there is one */

#endif
