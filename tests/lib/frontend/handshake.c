/* SPDX-License-Identifier: BSD-3-Clause */
/* Start and stop in the order of QEMU 7.2 (hw/virtio/vhost-user.c, hw/virtio/vhost.c, net/vhost-user.c). */
#include "vhu.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#define BIT(n) (1ULL << (n))

enum { STATUS_ACKNOWLEDGE = 1, STATUS_DRIVER = 2, STATUS_DRIVER_OK = 4, STATUS_FEATURES_OK = 8 };

static uint64_t wished_features(const struct vhu_config *cfg)
{
	uint64_t f = BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) | BIT(VIRTIO_NET_F_STATUS);

	f |= cfg->legacy ? 0 : BIT(VIRTIO_F_VERSION_1);
	f |= cfg->packed ? BIT(VIRTIO_F_RING_PACKED) : 0;
	f |= cfg->mergeable ? BIT(VIRTIO_NET_F_MRG_RXBUF) : 0;
	f |= cfg->indirect ? BIT(VIRTIO_RING_F_INDIRECT_DESC) : 0;
	f |= cfg->event_idx ? BIT(VIRTIO_RING_F_EVENT_IDX) : 0;
	f |= cfg->pairs > 1 ? BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_CTRL_VQ) : 0;
	f |= cfg->mtu ? BIT(VIRTIO_NET_F_MTU) : 0;
	f |= cfg->csum ? BIT(VIRTIO_NET_F_CSUM) : 0;
	f |= cfg->gso ? BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_ECN)
		      : 0;
	f |= cfg->guest_csum ? BIT(VIRTIO_NET_F_GUEST_CSUM) : 0;
	f |= cfg->guest_gso ? BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) |
				      BIT(VIRTIO_NET_F_GUEST_ECN)
			    : 0;
	return f;
}

/* Features a guest drops when what they rest on is missing (virtio 1.1 section 5.1.3.1). */
static uint64_t without_orphans(uint64_t f)
{
	if (!(f & BIT(VIRTIO_NET_F_CSUM)))
		f &= ~(BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6));
	if (!(f & (BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6))))
		f &= ~BIT(VIRTIO_NET_F_HOST_ECN);
	if (!(f & BIT(VIRTIO_NET_F_GUEST_CSUM)))
		f &= ~(BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6));
	if (!(f & (BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6))))
		f &= ~BIT(VIRTIO_NET_F_GUEST_ECN);
	return f;
}

/* A guest that takes 64 KiB frames without mergeable buffers gives chains that can hold them. */
static uint16_t rx_bufs(const struct vhu_port *port)
{
	unsigned int n = (65562 + port->cfg.buf_len - 1) / port->cfg.buf_len;
	bool big = vhu_port_has(port, VIRTIO_NET_F_GUEST_TSO4) || vhu_port_has(port, VIRTIO_NET_F_GUEST_TSO6);

	if (!big || vhu_port_has(port, VIRTIO_NET_F_MRG_RXBUF))
		return 1;
	return (uint16_t)(n < port->cfg.size / 2u ? n : port->cfg.size / 2u);
}

/* The driver loads: rings as negotiated, from the start. */
static void apply_features(struct vhu_port *port)
{
	for (unsigned int i = 0; i < 2 * port->cfg.pairs; i++) {
		struct vhu_queue_config *qc = &port->queue[i].cfg;

		qc->mergeable = vhu_port_has(port, VIRTIO_NET_F_MRG_RXBUF);
		qc->indirect = vhu_port_has(port, VIRTIO_RING_F_INDIRECT_DESC);
		qc->event_idx = vhu_port_has(port, VIRTIO_RING_F_EVENT_IDX);
		qc->hdr_len = qc->mergeable || vhu_port_has(port, VIRTIO_F_VERSION_1) ? 12 : 10;
		qc->rx_bufs = qc->rx ? rx_bufs(port) : 1;
		vhu_queue_reset(&port->queue[i]);
	}
}

