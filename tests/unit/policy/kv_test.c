/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The shared store: one suite of behaviours for both backends (argument "sqlite" or "etcd"), and the accidents of a
 * server for etcd: killed, restarted, compacted, with users, talking nonsense.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/str.h"
#include "etcd_server.h"
#include "policy/store/store.h"

#define WAIT_MS 60000

static struct etcd_server server;
static bool with_etcd;
static char dir[64];
static unsigned int roots;

/* What an owner has seen. */
struct seen {
	struct kv *kv;
	char log[4096]; /* "B a=1 -b E " */
	unsigned int puts, deletes, begins, ends, leases, ups, downs;
	int done, r;
	int64_t revision;
	bool quiet;
};

__attribute__((format(printf, 2, 3))) static void note(struct seen *s, const char *fmt, ...)
{
	size_t used = strlen(s->log);
	va_list ap;

	if (s->quiet)
		return;
	va_start(ap, fmt);
	vsnprintf(s->log + used, sizeof(s->log) - used, fmt, ap);
	va_end(ap);
}

static void on_event(void *arg, unsigned int watch, enum kv_event what, const char *key, const char *value,
		     int64_t revision, bool leased)
{
	struct seen *s = arg;

	switch (what) {
	case KV_BEGIN:
		s->begins++;
		note(s, "B ");
		break;
	case KV_PUT:
		s->puts++;
		note(s, "%s=%.20s ", key, value);
		break;
	case KV_DELETE:
		s->deletes++;
		note(s, "-%s ", key);
		break;
	case KV_END:
		s->ends++;
		note(s, "E ");
		break;
	}
	if ((what == KV_PUT || what == KV_DELETE) && !s->quiet) {
		assert_true(revision >= s->revision || s->begins > s->ends);
		s->revision = revision;
	}
}

static void on_state(void *arg, bool up, const char *text)
{
	struct seen *s = arg;

	s->ups += up;
	s->downs += !up;
}

static void on_lease(void *arg)
{
	((struct seen *)arg)->leases++;
}

static void on_done(void *arg, int r, const char *text)
{
	struct seen *s = arg;

	s->done++;
	s->r = r;
}

static const struct kv_handlers handlers = { .event = on_event, .state = on_state, .lease = on_lease };

static void configure(struct kv_config *c, unsigned int root)
{
	memset(c, 0, sizeof(*c));
	c->backend = with_etcd ? KV_ETCD : KV_SQLITE;
	c->n_endpoints = 1;
	str_copy(c->endpoints[0], sizeof(c->endpoints[0]), server.url);
	snprintf(c->path, sizeof(c->path), "%s/kv-%u.sqlite", dir, root);
	snprintf(c->root, sizeof(c->root), "/test/%u", root);
}

static void open_with(struct seen *s, const struct kv_config *c)
{
	struct errbuf err = { "" };

	memset(s, 0, sizeof(*s));
	if (kv_open(c, &handlers, s, &s->kv, &err) < 0)
		fail_msg("%s", err.text);
}

