/* SPDX-License-Identifier: BSD-3-Clause */
#include "msg.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const names[VHU_REQUEST_MAX] = {
	[VHU_GET_FEATURES] = "GET_FEATURES",
	[VHU_SET_FEATURES] = "SET_FEATURES",
	[VHU_SET_OWNER] = "SET_OWNER",
	[VHU_RESET_OWNER] = "RESET_OWNER",
	[VHU_SET_MEM_TABLE] = "SET_MEM_TABLE",
	[VHU_SET_LOG_BASE] = "SET_LOG_BASE",
	[VHU_SET_LOG_FD] = "SET_LOG_FD",
	[VHU_SET_VRING_NUM] = "SET_VRING_NUM",
	[VHU_SET_VRING_ADDR] = "SET_VRING_ADDR",
	[VHU_SET_VRING_BASE] = "SET_VRING_BASE",
	[VHU_GET_VRING_BASE] = "GET_VRING_BASE",
	[VHU_SET_VRING_KICK] = "SET_VRING_KICK",
	[VHU_SET_VRING_CALL] = "SET_VRING_CALL",
	[VHU_SET_VRING_ERR] = "SET_VRING_ERR",
	[VHU_GET_PROTOCOL_FEATURES] = "GET_PROTOCOL_FEATURES",
	[VHU_SET_PROTOCOL_FEATURES] = "SET_PROTOCOL_FEATURES",
	[VHU_GET_QUEUE_NUM] = "GET_QUEUE_NUM",
	[VHU_SET_VRING_ENABLE] = "SET_VRING_ENABLE",
	[VHU_SEND_RARP] = "SEND_RARP",
	[VHU_NET_SET_MTU] = "NET_SET_MTU",
	[VHU_SET_BACKEND_REQ_FD] = "SET_BACKEND_REQ_FD",
	[VHU_IOTLB_MSG] = "IOTLB_MSG",
	[VHU_GET_CONFIG] = "GET_CONFIG",
	[VHU_SET_CONFIG] = "SET_CONFIG",
	[VHU_GET_INFLIGHT_FD] = "GET_INFLIGHT_FD",
	[VHU_SET_INFLIGHT_FD] = "SET_INFLIGHT_FD",
	[VHU_RESET_DEVICE] = "RESET_DEVICE",
	[VHU_GET_MAX_MEM_SLOTS] = "GET_MAX_MEM_SLOTS",
	[VHU_ADD_MEM_REG] = "ADD_MEM_REG",
	[VHU_REM_MEM_REG] = "REM_MEM_REG",
	[VHU_SET_STATUS] = "SET_STATUS",
	[VHU_GET_STATUS] = "GET_STATUS",
};

const char *vhu_request_name(uint32_t request)
{
	return request < VHU_REQUEST_MAX && names[request] ? names[request] : "?";
}

static int socket_error(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK ? -ETIMEDOUT : -errno;
}

int vhu_msg_send(int fd, const struct vhu_msg *msg, const int *fds, unsigned int n_fds)
{
	union {
		char room[CMSG_SPACE(VHU_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)msg, .iov_len = VHU_HDR_LEN + msg->size };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (n_fds > VHU_MAX_FDS || msg->size > sizeof(msg->bytes))
		return -EINVAL;
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
	do
		n = sendmsg(fd, &mh, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return socket_error();
	return n == (ssize_t)iov.iov_len ? 0 : -EPIPE;
}

/* Descriptors of a control message: into fds, what finds no room is closed. */
static void take_fds(struct msghdr *mh, int *fds, unsigned int *n_fds)
{
	for (struct cmsghdr *cm = CMSG_FIRSTHDR(mh); cm; cm = CMSG_NXTHDR(mh, cm)) {
		unsigned int n = (unsigned int)((cm->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		int got[VHU_MAX_FDS];

		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS || n > VHU_MAX_FDS)
			continue;
		memcpy(got, CMSG_DATA(cm), n * sizeof(int));
		for (unsigned int i = 0; i < n; i++) {
			if (fds && *n_fds < VHU_MAX_FDS)
				fds[(*n_fds)++] = got[i];
			else
				close(got[i]);
		}
	}
}

static int recv_all(int fd, void *buf, size_t len)
{
	size_t have = 0;

	while (have < len) {
		ssize_t n = recv(fd, (char *)buf + have, len - have, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return socket_error();
		if (n == 0)
			return -ECONNRESET;
		have += (size_t)n;
	}
	return 0;
}

int vhu_msg_recv(int fd, struct vhu_msg *ret_msg, int *fds, unsigned int *n_fds)
{
	union {
		char room[CMSG_SPACE(VHU_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct vhu_msg msg;
	struct iovec iov = { .iov_base = &msg, .iov_len = VHU_HDR_LEN };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.room,
			     .msg_controllen = sizeof(control.room) };
	unsigned int none = 0;
	ssize_t n;
	int err;

	if (n_fds)
		*n_fds = 0;
	do
		n = recvmsg(fd, &mh, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return socket_error();
	if (n == 0)
		return -ECONNRESET;
	take_fds(&mh, fds, n_fds ? n_fds : &none);
	err = recv_all(fd, (char *)&msg + n, VHU_HDR_LEN - (size_t)n);
	if (err)
		return err;
	if ((msg.flags & 3) != VHU_VERSION || msg.size > sizeof(msg.bytes))
		return -EPROTO;
	err = recv_all(fd, msg.bytes, msg.size);
	if (err)
		return err;
	memcpy(ret_msg, &msg, VHU_HDR_LEN + msg.size);
	return 0;
}
