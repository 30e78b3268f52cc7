/* SPDX-License-Identifier: BSD-3-Clause */
/* A tap device in a network namespace. */
#ifndef TESTS_LIB_FRONTEND_TAP_H
#define TESTS_LIB_FRONTEND_TAP_H

#include <stdbool.h>
#include <stdint.h>

struct tap_config {
	const char *name;   /* of the device */
	const char *netns;  /* name under /run/netns, path, or NULL for the caller's */
	const uint8_t *mac; /* 6 bytes or NULL */
	unsigned int queues;
	uint16_t mtu; /* 0: leave it */
};

/* Make the device, bring it up, and open its queues: non-blocking descriptors, frames behind a virtio
 * header. Runs in a thread of its own, the caller's namespace stays. The device goes with the last
 * descriptor. 0 or -errno. */
int tap_open(const struct tap_config *cfg, int *ret_fds);

/* Length of the virtio header, and what the guest leaves to the device. 0 or -errno. */
int tap_set_offload(int fd, int hdr_len, bool csum, bool tso4, bool tso6, bool ecn);

/* Whether the kernel sends on this queue of a device with several. 0 or -errno. */
int tap_set_queue(int fd, bool attached);

#endif
