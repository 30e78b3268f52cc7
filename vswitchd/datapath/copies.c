/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * While a provider address moves between members, a switch that has forgotten its MAC floods frames to both. The first
 * copy counts, whichever it is; nothing else tells it from the second, and two workers may hold one each. So the last
 * few frames are remembered by what is in them.
 */
#include <rte_jhash.h>

#include "datapath/dp.h"

static_assert(COPIES == 1 << 12, "the top bits of a signature are its place");
static_assert(TEAM_MEMBERS < 256, "a member fits the low byte");

bool copies_seen(struct datapath *dp, const struct team_pa_view *pa, uint8_t member, const struct rte_mbuf *m)
{
	/* By the move: a frame without an ID of its own looks like one that came during an earlier move. */
	uint32_t high = m->pkt_len ^ (uint32_t)pa->prev_until, low = (uint32_t)(pa->prev_until >> 32);
	uint64_t mine, last;

	rte_jhash_2hashes(rte_pktmbuf_mtod(m, const void *), m->data_len, &high, &low);
	mine = ((uint64_t)high << 32 | low) & ~UINT64_C(0xff);
	last = __atomic_exchange_n(&dp->copies[mine >> 52], mine | member, __ATOMIC_RELAXED);
	/* The same on one member is a repetition, which is the sender's right. */
	return last && (last & ~UINT64_C(0xff)) == mine && (uint8_t)last != member;
}
