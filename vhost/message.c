/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Protocol messages, seen before and after the library handles them (vhost-user protocol of QEMU's
 * documentation). The library believes the front-end in some places where it should not; a message that would
 * make it compute with sizes or positions that were never checked is changed so that its own checks refuse
 * it. Refusing it here instead would leak the file descriptors that may have come with it.
 *
 * What remains in the front-end's hands: a process that truncates a memory file under our mapping can kill the
 * switch, and one that stops in the middle of a message holds up the messages of all ports. A front-end is
 * trusted that far, the guest in it is not.
 */
#include <fcntl.h>
#include <linux/virtio_config.h>

#include "vhost_private.h"

enum request {
	RESET_OWNER = 4,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_CALL = 13,
	GET_QUEUE_NUM = 17,
};

#define MAX_REGIONS 8

/* As on the socket; the library hands out the message it has received. */
struct message {
	uint32_t request, flags, size;
	union {
		uint64_t u64;
		struct {
			uint32_t index, num;
		} state;
		struct {
			uint32_t n, padding;
			struct {
				uint64_t gpa, size, address, offset;
			} region[MAX_REGIONS];
		} memory;
	};
} __attribute__((packed));

static bool is_packed(int vid)
{
	uint64_t features = 0;

	rte_vhost_get_negotiated_features(vid, &features);
	return features & F_BIT(VIRTIO_F_RING_PACKED);
}

static struct vring_view *view_of(struct vhu_port *p, const struct message *m)
{
	return m->state.index < VHU_VRINGS ? &p->vrings[m->state.index] : NULL;
}

/* The library sets the size before it looks at it, and also under a running ring. */
static void before_num(struct vhu_port *p, struct message *m)
{
	struct vring_view *v = view_of(p, m);

	if (v && v->enabled)
		m->state.num = UINT32_MAX;
	else if (v)
		v->size = 0; /* until it has succeeded */
}

static void after_num(struct vhu_port *p, int vid, const struct message *m)
{
	struct vring_view *v = view_of(p, m);

	if (!v || v->enabled)
		return;
	v->size = m->state.num;
	v->packed = is_packed(vid);
}

/* A position for a running ring: nobody does that, and in a packed one it may lie outside. Ours is kept. */
static void before_base(struct vhu_port *p, int vid, struct message *m)
{
	struct vring_view *v = view_of(p, m);
	uint16_t avail, used;

	if (v && v->enabled && rte_vhost_get_vring_base(vid, (uint16_t)m->state.index, &avail, &used) == 0)
		m->state.num = avail;
}

/* The library unmaps the old table before it finds the new one absurd, and leaves the rings in it. */
static void before_memory(struct message *m)
{
	uint32_t i;

	for (i = 0; i < RTE_MIN(m->memory.n, (uint32_t)MAX_REGIONS); i++) {
		uint64_t size = m->memory.region[i].size, offset = m->memory.region[i].offset;

		if (!size || size > INT64_MAX || offset > INT64_MAX - size)
			m->memory.n = UINT32_MAX;
	}
}

/* Workers write to this descriptor; one that blocks its writer would hold up every other port. */
static void after_call(int vid, const struct message *m)
{
	struct rte_vhost_vring ring;
	int flags;

	if (rte_vhost_get_vhost_vring(vid, (uint16_t)(m->u64 & 0xff), &ring) < 0 || ring.callfd < 0)
		return;
	flags = fcntl(ring.callfd, F_GETFL);
	if (flags >= 0 && !(flags & O_NONBLOCK))
		fcntl(ring.callfd, F_SETFL, flags | O_NONBLOCK);
}

static void after_stop(struct vhu_port *p, const struct message *m)
{
	struct vring_view *v = view_of(p, m);

	if (!v)
		return;
	if (p->rings && v->packed && v->usable && m->state.index < 2u * p->spec.queues)
		ring_end(rings_slot(p->rings, m->state.index), (uint16_t)m->state.num);
	v->size = 0;
	v->usable = false;
}

static enum rte_vhost_msg_result before_message(int vid, void *msg)
{
	struct vhu_port *p = port_of_vid(vid);
	struct message *m = msg;

	if (!p)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	switch (m->request) {
	case SET_VRING_NUM:
		before_num(p, m);
		break;
	case SET_VRING_BASE:
		before_base(p, vid, m);
		break;
	case SET_MEM_TABLE:
		before_memory(m);
		break;
	case GET_QUEUE_NUM:
		/* The library says 128 whatever the port has. */
		m->u64 = p->spec.queues;
		m->size = sizeof(m->u64);
		return RTE_VHOST_MSG_RESULT_REPLY;
	}
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

/* Only after success. */
static enum rte_vhost_msg_result after_message(int vid, void *msg)
{
	struct vhu_port *p = port_of_vid(vid);
	const struct message *m = msg;
	unsigned int i;

	if (!p)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	switch (m->request) {
	case SET_VRING_NUM:
		after_num(p, vid, m);
		break;
	case GET_VRING_BASE:
		after_stop(p, m);
		break;
	case SET_VRING_CALL:
		after_call(vid, m);
		break;
	case RESET_OWNER:
		for (i = 0; i < VHU_VRINGS; i++)
			p->vrings[i].size = 0;
		break;
	}
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

const struct rte_vhost_user_extern_ops vhu_message_ops = {
	.pre_msg_handle = before_message,
	.post_msg_handle = after_message,
};