static void open_root(struct seen *s, unsigned int root, uint32_t lease_s)
{
	struct kv_config c;

	configure(&c, root);
	c.lease_s = lease_s;
	open_with(s, &c);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Let the stores work until the condition holds. */
#define await(cond, ...)                                                                                               \
	do {                                                                                                           \
		struct seen *all_[] = { __VA_ARGS__ };                                                                 \
		uint64_t until_ = now_ms() + WAIT_MS;                                                                  \
		while (!(cond)) {                                                                                      \
			if (now_ms() > until_)                                                                         \
				fail_msg("line %d: not seen: %s; log: %s", __LINE__, #cond, all_[0]->log);             \
			for (size_t i_ = 0; i_ < sizeof(all_) / sizeof(all_[0]); i_++)                                 \
				assert_int_equal(kv_poll(all_[i_]->kv, NULL, 0, 5), 0);                                \
		}                                                                                                      \
	} while (0)

/* One transaction; waits for it, and says it again where its fate is not known. */
static int change(struct seen *s, enum kv_condition condition, const char *key, const char *value, bool leased)
{
	struct kv_op op = { .key = key, .value = value, .leased = leased };
	int before, r;

	do {
		before = s->done;
		r = kv_txn(s->kv, condition, key, &op, 1, on_done, s);
		if (r < 0)
			return r;
		await(s->done > before, s);
	} while (s->r == -EAGAIN);
	return s->r;
}

/* ---- both backends ---- */

static void test_changes_arrive(void **state)
{
	unsigned int root = ++roots;
	struct seen a, b;

	open_root(&a, root, 0);
	open_root(&b, root, 0);
	assert_int_equal(change(&a, KV_ALWAYS, "vsid/1/x", "old", false), 0);
	assert_int_equal(change(&a, KV_ALWAYS, "vsid/10/x", "other subnet", false), 0);
	assert_true(kv_watch(b.kv, "vsid/1/", true) >= 0);
	await(b.ends == 1, &b);
	assert_string_equal(b.log, "B vsid/1/x=old E ");
	assert_int_equal(change(&a, KV_ALWAYS, "vsid/1/y", "new", false), 0);
	assert_int_equal(change(&a, KV_ALWAYS, "vsid/1/x", NULL, false), 0);
	await(b.deletes == 1, &b, &a);
	assert_string_equal(b.log, "B vsid/1/x=old E vsid/1/y=new -vsid/1/x ");
	kv_close(a.kv);
	kv_close(b.kv);
}

/* One key is not a prefix of others. */
static void test_single_key(void **state)
{
	unsigned int root = ++roots;
	struct seen a;

	open_root(&a, root, 0);
	assert_int_equal(change(&a, KV_ALWAYS, "host/a", "1", false), 0);
	assert_int_equal(change(&a, KV_ALWAYS, "host/ab", "2", false), 0);
	assert_true(kv_watch(a.kv, "host/a", false) >= 0);
	await(a.ends == 1, &a);
	assert_int_equal(change(&a, KV_ALWAYS, "host/a/attached", "3", false), 0);
	assert_int_equal(change(&a, KV_ALWAYS, "host/a", "4", false), 0);
	await(a.puts == 2, &a);
	assert_string_equal(a.log, "B host/a=1 E host/a=4 ");
	kv_close(a.kv);
}

/* Who cannot take more is told nothing, and can still say something; nothing is lost by it. */
static void test_pause(void **state)
{
	unsigned int root = ++roots;
	struct seen a, b;
	char key[16];

	open_root(&a, root, 5);
	open_root(&b, root, 0);
	a.quiet = true; /* of two watches */
	assert_true(kv_watch(a.kv, "a/", true) >= 0);
	await(a.ends == 1 && a.leases == 1, &a);
	kv_pause(a.kv, true);
	assert_true(kv_watch(a.kv, "b/", true) >= 0);
	assert_true(kv_watch(b.kv, "a/", true) >= 0);
	await(b.ends == 1, &b);
	for (unsigned int i = 0; i < 20; i++) {
		snprintf(key, sizeof(key), "a/%u", i);
		assert_int_equal(change(&b, KV_ALWAYS, key, "x", false), 0);
	}
	assert_int_equal(change(&b, KV_ALWAYS, "b/1", "y", false), 0);
	await(b.puts == 20, &b, &a);
	assert_int_equal(change(&a, KV_ALWAYS, "a/own", "z", true), 0);
	await(b.puts == 21, &b, &a);
	assert_int_equal(a.puts + a.deletes, 0);
	assert_int_equal(a.begins, 1);
	kv_pause(a.kv, false);
	await(a.puts == 22 && a.ends == 2, &a);
	assert_int_equal(a.leases, 1);
	kv_close(a.kv);
	kv_close(b.kv);
}

static void test_unwatch(void **state)
{
	unsigned int root = ++roots;
	struct seen a;
	int first, second;

	open_root(&a, root, 0);
	first = kv_watch(a.kv, "a/", true);
	await(a.ends == 1, &a);
	kv_unwatch(a.kv, (unsigned int)first);
	second = kv_watch(a.kv, "b/", true);
	assert_true(second >= 0);
	await(a.ends == 2, &a);
	assert_int_equal(change(&a, KV_ALWAYS, "a/1", "unseen", false), 0);
	assert_int_equal(change(&a, KV_ALWAYS, "b/1", "seen", false), 0);
	await(a.puts == 1, &a);
	assert_string_equal(a.log, "B E B E b/1=seen ");
	kv_close(a.kv);
}

/* Of two that want to be the first, one is; what is ours only we may change. */
static void test_conditions(void **state)
{
	unsigned int root = ++roots;
	struct seen a, b;

	open_root(&a, root, 5);
	open_root(&b, root, 5);
	await(a.leases && b.leases, &a, &b);
	assert_int_equal(change(&a, KV_IF_ABSENT, "manager/leader", "a", true), 0);
	assert_int_equal(change(&b, KV_IF_ABSENT, "manager/leader", "b", true), 1);
	assert_int_equal(change(&b, KV_IF_OURS, "manager/leader", "b", true), 1);
	assert_int_equal(change(&a, KV_IF_OURS, "manager/leader", "a2", true), 0);
	assert_true(kv_watch(b.kv, "manager/leader", false) >= 0);
	await(b.ends == 1, &b, &a);
	assert_string_equal(b.log, "B manager/leader=a2 E ");
	kv_close(a.kv);
	kv_close(b.kv);
}

/* What hangs on a lease goes with its owner, all together; what does not stays. */
static void test_lease_ends(void **state)
{
	unsigned int root = ++roots;
	struct kv_op ops[3] = { { "l/1", "x", true }, { "l/2", "y", true }, { "l/3", "z", false } };
	struct seen a, b;

	open_root(&a, root, 2);
	open_root(&b, root, 0);
	await(a.leases == 1, &a);
	assert_int_equal(kv_txn(a.kv, KV_ALWAYS, "l", ops, 3, on_done, &a), 0);
	await(a.done == 1, &a);
	assert_int_equal(a.r, 0);
	assert_true(kv_watch(b.kv, "l/", true) >= 0);
	await(b.puts == 3, &b, &a);
	kv_close(a.kv); /* without a word: as if it had died */
	await(b.deletes == 2, &b);
	assert_string_equal(b.log, "B l/1=x l/2=y l/3=z E -l/1 -l/2 ");
	kv_close(b.kv);
}

static void test_lease_revoked(void **state)
{
	unsigned int root = ++roots;
	struct kv_config c;
	struct seen a, b;

	configure(&c, root);
	c.lease_s = 600;
	c.revoke_at_close = true;
	open_with(&a, &c);
	open_root(&b, root, 0);
	await(a.leases == 1, &a);
	assert_int_equal(change(&a, KV_ALWAYS, "l/1", "x", true), 0);
	assert_true(kv_watch(b.kv, "l/", true) >= 0);
	await(b.puts == 1, &b, &a);
	kv_close(a.kv);
	await(b.deletes == 1, &b);
	kv_close(b.kv);
}

/* A transaction is one revision, and as long as it may be. */
static void test_whole_transactions(void **state)
{
	unsigned int root = ++roots;
	struct kv_op ops[KV_OPS_MAX + 1];
	char keys[KV_OPS_MAX + 1][32];
	struct seen a;

	open_root(&a, root, 0);
	for (unsigned int i = 0; i <= KV_OPS_MAX; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k/%03u", i);
		ops[i] = (struct kv_op){ .key = keys[i], .value = "v" };
	}
	assert_int_equal(kv_txn(a.kv, KV_ALWAYS, "k", ops, KV_OPS_MAX + 1, on_done, &a), -E2BIG);
	assert_int_equal(kv_txn(a.kv, KV_IF_ABSENT, "none", ops, KV_OPS_MAX, on_done, &a), 0);
	await(a.done == 1, &a);
	assert_int_equal(a.r, 0);
	a.quiet = true;
	assert_true(kv_watch(a.kv, "k/", true) >= 0);
	await(a.ends == 1, &a);
	assert_int_equal(a.puts, KV_OPS_MAX);
	kv_close(a.kv);
}

static void test_text_only(void **state)
{
	static const char value[] = "id=h1 pas=[{address=10.0.0.1}] \"quoted\" \xc3\xa9 +/=";
	unsigned int root = ++roots;
	struct kv_counters counters;
	struct seen a;

	open_root(&a, root, 0);
	assert_int_equal(change(&a, KV_ALWAYS, "k/1", value, false), 0);
	assert_int_equal(change(&a, KV_ALWAYS, "k/2", "bell \a", false), 0);
	assert_int_equal(change(&a, KV_ALWAYS, "k/3", "", false), 0);
	assert_true(kv_watch(a.kv, "k/", true) >= 0);
	await(a.ends == 1, &a);
	assert_non_null(strstr(a.log, "id=h1 pas=[{address"));
	assert_null(strstr(a.log, "bell"));
	assert_non_null(strstr(a.log, "k/3= "));
	kv_counters(a.kv, &counters);
	assert_true(counters.bad_keys > 0);
	kv_close(a.kv);
}

static void test_closed_in_between(void **state)
{
	struct kv_op op = { .key = "a", .value = "b" };
	struct seen a;

	open_root(&a, ++roots, 0);
	assert_true(kv_watch(a.kv, "a", true) >= 0);
	assert_int_equal(kv_txn(a.kv, KV_ALWAYS, "a", &op, 1, on_done, &a), 0);
	kv_close(a.kv);
	assert_int_equal(a.done, 1);
}

/* Many watches at once, added while others stream. */
static void test_many_watches(void **state)
{
	enum { N = 40 };
	unsigned int root = ++roots;
	char key[32];
	struct seen a;

	open_root(&a, root, 0);
	a.quiet = true;
	for (unsigned int i = 0; i < N; i++) {
		snprintf(key, sizeof(key), "vsid/%u/", 5000 + i);
		assert_true(kv_watch(a.kv, key, true) >= 0);
		await(a.ends >= (i & ~3u), &a);
	}
	await(a.ends == N, &a);
	for (unsigned int i = 0; i < N; i++) {
		snprintf(key, sizeof(key), "vsid/%u/subnet", 5000 + i);
		assert_int_equal(change(&a, KV_ALWAYS, key, "x", false), 0);
	}
	await(a.puts >= N, &a);
	assert_int_equal(a.puts, N);
	assert_int_equal(a.downs, 0);
	kv_close(a.kv);
}

/* ---- etcd's accidents ---- */

static void test_killed_and_back(void **state)
{
	unsigned int root = ++roots;
	struct seen a, b;

	open_root(&a, root, 0);
	open_root(&b, root, 30);
	assert_true(kv_watch(a.kv, "k/", true) >= 0);
	await(a.ends == 1 && b.leases == 1, &a, &b);
	assert_int_equal(change(&b, KV_ALWAYS, "k/1", "1", true), 0);
	await(a.puts == 1, &a, &b);
	etcd_server_kill(&server);
	await(a.downs == 1 && b.downs == 1, &a, &b);
	assert_int_equal(etcd_server_start(&server), 0);
	await(a.ups == 2 && b.ups == 2, &a, &b);
	assert_int_equal(change(&b, KV_ALWAYS, "k/2", "2", true), 0);
	await(a.puts == 2, &a, &b);
	/* It went on where it was; the lease lived through it. */
	assert_string_equal(a.log, "B E k/1=1 k/2=2 ");
	assert_int_equal(b.leases, 1);
	kv_close(a.kv);
	kv_close(b.kv);
}

/* What was forgotten while we were away is found by comparing the whole. */
static void test_compaction(void **state)
{
	unsigned int root = ++roots;
	struct kv_counters counters;
	struct seen a, b;
	char body[64];

	open_root(&a, root, 0);
	open_root(&b, root, 0);
	assert_int_equal(change(&b, KV_ALWAYS, "k/1", "1", false), 0);
	assert_true(kv_watch(a.kv, "k/", true) >= 0);
	await(a.ends == 1, &a, &b);
	etcd_server_kill(&server);
	await(a.downs == 1, &a, &b);
	assert_int_equal(etcd_server_start(&server), 0);
	assert_int_equal(change(&b, KV_ALWAYS, "k/1", NULL, false), 0);
	assert_int_equal(change(&b, KV_ALWAYS, "k/2", "2", false), 0);
	assert_int_equal(change(&b, KV_ALWAYS, "k/2", "3", false), 0);
	assert_true(kv_watch(b.kv, "k/", true) >= 0);
	await(b.ends == 1, &b);
	snprintf(body, sizeof(body), "{\"revision\":\"%lld\",\"physical\":true}", (long long)b.revision);
	assert_int_equal(etcd_server_post(&server, "/v3/kv/compaction", body), 200);
	await(a.ends == 2, &a);
	assert_string_equal(a.log, "B k/1=1 E B k/2=3 E ");
	kv_counters(a.kv, &counters);
	assert_int_equal(counters.compactions, 1);
	kv_close(a.kv);
	kv_close(b.kv);
}

/* A lease that somebody took from us is noticed, and the owner told to say everything again. */
static void test_dead_lease(void **state)
{
	unsigned int root = ++roots;
	struct seen a, b;

	open_root(&a, root, 2);
	open_root(&b, root, 0);
	await(a.leases == 1, &a);
	assert_int_equal(change(&a, KV_ALWAYS, "k/1", "1", true), 0);
	assert_true(kv_watch(b.kv, "k/", true) >= 0);
	await(b.puts == 1, &b);
	await(b.deletes == 1, &b); /* a was not heard of all the time */
	await(a.leases == 2, &a, &b);
	assert_int_equal(change(&a, KV_ALWAYS, "k/1", "1", true), 0);
	await(b.puts == 2, &b, &a);
	kv_close(a.kv);
	kv_close(b.kv);
}

/* The first endpoint is dead. */
static void test_second_endpoint(void **state)
{
	unsigned int root = ++roots;
	struct kv_config c;
	struct seen a;

	configure(&c, root);
	c.n_endpoints = 3;
	for (unsigned int i = 0; i < 3; i++)
		str_copy(c.endpoints[i], sizeof(c.endpoints[i]), i == root % 3 ? server.url : "http://127.0.0.1:1");
	open_with(&a, &c);
	assert_true(kv_watch(a.kv, "k/", true) >= 0);
	await(a.ends == 1, &a);
	assert_string_equal(kv_where(a.kv), server.url);
	kv_close(a.kv);
}

/* The server comes back from an older copy, here from nothing: revisions are lower than those that were seen. */
static void test_gone_back(void **state)
{
	unsigned int root = ++roots;
	char command[128];
	struct seen a, b;

	open_root(&a, root, 0);
	open_root(&b, root, 0);
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(change(&b, KV_ALWAYS, "k/1", i % 2 ? "1" : "2", false), 0);
	assert_true(kv_watch(a.kv, "k/", true) >= 0);
	await(a.ends == 1, &a, &b);
	etcd_server_kill(&server);
	await(a.downs >= 1, &a, &b);
	snprintf(command, sizeof(command), "rm -rf %s/data", server.dir);
	assert_int_equal(system(command), 0);
	assert_int_equal(etcd_server_start(&server), 0);
	assert_int_equal(change(&b, KV_ALWAYS, "k/2", "new", false), 0);
	await(a.ends >= 2 && strstr(a.log, "k/2=new"), &a, &b);
	assert_int_equal(change(&b, KV_ALWAYS, "k/3", "newer", false), 0);
	await(strstr(a.log, "k/3=newer"), &a, &b);
	kv_close(a.kv);
	kv_close(b.kv);
}

/* Somebody in front of the store who says the same to everybody. */
static void talk(int listener, const char *answer)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		int c = accept(listener, NULL, NULL);
		char in[4096];

		if (c < 0)
			_exit(0);
		if (read(c, in, sizeof(in)) > 0)
			(void)!write(c, answer, strlen(answer));
		shutdown(c, SHUT_WR);
		while (read(c, in, sizeof(in)) > 0)
			;
		close(c);
	}
}

