/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A TAP netdev that stands for a device without netdev (vfio), so that teamd can have it as a port: its carrier is the
 * device's link, what the kernel sends by it leaves by the device, and what the device receives for the kernel comes in
 * by it: frames to link-local groups (slow protocols, LLDP, 802.1X), to the TAP's own MAC, and to any other group.
 * NVGRE never does.
 *
 * teamwatch carries the frames, between the TAP and the punt rings. Link-local frames have a ring of their own and no
 * limit, so neither other traffic nor a busy worker costs the team its LACPDUs; the rest is limited in rate.
 */
#ifndef TEAMING_RELAY_H
#define TEAMING_RELAY_H

#include <net/if.h>

#include "base/errs.h"
#include "base/tick.h"
#include "base/wire.h"

#define TW_RELAY_PPS 10000 /* each way, of frames that are not link-local */

struct tw_relay {
	char name[IFNAMSIZ];
	int fd;
	struct mac mac;	   /* the TAP's now: a team gives all its ports one */
	int carrier;	   /* as set last, -1: not yet */
	uint32_t speed;	   /* Mbit/s, as set last */
	struct rate rate[2]; /* inward, outward; counted in ns */
};

/* 01:80:c2:00:00:00..0f: never forwarded by a switch (IEEE 802.1Q 8.6.3), so meant for whoever is at this end. */
static inline bool tw_is_link_local(const uint8_t *frame)
{
	return load_be32(frame) == 0x0180c200 && frame[4] == 0 && frame[5] <= 0x0f;
}

/*
 * Make the TAP, or take one that is there and free (then it stays when it is closed here). Carrier is off.
 * @param mac of the device: becomes the TAP's, unless the TAP is a port already: then it is the team's business.
 * @param ret freed by tw_relay_close(). @return 0 or -errno with a reason (-EBUSY: taken; -EINVAL: no TAP; -EPERM).
 */
int tw_relay_open(const char *name, const struct mac *mac, struct tw_relay **ret, struct errbuf *err);
void tw_relay_close(struct tw_relay *r);

/* Link and speed of the device; only differences reach the kernel. */
void tw_relay_link(struct tw_relay *r, bool up, uint32_t speed);

/*
 * May this frame pass, inward or outward? Takes from the rate limit. @param now ns. Pure but for that.
 */
bool tw_relay_passes(struct tw_relay *r, bool inward, const uint8_t *frame, uint32_t len, uint64_t now);

/* ---- members; teamwatch under teaming's mutex ---- */

struct teaming;
struct provider_port;
/* What came by the member: to the TAP, if it is for it. */
void tw_relay_inward(struct teaming *t, unsigned int member, const uint8_t *frame, uint32_t len);
/* The TAP is readable. */
void tw_relay_outward(struct teaming *t, unsigned int member);
/* The member's link may be another. */
void tw_relay_follow(struct teaming *t, unsigned int member, const struct provider_port *port);
/* Close those of members that are gone or have another now; tell workers which frames are wanted. */
void tw_relays_sync(struct teaming *t);

#endif
