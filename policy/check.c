/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses against subnets, ports and records; the slow side of the packet path's checks. */
#include "policy/policy_private.h"

bool ip_is_link_local(const struct ip_addr *a)
{
	return a->family == 6 && a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

bool ip_is_special(const struct ip_addr *a)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff }, loopback[16] = { [15] = 1 };

	if (a->family == 4)
		return a->b[0] == 0 || a->b[0] == 127 || a->b[0] >= 224;
	return a->b[0] == 0xff || memcmp(a->b, mapped, 12) == 0 || memcmp(a->b, loopback, 16) == 0 ||
	       ip_is_any(a);
}

bool subnet_is_gateway(const struct policy_subnet *s, const struct ip_addr *a)
{
	for (uint16_t i = 0; i < s->n_gateways; i++)
		if (ip_equal(&s->gateways[i].addr, a))
			return true;
	return false;
}

/*
 * Foreign addresses are for gateway-wildcard MACs only (HNV rows 1 and 3), so learning does not reach beyond
 * the subnet's own prefixes, where they are known.
 */
bool subnet_may_own(const struct policy_subnet *s, const struct ip_addr *a)
{
	bool known = false;

	if (!s->learning || ip_is_special(a))
		return false;
	for (uint16_t i = 0; i < s->n_gateways; i++) {
		const struct ip_prefix *g = &s->gateways[i];

		if (g->addr.family != a->family || ip_is_link_local(&g->addr))
			continue;
		if (ip_in_prefix(a, g))
			return true;
		known = true;
	}
	return !known;
}

bool port_may_own(const struct policy_port *port, const struct ip_addr *a)
{
	for (uint16_t i = 0; i < port->n_addresses; i++)
		if (ip_in_prefix(a, &port->addresses[i]))
			return true;
	return false;
}

bool port_has_mac(const struct policy_port *port, uint64_t mac)
{
	for (uint16_t i = 0; i < port->n_macs; i++)
		if (mac_load(&port->macs[i]) == mac)
			return true;
	return false;
}

bool policy_may_have(const struct policy_port *port, const struct policy_subnet *s, const struct ip_addr *ca)
{
	return !ip_is_special(ca) && !subnet_is_gateway(s, ca) &&
	       (ip_is_link_local(ca) || port_may_own(port, ca) || (!port->n_addresses && subnet_may_own(s, ca)));
}

uint32_t ca_find(const struct policy *p, uint32_t vsid, const struct ip_addr *ca)
{
	uint32_t v = table_find(&p->ca, ca_key(p, vsid, ca), 0);
	const struct policy_subnet *s;

	if (ca->family == 4 || v == TABLE_MISS)
		return v;
	if (v == CA_GATEWAY) {
		s = policy_subnet(p, vsid);
		return s && subnet_is_gateway(s, ca) ? v : TABLE_MISS;
	}
	return p->records[v].vsid == vsid && ip_equal(&p->records[v].ca, ca) ? v : TABLE_MISS;
}

bool destination_allowed(const struct policy *p, const struct policy_subnet *s, uint32_t macv, uint64_t mac,
			 const struct ip_addr *ip)
{
	const struct policy_port *port;
	uint32_t v;

	if ((macv & MACV_WILDCARD) || s->external || ip_is_special(ip))
		return true;
	v = ca_find(p, s->vsid, ip);
	if (v != TABLE_MISS && v != CA_GATEWAY && mac_load(&p->records[v].mac) == mac)
		return true;
	port = policy_port(p, MACV_INDEX(macv));
	if (port && port_may_own(port, ip))
		return true;
	return v == TABLE_MISS && (ip_is_link_local(ip) || subnet_may_own(s, ip));
}
