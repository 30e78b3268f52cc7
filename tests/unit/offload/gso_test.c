/* SPDX-License-Identifier: BSD-3-Clause */
/* Segmentation and checksums in software, against frames built from the specification. */
#include <linux/virtio_net.h>

#include "unit.h"

#include "eal.h"
#include "frame.h"
#include "offload/offload.h"
#include "offload/offload_private.h"
#include "super.h"

#define ROUNDS 3000

static struct rte_mempool *pool;
static struct super now; /* whose frames are expected */
static uint32_t n_sent;
static struct offload_counters counters;

static void expect_next(void *arg, struct rte_mbuf **pkts, uint16_t n)
{
	static uint8_t want[WIRE_MAX], got[WIRE_MAX];

	for (uint16_t i = 0; i < n; i++) {
		uint32_t want_len = super_expect(&now, n_sent, true, want), len = super_read(pkts[i], got, WIRE_MAX);

		assert_true(n_sent < super_frames(&now));
		assert_int_equal(pkts[i]->pkt_len, len);
		assert_int_equal(len, want_len);
		assert_memory_equal(got, want, len);
		assert_int_equal(pkts[i]->ol_flags, 0);
		n_sent++;
		rte_pktmbuf_free(pkts[i]);
	}
}

static enum drop_reason transmit(const struct member_dev *dev, struct rte_mbuf *m)
{
	struct encap_template t;
	uint16_t id = now.outer_id;
	struct offload_out out = { .dev = dev, .flow_id = true, .pool = pool, .ip_id = &id, .emit = expect_next,
				   .counters = &counters };
	enum drop_reason why;

	super_template(&now, &t);
	n_sent = 0;
	why = offload_transmit(&out, m, &t);
	if (!why)
		assert_int_equal((uint16_t)(id - now.outer_id), (uint16_t)n_sent);
	return why;
}

/* HNV row 65 for the software's way; the emulated NIC is compared with the same frames. */
static void test_row65_segments(void **state)
{
	uint64_t seed = unit_seed();

	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct rte_mbuf *m;

		super_random(&now, &seed);
		m = super_mbuf(&now, pool, 1 + i % 2, &seed);
		assert_int_equal(transmit(NULL, m), DROP_NONE);
		assert_int_equal(n_sent, super_frames(&now));
	}
}

/* HNV row 66: TSO with a segment size of 1460 leaves with 1418 bytes of payload where the underlay has 1500. */
static void test_row66_lowered(void **state)
{
	uint64_t seed = 1;

	now = (struct super){ .mss = 1460, .path_mtu = 1500, .payload = 14180, .vsid = 5001, .flags = 0x18 };
	assert_int_equal(super_segment(&now), 1418);
	assert_int_equal(transmit(NULL, super_mbuf(&now, pool, 1, &seed)), DROP_NONE);
	assert_int_equal(n_sent, 10);
	now.outer6 = true;
	assert_int_equal(super_segment(&now), 1398);
	assert_int_equal(transmit(NULL, super_mbuf(&now, pool, 1, &seed)), DROP_NONE);
	assert_int_equal(n_sent, 11);
}

static void refuse(void (*spoil)(struct rte_mbuf *m, struct pkt_meta *meta), enum drop_reason want)
{
	uint64_t seed = 1;
	struct rte_mbuf *m;

	now = (struct super){ .mss = 1000, .path_mtu = 1500, .payload = 3000, .vsid = 5001, .flags = 0x10 };
	m = super_mbuf(&now, pool, 1, &seed);
	spoil(m, pkt_meta(m));
	assert_int_equal(transmit(NULL, m), want);
	assert_int_equal(n_sent, 0);
	rte_pktmbuf_free(m);
}

static void no_size(struct rte_mbuf *m, struct pkt_meta *meta)
{
	meta->gso_size = 0;
}

static void other_type(struct rte_mbuf *m, struct pkt_meta *meta)
{
	meta->gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
}

