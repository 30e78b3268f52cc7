/* SPDX-License-Identifier: BSD-3-Clause */
/* The way of a packet: each verdict and each end, on the real policy. HNV rows in the names. */
#include "world.h"

/* The inner frame of the only packet sent, wherever it left; the outer is checked. */
static const uint8_t *only_sent(unsigned int *ret_member, uint16_t *ret_len, uint32_t *ret_key)
{
	unsigned int m = world.members[1].n_sent ? 1 : 0;
	const uint8_t *p = world.members[m].sent[0];

	assert_int_equal(world.members[0].n_sent + world.members[1].n_sent, 1);
	assert_memory_equal(p, mac_next, 6);
	assert_memory_equal(p + 6, mac_pa[m], 6);
	assert_int_equal(load_be16(p + 12), 0x0800);
	assert_int_equal(frame_csum(p + 14, 20, 0), 0);
	assert_int_equal(p[23], 47);
	assert_int_equal(p[29], 11 + m); /* source PA is the member's */
	assert_int_equal(load_be32(p + 34), 0x20006558);
	*ret_member = m;
	*ret_key = load_be32(p + 38);
	*ret_len = (uint16_t)(world.members[m].sent_len[0] - 42);
	return p + 42;
}

static void row20_remote_is_encapsulated(void **state)
{
	uint8_t buf[SIZE];
	struct frame *f = udp(buf, mac_far, mac_a, IP_A, IP_FAR, 100);
	unsigned int member;
	const uint8_t *inner;
	uint32_t key;
	uint16_t len;

	guest_sends(A, f);
	world_turn();
	inner = only_sent(&member, &len, &key);
	assert_int_equal(key >> 8, 5001);
	assert_int_equal(len, f->len);
	assert_memory_equal(inner, buf, len);
}

static void row59_flows_use_both_members(void **state)
{
	unsigned int seen[2] = { 0 };

	for (unsigned int i = 0; i < 64; i++) {
		uint8_t buf[SIZE];
		struct frame *f = udp(buf, mac_far, mac_a, IP_A, IP_FAR, 20);

		frame_finish(f);
		store_be16(buf + 34, (uint16_t)(5000 + i));
		guest_sends(A, f);
		world_turn();
		seen[0] += world.members[0].n_sent;
		seen[1] += world.members[1].n_sent;
	}
	assert_int_equal(seen[0] + seen[1], 64);
	assert_true(seen[0] > 10 && seen[1] > 10);
}

static void row14_local_stays_local(void **state)
{
	uint8_t buf[SIZE];
	struct frame *f = udp(buf, mac_b, mac_a, IP_A, IP_B, 10);

	guest_sends(A, f);
	world_turn();
	assert_int_equal(world.ports[B].n_got, 1);
	assert_memory_equal(world.ports[B].got[0], buf, f->len);
	assert_int_equal(world.members[0].n_sent + world.members[1].n_sent, 0);
}

static void row14_routed_on_one_host(void **state)
{
	struct mac gw = gateway_mac(5001), gw2 = gateway_mac(5002);
	uint8_t buf[SIZE];
	const uint8_t *got;

	guest_sends(A, udp(buf, &gw, mac_a, IP_A, IP_C, 10));
	world_turn();
	assert_int_equal(world.ports[C].n_got, 1);
	got = world.ports[C].got[0];
	assert_memory_equal(got, mac_c, 6);
	assert_memory_equal(got + 6, &gw2, 6);
	assert_int_equal(got[22], 63); /* one TTL taken */
	assert_int_equal(frame_csum(got + 14, 20, 0), 0);
	assert_int_equal(world.members[0].n_sent + world.members[1].n_sent, 0);
}

static void row15_routed_across_hosts(void **state)
{
	struct mac gw = gateway_mac(5001);
	unsigned int member;
	uint8_t buf[SIZE];
	const uint8_t *inner;
	uint32_t key;
	uint16_t len;

	guest_sends(A, udp(buf, &gw, mac_a, IP_A, IP_FAR_C, 10));
	world_turn();
	inner = only_sent(&member, &len, &key);
	assert_int_equal(key >> 8, 5002); /* the destination's VSID */
	assert_memory_equal(inner, mac_far_c, 6);
}

