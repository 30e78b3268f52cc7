/* SPDX-License-Identifier: BSD-3-Clause */
/* Software RSS: two workers, one queue per member; each worker makes the turns that the test asks for. */
#include "world.h"

static const uint8_t seq_at = 42; /* payload of the inner UDP packet */

/* Frame number `seq` of a flow to guest a. */
static void brings(uint16_t flow, uint8_t seq)
{
	static uint8_t buf[SIZE];
	struct frame f;
	uint8_t *payload;

	frame_init(&f, buf, SIZE);
	frame_eth(&f, mac_pa[0], mac_next, FRAME_AUTO);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = PA(21), .dst = PA(11), .frag = 0x4000 });
	frame_nvgre(&f, 5001, 7);
	frame_eth(&f, mac_a, mac_far, FRAME_AUTO);
	frame_ip4(&f, IP_FAR, IP_A, FRAME_AUTO);
	frame_udp(&f, (uint16_t)(1000 + flow), 2000);
	payload = frame_fill(&f, 20, seq);
	payload[1] = (uint8_t)flow;
	wire_brings(0, &f);
}

static void knob(enum offload_rss rss)
{
	struct datapath_params p = world.dp->params;

	p.rss = (uint8_t)rss;
	datapath_set_knobs(world.dp, &p);
}

static uint64_t handed(void)
{
	uint64_t n[OFFLOAD_COUNTERS];

	datapath_offload(world.dp, n);
	return n[OFFLOAD_RSS_SW];
}

static uint8_t seq_of(unsigned int i)
{
	return world.ports[A].got[i][seq_at];
}

static uint8_t flow_of(unsigned int i)
{
	return world.ports[A].got[i][seq_at + 1];
}

/* A flow that worker 1 carries. */
static uint16_t flow_of_other(void)
{
	for (uint16_t flow = 0; flow < 64; flow++) {
		uint64_t before = handed();

		world_forget();
		brings(flow, 0);
		world_turn_of(0);
		world_turn_of(1);
		assert_int_equal(world.ports[A].n_got, 1);
		world_forget();
		if (handed() > before)
			return flow;
	}
	fail_msg("every flow is worker 0's");
	return 0;
}

/* Software RSS: a flow stays with its worker. */
static void row69_flows_are_spread_in_order(void **state)
{
	int last[16];
	unsigned int by0, by1, lone = 0;
	uint16_t where[16] = { 0 };

	knob(OFFLOAD_RSS_ALWAYS);
	for (unsigned int i = 0; i < 48; i++)
		brings((uint16_t)(i % 16), (uint8_t)i);
	world_turn_of(0);
	by0 = world.ports[A].n_got;
	world_turn_of(1);
	by1 = world.ports[A].n_got - by0;
	assert_int_equal(by0 + by1, 48);
	assert_true(by0 && by1);
	assert_int_equal(handed(), by1);
	memset(last, 0xff, sizeof(last));
	for (unsigned int i = 0; i < 48; i++) {
		assert_true(seq_of(i) > last[flow_of(i)]);
		last[flow_of(i)] = seq_of(i);
		where[flow_of(i)] |= i < by0 ? 1 : 2;
	}
	for (unsigned int i = 0; i < 16; i++)
		lone += where[i] != 3;
	assert_int_equal(lone, 16); /* no flow is carried by both */
}

static void order_is_kept_when_it_ends(void **state)
{
	uint16_t flow;

	knob(OFFLOAD_RSS_ALWAYS);
	flow = flow_of_other();
	brings(flow, 1);
	world_turn_of(0);
	knob(OFFLOAD_RSS_OFF);
	brings(flow, 2);
	world_turn_of(0);
	assert_int_equal(world.ports[A].n_got, 0); /* the first one still waits for worker 1 */
	assert_int_equal(datapath_spreading(world.dp), 2);
	world_turn_of(1);
	assert_int_equal(datapath_spreading(world.dp), 1);
	brings(flow, 3);
	world_turn_of(0);
	assert_int_equal(world.ports[A].n_got, 3);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(seq_of(i), i + 1);
	assert_int_equal(datapath_spreading(world.dp), 0);
}

