/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <rte_ring_elem.h>

#include "datapath/dp.h"

struct rte_ring *ring_make(const char *name, unsigned int elem, unsigned int n)
{
	ssize_t size = rte_ring_get_memsize_elem(elem, n);
	struct rte_ring *ring;

	if (size < 0 || posix_memalign((void **)&ring, RTE_CACHE_LINE_SIZE, (size_t)size))
		return NULL;
	if (rte_ring_init(ring, name, n, RING_F_SP_ENQ | RING_F_SC_DEQ)) {
		free(ring);
		return NULL;
	}
	return ring;
}
