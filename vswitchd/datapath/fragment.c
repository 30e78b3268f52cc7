/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets that are too long for the way to their host, or for a port behind the router, and may be cut: IPv4 without DF
 * is fragmented inside the tunnel, as any router would. The outer packet never is (RFC 7637 section 4, HNV row 27).
 */
#include <rte_ip_frag.h>

#include "base/flowhash.h"
#include "datapath/dp.h"

#define PIECES_MAX 128 /* 64 KiB in pieces of an MTU of 576 */

bool fragment_may(const struct pkt_meta *meta)
{
	return meta->pkt.kind == PKT_IPV4 && !(meta->pkt.flags & (PKT_F_DF | PKT_F_PADDED)) && !meta->gso_type;
}

/*
 * Pieces with buffers of their own; the library's are headers with references to the packet, and what a driver may free
 * fast nobody else has a part in. @return how many, or -errno.
 */
static int cut(struct rte_mbuf *m, struct rte_mbuf **pieces, uint16_t mtu, struct rte_mempool *pool)
{
	int n = rte_ipv4_fragment_packet(m, pieces, PIECES_MAX, mtu, pool, pool);

	for (int i = 0; i < n; i++) {
		struct rte_mbuf *own = rte_pktmbuf_copy(pieces[i], pool, 0, UINT32_MAX);

		if (!own) {
			rte_pktmbuf_free_bulk(pieces, (unsigned int)n);
			return -ENOMEM;
		}
		rte_pktmbuf_free(pieces[i]);
		pieces[i] = own;
	}
	return n;
}

/* Ethernet header, checksum and metadata of one piece. */
static void complete(struct rte_mbuf *piece, const struct pkt_meta *meta, const uint8_t *eth)
{
	uint8_t *ip = rte_pktmbuf_mtod(piece, uint8_t *);
	uint16_t sum;

	memset(ip + 10, 0, 2);
	sum = csum_fold(csum_partial(ip, (ip[0] & 0xfu) * 4, 0));
	memcpy(ip + 10, &sum, 2);
	memcpy(rte_pktmbuf_prepend(piece, ETH_HLEN_), eth, ETH_HLEN_); /* there is headroom: the buffer is new */
	*pkt_meta(piece) = *meta;
}

/* All pieces go the way of a fragment's hash, which knows no ports: later ones have none. */
static enum drop_reason hash_as_fragment(const struct worker *w, struct rte_mbuf *first, struct pkt_meta *ret)
{
	return flow_parse(rte_pktmbuf_mtod(first, const uint8_t *), first->data_len, first->pkt_len, w->dp->params.salt,
			  &ret->pkt, &ret->hash);
}

void fragment_packet(struct worker *w, struct rte_mbuf *m, uint16_t mtu)
{
	struct rte_mbuf *pieces[PIECES_MAX];
	struct pkt_meta meta = *pkt_meta(m);
	uint8_t eth[ETH_HLEN_];
	enum drop_reason bad = DROP_NONE;
	int n;

	watch_stage(w, STAGE_FRAGMENT, &m, 1);
	/* Nobody can finish a checksum of which he has only a piece. */
	if (meta.csum_state == CSUM_PARTIAL) {
		bad = offload_csum_finish(m);
		if (bad) {
			worker_drop(w, meta.src, m, bad);
			return;
		}
		stat_add(&w->offload.n[OFFLOAD_CSUM_SW], 1);
		meta.csum_state = CSUM_UNKNOWN;
	}
	memcpy(eth, rte_pktmbuf_mtod(m, const void *), sizeof(eth));
	rte_pktmbuf_adj(m, ETH_HLEN_);
	n = cut(m, pieces, mtu, w->dp->params.pool);
	if (n < 0) {
		worker_drop(w, meta.src, m, n == -ENOMEM ? DROP_NO_MBUF : DROP_TOO_BIG);
		return;
	}
	for (int i = 0; i < n; i++) {
		complete(pieces[i], &meta, eth);
		if (i == 0)
			bad = hash_as_fragment(w, pieces[0], &meta);
		pkt_meta(pieces[i])->hash = meta.hash;
		pkt_meta(pieces[i])->pkt = meta.pkt;
	}
	stat_add(&w->stage[STAGE_FRAGMENT], 1);
	worker_free(w, m);
	for (int i = 0; i < n && bad; i++)
		worker_drop(w, meta.src, pieces[i], bad);
	for (int i = 0; i < n && !bad && meta.verdict == VERDICT_LOCAL; i++)
		local_enqueue(w, meta.dst, pieces[i]);
	for (int i = 0; i < n && !bad && meta.verdict != VERDICT_LOCAL; i += BURST)
		egress_remote(w, pieces + i, (uint16_t)RTE_MIN(BURST, n - i));
}
