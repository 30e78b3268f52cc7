/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the ARP and ND proxy answers, passes on and drops (HNV 3.2, rows 18, 49-53). The rules are one table
 * for both families: a row is a message, and each row is run as ARP and as neighbour discovery where both
 * exist.
 */
#include <stdbool.h>

#include "base/pkt.h"
#include "base/rcu.h"
#include "eal.h"
#include "frame.h"
#include "neigh_world.h"
#include "packet.h"
#include "unit.h"

/* Messages. A probe is a request whose sender is CA_ANY. */
enum kind { REQUEST, REPLY, RS, RA, REDIRECT };

#define F4    1u
#define F6    2u
#define BOTH  3u
#define LEARN 1u
#define FIXED 2u /* static-only subnet */
#define LIST  4u /* the port has a list of allowed addresses; not for itself */

struct row {
	const char *name;
	uint8_t families, subnets;
	uint8_t kind;
	uint8_t src, dst;	/* enum mac_name; MAC_GROUP: broadcast, solicited-node or all-nodes by kind */
	uint8_t link;		/* SHA, link-layer address option (MAC_NONE: no option) */
	uint8_t sender, target; /* enum ca_name */
	uint8_t verdict;
	uint8_t drop;
	uint8_t owner; /* enum mac_name in the answer */
	bool router;   /* answer is the gateway's */
};

#define ASKS(src, sender, target)     REQUEST, src, MAC_GROUP, src, sender, target
#define PROBES(src, target)	      REQUEST, src, MAC_GROUP, src, CA_ANY, target
#define NUD(src, dst, sender, target) REQUEST, src, dst, src, sender, target
#define ANSWERED(mac)		      VERDICT_REPLY, 0, mac, false
#define GATEWAY			      VERDICT_REPLY, 0, MAC_GW, true
#define FLOODED			      VERDICT_FLOOD, 0, 0, false
#define PASSED			      VERDICT_NONE, 0, 0, false
#define DROPPED(why)		      VERDICT_DROP, DROP_##why, 0, false
#define ANY_NET			      (LEARN | FIXED)

