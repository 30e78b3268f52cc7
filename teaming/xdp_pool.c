/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rte_eal.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>

#include "base/tick.h"
#include "teaming/xdp_pool.h"

#define PER_QUEUE 6144 /* fill ring, transmit ring, and a ring's worth on the way */
#define CACHE	  256
#define WHILE_MS  10000 /* longer than a packet stays anywhere */
#define RETIRED	  64

struct retired {
	struct rte_mempool *pool;
	uint64_t at;
};

static struct retired retired[RETIRED];

static unsigned int elements(unsigned int queues)
{
	return queues * PER_QUEUE + RTE_MAX_LCORE * 4;
}

/*
 * Ordinary pages beside the EAL's memory, whose size nobody has reckoned with these pools. In zero-copy mode
 * a buffer must not cross pages that are not neighbours, so where there are hugepages they are tried first.
 */
static struct rte_mempool *make(const char *name, const struct rte_mempool *like, unsigned int queues, int socket,
				bool huge)
{
	struct rte_mempool *source = (struct rte_mempool *)(uintptr_t)like; /* its accessors lack a const */
	struct rte_pktmbuf_pool_private priv = {
		.mbuf_data_room_size = rte_pktmbuf_data_room_size(source),
		.mbuf_priv_size = rte_pktmbuf_priv_size(source),
	};
	unsigned int n = elements(queues);
	struct rte_mempool *mp = rte_mempool_create_empty(name, n, like->elt_size, CACHE, sizeof(priv), socket, 0);

	if (!mp)
		return NULL;
	if (rte_mempool_set_ops_byname(mp, rte_mbuf_best_mempool_ops(), NULL) < 0)
		goto fail;
	rte_pktmbuf_pool_init(mp, &priv);
	if ((huge ? rte_mempool_populate_default(mp) : rte_mempool_populate_anon(mp)) <= 0 || mp->nb_mem_chunks != 1)
		goto fail;
	rte_mempool_obj_iter(mp, rte_pktmbuf_init, NULL);
	return mp;

fail:
	rte_mempool_free(mp);
	return NULL;
}

static void free_old(uint64_t now)
{
	for (unsigned int i = 0; i < RETIRED; i++) {
		if (!retired[i].pool || now - retired[i].at < WHILE_MS)
			continue;
		rte_mempool_free(retired[i].pool);
		retired[i].pool = NULL;
	}
}

struct rte_mempool *tw_xdp_pool_new(const struct rte_mempool *like, unsigned int queues, int socket)
{
	static unsigned int number;
	struct rte_mempool *mp = NULL;
	char name[RTE_MEMPOOL_NAMESIZE];

	free_old(tick_ms());
	snprintf(name, sizeof(name), "xdp-%u", number++);
	if (rte_eal_has_hugepages())
		mp = make(name, like, queues, socket, true);
	return mp ? mp : make(name, like, queues, socket, false);
}

void tw_xdp_pool_retire(struct rte_mempool *pool)
{
	uint64_t now = tick_ms();

	free_old(now);
	for (unsigned int i = 0; i < RETIRED; i++) {
		if (retired[i].pool)
			continue;
		retired[i] = (struct retired){ pool, now };
		return;
	}
	/* A device that flaps faster than this is kept out of memory by the pools themselves. */
}
