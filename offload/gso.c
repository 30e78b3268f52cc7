/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP packets of up to 64 KiB cut into frames, by the rules of HNV (row 65): all segments of one size but the last,
 * IPv4 ID +1 each, FIN and PSH on the last only, CWR on the first only.
 *
 * Why not rte_gso: it knows GRE only with IPv4 inside and outside, computes no checksum, and makes two chained
 * buffers per segment that refer to the original, which fast free and several drivers exclude. Since the checksum has
 * to read every byte anyway, copying meanwhile costs less than attaching: one buffer per segment, whole, unshared.
 *
 * Segments are made before the outer header: each is an ordinary packet for every encapsulation.
 */
#include "offload/offload.h"
#include "offload/offload_private.h"

#define HEADERS_USUAL 96 /* IPv6 and TCP with time stamps are 86 */

static bool type_fits(const struct pkt_meta *meta)
{
	switch (meta->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return meta->pkt.kind == PKT_IPV4;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return meta->pkt.kind == PKT_IPV6;
	default:
		return false;
	}
}

static inline bool is_tcp(const struct pkt_info *pkt)
{
	return pkt->proto == IPPROTO_TCP_ && (pkt->flags & (PKT_F_L4 | PKT_F_FRAGMENT)) == PKT_F_L4;
}

/* Length of all headers; 0: there is no sound TCP header. */
static uint32_t header_length(const struct rte_mbuf *m, const struct pkt_info *pkt)
{
	uint8_t buf[TCP_HLEN_MIN];
	const uint8_t *tcp;
	uint32_t len;

	if (pkt->l4_off + TCP_HLEN_MIN > pkt->l3_end || pkt->l3_end > m->pkt_len)
		return 0;
	tcp = rte_pktmbuf_read(m, pkt->l4_off, sizeof(buf), buf);
	if (!tcp)
		return 0;
	len = (tcp[12] >> 4) * 4u;
	return len < TCP_HLEN_MIN || pkt->l4_off + len > pkt->l3_end ? 0 : pkt->l4_off + len;
}

/* Sums of what all segments have in common; the fields that differ become zero. */
static void prepare_sums(struct offload_gso *g, bool partial)
{
	uint8_t *ip = g->hdr + g->l3_off, *tcp = g->hdr + g->l4_off;
	uint32_t old = g->l3_end - g->l4_off;
	uint64_t field;
	uint16_t v;

	memcpy(&v, tcp + TCP_AT_CSUM, 2);
	field = v;
	g->seq = load_be32(tcp + 4);
	g->flags = tcp[13];
	memset(tcp + 4, 0, 4);
	tcp[13] &= (uint8_t)~(TCP_FIN | TCP_PSH | TCP_CWR);
	memset(tcp + TCP_AT_CSUM, 0, 2);
	/* Behind a routing header only the sender's own sum knows the last destination (RFC 8200 8.1). */
	if (g->v6 && g->meta.pkt.flags & PKT_F_OPTIONS && partial)
		g->pseudo = field + sum_be16((uint16_t)~old);
	else
		g->pseudo = sum_pseudo(ip, g->v6, IPPROTO_TCP_, 0);
	g->l4_sum = sum_bytes_c(tcp, g->hdr_len - g->l4_off);
	if (g->v6)
		return;
	g->id = load_be16(ip + 4);
	memset(ip + 2, 0, 4);
	memset(ip + 10, 0, 2);
	g->ip_sum = sum_bytes_c(ip, g->l4_off - g->l3_off);
}

enum drop_reason offload_gso_begin(struct offload_gso *g, const struct rte_mbuf *m, uint16_t max_inner, bool partial)
{
	const struct pkt_meta *meta = pkt_meta((struct rte_mbuf *)(uintptr_t)m);
	uint32_t hdr_len, room;
	const void *hdr;