static void row13_tenants_do_not_meet(void **state)
{
	uint8_t buf[SIZE];

	/* same MAC and address as port a, other tenant: reaches nobody of 5001 */
	guest_sends(X, udp(buf, mac_b, mac_a, IP_A, IP_B, 10));
	world_turn();
	assert_int_equal(world.ports[B].n_got, 0);
	assert_int_equal(drops_of(DROP_NO_RECORD), 1);
}

static void row58_broadcast_goes_once_per_host(void **state)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	uint8_t buf[SIZE];

	guest_sends(A, udp(buf, all, mac_a, IP_A, FRAME_IPV4(10, 0, 0, 255), 10));
	world_turn();
	assert_int_equal(world.members[0].n_sent + world.members[1].n_sent, 1); /* far has two PAs, and is one host */
	assert_int_equal(world.ports[B].n_got, 1);
	assert_int_equal(world.ports[A].n_got, 0);
	assert_int_equal(world.ports[X].n_got, 0);
}

static struct frame *tunnel(uint8_t *buf, unsigned int pa, unsigned int from_pa, uint32_t vsid, const void *dst,
			    const void *src, uint32_t from, uint32_t to)
{
	static struct frame f;

	frame_init(&f, buf, SIZE);
	frame_eth(&f, mac_pa[pa], mac_next, FRAME_AUTO);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = PA(from_pa), .dst = PA(11 + pa), .frag = 0x4000 });
	frame_nvgre(&f, vsid, 7);
	frame_eth(&f, dst, src, FRAME_AUTO);
	frame_ip4(&f, from, to, FRAME_AUTO);
	frame_udp(&f, 1000, 2000);
	frame_fill(&f, 30, 1);
	return &f;
}

static void wire_reaches_the_guest(void **state)
{
	uint8_t buf[SIZE];
	struct frame *f = tunnel(buf, 0, 21, 5001, mac_a, mac_far, IP_FAR, IP_A);

	wire_brings(0, f);
	world_turn();
	assert_int_equal(world.ports[A].n_got, 1);
	assert_int_equal(world.ports[X].n_got, 0);
	assert_int_equal(world.ports[A].got_len[0], f->len - 42);
	assert_memory_equal(world.ports[A].got[0], buf + 42, f->len - 42);
}

static void row58_tunnel_broadcast_stays_here(void **state)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	uint8_t buf[SIZE];

	wire_brings(1, tunnel(buf, 1, 22, 5001, all, mac_far, IP_FAR, FRAME_IPV4(10, 0, 0, 255)));
	world_turn();
	assert_int_equal(world.ports[A].n_got, 1);
	assert_int_equal(world.ports[B].n_got, 1);
	assert_int_equal(world.ports[X].n_got, 0);
	assert_int_equal(world.members[0].n_sent + world.members[1].n_sent, 0);
}

static void wire_drops_have_names(void **state)
{
	uint8_t buf[SIZE];

	wire_brings(1, tunnel(buf, 0, 21, 5001, mac_a, mac_far, IP_FAR, IP_A)); /* PA 0 lives on member 0 */
	wire_brings(0, tunnel(buf, 0, 77, 5001, mac_a, mac_far, IP_FAR, IP_A));
	wire_brings(0, tunnel(buf, 0, 21, 9999, mac_a, mac_far, IP_FAR, IP_A));
	wire_brings(0, tunnel(buf, 0, 21, 5001, mac_far, mac_far, IP_FAR, IP_A));
	wire_brings(0, tunnel(buf, 0, 21, 5001, mac_a, mac_b, IP_B, IP_A)); /* b is ours, not far's */
	world_turn();
	assert_int_equal(world.ports[A].n_got, 0);
	assert_int_equal(drops_of(DROP_NOT_HOME), 1);
	assert_int_equal(drops_of(DROP_SRC_PA_UNKNOWN), 1);
	assert_int_equal(drops_of(DROP_VSID_UNKNOWN), 1);
	assert_int_equal(drops_of(DROP_NOT_LOCAL), 1);
	assert_int_equal(drops_of(DROP_SRC_PA_MISMATCH), 1);
}

