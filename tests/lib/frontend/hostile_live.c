/* SPDX-License-Identifier: BSD-3-Clause */
/* Right messages at the wrong moment: the rings run and frames flow meanwhile. */
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Nothing is wrong as long as the connection holds: a refusal is a right answer. */
static int unless_gone(const struct hostile *h, int err)
{
	return err && h->port->vhu->broken_link ? err : 0;
}

/* Has the back-end taken all that was sent? */
static int sync_up(struct hostile *h)
{
	uint64_t features;

	return vhu_port_get_u64(h->port->vhu, VHU_GET_FEATURES, &features);
}

static int attack_stop(struct hostile *h)
{
	int err = vhu_port_stop(h->port->vhu);

	return err ? err : vhu_port_start(h->port->vhu);
}

static int attack_enable(struct hostile *h)
{
	struct vhu_port *v = h->port->vhu;
	int err = 0;

	for (unsigned int i = 0; !err && i < 2 * v->started_pairs; i++)
		err = vhu_port_send_state(v, VHU_SET_VRING_ENABLE, i, hostile_below(h, 2));
	for (unsigned int i = 0; !err && i < 2 * v->started_pairs; i++)
		err = vhu_port_send_state(v, VHU_SET_VRING_ENABLE, i, 1);
	return err ? err : sync_up(h);
}

static int attack_memory(struct hostile *h)
{
	return unless_gone(h, vhu_port_send_memory(h->port->vhu));
}

/* A table without one of the regions, then the whole again. */
static int attack_unmap(struct hostile *h)
{
	struct vhu_port *v = h->port->vhu;
	unsigned int n_fds, without;
	int fds[VHU_MAX_FDS], err;
	struct vhu_msg msg;

	vhu_mem_table(&v->mem, &msg, fds, &n_fds);
	if (n_fds > 1) {
		without = hostile_below(h, n_fds);
		msg.mem.region[without] = msg.mem.region[n_fds - 1];
		msg.mem.n = --n_fds;
		msg.size -= (uint32_t)sizeof(struct vhu_msg_region);
		err = vhu_port_send(v, &msg, fds, n_fds, true);
		if (unless_gone(h, err))
			return err;
	}
	return unless_gone(h, vhu_port_send_memory(v));
}

/* Another size and another place for a ring that runs; then the connection is given up. */
static int attack_ring(struct hostile *h)
{
	struct vhu_port *v = h->port->vhu;
	struct vhu_msg msg = { .request = VHU_SET_VRING_ADDR, .size = sizeof(msg.addr) };
	uint32_t index = hostile_below(h, 2);
	uintptr_t ring = (uintptr_t)v->queue[index].ring;

	msg.addr.index = index;
	msg.addr.desc = ring + hostile_below(h, 8192) * (hostile_below(h, 2) ? 1 : 16);
	msg.addr.avail = ring + hostile_below(h, 8192);
	msg.addr.used = hostile_below(h, 4) ? ring + hostile_below(h, 8192) : hostile_random(h);
	vhu_port_send_state(v, VHU_SET_VRING_NUM, index, 1u << hostile_below(h, 16));
	vhu_port_send(v, &msg, NULL, 0, false);
	vhu_port_send_state(v, VHU_SET_VRING_BASE, index, (uint32_t)hostile_random(h));
	sync_up(h);
	return -EPIPE;
}

static int attack_features(struct hostile *h)
{
	struct vhu_port *v = h->port->vhu;
	int err = vhu_port_send_u64(v, VHU_SET_FEATURES, v->offered & hostile_random(h));

	if (!err)
		err = vhu_port_send_u64(v, VHU_SET_FEATURES, hostile_random(h));
	sync_up(h);
	return err ? err : -EPIPE;
}

static int attack_owner(struct hostile *h)
{
	struct vhu_msg msg = { .request = hostile_below(h, 2) ? VHU_RESET_OWNER : VHU_SET_OWNER };
	int err = vhu_port_send(h->port->vhu, &msg, NULL, 0, false);

	sync_up(h);
	return err ? err : -EPIPE;
}

