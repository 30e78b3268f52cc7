/* SPDX-License-Identifier: BSD-3-Clause */
/* Our provider addresses: detection of duplicates, announcement, defence, moves. HNV rows 22, 23, 62. */
#include "world.h"

#define ANY "0.0.0.0"

static struct world w;

static int setup2(void **state)
{
	world_init(&w, 2);
	return 0;
}

static int setup3(void **state)
{
	world_init(&w, 3);
	return 0;
}

static int setup4(void **state)
{
	world_init(&w, 4);
	return 0;
}

static int teardown(void **state)
{
	world_free(&w);
	return 0;
}

static uint8_t state_of(unsigned int i)
{
	return w.core.pas[w.core.pa_order[i]].state;
}

static const struct team_pa_view *view_of(unsigned int i)
{
	return &w.view->pas[w.core.pa_order[i]];
}

static unsigned int moves(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < w.n_events; i++)
		n += w.events[i].type == TEAMING_PA && strstr(w.events[i].text, " moved from ");
	return n;
}

static void a_new_address_is_probed_and_then_announced(void **state)
{
	world_configure(&w, NULL, 0);
	world_up(&w);
	assert_int_equal(state_of(0), PA_TENTATIVE);
	assert_int_equal(w.view->local[0].address.family, 0);
	world_run(&w, 450 * MS_NS);
	assert_int_equal(state_of(0), PA_TENTATIVE);
	assert_int_equal(world_sent_arp(&w, 0, ARP_REQUEST, "10.0.0.1", "10.0.0.1"), 0);
	world_run(&w, 3 * S_NS);
	assert_int_equal(state_of(0), PA_PREFERRED);
	assert_int_equal(w.view->local[0].address.family, 4);
	/* each on its own member */
	assert_int_equal(world_sent_arp(&w, 0, ARP_REQUEST, ANY, "10.0.0.1"), 3);
	assert_int_equal(world_sent_arp(&w, 1, ARP_REQUEST, ANY, "10.0.0.2"), 3);
	assert_int_equal(world_sent_arp(&w, 0, ARP_REQUEST, "10.0.0.1", "10.0.0.1"), 4);
	assert_int_equal(world_sent_arp(&w, 1, ARP_REQUEST, "10.0.0.1", "10.0.0.1"), 0);
	for (unsigned int i = 0; i < w.n_sent; i++)
		assert_true(mac_equal(w.sent[i].data + 6, pa_mac(&w, w.sent[i].member)));
}

static void announcements_come_at_0_100_500_2000_ms(void **state)
{
	static const uint64_t at[] = { 0, 100, 500, 2000 };
	uint64_t first = 0;
	unsigned int n = 0;

	world_configure(&w, NULL, 0);
	world_up(&w);
	world_run(&w, 5 * S_NS);
	for (unsigned int i = 0; i < w.n_sent; i++) {
		const struct arp_hdr *arp = (const void *)(w.sent[i].data + ETH_HLEN_);

		if (w.sent[i].member != 0 || memcmp(arp->spa, arp->tpa, 4))
			continue;
		first = n ? first : w.sent[i].at;
		assert_true(n < 4);
		assert_int_equal(w.sent[i].at - first, at[n++] * MS_NS);
	}
	assert_int_equal(n, 4);
}

static void no_answer_while_tentative(void **state)
{
	struct mac somebody = mac_of(1);

	world_configure(&w, NULL, 0);
	world_up(&w);
	world_run(&w, 300 * MS_NS);
	world_arp(&w, 0, 0, ARP_REQUEST, &somebody, "10.0.0.9", NULL, "10.0.0.1");
	assert_int_equal(world_sent_arp(&w, TEAM_NO_MEMBER, ARP_REPLY, "10.0.0.1", "10.0.0.9"), 0);
}

