/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon's world: settings, event loop, policy, team, packet path, ports and the store, and every change to them.
 *
 * All functions here belong to the main thread and never block: a change that needs the portctl thread (ports,
 * members) or the store (everything that is kept) is started here and completed by a callback. Nothing is
 * acknowledged before it is on disk.
 */
#ifndef DAEMON_MANAGER_H
#define DAEMON_MANAGER_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/errs.h"
#include "base/object.h"
#include "daemon/config_schema.h"
#include "vhost/vhost.h"

struct manager;
struct distribution_info;
struct config;
struct datapath;
struct datapath_member_stats;
struct datapath_queue_stats;
struct traffic;
struct vsid_totals;
struct policy;
struct rte_mempool;
struct teaming;

/* ---- parts ------------------------------------------------------------------------------------------------- */

/* For reading: counters, lookups, listings, status. Changes go through the functions below. Never NULL when running. */
sd_event *manager_loop(struct manager *m);
const struct settings *manager_settings(const struct manager *m);
const struct policy *manager_policy(const struct manager *m);
struct teaming *manager_teaming(const struct manager *m);
struct datapath *manager_datapath(const struct manager *m);
/* Packet buffers with metadata. */
struct rte_mempool *manager_pool(const struct manager *m);
/* Counters of the member in a slot of the team, since it came. */
void manager_member_stats(const struct manager *m, unsigned int index, struct datapath_member_stats *ret);
/* The same by queue pair: [DATAPATH_MEMBER_QUEUES]. @return how many its device has, 0: it has none now. */
unsigned int manager_member_queues(const struct manager *m, unsigned int index, struct datapath_queue_stats *ret);
/*
 * Of each virtual subnet that has, or had, ports here, by VSID. What ports that have left had counted stays as long as
 * the subnet. @param fresh as of now, which looks at all ports; else as of the last time. The manager's; holds until
 * the next turn of the loop.
 */
const struct vsid_totals *manager_vsid_totals(struct manager *m, bool fresh);
/*
 * Packets that went to a record, since it is there and records are counted: of this host's guests, and from the wire.
 * By the key fields of rec. @return false: there is none, or records are not counted.
 */
bool manager_record_traffic(const struct manager *m, const struct record_spec *rec, struct traffic *ret);
/* Is policy.count-records in force? */
bool manager_counts_records(const struct manager *m);
/* What the devices of members do for us, as offload_status(). */
struct offload_member_status;
unsigned int manager_offloads(const struct manager *m, struct offload_member_status *ret, unsigned int max);

struct manager_info {
	const char *version, *config_file, *host_id, *run_dir, *state_dir;
	uint64_t started_us;	   /* CLOCK_REALTIME */
	uint64_t reloads, reload_failures;
	uint64_t last_reload_us;   /* CLOCK_REALTIME, 0: never */
	char last_reload[512];	   /* "" or why the last one was refused */
	uint64_t events;	   /* number of the last event */
	uint32_t store_pending;	   /* changes not on disk yet */
	uint32_t jobs_pending;	   /* port and member work not done yet */
	bool store_failed;	   /* last write failed; changes are refused until one succeeds */
	bool ready;		   /* ports and policy are up */
	bool hugepages;
	uint32_t megabytes;
	uint16_t provider_mtu;	   /* IP bytes on the provider network, 0: no member known */
	unsigned int workers;
};
void manager_info(const struct manager *m, struct manager_info *ret);
/* The store that hosts share (daemon/distribution.h). */
void manager_distribution_info(const struct manager *m, struct distribution_info *ret);

/* ---- objects ----------------------------------------------------------------------------------------------- */

/* Where an object comes from. `file` is NULL unless origin is config; valid until the next turn of the loop. */
struct object_info {
	enum origin origin;
	const char *refused; /* a record of this host: why central policy does not take it. NULL: it may */
	const char *file;
	unsigned int line;
};

/*
 * Result of an asynchronous call. Called exactly once, later, from the event loop on the main thread (never before the
 * call that started it has returned), also with -ECANCELED when the daemon ends: `arg` has to live until then.
 * @param r 0; 1: nothing had to change; -errno. @param text reason when r < 0, else "".
 */
