/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Offloads: the only folder that reads or writes PMD and library offload flags. Everything else speaks of
 * virtio_net_hdr terms in struct pkt_meta.
 *
 * No guest offload is offered at present, so a packet that asks for one contradicts the negotiation.
 */
#ifndef OFFLOAD_OFFLOAD_H
#define OFFLOAD_OFFLOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_mbuf.h>

#include "base/drop.h"
#include "base/member_ops.h"
#include "base/meta.h"

/*
 * Check what the vhost library attached to a frame of a guest against what was negotiated, and the segment chain
 * against the length. Out of line part of offload_guest_check().
 * @return DROP_NONE or DROP_GUEST_META.
 */
enum drop_reason offload_guest_check_slow(const struct rte_mbuf *m);

static inline enum drop_reason offload_guest_check(const struct rte_mbuf *m)
{
	if (__builtin_expect(m->ol_flags == 0 && m->nb_segs == 1 && m->pkt_len == m->data_len, 1))
		return DROP_NONE;
	return offload_guest_check_slow(m);
}

/*
 * Choose a member's device configuration from what its driver claims. Requests only what the packet path needs:
 * multi-segment transmit.
 * @param c  rxq, txq, mtu and pool are kept; the offload members are filled. portctl thread.
 */
void offload_member_config(const struct member_info *info, struct member_config *c);

/* Did the NIC verify the outer IPv4 checksum of a received frame? Worker. */
bool offload_rx_ip_good(const struct rte_mbuf *m);

/*
 * Make a frame acceptable to a member: a chain becomes one segment where the device cannot send chains.
 * @return the mbuf to send (maybe another one, the argument is freed then), NULL when impossible (argument not
 * freed). Worker; only called for frames with more than one segment.
 */
struct rte_mbuf *offload_tx_chain(struct rte_mbuf *m, uint64_t tx_offloads, struct rte_mempool *pool);

#endif
