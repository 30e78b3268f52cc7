/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The edge toward a NIC. A packet that wants segmentation or a checksum is encapsulated as a whole and described to the
 * driver by the rules of rte_mbuf_core.h, if the member is trusted with that; else it is cut or summed first. What the
 * driver refuses goes the software's way after all.
 */
#include <rte_ethdev.h>

#include "offload/offload.h"
#include "offload/offload_private.h"

#define PIECES 32 /* encapsulated and emitted together */

#define TX_FLAGS (RTE_MBUF_F_TX_OFFLOAD_MASK)

static const char *const names[] = {
#define X(sym, name, text) name,
	OFFLOAD_COUNTER_LIST(X)
#undef X
};

static const char *const texts[] = {
#define X(sym, name, text) text,
	OFFLOAD_COUNTER_LIST(X)
#undef X
};

const char *offload_counter_name(enum offload_counter c)
{
	return c < OFFLOAD_COUNTERS ? names[c] : NULL;
}

const char *offload_counter_text(enum offload_counter c)
{
	return c < OFFLOAD_COUNTERS ? texts[c] : NULL;
}

static void count(const struct offload_out *out, enum offload_counter c, uint64_t n)
{
	stat_add(&out->counters->n[c], n);
}

/* Bytes of TCP payload behind the headers of a packet in one piece; 0: none, or the headers are not in one. */
static uint32_t tcp_payload(const struct rte_mbuf *m, const struct pkt_info *pkt, uint8_t *ret_l4_len)
{
	const uint8_t *tcp = rte_pktmbuf_mtod_offset(m, const uint8_t *, pkt->l4_off);
	uint32_t len, end;

	if (pkt->l4_off + TCP_HLEN_MIN > m->data_len)
		return 0;
	len = (tcp[12] >> 4) * 4u;
	end = pkt->l4_off + len;
	if (len < TCP_HLEN_MIN || end > m->data_len || end >= pkt->l3_end)
		return 0;
	*ret_l4_len = (uint8_t)len;
	return pkt->l3_end - end;
}

/*
 * Can the packet be described to a NIC at all? Drivers take the first next header of IPv6 for the last one, and TSO
 * would cut padding into segments.
 */
static bool describable(const struct pkt_info *pkt, const struct encap_template *t)
{
	if (t->ops->ip_proto != IPPROTO_GRE_)
		return false;
	if ((pkt->flags & (PKT_F_L4 | PKT_F_FRAGMENT | PKT_F_PADDED | PKT_F_VLAN)) != PKT_F_L4)
		return false;
	if (pkt->kind == PKT_IPV6)
		return !(pkt->flags & PKT_F_OPTIONS);
	return pkt->kind == PKT_IPV4;
}

/* What rte_mbuf_core.h wants to know. After encapsulation; mss 0: only the checksum. */
static void describe(struct rte_mbuf *m, const struct encap_template *t, uint16_t mss, uint8_t l4_len)
{
	const struct pkt_info *pkt = &pkt_meta(m)->pkt;
	bool v6 = pkt->kind == PKT_IPV6;
	uint8_t *inner = rte_pktmbuf_mtod_offset(m, uint8_t *, t->len), *l4 = inner + pkt->l4_off;
	uint64_t flags = RTE_MBUF_F_TX_TUNNEL_GRE;
	uint16_t pseudo;

	flags |= t->family == 4 ? RTE_MBUF_F_TX_OUTER_IPV4 : RTE_MBUF_F_TX_OUTER_IPV6;
	flags |= v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
	m->outer_l2_len = t->l3_off;
	m->outer_l3_len = t->family == 4 ? sizeof(struct ipv4_hdr) : sizeof(struct ipv6_hdr);
	m->l2_len = (uint8_t)(t->len - m->outer_l2_len - m->outer_l3_len + pkt->l3_off);
	m->l3_len = (uint16_t)(pkt->l4_off - pkt->l3_off);
	m->l4_len = l4_len;
	m->tso_segsz = mss;
	if (mss) {
		flags |= RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM;
		flags |= v6 ? 0 : RTE_MBUF_F_TX_IP_CKSUM;
		flags |= t->family == 4 ? RTE_MBUF_F_TX_OUTER_IP_CKSUM : 0;
	} else {
		flags |= pkt->proto == IPPROTO_TCP_ ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
	}
	/* Of segments that are still to be made, the NIC adds the length. */
	pseudo = (uint16_t)sum_fold(sum_pseudo(inner + pkt->l3_off, v6, pkt->proto,
					       mss ? 0 : pkt->l3_end - pkt->l4_off));
	memcpy(l4 + (pkt->proto == IPPROTO_TCP_ ? TCP_AT_CSUM : UDP_AT_CSUM), &pseudo, 2);
	m->ol_flags |= flags;
}

