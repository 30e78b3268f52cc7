/* SPDX-License-Identifier: BSD-3-Clause */
/* Resolution of remote PAs and next hops, and the paths made of it. */
#include "base/str.h"
#include "world.h"

static struct world w;
static struct mac r1, r2;

static int setup(void **state)
{
	world_init(&w, 2);
	r1 = mac_of(1);
	r2 = mac_of(2);
	return 0;
}

static int teardown(void **state)
{
	world_free(&w);
	return 0;
}

static void remotes(unsigned int n, const char *const *list)
{
	struct ip_addr a[16];

	for (unsigned int i = 0; i < n; i++)
		a[i] = ip(list[i]);
	assert_int_equal(tw_remotes_set(&w.core, a, n), 0);
	tw_settle(&w.core);
}

#define REMOTES(...) \
	remotes(sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *), (const char *[]){ __VA_ARGS__ })

static int path(const char *to, unsigned int member, struct encap_path *ret)
{
	struct ip_addr a = ip(to);
	uint16_t mtu = 0;
	uint8_t pa = 0;
	int r = tw_path(&w.core, &a, member, ret, &mtu, &pa);

	if (r == 0) {
		assert_int_equal(mtu, 1600);
		assert_true(ip_equal(&ret->src, &w.core.pas[pa].spec.address));
		assert_true(mac_equal(&ret->src_mac, &w.core.pas[pa].spec.mac));
	}
	return r;
}

static const struct tw_neigh *neigh(const char *text)
{
	struct ip_addr a = ip(text);

	return tw_neigh_find(&w.core, 0, &a);
}

static unsigned int changed(void)
{
	struct ip_addr list[64];

	return tw_paths_changed(&w.core, list, 64);
}

/* Does our PA `pa` on its member ask for `target`? */
static unsigned int asked(const char *target)
{
	return world_sent_arp(&w, 0, ARP_REQUEST, "10.0.0.1", target) +
	       world_sent_arp(&w, 1, ARP_REQUEST, "10.0.0.2", target);
}

static void answer(const char *target, const struct mac *mac)
{
	const struct arp_hdr *arp = (const void *)(world_last(&w)->data + ETH_HLEN_);
	char text[IP_STR];
	struct ip_addr spa = ip4_from(arp->spa);

	world_arp(&w, world_last(&w)->member, 0, ARP_REPLY, mac, target, &arp->sha, format_ip(&spa, text));
}

static void resolves_and_tells_the_path_of_each_member(void **state)
{
	struct encap_path p;

	world_ready(&w);
	REMOTES("10.0.0.21");
	assert_int_equal(path("10.0.0.21", 0, &p), -EAGAIN);
	world_run(&w, MS_NS);
	assert_int_equal(asked("10.0.0.21"), 1);
	changed();
	world_forget(&w);
	world_run(&w, 1500 * MS_NS);
	assert_int_equal(asked("10.0.0.21"), 1);
	answer("10.0.0.21", &r1);
	assert_int_equal(changed(), 1);
	assert_int_equal(world_events(&w, TEAMING_PATHS), 1);
	for (unsigned int m = 0; m < 2; m++) {
		assert_int_equal(path("10.0.0.21", m, &p), 0);
		assert_true(mac_equal(&p.dst_mac, &r1));
		assert_int_equal(p.src.b[3], m + 1); /* its own address */
		assert_int_equal(p.vlan, 0);
	}
	assert_int_equal(neigh("10.0.0.21")->state, NEIGH_REACHABLE);
}

static void asks_ever_less_often_and_by_turns(void **state)
{
	world_ready(&w);
	REMOTES("10.0.0.21");
	world_run(&w, 2500 * MS_NS);
	assert_int_equal(asked("10.0.0.21"), 3);
	assert_int_equal(neigh("10.0.0.21")->state, NEIGH_INCOMPLETE);
	world_run(&w, S_NS);
	assert_int_equal(neigh("10.0.0.21")->state, NEIGH_FAILED);
	assert_true(world_sent_arp(&w, 0, ARP_REQUEST, "10.0.0.1", "10.0.0.21") >= 1);
	assert_true(world_sent_arp(&w, 1, ARP_REQUEST, "10.0.0.2", "10.0.0.21") >= 1);
	world_run(&w, 300 * S_NS);
	world_forget(&w);
	world_run(&w, 320 * S_NS);
	assert_true(asked("10.0.0.21") >= 8 && asked("10.0.0.21") <= 12);
	answer("10.0.0.21", &r1);
	assert_int_equal(neigh("10.0.0.21")->state, NEIGH_REACHABLE);
}