/* Row 23: second box answers our probe. */
static void an_answer_to_a_probe_makes_it_duplicate(void **state)
{
	struct mac other = mac_of(7);
	unsigned int events;

	world_configure(&w, NULL, 0);
	world_up(&w);
	world_run(&w, 300 * MS_NS);
	world_forget(&w);
	world_arp(&w, 0, 0, ARP_REPLY, &other, "10.0.0.1", pa_mac(&w, 0), ANY);
	assert_int_equal(state_of(0), PA_DUPLICATE);
	events = world_events(&w, TEAMING_PA);
	assert_int_equal(events, 1);
	assert_non_null(strstr(w.events[0].text, "02:ee:00:00:00:07"));
	world_run(&w, 50 * S_NS);
	assert_int_equal(state_of(0), PA_DUPLICATE);
	assert_int_equal(state_of(1), PA_PREFERRED);
	assert_int_equal(w.view->local[0].address.family, 0);
	assert_int_equal(w.view->members[0].pa4, TEAM_NO_MEMBER);
	assert_int_equal(world_sent_arp(&w, TEAM_NO_MEMBER, ARP_REQUEST, "10.0.0.1", "10.0.0.1"), 0);
	/* all traffic leaves by the member whose address is good */
	for (unsigned int b = 0; b < TEAM_BUCKETS; b++)
		assert_int_equal(w.view->bucket[b], 1);
	world_forget(&w);
	world_arp(&w, 0, 0, ARP_REQUEST, &other, "10.0.0.9", NULL, "10.0.0.1");
	assert_int_equal(w.n_sent, 0);
}

static void a_duplicate_is_tried_again(void **state)
{
	struct mac other = mac_of(7);

	world_configure(&w, NULL, 0);
	world_up(&w);
	world_run(&w, 300 * MS_NS);
	world_arp(&w, 0, 0, ARP_REPLY, &other, "10.0.0.1", pa_mac(&w, 0), ANY);
	world_run(&w, 60 * S_NS);
	world_arp(&w, 0, 0, ARP_REPLY, &other, "10.0.0.1", pa_mac(&w, 0), ANY); /* still there */
	world_run(&w, 10 * S_NS);
	assert_int_equal(state_of(0), PA_DUPLICATE);
	world_run(&w, 60 * S_NS); /* gone */
	assert_int_equal(state_of(0), PA_PREFERRED);
}

static void two_that_probe_at_once_both_give_way(void **state)
{
	struct mac other = mac_of(7);

	world_configure(&w, NULL, 0);
	world_up(&w);
	world_run(&w, 300 * MS_NS);
	world_arp(&w, 0, 0, ARP_REQUEST, &other, ANY, NULL, "10.0.0.1");
	assert_int_equal(state_of(0), PA_DUPLICATE);
}

/* A switch floods what one member sends to the other members. */
static void flood_own_frames(void)
{
	unsigned int n;

	world_configure(&w, NULL, 0);
	world_up(&w);
	for (unsigned int i = 0; i < 20; i++) {
		n = w.n_sent;
		world_run(&w, 100 * MS_NS);
		for (; n < w.n_sent; n++)
			world_input(&w, 1 - w.sent[n].member, w.sent[n].data, w.sent[n].len);
	}
	assert_int_equal(state_of(0), PA_PREFERRED);
	assert_int_equal(state_of(1), PA_PREFERRED);
}

static void own_frames_are_no_conflict(void **state)
{
	flood_own_frames();
	for (unsigned int i = 0; i < w.n_sent; i++)
		assert_int_not_equal(load_be16(w.sent[i].data + 20), ARP_REPLY);
}

static void own_frames_are_no_conflict_v6(void **state)
{
	w.pas[0].address = ip("2001:db8::1");
	w.pas[1].address = ip("2001:db8::2");
	w.pas[0].prefix_len = w.pas[1].prefix_len = 64;
	flood_own_frames();
	assert_int_equal(world_events(&w, TEAMING_PA), 2); /* each became preferred */
}

