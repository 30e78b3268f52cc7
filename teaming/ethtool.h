/* SPDX-License-Identifier: BSD-3-Clause */
/* The few ethtool requests we need, on netdevs of the calling thread's network namespace. Control side. */
#ifndef TEAMING_ETHTOOL_H
#define TEAMING_ETHTOOL_H

#include <stdbool.h>
#include <stdint.h>

/* Speed in Mbit/s, 0 when unknown. */
uint32_t tw_ethtool_speed(const char *name);

/* Have a device that has no speed of its own (TAP) report this one, full duplex. @return 0 or -errno. */
int tw_ethtool_set_speed(const char *name, uint32_t speed);

/* Receive queues of the device, at least 1. */
unsigned int tw_ethtool_rx_queues(const char *name);

/*
 * Turn off that the kernel merges received frames (GRO, LRO): AF_PACKET sees frames after merging, and NVGRE
 * is merged too.
 * @return 0 or -errno.
 */
int tw_ethtool_no_merging(const char *name);

/* @return 1 up with a carrier, 0 not, -errno. */
int tw_netdev_running(const char *name);

/* @return MTU, or -errno. */
int tw_netdev_mtu(const char *name);

#endif
