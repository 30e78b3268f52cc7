/* SPDX-License-Identifier: BSD-3-Clause */
#include "offload/offload.h"

/* What the library may set on a frame without having been asked for an offload. */
#define GUEST_FLAGS_OK (RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_INDIRECT)

enum drop_reason offload_guest_check_slow(const struct rte_mbuf *m)
{
	const struct rte_mbuf *seg = m;
	uint32_t sum = 0, segs = 0;

	if (m->ol_flags & ~GUEST_FLAGS_OK)
		return DROP_GUEST_META;
	for (; seg; seg = seg->next) {
		sum += seg->data_len;
		segs++;
	}
	return sum == m->pkt_len && segs == m->nb_segs ? DROP_NONE : DROP_GUEST_META;
}

bool offload_rx_ip_good(const struct rte_mbuf *m)
{
	return (m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD;
}
