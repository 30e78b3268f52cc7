/* SPDX-License-Identifier: BSD-3-Clause */
/* Members: present, open, linked, held down, usable. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "teaming/core.h"

/* Told only when the answer becomes "open" or "close" and was something else before. */
static void tell_portctl(struct tw_core *c, unsigned int m)
{
	int want = tw_member_wants(c, m);

	if (want == c->members[m].told)
		return;
	c->members[m].told = want;
	if (want)
		tw_event(c, TEAMING_NETDEV, m, NULL, "%s %s", c->members[m].spec.name,
			 want > 0 ? "can be opened" : "has to be closed");
}

int tw_member_find(const struct tw_core *c, const char *name)
{
	for (unsigned int m = 0; m < TEAM_MEMBERS; m++)
		if (c->members[m].used && !c->members[m].leaving && strcmp(c->members[m].spec.name, name) == 0)
			return (int)m;
	return -ENOENT;
}

/* A device without a netdev is there as soon as it is configured: only opening it can tell. */
static bool present(const struct tw_member *m)
{
	return m->port.if_index || (m->spec.type == MEMBER_DPDK && !(m->dev && m->info.if_index));
}

static bool stale(const struct tw_member *m)
{
	return m->reopen || m->leaving || (m->info.if_index && m->info.if_index != m->port.if_index);
}

int tw_member_wants(const struct tw_core *c, unsigned int i)
{
	const struct tw_member *m = &c->members[i];

	if (!m->used || m->busy)
		return 0;
	if (m->dev)
		return stale(m) ? -1 : 0;
	return present(m) && !m->leaving ? 1 : 0;
}

static const char *why_not(const struct tw_member *m)
{
	if (m->leaving)
		return "not configured any more";
	if (!present(m))
		return "no such network device";
	if (!m->dev)
		return "not open";
	if (stale(m))
		return m->reopen ? "configuration changed, to be opened again" : "network device was replaced";
	if (!m->port.admin_up)
		return "set down";
	if (!m->port.link)
		return "no link";
	if (!m->port.enabled)
		return m->port.why ? m->port.why : "disabled by the team's protocol";
	return NULL;
}

bool tw_member_usable(const struct tw_core *c, unsigned int m)
{
	return m < TEAM_MEMBERS && c->members[m].used && c->members[m].state == TW_UP;
}

uint16_t tw_member_mtu(const struct tw_core *c, unsigned int m)
{
	return c->members[m].port.mtu ? c->members[m].port.mtu : c->members[m].mtu;
}

static void enter(struct tw_core *c, unsigned int i, enum tw_link state, const char *why)
{
	struct tw_member *m = &c->members[i];
	bool changed = m->state != state;

	if (!changed && strcmp(m->why, why) == 0)
		return;
	if (state != TW_HOLD)
		tw_timer_cancel(&c->timers, &m->hold);
	m->state = (uint8_t)state;
	m->was_up |= state == TW_UP;
	str_copy(m->why, sizeof(m->why), why);
	c->dirty |= TW_DIRTY_VIEW;
	tw_event(c, TEAMING_MEMBER, i, NULL, "%s: %s", m->spec.name, state == TW_UP ? "usable" : why);
	if (state == TW_UP)
		tw_neigh_kick(c);
}

static void hold_over(struct tw_timer *t, void *arg)
{
	struct tw_core *c = arg;

	for (unsigned int i = 0; i < TEAM_MEMBERS; i++)
		if (&c->members[i].hold == t && c->members[i].state == TW_HOLD)
			enter(c, i, TW_UP, "");
}

static bool any_up(const struct tw_core *c)
{
	for (unsigned int i = 0; i < TEAM_MEMBERS; i++)
		if (tw_member_usable(c, i))
			return true;
	return false;
}

void tw_member_evaluate(struct tw_core *c, unsigned int i)
{
	struct tw_member *m = &c->members[i];
	const char *why;

	if (!m->used)
		return;
	why = why_not(m);
	if (why) {
		enter(c, i, TW_DOWN, why);
	} else if (m->state == TW_DOWN) {
		/* A first link is as good as it will get; one that was lost has to prove itself. */
		if (!m->was_up || !c->hold_down_ms) {
			enter(c, i, TW_UP, "");
		} else {
			m->hold_until = tw_now(c) + c->hold_down_ms * MS_NS;
			tw_timer_set(&c->timers, &m->hold, m->hold_until);
			enter(c, i, TW_HOLD, "link is back, held down");
		}
	}
	tell_portctl(c, i);
}

void tw_member_promote(struct tw_core *c)
{
	if (any_up(c))
		return;
	for (unsigned int i = 0; i < TEAM_MEMBERS; i++)
		if (c->members[i].used && c->members[i].state == TW_HOLD)
			enter(c, i, TW_UP, "");
}

