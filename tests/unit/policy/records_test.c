/* SPDX-License-Identifier: BSD-3-Clause */
/* Oracle: random changes of records, ports and hosts, against a list that is searched from end to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/str.h"
#include "policy/policy_private.h"
#include "policy_world.h"

#define VSIDS	4
#define MACS	24
#define CAS	32 /* half of them IPv6; 0: none */
#define HOSTS	6
#define PORTS	8
#define RECORDS (VSIDS * (CAS + MACS))
#define STEPS	30000

/* Two of them differ in the byte that is the table's tag only. */
static const uint32_t vsids[VSIDS] = { 5001, 5001 + (7 << 16), 5002, 16777214 };

struct naive_record {
	bool used;
	unsigned int vsid, ca, mac, host, type, origin, pa; /* pa: 0 any, 1.. of the host */
	bool unusable;
	unsigned int linked; /* when it came to its MAC */
};

static struct naive {
	struct naive_record r[RECORDS];
	struct {
		bool used;
		unsigned int vsid;
		bool mac[MACS];
	} ports[PORTS];
	unsigned int last_pa[VSIDS]
			    [MACS]; /* of the record of a MAC that was set last, or came last of those left */
	unsigned int now;
	bool host_defined[HOSTS];
} n;

static struct ip_addr ca_of(unsigned int i)
{
	struct ip_addr a = { 0 };

	if (!i)
		return a;
	a.family = i % 2 ? 4 : 6;
	a.b[0] = a.family == 4 ? 10 : 0xfd;
	a.b[a.family == 4 ? 3 : 15] = (uint8_t)i;
	return a;
}

static struct mac mac_of(unsigned int i)
{
	return (struct mac){ { 2, 0, 0, (uint8_t)(i * 37), 0, (uint8_t)i } };
}

static struct ip_addr pa_of(unsigned int host, unsigned int pa)
{
	return pa ? (struct ip_addr){ .family = 4, .b = { 192, 0, (uint8_t)host, (uint8_t)pa } }
		  : (struct ip_addr){ 0 };
}

static void host_id(unsigned int i, char id[ID_SIZE])
{
	snprintf(id, ID_SIZE, "h%u", i + 1); /* h1 is this host */
}

static struct naive_record *find(unsigned int vsid, unsigned int ca, unsigned int mac)
{
	for (unsigned int i = 0; i < RECORDS; i++)
		if (n.r[i].used && n.r[i].vsid == vsid && n.r[i].ca == ca && (ca || n.r[i].mac == mac))
			return &n.r[i];
	return NULL;
}

/* A record has left its MAC. */
static void left(unsigned int vsid, unsigned int mac)
{
	unsigned int latest = 0;

	for (unsigned int i = 0; i < RECORDS; i++)
		if (n.r[i].used && n.r[i].vsid == vsid && n.r[i].mac == mac && n.r[i].linked > latest) {
			latest = n.r[i].linked;
			n.last_pa[vsid][mac] = n.r[i].pa;
		}
}

/* ---- steps: the same on both sides ---- */

static int naive_set(struct naive_record *s)
{
	struct naive_record *old = find(s->vsid, s->ca, s->mac), *free_one = NULL;
	bool moves = old && old->mac == s->mac;
	unsigned int old_mac = old ? old->mac : 0;

	s->linked = old ? old->linked : 0;

	if (old && old->origin < s->origin)
		return -EPERM;
	if (old && memcmp(old, s, sizeof(*s)) == 0)
		return 1;
	for (unsigned int i = 0; i < RECORDS; i++) {
		struct naive_record *o = &n.r[i];

		if (!o->used && !free_one)
			free_one = o;
		if (o->used && o != old && o->vsid == s->vsid && o->mac == s->mac && o->host != s->host &&
		    (!moves || o->origin < s->origin))
			return -EEXIST;
	}
	for (unsigned int i = 0; i < RECORDS; i++) {
		struct naive_record *o = &n.r[i];

		if (o->used && o != old && o->vsid == s->vsid && o->mac == s->mac && o->host != s->host) {
			o->host = s->host;
			o->pa = 0;
		}
	}
	if (!moves)
		s->linked = ++n.now;
	*(old ? old : free_one) = *s;
	if (old && !moves)
		left(s->vsid, old_mac);
	n.last_pa[s->vsid][s->mac] = s->pa;
	return 0;
}

