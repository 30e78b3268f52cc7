/* SPDX-License-Identifier: BSD-3-Clause */
#include <stddef.h>

#include "teaming/frames.h"

#define HOP_LIMIT 64

static const struct mac broadcast = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };

static uint8_t *put_eth(uint8_t *p, const struct mac *dst, const struct mac *src, uint16_t vlan, uint16_t type)
{
	memcpy(p, dst, 6);
	memcpy(p + 6, src, 6);
	p += 12;
	if (vlan) {
		store_be16(p, ETHERTYPE_VLAN_);
		store_be16(p + 2, vlan);
		p += 4;
	}
	store_be16(p, type);
	return p + 2;
}

/* Zeros up to the smallest Ethernet frame: not every driver pads. */
static uint32_t finish(uint8_t *buf, const uint8_t *end)
{
	uint32_t len = (uint32_t)(end - buf);

	if (len < TW_FRAME_MIN) {
		memset(buf + len, 0, TW_FRAME_MIN - len);
		len = TW_FRAME_MIN;
	}
	return len;
}

static uint8_t *put_arp(uint8_t *p, uint16_t op, const struct mac *sha, const uint8_t *spa, const struct mac *tha,
			const uint8_t *tpa)
{
	struct arp_hdr *arp = (void *)p;

	memset(arp, 0, sizeof(*arp));
	store_be16(&arp->htype, 1);
	store_be16(&arp->ptype, ETHERTYPE_IPV4_);
	arp->hlen = 6;
	arp->plen = 4;
	store_be16(&arp->op, op);
	arp->sha = *sha;
	if (tha)
		arp->tha = *tha;
	if (spa)
		memcpy(arp->spa, spa, 4);
	if (tpa)
		memcpy(arp->tpa, tpa, 4);
	return p + sizeof(*arp);
}

uint32_t tw_frame_arp(uint8_t *buf, uint16_t op, const struct tw_frame_from *from, const struct mac *to,
		   const struct ip_addr *target, const struct mac *target_mac)
{
	uint8_t *p = put_eth(buf, to ? to : &broadcast, &from->mac, from->vlan, ETHERTYPE_ARP_);

	return finish(buf, put_arp(p, op, &from->mac, from->address.b, target_mac, target->b));
}

uint32_t tw_frame_rarp(uint8_t *buf, const struct mac *mac)
{
	uint8_t *p = put_eth(buf, &broadcast, mac, 0, ETHERTYPE_RARP_);

	return finish(buf, put_arp(p, RARP_REQUEST, mac, NULL, mac, NULL));
}

/* RFC 4443 2.3 */
static void icmp6_checksum(struct ipv6_hdr *ip, uint8_t *msg, uint32_t len)
{
	uint8_t tail[8] = { [7] = IPPROTO_ICMP6_ };
	uint16_t sum;

	store_be32(tail, len);
	memset(msg + 2, 0, 2);
	sum = csum_fold(csum_partial(msg, len, csum_partial(tail, 8, csum_partial(ip->src, 32, 0))));
	memcpy(msg + 2, &sum, 2);
}

static struct ipv6_hdr *put_ip6(uint8_t *p, const struct ip_addr *src, const uint8_t *dst, uint16_t len, uint8_t hlim)
{
	struct ipv6_hdr *ip = (void *)p;

	memset(ip, 0, sizeof(*ip));
	store_be32(&ip->vtf, 6u << 28);
	store_be16(&ip->plen, len);
	ip->next = IPPROTO_ICMP6_;
	ip->hlim = hlim;
	memcpy(ip->src, src->b, 16);
	memcpy(ip->dst, dst, 16);
	return ip;
}

/* NS and NA: header, target and at most one link-layer address option. */
static uint32_t put_nd(uint8_t *buf, uint8_t *p, uint8_t type, uint32_t flags, const struct tw_frame_from *from,
		       const uint8_t *dst, const uint8_t *target, uint8_t option)
{
	uint16_t len = sizeof(struct nd_hdr) + (option ? 8 : 0);
	struct ipv6_hdr *ip = put_ip6(p, &from->address, dst, len, 255);
	struct nd_hdr *nd = (void *)(ip + 1);
	uint8_t *opt = (void *)(nd + 1);

	memset(nd, 0, sizeof(*nd));
	nd->type = type;
	store_be32(&nd->flags, flags);
	memcpy(nd->target, target, 16);
	if (option) {
		opt[0] = option;
		opt[1] = 1;
		memcpy(opt + 2, &from->mac, 6);
	}
	icmp6_checksum(ip, (void *)nd, len);
	return finish(buf, (uint8_t *)nd + len);
}

/* RFC 2464 7 */
static struct mac group_mac(const uint8_t *address)
{
	return (struct mac){ { 0x33, 0x33, address[12], address[13], address[14], address[15] } };
}

