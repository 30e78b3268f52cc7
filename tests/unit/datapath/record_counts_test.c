/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets by lookup record: who counts, whose they are, and that a record inherits nothing. */
#include "base/str.h"
#include "world.h"

static struct record_spec record(uint32_t vsid, uint8_t c, uint8_t d)
{
	return (struct record_spec){ .vsid = vsid, .ca = ip4_from((uint8_t[]){ 10, 0, c, d }) };
}

static struct traffic traffic_of(struct record_spec rec)
{
	uint32_t place = policy_record_place(world.policy, &rec);
	struct traffic t;

	assert_int_not_equal(place, REC_NONE);
	datapath_record_traffic(world.dp, place, &t);
	return t;
}

static void expect(struct record_spec rec, uint64_t packets, uint64_t bytes)
{
	struct traffic t = traffic_of(rec);

	assert_int_equal(t.packets, packets);
	assert_int_equal(t.bytes, bytes);
}

/* UDP of 100 bytes. @return bytes of the frame. */
static size_t sends(unsigned int port, const uint8_t *dst, const uint8_t *src, uint32_t from, uint32_t to)
{
	uint8_t buf[SIZE];
	struct frame *f = udp(buf, dst, src, from, to, 100);

	guest_sends(port, f);
	world_turn();
	return f->len;
}

static void from_wire(unsigned int member)
{
	uint8_t buf[SIZE];
	struct frame f;

	frame_init(&f, buf, SIZE);
	frame_eth(&f, mac_pa[member], mac_next, FRAME_AUTO);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = PA(21), .dst = PA(11 + member), .frag = 0x4000 });
	frame_nvgre(&f, 5001, 7);
	frame_eth(&f, mac_a, mac_far, FRAME_AUTO);
	frame_ip4(&f, IP_FAR, IP_A, FRAME_AUTO);
	frame_udp(&f, 1000, 2000);
	frame_fill(&f, 30, 1);
	wire_brings(member, &f);
	world_turn_of(world_workers ? member : 0);
}

static void each_packet_counts_at_its_record(void **state)
{
	struct mac gw = gateway_mac(5001);
	uint8_t buf[SIZE];
	struct frame f;
	size_t len;

	sends(A, mac_far, mac_a, IP_A, IP_FAR);
	expect(record(5001, 0, 9), 0, 0); /* nobody has asked */
	assert_false(datapath_counts_records(world.dp));
	assert_int_equal(datapath_count_records(world.dp, true), 0);
	assert_int_equal(datapath_count_records(world.dp, true), 0);
	assert_true(datapath_counts_records(world.dp));

	sends(A, mac_far, mac_a, IP_A, IP_FAR);
	len = sends(A, mac_far, mac_a, IP_A, IP_FAR);
	expect(record(5001, 0, 9), 2, 2 * len);
	len = sends(A, mac_b, mac_a, IP_A, IP_B);
	expect(record(5001, 0, 3), 1, len);
	len = sends(A, gw.b, mac_a, IP_A, IP_C); /* routed: the record that the router has found */
	expect(record(5002, 1, 2), 1, len);
	sends(A, gw.b, mac_a, IP_A, IP_FAR_C);
	expect(record(5002, 1, 9), 1, len);
	expect(record(6001, 0, 2), 0, 0); /* the same address of another tenant */

	expect(record(5001, 0, 2), 0, 0);
	from_wire(0);
	expect(record(5001, 0, 2), 1, 14 + 20 + 8 + 30);

	/* What is dropped, flooded or for another MAC is nobody's. */
	sends(A, mac_far, mac_b, IP_A, IP_FAR);
	sends(A, ((uint8_t[]){ 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }), mac_a, IP_A, FRAME_IPV4(10, 0, 0, 255));
	sends(A, mac_b, mac_a, IP_A, IP_FAR);
	frame_init(&f, buf, SIZE);
	frame_eth(&f, mac_b, mac_a, 0x88b5);
	frame_fill(&f, 60, 1);
	guest_sends(A, &f);
	world_turn();
	expect(record(5001, 0, 9), 2, 2 * len);
	expect(record(5001, 0, 3), 1, len);
}

static void a_dry_run_counts_nothing(void **state)
{
	struct watch_spec s = { .kind = WATCH_TRACE, .snap = 128, .ring_size = WATCH_RING_MIN,
				.filter = { .port = PORT_NONE, .member = TEAM_NO_MEMBER } };
	struct rte_mbuf *m = rte_pktmbuf_alloc(world.pool);
	uint8_t buf[SIZE];
	struct frame *f = udp(buf, mac_far, mac_a, IP_A, IP_FAR, 20);
	size_t size = RTE_ALIGN_CEIL(watch_memory_bytes(1, s.ring_size), (size_t)64);
	ssize_t n = frame_finish(f);

	assert_int_equal(datapath_count_records(world.dp, true), 0);
	s.memory = aligned_alloc(64, size);
	assert_non_null(s.memory);
	memset(s.memory, 0, size);
	memcpy(rte_pktmbuf_append(m, (uint16_t)n), buf, (size_t)n);
	assert_int_equal(datapath_dry_run(world.dp, policy_port_index(world.policy, "a"), m, &s), 0);
	free(s.memory);
	expect(record(5001, 0, 9), 0, 0);
}

