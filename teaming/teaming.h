/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The NIC team: its members, which of them are usable, 256 buckets over them, our provider addresses with
 * one home member each, ARP/ND/echo for those addresses, and resolution of remote provider addresses and
 * next hops.
 *
 * Threads. teamwatch (made here) owns the state: netlink, timers, neighbour sockets, failover; it publishes
 * an immutable struct team_view by RCU. Devices are opened and closed on portctl by the teaming_member_*
 * calls. Main configures by teaming_configure() and reads answers under a mutex that workers never take.
 */
#ifndef TEAMING_TEAMING_H
#define TEAMING_TEAMING_H

#include <stdbool.h>
#include <stdint.h>
#include <net/if.h>
#include <rte_mbuf.h>

#include "base/encap_ops.h"
#include "base/errs.h"
#include "base/flowhash.h"
#include "base/member_ops.h"
#include "base/object.h"
#include "base/rcu.h"
#include "base/str.h"

#define TEAM_BUCKETS 256
#define TEAM_NO_MEMBER 0xff
#define TEAM_GROUPS 32 /* multicast groups that flooded frames come by */
#define TEAM_LOCALS (LOCAL_PAS + TEAM_GROUPS)

/* A set of buckets, for whatever is said of some of them. */
static inline bool team_bucket_in(const uint64_t set[TEAM_BUCKETS / 64], unsigned int bucket)
{
	return set[bucket / 64] >> bucket % 64 & 1;
}

/* Its bit in word bucket / 64 of such a set. */
static inline uint64_t team_bucket_bit(unsigned int bucket)
{
	return UINT64_C(1) << bucket % 64;
}

enum team_mode {
	TEAM_AUTO,	  /* as the team's runner implies; static provider: independent */
	TEAM_INDEPENDENT, /* switch knows nothing: each PA's MAC may be seen on one port only */
	TEAM_COOPERATE,	  /* LACP or static LAG: any PA may leave and arrive by any member */
};
extern const char *const team_mode_names[];

struct teaming;

struct team_member_view {
	const struct member_dev *dev; /* NULL: not open */
	bool present, usable;
	uint8_t pa4, pa6;	      /* index of the source PA for each family, TEAM_NO_MEMBER if none */
	bool all_frames;	      /* rx sees unrelated frames and our own (AF_PACKET) */
	bool punt;		      /* no netdev: ARP, ND, ICMP for our PAs go through punt rings */
	uint32_t speed;		      /* Mbit/s, 0 unknown */
	struct mac mac;		      /* of the netdev */
};

struct team_pa_view {
	struct encap_local local;
	uint8_t home, now, prev;  /* member indices; prev still accepted until prev_until */
	uint8_t state;		  /* enum pa_state; only PREFERRED (and DEPRECATED) is accepted and used */
	uint64_t prev_until;	  /* TSC */
};

/* What workers see of the team. Immutable; replaced as a whole. */
struct team_view {
	uint64_t gen;
	uint8_t mode; /* enum team_mode, never AUTO */
	uint8_t n_members, n_pas, n_usable;
	uint8_t n_local; /* n_pas, and the groups behind them */
	uint8_t designated;	      /* lowest usable member: receives group addresses in independent mode */
	uint8_t bucket[TEAM_BUCKETS]; /* -> member, TEAM_NO_MEMBER if none is usable */
	/* bit: moved for balance; whoever sends goes on by the member it used, while usable, until the bucket pauses */
	uint64_t patient[TEAM_BUCKETS / 64];
	struct team_member_view members[TEAM_MEMBERS];
	struct team_pa_view pas[TEAM_LOCALS]; /* a group is at home with the designated member */
	struct encap_local local[TEAM_LOCALS]; /* the same as a dense array for encap_ops->parse */
};

/* Told to the daemon's main loop; called on teamwatch: must not block. */
enum teaming_event_type {
	TEAMING_VIEW,	   /* a new view was published */
	TEAMING_PATHS,	   /* paths changed: teaming_paths_changed() */
	TEAMING_MEMBER,	   /* member: link, usable changed; text says why */
	TEAMING_PA,	   /* pa: state changed or moved to another member */
	TEAMING_NETDEV,	   /* member's netdev appeared, vanished: portctl has to open or close it */
	TEAMING_NONE_USABLE,
	TEAMING_REBALANCE, /* buckets were exchanged for balance, or could not be: text */
	TEAMING_TEAM,	   /* news of the team as a whole: text */
	TEAMING_ALARM,	   /* text says what is wrong with the team as a whole */
};