uint32_t tw_frame_ns(uint8_t *buf, const struct tw_frame_from *from, const struct mac *to, const struct ip_addr *target)
{
	uint8_t group[16] = { 0xff, 0x02, [11] = 1, 0xff, target->b[13], target->b[14], target->b[15] };
	struct mac dst = to ? *to : group_mac(group);
	uint8_t *p = put_eth(buf, &dst, &from->mac, from->vlan, ETHERTYPE_IPV6_);

	return put_nd(buf, p, ND_NS, 0, from, to ? target->b : group, target->b,
		      ip_is_set(&from->address) ? ND_OPT_SOURCE_MAC : 0);
}

uint32_t tw_frame_na(uint8_t *buf, const struct tw_frame_from *from, const struct mac *to,
		     const struct ip_addr *to_address, uint32_t flags)
{
	static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };
	struct mac dst = to ? *to : group_mac(all_nodes);
	uint8_t *p = put_eth(buf, &dst, &from->mac, from->vlan, ETHERTYPE_IPV6_);

	return put_nd(buf, p, ND_NA, flags, from, to ? to_address->b : all_nodes, from->address.b, ND_OPT_TARGET_MAC);
}

/* The IPv4 header of our own echo. @return what follows it. */
static uint8_t *put_ip4(uint8_t *p, const struct ip_addr *src, const struct ip_addr *dst, uint16_t len, bool df)
{
	struct ipv4_hdr *ip = (void *)p;
	uint16_t sum;

	memset(ip, 0, sizeof(*ip));
	p[0] = 0x45;
	store_be16(p + 2, len);
	p[6] = df ? 0x40 : 0;
	ip->ttl = HOP_LIMIT;
	ip->proto = IPPROTO_ICMP_;
	memcpy(ip->src, src->b, 4);
	memcpy(ip->dst, dst->b, 4);
	sum = csum_fold(csum_partial(ip, sizeof(*ip), 0));
	memcpy(&ip->csum, &sum, 2);
	return (uint8_t *)(ip + 1);
}

uint32_t tw_frame_echo_request(uint8_t *buf, const struct tw_frame_from *from, const struct mac *to_mac,
			       const struct ip_addr *to, uint16_t id, uint16_t sequence, uint32_t size, bool df)
{
	bool v4 = to->family == 4;
	uint8_t *p = put_eth(buf, to_mac, &from->mac, from->vlan, v4 ? ETHERTYPE_IPV4_ : ETHERTYPE_IPV6_);
	uint32_t hdr = v4 ? sizeof(struct ipv4_hdr) : sizeof(struct ipv6_hdr), len = size - hdr;
	struct ipv6_hdr *ip6 = NULL;
	uint8_t *icmp;
	uint16_t sum;

	if (v4)
		icmp = put_ip4(p, &from->address, to, (uint16_t)size, df);
	else
		icmp = (uint8_t *)((ip6 = put_ip6(p, &from->address, to->b, (uint16_t)len, HOP_LIMIT)) + 1);
	memset(icmp, 0, 8);
	icmp[0] = v4 ? 8 : 128;
	store_be16(icmp + 4, id);
	store_be16(icmp + 6, sequence);
	for (uint32_t i = 8; i < len; i++)
		icmp[i] = (uint8_t)i;
	if (v4) {
		sum = csum_fold(csum_partial(icmp, len, 0));
		memcpy(icmp + 2, &sum, 2);
	} else {
		icmp6_checksum(ip6, icmp, len);
	}
	return finish(buf, icmp + len);
}

static void swap(void *a, void *b, uint32_t len)
{
	uint8_t t[16];

	memcpy(t, a, len);
	memcpy(a, b, len);
	memcpy(b, t, len);
}

static uint32_t echo4(uint8_t *buf, const struct pkt_info *info)
{
	struct ipv4_hdr *ip = (void *)(buf + info->l3_off);
	uint32_t icmp_len = info->l3_end - info->l4_off;
	uint8_t *icmp = buf + info->l4_off;
	uint16_t sum;

	if (csum_fold(csum_partial(ip, sizeof(*ip), 0)) || csum_fold(csum_partial(icmp, icmp_len, 0)))
		return 0;
	swap(ip->src, ip->dst, 4);
	ip->ttl = HOP_LIMIT;
	memset(&ip->csum, 0, 2);
	sum = csum_fold(csum_partial(ip, sizeof(*ip), 0));
	memcpy(&ip->csum, &sum, 2);
	icmp[0] = 0;
	memset(icmp + 2, 0, 2);
	sum = csum_fold(csum_partial(icmp, icmp_len, 0));
	memcpy(icmp + 2, &sum, 2);
	return info->l3_end;
}

static uint32_t echo6(uint8_t *buf, const struct pkt_info *info)
{
	struct ipv6_hdr *ip = (void *)(buf + info->l3_off);
	uint32_t icmp_len = info->l3_end - info->l4_off;
	uint8_t *icmp = buf + info->l4_off, before[2];

	memcpy(before, icmp + 2, 2);
	icmp6_checksum(ip, icmp, icmp_len);
	if (memcmp(before, icmp + 2, 2))
		return 0;
	swap(ip->src, ip->dst, 16);
	ip->hlim = HOP_LIMIT;
	icmp[0] = 129;
	icmp6_checksum(ip, icmp, icmp_len);
	return info->l3_end;
}

