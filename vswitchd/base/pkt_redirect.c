/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/pkt_redirect.h"

#define ETH_IP4	  (ETH_HLEN_ + (uint32_t)sizeof(struct ipv4_hdr))
#define ETH_IP6	  (ETH_HLEN_ + (uint32_t)sizeof(struct ipv6_hdr))
#define NVGRE_GRE 0x20006558u /* key only, version 0; Transparent Ethernet Bridging */
#define IP4_DF	  0x4000

/* Type and code by kind and family. */
static const uint8_t types[][2][2] = {
	[REDIRECT_MOVED] = { { 5, 10 }, { 137, 1 } },
	[REDIRECT_UNKNOWN] = { { 3, 10 }, { 1, 1 } },
};

/* The ICMP message of a frame: unfragmented, of IPv4 with or without options, of IPv6 without extension headers. */
struct icmp {
	const uint8_t *ip, *msg;
	uint32_t have; /* bytes at msg that can be read */
	bool v6;
};

static bool find_icmp(const uint8_t *data, uint32_t len, struct icmp *ret)
{
	uint32_t off;

	if (len < ETH_IP4 + 4)
		return false;
	ret->ip = data + ETH_HLEN_;
	ret->v6 = load_be16(data + 12) == ETHERTYPE_IPV6_;
	if (ret->v6) {
		off = ETH_IP6;
		if (len < off + 4 || ret->ip[0] >> 4 != 6 || ret->ip[6] != IPPROTO_ICMP6_)
			return false;
	} else {
		off = ETH_HLEN_ + (ret->ip[0] & 0xfu) * 4;
		if (load_be16(data + 12) != ETHERTYPE_IPV4_ || ret->ip[0] >> 4 != 4 || off < ETH_IP4 || len < off + 4 ||
		    load_be16(ret->ip + 6) & 0x3fff || ret->ip[9] != IPPROTO_ICMP_)
			return false;
	}
	ret->msg = data + off;
	ret->have = len - off;
	return true;
}

static struct ip_addr address(const struct icmp *i, bool source)
{
	if (i->v6)
		return ip6_from(i->ip + (source ? 8 : 24));
	return ip4_from(i->ip + (source ? 12 : 16));
}

static enum redirect_kind kind_of(const struct icmp *i)
{
	for (unsigned int k = REDIRECT_MOVED; k <= REDIRECT_UNKNOWN; k++)
		if (i->msg[0] == types[k][i->v6][0] && i->msg[1] == types[k][i->v6][1])
			return k;
	return REDIRECT_NONE;
}

enum redirect_kind redirect_kind(const uint8_t *data, uint32_t len, struct ip_addr *ret_from)
{
	struct icmp i;

	if (!find_icmp(data, len, &i) || kind_of(&i) == REDIRECT_NONE)
		return REDIRECT_NONE;
	*ret_from = address(&i, true);
	return kind_of(&i);
}

/* RFC 792, RFC 4443 2.3. */
static uint16_t checksum(const uint8_t *ip, const uint8_t *msg, uint32_t len, bool v6)
{
	uint8_t tail[8] = { [7] = IPPROTO_ICMP6_ };
	uint32_t sum = 0;

	store_be32(tail, len);
	if (v6)
		sum = csum_partial(tail, sizeof(tail), csum_partial(ip + 8, 32, 0));
	return csum_fold(csum_partial(msg, len, sum));
}

/* A packet from its outer IP header on, or from GRE on. */
static bool read_quote(const uint8_t *q, uint32_t len, struct redirect_msg *ret)
{
	uint32_t gre = 0;

	ret->outer_src = ret->outer_dst = (struct ip_addr){ 0 };
	if (len >= sizeof(struct ipv4_hdr) && q[0] >> 4 == 4 && q[9] == IPPROTO_GRE_) {
		gre = (q[0] & 0xfu) * 4;
		if (gre < sizeof(struct ipv4_hdr))
			return false;
		ret->outer_src = ip4_from(q + 12);
		ret->outer_dst = ip4_from(q + 16);
	} else if (len >= sizeof(struct ipv6_hdr) && q[0] >> 4 == 6 && q[6] == IPPROTO_GRE_) {
		gre = sizeof(struct ipv6_hdr);
		ret->outer_src = ip6_from(q + 8);
		ret->outer_dst = ip6_from(q + 24);
	}
	if (len < gre + sizeof(struct gre_hdr) + ETH_HLEN_ || load_be32(q + gre) != NVGRE_GRE)
		return false;
	ret->vsid = load_be32(q + gre + 4) >> 8;
	memcpy(&ret->dst, q + gre + 8, sizeof(ret->dst));
	memcpy(&ret->src, q + gre + 14, sizeof(ret->src));
	return vsid_is_valid(ret->vsid);
}

