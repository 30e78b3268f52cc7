/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_ethdev.h>

#include "offload/offload.h"

struct rte_mbuf *offload_tx_chain(struct rte_mbuf *m, uint64_t tx_offloads, struct rte_mempool *pool)
{
	struct rte_mbuf *copy;

	if (tx_offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS)
		return m;
	copy = rte_pktmbuf_copy(m, pool, 0, UINT32_MAX);
	if (!copy)
		return NULL;
	if (copy->nb_segs > 1) { /* longer than one buffer: no such frame fits a member of usual MTU */
		rte_pktmbuf_free(copy);
		return NULL;
	}
	rte_pktmbuf_free(m);
	return copy;
}
