/* SPDX-License-Identifier: BSD-3-Clause */
/* The manager: what hosts learn becomes policy, or does not, on both backends (argument "sqlite" or "etcd"). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/str.h"
#include "etcd_server.h"
#include "policy/manager/manager_private.h"
#include "wall_clock.h"

#define WAIT_MS 60000

static struct etcd_server server;
static bool with_etcd;
static char dir[64];
static unsigned int roots;
static uint32_t lease_s = 2;

/* A host, or anybody who watches: the last value of every key. */
struct host {
	struct kv *kv;
	struct {
		char key[128], value[256];
	} seen[64];
	unsigned int n, leases, ends, changes, done, put;
	unsigned int members; /* keys of them, seen but not remembered */
	size_t list;	      /* length of the list of them */
	unsigned int macs;    /* changes of records of a MAC */
	int r;
	bool quiet;
};

static void on_event(void *arg, unsigned int watch, enum kv_event what, const char *key, const char *value,
		     int64_t revision, bool leased)
{
	struct host *h = arg;
	unsigned int i = 0;

	h->ends += what == KV_END;
	if (!key)
		return;
	h->changes++;
	if (strncmp(key, "vsid/5001/member/many-", 22) == 0) {
		h->members += value ? 1 : -1;
		return;
	}
	h->macs += strncmp(key, "vsid/5001/mac/", 14) == 0;
	if (strcmp(key, "vsid/5001/members") == 0)
		h->list = value ? strlen(value) : 0;
	if (h->quiet)
		return;
	while (i < h->n && strcmp(h->seen[i].key, key) != 0)
		i++;
	if (!value) {
		if (i < h->n)
			h->seen[i] = h->seen[--h->n];
		return;
	}
	if (i == h->n && h->n < 64)
		str_copy(h->seen[h->n++].key, 128, key);
	str_copy(h->seen[i].value, 256, value);
}

static void on_lease(void *arg)
{
	((struct host *)arg)->leases++;
}

static void on_done(void *arg, int r, const char *text)
{
	struct host *h = arg;

	h->done++;
	h->r = r;
}

