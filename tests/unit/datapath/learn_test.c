/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What workers tell main of ARP, DHCP and frames from the wire, at which rate; guards; the multicast group of a subnet.
 * HNV rows in the names.
 */
#include "world.h"

#define MAX    2048
#define LEASES 20

static struct sighting seen[MAX];
static unsigned int n_seen;

static void turn(void)
{
	world_turn();
	n_seen = datapath_sights(world.dp, seen, MAX);
}

static struct frame *arp(uint8_t *buf, const uint8_t *mac, uint32_t spa, uint32_t tpa)
{
	static const uint8_t all[6] = { 255, 255, 255, 255, 255, 255 };
	static struct frame f;

	frame_init(&f, buf, SIZE);
	frame_eth(&f, all, mac, FRAME_AUTO);
	frame_arp(&f, 1, mac, spa, mac_pa[0], tpa);
	return &f;
}

static void row45_only_what_is_new_is_told(void **state)
{
	uint8_t buf[SIZE];

	guest_sends(A, arp(buf, mac_a, IP_A, IP_B)); /* policy knows it */
	turn();
	assert_int_equal(n_seen, 0);
	guest_sends(A, arp(buf, mac_a, FRAME_IPV4(10, 0, 0, 50), IP_B));
	guest_sends(A, arp(buf, mac_a, FRAME_IPV4(10, 0, 0, 50), IP_B));
	turn();
	assert_int_equal(n_seen, 1); /* a repetition is not */
	assert_int_equal(seen[0].kind, SIGHT_USES);
	assert_int_equal(seen[0].vsid, 5001);
	assert_memory_equal(&seen[0].mac, mac_a, 6);
	assert_int_equal(seen[0].ca.b[3], 50);
	guest_sends(C, arp(buf, mac_c, FRAME_IPV4(10, 0, 1, 50), IP_C)); /* its subnet does not learn */
	turn();
	assert_int_equal(n_seen, 0);
}

/* Row 49: spoofed addresses are dropped, teach nothing, and are told as what they are. */
static void row49_spoofed(void **state)
{
	uint8_t buf[SIZE];

	guest_sends(A, arp(buf, mac_a, FRAME_IPV4(192, 168, 9, 9), IP_B)); /* not of the subnet */
	guest_sends(A, arp(buf, mac_b, FRAME_IPV4(10, 0, 0, 51), IP_A));   /* not the port's MAC */
	turn();
	assert_int_equal(n_seen, 0);
	assert_int_equal(drops_of(DROP_SRC_IP) + drops_of(DROP_SRC_MAC), 2);
	guest_sends(A, arp(buf, mac_a, IP_GW, IP_B));
	turn();
	assert_int_equal(n_seen, 1);
	assert_int_equal(seen[0].kind, SIGHT_MISMATCH);
	assert_int_equal(seen[0].drop, DROP_SPOOF_ARP);
	guest_sends(A, arp(buf, mac_a, IP_B, IP_FAR)); /* another guest's: dropped, main asks who has it */
	turn();
	assert_int_equal(n_seen, 1);
	assert_int_equal(seen[0].kind, SIGHT_USES);
	assert_int_equal(drops_of(DROP_SPOOF_ARP), 2);
}

/* A port that floods a million frames: its own rate, and the next port is heard in the same turn. */
static void a_flooding_port_delays_nobody(void **state)
{
	struct datapath_params p = world.dp->params;
	struct datapath_learn_stats stats;
	uint8_t buf[SIZE];

	p.learn_pps = 100;
	p.learn_burst = 64;
	datapath_set_knobs(world.dp, &p);
	for (unsigned int i = 0; i < 1000; i++) {
		for (unsigned int k = 0; k < 32; k++)
			guest_sends(A, arp(buf, mac_a, FRAME_IPV4(10, 0, 0, 100 + (i * 32 + k) % 100), IP_FAR));
		world_turn();
	}
	guest_sends(B, arp(buf, mac_b, FRAME_IPV4(10, 0, 0, 77), IP_FAR));
	world_turn();
	n_seen = datapath_sights(world.dp, seen, MAX);
	assert_true(n_seen > 64 && n_seen < 1000);
	assert_int_equal(seen[n_seen - 1].ca.b[3], 77);
	datapath_learn_stats(world.dp, &stats);
	assert_true(stats.suppressed > 20000);
	assert_int_equal(stats.told, n_seen);
}

static struct frame *tunnel(uint8_t *buf, const uint8_t *src, uint32_t from, uint8_t pa, uint8_t gre_dst)
{
	static struct frame f;