static void addresses_of_before_a_restart_are_used_at_once(void **state)
{
	struct tw_state_pa old[2];
	struct mac other = mac_of(7);

	world_ready(&w);
	assert_int_equal(tw_state_collect(&w.core, old), 2);
	world_free(&w);

	world_init(&w, 2);
	world_configure(&w, old, 1); /* the second one is new */
	world_up(&w);
	assert_int_equal(state_of(0), PA_PREFERRED);
	assert_int_equal(state_of(1), PA_TENTATIVE);
	assert_int_equal(w.view->local[0].address.family, 4);
	world_run(&w, 50 * MS_NS);
	assert_true(world_sent_arp(&w, 0, ARP_REQUEST, "10.0.0.1", "10.0.0.1") >= 1);
	world_run(&w, 3 * S_NS);
	/* and checked meanwhile */
	assert_int_equal(world_sent_arp(&w, 0, ARP_REQUEST, ANY, "10.0.0.1"), 3);
	world_free(&w);

	world_init(&w, 2);
	world_configure(&w, old, 2);
	world_up(&w);
	world_run(&w, 150 * MS_NS);
	world_arp(&w, 0, 0, ARP_REPLY, &other, "10.0.0.1", pa_mac(&w, 0), ANY);
	assert_int_equal(state_of(0), PA_PREFERRED); /* defended */
	world_arp(&w, 0, 0, ARP_REPLY, &other, "10.0.0.1", pa_mac(&w, 0), ANY);
	assert_int_equal(state_of(0), PA_DUPLICATE);
}

static void another_mac_or_vlan_is_not_the_address_of_before(void **state)
{
	struct tw_state_pa old[2];

	world_ready(&w);
	tw_state_collect(&w.core, old);
	world_free(&w);
	world_init(&w, 2);
	w.pas[0].vlan = 5;
	w.pas[1].mac = mac_of(9);
	world_configure(&w, old, 2);
	assert_int_equal(state_of(0), PA_TENTATIVE);
	assert_int_equal(state_of(1), PA_TENTATIVE);
}

/* RFC 5227 2.4 (b) */
static void a_used_address_is_defended_once_in_ten_seconds(void **state)
{
	struct mac other = mac_of(7);

	world_ready(&w);
	world_arp(&w, 0, 0, ARP_REQUEST, &other, "10.0.0.1", NULL, "10.0.0.9");
	assert_int_equal(state_of(0), PA_PREFERRED);
	assert_int_equal(world_sent_arp(&w, 0, ARP_REQUEST, "10.0.0.1", "10.0.0.1"), 1);
	assert_int_equal(world_events(&w, TEAMING_PA), 1);
	world_run(&w, 11 * S_NS);
	world_arp(&w, 0, 0, ARP_REQUEST, &other, "10.0.0.1", NULL, "10.0.0.9");
	assert_int_equal(state_of(0), PA_PREFERRED);
	world_run(&w, 9 * S_NS);
	world_arp(&w, 0, 0, ARP_REQUEST, &other, "10.0.0.1", NULL, "10.0.0.9");
	assert_int_equal(state_of(0), PA_DUPLICATE);
}

/* Row 62 */
static void a_dead_member_loses_its_buckets_and_address_only(void **state)
{
	uint8_t before[TEAM_BUCKETS];
	struct mac mac0;

	world_ready(&w);
	memcpy(before, w.view->bucket, sizeof(before));
	mac0 = *pa_mac(&w, 0);
	world_link(&w, 0, false);
	assert_int_equal(w.n_published > 0, 1);
	assert_int_equal(view_of(0)->home, 0);
	assert_true(view_of(0)->now != 0 && view_of(0)->prev == 0);
	assert_int_equal(view_of(0)->prev_until, w.now + 500 * MS_NS);
	assert_int_equal(view_of(1)->now, 1);
	assert_int_equal(view_of(2)->now, 2);
	for (unsigned int b = 0; b < TEAM_BUCKETS; b++) {
		if (before[b] != 0)
			assert_int_equal(w.view->bucket[b], before[b]);
		else
			assert_int_not_equal(w.view->bucket[b], 0);
	}
	assert_int_equal(w.n_sent, 0); /* the view is published first */
	world_run(&w, 0);
	assert_int_equal(w.n_sent, 1);
	assert_int_equal(w.sent[0].member, view_of(0)->now);
	assert_true(mac_equal(w.sent[0].data + 6, &mac0));
	assert_int_equal(world_sent_arp(&w, view_of(0)->now, ARP_REQUEST, "10.0.0.1", "10.0.0.1"), 1);
	world_run(&w, 3 * S_NS);
	assert_int_equal(w.n_sent, 4);
	/* no duplicate address detection for a move */
	assert_int_equal(world_sent_arp(&w, TEAM_NO_MEMBER, ARP_REQUEST, ANY, "10.0.0.1"), 0);
	assert_int_equal(state_of(0), PA_PREFERRED);
}

