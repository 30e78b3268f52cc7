/* SPDX-License-Identifier: BSD-3-Clause */
/* ARP and neighbour discovery messages of our own. Private to policy/. */
#ifndef POLICY_NEIGH_MAKE_H
#define POLICY_NEIGH_MAKE_H

#include "policy/neigh_msg.h"
#include "policy/policy_private.h"

/*
 * The packet becomes the answer "msg->target is at mac" to msg->eth_src and msg->sender: VERDICT_REPLY, or a drop when
 * the buffer is not ours alone or too small. Worker, or main with a buffer of its own.
 */
void neigh_make_answer(struct rte_mbuf *m, const struct neigh_msg *msg, uint64_t mac, bool router);

/*
 * The packet becomes the question of msg->eth_src and msg->sender (any: a probe) for msg->target, to msg->eth_dst. The
 * verdict stays as it is. @return false: as above. Same threads.
 */
bool neigh_make_question(struct rte_mbuf *m, const struct neigh_msg *msg);

/*
 * The packet becomes an ND message to all nodes. @param mac Ethernet source. @param body from the type on, with a
 * checksum of 0, which is filled in. @return false: as above. Same threads.
 */
bool neigh_make_nd(struct rte_mbuf *m, uint64_t mac, const struct ip_addr *from, uint8_t *body, uint32_t len);

#endif
