/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keeps the kernel's copy of NVGRE away from its IP stack, where the stack would take it: an AF_PACKET member receives
 * a copy of each frame, and when a provider address has the netdev's own MAC address, the kernel is an addressee of the
 * other one. It would answer with ICMP, decapsulate a second time, or route it on. A filter at tc's ingress, which lies
 * behind packet sockets, drops IPv4 and IPv6 packets of protocol 47 to those addresses and nothing else.
 */
#ifndef TEAMING_TC_DROP_H
#define TEAMING_TC_DROP_H

#include "base/object.h"

/* Preference and handle of the filter: what is found under them is ours, or was of a vswitchd that was killed. */
#define TW_TC_PREF   0x4e56
#define TW_TC_HANDLE 0x7673

struct tw_tc_pa {
	struct ip_addr address;
	uint16_t vlan; /* 0: untagged */
};

/* Filter of one netdev. Zeroed at first. No locks: the caller holds teaming's mutex. */
struct tw_tc_drop {
	uint32_t if_index; /* 0: nothing is known of any netdev */
	bool made_qdisc;   /* clsact is ours: goes with the filter, if nobody else has put anything there */
	unsigned int n;	   /* addresses asked for last; 0: no filter */
	struct tw_tc_pa pas[LOCAL_PAS];
};

/*
 * Have the filter for these addresses on a netdev, replacing at once what is there; with none, or another netdev than
 * before, the old one is removed. Does nothing when nothing changed. A few netlink requests; needs CAP_NET_ADMIN.
 * @param if_index 0: none. @return 0, or -errno: there is no filter; the same request is not tried again.
 */
int tw_tc_drop_set(struct tw_tc_drop *d, uint32_t if_index, const struct tw_tc_pa *pas, unsigned int n);

struct teaming;
/* Bring the filters of all members in line with devices, addresses and MACs; failures become alarms. */
void tw_tc_drop_sync(struct teaming *t);

#endif