static const struct row rows[] = {
	/* HNV 3.2: reliable proxy for every CA for which policy exists (row 50) */
	{ "CA on another local port", BOTH, ANY_NET, ASKS(MAC_A, CA_A, CA_B), ANSWERED(MAC_B) },
	{ "CA on another host", BOTH, ANY_NET, ASKS(MAC_A, CA_A, CA_R), ANSWERED(MAC_R) },
	{ "asked from a second MAC of the port", BOTH, ANY_NET, ASKS(MAC_A2, CA_A2, CA_B), ANSWERED(MAC_B) },
	{ "link-local CA", F6, ANY_NET, ASKS(MAC_A, CA_A_LL, CA_B_LL), ANSWERED(MAC_B) },
	{ "solicitation without link-layer option", F6, ANY_NET, REQUEST, MAC_A, MAC_GROUP, MAC_NONE, CA_A,
	  CA_B, ANSWERED(MAC_B) },
	{ "asker without record, subnet learns", BOTH, LEARN, ASKS(MAC_A, CA_U, CA_B), ANSWERED(MAC_B) },
	{ "asker allowed by the port", BOTH, ANY_NET | LIST, ASKS(MAC_A, CA_P, CA_B), ANSWERED(MAC_B) },
	{ "asker is a gateway-wildcard", BOTH, ANY_NET, ASKS(MAC_W, CA_U, CA_B), ANSWERED(MAC_B) },
	{ "asker is a gateway-wildcard, foreign address", BOTH, ANY_NET, ASKS(MAC_W, CA_FAR, CA_B),
	  ANSWERED(MAC_B) },
	{ "asker with an unknown link-local address", F6, ANY_NET, ASKS(MAC_A, CA_U_LL, CA_B),
	  ANSWERED(MAC_B) },

	/* row 51: unknown CA */
	{ "unknown CA, subnet learns", BOTH, LEARN, ASKS(MAC_A, CA_A, CA_U), FLOODED },
	{ "unknown CA, static-only", BOTH, FIXED, ASKS(MAC_A, CA_A, CA_U), DROPPED(NO_RECORD) },
	{ "unknown link-local, static-only", F6, FIXED, ASKS(MAC_A, CA_A_LL, CA_U_LL), DROPPED(NO_RECORD) },

	/* row 18: gateway addresses */
	{ "gateway", BOTH, ANY_NET, ASKS(MAC_A, CA_A, CA_GW), GATEWAY },
	{ "second gateway", F4, ANY_NET, ASKS(MAC_A, CA_A, CA_GW2), GATEWAY },
	{ "gateway's link-local", F6, ANY_NET, ASKS(MAC_A, CA_A_LL, CA_GW_LL), GATEWAY },
	{ "gateway, unicast", BOTH, ANY_NET, NUD(MAC_A, MAC_GW, CA_A, CA_GW), GATEWAY },
	{ "gateway, unicast to a MAC it had before", BOTH, ANY_NET, NUD(MAC_A, MAC_X, CA_A, CA_GW), GATEWAY },
	{ "somebody else's CA, unicast to the gateway's MAC", BOTH, ANY_NET, NUD(MAC_A, MAC_GW, CA_A, CA_B),
	  DROPPED(NO_RECORD) },

	/* row 52: NUD goes to the VM itself, known or not */
	{ "unicast probe of a local VM", BOTH, ANY_NET, NUD(MAC_A, MAC_B, CA_A, CA_B), PASSED },
	{ "unicast probe of a remote VM", BOTH, ANY_NET, NUD(MAC_A, MAC_R, CA_A, CA_R), PASSED },
	{ "unicast probe of an unknown CA", BOTH, ANY_NET, NUD(MAC_A, MAC_X, CA_A, CA_U), PASSED },

	/* row 53: DAD */
	{ "DAD, CA of another local VM", BOTH, ANY_NET, PROBES(MAC_A, CA_B), ANSWERED(MAC_B) },
	{ "DAD, CA of a remote VM", BOTH, ANY_NET, PROBES(MAC_A, CA_R), ANSWERED(MAC_R) },
	{ "DAD, link-local of another VM", F6, ANY_NET, PROBES(MAC_A, CA_B_LL), ANSWERED(MAC_B) },
	{ "DAD, own CA", BOTH, ANY_NET, PROBES(MAC_A, CA_A), FLOODED },
	{ "DAD, own link-local", F6, ANY_NET, PROBES(MAC_A, CA_A_LL), FLOODED },
	{ "DAD, CA of the port's other MAC", BOTH, ANY_NET, PROBES(MAC_A, CA_A2), ANSWERED(MAC_A2) },
	{ "DAD, unknown, subnet learns", BOTH, LEARN, PROBES(MAC_A, CA_U), FLOODED },
	{ "DAD, unknown, static-only", BOTH, FIXED, PROBES(MAC_A, CA_U), DROPPED(NO_RECORD) },
	{ "DAD, gateway address is defended", BOTH, ANY_NET, PROBES(MAC_A, CA_GW), GATEWAY },
	{ "DAD, gateway's link-local is defended", F6, ANY_NET, PROBES(MAC_A, CA_GW_LL), GATEWAY },

	/* never answered: the asker's own */
	{ "own CA asked with another of its addresses", BOTH, ANY_NET | LIST, ASKS(MAC_A, CA_P, CA_A),
	  FLOODED },
	{ "CA of the port's other MAC", BOTH, ANY_NET, ASKS(MAC_A, CA_A, CA_A2), DROPPED(SPLIT_HORIZON) },

	/* announcements travel */
	{ "gratuitous request, own CA", BOTH, ANY_NET, ASKS(MAC_A, CA_A, CA_A), FLOODED },
	{ "gratuitous request, unknown CA, subnet learns", BOTH, LEARN, ASKS(MAC_A, CA_U, CA_U), FLOODED },
	{ "gratuitous request, allowed by the port", BOTH, ANY_NET | LIST, ASKS(MAC_A, CA_P, CA_P), FLOODED },
	{ "gratuitous request, unicast", BOTH, ANY_NET, NUD(MAC_A, MAC_B, CA_A, CA_A), PASSED },
	{ "gratuitous reply, unsolicited NA", BOTH, ANY_NET, REPLY, MAC_A, MAC_GROUP, MAC_A, CA_A, CA_A,
	  FLOODED },
	{ "the same, unknown CA, subnet learns", BOTH, LEARN, REPLY, MAC_A, MAC_GROUP, MAC_A, CA_U, CA_U,
	  FLOODED },
	{ "unsolicited NA sent from another own address", F6, ANY_NET, REPLY, MAC_A, MAC_GROUP, MAC_A,
	  CA_A_LL, CA_A, FLOODED },

	/* answers to others */
	{ "reply to a VM", BOTH, ANY_NET, REPLY, MAC_A, MAC_B, MAC_A, CA_A, CA_A, PASSED },
	{ "NA without link-layer option", F6, ANY_NET, REPLY, MAC_A, MAC_B, MAC_NONE, CA_A, CA_A, PASSED },
	{ "reply to the gateway, which never asks", BOTH, ANY_NET, REPLY, MAC_A, MAC_GW, MAC_A, CA_A, CA_A,
	  DROPPED(NO_RECORD) },

	/* row 49: spoofed senders */
	{ "SHA of another VM", BOTH, ANY_NET, REQUEST, MAC_A, MAC_GROUP, MAC_B, CA_A, CA_B,
	  DROPPED(SPOOF_ARP) },
	{ "SHA of another MAC of the port", BOTH, ANY_NET, REQUEST, MAC_A, MAC_GROUP, MAC_A2, CA_A, CA_B,
	  DROPPED(SPOOF_ARP) },
	{ "Ethernet source and SHA not the port's", BOTH, ANY_NET, ASKS(MAC_X, CA_U, CA_B),
	  DROPPED(SPOOF_ARP) },
	{ "no MAC at all", BOTH, ANY_NET, ASKS(MAC_NONE, CA_U, CA_B), DROPPED(SPOOF_ARP) },
	{ "probe from a MAC that is not the port's", BOTH, ANY_NET, REQUEST, MAC_B, MAC_GROUP, MAC_B, CA_ANY,
	  CA_U, DROPPED(SPOOF_ARP) },
	{ "sender CA of a local VM", BOTH, ANY_NET, ASKS(MAC_A, CA_B, CA_R), DROPPED(SPOOF_ARP) },
	{ "sender CA of a remote VM", BOTH, ANY_NET, ASKS(MAC_A, CA_R, CA_B), DROPPED(SPOOF_ARP) },
	{ "sender CA of the port's other MAC", BOTH, ANY_NET, ASKS(MAC_A, CA_A2, CA_B), DROPPED(SPOOF_ARP) },
	{ "the same in a unicast probe", BOTH, ANY_NET, NUD(MAC_A, MAC_R, CA_B, CA_R), DROPPED(SPOOF_ARP) },
	{ "sender CA of a VM, wildcard or not", BOTH, ANY_NET, ASKS(MAC_W, CA_B, CA_R), DROPPED(SPOOF_ARP) },
	{ "sender is the gateway", BOTH, ANY_NET, ASKS(MAC_A, CA_GW, CA_B), DROPPED(SPOOF_ARP) },
	{ "sender is the gateway's link-local", F6, ANY_NET, ASKS(MAC_A, CA_GW_LL, CA_B),
	  DROPPED(SPOOF_ARP) },
	{ "gratuitous request for the gateway", BOTH, ANY_NET, ASKS(MAC_A, CA_GW, CA_GW),
	  DROPPED(SPOOF_ARP) },
	{ "gratuitous request for another's CA", BOTH, ANY_NET, ASKS(MAC_A, CA_B, CA_B), DROPPED(SPOOF_ARP) },
	{ "reply for another's CA", BOTH, ANY_NET, REPLY, MAC_A, MAC_R, MAC_A, CA_B, CA_B,
	  DROPPED(SPOOF_ARP) },
	{ "reply for the gateway", BOTH, ANY_NET, REPLY, MAC_A, MAC_B, MAC_A, CA_GW, CA_GW,
	  DROPPED(SPOOF_ARP) },
	{ "unsolicited NA for another's CA", BOTH, ANY_NET, REPLY, MAC_A, MAC_GROUP, MAC_A, CA_B, CA_B,
	  DROPPED(SPOOF_ARP) },
	{ "NA for another's CA from an own address", F6, ANY_NET, REPLY, MAC_A, MAC_R, MAC_A, CA_A, CA_B,
	  DROPPED(SPOOF_ARP) },
	{ "NA for an own CA from another's address", F6, ANY_NET, REPLY, MAC_A, MAC_R, MAC_A, CA_B, CA_A,
	  DROPPED(SPOOF_ARP) },
	{ "NA for the gateway from an own address", F6, ANY_NET, REPLY, MAC_A, MAC_B, MAC_A, CA_A, CA_GW,
	  DROPPED(SPOOF_ARP) },
	{ "NA with another's link-layer address", F6, ANY_NET, REPLY, MAC_A, MAC_R, MAC_X, CA_A, CA_A,
	  DROPPED(SPOOF_ARP) },
	{ "loopback as sender", BOTH, ANY_NET, ASKS(MAC_A, CA_LOOP, CA_B), DROPPED(SPOOF_ARP) },
	{ "group as sender", BOTH, ANY_NET, ASKS(MAC_A, CA_GROUP, CA_B), DROPPED(SPOOF_ARP) },
	{ "broadcast as sender", F4, ANY_NET, ASKS(MAC_A, CA_BCAST, CA_B), DROPPED(SPOOF_ARP) },
	{ "unknown sender outside the subnet", BOTH, ANY_NET, ASKS(MAC_A, CA_FAR, CA_B), DROPPED(SRC_IP) },
	{ "unknown sender that the port's list does not have", BOTH, ANY_NET | LIST, ASKS(MAC_A, CA_U, CA_B),
	  DROPPED(SRC_IP) },
	{ "announcement that the port's list does not have", BOTH, ANY_NET | LIST, ASKS(MAC_A, CA_U, CA_U),
	  DROPPED(SRC_IP) },
	{ "unknown sender, static-only", BOTH, FIXED, ASKS(MAC_A, CA_U, CA_B), DROPPED(SRC_IP) },
	{ "unknown sender asks the gateway, static-only", BOTH, FIXED, ASKS(MAC_A, CA_U, CA_GW),
	  DROPPED(SRC_IP) },

	/* nonsense targets */
	{ "nobody", F4, ANY_NET, ASKS(MAC_A, CA_A, CA_ANY), DROPPED(BAD_ARP) },
	{ "nobody asks for nobody", F4, ANY_NET, PROBES(MAC_A, CA_ANY), DROPPED(BAD_ARP) },
	{ "loopback", F4, ANY_NET, ASKS(MAC_A, CA_A, CA_LOOP), DROPPED(BAD_ARP) },
	{ "group", F4, ANY_NET, ASKS(MAC_A, CA_A, CA_GROUP), DROPPED(BAD_ARP) },
	{ "broadcast", F4, ANY_NET, ASKS(MAC_A, CA_A, CA_BCAST), DROPPED(BAD_ARP) },
	{ "::", F6, ANY_NET, ASKS(MAC_A, CA_A, CA_ANY), DROPPED(BAD_ND) },
	{ "::1", F6, ANY_NET, ASKS(MAC_A, CA_A, CA_LOOP), DROPPED(BAD_ND) },

	/* routers */
	{ "RS, subnet learns", F6, LEARN, RS, MAC_A, MAC_GROUP, MAC_A, CA_A_LL, CA_ANY, FLOODED },
	{ "RS from ::, subnet learns", F6, LEARN, RS, MAC_A, MAC_GROUP, MAC_NONE, CA_ANY, CA_ANY, FLOODED },
	{ "RS, static-only", F6, FIXED, RS, MAC_A, MAC_GROUP, MAC_A, CA_A_LL, CA_ANY, DROPPED(NO_RECORD) },
	{ "RS with another's MAC", F6, ANY_NET, RS, MAC_A, MAC_GROUP, MAC_B, CA_A_LL, CA_ANY,
	  DROPPED(SPOOF_ARP) },
	{ "RS from another's address", F6, ANY_NET, RS, MAC_A, MAC_GROUP, MAC_A, CA_B_LL, CA_ANY,
	  DROPPED(SPOOF_ARP) },
	{ "RA from a guest", F6, ANY_NET, RA, MAC_A, MAC_GROUP, MAC_A, CA_A_LL, CA_ANY, FLOODED },
	{ "RA from a guest to one VM", F6, ANY_NET, RA, MAC_A, MAC_B, MAC_A, CA_A_LL, CA_ANY, PASSED },
	{ "RA in the gateway's name", F6, ANY_NET, RA, MAC_A, MAC_GROUP, MAC_A, CA_GW_LL, CA_ANY,
	  DROPPED(SPOOF_ARP) },
	{ "RA with another's MAC", F6, ANY_NET, RA, MAC_A, MAC_GROUP, MAC_GW, CA_A_LL, CA_ANY,
	  DROPPED(SPOOF_ARP) },
	{ "redirect", F6, ANY_NET, REDIRECT, MAC_A, MAC_B, MAC_A, CA_A_LL, CA_A_LL, DROPPED(SPOOF_ARP) },
	{ "redirect in the gateway's name", F6, ANY_NET, REDIRECT, MAC_A, MAC_B, MAC_A, CA_GW_LL, CA_A_LL,
	  DROPPED(SPOOF_ARP) },
};

