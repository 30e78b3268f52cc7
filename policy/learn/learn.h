/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The learner: decides what the sightings of workers mean, changes the records of policy, and says what it did (HNV
 * 2.8, 3.1; rows 45-49, 53, 54). Main thread, no threads or files of its own; time is the caller's.
 *
 * An address belongs to whoever had it first and still answers for it. A claim from somebody else is no lesson: the
 * owner is asked, and only its silence (or the claimant's list of allowed addresses) moves the address. Of an owner
 * that has defended it lately it takes a silence of seconds: nobody gains by waiting for the moment in which it is
 * slow. What the config file or an administrator wrote, and every record that is not of type dynamic, does not move at
 * all. Nothing ages by silence alone: after verify_ms the guest is asked, and three questions without an answer remove
 * the record.
 */
#ifndef POLICY_LEARN_LEARN_H
#define POLICY_LEARN_LEARN_H

#include "policy/policy.h"

struct learn;

/* X(symbol, "name"): what may happen to an address. */
#define LEARN_CHANGES(X) \
	X(ADDED, "added") \
	X(MOVED, "moved") \
	X(CONFLICTED, "conflicted") \
	X(DELETED, "deleted") \
	X(MISMATCH, "policy-mismatch")

enum learn_change {
#define X(sym, name) LEARN_##sym,
	LEARN_CHANGES(X)
#undef X
	LEARN_CHANGE_COUNT,
};

extern const char *const learn_change_names[LEARN_CHANGE_COUNT];

/* What happened. Strings and record are good until the callback returns. */
struct learn_news {
	enum learn_change change;
	struct record_spec rec; /* as it is, or (deleted) was; CONFLICTED: the owner's; MISMATCH: vsid, ca, mac */
	bool learned;		/* rec is this host's to tell others: added, moved, deleted */
	struct mac rival;	/* CONFLICTED: who wants it too; zero: unknown */
	uint16_t port;		/* index, of the guest; PORT_NONE, PORT_WIRE */
	struct ip_addr pa;	/* MISMATCH from the wire: outer source */
	const char *reason;
	uint32_t suppressed;	/* MISMATCH, CONFLICTED: as many were not told before, because of their number */
};

enum learn_asked {
	LEARN_ASKED,
	LEARN_NOT_NOW, /* no room or no buffer: who was not asked cannot be silent */
	LEARN_NOWHERE, /* the MAC is at no port and on no host */
};

struct learn_ops {
	/* Policy is changed already. */
	void (*news)(void *arg, const struct learn_news *news);
	/* policy_neigh_ask() and send it. */
	enum learn_asked (*ask)(void *arg, uint32_t vsid, const struct ip_addr *ca, const struct mac *mac,
				const struct mac *asker);
	/* Frames that a full ring has kept from the guest with the MAC so far; 0: it is not here. */
	uint64_t (*lost)(void *arg, uint32_t vsid, const struct mac *mac);
	/* policy_neigh_announce() and send it. */
	void (*announce)(void *arg, uint16_t port, const struct ip_addr *ca, const struct mac *mac);
};

struct learn_params {
	uint32_t per_port;  /* addresses that one port may teach */
	uint32_t verify_ms; /* a guest is asked so long after it was last heard of; 0: never */
	uint32_t claim_ms;  /* an owner has this long to answer when another claims its address */
};

/* @param host_id this host's, copied. @param ops kept by reference. @return 0, -ENOMEM. */
int learn_new(struct policy *p, const char *host_id, const struct learn_params *params, const struct learn_ops *ops,
	      void *arg, struct learn **ret);
/* Records stay. NULL is allowed. Returns NULL. */
struct learn *learn_free(struct learn *l);
void learn_set_params(struct learn *l, const struct learn_params *params);

/*
 * Take over the records that policy has of this host's guests already: origin learned, and what central policy made of
 * them. After a restart, when ports and records are set.
 */
void learn_restore(struct learn *l, uint64_t now_ms);

/* A worker's message. */
void learn_see(struct learn *l, const struct sighting *s, uint64_t now_ms);

/* What is due. @return when to call again (ms, same clock), UINT64_MAX: nothing waits. After every learn_see(), too. */
uint64_t learn_tick(struct learn *l, uint64_t now_ms);

/* A port was removed (policy has it no more), or its MACs, VSID or addresses changed. */
void learn_port_changed(struct learn *l, uint16_t port, uint64_t now_ms);

/* Somebody else (config, admin, manager) set or removed the record with this key; policy is changed already. */
void learn_record_changed(struct learn *l, const struct record_spec *key, uint64_t now_ms);

/*
 * The addresses learned here, in no order; *cursor starts at 0. For a full comparison with a store: nothing may
 * change in between. @return 1 with *ret filled, 0 at the end.
 */
int learn_next(const struct learn *l, uint64_t *cursor, struct record_spec *ret);
uint32_t learn_count(const struct learn *l);

#endif