	if (!type_fits(meta) || !is_tcp(&meta->pkt) || !meta->gso_size)
		return DROP_GUEST_META;
	hdr_len = header_length(m, &meta->pkt);
	if (!hdr_len || hdr_len > sizeof(g->hdr))
		return DROP_GUEST_META;
	g->mss = meta->gso_size;
	if (max_inner) {
		room = max_inner + (uint32_t)meta->pkt.l3_off;
		if (room <= hdr_len)
			return DROP_TOO_BIG;
		g->mss = (uint16_t)RTE_MIN((uint32_t)g->mss, room - hdr_len);
	}
	hdr = rte_pktmbuf_read(m, 0, hdr_len, g->hdr);
	if (hdr != g->hdr)
		memcpy(g->hdr, hdr, hdr_len);
	g->meta = *meta;
	g->meta.gso_type = 0;
	g->meta.gso_size = g->meta.gso_hdr_len = 0;
	g->meta.pkt.flags &= (uint8_t)~PKT_F_PADDED;
	g->meta.csum_state = partial ? CSUM_PARTIAL : CSUM_UNKNOWN;
	g->meta.csum_start = partial ? meta->pkt.l4_off : 0;
	g->meta.csum_offset = partial ? TCP_AT_CSUM : 0;
	g->hdr_len = (uint16_t)hdr_len;
	g->l3_off = meta->pkt.l3_off;
	g->l4_off = meta->pkt.l4_off;
	g->l3_end = meta->pkt.l3_end;
	g->v6 = meta->pkt.kind == PKT_IPV6;
	g->partial = partial;
	g->first = true;
	g->left = g->l3_end - hdr_len;
	g->more = true;
	prepare_sums(g, meta->csum_state == CSUM_PARTIAL);
	for (g->seg = m, g->seg_off = hdr_len; g->seg_off >= g->seg->data_len && g->seg->next; g->seg = g->seg->next)
		g->seg_off -= g->seg->data_len;
	return DROP_NONE;
}

/*
 * The next n bytes of payload into a buffer. @return their sum, as if they began at an even place.
 */
static inline uint64_t take_payload(struct offload_gso *g, uint8_t *dst, uint32_t n)
{
	uint64_t sum = 0, part;
	uint32_t done = 0;

	while (done < n) {
		uint32_t have = g->seg->data_len - g->seg_off, k = RTE_MIN(have, n - done);
		const uint8_t *src = rte_pktmbuf_mtod_offset(g->seg, const uint8_t *, g->seg_off);

		if (g->partial) {
			memcpy(dst + done, src, k);
		} else {
			part = sum_copy(dst + done, src, k);
			sum += unlikely(done & 1) ? sum_odd(sum_fold(part)) : part;
		}
		done += k;
		g->seg_off += k;
		if (k == have && g->seg->next) {
			g->seg = g->seg->next;
			g->seg_off = 0;
		}
	}
	return sum;
}

/* Payload that does not fit the first buffer: more of them. @return 0 or -ENOMEM with the chain as it is. */
static __attribute__((noinline)) int long_payload(struct offload_gso *g, struct rte_mempool *pool, struct rte_mbuf *m,
						  uint32_t n, uint64_t *sum)
{
	struct rte_mbuf *last = m;
	uint32_t done = 0;

	while (done < n) {
		uint32_t k = RTE_MIN((uint32_t)rte_pktmbuf_tailroom(last), n - done);
		uint64_t part = take_payload(g, rte_pktmbuf_mtod_offset(last, uint8_t *, last->data_len), k);

		*sum += done & 1 ? sum_odd(sum_fold(part)) : part;
		last->data_len = (uint16_t)(last->data_len + k);
		m->pkt_len += k;
		done += k;
		if (done == n)
			break;
		last->next = rte_pktmbuf_alloc(pool);
		if (!last->next)
			return -ENOMEM;
		last = last->next;
		m->nb_segs++;
	}
	return 0;
}

