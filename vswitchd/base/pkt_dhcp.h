/* SPDX-License-Identifier: BSD-3-Clause */
/* DHCP as far as it says who has which address: RFC 2131, RFC 8415. Part of what base/pkt.h promises. */
#ifndef BASE_PKT_DHCP_H
#define BASE_PKT_DHCP_H

#include "base/pkt.h"

#define DHCP4_CLIENT 68
#define DHCP4_SERVER 67
#define DHCP6_CLIENT 546
#define DHCP6_SERVER 547

#define DHCP_ADDRESSES 8 /* of one message; more are not looked at */

enum dhcp_what {
	DHCP_ASKS, /* DHCPDISCOVER, DHCPREQUEST; Solicit, Request, Renew, Rebind, Confirm */
	DHCP_GIVES, /* DHCPACK with an address; Reply */
};

struct dhcp_msg {
	uint8_t what; /* enum dhcp_what */
	uint32_t xid; /* host order; 24 bits in DHCPv6 */
	struct mac client; /* DHCPv4: chaddr; DHCPv6: zero, the frame's own addresses have to do */
	unsigned int n;
	struct ip_addr addresses[DHCP_ADDRESSES]; /* GIVES: those with a lease that lasts */
};

/* UDP to this port (host order) over the family, with its port numbers in reach; not a later fragment. Any thread. */
static inline bool pkt_is_udp_to(const uint8_t *data, const struct pkt_info *info, uint8_t kind, uint16_t port)
{
	return info->proto == IPPROTO_UDP_ && info->kind == kind && (info->flags & PKT_F_L4) &&
	       load_be16(data + info->l4_off + 2) == port;
}

/* Could it be from a DHCP server to a client? For a quick look at every packet. Any thread. */
static inline bool pkt_is_dhcp_answer(const uint8_t *data, const struct pkt_info *info)
{
	return __builtin_expect(info->proto == IPPROTO_UDP_, 0) &&
	       (pkt_is_udp_to(data, info, PKT_IPV4, DHCP4_CLIENT) || pkt_is_udp_to(data, info, PKT_IPV6, DHCP6_CLIENT));
}

/*
 * Read a DHCP message that lies whole in the first segment.
 * @param data, info as pkt_parse() had and filled them. @param len contiguous bytes at data.
 * @return true and *ret filled; false: not DHCP, malformed, a fragment, or nothing of the above. Pure, any thread.
 */
bool pkt_dhcp(const uint8_t *data, uint32_t len, const struct pkt_info *info, struct dhcp_msg *ret);

/*
 * A reverse ARP request for the sender's own address (RFC 903), as hypervisors send it for a guest that has moved.
 * @param len contiguous bytes at data. @return the MAC (mac_load() form), or 0. Pure, any thread.
 */
uint64_t pkt_rarp_mac(const uint8_t *data, uint32_t len, const struct pkt_info *info);

#endif