static void previous_home_is_accepted_for_a_while(void **state)
{
	uint8_t buf[SIZE];

	world.view.pas[0].prev = 1;
	world.view.pas[0].prev_until = UINT64_MAX;
	wire_brings(1, tunnel(buf, 0, 21, 5001, mac_a, mac_far, IP_FAR, IP_A));
	world_turn();
	assert_int_equal(world.ports[A].n_got, 1);
	world.view.pas[0].prev_until = 0;
	wire_brings(1, tunnel(buf, 0, 21, 5001, mac_a, mac_far, IP_FAR, IP_A));
	world_turn();
	assert_int_equal(world.ports[A].n_got, 0);
}

static void a_frame_flooded_to_both_homes_comes_once(void **state)
{
	static const unsigned int by[] = { 1, 1, 0 }; /* the sender repeats itself; what the switch floods */
	uint8_t buf[SIZE];

	world.view.pas[0].prev = 1;
	world.view.pas[0].prev_until = UINT64_MAX;
	for (unsigned int i = 0; i < 3; i++)
		wire_brings(by[i], tunnel(buf, 0, 21, 5001, mac_a, mac_far, IP_FAR, IP_A));
	world_turn();
	assert_int_equal(world.ports[A].n_got, 2);
	assert_int_equal(drops_of(DROP_FLOODED_COPY), 1);
	world.view.pas[0].prev_until = 0;
	for (unsigned int i = 0; i < 3; i++)
		wire_brings(by[i], tunnel(buf, 0, 21, 5001, mac_a, mac_far, IP_FAR, IP_A));
	world_turn();
	assert_int_equal(world.ports[A].n_got, 1);
	assert_int_equal(drops_of(DROP_FLOODED_COPY), 1);
	assert_int_equal(drops_of(DROP_NOT_HOME), 2);
}

/* Frames without an ID of their own, ARP among them, look the same for hours: a later move knows none of before. */
static void a_frame_of_an_earlier_move_is_no_copy(void **state)
{
	uint8_t buf[SIZE];

	world.view.pas[0].prev = 1;
	world.view.pas[0].prev_until = UINT64_MAX - 1;
	wire_brings(1, tunnel(buf, 0, 21, 5001, mac_a, mac_far, IP_FAR, IP_A));
	world_turn();
	assert_int_equal(world.ports[A].n_got, 1);
	world.view.pas[0].prev_until = UINT64_MAX;
	wire_brings(0, tunnel(buf, 0, 21, 5001, mac_a, mac_far, IP_FAR, IP_A));
	world_turn();
	assert_int_equal(world.ports[A].n_got, 1);
	assert_int_equal(drops_of(DROP_FLOODED_COPY), 0);
}

/* A bucket that is moved for balance waits for a pause; one that lost its member does not. HNV row 64. */
static void a_bucket_moves_in_a_pause(void **state)
{
	struct worker *w = world.dp->workers[0];
	/* By the member it had, then by the other, then back as long as both are good. */
	static const unsigned int by_other[] = { 0, 0, 0, 1, 1, 0 };
	unsigned int bucket = TEAM_BUCKETS, from = 0;
	uint64_t waiting[TEAM_BUCKETS / 64];
	uint8_t buf[SIZE];

	for (unsigned int step = 0; step < 6; step++) {
		guest_sends(A, udp(buf, mac_far, mac_a, IP_A, IP_FAR, 64));
		switch (step) {
		case 1: /* balance wants it elsewhere */
			for (bucket = 0; !w->bucket_bytes[bucket]; bucket++)
				;
			from = world.view.bucket[bucket];
			world.view.bucket[bucket] = (uint8_t)!from;
			world.view.patient[bucket / 64] |= UINT64_C(1) << bucket % 64;
			world.view.gen++;
			break;
		case 3:
			w->bucket_seen[bucket] -= w->dp->tsc_hz / 500;
			break;
		case 4: /* back, as long as the way back is good */
			world.view.bucket[bucket] = (uint8_t)from;
			world.view.gen++;
			break;
		case 5:
			world.view.members[!from].usable = false;
			world.view.gen++;
			break;
		}
		world_turn();
		assert_int_equal(world.members[0].n_sent + world.members[1].n_sent, 1);
		if (!step)
			continue;
		assert_int_equal(world.members[!from].n_sent, by_other[step]);
		datapath_buckets_waiting(world.dp, waiting);
		assert_int_equal(waiting[bucket / 64] >> bucket % 64 & 1, step == 1 || step == 2 || step == 4);
	}
}

