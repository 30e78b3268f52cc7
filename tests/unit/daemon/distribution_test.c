/* SPDX-License-Identifier: BSD-3-Clause */
/* What a host makes of the shared store's news, and what it says to it: link, local store and bus are the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/rcu.h"
#include "base/str.h"
#include "daemon/distribution.h"
#include "daemon/manager_private.h"
#include "policy/manager/manager.h"

#define MANY 64

/* ---- the link: what is followed, what is published ---- */

struct pair {
	char key[128], value[256];
	unsigned int number;
	bool held;
};

static struct {
	link_fn fn;
	void *arg;
	struct pair followed[MANY], said[MANY];
	unsigned int n_followed, n_said, confirmed;
} net;

static struct pair *find(struct pair *list, unsigned int n, const char *key)
{
	for (unsigned int i = 0; i < n; i++)
		if (strcmp(list[i].key, key) == 0)
			return &list[i];
	return NULL;
}

static struct pair *make(struct pair *list, unsigned int *n, const char *key)
{
	struct pair *p = find(list, *n, key);

	if (p)
		return p;
	assert_true(*n < MANY);
	p = &list[(*n)++];
	memset(p, 0, sizeof(*p));
	str_copy(p->key, sizeof(p->key), key);
	return p;
}

static void drop(struct pair *list, unsigned int *n, struct pair *p)
{
	if (p)
		*p = list[--*n];
}

int link_new(sd_event *loop, const struct kv_config *config, link_fn fn, void *arg, struct link **ret,
	     struct errbuf *err)
{
	memset(&net, 0, sizeof(net));
	net.fn = fn;
	net.arg = arg;
	*ret = (struct link *)&net;
	return 0;
}

struct link *link_free(struct link *l)
{
	return NULL;
}

static int say(const char *key, const char *value, bool held)
{
	struct pair *p;

	if (!value) {
		drop(net.said, &net.n_said, find(net.said, net.n_said, key));
		return 0;
	}
	p = make(net.said, &net.n_said, key);
	str_copy(p->value, sizeof(p->value), value);
	p->held = held;
	return 0;
}

int link_publish(struct link *l, const char *key, const char *value)
{
	return say(key, value, false);
}

int link_claim(struct link *l, const char *key, const char *value, bool held)
{
	return say(key, value, held);
}

int link_confirm(struct link *l, unsigned int lease)
{
	net.confirmed = lease;
	return 0;
}

int link_subscribe(struct link *l, unsigned int subscription, const char *key, bool prefix)
{
	make(net.followed, &net.n_followed, key)->number = subscription;
	return 0;
}

int link_unsubscribe(struct link *l, unsigned int subscription)
{
	for (unsigned int i = 0; i < net.n_followed; i++)
		if (net.followed[i].number == subscription)
			drop(net.followed, &net.n_followed, &net.followed[i]);
	return 0;
}

void link_stats(struct link *l, struct link_stats *ret)
{
	memset(ret, 0, sizeof(*ret));
}

/* ---- the local store: notes alone ---- */

static struct pair notes[MANY];
static unsigned int n_notes, n_note_writes;

unsigned int storectl_pending(const struct storectl *s)
{
	return 0;
}

int storectl_put(struct storectl *s, enum object_kind kind, const void *spec, enum origin origin, storectl_done_fn fn,
		 void *arg)
{
	return 0;
}

int storectl_delete(struct storectl *s, enum object_kind kind, const void *spec, storectl_done_fn fn, void *arg)
{
	return 0;
}

int storectl_note(struct storectl *s, const char *key, const char *text)
{
	n_note_writes++;
	if (text)
		make(notes, &n_notes, key);
	else
		drop(notes, &n_notes, find(notes, n_notes, key));
	return 0;
}

int storectl_notes(struct storectl *s, storectl_note_fn fn, void *arg, struct errbuf *err)
{
	for (unsigned int i = 0; i < n_notes; i++)
		fn(notes[i].key, "ports", arg);
	return 0;
}

/* ---- the daemon ---- */

