/* SPDX-License-Identifier: BSD-3-Clause */
/* What goes wrong at the edges: padding, chains, hooks that keep packets, hosts that change, shares of a rate. */
#include "world.h"

static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

/* From far's guest to PA 0, up to the inner Ethernet header. */
static struct frame *outer(uint8_t *buf, unsigned int from_pa, const void *dst)
{
	static struct frame f;

	frame_init(&f, buf, SIZE);
	frame_eth(&f, mac_pa[0], mac_next, FRAME_AUTO);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = PA(from_pa), .dst = PA(11), .frag = 0x4000 });
	frame_nvgre(&f, 5001, 7);
	frame_eth(&f, dst, mac_far, FRAME_AUTO);
	return &f;
}

static struct frame *tunnel(uint8_t *buf, unsigned int from_pa, const void *dst, uint32_t to)
{
	struct frame *f = outer(buf, from_pa, dst);

	frame_ip4(f, IP_FAR, to, FRAME_AUTO);
	frame_udp(f, 1000, 2000);
	frame_fill(f, 30, 1);
	return f;
}

static unsigned int sent(void)
{
	return world.members[0].n_sent + world.members[1].n_sent;
}

static void host_that_comes_later_is_noticed(void **state)
{
	uint8_t buf[SIZE];

	wire_brings(0, tunnel(buf, 77, mac_a, IP_A));
	world_turn();
	assert_int_equal(drops_of(DROP_SRC_PA_UNKNOWN), 1);
	world_set(OBJECT_HOST, "id=far pas=[{address=192.0.2.21},{address=192.0.2.77}]");
	wire_brings(0, tunnel(buf, 77, mac_a, IP_A));
	world_turn();
	assert_int_equal(world.ports[A].n_got, 1);
	world_set(OBJECT_HOST, "id=far pas=[{address=192.0.2.21}]");
	wire_brings(0, tunnel(buf, 77, mac_a, IP_A));
	world_turn();
	assert_int_equal(world.ports[A].n_got, 0);
	assert_int_equal(drops_of(DROP_SRC_PA_UNKNOWN), 2);
}

static void row1_inner_destination_is_checked(void **state)
{
	uint8_t buf[SIZE];

	wire_brings(0, tunnel(buf, 21, mac_a, IP_B));
	world_turn();
	assert_int_equal(world.ports[A].n_got, 0);
	assert_int_equal(drops_of(DROP_NO_RECORD), 1);
}

static void malformed_inside_is_dropped(void **state)
{
	uint8_t buf[SIZE];
	struct frame *f = tunnel(buf, 21, mac_a, IP_A);

	wire_brings(0, f);
	rte_pktmbuf_mtod(world.members[0].rx[0], uint8_t *)[42 + 14] = 0x41; /* inner IHL */
	world_turn();
	assert_int_equal(drops_of(DROP_INNER_IP), 1);
	assert_int_equal(world.ports[A].n_got, 0);
}

static void padding_of_the_underlay_is_cut(void **state)
{
	uint8_t buf[SIZE];
	struct frame *f = tunnel(buf, 21, mac_a, IP_A);
	struct rte_mbuf *m, *tail;

	wire_brings(0, f);
	m = world.members[0].rx[0];
	memset(rte_pktmbuf_append(m, 6), 0xee, 6);
	tail = rte_pktmbuf_alloc(world.pool);
	memset(rte_pktmbuf_append(tail, 9), 0xee, 9);
	assert_int_equal(rte_pktmbuf_chain(m, tail), 0);
	world_turn();
	assert_int_equal(world.ports[A].n_got, 1);
	assert_int_equal(world.ports[A].got_len[0], f->len - 42);
	assert_memory_equal(world.ports[A].got[0], buf + 42, f->len - 42);
}

static void inner_priority_tag_is_removed(void **state)
{
	uint8_t buf[SIZE];
	struct frame *f = outer(buf, 21, mac_a);

	frame_vlan(f, 0x8100, 0x6000, FRAME_AUTO);
	frame_ip4(f, IP_FAR, IP_A, FRAME_AUTO);
	frame_udp(f, 1000, 2000);
	frame_fill(f, 30, 1);
	nvgre_set_accept_vid0(true);
	wire_brings(0, f);
	world_turn();
	nvgre_set_accept_vid0(false);
	assert_int_equal(world.ports[A].n_got, 1);
	assert_int_equal(world.ports[A].got_len[0], f->len - 46);
	assert_memory_equal(world.ports[A].got[0], buf + 42, 12);
	assert_memory_equal(world.ports[A].got[0] + 12, buf + 42 + 16, f->len - 42 - 16);
}

