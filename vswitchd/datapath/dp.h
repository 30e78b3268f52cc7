/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Private to datapath/: the worker and what it polls.
 *
 * Published to workers (RCU): struct plan per worker, struct dp_port per port, struct tunnel per host, hook table.
 * Owned by one worker: everything in struct worker, and struct rxq of the queues its plan names.
 */
#ifndef DATAPATH_DP_H
#define DATAPATH_DP_H

#include <rte_branch_prediction.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <rte_spinlock.h>

#include "base/encap_ops.h"
#include "base/meta.h"
#include "base/rcu.h"
#include "base/stats.h"
#include "base/tick.h"
#include "datapath/datapath.h"
#include "datapath/hooks.h"
#include "datapath/stages.h"
#include "datapath/watch.h"
#include "offload/offload.h"
#include "policy/policy.h"
#include "teaming/teaming.h"

#define BURST	   32  /* of a guest queue; also what the vhost library does at most per call */
#define BURST_BYTES (64u << 10) /* of a guest queue: what is read, and what is made of it, stays in the L2 cache */
#define WIRE_BURST 128 /* from a member per turn: grouping by port pays */
#define OUT_MAX	   128 /* packets gathered per destination before a flush */
static_assert(BURST <= OUT_MAX && WIRE_BURST <= OUT_MAX, "hooks_run()");
#define COPIES		4096
#define LEARN_TOLD	4 /* sightings that a queue remembers */
#define LEARN_RING	4096
#define LEARN_ANSWERS	64 /* owners' answers that a worker remembers */

/* One worker's counters of one port. One writer: that worker. What guests send is counted by queue: struct rxq. */
struct port_counters {
	struct traffic injected; /* put in as if the guest had sent it */
	struct traffic *tx;	 /* [n_queues], to the guest */
	uint64_t drops[DROP_COUNT];
} __attribute__((aligned(64)));

/* Receive side of one queue pair; owned by the worker whose plan names it. */
struct rxq {
	struct port_queue *q; /* set once; main replaces it if the port goes and no plan without it can be made */
	struct dp_port *port;
	unsigned int worker;   /* that serves it; set once by the control side before publication */
	struct traffic rx;     /* from the guest; written by that worker */
	uint64_t not_before;   /* TSC: a queue that had few packets is looked at less often */
	uint16_t burst;	       /* packets asked for next: fewer where they are large */
	struct policy_src_cache src;
	struct rate flood, neigh, learn;
	uint32_t knobs_gen; /* of the rates above */
	struct sighting told[LEARN_TOLD]; /* lately */
	uint64_t told_at[LEARN_TOLD];
	uint8_t told_next;
	bool inject;	    /* what the switch itself puts in: its guest is told of no errors */
};

/* Who looks at packets. Immutable, replaced as a whole. */
struct watch_table {
	unsigned int n;
	bool dry; /* of a dry run: what would leave ends here */
	struct watch *list[WATCH_MAX];
};

/* A port as workers see it; immutable but for the counters. */
struct dp_port {
	uint16_t index, n_queues;
	struct port_counters *counters; /* [n_workers], and one for dry runs; queues' counters behind them */
	struct rxq *rxqs;		/* [n_queues] */
	struct dp_port *next;		/* main's: of those that are gone, but for a plan */
	struct port_queue *queues[];
};

/* Counters of one queue pair of a member; they go on counting when another device takes the slot. */
struct member_queue {
	struct traffic rx __attribute__((aligned(64))); /* written by the one worker that polls the queue */
	struct traffic tx __attribute__((aligned(64))); /* by the one that sends by it, or under its lock */
};

/* What one worker polls. Immutable, replaced as a whole. */
struct plan {
	unsigned int n_rxq, n_members;
	uint32_t spread; /* bit: a member whose frames may be handed over: handover.c */
	struct plan_member {
		uint8_t member;
		uint16_t queue;
		bool punt; /* this worker also sends teamwatch's frames through the member */
	} *members; /* behind rxqs */
	struct rxq *rxqs[];
};

