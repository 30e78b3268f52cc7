/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * teamwatch without its thread: members, provider addresses, neighbours and buckets as one state machine.
 * Time, frames and publication come in and go out by struct tw_env, so that tests drive it with a clock and
 * a wire of their own. No locks: the caller holds teaming's mutex. After any change the caller runs
 * tw_settle(), which publishes.
 */
#ifndef TEAMING_CORE_H
#define TEAMING_CORE_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/tick.h"
#include "teaming/provider.h"
#include "teaming/rebalance.h"
#include "teaming/select.h"
#include "teaming/teaming.h"
#include "teaming/timer.h"

#define MS_NS 1000000ull
#define S_NS  1000000000ull

struct tw_state_pa;

struct tw_env {
	void *arg;
	uint64_t tsc_hz;
	uint64_t (*now)(void *arg); /* ns, monotonic */
	uint64_t (*tsc)(void *arg);
	uint32_t (*random)(void *arg);
	/* Send one frame, tag included, by a member. Best effort. */
	void (*send)(void *arg, unsigned int member, const uint8_t *frame, uint32_t len);
	void (*event)(void *arg, const struct teaming_event *ev);
	/* Publish the view; it is the environment's from now on. */
	void (*publish)(void *arg, struct team_view *view);
	/* Has every worker seen the last view? */
	bool (*settled)(void *arg);
};

enum tw_link { TW_DOWN, TW_HOLD, TW_UP };

struct tw_member {
	bool used;    /* slot is taken */
	bool leaving; /* not configured any more; the slot is free once the device is closed */
	bool busy;    /* portctl is opening it */
	bool reopen;  /* configuration differs from what is open */
	struct member_spec spec;
	struct provider_port port;
	const struct member_ops *ops;
	struct member_dev *dev; /* NULL: not open */
	struct member_info info;
	uint16_t mtu;		/* configured; for members without netdev */
	uint8_t state;		/* enum tw_link */
	bool was_up;
	int told;		/* want last told by TEAMING_NETDEV */
	uint32_t speed;		/* last known, Mbit/s */
	uint64_t hold_until;
	struct tw_timer hold;
	char why[96];		/* why it is not usable, "" when it is */
};

struct tw_pa {
	bool used;
	struct pa_spec spec; /* with MAC */
	uint8_t state;	     /* enum pa_state */
	uint8_t home, now, prev;
	uint64_t prev_until; /* TSC */
	bool checked;	     /* duplicate address detection was passed in this run */
	bool contested;	     /* somebody else claimed it at contested_at */
	uint64_t contested_at;
	uint8_t probes;	     /* sent in this round */
	uint8_t announced;   /* sent in this round */
	uint64_t announce_from;
	struct tw_timer dad, announce, keepalive;
};

/* One distinct (VLAN, prefix) of our PAs. */
struct tw_subnet {
	struct ip_prefix prefix;
	uint16_t vlan;
};

struct tw_neigh_key {
	uint16_t vlan;
	struct ip_addr address;
} __attribute__((packed));

enum tw_neigh_state { NEIGH_INCOMPLETE, NEIGH_REACHABLE, NEIGH_STALE, NEIGH_PROBE, NEIGH_FAILED };

struct tw_neigh {
	struct tw_neigh_key key;
	uint8_t state; /* enum tw_neigh_state */
	bool has_mac;
	struct mac mac;
	uint8_t member; /* it was last heard on */
	uint8_t tries;
	uint32_t turn; /* who asks next */
	uint64_t confirmed;
	struct tw_timer timer;
	LIST_HEAD(, tw_link_ref) users;
	TAILQ_ENTRY(tw_neigh) list;
};

/* The way from one of our subnets to a remote PA. */
struct tw_link_ref {
	struct tw_remote *remote;
	struct tw_neigh *neigh; /* next hop, NULL: no route from this subnet */
	uint8_t prefix_len;	/* of the route */
	LIST_ENTRY(tw_link_ref) in_neigh;
};

struct tw_remote {
	struct ip_addr address;
	bool keep, changed;
	unsigned int n_links; /* = number of subnets */
	struct tw_link_ref *links;
	TAILQ_ENTRY(tw_remote) list, change;
};

#define TW_PINGS 64 /* at the same time */

struct tw_ping {
	bool used, df;
	uint16_t id, vlan;
	struct ip_addr hop;
	uint64_t sent;
	struct teaming_pong pong;
};

struct tw_plain {
	struct mac mac;
	uint8_t member;
	uint8_t left; /* announcements still to send */
};

/* A multicast group of the provider network that flooded frames come by. */
struct tw_group {
	struct ip_addr address; /* unset: free */
	uint16_t vlan;
	uint8_t member; /* that reports it, TEAM_NO_MEMBER */
	uint8_t left;	/* reports of the join still to send */
	uint64_t old_until; /* the querier speaks the older version */
	struct tw_timer timer;
};

