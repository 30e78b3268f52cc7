/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A packet path without threads and devices: the real policy and datapath, a team that says what the test wants, ports
 * and members in memory. One call of world_turn() is one turn of the only worker.
 *
 * Host "self": ports a (5001, 10.0.0.2), b (5001, 10.0.0.3), c (5002, 10.0.1.2), x (6001, 10.0.0.2, another tenant,
 * same
 * MAC as a). Host "far" has PA 192.0.2.21 and 192.0.2.22; far's guests: 10.0.0.9 in 5001, 10.0.1.9 in 5002. Members 0
 * and 1
 * with PAs 192.0.2.11 and 192.0.2.12.
 */
#ifndef TESTS_UNIT_DATAPATH_WORLD_H
#define TESTS_UNIT_DATAPATH_WORLD_H

#include "../unit.h"

#include <rte_mempool.h>

#include "datapath/dp.h"
#include "frame.h"

#define Q_MAX 64
#define SIZE  2048 /* of a frame's buffer */

enum { A, B, C, X, N_PORTS };

struct fake_queue {
	struct port_queue q;
	struct rte_mbuf *rx[Q_MAX];
	unsigned int n_rx;
	uint8_t got[Q_MAX][2048]; /* what the guest received */
	uint16_t got_len[Q_MAX];
	uint32_t got_whole[Q_MAX]; /* length with all segments */
	uint64_t got_flags[Q_MAX]; /* of the mbuf, for the vhost library */
	uint16_t got_mss[Q_MAX];
	unsigned int n_got, room;
	uint16_t longest; /* frame that it takes; 0: any */
};

struct fake_member {
	struct rte_mbuf *rx[WIRE_BURST];
	unsigned int n_rx;
	uint8_t sent[Q_MAX][2048];
	uint16_t sent_len[Q_MAX];
	uint64_t sent_flags[Q_MAX]; /* of the mbuf, for the NIC */
	unsigned int n_sent, room;
	unsigned int looks, looked_at; /* of the driver's check: calls, frames */
	unsigned int refuse;	       /* this frame of all that it looks at, from 1; 0: none */
};

struct world {
	struct rte_mempool *pool;
	struct policy *policy;
	struct datapath *dp;
	struct fake_queue ports[N_PORTS];
	struct fake_member members[2];
	struct team_view view;
	bool resolved;	/* remote PAs have a next hop */
	uint16_t mtu;	/* of the paths to them */
	unsigned int avail; /* mbufs at the beginning */
};

extern struct world world;
extern unsigned int world_workers; /* before world_setup(); 0: one. Each makes the turns that the test asks for */
extern unsigned int world_mbufs;   /* likewise, a power of two - 1; 0: 2047 */
extern unsigned int world_cache;   /* likewise: of them for each lcore */

extern const uint8_t mac_a[6], mac_b[6], mac_c[6], mac_far[6], mac_far_c[6], mac_pa[2][6], mac_next[6];
#define IP_A	 FRAME_IPV4(10, 0, 0, 2)
#define IP_B	 FRAME_IPV4(10, 0, 0, 3)
#define IP_C	 FRAME_IPV4(10, 0, 1, 2)
#define IP_GW	 FRAME_IPV4(10, 0, 0, 1)
#define IP_FAR	 FRAME_IPV4(10, 0, 0, 9)
#define IP_FAR_C FRAME_IPV4(10, 0, 1, 9)
#define PA(n)	 FRAME_IPV4(192, 0, 2, n)

int world_setup(void **state);
/* Checks that no packet buffer is lost. */
int world_teardown(void **state);

/* Set an object of the policy from a line of fields; fails the test when it is refused. */
void world_set(enum object_kind kind, const char *line);

/* A UDP frame in `buf` of SIZE bytes, unfinished; good until the next call. */
struct frame *udp(uint8_t *buf, const void *dst, const void *src, uint32_t from, uint32_t to, size_t payload);

/* A finished frame from a guest, or on a member. */
void guest_sends(unsigned int port, struct frame *f);
/* Any length up to 64 KiB, as the vhost library hands it over: flags, segment size. */
void guest_sends_flagged(unsigned int port, struct frame *f, uint64_t ol_flags, uint16_t mss);
void wire_brings(unsigned int member, struct frame *f);
void world_turn(void);
/* One turn of a worker; what was received before stays. */
void world_turn_of(unsigned int worker);
/* Ports and members have received nothing. */
void world_forget(void);

uint64_t drops_of(enum drop_reason why);
struct mac gateway_mac(uint32_t vsid);

#endif
