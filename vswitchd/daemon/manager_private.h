/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between manager*.c, reload.c and startup.c: the one structure that is the daemon, and its parts. Main thread only,
 * but for what the jobs' run functions touch (portctl.c).
 */
#ifndef DAEMON_MANAGER_PRIVATE_H
#define DAEMON_MANAGER_PRIVATE_H

#include "base/meta.h"
#include "daemon/config.h"
#include "daemon/eal.h"
#include "daemon/events.h"
#include "daemon/jobs.h"
#include "daemon/mailbox.h"
#include "daemon/manager.h"
#include "daemon/objects.h"
#include "daemon/storectl.h"
#include "daemon/vsid_totals.h"
#include "datapath/datapath.h"
#include "policy/learn/learn.h"
#include "offload/offload.h"
#include "policy/policy.h"
#include "teaming/teaming.h"

struct control;
struct distribution;
struct metrics;

/* One port. Found by policy's index; a removed one lives on until portctl has let go of its socket. */
struct port {
	struct manager *m;
	struct port_spec spec; /* as the user wrote it */
	enum origin origin;
	uint16_t index;
	struct vhu_port *vhu;  /* NULL: none yet, or it could not be made */
	enum port_state state; /* last told */
	uint16_t guest_mtu;    /* last told as a mismatch; 0: none */
	bool attached;	       /* workers serve it */
	bool busy;	       /* portctl works on it */
	bool advertise;	       /* its guest is to be told of the router soon: the subnet has changed */
	bool router_left;      /* ... that it is none any more, if it still is none then */
	struct vsid_counts counted; /* what its subnet's totals have of the port as it is attached now */
	char error[256];
};

/* What portctl does with the device of a member; by name, since indices are the team's. */
enum member_work { MEMBER_IDLE, MEMBER_OPENING, MEMBER_CLOSING };

struct member_ctl {
	char name[ID_SIZE];
	enum member_work work;
	bool open;
	char error[256];
};

/* Deferred to the end of the turn, so that a bulk change does them once. */
#define LATER_REMOTES 0x01 /* teaming: remote provider addresses */
#define LATER_TUNNELS 0x02 /* datapath: templates of all hosts */
#define LATER_MEMBERS 0x04 /* datapath: members' queues */
#define LATER_MTU     0x08 /* provider MTU from the members */
#define LATER_READY   0x10 /* are ports and policy up? */
#define LATER_PLAIN   0x20 /* teaming: MACs of the plain segment */
#define LATER_SELF    0x40 /* policy: this host's own object */
#define LATER_GROUPS  0x80 /* teaming: multicast groups of the subnets that have ports here */
#define LATER_STEER   0x100 /* offload: flow rules of ports */

#define UNREACHABLE_TOLD 64

struct manager {
	struct settings settings;
	char config_file[4096];
	struct config_index *index;
	uint64_t started_us;
	int lock_fd;
	bool eal_up, ready, stopping;
	bool hugepages;
	uint32_t megabytes;
	unsigned int n_workers;
	uint64_t salt;
	uint16_t provider_mtu;

	sd_event *loop;
	sd_event_source *later_source, *reclaim_source, *watchdog_source, *traffic_source;
	sd_event_source *term_source, *int_source, *hup_source;
	unsigned int later; /* LATER_* */
	struct event_bus bus;

	struct policy *policy;
	struct teaming *teaming;
	struct datapath *datapath;
	struct offload *offload;
	bool steered; /* flow rules were wanted last */
	struct datapath_params knobs;
	struct learn *learn;
	int learn_fd; /* eventfd: workers have seen something */
	sd_event_source *learn_source, *learn_timer;
	sd_event_source *ra_source;
	unsigned int ra_next; /* port that is told next */
	bool ra_all, ra_again; /* this round: all ports; and once more when it is over */
	uint64_t ra_due;       /* us: when all are told */
	bool learn_soon; /* the timer is due at the end of this turn */
	struct rte_mempool *pool;
	struct mailbox *mailbox;
	struct jobq *portctl, *background; /* background: parsing for a reload */
	struct storectl *store;
	struct control *control;
	struct distribution *distribution; /* NULL: policy of our own */
	struct metrics *metrics; /* NULL: not wanted */
	bool vhost_up;