static struct manager m;
static struct port port;
static struct distribution *d;
static int64_t at; /* revision of what is told */

int objects_apply_set(struct manager *manager, enum object_kind kind, const void *spec, enum origin origin,
		      struct errbuf *err)
{
	return policy_set(m.policy, kind, spec, origin, err);
}

int objects_apply_remove(struct manager *manager, enum object_kind kind, const void *spec, enum origin origin,
			 struct errbuf *err)
{
	return policy_remove(m.policy, kind, spec, origin, err);
}

static char told[256]; /* the last event of an address */

void manager_emit(struct manager *manager, enum event_id id, ...)
{
	va_list ap;
	const char *key;

	if (id != EVENT_CUSTOMER_ADDRESS)
		return;
	told[0] = '\0';
	va_start(ap, id);
	while ((key = va_arg(ap, const char *))) {
		size_t n = strlen(told);

		snprintf(told + n, sizeof(told) - n, "%s=%s ", key, va_arg(ap, const char *));
	}
	va_end(ap);
}

const char *manager_port_id(const struct manager *manager, uint16_t index)
{
	return "p1";
}

static manager_event_fn on_event; /* something happened on this host */
static void *on_event_arg;

struct subscription *manager_subscribe(struct manager *manager, manager_event_fn fn, void *arg)
{
	on_event = fn;
	on_event_arg = arg;
	return (struct subscription *)&net;
}

void manager_unsubscribe(struct manager *manager, struct subscription *s)
{
}

/* Until nothing is left for this turn. */
static void turn(void)
{
	while (sd_event_run(m.loop, 0) > 0)
		;
}

static void start(void)
{
	struct policy_params params = { .host_id = "h1", .max_records = 100, .routed_ttl = true, .socket = -1 };
	struct errbuf err = { "" };

	memset(&m, 0, sizeof(m));
	memset(&port, 0, sizeof(port));
	str_copy(m.settings.host_id, sizeof(m.settings.host_id), "h1");
	str_copy(m.settings.store.path, sizeof(m.settings.store.path), "/nowhere");
	assert_true(sd_event_new(&m.loop) >= 0);
	assert_int_equal(policy_create(&params, &m.policy, &err), 0);
	port.spec.vsid = 5001;
	m.ports[0] = &port;
}

static void begin(void)
{
	struct errbuf err = { "" };

	assert_int_equal(distribution_new(&m, &d, &err), 0);
	net.fn(net.arg, LINK_UP, 0, NULL, "here", 0);
	on_event(&(struct event){ 0 }, on_event_arg);
	turn();
}

static void stop(void)
{
	d = distribution_free(d);
	policy_free(m.policy);
	m.loop = sd_event_unref(m.loop);
}

static int setup(void **state)
{
	n_notes = n_note_writes = 0;
	at = 1;
	start();
	begin();
	return 0;
}

static int teardown(void **state)
{
	stop();
	return 0;
}

static bool follows(const char *key)
{
	return find(net.followed, net.n_followed, key) != NULL;
}

/* News of the subscription that the key belongs to. */
static void news(enum link_news what, const char *followed, const char *key, const char *value)
{
	const struct pair *p = find(net.followed, net.n_followed, followed);

	assert_non_null(p);
	net.fn(net.arg, what, p->number, key, value, at);
	turn();
}

static unsigned int flooded(void)
{
	const struct policy_subnet *s = policy_subnet(m.policy, 5001);

	return s && s->flood ? s->flood->n_hosts : 0;
}

#define SUBNET "vsid/5001/"

static void load_subnet(void)
{
	news(LINK_BEGIN, SUBNET, NULL, NULL);
	news(LINK_PUT, SUBNET, "vsid/5001/subnet", "vsid=5001 rdid=t1 gateways=[10.0.0.1/24]");
}

