/* SPDX-License-Identifier: BSD-3-Clause */
/* The dirty log of live migration: a bitmap of guest pages the back-end wrote. */
#include "vhu.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#define LOG_PAGE 4096u

static void release(struct vhu_log *log)
{
	if (log->map)
		munmap(log->map, log->size);
	if (log->fd >= 0)
		close(log->fd);
	*log = (struct vhu_log){ .fd = -1 };
}

static int make_log(const struct vhu_mem *mem, struct vhu_log *ret_log)
{
	const struct vhu_region *last = &mem->region[mem->n - 1];
	struct vhu_log log = { .fd = -1 };
	int err;

	log.size = (last->gpa + last->size) / LOG_PAGE / 8 + 8;
	log.fd = memfd_create("dirty-log", MFD_CLOEXEC);
	if (log.fd < 0)
		return -errno;
	if (ftruncate(log.fd, (off_t)log.size) == 0)
		log.map = mmap(NULL, log.size, PROT_READ | PROT_WRITE, MAP_SHARED, log.fd, 0);
	if (!log.map || log.map == MAP_FAILED) {
		err = -errno;
		log.map = NULL;
		release(&log);
		return err;
	}
	*ret_log = log;
	return 0;
}

int vhu_port_log_start(struct vhu_port *port)
{
	struct vhu_msg msg = { .request = VHU_SET_LOG_BASE, .flags = VHU_VERSION, .size = sizeof(msg.log) },
		       reply;
	int err;

	if (!port->started)
		return -ENOTCONN;
	if (port->log.map)
		return -EALREADY;
	if (!vhu_port_has_protocol(port, VHU_PF_LOG_SHMFD) || !(port->offered & 1ULL << VHU_F_LOG_ALL))
		return -ENOTSUP;
	err = make_log(&port->mem, &port->log);
	if (err)
		return err;
	msg.log.size = port->log.size;
	port->step = vhu_request_name(msg.request);
	err = vhu_msg_send(port->fd, &msg, &port->log.fd, 1);
	if (!err)
		err = vhu_msg_recv(port->fd, &reply, NULL, NULL);
	if (!err && reply.request != msg.request)
		err = -EPROTO;
	if (err)
		port->broken_link = true;
	else
		err = vhu_port_send_log_state(port);
	if (err)
		release(&port->log);
	return err;
}

int vhu_port_log_stop(struct vhu_port *port)
{
	if (!port->log.map)
		return 0;
	release(&port->log);
	return port->started ? vhu_port_send_log_state(port) : 0;
}

uint64_t vhu_port_log_count(struct vhu_port *port, bool clear)
{
	uint64_t n = 0;

	for (size_t i = 0; port->log.map && i < port->log.size; i++) {
		if (!__atomic_load_n(&port->log.map[i], __ATOMIC_RELAXED))
			continue;
		if (clear)
			n += (uint64_t)__builtin_popcount(
				__atomic_exchange_n(&port->log.map[i], 0, __ATOMIC_ACQ_REL));
		else
			n += (uint64_t)__builtin_popcount(
				__atomic_load_n(&port->log.map[i], __ATOMIC_ACQUIRE));
	}
	return n;
}

bool vhu_port_log_has(const struct vhu_port *port, uint64_t gpa)
{
	uint64_t page = gpa / LOG_PAGE;

	return port->log.map && page / 8 < port->log.size &&
	       __atomic_load_n(&port->log.map[page / 8], __ATOMIC_ACQUIRE) & 1u << page % 8;
}
