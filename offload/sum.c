/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sums in plain C and in vectors. 32-bit words are added into 64-bit lanes, so that no carry is lost for any length a
 * packet can have.
 */
#include <immintrin.h>
#include <rte_mbuf.h>

#include "base/pkt.h"
#include "offload/offload_private.h"

static inline uint64_t tail_sum(const uint8_t *p, uint32_t len, uint64_t s)
{
	uint32_t w;
	uint16_t h;

	for (; len >= 4; len -= 4, p += 4) {
		memcpy(&w, p, 4);
		s += w;
	}
	if (len & 2) {
		memcpy(&h, p, 2);
		s += h;
		p += 2;
	}
	return len & 1 ? s + *p : s; /* little endian: the missing second byte is the upper one */
}

uint64_t sum_bytes_c(const uint8_t *p, uint32_t len)
{
	return tail_sum(p, len, 0);
}

static inline uint64_t lanes2(__m128i v)
{
	return (uint64_t)_mm_cvtsi128_si64(v) + (uint64_t)_mm_extract_epi64(v, 1);
}

static inline __attribute__((always_inline)) uint64_t sse_run(bool copy, uint8_t *dst, const uint8_t *p, uint32_t len)
{
	const __m128i low = _mm_set1_epi64x(0xffffffff);
	__m128i a = _mm_setzero_si128(), b = a;

	for (; len >= 16; len -= 16, p += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);

		if (copy) {
			_mm_storeu_si128((__m128i *)(void *)dst, v);
			dst += 16;
		}
		a = _mm_add_epi64(a, _mm_and_si128(v, low));
		b = _mm_add_epi64(b, _mm_srli_epi64(v, 32));
	}
	if (copy)
		memcpy(dst, p, len);
	return tail_sum(p, len, lanes2(_mm_add_epi64(a, b)));
}

static uint64_t sum_bytes_sse(const uint8_t *p, uint32_t len)
{
	return sse_run(false, NULL, p, len);
}

static uint64_t sum_copy_sse(uint8_t *dst, const uint8_t *src, uint32_t len)
{
	return sse_run(true, dst, src, len);
}

/* Tuned for the first CPUs that have it: for the program's own baseline gcc halves every load and store. */
#define AVX2 __attribute__((target("avx2,tune=haswell")))

/* From [n] on: 32 - n bytes that do not count, and n that do. */
static const uint8_t counted[64] = {
	[32] = 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
	255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
};

AVX2 static inline __attribute__((always_inline)) uint64_t avx2_run(bool copy, uint8_t *dst, const uint8_t *p,
								     uint32_t len)
{
	const __m256i low = _mm256_set1_epi64x(0xffffffff);
	__m256i a = _mm256_setzero_si256(), b = a, c = a, d = a, v, w;
	uint64_t sum = 0;

	if (len < 32)
		return sse_run(copy, dst, p, len);
	for (; len >= 64; len -= 64, p += 64) {
		v = _mm256_loadu_si256((const __m256i *)(const void *)p);
		w = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32));
		if (copy) {
			_mm256_storeu_si256((__m256i *)(void *)dst, v);
			_mm256_storeu_si256((__m256i *)(void *)(dst + 32), w);
			dst += 64;
		}
		a = _mm256_add_epi64(a, _mm256_and_si256(v, low));
		b = _mm256_add_epi64(b, _mm256_srli_epi64(v, 32));
		c = _mm256_add_epi64(c, _mm256_and_si256(w, low));
		d = _mm256_add_epi64(d, _mm256_srli_epi64(w, 32));
	}
	if (len >= 32) {
		v = _mm256_loadu_si256((const __m256i *)(const void *)p);
		if (copy) {
			_mm256_storeu_si256((__m256i *)(void *)dst, v);
			dst += 32;
		}
		a = _mm256_add_epi64(a, _mm256_and_si256(v, low));
		b = _mm256_add_epi64(b, _mm256_srli_epi64(v, 32));
		len -= 32;
		p += 32;
	}
	if (len & 1) { /* little endian: the missing second byte is the upper one */
		len--;
		sum = p[len];
		if (copy)
			dst[len] = p[len];
	}
	if (len) { /* the last 32 bytes, without those that are done */
		v = _mm256_loadu_si256((const __m256i *)(const void *)(p + len - 32));
		if (copy)
			_mm256_storeu_si256((__m256i *)(void *)(dst + len - 32), v);
		v = _mm256_and_si256(v, _mm256_loadu_si256((const __m256i *)(const void *)(counted + len)));
		c = _mm256_add_epi64(c, _mm256_and_si256(v, low));
		d = _mm256_add_epi64(d, _mm256_srli_epi64(v, 32));
	}
	a = _mm256_add_epi64(_mm256_add_epi64(a, b), _mm256_add_epi64(c, d));
	return sum + lanes2(_mm256_castsi256_si128(a)) + lanes2(_mm256_extracti128_si256(a, 1));
}

AVX2 static uint64_t sum_bytes_avx2(const uint8_t *p, uint32_t len)
{
	return avx2_run(false, NULL, p, len);
}

AVX2 static uint64_t sum_copy_avx2(uint8_t *dst, const uint8_t *src, uint32_t len)
{
	return avx2_run(true, dst, src, len);
}

uint64_t (*sum_bytes)(const uint8_t *p, uint32_t len) = sum_bytes_sse;
uint64_t (*sum_copy)(uint8_t *dst, const uint8_t *src, uint32_t len) = sum_copy_sse;

__attribute__((constructor)) static void choose(void)
{
	if (!__builtin_cpu_supports("avx2"))
		return;
	sum_bytes = sum_bytes_avx2;
	sum_copy = sum_copy_avx2;
}

uint32_t sum_chain(const struct rte_mbuf *m, uint32_t off, uint32_t len)
{
	uint64_t sum = 0;
	uint32_t done = 0;

	for (; off >= m->data_len && m->next; m = m->next)
		off -= m->data_len;
	for (; m && done < len; m = m->next, off = 0) {
		uint32_t n = m->data_len - off < len - done ? m->data_len - off : len - done;
		uint64_t part = sum_bytes(rte_pktmbuf_mtod_offset(m, const uint8_t *, off), n);

		sum += done & 1 ? sum_odd(sum_fold(part)) : part;
		done += n;
	}
	return sum_fold(sum);
}

uint64_t sum_pseudo(const uint8_t *ip, bool v6, uint8_t proto, uint32_t len)
{
	uint64_t s = sum_be32(len) + sum_be16(proto);

	return s + (v6 ? sum_bytes_c(ip + 8, 32) : sum_bytes_c(ip + 12, 8));
}
