/* SPDX-License-Identifier: BSD-3-Clause */
/* Merging of received segments, and whose word is taken for a checksum. */
#include <linux/virtio_net.h>
#include <rte_mbuf_ptype.h>

#include "unit.h"

#include "eal.h"
#include "frame.h"
#include "offload/offload.h"
#include "super.h"

#define BURST  128
#define FLOWS  5
#define ROUNDS 1500
#define TAKES  (PORT_RX_CSUM | PORT_RX_TSO4 | PORT_RX_TSO6)

static struct rte_mempool *pool;
static struct offload_counters counters;

/* Frame n of a super-packet as it comes from the wire, decapsulated. */
static struct rte_mbuf *received(const struct super *s, uint32_t n)
{
	static uint8_t buf[WIRE_MAX];
	uint32_t len = super_expect(s, n, false, buf);
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	struct pkt_meta *meta;

	assert_non_null(m);
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), buf, len);
	meta = pkt_meta(m);
	super_meta(s, m);
	meta->gso_type = 0;
	meta->gso_size = meta->gso_hdr_len = meta->csum_start = meta->csum_offset = 0;
	meta->csum_state = CSUM_UNKNOWN;
	meta->src = PORT_WIRE;
	return m;
}

/* What came out, cut again if it was merged, has to be what went in. @return frames */
static uint32_t compare(const struct super *s, uint32_t from, struct rte_mbuf *m)
{
	static uint8_t want[WIRE_MAX], got[WIRE_MAX];
	struct rte_mbuf *pkts[BURST];
	struct offload_gso g;
	int n = 1;

	pkts[0] = m;
	if (pkt_meta(m)->gso_type) {
		assert_int_equal(pkt_meta(m)->csum_state, CSUM_PARTIAL);
		assert_int_equal(pkt_meta(m)->pkt.l3_end, m->pkt_len);
		assert_int_equal(pkt_meta(m)->gso_hdr_len, super_headers(s));
		assert_int_equal(offload_gso_begin(&g, m, 0, false), DROP_NONE);
		n = offload_gso_next(&g, pool, pkts, BURST);
		assert_true(n > 1);
		rte_pktmbuf_free(m);
	}
	for (int i = 0; i < n; i++) {
		uint32_t len = super_read(pkts[i], got, WIRE_MAX);

		assert_int_equal(len, super_expect(s, from + (uint32_t)i, false, want));
		assert_memory_equal(got, want, len);
		rte_pktmbuf_free(pkts[i]);
	}
	return (uint32_t)n;
}

static void random_flow(struct super *s, uint16_t index, uint64_t *state)
{
	super_random(s, state);
	s->sport = index;
	s->path_mtu = 1500;
	s->mss = (uint16_t)(100 + unit_below(state, 1300));
	s->payload %= 40000;
	if (super_frames(s) > 40)
		s->payload = s->mss * 40;
	s->flags = unit_below(state, 2) ? 0x10 : 0x18;
	if (unit_below(state, 8))
		s->ip_opts_len = s->n_ext = 0; /* those are never merged */
}

static uint16_t flow_of(const struct rte_mbuf *m)
{
	const uint8_t *d = rte_pktmbuf_mtod(m, const uint8_t *);

	return (uint16_t)(load_be16(d + pkt_meta((struct rte_mbuf *)(uintptr_t)m)->pkt.l4_off) - 1000);
}

/* Interleaved flows come out in order, byte for byte, and with less packets. */
static void test_identity(void **state)
{
	uint64_t seed = unit_seed();
	unsigned int in = 0, out = 0;

	for (unsigned int round = 0; round < ROUNDS; round++) {
		uint32_t next[FLOWS] = { 0 }, seen[FLOWS] = { 0 };
		struct rte_mbuf *pkts[BURST];
		struct super s[FLOWS];
		uint16_t n = 0, k;

		for (uint16_t f = 0; f < FLOWS; f++)
			random_flow(&s[f], f, &seed);
		for (unsigned int tries = 0; n < BURST && tries < 400; tries++) {
			uint16_t f = (uint16_t)unit_below(&seed, FLOWS);

			for (uint64_t run = 1 + unit_below(&seed, 8); run && n < BURST; run--)
				if (next[f] < super_frames(&s[f]))
					pkts[n++] = received(&s[f], next[f]++);
		}
		k = offload_gro(pkts, n, TAKES, &counters);
		in += n;
		out += k;
		for (uint16_t i = 0; i < k; i++) {
			uint16_t f = flow_of(pkts[i]);

			assert_true(f < FLOWS);
			seen[f] += compare(&s[f], seen[f], pkts[i]);
		}
		assert_memory_equal(seen, next, sizeof(seen));
	}
	fprintf(stderr, "%u frames became %u packets\n", in, out);
	assert_true(out < in / 2);
	assert_true(counters.n[OFFLOAD_GRO_PACKETS] > 0);
	assert_true(counters.n[OFFLOAD_GRO_FRAMES] >= 2 * counters.n[OFFLOAD_GRO_PACKETS]);
}

