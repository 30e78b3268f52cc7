/* SPDX-License-Identifier: BSD-3-Clause */
/* What follows from what a team says: pure, with a clock of the test's own. */
#include "unit.h"

#include "teaming/libteam_state.h"
#include "teaming/teaming.h"

#define MS 1000000ull

static struct tw_team_state s;
static struct tw_snapshot snap;
static uint64_t now;

/* A team of n ports 101, 102... all well. */
static void make(unsigned int n, const char *runner)
{
	memset(&s, 0, sizeof(s));
	memset(&snap, 0, sizeof(snap));
	now = 1000000 * MS;
	s.grace_ms = 3000;
	strcpy(s.runner, runner);
	snap.if_index = 7;
	strcpy(snap.mode, "loadbalance");
	snap.n = n;
	for (unsigned int i = 0; i < n; i++)
		snap.ports[i] = (struct tw_snap_port){ .if_index = 101 + i, .speed = 10000, .link = true,
						       .enabled = true, .user_linkup = true };
}

static void update(uint64_t ms)
{
	now += ms * MS;
	tw_team_update(&s, &snap, now);
}

static bool enabled(uint32_t if_index)
{
	const struct tw_team_port *p = tw_team_port(&s, if_index);
	const char *why = NULL;
	bool ret = p && tw_team_enabled(&s, p, now, &why);

	assert_true(ret || !p || (why && *why));
	return ret;
}

static const char *why_not(uint32_t if_index)
{
	const char *why = "";

	assert_false(tw_team_enabled(&s, tw_team_port(&s, if_index), now, &why));
	return why;
}

static void gone(uint64_t ms)
{
	memset(&snap, 0, sizeof(snap));
	update(ms);
}

static void a_port_carries_data_when_all_agree(void **state)
{
	make(2, "lacp");
	update(0);
	assert_true(enabled(101) && enabled(102));
	snap.ports[0].enabled = false;
	update(1);
	assert_string_equal(why_not(101), "disabled by the team's protocol");
	assert_true(enabled(102));
	snap.ports[0].enabled = true;
	snap.ports[0].user_linkup = false;
	update(1);
	assert_string_equal(why_not(101), "link watch of teamd says down");
	snap.ports[0].user_linkup = true;
	snap.ports[0].link = false;
	update(1);
	assert_false(enabled(101));
	snap.ports[0].link = true;
	update(1);
	assert_true(enabled(101));
}

/* user_linkup is false for ever where no teamd runs; where one runs, or ran, it means something. */
static void the_link_watch_counts_once_there_is_one(void **state)
{
	make(1, "");
	snap.ports[0].user_linkup = false;
	update(0);
	assert_true(enabled(101));
	snap.ports[0].user_linkup = true;
	update(1);
	snap.ports[0].user_linkup = false;
	update(1);
	assert_false(enabled(101));
}

/* teamd's first word may be lost: then it is what teamd answers when it is asked. */
static void the_first_word_of_the_link_watch_may_be_lost(void **state)
{
	make(1, "roundrobin");
	snap.ports[0].user_linkup = false;
	update(0);
	tw_team_port(&s, 101)->teamd_down = true;
	assert_string_equal(why_not(101), "link watch of teamd says down");
	tw_team_port(&s, 101)->teamd_down = false;
	assert_true(enabled(101));
	tw_team_port(&s, 101)->teamd_down = true; /* an old answer, and newer news */
	snap.ports[0].user_linkup = true;
	update(1);
	assert_true(enabled(101));
	/* a device that was made anew has said nothing yet, nor has one of which the port was taken out */
	snap.if_index = 8;
	snap.ports[0].user_linkup = false;
	update(1);
	now += 10000 * MS; /* past the grace period */
	tw_team_expire(&s, now);
	assert_true(enabled(101));
	snap.ports[0].user_linkup = true;
	update(1);
	snap.n = 0;
	update(1);
	snap.n = 1;
	snap.ports[0].user_linkup = false;
	update(5000);
	assert_true(enabled(101));
}

