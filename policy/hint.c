/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hints: the host of a guest has told us that the guest has gone to another host, which policy does not know yet. A
 * hint changes where the MAC is until its time is over or anything is said about the MAC's records; records and what is
 * listed of them stay as policy has them.
 */
#include "policy/policy_private.h"

/* Records of the MAC lead the router to the MAC's entry, or not any more. */
static void mark_records(struct policy *p, const struct mac_ctl *c, bool hinted)
{
	for (uint32_t i = c->head; i != REC_NONE; i = p->records[i].next) {
		union record_place place = record_place(&p->records[i]);

		place.flags = (uint8_t)(hinted ? place.flags | RECORD_F_HINTED : place.flags & ~RECORD_F_HINTED);
		__atomic_store_n(&p->records[i].place, place.word, __ATOMIC_RELEASE);
	}
}

static struct hint *find(struct policy *p, uint32_t vsid, uint64_t mac)
{
	for (unsigned int i = 0; i < p->n_hints; i++)
		if (p->hints[i].vsid == vsid && p->hints[i].mac == mac)
			return &p->hints[i];
	return NULL;
}

static void drop(struct policy *p, struct hint *h)
{
	struct hint was = *h;
	struct mac_ctl *c = mac_open(p, was.vsid, was.mac); /* it has records: it is there */

	*h = p->hints[--p->n_hints];
	mark_records(p, c, false);
	c->hint = HOST_NONE;
	mac_publish(p, was.vsid, was.mac, c);
	host_release(p, was.to);
	policy_touch(p);
}

void hint_clear(struct policy *p, uint32_t vsid, uint64_t mac)
{
	struct hint *h = p->n_hints ? find(p, vsid, mac) : NULL;

	if (h)
		drop(p, h);
}

void hints_expire(struct policy *p, uint64_t now_ms)
{
	for (unsigned int i = 0; i < p->n_hints;)
		if (p->hints[i].until <= now_ms)
			drop(p, &p->hints[i]); /* another one is in its place now */
		else
			i++;
}

int policy_hint(struct policy *p, uint32_t vsid, const struct mac *mac, uint16_t from, uint16_t to, uint64_t until_ms)
{
	uint64_t key = mac_load(mac);
	const struct mac_ctl *known = mac_find(p, vsid, key);
	const struct policy_host *host = host_at(p, to);
	struct mac_ctl *c;
	struct hint *h;

	if (!known || known->gateway || known->port != PORT_NONE || !known->n_records ||
	    known->n_unusable == known->n_records || known->host == p->self)
		return -ENOENT;
	if ((known->hint == HOST_NONE ? known->host : known->hint) != from)
		return -ESTALE;
	if (!host || !host->n_pas || to == p->self || to == from)
		return -EINVAL;
	hint_clear(p, vsid, key);
	if (known->host == to) /* it is where policy has it, after all */
		return 0;
	if (p->n_hints == HINTS)
		return -ENOSPC;
	h = &p->hints[p->n_hints++];
	*h = (struct hint){ .vsid = vsid, .mac = key, .to = to, .until = until_ms };
	p->host_ctl[to].n_records++;
	c = mac_open(p, vsid, key);
	c->hint = to;
	mac_publish(p, vsid, key, c);
	mark_records(p, c, true);
	policy_touch(p);
	return 0;
}

/* ---- packet path ---- */

union record_place hinted_place(const struct policy *p, const struct policy_record *r, union record_place place)
{
	uint32_t v = policy_mac_lookup(p, r->vsid, mac_load(&r->mac));

	if (v != MACV_MISS && MACV_KIND(v) == MACV_REMOTE) {
		place.host = MACV_INDEX(v);
		place.pa = PIN_ANY; /* the record's is of the host it has left */
	}
	return place;
}