static void row18_gateway_answers_echo(void **state)
{
	struct mac gw = gateway_mac(5001);
	uint8_t buf[SIZE];
	const uint8_t *got;
	struct frame f;

	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, &gw, mac_a, FRAME_AUTO);
	frame_ip4(&f, IP_A, IP_GW, FRAME_AUTO);
	frame_icmp4(&f, 8, 0, 0x12340001);
	frame_fill(&f, 56, 0);
	guest_sends(A, &f);
	world_turn();
	assert_int_equal(world.ports[A].n_got, 1);
	got = world.ports[A].got[0];
	assert_memory_equal(got, mac_a, 6);
	assert_memory_equal(got + 6, &gw, 6);
	assert_int_equal(got[34], 0); /* echo reply */
	assert_int_equal(frame_csum(got + 14, 20, 0), 0);
	assert_int_equal(frame_csum(got + 34, f.len - 34, 0), 0);
	assert_int_equal(load_be32(got + 38), 0x12340001);
}

static void expect_icmp4(uint8_t type, uint8_t code, uint32_t rest, const uint8_t *original)
{
	const uint8_t *got = world.ports[A].got[0];
	uint16_t len = world.ports[A].got_len[0];

	assert_int_equal(world.ports[A].n_got, 1);
	assert_memory_equal(got, mac_a, 6);
	assert_int_equal(got[23], 1);
	assert_memory_equal(got + 26, &(uint32_t){ IP_GW }, 4);
	assert_memory_equal(got + 30, &(uint32_t){ IP_A }, 4);
	assert_int_equal(frame_csum(got + 14, 20, 0), 0);
	assert_int_equal(frame_csum(got + 34, len - 34, 0), 0);
	assert_int_equal(got[34], type);
	assert_int_equal(got[35], code);
	assert_int_equal(load_be32(got + 38), rest);
	assert_true(len <= 14 + 576);
	assert_memory_equal(got + 42 + 12, original + 14 + 12, 8); /* addresses of the quote */
}

static void row26_too_big_is_told(void **state)
{
	uint8_t buf[SIZE];

	guest_sends(A, udp(buf, mac_far, mac_a, IP_A, IP_FAR, 1472)); /* 1500 bytes of IP, DF */
	world_turn();
	expect_icmp4(3, 4, 1458, buf);
	assert_int_equal(drops_of(DROP_TOO_BIG), 1);
	guest_sends(A, udp(buf, mac_far, mac_a, IP_A, IP_FAR, 1430)); /* 1458: fits */
	world_turn();
	assert_int_equal(world.members[0].n_sent + world.members[1].n_sent, 1);
	assert_int_equal(world.members[0].n_sent ? world.members[0].sent_len[0] : world.members[1].sent_len[0], 1514);
}

static void row26_routed_too_big_is_told(void **state)
{
	struct mac gw = gateway_mac(5001);
	uint8_t buf[SIZE];

	guest_sends(A, udp(buf, &gw, mac_a, IP_A, IP_FAR_C, 1472));
	world_turn();
	expect_icmp4(3, 4, 1458, buf);
}

static void ttl_exceeded_is_told(void **state)
{
	struct mac gw = gateway_mac(5001);
	uint8_t buf[SIZE];
	struct frame f;

	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, &gw, mac_a, FRAME_AUTO);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = IP_A, .dst = IP_C, .ttl = 1 });
	frame_udp(&f, 1, 2);
	frame_fill(&f, 20, 0);
	guest_sends(A, &f);
	world_turn();
	expect_icmp4(11, 0, 0, buf);
	assert_int_equal(drops_of(DROP_TTL), 1);
	assert_int_equal(world.ports[C].n_got, 0);
}

static void unreachable_is_told(void **state)
{
	struct mac gw = gateway_mac(5001);
	uint8_t buf[SIZE];

	guest_sends(A, udp(buf, &gw, mac_a, IP_A, FRAME_IPV4(10, 9, 9, 9), 20));
	world_turn();
	expect_icmp4(3, 0, 0, buf);
	assert_int_equal(drops_of(DROP_NO_ROUTE), 1);
	guest_sends(A, udp(buf, &gw, mac_a, IP_A, FRAME_IPV4(10, 0, 1, 77), 20));
	world_turn();
	expect_icmp4(3, 1, 0, buf);
	assert_int_equal(drops_of(DROP_NO_RECORD), 1);
}