/* Templates toward one remote host; immutable. tmpl[pa * n_members + member] */
struct tunnel {
	uint16_t n_pas, n_members;
	uint16_t max_inner; /* smallest of the templates': largest inner IP packet; 0: no path yet */
	uint8_t spread;
	bool usable;
	uint8_t pa_of_flow[64];
	struct encap_template tmpl[];
};

/* Packets gathered for one destination during a turn. */
struct out {
	uint16_t n;
	bool listed; /* in the worker's list of ports to flush */
	struct rte_mbuf *pkts[OUT_MAX];
};

/*
 * Packets by place of lookup records. What `of` points to is written by that worker; the last, of dry runs, has none.
 */
struct record_counts {
	uint32_t n; /* places */
	struct traffic *base; /* main's: what is not the present record's */
	struct traffic *of[DATAPATH_MAX_WORKERS + 1];
};

/* Knobs that may change at run time; immutable, replaced as a whole. */
struct knobs {
	uint32_t gen, max_sleep_us, flood_pps, neigh_pps, learn_pps, learn_burst;
	bool flow_id, plain_uplink, mss_clamp;
	bool redirect;
	uint8_t rss; /* enum offload_rss */
	const struct record_counts *records; /* NULL: nobody wants them */
};

#define REDIRECT_HOSTS 64

/* Packets for guests that have moved; a worker's own. */
struct redirect_state {
	bool late; /* something was sent while ports were flushed */
	struct rate tell, hear;
	struct redirect_rate {
		uint16_t host;
		struct rate rate;
	} tells[REDIRECT_HOSTS], hears[REDIRECT_HOSTS]; /* by host */
};

/* Frames from one worker to another. */
struct lane {
	struct rte_ring *ring;
	uint64_t sent;				    /* the writer's own */
	uint64_t done __attribute__((aligned(64))); /* written by the reader when they are with their receivers */
} __attribute__((aligned(64)));

/* Software RSS of one worker; its own. */
struct handover {
	uint32_t members; /* bit: its frames are handed over now */
	uint32_t hold;	  /* bit: it waits in its device until what was handed over is with its receivers */
	uint32_t turns, full, packets; /* since `window`; full: turns with a burst of WIRE_BURST */
	uint32_t limit, cool;	       /* packets of a window that were too many; windows in a row with much less */
	uint64_t window, sampled;      /* TSC: begin of the window, and of `busy`, 0: none */
	uint64_t busy[DATAPATH_MAX_WORKERS]; /* cycles that each worker had spent then */
	uint16_t taken[DATAPATH_MAX_WORKERS]; /* in this turn, by writer */
	unsigned int room; /* frames that may be handed over before the pool is looked at again */
	uint8_t first;	   /* writer that is looked at first */
};

struct worker {
	struct datapath *dp;
	unsigned int id, lcore;
	bool stop;		    /* written by main, read by the worker */
	const struct plan *plan;    /* published by main */
	struct rte_ring *inject;    /* written by main, read by the worker */
	struct rte_ring *sights;    /* written by the worker, read by main */

