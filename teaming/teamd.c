/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "teaming/teamd.h"

#define S	   1000000000ull
#define LOOK	   (1 * S) /* at the pid file while it is not alive */
#define LOOK_ALIVE (5 * S) /* when there is no pidfd, and for a new pid */
#define ASK	   (5 * S)
#define ASK_KICKED (1 * S)
#define ASK_DENIED (60 * S)
#define ANSWER	   (5 * S)
#define SILENT	   (4 * S) /* without an answer */
#define ASK_AGAIN  (1 * S)
#define REPLY_MAX  (512 * 1024)

static const char request[] = "REQUEST\nStateDump\n", success[] = "REPLY_SUCCESS\n";

/* ---- its state ---- */

static const char *text_of(struct json_object *o, const char *name)
{
	struct json_object *v = NULL;

	if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, name, &v) || !v)
		return "";
	return json_object_get_string(v);
}

static uint32_t uint_of(struct json_object *o, const char *name)
{
	struct json_object *v = NULL;
	int64_t n;

	if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, name, &v))
		return 0;
	n = json_object_get_int64(v);
	return n < 0 || n > UINT32_MAX ? 0 : (uint32_t)n;
}

static struct json_object *part(struct json_object *o, const char *name)
{
	struct json_object *v = NULL;

	return json_object_is_type(o, json_type_object) && json_object_object_get_ex(o, name, &v) &&
	       json_object_is_type(v, json_type_object) ? v : NULL;
}

/* What it says ends up on terminals. */
static void take_text(char *dst, size_t size, const char *src)
{
	if (!str_is_text(src) || str_copy(dst, size, src) < 0)
		*dst = '\0';
}

static void take_lacp(struct json_object *port, struct teaming_lacp *ret)
{
	struct json_object *r = part(port, "runner"), *actor = part(r, "actor_lacpdu_info");
	struct json_object *partner = part(r, "partner_lacpdu_info");

	memset(ret, 0, sizeof(*ret));
	ret->known = true;
	take_text(ret->state, sizeof(ret->state), text_of(r, "state"));
	ret->aggregator = uint_of(part(r, "aggregator"), "id");
	ret->key = uint_of(actor, "key");
	ret->actor_state = (uint8_t)uint_of(actor, "state");
	take_text(ret->partner, sizeof(ret->partner), text_of(partner, "system"));
	ret->partner_key = uint_of(partner, "key");
	ret->partner_port = uint_of(partner, "port");
	ret->partner_state = (uint8_t)uint_of(partner, "state");
}

static void take_port(struct tw_teamd *d, struct json_object *port, bool lacp)
{
	struct json_object *up = NULL, *link = part(port, "link");
	unsigned int i = d->n_ports++;

	memset(&d->ports[i], 0, sizeof(d->ports[i]));
	d->ports[i].if_index = uint_of(part(port, "ifinfo"), "ifindex");
	if (link && json_object_object_get_ex(link, "up", &up) && json_object_is_type(up, json_type_boolean))
		d->ports[i].down = !json_object_get_boolean(up);
	if (lacp)
		take_lacp(port, &d->ports[i].lacp);
}

int tw_teamd_parse(struct tw_teamd *d, const char *json)
{
	struct json_object *o = json_tokener_parse(json), *ports = part(o, "ports");
	const char *runner = text_of(part(o, "setup"), "runner_name");

	if (!o || !*runner) {
		json_object_put(o);
		return -EBADMSG;
	}
	take_text(d->runner, sizeof(d->runner), runner);
	d->n_ports = 0;
	if (ports) {
		json_object_object_foreach(ports, name, port)
		{
			if (d->n_ports == TEAM_MEMBERS || !*name)
				break;
			take_port(d, port, strcmp(d->runner, "lacp") == 0);
		}
	}
	json_object_put(o);
	return 0;
}

const struct teaming_lacp *tw_teamd_lacp(const struct tw_teamd *d, uint32_t if_index)
{
	for (unsigned int i = 0; i < d->n_ports && if_index; i++)
		if (d->ports[i].if_index == if_index)
			return d->ports[i].lacp.known ? &d->ports[i].lacp : NULL;
	return NULL;
}

bool tw_teamd_down(const struct tw_teamd *d, uint32_t if_index)
{
	for (unsigned int i = 0; i < d->n_ports && if_index; i++)
		if (d->ports[i].if_index == if_index)
			return d->ports[i].down;
	return false;
}

/* ---- life ---- */

static void close_sock(struct tw_teamd *d)
{
	closep(&d->sock);
	d->sock = -1;
}

static void set_life(struct tw_teamd *d, enum tw_teamd_life life)
{
	d->life = (uint8_t)life;
	if (life == TEAMD_ALIVE || life == TEAMD_SILENT)
		return;
	closep(&d->pidfd);
	d->pidfd = -1;
	close_sock(d);
	d->pid = 0;
	d->silent_since = 0;
	d->n_ports = 0; /* of no use any more; the runner of its device is still what it was */
}