static void step_set(struct policy *p, uint64_t *rnd)
{
	struct record_spec spec = { 0 };
	struct naive_record s;
	struct errbuf err;
	int want, got;

	memset(&s, 0, sizeof(s)); /* compared as bytes */
	s.used = true;
	s.vsid = (unsigned int)(world_random(rnd) % VSIDS);
	s.ca = (unsigned int)(world_random(rnd) % 4 ? world_random(rnd) % (CAS - 1) + 1 : 0);
	s.mac = (unsigned int)(world_random(rnd) % MACS);
	s.host = (unsigned int)(world_random(rnd) % HOSTS);
	s.type = s.ca ? world_random(rnd) % 2 : 2 + world_random(rnd) % 2;
	s.origin = (unsigned int)(world_random(rnd) % 8 ? 2 : world_random(rnd) % ORIGIN_COUNT);
	s.pa = (unsigned int)(world_random(rnd) % 3);
	s.unusable = world_random(rnd) % 4 == 0;
	if (world_random(rnd) % 2 && find(s.vsid, s.ca, s.mac)) /* change less, so that moves happen */
		s.mac = find(s.vsid, s.ca, s.mac)->mac;
	spec.vsid = vsids[s.vsid];
	spec.ca = ca_of(s.ca);
	spec.mac = mac_of(s.mac);
	host_id(s.host, spec.host);
	spec.provider_address = pa_of(s.host, s.pa);
	spec.type = (uint8_t)s.type;
	spec.unusable = s.unusable;
	want = naive_set(&s);
	got = policy_set(p, OBJECT_RECORD, &spec, (enum origin)s.origin, &err);
	if (want != got)
		fail_msg("set: %d, expected %d (%s)", got, want, got < 0 ? err.text : "");
}

static void step_remove(struct policy *p, uint64_t *rnd)
{
	struct naive_record *o = &n.r[world_random(rnd) % RECORDS];
	unsigned int origin =
		(unsigned int)(world_random(rnd) % 4 ? o->origin : world_random(rnd) % ORIGIN_COUNT);
	struct record_spec spec = { .vsid = vsids[o->vsid], .ca = ca_of(o->ca), .mac = mac_of(o->mac) };
	int want = origin == o->origin ? 0 : -EPERM;

	if (!o->used)
		return;
	assert_int_equal(policy_remove(p, OBJECT_RECORD, &spec, origin, NULL), want);
	if (want)
		return;
	o->used = false;
	left(o->vsid, o->mac);
}

static void step_port(struct policy *p, uint64_t *rnd)
{
	unsigned int i = (unsigned int)(world_random(rnd) % PORTS),
		     vsid = (unsigned int)(world_random(rnd) % VSIDS);
	struct port_spec spec = { .vsid = vsids[vsid], .queues = 1 };
	bool mac[MACS] = { false }, taken = false;

	snprintf(spec.id, sizeof(spec.id), "p%u", i);
	if (world_random(rnd) % 3 == 0) {
		assert_int_equal(policy_remove(p, OBJECT_PORT, &spec, ORIGIN_ADMIN, NULL),
				 n.ports[i].used ? 0 : -ENOENT);
		n.ports[i].used = false;
		return;
	}
	do {
		unsigned int m = (unsigned int)(world_random(rnd) % MACS);

		if (mac[m])
			continue;
		mac[m] = true;
		spec.macs[spec.n_macs++] = mac_of(m);
		for (unsigned int k = 0; k < PORTS; k++)
			taken |= k != i && n.ports[k].used && n.ports[k].vsid == vsid && n.ports[k].mac[m];
	} while (spec.n_macs < 2 || world_random(rnd) % 2);
	assert_in_set(policy_set(p, OBJECT_PORT, &spec, ORIGIN_ADMIN, NULL),
		      taken ? ((LargestIntegralType[]){ (LargestIntegralType)-EEXIST })
			    : ((LargestIntegralType[]){ 0, 1 }),
		      taken ? 1 : 2);
	if (taken)
		return;
	n.ports[i].used = true;
	n.ports[i].vsid = vsid;
	memcpy(n.ports[i].mac, mac, sizeof(mac));
}

