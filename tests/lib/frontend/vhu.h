/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vhost-user front-end: what QEMU and the virtio-net driver of its guest are to a back-end, without
 * either. A port is one socket, guest memory of its own and 1..n queue pairs; any number of ports in a
 * process.
 *
 *	vhu_port_open(&cfg, &port);
 *	vhu_port_accept(port) or vhu_port_connect(port);	until it gives 0
 *	vhu_port_start(port);					handshake, rings run
 *	vhu_tx(vhu_port_txq(port, 0), ...); vhu_rx(...);	see queue.h
 *	poll vhu_port_fd(port); vhu_port_event(port) != 0: the back-end went away, accept or connect again
 *	vhu_port_close(port);
 *
 * Threads: everything here belongs to one control thread per port; queues may be used by other threads, one
 * each, but not while vhu_port_start, _reset, _stop or _close runs. Ring memory stays mapped until
 * vhu_port_close, so a thread that goes on using its queue after the back-end died does no harm.
 *
 * Reconnect: rings and negotiated features are kept, as the guest of a hypervisor keeps them. A split ring
 * resumes at its used index (QEMU: vhost_virtqueue_stop when GET_VRING_BASE fails), a packed one as
 * cfg.packed_base says. A back-end that no longer offers a negotiated feature is refused.
 */
#ifndef TESTS_LIB_FRONTEND_VHU_H
#define TESTS_LIB_FRONTEND_VHU_H

#include "queue.h"

#define VHU_MAX_PAIRS 64

enum vhu_packed_base {
	VHU_PACKED_OWN,	 /* resume where the back-end stopped, found by reading the ring */
	VHU_PACKED_QEMU, /* as QEMU: send what the last orderly stop said */
};

struct vhu_config {
	const char *path;     /* socket, at most 107 bytes; copied */
	bool server;	      /* listen (QEMU's server=on) instead of connecting */
	unsigned int pairs;   /* queue pairs, 1..VHU_MAX_PAIRS */
	unsigned int active;  /* of them enabled at the start, 0: all; vhu_port_enable() changes it */
	uint16_t size;	      /* descriptors per ring, a power of two, 2..32768 */
	uint32_t buf_len;     /* data bytes per buffer, 64.. */
	unsigned int regions; /* memory regions, 1..8: rings in the first, buffers in the others */
	bool huge;	      /* huge pages for guest memory */
	bool packed;
	bool mergeable;
	bool indirect;
	bool event_idx;
	bool legacy;		   /* without VIRTIO_F_VERSION_1 */
	bool hdr_desc;		   /* virtio header in a descriptor of its own */
	bool csum;		   /* the guest leaves checksums to the device: VIRTIO_NET_F_CSUM */
	bool gso;		   /* the guest sends TSO frames: VIRTIO_NET_F_HOST_TSO4/6/ECN */
	bool guest_csum;	   /* the guest takes partial checksums: VIRTIO_NET_F_GUEST_CSUM */
	bool guest_gso;		   /* the guest takes TSO frames: VIRTIO_NET_F_GUEST_TSO4/6/ECN */
	bool no_protocol_features; /* do not negotiate VHOST_USER_F_PROTOCOL_FEATURES */
	uint16_t mtu;		   /* 0: none; else VIRTIO_NET_F_MTU and NET_SET_MTU */
	enum vhu_packed_base packed_base;
	unsigned int timeout_ms; /* for a reply, 0: 5 s */
};

struct vhu_log {
	int fd;
	uint8_t *map;
	size_t size;
};

/* Read only outside the library; for reports and for tests that misbehave on purpose. */
struct vhu_port {
	struct vhu_config cfg;
	char path[108];
	int listen_fd;
	int fd;		/* connection, -1 without one */
	int backend_fd; /* the back-end's requests, -1 without */
	int err_fd;	/* VRING_ERR of all rings */
	struct vhu_mem mem;
	struct vhu_queue *queue; /* 2 * pairs: rx 0, tx 0, rx 1, ... */
	uint32_t *base;		 /* by queue: vring base of the last orderly stop */
	bool *base_known;
	uint64_t offered; /* features of the back-end at hand */
	uint64_t acked;	  /* features negotiated, kept over reconnects */
	bool negotiated;  /* acked is valid */
	uint64_t protocol_offered;
	uint64_t protocol_acked;
	uint64_t backend_pairs;	    /* GET_QUEUE_NUM, 1 without it */
	unsigned int enabled;	    /* queue pairs enabled */
	unsigned int started_pairs; /* queue pairs that were set up */
	bool backend_ready;	    /* this connection is past the exchange of features */
	bool started;
	bool broken_link;	   /* a message failed: the connection is of no use any more */
	uint64_t backend_requests; /* messages that came over backend_fd */
	const char *step;	   /* name of the message last sent, to say where a handshake failed */
	struct vhu_log log;
};

