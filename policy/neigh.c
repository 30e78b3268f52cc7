/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ARP and neighbour discovery of local ports: proxy, gateway, duplicate address detection, reachability,
 * spoofing (HNV 3.2, rows 18, 49-53; RFC 826, 4861, 4862, 5227). One body for both families.
 *
 *	question, to all    for a gateway address: answered with the subnet's gateway MAC
 *			    for a known CA: answered with its record's MAC, wherever it is
 *			    for an address of the asker: flooded, so that a duplicate can object
 *			    for an unknown CA: flooded where the subnet learns, else no-record
 *	question, unicast   for a gateway address: answered
 *			    else it goes to the VM it names, so that a dead one looks dead (NUD)
 *	announcement	    flooded, never answered
 *	answer to one	    delivered like any frame
 *
 * A probe for a free address (from 0.0.0.0 or ::) differs in one thing only: an advertisement that defends
 * the address goes to all nodes and is not marked solicited (RFC 4861 7.2.4).
 *
 * Decided where nobody says: router solicitations are flooded in a subnet that learns (a VM may be a router)
 * and dropped as no-record elsewhere; router advertisements pass like any frame when their sender is honest;
 * redirects from guests are dropped as spoof-arp, since the only first-hop router here is the distributed
 * one; what is sent to the gateway's MAC and is no question for a gateway address is dropped as no-record; an
 * owner behind the asker's own port answers there itself (split-horizon), unless the asker probes.
 */
#include "base/meta.h"
#include "policy/neigh_msg.h"
#include "policy/policy_private.h"

#define ARP_LEN	     (ETH_HLEN_ + (uint32_t)sizeof(struct arp_hdr))
#define ND_OPT_LEN   8u
#define NA_LEN	     ((uint32_t)(sizeof(struct nd_hdr) + ND_OPT_LEN))
#define NA_FRAME_LEN (ETH_HLEN_ + (uint32_t)sizeof(struct ipv6_hdr) + NA_LEN)
#define ND_NA	     136
#define NA_ROUTER    0x80000000u
#define NA_SOLICITED 0x40000000u
#define NA_OVERRIDE  0x20000000u

static bool is_port_mac(const struct policy_port *port, uint64_t mac)
{
	for (unsigned int i = 0; i < port->n_macs; i++) {
		if (mac_load(&port->macs[i]) == mac)
			return true;
	}
	return false;
}

static bool is_wildcard(const struct policy *p, uint32_t vsid, uint64_t mac)
{
	uint32_t v = policy_mac_lookup(p, vsid, mac);

	return v != MACV_MISS && (v & MACV_WILDCARD);
}

/* May the port say that the address is its own? */
static enum drop_reason check_claim(const struct policy *p, const struct policy_port *port,
				    const struct policy_subnet *s, const struct neigh_claim *claim)
{
	uint32_t rec;

	/* Wanting an address is no claim to it: whoever has it will object, we for the known ones. */
	if (claim->kind == NEIGH_CLAIM_WANTS)
		return DROP_NONE;
	if (ip_is_special(&claim->ca) || subnet_is_gateway(s, &claim->ca))
		return DROP_SPOOF_ARP;
	rec = policy_ca_lookup(p, s->vsid, &claim->ca);
	if (rec != REC_NONE)
		return mac_load(&policy_record(p, rec)->mac) == claim->mac ? DROP_NONE : DROP_SPOOF_ARP;
	/*
	 * No record: the same as for data (source.c). A list of allowed addresses is a limit to learning as
	 * well.
	 */
	if (ip_is_link_local(&claim->ca) || port_may_own(port, &claim->ca) ||
	    is_wildcard(p, s->vsid, claim->mac) || (!port->n_addresses && subnet_may_own(s, &claim->ca)))
		return DROP_NONE;
	return DROP_SRC_IP;
}

static enum drop_reason check_sender(const struct policy *p, const struct policy_port *port,
				     const struct policy_subnet *s, const struct neigh_msg *msg)
{
	struct neigh_claim claims[NEIGH_CLAIMS];
	enum drop_reason why = DROP_NONE;
	unsigned int n;

	if (msg->foreign || !is_port_mac(port, msg->eth_src))
		return DROP_SPOOF_ARP;
	n = neigh_claims(msg, claims);
	for (unsigned int i = 0; i < n && !why; i++)
		why = check_claim(p, port, s, &claims[i]);
	return why;
}

/*
 * Make the packet a frame of len bytes whose old content is not needed any more. @return its start, NULL when
 * the buffer is not ours alone or too small.
 */
