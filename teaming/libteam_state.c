/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "base/str.h"
#include "base/tick.h"
#include "teaming/libteam_state.h"
#include "teaming/teaming.h"

#define MS	  1000000ull
#define RECENT_NS (1000 * MS) /* teamd lowers `enabled` a moment before it deletes the device */

/* ---- runner ---- */

static const struct runner {
	const char *name;
	uint8_t mode; /* enum team_mode; TEAM_AUTO: the switch may be configured either way */
	bool refused;
} runners[] = {
	{ "lacp", TEAM_COOPERATE, false },
	{ "activebackup", TEAM_INDEPENDENT, false },
	{ "loadbalance", TEAM_AUTO, false },
	{ "roundrobin", TEAM_AUTO, false },
	{ "random", TEAM_AUTO, false },
	{ "broadcast", TEAM_AUTO, true },
};

static const struct runner *find_runner(const char *name)
{
	for (size_t i = 0; i < sizeof(runners) / sizeof(runners[0]); i++)
		if (strcmp(runners[i].name, name) == 0)
			return &runners[i];
	return NULL;
}

bool tw_team_runner_known(const char *runner)
{
	return find_runner(runner);
}

uint8_t tw_team_mode(const char *runner)
{
	const struct runner *r = find_runner(runner);

	return r ? r->mode : TEAM_AUTO;
}

bool tw_team_refused(const char *runner)
{
	const struct runner *r = find_runner(runner);

	return r && r->refused;
}

const char *tw_team_runner(const struct tw_team_state *s, const char **ret_source)
{
	*ret_source = "config";
	if (*s->configured_runner)
		return s->configured_runner;
	*ret_source = "teamd";
	if (*s->runner)
		return s->runner;
	*ret_source = "kernel";
	if (find_runner(s->snap.mode) && strcmp(s->snap.mode, "loadbalance") != 0)
		return s->snap.mode;
	*ret_source = "";
	return "";
}

/* ---- ports ---- */

struct tw_team_port *tw_team_port(struct tw_team_state *s, uint32_t if_index)
{
	for (unsigned int i = 0; i < s->n_ports && if_index; i++)
		if (s->ports[i].if_index == if_index)
			return &s->ports[i];
	return NULL;
}

struct tw_team_port *tw_team_port_named(struct tw_team_state *s, const char *name)
{
	for (unsigned int i = 0; i < s->n_ports && *name; i++)
		if (strcmp(s->ports[i].name, name) == 0)
			return &s->ports[i];
	return NULL;
}

static void drop_port(struct tw_team_state *s, unsigned int i)
{
	s->n_ports--;
	memmove(&s->ports[i], &s->ports[i + 1], (s->n_ports - i) * sizeof(s->ports[0]));
	s->ports[s->n_ports] = (struct tw_team_port){ 0 };
}

/* Room for a new port; those that are gone make some. */
static struct tw_team_port *add_port(struct tw_team_state *s, uint32_t if_index)
{
	for (unsigned int i = 0; s->n_ports == TEAM_MEMBERS && i < s->n_ports; i++)
		if (!s->ports[i].in_team)
			drop_port(s, i);
	if (s->n_ports == TEAM_MEMBERS)
		return NULL;
	s->ports[s->n_ports] = (struct tw_team_port){ .if_index = if_index };
	return &s->ports[s->n_ports++];
}

/* What the team says of a port now, all but its netdev's own state. */
static bool verdict(const struct tw_team_state *s, const struct tw_team_port *p, const char **ret_why)
{
	const char *source, *runner = tw_team_runner(s, &source);

	*ret_why = "no port of the team any more";
	if (!p->in_team)
		return false;
	*ret_why = "the team's runner sends every frame by every port";
	if (tw_team_refused(runner))
		return false;
	/*
	 * Without a teamd that ever said something, its verdict is false for ever. And teamd 1.31 loses the first one
	 * of a port whose link came up before teamd knew the port's options: until there is one, its state tells.
	 */
	*ret_why = "link watch of teamd says down";
	if (!p->now.user_linkup && (p->watched || p->teamd_down))
		return false;
	*ret_why = "no link by the team driver";
	if (!p->now.link)
		return false;
	if (p->now.enabled || (s->spread_all && strcmp(runner, "activebackup") == 0))
		return true;
	*ret_why = strcmp(runner, "activebackup") == 0 ? "standby port" : "disabled by the team's protocol";
	return false;
}

static void note_verdicts(struct tw_team_state *s, uint64_t now)
{
	const char *why;

	for (unsigned int i = 0; i < s->n_ports && s->snap.if_index; i++) {
		struct tw_team_port *p = &s->ports[i];
		bool ok = verdict(s, p, &why);

		if (ok || p->was_ok)
			p->ok_at = now;
		p->was_ok = ok;
	}
}

