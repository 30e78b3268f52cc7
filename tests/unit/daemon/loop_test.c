/* SPDX-License-Identifier: BSD-3-Clause */
/* Around the loop: events, directories and lock, what the service manager is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "daemon/dirs.h"
#include "daemon/events.h"
#include "daemon/logsink.h"
#include "daemon/notify.h"

/* ---- events ---- */

struct listener {
	struct event_bus *bus;
	struct subscription *self, *other;
	unsigned int n;
	uint64_t last;
	char text[256];
};

static void emit(struct event_bus *bus, enum event_id id, ...)
{
	va_list ap;

	va_start(ap, id);
	event_emit(bus, id, ap);
	va_end(ap);
}

static void on_event(const struct event *ev, void *arg)
{
	struct listener *l = arg;
	unsigned int i;

	l->n++;
	l->last = ev->number;
	snprintf(l->text, sizeof(l->text), "%s", ev->name);
	for (i = 0; i < ev->n; i++)
		snprintf(l->text + strlen(l->text), sizeof(l->text) - strlen(l->text), " %s=%s", ev->pairs[i].key,
			 ev->pairs[i].value);
}

/* Ends itself and another in the middle of an event, and causes one. */
static void on_event_once(const struct event *ev, void *arg)
{
	struct listener *l = arg;

	on_event(ev, l);
	event_unsubscribe(l->bus, l->self);
	event_unsubscribe(l->bus, l->other);
	emit(l->bus, EVENT_TEAM_DOWN, NULL);
}

static void test_events(void **state)
{
	struct event_bus bus = { 0 };
	struct listener a = { .bus = &bus }, b = { .bus = &bus }, c = { .bus = &bus };

	log_set_level(LOG_ERR - 1);
	c.self = event_subscribe(&bus, on_event, &c); /* called last */
	b.self = event_subscribe(&bus, on_event_once, &b);
	b.other = c.self;
	a.self = event_subscribe(&bus, on_event, &a);
	emit(&bus, EVENT_PORT_QUEUE, "port", "p1", "queue", "3", "enabled", "true", NULL);
	assert_int_equal(a.n, 2);
	assert_string_equal(a.text, "team-down");
	assert_int_equal(b.n, 1);
	assert_string_equal(b.text, "port-queue port=p1 queue=3 enabled=true");
	assert_int_equal(c.n, 0);
	emit(&bus, EVENT_READY, NULL);
	assert_int_equal(a.n, 3);
	assert_int_equal(a.last, 3);
	assert_int_equal(b.n, 1);
	event_bus_done(&bus);
	assert_null(bus.subs);
	log_set_level(LOG_INFO);
}

/* Every event has a name of its own, keys and a sentence. */
static void test_event_table(void **state)
{
	unsigned int i, j;

	for (i = 0; i < EVENT_COUNT; i++) {
		assert_true(str_is_id(event_names[i]));
		assert_true(strlen(event_texts[i]) > 5);
		for (j = 0; j < i; j++)
			assert_string_not_equal(event_names[i], event_names[j]);
	}
}

/* ---- directories ---- */

static char base[] = "/tmp/loop-test-XXXXXX";

static int make_base(void **state)
{
	return mkdtemp(base) ? 0 : -1;
}

static int remove_base(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", base);
	return system(command);
}

