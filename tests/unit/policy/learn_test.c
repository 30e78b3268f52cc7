/* SPDX-License-Identifier: BSD-3-Clause */
/* What the learner makes of sightings (HNV rows 45-49, 53, 54), with time and the other side played by the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/str.h"
#include "policy/learn/learn.h"
#include "policy_world.h"

#define MAC_A "02:00:00:00:00:0a"
#define MAC_B "02:00:00:00:00:0b"
#define MAC_L "02:00:00:00:00:0c" /* on port l, whose list allows 10.0.0.50 only */
#define MAC_R "02:00:00:00:00:0f" /* on host h2 */

static struct {
	struct policy *p;
	struct learn *l;
	uint64_t now;
	unsigned int news[LEARN_CHANGE_COUNT], asked, announced;
	bool busy; /* questions cannot be sent */
	bool full; /* all that is sent is lost */
	uint64_t lost;
	struct learn_news last;
	char reason[128];
} w;

static void on_news(void *arg, const struct learn_news *n)
{
	w.news[n->change]++;
	w.last = *n;
	str_copy(w.reason, sizeof(w.reason), n->reason);
}

static enum learn_asked on_ask(void *arg, uint32_t vsid, const struct ip_addr *ca, const struct mac *mac,
			       const struct mac *asker)
{
	if (w.busy)
		return LEARN_NOT_NOW;
	w.asked++;
	w.lost += w.full;
	assert_true(policy_awaited(w.p, vsid, ca, mac_load(mac)));
	return policy_mac_lookup(w.p, vsid, mac_load(mac)) != MACV_MISS ? LEARN_ASKED : LEARN_NOWHERE;
}

static uint64_t on_lost(void *arg, uint32_t vsid, const struct mac *mac)
{
	return w.lost;
}

static void on_announce(void *arg, uint16_t port, const struct ip_addr *ca, const struct mac *mac)
{
	w.announced++;
}

static const struct learn_ops ops = { on_news, on_ask, on_lost, on_announce };

static void set(enum origin origin, const char *line)
{
	if (world_set(w.p, origin, "%s", line) < 0)
		fail_msg("%s: %s", line, world_error());
}

static int setup(void **state)
{
	struct learn_params params = { .per_port = 4, .verify_ms = 100000, .claim_ms = 60 };

	memset(&w, 0, sizeof(w));
	w.p = world_new(8192);
	w.now = 1000000;
	set(ORIGIN_ADMIN, "subnet vsid=5001 rdid=t gateways=[10.0.0.1/24,fd00::1/64]");
	set(ORIGIN_ADMIN, "port id=a vsid=5001 macs=[" MAC_A "]");
	set(ORIGIN_ADMIN, "port id=b vsid=5001 macs=[" MAC_B "]");
	set(ORIGIN_ADMIN, "port id=l vsid=5001 macs=[" MAC_L "] addresses=[10.0.0.50/32]");
	return learn_new(w.p, "h1", &params, &ops, NULL, &w.l);
}

static int teardown(void **state)
{
	learn_free(w.l);
	policy_free(w.p);
	return 0;
}

static void see_xid(enum sight_kind kind, const char *port, const char *mac, const char *ca, uint32_t xid)
{
	struct sighting s = { .kind = kind, .port = port ? policy_port_index(w.p, port) : PORT_WIRE, .vsid = 5001,
			   .xid = xid, .mac = world_mac(mac) };

	if (ca)
		s.ca = world_ip(ca);
	learn_see(w.l, &s, w.now);
	learn_tick(w.l, w.now);
}

static void see(enum sight_kind kind, const char *port, const char *mac, const char *ca)
{
	see_xid(kind, port, mac, ca, 0);
}

/* Let time pass, with everything that is due. */
static void pass(uint64_t ms)
{
	uint64_t end = w.now + ms, next;

	while ((next = learn_tick(w.l, w.now)) <= end)
		w.now = next;
	w.now = end;
	learn_tick(w.l, w.now);
}

