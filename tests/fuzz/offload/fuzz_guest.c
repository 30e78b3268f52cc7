/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest's frame with what the vhost library made of its virtio header, on its way to somebody else. Input: 1 byte
 * flags (bit 0: checksum, 1: segmentation, 2: two segments), 1 byte PORT_* of the sender, 1 of the receiver, 2 segment
 * size, 2 where the second segment begins, then the frame. Buffers have their exact size.
 */
#include <string.h>

#include "eal.h"
#include "fuzz.h"
#include "offload/offload.h"

#define HEAD 7
#define LEN  65536

struct buffer {
	struct rte_mbuf m;
	struct pkt_meta meta; /* where rte_mbuf_to_priv() looks */
};

static struct rte_mempool *pool;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	FUZZ_CHECK(test_eal_init() == 0, "no EAL");
	pool = meta_pool_create("fuzz", 255, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	FUZZ_CHECK(pool, "no pool");
	return 0;
}

static void fill(struct buffer *b, const uint8_t *data, uint32_t len)
{
	memset(b, 0, sizeof(*b));
	b->m.buf_addr = malloc(len ? len : 1);
	FUZZ_CHECK(b->m.buf_addr, "no memory");
	if (len)
		memcpy(b->m.buf_addr, data, len);
	b->m.buf_len = b->m.data_len = (uint16_t)len;
	b->m.pkt_len = len;
	b->m.nb_segs = 1;
	rte_mbuf_refcnt_set(&b->m, 1);
}

static void check_segment(const struct pkt_meta *of, struct rte_mbuf *m, uint32_t max_inner)
{
	const struct pkt_meta *meta = pkt_meta(m);
	struct pkt_info again;

	FUZZ_CHECK(!pkt_parse(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, m->pkt_len, &again), "no sound frame");
	FUZZ_CHECK(again.l3_end == m->pkt_len && again.l4_off == meta->pkt.l4_off && again.proto == 6, "other headers");
	FUZZ_CHECK(m->pkt_len <= (uint32_t)of->gso_hdr_len + of->gso_size, "longer than gso_size");
	FUZZ_CHECK(!max_inner || m->pkt_len - again.l3_off <= max_inner, "longer than the MTU");
	/* Behind a routing header the guest's sum is taken over, and may be wrong. */
	if (!(again.flags & PKT_F_OPTIONS))
		FUZZ_CHECK(offload_csum_verify(m), "bad checksum");
}

static void check_cut(const struct rte_mbuf *m, const struct pkt_meta *meta, uint16_t max_inner)
{
	uint32_t hdr = meta->gso_hdr_len, sum = 0;
	struct rte_mbuf *pkts[8];
	struct offload_gso g;
	int n;

	if (offload_gso_begin(&g, m, max_inner, false))
		return;
	while ((n = offload_gso_next(&g, pool, pkts, 8)) > 0) {
		for (int i = 0; i < n; i++) {
			check_segment(meta, pkts[i], max_inner);
			sum += pkts[i]->pkt_len - hdr;
		}
		rte_pktmbuf_free_bulk(pkts, (unsigned int)n);
	}
	FUZZ_CHECK(n == 0 && sum == m->pkt_len - hdr, "%u bytes of payload came out", sum);
}

static void check_give(struct rte_mbuf *m, uint32_t takes)
{
	uint32_t len = m->pkt_len, had = m->nb_segs;
	enum drop_reason why = DROP_NONE;
	struct rte_mbuf *given = m;

	if (!offload_wanted(pkt_meta(m)))
		return;
	if (offload_guest_give(&given, takes, pool, &why) == OFFLOAD_GIVE_NOT)
		FUZZ_CHECK(why, "no reason");
	FUZZ_CHECK(given->pkt_len == len && given->nb_segs == had + (given != m), "length changed");
	FUZZ_CHECK(!offload_guest_chain_slow(given), "chain does not add up");
	if (given != m)
		rte_pktmbuf_free_seg(given);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t len = size < LEN ? (uint32_t)size : LEN - 1, cut;
	struct buffer b[2];
	struct rte_mbuf *m = &b[0].m;
	struct pkt_meta *meta = pkt_meta(m);

	if (len < HEAD)
		return 0;
	len -= HEAD;
	cut = data[0] & 4 ? load_be16(data + 5) % (len + 1) : len;
	fill(&b[0], data + HEAD, cut);
	fill(&b[1], data + HEAD + cut, len - cut);
	if (data[0] & 4) {
		m->next = &b[1].m;
		m->nb_segs = 2;
		m->pkt_len = len;
	}
	m->ol_flags = data[0] & 1 ? RTE_MBUF_F_RX_L4_CKSUM_NONE : 0;
	m->ol_flags |= data[0] & 2 ? RTE_MBUF_F_RX_L4_CKSUM_NONE | RTE_MBUF_F_RX_LRO : 0;
	m->tso_segsz = load_be16(data + 3);
	if (!offload_guest_chain(m) && !pkt_parse(m->buf_addr, cut, len, &meta->pkt) &&
	    !offload_guest_take(m, meta, data[1])) {
		FUZZ_CHECK(!m->ol_flags, "flags are left");
		FUZZ_CHECK(!meta->gso_type || (meta->gso_size && meta->gso_hdr_len <= cut), "segmentation of nothing");
		/* Behind two tags it is finished already. */
		FUZZ_CHECK(meta->pkt.kind == PKT_OTHER || !(data[0] & 3) == !meta->csum_state, "checksum");
		if (meta->gso_type) {
			check_cut(m, meta, 0);
			check_cut(m, meta, 1458);
		}
		check_give(m, data[2]);
	}
	free(b[0].m.buf_addr);
	free(b[1].m.buf_addr);
	return 0;
}
