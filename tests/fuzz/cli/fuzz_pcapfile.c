/* SPDX-License-Identifier: BSD-3-Clause */
/* Packet files: a frame that is found lies inside the file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/pcapfile.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1); /* so that reading behind its end is seen */
	const uint8_t *frame = NULL;
	size_t n = 0;
	int r;

	FUZZ_CHECK(copy, "no memory");
	if (size)
		memcpy(copy, data, size);
	r = pcapfile_first_frame(copy, size, &frame, &n);
	FUZZ_CHECK(r == 0 || r == -EINVAL || r == -ENODATA, "result %d", r);
	if (r == 0)
		FUZZ_CHECK(frame >= copy && n <= size && frame <= copy + size - n, "a frame outside the file");
	free(copy);
	return 0;
}
