/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Multicast groups of the provider network that flooded frames come by (HNV 1.6, row 57). A snooping switch sends them
 * only where it has seen a report: one member reports, the designated one, in either mode, and an independent team
 * takes them from it alone, since a switch that does not snoop sends them to all. Reports are of the version that the
 * querier speaks (IGMPv3 or v2: RFC 3376 7; MLDv2 or v1: RFC 3810 8), twice when the group or the member is new (RFC
 * 3376 5.1), and once within the time that a query gives.
 */
#include <string.h>

#include "teaming/core.h"
#include "teaming/frames.h"

#define IGMP_QUERY   0x11
#define MLD_QUERY    130
#define REPEAT_NS    S_NS
#define OLD_QUERIER  (260 * S_NS) /* RFC 3376 8.12 with the defaults of RFC 2236 */
#define JOIN_REPORTS 2

/* Who speaks on a member: its address of the family where it has one, else nobody's (RFC 3376 4.2.13). */
static struct tw_frame_from speaker(const struct tw_core *c, const struct tw_group *g)
{
	struct tw_frame_from from = { .mac = c->members[g->member].port.mac, .vlan = g->vlan };

	for (unsigned int i = 0; i < c->n_pas; i++) {
		const struct tw_pa *pa = &c->pas[c->pa_order[i]];

		if (!tw_pa_in_use(pa) || pa->spec.address.family != g->address.family ||
		    (tw_independent(c) && pa->now != g->member))
			continue;
		from.mac = pa->spec.mac;
		from.address = pa->spec.address;
		break;
	}
	return from;
}

static void report(struct tw_core *c, const struct tw_group *g, enum tw_report what)
{
	struct tw_frame_from from;
	uint8_t buf[TW_FRAME_FIXED_MAX];
	uint32_t len;

	if (g->member == TEAM_NO_MEMBER || !tw_member_usable(c, g->member))
		return;
	from = speaker(c, g);
	if (mac_is_zero(&from.mac))
		return;
	if (g->address.family == 4)
		len = tw_frame_igmp(buf, &from, &g->address, what, tw_now(c) < g->old_until);
	else
		len = tw_frame_mld(buf, &from, &g->address, what, tw_now(c) < g->old_until);
	c->env.send(c->env.arg, g->member, buf, len);
}

static void on_report(struct tw_timer *t, void *arg)
{
	struct tw_core *c = arg;
	struct tw_group *g = (void *)((char *)t - offsetof(struct tw_group, timer));

	report(c, g, g->left ? REPORT_JOIN : REPORT_IS);
	if (g->left && --g->left)
		tw_timer_set(&c->timers, t, tw_now(c) + REPEAT_NS);
}

static uint8_t designated(const struct tw_core *c)
{
	for (unsigned int m = 0; m < TEAM_MEMBERS; m++)
		if (c->members[m].used && tw_member_usable(c, m))
			return (uint8_t)m;
	return TEAM_NO_MEMBER;
}

/* Groups are those of the provider network that the first address of the family is in. */
static uint16_t vlan_of(const struct tw_core *c, uint8_t family)
{
	for (unsigned int i = 0; i < c->n_pas; i++)
		if (c->pas[c->pa_order[i]].spec.address.family == family)
			return c->pas[c->pa_order[i]].spec.vlan;
	return 0;
}

void tw_groups_place(struct tw_core *c)
{
	uint8_t member = designated(c);

	for (unsigned int i = 0; i < TEAM_GROUPS; i++) {
		struct tw_group *g = &c->groups[i];
		uint16_t vlan = vlan_of(c, g->address.family);

		if (!ip_is_set(&g->address) || (g->member == member && g->vlan == vlan))
			continue;
		report(c, g, REPORT_LEAVE);
		g->member = member;
		g->vlan = vlan;
		g->left = JOIN_REPORTS;
		if (member != TEAM_NO_MEMBER)
			tw_timer_set(&c->timers, &g->timer, tw_now(c));
		c->dirty |= TW_DIRTY_VIEW;
	}
}