/* Neither is the policy empty then, nor was anything written. */
static void test_nonsense(void **state)
{
	static const char *const answers[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
		"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 33\r\nConnection: close\r\n\r\n"
		"{\"message\":\"no healthy upstream\"}",
	};
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct kv_op op = { .key = "k/1", .value = "1" };

	for (unsigned int i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		socklen_t size = sizeof(at);
		struct kv_counters counters;
		struct kv_config c;
		struct seen a;
		pid_t pid;

		at.sin_port = 0;
		assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
		assert_int_equal(listen(listener, 8), 0);
		assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &size), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			talk(listener, answers[i]);
		configure(&c, ++roots);
		c.lease_s = 5;
		snprintf(c.endpoints[0], sizeof(c.endpoints[0]), "http://127.0.0.1:%u", ntohs(at.sin_port));
		open_with(&a, &c);
		assert_true(kv_watch(a.kv, "k/", true) >= 0);
		assert_int_equal(kv_txn(a.kv, KV_ALWAYS, "k", &op, 1, on_done, &a), 0);
		await(a.done == 1, &a);
		assert_int_equal(a.r, -EAGAIN);
		do {
			assert_int_equal(kv_poll(a.kv, NULL, 0, 5), 0);
			kv_counters(a.kv, &counters);
		} while (counters.bad_messages < 3);
		assert_int_equal(a.ends + a.leases + a.ups, 0);
		kv_close(a.kv);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		close(listener);
	}
}