static void standby_ports_by_choice(void **state)
{
	make(2, "activebackup");
	snap.ports[1].enabled = false;
	update(0);
	assert_true(enabled(101));
	assert_string_equal(why_not(102), "standby port");
	s.spread_all = true;
	assert_true(enabled(102));
	snap.ports[1].user_linkup = false;
	update(1);
	assert_false(enabled(102));
	/* with LACP it is not ours to choose */
	strcpy(s.runner, "lacp");
	snap.ports[1].user_linkup = true;
	update(1);
	assert_false(enabled(102));
}

static void the_mode_follows_from_the_runner(void **state)
{
	const char *source;

	assert_int_equal(tw_team_mode("lacp"), TEAM_COOPERATE);
	assert_int_equal(tw_team_mode("activebackup"), TEAM_INDEPENDENT);
	assert_int_equal(tw_team_mode("loadbalance"), TEAM_AUTO);
	assert_int_equal(tw_team_mode("roundrobin"), TEAM_AUTO);
	assert_int_equal(tw_team_mode("random"), TEAM_AUTO);
	assert_int_equal(tw_team_mode(""), TEAM_AUTO);
	assert_true(tw_team_refused("broadcast") && !tw_team_refused("lacp"));

	/* teamd's word before the kernel's, the configuration's before both */
	make(1, "lacp");
	update(0);
	assert_string_equal(tw_team_runner(&s, &source), "lacp");
	assert_string_equal(source, "teamd");
	*s.runner = '\0'; /* the kernel's mode loadbalance is that of two runners */
	assert_string_equal(tw_team_runner(&s, &source), "");
	strcpy(snap.mode, "activebackup");
	update(0);
	assert_string_equal(tw_team_runner(&s, &source), "activebackup");
	assert_string_equal(source, "kernel");
	strcpy(s.configured_runner, "roundrobin");
	assert_string_equal(tw_team_runner(&s, &source), "roundrobin");
	assert_string_equal(source, "config");
}

static void broadcast_is_refused(void **state)
{
	make(2, "broadcast");
	update(0);
	assert_false(enabled(101) || enabled(102));
}

/* teamd -r: ports leave, the device goes, comes with another index, LACP takes a second. */
static void a_device_that_is_made_anew_costs_nothing(void **state)
{
	struct tw_snapshot full;

	make(2, "lacp");
	update(0);
	full = snap;
	snap.n = 0;
	memset(snap.ports, 0, sizeof(snap.ports));
	update(1);
	assert_string_equal(why_not(101), "no port of the team any more"); /* it might be for good */
	gone(1);
	assert_true(enabled(101) && enabled(102));
	snap = full;
	snap.if_index = 8;
	snap.ports[0].enabled = snap.ports[1].enabled = false;
	update(12);
	assert_true(enabled(101) && enabled(102));
	now += 800 * MS;
	snap.ports[0].enabled = true;
	update(0);
	assert_true(enabled(101) && enabled(102)); /* the second is not up yet */
	snap.ports[1].enabled = true;
	update(300);
	assert_true(enabled(101) && enabled(102));
	/* from now on its word counts again, before the three seconds are over */
	snap.ports[1].enabled = false;
	update(100);
	assert_false(enabled(102));
	assert_int_equal(tw_team_deadline(&s), UINT64_MAX);
}

static void after_the_grace_period_nobody_is_enabled(void **state)
{
	make(2, "lacp");
	update(0);
	snap.ports[1].enabled = false;
	update(1);
	update(5000);
	gone(1);
	assert_true(enabled(101));
	assert_false(enabled(102)); /* was not, for seconds before */
	assert_int_equal(tw_team_deadline(&s), now + 3000 * MS);
	now += 2999 * MS;
	tw_team_expire(&s, now);
	assert_true(enabled(101));
	now += 1 * MS;
	tw_team_expire(&s, now);
	assert_string_equal(why_not(101), "the team device is gone");
	assert_int_equal(s.n_ports, 2); /* members stay known */
	assert_int_equal(tw_team_deadline(&s), UINT64_MAX);
	gone(60000); /* told again: no new grace */
	assert_false(enabled(101));
}

