/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Segments of TCP flows that were received together, merged into packets of up to 64 KiB for guests that take them.
 * Within one burst: nothing waits, nothing is overtaken within its flow. A merged packet is one that the sender's own
 * stack could have sent: cut again by its segment size it gives the same payload, sequence numbers and flags.
 *
 * Why not rte_gro: it has no IPv6 and looks at no checksum; what was damaged on the way would be given a checksum by
 * the next one to finish it. It merges in place of ours only the smaller half, so all of it is here.
 */
#include "offload/offload.h"
#include "offload/offload_private.h"

#define FLOWS 64 /* places; flows that share one are not merged across each other */

/* A packet that others may be appended to. */
struct head {
	struct rte_mbuf *m, *tail;
	uint32_t next_seq, hash;
	uint16_t mss, count, id; /* id: of the last one */
	uint16_t hdr_len;
	bool good; /* its own checksum was verified */
};

/* What is looked at of one packet. */
struct look {
	const uint8_t *d, *ip, *tcp;
	uint32_t seq, payload, hash;
	uint16_t hdr_len;
	bool v6;
	bool mergeable; /* else it only ends what came before it in its flow */
	bool bad;	/* its checksum is wrong */
};

static inline uint32_t mix(uint64_t v)
{
	return (uint32_t)(v * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

static inline uint32_t key_hash(const struct look *l)
{
	uint64_t a, b = 0;
	uint32_t ports;

	memcpy(&ports, l->tcp, 4);
	if (l->v6) {
		memcpy(&a, l->ip + 16, 8);
		memcpy(&b, l->ip + 32, 8);
	} else {
		memcpy(&a, l->ip + 12, 8);
	}
	return mix(a ^ b << 1 ^ (uint64_t)ports << 13);
}

static inline bool same_flow(const struct look *p, const struct rte_mbuf *head)
{
	const struct pkt_meta *hm = pkt_meta((struct rte_mbuf *)(uintptr_t)head);
	const uint8_t *d = rte_pktmbuf_mtod(head, const uint8_t *);
	const uint8_t *ip = d + hm->pkt.l3_off, *tcp = d + hm->pkt.l4_off;

	if ((hm->pkt.kind == PKT_IPV6) != p->v6 || memcmp(p->tcp, tcp, 4) != 0)
		return false;
	return p->v6 ? memcmp(p->ip + 8, ip + 8, 32) == 0 : memcmp(p->ip + 12, ip + 12, 8) == 0;
}

/* @return false: not TCP with ports at hand, leave it alone */
static inline bool look_at(const struct rte_mbuf *m, uint32_t takes, struct look *l)
{
	const struct pkt_meta *meta = pkt_meta((struct rte_mbuf *)(uintptr_t)m);
	const struct pkt_info *pkt = &meta->pkt;
	uint32_t tcp_len, flags;

	if (pkt->proto != IPPROTO_TCP_ || (pkt->kind != PKT_IPV4 && pkt->kind != PKT_IPV6) ||
	    (pkt->flags & (PKT_F_L4 | PKT_F_FRAGMENT)) != PKT_F_L4)
		return false;
	l->d = rte_pktmbuf_mtod(m, const uint8_t *);
	l->ip = l->d + pkt->l3_off;
	l->tcp = l->d + pkt->l4_off;
	l->v6 = pkt->kind == PKT_IPV6;
	l->hash = key_hash(l);
	l->mergeable = l->bad = false;
	if (unlikely(pkt->l4_off + TCP_HLEN_MIN > m->data_len) || meta->gso_type || meta->src != PORT_WIRE ||
	    pkt->flags & (PKT_F_OPTIONS | PKT_F_PADDED | PKT_F_VLAN) ||
	    !(takes & (l->v6 ? PORT_RX_TSO6 : PORT_RX_TSO4)))
		return true;
	tcp_len = (l->tcp[12] >> 4) * 4u;
	l->hdr_len = (uint16_t)(pkt->l4_off + tcp_len);
	flags = l->tcp[13];
	if (tcp_len < TCP_HLEN_MIN || l->hdr_len >= m->data_len || l->hdr_len >= pkt->l3_end ||
	    (flags & ~(uint32_t)TCP_PSH) != TCP_ACK || l->tcp[12] & 0x0f || rte_mbuf_refcnt_read(m) != 1)
		return true;
	l->seq = load_be32(l->tcp + 4);
	l->payload = pkt->l3_end - l->hdr_len;
	l->mergeable = true;
	return true;
}

/* Headers that have to be alike for the receiver not to notice. */
static inline bool same_headers(const struct look *p, const struct head *h)
{
	const struct pkt_meta *hm = pkt_meta(h->m);
	const uint8_t *d = rte_pktmbuf_mtod(h->m, const uint8_t *), *ip = d + hm->pkt.l3_off, *tcp = d + hm->pkt.l4_off;
	uint32_t opts = h->hdr_len - hm->pkt.l4_off - TCP_HLEN_MIN;

	if (memcmp(p->d, d, ETH_HLEN_) != 0 || memcmp(p->tcp + 8, tcp + 8, 5) != 0) /* acknowledgement, header length */
		return false;
	if (p->v6) {
		if (memcmp(p->ip, ip, 4) != 0 || p->ip[7] != ip[7]) /* class, label, hop limit */
			return false;
	} else {
		if (p->ip[1] != ip[1] || memcmp(p->ip + 6, ip + 6, 3) != 0) /* TOS, fragment word, TTL */
			return false;
		/* RFC 6864: without DF the ID means something, and cutting counts it up. */
		if (!(ip[6] & 0x40) && load_be16(p->ip + 4) != (uint16_t)(h->id + 1))
			return false;
	}
	return !opts || memcmp(p->tcp + TCP_HLEN_MIN, tcp + TCP_HLEN_MIN, opts) == 0;
}

static bool verified(struct rte_mbuf *m, struct offload_counters *c)
{
	struct pkt_meta *meta = pkt_meta(m);

	if (meta->csum_state == CSUM_GOOD)
		return true;
	if (meta->csum_state != CSUM_UNKNOWN || !offload_csum_verify(m)) {
		stat_add(&c->n[OFFLOAD_RX_CSUM_BAD], 1);
		return false;
	}
	stat_add(&c->n[OFFLOAD_RX_CSUM_SW], 1);
	meta->csum_state = CSUM_GOOD;
	return true;
}

/* Headers of the whole, when nothing more is appended. */
static void finish(struct head *h, struct offload_counters *c)
{
	struct rte_mbuf *m = h->m;
	struct pkt_meta *meta = pkt_meta(m);
	uint8_t *d, *ip, *tcp;
	uint32_t ip_len, l4_len;
	uint16_t pseudo;

	if (!m || h->count < 2)
		return;
	d = rte_pktmbuf_mtod(m, uint8_t *);
	ip = d + meta->pkt.l3_off;
	tcp = d + meta->pkt.l4_off;
	ip_len = m->pkt_len - meta->pkt.l3_off;
	l4_len = m->pkt_len - meta->pkt.l4_off;
	meta->pkt.l3_end = m->pkt_len;
	if (meta->pkt.kind == PKT_IPV6) {
		store_be16(ip + 4, (uint16_t)(ip_len - sizeof(struct ipv6_hdr)));
		meta->gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
	} else {
		store_be16(ip + 2, (uint16_t)ip_len);
		memset(ip + 10, 0, 2);
		store_sum(ip + 10, sum_bytes_c(ip, sizeof(struct ipv4_hdr)));
		meta->gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	}
	pseudo = (uint16_t)sum_fold(sum_pseudo(ip, meta->pkt.kind == PKT_IPV6, IPPROTO_TCP_, l4_len));
	memcpy(tcp + TCP_AT_CSUM, &pseudo, 2);
	meta->csum_state = CSUM_PARTIAL;
	meta->csum_start = meta->pkt.l4_off;
	meta->csum_offset = TCP_AT_CSUM;
	meta->gso_size = h->mss;
	meta->gso_hdr_len = h->hdr_len;
	stat_add(&c->n[OFFLOAD_GRO_PACKETS], 1);
	stat_add(&c->n[OFFLOAD_GRO_FRAMES], h->count);
}

static void begin(struct head *h, struct rte_mbuf *m, const struct look *l)
{
	*h = (struct head){ .m = m, .next_seq = l->seq + l->payload, .hash = l->hash, .mss = (uint16_t)l->payload,
			    .count = 1, .hdr_len = l->hdr_len, .id = l->v6 ? 0 : load_be16(l->ip + 4) };
}

/* May p be appended? Also says so of the checksums, last because that reads everything. */
static inline bool fits(struct head *h, struct rte_mbuf *m, struct look *p, struct offload_counters *c)
{
	if (p->seq != h->next_seq || p->payload > h->mss || p->hdr_len != h->hdr_len)
		return false;
	if (h->m->pkt_len + p->payload > UINT16_MAX || pkt_meta(m)->vsid_in != pkt_meta(h->m)->vsid_in)
		return false;
	if (!same_headers(p, h))
		return false;
	if (!h->good && !verified(h->m, c))
		return false;
	h->good = true;
	p->bad = !verified(m, c);
	return !p->bad;
}

/* Append the payload. The headers of m are not used any more. */
static inline void append(struct head *h, struct rte_mbuf *m, const struct look *p)
{
	uint8_t *tcp = rte_pktmbuf_mtod_offset(h->m, uint8_t *, pkt_meta(h->m)->pkt.l4_off);

	memcpy(tcp + 14, p->tcp + 14, 2); /* the window last offered */
	tcp[13] |= p->tcp[13] & TCP_PSH;
	h->next_seq += p->payload;
	h->count++;
	h->id++;
	m->data_off = (uint16_t)(m->data_off + p->hdr_len);
	m->data_len = (uint16_t)(m->data_len - p->hdr_len);
	if (!h->tail)
		h->tail = rte_pktmbuf_lastseg(h->m);
	h->tail->next = m;
	h->tail = m->nb_segs > 1 ? rte_pktmbuf_lastseg(m) : m;
	h->m->nb_segs = (uint16_t)(h->m->nb_segs + m->nb_segs);
	h->m->pkt_len += p->payload;
}

static inline bool one(struct head *h, struct rte_mbuf *m, struct look *l, struct offload_counters *c)
{
	bool last = l->mergeable && l->tcp[13] & TCP_PSH;

	if (h->m && h->hash == l->hash && same_flow(l, h->m)) {
		if (l->mergeable && fits(h, m, l, c)) {
			bool shorter = l->payload < h->mss;

			append(h, m, l);
			if (last || shorter) {
				finish(h, c);
				h->m = NULL;
			}
			return true;
		}
	} else if (!l->mergeable) {
		return false; /* somebody else's place */
	}
	finish(h, c);
	h->m = NULL;
	if (l->mergeable && !last && !l->bad)
		begin(h, m, l);
	return false;
}

static_assert(FLOWS == 64, "places are bits of a word");

uint16_t offload_gro(struct rte_mbuf **pkts, uint16_t n, uint32_t takes, struct offload_counters *c)
{
	struct head heads[FLOWS];
	struct look l = { 0 };
	uint64_t used = 0; /* places that were looked at */
	uint16_t k = 0;

	if (n < 2)
		return n;
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		unsigned int at;

		if (!look_at(m, takes, &l)) {
			pkts[k++] = m;
			continue;
		}
		at = l.hash % FLOWS;
		if (!(used >> at & 1))
			heads[at].m = NULL;
		used |= UINT64_C(1) << at;
		if (!one(&heads[at], m, &l, c))
			pkts[k++] = m;
	}
	for (; used; used &= used - 1)
		finish(&heads[__builtin_ctzll(used)], c);
	return k;
}
