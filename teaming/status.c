/* SPDX-License-Identifier: BSD-3-Clause */
/* What is told about the team. Indices are those of the view; free ones have an empty name, or no address. */
#include <string.h>

#include "base/str.h"
#include "teaming/team.h"

static unsigned int count_map(const uint8_t *map, unsigned int m)
{
	unsigned int n = 0;

	for (unsigned int b = 0; b < TEAM_BUCKETS; b++)
		n += map[b] == m;
	return n;
}

static void fill_member(struct teaming *t, unsigned int m, struct teaming_member_status *ret)
{
	const struct tw_core *c = &t->core;
	const struct tw_member *mem = &c->members[m];
	const struct teaming_lacp *lacp = t->pops->lacp ? t->pops->lacp(t->provider, m) : NULL;

	memset(ret, 0, sizeof(*ret));
	if (!mem->used)
		return;
	ret->spec = mem->spec;
	ret->info = mem->info;
	ret->open = mem->dev;
	ret->present = tw_member_wants(c, m) >= 0 && (mem->dev || mem->busy || tw_member_wants(c, m) > 0);
	ret->link = mem->port.link;
	ret->usable = tw_member_usable(c, m);
	ret->speed = tw_member_speed(c, m);
	ret->tx_rate = tw_rebalance_rate(&c->rebalance, &c->select, m);
	ret->mtu = tw_member_mtu(c, m);
	ret->buckets = (uint16_t)count_map(c->select.now, m);
	for (unsigned int i = 0; i < LOCAL_PAS; i++)
		ret->pas += c->pas[i].used && c->pas[i].now == m;
	str_copy(ret->why, sizeof(ret->why), mem->why);
	memcpy(ret->netdev, mem->port.name, sizeof(ret->netdev));
	if (lacp)
		ret->lacp = *lacp;
}

void teaming_status(struct teaming *t, struct teaming_status *ret)
{
	memset(ret, 0, sizeof(*ret));
	pthread_mutex_lock(&t->lock);
	if (t->pops->status)
		t->pops->status(t->provider, ret);
	ret->provider = t->pops->name;
	ret->mode = t->core.mode;
	ret->rebalance = t->core.rebalance.enabled;
	ret->exchanges = t->core.rebalance.exchanged;
	ret->exchanges_undone = t->core.rebalance.undone;
	pthread_mutex_unlock(&t->lock);
}

unsigned int teaming_members(struct teaming *t, struct teaming_member_status *ret, unsigned int max)
{
	unsigned int n = 0;

	pthread_mutex_lock(&t->lock);
	for (unsigned int m = 0; m < TEAM_MEMBERS && m < max; m++) {
		fill_member(t, m, &ret[m]);
		if (t->core.members[m].used)
			n = m + 1;
	}
	pthread_mutex_unlock(&t->lock);
	return n;
}

unsigned int teaming_pas(struct teaming *t, struct teaming_pa_status *ret, unsigned int max)
{
	uint8_t weight[LOCAL_PAS];
	unsigned int n = 0;

	pthread_mutex_lock(&t->lock);
	tw_place_weights(&t->core, weight);
	for (unsigned int i = 0; i < LOCAL_PAS && i < max; i++) {
		const struct tw_pa *pa = &t->core.pas[i];

		memset(&ret[i], 0, sizeof(ret[i]));
		if (!pa->used)
			continue;
		ret[i].spec = pa->spec;
		ret[i].state = pa->state;
		ret[i].home = pa->home;
		ret[i].now = pa->now;
		ret[i].weight = weight[i];
		n = i + 1;
	}
	pthread_mutex_unlock(&t->lock);
	return n;
}

unsigned int teaming_neighbours(struct teaming *t, struct teaming_neigh_status *ret, unsigned int max)
{
	const struct tw_neigh *n;
	unsigned int i = 0;

	pthread_mutex_lock(&t->lock);
	TAILQ_FOREACH(n, &t->core.neighs, list) {
		if (i == max)
			break;
		ret[i++] = (struct teaming_neigh_status){ .address = n->key.address, .mac = n->mac,
							  .member = n->member, .state = n->state };
	}
	pthread_mutex_unlock(&t->lock);
	return i;
}
