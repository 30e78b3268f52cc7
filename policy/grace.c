/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/rcu.h"
#include "policy/grace.h"

#define WAIT_MAX_US 50000
#define BATCH	    64

void grace_init(struct grace *g, uint32_t *link)
{
	*g = (struct grace){ .link = link, .head = GRACE_NONE, .tail = GRACE_NONE };
}

/* Without RCU there are no workers either. */
static int passed(const struct grace *g)
{
	return !rcu_qsbr || rte_rcu_qsbr_check(rcu_qsbr, g->token, false) == 1;
}

void grace_push(struct grace *g, uint32_t i)
{
	g->link[i] = GRACE_NONE;
	if (g->tail == GRACE_NONE)
		g->head = i;
	else
		g->link[g->tail] = i;
	g->tail = i;
	g->n_new++;
}

static void advance(struct grace *g, bool need)
{
	if (g->n_waiting && passed(g)) {
		g->n_ready += g->n_waiting;
		g->n_waiting = 0;
	}
	if (g->n_waiting || g->n_new < (need ? 1 : BATCH))
		return;
	if (rcu_qsbr)
		g->token = rte_rcu_qsbr_start(rcu_qsbr);
	g->n_waiting = g->n_new;
	g->n_new = 0;
	if (passed(g)) {
		g->n_ready += g->n_waiting;
		g->n_waiting = 0;
	}
}

uint32_t grace_pop(struct grace *g, bool need)
{
	uint32_t i;

	if (!g->n_ready)
		advance(g, need);
	if (!g->n_ready)
		return GRACE_NONE;
	g->n_ready--;
	i = g->head;
	g->head = g->link[i];
	if (g->head == GRACE_NONE)
		g->tail = GRACE_NONE;
	return i;
}

void grace_wait(void)
{
	if (rcu_qsbr)
		(void)rcu_synchronize_timeout(WAIT_MAX_US);
}
