/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The distributed router's own voice: echo replies for gateway addresses and ICMP errors (RFC 792, 1122, 1191, 4443)
 * toward guests, always from the gateway of the guest's subnet.
 */
#include "datapath/dp.h"

#define ICMP4_QUOTE 548	 /* IP 20 + ICMP 8 + quote <= 576 (RFC 1812 4.3.2.3) */
#define ICMP6_QUOTE 1232 /* IP 40 + ICMP 8 + quote <= 1280 (RFC 4443 2.4) */

struct icmp_kind {
	uint8_t type, code;
};

/* Type and code that tell a drop; false: it is not told. */
static bool kind_of(enum drop_reason why, bool v4, struct icmp_kind *ret)
{
	struct icmp_kind k4, k6;

	switch (why) {
	case DROP_TTL:
		k4 = (struct icmp_kind){ 11, 0 };
		k6 = (struct icmp_kind){ 3, 0 };
		break;
	case DROP_TOO_BIG:
		k4 = (struct icmp_kind){ 3, 4 };
		k6 = (struct icmp_kind){ 2, 0 };
		break;
	case DROP_NO_ROUTE:
	case DROP_RDID:
		k4 = (struct icmp_kind){ 3, 0 };
		k6 = (struct icmp_kind){ 1, 0 };
		break;
	case DROP_NO_RECORD:
	case DROP_RECORD_UNUSABLE:
		k4 = (struct icmp_kind){ 3, 1 };
		k6 = (struct icmp_kind){ 1, 3 };
		break;
	default:
		return false;
	}
	*ret = v4 ? k4 : k6;
	return true;
}

static const struct ip_prefix *gateway(const struct policy_subnet *s, uint8_t family)
{
	for (uint16_t i = 0; i < s->n_gateways; i++)
		if (s->gateways[i].addr.family == family)
			return &s->gateways[i];
	return NULL;
}

/* May an error be sent about this packet? (RFC 1122 3.2.2, RFC 4443 2.4 e) */
static bool may_answer(const struct pkt_meta *meta, const uint8_t *data, uint32_t len)
{
	const uint8_t *l3 = data + meta->pkt.l3_off;
	const uint8_t *l4 = data + meta->pkt.l4_off;
	static const uint8_t zero[16];

	if (meta->pkt.flags & (PKT_F_GROUP | PKT_F_FRAG_LATER))
		return false;
	if (meta->pkt.kind == PKT_IPV4) {
		const struct ipv4_hdr *ip = (const void *)l3;

		if (memcmp(ip->src, zero, 4) == 0 || ip->src[0] >= 224 || ip->dst[0] >= 224)
			return false;
		/* no error about an error: only echo, timestamp and the like may be answered */
		return meta->pkt.proto != IPPROTO_ICMP_ ||
		       ((meta->pkt.flags & PKT_F_L4) && (l4[0] == 0 || l4[0] == 8 || (l4[0] >= 13 && l4[0] <= 18)));
	}
	if (meta->pkt.kind == PKT_IPV6) {
		const struct ipv6_hdr *ip = (const void *)l3;

		if (memcmp(ip->src, zero, 16) == 0 || ip->src[0] == 0xff || ip->dst[0] == 0xff)
			return false;
		return meta->pkt.proto != IPPROTO_ICMP6_ || ((meta->pkt.flags & PKT_F_L4) && l4[0] >= 128);
	}
	return false;
}

/* Ethernet, IP and ICMP headers in front of a quote that is in place already. */
static void fill4(uint8_t *f, const struct icmp_kind *k, const uint8_t *src, const uint8_t *dst, uint16_t mtu,
		  uint16_t quote)
{
	struct ipv4_hdr *ip = (void *)(f + ETH_HLEN_);
	struct icmp_hdr *icmp = (void *)(ip + 1);
	uint16_t sum;

	memset(ip, 0, sizeof(*ip) + sizeof(*icmp));
	ip->ver_ihl = 0x45;
	store_be16(&ip->len, (uint16_t)(sizeof(*ip) + sizeof(*icmp) + quote));
	store_be16(&ip->frag, 0x4000);
	ip->ttl = 64;
	ip->proto = IPPROTO_ICMP_;
	memcpy(ip->src, src, 4);
	memcpy(ip->dst, dst, 4);
	sum = csum_fold(csum_partial(ip, sizeof(*ip), 0));
	memcpy(&ip->csum, &sum, 2);
	icmp->type = k->type;
	icmp->code = k->code;
	store_be32(&icmp->rest, mtu); /* next-hop MTU in the low 16 bits, RFC 1191 */
	sum = csum_fold(csum_partial(icmp, sizeof(*icmp) + quote, 0));
	memcpy(&icmp->csum, &sum, 2);
}