/* Users: a host may write its own part only; a token that has expired is replaced without a word. */
static void test_users(void **state)
{
	unsigned int root = ++roots;
	struct kv_counters counters;
	char path[128];
	struct kv_config c;
	struct seen a;
	FILE *f;

	snprintf(path, sizeof(path), "%s/password", dir);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs("secret\n", f);
	fclose(f);
	assert_int_equal(etcd_server_post(&server, "/v3/auth/user/add", "{\"name\":\"root\",\"password\":\"r\"}"), 200);
	assert_int_equal(etcd_server_post(&server, "/v3/auth/role/add", "{\"name\":\"root\"}"), 200);
	assert_int_equal(etcd_server_post(&server, "/v3/auth/user/grant", "{\"user\":\"root\",\"role\":\"root\"}"),
			 200);
	assert_int_equal(etcd_server_post(&server, "/v3/auth/user/add", "{\"name\":\"h1\",\"password\":\"secret\"}"),
			 200);
	assert_int_equal(etcd_server_post(&server, "/v3/auth/role/add", "{\"name\":\"h1\"}"), 200);
	/* /test/ .. /test0 to read; /test/x/learned/h1/ cannot be known here: the whole of it by a fixed key */
	assert_int_equal(etcd_server_post(&server, "/v3/auth/role/grant",
					  "{\"name\":\"h1\",\"perm\":{\"permType\":\"READ\",\"key\":\"L3Rlc3Qv\","
					  "\"range_end\":\"L3Rlc3Qw\"}}"), 200);
	assert_int_equal(etcd_server_post(&server, "/v3/auth/role/grant",
					  "{\"name\":\"h1\",\"perm\":{\"permType\":\"READWRITE\","
					  "\"key\":\"L3Rlc3QvdS9sZWFybmVkL2gxLw==\","
					  "\"range_end\":\"L3Rlc3QvdS9sZWFybmVkL2gxMA==\"}}"), 200);
	assert_int_equal(etcd_server_post(&server, "/v3/auth/user/grant", "{\"user\":\"h1\",\"role\":\"h1\"}"), 200);
	assert_int_equal(etcd_server_post(&server, "/v3/auth/enable", "{}"), 200);
	configure(&c, root);
	str_copy(c.root, sizeof(c.root), "/test/u");
	str_copy(c.user, sizeof(c.user), "h1");
	str_copy(c.password_file, sizeof(c.password_file), path);
	open_with(&a, &c);
	assert_true(kv_watch(a.kv, "learned/h1/", true) >= 0);
	await(a.ends == 1, &a);
	assert_int_equal(change(&a, KV_ALWAYS, "learned/h1/5001/10.0.0.1", "x", false), 0);
	assert_int_equal(change(&a, KV_ALWAYS, "learned/h2/5001/10.0.0.1", "x", false), -EPERM);
	sleep(4); /* the server's tokens live for 2 s, and there is no event to wait for */
	assert_int_equal(change(&a, KV_ALWAYS, "learned/h1/5001/10.0.0.2", "y", false), 0);
	await(a.puts == 2, &a);
	kv_counters(a.kv, &counters);
	assert_true(counters.reauthentications >= 1);
	kv_close(a.kv);
}