static void it_comes_back_after_hold_down(void **state)
{
	struct team_view before;

	world_ready(&w);
	before = *w.view;
	world_link(&w, 0, false);
	world_run(&w, 10 * S_NS);
	world_forget(&w);
	world_link(&w, 0, true);
	world_run(&w, 900 * MS_NS);
	assert_false(w.view->members[0].usable);
	world_link(&w, 0, false); /* flaps: starts again */
	world_link(&w, 0, true);
	world_run(&w, 900 * MS_NS);
	assert_false(w.view->members[0].usable);
	assert_int_equal(w.n_sent, 0);
	world_run(&w, 100 * MS_NS);
	assert_true(w.view->members[0].usable);
	assert_int_equal(view_of(0)->now, 0);
	assert_memory_equal(w.view->bucket, before.bucket, sizeof(before.bucket));
	assert_int_equal(world_sent_arp(&w, 0, ARP_REQUEST, "10.0.0.1", "10.0.0.1"), 1);
	assert_int_equal(w.n_sent, 1);
}

static void the_first_announcement_waits_for_the_workers(void **state)
{
	world_ready(&w);
	w.unsettled = true;
	world_link(&w, 0, false);
	world_run(&w, 2 * MS_NS);
	assert_int_equal(w.n_sent, 0);
	w.unsettled = false;
	world_run(&w, MS_NS);
	assert_int_equal(w.n_sent, 1);
	/* but not for ever */
	w.unsettled = true;
	world_link(&w, 2, false);
	world_run(&w, 25 * MS_NS);
	assert_int_equal(world_sent_arp(&w, 1, ARP_REQUEST, "10.0.0.3", "10.0.0.3"), 1);
}

static void without_hold_down_at_the_start_and_when_nothing_else_is_left(void **state)
{
	world_ready(&w);
	world_link(&w, 1, false);
	world_run(&w, S_NS);
	world_link(&w, 1, true); /* held down */
	world_run(&w, 100 * MS_NS);
	assert_false(w.view->members[1].usable);
	world_link(&w, 0, false); /* the last one dies: what is left is used at once */
	assert_true(w.view->members[1].usable);
	assert_int_equal(world_events(&w, TEAMING_NONE_USABLE), 0);
	world_link(&w, 1, false);
	assert_int_equal(world_events(&w, TEAMING_NONE_USABLE), 1);
	for (unsigned int b = 0; b < TEAM_BUCKETS; b++)
		assert_int_equal(w.view->bucket[b], TEAM_NO_MEMBER);
	assert_int_equal(view_of(0)->now, TEAM_NO_MEMBER);
	world_forget(&w);
	world_link(&w, 0, true);
	assert_true(w.view->members[0].usable);
	world_run(&w, 0);
	assert_int_equal(world_sent_arp(&w, 0, ARP_REQUEST, "10.0.0.1", "10.0.0.1"), 1);
	assert_int_equal(world_sent_arp(&w, 0, ARP_REQUEST, "10.0.0.2", "10.0.0.2"), 1);
}

static void every_address_is_heard_at_least_every_60_s(void **state)
{
	uint64_t last[2];

	world_ready(&w);
	last[0] = last[1] = w.now;
	world_run(&w, 600 * S_NS);
	for (unsigned int i = 0; i < w.n_sent; i++) {
		unsigned int pa = mac_equal(w.sent[i].data + 6, pa_mac(&w, 0)) ? 0 : 1;

		assert_int_equal(w.sent[i].member, pa);
		assert_true(w.sent[i].at - last[pa] <= 60 * S_NS);
		last[pa] = w.sent[i].at;
	}
	assert_true(w.now - last[0] <= 60 * S_NS && w.now - last[1] <= 60 * S_NS);
	assert_true(w.n_sent < 40);
}

static void homes_follow_the_configuration(void **state)
{
	strcpy(w.pas[0].member, "m2");
	world_ready(&w);
	assert_int_equal(view_of(0)->home, 2);
	assert_int_equal(view_of(1)->home, 0);
	assert_int_equal(view_of(2)->home, 1);
	assert_int_equal(w.view->members[2].pa4, w.core.pa_order[0]);
}

