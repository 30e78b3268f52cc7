/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The thread between this host and the store that hosts share. What is published is a state: the last word on every
 * key, said again whenever the store has forgotten us. What comes is handed over in the order of the store, in
 * portions; a main thread that is busy makes the store wait, not memory grow, and costs no lease. Main thread, but for
 * what is inside.
 */
#ifndef DAEMON_DISTRIBUTION_LINK_H
#define DAEMON_DISTRIBUTION_LINK_H

#include <systemd/sd-event.h>

#include "base/errs.h"
#include "policy/store/store.h"

struct link;

enum link_news {
	LINK_BEGIN, LINK_PUT, LINK_DELETE, LINK_END, /* of a subscription, as kv_event */
	LINK_UP, LINK_DOWN,			     /* text: where, or why */
	LINK_LEASE,				     /* a new one; its number instead of the subscription */
	LINK_SAID,				     /* a link_claim() that was not held is in the store, or given up */
};

/*
 * @param subscription as given to link_subscribe(). @param text value, or of LINK_UP and LINK_DOWN. @param revision of
 * the store: of the change, of what was loaded (LINK_END), of what was said (-1: the store does not take it).
 */
typedef void (*link_fn)(void *arg, enum link_news what, unsigned int subscription, const char *key, const char *text,
			int64_t revision);

struct link_stats {
	struct kv_counters kv;
	unsigned int published, unsaid; /* keys of ours; of those, that the store has not confirmed */
	unsigned int waiting;		/* news not handed over yet */
	uint64_t refused;		/* publications the store does not let us make */
	char where[PATH_SIZE];
};

int link_new(sd_event *loop, const struct kv_config *config, link_fn fn, void *arg, struct link **ret,
	     struct errbuf *err);
/* What is published stays until the lease runs out: a restart is no death. NULL is allowed. Returns NULL. */
struct link *link_free(struct link *l);

/* Publish under our lease; value NULL: not any more. @return 0, -ENOMEM. */
int link_publish(struct link *l, const char *key, const char *value);
/*
 * The same for what others may claim, too. After LINK_LEASE it is held back until link_confirm(): the caller compares
 * with what the store has by then, and takes back what moved. What is claimed anew meanwhile goes out at once.
 * @param held this one is from an earlier run: it waits for link_confirm() as well.
 */
int link_claim(struct link *l, const char *key, const char *value, bool held);
/* @param lease number that came with LINK_LEASE; nothing happens when there is a newer one. */
int link_confirm(struct link *l, unsigned int lease);
/* The number is the caller's own and new every time. @return 0, -ENOMEM. */
int link_subscribe(struct link *l, unsigned int subscription, const char *key, bool prefix);
int link_unsubscribe(struct link *l, unsigned int subscription);

void link_stats(struct link *l, struct link_stats *ret);

#endif
