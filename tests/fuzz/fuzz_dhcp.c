/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DHCP and reverse ARP, from the parser on, in a buffer of exactly the frame's length. The first byte of an input: bit
 * 0: the bytes are a DHCP message alone, which gets headers that fit (bit 1: DHCPv6, bit 2: to the server).
 */
#include <stdlib.h>

#include "base/pkt_dhcp.h"
#include "fuzz.h"

#define V4 (ETH_HLEN_ + 20u + 8u)
#define V6 (ETH_HLEN_ + 40u + 8u)

static uint8_t *with_headers(const uint8_t *msg, uint32_t len, uint8_t how, uint32_t *ret_len)
{
	uint32_t off = how & 2 ? V6 : V4, l4 = off - 8;
	uint8_t *d = calloc(1, off + len);
	uint16_t port;

	FUZZ_CHECK(d, "no memory");
	memcpy(d + off, msg, len);
	store_be16(d + 12, how & 2 ? ETHERTYPE_IPV6_ : ETHERTYPE_IPV4_);
	if (how & 2) {
		d[14] = 0x60;
		store_be16(d + 18, (uint16_t)(len + 8));
		d[20] = IPPROTO_UDP_;
	} else {
		d[14] = 0x45;
		store_be16(d + 16, (uint16_t)(len + 28));
		d[22] = 64;
		d[23] = IPPROTO_UDP_;
	}
	port = how & 2 ? DHCP6_CLIENT : DHCP4_CLIENT;
	if (how & 4)
		port = how & 2 ? DHCP6_SERVER : DHCP4_SERVER;
	store_be16(d + l4 + 2, port);
	store_be16(d + l4 + 4, (uint16_t)(len + 8));
	*ret_len = off + len;
	return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t len = size < 2048 ? (uint32_t)size : 2048;
	struct pkt_info info;
	struct dhcp_msg msg;
	uint8_t *d;

	if (len < 2)
		return 0;
	if (data[0] & 1) {
		d = with_headers(data + 1, len - 1, data[0], &len);
	} else {
		d = malloc(--len);
		FUZZ_CHECK(d, "no memory");
		memcpy(d, data + 1, len);
	}
	if (pkt_parse(d, len, len, &info) == DROP_NONE) {
		uint64_t mac = pkt_rarp_mac(d, len, &info);

		FUZZ_CHECK(!mac || mac == mac_load(d + 6), "a MAC that is not the sender's");
		if (pkt_dhcp(d, len, &info, &msg)) {
			FUZZ_CHECK(msg.what <= DHCP_GIVES && msg.n <= DHCP_ADDRESSES, "what %u, %u addresses", msg.what,
				   msg.n);
			FUZZ_CHECK((msg.what == DHCP_GIVES) == (msg.n > 0), "%u addresses", msg.n);
			for (unsigned int i = 0; i < msg.n; i++)
				FUZZ_CHECK(msg.addresses[i].family == (info.kind == PKT_IPV6 ? 6 : 4), "family");
		}
	}
	free(d);
	return 0;
}
