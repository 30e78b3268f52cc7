/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks of what belongs to this host: settings, ports, team. */
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "daemon/config_private.h"
#include "policy/policy.h"
#include "teaming/teaming.h"

/* The longest name made inside: "<run-dir>/control" has to fit sun_path. */
#define RUN_DIR_MAX 88

static void check_dir(const struct config *c, struct config_errors *errors, const char *key, const char *path)
{
	struct config_where w = config_group_where(c, "paths");

	if (path[0] != '/')
		config_error(c, errors, w, "paths: %s: '%s' is not an absolute path", key, path);
	else if (strlen(path) > RUN_DIR_MAX)
		config_error(c, errors, w, "paths: %s: '%s' is longer than %d bytes", key, path, RUN_DIR_MAX);
}

static void check_unix_group(const struct config *c, struct config_errors *errors, const char *in, const char *key,
			     const char *name)
{
	CLEANUP_FREE char *buf = malloc(65536);
	struct group g, *found = NULL;

	if (!*name || !buf)
		return;
	if (getgrnam_r(name, &g, buf, 65536, &found) == 0 && !found)
		config_error(c, errors, config_group_where(c, in), "%s: %s: there is no group '%s' on this machine", in,
			     key, name);
}

void config_check_settings(const struct config *c, struct config_errors *errors)
{
	const struct settings *s = &c->settings;
	union tcp_address address;
	struct errbuf err;
	unsigned int i, j;

	if (!*s->host_id)
		config_error(c, errors, config_group_where(c, "host"),
			     "host: id: is missing, and the machine's host name cannot be used as one");
	check_dir(c, errors, "run-dir", s->run_dir);
	check_dir(c, errors, "state-dir", s->state_dir);
	check_dir(c, errors, "socket-dir", s->socket_dir);
	check_unix_group(c, errors, "paths", "socket-group", s->socket_group);
	check_unix_group(c, errors, "control", "read-group", s->read_group);
	check_unix_group(c, errors, "control", "operate-group", s->operate_group);
	check_unix_group(c, errors, "control", "admin-group", s->admin_group);
	if (*s->metrics_listen && config_tcp_address(s->metrics_listen, s->metrics_public, &address, &err) < 0)
		config_error(c, errors, config_group_where(c, "metrics"), "metrics: listen: %s", err.text);
	config_check_store(c, errors);
	for (i = 0; i < s->n_cores; i++)
		for (j = 0; j < i; j++)
			if (s->cores[i] == s->cores[j])
				config_error(c, errors, config_group_where(c, "workers"),
					     "workers: cores: %u is given twice", s->cores[i]);
}

static int port_supported(const struct settings *s, const struct port_spec *p, struct errbuf *err)
{
	if (p->type != PORT_VHOST_USER)
		return err_set(err, EINVAL, "type: %s is not available in this version, allowed: vhost-user",
			       port_type_names[p->type]);
	/* What comes back from the wire has to be known as its own. */
	if (s->plain_uplink && !p->vsid && !p->n_macs)
		return err_set(err, EINVAL, "macs: with underlay.plain-uplink a plain port needs at least one");
	return 0;
}

static int member_supported(const struct settings *s, const struct member_spec *m, struct errbuf *err)
{
	/* Its XDP program leaves everything else to the kernel. */
	if (s->plain_uplink && m->type == MEMBER_AF_XDP)
		return err_set(err, EINVAL,
			       "type: af-xdp receives NVGRE only, which underlay.plain-uplink does not go with");
	return 0;
}

int config_supported(const struct settings *s, enum object_kind kind, const void *spec, struct errbuf *err)
{
	if (kind == OBJECT_PORT)
		return port_supported(s, spec, err);
	if (kind == OBJECT_MEMBER)
		return member_supported(s, spec, err);
	return 0;
}

int port_socket_path(const struct settings *s, const struct port_spec *p, char buf[PATH_SIZE], struct errbuf *err)
{
	int n;

	if (*p->socket)
		return str_copy(buf, PATH_SIZE, p->socket);
	n = snprintf(buf, PATH_SIZE, "%s/%s.sock", s->socket_dir, p->id);
	if (n < 0 || n >= PATH_SIZE)
		return err_set(err, ENAMETOOLONG, "socket: %s/%s.sock is longer than %d bytes", s->socket_dir, p->id,
			       PATH_SIZE - 1);
	return 0;
}

static bool share_mac(const struct port_spec *a, const struct port_spec *b, struct mac *ret)
{
	unsigned int i, j;

	for (i = 0; i < a->n_macs; i++) {
		for (j = 0; j < b->n_macs; j++) {
			if (mac_equal(&a->macs[i], &b->macs[j])) {
				*ret = a->macs[i];
				return true;
			}
		}
	}
	return false;
}

