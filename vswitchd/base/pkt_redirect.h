/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * REDIRECT and UNREACHABLE of MS-NVGREE (v20220920): what a host that gets packets for a guest that is not there tells
 * their sender. Both are NVGRE packets whose inner frame is an ICMP message from host to host.
 *
 *                        ICMP (inner IPv4)   ICMPv6
 *   REDIRECT 2.2.1       type 5 code 10      type 137 code 1    inner destination: provider address of the new host
 *   UNREACHABLE 2.2.2    type 3 code 10      type 1 code 1      policy has to be refreshed
 *
 * The inner source is a provider address of the host that speaks; the VSID is the packet's that it is about. The
 * specification shows ICMP_Data after four bytes of ICMP header; RFC 792 and RFC 4443, which it refers to, have eight.
 * We send eight (the last four are the new address in a REDIRECT over IPv4, as in RFC 792) and read both. It wants a
 * copy of the whole IP header and eight bytes, and of GRE, the inner Ethernet and the inner IP header: we quote the
 * packet from its outer IP header on, and read quotes that begin there or with GRE.
 */
#ifndef BASE_PKT_REDIRECT_H
#define BASE_PKT_REDIRECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/drop.h"
#include "base/wire.h"

enum redirect_kind {
	REDIRECT_NONE,	  /* some other frame */
	REDIRECT_MOVED,	  /* REDIRECT: the guest is at another host now */
	REDIRECT_UNKNOWN, /* UNREACHABLE: nothing is known of the guest */
};

#define REDIRECT_QUOTE 512 /* bytes of a packet that are quoted at most */
#define REDIRECT_MAX   (ETH_HLEN_ + sizeof(struct ipv6_hdr) + sizeof(struct icmp_hdr) + REDIRECT_QUOTE)

struct redirect_msg {
	uint8_t kind;	       /* enum redirect_kind */
	struct mac to_mac, from_mac; /* of the frame */
	struct ip_addr from;   /* provider address of the host that speaks */
	struct ip_addr target; /* MOVED: provider address of the host that has the guest; of the same family */
	/* The packet that it is about. */
	struct ip_addr outer_src, outer_dst; /* unset: not quoted */
	uint32_t vsid;
	struct mac dst, src; /* of its inner frame */
};

/*
 * Is the frame by its types such a message? Cheap; nothing else is looked at. @param data  `len` bytes can be read.
 * @param ret_from the inner source. Any thread.
 */
enum redirect_kind redirect_kind(const uint8_t *data, uint32_t len, struct ip_addr *ret_from);

/*
 * Read one. Nothing is read beyond `len` contiguous bytes; the message has to lie in them as a whole, without IPv4
 * fragments or IPv6 extension headers, and its ICMP checksum has to be right.
 * @return DROP_NONE with *ret filled, kind REDIRECT_NONE for other frames; DROP_REDIRECT_BAD. Any thread.
 */
enum drop_reason redirect_read(const uint8_t *data, uint32_t len, struct redirect_msg *ret);

/*
 * Write one: the frame alone. @param msg  kind, MACs, from and target (UNKNOWN: whom it is for), of one family.
 * @param quote the packet from its outer IP header on, of which REDIRECT_QUOTE bytes are used.
 * @param ret REDIRECT_MAX bytes. @return length; 0: the families differ. Any thread.
 */
uint32_t redirect_write(const struct redirect_msg *msg, const uint8_t *quote, uint32_t len, uint8_t *ret);

#endif
