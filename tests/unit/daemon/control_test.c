/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket with methods of the test's own: calls that end later, peers that send several at once, go away or
 * never read. Turns of the event loop are counted, no time passes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"
#include "daemon/control_private.h"

struct manager {
	sd_event *loop;
	struct settings settings;
};

static struct manager manager;
static struct control *control;
static char path[64];
static struct call *waiting[8]; /* calls of "Set" */
static unsigned int n_waiting, n_streamed;
static bool endless;

/* ---- what control.c needs of the daemon ---- */

sd_event *manager_loop(struct manager *m)
{
	return m->loop;
}

const struct settings *manager_settings(const struct manager *m)
{
	return &m->settings;
}

void manager_info(const struct manager *m, struct manager_info *ret)
{
	*ret = (struct manager_info){ .version = "test" };
}

void manager_unsubscribe(struct manager *m, struct subscription *s)
{
}

static int version(struct manager *m, struct call *c, struct errbuf *err)
{
	call_reply(c, json_object_new_object());
	return 0;
}

static int set(struct manager *m, struct call *c, struct errbuf *err)
{
	assert_true(n_waiting < 8);
	c->outstanding = 1;
	waiting[n_waiting++] = c;
	return 0;
}

/* The end of a call of "Set", as control_methods.c does it. */
static void set_done(unsigned int i)
{
	struct call *c = waiting[i];

	c->outstanding = 0;
	if (c->conn) {
		call_reply(c, json_object_new_object());
		return;
	}
	call_free(c);
}

static int list_next(struct call *c, struct json_object **ret)
{
	if (!endless && c->cursor == 3)
		return 0;
	c->cursor++;
	n_streamed++;
	*ret = json_object_new_object();
	json_object_object_add(*ret, "n", json_object_new_int((int)c->cursor));
	return 1;
}

static int list(struct manager *m, struct call *c, struct errbuf *err)
{
	if (!c->more)
		return err_set(err, EINVAL, "streams");
	c->next = list_next;
	return 0;
}

const method_fn method_handlers[METHOD_COUNT] = {
	[METHOD_VERSION] = version, [METHOD_SET] = set, [METHOD_LIST] = list,
};

/* ---- tools ---- */

static int setup(void **state)
{
	struct errbuf err = { "" };

	memset(&manager, 0, sizeof(manager));
	n_waiting = n_streamed = 0;
	endless = false;
	snprintf(path, sizeof(path), "/tmp/control-test-%d", (int)getpid());
	assert_true(sd_event_new(&manager.loop) >= 0);
	if (control_new(&manager, path, &control, &err) < 0)
		fail_msg("%s", err.text);
	return 0;
}

static int teardown(void **state)
{
	control = control_free(control);
	assert_int_equal(access(path, F_OK), -1);
	manager.loop = sd_event_unref(manager.loop);
	return 0;
}

/* Turns of the loop until nothing is ready. */
static unsigned int turns(unsigned int max)
{
	unsigned int n = 0;

	while (n < max && sd_event_run(manager.loop, 0) > 0)
		n++;
	return n;
}

static int client(void)
{
	struct errbuf err;
	int fd = protocol_connect(path, &err);

	assert_true(fd >= 0);
	turns(100);
	return fd;
}

#define CALL(name, more) "{\"method\":\"org.vswitchd." name "\"" more "}"

static void say(int fd, const char *text, size_t n)
{
	assert_int_equal(send(fd, text, n, MSG_NOSIGNAL), n);
}
#define SAY(fd, text) say(fd, text, sizeof(text)) /* with its NUL */

/* Messages that have arrived; the text of all of them, one a line. @return -1: the connection is closed. */
static int heard(int fd, char *ret, size_t size)
{
	ssize_t n = recv(fd, ret, size - 1, MSG_DONTWAIT);
	int messages = 0;

	ret[n > 0 ? n : 0] = '\0';
	for (ssize_t i = 0; i < n; i++) {
		if (ret[i])
			continue;
		messages++;
		ret[i] = '\n';
	}
	return n == 0 || (n < 0 && errno != EAGAIN) ? -1 : messages;
}

/* ---- tests ---- */

/* The second of two calls sent at once is not forgotten when the first one ends later. */
static void calls_sent_at_once_are_all_answered(void **state)
{
	int fd = client();
	char text[1024];

	SAY(fd, CALL("Set", "") "\0" CALL("Version", "") "\0" CALL("Set", ""));
	turns(100);
	assert_int_equal(n_waiting, 1);
	assert_int_equal(heard(fd, text, sizeof(text)), 0);
	set_done(0);
	turns(100);
	assert_int_equal(n_waiting, 2);
	assert_int_equal(heard(fd, text, sizeof(text)), 2);
	set_done(1);
	turns(100);
	assert_int_equal(heard(fd, text, sizeof(text)), 1);
	close(fd);
}

static void peer_that_has_finished_sending_is_answered(void **state)
{
	int fd = client();
	char text[1024];

	SAY(fd, CALL("Set", "") "\0" CALL("List", ",\"more\":true"));
	shutdown(fd, SHUT_WR);
	turns(100);
	set_done(0);
	turns(100);
	assert_int_equal(heard(fd, text, sizeof(text)), 4);
	assert_int_equal(heard(fd, text, sizeof(text)), -1);
	close(fd);
}

static void last_reply_of_a_stream_does_not_continue(void **state)
{
	int fd = client();
	char text[1024];

	SAY(fd, CALL("List", ",\"more\":true"));
	turns(100);
	assert_int_equal(heard(fd, text, sizeof(text)), 3);
	assert_string_equal(text, "{\"parameters\":{\"n\":1},\"continues\":true}\n"
				  "{\"parameters\":{\"n\":2},\"continues\":true}\n"
				  "{\"parameters\":{\"n\":3}}\n");
	close(fd);
}

