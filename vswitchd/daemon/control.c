/* SPDX-License-Identifier: BSD-3-Clause */
/* Listener, connections, dispatch. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/control_private.h"

/* A stream stops producing when so much waits to be sent, and goes on when it has drained. */
#define STREAM_LOW_WATER (64 * 1024)

/* Replies of a stream in one turn of the loop, however fast the peer reads. */
#define STREAM_PIECE 128

void call_free(struct call *c)
{
	if (c->events)
		manager_unsubscribe(c->events_manager, c->events);
	json_object_put(c->held);
	json_object_put(c->message);
	free(c);
}

/* The connection is done with the call; what is outstanding still holds it. */
static void call_detach(struct call *c)
{
	if (c->events) {
		manager_unsubscribe(c->events_manager, c->events);
		c->events = NULL;
	}
	if (c->end)
		c->end(c);
	c->end = NULL;
	c->next = NULL;
	if (c->conn)
		c->conn->call = NULL;
	c->conn = NULL;
	if (!c->outstanding)
		call_free(c);
}

void conn_close(struct conn *c)
{
	if (c->call)
		call_detach(c->call);
	LIST_REMOVE(c, link);
	c->control->n_conns--;
	sd_event_source_disable_unref(c->io);
	stream_done(&c->stream);
	free(c);
}

/* Close later, from the connection's own event: callers up the stack still use it. */
static void conn_abort(struct conn *c)
{
	c->closing = true;
	c->stream.out_len = c->stream.out_sent = 0;
	(void)shutdown(c->stream.fd, SHUT_RDWR);
}

/* Is there something to do for the connection without its peer sending anything? */
static bool conn_has_work(const struct conn *c)
{
	if (c->closing)
		return false;
	return c->call ? c->call->next != NULL : stream_unread(&c->stream);
}

static bool conn_is_done(const struct conn *c)
{
	return (c->closing || (c->eof && !c->call && !conn_has_work(c))) && !stream_waiting(&c->stream);
}

/*
 * A peer that reads makes the socket writable: that is also how we come back for more work, after the others had their
 * turn.
 */
static void conn_watch(struct conn *c)
{
	uint32_t events = stream_waiting(&c->stream) || conn_has_work(c) || conn_is_done(c) ? EPOLLOUT : 0;

	if (!c->call && !c->closing && !c->eof)
		events |= EPOLLIN;
	(void)sd_event_source_set_io_events(c->io, events | EPOLLHUP);
}

/* Queue and send. The peer that does not read is cut off. */
static int conn_send(struct conn *c, struct json_object *message)
{
	int r = stream_queue(&c->stream, message);

	json_object_put(message);
	if (r >= 0 && stream_flush(&c->stream) < 0)
		r = -EPIPE;
	if (r < 0) {
		log_debug("control: connection of uid %u ended: %s", (unsigned int)c->uid, strerror(-r));
		conn_abort(c);
	}
	conn_watch(c);
	return r;
}

/* The last message of a call. */
static void finish(struct call *c, struct json_object *message)
{
	struct conn *conn = c->conn;
	bool oneway = c->oneway;

	call_detach(c);
	if (oneway) {
		json_object_put(message);
		conn_watch(conn);
	} else {
		conn_send(conn, message);
	}
}

void call_reply(struct call *c, struct json_object *parameters)
{
	struct conn *conn = c->conn;

	if (!conn) {
		json_object_put(parameters);
		return;
	}
	finish(c, reply_new(parameters, false));
}

void call_fail(struct call *c, int r, const char *text)
{
	if (c->conn)
		finish(c, error_new(r, text));
}

int call_stream(struct call *c, struct json_object *parameters)
{
	if (!c->conn) {
		json_object_put(parameters);
		return -EPIPE;
	}
	return conn_send(c->conn, reply_new(parameters, true));
}

int call_stream_fds(struct call *c, struct json_object *parameters, const int fds[STREAM_FDS], struct errbuf *err)
{
	struct json_object *message = reply_new(parameters, true);
	int r = c->conn ? stream_send_fds(&c->conn->stream, message, fds) : -EPIPE;

	json_object_put(message);
	if (r == -EBUSY)
		return err_set(err, -r, "read the replies to earlier calls first");
	if (r < 0 && c->conn)
		conn_abort(c->conn);
	if (c->conn)
		conn_watch(c->conn);
	return r < 0 ? err_set(err, -r, "the connection is gone") : 0;
}

/* Produce some replies of a stream, unless enough waits; one is held back, for the last must not say "continues". */
static void call_produce(struct call *c)
{
	for (unsigned int n = 0; n < STREAM_PIECE && stream_waiting(&c->conn->stream) < STREAM_LOW_WATER; n++) {
		struct json_object *o = NULL, *last = c->held;
		int r = c->next(c, &o);

		if (r < 0) {
			call_fail(c, r, c->err.text);
			return;
		}
		c->held = o;
		if (r == 0) {
			c->held = NULL;
			if (last) {
				call_reply(c, last);
			} else {
				/* nothing at all: a stream without members is an empty reply */
				call_reply(c, json_object_new_object());
			}
			return;
		}
		if (last && call_stream(c, last) < 0)
			return;
	}
}