/* @return the pid, 0: no pid file, -errno. */
static pid_t read_pid(const struct tw_teamd *d)
{
	char path[128], text[32] = "";
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s.pid", d->dir, d->team);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	n = n > 0 ? strtol(text, NULL, 10) : 0;
	return n > 0 && n < INT32_MAX ? (pid_t)n : -EBADMSG;
}

static void look(struct tw_teamd *d, uint64_t now)
{
	pid_t pid = read_pid(d);

	d->look_at = now + LOOK;
	if (pid <= 0) {
		set_life(d, pid == 0 ? TEAMD_NONE : TEAMD_UNKNOWN);
		return;
	}
	if (pid == d->pid && d->pidfd >= 0) { /* its end is told by the descriptor */
		d->look_at = now + LOOK_ALIVE;
		return;
	}
	closep(&d->pidfd);
	d->pidfd = pidfd_open(pid, 0);
	if (d->pidfd < 0 && errno == ESRCH) {
		set_life(d, TEAMD_DEAD);
		return;
	}
	if (pid != d->pid) {
		d->ask_at = now;
		d->denied = false;
	}
	d->pid = pid;
	d->look_at = now + LOOK_ALIVE;
	if (d->life != TEAMD_SILENT)
		set_life(d, TEAMD_ALIVE);
}

/* ---- questions ---- */

static void no_answer(struct tw_teamd *d, uint64_t now)
{
	close_sock(d);
	d->ask_at = now + ASK_AGAIN;
	if (!d->silent_since)
		d->silent_since = d->asked_at;
	if (now - d->silent_since >= SILENT && d->life == TEAMD_ALIVE)
		set_life(d, TEAMD_SILENT);
}

static int open_sock(const struct tw_teamd *d)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r;

	if (fd < 0)
		return -errno;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s.sock", d->dir, d->team);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
	    send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) == (ssize_t)sizeof(request) - 1)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

static void ask(struct tw_teamd *d, uint64_t now)
{
	int fd = open_sock(d);

	d->kicked = false;
	d->asked_at = now;
	if (fd >= 0) {
		d->sock = fd;
		d->denied = false;
	} else if (fd == -EACCES || fd == -EPERM) {
		d->denied = true;
		d->ask_at = now + ASK_DENIED;
	} else {
		no_answer(d, now);
	}
}

void tw_teamd_kick(struct tw_teamd *d)
{
	d->kicked = true;
}

/* ---- steps ---- */

static uint64_t ask_at(const struct tw_teamd *d)
{
	if (d->life != TEAMD_ALIVE && d->life != TEAMD_SILENT)
		return UINT64_MAX;
	if (d->sock >= 0)
		return d->asked_at + ANSWER;
	return d->kicked && !d->denied && d->asked_at + ASK_KICKED < d->ask_at ? d->asked_at + ASK_KICKED : d->ask_at;
}

uint64_t tw_teamd_deadline(const struct tw_teamd *d)
{
	uint64_t at = ask_at(d);

	return at < d->look_at ? at : d->look_at;
}

bool tw_teamd_step(struct tw_teamd *d, uint64_t now)
{
	uint8_t before = d->life;

	if (now >= d->look_at)
		look(d, now);
	if (now >= ask_at(d)) {
		if (d->sock >= 0)
			no_answer(d, now);
		else
			ask(d, now);
	}
	return d->life != before;
}

bool tw_teamd_ended(struct tw_teamd *d, uint64_t now)
{
	uint8_t before = d->life;

	d->look_at = now + LOOK;
	set_life(d, TEAMD_DEAD);
	return d->life != before;
}

bool tw_teamd_answer(struct tw_teamd *d, uint64_t now)
{
	CLEANUP_FREE char *reply = malloc(REPLY_MAX + 1);
	char before[TW_TEAM_OPTION];
	uint8_t life = d->life;
	ssize_t n;

	if (!reply || d->sock < 0)
		return false;
	n = recv(d->sock, reply, REPLY_MAX, MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	memcpy(before, d->runner, sizeof(before));
	close_sock(d);
	d->ask_at = now + ASK;
	if (n <= 0 || n > REPLY_MAX) {
		no_answer(d, now);
		return d->life != life;
	}
	reply[n] = '\0';
	d->silent_since = 0;
	if (d->life == TEAMD_SILENT)
		set_life(d, TEAMD_ALIVE);
	if (strncmp(reply, success, sizeof(success) - 1) == 0)
		(void)tw_teamd_parse(d, reply + sizeof(success) - 1); /* nonsense: what was known stays */
	return d->life != life || strcmp(before, d->runner) != 0;
}

void tw_teamd_init(struct tw_teamd *d, const char *dir, const char *team)
{
	*d = (struct tw_teamd){ .pidfd = -1, .sock = -1 };
	str_copy(d->dir, sizeof(d->dir), dir);
	str_copy(d->team, sizeof(d->team), team);
}

void tw_teamd_done(struct tw_teamd *d)
{
	closep(&d->pidfd);
	close_sock(d);
	d->pidfd = -1;
}
