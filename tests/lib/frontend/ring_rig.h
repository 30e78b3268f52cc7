/* SPDX-License-Identifier: BSD-3-Clause */
/* A queue of ours, a model of the device behind it, and frames between them. */
#ifndef TESTS_LIB_FRONTEND_RING_RIG_H
#define TESTS_LIB_FRONTEND_RING_RIG_H

#include "device_model.h"

enum { MAX_FRAME = 9000, VARIANTS = 64 };

struct rig {
	struct vhu_mem mem;
	struct vhu_queue q;
	struct model dev;
	uint64_t random;
};

/* Take the seed from TEST_SEED or the clock and print it. */
void rig_seed(void);

/* A random number below n. */
uint32_t below(struct rig *r, uint32_t n);

/* The queue of a case, bit by bit: packed, indirect, event index, header descriptor, mergeable, small buffers. */
struct vhu_queue_config config(unsigned int variant, bool rx);

void setup(struct rig *r, const struct vhu_queue_config *cfg);
void teardown(struct rig *r);

/* Random bytes. */
void fill(struct rig *r, uint8_t *data, uint32_t len);

/* The bytes of a chain behind each other; how many. */
uint32_t gather(const struct model_chain *c, uint8_t *out);

/* One packet (with virtio header) of the device, over as many buffers as it takes; false when there are too few. */
bool deliver(struct rig *r, const uint8_t *data, uint32_t len);

/* What was received is what want says. */
void take_in(const struct vhu_pkt *pkt, const struct vhu_frame *want);

/* The device takes and returns everything available. */
void drain(struct model *dev);

#endif