static struct tw_group *find(struct tw_core *c, const struct ip_addr *address)
{
	for (unsigned int i = 0; i < TEAM_GROUPS; i++)
		if (ip_equal(&c->groups[i].address, address))
			return &c->groups[i];
	return NULL;
}

static bool in_list(const struct ip_addr *a, const struct ip_addr *list, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (ip_equal(a, &list[i]))
			return true;
	return false;
}

void tw_groups_init(struct tw_core *c)
{
	for (unsigned int i = 0; i < TEAM_GROUPS; i++)
		tw_timer_init(&c->groups[i].timer, on_report, c);
}

int tw_groups_set(struct tw_core *c, const struct ip_addr *groups, unsigned int n)
{
	static const struct ip_addr none;

	for (unsigned int i = 0; i < TEAM_GROUPS; i++) {
		struct tw_group *g = &c->groups[i];

		if (!ip_is_set(&g->address) || in_list(&g->address, groups, n))
			continue;
		report(c, g, REPORT_LEAVE);
		tw_timer_cancel(&c->timers, &g->timer);
		g->address = none;
		c->dirty |= TW_DIRTY_VIEW;
	}
	for (unsigned int i = 0; i < n; i++) {
		struct tw_group *g = find(c, &groups[i]);

		if (g)
			continue;
		g = find(c, &none);
		if (!g)
			return -ENOSPC;
		g->address = groups[i];
		g->member = TEAM_NO_MEMBER;
		g->old_until = 0;
		c->dirty |= TW_DIRTY_VIEW;
	}
	tw_groups_place(c);
	return 0;
}

/* ---- queries ---- */

static void asked(struct tw_core *c, unsigned int member, uint8_t family, const struct ip_addr *about, bool old,
		  uint64_t within)
{
	for (unsigned int i = 0; i < TEAM_GROUPS; i++) {
		struct tw_group *g = &c->groups[i];

		if (g->address.family != family || g->member != member ||
		    (!ip_is_any(about) && !ip_equal(about, &g->address)))
			continue;
		if (old)
			g->old_until = tw_now(c) + OLD_QUERIER;
		if (!tw_timer_armed(&g->timer))
			tw_timer_set(&c->timers, &g->timer, tw_now(c) + tw_random_ns(c, within));
	}
}

/* Mantissa and exponent from 128 on: RFC 3376 4.1.1. */
static uint64_t code8(uint8_t code)
{
	return code < 128 ? code : (uint64_t)((code & 15) | 16) << ((code >> 4 & 7) + 3);
}

void tw_groups_igmp(struct tw_core *c, unsigned int member, const uint8_t *msg, uint32_t len)
{
	struct ip_addr about;

	if (len < 8 || msg[0] != IGMP_QUERY || csum_fold(csum_partial(msg, len, 0)))
		return;
	about = ip4_from(msg + 4);
	/* Version 1 gives no time: 10 s; version 3 is longer. */
	asked(c, member, 4, &about, len < 12, msg[1] ? code8(msg[1]) * 100 * MS_NS : 10 * S_NS);
}

void tw_groups_mld(struct tw_core *c, unsigned int member, const struct ipv6_hdr *ip, const uint8_t *msg, uint32_t len)
{
	uint8_t tail[8] = { [7] = IPPROTO_ICMP6_ };
	struct ip_addr about;
	uint32_t ms;

	store_be32(tail, len);
	if (len < 24 || msg[0] != MLD_QUERY || ip->src[0] != 0xfe || ip->hlim != 1 ||
	    csum_fold(csum_partial(msg, len, csum_partial(tail, 8, csum_partial(ip->src, 32, 0)))))
		return;
	about = ip6_from(msg + 8);
	ms = load_be16(msg + 4);
	if (len >= 28 && ms >= 32768) /* RFC 3810 5.1.3 */
		ms = (uint32_t)((ms & 0xfff) | 0x1000) << ((ms >> 12 & 7) + 3);
	asked(c, member, 6, &about, len < 28, ms * MS_NS);
}
