/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a configuration to the running switch, and back in the reverse order. Everything that can be judged is judged
 * before anything is started.
 */
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <rte_alarm.h>
#include <rte_eal.h>
#include <rte_lcore.h>
#include <rte_mempool.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/rcu.h"
#include "base/str.h"
#include "daemon/config_policy.h"
#include "daemon/control.h"
#include "daemon/dirs.h"
#include "daemon/distribution.h"
#include "daemon/logsink.h"
#include "daemon/manager_private.h"
#include "daemon/metrics.h"
#include "daemon/notify.h"
#include "daemon/privileges.h"

#define RECLAIM_US (100 * 1000)
#define POOL_CACHE 256

/* Only during start: what is read before there is a place for it. */
struct startup {
	struct config *config;
	struct object_list stored[OBJECT_COUNT];
	int r;
};

static void startup_done(struct startup *s)
{
	unsigned int k;

	for (k = 0; k < OBJECT_COUNT; k++)
		object_list_done(&s->stored[k]);
	config_free(s->config);
}

/* ---- before DPDK ---- */

static void on_store_state(void *arg, int r, const char *text)
{
	struct manager *m = arg;

	manager_emit(m, EVENT_STORE, "result", r < 0 ? "failed" : "works", "text", text, NULL);
	if (r < 0)
		log_error("policy store: %s; changes are refused until it can be written", text);
}

static void on_stored(enum object_kind kind, const void *spec, enum origin origin, void *arg)
{
	struct startup *s = arg;

	s->stored[kind].kind = kind;
	if (object_list_add(&s->stored[kind], spec, origin) < 0)
		s->r = -ENOMEM;
}

static int open_store(struct manager *m, struct startup *s, struct errbuf *err)
{
	int r = storectl_new(m->loop, m->settings.state_dir, on_store_state, m, &m->store, err);

	if (r == 0)
		r = storectl_load(m->store, on_stored, s, err);
	if (r == 0 && s->r < 0)
		r = err_set(err, -s->r, "no memory for the stored policy");
	return r;
}

/*
 * What was also made at run time is there as the file says: a reload refuses that, but a host that does not start
 * because of it could not be repaired by vswitchctl. What is stored stays stored.
 */
static void file_counts(enum object_kind kind, size_t i, const char *text, void *arg)
{
	struct startup *s = arg;

	log_warning("%s: the file counts; remove one of them", text);
	object_list_remove(&s->stored[kind], i);
}

/* The configuration together with what is stored. */
static int judge(struct startup *s, struct errbuf *err)
{
	CLEANUP(config_errors_free) struct config_errors errors = { 0 };
	CLEANUP_FREE char *text = NULL;
	unsigned int k;
	size_t n = 0;
	int r;

	for (k = 0; k < OBJECT_COUNT; k++) {
		s->stored[k].kind = k;
		n += s->stored[k].n;
	}
	if (!n)
		return 0; /* the configuration alone has been judged before */
	r = config_twins(s->config, s->stored, file_counts, s);
	if (r < 0)
		return err_set(err, -r, "out of memory");
	r = config_check_policy(s->config, s->stored, &errors);
	if (r == 0)
		return 0;
	text = config_errors_join(&errors);
	return err_set(err, -r, "%s", text && *text ? text : strerror(-r));
}

static int prepare(struct manager *m, struct startup *s, struct errbuf *err)
{
	int r = sd_event_default(&m->loop);

	if (r < 0)
		return err_set(err, -r, "cannot make the event loop: %s", strerror(-r));
	r = dirs_make(&m->settings, err);
	if (r == 0)
		r = m->lock_fd = dirs_lock(m->settings.run_dir, err);
	if (r >= 0)
		r = dirs_salt(m->settings.state_dir, &m->salt, err);
	if (r == 0)
		r = open_store(m, s, err);
	if (r == 0)
		r = judge(s, err);
	if (r == 0 && (config_index_new(s->config, &m->index) < 0 || manager_later_init(m) < 0))
		r = err_set(err, ENOMEM, "out of memory");
	return r;
}

/* ---- DPDK, tables, threads ---- */

