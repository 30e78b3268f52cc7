/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cycles of software segmentation, checksums and merging, per frame on the wire, against what a packet of that size
 * costs that a guest has cut itself. Median of many turns; buffers are as warm as a worker's that has just received
 * them. One line per row: name, cycles per frame.
 */
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <rte_cycles.h>

#include "eal.h"
#include "offload/offload.h"
#include "offload/offload_private.h"
#include "policy/policy.h"

#define TURNS	501
#define FRAMES	45
#define MSS	1406 /* 1458 less IPv4, TCP and its time stamps */
#define HEADERS 66

static struct rte_mempool *pool;
static struct encap_template tmpl;
static uint8_t frame[HEADERS + FRAMES * MSS];
static struct rte_mbuf *sent[FRAMES * 2];
static unsigned int n_sent;
static struct offload_counters counters;

static void build(uint32_t payload, bool partial)
{
	uint8_t *ip = frame + 14, *tcp = frame + 34;
	uint16_t sum;

	memset(frame, 0, HEADERS);
	memcpy(frame, "\2\0\0\0\0\1\2\0\0\0\0\2\x08\0", 14);
	ip[0] = 0x45;
	store_be16(ip + 2, (uint16_t)(52 + payload));
	ip[6] = 0x40;
	ip[8] = 64;
	ip[9] = IPPROTO_TCP_;
	store_sum(ip + 10, sum_bytes_c(ip, 20));
	tcp[12] = 0x80;
	tcp[13] = TCP_ACK;
	if (partial) {
		sum = (uint16_t)sum_fold(sum_pseudo(ip, false, IPPROTO_TCP_, 32 + payload));
		memcpy(tcp + 16, &sum, 2);
	} else {
		store_sum(tcp + 16, sum_pseudo(ip, false, IPPROTO_TCP_, 32 + payload) + sum_bytes_c(tcp, 32 + payload));
	}
}

/* As the vhost library copies a packet out of a guest. */
static struct rte_mbuf *receive(uint32_t len)
{
	struct rte_mbuf *first = rte_pktmbuf_alloc(pool), *m = first;
	uint32_t done = 0, n;
	struct pkt_meta *meta;

	for (;;) {
		n = RTE_MIN((uint32_t)rte_pktmbuf_tailroom(m), len - done);
		memcpy(rte_pktmbuf_append(m, (uint16_t)n), frame + done, n);
		done += n;
		if (done == len)
			break;
		m->next = rte_pktmbuf_alloc(pool);
		m = m->next;
		first->nb_segs++;
	}
	first->pkt_len = len;
	meta = pkt_meta(first);
	memset(meta, 0, sizeof(*meta));
	(void)pkt_parse(rte_pktmbuf_mtod(first, const uint8_t *), first->data_len, len, &meta->pkt);
	meta->vsid_in = meta->vsid_out = 5001;
	meta->src = PORT_WIRE;
	return first;
}

static void emit(void *arg, struct rte_mbuf **pkts, uint16_t n)
{
	memcpy(sent + n_sent, pkts, n * sizeof(pkts[0]));
	n_sent += n;
}

static void free_sent(void)
{
	rte_pktmbuf_free_bulk(sent, n_sent);
	n_sent = 0;
}

static int by_value(const void *a, const void *b)
{
	return *(const uint64_t *)a < *(const uint64_t *)b ? -1 : *(const uint64_t *)a > *(const uint64_t *)b;
}

static void print(const char *name, uint64_t *cycles)
{
	qsort(cycles, TURNS, sizeof(cycles[0]), by_value);
	printf("%-44s %6.0f\n", name, (double)cycles[TURNS / 2] / FRAMES);
}

/* Packets that the guest has cut: copied out of it one by one, and encapsulated. */
static void plain(bool finish)
{
	uint64_t cycles[TURNS];
	uint16_t id = 0;

	build(MSS, finish);
	for (unsigned int i = 0; i < TURNS; i++) {
		const struct encap_template *t = &tmpl;
		uint64_t start = rte_rdtsc();

		for (unsigned int k = 0; k < FRAMES; k++) {
			struct rte_mbuf *m = receive(HEADERS + MSS);

			if (finish) {
				pkt_meta(m)->csum_start = 34;
				pkt_meta(m)->csum_offset = 16;
				offload_csum_finish(m);
			}
			nvgre_ops.encap(&m, &t, 1, &id, true);
			emit(NULL, &m, 1);
		}
		free_sent();
		cycles[i] = rte_rdtsc() - start;
	}
	print(finish ? "plain packet, checksum finished" : "plain packet", cycles);
}

