/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lookup records. A record is one cache line in an array; the CA table leads to its index, and the records of
 * one (VSID, MAC) form a list whose head is in the MAC's entry. A set first looks at everything that could
 * refuse it and gets hold of all it needs, then changes: there is nothing to undo.
 */
#include <stdlib.h>

#include "base/str.h"
#include "policy/records.h"
#include "policy/router.h"

int records_init(struct policy *p)
{
	uint32_t cap = p->params.max_records;
	int r;

	/* A record whose MAC changes takes a new place while the old one waits for its grace period. */
	cap += cap / 4 + 4096;
	r = mem_alloc(&p->mem_records, (size_t)cap * sizeof(struct policy_record), p->params.socket, false);
	if (r == 0)
		r = mem_alloc(&p->mem_record_link, (size_t)cap * sizeof(uint32_t), p->params.socket, false);
	if (r < 0)
		return r;
	p->records = p->mem_records.p;
	p->record_cap = cap;
	grace_init(&p->record_grace, p->mem_record_link.p);
	return 0;
}

void records_fini(struct policy *p)
{
	mem_free(&p->mem_records);
	mem_free(&p->mem_record_link);
}

/* Index of the record with the key of spec, or REC_NONE. */
static uint32_t find(const struct policy *p, const struct record_spec *spec)
{
	const struct mac_ctl *c;
	uint32_t v;

	if (spec_has_ca(spec)) {
		v = ca_find(p, spec->vsid, &spec->ca);
		return v == TABLE_MISS || v == CA_GATEWAY ? REC_NONE : v;
	}
	c = mac_find(p, spec->vsid, mac_load(&spec->mac));
	return c ? c->l2 : REC_NONE;
}

static void fill_spec(const struct policy *p, const struct policy_record *r, struct record_spec *s)
{
	*s = (struct record_spec){ .vsid = r->vsid, .ca = r->ca, .mac = r->mac, .type = r->type };
	str_copy(s->host, sizeof(s->host), p->host_ctl[r->host].id);
	s->provider_address = host_pin_address(p, r->host, r->pa);
	s->unusable = r->flags & RECORD_F_UNUSABLE;
	s->unsynchronized = r->flags & RECORD_F_UNSYNCHRONIZED;
}

bool policy_record_usable(const struct policy *p, const struct record_spec *rec)
{
	uint32_t i = find(p, rec);

	return i == REC_NONE || record_usable(p, record_place(&p->records[i]));
}

static bool same(const struct policy *p, const struct record_set *a)
{
	const struct policy_record *r = &p->records[a->old];
	struct ip_addr pa = host_pin_address(p, r->host, r->pa);

	return r->origin == a->origin && r->type == a->spec->type && r->flags == spec_flags(a->spec) &&
	       mac_equal(&r->mac, &a->spec->mac) && strcmp(p->host_ctl[r->host].id, a->spec->host) == 0 &&
	       ip_equal(&pa, &a->spec->provider_address);
}

/* ---- contradictions ---- */

static int check_gateway(const struct policy *p, const struct record_set *a, struct errbuf *err)
{
	const struct record_spec *s = a->spec;
	char text[IP_STR];

	if (spec_has_ca(s) && ca_find(p, s->vsid, &s->ca) == CA_GATEWAY)
		return err_set(err, EEXIST, "%s is the gateway address of virtual-subnet %u",
			       format_ip(&s->ca, text), s->vsid);
	/* Two IPv6 addresses with one hash: 2^-63 for a pair, but never a wrong answer. */
	if (spec_has_ca(s) && a->old == REC_NONE &&
	    table_slot(&p->ca, ca_key(p, s->vsid, &s->ca), 0) != TABLE_NONE)
		return err_set(err, EEXIST,
			       "%s shares its hash with another customer address of virtual-subnet %u",
			       format_ip(&s->ca, text), s->vsid);
	if (a->ctl && a->ctl->gateway)
		return err_set(err, EEXIST, "%s is the gateway MAC of virtual-subnet %u",
			       format_mac(&s->mac, text), s->vsid);
	return 0;
}

static int on_two_hosts(const struct policy *p, const struct record_set *a, uint32_t other,
			struct errbuf *err)
{
	const struct policy_record *r = &p->records[other];
	char key[96], mac[MAC_STR];
	struct record_spec s;

	fill_spec(p, r, &s);
	object_key(OBJECT_RECORD, &s, key, sizeof(key));
	return err_set(err, EEXIST,
		       "MAC %s is on host %s by record %s (origin %s), it cannot be on host %s too",
		       format_mac(&a->spec->mac, mac), s.host, key, origin_names[r->origin], a->spec->host);
}