static void service_call(struct call *c, const char *method)
{
	struct json_object *o = json_object_new_object();

	if (strcmp(method, "org.varlink.service.GetInfo") == 0) {
		struct json_object *list = json_object_new_array();
		struct manager_info info;

		manager_info(c->conn->control->m, &info);
		json_object_object_add(o, "vendor", json_object_new_string("vswitchd"));
		json_object_object_add(o, "product", json_object_new_string("vswitchd"));
		json_object_object_add(o, "version", json_object_new_string(info.version));
		json_object_array_add(list, json_object_new_string("org.varlink.service"));
		json_object_array_add(list, json_object_new_string(PROTOCOL_INTERFACE));
		json_object_object_add(o, "interfaces", list);
	} else {
		char *idl = protocol_idl();

		json_object_object_add(o, "description", json_object_new_string(idl ? idl : ""));
		free(idl);
	}
	call_reply(c, o);
}

static void dispatch(struct conn *conn, struct call *c, const char *name)
{
	enum method method = method_find(name);
	struct errbuf err = { "" };
	int r;

	if (conn->level >= LEVEL_READ && (strcmp(name, "org.varlink.service.GetInfo") == 0 ||
					  strcmp(name, "org.varlink.service.GetInterfaceDescription") == 0)) {
		service_call(c, name);
		return;
	}
	if (method == METHOD_COUNT) {
		call_fail(c, -EINVAL, "no such method");
		return;
	}
	c->method = &methods[method];
	if (conn->level < (int)c->method->level) {
		char text[128];

		snprintf(text, sizeof(text), "%s needs level %s (see `control` in the configuration)", c->method->name,
			 method_level_names[c->method->level]);
		call_fail(c, -EACCES, text);
		return;
	}
	r = method_handlers[method](conn->control->m, c, &err);
	if (r < 0)
		call_fail(c, r, err.text);
}

/* Take over one message. */
static void conn_message(struct conn *conn, struct json_object *message)
{
	struct json_object *method = NULL, *parameters = NULL, *more = NULL, *oneway = NULL;
	struct call *c = calloc(1, sizeof(*c));

	if (!c) {
		json_object_put(message);
		conn_abort(conn);
		return;
	}
	c->conn = conn;
	c->message = message;
	conn->call = c;
	json_object_object_get_ex(message, "method", &method);
	json_object_object_get_ex(message, "parameters", &parameters);
	json_object_object_get_ex(message, "more", &more);
	json_object_object_get_ex(message, "oneway", &oneway);
	c->oneway = json_object_get_boolean(oneway);
	if (!json_object_is_type(method, json_type_string) ||
	    (parameters && !json_object_is_type(parameters, json_type_object))) {
		call_fail(c, -EINVAL, "a call is {\"method\": string, \"parameters\": object}");
		return;
	}
	if (!parameters) {
		parameters = json_object_new_object();
		json_object_object_add(message, "parameters", parameters);
	}
	c->parameters = parameters;
	c->more = json_object_get_boolean(more) && !c->oneway;
	dispatch(conn, c, json_object_get_string(method));
}

/* A piece of the stream that is being sent, or the next call of what has been read. */
static void conn_serve(struct conn *c)
{
	struct json_object *message;
	int r;

	if (!conn_has_work(c))
		return;
	if (!c->call) {
		r = stream_next(&c->stream, &message);
		if (r < 0) {
			conn_send(c, error_new(-EINVAL, "not a JSON object, nested too deeply, or too long"));
			c->closing = true;
		}
		if (r <= 0)
			return;
		conn_message(c, message);
	}
	if (c->call && c->call->next)
		call_produce(c->call);
}

static int on_conn(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct conn *c = arg;

	if (events & (EPOLLHUP | EPOLLERR))
		goto close;
	if ((events & EPOLLOUT) && stream_flush(&c->stream) < 0)
		goto close;
	if ((events & EPOLLIN) && !c->call && !c->eof) {
		int r = stream_read(&c->stream);

		if (r < 0 && r != -EAGAIN)
			goto close;
		c->eof = r == 0;
	}
	conn_serve(c);
	if (conn_is_done(c))
		goto close;
	conn_watch(c);
	return 0;
close:
	conn_close(c);
	return 0;
}

void control_end_lasting(struct control *c)
{
	struct conn *i;

	LIST_FOREACH(i, &c->conns, link)
		if (i->call && i->call->end)
			call_fail(i->call, -ECANCELED, "the daemon ends");
}

static unsigned int conns_of(const struct control *c, uid_t uid)
{
	const struct conn *i;
	unsigned int n = 0;

	LIST_FOREACH(i, &c->conns, link)
		n += i->uid == uid;
	return n;
}

int conn_new(struct control *control, int fd)
{
	struct conn *c;
	uid_t uid = (uid_t)-1;
	int level = auth_level(fd, &control->groups, &uid), r;

	if (level < 0)
		return -EACCES;
	/* Whoever takes all places cannot keep root out. */
	if ((control->n_conns >= CONTROL_CONNECTIONS_MAX && uid != 0) ||
	    conns_of(control, uid) >= CONTROL_CONNECTIONS_PER_UID)
		return -EBUSY;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->control = control;
	c->uid = uid;
	c->level = level;
	r = sd_event_add_io(manager_loop(control->m), &c->io, fd, EPOLLIN, on_conn, c);
	if (r < 0) {
		free(c);
		return r;
	}
	stream_init(&c->stream, fd);
	LIST_INSERT_HEAD(&control->conns, c, link);
	control->n_conns++;
	return 0;
}