static uint8_t *rewrite(struct rte_mbuf *m, uint32_t len)
{
	if (rte_mbuf_refcnt_read(m) != 1 || RTE_MBUF_CLONED(m) ||
	    (RTE_MBUF_HAS_EXTBUF(m) && rte_mbuf_ext_refcnt_read(m->shinfo) != 1) || m->buf_len < len)
		return NULL;
	if (m->next) {
		rte_pktmbuf_free(m->next);
		m->next = NULL;
		m->nb_segs = 1;
	}
	if (m->data_off + len > m->buf_len)
		m->data_off = (uint16_t)(m->buf_len - len);
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	return rte_pktmbuf_mtod(m, uint8_t *);
}

static void arp_answer(uint8_t *d, const struct neigh_msg *msg, uint64_t mac)
{
	struct arp_hdr arp = { .hlen = 6, .plen = 4 };

	store_be16(&arp.htype, 1);
	store_be16(&arp.ptype, ETHERTYPE_IPV4_);
	store_be16(&arp.op, 2);
	mac_store(&arp.sha, mac);
	memcpy(arp.spa, msg->target.b, 4);
	mac_store(&arp.tha, msg->eth_src);
	memcpy(arp.tpa, msg->sender.b, 4);

	mac_store(d, msg->eth_src);
	mac_store(d + 6, mac);
	store_be16(d + 12, ETHERTYPE_ARP_);
	memcpy(d + ETH_HLEN_, &arp, sizeof(arp));
}

static uint16_t nd_checksum(const struct ipv6_hdr *ip, const uint8_t *msg, uint32_t len)
{
	uint8_t tail[8] = { [7] = IPPROTO_ICMP6_ };

	store_be32(tail, len);
	return csum_fold(csum_partial(msg, len, csum_partial(tail, 8, csum_partial(ip->src, 32, 0))));
}

static void na_answer(uint8_t *d, const struct neigh_msg *msg, uint64_t mac, bool router)
{
	static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };
	static const uint8_t all_nodes_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };
	bool probe = neigh_is_probe(msg);
	struct ipv6_hdr ip = { .next = IPPROTO_ICMP6_, .hlim = 255 };
	struct nd_hdr na = { .type = ND_NA };
	uint8_t body[sizeof(na) + ND_OPT_LEN];

	store_be32(&ip.vtf, 0x60000000);
	store_be16(&ip.plen, (uint16_t)NA_LEN);
	memcpy(ip.src, msg->target.b, 16);
	memcpy(ip.dst, probe ? all_nodes : msg->sender.b, 16);

	store_be32(&na.flags, NA_OVERRIDE | (probe ? 0 : NA_SOLICITED) | (router ? NA_ROUTER : 0));
	memcpy(na.target, msg->target.b, 16);
	memcpy(body, &na, sizeof(na));
	body[sizeof(na)] = ND_OPT_TARGET_MAC;
	body[sizeof(na) + 1] = ND_OPT_LEN / 8;
	mac_store(body + sizeof(na) + 2, mac);
	na.csum = nd_checksum(&ip, body, sizeof(body));
	memcpy(body, &na, sizeof(na));

	if (probe)
		memcpy(d, all_nodes_mac, ETH_ALEN_);
	else
		mac_store(d, msg->eth_src);
	mac_store(d + 6, mac);
	store_be16(d + 12, ETHERTYPE_IPV6_);
	memcpy(d + ETH_HLEN_, &ip, sizeof(ip));
	memcpy(d + ETH_HLEN_ + sizeof(ip), body, sizeof(body));
}

/* The packet becomes the answer "target is at mac". */
static void answer(struct rte_mbuf *m, const struct neigh_msg *msg, uint64_t mac, bool router)
{
	struct pkt_meta *meta = pkt_meta(m);
	uint8_t *d = rewrite(m, msg->v6 ? NA_FRAME_LEN : ARP_LEN);

	if (!d) {
		meta_drop(meta, DROP_NO_HEADROOM);
		return;
	}
	if (msg->v6)
		na_answer(d, msg, mac, router);
	else
		arp_answer(d, msg, mac);
	meta->pkt = (struct pkt_info){
		.ethertype = msg->v6 ? ETHERTYPE_IPV6_ : ETHERTYPE_ARP_,
		.kind = msg->v6 ? PKT_ND : PKT_ARP,
		.flags = mac_is_group(d) ? PKT_F_GROUP : 0,
		.l3_off = ETH_HLEN_,
	};
	if (msg->v6) {
		meta->pkt.flags |= PKT_F_L4 | PKT_F_DF;
		meta->pkt.proto = IPPROTO_ICMP6_;
		meta->pkt.l4_off = ETH_HLEN_ + sizeof(struct ipv6_hdr);
		meta->pkt.l3_end = NA_FRAME_LEN;
	}
	meta->gso_type = 0;
	meta->gso_size = 0;
	meta->csum_state = CSUM_UNKNOWN;
	meta->flags |= META_INJECT;
	meta->verdict = VERDICT_REPLY;
}

