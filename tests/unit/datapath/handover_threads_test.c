/* SPDX-License-Identifier: BSD-3-Clause */
/* Software RSS by workers that run: a flow keeps its order while frames begin to be handed over, and end. */
#include <sched.h>
#include <unistd.h>
#include <rte_lcore.h>
#include <rte_pause.h>

#include "eal.h"
#include "world.h"

#define FLOWS	 16
#define SWITCHES 60
#define FRAMES	 1000 /* at least, between two */
#define PATIENCE 60   /* seconds for all that has to happen */

static const uint8_t mac_d[6] = { 2, 0, 0, 0, 0, 0xd };
static uint8_t frame[SIZE];
static uint16_t frame_len;

/* ---- a NIC that is never empty; worker 0 has its queue ---- */

static uint32_t next_seq[FLOWS], number;

static uint16_t nic_rx(const struct member_dev *d, uint16_t q, struct rte_mbuf **pkts, uint16_t n)
{
	if (rte_pktmbuf_alloc_bulk(world.pool, pkts, n) < 0)
		return 0;
	for (uint16_t i = 0; i < n; i++) {
		uint8_t *b = rte_pktmbuf_mtod(pkts[i], uint8_t *);
		uint32_t flow = number++ * 2654435761u >> 28;

		memcpy(b, frame, frame_len);
		store_be16(b + 42 + 34, (uint16_t)(1000 + flow));
		store_be32(b + 42 + 42, flow);
		store_be32(b + 42 + 46, ++next_seq[flow]);
		pkts[i]->pkt_len = pkts[i]->data_len = frame_len;
	}
	return n;
}

static uint16_t nic_tx(const struct member_dev *d, uint16_t q, struct rte_mbuf **pkts, uint16_t n)
{
	rte_pktmbuf_free_bulk(pkts, n);
	return n;
}

static const struct member_ops nic_ops = { .name = "endless", .rx = nic_rx, .tx = nic_tx };
static struct member_dev nic = { .ops = &nic_ops, .rxq = 1, .txq = 2 };

/* ---- a guest with a queue for each worker ---- */

static uint32_t last_seq[FLOWS];
static uint64_t received, overtaken; /* of both workers, atomically */
static struct port_queue queues[2];

static uint16_t guest_rx(struct port_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	return 0;
}

static uint16_t guest_tx(struct port_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	/* The worker that helps is the slower one: what it has is overtaken if it is not waited for. */
	for (unsigned int i = 0; i < (rte_lcore_id() == 2 ? 300 : 0); i++)
		rte_pause();
	for (uint16_t i = 0; i < n; i++) {
		const uint8_t *b = rte_pktmbuf_mtod(pkts[i], const uint8_t *);
		uint32_t seq = load_be32(b + 46);

		if (__atomic_exchange_n(&last_seq[load_be32(b + 42) % FLOWS], seq, __ATOMIC_ACQ_REL) >= seq)
			__atomic_fetch_add(&overtaken, 1, __ATOMIC_RELAXED);
	}
	__atomic_fetch_add(&received, n, __ATOMIC_RELEASE);
	return n;
}

static const struct port_ops guest_ops = { .name = "guest", .rx = guest_rx, .tx = guest_tx };

static void attach_guest(void)
{
	struct port_queue *q[2] = { &queues[0], &queues[1] };

	world_set(OBJECT_PORT, "id=d vsid=5001 macs=[02:00:00:00:00:0d]");
	world_set(OBJECT_RECORD, "vsid=5001 ca=10.0.0.4 mac=02:00:00:00:00:0d host=self");
	for (unsigned int i = 0; i < 2; i++)
		queues[i] = (struct port_queue){ .ops = &guest_ops, .rx_ready = 1, .tx_ready = 1, .fits = UINT32_MAX,
						 .index = (uint16_t)i,
						 .port = policy_port_index(world.policy, "d"),
						 .socket = SOCKET_ID_ANY };
	assert_int_equal(datapath_port_attach(world.dp, queues[0].port, q, 2), 0);
}

static void make_frame(void)
{
	struct frame f;
	ssize_t len;

	frame_init(&f, frame, SIZE);
	frame_eth(&f, mac_pa[0], mac_next, FRAME_AUTO);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = PA(21), .dst = PA(11), .frag = 0x4000 });
	frame_nvgre(&f, 5001, 7);
	frame_eth(&f, mac_d, mac_far, FRAME_AUTO);
	frame_ip4(&f, IP_FAR, FRAME_IPV4(10, 0, 0, 4), FRAME_AUTO);
	frame_udp(&f, 1000, 2000);
	frame_fill(&f, 20, 1);
	len = frame_finish(&f);
	assert_true(len > 0);
	frame_len = (uint16_t)len;
}

static void wait_for(uint64_t frames)
{
	uint64_t to = __atomic_load_n(&received, __ATOMIC_ACQUIRE) + frames;

	for (unsigned int i = 0; __atomic_load_n(&received, __ATOMIC_ACQUIRE) < to; i++) {
		if (i == PATIENCE * 1000)
			fail_msg("nothing arrives");
		usleep(1000);
	}
}

static void order_is_kept(void **state)
{
	struct datapath_params p = world.dp->params;
	uint64_t n[OFFLOAD_COUNTERS], handed = 0;
	struct errbuf err = { "" };

	assert_int_equal(datapath_start(world.dp, &err), 0);
	for (unsigned int i = 0; i < SWITCHES; i++) {
		p.rss = i & 1 ? OFFLOAD_RSS_OFF : OFFLOAD_RSS_ALWAYS;
		datapath_set_knobs(world.dp, &p);
		wait_for(FRAMES);
		for (unsigned int t = 0; i & 1 && datapath_spreading(world.dp); t++) {
			if (t == PATIENCE * 1000)
				fail_msg("it does not end");
			usleep(1000);
		}
		datapath_offload(world.dp, n);
		assert_true(i & 1 || n[OFFLOAD_RSS_SW] > handed);
		handed = n[OFFLOAD_RSS_SW];
	}
	for (unsigned int i = 0; i < 2; i++)
		__atomic_store_n(&world.dp->workers[i]->stop, true, __ATOMIC_RELEASE);
	rte_eal_mp_wait_lcore();
	assert_int_equal(overtaken, 0);
}

/* Both workers on processors that this process may use; two of them where it may. */
static int setup(void **state)
{
	int first = -1, last = -1;
	char lcores[64];
	cpu_set_t set;

	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &set))
			continue;
		first = first < 0 ? cpu : first;
		last = cpu;
	}
	snprintf(lcores, sizeof(lcores), "--lcores=0@%d,1@%d,2@%d", first, first, last);
	assert_int_equal(test_eal_init_args(128, (const char *const[]){ lcores, NULL }), 0);
	world_workers = 2;
	world_mbufs = 8191;
	world_setup(state);
	make_frame();
	attach_guest();
	world.view.members[0].dev = &nic;
	world.view.members[1].dev = NULL;
	return datapath_members_update(world.dp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(order_is_kept, setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
