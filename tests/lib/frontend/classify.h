/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets counted by some of their bytes. Single threaded. */
#ifndef TESTS_LIB_FRONTEND_CLASSIFY_H
#define TESTS_LIB_FRONTEND_CLASSIFY_H

#include <stdbool.h>
#include <stdint.h>

#define CLASSIFY_MAX_KEY 16

struct class_entry {
	uint8_t key[CLASSIFY_MAX_KEY];
	uint64_t packets; /* 0: free */
};

struct classes {
	unsigned int key_len;
	uint32_t mask;
	uint32_t n;	/* classes */
	uint64_t other; /* packets that found no room for a new class */
	struct class_entry *entry;
};

/* Room for about 3/4 of size (a power of two) classes. 0 or -ENOMEM. */
int classes_init(struct classes *c, unsigned int key_len, uint32_t size);
void classes_free(struct classes *c);
void classes_reset(struct classes *c);
void classes_add(struct classes *c, const uint8_t *key);

#endif