/* Each by its key, or by the list of an earlier manager; who is in both stays as long as one names it. */
static void test_members(void **state)
{
	load_subnet();
	news(LINK_PUT, SUBNET, "vsid/5001/member/h1", "ports"); /* ourselves */
	news(LINK_PUT, SUBNET, "vsid/5001/member/h2", "ports");
	news(LINK_PUT, SUBNET, "vsid/5001/members", "h1 h2 h3 -bad "
	     "0123456789012345678901234567890123456789012345678901234567890123456789");
	news(LINK_END, SUBNET, NULL, NULL);
	assert_int_equal(flooded(), 2);
	assert_true(follows("host/h2") && follows("host/h3") && !follows("host/h1"));
	news(LINK_PUT, SUBNET, "vsid/5001/members", "h1 h2 h4 h5");
	assert_int_equal(flooded(), 3);
	news(LINK_DELETE, SUBNET, "vsid/5001/members", NULL);
	assert_int_equal(flooded(), 1);
	news(LINK_DELETE, SUBNET, "vsid/5001/member/h2", NULL);
	assert_int_equal(flooded(), 0);
}

/* Those with keys of their own are known after a start without the store, until it says otherwise. */
static void test_members_are_kept(void **state)
{
	unsigned int writes;

	load_subnet();
	news(LINK_PUT, SUBNET, "vsid/5001/member/h2", "ports");
	news(LINK_PUT, SUBNET, "vsid/5001/member/h3", "ports");
	news(LINK_PUT, SUBNET, "vsid/5001/members", "h4");
	news(LINK_END, SUBNET, NULL, NULL);
	assert_int_equal(n_notes, 2);
	stop();

	writes = n_note_writes;
	start();
	begin();
	load_subnet();
	assert_int_equal(flooded(), 2);
	assert_true(follows("host/h2") && follows("host/h3"));
	news(LINK_PUT, SUBNET, "vsid/5001/member/h2", "ports");
	assert_int_equal(flooded(), 2);
	assert_int_equal(n_note_writes, writes);
	news(LINK_END, SUBNET, NULL, NULL);
	assert_int_equal(flooded(), 1);
	assert_int_equal(n_notes, 1);
}

static bool knows_host(const char *id)
{
	union object_spec s;
	enum origin origin;

	memset(&s, 0, sizeof(s));
	str_copy(s.host.id, sizeof(s.host.id), id);
	return policy_get(m.policy, OBJECT_HOST, &s, &origin) == 0;
}

/* A host is followed as long as a record or a member names it, and forgotten with the last one. */
static void test_hosts_are_given_up(void **state)
{
	load_subnet();
	news(LINK_PUT, SUBNET, "vsid/5001/member/h2", "ports");
	news(LINK_PUT, SUBNET, "vsid/5001/ca/10.0.0.2", "vsid=5001 ca=10.0.0.2 mac=02:00:00:00:00:02 host=h2");
	news(LINK_PUT, SUBNET, "vsid/5001/ca/10.0.0.3", "vsid=5001 ca=10.0.0.3 mac=02:00:00:00:00:03 host=h3");
	news(LINK_END, SUBNET, NULL, NULL);
	for (unsigned int i = 2; i < 4; i++) {
		char key[16], value[64];

		snprintf(key, sizeof(key), "host/h%u", i);
		snprintf(value, sizeof(value), "id=h%u pas=[{address=192.0.2.%u}]", i, i);
		news(LINK_BEGIN, key, NULL, NULL);
		news(LINK_PUT, key, key, value);
		news(LINK_END, key, NULL, NULL);
	}
	assert_true(knows_host("h2") && knows_host("h3"));
	news(LINK_DELETE, SUBNET, "vsid/5001/ca/10.0.0.2", NULL);
	assert_true(follows("host/h2") && knows_host("h2"));
	news(LINK_DELETE, SUBNET, "vsid/5001/member/h2", NULL);
	assert_false(follows("host/h2") || knows_host("h2"));
	news(LINK_PUT, SUBNET, "vsid/5001/ca/10.0.0.2", "vsid=5001 ca=10.0.0.2 mac=02:00:00:00:00:02 host=h2");
	assert_true(follows("host/h2"));
	m.ports[0] = NULL;
	on_event(&(struct event){ 0 }, on_event_arg);
	turn();
	assert_int_equal(net.n_followed, 1); /* what it is refused */
	assert_false(knows_host("h3"));
}