static int negotiate(struct vhu_port *port)
{
	uint64_t must = 0;

	if (port->negotiated) {
		/* the guest has its features; QEMU gives up on a back-end that lacks one of them */
		if (port->acked & ~port->offered)
			return -ENOTSUP;
		return 0;
	}
	must |= port->cfg.packed ? BIT(VIRTIO_F_RING_PACKED) : 0;
	must |= port->cfg.legacy ? 0 : BIT(VIRTIO_F_VERSION_1);
	if (must & ~port->offered)
		return -ENOTSUP;
	port->acked = without_orphans(wished_features(&port->cfg) & port->offered);
	port->negotiated = true;
	apply_features(port);
	return 0;
}

static int get_protocol_features(struct vhu_port *port)
{
	const uint64_t known = BIT(VHU_PF_MQ) | BIT(VHU_PF_LOG_SHMFD) | BIT(VHU_PF_RARP) |
			       BIT(VHU_PF_REPLY_ACK) | BIT(VHU_PF_NET_MTU) | BIT(VHU_PF_BACKEND_REQ) |
			       BIT(VHU_PF_STATUS);
	int err;

	port->protocol_offered = port->protocol_acked = 0;
	port->backend_pairs = 1;
	if (port->cfg.no_protocol_features || !(port->offered & BIT(VHU_F_PROTOCOL_FEATURES)))
		return 0;
	err = vhu_port_get_u64(port, VHU_GET_PROTOCOL_FEATURES, &port->protocol_offered);
	if (err)
		return err;
	err = vhu_port_send_u64(port, VHU_SET_PROTOCOL_FEATURES, port->protocol_offered & known);
	if (err)
		return err;
	port->protocol_acked = port->protocol_offered & known;
	if (vhu_port_has_protocol(port, VHU_PF_MQ))
		err = vhu_port_get_u64(port, VHU_GET_QUEUE_NUM, &port->backend_pairs);
	if (!err && port->backend_pairs == 0)
		err = -EPROTO;
	return err;
}

static int give_backend_channel(struct vhu_port *port)
{
	struct vhu_msg msg = { .request = VHU_SET_BACKEND_REQ_FD };
	int sv[2], err;

	if (!vhu_port_has_protocol(port, VHU_PF_BACKEND_REQ))
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	err = vhu_port_send(port, &msg, &sv[1], 1, true);
	close(sv[1]);
	if (err) {
		close(sv[0]);
		return err;
	}
	port->backend_fd = sv[0];
	return 0;
}

static int send_fd(struct vhu_port *port, uint32_t request, uint32_t index, int fd)
{
	struct vhu_msg msg = { .request = request, .size = 8, .u64 = index };

	return vhu_port_send(port, &msg, &fd, 1, false);
}

static int send_addr(struct vhu_port *port, unsigned int index)
{
	bool log = port->log.map;
	struct vhu_queue *q = &port->queue[index];
	struct vhu_msg msg = { .request = VHU_SET_VRING_ADDR, .size = sizeof(msg.addr) };
	void *desc, *driver, *device;

	q->ops->parts(q, &desc, &driver, &device);
	msg.addr.index = index;
	msg.addr.flags = log ? VHU_VRING_F_LOG : 0;
	msg.addr.desc = (uintptr_t)desc;
	msg.addr.avail = (uintptr_t)driver;
	msg.addr.used = (uintptr_t)device;
	msg.addr.log = log ? vhu_mem_gpa(&port->mem, device) : 0;
	return vhu_port_send(port, &msg, NULL, 0, log);
}

/* An orderly stop told the index; else the ring itself tells, or for packed rings what the configuration
 * says. */
static uint32_t start_base(const struct vhu_port *port, unsigned int index)
{
	const struct vhu_queue *q = &port->queue[index];

	if (port->base_known[index])
		return port->base[index];
	if (q->cfg.packed && port->cfg.packed_base == VHU_PACKED_QEMU)
		return 0x8000u << 16 | 0x8000u;
	return q->ops->base(q);
}