static const uint8_t all_nodes[16] = { 0xff, 2, [15] = 1 }, all_routers[16] = { 0xff, 2, [15] = 2 };

static uint32_t v4(const struct ip_addr *a)
{
	uint32_t v;

	memcpy(&v, a->b, 4);
	return v;
}

static void build_arp(struct frame *f, const struct row *r)
{
	struct ip_addr sender = world_ca(r->sender, 4), target = world_ca(r->target, 4);
	const uint8_t *dst = r->dst == MAC_GROUP ? world_mac(MAC_BCAST) : world_mac(r->dst);

	frame_eth(f, dst, world_mac(r->src), FRAME_AUTO);
	if (r->kind == REPLY) /* its target is the one who asked */
		target = r->dst == MAC_GROUP ? sender : world_ca(CA_B, 4);
	frame_arp(f, r->kind == REQUEST ? 1 : 2, world_mac(r->link), v4(&sender),
		  r->kind == REQUEST ? world_mac(MAC_NONE) : dst, v4(&target));
	frame_pad(f, 60);
}

/*
 * IPv6 and Ethernet destination by kind; the solicited-node group's MAC does not matter here, that it is a
 * group does.
 */
static void build_nd(struct frame *f, const struct row *r)
{
	struct ip_addr sender = world_ca(r->sender, 6), target = world_ca(r->target, 6),
		       to = world_ca(CA_B, 6);
	const uint8_t *link = r->link == MAC_NONE || (r->kind == REQUEST && r->sender == CA_ANY)
				      ? NULL
				      : world_mac(r->link);
	static const uint8_t zeros[32];

	if (r->kind == REQUEST && r->dst == MAC_GROUP) {
		to = (struct ip_addr){ 6, { 0xff, 2, [11] = 1, [12] = 0xff } };
		memcpy(to.b + 13, target.b + 13, 3);
	} else if (r->dst == MAC_GROUP) {
		to = ip6_from(r->kind == RS ? all_routers : all_nodes);
	} else if (r->kind == REQUEST) {
		to = target;
	}
	frame_eth(f, world_mac(r->dst), world_mac(r->src), FRAME_AUTO);
	frame_ip6(f, sender.b, to.b, FRAME_AUTO, 255);
	switch (r->kind) {
	case REQUEST:
		frame_nd_ns(f, target.b, link);
		break;
	case REPLY:
		frame_nd_na(f, target.b, r->dst == MAC_GROUP ? 0x20 : 0x60, link);
		break;
	case RS:
	case RA:
		frame_icmp6(f, r->kind == RS ? 133 : 134, 0, r->kind == RS ? 0 : 0x40000708);
		if (r->kind == RA)
			frame_payload(f, zeros, 8);
		if (link)
			frame_nd_opt(f, 1, link, 6);
		break;
	case REDIRECT:
		frame_icmp6(f, 137, 0, 0);
		frame_payload(f, target.b, 16);
		frame_payload(f, world_ca(CA_R, 6).b, 16);
		frame_nd_opt(f, 2, link, 6);
		break;
	}
}

