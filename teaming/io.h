/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How teamwatch's own frames (ARP, neighbour discovery, echo) come and go on one member. Two back-ends
 * behind one table: a PF_PACKET socket on the member's netdev, and rings to the workers for members without
 * one. Frames carry their 802.1Q tag.
 */
#ifndef TEAMING_IO_H
#define TEAMING_IO_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_mbuf.h>

#include "base/object.h"
#include "base/wire.h"
#include "teaming/teaming.h"

/* What a member has to let through: unicast to these MACs, questions about these addresses. */
struct tw_io_filter {
	unsigned int n_pas;
	struct ip_addr pas[LOCAL_PAS];
	struct mac macs[LOCAL_PAS];
	unsigned int n_plain; /* MACs of the plain segment: received by the data path, the NIC has to accept them */
	const struct mac *plain;
	unsigned int n_groups; /* multicast groups: queries about them, and what is sent to them */
	struct mac groups[TEAM_GROUPS];
};

struct tw_io;

struct tw_io_ops {
	const char *name;
	/* -1: there is nothing to wait for, recv() is polled. */
	int (*fd)(const struct tw_io *io);
	/* Best effort. @return 0 or -errno. */
	int (*send)(struct tw_io *io, const uint8_t *frame, uint32_t len);
	/* @return length of the next frame (longer ones are cut), 0: none now, -errno. */
	int (*recv)(struct tw_io *io, uint8_t *buf, uint32_t size);
	/* @return 0 or -errno (some part of it could not be set). */
	int (*filter)(struct tw_io *io, const struct tw_io_filter *f);
	void (*close)(struct tw_io *io);
};

struct tw_io {
	const struct tw_io_ops *ops;
};

/* @return 0 or -errno. */
int tw_io_packet_open(uint32_t if_index, struct tw_io **ret);

/* A punt member. @param pool the workers take buffers from it for frames that go out. @return 0 or -errno. */
int tw_io_punt_open(struct rte_mempool *pool, struct tw_io **ret);
/*
 * The workers' ends. rx takes from the front what is ARP, ICMP or ICMPv6 as long as there is room. @return
 * how many. tx, of one worker per member, also frees what teamwatch has read.
 */
uint16_t tw_io_punt_rx(struct tw_io *io, struct rte_mbuf **pkts, uint16_t n);
/*
 * From now on rx takes what a relay wants, too: link-local frames, which recv() gives first, and while there is plenty
 * of room what is sent to this MAC or to a group. @param mac NULL: no longer. teamwatch.
 */
void tw_io_punt_relay(struct tw_io *io, const struct mac *mac);
/* Is most of the room for frames that go out still free? teamwatch. */
bool tw_io_punt_quiet(const struct tw_io *io);
uint16_t tw_io_punt_tx(struct tw_io *io, struct rte_mbuf **pkts, uint16_t n);

/*
 * Write the socket filter as a classic BPF program. @return number of instructions, at most TW_FILTER_MAX.
 * Pure.
 */
#define TW_FILTER_MAX 1024
struct sock_filter;
unsigned int tw_io_program(const struct tw_io_filter *f, struct sock_filter *ret);

#endif
