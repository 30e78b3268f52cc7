/* SPDX-License-Identifier: BSD-3-Clause */
/* Listeners, connections, answers. The HTTP library gets connections that we have accepted, and runs when we say. */
#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "base/tick.h"
#include "daemon/config.h"
#include "daemon/control_private.h"
#include "daemon/listen.h"
#include "daemon/metrics.h"
#include "daemon/metrics_text.h"

#define CONNECTIONS_MAX	  16 /* of a listener */
#define CONNECTION_MEMORY (16 * 1024)
#define CONNECTION_NS	  (30ull * 1000000000)
#define FRESH_NS	  (200ull * 1000000)
#define OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define SWEEP_US	  1000000
#define RETRY_US	  5000000

enum listener { LISTENER_UNIX, LISTENER_TCP, LISTENERS };

/* A connection lives until the library says that it has closed it. */
struct client {
	LIST_ENTRY(client) link;
	int fd;
	enum listener from;
	uint64_t until; /* tick_ns() */
};

struct metrics {
	struct manager *m;
	struct MHD_Daemon *http;
	struct MHD_Response *answer, *not_found, *not_allowed, *no_records;
	uint64_t answer_ns, render_ns;
	char path[PATH_SIZE];
	int fd[LISTENERS];
	unsigned int n[LISTENERS];
	sd_event_source *io[LISTENERS], *http_io, *sweep, *retry;
	bool told; /* that it cannot listen, once */
	bool starved; /* descriptors have run out: listeners wait for the sweep */
	bool passed;  /* the unix socket is the service manager's */
	struct group_ids groups;
	LIST_HEAD(, client) clients;
};

/* ---- what is answered ---- */

/* @param r NULL: there is none. */
static struct MHD_Response *with_headers(struct MHD_Response *r, const char *type)
{
	if (r && (MHD_add_response_header(r, "Content-Type", type) != MHD_YES ||
		  MHD_add_response_header(r, "Connection", "close") != MHD_YES)) {
		MHD_destroy_response(r);
		return NULL;
	}
	return r;
}

static struct MHD_Response *text_response(const char *text, size_t n, enum MHD_ResponseMemoryMode mode,
					  const char *type)
{
	return with_headers(MHD_create_response_from_buffer(n, (void *)(uintptr_t)text, mode), type);
}

static struct MHD_Response *render(struct metrics *x)
{
	CLEANUP(metrics_snapshot_done) struct metrics_snapshot s = { 0 };
	struct metric_switch *total;
	struct MHD_Response *r;
	uint64_t start = tick_ns();
	char *text = NULL;
	size_t n = 0;
	FILE *f;

	if (metrics_take(x->m, &s) < 0)
		return NULL;
	total = s.of[METRIC_SCOPE_SWITCH].v;
	total->render_ns = x->render_ns;
	f = open_memstream(&text, &n);
	if (!f)
		return NULL;
	if (metrics_print(&s, f) < 0 || fclose(f) != 0) {
		free(text);
		return NULL;
	}
	r = text_response(text, n, MHD_RESPMEM_MUST_FREE, OPENMETRICS);
	x->render_ns = tick_ns() - start;
	return r;
}

/* Counters of records: not over TCP, whose listener asks nobody who they are. */
static enum MHD_Result answer_records(struct metrics *x, struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *a = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	struct MHD_Response *r;
	enum MHD_Result ret;

	if (!manager_counts_records(x->m) || !a || !a->client_addr || a->client_addr->sa_family != AF_UNIX)
		return MHD_queue_response(c, MHD_HTTP_NOT_FOUND, x->no_records);
	r = with_headers(metrics_records(x->m), OPENMETRICS);
	if (!r)
		return MHD_NO;
	ret = MHD_queue_response(c, MHD_HTTP_OK, r);
	MHD_destroy_response(r);
	return ret;
}

/* Whoever asks more often gets what the last one got. */
static struct MHD_Response *answer(struct metrics *x)
{
	uint64_t now = tick_ns();
	struct MHD_Response *r;

