/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which member a provider address is at home with and where it lies now; announcements of the plain
 * segment's MACs.
 */
#include <stdlib.h>
#include <string.h>
#include <rte_common.h>

#include "teaming/core.h"
#include "teaming/frames.h"

#define PREV_GRACE_MS 500 /* a switch that forgot the MAC floods to the old member as well */

static unsigned int count_homes(const struct tw_core *c, unsigned int m, uint8_t family)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < LOCAL_PAS; i++)
		n += c->pas[i].used && c->pas[i].home == m && c->pas[i].spec.address.family == family;
	return n;
}

/* The member with fewest PAs of the family at home. */
static uint8_t next_home(const struct tw_core *c, uint8_t family)
{
	unsigned int best = TEAM_NO_MEMBER, fewest = 0;

	for (unsigned int m = 0; m < TEAM_MEMBERS; m++) {
		unsigned int n = count_homes(c, m, family);

		if (!c->members[m].used || c->members[m].leaving || (best != TEAM_NO_MEMBER && n >= fewest))
			continue;
		best = m;
		fewest = n;
	}
	return (uint8_t)best;
}

/* Has nothing happened to the configuration but that members left? */
static bool only_left(const struct tw_core *c, uint32_t members)
{
	if (members & ~c->home_members)
		return false;
	for (unsigned int i = 0; i < c->n_pas; i++)
		if (c->pas[c->pa_order[i]].home == TEAM_NO_MEMBER)
			return false;
	return true;
}

/*
 * A function of the configuration alone: after a restart everything is where it was. Not so when members leave: then
 * only their addresses get another home, and that is where they took refuge already, if fair. Whoever has to move
 * moves once.
 */
void tw_place_homes(struct tw_core *c)
{
	uint32_t members = tw_member_mask(c);
	bool anew = !only_left(c, members);

	for (unsigned int i = 0; i < c->n_pas; i++) {
		struct tw_pa *pa = &c->pas[c->pa_order[i]];
		int m = *pa->spec.member ? tw_member_find(c, pa->spec.member) : -ENOENT;

		if (m >= 0)
			pa->home = (uint8_t)m;
		else if (anew || pa->home >= TEAM_MEMBERS || !(members >> pa->home & 1))
			pa->home = TEAM_NO_MEMBER;
	}
	for (unsigned int i = 0; i < c->n_pas; i++) {
		struct tw_pa *pa = &c->pas[c->pa_order[i]];
		uint8_t family = pa->spec.address.family, best;

		if (pa->home != TEAM_NO_MEMBER)
			continue;
		best = next_home(c, family);
		if (!anew && tw_member_usable(c, pa->now) &&
		    count_homes(c, pa->now, family) == count_homes(c, best, family))
			best = pa->now;
		pa->home = best;
	}
	c->home_members = members;
	c->dirty |= TW_DIRTY_VIEW;
}

#define SHARE_STEPS 4 /* a share is told to a quarter of the smallest */

/* Speed of the home, divided among the addresses of the family there. Failover changes nothing: HNV row 62. */
static uint64_t share(const struct tw_core *c, const struct tw_pa *pa)
{
	unsigned int n = count_homes(c, pa->home, pa->spec.address.family);

	return n && pa->home < TEAM_MEMBERS ? (uint64_t)tw_member_share(c, pa->home) * LOCAL_PAS / n : 1;
}

static unsigned int gcd(unsigned int a, unsigned int b)
{
	while (b) {
		unsigned int rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

static void family_weights(const struct tw_core *c, uint8_t family, uint8_t *ret)
{
	uint64_t smallest = UINT64_MAX;
	unsigned int common = 0;

	for (unsigned int i = 0; i < LOCAL_PAS; i++)
		if (c->pas[i].used && c->pas[i].spec.address.family == family)
			smallest = RTE_MIN(smallest, share(c, &c->pas[i]));
	for (unsigned int i = 0; i < LOCAL_PAS; i++) {
		if (!c->pas[i].used || c->pas[i].spec.address.family != family)
			continue;
		ret[i] = (uint8_t)RTE_MIN((share(c, &c->pas[i]) * SHARE_STEPS + smallest / 2) / smallest, 255u);
		common = gcd(common, ret[i]);
	}
	for (unsigned int i = 0; i < LOCAL_PAS; i++)
		if (c->pas[i].used && c->pas[i].spec.address.family == family)
			ret[i] = (uint8_t)(ret[i] / common);
}

void tw_place_weights(const struct tw_core *c, uint8_t ret[LOCAL_PAS])
{
	memset(ret, 0, LOCAL_PAS);
	family_weights(c, 4, ret);
	family_weights(c, 6, ret);
}

static unsigned int count_guests(const struct tw_core *c, unsigned int m)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < LOCAL_PAS; i++)
		n += c->pas[i].used && c->pas[i].now == m;
	return n;
}

