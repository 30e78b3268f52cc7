/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A virtqueue as the driver has it (virtio 1.1 section 2.6 split, 2.7 packed): buffers of its own, one per
 * descriptor, and bursts in and out. One thread per queue at a time; the port's control functions only
 * while no thread uses its queues.
 */
#ifndef TESTS_LIB_FRONTEND_QUEUE_H
#define TESTS_LIB_FRONTEND_QUEUE_H

#include "mem.h"

#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <sys/uio.h>

#define VHU_BURST     32
#define VHU_BURST_IOV 320 /* segments of a burst; one 64 KiB packet in 256-byte buffers fits */
#define VHU_MAX_CHAIN 256 /* descriptors of one packet */

/* A packet to send. */
struct vhu_frame {
	const uint8_t *data;
	uint32_t len; /* bytes, without virtio header */
	struct virtio_net_hdr_v1 hdr;
};

/* A packet received: segments in the ring's buffers, valid until vhu_rx_done(). */
struct vhu_pkt {
	struct iovec *iov; /* iov[0] is the virtio header, iov[1]... the data */
	uint16_t n_iov;
	uint32_t len; /* bytes of data */
};

struct vhu_burst {
	unsigned int n;
	unsigned int n_iov;
	unsigned int n_ids;
	struct vhu_pkt pkt[VHU_BURST];
	struct iovec iov[VHU_BURST_IOV];
	uint16_t id[VHU_BURST_IOV]; /* chains to give back */
};

static inline const struct virtio_net_hdr_v1 *vhu_pkt_hdr(const struct vhu_pkt *pkt)
{
	return pkt->iov[0].iov_base;
}

/* What the back-end did against the specification. After one of the first two the queue is broken, as in a
 * guest. */
enum vhu_violation {
	VHU_BAD_INDEX,	/* split: used index beyond what is in flight */
	VHU_BAD_ID,	/* a used element that is not in flight */
	VHU_BAD_LENGTH, /* more bytes written than the buffers hold, or less than a header */
	VHU_BAD_MERGE,	/* num_buffers promises buffers that are not there */
	VHU_VIOLATIONS,
};

/* Names of the above, for reports. */
extern const char *const vhu_violation_names[VHU_VIOLATIONS];

struct vhu_queue_stats {
	uint64_t packets;
	uint64_t bytes;
	uint64_t bursts;  /* calls of vhu_tx and vhu_rx that moved at least one packet */
	uint64_t full;	  /* vhu_tx calls that could not send everything */
	uint64_t kicks;	  /* notifications sent */
	uint64_t too_big; /* packets no chain of this ring can hold */
	uint64_t violations[VHU_VIOLATIONS];
};

/* One descriptor as written, nothing checked: for tests that write wrong ones. */
struct vhu_raw_desc {
	uint64_t addr; /* guest address */
	uint32_t len;
	uint16_t flags; /* VRING_DESC_F_* */
	uint16_t next;	/* split: next; packed: the buffer id */
};

struct vhu_ring_ops;

struct vhu_split {
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t avail_idx; /* next to write */
	uint16_t published; /* avail->idx as last written */
	uint16_t last_used;
};

struct vhu_packed {
	struct vring_packed_desc *desc;
	struct vring_packed_desc_event *driver;
	struct vring_packed_desc_event *device;
	uint16_t avail_idx;  /* next to write */
	uint16_t avail_wrap; /* wrap counters as 0 or 1 */
	uint16_t used_idx;
	uint16_t used_wrap;
	uint16_t head;	     /* first descriptor not yet published ... */
	uint16_t head_flags; /* ... and its flags, written last */
	uint16_t staged;     /* descriptors not yet published */
};

struct vhu_queue_config {
	uint16_t size;	  /* descriptors: a power of two for split */
	uint32_t buf_len; /* data bytes per buffer */
	uint16_t hdr_len; /* virtio header, 12 or 10 (legacy without mergeable buffers) */
	uint16_t rx_bufs; /* buffers per receive chain */
	bool rx;
	bool packed;
	bool mergeable;
	bool indirect;
	bool event_idx;
	bool hdr_desc; /* header in a descriptor of its own */
};

