/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Oracle of the router: random routes, records, hosts and ports; random destinations in bursts against a
 * list.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/str.h"
#include "policy/policy_private.h"
#include "policy_world.h"

#define RDIDS	3
#define VSIDS	6 /* vsid i is of domain i % 3 */
#define ROUTES	160
#define RECORDS 120
#define HOSTS	4 /* 0: this one */
#define STEPS	6000
#define BURST	40
#define VSID(i) (5000u + 100u * (i))

struct naive_route {
	bool used, connected;
	unsigned int rdid, vsid, metric;
	struct ip_prefix prefix;
	struct ip_addr next_hop; /* family 0: on-link */
};

static struct {
	struct naive_route routes[ROUTES];
	struct {
		bool used, unusable, wild;
		unsigned int vsid, host;
		struct ip_addr ca;
	} records[RECORDS];
	bool host_up[HOSTS];
	bool port[RECORDS]; /* of the record's MAC */
	bool external;
} n;

/* Addresses close enough to meet each other's prefixes: few values per byte. */
static struct ip_addr random_ip(uint64_t *rnd, uint8_t family)
{
	struct ip_addr a = { .family = family };

	for (unsigned int i = 0; i < (family == 4 ? 4u : 16u); i++) {
		static const uint8_t bytes[] = { 0x00, 0x01, 0x80, 0xff };

		a.b[i] = bytes[world_random(rnd) % 4];
	}
	a.b[0] = family == 4 ? 10 : 0xfd;
	return a;
}

static struct mac mac_of(unsigned int record)
{
	return (struct mac){ { 2, 0, 0, 0, 1, (uint8_t)record } };
}

static unsigned int random_len(uint64_t *rnd, uint8_t family)
{
	static const uint8_t four[] = { 0, 8, 9, 16, 24, 31, 32 },
			     six[] = { 0, 8, 16, 48, 63, 64, 65, 127, 128 };

	return family == 4 ? four[world_random(rnd) % sizeof(four)] : six[world_random(rnd) % sizeof(six)];
}

/* ---- changes ---- */

static void step_route(struct policy *p, uint64_t *rnd)
{
	uint8_t family = world_random(rnd) % 2 ? 4 : 6;
	struct naive_route r = { .used = true }, *old = NULL, *place = NULL;
	struct route_spec s = { 0 };
	bool clash = false;
	int want, got;

	r.vsid = (unsigned int)(world_random(rnd) % VSIDS);
	r.rdid = world_random(rnd) % 16 ? r.vsid % RDIDS : (unsigned int)(world_random(rnd) % RDIDS);
	r.metric = (unsigned int)(world_random(rnd) % 3);
	r.prefix.addr = random_ip(rnd, family);
	r.prefix.len = (uint8_t)random_len(rnd, family);
	r.prefix = prefix_network(&r.prefix);
	if (world_random(rnd) % 3)
		r.next_hop = n.records[world_random(rnd) % RECORDS].ca;
	if (r.next_hop.family != family)
		r.next_hop = (struct ip_addr){ 0 };
	if (world_random(rnd) % 3 == 0) { /* an existing one again, perhaps changed */
		const struct naive_route *o = &n.routes[world_random(rnd) % ROUTES];

		if (o->used && !o->connected) {
			r.rdid = o->rdid;
			r.prefix = o->prefix;
			r.next_hop = o->next_hop;
		}
	}
	for (unsigned int i = 0; i < ROUTES; i++) {
		struct naive_route *o = &n.routes[i];

		if (!o->used) {
			place = place ? place : o;
			continue;
		}
		if (o->rdid != r.rdid || memcmp(&o->prefix, &r.prefix, sizeof(r.prefix)) != 0)
			continue;
		if (!o->connected && memcmp(&o->next_hop, &r.next_hop, sizeof(r.next_hop)) == 0)
			old = o;
		else if (!ip_is_set(&r.next_hop) && !ip_is_set(&o->next_hop) && o->vsid != r.vsid)
			clash = true;
	}
	snprintf(s.rdid, sizeof(s.rdid), "t%u", r.rdid);
	s.vsid = VSID(r.vsid);
	s.prefix = r.prefix;
	s.next_hop = r.next_hop;
	s.metric = r.metric;
	if (world_random(rnd) % 4 == 0) {
		assert_int_equal(policy_remove(p, OBJECT_ROUTE, &s, ORIGIN_ADMIN, NULL), old ? 0 : -ENOENT);
		if (old)
			old->used = false;
		return;
	}
	if (!old && !place)
		return;
	if (old && old->vsid == r.vsid && old->metric == r.metric)
		want = 1;
	else
		want = r.rdid != r.vsid % RDIDS || clash ? -EEXIST : 0;
	got = policy_set(p, OBJECT_ROUTE, &s, ORIGIN_ADMIN, NULL);
	assert_int_equal(got, want);
	if (got == 0)
		*(old ? old : place) = r;
}

