/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets of up to 64 KiB and unfinished checksums on every way; MTU and MSS. HNV rows 26, 27, 66. */
#include "world.h"

#define ALL	0xff
#define PAYLOAD 14000
#define MSS	1460
#define PARTIAL RTE_MBUF_F_RX_L4_CKSUM_NONE
#define LARGE	(RTE_MBUF_F_RX_LRO | RTE_MBUF_F_RX_L4_CKSUM_NONE)
#define OUTER	42

static uint8_t buf[65536];

static void offer(unsigned int port, uint32_t offloads)
{
	world.ports[port].q.offloads = offloads;
}

/* TCP from A, its checksum unfinished. */
static struct frame *tcp(const void *dst, uint32_t to, size_t payload, uint8_t flags)
{
	static struct frame f;

	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, dst, mac_a, FRAME_AUTO);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = IP_A, .dst = to, .frag = 0x4000, .id = 100 });
	frame_tcp(&f, 1000, 2000, 5000, 1, flags);
	if (payload)
		frame_fill(&f, payload, 7);
	f.partial_csum = true;
	return &f;
}

/* Is this a TCP frame with right checksums? @return bytes of payload. */
static unsigned int good_segment(const uint8_t *d, unsigned int len)
{
	const uint8_t *ip = d + ETH_HLEN_;
	unsigned int l4 = load_be16(ip + 2) - 20u;
	uint32_t sum = 6 + l4;

	assert_int_equal(len, ETH_HLEN_ + load_be16(ip + 2));
	assert_int_equal(frame_csum(ip, 20, 0), 0);
	for (unsigned int i = 12; i < 20; i += 2)
		sum += load_be16(ip + i);
	assert_int_equal(frame_csum(ip + 20, l4, sum), 0);
	return l4 - 20;
}

/* What left by the members: segments. @return their payload. */
static unsigned int sent_payload(unsigned int longest)
{
	unsigned int sum = 0;

	for (unsigned int m = 0; m < 2; m++) {
		for (unsigned int i = 0; i < world.members[m].n_sent; i++) {
			unsigned int n = good_segment(world.members[m].sent[i] + OUTER,
						      world.members[m].sent_len[i] - OUTER);

			assert_true(n <= longest);
			sum += n;
		}
	}
	return sum;
}

/* Row 66: lowered to what the path carries, one member, in order. */
static void row66_remote(void **state)
{
	unsigned int m;

	offer(A, ALL);
	guest_sends_flagged(A, tcp(mac_far, IP_FAR, PAYLOAD, 0x18), LARGE, MSS);
	world_turn();
	m = world.members[1].n_sent ? 1 : 0;
	assert_int_equal(world.members[!m].n_sent, 0);
	assert_int_equal(world.members[m].n_sent, 10);
	assert_int_equal(sent_payload(1418), PAYLOAD);
	for (unsigned int i = 0; i < 10; i++) {
		assert_int_equal(load_be32(world.members[m].sent[i] + OUTER + 38), 5000 + i * 1418);
		assert_true(world.members[m].sent_len[i] <= 1514);
	}
	assert_int_equal(world.dp->workers[0]->offload.n[OFFLOAD_TSO_SW], 1);
	assert_int_equal(world.dp->workers[0]->offload.n[OFFLOAD_TSO_FRAMES], 10);
}

/* Routed: TTL and MACs are rewritten once, and in every segment. */
static void remote_routed(void **state)
{
	struct mac gw = gateway_mac(5001);

	offer(A, ALL);
	guest_sends_flagged(A, tcp(&gw, FRAME_IPV4(10, 0, 1, 9), PAYLOAD, 0x18), LARGE, MSS);
	world_turn();
	assert_int_equal(sent_payload(1418), PAYLOAD);
	for (unsigned int m = 0; m < 2; m++) {
		for (unsigned int i = 0; i < world.members[m].n_sent; i++) {
			assert_memory_equal(world.members[m].sent[i] + OUTER, mac_far_c, 6);
			assert_int_equal(world.members[m].sent[i][OUTER + 22], 63);
		}
	}
}