/* Make the port: memory, rings, listening socket. The socket path must not exist in server mode (a stale
 * socket there is removed). Returns 0 or -errno; -EINVAL for a config out of bounds. */
int vhu_port_open(const struct vhu_config *cfg, struct vhu_port **ret_port);
void vhu_port_close(struct vhu_port *port);

/* Take a connection: from the listening socket (server), or by connecting. Never blocks. Returns 0, -EAGAIN
 * (nobody there yet), -EISCONN or another -errno. */
int vhu_port_accept(struct vhu_port *port);
int vhu_port_connect(struct vhu_port *port);

/* The whole start as QEMU 7.2 does it, ending with enabled queue pairs (at most what the back-end has).
 * Blocks until the back-end answered. Returns 0 or -errno: -ETIMEDOUT, -ECONNRESET, -EPROTO, -ENOTSUP (a
 * feature needed is not offered); port->step names the message. After an error call vhu_port_disconnect. */
int vhu_port_start(struct vhu_port *port);

/* Orderly stop as before a guest reset or at the end of a migration: disable all, GET_VRING_BASE of each,
 * kept for the next start. The connection stays. Returns 0 or -errno. */
int vhu_port_stop(struct vhu_port *port);

/* Close the connection; rings and negotiated features stay. */
void vhu_port_disconnect(struct vhu_port *port);

/* Forget rings, bases and features, as a guest reset does; the next start negotiates anew. */
void vhu_port_reset(struct vhu_port *port);

/* The connection is readable: 0 (a stray message was dropped) or -errno, -ECONNRESET when the back-end
 * closed it. */
int vhu_port_event(struct vhu_port *port);

/* The back-end's own channel is readable: answers a request. Returns 0 or -errno. */
int vhu_port_backend_event(struct vhu_port *port);

/* Use pairs queue pairs from now on (as a guest does over its control queue). 0 or -errno, -EINVAL for too
 * many. */
int vhu_port_enable(struct vhu_port *port, unsigned int pairs);

/* Milliseconds to wait for an answer from now on. 0 or -errno. */
int vhu_port_set_timeout(struct vhu_port *port, unsigned int ms);

/* Errors of rings the back-end has reported (VRING_ERR) since the last call. */
uint64_t vhu_port_ring_errors(struct vhu_port *port);

/* Send the memory table again while running, as QEMU does when memory is plugged. 0 or -errno. */
int vhu_port_send_memory(struct vhu_port *port);

/* SEND_RARP with a MAC, as QEMU sends it at the target of a migration. 0 or -errno, -ENOTSUP without the
 * feature. */
int vhu_port_rarp(struct vhu_port *port, const uint8_t mac[6]);

/* Another socket from the next accept or connect on (migration). 0 or -errno. Only while not connected. */
int vhu_port_set_path(struct vhu_port *port, const char *path);

/* Dirty log (VHOST_F_LOG_ALL): start and stop it as a migration does, and count pages marked, clearing them
 * when clear. A page is 4096 bytes of guest address. vhu_port_log_has tells whether the page of a guest
 * address is marked. 0 or -errno, -ENOTSUP without the features. */
int vhu_port_log_start(struct vhu_port *port);
int vhu_port_log_stop(struct vhu_port *port);
uint64_t vhu_port_log_count(struct vhu_port *port, bool clear);
bool vhu_port_log_has(const struct vhu_port *port, uint64_t gpa);

/* Send a request with a 64-bit payload, a vring state, or nothing; with wait also get its reply value. For
 * the library and for tests that send what they please. 0 or -errno. */
int vhu_port_send_u64(struct vhu_port *port, uint32_t request, uint64_t value);
int vhu_port_send_state(struct vhu_port *port, uint32_t request, uint32_t index, uint32_t num);
int vhu_port_get_u64(struct vhu_port *port, uint32_t request, uint64_t *ret_value);
/* Any message. With ack the back-end's REPLY_ACK is awaited when negotiated; -EREMOTEIO when it reports
 * failure. */
int vhu_port_send(struct vhu_port *port, struct vhu_msg *msg, const int *fds, unsigned int n_fds, bool ack);

/* Library: features and ring addresses again, with or without logging. */
int vhu_port_send_log_state(struct vhu_port *port);

static inline int vhu_port_fd(const struct vhu_port *port)
{
	return port->fd;
}

static inline struct vhu_queue *vhu_port_rxq(const struct vhu_port *port, unsigned int pair)
{
	return &port->queue[2 * pair];
}

static inline struct vhu_queue *vhu_port_txq(const struct vhu_port *port, unsigned int pair)
{
	return &port->queue[2 * pair + 1];
}

static inline bool vhu_port_has(const struct vhu_port *port, unsigned int feature)
{
	return port->acked & (1ULL << feature);
}

static inline bool vhu_port_has_protocol(const struct vhu_port *port, unsigned int feature)
{
	return port->protocol_acked & (1ULL << feature);
}

#endif
