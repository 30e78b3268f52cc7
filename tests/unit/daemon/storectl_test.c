/* SPDX-License-Identifier: BSD-3-Clause */
/* The store thread against a store that is told to fail, and to wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "daemon/storectl.h"
#include "policy/store/store.h"

/* ---- the store: written on the store thread, looked at while that thread is idle ---- */

static struct fake {
	struct store store;
	bool open, in_transaction;
	unsigned int n_commits, n_rollbacks, n_kept, n_uncommitted;
	char keys[256][OBJECT_KEY_MAX];
	int fail_begin, fail_put, fail_commit;
	bool gated; /* a transaction waits for the gate */
	sem_t gate, arrived;
} fake;

int store_open(const char *path, struct store **ret, struct errbuf *err)
{
	assert_non_null(strstr(path, "/policy.sqlite"));
	if (strncmp(path, "/bad", 4) == 0)
		return err_set(err, EACCES, "not here");
	fake.open = true;
	*ret = &fake.store;
	return 0;
}

struct store *store_close(struct store *s)
{
	fake.open = false;
	return NULL;
}

int store_begin(struct store *s, struct errbuf *err)
{
	if (fake.gated) {
		sem_post(&fake.arrived);
		sem_wait(&fake.gate);
	}
	if (fake.fail_begin) {
		fake.fail_begin--;
		return err_set(err, EIO, "begin");
	}
	fake.in_transaction = true;
	fake.n_uncommitted = 0;
	return 0;
}

int store_commit(struct store *s, struct errbuf *err)
{
	fake.in_transaction = false;
	if (fake.fail_commit) {
		fake.fail_commit--;
		return err_set(err, ENOSPC, "disk full");
	}
	fake.n_kept += fake.n_uncommitted;
	fake.n_commits++;
	return 0;
}

void store_rollback(struct store *s)
{
	fake.in_transaction = false;
	fake.n_rollbacks++;
}

static int change(const char *sign, const char *key, struct errbuf *err)
{
	if (!fake.in_transaction)
		return err_set(err, EINVAL, "outside a transaction");
	if (fake.fail_put) {
		fake.fail_put--;
		return err_set(err, EIO, "put");
	}
	snprintf(fake.keys[fake.n_kept + fake.n_uncommitted++], sizeof(fake.keys[0]), "%s%s", sign, key);
	return 0;
}

int store_put(struct store *s, enum object_kind kind, const char *key, enum origin origin, const char *text,
	      struct errbuf *err)
{
	return change("+", key, err);
}

int store_delete(struct store *s, enum object_kind kind, const char *key, struct errbuf *err)
{
	return change("-", key, err);
}

int store_load(struct store *s,
	       int (*fn)(enum object_kind kind, const char *key, enum origin origin, const char *text, void *arg),
	       void *arg, struct errbuf *err)
{
	static const char good[] = "vsid=5001 ca=10.0.0.1 mac=02:00:00:00:00:01 host=h1";
	int r = fn(OBJECT_RECORD, "a", ORIGIN_ADMIN, good, arg);

	if (r == 0)
		r = fn(OBJECT_RECORD, "b", ORIGIN_LEARNED, "vsid=5 what=is this", arg);
	if (r == 0)
		r = fn(OBJECT_RECORD, "c", ORIGIN_LEARNED, "vsid=5001 mac=02:00:00:00:00:01 host=h1", arg);
	return r == 0 ? fn(OBJECT_SUBNET, "d", ORIGIN_MANAGER, "vsid=5001 rdid=x", arg) : r;
}

int store_notes(struct store *s, store_note_fn fn, void *arg, struct errbuf *err)
{
	int r = fn("vsid/5001/member/h2", "ports", arg);

	return r == 0 ? fn("vsid/5001/member/h3", "ports", arg) : r;
}

/* ---- the daemon's side ---- */

static struct {
	sd_event *loop;
	struct storectl *s;
	unsigned int n_done, n_failed, n_states;
	int last_state;
	char last_text[128];
} self;

static void on_done(void *arg, int r, const char *text)
{
	assert_true(fake.n_commits > 0 || r < 0);
	self.n_done++;
	self.n_failed += r < 0;
	str_copy(self.last_text, sizeof(self.last_text), text);
}

static void on_state(void *arg, int r, const char *text)
{
	self.n_states++;
	self.last_state = r;
}

static int set_up(void **state)
{
	struct errbuf err;

	memset(&fake, 0, sizeof(fake));
	memset(&self, 0, sizeof(self));
	sem_init(&fake.gate, 0, 0);
	sem_init(&fake.arrived, 0, 0);
	log_set_level(LOG_ERR - 1);
	return sd_event_new(&self.loop) < 0 || storectl_new(self.loop, "/x", on_state, NULL, &self.s, &err) < 0;
}

static int tear_down(void **state)
{
	storectl_free(self.s);
	sd_event_unref(self.loop);
	log_set_level(LOG_INFO);
	return fake.open; /* has to be closed by now */
}

static void put(unsigned int i)
{
	struct record_spec r;

	object_default(OBJECT_RECORD, &r);
	r.vsid = 5000 + i;
	r.mac.b[0] = 2;
	r.ca = ip4_from("\x0a\x00\x00\x01");
	str_copy(r.host, sizeof(r.host), "h1");
	assert_int_equal(storectl_put(self.s, OBJECT_RECORD, &r, ORIGIN_ADMIN, on_done, NULL), 0);
}

