/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

enum { PATIENCE_MS = 5000 };

int cli_error(int r, const char *fmt, ...)
{
	va_list ap;

	fputs("vswitchctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return r;
}

static int open_stream(const struct cli *cli, struct stream *s)
{
	struct errbuf err;
	int fd = protocol_connect(cli->socket, &err);

	if (fd < 0)
		return cli_error(fd, "%s", err.text);
	stream_init(s, fd);
	return 0;
}

static int send_call(struct stream *s, enum method method, struct json_object *parameters, bool more)
{
	char name[64];
	struct json_object *call;
	int r;

	snprintf(name, sizeof(name), "%s.%s", PROTOCOL_INTERFACE, methods[method].name);
	call = call_new(name, parameters, more);
	r = stream_queue(s, call);
	json_object_put(call);
	if (r >= 0)
		r = (int)stream_flush(s);
	/* The daemon may have refused the connection before we wrote: its reason is worth more than EPIPE. */
	return r == -EPIPE ? 0 : r;
}

/* The next message. @return 1, or -errno with the reason printed. */
static int receive(struct stream *s, struct json_object **ret)
{
	for (;;) {
		int r = stream_next(s, ret);

		if (r > 0)
			return 1;
		if (r == 0)
			r = stream_read(s);
		if (r == 0)
			return cli_error(-EPIPE, "the daemon ended the connection");
		if (r < 0)
			return cli_error(r, "control socket: %s", strerror(-r));
	}
}

static int reply_error(struct json_object *message)
{
	struct json_object *error, *p = NULL, *text = NULL;

	if (!json_object_object_get_ex(message, "error", &error))
		return 0;
	if (json_object_object_get_ex(message, "parameters", &p))
		json_object_object_get_ex(p, "text", &text);
	return cli_error(protocol_error_errno(json_object_get_string(error)), "%s",
			 text ? json_object_get_string(text) : json_object_get_string(error));
}

int cli_begin(const struct cli *cli, enum method method, struct json_object *parameters, struct stream *s)
{
	int r = open_stream(cli, s);

	if (r < 0) {
		json_object_put(parameters);
		return r;
	}
	return send_call(s, method, parameters, true);
}

int cli_next(struct stream *s, struct json_object **ret, bool *ret_continues)
{
	struct json_object *message = NULL, *p = NULL, *continues = NULL;
	int r = stream_next(s, &message);

	if (r == 0)
		return 0;
	r = r < 0 ? cli_error(r, "control socket: %s", strerror(-r)) : reply_error(message);
	if (r >= 0) {
		json_object_object_get_ex(message, "parameters", &p);
		json_object_object_get_ex(message, "continues", &continues);
		*ret = json_object_get(p);
		if (ret_continues)
			*ret_continues = json_object_get_boolean(continues);
		r = 1;
	}
	json_object_put(message);
	return r;
}

int cli_stream(const struct cli *cli, enum method method, struct json_object *parameters,
	       int (*fn)(struct json_object *reply, void *arg), void *arg)
{
	struct json_object *message, *p, *continues;
	struct stream s;
	bool more = true;
	int r = open_stream(cli, &s);

	if (r < 0) {
		json_object_put(parameters);
		return r;
	}
	r = send_call(&s, method, parameters, true);
	while (r >= 0 && more) {
		message = NULL;
		r = receive(&s, &message);
		if (r < 0)
			break;
		r = reply_error(message);
		p = continues = NULL;
		json_object_object_get_ex(message, "parameters", &p);
		json_object_object_get_ex(message, "continues", &continues);
		more = json_object_get_boolean(continues);
		if (r >= 0)
			r = fn(p, arg);
		json_object_put(message);
	}
	stream_done(&s);
	return r;
}

/* The service manager may hold the socket of a switch that does not come up: who waits in a terminal is told. */
static void wait_aloud(const struct stream *s)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };

	if (isatty(STDERR_FILENO) && poll(&p, 1, PATIENCE_MS) == 0)
		cli_error(0, "no answer yet: if it is not starting, `systemctl status vswitchd` tells why");
}

static int call(const struct cli *cli, enum method method, struct json_object *parameters, struct json_object **ret,
		bool may_fail)
{
	struct json_object *message = NULL, *p = NULL, *error;
	struct stream s;
	int r = open_stream(cli, &s);

	if (r < 0) {
		json_object_put(parameters);
		return r;
	}
	r = send_call(&s, method, parameters, false);
	if (r >= 0)
		wait_aloud(&s);
	if (r >= 0)
		r = receive(&s, &message);
	if (r >= 0 && may_fail && json_object_object_get_ex(message, "error", &error))
		r = protocol_error_errno(json_object_get_string(error));
	else if (r >= 0)
		r = reply_error(message);
	if (r >= 0) {
		json_object_object_get_ex(message, "parameters", &p);
		*ret = json_object_get(p);
	}
	json_object_put(message);
	stream_done(&s);
	return r;
}

int cli_call(const struct cli *cli, enum method method, struct json_object *parameters, struct json_object **ret)
{
	return call(cli, method, parameters, ret, false);
}

int cli_try(const struct cli *cli, enum method method, struct json_object *parameters, struct json_object **ret)
{
	return call(cli, method, parameters, ret, true);
}
