/* SPDX-License-Identifier: BSD-3-Clause */
/* REDIRECT and UNREACHABLE of MS-NVGREE: bytes as the specification has them, and any bytes. */
#include "../unit.h"

#include "base/pkt_redirect.h"

static const struct ip_addr a4 = { 4, { 192, 0, 2, 1 } }, b4 = { 4, { 192, 0, 2, 2 } };
static const struct ip_addr a6 = { 6, { 0x20, 1, 0xd, 0xb8, [15] = 1 } }, b6 = { 6, { 0x20, 1, 0xd, 0xb8, [15] = 2 } };

/* A packet from its outer IP header on: 192.0.2.9 to 192.0.2.1, VSID 5001, inner MACs and some bytes. */
static const uint8_t packet[70] = {
	0x45, 0, 0, 70, 0, 0, 0x40, 0, 64, 47, 0, 0, 192, 0, 2, 9, 192, 0, 2, 1, 0x20, 0, 0x65, 0x58, 0, 0x13, 0x89, 7,
	2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45,
};

static struct redirect_msg message(enum redirect_kind kind, bool v6)
{
	return (struct redirect_msg){ .kind = (uint8_t)kind, .from = v6 ? a6 : a4, .target = v6 ? b6 : b4,
				      .to_mac = { { 2, 1, 1, 1, 1, 1 } }, .from_mac = { { 2, 2, 2, 2, 2, 2 } } };
}

static void bytes_of_the_specification(void **state)
{
	static const uint8_t types[2][2][2] = { { { 5, 10 }, { 137, 1 } }, { { 3, 10 }, { 1, 1 } } };
	uint8_t f[REDIRECT_MAX];

	for (unsigned int kind = 0; kind < 2; kind++) {
		for (unsigned int v6 = 0; v6 < 2; v6++) {
			struct redirect_msg m = message(REDIRECT_MOVED + kind, v6);
			uint32_t off = v6 ? 54 : 34, n = redirect_write(&m, packet, sizeof(packet), f);

			assert_int_equal(n, off + 8 + sizeof(packet));
			assert_memory_equal(f, &m.to_mac, 6);
			assert_memory_equal(f + 6, &m.from_mac, 6);
			assert_int_equal(load_be16(f + 12), v6 ? 0x86dd : 0x0800);
			assert_int_equal(f[v6 ? 20 : 23], v6 ? 58 : 1);
			assert_memory_equal(f + (v6 ? 22 : 26), m.from.b, v6 ? 16 : 4);
			assert_memory_equal(f + (v6 ? 38 : 30), m.target.b, v6 ? 16 : 4);
			assert_memory_equal(f + off, types[kind][v6], 2);
			assert_memory_equal(f + off + 4, kind || v6 ? "\0\0\0\0" : "\xc0\0\2\2", 4);
			assert_memory_equal(f + off + 8, packet, sizeof(packet));
			if (!v6)
				assert_int_equal(csum_fold(csum_partial(f + 14, 20, 0)), 0);
		}
	}
}

static void read_back(void **state)
{
	static const struct mac dst = { { 2, 0, 0, 0, 0, 1 } }, src = { { 2, 0, 0, 0, 0, 2 } };
	uint8_t f[REDIRECT_MAX], long_one[2000] = { 0 };
	struct redirect_msg m, r;
	struct ip_addr from;
	uint32_t n;

	memcpy(long_one, packet, sizeof(packet));
	for (unsigned int i = 0; i < 8; i++) {
		m = message(REDIRECT_MOVED + i % 2, i & 2);
		n = redirect_write(&m, i & 4 ? long_one : packet, i & 4 ? sizeof(long_one) : sizeof(packet), f);
		assert_in_range(n, 1, REDIRECT_MAX);
		assert_int_equal(redirect_kind(f, n, &from), m.kind);
		assert_true(ip_equal(&from, &m.from));
		assert_int_equal(redirect_read(f, n, &r), DROP_NONE);
		assert_int_equal(r.kind, m.kind);
		assert_true(ip_equal(&r.from, &m.from) && ip_equal(&r.target, &m.target));
		assert_true(mac_equal(&r.dst, &dst) && mac_equal(&r.src, &src));
		assert_true(mac_equal(&r.to_mac, &m.to_mac) && mac_equal(&r.from_mac, &m.from_mac));
		assert_int_equal(r.vsid, 5001);
		assert_memory_equal(r.outer_src.b, packet + 12, 4);
		assert_true(ip_equal(&r.outer_dst, &a4));
	}
	m = message(REDIRECT_MOVED, false);
	m.target = b6;
	assert_int_equal(redirect_write(&m, packet, sizeof(packet), f), 0);
}

/* Sum of an ICMP message that was changed. */
static void sum_again(uint8_t *f, uint32_t n)
{
	uint16_t sum;

	store_be16(f + 16, (uint16_t)(n - 14));
	memset(f + 36, 0, 2);
	sum = csum_fold(csum_partial(f + 34, n - 34, 0));
	memcpy(f + 36, &sum, 2);
}

/* The quote may begin with GRE, and may follow four bytes of ICMP header, as the specification shows it. */
static void other_readings(void **state)
{
	struct redirect_msg m = message(REDIRECT_MOVED, false), r;
	uint8_t f[REDIRECT_MAX];
	uint32_t n = redirect_write(&m, packet + 20, sizeof(packet) - 20, f);

	assert_int_equal(redirect_read(f, n, &r), DROP_NONE);
	assert_int_equal(r.vsid, 5001);
	assert_false(ip_is_set(&r.outer_src));
	n = redirect_write(&m, packet, sizeof(packet), f);
	memmove(f + 38, f + 42, n - 42);
	sum_again(f, n - 4);
	assert_int_equal(redirect_read(f, n - 4, &r), DROP_NONE);
	assert_int_equal(r.vsid, 5001);
	assert_memory_equal(r.outer_src.b, packet + 12, 4);
}

static void cut_and_damaged(void **state)
{
	struct redirect_msg m = message(REDIRECT_MOVED, false), r;
	uint8_t f[REDIRECT_MAX];
	uint32_t n = redirect_write(&m, packet, sizeof(packet), f);

	for (uint32_t len = 0; len < n; len++) { /* on the heap: nothing behind it is read */
		uint8_t *part = malloc(len ? len : 1);
		enum drop_reason why;

		assert_non_null(part);
		memcpy(part, f, len);
		why = redirect_read(part, len, &r);
		assert_int_equal(why, len < 38 ? DROP_NONE : DROP_REDIRECT_BAD);
		assert_int_equal(r.kind, REDIRECT_NONE);
		free(part);
	}
	for (uint32_t i = 36; i < n; i++) {
		f[i] ^= 4;
		assert_int_equal(redirect_read(f, n, &r), DROP_REDIRECT_BAD);
		f[i] ^= 4;
	}
	f[20] |= 0x20; /* a fragment is none of ours */
	assert_int_equal(redirect_read(f, n, &r), DROP_NONE);
	assert_int_equal(r.kind, REDIRECT_NONE);
	/* too short a quote */
	n = redirect_write(&m, packet, 41, f);
	assert_int_equal(redirect_read(f, n, &r), DROP_REDIRECT_BAD);
	n = redirect_write(&m, packet, 42, f);
	assert_int_equal(redirect_read(f, n, &r), DROP_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_of_the_specification),
		cmocka_unit_test(read_back),
		cmocka_unit_test(other_readings),
		cmocka_unit_test(cut_and_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