/* What a large packet costs before anybody cuts it. */
static void large_alone(void)
{
	uint64_t cycles[TURNS];

	build(FRAMES * MSS, true);
	for (unsigned int i = 0; i < TURNS; i++) {
		uint64_t start = rte_rdtsc();

		rte_pktmbuf_free(receive(sizeof(frame)));
		cycles[i] = rte_rdtsc() - start;
	}
	print("large packet received, share of a segment", cycles);
}

static void large(void)
{
	uint64_t cycles[TURNS];
	uint16_t id = 0;
	struct offload_out out = { .flow_id = true, .pool = pool, .ip_id = &id, .emit = emit, .counters = &counters };

	build(FRAMES * MSS, true);
	for (unsigned int i = 0; i < TURNS; i++) {
		uint64_t start = rte_rdtsc();
		struct rte_mbuf *m = receive(sizeof(frame));

		pkt_meta(m)->gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
		pkt_meta(m)->gso_size = MSS;
		pkt_meta(m)->csum_state = CSUM_PARTIAL;
		if (offload_transmit(&out, m, &tmpl) != DROP_NONE || n_sent != FRAMES)
			abort();
		free_sent();
		cycles[i] = rte_rdtsc() - start;
	}
	print("segment of a large packet, checksum included", cycles);
}

static void merge(bool verify)
{
	uint64_t cycles[TURNS];

	build(MSS, false);
	for (unsigned int i = 0; i < TURNS; i++) {
		struct rte_mbuf *pkts[FRAMES];
		uint64_t start;
		uint16_t n;

		for (unsigned int k = 0; k < FRAMES; k++) {
			uint8_t *tcp;

			pkts[k] = receive(HEADERS + MSS);
			tcp = rte_pktmbuf_mtod_offset(pkts[k], uint8_t *, 34);
			store_be32(tcp + 4, k * MSS);
			memset(tcp + 16, 0, 2);
			store_sum(tcp + 16, sum_pseudo(tcp - 20, false, 6, 32 + MSS) + sum_bytes(tcp, 32 + MSS));
			pkt_meta(pkts[k])->csum_state = verify ? CSUM_UNKNOWN : CSUM_GOOD;
		}
		start = rte_rdtsc();
		n = offload_gro(pkts, FRAMES, PORT_RX_CSUM | PORT_RX_TSO4 | PORT_RX_TSO6, &counters);
		cycles[i] = rte_rdtsc() - start;
		if (n != 1)
			abort();
		rte_pktmbuf_free_bulk(pkts, n);
	}
	print(verify ? "received segment merged, verified" : "received segment merged, verified by the NIC", cycles);
}

/* The compiler must not leave out what nobody looks at. */
static void keep(uint64_t v)
{
	__asm__ volatile("" : : "r"(v));
}

static void sum(void)
{
	uint64_t cycles[TURNS];

	for (unsigned int i = 0; i < TURNS; i++) {
		uint64_t start = rte_rdtsc();

		for (unsigned int k = 0; k < FRAMES; k++)
			keep(sum_bytes(frame + HEADERS + k * MSS, MSS));
		cycles[i] = rte_rdtsc() - start;
	}
	print("checksum alone", cycles);
}

int main(void)
{
	struct encap_path path = { .src = { 4, { 192, 0, 2, 1 } }, .dst = { 4, { 192, 0, 2, 2 } } };

	if (test_eal_init() < 0)
		return 1;
	pool = meta_pool_create("bench", 1023, 256, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (!pool || nvgre_ops.template_build(&tmpl, &path) < 0)
		return 1;
	tmpl.ops = &nvgre_ops;
	tmpl.max_inner = 1458;
	printf("cycles per frame of %d bytes of payload\n", MSS);
	sum();
	plain(false);
	plain(true);
	large_alone();
	large();
	merge(false);
	merge(true);
	return 0;
}
