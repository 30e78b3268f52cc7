/* SPDX-License-Identifier: BSD-3-Clause */
/* The policy store: one suite of behaviours for every backend, and the accidents of files for sqlite. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <sqlite3.h>

#include "base/log.h"
#include "base/str.h"
#include "base/tick.h"
#include "policy/store/store.h"

static char dir[64], path[128];

static int setup(void **state)
{
	str_copy(dir, sizeof(dir), "/tmp/store-test-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/policy.sqlite", dir);
	return 0;
}

static int teardown(void **state)
{
	char name[512];
	struct dirent *e;
	DIR *d = opendir(dir);

	while (d && (e = readdir(d))) {
		snprintf(name, sizeof(name), "%s/%s", dir, e->d_name);
		unlink(name);
	}
	if (d)
		closedir(d);
	return rmdir(dir);
}

static struct store *opened(void)
{
	struct store *s = NULL;
	struct errbuf err = { "" };
	int r = store_open(path, &s, &err);

	if (r < 0)
		fail_msg("%s", err.text);
	return s;
}

static void ok(int r, const struct errbuf *err)
{
	if (r < 0)
		fail_msg("%d %s", r, err->text);
}

static void put(struct store *s, enum object_kind kind, const char *key, enum origin origin, const char *text)
{
	struct errbuf err = { "" };

	ok(store_put(s, kind, key, origin, text, &err), &err);
}

static void change(struct store *s, void (*fn)(struct store *s))
{
	struct errbuf err = { "" };

	ok(store_begin(s, &err), &err);
	fn(s);
	ok(store_commit(s, &err), &err);
}

/* ---- what is in it, as one text ---- */

static int append(enum object_kind kind, const char *key, enum origin origin, const char *text, void *arg)
{
	char *all = arg;
	size_t len = strlen(all);

	snprintf(all + len, 4096 - len, "%s %s %s: %s\n", object_types[kind].noun, key, origin_names[origin],
		 text);
	return 0;
}

static void holds(struct store *s, const char *want)
{
	char all[4096] = "";
	struct errbuf err = { "" };

	ok(store_load(s, append, all, &err), &err);
	assert_string_equal(all, want);
}

static int count_one(enum object_kind kind, const char *key, enum origin origin, const char *text, void *arg)
{
	++*(unsigned int *)arg;
	return 0;
}

static unsigned int count(struct store *s)
{
	struct errbuf err = { "" };
	unsigned int n = 0;

	ok(store_load(s, count_one, &n, &err), &err);
	return n;
}

/* ---- behaviours ---- */

static void two_objects(struct store *s)
{
	put(s, OBJECT_SUBNET, "5001", ORIGIN_ADMIN, "vsid=5001 rdid=t1");
	put(s, OBJECT_RECORD, "5001/10.0.0.2", ORIGIN_LEARNED, "vsid=5001 ca=10.0.0.2");
}

static void replaced(struct store *s)
{
	put(s, OBJECT_RECORD, "5001/10.0.0.2", ORIGIN_ADMIN, "vsid=5001 ca=10.0.0.2 mac=x");
	put(s, OBJECT_HOST, "5001", ORIGIN_MANAGER, "id=5001"); /* the same key of another kind */
}

static void removed(struct store *s)
{
	struct errbuf err = { "" };

	ok(store_delete(s, OBJECT_SUBNET, "5001", &err), &err);
	ok(store_delete(s, OBJECT_SUBNET, "5001", &err), &err); /* not there: no error */
	ok(store_delete(s, OBJECT_PORT, "nobody", &err), &err);
}