static void udp_type(struct rte_mbuf *m, struct pkt_meta *meta)
{
	meta->gso_type = VIRTIO_NET_HDR_GSO_UDP;
}

static void not_tcp(struct rte_mbuf *m, struct pkt_meta *meta)
{
	meta->pkt.proto = IPPROTO_UDP_;
}

static void short_tcp(struct rte_mbuf *m, struct pkt_meta *meta)
{
	rte_pktmbuf_mtod(m, uint8_t *)[meta->pkt.l4_off + 12] = 0x40;
}

static void cut_tcp(struct rte_mbuf *m, struct pkt_meta *meta)
{
	meta->pkt.l3_end = meta->pkt.l4_off + 19u;
}

static void fragment(struct rte_mbuf *m, struct pkt_meta *meta)
{
	meta->pkt.flags |= PKT_F_FRAGMENT;
}

static void sum_beyond(struct rte_mbuf *m, struct pkt_meta *meta)
{
	meta->gso_type = 0;
	meta->csum_start = (uint16_t)(meta->pkt.l3_end - 1);
}

static void sum_far_beyond(struct rte_mbuf *m, struct pkt_meta *meta)
{
	meta->gso_type = 0;
	meta->csum_start = meta->csum_offset = 0xffff;
}

static void test_refused(void **state)
{
	refuse(no_size, DROP_GUEST_META);
	refuse(other_type, DROP_GUEST_META);
	refuse(udp_type, DROP_GUEST_META);
	refuse(not_tcp, DROP_GUEST_META);
	refuse(short_tcp, DROP_GUEST_META);
	refuse(cut_tcp, DROP_GUEST_META);
	refuse(fragment, DROP_GUEST_META);
	refuse(sum_beyond, DROP_GUEST_META);
	refuse(sum_far_beyond, DROP_GUEST_META);
}

/* Without segmentation the checksum alone is finished, wherever the pieces begin. */
static void test_checksum(void **state)
{
	uint64_t seed = unit_seed();

	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct rte_mbuf *m;

		super_random(&now, &seed);
		now.path_mtu = 9000;
		now.payload %= 5000;
		now.mss = 9000;
		m = super_mbuf(&now, pool, 2, &seed);
		pkt_meta(m)->gso_type = 0;
		assert_int_equal(transmit(NULL, m), DROP_NONE);
		assert_int_equal(n_sent, 1);
	}
}

/* A packet that is cut for a guest or a plain member: no outer header, checksums left open if wanted. */
static void test_inner_only(void **state)
{
	static uint8_t want[WIRE_MAX], got[WIRE_MAX];
	uint64_t seed = unit_seed();
	struct rte_mbuf *pkts[7], *m;
	struct offload_gso g;
	uint32_t at;
	int n;

	for (unsigned int i = 0; i < 300; i++) {
		bool partial = i & 1;

		super_random(&now, &seed);
		m = super_mbuf(&now, pool, 2, &seed);
		assert_int_equal(offload_gso_begin(&g, m, (uint16_t)(now.path_mtu - (now.outer6 ? 62 : 42)), partial),
				 DROP_NONE);
		for (at = 0; (n = offload_gso_next(&g, pool, pkts, 7)) > 0; at += (uint32_t)n) {
			for (int k = 0; k < n; k++) {
				if (partial) {
					assert_int_equal(pkt_meta(pkts[k])->csum_state, CSUM_PARTIAL);
					assert_int_equal(offload_csum_finish(pkts[k]), DROP_NONE);
				}
				assert_int_equal(super_read(pkts[k], got, WIRE_MAX),
						 super_expect(&now, at + (uint32_t)k, false, want));
				assert_memory_equal(got, want, pkts[k]->pkt_len);
				if (!now.n_ext)
					assert_true(offload_csum_verify(pkts[k]));
				rte_pktmbuf_free(pkts[k]);
			}
		}
		assert_int_equal(n, 0);
		assert_int_equal(at, super_frames(&now));
		rte_pktmbuf_free(m);
	}
}

