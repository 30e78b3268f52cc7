/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What software RSS gains: one receive queue that never runs empty, two workers, a guest with a queue for each. Frames
 * are in their buffers already, as a NIC leaves them there, and are copied once, as into a guest. `off` and `always`
 * alternate in one run; the ratio of each pair is taken, and their median told with the smallest and the largest.
 * -w: what a packet costs besides that copy (rings, checksums of what is merged): below some cost handing over does
 * not pay.
 *
 * Two processors have to be left alone for the workers (-c); main sleeps. Without hugepages.
 */
#include <getopt.h>
#include <unistd.h>

#include "../unit/datapath/world.h"
#include "eal.h"

#define PAIRS_MAX 101
#define RING	  256
#define MBUFS	  16383

static const uint8_t mac_d[6] = { 2, 0, 0, 0, 0, 0xd };
static uint16_t frame_len;
static uint64_t work; /* TSC that each packet for the guest costs besides its copy */

/* ---- a NIC with one queue, always full ---- */

static uint16_t nic_rx(const struct member_dev *d, uint16_t q, struct rte_mbuf **pkts, uint16_t n)
{
	if (rte_pktmbuf_alloc_bulk(world.pool, pkts, n) < 0)
		return 0;
	for (uint16_t i = 0; i < n; i++)
		pkts[i]->pkt_len = pkts[i]->data_len = frame_len;
	return n;
}

static uint16_t nic_tx(const struct member_dev *d, uint16_t q, struct rte_mbuf **pkts, uint16_t n)
{
	rte_pktmbuf_free_bulk(pkts, n);
	return n;
}

static const struct member_ops nic_ops = { .name = "endless", .rx = nic_rx, .tx = nic_tx };
static struct member_dev nic = { .ops = &nic_ops, .rxq = 1, .txq = 2 };

/* All buffers of the pool hold a frame, each of another flow. */
static void fill_buffers(uint16_t payload)
{
	static struct rte_mbuf *all[MBUFS];
	static uint8_t buf[SIZE];
	unsigned int n = 0;

	while (n < MBUFS && (all[n] = rte_pktmbuf_alloc(world.pool))) {
		struct frame f;
		ssize_t len;

		frame_init(&f, buf, SIZE);
		frame_eth(&f, mac_pa[0], mac_next, FRAME_AUTO);
		frame_ip4_full(&f, &(struct frame_ip4){ .src = PA(21), .dst = PA(11), .frag = 0x4000 });
		frame_nvgre(&f, 5001, (uint8_t)n);
		frame_eth(&f, mac_d, mac_far, FRAME_AUTO);
		frame_ip4(&f, IP_FAR, FRAME_IPV4(10, 0, 0, 4), FRAME_AUTO);
		frame_udp(&f, (uint16_t)(1000 + n % 1024), 2000);
		frame_fill(&f, payload, 1);
		len = frame_finish(&f);
		assert_true(len > 0);
		frame_len = (uint16_t)len;
		memcpy(rte_pktmbuf_mtod(all[n], void *), buf, frame_len);
		n++;
	}
	rte_pktmbuf_free_bulk(all, n);
}

/* ---- a guest with two queues ---- */

struct guest_queue {
	struct port_queue q;
	uint64_t packets, at; /* of the worker that has it */
	uint8_t ring[RING][SIZE];
} __attribute__((aligned(64)));

static struct guest_queue guest[2];

static uint16_t guest_rx(struct port_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	return 0;
}

static uint16_t guest_tx(struct port_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	struct guest_queue *g = (struct guest_queue *)q;

	for (uint16_t i = 0; i < n; i++) {
		uint64_t end = rte_rdtsc() + work;

		memcpy(g->ring[g->at++ % RING], rte_pktmbuf_mtod(pkts[i], void *), pkts[i]->data_len);
		while (work && rte_rdtsc() < end)
			;
	}
	stat_add(&g->packets, n);
	return n;
}

static const struct port_ops guest_ops = { .name = "copies", .rx = guest_rx, .tx = guest_tx };

