/* SPDX-License-Identifier: BSD-3-Clause */
/* ARP and neighbour discovery messages as RFC 826, RFC 4861 4.3 and 4.4 and RFC 5227 want them. */
#include "base/meta.h"
#include "policy/neigh_make.h"

#define ARP_LEN	     (ETH_HLEN_ + (uint32_t)sizeof(struct arp_hdr))
#define ND_OPT_LEN   8u
#define NA_LEN	     ((uint32_t)(sizeof(struct nd_hdr) + ND_OPT_LEN))
#define NA_FRAME_LEN (ETH_HLEN_ + (uint32_t)sizeof(struct ipv6_hdr) + NA_LEN)
#define ND_NS	     135
#define ND_NA	     136
#define ND_OPT_NONCE 14
#define NA_ROUTER    0x80000000u
#define NA_SOLICITED 0x40000000u
#define NA_OVERRIDE  0x20000000u

/*
 * Make the packet a frame of len bytes whose old content is not needed any more. @return its start, NULL when
 * the buffer is not ours alone or too small.
 */
static uint8_t *rewrite(struct rte_mbuf *m, uint32_t len)
{
	if (rte_mbuf_refcnt_read(m) != 1 || RTE_MBUF_CLONED(m) ||
	    (RTE_MBUF_HAS_EXTBUF(m) && rte_mbuf_ext_refcnt_read(m->shinfo) != 1) || m->buf_len < len)
		return NULL;
	if (m->next) {
		rte_pktmbuf_free(m->next);
		m->next = NULL;
		m->nb_segs = 1;
	}
	if (m->data_off + len > m->buf_len)
		m->data_off = (uint16_t)(m->buf_len - len);
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	return rte_pktmbuf_mtod(m, uint8_t *);
}

static void arp_answer(uint8_t *d, const struct neigh_msg *msg, uint64_t mac)
{
	struct arp_hdr arp = { .hlen = 6, .plen = 4 };
	bool announces = ip_equal(&msg->sender, &msg->target);

	store_be16(&arp.htype, 1);
	store_be16(&arp.ptype, ETHERTYPE_IPV4_);
	store_be16(&arp.op, 2);
	mac_store(&arp.sha, mac);
	memcpy(arp.spa, msg->target.b, 4);
	/* RFC 5944 4.6. Linux takes it for a second answer otherwise, of which it believes the first for a second. */
	mac_store(&arp.tha, announces ? mac : msg->eth_src);
	memcpy(arp.tpa, msg->sender.b, 4);

	mac_store(d, msg->eth_src);
	mac_store(d + 6, mac);
	store_be16(d + 12, ETHERTYPE_ARP_);
	memcpy(d + ETH_HLEN_, &arp, sizeof(arp));
}

static uint16_t nd_checksum(const struct ipv6_hdr *ip, const uint8_t *msg, uint32_t len)
{
	uint8_t tail[8] = { [7] = IPPROTO_ICMP6_ };

	store_be32(tail, len);
	return csum_fold(csum_partial(msg, len, csum_partial(tail, 8, csum_partial(ip->src, 32, 0))));
}

static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };
static const uint8_t all_nodes_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };

static void na_answer(uint8_t *d, const struct neigh_msg *msg, uint64_t mac, bool router)
{
	bool probe = neigh_is_probe(msg);
	struct ipv6_hdr ip = { .next = IPPROTO_ICMP6_, .hlim = 255 };
	struct nd_hdr na = { .type = ND_NA };
	uint8_t body[sizeof(na) + ND_OPT_LEN];

	store_be32(&ip.vtf, 0x60000000);
	store_be16(&ip.plen, (uint16_t)NA_LEN);
	memcpy(ip.src, msg->target.b, 16);
	memcpy(ip.dst, probe ? all_nodes : msg->sender.b, 16);

	store_be32(&na.flags, NA_OVERRIDE | (probe ? 0 : NA_SOLICITED) | (router ? NA_ROUTER : 0));
	memcpy(na.target, msg->target.b, 16);
	memcpy(body, &na, sizeof(na));
	body[sizeof(na)] = ND_OPT_TARGET_MAC;
	body[sizeof(na) + 1] = ND_OPT_LEN / 8;
	mac_store(body + sizeof(na) + 2, mac);
	na.csum = nd_checksum(&ip, body, sizeof(body));
	memcpy(body, &na, sizeof(na));

	if (probe)
		memcpy(d, all_nodes_mac, ETH_ALEN_);
	else
		mac_store(d, msg->eth_src);
	mac_store(d + 6, mac);
	store_be16(d + 12, ETHERTYPE_IPV6_);
	memcpy(d + ETH_HLEN_, &ip, sizeof(ip));
	memcpy(d + ETH_HLEN_ + sizeof(ip), body, sizeof(body));
}

/* What the parser would say of it. */
static void describe(struct rte_mbuf *m, bool v6)
{
	const uint8_t *d = rte_pktmbuf_mtod(m, const uint8_t *);
	struct pkt_meta *meta = pkt_meta(m);

	meta->pkt = (struct pkt_info){
		.ethertype = v6 ? ETHERTYPE_IPV6_ : ETHERTYPE_ARP_,
		.kind = v6 ? PKT_ND : PKT_ARP,
		.flags = mac_is_group(d) ? PKT_F_GROUP : 0,
		.l3_off = ETH_HLEN_,
	};
	if (v6) {
		meta->pkt.flags |= PKT_F_L4 | PKT_F_DF;
		meta->pkt.proto = IPPROTO_ICMP6_;
		meta->pkt.l4_off = ETH_HLEN_ + sizeof(struct ipv6_hdr);
		meta->pkt.l3_end = (uint16_t)m->pkt_len;
	}
	meta->gso_type = 0;
	meta->gso_size = 0;
	meta->csum_state = CSUM_UNKNOWN;
}