static void no_error_about_an_error(void **state)
{
	struct mac gw = gateway_mac(5001);
	uint8_t buf[SIZE];
	struct frame f;

	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, &gw, mac_a, FRAME_AUTO);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = IP_A, .dst = IP_C, .ttl = 1 });
	frame_icmp4(&f, 3, 1, 0);
	frame_fill(&f, 28, 0);
	guest_sends(A, &f);
	world_turn();
	assert_int_equal(world.ports[A].n_got, 0);
	assert_int_equal(drops_of(DROP_TTL), 1);
}

static void guest_drops_have_names(void **state)
{
	uint8_t buf[SIZE];
	struct frame f;

	guest_sends(A, udp(buf, mac_far, mac_b, IP_A, IP_FAR, 10));
	guest_sends(A, udp(buf, mac_far, mac_a, IP_B, IP_FAR, 10));
	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, mac_far, mac_a, FRAME_AUTO);
	frame_vlan(&f, 0x8100, 5, FRAME_AUTO);
	frame_ip4(&f, IP_A, IP_FAR, FRAME_AUTO);
	frame_udp(&f, 1, 2);
	guest_sends(A, &f);
	world_turn();
	assert_int_equal(drops_of(DROP_SRC_MAC), 1);
	assert_int_equal(drops_of(DROP_SRC_IP), 1);
	assert_int_equal(drops_of(DROP_GUEST_VLAN), 1);
	assert_int_equal(world.members[0].n_sent + world.members[1].n_sent, 0);
}

static void priority_tag_is_removed(void **state)
{
	uint8_t buf[SIZE];
	unsigned int member;
	const uint8_t *inner;
	uint32_t key;
	uint16_t len;
	struct frame f;

	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, mac_far, mac_a, FRAME_AUTO);
	frame_vlan(&f, 0x8100, 0xe000, FRAME_AUTO);
	frame_ip4(&f, IP_A, IP_FAR, FRAME_AUTO);
	frame_udp(&f, 1, 2);
	frame_fill(&f, 30, 0);
	guest_sends(A, &f);
	world_turn();
	inner = only_sent(&member, &len, &key);
	assert_int_equal(len, f.len - 4);
	assert_int_equal(load_be16(inner + 12), 0x0800);
}

static void unresolved_and_no_member_are_counted(void **state)
{
	uint8_t buf[SIZE];

	world.resolved = false;
	assert_int_equal(datapath_host_update(world.dp, HOST_NONE), 0);
	guest_sends(A, udp(buf, mac_far, mac_a, IP_A, IP_FAR, 10));
	world_turn();
	assert_int_equal(drops_of(DROP_NO_NEIGHBOUR), 1);
	world.resolved = true;
	assert_int_equal(datapath_host_update(world.dp, HOST_NONE), 0);
	memset(world.view.bucket, TEAM_NO_MEMBER, sizeof(world.view.bucket));
	world.view.gen++;
	guest_sends(A, udp(buf, mac_far, mac_a, IP_A, IP_FAR, 10));
	world_turn();
	assert_int_equal(drops_of(DROP_NO_MEMBER), 1);
}

static void full_rings_are_counted(void **state)
{
	uint8_t buf[SIZE];

	world.ports[B].room = 0;
	world.members[0].room = world.members[1].room = 0;
	guest_sends(A, udp(buf, mac_b, mac_a, IP_A, IP_B, 10));
	guest_sends(A, udp(buf, mac_far, mac_a, IP_A, IP_FAR, 10));
	world_turn();
	assert_int_equal(drops_of(DROP_PORT_FULL), 1);
	assert_int_equal(drops_of(DROP_MEMBER_TX), 1);
}

