/* SPDX-License-Identifier: BSD-3-Clause */
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/mailbox.h"

#define MAILBOX_ROOM 4096
#define BATCH	     64

enum message_kind { MESSAGE_PORT, MESSAGE_TEAM };

struct message {
	enum message_kind kind;
	union {
		struct vhu_event port;
		struct teaming_event team;
	};
};

struct mailbox {
	pthread_mutex_t lock;
	struct message *ring; /* under lock, as the next three */
	unsigned int head, count;
	bool lost;
	int fd;
	sd_event_source *source;
	const struct mailbox_ops *ops;
	void *arg;
};

static void post(struct mailbox *mb, const struct message *msg)
{
	bool wake;

	pthread_mutex_lock(&mb->lock);
	wake = mb->count == 0;
	if (mb->count < MAILBOX_ROOM)
		mb->ring[(mb->head + mb->count++) % MAILBOX_ROOM] = *msg;
	else
		mb->lost = true;
	pthread_mutex_unlock(&mb->lock);
	if (wake)
		eventfd_write(mb->fd, 1);
}

void mailbox_post_port(const struct vhu_event *ev, void *mb)
{
	struct message msg = { .kind = MESSAGE_PORT, .port = *ev };

	post(mb, &msg);
}

void mailbox_post_team(const struct teaming_event *ev, void *mb)
{
	struct message msg = { .kind = MESSAGE_TEAM, .team = *ev };

	post(mb, &msg);
}

static unsigned int take(struct mailbox *mb, struct message msgs[BATCH], bool *ret_lost, bool *ret_more)
{
	unsigned int n = 0;

	pthread_mutex_lock(&mb->lock);
	for (; n < BATCH && mb->count; n++, mb->count--) {
		msgs[n] = mb->ring[mb->head];
		mb->head = (mb->head + 1) % MAILBOX_ROOM;
	}
	*ret_more = mb->count != 0;
	*ret_lost = mb->lost && !*ret_more;
	if (*ret_lost)
		mb->lost = false;
	pthread_mutex_unlock(&mb->lock);
	return n;
}

/* One batch per turn of the loop, so that a flood of messages starves nobody. */
static int on_mail(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct mailbox *mb = userdata;
	struct message msgs[BATCH];
	unsigned int i, n;
	bool lost, more;
	eventfd_t ignored;

	eventfd_read(fd, &ignored);
	n = take(mb, msgs, &lost, &more);
	if (more)
		eventfd_write(fd, 1);
	for (i = 0; i < n; i++) {
		if (msgs[i].kind == MESSAGE_PORT)
			mb->ops->port(&msgs[i].port, mb->arg);
		else
			mb->ops->team(&msgs[i].team, mb->arg);
	}
	if (lost)
		mb->ops->lost(mb->arg);
	return 0;
}

int mailbox_new(sd_event *loop, const struct mailbox_ops *ops, void *arg, struct mailbox **ret)
{
	struct mailbox *mb = calloc(1, sizeof(*mb));
	int r = -ENOMEM;

	if (!mb)
		return r;
	mb->ops = ops;
	mb->arg = arg;
	pthread_mutex_init(&mb->lock, NULL);
	mb->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	mb->ring = calloc(MAILBOX_ROOM, sizeof(*mb->ring));
	if (mb->fd < 0 || !mb->ring) {
		r = mb->fd < 0 ? -errno : -ENOMEM;
		goto fail;
	}
	r = sd_event_add_io(loop, &mb->source, mb->fd, EPOLLIN, on_mail, mb);
	if (r < 0)
		goto fail;
	sd_event_source_set_description(mb->source, "mailbox");
	*ret = mb;
	return 0;
fail:
	mailbox_free(mb);
	return r;
}

struct mailbox *mailbox_free(struct mailbox *mb)
{
	if (!mb)
		return NULL;
	sd_event_source_disable_unref(mb->source);
	if (mb->fd >= 0)
		close(mb->fd);
	pthread_mutex_destroy(&mb->lock);
	free(mb->ring);
	free(mb);
	return NULL;
}
