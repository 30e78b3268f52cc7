/* SPDX-License-Identifier: BSD-3-Clause */
/* DHCP and reverse ARP: what they teach, and who may play the server (HNV 3.4, rows 39, 46). */
#include "base/meta.h"
#include "base/pkt_dhcp.h"
#include "policy/policy_private.h"

unsigned int policy_sight_ask(const struct policy_port *port, const struct policy_subnet *s, struct rte_mbuf *m,
			      struct sighting *ret)
{
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct pkt_meta *meta = pkt_meta(m);
	struct dhcp_msg msg;
	uint64_t mac = 0;

	if (s->external || !s->learning)
		return 0;
	*ret = (struct sighting){ .port = port->index, .vsid = s->vsid };
	if (meta->pkt.kind == PKT_OTHER) {
		mac = pkt_rarp_mac(data, m->data_len, &meta->pkt);
		ret->kind = SIGHT_MAC;
	} else if (pkt_dhcp(data, m->data_len, &meta->pkt, &msg) && msg.what == DHCP_ASKS) {
		mac = meta->pkt.kind == PKT_IPV4 ? mac_load(&msg.client) : mac_load(data + 6);
		ret->kind = SIGHT_ASKS;
		ret->ca.family = meta->pkt.kind == PKT_IPV4 ? 4 : 6;
		ret->xid = msg.xid;
	}
	mac_store(&ret->mac, mac);
	return mac && port_has_mac(port, mac);
}

unsigned int policy_sight_lease(const struct policy *p, struct rte_mbuf *m, struct sighting *ret)
{
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct pkt_meta *meta = pkt_meta(m);
	const struct policy_subnet *s = policy_subnet(p, meta->vsid_out);
	const struct policy_port *port;
	struct dhcp_msg msg;
	unsigned int n = 0;
	uint64_t mac;
	uint32_t v;

	if (!s || s->external || !s->learning || !pkt_dhcp(data, m->data_len, &meta->pkt, &msg) ||
	    msg.what != DHCP_GIVES)
		return 0;
	mac = meta->pkt.kind == PKT_IPV4 ? mac_load(&msg.client) : mac_load(data);
	v = policy_mac_lookup(p, s->vsid, mac);
	port = v != MACV_MISS && MACV_KIND(v) == MACV_LOCAL ? policy_port(p, MACV_INDEX(v)) : NULL;
	/* Told to its owner, or to all. */
	if (!port || (!mac_is_group(data) && mac_load(data) != mac))
		return 0;
	for (unsigned int i = 0; i < msg.n && n < SIGHTS; i++) {
		if (!policy_may_have(port, s, &msg.addresses[i]) ||
		    sight_known(p, port, &msg.addresses[i], mac))
			continue;
		ret[n] = (struct sighting){ .kind = SIGHT_LEASE, .port = port->index, .vsid = s->vsid, .xid = msg.xid,
					 .ca = msg.addresses[i] };
		mac_store(&ret[n++].mac, mac);
	}
	return n;
}

/* A first fragment that ends before it says what it carries (RFC 7112 5, RFC 7113 2.2): nobody honest sends it. */
static bool hides_message(const struct pkt_info *info)
{
	return info->kind == PKT_IPV6 && (info->flags & (PKT_F_FRAGMENT | PKT_F_FRAG_LATER)) == PKT_F_FRAGMENT &&
	       !(info->flags & PKT_F_L4) && (info->proto == IPPROTO_UDP_ || info->proto == IPPROTO_ICMP6_);
}

void policy_guard_burst(const struct policy_port *port, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		struct pkt_meta *meta = pkt_meta(pkts[i]);
		const uint8_t *data = rte_pktmbuf_mtod(pkts[i], const uint8_t *);

		if (meta->verdict != VERDICT_NONE)
			continue;
		if (port->dhcp_guard && (pkt_is_dhcp_answer(data, &meta->pkt) ||
					 (meta->pkt.proto == IPPROTO_UDP_ && hides_message(&meta->pkt))))
			meta_drop(meta, DROP_DHCP_GUARD);
		else if (port->ra_guard && ((meta->pkt.kind == PKT_ND && data[meta->pkt.l4_off] == ND_RA) ||
					    (meta->pkt.proto == IPPROTO_ICMP6_ && hides_message(&meta->pkt))))
			meta_drop(meta, DROP_RA_GUARD);
	}
}