#define TW_DIRTY_VIEW  0x01 /* something in the view may have changed */
#define TW_DIRTY_PATHS 0x02 /* paths changed: tell main */
#define TW_DIRTY_STATE 0x04 /* the list of preferred PAs changed */

struct tw_core {
	struct tw_env env;
	char host_id[ID_SIZE];
	uint8_t mode; /* never AUTO */
	uint32_t hold_down_ms, grace_ms;
	struct tw_timers timers;
	struct tw_member members[TEAM_MEMBERS];
	struct tw_pa pas[LOCAL_PAS];
	uint16_t pa_order[LOCAL_PAS], n_pas; /* slots in the order of the configuration */
	uint32_t home_members;		     /* mask of those that the homes were chosen from; 0: choose anew */
	struct provider_route_spec *routes;
	unsigned int n_routes;
	struct tw_subnet subnets[LOCAL_PAS];
	unsigned int n_subnets;
	struct tw_select select;
	struct tw_rebalance rebalance;
	struct team_view *view; /* last published; belongs to the environment */
	uint64_t gen;
	bool any_usable;
	uint64_t start_until; /* members that are about to be opened are waited for */
	struct tw_timer start_timer;
	unsigned int dirty; /* TW_DIRTY_* */
	struct rate echo_rate, answer_rate;
	const struct tw_state_pa *trusted; /* preferred before the restart; during the first tw_configure() only */
	unsigned int n_trusted;
	/* neighbours and remotes */
	void *neigh_tree, *remote_tree;
	TAILQ_HEAD(, tw_neigh) neighs;
	TAILQ_HEAD(, tw_remote) remotes, changes;
	unsigned int n_neighs;
	struct tw_ping pings[TW_PINGS];
	struct tw_group groups[TEAM_GROUPS];
	/* plain segment */
	struct tw_plain *plain;
	unsigned int n_plain, plain_round;
	struct tw_timer plain_timer;
};

static inline uint64_t tw_now(const struct tw_core *c)
{
	return c->env.now(c->env.arg);
}

/* Random number of ns below max. */
static inline uint64_t tw_random_ns(const struct tw_core *c, uint64_t max)
{
	return (uint64_t)((unsigned __int128)max * c->env.random(c->env.arg) >> 32);
}

static inline bool tw_independent(const struct tw_core *c)
{
	return c->mode != TEAM_COOPERATE;
}

/* core.c */
int tw_init(struct tw_core *c, const struct tw_env *env);
void tw_fini(struct tw_core *c);
/*
 * Take over a checked configuration by difference. @return 0, -ENOMEM (nothing changed), -ENOSPC (no free
 * slot).
 */
