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

#define TAGS 8 /* bytes of two */

#define LATE_COPY 256 /* bytes; the library copies shorter pieces after a burst */

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

/* Where the checksum is in the L4 header of a packet of which len bytes are in one piece. False: it has none there. */
static bool csum_place(const struct pkt_info *p, uint32_t len, uint16_t *ret)
{
	uint32_t end = RTE_MIN(len, p->l3_end);
	bool tcp = p->proto == IPPROTO_TCP_;

	if ((p->kind != PKT_IPV4 && p->kind != PKT_IPV6) || (p->flags & (PKT_F_L4 | PKT_F_FRAGMENT)) != PKT_F_L4)
		return false;
	if ((!tcp && p->proto != IPPROTO_UDP_) || p->l4_off + (tcp ? TCP_HLEN_MIN : UDP_HLEN) > end)
		return false;
	*ret = tcp ? TCP_AT_CSUM : UDP_AT_CSUM;
	return true;
}

/*
 * Behind two tags (IEEE 802.1ad) the library sees a packet, and our parser none: what only a segment without virtual
 * subnet carries. The checksum is finished at once, so that nobody else has to know them. Drivers cut such packets
 * themselves.
 */
static __rte_noinline enum drop_reason take_tagged_twice(struct rte_mbuf *m, struct pkt_meta *meta, uint64_t told)
{
	const uint8_t *d = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct pkt_info seen = meta->pkt;
	enum drop_reason why;

	if (told & RTE_MBUF_F_RX_LRO || m->data_len < ETH_HLEN_ + TAGS || seen.ethertype != ETHERTYPE_QINQ_)
		return DROP_GUEST_META;
	if (pkt_parse(d + TAGS, m->data_len - TAGS, m->pkt_len - TAGS, &meta->pkt) ||
	    !csum_place(&meta->pkt, m->data_len - TAGS, &meta->csum_offset)) {
		meta->pkt = seen;
		return DROP_GUEST_META;
	}
	meta->pkt.l3_end += TAGS;
	meta->csum_start = (uint16_t)(meta->pkt.l4_off + TAGS);
	why = offload_csum_finish(m);
	meta->pkt = seen;
	return why;
}

enum drop_reason offload_guest_take(struct rte_mbuf *m, struct pkt_meta *meta, uint32_t may)
{
	uint64_t told = m->ol_flags & ~KEPT;

	m->ol_flags &= KEPT;
	if (!told)
		return DROP_NONE;
	if (told & ~TOLD || (told & RTE_MBUF_F_RX_L4_CKSUM_MASK) != RTE_MBUF_F_RX_L4_CKSUM_NONE || !(may & PORT_CSUM))
		return DROP_GUEST_META;
	if (unlikely(meta->pkt.kind == PKT_OTHER))
		return take_tagged_twice(m, meta, told);
	if (!csum_place(&meta->pkt, m->data_len, &meta->csum_offset))
		return DROP_GUEST_META;
	meta->csum_state = CSUM_PARTIAL;
	meta->csum_start = meta->pkt.l4_off;
	return told & RTE_MBUF_F_RX_LRO ? take_segmentation(m, meta, m->tso_segsz, may) : DROP_NONE;
}

/*
 * The library sums what it does not know (tunnels of the guest's own) before it copies pieces of up to 256 bytes, if
 * they are not in the first buffer: the end of the frame is then not in the checksum. Nothing tells where that is; but
 * that the guest had asked for something is seen by the packet type. A part only: small pieces in the middle, or at the
 * end of a last buffer with other pieces, leave no trace; there the receiver's own check is what is left.
 */
static bool summed_too_early(const struct rte_mbuf *m, const struct rte_mbuf *last)
{
	return m->packet_type && !(m->ol_flags & TOLD) && last->data_len <= LATE_COPY;
}

enum drop_reason offload_guest_chain_slow(const struct rte_mbuf *m)
{
	const struct rte_mbuf *seg = m, *last = m;
	uint32_t sum = 0, segs = 0;

	for (; seg; seg = seg->next) {
		sum += seg->data_len;
		segs++;
		last = seg;
	}
	if (sum != m->pkt_len || segs != m->nb_segs)
		return DROP_GUEST_META;
	return unlikely(last != m && summed_too_early(m, last)) ? DROP_GUEST_SUM : DROP_NONE;
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