/* "mac host origin", with "!" for unsynchronized; "" when there is none. */
static const char *record(const char *ca)
{
	static char text[128];
	struct record_spec rec = { .vsid = 5001, .ca = world_ip(ca) };
	enum origin origin;
	char mac[MAC_STR];

	if (policy_get(w.p, OBJECT_RECORD, &rec, &origin) < 0)
		return "";
	snprintf(text, sizeof(text), "%s %s %s%s", format_mac(&rec.mac, mac), rec.host, origin_names[origin],
		 rec.unsynchronized ? "!" : "");
	return text;
}

static void test_row45_hand_set_address(void **state)
{
	see(SIGHT_USES, "a", MAC_A, "10.0.0.10");
	assert_string_equal(record("10.0.0.10"), MAC_A " h1 learned!");
	assert_int_equal(w.news[LEARN_ADDED], 1);
	assert_true(w.last.learned);
	see(SIGHT_ANNOUNCES, "a", MAC_A, "10.0.0.10");
	assert_int_equal(w.news[LEARN_ADDED], 1);
	assert_int_equal(w.asked, 0);
	assert_false(policy_awaits(w.p));
	assert_int_equal(learn_count(w.l), 1);
}

/* A probe is not yet a claim: the guest is asked a second later, and its answer teaches (row 47: SLAAC with DAD). */
static void test_row47_wanted_is_asked(void **state)
{
	see(SIGHT_WANTS, "a", MAC_A, "fd00::a");
	assert_string_equal(record("fd00::a"), "");
	pass(1100);
	assert_int_equal(w.asked, 0);
	pass(200);
	assert_int_equal(w.asked, 1);
	assert_true(policy_awaits(w.p));
	see(SIGHT_USES, "a", MAC_A, "fd00::a");
	assert_string_equal(record("fd00::a"), MAC_A " h1 learned!");
	assert_false(policy_awaits(w.p));
	/* one that it did not get */
	see(SIGHT_WANTS, "a", MAC_A, "fd00::b");
	pass(10000);
	assert_int_equal(w.asked, 4);
	assert_string_equal(record("fd00::b"), "");
	assert_false(policy_awaits(w.p));
}

static void test_row46_lease(void **state)
{
	see_xid(SIGHT_LEASE, "a", MAC_A, "10.0.0.20", 77); /* nobody asked */
	assert_string_equal(record("10.0.0.20"), "");
	see_xid(SIGHT_ASKS, "a", MAC_A, "0.0.0.0", 77);
	see_xid(SIGHT_LEASE, "a", MAC_A, "10.0.0.20", 78); /* another transaction */
	see_xid(SIGHT_LEASE, "b", MAC_B, "10.0.0.20", 77); /* another guest */
	assert_string_equal(record("10.0.0.20"), "");
	see_xid(SIGHT_LEASE, "a", MAC_A, "10.0.0.20", 77);
	assert_string_equal(record("10.0.0.20"), MAC_A " h1 learned!");
	see_xid(SIGHT_LEASE, "a", MAC_A, "10.0.0.21", 77); /* the subnet has heard the number */
	assert_string_equal(record("10.0.0.21"), "");
	see_xid(SIGHT_ASKS, "a", MAC_A, "0.0.0.0", 78);
	see_xid(SIGHT_LEASE, "a", MAC_A, "10.0.0.21", 78);
	assert_string_equal(record("10.0.0.21"), MAC_A " h1 learned!");
}

static void test_row49_authority(void **state)
{
	struct record_spec rec;
	uint64_t cursor = 0;
	enum origin origin;

	see(SIGHT_USES, "a", MAC_B, "10.0.0.10");    /* a MAC that is not the port's */
	see(SIGHT_USES, "a", MAC_R, "10.0.0.11");
	see(SIGHT_OWNER, NULL, MAC_R, "10.0.0.12"); /* the wire teaches nothing */
	assert_int_equal(policy_next(w.p, OBJECT_RECORD, &cursor, &rec, &origin), 0);
	set(ORIGIN_ADMIN, "record vsid=5001 ca=10.0.0.10 mac=" MAC_B " host=h1");
	see(SIGHT_USES, "a", MAC_A, "10.0.0.10"); /* static */
	assert_string_equal(record("10.0.0.10"), MAC_B " h1 admin");
	assert_int_equal(w.news[LEARN_CONFLICTED], 1);
	assert_int_equal(w.asked, 0);
	see(SIGHT_USES, "a", MAC_A, "10.0.0.10");
	assert_int_equal(w.news[LEARN_CONFLICTED], 1);
	pass(70000);
}

