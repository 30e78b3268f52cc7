/* SPDX-License-Identifier: BSD-3-Clause */
/* member_ops on DPDK's ethdev: AF_PACKET and AF_XDP on a netdev, or any device by devargs. */
#ifndef TEAMING_ETHDEV_H
#define TEAMING_ETHDEV_H

#include "base/member_ops.h"

/*
 * open() looks whether the device exists; devices on a netdev are made in configure(), which knows queues
 * and buffers. info() is complete after configure().
 */
extern const struct member_ops tw_ethdev_ops;

#endif
