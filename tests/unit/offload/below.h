/* SPDX-License-Identifier: BSD-3-Clause */
/* A member in memory below the emulated NIC: keeps what is sent, brings what the test puts in. */
#ifndef TESTS_UNIT_BELOW_H
#define TESTS_UNIT_BELOW_H

#include "base/member_ops.h"

#define BELOW_MAX 1024

extern struct below {
	struct rte_mbuf *sent[BELOW_MAX], *coming[BELOW_MAX];
	unsigned int n_sent, n_coming;
	struct mac mac;
} below;

extern const struct member_ops below_ops;

/* Free what was sent. */
void below_clear(void);

/* Open and configure an emulated NIC as emunic_config says, over this, asking for everything. */
void below_nic(struct rte_mempool *pool, uint16_t rxq, struct member_dev *ret);

#endif