/*
 * One MAC is on one host. A new record cannot say otherwise; a change of the record that is there moves the
 * MAC, and its other records (its other CAs) go along, unless one of a stronger origin holds it back: a VM
 * moves in one step.
 */
static int check_host(const struct policy *p, const struct record_set *a, struct errbuf *err)
{
	uint32_t i;

	if (!a->ctl || !a->ctl->n_records || strcmp(p->host_ctl[a->ctl->host].id, a->spec->host) == 0)
		return 0;
	for (i = a->ctl->head; i != REC_NONE; i = p->records[i].next)
		if (i != a->old &&
		    (a->old == REC_NONE || !mac_equal(&p->records[a->old].mac, &a->spec->mac) ||
		     p->records[i].origin < a->origin))
			return on_two_hosts(p, a, i, err);
	return 0;
}

/*
 * How many of the VSID's records leave host `from` when `a` is done: those of the MAC if it moves, else the
 * old one.
 */
static uint32_t leaving(const struct policy *p, const struct record_set *a, bool in_place)
{
	return in_place ? a->ctl->n_records : 1;
}

static int prepare_flood(const struct policy *p, struct record_set *a, bool in_place, struct errbuf *err)
{
	struct flood_change c = { PORT_NONE, PORT_NONE, HOST_NONE, HOST_NONE };
	uint32_t vsid = a->spec->vsid;
	uint16_t from = a->old == REC_NONE ? HOST_NONE : p->records[a->old].host;

	if (from == a->host)
		return 0;
	if (host_is_remote(p, a->host) && member_count(p, vsid, a->host) == 0)
		c.add_host = a->host;
	if (from != HOST_NONE && host_is_remote(p, from) &&
	    member_count(p, vsid, from) == leaving(p, a, in_place))
		c.del_host = from;
	if (flood_prepare(a->segment, &c, &a->flood) < 0)
		return err_set(err, ENOMEM, "no memory for the flood set of virtual-subnet %u", vsid);
	return 0;
}

/* Room in every table that a new record can need. */
static int reserve(struct policy *p, struct record_set *a, uint32_t *ret_index, struct errbuf *err)
{
	if (a->old == REC_NONE && p->counts[OBJECT_RECORD] >= p->params.max_records)
		return err_set(err, ENOSPC, "there are %u lookup records, which is max-records",
			       p->params.max_records);
	if (mac_reserve(p, 1) < 0 || table_reserve(&p->ca, 1) < 0 || table_reserve(&p->members, 1) < 0)
		return err_set(err, ENOSPC, "the tables are full or wait for a stalled worker");
	*ret_index = policy_number(&p->record_grace, &p->record_fresh, p->record_cap);
	if (*ret_index == GRACE_NONE)
		return err_set(err, ENOSPC, "every place for a record waits for a stalled worker");
	return 0;
}

static int replace(struct policy *p, struct record_set *a, bool in_place, struct errbuf *err)
{
	uint32_t index = REC_NONE;
	int r = prepare_flood(p, a, in_place, err);

	if (r < 0)
		return r;
	if (in_place)
		r = table_reserve(&p->members, 1) < 0
			    ? err_set(err, ENOSPC, "too many pairs of VSID and host")
			    : 0;
	else
		r = reserve(p, a, &index, err);
	if (r < 0) {
		free(a->flood);
		return r;
	}
	if (in_place) {
		record_change(p, a);
	} else {
		if (p->on_record_place)
			p->on_record_place(p->on_record_place_arg, index, a->old);
		record_add(p, a, index);
		if (a->old != REC_NONE) {
			record_drop(p, a->old);
		} else {
			p->counts[OBJECT_RECORD]++;
			a->segment->n_records++;
		}
	}
	if (a->flood)
		flood_commit(p, a->segment, a->flood);
	policy_touch(p);
	return 0;
}

static int hold_and_replace(struct policy *p, struct record_set *a, struct errbuf *err)
{
	bool in_place = a->old != REC_NONE && mac_equal(&p->records[a->old].mac, &a->spec->mac);
	int r = host_hold(p, a->spec->host, &a->host, err);

	if (r < 0)
		return r;
	r = host_pin(p, a->host, &a->spec->provider_address, &a->pin, err);
	if (r < 0)
		goto release_host;
	a->segment = segment_get(p, a->spec->vsid);
	if (!a->segment) {
		r = err_set(err, ENOMEM, "no memory for VSID %u", a->spec->vsid);
		goto unpin;
	}
	r = replace(p, a, in_place, err);
	if (r == 0)
		return 0;
	segment_put(p, a->segment);
unpin:
	host_unpin(p, a->host, a->pin);
release_host:
	host_release(p, a->host);
	return r;
}