static void run_until(unsigned int n)
{
	while (self.n_done < n)
		assert_true(sd_event_run(self.loop, 10 * 1000 * 1000) > 0);
}

/* The first goes at once; what comes while it is being written goes together. */
static void test_batches(void **state)
{
	struct subnet_spec subnet = { .vsid = 5001 };
	unsigned int i;

	fake.gated = true;
	put(0);
	sem_wait(&fake.arrived);
	for (i = 1; i < 100; i++)
		put(i);
	assert_int_equal(storectl_delete(self.s, OBJECT_SUBNET, &subnet, on_done, NULL), 0);
	assert_int_equal(storectl_barrier(self.s, on_done, NULL), 0);
	assert_int_equal(storectl_pending(self.s), 102);
	fake.gated = false;
	sem_post(&fake.gate);
	run_until(102);
	assert_int_equal(fake.n_commits, 2);
	assert_int_equal(fake.n_kept, 101);
	assert_string_equal(fake.keys[0], "+5000/10.0.0.1");
	assert_string_equal(fake.keys[99], "+5099/10.0.0.1");
	assert_string_equal(fake.keys[100], "-5001");
	assert_int_equal(self.n_failed, 0);
	assert_int_equal(storectl_pending(self.s), 0);
	assert_int_equal(self.n_states, 0);
}

/* A failure is told at once; the change is kept and written as soon as it can be. */
static void check_failure(int *what, const char *text, bool rolled_back)
{
	*what = 1;
	put(0);
	run_until(1);
	assert_int_equal(self.n_failed, 1);
	assert_string_equal(self.last_text, text);
	assert_true(storectl_failed(self.s));
	assert_int_equal(storectl_pending(self.s), 1);
	assert_int_equal(fake.n_rollbacks, rolled_back);
	assert_int_equal(self.n_states, 1);
	/* Something that was on its way already waits behind it. */
	put(1);
	run_until(2); /* the retry timer is behind this */
	assert_false(storectl_failed(self.s));
	assert_int_equal(self.n_states, 2);
	assert_int_equal(self.last_state, 0);
	assert_int_equal(self.n_failed, 1);
	assert_int_equal(fake.n_kept, 2);
	assert_string_equal(fake.keys[0], "+5000/10.0.0.1");
	assert_string_equal(fake.keys[1], "+5001/10.0.0.1");
}

static void test_begin_fails(void **state)
{
	check_failure(&fake.fail_begin, "begin", false);
}

static void test_put_fails(void **state)
{
	check_failure(&fake.fail_put, "put", true);
}

static void test_commit_fails(void **state)
{
	check_failure(&fake.fail_commit, "disk full", false);
}

/* The end tries once more, and does not hang when the disk stays full. */
static void test_end(void **state)
{
	struct errbuf err;

	fake.fail_commit = 1;
	put(0);
	run_until(1);
	assert_null(storectl_free(self.s));
	assert_int_equal(fake.n_kept, 1);
	assert_int_equal(storectl_new(self.loop, "/x", on_state, NULL, &self.s, &err), 0);
	fake.fail_commit = 1000;
	put(1);
	run_until(2);
	put(2);
	self.s = storectl_free(self.s);
	assert_int_equal(self.n_done, 3); /* the one that was never tried is told so */
	assert_int_equal(fake.n_kept, 1);
}

static void on_load(enum object_kind kind, const void *spec, enum origin origin, void *arg)
{
	unsigned int *n = arg;

	assert_true((*n == 0 && kind == OBJECT_RECORD && origin == ORIGIN_ADMIN &&
		     ((const struct record_spec *)spec)->vsid == 5001) ||
		    (*n == 1 && kind == OBJECT_SUBNET && origin == ORIGIN_MANAGER));
	++*n;
}

/* What cannot be understood is left out, the rest is there. */
static void test_load(void **state)
{
	struct storectl *s;
	struct errbuf err;
	unsigned int n = 0;

	assert_int_equal(storectl_load(self.s, on_load, &n, &err), 0);
	assert_int_equal(n, 2);
	assert_int_equal(storectl_new(self.loop, "/bad", on_state, NULL, &s, &err), -EACCES);
	assert_string_equal(err.text, "not here");
}

static void on_note(const char *key, const char *text, void *arg)
{
	strcat(arg, key);
	strcat(arg, text);
}

static void test_notes(void **state)
{
	struct errbuf err;
	char all[128] = "";

	assert_int_equal(storectl_notes(self.s, on_note, all, &err), 0);
	assert_string_equal(all, "vsid/5001/member/h2portsvsid/5001/member/h3ports");
	assert_int_equal(storectl_note(self.s, "vsid/5001/member/h4", "ports"), 0);
	assert_int_equal(storectl_note(self.s, "vsid/5001/member/h2", NULL), 0);
	assert_int_equal(storectl_barrier(self.s, on_done, NULL), 0);
	run_until(1);
	assert_int_equal(fake.n_kept, 2);
	assert_string_equal(fake.keys[0], "+vsid/5001/member/h4");
	assert_string_equal(fake.keys[1], "-vsid/5001/member/h2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_batches, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_begin_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_put_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_commit_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_load, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_notes, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