/* What a worker does in `turns` tenths of a millisecond, with so many frames in each. */
static void busy(unsigned int turns, unsigned int frames, uint16_t flow, bool other_busy)
{
	for (unsigned int t = 0; t < turns; t++) {
		struct worker *w = world.dp->workers[0], *other = world.dp->workers[1];
		uint64_t passed = world.dp->tsc_hz / 10000;

		for (unsigned int i = 0; i < frames; i++)
			brings(flow, 0);
		w->now += passed;
		other->now += passed;
		other->busy_cycles += other_busy ? passed : 0;
		worker_turn(w);
		worker_turn(other);
		world_forget();
	}
}

static void automatic_needs_load_and_a_helper(void **state)
{
	uint64_t before;
	uint16_t flow;

	knob(OFFLOAD_RSS_ALWAYS);
	flow = flow_of_other();
	before = handed();
	knob(OFFLOAD_RSS_OFF);
	busy(2, 0, flow, false);
	assert_int_equal(datapath_spreading(world.dp), 0);
	knob(OFFLOAD_RSS_AUTO);
	busy(60, 32, 1, false); /* it can carry that */
	assert_int_equal(datapath_spreading(world.dp), 0);
	busy(60, WIRE_BURST, 1, true); /* nobody can help */
	assert_int_equal(datapath_spreading(world.dp), 0);
	assert_int_equal(handed(), before);
	busy(60, WIRE_BURST, flow, false);
	assert_int_equal(datapath_spreading(world.dp), 1);
	before = handed();
	busy(2000, WIRE_BURST, flow, false); /* as long as that lasts */
	assert_int_equal(datapath_spreading(world.dp), 1);
	assert_int_equal(handed() - before, 2000 * WIRE_BURST);
	assert_int_equal(drops_of(DROP_WORKER_FULL), 0);
	busy(500, 8, 1, false); /* not at the first pause */
	assert_int_equal(datapath_spreading(world.dp), 1);
	busy(1500, 8, 1, false);
	assert_int_equal(datapath_spreading(world.dp), 0);
}

/* One of a worker's three queues overflows: the empty ones beside it do not make that less. */
static void automatic_with_several_queues(void **state)
{
	for (unsigned int i = 0; i < 2; i++)
		((struct member_dev *)(uintptr_t)world.view.members[i].dev)->rxq = 6;
	assert_int_equal(plan_publish(world.dp), 0);
	assert_true(((const struct plan *)world.dp->workers[0]->plan)->n_members >= 3);
	knob(OFFLOAD_RSS_AUTO);
	busy(60, WIRE_BURST, 1, false);
	assert_int_equal(datapath_spreading(world.dp), 1);
	busy(2000, 8, 1, false);
	assert_int_equal(datapath_spreading(world.dp), 0);
}

/* What the knob began ends by load when it goes back. */
static void automatic_after_always(void **state)
{
	knob(OFFLOAD_RSS_ALWAYS);
	busy(20, 32, 1, false);
	assert_int_equal(datapath_spreading(world.dp), 2);
	knob(OFFLOAD_RSS_AUTO);
	busy(2000, 8, 1, false);
	assert_int_equal(datapath_spreading(world.dp), 0);
}

/* Frames come without a pause while it ends: those that come meanwhile wait in the device, in order. */
static void ends_under_load(void **state)
{
	uint16_t flow;

	knob(OFFLOAD_RSS_ALWAYS);
	flow = flow_of_other();
	for (unsigned int i = 0; i < 4; i++) {
		brings(flow, i + 1);
		world_turn_of(0);
		if (i == 0)
			knob(OFFLOAD_RSS_OFF);
	}
	world_turn_of(1);
	brings(flow, 5);
	world_turn_of(0);
	world_turn_of(1);
	assert_int_equal(datapath_spreading(world.dp), 0);
	assert_int_equal(world.ports[A].n_got, 5);
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(seq_of(i), i + 1);
}

