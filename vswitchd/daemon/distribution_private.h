/* SPDX-License-Identifier: BSD-3-Clause */
/* Between distribution.c and distribution_publish.c. Main thread. */
#ifndef DAEMON_DISTRIBUTION_PRIVATE_H
#define DAEMON_DISTRIBUTION_PRIVATE_H

#include "base/map.h"
#include "daemon/distribution.h"
#include "daemon/manager_private.h"

/* A key of the store that came here, now or in the last run (generation 0). */
struct remote {
	struct map_entry entry; /* first */
	uint64_t generation;	/* of the subscription when it came last */
	char *members;		/* of a virtual subnet, that policy knows: "h1 h2" */
	char *said;		/* the list that they are of; NULL: not all of it is done. A refusal: why */
	bool kept;		/* a member that the local store has */
	char *refused;		/* value that policy did not take; it may when others have gone */
	bool gone;		/* from the store, but policy could not let go of it yet */
};

/* By what is followed: "vsid/5001/", "rd/t1/", "host/h2". */
struct subscription_entry {
	struct map_entry entry; /* first */
	unsigned int number;
	bool prefix, wanted, loaded;
	uint64_t generation;
};

/* What this host says, but for learned records. */
struct published {
	struct map_entry entry; /* first */
	char *value;
	bool wanted;
};

struct distribution {
	struct manager *m;
	struct link *link;
	sd_event_source *look, *again;
	struct subscription *events;
	struct map remote, subscriptions, published;
	struct map domains; /* struct map_entry: keys of `remote` that say which subnets a routing domain has */
	struct subscription_entry *last; /* looked up; news come in rows */
	unsigned int numbers, loading;
	unsigned int lease; /* claims wait for its confirmation; 0: none do */
	uint64_t generations;
	struct map claims;    /* distribution_claims.c */
	bool claims_over;     /* one of them is */
	unsigned int retries; /* keys that are refused or gone */
	bool retry;	      /* something was removed since they were tried */
	bool pruned;
	struct distribution_info info;
};

/* ---- distribution_objects.c ---- */
/* A key of what is followed says so now. @param revision of the store. */
void distribution_put(struct distribution *d, struct subscription_entry *s, const char *key, const char *text,
		      int64_t revision);
/* It is gone. */
void distribution_drop(struct distribution *d, struct remote *remote);
/* What was there before and did not come again. @param revision of what did come; 0: all of it goes. */
void distribution_sweep(struct distribution *d, const struct subscription_entry *s, int64_t revision);
/* What policy did not take, or not let go of, once more. */
void distribution_retry(struct distribution *d);
/* What the local store kept of the last run; and, when the store has answered everything, what nobody asks for now. */
void distribution_remember(struct distribution *d);
void distribution_prune(struct distribution *d);

/* ---- distribution.c ---- */
/* Follow a key. */
void distribution_want(struct distribution *d, const char *key, bool prefix);
/*
 * The key of a member, or the list of them, says so now; text NULL: it is gone. @return 0; -ENOENT: another key;
 * -EAGAIN: there was no room for all of it, and it has to be tried again.
 */
int distribution_members(struct distribution *d, struct remote *remote, const char *text);
/* A learned record. @param held of an earlier run. @return 0, -errno. */
int distribution_claim(struct distribution *d, const struct record_spec *rec, bool removed, bool held);
/* A claim is new, or has ceased to be; the key is the record's. */
void distribution_claim_made(struct distribution *d, const char *key);
void distribution_claim_taken_back(struct distribution *d, const char *key);
/* It is in the store since the revision (negative: it will never be); the key is the one that was published. */
void distribution_claim_said(struct distribution *d, const char *learned, int64_t revision);
/* The manager says that a claim does not count. @return false: another key. */
bool distribution_refusal(struct distribution *d, struct remote *remote, const char *why);
/* Is what the store says older than our claim? Then it is put by. @param text NULL: the record is gone. */
bool distribution_is_late(struct distribution *d, const char *key, const char *text, int64_t revision);
/* What was put by and counts now, by distribution_late(). */
void distribution_claims_end(struct distribution *d);
void distribution_late(struct distribution *d, const char *key, const char *text);
/* Everything is compared anew, or it is the end. */
void distribution_claims_forget(struct distribution *d);
/* Say what has changed of this host. */
void distribution_publish(struct distribution *d);

#endif