/* The answer as RFC 826, 4861 and HNV 3.2 want it, from another pen than neigh.c's. */
static ssize_t build_answer(struct frame *f, const struct row *r, uint8_t family)
{
	struct ip_addr sender = world_ca(r->sender, family), target = world_ca(r->target, family);
	bool probe = r->sender == CA_ANY;

	if (family == 4) {
		frame_eth(f, world_mac(r->src), world_mac(r->owner), FRAME_AUTO);
		frame_arp(f, 2, world_mac(r->owner), v4(&target), world_mac(r->src), v4(&sender));
	} else {
		frame_eth(f, probe ? FRAME_MAC(0x33, 0x33, 0, 0, 0, 1) : world_mac(r->src),
			  world_mac(r->owner), FRAME_AUTO);
		frame_ip6(f, target.b, probe ? all_nodes : sender.b, FRAME_AUTO, 255);
		frame_nd_na(f, target.b, (uint8_t)(0x20 | (probe ? 0 : 0x40) | (r->router ? 0x80 : 0)),
			    world_mac(r->owner));
	}
	return frame_finish(f);
}

/* A packet as egress hands it over: parsed, metadata filled. */
static struct packet *arrive(const uint8_t *data, uint32_t len, uint16_t headroom, uint16_t tailroom)
{
	struct packet *p = packet_new(data, (uint16_t)len, headroom, tailroom);