/* The other worker never gets to the end of what comes: it ends all the same, as nothing more is handed over. */
static void ends_behind_a_backlog(void **state)
{
	uint16_t flow;
	unsigned int i;

	knob(OFFLOAD_RSS_ALWAYS);
	flow = flow_of_other();
	for (i = 0; i < 9; i++) {
		if (i == 3)
			knob(OFFLOAD_RSS_OFF);
		while (world.members[0].n_rx < WIRE_BURST) /* what waits in the device */
			brings(flow, 0);
		world_turn_of(0);
		if (i >= 3)
			world_turn_of(1); /* takes a burst of it */
		world_forget();
	}
	assert_int_equal(datapath_spreading(world.dp), 0);
	assert_int_equal(drops_of(DROP_WORKER_FULL), 0);
	world_turn_of(0);
}

/* 1,280 frames that the other worker does not take. @return how many wait for it. */
static uint64_t too_many(void)
{
	uint64_t before, dropped = drops_of(DROP_WORKER_FULL);
	uint16_t flow;

	knob(OFFLOAD_RSS_ALWAYS);
	flow = flow_of_other();
	before = handed();
	for (unsigned int turn = 0; turn < 10; turn++) {
		for (unsigned int i = 0; i < WIRE_BURST; i++)
			brings(flow, 0);
		world_turn_of(0);
	}
	assert_int_equal(drops_of(DROP_WORKER_FULL) - dropped, 10 * WIRE_BURST - (handed() - before));
	return handed() - before;
}

static void empty_lanes(void)
{
	for (unsigned int turn = 0; turn < 10; turn++) {
		world_forget();
		world_turn_of(1);
	}
}

static void a_full_lane_drops_by_name(void **state)
{
	assert_int_equal(too_many(), 1023);
	empty_lanes();
}

/* Buffers that wait are missed elsewhere: no more than a quarter does, whatever the lanes hold. */
static void a_small_pool_is_left_to_others(void **state)
{
	uint64_t before;

	assert_in_range(too_many(), 100, 2047 / 4);
	empty_lanes();
	before = handed();
	assert_true(too_many() > 0); /* they are counted back, and shared with the other writer */
	assert_int_equal(handed() - before, 2047 / 4 / 2 + 1); /* and one to find the flow */
	empty_lanes();
}

/* What a writer was granted when it was alone does not last once there are others. */
static void writers_come_later(void **state)
{
	uint64_t before;
	uint16_t flow;

	knob(OFFLOAD_RSS_ALWAYS);
	flow = flow_of_other();
	brings(flow, 0);
	world_turn_of(0); /* it may hand over 1,023 now */
	world.dp->spreading |= 2;
	before = handed();
	for (unsigned int turn = 0; turn < 10; turn++) {
		for (unsigned int i = 0; i < WIRE_BURST; i++)
			brings(flow, 0);
		world_turn_of(0);
	}
	assert_in_range(handed() - before, 1, 4 * WIRE_BURST);
	world.dp->spreading &= ~UINT64_C(2);
	empty_lanes();
}

/* What seven writers have for worker 0, as much as each of its lanes is to hold. */
static void fill_lanes(unsigned int frames)
{
	static uint8_t b[SIZE];

	for (unsigned int from = 1; from < 8; from++) {
		struct lane *lane = &world.dp->lanes[from * 8];

		while (rte_ring_count(lane->ring) < frames) {
			struct frame *f = udp(b, mac_pa[0], mac_next, PA(21), PA(11), 20); /* nobody's */
			struct rte_mbuf *m;

			wire_brings(0, f);
			m = world.members[0].rx[--world.members[0].n_rx];
			memset(pkt_meta(m), 0, sizeof(struct pkt_meta));
			pkt_meta(m)->view = (uint16_t)world.view.gen;
			assert_int_equal(rte_ring_sp_enqueue(lane->ring, m), 0);
			lane->sent++;
		}
	}
	world.dp->spreading = 0xfe;
}

