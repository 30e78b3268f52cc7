/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver and a device on one packed ring (virtio 1.1, 2.7), written from the specification and, for the
 * order of the device's stores, from DPDK 22.11's vhost library. The device can be killed before any store.
 */
#ifndef PACKED_MODEL_H
#define PACKED_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/virtio_ring.h>

#define MODEL_MAX 160

struct buffer {
	uint16_t head;	/* slot */
	uint16_t len;	/* descriptors */
	bool out;	/* with the device */
};

struct model {
	uint16_t n;
	struct vring_packed_desc ring[MODEL_MAX];
	/* driver */
	uint16_t next, room;	  /* next slot to fill, free descriptors */
	bool next_wrap;
	uint16_t used;		  /* where the driver looks for the next used */
	bool used_wrap;
	struct buffer buffers[MODEL_MAX]; /* by id */
	uint16_t free_ids[MODEL_MAX], n_free;
	const char *wrong;	  /* what the driver found that must not be */
	/* device */
	uint16_t pos;		  /* index and wrap counter in bit 15 */
	int budget;		  /* stores left before it is killed, negative: not at all */
	bool killed;
	bool clears_next;	  /* of used descriptors: a device may */
};

void model_reset(struct model *m, uint16_t n);

/* Driver: add a buffer of len descriptors; false if there is no room. */
bool driver_add(struct model *m, uint16_t len);

/* Driver: take back what is used. Returns how many; sets wrong. */
unsigned int driver_reap(struct model *m);

unsigned int driver_outstanding(const struct model *m);

/* Device: one burst of at most max buffers; m->pos is advanced if it was not killed. */
void device_receive(struct model *m, unsigned int max); /* from the guest: first mark last */
void device_send(struct model *m, unsigned int max);	/* to the guest: marks in groups of four */

#endif