/* Two frames that would be merged but for what `spoil` does to the second. */
static struct super pair;
static struct rte_mbuf *pkts2[2];

static uint16_t merge(void (*spoil)(struct rte_mbuf *m, uint8_t *ip, uint8_t *tcp), bool v6, bool df)
{
	uint8_t *d;

	pair = (struct super){ .inner6 = v6, .mss = 500, .path_mtu = 1500, .payload = 1000, .vsid = 5001, .flags = 0x10,
			       .tcp_opts_len = 12 };
	for (uint32_t i = 0; i < 2; i++) {
		pkts2[i] = received(&pair, i);
		pkt_meta(pkts2[i])->csum_state = CSUM_GOOD; /* so that nobody looks at what is spoilt */
		d = rte_pktmbuf_mtod(pkts2[i], uint8_t *);
		if (!v6 && !df)
			d[20] = 0;
	}
	if (spoil)
		spoil(pkts2[1], d + 14, d + (v6 ? 54 : 34));
	return offload_gro(pkts2, 2, TAKES, &counters);
}

static void free_pair(uint16_t n)
{
	rte_pktmbuf_free_bulk(pkts2, n);
}

#define SPOIL(name, what) \
	static void name(struct rte_mbuf *m, uint8_t *ip, uint8_t *tcp) \
	{ \
		what; \
	}
SPOIL(gap, tcp[7]++)
SPOIL(earlier, tcp[5]--)
SPOIL(other_ack, tcp[11]++)
SPOIL(other_option, tcp[25]++)
SPOIL(other_port, tcp[1]++)
SPOIL(syn, tcp[13] |= 0x02)
SPOIL(fin, tcp[13] |= 0x01)
SPOIL(rst, tcp[13] |= 0x04)
SPOIL(urg, tcp[13] |= 0x20)
SPOIL(ece, tcp[13] |= 0x40)
SPOIL(cwr, tcp[13] |= 0x80)
SPOIL(no_ack, tcp[13] = 0)
SPOIL(reserved_bits, tcp[12] |= 1)
SPOIL(class, ip[1] ^= 0x30)
SPOIL(hops, ip[ip[0] >> 4 == 4 ? 8 : 7]++)
SPOIL(address, ip[ip[0] >> 4 == 4 ? 15 : 23]++)
SPOIL(other_mac, ip[-3]++)
SPOIL(other_vsid, pkt_meta(m)->vsid_in++)
SPOIL(local, pkt_meta(m)->src = 3)
SPOIL(padded, pkt_meta(m)->pkt.flags |= PKT_F_PADDED)
SPOIL(large, pkt_meta(m)->gso_type = 1)
SPOIL(partial, pkt_meta(m)->csum_state = CSUM_PARTIAL)
SPOIL(bad_sum, (tcp[40]++, pkt_meta(m)->csum_state = CSUM_UNKNOWN))
SPOIL(shared, rte_mbuf_refcnt_set(m, 2))

static void test_what_is_not_merged(void **state)
{
	void (*const spoils[])(struct rte_mbuf *, uint8_t *, uint8_t *) = {
		gap, earlier, other_ack, other_option, other_port, syn, fin, rst, urg, ece, cwr, no_ack, reserved_bits,
		class, hops, address, other_mac, other_vsid, local, padded, large, partial, bad_sum, shared,
	};

	for (unsigned int v6 = 0; v6 < 2; v6++) {
		assert_int_equal(merge(NULL, v6, true), 1);
		free_pair(1);
		for (unsigned int i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++) {
			if (merge(spoils[i], v6, true) != 2)
				fail_msg("case %u was merged", i);
			assert_int_equal(pkt_meta(pkts2[0])->gso_type, 0);
			rte_mbuf_refcnt_set(pkts2[1], 1);
			free_pair(2);
		}
	}
}

SPOIL(id_gap, ip[5]++)
SPOIL(push, tcp[13] |= 0x08)
SPOIL(window, tcp[14] = 0x12)

