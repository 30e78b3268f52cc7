/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DPDK's AF_PACKET driver also receives what this host sends by the netdev: LACPDUs of teamd, whatever the kernel
 * sends. PACKET_IGNORE_OUTGOING is no remedy, because the kernel does not look at it in a fan-out group, and the driver
 * always makes one.
 */
#ifndef TEAMING_PACKET_FILTER_H
#define TEAMING_PACKET_FILTER_H

#include <stdint.h>

/*
 * Have the packet sockets of this process that are bound to a netdev, and have no filter of their own, receive nothing
 * that the netdev sends. portctl thread.
 * @param if_index the netdev. @return how many sockets that were, or -errno.
 */
int tw_packet_refuse_outgoing(uint32_t if_index);

#endif