static const char *host_of(const char *ca)
{
	static struct record_spec rec;
	enum origin origin;

	rec = (struct record_spec){ .vsid = 5001 };
	assert_int_equal(parse_ip(ca, &rec.ca), 0);
	return policy_get(m.policy, OBJECT_RECORD, &rec, &origin) < 0 ? "" : rec.host;
}

#define RECORD(host) "vsid=5001 ca=10.0.0.9 mac=02:00:00:00:00:09 type=dynamic host=" host
#define RECORD_KEY "vsid/5001/ca/10.0.0.9"

static void claim_by(enum origin origin, bool removed)
{
	union object_spec s;
	struct errbuf err;

	object_default(OBJECT_RECORD, &s);
	assert_int_equal(field_read(object_types[OBJECT_RECORD].fields, &s, RECORD("h1"), &err), 0);
	assert_true(policy_set(m.policy, OBJECT_RECORD, &s, origin, &err) >= 0);
	assert_int_equal(distribution_learned(d, &s.record, removed), 0);
	turn();
}

static void claim(bool removed)
{
	claim_by(ORIGIN_MANAGER, removed);
}

static void said(int64_t revision)
{
	net.fn(net.arg, LINK_SAID, 0, "learned/h1/5001/10.0.0.9", NULL, revision);
	turn();
}

/* What the store had before this host claimed an address is no answer to the claim. */
static void test_late_words(void **state)
{
	load_subnet();
	news(LINK_END, SUBNET, NULL, NULL);
	at = 5;
	news(LINK_PUT, SUBNET, RECORD_KEY, RECORD("h3"));
	assert_string_equal(host_of("10.0.0.9"), "h3");
	claim(false);
	at = 8;
	news(LINK_PUT, SUBNET, RECORD_KEY, RECORD("h4")); /* on its way when we claimed */
	assert_string_equal(host_of("10.0.0.9"), "h1");
	said(10);
	at = 9;
	news(LINK_PUT, SUBNET, RECORD_KEY, RECORD("h3"));
	news(LINK_DELETE, SUBNET, RECORD_KEY, NULL);
	assert_string_equal(host_of("10.0.0.9"), "h1");
	news(LINK_BEGIN, SUBNET, NULL, NULL); /* a load of the state before */
	news(LINK_PUT, SUBNET, "vsid/5001/subnet", "vsid=5001 rdid=t1 gateways=[10.0.0.1/24]");
	news(LINK_END, SUBNET, NULL, NULL);
	assert_string_equal(host_of("10.0.0.9"), "h1");
	at = 11;
	news(LINK_PUT, SUBNET, RECORD_KEY, RECORD("h4")); /* and this is an answer */
	assert_string_equal(host_of("10.0.0.9"), "h4");
}

/* The answer may be faster than the word that the claim is in the store; and a claim may be taken back. */
static void test_late_words_count(void **state)
{
	load_subnet();
	news(LINK_END, SUBNET, NULL, NULL);
	claim(false);
	at = 11;
	news(LINK_PUT, SUBNET, RECORD_KEY, RECORD("h4"));
	assert_string_equal(host_of("10.0.0.9"), "h1");
	said(10);
	assert_string_equal(host_of("10.0.0.9"), "h4");

	claim(false);
	at = 12;
	news(LINK_PUT, SUBNET, RECORD_KEY, RECORD("h3"));
	assert_string_equal(host_of("10.0.0.9"), "h1");
	claim(true);
	assert_string_equal(host_of("10.0.0.9"), "h3");

	claim(false);
	news(LINK_DELETE, SUBNET, RECORD_KEY, NULL);
	assert_string_equal(host_of("10.0.0.9"), "h1");
	claim(true);
	assert_string_equal(host_of("10.0.0.9"), "");
}

