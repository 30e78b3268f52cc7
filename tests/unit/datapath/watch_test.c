/* SPDX-License-Identifier: BSD-3-Clause */
/* Captures, traces, dry runs and tests through ports, and that nothing of them stays when they are off. */
#include <stdlib.h>

#include "datapath/echo.h"
#include "world.h"

#define RING WATCH_RING_MIN
#define MAX  64

static struct watch_memory *mem;
static struct watch_reader reader;
static struct watch_record recs[MAX];
static uint8_t bytes[MAX][2048];
static struct watch *running;

static uint16_t port_index(const char *id)
{
	return policy_port_index(world.policy, id);
}

static struct watch_spec spec_of(enum watch_kind kind, uint32_t points)
{
	size_t size = watch_memory_bytes(1, RING);

	free(mem);
	assert_int_equal(posix_memalign((void **)&mem, 64, size), 0);
	memset(mem, 0, size);
	reader = (struct watch_reader){ .ring = watch_ring_of(mem, 0, RING), .size = RING };
	return (struct watch_spec){ .kind = kind, .snap = 2048, .ring_size = RING, .memory = mem,
				    .filter = { .points = points, .port = PORT_NONE, .member = TEAM_NO_MEMBER } };
}

static void start(const struct watch_spec *spec)
{
	struct errbuf err;

	assert_int_equal(datapath_watch_start(world.dp, spec, &running, &err), 0);
}

static unsigned int take(void)
{
	unsigned int n = 0;
	const uint8_t *data;

	while ((data = watch_next(&reader, &recs[n]))) {
		memcpy(bytes[n], data, recs[n].captured);
		watch_done(&reader, &recs[n]);
		n++;
		assert_true(n < MAX);
	}
	return n;
}

static int teardown(void **state)
{
	datapath_watch_stop(world.dp, running, NULL, NULL);
	running = NULL;
	free(mem);
	mem = NULL;
	return world_teardown(state);
}

static void each_point_has_its_copy(void **state)
{
	struct watch_spec s = spec_of(WATCH_CAPTURE, ~0u);
	uint8_t buf[SIZE];

	start(&s);
	guest_sends(A, udp(buf, mac_far, mac_a, IP_A, IP_FAR, 10)); /* out by a member */
	guest_sends(A, udp(buf, mac_b, mac_a, IP_A, IP_B, 20));	    /* to a local port */
	guest_sends(A, udp(buf, mac_b, mac_b, IP_A, IP_B, 30));	    /* lies about its MAC */
	world_turn();
	assert_int_equal(take(), 6);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(recs[i].point, WATCH_GUEST_RX);
		assert_int_equal(recs[i].port, port_index("a"));
		assert_int_equal(recs[i].vsid, 5001);
		assert_int_equal(recs[i].captured, recs[i].len);
		assert_memory_equal(bytes[i] + 6, i < 2 ? mac_a : mac_b, 6);
	}
	assert_int_equal(recs[3].point, WATCH_DROP);
	assert_int_equal(recs[3].drop, DROP_SRC_MAC);
	assert_int_equal(recs[3].port, port_index("a"));
	assert_int_equal(recs[4].point, WATCH_WIRE_TX);
	assert_true(recs[4].member < 2);
	assert_int_equal(recs[4].len, recs[0].len + 42);
	assert_memory_equal(bytes[4], mac_next, 6);
	assert_int_equal(recs[5].point, WATCH_GUEST_TX);
	assert_int_equal(recs[5].port, port_index("b"));
}

