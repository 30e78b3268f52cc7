/* SPDX-License-Identifier: BSD-3-Clause */
/* The frame of a test through ports: ICMP or ICMPv6 echo, then what marks it as ours. */
#ifndef DATAPATH_ECHO_H
#define DATAPATH_ECHO_H

#include <stdint.h>

#include "base/wire.h"

/* Behind the 8 bytes of the ICMP header: mark, who wrote it, nonce, then filling. */
#define ECHO_MAGIC	"vswitchd test:"
#define ECHO_MAGIC_LEN	14
#define ECHO_BY_SENDER	'q'
#define ECHO_BY_SWITCH	'a'
#define ECHO_NONCE_AT	(8 + ECHO_MAGIC_LEN + 2)
#define ECHO_BYTES	(ECHO_NONCE_AT + 8) /* from the ICMP header on: the shortest */
#define ECHO_TTL	64

/* In watch_record.flags of a test's record. */
#define ECHO_REQUEST  0x01 /* else the answer */
#define ECHO_ANSWERED 0x02 /* written by the switch at the receiver's port: not by its guest */

struct echo_frame {
	struct mac dst, src;
	struct ip_addr from, to; /* of one family */
	uint16_t sequence;
	uint64_t nonce;
	uint32_t size; /* of the IP packet */
};

/* Bytes of the shortest IP packet of a family, 4 or 6. */
uint32_t echo_size_min(uint8_t family);

/*
 * Write the request. @param buf of 14 + size bytes. @return bytes written, 0: size is too small. Any thread.
 */
uint32_t echo_write(const struct echo_frame *f, uint8_t *buf);

/* Make the checksums of an echo right. Offsets from `data`; the packet ends at l3_end. */
void echo_checksums(uint8_t *data, uint32_t l3_off, uint32_t l4_off, uint32_t l3_end);

#endif
