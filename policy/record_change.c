/* SPDX-License-Identifier: BSD-3-Clause */
/* Changes of records, after everything that could refuse them has been looked at: nothing here fails. */
#include "policy/records.h"

static void unlink_record(struct policy *p, uint32_t i, struct mac_ctl *c)
{
	struct policy_record *r = &p->records[i];

	if (r->prev != REC_NONE)
		p->records[r->prev].next = r->next;
	else
		c->head = r->next;
	if (r->next != REC_NONE)
		p->records[r->next].prev = r->prev;
	if (c->l2 == i)
		c->l2 = REC_NONE;
	c->n_records--;
	c->n_unusable -= r->flags & RECORD_F_UNUSABLE;
	/* The record may have been the one that held the number of this address. */
	c->pin = c->head == REC_NONE ? PIN_ANY : p->records[c->head].pa;
}

static void link_record(struct policy *p, uint32_t i, struct mac_ctl *c)
{
	struct policy_record *r = &p->records[i];

	r->prev = REC_NONE;
	r->next = c->head;
	if (c->head != REC_NONE)
		p->records[c->head].prev = i;
	c->head = i;
	if (!ip_is_set(&r->ca))
		c->l2 = i;
	c->n_records++;
	c->n_unusable += r->flags & RECORD_F_UNUSABLE;
}

void record_drop(struct policy *p, uint32_t i)
{
	struct policy_record *r = &p->records[i];
	struct mac_ctl *c = mac_open(p, r->vsid, mac_load(&r->mac));

	unlink_record(p, i, c);
	if (host_is_remote(p, r->host))
		member_sub(p, r->vsid, r->host, 1);
	host_unpin(p, r->host, r->pa);
	host_release(p, r->host);
	mac_publish(p, r->vsid, mac_load(&r->mac), c);
	r->prev = RECORD_FREE;
	grace_push(&p->record_grace, i);
}

static void set_place(struct policy *p, struct policy_record *r, union record_place to)
{
	union record_place was = record_place(r);

	__atomic_store_n(&r->place, to.word, __ATOMIC_RELEASE);
	if (was.host == to.host)
		return;
	if (host_is_remote(p, to.host))
		member_add(p, r->vsid, to.host, 1);
	if (host_is_remote(p, was.host))
		member_sub(p, r->vsid, was.host, 1);
}

void record_change(struct policy *p, const struct record_set *a)
{
	struct mac_ctl *c = mac_open(p, a->spec->vsid, a->mac);
	struct policy_record *r = &p->records[a->old];
	union record_place was = record_place(r), to = was;
	uint32_t i;

	to.host = a->host;
	to.pa = a->pin;
	to.type = a->spec->type;
	to.origin = (uint8_t)a->origin;
	to.flags = spec_flags(a->spec);
	c->n_unusable += (uint32_t)(to.flags & RECORD_F_UNUSABLE) - (was.flags & RECORD_F_UNUSABLE);
	for (i = was.host == to.host ? REC_NONE : c->head; i != REC_NONE; i = p->records[i].next) {
		union record_place o = record_place(&p->records[i]), moved = o;

		if (i == a->old)
			continue;
		p->host_ctl[a->host].n_records++;
		moved.host = a->host;
		moved.pa = PIN_ANY; /* an address of the host it left */
		set_place(p, &p->records[i], moved);
		host_unpin(p, o.host, o.pa);
		host_release(p, o.host);
	}
	set_place(p, r, to);
	host_unpin(p, was.host, was.pa);
	host_release(p, was.host);
	c->host = a->host;
	c->pin = a->pin;
	mac_publish(p, a->spec->vsid, a->mac, c);
}

void record_add(struct policy *p, const struct record_set *a, uint32_t i)
{
	struct policy_record *r = &p->records[i];
	struct mac_ctl *c = mac_open(p, a->spec->vsid, a->mac);
	uint64_t key = ca_key(p, a->spec->vsid, &a->spec->ca);
	uint32_t slot;

	/* Nobody sees the index yet; ca.family says whether there is one. */
	*r = (struct policy_record){ .host = a->host,
				     .port = c->port,
				     .type = a->spec->type,
				     .origin = (uint8_t)a->origin,
				     .pa = a->pin,
				     .flags = spec_flags(a->spec),
				     .vsid = a->spec->vsid,
				     .mac = a->spec->mac };
	if (spec_has_ca(a->spec))
		r->ca = a->spec->ca;
	link_record(p, i, c);
	c->host = a->host;
	c->pin = a->pin;
	if (host_is_remote(p, a->host))
		member_add(p, a->spec->vsid, a->host, 1);
	mac_publish(p, a->spec->vsid, a->mac, c);
	if (!spec_has_ca(a->spec))
		return;
	slot = table_slot(&p->ca, key, 0);
	if (slot == TABLE_NONE)
		table_insert(&p->ca, key, 0, i);
	else
		table_set_value(&p->ca, slot, i);
}
