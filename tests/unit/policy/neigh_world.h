/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small virtual subnet for tests of the proxy, made twice: neigh_world.c stands in for the lookups, so that
 * neigh.c is tested alone; neigh_world_real.c sets it up in a real policy. Who is who, in both families:
 *
 *	A	10.0.0.10  fd00::a   fe80::a	MAC_A, on the port under test, which also has MAC_A2
 *	A2	10.0.0.20  fd00::14		MAC_A2, the same port
 *	B	10.0.0.11  fd00::b   fe80::b	MAC_B, another local port
 *	R	10.0.0.12  fd00::c		MAC_R, on another host
 *	P	10.0.0.40  fd00::28		no record; in the port's list of allowed addresses, if any
 *	U	10.0.0.99  fd00::63		nobody
 *	GW	10.0.0.1   fd00::1   fe80::1	the subnet's gateways; 10.1.0.1 is a second one
 *	FAR	192.168.9.9  2001:db8::9	nobody, and outside the subnet
 *	MAC_W	a gateway-wildcard record on the port under test
 */
#ifndef TESTS_UNIT_NEIGH_WORLD_H
#define TESTS_UNIT_NEIGH_WORLD_H

#include "policy/policy.h"

enum mac_name { MAC_NONE, MAC_A, MAC_A2, MAC_W, MAC_B, MAC_R, MAC_X, MAC_GW, MAC_GROUP, MAC_BCAST };
enum ca_name {
	CA_ANY, /* 0.0.0.0, :: */
	CA_A, CA_A2, CA_B, CA_R, CA_P, CA_U, CA_GW, CA_GW2, CA_A_LL, CA_B_LL, CA_U_LL, CA_GW_LL, CA_FAR,
	CA_LOOP, CA_GROUP, CA_BCAST, /* nobody can have these */
};

#define WORLD_VSID 5001u

struct world {
	const struct policy *policy;
	const struct policy_port *port; /* under test */
	const struct policy_subnet *subnet;
};

/*
 * The subnet learns or is static-only; the port has a list of allowed addresses or not. EAL and RCU are up.
 */
struct world world_get(bool learning, bool listed);
void world_free(void);

const uint8_t *world_mac(enum mac_name name);
/* The address in a family; family 0 if there is none of the name. */
struct ip_addr world_ca(enum ca_name name, uint8_t family);

#endif