/* Ports i and j < i. At most POLICY_MAX_PORTS of them: comparing all pairs is cheap enough. */
static void check_two_ports(const struct config *c, struct config_errors *errors, size_t i, size_t j)
{
	const struct port_spec *a = config_spec(c, OBJECT_PORT, i), *b = config_spec(c, OBJECT_PORT, j);
	char text[MAC_STR], place[CONFIG_PLACE_STR], sock_a[PATH_SIZE], sock_b[PATH_SIZE];
	struct config_where w = c->objects[OBJECT_PORT].where[i];
	struct mac mac;

	if (strcmp(a->id, b->id) == 0)
		return; /* reported as a double key */
	if (a->vsid == b->vsid && share_mac(a, b, &mac))
		config_error(c, errors, w, "ports: macs: %s is also port %s's in virtual subnet %u (%s)",
			     format_mac(&mac, text), b->id, b->vsid, config_place(c, OBJECT_PORT, j, place));
	if (port_socket_path(&c->settings, a, sock_a, NULL) == 0 &&
	    port_socket_path(&c->settings, b, sock_b, NULL) == 0 && strcmp(sock_a, sock_b) == 0)
		config_error(c, errors, w, "ports: socket: %s is also port %s's (%s)", sock_a, b->id,
			     config_place(c, OBJECT_PORT, j, place));
}

void config_check_ports(const struct config *c, struct config_errors *errors)
{
	const struct config_list *l = &c->objects[OBJECT_PORT];
	char path[PATH_SIZE];
	struct errbuf err;
	size_t i, j;

	if (l->n > POLICY_MAX_PORTS) {
		config_error(c, errors, l->where[POLICY_MAX_PORTS], "ports: at most %d are allowed", POLICY_MAX_PORTS);
		return;
	}
	for (i = 0; i < l->n; i++) {
		const struct port_spec *p = config_spec(c, OBJECT_PORT, i);

		if (config_supported(&c->settings, OBJECT_PORT, p, &err) < 0 ||
		    port_socket_path(&c->settings, p, path, &err) < 0)
			config_error(c, errors, l->where[i], "ports: %s", err.text);
		for (j = 0; j < i; j++)
			check_two_ports(c, errors, i, j);
	}
}

static void check_pa_member(const struct config *c, struct config_errors *errors, size_t i)
{
	const struct config_list *members = &c->objects[OBJECT_MEMBER];
	const struct pa_spec *pa = config_spec(c, OBJECT_PA, i);
	char text[IP_STR];
	size_t m;

	if (!*pa->member || c->settings.team_device[0])
		return;
	for (m = 0; m < members->n; m++)
		if (strcmp(((const struct member_spec *)config_spec(c, OBJECT_MEMBER, m))->name, pa->member) == 0)
			return;
	config_error(c, errors, c->objects[OBJECT_PA].where[i],
		     "provider-addresses: member: %s is not one of the members (home of %s)", pa->member,
		     format_ip(&pa->address, text));
}

void config_check_team(const struct config *c, struct config_errors *errors)
{
	const struct config_list *members = &c->objects[OBJECT_MEMBER], *pas = &c->objects[OBJECT_PA];
	const struct config_list *routes = &c->objects[OBJECT_PROVIDER_ROUTE];
	const struct member_spec port = { .type = c->settings.member_type }; /* of a team device, not mentioned */
	size_t i, before = errors->n_errors;
	struct teaming_config team;
	struct config_where w;
	struct errbuf err;

	if (members->n > TEAM_MEMBERS)
		config_error(c, errors, members->where[TEAM_MEMBERS], "members: at most %d are allowed", TEAM_MEMBERS);
	if (pas->n > LOCAL_PAS)
		config_error(c, errors, pas->where[LOCAL_PAS], "provider-addresses: at most %d are allowed",
			     LOCAL_PAS);
	for (i = 0; i < members->n; i++)
		if (config_supported(&c->settings, OBJECT_MEMBER, config_spec(c, OBJECT_MEMBER, i), &err) < 0)
			config_error(c, errors, members->where[i], "members: %s", err.text);
	for (i = 0; i < pas->n; i++)
		check_pa_member(c, errors, i);
	if (c->settings.provider == TEAM_PROVIDER_LIBTEAM && !c->settings.team_device[0])
		config_error(c, errors, config_group_where(c, "team"), "team: provider libteam needs a device");
	if (c->settings.team_device[0] && config_supported(&c->settings, OBJECT_MEMBER, &port, &err) < 0)
		config_error(c, errors, config_group_where(c, "team"), "team: member-%s", err.text);
	if (errors->n_errors != before)
		return;
	config_team(&c->settings, &team);
	team.n_members = (uint16_t)members->n;
	team.n_pas = (uint16_t)pas->n;
	team.n_routes = (uint16_t)routes->n;
	team.members = (const struct member_spec *)(const void *)members->specs;
	team.pas = (const struct pa_spec *)(const void *)pas->specs;
	team.routes = (const struct provider_route_spec *)(const void *)routes->specs;
	if (teaming_check(&team, &err) == 0)
		return;
	/* Its reason names the member or address; the nearest place known is where the addresses begin. */
	w = pas->n ? pas->where[0] : members->n ? members->where[0] : config_group_where(c, "team");
	config_error(c, errors, w, "team: %s", err.text);
}

void config_team(const struct settings *s, struct teaming_config *ret)
{
	*ret = (struct teaming_config){
		.host_id = s->host_id,
		.mode = s->mode,
		.hold_down_ms = s->hold_down_ms,
		.grace_ms = s->grace_ms,
		.rebalance = s->rebalance,
		.rebalance_force = s->rebalance_force,
		.state_dir = s->state_dir,
		.device = s->team_device,
		.runner = s->runner ? team_runner_names[s->runner] : "",
		.member_type = s->member_type,
		.spread_all = s->spread == TEAM_SPREAD_ALL,
		.detach_grace_ms = s->detach_grace_ms,
	};
}
