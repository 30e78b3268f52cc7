/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All links of the namespace by rtnetlink, kept in a table: what providers look devices up in. No locks: one thread at
 * a time (the providers', under teaming's mutex).
 */
#ifndef TEAMING_LINKS_H
#define TEAMING_LINKS_H

#include "teaming/provider.h"

struct tw_netdev {
	uint32_t if_index;
	uint32_t master; /* bridge, team or bond it is a port of, 0: none */
	char name[IFNAMSIZ];
	bool admin_up; /* IFF_UP */
	bool link;     /* admin_up, carrier, and operationally up as far as that is known */
	char kind[16]; /* of its driver, for devices made by software: "team"; else "" */
	bool seen;     /* by the dump that is running */
	bool speed_asked; /* since the link came up */
	uint32_t speed; /* Mbit/s */
	uint16_t mtu;
	struct mac mac;
};

struct tw_links;

/* The table is complete when it returns. @return 0 or -errno with a reason. */
int tw_links_open(struct tw_links **ret, struct errbuf *err);
void tw_links_close(struct tw_links *p);

/* For epoll: readable when tw_links_handle() has something to do. */
int tw_links_fd(const struct tw_links *p);
/* Take in what has happened; never waits for more. @return 0, or -errno: the table stays as it is. */
int tw_links_handle(struct tw_links *p);

/* NULL: there is none. Valid until the next tw_links_handle(). */
struct tw_netdev *tw_links_find(const struct tw_links *p, uint32_t if_index);
struct tw_netdev *tw_links_find_name(const struct tw_links *p, const char *name);

/* All of a member's snapshot but `enabled`. Asks ethtool for the speed once per link-up. */
void tw_links_port(struct tw_netdev *l, struct provider_port *ret);

#endif
