/* SPDX-License-Identifier: BSD-3-Clause */
/* What is refused, what a changed configuration keeps, and the state file. */
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "teaming/team.h"
#include "world.h"

static struct world w;

static int setup(void **state)
{
	world_init(&w, 3);
	return 0;
}

static int teardown(void **state)
{
	world_free(&w);
	return 0;
}

static void refused(int code, const char *words)
{
	struct errbuf err = { "" };

	assert_int_equal(tw_check(&w.config, &err), -code);
	if (!strstr(err.text, words))
		fail_msg("\"%s\" does not say \"%s\"", err.text, words);
}

static void bad_configurations_are_refused_by_name(void **state)
{
	struct errbuf err;

	assert_int_equal(tw_check(&w.config, &err), 0);
	strcpy(w.members[1].name, "m0");
	refused(EEXIST, "m0");
	strcpy(w.members[1].name, "a name");
	refused(EINVAL, "a name");
	strcpy(w.members[1].name, "m1");
	strcpy(w.pas[0].member, "m9");
	refused(ENOENT, "m9");
	*w.pas[0].member = '\0';
	w.pas[1].address = w.pas[0].address;
	refused(EEXIST, "10.0.0.1");
	w.pas[1].address = ip("10.0.0.2");
	w.pas[1].mac = w.pas[2].mac = mac_of(4);
	refused(EEXIST, "02:ee:00:00:00:04");
	w.pas[1].vlan = 7; /* another network: the same MAC is fine */
	assert_int_equal(tw_check(&w.config, &err), 0);
	w.pas[1].prefix_len = 33;
	refused(ERANGE, "33");
	w.pas[1].prefix_len = 24;
	w.config.n_routes = 1;
	w.routes[0] = (struct provider_route_spec){ { ip("192.0.2.0"), 24 }, ip("172.16.0.1"), 0 };
	refused(ENETUNREACH, "172.16.0.1");
	w.routes[0].next_hop = ip("10.0.0.3");
	refused(EINVAL, "own");
	w.config.n_routes = 0;
	w.config.device = "team0";
	w.members[1].type = MEMBER_DPDK;
	strcpy(w.members[1].devargs, "net_null0");
	strcpy(w.members[1].relay, "team0");
	refused(EEXIST, "name of the team device");
	w.members[1].relay[0] = '\0';
	w.config.device = NULL;
	w.config.mode = 9;
	refused(EINVAL, "cooperate");
	w.config.mode = 0;
	w.config.hold_down_ms = 3600001;
	refused(ERANGE, "3600001");
	w.config.hold_down_ms = 0;
	w.config.host_id = "";
	refused(EINVAL, "id");
	w.config.host_id = "h1";
	w.config.n_members = TEAM_MEMBERS + 1;
	refused(E2BIG, "33");
}

static void auto_is_independent(void **state)
{
	world_configure(&w, NULL, 0);
	assert_int_equal(w.view->mode, TEAM_INDEPENDENT);
}

static void what_stays_keeps_its_slot_and_state(void **state)
{
	world_ready(&w);
	/* without the first member and address */
	w.config.members++;
	w.config.pas++;
	w.config.n_members = w.config.n_pas = 2;
	world_open(&w, 0, false);
	world_configure(&w, NULL, 0);
	assert_int_equal(w.view->n_members, 3);
	assert_false(w.view->members[0].present);
	assert_true(w.view->members[1].usable && w.view->members[2].usable);
	assert_int_equal(w.core.pas[1].state, PA_PREFERRED);
	assert_int_equal(w.view->pas[1].now, 1);
	assert_int_equal(w.core.pas[0].used, 0);
	for (unsigned int b = 0; b < TEAM_BUCKETS; b++)
		assert_int_not_equal(w.view->bucket[b], 0);
	/* a new one takes the free slot, and the address has to be checked again */
	w.config.members--;
	w.config.pas--;
	w.config.n_members = w.config.n_pas = 3;
	world_configure(&w, NULL, 0);
	assert_int_equal(tw_member_find(&w.core, "m0"), 0);
	assert_int_equal(w.core.pas[0].state, PA_TENTATIVE);
	assert_int_equal(w.core.pas[1].state, PA_PREFERRED);
}

static void a_removed_member_keeps_its_slot_until_it_is_closed(void **state)
{
	world_ready(&w);
	w.config.n_members = 2;
	world_configure(&w, NULL, 0);
	assert_int_equal(world_events(&w, TEAMING_NETDEV), 1);
	assert_int_equal(tw_member_wants(&w.core, 2), -1);
	assert_false(w.view->members[2].usable);
	assert_non_null(w.view->members[2].dev);
	assert_int_equal(w.view->pas[2].home, 0); /* fewest of the rest */
	world_open(&w, 2, false);
	tw_member_free_slot(&w.core, 2);
	tw_settle(&w.core);
	assert_int_equal(w.view->n_members, 2);
}

