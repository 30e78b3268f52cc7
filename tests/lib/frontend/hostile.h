/* SPDX-License-Identifier: BSD-3-Clause */
/* Scripts that break the rules, to see what a back-end makes of it. Everything random comes from one seed. */
#ifndef TESTS_LIB_FRONTEND_HOSTILE_H
#define TESTS_LIB_FRONTEND_HOSTILE_H

#include "pace.h"
#include "peer.h"

#include <stdio.h>

enum hostile_kind {
	HOSTILE_RING,	 /* wrong rings, after a right handshake; attack runs on the worker */
	HOSTILE_MESSAGE, /* wrong messages, instead of the handshake; attack runs on the control thread */
	HOSTILE_LIVE, /* right messages at the wrong moment: attack on the control thread while frames flow */
};

struct hostile {
	struct peer_port *port;
	const struct hostile_script *script;
	uint64_t random_frames; /* of frames sent by the worker while the control thread attacks */
	uint64_t random;	/* state of the generator */
	struct pace pace;	/* attacks */
	uint64_t in_round;	/* attacks on this connection */
	uint64_t connections;
	uint64_t answers;     /* messages the back-end answered, HOSTILE_MESSAGE */
	uint64_t closed;      /* connections the back-end closed first, HOSTILE_MESSAGE */
	uint64_t frames;      /* good frames sent */
	uint64_t next_frames; /* HOSTILE_LIVE: when to send more of them, ns */
	uint64_t acting;      /* atomic: an act() is under way */
	uint16_t slot;	      /* next buffer and descriptor of the ring */
	uint32_t posted;      /* descriptors since the rings are fresh */
	bool told;
	bool restarting;
};

struct hostile_script {
	const char *name;
	enum hostile_kind kind;
	bool dangerous; /* does what a hypervisor is trusted not to do */
	/* 0, -EAGAIN: nothing was done, on a fresh connection it can be; another -errno: done, and the
	 * connection is of no use any more */
	int (*attack)(struct hostile *h);
	const char *help;
};

/* ends with a NULL name */
extern const struct hostile_script hostile_ring_scripts[], hostile_message_scripts[], hostile_live_scripts[];

uint64_t hostile_random(struct hostile *h);
/* 0 .. n-1 */
uint32_t hostile_below(struct hostile *h, uint32_t n);

/* A right frame, of a random kind, into room (2048 bytes); its length. random: one of the two states. */
uint32_t hostile_frame(const struct hostile *h, uint64_t *random, uint8_t *room);
/* Post one right frame on the first tx queue, unless the ring is full. */
void hostile_send_good(struct hostile *h);

void hostile_help(FILE *out);

#endif
