/* SPDX-License-Identifier: BSD-3-Clause */
/* The other side of a virtqueue, written from the specification (virtio 1.1 sections 2.6 and 2.7) and
 * nothing of ours. */
#ifndef TESTS_LIB_FRONTEND_DEVICE_MODEL_H
#define TESTS_LIB_FRONTEND_DEVICE_MODEL_H

#include "vhu.h"

#define MODEL_MAX 512

struct model_part {
	uint8_t *p;
	uint32_t len;
	bool writable;
};

struct model_chain {
	uint16_t id;
	uint16_t slots; /* of a packed ring */
	unsigned int n;
	struct model_part part[MODEL_MAX];
};

struct model {
	struct vhu_queue *q;
	struct vhu_mem *mem;
	uint16_t avail, avail_wrap; /* next chain to take */
	uint16_t used, used_wrap;   /* next element to write */
	uint16_t signalled;	    /* used index of the last look at the driver's wishes */
};

void model_init(struct model *m, struct vhu_queue *q, struct vhu_mem *mem);
/* Next chain the driver made available; false when there is none. Fails the test for a chain that is not
 * well formed. */
bool model_pop(struct model *m, struct model_chain *c);
/* Mark a chain used, len bytes written. */
void model_push(struct model *m, const struct model_chain *c, uint32_t len);
/* Does the driver want to be told of what was pushed since the last call of this? */
bool model_call_wanted(struct model *m);
/* Ask the driver to kick at the next available chain, or not at all. */
void model_want_kick(struct model *m, bool on);

#endif
