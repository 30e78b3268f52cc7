/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The packet path: workers, what each of them polls (the plan), and the way of a packet in both directions
 * (egress.c, ingress.c). The control side (main and portctl threads) attaches and detaches ports and members,
 * rebuilds tunnel templates, and reads counters.
 */
#ifndef DATAPATH_DATAPATH_H
#define DATAPATH_DATAPATH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/drop.h"
#include "base/errs.h"
#include "base/port_ops.h"
#include "base/stats.h"
#include "datapath/describe.h"
#include "datapath/echo.h"
#include "datapath/stages.h"
#include "datapath/watch.h"

struct datapath;
struct policy;
struct teaming;
struct rte_mempool;
struct rte_mbuf;
struct sighting;

#define DATAPATH_MAX_WORKERS   64
#define DATAPATH_PORT_QUEUES   64  /* queue pairs of one port */
#define DATAPATH_MEMBER_QUEUES 128 /* of one member; a power of two */

struct datapath_params {
	struct policy *policy;
	struct teaming *teaming;
	struct rte_mempool *pool;  /* for answers, clones and flood copies */
	unsigned int n_workers;	   /* = EAL worker lcores; worker i runs on the i-th */
	uint64_t salt;		   /* of the flow hash */
	uint32_t max_sleep_us;	   /* longest sleep of an idle worker; 0: never sleeps */
	uint32_t flood_pps;	   /* flooded frames per second and port; 0: no limit */
	uint32_t neigh_pps;	   /* ARP/ND/ICMP answers per second and port; 0: no limit */
	uint32_t learn_pps;	   /* sightings (policy.h) per second and port that are told to main; 0: no limit */
	uint32_t learn_burst;	   /* as many at once */
	int learn_fd;		   /* eventfd, written when there are sightings; 0 or less: none */
	bool flow_id;		   /* false: FlowID always 0 */
	bool plain_uplink;	   /* VSID-0 ports reach the team */
	bool mss_clamp;		   /* lower the MSS option of SYNs to what fits the tunnel */
	bool redirect;		   /* tell senders of packets for guests that have moved, and heed others that do */
	uint8_t rss;		   /* enum offload_rss */
	uint16_t provider_mtu;	   /* underlay IP MTU where no member says better */
};

/* Workers do not run yet. Main thread after rte_eal_init(), rcu_init(). @return 0, -ENOMEM, -EINVAL. */
int datapath_create(const struct datapath_params *params, struct datapath **ret, struct errbuf *err);

/* On each thread that is to be a worker, while it may still make any system call. Without it sleeps are longer. */
void datapath_worker_prepare(void);

/* Launch the workers on their lcores. Main thread. @return 0 or -errno. */
int datapath_start(struct datapath *dp, struct errbuf *err);

/* Stop the workers (they finish their turn), free everything. Main thread. */
void datapath_free(struct datapath *dp);

/* Change the knobs that may change at run time: sleep, rates, flow_id, mss_clamp, redirect, rss.
 * Main thread. */
void datapath_set_knobs(struct datapath *dp, const struct datapath_params *params);

/*
 * Let workers serve a port: its queue pairs are distributed over them (same NUMA node first). The queues stay the
 * caller's and must live until datapath_port_detach() has returned. Main thread. @return 0, -ENOMEM, -EINVAL.
 */
int datapath_port_attach(struct datapath *dp, uint16_t port, struct port_queue *const *queues, unsigned int n);

/*
 * Receive queue of a member (slot of the view) that the worker polls which serves a port: where its frames are best
 * received. The member may have less queues. Main thread. @return 0..., -ENOENT (port is not attached).
 */
int datapath_queue_of_port(const struct datapath *dp, uint16_t port, unsigned int member);

struct datapath_port_stats {
	struct traffic rx, tx; /* from and to the guest */
	uint64_t drops[DROP_COUNT];
};

/*
 * No worker touches the port's queues any more when this returns (one grace period). Its counters end.
 * @param ret_last what they were; zeroes if it was not attached; NULL: nobody cares. Main thread.
 */
void datapath_port_detach(struct datapath *dp, uint16_t port, struct datapath_port_stats *ret_last);

/*
 * Send a frame of our own where its metadata say: LOCAL (meta->dst; vsid_out must be the port's), REMOTE (meta->dst,
 * dst_pa) or FLOOD (vsid_out; not to meta->src). The buffer is the workers' when it was taken. Main thread.
 * @return 0; -ENOENT (port is not attached), -ENOBUFS (too many at once): m stays the caller's.
 */
int datapath_inject(struct datapath *dp, struct rte_mbuf *m);

