/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MACs that were here and are elsewhere now: what the old host of a guest that has moved goes by. In the table are
 * those of local ports that records place on another host (their guest has gone, the port is not removed yet), and for
 * a while those that had a port here, whether a record still names them or not. The packet path asks it only for
 * packets that it would drop. Why a while: a host that floods a packet for a MAC it does not know sends it to us as
 * well, and who has the guest then gets it twice.
 */
#include "base/tick.h"
#include "policy/policy_private.h"

#define AWAY_ENTRIES (POLICY_MAX_PORTS * PORT_MACS + DEPARTED_MAX)

int away_init(struct policy *p)
{
	return table_init(&p->away, AWAY_ENTRIES, true, p->params.socket);
}

void away_fini(struct policy *p)
{
	table_fini(&p->away);
}

static uint32_t elsewhere(const struct policy *p, const struct mac_ctl *c)
{
	if (!c || c->gateway || !c->n_records || c->n_unusable == c->n_records || c->host == p->self)
		return AWAY_UNKNOWN;
	return MACV_REMOTE << 30 | (uint32_t)c->pin << 25 | c->host;
}

void away_publish(struct policy *p, uint32_t vsid, uint64_t mac, const struct mac_ctl *c)
{
	bool here = c && c->port != PORT_NONE;
	uint64_t key = mac_key(vsid, mac);
	uint32_t tag = MAC_TAG(vsid), slot, value;

	if (!p->away.count && !here)
		return; /* the usual case: tables of a million records are loaded this way */
	slot = table_slot(&p->away, key, tag);
	value = elsewhere(p, c);
	if (slot != TABLE_NONE && here && *table_note(&p->away, slot)) {
		p->departed[*table_note(&p->away, slot) - 1].vsid = 0; /* it is back */
		*table_note(&p->away, slot) = 0;
	}
	if (slot != TABLE_NONE && value == AWAY_UNKNOWN && !*table_note(&p->away, slot)) {
		table_remove(&p->away, slot);
	} else if (slot != TABLE_NONE) {
		if (table_value(&p->away, slot) != value)
			table_set_value(&p->away, slot, value);
	} else if (here && value != AWAY_UNKNOWN && table_reserve(&p->away, 1) == 0) {
		*table_note(&p->away, table_insert(&p->away, key, tag, value)) = 0;
	}
}

/* The oldest is not remembered any more. */
static void forget_first(struct policy *p)
{
	struct departed *d = &p->departed[p->departed_first];
	uint32_t index = p->departed_first + 1;
	uint32_t slot = d->vsid ? table_slot(&p->away, mac_key(d->vsid, d->mac), MAC_TAG(d->vsid)) : TABLE_NONE;

	p->departed_first = (p->departed_first + 1) % DEPARTED_MAX;
	p->n_departed--;
	if (slot == TABLE_NONE || *table_note(&p->away, slot) != index)
		return;
	*table_note(&p->away, slot) = 0;
	if (!mac_find(p, d->vsid, d->mac) || mac_find(p, d->vsid, d->mac)->port == PORT_NONE)
		table_remove(&p->away, slot);
}

void away_left(struct policy *p, uint32_t vsid, uint64_t mac)
{
	uint64_t key = mac_key(vsid, mac);
	uint32_t slot, i;

	if (!vsid || !p->departed_ms)
		return;
	if (p->n_departed == DEPARTED_MAX)
		forget_first(p);
	slot = table_slot(&p->away, key, MAC_TAG(vsid));
	if (slot == TABLE_NONE && table_reserve(&p->away, 1) < 0)
		return;
	if (slot == TABLE_NONE) {
		slot = table_insert(&p->away, key, MAC_TAG(vsid), AWAY_UNKNOWN);
		*table_note(&p->away, slot) = 0;
	}
	i = (p->departed_first + p->n_departed++) % DEPARTED_MAX;
	p->departed[i] = (struct departed){ .vsid = vsid, .mac = mac, .since = tick_ms() };
	*table_note(&p->away, slot) = i + 1;
}

void away_expire(struct policy *p, uint64_t now_ms)
{
	while (p->n_departed) {
		const struct departed *d = &p->departed[p->departed_first];

		if (d->vsid && now_ms < d->since + p->departed_ms)
			return;
		forget_first(p);
	}
}

void policy_set_departed(struct policy *p, uint32_t ms)
{
	p->departed_ms = ms;
	away_expire(p, tick_ms());
}

bool policy_expire(struct policy *p, uint64_t now_ms)
{
	uint32_t before = p->n_departed;

	away_expire(p, now_ms);
	hints_expire(p, now_ms);
	return p->n_departed != before;
}

bool policy_departed_next(const struct policy *p, uint32_t *cursor, uint32_t *ret_vsid)
{
	uint32_t last = *cursor ? *ret_vsid : 0;

	while (*cursor < p->n_departed) {
		const struct departed *d = &p->departed[(p->departed_first + (*cursor)++) % DEPARTED_MAX];

		if (!d->vsid || d->vsid == last)
			continue;
		*ret_vsid = d->vsid;
		return true;
	}
	return false;
}

/* ---- packet path ---- */

uint8_t policy_pin_pa(const struct policy *p, uint32_t macv)
{
	return host_pin_pa(p, MACV_INDEX(macv), MACV_PA(macv));
}

uint32_t policy_away(const struct policy *p, uint32_t vsid, uint64_t mac)
{
	return table_find(&p->away, mac_key(vsid, mac), MAC_TAG(vsid));
}