/* A turn takes so much of others and no more, and nobody waits for ever behind others that always have something. */
static void a_turn_ends(void **state)
{
	for (unsigned int turn = 0; turn < 14; turn++) {
		uint64_t before = drops_of(DROP_WIRE_OTHER);

		fill_lanes(200);
		world_turn_of(0);
		assert_int_equal(drops_of(DROP_WIRE_OTHER) - before, 256);
	}
	for (unsigned int from = 1; from < 8; from++)
		assert_int_equal(world.dp->lanes[from * 8].done, 14 * 256 / 7);
	world.dp->spreading = 0;
	handover_free(world.dp);
}

/* Nothing of the turn in which a frame was received is believed in the one in which it is carried. */
static void the_member_may_be_gone(void **state)
{
	uint16_t flow;

	knob(OFFLOAD_RSS_ALWAYS);
	flow = flow_of_other();
	brings(flow, 1);
	world_turn_of(0);
	world.view.members[0].dev = NULL;
	world.view.gen++;
	world_turn_of(1);
	assert_int_equal(world.ports[A].n_got, 0);
	assert_int_equal(drops_of(DROP_NO_MEMBER), 1);
}

static void lanes_are_emptied_at_the_end(void **state)
{
	uint16_t flow;

	knob(OFFLOAD_RSS_ALWAYS);
	flow = flow_of_other();
	brings(flow, 1);
	world_turn_of(0);
	assert_int_equal(rte_ring_count(world.dp->lanes[1].ring), 1);
	handover_free(world.dp);
	world.dp->spreading = 0;
}

/* Frames that are not for us are judged where they came in, and once. */
static void others_frames_stay(void **state)
{
	uint8_t buf[SIZE];

	knob(OFFLOAD_RSS_ALWAYS);
	wire_brings(0, udp(buf, mac_pa[0], mac_next, PA(21), PA(11), 20));
	world_turn_of(0);
	assert_int_equal(drops_of(DROP_WIRE_OTHER), 1);
	assert_int_equal(handed(), 0);
}

static void one_worker_has_no_lanes(void **state)
{
	assert_null(world.dp->lanes);
	knob(OFFLOAD_RSS_ALWAYS);
	brings(1, 1);
	world_turn();
	assert_int_equal(world.ports[A].n_got, 1);
	assert_int_equal(datapath_spreading(world.dp), 0);
}

static int eight(void **state)
{
	world_workers = 8;
	return world_setup(state);
}

static int two_and_buffers(void **state)
{
	world_workers = 2;
	world_mbufs = 8191;
	return world_setup(state);
}

static int no_more_buffers(void **state)
{
	world_mbufs = 0;
	return world_teardown(state);
}

static int two(void **state)
{
	world_workers = 2;
	return world_setup(state);
}

static int two_large(void **state)
{
	world_mbufs = 4095;
	return two(state);
}

static int one(void **state)
{
	world_workers = 1;
	return world_setup(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(row69_flows_are_spread_in_order, two, world_teardown),
		cmocka_unit_test_setup_teardown(order_is_kept_when_it_ends, two, world_teardown),
		cmocka_unit_test_setup_teardown(automatic_needs_load_and_a_helper, two, world_teardown),
		cmocka_unit_test_setup_teardown(automatic_after_always, two, world_teardown),
		cmocka_unit_test_setup_teardown(ends_under_load, two, world_teardown),
		cmocka_unit_test_setup_teardown(ends_behind_a_backlog, two_and_buffers, no_more_buffers),
		cmocka_unit_test_setup_teardown(automatic_with_several_queues, two, world_teardown),
		cmocka_unit_test_setup_teardown(a_full_lane_drops_by_name, two_and_buffers, no_more_buffers),
		cmocka_unit_test_setup_teardown(a_small_pool_is_left_to_others, two, world_teardown),
		cmocka_unit_test_setup_teardown(writers_come_later, two_large, no_more_buffers),
		cmocka_unit_test_setup_teardown(a_turn_ends, eight, world_teardown),
		cmocka_unit_test_setup_teardown(the_member_may_be_gone, two, world_teardown),
		cmocka_unit_test_setup_teardown(lanes_are_emptied_at_the_end, two, world_teardown),
		cmocka_unit_test_setup_teardown(others_frames_stay, two, world_teardown),
		cmocka_unit_test_setup_teardown(one_worker_has_no_lanes, one, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
