/* SPDX-License-Identifier: BSD-3-Clause */
/* Checksums of tenants' packets: unfinished ones completed, received ones verified. */
#include "base/meta.h"
#include "offload/offload.h"
#include "offload/offload_private.h"

enum drop_reason offload_csum_finish(struct rte_mbuf *m)
{
	struct pkt_meta *meta = pkt_meta(m);
	uint32_t end = meta->pkt.kind == PKT_IPV4 || meta->pkt.kind == PKT_IPV6 ? meta->pkt.l3_end : m->pkt_len;
	uint32_t start = meta->csum_start, at = start + meta->csum_offset;
	uint8_t *field = rte_pktmbuf_mtod_offset(m, uint8_t *, at);
	uint16_t sum;

	if (unlikely(start >= end || end > m->pkt_len || at + 2 > end || at + 2 > m->data_len))
		return DROP_GUEST_META;
	/* The field holds the pseudo header's sum and is part of what is summed (virtio 1.1, 5.1.6.2). */
	sum = (uint16_t)~sum_chain(m, start, end - start);
	/* RFC 768: 0 means that there is none. */
	if (!sum && meta->pkt.proto == IPPROTO_UDP_)
		sum = 0xffff;
	memcpy(field, &sum, 2);
	meta->csum_state = CSUM_UNKNOWN;
	return DROP_NONE;
}

bool offload_csum_verify(const struct rte_mbuf *m)
{
	const struct pkt_info *pkt = &pkt_meta((struct rte_mbuf *)(uintptr_t)m)->pkt;
	const uint8_t *d = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t len = pkt->l3_end - pkt->l4_off;
	bool v6 = pkt->kind == PKT_IPV6;

	if ((pkt->kind != PKT_IPV4 && !v6) || (pkt->flags & (PKT_F_L4 | PKT_F_FRAGMENT)) != PKT_F_L4)
		return false;
	if (v6 && pkt->flags & PKT_F_OPTIONS) /* a routing header changes the pseudo header */
		return false;
	if (pkt->proto == IPPROTO_TCP_) {
		if (len < TCP_HLEN_MIN)
			return false;
	} else if (pkt->proto == IPPROTO_UDP_) {
		uint32_t have = m->data_len > pkt->l4_off ? m->data_len - pkt->l4_off : 0;

		if (have < 8 || load_be16(d + pkt->l4_off + 4) != len || !load_be16(d + pkt->l4_off + UDP_AT_CSUM))
			return false;
	} else {
		return false;
	}
	if (!v6 && sum_fold(sum_bytes_c(d + pkt->l3_off, pkt->l4_off - pkt->l3_off)) != 0xffff)
		return false;
	return sum_fold(sum_pseudo(d + pkt->l3_off, v6, pkt->proto, len) + sum_chain(m, pkt->l4_off, len)) == 0xffff;
}