static void test_dirs(void **state)
{
	struct settings s = { 0 };
	struct errbuf err;
	struct stat st;
	char path[256];
	FILE *f;

	snprintf(s.run_dir, sizeof(s.run_dir), "%s/run", base);
	snprintf(s.state_dir, sizeof(s.state_dir), "%s/state", base);
	settings_complete(&s);
	str_copy(s.socket_group, sizeof(s.socket_group), "root");
	assert_int_equal(dirs_make(&s, &err), 0);
	assert_int_equal(stat(s.run_dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(stat(s.state_dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(s.socket_dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 02770); /* what QEMU makes there belongs to the group, too */
	/* Without a group: a directory that a package has given to ours is left to it. */
	*s.socket_group = 0;
	assert_int_equal(chown(s.socket_dir, (uid_t)-1, getegid()), 0);
	assert_int_equal(dirs_make(&s, &err), 0);
	assert_int_equal(stat(s.socket_dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 02770);
	/* A second time, and with rights that somebody chose. */
	assert_int_equal(chmod(s.state_dir, 0750), 0);
	assert_int_equal(dirs_make(&s, &err), 0);
	assert_int_equal(stat(s.state_dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	snprintf(path, sizeof(path), "%s/file", base);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	str_copy(s.state_dir, sizeof(s.state_dir), path);
	assert_int_equal(dirs_make(&s, &err), -ENOTDIR);
	assert_non_null(strstr(err.text, "/file is not a directory"));
	snprintf(s.run_dir, sizeof(s.run_dir), "%s/none/run", base);
	assert_int_equal(dirs_make(&s, &err), -ENOENT);
	assert_non_null(strstr(err.text, "cannot make directory"));
}

/* As RestrictSUIDSGID= of the unit does. */
static bool refuse_setgid(void)
{
	const struct scmp_arg_cmp mode[] = { SCMP_A1(SCMP_CMP_MASKED_EQ, S_ISGID, S_ISGID),
					     SCMP_A2(SCMP_CMP_MASKED_EQ, S_ISGID, S_ISGID) };
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);

	return f && seccomp_rule_add_array(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(mkdir), 1, mode) == 0 &&
	       seccomp_rule_add_array(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(chmod), 1, mode) == 0 &&
	       seccomp_rule_add_array(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(mkdirat), 1, mode + 1) == 0 &&
	       seccomp_rule_add_array(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(fchmodat), 1, mode + 1) == 0 &&
	       seccomp_load(f) == 0;
}

static int make_confined(struct settings *s)
{
	struct errbuf err;

	if (!refuse_setgid())
		return 1;
	if (dirs_make(s, &err) < 0) /* what the package has made */
		return 2;
	return rmdir(s->socket_dir) < 0 || dirs_make(s, &err) < 0 ? 3 : 0;
}

/* The unit refuses to set the bit: a directory that has it is used as it is, one that is missing is made without. */
static void test_dirs_confined(void **state)
{
	struct settings s = { 0 };
	struct errbuf err;
	struct stat st;
	pid_t child;
	int status;

	snprintf(s.run_dir, sizeof(s.run_dir), "%s/confined", base);
	snprintf(s.state_dir, sizeof(s.state_dir), "%s/confined", base);
	settings_complete(&s);
	str_copy(s.socket_group, sizeof(s.socket_group), "root");
	assert_int_equal(dirs_make(&s, &err), 0);
	child = fork();
	if (child == 0)
		_exit(make_confined(&s));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(stat(s.socket_dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0770);
}

static void test_lock(void **state)
{
	struct errbuf err;
	char expected[128];
	int a, b;

	a = dirs_lock(base, &err);
	assert_true(a >= 0);
	b = dirs_lock(base, &err);
	assert_int_equal(b, -EBUSY);
	snprintf(expected, sizeof(expected), "already running as pid %d in %s", (int)getpid(), base);
	assert_string_equal(err.text, expected);
	close(a);
	b = dirs_lock(base, &err);
	assert_true(b >= 0);
	close(b);
}

static void test_salt(void **state)
{
	uint64_t a = 0, b = 0, c = 0;
	struct errbuf err;
	struct stat st;
	char path[256];
	FILE *f;

	assert_int_equal(dirs_salt(base, &a, &err), 0);
	assert_int_equal(dirs_salt(base, &b, &err), 0);
	assert_true(a == b && a != 0);
	snprintf(path, sizeof(path), "%s/salt", base);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* Damaged: a new one, that stays. */
	f = fopen(path, "w");
	fputs("what is this", f);
	fclose(f);
	assert_int_equal(dirs_salt(base, &b, &err), 0);
	assert_true(a != b);
	assert_int_equal(dirs_salt(base, &c, &err), 0);
	assert_true(b == c);
}

/* ---- the service manager ---- */

static int notify_fd = -1;

static void listen_notify(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/notify", base);
	unlink(a.sun_path);
	notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(notify_fd >= 0);
	assert_int_equal(bind(notify_fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", a.sun_path, 1), 0);
}

static const char *told(void)
{
	static char text[512];
	ssize_t n = recv(notify_fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void test_notify(void **state)
{
	unsigned long long usec;

	listen_notify();
	notify_ready();
	assert_string_equal(told(), "READY=1");
	notify_status("%u ports", 3);
	assert_string_equal(told(), "STATUS=3 ports");
	notify_reloading();
	assert_int_equal(sscanf(told(), "RELOADING=1\nMONOTONIC_USEC=%llu", &usec), 1);
	assert_true(usec > 0);
	notify_stopping();
	assert_string_equal(told(), "STOPPING=1");
	assert_string_equal(told(), "");
	close(notify_fd);
	unsetenv("NOTIFY_SOCKET");
}

static unsigned int asked;

/* Alive at the first two questions, stuck from then on. */
static bool alive(void *arg)
{
	if (++asked == 6)
		sd_event_exit(arg, 0);
	return asked <= 2;
}

static void test_watchdog(void **state)
{
	sd_event_source *source = NULL;
	sd_event *loop = NULL;
	unsigned int fed = 0;

	listen_notify();
	log_set_level(LOG_ERR - 1);
	setenv("WATCHDOG_USEC", "4000", 1);
	assert_true(sd_event_new(&loop) >= 0);
	asked = 0;
	assert_int_equal(notify_watchdog(loop, alive, loop, &source), 0);
	assert_non_null(source);
	assert_int_equal(sd_event_loop(loop), 0);
	while (strcmp(told(), "WATCHDOG=1") == 0)
		fed++;
	assert_int_equal(asked, 6);
	assert_int_equal(fed, 2);
	sd_event_source_disable_unref(source);
	unsetenv("WATCHDOG_USEC");
	/* Not wanted. */
	assert_int_equal(notify_watchdog(loop, alive, loop, &source), 0);
	assert_null(source);
	sd_event_unref(loop);
	close(notify_fd);
	unsetenv("NOTIFY_SOCKET");
	log_set_level(LOG_INFO);
}

static void test_journal(void **state)
{
	struct stat st;
	char stream[64];

	assert_int_equal(fstat(STDIN_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	assert_true(log_is_journal(STDIN_FILENO, stream));
	assert_false(log_is_journal(STDIN_FILENO, NULL));
	assert_false(log_is_journal(STDIN_FILENO, "1:"));
	assert_false(log_is_journal(STDIN_FILENO, "1:2"));
	strcat(stream, "x");
	assert_false(log_is_journal(STDIN_FILENO, stream));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events),	 cmocka_unit_test(test_event_table), cmocka_unit_test(test_dirs),
		cmocka_unit_test(test_dirs_confined),
		cmocka_unit_test(test_lock),	 cmocka_unit_test(test_salt),	     cmocka_unit_test(test_notify),
		cmocka_unit_test(test_watchdog), cmocka_unit_test(test_journal),
	};

	return cmocka_run_group_tests(tests, make_base, remove_base);
}
