/* SPDX-License-Identifier: BSD-3-Clause */
/* Parser and flow hash. An input is a frame; it is also taken as the first segment of a longer one. */
#include <string.h>

#include "fuzz.h"
#include "pkt_sound.h"

static void check(const uint8_t *frame, uint32_t len, uint32_t total)
{
	uint8_t *exact = calloc(1, len ? len : 1);
	struct pkt_info info;
	enum drop_reason why;
	const char *problem;

	FUZZ_CHECK(exact, "no memory");
	if (len)
		memcpy(exact, frame, len);
	problem = pkt_sound(exact, len, total, &why, &info);
	free(exact);
	FUZZ_CHECK(!problem, "%u of %u bytes: %s", len, total, problem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t len = size < 70000 ? (uint32_t)size : 70000;

	check(data, len, len);
	check(data, len, len + 1);
	check(data, len < 65549 ? len : 65549, 65549); /* the largest IP packet */
	for (uint32_t cut = len; cut; cut /= 2)
		check(data, cut - 1, len);
	return 0;
}
