/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Read-copy-update for the packet path, on DPDK's QSBR.
 *
 * The idea in four sentences. Writers (main thread, teamwatch) never change what a worker may be reading:
 * they build a new object, publish its address with rcu_assign(), and free the old one only after every
 * worker has said "I hold nothing" once, which rcu_synchronize() waits for. Workers read with
 * rcu_dereference() and say so by rcu_quiescent() once per turn of their loop; between two such calls
 * whatever they have read stays valid. A worker goes offline before it sleeps, so a sleeping worker never
 * delays a writer. Removal is always: unpublish, wait once for the whole batch, free.
 */
#ifndef BASE_RCU_H
#define BASE_RCU_H

#include <stdint.h>
#include <rte_rcu_qsbr.h>

#define RCU_MAX_THREADS 128

/* The one QSBR variable of the process; NULL before rcu_init(). Read-only after rcu_init(). */
extern struct rte_rcu_qsbr *rcu_qsbr;

/* Create the QSBR variable. Main thread, once, after rte_eal_init(). @return 0, -ENOMEM. */
int rcu_init(void);
void rcu_fini(void);

/* A reader thread enters and leaves. id: 0 .. RCU_MAX_THREADS - 1 (worker index). @return 0, -EINVAL. */
int rcu_register(unsigned int id);
void rcu_unregister(unsigned int id);

static inline void rcu_quiescent(unsigned int id)
{
	rte_rcu_qsbr_quiescent(rcu_qsbr, id);
}

/* Around a sleep: between the two the thread must not hold a pointer got from rcu_dereference(). */
static inline void rcu_offline(unsigned int id)
{
	rte_rcu_qsbr_thread_offline(rcu_qsbr, id);
}

static inline void rcu_online(unsigned int id)
{
	rte_rcu_qsbr_thread_online(rcu_qsbr, id);
}

/* Wait until every online reader has passed a quiescent state. Not from a worker. Normally below 1 ms. */
void rcu_synchronize(void);

/* The same with a bound. @return 0, -ETIMEDOUT when a reader did not pass within timeout_us. */
int rcu_synchronize_timeout(uint64_t timeout_us);

/*
 * Free something after a grace period without waiting for it here: the call is kept and made by
 * rcu_reclaim() on the main thread. Main thread only.
 * @return 0, -ENOMEM (nothing deferred: the caller waits with rcu_synchronize() and frees itself).
 */
int rcu_defer(void (*fn)(void *arg), void *arg);

/*
 * Run the deferred calls whose grace period is over; with wait all of them. Main thread. @return how many
 * ran.
 */
unsigned int rcu_reclaim(int wait);

#define rcu_assign(p, v)    __atomic_store_n(&(p), (v), __ATOMIC_RELEASE)
#define rcu_dereference(p)  __atomic_load_n(&(p), __ATOMIC_ACQUIRE)

#endif