/* Nothing is cut or summed on one host. */
static void local_untouched(void **state)
{
	struct frame *f = tcp(mac_b, IP_B, PAYLOAD, 0x18);
	const struct fake_queue *b = &world.ports[B];

	offer(A, ALL);
	offer(B, ALL);
	guest_sends_flagged(A, f, LARGE, MSS);
	world_turn();
	assert_int_equal(b->n_got, 1);
	assert_int_equal(b->got_whole[0], f->len);
	assert_int_equal(b->got_mss[0], MSS);
	assert_true(b->got_flags[0] & RTE_MBUF_F_TX_TCP_SEG);
	assert_memory_equal(b->got[0], buf, 54); /* headers, with the pseudo header's sum as it came */
	guest_sends_flagged(A, tcp(mac_b, IP_B, 100, 0x18), PARTIAL, 0);
	world_turn();
	assert_int_equal(b->n_got, 1);
	assert_memory_equal(b->got[0], buf, 154);
	assert_int_equal(b->got_flags[0] & RTE_MBUF_F_TX_L4_MASK, RTE_MBUF_F_TX_TCP_CKSUM);
	for (unsigned int i = 0; i < OFFLOAD_COUNTERS; i++)
		assert_int_equal(world.dp->workers[0]->offload.n[i], 0);
}

/* A receiver that takes checksums only, and one that takes nothing. */
static void local_without(void **state)
{
	static const uint32_t takes[] = { PORT_RX_CSUM, 0 };
	struct fake_queue *b = &world.ports[B];

	offer(A, ALL);
	for (unsigned int t = 0; t < 2; t++) {
		unsigned int sum = 0;

		offer(B, takes[t]);
		guest_sends_flagged(A, tcp(mac_b, IP_B, 100, 0x18), PARTIAL, 0);
		guest_sends_flagged(A, tcp(mac_b, IP_B, PAYLOAD, 0x18), LARGE, MSS);
		guest_sends_flagged(A, tcp(mac_b, IP_B, 200, 0x18), PARTIAL, 0);
		world_turn();
		assert_int_equal(b->n_got, 12);
		assert_int_equal(b->got_whole[0], 154); /* in order */
		assert_int_equal(b->got_whole[11], 254);
		for (unsigned int i = 0; i < 12; i++) {
			assert_int_equal(b->got_mss[i], 0);
			assert_int_equal(b->got_flags[i] & RTE_MBUF_F_TX_L4_MASK,
					 t ? 0 : RTE_MBUF_F_TX_TCP_CKSUM);
			sum += t ? good_segment(b->got[i], b->got_len[i]) : b->got_whole[i] - 54u;
		}
		assert_int_equal(sum, PAYLOAD + 300);
	}
}

/* Each receiver of a flood gets what it takes, whatever the others take. */
static void flooded(void **state)
{
	static const uint8_t unknown[6] = { 2, 0, 0, 0, 7, 7 };
	struct fake_queue *b = &world.ports[B];
	unsigned int sum = 0;

	world_set(OBJECT_RECORD, "vsid=5001 mac=02:00:00:00:09:01 host=far type=l2only");
	offer(A, ALL);
	for (unsigned int t = 0; t < 2; t++) {
		offer(B, t ? 0 : ALL);
		guest_sends_flagged(A, tcp(unknown, FRAME_IPV4(10, 0, 0, 77), PAYLOAD, 0x18), LARGE, MSS);
		world_turn();
		sum = 0;
		for (unsigned int i = 0; i < b->n_got; i++)
			sum += b->got_whole[i] - 54;
		assert_int_equal(sum, PAYLOAD);
		assert_int_equal(sent_payload(1418), PAYLOAD);
	}
}

/* One packet to the group has a finished checksum; segments go to each host, cut. Row 57. */
static void flooded_to_the_group(void **state)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	const struct fake_member *m;

	world_set(OBJECT_SUBNET, "vsid=5001 rdid=t gateways=[10.0.0.1/24] learning=true group=239.1.2.3");
	offer(A, ALL);
	offer(B, ALL);
	guest_sends_flagged(A, tcp(all, FRAME_IPV4(10, 0, 0, 255), 100, 0x18), PARTIAL, 0);
	world_turn();
	m = &world.members[world.members[1].n_sent ? 1 : 0];
	assert_int_equal(world.members[0].n_sent + world.members[1].n_sent, 1);
	assert_memory_equal(m->sent[0] + 30, "\xef\x01\x02\x03", 4);
	assert_int_equal(sent_payload(100), 100);
	assert_memory_equal(world.ports[B].got[0], buf, 154); /* here it stays as it was */
	for (unsigned int t = 0; t < 2; t++) {
		uint32_t payload = t ? PAYLOAD : 1200, sum = 0; /* the shorter one fits the path as it is */

		guest_sends_flagged(A, tcp(all, FRAME_IPV4(10, 0, 0, 255), payload, 0x18), LARGE, 400);
		world_turn();
		assert_int_equal(sent_payload(400), payload);
		for (unsigned int i = 0; i < world.ports[B].n_got; i++)
			sum += world.ports[B].got_whole[i] - 54;
		assert_int_equal(sum, payload);
	}
}

