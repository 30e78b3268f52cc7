/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts of the parser; only pkt*.c. */
#ifndef BASE_PKT_PRIVATE_H
#define BASE_PKT_PRIVATE_H

#include "base/pkt.h"

/* A frame on its way through the parser: what may be read, and what was found so far. */
struct parse {
	const uint8_t *data;
	uint32_t len;	/* readable bytes */
	uint32_t total; /* of the whole frame */
	struct pkt_info info;
};

/* l3_off is set and everything before it checked. */
enum drop_reason parse_ip6(struct parse *p);

/* An unfragmented ICMPv6 message of type 133..137 at l4_off, of which at least one byte can be read. */
enum drop_reason parse_nd(struct parse *p);

/* Set PKT_F_L4 if proto is known and its header lies inside. */
void parse_l4(struct parse *p);

#endif