static void test_quota(void **state)
{
	for (unsigned int i = 0; i < 6; i++) {
		char ca[32];

		snprintf(ca, sizeof(ca), "10.0.0.%u", 10 + i);
		see(SIGHT_USES, "a", MAC_A, ca);
	}
	assert_int_equal(learn_count(w.l), 4);
	assert_int_equal(w.news[LEARN_MISMATCH], 2);
	see(SIGHT_USES, "b", MAC_B, "10.0.0.99");
	assert_int_equal(learn_count(w.l), 5);
}

/* Another guest wants a living one's address: it is defended. */
static void test_owner_defends(void **state)
{
	see(SIGHT_USES, "b", MAC_B, "10.0.0.10");
	see(SIGHT_ANNOUNCES, "a", MAC_A, "10.0.0.10");
	assert_int_equal(w.asked, 1);
	see(SIGHT_USES, "b", MAC_B, "10.0.0.10"); /* the answer */
	pass(1000);
	assert_string_equal(record("10.0.0.10"), MAC_B " h1 learned!");
	assert_int_equal(w.news[LEARN_CONFLICTED], 1);
	assert_int_equal(w.news[LEARN_MOVED], 0);
	see(SIGHT_ANNOUNCES, "a", MAC_A, "10.0.0.10"); /* at once again: waits, and ends when the owner speaks */
	assert_int_equal(w.asked, 1);
	see(SIGHT_USES, "b", MAC_B, "10.0.0.10");
	pass(10000);
	assert_int_equal(w.asked, 1);
	assert_false(policy_awaits(w.p));
}

/* A silent owner loses its address (row 54), and everybody is told. */
static void test_row54_move(void **state)
{
	see(SIGHT_USES, "b", MAC_B, "10.0.0.10");
	see(SIGHT_ANNOUNCES, "a", MAC_A, "10.0.0.10");
	pass(29);
	assert_int_equal(w.asked, 1);
	pass(40);
	assert_int_equal(w.asked, 2);
	assert_string_equal(record("10.0.0.10"), MAC_A " h1 learned!");
	assert_int_equal(w.news[LEARN_MOVED], 1);
	assert_int_equal(w.announced, 1);
	assert_int_equal(learn_count(w.l), 1);
	/* the owner's port is gone: nobody to ask */
	assert_int_equal(world_remove(w.p, ORIGIN_ADMIN, "port id=a"), 0);
	see(SIGHT_ANNOUNCES, "b", MAC_B, "10.0.0.10");
	pass(100);
	assert_string_equal(record("10.0.0.10"), MAC_B " h1 learned!");
}

/* From another host: central policy has it there. An answer over the wire defends it. */
static void test_row54_move_from_another_host(void **state)
{
	set(ORIGIN_MANAGER, "record vsid=5001 mac=" MAC_R " host=h2 type=l2only");
	set(ORIGIN_MANAGER, "record vsid=5001 ca=10.0.0.10 mac=" MAC_R " host=h2 type=dynamic");
	see(SIGHT_ANNOUNCES, "a", MAC_A, "10.0.0.10");
	see(SIGHT_OWNER, NULL, MAC_R, "10.0.0.10");
	pass(6000);
	assert_string_equal(record("10.0.0.10"), MAC_R " h2 manager");
	see(SIGHT_ANNOUNCES, "a", MAC_A, "10.0.0.10");
	see(SIGHT_OWNER, NULL, MAC_B, "10.0.0.10"); /* somebody else says so: no defence */
	pass(4000);
	assert_string_equal(record("10.0.0.10"), MAC_A " h1 manager!");
	assert_int_equal(w.news[LEARN_MOVED], 1);
}

