/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the provider and the state machine: ports, members, and what is told of the team as a whole. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "teaming/team.h"

/* ---- ports ---- */

void tw_team_follow(struct teaming *t, unsigned int m)
{
	const struct tw_member *mem = &t->core.members[m];

	if (!mem->used)
		t->pops->forget(t->provider, m);
	else
		/* In a team every member has a netdev: a DPDK device's own, or one that relays for it. */
		t->pops->follow(t->provider, m,
				mem->spec.type == MEMBER_DPDK && !t->pops->list ? NULL :
				*mem->spec.relay ? mem->spec.relay : mem->spec.name,
				mem->dev ? mem->info.if_index : 0);
}

/* A device without netdev is as good as its driver says. */
static void ask_driver(const struct tw_member *mem, struct provider_port *ret)
{
	bool up = true;
	uint32_t speed = 0;

	ret->admin_up = ret->enabled = true;
	if (mem->dev->ops->link && mem->dev->ops->link(mem->dev, &up, &speed) < 0)
		up = true;
	ret->link = up;
	ret->speed = up ? speed : 0;
}

/* Link and speed are the device's own; what the team says is said of the relay. */
static void ask_both(struct teaming *t, const struct tw_member *mem, struct provider_port *port)
{
	struct provider_port relay = *port;

	*port = (struct provider_port){ 0 };
	if (!mem->dev)
		return;
	ask_driver(mem, port);
	memcpy(port->name, mem->spec.relay, sizeof(port->name));
	if (!t->pops->list)
		return;
	port->admin_up = relay.admin_up || !relay.if_index;
	port->enabled = relay.enabled;
	port->why = relay.if_index ? relay.why : "its relay is not a port of the team";
}

/*
 * Two members with one MAC: no problem of ours, since PAs have their own, but a sign of a mistake. Ports of a team have
 * one by its runner's choice.
 */
static void tell_twins(struct teaming *t)
{
	uint32_t twins = 0;

	for (unsigned int a = 0; a < TEAM_MEMBERS && !t->pops->list; a++) {
		const struct tw_member *ma = &t->core.members[a];

		for (unsigned int b = 0; b < a && ma->used && ma->port.if_index; b++) {
			const struct tw_member *mb = &t->core.members[b];
			char text[MAC_STR];

			if (!mb->used || !mb->port.if_index || !mac_equal(&ma->port.mac, &mb->port.mac))
				continue;
			twins |= 1u << a;
			if (!(t->twins >> a & 1))
				tw_event(&t->core, TEAMING_ALARM, a, NULL, "%s and %s have one MAC address, %s",
					 mb->spec.name, ma->spec.name, format_mac(&ma->port.mac, text));
			break;
		}
	}
	t->twins = twins;
}

void tw_team_ports(struct teaming *t)
{
	for (unsigned int m = 0; m < TEAM_MEMBERS; m++) {
		const struct tw_member *mem = &t->core.members[m];
		struct provider_port port;

		if (!mem->used)
			continue;
		t->pops->port(t->provider, m, &port);
		if (*mem->spec.relay)
			ask_both(t, mem, &port);
		else if (!port.if_index && mem->dev && !mem->info.if_index)
			ask_driver(mem, &port);
		tw_relay_follow(t, m, &port);
		tw_member_port(&t->core, m, &port);
	}
	tell_twins(t);
}

static void follow_all(struct teaming *t)
{
	for (unsigned int m = 0; m < TEAM_MEMBERS; m++)
		tw_team_follow(t, m);
	tw_team_ports(t);
}

/* ---- the team ---- */

int tw_team_apply(struct teaming *t, const struct teaming_config *config, struct errbuf *err)
{
	CLEANUP_FREE struct member_spec *members = NULL;
	struct teaming_config c = *config;
	struct teaming_status status;
	int r;

	if (t->pops->list) {
		members = calloc(TEAM_MEMBERS, sizeof(*members));
		if (!members)
			return err_set(err, ENOMEM, "out of memory");
		t->pops->status(t->provider, &status);
		t->n_ports = t->pops->list(t->provider, t->ports);
		c.n_members = (uint16_t)tw_config_merge(config, t->ports, t->n_ports, members);
		c.members = members;
		c.mode = status.mode;
	}
	r = tw_configure(&t->core, &c, err);
	t->members_stale = r < 0;
	follow_all(t);
	t->filter_stale = true;
	return r;
}

/* @return whether the members have to be configured anew. */
static bool tell_status(struct teaming *t)
{
	struct teaming_status now, *was = &t->status;
	bool mode;

	t->pops->status(t->provider, &now);
	mode = now.mode != was->mode;
	if (strcmp(now.problem, was->problem) != 0)
		tw_event(&t->core, *now.problem ? TEAMING_ALARM : TEAMING_TEAM, TEAM_NO_MEMBER, NULL, "%s%s",
			 *now.problem ? now.problem : now.device, *now.problem ? "" : ": all is well");
	if (now.if_index != was->if_index && now.if_index)
		tw_event(&t->core, TEAMING_TEAM, TEAM_NO_MEMBER, NULL, "%s: attached, network device %u", now.device,
			 now.if_index);
	if (mode || strcmp(now.runner, was->runner) != 0)
		tw_event(&t->core, TEAMING_TEAM, TEAM_NO_MEMBER, NULL, "%s: runner %s, mode %s", now.device,
			 *now.runner ? now.runner : "not known", team_mode_names[now.mode]);
	*was = now;
	return mode;
}

void tw_team_news(struct teaming *t)
{
	char ports[TEAM_MEMBERS][IFNAMSIZ];
	struct errbuf err;
	unsigned int n;
	bool again;

	if (t->pops->list) {
		again = tell_status(t) || t->members_stale;
		n = t->pops->list(t->provider, ports);
		if (again || n != t->n_ports || memcmp(ports, t->ports, n * sizeof(ports[0])) != 0) {
			if (tw_team_apply(t, &t->config->config, &err) < 0)
				log_warning("team %s: %s", t->status.device, err.text);
			return;
		}
	}
	tw_team_ports(t);
}
