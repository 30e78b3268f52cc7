/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhost-user ports on DPDK's vhost library.
 *
 * Trust boundary. Rings, descriptors and virtio_net_hdr are parsed by the library; the guest on the other
 * side may be hostile. Nothing the library hands over is believed: mbuf lengths, segment counts and offload
 * flags are checked against our own parse (base/pkt, offload/) before anybody computes with them. Chains that
 * the library refuses are counted where they can be seen (status.bad_chains). Of the front-end's messages,
 * those with which the library would compute unchecked are refused (message.c); a ring is served only if its
 * size was told and checked for the ring format in use, and its position proven. The front-end process (not
 * the guest in it) is trusted in two things: not to truncate a memory file under our mapping, which would kill
 * the switch, and not to stop in the middle of a message, which would hold up other ports' connections.
 *
 * Threads. vhu_port_create/destroy: portctl thread only (they call rte_vhost_driver_register/unregister).
 * Library callbacks run on the library's thread: new_device publishes, destroy_device unpublishes and waits
 * for the workers (QSBR; a worker that does not let go within a second is reported, and waited for) on
 * whatever thread it runs; vring_state_changed, features_changed and new_connection never wait, since the
 * library holds queue locks.
 * Bursts: worker threads. For a burst on a packed ring n should be 2 or more: the
 * last packet of an odd burst may be left for the next one.
 *
 * Limits of the library: 1,024 ports, in server mode 511 (two descriptors each in its poll set of 1,024); one
 * event thread; a client whose socket is not there yet is tried again every second; a front-end notices a
 * port's end (not the process's) within a second.
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
	VHU_NEEDS_RESET,  /* `queue`, a packed ring, is not served: its indices cannot be proven */
	VHU_MTU_MISMATCH, /* `mtu`, the guest's, differs from the port's */
};

struct vhu_event {
	enum vhu_event_type type;
	uint16_t port; /* index given at creation */
	uint16_t queue;
	bool enabled;
	uint16_t mtu;
	uint64_t features;
};

/*
 * Called on the library's threads, and from vhu_port_create (CONNECTED) and vhu_port_destroy (STOPPED,
 * DISCONNECTED): must not block or call back into vhost/; the daemon copies the event to its main loop.
 */
typedef void (*vhu_event_fn)(const struct vhu_event *ev, void *arg);

struct vhu_config {
	struct rte_mempool *pool; /* for frames from guests */
	const char *state_dir;	  /* made if missing (0700); remembered features, packed-ring positions */
	vhu_event_fn event;
	void *arg;
	int (*confine)(void);	  /* of the thread that the library's inherit their rights from; may be NULL */
};

/*
 * Start the library's side of the switch, after rte_eal_init() and rcu_init(). portctl thread, once.
 * @return 0 or -errno with a reason.
 */
int vhu_init(const struct vhu_config *config, struct errbuf *err);
void vhu_fini(void);

/*
 * Register a port. In client mode the front-end owns the socket and we keep trying to connect; in server mode
 * the socket is made here with the spec's mode and group, and unlinked on destroy. A file in its way is
 * removed only if it is a socket of our own user that nobody listens on.
 * What was offered when the switch
 * last ended is offered again to the first front-end, so that a running guest finds what it negotiated; a
 * later one is offered what the spec says.
 * @param index  policy's port index, returned in events and queues.
 * @param mtu    largest frame payload (IP bytes) that this port should use, for comparison and messages.
 * @param ret    owned by the caller, freed by vhu_port_destroy().
 * @return 0; -EADDRINUSE (socket or id of another port, file in the way), -EACCES, -ENOENT (no directory),
 *         -ENAMETOOLONG, -ENOMEM, -EINVAL, -EIO, with a reason. portctl thread.
 */
int vhu_port_create(const struct port_spec *spec, uint16_t index, uint16_t mtu, struct vhu_port **ret,
		    struct errbuf *err);

/* Unregister: device stopped, workers have let go, server's socket gone. portctl thread. NULL ok. */
void vhu_port_destroy(struct vhu_port *p);

/*
 * Offer what this specification says (offloads, mergeable) to the next front-end: one that is connected keeps what it
 * has. All else in the specification has to be the port's. portctl thread.
 */
void vhu_port_offer(struct vhu_port *p, const struct port_spec *spec);

/* Queue pairs 0 .. spec.queues - 1, else NULL; valid until destroy; usable while ready. Any thread. */
struct port_queue *vhu_port_queue(struct vhu_port *p, unsigned int i);

struct vhu_status {
	enum port_state state;
	bool connected, packed, mergeable;
	uint64_t features;
	uint32_t offloads; /* PORT_* of these */
	uint16_t mtu, queues_enabled; /* queue pairs with both rings enabled */
	uint64_t reconnects; /* connections after the first */
	uint64_t bad_chains; /* chains the library rejected, where visible */
	uint16_t vring_size; /* of queue 0 */
	int socket; /* NUMA node of the guest's memory */
};

/* A consistent snapshot. Any control thread. */
void vhu_port_status(const struct vhu_port *p, struct vhu_status *ret);

/*
 * Ask the front-end to announce the guest's MAC (after a move). portctl thread.
 * @return -ENODEV without a running guest, else -ENOTSUP: the library of DPDK 22.11 has no such message for
 * network devices (a front-end announces by itself: RARP through rx).
 */
int vhu_port_announce(struct vhu_port *p);

#endif