static void oneway_is_not_answered(void **state)
{
	int fd = client();
	char text[1024];

	SAY(fd,
	    CALL("Version", ",\"oneway\":true") "\0" CALL("NoSuch", ",\"oneway\":true") "\0" CALL(
		    "List", ",\"oneway\":true,\"more\":true") "\0" CALL("Set", ",\"oneway\":true") "\0" CALL("Version",
													     ""));
	turns(100);
	set_done(0);
	turns(100);
	assert_int_equal(heard(fd, text, sizeof(text)), 1);
	assert_string_equal(text, "{\"parameters\":{}}\n");
	close(fd);
}

/* Somebody who lists without end and reads all of it, or calls all the time, does not keep others waiting. */
static void nobody_waits_for_a_busy_peer(void **state)
{
	int busy = client(), fd = client();
	char text[1024], much[65536];
	unsigned int i;

	endless = true;
	SAY(busy, CALL("List", ",\"more\":true"));
	for (i = 0; i < 20; i++) {
		assert_int_equal(turns(1), 1);
		(void)heard(busy, much, sizeof(much));
	}
	assert_true(n_streamed <= 20 * 128);
	SAY(fd, CALL("Version", ""));
	for (i = 0; i < 4 && heard(fd, text, sizeof(text)) == 0; i++)
		turns(1);
	assert_true(i < 4);
	close(busy);
	close(fd);
	turns(100);
}

static void peer_may_go_away_before_the_end(void **state)
{
	int fd = client();

	SAY(fd, CALL("Set", ""));
	turns(100);
	close(fd);
	turns(100);
	assert_null(waiting[0]->conn);
	set_done(0); /* it belongs to nobody else any more */
	assert_int_equal(control->n_conns, 0);
}

static void peer_that_does_not_read_is_cut_off(void **state)
{
	static char call[] = CALL("NoSuch", "");
	int fd = client(), i;

	for (i = 0; i < 200000 && send(fd, call, sizeof(call), MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(call); i++)
		turns(4);
	assert_true(i < 200000);
	turns(100);
	assert_int_equal(control->n_conns, 0);
	close(fd);
}

static void bad_message_ends_the_connection(void **state)
{
	char text[1024];
	int fd = client();

	SAY(fd, "[1]\0" CALL("Version", ""));
	turns(100);
	assert_int_equal(heard(fd, text, sizeof(text)), 1);
	assert_non_null(strstr(text, "InvalidParameter"));
	assert_int_equal(heard(fd, text, sizeof(text)), -1);
	assert_int_equal(control->n_conns, 0);
	close(fd);
}

static void connections_of_one_user_are_bounded(void **state)
{
	int fd[CONTROL_CONNECTIONS_PER_UID + 1];
	char text[1024];

	for (unsigned int i = 0; i < CONTROL_CONNECTIONS_PER_UID + 1; i++)
		fd[i] = client();
	assert_int_equal(control->n_conns, CONTROL_CONNECTIONS_PER_UID);
	assert_int_equal(heard(fd[CONTROL_CONNECTIONS_PER_UID], text, sizeof(text)), 1);
	assert_non_null(strstr(text, "Busy"));
	for (unsigned int i = 0; i < CONTROL_CONNECTIONS_PER_UID + 1; i++)
		close(fd[i]);
	turns(100);
	assert_int_equal(control->n_conns, 0);
}

/* Neither waits for ever in the listen queue nor keeps the loop turning. */
static void out_of_descriptors_is_told(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct rlimit old, none;
	char text[1024];

	assert_int_equal(str_copy(a.sun_path, sizeof(a.sun_path), path), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = old.rlim_max };
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	none.rlim_cur = (rlim_t)control->spare + 1; /* the one that is given up, no other */
	for (int i = 0; i < control->spare; i++)
		if (fcntl(i, F_GETFD) < 0)
			assert_true(dup2(control->spare, i) >= 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_true(turns(100) < 100);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_true(control->spare >= 0);
	assert_int_equal(heard(fd, text, sizeof(text)), 1);
	assert_non_null(strstr(text, "out of file descriptors"));
	assert_int_equal(heard(fd, text, sizeof(text)), -1);
	close(fd);
	fd = client();
	assert_int_equal(control->n_conns, 1);
	close(fd);
	turns(100);
}

/* Groups that a reload brings may connect. */
static void rights_follow_the_settings(void **state)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_false(control->groups.id[LEVEL_READ].known);
	str_copy(manager.settings.read_group, sizeof(manager.settings.read_group), "root");
	control_reload(control);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
	assert_true(control->groups.id[LEVEL_READ].known);
	assert_int_equal(control->groups.id[LEVEL_READ].gid, 0);
	manager.settings.read_group[0] = '\0';
	control_reload(control);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_false(control->groups.id[LEVEL_READ].known);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(calls_sent_at_once_are_all_answered),
		T(peer_that_has_finished_sending_is_answered),
		T(last_reply_of_a_stream_does_not_continue),
		T(oneway_is_not_answered),
		T(nobody_waits_for_a_busy_peer),
		T(peer_may_go_away_before_the_end),
		T(peer_that_does_not_read_is_cut_off),
		T(bad_message_ends_the_connection),
		T(connections_of_one_user_are_bounded),
		T(out_of_descriptors_is_told),
		T(rights_follow_the_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
