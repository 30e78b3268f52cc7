/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Readers under QSBR while the writer churns. Every answer must be one that was true at some moment near the
 * question: each key has its own set of legal answers, so an answer meant for another key, a stale slot or a
 * half-written entry shows. What never changes must always be found.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/str.h"
#include "policy/policy_private.h"
#include "policy_world.h"

#define READERS 2
#define FIXED	200 /* keys that stay */
#define CHURN	600 /* keys that come, move and go */
#define HOSTS	16  /* key k may be on host k % 15 + 1 or the next */
#define BURST	32
#define CHANGES 200000
#define VSID	5001u

struct shared {
	struct policy *p;
	bool stop;
	uint64_t questions[READERS], wrong[READERS];
	char what[READERS][160];
};

static struct mac mac_of(unsigned int k)
{
	return (struct mac){ { 2, 0, 0, 0, (uint8_t)(k >> 8), (uint8_t)k } };
}

static struct ip_addr ca_of(unsigned int k)
{
	struct ip_addr a = { .family = k % 2 ? 4 : 6, .b = { 10, 1, (uint8_t)(k >> 8), (uint8_t)k } };

	return a;
}

static unsigned int host_of(unsigned int k, unsigned int turn)
{
	return (k + turn) % (HOSTS - 1) + 1;
}

static bool legal_host(const struct policy *p, unsigned int k, uint16_t index)
{
	const struct policy_host *h = policy_host(p, index);
	unsigned int number;

	if (!h || sscanf(h->id, "h%u", &number) != 1)
		return false;
	return number == host_of(k, 0) + 1 || number == host_of(k, 1) + 1;
}

struct frame_buf {
	struct rte_mbuf m;
	struct pkt_meta meta;
	uint8_t data[64];
};

static void make(struct frame_buf *f, unsigned int k, bool routed)
{
	struct ip_addr ca = ca_of(k);
	struct mac mac = routed ? policy_gateway_mac(VSID) : mac_of(k);

	memset(f, 0, sizeof(*f));
	f->m.buf_addr = f->data;
	f->m.priv_size = sizeof(f->meta);
	f->meta.pkt.l3_off = 14;
	f->meta.pkt.kind = ca.family == 4 ? PKT_IPV4 : PKT_IPV6;
	f->meta.vsid_in = VSID;
	memcpy(f->data, &mac, 6);
	f->data[6] = 2;
	f->data[7] = 0xee;
	if (ca.family == 4) {
		f->data[22] = 64;
		memcpy(f->data + 30, ca.b, 4);
	} else {
		f->data[21] = 64;
		memcpy(f->data + 38, ca.b, 16);
	}
}

static bool bad(struct shared *s, unsigned int id, const char *what, unsigned int k, const struct pkt_meta *m)
{
	if (!s->wrong[id]++)
		snprintf(s->what[id], sizeof(s->what[id]),
			 "%s of key %u: verdict %u drop %s dst %u record %x", what, k, m->verdict,
			 drop_name(m->drop), m->dst, m->record);
	return false;
}

/* Verdict of one frame for key k. */
static bool judge(struct shared *s, unsigned int id, const struct frame_buf *f, unsigned int k, bool routed)
{
	const struct pkt_meta *m = &f->meta;
	struct mac mac = mac_of(k);

	if (m->verdict == VERDICT_REMOTE) {
		if (!legal_host(s->p, k, m->dst))
			return bad(s, id, "host", k, m);
		if (routed && !mac_equal(f->data, &mac))
			return bad(s, id, "MAC", k, m);
		return true;
	}
	if (k < FIXED || m->verdict != VERDICT_DROP || m->drop != DROP_NO_RECORD)
		return bad(s, id, "verdict", k, m);
	return true;
}

static bool judge_record(struct shared *s, unsigned int id, unsigned int k)
{
	struct ip_addr ca = ca_of(k);
	uint32_t i = policy_ca_lookup(s->p, VSID, &ca);
	const struct policy_record *r = policy_record(s->p, i);
	struct pkt_meta none = { .record = i };
	struct mac mac = mac_of(k);

	if (i == REC_NONE)
		return k >= FIXED || bad(s, id, "record", k, &none);
	if (r->vsid != VSID || !ip_equal(&r->ca, &ca) || !mac_equal(&r->mac, &mac) ||
	    !legal_host(s->p, k, record_place(r).host))
		return bad(s, id, "record", k, &none);
	return true;
}

/* Hosts change weights and are never without their address. */
static bool judge_host(struct shared *s, unsigned int id, unsigned int k)
{
	struct ip_addr pa = { .family = 4, .b = { 192, 0, 2, (uint8_t)(k % HOSTS + 1) } };
	uint16_t i = policy_host_of_pa(s->p, &pa);
	const struct policy_host *h = policy_host(s->p, i);
	struct pkt_meta none = { .src_host = i };

	return (h && h->n_pas == 1 && ip_equal(&h->pas[0].address, &pa)) ||
	       bad(s, id, "provider address", k, &none);
}

struct reader {
	struct shared *s;
	unsigned int id;
};