static void flood_that_does_not_fit_stays_here(void **state)
{
	uint8_t buf[SIZE];

	guest_sends(A, udp(buf, all, mac_a, IP_A, FRAME_IPV4(10, 0, 0, 255), 1472));
	world_turn();
	assert_int_equal(sent(), 0);
	assert_int_equal(drops_of(DROP_TOO_BIG), 1);
	assert_int_equal(world.ports[B].n_got, 1);
}

/* Every receiver gives each segment back once. (World's teardown counts the buffers.) */
static void flooded_chain_is_freed_once(void **state)
{
	struct rte_mbuf *m, *tail = rte_pktmbuf_alloc(world.pool), *all_mbufs[2];
	uint8_t buf[SIZE];

	guest_sends(A, udp(buf, all, mac_a, IP_A, FRAME_IPV4(10, 0, 0, 255), 200));
	m = world.ports[A].rx[0];
	assert_int_equal(rte_pktmbuf_trim(m, 100), 0);
	memset(rte_pktmbuf_append(tail, 100), 0, 100);
	assert_int_equal(rte_pktmbuf_chain(m, tail), 0);
	world_turn();
	assert_int_equal(world.ports[B].n_got, 1);
	/* a segment that came back twice would be given out twice */
	assert_int_equal(rte_mempool_avail_count(world.pool), world.avail);
	assert_int_equal(rte_pktmbuf_alloc_bulk(world.pool, all_mbufs, 2), 0);
	assert_ptr_not_equal(all_mbufs[0], all_mbufs[1]);
	rte_pktmbuf_free_bulk(all_mbufs, 2);
}

/* The path carries what is sent, whatever length the inner IP header claims. */
static void padded_packet_is_judged_by_its_frame(void **state)
{
	uint8_t buf[SIZE];
	struct frame *f = udp(buf, mac_far, mac_a, IP_A, IP_FAR, 10);
	struct rte_mbuf *m;

	guest_sends(A, f);
	m = world.ports[A].rx[0];
	memset(rte_pktmbuf_append(m, (uint16_t)(1473 - f->len)), 0, 1473 - f->len); /* 1459 of IP: one too many */
	guest_sends(A, f);
	m = world.ports[A].rx[1];
	memset(rte_pktmbuf_append(m, (uint16_t)(1472 - f->len)), 0, 1472 - f->len);
	world_turn();
	assert_int_equal(sent(), 1);
	assert_int_equal(drops_of(DROP_TOO_BIG), 1);
}

/* One that fits, one that is a byte too long. */
static void expect_mtu(uint16_t mtu, unsigned int dropped)
{
	uint8_t buf[SIZE];

	world.mtu = mtu;
	assert_int_equal(datapath_host_update(world.dp, HOST_NONE), 0);
	guest_sends(A, udp(buf, mac_far, mac_a, IP_A, IP_FAR, (uint16_t)(mtu - 42 - 28)));
	guest_sends(A, udp(buf, mac_far, mac_a, IP_A, IP_FAR, (uint16_t)(mtu - 42 - 28 + 1)));
	world_turn();
	assert_int_equal(sent(), 1);
	assert_int_equal(drops_of(DROP_TOO_BIG), dropped);
}

/* No path is too narrow to be asked; and it may become wide again. */
static void narrow_path_is_honoured(void **state)
{
	expect_mtu(600, 1);
	expect_mtu(1500, 2);
}

static void chain_is_joined_for_a_device_without_chains(void **state)
{
	uint8_t buf[SIZE], tail_bytes[100];
	struct frame *f = udp(buf, mac_far, mac_a, IP_A, IP_FAR, 200);
	struct rte_mbuf *m, *tail = rte_pktmbuf_alloc(world.pool);
	const struct fake_member *left;

	guest_sends(A, f);
	m = world.ports[A].rx[0];
	memcpy(tail_bytes, buf + f->len - 100, 100);
	assert_int_equal(rte_pktmbuf_trim(m, 100), 0);
	memcpy(rte_pktmbuf_append(tail, 100), tail_bytes, 100);
	assert_int_equal(rte_pktmbuf_chain(m, tail), 0);
	world_turn();
	assert_int_equal(sent(), 1);
	left = &world.members[world.members[1].n_sent];
	assert_int_equal(left->sent_len[0], f->len + 42);
	assert_memory_equal(left->sent[0] + 42, buf, f->len);
}

static void device_without_queues_sends_nothing(void **state)
{
	struct datapath_member_stats st;
	uint8_t buf[SIZE];

	for (unsigned int i = 0; i < 2; i++)
		((struct member_dev *)(uintptr_t)world.view.members[i].dev)->txq = 0;
	guest_sends(A, udp(buf, mac_far, mac_a, IP_A, IP_FAR, 10));
	world_turn();
	assert_int_equal(drops_of(DROP_MEMBER_TX), 1);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(datapath_member_stats(world.dp, i, &st), 0);
		assert_int_equal(st.tx.packets, 0);
		assert_int_equal(st.tx.bytes, 0);
	}
}

