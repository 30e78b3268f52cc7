/* SPDX-License-Identifier: BSD-3-Clause */
/* A port: memory, queues, socket. What goes over the socket at start and stop is in handshake.c. */
#include "vhu.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static int check_config(const struct vhu_config *cfg)
{
	if (!cfg->path || strlen(cfg->path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return -EINVAL;
	if (cfg->pairs < 1 || cfg->pairs > VHU_MAX_PAIRS || cfg->regions < 1 ||
	    cfg->regions > VHU_MAX_REGIONS)
		return -EINVAL;
	if (cfg->size < 2 || cfg->size > 32768 || (cfg->size & (cfg->size - 1)))
		return -EINVAL;
	return cfg->buf_len >= 64 && cfg->buf_len <= 1 << 20 ? 0 : -EINVAL;
}

/* Queues before anything is negotiated: what is wished. */
static struct vhu_queue_config wished(const struct vhu_config *cfg, unsigned int index)
{
	return (struct vhu_queue_config){
		.size = cfg->size,
		.buf_len = cfg->buf_len,
		.hdr_len = cfg->legacy && !cfg->mergeable ? 10 : 12,
		.rx_bufs = 1,
		.rx = index % 2 == 0,
		.packed = cfg->packed,
		.mergeable = cfg->mergeable,
		.indirect = cfg->indirect,
		.event_idx = cfg->event_idx,
		.hdr_desc = cfg->hdr_desc,
	};
}

/* Region of queue's buffers: the rings are in 0, buffers spread over the others. */
static unsigned int buf_region(const struct vhu_config *cfg, unsigned int queue)
{
	return cfg->regions == 1 ? 0 : 1 + queue % (cfg->regions - 1);
}

static int init_queues(struct vhu_port *port)
{
	const struct vhu_config *cfg = &port->cfg;
	size_t bytes[VHU_MAX_REGIONS] = { 0 };
	int err;

	for (unsigned int i = 0; i < cfg->regions; i++)
		bytes[i] = 4096; /* a region without a queue still is one */
	for (unsigned int i = 0; i < 2 * cfg->pairs; i++) {
		struct vhu_queue_config qc = wished(cfg, i);

		bytes[0] += vhu_queue_ring_bytes(&qc);
		bytes[buf_region(cfg, i)] += vhu_queue_buf_bytes(&qc);
	}
	err = vhu_mem_init(&port->mem, bytes, cfg->regions, cfg->huge);
	for (unsigned int i = 0; !err && i < 2 * cfg->pairs; i++) {
		struct vhu_queue_config qc = wished(cfg, i);

		err = vhu_queue_init(&port->queue[i], &qc, &port->mem, 0, buf_region(cfg, i));
	}
	return err;
}

static int listen_on(const char *path, int *ret_fd)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int err, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (fd < 0)
		return -errno;
	memcpy(sa.sun_path, path, strlen(path) + 1);
	if (stat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(path);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 8) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

int vhu_port_set_path(struct vhu_port *port, const char *path)
{
	int fd = -1, err;

	if (port->fd >= 0)
		return -EISCONN;
	if (strlen(path) >= sizeof(port->path))
		return -ENAMETOOLONG;
	if (port->cfg.server) {
		err = listen_on(path, &fd);
		if (err)
			return err;
		if (port->listen_fd >= 0) {
			close(port->listen_fd);
			unlink(port->path);
		}
		port->listen_fd = fd;
	}
	memcpy(port->path, path, strlen(path) + 1);
	return 0;
}

int vhu_port_open(const struct vhu_config *cfg, struct vhu_port **ret_port)
{
	struct vhu_port *port;
	int err = check_config(cfg);

	if (err)
		return err;
	port = calloc(1, sizeof(*port));
	if (!port)
		return -ENOMEM;
	port->cfg = *cfg;
	port->cfg.path = port->path;
	if (!port->cfg.timeout_ms)
		port->cfg.timeout_ms = 5000;
	port->listen_fd = port->fd = port->backend_fd = port->err_fd = port->mem.fd = port->log.fd = -1;
	port->step = "none";
	port->queue = calloc(2 * cfg->pairs, sizeof(*port->queue));
	port->base = calloc(2 * cfg->pairs, sizeof(*port->base));
	port->base_known = calloc(2 * cfg->pairs, sizeof(*port->base_known));
	err = port->queue && port->base && port->base_known ? 0 : -ENOMEM;
	/* so that a half-made port can be closed: 0 is a file descriptor */
	for (unsigned int i = 0; port->queue && i < 2 * cfg->pairs; i++)
		port->queue[i].kick_fd = port->queue[i].call_fd = -1;
	if (!err) {
		port->err_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		err = port->err_fd < 0 ? -errno : 0;
	}
	if (!err)
		err = init_queues(port);
	if (!err)
		err = vhu_port_set_path(port, cfg->path);
	if (err) {
		vhu_port_close(port);
		return err;
	}
	*ret_port = port;
	return 0;
}

void vhu_port_close(struct vhu_port *port)
{
	if (!port)
		return;
	vhu_port_disconnect(port);
	if (port->listen_fd >= 0) {
		close(port->listen_fd);
		unlink(port->path);
	}
	for (unsigned int i = 0; port->queue && i < 2 * port->cfg.pairs; i++)
		vhu_queue_free(&port->queue[i]);
	if (port->err_fd >= 0)
		close(port->err_fd);
	vhu_mem_free(&port->mem);
	free(port->queue);
	free(port->base);
	free(port->base_known);
	free(port);
}

static int set_timeout(int fd, unsigned int ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000 };

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0)
		return -errno;
	return 0;
}