/* Hosts come, go and change the order of their addresses under the records. */
static void step_host(struct policy *p, uint64_t *rnd)
{
	unsigned int i = (unsigned int)(world_random(rnd) % HOSTS);
	struct host_spec spec = { .n_pas = 2 };
	unsigned int turn = (unsigned int)(world_random(rnd) % 2);

	host_id(i, spec.id);
	if (world_random(rnd) % 3 == 0) {
		assert_int_equal(policy_remove(p, OBJECT_HOST, &spec, ORIGIN_ADMIN, NULL),
				 n.host_defined[i] ? 0 : -ENOENT);
		n.host_defined[i] = false;
		return;
	}
	for (unsigned int k = 0; k < 2; k++)
		spec.pas[k] = (struct host_pa){ .address = pa_of(i, 1 + (k ^ turn)), .weight = 1 };
	assert_true(policy_set(p, OBJECT_HOST, &spec, ORIGIN_ADMIN, NULL) >= 0);
	n.host_defined[i] = true;
}

/* ---- comparison ---- */

static uint32_t port_with(unsigned int vsid, unsigned int mac)
{
	for (unsigned int i = 0; i < PORTS; i++)
		if (n.ports[i].used && n.ports[i].vsid == vsid && n.ports[i].mac[mac])
			return i;
	return PORT_NONE;
}

static uint16_t index_of_port(const struct policy *p, unsigned int i)
{
	char id[ID_SIZE];

	snprintf(id, sizeof(id), "p%u", i);
	return policy_port_index(p, id);
}

static uint16_t index_of_host(const struct policy *p, unsigned int i)
{
	char id[ID_SIZE];

	host_id(i, id);
	return policy_host_index(p, id);
}

static uint8_t pa_index(const struct policy *p, unsigned int host, unsigned int pa)
{
	const struct policy_host *h = policy_host(p, index_of_host(p, host));
	struct ip_addr a = pa_of(host, pa);

	for (uint16_t i = 0; pa && i < h->n_pas; i++)
		if (ip_equal(&h->pas[i].address, &a))
			return (uint8_t)i;
	return PA_ANY;
}

static void compare_mac(const struct policy *p, unsigned int vsid, unsigned int mac)
{
	uint32_t port = port_with(vsid, mac), v, wild = 0, want;
	struct mac m = mac_of(mac);
	unsigned int records = 0, unusable = 0, host = 0;

	for (unsigned int i = 0; i < RECORDS; i++) {
		const struct naive_record *r = &n.r[i];

		if (!r->used || r->vsid != vsid || r->mac != mac)
			continue;
		records++;
		unusable += r->unusable;
		host = r->host;
		wild |= r->type == RECORD_GATEWAY_WILDCARD ? MACV_WILDCARD : 0;
	}
	v = policy_mac_lookup(p, vsids[vsid], mac_load(&m));
	if (port == PORT_NONE && !records)
		assert_int_equal(v, MACV_MISS);
	if (port == PORT_NONE && !records)
		return;
	assert_int_equal(v & MACV_WILDCARD, wild);
	want = port != PORT_NONE ? MACV_LOCAL : host == 0 || records == unusable ? MACV_DEAD : MACV_REMOTE;
	assert_int_equal(MACV_KIND(v), want);
	assert_int_equal(MACV_INDEX(v), port != PORT_NONE ? index_of_port(p, port) : index_of_host(p, host));
	if (want == MACV_REMOTE)
		assert_int_equal(host_pin_pa(p, MACV_INDEX(v), MACV_PA(v)),
				 pa_index(p, host, n.last_pa[vsid][mac]));
	v = table_find(&p->local, mac_key(vsids[vsid], mac_load(&m)), MAC_TAG(vsids[vsid]));
	assert_int_equal(v != TABLE_MISS, port != PORT_NONE);
}