	if (x->answer && now - x->answer_ns < FRESH_NS)
		return x->answer;
	r = render(x);
	if (!r)
		return NULL;
	if (x->answer)
		MHD_destroy_response(x->answer); /* connections that still send it hold it */
	x->answer = r;
	x->answer_ns = now;
	return r;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url, const char *method,
				  const char *version, const char *upload, size_t *upload_size, void **state)
{
	static int seen;
	struct metrics *x = arg;
	struct MHD_Response *r;

	/* An answer at the first call, before any body, ends the connection without reading one. */
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return MHD_queue_response(c, MHD_HTTP_METHOD_NOT_ALLOWED, x->not_allowed);
	if (!*state) {
		*state = &seen;
		return MHD_YES;
	}
	if (strcmp(url, "/metrics/records") == 0)
		return answer_records(x, c);
	if (strcmp(url, "/metrics") != 0)
		return MHD_queue_response(c, MHD_HTTP_NOT_FOUND, x->not_found);
	r = answer(x);
	return r ? MHD_queue_response(c, MHD_HTTP_OK, r) : MHD_NO;
}

/* ---- connections ---- */

static void on_connection(void *arg, struct MHD_Connection *c, void **state, enum MHD_ConnectionNotificationCode code)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct metrics *x = arg;
	struct client *i;

	if (code != MHD_CONNECTION_NOTIFY_CLOSED || !info)
		return;
	LIST_FOREACH(i, &x->clients, link) {
		if (i->fd == info->connect_fd) {
			x->n[i->from]--;
			LIST_REMOVE(i, link);
			free(i);
			return;
		}
	}
}

/* One round of the library; what it has not got done follows in the next turn of the loop. */
static int run_http(struct metrics *x)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (MHD_run(x->http) != MHD_YES)
		log_error("metrics: the HTTP library has failed");
	if (MHD_get_timeout(x->http, &ms) == MHD_YES && ms == 0)
		sd_event_source_set_time_relative(x->sweep, 0);
	if (LIST_EMPTY(&x->clients) && !x->starved)
		return sd_event_source_set_enabled(x->sweep, SD_EVENT_OFF);
	return sd_event_source_set_enabled(x->sweep, SD_EVENT_ON);
}

static int starve(struct metrics *x, sd_event_source *listener)
{
	x->starved = true;
	sd_event_source_set_enabled(x->sweep, SD_EVENT_ON);
	return sd_event_source_set_enabled(listener, SD_EVENT_OFF);
}

static int on_http(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	return run_http(arg);
}

/* Who has not got an answer by now does not want it. */
static int on_sweep(sd_event_source *source, uint64_t usec, void *arg)
{
	struct metrics *x = arg;
	uint64_t now = tick_ns();
	struct client *i;

	LIST_FOREACH(i, &x->clients, link)
		if (now > i->until)
			(void)shutdown(i->fd, SHUT_RDWR);
	for (unsigned int l = 0; l < LISTENERS && x->starved; l++)
		if (x->io[l])
			sd_event_source_set_enabled(x->io[l], SD_EVENT_ON);
	x->starved = false;
	sd_event_source_set_time_relative(source, SWEEP_US);
	return run_http(x);
}