	frame_init(&f, buf, SIZE);
	frame_eth(&f, mac_pa[0], mac_next, FRAME_AUTO);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = PA(pa), .dst = PA(gre_dst), .frag = 0x4000 });
	frame_nvgre(&f, 5001, 0);
	frame_eth(&f, mac_a, src, FRAME_AUTO);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = from, .dst = IP_A, .frag = 0x4000 });
	frame_udp(&f, 1000, 2000);
	frame_fill(&f, 20, 1);
	return &f;
}

/* Row 29: what contradicts policy is told with VSID, CA and PA; row 48: nothing from the wire teaches. */
static void row29_48_the_wire(void **state)
{
	uint8_t buf[SIZE];

	wire_brings(0, tunnel(buf, mac_b, IP_B, 21, 11)); /* b is here, not at far */
	turn();
	assert_int_equal(n_seen, 1);
	assert_int_equal(seen[0].kind, SIGHT_MISMATCH);
	assert_int_equal(seen[0].drop, DROP_SRC_PA_MISMATCH);
	assert_int_equal(seen[0].pa.b[3], 21);
	assert_int_equal(seen[0].ca.b[3], 3);
	wire_brings(0, tunnel(buf, mac_far, IP_FAR, 99, 11)); /* nobody's address */
	turn();
	assert_int_equal(n_seen, 1);
	assert_int_equal(seen[0].drop, DROP_SRC_PA_UNKNOWN);
	assert_int_equal(seen[0].pa.b[3], 99);
	assert_int_equal(seen[0].ca.b[3], 9);
	wire_brings(0, tunnel(buf, mac_far, IP_FAR, 21, 11));
	turn();
	assert_int_equal(n_seen, 0);
}

static struct frame *dhcp(uint8_t *buf, const uint8_t *dst, const uint8_t *src, uint32_t to, bool reply)
{
	static struct frame f;
	uint8_t msg[244] = { reply ? 2 : 1, 1, 6, 0, 1, 2, 3, 4 };

	store_be32(msg + 236, 0x63825363);
	memcpy(msg + 240, (uint8_t[]){ 53, 1, reply ? 5 : 3, 255 }, 4);
	memcpy(msg + 28, reply ? mac_a : src, 6);
	if (reply)
		memcpy(msg + 16, (uint8_t[]){ 10, 0, 0, 60 }, 4);
	frame_init(&f, buf, SIZE);
	frame_eth(&f, dst, src, FRAME_AUTO);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = reply ? IP_B : 0, .dst = to, .frag = 0x4000 });
	frame_udp(&f, reply ? 67 : 68, reply ? 68 : 67);
	frame_payload(&f, msg, sizeof(msg));
	return &f;
}

/* Row 46: the question, and the answer whether it is sent to all or to the guest, from this host or from the wire. */
static void row46_dhcp(void **state)
{
	static const uint8_t all[6] = { 255, 255, 255, 255, 255, 255 };
	uint8_t buf[SIZE];

	guest_sends(A, dhcp(buf, all, mac_a, 0xffffffff, false));
	turn();
	assert_int_equal(n_seen, 1);
	assert_int_equal(seen[0].kind, SIGHT_ASKS);
	assert_int_equal(seen[0].xid, 0x01020304);
	for (unsigned int i = 0; i < 2; i++) {
		guest_sends(B, dhcp(buf, i ? all : mac_a, mac_b, i ? 0xffffffff : FRAME_IPV4(10, 0, 0, 60), true));
		turn();
		assert_int_equal(n_seen, 1);
		assert_int_equal(seen[0].kind, SIGHT_LEASE);
		assert_int_equal(seen[0].port, policy_port_index(world.policy, "a"));
		assert_int_equal(seen[0].xid, 0x01020304);
		assert_int_equal(seen[0].ca.b[3], 60);
	}
	for (unsigned int i = 0; i < 2; i++) {
		struct frame in, f;
		uint8_t out[SIZE];

		in = *dhcp(buf, i ? all : mac_a, mac_far, i ? 0xffffffff : FRAME_IPV4(10, 0, 0, 60), true);
		memcpy(buf + 26, (uint8_t[]){ 10, 0, 0, 9 }, 4);
		assert_true(frame_finish(&in) > 0);
		frame_init(&f, out, SIZE);
		frame_eth(&f, mac_pa[0], mac_next, FRAME_AUTO);
		frame_ip4_full(&f, &(struct frame_ip4){ .src = PA(21), .dst = PA(11), .frag = 0x4000 });
		frame_nvgre(&f, 5001, 0);
		frame_payload(&f, buf, in.len);
		wire_brings(0, &f);
		turn();
		assert_int_equal(n_seen, 1);
		assert_int_equal(seen[0].kind, SIGHT_LEASE);
		assert_int_equal(world.ports[A].n_got, 1);
	}
}

