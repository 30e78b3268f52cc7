/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames of the provider network that concern us: ARP, neighbour discovery, echo requests to our PAs. The
 * bytes are anybody's; pkt_parse() reads the headers, and what is not a sound message of these kinds is
 * ignored.
 *
 * Who answers: in an independent team only the member that holds the PA (the switch floods questions to all
 * of them, and an answer by another would teach it the MAC on a second port); in a cooperating team whoever
 * got the question.
 */
#include <string.h>

#include "teaming/core.h"
#include "teaming/frames.h"

#define BUF_SIZE 9216 /* echo replies of jumbo size too */

struct input {
	struct tw_core *core;
	unsigned int member;
	uint16_t vlan;
	const uint8_t *data;
	uint32_t len;
	struct pkt_info info;
};

static bool may_answer(const struct input *in, const struct tw_pa *pa)
{
	if (!tw_pa_in_use(pa) || !tw_member_usable(in->core, in->member))
		return false;
	return !tw_independent(in->core) || pa->now == in->member;
}

static void answer(const struct input *in, const uint8_t *frame, uint32_t len, struct rate *rate)
{
	if (len && rate_take(rate, 1, tw_now(in->core)))
		in->core->env.send(in->core->env.arg, in->member, frame, len);
}

static bool is_host_mac(const struct mac *mac)
{
	return !mac_is_group(mac) && !mac_is_zero(mac);
}

/* Addressed to the PA's own MAC. */
static bool to_pa(const struct input *in, const struct tw_pa *pa)
{
	return mac_equal(in->data, &pa->spec.mac);
}

static struct tw_frame_from from_pa(const struct tw_pa *pa)
{
	return (struct tw_frame_from){ .mac = pa->spec.mac, .vlan = pa->spec.vlan, .address = pa->spec.address };
}

/* The sender tells where `address` is. reply_to: our PA that had asked it, NULL: nobody had. */
static void heard(const struct input *in, const struct ip_addr *address, const struct mac *mac,
		  const struct tw_pa *reply_to)
{
	struct tw_neigh *n = tw_neigh_find(in->core, in->vlan, address);

	if (!n)
		return;
	if (reply_to)
		tw_neigh_confirm(in->core, n, mac, in->member);
	else
		tw_neigh_hint(in->core, n, mac, in->member);
}

/* ---- ARP: RFC 826, RFC 5227 ---- */

static void input_arp(const struct input *in)
{
	const struct arp_hdr *arp = (const void *)(in->data + in->info.l3_off);
	struct ip_addr sender = ip4_from(arp->spa), target = ip4_from(arp->tpa);
	struct tw_pa *mine = tw_pa_find(in->core, in->vlan, &sender);
	struct tw_pa *asked = tw_pa_find(in->core, in->vlan, &target);
	bool reply = load_be16(&arp->op) == ARP_REPLY;
	uint8_t buf[TW_FRAME_FIXED_MAX];
	struct tw_frame_from from;

	if (!is_host_mac(&arp->sha) || tw_pa_is_own_mac(in->core, &arp->sha))
		return;
	if (mine) {
		tw_pa_conflict(in->core, mine, &arp->sha);
		return;
	}
	/* Two that check the same address at the same time: neither may have it. */
	if (asked && !reply && ip_is_any(&sender) && !tw_pa_in_use(asked))
		tw_pa_conflict(in->core, asked, &arp->sha);
	if (!ip_is_any(&sender))
		heard(in, &sender, &arp->sha, reply && asked && to_pa(in, asked) ? asked : NULL);
	if (reply || !asked || !may_answer(in, asked) || (!(in->info.flags & PKT_F_GROUP) && !to_pa(in, asked)))
		return;
	from = from_pa(asked);
	answer(in, buf, tw_frame_arp(buf, ARP_REPLY, &from, &arp->sha, &sender, &arp->sha), &in->core->answer_rate);
}

/* ---- neighbour discovery: RFC 4861, RFC 4862 ---- */