	p->meta.vsid_in = WORLD_VSID;
	p->meta.record = REC_NONE;
	p->meta.src = world_get(true, false).port->index;
	p->meta.csum_state = CSUM_PARTIAL; /* has to be forgotten in an answer */
	p->meta.gso_type = 1;
	p->meta.gso_size = 1000;
	assert_int_equal(pkt_parse(packet_data(p), len, len, &p->meta.pkt), DROP_NONE);
	return p;
}

static void handle(struct packet *p)
{
	struct world w = world_get(true, false);

	policy_neigh_egress(w.policy, w.port, w.subnet, &p->m);
}

static void check_answer(struct packet *p, const struct row *r, uint8_t family)
{
	struct pkt_info info;
	uint8_t buf[128];
	struct frame f;
	ssize_t len;

	frame_init(&f, buf, sizeof(buf));
	len = build_answer(&f, r, family);
	assert_true(len > 0);
	assert_int_equal(p->m.pkt_len, len);
	assert_int_equal(p->m.data_len, len);
	assert_memory_equal(packet_data(p), buf, len);
	/* The metadata is that of the new frame, checksum of ND included. */
	assert_int_equal(pkt_parse(packet_data(p), (uint32_t)len, (uint32_t)len, &info), DROP_NONE);
	assert_memory_equal(&info, &p->meta.pkt, sizeof(info));
	assert_int_equal(p->meta.csum_state, CSUM_UNKNOWN);
	assert_int_equal(p->meta.gso_type, 0);
	assert_int_equal(p->meta.gso_size, 0);
	assert_true(p->meta.flags & META_INJECT);
	assert_int_equal(p->meta.src, world_get(true, false).port->index);
}