static uint32_t pseudo6(const struct ipv6_hdr *ip, uint32_t len)
{
	uint8_t tail[8] = { 0 };

	store_be32(tail, len);
	tail[7] = IPPROTO_ICMP6_;
	return csum_partial(tail, sizeof(tail), csum_partial(ip->src, 32, 0));
}

static void fill6(uint8_t *f, const struct icmp_kind *k, const uint8_t *src, const uint8_t *dst, uint16_t mtu,
		  uint16_t quote)
{
	struct ipv6_hdr *ip = (void *)(f + ETH_HLEN_);
	struct icmp_hdr *icmp = (void *)(ip + 1);
	uint32_t len = sizeof(*icmp) + quote;
	uint16_t sum;

	memset(ip, 0, sizeof(*ip) + sizeof(*icmp));
	store_be32(&ip->vtf, 0x60000000);
	store_be16(&ip->plen, (uint16_t)len);
	ip->next = IPPROTO_ICMP6_;
	ip->hlim = 64;
	memcpy(ip->src, src, 16);
	memcpy(ip->dst, dst, 16);
	icmp->type = k->type;
	icmp->code = k->code;
	store_be32(&icmp->rest, mtu);
	sum = csum_fold(csum_partial(icmp, len, pseudo6(ip, len)));
	memcpy(&icmp->csum, &sum, 2);
}

/*
 * MAC of the sender. A packet that was routed and found too big afterwards carries the gateway's by now: then the
 * source address' record knows, or the port has only one.
 */
static void sender_mac(const struct worker *w, struct rte_mbuf *m, uint8_t *ret)
{
	const struct policy *p = w->dp->params.policy;
	const struct pkt_meta *meta = pkt_meta(m);
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *), *l3 = data + meta->pkt.l3_off;
	const struct policy_port *port = policy_port(p, meta->src);
	struct ip_addr src;
	uint32_t record;

	memcpy(ret, data + 6, 6);
	if (!(meta->flags & META_ROUTED))
		return;
	src = meta->pkt.kind == PKT_IPV4 ? ip4_from(l3 + 12) : ip6_from(l3 + 8);
	record = policy_ca_lookup(p, meta->vsid_in, &src);
	if (record != REC_NONE)
		memcpy(ret, &policy_record(p, record)->mac, 6);
	else if (port && port->n_macs)
		memcpy(ret, &port->macs[0], 6);
}

struct rte_mbuf *icmp_error(struct worker *w, const struct policy_subnet *s, struct rte_mbuf *m,
			    enum drop_reason why, uint16_t mtu, struct rate *limit)
{
	const struct pkt_meta *meta = pkt_meta(m);
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	bool v4 = meta->pkt.kind == PKT_IPV4;
	const struct ip_prefix *gw = gateway(s, v4 ? 4 : 6);
	uint16_t hdr = v4 ? sizeof(struct ipv4_hdr) : sizeof(struct ipv6_hdr);
	uint16_t quote, max = v4 ? ICMP4_QUOTE : ICMP6_QUOTE;
	struct icmp_kind k;
	struct rte_mbuf *e;
	uint8_t *f;

