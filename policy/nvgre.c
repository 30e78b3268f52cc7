/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NVGRE (RFC 7637) over IPv4 and IPv6. Decided where the RFC leaves it open:
 *
 *   TTL / hop limit  64.
 *   TOS / class      0: neither DSCP nor ECN of the tenant is shown to the underlay. Without ECN outside a
 *		      congested router drops instead of marking, which the tenant sees (RFC 6040,
 *		      compatibility mode).
 *   DF		      always set (HNV row 20): the outer packet is never fragmented. The ID counts
 *		      nevertheless, for segmentation offloads and for people who read captures.
 *   IPv6 flow label  from the inner flow hash (RFC 6438), also when the FlowID is switched off: a peer that
 *		      compares the whole GRE key does not look at it.
 *   FlowID	      bits 16..23 of the inner flow hash, 0 when switched off (RFC 7637 3.2).
 */
#include <errno.h>
#include <string.h>

#include "base/flowhash.h"
#include "base/meta.h"
#include "policy/nvgre_private.h"
#include "policy/policy.h"

#define OUTER_TTL 64
#define IP4_DF	  0x4000

static uint32_t eth_build(uint8_t *h, const struct encap_path *path, uint16_t type)
{
	memcpy(h, &path->dst_mac, ETH_ALEN_);
	memcpy(h + 6, &path->src_mac, ETH_ALEN_);
	if (!path->vlan) {
		store_be16(h + 12, type);
		return 14;
	}
	store_be16(h + 12, ETHERTYPE_VLAN_);
	store_be16(h + 14, path->vlan & 0x0fff);
	store_be16(h + 16, type);
	return 18;
}

static uint32_t ip4_build(uint8_t *h, const struct encap_path *path)
{
	struct ipv4_hdr ip = { .ver_ihl = 0x45, .ttl = OUTER_TTL, .proto = IPPROTO_GRE_ };

	store_be16(&ip.frag, IP4_DF);
	memcpy(ip.src, path->src.b, 4);
	memcpy(ip.dst, path->dst.b, 4);
	memcpy(h, &ip, sizeof(ip));
	return sizeof(ip);
}

static uint32_t ip6_build(uint8_t *h, const struct encap_path *path)
{
	struct ipv6_hdr ip = { .next = IPPROTO_GRE_, .hlim = OUTER_TTL };

	memcpy(ip.src, path->src.b, 16);
	memcpy(ip.dst, path->dst.b, 16);
	memcpy(h, &ip, sizeof(ip));
	return sizeof(ip);
}

static int nvgre_template_build(struct encap_template *t, const struct encap_path *path)
{
	uint8_t family = path->src.family;
	uint32_t off;

	if (family != path->dst.family || (family != 4 && family != 6))
		return -EAFNOSUPPORT;

	memset(t->hdr, 0, sizeof(t->hdr));
	t->csum = 0;
	t->family = family;
	off = eth_build(t->hdr, path, family == 4 ? ETHERTYPE_IPV4_ : ETHERTYPE_IPV6_);
	t->l3_off = (uint8_t)off;
	if (family == 4) {
		off += ip4_build(t->hdr + off, path);
		t->csum = csum_partial(t->hdr + t->l3_off, sizeof(struct ipv4_hdr), 0);
	} else {
		off += ip6_build(t->hdr + off, path);
	}
	store_be16(t->hdr + off, GRE_F_KEY);
	store_be16(t->hdr + off + 2, ETHERTYPE_TEB);
	t->len = (uint8_t)(off + sizeof(struct gre_hdr));
	return 0;
}

/* Length, ID and checksum. len_id and sum are in wire order: a one's complement sum does not mind. */
static inline void ip4_patch(uint8_t *l3, uint32_t csum, uint32_t ip_len, uint16_t id)
{
	uint32_t len_id = __builtin_bswap32(ip_len << 16 | id);
	uint64_t sum = (uint64_t)csum + (len_id & 0xffff) + (len_id >> 16);
	uint16_t folded;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	folded = (uint16_t)~sum;
	memcpy(l3 + 2, &len_id, 4);
	memcpy(l3 + 10, &folded, 2);
}

/* Version, class 0, flow label; payload length. */
static inline void ip6_patch(uint8_t *l3, uint32_t hash, uint32_t ip_len)
{
	store_be32(l3, 0x60000000 | ((hash ^ hash >> 12) & 0xfffff));
	store_be16(l3 + 4, (uint16_t)(ip_len - sizeof(struct ipv6_hdr)));
}