struct teaming_event {
	enum teaming_event_type type;
	uint8_t member;
	struct ip_addr pa;
	uint8_t pa_state;
	char text[128];
};

typedef void (*teaming_event_fn)(const struct teaming_event *ev, void *arg);

struct teaming_config {
	const char *host_id; /* seeds MACs of PAs */
	uint8_t mode;	     /* enum team_mode */
	uint32_t hold_down_ms; /* a member is used again after its link was good for this long; not at its first link,
				* and not when no other member is usable */
	uint32_t grace_ms;     /* frames to a moved PA are accepted on its previous member for so long; 0: 500 */
	bool rebalance;	       /* exchange buckets by load, see teaming_traffic() */
	bool rebalance_force;  /* also those that never pause */
	uint16_t n_members, n_pas, n_routes;
	const struct member_spec *members; /* with a device: what differs from the default for ports of that name */
	const struct pa_spec *pas;
	const struct provider_route_spec *routes;
	const char *state_dir; /* PAs that were preferred before a restart are used at once; NULL: none are */
	teaming_event_fn event;
	void *arg;
	/* Only at creation: */
	const char *device;	  /* team device whose ports are the members; NULL or "": the members are `members` */
	const char *runner;	  /* of the team, where teamd cannot be asked; NULL or "": ask */
	uint8_t member_type;	  /* enum member_type of ports that `members` does not mention */
	bool spread_all;	  /* standby ports of runner activebackup carry data, too */
	uint32_t detach_grace_ms; /* a team device that is made anew: what it said last is valid so long; 0: 3000 */
};

/*
 * Start teamwatch with a configuration. Members are present but not open until teaming_member_open().
 * @param ret freed by teaming_free(). Main thread. @return 0 or -errno with a reason.
 */
int teaming_create(const struct teaming_config *config, struct teaming **ret, struct errbuf *err);
void teaming_free(struct teaming *t);

/*
 * Replace the configuration by difference: members and PAs that stay keep their state. Same pointers as at
 * creation may be passed; everything is copied. Main thread. @return 0 or -errno, nothing changed then.
 *
 * Indices of members and PAs are slots: at creation those of the configuration, later whatever was free, for life.
 * A member that is removed while its device is open keeps its slot until teaming_member_close(). -ENOSPC: so many
 * are waiting for that that new ones have no room.
 */
int teaming_configure(struct teaming *t, const struct teaming_config *config, struct errbuf *err);

/* Validate a configuration without touching anything (--check). Any thread. */
int teaming_check(const struct teaming_config *config, struct errbuf *err);

/*
 * Probe, configure and start the device of a member; publishes it. portctl thread.
 *
 * When: at the start for all members that are present; later after TEAMING_NETDEV, looking at teaming_members(): open
 * what is present and not open, close what is open and not present. An open device counts as not present when its
 * netdev is gone or another, when its configuration changed, and when the member was removed.
 *
 * AF_PACKET: one queue pair per max(rxq, txq, spec.queues), because each is a socket that gets its share. AF_XDP: one
 * per receive queue of the NIC, buffers of its own. Offloads are masked with what the driver has. A relay is made, or
 * taken over, with the first opening, and kept until the member or its relay is configured away, or teaming_free().
 * @return 0; -ENODEV, -EBUSY, -EEXIST (foreign XDP program), -EMSGSIZE (MTU does not fit the buffers), -EALREADY...
 */
int teaming_member_open(struct teaming *t, unsigned int member, const struct member_config *c, struct errbuf *err);

/* Unpublish, wait for the workers, stop and close. portctl thread. */
void teaming_member_close(struct teaming *t, unsigned int member);

/* Use other ops than ethdev's for a member (tests). Before teaming_member_open(). */
void teaming_member_ops(struct teaming *t, unsigned int member, const struct member_ops *ops);
/* Ops of members for which that was not called (tests; before the first is opened). NULL, or answering so: ethdev. */
extern const struct member_ops *(*teaming_ops_for)(const struct member_spec *spec);

/* ---- remote side: main thread ---- */

/* The remote PAs to keep resolved (all hosts', de-duplicated here). Copied. @return 0, -ENOMEM. */
int teaming_remotes_set(struct teaming *t, const struct ip_addr *pas, unsigned int n);