static void test_what_is_merged(void **state)
{
	/* Without DF the IDs have to follow each other. */
	assert_int_equal(merge(NULL, false, false), 1);
	free_pair(1);
	assert_int_equal(merge(id_gap, false, false), 2);
	free_pair(2);
	assert_int_equal(merge(id_gap, false, true), 1);
	free_pair(1);
	/* PSH of the last, and its window, are the whole's. */
	assert_int_equal(merge(push, true, true), 1);
	assert_int_equal(rte_pktmbuf_mtod(pkts2[0], uint8_t *)[54 + 13], 0x18);
	free_pair(1);
	assert_int_equal(merge(window, true, true), 1);
	assert_int_equal(rte_pktmbuf_mtod(pkts2[0], uint8_t *)[54 + 14], 0x12);
	free_pair(1);
}

/* Nothing is appended behind PSH or a short segment, and nothing beyond 64 KiB. */
static void test_limits(void **state)
{
	struct rte_mbuf *pkts[BURST];
	struct super s = { .mss = 1000, .path_mtu = 1500, .payload = 1500, .vsid = 5001, .flags = 0x10, .seq = 1 };
	uint16_t n = 0;

	for (uint32_t i = 0; i < 4; i++) { /* 1000, 500, 1000, 500 */
		s.seq = 1 + i / 2 * 1500;
		pkts[n++] = received(&s, i % 2);
	}
	n = offload_gro(pkts, n, TAKES, &counters);
	assert_int_equal(n, 2);
	assert_int_equal(pkt_meta(pkts[0])->gso_size, 1000);
	rte_pktmbuf_free_bulk(pkts, n);

	/* A longer one begins anew: the segment size is the first one's. */
	s = (struct super){ .mss = 500, .path_mtu = 1500, .payload = 500, .vsid = 5001, .flags = 0x10, .seq = 1 };
	pkts[0] = received(&s, 0);
	s.mss = s.payload = 1000;
	s.seq = 501;
	pkts[1] = received(&s, 0);
	assert_int_equal(offload_gro(pkts, 2, TAKES, &counters), 2);
	rte_pktmbuf_free_bulk(pkts, 2);

	s = (struct super){ .mss = 1400, .path_mtu = 1500, .payload = 1400 * 100, .vsid = 5001, .flags = 0x10 };
	for (n = 0; n < 100; n++)
		pkts[n] = received(&s, n);
	n = offload_gro(pkts, n, TAKES, &counters);
	assert_int_equal(n, 3);
	assert_true(pkts[0]->pkt_len <= UINT16_MAX && pkts[0]->pkt_len > UINT16_MAX - 1400);
	rte_pktmbuf_free_bulk(pkts, n);
}

/* A family that the guest does not take would be cut again. */
static void test_family_not_taken(void **state)
{
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		struct super s = { .inner6 = v6, .mss = 1000, .path_mtu = 1500, .payload = 2000, .vsid = 5001,
				   .flags = 0x10 };
		struct rte_mbuf *pkts[2];

		for (uint32_t i = 0; i < 2; i++)
			pkts[i] = received(&s, i);
		assert_int_equal(offload_gro(pkts, 2, PORT_RX_CSUM | (v6 ? PORT_RX_TSO4 : PORT_RX_TSO6), &counters), 2);
		assert_int_equal(pkt_meta(pkts[0])->csum_state, CSUM_UNKNOWN); /* not even looked at */
		assert_int_equal(offload_gro(pkts, 2, PORT_RX_CSUM | (v6 ? PORT_RX_TSO6 : PORT_RX_TSO4), &counters), 1);
		rte_pktmbuf_free(pkts[0]);
	}
}

/* HNV row 67: a damaged frame is never part of anything and never called good; those around it are merged. */
static void test_row67_damaged(void **state)
{
	struct super s = { .mss = 1300, .path_mtu = 1500, .payload = 1300 * 10, .vsid = 5001, .flags = 0x10 };
	uint64_t seed = unit_seed();

	for (unsigned int round = 0; round < 500; round++) {
		uint32_t hit = (uint32_t)unit_below(&seed, 10), at;
		static uint8_t damaged[WIRE_MAX], got[WIRE_MAX];
		struct rte_mbuf *pkts[10];
		unsigned int found = 0;
		uint16_t n;

		s.inner6 = round & 1;
		for (uint32_t i = 0; i < 10; i++)
			pkts[i] = received(&s, i);
		at = super_headers(&s) + (uint32_t)unit_below(&seed, 1300);
		rte_pktmbuf_mtod(pkts[hit], uint8_t *)[at] ^= (uint8_t)(1 << unit_below(&seed, 8));
		super_read(pkts[hit], damaged, WIRE_MAX);
		n = offload_gro(pkts, 10, TAKES, &counters);
		assert_in_range(n, 2, 3);
		for (uint16_t i = 0; i < n; i++) {
			if (pkt_meta(pkts[i])->gso_type)
				continue;
			assert_int_equal(super_read(pkts[i], got, WIRE_MAX), super_headers(&s) + 1300);
			if (memcmp(got, damaged, super_headers(&s) + 1300) != 0)
				continue;
			found++;
			assert_int_equal(pkt_meta(pkts[i])->csum_state, CSUM_UNKNOWN);
		}
		assert_int_equal(found, 1);
		rte_pktmbuf_free_bulk(pkts, n);
	}
}

