/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NVGRE receive validation. The first byte of an input chooses circumstances (bit 0: PAs in a VLAN, 1: the
 * NIC saw a good checksum, 2: inner VID 0 accepted, 3: make the IPv4 checksum right first), the rest is the
 * frame.
 */
#include <stdbool.h>
#include <string.h>

#include "fuzz.h"
#include "policy/nvgre_private.h"
#include "policy/policy.h"
#include "unit/policy/nvgre_pas.h"

static bool same(const struct encap_rx *a, const struct encap_rx *b)
{
	return a->vsid == b->vsid && ip_equal(&a->outer_src, &b->outer_src) && a->inner_off == b->inner_off &&
	       a->inner_len == b->inner_len && a->inner_tag == b->inner_tag;
}

static void check(const uint8_t *frame, uint32_t len, uint32_t total, bool csum_good,
		  const struct encap_local *l)
{
	uint8_t *data = malloc(len ? len : 1);
	unsigned int hint = 1, slow_pa = 99;
	struct encap_rx rx = { 0 }, slow, fast;
	enum drop_reason why, want;

	FUZZ_CHECK(data, "no memory");
	if (len)
		memcpy(data, frame, len);
	why = nvgre_ops.parse(data, len, total, csum_good, l, N_LOCALS, &hint, &rx);
	want = nvgre_parse_slow(data, len, total, csum_good, l, N_LOCALS, &slow_pa, &slow);
	FUZZ_CHECK(why == want, "%s, slow path %s", drop_name(why), drop_name(want));
	for (unsigned int i = 0; i < N_LOCALS; i++) {
		if (nvgre_parse_fast(data, len, total, csum_good, &l[i], &fast))
			FUZZ_CHECK(!why && slow_pa == i && same(&fast, &slow),
				   "accepted by the fast path only");
	}
	free(data);
	if (why)
		return;
	FUZZ_CHECK(hint == slow_pa && same(&rx, &slow), "paths differ");
	FUZZ_CHECK(vsid_is_valid(rx.vsid), "VSID %u", rx.vsid);
	FUZZ_CHECK(rx.inner_len >= ETH_HLEN_ && (uint32_t)rx.inner_off + rx.inner_len <= total &&
			   rx.inner_off + 14u <= len,
		   "inner frame %u + %u of %u", rx.inner_off, rx.inner_len, total);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t len = size < 4096 ? (uint32_t)size : 4096;
	struct encap_local l[N_LOCALS];
	uint8_t frame[4096];
	bool csum_good;

	if (len < 1)
		return 0;
	nvgre_locals(data[0] & 1, l);
	csum_good = data[0] & 2;
	nvgre_set_accept_vid0(data[0] & 4);
	memcpy(frame, data + 1, len - 1);
	len--;
	if (data[0] & 8 && len >= 38) {
		uint8_t *ip = frame + (load_be16(frame + 12) == ETHERTYPE_VLAN_ ? 18 : 14);
		uint32_t hlen = (ip[0] & 0xfu) * 4;
		uint16_t sum;

		if (ip + hlen <= frame + len && hlen >= 20) {
			memset(ip + 10, 0, 2);
			sum = csum_fold(csum_partial(ip, hlen, 0));
			memcpy(ip + 10, &sum, 2);
		}
	}
	check(frame, len, len, csum_good, l);
	for (uint32_t cut = len; cut; cut /= 2) {
		check(frame, cut - 1, len, csum_good, l);
		check(frame, cut - 1, cut - 1, csum_good, l);
	}
	return 0;
}
