/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_ethdev.h>

#include "offload/offload.h"

void offload_member_config(const struct member_info *info, bool one_pool, struct member_config *c)
{
	c->rx_offloads = 0;
	c->tx_offloads = info->tx_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	/*
	 * Fast free forbids shared packets on a transmit queue. Ours are never shared there: flood makes real copies
	 * toward members, and references are only counted up toward local ports.
	 */
	if (one_pool)
		c->tx_offloads |= info->tx_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
}