/* Any wrong byte is seen. */
static void test_verify(void **state)
{
	uint64_t seed = unit_seed();
	struct rte_mbuf *m;

	now = (struct super){ .mss = 1000, .path_mtu = 1500, .payload = 333, .vsid = 5001, .flags = 0x10 };
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		now.inner6 = v6;
		m = super_mbuf(&now, pool, 2, &seed);
		assert_int_equal(offload_csum_finish(m), DROP_NONE);
		assert_true(offload_csum_verify(m));
		for (unsigned int i = 0; i < 200; i++) {
			uint32_t first = v6 ? 22 : 14, at = first + (uint32_t)unit_below(&seed, m->data_len - first);
			uint8_t *p = rte_pktmbuf_mtod_offset(m, uint8_t *, at), bit = (uint8_t)(1 << i % 8);

			*p ^= bit;
			assert_false(offload_csum_verify(m));
			*p ^= bit;
		}
		assert_true(offload_csum_verify(m));
		rte_pktmbuf_free(m);
	}
}

/* The vector sums agree with plain C for every length and place, and copy what they sum. */
static void test_sums(void **state)
{
	static uint8_t src[4096], dst[4096];
	uint64_t seed = unit_seed();

	for (unsigned int i = 0; i < sizeof(src); i++)
		src[i] = unit_below(&seed, 3) ? 0xff : (uint8_t)unit_random(&seed);
	for (unsigned int i = 0; i < 4000; i++) {
		uint32_t len = i < 300 ? i : (uint32_t)unit_below(&seed, 3000), off = (uint32_t)unit_below(&seed, 64);
		uint32_t want = sum_fold(sum_bytes_c(src + off, len));

		assert_int_equal(sum_fold(sum_bytes(src + off, len)), want);
		memset(dst, 0x55, sizeof(dst));
		assert_int_equal(sum_fold(sum_copy(dst + 1, src + off, len)), want);
		assert_memory_equal(dst + 1, src + off, len);
		assert_int_equal(dst[0], 0x55);
		assert_int_equal(dst[1 + len], 0x55);
		assert_int_equal((uint16_t)~want, csum_fold(csum_partial(src + off, len, 0)));
	}
}

/* An empty pool in the middle: what was made stays sent, the rest is a named drop, nothing leaks. */
static void test_no_buffers(void **state)
{
	uint64_t seed = 1;
	struct rte_mempool *small = meta_pool_create("small", 40, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	struct rte_mbuf *kept[40], *m, *pkts[32];
	struct offload_gso g;

	assert_non_null(small);
	now = (struct super){ .mss = 1000, .path_mtu = 1500, .payload = 60000, .vsid = 5001, .flags = 0x18 };
	m = super_mbuf(&now, pool, 1, &seed);
	assert_int_equal(offload_gso_begin(&g, m, 0, false), DROP_NONE);
	assert_int_equal(offload_gso_next(&g, small, pkts, 32), 32);
	assert_int_equal(offload_gso_next(&g, small, kept, 32), -ENOMEM);
	rte_pktmbuf_free_bulk(pkts, 32);
	assert_int_equal(rte_mempool_avail_count(small), 40);
	rte_pktmbuf_free(m);
	rte_mempool_free(small);
}

static int setup(void **state)
{
	int r = test_eal_init();

	pool = r == 0 ? meta_pool_create("gso", 1023, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY) : NULL;
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
		cmocka_unit_test_teardown(test_row65_segments, all_back),
		cmocka_unit_test_teardown(test_row66_lowered, all_back),
		cmocka_unit_test_teardown(test_refused, all_back),
		cmocka_unit_test_teardown(test_checksum, all_back),
		cmocka_unit_test_teardown(test_inner_only, all_back),
		cmocka_unit_test_teardown(test_verify, all_back),
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_no_buffers),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
