/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_mbuf_ptype.h>

#include "offload/offload.h"

/*
 * A tunnel that the NIC looked into: its IP verdict is of the inner header then, and of the outer one it names only bad
 * ones. Our own sum over the outer header costs less than finding out what silence means; of a driver that names no
 * packet types nobody knows which header it looked at.
 */
bool offload_rx_ip_good(const struct member_dev *dev, const struct rte_mbuf *m)
{
	if (!(__atomic_load_n(&dev->offload, __ATOMIC_RELAXED) & OFFLOAD_F_RX_CSUM))
		return false;
	return (m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD &&
	       m->packet_type & RTE_PTYPE_L3_MASK && !(m->packet_type & RTE_PTYPE_TUNNEL_MASK);
}

void offload_rx_forget(struct rte_mbuf *m)
{
	m->ol_flags &= ~(RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK);
}

/* Does the NIC's idea of what is inside agree with ours? */
static bool saw_inside(uint32_t ptype, const struct pkt_info *pkt)
{
	uint32_t tunnel = ptype & RTE_PTYPE_TUNNEL_MASK, l3 = ptype & RTE_PTYPE_INNER_L3_MASK;
	uint32_t l4 = ptype & RTE_PTYPE_INNER_L4_MASK;

	if (tunnel != RTE_PTYPE_TUNNEL_NVGRE && tunnel != RTE_PTYPE_TUNNEL_GRE && tunnel != RTE_PTYPE_TUNNEL_GRENAT)
		return false;
	if (pkt->kind == PKT_IPV4) {
		if (l3 != RTE_PTYPE_INNER_L3_IPV4 && l3 != RTE_PTYPE_INNER_L3_IPV4_EXT &&
		    l3 != RTE_PTYPE_INNER_L3_IPV4_EXT_UNKNOWN)
			return false;
	} else if (l3 != RTE_PTYPE_INNER_L3_IPV6 && l3 != RTE_PTYPE_INNER_L3_IPV6_EXT &&
		   l3 != RTE_PTYPE_INNER_L3_IPV6_EXT_UNKNOWN) {
		return false;
	}
	return l4 == (pkt->proto == IPPROTO_TCP_ ? RTE_PTYPE_INNER_L4_TCP : RTE_PTYPE_INNER_L4_UDP);
}

void offload_rx_verdict(const struct member_dev *dev, struct rte_mbuf *m, struct offload_counters *c)
{
	struct pkt_meta *meta = pkt_meta(m);
	uint64_t f = m->ol_flags;

	if (!(__atomic_load_n(&dev->offload, __ATOMIC_RELAXED) & OFFLOAD_F_RX_CSUM))
		return;
	if ((meta->pkt.flags & (PKT_F_L4 | PKT_F_FRAGMENT)) != PKT_F_L4 ||
	    (meta->pkt.proto != IPPROTO_TCP_ && meta->pkt.proto != IPPROTO_UDP_))
		return;
	if (f & (RTE_MBUF_F_RX_OUTER_IP_CKSUM_BAD | RTE_MBUF_F_RX_IP_CKSUM_BAD | RTE_MBUF_F_RX_L4_CKSUM_BAD) ||
	    (f & RTE_MBUF_F_RX_OUTER_L4_CKSUM_MASK) == RTE_MBUF_F_RX_OUTER_L4_CKSUM_BAD)
		return;
	if ((f & RTE_MBUF_F_RX_L4_CKSUM_MASK) != RTE_MBUF_F_RX_L4_CKSUM_GOOD || !saw_inside(m->packet_type, &meta->pkt))
		return;
	if (meta->pkt.kind == PKT_IPV4 && (f & RTE_MBUF_F_RX_IP_CKSUM_MASK) != RTE_MBUF_F_RX_IP_CKSUM_GOOD)
		return;
	meta->csum_state = CSUM_GOOD;
	stat_add(&c->n[OFFLOAD_RX_CSUM_HW], 1);
}
