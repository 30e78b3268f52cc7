/* SPDX-License-Identifier: BSD-3-Clause */
/* Places of lookup records, for who keeps something by record: where one is, who takes it, which a packet goes to. */
#include "policy/policy_private.h"

uint32_t policy_record_places(const struct policy *p)
{
	return p->record_cap;
}

void policy_on_record_place(struct policy *p, policy_record_place_fn fn, void *arg)
{
	p->on_record_place = fn;
	p->on_record_place_arg = arg;
}

/* ---- packet path ---- */

uint32_t policy_record_to(const struct policy *p, const struct rte_mbuf *m)
{
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct pkt_meta *meta = rte_mbuf_to_priv((struct rte_mbuf *)(uintptr_t)m);
	struct ip_addr ca = { 0 };
	uint32_t i;

	if (meta->record != REC_NONE)
		return meta->record;
	switch (meta->pkt.kind) {
	case PKT_IPV4:
		ca.family = 4;
		memcpy(ca.b, data + meta->pkt.l3_off + offsetof(struct ipv4_hdr, dst), 4);
		break;
	case PKT_IPV6:
	case PKT_ND:
		ca.family = 6;
		memcpy(ca.b, data + meta->pkt.l3_off + offsetof(struct ipv6_hdr, dst), 16);
		break;
	default:
		return REC_NONE;
	}
	i = ca_find(p, meta->vsid_out, &ca);
	if (i == TABLE_MISS || i == CA_GATEWAY)
		return REC_NONE;
	/* The address alone says nothing: it may be behind a router that the frame is for. */
	return mac_load(&p->records[i].mac) == mac_load(data) ? i : REC_NONE;
}
