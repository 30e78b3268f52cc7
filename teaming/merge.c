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

/* A device that has a relay is known to the team by it; any other by its own name. */
static const char *port_name(const struct member_spec *m)
{
	return *m->relay ? m->relay : m->name;
}

static bool is_listed(char ports[][IFNAMSIZ], unsigned int n_ports, const char *name)
{
	for (unsigned int i = 0; i < n_ports; i++)
		if (strcmp(ports[i], name) == 0)
			return true;
	return false;
}

unsigned int tw_config_merge(const struct teaming_config *config, char ports[][IFNAMSIZ], unsigned int n_ports,
			     struct member_spec *ret)
{
	unsigned int n = n_ports;

	for (unsigned int i = 0; i < n_ports; i++) {
		object_default(OBJECT_MEMBER, &ret[i]);
		str_copy(ret[i].name, sizeof(ret[i].name), ports[i]);
		ret[i].type = config->member_type;
		for (unsigned int k = 0; k < config->n_members; k++)
			if (strcmp(port_name(&config->members[k]), ports[i]) == 0)
				ret[i] = config->members[k];
	}
	/* A relay is made when its device is opened, so the device cannot wait for the relay to be a port. */
	for (unsigned int k = 0; k < config->n_members && n < TEAM_MEMBERS; k++)
		if (*config->members[k].relay && !is_listed(ports, n_ports, config->members[k].relay))
			ret[n++] = config->members[k];
	return n;
}