	/* from here on: the worker's own */
	const struct team_view *view; /* of this turn */
	const struct knobs *knobs;    /* of this turn */
	const struct watch_table *watch; /* of this turn; NULL: nobody looks */
	uint32_t traced;	      /* packets that got a number */
	uint16_t n_again;	      /* echo.c: answers to be put in at a port */
	struct rte_mbuf *again[8];
	uint64_t view_gen;	      /* that `bucket` follows */
	uint8_t bucket[TEAM_BUCKETS]; /* -> member: the view's, but for those that wait for a pause to move */
	uint64_t now;		      /* TSC at the beginning of the turn */
	uint16_t ip_id;
	unsigned int rx_hint;	      /* last PA that matched on the wire */
	struct rate plain_flood;      /* from the wire into the plain segment */
	uint32_t knobs_gen;	      /* of the rate above */
	struct rate mismatches, answers; /* sights.c: of what comes from the wire */
	uint32_t leases_gen;	      /* knobs that `leases` follows */
	struct rate leases[POLICY_MAX_PORTS]; /* of what is given to a port */
	struct sighting answered[LEARN_ANSWERS]; /* lately, by hash */
	uint64_t answered_at[LEARN_ANSWERS];
	bool sighted;		      /* main has to be woken */
	struct ip_addr last_src;      /* last outer source and its host */
	uint16_t last_host;
	uint16_t n_active, n_free;
	uint16_t active[POLICY_MAX_PORTS]; /* ports with packets gathered */
	struct out wire[TEAM_MEMBERS];
	struct rte_mbuf *free[2 * OUT_MAX];
	struct out *out;		   /* [POLICY_MAX_PORTS] */
	struct redirect_state redirect;

	/* counters: one writer (this worker), read by control threads */
	struct drop_counters drops __attribute__((aligned(64)));
	uint64_t stage[STAGE_COUNT];
	uint64_t member_tx_dropped[TEAM_MEMBERS];
	uint64_t bucket_bytes[TEAM_BUCKETS];
	struct offload_counters offload;
	struct handover handover;
	uint64_t lags[TEAM_BUCKETS / 64]; /* bit: the bucket is not yet where the view has it */
	uint64_t bucket_seen[TEAM_BUCKETS]; /* TSC, of those that lag: last packet, or when it began */
	uint64_t sights_told, sights_suppressed;
	uint64_t turns, busy_turns, busy_cycles, packets, sleeps, sleep_ns, remote_numa;
} __attribute__((aligned(64)));

struct datapath {
	struct datapath_params params;
	unsigned int n_workers;
	uint64_t tsc_hz;
	bool running;
	/* published */
	struct dp_port *ports[POLICY_MAX_PORTS];
	const struct tunnel *tunnels[POLICY_MAX_HOSTS];
	const struct hook_table *hooks; /* NULL: no extension anywhere */
	const struct watch_table *watches; /* NULL: none */
	const struct knobs *knobs;
	uint32_t learn_waiting; /* main has been woken and not looked yet; changed by atomic exchange */
	uint32_t fits_all; /* bytes of an inner IP packet that fit every tunnel; relaxed */
	uint64_t spreading; /* bit: a worker whose lanes may hold frames; changed by that worker, atomically */
	/* members with fewer transmit queues than workers are shared under a lock */
	rte_spinlock_t tx_lock[TEAM_MEMBERS] __attribute__((aligned(64)));
	uint64_t copies[COPIES] __attribute__((aligned(64))); /* copies.c: written by all workers, atomically */
	struct member_queue member_queues[TEAM_MEMBERS][DATAPATH_MEMBER_QUEUES];
	/* main thread only */
	unsigned int next_worker __attribute__((aligned(64)));
	struct dp_port *gone; /* until the plans that name them can be replaced */
	struct record_counts *records; /* what the knobs name */
	uint8_t watch_slots; /* bit: of a watch, also of one that has ended and may still be seen */
	uint64_t alive_turns[DATAPATH_MAX_WORKERS];
	struct worker *workers[DATAPATH_MAX_WORKERS];
	struct lane *lanes; /* [from * n_workers + to], fixed; NULL: one worker */
};

/* worker.c */
int worker_main(void *arg);
/* One turn: poll everything, carry it all the way, flush. @return packets seen. */
unsigned int worker_turn(struct worker *w);

/* plan.c: build and publish every worker's plan from the attached ports and open members. Main thread. */
int plan_publish(struct datapath *dp);

/* datapath.c: dp->records instead of what was counted in. Main thread. @return 0, -ENOMEM: that stays. */
int knobs_publish_records(struct datapath *dp);

