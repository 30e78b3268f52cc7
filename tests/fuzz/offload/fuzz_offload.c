/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Segmentation, checksums and merging. A frame of anybody's, in up to four pieces of exactly its size, with metadata
 * of anybody's: what a guest may write into the virtio header, and more. Input: 12 bytes of circumstances, then the
 * frame.
 *
 *	0	bits: 0 GSO, 1 IPv6 type, 2 partial segments, 3 as received, 4 merge with itself, 5 as if verified
 *	1, 2	gso_size	3, 4	max_inner	5..8	csum_start, csum_offset
 *	9..11	lengths of the first pieces
 */
#include <linux/virtio_net.h>

#include "eal.h"
#include "fuzz.h"
#include "offload/offload.h"
#include "unit/policy/packet.h"

#define HEAD   12
#define PIECES 4
#define MANY   2000 /* segments are enough */

static struct rte_mempool *pool;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	FUZZ_CHECK(test_eal_init() == 0, "EAL");
	pool = meta_pool_create("fuzz", 511, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	FUZZ_CHECK(pool, "pool");
	return 0;
}

struct chain {
	struct packet *p[PIECES];
	unsigned int n;
};

static struct rte_mbuf *build(struct chain *c, const uint8_t *head, const uint8_t *frame, uint32_t len)
{
	uint32_t done = 0;

	c->n = 0;
	while (c->n < PIECES && (done < len || !c->n)) {
		uint32_t want = c->n + 1 < PIECES && head[9 + c->n] ? head[9 + c->n] : len;
		uint16_t n = (uint16_t)RTE_MIN(want, len - done);

		c->p[c->n] = packet_new(frame + done, n, 0, 0);
		if (c->n) {
			c->p[c->n - 1]->m.next = &c->p[c->n]->m;
			c->p[0]->m.nb_segs++;
			c->p[0]->m.pkt_len += n;
		}
		done += n;
		c->n++;
	}
	return &c->p[0]->m;
}

static void release(struct chain *c)
{
	for (unsigned int i = 0; i < c->n; i++)
		packet_free(c->p[i]);
}

static uint32_t chain_length(const struct rte_mbuf *m)
{
	uint32_t sum = 0;

	for (; m; m = m->next)
		sum += m->data_len;
	return sum;
}

static bool describe(struct rte_mbuf *m, const uint8_t *head)
{
	struct pkt_meta *meta = pkt_meta(m);

	if (pkt_parse(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, m->pkt_len, &meta->pkt) != DROP_NONE)
		return false;
	if (head[0] & 1)
		meta->gso_type = head[0] & 2 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	meta->gso_size = load_be16(head + 1);
	meta->csum_start = load_be16(head + 5);
	meta->csum_offset = load_be16(head + 7);
	meta->csum_state = head[0] & 8 ? CSUM_UNKNOWN : CSUM_PARTIAL;
	meta->src = PORT_WIRE;
	return true;
}

static void cut(struct rte_mbuf *m, uint16_t max_inner, bool partial)
{
	const struct pkt_meta *meta = pkt_meta(m);
	uint32_t payload = 0, frames = 0, whole = meta->pkt.l3_end;
	struct rte_mbuf *pkts[32];
	struct offload_gso g;
	int n;

	if (offload_gso_begin(&g, m, max_inner, partial) != DROP_NONE)
		return;
	while (frames < MANY && (n = offload_gso_next(&g, pool, pkts, 32)) > 0) {
		for (int i = 0; i < n; i++, frames++) {
			uint32_t inner = pkts[i]->pkt_len - meta->pkt.l3_off;

			FUZZ_CHECK(!max_inner || inner <= max_inner, "%u of %u bytes", inner, max_inner);
			FUZZ_CHECK(pkts[i]->pkt_len >= g.hdr_len && chain_length(pkts[i]) == pkts[i]->pkt_len,
				   "length");
			payload += pkts[i]->pkt_len - g.hdr_len;
			if (partial)
				FUZZ_CHECK(offload_csum_finish(pkts[i]) == DROP_NONE, "sum of a segment");
			rte_pktmbuf_free(pkts[i]);
		}
	}
	FUZZ_CHECK(frames >= MANY || payload == whole - g.hdr_len, "%u of %u bytes", payload, whole - g.hdr_len);
	FUZZ_CHECK(rte_mempool_avail_count(pool) == 511, "lost buffers");
}

/* Move a segment on in its flow. */
static void follow(struct rte_mbuf *m, uint32_t by)
{
	const struct pkt_info *pkt = &pkt_meta(m)->pkt;
	uint8_t *seq = rte_pktmbuf_mtod_offset(m, uint8_t *, pkt->l4_off + 4);

	if (pkt->proto == IPPROTO_TCP_ && m->data_len >= pkt->l4_off + 8)
		store_be32(seq, load_be32(seq) + by);
}

/* The frame, and itself as its successor. */
static void merge(const uint8_t *head, const uint8_t *frame, uint32_t len)
{
	struct offload_counters c = { { 0 } };
	struct rte_mbuf *pkts[3];
	struct chain chains[3];
	uint32_t sum = 0, out = 0;
	uint16_t n = 0, k;

	for (; n < 3; n++) {
		pkts[n] = build(&chains[n], head, frame, len);
		if (!describe(pkts[n], head))
			break;
		pkt_meta(pkts[n])->gso_type = 0;
		if (head[0] & 32) /* as if it had been verified, so that bad ones come further */
			pkt_meta(pkts[n])->csum_state = CSUM_GOOD;
		follow(pkts[n], n * load_be16(head + 1));
		sum += pkts[n]->pkt_len;
	}
	k = n == 3 ? offload_gro(pkts, 3, PORT_RX_CSUM | PORT_RX_TSO4 | PORT_RX_TSO6, &c) : 0;
	for (uint16_t i = 0; i < k; i++) {
		FUZZ_CHECK(pkts[i]->pkt_len <= UINT16_MAX && chain_length(pkts[i]) == pkts[i]->pkt_len, "length");
		out += pkts[i]->pkt_len;
		if (pkt_meta(pkts[i])->gso_type)
			cut(pkts[i], 0, false);
	}
	FUZZ_CHECK(out <= sum, "%u bytes of %u", out, sum);
	for (uint16_t i = 0; i < n + (n < 3); i++)
		release(&chains[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t len;
	struct chain c;
	struct rte_mbuf *m;

	if (size < HEAD + 14)
		return 0;
	len = (uint32_t)RTE_MIN(size - HEAD, (size_t)9000);
	if (data[0] & 16) {
		merge(data, data + HEAD, len);
		return 0;
	}
	m = build(&c, data, data + HEAD, len);
	if (describe(m, data)) {
		(void)offload_csum_verify(m);
		if (data[0] & 1)
			cut(m, load_be16(data + 3), data[0] & 4);
		else
			(void)offload_csum_finish(m);
	}
	release(&c);
	return 0;
}
