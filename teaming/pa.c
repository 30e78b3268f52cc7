/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Our provider addresses: duplicate address detection, announcement, defence.
 *
 *	TENTATIVE --nobody objects--> PREFERRED --contested twice in 10 s--> DUPLICATE
 *	TENTATIVE --somebody objects--> DUPLICATE --nobody objects any more--> PREFERRED
 *
 * An address that was preferred before a restart begins as PREFERRED and is checked meanwhile. A move to
 * another member checks nothing: the address stays this host's.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "teaming/core.h"
#include "teaming/frames.h"

/*
 * The method of RFC 5227 and RFC 4862, at a data centre's pace: RFC 5227's own constants (up to 9 s) were
 * chosen for hosts that meet by chance on slow links; here addresses come from a plan, and watching goes on
 * for as long as they are used.
 */
#define PROBE_WAIT    (100 * MS_NS) /* random delay before the first probe */
#define PROBE_NUM     3
#define PROBE_GAP     (200 * MS_NS)
#define PROBE_LAST    (400 * MS_NS) /* after the last */
#define RECHECK	      (60 * S_NS)   /* a duplicate address is tried again */
#define DEFEND	      (10 * S_NS)   /* RFC 5227 2.4 (b) DEFEND_INTERVAL */
#define KEEPALIVE_MIN (40 * S_NS)   /* every PA is heard at least every 60 s, or switches forget its MAC */
#define KEEPALIVE_VAR (15 * S_NS)
#define SETTLE_RETRY  (MS_NS / 5)
#define SETTLE_MAX    (20 * MS_NS)

static const uint64_t announce_at[] = { 0, 100 * MS_NS, 500 * MS_NS, 2 * S_NS };
#define ANNOUNCE_NUM (sizeof(announce_at) / sizeof(announce_at[0]))

void tw_pa_derive_mac(const char *host_id, const struct pa_spec *spec, struct mac *ret)
{
	uint64_t h = 0xcbf29ce484222325u; /* FNV-1a, then mixed */
	const char *c;

	if (!mac_is_zero(&spec->mac)) {
		*ret = spec->mac;
		return;
	}
	for (c = host_id; *c; c++)
		h = (h ^ (uint8_t)*c) * 0x100000001b3u;
	h *= 0x100000001b3u;
	for (unsigned int i = 0; i < (spec->address.family == 4 ? 4u : 16u); i++)
		h = (h ^ spec->address.b[i]) * 0x100000001b3u;
	h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9u;
	h ^= h >> 32;
	memcpy(ret, &h, 6);
	/*
	 * Locally administered, unicast, and of those IEEE 802c leaves to the administrator: second digit 2.
	 */
	ret->b[0] = (ret->b[0] & 0xf0) | 0x02;
}

struct tw_pa *tw_pa_find(struct tw_core *c, uint16_t vlan, const struct ip_addr *address)
{
	for (unsigned int i = 0; i < LOCAL_PAS; i++)
		if (c->pas[i].used && c->pas[i].spec.vlan == vlan && ip_equal(&c->pas[i].spec.address, address))
			return &c->pas[i];
	return NULL;
}

bool tw_pa_is_own_mac(const struct tw_core *c, const struct mac *mac)
{
	for (unsigned int i = 0; i < LOCAL_PAS; i++)
		if (c->pas[i].used && mac_equal(&c->pas[i].spec.mac, mac))
			return true;
	return false;
}

/* ---- frames ---- */

static void send_frame(struct tw_core *c, const struct tw_pa *pa, const uint8_t *frame, uint32_t len)
{
	if (pa->now != TEAM_NO_MEMBER)
		c->env.send(c->env.arg, pa->now, frame, len);
}

static struct tw_frame_from from_pa(const struct tw_pa *pa)
{
	return (struct tw_frame_from){ .mac = pa->spec.mac, .vlan = pa->spec.vlan, .address = pa->spec.address };
}