static void run(const struct row *r, uint8_t family, const struct world *w)
{
	uint8_t buf[256];
	struct frame f;
	struct packet *p;
	ssize_t len;

	frame_init(&f, buf, sizeof(buf));
	if (family == 4)
		build_arp(&f, r);
	else
		build_nd(&f, r);
	len = frame_finish(&f);
	assert_true(len > 0);
	p = arrive(buf, (uint32_t)len, 128, 16);
	policy_neigh_egress(w->policy, w->port, w->subnet, &p->m);

	if (p->meta.verdict != r->verdict || p->meta.drop != r->drop)
		fail_msg("verdict %u %s instead of %u %s", p->meta.verdict, drop_name(p->meta.drop),
			 r->verdict, drop_name(r->drop));
	if (r->verdict == VERDICT_REPLY) {
		check_answer(p, r, family);
	} else {
		assert_int_equal(p->m.pkt_len, len);
		assert_memory_equal(packet_data(p), buf, len);
		assert_int_equal(p->meta.vsid_out, r->verdict == VERDICT_FLOOD ? WORLD_VSID : 0);
	}
	packet_free(p);
}

static void rules(void **state)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (uint8_t family = 4; family <= 6; family += 2) {
			if (!(rows[i].families & (family == 4 ? F4 : F6)))
				continue;
			print_message("%s, %s\n", rows[i].name, family == 4 ? "ARP" : "ND");
			for (unsigned int learning = 0; learning < 2; learning++) {
				struct world w = world_get(learning, rows[i].subnets & LIST);

				if (rows[i].subnets & (learning ? LEARN : FIXED))
					run(&rows[i], family, &w);
			}
			n++;
		}
	}
	assert_true(n > 130);
}