int tw_configure(struct tw_core *c, const struct teaming_config *config, struct errbuf *err);
/* Derive everything that depends on what changed and publish it. */
void tw_settle(struct tw_core *c);
void tw_event(struct tw_core *c, enum teaming_event_type type, unsigned int member, const struct tw_pa *pa,
	      const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* rebalance.c: see teaming_traffic(). */
void tw_traffic(struct tw_core *c, const uint64_t bytes[TEAM_BUCKETS],
		const uint64_t waiting[TEAM_BUCKETS / 64]);

/* check.c */
int tw_check(const struct teaming_config *config, struct errbuf *err);
uint8_t tw_mode(uint8_t configured);

/* member.c */
int tw_member_find(const struct tw_core *c, const char *name);
/* The provider's news of a member. */
void tw_member_port(struct tw_core *c, unsigned int m, const struct provider_port *port);
/* portctl has opened it (dev stays the caller's), or is about to close it (dev NULL). */
void tw_member_device(struct tw_core *c, unsigned int m, struct member_dev *dev, const struct member_info *info,
		      uint16_t mtu);
bool tw_member_usable(const struct tw_core *c, unsigned int m);
int tw_member_wants(const struct tw_core *c, unsigned int m);
void tw_member_evaluate(struct tw_core *c, unsigned int m);
void tw_member_free_slot(struct tw_core *c, unsigned int m);
void tw_member_init(struct tw_core *c, unsigned int m, const struct member_spec *spec);
/* Nobody is usable but somebody is held down: use them. */
void tw_member_promote(struct tw_core *c);
uint16_t tw_member_mtu(const struct tw_core *c, unsigned int m);
/* Mbit/s: as configured, else as the kernel said last; 0 unknown. */
uint32_t tw_member_speed(const struct tw_core *c, unsigned int m);
/* Those that are configured. */
uint32_t tw_member_mask(const struct tw_core *c);
/* Its part of what all carry: its speed; of the slowest that is known when it is not, 1 when none is. */
uint32_t tw_member_share(const struct tw_core *c, unsigned int m);
void tw_member_weights(const struct tw_core *c, uint32_t *weight, uint32_t *ret_carries);

/* pa.c */
void tw_pa_derive_mac(const char *host_id, const struct pa_spec *spec, struct mac *ret);
void tw_pa_start(struct tw_core *c, struct tw_pa *pa, bool trusted);
void tw_pa_stop(struct tw_core *c, struct tw_pa *pa);
/* It lies with another member now (or with one again). */
void tw_pa_placed(struct tw_core *c, struct tw_pa *pa, uint8_t before);
/* Somebody with another MAC uses, or wants, the address. */
void tw_pa_conflict(struct tw_core *c, struct tw_pa *pa, const struct mac *mac);
struct tw_pa *tw_pa_find(struct tw_core *c, uint16_t vlan, const struct ip_addr *address);
bool tw_pa_is_own_mac(const struct tw_core *c, const struct mac *mac);
static inline bool tw_pa_in_use(const struct tw_pa *pa)
{
	return pa->used && pa->state >= PA_DEPRECATED;
}

/* place.c */
void tw_place_homes(struct tw_core *c);
/* Inbound shares of our PAs by slot: 1..255, smallest terms, each family for itself; 0: slot is free. */
void tw_place_weights(const struct tw_core *c, uint8_t ret[LOCAL_PAS]);
void tw_place_pas(struct tw_core *c);
void tw_plain_moved(struct tw_core *c);
int tw_plain_set(struct tw_core *c, const struct mac *macs, unsigned int n);
void tw_plain_init(struct tw_core *c);

/* groups.c */
void tw_groups_init(struct tw_core *c);
int tw_groups_set(struct tw_core *c, const struct ip_addr *groups, unsigned int n);
/* Members or addresses changed: is another one to report? */
void tw_groups_place(struct tw_core *c);
/* Messages of queriers, as they came by a member; IGMP from its first byte, MLD with its IPv6 header. */
void tw_groups_igmp(struct tw_core *c, unsigned int member, const uint8_t *msg, uint32_t len);
void tw_groups_mld(struct tw_core *c, unsigned int member, const struct ipv6_hdr *ip, const uint8_t *msg, uint32_t len);

/* view.c */
struct team_view *tw_view_build(const struct tw_core *c);

/* input.c: one frame as it came by a member. */
void tw_input(struct tw_core *c, unsigned int member, const uint8_t *data, uint32_t len);

/* neigh.c */
struct tw_neigh *tw_neigh_find(const struct tw_core *c, uint16_t vlan, const struct ip_addr *address);
/* Find or make; NULL: no memory. */
struct tw_neigh *tw_neigh_get(struct tw_core *c, uint16_t vlan, const struct ip_addr *address);
void tw_neigh_free(struct tw_core *c, struct tw_neigh *n);
/* It answered our question. mac NULL: the one we have is right. */
void tw_neigh_confirm(struct tw_core *c, struct tw_neigh *n, const struct mac *mac, unsigned int member);
/* It said something without being asked. */
void tw_neigh_hint(struct tw_core *c, struct tw_neigh *n, const struct mac *mac, unsigned int member);
/* Members or PAs became usable: ask now where nothing is known. */
void tw_neigh_kick(struct tw_core *c);

/* remote.c */
int tw_remotes_set(struct tw_core *c, const struct ip_addr *pas, unsigned int n);
/* Subnets, routes or PAs changed. */
int tw_remotes_relink(struct tw_core *c);
void tw_remotes_free(struct tw_core *c);
void tw_remotes_changed_by(struct tw_core *c, struct tw_neigh *n);
void tw_remotes_changed_all(struct tw_core *c);
int tw_path(const struct tw_core *c, const struct ip_addr *remote, unsigned int member, struct encap_path *ret,
	    uint16_t *ret_mtu, uint8_t *ret_local_pa);
unsigned int tw_paths_changed(struct tw_core *c, struct ip_addr *ret, unsigned int n);

/* The next hop from the subnet of one of our PAs. @return false: none. */
bool tw_route(const struct tw_core *c, const struct tw_pa *pa, const struct ip_addr *to, struct ip_addr *ret_hop);

/* ping.c: see teaming_ping(). */
int tw_ping(struct tw_core *c, const struct teaming_ping *ping);
int tw_ping_poll(struct tw_core *c, unsigned int i, struct teaming_pong *ret);
void tw_ping_end(struct tw_core *c, unsigned int i);
/* An answer to one of our PAs (`to`), and what a router (`by`) says of a request. @param icmp whole header and len. */
void tw_ping_reply(struct tw_core *c, unsigned int member, uint16_t vlan, const struct ip_addr *from,
		   const struct ip_addr *to, const uint8_t *icmp);
void tw_ping_error(struct tw_core *c, uint16_t vlan, const struct ip_addr *by, const uint8_t *icmp, uint32_t len);

/* state.c: the PAs that were preferred, across a restart. */
struct tw_state_pa {
	struct ip_addr address;
	uint16_t vlan;
	struct mac mac;
};
unsigned int tw_state_read(const char *dir, struct tw_state_pa *ret, unsigned int max);
int tw_state_write(const char *dir, const struct tw_state_pa *pas, unsigned int n);
unsigned int tw_state_collect(const struct tw_core *c, struct tw_state_pa *ret);
bool tw_state_has(const struct tw_state_pa *pas, unsigned int n, const struct pa_spec *pa);

#endif