/* A member without an IPv6 address sends nothing in a dual-stack team, yet its IPv4 address receives by its speed. */
static void inbound_weights_of_one_family_follow_speeds(void **state)
{
	uint8_t weight[LOCAL_PAS];

	w.config.n_members = 2;
	w.config.n_pas = 3;
	w.pas[2].address = ip("2001:db8::1");
	w.pas[2].prefix_len = 64;
	world_ready(&w);
	tw_place_weights(&w.core, weight);
	assert_int_equal(weight[w.core.pa_order[0]], 1);
	assert_int_equal(weight[w.core.pa_order[1]], 1);
}

/* A removed address leaves no member empty-handed, and a pin that is taken away no trace. HNV row 62. */
static void homes_are_chosen_anew_when_addresses_change(void **state)
{
	static const uint8_t fresh[] = { 0, 1, 0, 1 };

	w.config.n_members = 2;
	world_ready(&w);
	strcpy(w.pas[1].member, "m0");
	world_configure(&w, NULL, 0);
	strcpy(w.pas[1].member, "");
	world_configure(&w, NULL, 0);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(view_of(i)->home, fresh[i]);
	w.pas[1] = w.pas[2];
	w.config.n_pas = 2;
	world_configure(&w, NULL, 0);
	assert_int_equal(view_of(0)->home, 0);
	assert_int_equal(view_of(1)->home, 1);
}

/* A NIC that leaves its team loses its link first: its address moves then, and not again with the configuration. */
static void an_address_moves_once_when_its_member_leaves(void **state)
{
	static const uint8_t all[] = { 0, 1, 2, 3 };

	world_ready(&w);
	for (unsigned int m = 4; m-- > 2;) {
		uint8_t refuge[4];

		world_forget(&w);
		world_link(&w, m, false);
		assert_int_equal(moves(), 1);
		for (unsigned int i = 0; i < 4; i++)
			refuge[i] = view_of(i)->now;
		w.config.n_members = (uint16_t)m;
		world_configure(&w, NULL, 0);
		world_open(&w, m, false);
		assert_int_equal(moves(), 1);
		for (unsigned int i = 0; i < 4; i++) {
			assert_int_equal(view_of(i)->now, refuge[i]);
			assert_int_equal(view_of(i)->home, refuge[i]);
		}
	}
	for (unsigned int m = 0, n; m < 2; m++) {
		n = 0;
		for (unsigned int i = 0; i < 4; i++)
			n += view_of(i)->home == m;
		assert_int_equal(n, 2);
	}
	/* All are back: so is the placement of a fresh start. */
	w.config.n_members = 4;
	world_configure(&w, NULL, 0);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(view_of(i)->home, all[i]);
}

/* What comes in should follow the speeds, and stay so while a link is down: other hosts' policy does not change. */
static void inbound_weights_follow_speeds_not_links(void **state)
{
	uint8_t weight[LOCAL_PAS];

	world_ready(&w);
	tw_place_weights(&w.core, weight);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(weight[i], 1);
	w.members[0].speed = 25000;
	w.members[1].speed = 10000;
	w.members[2].speed = 10000;
	w.config.n_members = 3; /* member 0 gets two of the four addresses */
	world_configure(&w, NULL, 0);
	world_open(&w, 3, false);
	tw_place_weights(&w.core, weight);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(weight[w.core.pa_order[i]], view_of(i)->home == 0 ? 5 : 4);
	world_link(&w, 0, false);
	tw_place_weights(&w.core, weight);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(weight[w.core.pa_order[i]], view_of(i)->home == 0 ? 5 : 4);
	w.members[0].speed = 1000000; /* more than 255 times */
	w.members[1].speed = 1000;
	world_configure(&w, NULL, 0);
	tw_place_weights(&w.core, weight);
	for (unsigned int i = 0; i < 4; i++)
		assert_true(weight[w.core.pa_order[i]] >= 1);
}

