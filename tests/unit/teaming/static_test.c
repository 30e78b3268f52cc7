/* SPDX-License-Identifier: BSD-3-Clause */
/* Links by rtnetlink, on real devices in a namespace. */
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netns.h"
#include "teaming/provider.h"

static struct provider *p;
static const struct provider_ops *const ops = &provider_static;

static int setup(void **state)
{
	struct errbuf err = { "" };

	netns_need();
	cable("a0", "s0");
	if (ops->create(&(struct provider_config){ 0 }, &p, &err) < 0)
		fail_msg("%s", err.text);
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
	(void)!system("for d in a0 a1 b0 s0 br0 x0; do ip link del $d 2>/dev/null; done");
	return 0;
}

static struct provider_port port(unsigned int member)
{
	struct pollfd fd = { .fd = ops->fd(p), .events = POLLIN };
	struct provider_port ret;

	/* ip(8) has returned, so the kernel has sent its events. */
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tells_what_is_there_at_the_start),
		TEST(follows_carrier_flags_and_mtu),
		TEST(follows_a_device_through_renaming),
		TEST(finds_a_device_that_comes_later_or_again),
		TEST(is_not_confused_by_bridges),
		TEST(by_index_for_devices_that_have_no_name_of_ours),
		TEST(survives_lost_events),
	};

	return cmocka_run_group_tests(tests, netns_setup, NULL);
}