static int start_eal(struct manager *m, const struct startup *s, struct errbuf *err)
{
	const struct config_list *members = &s->config->objects[OBJECT_MEMBER];
	struct eal_machine machine;
	struct eal_plan plan;
	int r;

	eal_probe(&machine);
	r = eal_plan(&m->settings, (const struct member_spec *)(const void *)members->specs,
		     (unsigned int)members->n, &machine, &plan, err);
	if (r < 0)
		return r;
	if (plan.note[0])
		log_notice("ordinary memory pages are used: %s", plan.note);
	log_open_dpdk();
	r = eal_init(&plan, err);
	m->eal_up = r == 0;
	m->hugepages = plan.hugepages;
	m->megabytes = plan.megabytes;
	m->n_workers = plan.n_workers;
	eal_plan_done(&plan);
	return r;
}

static int make_tables(struct manager *m, struct errbuf *err)
{
	struct policy_params params = {
		.host_id = m->settings.host_id,
		.max_records = m->settings.max_records,
		.use_external_router = m->settings.use_external_router,
		.routed_ttl = m->settings.routed_ttl,
		.socket = SOCKET_ID_ANY,
	};

	if (rcu_init() < 0)
		return err_set(err, ENOMEM, "no memory for RCU");
	m->pool = meta_pool_create("packets", m->settings.mbufs, POOL_CACHE,
				   (uint16_t)(m->settings.mbuf_size + RTE_PKTMBUF_HEADROOM), SOCKET_ID_ANY);
	if (!m->pool)
		return err_set(err, ENOMEM, "no memory for %u packet buffers: lower memory.mbufs or raise "
			       "memory.megabytes", m->settings.mbufs);
	return policy_create(&params, &m->policy, err);
}

static const struct mailbox_ops mail_ops;

static int make_threads(struct manager *m, struct errbuf *err)
{
	int r = mailbox_new(m->loop, &mail_ops, m, &m->mailbox);

	if (r == 0)
		r = jobq_new("portctl", m->loop, true, &m->portctl);
	if (r == 0)
		r = jobq_new("background", m->loop, false, &m->background);
	return r < 0 ? err_set(err, -r, "cannot start threads: %s", strerror(-r)) : 0;
}

struct vhost_job {
	struct job job;
	struct manager *m;
	bool up;
	int r;
};

static int vhost_run(struct job *job)
{
	struct vhost_job *j = (struct vhost_job *)job;
	struct vhu_config c = {
		.pool = j->m->pool,
		.state_dir = j->m->settings.run_dir,
		.event = mailbox_post_port,
		.arg = j->m->mailbox,
		.confine = privileges_drop_thread,
	};

	if (j->up)
		return vhu_init(&c, &job->err);
	vhu_fini();
	return 0;
}

static void vhost_done(struct job *job)
{
}

int manager_vhost(struct manager *m, bool up, struct errbuf *err)
{
	struct vhost_job j = { .job = { .run = vhost_run, .done = vhost_done }, .m = m, .up = up };

	jobq_submit(m->portctl, &j.job);
	jobq_drain(m->portctl);
	if (j.job.r < 0)
		*err = j.job.err;
	m->vhost_up = up && j.job.r == 0;
	return j.job.r;
}

static int make_team(struct manager *m, const struct startup *s, struct errbuf *err)
{
	static const enum object_kind kinds[] = { OBJECT_MEMBER, OBJECT_PA, OBJECT_PROVIDER_ROUTE };
	struct object_list lists[3] = { 0 };
	unsigned int k;
	size_t i;
	int r = 0;

	for (k = 0; k < 3; k++) {
		lists[k].kind = kinds[k];
		for (i = 0; i < s->config->objects[kinds[k]].n && r == 0; i++)
			r = object_list_add(&lists[k], config_spec(s->config, kinds[k], i), ORIGIN_CONFIG);
		for (i = 0; i < s->stored[kinds[k]].n && r == 0; i++)
			r = object_list_add(&lists[k], object_list_spec(&s->stored[kinds[k]], i),
					    s->stored[kinds[k]].origins[i]);
	}
	if (r == 0)
		r = offloads_create(m);
	r = r < 0 ? err_set(err, ENOMEM, "out of memory") : team_create(m, lists, err);
	for (k = 0; k < 3; k++)
		object_list_done(&lists[k]);
	return r;
}

