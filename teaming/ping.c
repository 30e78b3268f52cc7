/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Echo to provider addresses, by our own members as the tunnels go (HNV 8, ping -p): what fails has a cause. Nothing
 * is fragmented, neither here nor, with DF, on the way: the answer to a size is yes or no.
 */
#include <string.h>

#include "base/str.h"
#include "teaming/core.h"
#include "teaming/frames.h"

/* Which of our addresses can reach it, and through which next hop. */
struct way {
	const struct tw_pa *pa;
	struct ip_addr hop;
	unsigned int member;
};

static bool is_own(const struct tw_core *c, const struct ip_addr *a)
{
	for (unsigned int i = 0; i < LOCAL_PAS; i++)
		if (c->pas[i].used && ip_equal(&c->pas[i].spec.address, a))
			return true;
	return false;
}

/* By which member frames of the address go; -1: by none that is usable. */
static int member_of(const struct tw_core *c, const struct tw_pa *pa)
{
	if (pa->now < TEAM_MEMBERS && tw_member_usable(c, pa->now))
		return pa->now;
	for (unsigned int m = 0; !tw_independent(c) && m < TEAM_MEMBERS; m++)
		if (tw_member_usable(c, m))
			return (int)m;
	return -1;
}

/* @return what is wrong with this address, PING_OK: nothing. */
static enum teaming_ping_state try_pa(const struct tw_core *c, const struct tw_pa *pa, const struct teaming_ping *p,
				      struct way *ret)
{
	bool any = p->member == TEAM_NO_MEMBER;
	int m;

	if (!tw_pa_in_use(pa) || pa->spec.address.family != p->to.family ||
	    (ip_is_set(&p->from) && !ip_equal(&p->from, &pa->spec.address)))
		return PING_NO_PA;
	m = any || tw_independent(c) ? member_of(c, pa) : p->member;
	if (m < 0 || !tw_member_usable(c, (unsigned int)m))
		return PING_NO_MEMBER;
	if (!any && m != p->member)
		return PING_NOT_HOME;
	if (!tw_route(c, pa, &p->to, &ret->hop))
		return PING_NO_ROUTE;
	ret->pa = pa;
	ret->member = (unsigned int)m;
	return PING_OK;
}

/* The cause that came nearest to success, of all addresses. */
static enum teaming_ping_state find_way(const struct tw_core *c, const struct teaming_ping *p, struct way *ret)
{
	static const uint8_t nearness[PING_STATES] = { [PING_NO_PA] = 1, [PING_NOT_HOME] = 2, [PING_NO_MEMBER] = 3,
						       [PING_NO_ROUTE] = 4 };
	enum teaming_ping_state best = PING_NO_PA, s;

	if (is_own(c, &p->to))
		return PING_OWN;
	for (unsigned int i = 0; i < c->n_pas; i++) {
		s = try_pa(c, &c->pas[c->pa_order[i]], p, ret);
		if (s == PING_OK)
			return s;
		if (nearness[s] > nearness[best])
			best = s;
	}
	return best;
}

static void emit(struct tw_core *c, struct tw_ping *p, const struct tw_neigh *n)
{
	const struct tw_pa *pa = tw_pa_find(c, p->vlan, &p->pong.from);
	uint8_t buf[TEAMING_PING_MAX + 18];
	struct tw_frame_from from;
	uint32_t len;

	if (!pa || !tw_member_usable(c, p->pong.member)) {
		p->pong.state = pa ? PING_NO_MEMBER : PING_NO_PA;
		return;
	}
	from = (struct tw_frame_from){ .mac = pa->spec.mac, .vlan = p->vlan, .address = pa->spec.address };
	len = tw_frame_echo_request(buf, &from, &n->mac, &p->pong.to, p->id, p->pong.sequence, p->pong.size, p->df);
	p->pong.state = PING_WAITING;
	p->sent = tw_now(c);
	c->env.send(c->env.arg, p->pong.member, buf, len);
}

static void send_when_resolved(struct tw_core *c, struct tw_ping *p)
{
	const struct tw_neigh *n = tw_neigh_find(c, p->vlan, &p->hop);

	if (p->pong.state == PING_NO_NEIGHBOUR && n && n->has_mac)
		emit(c, p, n);
}

static uint32_t size_min(uint8_t family)
{
	return (family == 4 ? sizeof(struct ipv4_hdr) : sizeof(struct ipv6_hdr)) + sizeof(struct icmp_hdr);
}

