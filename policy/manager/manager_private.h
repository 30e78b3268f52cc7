/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the manager's files. One thread. */
#ifndef MANAGER_PRIVATE_H
#define MANAGER_PRIVATE_H

#include <sys/queue.h>

#include "policy/manager/manager.h"
#include "base/map.h"

#define PM_LEADER "manager/leader"

/* One key of the store. */
struct value {
	struct map_entry entry; /* first */
	char *text;
	void *spec;		/* of an object or a learned record, parsed; NULL: none */
	enum object_kind kind;
	bool leased, marked, dying;
	bool old;		/* attached: of an earlier version, which reads the list of members */
	int64_t revision;
	const char *why;	/* a claim: it does not count; NULL: it does, or another one counts more */
	uint64_t expires;	/* ms; a record or member that nobody stands for goes then. 0: it stays */
};

/* All hosts that say they have an address: key "<vsid>/<ca>". */
struct claims {
	struct map_entry entry; /* first */
	struct value **list;
	unsigned int n, room;
	bool dirty;
	TAILQ_ENTRY(claims) link; /* dirty */
	struct mac_count *refused; /* by this MAC: in its list. NULL: in none */
	TAILQ_ENTRY(claims) waiting;
};

TAILQ_HEAD(claims_list, claims);

struct waiter {
	struct waiter *next;
	pm_done_fn fn;
	void *arg;
};

/* A key that is to be written; the last word counts. */
struct write {
	struct map_entry entry; /* first */
	TAILQ_ENTRY(write) link;
	char *value;		/* NULL: delete */
	void *spec;		/* value parsed, when somebody asked; NULL: not yet, or no object */
	enum object_kind kind;
	bool parsed;
	bool live, queued, flying, again; /* again: the value changed while it was on its way */
	struct mac_count *counts;	  /* will be a learned address of that MAC; NULL: not one more */
	struct waiter *waiters;
};

TAILQ_HEAD(write_list, write);

struct pm {
	struct pm_config config;
	struct kv *kv;
	struct pm_info info;
	struct map policy, hosts, attached, learned, refused; /* struct value */
	struct map macs;			     /* struct mac_count by "<vsid>/<mac>" */
	struct map claims;			     /* struct claims */
	struct map writes;			     /* struct write */
	struct map gone;			     /* struct gone: removed by us, and the store has not told yet */
	struct claims_list dirty;
	struct write_list live, bulk, flying;
	bool loading; /* between KV_BEGIN and KV_END */
	bool electing;
	bool not_ours; /* the leader has our name, and another lease */
	unsigned int n_flying;
	unsigned int alone; /* that many are written one by one, to find the one that is refused */
	bool troubled;	    /* has been logged */
	uint64_t write_at;  /* ms: nothing is written before */
	unsigned int expiring;
	unsigned int n_old; /* values that are old */
	bool cut;	    /* a list of members was too long; has been logged */
	uint64_t look_at; /* ms: for what expires */
};

struct mac_count {
	struct map_entry entry;
	unsigned int n, pending; /* learned, in policy; on their way there */
	unsigned int fixed;	 /* static records, which say on what host it is */
	char host[ID_SIZE];	 /* fixed */
	int64_t moved;		 /* revision of the claim that its own record followed last */
	struct claims_list refused; /* had no room */
};

uint64_t pm_now(void); /* ms, monotonic */

/* ---- state.c: what the store has ---- */
void pm_on_event(void *arg, unsigned int watch, enum kv_event what, const char *key, const char *value,
		 int64_t revision, bool leased);
void pm_value_set(struct pm *m, const char *key, const char *text, int64_t revision, bool leased);
void pm_value_gone(struct pm *m, const char *key);
/* We wrote it (NULL: removed it): what the store tells of earlier revisions is old. */
void pm_value_written(struct pm *m, const char *key, const char *text, int64_t revision);
void pm_state_free(struct pm *m);
struct map *pm_map_of(struct pm *m, const char *key);

/* ---- claims.c: what follows from what hosts say ---- */
void pm_claim_changed(struct pm *m, struct value *learned, bool gone);
void pm_make_dirty(struct pm *m, struct claims *c);
/* Judge what is dirty, when we are the elected one. */
void pm_judge(struct pm *m);
/* Judge everything: when we are elected, or all was loaded anew. */
void pm_judge_all(struct pm *m);
void pm_judge_subnet(struct pm *m, uint32_t vsid);
/* Does it hold a lease? */
bool pm_host_lives(const struct pm *m, const char *host);
/* Nobody stands for what is written there (v NULL: on its way): it goes, after the time of grace if its host died. */
void pm_goes(struct pm *m, const char *key, struct value *v, bool lives);
void pm_stays(struct pm *m, struct value *v);
void pm_expire(struct pm *m);

/* ---- refusals.c ---- */
/* The claim with this key does not count, or (NULL) it does or is gone. */
void pm_refusal(struct pm *m, const char *claim, const char *why);
void pm_refusals_all(struct pm *m); /* of claims that are not there any more */

/* ---- members.c: hosts with ports in a subnet ---- */
bool pm_is_attached(const struct pm *m, const char *host, uint32_t vsid);
void pm_member_changed(struct pm *m, const char *attached_key);
void pm_members_all(struct pm *m);

/* ---- macs.c: MACs, by their records ---- */
/* @return NULL: none, or with make: no memory. */
struct mac_count *pm_mac(struct pm *m, const struct record_spec *rec, bool make);
void pm_record_new(struct pm *m, struct value *record);
/* Claims that had no room are judged again. */
void pm_record_gone(struct pm *m, struct value *record);
/* A write is not on its way any more. @param landed the record is counted itself now. */
void pm_write_counted(struct pm *m, struct mac_count *c, bool landed);
/* The claims have no room with this MAC, and wait for it; or (NULL) do not. */
void pm_mac_refuses(struct pm *m, struct mac_count *c, struct claims *claims);

/* ---- write.c ---- */
int pm_write(struct pm *m, const char *key, const char *value, bool live, pm_done_fn fn, void *arg);
/* The write of this key, if there is one, makes one more learned address of that MAC. */
void pm_write_count(struct pm *m, const char *key, struct mac_count *c);
/* The record of this key is counted itself, be it before the store has answered the write. */
void pm_write_arrived(struct pm *m, const char *key, struct mac_count *c);
/* What a key will have when everything is written. @return false: nothing is on its way. */
bool pm_write_pending(const struct pm *m, const char *key, const char **ret_value);
/* The object that a write makes. @return NULL: it removes, or is of another kind. */
const void *pm_write_object(struct write *w, enum object_kind kind);
void pm_write_kick(struct pm *m);
/* Not elected any more: nothing of it may be written. */
void pm_write_drop(struct pm *m, int r, const char *text);

#endif
