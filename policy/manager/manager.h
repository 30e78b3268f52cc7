/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Central policy: what hosts have learned becomes policy for all, beside what administrators say. Any number of
 * managers may run over one store; one is elected and writes, and a write of one that is no longer elected does
 * nothing. Layout below the store's root:
 *
 *	host/<host>			PAs of a host, under its lease (administrators': without one)
 *	host/<host>/attached/<vsid>	it has ports there; under its lease
 *	learned/<host>/<vsid>/<ca>	a record as the host has learned it; under its lease
 *	refused/<host>/<vsid>/<ca>	why that one does not count
 *	vsid/<vsid>/subnet, vsid/<vsid>/ca/<ca>, vsid/<vsid>/mac/<mac>
 *	vsid/<vsid>/member/<host>	that host has ports there
 *	vsid/<vsid>/members		the same as a list, while hosts have ports there that know only the list
 *	rd/<rdid>/vsid/<vsid>, rd/<rdid>/route/<route>
 *	manager/leader			who is elected; under its lease
 *
 * Values are lines of field_write(); members is a list of hosts with blanks between them, cut where a value ends. All
 * calls come from one thread, callbacks included.
 */
#ifndef MANAGER_MANAGER_H
#define MANAGER_MANAGER_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/errs.h"
#include "base/object.h"
#include "policy/store/store.h"

/* ---- keys: pure, any thread ---- */

/*
 * Key of an object that hosts share (subnet, record, route, host). @return length; -EINVAL: kinds that are not shared;
 * -ENOSPC.
 */
int pm_key(enum object_kind kind, const void *spec, char *buf, size_t size);
int pm_learned_key(const struct record_spec *rec, char *buf, size_t size);
int pm_attached_key(const char *host, uint32_t vsid, char *buf, size_t size);
int pm_member_key(uint32_t vsid, const char *host, char *buf, size_t size);

/* What a host says at its pm_attached_key(): it has ports there, and reads the keys of members one by one. */
#define PM_ATTACHED "ports member-keys"

/* Whom does the key of a member name? *ret_host points into the key; "": it is the list. @return 0; -ENOENT: none. */
int pm_member_read(const char *key, uint32_t *ret_vsid, const char **ret_host);
int pm_attached_read(const char *key, uint32_t *ret_vsid, char ret_host[ID_SIZE]); /* 0; -ENOENT: no such key */

/*
 * What object does a key name? The key fields of *ret are filled, the others are defaults. @return 0; -ENOENT: none
 * that is an object (members, attached, ...); -EINVAL.
 */
int pm_key_read(const char *key, enum object_kind *ret_kind, union object_spec *ret);

/* Key and value together, validated, the one against the other. @return 0, -ENOENT, -EINVAL with a reason. */
int pm_object_read(const char *key, const char *value, enum object_kind *ret_kind, union object_spec *ret,
		   struct errbuf *err);

/* ---- the manager ---- */

struct pm;

struct pm_config {
	struct kv_config store; /* lease_s: of the election */
	char id[ID_SIZE];	/* of this manager, in messages */
	uint32_t grace_ms;	/* records of a host that died are deleted after so long; default 30,000 */
	uint32_t mac_quota;	/* learned addresses of one MAC; default 256 */
};

struct pm_info {
	bool up, leader, synced;
	char where[PATH_SIZE], leader_id[ID_SIZE], problem[256];
	unsigned int subnets, records, routes, hosts, attached, learned; /* counts of what the store has */
	unsigned int pending;						 /* writes that wait or are on their way */
	uint64_t accepted, refused_subnet, refused_quota, conflicts, moves, expired, writes, elections;
	struct kv_counters kv;
};

void pm_defaults(struct pm_config *c);
int pm_new(const struct pm_config *config, struct pm **ret, struct errbuf *err);
/* Who is elected gives that up at once. NULL is allowed. Returns NULL. */
struct pm *pm_free(struct pm *m);
/* kv_poll() with what follows from it. */
int pm_poll(struct pm *m, struct pollfd *fds, unsigned int n, int timeout_ms);
void pm_info(const struct pm *m, struct pm_info *ret);

/* ---- administrators ---- */

/* Called once, later, when the store has it (r 0) or it was refused. */
typedef void (*pm_done_fn)(void *arg, int r, const char *text);

/*
 * Create, change, remove an object that hosts share. Waits behind nothing but writes of its kind: what hosts learn goes
 * first. @return 0: fn follows; 1: it is like that already; -EINVAL, -EEXIST, -ENOENT, -EAGAIN (not elected, or the
 * store is lost), -ENOMEM with a reason.
 */
int pm_set(struct pm *m, enum object_kind kind, const void *spec, pm_done_fn fn, void *arg, struct errbuf *err);
int pm_remove(struct pm *m, enum object_kind kind, const void *spec, pm_done_fn fn, void *arg, struct errbuf *err);

/* Read by the key fields of spec. *ret_admin: not under a host's lease, not learned. @return 0, -ENOENT. */
int pm_get(const struct pm *m, enum object_kind kind, void *spec, bool *ret_admin);
/* Visit all of a kind; *cursor begins at 0. @return 1, 0: end. */
int pm_next(const struct pm *m, enum object_kind kind, uint64_t *cursor, void *ret, bool *ret_admin);

/*
 * What leads from the administrators' policy to the wanted one: fn for every difference ("+", "-" or "~" and the
 * object; was or now NULL). What hosts say is not touched. @param n specs of each kind. A pure look.
 */
struct pm_wanted {
	size_t n[OBJECT_COUNT];
	const void *specs[OBJECT_COUNT];
};
typedef int (*pm_diff_fn)(void *arg, enum object_kind kind, const void *was, const void *now);
int pm_diff(const struct pm *m, const struct pm_wanted *wanted, pm_diff_fn fn, void *arg);

#endif
