/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Link-layer addresses of remote PAs and next hops, one entry per (VLAN, address) for all members: they
 * share the wire. Workers never say that they use an entry, so every entry is kept fresh: asked again by
 * unicast before it expires.
 *
 *	INCOMPLETE -3 unanswered-> FAILED (asked again, ever less often)
 *	REACHABLE -30 s-> PROBE (unicast x 3, then to all x 3) -unanswered-> FAILED
 *	STALE: learned without having asked; usable, PROBE follows soon
 */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "teaming/core.h"
#include "teaming/frames.h"

#define RETRANS	   S_NS	       /* RFC 4861 10: RETRANS_TIMER */
#define TRIES	   3	       /* MAX_UNICAST_SOLICIT, MAX_MULTICAST_SOLICIT */
#define REACHABLE  (30 * S_NS) /* REACHABLE_TIME, spread by RFC 4861 6.3.2 */
#define BACKOFF_MAX 5	       /* 32 s */
#define STALE_WAIT S_NS
#define LOCKTIME   S_NS /* two answers to one question (proxy, duplicate): the first holds for this long */
#define START_GAP  (MS_NS / 10)
#define START_MAX  S_NS

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct tw_neigh_key)); /* the key is the first member */
}

struct tw_neigh *tw_neigh_find(const struct tw_core *c, uint16_t vlan, const struct ip_addr *address)
{
	struct tw_neigh_key key = { vlan, *address };
	struct tw_neigh **found = tfind(&key, &c->neigh_tree, compare);

	return found ? *found : NULL;
}

/* ---- asking ---- */

/* PAs that can ask: in use, in the neighbour's subnet, on a usable member. */
static bool can_ask(const struct tw_core *c, const struct tw_pa *pa, const struct tw_neigh *n)
{
	struct ip_prefix subnet = { pa->spec.address, pa->spec.prefix_len };

	return tw_pa_in_use(pa) && pa->spec.vlan == n->key.vlan && tw_member_usable(c, pa->now) &&
	       ip_in_prefix(&n->key.address, &subnet);
}

/* They take turns, so that a member which only seems to work costs one try. */
static const struct tw_pa *asker(const struct tw_core *c, struct tw_neigh *n)
{
	const struct tw_pa *found[LOCAL_PAS];
	unsigned int count = 0;

	for (unsigned int i = 0; i < LOCAL_PAS; i++)
		if (can_ask(c, &c->pas[i], n))
			found[count++] = &c->pas[i];
	return count ? found[n->turn++ % count] : NULL;
}

/* @return false: nobody can ask now. */
static bool ask(struct tw_core *c, struct tw_neigh *n, bool unicast)
{
	const struct tw_pa *pa = asker(c, n);
	const struct mac *to = unicast ? &n->mac : NULL;
	uint8_t buf[TW_FRAME_FIXED_MAX];
	struct tw_frame_from from;
	uint32_t len;

	if (!pa)
		return false;
	from = (struct tw_frame_from){ .mac = pa->spec.mac, .vlan = pa->spec.vlan, .address = pa->spec.address };
	if (n->key.address.family == 4)
		len = tw_frame_arp(buf, ARP_REQUEST, &from, to, &n->key.address, NULL);
	else
		len = tw_frame_ns(buf, &from, to, &n->key.address);
	c->env.send(c->env.arg, pa->now, buf, len);
	return true;
}

/* ---- states ---- */

static void wait(struct tw_core *c, struct tw_neigh *n, uint64_t ns)
{
	tw_timer_set(&c->timers, &n->timer, tw_now(c) + ns);
}

static void lost(struct tw_core *c, struct tw_neigh *n)
{
	bool had = n->has_mac;

	n->state = NEIGH_FAILED;
	n->has_mac = false;
	n->tries = 0;
	if (had)
		tw_remotes_changed_by(c, n);
}