	struct port *ports[POLICY_MAX_PORTS];
	struct vsid_totals vsid_totals;
	struct object_list members, pas, provider_routes; /* the team, with origins */
	struct member_ctl member_ctl[TEAM_MEMBERS];
	struct member_base {	/* by slot: counters when its member came, for they go on counting */
		char name[ID_SIZE];
		struct datapath_member_stats stats;
		struct datapath_queue_stats queues[DATAPATH_MEMBER_QUEUES];
	} member_base[TEAM_MEMBERS];
	struct team_change *team_change; /* on its way */
	struct host_spec self;		 /* this host as policy has it, unless an administrator said what it is */
	struct {
		uint64_t key, at;
	} unreachable[UNREACHABLE_TOLD]; /* guests of whom hosts know nothing, by hash; ms */
	struct reload *reload;
	uint64_t changes; /* of objects at run time: what a thread has judged may be out of date */
	uint64_t reloads, reload_failures, last_reload_us;
	char last_reload[512];
};

/* Do something once, at the end of this turn of the loop. */
void manager_later(struct manager *m, unsigned int what);
int manager_later_init(struct manager *m);

/* Start and end the vhost library's side, on portctl; waits for it. @return 0 or -errno with a reason. */
int manager_vhost(struct manager *m, bool up, struct errbuf *err);

/* ---- manager_objects.c, manager_show.c ---- */

/* Changes of hosts, subnets, records and routes, and what follows from them. @return 0, 1: nothing changed, -errno. */
int objects_apply_set(struct manager *m, enum object_kind kind, const void *spec, enum origin origin,
		      struct errbuf *err);
int objects_apply_remove(struct manager *m, enum object_kind kind, const void *spec, enum origin origin,
			 struct errbuf *err);
/* manager_object_next() without looking up where the object stands. */
int objects_next(const struct manager *m, enum object_kind kind, uint64_t *cursor, void *ret_spec,
		 enum origin *ret_origin);


/* ---- manager_ports.c ---- */

typedef void (*work_done_fn)(void *arg, int r, const char *text);

/*
 * Make, change, remove a port. `fn` is called later from the loop when portctl is done, also on failure: the port is
 * then in the table with its error (add, change), so that its owner may decide. A negative return changes nothing and
 * calls nothing.
 */
int ports_add(struct manager *m, const struct port_spec *spec, enum origin origin, work_done_fn fn, void *arg,
	      struct errbuf *err);
int ports_change(struct manager *m, struct port *p, const struct port_spec *spec, enum origin origin,
		 work_done_fn fn, void *arg, struct errbuf *err);
int ports_remove(struct manager *m, struct port *p, work_done_fn fn, void *arg, struct errbuf *err);
/* Try again to make the socket of a port that failed. */
int ports_retry(struct manager *m, struct port *p, work_done_fn fn, void *arg, struct errbuf *err);
struct port *ports_find(const struct manager *m, const char *id);
void ports_on_event(const struct vhu_event *ev, void *arg);
void ports_refresh_all(struct manager *m);
uint16_t ports_mtu(const struct manager *m, const struct port_spec *spec);
void ports_update_plain(struct manager *m);
void ports_stop(struct manager *m); /* at the end: detach and destroy all */

/* ---- manager_team.c ---- */

/* lists: members, provider addresses, provider routes; taken over (zeroed) on success. */
int team_create(struct manager *m, struct object_list lists[3], struct errbuf *err);
/* Replace the team. fn is called later from the loop; as ports_add(). -EBUSY while another change is on its way. */
int team_replace(struct manager *m, struct object_list lists[3], work_done_fn fn, void *arg, struct errbuf *err);
/* Would these make a team? Pure. */
int team_check(const struct settings *s, const struct object_list *members, const struct object_list *pas,
	       const struct object_list *routes, struct errbuf *err);