static const char *value_of(const struct host *h, const char *key)
{
	for (unsigned int i = 0; i < h->n; i++)
		if (strcmp(h->seen[i].key, key) == 0)
			return h->seen[i].value;
	return "";
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- the world: two managers' places, three hosts' ---- */

static struct pm *managers[2];
static struct host hosts[3];

static void turn(void)
{
	for (unsigned int i = 0; i < 2; i++)
		if (managers[i])
			assert_int_equal(pm_poll(managers[i], NULL, 0, 1), 0);
	for (unsigned int i = 0; i < 3; i++)
		if (hosts[i].kv)
			assert_int_equal(kv_poll(hosts[i].kv, NULL, 0, 1), 0);
}

#define await(cond)                                                                    \
	do {                                                                           \
		uint64_t until_ = now_ms() + WAIT_MS;                                  \
		while (!(cond)) {                                                      \
			if (now_ms() > until_)                                         \
				fail_msg("line %d: not seen: %s", __LINE__, #cond);    \
			turn();                                                        \
		}                                                                      \
	} while (0)

static void configure(struct kv_config *c, uint32_t lease)
{
	memset(c, 0, sizeof(*c));
	c->backend = with_etcd ? KV_ETCD : KV_SQLITE;
	c->n_endpoints = 1;
	str_copy(c->endpoints[0], sizeof(c->endpoints[0]), server.url);
	snprintf(c->path, sizeof(c->path), "%s/m-%u.sqlite", dir, roots);
	snprintf(c->root, sizeof(c->root), "/test/%u", roots);
	c->lease_s = lease;
}

static void start_manager(unsigned int i, uint32_t grace_ms)
{
	struct errbuf err = { "" };
	struct pm_config c;

	pm_defaults(&c);
	configure(&c.store, lease_s);
	snprintf(c.id, sizeof(c.id), "m%u", i);
	c.grace_ms = grace_ms;
	c.mac_quota = 3;
	if (pm_new(&c, &managers[i], &err) < 0)
		fail_msg("%s", err.text);
}

static void start_host(unsigned int i)
{
	static const struct kv_handlers handlers = { .event = on_event, .lease = on_lease };
	struct errbuf err = { "" };
	struct kv_config c;

	memset(&hosts[i], 0, sizeof(hosts[i]));
	configure(&c, lease_s);
	if (kv_open(&c, &handlers, &hosts[i], &hosts[i].kv, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(kv_watch(hosts[i].kv, "vsid/", true) >= 0);
	assert_true(kv_watch(hosts[i].kv, "refused/", true) >= 0);
	await(hosts[i].leases == 1 && hosts[i].ends == 2);
}

static void say(unsigned int i, const char *key, const char *value)
{
	struct kv_op op = { .key = key, .value = value, .leased = true };
	unsigned int before = hosts[i].done;

	assert_int_equal(kv_txn(hosts[i].kv, KV_ALWAYS, key, &op, 1, on_done, &hosts[i]), 0);
	await(hosts[i].done > before);
	assert_int_equal(hosts[i].r, 0);
}

static void appear(unsigned int i)
{
	char key[64], value[128];

	start_host(i);
	snprintf(key, sizeof(key), "host/h%u", i);
	snprintf(value, sizeof(value), "id=h%u pas=[{address=192.168.0.%u}]", i, i + 1);
	say(i, key, value);
	snprintf(key, sizeof(key), "host/h%u/attached/5001", i);
	say(i, key, PM_ATTACHED);
}

static bool is_member(const char *host)
{
	char key[64];

	snprintf(key, sizeof(key), "vsid/5001/member/%s", host);
	return *value_of(&hosts[1], key);
}

static void learn(unsigned int i, const char *ca, const char *mac)
{
	char key[256], value[320];

	snprintf(key, sizeof(key), "learned/h%u/5001/%s", i, ca);
	snprintf(value, sizeof(value), "vsid=5001 ca=%s mac=%s host=h%u type=dynamic", ca, mac, i);
	say(i, key, mac ? value : NULL);
}

static void forget(unsigned int i, const char *ca)
{
	char key[64];

	snprintf(key, sizeof(key), "learned/h%u/5001/%s", i, ca);
	say(i, key, NULL);
}

static struct pm_info info_of(unsigned int i)
{
	struct pm_info info;

	pm_info(managers[i], &info);
	return info;
}

static struct host admin;

static int set(enum object_kind kind, const char *line)
{
	union object_spec spec;
	struct errbuf err = { "" };
	int r;

	object_default(kind, &spec);
	assert_int_equal(field_read(object_types[kind].fields, &spec, line, &err), 0);
	admin.done = 0;
	r = pm_set(managers[0], kind, &spec, on_done, &admin, &err);
	if (r != 0)
		return r;
	await(admin.done == 1);
	return admin.r;
}

static int setup(void **state)
{
	roots++;
	start_manager(0, 30000);
	await(info_of(0).leader);
	assert_int_equal(set(OBJECT_SUBNET, "vsid=5001 rdid=t1 gateways=[10.0.0.1/24] learning=true"), 0);
	appear(0);
	return 0;
}

static int teardown(void **state)
{
	for (unsigned int i = 0; i < 3; i++)
		hosts[i].kv = kv_close(hosts[i].kv);
	for (unsigned int i = 0; i < 2; i++)
		managers[i] = pm_free(managers[i]);
	return 0;
}

#define MAC_A "02:00:00:00:00:0a"
#define MAC_B "02:00:00:00:00:0b"
#define MAC_C "02:00:00:00:00:0c"

/* ---- tests ---- */

static void test_learned_becomes_policy(void **state)
{
	appear(1);
	learn(0, "10.0.0.2", MAC_A);
	await(*value_of(&hosts[1], "vsid/5001/ca/10.0.0.2"));
	assert_string_equal(value_of(&hosts[1], "vsid/5001/ca/10.0.0.2"),
			    "vsid=5001 ca=10.0.0.2 mac=" MAC_A " host=h0 type=dynamic");
	await(is_member("h0") && is_member("h1"));
	forget(0, "10.0.0.2");
	await(!*value_of(&hosts[1], "vsid/5001/ca/10.0.0.2"));
	say(0, "host/h0/attached/5001", NULL);
	await(!is_member("h0") && is_member("h1"));
	say(0, "host/h0/attached/5001", PM_ATTACHED);
	await(is_member("h0"));
	assert_int_equal(hosts[1].list, 0);
}

/* A host of an earlier version reads a list, as long as it is there; one that is too long ends at a name. */
static void test_members_of_earlier_versions(void **state)
{
	char keys[100][160], name[64];
	struct kv_op ops[100];

	appear(1);
	say(1, "host/h1/attached/5001", "ports");
	await(strcmp(value_of(&hosts[1], "vsid/5001/members"), "h0 h1") == 0 && is_member("h0") && is_member("h1"));
	for (unsigned int part = 0; part < 11; part++) {
		for (unsigned int i = 0; i < 100; i++) { /* names of 63 characters */
			snprintf(name, sizeof(name), "many-%058u", part * 100 + i);
			assert_true(pm_attached_key(name, 5001, keys[i], sizeof(keys[i])) > 0);
			ops[i] = (struct kv_op){ .key = keys[i], .value = PM_ATTACHED, .leased = true };
		}
		hosts[0].done = 0;
		assert_int_equal(kv_txn(hosts[0].kv, KV_ALWAYS, "", ops, 100, on_done, &hosts[0]), 0);
		await(hosts[0].done == 1);
		assert_int_equal(hosts[0].r, 0);
	}
	await(hosts[1].members == 1100);
	/* "h0 h1", and as many as fit. */
	await(hosts[1].list == 5 + (KV_VALUE_MAX - 1 - 5) / 64 * 64);
	await(info_of(0).pending == 0);
	say(1, "host/h1/attached/5001", PM_ATTACHED);
	await(hosts[1].list == 0);
	assert_int_equal(hosts[1].members, 1100);
}

/* Host and MAC change together, and what the old host says afterwards does not matter. */
static void test_move(void **state)
{
	appear(1);
	start_host(2);
	learn(0, "10.0.0.2", MAC_A);
	await(strstr(value_of(&hosts[2], "vsid/5001/ca/10.0.0.2"), "host=h0"));
	hosts[2].changes = 0;
	learn(1, "10.0.0.2", MAC_B);
	await(strstr(value_of(&hosts[2], "vsid/5001/ca/10.0.0.2"), "host=h1"));
	assert_non_null(strstr(value_of(&hosts[2], "vsid/5001/ca/10.0.0.2"), MAC_B));
	assert_int_equal(hosts[2].changes, 1);
	forget(0, "10.0.0.2");
	learn(0, "10.0.0.9", MAC_A);
	await(*value_of(&hosts[2], "vsid/5001/ca/10.0.0.9"));
	assert_non_null(strstr(value_of(&hosts[2], "vsid/5001/ca/10.0.0.2"), "host=h1"));
	assert_int_equal(info_of(0).moves, 1);
}

/* What makes no sense, is too much or is somebody else's teaches nothing. */
static void test_refused(void **state)
{
	char key[64], value[160], ca[IP_STR];

	assert_int_equal(set(OBJECT_RECORD, "vsid=5001 ca=10.0.0.7 mac=" MAC_B " host=h9"), 0);
	learn(0, "10.0.0.1", MAC_A); /* the gateway's */
	learn(0, "10.9.0.1", MAC_A); /* outside */
	learn(0, "10.0.0.7", MAC_A); /* static beats dynamic */
	snprintf(key, sizeof(key), "learned/h0/5002/10.0.0.2");
	snprintf(value, sizeof(value), "vsid=5002 ca=10.0.0.2 mac=%s host=h0 type=dynamic", MAC_A);
	say(0, key, value); /* no such subnet */
	snprintf(key, sizeof(key), "learned/h0/5001/10.0.0.3");
	snprintf(value, sizeof(value), "vsid=5001 ca=10.0.0.3 mac=%s host=h1 type=dynamic", MAC_A);
	say(0, key, value); /* in another one's name */
	say(0, key, "garbage");
	for (unsigned int i = 10; i < 14; i++) {
		snprintf(ca, sizeof(ca), "10.0.0.%u", i);
		learn(0, ca, MAC_A);
		await(i == 13 || strstr(value_of(&hosts[0], "vsid/5001/ca/10.0.0.10"), MAC_A));
	}
	learn(0, "10.0.0.21", MAC_B); /* an administrator says that it is elsewhere */
	learn(0, "10.0.0.20", MAC_C);
	await(*value_of(&hosts[0], "vsid/5001/ca/10.0.0.20"));
	await(*value_of(&hosts[0], "refused/h0/5001/10.0.0.13") && *value_of(&hosts[0], "refused/h0/5001/10.0.0.21"));
	assert_string_equal(value_of(&hosts[0], "vsid/5001/ca/10.0.0.21"), "");
	assert_string_equal(value_of(&hosts[0], "vsid/5001/ca/10.0.0.1"), "");
	assert_string_equal(value_of(&hosts[0], "vsid/5001/ca/10.9.0.1"), "");
	assert_string_equal(value_of(&hosts[0], "vsid/5002/ca/10.0.0.2"), "");
	assert_string_equal(value_of(&hosts[0], "vsid/5001/ca/10.0.0.3"), "");
	assert_non_null(strstr(value_of(&hosts[0], "vsid/5001/ca/10.0.0.7"), "host=h9"));
	assert_true(info_of(0).refused_quota >= 1);
	assert_true(info_of(0).conflicts >= 1);
	assert_string_equal(value_of(&hosts[0], "refused/h0/5001/10.0.0.1"), "it is a gateway's");
	assert_string_equal(value_of(&hosts[0], "refused/h0/5001/10.0.0.7"), "a static record names another MAC");
	assert_string_equal(value_of(&hosts[0], "refused/h0/5001/10.0.0.21"),
			    "a static record of the MAC names another host");
	assert_string_equal(value_of(&hosts[0], "refused/h0/5001/10.0.0.13"),
			    "the MAC has as many addresses as it may");
	assert_string_equal(value_of(&hosts[0], "refused/h0/5001/10.0.0.20"), "");
	forget(0, "10.0.0.1");
	forget(0, "10.0.0.10"); /* now there is room */
	await(!*value_of(&hosts[0], "refused/h0/5001/10.0.0.1") && !*value_of(&hosts[0], "refused/h0/5001/10.0.0.13"));
	await(*value_of(&hosts[0], "vsid/5001/ca/10.0.0.13"));
}

static unsigned int addresses_of(const char *mac)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < hosts[0].n; i++)
		n += strncmp(hosts[0].seen[i].key, "vsid/5001/ca/", 13) == 0 && strstr(hosts[0].seen[i].value, mac);
	return n;
}

/* What is on its way counts, too; and who had no room has it when another address goes. */
static void test_quota(void **state)
{
	char keys[6][64], values[6][160];
	struct kv_op ops[6];

	for (unsigned int i = 0; i < 6; i++) { /* in one transaction: all are judged before anything is written */
		snprintf(keys[i], sizeof(keys[i]), "learned/h0/5001/10.0.0.%u", 10 + i);
		snprintf(values[i], sizeof(values[i]), "vsid=5001 ca=10.0.0.%u mac=%s host=h0 type=dynamic", 10 + i,
			 MAC_A);
		ops[i] = (struct kv_op){ .key = keys[i], .value = values[i], .leased = true };
	}
	hosts[0].done = 0;
	assert_int_equal(kv_txn(hosts[0].kv, KV_ALWAYS, "", ops, 6, on_done, &hosts[0]), 0);
	await(hosts[0].done == 1);
	learn(0, "10.0.0.20", MAC_B);
	await(*value_of(&hosts[0], "vsid/5001/ca/10.0.0.20"));
	assert_int_equal(addresses_of(MAC_A), 3);
	assert_int_equal(info_of(0).refused_quota, 3); /* what lands makes no room */
	forget(0, "10.0.0.10");
	forget(0, "10.0.0.11");
	forget(0, "10.0.0.12");
	await(addresses_of(MAC_A) == 3 && *value_of(&hosts[0], "vsid/5001/ca/10.0.0.15"));
	learn(0, "10.0.0.16", MAC_A);
	learn(0, "10.0.0.21", MAC_B);
	await(*value_of(&hosts[0], "vsid/5001/ca/10.0.0.21"));
	assert_int_equal(addresses_of(MAC_A), 3);
}

/* A write that is taken back before it went is not counted; what is to be judged does not wait for news. */
static void test_taken_back(void **state)
{
	const char *key = "vsid/5001/ca/10.0.0.99", *text = "vsid=5001 ca=10.0.0.99 mac=" MAC_A " host=h0 type=dynamic";
	struct record_spec rec = { .vsid = 5001, .mac = { { 2, 0, 0, 0, 0, 0x0a } } };
	struct pm *m = managers[0];
	struct mac_count *c = pm_mac(m, &rec, true);

	c->n++; /* so that it stays */
	assert_int_equal(pm_write(m, key, text, true, NULL, NULL), 0);
	pm_write_count(m, key, c);
	assert_int_equal(c->pending, 1);
	assert_int_equal(pm_write(m, key, NULL, true, NULL, NULL), 0);
	assert_int_equal(c->pending, 0);
	await(info_of(0).pending == 0);
	assert_int_equal(c->pending, 0);
	c->n--;

	learn(0, "10.0.0.2", MAC_B);
	await(*value_of(&hosts[0], "vsid/5001/ca/10.0.0.2") && info_of(0).pending == 0);
	pm_make_dirty(m, map_find(&m->claims, "5001/10.0.0.2"));
	assert_int_equal(pm_poll(m, NULL, 0, 0), 0);
	assert_true(TAILQ_EMPTY(&m->dirty));
}

/* The record of a MAC goes where the guest is, with its address; a static one holds the MAC. */
static void test_mac_goes_along(void **state)
{
	appear(1);
	assert_int_equal(set(OBJECT_RECORD, "vsid=5001 mac=" MAC_A " host=h0 type=l2only"), 0);
	learn(1, "10.0.0.9", MAC_A);
	await(strstr(value_of(&hosts[0], "vsid/5001/ca/10.0.0.9"), "host=h1"));
	await(strstr(value_of(&hosts[0], "vsid/5001/mac/" MAC_A), "host=h1"));
	assert_non_null(strstr(value_of(&hosts[0], "vsid/5001/mac/" MAC_A), "type=l2only"));
}

/* News of the store from before what we wrote do not undo it. */
static void test_old_news(void **state)
{
	const char *key = "vsid/5001/ca/10.0.0.7", *old = "vsid=5001 ca=10.0.0.7 mac=" MAC_A " host=h7";
	struct pm *m = managers[0];
	int64_t revision;

	assert_int_equal(set(OBJECT_RECORD, "vsid=5001 ca=10.0.0.7 mac=" MAC_B " host=h9"), 0);
	revision = ((struct value *)map_find(&m->policy, key))->revision;
	assert_true(revision > 0);
	pm_on_event(m, 0, KV_PUT, key, old, revision - 1, false);
	assert_non_null(strstr(((struct value *)map_find(&m->policy, key))->text, "host=h9"));
	pm_on_event(m, 0, KV_DELETE, key, NULL, revision - 1, false);
	assert_non_null(map_find(&m->policy, key));
	pm_value_written(m, key, NULL, revision + 10);
	pm_on_event(m, 0, KV_PUT, key, old, revision + 9, false);
	assert_null(map_find(&m->policy, key));
	pm_on_event(m, 0, KV_PUT, key, old, revision + 11, false);
	assert_non_null(map_find(&m->policy, key));
	pm_value_written(m, key, NULL, revision + 10); /* somebody was faster */
	assert_non_null(map_find(&m->policy, key));
	pm_on_event(m, 0, KV_BEGIN, NULL, NULL, 0, false); /* restored from a copy */
	pm_on_event(m, 0, KV_PUT, key, "vsid=5001 ca=10.0.0.7 mac=" MAC_A " host=h8", revision - 1, false);
	assert_non_null(strstr(((struct value *)map_find(&m->policy, key))->text, "host=h8"));
	m->loading = false;
}

/* Two guests with one MAC: its record is where the later one is, and does not go to and fro. */
static void test_mac_at_two_hosts(void **state)
{
	unsigned int changes;

	appear(1);
	assert_int_equal(set(OBJECT_RECORD, "vsid=5001 mac=" MAC_A " host=h0 type=l2only"), 0);
	learn(0, "10.0.0.8", MAC_A);
	learn(0, "10.0.0.10", MAC_A);
	await(*value_of(&hosts[0], "vsid/5001/ca/10.0.0.10"));
	learn(1, "10.0.0.9", MAC_A);
	await(strstr(value_of(&hosts[0], "vsid/5001/mac/" MAC_A), "host=h1"));
	changes = hosts[0].macs;
	appear(2);
	learn(2, "10.0.0.20", MAC_B); /* all of the subnet is judged before that */
	await(*value_of(&hosts[0], "vsid/5001/ca/10.0.0.20") && info_of(0).pending == 0);
	assert_int_equal(hosts[0].macs, changes);
	assert_non_null(strstr(value_of(&hosts[0], "vsid/5001/mac/" MAC_A), "host=h1"));
}

/* A dead host's records stay for the time of grace, unless somebody else has the address. */
static void test_dead_host(void **state)
{
	appear(1);
	learn(0, "10.0.0.2", MAC_A);
	learn(0, "10.0.0.3", MAC_A);
	await(*value_of(&hosts[1], "vsid/5001/ca/10.0.0.3") && *value_of(&hosts[1], "vsid/5001/ca/10.0.0.2"));
	hosts[0].kv = kv_close(hosts[0].kv);
	await(info_of(0).attached == 1 && info_of(0).hosts == 1);
	learn(1, "10.0.0.2", MAC_A);
	await(strstr(value_of(&hosts[1], "vsid/5001/ca/10.0.0.2"), "host=h1"));
	assert_non_null(strstr(value_of(&hosts[1], "vsid/5001/ca/10.0.0.3"), "host=h0"));
	assert_true(is_member("h0"));
}

/* A host that comes back looks before it claims: what was its own is not taken from it meanwhile. */
static void test_host_is_back(void **state)
{
	uint64_t until;

	appear(1);
	learn(0, "10.0.0.2", MAC_A);
	await(*value_of(&hosts[1], "vsid/5001/ca/10.0.0.2"));
	hosts[0].kv = kv_close(hosts[0].kv);
	await(info_of(0).attached == 1 && info_of(0).hosts == 1);
	appear(0);
	await(info_of(0).attached == 2 && info_of(0).hosts == 2);
	/* Nothing tells that nothing happens. */
	for (until = now_ms() + 1000; now_ms() < until;)
		turn();
	assert_non_null(strstr(value_of(&hosts[1], "vsid/5001/ca/10.0.0.2"), "host=h0"));
	assert_int_equal(info_of(0).expired, 0);
	assert_true(is_member("h0"));
	learn(0, "10.0.0.2", MAC_A);
	forget(0, "10.0.0.2");
	await(!*value_of(&hosts[1], "vsid/5001/ca/10.0.0.2"));
}

static void test_grace_ends(void **state)
{
	managers[0] = pm_free(managers[0]);
	start_manager(0, 100);
	await(info_of(0).leader);
	appear(1);
	learn(0, "10.0.0.2", MAC_A);
	await(*value_of(&hosts[1], "vsid/5001/ca/10.0.0.2"));
	hosts[0].kv = kv_close(hosts[0].kv);
	await(!*value_of(&hosts[1], "vsid/5001/ca/10.0.0.2") && !is_member("h0"));
	assert_int_equal(info_of(0).expired, 1);
}

/* Of two managers one writes; when it goes the other one goes on, and notices what happened meanwhile. */
static void test_two_managers(void **state)
{
	start_manager(1, 30000);
	await(info_of(1).synced && *info_of(1).leader_id);
	assert_false(info_of(1).leader);
	learn(0, "10.0.0.2", MAC_A);
	await(*value_of(&hosts[0], "vsid/5001/ca/10.0.0.2"));
	assert_int_equal(info_of(1).writes, 0);
	managers[0] = pm_free(managers[0]);
	learn(0, "10.0.0.3", MAC_A);
	await(*value_of(&hosts[0], "vsid/5001/ca/10.0.0.3"));
	assert_true(info_of(1).leader);
}

/* One that was asleep when its lease ran out may believe what it likes: it writes nothing. */
static void test_sleeping_manager(void **state)
{
	struct pm *asleep = managers[0];
	union object_spec spec;
	struct errbuf err;

	start_manager(1, 30000);
	managers[0] = NULL;
	await(info_of(1).leader);
	managers[0] = asleep;
	object_default(OBJECT_SUBNET, &spec);
	assert_int_equal(field_read(object_types[OBJECT_SUBNET].fields, &spec, "vsid=6000 rdid=t6", &err), 0);
	admin.done = 0;
	if (pm_set(asleep, OBJECT_SUBNET, &spec, on_done, &admin, &err) == 0) {
		await(admin.done == 1);
		assert_int_equal(admin.r, -EAGAIN);
	}
	learn(0, "10.0.0.2", MAC_A);
	await(*value_of(&hosts[0], "vsid/5001/ca/10.0.0.2"));
	await(!info_of(0).leader);
	assert_string_equal(value_of(&hosts[0], "vsid/6000/subnet"), "");
}

static int setup_patient(void **state)
{
	lease_s = 5;
	return setup(state);
}

static int teardown_patient(void **state)
{
	lease_s = 2;
	wall_clock_jump(0);
	return teardown(state);
}

/*
 * The wall clock of a host and of its manager jumps by an hour, forwards and backwards: no lease ends by it, no time of
 * grace, no office, and nothing that was acknowledged is lost.
 */
static void test_clock_jumps(void **state)
{
	static const long jumps[] = { 3600, -3600, 0, -86400, 86400 };
	char ca[IP_STR], key[64];

	appear(1);
	learn(1, "10.0.0.2", MAC_B);
	await(*value_of(&hosts[0], "vsid/5001/ca/10.0.0.2"));
	say(1, "host/h1", NULL); /* as if its lease had ended */
	say(1, "host/h1/attached/5001", NULL);
	say(1, "learned/h1/5001/10.0.0.2", NULL);
	await(info_of(0).attached == 1 && info_of(0).hosts == 1 && info_of(0).learned == 0);
	for (unsigned int i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		wall_clock_jump(jumps[i]);
		snprintf(ca, sizeof(ca), "10.0.0.%u", 30 + i);
		snprintf(key, sizeof(key), "vsid/5001/ca/%s", ca);
		learn(0, ca, i % 2 ? MAC_A : MAC_C); /* acknowledged */
		await(*value_of(&hosts[0], key));
		/* All look at what runs out; etcd would end a lease for which nothing is done any more. */
		for (uint64_t until = now_ms() + (with_etcd && jumps[i] == -3600 ? 8000 : 300); now_ms() < until;)
			turn();
	}
	wall_clock_jump(0);
	for (unsigned int i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		snprintf(key, sizeof(key), "vsid/5001/ca/10.0.0.%u", 30 + i);
		assert_true(*value_of(&hosts[0], key));
	}
	assert_true(*value_of(&hosts[0], "vsid/5001/ca/10.0.0.2")); /* in its time of grace */
	assert_int_equal(info_of(0).expired, 0);
	assert_int_equal(info_of(0).elections, 1);
	assert_int_equal(hosts[0].leases, 1);
}

static void test_administrators(void **state)
{
	assert_int_equal(set(OBJECT_SUBNET, "vsid=5001 rdid=t1 gateways=[10.0.0.1/24] learning=true"), 1);
	assert_int_equal(set(OBJECT_SUBNET, "vsid=5002 rdid=t1 gateways=[10.0.0.129/25]"), -EEXIST);
	assert_int_equal(set(OBJECT_SUBNET, "vsid=5002 rdid=t2 gateways=[10.0.0.129/25]"), 0);
	assert_int_equal(set(OBJECT_RECORD, "vsid=5001 ca=10.0.0.1 mac=" MAC_A " host=h0"), -EEXIST);
	assert_int_equal(set(OBJECT_RECORD, "vsid=5001 ca=10.0.0.2 mac=" MAC_A " host=h0 type=dynamic"), -EINVAL);
	await(info_of(0).hosts == 1);
	assert_int_equal(set(OBJECT_HOST, "id=h0 pas=[{address=192.168.0.77}]"), -EEXIST); /* it lives */
	assert_int_equal(set(OBJECT_HOST, "id=h9 pas=[{address=192.168.0.1}]"), -EEXIST);  /* h0's */
	assert_int_equal(set(OBJECT_HOST, "id=h9 pas=[{address=192.168.0.9}]"), 0);
	assert_int_equal(set(OBJECT_PORT, "id=p vsid=5001"), -EINVAL);
	assert_int_equal(set(OBJECT_ROUTE, "rdid=t1 vsid=5001 prefix=0.0.0.0/0 next-hop=10.0.0.9"), 0);
}

/* A file that gives a prefix to another subnet is right as a whole: removals that are on their way count. */
static void test_renumbered(void **state)
{
	union object_spec old, new, other;
	struct errbuf err;

	object_default(OBJECT_SUBNET, &old);
	object_default(OBJECT_SUBNET, &new);
	object_default(OBJECT_SUBNET, &other);
	assert_int_equal(field_read(object_types[OBJECT_SUBNET].fields, &old, "vsid=5001 rdid=t1", &err), 0);
	assert_int_equal(field_read(object_types[OBJECT_SUBNET].fields, &new,
				    "vsid=5002 rdid=t1 gateways=[10.0.0.1/24]", &err), 0);
	assert_int_equal(field_read(object_types[OBJECT_SUBNET].fields, &other,
				    "vsid=5003 rdid=t1 gateways=[10.0.0.129/25]", &err), 0);
	admin.done = 0;
	assert_int_equal(pm_remove(managers[0], OBJECT_SUBNET, &old, on_done, &admin, &err), 0);
	assert_int_equal(pm_set(managers[0], OBJECT_SUBNET, &new, on_done, &admin, &err), 0);
	assert_int_equal(pm_set(managers[0], OBJECT_SUBNET, &other, on_done, &admin, &err), -EEXIST);
	await(admin.done == 2);
	assert_int_equal(admin.r, 0);
	await(*value_of(&hosts[0], "vsid/5002/subnet") && !*value_of(&hosts[0], "vsid/5001/subnet"));
}

static unsigned int plus, minus, tilde;

static int on_diff(void *arg, enum object_kind kind, const void *was, const void *now)
{
	plus += !was;
	minus += !now;
	tilde += was && now;
	return 0;
}

/* What hosts say of themselves is no difference. */
static void test_diff(void **state)
{
	struct pm_wanted wanted = { 0 };
	struct subnet_spec subnets[2];
	struct errbuf err;

	learn(0, "10.0.0.2", MAC_A);
	await(*value_of(&hosts[0], "vsid/5001/ca/10.0.0.2"));
	assert_int_equal(set(OBJECT_RECORD, "vsid=5001 ca=10.0.0.7 mac=" MAC_B " host=h9"), 0);
	object_default(OBJECT_SUBNET, &subnets[0]);
	object_default(OBJECT_SUBNET, &subnets[1]);
	field_read(object_types[OBJECT_SUBNET].fields, &subnets[0], "vsid=5001 rdid=t1 gateways=[10.0.0.1/16]", &err);
	field_read(object_types[OBJECT_SUBNET].fields, &subnets[1], "vsid=5003 rdid=t1", &err);
	wanted.n[OBJECT_SUBNET] = 2;
	wanted.specs[OBJECT_SUBNET] = subnets;
	plus = minus = tilde = 0;
	assert_int_equal(pm_diff(managers[0], &wanted, on_diff, NULL), 0);
	assert_int_equal(plus, 1);
	assert_int_equal(minus, 1);
	assert_int_equal(tilde, 1);
}

static void test_keys(void **state)
{
	static const char *const good[][2] = {
		{ "vsid/5001/subnet", "vsid=5001 rdid=t1" },
		{ "vsid/5001/ca/10.0.0.2", "vsid=5001 ca=10.0.0.2 mac=" MAC_A " host=h" },
		{ "vsid/5001/ca/fd00::2", "vsid=5001 ca=fd00::2 mac=" MAC_A " host=h" },
		{ "vsid/5001/mac/" MAC_A, "vsid=5001 mac=" MAC_A " host=h type=l2only" },
		{ "rd/t1/route/10.0.0.0/24 via 0.0.0.0", "rdid=t1 vsid=5001 prefix=10.0.0.0/24" },
		{ "host/h", "id=h pas=[{address=10.0.0.1}]" },
	};
	static const char *const bad[] = { "vsid/", "vsid/x/subnet", "vsid/5001/ca/x", "rd/t1/route/", "host/",
					   "host/-x", "vsid/5001/subnet/more", "vsid/5002/subnet" };
	union object_spec spec;
	enum object_kind kind;
	struct errbuf err;
	char key[KV_KEY_MAX];

	for (unsigned int i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(pm_object_read(good[i][0], good[i][1], &kind, &spec, &err), 0);
		assert_true(pm_key(kind, &spec, key, sizeof(key)) > 0);
		assert_string_equal(key, good[i][0]);
		assert_int_equal(pm_key_read(good[i][0], &kind, &spec), 0);
		assert_true(pm_key(kind, &spec, key, sizeof(key)) > 0);
		assert_string_equal(key, good[i][0]);
	}
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(pm_object_read(bad[i], "vsid=5001 rdid=t1", &kind, &spec, &err) < 0);
	assert_int_equal(pm_key_read("vsid/5001/members", &kind, &spec), -ENOENT);
	assert_int_equal(pm_key_read("vsid/5001/member/h", &kind, &spec), -ENOENT);
	assert_int_equal(pm_key_read("rd/t1/vsid/5001", &kind, &spec), -ENOENT);
	assert_int_equal(pm_key_read("host/h/attached/5001", &kind, &spec), -ENOENT);
}

static void test_member_keys(void **state)
{
	static const char *const bad[] = { "vsid/5001/member/", "vsid/5001/member/-x", "vsid/5001/member/a/b",
					   "vsid/x/members", "vsid/5001/members/1", "vsid/16777215/members",
					   "vsid/00000000000005001/members", "rd/t1/vsid/5001", "vsid/0/members",
					   "vsid/5001" };
	char key[KV_KEY_MAX], host[ID_SIZE];
	const char *name;
	uint32_t vsid = 0;

	assert_true(pm_member_key(5001, "h1", key, sizeof(key)) > 0);
	assert_int_equal(pm_member_read(key, &vsid, &name), 0);
	assert_int_equal(vsid, 5001);
	assert_string_equal(name, "h1");
	assert_int_equal(pm_member_read("vsid/5002/members", &vsid, &name), 0);
	assert_int_equal(vsid, 5002);
	assert_string_equal(name, "");
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(pm_member_read(bad[i], &vsid, &name), -ENOENT);
	assert_true(pm_attached_key("h1", 5001, key, sizeof(key)) > 0);
	assert_int_equal(pm_attached_read(key, &vsid, host), 0);
	assert_int_equal(vsid, 5001);
	assert_string_equal(host, "h1");
	assert_int_equal(pm_attached_read("host/h1", &vsid, host), -ENOENT);
	assert_int_equal(pm_attached_read("host/h1/attached/x", &vsid, host), -ENOENT);
	assert_int_equal(pm_attached_read("host/h1/attached/16777215", &vsid, host), -ENOENT);
}

static int group_setup(void **state)
{
	log_set_level(LOG_ERR);
	str_copy(dir, sizeof(dir), "/tmp/pm-test-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	return with_etcd ? etcd_server_new(&server) : 0;
}

static int group_teardown(void **state)
{
	char command[128];

	if (with_etcd)
		etcd_server_free(&server);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_member_keys),
		cmocka_unit_test_setup_teardown(test_learned_becomes_policy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_members_of_earlier_versions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_move, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_quota, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mac_goes_along, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mac_at_two_hosts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_old_news, setup, teardown),
		cmocka_unit_test_setup_teardown(test_taken_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dead_host, setup, teardown),
		cmocka_unit_test_setup_teardown(test_host_is_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_grace_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_managers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sleeping_manager, setup, teardown),
		cmocka_unit_test_setup_teardown(test_clock_jumps, setup_patient, teardown_patient),
		cmocka_unit_test_setup_teardown(test_administrators, setup, teardown),
		cmocka_unit_test_setup_teardown(test_renumbered, setup, teardown),
		cmocka_unit_test_setup_teardown(test_diff, setup, teardown),
	};

	with_etcd = argc > 1 && strcmp(argv[1], "etcd") == 0;
	if (argc > 2)
		cmocka_set_test_filter(argv[2]);
	if (with_etcd && !etcd_server_known()) {
		fprintf(stderr, "skipped: etcd is not installed\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
