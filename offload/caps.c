/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_ethdev.h>

#include "offload/offload.h"

void offload_member_config(const struct member_info *info, struct member_config *c)
{
	c->rx_offloads = 0;
	/* Not fast free: it forbids shared buffers, and the pieces of a packet that is cut share that packet's. */
	c->tx_offloads = info->tx_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
}
