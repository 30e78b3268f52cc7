/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames that teamwatch sends. Each function writes a whole frame with its 802.1Q tag (vlan 0: none) and
 * returns its length.
 */
#ifndef TEAMING_FRAMES_H
#define TEAMING_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/pkt.h"
#include "base/wire.h"

#define TW_FRAME_MIN	60
#define TW_FRAME_FIXED_MAX 128 /* the longest of all but echo */

#define ARP_REQUEST 1
#define ARP_REPLY   2
#define RARP_REQUEST 3
#define ND_NS	    135
#define ND_NA	    136
#define NA_SOLICITED 0x40000000u
#define NA_OVERRIDE  0x20000000u

/* Who speaks. */
struct tw_frame_from {
	struct mac mac;
	uint16_t vlan;
	struct ip_addr address; /* in a probe: unset */
};

/* RFC 826. to NULL: broadcast. @param target_mac NULL: zeros. */
uint32_t tw_frame_arp(uint8_t *buf, uint16_t op, const struct tw_frame_from *from, const struct mac *to,
		   const struct ip_addr *target, const struct mac *target_mac);

/*
 * RFC 4861 4.3. to NULL: the target's solicited-node group; else unicast. An unset from->address is ::, the
 * form of duplicate address detection (RFC 4862 5.4.2): no source link-layer address then.
 */
uint32_t tw_frame_ns(uint8_t *buf, const struct tw_frame_from *from, const struct mac *to,
		     const struct ip_addr *target);

/* RFC 4861 4.4 for from->address. to NULL: all nodes. @param flags NA_*. */
uint32_t tw_frame_na(uint8_t *buf, const struct tw_frame_from *from, const struct mac *to,
		     const struct ip_addr *to_address, uint32_t flags);

/* RFC 903 request, which only makes switches learn a MAC. */
uint32_t tw_frame_rarp(uint8_t *buf, const struct mac *mac);

enum tw_report { REPORT_IS, REPORT_JOIN, REPORT_LEAVE };

/*
 * Membership of one group. @param from->address unset: from 0.0.0.0; MLD is sent from the MAC's link-local address.
 * @param old the querier speaks IGMPv2 (RFC 2236) or MLDv1 (RFC 2710), else IGMPv3 and MLDv2 (RFC 3376, RFC 3810).
 */
uint32_t tw_frame_igmp(uint8_t *buf, const struct tw_frame_from *from, const struct ip_addr *group, enum tw_report what,
		       bool old);
uint32_t tw_frame_mld(uint8_t *buf, const struct tw_frame_from *from, const struct ip_addr *group, enum tw_report what,
		      bool old);

/*
 * Answer to an echo request (RFC 792, RFC 4443): `data`, parsed as `info`, from our side. The caller has
 * checked that it is one.
 * @return the length, 0 when the request is malformed, has a wrong checksum or does not fit.
 */
uint32_t tw_frame_echo_reply(uint8_t *buf, uint32_t size, const uint8_t *data, uint32_t len,
			     const struct pkt_info *info);

/*
 * Echo request. @param buf of 18 + size bytes. @param size of the IP packet, at least its headers' and ICMP's.
 * @param df IPv4: not to be fragmented.
 */
uint32_t tw_frame_echo_request(uint8_t *buf, const struct tw_frame_from *from, const struct mac *to_mac,
			       const struct ip_addr *to, uint16_t id, uint16_t sequence, uint32_t size, bool df);

#endif