static void input_ns(const struct input *in, const struct ip_addr *src, const struct ip_addr *target,
		     const struct mac *option)
{
	const struct mac *eth_src = (const void *)(in->data + 6);
	struct tw_pa *asked = tw_pa_find(in->core, in->vlan, target);
	const struct mac *to = option ? option : eth_src;
	uint8_t buf[TW_FRAME_FIXED_MAX];
	struct tw_frame_from from;

	if (!ip_is_any(src) && option && is_host_mac(option))
		heard(in, src, option, NULL);
	if (!asked)
		return;
	if (!tw_pa_in_use(asked)) {
		if (ip_is_any(src))
			tw_pa_conflict(in->core, asked, eth_src);
		return;
	}
	if (!may_answer(in, asked) || (!(in->info.flags & PKT_F_GROUP) && !to_pa(in, asked)) || !is_host_mac(to))
		return;
	from = from_pa(asked);
	if (ip_is_any(src)) /* RFC 4862 5.4.4, RFC 4861 7.2.4: to all nodes, not solicited */
		answer(in, buf, tw_frame_na(buf, &from, NULL, NULL, NA_OVERRIDE), &in->core->answer_rate);
	else
		answer(in, buf, tw_frame_na(buf, &from, to, src, NA_OVERRIDE | NA_SOLICITED), &in->core->answer_rate);
}

/* RFC 4861 7.2.5 */
static void input_na(const struct input *in, const struct ip_addr *target, const struct mac *option, uint32_t flags)
{
	const struct mac *eth_src = (const void *)(in->data + 6);
	struct tw_pa *mine = tw_pa_find(in->core, in->vlan, target);
	struct tw_neigh *n;
	bool differs;

	if (mine) {
		tw_pa_conflict(in->core, mine, option ? option : eth_src);
		return;
	}
	n = tw_neigh_find(in->core, in->vlan, target);
	if (!n || (option && !is_host_mac(option)) || (!option && !n->has_mac))
		return;
	differs = option && n->has_mac && !mac_equal(option, &n->mac);
	if (differs && !(flags & NA_OVERRIDE)) {
		/* Not to be believed against what is known, but a reason to ask. */
		if (n->state == NEIGH_REACHABLE)
			tw_neigh_hint(in->core, n, &n->mac, in->member);
		return;
	}
	if (flags & NA_SOLICITED)
		tw_neigh_confirm(in->core, n, option, in->member);
	else if (option)
		tw_neigh_hint(in->core, n, option, in->member);
}

static void input_nd(const struct input *in)
{
	const struct ipv6_hdr *ip = (const void *)(in->data + in->info.l3_off);
	const struct nd_hdr *nd = (const void *)(in->data + in->info.l4_off);
	struct ip_addr src = ip6_from(ip->src), target;
	struct tw_pa *mine = tw_pa_find(in->core, in->vlan, &src);
	uint8_t option = nd->type == ND_NS ? ND_OPT_SOURCE_MAC : ND_OPT_TARGET_MAC;
	const struct mac *mac;

	if (nd->type != ND_NS && nd->type != ND_NA)
		return;
	mac = (const void *)pkt_nd_mac(in->data, &in->info, option);
	target = ip6_from(nd->target);
	if (mac && tw_pa_is_own_mac(in->core, mac))
		return;
	if (mine && nd->type == ND_NS) {
		tw_pa_conflict(in->core, mine, (const void *)(in->data + 6));
		return;
	}
	if (nd->type == ND_NS)
		input_ns(in, &src, &target, mac);
	else
		input_na(in, &target, mac, load_be32(&nd->flags));
}

/* ---- echo: RFC 792, RFC 4443 ---- */

