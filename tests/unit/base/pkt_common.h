/* SPDX-License-Identifier: BSD-3-Clause */
/* Parsing in the tests of the parser: every frame from memory of its exact size, every result checked for
 * soundness. */
#ifndef TESTS_UNIT_BASE_PKT_COMMON_H
#define TESTS_UNIT_BASE_PKT_COMMON_H

#include "frame.h"
#include "pkt_sound.h"
#include "unit.h"

#define MAC_A FRAME_MAC(2, 0, 0, 0, 0, 0x0a)
#define MAC_B FRAME_MAC(2, 0, 0, 0, 0, 0x0b)
#define IP_A  FRAME_IPV4(10, 0, 0, 1)
#define IP_B  FRAME_IPV4(10, 0, 0, 2)

static struct pkt_info info; /* of the last parse */

static inline enum drop_reason parse_split(const void *frame, size_t len, size_t total)
{
	uint8_t *exact = unit_exact_copy(frame, len);
	enum drop_reason why;
	const char *problem = pkt_sound(exact, (uint32_t)len, (uint32_t)total, &why, &info);

	free(exact);
	if (problem)
		fail_msg("frame of %zu of %zu bytes: %s", len, total, problem);
	return why;
}

static inline enum drop_reason parse(const void *frame, size_t len)
{
	return parse_split(frame, len, len);
}

/* Finish and parse a built frame; then all its beginnings, as whole frames and as first segments. */
static inline enum drop_reason parse_frame(struct frame *f)
{
	ssize_t len = frame_finish(f);
	enum drop_reason why;

	assert_true(len > 0);
	for (ssize_t cut = 0; cut < len; cut++) {
		parse(f->data, (size_t)cut);
		parse_split(f->data, (size_t)cut, (size_t)len);
	}
	why = parse(f->data, (size_t)len);
	return why;
}

#endif