static void undo(struct rte_mbuf *m, const struct encap_template *t)
{
	rte_pktmbuf_adj(m, t->len);
	m->ol_flags &= ~TX_FLAGS;
	m->tx_offload = 0;
}

/*
 * Encapsulate and hand to the driver's own check. False: refused, and m is as it was but for its pseudo header.
 * @param frames  that the NIC makes of it: each has an outer ID of its own.
 */
static bool by_hardware(const struct offload_out *out, struct rte_mbuf *m, const struct encap_template *t, uint16_t mss,
			uint8_t l4_len, uint32_t frames)
{
	uint16_t id = *out->ip_id;

	t->ops->encap(&m, &t, 1, out->ip_id, out->flow_id);
	describe(m, t, mss, l4_len);
	if (out->dev->ops->prepare && out->dev->ops->prepare(out->dev, out->queue, &m, 1) != 1) {
		undo(m, t);
		*out->ip_id = id;
		count(out, OFFLOAD_REFUSED, 1);
		return false;
	}
	*out->ip_id = (uint16_t)(id + frames);
	out->emit(out->arg, &m, 1);
	return true;
}

static void emit(const struct offload_out *out, struct rte_mbuf **pkts, const struct encap_template *t, uint16_t n)
{
	const struct encap_template *tmpl[PIECES];

	for (uint16_t i = 0; i < n; i++)
		tmpl[i] = t;
	t->ops->encap(pkts, tmpl, n, out->ip_id, out->flow_id);
	out->emit(out->arg, pkts, n);
}

static enum drop_reason cut(const struct offload_out *out, struct rte_mbuf *m, const struct encap_template *t)
{
	struct rte_mbuf *pkts[PIECES];
	struct offload_gso g;
	enum drop_reason why = offload_gso_begin(&g, m, t->max_inner, false);
	uint64_t frames = 0;
	int n;

	if (why)
		return why;
	while ((n = offload_gso_next(&g, out->pool, pkts, PIECES)) > 0) {
		emit(out, pkts, t, (uint16_t)n);
		frames += (uint64_t)n;
	}
	count(out, OFFLOAD_TSO_FRAMES, frames);
	if (n < 0)
		return DROP_NO_MBUF;
	count(out, OFFLOAD_TSO_SW, 1);
	rte_pktmbuf_free(m);
	return DROP_NONE;
}

static enum drop_reason transmit_large(const struct offload_out *out, struct rte_mbuf *m,
				       const struct encap_template *t, uint32_t can)
{
	const struct pkt_meta *meta = pkt_meta(m);
	uint32_t payload, mss, headers, frames;
	uint8_t l4_len = 0;

	if (!(can & OFFLOAD_F_TX_TSO) || !describable(&meta->pkt, t) || meta->pkt.proto != IPPROTO_TCP_)
		return cut(out, m, t);
	payload = tcp_payload(m, &meta->pkt, &l4_len);
	headers = (uint32_t)(meta->pkt.l4_off - meta->pkt.l3_off) + l4_len;
	if (!payload || t->max_inner <= headers)
		return cut(out, m, t);
	mss = RTE_MIN((uint32_t)meta->gso_size, t->max_inner - headers);
	/* A packet of one segment is none for TSO, and may be for the checksum; rare enough for software. */
	frames = (payload + mss - 1) / mss;
	if (frames < 2 || !by_hardware(out, m, t, (uint16_t)mss, l4_len, frames))
		return cut(out, m, t);
	count(out, OFFLOAD_TSO_HW, 1);
	count(out, OFFLOAD_TSO_HW_FRAMES, frames);
	return DROP_NONE;
}