/* Without a turn of the loop after it: many come together. */
static void word(const char *host, int64_t revision)
{
	net.fn(net.arg, LINK_PUT, find(net.followed, net.n_followed, SUBNET)->number, RECORD_KEY, host, revision);
}

/* What was put by does not come back over what followed it; a claim that the store refuses keeps nothing away. */
static void test_late_words_of_one_turn(void **state)
{
	load_subnet();
	news(LINK_END, SUBNET, NULL, NULL);
	claim(false);
	word(RECORD("h4"), 11);
	net.fn(net.arg, LINK_SAID, 0, "learned/h1/5001/10.0.0.9", NULL, 10);
	word(RECORD("h3"), 20);
	turn();
	assert_string_equal(host_of("10.0.0.9"), "h3");

	claim(false);
	word(RECORD("h4"), 21);
	turn();
	assert_string_equal(host_of("10.0.0.9"), "h1");
	said(-1);
	assert_string_equal(host_of("10.0.0.9"), "h4");
}

static enum origin origin_of(const char *ca)
{
	struct record_spec rec = { .vsid = 5001 };
	enum origin origin;

	assert_int_equal(parse_ip(ca, &rec.ca), 0);
	assert_int_equal(policy_get(m.policy, OBJECT_RECORD, &rec, &origin), 0);
	return origin;
}

/* A claim is said twice, as the first acknowledgement was lost: the only answer is to the first, and counts. */
static void test_said_twice(void **state)
{
	load_subnet();
	news(LINK_END, SUBNET, NULL, NULL);
	claim_by(ORIGIN_LEARNED, false);
	word(RECORD("h1"), 11);
	turn();
	assert_int_equal(origin_of("10.0.0.9"), ORIGIN_LEARNED);
	said(20);
	assert_int_equal(origin_of("10.0.0.9"), ORIGIN_MANAGER);
	word(RECORD("h3"), 15); /* older than the second word all the same */
	turn();
	assert_string_equal(host_of("10.0.0.9"), "h1");
	word(RECORD("h3"), 21);
	turn();
	assert_string_equal(host_of("10.0.0.9"), "h3");
}

#define REFUSED "refused/h1/"

/* The host says so once, shows it with the record, and believes what it had put by. */
static void test_refused(void **state)
{
	struct record_spec rec = { .vsid = 5001, .host = "h1" };

	assert_int_equal(parse_ip("10.0.0.9", &rec.ca), 0);
	load_subnet();
	news(LINK_END, SUBNET, NULL, NULL);
	claim(false);
	at = 8;
	news(LINK_PUT, SUBNET, RECORD_KEY, RECORD("h4"));
	said(10);
	assert_string_equal(host_of("10.0.0.9"), "h1");
	assert_null(distribution_refused(d, &rec));
	at = 11;
	news(LINK_PUT, REFUSED, "refused/h1/5001/10.0.0.9", "too many");
	assert_string_equal(told, "change=policy-mismatch vsid=5001 ca=10.0.0.9 mac=02:00:00:00:00:09 host=h1 port= "
				  "reason=too many rival= ");
	assert_string_equal(distribution_refused(d, &rec), "too many");
	assert_string_equal(host_of("10.0.0.9"), "h4");
	told[0] = '\0';
	news(LINK_PUT, REFUSED, "refused/h1/5001/10.0.0.9", "too many");
	news(LINK_PUT, REFUSED, "refused/h1/nonsense", "x");
	news(LINK_PUT, REFUSED, "refused/h1/5001/x", "x");
	assert_string_equal(told, "");
	news(LINK_DELETE, REFUSED, "refused/h1/5001/10.0.0.9", NULL);
	assert_null(distribution_refused(d, &rec));
}

static int group_setup(void **state)
{
	log_set_level(LOG_ERR - 1);
	return rcu_init();
}

static int group_teardown(void **state)
{
	rcu_fini();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_members, setup, teardown),
		cmocka_unit_test_setup_teardown(test_members_are_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hosts_are_given_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_words, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_words_count, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_words_of_one_turn, setup, teardown),
		cmocka_unit_test_setup_teardown(test_said_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