int tw_ping(struct tw_core *c, const struct teaming_ping *ping)
{
	struct tw_ping *p = NULL;
	struct way way;
	int i;

	for (i = 0; i < TW_PINGS && !p; i++)
		if (!c->pings[i].used)
			p = &c->pings[i];
	if (!p)
		return -EBUSY;
	i--;
	if (ping->size < size_min(ping->to.family) || ping->size > TEAMING_PING_MAX)
		return -EINVAL;
	*p = (struct tw_ping){ .used = true, .df = ping->df, .id = (uint16_t)c->env.random(c->env.arg) };
	p->pong = (struct teaming_pong){ .to = ping->to, .from = ping->from, .member = ping->member,
					 .size = ping->size, .sequence = ping->sequence };
	p->pong.state = find_way(c, ping, &way);
	if (p->pong.state != PING_OK)
		return i;
	p->pong.from = way.pa->spec.address;
	p->pong.member = (uint8_t)way.member;
	p->vlan = way.pa->spec.vlan;
	p->hop = p->pong.hop = way.hop;
	p->pong.mtu = tw_member_mtu(c, way.member);
	p->pong.state = PING_NO_NEIGHBOUR;
	if (p->pong.mtu && ping->size > p->pong.mtu)
		p->pong.state = PING_MTU;
	else if (tw_neigh_get(c, p->vlan, &p->hop))
		send_when_resolved(c, p);
	return i;
}

int tw_ping_poll(struct tw_core *c, unsigned int i, struct teaming_pong *ret)
{
	if (i >= TW_PINGS || !c->pings[i].used)
		return -ENOENT;
	send_when_resolved(c, &c->pings[i]);
	*ret = c->pings[i].pong;
	return 0;
}

/* A neighbour that was only pinged is forgotten with the last ping to it. */
void tw_ping_end(struct tw_core *c, unsigned int i)
{
	struct tw_neigh *n;

	if (i >= TW_PINGS || !c->pings[i].used)
		return;
	c->pings[i].used = false;
	if (!ip_is_set(&c->pings[i].hop))
		return;
	for (unsigned int k = 0; k < TW_PINGS; k++)
		if (c->pings[k].used && c->pings[k].vlan == c->pings[i].vlan &&
		    ip_equal(&c->pings[k].hop, &c->pings[i].hop))
			return;
	n = tw_neigh_find(c, c->pings[i].vlan, &c->pings[i].hop);
	if (n && LIST_EMPTY(&n->users))
		tw_neigh_free(c, n);
}

static struct tw_ping *find(struct tw_core *c, uint16_t vlan, const struct ip_addr *from, const struct ip_addr *to,
			    const uint8_t *icmp)
{
	for (unsigned int i = 0; i < TW_PINGS; i++) {
		struct tw_ping *p = &c->pings[i];

		if (p->used && p->pong.state == PING_WAITING && p->vlan == vlan && ip_equal(&p->pong.from, from) &&
		    ip_equal(&p->pong.to, to) && load_be16(icmp + 4) == p->id &&
		    load_be16(icmp + 6) == p->pong.sequence)
			return p;
	}
	return NULL;
}

void tw_ping_reply(struct tw_core *c, unsigned int member, uint16_t vlan, const struct ip_addr *from,
		   const struct ip_addr *to, const uint8_t *icmp)
{
	struct tw_ping *p = find(c, vlan, to, from, icmp);

	if (!p)
		return;
	p->pong.state = PING_OK;
	p->pong.rtt_ns = tw_now(c) - p->sent;
	p->pong.came_by = (uint8_t)member;
}

/* RFC 792, 1191, 4443: what a router quotes of our request. */
void tw_ping_error(struct tw_core *c, uint16_t vlan, const struct ip_addr *by, const uint8_t *icmp, uint32_t len)
{
	bool v4 = by->family == 4, big;
	uint32_t ip = v4 ? 20 : 40;
	const uint8_t *quote = icmp + 8, *echo = quote + ip;
	struct ip_addr from, to;
	struct tw_ping *p;

	if (len < 8 + ip + 8 || quote[0] != (v4 ? 0x45 : (quote[0] & 0x0f) | 0x60) ||
	    quote[v4 ? 9 : 6] != (v4 ? IPPROTO_ICMP_ : IPPROTO_ICMP6_) || echo[0] != (v4 ? 8 : 128))
		return;
	from = v4 ? ip4_from(quote + 12) : ip6_from(quote + 8);
	to = v4 ? ip4_from(quote + 16) : ip6_from(quote + 24);
	p = find(c, vlan, &from, &to, echo);
	if (!p)
		return;
	big = v4 ? icmp[1] == 4 : icmp[0] == 2;
	p->pong.state = big ? PING_TOO_BIG : PING_UNREACHABLE;
	p->pong.by = *by;
	p->pong.rtt_ns = tw_now(c) - p->sent;
	if (big)
		p->pong.mtu = v4 ? load_be16(icmp + 6) : (uint16_t)RTE_MIN(load_be32(icmp + 4), UINT16_MAX);
}
