/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames from the wire, decapsulated. Source: the MAC's host must be the host the outer source belongs to
 * (HNV 1.7 item 9). Destination: a port of this host with that VSID and MAC (item 8), from the table of local
 * MACs only, and an address that is the guest's, unless it is a gateway that takes any (HNV row 1).
 */
#include "base/pkt_dhcp.h"
#include "policy/policy_private.h"

#define CHUNK 32
#define MEMO  8

/* Destinations found good in this burst, by port: a guest's address repeats. IPv4 as ::ffff:a.b.c.d. */
struct memo {
	struct {
		uint64_t key, hi, lo;
	} of[MEMO];
	bool leases; /* something went to a DHCP client */
};

struct frame {
	struct pkt_meta *meta;
	const uint8_t *data;
	const struct policy_subnet *s;
	uint64_t src_key, dst_key;
	uint32_t src_home, dst_home, tag;
};

static inline uint64_t read_mac(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v & UINT64_C(0xffffffffffff);
}

/* Stage 1: subnets and keys; buckets on their way. */
static inline uint16_t begin(const struct policy *p, struct rte_mbuf **pkts, uint16_t n, struct frame *f)
{
	const struct table_view mac = p->mac.view, local = p->local.view;
	const struct policy_subnet *s = NULL;
	uint32_t vsid = 0;
	uint16_t k = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct pkt_meta *meta = pkt_meta(pkts[i]);
		struct frame *a = &f[k];

		if (__builtin_expect(meta->verdict != VERDICT_NONE, 0))
			continue;
		if (meta->vsid_in != vsid || !s) {
			vsid = meta->vsid_in;
			s = policy_subnet(p, vsid);
		}
		if (__builtin_expect(!s, 0)) {
			meta_drop(meta, DROP_VSID_UNKNOWN);
			continue;
		}
		meta->vsid_out = vsid;
		a->meta = meta;
		a->s = s;
		a->data = rte_pktmbuf_mtod(pkts[i], const uint8_t *);
		a->tag = MAC_TAG(vsid);
		a->dst_key = mac_key(vsid, read_mac(a->data));
		a->src_key = mac_key(vsid, read_mac(a->data + 6));
		a->dst_home = table_home(&local, a->dst_key, a->tag);
		a->src_home = table_home(&mac, a->src_key, a->tag);
		table_prefetch(&mac, a->src_home);
		k++;
	}
	return k;
}

/* The inner source MAC against the host that sent the packet. */
static inline enum drop_reason check_source(const struct policy *p, const struct frame *f, uint32_t v)
{
	uint16_t from = f->meta->src_host;

	if (__builtin_expect(MACV_KIND(v) == MACV_REMOTE, 1))
		return MACV_INDEX(v) == from ? DROP_NONE : DROP_SRC_PA_MISMATCH;
	if (from == p->self || from == HOST_NONE || MACV_KIND(v) == MACV_LOCAL)
		return DROP_SRC_PA_MISMATCH;
	if (MACV_KIND(v) == MACV_GATEWAY) /* routed there, as any host may */
		return DROP_NONE;
	if (v != MACV_MISS) /* a record that is unusable now still says whose the MAC is */
		return MACV_INDEX(v) == from ? DROP_NONE : DROP_SRC_PA_MISMATCH;
	return f->s->learning && !(f->src_key & 1) ? DROP_NONE : DROP_SRC_RECORD;
}

/* The long way. A DHCP client has a new address for the first packet to it, so it comes by here. */
static __attribute__((noinline)) bool address_ok(const struct policy *p, const struct frame *f, uint32_t v,
						 struct memo *memo)
{
	const uint8_t *l3 = f->data + f->meta->pkt.l3_off;
	struct ip_addr ip = f->meta->pkt.kind == PKT_IPV4 ? ip4_from(l3 + 16) : ip6_from(l3 + 24);

	if (!destination_allowed(p, f->s, v, f->dst_key & UINT64_C(0xffffffffffff), &ip))
		return false;
	memo->leases |= pkt_is_dhcp_answer(f->data, &f->meta->pkt);
	return true;
}

