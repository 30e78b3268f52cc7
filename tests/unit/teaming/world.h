/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A teamwatch core with a clock and a wire of the test's own: nothing happens but what the test makes
 * happen.
 */
#ifndef TESTS_TEAMING_WORLD_H
#define TESTS_TEAMING_WORLD_H

#include "unit.h"

#include "frame.h"
#include "teaming/core.h"
#include "teaming/frames.h"

#define MEMBERS_MAX 8
#define SENT_MAX    4096
#define EVENTS_MAX  1024

struct sent {
	uint64_t at; /* ns */
	unsigned int member;
	uint32_t len;
	uint8_t data[256];
};

struct world {
	struct tw_core core;
	uint64_t now, random;
	bool unsettled; /* workers have not seen the last view yet */
	struct sent sent[SENT_MAX];
	unsigned int n_sent;
	struct teaming_event events[EVENTS_MAX];
	unsigned int n_events;
	unsigned int n_published;
	struct team_view *view;
	struct member_spec members[MEMBERS_MAX];
	struct pa_spec pas[MEMBERS_MAX];
	struct provider_route_spec routes[4];
	struct teaming_config config;
	struct member_dev devs[MEMBERS_MAX];
};

/* n members m0, m1... and as many IPv4 PAs 10.0.0.1, .2...; nothing configured yet. */
void world_init(struct world *w, unsigned int n);
void world_free(struct world *w);
/* Configure as w->config says. @param trusted PAs that were preferred before a restart. */
void world_configure(struct world *w, const struct tw_state_pa *trusted, unsigned int n_trusted);
/* All members: netdev there, device open, link up. */
void world_up(struct world *w);
void world_link(struct world *w, unsigned int member, bool up);
void world_open(struct world *w, unsigned int member, bool open);
/* Let time pass, timers run when they are due. */
void world_run(struct world *w, uint64_t ns);
/* configure, up, and past duplicate address detection; what was sent and told so far is forgotten. */
void world_ready(struct world *w);
void world_forget(struct world *w);

/* A frame comes in; in memory of its exact size. */
void world_input(struct world *w, unsigned int member, const void *frame, size_t len);
/* The same to every member, as a switch floods. */
void world_flood(struct world *w, const void *frame, size_t len);

/* Frames sent, counted by what they are: member TEAM_NO_MEMBER is any. From the first or since a time. */
unsigned int world_sent_arp(const struct world *w, unsigned int member, uint16_t op, const char *spa, const char *tpa);
unsigned int world_events(const struct world *w, enum teaming_event_type type);
const struct sent *world_last(const struct world *w);

struct ip_addr ip(const char *text);
struct mac mac_of(uint8_t last); /* 02:ee:00:00:00:last, somebody on the wire */
/* MAC of our i-th PA. */
const struct mac *pa_mac(const struct world *w, unsigned int i);

/* Build and receive ARP from somebody. to NULL: broadcast. */
void world_arp(struct world *w, unsigned int member, uint16_t vlan, uint16_t op, const struct mac *sha, const char *spa,
	       const struct mac *to, const char *tpa);
void world_ns(struct world *w, unsigned int member, const struct mac *from, const char *src, const char *target,
	      bool option);
void world_na(struct world *w, unsigned int member, const struct mac *from, const char *target, const struct mac *to,
	      const char *dst, uint8_t flags, const struct mac *option);

#endif