static void a_changed_member_is_opened_again(void **state)
{
	world_ready(&w);
	w.members[1].queues = 4;
	world_configure(&w, NULL, 0);
	assert_int_equal(tw_member_wants(&w.core, 1), -1);
	assert_int_equal(world_events(&w, TEAMING_NETDEV), 1);
	assert_int_equal(w.events[0].member, 1);
	world_open(&w, 1, false);
	assert_int_equal(tw_member_wants(&w.core, 1), 1);
	world_open(&w, 1, true);
	assert_int_equal(tw_member_wants(&w.core, 1), 0);
}

static void a_netdev_that_goes_and_comes_is_told(void **state)
{
	struct provider_port gone = { 0 }, other = { .if_index = 555, .admin_up = true, .link = true, .enabled = true };

	world_ready(&w);
	tw_member_port(&w.core, 0, &gone);
	tw_settle(&w.core);
	assert_int_equal(world_events(&w, TEAMING_NETDEV), 1);
	assert_int_equal(tw_member_wants(&w.core, 0), -1);
	assert_false(w.view->members[0].usable);
	/* the same name comes back as another device before we have closed the old one */
	tw_member_port(&w.core, 0, &other);
	tw_settle(&w.core);
	assert_false(w.view->members[0].usable);
	assert_int_equal(tw_member_wants(&w.core, 0), -1);
	world_open(&w, 0, false);
	assert_int_equal(tw_member_wants(&w.core, 0), 1);
	assert_int_equal(world_events(&w, TEAMING_NETDEV), 2);
}

static void speed_of_the_configuration_wins(void **state)
{
	unsigned int n[3] = { 0 };

	w.members[0].speed = 20000; /* the others say 10000 */
	world_ready(&w);
	for (unsigned int b = 0; b < TEAM_BUCKETS; b++)
		n[w.view->bucket[b]]++;
	assert_int_equal(n[0], 128);
	assert_int_equal(n[1], 64);
}

static void nothing_new_publishes_nothing(void **state)
{
	uint64_t gen;

	world_ready(&w);
	gen = w.view->gen;
	world_configure(&w, NULL, 0);
	world_link(&w, 0, true);
	world_run(&w, 100 * S_NS);
	assert_int_equal(w.view->gen, gen);
}

static void an_address_with_another_mac_starts_anew(void **state)
{
	world_ready(&w);
	w.pas[0].mac = mac_of(9);
	world_configure(&w, NULL, 0);
	assert_int_equal(w.core.pas[w.core.pa_order[0]].state, PA_TENTATIVE);
	world_run(&w, 3 * S_NS);
	assert_int_equal(w.core.pas[w.core.pa_order[0]].state, PA_PREFERRED);
	assert_true(mac_equal(pa_mac(&w, 0), &w.pas[0].mac));
}