static bool hardware_sums(const struct rte_mbuf *m, const struct encap_template *t)
{
	const struct pkt_meta *meta = pkt_meta((struct rte_mbuf *)(uintptr_t)m);

	if (!describable(&meta->pkt, t) || meta->csum_start != meta->pkt.l4_off)
		return false;
	if (meta->pkt.proto == IPPROTO_TCP_)
		return meta->csum_offset == TCP_AT_CSUM && meta->pkt.l4_off + TCP_HLEN_MIN <= m->data_len;
	return meta->pkt.proto == IPPROTO_UDP_ && meta->csum_offset == UDP_AT_CSUM &&
	       meta->pkt.l4_off + 8u <= m->data_len;
}

bool offload_csum_left(const struct member_dev *dev, const struct rte_mbuf *m, const struct encap_template *t)
{
	uint32_t can = dev ? __atomic_load_n(&dev->offload, __ATOMIC_RELAXED) : 0;

	if (!(can & OFFLOAD_F_TX_CSUM) || (m->nb_segs > 1 && !(can & OFFLOAD_F_CHAINS)))
		return false;
	return hardware_sums(m, t);
}

/* Its checksum after all by software; the outer headers stay. hardware_sums() has seen that the place is there. */
static void sum_below(struct rte_mbuf *m, const struct encap_template *t)
{
	m->ol_flags &= ~TX_FLAGS;
	m->tx_offload = 0;
	rte_pktmbuf_adj(m, t->len);
	(void)offload_csum_finish(m);
	rte_pktmbuf_prepend(m, t->len);
}

void offload_csum_leave(const struct offload_out *out, struct rte_mbuf **pkts, const struct encap_template *const *tmpl,
			uint16_t n)
{
	uint16_t done = 0, refused = 0;

	for (uint16_t i = 0; i < n; i++)
		describe(pkts[i], tmpl[i], 0, 0);
	while (out->dev->ops->prepare && done < n) {
		done += out->dev->ops->prepare(out->dev, out->queue, pkts + done, n - done);
		if (done == n)
			break;
		sum_below(pkts[done], tmpl[done]);
		done++;
		refused++;
	}
	count(out, OFFLOAD_REFUSED, refused);
	count(out, OFFLOAD_CSUM_SW, refused);
	count(out, OFFLOAD_CSUM_HW, n - refused);
}

enum drop_reason offload_transmit(const struct offload_out *out, struct rte_mbuf *m, const struct encap_template *t)
{
	uint32_t can = out->dev ? __atomic_load_n(&out->dev->offload, __ATOMIC_RELAXED) : 0;
	enum drop_reason why;

	if (m->nb_segs > 1 && !(can & OFFLOAD_F_CHAINS))
		can = 0;
	if (pkt_meta(m)->gso_type)
		return transmit_large(out, m, t, can);
	if (offload_csum_left(out->dev, m, t)) {
		t->ops->encap(&m, &t, 1, out->ip_id, out->flow_id);
		offload_csum_leave(out, &m, &t, 1);
		out->emit(out->arg, &m, 1);
		return DROP_NONE;
	}
	why = offload_csum_finish(m);
	if (why)
		return why;
	count(out, OFFLOAD_CSUM_SW, 1);
	emit(out, &m, t, 1);
	return DROP_NONE;
}

struct rte_mbuf *offload_tx_chain(struct rte_mbuf *m, uint64_t tx_offloads, struct rte_mempool *pool)
{
	struct rte_mbuf *copy;

	if (tx_offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS)
		return m;
	copy = rte_pktmbuf_copy(m, pool, 0, UINT32_MAX);
	if (!copy)
		return NULL;
	if (copy->nb_segs > 1) { /* longer than one buffer: no such frame fits a member of usual MTU */
		rte_pktmbuf_free(copy);
		return NULL;
	}
	rte_pktmbuf_free(m);
	return copy;
}
