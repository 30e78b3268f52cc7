/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guest's edge: what the vhost library says of a frame it received, compared with our own parse and put into
 * virtio_net_hdr terms; and those terms as the library wants them when a frame goes into a guest.
 *
 * The library (with NET_COMPLIANT_OL_FLAGS) tells two things: the L4 checksum is not finished (L4_CKSUM_NONE), and the
 * packet is to be segmented (LRO with tso_segsz). It does not tell csum_start and csum_offset, nor which of the
 * segmentation types the guest named; it has compared them with a parse of its own, loosely. So the offsets are
 * ours, and what cannot be meant (no TCP or UDP header where one has to be, sizes out of reason) is dropped.
 */
#include <linux/virtio_net.h>

#include "offload/offload.h"
#include "offload/offload_private.h"

#define KEPT (RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_INDIRECT) /* where the buffer is, not what is in it */
#define TOLD (RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_LRO)

#define UDP_HLEN 8u

/*
 * A super-packet makes at most so many segments: one that asked for more would hold up everybody else's packets. Linux
 * sends by an MSS of 48 to a peer that wants that, less 12 bytes of options: 1,820 segments.
 */
#define SEGMENTS_MAX 2048

static enum drop_reason take_segmentation(const struct rte_mbuf *m, struct pkt_meta *meta, uint16_t size, uint32_t may)
{
	bool v6 = meta->pkt.kind == PKT_IPV6;
	const uint8_t *tcp;
	uint32_t hdr_len;

	if (meta->csum_offset != TCP_AT_CSUM || !(may & (v6 ? PORT_TSO6 : PORT_TSO4)) || !size)
		return DROP_GUEST_META;
	tcp = rte_pktmbuf_mtod_offset(m, const uint8_t *, meta->pkt.l4_off);
	hdr_len = meta->pkt.l4_off + (tcp[12] >> 4) * 4u;
	if ((tcp[12] >> 4) * 4u < TCP_HLEN_MIN || hdr_len > m->data_len || hdr_len >= meta->pkt.l3_end ||
	    meta->pkt.l3_end != m->pkt_len || tcp[13] & (TCP_SYN | TCP_RST))
		return DROP_GUEST_META;
	if (meta->pkt.l3_end - hdr_len <= size)
		return DROP_NONE; /* it is a segment already */
	if (meta->pkt.l3_end - hdr_len > (uint32_t)size * SEGMENTS_MAX)
		return DROP_GUEST_META;
	meta->gso_type = v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	if (tcp[13] & TCP_CWR)
		meta->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	meta->gso_size = size;
	meta->gso_hdr_len = (uint16_t)hdr_len;
	return DROP_NONE;
}

enum drop_reason offload_guest_take(struct rte_mbuf *m, struct pkt_meta *meta, uint32_t may)
{
	const struct pkt_info *p = &meta->pkt;
	uint64_t told = m->ol_flags & ~KEPT;
	uint32_t end = RTE_MIN((uint32_t)m->data_len, p->l3_end), hlen;

	m->ol_flags &= KEPT;
	if (!told)
		return DROP_NONE;
	if (told & ~TOLD || (told & RTE_MBUF_F_RX_L4_CKSUM_MASK) != RTE_MBUF_F_RX_L4_CKSUM_NONE || !(may & PORT_CSUM))
		return DROP_GUEST_META;
	if ((p->kind != PKT_IPV4 && p->kind != PKT_IPV6) || (p->flags & (PKT_F_L4 | PKT_F_FRAGMENT)) != PKT_F_L4)
		return DROP_GUEST_META;
	switch (p->proto) {
	case IPPROTO_TCP_:
		hlen = TCP_HLEN_MIN;
		meta->csum_offset = TCP_AT_CSUM;
		break;
	case IPPROTO_UDP_:
		hlen = UDP_HLEN;
		meta->csum_offset = UDP_AT_CSUM;
		break;
	default:
		return DROP_GUEST_META;
	}
	if (p->l4_off + hlen > end)
		return DROP_GUEST_META;
	meta->csum_state = CSUM_PARTIAL;
	meta->csum_start = p->l4_off;
	return told & RTE_MBUF_F_RX_LRO ? take_segmentation(m, meta, m->tso_segsz, may) : DROP_NONE;
}

enum drop_reason offload_guest_chain_slow(const struct rte_mbuf *m)
{
	const struct rte_mbuf *seg = m;
	uint32_t sum = 0, segs = 0;

	for (; seg; seg = seg->next) {
		sum += seg->data_len;
		segs++;
	}
	return sum == m->pkt_len && segs == m->nb_segs ? DROP_NONE : DROP_GUEST_META;
}

