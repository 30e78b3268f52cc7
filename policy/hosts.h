/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to hosts.c and host_pas.c. */
#ifndef POLICY_HOSTS_H
#define POLICY_HOSTS_H

#include "policy/policy_private.h"

static inline struct host_pub *host_pub_of(const struct policy *p, uint16_t host)
{
	return (struct host_pub *)(uintptr_t)p->hosts[host];
}

/* Index of a PA in the published list, or PA_ANY. Any thread. */
uint8_t host_pa_index(const struct policy_host *h, const struct ip_addr *a);

/*
 * Fill pa_of_flow by weight; a slot keeps its PA across changes of the list if that one's share allows it.
 * @param was the host as published now, or NULL.
 */
void host_spread_flows(struct policy_host *h, const struct policy_host *was);

/* Is one of the addresses another host's? @return 0, -EEXIST. */
int host_check_pas(const struct policy *p, const struct host_spec *s, struct errbuf *err);

/*
 * Entries of table pa for addresses that only `was` or only `now` (each may be NULL) has. Room is reserved.
 */
void host_remove_pas(struct policy *p, const struct host_spec *was, const struct host_spec *now);
void host_add_pas(struct policy *p, const struct host_spec *was, const struct host_spec *now, uint16_t host);

#endif
