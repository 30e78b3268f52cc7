/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EMUNIC_PRIVATE_H
#define EMUNIC_PRIVATE_H

#include <rte_mbuf.h>

#include "emunic.h"

#define FRAME_MAX 70000
#define RULES_MAX 64

/* Lengths of the headers as the descriptor tells. Offsets from the first byte. */
struct desc {
	uint64_t flags;
	uint32_t outer_ip, outer_len, inner_ip, l4, payload, len;
	uint16_t segsz;
	bool outer4, outer6, v4, v6;
};

/* Offsets that frames really have, found by looking. */
struct seen {
	uint32_t outer_ip, outer_len, gre, inner, inner_ip, inner_ip_len, l4, l4_len;
	uint8_t outer_version, version, proto, dst[6];
	uint32_t tni;
	bool nvgre;
};

struct rule {
	struct rte_flow *id; /* NULL: free */
	uint32_t tni;
	uint8_t dst[6];
	uint16_t queue;
};

/* cut.c: one frame of a flat packet, by its descriptor. @return its length. */
uint32_t emunic_frames(const struct desc *d);
uint32_t emunic_frame(const struct desc *d, const uint8_t *flat, uint32_t n, uint8_t *ret);
uint16_t emunic_sum(const uint8_t *p, uint32_t len, uint32_t start);
void emunic_desc(const struct rte_mbuf *m, struct desc *ret);

/* look.c */
bool emunic_look(const uint8_t *f, uint32_t len, struct seen *ret);
/* Set packet type and verdicts. @param lie  everything is good. */
void emunic_judge(struct rte_mbuf *m, const uint8_t *f, const struct seen *s, bool lie);
/* A rule of the pattern, if it is one that this card knows. @return 0 or -errno. */
int emunic_rule(const struct rte_flow_item *pattern, const struct rte_flow_action *actions, unsigned int can,
		uint16_t queues, struct rule *ret);

#endif