/*
 * May this packet be given as it is to a guest that takes these offloads? With CWR, which only the first segment keeps,
 * to nobody: the library cannot tell the guest, who might forward it to a device that then repeats it. There is one in
 * a window.
 */
static bool segments_taken(const struct pkt_meta *meta, uint32_t takes)
{
	uint8_t type = meta->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;

	if (meta->gso_type & VIRTIO_NET_HDR_GSO_ECN)
		return false;
	return takes & (type == VIRTIO_NET_HDR_GSO_TCPV6 ? PORT_RX_TSO6 : PORT_RX_TSO4);
}

/*
 * The library's own sum of the pseudo header knows no extension headers, and it writes it without looking whether the
 * first segment is that long.
 */
static bool library_can(struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta(m);

	if (meta->pkt.kind == PKT_IPV6 && meta->pkt.flags & PKT_F_OPTIONS)
		return false;
	return RTE_MAX(meta->gso_hdr_len, (uint16_t)(meta->csum_start + meta->csum_offset + 2)) <= m->data_len;
}

/*
 * The library writes a pseudo header's sum without the length into packets to be segmented, as NICs like it and virtio
 * does not: a guest that forwards the packet would make wrong checksums of it. It leaves the field alone when the
 * headers do not seem to be in one piece. So they come in a segment of their own, said to be longer than it is: outer
 * lengths count where the library looks at that, but not in what it tells the guest.
 */
static struct rte_mbuf *headers_apart(struct rte_mbuf *m, struct rte_mempool *pool)
{
	const struct pkt_meta *meta = pkt_meta(m);
	uint16_t len = meta->gso_hdr_len, sum;
	uint32_t l4_len = meta->pkt.l3_end - meta->csum_start;
	struct rte_mbuf *h = rte_pktmbuf_alloc(pool);
	uint8_t *d;

	if (!h)
		return NULL;
	d = (uint8_t *)rte_pktmbuf_append(h, len);
	if (!d) {
		rte_pktmbuf_free(h);
		return NULL;
	}
	memcpy(d, rte_pktmbuf_mtod(m, const void *), len);
	sum = (uint16_t)sum_fold(sum_pseudo(d + meta->pkt.l3_off, meta->pkt.kind == PKT_IPV6, IPPROTO_TCP_, l4_len));
	memcpy(d + meta->csum_start + meta->csum_offset, &sum, sizeof(sum));
	*pkt_meta(h) = *meta;
	rte_pktmbuf_adj(m, len);
	h->next = m;
	h->nb_segs = (uint16_t)(m->nb_segs + 1);
	h->pkt_len = m->pkt_len + len;
	m->nb_segs = 1;
	h->outer_l2_len = 1;
	h->ol_flags = RTE_MBUF_F_TX_OUTER_IPV4;
	return h;
}

static void tell(struct rte_mbuf *m, const struct pkt_meta *meta)
{
	m->l2_len = meta->pkt.l3_off;
	m->l3_len = (uint16_t)(meta->csum_start - meta->pkt.l3_off) & 0x1ff;
	m->ol_flags |= meta->pkt.kind == PKT_IPV6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
	m->ol_flags |= meta->csum_offset == TCP_AT_CSUM ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
	if (!meta->gso_type)
		return;
	m->l4_len = (uint8_t)(meta->gso_hdr_len - meta->csum_start);
	m->tso_segsz = meta->gso_size;
	m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
}

enum offload_give offload_guest_give(struct rte_mbuf **pkt, uint32_t takes, struct rte_mempool *pool,
				     enum drop_reason *why)
{
	struct rte_mbuf *m = *pkt, *h;
	struct pkt_meta *meta = pkt_meta(m);

	/* A flooded packet may have been told to another guest before. */
	m->ol_flags &= KEPT;
	m->tx_offload = 0;
	if (meta->gso_type) {
		if (!segments_taken(meta, takes) || !library_can(m) || rte_mbuf_refcnt_read(m) > 1)
			return OFFLOAD_GIVE_SEGMENTS;
		h = headers_apart(m, pool);
		if (unlikely(!h)) {
			*why = DROP_NO_MBUF;
			return OFFLOAD_GIVE_NOT;
		}
		tell(h, pkt_meta(h));
		*pkt = h;
	} else if (meta->csum_state == CSUM_PARTIAL) {
		if (likely(takes & PORT_RX_CSUM && library_can(m))) {
			tell(m, meta);
			return OFFLOAD_GIVE_WHOLE;
		}
		*why = offload_csum_finish(m);
		return likely(!*why) ? OFFLOAD_GIVE_FINISHED : OFFLOAD_GIVE_NOT;
	}
	return OFFLOAD_GIVE_WHOLE;
}