void neigh_make_answer(struct rte_mbuf *m, const struct neigh_msg *msg, uint64_t mac, bool router)
{
	struct pkt_meta *meta = pkt_meta(m);
	uint8_t *d = rewrite(m, msg->v6 ? NA_FRAME_LEN : ARP_LEN);

	if (!d) {
		meta_drop(meta, DROP_NO_HEADROOM);
		return;
	}
	if (msg->v6)
		na_answer(d, msg, mac, router);
	else
		arp_answer(d, msg, mac);
	describe(m, msg->v6);
	meta->flags |= META_INJECT;
	meta->verdict = VERDICT_REPLY;
}

static void arp_question(uint8_t *d, const struct neigh_msg *msg)
{
	struct arp_hdr arp = { .hlen = 6, .plen = 4 };

	store_be16(&arp.htype, 1);
	store_be16(&arp.ptype, ETHERTYPE_IPV4_);
	store_be16(&arp.op, 1);
	mac_store(&arp.sha, msg->eth_src);
	memcpy(arp.spa, msg->sender.b, 4);
	memcpy(arp.tpa, msg->target.b, 4);

	mac_store(d, msg->eth_dst);
	mac_store(d + 6, msg->eth_src);
	store_be16(d + 12, ETHERTYPE_ARP_);
	memcpy(d + ETH_HLEN_, &arp, sizeof(arp));
}

/*
 * A probe from :: has to go to the solicited-node group (RFC 4861 4.3), and has no link-layer option; the frame is for
 * one MAC all the same. The room of the option is then a nonce's (RFC 3971 5.3.2), as RFC 7527 wants it for probes.
 */
static void ns_question(uint8_t *d, const struct neigh_msg *msg)
{
	bool probe = neigh_is_probe(msg);
	struct ipv6_hdr ip = { .next = IPPROTO_ICMP6_, .hlim = 255 };
	struct nd_hdr ns = { .type = ND_NS };
	uint8_t body[sizeof(ns) + ND_OPT_LEN];

	store_be32(&ip.vtf, 0x60000000);
	store_be16(&ip.plen, (uint16_t)NA_LEN);
	memcpy(ip.src, msg->sender.b, 16);
	memcpy(ip.dst, msg->target.b, 16);
	if (probe) {
		memset(ip.dst, 0, 13);
		ip.dst[0] = 0xff;
		ip.dst[1] = 0x02;
		ip.dst[11] = 0x01;
		ip.dst[12] = 0xff;
	}
	memcpy(ns.target, msg->target.b, 16);
	memcpy(body, &ns, sizeof(ns));
	body[sizeof(ns)] = probe ? ND_OPT_NONCE : ND_OPT_SOURCE_MAC;
	body[sizeof(ns) + 1] = ND_OPT_LEN / 8;
	mac_store(body + sizeof(ns) + 2, probe ? msg->link : msg->eth_src);
	ns.csum = nd_checksum(&ip, body, sizeof(body));
	memcpy(body, &ns, sizeof(ns));

	mac_store(d, msg->eth_dst);
	mac_store(d + 6, msg->eth_src);
	store_be16(d + 12, ETHERTYPE_IPV6_);
	memcpy(d + ETH_HLEN_, &ip, sizeof(ip));
	memcpy(d + ETH_HLEN_ + sizeof(ip), body, sizeof(body));
}

bool neigh_make_question(struct rte_mbuf *m, const struct neigh_msg *msg)
{
	uint8_t *d = rewrite(m, msg->v6 ? NA_FRAME_LEN : ARP_LEN);

	if (!d)
		return false;
	if (msg->v6)
		ns_question(d, msg);
	else
		arp_question(d, msg);
	describe(m, msg->v6);
	pkt_meta(m)->flags |= META_INJECT;
	return true;
}

bool neigh_make_nd(struct rte_mbuf *m, uint64_t mac, const struct ip_addr *from, uint8_t *body, uint32_t len)
{
	struct ipv6_hdr ip = { .next = IPPROTO_ICMP6_, .hlim = 255 };
	uint8_t *d = rewrite(m, ETH_HLEN_ + (uint32_t)sizeof(ip) + len);
	uint16_t csum;

	if (!d)
		return false;
	store_be32(&ip.vtf, 0x60000000);
	store_be16(&ip.plen, (uint16_t)len);
	memcpy(ip.src, from->b, 16);
	memcpy(ip.dst, all_nodes, 16);
	csum = nd_checksum(&ip, body, len);
	memcpy(body + 2, &csum, sizeof(csum));

	memcpy(d, all_nodes_mac, ETH_ALEN_);
	mac_store(d + 6, mac);
	store_be16(d + 12, ETHERTYPE_IPV6_);
	memcpy(d + ETH_HLEN_, &ip, sizeof(ip));
	memcpy(d + ETH_HLEN_ + sizeof(ip), body, len);
	describe(m, true);
	pkt_meta(m)->flags |= META_INJECT;
	return true;
}
