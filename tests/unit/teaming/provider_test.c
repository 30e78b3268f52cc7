/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every provider does, on real devices in a namespace: `static`, and `libteam` with an imitation of the library
 * and a bridge in place of the team device, whose driver not every kernel has. Then what a team adds.
 */
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "fake_libteam.h"
#include "fake_teamd.h"
#include "netns.h"
#include "teaming/provider.h"
#include "teaming/teaming.h"

static struct provider *p;
static const struct provider_ops *ops;
static struct provider_config config;

/* A device becomes a port of the team, where there is one. */
static void join(const char *name)
{
	if (ops != &provider_libteam)
		return;
	ip_run("link set %s master team0", name);
	fake_port(if_nametoindex(name), true);
}

static void create(void)
{
	struct errbuf err = { "" };

	if (ops->create(&config, &p, &err) < 0)
		fail_msg("%s", err.text);
}

static int setup(void **state)
{
	netns_need();
	ops = *state;
	fake_reset();
	config = (struct provider_config){ .device = "team0", .libteam = &fake_libteam_ops, .kind = "bridge",
					   .teamd_dir = fake_teamd_dir(), .runner = "activebackup" };
	cable("a0", "s0");
	if (ops == &provider_libteam)
		ip_run("link add team0 type bridge");
	join("a0");
	create();
	ops->follow(p, 0, "a0", 0);
	ops->follow(p, 1, "a1", 0);
	return 0;
}

static int teardown(void **state)
{
	if (!p)
		return 0;
	ops->free(p);
	p = NULL;
	fake_teamd_reset();
	assert_int_equal(fake_handles(), 0);
	(void)!system("for d in a0 a1 b0 s0 br0 x0 team0 team1; do ip link del $d 2>/dev/null; done");
	return 0;
}

static struct provider_port port(unsigned int member)
{
	struct pollfd fd = { .fd = ops->fd(p), .events = POLLIN };
	struct provider_port ret;

	/* ip(8) has returned, so the kernel has sent its events; the imitation has its own. */
	fake_wait_handled();
	while (poll(&fd, 1, 0) > 0)
		assert_int_equal(ops->handle(p), 0);
	ops->port(p, member, &ret);
	return ret;
}

/* Until the link is up or down: the kernel tells carrier a little later than ip(8) returns. */
static struct provider_port await(unsigned int member, bool link)
{
	struct pollfd fd = { .fd = ops->fd(p), .events = POLLIN };
	struct provider_port ret = port(member);

	while (ret.link != link) {
		if (poll(&fd, 1, 5000) <= 0)
			fail_msg("link of member %u is not %s after 5 s", member, link ? "up" : "down");
		ret = port(member);
	}
	return ret;
}

static void tells_what_is_there_at_the_start(void **state)
{
	struct provider_port a = port(0), none = port(1);

	assert_int_equal(a.if_index, if_nametoindex("a0"));
	assert_string_equal(a.name, "a0");
	assert_true(a.admin_up && await(0, true).link && a.enabled);
	assert_int_equal(a.mtu, 1500);
	assert_int_equal(port(0).speed, 10000); /* what veth says */
	assert_int_equal(a.mac.b[0] & 1, 0);
	assert_int_equal(none.if_index, 0);
	assert_false(none.link);
}

static void follows_carrier_flags_and_mtu(void **state)
{
	struct provider_port a;

	ip_run("link set s0 down");
	a = await(0, false);
	assert_true(a.admin_up);
	assert_int_equal(a.speed, 0);
	ip_run("link set s0 up");
	a = await(0, true);
	assert_int_equal(a.speed, 10000);
	ip_run("link set a0 down");
	a = await(0, false);
	assert_false(a.admin_up);
	ip_run("link set a0 up mtu 1600 address 02:00:00:00:00:77");
	a = await(0, true);
	assert_int_equal(a.mtu, 1600);
	assert_int_equal(a.mac.b[5], 0x77);
}

static void follows_a_device_through_renaming(void **state)
{
	uint32_t index = port(0).if_index;

	ip_run("link set a0 down");
	ip_run("link set a0 name b0");
	ip_run("link set b0 up");
	assert_int_equal(port(0).if_index, index);
	assert_string_equal(await(0, true).name, "b0");
	/* another one takes the name: still the old one, until that is gone */
	cable("a0", "x0");
	assert_int_equal(port(0).if_index, index);
	ip_run("link del b0");
	assert_int_equal(port(0).if_index, if_nametoindex("a0"));
}

static void finds_a_device_that_comes_later_or_again(void **state)
{
	uint32_t index = port(0).if_index;

	ip_run("link add a1 type veth peer name x0");
	join("a1");
	assert_int_equal(port(1).if_index, if_nametoindex("a1"));
	assert_false(port(1).link);
	ip_run("link del a0");
	assert_int_equal(port(0).if_index, 0);
	assert_false(port(0).link);
	cable("a0", "s0");
	assert_int_not_equal(await(0, true).if_index, index);
	/* by renaming */
	ip_run("link del a1");
	ip_run("link add b0 type veth peer name x0");
	assert_int_equal(port(1).if_index, 0);
	ip_run("link set b0 name a1");
	assert_int_not_equal(port(1).if_index, 0);
}