static void input_echo(const struct input *in)
{
	const uint8_t *l3 = in->data + in->info.l3_off;
	bool v4 = in->info.kind == PKT_IPV4;
	struct ip_addr dst = v4 ? ip4_from(((const struct ipv4_hdr *)l3)->dst)
				: ip6_from(((const struct ipv6_hdr *)l3)->dst);
	struct ip_addr src = v4 ? ip4_from(((const struct ipv4_hdr *)l3)->src)
				: ip6_from(((const struct ipv6_hdr *)l3)->src);
	struct tw_pa *pa = tw_pa_find(in->core, in->vlan, &dst);
	uint8_t buf[BUF_SIZE];

	if (!pa || !to_pa(in, pa) || !may_answer(in, pa))
		return;
	/* Never answer a group, nobody, or ourselves. */
	if (ip_is_any(&src) || src.b[0] == (v4 ? 127 : 0xff) || (v4 && src.b[0] >= 224) ||
	    tw_pa_find(in->core, in->vlan, &src))
		return;
	answer(in, buf, tw_frame_echo_reply(buf, sizeof(buf), in->data, in->len, &in->info), &in->core->echo_rate);
}

/* Queriers ask all hosts, or one group. */
static void input_membership(const struct input *in)
{
	const uint8_t *l4 = in->data + in->info.l4_off;

	if (in->info.flags & PKT_F_FRAGMENT || in->info.l3_end > in->len || in->info.l4_off > in->info.l3_end)
		return;
	if (in->info.kind == PKT_IPV4 && in->info.proto == IPPROTO_IGMP_)
		tw_groups_igmp(in->core, in->member, l4, in->info.l3_end - in->info.l4_off);
	else if (in->info.kind == PKT_IPV6 && in->info.proto == IPPROTO_ICMP6_)
		tw_groups_mld(in->core, in->member, (const void *)(in->data + in->info.l3_off), l4,
			      in->info.l3_end - in->info.l4_off);
}

/* Answers to our own echo requests, and errors about them (ping.c). */
static void input_pong(const struct input *in, bool error)
{
	const uint8_t *l3 = in->data + in->info.l3_off, *icmp = in->data + in->info.l4_off;
	bool v4 = in->info.kind == PKT_IPV4;
	struct ip_addr src = v4 ? ip4_from(l3 + 12) : ip6_from(l3 + 8);
	struct ip_addr dst = v4 ? ip4_from(l3 + 16) : ip6_from(l3 + 24);
	struct tw_pa *pa = tw_pa_find(in->core, in->vlan, &dst);

	if (!pa || !to_pa(in, pa) || in->info.l3_end > in->len)
		return;
	if (error)
		tw_ping_error(in->core, in->vlan, &src, icmp, in->info.l3_end - in->info.l4_off);
	else
		tw_ping_reply(in->core, in->member, in->vlan, &src, &dst, icmp);
}

static void input_icmp(const struct input *in)
{
	bool v4 = in->info.kind == PKT_IPV4;
	uint8_t type;

	if (!(in->info.flags & PKT_F_L4) || (in->info.kind != PKT_IPV4 && in->info.kind != PKT_IPV6) ||
	    in->info.proto != (v4 ? IPPROTO_ICMP_ : IPPROTO_ICMP6_))
		return;
	type = in->data[in->info.l4_off];
	if (type == (v4 ? 8 : 128))
		input_echo(in);
	else if (type == (v4 ? 0 : 129))
		input_pong(in, false);
	else if (v4 ? type == 3 : type == 1 || type == 2)
		input_pong(in, true);
}

void tw_input(struct tw_core *c, unsigned int member, const uint8_t *data, uint32_t len)
{
	struct input in = { .core = c, .member = member, .data = data, .len = len };

	if (member >= TEAM_MEMBERS || pkt_parse(data, len, len, &in.info) != DROP_NONE)
		return;
	/* The switch floods our own frames to the team's other members. */
	if (mac_is_group(data + 6) || tw_pa_is_own_mac(c, (const struct mac *)(data + 6)))
		return;
	if (in.info.flags & PKT_F_VLAN)
		in.vlan = in.info.vlan_tci & 0xfff; /* a priority tag (VID 0) counts as none */
	if (in.info.kind == PKT_ARP)
		input_arp(&in);
	else if (in.info.kind == PKT_ND)
		input_nd(&in);
	else if (in.info.flags & PKT_F_GROUP)
		input_membership(&in);
	else
		input_icmp(&in);
}