uint32_t tw_frame_echo_reply(uint8_t *buf, uint32_t size, const uint8_t *data, uint32_t len,
			     const struct pkt_info *info)
{
	uint32_t reply;

	/* Options and extension headers of a request are nobody's in a reply: not answered. */
	if (info->flags & (PKT_F_FRAGMENT | PKT_F_OPTIONS) || !(info->flags & PKT_F_L4) || info->l3_end > len ||
	    info->l3_end > size)
		return 0;
	memcpy(buf, data, info->l3_end);
	swap(buf, buf + 6, 6);
	reply = info->kind == PKT_IPV4 ? echo4(buf, info) : echo6(buf, info);
	return reply && size >= TW_FRAME_MIN ? finish(buf, buf + reply) : 0;
}

/* ---- membership: RFC 2236, RFC 3376, RFC 2710, RFC 3810 ---- */

uint32_t tw_frame_igmp(uint8_t *buf, const struct tw_frame_from *from, const struct ip_addr *group, enum tw_report what,
		       bool old)
{
	static const uint8_t routers3[4] = { 224, 0, 0, 22 }, routers[4] = { 224, 0, 0, 2 };
	static const uint8_t record[] = { [REPORT_IS] = 2, [REPORT_JOIN] = 4, [REPORT_LEAVE] = 3 };
	static const uint8_t alert[4] = { 0x94, 4 }; /* RFC 2113 */
	const uint8_t *dst = !old ? routers3 : what == REPORT_LEAVE ? routers : group->b;
	struct mac mac = { { 0x01, 0x00, 0x5e, dst[1] & 0x7f, dst[2], dst[3] } }; /* RFC 1112 6.4 */
	uint8_t *l3 = put_eth(buf, &mac, &from->mac, from->vlan, ETHERTYPE_IPV4_);
	struct ipv4_hdr ip = { .ver_ihl = 0x46, .tos = 0xc0, .ttl = 1, .proto = 2 };
	uint8_t *msg = l3 + sizeof(ip) + sizeof(alert);
	uint16_t len = old ? 8 : 16, sum;

	store_be16(&ip.len, (uint16_t)(sizeof(ip) + sizeof(alert) + len));
	memcpy(ip.src, from->address.b, 4);
	memcpy(ip.dst, dst, 4);
	memcpy(l3, &ip, sizeof(ip));
	memcpy(l3 + sizeof(ip), alert, sizeof(alert));
	sum = csum_fold(csum_partial(l3, sizeof(ip) + sizeof(alert), 0));
	memcpy(l3 + offsetof(struct ipv4_hdr, csum), &sum, 2);
	memset(msg, 0, len);
	if (old) {
		msg[0] = what == REPORT_LEAVE ? 0x17 : 0x16;
		memcpy(msg + 4, group->b, 4);
	} else {
		msg[0] = 0x22;
		msg[7] = 1; /* one record, no sources */
		msg[8] = record[what];
		memcpy(msg + 12, group->b, 4);
	}
	sum = csum_fold(csum_partial(msg, len, 0));
	memcpy(msg + 2, &sum, 2);
	return finish(buf, msg + len);
}

uint32_t tw_frame_mld(uint8_t *buf, const struct tw_frame_from *from, const struct ip_addr *group, enum tw_report what,
		      bool old)
{
	static const uint8_t routers2[16] = { 0xff, 0x02, [15] = 0x16 }, routers[16] = { 0xff, 0x02, [15] = 2 };
	static const uint8_t record[] = { [REPORT_IS] = 2, [REPORT_JOIN] = 4, [REPORT_LEAVE] = 3 };
	static const uint8_t alert[8] = { IPPROTO_ICMP6_, 0, 5, 2, 0, 0, 1, 0 }; /* RFC 2711 in hop-by-hop options */
	const uint8_t *dst = !old ? routers2 : what == REPORT_LEAVE ? routers : group->b;
	struct mac mac = group_mac(dst);
	uint8_t *p = put_eth(buf, &mac, &from->mac, from->vlan, ETHERTYPE_IPV6_), *msg;
	/* Queriers take reports from link-local addresses only (RFC 3810 5.2.13): that of the MAC. */
	struct ip_addr src = { .family = 6, .b = { 0xfe, 0x80, [8] = from->mac.b[0] ^ 2, from->mac.b[1], from->mac.b[2],
						   0xff, 0xfe, from->mac.b[3], from->mac.b[4], from->mac.b[5] } };
	uint32_t len = old ? 24 : 28;
	struct ipv6_hdr *ip = put_ip6(p, &src, dst, (uint16_t)(sizeof(alert) + len), 1);

	ip->next = 0;
	memcpy(ip + 1, alert, sizeof(alert));
	msg = (uint8_t *)(ip + 1) + sizeof(alert);
	memset(msg, 0, len);
	if (old) {
		msg[0] = what == REPORT_LEAVE ? 132 : 131;
		memcpy(msg + 8, group->b, 16);
	} else {
		msg[0] = 143;
		msg[7] = 1;
		msg[8] = record[what];
		memcpy(msg + 12, group->b, 16);
	}
	icmp6_checksum(ip, msg, len);
	return finish(buf, msg + len);
}