enum drop_reason redirect_read(const uint8_t *data, uint32_t len, struct redirect_msg *ret)
{
	struct redirect_msg msg = { .kind = REDIRECT_NONE };
	uint32_t size;
	struct icmp i;

	*ret = msg;
	if (!find_icmp(data, len, &i) || kind_of(&i) == REDIRECT_NONE)
		return DROP_NONE;
	msg.kind = (uint8_t)kind_of(&i);
	memcpy(&msg.to_mac, data, sizeof(msg.to_mac));
	memcpy(&msg.from_mac, data + 6, sizeof(msg.from_mac));
	msg.from = address(&i, true);
	msg.target = address(&i, false);
	if (i.v6)
		size = load_be16(i.ip + 4);
	else
		size = load_be16(i.ip + 2) - (uint32_t)(i.msg - i.ip); /* wraps: larger than what is there */
	if (size < sizeof(struct icmp_hdr) || size > i.have || checksum(i.ip, i.msg, size, i.v6))
		return DROP_REDIRECT_BAD;
	if (!read_quote(i.msg + 8, size - 8, &msg) && !read_quote(i.msg + 4, size - 4, &msg))
		return DROP_REDIRECT_BAD;
	*ret = msg;
	return DROP_NONE;
}

static void write_ip(const struct redirect_msg *msg, uint8_t *at, uint32_t len, bool v6)
{
	struct ipv4_hdr ip4 = { .ver_ihl = 0x45, .ttl = 64, .proto = IPPROTO_ICMP_ };
	struct ipv6_hdr ip6 = { .next = IPPROTO_ICMP6_, .hlim = 64 };
	uint16_t sum;

	if (v6) {
		store_be32(&ip6.vtf, 0x60000000);
		store_be16(&ip6.plen, (uint16_t)len);
		memcpy(ip6.src, msg->from.b, 16);
		memcpy(ip6.dst, msg->target.b, 16);
		memcpy(at, &ip6, sizeof(ip6));
		return;
	}
	store_be16(&ip4.len, (uint16_t)(sizeof(ip4) + len));
	store_be16(&ip4.frag, IP4_DF);
	memcpy(ip4.src, msg->from.b, 4);
	memcpy(ip4.dst, msg->target.b, 4);
	sum = csum_fold(csum_partial(&ip4, sizeof(ip4), 0));
	memcpy(&ip4.csum, &sum, 2);
	memcpy(at, &ip4, sizeof(ip4));
}

uint32_t redirect_write(const struct redirect_msg *msg, const uint8_t *quote, uint32_t len, uint8_t *ret)
{
	bool v6 = msg->from.family == 6;
	uint32_t off = v6 ? ETH_IP6 : ETH_IP4;
	struct icmp_hdr *icmp = (void *)(ret + off);
	uint16_t sum;

	if (msg->from.family != msg->target.family || (msg->from.family != 4 && !v6))
		return 0;
	len = len < REDIRECT_QUOTE ? len : REDIRECT_QUOTE;
	memcpy(ret, &msg->to_mac, 6);
	memcpy(ret + 6, &msg->from_mac, 6);
	store_be16(ret + 12, v6 ? ETHERTYPE_IPV6_ : ETHERTYPE_IPV4_);
	len += (uint32_t)sizeof(*icmp);
	write_ip(msg, ret + ETH_HLEN_, len, v6);
	*icmp = (struct icmp_hdr){ .type = types[msg->kind][v6][0], .code = types[msg->kind][v6][1] };
	if (!v6 && msg->kind == REDIRECT_MOVED)
		memcpy(&icmp->rest, msg->target.b, 4);
	memcpy(icmp + 1, quote, len - sizeof(*icmp));
	sum = checksum(ret + ETH_HLEN_, ret + off, len, v6);
	memcpy(&icmp->csum, &sum, 2);
	return off + len;
}