static void compare_ca(const struct policy *p, unsigned int vsid, unsigned int ca)
{
	const struct naive_record *o = find(vsid, ca, 0);
	struct ip_addr a = ca_of(ca);
	uint32_t i = policy_ca_lookup(p, vsids[vsid], &a);
	const struct policy_record *r;
	uint32_t port;
	struct mac m;

	assert_int_equal(i != REC_NONE, o != NULL);
	if (!o)
		return;
	r = policy_record(p, i);
	m = mac_of(o->mac);
	port = port_with(vsid, o->mac);
	assert_int_equal(r->vsid, vsids[vsid]);
	assert_true(ip_equal(&r->ca, &a));
	assert_true(mac_equal(&r->mac, &m));
	assert_int_equal(r->host, index_of_host(p, o->host));
	assert_int_equal(r->port, port == PORT_NONE ? PORT_NONE : index_of_port(p, port));
	assert_int_equal(r->type, o->type);
	assert_int_equal(r->origin, o->origin);
	assert_int_equal(r->flags & RECORD_F_UNUSABLE, o->unusable);
	assert_int_equal(host_pin_pa(p, r->host, r->pa), pa_index(p, o->host, o->pa));
}

static void compare_flood(const struct policy *p, unsigned int vsid)
{
	const struct policy_flood *f = policy_subnet(p, vsids[vsid])->flood;
	unsigned int hosts = 0, ports = 0;

	for (unsigned int h = 1; h < HOSTS; h++) {
		bool member = false, listed = false;

		for (unsigned int i = 0; i < RECORDS; i++)
			member |= n.r[i].used && n.r[i].vsid == vsid && n.r[i].host == h;
		for (unsigned int i = 0; i < f->n_hosts; i++)
			listed |= f->hosts[i] == index_of_host(p, h);
		assert_int_equal(member, listed);
		hosts += member;
	}
	assert_int_equal(f->n_hosts, hosts);
	for (unsigned int i = 0; i < PORTS; i++) {
		bool listed = false;

		if (!n.ports[i].used || n.ports[i].vsid != vsid)
			continue;
		for (unsigned int k = 0; k < f->n_ports; k++)
			listed |= f->ports[k] == index_of_port(p, i);
		assert_true(listed);
		ports++;
	}
	assert_int_equal(f->n_ports, ports);
}

static void compare(const struct policy *p)
{
	for (unsigned int v = 0; v < VSIDS; v++) {
		for (unsigned int i = 0; i < MACS; i++)
			compare_mac(p, v, i);
		for (unsigned int i = 1; i < CAS; i++)
			compare_ca(p, v, i);
		compare_flood(p, v);
	}
}