static void kept(void **state)
{
	struct store *s = opened();

	holds(s, "");
	change(s, two_objects);
	holds(s,
	      "subnet 5001 admin: vsid=5001 rdid=t1\nrecord 5001/10.0.0.2 learned: vsid=5001 ca=10.0.0.2\n");
	s = store_close(s);
	assert_null(s);
	s = opened();
	holds(s,
	      "subnet 5001 admin: vsid=5001 rdid=t1\nrecord 5001/10.0.0.2 learned: vsid=5001 ca=10.0.0.2\n");
	change(s, replaced);
	holds(s, "subnet 5001 admin: vsid=5001 rdid=t1\nrecord 5001/10.0.0.2 admin: vsid=5001 ca=10.0.0.2 "
		 "mac=x\n"
		 "host 5001 manager: id=5001\n");
	change(s, removed);
	store_close(s);
	s = opened();
	holds(s, "record 5001/10.0.0.2 admin: vsid=5001 ca=10.0.0.2 mac=x\nhost 5001 manager: id=5001\n");
	store_close(s);
}

static void two_notes(struct store *s)
{
	put(s, STORE_NOTE, "vsid/5001/member/h2", ORIGIN_MANAGER, "ports");
	put(s, STORE_NOTE, "vsid/5001/member/h3", ORIGIN_MANAGER, "ports");
}

static void one_note_less(struct store *s)
{
	struct errbuf err = { "" };

	ok(store_delete(s, STORE_NOTE, "vsid/5001/member/h2", &err), &err);
}

static int append_note(const char *key, const char *text, void *arg)
{
	size_t len = strlen(arg);

	snprintf((char *)arg + len, 4096 - len, "%s: %s\n", key, text);
	return 0;
}

/* Notes and objects do not see each other. */
static void notes(void **state)
{
	struct store *s = opened();
	struct errbuf err = { "" };
	char all[4096] = "";

	change(s, two_objects);
	change(s, two_notes);
	change(s, one_note_less);
	store_close(s);
	s = opened();
	assert_int_equal(count(s), 2);
	ok(store_notes(s, append_note, all, &err), &err);
	assert_string_equal(all, "vsid/5001/member/h3: ports\n");
	store_close(s);
}

static void rolled_back(void **state)
{
	struct store *s = opened();
	struct errbuf err = { "" };

	change(s, two_objects);
	ok(store_begin(s, &err), &err);
	replaced(s);
	removed(s);
	store_rollback(s);
	store_rollback(s); /* nothing to undo: nothing happens */
	assert_int_equal(count(s), 2);
	ok(store_begin(s, &err), &err);
	replaced(s);
	store_close(s); /* in the middle */
	s = opened();
	assert_int_equal(count(s), 2);
	store_close(s);
	store_close(NULL);
}

static int stop_at_two(enum object_kind kind, const char *key, enum origin origin, const char *text,
		       void *arg)
{
	return ++*(unsigned int *)arg == 2 ? -ECANCELED : 0;
}

static void load_stops(void **state)
{
	struct store *s = opened();
	struct errbuf err = { "" };
	unsigned int n = 0;

	change(s, two_objects);
	change(s, replaced);
	assert_int_equal(store_load(s, stop_at_two, &n, &err), -ECANCELED);
	assert_int_equal(n, 2);
	assert_int_equal(count(s), 3);
	store_close(s);
}

/* Whatever field_write() wrote comes back to the byte. */
static void texts(void **state)
{
	static char longest[60000];
	static const char *const list[] = {
		"", " ", "a='b \" c'", "\xc3\xa4\xe2\x82\xac", "x=1;DROP TABLE object;--", longest
	};
	struct store *s = opened();
	struct errbuf err = { "" };
	char key[16];

	memset(longest, 'x', sizeof(longest) - 1);
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		char want[4096];

		snprintf(key, sizeof(key), "k'%zu", i);
		ok(store_begin(s, &err), &err);
		put(s, OBJECT_ROUTE, key, ORIGIN_ADMIN, list[i]);
		ok(store_commit(s, &err), &err);
		if (list[i] == longest)
			break;
		snprintf(want, sizeof(want), "route %s admin: %s\n", key, list[i]);
		holds(s, want);
		ok(store_begin(s, &err), &err);
		ok(store_delete(s, OBJECT_ROUTE, key, &err), &err);
		ok(store_commit(s, &err), &err);
	}
	assert_int_equal(count(s), 1);
	store_close(s);
}