/* ARP request with sender = target (RFC 5227 3), or unsolicited NA with override (RFC 4861 7.2.6). */
static void announce(struct tw_core *c, const struct tw_pa *pa)
{
	struct tw_frame_from from = from_pa(pa);
	uint8_t buf[TW_FRAME_FIXED_MAX];
	uint32_t len;

	if (pa->spec.address.family == 4)
		len = tw_frame_arp(buf, ARP_REQUEST, &from, NULL, &pa->spec.address, NULL);
	else
		len = tw_frame_na(buf, &from, NULL, NULL, NA_OVERRIDE);
	send_frame(c, pa, buf, len);
}

/* ARP request from 0.0.0.0 (RFC 5227 2.1.1), or NS from :: (RFC 4862 5.4.2). */
static void probe(struct tw_core *c, const struct tw_pa *pa)
{
	struct tw_frame_from from = from_pa(pa);
	uint8_t buf[TW_FRAME_FIXED_MAX];
	uint32_t len;

	from.address = (struct ip_addr){ 0 };
	if (pa->spec.address.family == 4)
		len = tw_frame_arp(buf, ARP_REQUEST, &from, NULL, &pa->spec.address, NULL);
	else
		len = tw_frame_ns(buf, &from, NULL, &pa->spec.address);
	send_frame(c, pa, buf, len);
}

/* ---- states ---- */

