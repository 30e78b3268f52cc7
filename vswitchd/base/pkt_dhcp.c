/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/pkt_dhcp.h"

#define UDP_LEN	     8u
#define DHCP4_FIXED  240u /* up to and with the magic cookie */
#define DHCP4_MAGIC  0x63825363u
#define OPT4_PAD     0
#define OPT4_TYPE    53
#define OPT4_END     255
#define OPT6_IA_NA   3
#define OPT6_IA_TA   4
#define OPT6_IA_ADDR 5

enum { DISCOVER4 = 1, REQUEST4 = 3, ACK4 = 5 };
enum { SOLICIT6 = 1, REQUEST6 = 3, CONFIRM6, RENEW6, REBIND6, REPLY6 };

/* The message type option (RFC 2132 9.6); 0: there is none, or the options are malformed. */
static uint8_t type4(const uint8_t *opt, const uint8_t *end)
{
	while (opt < end && *opt != OPT4_END) {
		if (*opt == OPT4_PAD) {
			opt++;
			continue;
		}
		if (end - opt < 2 || end - opt - 2 < opt[1])
			return 0;
		if (*opt == OPT4_TYPE)
			return opt[1] == 1 ? opt[2] : 0;
		opt += 2 + opt[1];
	}
	return 0;
}

static bool read4(const uint8_t *msg, uint32_t len, struct dhcp_msg *ret)
{
	bool reply;
	uint8_t type;

	/* Ethernet addresses only; the server says 2, the client 1 */
	if (len < DHCP4_FIXED || (msg[0] != 1 && msg[0] != 2) || msg[1] != 1 || msg[2] != ETH_ALEN_ ||
	    load_be32(msg + 236) != DHCP4_MAGIC)
		return false;
	reply = msg[0] == 2;
	type = type4(msg + DHCP4_FIXED, msg + len);
	if (reply ? type != ACK4 : type != DISCOVER4 && type != REQUEST4)
		return false;
	*ret = (struct dhcp_msg){ .what = reply ? DHCP_GIVES : DHCP_ASKS, .xid = load_be32(msg + 4) };
	memcpy(&ret->client, msg + 28, ETH_ALEN_);
	if (!reply)
		return true;
	ret->addresses[0] = ip4_from(msg + 16);
	ret->n = 1;
	return !ip_is_any(&ret->addresses[0]); /* an answer to DHCPINFORM gives none */
}

/* Addresses of an identity association. */
static void read_ia(const uint8_t *opt, const uint8_t *end, struct dhcp_msg *ret)
{
	while (end - opt >= 4) {
		uint32_t len = load_be16(opt + 2);

		if (len > (uint32_t)(end - opt) - 4)
			return;
		/* address, preferred and valid lifetime; 0: it is taken away */
		if (load_be16(opt) == OPT6_IA_ADDR && len >= 24 && load_be32(opt + 24) && ret->n < DHCP_ADDRESSES)
			ret->addresses[ret->n++] = ip6_from(opt + 4);
		opt += 4 + len;
	}
}

static bool read6(const uint8_t *msg, uint32_t len, struct dhcp_msg *ret)
{
	const uint8_t *opt = msg + 4, *end = msg + len;

	if (len < 4 || (msg[0] != SOLICIT6 && (msg[0] < REQUEST6 || msg[0] > REPLY6)))
		return false;
	*ret = (struct dhcp_msg){ .what = msg[0] == REPLY6 ? DHCP_GIVES : DHCP_ASKS,
				  .xid = load_be32(msg) & 0xffffff };
	while (msg[0] == REPLY6 && end - opt >= 4) {
		uint32_t code = load_be16(opt), n = load_be16(opt + 2), fixed = code == OPT6_IA_NA ? 12 : 4;

		if (n > (uint32_t)(end - opt) - 4)
			return false;
		if ((code == OPT6_IA_NA || code == OPT6_IA_TA) && n >= fixed)
			read_ia(opt + 4 + fixed, opt + 4 + n, ret);
		opt += 4 + n;
	}
	return msg[0] != REPLY6 || ret->n;
}

bool pkt_dhcp(const uint8_t *data, uint32_t len, const struct pkt_info *info, struct dhcp_msg *ret)
{
	const uint8_t *udp = data + info->l4_off;
	uint32_t n;

	if (info->proto != IPPROTO_UDP_ || (info->flags & (PKT_F_L4 | PKT_F_FRAGMENT)) != PKT_F_L4 ||
	    info->l3_end > len || info->l3_end < info->l4_off + UDP_LEN)
		return false;
	n = load_be16(udp + 4);
	if (n < UDP_LEN || n > info->l3_end - info->l4_off)
		return false;
	if (pkt_is_udp_to(data, info, PKT_IPV4, DHCP4_CLIENT) || pkt_is_udp_to(data, info, PKT_IPV4, DHCP4_SERVER))
		return read4(udp + UDP_LEN, n - UDP_LEN, ret);
	if (pkt_is_udp_to(data, info, PKT_IPV6, DHCP6_CLIENT) || pkt_is_udp_to(data, info, PKT_IPV6, DHCP6_SERVER))
		return read6(udp + UDP_LEN, n - UDP_LEN, ret);
	return false;
}

uint64_t pkt_rarp_mac(const uint8_t *data, uint32_t len, const struct pkt_info *info)
{
	const struct arp_hdr *arp = (const void *)(data + info->l3_off);

	if (info->ethertype != ETHERTYPE_RARP_ || len < info->l3_off + sizeof(*arp))
		return 0;
	if (load_be16(&arp->htype) != 1 || load_be16(&arp->ptype) != ETHERTYPE_IPV4_ || arp->hlen != ETH_ALEN_ ||
	    arp->plen != 4 || load_be16(&arp->op) != 3)
		return 0;
	return mac_equal(&arp->sha, data + 6) && mac_equal(&arp->tha, data + 6) && !mac_is_group(data + 6) ?
		       mac_load(data + 6) : 0;
}
