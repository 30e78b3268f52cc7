/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An emulated NIC that offloads NVGRE: a second member_ops, in front of another one that moves plain frames. It works
 * from the descriptor alone (mbuf flags and lengths, by rte_mbuf_core.h), byte by byte and without the product's code:
 *
 *	transmit	segmentation and checksums of what is in GRE; prepare() refuses what a real NIC refuses:
 *			missing or contradicting flags, lengths that are not those of the headers, offloads that were
 *			not configured, headers in pieces, too many buffers
 *	receive		packet type, checksum verdicts, flow rules (NVGRE, or GRE and GRE_KEY), else a hash of the
 *			inner flow
 *	lies		claims what it does not do
 */
#ifndef TESTS_LIB_EMUNIC_H
#define TESTS_LIB_EMUNIC_H

#include <stdio.h>

#include "base/member_ops.h"

/* Claims and lies; a lie makes the claim, too. */
#define EMUNIC_TSO	0x01
#define EMUNIC_TX_CSUM	0x02
#define EMUNIC_RX_CSUM	0x04
#define EMUNIC_RSS	0x08
#define EMUNIC_FLOW	0x10 /* NVGRE items */
#define EMUNIC_FLOW_GRE 0x20 /* GRE and GRE_KEY items instead */
#define EMUNIC_CHAINS	0x40
#define EMUNIC_ALL	(EMUNIC_TSO | EMUNIC_TX_CSUM | EMUNIC_RX_CSUM | EMUNIC_RSS | EMUNIC_FLOW | EMUNIC_CHAINS)

struct emunic_config {
	unsigned int claims; /* EMUNIC_*, and done */
	unsigned int lies;   /* claimed, not done: large frames leave whole, sums unfinished, bad ones are good */
	uint16_t rxq;	     /* queues */
	uint16_t max_segs;   /* buffers of a packet; 0: 64 */
	bool no_loop;	     /* cannot be switched to loopback */
	bool outer_rss;	     /* claims to hash inner headers, and refuses it at configuration */
	bool careless;	     /* its driver's check takes everything */
	bool talk;	     /* tell of rules on stderr */
	const struct member_ops *below;
};

/* What devices opened from now on are like. */
extern struct emunic_config emunic_config;
/* "tso,tx-csum,rx-csum,rss,flow,flow-gre,chains,all", to bits. Unknown words: -EINVAL. */
int emunic_parse(const char *words, unsigned int *ret);

extern const struct member_ops emunic_ops;

/* What a device has done, for tests. */
struct emunic_stats {
	unsigned int tso, csum, refused, plain, rules, matched, looped;
	unsigned int queue[16]; /* frames received, by queue */
};
const struct emunic_stats *emunic_stats(const struct member_dev *d);

#endif