static void families_are_spread_each_for_itself(void **state)
{
	w.pas[0].address = ip("10.0.0.1");
	w.pas[1].address = ip("2001:db8::1");
	w.pas[2].address = ip("10.0.0.2");
	w.pas[3] = w.pas[1];
	w.pas[3].address = ip("2001:db8::2");
	w.pas[1].prefix_len = w.pas[3].prefix_len = 64;
	w.config.n_pas = 4;
	w.config.n_members = 2;
	world_ready(&w);
	assert_int_equal(view_of(0)->home, 0);
	assert_int_equal(view_of(1)->home, 0);
	assert_int_equal(view_of(2)->home, 1);
	assert_int_equal(view_of(3)->home, 1);
}

static void a_member_without_an_address_carries_nothing(void **state)
{
	w.config.n_pas = 2;
	world_ready(&w);
	assert_true(w.view->members[2].usable);
	assert_int_equal(w.view->members[2].pa4, TEAM_NO_MEMBER);
	for (unsigned int b = 0; b < TEAM_BUCKETS; b++)
		assert_int_not_equal(w.view->bucket[b], 2);
	/* but takes in the addresses of dead ones */
	world_link(&w, 0, false);
	world_link(&w, 1, false);
	assert_int_equal(view_of(0)->now, 2);
	assert_int_equal(view_of(1)->now, 2);
	for (unsigned int b = 0; b < TEAM_BUCKETS; b++)
		assert_int_equal(w.view->bucket[b], TEAM_NO_MEMBER);
}

static void a_cooperating_team_uses_any_address_anywhere(void **state)
{
	struct mac somebody = mac_of(1);

	w.config.mode = TEAM_COOPERATE;
	w.config.n_pas = 1;
	world_ready(&w);
	assert_int_equal(w.view->mode, TEAM_COOPERATE);
	assert_int_equal(w.view->members[2].pa4, w.view->members[0].pa4);
	assert_int_not_equal(w.view->members[2].pa4, TEAM_NO_MEMBER);
	world_arp(&w, 2, 0, ARP_REQUEST, &somebody, "10.0.0.9", NULL, "10.0.0.1");
	assert_int_equal(world_sent_arp(&w, 2, ARP_REPLY, "10.0.0.1", "10.0.0.9"), 1);
	world_forget(&w);
	world_link(&w, 0, false);
	world_run(&w, S_NS);
	assert_int_equal(w.n_sent, 0); /* the switch has one logical port for all of them */
	assert_int_equal(moves(), 0);
}

static void a_removed_address_falls_silent(void **state)
{
	struct mac somebody = mac_of(1);

	world_ready(&w);
	w.config.n_pas = 1; /* row 22 */
	world_configure(&w, NULL, 0);
	assert_int_equal(world_events(&w, TEAMING_PA), 1);
	assert_int_equal(w.events[0].pa_state, PA_INVALID);
	world_run(&w, 120 * S_NS);
	world_flood(&w, (uint8_t[60]){ 0 }, 60);
	world_arp(&w, 1, 0, ARP_REQUEST, &somebody, "10.0.0.9", NULL, "10.0.0.2");
	for (unsigned int i = 0; i < w.n_sent; i++)
		assert_int_equal(w.sent[i].data[ETH_HLEN_ + 17], 1); /* only 10.0.0.1 speaks */
	assert_int_equal(w.view->local[1].address.family, 0);
}