static void step_record(struct policy *p, uint64_t *rnd)
{
	unsigned int i = (unsigned int)(world_random(rnd) % RECORDS);
	struct record_spec s = { .vsid = VSID(n.records[i].vsid), .ca = n.records[i].ca, .mac = mac_of(i) };
	struct record_spec wild = { .vsid = s.vsid, .mac = s.mac, .type = RECORD_GATEWAY_WILDCARD };

	if (n.records[i].used) {
		assert_int_equal(policy_remove(p, OBJECT_RECORD, &s, ORIGIN_ADMIN, NULL), 0);
		if (n.records[i].wild)
			assert_int_equal(policy_remove(p, OBJECT_RECORD, &wild, ORIGIN_ADMIN, NULL), 0);
		n.records[i].used = n.records[i].wild = false;
		return;
	}
	n.records[i].used = true;
	n.records[i].host = (unsigned int)(world_random(rnd) % HOSTS);
	n.records[i].unusable = world_random(rnd) % 8 == 0;
	n.records[i].wild = world_random(rnd) % 4 == 0;
	snprintf(s.host, sizeof(s.host), "h%u", n.records[i].host + 1);
	str_copy(wild.host, sizeof(wild.host), s.host);
	s.unusable = n.records[i].unusable;
	assert_int_equal(policy_set(p, OBJECT_RECORD, &s, ORIGIN_ADMIN, NULL), 0);
	if (n.records[i].wild)
		assert_int_equal(policy_set(p, OBJECT_RECORD, &wild, ORIGIN_ADMIN, NULL), 0);
}

static void step_other(struct policy *p, uint64_t *rnd)
{
	unsigned int h = (unsigned int)(world_random(rnd) % (HOSTS - 1)) + 1;
	unsigned int i = (unsigned int)(world_random(rnd) % RECORDS);
	struct port_spec s = {
		.vsid = VSID(n.records[i].vsid), .queues = 1, .n_macs = 1, .macs = { mac_of(i) }
	};
	char id[ID_SIZE];

	if (world_random(rnd) % 2) {
		n.host_up[h] = !n.host_up[h];
		snprintf(id, sizeof(id), "h%u", h + 1);
		assert_int_equal(policy_host_usable(p, id, n.host_up[h]), 0);
		return;
	}
	snprintf(s.id, sizeof(s.id), "p%u", i);
	if (n.port[i])
		assert_int_equal(policy_remove(p, OBJECT_PORT, &s, ORIGIN_ADMIN, NULL), 0);
	else
		assert_int_equal(policy_set(p, OBJECT_PORT, &s, ORIGIN_ADMIN, NULL), 0);
	n.port[i] = !n.port[i];
}

/* ---- what should happen ---- */

struct want {
	enum verdict verdict;
	enum drop_reason drop;
	unsigned int record;
};

static int find_record(unsigned int vsid, const struct ip_addr *ca)
{
	for (int i = 0; i < RECORDS; i++)
		if (n.records[i].used && n.records[i].vsid == vsid && ip_equal(&n.records[i].ca, ca))
			return i;
	return -1;
}

/* Is `a` a better route than `b` (both match)? */
static bool better(const struct naive_route *a, const struct naive_route *b)
{
	if (a->prefix.len != b->prefix.len)
		return a->prefix.len > b->prefix.len;
	if (a->connected != b->connected)
		return a->connected;
	if (a->metric != b->metric)
		return a->metric < b->metric;
	if (a->vsid != b->vsid)
		return a->vsid < b->vsid;
	return memcmp(&a->next_hop, &b->next_hop, sizeof(a->next_hop)) < 0;
}

static bool gateway_of(unsigned int vsid, const struct ip_addr *a)
{
	struct ip_addr g4 = { .family = 4, .b = { 10, 0x40, (uint8_t)vsid, 1 } };
	struct ip_addr g6 = { .family = 6, .b = { 0xfd, 0x40, (uint8_t)vsid, [15] = 1 } };

	return ip_equal(a, &g4) || ip_equal(a, &g6);
}

