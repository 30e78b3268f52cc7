/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looking at packets: captures, traces, dry runs and tests through ports. Where a packet comes, goes, passes a stage
 * or is dropped there is one predicted branch per burst (per drop); behind it are the watches that are on.
 */
#ifndef DATAPATH_WATCH_H
#define DATAPATH_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/errs.h"
#include "base/filter.h"
#include "base/watchring.h"

struct datapath;
struct watch;
struct rte_mbuf;

#define WATCH_MAX 8 /* at the same time: each costs every packet something */

enum watch_kind {
	WATCH_CAPTURE, /* copies of packets that match, at the points asked for */
	WATCH_TRACE,   /* each stage of packets that match where they come in */
	WATCH_ECHO,    /* takes a test's echo at a port, see struct watch_echo */
};

/* What datapath_watch_forget() makes of indices in filters: nothing has them, nothing matches. */
#define WATCH_PORT_GONE	  (WATCH_NO_PORT - 1)
#define WATCH_MEMBER_GONE 0xfe

/* A filter with its names looked up. An index that nothing has any more matches nothing: datapath_watch_forget(). */
struct watch_filter {
	uint32_t points; /* bit: enum watch_point */
	uint16_t port;	 /* PORT_NONE: any */
	uint8_t member;	 /* 0xff: any */
	uint8_t drop;	 /* DROP_NONE: any */
	uint32_t vsid;	 /* 0: any */
	uint8_t protocol; /* enum filter_protocol */
	uint16_t port_number;
	struct mac mac;
	struct ip_addr address, source, destination, provider_address;
	bool needs_headers, needs_parse; /* set by datapath_watch_start() */
};

/*
 * The test through ports (HNV 8, Test-VMNetworkAdapter): an echo request put in at one port as if its guest had sent
 * it, taken out before the guest of the other, answered there, the answer taken out before the guest of the first.
 * What is taken at a port is this: ICMP or ICMPv6 echo with the mark of tests in its payload and this sequence number.
 */
struct watch_echo {
	uint16_t port;
	bool receiver; /* takes requests and answers them; else takes answers */
	uint16_t sequence;
	uint64_t nonce; /* of the test; 0: any (a receiver on another host does not know it) */
};

struct watch_spec {
	enum watch_kind kind;
	struct watch_filter filter;
	uint32_t snap;	    /* bytes of a frame that are copied at most */
	uint32_t ring_size; /* of each worker's ring: a power of two, WATCH_RING_MIN .. WATCH_RING_MAX */
	/* zeroed, of watch_memory_bytes(datapath_watch_rings(), ring_size); the caller's until the stop is done */
	struct watch_memory *memory;
	struct watch_echo echo;
};

unsigned int datapath_watch_rings(const struct datapath *dp);

/* Begin. Main thread. @return 0; -EINVAL; -EBUSY (WATCH_MAX are on); -ENOMEM. */
int datapath_watch_start(struct datapath *dp, const struct watch_spec *spec, struct watch **ret, struct errbuf *err);

/*
 * End, without waiting. When no worker writes to the memory any more (one grace period) `done` is called, on the main
 * thread: before this returns if no worker runs, else by rcu_reclaim(), datapath_free() at the latest. NULL is allowed
 * for the watch (nothing happens) and for done. Main thread.
 */
void datapath_watch_stop(struct datapath *dp, struct watch *watch, void (*done)(void *arg), void *arg);

/*
 * A port (PORT_NONE: none) or the member in a slot (0xff: none) goes: its index may be another's soon, of which nobody
 * asked. Filters and tests that name it match nothing from now on. Before the index is given away. Main thread.
 */
void datapath_watch_forget(struct datapath *dp, uint16_t port, uint8_t member);

/*
 * What the packet path does with a frame that the guest of a port would send, and with what follows from it (answers,
 * flooded copies): the same code, run here on a worker of its own that sends nothing, counts nothing and makes nobody
 * learn anything. @param ring one ring of records as of WATCH_TRACE, with the bytes at the points. The frame is taken.
 * Main thread. @return 0; -ENOENT: the port is not attached (what would be dropped before there is a queue); -ENOMEM.
 */
int datapath_dry_run(struct datapath *dp, uint16_t port, struct rte_mbuf *frame, const struct watch_spec *spec);

/*
 * Put a frame in at a port as if its guest had sent it; ICMP errors about it go to nobody. The buffer is the workers'
 * when it was taken. Main thread. @return 0; -ENOENT (port is not attached), -ENOBUFS: m stays the caller's.
 */
int datapath_inject_egress(struct datapath *dp, uint16_t port, struct rte_mbuf *m);

#endif