/* Without a subnet (VSID 0) and in an external one everything is left to others, spoofed or not. */
static void hands_off(void **state)
{
	static const struct row spoof = { "", BOTH, ANY_NET, ASKS(MAC_X, CA_B, CA_GW), PASSED };
	struct world w = world_get(true, false);
	struct policy_subnet external = *w.subnet;

	w.subnet = NULL;
	run(&spoof, 4, &w);
	run(&spoof, 6, &w);
	external.external = true;
	w.subnet = &external;
	run(&spoof, 4, &w);
	run(&spoof, 6, &w);
}

/* One honest link-layer option does not cover for a second one. */
static void every_link_option_counts(void **state)
{
	static const uint8_t types[] = { 1, 2 };

	for (unsigned int i = 0; i < 2; i++) {
		struct ip_addr a = world_ca(CA_A, 6), b = world_ca(CA_B, 6);
		uint8_t buf[256];
		struct frame f;
		struct packet *p;
		ssize_t len;

		frame_init(&f, buf, sizeof(buf));
		frame_eth(&f, world_mac(MAC_B), world_mac(MAC_A), FRAME_AUTO);
		frame_ip6(&f, a.b, b.b, FRAME_AUTO, 255);
		frame_nd_na(&f, a.b, 0x60, world_mac(MAC_A));
		frame_nd_opt(&f, types[i], world_mac(MAC_X), 6);
		len = frame_finish(&f);
		assert_true(len > 0);
		p = arrive(buf, (uint32_t)len, 0, 0);
		handle(p);
		assert_int_equal(p->meta.verdict, VERDICT_DROP);
		assert_int_equal(p->meta.drop, DROP_SPOOF_ARP);
		packet_free(p);
	}
}

/* Extension headers, options and an odd nonce in the question leave no trace in the answer. */
static void answer_is_canonical(void **state)
{
	static const struct row r = { "", F6, ANY_NET, ASKS(MAC_A, CA_A, CA_B), ANSWERED(MAC_B) };
	static const uint8_t pad[6] = { 1, 4 };
	struct ip_addr a = world_ca(CA_A, 6), b = world_ca(CA_B, 6),
		       group = { 6, { 0xff, 2, [11] = 1, 0xff, 0, 0, 0xb } };
	uint8_t buf[256];
	struct frame f;
	struct packet *p;
	ssize_t len;

	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, world_mac(MAC_GROUP), world_mac(MAC_A), FRAME_AUTO);
	frame_ip6(&f, a.b, group.b, FRAME_AUTO, 255);
	frame_ip6_ext(&f, 60, pad, sizeof(pad), FRAME_AUTO);
	frame_nd_ns(&f, b.b, world_mac(MAC_A));
	frame_nd_opt(&f, 14, "nonce!", 6);
	len = frame_finish(&f);
	assert_true(len > 0);
	p = arrive(buf, (uint32_t)len, 0, 0);
	handle(p);
	assert_int_equal(p->meta.verdict, VERDICT_REPLY);
	check_answer(p, &r, 6);
	packet_free(p);
}

/*
 * An answer to a DAD solicitation is longer than the question: room is taken in front when there is none
 * behind.
 */