/* record_counts.c, with w->knobs->records: packets with their verdicts, before they are given to their destinations. */
void record_counts_add(struct worker *w, struct rte_mbuf **pkts, uint16_t n);
/* At the end, when no worker runs. */
void record_counts_free(struct datapath *dp);

/* counters.c: sums of a port that is attached, or not any more. Main thread. */
void port_stats(const struct datapath *dp, const struct dp_port *p, struct datapath_port_stats *ret);

/* watch.c; w->watch is not NULL. */
uint16_t watch_burst(struct worker *w, enum watch_point point, uint16_t who, struct rte_mbuf **pkts, uint16_t n);
/* What tests take out where nothing can be delivered; only while somebody looks. @return packets left. */
uint16_t watch_tests(struct worker *w, uint16_t port, struct rte_mbuf **pkts, uint16_t n);
void watch_stages(struct worker *w, enum stage stage, struct rte_mbuf **pkts, uint16_t n);
void watch_dropped(struct worker *w, uint16_t port, struct rte_mbuf *m, enum drop_reason why);

/* Show a burst to who looks; a test may take packets out. @param who port, member. @return packets left. */
static inline uint16_t watch(struct worker *w, enum watch_point point, uint16_t who, struct rte_mbuf **pkts, uint16_t n)
{
	return unlikely(w->watch != NULL) ? watch_burst(w, point, who, pkts, n) : n;
}

/* A stage has judged a burst. */
static inline void watch_stage(struct worker *w, enum stage stage, struct rte_mbuf **pkts, uint16_t n)
{
	if (unlikely(w->watch != NULL))
		watch_stages(w, stage, pkts, n);
}

/* echo.c */
void echo_again(struct worker *w);

/* egress.c: frames of one burst of a guest queue, all the way to where they are gathered. */
void egress_burst(struct worker *w, struct rxq *rxq, struct rte_mbuf **pkts, uint16_t n);
/* MTU toward a host if the packet does not fit, else 0. Whoever forwards has to ask: the sender may have to be told. */
uint16_t egress_too_big(const struct worker *w, const struct rte_mbuf *m, uint16_t host);
/* encapsulate and gather packets with VERDICT_REMOTE (also flood's copies); they fit. */
void egress_remote(struct worker *w, struct rte_mbuf **pkts, uint16_t n);
/* fragment.c: may a packet that does not fit be cut? */
bool fragment_may(const struct pkt_meta *meta);
/* Cut it into IP packets of at most mtu bytes, and send those by its verdict (REMOTE, LOCAL). Takes the mbuf. */
void fragment_packet(struct worker *w, struct rte_mbuf *m, uint16_t mtu);
/* give gathered packets of every member to its device */
void egress_flush(struct worker *w);
/* Encapsulated frames, to be sent by the member of their metadata. */
void egress_emit(struct worker *w, struct rte_mbuf **pkts, uint16_t n);
/* gather one frame for a member */
void egress_wire(struct worker *w, uint8_t member, struct rte_mbuf *m);

/*
 * The longest frame, not to be cut by the NIC, that a member is given: there is no larger MTU on wires, and NICs stop a
 * queue for a frame of more buffers than they take.
 */
#define FRAME_WIRE_MAX (ETH_HLEN_ + 4u + 9216u)

/* mss.c: TCP packet with SYN, of which everything that it says fits max_inner bytes of inner IP packet. */
void mss_clamp(struct rte_mbuf *m, const struct pkt_meta *meta, uint16_t max_inner);

/* flowlet.c: buckets follow the view. */
/* At the beginning of a turn with another view. */
void flowlet_follow(struct worker *w);
/* A packet of a bucket that lags: if it comes after a pause the bucket moves, before the packet is sent. */
void flowlet_packet(struct worker *w, unsigned int bucket);

