/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by watch*.c, dry_run.c and echo.c. */
#ifndef DATAPATH_WATCH_PRIVATE_H
#define DATAPATH_WATCH_PRIVATE_H

#include "datapath/dp.h"

/* One look at one packet. */
struct sight {
	enum watch_point point;
	enum stage stage;
	enum drop_reason why;
	uint16_t port;
	uint8_t member;
	uint64_t tsc;
};

/* Immutable once published, but for the writers, each its worker's, and for what datapath_watch_forget() changes. */
struct watch {
	struct watch_spec spec;
	uint8_t slot; /* bit in pkt_meta.watchers */
	struct {      /* main's, when it has ended */
		struct datapath *dp;
		struct watch_table *table; /* the last that names it */
		void (*done)(void *arg);
		void *arg;
	} end;
	struct watch_end {
		struct watch_writer writer;
	} __attribute__((aligned(64))) ends[];
};

/*
 * Write a record of a packet, which is not committed yet. @return NULL: no room. Worker.
 */
struct watch_record *watch_note(struct watch_writer *out, struct rte_mbuf *m, const struct sight *at, uint32_t snap);

/* echo.c */
/* Take a test's echo out of what is about to be delivered. @return packets left. */
uint16_t echo_take(struct worker *w, struct watch *watch, struct rte_mbuf **pkts, uint16_t n, const struct sight *at);
/* It was put in, or was dropped. */
void echo_seen(struct worker *w, struct watch *watch, struct rte_mbuf *m, const struct sight *at);

/* watch_control.c */
struct watch *watch_new(const struct datapath *dp, const struct watch_spec *spec, unsigned int n_ends);

#endif
