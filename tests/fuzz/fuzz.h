/* SPDX-License-Identifier: BSD-3-Clause */
/* What a fuzz target implements (libFuzzer's interface), and how it complains. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Feed one input; `data` has exactly `size` bytes. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Optional: once, before the first input. */
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

/* Not assert(): it has to work in every build. */
#define FUZZ_CHECK(ok, ...)                                              \
	do {                                                             \
		if (!(ok)) {                                             \
			fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);  \
			fprintf(stderr, __VA_ARGS__);                    \
			fputc('\n', stderr);                             \
			abort();                                         \
		}                                                        \
	} while (0)

#endif