typedef void (*manager_done_fn)(void *arg, int r, const char *text);

/*
 * Create an object or change the one with the same key; every kind of enum object_kind. Origins: ORIGIN_ADMIN (control
 * socket), ORIGIN_MANAGER, ORIGIN_LEARNED; config objects change by reload only.
 * The change is visible to the packet path when this returns (ports and members: when `done` says so).
 * @param spec copied; defaults applied by the caller (field_defaults()).
 * @return 0: `done` follows. Otherwise `done` is not called: -EPERM (made by the config file, which is named with its
 * line), -EINVAL, -EEXIST (contradiction), -ENOSPC, -ENOMEM, -EAGAIN (the store is failing or too much is
 * pending), -EBUSY (the same port or member is being changed); reason in err.
 */
int manager_object_set(struct manager *m, enum object_kind kind, const void *spec, enum origin origin,
		       manager_done_fn done, void *arg, struct errbuf *err);

/* Remove by the key fields of spec. As above, and -ENOENT; -EBUSY (subnet that has ports). */
int manager_object_remove(struct manager *m, enum object_kind kind, const void *spec, enum origin origin,
			  manager_done_fn done, void *arg, struct errbuf *err);

/* Read one object by the key fields of *spec, which is completed. info may be NULL. @return 0, -ENOENT. */
int manager_object_get(const struct manager *m, enum object_kind kind, void *spec, struct object_info *info);

/*
 * Say that there is none with the key fields of spec and, for kinds that have names, which one has nearly that name (of
 * the first few thousand: this is for people).
 * @return -ENOENT with the reason.
 */
int manager_object_missing(const struct manager *m, enum object_kind kind, const void *spec, struct errbuf *err);
/* The same of a port, by its id. */
int manager_port_missing(const struct manager *m, const char *id, struct errbuf *err);

/*
 * Visit all objects of a kind; *cursor starts at 0. Safe across turns of the loop: an object is missed or seen
 * twice only if it was changed meanwhile. info may be NULL. @return 1 with *ret_spec filled, 0 at the end.
 */
int manager_object_next(const struct manager *m, enum object_kind kind, uint64_t *cursor, void *ret_spec,
			struct object_info *info);

uint32_t manager_object_count(const struct manager *m, enum object_kind kind);

/* ---- ports ------------------------------------------------------------------------------------------------- */

struct port_info {
	struct port_spec spec; /* socket path completed */
	struct object_info origin;
	uint16_t index;	       /* for datapath_port_stats() */
	enum port_state state;
	struct vhu_status vhu; /* zero while there is no socket */
	uint16_t mtu;	       /* IP MTU this port should use: QEMU's host_mtu=, libvirt's <mtu> */
	bool busy;	       /* portctl is working on it */
	char error[256];       /* why it could not be made; "" when fine */
};

/* @return 0, -ENOENT. */
int manager_port_info(const struct manager *m, const char *id, struct port_info *ret);
/* Like manager_object_next(). */
int manager_port_next(const struct manager *m, uint64_t *cursor, struct port_info *ret);
/* Id of a port index ("" when there is none): for events, captures, traces. */
const char *manager_port_id(const struct manager *m, uint16_t index);

/* ---- reload ------------------------------------------------------------------------------------------------ */

/*
 * Read the configuration file again and apply the differences. All of it or nothing: on failure r < 0 and text
 * holds every error, one per line. @return 0: `done` (may be NULL) follows; -EBUSY: a reload is running.
 */
int manager_reload(struct manager *m, manager_done_fn done, void *arg, struct errbuf *err);

/* ---- events ------------------------------------------------------------------------------------------------ */

#define EVENT_PAIRS 8

/*
 * Something happened, for `events --follow` and the journal. Names are stable, e.g. "port-state", "member-usable",
 * "pa-state", "mtu-mismatch", "reload"; the list is event_names[] below.
 */
struct event {
	uint64_t number;  /* counts up by one: a gap means events were lost */
	uint64_t time_us; /* CLOCK_REALTIME */
	const char *name;
	unsigned int n;
	struct {
		const char *key, *value;
	} pairs[EVENT_PAIRS];
};