static void v6_is_checked_and_announced_too(void **state)
{
	struct mac other = mac_of(7);
	unsigned int ns = 0, na = 0;

	w.pas[0].address = ip("2001:db8::1");
	w.pas[0].prefix_len = 64;
	w.config.n_pas = 1;
	world_ready(&w);
	world_free(&w);
	world_init(&w, 2);
	w.pas[0].address = ip("2001:db8::1");
	w.pas[0].prefix_len = 64;
	w.config.n_pas = 1;
	world_configure(&w, NULL, 0);
	world_up(&w);
	world_run(&w, 5 * S_NS);
	for (unsigned int i = 0; i < w.n_sent; i++) {
		struct pkt_info info;
		const uint8_t *d = w.sent[i].data;

		assert_int_equal(pkt_parse(d, w.sent[i].len, w.sent[i].len, &info), DROP_NONE);
		assert_int_equal(info.kind, PKT_ND);
		ns += d[info.l4_off] == ND_NS;
		na += d[info.l4_off] == ND_NA;
		if (d[info.l4_off] == ND_NA)
			assert_memory_equal(d, "\x33\x33\0\0\0\x01", 6);
		else
			assert_memory_equal(d, "\x33\x33\xff\0\0\x01", 6);
	}
	assert_int_equal(ns, 3);
	assert_int_equal(na, 4);
	/* somebody else's DAD for our address: answered to all nodes, and no conflict of ours */
	world_forget(&w);
	world_ns(&w, 0, &other, "::", "2001:db8::1", false);
	assert_int_equal(w.n_sent, 1);
	assert_memory_equal(w.sent[0].data, "\x33\x33\0\0\0\x01", 6);
	assert_int_equal(state_of(0), PA_PREFERRED);
	/* somebody else advertises it: defended, then given up */
	world_na(&w, 0, &other, "2001:db8::1", &(struct mac){ { 0x33, 0x33, 0, 0, 0, 1 } }, "ff02::1", 0x20, &other);
	assert_int_equal(state_of(0), PA_PREFERRED);
	world_na(&w, 0, &other, "2001:db8::1", &(struct mac){ { 0x33, 0x33, 0, 0, 0, 1 } }, "ff02::1", 0x20, &other);
	assert_int_equal(state_of(0), PA_DUPLICATE);
}

static void v6_dad_of_another_while_tentative_is_a_conflict(void **state)
{
	struct mac other = mac_of(7);

	w.pas[0].address = ip("2001:db8::1");
	w.pas[0].prefix_len = 64;
	w.config.n_pas = 1;
	world_configure(&w, NULL, 0);
	world_up(&w);
	world_run(&w, 200 * MS_NS);
	world_ns(&w, 0, &other, "::", "2001:db8::1", false);
	assert_int_equal(state_of(0), PA_DUPLICATE);
}

static void detection_waits_for_a_link_and_survives_its_loss(void **state)
{
	world_configure(&w, NULL, 0);
	world_run(&w, 100 * S_NS);
	assert_int_equal(w.n_sent, 0);
	assert_int_equal(state_of(0), PA_TENTATIVE);
	world_link(&w, 0, true);
	world_open(&w, 0, true);
	world_run(&w, 200 * MS_NS);
	world_link(&w, 0, false);
	world_run(&w, 100 * S_NS);
	assert_int_equal(state_of(0), PA_TENTATIVE);
	world_link(&w, 0, true);
	world_run(&w, 2 * S_NS);
	assert_int_equal(state_of(0), PA_PREFERRED);
	assert_int_equal(state_of(1), PA_PREFERRED); /* on the only member there is */
	assert_int_equal(view_of(1)->now, 0);
}

/* Devices are opened one after the other: no address is heard on another member than its own meanwhile. */
static void an_address_waits_for_its_home_to_be_opened(void **state)
{
	world_configure(&w, NULL, 0);
	world_link(&w, 0, true);
	world_link(&w, 1, true);
	world_open(&w, 0, true);
	world_run(&w, 3 * S_NS);
	assert_int_equal(state_of(0), PA_PREFERRED);
	assert_int_equal(view_of(1)->now, TEAM_NO_MEMBER);
	world_open(&w, 1, true);
	world_run(&w, 5 * S_NS);
	for (unsigned int i = 0; i < w.n_sent; i++)
		assert_true(mac_equal(w.sent[i].data + 6, pa_mac(&w, w.sent[i].member)));
	assert_int_equal(view_of(1)->now, 1);
}

/* But not for ever, and not at all when its link is down. */
static void an_address_does_not_wait_in_vain(void **state)
{
	world_configure(&w, NULL, 0);
	world_link(&w, 0, true);
	world_link(&w, 1, true);
	world_link(&w, 2, false);
	world_open(&w, 0, true);
	assert_int_equal(view_of(1)->now, TEAM_NO_MEMBER);
	assert_int_equal(view_of(2)->now, 0);
	world_run(&w, 5 * S_NS);
	assert_int_equal(view_of(1)->now, 0);
}

