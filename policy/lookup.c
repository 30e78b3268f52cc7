/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * (VSID, destination MAC) of a burst from a port. Two loops: the first makes the keys and has all cache lines
 * on their way before the second compares. The value found is the verdict: no record is touched.
 */
#include "policy/policy_private.h"

#define CHUNK 32

/* 01:80:c2:00:00:00 .. 0f, as mac_load() gives it. */
#define RESERVED_MAC	  UINT64_C(0x00000000c28001)
#define RESERVED_MAC_MASK UINT64_C(0xf0ffffffffff)

static inline uint64_t read_mac(const uint8_t *p)
{
	uint64_t v;

	/* One load; the frame has 14 bytes at least, so 8 from either address are inside it. */
	memcpy(&v, p, 8);
	return v & UINT64_C(0xffffffffffff);
}

static inline void group_verdict(struct pkt_meta *meta, uint64_t mac)
{
	if (__builtin_expect((mac & RESERVED_MAC_MASK) == RESERVED_MAC, 0))
		meta_drop(meta, DROP_RESERVED_MAC);
	else
		meta->verdict = VERDICT_FLOOD;
}

static inline void rare_verdict(struct pkt_meta *meta, uint32_t v, bool floods)
{
	if (v == MACV_MISS) {
		if (floods)
			meta->verdict = VERDICT_FLOOD;
		else
			meta_drop(meta, DROP_NO_RECORD);
	} else if (MACV_KIND(v) == MACV_GATEWAY) {
		meta->verdict = VERDICT_ROUTE;
	} else {
		meta_drop(meta, DROP_RECORD_UNUSABLE);
	}
}

static inline void verdict(const struct policy *p, struct pkt_meta *meta, uint32_t v, bool floods)
{
	if (__builtin_expect(MACV_KIND(v) == MACV_REMOTE, 1)) {
		meta->verdict = VERDICT_REMOTE;
		meta->dst = MACV_INDEX(v);
		meta->dst_pa = host_pin_pa(p, MACV_INDEX(v), MACV_PA(v));
	} else if (MACV_KIND(v) == MACV_LOCAL) {
		meta->dst = MACV_INDEX(v);
		if (__builtin_expect(meta->dst != meta->src, 1))
			meta->verdict = VERDICT_LOCAL;
		else
			meta_drop(meta, DROP_SPLIT_HORIZON);
	} else {
		rare_verdict(meta, v, floods);
	}
}

static inline __attribute__((always_inline)) void lookup(const struct policy *p, uint32_t vsid, bool floods,
							 struct rte_mbuf **pkts, uint16_t n,
							 table_match_fn match)
{
	const struct table_view view = p->mac.view;
	const uint64_t vsid_key = mac_key(vsid, 0);
	const uint32_t tag = MAC_TAG(vsid);
	struct pkt_meta *metas[CHUNK];
	uint64_t keys[CHUNK];
	uint32_t homes[CHUNK];
	unsigned int k = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct pkt_meta *meta = pkt_meta(pkts[i]);
		uint64_t mac;

		if (__builtin_expect(meta->verdict != VERDICT_NONE, 0))
			continue;
		mac = read_mac(rte_pktmbuf_mtod(pkts[i], const uint8_t *));
		meta->vsid_out = vsid;
		if (__builtin_expect(mac & 1, 0)) {
			group_verdict(meta, mac);
			continue;
		}
		metas[k] = meta;
		keys[k] = vsid_key | mac;
		homes[k] = table_home(&view, keys[k], tag);
		table_prefetch(&view, homes[k]);
		k++;
	}
	for (unsigned int i = 0; i < k; i++)
		verdict(p, metas[i], table_find_at(&view, homes[i], keys[i], tag, match), floods);
}

static void lookup_base(const struct policy *p, uint32_t vsid, bool floods, struct rte_mbuf **pkts,
			uint16_t n)
{
	lookup(p, vsid, floods, pkts, n, table_match);
}

#ifdef TABLE_AVX2
static __attribute__((target("avx2"))) void lookup_avx2(const struct policy *p, uint32_t vsid, bool floods,
							struct rte_mbuf **pkts, uint16_t n)
{
	lookup(p, vsid, floods, pkts, n, table_match_avx2);
}
#else
#define lookup_avx2 lookup_base
#endif

void policy_lookup_burst(const struct policy *p, const struct policy_port *port,
			 const struct policy_subnet *s, struct rte_mbuf **pkts, uint16_t n)
{
	bool floods = s ? s->learning : true;

	if (__builtin_expect(!s && port->vsid, 0)) {
		for (uint16_t i = 0; i < n; i++)
			if (pkt_meta(pkts[i])->verdict == VERDICT_NONE)
				meta_drop(pkt_meta(pkts[i]), DROP_NO_SUBNET);
		return;
	}
	for (uint16_t from = 0; from < n; from = (uint16_t)(from + CHUNK)) {
		uint16_t k = (uint16_t)(n - from < CHUNK ? n - from : CHUNK);

		if (p->avx2)
			lookup_avx2(p, port->vsid, floods, pkts + from, k);
		else
			lookup_base(p, port->vsid, floods, pkts + from, k);
	}
}