/* Rows 26 and 27 with unfinished checksums: DF is answered, without it pieces have the whole sum. */
static void too_long_for_the_path(void **state)
{
	struct fake_queue *a = &world.ports[A];
	struct frame f;

	offer(A, ALL);
	guest_sends_flagged(A, tcp(mac_far, IP_FAR, 1460, 0x18), PARTIAL, 0);
	world_turn();
	assert_int_equal(drops_of(DROP_TOO_BIG), 1);
	assert_int_equal(a->n_got, 1);
	assert_int_equal(a->got[0][34], 3); /* fragmentation needed */
	assert_int_equal(a->got[0][35], 4);
	assert_int_equal(load_be16(a->got[0] + 40), 1458);
	assert_memory_equal(a->got[0] + 26, &(uint32_t){ IP_GW }, 4); /* said by the gateway */
	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, mac_far, mac_a, FRAME_AUTO);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = IP_A, .dst = IP_FAR, .id = 100 });
	frame_udp(&f, 1, 2);
	frame_fill(&f, 1472, 3);
	f.partial_csum = true;
	guest_sends_flagged(A, &f, PARTIAL, 0);
	world_turn();
	assert_int_equal(world.members[0].n_sent + world.members[1].n_sent, 2);
	{
		unsigned int m = world.members[1].n_sent ? 1 : 0;
		static uint8_t whole[2000];
		uint32_t sum = 17 + 1480;

		for (unsigned int i = 0; i < 2; i++) {
			const uint8_t *ip = world.members[m].sent[i] + OUTER + ETH_HLEN_;

			memcpy(whole + (load_be16(ip + 6) & 0x1fffu) * 8, ip + 20, load_be16(ip + 2) - 20u);
		}
		for (unsigned int i = 12; i < 20; i += 2)
			sum += load_be16(buf + ETH_HLEN_ + i);
		assert_int_equal(frame_csum(whole, 1480, sum), 0);
	}
}

/* What cannot be meant is dropped by name, and so is what was not negotiated. */
static void refused(void **state)
{
	offer(A, ALL & ~PORT_TSO4);
	guest_sends_flagged(A, tcp(mac_far, IP_FAR, PAYLOAD, 0x18), LARGE, MSS);
	world_turn();
	offer(A, ALL);
	guest_sends_flagged(A, tcp(mac_far, IP_FAR, PAYLOAD, 0x18), LARGE, 0);
	guest_sends_flagged(A, tcp(mac_far, IP_FAR, PAYLOAD, 0x18), LARGE, 1);
	guest_sends_flagged(A, udp(buf, mac_far, mac_a, IP_A, IP_FAR, 1000), LARGE, 500);
	world_turn();
	assert_int_equal(drops_of(DROP_GUEST_META), 4);
	assert_int_equal(world.members[0].n_sent + world.members[1].n_sent, 0);
}

/* To an address that nobody knows yet the same holds: DF is answered, without it pieces go to each host. */
static void too_long_for_a_flood(void **state)
{
	static const uint8_t unknown[6] = { 2, 0, 0, 0, 7, 7 };
	struct frame f;

	world_set(OBJECT_RECORD, "vsid=5001 mac=02:00:00:00:09:01 host=far type=l2only");
	for (unsigned int df = 0; df < 2; df++) {
		frame_init(&f, buf, sizeof(buf));
		frame_eth(&f, unknown, mac_a, FRAME_AUTO);
		frame_ip4_full(&f, &(struct frame_ip4){ .src = IP_A, .dst = FRAME_IPV4(10, 0, 0, 77),
							.frag = df ? 0x4000 : 0 });
		frame_udp(&f, 1, 2);
		frame_fill(&f, 1472, 3);
		guest_sends(A, &f);
		world_turn();
		assert_int_equal(world.ports[B].n_got, 1); /* whole: it fits here */
		assert_int_equal(world.ports[B].got_whole[0], 1514);
		assert_int_equal(world.members[0].n_sent + world.members[1].n_sent, df ? 0 : 2);
		assert_int_equal(drops_of(DROP_TOO_BIG), df);
		assert_int_equal(world.ports[A].n_got, df);
	}
	assert_int_equal(world.ports[A].got[0][34], 3); /* fragmentation needed */
	assert_int_equal(world.ports[A].got[0][35], 4);
	assert_int_equal(load_be16(world.ports[A].got[0] + 40), 1458);
}