/* Objects of every kind through their own text. */
static int read_back(enum object_kind kind, const char *key, enum origin origin, const char *text, void *arg)
{
	union object_spec s;
	struct errbuf err = { "" };
	char again[4096];
	unsigned int *n = arg;

	object_default(kind, &s);
	ok(field_read(object_types[kind].fields, &s, text, &err), &err);
	assert_true(object_key(kind, &s, again, sizeof(again)) > 0);
	assert_string_equal(again, key);
	++*n;
	return 0;
}

static void objects(void **state)
{
	union object_spec s;
	struct store *st = opened();
	struct errbuf err = { "" };
	char key[256], text[4096];
	unsigned int n = 0;

	ok(store_begin(st, &err), &err);
	for (unsigned int kind = 0; kind < OBJECT_COUNT; kind++) {
		object_default(kind, &s);
		if (kind == OBJECT_RECORD)
			s.record = (struct record_spec){ .vsid = 5001,
							 .ca = { 4, { 10, 0, 0, 2 } },
							 .host = "h2" };
		if (kind == OBJECT_PORT)
			str_copy(s.port.id, ID_SIZE, "p1");
		if (kind == OBJECT_HOST)
			str_copy(s.host.id, ID_SIZE, "h1");
		if (kind == OBJECT_MEMBER)
			str_copy(s.member.name, ID_SIZE, "eth0");
		if (kind == OBJECT_SUBNET)
			s.subnet.vsid = 5001;
		if (kind == OBJECT_ROUTE)
			s.route = (struct route_spec){ .rdid = "t1",
						       .vsid = 5001,
						       .prefix = { { 4, { 10 } }, 8 } };
		if (kind == OBJECT_PA)
			s.pa = (struct pa_spec){ .address = { 4, { 192, 0, 2, 1 } }, .prefix_len = 24 };
		if (kind == OBJECT_PROVIDER_ROUTE)
			s.provider_route =
				(struct provider_route_spec){ .prefix = { { 4, { 10 } }, 8 },
							      .next_hop = { 4, { 192, 0, 2, 9 } } };
		assert_true(object_key(kind, &s, key, sizeof(key)) > 0);
		assert_true(field_write(object_types[kind].fields, &s, text, sizeof(text)) >= 0);
		put(st, kind, key, ORIGIN_MANAGER, text);
	}
	ok(store_commit(st, &err), &err);
	ok(store_load(st, read_back, &n, &err), &err);
	assert_int_equal(n, OBJECT_COUNT);
	store_close(st);
}

static void many(void **state)
{
	const char *text = getenv("STORE_OBJECTS");
	unsigned int n = text ? (unsigned int)atoi(text) : 20000, k;
	struct store *s = opened();
	struct errbuf err = { "" };
	uint64_t from = tick_ns();
	char key[64], line[128];

	for (unsigned int i = 0; i < n; i++) {
		if (i % 500 == 0)
			ok(store_begin(s, &err), &err);
		snprintf(key, sizeof(key), "5001/10.%u.%u.%u", i >> 16 & 255, i >> 8 & 255, i & 255);
		snprintf(line, sizeof(line), "vsid=5001 ca=%s mac=02:00:00:00:00:01 host=h2", key + 5);
		put(s, OBJECT_RECORD, key, ORIGIN_MANAGER, line);
		if (i % 500 == 499 || i == n - 1)
			ok(store_commit(s, &err), &err);
	}
	print_message("%u objects in transactions of 500: %.0f ms;", n, (double)(tick_ns() - from) / 1e6);
	store_close(s);
	from = tick_ns();
	s = opened();
	print_message(" open and check %.0f ms;", (double)(tick_ns() - from) / 1e6);
	from = tick_ns();
	k = count(s);
	print_message(" load %.0f ms\n", (double)(tick_ns() - from) / 1e6);
	assert_int_equal(k, n);
	store_close(s);
}