/* Who claims again and again until the owner is slow for a moment gets nothing by it. */
static void test_defender_may_be_slow(void **state)
{
	see(SIGHT_USES, "b", MAC_B, "10.0.0.10");
	see(SIGHT_ANNOUNCES, "a", MAC_A, "10.0.0.10");
	see(SIGHT_USES, "b", MAC_B, "10.0.0.10");
	for (unsigned int i = 0; i < 5; i++) {
		pass(6000);
		see(SIGHT_ANNOUNCES, "a", MAC_A, "10.0.0.10");
		pass(2500); /* a live migration */
		assert_string_equal(record("10.0.0.10"), MAC_B " h1 learned!");
		see(SIGHT_USES, "b", MAC_B, "10.0.0.10");
	}
	assert_int_equal(w.news[LEARN_MOVED], 0);
	pass(6000);
	see(SIGHT_ANNOUNCES, "a", MAC_A, "10.0.0.10");
	pass(4000);
	assert_string_equal(record("10.0.0.10"), MAC_A " h1 learned!");
}

/* Who was not asked is not silent. */
static void test_question_that_cannot_be_sent(void **state)
{
	see(SIGHT_USES, "b", MAC_B, "10.0.0.10");
	w.busy = true;
	see(SIGHT_ANNOUNCES, "a", MAC_A, "10.0.0.10");
	pass(5000);
	assert_string_equal(record("10.0.0.10"), MAC_B " h1 learned!");
	pass(200000); /* not forgotten either */
	assert_string_equal(record("10.0.0.10"), MAC_B " h1 learned!");
	see(SIGHT_USES, "b", MAC_B, "10.0.0.10");
	see(SIGHT_ANNOUNCES, "a", MAC_A, "10.0.0.10");
	pass(200);
	w.busy = false;
	pass(200);
	assert_string_equal(record("10.0.0.10"), MAC_A " h1 learned!");
}

/* Its ring is full: it gets more time and questions, but not for ever, as it may not live. */
static void test_question_that_is_lost(void **state)
{
	see(SIGHT_USES, "b", MAC_B, "10.0.0.10");
	w.full = true;
	see(SIGHT_ANNOUNCES, "a", MAC_A, "10.0.0.10");
	pass(500);
	assert_string_equal(record("10.0.0.10"), MAC_B " h1 learned!");
	assert_true(w.asked > 10);
	pass(2000);
	assert_string_equal(record("10.0.0.10"), MAC_A " h1 learned!");
	see(SIGHT_ANNOUNCES, "b", MAC_B, "10.0.0.10");
	pass(200);
	w.full = false;
	pass(200);
	assert_string_equal(record("10.0.0.10"), MAC_B " h1 learned!");
}

/*
 * Row 54: two masters of a cluster for a moment, as they start. The real one dies while claims wait, and the other one
 * announces itself once.
 */
static void test_row54_claim_waits(void **state)
{
	see(SIGHT_USES, "b", MAC_B, "10.0.0.10");
	see(SIGHT_ANNOUNCES, "a", MAC_A, "10.0.0.10");
	see(SIGHT_USES, "b", MAC_B, "10.0.0.10");
	pass(1000);
	see(SIGHT_ANNOUNCES, "l", MAC_L, "10.0.0.10"); /* the last one counts */
	see(SIGHT_ANNOUNCES, "a", MAC_A, "10.0.0.10");
	assert_false(policy_awaits(w.p));
	pass(3900);
	assert_int_equal(w.asked, 1);
	pass(200);
	assert_int_equal(w.asked, 2);
	assert_true(policy_awaits(w.p));
	pass(4000);
	assert_string_equal(record("10.0.0.10"), MAC_A " h1 learned!");
	assert_int_equal(w.news[LEARN_CONFLICTED], 1);
	assert_int_equal(w.announced, 1);
}