/* A frame of 14 KB that is not to be segmented fits no wire; here it goes where the port's MTU says so. */
static void longer_than_any_mtu(void **state)
{
	struct fake_queue *b = &world.ports[B];

	offer(A, ALL);
	offer(B, ALL);
	for (unsigned int t = 0; t < 2; t++) {
		world.ports[A].q.mtu = t ? 65520 : 1500;
		guest_sends_flagged(A, tcp(mac_b, IP_B, PAYLOAD, 0x18), PARTIAL, 0);
		guest_sends_flagged(A, tcp(mac_far, IP_FAR, PAYLOAD, 0x18), PARTIAL, 0);
		world_turn();
		assert_int_equal(b->n_got, t);
		assert_int_equal(drops_of(DROP_GUEST_OVERSIZE), 2);
		assert_int_equal(drops_of(DROP_TOO_BIG), t);
		assert_int_equal(world.members[0].n_sent + world.members[1].n_sent, 0);
	}
}

/* What each receiver would get counts as flooded. */
static void flood_limit_counts_segments(void **state)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	struct datapath_params knobs = world.dp->params;

	knobs.flood_pps = 4; /* at most 65 at once */
	datapath_set_knobs(world.dp, &knobs);
	offer(A, ALL);
	offer(B, ALL);
	guest_sends_flagged(A, tcp(all, FRAME_IPV4(10, 0, 0, 255), 6000, 0x18), LARGE, 100);
	guest_sends_flagged(A, tcp(all, FRAME_IPV4(10, 0, 0, 255), 6000, 0x18), LARGE, 100);
	world_turn();
	assert_int_equal(drops_of(DROP_FLOOD_LIMIT), 1);
}

static uint16_t sent_mss(bool partial, const uint8_t *opts, size_t opts_len, unsigned int at)
{
	unsigned int m;
	struct frame f;

	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, mac_far, mac_a, FRAME_AUTO);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = IP_A, .dst = IP_FAR, .frag = 0x4000 });
	frame_tcp_opts(&f, 1000, 2000, 1, 0, 2, opts, opts_len);
	f.partial_csum = partial;
	guest_sends_flagged(A, &f, partial ? PARTIAL : 0, 0);
	world_turn();
	m = world.members[1].n_sent ? 1 : 0;
	good_segment(world.members[m].sent[0] + OUTER, world.members[m].sent_len[0] - OUTER);
	return load_be16(world.members[m].sent[0] + OUTER + 54 + at);
}

/* The MSS of a SYN is lowered to the path's, at even and odd places, with and without a finished checksum. */
static void mss_is_clamped(void **state)
{
	static const uint8_t even[] = { 2, 4, 0x05, 0xb4, 1, 3, 3, 7 }, odd[] = { 1, 2, 4, 0x05, 0xb4, 0, 0, 0 };
	static const uint8_t small[] = { 2, 4, 0x02, 0x18 }, bad[] = { 2, 3, 0x05, 0xb4 }, cut[] = { 8, 10, 2, 4 };

	offer(A, ALL);
	for (unsigned int partial = 0; partial < 2; partial++) {
		assert_int_equal(sent_mss(partial, even, sizeof(even), 2), 1418);
		assert_int_equal(sent_mss(partial, odd, sizeof(odd), 3), 1418);
		assert_int_equal(sent_mss(partial, small, sizeof(small), 2), 536);
		assert_int_equal(sent_mss(partial, bad, sizeof(bad), 2), 1460);
		assert_int_equal(sent_mss(partial, cut, sizeof(cut), 0), 0x080a);
	}
}

