/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Provider `libteam`: the members are the ports of a team device. Three sources, all in one descriptor: rtnetlink (is
 * the device there, whose port is who, links: at once, whatever the others do), snapshots of the thread that libteam
 * lives in (may a port carry data), and teamd (runner, LACP). What follows from them is libteam_state.c.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/tick.h"
#include "teaming/libteam_watch.h"
#include "teaming/teamd.h"

#define MS	   1000000ull
#define START_WAIT (2000 * MS)
#define GRACE_MS   3000
#define QUIET	   (1500 * MS) /* from the device's appearance until teamd can be expected */
#define BATCH	   8

enum source { SOURCE_LINKS, SOURCE_LIBTEAM, SOURCE_TIMER, SOURCE_TEAMD, SOURCE_PROCESS };

struct followed {
	bool used;
	char name[IFNAMSIZ];
};

struct provider {
	char device[IFNAMSIZ], kind[16];
	uint8_t mode;	/* configured */
	uint32_t bound; /* the team device's netdev, through renames */
	int epoll, timer;
	struct tw_links *links;
	struct tw_libteam *thread;
	struct tw_snapshot raw; /* as libteam says; ports not checked */
	struct tw_team_state state;
	struct tw_teamd teamd;
	uint64_t quiet_until; /* ns: teamd is about to start, or to be asked */
	struct followed members[TEAM_MEMBERS];
};

/* ---- what is the case ---- */

static struct tw_netdev *team_link(struct provider *p)
{
	struct tw_netdev *l = tw_links_find(p->links, p->bound);

	if (!l)
		l = tw_links_find_name(p->links, p->device);
	p->bound = l ? l->if_index : 0;
	return l;
}

static bool is_team(const struct provider *p, const struct tw_netdev *l)
{
	return l && strcmp(l->kind, p->kind) == 0;
}

/* libteam keeps a port whose removal it has missed; rtnetlink asks anew when it has missed anything. */
static void checked_snapshot(const struct provider *p, uint32_t team, struct tw_snapshot *ret)
{
	uint32_t n = 0;

	*ret = p->raw;
	if (ret->if_index != team) { /* it is gone, or was replaced, and the thread does not know yet */
		memset(ret, 0, sizeof(*ret));
		return;
	}
	for (uint32_t i = 0; i < p->raw.n; i++) {
		const struct tw_netdev *l = tw_links_find(p->links, p->raw.ports[i].if_index);

		if (l && l->master == team)
			ret->ports[n++] = p->raw.ports[i];
	}
	memset(&ret->ports[n], 0, (TEAM_MEMBERS - n) * sizeof(ret->ports[0]));
	ret->n = n;
}

static void arm(struct provider *p)
{
	uint64_t at = tw_team_deadline(&p->state), teamd = tw_teamd_deadline(&p->teamd);
	struct itimerspec its = { 0 };

	at = teamd < at ? teamd : at;
	if (tick_ns() < p->quiet_until && p->quiet_until < at)
		at = p->quiet_until;
	if (at != UINT64_MAX) {
		its.it_value.tv_sec = (time_t)(at / 1000000000);
		its.it_value.tv_nsec = (long)(at % 1000000000) + (at == 0); /* 0 would disarm */
	}
	timerfd_settime(p->timer, TFD_TIMER_ABSTIME, &its, NULL);
}

static int watch(struct provider *p, int fd, enum source source)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = source };

	return epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 && errno != EEXIST ? -errno : 0;
}

static void evaluate(struct provider *p)
{
	uint64_t now = tick_ns();
	const struct tw_netdev *l = team_link(p);
	uint32_t team = is_team(p, l) ? l->if_index : 0;
	struct tw_snapshot snap;

	if (tw_libteam_want(p->thread, team) && team) {
		p->quiet_until = now + QUIET;
		p->teamd.look_at = p->teamd.ask_at = 0;
	}
	checked_snapshot(p, team, &snap);
	if (memcmp(&snap, &p->state.snap, sizeof(snap)) != 0) {
		tw_teamd_kick(&p->teamd);
		if (p->teamd.life < TEAMD_SILENT && snap.if_index)
			p->teamd.look_at = 0;
		tw_team_update(&p->state, &snap, now);
	}
	tw_teamd_step(&p->teamd, now);
	for (unsigned int i = 0; i < p->state.n_ports; i++)
		p->state.ports[i].teamd_down = tw_teamd_down(&p->teamd, p->state.ports[i].if_index);
	memcpy(p->state.runner, p->teamd.runner, sizeof(p->state.runner));
	tw_team_names(&p->state, p->links);
	tw_team_expire(&p->state, now);
	/* Without them it would be noticed by the timer, later. */
	if (p->teamd.sock >= 0)
		(void)watch(p, p->teamd.sock, SOURCE_TEAMD);
	if (p->teamd.pidfd >= 0)
		(void)watch(p, p->teamd.pidfd, SOURCE_PROCESS);
	arm(p);
}

