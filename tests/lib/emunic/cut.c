/* SPDX-License-Identifier: BSD-3-Clause */
/* What the hardware does to a packet on its way out. Slow and simple: one byte or word at a time. */
#include <string.h>

#include "private.h"

static uint16_t get(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

uint16_t emunic_sum(const uint8_t *p, uint32_t len, uint32_t start)
{
	uint64_t s = start;

	for (uint32_t i = 0; i < len; i++)
		s += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}

void emunic_desc(const struct rte_mbuf *m, struct desc *d)
{
	*d = (struct desc){ .flags = m->ol_flags, .len = m->pkt_len, .segsz = m->tso_segsz };
	d->outer4 = m->ol_flags & RTE_MBUF_F_TX_OUTER_IPV4;
	d->outer6 = m->ol_flags & RTE_MBUF_F_TX_OUTER_IPV6;
	d->v4 = m->ol_flags & RTE_MBUF_F_TX_IPV4;
	d->v6 = m->ol_flags & RTE_MBUF_F_TX_IPV6;
	d->outer_ip = m->outer_l2_len;
	d->outer_len = m->outer_l3_len;
	d->inner_ip = d->outer_ip + m->outer_l3_len + m->l2_len;
	d->l4 = d->inner_ip + m->l3_len;
	d->payload = d->l4 + m->l4_len;
}

uint32_t emunic_frames(const struct desc *d)
{
	if (!(d->flags & RTE_MBUF_F_TX_TCP_SEG))
		return 1;
	return (d->len - d->payload + d->segsz - 1) / d->segsz;
}

static void ip4_sum(uint8_t *ip, uint32_t len)
{
	put(ip + 10, 0);
	put(ip + 10, (uint16_t)~emunic_sum(ip, len, 0));
}

/* Lengths, IDs, sequence and flags of segment n. */
static void headers(const struct desc *d, uint32_t n, uint32_t frames, uint32_t total, uint8_t *f)
{
	uint8_t *tcp = f + d->l4;
	uint32_t seq = (uint32_t)get(tcp + 4) << 16 | get(tcp + 6);

	if (d->outer4) {
		put(f + d->outer_ip + 2, total - d->outer_ip);
		put(f + d->outer_ip + 4, get(f + d->outer_ip + 4) + n);
	} else if (d->outer6) {
		put(f + d->outer_ip + 4, total - d->outer_ip - 40);
	}
	if (d->v4) {
		put(f + d->inner_ip + 2, total - d->inner_ip);
		put(f + d->inner_ip + 4, get(f + d->inner_ip + 4) + n);
	} else {
		put(f + d->inner_ip + 4, total - d->inner_ip - 40);
	}
	seq += n * d->segsz;
	put(tcp + 4, seq >> 16);
	put(tcp + 6, seq);
	if (n + 1 < frames)
		tcp[13] &= (uint8_t)~0x09;
	if (n)
		tcp[13] &= (uint8_t)~0x80;
}

uint32_t emunic_frame(const struct desc *d, const uint8_t *flat, uint32_t n, uint8_t *f)
{
	bool tso = d->flags & RTE_MBUF_F_TX_TCP_SEG;
	uint64_t l4 = d->flags & RTE_MBUF_F_TX_L4_MASK;
	uint32_t frames = emunic_frames(d), from, len = d->len, at;
	uint16_t sum;

	if (tso) {
		from = d->payload + n * d->segsz;
		len = d->len - from < d->segsz ? d->len - from : d->segsz;
		memcpy(f, flat, d->payload);
		memcpy(f + d->payload, flat + from, len);
		len += d->payload;
		headers(d, n, frames, len, f);
	} else {
		memcpy(f, flat, len);
	}
	if (d->flags & RTE_MBUF_F_TX_IP_CKSUM)
		ip4_sum(f + d->inner_ip, d->l4 - d->inner_ip);
	if (tso || l4 == RTE_MBUF_F_TX_TCP_CKSUM || l4 == RTE_MBUF_F_TX_UDP_CKSUM) {
		/* The field holds the pseudo header's sum; of segments without their length. */
		at = l4 == RTE_MBUF_F_TX_UDP_CKSUM && !tso ? 6 : 16;
		sum = (uint16_t)~emunic_sum(f + d->l4, len - d->l4, tso ? len - d->l4 : 0);
		put(f + d->l4 + at, !sum && at == 6 ? 0xffff : sum);
	}
	if (d->flags & RTE_MBUF_F_TX_OUTER_IP_CKSUM)
		ip4_sum(f + d->outer_ip, d->outer_len);
	return len;
}