static const struct tw_snap_port *listed(const struct tw_snapshot *snap, uint32_t if_index)
{
	for (uint32_t k = 0; k < snap->n; k++)
		if (snap->ports[k].if_index == if_index)
			return &snap->ports[k];
	return NULL;
}

static void take_port(struct tw_team_port *p, const struct tw_snap_port *port)
{
	p->in_team = true;
	p->now = *port;
	p->watched |= port->user_linkup;
}

/* @param fresh another team device than before: ports get the time to come back. */
static void take_ports(struct tw_team_state *s, const struct tw_snapshot *snap, uint64_t now, bool fresh)
{
	for (unsigned int i = 0; i < s->n_ports; i++) {
		struct tw_team_port *p = &s->ports[i];
		const struct tw_snap_port *port = listed(snap, p->if_index);

		if (fresh || !p->in_team) /* when it is there, its options are new */
			p->watched = p->teamd_down = false;
		if (port) {
			take_port(p, port);
			continue;
		}
		if (fresh || p->in_team)
			p->gone_at = now;
		p->in_team = false;
	}
	for (uint32_t k = 0; k < snap->n; k++) {
		struct tw_team_port *p = NULL;

		if (!tw_team_port(s, snap->ports[k].if_index))
			p = add_port(s, snap->ports[k].if_index);
		if (p)
			take_port(p, &snap->ports[k]);
	}
}

void tw_team_update(struct tw_team_state *s, const struct tw_snapshot *snap, uint64_t now)
{
	uint32_t before = s->snap.if_index;

	note_verdicts(s, now);
	s->snap = *snap;
	if (before && snap->if_index != before)
		s->lost_at = now;
	if (snap->if_index) {
		s->ever_attached = true;
		take_ports(s, snap, now, snap->if_index != before);
		note_verdicts(s, now);
	}
	tw_team_expire(s, now);
}

static bool in_grace(const struct tw_team_state *s, uint64_t now)
{
	return s->lost_at && now < s->lost_at + s->grace_ms * MS;
}

/* Was it in use when the device went? */
static bool kept(const struct tw_team_state *s, const struct tw_team_port *p, uint64_t now)
{
	return in_grace(s, now) && p->ok_at && p->ok_at + RECENT_NS >= s->lost_at;
}

bool tw_team_enabled(const struct tw_team_state *s, const struct tw_team_port *p, uint64_t now, const char **ret_why)
{
	if (kept(s, p, now))
		return true;
	*ret_why = "the team device is gone";
	return s->snap.if_index && verdict(s, p, ret_why);
}

/* All that were in use are again: the grace period is over before its time. */
static bool recovered(const struct tw_team_state *s, uint64_t now)
{
	const char *why;

	if (!s->snap.if_index)
		return false;
	for (unsigned int i = 0; i < s->n_ports; i++)
		if (kept(s, &s->ports[i], now) && !verdict(s, &s->ports[i], &why))
			return false;
	return true;
}

void tw_team_expire(struct tw_team_state *s, uint64_t now)
{
	if (s->lost_at && (!in_grace(s, now) || recovered(s, now)))
		s->lost_at = 0;
	for (unsigned int i = s->n_ports; i-- > 0;) {
		struct tw_team_port *p = &s->ports[i];

		if (s->snap.if_index && !p->in_team && now >= p->gone_at + s->grace_ms * MS)
			drop_port(s, i);
	}
}

uint64_t tw_team_deadline(const struct tw_team_state *s)
{
	uint64_t at = s->lost_at ? s->lost_at + s->grace_ms * MS : UINT64_MAX;

	for (unsigned int i = 0; i < s->n_ports; i++) {
		const struct tw_team_port *p = &s->ports[i];

		if (s->snap.if_index && !p->in_team && p->gone_at + s->grace_ms * MS < at)
			at = p->gone_at + s->grace_ms * MS;
	}
	return at;
}

/* ---- names ---- */

/* Two members cannot have one name: who does not have it any more gives it up. */
static void settle_name(struct tw_team_state *s, const struct tw_links *links, unsigned int i)
{
	const struct tw_netdev *l;

	for (unsigned int k = s->n_ports; k-- > 0;) {
		if (k == i || strcmp(s->ports[k].name, s->ports[i].name) != 0)
			continue;
		l = tw_links_find(links, s->ports[k].if_index);
		if (l && strcmp(l->name, s->ports[k].name) != 0)
			str_copy(s->ports[k].name, sizeof(s->ports[k].name), l->name);
		else
			*s->ports[k].name = '\0';
	}
}

void tw_team_names(struct tw_team_state *s, const struct tw_links *links)
{
	for (unsigned int i = 0; i < s->n_ports; i++) {
		struct tw_team_port *p = &s->ports[i];
		const struct tw_netdev *l = tw_links_find(links, p->if_index);

		if (*p->name || !l || !p->in_team)
			continue;
		str_copy(p->name, sizeof(p->name), l->name);
		settle_name(s, links, i);
	}
}