static void is_kept_fresh_by_unicast(void **state)
{
	struct encap_path p;
	unsigned int unicasts = 0;

	world_ready(&w);
	REMOTES("10.0.0.21");
	world_run(&w, MS_NS);
	answer("10.0.0.21", &r1);
	changed();
	for (unsigned int i = 0; i < 600; i++) {
		world_forget(&w);
		world_run(&w, S_NS);
		if (!asked("10.0.0.21"))
			continue;
		for (unsigned int k = 0; k < w.n_sent; k++)
			unicasts += mac_equal(w.sent[k].data, &r1);
		answer("10.0.0.21", &r1);
		assert_int_equal(path("10.0.0.21", 0, &p), 0);
	}
	assert_true(unicasts >= 15 && unicasts <= 30);
	assert_int_equal(changed(), 0);
}

static void is_lost_after_six_questions_and_found_again(void **state)
{
	struct encap_path p;

	world_ready(&w);
	REMOTES("10.0.0.21");
	world_run(&w, MS_NS);
	answer("10.0.0.21", &r1);
	changed();
	world_forget(&w);
	while (neigh("10.0.0.21")->state == NEIGH_REACHABLE)
		world_run(&w, 100 * MS_NS);
	world_run(&w, 5500 * MS_NS);
	assert_int_equal(asked("10.0.0.21"), 6);
	assert_int_equal(path("10.0.0.21", 0, &p), 0); /* used as long as it may live */
	world_run(&w, S_NS);
	assert_int_equal(path("10.0.0.21", 0, &p), -EAGAIN);
	assert_int_equal(changed(), 1);
	answer("10.0.0.21", &r2);
	assert_int_equal(path("10.0.0.21", 0, &p), 0);
	assert_true(mac_equal(&p.dst_mac, &r2));
}

static void own_dead_links_do_not_fail_an_entry(void **state)
{
	struct encap_path p;

	world_ready(&w);
	REMOTES("10.0.0.21", "10.0.0.22");
	world_run(&w, 10 * MS_NS);
	world_arp(&w, 0, 0, ARP_REPLY, &r1, "10.0.0.21", pa_mac(&w, 0), "10.0.0.1");
	world_link(&w, 0, false);
	world_link(&w, 1, false);
	world_run(&w, 100 * S_NS);
	assert_int_equal(path("10.0.0.21", 0, &p), 0);
	assert_int_equal(path("10.0.0.22", 0, &p), -ENETDOWN);
	world_forget(&w);
	world_link(&w, 0, true);
	world_run(&w, 2 * MS_NS);
	assert_true(asked("10.0.0.22") + world_sent_arp(&w, 0, ARP_REQUEST, "10.0.0.2", "10.0.0.22") >= 1);
}

static void learns_from_announcements_for_what_it_wants_to_know(void **state)
{
	struct encap_path p;

	world_ready(&w);
	REMOTES("10.0.0.21");
	world_run(&w, 2 * MS_NS);
	world_arp(&w, 1, 0, ARP_REQUEST, &r1, "10.0.0.21", NULL, "10.0.0.21");
	assert_int_equal(path("10.0.0.21", 0, &p), 0);
	assert_int_equal(neigh("10.0.0.21")->state, NEIGH_STALE);
	world_arp(&w, 1, 0, ARP_REQUEST, &r1, "10.0.0.33", NULL, "10.0.0.33");
	assert_null(neigh("10.0.0.33"));
	/* and asks soon */
	world_forget(&w);
	world_run(&w, 1100 * MS_NS);
	assert_true(asked("10.0.0.21") >= 1);
	assert_true(mac_equal(w.sent[0].data, &r1));
	answer("10.0.0.21", &r1);
	changed();
	/* a question to us tells as much as an announcement; too soon after an answer it is not believed */
	world_arp(&w, 0, 0, ARP_REQUEST, &r2, "10.0.0.21", NULL, "10.0.0.1");
	assert_int_equal(changed(), 0);
	world_run(&w, 1500 * MS_NS);
	world_arp(&w, 0, 0, ARP_REQUEST, &r2, "10.0.0.21", NULL, "10.0.0.1");
	assert_int_equal(changed(), 1);
	assert_int_equal(path("10.0.0.21", 0, &p), 0);
	assert_true(mac_equal(&p.dst_mac, &r2));
}