/* May the guest get it? Its own address, or it is a gateway that takes any. Frames without IP always. */
static inline bool may_have(const struct policy *p, const struct frame *f, uint32_t v, struct memo *memo)
{
	const struct pkt_info *pkt = &f->meta->pkt;
	const uint8_t *l3 = f->data + pkt->l3_off;
	uint64_t hi = 0, lo;
	uint32_t four;
	__typeof__(&memo->of[0]) m = &memo->of[MACV_INDEX(v) % MEMO];

	if (pkt->kind == PKT_IPV4) {
		memcpy(&four, l3 + 16, 4);
		lo = (uint64_t)four << 32 | 0xffff0000u;
	} else if (pkt->kind == PKT_IPV6) {
		memcpy(&hi, l3 + 24, 8);
		memcpy(&lo, l3 + 32, 8);
	} else {
		return true;
	}
	if (__builtin_expect(((m->key ^ f->dst_key) | (m->hi ^ hi) | (m->lo ^ lo)) == 0, 1))
		return true;
	if (v & MACV_WILDCARD)
		return true;
	if (!address_ok(p, f, v, memo))
		return false;
	m->key = f->dst_key;
	m->hi = hi;
	m->lo = lo;
	return true;
}

static inline void destination(const struct policy *p, const struct frame *f, uint32_t v,
			       struct memo *memo)
{
	uint64_t mac = f->dst_key & UINT64_C(0xffffffffffff);

	if (__builtin_expect(mac & 1, 0)) {
		/* 01:80:c2:00:00:0x is no guest's */
		if ((mac & UINT64_C(0xf0ffffffffff)) == UINT64_C(0xc28001))
			meta_drop(f->meta, DROP_RESERVED_MAC);
		else
			f->meta->verdict = VERDICT_FLOOD;
		return;
	}
	if (__builtin_expect(v == TABLE_MISS, 0)) {
		meta_drop(f->meta, DROP_NOT_LOCAL);
		return;
	}
	if (__builtin_expect(!may_have(p, f, v, memo), 0)) {
		meta_drop(f->meta, DROP_NO_RECORD);
		return;
	}
	f->meta->verdict = VERDICT_LOCAL;
	f->meta->dst = MACV_INDEX(v);
}

static inline __attribute__((always_inline)) void finish(const struct policy *p, struct frame *f, uint16_t n,
							 struct memo *memo, table_match_fn match)
{
	const struct table_view mac = p->mac.view, local = p->local.view;

	for (uint16_t i = 0; i < n; i++) {
		struct frame *a = &f[i];
		enum drop_reason why;

		why = check_source(p, a, table_find_at(&mac, a->src_home, a->src_key, a->tag, match));
		if (__builtin_expect(why != DROP_NONE, 0))
			meta_drop(a->meta, why);
		else
			destination(p, a, table_find_at(&local, a->dst_home, a->dst_key, a->tag, match),
				    memo);
	}
}

static void finish_base(const struct policy *p, struct frame *f, uint16_t n, struct memo *memo)
{
	finish(p, f, n, memo, table_match);
}

#ifdef TABLE_AVX2
static __attribute__((target("avx2"))) void finish_avx2(const struct policy *p, struct frame *f, uint16_t n,
							struct memo *memo)
{
	finish(p, f, n, memo, table_match_avx2);
}
#else
#define finish_avx2 finish_base
#endif

bool policy_ingress_burst(const struct policy *p, struct rte_mbuf **pkts, uint16_t n)
{
	struct memo memo = { 0 };
	struct frame f[CHUNK];

	for (uint16_t from = 0; from < n; from = (uint16_t)(from + CHUNK)) {
		uint16_t k = begin(p, pkts + from, (uint16_t)(n - from < CHUNK ? n - from : CHUNK), f);

		if (p->avx2)
			finish_avx2(p, f, k, &memo);
		else
			finish_base(p, f, k, &memo);
	}
	return memo.leases;
}
