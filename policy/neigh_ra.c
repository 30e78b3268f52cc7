/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Router advertisements (RFC 4861 4.2, 6.2) of subnets that want them: the gateway, its prefixes, and how long a packet
 * of the guest may be. Guests make their addresses themselves where a prefix has 64 bits (RFC 4862 5.5.3).
 */
#include "base/meta.h"
#include "policy/neigh_make.h"

#define ND_RA_TYPE    134
#define HOP_LIMIT     64
#define ROUTER_S      1800 /* three times what lies between two advertisements: RFC 4861 6.2.1 */
#define VALID_S	      2592000
#define PREFERRED_S   604800
#define OPT_PREFIX    3
#define OPT_MTU	      5
#define PREFIX_ONLINK 0x80
#define PREFIX_AUTO   0x40
#define RA_FIXED      16
#define RA_MAX	      (RA_FIXED + 8 + 8 + SUBNET_GATEWAYS * 32)

static const struct ip_addr *link_local(const struct policy_subnet *s)
{
	for (uint16_t i = 0; i < s->n_gateways; i++)
		if (ip_is_link_local(&s->gateways[i].addr))
			return &s->gateways[i].addr;
	return NULL;
}

static uint32_t write_prefix(uint8_t *d, const struct ip_prefix *gateway)
{
	struct ip_prefix net = prefix_network(gateway);

	memset(d, 0, 32);
	d[0] = OPT_PREFIX;
	d[1] = 4;
	d[2] = net.len;
	d[3] = PREFIX_ONLINK | (net.len == 64 ? PREFIX_AUTO : 0);
	store_be32(d + 4, VALID_S);
	store_be32(d + 8, PREFERRED_S);
	memcpy(d + 16, net.addr.b, 16);
	return 32;
}

/* @return length. */
static uint32_t write_message(uint8_t d[RA_MAX], const struct policy_subnet *s, uint16_t mtu)
{
	uint32_t n = RA_FIXED;

	memset(d, 0, RA_FIXED);
	d[0] = ND_RA_TYPE;
	d[4] = HOP_LIMIT;
	store_be16(d + 6, s->ra ? ROUTER_S : 0); /* 6.2.5: no router any more */
	d[n] = ND_OPT_SOURCE_MAC;
	d[n + 1] = 1;
	mac_store(d + n + 2, s->gateway_mac);
	n += 8;
	if (mtu >= 1280) { /* RFC 8200 5: IPv6 has no smaller link */
		memset(d + n, 0, 8);
		d[n] = OPT_MTU;
		d[n + 1] = 1;
		store_be32(d + n + 4, mtu);
		n += 8;
	}
	for (uint16_t i = 0; i < s->n_gateways; i++)
		if (s->gateways[i].addr.family == 6 && !ip_is_link_local(&s->gateways[i].addr))
			n += write_prefix(d + n, &s->gateways[i]);
	return n;
}

bool policy_neigh_advertise(const struct policy *p, const struct policy_port *port, uint16_t mtu, bool last,
			    struct rte_mbuf *m)
{
	const struct policy_subnet *s = policy_subnet(p, port->vsid);
	const struct ip_addr *from = s && (s->ra || last) && !s->external ? link_local(s) : NULL;
	struct pkt_meta *meta = pkt_meta(m);
	uint8_t body[RA_MAX];

	memset(meta, 0, sizeof(*meta));
	if (!from || !neigh_make_nd(m, s->gateway_mac, from, body, write_message(body, s, mtu)))
		return false;
	meta->vsid_in = meta->vsid_out = port->vsid;
	meta->verdict = VERDICT_LOCAL;
	meta->dst = port->index;
	meta->src = PORT_WIRE;
	return true;
}
