/* SPDX-License-Identifier: BSD-3-Clause */
/* The provider addresses to which tests send NVGRE: two per family, the first two under one MAC. */
#ifndef TESTS_UNIT_NVGRE_PAS_H
#define TESTS_UNIT_NVGRE_PAS_H

#include <stdbool.h>
#include <string.h>

#include "base/encap_ops.h"

#define TEST_VLAN 0x123
#define N_LOCALS  4u /* v4, v6, second v4, second v6 */

static const uint8_t pa_mac[2][6] = { { 2, 0xaa, 0, 0, 0, 1 }, { 2, 0xaa, 0, 0, 0, 2 } };
static const uint8_t pa6[2][16] = { { 0x20, 1, 0xd, 0xb8, [15] = 1 }, { 0x20, 1, 0xd, 0xb8, [15] = 2 } };
static const uint8_t pa4[2][4] = { { 192, 0, 2, 1 }, { 192, 0, 2, 2 } };

static inline void nvgre_locals(bool tagged, struct encap_local l[N_LOCALS])
{
	memset(l, 0, N_LOCALS * sizeof(*l));
	for (unsigned int i = 0; i < N_LOCALS; i++) {
		l[i].address = i & 1 ? ip6_from(pa6[i / 2]) : ip4_from(pa4[i / 2]);
		memcpy(&l[i].mac, pa_mac[i / 2], 6);
		l[i].vlan = tagged ? TEST_VLAN : 0;
		l[i].pa = (uint8_t)i;
	}
}

#endif