static void verdict(uint64_t flags, uint32_t ptype, uint32_t trust, bool v6, uint8_t want)
{
	struct super s = { .inner6 = v6, .mss = 100, .path_mtu = 1500, .payload = 100, .vsid = 5001, .flags = 0x10 };
	struct member_dev dev = { .offload = trust };
	struct rte_mbuf *m = received(&s, 0);

	m->ol_flags = flags;
	m->packet_type = ptype;
	offload_rx_verdict(&dev, m, &counters);
	assert_int_equal(pkt_meta(m)->csum_state, want);
	rte_pktmbuf_free(m);
}

/* HNV row 67: the NIC is believed if it saw what we see, and found both layers right. */
static void test_row67_verdict(void **state)
{
	const uint64_t good = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	const uint32_t type4 = RTE_PTYPE_TUNNEL_NVGRE | RTE_PTYPE_INNER_L3_IPV4 | RTE_PTYPE_INNER_L4_TCP;
	const uint32_t type6 = RTE_PTYPE_TUNNEL_NVGRE | RTE_PTYPE_INNER_L3_IPV6 | RTE_PTYPE_INNER_L4_TCP;
	const uint32_t trust = OFFLOAD_F_RX_CSUM;

	verdict(good, type4, trust, false, CSUM_GOOD);
	verdict(good, type6, trust, true, CSUM_GOOD);
	verdict(RTE_MBUF_F_RX_L4_CKSUM_GOOD, type6, trust, true, CSUM_GOOD); /* there is no IPv6 header checksum */
	verdict(good, type4, 0, false, CSUM_UNKNOWN);
	verdict(0, type4, trust, false, CSUM_UNKNOWN);
	verdict(RTE_MBUF_F_RX_IP_CKSUM_GOOD, type4, trust, false, CSUM_UNKNOWN);
	verdict(RTE_MBUF_F_RX_L4_CKSUM_GOOD, type4, trust, false, CSUM_UNKNOWN);
	verdict(good | RTE_MBUF_F_RX_OUTER_IP_CKSUM_BAD, type4, trust, false, CSUM_UNKNOWN);
	verdict(good | RTE_MBUF_F_RX_OUTER_L4_CKSUM_BAD, type4, trust, false, CSUM_UNKNOWN);
	verdict(RTE_MBUF_F_RX_IP_CKSUM_BAD | RTE_MBUF_F_RX_L4_CKSUM_GOOD, type4, trust, false, CSUM_UNKNOWN);
	verdict(RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_BAD, type4, trust, false, CSUM_UNKNOWN);
	/* The verdict on a packet that was not recognised is of the outer header. */
	verdict(good, RTE_PTYPE_L3_IPV4 | RTE_PTYPE_L4_TCP, trust, false, CSUM_UNKNOWN);
	verdict(good, type6, trust, false, CSUM_UNKNOWN);
	verdict(good, RTE_PTYPE_TUNNEL_NVGRE | RTE_PTYPE_INNER_L3_IPV4 | RTE_PTYPE_INNER_L4_UDP, trust, false,
		CSUM_UNKNOWN);
	verdict(good, RTE_PTYPE_TUNNEL_VXLAN | RTE_PTYPE_INNER_L3_IPV4 | RTE_PTYPE_INNER_L4_TCP, trust, false,
		CSUM_UNKNOWN);
}

static int setup(void **state)
{
	int r = test_eal_init();

	pool = r == 0 ? meta_pool_create("gro", 1023, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY) : NULL;
	return pool ? 0 : -1;
}

static int all_back(void **state)
{
	assert_int_equal(rte_mempool_avail_count(pool), 1023);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_identity, all_back),
		cmocka_unit_test_teardown(test_what_is_not_merged, all_back),
		cmocka_unit_test_teardown(test_what_is_merged, all_back),
		cmocka_unit_test_teardown(test_limits, all_back),
		cmocka_unit_test_teardown(test_family_not_taken, all_back),
		cmocka_unit_test_teardown(test_row67_damaged, all_back),
		cmocka_unit_test_teardown(test_row67_verdict, all_back),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
