/* SPDX-License-Identifier: BSD-3-Clause */
/* The control socket: listener, connections, one call at a time on each. */
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "policyd/policyd.h"

#define LOW_WATER (64 * 1024)
#define GROUPS_MAX 256

/* ---- who ---- */

static bool has_group(const gid_t *groups, size_t n, const char *name)
{
	struct group g, *found = NULL;
	char buf[16384];

	if (!*name || getgrnam_r(name, &g, buf, sizeof(buf), &found) != 0 || !found)
		return false;
	for (size_t i = 0; i < n; i++)
		if (groups[i] == g.gr_gid)
			return true;
	return false;
}

/* @return -EACCES: not let in; 0: may read; 1: may change things. */
static int level_of(int fd, const struct settings *s)
{
	gid_t groups[GROUPS_MAX + 1];
	struct ucred cred;
	socklen_t size = sizeof(cred);
	size_t n = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
		return -EACCES;
	if (cred.uid == 0 || cred.uid == geteuid())
		return 1;
	size = GROUPS_MAX * sizeof(gid_t);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0)
		n = size / sizeof(gid_t);
	groups[n++] = cred.gid;
	if (has_group(groups, n, s->admin_group))
		return 1;
	return has_group(groups, n, s->operate_group) || has_group(groups, n, s->read_group) ? 0 : -EACCES;
}

/* ---- calls ---- */

void call_free(struct call *c)
{
	json_object_put(c->held);
	json_object_put(c->reply);
	json_object_put(c->message);
	free(c);
}

static void send_message(struct conn *conn, struct json_object *message)
{
	if (stream_queue(&conn->stream, message) < 0 || stream_flush(&conn->stream) < 0)
		conn->closing = true;
	json_object_put(message);
}

static void call_end(struct call *c, struct json_object *message)
{
	struct conn *conn = c->conn;

	if (conn) {
		conn->call = NULL;
		send_message(conn, message);
	} else {
		json_object_put(message);
	}
	c->conn = NULL;
	if (!c->outstanding)
		call_free(c);
}

void call_reply(struct call *c, struct json_object *parameters)
{
	call_end(c, reply_new(parameters, false));
}

void call_fail(struct call *c, int r, const char *text)
{
	call_end(c, error_new(r, text));
}

static void take_message(struct conn *conn, struct json_object *message)
{
	struct json_object *method = NULL, *parameters = NULL;
	struct call *c = calloc(1, sizeof(*c));

	if (!c) {
		json_object_put(message);
		conn->closing = true;
		return;
	}
	c->conn = conn;
	c->message = message;
	conn->call = c;
	json_object_object_get_ex(message, "method", &method);
	if (!json_object_object_get_ex(message, "parameters", &parameters)) {
		parameters = json_object_new_object();
		json_object_object_add(message, "parameters", parameters);
	}
	if (!json_object_is_type(method, json_type_string) || !json_object_is_type(parameters, json_type_object)) {
		call_fail(c, -EINVAL, "a call is {\"method\": string, \"parameters\": object}");
		return;
	}
	c->parameters = parameters;
	method_call(conn->server, c, json_object_get_string(method));
}

/* ---- connections ---- */

static void conn_close(struct conn *conn)
{
	struct call *c = conn->call;

	if (c) {
		c->conn = NULL;
		if (!c->outstanding)
			call_free(c);
	}
	LIST_REMOVE(conn, link);
	conn->server->n--;
	stream_done(&conn->stream);
	free(conn);
}

static void refuse(int fd, int r, const char *text)
{
	struct json_object *o = error_new(r, text);
	const char *s = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);

	if (s)
		(void)!send(fd, s, strlen(s) + 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	json_object_put(o);
	close(fd);
}

static void on_listen(struct server *s)
{
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), level;
	struct conn *conn;

	if (fd < 0)
		return;
	level = level_of(fd, s->settings);
	if (level < 0) {
		refuse(fd, level, "no permission: not root, nor in a group of `control` in the configuration");
		return;
	}
	conn = s->n < CONNECTIONS_MAX ? calloc(1, sizeof(*conn)) : NULL;
	if (!conn) {
		refuse(fd, -EBUSY, "too many connections");
		return;
	}
	conn->server = s;
	conn->admin = level > 0;
	stream_init(&conn->stream, fd);
	LIST_INSERT_HEAD(&s->conns, conn, link);
	s->n++;
}