static int start_queue(struct vhu_port *port, unsigned int index)
{
	struct vhu_queue *q = &port->queue[index];
	uint32_t base = start_base(port, index);
	int err;

	err = vhu_port_send_state(port, VHU_SET_VRING_NUM, index, q->cfg.size);
	if (!err)
		err = vhu_port_send_state(port, VHU_SET_VRING_BASE, index, base);
	if (!err)
		err = send_addr(port, index);
	if (!err)
		err = send_fd(port, VHU_SET_VRING_KICK, index, q->kick_fd);
	if (!err)
		err = send_fd(port, VHU_SET_VRING_CALL, index, q->call_fd);
	if (!err)
		err = send_fd(port, VHU_SET_VRING_ERR, index, port->err_fd);
	if (err)
		return err;
	/* valid for this one start; QEMU keeps a packed one for want of better */
	if (!q->cfg.packed || port->cfg.packed_base == VHU_PACKED_OWN)
		port->base_known[index] = false;
	return 0;
}

static int set_enable(struct vhu_port *port, unsigned int pair, bool on)
{
	int err;

	if (!(port->offered & BIT(VHU_F_PROTOCOL_FEATURES)) || port->cfg.no_protocol_features)
		return 0; /* without it rings are enabled by their start */
	err = vhu_port_send_state(port, VHU_SET_VRING_ENABLE, 2 * pair, on);
	return err ? err : vhu_port_send_state(port, VHU_SET_VRING_ENABLE, 2 * pair + 1, on);
}

static int add_status(struct vhu_port *port, uint64_t bits)
{
	uint64_t status;
	int err;

	if (!vhu_port_has_protocol(port, VHU_PF_STATUS))
		return 0;
	err = vhu_port_get_u64(port, VHU_GET_STATUS, &status);
	if (err || (status & bits) == bits)
		return err;
	return vhu_port_send_u64(port, VHU_SET_STATUS, status | bits);
}

static uint64_t wire_features(const struct vhu_port *port)
{
	uint64_t f = port->acked;

	if (!port->cfg.no_protocol_features)
		f |= port->offered & BIT(VHU_F_PROTOCOL_FEATURES);
	return port->log.map ? f | BIT(VHU_F_LOG_ALL) : f;
}

static int send_features(struct vhu_port *port)
{
	struct vhu_msg msg = { .request = VHU_SET_FEATURES, .size = 8, .u64 = wire_features(port) };
	int err = vhu_port_send(port, &msg, NULL, 0, port->log.map);

	return err ? err : add_status(port, STATUS_FEATURES_OK);
}

static int send_mtu(struct vhu_port *port)
{
	struct vhu_msg msg = { .request = VHU_NET_SET_MTU, .size = 8, .u64 = port->cfg.mtu };

	if (!vhu_port_has(port, VIRTIO_NET_F_MTU) || !vhu_port_has_protocol(port, VHU_PF_NET_MTU))
		return 0;
	return vhu_port_send(port, &msg, NULL, 0, true);
}

int vhu_port_send_memory(struct vhu_port *port)
{
	struct vhu_msg msg;
	int fds[VHU_MAX_FDS];
	unsigned int n_fds;

	vhu_mem_table(&port->mem, &msg, fds, &n_fds);
	return vhu_port_send(port, &msg, fds, n_fds, true);
}

/* What happens on a new connection, before the guest has a say. */
static int probe(struct vhu_port *port)
{
	int err;

	err = vhu_port_get_u64(port, VHU_GET_FEATURES, &port->offered);
	if (!err)
		err = get_protocol_features(port);
	if (!err)
		err = give_backend_channel(port);
	if (!err) {
		struct vhu_msg msg = { .request = VHU_SET_OWNER };

		err = vhu_port_send(port, &msg, NULL, 0, false);
	}
	if (!err)
		err = vhu_port_get_u64(port, VHU_GET_FEATURES, &port->offered);
	return err;
}

