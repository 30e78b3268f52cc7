/* SPDX-License-Identifier: BSD-3-Clause */
/* struct teaming: the core with its thread, its lock, its sockets and its devices. */
#ifndef TEAMING_TEAM_H
#define TEAMING_TEAM_H

#include <pthread.h>

#include "teaming/core.h"
#include "teaming/ethdev_bifurcated.h"
#include "teaming/io.h"
#include "teaming/provider.h"
#include "teaming/relay.h"
#include "teaming/tc_drop.h"

struct tw_retired {
	void *memory;
	uint64_t token, at;
};

struct teaming {
	const struct team_view *view; /* rcu_dereference() */
	struct tw_io *io[TEAM_MEMBERS]; /* rcu_dereference() by workers, who use punt rings only */

	pthread_mutex_t lock; /* all below; held for as long as a batch of events takes, never over a wait */
	struct tw_core core;
	const struct provider_ops *pops;
	struct provider *provider;
	bool provider_failed; /* to be asked again soon */
	struct tw_config_copy *config; /* as main gave it; members of a team device are merged into it */
	struct teaming_status status; /* last told */
	char ports[TEAM_MEMBERS][IFNAMSIZ]; /* last taken over from the provider */
	unsigned int n_ports;
	bool members_stale; /* could not be taken over: to be tried again */
	uint32_t twins; /* members told to have another's MAC */
	uint32_t io_if_index[TEAM_MEMBERS]; /* of the packet socket, 0: none or rings */
	int xdp_claim[TEAM_MEMBERS];
	struct tw_tc_drop tc_drop[TEAM_MEMBERS];
	struct tw_relay *relay[TEAM_MEMBERS];
	struct tw_steer steer[TEAM_MEMBERS];
	bool filter_stale; /* addresses or MACs changed: sockets have to be told */
	struct rte_mempool *punt_pool[TEAM_MEMBERS]; /* the device's, for frames that go out by rings */
	struct tw_timer punt_timer, link_timer;
	struct teaming_event *events; /* for teamwatch to deliver */
	size_t n_events, space_events;
	struct tw_retired *retired;
	size_t n_retired, space_retired;
	uint64_t token; /* of the last publication */
	uint64_t began; /* when the lock was taken: how long a view took */
	char *state_dir;
	struct tw_state_pa saved[LOCAL_PAS];
	unsigned int n_saved;
	teaming_event_fn event;
	void *event_arg;

	pthread_t thread;
	bool running, stop;
	int epoll, timer, wake;
};

/* teaming.c */
void tw_lock(struct teaming *t);
/* Settle, bring sockets in line, unlock, and have teamwatch look at its timers and events. */
void tw_unlock(struct teaming *t);
/* The part of tw_unlock() that needs the lock. */
void tw_team_settle(struct teaming *t);
/* Free memory that workers (and control threads for a short while) may have seen. */
void tw_retire(struct teaming *t, void *memory);
void tw_reclaim(struct teaming *t, bool all);

/* provider.c */
/* Configure, with what the provider says of members and mode. @return as tw_configure(). */
int tw_team_apply(struct teaming *t, const struct teaming_config *config, struct errbuf *err);
/* After the provider has handled events: members, mode and health of the team, states of the ports. */
void tw_team_news(struct teaming *t);
/* Tell the provider whom to follow, and the core what it says. */
void tw_team_follow(struct teaming *t, unsigned int member);
void tw_team_ports(struct teaming *t);

/* merge.c: a configuration of our own, and what a team device makes of it. */
struct tw_config_copy {
	struct teaming_config config; /* pointers into the rest */
	char host_id[ID_SIZE], device[IFNAMSIZ], runner[TEAM_TEXT];
	struct member_spec members[TEAM_MEMBERS];
	struct pa_spec pas[LOCAL_PAS];
	struct provider_route_spec routes[];
};
/* @return NULL: no memory. Freed by free(). */
struct tw_config_copy *tw_config_copy(const struct teaming_config *config);
/*
 * One member per port: as configured under that name, else by default; and those whose relay is not a port yet.
 * @param ret room for TEAM_MEMBERS. @return how many.
 */
unsigned int tw_config_merge(const struct teaming_config *config, char ports[][IFNAMSIZ], unsigned int n_ports,
			     struct member_spec *ret);

/* watch.c */
int tw_watch_start(struct teaming *t);
void tw_watch_stop(struct teaming *t);
void tw_watch_wake(struct teaming *t);
int tw_watch_add(struct teaming *t, int fd, uint64_t tag);
#define TW_TAG_MEMBER(m) (16 + (uint64_t)(m))
#define TW_TAG_RELAY(m)	 (TW_TAG_MEMBER(TEAM_MEMBERS) + (uint64_t)(m))

/* sockets.c */
void tw_sockets_sync(struct teaming *t);
void tw_sockets_close(struct teaming *t);
/* Frames that have come by a member. At most a batch. */
void tw_sockets_read(struct teaming *t, unsigned int member);
void tw_sockets_send(void *arg, unsigned int member, const uint8_t *frame, uint32_t len);
void tw_sockets_init(struct teaming *t);

#endif