static int attack_log(struct hostile *h)
{
	int err = vhu_port_log_start(h->port->vhu);

	if (err == -ENOTSUP)
		return 0;
	return err ? err : vhu_port_log_stop(h->port->vhu);
}

/* Kick and call descriptors change, or there are none. */
static int attack_notify(struct hostile *h)
{
	struct vhu_port *v = h->port->vhu;
	uint32_t index = hostile_below(h, 2),
		 request = hostile_below(h, 2) ? VHU_SET_VRING_KICK : VHU_SET_VRING_CALL;
	struct vhu_msg msg = { .request = request, .size = 8 };
	int fd = request == VHU_SET_VRING_KICK ? v->queue[index].kick_fd : v->queue[index].call_fd;
	int err;

	msg.u64 = index | VHU_VRING_NOFD;
	err = vhu_port_send(v, &msg, NULL, 0, false);
	msg.u64 = index;
	if (!err)
		err = vhu_port_send(v, &msg, &fd, 1, false);
	return err ? err : sync_up(h);
}

static int attack_kicks(struct hostile *h)
{
	uint64_t one = 1;

	for (unsigned int i = 0; i < 1000; i++)
		if (write(h->port->vhu->queue[hostile_below(h, 2)].kick_fd, &one, sizeof(one)) < 0)
			break;
	return 0;
}

/* The file behind the memory loses its pages: whoever touches the mapping gets SIGBUS. */
static int attack_truncate(struct hostile *h)
{
	struct vhu_mem *mem = &h->port->vhu->mem;

	vhu_mem_pull(mem);
	sync_up(h);
	vhu_mem_renew(mem);
	port_request(h->port, REQUEST_RESTART);
	return -EPIPE;
}

/* A call descriptor that is full and blocks who writes to it. */
static int attack_call_block(struct hostile *h)
{
	struct vhu_port *v = h->port->vhu;
	struct vhu_msg msg = { .request = VHU_SET_VRING_CALL, .size = 8, .u64 = 1 };
	uint64_t full = UINT64_MAX - 1;
	int err, fd = eventfd(0, EFD_CLOEXEC);

	if (fd < 0)
		return 0;
	err = write(fd, &full, sizeof(full)) < 0 ? -errno : 0;
	if (!err)
		err = vhu_port_send(v, &msg, &fd, 1, false);
	sync_up(h);
	/* room again, so that who blocked goes on when this is over */
	fcntl(fd, F_SETFL, O_NONBLOCK);
	if (read(fd, &full, sizeof(full)) < 0)
		err = -errno;
	close(fd);
	return err ? err : -EPIPE;
}

const struct hostile_script hostile_live_scripts[] = {
	{ "live-stop", HOSTILE_LIVE, false, attack_stop, "rings stopped and started while frames flow" },
	{ "live-enable", HOSTILE_LIVE, false, attack_enable, "rings disabled and enabled at random" },
	{ "live-memory", HOSTILE_LIVE, false, attack_memory, "the memory table again" },
	{ "live-unmap", HOSTILE_LIVE, false, attack_unmap, "a memory table without a region in use" },
	{ "live-ring", HOSTILE_LIVE, false, attack_ring,
	  "another size, address and index for a running ring" },
	{ "live-features", HOSTILE_LIVE, false, attack_features, "other features while running" },
	{ "live-owner", HOSTILE_LIVE, false, attack_owner, "SET_OWNER and RESET_OWNER while running" },
	{ "live-log", HOSTILE_LIVE, false, attack_log, "dirty log on and off" },
	{ "live-notify", HOSTILE_LIVE, false, attack_notify,
	  "kick and call descriptors taken away and given back" },
	{ "live-kicks", HOSTILE_LIVE, false, attack_kicks, "thousands of kicks for nothing" },
	{ "live-truncate", HOSTILE_LIVE, true, attack_truncate, "the memory's file is cut to nothing" },
	{ "live-call-block", HOSTILE_LIVE, true, attack_call_block,
	  "a call descriptor that blocks its writer" },
	{ 0 },
};
