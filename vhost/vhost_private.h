/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside vhost/: one port, its rings, what is remembered of them, and which file does what.
 *
 *   device.c    ports by name and by the library's device number; create, destroy, publish to workers
 *   events.c    callbacks of the library
 *   message.c   looks at protocol messages before the library does, and refuses what would hurt it
 *   features.c  what is offered
 *   state.c     files of the state directory
 *   packed.c    proves where a packed ring stands after a restart
 *   queue.c     bursts
 *   socket.c    socket files of server mode
 */
#ifndef VHOST_PRIVATE_H
#define VHOST_PRIVATE_H

#include <sys/types.h>
#include <linux/virtio_ring.h>
#include <rte_common.h>
#include <rte_spinlock.h>
#include <rte_vhost.h>

#include "base/stats.h"
#include "vhost/vhost.h"

#define VHU_BURST  32 /* the library moves at most so many packets per call */
#define VHU_VRINGS (2 * VHU_MAX_QUEUES)
#define VHU_SINGLY 3  /* the library takes fewer than four one after the other */

#define F_BIT(n) (1ULL << (n))

/* --- features.c */

/* All bits that this build honours on some port. Pure. */
uint64_t features_known(void);

/* What a port with this spec offers. Pure. */
uint64_t features_offer(const struct port_spec *spec);

/* What a guest negotiated, as PORT_*. Pure. */
uint32_t features_offloads(uint64_t features);

/* Protocol features offered to the front-end. Pure. */
uint64_t features_protocol(void);

/* --- state.c */

struct saved_features {
	uint64_t offered, negotiated;
};

/*
 * Remember, recall and forget the features of a port. Files are written whole or not at all, mode 0600.
 * state_load: 0; -ENOENT nothing remembered; -EBADMSG not ours, damaged or of another socket.
 */
int state_save(const char *dir, const struct port_spec *spec, const struct saved_features *f);
int state_load(const char *dir, const struct port_spec *spec, struct saved_features *ret);
void state_forget(const char *dir, const struct port_spec *spec);

/*
 * Position of one packed ring, in a file that is mapped and so outlives the process. `hot` is one word: a
 * process killed at any instruction leaves the old or the new one. The rest is written when the ring starts.
 */
struct ring_slot {
	uint64_t hot; /* ring_encode() */
	uint64_t gpa; /* guest address of the descriptors */
	uint32_t size;
	uint32_t sum; /* over gpa and size */
	uint64_t reserved[5];
};

enum ring_state {
	RING_NONE,
	RING_RUNNING, /* pos is where the back-end stands */
	RING_TOLD,    /* stopped in order: the front-end was told pos, its word counts */
	/* not in the file: there is a position, but it did not fit when the ring was looked at before a reset */
	RING_DOUBTED,
};

struct ring_saved {
	uint16_t pos; /* index, wrap counter in bit 15: as the protocol passes it */
	uint8_t state; /* enum ring_state */
};

struct ring_file; /* mapped */

/*
 * Map the file of a port, made anew unless it is intact and of this socket and size.
 * @return 0, 1 when a file was there that could not be used, or -errno.
 */
int rings_open(const char *dir, const struct port_spec *spec, struct ring_file **ret);
void rings_close(struct ring_file *f);
struct ring_slot *rings_slot(struct ring_file *f, unsigned int vring);

/* A ring starts, stops. Library's thread. */
void ring_begin(struct ring_slot *s, uint64_t gpa, uint32_t size, uint16_t pos);
void ring_end(struct ring_slot *s, uint16_t pos);

/* What is known of the ring at this address; state RING_NONE if nothing, or nothing that can be trusted. */
struct ring_saved ring_recall(const struct ring_slot *s, uint64_t gpa, uint32_t size);

static inline uint64_t ring_encode(uint16_t pos, enum ring_state state)
{
	uint32_t low = pos | (uint32_t)state << 16;

	return low | (uint64_t)(low * 0x9e3779b1u ^ 0x76737764u) << 32;
}

/* --- packed.c */

struct packed_proof {
	uint16_t pos;  /* next descriptor, as in struct ring_saved */
	bool torn;     /* the last burst was not completed: packed_complete() has to be called first */
	uint16_t slot; /* torn: descriptor left unmarked, */
	uint16_t id;   /* its buffer */
};

/*
 * Where does the device stand in a packed ring? Found from the descriptors (virtio 1.1, 2.7), the saved
 * position and the one that the front-end told; the answer is either right or refused.
 * @param ring  in guest memory; the driver may go on adding descriptors, so a refusal is worth a second look.
 * @param told  by SET_VRING_BASE.
 * @param from_guest  the ring whose frames we receive.
 * @return 0 and *ret; -ENODATA: cannot be proven. Pure.
 */