/* The other one may be there before it was noticed that the first has gone. */
static void a_device_in_the_place_of_another(void **state)
{
	make(1, "lacp");
	update(0);
	snap.if_index = 8;
	snap.ports[0].enabled = false;
	update(10);
	assert_true(enabled(101));
	now = tw_team_deadline(&s);
	assert_true(now != UINT64_MAX);
	tw_team_expire(&s, now);
	assert_false(enabled(101));
}

/* It comes back without LACP partners: the old word is worth three seconds, no more. */
static void the_grace_period_ends_with_a_device_too(void **state)
{
	struct tw_snapshot full;

	make(1, "lacp");
	update(0);
	full = snap;
	gone(1);
	snap = full;
	snap.if_index = 8;
	snap.ports[0].enabled = false;
	update(20);
	assert_true(enabled(101));
	now = tw_team_deadline(&s);
	tw_team_expire(&s, now);
	assert_string_equal(why_not(101), "disabled by the team's protocol");
}

/* Ports that come later to a device that was away for long keep their members. */
static void ports_have_time_to_come_back(void **state)
{
	struct tw_snapshot full;

	make(2, "activebackup");
	update(0);
	full = snap;
	snap.n = 0; /* teamd -k takes them out first */
	memset(snap.ports, 0, sizeof(snap.ports));
	update(1);
	gone(1);
	now += 60000 * MS;
	tw_team_expire(&s, now);
	snap.if_index = 9;
	update(0);
	assert_int_equal(s.n_ports, 2);
	assert_false(enabled(101));
	full.if_index = 9;
	full.n = 1;
	snap = full;
	memset(&snap.ports[1], 0, sizeof(snap.ports[1]));
	update(500);
	assert_true(enabled(101));
	now = tw_team_deadline(&s);
	tw_team_expire(&s, now);
	assert_int_equal(s.n_ports, 1);
	assert_int_equal(s.ports[0].if_index, 101);
}

static void a_port_that_left_stays_for_a_while(void **state)
{
	make(2, "lacp");
	update(0);
	snap.n = 1;
	memset(&snap.ports[1], 0, sizeof(snap.ports[1]));
	update(10);
	assert_int_equal(s.n_ports, 2);
	assert_false(enabled(102));
	assert_true(enabled(101));
	now = tw_team_deadline(&s) - 1;
	tw_team_expire(&s, now);
	assert_int_equal(s.n_ports, 2);
	now++;
	tw_team_expire(&s, now);
	assert_int_equal(s.n_ports, 1);
	/* the order of those that stay does not change */
	assert_int_equal(s.ports[0].if_index, 101);
}

static void more_ports_than_members(void **state)
{
	make(TEAM_MEMBERS, "activebackup");
	update(0);
	/* one leaves, another comes: the one that left makes room before its time */
	snap.ports[3].if_index = 999;
	update(1);
	assert_int_equal(s.n_ports, TEAM_MEMBERS);
	assert_non_null(tw_team_port(&s, 999));
	assert_null(tw_team_port(&s, 104));
	assert_true(enabled(999) && enabled(101));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_port_carries_data_when_all_agree),
		cmocka_unit_test(the_link_watch_counts_once_there_is_one),
		cmocka_unit_test(the_first_word_of_the_link_watch_may_be_lost),
		cmocka_unit_test(standby_ports_by_choice),
		cmocka_unit_test(the_mode_follows_from_the_runner),
		cmocka_unit_test(broadcast_is_refused),
		cmocka_unit_test(a_device_that_is_made_anew_costs_nothing),
		cmocka_unit_test(after_the_grace_period_nobody_is_enabled),
		cmocka_unit_test(a_device_in_the_place_of_another),
		cmocka_unit_test(the_grace_period_ends_with_a_device_too),
		cmocka_unit_test(ports_have_time_to_come_back),
		cmocka_unit_test(a_port_that_left_stays_for_a_while),
		cmocka_unit_test(more_ports_than_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