static int libteam_handle(struct provider *p)
{
	struct epoll_event evs[BATCH];
	int n = epoll_wait(p->epoll, evs, BATCH, 0), r = 0;
	uint64_t ignored;

	for (int i = 0; i < n; i++) {
		switch ((enum source)evs[i].data.u32) {
		case SOURCE_LINKS:
			r = tw_links_handle(p->links);
			break;
		case SOURCE_LIBTEAM:
			tw_libteam_take(p->thread, &p->raw);
			break;
		case SOURCE_TIMER:
			if (read(p->timer, &ignored, sizeof(ignored)) < 0)
				break; /* EAGAIN: it was armed anew */
			break;
		case SOURCE_TEAMD:
			tw_teamd_answer(&p->teamd, tick_ns());
			break;
		case SOURCE_PROCESS:
			tw_teamd_ended(&p->teamd, tick_ns());
			break;
		}
	}
	evaluate(p);
	return r;
}

/* ---- status ---- */

/* The runner will be known in a moment. */
static bool asking(const struct provider *p)
{
	return !*p->state.configured_runner && !*p->teamd.runner && p->teamd.life == TEAMD_ALIVE &&
	       !p->teamd.denied;
}

static const char *const lives[] = {
	[TEAMD_UNKNOWN] = "unknown", [TEAMD_NONE] = "not running", [TEAMD_DEAD] = "dead",
	[TEAMD_SILENT] = "not answering", [TEAMD_ALIVE] = "alive",
};

/* Why the team cannot be followed at all. */
static bool absent(struct provider *p, char *text, size_t size)
{
	const struct tw_netdev *l = team_link(p);
	int error = p->raw.error;

	if (!l)
		snprintf(text, size, p->state.ever_attached ? "%s is gone" : "there is no %s: waiting for it",
			 p->device);
	else if (!is_team(p, l))
		snprintf(text, size, "%s is no team device", p->device);
	else if (!p->raw.if_index && (error == -EPERM || error == -EACCES))
		snprintf(text, size, "%s: reading a team's options needs CAP_NET_ADMIN", p->device);
	else if (!p->raw.if_index && error)
		snprintf(text, size, "%s: cannot be followed: %s", p->device, strerror(-error));
	else
		return false;
	return true;
}

static void problem(struct provider *p, const char *runner, char *text, size_t size)
{
	bool quiet = tick_ns() < p->quiet_until;
	uint8_t life = p->teamd.life;

	if (absent(p, text, size))
		return;
	if (tw_team_refused(runner))
		snprintf(text, size, "%s: runner %s sends every frame by every port, which cannot be used", p->device,
			 runner);
	else if (!quiet && (life == TEAMD_NONE || life == TEAMD_DEAD || life == TEAMD_SILENT))
		snprintf(text, size, "%s: teamd is %s: nobody takes a bad port out", p->device, lives[life]);
	else if (!quiet && p->mode == TEAM_AUTO && !*runner && !asking(p))
		snprintf(text, size, "%s: runner not known: set team.runner or team.mode; independent until then",
			 p->device);
	else if (p->mode == TEAM_AUTO && *runner && tw_team_mode(runner) == TEAM_AUTO)
		snprintf(text, size, "%s: runner %s does not tell the mode: set team.mode; independent until then",
			 p->device, runner);
	else if (p->state.snap.beyond)
		snprintf(text, size, "%s: more than %d ports, %u are left out", p->device, TEAM_MEMBERS,
			 p->state.snap.beyond);
}

/*
 * Independent where nothing is known: with a switch that aggregates it costs frames, which are counted here (not-home).
 * The other way round it would be the switch that sees a MAC move between its ports without end, and guests that get
 * frames twice.
 */
static uint8_t effective_mode(const struct provider *p, const char *runner)
{
	uint8_t mode = p->mode == TEAM_AUTO ? tw_team_mode(runner) : p->mode;

	return mode == TEAM_AUTO ? TEAM_INDEPENDENT : mode;
}

static void libteam_status(struct provider *p, struct teaming_status *ret)
{
	const char *source, *runner = tw_team_runner(&p->state, &source);

	memset(ret, 0, sizeof(*ret));
	str_copy(ret->device, sizeof(ret->device), p->device);
	ret->if_index = p->state.snap.if_index;
	str_copy(ret->runner, sizeof(ret->runner), runner);
	str_copy(ret->runner_source, sizeof(ret->runner_source), source);
	str_copy(ret->kernel_mode, sizeof(ret->kernel_mode), p->state.snap.mode);
	str_copy(ret->teamd, sizeof(ret->teamd), lives[p->teamd.life]);
	ret->mode = effective_mode(p, runner);
	problem(p, runner, ret->problem, sizeof(ret->problem));
}