static int record_set(struct policy *p, const void *spec, enum origin origin, struct errbuf *err)
{
	struct record_set a = { .spec = spec, .origin = origin };
	int r;

	a.mac = mac_load(&a.spec->mac);
	a.old = find(p, spec);
	hint_clear(p, a.spec->vsid, a.mac);
	if (a.old != REC_NONE)
		hint_clear(p, a.spec->vsid, mac_load(&p->records[a.old].mac));
	a.ctl = mac_find(p, a.spec->vsid, a.mac);
	if (a.old != REC_NONE) {
		r = origin_may_set(p->records[a.old].origin, origin, err);
		if (r < 0)
			return r;
		if (same(p, &a))
			return 1;
	}
	r = check_gateway(p, &a, err);
	if (r == 0)
		r = check_host(p, &a, err);
	if (r == 0)
		r = hold_and_replace(p, &a, err);
	return r;
}

static int record_remove(struct policy *p, const void *spec_, enum origin origin, struct errbuf *err)
{
	const struct record_spec *spec = spec_;
	uint32_t i = find(p, spec);
	struct flood_change c = { PORT_NONE, PORT_NONE, HOST_NONE, HOST_NONE };
	struct policy_flood *flood = NULL;
	struct policy_record *r;
	struct segment *s;
	int ret;

	if (i == REC_NONE || (!mac_is_zero(&spec->mac) && !mac_equal(&spec->mac, &p->records[i].mac)))
		return err_set(err, ENOENT, "there is no such record");
	r = &p->records[i];
	ret = origin_may_remove(r->origin, origin, err);
	if (ret < 0)
		return ret;
	hint_clear(p, r->vsid, mac_load(&r->mac));
	s = segment_find(p, r->vsid);
	if (host_is_remote(p, r->host) && member_count(p, r->vsid, r->host) == 1)
		c.del_host = r->host;
	if (flood_prepare(s, &c, &flood) < 0)
		return err_set(err, ENOMEM, "no memory for the flood set of virtual-subnet %u", r->vsid);
	if (ip_is_set(&r->ca))
		table_remove(&p->ca, table_slot(&p->ca, ca_key(p, r->vsid, &r->ca), 0));
	record_drop(p, i);
	if (flood)
		flood_commit(p, s, flood);
	p->counts[OBJECT_RECORD]--;
	s->n_records--;
	segment_put(p, s);
	policy_touch(p);
	return 0;
}

static int record_get(const struct policy *p, void *spec, enum origin *ret_origin)
{
	const struct record_spec *key = spec;
	uint32_t i = find(p, key);

	if (i == REC_NONE)
		return -ENOENT;
	*ret_origin = p->records[i].origin;
	fill_spec(p, &p->records[i], spec);
	return 0;
}

static int record_next(const struct policy *p, uint64_t *cursor, void *ret_spec, enum origin *ret_origin)
{
	while (*cursor < p->record_fresh) {
		const struct policy_record *r = &p->records[(*cursor)++];

		if (r->prev == RECORD_FREE)
			continue;
		*ret_origin = r->origin;
		fill_spec(p, r, ret_spec);
		return 1;
	}
	return 0;
}

int policy_mac_records(const struct policy *p, uint32_t vsid, const struct mac *mac, uint64_t *cursor,
		       struct record_spec *ret, enum origin *ret_origin)
{
	const struct mac_ctl *c = mac_find(p, vsid, mac_load(mac));
	uint32_t i = c ? c->head : REC_NONE;

	if (*cursor)
		i = p->records[*cursor - 1].next;
	if (!c || i == REC_NONE)
		return 0;
	*cursor = i + 1u;
	*ret_origin = p->records[i].origin;
	fill_spec(p, &p->records[i], ret);
	return 1;
}

const struct kind_ops record_ops = { record_set, record_remove, record_get, record_next };

uint32_t policy_record_place(const struct policy *p, const struct record_spec *rec)
{
	return find(p, rec);
}

/* ---- packet path ---- */

const struct policy_record *policy_record(const struct policy *p, uint32_t index)
{
	return index < p->record_cap ? &p->records[index] : NULL;
}

uint32_t policy_ca_lookup(const struct policy *p, uint32_t vsid, const struct ip_addr *ca)
{
	uint32_t v = ca_find(p, vsid, ca);

	return v == TABLE_MISS || v == CA_GATEWAY ? REC_NONE : v;
}