static void answers_nobody_asked_for_are_hints_only(void **state)
{
	world_ready(&w);
	REMOTES("10.0.0.21");
	world_run(&w, 2 * MS_NS);
	/* to another's MAC: seen because the switch flooded it */
	world_arp(&w, 0, 0, ARP_REPLY, &r1, "10.0.0.21", &r2, "10.0.0.1");
	assert_int_equal(neigh("10.0.0.21")->state, NEIGH_STALE);
	/* group or zero MACs, another VLAN */
	REMOTES("10.0.0.22");
	world_run(&w, 2 * MS_NS);
	world_arp(&w, 0, 7, ARP_REPLY, &r1, "10.0.0.22", pa_mac(&w, 0), "10.0.0.1");
	assert_false(neigh("10.0.0.22")->has_mac);
}

static void group_macs_are_never_believed(void **state)
{
	static const struct mac group = { { 0x01, 0, 0x5e, 0, 0, 1 } };
	struct frame f;
	uint8_t buf[64];

	world_ready(&w);
	REMOTES("10.0.0.21");
	world_run(&w, 2 * MS_NS);
	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, pa_mac(&w, 0), &r1, FRAME_AUTO);
	frame_arp(&f, 2, &group, FRAME_IPV4(10, 0, 0, 21), pa_mac(&w, 0), FRAME_IPV4(10, 0, 0, 1));
	world_input(&w, 0, buf, (size_t)frame_finish(&f));
	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, pa_mac(&w, 0), &r1, FRAME_AUTO);
	frame_arp(&f, 2, &(struct mac){ { 0 } }, FRAME_IPV4(10, 0, 0, 21), pa_mac(&w, 0), FRAME_IPV4(10, 0, 0, 1));
	world_input(&w, 0, buf, (size_t)frame_finish(&f));
	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, pa_mac(&w, 0), &r1, FRAME_AUTO);
	frame_arp(&f, 2, pa_mac(&w, 1), FRAME_IPV4(10, 0, 0, 21), pa_mac(&w, 0), FRAME_IPV4(10, 0, 0, 1));
	world_input(&w, 0, buf, (size_t)frame_finish(&f));
	assert_false(neigh("10.0.0.21")->has_mac);
}

/* Two hosts answer one question: the first holds for a second. */
static void the_first_of_two_answers_holds(void **state)
{
	struct encap_path p;

	world_ready(&w);
	REMOTES("10.0.0.21");
	world_run(&w, MS_NS);
	answer("10.0.0.21", &r1);
	answer("10.0.0.21", &r2);
	assert_int_equal(path("10.0.0.21", 0, &p), 0);
	assert_true(mac_equal(&p.dst_mac, &r1));
}

static void routes_by_the_longest_prefix(void **state)
{
	struct encap_path p;

	w.routes[0] = (struct provider_route_spec){ { ip("192.0.2.0"), 24 }, ip("10.0.0.250"), 0 };
	w.routes[1] = (struct provider_route_spec){ { ip("192.0.2.128"), 25 }, ip("10.0.0.251"), 0 };
	w.routes[2] = (struct provider_route_spec){ { ip("192.0.2.128"), 25 }, ip("10.0.0.252"), 5 };
	w.routes[3] = (struct provider_route_spec){ { ip("192.0.0.0"), 16 }, ip("10.0.0.253"), 0 };
	w.config.n_routes = 4;
	world_ready(&w);
	REMOTES("192.0.2.1", "192.0.2.200", "198.51.100.1");
	assert_null(neigh("10.0.0.253"));
	assert_non_null(neigh("10.0.0.250"));
	assert_non_null(neigh("10.0.0.251"));
	assert_null(neigh("10.0.0.252"));
	assert_null(neigh("192.0.2.1"));
	world_run(&w, 10 * MS_NS);
	world_arp(&w, 0, 0, ARP_REPLY, &r1, "10.0.0.250", pa_mac(&w, 0), "10.0.0.1");
	world_arp(&w, 0, 0, ARP_REPLY, &r2, "10.0.0.251", pa_mac(&w, 0), "10.0.0.1");
	assert_int_equal(path("192.0.2.1", 1, &p), 0);
	assert_true(mac_equal(&p.dst_mac, &r1));
	assert_int_equal(path("192.0.2.200", 1, &p), 0);
	assert_true(mac_equal(&p.dst_mac, &r2));
	assert_int_equal(p.dst.b[3], 200);
	assert_int_equal(path("198.51.100.1", 1, &p), -EHOSTUNREACH);
	/* without the more specific one */
	w.config.n_routes = 1;
	world_configure(&w, NULL, 0);
	assert_null(neigh("10.0.0.251"));
	assert_int_equal(path("192.0.2.200", 1, &p), 0);
	assert_true(mac_equal(&p.dst_mac, &r1)); /* kept what it knew */
	assert_int_equal(changed(), 3);
}