static void what_the_wire_brings_is_seen_before_it_is_judged(void **state)
{
	struct watch_spec s = spec_of(WATCH_CAPTURE, ~0u);
	uint8_t buf[SIZE];
	struct frame f;

	start(&s);
	frame_init(&f, buf, SIZE);
	frame_eth(&f, mac_pa[0], mac_next, FRAME_AUTO);
	frame_ip4(&f, PA(99), PA(11), FRAME_AUTO); /* nobody's address */
	frame_nvgre(&f, 5001, 7);
	frame_eth(&f, mac_a, mac_far, FRAME_AUTO);
	frame_ip4(&f, IP_FAR, IP_A, FRAME_AUTO);
	frame_udp(&f, 1, 2);
	wire_brings(0, &f);
	world_turn();
	assert_int_equal(take(), 2);
	assert_int_equal(recs[0].point, WATCH_WIRE_RX);
	assert_int_equal(recs[0].member, 0);
	assert_int_equal(recs[1].point, WATCH_DROP);
	assert_int_equal(recs[1].drop, DROP_SRC_PA_UNKNOWN);
	assert_int_equal(recs[1].port, PORT_WIRE);
	assert_int_equal(recs[1].member, 0);
}

/* One filter, and how many of the records of each_point_has_its_copy() it leaves. */
static void filters_choose(void **state)
{
	struct watch_filter none = { .points = ~0u, .port = PORT_NONE, .member = TEAM_NO_MEMBER }, f;
	struct {
		const char *what;
		struct watch_filter f;
		unsigned int n;
	} list[] = {
		{ "vsid", none, 6 },		{ "other vsid", none, 0 },   { "a's MAC", none, 4 },
		{ "b's address", none, 4 },	{ "udp", none, 6 },	     { "tcp", none, 0 },
		{ "port 2000", none, 6 },	{ "port 2001", none, 0 },    { "provider address", none, 1 },
		{ "destination far", none, 2 }, { "drops for MAC", none, 1 }, { "port b", none, 1 },
	};

	list[0].f.vsid = 5001;
	list[1].f.vsid = 6001;
	memcpy(&list[2].f.mac, mac_a, 6);
	list[3].f.address = ip4_from((uint8_t[]){ 10, 0, 0, 3 });
	list[4].f.protocol = PROTO_UDP;
	list[5].f.protocol = PROTO_TCP;
	list[6].f.port_number = 2000;
	list[7].f.port_number = 2001;
	list[8].f.provider_address = ip4_from((uint8_t[]){ 192, 0, 2, 21 });
	list[9].f.destination = ip4_from((uint8_t[]){ 10, 0, 0, 9 });
	list[10].f.drop = DROP_SRC_MAC;
	list[11].f.port = port_index("b");
	for (unsigned int i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		struct watch_spec s = spec_of(WATCH_CAPTURE, ~0u);
		uint8_t buf[SIZE];
		unsigned int n;

		s.filter = list[i].f;
		start(&s);
		guest_sends(A, udp(buf, mac_far, mac_a, IP_A, IP_FAR, 10));
		guest_sends(A, udp(buf, mac_b, mac_a, IP_A, IP_B, 20));
		guest_sends(A, udp(buf, mac_b, mac_b, IP_A, IP_B, 30));
		world_turn();
		n = take();
		/* either of far's two addresses, by the flow */
		if (i == 8 && n == 0) {
			f = list[i].f;
			f.provider_address.b[3] = 22;
			list[i--].f = f;
		} else if (n != list[i].n) {
			fail_msg("%s: %u records, not %u", list[i].what, n, list[i].n);
		}
		datapath_watch_stop(world.dp, running, NULL, NULL);
		running = NULL;
	}
}

static void a_full_ring_loses_copies_and_no_traffic(void **state)
{
	struct watch_spec s = spec_of(WATCH_CAPTURE, ~0u);
	uint8_t buf[SIZE];

	start(&s);
	for (unsigned int i = 0; i < 60; i++) {
		guest_sends(A, udp(buf, mac_b, mac_a, IP_A, IP_B, 1400));
		world_turn();
		assert_int_equal(world.ports[B].n_got, 1);
	}
	assert_true(watch_lost(&reader) > 60);
	assert_in_range(take(), 40, 45);
}

