/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every way a packet can be lost, by name. The list is the only place a reason is declared: counters, CLI,
 * metrics and the table in the manual are generated from it. Names are stable: scripts use them.
 *
 * X(symbol, "name", "what it means and what to look at")
 */
#ifndef BASE_DROP_H
#define BASE_DROP_H

#include <stdint.h>

#define DROP_LIST(X) \
	X(NONE, "none", "not dropped (never counted)") \
	/* from the guest: metadata and headers */ \
	X(GUEST_META, "guest-meta", "virtio header or buffer chain contradicts the frame") \
	X(GUEST_RUNT, "guest-runt", "frame shorter than an Ethernet header") \
	X(GUEST_OVERSIZE, "guest-oversize", "frame longer than the port's MTU, and than 9216 bytes allow") \
	X(GUEST_SUM, "guest-sum", \
	  "checksum inside a guest's own tunnel, made too early: memory.mbuf-size has to hold the port's MTU + 14") \
	X(GUEST_VLAN, "guest-vlan", "802.1Q tag from a guest on a virtual subnet") \
	X(BAD_IP, "bad-ip", "IPv4 or IPv6 header malformed or truncated") \
	X(BAD_ARP, "bad-arp", "ARP packet malformed") \
	X(BAD_ND, "bad-nd", "neighbour discovery packet malformed (RFC 4861 7.1)") \
	/* from the guest: policy */ \
	X(SRC_MAC, "src-mac", "source MAC is not one of the port's") \
	X(SRC_IP, "src-ip", "source address is another's, or not allowed on the port") \
	X(SPOOF_ARP, "spoof-arp", "ARP or ND claims an address that belongs to another MAC") \
	X(DHCP_GUARD, "dhcp-guard", "a DHCP server's message from a port with dhcp-guard") \
	X(RA_GUARD, "ra-guard", "a router advertisement from a port with ra-guard") \
	X(NEIGH_ANSWER, "neigh-answer", "answer to a question of the switch itself: taken, not lost") \
	X(NO_SUBNET, "no-subnet", "the port's virtual subnet is not configured") \
	X(NO_RECORD, "no-record", "no lookup record for the destination in a subnet that does not learn") \
	X(RECORD_UNUSABLE, "record-unusable", "the lookup record's host or provider address is not usable") \
	X(NO_ROUTE, "no-route", "no customer route for the destination in the routing domain") \
	X(RDID, "rdid", "destination belongs to another routing domain") \
	X(TTL, "ttl", "TTL or hop limit ran out at the distributed router") \
	X(TOO_BIG, "too-big", "packet does not fit the provider MTU; the sender was told where possible") \
	X(FLOOD_LIMIT, "flood-limit", "rate limit of flooded frames exceeded") \
	X(NEIGH_LIMIT, "neigh-limit", "rate limit of ARP, ND and ICMP answers exceeded") \
	X(RESERVED_MAC, "reserved-mac", "link-local group address (802.1D) is not forwarded") \
	X(SPLIT_HORIZON, "split-horizon", "the only destination is where the frame came from") \
	X(NO_MEMBER_PORT, "no-destination", "flooded frame has no receiver") \
	/* to the wire */ \
	X(NO_NEIGHBOUR, "no-neighbour", "next hop toward the remote provider address is not resolved") \
	X(NO_MEMBER, "no-member", "no usable team member") \
	X(NO_PA, "no-pa", "no usable provider address of the needed family on this host") \
	X(NO_HEADROOM, "no-headroom", "no room for the outer header in the buffer") \
	X(MEMBER_TX, "member-tx", "team member's transmit ring is full or its link is down") \
	X(NO_MBUF, "no-mbuf", "packet buffer pool is empty") \
	/* from the wire: outer headers, RFC 7637 and HNV receiver rules */ \
	X(WIRE_OTHER, "wire-other", "frame on a member that is not for us (seen by the kernel as well)") \
	X(WIRE_RUNT, "wire-runt", "outer frame truncated") \
	X(OUTER_IP, "outer-ip", "outer IP header malformed, bad checksum or length") \
	X(OUTER_FRAGMENT, "outer-fragment", "outer packet is a fragment (RFC 7637 section 4)") \
	X(OUTER_VLAN, "outer-vlan", "outer VLAN is not the provider address's") \
	X(NOT_PA, "not-pa", "outer destination is not a provider address of this host") \
	X(NOT_HOME, "not-home", "provider address received on a member that is not its home") \
	X(FLOODED_COPY, "flooded-copy", "the switch flooded it to two members while its provider address moved") \
	X(GRE_VERSION, "gre-version", "GRE version is not 0") \
	X(GRE_NO_KEY, "gre-no-key", "GRE key bit not set") \
	X(GRE_CHECKSUM, "gre-checksum", "GRE checksum bit set") \
	X(GRE_SEQUENCE, "gre-sequence", "GRE sequence bit set") \
	X(GRE_RESERVED, "gre-reserved", "GRE reserved or routing bits set") \
	X(GRE_PROTOCOL, "gre-protocol", "GRE protocol type is not 0x6558") \
	X(VSID_RESERVED, "vsid-reserved", "VSID in the key is outside 4096..16777214") \
	X(VSID_UNKNOWN, "vsid-unknown", "VSID in the key is not configured on this host") \
	X(INNER_VLAN, "inner-vlan", "inner frame carries an 802.1Q tag") \
	X(INNER_RUNT, "inner-runt", "fewer than 14 bytes after the GRE header") \
	X(INNER_IP, "inner-ip", "inner IP header malformed or truncated") \
	X(SRC_PA_UNKNOWN, "src-pa-unknown", "outer source is no host's provider address") \
	X(SRC_PA_MISMATCH, "src-pa-mismatch", "outer source is not of the host of the inner source") \
	X(SRC_RECORD, "src-record", "no lookup record for the inner source") \
	X(NOT_LOCAL, "not-local", "inner destination has no port on this host") \
	X(REDIRECT_AGAIN, "redirect-again", "its guest has moved, but it was redirected once already, or came from " \
	  "there: hosts contradict each other") \
	X(REDIRECT_FAMILY, "redirect-family", "its guest has moved; sender and new host have no provider addresses " \
	  "of one family") \
	X(REDIRECT_TAKEN, "redirect-taken", "REDIRECT or UNREACHABLE of another host: taken, not lost") \
	X(REDIRECT_BAD, "redirect-bad", "REDIRECT or UNREACHABLE malformed, or without the packet it is about") \
	X(REDIRECT_REFUSED, "redirect-refused", "REDIRECT or UNREACHABLE that policy contradicts: forged, or late") \
	X(REDIRECT_LIMIT, "redirect-limit", "rate limit of REDIRECT and UNREACHABLE exceeded") \
	X(WORKER_FULL, "worker-full", "the worker that the flow chose did not take the frame in time (software-rss)") \
	/* to the guest */ \
	X(PORT_DOWN, "port-down", "destination port is not active") \
	X(PORT_FULL, "port-full", "guest's receive ring is full") \
	X(PORT_ISOLATION, "port-isolation", "VSID of the frame is not the port's") \
	X(PORT_MTU, "port-mtu", "frame does not fit the guest's receive buffers")

enum drop_reason {
#define X(sym, name, text) DROP_##sym,
	DROP_LIST(X)
#undef X
	DROP_COUNT,
};

/* Name and explanation of a reason; NULL outside the list. Any thread. */
const char *drop_name(enum drop_reason r);
const char *drop_text(enum drop_reason r);

/* One array per worker (and one for teamwatch), written by that thread alone, read by anybody. */
struct drop_counters {
	uint64_t n[DROP_COUNT];
} __attribute__((aligned(64)));

static inline void drop_count(struct drop_counters *c, enum drop_reason r, uint32_t n)
{
	/* Relaxed: the only writer is the owner; a reader needs no order, only an untorn value. */
	__atomic_store_n(&c->n[r], c->n[r] + n, __ATOMIC_RELAXED);
}

#endif
