/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to offload/: the control side. */
#ifndef OFFLOAD_CONTROL_H
#define OFFLOAD_CONTROL_H

#include <pthread.h>

#include "offload/offload.h"

/* One flow rule of a member: installed, or refused. Two for a port that is reached by both families. */
struct steer_rule {
	struct offload_want want;
	struct rte_flow *flow; /* NULL: refused */
	char why[64];
};

struct member {
	bool used;
	char name[ID_SIZE];
	struct member_dev *dev;
	struct member_info info;
	uint64_t tx_wanted, rx_wanted; /* asked for at configuration */
	bool rss_wanted;	       /* the same */
	struct offload_claim bits[OFFLOAD_BITS];
	bool gre_key; /* rules in the second way */
	uint32_t n_rules;
	struct steer_rule *rules;
};

struct offload {
	/* portctl writes members, main reads them; main writes knobs. No device is called with it held. */
	pthread_mutex_t lock;
	struct offload_knobs knobs;
	struct member members[OFFLOAD_MEMBERS];
};

/*
 * proof.c: what does the device do of what it claims? Fills proof, granted and why of m->bits; frees what it needs.
 * portctl, nobody else uses the device.
 */
void proof_run(struct member *m, const struct encap_ops *encap, struct rte_mempool *pool);

/* steer.c */
/* Install a rule, in the way the card takes. NULL with the reason. */
struct rte_flow *steer_install(struct member *m, const struct offload_want *want, struct errbuf *err);
void steer_forget(struct member *m);

#endif