/* What a bridge says of its ports has the same message types: the device is not gone when it leaves the bridge. */
static void is_not_confused_by_bridges(void **state)
{
	struct pollfd fd = { .fd = ops->fd(p), .events = POLLIN };
	struct provider_port a;
	pid_t child;
	int status;

	ip_run("link add br0 type bridge");
	child = fork();
	if (child == 0)
		_exit(system("for i in 1 2 3 4 5 6 7 8; do ip link set a0 master br0; ip link set a0 nomaster; done"));
	while (waitpid(child, &status, WNOHANG) == 0) {
		if (poll(&fd, 1, 1) > 0)
			assert_int_equal(ops->handle(p), 0);
		ops->port(p, 0, &a);
		assert_int_not_equal(a.if_index, 0);
	}
	assert_int_equal(status, 0);
	await(0, true);
}

static void by_index_for_devices_that_have_no_name_of_ours(void **state)
{
	ops->follow(p, 2, NULL, if_nametoindex("s0"));
	assert_string_equal(port(2).name, "s0");
	ops->follow(p, 2, NULL, 0);
	assert_int_equal(port(2).if_index, 0);
	ops->forget(p, 0);
	assert_int_equal(port(0).if_index, 0);
}

/* More events than the socket holds: everything is asked for anew. */
static void survives_lost_events(void **state)
{
	struct pollfd fd = { .fd = ops->fd(p), .events = POLLIN };
	struct provider_port a;
	FILE *batch = popen("ip -batch -", "w");

	assert_non_null(batch);
	for (unsigned int i = 0; i < 3000; i++)
		fprintf(batch, "link set a0 mtu %u\n", 1400 + i % 50);
	fprintf(batch, "link set s0 down\nlink add a1 type veth peer name x0\nlink set a0 mtu 1333\n");
	assert_int_equal(pclose(batch), 0);
	assert_int_equal(poll(&fd, 1, 0), 1);
	assert_int_equal(ops->handle(p), 0);
	ops->port(p, 0, &a);
	assert_int_equal(a.mtu, 1333);
	assert_false(await(0, false).link);
	ops->port(p, 1, &a);
	assert_int_equal(a.if_index, if_nametoindex("a1"));
}

/* ---- a team ---- */