void tw_member_port(struct tw_core *c, unsigned int i, const struct provider_port *port)
{
	struct tw_member *m = &c->members[i];

	if (memcmp(&m->port, port, sizeof(*port)) == 0)
		return;
	if (port->mtu != m->port.mtu) {
		tw_remotes_changed_all(c);
		c->dirty |= TW_DIRTY_VIEW;
	}
	if (port->speed && port->speed != m->speed) {
		m->speed = port->speed;
		c->dirty |= TW_DIRTY_VIEW;
	}
	if (!mac_equal(&port->mac, &m->port.mac))
		c->dirty |= TW_DIRTY_VIEW;
	m->port = *port;
	tw_member_evaluate(c, i);
}

void tw_member_device(struct tw_core *c, unsigned int i, struct member_dev *dev, const struct member_info *info,
		      uint16_t mtu)
{
	struct tw_member *m = &c->members[i];

	m->dev = dev;
	m->info = info ? *info : (struct member_info){ 0 };
	m->mtu = mtu;
	m->reopen = false;
	c->dirty |= TW_DIRTY_VIEW;
	tw_remotes_changed_all(c);
	tw_member_evaluate(c, i);
}

void tw_member_init(struct tw_core *c, unsigned int i, const struct member_spec *spec)
{
	const struct member_ops *ops = c->members[i].ops;

	c->members[i] = (struct tw_member){ .used = true, .spec = *spec, .ops = ops, .why = "not open" };
	tw_timer_init(&c->members[i].hold, hold_over, c);
	c->dirty |= TW_DIRTY_VIEW;
}

void tw_member_free_slot(struct tw_core *c, unsigned int i)
{
	tw_timer_cancel(&c->timers, &c->members[i].hold);
	c->members[i] = (struct tw_member){ 0 };
	c->home_members &= ~(1u << i); /* the next one here is another */
	c->dirty |= TW_DIRTY_VIEW;
}

/* ---- what each may carry ---- */

uint32_t tw_member_speed(const struct tw_core *c, unsigned int m)
{
	return c->members[m].spec.speed ? c->members[m].spec.speed : c->members[m].speed;
}

uint32_t tw_member_mask(const struct tw_core *c)
{
	uint32_t mask = 0;

	for (unsigned int m = 0; m < TEAM_MEMBERS; m++)
		mask |= c->members[m].used && !c->members[m].leaving ? 1u << m : 0;
	return mask;
}

/* Unknown counts as the slowest: better too little for it than too much. */
uint32_t tw_member_share(const struct tw_core *c, unsigned int member)
{
	uint32_t members = tw_member_mask(c), slowest = 0, speed = tw_member_speed(c, member);

	for (unsigned int m = 0; !speed && m < TEAM_MEMBERS; m++) {
		uint32_t other = members >> m & 1 ? tw_member_speed(c, m) : 0;

		if (other && (!slowest || other < slowest))
			slowest = other;
	}
	return speed ? speed : slowest ? slowest : 1;
}

/* Bit 0: IPv4, bit 1: IPv6. Families of the PAs at home with a member (TEAM_NO_MEMBER: of all). */
static unsigned int families(const struct tw_core *c, unsigned int home, bool in_use)
{
	unsigned int mask = 0;

	for (unsigned int i = 0; i < LOCAL_PAS; i++) {
		const struct tw_pa *pa = &c->pas[i];

		if (pa->used && (home == TEAM_NO_MEMBER || pa->home == home) && (!in_use || tw_pa_in_use(pa)))
			mask |= pa->spec.address.family == 4 ? 1 : 2;
	}
	return mask;
}

/* Members that have, or have usable, PAs of every family in use; all members when none has. */
static uint32_t with_pas(const struct tw_core *c, uint32_t members, bool in_use)
{
	unsigned int all = families(c, TEAM_NO_MEMBER, in_use);
	uint32_t mask = 0;

	for (unsigned int m = 0; m < TEAM_MEMBERS; m++)
		if (members >> m & 1 && families(c, m, in_use) == all)
			mask |= 1u << m;
	return mask ? mask : members;
}

/*
 * Weights by speed, and who carries now. In an independent team a frame's source PA has to be at home on the
 * member it leaves by, so a member without own PAs carries nothing (unless no member has any: then the
 * missing PA is what to report).
 */
void tw_member_weights(const struct tw_core *c, uint32_t *weight, uint32_t *ret_carries)
{
	uint32_t members = tw_member_mask(c), usable = 0;

	for (unsigned int m = 0; m < TEAM_MEMBERS; m++)
		usable |= members >> m & 1 && tw_member_usable(c, m) ? 1u << m : 0;
	if (tw_independent(c)) {
		members = with_pas(c, members, false);
		usable = with_pas(c, usable & members ? usable & members : usable, true);
	}
	for (unsigned int m = 0; m < TEAM_MEMBERS; m++)
		weight[m] = members >> m & 1 ? tw_member_share(c, m) : 0;
	*ret_carries = usable;
}