/* Open what is there and not open, close what is gone. */
void team_sync(struct manager *m);
bool team_idle(const struct manager *m);
/* Could the device of a member (name NULL: of any) not be opened? */
bool team_failed(const struct manager *m, const char *name);
void team_stop(struct manager *m); /* at the end: close all */
/* What is known of a member's device by name; made if wanted. NULL: none. */
struct member_ctl *team_ctl(struct manager *m, const char *name, bool make);

/* ---- manager_counts.c ---- */

/* Let the port's subnet have what it has counted: before it goes to another subnet. */
void counts_port(struct port *p);
/* It is attached no more. */
void counts_port_ends(struct port *p, const struct datapath_port_stats *last);

/* ---- manager_records.c ---- */

/* Count by record, or not, as the settings say. */
void records_count(struct manager *m);

/* ---- manager_neigh.c ---- */

/* Tell a guest its gateways and neighbours unasked: when its port has become active. */
void ports_tell_neighbours(struct manager *m, uint16_t index);
/* The router advertisement of its subnet, if that wants them: asked for by the guest, and from time to time. */
bool ports_advertise(struct manager *m, uint16_t index);
int ports_advertise_start(struct manager *m); /* 0 or -errno */
/* Soon: the subnet has changed. @param left  it wanted them till now. */
void ports_advertise_subnet(struct manager *m, uint32_t vsid, bool left);

/* ---- manager_learn.c ---- */

/* The learner: before the packet path is made; what was learned before, when the objects are set; the end. */
int learn_start(struct manager *m, struct errbuf *err);
void learn_begin(struct manager *m);
void learn_stop(struct manager *m);
/* Settings changed. */
void learn_settings(struct manager *m);
/* A port was added, changed or removed. */
void learn_port(struct manager *m, uint16_t index);
/* Its guest runs here now: what records say of its MACs may be out of date. */
void learn_port_active(struct manager *m, uint16_t index);
/* A record was set or removed by config, admin or manager. */
void learn_record(struct manager *m, const struct record_spec *rec);

/* ---- manager_redirect.c ---- */

/* A worker has taken a REDIRECT or UNREACHABLE (SIGHT_REDIRECT). */
void redirect_see(struct manager *m, const struct sighting *s);

/* ---- manager_learned.c ---- */

enum learned_change { LEARNED_ADDED, LEARNED_MOVED, LEARNED_REMOVED };

/*
 * An address that a guest of this host has was learned, came to another MAC or from another host (moved), or is gone:
 * keep that, and tell central policy where there is one. Policy knows it already; a failing store does not undo it.
 * @param rec the record as it is now, or was; host is this one, type dynamic. Its MAC may differ from what was told
 * before for the same address. Called for every change and only then, on the main thread.
 * @return 0, -ENOMEM: it is not kept.
 */
int manager_learned_changed(struct manager *m, enum learned_change change, const struct record_spec *rec);

/* ---- manager_balance.c ---- */

/* Measure what goes out, from now on. @return 0 or -errno. */
int balance_start(struct manager *m);
void balance_stop(struct manager *m);
/*
 * This host's object, with the weights of its addresses: after every change of the team.
 * @param again also without a change: an administrator's object of this host may have gone.
 */
void balance_update_self(struct manager *m, bool again);

/* ---- manager_paths.c ---- */

void team_on_event(const struct teaming_event *ev, void *arg);
void team_update_remotes(struct manager *m);
void team_update_mtu(struct manager *m);
void team_update_groups(struct manager *m);

/* ---- manager_offload.c ---- */

/* Before the team. @return 0, -ENOMEM. */
int offloads_create(struct manager *m);
/* The settings have changed. */
void offloads_reload(struct manager *m);
/* Flow rules by ports, workers and homes of provider addresses, on portctl. */
void offloads_steer(struct manager *m);

/* ---- reload.c ---- */
/* Go on with a reload that waits for portctl. */
void reload_step(struct manager *m);
/* End it with -ECANCELED. */
void reload_stop(struct manager *m);

#endif
