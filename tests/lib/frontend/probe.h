/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The 16 bytes a measuring frame carries at the start of its UDP payload, and what a receiver makes of
 * them. A 60-byte IPv4 frame has room for 18. Integers in network order.
 */
#ifndef TESTS_LIB_FRONTEND_PROBE_H
#define TESTS_LIB_FRONTEND_PROBE_H

#include "hist.h"

#include <stdbool.h>
#include <stddef.h>

#define PROBE_LEN	16
#define PROBE_MAGIC	0x7e57
#define PROBE_MAX_FLOWS 65536
#define PROBE_WINDOW	1024 /* so far behind the newest, late and duplicate are told apart */

struct probe {
	uint16_t flow;
	uint32_t seq;
	uint64_t sent_ns; /* CLOCK_MONOTONIC */
};

void probe_put(uint8_t p[PROBE_LEN], const struct probe *probe);
/* false when p does not hold one. */
bool probe_get(const uint8_t p[PROBE_LEN], struct probe *ret_probe);

/* Offset of the UDP header in an Ethernet frame (tags, IPv4 with options, IPv6 without extension headers),
 * 0 when there is none or its payload is shorter than PROBE_LEN. */
size_t probe_udp_offset(const uint8_t *frame, size_t len);

struct probe_flow {
	bool seen;
	uint32_t first;	  /* sequence number seen first */
	uint32_t newest;  /* highest one */
	uint64_t last_ns; /* last arrival */
	uint64_t received;
	uint64_t window[PROBE_WINDOW / 64]; /* bit seq % PROBE_WINDOW: arrived */
};

struct probe_stats {
	uint64_t received;  /* probes, duplicates among them */
	uint64_t foreign;   /* packets that hold none */
	uint64_t lost;	    /* never came, as far as seen */
	uint64_t reordered; /* came after a younger one of the flow */
	uint64_t duplicate;
	uint64_t stale; /* older than the window: late or duplicate, it cannot be said */
	uint64_t flows;
	uint64_t first_ns, last_ns; /* arrivals */
	uint64_t gap_ns;	    /* longest time between two arrivals of whatever flow */
	uint64_t gap_at_ns;	    /* when that gap began */
	uint64_t flow_gap_ns;	    /* longest of one flow ... */
	uint32_t flow_gap_flow;	    /* ... and which */
	struct hist latency;
	struct probe_flow *flow; /* PROBE_MAX_FLOWS */
};

/* 0 or -ENOMEM. */
int probe_stats_init(struct probe_stats *s);
void probe_stats_free(struct probe_stats *s);
void probe_stats_reset(struct probe_stats *s);
/* A packet that arrived now. */
void probe_stats_add(struct probe_stats *s, const struct probe *probe, uint64_t now_ns);

#endif