/* Fields that differ from segment to segment. */
static inline void patch(struct offload_gso *g, uint8_t *d, uint32_t n, uint64_t payload_sum)
{
	uint8_t *ip = d + g->l3_off, *tcp = d + g->l4_off;
	uint32_t ip_len = g->hdr_len - g->l3_off + n, l4_len = g->hdr_len - g->l4_off + n;
	uint8_t flags = g->flags;

	if (g->v6) {
		store_be16(ip + 4, (uint16_t)(ip_len - sizeof(struct ipv6_hdr)));
	} else {
		store_be16(ip + 2, (uint16_t)ip_len);
		store_be16(ip + 4, g->id);
		store_sum(ip + 10, g->ip_sum + sum_be16((uint16_t)ip_len) + sum_be16(g->id));
		g->id++;
	}
	if (n < g->left)
		flags &= (uint8_t)~(TCP_FIN | TCP_PSH);
	if (!g->first)
		flags &= (uint8_t)~TCP_CWR;
	store_be32(tcp + 4, g->seq);
	tcp[13] = flags;
	if (g->partial) {
		uint16_t pseudo = (uint16_t)sum_fold(g->pseudo + sum_be16((uint16_t)l4_len));

		memcpy(tcp + TCP_AT_CSUM, &pseudo, 2);
	} else {
		flags &= TCP_FIN | TCP_PSH | TCP_CWR; /* the others are in the sum */
		store_sum(tcp + TCP_AT_CSUM, g->pseudo + g->l4_sum + sum_be16((uint16_t)l4_len) + sum_be32(g->seq) +
						     ((uint32_t)flags << 8) + payload_sum);
	}
	g->seq += n;
	g->first = false;
}

/* Usual headers by a copy of constant length; what is behind them is overwritten by the payload. */
static inline void put_headers(const struct offload_gso *g, const struct rte_mbuf *m, uint8_t *d)
{
	if (likely(g->hdr_len <= HEADERS_USUAL && rte_pktmbuf_tailroom(m) >= HEADERS_USUAL))
		memcpy(d, g->hdr, HEADERS_USUAL);
	else
		memcpy(d, g->hdr, g->hdr_len);
}

static int fill(struct offload_gso *g, struct rte_mempool *pool, struct rte_mbuf *m)
{
	uint32_t n = RTE_MIN((uint32_t)g->mss, g->left);
	uint8_t *d = rte_pktmbuf_mtod(m, uint8_t *);
	uint64_t sum = 0;

	put_headers(g, m, d);
	m->data_len = g->hdr_len;
	m->pkt_len = g->hdr_len;
	if (likely(n <= rte_pktmbuf_tailroom(m))) {
		sum = take_payload(g, d + g->hdr_len, n);
		m->data_len = (uint16_t)(g->hdr_len + n);
		m->pkt_len = m->data_len;
	} else if (long_payload(g, pool, m, n, &sum) < 0) {
		return -ENOMEM;
	}
	patch(g, d, n, sum);
	g->left -= n;
	g->more = g->left > 0;
	*pkt_meta(m) = g->meta;
	pkt_meta(m)->pkt.l3_end = m->pkt_len;
	return 0;
}

int offload_gso_next(struct offload_gso *g, struct rte_mempool *pool, struct rte_mbuf **ret, uint16_t n)
{
	uint32_t want = g->more ? (g->left + g->mss - 1) / g->mss : 0;
	uint16_t k = (uint16_t)RTE_MIN((uint32_t)n, RTE_MAX(want, (uint32_t)g->more)), i;

	if (!k)
		return 0;
	if (rte_pktmbuf_alloc_bulk(pool, ret, k) < 0)
		return -ENOMEM;
	for (i = 0; i < k; i++) {
		if (unlikely(g->hdr_len > rte_pktmbuf_tailroom(ret[i]) || fill(g, pool, ret[i]) < 0)) {
			rte_pktmbuf_free_bulk(ret, k);
			return -ENOMEM;
		}
	}
	return k;
}