static int on_listen(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct metrics *x = arg;
	enum listener from = fd == x->fd[LISTENER_TCP] ? LISTENER_TCP : LISTENER_UNIX;
	struct sockaddr_storage peer = { 0 };
	socklen_t size = sizeof(peer);
	CLEANUP_CLOSE int conn = accept4(fd, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *c;
	uid_t uid;

	if (conn < 0) {
		/* Without descriptors the one that waits would wake us for ever. */
		if (errno == EMFILE || errno == ENFILE)
			return starve(x, source);
		return 0;
	}
	if (x->n[from] >= CONNECTIONS_MAX || (from == LISTENER_UNIX && auth_level(conn, &x->groups, &uid) < LEVEL_READ))
		return 0;
	c = calloc(1, sizeof(*c));
	if (!c)
		return 0;
	*c = (struct client){ .fd = conn, .from = from, .until = tick_ns() + CONNECTION_NS };
	LIST_INSERT_HEAD(&x->clients, c, link);
	x->n[from]++;
	/* The library closes it, whatever it says. */
	if (MHD_add_connection(x->http, TAKE_FD(conn), (struct sockaddr *)&peer, size) != MHD_YES) {
		if (LIST_FIRST(&x->clients) == c) {
			LIST_REMOVE(c, link);
			x->n[from]--;
			free(c);
		}
		return 0;
	}
	return run_http(x);
}

/* ---- life ---- */

static void __attribute__((format(printf, 2, 0))) on_library_log(void *arg, const char *fmt, va_list ap)
{
	char text[256];

	vsnprintf(text, sizeof(text), fmt, ap);
	text[strcspn(text, "\n")] = 0;
	log_debug("metrics: %s", text);
}

static int start_http(struct metrics *x, struct errbuf *err)
{
	static const char not_found[] = "Metrics are at /metrics.\n", not_allowed[] = "GET is what there is.\n";
	static const char no_records[] = "Records are counted with policy.count-records = true; their metrics are at "
					 "the unix socket only.\n";
	const union MHD_DaemonInfo *info;

	x->not_found = text_response(not_found, sizeof(not_found) - 1, MHD_RESPMEM_PERSISTENT, "text/plain");
	x->no_records = text_response(no_records, sizeof(no_records) - 1, MHD_RESPMEM_PERSISTENT, "text/plain");
	x->not_allowed = text_response(not_allowed, sizeof(not_allowed) - 1, MHD_RESPMEM_PERSISTENT, "text/plain");
	x->http = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG, 0, NULL, NULL,
				   on_request, x, MHD_OPTION_EXTERNAL_LOGGER, on_library_log, NULL,
				   MHD_OPTION_NOTIFY_CONNECTION, on_connection, x,
				   MHD_OPTION_CONNECTION_LIMIT, LISTENERS * CONNECTIONS_MAX,
				   MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
	info = x->http ? MHD_get_daemon_info(x->http, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!x->not_found || !x->not_allowed || !x->no_records || !info)
		return err_set(err, ENOMEM, "metrics: the HTTP library does not start");
	return sd_event_add_io(manager_loop(x->m), &x->http_io, info->epoll_fd, EPOLLIN, on_http, x);
}

/* By credentials at accept, as the control socket does. */
static mode_t socket_mode(const struct settings *s)
{
	return *s->read_group || *s->operate_group || *s->admin_group ? 0666 : 0600;
}

static int open_unix(struct metrics *x, struct errbuf *err)
{
	const struct settings *s = manager_settings(x->m);

	snprintf(x->path, sizeof(x->path), "%.*s/metrics", (int)sizeof(x->path) - 9, s->run_dir);
	return listen_unix(x->path, socket_mode(s), &x->passed, err);
}

static int open_tcp(struct metrics *x, struct errbuf *err)
{
	const struct settings *s = manager_settings(x->m);
	union tcp_address a;
	int r = config_tcp_address(s->metrics_listen, s->metrics_public, &a, err);

	return r < 0 ? r : listen_tcp(&a.sa, sizeof(a), s->metrics_listen, err);
}

/* @return 0, also when it listens already. */
static int open_listener(struct metrics *x, enum listener l, struct errbuf *err)
{
	int r;

	if (x->io[l])
		return 0;
	if (x->fd[l] < 0) {
		r = l == LISTENER_UNIX ? open_unix(x, err) : open_tcp(x, err);
		if (r < 0)
			return r;
		x->fd[l] = r;
	}
	r = sd_event_add_io(manager_loop(x->m), &x->io[l], x->fd[l], EPOLLIN, on_listen, x);
	return r < 0 ? err_set(err, -r, "%s", strerror(-r)) : 0;
}

/*
 * A place that is taken, or an address that is not there yet, is told and tried again: guests do not wait for somebody
 * to read counters.
 */
static int on_retry(sd_event_source *source, uint64_t usec, void *arg)
{
	struct metrics *x = arg;
	const struct settings *s = manager_settings(x->m);
	const bool wanted[LISTENERS] = { [LISTENER_UNIX] = s->metrics_socket, [LISTENER_TCP] = *s->metrics_listen };
	struct errbuf err;
	bool all = true;

	for (unsigned int l = 0; l < LISTENERS; l++)
		all = (!wanted[l] || open_listener(x, l, &err) >= 0) && all;
	if (all) {
		if (x->told)
			manager_emit(x->m, EVENT_METRICS, "result", "works", NULL);
		return sd_event_source_set_enabled(source, SD_EVENT_OFF);
	}
	if (!x->told) {
		manager_emit(x->m, EVENT_METRICS, "result", "failed", "text", err.text, NULL);
		log_error("metrics: %s; it is tried again", err.text);
	}
	x->told = true;
	sd_event_source_set_time_relative(source, RETRY_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int start_listeners(struct metrics *x, struct errbuf *err)
{
	sd_event *loop = manager_loop(x->m);
	int r = sd_event_add_time_relative(loop, &x->sweep, CLOCK_MONOTONIC, SWEEP_US, 0, on_sweep, x);

	if (r >= 0)
		r = sd_event_source_set_enabled(x->sweep, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time_relative(loop, &x->retry, CLOCK_MONOTONIC, RETRY_US, 0, on_retry, x);
	return r < 0 ? err_set(err, -r, "timer: %s", strerror(-r)) : on_retry(x->retry, 0, x);
}

int metrics_new(struct manager *m, struct metrics **ret, struct errbuf *err)
{
	const struct settings *s = manager_settings(m);
	struct metrics *x;
	int r;

	*ret = NULL;
	if (!s->metrics_socket && !*s->metrics_listen)
		return 0;
	x = calloc(1, sizeof(*x));
	if (!x)
		return err_set(err, ENOMEM, "out of memory");
	x->m = m;
	x->fd[LISTENER_UNIX] = x->fd[LISTENER_TCP] = -1;
	LIST_INIT(&x->clients);
	auth_groups(&x->groups, s);
	r = start_http(x, err);
	if (r >= 0)
		r = start_listeners(x, err);
	if (r < 0) {
		err_prefix(err, r, "metrics: ");
		metrics_free(x);
		return r;
	}
	*ret = x;
	return 0;
}

void metrics_reload(struct metrics *x)
{
	if (!x)
		return;
	auth_groups(&x->groups, manager_settings(x->m));
	if (x->fd[LISTENER_UNIX] >= 0 && !x->passed && chmod(x->path, socket_mode(manager_settings(x->m))) < 0)
		log_error_errno(-errno, "metrics: cannot change the rights of %s: %m", x->path);
}

struct metrics *metrics_free(struct metrics *x)
{
	if (!x)
		return NULL;
	for (unsigned int l = 0; l < LISTENERS; l++)
		sd_event_source_disable_unref(x->io[l]);
	sd_event_source_disable_unref(x->sweep);
	sd_event_source_disable_unref(x->retry);
	sd_event_source_disable_unref(x->http_io);
	if (x->http)
		MHD_stop_daemon(x->http); /* closes the connections, which frees the clients */
	if (x->answer)
		MHD_destroy_response(x->answer);
	if (x->not_found)
		MHD_destroy_response(x->not_found);
	if (x->not_allowed)
		MHD_destroy_response(x->not_allowed);
	if (x->no_records)
		MHD_destroy_response(x->no_records);
	if (x->fd[LISTENER_UNIX] >= 0 && !x->passed)
		(void)unlink(x->path);
	for (unsigned int l = 0; l < LISTENERS; l++)
		closep(&x->fd[l]);
	free(x);
	return NULL;
}