static void answer_needs_room(void **state)
{
	static const struct row r = { "", F6, ANY_NET, PROBES(MAC_A, CA_B), ANSWERED(MAC_B) };
	static const struct {
		uint16_t headroom, tailroom;
		bool fits;
	} rooms[] = { { 0, 8, true },  { 8, 0, true },	{ 5, 3, true },
		      { 0, 7, false }, { 7, 0, false }, { 128, 0, true } };

	for (unsigned int i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		uint8_t buf[256];
		struct frame f;
		struct packet *p;
		ssize_t len;

		frame_init(&f, buf, sizeof(buf));
		build_nd(&f, &r);
		len = frame_finish(&f);
		assert_int_equal(len, 78);
		p = arrive(buf, (uint32_t)len, rooms[i].headroom, rooms[i].tailroom);
		handle(p);
		if (rooms[i].fits) {
			assert_int_equal(p->meta.verdict, VERDICT_REPLY);
			check_answer(p, &r, 6);
		} else {
			assert_int_equal(p->meta.verdict, VERDICT_DROP);
			assert_int_equal(p->meta.drop, DROP_NO_HEADROOM);
		}
		packet_free(p);
	}
}

/* A buffer that somebody else reads is not written. */
static void shared_buffers_are_left_alone(void **state)
{
	static const struct row r = { "", F4, ANY_NET, ASKS(MAC_A, CA_A, CA_B), ANSWERED(MAC_B) };
	struct rte_mbuf_ext_shared_info info = { 0 };

	for (unsigned int how = 0; how < 4; how++) {
		uint8_t buf[256];
		struct frame f;
		struct packet *p;
		ssize_t len;

		frame_init(&f, buf, sizeof(buf));
		build_arp(&f, &r);
		len = frame_finish(&f);
		p = arrive(buf, (uint32_t)len, 0, 0);
		if (how == 0)
			rte_mbuf_refcnt_set(&p->m, 2);
		if (how == 1)
			p->m.ol_flags |= RTE_MBUF_F_INDIRECT;
		if (how >= 2) {
			p->m.ol_flags |= RTE_MBUF_F_EXTERNAL;
			p->m.shinfo = &info;
			rte_mbuf_ext_refcnt_set(&info, how == 2 ? 2 : 1);
		}
		handle(p);
		assert_int_equal(p->meta.verdict, how == 3 ? VERDICT_REPLY : VERDICT_DROP);
		if (how == 3) {
			check_answer(p, &r, 4);
		} else {
			assert_int_equal(p->meta.drop, DROP_NO_HEADROOM);
			assert_memory_equal(packet_data(p), buf, len);
		}
		packet_free(p);
	}
}

/* A chained question becomes a single answer, and its tail goes back to the pool. */
static void chains_are_freed(void **state)
{
	static const struct row r = { "", F4, ANY_NET, ASKS(MAC_A, CA_A, CA_GW), GATEWAY };
	struct rte_mempool *pool = meta_pool_create("neigh", 15, 0, 512, SOCKET_ID_ANY);
	uint8_t buf[256];
	struct frame f;
	struct packet *p;
	struct rte_mbuf *tail;
	ssize_t len;

	assert_non_null(pool);
	frame_init(&f, buf, sizeof(buf));
	build_arp(&f, &r);
	len = frame_finish(&f);
	p = arrive(buf, (uint32_t)len, 0, 0);
	tail = rte_pktmbuf_alloc(pool);
	assert_non_null(tail);
	tail->next = rte_pktmbuf_alloc(pool);
	assert_non_null(tail->next);
	tail->nb_segs = 2;
	p->m.next = tail;
	p->m.nb_segs = 3;
	p->m.pkt_len += 100;
	handle(p);
	assert_int_equal(p->meta.verdict, VERDICT_REPLY);
	assert_null(p->m.next);
	assert_int_equal(p->m.nb_segs, 1);
	check_answer(p, &r, 4);
	assert_int_equal(rte_mempool_avail_count(pool), 15);
	packet_free(p);
	rte_mempool_free(pool);
}

static int setup(void **state)
{
	return test_eal_setup(state) == 0 && rcu_init() == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	world_free();
	rcu_fini();
	return test_eal_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules),
		cmocka_unit_test(hands_off),
		cmocka_unit_test(every_link_option_counts),
		cmocka_unit_test(answer_is_canonical),
		cmocka_unit_test(answer_needs_room),
		cmocka_unit_test(shared_buffers_are_left_alone),
		cmocka_unit_test(chains_are_freed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