/*
 * Devices are opened one after the other. An address that lies nowhere yet waits for its home to be opened,
 * or the switch would learn its MAC with the first member that is ready, to learn it again a moment later.
 */
static bool soon_open(const struct tw_core *c, unsigned int m)
{
	const struct tw_member *mem = m < TEAM_MEMBERS ? &c->members[m] : NULL;

	return mem && mem->used && !mem->leaving && !mem->dev && !mem->was_up &&
	       (mem->port.link || mem->spec.type == MEMBER_DPDK) && tw_now(c) < c->start_until;
}

/* Its home; else where it is; else the usable member with fewest PAs. */
static uint8_t place_for(const struct tw_core *c, const struct tw_pa *pa)
{
	unsigned int best = TEAM_NO_MEMBER, fewest = 0;

	if (tw_member_usable(c, pa->home))
		return pa->home;
	if (tw_member_usable(c, pa->now))
		return pa->now;
	if (pa->now == TEAM_NO_MEMBER && soon_open(c, pa->home))
		return TEAM_NO_MEMBER;
	for (unsigned int m = 0; m < TEAM_MEMBERS; m++) {
		unsigned int n = count_guests(c, m);

		if (!tw_member_usable(c, m) || (best != TEAM_NO_MEMBER && n >= fewest))
			continue;
		best = m;
		fewest = n;
	}
	return (uint8_t)best;
}

void tw_place_pas(struct tw_core *c)
{
	for (unsigned int i = 0; i < LOCAL_PAS; i++) {
		struct tw_pa *pa = &c->pas[i];
		uint8_t before = pa->now, now;

		if (!pa->used)
			continue;
		now = place_for(c, pa);
		if (now == before)
			continue;
		if (before != TEAM_NO_MEMBER) {
			pa->prev = before;
			pa->prev_until = c->env.tsc(c->env.arg) +
					 c->env.tsc_hz * (c->grace_ms ? c->grace_ms : PREV_GRACE_MS) / 1000;
		}
		pa->now = now;
		tw_pa_placed(c, pa, before);
	}
}

/* ---- plain segment (VSID 0) ---- */

static const uint64_t plain_at[] = { 0, 100 * MS_NS, 500 * MS_NS };
#define PLAIN_NUM (sizeof(plain_at) / sizeof(plain_at[0]))

static void on_plain(struct tw_timer *t, void *arg)
{
	struct tw_core *c = arg;
	uint8_t buf[TW_FRAME_FIXED_MAX];
	bool more = false;

	for (unsigned int i = 0; i < c->n_plain; i++) {
		struct tw_plain *p = &c->plain[i];

		if (!p->left || p->member == TEAM_NO_MEMBER)
			continue;
		c->env.send(c->env.arg, p->member, buf, tw_frame_rarp(buf, &p->mac));
		more |= --p->left;
	}
	if (more && ++c->plain_round < PLAIN_NUM)
		tw_timer_set(&c->timers, t, tw_now(c) + plain_at[c->plain_round] - plain_at[c->plain_round - 1]);
}

void tw_plain_init(struct tw_core *c)
{
	tw_timer_init(&c->plain_timer, on_plain, c);
}

/* Those whose bucket lies with another member: the switch has to learn it. */
void tw_plain_moved(struct tw_core *c)
{
	bool moved = false;

	for (unsigned int i = 0; i < c->n_plain; i++) {
		struct tw_plain *p = &c->plain[i];
		uint8_t now = c->select.now[teaming_mac_bucket(&p->mac)];

		if (now == p->member)
			continue;
		p->member = now;
		p->left = now == TEAM_NO_MEMBER ? 0 : PLAIN_NUM;
		moved |= p->left;
	}
	if (!moved || !tw_independent(c))
		return;
	c->plain_round = 0;
	tw_timer_set(&c->timers, &c->plain_timer, tw_now(c));
}

int tw_plain_set(struct tw_core *c, const struct mac *macs, unsigned int n)
{
	struct tw_plain *list = n ? calloc(n, sizeof(*list)) : NULL;

	if (n && !list)
		return -ENOMEM;
	for (unsigned int i = 0; i < n; i++) {
		list[i].mac = macs[i];
		list[i].member = c->select.now[teaming_mac_bucket(&macs[i])];
	}
	free(c->plain);
	c->plain = list;
	c->n_plain = n;
	return 0;
}
