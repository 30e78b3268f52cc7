/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Private to policy/: the routing decision for one destination, shared by the packet path and the next-hop
 * query.
 */
#ifndef POLICY_ROUTER_H
#define POLICY_ROUTER_H

#include "policy/policy_private.h"

/* Where a packet is routed to; or why not. */
struct hop {
	enum drop_reason drop; /* DROP_NONE: the rest is valid */
	bool gateway;	       /* the destination is a gateway address: for us */
	bool foreign; /* through a next hop: the target's MAC must be one that takes foreign addresses */
	uint32_t record;
	union record_place place;
	const struct policy_subnet *out;
	const struct route *route;
};

/*
 * Decide by everything there is: all lengths, all metrics. Worker or main.
 * @param s    subnet of the sender. @param dst CA.
 * @param wild the sender's MAC is a gateway-wildcard: routes through such MACs are not for it (HNV row 3).
 */
void route_decide(const struct policy *p, const struct policy_subnet *s, const struct ip_addr *dst, bool wild,
		  struct hop *ret);

/* ---- steps of it ---- */

/* Longest prefix length in use at most `max`; -1: none left. */
int route_longest(const struct rdid_lens *l, uint8_t family, int max);
/* Key in table route of the prefix of this length that dst lies in. */
uint64_t route_key_of(const struct policy *p, uint32_t rdid, const struct ip_addr *dst, unsigned int len);
/*
 * The route that a value of table route stands for. IPv6 keys are hashes: the route has the last word, NULL
 * if not.
 */
const struct route *route_verified(const struct policy *p, uint32_t head, uint32_t rdid,
				   const struct ip_addr *dst, unsigned int len);
/* May s use the route? With use-external-router our own routing ends at the subnet; next hops do the rest. */
bool route_candidate(const struct policy *p, const struct policy_subnet *s, const struct route *r);
bool record_usable(const struct policy *p, union record_place place);

#endif
