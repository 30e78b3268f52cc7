/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration and the ports of a team device become one list of members. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "teaming/team.h"

struct tw_config_copy *tw_config_copy(const struct teaming_config *config)
{
	struct tw_config_copy *c = calloc(1, sizeof(*c) + config->n_routes * sizeof(c->routes[0]));

	if (!c)
		return NULL;
	c->config = *config;
	str_copy(c->host_id, sizeof(c->host_id), config->host_id);
	str_copy(c->device, sizeof(c->device), config->device ? config->device : "");
	str_copy(c->runner, sizeof(c->runner), config->runner ? config->runner : "");
	if (config->n_members)
		memcpy(c->members, config->members, config->n_members * sizeof(c->members[0]));
	if (config->n_pas)
		memcpy(c->pas, config->pas, config->n_pas * sizeof(c->pas[0]));
	if (config->n_routes)
		memcpy(c->routes, config->routes, config->n_routes * sizeof(c->routes[0]));
	c->config.host_id = c->host_id;
	c->config.device = c->device;
	c->config.runner = c->runner;
	c->config.members = c->members;
	c->config.pas = c->pas;
	c->config.routes = c->routes;
	c->config.state_dir = NULL; /* only at creation */
	return c;
}

/* A device that has a relay is known to the team by it. One name is one member, so its own counts as well. */
static bool is_for(const struct member_spec *m, const char *port)
{
	return (*m->relay && strcmp(m->relay, port) == 0) || strcmp(m->name, port) == 0;
}

/* Names are of one member only, even if both a device and its relay are ports. */
static void add(const struct member_spec *m, struct member_spec *ret, unsigned int *n)
{
	for (unsigned int i = 0; i < *n; i++)
		if (strcmp(ret[i].name, m->name) == 0)
			return;
	if (*n < TEAM_MEMBERS)
		ret[(*n)++] = *m;
}

unsigned int tw_config_merge(const struct teaming_config *config, char ports[][IFNAMSIZ], unsigned int n_ports,
			     struct member_spec *ret)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < n_ports; i++) {
		struct member_spec m;

		object_default(OBJECT_MEMBER, &m);
		str_copy(m.name, sizeof(m.name), ports[i]);
		m.type = config->member_type;
		for (unsigned int k = 0; k < config->n_members; k++)
			if (is_for(&config->members[k], ports[i]))
				m = config->members[k];
		add(&m, ret, &n);
	}
	/* A relay is made when its device is opened, so the device cannot wait for the relay to be a port. */
	for (unsigned int k = 0; k < config->n_members; k++)
		if (*config->members[k].relay)
			add(&config->members[k], ret, &n);
	return n;
}