static void nvgre_encap(struct rte_mbuf **pkts, const struct encap_template *const *tmpl, uint16_t n,
			uint16_t *ip_id, bool flow_id)
{
	uint32_t flow_mask = flow_id ? 0xff : 0;
	uint16_t id = *ip_id;

	for (uint16_t i = 0; i < n; i++, id++) {
		const struct encap_template *t = tmpl[i];
		struct rte_mbuf *m = pkts[i];
		const struct pkt_meta *meta = pkt_meta(m);
		uint32_t len = t->len, ip_len = m->pkt_len + len - t->l3_off;
		uint8_t *d;

		m->data_off = (uint16_t)(m->data_off - len);
		m->data_len = (uint16_t)(m->data_len + len);
		m->pkt_len += len;
		d = rte_pktmbuf_mtod(m, uint8_t *);
		/*
		 * Two copies that overlap as the length wants: no loop, no tail. A tagged IPv6 header needs a
		 * third.
		 */
		memcpy(d, t->hdr, 32);
		if (unlikely(len > 64))
			memcpy(d + 32, t->hdr + 32, 32);
		memcpy(d + len - 32, t->hdr + len - 32, 32);
		store_be32(d + len - 4, meta->vsid_out << 8 | (FLOW_ID(meta->hash) & flow_mask));
		if (likely(t->family == 4))
			ip4_patch(d + t->l3_off, t->csum, ip_len, id);
		else
			ip6_patch(d + t->l3_off, meta->hash, ip_len);
	}
	*ip_id = id;
}

/*
 * Another PA of ours than the last (members that take frames for any of them, LACP, come here often), or odd.
 */
static __attribute__((noinline)) enum drop_reason parse_other(const uint8_t *data, uint32_t len,
							      uint32_t total, bool csum_good,
							      const struct encap_local *l, unsigned int n,
							      unsigned int *hint, struct encap_rx *ret)
{
	for (unsigned int i = 0; len >= ETH_HLEN_ && i < n; i++) {
		if (mac_load(data) != mac_load(&l[i].mac) ||
		    !nvgre_parse_fast(data, len, total, csum_good, &l[i], ret))
			continue;
		*hint = i;
		return DROP_NONE;
	}
	return nvgre_parse_slow(data, len, total, csum_good, l, n, hint, ret);
}

static enum drop_reason nvgre_parse(const uint8_t *data, uint32_t len, uint32_t total, bool csum_good,
				    const struct encap_local *l, unsigned int n, unsigned int *hint,
				    struct encap_rx *ret)
{
	unsigned int i = *hint;

	if (likely(i < n) && likely(nvgre_parse_fast(data, len, total, csum_good, &l[i], ret)))
		return DROP_NONE;
	return parse_other(data, len, total, csum_good, l, n, hint, ret);
}

static void nvgre_pass_on(uint8_t *outer, const struct encap_template *t, const struct ip_addr *src, uint8_t hops,
			  uint8_t flow_id)
{
	uint8_t *l3 = outer + t->l3_off;
	uint16_t sum;

	outer[t->len - 1] = flow_id;
	if (t->family == 6) {
		l3[7] = hops;
		memcpy(l3 + 8, src->b, 16);
		return;
	}
	l3[8] = hops;
	memset(l3 + 10, 0, 2);
	memcpy(l3 + 12, src->b, 4);
	sum = csum_fold(csum_partial(l3, sizeof(struct ipv4_hdr), 0));
	memcpy(l3 + 10, &sum, 2);
}

bool nvgre_outer(const uint8_t *outer, uint32_t len, struct nvgre_outer *ret)
{
	bool tagged = len >= 18 && load_be16(outer + 12) == ETHERTYPE_VLAN_;
	uint32_t l3 = tagged ? 18 : ETH_HLEN_, gre;
	const uint8_t *ip = outer + l3;

	if (len < l3 + NVGRE_L4)
		return false;
	if (ip[0] >> 4 == 4 && ip[9] == IPPROTO_GRE_) {
		gre = l3 + (ip[0] & 0xfu) * 4;
		*ret = (struct nvgre_outer){ .src = ip4_from(ip + 12), .dst = ip4_from(ip + 16), .hops = ip[8] };
	} else if (ip[0] >> 4 == 6 && len >= l3 + NVGRE_L6) {
		/* Behind extension headers GRE ends where the outer part does. */
		gre = ip[6] == IPPROTO_GRE_ ? l3 + (uint32_t)sizeof(struct ipv6_hdr) : len - 8;
		*ret = (struct nvgre_outer){ .src = ip6_from(ip + 8), .dst = ip6_from(ip + 24), .hops = ip[7] };
	} else {
		return false;
	}
	if (gre + sizeof(struct gre_hdr) > len)
		return false;
	ret->l3_off = (uint8_t)l3;
	ret->flow_id = outer[gre + 7];
	ret->adjoins = gre + sizeof(struct gre_hdr) == len;
	return true;
}

const struct encap_ops nvgre_ops = {
	.name = "nvgre",
	.ip_proto = IPPROTO_GRE_,
	.overhead4 = sizeof(struct ipv4_hdr) + sizeof(struct gre_hdr) + ETH_HLEN_,
	.overhead6 = sizeof(struct ipv6_hdr) + sizeof(struct gre_hdr) + ETH_HLEN_,
	.template_build = nvgre_template_build,
	.encap = nvgre_encap,
	.pass_on = nvgre_pass_on,
	.parse = nvgre_parse,
};
