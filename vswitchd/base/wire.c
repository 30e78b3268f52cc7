/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/wire.h"

bool ip_in_prefix(const struct ip_addr *a, const struct ip_prefix *p)
{
	unsigned int bytes = p->len / 8, bits = p->len % 8;

	if (!a->family || a->family != p->addr.family || p->len > (a->family == 4 ? 32 : 128))
		return false;
	if (memcmp(a->b, p->addr.b, bytes) != 0)
		return false;
	return bits == 0 || ((a->b[bytes] ^ p->addr.b[bytes]) >> (8 - bits)) == 0;
}

uint32_t csum_partial(const void *data, uint32_t len, uint32_t sum)
{
	const uint8_t *p = data;
	uint64_t s = sum;
	uint32_t w;
	uint16_t h;

	for (; len >= 4; len -= 4, p += 4) {
		memcpy(&w, p, 4);
		s += w;
	}
	if (len >= 2) {
		memcpy(&h, p, 2);
		s += h;
		p += 2;
		len -= 2;
	}
	if (len) /* little endian: the missing second byte is the upper one */
		s += *p;
	s = (s & 0xffffffff) + (s >> 32);
	s = (s & 0xffffffff) + (s >> 32);
	return (uint32_t)s;
}

uint16_t csum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}
