/* SPDX-License-Identifier: BSD-3-Clause */
/* Object ids to numbers, for the control side. The strings stay with their owner. Main thread. */
#ifndef POLICY_NAMES_H
#define POLICY_NAMES_H

#include <stdint.h>

#include "policy/mem.h"

#define NAMES_NONE 0xffffffffu

struct names {
	const char *(*id_of)(const void *owner, uint32_t index);
	const void *owner;
	uint32_t mask, count;
	uint32_t *slots; /* index + 1, 0: empty */
	struct mem mem;
};

/* @param max how many ids at once. @param id_of the id of a number in use. @return 0, -ENOMEM. */
int names_init(struct names *n, uint32_t max, const char *(*id_of)(const void *owner, uint32_t index),
	       const void *owner);
void names_fini(struct names *n);

/* @return the number, or NAMES_NONE. */
uint32_t names_find(const struct names *n, const char *id);
/* id_of(index) is valid and not in the table yet; no more than max. */
void names_add(struct names *n, uint32_t index);
/* id_of(index) is still valid. */
void names_remove(struct names *n, uint32_t index);

#endif