static void on_conn(struct conn *conn, short revents)
{
	struct json_object *message;
	int r = 0;

	if ((revents & POLLOUT) && stream_flush(&conn->stream) < 0)
		conn->closing = true;
	/* Who has gone while his change waits would be reported for ever, and keep his place. */
	if ((revents & (POLLHUP | POLLERR)) && conn->call)
		conn->closing = true;
	if ((revents & (POLLIN | POLLHUP)) && !conn->call) {
		r = stream_read(&conn->stream);
		if (r == 0 || (r < 0 && r != -EAGAIN))
			conn->closing = true;
	}
	while (!conn->call && !conn->closing && (r = stream_next(&conn->stream, &message)) > 0)
		take_message(conn, message);
	if (!conn->call && r < 0 && r != -EAGAIN) {
		send_message(conn, error_new(-EINVAL, "not a JSON object, nested too deeply, or too long"));
		conn->closing = true;
	}
	while (conn->call && conn->call->listing && !conn->closing && stream_waiting(&conn->stream) < LOW_WATER)
		if (!method_list_next(conn->server, conn->call))
			break;
}

/* ---- the loop's side ---- */

unsigned int server_fds(struct server *s, struct pollfd *fds, unsigned int max)
{
	struct conn *conn;
	unsigned int n = 0;

	fds[n++] = (struct pollfd){ .fd = s->fd, .events = POLLIN };
	LIST_FOREACH(conn, &s->conns, link) {
		short events = !conn->call ? POLLIN : 0;

		if (n == max)
			break;
		if (stream_waiting(&conn->stream) || (conn->call && conn->call->listing))
			events |= POLLOUT;
		fds[n++] = (struct pollfd){ .fd = conn->stream.fd, .events = events };
	}
	return n;
}

void server_turn(struct server *s, const struct pollfd *fds, unsigned int n)
{
	struct conn *conn, *next;

	for (conn = LIST_FIRST(&s->conns); conn; conn = next) {
		next = LIST_NEXT(conn, link);
		for (unsigned int i = 1; i < n; i++)
			if (fds[i].fd == conn->stream.fd && fds[i].revents)
				on_conn(conn, fds[i].revents);
		if (conn->closing)
			conn_close(conn);
	}
	if (n && fds[0].revents)
		on_listen(s);
}

static int remove_stale(const struct sockaddr_un *a, struct errbuf *err)
{
	struct stat st;
	int fd, r;

	if (lstat(a->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : err_set(err, errno, "%s: %s", a->sun_path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, EEXIST, "%s exists and is not a socket", a->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	r = connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0 ? errno : 0;
	close(fd);
	if (r != ECONNREFUSED)
		return err_set(err, EADDRINUSE, "%s is in use by another process", a->sun_path);
	return unlink(a->sun_path) < 0 ? err_set(err, errno, "%s: %s", a->sun_path, strerror(errno)) : 0;
}

int server_new(struct server *s, struct pm *pm, const struct settings *settings, struct errbuf *err)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	bool groups = *settings->read_group || *settings->operate_group || *settings->admin_group;
	int r;

	memset(s, 0, sizeof(*s));
	LIST_INIT(&s->conns);
	s->pm = pm;
	s->settings = settings;
	s->fd = -1;
	if (snprintf(s->path, sizeof(s->path), "%s/manager", settings->run_dir) >= (int)sizeof(s->path))
		return err_set(err, ENAMETOOLONG, "paths.run-dir: too long for a socket");
	if (mkdir(settings->run_dir, 0755) < 0 && errno != EEXIST)
		return err_set(err, errno, "%s: %s", settings->run_dir, strerror(errno));
	str_copy(a.sun_path, sizeof(a.sun_path), s->path);
	r = remove_stale(&a, err);
	if (r < 0)
		return r;
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return err_set(err, errno, "socket: %s", strerror(errno));
	fchmod(s->fd, 0600);
	if (bind(s->fd, (struct sockaddr *)&a, sizeof(a)) < 0 || chmod(s->path, groups ? 0666 : 0600) < 0 ||
	    listen(s->fd, 64) < 0)
		return err_set(err, errno, "%s: %s", s->path, strerror(errno));
	return 0;
}

void server_free(struct server *s)
{
	struct conn *conn;

	while ((conn = LIST_FIRST(&s->conns)))
		conn_close(conn);
	if (s->fd >= 0) {
		close(s->fd);
		(void)unlink(s->path);
	}
}
