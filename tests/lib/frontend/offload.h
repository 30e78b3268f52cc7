/* SPDX-License-Identifier: BSD-3-Clause */
/* What a guest leaves to the device. */
#ifndef TESTS_LIB_FRONTEND_OFFLOAD_H
#define TESTS_LIB_FRONTEND_OFFLOAD_H

#include "queue.h"

/* Leave the TCP or UDP checksum of a whole frame to the device (VIRTIO_NET_HDR_F_NEEDS_CSUM): its field gets the
 * pseudo-header's sum, the virtio header says the rest. Unfragmented IPv4, and IPv6 without extension headers,
 * untagged; other frames stay as they are. The frame's bytes must be writable. */
void offload_checksum(struct vhu_frame *f);

/* Leave it to the device to cut a TCP frame of offload_checksum() into segments of mss bytes, if it has more. */
void offload_segment(struct vhu_frame *f, uint16_t mss);

#endif
