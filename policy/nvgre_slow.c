/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NVGRE receive validation of every frame that is not the usual one: names the drop, and accepts what is
 * right but rare (IPv4 options, IPv6 extension headers as Linux' ip6gretap sends them, a priority tag
 * outside, another PA).
 *
 * The bytes come from the network and may be anything; nothing is read beyond `len`. Order of judgement, so
 * that the reason names the outermost fault: is it for us at all, is the outer IP header sound, is it
 * addressed to a PA under that PA's MAC and VLAN, is it whole, then GRE, VSID and inner frame.
 */
#include "policy/nvgre_private.h"
#include "policy/policy.h"

#define IP6_HOPOPTS	0
#define IP6_ROUTING	43
#define IP6_FRAGMENT	44
#define IP6_DSTOPTS	60
#define IP6_MAX_HEADERS 8 /* RFC 8200 4.1 knows five in front of the payload */
#define GRE_MAX		(UINT8_MAX - sizeof(struct gre_hdr) - sizeof(struct vlan_hdr)) /* struct pkt_meta's outer_len */

static bool accept_vid0;

void nvgre_set_accept_vid0(bool accept)
{
	__atomic_store_n(&accept_vid0, accept, __ATOMIC_RELAXED);
}

/* The frame and what has been found in it so far. Offsets from data. */
struct outer {
	const uint8_t *data;
	uint32_t len, total;
	uint32_t l3;  /* IP header */
	uint32_t gre; /* IP payload */
	uint32_t end; /* of the IP packet by its own length; at most total */
	uint16_t vid; /* 0: untagged or priority tag */
	bool fragment;
	struct ip_addr src, dst;
};

static enum drop_reason outer4(struct outer *o, bool csum_good)
{
	const uint8_t *ip = o->data + o->l3;
	uint32_t hlen, ip_len;

	if (o->len < o->l3 + sizeof(struct ipv4_hdr))
		return DROP_WIRE_RUNT;
	if (ip[9] != IPPROTO_GRE_)
		return DROP_WIRE_OTHER;
	hlen = (ip[0] & 0x0fu) * 4;
	ip_len = load_be16(ip + 2);
	if (ip[0] >> 4 != 4 || hlen < sizeof(struct ipv4_hdr) || ip_len < hlen || o->l3 + ip_len > o->total)
		return DROP_OUTER_IP;
	if (o->len < o->l3 + hlen)
		return DROP_WIRE_RUNT;
	if (!csum_good && csum_fold(csum_partial(ip, hlen, 0)) != 0)
		return DROP_OUTER_IP;
	o->gre = o->l3 + hlen;
	o->end = o->l3 + ip_len;
	o->fragment = load_be16(ip + 6) & 0x3fff;
	o->src = ip4_from(ip + 12);
	o->dst = ip4_from(ip + 16);
	return DROP_NONE;
}

/* Walk the extension headers from o->gre (the first) to GRE. The lengths of the fixed header are checked. */
static enum drop_reason outer6_extensions(struct outer *o, uint8_t next)
{
	for (unsigned int i = 0; i <= IP6_MAX_HEADERS; i++) {
		const uint8_t *h = o->data + o->gre;

		if (next == IPPROTO_GRE_)
			return DROP_NONE;
		if (next != IP6_HOPOPTS && next != IP6_ROUTING && next != IP6_DSTOPTS && next != IP6_FRAGMENT)
			return DROP_WIRE_OTHER;
		if (o->end < o->gre + 8)
			return DROP_OUTER_IP;
		if (o->len < o->gre + 8)
			return DROP_WIRE_RUNT;
		if (next == IP6_FRAGMENT) {
			/*
			 * What lies behind is not looked at: dropped, unless it is plainly somebody else's.
			 */
			o->fragment = true;
			return h[0] == IPPROTO_GRE_ || h[0] == IP6_DSTOPTS || h[0] == IP6_ROUTING
				       ? DROP_NONE
				       : DROP_WIRE_OTHER;
		}
		if (next == IP6_ROUTING && h[3] != 0) /* segments left: we are no router on its way */
			return DROP_OUTER_IP;
		next = h[0];
		o->gre += 8 + h[1] * 8u;
		if (o->gre > o->end || o->gre > GRE_MAX)
			return DROP_OUTER_IP;
	}
	return DROP_OUTER_IP;
}

static enum drop_reason outer6(struct outer *o)
{
	const uint8_t *ip = o->data + o->l3;

	if (o->len < o->l3 + sizeof(struct ipv6_hdr))
		return DROP_WIRE_RUNT;
	o->gre = o->l3 + sizeof(struct ipv6_hdr);
	o->end = o->gre + load_be16(ip + 4);
	o->src = ip6_from(ip + 8);
	o->dst = ip6_from(ip + 24);
	if (ip[0] >> 4 != 6 || o->end > o->total)
		return ip[6] == IPPROTO_GRE_ ? DROP_OUTER_IP : DROP_WIRE_OTHER;
	return outer6_extensions(o, ip[6]);
}

/* *o holds the frame and zeros otherwise. */
static enum drop_reason outer_headers(struct outer *o, bool csum_good)
{
	uint16_t type = load_be16(o->data + 12);

