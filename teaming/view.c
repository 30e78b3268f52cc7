/* SPDX-License-Identifier: BSD-3-Clause */
/* What the workers see. */
#include <stdlib.h>
#include <string.h>

#include "teaming/core.h"

/*
 * The PA a member sends from: the first of the family that is at home with it. A cooperating team may use
 * any.
 */
static uint8_t source_pa(const struct tw_core *c, unsigned int m, uint8_t family)
{
	uint8_t any = TEAM_NO_MEMBER;

	for (unsigned int i = 0; i < c->n_pas; i++) {
		const struct tw_pa *pa = &c->pas[c->pa_order[i]];

		if (!tw_pa_in_use(pa) || pa->spec.address.family != family)
			continue;
		if (pa->home == m)
			return (uint8_t)c->pa_order[i];
		if (any == TEAM_NO_MEMBER)
			any = (uint8_t)c->pa_order[i];
	}
	return tw_independent(c) ? TEAM_NO_MEMBER : any;
}

static void fill_member(const struct tw_core *c, unsigned int m, struct team_view *v)
{
	const struct tw_member *mem = &c->members[m];
	struct team_member_view *ret = &v->members[m];

	ret->pa4 = ret->pa6 = TEAM_NO_MEMBER;
	if (!mem->used)
		return;
	ret->dev = mem->dev;
	ret->present = mem->port.if_index || mem->dev;
	ret->usable = tw_member_usable(c, m);
	ret->pa4 = source_pa(c, m, 4);
	ret->pa6 = source_pa(c, m, 6);
	ret->all_frames = mem->dev && mem->info.all_frames;
	ret->punt = mem->dev && !mem->info.if_index;
	ret->speed = tw_member_speed(c, m);
	ret->mac = mem->port.if_index ? mem->port.mac : mem->info.mac;
	v->n_members = (uint8_t)(m + 1);
	if (!ret->usable)
		return;
	v->n_usable++;
	if (v->designated == TEAM_NO_MEMBER)
		v->designated = (uint8_t)m;
}

/* An address that may not be used is left out of local[]: what comes to it is not for us. */
static void fill_pa(const struct tw_core *c, unsigned int i, struct team_view *v)
{
	const struct tw_pa *pa = &c->pas[i];
	struct team_pa_view *ret = &v->pas[i];

	ret->home = ret->now = ret->prev = TEAM_NO_MEMBER;
	ret->local.pa = (uint8_t)i;
	v->local[i].pa = (uint8_t)i;
	if (!pa->used)
		return;
	v->n_pas = (uint8_t)(i + 1);
	ret->state = pa->state;
	ret->home = pa->home;
	ret->now = pa->now;
	ret->prev = pa->prev;
	ret->prev_until = pa->prev_until;
	ret->local.address = pa->spec.address;
	ret->local.mac = pa->spec.mac;
	ret->local.vlan = pa->spec.vlan;
	if (tw_pa_in_use(pa))
		v->local[i] = ret->local;
}

/* Cooperating teams take a group from any member, as they take all else. */
static void fill_group(const struct tw_core *c, const struct tw_group *g, struct team_view *v)
{
	struct team_pa_view *ret = &v->pas[v->n_local];

	if (!ip_is_set(&g->address) || g->member == TEAM_NO_MEMBER)
		return;
	*ret = (struct team_pa_view){ .state = PA_PREFERRED, .home = g->member, .now = g->member,
				      .prev = TEAM_NO_MEMBER };
	ret->local = (struct encap_local){ .address = g->address, .vlan = g->vlan, .pa = v->n_local };
	teaming_group_mac(&g->address, &ret->local.mac);
	v->local[v->n_local++] = ret->local;
}

struct team_view *tw_view_build(const struct tw_core *c)
{
	struct team_view *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->mode = c->mode;
	v->designated = TEAM_NO_MEMBER;
	memcpy(v->bucket, c->select.now, sizeof(v->bucket));
	memcpy(v->patient, c->select.patient, sizeof(v->patient));
	for (unsigned int m = 0; m < TEAM_MEMBERS; m++)
		fill_member(c, m, v);
	for (unsigned int i = 0; i < LOCAL_PAS; i++)
		fill_pa(c, i, v);
	v->n_local = v->n_pas;
	for (unsigned int i = 0; i < TEAM_GROUPS; i++)
		fill_group(c, &c->groups[i], v);
	return v;
}