static void a_trace_follows_marked_packets_only(void **state)
{
	struct watch_spec s = spec_of(WATCH_TRACE, ~0u);
	static const struct {
		uint8_t point, stage, verdict;
	} want[] = {
		{ WATCH_STAGE, STAGE_GUEST_RX, VERDICT_NONE }, { WATCH_STAGE, STAGE_SOURCE, VERDICT_NONE },
		{ WATCH_STAGE, STAGE_LOOKUP, VERDICT_ROUTE },  { WATCH_STAGE, STAGE_ROUTE, VERDICT_REMOTE },
		{ WATCH_STAGE, STAGE_ENCAP, VERDICT_REMOTE },  { WATCH_WIRE_TX, 0, VERDICT_REMOTE },
	};
	struct mac gw = gateway_mac(5001);
	uint8_t buf[SIZE];

	s.filter.destination = ip4_from((uint8_t[]){ 10, 0, 1, 9 });
	start(&s);
	guest_sends(A, udp(buf, mac_b, mac_a, IP_A, IP_B, 10));
	guest_sends(A, udp(buf, &gw, mac_a, IP_A, IP_FAR_C, 10));
	guest_sends(A, udp(buf, mac_far, mac_a, IP_A, IP_FAR, 10));
	world_turn();
	assert_int_equal(take(), 6);
	for (unsigned int i = 0; i < 6; i++) {
		assert_int_equal(recs[i].point, want[i].point);
		assert_int_equal(recs[i].verdict, want[i].verdict);
		assert_int_equal(recs[i].stage, want[i].stage);
		assert_int_equal(recs[i].trace, recs[0].trace);
		assert_true(recs[i].tsc >= recs[0].tsc);
	}
	assert_int_not_equal(recs[0].trace, 0);
	assert_int_equal(recs[5].vsid_out, 5002);
}

static void a_trace_from_the_wire_ends_at_the_guest(void **state)
{
	struct watch_spec s = spec_of(WATCH_TRACE, ~0u);
	uint8_t buf[SIZE];
	struct frame f;

	start(&s);
	frame_init(&f, buf, SIZE);
	frame_eth(&f, mac_pa[1], mac_next, FRAME_AUTO);
	frame_ip4(&f, PA(21), PA(12), FRAME_AUTO);
	frame_nvgre(&f, 5001, 7);
	frame_eth(&f, mac_a, mac_far, FRAME_AUTO);
	frame_ip4(&f, IP_FAR, IP_A, FRAME_AUTO);
	frame_udp(&f, 1, 2);
	wire_brings(1, &f);
	world_turn();
	assert_int_equal(take(), 3);
	assert_int_equal(recs[0].stage, STAGE_WIRE_RX);
	assert_int_equal(recs[0].member, 1);
	assert_int_equal(recs[1].stage, STAGE_INGRESS);
	assert_int_equal(recs[1].verdict, VERDICT_LOCAL);
	assert_int_equal(recs[2].point, WATCH_GUEST_TX);
	assert_int_equal(recs[2].port, port_index("a"));
}

static struct rte_mbuf *frame_of(struct frame *f)
{
	ssize_t n = frame_finish(f);
	struct rte_mbuf *m = rte_pktmbuf_alloc(world.pool);

	memcpy(rte_pktmbuf_append(m, (uint16_t)n), f->data, (size_t)n);
	return m;
}