/*
 * Take what workers have noticed; as many from each worker in turn. Main thread. @return number, at most n.
 */
unsigned int datapath_sights(struct datapath *dp, struct sighting *ret, unsigned int n);

struct datapath_learn_stats {
	uint64_t told;	     /* sightings given to main */
	uint64_t suppressed; /* not told: more than the port's rate, or main did not take them in time */
};
void datapath_learn_stats(const struct datapath *dp, struct datapath_learn_stats *ret);

/*
 * Members were opened or closed (teaming published them): give their rx queues to workers anew. Before a device is
 * closed: unpublish in teaming, then this, then close. Main thread. @return 0, -ENOMEM.
 */
int datapath_members_update(struct datapath *dp);

/*
 * Rebuild the tunnel templates of one host (host index), or of all (HOST_NONE): after a change of the host object or of
 * paths to one of its PAs. Main thread. @return 0, -ENOMEM (the old templates stay).
 */
int datapath_host_update(struct datapath *dp, uint16_t host);

/* The ways to one of a host's provider addresses, over all members. */
struct datapath_path {
	bool usable;
	enum drop_reason why; /* when it is not */
	uint16_t max_inner;   /* largest inner IP packet */
};

/*
 * As the templates are now. @param ret by index of the host's address. Main thread. @return how many, 0: no such host,
 * or it is this one.
 */
unsigned int datapath_paths(const struct datapath *dp, uint16_t host, struct datapath_path *ret, unsigned int max);

/*
 * Count packets by lookup record from now on: those that guests of this host send to it, and those that come from the
 * wire for it. 16 bytes of memory for each place of a record and each worker. Off: what was counted is gone. Main
 * thread. @return 0; -ENOMEM: it stays as it was.
 */
int datapath_count_records(struct datapath *dp, bool on);
bool datapath_counts_records(const struct datapath *dp);
/*
 * Of the record at a place (policy_record_place()): since it is there, with what it had when it had another MAC.
 * Zeroes when nothing is counted. Main thread.
 */
void datapath_record_traffic(const struct datapath *dp, uint32_t place, struct traffic *ret);

/* ---- counters: main thread, which alone changes ports and plans; sums over workers ---- */

struct datapath_queue_stats {
	struct traffic rx, tx; /* of a port: from and to the guest; of a member: from and to the wire */
};

struct datapath_member_stats {
	struct traffic rx, tx;
	uint64_t tx_dropped;
};

struct datapath_worker_stats {
	unsigned int lcore, queues, member_queues;
	uint64_t turns, busy_turns; /* polls of everything; those that found packets */
	uint64_t busy_cycles, packets, sleeps, sleep_ns, remote_numa;
	uint64_t tsc_hz;
};

void datapath_drops(const struct datapath *dp, uint64_t ret[DROP_COUNT]);
void datapath_stages(const struct datapath *dp, uint64_t ret[STAGE_COUNT]);
/* ret: of enum offload_counter */
void datapath_offload(const struct datapath *dp, uint64_t *ret);
/* @return 0, -ENOENT */
int datapath_port_stats(const struct datapath *dp, uint16_t port, struct datapath_port_stats *ret);
int datapath_member_stats(const struct datapath *dp, unsigned int member, struct datapath_member_stats *ret);
/* By queue pair. What the switch itself puts in is of no queue. @return how many pairs the port has, at most max. */
unsigned int datapath_port_queues(const struct datapath *dp, uint16_t port, struct datapath_queue_stats *ret,
				  unsigned int max);
/* Queue pairs of a member's device; 0: it has none now. */
unsigned int datapath_member_queues(const struct datapath *dp, unsigned int member);
/* Of all pairs that the slot ever had: [DATAPATH_MEMBER_QUEUES]. */
void datapath_member_queues_all(const struct datapath *dp, unsigned int member, struct datapath_queue_stats *ret);
/* How many workers hand received frames over to others at the moment? */
unsigned int datapath_spreading(const struct datapath *dp);
int datapath_worker_stats(const struct datapath *dp, unsigned int worker, struct datapath_worker_stats *ret);

/* Traffic by bucket of the transmit hash, for the team view and rebalancing. */
void datapath_bucket_bytes(const struct datapath *dp, uint64_t ret[256]);
/* Bit: some worker still sends the bucket by another member than the view has, because its traffic never pauses. */
void datapath_buckets_waiting(const struct datapath *dp, uint64_t ret[4]);

/* True if every worker has made a turn (or woke from sleep) since the last call: feeds the watchdog. Main thread. */
bool datapath_alive(struct datapath *dp);

#endif
