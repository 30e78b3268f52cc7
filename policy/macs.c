/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a MAC is. A MAC may be known from a local port, from a subnet's gateway and from any number of
 * records; the value that workers see is computed from all of these each time one of them changes.
 */
#include "policy/policy_private.h"

int macs_init(struct policy *p)
{
	uint32_t entries = p->params.max_records > 32768 ? p->params.max_records : 32768;
	int r = table_init(&p->mac, entries, true, p->params.socket);

	if (r == 0)
		r = table_init(&p->local, POLICY_MAX_PORTS * PORT_MACS, true, p->params.socket);
	if (r == 0)
		r = mem_alloc(&p->mem_macs, (size_t)p->mac.limit * sizeof(struct mac_ctl), p->params.socket,
			      false);
	if (r < 0)
		return r;
	p->macs = p->mem_macs.p;
	p->mac_free = REC_NONE;
	return 0;
}

void macs_fini(struct policy *p)
{
	table_fini(&p->mac);
	table_fini(&p->local);
	mem_free(&p->mem_macs);
}

int mac_reserve(struct policy *p, uint32_t n)
{
	return table_reserve(&p->mac, n);
}

const struct mac_ctl *mac_find(const struct policy *p, uint32_t vsid, uint64_t mac)
{
	uint32_t slot = table_slot(&p->mac, mac_key(vsid, mac), MAC_TAG(vsid));

	return slot == TABLE_NONE ? NULL : &p->macs[p->mac.link[slot]];
}

struct mac_ctl *mac_open(struct policy *p, uint32_t vsid, uint64_t mac)
{
	uint32_t slot = table_slot(&p->mac, mac_key(vsid, mac), MAC_TAG(vsid));
	struct mac_ctl *c;

	if (slot != TABLE_NONE)
		return &p->macs[*table_note(&p->mac, slot)];
	/* Entries are as many as the table takes, and only main sees them: no grace period. */
	if (p->mac_free != REC_NONE) {
		c = &p->macs[p->mac_free];
		p->mac_free = c->head;
	} else {
		c = &p->macs[p->mac_fresh++];
	}
	*c = (struct mac_ctl){
		.head = REC_NONE, .l2 = REC_NONE, .port = PORT_NONE, .host = HOST_NONE, .hint = HOST_NONE,
		.pin = PIN_ANY
	};
	return c;
}

static uint32_t value_of(const struct policy *p, const struct mac_ctl *c)
{
	uint32_t wild = 0;

	if (c->gateway)
		return MACV_GATEWAY << 30;
	if (c->l2 != REC_NONE && p->records[c->l2].type == RECORD_GATEWAY_WILDCARD)
		wild = MACV_WILDCARD;
	if (c->port != PORT_NONE)
		return MACV_LOCAL << 30 | wild | c->port;
	if (c->host == p->self || c->n_unusable == c->n_records)
		return MACV_DEAD << 30 | wild | c->host;
	if (c->hint != HOST_NONE)
		return MACV_REMOTE << 30 | PIN_ANY << 25 | wild | c->hint;
	return MACV_REMOTE << 30 | (uint32_t)c->pin << 25 | wild | c->host;
}

static void put(struct table *t, uint64_t key, uint32_t tag, uint32_t slot, uint32_t value)
{
	if (slot == TABLE_NONE)
		table_insert(t, key, tag, value);
	else if (table_value(t, slot) != value)
		table_set_value(t, slot, value);
}

/* The local table follows: it is asked for the destination of every frame from the wire. */
static void publish_local(struct policy *p, uint64_t key, uint32_t tag, uint32_t value)
{
	uint32_t slot = table_slot(&p->local, key, tag);

	if (MACV_KIND(value) == MACV_LOCAL) {
		if (slot == TABLE_NONE)
			(void)table_reserve(&p->local,
					    1); /* ports x MACs fit; only held slots could be in the way */
		put(&p->local, key, tag, slot, value);
	} else if (slot != TABLE_NONE) {
		table_remove(&p->local, slot);
	}
}

void mac_publish(struct policy *p, uint32_t vsid, uint64_t mac, struct mac_ctl *c)
{
	uint64_t key = mac_key(vsid, mac);
	uint32_t tag = MAC_TAG(vsid), slot = table_slot(&p->mac, key, tag), value;

	if (!c->gateway && c->port == PORT_NONE && !c->n_records) {
		if (slot != TABLE_NONE) {
			publish_local(p, key, tag, TABLE_MISS);
			table_remove(&p->mac, slot);
		}
		away_publish(p, vsid, mac, NULL);
		c->head = p->mac_free;
		p->mac_free = (uint32_t)(c - p->macs);
		return;
	}
	value = value_of(p, c);
	if (slot == TABLE_NONE) {
		slot = table_insert(&p->mac, key, tag, value);
		*table_note(&p->mac, slot) = (uint32_t)(c - p->macs);
	} else {
		put(&p->mac, key, tag, slot, value);
	}
	publish_local(p, key, tag, value);
	away_publish(p, vsid, mac, c);
}

void mac_set_port(struct policy *p, uint32_t vsid, uint64_t mac, uint16_t port)
{
	struct mac_ctl *c;

	hint_clear(p, vsid, mac);
	c = mac_open(p, vsid, mac);
	if (c->port != PORT_NONE && port == PORT_NONE)
		away_left(p, vsid, mac);
	c->port = port;
	for (uint32_t i = c->head; i != REC_NONE; i = p->records[i].next) {
		union record_place place = record_place(&p->records[i]);

		place.port = port;
		__atomic_store_n(&p->records[i].place, place.word, __ATOMIC_RELEASE);
	}
	mac_publish(p, vsid, mac, c);
}

/* ---- packet path ---- */

uint32_t policy_mac_lookup(const struct policy *p, uint32_t vsid, uint64_t mac)
{
	return table_find(&p->mac, mac_key(vsid, mac), MAC_TAG(vsid));
}