/*
 * How to reach a remote PA through a member. @return 0 with *ret and the path's IP MTU; -EHOSTUNREACH (no PA
 * or no provider route), -EAGAIN (neighbour not resolved: everything but ret->dst_mac is filled in),
 * -ENETDOWN. Main thread; takes the mutex.
 */
int teaming_path(struct teaming *t, const struct ip_addr *remote, unsigned int member, struct encap_path *ret,
		 uint16_t *ret_mtu, uint8_t *ret_local_pa);

/* Fetch up to n remote PAs whose paths changed since the last call. @return how many (n: call again). */
unsigned int teaming_paths_changed(struct teaming *t, struct ip_addr *ret, unsigned int n);

/*
 * The multicast groups to be a member of: a host of a subnet with a group. @return 0; -ENOSPC: more than TEAM_GROUPS.
 * Main thread; takes the mutex.
 */
int teaming_groups(struct teaming *t, const struct ip_addr *groups, unsigned int n);

/* MACs of the plain segment to announce on failover (plain-uplink). Main thread. */
int teaming_plain_macs(struct teaming *t, const struct mac *macs, unsigned int n);

/*
 * Bucket of a MAC of the plain segment in an independent team: its frames leave by view->bucket[] of it, and
 * failover announces it there. Pure, any thread.
 */
static inline uint8_t teaming_mac_bucket(const struct mac *mac)
{
	return (uint8_t)FLOW_BUCKET((uint32_t)flowhash_mix(mac_load(mac), 0x9e3779b97f4a7c15u));
}

/*
 * What went out by bucket, once a second. Every ten seconds the busiest member gives a busy bucket to the least busy
 * one in exchange for a quiet one, if their loads are far apart (HNV row 64). Without speeds there is no load and
 * nothing moves.
 * @param bytes since the start. @param waiting bit: some worker still sends the bucket by the member it had before an
 * exchange, because its traffic does not pause. Main thread; takes the mutex.
 */
void teaming_traffic(struct teaming *t, const uint64_t bytes[TEAM_BUCKETS], const uint64_t waiting[TEAM_BUCKETS / 64]);

/* ---- ping: main thread; takes the mutex ---- */

#define TEAMING_PING_MAX 9216

/* How an echo stands. X(symbol, "name", "what it means") */
#define PING_LIST(X)                                                                                       \
	X(WAITING, "waiting", "sent, no answer yet")                                                       \
	X(OK, "ok", "answered")                                                                            \
	X(NO_NEIGHBOUR, "no-neighbour", "nobody says that the next hop's address is his (ARP, ND)")        \
	X(OWN, "own-address", "it is an address of this host")                                             \
	X(NO_PA, "no-pa", "this host has no usable provider address of that family, or not that one")      \
	X(NOT_HOME, "not-home", "the provider address is with another member, which alone may send for it") \
	X(NO_MEMBER, "no-member", "no usable team member")                                                 \
	X(NO_ROUTE, "no-route", "not in a provider subnet, and no provider route leads there")             \
	X(MTU, "mtu", "does not fit the member's MTU; nothing is fragmented")                              \
	X(TOO_BIG, "too-big", "a router on the way cannot forward a packet of this size")                  \
	X(UNREACHABLE, "unreachable", "a router on the way, or the host, says that it cannot be reached")  \
	X(TIME_OUT, "time-out", "sent to a resolved next hop, and not answered in time")

enum teaming_ping_state {
#define X(sym, ...) PING_##sym,
	PING_LIST(X)
#undef X
	PING_STATES,
};

struct teaming_ping {
	struct ip_addr to, from; /* from unset: any of ours that can */
	uint8_t member;		 /* TEAM_NO_MEMBER: any */
	bool df;
	uint16_t sequence;
	uint32_t size; /* of the IP packet, at most TEAMING_PING_MAX */
};

struct teaming_pong {
	enum teaming_ping_state state;
	struct ip_addr to, from, hop, by; /* hop: next; by: who says that it failed */
	uint8_t member, came_by;
	uint16_t sequence, mtu;
	uint32_t size;
	uint64_t rtt_ns;
};

/*
 * Send an echo request as tunnels to that address go, when its next hop is resolved. @return a handle for the two
 * below, until teaming_ping_end(); -EBUSY: too many at the same time; -EINVAL: size.
 */
