/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What follows from what libteam and teamd say: who is a member, who may carry data, which mode. Pure: time and facts
 * come in, nothing is waited for. TEAMING: "usable(port) = present && link && enabled && user_linkup".
 *
 * Rules:
 * - A port is known by its if_index. As a member it keeps the name it had when it was first seen, so that renaming a
 *   netdev does not close it, until another port of the team takes that name.
 * - A port that left the team stays a member, unusable, for the grace period: teamd -r takes all ports out and puts
 *   them back.
 * - When the team device itself is gone, ports that were enabled shortly before stay enabled for the grace period,
 *   also past its return (LACP needs a second to come up); then nobody is. Members stay known for as long as the
 *   device is gone.
 */
#ifndef TEAMING_LIBTEAM_STATE_H
#define TEAMING_LIBTEAM_STATE_H

#include "teaming/links.h"

#define TW_TEAM_OPTION 32 /* longest mode or runner, with NUL */

/* The team as libteam knows it. Compared with memcmp(): zeroed before it is filled. */
struct tw_snap_port {
	uint32_t if_index;
	uint32_t speed; /* Mbit/s; 0 unknown */
	bool link, enabled, user_linkup;
};

struct tw_snapshot {
	uint32_t if_index; /* of the team device, 0: not attached */
	int error;	   /* 0, or -errno of the last attempt to attach */
	char mode[TW_TEAM_OPTION]; /* kernel's */
	uint32_t active;   /* if_index of the active port (mode activebackup), 0: none */
	uint32_t beyond;   /* ports that found no room */
	uint32_t n;
	struct tw_snap_port ports[TEAM_MEMBERS]; /* by if_index */
};

struct tw_team_port {
	uint32_t if_index; /* 0: free */
	char name[IFNAMSIZ]; /* as a member; "": not known yet */
	struct tw_snap_port now; /* as last seen */
	bool in_team;
	bool watched;	   /* user_linkup was seen true */
	bool teamd_down;   /* the state that teamd was asked for says that its link watch is down */
	bool was_ok;	   /* by the last snapshot */
	uint64_t ok_at;	   /* ns: until when the team said that it may carry data */
	uint64_t gone_at;  /* ns: when it left the team */
};

struct tw_team_state {
	uint32_t grace_ms;
	bool spread_all; /* standby ports of activebackup carry data, too */
	char configured_runner[TW_TEAM_OPTION]; /* "": not configured */
	char runner[TW_TEAM_OPTION];		/* by teamd; "": not known */
	bool ever_attached;
	struct tw_snapshot snap;
	uint64_t lost_at; /* ns: when the team device went, 0: not in the grace period */
	struct tw_team_port ports[TEAM_MEMBERS]; /* those in use first, in the order in which they came */
	unsigned int n_ports;
};

/* A new snapshot (if_index 0: detached). */
void tw_team_update(struct tw_team_state *s, const struct tw_snapshot *snap, uint64_t now);
/* Names from the links, and who takes whose. */
void tw_team_names(struct tw_team_state *s, const struct tw_links *links);
/* Let time pass: members that are gone for good, the end of the grace period. */
void tw_team_expire(struct tw_team_state *s, uint64_t now);
/* When tw_team_expire() has something to do; UINT64_MAX: never. */
uint64_t tw_team_deadline(const struct tw_team_state *s);

/* May the port carry data? @param ret_why static text when not. */
bool tw_team_enabled(const struct tw_team_state *s, const struct tw_team_port *p, uint64_t now, const char **ret_why);
struct tw_team_port *tw_team_port(struct tw_team_state *s, uint32_t if_index);
struct tw_team_port *tw_team_port_named(struct tw_team_state *s, const char *name);

/*
 * The runner, as far as known: the configured one, what teamd says, else what the kernel's mode implies (loadbalance
 * is that of the runners lacp and loadbalance: not known).
 * @param ret_source "config", "teamd", "kernel" or "". @return "" when not known.
 */
const char *tw_team_runner(const struct tw_team_state *s, const char **ret_source);
/* enum team_mode for mode `auto`: TEAM_AUTO when the runner does not tell. */
uint8_t tw_team_mode(const char *runner);
/* Runners that send every frame by every port are of no use. */
bool tw_team_refused(const char *runner);
bool tw_team_runner_known(const char *runner);

#endif
