/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhost-user ports on DPDK's vhost library.
 *
 * Trust boundary. Rings, descriptors and virtio_net_hdr are parsed by the library; the guest on the other side may
 * be hostile. Nothing the library hands over is believed: mbuf lengths, segment counts and offload flags are
 * checked against our own parse (base/pkt, offload/) before anybody computes with them.
 *
 * Threads. vhu_port_create/destroy: portctl thread only (they call rte_vhost_driver_register/unregister).
 * Library callbacks run on the library's thread: new_device publishes, destroy_device unpublishes and waits for
 * the workers (QSBR, bounded) on whatever thread it runs; vring_state_changed, features_changed and
 * new_connection never wait, since the library holds queue locks.
 * Bursts: worker threads.
 */
#ifndef VHOST_VHOST_H
#define VHOST_VHOST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/errs.h"
#include "base/object.h"
#include "base/port_ops.h"

struct rte_mempool;
struct vhu_port;

#define VHU_MAX_QUEUES 64 /* queue pairs per port */

enum vhu_event_type {
	VHU_CONNECTED,	  /* front-end is there, negotiation runs */
	VHU_READY,	  /* device started: `features`, `mtu` (0: not told) */
	VHU_STOPPED,	  /* device stopped (guest reset, front-end gone) */
	VHU_DISCONNECTED,
	VHU_QUEUE,	  /* VRING_ENABLE: `queue` (vring number), `enabled` */
	VHU_NEEDS_RESET,  /* packed ring whose indices cannot be proven after a restart */
	VHU_MTU_MISMATCH, /* guest's MTU differs from the port's */
};

struct vhu_event {
	enum vhu_event_type type;
	uint16_t port; /* index given at creation */
	uint16_t queue;
	bool enabled;
	uint16_t mtu;
	uint64_t features;
};

/* Called on the library's thread: must not block; the daemon copies the event to its main loop. */
typedef void (*vhu_event_fn)(const struct vhu_event *ev, void *arg);

struct vhu_config {
	struct rte_mempool *pool; /* for frames from guests */
	const char *state_dir;	  /* run directory: remembered features, packed-ring indices */
	vhu_event_fn event;
	void *arg;
};

/*
 * Start the library's side of the switch. portctl thread, once. @return 0 or -errno.
 */
int vhu_init(const struct vhu_config *config, struct errbuf *err);
void vhu_fini(void);

/*
 * Register a port. In client mode the front-end owns the socket and we keep trying to connect; in server mode
 * the socket is made here with the spec's mode and group, and unlinked on destroy.
 * @param index  policy's port index, returned in events and queues.
 * @param mtu    largest frame payload (IP bytes) that this port should use, for comparison and messages.
 * @param ret    owned by the caller, freed by vhu_port_destroy().
 * @return 0; -EADDRINUSE, -EACCES, -ENAMETOOLONG, -ENOMEM, -EINVAL with a reason. portctl thread.
 */
int vhu_port_create(const struct port_spec *spec, uint16_t index, uint16_t mtu, struct vhu_port **ret,
		    struct errbuf *err);

/* Unregister: the device is stopped, workers have let go, the socket of server mode is gone. portctl thread. NULL ok. */
void vhu_port_destroy(struct vhu_port *p);

/* The queue pairs 0 .. n-1 (n = spec.queues); valid until destroy; ready flags say which may be used. Any thread. */
struct port_queue *vhu_port_queue(struct vhu_port *p, unsigned int i);

struct vhu_status {
	enum port_state state;
	bool connected, packed, mergeable;
	uint64_t features;
	uint16_t mtu, queues_enabled; /* queue pairs with both rings enabled */
	uint64_t reconnects, bad_chains; /* chains the library rejected, where visible */
	uint16_t vring_size;
	int socket; /* NUMA node of the guest's memory */
};

/* A consistent snapshot. Any control thread. */
void vhu_port_status(const struct vhu_port *p, struct vhu_status *ret);

/* Ask the front-end to announce the guest's MAC (after a move). portctl thread. @return 0, -ENODEV, -ENOTSUP. */
int vhu_port_announce(struct vhu_port *p);

#endif