/* However many there are: a queue that nobody polls would lose its part of the traffic. */
static void every_member_queue_has_a_worker(void **state)
{
	struct datapath_worker_stats st;

	for (unsigned int i = 0; i < 2; i++)
		((struct member_dev *)(uintptr_t)world.view.members[i].dev)->rxq = 200;
	assert_int_equal(datapath_members_update(world.dp), 0);
	assert_int_equal(datapath_worker_stats(world.dp, 0, &st), 0);
	assert_int_equal(st.member_queues, 400);
	assert_int_equal(st.queues, N_PORTS);
	world_turn();
}

/* ---- hooks ---- */

static struct rte_mbuf *kept;

static void keep(void *arg, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		kept = pkts[i];
		pkt_meta(pkts[i])->verdict = VERDICT_CONSUMED;
	}
}

static void drop_first(void *arg, struct rte_mbuf **pkts, uint16_t n)
{
	bool *done = arg;

	if (!*done)
		meta_drop(pkt_meta(pkts[0]), DROP_SPLIT_HORIZON);
	*done = true;
}

static void turn_with_hook(enum hook_point point, hook_fn fn, void *arg)
{
	static struct hook_table table;

	memset(&table, 0, sizeof(table));
	table.n[point] = 1;
	table.hooks[point][0] = (struct hook){ fn, arg };
	rcu_assign(world.dp->hooks, &table);
	world_turn();
	rcu_assign(world.dp->hooks, NULL);
}

static void hook_may_keep_a_packet(void **state)
{
	static const enum hook_point points[] = { HOOK_GUEST_RX, HOOK_WIRE_TX, HOOK_WIRE_RX, HOOK_GUEST_TX };
	uint8_t buf[SIZE];

	for (unsigned int i = 0; i < 4; i++) {
		if (i < 2)
			guest_sends(A, udp(buf, mac_far, mac_a, IP_A, IP_FAR, 10));
		else
			wire_brings(0, tunnel(buf, 21, mac_a, IP_A));
		kept = NULL;
		turn_with_hook(points[i], keep, NULL);
		assert_non_null(kept);
		assert_int_equal(rte_mbuf_refcnt_read(kept), 1);
		assert_int_equal(sent() + world.ports[A].n_got, 0);
		rte_pktmbuf_free(kept);
	}
}

/* A flooded packet is one packet for all its receivers: what a hook does to one does not happen to the others. */
static void hook_drops_for_one_receiver(void **state)
{
	bool done = false;
	uint8_t buf[SIZE];

	wire_brings(0, tunnel(buf, 21, all, FRAME_IPV4(10, 0, 0, 255)));
	turn_with_hook(HOOK_GUEST_TX, drop_first, &done);
	assert_int_equal(world.ports[A].n_got + world.ports[B].n_got, 1);
	assert_int_equal(drops_of(DROP_SPLIT_HORIZON), 1);
}

/* ---- limits ---- */