struct vhu_queue {
	const struct vhu_ring_ops *ops;
	union {
		struct vhu_split split;
		struct vhu_packed packed;
	};
	struct vhu_queue_config cfg;
	uint8_t *bufs; /* cfg.size buffers of stride bytes; header, then data on a cache line */
	uint64_t bufs_gpa;
	uint32_t stride;
	uint8_t *tables; /* indirect tables, one per buffer, NULL without indirect */
	uint64_t tables_gpa;
	uint32_t table_len; /* descriptors in each */
	uint16_t *free;	    /* ring of free buffer ids, tx */
	uint16_t free_head;
	uint16_t n_free;
	uint16_t *chain;      /* by id of the head: buffers in flight with it, 0 = not in flight */
	uint16_t *chain_next; /* by id: next buffer of the same chain */
	uint16_t in_flight;   /* chains */
	bool broken;
	bool quiet; /* notifications wanted off */
	int kick_fd;
	int call_fd;
	void *ring;	 /* start of the ring memory and ... */
	size_t ring_len; /* ... its length */
	struct vhu_queue_stats stats;
};

/* What differs between split and packed. */
struct vhu_ring_ops {
	const char *name;
	/* bytes of ring memory for size descriptors */
	size_t (*bytes)(uint16_t size);
	/* ring memory (zeroed) at q->ring: take it into use, indexes at the start */
	void (*init)(struct vhu_queue *q);
	/* the three addresses of VRING_ADDR */
	void (*parts)(const struct vhu_queue *q, void **desc, void **driver, void **device);
	/* index for SET_VRING_BASE: at the first start, and as a hypervisor finds it after a back-end died */
	uint32_t (*base)(const struct vhu_queue *q);
	unsigned int (*tx)(struct vhu_queue *q, const struct vhu_frame *frames, unsigned int n);
	unsigned int (*rx)(struct vhu_queue *q, struct vhu_burst *b);
	void (*rx_done)(struct vhu_queue *q, struct vhu_burst *b);
	/* give all receive buffers to the device */
	void (*rx_fill)(struct vhu_queue *q);
	/* take back sent buffers */
	void (*reclaim)(struct vhu_queue *q);
	/* ask for a notification at the next used buffer; true when one is there already */
	bool (*arm)(struct vhu_queue *q);
	void (*disarm)(struct vhu_queue *q);
	/* n unchecked descriptors as one chain; split: avail names head */
	void (*raw)(struct vhu_queue *q, const struct vhu_raw_desc *d, unsigned int n, uint16_t head);
};

extern const struct vhu_ring_ops vhu_split_ops, vhu_packed_ops;

/* Memory for a queue out of region ring_region (ring, tables) and buf_region (buffers). Returns 0 or
 * -errno. */
int vhu_queue_init(struct vhu_queue *q, const struct vhu_queue_config *cfg, struct vhu_mem *mem,
		   unsigned int ring_region, unsigned int buf_region);
void vhu_queue_free(struct vhu_queue *q);
/* Bytes vhu_queue_init takes out of the two regions, alignment included. */
size_t vhu_queue_ring_bytes(const struct vhu_queue_config *cfg);
size_t vhu_queue_buf_bytes(const struct vhu_queue_config *cfg);

/* Back to the state of a driver that just loaded: empty ring, receive buffers posted (not kicked). */
void vhu_queue_reset(struct vhu_queue *q);

/* Send up to n frames: copies each into the next free buffers, publishes all at once, kicks if the device
 * asks. Returns how many were taken; fewer than n when the ring is full. A frame no chain can hold is
 * counted and skipped. */
static inline unsigned int vhu_tx(struct vhu_queue *q, const struct vhu_frame *frames, unsigned int n)
{
	return q->ops->tx(q, frames, n);
}

/* Receive up to VHU_BURST packets into b, which must go back with vhu_rx_done() before the next call. */
static inline unsigned int vhu_rx(struct vhu_queue *q, struct vhu_burst *b)
{
	return q->ops->rx(q, b);
}

/* Give the buffers of a burst back to the device; kicks if it asks. */
static inline void vhu_rx_done(struct vhu_queue *q, struct vhu_burst *b)
{
	if (b->n_ids)
		q->ops->rx_done(q, b);
}

/* Before sleeping: ask for a call when the device uses a buffer. true: there is one already, do not sleep. */
static inline bool vhu_arm(struct vhu_queue *q)
{
	return q->ops->arm(q);
}

/* Polling again: no calls wanted. */
static inline void vhu_disarm(struct vhu_queue *q)
{
	if (!q->quiet)
		q->ops->disarm(q);
}

/* Kick unconditionally. */
void vhu_kick(struct vhu_queue *q);

#endif
