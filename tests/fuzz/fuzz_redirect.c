/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * REDIRECT and UNREACHABLE, in a buffer of exactly the frame's length. The first byte of an input: bit 0: the bytes are
 * a quote, which becomes a message (bit 1: over IPv6, bit 2: UNREACHABLE); bit 3: the ICMPv4 checksum is made right.
 */
#include <stdlib.h>

#include "base/pkt_redirect.h"
#include "fuzz.h"

static uint8_t *as_message(const uint8_t *quote, uint32_t len, uint8_t how, uint32_t *ret_len)
{
	struct redirect_msg m = { .kind = how & 4 ? REDIRECT_UNKNOWN : REDIRECT_MOVED };
	uint8_t f[REDIRECT_MAX], *d;

	m.from = m.target = (struct ip_addr){ .family = how & 2 ? 6 : 4, .b = { 1 } };
	*ret_len = redirect_write(&m, quote, len, f);
	FUZZ_CHECK(*ret_len && *ret_len <= sizeof(f), "%u bytes", *ret_len);
	d = malloc(*ret_len);
	FUZZ_CHECK(d, "no memory");
	memcpy(d, f, *ret_len);
	return d;
}

static void repair(uint8_t *d, uint32_t len)
{
	uint32_t off, size;
	uint16_t sum;

	if (len < 42 || load_be16(d + 12) != ETHERTYPE_IPV4_)
		return;
	off = 14 + (d[14] & 15u) * 4;
	size = load_be16(d + 16) - (off - 14);
	if (off + 8 > len || size < 8 || size > len - off)
		return;
	memset(d + off + 2, 0, 2);
	sum = csum_fold(csum_partial(d + off, size, 0));
	memcpy(d + off + 2, &sum, 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t len = size < 2048 ? (uint32_t)size : 2048;
	enum redirect_kind kind;
	struct redirect_msg msg;
	enum drop_reason why;
	struct ip_addr from;
	uint8_t *d;

	if (len < 2)
		return 0;
	if (data[0] & 1) {
		d = as_message(data + 1, len - 1, data[0], &len);
	} else {
		d = malloc(--len);
		FUZZ_CHECK(d, "no memory");
		memcpy(d, data + 1, len);
		if (data[0] & 8)
			repair(d, len);
	}
	kind = redirect_kind(d, len, &from);
	why = redirect_read(d, len, &msg);
	FUZZ_CHECK(why == DROP_NONE || (why == DROP_REDIRECT_BAD && kind), "drop %u, kind %u", why, kind);
	FUZZ_CHECK(why || msg.kind == kind, "kinds %u and %u", msg.kind, kind);
	FUZZ_CHECK(why || !kind || (vsid_is_valid(msg.vsid) && msg.from.family == msg.target.family &&
				    ip_equal(&msg.from, &from)),
		   "VSID %u, families %u and %u", msg.vsid, msg.from.family, msg.target.family);
	FUZZ_CHECK(!why || !msg.kind, "a message that was refused");
	free(d);
	return 0;
}