static void all_workers_count(void **state)
{
	const size_t len = 14 + 20 + 8 + 30;

	assert_int_equal(datapath_count_records(world.dp, true), 0);
	from_wire(0); /* each worker polls a member */
	from_wire(1);
	from_wire(1);
	expect(record(5001, 0, 2), 3, 3 * len);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(world.dp->workers[i]->stage[STAGE_WIRE_RX], 1 + i);
}

static void remove_record(struct record_spec rec)
{
	assert_int_equal(policy_remove(world.policy, OBJECT_RECORD, &rec, ORIGIN_CONFIG, NULL), 0);
}

/* Places come round again: another record, or the same anew, begins with nothing and counts from there. */
static void a_record_inherits_nothing(void **state)
{
	struct record_spec rec = record(5001, 0, 9);
	uint32_t place = policy_record_place(world.policy, &rec);
	unsigned int tries = 0;
	size_t len;

	assert_int_equal(datapath_count_records(world.dp, true), 0);
	for (unsigned int i = 0; i < 5; i++)
		len = sends(A, mac_far, mac_a, IP_A, IP_FAR);
	expect(rec, 5, 5 * len);
	do {
		assert_true(tries++ < 2 * policy_record_places(world.policy));
		remove_record(rec);
		world_set(OBJECT_RECORD, "vsid=5001 ca=10.0.0.9 mac=02:00:00:00:09:01 host=far");
		expect(rec, 0, 0);
	} while (policy_record_place(world.policy, &rec) != place);
	assert_true(tries > 1);
	len = sends(A, mac_far, mac_a, IP_A, IP_FAR);
	expect(rec, 1, len);
}

/* It is the same record with another MAC, elsewhere in memory. */
static void a_record_keeps_its_counts_with_another_mac(void **state)
{
	static const uint8_t other[6] = { 2, 0, 0, 0, 9, 0x77 };
	struct record_spec rec = record(5001, 0, 9);
	uint32_t place = policy_record_place(world.policy, &rec);
	size_t len;

	assert_int_equal(datapath_count_records(world.dp, true), 0);
	sends(A, mac_far, mac_a, IP_A, IP_FAR);
	sends(A, mac_far, mac_a, IP_A, IP_FAR);
	world_set(OBJECT_RECORD, "vsid=5001 ca=10.0.0.9 mac=02:00:00:00:09:77 host=far");
	assert_int_not_equal(policy_record_place(world.policy, &rec), place);
	len = sends(A, other, mac_a, IP_A, IP_FAR);
	expect(rec, 3, 3 * len);
	world_set(OBJECT_HOST, "id=other pas=[{address=192.0.2.31}]");
	world_set(OBJECT_RECORD, "vsid=5001 ca=10.0.0.9 mac=02:00:00:00:09:77 host=other"); /* moves, in place */
	expect(rec, 3, 3 * len);
}

static void off_forgets(void **state)
{
	size_t len;

	assert_int_equal(datapath_count_records(world.dp, true), 0);
	sends(A, mac_far, mac_a, IP_A, IP_FAR);
	assert_int_equal(datapath_count_records(world.dp, false), 0);
	assert_int_equal(datapath_count_records(world.dp, false), 0);
	assert_false(datapath_counts_records(world.dp));
	expect(record(5001, 0, 9), 0, 0);
	world_set(OBJECT_RECORD, "vsid=5001 ca=10.0.0.8 mac=02:00:00:00:09:08 host=far"); /* nobody is told */
	sends(A, mac_far, mac_a, IP_A, IP_FAR);
	assert_int_equal(datapath_count_records(world.dp, true), 0);
	expect(record(5001, 0, 9), 0, 0);
	len = sends(A, mac_far, mac_a, IP_A, IP_FAR);
	expect(record(5001, 0, 9), 1, len);
	/* Other knobs leave it alone. */
	datapath_set_knobs(world.dp, &world.dp->params);
	sends(A, mac_far, mac_a, IP_A, IP_FAR);
	expect(record(5001, 0, 9), 2, 2 * len);
}

static int two_workers(void **state)
{
	world_workers = 2;
	return world_setup(state);
}

static int one_worker(void **state)
{
	world_workers = 0;
	return world_teardown(state);
}

#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(each_packet_counts_at_its_record),
		T(a_dry_run_counts_nothing),
		cmocka_unit_test_setup_teardown(all_workers_count, two_workers, one_worker),
		T(a_record_inherits_nothing),
		T(a_record_keeps_its_counts_with_another_mac),
		T(off_forgets),
	};

	return cmocka_run_group_tests_name("datapath-record-counts", tests, NULL, NULL);
}