/* Row 39: rogue servers and routers; everybody else's frames pass. */
static void row39_guards(void **state)
{
	static const uint8_t all6[6] = { 0x33, 0x33, 0, 0, 0, 1 };
	static const uint8_t ra[16] = { 64 }, ll[16] = { 0xfe, 0x80, [15] = 0xb }, nodes[16] = { 0xff, 2, [15] = 1 };
	uint8_t buf[SIZE];
	struct frame f;

	for (unsigned int guarded = 0; guarded < 2; guarded++) {
		if (guarded)
			world_set(OBJECT_PORT, "id=b vsid=5001 macs=[02:00:00:00:00:0b] dhcp-guard=true ra-guard=true");
		guest_sends(B, dhcp(buf, mac_a, mac_b, FRAME_IPV4(10, 0, 0, 60), true));
		turn();
		assert_int_equal(drops_of(DROP_DHCP_GUARD), guarded);
		frame_init(&f, buf, SIZE);
		frame_eth(&f, all6, mac_b, FRAME_AUTO);
		frame_ip6(&f, ll, nodes, FRAME_AUTO, 255);
		frame_icmp6(&f, 134, 0, 0x40000000);
		frame_payload(&f, ra, 8);
		guest_sends(B, &f);
		turn();
		assert_int_equal(drops_of(DROP_RA_GUARD), guarded);
		guest_sends(B, udp(buf, mac_a, mac_b, IP_B, IP_A, 20));
		turn();
		assert_int_equal(world.ports[A].n_got, 1);
	}
}

static struct frame *owner_answers(uint8_t *buf)
{
	static struct frame f;

	frame_init(&f, buf, SIZE);
	frame_eth(&f, mac_pa[0], mac_next, FRAME_AUTO);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = PA(21), .dst = PA(11), .frag = 0x4000 });
	frame_nvgre(&f, 5001, 0);
	frame_eth(&f, mac_a, mac_far, FRAME_AUTO);
	frame_arp(&f, 2, mac_far, IP_FAR, mac_a, IP_A);
	return &f;
}

static unsigned int seen_of(enum sight_kind kind)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < n_seen; i++)
		n += seen[i].kind == kind;
	return n;
}

/*
 * Row 54: who sends noise to a provider address silences neither the owner that defends its address nor DHCP servers.
 * Answers that nobody has asked for are not told.
 */
static void row54_noise_silences_nobody(void **state)
{
	struct ip_addr ca = { .family = 4, .b = { 10, 0, 0, 9 } }, other = ca;
	struct datapath_learn_stats stats;
	uint8_t buf[SIZE];
	struct mac mac;

	memcpy(&mac, mac_far, sizeof(mac));
	wire_brings(0, owner_answers(buf));
	turn();
	assert_int_equal(n_seen, 0);
	for (unsigned int i = 0; i < 10; i++) {
		for (unsigned int k = 0; k < 60; k++)
			wire_brings(0, tunnel(buf, mac_far, IP_FAR, 99, 11)); /* nobody's PA */
		turn();
	}
	datapath_learn_stats(world.dp, &stats);
	assert_true(stats.suppressed > 0);
	/* Somebody else's answer is awaited: this one is none. */
	other.b[3] = 8;
	policy_await(world.policy, 5001, &other, &mac);
	wire_brings(0, owner_answers(buf));
	turn();
	assert_int_equal(seen_of(SIGHT_OWNER), 0);
	policy_await(world.policy, 5001, &ca, &mac);
	/* In one turn: time gives the noise's rate no room. More leases than it may have got since the last one. */
	for (unsigned int k = 0; k < 50; k++)
		wire_brings(0, tunnel(buf, mac_far, IP_FAR, 99, 11));
	wire_brings(0, owner_answers(buf));
	wire_brings(0, owner_answers(buf)); /* the same at once is no news */
	for (unsigned int k = 0; k < LEASES; k++)
		guest_sends(B, dhcp(buf, mac_a, mac_b, FRAME_IPV4(10, 0, 0, 60 + k), true));
	turn();
	assert_int_equal(seen_of(SIGHT_OWNER), 1);
	assert_int_equal(seen_of(SIGHT_LEASE), LEASES);
}