/* Two provider networks on two VLANs, one member in each. */
static void each_subnet_has_its_own_way(void **state)
{
	struct ip_addr gw = ip("10.9.0.254");
	struct encap_path p;

	w.pas[1].address = ip("10.9.0.2");
	w.pas[1].vlan = 9;
	w.routes[0] = (struct provider_route_spec){ { ip("10.0.0.0"), 16 }, gw, 0 };
	w.config.n_routes = 1;
	world_ready(&w);
	REMOTES("10.0.0.21");
	assert_non_null(neigh("10.0.0.21"));
	assert_non_null(tw_neigh_find(&w.core, 9, &gw));
	world_run(&w, 10 * MS_NS);
	assert_int_equal(world_sent_arp(&w, 0, ARP_REQUEST, "10.0.0.1", "10.0.0.21"), 1);
	world_arp(&w, 0, 0, ARP_REPLY, &r1, "10.0.0.21", pa_mac(&w, 0), "10.0.0.1");
	world_arp(&w, 1, 9, ARP_REPLY, &r2, "10.9.0.254", pa_mac(&w, 1), "10.9.0.2");
	assert_int_equal(path("10.0.0.21", 0, &p), 0);
	assert_true(mac_equal(&p.dst_mac, &r1) && p.vlan == 0);
	assert_int_equal(path("10.0.0.21", 1, &p), 0);
	assert_true(mac_equal(&p.dst_mac, &r2) && p.vlan == 9);
	assert_int_equal(p.src.b[1], 9);
}

static void without_an_address_of_the_family_there_is_no_way(void **state)
{
	struct encap_path p;

	world_ready(&w);
	REMOTES("2001:db8::9", "10.0.0.21");
	assert_int_equal(path("2001:db8::9", 0, &p), -EHOSTUNREACH);
	assert_int_equal(path("10.0.0.99", 0, &p), -EHOSTUNREACH); /* nobody asked for it */
	assert_int_equal(path("10.0.0.21", 5, &p), -ENETDOWN);
}

/* After failover a member sends from its own address still. */
static void a_guest_address_is_not_a_source(void **state)
{
	struct encap_path p;

	world_ready(&w);
	REMOTES("10.0.0.21");
	world_run(&w, MS_NS);
	answer("10.0.0.21", &r1);
	world_link(&w, 0, false);
	assert_int_equal(w.core.pas[0].now, 1);
	assert_int_equal(path("10.0.0.21", 1, &p), 0);
	assert_int_equal(p.src.b[3], 2);
	/* and the dead one's path stays ready */
	assert_int_equal(path("10.0.0.21", 0, &p), 0);
	assert_int_equal(p.src.b[3], 1);
}

static void v6_neighbours(void **state)
{
	struct ip_addr a = ip("2001:db8::21");
	const struct tw_neigh *n;
	struct encap_path p;
	struct pkt_info info;
	const struct sent *s;

	w.pas[0].address = ip("2001:db8::1");
	w.pas[1].address = ip("2001:db8::2");
	w.pas[0].prefix_len = w.pas[1].prefix_len = 64;
	world_ready(&w);
	REMOTES("2001:db8::21");
	world_run(&w, MS_NS);
	s = world_last(&w);
	assert_int_equal(pkt_parse(s->data, s->len, s->len, &info), DROP_NONE);
	assert_int_equal(info.kind, PKT_ND);
	assert_memory_equal(s->data, "\x33\x33\xff\0\0\x21", 6);
	assert_memory_equal(pkt_nd_mac(s->data, &info, ND_OPT_SOURCE_MAC), s->data + 6, 6);
	world_na(&w, 0, &r1, "2001:db8::21", pa_mac(&w, 0), "2001:db8::1", 0x60, &r1);
	n = tw_neigh_find(&w.core, 0, &a);
	assert_int_equal(n->state, NEIGH_REACHABLE);
	assert_int_equal(path("2001:db8::21", 1, &p), 0);
	assert_true(mac_equal(&p.dst_mac, &r1));
	/* RFC 4861 7.2.5: without override another address is not taken, but is a reason to ask */
	world_run(&w, 20 * S_NS);
	world_na(&w, 0, &r2, "2001:db8::21", pa_mac(&w, 0), "2001:db8::1", 0x40, &r2);
	assert_true(mac_equal(&n->mac, &r1));
	assert_int_equal(n->state, NEIGH_STALE);
	world_run(&w, 1100 * MS_NS);
	assert_true(mac_equal(world_last(&w)->data, &r1)); /* by unicast */
	/* an answer to a unicast question may lack the option */
	world_na(&w, 0, &r1, "2001:db8::21", pa_mac(&w, 0), "2001:db8::1", 0x40, NULL);
	assert_int_equal(n->state, NEIGH_REACHABLE);
	/* with override it is taken, unasked as well */
	world_run(&w, 2 * S_NS);
	world_na(&w, 0, &r2, "2001:db8::21", &(struct mac){ { 0x33, 0x33, 0, 0, 0, 1 } }, "ff02::1", 0x20, &r2);
	assert_true(mac_equal(&n->mac, &r2));
	assert_int_equal(n->state, NEIGH_STALE);
}

