/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packet buffers of one AF_XDP device. The driver never gives back the buffers that lie in its fill ring
 * when it is closed, and wants all of them in one piece of memory: so each device has a pool of its own,
 * which goes with it. portctl thread.
 */
#ifndef TEAMING_XDP_POOL_H
#define TEAMING_XDP_POOL_H

#include <stdint.h>
#include <rte_mempool.h>

/* Buffers like those of `like`, enough for so many queues. @return NULL: no memory. */
struct rte_mempool *tw_xdp_pool_new(const struct rte_mempool *like, unsigned int queues, int socket);

/* The device is closed. Buffers may still be on their way through the switch: the pool goes a while later. */
void tw_xdp_pool_retire(struct rte_mempool *pool);

#endif