/* ---- sqlite: files ---- */

static bool exists(const char *name, const char *suffix)
{
	char full[256];

	snprintf(full, sizeof(full), "%s%s", name, suffix);
	return access(full, F_OK) == 0;
}

static void quiet(int level, const char *file, int line, const char *text)
{
}

static void fill(unsigned int n)
{
	struct store *s = opened();
	struct errbuf err = { "" };
	char key[32];

	ok(store_begin(s, &err), &err);
	for (unsigned int i = 0; i < n; i++) {
		snprintf(key, sizeof(key), "%u", i);
		put(s, OBJECT_SUBNET, key, ORIGIN_ADMIN,
		    "vsid=5001 rdid=t1 and some more text to fill pages with");
	}
	ok(store_commit(s, &err), &err);
	store_close(s);
}

/* Overwrite bytes of the file. */
static void damage(off_t at, size_t len)
{
	uint8_t junk[4096];
	int fd = open(path, O_RDWR);

	memset(junk, 0xa5, sizeof(junk));
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, junk, len, at), len);
	close(fd);
}

static void corrupted(void **state)
{
	static const struct {
		off_t at;
		size_t len;
	} places[] = { { 0, 100 }, { 0, 4096 }, { 4096, 4096 }, { 8192, 100 }, { 100, 8 } };
	char suffix[32];
	struct stat st;

	log_set_sink(quiet);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct store *s;

		fill(2000);
		damage(places[i].at, places[i].len);
		s = opened();
		assert_int_equal(count(s), 0);
		snprintf(suffix, sizeof(suffix), ".corrupt-%zu", i + 1);
		assert_true(exists(path, suffix)); /* each under a name of its own */
		change(s, two_objects); /* and the new one works */
		store_close(s);
		s = opened();
		assert_int_equal(count(s), 2);
		store_close(s);
	}
	/* Not a database at all, and an empty file, which is a new one. */
	assert_int_equal(truncate(path, 0), 0);
	store_close(opened());
	assert_false(exists(path, ".corrupt-6"));
	assert_int_equal(truncate(path, 0), 0);
	damage(0, 1000);
	store_close(opened());
	assert_true(exists(path, ".corrupt-6"));
	/* Nobody else may read it. */
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	log_set_sink(NULL);
}

static void sql(const char *text)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void foreign(void **state)
{
	struct store *s = NULL;
	struct errbuf err = { "" };

	/* A newer version's file is left alone. */
	fill(3);
	sql("PRAGMA user_version = 99");
	assert_int_equal(store_open(path, &s, &err), -EPROTONOSUPPORT);
	assert_non_null(strstr(err.text, "99"));
	assert_null(s);
	assert_false(exists(path, ".corrupt-1"));
	sql("PRAGMA user_version = 1");
	/* Rows of a newer version are skipped, and kept. */
	sql("INSERT INTO object VALUES ('moon-phase', 'k', 'admin', 'x'), ('host', 'h', 'oracle', 'x')");
	s = opened();
	assert_int_equal(count(s), 3);
	store_close(s);
	sql("DELETE FROM object WHERE kind = 'moon-phase'");
	/* Another program's database. */
	unlink(path);
	sql("CREATE TABLE mine (a); INSERT INTO mine VALUES (1)");
	log_set_sink(quiet);
	s = opened();
	assert_int_equal(count(s), 0);
	store_close(s);
	log_set_sink(NULL);
	assert_true(exists(path, ".corrupt-1"));
	/* No such place. */
	assert_true(store_open("/nonexistent/dir/x.sqlite", &s, &err) < 0);
	assert_non_null(strstr(err.text, "/nonexistent/dir/x.sqlite"));
}