/* The last record of a dry run is what the wire, or a guest, gets when the packet is sent for true. */
static void a_dry_run_says_what_happens_and_does_nothing(void **state)
{
	struct mac gw = gateway_mac(5001);
	struct {
		const void *dst;
		uint32_t to;
		size_t payload;
		uint8_t point, drop;
	} list[] = {
		{ mac_far, IP_FAR, 10, WATCH_WIRE_TX, DROP_NONE },
		{ &gw, IP_FAR_C, 10, WATCH_WIRE_TX, DROP_NONE },
		{ mac_b, IP_B, 10, WATCH_GUEST_TX, DROP_NONE },
		{ &gw, FRAME_IPV4(10, 9, 9, 9), 10, WATCH_DROP, DROP_NO_ROUTE },
		{ mac_far, IP_FAR, 1450, WATCH_DROP, DROP_TOO_BIG },
	};

	for (unsigned int i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		struct watch_spec s = spec_of(WATCH_TRACE, ~0u);
		struct datapath_port_stats before, after;
		uint8_t buf[SIZE];
		unsigned int n, last;

		assert_int_equal(datapath_port_stats(world.dp, port_index("a"), &before), 0);
		assert_int_equal(datapath_dry_run(world.dp, port_index("a"),
						  frame_of(udp(buf, list[i].dst, mac_a, IP_A, list[i].to,
							       list[i].payload)), &s), 0);
		n = take();
		assert_true(n > 2);
		for (last = 0; last < n && recs[last].point == WATCH_STAGE; last++)
			;
		assert_true(last < n);
		assert_int_equal(recs[last].point, list[i].point);
		assert_int_equal(recs[last].drop, list[i].drop);
		assert_int_equal(datapath_port_stats(world.dp, port_index("a"), &after), 0);
		assert_memory_equal(&before, &after, sizeof(after));
		if (list[i].drop) {
			assert_int_equal(drops_of(list[i].drop), 0);
			/* the guest would be told */
			assert_int_equal(recs[n - 1].point, WATCH_GUEST_TX);
			assert_int_equal(recs[n - 1].port, port_index("a"));
			continue;
		}
		guest_sends(A, udp(buf, list[i].dst, mac_a, IP_A, list[i].to, list[i].payload));
		world_turn();
		if (list[i].point == WATCH_WIRE_TX) {
			const struct fake_member *m = &world.members[recs[last].member];

			assert_int_equal(m->n_sent, 1);
			assert_int_equal(m->sent_len[0], recs[last].len);
			/* all but the outer IP ID and checksum */
			assert_memory_equal(m->sent[0], bytes[last], 18);
			assert_memory_equal(m->sent[0] + 26, bytes[last] + 26, recs[last].len - 26);
		} else {
			assert_int_equal(world.ports[B].n_got, 1);
			assert_memory_equal(world.ports[B].got[0], bytes[last], recs[last].len);
		}
	}
}

/* Who claims an address in a dry run, his own or another's, teaches nobody: it was never sent. */
static void a_dry_run_teaches_nothing(void **state)
{
	const uint32_t claims[] = { IP_A, IP_B, FRAME_IPV4(10, 0, 0, 50) };

	for (unsigned int i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
		struct watch_spec s = spec_of(WATCH_TRACE, ~0u);
		struct sighting seen;
		uint8_t buf[SIZE];
		struct frame f;

		frame_init(&f, buf, SIZE);
		frame_eth(&f, FRAME_MAC(0xff, 0xff, 0xff, 0xff, 0xff, 0xff), mac_a, FRAME_AUTO);
		frame_arp(&f, 1, mac_a, claims[i], FRAME_MAC(0, 0, 0, 0, 0, 0), FRAME_IPV4(10, 0, 0, 77));
		assert_int_equal(datapath_dry_run(world.dp, port_index("a"), frame_of(&f), &s), 0);
		assert_true(take() > 1);
		world_turn();
		assert_int_equal(datapath_sights(world.dp, &seen, 1), 0);
	}
}

static void a_dry_run_of_a_broadcast_shows_all_copies(void **state)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	struct watch_spec s = spec_of(WATCH_TRACE, ~0u);
	unsigned int n, wire = 0, guest = 0;
	uint8_t buf[SIZE];

	assert_int_equal(datapath_dry_run(world.dp, port_index("a"),
					  frame_of(udp(buf, all, mac_a, IP_A, FRAME_IPV4(10, 0, 0, 255), 10)), &s), 0);
	n = take();
	for (unsigned int i = 0; i < n; i++) {
		wire += recs[i].point == WATCH_WIRE_TX;
		guest += recs[i].point == WATCH_GUEST_TX;
	}
	assert_int_equal(wire, 1);
	assert_int_equal(guest, 1);
	world_turn();
	assert_int_equal(world.ports[B].n_got + world.members[0].n_sent + world.members[1].n_sent, 0);
}

static struct watch_spec echo_spec(const char *port, bool receiver, uint64_t nonce)
{
	struct watch_spec s = spec_of(WATCH_ECHO, 0);

