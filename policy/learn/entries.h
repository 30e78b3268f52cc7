/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to policy/learn/: what is remembered of one (VSID, CA), and where it is kept. */
#ifndef POLICY_LEARN_ENTRIES_H
#define POLICY_LEARN_ENTRIES_H

#include "policy/learn/learn.h"

#define LEARN_BUCKETS	 65536u
#define LEARN_ACTIVE_MAX 4096u /* addresses that something is going on with, in all */
#define LEARN_WANTED_MAX 16u   /* per port: addresses it has probed for */
#define LEARN_CLAIMS_MAX 64u   /* per port: addresses of others that it claims at once */
#define LEARN_PAST_MAX	 65536u
#define LEARN_LEASES	 1024u

enum entry_state {
	ENTRY_NONE,   /* remembered for a contest, or for what happened to it lately */
	ENTRY_WANTED, /* a guest probed for it: it is asked whether it has it now */
	ENTRY_HERE,   /* learned at `port` */
};

struct link {
	struct link *prev, *next;
};

struct entry {
	struct entry *chain;
	struct link of_port;  /* WANTED, HERE with a port */
	struct link verify;   /* HERE and quiet: the one to be asked next comes first */
	struct link active;   /* somebody has to answer, or `past` */
	uint32_t vsid;
	struct ip_addr ca;
	struct mac mac; /* WANTED, HERE */
	uint16_t port;	/* PORT_NONE */
	uint8_t state, tries;
	bool past; /* NONE, and nothing waits for it: in the list of those, not in `active` */
	uint64_t due; /* WANTED, HERE and asked: the next step; HERE: when it is to be asked; past: its end */
	/* a contest */
	bool contested;
	bool waits; /* ... as soon as claims are looked into again: nobody was asked yet */
	struct mac owner, rival;
	uint16_t rival_port;
	uint8_t rival_tries, rival_needs; /* questions asked; without an answer to so many the address moves */
	uint8_t rival_missed;		  /* times that the question could not be sent */
	uint16_t rival_lost;		  /* times that it may not have got to the owner */
	uint32_t rival_step;		  /* ms between questions */
	uint64_t owner_lost;		  /* ops->lost() at the last question */
	uint64_t rival_due;
	/* its past */
	uint64_t quiet_until; /* claims wait; those of an address that cannot move are not told again */
	uint64_t defended_until; /* the owner has answered lately: its silence has to be a long one */
	uint64_t moves_since;
	uint8_t moves;
};

struct lease {
	uint16_t port;
	uint8_t family, left; /* addresses that an answer may give yet */
	uint32_t xid;
	struct mac mac;
	uint64_t until;
};

struct learn {
	struct policy *policy;
	char host_id[ID_SIZE];
	struct learn_params params;
	const struct learn_ops *ops;
	void *arg;
	struct entry *buckets[LEARN_BUCKETS];
	uint64_t salt;
	struct link ports[POLICY_MAX_PORTS], verify, active, past; /* past: the oldest first */
	uint32_t n_here[POLICY_MAX_PORTS], n_wanted[POLICY_MAX_PORTS], n_claims[POLICY_MAX_PORTS];
	uint32_t n_past, n_active, n_learned, n_asked; /* asked: HERE and in `active` */
	struct lease leases[LEARN_LEASES];
	/* events that may come by the thousand */
	uint64_t tokens_ms, tokens;
	uint32_t suppressed;
};

#define entry_of(l, member) ((struct entry *)(uintptr_t)((uintptr_t)(l) - offsetof(struct entry, member)))

static inline void link_init(struct link *l)
{
	l->prev = l->next = l;
}

static inline bool link_empty(const struct link *l)
{
	return l->next == l;
}

static inline void link_remove(struct link *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	link_init(l);
}

static inline void link_append(struct link *list, struct link *l)
{
	l->prev = list->prev;
	l->next = list;
	list->prev->next = l;
	list->prev = l;
}

struct entry *entry_find(const struct learn *l, uint32_t vsid, const struct ip_addr *ca);
/* The entry, made if need be; NULL: no memory. */
struct entry *entry_get(struct learn *l, uint32_t vsid, const struct ip_addr *ca);
void entry_free(struct learn *l, struct entry *e);
/* Change state and port, with the counts and lists that follow from them. */
void entry_state(struct learn *l, struct entry *e, enum entry_state state, uint16_t port);
/* In the list of those that somebody has to answer for; or HERE, and asked after verify_ms. */
void entry_activate(struct learn *l, struct entry *e);
void entry_settle(struct learn *l, struct entry *e, uint64_t now);
/* NONE: remembered until then (or longer, if claims are not looked into). The oldest make room. */
void entry_past(struct learn *l, struct entry *e, uint64_t until);
uint64_t entry_past_until(const struct entry *e);

/* learn.c */
void learn_tell(struct learn *l, enum learn_change change, const struct record_spec *rec, uint16_t port,
		const char *reason);
void learn_conflict(struct learn *l, const struct record_spec *rec, const struct mac *rival, uint16_t port,
		    uint64_t now, const char *reason);
/* What nobody needs to know a thousand times a second. @return false: not now. */
bool learn_may_tell(struct learn *l, uint64_t now);
/* ops->ask(), whose answer workers tell from now on. @param asker NULL: the gateway asks. */
enum learn_asked learn_ask(struct learn *l, const struct entry *e, const struct mac *mac, const struct mac *asker);
/* The port may have changed since the worker wrote the message: does it (still) have VSID and MAC? */
bool learn_stands(const struct learn *l, const struct sighting *s);
/* The address is not here any more: the record goes if it is still ours. */
void learn_forget(struct learn *l, struct entry *e, uint64_t now, const char *reason);

/* claims.c */
void claim_see(struct learn *l, const struct sighting *s, uint64_t now);
void claim_mac(struct learn *l, const struct sighting *s, uint64_t now);
/* An owner's answer, wherever from. */
void claim_answered(struct learn *l, struct entry *e, const struct mac *mac, uint64_t now);
/* The time of a contest is over. */
void claim_due(struct learn *l, struct entry *e, uint64_t now);

/* leases.c */
void lease_asked(struct learn *l, const struct sighting *s, uint64_t now);
/* Is the lease one that this port asked for? */
bool lease_given(struct learn *l, const struct sighting *s, uint64_t now);

#endif
