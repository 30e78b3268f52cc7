/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one reader of ARP and neighbour discovery messages: both families in one form, and what such a message
 * claims about who owns which address. Used by the proxy (neigh.c) and by whoever learns addresses.
 */
#ifndef POLICY_NEIGH_MSG_H
#define POLICY_NEIGH_MSG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/pkt.h"
#include "base/wire.h"

enum neigh_op {
	NEIGH_REQUEST, /* ARP request, neighbour solicitation */
	NEIGH_REPLY,   /* ARP reply, neighbour advertisement */
	NEIGH_RS,
	NEIGH_RA,
	NEIGH_REDIRECT,
};

struct neigh_msg {
	uint8_t op; /* enum neigh_op */
	bool v6;
	bool group;		   /* sent to a broadcast or multicast MAC */
	bool foreign;		   /* SHA or some link-layer address option is not the Ethernet source */
	uint64_t eth_src, eth_dst; /* mac_load() form */
	uint64_t link; /* MAC the message gives for itself: SHA; in ND the Ethernet source, see foreign */
	struct ip_addr sender; /* SPA, IPv6 source; 0.0.0.0 or :: in a probe */
	struct ip_addr target; /* TPA (of a reply: SPA), ND target; unset in RS and RA */
};

/* Address conflict detection: RFC 5227 probe, RFC 4862 5.4 solicitation. */
static inline bool neigh_is_probe(const struct neigh_msg *msg)
{
	return msg->op == NEIGH_REQUEST && ip_is_any(&msg->sender);
}

/* RFC 5227 announcement in either form (gratuitous ARP), unsolicited advertisement. */
static inline bool neigh_is_announcement(const struct neigh_msg *msg)
{
	return msg->op == NEIGH_REPLY ? msg->group
				      : msg->op == NEIGH_REQUEST && ip_equal(&msg->sender, &msg->target);
}

/*
 * Read a message.
 * @param data first byte of the frame, @param info what pkt_parse() found: kind PKT_ARP or PKT_ND.
 * Pure, any thread. Sources: RFC 826, RFC 4861 4.1 to 4.5.
 */
void neigh_read(const uint8_t *data, const struct pkt_info *info, struct neigh_msg *ret);

enum neigh_claim_kind {
	NEIGH_CLAIM_USES,      /* sends with this address */
	NEIGH_CLAIM_ANNOUNCES, /* tells others unasked that it has this address: it may have moved here */
	NEIGH_CLAIM_WANTS,     /* probes whether the address is free: not its own yet */
};

/* An address that the sender of a message says is its own (or is about to be). */
struct neigh_claim {
	struct ip_addr ca;
	uint64_t mac; /* mac_load() form */
	uint8_t kind; /* enum neigh_claim_kind */
};

#define NEIGH_CLAIMS 2 /* an advertisement has a source address besides its target */

/*
 * What a message claims. @return number of claims in ret[], at most NEIGH_CLAIMS. Nothing is judged: an
 * address may be anything that fits the field. Pure, any thread. Sources: HNV 3.1, RFC 5227 1.1, RFC 4861
 * 7.2.
 */
unsigned int neigh_claims(const struct neigh_msg *msg, struct neigh_claim ret[NEIGH_CLAIMS]);

#endif
