/* SPDX-License-Identifier: BSD-3-Clause */
/* What follows from the team for the packet path (remote addresses, tunnels, the provider MTU), and what is told. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "daemon/manager_private.h"

void team_update_remotes(struct manager *m)
{
	uint32_t room = policy_count(m->policy, OBJECT_HOST) * HOST_PAS, n = 0;
	struct ip_addr *pas = calloc(room + 1, sizeof(*pas));
	struct host_spec h;
	enum origin origin;
	uint64_t cursor = 0;
	unsigned int i;

	while (pas && policy_next(m->policy, OBJECT_HOST, &cursor, &h, &origin)) {
		if (strcmp(h.id, m->settings.host_id) == 0)
			continue;
		for (i = 0; i < h.n_pas && n < room; i++)
			pas[n++] = h.pas[i].address;
	}
	if (!pas || teaming_remotes_set(m->teaming, pas, n) < 0)
		log_error("no memory for the provider addresses of the other hosts");
	free(pas);
}

void team_update_mtu(struct manager *m)
{
	struct teaming_member_status st[TEAM_MEMBERS];
	unsigned int i, n = teaming_members(m->teaming, st, TEAM_MEMBERS);
	uint16_t mtu = m->settings.provider_mtu;

	/* A member without its netdev says nothing; without any member the last answer stays. */
	for (i = 0; i < n && !m->settings.provider_mtu; i++)
		if (st[i].open && st[i].present && st[i].mtu && (!mtu || st[i].mtu < mtu))
			mtu = st[i].mtu;
	if (!mtu || mtu == m->provider_mtu)
		return;
	m->provider_mtu = mtu;
	m->knobs.provider_mtu = mtu;
	datapath_set_knobs(m->datapath, &m->knobs);
	manager_later(m, LATER_TUNNELS);
	ports_refresh_all(m);
}

/* Tunnels to the hosts behind provider addresses whose paths changed. */
static void update_paths(struct manager *m)
{
	struct ip_addr changed[64];
	unsigned int i, n;

	do {
		n = teaming_paths_changed(m->teaming, changed, 64);
		for (i = 0; i < n; i++) {
			uint16_t host = policy_host_of_pa(m->policy, &changed[i]);

			/* Out of memory: the old tunnel stays; all of them are tried again. */
			if (host != HOST_NONE && datapath_host_update(m->datapath, host) < 0)
				manager_later(m, LATER_TUNNELS);
		}
	} while (n == 64);
}

static void tell_pa(struct manager *m, const struct teaming_event *ev, const char *member)
{
	char address[IP_STR];

	manager_emit(m, EVENT_PA_STATE, "address", format_ip(&ev->pa, address), "state",
		     ev->pa_state <= PA_PREFERRED ? pa_state_names[ev->pa_state] : "", "member", member, "text",
		     ev->text, NULL);
}

void team_on_event(const struct teaming_event *ev, void *arg)
{
	struct manager *m = arg;
	struct teaming_member_status st[TEAM_MEMBERS];
	unsigned int n = teaming_members(m->teaming, st, TEAM_MEMBERS);
	const char *member = ev->member < n ? st[ev->member].spec.name : "";
	struct member_ctl *c;

	switch (ev->type) {
	case TEAMING_VIEW:
		balance_update_self(m, false);
		manager_later(m, LATER_MTU | LATER_STEER);
		break;
	case TEAMING_PATHS:
		update_paths(m);
		break;
	case TEAMING_MEMBER:
		manager_emit(m, EVENT_MEMBER_STATE, "member", member, "usable",
			     ev->member < n && st[ev->member].usable ? "true" : "false", "text", ev->text, NULL);
		manager_later(m, LATER_MTU);
		break;
	case TEAMING_PA:
		tell_pa(m, ev, member);
		break;
	case TEAMING_NETDEV:
		c = team_ctl(m, member, false);
		if (c)
			c->error[0] = '\0'; /* a new device deserves a new try */
		team_sync(m);
		break;
	case TEAMING_NONE_USABLE:
		manager_emit(m, EVENT_TEAM_DOWN, NULL);
		break;
	case TEAMING_REBALANCE:
		manager_emit(m, EVENT_REBALANCE, "member", member, "text", ev->text, NULL);
		break;
	case TEAMING_TEAM:
	case TEAMING_ALARM:
		manager_emit(m, ev->type == TEAMING_ALARM ? EVENT_TEAM_ALARM : EVENT_TEAM, "text", ev->text, NULL);
		manager_later(m, LATER_READY); /* for the status text */
		break;
	}
}

static bool has_group(const struct ip_addr *groups, unsigned int n, const struct ip_addr *group)
{
	while (n--)
		if (ip_equal(&groups[n], group))
			return true;
	return false;
}

/* Those of subnets that have a port here: a host with nobody to hear has nothing to receive. */
void team_update_groups(struct manager *m)
{
	struct ip_addr groups[TEAM_GROUPS];
	unsigned int i, n = 0, left = 0;

	for (i = 0; i < POLICY_MAX_PORTS; i++) {
		struct subnet_spec s = { .vsid = m->ports[i] ? m->ports[i]->spec.vsid : 0 };
		enum origin origin;

		if (!s.vsid || policy_get(m->policy, OBJECT_SUBNET, &s, &origin) < 0 || !ip_is_set(&s.group) ||
		    has_group(groups, n, &s.group))
			continue;
		if (n < TEAM_GROUPS)
			groups[n++] = s.group;
		else
			left++;
	}
	if (left)
		log_error("%u multicast groups are more than a host can be a member of (%u): frames to them are lost "
			  "here", n + left, TEAM_GROUPS);
	if (teaming_groups(m->teaming, groups, n) < 0)
		log_error("no room for the multicast groups of the subnets");
}
