/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What travels with a packet through the switch: one cache line in the mbuf's private area. All pools of this
 * process are made by meta_pool_create(), so every mbuf has it.
 *
 * Offload state is kept in virtio_net_hdr terms; PMD and library flags are set only at the edge (offload/),
 * so that a packet can go VM -> tap, VM -> VM or VM -> NIC unsplit.
 */
#ifndef BASE_META_H
#define BASE_META_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <rte_mbuf.h>

#include "base/drop.h"
#include "base/pkt.h"

enum verdict {
	VERDICT_NONE,	 /* not decided yet */
	VERDICT_LOCAL,	 /* dst = port index */
	VERDICT_REMOTE,	 /* dst = host index, vsid_out, dst_pa */
	VERDICT_FLOOD,	 /* vsid_out; every member of the subnet but the source */
	VERDICT_ROUTE,	 /* to the gateway's MAC: goes through the distributed router */
	VERDICT_REPLY,	 /* the frame was turned into an answer to its source port (ARP, ND, echo) */
	VERDICT_DROP,	 /* drop = reason */
	VERDICT_CONSUMED /* taken over by somebody else */
};

#define PORT_WIRE 0xffff /* source "port" of frames from a team member */
#define PORT_NONE 0xfffe
#define HOST_NONE 0xffff
#define REC_NONE  0xffffffffu
#define PA_ANY	  0xff /* dst_pa: choose by flow */

#define META_ROUTED  0x01 /* went through the distributed router: TTL taken, MACs rewritten */
#define META_NATIVE  0x02 /* NVGRE to one of our PAs (native forwarding, for extensions) */
#define META_PLAIN   0x04 /* VSID 0: plain switching */
#define META_INJECT  0x08 /* made by the switch itself (test, answers) */
#define META_DRY     0x10 /* of a dry run: nothing is learned or remembered from it */

enum csum_state {
	CSUM_UNKNOWN, /* complete in the packet, not verified */
	CSUM_PARTIAL, /* L4 checksum has to be finished: csum_start, csum_offset */
	CSUM_GOOD,    /* verified */
};

struct pkt_meta {
	struct pkt_info pkt; /* the tenant's (inner) frame; offsets from its first byte = the mbuf's data */
	uint32_t hash;	     /* inner flow hash, computed by us; who uses which bits: flowhash.h */
	uint32_t vsid_in;    /* of the source port, or from the key */
	uint32_t vsid_out;   /* of the destination; differs from vsid_in when routed */
	uint32_t record;     /* lookup record of the destination, or REC_NONE */
	uint16_t src;	     /* source port index or PORT_WIRE */
	uint16_t dst;	     /* by verdict */
	uint16_t src_host;   /* host of the outer source, from the wire only */
	uint8_t verdict;     /* enum verdict */
	uint8_t drop;	     /* enum drop_reason */
	uint8_t dst_pa;	     /* PA index inside the destination host, or PA_ANY */
	uint8_t flags;	     /* META_* */
	uint8_t member;	     /* team member it came by, or goes to */
	uint8_t pa;	     /* our PA it came to */
	/* virtio_net_hdr terms */
	uint8_t gso_type, csum_state;
	uint16_t gso_size, csum_start, csum_offset, gso_hdr_len;
	uint8_t bucket; /* of the transmit hash, to the wire only */
	uint8_t watchers; /* bit: a watch that follows it */
	uint32_t trace;	  /* its number in traces, 0: in none */
	uint8_t told;	  /* verdict that traces know */
	uint8_t outer_len; /* from the wire: bytes in front of the frame, from the outer Ethernet header on */
	uint16_t view;	   /* handed over: low bits of the generation of the team view that `member` is of */
};

static_assert(sizeof(struct pkt_meta) == 64, "one cache line");
static_assert(DROP_COUNT < 256, "drop fits its byte");

static inline struct pkt_meta *pkt_meta(struct rte_mbuf *m)
{
	return (struct pkt_meta *)rte_mbuf_to_priv(m);
}

static inline void meta_drop(struct pkt_meta *meta, enum drop_reason why)
{
	meta->verdict = VERDICT_DROP;
	meta->drop = (uint8_t)why;
}

/*
 * Make a packet pool whose mbufs carry a struct pkt_meta.
 * @param n          number of mbufs; @param cache per-lcore cache; @param socket NUMA node or SOCKET_ID_ANY.
 * @return the pool, or NULL with rte_errno set. Main or portctl thread. Headroom: RTE_PKTMBUF_HEADROOM (128).
 */
struct rte_mempool *meta_pool_create(const char *name, unsigned int n, unsigned int cache, uint16_t data_room,
				     int socket);

#endif
