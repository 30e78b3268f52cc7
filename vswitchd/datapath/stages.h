/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a packet meets, in order. One row per stage; per-worker packet counters and the table in the architecture
 * page are generated from the list. Each stage takes a burst, writes its finding into struct pkt_meta and
 * touches nothing else; only egress.c, ingress.c and local.c deliver.
 *
 * X(symbol, "name", "what it does")
 */
#ifndef DATAPATH_STAGES_H
#define DATAPATH_STAGES_H

#define STAGE_LIST(X)                                                                         \
	X(GUEST_RX, "guest-rx", "burst from a guest's queue; metadata checked, headers parsed") \
	X(NEIGH, "neigh", "ARP and ND judged: answered, flooded, forwarded or dropped")        \
	X(SOURCE, "source", "source MAC and address checked against the port and its records") \
	X(LOOKUP, "lookup", "destination by (VSID, MAC)")                                      \
	X(ROUTE, "route", "distributed router: longest prefix, record, MAC and TTL rewrite")   \
	X(FLOOD, "flood", "copies to local members and one per remote member host")            \
	X(FRAGMENT, "fragment", "IPv4 without DF that does not fit, cut into pieces that do")   \
	X(ENCAP, "encap", "template, member and provider addresses by flow; outer header")     \
	X(WIRE_TX, "wire-tx", "handed to a team member")                                       \
	X(WIRE_RX, "wire-rx", "burst from a team member; outer headers validated")             \
	X(INGRESS, "ingress", "decapsulated; destination port by (VSID, MAC), source host compared") \
	X(REDIRECT, "redirect", "its guest has moved: on to the guest's host, once")           \
	X(REDIRECT_TELL, "redirect-tell", "REDIRECT or UNREACHABLE to the sender of such a packet") \
	X(GUEST_TX, "guest-tx", "copied into a guest's ring")

enum stage {
#define X(sym, name, text) STAGE_##sym,
	STAGE_LIST(X)
#undef X
	STAGE_COUNT,
};

#endif