	s.echo = (struct watch_echo){ .port = port_index(port), .receiver = receiver, .sequence = 7, .nonce = nonce };
	return s;
}

static struct rte_mbuf *request(struct ip_addr from, struct ip_addr to, const void *dst, uint32_t size)
{
	struct echo_frame f = { .from = from, .to = to, .sequence = 7, .nonce = 99, .size = size };
	struct rte_mbuf *m = rte_pktmbuf_alloc(world.pool);
	uint8_t buf[2048];
	uint32_t n;

	memcpy(&f.dst, dst, 6);
	memcpy(&f.src, mac_a, 6);
	n = echo_write(&f, buf);
	assert_int_equal(n, ETH_HLEN_ + size);
	memcpy(rte_pktmbuf_append(m, (uint16_t)n), buf, n);
	return m;
}

/* Both ends here: no guest sees anything, and the time is told by the records. */
static void there_and_back(void)
{
	struct ip_addr a = ip4_from((uint8_t[]){ 10, 0, 0, 2 }), b = ip4_from((uint8_t[]){ 10, 0, 0, 3 });
	struct watch_spec receiver = echo_spec("b", true, 99);
	struct watch_memory *first = mem;
	struct watch *other;
	struct watch_spec sender;
	struct watch_record r;
	struct errbuf err;
	unsigned int got = 0;

	assert_int_equal(datapath_watch_start(world.dp, &receiver, &other, &err), 0);
	mem = NULL;
	sender = echo_spec("a", false, 99);
	start(&sender);
	assert_int_equal(datapath_inject_egress(world.dp, port_index("a"), request(a, b, mac_b, 600)), 0);
	for (unsigned int i = 0; i < 3; i++) {
		world_turn();
		got += world.ports[A].n_got + world.ports[B].n_got;
	}
	assert_int_equal(got, 0);
	assert_int_equal(take(), 2);
	assert_int_equal(recs[0].point, WATCH_GUEST_RX);
	assert_int_equal(recs[0].flags, ECHO_REQUEST);
	recs[0] = recs[1];
	memcpy(bytes[0], bytes[1], sizeof(bytes[0]));
	assert_int_equal(recs[0].mark, 7);
	assert_int_equal(recs[0].len, ETH_HLEN_ + 600);
	assert_int_equal(recs[0].flags, ECHO_ANSWERED);
	assert_int_equal(frame_csum(bytes[0] + 34, 580, 0), 0);
	assert_int_equal(frame_csum(bytes[0] + 14, 20, 0), 0);
	reader.ring = watch_ring_of(first, 0, RING);
	reader.tail = 0;
	assert_non_null(watch_next(&reader, &r));
	assert_int_equal(r.flags, ECHO_REQUEST);
	datapath_watch_stop(world.dp, other, NULL, NULL);
	free(first);
}

static void a_test_goes_there_and_back(void **state)
{
	there_and_back();
}

/* Machines whose CPUs stand still: nobody serves their rings. */
static void a_test_goes_through_ports_that_are_down(void **state)
{
	world.ports[A].q.tx_ready = world.ports[B].q.tx_ready = 0;
	world.ports[A].q.rx_ready = world.ports[B].q.rx_ready = 0;
	there_and_back();
	assert_int_equal(drops_of(DROP_PORT_DOWN), 0);
}

static void a_test_that_is_dropped_says_why(void **state)
{
	struct ip_addr a = ip4_from((uint8_t[]){ 10, 0, 0, 2 }), b = ip4_from((uint8_t[]){ 10, 9, 9, 9 });
	struct watch_spec sender = echo_spec("a", false, 99);
	struct mac gw = gateway_mac(5001);

	start(&sender);
	assert_int_equal(datapath_inject_egress(world.dp, port_index("a"), request(a, b, &gw, 100)), 0);
	world_turn();
	assert_int_equal(take(), 2);
	assert_int_equal(recs[1].point, WATCH_DROP);
	assert_int_equal(recs[1].drop, DROP_NO_ROUTE);
	assert_int_equal(world.ports[A].n_got, 0); /* its guest has sent nothing, and hears nothing */
}

