/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/meta.h"

struct rte_mempool *meta_pool_create(const char *name, unsigned int n, unsigned int cache, uint16_t data_room,
				     int socket)
{
	return rte_pktmbuf_pool_create(name, n, cache, sizeof(struct pkt_meta), data_room, socket);
}
