/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may send what (HNV 2.5 step 2, 2.6). A port nearly always repeats itself, so the last good MAC and the
 * last two good addresses stand beside its queue and a packet costs two compares; a change of policy empties
 * that memory.
 */
#include "policy/policy_private.h"

/* One form for both families: IPv4 as ::ffff:a.b.c.d, which never passes as an IPv6 source. */
struct source {
	uint64_t hi, lo;
};

static inline struct source source4(const uint8_t *ip)
{
	struct source s = { .hi = 0 };
	uint32_t v;

	memcpy(&v, ip, 4);
	s.lo = (uint64_t)v << 32 | 0xffff0000u;
	return s;
}

static inline bool cached(const struct policy_src_cache *c, struct source s)
{
	struct source is;

	for (unsigned int i = 0; i < c->n_ip; i++) {
		memcpy(&is, c->ip[i], 16);
		if (is.hi == s.hi && is.lo == s.lo)
			return true;
	}
	return false;
}

static void remember(struct policy_src_cache *c, struct source s)
{
	/* The older of the two goes. */
	memcpy(c->ip[1], c->ip[0], 16);
	memcpy(c->ip[0], &s, 16);
	if (c->n_ip < 2)
		c->n_ip++;
}

static bool mac_ok(const struct policy_port *port, uint64_t mac)
{
	/* Only a port of the plain segment can be without MACs: then any. */
	if (port->n_macs == 0)
		return !(mac & 1);
	for (uint16_t i = 0; i < port->n_macs; i++)
		if (mac_load(&port->macs[i]) == mac)
			return true;
	return false;
}

static bool ip_ok(const struct policy *p, const struct policy_port *port, const struct policy_subnet *s,
		  uint64_t mac, const struct ip_addr *ip)
{
	uint32_t v, macv;

	if (s->external)
		return true;
	v = ca_find(p, s->vsid, ip);
	if (v == CA_GATEWAY || ip_is_special(ip))
		return false;
	if (port_may_own(port, ip))
		return true;
	macv = policy_mac_lookup(p, s->vsid, mac);
	if (macv != MACV_MISS && (macv & MACV_WILDCARD))
		return true;
	if (v != TABLE_MISS)
		return mac_load(&p->records[v].mac) == mac;
	if (ip_is_link_local(ip))
		return true;
	/* A list of allowed addresses is a limit to learning as well. */
	return !port->n_addresses && subnet_may_own(s, ip);
}

static void check_ip(const struct policy *p, const struct policy_port *port, const struct policy_subnet *s,
		     struct policy_src_cache *c, struct pkt_meta *meta, const uint8_t *data)
{
	const uint8_t *l3 = data + meta->pkt.l3_off;
	struct source src;
	struct ip_addr ip;

	if (meta->pkt.kind == PKT_IPV4) {
		src = source4(l3 + 12);
		if (__builtin_expect(cached(c, src), 1))
			return;
		ip = ip4_from(l3 + 12);
	} else {
		memcpy(&src, l3 + 8, 16);
		ip = ip6_from(l3 + 8);
		if (__builtin_expect(cached(c, src), 1) && !ip_is_special(&ip))
			return;
	}
	if (ip_is_any(&ip)) /* DHCP, DAD */
		return;
	if (ip_ok(p, port, s, c->mac, &ip))
		remember(c, src);
	else
		meta_drop(meta, DROP_SRC_IP);
}

void policy_source_burst(const struct policy *p, const struct policy_port *port,
			 const struct policy_subnet *s, struct policy_src_cache *cache,
			 struct rte_mbuf **pkts, uint16_t n)
{
	/* Read before any answer is looked up: a change meanwhile makes the next burst ask again. */
	uint64_t gen = __atomic_load_n(&p->generation, __ATOMIC_ACQUIRE);

	if (__builtin_expect(cache->gen != gen, 0))
		*cache = (struct policy_src_cache){ .gen = gen };
	for (uint16_t i = 0; i < n; i++) {
		struct pkt_meta *meta = pkt_meta(pkts[i]);
		const uint8_t *data = rte_pktmbuf_mtod(pkts[i], const uint8_t *);
		uint64_t mac;

		if (__builtin_expect(meta->verdict != VERDICT_NONE, 0))
			continue;
		memcpy(&mac, data + 6, 8);
		mac &= UINT64_C(0xffffffffffff);
		if (__builtin_expect(mac != cache->mac, 0)) {
			if (!mac_ok(port, mac)) {
				meta_drop(meta, DROP_SRC_MAC);
				continue;
			}
			cache->mac = mac;
			cache->n_ip = 0;
		}
		/* ARP and ND senders are neigh's to judge; other EtherTypes have no address. */
		if (s && (meta->pkt.kind == PKT_IPV4 || meta->pkt.kind == PKT_IPV6))
			check_ip(p, port, s, cache, meta, data);
	}
}