/* Nobody has the address any more when the claim's time comes; or the claimant has gone. */
static void test_waiting_claim_finds_nobody(void **state)
{
	for (unsigned int i = 0; i < 2; i++) {
		const char *ca = i ? "10.0.0.11" : "10.0.0.10";

		see(SIGHT_USES, "b", MAC_B, ca);
		see(SIGHT_ANNOUNCES, "a", MAC_A, ca);
		see(SIGHT_USES, "b", MAC_B, ca);
		see(SIGHT_ANNOUNCES, "a", MAC_A, ca);
	}
	set(ORIGIN_ADMIN, "port id=b vsid=5001 macs=[" MAC_B "] addresses=[10.0.0.11/32]");
	learn_port_changed(w.l, policy_port_index(w.p, "b"), w.now);
	assert_string_equal(record("10.0.0.10"), "");
	pass(6000);
	assert_string_equal(record("10.0.0.10"), MAC_A " h1 learned!");
	set(ORIGIN_ADMIN, "port id=a vsid=5001 macs=[02:00:00:00:00:1a]");
	pass(6000);
	assert_string_equal(record("10.0.0.11"), MAC_B " h1 learned!");
}

/* A port's MAC may change while an address is contested. */
static void test_claimant_changes(void **state)
{
	see(SIGHT_USES, "b", MAC_B, "10.0.0.10");
	see(SIGHT_ANNOUNCES, "a", MAC_A, "10.0.0.10");
	set(ORIGIN_ADMIN, "port id=a vsid=5001 macs=[02:00:00:00:00:1a]");
	pass(1000);
	assert_string_equal(record("10.0.0.10"), MAC_B " h1 learned!");
}

/* One port's claims, and what is only remembered, leave room for the others'. */
static void test_many_claims(void **state)
{
	char line[128], ca[32];
	unsigned int asked;

	for (unsigned int i = 0; i < 100; i++) {
		snprintf(line, sizeof(line), "record vsid=5001 ca=10.0.1.%u mac=" MAC_R " host=h2 type=dynamic", i);
		set(ORIGIN_MANAGER, line);
	}
	see(SIGHT_USES, "b", MAC_B, "10.0.0.10");
	see(SIGHT_USES, "b", MAC_B, "10.0.0.11");
	for (unsigned int i = 0; i < 100; i++) {
		snprintf(ca, sizeof(ca), "10.0.1.%u", i);
		see(SIGHT_ANNOUNCES, "a", MAC_A, ca);
	}
	assert_int_equal(w.asked, 64);
	see(SIGHT_ANNOUNCES, "l", MAC_L, "10.0.0.10");
	assert_int_equal(w.asked, 65);
	pass(1000);
	asked = w.asked;
	for (unsigned int i = 0; i < 4500; i++) { /* each claim of a static one is remembered for a while */
		snprintf(ca, sizeof(ca), "10.0.%u.%u", 16 + i / 250, 1 + i % 250);
		snprintf(line, sizeof(line), "record vsid=5001 ca=%s mac=02:00:00:01:00:01 host=h2 type=static", ca);
		set(ORIGIN_MANAGER, line);
		see(SIGHT_ANNOUNCES, "a", MAC_A, ca);
	}
	assert_int_equal(w.asked, asked);
	see(SIGHT_ANNOUNCES, "l", MAC_L, "10.0.0.11");
	assert_int_equal(w.asked, asked + 1);
	pass(500000);
	assert_false(policy_awaits(w.p));
}

/* A static record says where the MAC is: the guest's presence does not. */
static void test_static_of_manager_stays(void **state)
{
	set(ORIGIN_MANAGER, "record vsid=5001 ca=10.0.0.10 mac=" MAC_A " host=h2 type=static");
	set(ORIGIN_MANAGER, "record vsid=5001 ca=10.0.0.11 mac=" MAC_A " host=h2 type=dynamic");
	see(SIGHT_MAC, "a", MAC_A, NULL);
	see(SIGHT_USES, "a", MAC_A, "10.0.0.11");
	assert_string_equal(record("10.0.0.10"), MAC_A " h2 manager");
	assert_string_equal(record("10.0.0.11"), MAC_A " h2 manager");
	assert_int_equal(w.news[LEARN_MOVED], 0);
	assert_int_equal(w.news[LEARN_MISMATCH], 2);
}