/* UDP from A to C, by the router: what C's port does not take. */
static void routed_too_long_for_a_port(void **state)
{
	struct mac gw = gateway_mac(5001);
	struct fake_queue *c = &world.ports[C];
	struct frame f;

	c->q.mtu = 1500;
	world.ports[A].q.mtu = 9000;
	for (unsigned int df = 0; df < 2; df++) {
		frame_init(&f, buf, sizeof(buf));
		frame_eth(&f, &gw, mac_a, FRAME_AUTO);
		frame_ip4_full(&f, &(struct frame_ip4){ .src = IP_A, .dst = IP_C, .frag = df ? 0x4000 : 0 });
		frame_udp(&f, 1, 2);
		frame_fill(&f, 1572, 3);
		guest_sends(A, &f);
		world_turn();
		assert_int_equal(c->n_got, df ? 0 : 2);
		assert_int_equal(drops_of(DROP_TOO_BIG), df);
		assert_int_equal(world.ports[A].n_got, df);
	}
	assert_int_equal(world.ports[A].got[0][34], 3); /* fragmentation needed */
	assert_int_equal(world.ports[A].got[0][35], 4);
	assert_int_equal(load_be16(world.ports[A].got[0] + 40), 1500);
	c->q.fits = ETH_HLEN_ + 1400; /* all that its buffers hold */
	f.data[20] = 0x40;
	guest_sends(A, &f);
	world_turn();
	assert_int_equal(load_be16(world.ports[A].got[0] + 40), 1400);
	assert_int_equal(c->n_got, 0);
	c->q.fits = UINT32_MAX;
	c->q.mtu = 1400; /* told to send less; it takes what everybody takes */
	frame_init(&f, buf, sizeof(buf));
	guest_sends(A, udp(buf, &gw, mac_a, IP_A, IP_C, 1472));
	world_turn();
	assert_int_equal(c->n_got, 1);
}

/* Bad input: a guest that goes on sending what does not fit is told as often as the limit says, and nothing leaves. */
static void pmtu_is_ignored(void **state)
{
	struct datapath_params p = world.dp->params;
	unsigned int told = 0;
	struct frame f;

	p.neigh_pps = 10;
	datapath_set_knobs(world.dp, &p);
	for (unsigned int i = 0; i < 300; i++) {
		frame_init(&f, buf, sizeof(buf));
		frame_eth(&f, mac_far, mac_a, FRAME_AUTO);
		frame_ip4_full(&f, &(struct frame_ip4){ .src = IP_A, .dst = IP_FAR, .frag = 0x4000 });
		frame_udp(&f, 1, 2);
		frame_fill(&f, 1472, 3);
		guest_sends(A, &f);
		world_turn();
		told += world.ports[A].n_got;
		assert_int_equal(world.members[0].n_sent + world.members[1].n_sent, 0);
	}
	assert_int_equal(drops_of(DROP_TOO_BIG), 300);
	assert_true(told > 0 && told < 100);
}

/* UDP of far's, whatever its length, in one packet for the wire. */
static void wire_datagram(const void *dst, uint32_t to, size_t payload)
{
	struct frame f;

	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, mac_pa[0], mac_next, FRAME_AUTO);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = PA(21), .dst = PA(11), .frag = 0x4000 });
	frame_nvgre(&f, 5001, 7);
	frame_eth(&f, dst, mac_far, FRAME_AUTO);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = IP_FAR, .dst = to, .frag = 0x4000 });
	frame_udp(&f, 1, 2);
	frame_fill(&f, payload, 3);
	wire_brings(0, &f);
}

/*
 * Bad input: a host that sends what no guest of ours was told to take. Who takes it anyway gets it; for others it is
 * lost by name, alone. Its guest is not told: that is its own host's to do, which knows the size of the path.
 */
static void pmtu_is_ignored_by_a_peer(void **state)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	struct fake_queue *a = &world.ports[A], *b = &world.ports[B];

	a->q.fits = a->longest = 1514;
	for (unsigned int i = 1; i < 3; i++) {
		wire_datagram(mac_a, IP_A, i * 1900); /* of one buffer, and of several */
		wire_datagram(mac_a, IP_A, 1000);
		world_turn();
		assert_int_equal(a->n_got, 1);
		assert_int_equal(a->got_whole[0], 1042);
		assert_int_equal(drops_of(DROP_PORT_MTU), i);
		assert_int_equal(world.members[0].n_sent + world.members[1].n_sent, 0);
	}
	wire_datagram(mac_b, IP_B, 3800);
	world_turn();
	assert_int_equal(b->n_got, 1);
	assert_int_equal(b->got_whole[0], 3842);
	wire_datagram(all, FRAME_IPV4(10, 0, 0, 255), 3800);
	wire_datagram(all, FRAME_IPV4(10, 0, 0, 255), 1000);
	world_turn();
	assert_int_equal(a->n_got, 1);
	assert_int_equal(b->n_got, 2);
	assert_int_equal(drops_of(DROP_PORT_MTU), 3);
	assert_int_equal(world.members[0].n_sent + world.members[1].n_sent, 0);
}