static struct want expected(unsigned int vsid, int sender, const struct ip_addr *dst)
{
	bool tried[ROUTES] = { false }, any = false, elsewhere = false;
	struct want w = { .verdict = VERDICT_DROP };
	unsigned int len = 0;

	for (;;) {
		const struct naive_route *best = NULL;
		const struct ip_addr *target;
		bool direct;
		int r;

		for (unsigned int i = 0; i < ROUTES; i++) {
			const struct naive_route *o = &n.routes[i];

			if (o->used && !tried[i] && o->rdid == vsid % RDIDS &&
			    ip_in_prefix(dst, &o->prefix) && (!best || better(o, best)))
				best = o;
		}
		if (!best || (any && best->prefix.len != len))
			break;
		tried[best - n.routes] = true;
		direct = !ip_is_set(&best->next_hop);
		target = direct ? dst : &best->next_hop;
		if (direct && best->vsid != vsid && n.external)
			continue;
		if (direct && gateway_of(best->vsid, dst))
			return (struct want){ .verdict = VERDICT_ROUTE };
		r = find_record(best->vsid, target);
		if (r >= 0 && !direct && !ip_equal(dst, target) && sender >= 0 && n.records[sender].wild &&
		    n.records[r].wild)
			continue;
		any = true;
		len = best->prefix.len;
		if (r < 0) {
			w.drop = w.drop ? w.drop : DROP_NO_RECORD;
		} else if (n.records[r].unusable ||
			   (!n.port[r] && (n.records[r].host == 0 || !n.host_up[n.records[r].host]))) {
			w.drop = DROP_RECORD_UNUSABLE;
		} else {
			w.record = (unsigned int)r;
			w.verdict = n.port[r] ? VERDICT_LOCAL : VERDICT_REMOTE;
			if (r == sender) {
				w = (struct want){ .verdict = VERDICT_DROP, .drop = DROP_SPLIT_HORIZON };
			} else if (n.port[r] && !direct && !ip_equal(dst, target) && !n.records[r].wild) {
				/*
				 * A guest that is no gateway takes its own address, or what may yet be
				 * learned as its.
				 */
				int o = find_record(best->vsid, dst);

				if (o >= 0 || gateway_of(best->vsid, dst) ||
				    (dst->family == 4 ? dst->b[1] != 0x40 || dst->b[2] != best->vsid :
							dst->b[1] != 0x40 || dst->b[2] != best->vsid))
					w = (struct want){ .verdict = VERDICT_DROP, .drop = DROP_NO_RECORD };
			}
			return w;
		}
		if (direct) {
			w.drop = r < 0 ? DROP_NO_RECORD : DROP_RECORD_UNUSABLE;
			return w;
		}
	}
	if (w.drop)
		return w;
	for (unsigned int i = 0; i < ROUTES; i++)
		elsewhere |= n.routes[i].used && n.routes[i].rdid != vsid % RDIDS && n.routes[i].prefix.len &&
			     ip_in_prefix(dst, &n.routes[i].prefix);
	w.drop = elsewhere ? DROP_RDID : DROP_NO_ROUTE;
	return w;
}

/* ---- bursts ---- */

struct frame_buf {
	struct rte_mbuf m;
	struct pkt_meta meta;
	uint8_t data[128];
};

static void make(struct frame_buf *f, uint64_t *rnd, const struct ip_addr *dst, const struct mac *src)
{
	memset(f, 0, sizeof(*f));
	f->m.buf_addr = f->data;
	f->m.priv_size = sizeof(f->meta);
	f->m.data_len = f->m.pkt_len = 100;
	memcpy(f->data + 6, src, 6);
	f->meta.verdict = VERDICT_ROUTE;
	f->meta.pkt.l3_off = 14;
	f->meta.pkt.kind = dst->family == 4 ? PKT_IPV4 : PKT_IPV6;
	f->meta.src = PORT_NONE;
	f->data[14] = dst->family == 4 ? 0x45 : 0x60;
	if (dst->family == 4) {
		uint16_t sum;

		f->data[22] = (uint8_t)(2 + world_random(rnd) % 254);
		memcpy(f->data + 30, dst->b, 4);
		/* Any checksum, and often 0xfeff, which one hop less turns into 0: the corner of RFC 1624. */
		sum = csum_fold(csum_partial(f->data + 14, 20, 0));
		store_be16(f->data + 18, world_random(rnd) % 8
						 ? (uint16_t)world_random(rnd)
						 : (uint16_t)((0x100 + load_be16(&sum)) % 0xffff));
		sum = csum_fold(csum_partial(f->data + 14, 20, 0));
		memcpy(f->data + 24, &sum, 2);
	} else {
		f->data[21] = (uint8_t)(2 + world_random(rnd) % 254);
		memcpy(f->data + 38, dst->b, 16);
	}
}