static void attach_guest(void)
{
	struct port_queue *queues[2];

	world_set(OBJECT_PORT, "id=d vsid=5001 macs=[02:00:00:00:00:0d]");
	world_set(OBJECT_RECORD, "vsid=5001 ca=10.0.0.4 mac=02:00:00:00:00:0d host=self");
	for (unsigned int i = 0; i < 2; i++) {
		guest[i].q = (struct port_queue){ .ops = &guest_ops, .rx_ready = 1, .tx_ready = 1, .fits = UINT32_MAX,
						  .port = policy_port_index(world.policy, "d"),
						  .socket = SOCKET_ID_ANY };
		queues[i] = &guest[i].q;
	}
	assert_int_equal(datapath_port_attach(world.dp, guest[0].q.port, queues, 2), 0);
}

/* ---- turns ---- */

static double turn(enum offload_rss rss, double seconds)
{
	struct datapath_params p = world.dp->params;
	uint64_t before[2], sum = 0, start;

	p.rss = (uint8_t)rss;
	datapath_set_knobs(world.dp, &p);
	usleep(200000);
	start = rte_rdtsc();
	for (unsigned int i = 0; i < 2; i++)
		before[i] = stat_read(&guest[i].packets);
	usleep((useconds_t)(seconds * 1e6));
	for (unsigned int i = 0; i < 2; i++)
		sum += stat_read(&guest[i].packets) - before[i];
	return (double)sum * (double)world.dp->tsc_hz / (double)(rte_rdtsc() - start) / 1e6;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(unsigned int pairs, double seconds)
{
	double ratio[PAIRS_MAX], off[PAIRS_MAX], on[PAIRS_MAX], by_load;
	uint64_t lost = drops_of(DROP_WORKER_FULL);

	for (unsigned int i = 0; i < pairs; i++) {
		off[i] = turn(OFFLOAD_RSS_OFF, seconds);
		on[i] = turn(OFFLOAD_RSS_ALWAYS, seconds);
		ratio[i] = on[i] / off[i];
	}
	lost = drops_of(DROP_WORKER_FULL) - lost;
	turn(OFFLOAD_RSS_OFF, seconds);
	by_load = turn(OFFLOAD_RSS_AUTO, seconds);
	qsort(off, pairs, sizeof(double), by_value);
	qsort(on, pairs, sizeof(double), by_value);
	qsort(ratio, pairs, sizeof(double), by_value);
	printf("%u bytes: alone %.2f Mpps, spread %.2f Mpps: ratio %.2f (%.2f..%.2f, %u pairs of %.1f s), "
	       "worker-full %llu; auto %.2f Mpps, %s\n",
	       frame_len, off[pairs / 2], on[pairs / 2], ratio[pairs / 2], ratio[0], ratio[pairs - 1], pairs, seconds,
	       (unsigned long long)lost, by_load, datapath_spreading(world.dp) ? "spread" : "not spread");
}

int main(int argc, char **argv)
{
	unsigned int pairs = 9, payload = 60;
	const char *cpus = "0,1";
	struct errbuf err = { "" };
	double seconds = 1;
	unsigned int one, two;
	char lcores[64];
	int c;

	while ((c = getopt(argc, argv, "n:s:p:c:w:")) != -1) {
		pairs = c == 'n' ? (unsigned int)atoi(optarg) : pairs;
		seconds = c == 's' ? atof(optarg) : seconds;
		payload = c == 'p' ? (unsigned int)atoi(optarg) : payload;
		cpus = c == 'c' ? optarg : cpus;
		work = c == 'w' ? (uint64_t)atoi(optarg) : work;
		if (c == '?')
			pairs = 0;
	}
	if (!pairs || pairs > PAIRS_MAX || payload > 1400 || sscanf(cpus, "%u,%u", &one, &two) != 2) {
		fprintf(stderr, "usage: %s [-n PAIRS] [-s SECONDS] [-p PAYLOAD (UDP, at most 1400)] [-w CYCLES] "
			"[-c CPU,CPU]\n", argv[0]);
		return 2;
	}
	snprintf(lcores, sizeof(lcores), "--lcores=0@%u,1@%u,2@%u", one, one, two);
	assert_int_equal(test_eal_init_args(256, (const char *const[]){ lcores, NULL }), 0);
	world_workers = 2;
	world_mbufs = MBUFS;
	world_cache = 256;
	world_setup(NULL);
	fill_buffers((uint16_t)payload);
	attach_guest();
	world.view.members[0].dev = &nic;
	world.view.members[1].dev = NULL;
	assert_int_equal(datapath_members_update(world.dp), 0);
	assert_int_equal(datapath_start(world.dp, &err), 0);
	measure(pairs, seconds);
	datapath_free(world.dp);
	return 0;
}
