/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhost-user messages as they go over the socket (the vhost-user protocol document of QEMU,
 * docs/interop/vhost-user.rst). All integers are in host order, as the protocol has it.
 */
#ifndef TESTS_LIB_FRONTEND_MSG_H
#define TESTS_LIB_FRONTEND_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum vhu_request {
	VHU_GET_FEATURES = 1,
	VHU_SET_FEATURES = 2,
	VHU_SET_OWNER = 3,
	VHU_RESET_OWNER = 4,
	VHU_SET_MEM_TABLE = 5,
	VHU_SET_LOG_BASE = 6,
	VHU_SET_LOG_FD = 7,
	VHU_SET_VRING_NUM = 8,
	VHU_SET_VRING_ADDR = 9,
	VHU_SET_VRING_BASE = 10,
	VHU_GET_VRING_BASE = 11,
	VHU_SET_VRING_KICK = 12,
	VHU_SET_VRING_CALL = 13,
	VHU_SET_VRING_ERR = 14,
	VHU_GET_PROTOCOL_FEATURES = 15,
	VHU_SET_PROTOCOL_FEATURES = 16,
	VHU_GET_QUEUE_NUM = 17,
	VHU_SET_VRING_ENABLE = 18,
	VHU_SEND_RARP = 19,
	VHU_NET_SET_MTU = 20,
	VHU_SET_BACKEND_REQ_FD = 21,
	VHU_IOTLB_MSG = 22,
	VHU_GET_CONFIG = 24,
	VHU_SET_CONFIG = 25,
	VHU_GET_INFLIGHT_FD = 31,
	VHU_SET_INFLIGHT_FD = 32,
	VHU_RESET_DEVICE = 34,
	VHU_GET_MAX_MEM_SLOTS = 36,
	VHU_ADD_MEM_REG = 37,
	VHU_REM_MEM_REG = 38,
	VHU_SET_STATUS = 39,
	VHU_GET_STATUS = 40,
	VHU_REQUEST_MAX = 41,
};

/* bit numbers of the protocol features */
enum vhu_protocol_feature {
	VHU_PF_MQ = 0,
	VHU_PF_LOG_SHMFD = 1,
	VHU_PF_RARP = 2,
	VHU_PF_REPLY_ACK = 3,
	VHU_PF_NET_MTU = 4,
	VHU_PF_BACKEND_REQ = 5,
	VHU_PF_CONFIGURE_MEM_SLOTS = 15,
	VHU_PF_STATUS = 16,
};

enum {
	VHU_F_LOG_ALL = 26,	      /* VHOST_F_LOG_ALL */
	VHU_F_PROTOCOL_FEATURES = 30, /* VHOST_USER_F_PROTOCOL_FEATURES */

	VHU_VERSION = 1,
	VHU_FLAG_REPLY = 1 << 2,
	VHU_FLAG_NEED_REPLY = 1 << 3,
	VHU_VRING_NOFD = 1 << 8,  /* of KICK, CALL, ERR: no file descriptor comes along */
	VHU_VRING_F_LOG = 1 << 0, /* of VRING_ADDR: log writes to the used ring */

	VHU_MAX_REGIONS = 8,
	VHU_MAX_FDS = 8,
	VHU_HDR_LEN = 12,
};

struct vhu_msg_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t user_addr;
	uint64_t mmap_offset;
};

struct vhu_msg {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* of the payload */
	union {
		uint64_t u64;
		struct {
			uint32_t index;
			uint32_t num;
		} state;
		struct {
			uint32_t index;
			uint32_t flags;
			uint64_t desc;
			uint64_t used;
			uint64_t avail;
			uint64_t log;
		} addr;
		struct {
			uint32_t n;
			uint32_t padding;
			struct vhu_msg_region region[VHU_MAX_REGIONS];
		} mem;
		struct {
			uint64_t size;
			uint64_t offset;
		} log;
		uint8_t bytes[512];
	};
} __attribute__((packed));

/* Name of a request for messages, "?" for an unknown one. */
const char *vhu_request_name(uint32_t request);

/* Send header, payload and n_fds descriptors (which stay the caller's) in one piece. Blocks as the socket's
 * SO_SNDTIMEO allows. Returns 0 or -errno (-ETIMEDOUT for the time limit). */
int vhu_msg_send(int fd, const struct vhu_msg *msg, const int *fds, unsigned int n_fds);

/* Receive one message. Descriptors that came along go to fds (room for VHU_MAX_FDS, then the caller's) or
 * are closed when fds is NULL. Blocks as SO_RCVTIMEO allows. Returns 0 or -errno: -ECONNRESET at end of
 * stream, -ETIMEDOUT, -EPROTO for a wrong version or an oversized payload. */
int vhu_msg_recv(int fd, struct vhu_msg *ret_msg, int *fds, unsigned int *n_fds);

#endif
