/* SPDX-License-Identifier: BSD-3-Clause */
/* Is teamd alive, and what does it say: against an imitation, with a clock of the test's own. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "fake_teamd.h"
#include "teaming/teamd.h"
#include "unit.h"

#define S 1000000000ull

static struct tw_teamd d;
static uint64_t now;

static const char lacp[] =
	"{\"setup\":{\"runner_name\":\"lacp\",\"pid\":7},\"ports\":{"
	"\"a0\":{\"ifinfo\":{\"ifindex\":11,\"ifname\":\"a0\"},\"runner\":{\"state\":\"current\",\"selected\":true,"
	"\"aggregator\":{\"id\":3},\"actor_lacpdu_info\":{\"key\":5,\"state\":63},"
	"\"partner_lacpdu_info\":{\"system\":\"52:54:00:00:00:01\",\"key\":9,\"port\":2,\"state\":61}}},"
	"\"a1\":{\"ifinfo\":{\"ifindex\":12},\"link\":{\"up\":false},\"runner\":{\"state\":\"expired\"}},"
	"\"a2\":7}}";

static int setup(void **state)
{
	now = 1000 * S;
	tw_teamd_init(&d, fake_teamd_dir(), "team0");
	return 0;
}

static int teardown(void **state)
{
	tw_teamd_done(&d);
	fake_teamd_reset();
	return 0;
}

static bool wait_for(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return fd >= 0 && poll(&p, 1, 5000) > 0;
}

/* Time passes until it has something to do; no further than `end`. */
static bool step(uint64_t end)
{
	uint64_t at = tw_teamd_deadline(&d);

	now = at < now ? now : at < end ? at : end;
	return tw_teamd_step(&d, now);
}

static void asks_and_understands(void **state)
{
	const struct teaming_lacp *l;

	fake_teamd_start("team0", lacp);
	assert_true(step(now));
	assert_int_equal(d.life, TEAMD_ALIVE);
	assert_true(wait_for(d.sock));
	assert_true(tw_teamd_answer(&d, now));
	assert_string_equal(d.runner, "lacp");
	l = tw_teamd_lacp(&d, 11);
	assert_true(l && l->known);
	assert_string_equal(l->state, "current");
	assert_string_equal(l->partner, "52:54:00:00:00:01");
	assert_int_equal(l->aggregator, 3);
	assert_int_equal(l->key, 5);
	assert_int_equal(l->actor_state, 63);
	assert_int_equal(l->partner_key, 9);
	assert_int_equal(l->partner_port, 2);
	assert_string_equal(tw_teamd_lacp(&d, 12)->state, "expired");
	assert_null(tw_teamd_lacp(&d, 13));
	assert_true(tw_teamd_down(&d, 12));
	assert_false(tw_teamd_down(&d, 11) || tw_teamd_down(&d, 13)); /* says nothing of it */
	/* again after five seconds, or one when something changed */
	assert_int_equal(d.sock, -1);
	assert_int_equal(tw_teamd_deadline(&d), now + 5 * S);
	tw_teamd_kick(&d);
	assert_int_equal(tw_teamd_deadline(&d), now + 1 * S);
	assert_false(step(now + 1 * S));
	assert_true(wait_for(d.sock));
	assert_false(tw_teamd_answer(&d, now)); /* nothing new */
}

static void notices_a_death_at_once(void **state)
{
	fake_teamd_start("team0", lacp);
	step(now);
	assert_true(wait_for(d.sock));
	tw_teamd_answer(&d, now);
	fake_teamd_kill();
	assert_true(wait_for(d.pidfd));
	assert_true(tw_teamd_ended(&d, now));
	assert_int_equal(d.life, TEAMD_DEAD);
	assert_int_equal(d.pidfd, -1);
	assert_string_equal(d.runner, "lacp"); /* what the device is made for */
	assert_null(tw_teamd_lacp(&d, 11));
	/* its pid file is still there; a new one is seen within a second */
	assert_false(step(now + 1 * S));
	assert_int_equal(d.life, TEAMD_DEAD);
	fake_teamd_end();
	fake_teamd_start("team0", lacp);
	assert_true(step(now + 1 * S));
	assert_int_equal(d.life, TEAMD_ALIVE);
}

static void none_is_not_dead(void **state)
{
	FILE *f;
	char path[128];

	step(now);
	assert_int_equal(d.life, TEAMD_NONE);
	assert_int_equal(tw_teamd_deadline(&d), now + 1 * S);
	snprintf(path, sizeof(path), "%s/team0.pid", fake_teamd_dir());
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "no number\n");
	fclose(f);
	assert_true(step(now + 1 * S));
	assert_int_equal(d.life, TEAMD_UNKNOWN);
	unlink(path);
}

/* It lives and says nothing: told after some seconds, and taken back when it speaks. */
static void notices_silence(void **state)
{
	uint64_t start = now;

	fake_teamd_start("team0", NULL);
	step(now);
	assert_int_equal(d.life, TEAMD_ALIVE);
	while (d.life == TEAMD_ALIVE)
		step(start + 20 * S);
	assert_int_equal(d.life, TEAMD_SILENT);
	assert_in_range(now - start, 4 * S, 6 * S);
	fake_teamd_end();
	fake_teamd_start("team0", lacp);
	tw_teamd_ended(&d, now);
	step(now + 1 * S);
	assert_int_equal(d.life, TEAMD_ALIVE);
}

static void lives_without_a_socket_for_a_moment(void **state)
{
	uint64_t start = now;

	fake_teamd_start("team0", "");
	for (step(now); now < start + 3 * S; step(start + 3 * S))
		assert_int_equal(d.life, TEAMD_ALIVE);
	while (d.life == TEAMD_ALIVE && now < start + 10 * S)
		step(start + 10 * S);
	assert_int_equal(d.life, TEAMD_SILENT);
}

static void nonsense_changes_nothing(void **state)
{
	static const char *const bad[] = {
		"", "x", "{", "[]", "7", "null", "{\"setup\":7}", "{\"setup\":{}}",
		"{\"setup\":{\"runner_name\":\"\"}}",
	};

	assert_int_equal(tw_teamd_parse(&d, lacp), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(tw_teamd_parse(&d, bad[i]), -EBADMSG);
		assert_string_equal(d.runner, "lacp");
		assert_int_equal(d.n_ports, 3);
	}
	/* what is no text for people does not get through */
	assert_int_equal(tw_teamd_parse(&d, "{\"setup\":{\"runner_name\":\"a\\u001b[2J\"},\"ports\":3}"), 0);
	assert_string_equal(d.runner, "");
	assert_int_equal(tw_teamd_parse(&d, "{\"setup\":{\"runner_name\":\"lacp\"},\"ports\":{\"a\":{\"ifinfo\":{"
					    "\"ifindex\":-3},\"runner\":{\"state\":\"a very long state indeed\"}}}}"),
			 0);
	assert_int_equal(d.n_ports, 1);
	assert_null(tw_teamd_lacp(&d, 0));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(asks_and_understands),
		TEST(notices_a_death_at_once),
		TEST(none_is_not_dead),
		TEST(notices_silence),
		TEST(lives_without_a_socket_for_a_moment),
		TEST(nonsense_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