static void check_one(const struct policy *p, const struct frame_buf *f, const uint8_t *before,
		      const struct want *w)
{
	const struct pkt_meta *m = &f->meta;
	unsigned int ttl = m->pkt.kind == PKT_IPV4 ? 22 : 21;
	struct mac mac = mac_of(w->record), gw = policy_gateway_mac(VSID(n.records[w->record].vsid));
	char id[ID_SIZE];

	if (m->verdict != w->verdict || (w->verdict == VERDICT_DROP && m->drop != w->drop))
		fail_msg("verdict %u %s, expected %d %s", m->verdict, drop_name(m->drop), (int)w->verdict,
			 drop_name(w->drop));
	if (w->verdict == VERDICT_DROP || w->verdict == VERDICT_ROUTE) {
		assert_memory_equal(f->data, before, sizeof(f->data));
		return;
	}
	assert_true(mac_equal(f->data, &mac));
	assert_true(mac_equal(f->data + 6, &gw));
	assert_int_equal(f->data[ttl], before[ttl] - 1);
	assert_int_equal(m->vsid_out, VSID(n.records[w->record].vsid));
	assert_true(m->flags & META_ROUTED);
	if (m->pkt.kind == PKT_IPV4) {
		uint8_t whole[20];
		uint16_t sum;

		/* Bit for bit what a recalculation gives. */
		memcpy(whole, f->data + 14, 20);
		memset(whole + 10, 0, 2);
		sum = csum_fold(csum_partial(whole, 20, 0));
		assert_memory_equal(&sum, f->data + 24, 2);
	}
	if (w->verdict == VERDICT_LOCAL)
		snprintf(id, sizeof(id), "p%u", w->record);
	else
		snprintf(id, sizeof(id), "h%u", n.records[w->record].host + 1);
	assert_int_equal(m->dst,
			 w->verdict == VERDICT_LOCAL ? policy_port_index(p, id) : policy_host_index(p, id));
}

static void burst(const struct policy *p, uint64_t *rnd)
{
	static struct frame_buf f[BURST];
	struct rte_mbuf *pkts[BURST];
	uint8_t before[BURST][128];
	struct want w[BURST];
	unsigned int vsid = (unsigned int)(world_random(rnd) % VSIDS);
	int sender = -1;

	/* A sender with a port of this subnet, if there is one: wildcards and split horizon depend on it. */
	for (int i = (int)(world_random(rnd) % RECORDS); i < RECORDS && sender < 0; i++)
		if (n.records[i].used && n.port[i] && n.records[i].vsid == vsid)
			sender = i;
	for (unsigned int i = 0; i < BURST; i++) {
		struct ip_addr dst = random_ip(rnd, world_random(rnd) % 2 ? 4 : 6);
		struct mac src = sender < 0 ? (struct mac){ { 2, 9 } } : mac_of((unsigned int)sender);
		char id[ID_SIZE];

		if (world_random(rnd) % 2)
			dst = n.records[world_random(rnd) % RECORDS].ca;
		if (world_random(rnd) % 16 == 0)
			dst = (struct ip_addr){ .family = 4,
						.b = { 10, 0x40, (uint8_t)(world_random(rnd) % VSIDS), 1 } };
		make(&f[i], rnd, &dst, &src);
		snprintf(id, sizeof(id), "p%d", sender);
		if (sender >= 0)
			f[i].meta.src = policy_port_index(p, id);
		pkts[i] = &f[i].m;
		memcpy(before[i], f[i].data, sizeof(before[i]));
		w[i] = expected(vsid, sender, &dst);
	}
	policy_route_burst(p, policy_subnet(p, VSID(vsid)), pkts, BURST);
	for (unsigned int i = 0; i < BURST; i++)
		check_one(p, &f[i], before[i], &w[i]);
}

