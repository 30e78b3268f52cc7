/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/protocol.h"

#define CHUNK 16384

void stream_init(struct stream *s, int fd)
{
	*s = (struct stream){ .fd = fd, .got_fds = { -1, -1 } };
}

void stream_done(struct stream *s)
{
	if (s->fd >= 0)
		close(s->fd);
	free(s->in);
	free(s->out);
	*s = (struct stream){ .fd = -1, .got_fds = { -1, -1 } };
}

/* Make room for `more` bytes behind len. */
static int grow(char **buf, size_t *size, size_t len, size_t more)
{
	size_t want = *size ? *size : CHUNK;
	char *p;

	while (want - len < more)
		want *= 2;
	if (want == *size)
		return 0;
	p = realloc(*buf, want);
	if (!p)
		return -ENOMEM;
	*buf = p;
	*size = want;
	return 0;
}

/* A descriptor that nobody waits for is never taken: the kernel closes it. */
static ssize_t receive(struct stream *s, void *to, size_t n)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(STREAM_FDS * sizeof(int))];
	} control;
	struct iovec iov = { to, n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	ssize_t got;

	if (!s->takes_fds || s->got_fds[0] >= 0)
		return recv(s->fd, to, n, 0);
	got = recvmsg(s->fd, &msg, MSG_CMSG_CLOEXEC);
	c = got < 0 ? NULL : CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(s->got_fds)))
		memcpy(s->got_fds, CMSG_DATA(c), sizeof(s->got_fds));
	return got;
}

int stream_send_fds(struct stream *s, struct json_object *message, const int fds[STREAM_FDS])
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(STREAM_FDS * sizeof(int))];
	} control = { .space = "" };
	size_t len;
	const char *text = json_object_to_json_string_length(message, JSON_C_TO_STRING_PLAIN, &len);
	struct iovec iov = { (void *)(uintptr_t)text, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int r;

	if (!text)
		return -ENOMEM;
	if (stream_waiting(s))
		return -EBUSY;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(STREAM_FDS * sizeof(int));
	memcpy(CMSG_DATA(c), fds, STREAM_FDS * sizeof(int));
	/* It goes with the first byte; the rest may have to wait. */
	if (sendmsg(s->fd, &msg, MSG_NOSIGNAL) < 0)
		return errno == EAGAIN ? -EBUSY : -errno;
	r = stream_queue(s, message);
	if (r < 0)
		return r;
	s->out_sent++;
	return stream_flush(s) < 0 ? -EPIPE : 0;
}

int stream_read(struct stream *s)
{
	ssize_t n;
	int r;

	if (s->in_len > PROTOCOL_MESSAGE_MAX)
		return -EMSGSIZE;
	r = grow(&s->in, &s->in_size, s->in_len, CHUNK);
	if (r < 0)
		return r;
	do
		n = receive(s, s->in + s->in_len, CHUNK);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	s->in_len += (size_t)n;
	return (int)n;
}

static int parse(const char *text, size_t len, struct json_object **ret)
{
	struct json_tokener *tok = json_tokener_new_ex(PROTOCOL_DEPTH_MAX);
	struct json_object *o;

	if (!tok)
		return -ENOMEM;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	/* The NUL behind the message is given too: it tells the tokener that nothing follows. */
	o = json_tokener_parse_ex(tok, text, (int)len + 1);
	if (json_tokener_get_error(tok) != json_tokener_success || !json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		o = NULL;
	}
	json_tokener_free(tok);
	if (!o)
		return -EBADMSG;
	*ret = o;
	return 1;
}

int stream_next(struct stream *s, struct json_object **ret)
{
	char *end = s->in_len > s->scanned ? memchr(s->in + s->scanned, 0, s->in_len - s->scanned) : NULL;
	size_t used;
	int r;

	if (!end) {
		s->scanned = s->in_len;
		return s->in_len > PROTOCOL_MESSAGE_MAX ? -EMSGSIZE : 0;
	}
	used = (size_t)(end - s->in) + 1;
	r = parse(s->in, used - 1, ret);
	memmove(s->in, s->in + used, s->in_len - used);
	s->in_len -= used;
	s->scanned = 0;
	return r;
}

int stream_queue(struct stream *s, struct json_object *message)
{
	size_t len;
	const char *text = json_object_to_json_string_length(message, JSON_C_TO_STRING_PLAIN, &len);
	int r;

	if (!text)
		return -ENOMEM;
	if (stream_waiting(s) && stream_waiting(s) + len + 1 > PROTOCOL_QUEUE_MAX)
		return -ENOBUFS;
	if (s->out_sent) {
		memmove(s->out, s->out + s->out_sent, s->out_len - s->out_sent);
		s->out_len -= s->out_sent;
		s->out_sent = 0;
	}
	r = grow(&s->out, &s->out_size, s->out_len, len + 1);
	if (r < 0)
		return r;
	memcpy(s->out + s->out_len, text, len);
	s->out[s->out_len + len] = 0;
	s->out_len += len + 1;
	return 0;
}

long stream_flush(struct stream *s)
{
	while (s->out_sent < s->out_len) {
		ssize_t n = send(s->fd, s->out + s->out_sent, s->out_len - s->out_sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return -errno;
		s->out_sent += (size_t)n;
	}
	return (long)stream_waiting(s);
}

size_t stream_waiting(const struct stream *s)
{
	return s->out_len - s->out_sent;
}

bool stream_unread(const struct stream *s)
{
	return s->in_len > s->scanned;
}