/* Not armed, the request reaches the guest as any ping does; its own answer is taken out, and told from ours. */
static void only_the_armed_port_takes_it(void **state)
{
	struct ip_addr a = ip4_from((uint8_t[]){ 10, 0, 0, 2 }), b = ip4_from((uint8_t[]){ 10, 0, 0, 3 });
	struct watch_spec s = echo_spec("c", true, 99);

	start(&s);
	assert_int_equal(datapath_inject_egress(world.dp, port_index("a"), request(a, b, mac_b, 100)), 0);
	world_turn();
	assert_int_equal(world.ports[B].n_got, 1);
	assert_int_equal(take(), 0);
}

static void watches_are_limited_and_leave_nothing(void **state)
{
	struct watch_spec s = spec_of(WATCH_CAPTURE, ~0u);
	struct watch *list[WATCH_MAX], *more;
	struct errbuf err;
	uint8_t buf[SIZE];

	for (unsigned int i = 0; i < WATCH_MAX; i++)
		assert_int_equal(datapath_watch_start(world.dp, &s, &list[i], &err), 0);
	assert_int_equal(datapath_watch_start(world.dp, &s, &more, &err), -EBUSY);
	for (unsigned int i = 0; i < WATCH_MAX; i++)
		datapath_watch_stop(world.dp, list[(i + 3) % WATCH_MAX], NULL, NULL);
	assert_null(world.dp->watches);
	guest_sends(A, udp(buf, mac_b, mac_a, IP_A, IP_B, 20));
	world_turn();
	assert_int_equal(take(), 0);
	s.ring_size = 1000;
	assert_int_equal(datapath_watch_start(world.dp, &s, &more, &err), -EINVAL);
}

/* The index of a port or member that has gone is another's: nobody asked for its packets. */
static void what_has_gone_matches_nothing(void **state)
{
	struct watch_spec s = spec_of(WATCH_CAPTURE, ~0u), receiver;
	struct ip_addr a = ip4_from((uint8_t[]){ 10, 0, 0, 2 }), b = ip4_from((uint8_t[]){ 10, 0, 0, 3 });
	uint8_t buf[SIZE];

	s.filter.port = port_index("a");
	start(&s);
	datapath_watch_forget(world.dp, port_index("b"), 0);
	guest_sends(A, udp(buf, mac_b, mac_a, IP_A, IP_B, 20));
	world_turn();
	assert_int_equal(take(), 1);
	datapath_watch_forget(world.dp, port_index("a"), TEAM_NO_MEMBER);
	guest_sends(A, udp(buf, mac_b, mac_a, IP_A, IP_B, 20));
	guest_sends(A, udp(buf, mac_far, mac_a, IP_A, IP_FAR, 20));
	world_turn();
	assert_int_equal(take(), 0);
	datapath_watch_stop(world.dp, running, NULL, NULL);
	running = NULL;

	s = spec_of(WATCH_CAPTURE, ~0u);
	s.filter.member = 1;
	start(&s);
	datapath_watch_forget(world.dp, PORT_NONE, 1);
	guest_sends(A, udp(buf, mac_far, mac_a, IP_A, IP_FAR, 20));
	guest_sends(B, udp(buf, mac_a, mac_b, IP_B, IP_A, 20));
	world_turn();
	assert_int_equal(take(), 0);
	datapath_watch_stop(world.dp, running, NULL, NULL);
	running = NULL;

	receiver = echo_spec("b", true, 0);
	start(&receiver);
	datapath_watch_forget(world.dp, port_index("b"), TEAM_NO_MEMBER);
	assert_int_equal(datapath_inject_egress(world.dp, port_index("a"), request(a, b, mac_b, 600)), 0);
	world_turn();
	assert_int_equal(world.ports[B].n_got, 1); /* nobody takes it: whoever is there now gets it */
}

