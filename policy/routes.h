/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to routes.c and route_lists.c. */
#ifndef POLICY_ROUTES_H
#define POLICY_ROUTES_H

#include "policy/policy_private.h"

/* Slot in table route of a prefix (no host bits), or TABLE_NONE. */
uint32_t route_slot(const struct policy *p, uint32_t rdid, const struct ip_prefix *net);
/* First route of exactly this prefix, or REC_NONE. */
uint32_t route_head(const struct policy *p, uint32_t rdid, const struct ip_prefix *net);
/* Put a copy into the list of its prefix, after route_reserve(). @return its index. */
uint32_t route_add(struct policy *p, const struct route *r);
void route_unlink(struct policy *p, uint32_t i);

#endif
