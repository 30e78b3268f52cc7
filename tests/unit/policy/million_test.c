/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A million records: memory for each, time for a change, cycles of the packet path's stages beside those with
 * a thousand. Figures are printed; only gross excess fails. POLICY_RECORDS sets another number.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include <rte_cycles.h>

#include "base/str.h"
#include "policy/policy_private.h"
#include "policy_world.h"

#if defined(__SANITIZE_ADDRESS__)
#define SLOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLOW 1
#endif
#endif
#ifndef SLOW
#define SLOW 0
#endif

#define HOSTS  1000
#define VSIDS  250
#define BURST  32
#define BURSTS 4000
#define HOT    100000
#define VSID0  5000u

static uint64_t resident(void)
{
	unsigned long long size, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%llu %llu", &size, &pages), 2);
	fclose(f);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Record i: VSID by i % VSIDS; every fourth has an IPv6 address. */
static void record_of(uint32_t i, uint32_t turn, struct record_spec *s)
{
	*s = (struct record_spec){ .vsid = VSID0 + i % VSIDS };
	s->ca.family = i / VSIDS % 4 == 3 ? 6 : 4;
	s->ca.b[0] = s->ca.family == 4 ? 10 : 0xfd;
	store_be32(s->ca.b + (s->ca.family == 4 ? 0 : 12), (s->ca.family == 4 ? 10u << 24 : 0) | (i + 2));
	s->mac = (struct mac){ { 2, 1, (uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8),
				 (uint8_t)i } };
	snprintf(s->host, sizeof(s->host), "h%u", 2 + (i / VSIDS + turn) % HOSTS);
}

/* Of this thread: others on the same CPUs are no cost of ours. */
static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double ns_each(uint64_t from, uint32_t n)
{
	return (double)(cpu_ns() - from) / n;
}

static struct policy *filled(uint32_t records)
{
	struct policy *p = world_new(records);
	struct record_spec s;
	struct errbuf err;

	for (unsigned int i = 0; i < HOSTS; i++)
		assert_int_equal(world_set(p, ORIGIN_ADMIN, "host id=h%u pas=[{address=10.200.%u.%u}]", i + 2,
					   i / 250, i % 250 + 1),
				 0);
	for (unsigned int i = 0; i < VSIDS; i++)
		assert_int_equal(
			world_set(p, ORIGIN_ADMIN, "subnet vsid=%u rdid=t%u learning=false", VSID0 + i, i),
			0);
	assert_int_equal(world_set(p, ORIGIN_ADMIN, "route rdid=t0 vsid=%u prefix=10.0.0.0/8", VSID0), 0);
	assert_int_equal(world_set(p, ORIGIN_ADMIN,
				   "port id=p vsid=%u macs=[02:00:00:00:00:99] addresses=[11.0.0.0/8]",
				   VSID0),
			 0);
	for (uint32_t i = 0; i < records; i++) {
		record_of(i, 0, &s);
		if (policy_set(p, OBJECT_RECORD, &s, ORIGIN_MANAGER, &err) != 0)
			fail_msg("%s", err.text);
	}
	assert_int_equal(policy_count(p, OBJECT_RECORD), records);
	return p;
}

/* ---- cycles ---- */

struct frame_buf {
	struct rte_mbuf m;
	struct pkt_meta meta;
	uint8_t data[64];
};

struct bench {
	struct policy *p;
	const struct policy_port *port;
	const struct policy_subnet *s;
	uint32_t records, hot;
	uint64_t rnd;
	struct frame_buf f[BURST];
	struct rte_mbuf *pkts[BURST];
};

/* A record of the first VSID among the hot ones. */
static uint32_t pick(struct bench *b)
{
	uint32_t n = b->hot < b->records ? b->hot : b->records;

	return (uint32_t)(world_random(&b->rnd) % n);
}

static void reset(struct frame_buf *f, const struct record_spec *s)
{
	memset(&f->meta, 0, sizeof(f->meta));
	f->meta.pkt.l3_off = 14;
	f->meta.pkt.kind = PKT_IPV4;
	f->data[22] = 64;
	memcpy(f->data, &s->mac, 6);
}

enum stage { STAGE_SOURCE, STAGE_LOOKUP, STAGE_ROUTE, STAGE_INGRESS };

static void fill(struct bench *b, enum stage stage, unsigned int i)
{
	struct frame_buf *f = &b->f[i];
	uint32_t k = pick(b);
	struct record_spec s;

	record_of(k, 0, &s);
	reset(f, &s);
	f->meta.src = b->port->index;
	f->meta.vsid_in = s.vsid;
	memcpy(f->data + 6, &b->port->macs[0], 6);
	f->data[26] = 11;
	store_be32(f->data + 30, (10u << 24) | (k + 2));
	if (stage == STAGE_ROUTE)
		f->meta.verdict = VERDICT_ROUTE;
	if (stage != STAGE_INGRESS)
		return;
	f->meta.vsid_in = VSID0;
	f->meta.src_host = policy_host_index(b->p, s.host);
	memcpy(f->data, &b->port->macs[0], 6);
	memcpy(f->data + 6, &s.mac, 6);
	f->data[30] = 11;
	memset(f->data + 31, 1, 3);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Median over bursts of cycles per packet. */
static double cycles(struct bench *b, enum stage stage, enum verdict want)
{
	static uint64_t took[BURSTS];
	struct policy_src_cache cache = { 0 };

	for (unsigned int i = 0; i < BURST; i++) {
		b->f[i].m.buf_addr = b->f[i].data;
		b->f[i].m.priv_size = sizeof(b->f[i].meta);
		b->pkts[i] = &b->f[i].m;
	}
	for (unsigned int k = 0; k < BURSTS; k++) {
		uint64_t from;

		for (unsigned int i = 0; i < BURST; i++)
			fill(b, stage, i);
		from = rte_rdtsc_precise();
		switch (stage) {
		case STAGE_SOURCE:
			policy_source_burst(b->p, b->port, b->s, &cache, b->pkts, BURST);
			break;
		case STAGE_LOOKUP:
			policy_lookup_burst(b->p, b->port, b->s, b->pkts, BURST);
			break;
		case STAGE_ROUTE:
			policy_route_burst(b->p, b->s, b->pkts, BURST);
			break;
		case STAGE_INGRESS:
			policy_ingress_burst(b->p, b->pkts, BURST);
			break;
		}
		took[k] = rte_rdtsc_precise() - from;
		for (unsigned int i = 0; i < BURST; i++)
			assert_int_equal(b->f[i].meta.verdict, want);
	}
	qsort(took, BURSTS, sizeof(took[0]), by_value);
	return (double)took[BURSTS / 2] / BURST;
}

static void print_cycles(struct bench *b)
{
	print_message("%8u records, %6u hot: source %5.1f  lookup %5.1f  route %5.1f  ingress %5.1f "
		      "cycles/packet\n",
		      b->records, b->hot, cycles(b, STAGE_SOURCE, VERDICT_NONE),
		      cycles(b, STAGE_LOOKUP, VERDICT_REMOTE), cycles(b, STAGE_ROUTE, VERDICT_REMOTE),
		      cycles(b, STAGE_INGRESS, VERDICT_LOCAL));
}

/* Records of one VSID only, so that the destinations of one port can be as many as we like. */
static void bench(uint32_t records)
{
	static struct bench b;
	struct record_spec s;

	memset(&b, 0, sizeof(b));
	b.p = world_new(records);
	for (unsigned int i = 0; i < HOSTS; i++)
		assert_int_equal(world_set(b.p, ORIGIN_ADMIN, "host id=h%u pas=[{address=10.200.%u.%u}]",
					   i + 2, i / 250, i % 250 + 1),
				 0);
	assert_int_equal(world_set(b.p, ORIGIN_ADMIN, "subnet vsid=%u rdid=t0 learning=false", VSID0), 0);
	assert_int_equal(world_set(b.p, ORIGIN_ADMIN, "route rdid=t0 vsid=%u prefix=10.0.0.0/8", VSID0), 0);
	assert_int_equal(world_set(b.p, ORIGIN_ADMIN,
				   "port id=p vsid=%u macs=[02:00:00:00:00:99] addresses=[11.0.0.0/8]",
				   VSID0),
			 0);
	for (uint32_t i = 0; i < records; i++) {
		record_of(i, 0, &s);
		s.vsid = VSID0;
		s.ca = (struct ip_addr){ .family = 4 };
		store_be32(s.ca.b, (10u << 24) | (i + 2));
		assert_int_equal(policy_set(b.p, OBJECT_RECORD, &s, ORIGIN_MANAGER, NULL), 0);
	}
	b.port = policy_port(b.p, policy_port_index(b.p, "p"));
	b.s = policy_subnet(b.p, VSID0);
	b.records = records;
	b.hot = HOT < records ? HOT : records;
	print_cycles(&b);
	if (records > 1000) {
		b.hot = 1000;
		print_cycles(&b);
	}
	policy_free(b.p);
}

/* ---- memory and time ---- */

static uint32_t how_many(void)
{
	const char *text = getenv("POLICY_RECORDS");
	uint64_t n = SLOW ? 100000 : 1000000;

	if (text)
		assert_int_equal(parse_u64(text, VSIDS, 1u << 24, &n), 0);
	return (uint32_t)n;
}

static void million(void **state)
{
	uint32_t n = how_many();
	uint64_t before = resident(), from = cpu_ns(), longest = 0;
	struct policy *p = filled(n);
	double each = (double)(resident() - before) / n, set = ns_each(from, n), moved, removed;
	struct record_spec s;

	from = cpu_ns();
	for (uint32_t i = 0; i < n; i++) {
		uint64_t start = cpu_ns(), took;

		record_of(i, 1, &s);
		assert_int_equal(policy_set(p, OBJECT_RECORD, &s, ORIGIN_MANAGER, NULL), 0);
		took = cpu_ns() - start;
		longest = took > longest ? took : longest;
	}
	moved = ns_each(from, n);
	from = cpu_ns();
	for (uint32_t i = 0; i < n; i++) {
		record_of(i, 1, &s);
		assert_int_equal(policy_remove(p, OBJECT_RECORD, &s, ORIGIN_MANAGER, NULL), 0);
	}
	removed = ns_each(from, n);
	print_message(
		"%u records: %.0f bytes each; set %.0f ns, move %.0f ns (longest %.1f us), remove %.0f ns\n",
		n, each, set, moved, (double)longest / 1000, removed);
	assert_int_equal(policy_count(p, OBJECT_RECORD), 0);
	policy_free(p);
	if (SLOW)
		return;
	assert_true(each <= 256);
	assert_true(set < 50000 && moved < 50000 && removed < 50000);
}

static void figures(void **state)
{
	bench(1000);
	bench(SLOW ? 10000 : 1000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(million), cmocka_unit_test(figures) };

	return cmocka_run_group_tests_name("policy-million", tests, world_setup, world_teardown);
}
