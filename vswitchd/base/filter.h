/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which packets a capture or a trace is about: NAME=VALUE, all of them have to hold. One table of fields, as for
 * objects, drives parsing, errors, help and manual.
 */
#ifndef BASE_FILTER_H
#define BASE_FILTER_H

#include "base/object.h"

enum filter_hop { HOP_ANY, HOP_GUEST, HOP_WIRE, HOP_DROP };
enum filter_protocol { PROTO_ANY, PROTO_ARP, PROTO_ND, PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP, PROTO_UDP };

struct filter_spec {
	char port[ID_SIZE], member[ID_SIZE];
	uint8_t hop; /* enum filter_hop */
	uint32_t vsid;
	struct mac mac;
	struct ip_addr address, source, destination, provider_address;
	uint8_t protocol; /* enum filter_protocol */
	uint16_t port_number;
	char drop[32]; /* name of a reason, "any": all that is dropped; "": dropped or not */
};

extern const struct field filter_fields[];
extern const char *const filter_hop_names[], *const filter_protocol_names[];

/* What the table cannot say: is `drop` a reason? Pure. @return 0, -EINVAL. */
int filter_check(const struct filter_spec *f, struct errbuf *err);

#endif