/* X(symbol, name, keys, text) */
#define EVENT_LIST(X)                                                                                                  \
	X(READY, "ready", "", "ports and policy are up")                                                               \
	X(PORT_STATE, "port-state", "port state features queues mtu", "a port was attached, became active or left")    \
	X(PORT_FAILED, "port-failed", "port error", "a port's socket could not be made")                               \
	X(PORT_QUEUE, "port-queue", "port queue enabled", "the guest turned a virtqueue on or off")                    \
	X(MTU_MISMATCH, "mtu-mismatch", "port guest-mtu mtu", "the guest's MTU is not what fits the provider network") \
	X(NEEDS_RESET, "needs-guest-reset", "port",                                                                    \
	  "a packed ring cannot be resumed: the guest has to reset its device")                                        \
	X(MEMBER_STATE, "member-state", "member usable text", "a member's link or its use by the team changed")        \
	X(MEMBER_OPEN, "member-open", "member driver", "a member's device was opened")                                 \
	X(MEMBER_CLOSED, "member-closed", "member text", "a member's device was closed")                               \
	X(MEMBER_FAILED, "member-failed", "member error", "a member's device could not be opened")                     \
	X(TEAM_DOWN, "team-down", "", "no member is usable")                                                           \
	X(TEAM, "team", "text", "news of the team as a whole")                                                         \
	X(TEAM_ALARM, "team-alarm", "text", "something is wrong with the team as a whole")                             \
	X(REBALANCE, "rebalance", "member text", "flows were moved for balance, or never pause")                       \
	X(PA_WEIGHTS, "pa-weights", "weights", "shares of inbound traffic that the provider addresses should get")     \
	X(PA_STATE, "pa-state", "address state member text", "a provider address changed state or member")             \
	X(CUSTOMER_ADDRESS, "customer-address", "change vsid ca mac host port reason rival",                           \
	  "an address of a guest was added, moved, conflicted or deleted, or a policy-mismatch was seen")              \
	X(REDIRECT, "redirect", "vsid mac host pa new-host new-pa",                                                    \
	  "a host says that a guest has gone from it, to new-host or (empty) nobody knows where")                      \
	X(OBJECT, "object", "kind key change origin", "an object was set or removed at run time")                      \
	X(RELOAD, "reload", "result added changed removed text", "the configuration was read again")                   \
	X(STORE, "store", "result text", "the policy store failed or works again")                                     \
	X(METRICS, "metrics", "result text", "the metrics endpoint cannot listen or can again")                        \
	X(STOPPING, "stopping", "", "the daemon ends")

enum event_id {
#define X(sym, name, keys, text) EVENT_##sym,
	EVENT_LIST(X)
#undef X
	EVENT_COUNT,
};

extern const char *const event_names[EVENT_COUNT], *const event_keys[EVENT_COUNT], *const event_texts[EVENT_COUNT];

typedef void (*manager_event_fn)(const struct event *ev, void *arg);
struct subscription;

/*
 * Called for every event until unsubscribed; the callback copies what it keeps, and may unsubscribe itself or others.
 * @return NULL: no memory.
 */
struct subscription *manager_subscribe(struct manager *m, manager_event_fn fn, void *arg);
void manager_unsubscribe(struct manager *m, struct subscription *s);

/* Publish an event: pairs of key and value (const char *), ended by NULL. Logged, too. */
void manager_emit(struct manager *m, enum event_id id, ...) __attribute__((sentinel));

/* ---- life: main.c ------------------------------------------------------------------------------------------ */

/*
 * Everything up to the running switch, in this order: directories and lock, EAL, policy, team, packet path, store,
 * objects of the config, services. Takes the config over, also on failure. Ready (sd_notify) comes
 * later, from the loop.
 * @return 0 or -errno with a reason.
 */
int manager_new(struct config *config, const char *config_file, struct manager **ret, struct errbuf *err);

/* Run the loop until SIGTERM, SIGINT or a fatal error. @return 0 or -errno. */
int manager_run(struct manager *m);

/* Undo manager_new() in reverse order. NULL is allowed. Returns NULL. */
struct manager *manager_free(struct manager *m);

#endif