	o->l3 = ETH_HLEN_;
	if (type == ETHERTYPE_VLAN_) {
		if (o->len < ETH_HLEN_ + sizeof(struct vlan_hdr))
			return DROP_WIRE_RUNT;
		o->vid = load_be16(o->data + 14) & 0x0fff;
		type = load_be16(o->data + 16);
		o->l3 += sizeof(struct vlan_hdr);
	}
	if (type == ETHERTYPE_IPV4_)
		return outer4(o, csum_good);
	if (type == ETHERTYPE_IPV6_)
		return outer6(o);
	return DROP_WIRE_OTHER;
}

/* GRE header and VSID (HNV 1.7 items 1-3). */
static enum drop_reason gre_header(const struct outer *o, struct encap_rx *ret)
{
	const uint8_t *gre = o->data + o->gre;
	uint32_t have = (o->end < o->len ? o->end : o->len) - o->gre;
	uint16_t flags;

	if (o->len < o->gre || have < 4)
		return DROP_WIRE_RUNT;
	flags = load_be16(gre);
	if (flags & GRE_F_VERSION)
		return DROP_GRE_VERSION;
	if (!(flags & GRE_F_KEY))
		return DROP_GRE_NO_KEY;
	if (flags & GRE_F_CHECKSUM)
		return DROP_GRE_CHECKSUM;
	if (flags & GRE_F_SEQUENCE)
		return DROP_GRE_SEQUENCE;
	if (flags & GRE_F_RESERVED)
		return DROP_GRE_RESERVED;
	if (load_be16(gre + 2) != ETHERTYPE_TEB)
		return DROP_GRE_PROTOCOL;
	if (have < sizeof(struct gre_hdr))
		return DROP_WIRE_RUNT;
	ret->vsid = load_be32(gre + 4) >> 8;
	return vsid_is_valid(ret->vsid) ? DROP_NONE : DROP_VSID_RESERVED;
}

/* The inner frame: long enough, and without a tag (RFC 7637 3.3). */
static enum drop_reason inner_frame(const struct outer *o, struct encap_rx *ret)
{
	uint32_t off = o->gre + (uint32_t)sizeof(struct gre_hdr), inner_len = o->end - off;
	const uint8_t *inner = o->data + off;
	uint16_t type;

	if (inner_len < ETH_HLEN_)
		return DROP_INNER_RUNT;
	if (o->len < off + ETH_HLEN_)
		return DROP_WIRE_RUNT;
	ret->inner_off = (uint16_t)off;
	ret->inner_len = (uint16_t)inner_len;
	type = load_be16(inner + 12);
	ret->inner_tag = type == ETHERTYPE_VLAN_;
	if (type == ETHERTYPE_QINQ_)
		return DROP_INNER_VLAN;
	if (!ret->inner_tag)
		return DROP_NONE;
	if (!__atomic_load_n(&accept_vid0, __ATOMIC_RELAXED))
		return DROP_INNER_VLAN;
	if (inner_len < ETH_HLEN_ + sizeof(struct vlan_hdr))
		return DROP_INNER_RUNT;
	if (o->len < off + ETH_HLEN_ + sizeof(struct vlan_hdr))
		return DROP_WIRE_RUNT;
	type = load_be16(inner + 16);
	if ((load_be16(inner + 14) & 0x0fff) != 0 || type == ETHERTYPE_VLAN_ || type == ETHERTYPE_QINQ_)
		return DROP_INNER_VLAN;
	return DROP_NONE;
}

static bool mac_is_ours(const uint8_t *mac, const struct encap_local *l, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		if (mac_equal(mac, &l[i].mac))
			return true;
	}
	return false;
}

/*
 * The PA a frame is addressed to. An address is reachable under its own MAC only. @return n if there is none.
 */
static unsigned int find_pa(const struct outer *o, const struct encap_local *l, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (ip_equal(&o->dst, &l[i].address) && mac_equal(o->data, &l[i].mac))
			break;
	}
	return i;
}

enum drop_reason nvgre_parse_slow(const uint8_t *data, uint32_t len, uint32_t total, bool csum_good,
				  const struct encap_local *l, unsigned int n, unsigned int *hint,
				  struct encap_rx *ret)
{
	struct outer o = { .data = data, .len = len, .total = total };
	struct encap_rx rx;
	enum drop_reason why;
	unsigned int pa;

	if (len < ETH_HLEN_)
		return DROP_WIRE_RUNT;
	if (!mac_is_ours(data, l, n))
		return DROP_WIRE_OTHER;
	why = outer_headers(&o, csum_good);
	if (why)
		return why;
	pa = find_pa(&o, l, n);
	if (pa == n)
		return DROP_NOT_PA;
	if (o.vid != l[pa].vlan)
		return DROP_OUTER_VLAN;
	if (o.fragment)
		return DROP_OUTER_FRAGMENT;
	why = gre_header(&o, &rx);
	if (!why)
		why = inner_frame(&o, &rx);
	if (why)
		return why;
	rx.outer_src = o.src;
	*ret = rx;
	*hint = pa;
	return DROP_NONE;
}