static void flood(struct pkt_meta *meta, const struct policy_subnet *s)
{
	meta->vsid_out = s->vsid;
	meta->verdict = VERDICT_FLOOD;
}

/* A question to all about an address that is no gateway's. */
static void judge_group_request(const struct policy *p, const struct policy_port *port,
				const struct policy_subnet *s, struct rte_mbuf *m,
				const struct neigh_msg *msg)
{
	struct pkt_meta *meta = pkt_meta(m);
	const struct policy_record *rec;
	uint32_t index;

	if (neigh_is_announcement(msg)) {
		flood(meta, s);
		return;
	}
	index = policy_ca_lookup(p, s->vsid, &msg->target);
	if (index == REC_NONE) {
		if (s->learning)
			flood(meta, s);
		else
			meta_drop(meta, DROP_NO_RECORD);
		return;
	}
	rec = policy_record(p, index);
	if (mac_load(&rec->mac) == msg->eth_src)
		flood(meta, s);
	else if (rec->port == port->index && !neigh_is_probe(msg))
		meta_drop(meta, DROP_SPLIT_HORIZON);
	else
		answer(m, msg, mac_load(&rec->mac), false);
}

static void judge_request(const struct policy *p, const struct policy_port *port,
			  const struct policy_subnet *s, struct rte_mbuf *m, const struct neigh_msg *msg)
{
	if (ip_is_special(&msg->target))
		meta_drop(pkt_meta(m), msg->v6 ? DROP_BAD_ND : DROP_BAD_ARP);
	else if (subnet_is_gateway(s, &msg->target))
		answer(m, msg, s->gateway_mac, true);
	else if (msg->group)
		judge_group_request(p, port, s, m, msg);
	else if (msg->eth_dst == s->gateway_mac)
		meta_drop(pkt_meta(m), DROP_NO_RECORD);
	/* else: the VM that has the MAC answers or does not */
}

void policy_neigh_egress(const struct policy *p, const struct policy_port *port,
			 const struct policy_subnet *s, struct rte_mbuf *m)
{
	struct pkt_meta *meta = pkt_meta(m);
	struct neigh_msg msg;
	enum drop_reason why;

	if (!s || s->external)
		return;
	neigh_read(rte_pktmbuf_mtod(m, const uint8_t *), &meta->pkt, &msg);
	why = msg.op == NEIGH_REDIRECT ? DROP_SPOOF_ARP : check_sender(p, port, s, &msg);
	if (why)
		meta_drop(meta, why);
	else if (msg.op == NEIGH_REQUEST)
		judge_request(p, port, s, m, &msg);
	else if (msg.op == NEIGH_RS && !s->learning)
		meta_drop(meta, DROP_NO_RECORD);
	else if (msg.group)
		flood(meta, s);
	else if (msg.eth_dst == s->gateway_mac)
		meta_drop(meta, DROP_NO_RECORD);
}

bool policy_neigh_tell(const struct policy *p, const struct policy_port *port, const struct ip_addr *target,
		       struct rte_mbuf *m)
{
	const struct policy_subnet *s = policy_subnet(p, port->vsid);
	struct neigh_msg msg = { .op = NEIGH_REQUEST, .v6 = target->family == 6, .group = true, .target = *target };
	struct pkt_meta *meta = pkt_meta(m);
	const struct policy_record *rec;
	uint32_t index;

	memset(meta, 0, sizeof(*meta));
	if (!s || s->external || !port->n_macs)
		return false;
	msg.eth_src = mac_load(&port->macs[0]);
	/* RFC 5227 3: target and sender are the same. ND: to all nodes, as nobody has asked (RFC 4861 7.2.6). */
	msg.sender = msg.v6 ? (struct ip_addr){ .family = 6 } : *target;
	if (subnet_is_gateway(s, target)) {
		answer(m, &msg, s->gateway_mac, true);
	} else {
		index = policy_ca_lookup(p, s->vsid, target);
		rec = index == REC_NONE ? NULL : policy_record(p, index);
		if (!rec || rec->port == port->index || is_port_mac(port, mac_load(&rec->mac)))
			return false;
		answer(m, &msg, mac_load(&rec->mac), false);
	}
	if (meta->verdict != VERDICT_REPLY)
		return false;
	meta->vsid_in = meta->vsid_out = port->vsid;
	meta->verdict = VERDICT_LOCAL;
	meta->dst = port->index;
	meta->src = PORT_WIRE;
	return true;
}
