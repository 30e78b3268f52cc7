/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/mempolicy.h>
#include <rte_eal.h>
#include <rte_lcore.h>
#include <rte_malloc.h>

#include "policy/mem.h"

#define HUGE_PAGE  ((size_t)2 << 20)
#define CACHE_LINE 64

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* Without EAL (a check of a configuration) its heap must not be asked; it counts its lcores first. */
static void *from_eal(size_t size, int socket)
{
	if (rte_lcore_count() == 0 || !rte_eal_has_hugepages())
		return NULL;
	return rte_zmalloc_socket("policy", size, CACHE_LINE, socket);
}

static void prefer_node(void *p, size_t size, int socket)
{
	unsigned long mask;

	if (socket < 0 || (unsigned int)socket >= 8 * sizeof(mask))
		return;
	mask = 1ul << socket;
	/* No libnuma for one call; failure leaves the kernel's choice. */
	(void)syscall(SYS_mbind, p, size, MPOL_PREFERRED, &mask, 8 * sizeof(mask), 0);
}

int mem_alloc(struct mem *m, size_t size, int socket, bool readers)
{
	size_t page = size >= HUGE_PAGE ? HUGE_PAGE : (size_t)4096;
	uint8_t *base, *p;

	/*
	 * Only what workers read takes EAL's pages: those are backed in full, while ours cost nothing until
	 * used.
	 */
	p = readers ? from_eal(size ? size : 1, socket) : NULL;
	if (p) {
		*m = (struct mem){ .p = p };
		return 0;
	}
	size = (size + page - 1) & ~(page - 1);
	if (!size)
		size = page;
	/* One page more to align by: older kernels give huge pages to aligned areas only. */
	base = mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0);
	if (base == MAP_FAILED)
		return -ENOMEM;
	p = (uint8_t *)(((uintptr_t)base + page - 1) & ~(uintptr_t)(page - 1));
	prefer_node(p, size, socket);
	(void)madvise(p, size, MADV_HUGEPAGE);
	if (readers)
		(void)madvise(p, size,
			      MADV_POPULATE_WRITE); /* Linux 5.14; else page faults come one by one */
	*m = (struct mem){ .p = p, .base = base, .size = size + page };
	return 0;
}

void mem_free(struct mem *m)
{
	if (m->base)
		munmap(m->base, m->size);
	else
		rte_free(m->p);
	*m = (struct mem){ 0 };
}