/* ---- the frame ---- */

static int group_setup(void **state)
{
	str_copy(dir, sizeof(dir), "/tmp/kv-test-XXXXXX");
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
	const struct CMUnitTest both[] = {
		cmocka_unit_test(test_changes_arrive),	   cmocka_unit_test(test_single_key),
		cmocka_unit_test(test_unwatch),		   cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_lease_ends),	   cmocka_unit_test(test_lease_revoked),
		cmocka_unit_test(test_whole_transactions), cmocka_unit_test(test_text_only),
		cmocka_unit_test(test_closed_in_between),  cmocka_unit_test(test_many_watches),
		cmocka_unit_test(test_pause),
	};
	const struct CMUnitTest accidents[] = {
		cmocka_unit_test(test_second_endpoint), cmocka_unit_test(test_killed_and_back),
		cmocka_unit_test(test_compaction),	cmocka_unit_test(test_dead_lease),
		cmocka_unit_test(test_gone_back),	cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_users), /* last: nobody else gets in afterwards */
	};
	int failed;

	with_etcd = argc > 1 && strcmp(argv[1], "etcd") == 0;
	if (argc > 2)
		cmocka_set_test_filter(argv[2]);
	if (with_etcd && !etcd_server_known()) {
		fprintf(stderr, "skipped: etcd is not installed\n");
		return 77;
	}
	if (!with_etcd)
		return cmocka_run_group_tests(both, group_setup, group_teardown);
	failed = cmocka_run_group_tests_name("etcd", both, group_setup, group_teardown);
	return failed + cmocka_run_group_tests_name("etcd's accidents", accidents, group_setup, group_teardown);
}