static void macs_are_stable_and_of_their_own(void **state)
{
	struct pa_spec pa = { .address = ip("10.0.0.1"), .prefix_len = 24 };
	struct mac a, b;

	tw_pa_derive_mac("h1", &pa, &a);
	/* never to change: neighbours and access lists know it */
	assert_memory_equal(&a, "\x32\xe1\x46\xe6\x22\x76", 6);
	assert_int_equal(a.b[0] & 3, 2);
	tw_pa_derive_mac("h2", &pa, &b);
	assert_false(mac_equal(&a, &b));
	pa.address = ip("10.0.0.2");
	tw_pa_derive_mac("h1", &pa, &b);
	assert_false(mac_equal(&a, &b));
	pa.mac = mac_of(3);
	tw_pa_derive_mac("h1", &pa, &b);
	assert_true(mac_equal(&b, &pa.mac));
}

static void plain_macs_are_announced_where_their_bucket_goes(void **state)
{
	struct mac macs[64];
	uint8_t before[64];
	unsigned int moved = 0;

	world_ready(&w);
	for (unsigned int i = 0; i < 64; i++) {
		macs[i] = mac_of((uint8_t)i);
		before[i] = w.view->bucket[teaming_mac_bucket(&macs[i])];
		moved += before[i] == 0;
	}
	assert_int_equal(tw_plain_set(&w.core, macs, 64), 0);
	world_run(&w, S_NS);
	assert_int_equal(w.n_sent, 0);
	world_link(&w, 0, false);
	world_run(&w, 0);
	for (unsigned int i = 0, seen = 0; i < w.n_sent; i++) {
		if (load_be16(w.sent[i].data + 12) != ETHERTYPE_RARP_)
			continue;
		assert_int_equal(before[w.sent[i].data[11]], 0);
		assert_int_equal(w.sent[i].member, 1);
		seen++;
		if (i == w.n_sent - 1)
			assert_int_equal(seen, moved);
	}
	assert_true(moved > 10 && w.n_sent >= moved);
	assert_int_equal(tw_plain_set(&w.core, NULL, 0), 0);
}

#define TEST(name, setup) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_address_is_probed_and_then_announced, setup2),
		TEST(announcements_come_at_0_100_500_2000_ms, setup2),
		TEST(no_answer_while_tentative, setup2),
		TEST(an_answer_to_a_probe_makes_it_duplicate, setup2),
		TEST(a_duplicate_is_tried_again, setup2),
		TEST(two_that_probe_at_once_both_give_way, setup2),
		TEST(own_frames_are_no_conflict, setup2),
		TEST(own_frames_are_no_conflict_v6, setup2),
		TEST(addresses_of_before_a_restart_are_used_at_once, setup2),
		TEST(another_mac_or_vlan_is_not_the_address_of_before, setup2),
		TEST(a_used_address_is_defended_once_in_ten_seconds, setup2),
		TEST(a_dead_member_loses_its_buckets_and_address_only, setup3),
		TEST(it_comes_back_after_hold_down, setup3),
		TEST(the_first_announcement_waits_for_the_workers, setup3),
		TEST(without_hold_down_at_the_start_and_when_nothing_else_is_left, setup2),
		TEST(every_address_is_heard_at_least_every_60_s, setup2),
		TEST(homes_follow_the_configuration, setup3),
		TEST(homes_are_chosen_anew_when_addresses_change, setup4),
		TEST(an_address_moves_once_when_its_member_leaves, setup4),
		TEST(inbound_weights_follow_speeds_not_links, setup4),
		TEST(inbound_weights_of_one_family_follow_speeds, setup4),
		TEST(families_are_spread_each_for_itself, setup3),
		TEST(a_member_without_an_address_carries_nothing, setup3),
		TEST(a_cooperating_team_uses_any_address_anywhere, setup3),
		TEST(a_removed_address_falls_silent, setup2),
		TEST(v6_is_checked_and_announced_too, setup2),
		TEST(v6_dad_of_another_while_tentative_is_a_conflict, setup2),
		TEST(detection_waits_for_a_link_and_survives_its_loss, setup2),
		TEST(an_address_waits_for_its_home_to_be_opened, setup2),
		TEST(an_address_does_not_wait_in_vain, setup3),
		TEST(macs_are_stable_and_of_their_own, setup2),
		TEST(plain_macs_are_announced_where_their_bucket_goes, setup2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