static void set_state(struct tw_core *c, struct tw_pa *pa, enum pa_state state, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void set_state(struct tw_core *c, struct tw_pa *pa, enum pa_state state, const char *fmt, ...)
{
	char text[100];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pa->state = (uint8_t)state;
	c->dirty |= TW_DIRTY_VIEW | TW_DIRTY_STATE;
	tw_remotes_changed_all(c);
	tw_event(c, TEAMING_PA, pa->now, pa, "%s", text);
}

static void start_announcing(struct tw_core *c, struct tw_pa *pa)
{
	pa->announced = 0;
	pa->announce_from = tw_now(c);
	tw_timer_set(&c->timers, &pa->announce, pa->announce_from);
}

static void start_check(struct tw_core *c, struct tw_pa *pa, uint64_t after)
{
	pa->probes = 0;
	tw_timer_set(&c->timers, &pa->dad, tw_now(c) + after);
}

static void on_announce(struct tw_timer *t, void *arg)
{
	struct tw_core *c = arg;
	struct tw_pa *pa = (void *)((char *)t - offsetof(struct tw_pa, announce));
	uint64_t now = tw_now(c);

	if (!tw_pa_in_use(pa) || pa->now == TEAM_NO_MEMBER)
		return;
	/*
	 * Workers may still send from this address by the old member. Our first frame on the new one has to
	 * be the last that the switch learns from.
	 */
	if (!pa->announced && !c->env.settled(c->env.arg) && now < pa->announce_from + SETTLE_MAX) {
		tw_timer_set(&c->timers, t, now + SETTLE_RETRY);
		return;
	}
	announce(c, pa);
	if (++pa->announced < ANNOUNCE_NUM)
		tw_timer_set(&c->timers, t, pa->announce_from + announce_at[pa->announced]);
	tw_timer_set(&c->timers, &pa->keepalive, now + KEEPALIVE_MIN + tw_random_ns(c, KEEPALIVE_VAR));
}

static void on_keepalive(struct tw_timer *t, void *arg)
{
	struct tw_core *c = arg;
	struct tw_pa *pa = (void *)((char *)t - offsetof(struct tw_pa, keepalive));

	if (!tw_pa_in_use(pa))
		return;
	announce(c, pa);
	tw_timer_set(&c->timers, t, tw_now(c) + KEEPALIVE_MIN + tw_random_ns(c, KEEPALIVE_VAR));
}

static void passed(struct tw_core *c, struct tw_pa *pa)
{
	char text[IP_STR];

	pa->checked = true;
	if (pa->state == PA_PREFERRED)
		return;
	set_state(c, pa, PA_PREFERRED, "%s is ours", format_ip(&pa->spec.address, text));
	start_announcing(c, pa);
	tw_neigh_kick(c);
}

static void on_dad(struct tw_timer *t, void *arg)
{
	struct tw_core *c = arg;
	struct tw_pa *pa = (void *)((char *)t - offsetof(struct tw_pa, dad));

	if (pa->now == TEAM_NO_MEMBER)
		return; /* goes on when it is placed */
	if (pa->probes == PROBE_NUM) {
		passed(c, pa);
		return;
	}
	probe(c, pa);
	pa->probes++;
	tw_timer_set(&c->timers, t, tw_now(c) + (pa->probes < PROBE_NUM ? PROBE_GAP : PROBE_LAST));
}

static void duplicate(struct tw_core *c, struct tw_pa *pa, const struct mac *mac)
{
	char ip[IP_STR], text[MAC_STR];

	pa->checked = false;
	tw_timer_cancel(&c->timers, &pa->announce);
	tw_timer_cancel(&c->timers, &pa->keepalive);
	start_check(c, pa, RECHECK);
	if (pa->state != PA_DUPLICATE)
		set_state(c, pa, PA_DUPLICATE, "%s is used by %s as well: not used here",
			  format_ip(&pa->spec.address, ip), format_mac(mac, text));
}

void tw_pa_conflict(struct tw_core *c, struct tw_pa *pa, const struct mac *mac)
{
	uint64_t now = tw_now(c);
	char ip[IP_STR], text[MAC_STR];

	if (!tw_pa_in_use(pa)) {
		duplicate(c, pa, mac);
		return;
	}
	/* RFC 5227 2.4 (b): defend once, give up when the other one insists. */
	if (pa->contested && now - pa->contested_at < DEFEND) {
		duplicate(c, pa, mac);
		return;
	}
	pa->contested = true;
	pa->contested_at = now;
	announce(c, pa);
	tw_event(c, TEAMING_PA, pa->now, pa, "%s is claimed by %s: defended", format_ip(&pa->spec.address, ip),
		 format_mac(mac, text));
}

void tw_pa_start(struct tw_core *c, struct tw_pa *pa, bool trusted)
{
	tw_timer_init(&pa->dad, on_dad, c);
	tw_timer_init(&pa->announce, on_announce, c);
	tw_timer_init(&pa->keepalive, on_keepalive, c);
	pa->checked = pa->contested = false;
	pa->probes = pa->announced = 0;
	pa->home = pa->now = pa->prev = TEAM_NO_MEMBER;
	pa->state = trusted ? PA_PREFERRED : PA_TENTATIVE;
	c->dirty |= TW_DIRTY_VIEW;
}

void tw_pa_stop(struct tw_core *c, struct tw_pa *pa)
{
	char text[IP_STR];

	tw_timer_cancel(&c->timers, &pa->dad);
	tw_timer_cancel(&c->timers, &pa->announce);
	tw_timer_cancel(&c->timers, &pa->keepalive);
	set_state(c, pa, PA_INVALID, "%s is not configured any more", format_ip(&pa->spec.address, text));
	pa->used = false;
}

void tw_pa_placed(struct tw_core *c, struct tw_pa *pa, uint8_t before)
{
	char text[IP_STR];

	if (pa->now == TEAM_NO_MEMBER) {
		tw_timer_cancel(&c->timers, &pa->announce);
		tw_timer_cancel(&c->timers, &pa->keepalive);
		return;
	}
	/* A check that is under way goes on from the new member; one that had nowhere to ask begins. */
	if (!pa->checked && !tw_timer_armed(&pa->dad))
		start_check(c, pa, tw_random_ns(c, PROBE_WAIT));
	if (!tw_pa_in_use(pa))
		return;
	/* A cooperating switch has one logical port for all members: nothing to tell it. */
	if (tw_independent(c) || before == TEAM_NO_MEMBER)
		start_announcing(c, pa);
	if (before != TEAM_NO_MEMBER && tw_independent(c))
		tw_event(c, TEAMING_PA, pa->now, pa, "%s moved from %s to %s", format_ip(&pa->spec.address, text),
			 c->members[before].spec.name, c->members[pa->now].spec.name);
}
