/* SPDX-License-Identifier: BSD-3-Clause */
#include "neigh_world.h"

/* clang-format off */
#define M(last) { { 2, 0, 0, 0, 0, (last) } }
#define V4(d)	{ 4, { 10, 0, 0, (d) } }
#define ULA(d)	{ 6, { 0xfd, [15] = (d) } }
#define LL(d)	{ 6, { 0xfe, 0x80, [15] = (d) } }
/* clang-format on */

static const struct mac macs[] = {
	[MAC_A] = M(0xa),
	[MAC_A2] = M(0x14),
	[MAC_W] = M(0x1e),
	[MAC_B] = M(0xb),
	[MAC_R] = M(0xc),
	[MAC_X] = M(0x66),
	[MAC_GW] = { { 0, 0x15, 0x5d, 0xff, 0xff, 1 } },
	[MAC_GROUP] = { { 0x33, 0x33, 0xff, 0, 0, 1 } },
	[MAC_BCAST] = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } },
};

static const struct ip_addr cas[][2] = {
	[CA_ANY] = { { 4, { 0 } }, { 6, { 0 } } },
	[CA_A] = { V4(10), ULA(0xa) },
	[CA_A2] = { V4(20), ULA(0x14) },
	[CA_B] = { V4(11), ULA(0xb) },
	[CA_R] = { V4(12), ULA(0xc) },
	[CA_P] = { V4(40), ULA(0x28) },
	[CA_U] = { V4(99), ULA(0x63) },
	[CA_GW] = { V4(1), ULA(1) },
	[CA_GW2] = { { 4, { 10, 1, 0, 1 } } },
	[CA_A_LL] = { { 0 }, LL(0xa) },
	[CA_B_LL] = { { 0 }, LL(0xb) },
	[CA_U_LL] = { { 0 }, LL(0x63) },
	[CA_GW_LL] = { { 0 }, LL(1) },
	[CA_FAR] = { { 4, { 192, 168, 9, 9 } }, { 6, { 0x20, 1, 0xd, 0xb8, [15] = 9 } } },
	[CA_LOOP] = { { 4, { 127, 0, 0, 1 } }, { 6, { [15] = 1 } } },
	[CA_GROUP] = { { 4, { 224, 0, 0, 1 } }, { 6, { 0xff, 2, [15] = 1 } } },
	[CA_BCAST] = { { 4, { 255, 255, 255, 255 } } },
};

const uint8_t *world_mac(enum mac_name name)
{
	return macs[name].b;
}

struct ip_addr world_ca(enum ca_name name, uint8_t family)
{
	return cas[name][family == 6];
}