static void queues_share_the_rate_of_their_port(void **state)
{
	struct datapath_params knobs = world.dp->params;
	uint16_t index = policy_port_index(world.policy, "a");
	struct fake_queue *f = &world.ports[A], second = { .q = f->q };
	struct port_queue *queues[2] = { &f->q, &second.q };
	uint8_t buf[SIZE];

	second.q.index = 1;
	knobs.flood_pps = 8;
	datapath_set_knobs(world.dp, &knobs);
	datapath_port_detach(world.dp, index, NULL);
	assert_int_equal(datapath_port_attach(world.dp, index, queues, 2), 0);
	for (unsigned int i = 0; i < 40; i++)
		guest_sends(A, udp(buf, all, mac_a, IP_A, FRAME_IPV4(10, 0, 0, 255), 10));
	world_turn();
	assert_int_equal(drops_of(DROP_FLOOD_LIMIT), 0);
	world_turn();
	assert_int_equal(drops_of(DROP_FLOOD_LIMIT), 7); /* 8 / 2 / 4 + 64 / 2 at once */
	datapath_port_detach(world.dp, index, NULL); /* the second queue ends with this function */
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
static bool no_memory;

void *__wrap_calloc(size_t n, size_t size)
{
	return no_memory ? NULL : __real_calloc(n, size);
}

/* No memory for a plan without the port: the plan that is there does not look at the queues any more all the same. */
static void port_goes_without_memory(void **state)
{
	struct fake_queue *f = &world.ports[A], *own = malloc(sizeof(*own));
	struct port_queue *queues[1] = { &own->q };
	uint16_t index = policy_port_index(world.policy, "a");
	struct datapath_port_stats last;
	uint8_t buf[SIZE];

	*own = *f;
	datapath_port_detach(world.dp, index, NULL);
	assert_int_equal(datapath_port_attach(world.dp, index, queues, 1), 0);
	guest_sends(A, udp(buf, mac_far, mac_a, IP_A, IP_FAR, 10));
	own->rx[own->n_rx++] = f->rx[--f->n_rx];
	world_turn();
	guest_sends(A, udp(buf, mac_far, mac_a, IP_A, IP_FAR, 10));
	no_memory = true;
	datapath_port_detach(world.dp, index, &last);
	assert_int_equal(last.rx.packets, 1);
	memset(own, 0xee, sizeof(*own)); /* what the caller does with it */
	free(own);
	world_turn();
	queues[0] = &f->q;
	assert_int_equal(datapath_port_attach(world.dp, index, queues, 1), -ENOMEM);
	no_memory = false;
	assert_int_equal(datapath_port_attach(world.dp, index, queues, 1), 0);
	world_turn();
	assert_int_equal(f->n_rx, 0);
}

/* ---- counters ---- */

/* What all queues counted is what the port or the member counted; and what a port had counted is known when it goes. */
static void queues_count_for_themselves(void **state)
{
	struct fake_queue *f = &world.ports[A], second = { .q = f->q, .room = Q_MAX };
	struct port_queue *queues[2] = { &f->q, &second.q };
	uint16_t index = policy_port_index(world.policy, "a");
	struct datapath_queue_stats q[DATAPATH_MEMBER_QUEUES];
	struct datapath_port_stats st, last;
	struct datapath_member_stats member;
	unsigned int sent[2];
	uint8_t buf[SIZE];

	datapath_port_detach(world.dp, index, &last);
	assert_int_equal(last.rx.packets, 0);
	assert_int_equal(datapath_port_attach(world.dp, index, queues, 2), -EINVAL); /* both are the first */
	second.q.index = 1;
	assert_int_equal(datapath_port_attach(world.dp, index, queues, 2), 0);
	guest_sends(A, udp(buf, mac_far, mac_a, IP_A, IP_FAR, 10));
	guest_sends(A, udp(buf, mac_b, mac_a, IP_A, IP_B, 10));
	world_turn();
	sent[0] = world.members[0].n_sent;
	sent[1] = world.members[1].n_sent;
	for (unsigned int i = 0; i < 16; i++) {
		struct frame *u = udp(buf, mac_a, mac_b, IP_B, IP_A, 10 + i);

		buf[34] = (uint8_t)(0x20 + i); /* another flow: its source port */
		guest_sends(B, u);
	}
	world_turn();
	assert_int_equal(datapath_port_stats(world.dp, index, &st), 0);
	assert_int_equal(datapath_port_queues(world.dp, index, q, DATAPATH_MEMBER_QUEUES), 2);
	assert_int_equal(q[0].rx.packets, 2);
	assert_int_equal(q[1].rx.packets, 0); /* its guest has sent nothing by it */
	assert_int_equal(q[0].rx.bytes, st.rx.bytes);
	assert_int_equal(q[0].tx.packets, f->n_got);
	assert_int_equal(q[1].tx.packets, second.n_got);
	assert_true(f->n_got && second.n_got);
	assert_int_equal(q[0].tx.bytes + q[1].tx.bytes, st.tx.bytes);
	assert_int_equal(st.tx.packets, 16);
	for (unsigned int i = 0; i < 2; i++) {
		datapath_member_stats(world.dp, i, &member);
		datapath_member_queues_all(world.dp, i, q);
		assert_int_equal(datapath_member_queues(world.dp, i), 1);
		assert_int_equal(q[0].tx.packets, sent[i]);
		assert_int_equal(q[0].tx.bytes, member.tx.bytes);
		assert_int_equal(member.tx.bytes, sent[i] * (42u + 14 + 20 + 8 + 10));
	}
	assert_int_equal(sent[0] + sent[1], 1);
	assert_int_equal(datapath_member_queues(world.dp, TEAM_MEMBERS), 0);
	datapath_port_detach(world.dp, index, &last);
	assert_memory_equal(&last, &st, sizeof(st));
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(host_that_comes_later_is_noticed),
		T(row1_inner_destination_is_checked),
		T(malformed_inside_is_dropped),
		T(padding_of_the_underlay_is_cut),
		T(inner_priority_tag_is_removed),
		T(flood_that_does_not_fit_stays_here),
		T(flooded_chain_is_freed_once),
		T(padded_packet_is_judged_by_its_frame),
		T(narrow_path_is_honoured),
		T(chain_is_joined_for_a_device_without_chains),
		T(device_without_queues_sends_nothing),
		T(every_member_queue_has_a_worker),
		T(hook_may_keep_a_packet),
		T(hook_drops_for_one_receiver),
		T(queues_share_the_rate_of_their_port),
		T(port_goes_without_memory),
		T(queues_count_for_themselves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