/* Without mergeable buffers a long frame is refused, again and again; those behind it are not its fault. */
static void a_frame_too_long_for_the_guest_is_counted(void **state)
{
	uint8_t buf[SIZE];

	world.ports[B].longest = world.ports[B].q.fits = 100;
	guest_sends(A, udp(buf, mac_b, mac_a, IP_A, IP_B, 10));
	guest_sends(A, udp(buf, mac_b, mac_a, IP_A, IP_B, 200));
	guest_sends(A, udp(buf, mac_b, mac_a, IP_A, IP_B, 11));
	guest_sends(A, udp(buf, mac_b, mac_a, IP_A, IP_B, 201));
	world_turn();
	assert_int_equal(world.ports[B].n_got, 2);
	assert_int_equal(drops_of(DROP_PORT_MTU), 2);
	assert_int_equal(drops_of(DROP_PORT_FULL), 0);
}

static void arp_is_answered(void **state)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, none[6];
	uint8_t buf[SIZE];
	struct frame f;

	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, all, mac_a, FRAME_AUTO);
	frame_arp(&f, 1, mac_a, IP_A, none, IP_FAR);
	guest_sends(A, &f);
	world_turn();
	assert_int_equal(world.ports[A].n_got, 1);
	assert_memory_equal(world.ports[A].got[0] + 22, mac_far, 6);
	assert_int_equal(world.members[0].n_sent + world.members[1].n_sent, 0); /* row 50: none on the wire */
}

static void detached_port_is_down(void **state)
{
	uint8_t buf[SIZE];

	datapath_port_detach(world.dp, policy_port_index(world.policy, "b"), NULL);
	guest_sends(A, udp(buf, mac_b, mac_a, IP_A, IP_B, 10));
	world_turn();
	assert_int_equal(drops_of(DROP_PORT_DOWN), 1);
	world.ports[A].q.tx_ready = 0;
	guest_sends(C, udp(buf, &(struct mac){ 0 }, mac_c, IP_C, IP_A, 10));
	{
		struct mac gw = gateway_mac(5002);

		memcpy(rte_pktmbuf_mtod(world.ports[C].rx[0], void *), &gw, 6);
	}
	world_turn();
	assert_int_equal(drops_of(DROP_PORT_DOWN), 2);
}

static void drop_from_hook(void *arg, struct rte_mbuf **pkts, uint16_t n)
{
	*(unsigned int *)arg += n;
	for (uint16_t i = 0; i < n; i++)
		meta_drop(pkt_meta(pkts[i]), DROP_SPLIT_HORIZON);
}

static void hooks_see_and_veto(void **state)
{
	static struct hook_table table;
	unsigned int seen = 0;
	uint8_t buf[SIZE];

	table.n[HOOK_GUEST_RX] = 1;
	table.hooks[HOOK_GUEST_RX][0] = (struct hook){ drop_from_hook, &seen };
	rcu_assign(world.dp->hooks, &table);
	guest_sends(A, udp(buf, mac_far, mac_a, IP_A, IP_FAR, 10));
	world_turn();
	rcu_assign(world.dp->hooks, NULL);
	assert_int_equal(seen, 1);
	assert_int_equal(drops_of(DROP_SPLIT_HORIZON), 1);
	assert_int_equal(world.members[0].n_sent + world.members[1].n_sent, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(row20_remote_is_encapsulated),
		T(row59_flows_use_both_members),
		T(row14_local_stays_local),
		T(row14_routed_on_one_host),
		T(row15_routed_across_hosts),
		T(row13_tenants_do_not_meet),
		T(row58_broadcast_goes_once_per_host),
		T(wire_reaches_the_guest),
		T(row58_tunnel_broadcast_stays_here),
		T(wire_drops_have_names),
		T(previous_home_is_accepted_for_a_while),
		T(a_frame_flooded_to_both_homes_comes_once),
		T(a_frame_of_an_earlier_move_is_no_copy),
		T(a_bucket_moves_in_a_pause),
		T(row18_gateway_answers_echo),
		T(row26_too_big_is_told),
		T(row26_routed_too_big_is_told),
		T(ttl_exceeded_is_told),
		T(unreachable_is_told),
		T(no_error_about_an_error),
		T(guest_drops_have_names),
		T(priority_tag_is_removed),
		T(unresolved_and_no_member_are_counted),
		T(full_rings_are_counted),
		T(a_frame_too_long_for_the_guest_is_counted),
		T(arp_is_answered),
		T(detached_port_is_down),
		T(hooks_see_and_veto),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