static void the_state_file(void **state)
{
	char dir[] = "/tmp/team-state-XXXXXX", path[64];
	struct tw_state_pa pas[2] = { {ip("10.0.0.1"), 0, mac_of(1) }, { ip("2001:db8::1"), 42, mac_of(2) } };
	struct tw_state_pa back[LOCAL_PAS];
	FILE *f;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(tw_state_read(dir, back, LOCAL_PAS), 0);
	assert_int_equal(tw_state_write(dir, pas, 2), 0);
	memset(back, 0, sizeof(back));
	assert_int_equal(tw_state_read(dir, back, LOCAL_PAS), 2);
	assert_true(ip_equal(&back[1].address, &pas[1].address) && back[1].vlan == 42);
	assert_int_equal(tw_state_read(dir, back, 1), 1);
	/* garbage costs the lines it is in */
	snprintf(path, sizeof(path), "%s/provider-addresses", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("10.0.0.1 0 02:ee:00:00:00:01\nrubbish\n10.0.0.2 5000 02:ee:00:00:00:01\n10.0.0.3 0\n"
	      "10.0.0.4 0 02:ee:00:00:00:01 more\n::1 7 02:ee:00:00:00:02\n10.0.0.5 0 02:ee:0", f);
	fclose(f);
	assert_int_equal(tw_state_read(dir, back, LOCAL_PAS), 2);
	assert_int_equal(tw_state_write("/nonexistent/dir", pas, 2), -ENOENT);
	assert_int_equal(tw_state_read(NULL, back, 1), 0);
	unlink(path);
	rmdir(dir);
}

/* ---- a team device ---- */

static void a_team_device_is_checked(void **state)
{
	struct errbuf err;

	strcpy(w.pas[0].member, "m9"); /* may become a port */
	refused(ENOENT, "m9");
	w.config.device = "team0";
	assert_int_equal(tw_check(&w.config, &err), 0);
	w.config.runner = "lacp";
	assert_int_equal(tw_check(&w.config, &err), 0);
	w.config.runner = "lapc";
	refused(EINVAL, "lapc");
	w.config.runner = "";
	w.config.device = "a-name-that-no-netdev-has";
	refused(EINVAL, "a-name-that-no-netdev-has");
	w.config.device = "../team0";
	refused(EINVAL, "../team0");
}

static void ports_become_members(void **state)
{
	char ports[4][IFNAMSIZ] = { "x0", "m1", "x1", "m0" };
	struct member_spec specs[TEAM_MEMBERS];

	w.config.device = "team0";
	w.config.member_type = MEMBER_AF_XDP;
	w.members[1].queues = 3;
	w.members[1].speed = 25000;
	assert_int_equal(tw_config_merge(&w.config, ports, 4, specs), 4);
	assert_string_equal(specs[0].name, "x0");
	assert_int_equal(specs[0].type, MEMBER_AF_XDP);
	assert_int_equal(specs[0].queues, 0);
	assert_string_equal(specs[1].name, "m1");
	assert_int_equal(specs[1].type, MEMBER_AF_PACKET);
	assert_int_equal(specs[1].queues, 3);
	assert_int_equal(specs[1].speed, 25000);
	assert_string_equal(specs[3].name, "m0");
	assert_int_equal(tw_config_merge(&w.config, ports, 0, specs), 0);
}

static void a_copy_stands_alone(void **state)
{
	struct tw_config_copy *c;
	char device[] = "team0", host[] = "h7";

	w.config.device = device;
	w.config.host_id = host;
	w.config.n_routes = 1;
	w.routes[0] = (struct provider_route_spec){ { ip("192.0.2.0"), 24 }, ip("10.0.0.9"), 5 };
	c = tw_config_copy(&w.config);
	assert_non_null(c);
	memset(device, 'x', 5);
	memset(host, 'x', 2);
	memset(w.members, 0, sizeof(w.members));
	memset(w.pas, 0, sizeof(w.pas));
	memset(w.routes, 0, sizeof(w.routes));
	assert_string_equal(c->config.device, "team0");
	assert_string_equal(c->config.host_id, "h7");
	assert_string_equal(c->config.members[2].name, "m2");
	assert_int_equal(c->config.pas[2].address.b[3], 3);
	assert_int_equal(c->config.routes[0].metric, 5);
	assert_int_equal(c->config.n_pas, 3);
	free(c);
}

/* No port yet, then ports, then another runner: addresses get homes in order, and the mode changes in place. */
static void a_team_comes_and_changes_its_mind(void **state)
{
	uint16_t n = w.config.n_members;

	w.config.device = "team0";
	w.config.n_members = 0;
	w.config.mode = TEAM_INDEPENDENT;
	world_configure(&w, NULL, 0);
	assert_int_equal(w.view->n_members, 0);
	assert_int_equal(w.view->bucket[0], TEAM_NO_MEMBER);
	assert_int_equal(w.view->pas[0].home, TEAM_NO_MEMBER);
	w.config.n_members = n;
	world_configure(&w, NULL, 0);
	world_up(&w);
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(w.view->pas[i].home, i);
	assert_int_equal(w.view->n_usable, n);
	w.config.mode = TEAM_COOPERATE;
	world_configure(&w, NULL, 0);
	assert_int_equal(w.view->mode, TEAM_COOPERATE);
	assert_int_equal(w.view->n_usable, n);
}

static void the_reason_is_the_providers(void **state)
{
	struct provider_port port = { .if_index = 100, .admin_up = true, .link = true, .why = "standby port" };

	world_configure(&w, NULL, 0);
	world_up(&w);
	strcpy(port.name, "m0");
	tw_member_port(&w.core, 0, &port);
	tw_settle(&w.core);
	assert_false(tw_member_usable(&w.core, 0));
	assert_string_equal(w.core.members[0].why, "standby port");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bad_configurations_are_refused_by_name),
		TEST(auto_is_independent),
		TEST(what_stays_keeps_its_slot_and_state),
		TEST(a_removed_member_keeps_its_slot_until_it_is_closed),
		TEST(a_changed_member_is_opened_again),
		TEST(a_netdev_that_goes_and_comes_is_told),
		TEST(speed_of_the_configuration_wins),
		TEST(nothing_new_publishes_nothing),
		TEST(an_address_with_another_mac_starts_anew),
		TEST(the_state_file),
		TEST(a_team_device_is_checked),
		TEST(ports_become_members),
		TEST(a_copy_stands_alone),
		TEST(a_team_comes_and_changes_its_mind),
		TEST(the_reason_is_the_providers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
