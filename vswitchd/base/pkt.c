/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The long way through tenant headers. The bytes are hostile: every read is preceded by a comparison with the
 * readable length, and lengths inside the packet are compared with the frame's before they are used.
 */
#include "base/pkt.h"
#include "base/pkt_private.h"

#define IP4_MF	   0x2000
#define IP4_DF	   0x4000
#define IP4_OFFSET 0x1fff

void parse_l4(struct parse *p)
{
	uint32_t end = p->info.l3_end < p->len ? p->info.l3_end : p->len, need;

	switch (p->info.proto) {
	case IPPROTO_TCP_:
	case IPPROTO_UDP_:
		need = 4; /* the ports */
		break;
	case IPPROTO_ICMP_:
	case IPPROTO_ICMP6_:
		/* Each belongs to its own IP. */
		if ((p->info.proto == IPPROTO_ICMP_) != (p->info.kind == PKT_IPV4))
			return;
		need = 8;
		break;
	default:
		return;
	}
	if (p->info.l4_off + need <= end)
		p->info.flags |= PKT_F_L4;
}

static enum drop_reason parse_ip4(struct parse *p)
{
	uint32_t off = p->info.l3_off, hlen, tot_len, frag, at;
	const struct ipv4_hdr *ip = (const void *)(p->data + off);

	if (p->len < off + sizeof(*ip))
		return DROP_BAD_IP;
	hlen = (ip->ver_ihl & 0xfu) * 4;
	tot_len = load_be16(&ip->len);
	if (ip->ver_ihl >> 4 != 4 || hlen < sizeof(*ip) || p->len < off + hlen)
		return DROP_BAD_IP;
	if (tot_len < hlen || off + tot_len > p->total)
		return DROP_BAD_IP;
	p->info.kind = PKT_IPV4;
	p->info.proto = ip->proto;
	p->info.l4_off = (uint16_t)(off + hlen);
	p->info.l3_end = off + tot_len;
	if (hlen > sizeof(*ip))
		p->info.flags |= PKT_F_OPTIONS;
	if (p->total > p->info.l3_end)
		p->info.flags |= PKT_F_PADDED;

	frag = load_be16(&ip->frag);
	at = (frag & IP4_OFFSET) * 8;
	if (frag & IP4_DF)
		p->info.flags |= PKT_F_DF;
	if (frag & IP4_MF || at)
		p->info.flags |= PKT_F_FRAGMENT;
	if (at) {
		/* A datagram cannot be longer than its length field can say ("ping of death"). */
		if (at + tot_len > 65535)
			return DROP_BAD_IP;
		p->info.flags |= PKT_F_FRAG_LATER;
		return DROP_NONE;
	}
	parse_l4(p);
	return DROP_NONE;
}

/* RFC 826 for Ethernet and IPv4, requests and replies; nothing else is ARP here. */
static enum drop_reason parse_arp(struct parse *p)
{
	const struct arp_hdr *arp = (const void *)(p->data + p->info.l3_off);
	uint16_t op;

	if (p->len < p->info.l3_off + sizeof(*arp))
		return DROP_BAD_ARP;
	op = load_be16(&arp->op);
	if (load_be16(&arp->htype) != 1 || load_be16(&arp->ptype) != ETHERTYPE_IPV4_ || arp->hlen != 6 ||
	    arp->plen != 4 || (op != 1 && op != 2))
		return DROP_BAD_ARP;
	p->info.kind = PKT_ARP;
	return DROP_NONE;
}

static enum drop_reason parse_network(struct parse *p)
{
	switch (p->info.ethertype) {
	case ETHERTYPE_IPV4_:
		return parse_ip4(p);
	case ETHERTYPE_IPV6_:
		return parse_ip6(p);
	case ETHERTYPE_ARP_:
		return parse_arp(p);
	default:
		return DROP_NONE;
	}
}

__attribute__((noinline, cold)) enum drop_reason pkt_parse_full(const uint8_t *data, uint32_t len,
								uint32_t total, struct pkt_info *ret)
{
	struct parse p = { .data = data, .len = len, .total = total };
	enum drop_reason why;

	if (len < ETH_HLEN_)
		return DROP_GUEST_RUNT;
	p.info.l3_off = ETH_HLEN_;
	p.info.ethertype = load_be16(data + 12);
	if (mac_is_group(data))
		p.info.flags |= PKT_F_GROUP;
	if (p.info.ethertype == ETHERTYPE_VLAN_) {
		if (len < ETH_HLEN_ + sizeof(struct vlan_hdr))
			return DROP_GUEST_RUNT;
		p.info.flags |= PKT_F_VLAN;
		p.info.vlan_tci = load_be16(data + 14);
		p.info.ethertype = load_be16(data + 16);
		p.info.l3_off += sizeof(struct vlan_hdr);
	}
	why = parse_network(&p);
	if (why == DROP_NONE)
		*ret = p.info;
	return why;
}