static void a_question_of_theirs_teaches_v6(void **state)
{
	struct ip_addr a = ip("2001:db8::21");

	w.pas[0].address = ip("2001:db8::1");
	w.pas[1].address = ip("2001:db8::2");
	w.pas[0].prefix_len = w.pas[1].prefix_len = 64;
	world_ready(&w);
	REMOTES("2001:db8::21");
	world_ns(&w, 0, &r1, "2001:db8::21", "2001:db8::1", true);
	assert_int_equal(tw_neigh_find(&w.core, 0, &a)->state, NEIGH_STALE);
}

static void what_is_not_wanted_any_more_is_forgotten(void **state)
{
	struct encap_path p;

	world_ready(&w);
	REMOTES("10.0.0.21", "10.0.0.22", "10.0.0.21", "10.0.0.1");
	assert_int_equal(w.core.n_neighs, 2); /* twice the same, and our own */
	changed();
	REMOTES("10.0.0.22");
	assert_int_equal(w.core.n_neighs, 1);
	assert_null(neigh("10.0.0.21"));
	assert_int_equal(path("10.0.0.21", 0, &p), -EHOSTUNREACH);
	assert_int_equal(tw_remotes_set(&w.core, NULL, 0), 0);
	assert_int_equal(w.core.n_neighs, 0);
	world_forget(&w);
	world_run(&w, 10 * S_NS);
	assert_int_equal(asked("10.0.0.22"), 0);
}

static void many_are_not_asked_in_one_burst(void **state)
{
	struct ip_addr *list = calloc(2000, sizeof(*list));
	unsigned int most = 0, all = 0;

	w.pas[0].prefix_len = w.pas[1].prefix_len = 16;
	world_ready(&w);
	for (unsigned int i = 0; i < 2000; i++)
		list[i] = (struct ip_addr){ 4, { 10, 0, (uint8_t)(1 + i / 250), (uint8_t)(1 + i % 250) } };
	assert_int_equal(tw_remotes_set(&w.core, list, 2000), 0);
	for (unsigned int ms = 0; ms < 1000; ms++) {
		w.n_sent = 0;
		world_run(&w, MS_NS);
		most = w.n_sent > most ? w.n_sent : most;
		all += w.n_sent;
	}
	assert_true(all >= 2000);
	assert_true(most < 200);
	free(list);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(resolves_and_tells_the_path_of_each_member),
		TEST(asks_ever_less_often_and_by_turns),
		TEST(is_kept_fresh_by_unicast),
		TEST(is_lost_after_six_questions_and_found_again),
		TEST(own_dead_links_do_not_fail_an_entry),
		TEST(learns_from_announcements_for_what_it_wants_to_know),
		TEST(answers_nobody_asked_for_are_hints_only),
		TEST(group_macs_are_never_believed),
		TEST(the_first_of_two_answers_holds),
		TEST(routes_by_the_longest_prefix),
		TEST(each_subnet_has_its_own_way),
		TEST(without_an_address_of_the_family_there_is_no_way),
		TEST(a_guest_address_is_not_a_source),
		TEST(v6_neighbours),
		TEST(a_question_of_theirs_teaches_v6),
		TEST(what_is_not_wanted_any_more_is_forgotten),
		TEST(many_are_not_asked_in_one_burst),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
