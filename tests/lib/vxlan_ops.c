/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "base/meta.h"
#include "base/wire.h"
#include "vxlan_ops.h"

#define VXLAN_PORT  4789
#define VXLAN_F_VNI 0x08000000u
#define OUTER_TTL   64
#define TUNNEL_LEN  16u /* UDP and VXLAN */

static int vxlan_template_build(struct encap_template *t, const struct encap_path *path)
{
	uint8_t family = path->src.family, *h = t->hdr;
	struct ipv4_hdr ip4 = { .ver_ihl = 0x45, .ttl = OUTER_TTL, .proto = IPPROTO_UDP_ };
	struct ipv6_hdr ip6 = { .next = IPPROTO_UDP_, .hlim = OUTER_TTL };

	if (family != path->dst.family || (family != 4 && family != 6))
		return -EAFNOSUPPORT;
	memset(t->hdr, 0, sizeof(t->hdr));
	memcpy(h, &path->dst_mac, 6);
	memcpy(h + 6, &path->src_mac, 6);
	h += 12;
	if (path->vlan) {
		store_be16(h, ETHERTYPE_VLAN_);
		store_be16(h + 2, path->vlan);
		h += 4;
	}
	store_be16(h, family == 4 ? ETHERTYPE_IPV4_ : ETHERTYPE_IPV6_);
	h += 2;
	t->family = family;
	t->l3_off = (uint8_t)(h - t->hdr);
	t->csum = 0;
	if (family == 4) {
		store_be16(&ip4.frag, 0x4000);
		memcpy(ip4.src, path->src.b, 4);
		memcpy(ip4.dst, path->dst.b, 4);
		memcpy(h, &ip4, sizeof(ip4));
		t->csum = csum_partial(h, sizeof(ip4), 0);
		h += sizeof(ip4);
	} else {
		store_be32(&ip6.vtf, 0x60000000);
		memcpy(ip6.src, path->src.b, 16);
		memcpy(ip6.dst, path->dst.b, 16);
		memcpy(h, &ip6, sizeof(ip6));
		h += sizeof(ip6);
	}
	store_be16(h + 2, VXLAN_PORT); /* UDP checksum 0: RFC 7348 5, RFC 6935 */
	store_be32(h + 8, VXLAN_F_VNI);
	t->len = (uint8_t)(h + TUNNEL_LEN - t->hdr);
	return 0;
}

static void patch(uint8_t *d, const struct encap_template *t, const struct pkt_meta *meta, uint32_t total,
		  uint16_t id, bool flow_id)
{
	uint8_t *ip = d + t->l3_off, *udp = d + t->len - TUNNEL_LEN;
	uint16_t csum;

	if (t->family == 4) {
		store_be16(ip + 2, (uint16_t)(total - t->l3_off));
		store_be16(ip + 4, id);
		csum = csum_fold(csum_partial(ip + 2, 4, t->csum));
		memcpy(ip + 10, &csum, 2);
	} else {
		store_be16(ip + 4, (uint16_t)(total - t->l3_off - sizeof(struct ipv6_hdr)));
	}
	store_be16(udp, (uint16_t)(0xc000 | (flow_id ? meta->hash & 0x3fff : 0)));
	store_be16(udp + 4, (uint16_t)(total - t->len + TUNNEL_LEN));
	store_be32(udp + 12, meta->vsid_out << 8);
}

static void vxlan_encap(struct rte_mbuf **pkts, const struct encap_template *const *tmpl, uint16_t n,
			uint16_t *ip_id, bool flow_id)
{
	for (uint16_t i = 0; i < n; i++) {
		const struct encap_template *t = tmpl[i];
		struct rte_mbuf *m = pkts[i];
		uint8_t *d;

		m->data_off = (uint16_t)(m->data_off - t->len);
		m->data_len = (uint16_t)(m->data_len + t->len);
		m->pkt_len += t->len;
		d = rte_pktmbuf_mtod(m, uint8_t *);
		memcpy(d, t->hdr, t->len);
		patch(d, t, pkt_meta(m), m->pkt_len, (*ip_id)++, flow_id);
	}
}

