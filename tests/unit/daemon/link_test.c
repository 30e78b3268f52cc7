/* SPDX-License-Identifier: BSD-3-Clause */
/* The thread between a host and the shared store, on a file that a second one writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "base/tick.h"
#include "daemon/distribution_link.h"

#define WAIT_MS 60000
#define KEYS	17000 /* more than may wait for the main thread */

static char dir[64];
static struct kv_config config;

/* ---- the other one ---- */

static struct {
	struct kv *kv;
	unsigned int done;
	char seen[128], value[128]; /* the last key, and what it is */
} other;

static void on_event(void *arg, unsigned int watch, enum kv_event what, const char *key, const char *value,
		     int64_t revision, bool leased)
{
	if (what != KV_PUT)
		return;
	str_copy(other.seen, sizeof(other.seen), key);
	str_copy(other.value, sizeof(other.value), value);
}

static void on_done(void *arg, int r, const char *text)
{
	assert_int_equal(r, 0);
	other.done++;
}

#define await(cond)                                                                 \
	do {                                                                        \
		uint64_t until_ = tick_ms() + WAIT_MS;                              \
		while (!(cond)) {                                                   \
			if (tick_ms() > until_)                                     \
				fail_msg("line %d: not seen: %s", __LINE__, #cond); \
			assert_int_equal(kv_poll(other.kv, NULL, 0, 5), 0);         \
		}                                                                   \
	} while (0)

static void write_many(void)
{
	char keys[KV_OPS_MAX][32];
	struct kv_op ops[KV_OPS_MAX];

	for (unsigned int i = 0; i < KEYS; i += KV_OPS_MAX) {
		for (unsigned int k = 0; k < KV_OPS_MAX; k++) {
			snprintf(keys[k], sizeof(keys[k]), "vsid/5001/ca/%05u", i + k);
			ops[k] = (struct kv_op){ .key = keys[k], .value = "x" };
		}
		other.done = 0;
		assert_int_equal(kv_txn(other.kv, KV_ALWAYS, "", ops, KV_OPS_MAX, on_done, NULL), 0);
		await(other.done == 1);
	}
}

/* ---- the host ---- */

static struct {
	sd_event *loop;
	struct link *link;
	unsigned int puts, ends, leases;
} host;

static void on_news(void *arg, enum link_news what, unsigned int subscription, const char *key, const char *text,
		    int64_t revision)
{
	host.puts += what == LINK_PUT;
	host.ends += what == LINK_END;
	host.leases += what == LINK_LEASE;
}

static unsigned int waiting(void)
{
	struct link_stats stats;

	link_stats(host.link, &stats);
	return stats.waiting;
}

static int setup(void **state)
{
	static const struct kv_handlers handlers = { .event = on_event };
	struct errbuf err = { "" };

	memset(&host, 0, sizeof(host));
	memset(&other, 0, sizeof(other));
	str_copy(dir, sizeof(dir), "/tmp/link-test-XXXXXX");
	if (!mkdtemp(dir) || sd_event_new(&host.loop) < 0)
		return -1;
	config = (struct kv_config){ .backend = KV_SQLITE, .lease_s = 600 };
	snprintf(config.path, sizeof(config.path), "%s/shared.sqlite", dir);
	return kv_open(&config, &handlers, NULL, &other.kv, &err);
}

static int teardown(void **state)
{
	char command[128];

	host.link = link_free(host.link);
	host.loop = sd_event_unref(host.loop);
	other.kv = kv_close(other.kv);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

/* Main does nothing for a while, and more comes than may wait: what it said before is said, and nothing is lost. */
static void test_main_is_busy(void **state)
{
	struct errbuf err = { "" };

	write_many();
	assert_true(kv_watch(other.kv, "host/", true) >= 0);
	assert_int_equal(link_new(host.loop, &config, on_news, NULL, &host.link, &err), 0);
	assert_int_equal(link_subscribe(host.link, 1, "vsid/5001/", true), 0);
	await(waiting() > KEYS);
	assert_int_equal(link_publish(host.link, "host/h1", "busy"), 0);
	await(strcmp(other.seen, "host/h1") == 0 && strcmp(other.value, "busy") == 0);
	assert_int_equal(host.puts, 0);
	while (host.puts < KEYS || !host.ends)
		assert_true(sd_event_run(host.loop, WAIT_MS * UINT64_C(1000)) > 0);
	assert_int_equal(host.puts, KEYS);
	assert_int_equal(host.leases, 1);

	/* And it is read again. */
	assert_int_equal(kv_txn(other.kv, KV_ALWAYS, "", &(struct kv_op){ .key = "vsid/5001/z", .value = "x" }, 1,
				on_done, NULL), 0);
	while (host.puts == KEYS)
		assert_true(sd_event_run(host.loop, WAIT_MS * UINT64_C(1000)) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_main_is_busy, setup, teardown),
	};

	log_set_level(LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