/* ---- members ---- */

static unsigned int libteam_list(struct provider *p, char ret[TEAM_MEMBERS][IFNAMSIZ])
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < p->state.n_ports; i++)
		if (*p->state.ports[i].name)
			memcpy(ret[n++], p->state.ports[i].name, IFNAMSIZ);
	return n;
}

static void libteam_follow(struct provider *p, unsigned int member, const char *name, uint32_t if_index)
{
	p->members[member] = (struct followed){ .used = true };
	if (name)
		str_copy(p->members[member].name, IFNAMSIZ, name);
}

static void libteam_forget(struct provider *p, unsigned int member)
{
	p->members[member] = (struct followed){ 0 };
}

static void libteam_port(struct provider *p, unsigned int member, struct provider_port *ret)
{
	const struct followed *f = &p->members[member];
	const struct tw_team_port *t = f->used ? tw_team_port_named(&p->state, f->name) : NULL;
	struct tw_netdev *l = t ? tw_links_find(p->links, t->if_index) : NULL;
	const char *why = NULL;

	memset(ret, 0, sizeof(*ret));
	if (!l)
		return;
	tw_links_port(l, ret);
	if (l->link && !ret->speed)
		ret->speed = t->now.speed;
	ret->enabled = tw_team_enabled(&p->state, t, tick_ns(), &why);
	ret->why = ret->enabled ? NULL : why;
}

static const struct teaming_lacp *libteam_lacp(struct provider *p, unsigned int member)
{
	const struct followed *f = &p->members[member];
	const struct tw_team_port *t = f->used ? tw_team_port_named(&p->state, f->name) : NULL;

	return t ? tw_teamd_lacp(&p->teamd, t->if_index) : NULL;
}

/* ---- life ---- */

static void libteam_free(struct provider *p)
{
	if (!p)
		return;
	tw_libteam_stop(p->thread);
	tw_teamd_done(&p->teamd);
	tw_links_close(p->links);
	closep(&p->timer);
	closep(&p->epoll);
	free(p);
}

static int open_sources(struct provider *p, const struct provider_config *config, struct errbuf *err)
{
	int r = tw_links_open(&p->links, err);

	if (r < 0)
		return r;
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	p->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	r = p->epoll < 0 || p->timer < 0 ? -errno : 0;
	if (r == 0)
		r = tw_libteam_start(config->libteam ? config->libteam : &tw_libteam_ops, &p->thread);
	if (r < 0 || (r = watch(p, tw_links_fd(p->links), SOURCE_LINKS)) < 0 ||
	    (r = watch(p, tw_libteam_fd(p->thread), SOURCE_LIBTEAM)) < 0 ||
	    (r = watch(p, p->timer, SOURCE_TIMER)) < 0)
		return err_set(err, -r, "cannot follow team %s: %s", p->device, strerror(-r));
	return 0;
}

/* So that members are known, and the mode, when the first configuration is applied. */
static void first_look(struct provider *p)
{
	uint64_t end = tick_ns() + START_WAIT;

	for (;;) {
		const struct tw_netdev *l = team_link(p);
		struct pollfd fd = { .fd = p->epoll, .events = POLLIN };
		uint64_t now = tick_ns();

		if (!is_team(p, l) || p->raw.error || now >= end || (p->state.snap.if_index && !asking(p)))
			return;
		if (poll(&fd, 1, (int)((end - now) / MS) + 1) > 0)
			libteam_handle(p);
	}
}

static int libteam_create(const struct provider_config *config, struct provider **ret, struct errbuf *err)
{
	struct provider *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_set(err, ENOMEM, "out of memory");
	p->epoll = p->timer = -1;
	p->mode = config->mode;
	p->state.spread_all = config->spread_all;
	p->state.grace_ms = config->grace_ms ? config->grace_ms : GRACE_MS;
	str_copy(p->device, sizeof(p->device), config->device);
	str_copy(p->kind, sizeof(p->kind), config->kind ? config->kind : "team");
	str_copy(p->state.configured_runner, sizeof(p->state.configured_runner), config->runner ? config->runner : "");
	tw_teamd_init(&p->teamd, config->teamd_dir ? config->teamd_dir : TW_TEAMD_DIR, p->device);
	r = open_sources(p, config, err);
	if (r < 0) {
		libteam_free(p);
		return r;
	}
	evaluate(p);
	first_look(p);
	*ret = p;
	return 0;
}

static int libteam_fd(const struct provider *p)
{
	return p->epoll;
}

const struct provider_ops provider_libteam = {
	.name = "libteam",
	.create = libteam_create,
	.free = libteam_free,
	.fd = libteam_fd,
	.handle = libteam_handle,
	.follow = libteam_follow,
	.forget = libteam_forget,
	.port = libteam_port,
	.list = libteam_list,
	.status = libteam_status,
	.lacp = libteam_lacp,
};
