/* SPDX-License-Identifier: BSD-3-Clause */
/* The listening socket: its file, its rights, who is let in. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/control_private.h"
#include "daemon/listen.h"

#define RETRY_US 100000 /* after descriptors ran out */

/* Tell who is not let in why, without waiting for them. */
static void refuse(int fd, int r)
{
	const char *text = r == -EACCES ? "no permission: not root, nor in a group of `control` in the configuration" :
			   r == -EBUSY	? "too many connections" :
			   r == -EMFILE ? "out of file descriptors" : "out of memory";
	struct json_object *o = error_new(r, text);
	const char *s = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);

	if (s)
		(void)!send(fd, s, strlen(s) + 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	json_object_put(o);
	close(fd);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *arg)
{
	struct control *c = arg;

	return sd_event_source_set_enabled(c->io, SD_EVENT_ON);
}

/* One that waits and cannot be accepted would wake us for ever. */
static int refuse_without_descriptors(struct control *c)
{
	int conn, r;

	closep(&c->spare);
	conn = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	r = conn < 0 ? -errno : 0;
	if (conn >= 0)
		refuse(conn, -EMFILE);
	c->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (r == 0 || r == -EAGAIN)
		return 0;
	/* Another thread was faster: the connection waits until there may be one again. */
	sd_event_source_set_time_relative(c->retry, RETRY_US);
	sd_event_source_set_enabled(c->retry, SD_EVENT_ONESHOT);
	return sd_event_source_set_enabled(c->io, SD_EVENT_OFF);
}

static int on_listen(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct control *control = arg;
	int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), r;

	if (conn < 0 && (errno == EMFILE || errno == ENFILE))
		return refuse_without_descriptors(control);
	if (conn < 0)
		return 0; /* gone already */
	r = conn_new(control, conn);
	if (r < 0)
		refuse(conn, r);
	return 0;
}

/* Who may connect is decided at accept by credentials; without groups nobody but us and root need try. */
static mode_t socket_mode(const struct settings *s)
{
	return *s->read_group || *s->operate_group || *s->admin_group ? 0666 : 0600;
}

void control_reload(struct control *c)
{
	const struct settings *s;

	if (!c)
		return;
	s = manager_settings(c->m);
	auth_groups(&c->groups, s);
	if (!c->passed && chmod(c->path, socket_mode(s)) < 0)
		log_error_errno(-errno, "control: cannot change the rights of %s: %m", c->path);
}

int control_new(struct manager *m, const char *path, struct control **ret, struct errbuf *err)
{
	struct control *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_set(err, ENOMEM, "out of memory");
	c->m = m;
	c->fd = -1;
	c->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	LIST_INIT(&c->conns);
	auth_groups(&c->groups, manager_settings(m));
	r = str_copy(c->path, sizeof(c->path), path);
	if (r < 0)
		err_set(err, -r, "%s: too long for a socket", path);
	else
		r = c->fd = listen_unix(path, socket_mode(manager_settings(m)), &c->passed, err);
	if (r >= 0)
		r = sd_event_add_io(manager_loop(m), &c->io, c->fd, EPOLLIN, on_listen, c);
	if (r >= 0)
		r = sd_event_add_time(manager_loop(m), &c->retry, CLOCK_MONOTONIC, 0, 0, on_retry, c);
	if (r >= 0)
		r = sd_event_source_set_enabled(c->retry, SD_EVENT_OFF);
	if (r < 0) {
		sd_event_source_disable_unref(c->io);
		sd_event_source_disable_unref(c->retry);
		closep(&c->fd);
		closep(&c->spare);
		free(c);
		return r;
	}
	*ret = c;
	return 0;
}

struct control *control_free(struct control *c)
{
	struct conn *conn;

	if (!c)
		return NULL;
	while ((conn = LIST_FIRST(&c->conns)))
		conn_close(conn);
	sd_event_source_disable_unref(c->io);
	sd_event_source_disable_unref(c->retry);
	closep(&c->fd);
	closep(&c->spare);
	if (!c->passed)
		(void)unlink(c->path);
	free(c);
	return NULL;
}
