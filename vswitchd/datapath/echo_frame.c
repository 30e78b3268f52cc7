/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "datapath/echo.h"

void echo_checksums(uint8_t *data, uint32_t l3_off, uint32_t l4_off, uint32_t l3_end)
{
	uint8_t *l3 = data + l3_off, *icmp = data + l4_off, tail[8] = { [7] = IPPROTO_ICMP6_ };
	uint32_t len = l3_end - l4_off, part = 0;
	uint16_t sum;

	if (l3[0] >> 4 == 4) {
		memset(l3 + 10, 0, 2);
		sum = csum_fold(csum_partial(l3, l4_off - l3_off, 0));
		memcpy(l3 + 10, &sum, 2);
	} else {
		store_be32(tail, len);
		part = csum_partial(tail, 8, csum_partial(l3 + 8, 32, 0));
	}
	memset(icmp + 2, 0, 2);
	sum = csum_fold(csum_partial(icmp, len, part));
	memcpy(icmp + 2, &sum, 2);
}

uint32_t echo_size_min(uint8_t family)
{
	return (family == 4 ? sizeof(struct ipv4_hdr) : sizeof(struct ipv6_hdr)) + ECHO_BYTES;
}

static uint8_t *put_ip(const struct echo_frame *f, uint8_t *l3)
{
	if (f->from.family == 4) {
		struct ipv4_hdr *ip = (void *)l3;

		memset(ip, 0, sizeof(*ip));
		l3[0] = 0x45;
		store_be16(l3 + 2, (uint16_t)f->size);
		l3[6] = 0x40; /* DF: cut to pieces it would not come back */
		ip->ttl = ECHO_TTL;
		ip->proto = IPPROTO_ICMP_;
		memcpy(ip->src, f->from.b, 4);
		memcpy(ip->dst, f->to.b, 4);
		return (uint8_t *)(ip + 1);
	} else {
		struct ipv6_hdr *ip = (void *)l3;

		store_be32(&ip->vtf, 6u << 28);
		store_be16(&ip->plen, (uint16_t)(f->size - sizeof(*ip)));
		ip->next = IPPROTO_ICMP6_;
		ip->hlim = ECHO_TTL;
		memcpy(ip->src, f->from.b, 16);
		memcpy(ip->dst, f->to.b, 16);
		return (uint8_t *)(ip + 1);
	}
}

uint32_t echo_write(const struct echo_frame *f, uint8_t *buf)
{
	uint8_t *l3 = buf + ETH_HLEN_, *icmp, *end = l3 + f->size;

	if (f->size < echo_size_min(f->from.family) || f->size > UINT16_MAX)
		return 0;
	memcpy(buf, &f->dst, 6);
	memcpy(buf + 6, &f->src, 6);
	store_be16(buf + 12, f->from.family == 4 ? ETHERTYPE_IPV4_ : ETHERTYPE_IPV6_);
	icmp = put_ip(f, l3);
	memset(icmp, 0, ECHO_BYTES);
	icmp[0] = f->from.family == 4 ? 8 : 128;
	store_be16(icmp + 4, (uint16_t)f->nonce);
	store_be16(icmp + 6, f->sequence);
	memcpy(icmp + 8, ECHO_MAGIC, ECHO_MAGIC_LEN);
	icmp[8 + ECHO_MAGIC_LEN] = ECHO_BY_SENDER;
	memcpy(icmp + ECHO_NONCE_AT, &f->nonce, 8);
	for (uint8_t *p = icmp + ECHO_BYTES; p < end; p++)
		*p = (uint8_t)(p - icmp);
	echo_checksums(buf, ETH_HLEN_, (uint32_t)(icmp - buf), ETH_HLEN_ + f->size);
	return ETH_HLEN_ + f->size;
}
