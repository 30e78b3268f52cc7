/* SPDX-License-Identifier: BSD-3-Clause */
/* Wrong messages: a front-end that cannot speak the protocol, or speaks it to do harm. */
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LISTEN_MS = 1, ANSWER_MS = 20, STALL_MS = 2000 };

/* What of a message is wrong. */
enum wrong { WRONG_NOTHING, WRONG_SIZE, WRONG_FDS, WRONG_VALUES };

/* Take what the back-end says; -ECONNRESET when it hung up. */
static int drain(struct hostile *h, int wait_ms)
{
	struct pollfd pfd = { .fd = h->port->vhu->fd, .events = POLLIN };
	char room[1024];

	while (poll(&pfd, 1, wait_ms) > 0) {
		union {
			char room[CMSG_SPACE(VHU_MAX_FDS * sizeof(int))];
			struct cmsghdr align;
		} control;
		struct iovec iov = { room, sizeof(room) };
		struct msghdr mh = { .msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = control.room,
				     .msg_controllen = sizeof(control.room) };
		ssize_t n = recvmsg(pfd.fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

		if (n <= 0) {
			h->closed++;
			return -ECONNRESET;
		}
		/* a descriptor sent along (a log, an inflight region) is of no interest */
		for (struct cmsghdr *cm = CMSG_FIRSTHDR(&mh); cm; cm = CMSG_NXTHDR(&mh, cm)) {
			int fd;

			memcpy(&fd, CMSG_DATA(cm), sizeof(fd));
			close(fd);
		}
		h->answers++;
		wait_ms = 0;
	}
	return 0;
}

static int send_raw(struct hostile *h, const void *data, size_t len, const int *fds, unsigned int n_fds)
{
	union {
		char room[CMSG_SPACE(32 * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds) {
		struct cmsghdr *cm;

		mh.msg_control = control.room;
		mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(cm), fds, n_fds * sizeof(int));
	}
	return sendmsg(h->port->vhu->fd, &mh, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* A descriptor that is not what the message wants. */
static int odd_fd(struct hostile *h)
{
	int fd = -1, sv[2];

	switch (hostile_below(h, 6)) {
	case 0:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	case 1:
		return open("/", O_RDONLY | O_CLOEXEC);
	case 2:
		return eventfd(0, EFD_CLOEXEC);
	case 3:
		if (pipe2(sv, O_CLOEXEC))
			return -1;
		close(sv[0]);
		return sv[1];
	case 4:
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv))
			return -1;
		close(sv[0]);
		return sv[1];
	default: /* memory smaller than any table says */
		fd = memfd_create("small", MFD_CLOEXEC);
		if (fd >= 0 && ftruncate(fd, 4096) < 0)
			return fd;
		return fd;
	}
}

static uint64_t extreme(struct hostile *h)
{
	static const uint64_t v[] = { 0,
				      1,
				      2,
				      127,
				      128,
				      255,
				      256,
				      0x7fff,
				      0x8000,
				      0xffff,
				      0x10000,
				      0x7fffffff,
				      0x80000000,
				      0xffffffff,
				      0x7fffffffffffffff,
				      0xffffffffffffffff };

	return hostile_below(h, 4) ? v[hostile_below(h, sizeof(v) / sizeof(v[0]))] : hostile_random(h);
}

static void plausible_mem(const struct hostile *h, struct vhu_msg *msg, int *fds, unsigned int *n_fds)
{
	vhu_mem_table(&h->port->vhu->mem, msg, fds, n_fds);
}

static void plausible_addr(struct hostile *h, struct vhu_msg *msg)
{
	uint32_t index = hostile_below(h, 2);
	void *desc, *driver, *device;
	struct vhu_queue *q = &h->port->vhu->queue[index];

	q->ops->parts(q, &desc, &driver, &device);
	msg->size = sizeof(msg->addr);
	msg->addr.index = index;
	msg->addr.desc = (uintptr_t)desc;
	msg->addr.avail = (uintptr_t)driver;
	msg->addr.used = (uintptr_t)device;
}

/* A message of the given kind as it should be. */
static void plausible(struct hostile *h, uint32_t request, struct vhu_msg *msg, int *fds, unsigned int *n_fds)
{
	const struct vhu_queue *q = &h->port->vhu->queue[hostile_below(h, 2)];

	*msg = (struct vhu_msg){ .request = request, .flags = VHU_VERSION };
	*n_fds = 0;
	switch (request) {
	case VHU_SET_MEM_TABLE:
		plausible_mem(h, msg, fds, n_fds);
		break;
	case VHU_SET_VRING_ADDR:
		plausible_addr(h, msg);
		break;
	case VHU_SET_VRING_KICK:
	case VHU_SET_VRING_CALL:
	case VHU_SET_VRING_ERR:
		msg->size = 8;
		msg->u64 = hostile_below(h, 2);
		fds[(*n_fds)++] = request == VHU_SET_VRING_KICK ? q->kick_fd : q->call_fd;
		break;
	case VHU_SET_VRING_NUM:
	case VHU_SET_VRING_BASE:
	case VHU_GET_VRING_BASE:
	case VHU_SET_VRING_ENABLE:
		msg->size = 8;
		msg->state.index = hostile_below(h, 2);
		msg->state.num = request == VHU_SET_VRING_NUM ? q->cfg.size : hostile_below(h, 2);
		break;
	case VHU_SET_FEATURES:
		msg->size = 8;
		msg->u64 = 1ULL << 32 | 1ULL << VHU_F_PROTOCOL_FEATURES;
		break;
	case VHU_SET_PROTOCOL_FEATURES:
		msg->size = 8;
		msg->u64 = 1 << VHU_PF_MQ | 1 << VHU_PF_REPLY_ACK;
		break;
	case VHU_SET_LOG_BASE:
		msg->size = sizeof(msg->log);
		msg->log.size = 4096;
		fds[(*n_fds)++] = h->port->vhu->mem.fd;
		break;
	case VHU_NET_SET_MTU:
	case VHU_SEND_RARP:
	case VHU_SET_STATUS:
		msg->size = 8;
		msg->u64 = 1500;
		break;
	default:
		break;
	}
}

/* Every field that counts or points may hold anything. */
static void spoil_values(struct hostile *h, struct vhu_msg *msg)
{
	switch (msg->request) {
	case VHU_SET_MEM_TABLE: {
		size_t region = hostile_below(h, msg->mem.n), field = hostile_below(h, 4);
		uint64_t v = extreme(h);

		if (hostile_below(h, 3) == 0)
			msg->mem.n = (uint32_t)v;
		else /* a message is not aligned for its fields */
			memcpy(msg->bytes + offsetof(struct vhu_msg, mem.region) - VHU_HDR_LEN +
				       region * sizeof(struct vhu_msg_region) + field * sizeof(v),
			       &v, sizeof(v));
		break;
	}
	case VHU_SET_VRING_ADDR: {
		uint64_t v = hostile_below(h, 2) ? extreme(h) : msg->addr.desc + hostile_below(h, 1 << 24);

		switch (hostile_below(h, 4)) {
		case 0:
			msg->addr.index = (uint32_t)v;
			break;
		case 1:
			msg->addr.desc = v;
			break;
		case 2:
			msg->addr.avail = v;
			break;
		default:
			msg->addr.used = v;
			break;
		}
		break;
	}
	default:
		if (hostile_below(h, 2))
			msg->u64 = extreme(h);
		else if (hostile_below(h, 2))
			msg->state.index = (uint32_t)extreme(h);
		else
			msg->state.num = (uint32_t)extreme(h);
		break;
	}
}

static int send_spoilt(struct hostile *h, enum wrong wrong)
{
	uint32_t request = 1 + hostile_below(h, VHU_REQUEST_MAX - 1);
	int fds[VHU_MAX_FDS], odd[VHU_MAX_FDS], *give = fds, err;
	unsigned int n_fds, n_odd = 0;
	struct vhu_msg msg;
	size_t len;

	plausible(h, request, &msg, fds, &n_fds);
	if (wrong == WRONG_VALUES)
		spoil_values(h, &msg);
	len = VHU_HDR_LEN + msg.size;
	if (wrong == WRONG_SIZE) {
		msg.size = hostile_below(h, 2) ? hostile_below(h, 400) : (uint32_t)extreme(h);
		/* what is announced comes, as far as it is not absurd: else the next message is read as its
		 * rest */
		len = msg.size <= sizeof(msg.bytes) ? VHU_HDR_LEN + msg.size : VHU_HDR_LEN + 8;
	}
	if (wrong == WRONG_FDS) {
		n_odd = hostile_below(h, VHU_MAX_FDS + 1);
		for (unsigned int i = 0; i < n_odd; i++) {
			odd[i] = odd_fd(h);
			n_odd = odd[i] < 0 ? i : n_odd;
		}
		give = odd;
		n_fds = n_odd;
	}
	msg.flags |= hostile_below(h, 8) ? 0 : VHU_FLAG_NEED_REPLY;
	err = send_raw(h, &msg, len, give, n_fds);
	for (unsigned int i = 0; i < n_odd; i++)
		close(odd[i]);
	return err ? err : drain(h, LISTEN_MS);
}

static int attack_order(struct hostile *h)
{
	return send_spoilt(h, WRONG_NOTHING);
}

static int attack_size(struct hostile *h)
{
	return send_spoilt(h, WRONG_SIZE);
}

static int attack_fds(struct hostile *h)
{
	return send_spoilt(h, WRONG_FDS);
}

static int attack_values(struct hostile *h)
{
	return send_spoilt(h, WRONG_VALUES);
}

static int attack_garbage(struct hostile *h)
{
	uint8_t junk[256];
	size_t len = 1 + hostile_below(h, sizeof(junk));
	struct vhu_msg msg = { .request = (uint32_t)extreme(h), .flags = (uint32_t)hostile_random(h) };
	int err;

	for (size_t i = 0; i < len; i++)
		junk[i] = (uint8_t)hostile_random(h);
	/* half of them with a header that is only partly wrong */
	err = hostile_below(h, 2) ? send_raw(h, junk, len, NULL, 0) : send_raw(h, &msg, VHU_HDR_LEN, NULL, 0);
	return err ? err : drain(h, LISTEN_MS);
}

/* A message cut off anywhere, then the end of the connection. */
static int cut_off(struct hostile *h, int hold_ms)
{
	int fds[VHU_MAX_FDS];
	unsigned int n_fds;
	struct vhu_msg msg;
	int err;

	plausible(h, hostile_below(h, 2) ? VHU_SET_MEM_TABLE : VHU_SET_VRING_ADDR, &msg, fds, &n_fds);
	err = send_raw(h, &msg, 1 + hostile_below(h, VHU_HDR_LEN + msg.size - 1), fds, n_fds);
	if (!err)
		drain(h, hold_ms);
	return -EPIPE;
}

static int attack_half(struct hostile *h)
{
	return cut_off(h, 0);
}

static int attack_stall(struct hostile *h)
{
	return cut_off(h, STALL_MS);
}

/* Connect and go: at once, in the middle of the handshake, or right after it. */
static int attack_churn(struct hostile *h)
{
	static const uint32_t order[] = { VHU_GET_FEATURES,   VHU_SET_OWNER,	  VHU_SET_FEATURES,
					  VHU_SET_MEM_TABLE,  VHU_SET_VRING_NUM,  VHU_SET_VRING_BASE,
					  VHU_SET_VRING_ADDR, VHU_SET_VRING_KICK, VHU_SET_VRING_CALL };
	unsigned int steps = hostile_below(h, 2 + sizeof(order) / sizeof(order[0]));
	struct vhu_msg msg;
	int fds[VHU_MAX_FDS];
	unsigned int n_fds;

	if (steps > sizeof(order) / sizeof(order[0])) {
		if (!vhu_port_start(h->port->vhu))
			h->answers++;
		return -EPIPE;
	}
	for (unsigned int i = 0; i < steps; i++) {
		plausible(h, order[i], &msg, fds, &n_fds);
		if (send_raw(h, &msg, VHU_HDR_LEN + msg.size, fds, n_fds))
			break;
	}
	drain(h, hostile_below(h, 2) ? ANSWER_MS : 0);
	return -EPIPE;
}

const struct hostile_script hostile_message_scripts[] = {
	{ "msg-order", HOSTILE_MESSAGE, false, attack_order, "right messages in any order" },
	{ "msg-size", HOSTILE_MESSAGE, false, attack_size, "wrong payload sizes" },
	{ "msg-fds", HOSTILE_MESSAGE, false, attack_fds, "missing, surplus and wrong descriptors" },
	{ "msg-values", HOSTILE_MESSAGE, false, attack_values,
	  "numbers, addresses and indexes out of bounds" },
	{ "msg-garbage", HOSTILE_MESSAGE, false, attack_garbage, "random bytes and headers" },
	{ "msg-half", HOSTILE_MESSAGE, false, attack_half, "messages cut off by the end of the connection" },
	{ "connect-churn", HOSTILE_MESSAGE, false, attack_churn, "connections given up at any point" },
	{ "msg-stall", HOSTILE_MESSAGE, true, attack_stall, "half a message, and silence for two seconds" },
	{ 0 },
};