/* Outer IP header at *off: sound, ours, UDP. *off moves behind it, *end to where the IP packet ends. */
static enum drop_reason outer_ip(const uint8_t *d, uint32_t len, uint32_t total, bool csum_good,
				 uint32_t *off, uint32_t *end, struct ip_addr *src, struct ip_addr *dst)
{
	const uint8_t *ip = d + *off;
	uint16_t type = load_be16(ip - 2);

	if (type == ETHERTYPE_IPV4_) {
		if (len < *off + sizeof(struct ipv4_hdr) + TUNNEL_LEN || ip[9] != IPPROTO_UDP_)
			return DROP_WIRE_OTHER;
		*end = *off + load_be16(ip + 2);
		if (ip[0] != 0x45 || *end > total || *end < *off + sizeof(struct ipv4_hdr) + TUNNEL_LEN ||
		    (!csum_good && csum_fold(csum_partial(ip, sizeof(struct ipv4_hdr), 0)) != 0))
			return DROP_OUTER_IP;
		if (load_be16(ip + 6) & 0x3fff)
			return DROP_OUTER_FRAGMENT;
		*src = ip4_from(ip + 12);
		*dst = ip4_from(ip + 16);
		*off += sizeof(struct ipv4_hdr);
		return DROP_NONE;
	}
	if (type != ETHERTYPE_IPV6_ || len < *off + sizeof(struct ipv6_hdr) + TUNNEL_LEN ||
	    ip[6] != IPPROTO_UDP_)
		return DROP_WIRE_OTHER;
	*end = *off + sizeof(struct ipv6_hdr) + load_be16(ip + 4);
	if (ip[0] >> 4 != 6 || *end > total || *end < *off + sizeof(struct ipv6_hdr) + TUNNEL_LEN)
		return DROP_OUTER_IP;
	*src = ip6_from(ip + 8);
	*dst = ip6_from(ip + 24);
	*off += sizeof(struct ipv6_hdr);
	return DROP_NONE;
}

static enum drop_reason vxlan_parse(const uint8_t *data, uint32_t len, uint32_t total, bool csum_good,
				    const struct encap_local *l, unsigned int n, unsigned int *hint,
				    struct encap_rx *ret)
{
	struct encap_rx rx = { 0 };
	uint32_t off = ETH_HLEN_, end = 0;
	struct ip_addr dst;
	enum drop_reason why;
	uint16_t vid = 0;
	unsigned int pa;

	if (len < ETH_HLEN_)
		return DROP_WIRE_RUNT;
	if (load_be16(data + 12) == ETHERTYPE_VLAN_ && len >= 18) {
		vid = load_be16(data + 14) & 0xfff;
		off += 4;
	}
	why = outer_ip(data, len, total, csum_good, &off, &end, &rx.outer_src, &dst);
	if (why)
		return why;
	if (load_be16(data + off + 2) != VXLAN_PORT)
		return DROP_WIRE_OTHER;
	for (pa = 0; pa < n; pa++) {
		if (mac_equal(data, &l[pa].mac) && ip_equal(&dst, &l[pa].address))
			break;
	}
	if (pa == n)
		return DROP_NOT_PA;
	if (vid != l[pa].vlan)
		return DROP_OUTER_VLAN;
	rx.vsid = load_be32(data + off + 12) >> 8;
	if (!vsid_is_valid(rx.vsid))
		return DROP_VSID_RESERVED;
	off += TUNNEL_LEN;
	if (end < off + ETH_HLEN_ || len < off + ETH_HLEN_)
		return DROP_INNER_RUNT;
	if (load_be16(data + off + 12) == ETHERTYPE_VLAN_ || load_be16(data + off + 12) == ETHERTYPE_QINQ_)
		return DROP_INNER_VLAN;
	rx.inner_off = (uint16_t)off;
	rx.inner_len = (uint16_t)(end - off);
	*ret = rx;
	*hint = pa;
	return DROP_NONE;
}

const struct encap_ops vxlan_ops = {
	.name = "vxlan",
	.ip_proto = IPPROTO_UDP_,
	.overhead4 = sizeof(struct ipv4_hdr) + TUNNEL_LEN + ETH_HLEN_,
	.overhead6 = sizeof(struct ipv6_hdr) + TUNNEL_LEN + ETH_HLEN_,
	.template_build = vxlan_template_build,
	.encap = vxlan_encap,
	.parse = vxlan_parse,
};
