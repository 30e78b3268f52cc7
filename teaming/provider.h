/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who knows the members' links. A provider watches netdevs and says for each member whether its netdev is
 * there, whether its link is up and whether it may carry data; which member a packet takes is decided above
 * it.
 *
 * Kinds: `static` (rtnetlink; members are those of the configuration), `libteam` (the members are the ports of a team
 * device, which teamd keeps; libteam and rtnetlink). A bond plugs in by the same table. All calls are made under
 * teaming's mutex, mostly on teamwatch; none may block for longer than a netlink request to the kernel takes.
 */
#ifndef TEAMING_PROVIDER_H
#define TEAMING_PROVIDER_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/errs.h"
#include "base/object.h"

/* Snapshot of one member. Providers compare with nothing: the receiver does. */
struct provider_port {
	uint32_t if_index; /* 0: no netdev at present; all else is then 0 */
	char name[IFNAMSIZ];
	bool admin_up;	   /* IFF_UP */
	bool link;	   /* carrier, and operationally up as far as that is known */
	bool enabled;	   /* may carry data by the team's protocol (LACP...); static: always */
	uint32_t speed;	   /* Mbit/s; 0 unknown */
	uint16_t mtu;
	struct mac mac;
	const char *why;   /* static text: why not enabled; NULL: nothing to say */
};

struct provider_config {
	const char *device; /* team device; NULL or "": none */
	const char *runner; /* of the team, where it cannot be asked for; NULL or "": ask */
	uint8_t mode;	    /* enum team_mode, as configured */
	bool spread_all;    /* ports that only stand by carry data, too */
	uint32_t grace_ms;  /* a team device that vanished is waited for, what it said last is valid for so long */
	/* For tests, else NULL. */
	const struct tw_libteam_ops *libteam;
	const char *teamd_dir;
	const char *kind; /* of the device instead of "team" */
};

struct provider;
struct teaming_lacp;
struct teaming_status;

struct provider_ops {
	const char *name;

	/*
	 * Start watching; the first snapshots are complete when it returns (or it took too long). @return 0 or -errno
	 * with a reason. What config points to is copied.
	 */
	int (*create)(const struct provider_config *config, struct provider **ret, struct errbuf *err);
	void (*free)(struct provider *p);

	/* For epoll: readable when handle() has something to do. */
	int (*fd)(const struct provider *p);

	/*
	 * Take in what has happened since; never waits for more. @return 0, or -errno when the provider is
	 * not able to go on (the snapshots stay as they are; it is called again).
	 */
	int (*handle)(struct provider *p);

	/*
	 * Follow a member. @param name of its netdev; NULL or "": only by index. @param if_index that the
	 * opened device reported, 0: not open. A member whose netdev was found stays with it through renames
	 * until it is deleted.
	 */
	void (*follow)(struct provider *p, unsigned int member, const char *name, uint32_t if_index);
	void (*forget)(struct provider *p, unsigned int member);

	/* State of a followed member now. */
	void (*port)(struct provider *p, unsigned int member, struct provider_port *ret);

	/* The next three are NULL where the members are those of the configuration and nobody else knows anything. */

	/* Who is a member: names, at most TEAM_MEMBERS, in an order that does not change. */
	unsigned int (*list)(struct provider *p, char ret[TEAM_MEMBERS][IFNAMSIZ]);
	/* All but `provider`; mode is the one that follows from configuration and runner. */
	void (*status)(struct provider *p, struct teaming_status *ret);
	/* What LACP says of a followed member; NULL: nothing. */
	const struct teaming_lacp *(*lacp)(struct provider *p, unsigned int member);
};

extern const struct provider_ops provider_static, provider_libteam;

#endif