static void start(struct policy *p, uint64_t *rnd)
{
	memset(&n, 0, sizeof(n));
	for (unsigned int i = 0; i < HOSTS; i++) {
		n.host_up[i] = true;
		assert_int_equal(
			world_set(p, ORIGIN_ADMIN, "host id=h%u pas=[{address=192.0.2.%u}]", i + 1, i + 1),
			0);
	}
	for (unsigned int i = 0; i < VSIDS; i++) {
		struct naive_route *r = &n.routes[2 * i];

		/* Gateways whose prefixes are also customer destinations. */
		assert_int_equal(
			world_set(p, ORIGIN_ADMIN,
				  "subnet vsid=%u rdid=t%u gateways=[10.64.%u.1/24,fd40:%02x00::1/24]",
				  VSID(i), i % RDIDS, i, i),
			0);
		r[0] = (struct naive_route){ .used = true, .connected = true, .rdid = i % RDIDS, .vsid = i };
		r[0].prefix = (struct ip_prefix){ .addr = { 4, { 10, 0x40, (uint8_t)i } }, .len = 24 };
		r[1] = r[0];
		r[1].prefix = (struct ip_prefix){ .addr = { 6, { 0xfd, 0x40, (uint8_t)i } }, .len = 24 };
	}
	for (unsigned int i = 0; i < RECORDS; i++) {
		n.records[i].vsid = i % VSIDS;
		do {
			n.records[i].ca = random_ip(rnd, i % 4 / 2 ? 4 : 6);
			if (i % 3 == 0) { /* inside the subnet */
				n.records[i].ca.b[1] = 0x40;
				n.records[i].ca.b[2] = (uint8_t)(i % VSIDS);
				n.records[i].ca.b[3] = (uint8_t)(2 + i);
			}
		} while (find_record(n.records[i].vsid, &n.records[i].ca) >= 0);
		n.records[i].used = true; /* so that no other gets the same address */
	}
	for (unsigned int i = 0; i < RECORDS; i++)
		n.records[i].used = false;
}

static uint32_t listed(const struct policy *p)
{
	struct route_spec s;
	enum origin origin;
	uint64_t cursor = 0;
	uint32_t count = 0;

	while (policy_next(p, OBJECT_ROUTE, &cursor, &s, &origin))
		count++;
	return count;
}

static void oracle(void **state)
{
	uint64_t rnd = world_seed();
	struct policy *p = world_new(1000);
	uint32_t routes = 0;

	start(p, &rnd);
	for (unsigned int i = 0; i < STEPS; i++) {
		switch (world_random(&rnd) % 8) {
		case 0:
		case 1:
			step_record(p, &rnd);
			break;
		case 2:
			step_other(p, &rnd);
			break;
		case 3:
			if (world_random(&rnd) % 8 == 0) {
				n.external = !n.external;
				policy_set_knobs(p, n.external, true);
			}
			break;
		default:
			step_route(p, &rnd);
		}
		burst(p, &rnd);
	}
	for (unsigned int i = 0; i < ROUTES; i++)
		routes += n.routes[i].used && !n.routes[i].connected;
	assert_int_equal(policy_count(p, OBJECT_ROUTE), routes);
	assert_int_equal(listed(p), routes);
	policy_free(p);
}

/* 1,000 domains of 100 routes; and nothing is left of them afterwards. */
static void many(void **state)
{
	struct policy *p = world_new(1000);
	struct route_spec s = { .prefix = { .addr = { .family = 4 }, .len = 24 },
				.next_hop = { .family = 4 } };

	for (int pass = 0; pass < 2; pass++) {
		for (unsigned int t = 0; t < 1000; t++) {
			snprintf(s.rdid, sizeof(s.rdid), "tenant-%u", t);
			s.vsid = 5000 + t;
			for (unsigned int i = 0; i < 100; i++) {
				store_be32(s.prefix.addr.b, 10u << 24 | i << 8);
				if (pass == 0)
					assert_int_equal(
						policy_set(p, OBJECT_ROUTE, &s, ORIGIN_MANAGER, NULL), 0);
				else
					assert_int_equal(
						policy_remove(p, OBJECT_ROUTE, &s, ORIGIN_MANAGER, NULL), 0);
			}
		}
		assert_int_equal(policy_count(p, OBJECT_ROUTE), pass == 0 ? 100000 : 0);
		assert_int_equal(listed(p), pass == 0 ? 100000 : 0);
	}
	assert_int_equal(p->route.count, 0);
	assert_int_equal(p->rdid_names.count, 0);
	assert_int_equal(p->lens[RDID_ANY].v4, 0);
	for (uint32_t i = 0; i < p->rdid_fresh; i++)
		assert_int_equal(p->lens[i].v4, 0);
	policy_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(oracle), cmocka_unit_test(many) };

	return cmocka_run_group_tests_name("policy-routes", tests, world_setup, world_teardown);
}