int vhu_port_set_timeout(struct vhu_port *port, unsigned int ms)
{
	port->cfg.timeout_ms = ms;
	return port->fd < 0 ? 0 : set_timeout(port->fd, ms);
}

static int take_connection(struct vhu_port *port, int fd)
{
	int err = set_timeout(fd, port->cfg.timeout_ms);

	if (err) {
		close(fd);
		return err;
	}
	port->fd = fd;
	port->broken_link = false;
	port->backend_requests = 0;
	return 0;
}

int vhu_port_accept(struct vhu_port *port)
{
	int fd;

	if (port->fd >= 0)
		return -EISCONN;
	fd = accept4(port->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return errno == EWOULDBLOCK || errno == ECONNABORTED || errno == EINTR ? -EAGAIN : -errno;
	return take_connection(port, fd);
}

int vhu_port_connect(struct vhu_port *port)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct timeval tv = { .tv_usec = 1000 };
	int err, fd;

	if (port->fd >= 0)
		return -EISCONN;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	memcpy(sa.sun_path, port->path, strlen(port->path) + 1);
	/* a full backlog must not hold up the other ports */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		bool absent =
			errno == ENOENT || errno == ECONNREFUSED || errno == EINTR || errno == EWOULDBLOCK;

		err = absent ? -EAGAIN : -errno;
		close(fd);
		return err;
	}
	return take_connection(port, fd);
}

void vhu_port_disconnect(struct vhu_port *port)
{
	if (port->fd >= 0)
		close(port->fd);
	if (port->backend_fd >= 0)
		close(port->backend_fd);
	port->fd = port->backend_fd = -1;
	port->started = port->backend_ready = false;
	vhu_port_log_stop(port); /* nobody writes it any more */
}

void vhu_port_reset(struct vhu_port *port)
{
	port->negotiated = false;
	port->acked = 0;
	for (unsigned int i = 0; i < 2 * port->cfg.pairs; i++) {
		port->base_known[i] = false;
		vhu_queue_reset(&port->queue[i]);
	}
}

uint64_t vhu_port_ring_errors(struct vhu_port *port)
{
	uint64_t n;

	return read(port->err_fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

int vhu_port_event(struct vhu_port *port)
{
	struct vhu_msg msg;

	return vhu_msg_recv(port->fd, &msg, NULL, NULL);
}

int vhu_port_backend_event(struct vhu_port *port)
{
	struct vhu_msg msg;
	int err = vhu_msg_recv(port->backend_fd, &msg, NULL, NULL);

	if (err)
		return err;
	port->backend_requests++;
	if (!(msg.flags & VHU_FLAG_NEED_REPLY))
		return 0;
	/* none of them concerns a network port: refuse (non-zero) */
	msg.flags = VHU_VERSION | VHU_FLAG_REPLY;
	msg.size = 8;
	msg.u64 = 1;
	return vhu_msg_send(port->backend_fd, &msg, NULL, 0);
}

int vhu_port_send(struct vhu_port *port, struct vhu_msg *msg, const int *fds, unsigned int n_fds, bool ack)
{
	struct vhu_msg reply;
	int err;

	port->step = vhu_request_name(msg->request);
	ack = ack && vhu_port_has_protocol(port, VHU_PF_REPLY_ACK);
	msg->flags = VHU_VERSION | (ack ? VHU_FLAG_NEED_REPLY : 0);
	err = vhu_msg_send(port->fd, msg, fds, n_fds);
	if (!err && ack)
		err = vhu_msg_recv(port->fd, &reply, NULL, NULL);
	if (!err && ack && (reply.request != msg->request || reply.size != 8))
		err = -EPROTO;
	if (err)
		port->broken_link = true;
	return err ? err : ack && reply.u64 ? -EREMOTEIO : 0;
}

int vhu_port_send_u64(struct vhu_port *port, uint32_t request, uint64_t value)
{
	struct vhu_msg msg = { .request = request, .size = 8, .u64 = value };

	return vhu_port_send(port, &msg, NULL, 0, false);
}

int vhu_port_send_state(struct vhu_port *port, uint32_t request, uint32_t index, uint32_t num)
{
	struct vhu_msg msg = { .request = request, .size = 8, .state = { index, num } };

	return vhu_port_send(port, &msg, NULL, 0, false);
}

int vhu_port_get_u64(struct vhu_port *port, uint32_t request, uint64_t *ret_value)
{
	struct vhu_msg msg = { .request = request, .flags = VHU_VERSION }, reply;
	int err;

	port->step = vhu_request_name(request);
	err = vhu_msg_send(port->fd, &msg, NULL, 0);
	if (!err)
		err = vhu_msg_recv(port->fd, &reply, NULL, NULL);
	if (!err && (reply.request != request || reply.size != 8))
		err = -EPROTO;
	if (err) {
		port->broken_link = true;
		return err;
	}
	*ret_value = reply.u64;
	return 0;
}
