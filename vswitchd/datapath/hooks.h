/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hook points for extensions: at ingress (CA from a VM, PA from the wire) and before transmit per destination
 * (PA to the wire, CA to a VM). Empty, a point costs one predicted branch.
 */
#ifndef DATAPATH_HOOKS_H
#define DATAPATH_HOOKS_H

#include <stdint.h>
#include <rte_mbuf.h>

enum hook_point { HOOK_GUEST_RX, HOOK_WIRE_RX, HOOK_WIRE_TX, HOOK_GUEST_TX, HOOK_POINTS };

/*
 * Look at a burst and change verdicts in the metadata (VERDICT_DROP with a reason, VERDICT_CONSUMED: the mbuf is the
 * hook's now). Before transmit the verdict is that of the forwarding decision. Packets toward VMs may be shared with
 * other
 * receivers of a flood: their bytes must not be changed. Worker, inside a read section.
 */
typedef void (*hook_fn)(void *arg, struct rte_mbuf **pkts, uint16_t n);

struct hook {
	hook_fn fn;
	void *arg;
};

#define HOOKS_MAX 8

/* Hooks of every point in order; immutable, replaced as a whole. */
struct hook_table {
	uint8_t n[HOOK_POINTS];
	struct hook hooks[HOOK_POINTS][HOOKS_MAX];
};

#endif