/* The guest's driver is up. */
static int start_rings(struct vhu_port *port, unsigned int pairs, unsigned int active, bool again)
{
	int err = send_mtu(port);

	for (unsigned int pair = 0; !err && pair < pairs; pair++) {
		if (again && pair < active) /* QEMU restores the state of the rings first */
			err = set_enable(port, pair, true);
		if (!err)
			err = send_features(port);
		if (!err && pair == 0)
			err = vhu_port_send_memory(port);
		for (unsigned int i = 2 * pair; !err && i < 2 * pair + 2; i++)
			err = start_queue(port, i);
	}
	if (!err)
		err = add_status(port, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_DRIVER_OK);
	for (unsigned int pair = 0; !err && !again && pair < active; pair++)
		err = set_enable(port, pair, true);
	return err;
}

int vhu_port_start(struct vhu_port *port)
{
	bool again = port->negotiated;
	unsigned int pairs, active;
	uint64_t sync;
	int err;

	if (port->fd < 0)
		return -ENOTCONN;
	err = port->started ? -EALREADY : 0;
	if (!err && !port->backend_ready)
		err = probe(port);
	if (!err) {
		port->backend_ready = true;
		port->step = "features";
		err = negotiate(port);
	}
	if (err)
		return err;
	pairs = port->backend_pairs < port->cfg.pairs ? (unsigned int)port->backend_pairs : port->cfg.pairs;
	if (!vhu_port_has(port, VIRTIO_NET_F_MQ))
		pairs = 1;
	active = port->cfg.active && port->cfg.active < pairs ? port->cfg.active : pairs;
	err = start_rings(port, pairs, active, again);
	/* an answer to this says that all before was taken */
	if (!err)
		err = vhu_port_get_u64(port, VHU_GET_FEATURES, &sync);
	if (err)
		return err;
	port->enabled = active;
	port->started_pairs = pairs;
	port->started = true;
	return 0;
}

static int stop_queue(struct vhu_port *port, unsigned int index)
{
	struct vhu_msg msg = {
		.request = VHU_GET_VRING_BASE, .flags = VHU_VERSION, .size = 8, .state = { index, 0 }
	};
	struct vhu_msg reply;
	int err;

	port->step = vhu_request_name(msg.request);
	err = vhu_msg_send(port->fd, &msg, NULL, 0);
	if (!err)
		err = vhu_msg_recv(port->fd, &reply, NULL, NULL);
	if (!err && (reply.request != msg.request || reply.size != 8 || reply.state.index != index))
		err = -EPROTO;
	if (err) {
		port->broken_link = true;
		return err;
	}
	port->base[index] = reply.state.num;
	port->base_known[index] = true;
	return 0;
}

int vhu_port_stop(struct vhu_port *port)
{
	int err = 0;

	if (!port->started)
		return -ENOTCONN;
	for (unsigned int pair = 0; !err && pair < port->enabled; pair++)
		err = set_enable(port, pair, false);
	for (unsigned int i = 0; !err && i < 2 * port->started_pairs; i++)
		err = stop_queue(port, i);
	port->started = false;
	return err;
}

int vhu_port_enable(struct vhu_port *port, unsigned int pairs)
{
	int err = 0;

	if (!port->started)
		return -ENOTCONN;
	if (pairs < 1 || pairs > port->started_pairs)
		return -EINVAL;
	for (unsigned int pair = 0; !err && pair < port->started_pairs; pair++)
		if ((pair < pairs) != (pair < port->enabled))
			err = set_enable(port, pair, pair < pairs);
	if (!err)
		port->enabled = port->cfg.active = pairs;
	return err;
}

int vhu_port_rarp(struct vhu_port *port, const uint8_t mac[6])
{
	struct vhu_msg msg = { .request = VHU_SEND_RARP, .size = 8 };

	if (!vhu_port_has_protocol(port, VHU_PF_RARP))
		return -ENOTSUP;
	memcpy(msg.bytes, mac, 6);
	return vhu_port_send(port, &msg, NULL, 0, false);
}

int vhu_port_send_log_state(struct vhu_port *port)
{
	int err = send_features(port);

	for (unsigned int i = 0; !err && i < 2 * port->started_pairs; i++)
		err = send_addr(port, i);
	return err;
}