/* Member for a bucket of the transmit hash. */
static inline uint8_t flowlet_member(struct worker *w, unsigned int bucket)
{
	if (unlikely(team_bucket_in(w->lags, bucket)))
		flowlet_packet(w, bucket);
	return w->bucket[bucket];
}

/*
 * copies.c: was the same frame taken from another member since the address moved? Only while a move is fresh: it
 * writes memory that workers share.
 */
bool copies_seen(struct datapath *dp, const struct team_pa_view *pa, uint8_t member, const struct rte_mbuf *m);

/* ingress.c */
void ingress_burst(struct worker *w, uint8_t member, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
/* Its second part: decapsulation and all that follows, by the worker that carries the frames. */
void ingress_carry(struct worker *w, uint8_t member, struct rte_mbuf **pkts, uint16_t n);
/* Outer headers of a frame. @return DROP_NONE, or why it is no tunnel packet for this host. */
enum drop_reason ingress_outer(struct worker *w, uint8_t member, const struct rte_mbuf *m, struct encap_rx *ret);

/* redirect.c */
void redirect_init(struct worker *w);
/*
 * A decapsulated unicast packet of which nobody is here to take it: on to the host that has its guest now, its sender
 * is told. @param has_port the guest's port is here. @return true: it was taken, be it for a drop of its own name.
 */
bool redirect_packet(struct worker *w, struct rte_mbuf *m, bool has_port);
/* The same for a packet to a port without a guest, from the wire or not, while ports are flushed. */
bool redirect_from_port(struct worker *w, struct rte_mbuf *m);
/*
 * With the knob on, a decapsulated packet that is about to be dropped: a message of its host about a guest that has
 * moved? @return DROP_NONE: none; else what becomes of it: TAKEN (main has it), BAD, REFUSED, LIMIT.
 */
enum drop_reason redirect_heed(struct worker *w, struct rte_mbuf *m);
/* A guest's frame that another host might take for such a message of ours? */
bool redirect_forged(struct worker *w, const struct rte_mbuf *m);

/*
 * ring.c: n (a power of two) elements of so many bytes, one writer and one reader, in no memzone: there are several
 * instances, and tests, in one process. @return the caller's, for free(); NULL: no memory.
 */
struct rte_ring *ring_make(const char *name, unsigned int elem, unsigned int n);

/* handover.c */
int handover_init(struct datapath *dp);
void handover_free(struct datapath *dp);
/* Bit: a member whose queues do not spread flows over all workers. Main thread. */
uint32_t handover_members(const struct datapath *dp, const struct team_view *v);
/* Between turns, if there are such members: are their frames to be handed over from now on? */
void handover_judge(struct worker *w, uint32_t members);
/* After all members were polled: frames, and was there one that had a burst of WIRE_BURST? */
void handover_count(struct worker *w, unsigned int n, bool full);
/* Give frames of a member to the workers that their flows choose. @return how many are this one's, in front. */
uint16_t handover_out(struct worker *w, uint8_t member, struct rte_mbuf **pkts, uint16_t n);
/* Carry what other workers have handed over. @param writers bits of datapath.spreading. @return frames. */
unsigned int handover_in(struct worker *w, uint64_t writers);
/* At the end of that turn: it is with its receivers. */
void handover_done(struct worker *w);

/* sights.c: what main should know. */
int sights_init(struct worker *w);
void sights_free(struct worker *w);
/* From a port's guest, by the port's rate; what was told a moment ago is not told again. */
void sights_tell(struct worker *w, struct rxq *rxq, const struct sighting *s);
/*
 * A frame from the wire contradicts policy. @param inner_off of the inner frame, whose first 14 bytes are in the first
 * segment; 0: the outer headers have been taken off.
 */
void sights_mismatch(struct worker *w, const struct rte_mbuf *m, uint32_t inner_off, uint32_t vsid,
		    enum drop_reason why);
/* Packets toward local ports, of which one may be a DHCP server's answer. */
void sights_leases(struct worker *w, struct rte_mbuf **pkts, uint16_t n);
/* A packet of a port's guest that is flooded. */
void sights_flooded(struct worker *w, struct rxq *rxq, const struct policy_port *port, struct rte_mbuf *m);
/* ARP and ND among decapsulated frames, while answers are awaited: those answers. */
void sights_answers(struct worker *w, struct rte_mbuf **pkts, uint16_t n);
/* For main as it is; the caller has a rate. */
void sights_put(struct worker *w, const struct sighting *s);
/* At the end of a turn with w->sighted. */
void sights_wake(struct worker *w);

/* inject.c: what main has for ports. */
int inject_init(struct worker *w);
void inject_free(struct worker *w);
void inject_burst(struct worker *w);
/* A frame as if the guest of the port had sent it. */
void inject_egress(struct worker *w, uint16_t port, struct rte_mbuf *m);

/* Where a queue of a member counts. */
static inline struct member_queue *member_queue(struct datapath *dp, unsigned int member, unsigned int queue)
{
	static_assert((DATAPATH_MEMBER_QUEUES & (DATAPATH_MEMBER_QUEUES - 1)) == 0, "a mask");

	return &dp->member_queues[member][queue & (DATAPATH_MEMBER_QUEUES - 1)];
}

/* local.c: gather for a port (takes the mbuf), and copy everything gathered into the guests' rings. */
void local_enqueue(struct worker *w, uint16_t port, struct rte_mbuf *m);
void local_flush(struct worker *w);

/* flood.c: one packet to every local member but its source, and one copy per remote member host. Takes the mbuf. */
void flood_packet(struct worker *w, struct rte_mbuf *m, bool from_wire);

/* icmp.c: what the distributed router says itself. */
/* Echo to the gateway: turn the packet into the reply. @return true: m is the answer. */
bool icmp_echo_reply(const struct policy_subnet *s, struct rte_mbuf *m);
/*
 * The ICMP or ICMPv6 error for a packet dropped with `why` (TTL, TOO_BIG, NO_ROUTE, NO_RECORD), from the subnet's
 * gateway address to its sender, as often as `limit` allows. @return a new mbuf, or NULL when RFC 1122 3.2.2 or RFC
 * 4443 2.4 forbid one; those cost nothing of the limit.
 */
struct rte_mbuf *icmp_error(struct worker *w, const struct policy_subnet *s, struct rte_mbuf *m,
			    enum drop_reason why, uint16_t mtu, struct rate *limit);

/* plain.c: the VSID-0 segment and its uplink. */
void plain_to_wire(struct worker *w, struct rte_mbuf *m);
/* A frame on a member that is no tunnel packet. @return true: taken. */
bool plain_from_wire(struct worker *w, uint8_t member, struct rte_mbuf *m);

/* tunnel.c */
const struct tunnel *tunnel_build(struct datapath *dp, const struct policy_host *host);

/* Drop a packet: count it for the worker, and for its port where it has one; the mbuf is freed in bulk later. */
void worker_drop(struct worker *w, uint16_t port, struct rte_mbuf *m, enum drop_reason why);
void worker_free_flush(struct worker *w);

static inline void worker_free(struct worker *w, struct rte_mbuf *m)
{
	if (unlikely(w->n_free == RTE_DIM(w->free)))
		worker_free_flush(w);
	w->free[w->n_free++] = m;
}

/* The hooks of a point; dropped and consumed packets are taken out. @return packets left. */
uint16_t hooks_run(struct worker *w, enum hook_point point, struct rte_mbuf **pkts, uint16_t n);

static inline uint16_t hooks(struct worker *w, enum hook_point point, struct rte_mbuf **pkts, uint16_t n)
{
	return unlikely(rcu_dereference(w->dp->hooks) != NULL) ? hooks_run(w, point, pkts, n) : n;
}

#endif