static void *reader(void *arg)
{
	const struct reader *me = arg;
	struct shared *s = me->s;
	unsigned int k[BURST];
	struct frame_buf f[BURST];
	struct rte_mbuf *pkts[BURST];
	struct policy_port port = { .index = 7, .vsid = VSID };
	uint64_t rnd = me->id;
	bool routed = false;

	rcu_register(me->id);
	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		const struct policy_subnet *subnet = policy_subnet(s->p, VSID);

		routed = !routed;
		for (unsigned int i = 0; i < BURST; i++) {
			k[i] = (unsigned int)(world_random(&rnd) % (FIXED + CHURN));
			make(&f[i], k[i], routed);
			f[i].meta.src = port.index;
			pkts[i] = &f[i].m;
		}
		policy_lookup_burst(s->p, &port, subnet, pkts, BURST);
		policy_route_burst(s->p, subnet, pkts, BURST);
		for (unsigned int i = 0; i < BURST; i++) {
			judge(s, me->id, &f[i], k[i], routed);
			judge_record(s, me->id, k[i]);
			judge_host(s, me->id, k[i]);
		}
		s->questions[me->id] += 3 * BURST;
		rcu_quiescent(me->id);
	}
	rcu_unregister(me->id);
	return NULL;
}

/*
 * The tables are as small as can be, so nearly every change needs a number that the readers have to let go of first.
 * Where one of them does not run for long the change is refused; a full table with stuck workers is no wrong answer.
 */
static bool again(int r)
{
	if (r != -ENOSPC)
		return false;
	rcu_synchronize();
	return true;
}

#define ROOM(change)                  \
	({                            \
		int r_;               \
		do                    \
			r_ = (change); \
		while (again(r_));    \
		r_;                   \
	})

static void set(struct policy *p, unsigned int k, unsigned int turn)
{
	struct record_spec s = { .vsid = VSID, .ca = ca_of(k), .mac = mac_of(k) };

	snprintf(s.host, sizeof(s.host), "h%u", host_of(k, turn) + 1);
	assert_true(ROOM(policy_set(p, OBJECT_RECORD, &s, ORIGIN_MANAGER, NULL)) >= 0);
}

static void unset(struct policy *p, unsigned int k)
{
	struct record_spec s = { .vsid = VSID, .ca = ca_of(k), .mac = mac_of(k) };
	int r = policy_remove(p, OBJECT_RECORD, &s, ORIGIN_MANAGER, NULL);

	assert_true(r == 0 || r == -ENOENT);
}

/* Everything that a writer can do around the readers' keys. */
static void churn(struct policy *p, uint64_t *rnd)
{
	static bool subnet_wide = true, port_there;
	unsigned int k = (unsigned int)(world_random(rnd) % (FIXED + CHURN));
	int r = 0;

	switch (world_random(rnd) % 16) {
	case 0:
		subnet_wide = !subnet_wide;
		r = ROOM(world_set(p, ORIGIN_ADMIN,
				   "subnet vsid=%u rdid=t1 gateways=[10.1.255.1/16,a01::ffff/%u] learning=false", VSID,
				   subnet_wide ? 16 : 17));
		break;
	case 1: /* more specific and other routes beside the readers' */
		r = ROOM(world_set(p, ORIGIN_ADMIN, "route rdid=t1 vsid=%u prefix=10.2.%u.0/24 metric=%u", VSID,
				   k % 256, k % 7));
		break;
	case 2:
		(void)world_remove(p, ORIGIN_ADMIN, "route rdid=t1 prefix=10.2.%u.0/24", k % 256);
		break;
	case 3:
		port_there = !port_there;
		r = port_there ?
			    ROOM(world_set(p, ORIGIN_ADMIN, "port id=px vsid=%u macs=[02:00:00:00:f0:01]", VSID)) :
			    ROOM(world_remove(p, ORIGIN_ADMIN, "port id=px"));
		break;
	case 4:
		r = ROOM(world_set(p, ORIGIN_ADMIN, "host id=h%u pas=[{address=192.0.2.%u weight=%u}]", k % HOSTS + 1,
				   k % HOSTS + 1, k % 5 + 1));
		break;
	default:
		if (k >= FIXED && world_random(rnd) % 2)
			unset(p, k);
		else
			set(p, k, (unsigned int)(world_random(rnd) % 2));
	}
	assert_true(r >= 0);
}

static void old_or_new(void **state)
{
	static struct shared s;
	struct reader readers[READERS];
	pthread_t threads[READERS];
	uint64_t rnd = world_seed();

	memset(&s, 0, sizeof(s));
	s.p = world_new(FIXED + CHURN); /* small: slots and indices come round often */
	assert_int_equal(
		world_set(s.p, ORIGIN_ADMIN,
			  "subnet vsid=%u rdid=t1 gateways=[10.1.255.1/16,a01::ffff/16] learning=false",
			  VSID),
		0);
	for (unsigned int i = 0; i < HOSTS; i++)
		assert_int_equal(
			world_set(s.p, ORIGIN_ADMIN, "host id=h%u pas=[{address=192.0.2.%u}]", i + 1, i + 1),
			0);
	for (unsigned int k = 0; k < FIXED; k++)
		set(s.p, k, 0);
	for (unsigned int i = 0; i < READERS; i++) {
		readers[i] = (struct reader){ .s = &s, .id = i };
		assert_int_equal(pthread_create(&threads[i], NULL, reader, &readers[i]), 0);
	}
	for (unsigned int i = 0; i < CHANGES; i++) {
		churn(s.p, &rnd);
		if (i % 64 == 0)
			rcu_reclaim(0);
	}
	__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned int i = 0; i < READERS; i++) {
		print_message("reader %u: %llu questions during %u changes\n", i,
			      (unsigned long long)s.questions[i], CHANGES);
		if (s.wrong[i])
			fail_msg("%llu wrong answers, the first: %s", (unsigned long long)s.wrong[i],
				 s.what[i]);
		assert_true(s.questions[i] > 0);
	}
	policy_free(s.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(old_or_new) };

	return cmocka_run_group_tests_name("policy-readers", tests, world_setup, world_teardown);
}