static int make_datapath(struct manager *m, struct errbuf *err)
{
	int r;

	m->knobs = (struct datapath_params){
		.policy = m->policy,
		.teaming = m->teaming,
		.pool = m->pool,
		.n_workers = m->n_workers,
		.salt = m->salt,
		.max_sleep_us = m->settings.max_sleep_us,
		.flood_pps = m->settings.flood_pps,
		.neigh_pps = m->settings.neigh_pps,
		.learn_pps = m->settings.learn_pps,
		.learn_burst = m->settings.learned_per_port,
		.learn_fd = m->learn_fd,
		.flow_id = m->settings.flow_id,
		.plain_uplink = m->settings.plain_uplink,
		.mss_clamp = m->settings.mss_clamp,
		.redirect = m->settings.redirect,
		.rss = m->settings.offload_rss,
		.provider_mtu = m->settings.provider_mtu,
	};
	nvgre_set_accept_vid0(m->settings.accept_inner_vid0);
	policy_set_departed(m->policy, m->settings.redirect_s * 1000);
	m->provider_mtu = m->settings.provider_mtu;
	r = datapath_create(&m->knobs, &m->datapath, err);
	if (r == 0)
		records_count(m);
	return r;
}

/* ---- objects ---- */

static int confine_worker(void *arg)
{
	int r = privileges_drop_thread();

	datapath_worker_prepare();
	return r < 0 ? r : privileges_confine_worker();
}

/* On DPDK's thread for interrupts, which no call of ours starts and which has what the process began with. */
static void drop_interrupts(void *arg)
{
	if (privileges_drop_thread() < 0)
		log_warning("the thread for interrupts keeps its capabilities");
}

/* Members are open, drivers loaded: from here on less is needed. Workers last, whose list is the shorter one. */
static int confine(struct errbuf *err)
{
	unsigned int lcore;
	int r = privileges_confine_process(err), w;

	if (r < 0)
		return r;
	if (rte_eal_alarm_set(1, drop_interrupts, NULL) < 0)
		log_warning("the thread for interrupts keeps its capabilities");
	rte_eal_mp_remote_launch(confine_worker, NULL, SKIP_MAIN);
	RTE_LCORE_FOREACH_WORKER(lcore) {
		w = rte_eal_wait_lcore(lcore);
		if (w < 0)
			r = err_set(err, -w, "cannot confine a worker: %s", strerror(-w));
	}
	return r;
}

static int set_config(struct manager *m, const struct startup *s, enum object_kind kind, struct errbuf *err)
{
	size_t i;
	int r = 0;

	for (i = 0; i < s->config->objects[kind].n && r >= 0; i++) {
		const void *spec = config_spec(s->config, kind, i);

		r = kind == OBJECT_PORT ? ports_add(m, spec, ORIGIN_CONFIG, NULL, NULL, err) :
					  objects_apply_set(m, kind, spec, ORIGIN_CONFIG, err);
	}
	return r < 0 ? r : 0;
}

/* What was set at run time before. What cannot be set now stays in the store: it may be a matter of room. */
static void set_stored(struct manager *m, const struct startup *s, enum object_kind kind)
{
	const struct object_list *l = &s->stored[kind];
	struct errbuf err;
	size_t i;
	int r;

	for (i = 0; i < l->n; i++) {
		const void *spec = object_list_spec(l, i);

		r = kind == OBJECT_PORT ? ports_add(m, spec, l->origins[i], NULL, NULL, &err) :
					  objects_apply_set(m, kind, spec, l->origins[i], &err);
		if (r < 0 && r != -EPERM)
			log_warning("stored policy: %s, ignored", err.text);
	}
}

static int set_objects(struct manager *m, const struct startup *s, struct errbuf *err)
{
	static const enum object_kind kinds[] = { OBJECT_HOST, OBJECT_SUBNET, OBJECT_RECORD, OBJECT_ROUTE,
						  OBJECT_PORT };
	unsigned int k;
	int r = 0;

	for (k = 0; k < sizeof(kinds) / sizeof(kinds[0]) && r == 0; k++) {
		r = set_config(m, s, kinds[k], err);
		if (r == 0)
			set_stored(m, s, kinds[k]);
	}
	return r;
}

/* ---- the loop ---- */

static void on_lost_mail(void *arg)
{
	struct manager *m = arg;

	ports_refresh_all(m);
	manager_later(m, LATER_REMOTES | LATER_TUNNELS | LATER_MTU);
	team_sync(m);
}