	if (!gw || !kind_of(why, v4, &k) || !may_answer(meta, data, m->data_len))
		return NULL;
	if (v4 && why == DROP_TOO_BIG && !(meta->pkt.flags & PKT_F_DF))
		return NULL; /* not forbidden to fragment: the sender did nothing wrong */
	if (!rate_take(limit, 1, w->now))
		return NULL;
	quote = (uint16_t)(RTE_MIN(meta->pkt.l3_end, m->data_len) - meta->pkt.l3_off);
	quote = RTE_MIN(quote, max);
	e = rte_pktmbuf_alloc(w->dp->params.pool);
	if (!e)
		return NULL;
	f = (uint8_t *)rte_pktmbuf_append(e, (uint16_t)(ETH_HLEN_ + hdr + sizeof(struct icmp_hdr) + quote));
	if (!f) {
		rte_pktmbuf_free(e);
		return NULL;
	}
	memset(pkt_meta(e), 0, sizeof(struct pkt_meta));
	pkt_meta(e)->vsid_in = pkt_meta(e)->vsid_out = meta->vsid_in;
	pkt_meta(e)->src = meta->src;
	pkt_meta(e)->flags = META_INJECT | (meta->flags & META_DRY);
	pkt_meta(e)->trace = meta->trace; /* what follows from a packet is part of its story */
	pkt_meta(e)->watchers = meta->watchers;
	sender_mac(w, m, f);
	mac_store(f + 6, s->gateway_mac);
	store_be16(f + 12, v4 ? ETHERTYPE_IPV4_ : ETHERTYPE_IPV6_);
	memcpy(f + ETH_HLEN_ + hdr + sizeof(struct icmp_hdr), data + meta->pkt.l3_off, quote);
	if (v4)
		fill4(f, &k, gw->addr.b, data + meta->pkt.l3_off + 12, mtu, quote);
	else
		fill6(f, &k, gw->addr.b, data + meta->pkt.l3_off + 8, mtu, quote);
	return e;
}

static void swap_bytes(uint8_t *a, uint8_t *b, unsigned int n)
{
	uint8_t t[16];

	memcpy(t, a, n);
	memcpy(a, b, n);
	memcpy(b, t, n);
}

/* Replace the type byte of an ICMP message and mend the checksum (RFC 1624). */
static void set_icmp_type(uint8_t *icmp, uint8_t type)
{
	uint32_t sum = (uint16_t)~load_be16(icmp + 2);

	sum += (uint16_t)~(uint16_t)(icmp[0] << 8) & 0xffff;
	sum += (uint32_t)type << 8;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	icmp[0] = type;
	store_be16(icmp + 2, (uint16_t)~sum);
}

bool icmp_echo_reply(const struct policy_subnet *s, struct rte_mbuf *m)
{
	struct pkt_meta *meta = pkt_meta(m);
	uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *);
	uint8_t *l3 = data + meta->pkt.l3_off, *l4 = data + meta->pkt.l4_off;

	if (!(meta->pkt.flags & PKT_F_L4) || (meta->pkt.flags & (PKT_F_FRAGMENT | PKT_F_GROUP)))
		return false;
	if (meta->pkt.kind == PKT_IPV4 && meta->pkt.proto == IPPROTO_ICMP_ && l4[0] == 8) {
		struct ipv4_hdr *ip = (void *)l3;
		uint16_t sum;

		swap_bytes(ip->src, ip->dst, 4);
		ip->ttl = 64;
		ip->csum = 0;
		sum = csum_fold(csum_partial(ip, (ip->ver_ihl & 15u) * 4u, 0));
		memcpy(&ip->csum, &sum, 2);
		set_icmp_type(l4, 0);
	} else if ((meta->pkt.kind == PKT_IPV6 || meta->pkt.kind == PKT_ND) && meta->pkt.proto == IPPROTO_ICMP6_ &&
		   l4[0] == 128) {
		struct ipv6_hdr *ip = (void *)l3;

		swap_bytes(ip->src, ip->dst, 16);
		ip->hlim = 64;
		set_icmp_type(l4, 129);
	} else {
		return false;
	}
	memcpy(data, data + 6, 6);
	mac_store(data + 6, s->gateway_mac);
	meta->verdict = VERDICT_REPLY;
	meta->vsid_out = meta->vsid_in;
	meta->flags |= META_INJECT;
	return true;
}
