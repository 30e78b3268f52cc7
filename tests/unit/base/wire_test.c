/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/meta.h"
#include "base/str.h"
#include "base/wire.h"
#include "eal.h"
#include "frame.h"
#include "unit.h"

static void loads_and_stores_are_big_endian(void **state)
{
	uint8_t b[8] = { 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0 };

	assert_int_equal(load_be16(b + 1), 0x3456);
	assert_int_equal(load_be32(b + 1), 0x3456789a);
	store_be16(b + 3, 0x0102);
	store_be32(b, 0xa1a2a3a4);
	assert_memory_equal(b, "\xa1\xa2\xa3\xa4\x02\xbc\xde\xf0", 8);
	assert_int_equal(mac_load("\x01\x00\x00\x00\x00\x02"), UINT64_C(0x020000000001));
	mac_store(b, UINT64_C(0x060504030201));
	assert_memory_equal(b, "\1\2\3\4\5\6", 6);
	assert_true(mac_is_group("\xff\xff\xff\xff\xff\xff"));
	assert_false(mac_is_group("\x02\0\0\0\0\1"));
}

static void vsid_range(void **state)
{
	assert_false(vsid_is_valid(0));
	assert_false(vsid_is_valid(4095));
	assert_true(vsid_is_valid(4096));
	assert_true(vsid_is_valid(16777214));
	assert_false(vsid_is_valid(16777215));
}

static bool in(const char *addr, const char *prefix)
{
	struct ip_prefix p;
	struct ip_addr a;

	assert_int_equal(parse_ip(addr, &a), 0);
	assert_int_equal(parse_prefix(prefix, &p), 0);
	return ip_in_prefix(&a, &p);
}

static void membership_in_prefixes(void **state)
{
	static const struct ip_prefix unset;
	struct ip_addr a;

	assert_true(in("10.0.0.1", "10.0.0.0/24"));
	assert_true(in("10.0.0.1", "10.0.0.200/24"));
	assert_false(in("10.0.1.1", "10.0.0.0/24"));
	assert_true(in("10.0.1.1", "10.0.0.0/23"));
	assert_false(in("10.0.2.1", "10.0.0.0/23"));
	assert_true(in("1.2.3.4", "0.0.0.0/0"));
	assert_true(in("1.2.3.4", "1.2.3.4/32"));
	assert_false(in("1.2.3.5", "1.2.3.4/32"));
	assert_false(in("::1", "0.0.0.0/0"));
	assert_true(in("2001:db8::1", "2001:db8::/33"));
	assert_false(in("2001:db8:8000::1", "2001:db8::/33"));
	assert_true(in("::1", "::1/128"));
	assert_int_equal(parse_ip("::1", &a), 0);
	assert_false(ip_in_prefix(&a, &unset));
	memset(&a, 0, sizeof(a));
	assert_false(ip_in_prefix(&a, &unset));
}

/* Against the frame library's independent sum, all lengths and alignments. */
static void checksum_equals_the_plain_definition(void **state)
{
	uint64_t seed = unit_seed();
	uint8_t buf[300];
	unsigned int i, len;

	for (i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(unit_random(&seed) | (i % 3 ? 0 : 0xff));
	for (i = 0; i < 4; i++) {
		for (len = 0; len < 290; len++) {
			uint8_t *exact = unit_exact_copy(buf + i, len), got[2];
			uint16_t sum = csum_fold(csum_partial(exact, len, 0)), halves;

			memcpy(got, &sum, 2);
			assert_int_equal(load_be16(got), frame_csum(buf + i, len, 0));
			/* in two parts, the first even */
			halves = csum_fold(csum_partial(exact + (len & ~3u) / 2, len - (len & ~3u) / 2,
							csum_partial(exact, (len & ~3u) / 2, 0)));
			assert_int_equal(sum, halves);
			free(exact);
		}
	}
	memset(buf, 0xff, sizeof(buf));
	/* 2^33 - 1: the carry makes a carry */
	assert_int_equal(csum_partial(buf, 8, 1), 1);
	assert_int_equal(csum_fold(csum_partial(buf, 300, 0xffffffff)), 0);
}

static void packets_carry_metadata_in_one_aligned_line(void **state)
{
	struct rte_mempool *pool =
		meta_pool_create("wire_test", 63, 0, RTE_PKTMBUF_HEADROOM + 256, SOCKET_ID_ANY);
	struct rte_mbuf *m;

	assert_non_null(pool);
	m = rte_pktmbuf_alloc(pool);
	assert_non_null(m);
	assert_int_equal(m->priv_size, sizeof(struct pkt_meta));
	assert_int_equal((uintptr_t)pkt_meta(m) % 64, 0);
	assert_ptr_equal(pkt_meta(m), m + 1);
	assert_int_equal(rte_pktmbuf_headroom(m), 128);
	assert_int_equal(rte_pktmbuf_tailroom(m), 256);
	meta_drop(pkt_meta(m), DROP_TTL);
	assert_int_equal(pkt_meta(m)->verdict, VERDICT_DROP);
	assert_int_equal(pkt_meta(m)->drop, DROP_TTL);
	rte_pktmbuf_free(m);
	rte_mempool_free(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loads_and_stores_are_big_endian),
		cmocka_unit_test(vsid_range),
		cmocka_unit_test(membership_in_prefixes),
		cmocka_unit_test(checksum_equals_the_plain_definition),
		cmocka_unit_test(packets_carry_metadata_in_one_aligned_line),
	};

	return cmocka_run_group_tests(tests, test_eal_setup, test_eal_teardown);
}