static void on_timer(struct tw_timer *t, void *arg)
{
	struct tw_neigh *n = (void *)((char *)t - offsetof(struct tw_neigh, timer));
	struct tw_core *c = arg;
	uint64_t next = RETRANS;

	switch (n->state) {
	case NEIGH_REACHABLE:
	case NEIGH_STALE:
		n->state = NEIGH_PROBE;
		n->tries = 0;
		break;
	case NEIGH_PROBE:
		if (n->tries == 2 * TRIES)
			lost(c, n);
		break;
	case NEIGH_INCOMPLETE:
		if (n->tries == TRIES)
			lost(c, n);
		break;
	default:
		break;
	}
	/* Without anybody to ask no try counts: an entry does not fail because our own links do. */
	if (ask(c, n, n->state == NEIGH_PROBE && n->tries < TRIES) && n->tries < UINT8_MAX)
		n->tries++;
	if (n->state == NEIGH_FAILED)
		next = RETRANS << (n->tries < BACKOFF_MAX ? n->tries : BACKOFF_MAX);
	wait(c, n, next);
}

static void take_mac(struct tw_core *c, struct tw_neigh *n, const struct mac *mac, unsigned int member)
{
	bool changed = !n->has_mac || (mac && !mac_equal(mac, &n->mac));

	if (mac)
		n->mac = *mac;
	n->has_mac = true;
	n->member = (uint8_t)member;
	n->tries = 0;
	if (changed)
		tw_remotes_changed_by(c, n);
}

void tw_neigh_confirm(struct tw_core *c, struct tw_neigh *n, const struct mac *mac, unsigned int member)
{
	bool differs = mac && n->has_mac && !mac_equal(mac, &n->mac);

	if (!mac && !n->has_mac)
		return;
	if (differs && n->state == NEIGH_REACHABLE && tw_now(c) - n->confirmed < LOCKTIME)
		return;
	take_mac(c, n, mac, member);
	n->state = NEIGH_REACHABLE;
	n->confirmed = tw_now(c);
	wait(c, n, REACHABLE / 4 * 3 + tw_random_ns(c, REACHABLE / 2));
}

void tw_neigh_hint(struct tw_core *c, struct tw_neigh *n, const struct mac *mac, unsigned int member)
{
	bool same = n->has_mac && mac_equal(mac, &n->mac);

	/* Nothing new, and a question is under way or not due. */
	if (same && n->state != NEIGH_REACHABLE)
		return;
	if (same && tw_now(c) - n->confirmed < REACHABLE / 2)
		return;
	if (!same && n->state == NEIGH_REACHABLE && tw_now(c) - n->confirmed < LOCKTIME)
		return;
	take_mac(c, n, mac, member);
	n->state = NEIGH_STALE;
	wait(c, n, tw_random_ns(c, STALE_WAIT));
}

struct tw_neigh *tw_neigh_get(struct tw_core *c, uint16_t vlan, const struct ip_addr *address)
{
	struct tw_neigh *n = tw_neigh_find(c, vlan, address);
	uint64_t spread;

	if (n)
		return n;
	n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	n->key = (struct tw_neigh_key){ vlan, *address };
	n->member = TEAM_NO_MEMBER;
	n->turn = c->env.random(c->env.arg);
	LIST_INIT(&n->users);
	tw_timer_init(&n->timer, on_timer, c);
	if (tw_timers_reserve(&c->timers, 1) < 0)
		goto fail;
	if (!tsearch(n, &c->neigh_tree, compare))
		goto fail_timer;
	TAILQ_INSERT_TAIL(&c->neighs, n, list);
	c->n_neighs++;
	/* A fabric's worth of new neighbours is not asked in one burst. */
	spread = c->n_neighs * START_GAP;
	wait(c, n, tw_random_ns(c, spread < START_MAX ? spread : START_MAX));
	return n;

fail_timer:
	tw_timers_release(&c->timers, 1);
fail:
	free(n);
	return NULL;
}

void tw_neigh_free(struct tw_core *c, struct tw_neigh *n)
{
	tw_timer_cancel(&c->timers, &n->timer);
	tw_timers_release(&c->timers, 1);
	tdelete(n, &c->neigh_tree, compare);
	TAILQ_REMOVE(&c->neighs, n, list);
	c->n_neighs--;
	free(n);
}

void tw_neigh_kick(struct tw_core *c)
{
	struct tw_neigh *n;
	uint64_t spread = c->n_neighs * START_GAP;

	TAILQ_FOREACH(n, &c->neighs, list) {
		if (n->has_mac)
			continue;
		n->state = NEIGH_INCOMPLETE;
		n->tries = 0;
		wait(c, n, tw_random_ns(c, spread < START_MAX ? spread : START_MAX));
	}
}