int teaming_ping(struct teaming *t, const struct teaming_ping *ping);
/* PING_NO_NEIGHBOUR and PING_WAITING may still change: how long to wait is the caller's to say. @return 0, -ENOENT. */
int teaming_ping_poll(struct teaming *t, unsigned int handle, struct teaming_pong *ret);
void teaming_ping_end(struct teaming *t, unsigned int handle);

/* ---- workers ---- */

/* Ethernet address of an IPv4 or IPv6 multicast group. Pure, any thread. */
static inline void teaming_group_mac(const struct ip_addr *group, struct mac *ret)
{
	if (group->family == 4) /* RFC 1112 6.4 */
		*ret = (struct mac){ { 0x01, 0x00, 0x5e, group->b[1] & 0x7f, group->b[2], group->b[3] } };
	else /* RFC 2464 7 */
		*ret = (struct mac){ { 0x33, 0x33, group->b[12], group->b[13], group->b[14], group->b[15] } };
}

/*
 * The current view; valid until the worker's next quiescent state. Never NULL after creation. Control threads may look
 * at one, and at its devices' queue counts, for some seconds: memory is kept for ten.
 */
const struct team_view *teaming_view(const struct teaming *t);

/*
 * Hand ARP, ND, ICMP frames of a punt member to teamwatch. @return accepted (taken); the rest stay the
 * caller's.
 */
uint16_t teaming_punt_rx(struct teaming *t, unsigned int member, struct rte_mbuf **pkts, uint16_t n);
/* Frames of teamwatch that a worker has to send through a punt member. One worker per member calls it. */
uint16_t teaming_punt_tx(struct teaming *t, unsigned int member, struct rte_mbuf **pkts, uint16_t n);

/* ---- status: control threads ---- */
#define TEAM_TEXT 32

struct teaming_status {
	const char *provider;
	uint8_t mode; /* enum team_mode in effect, never AUTO */
	/* The rest is empty without a team device. */
	char device[IFNAMSIZ];
	uint32_t if_index; /* of the team device, 0: not there or not to be read */
	char runner[TEAM_TEXT], runner_source[TEAM_TEXT]; /* from config, teamd, kernel */
	char kernel_mode[TEAM_TEXT];
	char teamd[TEAM_TEXT];	 /* alive, dead... */
	char problem[128]; /* what an operator should know; "": nothing */
	/* Of any team: */
	bool rebalance;
	uint64_t exchanges, exchanges_undone; /* of buckets, for balance */
};
void teaming_status(struct teaming *t, struct teaming_status *ret);

/* What teamd's LACP says of a port (IEEE 802.1AX). For people: who may carry data is the kernel's word. */
struct teaming_lacp {
	bool known;
	char state[16]; /* current, expired, defaulted, disabled */
	uint32_t aggregator;
	uint32_t key, partner_key, partner_port;
	uint8_t actor_state, partner_state; /* bits: activity, timeout, aggregation, synchronization, collecting... */
	char partner[MAC_STR]; /* system */
};

struct teaming_member_status {
	struct member_spec spec;
	struct member_info info;
	bool open, present, link, usable;
	uint32_t speed;
	uint64_t tx_rate; /* bytes per second sent to remote hosts, smoothed; 0 without rebalancing */
	uint16_t buckets, pas, mtu;
	char why[96]; /* why not usable */
	char netdev[IFNAMSIZ]; /* what it is called now; "": there is none */
	struct teaming_lacp lacp;
};
struct teaming_pa_status {
	struct pa_spec spec; /* with derived MAC */
	uint8_t state, home, now;
	uint8_t weight; /* 1..255: share of what comes in that it should get, by the speed of its home */
};
/* By slot: a free one has an empty name (no address). @return the highest slot in use + 1, at most max. */
unsigned int teaming_members(struct teaming *t, struct teaming_member_status *ret, unsigned int max);
unsigned int teaming_pas(struct teaming *t, struct teaming_pa_status *ret, unsigned int max);
struct teaming_neigh_status {
	struct ip_addr address;
	struct mac mac;
	uint8_t member, state; /* 0 incomplete 1 reachable 2 stale 3 probe 4 failed */
};
unsigned int teaming_neighbours(struct teaming *t, struct teaming_neigh_status *ret, unsigned int max);

#endif