static void test_allowed_addresses_move_at_once(void **state)
{
	see(SIGHT_USES, "b", MAC_B, "10.0.0.50");
	see(SIGHT_USES, "l", MAC_L, "10.0.0.50");
	assert_string_equal(record("10.0.0.50"), MAC_L " h1 learned!");
	assert_int_equal(w.asked, 0);
}

static void test_flapping_is_held_down(void **state)
{
	see(SIGHT_USES, "l", MAC_L, "10.0.0.50");
	for (unsigned int i = 0; i < 20; i++) {
		see(SIGHT_ANNOUNCES, i % 2 ? "l" : "b", i % 2 ? MAC_L : MAC_B, "10.0.0.50");
		pass(100);
	}
	assert_int_equal(w.news[LEARN_MOVED], 5);
	assert_int_equal(w.news[LEARN_CONFLICTED], 1);
	pass(40000);
	see(SIGHT_ANNOUNCES, "l", MAC_L, "10.0.0.50");
	see(SIGHT_ANNOUNCES, "b", MAC_B, "10.0.0.50");
	pass(100);
	assert_true(w.news[LEARN_MOVED] > 5);
}

/* The guest itself comes here: all its addresses in one change (row 28). */
static void test_row28_guest_comes(void **state)
{
	set(ORIGIN_MANAGER, "record vsid=5001 mac=" MAC_A " host=h2 type=l2only");
	set(ORIGIN_MANAGER, "record vsid=5001 ca=10.0.0.10 mac=" MAC_A " host=h2 type=dynamic");
	set(ORIGIN_MANAGER, "record vsid=5001 ca=fd00::a mac=" MAC_A " host=h2 type=dynamic");
	see(SIGHT_MAC, "a", MAC_A, NULL);
	assert_string_equal(record("10.0.0.10"), MAC_A " h1 manager!");
	assert_string_equal(record("fd00::a"), MAC_A " h1 manager!");
	assert_int_equal(w.news[LEARN_MOVED], 2);
	assert_int_equal(learn_count(w.l), 2);
	/* and leaves again, by central policy */
	set(ORIGIN_MANAGER, "record vsid=5001 ca=10.0.0.10 mac=" MAC_A " host=h2 type=dynamic");
	learn_record_changed(w.l, &(struct record_spec){ .vsid = 5001, .ca = world_ip("10.0.0.10") }, w.now);
	assert_int_equal(learn_count(w.l), 1);
	assert_int_equal(w.news[LEARN_DELETED], 1);
	assert_string_equal(record("10.0.0.10"), MAC_A " h2 manager");
}

static void test_silent_guest_is_asked_and_forgotten(void **state)
{
	see(SIGHT_USES, "a", MAC_A, "10.0.0.10");
	see(SIGHT_USES, "b", MAC_B, "10.0.0.11");
	pass(101000);
	assert_int_equal(w.asked, 4);
	see(SIGHT_USES, "b", MAC_B, "10.0.0.11");
	pass(5000);
	assert_string_equal(record("10.0.0.10"), "");
	assert_string_equal(record("10.0.0.11"), MAC_B " h1 learned!");
	assert_int_equal(w.news[LEARN_DELETED], 1);
	assert_string_equal(w.reason, "the guest does not answer");
	pass(70000); /* nothing is left of it */
}