static void compare_list(const struct policy *p)
{
	unsigned int records = 0, listed = 0;
	struct record_spec s;
	enum origin origin;
	uint64_t cursor = 0;

	for (unsigned int i = 0; i < RECORDS; i++)
		records += n.r[i].used;
	while (policy_next(p, OBJECT_RECORD, &cursor, &s, &origin)) {
		bool found = false;

		for (unsigned int i = 0; i < RECORDS && !found; i++) {
			const struct naive_record *r = &n.r[i];
			struct ip_addr a = ca_of(r->ca), pa = pa_of(r->host, r->pa);
			struct mac m = mac_of(r->mac);
			char id[ID_SIZE];

			host_id(r->host, id);
			found = r->used && s.vsid == vsids[r->vsid] && ip_equal(&s.ca, &a) &&
				mac_equal(&s.mac, &m) && origin == r->origin && strcmp(id, s.host) == 0 &&
				ip_equal(&s.provider_address, &pa);
		}
		assert_true(found);
		listed++;
	}
	assert_int_equal(listed, records);
	assert_int_equal(policy_count(p, OBJECT_RECORD), records);
}

/* After everything is taken away nothing may be left: no entry, no mark in a table, no host. */
static void remove_all(struct policy *p)
{
	struct host_spec h = { 0 };
	struct port_spec q = { 0 };
	struct subnet_spec s = { 0 };

	for (unsigned int i = 0; i < RECORDS; i++) {
		struct record_spec r = { .vsid = vsids[n.r[i].vsid],
					 .ca = ca_of(n.r[i].ca),
					 .mac = mac_of(n.r[i].mac) };

		if (n.r[i].used)
			assert_int_equal(
				policy_remove(p, OBJECT_RECORD, &r, (enum origin)n.r[i].origin, NULL), 0);
	}
	for (unsigned int i = 0; i < PORTS; i++) {
		snprintf(q.id, sizeof(q.id), "p%u", i);
		if (n.ports[i].used)
			assert_int_equal(policy_remove(p, OBJECT_PORT, &q, ORIGIN_ADMIN, NULL), 0);
	}
	for (unsigned int i = 0; i < HOSTS; i++) {
		const struct host_ctl *c;

		host_id(i, h.id);
		c = n.host_defined[i] ? &p->host_ctl[policy_host_index(p, h.id)] : NULL;
		for (unsigned int k = 0; c && c->pins && k < PINS; k++)
			assert_int_equal(c->pins[k].refs, 0);
		if (n.host_defined[i])
			assert_int_equal(policy_remove(p, OBJECT_HOST, &h, ORIGIN_ADMIN, NULL), 0);
	}
	for (unsigned int i = 0; i < VSIDS; i++) {
		s.vsid = vsids[i];
		assert_int_equal(policy_remove(p, OBJECT_SUBNET, &s, ORIGIN_ADMIN, NULL), 0);
		assert_null(segment_find(p, vsids[i]));
	}
	assert_int_equal(p->mac.count + p->local.count + p->ca.count + p->pa.count + p->members.count, 0);
	assert_int_equal(p->host_names.count, 1);
	for (uint32_t i = 0; i <= p->mac.view.mask; i++) {
		assert_int_equal(p->mac.passed[i], 0);
		assert_int_equal(p->mac.view.buckets[i].aux[0] & TABLE_OVERFLOW, 0);
	}
}

static void oracle(void **state)
{
	uint64_t rnd = world_seed();
	struct policy *p = world_new(RECORDS);

	memset(&n, 0, sizeof(n));
	for (unsigned int i = 0; i < VSIDS; i++)
		assert_int_equal(world_set(p, ORIGIN_ADMIN, "subnet vsid=%u rdid=t%u", vsids[i], i), 0);
	for (unsigned int i = 0; i < STEPS; i++) {
		switch (world_random(&rnd) % 10) {
		case 0:
			step_port(p, &rnd);
			break;
		case 1:
			step_host(p, &rnd);
			break;
		case 2:
		case 3:
			step_remove(p, &rnd);
			break;
		default:
			step_set(p, &rnd);
		}
		if (i < 2000 || i % 16 == 0)
			compare(p);
		if (i % 1000 == 0)
			compare_list(p);
	}
	compare(p);
	remove_all(p);
	policy_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(oracle) };

	return cmocka_run_group_tests_name("policy-records", tests, world_setup, world_teardown);
}