/* Until something is so: events come by way of the library's thread. */
#define await_that(condition)                                                           \
	do {                                                                            \
		struct pollfd await_fd_ = { .fd = ops->fd(p), .events = POLLIN };       \
		uint64_t await_end_ = tick_ns() + 8000000000ull;                        \
		while (!(condition)) {                                                  \
			if (poll(&await_fd_, 1, 5000) <= 0 || tick_ns() > await_end_)   \
				fail_msg("not after some seconds: %s", #condition);     \
			assert_int_equal(ops->handle(p), 0);                            \
		}                                                                       \
	} while (0)

static const char *listed(void)
{
	static char text[TEAM_MEMBERS * IFNAMSIZ];
	char names[TEAM_MEMBERS][IFNAMSIZ];
	unsigned int n = ops->list(p, names);

	*text = '\0';
	for (unsigned int i = 0; i < n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "", names[i]);
	return text;
}

static struct teaming_status status(void)
{
	struct teaming_status st;

	ops->status(p, &st);
	return st;
}

static void again(void)
{
	ops->free(p);
	create();
	ops->follow(p, 0, "a0", 0);
	ops->follow(p, 1, "a1", 0);
}

static void ports_are_members(void **state)
{
	assert_string_equal(listed(), "a0");
	cable("a1", "x0");
	join("a1");
	await_that(strcmp(listed(), "a0 a1") == 0);
	assert_true(port(1).enabled);
	fake_port(if_nametoindex("a1"), false);
	await_that(!port(1).enabled);
	assert_string_equal(port(1).why, "standby port");
	assert_true(port(0).enabled);
}

/* The library keeps a port when it has lost the event; rtnetlink knows better. At once, too. */
static void whose_port_it_is_by_rtnetlink(void **state)
{
	config.grace_ms = 200;
	again();
	cable("a1", "x0");
	join("a1");
	await_that(strcmp(listed(), "a0 a1") == 0);
	ip_run("link set a1 nomaster");
	assert_false(port(1).enabled);
	assert_true(port(0).enabled);
	await_that(strcmp(listed(), "a0") == 0);
}

static void a_port_keeps_its_name_until_another_needs_it(void **state)
{
	ip_run("link set a0 down");
	ip_run("link set a0 name b0");
	ip_run("link set b0 up");
	assert_string_equal(port(0).name, "b0");
	assert_string_equal(listed(), "a0");
	cable("a0", "x0");
	join("a0");
	await_that(strcmp(listed(), "b0 a0") == 0);
	await_that(port(0).if_index == if_nametoindex("a0"));
}

static void waits_for_the_device(void **state)
{
	ops->free(p);
	ip_run("link del team0");
	create();
	assert_string_equal(status().problem, "there is no team0: waiting for it");
	assert_int_equal(status().if_index, 0);
	assert_string_equal(listed(), "");
	ip_run("link add team0 type veth peer name x0");
	await_that(strcmp(status().problem, "team0 is no team device") == 0);
	ip_run("link del team0");
	ip_run("link add team0 type bridge");
	join("a0");
	await_that(status().if_index == if_nametoindex("team0"));
	await_that(strcmp(listed(), "a0") == 0);
	ip_run("link del team0");
	await_that(strcmp(status().problem, "team0 is gone") == 0);
	assert_string_equal(listed(), "a0");
}

static void a_device_made_anew(void **state)
{
	config.grace_ms = 60000;
	again();
	assert_true(port(0).enabled);
	ip_run("link del team0");
	await_that(status().if_index == 0);
	assert_true(port(0).enabled);
	ip_run("link add team1 type bridge");
	ip_run("link set team1 name team0");
	ip_run("link set a0 master team0");
	fake_port(if_nametoindex("a0"), false);
	await_that(status().if_index == if_nametoindex("team0"));
	assert_true(port(0).enabled);
	assert_string_equal(listed(), "a0");
}

static void names_the_capability(void **state)
{
	ops->free(p);
	fake_attach_error(-EPERM);
	create();
	assert_string_equal(status().problem, "team0: reading a team's options needs CAP_NET_ADMIN");
	fake_attach_error(0);
	await_that(status().if_index);
}

static void the_mode_by_teamd(void **state)
{
	config.runner = NULL;
	fake_teamd_start("team0", "{\"setup\":{\"runner_name\":\"lacp\"}}");
	again();
	assert_string_equal(status().runner, "lacp");
	assert_string_equal(status().runner_source, "teamd");
	assert_string_equal(status().teamd, "alive");
	assert_int_equal(status().mode, TEAM_COOPERATE);
	assert_string_equal(status().problem, "");
	fake_teamd_kill();
	await_that(strcmp(status().teamd, "dead") == 0);
	await_that(strcmp(status().problem, "team0: teamd is dead: nobody takes a bad port out") == 0);
	assert_int_equal(status().mode, TEAM_COOPERATE);
	assert_true(port(0).enabled);
	fake_teamd_end();
	fake_teamd_start("team0", "{\"setup\":{\"runner_name\":\"activebackup\"}}");
	await_that(status().mode == TEAM_INDEPENDENT);
	await_that(!*status().problem);
}

static void a_runner_that_does_not_tell_the_mode(void **state)
{
	config.runner = "loadbalance";
	fake_teamd_start("team0", "{\"setup\":{\"runner_name\":\"lacp\"}}");
	again();
	await_that(strcmp(status().teamd, "alive") == 0);
	assert_non_null(strstr(status().problem, "set team.mode"));
	assert_string_equal(status().runner_source, "config");
	assert_int_equal(status().mode, TEAM_INDEPENDENT);
	config.mode = TEAM_COOPERATE;
	again();
	assert_string_equal(status().problem, "");
	assert_int_equal(status().mode, TEAM_COOPERATE);
	config.runner = "broadcast";
	again();
	assert_non_null(strstr(status().problem, "sends every frame by every port"));
	assert_false(port(0).enabled);
}

#define WITH(name, ops) { #name, name, setup, teardown, (void *)(uintptr_t)&(ops) }
#define BOTH(name)	WITH(name, provider_static), WITH(name, provider_libteam)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(tells_what_is_there_at_the_start),
		BOTH(follows_carrier_flags_and_mtu),
		WITH(follows_a_device_through_renaming, provider_static),
		WITH(finds_a_device_that_comes_later_or_again, provider_static),
		WITH(is_not_confused_by_bridges, provider_static),
		WITH(by_index_for_devices_that_have_no_name_of_ours, provider_static),
		WITH(survives_lost_events, provider_static),
		WITH(ports_are_members, provider_libteam),
		WITH(whose_port_it_is_by_rtnetlink, provider_libteam),
		WITH(a_port_keeps_its_name_until_another_needs_it, provider_libteam),
		WITH(waits_for_the_device, provider_libteam),
		WITH(a_device_made_anew, provider_libteam),
		WITH(names_the_capability, provider_libteam),
		WITH(the_mode_by_teamd, provider_libteam),
		WITH(a_runner_that_does_not_tell_the_mode, provider_libteam),
	};

	return cmocka_run_group_tests(tests, netns_setup, NULL);
}