/* A frame of 1500 bytes from far for A, whose TCP payload is damaged if `bad`; what its NIC says of it. */
static void wire_segment(unsigned int number, unsigned int bad, uint64_t verdict)
{
	uint8_t *b = buf;
	struct rte_mbuf *m;
	struct frame f;

	frame_init(&f, b, SIZE);
	frame_eth(&f, mac_pa[0], mac_next, FRAME_AUTO);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = PA(21), .dst = PA(11), .frag = 0x4000 });
	frame_nvgre(&f, 5001, 7);
	frame_eth(&f, mac_a, mac_far, FRAME_AUTO);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = IP_FAR, .dst = IP_A, .frag = 0x4000,
						.id = (uint16_t)(number + 1) });
	frame_tcp(&f, 1000, 2000, 5000 + number * 1000, 1, 0x10);
	frame_fill(&f, 1000, 7);
	wire_brings(0, &f);
	m = world.members[0].rx[world.members[0].n_rx - 1];
	if (bad)
		rte_pktmbuf_mtod(m, uint8_t *)[bad] ^= 0x10;
	m->ol_flags = verdict;
	m->packet_type = RTE_PTYPE_L3_IPV4 | RTE_PTYPE_TUNNEL_NVGRE | RTE_PTYPE_INNER_L3_IPV4 | RTE_PTYPE_INNER_L4_TCP;
}

#define GOOD (RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD)

/*
 * Row 67, from the wire to the guest: what is damaged inside is delivered as it came, never part of what is merged,
 * never with a checksum that the guest need not look at; what is damaged outside is not delivered. A NIC that is not
 * trusted may say what it likes.
 */
static void row67_damaged(void **state)
{
	static const uint32_t trust[] = { 0, OFFLOAD_F_RX_CSUM };
	const struct fake_queue *a = &world.ports[A];
	struct member_dev *dev = (struct member_dev *)(uintptr_t)world.view.members[0].dev;

	offer(A, ALL);
	for (unsigned int t = 0; t < 2; t++) {
		dev->offload = trust[t];
		wire_segment(0, 0, GOOD);
		wire_segment(1, 500, t ? RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_BAD : GOOD);
		wire_segment(2, 0, GOOD);
		wire_segment(3, 0, GOOD);
		wire_segment(4, ETH_HLEN_ + 13, GOOD | RTE_MBUF_F_RX_OUTER_IP_CKSUM_BAD); /* outer source */
		wire_segment(5, ETH_HLEN_ + 13, GOOD); /* a NIC that does not say what it looked at */
		world.members[0].rx[world.members[0].n_rx - 1]->packet_type = 0;
		world_turn();
		assert_int_equal(a->n_got, 3);
		assert_int_equal(a->got_whole[0], 1054);
		assert_int_equal(a->got_whole[1], 1054); /* the damaged one, between the others */
		assert_int_equal(a->got[1][500 - OUTER], buf[500] ^ 0x10);
		assert_int_equal(a->got_flags[1] & RTE_MBUF_F_TX_OFFLOAD_MASK, 0);
		assert_int_equal(a->got_whole[2], 2054);
		assert_true(a->got_flags[2] & RTE_MBUF_F_TX_TCP_SEG);
		assert_int_equal(drops_of(DROP_OUTER_IP), 2 * (t + 1));
	}
	dev->offload = 0;
}

/* A burst is bounded by its bytes: what has been copied out of the guest is in the cache when it is looked at. */
static void large_ones_few_at_a_time(void **state)
{
	const unsigned int n = 20; /* of 14,054 bytes: more than BURST_BYTES */

	offer(A, ALL);
	offer(B, ALL);
	for (unsigned int left = 0; left < 2; left++) {
		for (unsigned int i = 0; i < n; i++)
			guest_sends_flagged(A, tcp(mac_b, IP_B, PAYLOAD, 0x18), LARGE, MSS);
		world_turn();
		if (!left)
			assert_int_equal(world.ports[A].n_rx, 0);
	}
	assert_int_equal(world.ports[A].n_rx, n - BURST_BYTES / 14054);
	while (world.ports[A].n_rx)
		world_turn();
	for (unsigned int i = 0; i < 3; i++) { /* small ones: as many as ever, soon */
		guest_sends(A, tcp(mac_b, IP_B, 100, 0x18));
		world_turn();
	}
	for (unsigned int i = 0; i < BURST; i++)
		guest_sends(A, tcp(mac_b, IP_B, 100, 0x18));
	world_turn();
	assert_int_equal(world.ports[A].n_rx, 0);
}

