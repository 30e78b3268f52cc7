/* SPDX-License-Identifier: BSD-3-Clause */
/* The manager's socket: calls that wait for the store, clients that do not wait for them. Methods are the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"
#include "policyd/policyd.h"

#define WAIT_MS 10000

static struct settings settings;
static struct server server;
static struct call *calls[CONNECTIONS_MAX + 1];
static unsigned int n_calls;

/* As a change does that waits for the store. */
void method_call(struct server *s, struct call *c, const char *name)
{
	c->started = true;
	c->outstanding = 1;
	assert_true(n_calls < CONNECTIONS_MAX + 1);
	calls[n_calls++] = c;
}

bool method_list_next(struct server *s, struct call *c)
{
	return false;
}

/* The store has answered. */
static void end_call(struct call *c)
{
	c->outstanding--;
	if (!c->conn)
		call_free(c);
	else
		call_reply(c, json_object_new_object());
}

/* One turn of the loop. @return was there something to do? */
static int turn(int timeout_ms)
{
	struct pollfd fds[CONNECTIONS_MAX + 1];
	unsigned int n = server_fds(&server, fds, CONNECTIONS_MAX + 1);
	int ready = poll(fds, n, timeout_ms);

	server_turn(&server, fds, n);
	return ready;
}

static int client(void)
{
	static const char set[] = "{\"method\":\"org.example.Set\",\"parameters\":{}}";
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	unsigned int before = n_calls;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	str_copy(a.sun_path, sizeof(a.sun_path), server.path);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(send(fd, set, sizeof(set), MSG_NOSIGNAL), sizeof(set)); /* the zero ends it */
	for (unsigned int i = 0; i < 10 && n_calls == before; i++)
		turn(WAIT_MS);
	return fd;
}

static int setup(void **state)
{
	struct errbuf err = { "" };

	n_calls = 0;
	memset(&settings, 0, sizeof(settings));
	str_copy(settings.run_dir, sizeof(settings.run_dir), "/tmp/policyd-test-XXXXXX");
	return mkdtemp(settings.run_dir) ? server_new(&server, NULL, &settings, &err) : -1;
}

static int teardown(void **state)
{
	server_free(&server);
	return rmdir(settings.run_dir);
}

/* All places are taken by clients that go while their changes wait: the loop sleeps, and others get in. */
static void test_gone_while_waiting(void **state)
{
	int fds[CONNECTIONS_MAX], fd;

	for (unsigned int i = 0; i < CONNECTIONS_MAX; i++)
		fds[i] = client();
	assert_int_equal(n_calls, CONNECTIONS_MAX);
	assert_int_equal(turn(0), 0);
	for (unsigned int i = 0; i < CONNECTIONS_MAX; i++)
		close(fds[i]);
	for (unsigned int i = 0; i < 10 && server.n; i++)
		turn(WAIT_MS);
	assert_int_equal(server.n, 0);
	assert_int_equal(turn(0), 0);
	fd = client();
	assert_int_equal(n_calls, CONNECTIONS_MAX + 1);
	for (unsigned int i = 0; i < n_calls; i++)
		end_call(calls[i]);
	close(fd);
	turn(WAIT_MS);
}

/* Who has only said all that he wants to say waits for the answer. */
static void test_half_closed(void **state)
{
	char answer[64];
	int fd = client();

	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_int_equal(turn(0), 0); /* nothing to do until the store answers */
	assert_int_equal(server.n, 1);
	end_call(calls[0]);
	turn(0);
	assert_true(recv(fd, answer, sizeof(answer), 0) > 0);
	close(fd);
	turn(WAIT_MS);
	assert_int_equal(server.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_gone_while_waiting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_half_closed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
