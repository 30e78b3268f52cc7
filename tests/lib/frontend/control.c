/* SPDX-License-Identifier: BSD-3-Clause */
/* The control thread: one epoll loop over sockets, commands, signals and what the workers say. */
#include "commands.h"
#include "link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { RETRY_MS = 50, LINE_ROOM = 1024, MAX_EVENTS = 64, MAX_CLIENTS = 16 };

/* Someone who sends commands, one a line. */
struct client {
	int in, out; /* in < 0: free */
	size_t len;
	char line[LINE_ROOM];
};

static struct client clients[MAX_CLIENTS];

int control_watch(struct peer *peer, int fd, enum watch_kind kind, unsigned int index)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = (uint64_t)kind << 32 | index };

	return epoll_ctl(peer->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

void control_unwatch(struct peer *peer, int fd)
{
	epoll_ctl(peer->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

void write_line(int fd, struct json *j)
{
	const char *text = json_end(j);
	size_t len = text ? strlen(text) : 0;

	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break; /* a reader that went away: SIGPIPE is ignored */
		text += n;
		len -= (size_t)n;
	}
	json_free(j);
}

void event_begin(struct json *j, const char *event, const struct peer_port *p)
{
	json_begin(j);
	json_str(j, "event", event);
	if (p)
		json_str(j, "port", p->opt.name);
	json_u64(j, "t_ns", now_ns());
}

void event_end(struct json *j)
{
	write_line(STDOUT_FILENO, j);
}

void event_simple(const char *event, const struct peer_port *p)
{
	struct json j;

	event_begin(&j, event, p);
	event_end(&j);
}

static struct client *add_client(struct peer *peer, int in, int out)
{
	for (unsigned int i = 0; i < MAX_CLIENTS; i++) {
		struct client *c = &clients[i];

		if (c->in >= 0)
			continue;
		/* a regular file cannot be watched, and is not a source of commands */
		if (control_watch(peer, in, WATCH_CLIENT, i))
			return NULL;
		*c = (struct client){ .in = in, .out = out };
		return c;
	}
	return NULL;
}

static void drop_client(struct peer *peer, struct client *c)
{
	control_unwatch(peer, c->in);
	if (c->in != STDIN_FILENO)
		close(c->in);
	c->in = -1;
}

static void client_event(struct peer *peer, struct client *c)
{
	ssize_t n = read(c->in, c->line + c->len, LINE_ROOM - 1 - c->len);
	char *end;

	if (n <= 0) {
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			return;
		peer->quit |= c->in == STDIN_FILENO && peer->quit_on_eof;
		drop_client(peer, c);
		return;
	}
	c->len += (size_t)n;
	c->line[c->len] = '\0';
	while ((end = strchr(c->line, '\n'))) {
		size_t used = (size_t)(end + 1 - c->line);

		*end = '\0';
		command_run(peer, c->line, c->out);
		c->len -= used;
		memmove(c->line, end + 1, c->len + 1);
	}
	if (c->len == LINE_ROOM - 1)
		drop_client(peer, c);
}

static void new_client(struct peer *peer)
{
	int fd = accept4(peer->control_listen_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0 && !add_client(peer, fd, fd))
		close(fd);
}

static void port_requests(struct peer *peer, struct peer_port *p)
{
	unsigned int what = __atomic_exchange_n(&p->request, 0, __ATOMIC_ACQUIRE);

	if (what & REQUEST_EXPECTED)
		report_port(p, "event", "expected", STDOUT_FILENO);
	if (what & REQUEST_DONE)
		report_port(p, "event", "done", STDOUT_FILENO);
	for (unsigned int i = 0; what & REQUEST_ACT && p->ready && i < p->n_modes; i++)
		if (p->mode[i].ops->act && p->mode[i].ops->act(p->mode[i].priv))
			link_down(peer, p, p->vhu->step);
	if (what & REQUEST_RESTART)
		link_restart_guest(peer, p, "guest restart");
}

static void worker_requests(struct peer *peer)
{
	uint64_t count;

	if (read(peer->control_fd, &count, sizeof(count)) < 0)
		return;
	for (unsigned int i = 0; i < peer->n_ports; i++)
		if (__atomic_load_n(&peer->port[i].request, __ATOMIC_RELAXED))
			port_requests(peer, &peer->port[i]);
}

static void take_signal(struct peer *peer)
{
	struct signalfd_siginfo si;

	if (read(peer->signal_fd, &si, sizeof(si)) == sizeof(si))
		peer->quit = true;
}

static void dispatch(struct peer *peer, uint64_t data)
{
	enum watch_kind kind = (enum watch_kind)(data >> 32);
	unsigned int index = (unsigned int)data;

	switch (kind) {
	case WATCH_CONTROL:
		worker_requests(peer);
		break;
	case WATCH_SIGNAL:
		take_signal(peer);
		break;
	case WATCH_LISTEN:
		link_listen_event(peer, &peer->port[index]);
		break;
	case WATCH_LINK:
		if (peer->port[index].vhu->fd >= 0)
			link_event(peer, &peer->port[index]);
		break;
	case WATCH_BACKEND:
		if (peer->port[index].vhu->backend_fd >= 0)
			link_backend_event(peer, &peer->port[index]);
		break;
	case WATCH_COMMANDS:
		new_client(peer);
		break;
	case WATCH_CLIENT:
		if (clients[index].in >= 0)
			client_event(peer, &clients[index]);
		break;
	}
}

static int open_control(struct peer *peer)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct stat st;

	if (!peer->control_path)
		return 0;
	if (strlen(peer->control_path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, peer->control_path, strlen(peer->control_path) + 1);
	if (stat(peer->control_path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(peer->control_path);
	peer->control_listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (peer->control_listen_fd < 0 ||
	    bind(peer->control_listen_fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    listen(peer->control_listen_fd, 4) < 0)
		return -errno;
	return control_watch(peer, peer->control_listen_fd, WATCH_COMMANDS, 0);
}

static int begin(struct peer *peer)
{
	sigset_t set;
	int err;

	for (unsigned int i = 0; i < MAX_CLIENTS; i++)
		clients[i].in = -1;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	peer->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (peer->signal_fd < 0)
		return -errno;
	err = control_watch(peer, peer->signal_fd, WATCH_SIGNAL, 0);
	if (!err)
		err = control_watch(peer, peer->control_fd, WATCH_CONTROL, 0);
	if (!err)
		err = open_control(peer);
	if (!err)
		add_client(peer, STDIN_FILENO, STDOUT_FILENO);
	return err;
}

/* Milliseconds to sleep: until the next attempt to connect or the next line of figures. */
static int timeout_ms(int retry, uint64_t next_stats)
{
	uint64_t now = now_ns(), ms;

	if (next_stats == UINT64_MAX)
		return retry;
	ms = next_stats > now ? (next_stats - now + 999999) / 1000000 : 0;
	return retry >= 0 && ms > (uint64_t)retry ? retry : (int)ms;
}

static void print_stats(struct peer *peer)
{
	for (unsigned int i = 0; i < peer->n_ports; i++)
		report_port(&peer->port[i], "event", "stats", STDOUT_FILENO);
}

int control_run(struct peer *peer)
{
	uint64_t next_stats = UINT64_MAX;
	int err = begin(peer);

	if (err)
		return err;
	event_simple("listening", NULL);
	for (unsigned int i = 0; i < peer->n_ports; i++)
		link_begin(peer, &peer->port[i]);
	if (peer->stats_interval_ns)
		next_stats = now_ns() + peer->stats_interval_ns;
	while (!peer->quit) {
		struct epoll_event ev[MAX_EVENTS];
		int retry = link_retry(peer, RETRY_MS);
		int n = epoll_wait(peer->epoll_fd, ev, MAX_EVENTS, timeout_ms(retry, next_stats));

		for (int i = 0; i < n; i++)
			dispatch(peer, ev[i].data.u64);
		if (now_ns() >= next_stats) {
			print_stats(peer);
			next_stats += peer->stats_interval_ns;
		}
	}
	if (peer->control_listen_fd >= 0)
		unlink(peer->control_path);
	return 0;
}