/* The process dies in the middle of a transaction, some of it written to the disk already. */
static void killed(void **state)
{
	struct errbuf err = { "" };
	struct store *s;
	char key[32];
	int status;
	pid_t pid;

	fill(10);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		s = NULL;
		if (store_open(path, &s, &err) < 0 || store_begin(s, &err) < 0)
			_exit(1);
		if (store_delete(s, OBJECT_SUBNET, "3", &err) < 0)
			_exit(2);
		/* More than the page cache: pages spill into the log before the commit. */
		for (unsigned int i = 0; i < 40000; i++) {
			snprintf(key, sizeof(key), "new-%u", i);
			if (store_put(s, OBJECT_SUBNET, key, ORIGIN_ADMIN,
				      "vsid=5001 rdid=t1 and text to fill pages", &err) < 0)
				_exit(3);
		}
		_exit(exists(path, "-wal") ? 0 : 4);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	s = opened();
	assert_int_equal(count(s), 10);
	store_close(s);
	assert_false(exists(path, ".corrupt-1"));
}

static int write_file(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY), r;

	if (fd < 0)
		return -1;
	r = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
	close(fd);
	return r;
}

/* A mount namespace; without root one that we are root of. */
static int own_namespace(void)
{
	char users[32], groups[32];

	if (unshare(CLONE_NEWNS) == 0)
		return 0;
	snprintf(users, sizeof(users), "0 %u 1", getuid());
	snprintf(groups, sizeof(groups), "0 %u 1", getgid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 || write_file("/proc/self/setgroups", "deny") < 0)
		return -1;
	return write_file("/proc/self/uid_map", users) < 0 ? -1 : write_file("/proc/self/gid_map", groups);
}

/* On a file system of 512 KiB. */
static int fill_disk(void)
{
	struct errbuf err = { "" };
	unsigned int committed = 0, n = 0;
	struct store *s = NULL;
	char key[32];
	int r = 0;

	if (own_namespace() < 0)
		return 77;
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("small", dir, "tmpfs", 0, "size=512k") < 0)
		return 77;
	if (store_open(path, &s, &err) < 0)
		return 1;
	while (r == 0 && n < 100000) {
		r = store_begin(s, &err);
		for (unsigned int i = 0; r == 0 && i < 100; i++) {
			snprintf(key, sizeof(key), "%u", n++);
			r = store_put(s, OBJECT_SUBNET, key, ORIGIN_ADMIN,
				      "vsid=5001 rdid=t1 and text to fill pages", &err);
		}
		if (r == 0)
			r = store_commit(s, &err);
		if (r == 0)
			committed = n;
	}
	store_rollback(s);
	if (r != -ENOSPC) {
		fprintf(stderr, "%d %s\n", r, err.text);
		return 2;
	}
	/* What was committed is there, the rest is not, and the store goes on when there is room again. */
	n = 0;
	if (store_load(s, count_one, &n, &err) < 0 || n != committed || committed == 0)
		return 3;
	if (mount("small", dir, "tmpfs", MS_REMOUNT, "size=4m") < 0)
		return 77;
	if (store_begin(s, &err) < 0 || store_put(s, OBJECT_HOST, "h", ORIGIN_ADMIN, "id=h", &err) < 0 ||
	    store_commit(s, &err) < 0)
		return 4;
	n = 0;
	if (store_load(s, count_one, &n, &err) < 0 || n != committed + 1)
		return 5;
	store_close(s);
	return 0;
}

static void disk_full(void **state)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fill_disk());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("no right to mount a small file system\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Two writers: the second waits, and says so when it waited in vain. */
static void busy(void **state)
{
	struct store *a = opened(), *b = opened();
	struct errbuf err = { "" };

	ok(store_begin(a, &err), &err);
	assert_int_equal(store_begin(b, &err), -EBUSY);
	ok(store_commit(a, &err), &err);
	ok(store_begin(b, &err), &err);
	ok(store_commit(b, &err), &err);
	store_close(a);
	store_close(b);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(kept),      T(notes),	      T(rolled_back), T(load_stops), T(texts),	   T(objects), T(many),
		T(corrupted), T(foreign),     T(killed),     T(disk_full), T(busy),
	};

	return cmocka_run_group_tests_name("policy-store", tests, NULL, NULL);
}