static void trust_members(uint32_t offloads)
{
	for (unsigned int i = 0; i < 2; i++)
		((struct member_dev *)(uintptr_t)world.view.members[i].dev)->offload = offloads;
}

/* TCP from A to far by many flows, every third with a finished checksum. @return unfinished ones. */
static unsigned int many_flows(unsigned int n)
{
	unsigned int unfinished = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct frame f;

		frame_init(&f, buf, sizeof(buf));
		frame_eth(&f, mac_far, mac_a, FRAME_AUTO);
		frame_ip4_full(&f, &(struct frame_ip4){ .src = IP_A, .dst = IP_FAR, .frag = 0x4000 });
		frame_tcp(&f, (uint16_t)(1000 + i * 7), 2000, i, 1, 0x18);
		frame_fill(&f, 100 + i, 7);
		f.partial_csum = i % 3;
		unfinished += f.partial_csum;
		guest_sends_flagged(A, &f, f.partial_csum ? PARTIAL : 0, 0);
	}
	return unfinished;
}

#define LEFT (RTE_MBUF_F_TX_TUNNEL_GRE | RTE_MBUF_F_TX_OUTER_IPV4 | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TCP_CKSUM)

/* Checksums for the NIC: the driver is asked once per burst and member, and what it refuses is summed, in its place. */
static void one_look_per_burst(void **state)
{
	const uint64_t *n = world.dp->workers[0]->offload.n;

	offer(A, ALL);
	for (unsigned int refuse = 0; refuse < 4; refuse += 3) {
		unsigned int unfinished = many_flows(32), looked_at = 0, left = 0;

		trust_members(OFFLOAD_F_TX_CSUM);
		for (unsigned int i = 0; i < 2; i++)
			world.members[i].refuse = refuse;
		world_turn();
		for (unsigned int i = 0; i < 2; i++) {
			const struct fake_member *m = &world.members[i];
			unsigned int at = 0;

			assert_true(m->n_sent > 4);
			assert_int_equal(m->looks, refuse ? 2 : 1);
			looked_at += m->looked_at;
			for (unsigned int p = 0; p < m->n_sent; p++) {
				uint32_t seq = load_be32(m->sent[p] + OUTER + 38);

				assert_true(!p || seq > load_be32(m->sent[p - 1] + OUTER + 38));
				at += seq % 3 != 0;
				if (!(m->sent_flags[p] & RTE_MBUF_F_TX_OFFLOAD_MASK)) {
					good_segment(m->sent[p] + OUTER, m->sent_len[p] - OUTER);
					assert_true(seq % 3 == 0 || at == refuse);
					continue;
				}
				assert_int_equal(m->sent_flags[p] & RTE_MBUF_F_TX_OFFLOAD_MASK, LEFT);
				left++;
			}
		}
		assert_int_equal(looked_at, unfinished);
		assert_int_equal(left, refuse ? unfinished - 2 : unfinished);
		assert_int_equal(n[OFFLOAD_REFUSED], refuse ? 2 : 0);
		assert_int_equal(n[OFFLOAD_CSUM_SW], refuse ? 2 : 0);
		assert_int_equal(n[OFFLOAD_CSUM_HW], refuse ? 2 * unfinished - 2 : unfinished);
	}
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(row66_remote), T(remote_routed),	   T(local_untouched), T(local_without),
		T(flooded),	 T(too_long_for_the_path), T(refused),	       T(mss_is_clamped),
		T(flooded_to_the_group), T(longer_than_any_mtu), T(flood_limit_counts_segments),
		T(too_long_for_a_flood), T(routed_too_long_for_a_port), T(pmtu_is_ignored), T(row67_damaged),
		T(large_ones_few_at_a_time),
		T(one_look_per_burst), T(pmtu_is_ignored_by_a_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