int packed_prove(const struct vring_packed_desc *ring, uint16_t size, uint16_t told, struct ring_saved saved,
		 bool from_guest, struct packed_proof *ret);

/* Mark the descriptor that a torn burst left over as used. */
void packed_complete(struct vring_packed_desc *ring, const struct packed_proof *proof);

/* --- queue.c */

struct vhu_queue {
	/* Read by any worker, written by the library's thread while no worker uses the queue. */
	struct port_queue q;
	int vid;
	uint16_t rx_vring, tx_vring; /* ring numbers: rx is from the guest (odd), tx toward it (even) */
	struct rte_mempool *pool;
	struct ring_slot *rx_saved, *tx_saved; /* packed rings, else NULL */
	uint16_t tx_burst; /* packets per call of the library toward a packed ring */
	uint32_t fresh; /* a ring was started: the owner of rx has something to do first */

	/* Written by the owner of rx. */
	uint64_t bad_chains __rte_cache_aligned;
	uint16_t seen; /* library's position when bad_chains was last brought up to date */
	uint16_t got;  /* packets since */
	uint16_t stuck_at, stuck_count; /* where nothing moved, and what waited there */
	bool stuck_counted;

	/* Packed rings: keeps a burst and the saving of its position together. */
	rte_spinlock_t tx_lock __rte_cache_aligned;
} __rte_cache_aligned;

extern const struct port_ops vhu_port_ops;

/* --- device.c */

/* Control side's view of a ring. Library's thread. */
struct vring_view {
	uint32_t size;	/* told by SET_VRING_NUM, 0: not since the last stop */
	bool packed;	/* format at that time */
	bool enabled;	/* the library calls it ready */
	bool usable;	/* workers may have it */
	bool unproven;	/* packed, position unknown */
};

/* What vhu_port_status() reports; whole words because it is copied by words for the readers. */
struct port_facts {
	uint64_t features, connections;
	int32_t socket;
	uint16_t mtu, pairs;
	uint16_t vring_size;
	bool connected, running, unproven;
	uint8_t reserved[3];
};

static_assert(sizeof(struct port_facts) % 8 == 0, "copied by words");

struct vhu_port {
	struct vhu_port *next;
	struct port_spec spec;
	uint16_t index, mtu;
	uint64_t offer; /* to the next front-end; portctl writes, callbacks read */
	int vid; /* -1: no front-end */
	bool leaving;
	bool recalled; /* the first front-end is offered what was offered before a restart */
	struct ring_file *rings; /* packed ports */
	struct vring_view vrings[VHU_VRINGS];
	uint32_t seq; /* odd while shown changes */
	struct port_facts facts; /* of the library's callbacks, one at a time */
	uint64_t shown[sizeof(struct port_facts) / 8]; /* copy for everybody else */
	dev_t dev; /* server mode: the socket file that we made */
	ino_t ino;
	struct vhu_queue *queues;
};

extern struct vhu_config vhu_config;

/* threads.c: the library has its threads, with the rights that config leaves them. portctl thread. */
int threads_start(const struct vhu_config *config, struct errbuf *err);

/* The port of a device of the library, or NULL. Any thread. */
struct vhu_port *port_of_vid(int vid);
void port_bind_vid(struct vhu_port *p, int vid);
void port_unbind_vid(struct vhu_port *p);

/* The registered port of a socket path, or NULL. Any thread. */
struct vhu_port *port_find(const char *socket);

/* Make p->facts visible as they are now. */
void port_show(struct vhu_port *p);

/* Tell the daemon. */
void port_event(struct vhu_port *p, struct vhu_event ev);

/* Offer features from the next connection on. @return 0, -EIO. */
int port_offer(struct vhu_port *p, uint64_t features);

/* Take all rings from the workers, and come back when they have let go. Not from a worker. */
void port_unpublish(struct vhu_port *p);

/* --- events.c, message.c */

extern const struct rte_vhost_device_ops vhu_device_ops;
extern const struct rte_vhost_user_extern_ops vhu_message_ops;

/* --- socket.c */

/*
 * Server mode: make the way free for the socket file. A socket that nobody listens on and that belongs to our
 * user is a leftover of a killed switch and removed; anything else is -EADDRINUSE.
 */
int socket_prepare(const struct port_spec *spec, struct errbuf *err);

/* Start listening with the spec's rights from the first moment on. @return 0 or -errno with a reason. */
int socket_listen(struct vhu_port *p, struct errbuf *err);

/* Unregister from the library, which unlinks the path whatever lies there: keep a file that is not ours. */
void socket_unregister(struct vhu_port *p);

#endif
