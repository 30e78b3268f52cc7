/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest for tests of vhost/: the front-end library behind names of its own, since both sides call their
 * things vhu_*. Everything is used by the test's main thread. Functions that can fail do so by ending the
 * test.
 */
#ifndef TESTS_UNIT_VHOST_GUEST_H
#define TESTS_UNIT_VHOST_GUEST_H

#include <stdbool.h>
#include <stdint.h>

struct guest;

struct guest_options {
	const char *path;
	bool server; /* the guest owns the socket */
	unsigned int pairs;
	uint16_t size;
	uint32_t buf_len;
	bool packed, mergeable, indirect, event_idx, hdr_desc;
	bool large; /* takes unfinished checksums and TCP packets of up to 64 KiB */
	uint16_t mtu;
};

struct guest *guest_open(const struct guest_options *o);
void guest_close(struct guest *g);

/* Wait for a connection (at most 10 s); negotiate and start the rings (a start that fails: -errno). */
void guest_meet(struct guest *g);
int guest_try_start(struct guest *g);
void guest_start(struct guest *g);

void guest_start_without_size(struct guest *g); /* after guest_stop: all messages but SET_VRING_NUM */

void guest_stop(struct guest *g);  /* orderly, connection stays */
void guest_reset(struct guest *g); /* the driver loads again */
void guest_leave(struct guest *g); /* connection closed, rings stay */
void guest_wait_gone(struct guest *g); /* until the switch closes it */
void guest_enable(struct guest *g, unsigned int pairs);
void guest_rarp(struct guest *g);
void guest_replug(struct guest *g); /* memory table again while running */

/* Raw messages of hostile front-ends: -errno of the answer. */
int guest_send_state(struct guest *g, uint32_t request, uint32_t index, uint32_t num);
int guest_send_absurd_memory(struct guest *g);
void guest_block_call(struct guest *g); /* call descriptors that are full, and wait when written to */

/*
 * Send n frames of len bytes, numbered from `first` on: 14 bytes of Ethernet header, the number, and bytes
 * that follow from it. @return how many were taken.
 */
unsigned int guest_send(struct guest *g, unsigned int pair, unsigned int n, uint32_t first, uint32_t len);

/*
 * Take what has come, and check each frame for being as guest_send made it. Those numbered `first` .. first +
 * 2^28 - 1 have to come in ascending order, after *last (in and out); others are of an earlier time.
 * @return how many had such a number.
 */
unsigned int guest_receive(struct guest *g, unsigned int pair, uint32_t first, uint32_t *last);

/* A descriptor chain that no device can make sense of: address outside guest memory. */
void guest_send_garbage(struct guest *g, unsigned int pair);

/*
 * Of the last `sent` frames on a packed ring (not seen by any switch yet) mark the first `taken` as used, but
 * for the very first: what a switch killed in a burst leaves.
 */
void guest_tear(struct guest *g, unsigned int pair, unsigned int sent, unsigned int taken);

unsigned int guest_backend_pairs(const struct guest *g);
uint64_t guest_offered(const struct guest *g);
uint64_t guest_acked(const struct guest *g);
uint64_t guest_violations(const struct guest *g);
unsigned int guest_rx_posted(const struct guest *g, unsigned int pair);
/* Bad frames seen by guest_receive. */
uint64_t guest_bad_frames(const struct guest *g);

#endif
