/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory of the big tables: zeroed, on the wanted NUMA node, in huge pages where the machine has them. Main
 * thread.
 */
#ifndef POLICY_MEM_H
#define POLICY_MEM_H

#include <stdbool.h>
#include <stddef.h>

struct mem {
	void *p;     /* what the caller uses; 64-byte aligned */
	void *base;  /* what the kernel gave; NULL: p is EAL's */
	size_t size; /* of base */
};

/*
 * @param size   bytes, rounded up by us; 0 gives a valid empty area.
 * @param socket NUMA node (a wish, not a condition) or SOCKET_ID_ANY.
 * @param readers workers read it where main may never have written: back it now, so that no worker meets a
 * page fault.
 * @return 0, -ENOMEM; *m is written only on success.
 */
int mem_alloc(struct mem *m, size_t size, int socket, bool readers);

/* Accepts a zeroed struct mem. */
void mem_free(struct mem *m);

#endif