static const struct mailbox_ops mail_ops = {
	.port = ports_on_event,
	.team = team_on_event,
	.lost = on_lost_mail,
};

static int on_stop(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
	log_info("signal %u: stopping", si->ssi_signo);
	return sd_event_exit(sd_event_source_get_event(s), 0);
}

static int on_hup(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
	struct errbuf err;

	if (manager_reload(userdata, NULL, NULL, &err) < 0)
		log_error("reload: %s", err.text);
	return 0;
}

/* Freed memory of the packet path waits here for its grace period, guests that have moved for being forgotten. */
static int on_reclaim(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;

	rcu_reclaim(0);
	if (policy_expire(m->policy, tick_ms()) && m->distribution)
		distribution_look(m->distribution); /* their subnets need not be followed any more */
	sd_event_source_set_time_relative(s, RECLAIM_US);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static bool workers_alive(void *arg)
{
	struct manager *m = arg;

	return datapath_alive(m->datapath);
}

static int add_sources(struct manager *m, struct errbuf *err)
{
	int r = sd_event_add_signal(m->loop, &m->term_source, SIGTERM, on_stop, m);

	if (r >= 0)
		r = sd_event_add_signal(m->loop, &m->int_source, SIGINT, on_stop, m);
	if (r >= 0)
		r = sd_event_add_signal(m->loop, &m->hup_source, SIGHUP, on_hup, m);
	if (r >= 0)
		r = sd_event_add_time_relative(m->loop, &m->reclaim_source, CLOCK_MONOTONIC, RECLAIM_US, RECLAIM_US,
					       on_reclaim, m);
	if (r >= 0)
		r = ports_advertise_start(m);
	if (r >= 0)
		r = balance_start(m);
	if (r >= 0)
		r = notify_watchdog(m->loop, workers_alive, m, &m->watchdog_source);
	return r < 0 ? err_set(err, -r, "cannot prepare the event loop: %s", strerror(-r)) : 0;
}

static int start_services(struct manager *m, struct errbuf *err)
{
	char path[PATH_SIZE + 16];
	int r;

	snprintf(path, sizeof(path), "%s/control", m->settings.run_dir);
	r = control_new(m, path, &m->control, err);
	return r < 0 ? r : metrics_new(m, &m->metrics, err);
}

static int start(struct manager *m, struct startup *s, struct errbuf *err)
{
	int r = prepare(m, s, err);

	if (r == 0)
		r = start_eal(m, s, err);
	if (r == 0)
		r = make_tables(m, err);
	if (r == 0)
		r = make_threads(m, err);
	if (r == 0)
		r = make_team(m, s, err);
	if (r == 0)
		r = learn_start(m, err);
	if (r == 0)
		r = make_datapath(m, err);
	if (r == 0)
		r = manager_vhost(m, true, err);
	if (r == 0)
		r = confine(err);
	if (r == 0)
		r = datapath_start(m->datapath, err);
	if (r == 0)
		r = add_sources(m, err);
	if (r == 0)
		r = set_objects(m, s, err);
	if (r == 0)
		learn_begin(m);
	if (r == 0)
		r = start_services(m, err);
	if (r == 0)
		r = distribution_new(m, &m->distribution, err);
	if (r == 0)
		r = privileges_drop_thread(); /* whoever needs them has got theirs */
	if (r < 0)
		return r;
	team_sync(m);
	manager_later(m, LATER_REMOTES | LATER_TUNNELS | LATER_MTU | LATER_READY);
	return 0;
}

int manager_new(struct config *config, const char *config_file, struct manager **ret, struct errbuf *err)
{
	struct startup s = { .config = config };
	struct manager *m = calloc(1, sizeof(*m));
	struct timespec now;
	int r = -ENOMEM;

	clock_gettime(CLOCK_REALTIME, &now);
	if (m) {
		m->lock_fd = -1;
		m->learn_fd = -1;
		m->settings = config->settings;
		m->started_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
		str_copy(m->config_file, sizeof(m->config_file), config_file);
		r = start(m, &s, err);
	}
	startup_done(&s);
	malloc_trim(0); /* a large configuration leaves much behind that is not needed again */
	if (r < 0)
		manager_free(m);
	else
		*ret = m;
	return r;
}

int manager_run(struct manager *m)
{
	int r = sd_event_loop(m->loop);

	return r < 0 ? r : 0;
}