/* Also when the capture is the older one. */
static void a_capture_does_not_see_what_a_test_takes_out(void **state)
{
	struct ip_addr a = ip4_from((uint8_t[]){ 10, 0, 0, 2 }), b = ip4_from((uint8_t[]){ 10, 0, 0, 3 });
	struct watch_spec s = spec_of(WATCH_CAPTURE, 1u << WATCH_GUEST_TX), receiver;
	struct watch_reader captured = reader;
	struct watch_memory *first = mem;
	struct watch_record r;
	struct watch *capture;
	struct errbuf err;

	assert_int_equal(datapath_watch_start(world.dp, &s, &capture, &err), 0);
	mem = NULL;
	receiver = echo_spec("b", true, 99);
	start(&receiver);
	assert_int_equal(datapath_inject_egress(world.dp, port_index("a"), request(a, b, mac_b, 600)), 0);
	world_turn();
	assert_int_equal(world.ports[B].n_got, 0);
	assert_int_equal(take(), 1);
	assert_null(watch_next(&captured, &r));
	datapath_watch_stop(world.dp, capture, NULL, NULL);
	free(first);
	world_turn(); /* the answer */
}

static unsigned int done;

static void note(void *arg)
{
	++*(unsigned int *)arg;
}

/*
 * A worker stands still for as long as it likes: nobody waits for it, what it may be looking at stays, and its places
 * are nobody else's. As often as there may be watches, and on until memory is given back at once again.
 */
static void who_ends_a_watch_waits_for_no_worker(void **state)
{
	struct watch_spec s = spec_of(WATCH_CAPTURE, 1u << WATCH_GUEST_RX);
	struct watch *first, *second;
	struct errbuf err;

	done = 0;
	assert_int_equal(rcu_register(5), 0);
	world.dp->running = true;
	for (unsigned int i = 0; i < WATCH_MAX / 2; i++) {
		assert_int_equal(datapath_watch_start(world.dp, &s, &first, &err), 0);
		assert_int_equal(datapath_watch_start(world.dp, &s, &second, &err), 0);
		datapath_watch_stop(world.dp, i % 2 ? first : second, note, &done);
		assert_int_equal(world.dp->watches->n, 1);
		datapath_watch_stop(world.dp, i % 2 ? second : first, note, &done);
		assert_null(world.dp->watches);
		rcu_reclaim(0);
		assert_int_equal(done, 0);
	}
	assert_int_equal(world.dp->watch_slots, UINT8_MAX);
	rcu_quiescent(5);
	rcu_reclaim(0);
	assert_int_equal(done, WATCH_MAX);
	assert_int_equal(world.dp->watch_slots, 0);
	assert_int_equal(datapath_watch_start(world.dp, &s, &first, &err), 0);
	datapath_watch_stop(world.dp, first, note, &done);
	rcu_unregister(5);
	world.dp->running = false;
	assert_int_equal(done, WATCH_MAX);
}

/* The last one has ended with the packet path. */
static int teardown_ends_it(void **state)
{
	int r = teardown(state);

	return r == 0 && done == WATCH_MAX + 1 ? 0 : -1;
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(each_point_has_its_copy),
		T(what_the_wire_brings_is_seen_before_it_is_judged),
		T(filters_choose),
		T(a_full_ring_loses_copies_and_no_traffic),
		T(a_trace_follows_marked_packets_only),
		T(a_trace_from_the_wire_ends_at_the_guest),
		T(a_dry_run_says_what_happens_and_does_nothing),
		T(a_dry_run_teaches_nothing),
		T(a_dry_run_of_a_broadcast_shows_all_copies),
		T(a_test_goes_there_and_back),
		T(a_test_goes_through_ports_that_are_down),
		T(a_test_that_is_dropped_says_why),
		T(only_the_armed_port_takes_it),
		T(watches_are_limited_and_leave_nothing),
		T(what_has_gone_matches_nothing),
		T(a_capture_does_not_see_what_a_test_takes_out),
		cmocka_unit_test_setup_teardown(who_ends_a_watch_waits_for_no_worker, world_setup, teardown_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