/* Row 39: what a first fragment does not show cannot be told apart from what is guarded (RFC 7113). */
static void row39_nothing_hides_in_fragments(void **state)
{
	static const uint8_t all6[6] = { 0x33, 0x33, 0, 0, 0, 1 };
	static const uint8_t ll[16] = { 0xfe, 0x80, [15] = 0xb }, nodes[16] = { 0xff, 2, [15] = 1 };
	static const struct {
		int next;
		enum drop_reason drop;
	} kinds[] = { { 58, DROP_RA_GUARD }, { 17, DROP_DHCP_GUARD } };
	uint8_t buf[SIZE];
	struct frame f;

	for (unsigned int i = 0; i < 4; i++) {
		if (i == 2)
			world_set(OBJECT_PORT, "id=b vsid=5001 macs=[02:00:00:00:00:0b] dhcp-guard=true ra-guard=true");
		frame_init(&f, buf, SIZE);
		frame_eth(&f, all6, mac_b, FRAME_AUTO);
		frame_ip6(&f, ll, nodes, FRAME_AUTO, 255);
		frame_ip6_frag(&f, 0, true, 7, FRAME_AUTO);
		frame_ip6_ext(&f, 60, NULL, 0, kinds[i % 2].next);
		guest_sends(B, &f);
		turn();
		assert_int_equal(drops_of(kinds[i % 2].drop), i / 2);
	}
}

static void brings_group(uint8_t *buf, unsigned int member)
{
	struct frame f;

	frame_init(&f, buf, SIZE);
	frame_eth(&f, (uint8_t[]){ 1, 0, 0x5e, 1, 2, 3 }, mac_next, FRAME_AUTO);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = PA(21), .dst = FRAME_IPV4(239, 1, 2, 3), .frag = 0x4000 });
	frame_nvgre(&f, 5001, 0);
	frame_eth(&f, (uint8_t[]){ 255, 255, 255, 255, 255, 255 }, mac_far, 0x88b5);
	frame_fill(&f, 46, 1);
	wire_brings(member, &f);
}

/* Row 57: one packet to the group; taken from the member that reports. Without members elsewhere nothing is sent. */
static void row57_group(void **state)
{
	struct team_pa_view *g = &world.view.pas[2];
	uint8_t buf[SIZE];
	const uint8_t *p;

	world_set(OBJECT_SUBNET, "vsid=5001 rdid=t gateways=[10.0.0.1/24] learning=true group=239.1.2.3");
	world_set(OBJECT_HOST, "id=more pas=[{address=192.0.2.31}]");
	world_set(OBJECT_RECORD, "vsid=5001 ca=10.0.0.8 mac=02:00:00:00:08:01 host=more");
	assert_int_equal(datapath_host_update(world.dp, HOST_NONE), 0);
	guest_sends(A, arp(buf, mac_a, IP_A, FRAME_IPV4(10, 0, 0, 99)));
	turn();
	assert_int_equal(world.members[0].n_sent + world.members[1].n_sent, 1);
	p = world.members[world.members[1].n_sent ? 1 : 0].sent[0];
	assert_memory_equal(p, "\x01\0\x5e\x01\x02\x03", 6);
	assert_memory_equal(p + 30, "\xef\x01\x02\x03", 4);
	assert_int_equal(frame_csum(p + 14, 20, 0), 0);
	assert_int_equal(load_be32(p + 38) >> 8, 5001);
	assert_int_equal(world.ports[B].n_got, 1);

	brings_group(buf, 0); /* not a member yet */
	turn();
	assert_int_equal(world.ports[A].n_got, 0);
	*g = (struct team_pa_view){ .home = 0, .now = 0, .prev = TEAM_NO_MEMBER, .state = PA_PREFERRED };
	g->local = (struct encap_local){ .address = { .family = 4, .b = { 239, 1, 2, 3 } }, .pa = 2,
					 .mac = { { 1, 0, 0x5e, 1, 2, 3 } } };
	world.view.local[2] = g->local;
	world.view.n_local = 3;
	brings_group(buf, 0);
	brings_group(buf, 1); /* a switch that does not snoop */
	turn();
	assert_int_equal(world.ports[A].n_got, 1);
	assert_int_equal(drops_of(DROP_NOT_HOME), 1);

	guest_sends(X, arp(buf, mac_a, IP_A, IP_A)); /* tenant u is on this host alone */
	turn();
	assert_int_equal(world.members[0].n_sent + world.members[1].n_sent, 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(row45_only_what_is_new_is_told), T(row49_spoofed), T(a_flooding_port_delays_nobody),
		T(row29_48_the_wire), T(row46_dhcp), T(row39_guards), T(row39_nothing_hides_in_fragments),
		T(row57_group), T(row54_noise_silences_nobody),
	};

	return cmocka_run_group_tests_name("datapath-learn", tests, NULL, NULL);
}