static void test_port_removed(void **state)
{
	uint16_t a = policy_port_index(w.p, "a");

	see(SIGHT_USES, "a", MAC_A, "10.0.0.10");
	see(SIGHT_WANTS, "a", MAC_A, "10.0.0.12");
	see(SIGHT_USES, "b", MAC_B, "10.0.0.11");
	assert_int_equal(world_remove(w.p, ORIGIN_ADMIN, "port id=a"), 0);
	learn_port_changed(w.l, a, w.now);
	assert_string_equal(record("10.0.0.10"), "");
	assert_string_equal(record("10.0.0.11"), MAC_B " h1 learned!");
	assert_int_equal(w.news[LEARN_DELETED], 1);
	pass(200000);
}

/* Rows 30, 43: learned records are there after a restart, unsynchronized until central policy has them. */
static void test_row43_restore(void **state)
{
	struct learn_params params = { .per_port = 4, .verify_ms = 100000, .claim_ms = 60 };
	struct record_spec rec;
	uint64_t cursor = 0;

	set(ORIGIN_LEARNED, "record vsid=5001 ca=10.0.0.10 mac=" MAC_A " host=h1 type=dynamic");
	set(ORIGIN_LEARNED, "record vsid=5001 ca=10.0.0.66 mac=" MAC_R " host=h2 type=dynamic"); /* it left */
	set(ORIGIN_MANAGER, "record vsid=5001 ca=10.0.0.11 mac=" MAC_B " host=h1 type=dynamic");
	learn_free(w.l);
	assert_int_equal(learn_new(w.p, "h1", &params, &ops, NULL, &w.l), 0);
	learn_restore(w.l, w.now);
	assert_string_equal(record("10.0.0.10"), MAC_A " h1 learned!");
	assert_string_equal(record("10.0.0.11"), MAC_B " h1 manager");
	assert_string_equal(record("10.0.0.66"), "");
	assert_int_equal(learn_count(w.l), 2);
	while (learn_next(w.l, &cursor, &rec) > 0)
		assert_string_equal(rec.host, "h1");
	/* central policy has it now */
	set(ORIGIN_MANAGER, "record vsid=5001 ca=10.0.0.10 mac=" MAC_A " host=h1 type=dynamic");
	learn_record_changed(w.l, &(struct record_spec){ .vsid = 5001, .ca = world_ip("10.0.0.10") }, w.now);
	assert_string_equal(record("10.0.0.10"), MAC_A " h1 manager");
	assert_int_equal(learn_count(w.l), 2);
}

/* Row 29: rate-limited, and how many were not told. */
static void test_row29_mismatch(void **state)
{
	struct sighting s = { .kind = SIGHT_MISMATCH, .drop = DROP_SRC_PA_MISMATCH, .port = PORT_WIRE, .vsid = 5001,
			   .mac = world_mac(MAC_R), .ca = world_ip("10.0.0.9"), .pa = world_ip("192.0.2.66") };

	for (unsigned int i = 0; i < 1000; i++)
		learn_see(w.l, &s, w.now);
	assert_int_equal(w.news[LEARN_MISMATCH], 32);
	assert_string_equal(w.reason, "src-pa-mismatch");
	assert_true(ip_equal(&w.last.pa, &s.pa));
	pass(1000);
	learn_see(w.l, &s, w.now);
	assert_int_equal(w.last.suppressed, 1000 - 32);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_row45_hand_set_address), T(test_row46_lease), T(test_row47_wanted_is_asked),
		T(test_row49_authority), T(test_quota), T(test_owner_defends), T(test_row54_move),
		T(test_row54_move_from_another_host), T(test_allowed_addresses_move_at_once),
		T(test_flapping_is_held_down), T(test_row28_guest_comes), T(test_silent_guest_is_asked_and_forgotten),
		T(test_port_removed), T(test_row43_restore), T(test_row29_mismatch), T(test_defender_may_be_slow),
		T(test_question_that_cannot_be_sent), T(test_question_that_is_lost),
		T(test_row54_claim_waits), T(test_waiting_claim_finds_nobody),
		T(test_claimant_changes), T(test_many_claims), T(test_static_of_manager_stays),
	};

	return cmocka_run_group_tests_name("policy-learn", tests, world_setup, world_teardown);
}
